"""The books of a run: which procedures are going on, and how those before them ended."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass

from gentwin.signaling.closed_loop.outcomes import (
    ABORTED,
    COMPLETED,
    REJECTED,
    UNANSWERED,
    Cause,
    ClosedLoopResult,
    Expectation,
    Outcome,
    Violation,
)
from gentwin.signaling.core.clock import Clock, Event

MOST_VIOLATIONS = 10_000
EXPECTED = Expectation()


@dataclass(slots=True)
class Going:
    """A procedure that is going on.

    Args:
        begin: When it began, by the clock.
        expected: How it may end.
        overdue: Ends it, if nothing else does.
        disturbed: Whether something else that its own side does may keep it from its end.
    """

    begin: float
    expected: Expectation
    overdue: Event
    disturbed: bool


class Ledger:
    """Notes procedures and violations.

    Args:
        clock: Of the run.
        start: Time at zero of the clock, in seconds since 1970.

    Attributes:
        listener: Told of every procedure that has ended; nobody if None.
    """

    def __init__(self, clock: Clock, start: float) -> None:
        self._clock, self._start = clock, start
        self.listener: Callable[[Outcome], None] | None = None
        self._going: dict[str, dict[tuple[str, object], Going]] = {}
        self.outcomes: list[Outcome] = []
        self.violations: list[Violation] = []

    # ------------------------------------------------------------ procedures

    def begin(
        self,
        name: str,
        who: str,
        seconds: float,
        expected: Expectation = EXPECTED,
        key: object = None,
        disturbed: bool = False,
    ) -> None:
        """Notes the beginning of a procedure; the same one, if it is going on, was not answered.

        Args:
            name: Of the procedure.
            who: SUPI or address.
            seconds: After which it is not answered.
            expected: How it may end.
            key: What tells those of the same name apart.
            disturbed: Whether its own side may keep it from its end.
        """
        self._finish(name, who, key, UNANSWERED)
        overdue = self._clock.after(seconds, self._finish, name, who, key, UNANSWERED)
        self._going.setdefault(who, {})[name, key] = Going(self._clock.now, expected, overdue, disturbed)

    def is_going(self, name: str, who: str, key: object = None) -> bool:
        """Returns whether a procedure is going on."""
        return (name, key) in self._going.get(who, {})

    def latest(self, name: str, who: str, cause: Cause) -> object:
        """Returns the key of the procedure of a name that a rejection with a cause is about; None if there is none.

        That is the last to begin of those that may be rejected so, or the last of all if none may.
        """
        living = [(key, going) for (known, key), going in self._going.get(who, {}).items() if known == name]
        fitting = [key for key, going in living if going.expected.admits(REJECTED, cause)]
        return next(iter([*reversed(fitting), *(key for key, _ in reversed(living))]), None)

    def complete(self, name: str, who: str, key: object = None) -> bool:
        """Notes that a procedure is completed; returns whether it was going on."""
        return self._finish(name, who, key, COMPLETED)

    def reject(self, name: str, who: str, cause: Cause, key: object = None) -> bool:
        """Notes that a procedure is rejected; returns whether it was going on."""
        return self._finish(name, who, key, REJECTED, cause)

    def leave(self, name: str, who: str, key: object = None) -> bool:
        """Notes that a procedure will not be answered any more; returns whether it was going on."""
        return self._finish(name, who, key, UNANSWERED)

    def abort(self, name: str, who: str, key: object = None) -> bool:
        """Notes that who began a procedure has given it up; returns whether it was going on."""
        return self._finish(name, who, key, ABORTED)

    def leave_all(self, who: str, names: Container[str]) -> None:
        """Notes that what is going on of some procedures will not be answered any more."""
        for name, key in [*self._going.get(who, {})]:
            if name in names:
                self._finish(name, who, key, UNANSWERED)

    def disturb(self, who: str) -> None:
        """Notes that the side of a UE does something that may keep what is going on from its end."""
        for going in self._going.get(who, {}).values():
            going.disturbed = True

    def _finish(self, name: str, who: str, key: object, outcome: str, cause: Cause = None) -> bool:
        all_of = self._going.get(who)
        going = all_of.pop((name, key), None) if all_of else None
        if going is None:
            return False
        if not all_of:
            del self._going[who]
        going.overdue.cancel()
        if going.disturbed and not going.expected.admits(outcome, cause):
            outcome = ABORTED
        begin, end = going.begin + self._start, self._clock.now + self._start
        ended = Outcome(name, who, begin, end, outcome, cause, going.expected)
        self.outcomes.append(ended)
        if self.listener is not None:
            self.listener(ended)
        return True

    def note(self, name: str, who: str, cause: Cause = None) -> None:
        """Notes a procedure that ended as soon as it began, rejected if there is a cause."""
        now = self._clock.now + self._start
        self.outcomes.append(Outcome(name, who, now, now, COMPLETED if cause is None else REJECTED, cause))

    # ------------------------------------------------------------ violations

    def violate(self, who: str, rule: str, detail: str, message: str = "", data: bytes = b"") -> None:
        """Notes a violation; arguments as of [`Violation`][gentwin.signaling.closed_loop.outcomes.Violation]."""
        if len(self.violations) < MOST_VIOLATIONS:
            self.violations.append(Violation(self._clock.now + self._start, who, rule, detail, message, data))

    def result(self) -> ClosedLoopResult:
        """Returns what came of the run up to now."""
        unfinished = sum(map(len, self._going.values()))
        return ClosedLoopResult([*self.outcomes], [*self.violations], [], unfinished)
