"""Links to base stations, whatever carries them: TCP and UNIX sockets here, SCTP in `sctp`.

A link gives what has come when it is asked for it, so a base station that sends more than is heard fills its own
buffers and nobody else's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Protocol

from gentwin.serving.framing import FrameError, FrameReader, encode_frame
from gentwin.serving.limits import Limits
from gentwin.signaling.core.control_plane import Packet
from gentwin.signaling.messages import NGAP

N2 = "N2 (`--listen`, or `network.amf_address`)"


class Link(ABC):
    """One base station at the other end.

    Attributes:
        peer: Its address, `host:port`; `unix:number` at a UNIX socket.
        is_closed: Whether the other end has gone or was cut off; what had come before can still be taken.
        reason: Why it is closed.
    """

    peer = ""
    is_closed = False
    reason = ""

    @property
    @abstractmethod
    def is_flushed(self) -> bool:
        """Whether the other end has been sent all that there was to send."""

    @abstractmethod
    def take(self, count: int) -> list[Packet]:
        """Returns messages that have come, at most so many; fewer only if there are no more now."""

    @abstractmethod
    def send(self, data: bytes, stream: int) -> None:
        """Sends a message; nothing happens if the link is closed."""

    @abstractmethod
    def close(self, reason: str = "", at_once: bool = True) -> None:
        """Ends the link.

        Args:
            reason: Why; empty if it is nobody's fault.
            at_once: Whether what was not sent yet is left unsent.
        """


class Station(Protocol):
    """What is told of links."""

    def opened(self, link: Link) -> None:
        """Takes a new link."""

    def ready(self, link: Link) -> None:
        """Takes note that there may be something to take from a link, or that it is closed."""


class Transport(ABC):
    """Where base stations come to.

    Attributes:
        address: Where that is, once it is open.
    """

    address = ""

    @abstractmethod
    async def open(self, station: Station, limits: Limits) -> None:
        """Begins to take links.

        Raises:
            OSError: If it cannot, as somebody else has the address, or the system does not know the protocol.
        """

    @abstractmethod
    async def close(self) -> None:
        """Takes no links any more; those that there are stay."""


@contextlib.contextmanager
def listening(what: str, address: str) -> Iterator[None]:
    """Lets an error of listening say at what, and what sets that.

    Args:
        what: That listens, with the option or name that says where.
        address: Where.

    Raises:
        OSError: If it cannot.
    """
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if (error.errno or 0) > 0 else error.strerror or str(error)
        raise OSError(f"{what} cannot listen at {address}: {reason}") from error


class FramedLink(Link, asyncio.Protocol):
    """A link over a stream of bytes, see [`framing`][gentwin.serving.framing].

    Args:
        station: Told of it.
        limits: Of what it takes.
        name: Returns the address of the other end.
    """

    def __init__(self, station: Station, limits: Limits, name: Callable[[asyncio.Transport], str]) -> None:
        self._station, self._limits, self._name = station, limits, name
        self._reader = FrameReader(limits.message_octets)
        self._transport: asyncio.Transport | None = None
        self._slow: asyncio.TimerHandle | None = None
        self._paused = False

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Called by the event loop."""
        self._transport = transport
        transport.set_write_buffer_limits(high=self._limits.unsent_octets)
        self.peer = self._name(transport)
        self._station.opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the event loop."""
        self._end(self.reason or (str(error) if error else ""))

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        if self.is_closed:
            return
        self._reader.add(data)
        if len(self._reader) > self._limits.waiting_octets + self._limits.message_octets and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._station.ready(self)

    def pause_writing(self) -> None:
        """Called by the event loop when too much waits to be sent."""
        self.close("does not read what it is sent")

    def take(self, count: int) -> list[Packet]:
        """Returns messages that have come, see [`Link`][gentwin.serving.links.Link]."""
        try:
            frames = self._reader.take(count)
            partial = len(frames) < count and self._reader.is_partial
        except FrameError as error:
            self.close(str(error))
            return []
        if self._paused and len(self._reader) <= self._limits.waiting_octets and not self.is_closed:
            self._paused = False
            self._transport.resume_reading()
        self._watch(bool(frames), partial)
        return [Packet(NGAP, self.peer, data, stream) for data, stream in frames]

    def _watch(self, moved: bool, partial: bool) -> None:
        """Lets time run for a frame that has begun."""
        if self._slow is not None and (moved or not partial):
            self._slow.cancel()
            self._slow = None
        if partial and self._slow is None and not self.is_closed:
            seconds, reason = self._limits.partial_seconds, "began a message and did not end it"
            self._slow = asyncio.get_running_loop().call_later(seconds, self.close, reason)

    def send(self, data: bytes, stream: int) -> None:
        """Sends a message."""
        if not self.is_closed:
            self._transport.write(encode_frame(data, stream))

    @property
    def is_flushed(self) -> bool:
        """Whether the other end has been sent all that there was to send."""
        return self._transport.get_write_buffer_size() == 0

    def close(self, reason: str = "", at_once: bool = True) -> None:
        """Ends the link."""
        if at_once:
            self._transport.abort()
        else:
            self._transport.close()
        self._end(reason)

    def _end(self, reason: str) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None
        if not self.is_closed:
            self.is_closed, self.reason = True, reason
            if reason:
                self._reader = FrameReader(self._limits.message_octets)
            self._station.ready(self)


class TcpTransport(Transport):
    """Frames over TCP.

    Args:
        host: Address to listen at.
        port: 0 for any that is free.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._server: asyncio.Server | None = None

    async def open(self, station: Station, limits: Limits) -> None:
        """Begins to take links."""
        loop = asyncio.get_running_loop()
        with listening(N2, join_address(self._host, self._port)):
            self._server = await loop.create_server(
                lambda: FramedLink(station, limits, _peer_name), self._host, self._port, reuse_address=True
            )
        self.address = join_address(*self._server.sockets[0].getsockname()[:2])

    async def close(self) -> None:
        """Takes no links any more."""
        if self._server is not None:
            self._server.close()


def _peer_name(transport: asyncio.Transport) -> str:
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    peer = transport.get_extra_info("peername")
    return join_address(*peer[:2]) if peer else "unknown:0"


class UnixTransport(Transport):
    """Frames over a UNIX socket, which only its owner may use.

    Args:
        path: Of the socket; a socket that nobody listens at is replaced, nothing else is.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._server: asyncio.Server | None = None
        self._numbers = count(1)

    async def open(self, station: Station, limits: Limits) -> None:
        """Begins to take links."""
        self._clear()
        mask = os.umask(0o177)
        try:
            with listening(N2, str(self.path)):
                self._server = await asyncio.get_running_loop().create_unix_server(
                    lambda: FramedLink(station, limits, lambda _: f"unix:{next(self._numbers)}"), str(self.path)
                )
        finally:
            os.umask(mask)
        self.address = str(self.path)

    def _clear(self) -> None:
        """Removes what is left of a server that has ended."""
        try:
            if not stat.S_ISSOCK(self.path.lstat().st_mode):
                raise FileExistsError(f"{self.path} exists and is no socket")
        except FileNotFoundError:
            return
        with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(ConnectionRefusedError):
            probe.connect(str(self.path))
            raise FileExistsError(f"somebody listens at {self.path} already")
        self.path.unlink()

    async def close(self) -> None:
        """Takes no links any more."""
        if self._server is not None:
            self._server.close()
            self.path.unlink(missing_ok=True)


def join_address(host: str, port: int) -> str:
    """Returns `host:port`, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_address(text: str, port: int, name: str = "address") -> tuple[str, int]:
    """Returns host and port of `host`, `host:port`, `[host]` or `[host]:port`.

    Args:
        text: What was written.
        port: If none is given.
        name: Of what was written, for errors.

    Raises:
        ValueError: If it is none of these.
    """
    host, given = text, ""
    if text.startswith("["):
        host, closing, given = text[1:].partition("]")
        if not closing or (given and not given.startswith(":")):
            raise ValueError(f"{name} must be `host:port` or `[host]:port`, got {text!r}.")
        given = given[1:] if given else str(port)
    elif text.count(":") == 1:
        host, _, given = text.partition(":")
    else:
        given = str(port)
    if not host or not given.isdecimal() or not 0 <= int(given) < 1 << 16:
        raise ValueError(f"{name} must be a host and a port from 0 to 65535, got {text!r}.")
    return host, int(given)
