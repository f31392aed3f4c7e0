"""Captures that are written: what they hold is read again, and by other programs."""

from __future__ import annotations

import itertools
import shutil
import struct
import subprocess
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gentwin.signaling.capture import Packet, read_capture, write_capture
from gentwin.signaling.capture.checksums import crc32c, internet_checksum
from gentwin.signaling.errors import EncodeError
from gentwin.signaling.messages import Message, Record

AMF, GNB, AMF6, GNB6 = "10.0.0.5:38412", "10.0.0.1:40000", "[2001:db8::5]:38412", "[2001:db8::1]:40000"
SMF, UPF = "10.0.0.4:8805", "10.0.0.7:8805"
NGAP = Packet(b"\0\x15\0", "ngap", 1000.25, GNB, AMF, 3)
PFCP = Packet(b"\x20\1\0\4", "pfcp", 1000.5, SMF, UPF)


def frames_of(path: Path) -> Iterator[bytes]:
    """Yields the frames of a pcap file, taken apart here and not by the reader."""
    content, place = path.read_bytes(), 24
    while place < len(content):
        (size,) = struct.unpack_from("<I", content, place + 8)
        yield content[place + 16 : place + 16 + size]
        place += 16 + size


def test_checksums_give_published_values():
    assert crc32c(b"123456789") == 0xE3069283 and crc32c(bytes(32)) == 0x8A9136AA
    assert internet_checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2
    assert internet_checksum(b"\xff\xff") == 0 and internet_checksum(b"") == 0xFFFF
    assert internet_checksum(b"\1\2\3") == internet_checksum(b"\1\2\3\0") == 0xFFFF - 0x0402


def test_what_is_written_is_read_again(tmp_path: Path):
    packets = [NGAP, PFCP, Packet(b"six", "ngap", 1001.0, AMF6, GNB6, 65535), NGAP]
    packets.append(Packet(b"six", "pfcp", 1002.000001, "[::1]:8805", "[::2]:9", 0))
    assert write_capture(tmp_path / "capture.pcap", iter(packets)) == 5
    reader = read_capture(tmp_path / "capture.pcap")
    assert list(reader) == packets and not reader.counts


def test_records_are_written_with_the_bytes_they_were_read_from(tmp_path: Path):
    message = Message("ngap", "NGSetupRequest")
    record = Record(message, 7.5, GNB, AMF, 3, raw=b"\0\x15\0")
    write_capture(str(tmp_path / "capture.pcap"), [record])
    (packet,) = read_capture(tmp_path / "capture.pcap")
    assert packet == Packet(b"\0\x15\0", "ngap", 7.5, GNB, AMF, 3)
    with pytest.raises(EncodeError, match="`raw` must be the bytes"):
        write_capture(tmp_path / "capture.pcap", [Record(message, 7.5, GNB, AMF)])


def test_numbers_run_per_direction_and_stream(tmp_path: Path):
    streams = [1, 1, 2, 1]
    packets = [Packet(b"x", "ngap", 0.0, GNB, AMF, stream) for stream in streams]
    write_capture(tmp_path / "capture.pcap", [*packets, Packet(b"x", "ngap", 0.0, AMF, GNB, 1)])
    chunks = [struct.unpack_from(">I4xBBHIHHI", frame, 38) for frame in frames_of(tmp_path / "capture.pcap")]
    assert [chunk[4:7] for chunk in chunks] == [(1, 1, 0), (2, 1, 1), (3, 2, 0), (4, 1, 2), (1, 1, 0)]
    assert all(chunk[1:4] == (0, 3, 17) and chunk[7] == 60 for chunk in chunks)
    assert len({chunk[0] for chunk in chunks}) == 2


def test_checksums_are_valid(tmp_path: Path):
    payloads = [bytes(range(size)) for size in range(1, 9)] + [b"\xff" * 50]
    ends = ((GNB, AMF), ("[::1]:8805", "[::2]:8805"))
    packets = [
        Packet(payload, protocol, 0.0, *end)
        for payload, protocol, end in itertools.product(payloads, ("ngap", "pfcp"), ends)
    ]
    write_capture(tmp_path / "capture.pcap", packets)
    for frame, packet in zip(frames_of(tmp_path / "capture.pcap"), packets, strict=True):
        segment = 34 if packet.sender == GNB else 54
        if segment == 34:
            assert internet_checksum(frame[14:34]) == 0
        body = frame[segment:]
        if packet.protocol == "ngap":
            assert crc32c(body[:8] + bytes(4) + body[12:]) == int.from_bytes(body[8:12], "little")
        else:
            pseudo = frame[26:34] if segment == 34 else frame[22:54]
            assert internet_checksum(pseudo + struct.pack(">HH", 17, len(body)) + body) == 0


@pytest.mark.parametrize(
    ("packet", "path"),
    [
        (Packet(b"x", "nas", 0.0, GNB, AMF), "protocol"),
        (Packet(b"", "ngap", 0.0, GNB, AMF), "payload"),
        (Packet(bytes(65_485), "ngap", 0.0, GNB, AMF), "payload"),
        (Packet(bytes(65_508), "pfcp", 0.0, GNB, AMF), "payload"),
        (Packet(bytes(70_000), "ngap", 0.0, GNB, AMF), "payload"),
        (Packet(bytes(70_000), "pfcp", 0.0, GNB6, AMF6), "payload"),
        (Packet(b"x", "ngap", 0.0, GNB, AMF, 65_536), "stream"),
        (Packet(b"x", "ngap", -1.0, GNB, AMF), "timestamp"),
        (Packet(b"x", "ngap", float("nan"), GNB, AMF), "timestamp"),
        (Packet(b"x", "ngap", 2.0**32, GNB, AMF), "timestamp"),
        (Packet(b"x", "ngap", 0.0, "gnb:38412", AMF), "sender"),
        (Packet(b"x", "ngap", 0.0, GNB, "10.0.0.5"), "receiver"),
        (Packet(b"x", "ngap", 0.0, GNB, "10.0.0.5:65536"), "receiver"),
        (Packet(b"x", "ngap", 0.0, GNB, AMF6), "receiver"),
    ],
)
def test_what_cannot_be_carried_is_refused_and_leaves_nothing_behind(packet: Packet, path: str, tmp_path: Path):
    with pytest.raises(EncodeError) as error:
        write_capture(tmp_path / "capture.pcap", [NGAP, packet])
    assert error.value.path == path and not list(tmp_path.iterdir())


def test_the_largest_messages_fit(tmp_path: Path):
    packets = [Packet(bytes(65_484), "ngap", 0.0, GNB, AMF), Packet(bytes(65_504), "ngap", 0.0, GNB6, AMF6)]
    packets += [
        Packet(bytes(65_507), "pfcp", 0.0, SMF, UPF),
        Packet(bytes(65_527), "pfcp", 0.0, "[::1]:1", "[::2]:8805"),
    ]
    write_capture(tmp_path / "capture.pcap", packets)
    assert list(read_capture(tmp_path / "capture.pcap")) == packets


def test_a_capture_appears_when_it_is_whole(tmp_path: Path):
    path = tmp_path / "capture.pcap"
    write_capture(path, [NGAP])
    before = path.read_bytes()

    def packets() -> Iterator[Packet]:
        yield PFCP
        assert path.read_bytes() == before
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        write_capture(path, packets())
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    assert write_capture(path, []) == 0 and list(read_capture(path)) == []


ENDPOINTS = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)).map(lambda hosts: [f"{host}:8805" for host in hosts]),
    st.tuples(st.ip_addresses(v=6), st.ip_addresses(v=6)).map(lambda hosts: [f"[{host}]:8805" for host in hosts]),
)


@st.composite
def packets(draw: st.DrawFn) -> Packet:
    protocol = draw(st.sampled_from(["ngap", "pfcp"]))
    stream = draw(st.integers(0, 65535)) if protocol == "ngap" else 0
    time = draw(st.integers(0, 2**32 * 10**6 - 2 * 10**6)) / 10**6
    return Packet(draw(st.binary(min_size=1, max_size=50)), protocol, time, *draw(ENDPOINTS), stream)


@settings(max_examples=60, deadline=None)
@given(st.lists(packets(), max_size=8, unique_by=lambda packet: packet.payload))
def test_any_messages_are_read_again(tmp_path_factory: pytest.TempPathFactory, packets: list[Packet]):
    path = tmp_path_factory.getbasetemp() / "any.pcap"
    write_capture(path, packets)
    assert list(read_capture(path)) == packets


def test_memory_does_not_grow_with_the_number_of_messages(tmp_path: Path):
    peaks = []
    for count in (100, 1_000):
        messages = (Packet(bytes(range(50)), "ngap", place / 8, GNB, AMF) for place in range(count))
        tracemalloc.start()
        write_capture(tmp_path / "capture.pcap", messages)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (tmp_path / "capture.pcap").stat().st_size > 100_000 and peaks[1] < peaks[0] + 50_000


def test_tshark_reads_what_is_written(tmp_path: Path):
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    heartbeat = bytes.fromhex("2001000c0000010000600004eeabc928")
    answer = bytes.fromhex("0015000f00000200154005000000000066400100")
    ends = [(GNB, AMF), (GNB6, AMF6)]
    packets = [Packet(heartbeat, "pfcp", 1000.5, "10.0.0.4:8805", "10.0.0.7:8805")]
    packets += [Packet(answer, "ngap", 1001.25, *end, 9) for end in ends]
    write_capture(tmp_path / "capture.pcap", packets)
    command = ["tshark", "-r", tmp_path / "capture.pcap", "-T", "fields", "-E", "separator=,"]
    for preference in ("sctp.checksum:CRC 32c", "udp.check_checksum:TRUE", "ip.check_checksum:TRUE"):
        command += ["-o", preference]
    fields = ("frame.time_epoch", "udp.checksum.status", "sctp.checksum.status", "sctp.data_sid", "_ws.col.Protocol")
    for field in fields:
        command += ["-e", field]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [line.split(",") for line in run.stdout.splitlines()]
    assert [(float(row[0]), row[4]) for row in rows] == [(1000.5, "PFCP"), (1001.25, "NGAP"), (1001.25, "NGAP")]
    # Status 1 is a checksum that was verified.
    assert [row[1:3] for row in rows] == [["1", ""], ["", "1"], ["", "1"]]
    assert [int(row[3], 16) for row in rows[1:]] == [9, 9]
