"""N2 over the SCTP of the kernel, by pysctp.

A message of SCTP is one NGAP PDU, has a stream of its own, and says that it is NGAP by its payload protocol
identifier, 60 (3GPP TS 38.412 clause 7).
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections import deque
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any

from gentwin.serving.limits import Limits
from gentwin.serving.links import N2, Link, Station, Transport, join_address, listening
from gentwin.signaling.core.control_plane import Packet
from gentwin.signaling.messages import NGAP

PPID = 60
STREAMS, BACKLOG = 64, 64
OLDEST = (0, 7, 3)  # from then on pysctp puts the identifier in network order by itself
NOT_SUPPORTED = frozenset({errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT, errno.EAFNOSUPPORT})


def load_pysctp() -> ModuleType:
    """Returns pysctp.

    Raises:
        ImportError: If it is not installed, or too old.
    """
    remedy = "`pip install 'gentwin[sctp]'`, or use `--transport tcp` with a base station that speaks it"
    try:
        import sctp

        known = version("pysctp")
    except (ImportError, PackageNotFoundError) as error:
        raise ImportError(f"`sctp` needs pysctp: {remedy}.") from error
    if tuple(int(part) for part in known.split(".")[:3] if part.isdecimal()) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise ImportError(f"`sctp` needs pysctp {oldest} or newer, got {known}: {remedy}.")
    return sctp


class SctpTransport(Transport):
    """The SCTP of the kernel, one-to-one style.

    Args:
        host: Address to listen at.
        port: 38412 for N2.

    Raises:
        ImportError: If pysctp is not installed, or too old.
    """

    def __init__(self, host: str, port: int = 38412) -> None:
        self._sctp, self._host, self._port = load_pysctp(), host, port
        self._socket: Any = None

    async def open(self, station: Station, limits: Limits) -> None:
        """Begins to take links.

        Raises:
            OSError: If the kernel knows no SCTP, or the address cannot be used.
        """
        family = socket.AF_INET6 if ipaddress.ip_address(self._host).version == 6 else socket.AF_INET
        try:
            self._socket = self._sctp.sctpsocket_tcp(family)
        except OSError as error:
            if error.errno in NOT_SUPPORTED:
                raise OSError(
                    error.errno,
                    "this kernel has no SCTP: load its module (`modprobe sctp`), or use `--transport tcp`",
                ) from error
            raise
        parameters = self._socket.initparams
        parameters.num_ostreams = parameters.max_instreams = STREAMS
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.setblocking(False)
        with listening(N2, join_address(self._host, self._port)):
            self._socket.bind((self._host, self._port))
        self._socket.listen(BACKLOG)
        self.address = join_address(*self._socket.getsockname()[:2])
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._accept, station, limits)

    def _accept(self, station: Station, limits: Limits) -> None:
        for _ in range(BACKLOG):
            try:
                connection, address = self._socket.accept()
            except OSError:  # nobody more is there, or who was is gone
                return
            try:
                link = SctpLink(self._sctp, connection, station, limits, join_address(*address[:2]))
            except OSError:
                connection.close()
                continue
            station.opened(link)
            link.begin()

    async def close(self) -> None:
        """Takes no links any more."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None


class SctpLink(Link):
    """A link over an association of SCTP.

    What has come waits in the kernel until it is taken. The payload protocol identifier of what comes is not looked
    at: what is no NGAP is refused for what is in it.

    Args:
        sctp: pysctp.
        connection: Socket of pysctp.
        station: Told of it.
        limits: Of what it takes.
        peer: Address of the other end.
    """

    def __init__(self, sctp: ModuleType, connection: Any, station: Station, limits: Limits, peer: str) -> None:
        self._sctp, self._socket, self._station, self._limits, self.peer = sctp, connection, station, limits, peer
        connection.setblocking(False)
        connection.events.clear()
        connection.events.data_io = True
        connection.nodelay = True
        self._streams = max(1, connection.get_status().outstrms)
        self._parts: list[bytes] = []
        self._unsent: deque[tuple[bytes, int]] = deque()
        self._unsent_octets = 0
        self._slow: asyncio.TimerHandle | None = None
        self._listens = self._ends_when_sent = False

    def begin(self) -> None:
        """Begins to wait for what comes."""
        if not self._listens and not self.is_closed:
            self._listens = True
            asyncio.get_running_loop().add_reader(self._socket.fileno(), self._readable)

    def _readable(self) -> None:
        self._stop_listening()
        self._station.ready(self)

    def _stop_listening(self) -> None:
        if self._listens:
            self._listens = False
            asyncio.get_running_loop().remove_reader(self._socket.fileno())

    def take(self, count: int) -> list[Packet]:
        """Returns messages that have come, see [`Link`][gentwin.serving.links.Link]."""
        packets: list[Packet] = []
        while len(packets) < count and not self.is_closed:
            try:
                _, flags, part, info = self._socket.sctp_recv(self._limits.message_octets + 1)
            except (BlockingIOError, InterruptedError):
                self.begin()
                break
            except OSError as error:
                self.close(str(error))
                break
            if flags & self._sctp.FLAG_NOTIFICATION:
                continue
            if not part:
                self.close()
                break
            self._parts.append(part)
            if sum(map(len, self._parts)) > self._limits.message_octets:
                self.close(f"sent a message of more than {self._limits.message_octets} octets")
                break
            if flags & self._sctp.FLAG_EOR:
                packets.append(Packet(NGAP, self.peer, b"".join(self._parts), info.stream))
                self._parts.clear()
        self._watch(bool(packets))
        return packets

    def _watch(self, moved: bool) -> None:
        """Lets time run for a message of which only a part has come."""
        if self._slow is not None and (moved or not self._parts):
            self._slow.cancel()
            self._slow = None
        if self._parts and self._slow is None and not self.is_closed:
            seconds, reason = self._limits.partial_seconds, "began a message and did not end it"
            self._slow = asyncio.get_running_loop().call_later(seconds, self.close, reason)

    def send(self, data: bytes, stream: int) -> None:
        """Sends a message; on another stream if the other end does not have as many."""
        if self.is_closed:
            return
        if stream >= self._streams:
            stream = 1 + (stream - 1) % (self._streams - 1) if self._streams > 1 else 0
        self._unsent.append((data, stream))
        self._unsent_octets += len(data)
        if len(self._unsent) == 1:
            self._flush()
        if self._unsent_octets > self._limits.unsent_octets:
            self.close("does not read what it is sent")

    def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        while self._unsent:
            data, stream = self._unsent[0]
            try:
                self._socket.sctp_send(data, ppid=PPID, stream=stream)
            except (BlockingIOError, InterruptedError):
                loop.add_writer(self._socket.fileno(), self._flush)
                return
            except OSError as error:
                self.close(str(error))
                return
            self._unsent.popleft()
            self._unsent_octets -= len(data)
        loop.remove_writer(self._socket.fileno())
        if self._ends_when_sent:
            self.close()

    @property
    def is_flushed(self) -> bool:
        """Whether the other end has been sent all that there was to send."""
        return self.is_closed or not self._unsent

    def close(self, reason: str = "", at_once: bool = True) -> None:
        """Ends the link."""
        if self.is_closed:
            return
        if not at_once and self._unsent:
            self._ends_when_sent = True
            return
        if self._slow is not None:
            self._slow.cancel()
        self._stop_listening()
        asyncio.get_running_loop().remove_writer(self._socket.fileno())
        self.is_closed, self.reason = True, reason
        with suppress(OSError):
            self._socket.close()
        self._station.ready(self)
