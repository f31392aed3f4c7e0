"""Link and network layers: frames to what IP packets carry for a transport.

Link types are those of Ethernet with VLAN tags, Linux cooked captures, loopback and raw IP, as in the registry of
link types of tcpdump.org. Checksums are not verified: what a host captures of its own traffic often has none yet.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from gentwin.signaling.capture.packets import SCTP_PROTOCOL, UDP_PROTOCOL, Skip
from gentwin.signaling.capture.reassembly import DatagramFragments

IP_ETHER_TYPES = {b"\x08\x00", b"\x86\xdd"}
VLAN_ETHER_TYPES = {b"\x81\x00", b"\x88\xa8", b"\x91\x00"}
# Numbers of the address families of IPv4 and IPv6 on the systems that have captures of loopback.
LOOPBACK_FAMILIES = {number.to_bytes(4, order) for number in (2, 10, 24, 28, 30) for order in ("big", "little")}
TRANSPORTS = (SCTP_PROTOCOL, UDP_PROTOCOL)

IPV4 = struct.Struct(">BxHHHxB")
IPV4_HEADER, IPV6_HEADER = 20, 40
MORE_FRAGMENTS, FRAGMENT_OFFSET = 0x2000, 0x1FFF
FRAGMENT, AUTHENTICATION = 44, 51
# Hop-by-hop options, routing, authentication, destination options, mobility, host identity, shim.
EXTENSIONS = frozenset((0, 43, AUTHENTICATION, 60, 135, 139, 140))


def _skip_ether_type(frame: bytes, start: int) -> int:
    """Returns where the IP packet begins after an EtherType at `start` and VLAN tags."""
    kind = frame[start : start + 2]
    while kind in VLAN_ETHER_TYPES:
        start += 4
        kind = frame[start : start + 2]
    if len(kind) < 2:
        raise Skip("truncated_packet")
    if kind not in IP_ETHER_TYPES:
        raise Skip("not_ip")
    return start + 2


def _skip_ethernet(frame: bytes) -> int:
    return _skip_ether_type(frame, 12)


def _skip_cooked(frame: bytes) -> int:
    return _skip_ether_type(frame, 14)


def _skip_cooked_v2(frame: bytes) -> int:
    kind = frame[:2]
    if kind in VLAN_ETHER_TYPES:
        return _skip_ether_type(frame, 22)
    return _skip_ether_type(frame, 0) + 18


def _skip_loopback(frame: bytes) -> int:
    if len(frame) >= 4 and frame[:4] not in LOOPBACK_FAMILIES:
        raise Skip("not_ip")
    return 4


def _skip_nothing(frame: bytes) -> int:
    return 0


ETHERNET, COOKED, COOKED_V2 = 1, 113, 276
NULL, LOOP = 0, 108
RAW, RAW_BSD, RAW_OPENBSD, RAW_IPV4, RAW_IPV6 = 101, 12, 14, 228, 229
LINKS: dict[int, Callable[[bytes], int]] = {
    ETHERNET: _skip_ethernet,
    COOKED: _skip_cooked,
    COOKED_V2: _skip_cooked_v2,
    NULL: _skip_loopback,
    LOOP: _skip_loopback,
    **dict.fromkeys((RAW, RAW_BSD, RAW_OPENBSD, RAW_IPV4, RAW_IPV6), _skip_nothing),
}


class Segment(NamedTuple):
    """What an IP packet carries: `data[start:end]`, of which less may have been captured.

    Args:
        transport: Protocol number.
        source: Address of 4 or 16 bytes.
        destination: Address of 4 or 16 bytes.
        data: Bytes that hold it.
        start: Where the transport's header begins.
        end: Where it ends by the packet's own length.
    """

    transport: int
    source: bytes
    destination: bytes
    data: bytes
    start: int
    end: int


class NetworkLayer:
    """Takes frames apart down to the transport and puts fragmented datagrams together.

    Args:
        counts: Where what is skipped is counted by reason.
    """

    def __init__(self, counts: Counter[str]) -> None:
        self._fragments = DatagramFragments(counts)

    def unwrap(self, link_type: int, frame: bytes, timestamp: float) -> Segment | None:
        """Returns what a frame carries over SCTP or UDP, or `None` if it is a fragment that others must follow.

        Args:
            link_type: Of the interface on which it was captured.
            frame: What was captured of it.
            timestamp: Seconds; fragments that are far apart do not belong together.

        Raises:
            Skip: If it carries neither.
        """
        skip_link = LINKS.get(link_type)
        if skip_link is None:
            raise Skip("unknown_link_type")
        start = skip_link(frame)
        if start >= len(frame):
            raise Skip("truncated_packet")
        version = frame[start] >> 4
        if version == 4:
            return self._unwrap_ipv4(frame, start, timestamp)
        if version == 6:
            return self._unwrap_ipv6(frame, start, timestamp)
        raise Skip("damaged_ip")

    def finish(self) -> None:
        """Counts what still waits."""
        self._fragments.finish()

    def _unwrap_ipv4(self, frame: bytes, start: int, timestamp: float) -> Segment | None:
        if len(frame) - start < IPV4_HEADER:
            raise Skip("truncated_packet")
        first, size, identification, fragment, transport = IPV4.unpack_from(frame, start)
        header = (first & 15) * 4
        # Length 0 is left by a network card that cuts large packets itself.
        size = size or len(frame) - start
        if header < IPV4_HEADER or size < header:
            raise Skip("damaged_ip")
        if transport not in TRANSPORTS:
            raise Skip("other_transport")
        source, destination = frame[start + 12 : start + 16], frame[start + 16 : start + 20]
        body, end = start + header, start + size
        if not fragment & (MORE_FRAGMENTS | FRAGMENT_OFFSET):
            return Segment(transport, source, destination, frame, body, end)
        if end > len(frame):
            raise Skip("truncated_packet")
        key = (source, destination, transport, identification)
        offset, more = (fragment & FRAGMENT_OFFSET) * 8, bool(fragment & MORE_FRAGMENTS)
        whole = self._fragments.add(key, offset, more, frame[body:end], timestamp)
        return None if whole is None else Segment(transport, source, destination, whole, 0, len(whole))

    def _unwrap_ipv6(self, frame: bytes, start: int, timestamp: float) -> Segment | None:
        if len(frame) - start < IPV6_HEADER:
            raise Skip("truncated_packet")
        size, header = int.from_bytes(frame[start + 4 : start + 6], "big"), frame[start + 6]
        source, destination = frame[start + 8 : start + 24], frame[start + 24 : start + 40]
        start += IPV6_HEADER
        data, end = frame, start + (size or len(frame) - start)
        header, start = _skip_extensions(header, data, start, end)
        if header == FRAGMENT:
            whole = self._add_ipv6_fragment((source, destination), data, start, end, timestamp)
            if whole is None:
                return None
            header, data, end = whole[0], whole[1], len(whole[1])
            header, start = _skip_extensions(header, data, 0, end)
        if header not in TRANSPORTS:
            raise Skip("other_transport")
        return Segment(header, source, destination, data, start, end)

    def _add_ipv6_fragment(
        self, addresses: tuple[bytes, bytes], data: bytes, start: int, end: int, timestamp: float
    ) -> tuple[int, bytes] | None:
        """Returns the next header and content of a datagram that is whole now."""
        if end > len(data) or end - start < 8:
            raise Skip("truncated_packet")
        header, place, identification = struct.unpack_from(">BxHI", data, start)
        if header not in TRANSPORTS and header not in EXTENSIONS:
            raise Skip("other_transport")
        body, offset, more = data[start + 8 : end], place & 0xFFF8, bool(place & 1)
        if not offset and not more:
            return header, body
        whole = self._fragments.add((*addresses, header, identification), offset, more, body, timestamp)
        return None if whole is None else (header, whole)


def _skip_extensions(header: int, data: bytes, start: int, end: int) -> tuple[int, int]:
    """Returns the first header that is no extension but that of a fragment, and where it begins.

    Source: RFC 8200, section 4.
    """
    while header in EXTENSIONS:
        if min(end, len(data)) - start < 8:
            raise Skip("truncated_packet")
        following, units = data[start], data[start + 1]
        start += (units + 2) * 4 if header == AUTHENTICATION else (units + 1) * 8
        header = following
    return header, start
