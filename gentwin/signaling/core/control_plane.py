"""The control plane of a core as others see it: packets come in, packets go out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from gentwin.signaling.core.amf import Amf
from gentwin.signaling.core.clock import Clock
from gentwin.signaling.core.configuration import Faults, NetworkConfiguration, Station
from gentwin.signaling.core.gnb import STREAMS
from gentwin.signaling.core.home import HomeNetwork
from gentwin.signaling.core.identifiers import Counter
from gentwin.signaling.core.links import Links, Node
from gentwin.signaling.core.pfcp_node import PORT
from gentwin.signaling.core.policy import AdmitAll, Load, Policy
from gentwin.signaling.core.servers import Works
from gentwin.signaling.core.smf import Smf, SmfSession
from gentwin.signaling.core.subscribers import Subscribers
from gentwin.signaling.errors import DecodeError, SignalingError
from gentwin.signaling.messages import NGAP, PFCP, Message, Record
from gentwin.signaling.records import decode_message, encode_record

SETUP = "NGSetupRequest"
COMMANDS = ("deregister", "page", "modify_session", "release_session")


@dataclass(frozen=True, slots=True)
class Packet:
    """A message on a link of a control plane, either way.

    Args:
        protocol: `ngap` or `pfcp`.
        peer: Address `host:port` of the other end: a base station or the user plane.
        data: One PDU of NGAP, or one datagram of PFCP.
        stream: Of SCTP; 0 elsewhere.

    Raises:
        SignalingError: If there is no such protocol.
    """

    protocol: str
    peer: str
    data: bytes
    stream: int = 0

    def __post_init__(self) -> None:
        if self.protocol not in (NGAP, PFCP):
            raise SignalingError(f"`protocol` must be {NGAP!r} or {PFCP!r}, got {self.protocol!r}.")


HEARD, SAID, HAPPENED, REFUSED = "heard", "said", "happened", "refused"
"""Kinds of events: a message came; one goes out; a timer, a command, or a link; something was not answered as asked."""


@dataclass(frozen=True, slots=True)
class CoreEvent:
    """Something that happened at a control plane, for logs and pictures.

    Args:
        kind: `heard`, `said`, `happened` or `refused`.
        timestamp: When, in seconds since 1970.
        peer: Address of the other end; empty if there is none.
        context: Number of the conversation it belongs to; None if it belongs to none.
        record: The message, NAS as it is on the link; None if there is none.
        reason: What happened, or why it was refused; empty otherwise.
    """

    kind: str
    timestamp: float
    peer: str = ""
    context: int | None = None
    record: Record | None = None
    reason: str = ""


class ControlPlane(Protocol):
    """What answers base stations and a user plane as AMF and SMF do. All times are in seconds since 1970."""

    def start(self, now: float) -> Sequence[Packet]:
        """Returns what is sent first, as to associate with the user plane."""

    def hear(self, packets: Sequence[Packet], now: float) -> Sequence[Packet]:
        """Returns what is sent because of packets that came in, in order."""

    def lose(self, peer: str, now: float) -> Sequence[Packet]:
        """Returns what is sent because the link to a base station is lost."""

    def command(self, name: str, supi: str, now: float, psi: int | None = None) -> Sequence[Packet]:
        """Returns what is sent because somebody at the core wants something with a subscriber, or with a session."""

    def due(self) -> float | None:
        """Returns when the next timer runs out; None if none runs."""

    def tick(self, now: float) -> Sequence[Packet]:
        """Returns what is sent because timers have run out."""


def encode(message: Message) -> bytes:
    """Returns the bytes of a message of N2, with NAS inside, or of N4."""
    return encode_record(Record(message, 0.0, "", ""))


class _Far:
    """The other end of a link, as the roles here see it: what it is to receive goes out as a packet."""

    def __init__(self, protocol: str, address: str, out: list[Packet]) -> None:
        self.address, self.up = address, True
        self._protocol, self._out = protocol, out

    def receive(self, message: Message, sender: Node, stream: int) -> None:
        """Takes a message."""
        self._out.append(Packet(self._protocol, self.address, encode(message), stream))


class _FarStation(_Far):
    """A base station, known from its setup request on."""

    def __init__(self, address: str, out: list[Packet]) -> None:
        super().__init__(NGAP, address, out)
        self.station: Station | None = None
        self._streams = Counter(1, STREAMS)

    def next_stream(self) -> int:
        """Returns the stream of the next connection."""
        return self._streams.allocate()

    def introduce(self, request: Message) -> None:
        """Takes its number and area from its setup request."""
        number = request["global_ran_node_id.global_gnb_id.gnb_id.gnb_id"].value
        tac = request["supported_ta_list.item.tac"].hex()
        self.station = Station(number, self.address, tac)


class ReferenceControlPlane:
    """AMF and SMF of the reference core as a [`ControlPlane`][gentwin.signaling.core.control_plane.ControlPlane].

    What takes time does so here as well: it is sent by `tick` when it is due. Messages that contradict the
    specification are for test cores to survive, not for this one.

    Args:
        network: Its parts; those of its base stations come with their setup requests.
        subscribers: The database.
        policy: Asked where an answer depends on load; everything is admitted if not given.
        seed: Of all that is random.
    """

    def __init__(
        self, network: NetworkConfiguration, subscribers: Subscribers, policy: Policy | None = None, seed: int = 0
    ) -> None:
        self.clock, random = Clock(), Random(seed)
        self._links, self._out = Links(self.clock, random, Faults(), 0.0), []
        works = Works(network.flavour.delays, network.capacity, self.clock, random)
        self.smf = Smf(network, self._links, works, Load())
        self._user_plane = self.smf.peer = _Far(PFCP, f"{network.upf_address}:{PORT}", self._out)
        home = HomeNetwork(network, subscribers, random)
        self.amf = Amf(network, self._links, works, home, self.smf, policy or AdmitAll())
        self._stations: dict[str, _FarStation] = {}

    def start(self, now: float) -> list[Packet]:
        """Associates with the user plane."""
        self.clock.now = now
        self.smf.recover()
        self.smf.start()
        return self.tick(now)

    def hear(self, packets: Iterable[Packet], now: float) -> list[Packet]:
        """Returns what is sent at once because of packets that came in."""
        self._pass(now)
        for packet in packets:
            try:
                message = decode_message(packet.protocol, packet.data)
            except DecodeError:
                continue
            if packet.protocol == PFCP:
                self.smf.receive(message, self._user_plane, 0)
            else:
                self._hear_station(message, packet)
        return self.tick(now)

    def _hear_station(self, message: Message, packet: Packet) -> None:
        station = self._stations.get(packet.peer)
        if message.name == SETUP:
            station = self._stations.setdefault(packet.peer, station or _FarStation(packet.peer, self._out))
            station.introduce(message)
        if station is not None:
            self.amf.receive(message, station, packet.stream)

    def lose(self, peer: str, now: float) -> list[Packet]:
        """Takes the end of the association with a base station."""
        self._pass(now)
        station = self._stations.pop(peer, None)
        if station is not None:
            station.up = False
            self.amf.lose_station(station)
        return self.tick(now)

    def command(self, name: str, supi: str, now: float, psi: int | None = None) -> list[Packet]:
        """Does something with a registered subscriber, and with a session.

        Args:
            name: `deregister`, `page`, `modify_session` or `release_session`.
            supi: Whom.
            now: Time.
            psi: PDU session identity; the lowest one if not given.

        Raises:
            SignalingError: If there is no such command.
        """
        if name not in COMMANDS:
            raise SignalingError(f"`name` must be one of {', '.join(COMMANDS)}, got {name!r}.")
        self._pass(now)
        session = self._session(supi, psi)
        if name == "deregister":
            self.amf.deregistrations.deregister(supi)
        elif session is not None:
            self._do(name, session)
        return self.tick(now)

    def _session(self, supi: str, psi: int | None) -> SmfSession | None:
        ue = self.amf.by_supi.get(supi)
        known = {} if ue is None else ue.sessions
        return known.get(min(known, default=0) if psi is None else psi)

    def _do(self, name: str, session: SmfSession) -> None:
        ue = self.amf.by_supi[session.supi]
        if name == "page":
            self.amf.services.page(session)
        elif name == "release_session":
            self.amf.sessions.revoke(ue, session.psi)
        elif ue.connection is not None:
            self.amf.sessions.change_rates(ue, session, session.rates)

    def due(self) -> float | None:
        """Returns when something happens next here."""
        return self.clock.due

    def tick(self, now: float) -> list[Packet]:
        """Lets happen what is due."""
        self._pass(now)
        out = [*self._out]
        self._out.clear()
        return out

    def _pass(self, now: float) -> None:
        """Lets time pass."""
        while self.clock.step(now):
            self._links.records.clear()
        self.clock.now = max(self.clock.now, now)
