"""NGAP: bytes to fields and back, whatever the bytes are."""

from __future__ import annotations

import subprocess
import sys
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gentwin.signaling import ngap
from gentwin.signaling.capture import read_capture
from gentwin.signaling.errors import DecodeError, EncodeError
from gentwin.signaling.fields import Bits, Fields
from gentwin.signaling.messages import Message
from tests.signaling.ngap_trees import random_message
from tests.signaling.recordings import find_capture

pytest.importorskip("pycrate_asn1dir", reason="needs the extra `signaling`")

NAMES = [name for name in ngap.message_names() if name != "PrivateMessage"]
NAS = bytes.fromhex("7e004179000d0199f90700000000000000001069")
LOCATION = Fields.of(
    user_location_information_nr=Fields.of(
        nr_cgi=Fields.of(plmn_identity="999-70", nr_cell_identity=Bits(16, 36)),
        tai=Fields.of(plmn_identity="999-70", tac=b"\0\0\1"),
    )
)
INITIAL = Message(
    "ngap",
    "InitialUEMessage",
    Fields.of(
        ran_ue_ngap_id=1,
        nas_pdu=NAS,
        user_location_information=LOCATION,
        rrc_establishment_cause="mo-Signalling",
        ue_context_request="requested",
    ),
)
INITIAL_BYTES = bytes.fromhex(
    "000f403f"  # initiating message, procedure 15, ignore, 63 octets
    "000005"  # no additions, 5 elements
    "005500020001"  # RAN UE NGAP ID
    f"00260015 14{NAS.hex()}"
    "0079000f 40 99f907 0000000100 99f907 000001"  # location: NR cell and tracking area
    "005a400118"  # mo-Signalling
    "0070400100"  # UE context requested
)
RELEASE = ngap.encode(
    Message(
        "ngap",
        "UEContextReleaseCommand",
        Fields.of(
            ue_ngap_ids=Fields.of(ue_ngap_id_pair=Fields.of(amf_ue_ngap_id=2, ran_ue_ngap_id=3)),
            cause=Fields.of(nas="deregister"),
        ),
    )
)


def encode_release(**changes: object) -> bytes:
    """Returns the bytes of the release command with other fields."""
    message = ngap.decode(RELEASE)
    for path, value in changes.items():
        message = message.with_value(path, value)
    return ngap.encode(message)


def test_known_bytes_are_known_fields():
    assert ngap.encode(INITIAL) == INITIAL_BYTES
    assert ngap.decode(INITIAL_BYTES) == INITIAL


@pytest.mark.parametrize("name", NAMES)
def test_every_message_goes_to_bytes_and_back(name: str):
    for seed in range(2):
        message = random_message(name, Random(f"{name} {seed}"))
        data = ngap.encode(message)
        assert ngap.decode(data) == message


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(NAMES), st.randoms(use_true_random=False), st.data())
def test_damaged_messages_are_refused_or_kept(name: str, random: Random, data: st.DataObject):
    damaged = bytearray(ngap.encode(random_message(name, random)))
    for place in data.draw(st.lists(st.integers(0, len(damaged) * 8 - 1), max_size=4)):
        damaged[place >> 3] ^= 1 << (place & 7)
    damaged = bytes(damaged[: data.draw(st.integers(0, len(damaged)))] if data.draw(st.booleans()) else damaged)
    assert_refused_or_kept(damaged)


def test_every_single_bit_flip_is_refused_or_kept():
    for original in (INITIAL_BYTES, RELEASE, ngap.encode(random_message("PDUSessionResourceSetupRequest", Random(4)))):
        for place in range(len(original) * 8):
            damaged = bytearray(original)
            damaged[place >> 3] ^= 1 << (place & 7)
            assert_refused_or_kept(bytes(damaged))


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_kept(data: bytes):
    assert_refused_or_kept(data)


def assert_refused_or_kept(data: bytes) -> None:
    try:
        message = ngap.decode(data)
    except DecodeError:
        return
    assert ngap.encode(message) == data


@pytest.mark.parametrize("scenario", ["n2n4-rejects", "n2n4-gnb-restart", "n2n4-c08-2slices"])
def test_recorded_messages_are_the_same_when_encoded_again(scenario: str):
    with read_capture(find_capture(scenario)) as packets:
        recorded = [packet.payload for packet in packets if packet.protocol == "ngap"]
    assert recorded
    for data in recorded:
        message = ngap.decode(data)
        assert ngap.encode(message) == data
        unusual = {name for path, _ in message.fields.walk() for name in path.split(".")}
        assert not unusual & {"opaque", "criticality", "trailing"}, message


def test_unknown_elements_stay_opaque_in_their_place():
    unknown = bytes.fromhex("ea61800300ffee")
    # Seven octets more and one element more, after the first of the two.
    place = RELEASE.index(bytes.fromhex("000f40"))
    more = RELEASE[:3] + bytes([RELEASE[3] + 7, 0, 0, 3]) + RELEASE[7:place] + unknown + RELEASE[place:]
    message = ngap.decode(more)
    assert message.fields.names() == ["ue_ngap_ids", "opaque", "cause"]
    assert message["opaque"] == Fields.of(id=60001, criticality="notify", value=bytes.fromhex("00ffee"))
    assert ngap.encode(message) == more


def test_malformed_known_elements_stay_opaque():
    damaged = RELEASE[:-1] + b"\xff"
    message = ngap.decode(damaged)
    assert message["opaque"] == Fields.of(id=15, criticality="ignore", value=b"\xff")
    assert ngap.encode(message) == damaged


def test_other_criticalities_are_kept_after_their_element():
    place = RELEASE.index(bytes.fromhex("000f40"))
    other = RELEASE[:2] + b"\x40" + RELEASE[3 : place + 2] + b"\x80" + RELEASE[place + 3 :]
    message = ngap.decode(other)
    assert message.fields.names() == ["criticality", "ue_ngap_ids", "cause", "criticality"]
    assert message.fields.all("criticality") == ["ignore", "notify"]
    assert ngap.encode(message) == other
    with pytest.raises(EncodeError, match="`criticality` must be one of reject, ignore, notify, got 'high'"):
        encode_release(criticality="high")


def test_bytes_after_the_message_are_kept():
    message = ngap.decode(RELEASE + b"\0\0garbage")
    assert message.fields[-1] == ("trailing", b"\0\0garbage")
    assert ngap.encode(message) == RELEASE + b"\0\0garbage"
    with pytest.raises(EncodeError, match="`trailing` must be bytes"):
        encode_release(trailing=5)


def test_transfers_that_are_not_well_formed_stay_bytes():
    message = random_message("PDUSessionResourceReleaseResponse", Random(1))
    path = "pdu_session_resource_released_list_rel_res.item.pdu_session_resource_release_response_transfer"
    odd = ngap.decode(ngap.encode(message.with_value(path, b"\xff\xff\xff")))
    assert odd[path] == b"\xff\xff\xff"
    assert isinstance(ngap.decode(ngap.encode(message.with_value(path, Fields())))[path], Fields)


def test_private_messages_are_opaque():
    data = bytes.fromhex("001f40" + "0400010203")
    assert ngap.decode(data) == Message("ngap", "PrivateMessage", Fields.of(private_ies=bytes.fromhex("00010203")))
    assert ngap.encode(ngap.decode(data)) == data
    with pytest.raises(EncodeError, match="`private_ies` must be the only field"):
        ngap.encode(Message("ngap", "PrivateMessage"))


def test_long_values_are_written_in_fragments():
    for size in (127, 128, 16383, 16384, 70000, 131072):
        message = Message("ngap", "UERadioCapabilityInfoIndication", Fields.of(amf_ue_ngap_id=1, ran_ue_ngap_id=2))
        message = message.with_value("ue_radio_capability", bytes(range(256)) * (size // 256) + b"z" * (size % 256))
        assert ngap.decode(ngap.encode(message)) == message
    with pytest.raises(DecodeError, match="at most 262144 bytes"):
        ngap.decode(bytes(1 << 20))


def test_network_codes_and_addresses_are_text():
    setup = random_message("NGSetupRequest", Random(2))
    path = "supported_ta_list.item.broadcast_plmn_list.item.plmn_identity"
    for text, octets in (("999-70", "99f907"), ("001-01", "00f110"), ("310-410", "130014")):
        data = ngap.encode(setup.with_value(path, text))
        assert bytes.fromhex(octets) in data and ngap.decode(data)[path] == text
    assert ngap.decode(ngap.encode(setup.with_value(path, b"\xaa\xbb\xcc")))[path] == b"\xaa\xbb\xcc"
    with pytest.raises(EncodeError, match="three digits, a hyphen and two or three digits"):
        ngap.encode(setup.with_value(path, "99970"))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"cuase": Fields()}, "`cuase` is no element of UEContextReleaseCommand; did you mean `cause`?"),
        ({"cause": Fields.of(nas="deregistered")}, "`cause.nas` has no value 'deregistered'; did you mean"),
        ({"cause": Fields.of(nsa="deregister")}, "`cause.nsa` is no choice of Cause; did you mean `nas`?"),
        ({"cause": Fields()}, "`cause` must be fields with one of radio_network, transport, nas"),
        (
            {"ue_ngap_ids": Fields.of(amf_ue_ngap_id=1 << 40)},
            "must be a number from 0 to 1099511627775, got 1099511627776",
        ),
        ({"ue_ngap_ids": Fields.of(amf_ue_ngap_id="one")}, "`ue_ngap_ids.amf_ue_ngap_id` must be a number"),
        (
            {"ue_ngap_ids": Fields.of(ue_ngap_id_pair=Fields.of(amf_ue_ngap_id=1))},
            "`ue_ngap_ids.ue_ngap_id_pair.ran_ue_ngap_id` is missing",
        ),
        ({"opaque": b"1"}, "`opaque` must be fields `id`, `criticality` and `value`"),
    ],
)
def test_wrong_fields_are_named(changes: dict[str, object], complaint: str):
    with pytest.raises(EncodeError) as caught:
        encode_release(**changes)
    assert complaint in str(caught.value)


def test_missing_elements_and_wrong_items_are_named():
    with pytest.raises(EncodeError, match="`cause` is mandatory and missing"):
        ngap.encode(ngap.decode(RELEASE).without("cause"))
    place = RELEASE.index(bytes.fromhex("000f40"))
    with pytest.raises(DecodeError, match="mandatory `cause` is missing"):
        ngap.decode(RELEASE[:3] + bytes([place - 4, 0, 0, 1]) + RELEASE[7:place])
    request = random_message("PDUSessionResourceReleaseCommand", Random(3))
    items = Fields((("item", request["pdu_session_resource_to_release_list_rel_cmd.item"]), ("item", Fields())))
    with pytest.raises(EncodeError, match=r"rel_cmd\.item\[1\]\.pdu_session_id` is missing"):
        ngap.encode(request.with_value("pdu_session_resource_to_release_list_rel_cmd", items))


def test_what_is_no_message_of_ngap_is_refused():
    with pytest.raises(EncodeError, match="did you mean `InitialUEMessage`"):
        ngap.encode(Message("ngap", "InitialUeMessage"))
    with pytest.raises(EncodeError, match="`protocol` must be `ngap`, got 'nas'"):
        ngap.encode(Message("nas", "RegistrationRequest"))
    with pytest.raises(DecodeError, match="procedure code 200 has no initiating message"):
        ngap.decode(bytes.fromhex("00c80000"))
    with pytest.raises(DecodeError, match="3 octets expected, 0 bits left"):
        ngap.decode(b"")


def test_places_in_errors_count_from_the_beginning_of_the_message():
    with pytest.raises(DecodeError) as caught:
        ngap.decode(RELEASE[:3] + bytes([3]) + RELEASE[4:7])
    assert caught.value.offset == 7 and "UEContextReleaseCommand" in str(caught.value)


def test_nas_is_replaced_wherever_it_is():
    inner = Message("nas", "RegistrationRequest")
    opened = ngap.map_nas(INITIAL, lambda data: inner if data == NAS else data)
    assert opened["nas_pdu"] is inner
    with pytest.raises(EncodeError, match="`nas_pdu` must be bytes, got a message RegistrationRequest"):
        ngap.encode(opened)
    assert ngap.map_nas(opened, lambda message: NAS) == INITIAL
    assert ngap.map_nas(INITIAL, lambda data: data) is INITIAL

    setup = random_message("PDUSessionResourceSetupRequest", Random(5))
    path = "pdu_session_resource_setup_list_su_req.item.pdu_session_nas_pdu"
    assert ngap.map_nas(setup.with_value(path, b"old"), lambda data: b"new")[path] == b"new"


def test_pycrate_is_imported_only_when_it_is_needed():
    code = """
import sys
from gentwin.signaling import ngap
assert not any(name.startswith("pycrate") for name in sys.modules)
sys.modules["pycrate_asn1dir"] = None
try:
    ngap.message_names()
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == 'NGAP needs pycrate; install it with `pip install "gentwin[signaling]"`\n'
    assert not done.stderr
