"""Captures that are written here are what tshark takes them for; skipped where tshark is not installed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gentwin.signaling.capture import write_capture
from gentwin.signaling.core import GENERIC, OPEN5GS, Flavour
from gentwin.signaling.records import read_records, to_packet
from recipes.figures.signaling_dissect import compare, compare_written, count, find_tshark, said_by, synthesised
from tests.signaling.recordings import find_capture

TSHARK = find_tshark()
needs_tshark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")
pytestmark = pytest.mark.usefixtures("pycrate")


@pytest.fixture
def pycrate() -> None:
    pytest.importorskip("pycrate_asn1dir.NGAP")


@needs_tshark
@pytest.mark.parametrize("name", ["n2n4-rejects", "n2n4-nea2-c08"])
def test_recordings_encoded_again_are_as_they_were(name: str):
    path = find_capture(name)
    records = list(read_records(path))
    written, recorded = compare_written(TSHARK, records), compare(TSHARK, path, records)
    assert written.clean and recorded.clean
    assert written.messages == recorded.messages
    assert min(written.messages[interface] for interface in ("n1", "n2", "n4")) > 100


@needs_tshark
@pytest.mark.parametrize(
    "flavour", [OPEN5GS, GENERIC, replace(OPEN5GS, ciphering=2)], ids=["open5gs", "generic", "nea2"]
)
def test_synthesised_traffic_is_well_formed(flavour: Flavour):
    records = synthesised(flavour, ues=30, duration=60.0, seed=5)
    assert "HandoverCommand" in {record.message.name for record in records}
    account = compare_written(TSHARK, records)
    assert account.clean, account.summary()


@needs_tshark
def test_what_is_wrong_is_seen(tmp_path):
    record = next(r for r in read_records(find_capture("n2n4-rejects")) if r.message.get("nas_pdu"))
    packet = to_packet(record)
    write_capture(tmp_path / "cut.pcap", [replace(packet, payload=packet.payload[:20])])
    account = compare(TSHARK, tmp_path / "cut.pcap", [record])
    assert (account.malformed, account.differing) == (1, 1)
    assert not account.clean


def test_what_a_record_says_is_what_its_fields_say():
    records = list(read_records(find_capture("n2n4-rejects")))
    request = next(record for record in records if record.message.name == "InitialUEMessage")
    said = said_by(request)
    assert said["ngap"] == "InitialUEMessage"
    assert said["ngap.RAN_UE_NGAP_ID"] == (request.message["ran_ue_ngap_id"],)
    assert (said["nas_5gs.epd"], said["nas_5gs.mm.message_type"]) == ((0x7E,), (0x41,))
    assert count(said) == {"n1": 1, "n2": 1}
    setup = next(record for record in records if record.message.protocol == "pfcp")
    assert count(said_by(setup)) == {"n4": 1}
