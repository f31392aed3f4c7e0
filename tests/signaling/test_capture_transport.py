"""SCTP and UDP in captures: bundles, fragments, repetitions, wrap-around of numbers, and limits."""

from __future__ import annotations

import itertools
import struct
import tracemalloc

import pytest

from tests.signaling.capture_bytes import (
    AMF,
    FIRST,
    GNB,
    LAST,
    UDP,
    WHOLE,
    data,
    ethernet,
    i_data,
    ipv4,
    ngap_frame,
    payloads,
    pcap,
    pfcp_frame,
    read,
    sctp,
    udp,
)

LAST_NUMBER = 2**32 - 1
SACK = struct.pack(">BBHIIHH", 3, 0, 16, 1, 65536, 0, 0)


def packets_of(*chunks: bytes, **fields) -> bytes:
    """Returns a capture with each chunk in an SCTP packet of its own."""
    return pcap(*(ethernet(ipv4(sctp(chunk, **fields))) for chunk in chunks))


def test_bundled_chunks_are_delivered_in_order():
    segment = sctp(SACK, data(b"one", 1), data(b"twelve bytes", 2, stream=7), data(b"three", 3, flags=WHOLE | 4))
    packets, reader = read(pcap(ethernet(ipv4(segment))))
    assert [(packet.payload, packet.stream) for packet in packets] == [(b"one", 1), (b"twelve bytes", 7), (b"three", 1)]
    assert reader.counts == {"control_chunk": 1}


def test_only_ngap_is_delivered_whatever_its_byte_order():
    chunks = [data(b"s1ap", 1, payload_protocol=18), data(b"none", 2, payload_protocol=0)]
    chunks += [data(b"ngap", 3), data(b"swapped", 4, payload_protocol=60 << 24)]
    assert payloads(packets_of(*chunks)) == ([b"ngap", b"swapped"], {"other_payload_protocol": 2})


FRAGMENTS = [
    data(b"the first part, ", LAST_NUMBER, FIRST),
    data(b"the second, ", 0, 0),
    data(b"the third, ", 1, 0),
    data(b"the last", 2, LAST),
]
WHOLE_TEXT = b"the first part, the second, the third, the last"


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_fragments_come_in_any_order_and_numbers_wrap(order: tuple[int, ...]):
    packets, reader = read(packets_of(*(FRAGMENTS[place] for place in order)))
    assert [packet.payload for packet in packets] == [WHOLE_TEXT] and not reader.counts
    assert packets[0].timestamp == 1000 + 3e-6


def test_fragments_may_be_bundled_with_each_other():
    capture = pcap(ethernet(ipv4(sctp(*FRAGMENTS, data(b"next", 3)))))
    assert payloads(capture) == ([WHOLE_TEXT, b"next"], {})


def test_messages_next_to_each_other_are_not_mixed():
    chunks = [data(b"a1", 1, FIRST), data(b"a2", 2, LAST), data(b"b1", 3, FIRST), data(b"b2", 4, LAST)]
    for order in itertools.permutations(chunks):
        found, counts = payloads(packets_of(*order))
        assert sorted(found) == [b"a1a2", b"b1b2"] and not counts


def test_fragments_of_other_streams_orders_and_associations_do_not_fit():
    first, last = data(b"first", 1, FIRST, stream=1), data(b"last", 2, LAST, stream=2)
    assert payloads(packets_of(first, last)) == ([], {"incomplete_message": 2})
    assert payloads(packets_of(first, data(b"last", 2, LAST | 4, stream=1))) == ([], {"incomplete_message": 2})
    frames = [ethernet(ipv4(sctp(first, tag=1))), ethernet(ipv4(sctp(data(b"last", 2, LAST), tag=2)))]
    assert payloads(pcap(*frames)) == ([], {"incomplete_message": 2})


def test_i_data_fragments_interleave():
    chunks = [
        i_data(b"a1", 10, FIRST, message=1),
        i_data(b"b1", 11, FIRST, message=2),
        i_data(b"c", 12, WHOLE, message=3),
        i_data(b"b2", 13, LAST, message=2, place=1),
        i_data(b"a2", 14, 0, message=1, place=1),
        i_data(b"a3", 15, LAST, message=1, place=2),
        i_data(b"other", 16, WHOLE, message=4, place=18),
        i_data(b"c", 12, WHOLE, message=3),
        i_data(b"", 17, WHOLE, message=5),
    ]
    counts = {"other_payload_protocol": 1, "repeated_chunk": 1, "damaged_sctp": 1}
    assert payloads(packets_of(*chunks)) == ([b"c", b"b1b2", b"a1a2a3"], counts)


def test_chunks_sent_again_are_delivered_once():
    numbers = [LAST_NUMBER, 0, 1, 0, LAST_NUMBER, 2, 1]
    found, counts = payloads(packets_of(*(data(b"message %d" % number, number) for number in numbers)))
    assert found == [b"message %d" % number for number in (LAST_NUMBER, 0, 1, 2)]
    assert counts == {"repeated_chunk": 3}


def test_fragments_sent_again_or_over_another_path_are_taken_once():
    other_path = ethernet(ipv4(sctp(FRAGMENTS[0]), source=bytes((10, 1, 0, 1)), destination=bytes((10, 1, 0, 5))))
    frames = [ethernet(ipv4(sctp(chunk))) for chunk in FRAGMENTS]
    assert payloads(pcap(frames[0], other_path, *frames[1:], frames[1])) == ([WHOLE_TEXT], {"repeated_chunk": 2})


def test_directions_and_associations_have_their_own_numbers():
    frames = [
        ngap_frame(b"same"),
        ethernet(ipv4(sctp(data(b"same"), ports=(38412, 40000)), source=AMF, destination=GNB)),
        ethernet(ipv4(sctp(data(b"same"), tag=78))),
    ]
    assert payloads(pcap(*frames)) == ([b"same"] * 3, {})


def test_the_same_number_with_other_content_is_no_repetition():
    assert payloads(packets_of(data(b"one"), data(b"two"))) == ([b"one", b"two"], {})


def test_captures_without_verification_tags_have_no_repetitions():
    capture = packets_of(data(b"same", 0), data(b"same", 0), data(b"f", 1, FIRST), data(b"l", 2, LAST), tag=0)
    assert payloads(capture) == ([b"same", b"same", b"fl"], {})


def test_a_number_is_forgotten_after_many_others():
    numbers = [0, *range(1, 1024), 0, *range(1024, 2048), 1023]
    found, counts = payloads(packets_of(*(data(b"%d" % number, number) for number in numbers)))
    assert len(found) == len(numbers) - 1 and counts == {"repeated_chunk": 1}


@pytest.mark.parametrize(
    ("chunks", "found", "reason"),
    [
        ([data(b"good"), data(b"", 2)], [b"good"], "damaged_sctp"),
        ([data(b"good"), struct.pack(">BBH", 0, 3, 3) + bytes(20)], [b"good"], "damaged_sctp"),
        ([data(b"good"), data(b"cut off", 2, size=99)], [b"good"], "truncated_packet"),
        ([data(b"good"), b"\0\1"], [b"good"], "truncated_packet"),
    ],
)
def test_damaged_chunks_do_not_take_others_with_them(chunks: list[bytes], found: list[bytes], reason: str):
    assert payloads(pcap(ethernet(ipv4(sctp(*chunks))))) == (found, {reason: 1})


def test_a_packet_captured_in_part_gives_its_whole_chunks():
    frame = ethernet(ipv4(sctp(data(b"four", 1), data(b"more", 2))))
    for size in range(len(frame) - 20, len(frame)):
        assert payloads(pcap(frame[:size])) == ([b"four"], {"truncated_packet": 1})


def test_waiting_fragments_take_bounded_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gentwin.signaling.capture.reassembly.MAX_WAITING_BYTES", 1 << 18)
    content = packets_of(*(data(bytes(1000), 2 * number, FIRST) for number in range(1500)))
    tracemalloc.start()
    found, counts = payloads(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert not found and counts == {"incomplete_message": 1500} and peak < 1 << 19


def test_many_associations_take_bounded_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gentwin.signaling.capture.transport.MAX_ASSOCIATIONS", 2)
    tags = [1, 2, 3, 1, 3]
    found, counts = payloads(pcap(*(ethernet(ipv4(sctp(data(b"same"), tag=tag))) for tag in tags)))
    assert len(found) == 4 and counts == {"forgotten_association": 2, "repeated_chunk": 1}


def test_pfcp_is_known_by_its_port_at_either_end():
    frames = [ethernet(ipv4(udp(b"%d" % port, (port, other)), UDP)) for port, other in ((8805, 1), (2, 8805), (3, 4))]
    packets, reader = read(pcap(*frames))
    assert [(packet.payload, packet.protocol, packet.stream) for packet in packets] == [
        (b"8805", "pfcp", 0),
        (b"2", "pfcp", 0),
    ]
    assert reader.counts == {"other_port": 1}
    assert payloads(pcap(*frames), pfcp_ports=[3]) == ([b"3"], {"other_port": 2})


def test_datagrams_captured_on_several_interfaces_are_delivered_once():
    frame, answer = pfcp_frame(b"request"), ethernet(ipv4(udp(b"request"), UDP, source=AMF, destination=GNB))
    times = [(5, 0), (5, 100), (5, 900), (5, 1_500), (5, 200_000)]
    found, counts = payloads(pcap(frame, answer, frame, frame, frame, times=times))
    assert found == [b"request"] * 3 and counts == {"repeated_datagram": 2}


@pytest.mark.parametrize(
    ("segment", "reason"),
    [
        (udp(b"payload", size=7), "damaged_udp"),
        (udp(b"payload", size=16), "damaged_udp"),
        (udp(b""), "damaged_udp"),
        (udp(b"payload")[:7], "truncated_packet"),
    ],
)
def test_damaged_datagrams_are_counted(segment: bytes, reason: str):
    assert payloads(pcap(ethernet(ipv4(segment, UDP)))) == ([], {reason: 1})


def test_datagrams_captured_in_part_are_counted():
    assert payloads(pcap(pfcp_frame(b"payload")[:-1])) == ([], {"truncated_packet": 1})
    assert payloads(pcap(ethernet(ipv4(udp(b"payload", size=12), UDP)))) == ([b"payl"], {})
