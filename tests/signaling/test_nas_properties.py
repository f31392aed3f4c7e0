"""NAS codec: what holds for all messages and all bytes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gentwin.signaling import nas
from gentwin.signaling.errors import DecodeError, EncodeError
from gentwin.signaling.messages import Message
from gentwin.signaling.nas import MESSAGES
from gentwin.signaling.nas.elements import Carried, Depending, Format
from gentwin.signaling.values import Octets
from tests.signaling.nas_trees import PLAIN, any_message, messages_of
from tests.signaling.value_strategies import values_of

SOME = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
FEW = settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
ELEMENTS = {element.kind: element for message in MESSAGES.values() for element in message.elements}
WHOLE = [e for kind, e in ELEMENTS.items() if not e.is_half and not isinstance(kind, Carried | Depending)]


@pytest.mark.parametrize("name", MESSAGES)
@FEW
@given(data=st.data())
def test_every_message_of_the_tables_round_trips(name: str, data: st.DataObject):
    message = data.draw(messages_of(MESSAGES[name]))
    assert nas.decode(nas.encode(message)) == message


@SOME
@given(data=st.binary(max_size=60) | st.binary(max_size=60).map(b"\x7e\x00".__add__))
def test_any_bytes_are_kept_or_refused(data: bytes):
    with contextlib.suppress(DecodeError):
        assert nas.encode(nas.decode(data)) == data


@SOME
@given(message=any_message, place=st.integers(0, 400), octet=st.integers(0, 255), cut=st.integers(0, 400))
def test_damaged_messages_are_kept_or_refused(message: Message, place: int, octet: int, cut: int):
    whole = nas.encode(message)
    damaged = bytearray(whole)
    damaged[place % len(whole)] = octet
    for data in (bytes(damaged), whole[: cut % len(whole)], whole + bytes(damaged)):
        with contextlib.suppress(DecodeError):
            assert nas.encode(nas.decode(data)) == data


@pytest.mark.parametrize("element", WHOLE, ids=lambda element: element.name)
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_exact_value_types_write_what_they_read(element, data: st.DataObject):
    kind = element.kind
    octets = bytearray(kind.encode(data.draw(values_of(kind))))
    assert element.min_octets <= len(octets) <= element.max_octets
    for _ in range(3):
        if octets:
            octets[data.draw(st.integers(0, len(octets) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        with contextlib.suppress(DecodeError):
            value = kind.decode(bytes(octets))
            assert not kind.exact or kind.encode(value) == bytes(octets)


@SOME
@given(message=any_message, data=st.data())
def test_a_field_of_another_type_is_an_encode_error(message: Message, data: st.DataObject):
    names = [name for name, _ in message.fields]
    if names:
        name = data.draw(st.sampled_from(names))
        with pytest.raises(EncodeError) as caught:
            nas.encode(message.with_value(name, 1.5))
        assert caught.value.path.startswith(name)


# Where release 17 has other identifiers than pycrate 0.8, or half an octet of value after the identifier.
ELSEWHERE = {
    ("RegistrationRequest", 0xA0),
    ("RegistrationAccept", 0x1A),
    ("RegistrationAccept", 0x1C),
    ("RegistrationAccept", 0x2A),
    ("RegistrationAccept", 0x33),
    ("RegistrationAccept", 0x35),
    ("PDUSessionEstablishmentReject", 0x00),
    ("PDUSessionEstablishmentReject", 0x1D),
    ("PDUSessionModificationReject", 0x00),
    ("PDUSessionModificationReject", 0x1D),
}
FORMATS = {"Type1TV": Format.TV, "Type3TV": Format.TV, "Type4TLV": Format.TLV, "Type6TLVE": Format.TLV_E, "Type2": None}


def optional_in(pycrate_message) -> list[tuple[int, Format | None]]:
    """Returns identifiers and formats of the optional elements in a message of pycrate."""
    elements = [e for e in pycrate_message._content[1:] if type(e).__name__ in FORMATS and not e.get_trans()]
    half = ("Type1TV", "Type2")
    return [(e._content[0].get_val() << 4 * (type(e).__name__ in half), FORMATS[type(e).__name__]) for e in elements]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(message=st.sampled_from(PLAIN).flatmap(lambda message: messages_of(message, depth=2)))
def test_pycrate_reads_the_same_type_and_elements(message: Message):
    pycrate = pytest.importorskip("pycrate_mobile.NAS5G")
    parsed, error = pycrate.parse_NAS5G(nas.encode(message), inner=False)
    assert not error
    assert parsed[0]["Type"].get_val() == MESSAGES[message.name].number
    optional = MESSAGES[message.name].optional
    ours = {optional[name].identifier for name, _ in message.fields if name in optional}
    theirs = {identifier for identifier, _ in optional_in(parsed)}
    assert {identifier for identifier in ours ^ theirs if (message.name, identifier) not in ELSEWHERE} == set()


def test_the_tables_agree_with_those_of_pycrate():
    mobility = pytest.importorskip("pycrate_mobile.TS24501_FGMM")
    session = pytest.importorskip("pycrate_mobile.TS24501_FGSM")
    theirs = mobility.FGMMTypeClasses | session.FGSMTypeClasses
    assert theirs.keys() == {message.number for message in PLAIN}
    for message in PLAIN:
        parsed = theirs[message.number]()
        for element in parsed._content[1:]:
            element.set_trans(False)
        ours = {(element.identifier, element.format) for element in message.optional.values()}
        differing = {identifier for identifier, _ in ours ^ set(optional_in(parsed))}
        assert {identifier for identifier in differing if (message.name, identifier) not in ELSEWHERE} == set()


def test_identifiers_and_names_are_unique_in_a_message():
    for message in MESSAGES.values():
        names = [element.name for element in message.elements]
        identifiers = [element.identifier for element in message.optional.values()]
        assert len(set(names)) == len(names)
        assert len(set(identifiers)) == len(identifiers)
        for element in message.elements:
            assert element.min_octets <= element.max_octets
            fixed = element.format in (Format.V, Format.TV) and not isinstance(element.kind, Carried)
            assert not fixed or element.min_octets == element.max_octets, element.name
            assert isinstance(element.kind, Octets) or element.kind.exact or element.name.endswith("_for_network")
