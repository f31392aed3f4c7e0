"""The file formats pcap and pcapng: frames with their link type and time.

Source: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from gentwin.signaling.capture.source import ByteSource
from gentwin.signaling.errors import DecodeError

# The longest frame that capture tools write.
MAX_FRAME = 262_144
MAX_BLOCK = MAX_FRAME + 65_536
MAX_INTERFACES = 65_536

PCAP_HEADER, PCAP_LINK_TYPE = 24, 20
# Magic number as it is in the file -> byte order, parts of a second.
PCAP_MAGICS = {
    b"\xd4\xc3\xb2\xa1": ("<", 10**6),
    b"\xa1\xb2\xc3\xd4": (">", 10**6),
    b"\x4d\x3c\xb2\xa1": ("<", 10**9),
    b"\xa1\xb2\x3c\x4d": (">", 10**9),
}

SECTION_MAGIC = b"\x0a\x0d\x0d\x0a"
SECTION, INTERFACE, OBSOLETE_PACKET, SIMPLE_PACKET, ENHANCED_PACKET = 0x0A0D0D0A, 1, 2, 3, 6
BYTE_ORDERS = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
OPTION_END, OPTION_RESOLUTION, OPTION_OFFSET = 0, 9, 14

Frame = tuple[int, float, bytes]
"""Link type, seconds since 1970, bytes."""


def open_frames(source: ByteSource, counts: Counter[str]) -> Iterator[Frame]:
    """Returns the frames of a capture file.

    Args:
        source: Its bytes, from the start.
        counts: Where what is skipped is counted by reason.

    Raises:
        DecodeError: If it is no capture.
    """
    magic = source.data[:4] if source.has(4) else b""
    if magic in PCAP_MAGICS:
        return _pcap_frames(source, *_open_pcap(source))
    if magic == SECTION_MAGIC and source.has(12) and source.data[8:12] in BYTE_ORDERS:
        return iter(PcapngFrames(source, counts))
    start = source.data[:12].hex(" ")
    raise DecodeError(
        f"file must be a pcap or pcapng capture, got one that begins with `{start}`; convert it to pcapng"
    )


def _open_pcap(source: ByteSource) -> tuple[str, int, int]:
    """Passes the header of a pcap file and returns its byte order, parts of a second and link type."""
    if not source.has(PCAP_HEADER):
        raise DecodeError(f"pcap header must have {PCAP_HEADER} bytes, got {len(source.data)}; the file is cut off")
    order, parts = PCAP_MAGICS[source.data[:4]]
    # The upper half says whether frames end with a check sequence, which the lengths inside leave out anyway.
    link_type = struct.unpack_from(f"{order}I", source.data, PCAP_LINK_TYPE)[0] & 0xFFFF
    source.position = PCAP_HEADER
    return order, parts, link_type


def _pcap_frames(source: ByteSource, order: str, parts: int, link_type: int) -> Iterator[Frame]:
    unpack = struct.Struct(f"{order}III").unpack_from
    while source.has(16):
        seconds, fraction, size = unpack(source.data, source.position)
        if size > MAX_FRAME:
            return source.stop("damaged_file")
        if not source.has(16 + size):
            break
        start = source.position + 16
        source.position = start + size
        # A quotient of whole numbers is rounded once, so that writing the time again gives the same digits.
        yield link_type, (seconds * parts + fraction) / parts, source.data[start : start + size]
    return source.finish()


class _Interface(NamedTuple):
    """What a pcapng interface description says: link type, longest frame, parts of a second, seconds to add."""

    link_type: int
    snap_length: int
    parts: int
    offset: int


class PcapngFrames:
    """Frames of a pcapng file, whose sections may differ in byte order and interfaces.

    Args:
        source: Bytes of the file from the first section header block.
        counts: Where what is skipped is counted by reason.
    """

    def __init__(self, source: ByteSource, counts: Counter[str]) -> None:
        self._source, self._counts = source, counts
        self._interfaces: list[_Interface] = []
        self._use_order("<")

    def __iter__(self) -> Iterator[Frame]:
        source = self._source
        while source.has(12):
            if not self._enter_section():
                return source.stop("damaged_file")
            kind, size = self._block.unpack_from(source.data, source.position)
            if size < 12 or size % 4:
                return source.stop("damaged_file")
            if size > MAX_BLOCK:
                start = source.offset
                if not source.skip(size):
                    return source.stop("truncated_file", start)
                self._counts["oversized_block"] += 1
                continue
            if not source.has(size):
                break
            start, end = source.position, source.position + size
            if self._word.unpack_from(source.data, end - 4)[0] != size:
                return source.stop("damaged_file")
            source.position = end
            if frame := self._read_block(kind, source.data, start, end - 4):
                yield frame
        return source.finish()

    def _use_order(self, order: str) -> None:
        self._half, self._word = struct.Struct(f"{order}H"), struct.Struct(f"{order}I")
        self._block, self._packet = struct.Struct(f"{order}II"), struct.Struct(f"{order}IIII")
        self._description, self._option = struct.Struct(f"{order}HxxI"), struct.Struct(f"{order}HH")
        self._long = struct.Struct(f"{order}q")

    def _enter_section(self) -> bool:
        """Takes on the byte order of a section that begins here; returns whether it is one, or none begins here."""
        data, start = self._source.data, self._source.position
        if data[start : start + 4] != SECTION_MAGIC:
            return True
        order = BYTE_ORDERS.get(data[start + 8 : start + 12])
        if order is None:
            return False
        self._use_order(order)
        self._interfaces.clear()
        return True

    def _read_block(self, kind: int, data: bytes, start: int, end: int) -> Frame | None:
        """Returns the frame in a block, if it is of a kind that has one; `end` is where its content ends."""
        start += 8
        if kind in (ENHANCED_PACKET, OBSOLETE_PACKET):
            frame = self._read_packet(kind, data, start, end)
        elif kind == SIMPLE_PACKET:
            frame = self._read_simple_packet(data, start, end)
        elif kind == SECTION or (kind == INTERFACE and self._describe_interface(data, start, end)):
            return None
        else:
            self._counts["damaged_block" if kind == INTERFACE else "other_block"] += 1
            return None
        if frame is None:
            self._counts["damaged_block"] += 1
        return frame

    def _read_packet(self, kind: int, data: bytes, start: int, end: int) -> Frame | None:
        if end - start < 20:
            return None
        number, high, low, size = self._packet.unpack_from(data, start)
        if kind == OBSOLETE_PACKET:
            (number,) = self._half.unpack_from(data, start)
        start += 20
        if number >= len(self._interfaces) or size > end - start:
            return None
        interface = self._interfaces[number]
        ticks = (high << 32 | low) + interface.offset * interface.parts
        return interface.link_type, ticks / interface.parts, data[start : start + size]

    def _read_simple_packet(self, data: bytes, start: int, end: int) -> Frame | None:
        if end - start < 4 or not self._interfaces:
            return None
        interface, start = self._interfaces[0], start + 4
        (size,) = self._word.unpack_from(data, start - 4)
        size = min(size, interface.snap_length or size)
        if size > end - start:
            return None
        self._counts["no_timestamp"] += 1
        return interface.link_type, 0.0, data[start : start + size]

    def _describe_interface(self, data: bytes, start: int, end: int) -> bool:
        if end - start < 8 or len(self._interfaces) >= MAX_INTERFACES:
            return False
        link_type, snap_length = self._description.unpack_from(data, start)
        parts, offset, start = 10**6, 0, start + 8
        while end - start >= 4:
            code, size = self._option.unpack_from(data, start)
            start += 4
            if code == OPTION_END or size > end - start:
                break
            if code == OPTION_RESOLUTION and size == 1:
                parts = 2 ** (data[start] & 127) if data[start] & 128 else 10 ** data[start]
            elif code == OPTION_OFFSET and size == 8:
                (offset,) = self._long.unpack_from(data, start)
            start += size + -size % 4
        self._interfaces.append(_Interface(link_type, snap_length, parts, offset))
        return True
