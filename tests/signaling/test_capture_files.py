"""File formats of captures: byte orders, times, sections, interfaces, and files that end or go wrong."""

from __future__ import annotations

import gzip
import io
import itertools
import struct
import tracemalloc
from pathlib import Path

import pytest

from gentwin.signaling.capture import REASONS, read_capture
from gentwin.signaling.errors import DecodeError
from tests.signaling.capture_bytes import (
    block,
    enhanced,
    ethernet,
    interface,
    ipv4,
    ngap_frame,
    option,
    payloads,
    pcap,
    pfcp_frame,
    read,
    sctp,
    section,
)

FRAMES = [ngap_frame(b"first", 1), pfcp_frame(b"second"), ngap_frame(b"third", 2)]
CAPTURE = pcap(*FRAMES)
WORDS = [b"first", b"second", b"third"]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("magic", "fraction", "time"), [(0xA1B2C3D4, 250_001, 5.250001), (0xA1B23C4D, 250, 5.00000025)]
)
def test_pcap_of_either_byte_order_and_resolution(order: str, magic: int, fraction: int, time: float):
    packets, reader = read(pcap(FRAMES[0], order=order, magic=magic, times=[(5, fraction)]))
    (packet,) = packets
    assert (packet.payload, packet.protocol, packet.stream, packet.timestamp) == (b"first", "ngap", 1, time)
    assert (packet.sender, packet.receiver) == ("10.0.0.1:40000", "10.0.0.5:38412")
    assert not reader.counts and reader.stopped_at is None and (reader.frames, reader.packets) == (1, 1)


def test_pcap_link_type_may_tell_of_check_sequences():
    capture = bytearray(pcap(FRAMES[0] + b"\1\2\3\4"))
    capture[20:24] = struct.pack("<I", 0x40000001 | 4 << 26)
    assert payloads(bytes(capture)) == ([b"first"], {})


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_blocks(order: str):
    nanoseconds = (
        option(2, b"eth0", order) + option(9, b"\x09", order) + option(14, struct.pack(f"{order}q", 100), order)
    )
    halves = option(9, b"\x81", order) + option(0, b"", order)
    obsolete = struct.pack(f"{order}HHIIII", 1, 0, 0, 3, len(FRAMES[2]), len(FRAMES[2])) + FRAMES[2]
    simple = struct.pack(f"{order}I", len(FRAMES[0])) + ngap_frame(b"again", 9)
    capture = [
        section(order),
        interface(1, nanoseconds, order=order),
        interface(1, halves, order=order),
        enhanced(FRAMES[0], 0, 7_500_000_000, order),
        block(5, bytes(8), order),
        enhanced(FRAMES[1], 1, 5, order),
        block(2, obsolete, order),
        block(0x0BAD, b"vendor", order),
        block(3, simple, order),
    ]
    packets, reader = read(b"".join(capture))
    assert [(packet.payload, packet.timestamp) for packet in packets] == [
        (b"first", 107.5),
        (b"second", 2.5),
        (b"third", 1.5),
        (b"again", 0.0),
    ]
    assert reader.counts == {"other_block": 2, "no_timestamp": 1} and reader.stopped_at is None


def test_pcapng_sections_may_differ_in_byte_order_and_interfaces():
    first = section("<") + interface(1) + enhanced(FRAMES[0], 0, 2_000_000)
    second = section(">") + interface(101, order=">") + enhanced(ipv4(sctp()), 0, 1, ">")
    third = section(">") + enhanced(FRAMES[1], 0, 1, ">")
    packets, reader = read(first + second + third)
    assert [(packet.payload, packet.timestamp) for packet in packets] == [(b"first", 2.0)]
    assert reader.counts == {"damaged_block": 1} and reader.frames == 2


def test_pcapng_blocks_that_do_not_fit_are_counted_and_passed():
    too_long = block(6, struct.pack("<IIIII", 0, 0, 0, 99, 99) + b"short")
    capture = (
        section() + interface() + block(6, bytes(8)) + too_long + block(3, b"") + block(1, b"") + enhanced(FRAMES[0])
    )
    assert payloads(capture) == ([b"first"], {"damaged_block": 4})


PCAP_PARTS = [CAPTURE[:24], *(pcap(frame)[24:] for frame in FRAMES)]
PCAPNG_PARTS = [section() + interface(), *map(enhanced, FRAMES)]


@pytest.mark.parametrize("parts", [PCAP_PARTS, PCAPNG_PARTS])
def test_a_file_cut_off_anywhere_gives_what_came_before(parts: list[bytes]):
    capture = b"".join(parts)
    ends = list(itertools.accumulate(map(len, parts)))
    for size in range(ends[0], len(capture)):
        packets, reader = read(capture[:size])
        whole = sum(end <= size for end in ends)
        assert [packet.payload for packet in packets] == WORDS[: whole - 1]
        if size in ends:
            assert not reader.counts and reader.stopped_at is None
        else:
            assert reader.counts == {"truncated_file": 1} and reader.stopped_at == ends[whole - 1]


@pytest.mark.parametrize(
    ("capture", "stopped_at"),
    [
        (CAPTURE + struct.pack("<IIII", 0, 0, 1 << 20, 1 << 20) + bytes(100), len(CAPTURE)),
        (section() + interface() + enhanced(FRAMES[0])[:-4] + bytes(4), 48),
        (section() + struct.pack("<II", 6, 10) + bytes(20), 28),
        (section() + struct.pack("<II", 6, 13) + bytes(20), 28),
        (section() + section()[:8] + b"what" + bytes(30), 28),
    ],
)
def test_a_record_that_cannot_be_right_ends_reading(capture: bytes, stopped_at: int):
    _, reader = read(capture)
    assert reader.counts == {"damaged_file": 1} and reader.stopped_at == stopped_at


def test_blocks_longer_than_any_packet_are_passed():
    capture = section() + block(0x0BAD, bytes(1 << 20)) + interface() + enhanced(FRAMES[0])
    assert payloads(capture) == ([b"first"], {"oversized_block": 1})
    packets, reader = read(capture[: 1 << 19])
    assert not packets and reader.counts == {"truncated_file": 1} and reader.stopped_at == 28


def test_gzip_is_inflated_member_by_member():
    capture = gzip.compress(CAPTURE[:100], mtime=0) + gzip.compress(CAPTURE[100:]) + bytes(512)
    packets, reader = read(capture)
    assert [packet.payload for packet in packets] == WORDS
    assert not reader.counts and reader.bytes == len(CAPTURE)


def test_damaged_gzip_gives_what_came_before():
    whole = gzip.compress(CAPTURE[:100], mtime=0) + gzip.compress(CAPTURE[100:])
    for capture in (whole[:-9], whole[:-12] + b"\xff\xff\xff\xff" + whole[-8:], whole + b"junk"):
        packets, reader = read(capture)
        assert packets[0].payload == b"first" and reader.counts["damaged_file"] == 1
        assert reader.stopped_at is not None


def test_a_small_gzip_that_inflates_to_much_takes_little_memory():
    capture = gzip.compress(section() + block(0x0BAD, bytes(4 << 20)) + interface() + enhanced(FRAMES[0]))
    tracemalloc.start()
    found = payloads(capture)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == ([b"first"], {"oversized_block": 1}) and peak < 1 << 19


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xd4\xc3",
        b"\xd4\xc3\xb2\xa1" + bytes(10),
        b"%PDF-1.7 and so on and so forth",
        b"\x0a\x0d\x0d\x0a" + bytes(40),
        b"\x1f\x8b",
        b"\x1f\x8b" + bytes(40),
        gzip.compress(b"no capture", mtime=0),
    ],
)
def test_what_is_no_capture_is_refused(content: bytes, tmp_path: Path):
    with pytest.raises(DecodeError):
        read_capture(io.BytesIO(content))
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DecodeError):
        read_capture(tmp_path / "file")


def test_streams_may_give_bytes_in_any_portions():
    class Trickle(io.BytesIO):
        def read(self, size: int = -1) -> bytes:
            return super().read(min(size, 7))

    assert [packet.payload for packet in read_capture(Trickle(CAPTURE))] == WORDS
    assert [packet.payload for packet in read_capture(Trickle(gzip.compress(CAPTURE, mtime=0)))] == WORDS


def test_a_reader_closes_what_it_opened_and_nothing_else(tmp_path: Path):
    (tmp_path / "capture.pcap").write_bytes(CAPTURE)
    with read_capture(tmp_path / "capture.pcap") as reader:
        assert next(reader).payload == b"first"
    assert list(reader) == []
    with io.BytesIO(CAPTURE) as stream:
        with read_capture(str(tmp_path / "capture.pcap")) as reader, read_capture(stream) as other:
            assert next(reader) == next(other)
        assert not stream.closed


def test_frames_that_carry_nothing_of_interest_are_counted():
    frames = [
        ethernet(ipv4(b"", 6)),
        bytes(12) + b"\x08\x06" + bytes(28),
        bytes(12) + b"\x81\x00\0\1",
        bytes(14),
        b"",
        bytes(12) + b"\x08\x00\x20" + bytes(30),
    ]
    found, counts = payloads(pcap(*frames))
    assert not found and sum(counts.values()) == len(frames) and counts.keys() <= REASONS.keys()
    assert counts == {"other_transport": 1, "not_ip": 2, "truncated_packet": 2, "damaged_ip": 1}
    assert payloads(pcap(b"abc", link=147)) == ([], {"unknown_link_type": 1})
