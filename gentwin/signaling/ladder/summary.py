"""What is in a capture: messages, procedures, UEs, refusals, and what could not be read."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter
from statistics import median

from gentwin.signaling.contexts import UE, Context, ContextTracker
from gentwin.signaling.ladder.causes import Cause, causes_of, refuses
from gentwin.signaling.ladder.parts import CIPHERED, parts
from gentwin.signaling.ladder.procedures import CIPHERED as HIDDEN
from gentwin.signaling.ladder.procedures import (
    COMPLETED,
    KINDS,
    REJECTED,
    UNANSWERED,
    Kind,
    Procedure,
    Sign,
    follow,
    signs,
)
from gentwin.signaling.messages import NAS, Message, Record

Entry = tuple[float, int, tuple[Sign, ...]]
"""Time, place and signs of a record."""


@dataclass(frozen=True, slots=True)
class ContextSummary:
    """What is known of one UE.

    Args:
        number: Of its context, by which `gentwin inspect --ue` finds it.
        supi: Digits of its SUPI; None if it is not known.
        records: Number of messages on N2 and N4.
        begin: Time of the first, in seconds since 1970.
        end: Time of the last.
        procedures: That it took part in.
    """

    number: int
    supi: str | None
    records: int
    begin: float
    end: float
    procedures: tuple[Procedure, ...]

    def count(self, outcome: str) -> int:
        """Returns the number of procedures that ended so."""
        return sum(procedure.outcome == outcome for procedure in self.procedures)


@dataclass(frozen=True, slots=True)
class KindSummary:
    """What became of the procedures of a kind.

    Args:
        kind: Which.
        completed: Number that were completed.
        rejected: Number that were rejected or failed.
        ciphered: Number of those whose end could not be read.
        unanswered: Number of which no end was seen.
        duration: Median time of the completed ones from first to last message, in seconds; None if there is none that
            takes more than one message.
    """

    kind: Kind
    completed: int
    rejected: int
    ciphered: int
    unanswered: int
    duration: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """What is in a capture.

    Args:
        records: Number of messages on N2 and N4.
        begin: Time of the first, in seconds since 1970; 0 if there is none.
        end: Time of the last.
        links: Number of messages by protocol and the two ends, the one that spoke first before the other.
        messages: Number of messages by protocol and name; of NAS, plain ones and what they carry.
        nas: Number of NAS messages in NGAP.
        ciphered: Number of those that are ciphered.
        refusals: Number of messages that refuse something, by their name and cause; None for no cause.
        procedures: By kind, in the order of `KINDS`; those that occur.
        ues: In the order in which they were first seen.
    """

    records: int
    begin: float
    end: float
    links: Counter[tuple[str, str, str]]
    messages: Counter[tuple[str, str]]
    nas: int
    ciphered: int
    refusals: Counter[tuple[str, Cause | None]]
    procedures: tuple[KindSummary, ...]
    ues: tuple[ContextSummary, ...]


class Summariser:
    """Sums up records one after the other; of each it keeps its time and what it means for procedures.

    ```python
    >>> from gentwin.signaling.core import SynthesisConfiguration, synthesize
    >>> summariser = Summariser()
    >>> for record in synthesize(SynthesisConfiguration(ues=2, duration=8.0), seed=7):
    ...     summariser.add(record)
    >>> summary = summariser.summary()
    >>> [(entry.kind.name, entry.completed) for entry in summary.procedures][0]
    ('Initial registration', 2)
    ```

    Args:
        tracker: What finds the contexts of records; a new one if not given.
    """

    def __init__(self, tracker: ContextTracker | None = None) -> None:
        self._tracker = tracker or ContextTracker()
        self._records = self._nas = 0
        self._links: Counter[tuple[str, str, str]] = Counter()
        self._messages: Counter[tuple[str, str]] = Counter()
        self._refusals: Counter[tuple[str, Cause | None]] = Counter()
        self._held: dict[Context, list[Entry]] = defaultdict(list)

    def add(self, record: Record) -> None:
        """Takes the next record of a capture."""
        carried = parts(record.message)
        self._count_link(record)
        self._messages.update((part.protocol, part.name) for part in carried)
        for part in carried:
            # A transport and what it carries are one.
            self._nas += part.protocol == NAS and not isinstance(part.get("payload_container"), Message)
            if refuses(part):
                self._refusals.update((part.name, cause) for cause in causes_of(part) or (None,))
        self._held[self._tracker.assign(record)].append((record.timestamp, self._records, signs(record)))
        self._records += 1

    def _count_link(self, record: Record) -> None:
        protocol, ends = record.message.protocol, (record.sender, record.receiver)
        there = (protocol, *ends)
        back = (protocol, *ends[::-1])
        self._links[back if back in self._links else there] += 1

    def summary(self) -> Summary:
        """Returns what was in the records so far."""
        entries: dict[Context, list[Entry]] = defaultdict(list)
        for context, held in self._held.items():
            entries[context.current] += held
        ues, found = [], []
        for context in sorted(entries, key=lambda context: context.number):
            steps = sorted(entries[context], key=itemgetter(0, 1))
            procedures = follow((time, signs_of_record) for time, _, signs_of_record in steps)
            found += procedures
            if context.kind == UE:
                span = steps[0][0], steps[-1][0]
                ues.append(ContextSummary(context.number, context.supi, len(steps), *span, tuple(procedures)))
        times = [time for held in entries.values() for time, _, _ in held]
        return Summary(
            records=self._records,
            begin=min(times, default=0.0),
            end=max(times, default=0.0),
            links=Counter(self._links),
            messages=Counter(self._messages),
            nas=self._nas,
            ciphered=self._messages[NAS, CIPHERED],
            refusals=Counter(self._refusals),
            procedures=_by_kind(found),
            ues=tuple(ues),
        )


def summarise(records: Iterable[Record]) -> Summary:
    """Returns what is in records, those of a capture for example."""
    summariser = Summariser()
    for record in records:
        summariser.add(record)
    return summariser.summary()


def _by_kind(procedures: Iterable[Procedure]) -> tuple[KindSummary, ...]:
    of_kind: dict[Kind, list[Procedure]] = defaultdict(list)
    for procedure in procedures:
        of_kind[procedure.kind].append(procedure)
    return tuple(_kind_summary(kind, of_kind[kind]) for kind in KINDS if kind in of_kind)


def _kind_summary(kind: Kind, procedures: list[Procedure]) -> KindSummary:
    outcomes = Counter(procedure.outcome for procedure in procedures)
    durations = [entry.duration for entry in procedures if entry.outcome == COMPLETED and entry.duration is not None]
    counts = (outcomes[outcome] for outcome in (COMPLETED, REJECTED, HIDDEN, UNANSWERED))
    return KindSummary(kind, *counts, median(durations) if durations else None)
