"""A core behind sockets: what comes together is heard together, and nobody who sends can stop it."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from gentwin.serving import gate
from gentwin.serving.limits import Limits
from gentwin.serving.links import Link, Transport
from gentwin.serving.silence import Silence
from gentwin.serving.user_planes import UserPlane
from gentwin.serving.watching import UNSENT, USER_PLANE, Watch
from gentwin.signaling import ngap
from gentwin.signaling.core.control_plane import SAID, ControlPlane, CoreEvent, Packet
from gentwin.signaling.messages import NGAP, Message, Record

SIGNALS = (signal.SIGINT, signal.SIGTERM)
FLUSH_SECONDS = 2.0  # that links are given to read the last of what they are sent

log = logging.getLogger(__name__)


class _Seat:
    """A base station: its link, and whether its NG setup was accepted."""

    __slots__ = ("accepted", "deadline", "heard", "link", "refused")

    def __init__(self, link: Link) -> None:
        self.link = link
        self.accepted = self.heard = False
        self.refused = 0
        self.deadline: asyncio.TimerHandle | None = None


class CoreServer:
    """Serves a core to base stations and a user plane.

    Whatever has come by the time the core is free is one batch, in which every link has a share; so a base station
    that sends without end delays itself. A core that raises an error loses the batch, not its service.

    Args:
        core: [`CoreTwin`][gentwin.pipelines.core_twin.CoreTwin], or another control plane.
        transport: Where base stations come to.
        user_plane: At the other end of N4.
        limits: What is taken from others.
        watch: Told of what happens; nobody if not given.
        clock: Returns the time in seconds since 1970.

    Example:
        ```python
        server = CoreServer(core, TcpTransport("127.0.0.5", 38412), InProcessUserPlane(EmulatedUpf(network)))
        asyncio.run(server.run())
        ```
    """

    def __init__(
        self,
        core: ControlPlane,
        transport: Transport,
        user_plane: UserPlane,
        *,
        limits: Limits | None = None,
        watch: Watch | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.core, self.transport, self.user_plane = core, transport, user_plane
        self.limits, self.clock = limits or Limits(), clock
        self._watch = watch or Watch()
        self._silence = Silence(self.limits.answer_seconds, self._tell_of_user_plane)
        self._seats: dict[str, _Seat] = {}
        self._ready: OrderedDict[Link | UserPlane, None] = OrderedDict()
        self._lost: list[str] = []
        self._wake = asyncio.Event()
        self._stopping = False

    # ------------------------------------------------------------ life

    async def run(self, started: Callable[[], None] | None = None, *, signals: bool = False) -> None:
        """Serves until `stop` is called.

        Args:
            started: Called when base stations may come.
            signals: Whether SIGINT and SIGTERM stop it; the second one at once.

        Raises:
            OSError: If an address cannot be used.
        """
        loop = asyncio.get_running_loop()
        await self.user_plane.open(self._hear_user_plane, self._refuse_datagram)
        try:
            await self.transport.open(self, self.limits)
            for number in SIGNALS if signals else ():
                loop.add_signal_handler(number, self._interrupted)
            if started is not None:
                started()
            await self._serve()
        finally:
            for number in SIGNALS if signals else ():
                loop.remove_signal_handler(number)
            await self.transport.close()
            await self._leave()
            self._silence.stop()
            self.user_plane.close()

    def stop(self) -> None:
        """Lets `run` end, after what is heard now was answered."""
        self._stopping = True
        self._wake.set()

    def _interrupted(self) -> None:
        log.info("stopping")
        for number in SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)
        self.stop()

    async def _leave(self) -> None:
        """Closes all links once they have read what they were sent, or had time to."""
        links = [seat.link for seat in self._seats.values()]
        for link in links:
            link.close(at_once=False)
        if links:
            await asyncio.sleep(0)
            end = asyncio.get_running_loop().time() + FLUSH_SECONDS
            while not all(link.is_flushed for link in links) and asyncio.get_running_loop().time() < end:
                await asyncio.sleep(0.01)
        for link in links:
            link.close()
        for seat in self._seats.values():
            if seat.deadline is not None:
                seat.deadline.cancel()

    async def _serve(self) -> None:
        self._say(self._call(self.core.start))
        while not self._stopping:
            await self._wait()
            for peer in self._take_lost():
                self._say(self._call(self.core.lose, peer))
            batch = self._gather()
            if batch:
                begun = time.perf_counter()
                self._say(self._call(self.core.hear, batch))
                self._watch.batch(len(batch), time.perf_counter() - begun)
            due = self._due()
            if due is not None and due <= self.clock():
                self._say(self._call(self.core.tick))
            self._forget_closed()
            await asyncio.sleep(0)  # sockets are read and written, however much there is to hear

    async def _wait(self) -> None:
        """Waits until there is something to hear, or a timer of the core runs out."""
        if self._ready or self._lost or self._stopping:
            return
        self._wake.clear()
        due, timer = self._due(), None
        if due is not None:
            timer = asyncio.get_running_loop().call_later(max(0.0, due - self.clock()), self._wake.set)
        await self._wake.wait()
        if timer is not None:
            timer.cancel()

    # ------------------------------------------------------------ the core

    def _call(self, action: Callable[..., Sequence[Packet]], *arguments: Any) -> Sequence[Packet]:
        """Returns what the core says; nothing if it fails."""
        try:
            return action(*arguments, self.clock())
        except Exception:  # an error of the core about one message must not end the service of others
            log.exception("the core failed in `%s`; what it heard is lost", getattr(action, "__name__", action))
            self._watch.refused("", "the core failed, and the batch is lost", self.clock())
            return ()

    def _due(self) -> float | None:
        try:
            return self.core.due()
        except Exception:  # as above
            log.exception("the core does not know when its next timer runs out")
            return None

    def _say(self, packets: Sequence[Packet]) -> None:
        sent = [(packet, self._send(packet)) for packet in packets]
        self._watch.sent(sent, self.clock())

    def _send(self, packet: Packet) -> bool:
        """Sends a packet of the core; returns whether there is a link for it."""
        if packet.protocol != NGAP:
            self._silence.asked(packet.data)
            self.user_plane.send(packet)
            return True
        seat = self._seats.get(packet.peer)
        if seat is None or seat.link.is_closed:
            return False
        outcome = gate.setup_outcome(packet.data)
        if outcome is not None:
            self._set_up(seat, outcome)
        seat.link.send(packet.data, packet.stream)
        return True

    def _tell_of_user_plane(self, *, answers: bool) -> None:
        self._watch.user_plane(self.user_plane.address, answers, self.clock())

    def _refuse_datagram(self, peer: str, reason: str) -> None:
        self._watch.refused(peer, reason, self.clock(), USER_PLANE)

    def _set_up(self, seat: _Seat, accepted: bool) -> None:
        seat.accepted = accepted
        if seat.deadline is not None and accepted:
            seat.deadline.cancel()
            seat.deadline = None

    # ------------------------------------------------------------ what comes

    def _gather(self) -> list[Packet]:
        """Returns the next batch: a share of each link that has something, those that waited longest first."""
        batch: list[Packet] = []
        for source in [*self._ready]:
            if len(batch) >= self.limits.batch:
                break
            packets = source.take(self.limits.share)
            if len(packets) < self.limits.share:
                self._ready.pop(source, None)
            else:
                self._ready.move_to_end(source)
            if source is self.user_plane:
                batch += packets
            else:
                batch += self._admit(source, packets)
        return batch

    def _admit(self, link: Link, packets: Sequence[Packet]) -> list[Packet]:
        """Returns what of a link's messages the core is to hear; others are answered here."""
        seat = self._seats.get(link.peer)
        if seat is None or seat.link is not link:
            return []
        admitted = []
        for packet in packets:
            if seat.accepted or gate.is_setup_request(packet.data):
                seat.heard = True
                admitted.append(packet)
            else:
                self._refuse(seat, packet)
        return admitted

    def _refuse(self, seat: _Seat, packet: Packet) -> None:
        """Says what is said to who is not set up, as often as that is borne with."""
        if seat.link.is_closed:
            return
        seat.refused += 1
        if seat.refused > self.limits.refusals:
            seat.link.close(f"sent more than {self.limits.refusals} messages before NG setup")
            return
        reason, answer = gate.refuse(packet.data)
        self._watch.refused(packet.peer, reason, self.clock())
        if answer is not None:
            self._answer_stranger(answer, packet)

    def _answer_stranger(self, answer: Message, packet: Packet) -> None:
        """Says something in place of the core."""
        said, now = Packet(NGAP, packet.peer, ngap.encode(answer), packet.stream), self.clock()
        record = Record(answer, now, self.transport.address, said.peer, said.stream, said.data)
        kind = SAID if self._send(said) else UNSENT
        self._watch.answered(CoreEvent(kind, now, said.peer, record=record))

    def opened(self, link: Link) -> None:
        """Takes a new link; called by the transport."""
        known = self._seats.get(link.peer)
        if known is not None and known.link.is_closed:
            self._remove(known)
        elif known is not None or len(self._seats) >= self.limits.links or self._stopping:
            self._watch.refused(link.peer, f"there are {len(self._seats)} links already", self.clock())
            link.close("turned away")
            return
        seat = self._seats[link.peer] = _Seat(link)
        late = f"no NG setup was accepted within {self.limits.setup_seconds:g} s"
        seat.deadline = asyncio.get_running_loop().call_later(self.limits.setup_seconds, link.close, late)
        self._watch.link(link.peer, True, "", self.clock())

    def ready(self, source: Link | UserPlane) -> None:
        """Takes note that there may be something to take; called by transport and user plane."""
        self._ready[source] = None
        self._wake.set()

    def _hear_user_plane(self) -> None:
        """Takes note that the user plane has said something: it is not silent, however long the core is busy."""
        self._silence.heard()
        self.ready(self.user_plane)

    def _forget_closed(self) -> None:
        """Lets go of links that are closed and have been heard to the end."""
        for seat in [seat for seat in self._seats.values() if seat.link.is_closed and seat.link not in self._ready]:
            self._remove(seat)

    def _remove(self, seat: _Seat) -> None:
        link = seat.link
        del self._seats[link.peer]
        self._ready.pop(link, None)
        if seat.deadline is not None:
            seat.deadline.cancel()
        if seat.heard:
            self._lost.append(link.peer)
            self._wake.set()
        self._watch.link(link.peer, False, link.reason, self.clock())

    def _take_lost(self) -> list[str]:
        lost, self._lost = self._lost, []
        return lost
