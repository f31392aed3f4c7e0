"""PFCP: whatever is drawn from the tables round-trips, and no bytes do harm."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gentwin.signaling.errors import DecodeError
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import PFCP, Message
from gentwin.signaling.pfcp import ELEMENTS, MESSAGES, decode, decode_all, encode, encode_all
from tests.signaling.pfcp_trees import any_message, element_values, messages_of

CONTENTS = st.lists(st.tuples(st.integers(0, 360), st.binary(max_size=24)), max_size=4)
QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
LEAVES = [element for element in ELEMENTS.values() if element.members is None]
HEADERS = st.sampled_from([(b"\x20", b""), (b"\x21", bytes(8)), (b"\x23", bytes(8))])


def decodes_or_refuses(data: bytes) -> None:
    try:
        decoded = decode_all(data)
    except DecodeError as error:
        assert 0 <= error.offset <= len(data)
    else:
        assert encode_all(decoded) == data


@pytest.mark.parametrize("name", MESSAGES)
@settings(QUICK, max_examples=5)
@given(data=st.data())
def test_every_type_of_message_round_trips(name, data):
    message = data.draw(messages_of(MESSAGES[name]))
    assert decode(encode(message)) == message


@QUICK
@given(st.data())
def test_every_value_round_trips(data):
    element = data.draw(st.sampled_from(LEAVES))
    value = data.draw(element_values(element))
    message = Message(PFCP, "SessionReportResponse", Fields((("sequence_number", 1), (element.name, value))))
    assert decode(encode(message)) == message


@QUICK
@given(st.lists(any_message(), min_size=1, max_size=3))
def test_several_messages_round_trip(several):
    assert decode_all(encode_all(several)) == several


@QUICK
@given(any_message(), st.data())
def test_damaged_messages_are_refused_or_kept(message, data):
    octets = bytearray(encode(message))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(octets) - 1))
        octets[place] ^= 1 << data.draw(st.integers(0, 7))
    decodes_or_refuses(bytes(octets))
    decodes_or_refuses(bytes(octets[: data.draw(st.integers(0, len(octets)))]))


@settings(QUICK, max_examples=300)
@given(
    HEADERS,
    st.sampled_from(list(MESSAGES.values())),
    st.lists(st.tuples(st.integers(0, 360), st.binary(max_size=24)), max_size=4),
)
def test_any_contents_are_kept(header, kind, contents):
    body = b"".join(
        number.to_bytes(2, "big") + len(content).to_bytes(2, "big") + content for number, content in contents
    )
    flags, seid = header
    body = seid + b"\0\0\1\0" + body
    data = flags + bytes([kind.number]) + len(body).to_bytes(2, "big") + body
    assert encode(decode(data)) == data


@QUICK
@given(st.binary(max_size=64))
def test_any_bytes_are_refused_or_kept(data):
    decodes_or_refuses(data)
    decodes_or_refuses(b"\x21\x34" + len(data).to_bytes(2, "big") + data)
