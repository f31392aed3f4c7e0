"""Scores of answers: what a twin says in a turn, beside what the core said.

Both are canonical messages, with slots in place of identifiers. Their *elements* are pairs of path and value, one for
every field that holds no others, one for every message, also inside another one, and one for every group that is empty.
A path begins with the message, and names every message on the way. A turn has each as often as it is there; fields that
are not there are no elements, so only what is said counts, as for the positive elements of Tao et al.

| score | is |
|---|---|
| precision | share of the elements that the twin says which the core said |
| recall | share of the elements that the core said which the twin says |
| F1 | harmonic mean of both, over all turns together (micro), or averaged over messages |
| accuracy | share of the elements that either says which both say |
| exact message | share of messages that are the same, all elements in the same order |
| exact turn | share of turns in which all that is said is the same |
| type | share of messages of the same kind: name, and names of the messages inside |
| silence | share of turns in which the twin is silent if and only if the core is |

Messages of a turn are paired in their order: first those of the same kind, as many as possible, then what is left
between them. One that is missing or too many has no partner, and is wrong.

Source: Tao et al., arXiv 2302.06980, for F1 over positive elements; there of vectors of bits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import sqrt
from statistics import NormalDist
from typing import Any

import numpy as np

from gentwin.metrics.ranking import bootstrap_interval
from gentwin.signaling.fields import Fields, Value
from gentwin.signaling.messages import Message

REFUSALS = ("Reject", "Failure", "Status", "ErrorIndication")
"""Ends of names of messages that refuse something."""
NOT_FORWARDED = "DLNASTransport"
"""Refuses what it brings back if it has a cause of 5GMM."""

Element = tuple[str, Value]


def elements(messages: Iterable[Message]) -> Counter[Element]:
    """Returns the elements of canonical messages, each as often as it is there.

    Args:
        messages: Of a turn, or one message alone.
    """
    found: Counter[Element] = Counter()
    for message in messages:
        found.update(_elements("", message))
    return found


def _elements(path: str, value: Value) -> Iterator[Element]:
    if isinstance(value, Message):
        path = f"{path}{'.' if path else ''}{value.protocol}:{value.name}"
        yield path, True
        for name, inner in value.fields:
            yield from _elements(f"{path}.{name}", inner)
    elif isinstance(value, Fields) and value:
        for name, inner in value:
            yield from _elements(f"{path}.{name}", inner)
    else:
        yield path, value


def kind_of(message: Message) -> str:
    """Returns the name of a message and the names of those inside, such as `DownlinkNASTransport RegistrationAccept`.

    Whether a message inside is protected does not count.
    """
    return " ".join(inner.name for inner in _messages(message) if inner.name != "SecurityProtected")


def _messages(value: Value) -> Iterator[Message]:
    if isinstance(value, Message):
        yield value
        value = value.fields
    if isinstance(value, Fields):
        for _, inner in value:
            yield from _messages(inner)


def refusal_of(messages: Iterable[Message]) -> str:
    """Returns what is refused in a turn, and why, such as `RegistrationReject cause_5gmm=22`; empty if nothing is."""
    return ", ".join(
        " ".join((inner.name, *_causes(inner.fields)))
        for message in messages
        for inner in _messages(message)
        if inner.name.endswith(REFUSALS) or (inner.name == NOT_FORWARDED and inner.fields.has("cause_5gmm"))
    )


def _causes(fields: Fields) -> Iterator[str]:
    for name, value in fields:
        if name.startswith("cause"):
            inner = value.walk() if isinstance(value, Fields) else [(name, value)]
            yield from (f"{path}={text}" for path, text in inner)


Pair = tuple[Message | None, Message | None]
"""A message that the core said and one that the twin says in its place; None for one that is not there."""


def paired(wanted: Sequence[Message], said: Sequence[Message]) -> list[Pair]:
    """Returns the messages of a turn in pairs.

    Args:
        wanted: What the core said.
        said: What the twin says.
    """
    pairs: list[Pair] = []
    done = [0, 0]
    for left, right in (*_same_kinds([*map(kind_of, wanted)], [*map(kind_of, said)]), (len(wanted), len(said))):
        between = wanted[done[0] : left], said[done[1] : right]
        for place in range(max(map(len, between))):
            pairs.append(tuple(part[place] if place < len(part) else None for part in between))
        if left < len(wanted):
            pairs.append((wanted[left], said[right]))
        done = [left + 1, right + 1]
    return pairs


def _same_kinds(first: Sequence[str], second: Sequence[str]) -> list[tuple[int, int]]:
    """Returns the places of a longest common subsequence."""
    size = np.zeros((len(first) + 1, len(second) + 1), np.int32)
    for left in range(len(first) - 1, -1, -1):
        for right in range(len(second) - 1, -1, -1):
            same = first[left] == second[right]
            size[left, right] = (
                size[left + 1, right + 1] + 1 if same else max(size[left + 1, right], size[left, right + 1])
            )
    places, left, right = [], 0, 0
    while left < len(first) and right < len(second):
        if first[left] == second[right]:
            places.append((left, right))
            left, right = left + 1, right + 1
        elif size[left + 1, right] >= size[left, right + 1]:
            left += 1
        else:
            right += 1
    return places


# -------------------------------------------------------------------- counts


@dataclass(slots=True)
class Share:
    """How often something was right.

    Args:
        right: Times it was.
        of: Times it could be.
    """

    right: int = 0
    of: int = 0

    def count(self, is_right: bool) -> None:
        """Counts once more."""
        self.right += bool(is_right)
        self.of += 1

    @property
    def value(self) -> float:
        """From 0 to 1; NaN if it could never be right."""
        return self.right / self.of if self.of else float("nan")

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Returns the Wilson interval of the share; see [`wilson_interval`][gentwin.metrics.wilson_interval]."""
        return wilson_interval(self.right, self.of, level)

    def __add__(self, other: Share) -> Share:
        return Share(self.right + other.right, self.of + other.of)


@dataclass(slots=True)
class Overlap:
    """How many elements are the same.

    Args:
        both: Said by core and twin.
        wanted: Said by the core.
        said: Said by the twin.
    """

    both: int = 0
    wanted: int = 0
    said: int = 0

    @classmethod
    def between(cls, wanted: Counter[Element], said: Counter[Element]) -> Overlap:
        """Returns the overlap of the elements of two turns or messages."""
        return cls((wanted & said).total(), wanted.total(), said.total())

    @property
    def precision(self) -> float:
        """From 0 to 1; 1 if the twin says nothing."""
        return _ratio(self.both, self.said)

    @property
    def recall(self) -> float:
        """From 0 to 1; 1 if the core said nothing."""
        return _ratio(self.both, self.wanted)

    @property
    def f1(self) -> float:
        """From 0 to 1; 1 if neither says anything."""
        return _ratio(2 * self.both, self.wanted + self.said)

    @property
    def accuracy(self) -> float:
        """From 0 to 1; 1 if neither says anything."""
        return _ratio(self.both, self.wanted + self.said - self.both)

    def __add__(self, other: Overlap) -> Overlap:
        return Overlap(self.both + other.both, self.wanted + other.wanted, self.said + other.said)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


@dataclass(slots=True)
class AnswerScores:
    """Scores of any number of turns, which can be added up.

    ```python
    scores = AnswerScores()
    for turn, answer in zip(turns, answers):
        scores.count(turn, answer)
    scores.elements.f1, scores.messages.value, scores.messages.interval()
    ```

    Args:
        turns: Exact turns.
        messages: Exact messages.
        kinds: Messages of the right type.
        silence: Turns in which the twin is silent if and only if the core is.
        waits: Turns in which the twin is silent, of those in which the core is.
        elements: Of all turns.
        f1_of_messages: Sum of the F1 of all pairs of messages.
        by_path: Elements by path; those of core and twin alike.
        refusals: How often the core refused this and the twin that, each as `refusal_of` says it.
        malformed: Answers that were no messages.
    """

    turns: Share = field(default_factory=Share)
    messages: Share = field(default_factory=Share)
    kinds: Share = field(default_factory=Share)
    silence: Share = field(default_factory=Share)
    waits: Share = field(default_factory=Share)
    elements: Overlap = field(default_factory=Overlap)
    f1_of_messages: float = 0.0
    by_path: dict[str, Overlap] = field(default_factory=dict)
    refusals: Counter[tuple[str, str]] = field(default_factory=Counter)
    malformed: int = 0

    def count(self, wanted: Sequence[Message], said: Sequence[Message] | None) -> None:
        """Counts a turn.

        Args:
            wanted: What the core said, canonical; empty if it was silent.
            said: What the twin says; None if that is no messages, which is as if it said a message without elements.
        """
        exact = said is not None and [*wanted] == [*said]
        self.malformed += said is None
        self.turns.count(exact)
        silent = said is not None and not said
        self.silence.count(silent == (not wanted))
        if not wanted:
            self.waits.count(silent)
        self._count_messages(wanted, said)
        refused = refusal_of(wanted), refusal_of(said or ())
        if any(refused):
            self.refusals[refused] += 1

    def _count_messages(self, wanted: Sequence[Message], said: Sequence[Message] | None) -> None:
        pairs = paired(wanted, said or ())
        if said is None and not wanted:
            pairs = [(None, None)]
        for core, twin in pairs:
            self.messages.count(core == twin and core is not None)
            self.kinds.count(None not in (core, twin) and kind_of(core) == kind_of(twin))
            if core == twin and core is not None:
                self.f1_of_messages += 1.0
            else:
                parts = (elements(() if part is None else (part,)) for part in (core, twin))
                self.f1_of_messages += Overlap.between(*parts).f1 if (core, twin) != (None, None) else 0.0
        self._count_elements(elements(wanted), elements(said or ()))

    def _count_elements(self, wanted: Counter[Element], said: Counter[Element]) -> None:
        self.elements += Overlap.between(wanted, said)
        for counts, name in ((wanted, "wanted"), (said, "said"), (wanted & said, "both")):
            for (path, _), count in counts.items():
                known = self.by_path.setdefault(path, Overlap())
                setattr(known, name, getattr(known, name) + count)

    @property
    def message_f1(self) -> float:
        """Mean of the F1 of messages; NaN if there was none."""
        return self.f1_of_messages / self.messages.of if self.messages.of else float("nan")

    @property
    def refused(self) -> Share:
        """Turns with the right refusals, causes and all, of those in which the core refuses something."""
        told = {pair: count for pair, count in self.refusals.items() if pair[0]}
        return Share(sum(count for (core, twin), count in told.items() if core == twin), sum(told.values()))

    def worst_paths(self, most: int = 10) -> list[tuple[str, Overlap]]:
        """Returns the paths with the most wrong elements, those first that have more of them."""
        wrong = {path: known.wanted + known.said - 2 * known.both for path, known in self.by_path.items()}
        order = sorted((path for path in wrong if wrong[path]), key=lambda path: (-wrong[path], path))
        return [(path, self.by_path[path]) for path in order[:most]]

    def __add__(self, other: AnswerScores) -> AnswerScores:
        paths = {**self.by_path}
        for path, known in other.by_path.items():
            paths[path] = paths.get(path, Overlap()) + known
        return AnswerScores(
            self.turns + other.turns,
            self.messages + other.messages,
            self.kinds + other.kinds,
            self.silence + other.silence,
            self.waits + other.waits,
            self.elements + other.elements,
            self.f1_of_messages + other.f1_of_messages,
            paths,
            self.refusals + other.refusals,
            self.malformed + other.malformed,
        )

    def figures(self) -> dict[str, Any]:
        """Returns the scores as plain numbers, for JSON; None where there is nothing to count."""
        values = {
            "precision": self.elements.precision,
            "recall": self.elements.recall,
            "f1": self.elements.f1,
            "accuracy": self.elements.accuracy,
            "message_f1": self.message_f1,
            "exact_message": self.messages.value,
            "exact_turn": self.turns.value,
            "type": self.kinds.value,
            "silence": self.silence.value,
            "waits": self.waits.value,
            "refusals": self.refused.value,
        }
        counts = {"turns": self.turns.of, "messages": self.messages.of, "elements": self.elements.wanted}
        return {**{name: None if value != value else value for name, value in values.items()}, **counts}


# -------------------------------------------------------------------- intervals


def wilson_interval(right: int, of: int, level: float = 0.95) -> tuple[float, float]:
    """Interval of a share of independent trials.

    Args:
        right: Successes.
        of: Trials.
        level: Probability of the interval, in (0, 1).

    Returns:
        Lower and upper end, from 0 to 1; (0, 1) if there were no trials.

    Raises:
        ValueError: If there are more successes than trials, or `level` is not in (0, 1).

    Source: Wilson, J. Am. Stat. Assoc. 22 (1927).
    """
    if not 0 < level < 1:
        raise ValueError(f"`level` must be in (0, 1), got {level}.")
    if not 0 <= right <= of:
        raise ValueError(f"`right` must be from 0 to `of` = {of}, got {right}.")
    if not of:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, spread = right / of, z * z / of
    middle, half = share + spread / 2, z * sqrt(share * (1 - share) / of + spread / of / 4)
    return max(0.0, (middle - half) / (1 + spread)), min(1.0, (middle + half) / (1 + spread))


def ratio_interval(
    parts: Sequence[float], wholes: Sequence[float], seed: int, level: float = 0.95
) -> tuple[float, float]:
    """Bootstrap interval of a ratio of sums over dialogues, of which each is drawn as a whole.

    Turns of a dialogue depend on each other, so an interval over turns would be too narrow.

    Args:
        parts: Numerator of each dialogue, such as exact messages, or twice the elements that are the same.
        wholes: Denominator of each, such as messages, or the elements of core and twin.
        seed: The same seed gives the same interval.
        level: Probability of the interval, in (0, 1).

    Returns:
        Lower and upper end.

    Raises:
        ValueError: If there are no dialogues, or not as many parts as wholes, or all wholes are 0.
    """
    values = np.stack((np.asarray(parts, np.float64), np.asarray(wholes, np.float64)), axis=1)
    values = values[values[:, 1] > 0]

    def ratio(drawn: np.ndarray) -> float:
        return float(drawn[:, 0].sum() / drawn[:, 1].sum())

    return bootstrap_interval(values, seed, ratio, level)
