"""Pseudonyms: nothing that identifies a person is left, and all that belongs together still does."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gentwin.signaling import nas as nas_codec
from gentwin.signaling import ngap as ngap_codec
from gentwin.signaling import pfcp as pfcp_codec
from gentwin.signaling import values
from gentwin.signaling.contexts import dialogues
from gentwin.signaling.errors import SignalingError
from gentwin.signaling.fields import Bits, Fields
from gentwin.signaling.messages import NGAP, Message, Record
from gentwin.signaling.privacy import TEXTS, Pseudonymiser
from gentwin.signaling.records import decode_message, encode_record
from tests.signaling.record_samples import (
    KEY,
    accept,
    downlink,
    guti,
    nas,
    ngap,
    pfcp,
    recorded,
    registration,
    s_tmsi,
    suci,
)

SCENARIOS = ["n2n4-c02", "n2n4-rejects", "n2n4-nea2-c08"]
PSEUDONYMISE = Pseudonymiser(KEY)
TMSI = b"\xc0\0\1\2"


@cache
def pseudonyms(scenario: str) -> tuple[Record, ...]:
    return tuple(map(PSEUDONYMISE, recorded(scenario)))


def leaf(name: str, value, record: Record | None = None):
    """Returns what becomes of the value of a field in a PFCP message."""
    return PSEUDONYMISE(pfcp("SessionReportRequest", **{name: value})).message[name]


# ---------------------------------------------------------------- recordings


def host(end: str) -> str:
    return end.rpartition(":")[0]


def encoded(records: tuple[Record, ...]) -> bytes:
    """Returns the bytes of all records, with something between them that is in no identifier."""
    return (b"\xa5" * 40).join(map(encode_record, records))


def digits_in(data: bytes) -> str:
    """Returns the half octets in the order in which digits are written."""
    text = data.hex()
    return "".join(f"{second}{first}" for first, second in zip(text[::2], text[1::2], strict=True))


def leaves(records: tuple[Record, ...]) -> Iterator[tuple[str, object]]:
    for record in records:
        for path, value in record.message.fields.walk():
            yield path.rpartition(".")[2], value


class Identifiers:
    """What identifies somebody in records: texts of digits, bytes, and texts."""

    def __init__(self, records: tuple[Record, ...]) -> None:
        self.digits: set[str] = set()
        self.bytes: set[bytes] = set()
        self.texts: set[str] = set()
        for name, value in leaves(records):
            if name in ("msin", "imsi", "imei", "imeisv", "msisdn"):
                if not value.startswith("000"):
                    self.digits.add(value)
            elif name in ("tmsi", "five_g_tmsi", "rand", "autn", "auts", "res_star", "scheme_output"):
                self.bytes.add(value)
            elif name in ("security_key", "masked_imeisv"):
                self.bytes.add(value.value.to_bytes(value.size // 8, "big"))
            elif name in ("ran_node_name", "amf_name"):
                self.texts.add(value)
            elif name == "payload" and isinstance(value, bytes):
                self.bytes.update(value[place : place + 8] for place in range(0, len(value) - 7, 8))
            elif isinstance(value, str) and re.fullmatch(r"[0-9]+(\.[0-9]+){3}|[0-9a-f:]*:[0-9a-f:]*", value):
                self.bytes.add(ip_address(value).packed)
                self.texts.add(value)
        for record in records:
            for end in (record.sender, record.receiver):
                self.texts.add(host(end))
                self.bytes.add(ip_address(host(end)).packed)

    def found(self, data: bytes) -> set[object]:
        """Returns those that occur anywhere in some bytes."""
        swapped, straight = digits_in(data), data.hex()
        found: set[object] = {text for text in self.digits if text in swapped or text.encode() in data}
        found |= {text for text in self.digits if len(text) > 10 and text in straight}
        for size in {len(part) for part in self.bytes}:
            there = {data[place : place + size] for place in range(len(data) - size + 1)}
            found |= {part for part in self.bytes if len(part) == size and part in there}
        return found | {text for text in self.texts if text.encode() in data}


def check_nothing_is_left(records: tuple[Record, ...], changed: tuple[Record, ...]) -> None:
    known = Identifiers(records)
    known.bytes.discard(bytes(32))  # keys that have been replaced
    ends = {ip_address(host(end)).packed for record in records for end in (record.sender, record.receiver)}
    assert known.found(encoded(records)) >= known.digits | known.bytes - ends
    assert not known.found(encoded(changed))
    assert not any(record.raw for record in changed)
    texts = repr([(record.message, record.sender, record.receiver) for record in changed])
    assert not [text for text in known.digits | known.texts if text in texts]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_no_identifier_is_left(scenario: str):
    check_nothing_is_left(recorded(scenario), pseudonyms(scenario))


def test_no_identifier_without_zeros_is_left():
    """The recorded subscribers have numbers of almost only zeros, which are also there by chance; pseudonyms do not."""
    records = pseudonyms("n2n4-rejects")
    changed = tuple(map(Pseudonymiser(KEY[::-1]), records))
    assert any(len(text) == 10 for text in Identifiers(records).digits)
    check_nothing_is_left(records, changed)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_records_still_encode_and_decode(scenario: str):
    for record, changed in zip(recorded(scenario), pseudonyms(scenario), strict=True):
        data = encode_record(changed)
        assert decode_message(changed.message.protocol, data) == changed.message
        assert len(data) == len(record.raw)
        assert (changed.timestamp, changed.stream) == (record.timestamp, record.stream)


@pytest.mark.parametrize("scenario", SCENARIOS[:2])
def test_contexts_are_the_same(scenario: str):
    def places(records: tuple[Record, ...]) -> list[list[int]]:
        of = {id(record): place for place, record in enumerate(records)}
        return [[of[id(record)] for record in dialogue.records] for dialogue in dialogues(records)]

    assert places(recorded(scenario)) == places(pseudonyms(scenario))


def test_as_many_different_identifiers_as_before():
    names = {
        "msin",
        "imsi",
        "imeisv",
        "msisdn",
        "tmsi",
        "five_g_tmsi",
        "ipv4",
        "transport_layer_address",
        "rand",
        "mac",
    }

    def numbers(records: tuple[Record, ...]) -> dict[str, int]:
        found = {pair for pair in leaves(records) if pair[0] in names}
        return Counter(name for name, _ in found)

    assert numbers(pseudonyms("n2n4-c02")) == numbers(recorded("n2n4-c02"))


# ---------------------------------------------------------------- identities


def test_one_person_has_one_pseudonym():
    msin = PSEUDONYMISE(registration(1, suci("0123456789"))).message["nas_pdu.mobile_identity.msin"]
    user = Fields.of(
        imsi="999700123456789", supi="imsi-999700123456789", msisdn="821000000001", gpsi="msisdn-821000000001"
    )
    changed = leaf("user_id", user)
    assert changed["imsi"] == f"99970{msin}" and changed["supi"] == f"imsi-99970{msin}"
    assert changed["gpsi"] == f"msisdn-{changed['msisdn']}"
    assert msin[0] == "0" and msin != "0123456789" and changed["msisdn"] != user["msisdn"]


def test_network_with_three_digits():
    identity = suci("123456789").with_value("mnc", "070")
    changed = PSEUDONYMISE(registration(1, identity)).message["nas_pdu.mobile_identity"]
    assert (changed["mcc"], changed["mnc"]) == ("999", "070")
    assert leaf("user_id", Fields.of(imsi="999070123456789"))["imsi"] == "999070" + changed["msin"]


def test_one_device_has_one_pseudonym():
    imeisv = "4370816125816152"
    complete = nas("SecurityModeComplete", imeisv=Fields.of(type="imeisv", imeisv=imeisv))
    changed = PSEUDONYMISE(downlink(1, 1, complete)).message["nas_pdu.imeisv.imeisv"]
    assert changed != imeisv and changed[14:] == imeisv[14:]
    user = leaf("user_id", Fields.of(imei=imeisv, pei=f"imeisv-{imeisv}"))
    assert (user["imei"], user["pei"]) == (changed, f"imeisv-{changed}")
    masked = PSEUDONYMISE(ngap("InitialContextSetupRequest", masked_imeisv=Bits(0x4370816125FFFF52, 64)))
    assert masked.message["masked_imeisv"].value == int(f"{changed[:10]}ffff52", 16)
    odd = PSEUDONYMISE(ngap("InitialContextSetupRequest", masked_imeisv=Bits(0xABCD816125FFFF52, 64)))
    assert odd.message["masked_imeisv"] != Bits(0xABCD816125FFFF52, 64)


def test_temporary_identities_stay_the_same_in_nas_and_ngap():
    records = [
        accept(1, 1, TMSI),
        registration(2, guti(TMSI, "5g_s_tmsi")),
        registration(3, guti(TMSI), five_g_s_tmsi=s_tmsi(TMSI)),
    ]
    first, second, third = (PSEUDONYMISE(record).message for record in records)
    tmsi = first["nas_pdu.guti.tmsi"]
    assert tmsi != TMSI and second["nas_pdu.mobile_identity.tmsi"] == third["five_g_s_tmsi.five_g_tmsi"] == tmsi
    assert first["nas_pdu.guti.mcc"] == "999" and third["five_g_s_tmsi.amf_set_id"] == Bits(1, 10)


def test_texts_keep_their_form():
    nai = leaf("user_id", Fields.of(nai="User.17@example.com"))["nai"]
    assert re.fullmatch(r"[A-Z][a-z]{3}\.[0-9]{2}@[a-z]{7}\.[a-z]{3}", nai) and nai != "User.17@example.com"
    assert leaf("user_id", Fields.of(supi="ünknown"))["supi"].isascii()


def test_other_keys_give_other_pseudonyms():
    record = registration(1, suci("0000000001"))
    one, other = Pseudonymiser(KEY), Pseudonymiser(KEY[::-1])
    assert one(record) == PSEUDONYMISE(record) != other(record)


def test_a_short_key_is_an_error():
    with pytest.raises(ValueError, match=r"`key` must have at least 16 bytes, got 3"):
        Pseudonymiser(b"key")


# ---------------------------------------------------------------- addresses

KINDS = {
    "10.1.2.3": r"10\.",
    "172.20.1.2": r"172\.(1[6-9]|2[0-9]|3[01])\.",
    "192.168.4.5": r"192\.168\.",
    "100.64.0.1": r"100\.",
    "127.0.0.5": r"127\.",
    "169.254.1.1": r"169\.254\.",
    "8.8.8.8": r"(?!10\.|127\.|192\.168|0\.|22[4-9]|2[3-5][0-9])",
    "2001:db8:1::7": "2001:",
    "fe80::1": "fe80::[^1]",
    "fd00:1::1": "fd00:",
}


@pytest.mark.parametrize("address", KINDS)
def test_an_address_stays_of_its_kind(address: str):
    version = "ipv6" if ":" in address else "ipv4"
    changed = leaf("ue_ip_address", Fields.of(match="source", **{version: address}))[version]
    assert changed != address and re.match(KINDS[address], changed)
    assert ip_address(changed).version == ip_address(address).version


@pytest.mark.parametrize("address", ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "::1", "ff02::2"])
def test_addresses_of_nobody_stay(address: str):
    assert leaf("redirect_information", Fields.of(address=address))["address"] == address


@pytest.mark.parametrize("prefix", ["10.1.0", "8.8.8"])
def test_different_addresses_stay_different(prefix: str):
    assert len({leaf("dns_server_address", f"{prefix}.{number}") for number in range(200)}) == 200


def test_an_interface_is_the_same_alone_and_in_its_address():
    alone = PSEUDONYMISE(downlink(1, 1, nas("PDUSessionEstablishmentAccept", interface_identifier=bytes(7) + b"\7")))
    whole = ip_address(leaf("dns_server_address", "2001:db8::7"))
    assert whole.packed[8:] == alone.message["nas_pdu.interface_identifier"]


def test_addresses_of_ngap():
    def changed(name: str, value):
        return PSEUDONYMISE(ngap("NGReset", **{name: value})).message[name]

    ipv4 = leaf("dns_server_address", "10.0.0.9")
    assert changed("transport_layer_address", "10.0.0.9") == ipv4
    both = changed("transport_layer_address", Bits((0x0A000009 << 128) | 0xFD << 120 | 9, 160))
    assert str(ip_address(both.value >> 128)) == ipv4 and both.value & 0xFFFF != 9
    assert changed("gtp_tlas", Fields.of(item="10.0.0.9"))["item"] == ipv4
    assert changed("gtp_tlas", Fields.of(item=Bits(5, 40)))["item"] != Bits(5, 40)
    assert changed("nr_cell_identity", Bits(5, 36)) == Bits(5, 36)


@pytest.mark.parametrize(
    "text",
    [
        "permit out ip from {} to assigned",
        "permit out 58 from {}/128 to any",
        "http://{}:8080/path",
        "({}, next)",
        "ends with {}.",
        "[{}]",
    ],
)
@pytest.mark.parametrize("address", ["10.1.2.3", "8.8.8.8", "010.001.002.003"])
def test_addresses_in_texts(text: str, address: str):
    changed = leaf("flow_description", text.format(address))
    assert address not in changed and changed.startswith(text.partition("{")[0])
    if address in KINDS:
        assert changed == text.format(leaf("dns_server_address", address))


def test_addresses_of_ipv6_in_texts():
    changed = leaf("flow_description", "permit out from 2001:db8::7/64 and 2001:db8:1:2:3:4:5:6:7:8 to [fd00::9]:80")
    assert "db8" not in changed and "fd00::9" not in changed and changed.endswith("]:80")
    assert leaf("flow_description", "permit out 58 from ff02::2/128 to assigned").count("ff02::2") == 1


def test_masks_stay():
    assert leaf("filter", Fields.of(address="10.0.0.1", mask="255.255.255.0"))["mask"] == "255.255.255.0"


def test_ethernet_addresses():
    address = "02:11:22:33:44:55"
    changed = leaf("mac_address", Fields.of(source=address, destination="01:00:5e:00:00:01"))
    assert changed["source"] != address and int(changed["source"][:2], 16) & 3 == 2
    assert changed["destination"] == "01:00:5e:00:00:01"


@pytest.mark.parametrize("end", ["10.0.0.1:38412", "[2001:db8::1]:8805", "amf-0.example:38412"])
def test_ends_of_records(end: str):
    changed = PSEUDONYMISE(replace(registration(1, suci("0000000001")), sender=end)).sender
    assert changed.rpartition(":")[2] == end.rpartition(":")[2] and changed != end
    assert changed.startswith("[2001:") == end.startswith("[")


# ---------------------------------------------------------------- secrets and opaque bytes


def test_keys_are_zeros():
    record = ngap("InitialContextSetupRequest", security_key=Bits(12345, 256), x=Fields.of(next_hop_nh=Bits(9, 256)))
    message = PSEUDONYMISE(record).message
    assert message["security_key"] == message["x.next_hop_nh"] == Bits(0, 256)


def test_what_is_computed_of_keys_is_other_bytes():
    fields = {"rand": bytes(16), "autn": bytes(range(16))}
    request = nas("AuthenticationRequest", ng_ksi=Fields.of(tsc="native", ksi=0), abba=b"\0\0", **fields)
    changed = PSEUDONYMISE(downlink(1, 1, request)).message["nas_pdu"]
    assert all(len(changed[name]) == 16 and changed[name] != value for name, value in fields.items())
    assert changed["abba"] == b"\0\0"


def test_bytes_that_are_decoded_further_by_chance():
    """A payload that becomes a plain message in another one is that message then."""

    class Unlucky(Pseudonymiser):
        def _hash(self, data: bytes, size: int) -> bytes:
            return bytes.fromhex("7e0054").ljust(size, b"\0")[:size]

    protected = {"security_header_type": "integrity_protected", "mac": bytes(4), "sequence_number": 1}
    message = nas("SecurityProtected", **protected, payload=b"\x99\x88\x77")
    changed = Unlucky(KEY)(downlink(1, 1, message))
    assert changed.message["nas_pdu.payload"].name == "ConfigurationUpdateCommand"
    assert decode_message(NGAP, encode_record(changed)) == changed.message


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_opaque_bytes_do_not_leak(data):
    """Recorded NGAP with octets changed in NAS: whatever it decodes to, it has no long run of octets any more."""
    records = [record for record in recorded("n2n4-rejects") if isinstance(record.message.get("nas_pdu"), Message)]
    record = data.draw(st.sampled_from(records[:80]))
    secret = b"\x99\x07\x13\x37\xfe\xed\xca\xfe"
    pdu = nas_codec.encode(record.message["nas_pdu"])
    place = data.draw(st.integers(0, len(pdu)))
    hidden = pdu[:place] + secret + pdu[place + data.draw(st.integers(0, 8)) :]
    message = record.message.with_value("nas_pdu", hidden)
    broken = replace(record, message=decode_message(NGAP, encode_record(replace(record, message=message))))
    try:
        changed = PSEUDONYMISE(broken)
    except SignalingError:
        pytest.fail("what was decoded must be encoded")
    encoded = encode_record(changed)
    assert decode_message(NGAP, encoded) == changed.message
    if isinstance(broken.message["nas_pdu"], bytes):
        assert secret not in encoded


# ---------------------------------------------------------------- completeness

OWN_RULES = {"msin", "imsi", "imei", "imeisv", "msisdn", "supi", "gpsi", "pei"}
REVIEWED = {
    "activate_predefined_rules",
    "additional_domain_names",
    "additional_flow_descriptions",
    "additional_urls",
    "apn_dnn",
    "application_id",
    "data_network_access_identifier",
    "deactivate_predefined_rules",
    "dnn",
    "domain_name",
    "domain_name_protocol",
    "flow_description",
    "forwarding_policy",
    "framed_ipv6_route",
    "framed_route",
    "ladn_indication",
    "mcc",
    "mnc",
    "name",
    "network_instance",
    "plmn",
    "predefined_rules_name",
    "protocol",
    "routing_indicator",
    "smf_set_id",
    "text",
    "ue_ip_address_pool_identity",
    "url",
    "yymmddhhmmss",
}
"""Other fields of text that are not in `TEXTS`: only addresses in them are replaced."""


def texts_of(kind: object, name: str, seen: set[int]) -> Iterator[str]:
    """Yields the names of the fields in a value type of NAS or PFCP that hold a text of free form."""
    if id(kind) in seen:
        return
    seen.add(id(kind))
    if isinstance(kind, values.Text | values.Labels) or type(kind) is values.Digits:
        yield name
    for part in kind.parts if isinstance(kind, values.Struct) else ():
        yield from texts_of(part.kind, part.name or name, seen) if isinstance(part.kind, values.Kind) else ()
    for entry in (getattr(kind, "entries", None) or {}).values() if isinstance(kind, values.Tagged) else ():
        yield from texts_of(entry.kind, entry.name, seen)
    inner = [value for value in vars(kind).values() if isinstance(value, values.Kind)]
    for value in vars(kind).values():
        inner += [item for item in value.values() if isinstance(item, values.Kind)] if isinstance(value, dict) else []
        inner += [item for item in value if isinstance(item, values.Kind)] if isinstance(value, tuple | list) else []
    own = kind.name if isinstance(kind, values.ListOf) else name
    for item in inner:
        yield from texts_of(item, own, seen)


def test_every_text_of_nas_and_pfcp_was_thought_of():
    found: set[str] = set()
    for message in nas_codec.MESSAGES.values():
        for element in message.elements:
            found.update(texts_of(element.kind, element.name, set()))
    for name, element in pfcp_codec.ELEMENTS.items():
        found.update(texts_of(element.kind, name, set()))
    assert {"nai", "imsi", "fqdn", "msin", "sm_pdu_dn_request_container"} <= found
    assert found - TEXTS - REVIEWED - OWN_RULES == set()


def test_every_text_of_ngap_was_thought_of():
    seen: set[int] = set()
    found: set[str] = set()

    def look(kind: object, name: str) -> None:
        if isinstance(kind, ngap_codec.Text):
            found.add(name)
        if id(kind) in seen:
            return
        seen.add(id(kind))
        for part in ("components", "alternatives", "elements"):
            for known in getattr(kind, part, ()):
                look(known.kind, known.name)
        for part in ("item", "contains"):
            if getattr(kind, part, None) is not None:
                look(getattr(kind, part), name)

    for name in ngap_codec.message_names():
        look(ngap_codec.schema(name).content, name)
    assert "ran_node_name" in found and found - TEXTS == set()
