"""Parts that wait for their rest: fragments of IP datagrams and of SCTP user messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

from gentwin.signaling.capture.packets import Skip

MAX_DATAGRAM = 65_535
# Bytes that fragments of each kind may take while they wait; each is charged for what keeping it costs.
MAX_WAITING_BYTES = 4 << 20
FRAGMENT_COST = 256
# Source: RFC 1122, section 3.3.2, and RFC 8200, section 4.5.
MAX_WAIT_S = 60.0
TSN_MASK = 0xFFFFFFFF


class _Datagram:
    """Fragments of one IP datagram by offset; `parts` is `None` once it was whole."""

    __slots__ = ("cost", "parts", "received", "size", "timestamp")

    def __init__(self, timestamp: float) -> None:
        self.parts: dict[int, bytes] | None = {}
        self.timestamp = timestamp
        self.size: int | None = None
        self.received = 0
        self.cost = FRAGMENT_COST


class DatagramFragments:
    """Puts fragmented IP datagrams together.

    A datagram that was whole is remembered for a while, so that fragments captured twice start no new one.

    Args:
        counts: Where what is dropped is counted by reason.
    """

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._datagrams: dict[Hashable, _Datagram] = {}
        self._cost = 0

    def add(self, key: Hashable, offset: int, more: bool, part: bytes, timestamp: float) -> bytes | None:
        """Takes a fragment and returns the content of its datagram if that is whole now.

        Args:
            key: What fragments of one datagram have in common.
            offset: Where it belongs, in bytes.
            more: Whether others belong behind it.
            part: Its bytes.
            timestamp: Seconds.

        Raises:
            Skip: If it is seen again or cannot be right.
        """
        if not part or (more and len(part) % 8) or offset + len(part) > MAX_DATAGRAM:
            raise Skip("damaged_ip")
        datagram = self._datagrams.get(key)
        if datagram and abs(timestamp - datagram.timestamp) > MAX_WAIT_S:
            self._drop(key)
            datagram = None
        if datagram is None:
            datagram = self._datagrams[key] = _Datagram(timestamp)
            self._cost += FRAGMENT_COST
        if datagram.parts is None or offset in datagram.parts:
            raise Skip("repeated_fragment")
        datagram.parts[offset] = part
        datagram.received += len(part)
        datagram.cost += len(part) + FRAGMENT_COST
        self._cost += len(part) + FRAGMENT_COST
        if not more:
            datagram.size = offset + len(part)
        whole = self._join(key, datagram) if datagram.size and datagram.received >= datagram.size else None
        while self._cost > MAX_WAITING_BYTES:
            self._drop(next(iter(self._datagrams)))
        return whole

    def finish(self) -> None:
        """Drops and counts what still waits."""
        for key in list(self._datagrams):
            self._drop(key)

    def _join(self, key: Hashable, datagram: _Datagram) -> bytes:
        whole = bytearray()
        for offset in sorted(datagram.parts):
            if offset != len(whole):
                break
            whole += datagram.parts[offset]
        self._cost -= datagram.cost - FRAGMENT_COST
        datagram.parts, datagram.cost = None, FRAGMENT_COST
        if len(whole) != datagram.received or len(whole) != datagram.size:
            raise Skip("damaged_ip")
        return bytes(whole)

    def _drop(self, key: Hashable) -> None:
        datagram = self._datagrams.pop(key)
        self._cost -= datagram.cost
        if datagram.parts is not None:
            self._counts["incomplete_datagram"] += 1


_Parts = bytes | tuple["_Parts", "_Parts"]


class _Run:
    """Consecutive fragments of one user message."""

    __slots__ = ("begins", "cost", "ends", "first", "group", "last", "parts", "payload_protocol")

    def __init__(self, group: Hashable, number: int, begins: bool, ends: bool, part: bytes, payload_protocol: int):
        self.group, self.first, self.last = group, number, number
        self.begins, self.ends = begins, ends
        self.parts: _Parts = part
        self.cost = len(part) + FRAGMENT_COST
        self.payload_protocol = payload_protocol

    def append(self, other: _Run) -> None:
        """Takes over a run that follows."""
        # Not put together yet, so that fragments in any order take time in proportion to their number.
        self.parts = self.parts, other.parts
        self.last, self.ends = other.last, other.ends
        self.cost += other.cost

    @property
    def whole(self) -> bool:
        return self.begins and self.ends

    @property
    def content(self) -> bytes:
        """All bytes."""
        found, waiting = [], [self.parts]
        while waiting:
            parts = waiting.pop()
            if isinstance(parts, tuple):
                waiting += reversed(parts)
            else:
                found.append(parts)
        return b"".join(found)


class MessageFragments:
    """Puts fragmented SCTP user messages together, in whatever order their fragments come.

    Fragments of one message have consecutive numbers, the first is marked as such and so is the last.

    Args:
        counts: Where what is dropped is counted by reason.

    Source: RFC 9260, section 6.9; RFC 8260, section 2.
    """

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._runs: dict[_Run, None] = {}
        self._by_first: dict[Hashable, _Run] = {}
        self._by_last: dict[Hashable, _Run] = {}
        self._cost = 0

    def add(
        self, group: Hashable, number: int, begins: bool, ends: bool, part: bytes, payload_protocol: int
    ) -> tuple[bytes, int] | None:
        """Takes a fragment and returns the bytes and payload protocol of its message if that is whole now.

        Args:
            group: What fragments of one message have in common.
            number: Its place, modulo 2**32.
            begins: Whether it is the first.
            ends: Whether it is the last.
            part: Its bytes.
            payload_protocol: What the message is, if this is the first.
        """
        run = _Run(group, number, begins, ends, part, payload_protocol)
        # A run is found at an end only where it can grow: not in front of a first fragment, nor behind a last one.
        if not begins and (before := self._by_last.get((group, (number - 1) & TSN_MASK))):
            self._forget(before)
            before.append(run)
            run = before
        if not ends and (after := self._by_first.get((group, (number + 1) & TSN_MASK))):
            self._forget(after)
            run.append(after)
        if run.whole:
            return run.content, run.payload_protocol
        self._remember(run)
        while self._cost > MAX_WAITING_BYTES:
            self._drop(next(iter(self._runs)))
        return None

    def finish(self) -> None:
        """Drops and counts what still waits."""
        for run in list(self._runs):
            self._drop(run)

    def _drop(self, run: _Run) -> None:
        self._forget(run)
        self._counts["incomplete_message"] += 1

    def _remember(self, run: _Run) -> None:
        self._runs[run] = None
        self._cost += run.cost
        if not run.begins:
            self._by_first[run.group, run.first] = run
        if not run.ends:
            self._by_last[run.group, run.last] = run

    def _forget(self, run: _Run) -> None:
        del self._runs[run]
        self._cost -= run.cost
        # Another run may have taken the place if numbers repeat.
        if self._by_first.get((run.group, run.first)) is run:
            del self._by_first[run.group, run.first]
        if self._by_last.get((run.group, run.last)) is run:
            del self._by_last[run.group, run.last]
