"""Captures as records and back."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from gentwin.signaling import pfcp
from gentwin.signaling.capture import Packet, write_capture
from gentwin.signaling.errors import DecodeError, EncodeError
from gentwin.signaling.messages import NAS, Message, Record
from gentwin.signaling.records import (
    KEPT_FAILURES,
    UNDECODED,
    RecordReader,
    decode_message,
    encode_record,
    read_records,
    to_packet,
)
from tests.signaling.record_samples import AMF, GNB, SMF, UPF, recorded
from tests.signaling.recordings import find_capture


def written(*packets: Packet) -> io.BytesIO:
    """Returns a capture of packets."""
    with TemporaryDirectory() as folder:
        write_capture(Path(folder, "some.pcap"), packets)
        return io.BytesIO(Path(folder, "some.pcap").read_bytes())


def ngap_packet(payload: bytes, time: float = 1.0) -> Packet:
    return Packet(payload, "ngap", time, GNB, AMF, 1)


def pfcp_packet(payload: bytes, time: float = 1.0) -> Packet:
    return Packet(payload, "pfcp", time, SMF, UPF)


def heartbeat(sequence: int) -> Message:
    message = pfcp.decode(bytes.fromhex("2001000c 00000100 00600004 eeabc5ed"))
    return message.with_value("sequence_number", sequence)


@pytest.mark.parametrize("scenario", ["n2n4-rejects", "n2n4-c02"])
def test_recorded_messages_encode_to_their_bytes(scenario: str):
    records = recorded(scenario)
    assert all(encode_record(record) == record.raw for record in records)
    assert all(decode_message(record.message.protocol, record.raw) == record.message for record in records[:200])


def test_recorded_captures_are_decoded_wholly():
    with read_records(find_capture("n2n4-rejects")) as reader:
        records = list(reader)
    assert reader.records == len(records) == 545
    assert not reader.counts and not reader.failures
    names = {record.message["nas_pdu"].name for record in records if record.message.get("nas_pdu")}
    assert {"RegistrationRequest", "AuthenticationFailure", "RegistrationReject", "SecurityProtected"} <= names


def test_ciphered_messages_are_counted():
    with read_records(find_capture("n2n4-nea2-c08")) as reader:
        records = [next(reader) for _ in range(400)]
    closed = [record for record in records if isinstance(record.message.get("nas_pdu.payload"), bytes)]
    assert closed and reader.counts["closed_nas"] >= len(closed)
    assert set(reader.counts) <= set(UNDECODED)
    assert all(encode_record(record) == record.raw for record in closed)


def test_records_are_written_as_the_capture_they_came_from(tmp_path):
    records = recorded("n2n4-rejects")
    write_capture(tmp_path / "again.pcap", map(to_packet, records))
    assert tuple(read_records(tmp_path / "again.pcap")) == records


def test_messages_of_one_datagram_are_records_of_their_own():
    both = [heartbeat(1), heartbeat(2)]
    with read_records(written(pfcp_packet(pfcp.encode_all(both)))) as reader:
        records = list(reader)
    assert [record.message for record in records] == both
    assert [record.raw for record in records] == [encode_record(record) for record in records]
    assert reader.capture.packets == 1 and reader.records == 2


def uplink(nas_pdu: bytes) -> bytes:
    """Returns an UplinkNASTransport with some bytes as NAS."""
    record = next(record for record in recorded("n2n4-rejects") if record.message.name == "UplinkNASTransport")
    return encode_record(replace(record, message=record.message.with_value("nas_pdu", nas_pdu)))


def test_what_is_no_message_is_counted_and_kept():
    packets = [
        pfcp_packet(pfcp.encode(heartbeat(1))),
        ngap_packet(b"\x00\x2e\x40"),
        pfcp_packet(b"\x20\x01\x00\x0c"),
        ngap_packet(uplink(b"\x7e\x00\xff"), 2.0),
    ]
    with read_records(written(*packets)) as reader:
        records = list(reader)
    assert reader.counts == {"undecoded_ngap": 1, "undecoded_pfcp": 1, "undecoded_nas": 1}
    assert [record.message.name for record in records] == ["HeartbeatRequest", "UplinkNASTransport"]
    assert records[1].message["nas_pdu"] == b"\x7e\x00\xff"
    assert encode_record(records[1]) == records[1].raw
    ngap_failure, pfcp_failure, nas_failure = reader.failures
    assert (ngap_failure.frame, pfcp_failure.frame, nas_failure.frame) == (2, 3, 4)
    assert (nas_failure.protocol, nas_failure.offset, nas_failure.data) == ("nas", 2, b"\x7e\x00\xff")
    assert nas_failure.timestamp == 2.0
    assert str(nas_failure) == "frame 4, nas, byte 2 of 3: no message has the type 0xff"


def test_as_many_failures_are_kept_as_one_looks_at():
    packets = [ngap_packet(bytes([number, 1, 2]), float(number)) for number in range(KEPT_FAILURES + 9)]
    with read_records(written(*packets)) as reader:
        assert not list(reader)
    assert reader.counts["undecoded_ngap"] == KEPT_FAILURES + 9
    assert [failure.frame for failure in reader.failures] == list(range(1, KEPT_FAILURES + 1))


def test_what_the_capture_does_not_deliver_is_counted_with_the_rest():
    stream = written(pfcp_packet(pfcp.encode(heartbeat(1))), ngap_packet(b"\xff"))
    cut = io.BytesIO(stream.getvalue() + b"\x00" * 7)
    with read_records(cut) as reader:
        assert len(list(reader)) == 1
    assert reader.counts == {"undecoded_ngap": 1, "truncated_file": 1}


def test_reading_ends_when_closed():
    with read_records(find_capture("n2n4-rejects")) as reader:
        assert isinstance(reader, RecordReader) and next(reader).message.name == "AssociationSetupRequest"
    with pytest.raises(StopIteration):
        next(reader)


def test_no_capture_is_an_error():
    with pytest.raises(DecodeError):
        read_records(io.BytesIO(b"no capture at all, but of some length"))


def test_only_what_links_carry_is_encoded():
    record = Record(Message(NAS, "RegistrationComplete"), 0.0, GNB, AMF)
    with pytest.raises(EncodeError, match=r"`message.protocol` must be `ngap` or `pfcp`, got 'nas'"):
        encode_record(record)


def test_a_changed_message_is_encoded_as_changed():
    record = next(record for record in recorded("n2n4-rejects") if record.message.name == "InitialUEMessage")
    changed = replace(record, message=record.message.with_value("nas_pdu.mobile_identity.msin", "0000000042"))
    assert decode_message("ngap", encode_record(changed)) == changed.message != record.message
