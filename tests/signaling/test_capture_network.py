"""Link and network layers of captures: link types, VLANs, IP options, extension headers and fragments."""

from __future__ import annotations

import itertools
import struct
import tracemalloc

import pytest

from tests.signaling.capture_bytes import (
    UDP,
    data,
    ethernet,
    ipv4,
    ipv6,
    payloads,
    pcap,
    read,
    sctp,
    udp,
)

V4, V6 = ipv4(sctp(data(b"hello"))), ipv6(sctp(data(b"hello")))
COOKED = struct.pack(">HHH8s", 0, 1, 6, bytes(8))
COOKED_V2 = struct.pack(">HIHBB8s", 0, 3, 1, 0, 6, bytes(8))
MORE = 0x2000


@pytest.mark.parametrize(
    ("link", "frame"),
    [
        (1, ethernet(V4)),
        (1, ethernet(V6)),
        (1, ethernet(V4) + b"padding"),
        (1, ethernet(V4, b"\x81\x00\x00\x05")),
        (1, ethernet(V6, b"\x88\xa8\x00\x05\x81\x00\x00\x06")),
        (1, ethernet(V4, b"\x91\x00\x00\x05\x81\x00\x00\x06")),
        (113, COOKED + b"\x08\x00" + V4),
        (113, COOKED + b"\x86\xdd" + V6),
        (113, COOKED + b"\x81\x00\x00\x05\x08\x00" + V4),
        (276, b"\x08\x00" + COOKED_V2 + V4),
        (276, b"\x86\xdd" + COOKED_V2 + V6),
        (276, b"\x81\x00" + COOKED_V2 + b"\x00\x05\x08\x00" + V4),
        (0, b"\x02\0\0\0" + V4),
        (0, b"\0\0\0\x1e" + V6),
        (108, b"\0\0\0\x02" + V4),
        (101, V4),
        (101, V6),
        (12, V4),
        (14, V6),
        (228, V4),
        (229, V6),
    ],
)
def test_link_types(link: int, frame: bytes):
    packets, reader = read(pcap(frame, link=link))
    (packet,) = packets
    ends = ("10.0.0.1:40000", "10.0.0.5:38412")
    if V6 in frame:
        ends = ("[2001:db8::1]:40000", "[2001:db8::5]:38412")
    assert packet.payload == b"hello" and (packet.sender, packet.receiver) == ends and not reader.counts


@pytest.mark.parametrize("link", [1, 113, 276, 0, 108, 101])
def test_frames_cut_off_anywhere_are_counted(link: int):
    head = {1: bytes(12) + b"\x08\x00", 113: COOKED + b"\x08\x00", 276: b"\x08\x00" + COOKED_V2, 101: b""}
    frame = head.get(link, b"\x02\0\0\0") + V4
    for size in range(len(frame)):
        found, counts = payloads(pcap(frame[:size], link=link))
        # The chunk of 21 bytes is whole without its padding of 3.
        assert found == ([b"hello"] if size >= len(frame) - 3 else [])
        assert counts == ({} if found else {"truncated_packet": 1})


def test_other_families_of_loopback_are_no_ip():
    assert payloads(pcap(b"\0\0\0\x07" + V4, link=0)) == ([], {"not_ip": 1})


def test_ipv4_options_and_lengths_left_to_the_network_card():
    segment = sctp(data(b"hello"))
    assert payloads(pcap(ethernet(ipv4(segment, options=b"\x94\x04\0\0")))) == ([b"hello"], {})
    assert payloads(pcap(ethernet(ipv4(segment, size=0)))) == ([b"hello"], {})
    assert payloads(pcap(ethernet(ipv4(segment, size=19)))) == ([], {"damaged_ip": 1})
    assert payloads(pcap(b"\x44" + V4[1:], link=101)) == ([], {"damaged_ip": 1})


def test_ipv6_extension_headers():
    body = sctp(data(b"hello"))
    options = b"\x3c\0" + bytes(6)
    authentication = b"\x2b\x04" + bytes(22)
    routing = b"\x84\x02" + bytes(22)
    chain = ipv6(options + b"\x33\1" + bytes(14) + authentication + routing + body, 0)
    found, counts = payloads(pcap(chain, link=101))
    assert (found, counts) == ([b"hello"], {})
    assert payloads(pcap(ipv6(b"", 59), link=101)) == ([], {"other_transport": 1})
    assert payloads(pcap(ipv6(b"\x84\xff" + bytes(6), 60), link=101)) == ([], {"truncated_packet": 1})


def fragments_v4(body: bytes, transport: int, identification: int = 9, step: int = 16) -> list[bytes]:
    starts = range(0, len(body), step)
    more = [MORE if start + step < len(body) else 0 for start in starts]
    return [
        ipv4(body[start : start + step], transport, fragment=flag | start // 8, identification=identification)
        for start, flag in zip(starts, more, strict=True)
    ]


def fragments_v6(body: bytes, following: int, step: int = 16) -> list[bytes]:
    parts = []
    for start in range(0, len(body), step):
        head = struct.pack(">BBHI", following, 0, start | (start + step < len(body)), 0xABCDEF)
        parts.append(ipv6(head + body[start : start + step], 44))
    return parts


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_ip_fragments_come_in_any_order(order: tuple[int, ...]):
    payload = bytes(range(40))
    body = udp(payload)
    for parts in (fragments_v4(body, UDP), fragments_v6(body, UDP)):
        assert len(parts) == 3
        packets, reader = read(pcap(*(parts[place] for place in order), link=101))
        assert [packet.payload for packet in packets] == [payload] and not reader.counts
        assert packets[0].timestamp == 1000 + 2e-6


def test_an_extension_header_may_be_in_the_fragments():
    body = b"\x84\0" + bytes(6) + sctp(data(b"a message in a few fragments"))
    assert payloads(pcap(*fragments_v6(body, 60), link=101)) == ([b"a message in a few fragments"], {})
    alone = ipv6(struct.pack(">BBHI", 60, 0, 0, 1) + body, 44)
    assert payloads(pcap(alone, link=101)) == ([b"a message in a few fragments"], {})


def test_fragments_captured_twice_are_one_datagram():
    parts = fragments_v4(udp(bytes(40)), UDP)
    twice = [part for part in parts for _ in range(2)]
    assert payloads(pcap(*twice, link=101)) == ([bytes(40)], {"repeated_fragment": 3})


def test_fragments_without_the_rest_are_counted():
    first, second, third = fragments_v4(udp(bytes(40)), UDP)
    assert payloads(pcap(first, third, link=101)) == ([], {"incomplete_datagram": 1})
    late = pcap(first, second, third, link=101, times=[(0, 0), (1, 0), (99, 0)])
    assert payloads(late) == ([], {"incomplete_datagram": 2})
    assert payloads(pcap(third[:-4], link=101)) == ([], {"truncated_packet": 1})
    assert payloads(pcap(fragments_v4(bytes(40), 6)[0], link=101)) == ([], {"other_transport": 1})


@pytest.mark.parametrize(
    "parts",
    [
        [ipv4(bytes(9), UDP, fragment=MORE)],
        [ipv4(bytes(16), UDP, fragment=0x1FFF)],
        [ipv4(b"", UDP, fragment=MORE)],
        [ipv4(bytes(16), UDP, fragment=MORE), ipv4(bytes(16), UDP, fragment=1)],
        [ipv4(bytes(24), UDP, fragment=MORE), ipv4(bytes(8), UDP, fragment=1)],
    ],
)
def test_fragments_that_contradict_each_other_are_dropped(parts: list[bytes]):
    assert payloads(pcap(*parts, link=101)) == ([], {"damaged_ip": 1})


def test_waiting_fragments_take_bounded_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gentwin.signaling.capture.reassembly.MAX_WAITING_BYTES", 1 << 18)
    parts = [ipv4(bytes(1400), UDP, fragment=MORE, identification=place) for place in range(1200)]
    content = pcap(*parts, link=101)
    tracemalloc.start()
    found, counts = payloads(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert not found and counts == {"incomplete_datagram": 1200} and peak < 1 << 19
