"""Networks that resolvers follow, and whether they say what was recorded."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any

import pytest

from gentwin.signaling.core import (
    AdmitAll,
    Behaviour,
    Faults,
    Flavour,
    NetworkConfiguration,
    Population,
    Station,
    Subscribers,
    SynthesisConfiguration,
    Workload,
    enrol,
    read_subscribers,
    synthesize,
)
from gentwin.signaling.core.n2 import NTP_EPOCH
from gentwin.signaling.core.plain import from_plain
from gentwin.signaling.core.policy import Policy
from gentwin.signaling.core.subscribers import SQN_STEP
from gentwin.signaling.dialogue import Sides, Slot
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import Message, Record
from gentwin.signaling.records import read_records
from gentwin.signaling.resolver import CoreNetwork, Follower, Resolver, ResolverError, open_dialogues
from gentwin.signaling.resolver.following import in_order, session_of
from gentwin.signaling.resolver.policy import DecisionLog
from gentwin.signaling.resolver.sessions import change_rates
from gentwin.signaling.security import Milenage, check_autn
from gentwin.signaling.turns import Turn
from gentwin.yaml_text import load_yaml
from tests.signaling.recordings import ROOT, find_capture

SUBSCRIBERS = ROOT / "data/signaling/subscribers.yaml"
STATIONS = Station(1, "127.0.2.1:41621"), Station(2, "127.0.2.2:41622", "000002")
OTHERS = Population(wrong_key=0.1, old_sequence=0.1, unknown=0.1, profile_a=0.3, profile_b=0.2)
BUSY = Workload(arrivals=3.0, think_time=2.0, behaviour=Behaviour(network_deregistration=1.0))
REFUSED = Faults(handover_refused=0.2, handover_cancelled=0.2, station_resets=0.01, station_restarts=0.02)
LOSSY = replace(REFUSED, radio_loss=0.01, datagram_loss=0.01, datagram_repeat=0.01, datagram_late=0.01)


class Recording:
    """What was said in a network, and a network of its parts.

    Args:
        records: All of them.
        configuration: Of the network.
        subscribers: Makes its database.
        policy: That decided.
    """

    def __init__(
        self,
        records: Sequence[Record],
        configuration: NetworkConfiguration,
        subscribers: Callable[[], Subscribers],
        policy: Policy,
    ) -> None:
        self.records, self.sides = records, Sides(records)
        self._configuration, self._subscribers, self._policy = configuration, subscribers, policy
        stamps = [
            record.message["recovery_time_stamp"]
            for record in records
            if record.message.name in ("AssociationSetupRequest", "HeartbeatRequest")
            and self.sides.direction_of(record) == "<smf>upf>"
        ]
        if stamps:
            self._configuration = replace(configuration, start=stamps[0] - NTP_EPOCH)

        self.opened = open_dialogues(records, self.network(), self.sides)
        self.dialogues = [known.dialogue for known in self.opened]

    def network(self, **arguments) -> CoreNetwork:
        """Returns a network as it was before anything was said."""
        return CoreNetwork(self._configuration, self._subscribers(), policy=self._policy, random=Random(1), **arguments)


@cache
def recorded(name: str) -> Recording:
    """Returns a recording of a real core, or skips the test where there is none."""
    pytest.importorskip("pycrate_asn1dir.NGAP")
    with read_records(find_capture(name)) as reader:
        records = [*reader]
    return Recording(records, NetworkConfiguration(home_keys=()), lambda: read_subscribers(SUBSCRIBERS), AdmitAll())


@cache
def synthesised(
    flavour: Flavour,
    ues: int = 6,
    duration: float = 30.0,
    seed: int = 1,
    faults: Faults = REFUSED,
    policy: Policy | None = None,
    workload: Workload = BUSY,
) -> Recording:
    """Returns traffic of the reference core."""
    network = NetworkConfiguration(stations=STATIONS, flavour=flavour)
    configuration = SynthesisConfiguration(
        ues=ues, duration=duration, network=network, population=OTHERS, workload=workload, faults=faults
    )
    return traffic(configuration, seed, policy)


def quarter(**changes: Any) -> SynthesisConfiguration:
    """Returns the city quarter under load of the recipe, with changes."""
    return from_plain(load_yaml((ROOT / "recipes/synthesize.yaml").read_text(encoding="utf-8")) | changes)


def traffic(configuration: SynthesisConfiguration, seed: int, policy: Policy | None = None) -> Recording:
    """Returns traffic of the reference core, with what its policy decided."""
    log = DecisionLog(policy or configuration.limits)
    records = [*synthesize(configuration, seed, log)]

    def subscribers() -> Subscribers:
        found = Subscribers()
        enrol(configuration, seed, found)
        return found

    return Recording(records, configuration.network, subscribers, log.replay())


def names(message: Message) -> set[str]:
    """Returns the names of a message and of all those inside."""
    found = {message.name}
    for _, value in message.fields:
        found |= _inner_names(value)
    return found


def _inner_names(value: Any) -> set[str]:
    if isinstance(value, Message):
        return names(value)
    return set().union(*(_inner_names(inner) for _, inner in value)) if isinstance(value, Fields) else set()


# ---------------------------------------------------------------- saying again


class Replayed:
    """Allocators that give what was given in a recording.

    Attributes:
        waiting: Identifiers to give, by kind, the next one first.
    """

    def __init__(self) -> None:
        self.waiting: dict[str, deque[Any]] = defaultdict(deque)

    def allocate(self, kind: str, scope: str = "", wanted: Any = None) -> Any:
        assert self.waiting[kind], f"nothing was recorded for {kind}"
        return self.waiting[kind].popleft()

    def claim(self, kind: str, value: Any, scope: str = "") -> None:
        pass

    def free(self, kind: str, value: Any, scope: str = "") -> None:
        pass


def slots_of(canonical: Fields, plain: Fields) -> Iterator[tuple[str, Slot, Any]]:
    """Yields name, slot and value of every field with a slot."""
    for (name, slot), (_, value) in zip(canonical, plain, strict=True):
        if isinstance(slot, Slot):
            yield name, slot, value
        elif isinstance(slot, Fields):
            yield from slots_of(slot, value)
        elif isinstance(slot, Message):
            yield from slots_of(slot.fields, value.fields)


class Echo:
    """Two resolvers of each context: one follows what was said, the other says it again.

    Attributes:
        outcomes: How often a message was said again as recorded, or what was different, by path.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.allocators = Replayed()
        self._listens, self._speaks = recording.network(), recording.network(allocators=self.allocators)
        self.outcomes: Counter[str] = Counter()

    def run(self, most: int | None = None) -> None:
        """Says everything again, or what is in the first dialogues."""
        speakers, followers = [], []
        for dialogue, messages in self.recording.opened[:most]:
            speakers.append((Resolver(self._listens), Resolver(self._speaks)))
            followers.append(Follower(dialogue, speakers[-1][0], self.recording.sides, messages))
        for number, turn in in_order(followers):
            self._turn(*speakers[number], turn)

    def _turn(self, one: Resolver, other: Resolver, turn: Turn) -> None:
        if turn.heard is None:
            happens = turn.stimulus, turn.timestamp, session_of(one, turn)
            assert one.happen(*happens) == other.happen(*happens)
        else:
            heard = turn.heard.message, turn.timestamp, turn.heard.sender
            assert one.hear(*heard) == other.hear(*heard)
        for record in turn.said:
            opened = one.open_said(record.message, record.timestamp)
            canonical = one.name_identifiers(opened)
            self._prepare(other, canonical, opened)
            try:
                self._compare(other.say(canonical, record.timestamp), record.message, turn)
            except ResolverError as error:
                self.outcomes[f"{record.message.name} {error.path.rpartition('.')[2]}: none"] += 1
            if one.bindings.state != other.bindings.state:
                other.load_state_dict(one.state_dict())

    def _prepare(self, other: Resolver, canonical: Message, opened: Message) -> None:
        """Makes sure that whatever is new, and whatever a user of the core asked for, is what was recorded."""
        self.allocators.waiting.clear()
        found = [*slots_of(canonical.fields, opened.fields)]
        for name, slot, value in found:
            if slot.kind == "new" and value != 0:
                new = value.to_bytes(4, "big") if slot.name == "TEID" and isinstance(value, int) else value
                self.allocators.waiting[slot.name].append(new)
            if name == "autn":
                rand = next(value for name, _, value in found if name == "rand")
                self._set_sqn(other, rand, value)
        limit = opened.get("update_qer.mbr")
        if limit is not None:
            session = other.state.by_peer_seid(opened["seid"])
            if session is not None:
                change_rates(other, session, 1000 * limit["uplink"], 1000 * limit["downlink"])

    def _set_sqn(self, other: Resolver, rand: bytes, autn: bytes) -> None:
        subscriber = other.subscriber
        milenage = Milenage(subscriber.k, subscriber.opc)
        self._speaks.subscribers.set_sqn(subscriber.supi, check_autn(milenage, rand, autn).sqn - SQN_STEP)

    def _compare(self, found: Message, wanted: Message, turn: Turn) -> None:
        if found == wanted:
            self.outcomes["same"] += 1
            return
        again = f"{turn.stimulus} " if turn.heard is None else ""
        assert [path for path, _ in found.fields.walk()] == [path for path, _ in wanted.fields.walk()]
        for (path, one), (_, other) in zip(found.fields.walk(), wanted.fields.walk(), strict=True):
            if one != other:
                self.outcomes[f"{again}{wanted.name} {path.rpartition('.')[2]}"] += 1
