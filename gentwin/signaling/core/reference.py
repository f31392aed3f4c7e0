"""The reference core: all roles of a network on one clock."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from gentwin.signaling.core.amf import Amf
from gentwin.signaling.core.clock import Clock
from gentwin.signaling.core.configuration import Faults, NetworkConfiguration
from gentwin.signaling.core.gnb import Gnb
from gentwin.signaling.core.home import HomeNetwork
from gentwin.signaling.core.links import Links
from gentwin.signaling.core.policy import AdmitAll, Load, Policy
from gentwin.signaling.core.radio import Radio
from gentwin.signaling.core.servers import Works
from gentwin.signaling.core.smf import Smf
from gentwin.signaling.core.subscribers import Subscribers
from gentwin.signaling.core.ue import Ue, Usim
from gentwin.signaling.core.upf import Upf
from gentwin.signaling.messages import Record

STATIONS_START, STATION_GAP = 3.0, 0.1  # seconds after the association is set up on N4, and between two stations


class ReferenceCore:
    """A network of UEs, base stations, AMF, SMF and UPF that talk; what is said on N2 and N4 comes out.

    Args:
        network: Its parts.
        subscribers: The database.
        policy: Asked where an answer depends on load; everything is admitted if not given.
        faults: What goes wrong; nothing if not given.
        seed: Of all that is random.
    """

    def __init__(
        self,
        network: NetworkConfiguration,
        subscribers: Subscribers,
        policy: Policy | None = None,
        faults: Faults | None = None,
        seed: int = 0,
    ) -> None:
        self.network, self.subscribers = network, subscribers
        self.clock, self.random, self.load = Clock(), Random(seed), Load()
        self.links = Links(self.clock, self.random, faults or Faults(), network.start)
        self.works = Works(network.flavour.delays, network.capacity, self.clock, self.random)
        self.smf = Smf(network, self.links, self.works, self.load)
        self.upf = Upf(network, self.links, self.works)
        self.smf.peer, self.upf.peer = self.upf, self.smf
        home = HomeNetwork(network, subscribers, self.random)
        self.amf = Amf(network, self.links, self.works, home, self.smf, policy or AdmitAll())
        self.radio = Radio()
        for station in network.stations:
            Gnb(network, station, self.links, self.works, self.amf, self.radio)

    @property
    def stations(self) -> list[Gnb]:
        """Base stations, in the order of the configuration."""
        return self.radio.stations

    def start(self) -> None:
        """Sets up the association on N4, and the links of the base stations three seconds later."""
        self.smf.start()
        for place, station in enumerate(self.stations):
            self.clock.after(STATIONS_START + STATION_GAP * place, station.start)

    def add_ue(self, usim: Usim, station: Gnb | None = None) -> Ue:
        """Returns a new UE, which is switched off.

        Args:
            usim: Its subscription.
            station: It camps on; the first if not given.
        """
        return Ue(self.network, usim, station or self.stations[0], self.links, self.works, self.radio)

    def run(self, until: float) -> Iterator[Record]:
        """Yields what is said up to a time of the clock, in seconds, in the order of time."""
        records, step = self.links.records, self.clock.step
        while step(until):
            while records:
                yield records.popleft()
        self.clock.now = max(self.clock.now, until)
