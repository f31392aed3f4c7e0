"""How procedures ended, as the side that is served by a core sees it, and what the core did that it may not do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gentwin.signaling.ladder.procedures import COMPLETED, REJECTED, UNANSWERED
from gentwin.signaling.messages import Record

ABORTED = "aborted"
"""The side that began a procedure, or whom it serves, gave it up; nothing is said of the core."""

Cause = int | str | None


@dataclass(frozen=True, slots=True)
class Expectation:
    """How a procedure may end.

    Args:
        completes: Whether it may be completed.
        causes: With which causes it may be rejected: a number of NAS, a text of NGAP; None for a message without one.
    """

    completes: bool = True
    causes: frozenset[Cause] = frozenset()

    @classmethod
    def rejection(cls, *causes: Cause) -> Expectation:
        """Returns that a procedure must be rejected with one of these causes."""
        return cls(False, frozenset(causes))

    def tolerates(self, *causes: Cause) -> Expectation:
        """Returns that a procedure may be rejected with one of these causes as well."""
        return Expectation(self.completes, self.causes | {*causes})

    def admits(self, outcome: str, cause: Cause) -> bool:
        """Returns whether a procedure may end so."""
        return self.completes if outcome == COMPLETED else outcome == REJECTED and cause in self.causes

    def __str__(self) -> str:
        causes = ", ".join(
            f"#{cause}" if isinstance(cause, int) else str(cause) for cause in sorted(self.causes, key=str)
        )
        return " or ".join([COMPLETED] * self.completes + [f"{REJECTED} with {causes}"] * bool(self.causes))


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one procedure ended.

    Args:
        procedure: Its name, as in [`KINDS`][gentwin.signaling.ladder.procedures.KINDS].
        who: SUPI of the UE, or address of the node, that began it or whom it was about.
        begin: When, in seconds since 1970.
        end: Likewise.
        outcome: `completed`, `rejected`, `unanswered` or `aborted`.
        cause: Why it was rejected.
        expected: How it may end, by what the subscriber may do and the network is configured for.
    """

    procedure: str
    who: str
    begin: float
    end: float
    outcome: str
    cause: Cause = None
    expected: Expectation = Expectation()

    @property
    def is_right(self) -> bool:
        """Whether it ended as it may."""
        return self.expected.admits(self.outcome, self.cause)

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.begin

    def __str__(self) -> str:
        cause = "" if self.cause is None else f" with {self.cause}"
        return f"{self.procedure} of {self.who} at {self.begin:.3f}: {self.outcome}{cause}, expected {self.expected}"


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that the core said and may not say.

    Args:
        time: When, in seconds since 1970.
        who: SUPI of the UE, or address of the node, to whom it was said.
        rule: Which rule was broken, a few words that are always the same.
        detail: What was said, and what would have been right.
        message: Name of the message; empty if it could not be decoded.
        data: Its bytes, if it could not be decoded.
    """

    time: float
    who: str
    rule: str
    detail: str
    message: str
    data: bytes = b""

    def __str__(self) -> str:
        return f"{self.time:.3f} {self.who} {self.message}: {self.rule} ({self.detail})"


@dataclass(slots=True)
class ClosedLoopResult:
    """What came of a run against a core.

    Args:
        outcomes: Procedures that ended, in the order of their ends.
        violations: What the core may not have said, in the order of time.
        records: What was said, in the order of time; empty if it was not kept.
        unfinished: Number of procedures that had not ended, and were not overdue, at the end of the run.
    """

    outcomes: Sequence[Outcome] = field(default_factory=list)
    violations: Sequence[Violation] = field(default_factory=list)
    records: Sequence[Record] = field(default_factory=list)
    unfinished: int = 0

    @property
    def judged(self) -> list[Outcome]:
        """Procedures whose end says something about the core."""
        return [known for known in self.outcomes if known.outcome != ABORTED]

    @property
    def wrong(self) -> list[Outcome]:
        """Procedures that ended as they may not."""
        return [known for known in self.judged if not known.is_right]

    @property
    def completion(self) -> float:
        """Share of procedures that ended as they may, 0 to 1: completed, or rejected where that is right.

        It is 0 where none ended, as at a core that lets no base station in.
        """
        return _share(self.judged)

    @property
    def completions(self) -> dict[str, float]:
        """Likewise of each procedure, by name."""
        names = dict.fromkeys(known.procedure for known in self.judged)
        return {name: _share(known for known in self.judged if known.procedure == name) for name in names}

    @property
    def counts(self) -> dict[str, Counter[str]]:
        """How often each procedure ended how, by name."""
        found: dict[str, Counter[str]] = {}
        for known in self.outcomes:
            found.setdefault(known.procedure, Counter())[known.outcome] += 1
        return found

    @property
    def rules(self) -> Counter[str]:
        """How often each rule was broken."""
        return Counter(known.rule for known in self.violations)

    def __str__(self) -> str:
        lines = [f"{len(self.judged)} procedures, {self.completion:.2%} as they should be; "]
        lines[0] += f"{len(self.violations)} violations; {self.unfinished} unfinished"
        for name, counts in self.counts.items():
            lines.append(f"  {name}: {', '.join(f'{count} {outcome}' for outcome, count in counts.items())}")
        lines += [f"  wrong: {known}" for known in self.wrong[:10]]
        return "\n".join([*lines, *(f"  violation: {known}" for known in self.violations[:10])])


def _share(outcomes: Iterable[Outcome]) -> float:
    right = [known.is_right for known in outcomes]
    return sum(right) / len(right) if right else 0.0


__all__ = [
    "ABORTED",
    "COMPLETED",
    "REJECTED",
    "UNANSWERED",
    "Cause",
    "ClosedLoopResult",
    "Expectation",
    "Outcome",
    "Violation",
]
