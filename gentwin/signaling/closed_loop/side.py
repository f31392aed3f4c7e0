"""Everything around a control plane: UEs, base stations and a user plane on one clock, who watch it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from gentwin.signaling import pfcp
from gentwin.signaling.closed_loop.expectations import Expectations
from gentwin.signaling.closed_loop.ledger import Ledger
from gentwin.signaling.closed_loop.watch import UNREADABLE, WRONG_IDENTITY, Watch
from gentwin.signaling.closed_loop.watched_gnb import WatchedGnb
from gentwin.signaling.closed_loop.watched_ue import WatchedUe
from gentwin.signaling.closed_loop.watched_upf import WatchedUpf
from gentwin.signaling.core.clock import Clock
from gentwin.signaling.core.control_plane import Packet, encode
from gentwin.signaling.core.gnb import Gnb
from gentwin.signaling.core.links import Links, Node
from gentwin.signaling.core.pfcp_node import PORT
from gentwin.signaling.core.policy import LoadLimits
from gentwin.signaling.core.radio import Radio
from gentwin.signaling.core.servers import Works
from gentwin.signaling.core.subscribers import Subscribers
from gentwin.signaling.core.synthesis import SynthesisConfiguration
from gentwin.signaling.core.ue import Usim
from gentwin.signaling.errors import DecodeError, SignalingError
from gentwin.signaling.messages import NGAP, PFCP, Message
from gentwin.signaling.records import decode_message

NOT_HERE = ("radio_loss", "datagram_loss", "datagram_repeat", "datagram_late", "amf_restarts", "upf_restarts")
Send = Callable[[Packet], None]
Lose = Callable[[str], None]


class _Transit:
    """The time that packets of the core take, always the same: so they come in order."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def seconds(self) -> float:
        """Returns in how many seconds a packet arrives."""
        return self._seconds


class _Far:
    """AMF or SMF, as the roles here see it: what it is to receive goes out as a packet."""

    def __init__(self, protocol: str, address: str, send: Send, lose: Lose) -> None:
        self.address, self.up = address, True
        self._protocol, self._send, self._lose = protocol, send, lose

    def receive(self, message: Message, sender: Node, stream: int) -> None:
        """Takes a message."""
        self._send(Packet(self._protocol, sender.address, encode(message), stream))

    def lose_station(self, station: Gnb) -> None:
        """Takes the end of the association with a base station."""
        self._lose(station.address)


class NetworkSide:
    """UEs, base stations and a user plane.

    Args:
        configuration: Of the network, and of what goes wrong outside the core.
        subscribers: What subscribers may do, and by that what to expect.
        seed: Of all that is random.
        send: Takes what is sent to the core.
        lose: Takes the address of a base station whose link to the core is lost.

    Raises:
        SignalingError: If messages shall be lost or nodes fail in a way that the core cannot be judged by.
    """

    def __init__(
        self, configuration: SynthesisConfiguration, subscribers: Subscribers, seed: int, send: Send, lose: Lose
    ) -> None:
        for name in NOT_HERE:
            if getattr(configuration.faults, name):
                raise SignalingError(f"`faults.{name}` must be 0 where a core is judged: it would not be its fault.")
        network, faults = configuration.network, configuration.faults
        self.network = replace(network, max_ues=max(network.max_ues, configuration.ues))
        self.subscribers, self.clock = subscribers, Clock()
        self._random, self.radio = Random(seed), Radio()
        self.links = Links(self.clock, self._random, faults, network.start)
        self._works = Works(network.flavour.delays, network.capacity, self.clock, self._random)
        self.ledger = Ledger(self.clock, network.start)
        limited = configuration.limits != LoadLimits() or bool(configuration.admission.slices)
        self.watch = Watch(self.ledger, Expectations(self.network, subscribers, limited))
        self.amf = _Far(NGAP, network.amf_address, send, lose)
        self._smf = _Far(PFCP, f"{network.smf_address}:{PORT}", send, lose)
        self.upf = WatchedUpf(self.network, self.links, self._works, self.watch)
        self.upf.peer = self._smf
        self._transit = _Transit(network.flavour.delays.amf)
        self.ues: list[WatchedUe] = []
        for station in network.stations:
            WatchedGnb(self.network, station, self.links, self._works, self.amf, self.radio, self.watch)

    @property
    def stations(self) -> Sequence[WatchedGnb]:
        """Base stations, in the order of the configuration."""
        return self.watch.stations

    @property
    def now(self) -> float:
        """Time in seconds since 1970."""
        return self.clock.now + self.network.start

    def add_ue(self, usim: Usim, station: WatchedGnb | None = None) -> WatchedUe:
        """Returns a new UE, which is switched off.

        Args:
            usim: Its subscription.
            station: It camps on; the first if not given.
        """
        camped = station or self.stations[0]
        ue = WatchedUe(self.network, usim, camped, self.links, self._works, self.radio, self.watch)
        self.ues.append(ue)
        return ue

    def deliver(self, packet: Packet) -> None:
        """Takes a packet of the core, which arrives after its transit."""
        try:
            if packet.protocol == PFCP:
                messages = pfcp.decode_all(packet.data)
            else:
                messages = [decode_message(packet.protocol, packet.data)]
        except DecodeError as error:
            self.ledger.violate(packet.peer, UNREADABLE, str(error), data=packet.data)
            return
        for message in messages:
            self._carry(message, packet)

    def _carry(self, message: Message, packet: Packet) -> None:
        if packet.protocol == PFCP:
            if packet.peer == self.upf.address:
                self.links.send_pfcp(message, self._smf, self.upf, self._transit)
                return
        else:
            station = next((known for known in self.stations if known.address == packet.peer), None)
            if station is not None:
                self.links.send_ngap(message, self.amf, station, packet.stream, self._transit)
                return
        self.ledger.violate(packet.peer, WRONG_IDENTITY, "nobody has this address", message.name)
