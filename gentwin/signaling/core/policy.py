"""Who is asked where an answer depends on load: what is asked for is admitted, rejected, or waits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from gentwin.signaling.core.configuration import Slice
from gentwin.signaling.errors import SignalingError

REGISTRATION, SERVICE, SESSION, MODIFICATION, HANDOVER = (
    "registration",
    "service",
    "session",
    "modification",
    "handover",
)
CONGESTION_5GMM, INSUFFICIENT_5GSM, SLICE_AND_DNN_5GSM, SLICE_5GSM = 22, 26, 67, 69
LONGEST_BACK_OFF = 31 * 360  # of T3346


@dataclass(slots=True)
class SliceLoad:
    """What is going on in a slice.

    Args:
        sessions: That there are.
        uplink: Sum of their session AMBR, in bit/s.
        downlink: Sum of their session AMBR, in bit/s.
        waiting: Requests for sessions that wait.
        oldest: When the oldest of them was asked for, in seconds of the simulated clock; None if none waits.
        newest: When the newest of them was asked for, likewise.
    """

    sessions: int = 0
    uplink: int = 0
    downlink: int = 0
    waiting: int = 0
    oldest: float | None = None
    newest: float | None = None


@dataclass(slots=True)
class Load:
    """What is going on in a core, always as it is now; copy what you keep.

    Args:
        registered: UEs that are registered, but for those that are registering again.
        registering: UEs whose registration has been admitted and not ended, and registered ones that update theirs.
        connected: UEs that have a connection.
        procedures: Registrations that have begun and not ended.
        sessions: Sessions that there are.
        uplink: Sum of their session AMBR, in bit/s.
        downlink: Sum of their session AMBR, in bit/s.
        waiting: Requests that wait.
        backlog: How long something that comes now waits at the function with the longest queue, in seconds.
        slices: The same for every slice that has or had a session.
    """

    registered: int = 0
    registering: int = 0
    connected: int = 0
    procedures: int = 0
    sessions: int = 0
    uplink: int = 0
    downlink: int = 0
    waiting: int = 0
    backlog: float = 0.0
    slices: dict[Slice, SliceLoad] = field(default_factory=dict)

    def of(self, slice: Slice) -> SliceLoad:
        """Returns what is going on in a slice."""
        return self.slices.get(slice) or self.slices.setdefault(slice, SliceLoad())

    def add_session(self, slice: Slice, rates: tuple[int, int], sign: int = 1) -> None:
        """Counts a session of a slice and its session AMBR, uplink and downlink in bit/s; with -1, no longer."""
        self.sessions += sign
        self.of(slice).sessions += sign
        self.add_rates(slice, sign * rates[0], sign * rates[1])

    def add_rates(self, slice: Slice, uplink: int, downlink: int) -> None:
        """Counts the change of the session AMBR of a session of a slice, in bit/s."""
        own = self.of(slice)
        own.uplink += uplink
        own.downlink += downlink
        self.uplink += uplink
        self.downlink += downlink


@dataclass(frozen=True, slots=True)
class Situation:
    """What a policy decides on.

    Args:
        procedure: `registration`, `service`, `session`, `modification` or `handover`.
        time: In seconds of the simulated clock.
        supi: Who asks.
        load: Of the core.
        slice: In which the session is, or shall be; None if it is not about one.
        dnn: Of that session.
        uplink: Its session AMBR, or by how much it is to grow, in bit/s.
        downlink: Likewise.
        priority: Of its allocation and retention, 1 (highest) to 15; 15 if it is not about one.
        waited: How long this has waited, in seconds.
        counted: Whether load counts the UE among those that register already, since it is registered and updates that.
    """

    procedure: str
    time: float
    supi: str
    load: Load
    slice: Slice | None = None
    dnn: str | None = None
    uplink: int = 0
    downlink: int = 0
    priority: int = 15
    waited: float = 0.0
    counted: bool = False


class Verdict(Enum):
    """What becomes of something that was asked for."""

    ADMIT = "admit"
    REJECT = "reject"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Decision:
    """What a policy says.

    Args:
        verdict: What becomes of what was asked for.
        cause: Why it is rejected, now or when it has waited too long: 5GMM cause for a registration or service, 5GSM
            cause for a session or modification; a handover is refused for want of radio resources, whatever the cause.
        back_off: How long who is rejected is not to ask again, in seconds; None to say nothing of it.
        patience: How long it waits at most, in seconds; then it is rejected.
    """

    verdict: Verdict
    cause: int = 0
    back_off: float | None = None
    patience: float = 0.0

    @property
    def admitted(self) -> bool:
        """Whether what is asked for is admitted."""
        return self.verdict is Verdict.ADMIT


ADMIT = Decision(Verdict.ADMIT)


def reject(cause: int, back_off: float | None = None) -> Decision:
    """Returns the decision to reject; arguments as of [`Decision`][gentwin.signaling.core.policy.Decision]."""
    return Decision(Verdict.REJECT, cause, back_off)


def wait(patience: float, cause: int, back_off: float | None = None) -> Decision:
    """Returns the decision to wait; arguments as of [`Decision`][gentwin.signaling.core.policy.Decision]."""
    return Decision(Verdict.WAIT, cause, back_off, patience)


class Policy(ABC):
    """Decides what becomes of what is asked for."""

    @abstractmethod
    def decide(self, situation: Situation) -> Decision:
        """Returns the decision on something that is asked for. A handover cannot wait."""

    def choose(self, waiting: Sequence[Situation]) -> int | None:
        """Returns the place of the request that is admitted next; None for none.

        This is asked when one begins to wait and when load may have gone down, and again after every admission until it
        is None. The default is the first of those that `decide` admits.

        Args:
            waiting: The oldest request of every slice and the oldest that is about no session, the oldest first.
        """
        return next((place for place, known in enumerate(waiting) if self.decide(known).admitted), None)

    def relief(self, load: Load) -> int:
        """Returns how many percent of new connections base stations are asked to refuse, 0 to 99: 0, if not changed."""
        return 0


class AdmitAll(Policy):
    """Admits everything."""

    def decide(self, situation: Situation) -> Decision:
        """Returns that everything is admitted."""
        return ADMIT


@dataclass(frozen=True, slots=True)
class SliceLimit:
    """Limits of a slice; None where there is none.

    Args:
        slice: Which.
        sessions: Most sessions.
        uplink: Most of the sum of their session AMBR, in bit/s.
        downlink: Likewise.
        weight: Requests that wait for a slice of more weight come first.
    """

    slice: Slice
    sessions: int | None = None
    uplink: int | None = None
    downlink: int | None = None
    weight: float = 0.0


@dataclass(frozen=True)
class LoadLimits(Policy):
    """Rejects what is above limits of load, or lets it wait until load has gone down; None where there is no limit.

    Args:
        registered: Most UEs registered, or admitted and registering; more are told congestion (#22).
        procedures: Most registrations at a time; for more, and for services beside them, it is congestion (#22).
        backlog: Longest queue at a function, in seconds, with which registrations and services are admitted; else it is
            congestion (#22).
        sessions: Most sessions in all; more are told insufficient resources (#26).
        uplink: Most of the sum of their session AMBR, in bit/s; more are told insufficient resources (#26).
        downlink: Likewise.
        slices: Limits of slices; more are told insufficient resources for the slice (#69).
        back_off: How long who is rejected is not to ask again, 2 to 11,160 seconds; 0 to say nothing of it.
        patience: How long what is above limits waits before it is rejected, in seconds; 0 not to wait.
        overload: Longest queue at a function, in seconds, above which base stations are asked to refuse connections.
        reduction: How many percent of them, 1 to 99.

    Raises:
        SignalingError: If a value is out of range.
    """

    registered: int | None = None
    procedures: int | None = None
    backlog: float | None = None
    sessions: int | None = None
    uplink: int | None = None
    downlink: int | None = None
    slices: tuple[SliceLimit, ...] = ()
    back_off: float = 30.0
    patience: float = 0.0
    overload: float | None = None
    reduction: int = 50

    def __post_init__(self) -> None:
        if not 1 <= self.reduction <= 99:
            raise SignalingError(f"`reduction` must be from 1 to 99 percent, got {self.reduction!r}.")
        if self.back_off and not 2 <= self.back_off <= LONGEST_BACK_OFF:
            limits = f"0, or 2 to {LONGEST_BACK_OFF} seconds"
            raise SignalingError(f"`back_off` must be {limits}, got {self.back_off!r}.")
        if self.patience < 0:
            raise SignalingError(f"`patience` must not be negative seconds, got {self.patience!r}.")

    def decide(self, situation: Situation) -> Decision:
        """Returns whether the load is below the limits of what is asked for."""
        cause = self._exceeded(situation) or self._behind(situation)
        if not cause:
            return ADMIT
        back_off = self.back_off or None
        return wait(self.patience, cause, back_off) if self.patience else reject(cause, back_off)

    def choose(self, waiting: Sequence[Situation]) -> int | None:
        """Returns the first of those below the limits, of the slice with the most weight."""
        weights = {limit.slice: limit.weight for limit in self.slices}
        possible = [place for place, known in enumerate(waiting) if not self._exceeded(known)]
        return max(possible, key=lambda place: (weights.get(waiting[place].slice, 0.0), -place), default=None)

    def relief(self, load: Load) -> int:
        """Returns the reduction while the longest queue is above the limit of overload."""
        return self.reduction if _is_above(load.backlog, self.overload) else 0

    def _behind(self, situation: Situation) -> int:
        """Returns the cause for something that comes behind what waits for the same slice; 0 for anything else."""
        if not self.patience or situation.slice is None:
            return 0
        return SLICE_5GSM if situation.load.of(situation.slice).waiting else 0

    def _exceeded(self, situation: Situation) -> int:
        """Returns the cause of the limit that is exceeded; 0 if none is."""
        load = situation.load
        if situation.procedure in (SESSION, MODIFICATION):
            return self._exceeded_by_session(situation)
        new = situation.procedure == REGISTRATION
        if not new and situation.procedure != SERVICE:
            return 0
        congested = _is_above(load.procedures, self.procedures) or _is_above(load.backlog, self.backlog)
        users = load.registered + load.registering + (not situation.counted)
        return CONGESTION_5GMM if congested or (new and _is_above(users, self.registered)) else 0

    def _exceeded_by_session(self, situation: Situation) -> int:
        load, more = situation.load, int(situation.procedure == SESSION)
        if _are_above(self, load, more, situation):
            return INSUFFICIENT_5GSM
        for limit in self.slices:
            if limit.slice == situation.slice and _are_above(limit, load.of(limit.slice), more, situation):
                return SLICE_5GSM
        return 0


def _is_above(value: float, limit: float | None) -> bool:
    return limit is not None and value > limit


def _are_above(limit: LoadLimits | SliceLimit, load: Load | SliceLoad, more: int, asked: Situation) -> bool:
    """Returns whether the load would be above a limit with what is asked for, which is so many sessions more."""
    return (
        _is_above(load.sessions + more, limit.sessions)
        or _is_above(load.uplink + asked.uplink, limit.uplink)
        or _is_above(load.downlink + asked.downlink, limit.downlink)
    )
