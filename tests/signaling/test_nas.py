"""NAS codec: formats of elements, messages inside messages, errors."""

from __future__ import annotations

import pytest

from gentwin.signaling import nas
from gentwin.signaling.errors import DecodeError, EncodeError
from gentwin.signaling.fields import Bits, Fields
from gentwin.signaling.messages import NAS, PFCP, Message

of = Fields.of
RELEASE = "2e 01 02 d1 59 24"
TRANSPORT = "7e 00 67 01 0006" + RELEASE + "12 01"
IDENTITY = "0007 f4 0040 c0000050"


def roundtrip(octets: str) -> Message:
    """Returns the decoded message, which is encoded to the same octets."""
    data = bytes.fromhex(octets)
    message = nas.decode(data)
    assert nas.encode(message) == data
    return message


# ---------------------------------------------------------------- formats


def test_two_half_octets_share_one():
    message = roundtrip("7e 00 4c 12" + IDENTITY)
    assert message.name == "ServiceRequest"
    assert message["service_type"] == "data"
    assert message["ng_ksi"] == of(tsc="native", ksi=2)
    assert message["mobile_identity.tmsi"] == b"\xc0\0\0\x50"


def test_all_formats():
    message = roundtrip("7e 00 5d 02 00 02 f0f0 e1 57 12 36 01 02 78 0004 01020304")
    assert message.fields.names() == [
        "selected_nas_security_algorithms",
        "ng_ksi",
        "replayed_ue_security_capabilities",
        "imeisv_request",
        "selected_eps_nas_security_algorithms",
        "additional_5g_security_information",
        "eap_message",
    ]
    assert message["selected_eps_nas_security_algorithms"] == of(ciphering=1, integrity=2)
    assert message["imeisv_request"] == "requested"


def test_direction_is_in_the_type():
    names = [roundtrip(f"7e 00 {number} {rest}").name for number, rest in [("46", ""), ("47", "01"), ("48", "")]]
    assert names == [
        "DeregistrationAcceptUEOriginating",
        "DeregistrationRequestUETerminated",
        "DeregistrationAcceptUETerminated",
    ]


def test_optional_elements_in_any_order_and_repeated():
    message = roundtrip("7e 00 4e 50 02 0200 26 02 0000 50 02 0400")
    assert message.fields.all("pdu_session_status") == ["psi_1", "psi_2"]
    assert message.fields.names()[1] == "pdu_session_reactivation_result"


def test_unknown_elements_by_the_general_rule():
    message = roundtrip("7e 00 4e 0f 02 aabb 7f 0003 010203 9a 50 02 0200")
    assert message["unknown_0x0f"] == b"\xaa\xbb"
    assert message["unknown_0x7f"] == b"\x01\x02\x03"
    assert message["unknown_0x9a"] == b""
    assert message["pdu_session_status"] == "psi_1"


@pytest.mark.parametrize("end", ["50", "50 04 0200", "78 00", "7f 0009 00"])
def test_what_fits_nothing_trails(end: str):
    message = roundtrip("7e 00 4e 26 02 0000" + end)
    assert message.fields[-1] == ("trailing", bytes.fromhex(end))


def test_malformed_values_stay_opaque():
    message = roundtrip("7e 00 67 01 0006" + RELEASE + "22 03 010203 25 08 696e7465726e6574 8f")
    assert message["s_nssai"] == b"\1\2\3"
    assert message["dnn"] == b"internet"
    assert message["request_type"] == Bits(15, 4)


def test_spare_half_octets_are_kept_when_set():
    assert roundtrip("7e 00 5b 01").fields == of(identity_type="suci")
    assert roundtrip("7e 00 5b 31")["spare_half_octet"] == 3
    assert roundtrip("7e 20 5b 01")["header_spare_half_octet"] == 2
    assert roundtrip("7e 52 01020304 00 7e 00 43")["spare_half_octet"] == 5


# ---------------------------------------------------------------- messages inside


def test_protected_plain_message():
    message = roundtrip("7e 02 01020304 07 7e 00 43")
    assert message.fields == of(
        security_header_type="integrity_protected_and_ciphered",
        mac=b"\1\2\3\4",
        sequence_number=7,
        payload=Message(NAS, "RegistrationComplete"),
    )


@pytest.mark.parametrize("payload", ["9f8e7d", "7e 00 ff 01", "7e 00 43 55", "7e 02 01020304 00 7e 00 43", RELEASE, ""])
def test_payload_that_is_no_plain_message_stays_bytes(payload: str):
    assert roundtrip("7e 02 01020304 07" + payload)["payload"] == bytes.fromhex(payload)


def test_session_message_in_transport():
    message = roundtrip(TRANSPORT)
    inner = message["payload_container"]
    assert inner == Message(NAS, "PDUSessionReleaseRequest", of(pdu_session_id=1, pti=2, cause_5gsm=36))
    assert message["payload_container.cause_5gsm"] == 36
    assert roundtrip(RELEASE) == inner


def test_other_payloads_stay_bytes():
    assert roundtrip("7e 00 67 02 0006" + RELEASE)["payload_container"] == bytes.fromhex(RELEASE)


def test_several_payloads():
    container = "01 0007 01" + RELEASE
    message = roundtrip(f"7e 00 67 0f 000a {container}")
    assert message["payload_container.entries.entry.type"] == "n1_sm_information"


def test_payload_of_a_type_that_does_not_stand_before_it_stays_bytes():
    message = roundtrip(
        "7e 00 41 79" + IDENTITY + "7b 0006" + RELEASE + "81 b1 7b 0006" + RELEASE + "81 7b 0006" + RELEASE
    )
    assert [type(value) for value in message.fields.all("payload_container")] == [bytes, bytes, Message]


def test_request_in_security_mode_complete():
    request = "7e 00 4c 12" + IDENTITY
    message = roundtrip("7e 00 5e 71 000d" + request)
    assert message["nas_message_container"].name == "ServiceRequest"
    assert roundtrip("7e 00 5e 71 0003 1f2e3d")["nas_message_container"] == b"\x1f\x2e\x3d"


def test_nesting_is_limited():
    data = bytes.fromhex("7e 00 5e")
    for _ in range(3000):
        if len(data) > 60_000:
            break
        data = bytes.fromhex("7e 00 5e 71") + len(data).to_bytes(2, "big") + data
    message = nas.decode(data)
    assert nas.encode(message) == data
    depth = 0
    while isinstance(message, Message):
        message, depth = message.get("nas_message_container"), depth + 1
    assert depth == 9
    message = Message(NAS, "SecurityModeComplete")
    for _ in range(9):
        message = Message(NAS, "SecurityModeComplete", of(nas_message_container=message))
    with pytest.raises(EncodeError, match="must be bytes in 8 messages"):
        nas.encode(message)


def test_very_many_elements_take_no_time():
    for element in ("9a", "7b 0000", "81 7b 0000", "50 00"):
        data = bytes.fromhex("7e 00 41 79" + IDENTITY) + bytes.fromhex(element) * 15_000
        assert nas.encode(nas.decode(data)) == data


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("octets", "offset"),
    [
        ("", 0),
        ("7e 00", 0),
        ("7e 07 01020304 00 7e 00 43", 1),
        ("7e 00 00", 2),
        ("7f 00 43", 0),
        ("2e 01 02", 0),
        ("2e 01 02 41", 3),
        ("7e 00 44", 3),
        ("7e 00 41 79 0007 f4 0040", 4),
        ("7e 02 01020304", 6),
        ("2e 01 02 c2 11 0009 01", 5),
    ],
)
def test_unusable_bytes(octets: str, offset: int):
    with pytest.raises(DecodeError) as caught:
        nas.decode(bytes.fromhex(octets))
    assert caught.value.offset == offset


ACCEPT = Message(NAS, "RegistrationAccept", nas.decode(bytes.fromhex("7e 00 42 01 01 5e 01 29")).fields)
PROTECTED = Message(NAS, "SecurityProtected", nas.decode(bytes.fromhex("7e 02 01020304 07" + TRANSPORT)).fields)


@pytest.mark.parametrize(
    ("message", "path", "reason"),
    [
        (ACCEPT.with_value("t3512_valeu", 1), "t3512_valeu", "did you mean `t3512_value`?"),
        (ACCEPT.with_value("dnn", "internet"), "dnn", "is no field of `RegistrationAccept`"),
        (ACCEPT.without("registration_result"), "registration_result", "is missing"),
        (ACCEPT.with_value("t3512_value.value", 32), "t3512_value.value", "from 0 to 31, got 32"),
        (ACCEPT.with_value("t3512_value.unit", "1 hour"), "t3512_value.unit", "did you mean `1 h`?"),
        (ACCEPT.with_value("t3512_value.units", 1), "t3512_value.units", "did you mean `unit`?"),
        (ACCEPT.with_value("t3512_value", of(unit="1 h")), "t3512_value.value", "is missing"),
        (ACCEPT.with_value("mico_indication", "raai raa"), "mico_indication", "did you mean `raai`?"),
        (ACCEPT.with_value("mico_indication", Bits(1, 5)), "mico_indication", "names of flags"),
        (ACCEPT.with_value("t3512_value", bytes(256)), "t3512_value", "from 0 to 255 octets, got 256"),
        (ACCEPT.with_value("unknown_0x5e", b""), "unknown_0x5e", "is no field"),
        (ACCEPT.with_value("unknown_0xf1", b"1"), "unknown_0xf1", "at most 0 bytes"),
        (ACCEPT.with_value("trailing", 1), "trailing", "must be bytes"),
        (ACCEPT.with_value("trailing", b"").with_value("t3502_value", b"1"), "trailing", "last field"),
        (ACCEPT.with_value("spare_half_octet", 1), "spare_half_octet", "is no field"),
        (ACCEPT.with_value("header_spare_half_octet", 16), "", "from 1 to 15"),
        (PROTECTED.with_value("mac", b"123"), "mac", "must have 4 octets, got 3"),
        (PROTECTED.with_value("payload.payload_container.pti", 256), "payload.payload_container.pti", "from 0 to 255"),
        (
            PROTECTED.with_value("payload.payload_container_type", "n1"),
            "payload.payload_container_type",
            "no value 'n1'",
        ),
        (
            PROTECTED.with_value("payload.payload_container", ACCEPT),
            "payload.payload_container",
            "must be a 5GSM message",
        ),
        (PROTECTED.with_value("payload", PROTECTED), "payload", "must be a plain 5GMM message"),
        (
            PROTECTED.with_value("payload", Message(PFCP, "RegistrationAccept")),
            "payload",
            "must be a plain 5GMM message",
        ),
        (PROTECTED.with_value("payload", "secret"), "payload", "bytes"),
        (Message(NAS, "RegistrationAcept"), "", "did you mean `RegistrationAccept`?"),
        (Message(PFCP, "RegistrationAccept"), "", "must be a message of nas"),
        (Message(NAS, "RegistrationAccept", ()), "", "must have `Fields`"),
        ("RegistrationAccept", "", "must be a message of nas"),
    ],
)
def test_says_what_cannot_be_encoded(message, path: str, reason: str):
    with pytest.raises(EncodeError) as caught:
        nas.encode(message)
    assert (caught.value.path, reason in caught.value.reason) == (path, True), caught.value


def test_a_mandatory_field_twice():
    with pytest.raises(EncodeError, match="twice"):
        nas.encode(Message(NAS, "5GMMStatus", Fields((("cause_5gmm", 1), ("cause_5gmm", 2)))))


def test_mandatory_fields_may_stand_anywhere():
    message = Message(NAS, "RegistrationReject", of(t3346_value=of(unit="1 min", value=2), cause_5gmm=22))
    assert nas.encode(message).hex() == "7e0044165f0122"
