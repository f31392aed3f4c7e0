"""N4 as a core that is served has it: a real UPF, an emulated one, or one inside of the process."""

from __future__ import annotations

import asyncio
import logging
import socket
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable

from gentwin.serving.links import join_address, listening, split_address
from gentwin.signaling.core.control_plane import Packet
from gentwin.signaling.core.pfcp_node import PORT
from gentwin.signaling.messages import PFCP

MOST_WAITING = 4096  # datagrams
MOST_TAKEN = 256  # datagrams that are read at a time, so that others are read as well
FULL = f"{MOST_WAITING:,} datagrams of N4 wait already"
LARGEST_DATAGRAM = 1 << 16

N4 = "N4 (`network.smf_address`)"
Refused = Callable[[str, str], None]

log = logging.getLogger(__name__)


class UserPlane(ABC):
    """The user plane at the other end of N4.

    Attributes:
        address: Of the other end, `host:port`.
    """

    address = ""

    @abstractmethod
    async def open(self, ready: Callable[[], None], refused: Refused = lambda peer, reason: None) -> None:
        """Begins to listen.

        Args:
            ready: Called when something has come that can be taken.
            refused: Called with who sent a datagram that is thrown away, and why.

        Raises:
            OSError: If the address cannot be used.
        """

    @abstractmethod
    def take(self, count: int) -> list[Packet]:
        """Returns datagrams that have come, at most so many; fewer only if there are no more now."""

    @abstractmethod
    def send(self, packet: Packet) -> None:
        """Sends a datagram."""

    @abstractmethod
    def close(self) -> None:
        """Ends the link."""


class UdpUserPlane(UserPlane, asyncio.DatagramProtocol):
    """A UPF that is reached over UDP. Datagrams of other hosts are thrown away.

    Whatever has come is taken at once, so that it is heard together: an event loop reads one datagram at a time, and
    those behind it would be asked for again before they are heard.

    Args:
        local: Address `host:port` of this end.
        remote: Address `host:port` to which requests are sent.
    """

    def __init__(self, local: str, remote: str) -> None:
        self.local, self.remote = local, split_address(remote, PORT)
        self.address = join_address(*self.remote)
        self._waiting: deque[Packet] = deque()
        self._transport: asyncio.DatagramTransport | None = None
        self._socket: socket.socket | None = None
        self._ready: Callable[[], None] = lambda: None
        self._refused: Refused = lambda peer, reason: None

    async def open(self, ready: Callable[[], None], refused: Refused = lambda peer, reason: None) -> None:
        """Begins to listen."""
        self._ready, self._refused, loop = ready, refused, asyncio.get_running_loop()
        with listening(N4, self.local):
            found = await loop.getaddrinfo(*split_address(self.local, PORT), type=socket.SOCK_DGRAM)
            family, kind, protocol, _, address = found[0]
            self._socket = socket.socket(family, kind, protocol)
            try:
                self._socket.setblocking(False)
                self._socket.bind(address)
                self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=self._socket)
            except OSError:
                self._socket.close()
                raise

    def datagram_received(self, data: bytes, address: tuple) -> None:
        """Called by the event loop when something has come; takes the rest of it as well."""
        has_come = self._keep(data, address)
        for _ in range(MOST_TAKEN):
            try:
                data, address = self._socket.recvfrom(LARGEST_DATAGRAM)
            except OSError:  # there is no more, or nobody was there to whom something was sent
                break
            has_come |= self._keep(data, address)
        if has_come:
            self._ready()

    def _keep(self, data: bytes, address: tuple) -> bool:
        """Keeps a datagram; returns whether it is from the UPF."""
        host, port = address[:2]
        peer = join_address(host, port)
        if host != self.remote[0]:
            self._refused(peer, f"a datagram that is not from the UPF, {self.address}")
            return False
        if len(self._waiting) >= MOST_WAITING:
            self._refused(peer, FULL)
        else:
            self._waiting.append(Packet(PFCP, peer, data))
        return True

    def error_received(self, error: OSError) -> None:
        """Called by the event loop: nobody may be there yet, and what is not answered is sent again."""
        log.info("N4 to %s: %s", join_address(*self.remote), error)

    def take(self, count: int) -> list[Packet]:
        """Returns datagrams that have come."""
        return [self._waiting.popleft() for _ in range(min(count, len(self._waiting)))]

    def send(self, packet: Packet) -> None:
        """Sends a datagram: a request to the port of the UPF, a response to the port it is for."""
        host, port = split_address(packet.peer, PORT)
        if self._transport is not None and len(packet.data) < LARGEST_DATAGRAM:
            # The core knows the UPF by its host alone; where requests go to is said here.
            address = self.remote if port == PORT or host != self.remote[0] else (host, port)
            self._transport.sendto(packet.data, address)

    def close(self) -> None:
        """Ends the link."""
        if self._transport is not None:
            self._transport.close()
