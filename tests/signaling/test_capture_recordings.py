"""Recorded captures: as many messages as their scenarios say, and the same when written anew."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path

import pytest

from gentwin.signaling.capture import read_capture, write_capture
from gentwin.signaling.capture.checksums import crc32c
from tests.signaling.recordings import find_capture

SCENARIOS = [
    "n2n4-burst-48",
    "n2n4-c01",
    "n2n4-c02",
    "n2n4-c04",
    "n2n4-c08",
    "n2n4-c08-2slices",
    "n2n4-c24-long",
    "n2n4-c32",
    "n2n4-gnb-restart",
    "n2n4-nea2-c08",
    "n2n4-rejects",
    "n2n4-rejects-periodic",
    "n2n4-rejects-suci",
]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_as_many_messages_as_the_scenario_says(scenario: str):
    capture = find_capture(scenario)
    with read_capture(capture) as reader:
        counts = Counter(packet.protocol for packet in reader)
    messages = json.loads((capture.parent / "scenario.json").read_text())["messages"]
    assert counts == {protocol: messages[protocol] for protocol in ("ngap", "pfcp")}
    assert not reader.counts and reader.frames == reader.packets and reader.stopped_at is None


def test_messages_are_the_same_when_written_anew(tmp_path: Path):
    packets = list(read_capture(find_capture("n2n4-rejects")))
    assert write_capture(tmp_path / "again.pcap", packets) == len(packets)
    assert list(read_capture(tmp_path / "again.pcap")) == packets
    assert packets == sorted(packets, key=lambda packet: packet.timestamp)


def test_recorded_checksums_are_ours():
    content = find_capture("n2n4-rejects-suci").read_bytes()
    checked, place = 0, 24
    while place < len(content):
        size = int.from_bytes(content[place + 8 : place + 12], "little")
        frame = content[place + 16 : place + 16 + size]
        if frame[23] == 132:
            packet = frame[34 : 14 + int.from_bytes(frame[16:18], "big")]
            assert crc32c(packet[:8] + bytes(4) + packet[12:]) == int.from_bytes(packet[8:12], "little")
            checked += 1
        place += 16 + size
    assert checked == 34


def test_every_message_twice_is_every_message_once():
    content = find_capture("n2n4-rejects-suci").read_bytes()
    twice, place = bytearray(content[:24]), 24
    while place < len(content):
        record = content[place : place + 16 + int.from_bytes(content[place + 8 : place + 12], "little")]
        twice += record * 2
        place += len(record)
    reader = read_capture(io.BytesIO(bytes(twice)))
    assert list(reader) == list(read_capture(io.BytesIO(content)))
    assert reader.counts == {"repeated_chunk": 34, "repeated_datagram": 34}
