"""Captures that are damaged or made up: never an exception but `DecodeError`, never without end, never much memory."""

from __future__ import annotations

import io
import struct
import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st

from gentwin.signaling.capture import REASONS, CaptureReader, Packet, read_capture
from gentwin.signaling.capture.network import LINKS
from gentwin.signaling.errors import DecodeError
from tests.signaling.capture_bytes import (
    FIRST,
    LAST,
    UDP,
    block,
    data,
    enhanced,
    ethernet,
    i_data,
    interface,
    ipv4,
    ipv6,
    ngap_frame,
    pcap,
    pfcp_frame,
    sctp,
    section,
    udp,
)

FEW, MANY = settings(max_examples=60, deadline=None), settings(max_examples=200, deadline=None)
SEGMENT = sctp(data(b"one more twelve"))
FRAMES = [
    ngap_frame(b"a message"),
    pfcp_frame(b"a datagram"),
    ethernet(ipv4(sctp(data(b"first ", 2, FIRST), data(b"last", 3, LAST), i_data(b"i", 4, 3, 1)))),
    ethernet(ipv4(udp(bytes(40))[:24], UDP, fragment=0x2000)),
    ethernet(ipv4(udp(bytes(40))[24:], UDP, fragment=3)),
    ethernet(ipv6(b"\x2c\0" + bytes(6) + b"\x84\0\0\1\0\0\0\7" + SEGMENT[:24], 60)),
    ethernet(ipv6(b"\x84\0\0\x18\0\0\0\7" + SEGMENT[24:], 44), b"\x81\x00\0\1"),
]
PCAP = pcap(*FRAMES)
PCAPNG = section() + interface(1, b"\x09\0\1\0\x09\0\0\0") + b"".join(map(enhanced, FRAMES)) + block(5, bytes(12))


def read_whatever(content: bytes) -> list[Packet]:
    """Reads anything, and checks what holds whatever it is."""
    try:
        reader = read_capture(io.BytesIO(content))
    except DecodeError:
        return []
    packets = list(reader)
    assert reader.counts.keys() <= REASONS.keys() and all(reader.counts.values())
    assert reader.packets == len(packets) and all(packet.payload for packet in packets)
    assert reader.stopped_at is None or reader.stopped_at <= max(len(content), reader.bytes)
    return packets


@FEW
@given(st.binary(max_size=300))
def test_any_bytes(content: bytes):
    read_whatever(content)


@FEW
@given(st.sampled_from([PCAP[:24], section(), section(">"), section() + interface()]), st.binary(max_size=300))
def test_any_bytes_after_a_good_start(start: bytes, content: bytes):
    read_whatever(start + content)


@FEW
@given(st.sampled_from(sorted(LINKS)), st.lists(st.binary(max_size=120), max_size=5))
def test_any_frames(link: int, frames: list[bytes]):
    read_whatever(pcap(*frames, link=link))


@FEW
@given(st.sampled_from([132, 17, 44, 0, 51]), st.binary(max_size=120), st.integers(0, 65535))
def test_any_content_of_ip_packets(transport: int, body: bytes, fragment: int):
    read_whatever(pcap(ethernet(ipv4(body, transport, fragment=fragment)), ethernet(ipv6(body, transport))))


CHUNKS = st.one_of(
    st.builds(data, st.binary(max_size=5), st.integers(0, 6), st.integers(0, 7), size=st.integers(0, 40)),
    st.builds(i_data, st.binary(max_size=5), st.integers(0, 6), st.integers(0, 7), st.just(1), st.integers(0, 6)),
)


@FEW
@given(st.lists(CHUNKS, max_size=30), st.sampled_from([0, 7]))
def test_any_chunks(chunks: list[bytes], tag: int):
    read_whatever(pcap(ethernet(ipv4(sctp(*chunks, tag=tag)))))
    read_whatever(pcap(*(ethernet(ipv4(sctp(chunk, tag=tag))) for chunk in chunks)))


@MANY
@given(
    st.sampled_from([PCAP, PCAPNG]), st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 7)), max_size=6), st.data()
)
def test_bit_flips_and_truncations(content: bytes, flips: list[tuple[int, int]], draw: st.DataObject):
    damaged = bytearray(content)
    for place, bit in flips:
        damaged[place % len(damaged)] ^= 1 << bit
    read_whatever(bytes(damaged[: draw.draw(st.integers(0, len(damaged)))]))


def test_the_undamaged_ones_are_read_to_the_end():
    for content in (PCAP, PCAPNG):
        assert len(read_whatever(content)) == 6


class Repeated(io.RawIOBase):
    """A stream of a head and then one piece many times over, which is never in memory as a whole."""

    def __init__(self, head: bytes, piece: bytes, times: int) -> None:
        self.pieces = iter([head, *[piece] * times])

    def read(self, size: int = -1) -> bytes:
        return next(self.pieces, b"")


def peak_memory(reader: CaptureReader) -> int:
    tracemalloc.start()
    assert sum(1 for _ in reader)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_file():
    frames = [ngap_frame(bytes(14_000), 1), ethernet(ipv4(udp(bytes(14_000)), UDP))]
    # Different numbers, so that each is a message of its own.
    frames += [ngap_frame(bytes(14_000), number) for number in range(2, 9)]
    piece = pcap(*frames)[24:]
    peaks = [peak_memory(read_capture(Repeated(PCAP[:24], piece, times))) for times in (8, 160)]
    assert len(piece) * 160 > 20_000_000 and peaks[1] < peaks[0] + 100_000


def test_hostile_lengths_take_no_memory():
    huge = struct.pack("<II", 0x0BAD, 0xFFFFFFFC)
    for start in (section() + huge, PCAP[:24] + struct.pack("<IIII", 0, 0, 0xFFFFFFFF, 0xFFFFFFFF)):
        tracemalloc.start()
        reader = read_capture(Repeated(start, bytes(1 << 16), 200))
        assert list(reader) == [] and reader.stopped_at == len(start) - (8 if huge in start else 16)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        tracemalloc.stop()
