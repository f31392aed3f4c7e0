"""Transports: user messages of SCTP and datagrams of UDP, each once.

Checksums are not verified, as in the network layer.
"""

from __future__ import annotations

import ipaddress
import struct
import zlib
from array import array
from collections import Counter
from collections.abc import Collection, Iterator
from functools import lru_cache

from gentwin.signaling.capture.network import Segment
from gentwin.signaling.capture.packets import Packet, Skip
from gentwin.signaling.capture.reassembly import MessageFragments
from gentwin.signaling.messages import NGAP, PFCP

# 60 is NGAP (TS 38.412, clause 7). Some senders leave it in their machine's byte order; nothing else has that number.
NGAP_PAYLOAD_PROTOCOLS = (60, 60 << 24)

SCTP_HEADER, CHUNK_HEADER, DATA_HEADER, I_DATA_HEADER = 12, 4, 16, 20
CHUNK, DATA_FIELDS, I_DATA_FIELDS = struct.Struct(">BBH"), struct.Struct(">IHxxI"), struct.Struct(">IHxxII")
DATA, I_DATA = 0, 64
END_FLAG, BEGIN_FLAG, UNORDERED_FLAG = 1, 2, 4
NO_TAG = bytes(4)

MAX_ASSOCIATIONS = 8192
WINDOW = 1024
EMPTY_WINDOW = array("q", (-1,)) * WINDOW

UDP_FIELDS = struct.Struct(">HHH")
UDP_HEADER = 8
MAX_RECENT_DATAGRAMS = 256
REPEAT_S = 1e-3


@lru_cache(maxsize=1 << 14)
def _endpoint(address: bytes, port: bytes) -> str:
    """Returns `host:port`, with an IPv6 host in brackets."""
    host = ipaddress.ip_address(address)
    return f"{f'[{host}]' if host.version == 6 else host}:{int.from_bytes(port, 'big')}"


class SctpLayer:
    """Reads NGAP messages from SCTP packets.

    A direction of an association is known by its ports and verification tag, whatever the addresses, since both ends
    may have several. For each, the last 1024 transmission sequence numbers are remembered, so that what is sent or
    captured again is seen as such. A tag of 0, which no association has, marks a capture made by a tool: there,
    nothing is taken for a repetition.

    Args:
        counts: Where what is skipped is counted by reason.

    Source: RFC 9260, section 3; RFC 8260, section 2.
    """

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._windows: dict[bytes, array[int]] = {}
        self._fragments = MessageFragments(counts)
        self._readers = {DATA: self._read_data, I_DATA: self._read_i_data}

    def messages(self, segment: Segment, timestamp: float) -> Iterator[Packet]:
        """Yields the messages that a packet carries or makes whole, in its order.

        Args:
            segment: An SCTP packet.
            timestamp: When it was captured, in seconds.

        Raises:
            Skip: At the place from which on it cannot be read.
        """
        _, source, destination, data, start, end = segment
        captured = min(end, len(data))
        if captured - start < SCTP_HEADER:
            raise Skip("truncated_packet")
        sender = _endpoint(source, data[start : start + 2])
        receiver = _endpoint(destination, data[start + 2 : start + 4])
        association = data[start : start + 8]
        if association.endswith(NO_TAG):
            association += source + destination
        position = start + SCTP_HEADER
        while captured - position >= CHUNK_HEADER:
            kind, flags, size = CHUNK.unpack_from(data, position)
            if size < CHUNK_HEADER:
                raise Skip("damaged_sctp")
            if position + size > captured:
                break
            if read := self._readers.get(kind):
                found = read(association, flags, data, position, position + size)
                if found is not None:
                    yield Packet(found[0], NGAP, timestamp, sender, receiver, found[1])
            else:
                self._counts["control_chunk"] += 1
            position += size + (-size & 3)
        if position < end:
            raise Skip("truncated_packet")

    def finish(self) -> None:
        """Counts what still waits."""
        self._fragments.finish()

    def _read_data(self, association: bytes, flags: int, data: bytes, start: int, end: int) -> tuple[bytes, int] | None:
        """Returns bytes and stream of the message that a DATA chunk carries or makes whole."""
        if end - start <= DATA_HEADER:
            self._counts["damaged_sctp"] += 1
            return None
        number, stream, payload_protocol = DATA_FIELDS.unpack_from(data, start + CHUNK_HEADER)
        if payload_protocol not in NGAP_PAYLOAD_PROTOCOLS:
            self._counts["other_payload_protocol"] += 1
            return None
        part = data[start + DATA_HEADER : end]
        if self._is_repeated(association, number, part):
            return None
        begins, ends = bool(flags & BEGIN_FLAG), bool(flags & END_FLAG)
        if begins and ends:
            return part, stream
        group = (association, stream, flags & UNORDERED_FLAG)
        whole = self._fragments.add(group, number, begins, ends, part, payload_protocol)
        return None if whole is None else (whole[0], stream)

    def _read_i_data(
        self, association: bytes, flags: int, data: bytes, start: int, end: int
    ) -> tuple[bytes, int] | None:
        """Returns bytes and stream of the message that an I-DATA chunk carries or makes whole."""
        if end - start <= I_DATA_HEADER:
            self._counts["damaged_sctp"] += 1
            return None
        number, stream, message, place = I_DATA_FIELDS.unpack_from(data, start + CHUNK_HEADER)
        part = data[start + I_DATA_HEADER : end]
        if self._is_repeated(association, number, part):
            return None
        # The first fragment has number 0 and says the payload protocol where others have their number.
        begins, ends = bool(flags & BEGIN_FLAG), bool(flags & END_FLAG)
        group = (association, stream, flags & UNORDERED_FLAG, message)
        whole = self._fragments.add(group, 0 if begins else place, begins, ends, part, place)
        if whole is None:
            return None
        if whole[1] not in NGAP_PAYLOAD_PROTOCOLS:
            self._counts["other_payload_protocol"] += 1
            return None
        return whole[0], stream

    def _is_repeated(self, association: bytes, number: int, part: bytes) -> bool:
        """Returns whether a chunk of this number and content was seen before, and remembers it."""
        if association[4:8] == NO_TAG:
            return False
        window = self._windows.get(association)
        if window is None:
            window = self._windows[association] = EMPTY_WINDOW[:]
            if len(self._windows) > MAX_ASSOCIATIONS:
                del self._windows[next(iter(self._windows))]
                self._counts["forgotten_association"] += 1
        # The same number with other content is of another association that happens to have the same tag.
        mark = zlib.crc32(part) >> 1 << 32 | number
        place = number % WINDOW
        if window[place] == mark:
            self._counts["repeated_chunk"] += 1
            return True
        window[place] = mark
        return False


class UdpLayer:
    """Reads PFCP messages from UDP datagrams.

    Args:
        counts: Where what is skipped is counted by reason.
        ports: Numbers of which PFCP entities use one at least at one end.

    Source: RFC 768; TS 29.244, clause 6.4.
    """

    def __init__(self, counts: Counter[str], ports: Collection[int]) -> None:
        self._counts = counts
        self._ports = frozenset(ports)
        self._recent: dict[tuple[str, str, bytes], float] = {}

    def messages(self, segment: Segment, timestamp: float) -> Iterator[Packet]:
        """Yields the message that a datagram carries, if it is of a PFCP port and was not captured before.

        Args:
            segment: A UDP datagram.
            timestamp: When it was captured, in seconds.

        Raises:
            Skip: If it cannot be read.
        """
        _, source, destination, data, start, end = segment
        captured = min(end, len(data))
        if captured - start < UDP_HEADER:
            raise Skip("truncated_packet")
        source_port, destination_port, size = UDP_FIELDS.unpack_from(data, start)
        if source_port not in self._ports and destination_port not in self._ports:
            raise Skip("other_port")
        if size <= UDP_HEADER or start + size > end:
            raise Skip("damaged_udp")
        if start + size > captured:
            raise Skip("truncated_packet")
        payload = data[start + UDP_HEADER : start + size]
        sender = _endpoint(source, data[start : start + 2])
        receiver = _endpoint(destination, data[start + 2 : start + 4])
        if self._is_repeated((sender, receiver, payload), timestamp):
            raise Skip("repeated_datagram")
        yield Packet(payload, PFCP, timestamp, sender, receiver)

    def _is_repeated(self, datagram: tuple[str, str, bytes], timestamp: float) -> bool:
        """Returns whether a datagram was seen a moment before, and remembers it as the newest."""
        before = self._recent.pop(datagram, None)
        self._recent[datagram] = timestamp
        if len(self._recent) > MAX_RECENT_DATAGRAMS:
            del self._recent[next(iter(self._recent))]
        return before is not None and abs(timestamp - before) <= REPEAT_S
