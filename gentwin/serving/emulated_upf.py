"""The user plane of the reference core, for cores that have none: datagrams in, datagrams out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from random import Random

from gentwin.serving.links import join_address, listening, split_address
from gentwin.serving.user_planes import FULL, MOST_WAITING, Refused, UserPlane
from gentwin.signaling import pfcp
from gentwin.signaling.core.clock import Clock
from gentwin.signaling.core.configuration import Capacity, Delays, Faults, NetworkConfiguration
from gentwin.signaling.core.control_plane import Packet
from gentwin.signaling.core.links import Links, Node
from gentwin.signaling.core.pfcp_node import PORT
from gentwin.signaling.core.servers import Works
from gentwin.signaling.core.upf import Upf
from gentwin.signaling.messages import PFCP, Message

NO_DELAYS = Delays(**{name: 0.0 for name in Delays.__slots__})
NO_LIMITS = Capacity(**{name: 0 for name in Capacity.__slots__})

log = logging.getLogger(__name__)


class _Smf:
    """The control plane as the user plane sees it: what it is to receive goes out as bytes."""

    def __init__(self, address: str, out: list[bytes]) -> None:
        self.address, self.up, self._out = address, True, out

    def receive(self, message: Message, sender: Node, stream: int) -> None:
        """Takes a message."""
        self._out.append(pfcp.encode(message))


class EmulatedUpf:
    """Control side of a user plane. It answers at once; packets of users are counted only.

    Args:
        network: Of the core.
        seed: Of its identifiers; random ones if None.
    """

    def __init__(self, network: NetworkConfiguration, seed: int | None = None) -> None:
        random = Random(seed)
        self._clock, self._out = Clock(), []
        self._links = Links(self._clock, random, Faults(), 0.0)
        self._links.records = deque(maxlen=0)
        self._upf = Upf(network, self._links, Works(NO_DELAYS, NO_LIMITS, self._clock, random))
        self._smf = self._upf.peer = _Smf(join_address(network.smf_address, PORT), self._out)

    @property
    def address(self) -> str:
        """Address of its end of N4."""
        return self._upf.address

    def start(self, now: float) -> None:
        """Begins to work, at a time in seconds since 1970, as in all that follows."""
        self._clock.now = now
        self._upf.recover()

    def hear(self, data: bytes, now: float) -> list[bytes]:
        """Returns the datagrams that are sent because of one that came; what is no message gets none."""
        self._pass(now)
        try:
            for message in pfcp.decode_all(data):
                self._upf.receive(message, self._smf, 0)
        except Exception as error:  # whatever a core sends, the user plane goes on
            log.info("the emulated UPF takes no notice of a datagram: %r", error)
        return self.tick(now)

    def due(self) -> float | None:
        """Returns when something happens next here; None if nothing will."""
        return self._clock.due

    def tick(self, now: float) -> list[bytes]:
        """Lets happen what is due, and returns the datagrams that are sent."""
        self._pass(now)
        out = [*self._out]
        self._out.clear()
        return out

    def _pass(self, now: float) -> None:
        while True:
            try:
                if not self._clock.step(now):
                    break
            except Exception as error:  # as above
                log.info("the emulated UPF leaves something undone: %r", error)
        self._clock.now = max(self._clock.now, now)


class _Timed:
    """Lets the time of an emulated UPF pass.

    Args:
        upf: Which.
        say: Sends its datagrams.
        clock: Returns the time in seconds since 1970.
    """

    def __init__(self, upf: EmulatedUpf, say: Callable[[list[bytes]], None], clock: Callable[[], float]) -> None:
        self._upf, self._say, self._clock = upf, say, clock
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._upf.start(self._clock())

    def hear(self, data: bytes) -> None:
        self._say(self._upf.hear(data, self._clock()))
        self._wait()

    def _tick(self) -> None:
        self._say(self._upf.tick(self._clock()))
        self._wait()

    def _wait(self) -> None:
        self.stop()
        due = self._upf.due()
        if due is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, due - self._clock()), self._tick)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class InProcessUserPlane(UserPlane):
    """An emulated UPF in the process of the core: no socket, nothing on a wire.

    Args:
        upf: That answers.
        clock: Returns the time in seconds since 1970.
    """

    def __init__(self, upf: EmulatedUpf, clock: Callable[[], float] = time.time) -> None:
        self._timed, self.address = _Timed(upf, self._heard, clock), upf.address
        self._waiting: deque[Packet] = deque()
        self._ready: Callable[[], None] = lambda: None
        self._refused: Refused = lambda peer, reason: None

    async def open(self, ready: Callable[[], None], refused: Refused = lambda peer, reason: None) -> None:
        """Begins to answer."""
        self._ready, self._refused = ready, refused
        self._timed.start()

    def _heard(self, datagrams: list[bytes]) -> None:
        for data in datagrams:
            if len(self._waiting) < MOST_WAITING:
                self._waiting.append(Packet(PFCP, self.address, data))
            else:
                self._refused(self.address, FULL)
        if datagrams:
            self._ready()

    def take(self, count: int) -> list[Packet]:
        """Returns datagrams that have come."""
        return [self._waiting.popleft() for _ in range(min(count, len(self._waiting)))]

    def send(self, packet: Packet) -> None:
        """Lets the UPF answer a datagram."""
        self._timed.hear(packet.data)

    def close(self) -> None:
        """Ends the UPF."""
        self._timed.stop()


class EmulatedUpfServer(asyncio.DatagramProtocol):
    """An emulated UPF with a socket of its own, whose datagrams can be captured.

    Args:
        upf: That answers.
        smf: Host of the control plane; what others send is thrown away.
        clock: Returns the time in seconds since 1970.
    """

    def __init__(self, upf: EmulatedUpf, smf: str, clock: Callable[[], float] = time.time) -> None:
        self._timed, self._address, self._smf = _Timed(upf, self._send, clock), upf.address, (smf, PORT)
        self._transport: asyncio.DatagramTransport | None = None
        self._asked_from = self._smf

    async def open(self) -> None:
        """Begins to listen.

        Raises:
            OSError: If the address cannot be used.
        """
        with listening("The emulated UPF (`network.upf_address`)", self._address):
            self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: self, local_addr=split_address(self._address, PORT)
            )
        self._timed.start()

    def datagram_received(self, data: bytes, address: tuple) -> None:
        """Called by the event loop."""
        if address[0] == self._smf[0]:
            self._asked_from = address[:2]
            self._timed.hear(data)

    def _send(self, datagrams: list[bytes]) -> None:
        for data in datagrams:
            self._transport.sendto(data, self._asked_from)

    def close(self) -> None:
        """Ends it."""
        self._timed.stop()
        if self._transport is not None:
            self._transport.close()
