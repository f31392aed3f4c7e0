"""The reference core: all roles of a network on one clock."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from gentwin.signaling.core.amf import Amf
from gentwin.signaling.core.clock import Clock
from gentwin.signaling.core.configuration import NetworkConfiguration
from gentwin.signaling.core.gnb import Gnb
from gentwin.signaling.core.links import Faults, Links
from gentwin.signaling.core.policy import AdmitAll, Policy
from gentwin.signaling.core.smf import Smf
from gentwin.signaling.core.subscribers import Subscribers
from gentwin.signaling.core.ue import Ue, Usim
from gentwin.signaling.core.upf import Upf
from gentwin.signaling.messages import Record


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
        self.clock, self.random = Clock(), Random(seed)
        spread = network.flavour.delays.spread
        self.links = Links(self.clock, self.random, faults or Faults(), spread, network.start)
        self.smf, self.upf = Smf(network, self.links), Upf(network, self.links)
        self.smf.peer, self.upf.peer = self.upf, self.smf
        self.amf = Amf(network, self.links, subscribers, self.smf, policy or AdmitAll())
        self.by_tmsi: dict[int, Ue] = {}
        self.stations = [Gnb(network, entry, self.links, self.amf, self.by_tmsi) for entry in network.stations]
        self.ues: dict[str, Ue] = {}

    def start(self) -> None:
        """Sets up the association on N4, and the links of the base stations three seconds later."""
        self.smf.start()
        for place, station in enumerate(self.stations):
            self.clock.after(3.0 + 0.1 * place, station.start)

    def add_ue(self, usim: Usim, station: Gnb | None = None) -> Ue:
        """Returns a new UE, which is switched off.

        Args:
            usim: Its subscription.
            station: It camps on; the first if not given.
        """
        ue = self.ues[usim.supi] = Ue(self.network, usim, station or self.stations[0], self.links, self.by_tmsi)
        return ue

    def run(self, until: float) -> Iterator[Record]:
        """Yields what is said up to a time of the clock, in seconds, in the order of time."""
        records, step = self.links.records, self.clock.step
        while step(until):
            while records:
                yield records.popleft()
        self.clock.now = max(self.clock.now, until)
