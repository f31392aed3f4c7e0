"""Nodes of a network that break down, and come back."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from gentwin.signaling.core.configuration import Faults
from gentwin.signaling.core.reference import ReferenceCore


class Breakdowns:
    """Lets nodes fail, each kind by a Poisson process.

    Args:
        core: The network.
        faults: How often what fails, and for how long.
        random: When, and which.
    """

    def __init__(self, core: ReferenceCore, faults: Faults, random: Random) -> None:
        self._core, self._faults, self._random = core, faults, random

    def start(self, time: float) -> None:
        """Lets nodes fail from a time of the clock on, in seconds."""
        kinds: dict[str, Callable[[], None]] = {
            "station_resets": self._reset_station,
            "station_restarts": self._restart_station,
            "amf_restarts": self._restart_amf,
            "upf_restarts": self._restart_upf,
        }
        for name, action in kinds.items():
            rate = getattr(self._faults, name)
            if rate:
                self._core.clock.at(time, self._wait, rate, action)

    def _wait(self, rate: float, action: Callable[[], None]) -> None:
        self._core.clock.after(self._random.expovariate(rate), self._happen, rate, action)

    def _happen(self, rate: float, action: Callable[[], None]) -> None:
        action()
        self._wait(rate, action)

    def _reset_station(self) -> None:
        station = self._random.choice(self._core.stations)
        if station.accepted:
            station.reset()

    def _restart_station(self) -> None:
        station = self._random.choice(self._core.stations)
        if station.accepted:
            station.fail()
            self._core.clock.after(self._faults.downtime, station.start)

    def _restart_amf(self) -> None:
        if self._core.amf.up:
            self._core.amf.fail()
            self._core.clock.after(self._faults.downtime, self._core.amf.recover)

    def _restart_upf(self) -> None:
        if self._core.upf.up:
            self._core.upf.fail()
            self._core.clock.after(self._faults.downtime, self._core.upf.recover)
