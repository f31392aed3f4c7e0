"""Traffic as examples to learn from: the tokens of each dialogue, and which of them the core says.

```python
subscribers = read_subscribers("data/signaling/subscribers.yaml")
for example in examples_of_capture("core.pcap", subscribers):
    print(example.kind, len(example.tokens), sum(example.said))
```

| | makes examples of |
|---|---|
| `examples_of_capture` | a capture file, and who the subscribers are |
| `examples_of_records` | records, in the network that they are of |
| `synthesised_examples` | what the reference core says, and what its policy decided |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from gentwin.signaling.contexts import NODE, UE
from gentwin.signaling.core.configuration import NetworkConfiguration
from gentwin.signaling.core.plain import part_from_plain
from gentwin.signaling.core.policy import Policy
from gentwin.signaling.core.subscribers import Subscribers
from gentwin.signaling.core.synthesis import SynthesisConfiguration, enrol, synthesize
from gentwin.signaling.dialogue.directions import Sides
from gentwin.signaling.dialogue.hints import WAIT
from gentwin.signaling.dialogue.linear import framed, to_tokens
from gentwin.signaling.messages import Message, Record
from gentwin.signaling.records import read_records
from gentwin.signaling.resolver.following import Followed, Follower, in_order, open_dialogues
from gentwin.signaling.resolver.network import CoreNetwork
from gentwin.signaling.resolver.policy import DecisionLog
from gentwin.signaling.resolver.resolver import Resolver
from gentwin.yaml_text import read_yaml

NETWORK_FILE = "network.yaml"

__all__ = ["NODE", "UE", "Example", "examples_of_capture", "examples_of_records", "synthesised_examples"]


class Example(NamedTuple):
    """Tokens of a dialogue.

    Args:
        tokens: What is heard, what happens, hints, what is said, and `<wait>` after each turn.
        said: For each token whether the core says it; `<wait>` is one of those.
        kind: Of the context: `ue` or `node`.
        times: Of each turn, in seconds since 1970.
    """

    tokens: list[str]
    said: list[bool]
    kind: str = UE
    times: Sequence[float] = ()


def examples_of_capture(
    capture: str | PathLike[str],
    subscribers: Subscribers | None = None,
    configuration: NetworkConfiguration | None = None,
) -> Iterator[Example]:
    """Yields the dialogues of a capture as examples.

    Args:
        capture: Path of a pcap or pcapng file, plain or gzip.
        subscribers: Database of the core; if not given, nothing that is ciphered is opened, and there are no hints.
        configuration: Of the network: its PLMN, areas, slices and home keys; if not given, what a file `network.yaml`
            beside the capture says, or a default one.

    Raises:
        DecodeError: If it is no capture.
        SignalingError: If the file beside it is no configuration of a network.
    """
    network = None
    if subscribers is not None:
        network = CoreNetwork(configuration or configuration_beside(capture), subscribers)
    with read_records(capture) as reader:
        records = [*reader]
    yield from examples_of_records(records, network)


def configuration_beside(capture: str | PathLike[str]) -> NetworkConfiguration:
    """Returns the configuration of the network of a capture: that in `network.yaml` beside it, or a default one.

    Args:
        capture: Path of the capture.

    Raises:
        SignalingError: If the file is no configuration of a network.
    """
    path = Path(capture).parent / NETWORK_FILE
    if not path.is_file():
        return NetworkConfiguration()
    return part_from_plain(NetworkConfiguration, read_yaml(path), NETWORK_FILE)


def synthesised_examples(
    configuration: SynthesisConfiguration, seed: int = 0, policy: Policy | None = None, hints: bool = True
) -> Iterator[Example]:
    """Yields the dialogues of the reference core as examples. Arguments and seed say what they are.

    Args:
        configuration: What traffic.
        seed: Of all that is random.
        policy: Asked where an answer depends on load, in place of that of the configuration.
        hints: Whether to say what answers depend on; if not, nothing that is ciphered is opened either.
    """
    log = DecisionLog(policy or configuration.policy)
    records = [*synthesize(configuration, seed, log)]
    if not hints:
        yield from examples_of_records(records)
        return
    subscribers = Subscribers()
    enrol(configuration, seed, subscribers)
    yield from examples_of_records(records, CoreNetwork(configuration.network, subscribers, policy=log.replay()))
    subscribers.close()


def examples_of_records(records: Sequence[Record], network: CoreNetwork | None = None) -> Iterator[Example]:
    """Yields the dialogues of records as examples, in the order in which they end.

    All dialogues are followed at a time, as the network sees them. When a UE has deregistered and nothing is left of
    it, its dialogue begins anew, in another example. What is on a link twice, and what the core says to several base
    stations at once, is there once.

    Args:
        records: All of them, in the order of time.
        network: That they are of, as it was before; without one nothing is opened, there are no hints, and no dialogue
            begins anew.
    """
    sides, followers, writers = Sides(records), [], []
    for dialogue, opened in open_dialogues(records, network, sides):
        followers.append(Follower(dialogue, None if network is None else Resolver(network), sides, opened))
        writers.append(_Writer(dialogue.context.kind, sides))
    for number, turn in in_order(followers):
        found = followers[number].take(turn)
        if found is not None:
            writers[number].write(found)
        last = turn is followers[number].turns[-1]
        if (last or followers[number].begin_anew()) and writers[number].example.tokens:
            yield writers[number].end()


class _Writer:
    """Writes the example of a dialogue, turn by turn."""

    def __init__(self, kind: str, sides: Sides) -> None:
        self._kind, self._sides = kind, sides
        self.example = self._begin()

    def _begin(self) -> Example:
        self._begun, self._times = False, []
        return Example([], [], self._kind, self._times)

    def end(self) -> Example:
        """Returns the example, and begins another one."""
        found, self.example = self.example, self._begin()
        return found

    def write(self, found: Followed) -> None:
        """Writes a turn."""
        self._times.append(found.turn.timestamp)
        if found.heard is None:
            self._add([str(found.turn.stimulus)], False)
        else:
            self._say(found.heard, found.turn.heard, False)
        self._add(found.hints, False)
        spoken: set[Message] = set()
        for record, message in zip(found.turn.said, found.said, strict=True):
            if message.name != "Paging" or message not in spoken:
                self._say(message, record, True)
            spoken.add(message)
        self._add([WAIT], True)

    def _say(self, message: Message, record: Record, by_core: bool) -> None:
        self._add(framed(to_tokens(message), self._sides.direction_of(record), begins=not self._begun), by_core)
        self._begun = True

    def _add(self, more: Iterable[str], by_core: bool) -> None:
        tokens = [*more]
        self.example.tokens.extend(tokens)
        self.example.said.extend([by_core] * len(tokens))
