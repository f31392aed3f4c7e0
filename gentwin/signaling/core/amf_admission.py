"""Admission at the AMF: the policy is asked, and what has to wait does so until it is admitted or its patience ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from gentwin.signaling.core import n2
from gentwin.signaling.core.clock import Event
from gentwin.signaling.core.configuration import Slice
from gentwin.signaling.core.policy import Decision, Policy, Situation, Verdict

if TYPE_CHECKING:
    from gentwin.signaling.core.amf import Amf
    from gentwin.signaling.core.gnb import Gnb

Refuse = Callable[[int, float | None], None]
RELIEF_CHECKED = 1.0  # seconds from one look at an overload to the next


class _Request:
    """Something that waits to be admitted."""

    __slots__ = ("admit", "alive", "decision", "refuse", "situation", "timer")

    def __init__(
        self,
        situation: Situation,
        decision: Decision,
        admit: Callable[[], None],
        refuse: Refuse,
        alive: Callable[[], bool],
    ) -> None:
        self.situation, self.decision = situation, decision
        self.admit, self.refuse, self.alive = admit, refuse, alive
        self.timer: Event | None = None


class Admission:
    """Asks the policy, and keeps what waits: one queue for every slice, and one for what is about no session.

    Args:
        amf: To which it belongs.
        policy: That is asked.
    """

    def __init__(self, amf: Amf, policy: Policy) -> None:
        self._amf, self._policy, self._clock = amf, policy, amf.links.clock
        self._queues: dict[Slice | None, deque[_Request]] = {}
        self._looking = self._will_look = self._checking = False
        self._relief = 0

    def decide(self, situation: Situation) -> Decision:
        """Returns what the policy says about something that cannot wait."""
        self._measure()
        return self._policy.decide(situation)

    def ask(
        self, situation: Situation, admit: Callable[[], None], refuse: Refuse, alive: Callable[[], bool] = lambda: True
    ) -> None:
        """Lets something happen when the policy admits it.

        Args:
            situation: In which it is asked for.
            admit: What happens if it is admitted, now or later.
            refuse: What happens if not: called with the cause, and with how long not to ask again or None.
            alive: Whether who asked still waits.
        """
        decision = self.decide(situation)
        if decision.verdict is Verdict.ADMIT:
            admit()
        elif decision.verdict is Verdict.REJECT:
            refuse(decision.cause, decision.back_off)
        else:
            request = _Request(situation, decision, admit, refuse, alive)
            self._queues.setdefault(situation.slice, deque()).append(request)
            self._count(situation, 1)
            request.timer = self._clock.after(decision.patience, self._expire, request)
            self.look()
            self._look_after_backlog()

    def _count(self, situation: Situation, change: int) -> None:
        load = self._amf.load
        load.waiting += change
        if situation.slice is not None:
            own, queue = load.of(situation.slice), self._queues[situation.slice]
            own.waiting += change
            own.oldest = queue[0].situation.time if queue else None
            own.newest = queue[-1].situation.time if queue else None

    def _remove(self, request: _Request) -> None:
        self._queues[request.situation.slice].remove(request)
        self._count(request.situation, -1)
        request.timer.cancel()

    def _expire(self, request: _Request) -> None:
        self._remove(request)
        if request.alive():
            request.refuse(request.decision.cause, request.decision.back_off)

    def forget_all(self) -> None:
        """Forgets everything that waits."""
        for request in [request for queue in self._queues.values() for request in queue]:
            self._remove(request)
        self._relief = 0

    # ------------------------------------------------------------ what waits

    def look(self) -> None:
        """Looks, soon, whether something that waits is admitted: load may have gone down."""
        if self._amf.load.waiting and not self._looking:
            self._looking = True
            self._clock.after(0.0, self._look)

    def _look_after_backlog(self) -> None:
        """Looks again when the work that is queued now has been done, of which nobody tells."""
        if self._amf.load.backlog and not self._will_look:
            self._will_look = True
            self._clock.after(self._amf.load.backlog, self._look_again)

    def _look_again(self) -> None:
        self._will_look = False
        self.look()

    def _look(self) -> None:
        self._looking = False
        while True:
            heads = self._heads()
            if not heads:
                return
            self._measure()
            now = self._clock.now
            situations = [replace(head.situation, time=now, waited=now - head.situation.time) for head in heads]
            place = self._policy.choose(situations)
            if place is None:
                self._look_after_backlog()
                return
            self._remove(heads[place])
            heads[place].admit()

    def _heads(self) -> list[_Request]:
        """Returns the oldest request of every queue, the oldest first; those of whom has gone are removed."""
        heads = []
        for queue in self._queues.values():
            while queue and not queue[0].alive():
                self._remove(queue[0])
            if queue:
                heads.append(queue[0])
        return sorted(heads, key=lambda head: head.situation.time)

    # ------------------------------------------------------------ overload

    def _measure(self) -> None:
        """Notes how long queues are, and asks base stations for relief if need be."""
        self._amf.load.backlog = self._amf.works.backlog
        relief = self._policy.relief(self._amf.load)
        if relief == self._relief:
            return
        self._relief = relief
        for station in self._amf.stations.values():
            self.tell(station)
        self._check_later()

    def tell(self, station: Gnb) -> None:
        """Tells a base station which relief is asked for now."""
        message = n2.overload_start(self._relief) if self._relief else n2.message("OverloadStop")
        self._amf.send_node(message, station)

    def greet(self, station: Gnb) -> None:
        """Tells a base station that has just been set up, if there is anything to tell."""
        if self._relief:
            self.tell(station)

    def _check_later(self) -> None:
        if self._relief and not self._checking:
            self._checking = True
            self._clock.after(RELIEF_CHECKED, self._check_relief)

    def _check_relief(self) -> None:
        self._checking = False
        self._measure()
        self._check_later()
