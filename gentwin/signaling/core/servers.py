"""How long the functions of a core take: each works on so much at a time, and what comes meanwhile waits."""

from __future__ import annotations

import heapq
from random import Random
from statistics import NormalDist

from gentwin.signaling.core.clock import Clock
from gentwin.signaling.core.configuration import Capacity, Delays

FACTOR_BITS = 12


class Server:
    """A function with so many workers; what they cannot take at once waits, first come, first served.

    ```python
    >>> clock = Clock()
    >>> server = Server(clock, workers=1)
    >>> server.work(2.0), server.work(3.0), server.backlog
    (2.0, 5.0, 5.0)
    ```

    Args:
        clock: Simulated time.
        workers: How many; 0 for no limit.
    """

    __slots__ = ("_clock", "_free")

    def __init__(self, clock: Clock, workers: int) -> None:
        self._clock = clock
        self._free = [0.0] * workers

    def work(self, seconds: float) -> float:
        """Returns in how many seconds something is done that comes now and takes so many."""
        free = self._free
        if not free:
            return seconds
        now = self._clock.now
        end = (free[0] if free[0] > now else now) + seconds
        heapq.heapreplace(free, end)
        return end - now

    @property
    def backlog(self) -> float:
        """How long something that comes now waits, in seconds."""
        return max(0.0, self._free[0] - self._clock.now) if self._free else 0.0


class Work:
    """One kind of work: how long it takes, and which function does it.

    Args:
        random: Of the times.
        factors: Multiples of the median, equally likely, 2**12 of them.
        median: Of the time, in seconds.
        server: That does it; None if nothing ever has to wait for it.
    """

    __slots__ = ("_factors", "_random", "_server", "median")

    def __init__(self, random: Random, factors: list[float], median: float, server: Server | None) -> None:
        self._random, self._factors, self.median, self._server = random, factors, median, server

    def seconds(self) -> float:
        """Returns in how many seconds such a work that comes now is done."""
        time = self.median * self._factors[self._random.getrandbits(FACTOR_BITS)]
        return time if self._server is None else self._server.work(time)


class Works:
    """The kinds of work in a network, called as in [`Delays`][gentwin.signaling.core.configuration.Delays].

    Args:
        delays: Medians of their times.
        capacity: Of the functions that do them.
        clock: Simulated time.
        random: Of the times.
    """

    def __init__(self, delays: Delays, capacity: Capacity, clock: Clock, random: Random) -> None:
        self._delays, self._capacity, self._clock, self._random = delays, capacity, clock, random
        self._factors = _lognormal(delays.spread)
        self._functions = {name: Server(clock, getattr(capacity, name)) for name in ("amf", "smf", "upf", "services")}
        self.ue = self.of(delays.ue)
        self.setup, self.amf = self._by("amf", "setup"), self._by("amf", "amf")
        self.exchange, self.smf = self._by("smf", "exchange"), self._by("smf", "smf")
        self.upf = self._by("upf", "upf")
        self.challenge, self.security = self._by("services", "challenge"), self._by("services", "security")
        self.registration = self._by("services", "registration")
        self.deregistration = self._by("services", "deregistration")
        self.session = self._by("services", "session")

    def _by(self, function: str, name: str) -> Work:
        return self.of(getattr(self._delays, name), self._functions[function])

    def of(self, median: float, server: Server | None = None) -> Work:
        """Returns a kind of work of a median time, in seconds."""
        return Work(self._random, self._factors, median, server)

    def of_station(self) -> tuple[Work, Work]:
        """Returns the work of another base station: answering, and setting up resources."""
        server = Server(self._clock, self._capacity.station)
        return self.of(self._delays.station, server), self.of(self._delays.resources)

    @property
    def backlog(self) -> float:
        """How long something that comes now waits at the function with the longest queue, in seconds."""
        return max(server.backlog for server in self._functions.values())


def _lognormal(spread: float) -> list[float]:
    """Returns 2**12 equally likely multiples of a median."""
    count = 1 << FACTOR_BITS
    if not spread:
        return [1.0] * count
    normal = NormalDist(0.0, spread)
    return [2.718281828459045 ** normal.inv_cdf((place + 0.5) / count) for place in range(count)]
