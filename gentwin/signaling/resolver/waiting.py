"""What waits for the policy of a core, and what happens at it that nobody says."""

from __future__ import annotations

from bisect import insort
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from gentwin.signaling.core.configuration import Slice
from gentwin.signaling.core.policy import (
    ADMIT,
    HANDOVER,
    REGISTRATION,
    SESSION,
    Decision,
    Load,
    Policy,
    Situation,
    Verdict,
    reject,
)
from gentwin.signaling.resolver.state import REGISTERING, Request

if TYPE_CHECKING:
    from gentwin.signaling.resolver.resolver import Resolver


class Happened(NamedTuple):
    """Something that nobody says, and that a context has to answer.

    Args:
        context: Whose.
        stimulus: Token of what happens, such as `<event:decided>`.
        hints: What the answer depends on.
    """

    context: Resolver
    stimulus: str
    hints: tuple[str, ...]


class Decided(NamedTuple):
    """A decision on something that waited.

    Args:
        context: Who asked.
        request: For what.
        decision: The decision.
    """

    context: Resolver
    request: Request
    decision: Decision


class Admission:
    """Asks the policy, and keeps what waits: one queue for every slice, and one for what is about no session.

    Args:
        policy: That is asked.
        started: When the core started, in seconds since 1970.

    Attributes:
        load: Of the core.
    """

    def __init__(self, policy: Policy, started: float) -> None:
        self.policy, self._started, self.load = policy, started, Load()
        self._queues: dict[Slice | None, deque[tuple[Resolver, Request]]] = {}

    def ask(self, context: Resolver, request: Request) -> Decision:
        """Returns what the policy says about a request; it is kept if it has to wait. A handover cannot wait."""
        found = self.policy.decide(self.situation(context, request))
        if found.verdict is Verdict.WAIT and request.procedure == HANDOVER:
            return reject(found.cause, found.back_off)
        if found.verdict is Verdict.WAIT:
            request.until, request.cause = request.time + found.patience, found.cause
            request.back_off = found.back_off
            context.state.waiting.append(request)
            self.keep(context, request)
        return found

    def situation(self, context: Resolver, request: Request, time: float | None = None) -> Situation:
        """Returns the situation of a request when it is made, or at a later time in seconds since 1970."""
        time = request.time if time is None else time
        return Situation(
            procedure=request.procedure,
            time=time - self._started,
            supi=context.state.supi,
            load=self.load,
            slice=request.slice,
            dnn=request.dnn,
            uplink=request.rates[0],
            downlink=request.rates[1],
            priority=request.priority,
            waited=time - request.time,
            counted=request.counted,
        )

    def keep(self, context: Resolver, request: Request) -> None:
        """Lets a request wait."""
        queue = self._queues.setdefault(request.slice, deque())
        insort(queue, (context, request), key=lambda entry: entry[1].time)  # contexts of a checkpoint come in any order
        self._count(request, 1)

    def remove(self, context: Resolver, request: Request) -> None:
        """Takes a request away, if it waits."""
        queue = self._queues.get(request.slice, ())
        kept = [entry for entry in queue if entry[1] is not request]
        if len(kept) < len(queue):
            self._queues[request.slice] = deque(kept)
            self._count(request, -1)
        context.state.waiting = [known for known in context.state.waiting if known is not request]

    def _count(self, request: Request, change: int) -> None:
        self.load.waiting += change
        if request.slice is not None:
            own, queue = self.load.of(request.slice), self._queues[request.slice]
            own.waiting += change
            own.oldest = queue[0][1].time - self._started if queue else None
            own.newest = queue[-1][1].time - self._started if queue else None

    # ------------------------------------------------------------ what becomes of it

    @property
    def due(self) -> float | None:
        """When the patience of the next request ends, in seconds since 1970; None if nothing waits."""
        return min((request.until for queue in self._queues.values() for _, request in queue), default=None)

    def settle(self, time: float) -> Decided | None:
        """Returns the next request on which the policy decides now, and takes it away; None if there is none.

        Args:
            time: In seconds since 1970.
        """
        while (due := self.due) is not None and due <= time:
            entries = [entry for queue in self._queues.values() for entry in queue if entry[1].until == due]
            for context, request in entries[:1]:
                self.remove(context, request)
                if _waits(context, request):
                    return Decided(context, request, reject(request.cause, request.back_off))
        heads = self._heads()
        place = self.policy.choose([self.situation(*head, time) for head in heads]) if heads else None
        if place is None:
            return None
        self.remove(*heads[place])
        return Decided(*heads[place], ADMIT)

    def settle_for(self, context: Resolver, time: float) -> Decided | None:
        """Returns the request of one context on which a policy that was recorded decides now, likewise."""
        for request in [*context.state.waiting]:
            found = self.policy.decide(self.situation(context, request, time))
            if not _waits(context, request):
                self.remove(context, request)
            elif found.verdict is not Verdict.WAIT:
                self.remove(context, request)
                return Decided(context, request, found)
        return None

    def _heads(self) -> list[tuple[Resolver, Request]]:
        """Returns the oldest request of every queue, the oldest first; those of whom has gone are taken away."""
        heads = []
        for slice_ in [*self._queues]:
            while (queue := self._queues[slice_]) and not _waits(*queue[0]):
                self.remove(*queue[0])
            heads += [queue[0]] if queue else []
        return sorted(heads, key=lambda head: head[1].time)


def _waits(context: Resolver, request: Request) -> bool:
    """Returns whether a UE still waits for an answer."""
    state = context.state
    if not request.is_over(state.connection):
        return False
    if request.procedure == REGISTRATION:
        return state.phase == REGISTERING
    return request.procedure != SESSION or any(known.psi == request.psi for known in state.asked)
