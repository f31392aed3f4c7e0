"""Load for a core that is served: many UEs over sockets, in real time, who judge what the core does."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gentwin.serving.emulated_upf import NO_DELAYS
from gentwin.serving.framing import FrameReader, encode_frame
from gentwin.serving.links import split_address
from gentwin.signaling.closed_loop.outcomes import ClosedLoopResult, Outcome
from gentwin.signaling.closed_loop.side import NetworkSide
from gentwin.signaling.closed_loop.watch import DEREGISTRATION, ESTABLISHMENT, REGISTRATIONS
from gentwin.signaling.closed_loop.watched_gnb import WatchedGnb
from gentwin.signaling.closed_loop.watched_ue import WatchedUe
from gentwin.signaling.core.control_plane import Packet
from gentwin.signaling.core.pfcp_node import PORT
from gentwin.signaling.core.subscribers import Subscribers
from gentwin.signaling.core.synthesis import SynthesisConfiguration
from gentwin.signaling.core.ue import Usim
from gentwin.signaling.messages import NGAP, PFCP

LONGEST = 1 << 16  # octets of a message
TRIED_AGAIN = 0.1  # seconds from one try to reach the core to the next
SETTLES = 2.0  # seconds within which connections are released at the end of a round
OF_USERS = (REGISTRATIONS["initial"], ESTABLISHMENT, DEREGISTRATION)


@dataclass(frozen=True, slots=True)
class Round:
    """What came of one round, in which every UE registers, opens a session and leaves.

    Args:
        seconds: How long it took.
        result: Procedures that ended in it, and violations.
        served: Number of UEs who did all of that.
    """

    seconds: float
    result: ClosedLoopResult
    served: int

    @property
    def of_users(self) -> list[Outcome]:
        """Registrations, establishments of sessions, and deregistrations."""
        return [known for known in self.result.judged if known.procedure in OF_USERS]


class _N2(asyncio.Protocol):
    """The link of one base station, frames over TCP."""

    def __init__(self, load: Load, station: WatchedGnb) -> None:
        self._load, self._station = load, station
        self._reader = FrameReader(LONGEST)
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Called by the event loop."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        self._reader.add(data)
        while frames := self._reader.take(256):
            for message, stream in frames:
                self._load.receive(Packet(NGAP, self._station.address, message, stream))

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the event loop."""
        self._load.lose(self._station)


class _N4(asyncio.DatagramProtocol):
    """The user plane's end of N4."""

    def __init__(self, load: Load, address: str) -> None:
        self._load, self._address = load, address

    def datagram_received(self, data: bytes, sender: tuple) -> None:
        """Called by the event loop."""
        self._load.receive(Packet(PFCP, self._address, data))


class Load:
    """Base stations, UEs and a user plane at a core that listens for frames over TCP, and for PFCP over UDP.

    Args:
        configuration: Of the network; times of UEs and base stations are not simulated.
        subscribers: The database, as the core has it.
        usims: Of the UEs.
        core: Address `host:port` at which the core listens for base stations.
        at_once: How many UEs are served at a time.
        seed: Of what is random here.

    Example:
        ```python
        load = Load(configuration, subscribers, usims, "127.0.0.1:38412")
        await load.open()
        print((await load.round()).result)
        load.close()
        ```
    """

    def __init__(
        self,
        configuration: SynthesisConfiguration,
        subscribers: Subscribers,
        usims: Sequence[Usim],
        core: str,
        at_once: int = 64,
        seed: int = 0,
    ) -> None:
        flavour = replace(configuration.network.flavour, delays=NO_DELAYS)
        network = replace(configuration.network, flavour=flavour, start=time.time())
        self._begin = time.perf_counter()
        configuration = replace(configuration, network=network)
        self._side = NetworkSide(configuration, subscribers, seed, self._send, lambda peer: None)
        self.ues = [self._side.add_ue(usim, self._station_of(place)) for place, usim in enumerate(usims)]
        self._core, self._at_once = core, at_once
        self._links: dict[str, _N2] = {}
        self._datagrams: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: deque[WatchedUe] = deque()
        self._served: dict[str, WatchedUe] = {}
        self._seen = self._done = 0
        self._violations = 0
        self._ended = asyncio.Event()
        self._side.ledger.listener = self._heed

    def _station_of(self, place: int) -> WatchedGnb:
        return self._side.stations[place % len(self._side.stations)]

    # ------------------------------------------------------------ links

    async def open_user_plane(self) -> None:
        """Lets the user plane listen; a core that starts after that reaches it at once."""
        network = self._side.network
        self._datagrams, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _N4(self, self._side.upf.address), local_addr=(network.upf_address, PORT)
        )

    async def open(self, patience: float = 60.0) -> None:
        """Connects to the core, and sets up all base stations.

        Args:
            patience: How long to try, in seconds.

        Raises:
            TimeoutError: If that takes longer.
        """
        if self._datagrams is None:
            await self.open_user_plane()
        async with asyncio.timeout(patience):
            for station in self._side.stations:
                await self._connect(station)
                station.start()
            self._advance()
            while not (self._side.upf.associated and all(station.accepted for station in self._side.stations)):
                await asyncio.sleep(0.01)

    async def _connect(self, station: WatchedGnb) -> None:
        host, port = split_address(self._core, 0)
        while True:
            try:
                loop = asyncio.get_running_loop()
                _, link = await loop.create_connection(lambda: _N2(self, station), host, port)
            except OSError:
                await asyncio.sleep(TRIED_AGAIN)
            else:
                self._links[station.address] = link
                return

    def close(self) -> None:
        """Ends all links."""
        if self._timer is not None:
            self._timer.cancel()
        for link in self._links.values():
            link.transport.abort()
        if self._datagrams is not None:
            self._datagrams.close()

    def _send(self, packet: Packet) -> None:
        if packet.protocol == PFCP:
            self._datagrams.sendto(packet.data, (self._side.network.smf_address, PORT))
        else:
            self._links[packet.peer].transport.write(encode_frame(packet.data, packet.stream))

    def receive(self, packet: Packet) -> None:
        """Takes a packet of the core."""
        self._advance()
        self._side.deliver(packet)
        self._advance()

    def lose(self, station: WatchedGnb) -> None:
        """Takes the end of a link: nobody at that station is served any more."""
        for ue in [ue for ue in self._served.values() if ue.station is station]:
            self._leave(ue)

    def _advance(self) -> None:
        """Lets happen what is due by now, and sees to it that it is looked after what comes next."""
        clock, records = self._side.clock, self._side.links.records
        now = time.perf_counter() - self._begin
        while clock.step(now):
            records.clear()
        clock.now = max(clock.now, now)
        if self._timer is not None:
            self._timer.cancel()
        due = clock.due
        if due is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, due - now), self._advance)

    # ------------------------------------------------------------ rounds

    async def round(self, patience: float = 600.0) -> Round:
        """Returns what comes of it when every UE registers, opens a session and leaves.

        Args:
            patience: How long to wait for all of them, in seconds; who is not done by then is not served.
        """
        begin, self._done = time.perf_counter(), 0
        self._waiting.extend(self.ues)
        self._ended.clear()
        for _ in range(min(self._at_once, len(self.ues))):
            self._serve_next()
        self._advance()
        try:
            await asyncio.wait_for(self._ended.wait(), patience)
        except TimeoutError:
            self._waiting.clear()
            self._served.clear()
        seconds = time.perf_counter() - begin
        await self._settle()
        return Round(seconds, self._since(), self._done)

    async def _settle(self) -> None:
        end = time.perf_counter() + SETTLES
        while not all(ue.idle for ue in self.ues) and time.perf_counter() < end:
            await asyncio.sleep(0.01)

    def _since(self) -> ClosedLoopResult:
        """Returns what has come since the last round."""
        whole = self._side.ledger.result()
        result = replace(whole, outcomes=whole.outcomes[self._seen :], violations=whole.violations[self._violations :])
        self._seen, self._violations = len(whole.outcomes), len(whole.violations)
        return result

    def _serve_next(self) -> None:
        if self._waiting:
            ue = self._waiting.popleft()
            self._served[ue.who] = ue
            self._side.clock.after(0.0, ue.register)
        elif not self._served:
            self._ended.set()

    def _heed(self, outcome: Outcome) -> None:
        """Lets a UE go on when a procedure of it has ended."""
        ue = self._served.get(outcome.who)
        if ue is None or outcome.procedure not in OF_USERS:
            return
        if not outcome.is_right or outcome.procedure == DEREGISTRATION:
            self._done += outcome.is_right
            self._leave(ue)
        elif outcome.procedure == ESTABLISHMENT:
            self._side.clock.after(0.0, ue.deregister, False)

    def _leave(self, ue: WatchedUe) -> None:
        del self._served[ue.who]
        self._serve_next()
