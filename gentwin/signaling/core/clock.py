"""Simulated time: what shall happen when, in an order that depends on nothing but the calls."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any


class Event:
    """Something that shall happen; `cancel` prevents it.

    Args:
        action: What to call.
        arguments: With what.
    """

    __slots__ = ("action", "arguments")

    def __init__(self, action: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        self.action: Callable[..., object] | None = action
        self.arguments = arguments

    def cancel(self) -> None:
        """Makes sure that nothing happens, if it has not yet."""
        self.action, self.arguments = None, ()


class Clock:
    """A queue of events in the order of their times; events of the same time happen in the order of their calls.

    ```python
    >>> clock, heard = Clock(), []
    >>> _ = clock.after(2.0, heard.append, "late"), clock.after(1.0, heard.append, "early")
    >>> while clock.step():
    ...     pass
    >>> heard, clock.now
    (['early', 'late'], 2.0)
    ```

    Args:
        now: Time at the beginning, in seconds.
    """

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self._queue: list[tuple[float, int, Event]] = []
        self._number = 0

    def at(self, time: float, action: Callable[..., object], *arguments: Any) -> Event:
        """Returns the event that calls something at a time, or now if that has passed.

        Args:
            time: In seconds.
            action: What to call.
            arguments: With what.
        """
        event = Event(action, arguments)
        heapq.heappush(self._queue, (max(time, self.now), self._number, event))
        self._number += 1
        return event

    def after(self, delay: float, action: Callable[..., object], *arguments: Any) -> Event:
        """Returns the event that calls something so many seconds from now."""
        return self.at(self.now + delay, action, *arguments)

    @property
    def due(self) -> float | None:
        """When something happens next, in seconds; None if nothing will."""
        queue = self._queue
        while queue and queue[0][2].action is None:
            heapq.heappop(queue)
        return queue[0][0] if queue else None

    def step(self, until: float = float("inf")) -> bool:
        """Lets the next event happen; returns False if there is none up to a time, in seconds."""
        queue = self._queue
        while queue and queue[0][0] <= until:
            self.now, _, event = heapq.heappop(queue)
            action, arguments = event.action, event.arguments
            if action is not None:
                event.cancel()
                action(*arguments)
                return True
        return False


class _Timer:
    """A timer that runs or ran: when it expires, what then, and when the clock will look after it."""

    __slots__ = ("action", "arguments", "expiry", "looked_after")

    def __init__(self) -> None:
        self.expiry: float | None = None
        self.looked_after: float | None = None
        self.action: Callable[..., object] | None = None
        self.arguments: tuple[Any, ...] = ()


class Timers:
    """Running timers of one holder, by name; what 3GPP calls T3510 and so on.

    A timer that is started anew, as most are long before they expire, leaves at most one event in the clock.

    Args:
        clock: That they run on.
    """

    __slots__ = ("_clock", "_timers")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._timers: dict[str, _Timer] = {}

    def start(self, name: str, seconds: float, action: Callable[..., object], *arguments: Any) -> None:
        """Starts a timer, or starts it anew; when it expires, something is called."""
        timer = self._timers.get(name)
        if timer is None:
            timer = self._timers[name] = _Timer()
        timer.expiry, timer.action, timer.arguments = self._clock.now + seconds, action, arguments
        if timer.looked_after is None or timer.looked_after > timer.expiry:
            self._look_after(name, timer)

    def stop(self, name: str) -> None:
        """Stops a timer, if it runs."""
        timer = self._timers.get(name)
        if timer is not None:
            timer.expiry = timer.action = None
            timer.arguments = ()

    def stop_all(self) -> None:
        """Stops all timers."""
        for name in self._timers:
            self.stop(name)

    def __contains__(self, name: str) -> bool:
        """Returns whether a timer runs."""
        timer = self._timers.get(name)
        return timer is not None and timer.expiry is not None

    def _look_after(self, name: str, timer: _Timer) -> None:
        timer.looked_after = timer.expiry
        self._clock.at(timer.expiry, self._look, name, timer.expiry)

    def _look(self, name: str, time: float) -> None:
        timer = self._timers[name]
        if timer.looked_after != time:
            return
        timer.looked_after = None
        if timer.expiry is None:
            return
        if timer.expiry > time:
            self._look_after(name, timer)
            return
        action, arguments = timer.action, timer.arguments
        self.stop(name)
        action(*arguments)
