"""The admission network event by event, in plain Python: one copy, readable, exact.

It shares the random numbers with the batched [`AdmissionNetwork`][gentwin.networks.admission.AdmissionNetwork] and
nothing else, and is what that one is compared with.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from gentwin.networks.admission.draws import INTERARRIVAL, PATIENCE, SERVICE, exponential
from gentwin.networks.admission.parameters import AdmissionParameters

ARRIVAL, DEPARTURE, TIME_OUT, BLOCKING = "arrival", "departure", "time-out", "blocking"


@dataclass(frozen=True)
class Event:
    """Something that happened: a request arrived, timed out or found the queue full, or a service ended.

    Args:
        time_s: Since the start, seconds.
        kind: `arrival`, `departure`, `time-out` or `blocking`.
        slice_index: Slice of the request or of the service.
    """

    time_s: float
    kind: str
    slice_index: int


@dataclass(frozen=True)
class Request:
    """A queued request.

    Args:
        slice_index: Its slice.
        number: Its number among the requests of the slice, from 0.
        arrived_s: Time of its arrival, seconds.
        expires_s: Time at which it is withdrawn, seconds.
    """

    slice_index: int
    number: int
    arrived_s: float
    expires_s: float


class AdmissionSimulator:
    """One admission network.

    Args:
        parameters: What to simulate.
        key: Random key, an integer of 64 bits; the same key gives the same requests as a copy of the batched network.

    Attributes:
        time_s: Time since the start, seconds.
        free: Free units of each resource.
        queues: Waiting requests of each slice, oldest first.
        services: Services in progress as a heap of `(end, slice)`.
        requesting: Slice whose request's arrival was the last event, or `None`.
        events: What happened since the last decision, in order.
    """

    def __init__(self, parameters: AdmissionParameters, key: int) -> None:
        self.parameters, self.key = parameters, key
        self.time_s = 0.0
        self.free = list(parameters.capacity)
        self.queues: list[list[Request]] = [[] for _ in parameters.slices]
        self.services: list[tuple[float, int]] = []
        self.requesting: int | None = None
        self.events: list[Event] = []
        self._num_requests = [0] * parameters.num_slices
        self._next_arrival_s = [self._interarrival_s(n) for n in range(parameters.num_slices)]
        self._go_on()
        while self.time_s < parameters.warmup_s:
            self.step(self.greedy_action())

    @property
    def none(self) -> int:
        """The action that admits no request."""
        return self.parameters.num_slices

    def allowed(self) -> list[int]:
        """Returns the actions allowed now: slices whose oldest request fits, and `none`."""
        return [n for n in range(self.none) if self.queues[n] and self._fits(n)] + [self.none]

    def greedy_action(self) -> int:
        """Returns the slice of the longest waiting request that fits."""
        slices = self.allowed()[:-1]
        return min(slices, key=lambda n: self.queues[n][0].arrived_s, default=self.none)

    def step(self, action: int) -> list[Event]:
        """Takes one decision, goes on to the next and returns what happened until then.

        Raises:
            ValueError: If the action is not allowed.
        """
        if action not in self.allowed():
            raise ValueError(f"`action` must be one of {self.allowed()} now, got {action!r}; see `allowed`.")
        self.events = []
        if action != self.none:
            self._admit(action)
            if self.has_choice():
                return self.events
        self._go_on()
        return self.events

    def has_choice(self) -> bool:
        """Tells whether any request may be admitted."""
        return len(self.allowed()) > 1

    def _go_on(self) -> None:
        """Ends the round of decisions and lets events happen until there is a choice."""
        while True:
            self._turn_away()
            self._pass_event()
            if self.has_choice():
                return

    def _fits(self, n: int) -> bool:
        return all(need <= free for need, free in zip(self.parameters.slices[n].demand, self.free, strict=True))

    def _admit(self, n: int) -> None:
        request = self.queues[n].pop(0)
        service_s = self._draw(SERVICE, n, request.number, self.parameters.slices[n].service_s)
        heapq.heappush(self.services, (self.time_s + service_s, n))
        self._hold(n, 1)

    def _hold(self, n: int, services: int) -> None:
        """Takes the resources of so many services of a slice, or gives them back if negative."""
        demand = self.parameters.slices[n].demand
        self.free = [free - services * need for need, free in zip(demand, self.free, strict=True)]

    def _turn_away(self) -> None:
        """Drops the newest request of a queue that holds more than its places."""
        for n, queue in enumerate(self.queues):
            if len(queue) > self.parameters.slices[n].queue_places:
                queue.pop()
                self.events.append(Event(self.time_s, BLOCKING, n))

    def _pass_event(self) -> None:
        ends = [(end_s, 0, n) for end_s, n in self.services[:1]]
        expiries = [(request.expires_s, 1, n) for n, queue in enumerate(self.queues) for request in queue]
        arrivals = [(arrival_s, 2, n) for n, arrival_s in enumerate(self._next_arrival_s)]
        self.time_s, kind, n = min(ends + expiries + arrivals)
        self.requesting = None
        if kind == 0:
            heapq.heappop(self.services)
            self._hold(n, -1)
        elif kind == 1:
            self.queues[n].remove(min(self.queues[n], key=lambda request: request.expires_s))
        else:
            self.requesting = n
            self._arrive(n)
        self.events.append(Event(self.time_s, (DEPARTURE, TIME_OUT, ARRIVAL)[kind], n))

    def _arrive(self, n: int) -> None:
        number, patience_s = self._num_requests[n], self.parameters.slices[n].timeout_s
        if self.parameters.patience == "exponential":
            patience_s = self._draw(PATIENCE, n, number, patience_s)
        self.queues[n].append(Request(n, number, self.time_s, self.time_s + patience_s))
        self._num_requests[n] += 1
        self._next_arrival_s[n] = self.time_s + self._interarrival_s(n)

    def _interarrival_s(self, n: int) -> float:
        mean_s = 1.0 / self.parameters.slices[n].arrivals_per_s
        return self._draw(INTERARRIVAL, n, self._num_requests[n], mean_s)

    def _draw(self, stream: int, n: int, number: int, mean_s: float) -> float:
        return exponential(np.uint64(self.key), stream, n, number, mean_s)
