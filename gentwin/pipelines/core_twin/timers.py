"""Timers of the core: which ones run, and which run out."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator
from itertools import count
from typing import TYPE_CHECKING

from gentwin.signaling.core.configuration import Timing
from gentwin.signaling.dialogue.hints import timer
from gentwin.signaling.turns.triggers import TIMER_RULES

if TYPE_CHECKING:
    from gentwin.pipelines.core_twin.conversations import Conversation

LEAST_KEPT = 1024  # timers, running or stopped
IMPLICIT, HEARTBEAT = "implicit_deregistration", "heartbeat"
ASSOCIATED = frozenset({"AssociationSetupResponse", "HeartbeatResponse"})


class Timers:
    """The timers of all conversations.

    A timer begins when the core says what starts it, and ends when it hears what stops it; what the core says when it
    runs out starts it anew, as often as the specification allows.

    Args:
        timing: Values.

    Source: 3GPP TS 24.501 clause 10.2; TS 29.244 clause 6.2.2 for heartbeats.
    """

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._heap: list[tuple[float, int, Conversation, str]] = []
        self._order = count()
        self._limit = LEAST_KEPT

    def start(self, conversation: Conversation, name: str, now: float) -> None:
        """Lets a timer run from now on.

        Args:
            conversation: That it belongs to.
            name: As in [`TIMERS`][gentwin.signaling.dialogue.hints.TIMERS].
            now: In seconds.
        """
        self.resume(conversation, name, now + self._seconds(name))

    def resume(self, conversation: Conversation, name: str, end: float) -> None:
        """Lets a timer run until a time, in seconds."""
        conversation.timers[name] = end
        if len(self._heap) >= self._limit:  # those that were stopped are let go, not only when their time has come
            self._heap = [entry for entry in self._heap if self._runs(*entry)]
            heapq.heapify(self._heap)
            self._limit = max(LEAST_KEPT, 2 * len(self._heap))
        heapq.heappush(self._heap, (end, next(self._order), conversation, name))

    def said(self, conversation: Conversation, names: Collection[str], now: float) -> None:
        """Starts what starts with something that the core says, unless it has run out too often.

        Args:
            conversation: In which it is said.
            names: Of the message and of those inside.
            now: In seconds.
        """
        for rule in TIMER_RULES:
            if rule.started.isdisjoint(names):
                continue
            tried = conversation.expired.get(rule.name, 0)
            if tried < self._most(rule.name):
                self.start(conversation, rule.name, now)

    def heard(self, conversation: Conversation, names: Collection[str], now: float) -> None:
        """Stops what stops with something that the core hears; arguments as of `said`."""
        for rule in TIMER_RULES:
            if not rule.stopped.isdisjoint(names):
                self.stop(conversation, rule.name)
        self.stop(conversation, IMPLICIT)
        if not ASSOCIATED.isdisjoint(names):
            self.start(conversation, HEARTBEAT, now)

    def stop(self, conversation: Conversation, name: str) -> None:
        """Ends a timer, if it runs."""
        conversation.timers.pop(name, None)
        conversation.expired.pop(name, None)

    def due(self) -> float | None:
        """Returns when the next timer runs out; None if none runs."""
        while self._heap and not self._runs(*self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def expire(self, now: float) -> Iterator[tuple[Conversation, str]]:
        """Yields the timers that have run out, the earliest first, with the token that says so."""
        while (end := self.due()) is not None and end <= now:
            _, _, conversation, name = heapq.heappop(self._heap)
            del conversation.timers[name]
            conversation.expired[name] = conversation.expired.get(name, 0) + 1
            yield conversation, timer(name)

    def _runs(self, end: float, _: int, conversation: Conversation, name: str) -> bool:
        return conversation.timers.get(name) == end

    def _seconds(self, name: str) -> float:
        if name == IMPLICIT:
            return self._timing.t3512 + self._timing.implicit_deregistration
        return getattr(self._timing, name.lower())

    def _most(self, name: str) -> int:
        """Returns how often a timer may run out before something is given up."""
        return {"T3513": self._timing.paging_attempts, "handover": 1}.get(name, self._timing.attempts)
