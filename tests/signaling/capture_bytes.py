"""Captures made by hand, layer by layer, to test the reader with."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable

from gentwin.signaling.capture import CaptureReader, Packet, read_capture

AMF, GNB = bytes((10, 0, 0, 5)), bytes((10, 0, 0, 1))
AMF6, GNB6 = bytes((0x20, 1, 0xD, 0xB8, *[0] * 11, 5)), bytes((0x20, 1, 0xD, 0xB8, *[0] * 11, 1))
NGAP_PORT, GNB_PORT, PFCP_PORT = 38412, 40000, 8805
SCTP, UDP = 132, 17
FIRST, LAST, WHOLE = 2, 1, 3


def read(capture: bytes, **options) -> tuple[list[Packet], CaptureReader]:
    """Returns all that is delivered of a capture, and its reader."""
    reader = read_capture(io.BytesIO(capture), **options)
    return list(reader), reader


def payloads(capture: bytes, **options) -> tuple[list[bytes], dict[str, int]]:
    """Returns the bytes delivered of a capture and what was counted."""
    packets, reader = read(capture, **options)
    return [packet.payload for packet in packets], dict(reader.counts)


def pcap(
    *frames: bytes, link: int = 1, order: str = "<", magic: int = 0xA1B2C3D4, times: Iterable[tuple] = ()
) -> bytes:
    """Returns a pcap file; frame `i` is of second 1000 and `i` parts of it unless `times` say otherwise."""
    times = list(times) or [(1000, place) for place in range(len(frames))]
    records = [
        struct.pack(f"{order}IIII", *time, len(frame), len(frame)) + frame
        for time, frame in zip(times, frames, strict=True)
    ]
    return struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, link) + b"".join(records)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """Returns a pcapng block."""
    body += bytes(-len(body) % 4)
    size = struct.pack(f"{order}I", 12 + len(body))
    return struct.pack(f"{order}I", kind) + size + body + size


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link: int = 1, options: bytes = b"", snap_length: int = 0, order: str = "<") -> bytes:
    return block(1, struct.pack(f"{order}HHI", link, 0, snap_length) + options, order)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4)


def enhanced(frame: bytes, number: int = 0, ticks: int = 0, order: str = "<") -> bytes:
    fields = (number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
    return block(6, struct.pack(f"{order}IIIII", *fields) + frame + bytes(-len(frame) % 4), order)


def ethernet(packet: bytes, tags: bytes = b"") -> bytes:
    return bytes(12) + tags + (b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00") + packet


def ipv4(
    body: bytes,
    transport: int = SCTP,
    source: bytes = GNB,
    destination: bytes = AMF,
    options: bytes = b"",
    fragment: int = 0,
    identification: int = 9,
    size: int | None = None,
) -> bytes:
    """Returns an IPv4 packet; `fragment` is the field of flags and offset."""
    header = 20 + len(options)
    size = header + len(body) if size is None else size
    fields = (0x40 | header // 4, 0, size, identification, fragment, 64, transport, 0)
    return struct.pack(">BBHHHBBH", *fields) + source + destination + options + body


def ipv6(body: bytes, following: int = SCTP, source: bytes = GNB6, destination: bytes = AMF6) -> bytes:
    return struct.pack(">IHBB", 6 << 28, len(body), following, 64) + source + destination + body


def data(
    payload: bytes, number: int = 1, flags: int = WHOLE, stream: int = 1, payload_protocol: int = 60, size: int = 0
) -> bytes:
    """Returns a DATA chunk with its padding."""
    fields = (0, flags, size or 16 + len(payload), number % 2**32, stream, 0, payload_protocol)
    return struct.pack(">BBHIHHI", *fields) + payload + bytes(-len(payload) % 4)


def i_data(payload: bytes, number: int, flags: int, message: int, place: int = 60) -> bytes:
    """Returns an I-DATA chunk; `place` is the payload protocol of a first fragment, the number of another."""
    fields = (64, flags, 20 + len(payload), number, 1, 0, message, place)
    return struct.pack(">BBHIHHII", *fields) + payload + bytes(-len(payload) % 4)


def sctp(*chunks: bytes, tag: int = 77, ports: tuple[int, int] = (GNB_PORT, NGAP_PORT)) -> bytes:
    return struct.pack(">HHII", *ports, tag, 0) + b"".join(chunks)


def udp(payload: bytes, ports: tuple[int, int] = (PFCP_PORT, PFCP_PORT), size: int | None = None) -> bytes:
    return struct.pack(">HHHH", *ports, 8 + len(payload) if size is None else size, 0) + payload


def ngap_frame(payload: bytes, number: int = 1, **fields) -> bytes:
    return ethernet(ipv4(sctp(data(payload, number, **fields))))


def pfcp_frame(payload: bytes) -> bytes:
    return ethernet(ipv4(udp(payload), UDP))
