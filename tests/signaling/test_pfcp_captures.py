"""PFCP of recorded cores: every byte comes back, nothing stays opaque, and an independent decoder sees the same."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

import pytest

from gentwin.signaling.capture import read_capture
from gentwin.signaling.fields import Fields
from gentwin.signaling.pfcp import ELEMENTS, MESSAGES, Member, decode, decode_all, encode, encode_all
from gentwin.signaling.values import Octets
from tests.signaling.recordings import find_capture

RECORDINGS = ("n2n4-c02", "n2n4-rejects")
NGAP_PORT = ":38412"
ORACLE_SAMPLE = 5  # messages of each type; the oracle takes milliseconds for one


@cache
def datagrams(name: str) -> list[bytes]:
    with read_capture(find_capture(name)) as reader:
        return [packet.payload for packet in reader if NGAP_PORT not in packet.sender + packet.receiver]


@pytest.fixture(params=RECORDINGS)
def recorded(request) -> list[bytes]:
    return datagrams(request.param)


def leaves(fields: Fields, of: str = "") -> list[tuple[str, object]]:
    """Returns each value of an element that holds no other elements, with the element's name."""
    found = []
    for name, value in fields:
        grouped = name in ELEMENTS and ELEMENTS[name].members is not None and isinstance(value, Fields)
        found += leaves(value, name) if grouped else [(name, value)]
    return found


def test_every_byte_comes_back(recorded):
    assert len(recorded) > 100
    for datagram in recorded:
        assert encode(decode(datagram)) == datagram and encode_all(decode_all(datagram)) == datagram


def test_no_element_stays_opaque(recorded):
    opaque = Counter(
        name
        for datagram in recorded
        for name, value in leaves(decode(datagram).fields)
        if isinstance(value, bytes) and not (name in ELEMENTS and isinstance(ELEMENTS[name].kind, Octets))
    )
    assert not opaque


def test_messages_have_the_members_of_the_tables(recorded):
    def check(fields: Fields, members: tuple[Member, ...], where: str) -> None:
        count = Counter(fields.names())
        known = {member.name: member for member in members}
        assert count.keys() <= known.keys(), where
        assert all(count[name] for name, member in known.items() if member.mandatory), where
        assert all(count[name] == 1 for name in count if not known[name].repeatable), where
        for name, value in fields:
            if isinstance(value, Fields) and ELEMENTS[name].members is not None:
                check(value, ELEMENTS[name].members, name)

    for datagram in recorded:
        message = decode(datagram)
        elements = message.fields.without("seid").without("sequence_number")
        check(elements, MESSAGES[message.name].members, message.name)


def test_an_independent_decoder_sees_the_same_elements(recorded):
    oracle = pytest.importorskip("pycrate_mobile.TS29244_PFCP")

    # Flat, as the other decoder ends a group too early after an outer header removal of one octet.
    def ours(fields: Fields) -> list[tuple[int, bytes | None]]:
        found = []
        for name, value in fields:
            element = ELEMENTS[name]
            if element.members is None:
                found.append((element.number, element.content.encode(value)))
            else:
                found += [(element.number, None), *ours(value)]
        return found

    def theirs(elements) -> list[tuple[int, bytes | None]]:
        found = []
        for element in elements._content:
            number, content = element["Type"].get_val(), element[-1]
            if isinstance(content, oracle.PFCPIEs):
                found += [(number, None), *theirs(content)]
            else:
                found.append((number, content.to_bytes()))
        return found

    seen = Counter()
    for datagram in recorded:
        message = decode(datagram)
        seen[message.name] += 1
        if seen[message.name] > ORACLE_SAMPLE:
            continue
        parsed, error = oracle.parse_PFCP(datagram)
        assert not error
        assert simple(oracle.PFCPMsgType_dict[parsed[0]["Type"].get_val()]) == simple("PFCP" + message.name)
        assert ours(message.fields.without("seid").without("sequence_number")) == theirs(parsed[1])
    assert len(seen) > 8


def test_names_are_those_of_an_independent_table():
    oracle = pytest.importorskip("pycrate_mobile.TS29244_PFCP")
    differ = {
        entry.name
        for entry in ELEMENTS.values()
        if entry.number in oracle.PFCPIEType_dict
        and not simple(entry.name).startswith(simple(oracle.PFCPIEType_dict[entry.number].split("(")[0]))
    }
    assert differ == {"event_time_stamp", "user_plane_ip_resource_information"}
    for entry in ELEMENTS.values():
        known = oracle.PFCPIELUT.get(entry.number)
        assert known is None or issubclass(known, oracle.PFCPIEs) == (entry.members is not None), entry.name


def simple(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
