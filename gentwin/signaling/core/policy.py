"""Who is asked where an answer depends on load: whether something asked for is admitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from gentwin.signaling.core.configuration import Slice

REGISTRATION, SERVICE, SESSION, MODIFICATION, HANDOVER = (
    "registration",
    "service",
    "session",
    "modification",
    "handover",
)
CONGESTION_5GMM, INSUFFICIENT_5GSM, SLICE_AND_DNN_5GSM, SLICE_5GSM = 22, 26, 67, 69


@dataclass(frozen=True, slots=True)
class Situation:
    """What a policy decides on.

    Args:
        procedure: `registration`, `service`, `session`, `modification` or `handover`.
        time: In seconds of the simulated clock.
        supi: Who asks.
        registered: UEs that are registered.
        connected: UEs that have a connection.
        procedures: Registrations and service requests that have begun and not ended.
        sessions: Sessions that there are.
        sessions_of_slices: The same for every slice that has any.
        slice: In which the session is, or shall be; None if it is not about one.
        dnn: Of that session.
    """

    procedure: str
    time: float
    supi: str
    registered: int
    connected: int
    procedures: int
    sessions: int
    sessions_of_slices: Mapping[Slice, int]
    slice: Slice | None = None
    dnn: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What a policy says.

    Args:
        admitted: Whether what is asked for is admitted.
        cause: If not, why: 5GMM cause for a registration or service, 5GSM cause for a session or modification; a
            handover is refused for want of radio resources, whatever the cause.
        back_off: If not, how long the UE is not to ask again, in seconds; None to say nothing of it.
    """

    admitted: bool
    cause: int = 0
    back_off: float | None = None


ADMIT = Decision(True)


class Policy(Protocol):
    """Decides whether what is asked for is admitted."""

    def decide(self, situation: Situation) -> Decision:
        """Returns the decision on a situation."""
        ...


class AdmitAll:
    """Admits everything."""

    def decide(self, situation: Situation) -> Decision:
        """Returns that everything is admitted."""
        return ADMIT


@dataclass(frozen=True)
class LoadLimits:
    """Rejects what is above limits of load.

    Args:
        registered: Most UEs registered; more are told congestion (#22).
        procedures: Most registrations and service requests at a time; more are told congestion (#22).
        sessions: Most sessions in all; more are told insufficient resources (#26).
        sessions_of_slices: Most sessions of a slice; more are told insufficient resources for the slice (#69).
        back_off: How long who is rejected is not to ask again, in seconds.
    """

    registered: int = 1 << 62
    procedures: int = 1 << 62
    sessions: int = 1 << 62
    sessions_of_slices: Mapping[Slice, int] = field(default_factory=lambda: MappingProxyType({}))
    back_off: float = 30.0

    def decide(self, situation: Situation) -> Decision:
        """Returns whether the load is below the limits of what is asked for."""
        if situation.procedure in (SESSION, MODIFICATION):
            return self._decide_session(situation)
        if situation.procedure == REGISTRATION and situation.registered >= self.registered:
            return Decision(False, CONGESTION_5GMM, self.back_off)
        if situation.procedure in (REGISTRATION, SERVICE) and situation.procedures > self.procedures:
            return Decision(False, CONGESTION_5GMM, self.back_off)
        return ADMIT

    def _decide_session(self, situation: Situation) -> Decision:
        new = situation.procedure == SESSION
        if situation.sessions + new > self.sessions:
            return Decision(False, INSUFFICIENT_5GSM, self.back_off)
        if situation.slice is not None and situation.slice in self.sessions_of_slices:
            present = situation.sessions_of_slices.get(situation.slice, 0)
            if present + new > self.sessions_of_slices[situation.slice]:
                return Decision(False, SLICE_5GSM, self.back_off)
        return ADMIT
