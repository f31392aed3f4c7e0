"""Identifiers and computed values of messages as slots."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

import pytest

from gentwin.signaling.core import NetworkConfiguration, n1
from gentwin.signaling.core.configuration import Slice
from gentwin.signaling.dialogue import SLOTS, Bindings, Slot, SlotError, canonicalise, restore, to_message, to_tokens
from gentwin.signaling.dialogue.grammar import END
from gentwin.signaling.dialogue.schema import walk
from gentwin.signaling.dialogue.slots import FARTHEST
from gentwin.signaling.fields import Bits, Fields, Value
from gentwin.signaling.messages import NAS, PFCP, Message
from tests.signaling.dialogue_samples import recorded, through_bytes

DELETION = Message(PFCP, "SessionDeletionRequest", Fields.of(seid=77, sequence_number=5))


def test_the_first_time_is_new_and_later_ones_refer_to_it():
    bindings = Bindings()
    first, values = canonicalise(DELETION, bindings)
    assert [value for _, value in first.fields] == [Slot("new", "SEID"), Slot("new", "PFCP_SEQ")]
    assert values == [77, 5]
    again, values = canonicalise(DELETION.with_value("sequence_number", 6), bindings)
    assert [str(value) for _, value in again.fields] == ["<ref:SEID#1>", "<new:PFCP_SEQ>"]
    assert values == [6]


def test_the_most_recent_value_is_the_first():
    bindings = Bindings()
    assert [bindings.use("T", value).number for value in "abcabb"] == [0, 0, 0, 3, 3, 1]
    assert bindings.state == {"T": ["b", "a", "c"]}


def test_values_that_are_too_far_away_are_new_again():
    bindings = Bindings()
    for value in range(FARTHEST + 1):
        bindings.use("T", value)
    assert bindings.use("T", 1) == Slot("ref", "T", FARTHEST)
    assert bindings.use("T", 0) == Slot("new", "T")


def test_bindings_go_on_from_their_state():
    bindings = Bindings()
    canonicalise(DELETION, bindings)
    resumed = Bindings(bindings.state)
    assert resumed.state == bindings.state and resumed.counts == {"SEID": 1, "PFCP_SEQ": 1}
    assert resumed.use("SEID", 77) == Slot("ref", "SEID", 1)
    assert bindings.state == {"SEID": [77], "PFCP_SEQ": [5]}


def test_slots_that_cannot_be_filled_are_refused():
    message, values = canonicalise(DELETION, Bindings())
    with pytest.raises(SlotError, match="no value for"):
        restore(message, values[:1], Bindings())
    with pytest.raises(SlotError, match="more values"):
        restore(message, [*values, 1], Bindings())
    with pytest.raises(SlotError, match="refers to none"):
        restore(message.with_value("seid", Slot("ref", "SEID", 1)), [5], Bindings())


def test_one_tunnel_is_one_identifier_in_both_protocols():
    bindings = Bindings()
    bindings.use("TEID", b"\0\0\0\7")
    message = Message(
        PFCP,
        "SessionEstablishmentResponse",
        Fields.of(created_pdr=Fields.of(f_teid=Fields.of(teid=7, ipv4="10.0.0.1"))),
    )
    found, values = canonicalise(message, bindings)
    assert found["created_pdr.f_teid.teid"] == Slot("ref", "TEID", 1)
    bindings.use("TEID", b"\0\0\0\7")
    assert restore(found, values, bindings) == message


def test_a_message_that_is_ciphered_is_a_slot_and_one_that_is_not_is_spelt():
    fields = Fields.of(security_header_type="integrity_protected", mac=b"abcd", sequence_number=1)
    ciphered = Message(NAS, "SecurityProtected", fields.with_value("payload", b"\xff\xff\xff"))
    plain = ciphered.with_value("payload", Message(NAS, "RegistrationReject", Fields.of(cause_5gmm=7)))
    found, values = canonicalise(ciphered, Bindings())
    assert to_tokens(found)[-2:] == ["payload=<calc:CIPHERED>", END]
    assert restore(found, values, Bindings()) == ciphered
    assert to_tokens(canonicalise(plain, Bindings())[0])[-3:] == ["nas:RegistrationReject", "cause_5gmm=7", END]


def test_a_list_that_is_a_slot_is_one_value():
    message = n1.registration_accept(NetworkConfiguration(), None, [Slice(1), Slice(2, "000001")])
    found, values = canonicalise(message, Bindings())
    assert message["allowed_nssai"] in values
    assert "allowed_nssai=<db:ALLOWED>" in to_tokens(found)
    assert to_message(to_tokens(found)) == found
    assert restore(found, values, Bindings()) == message


def test_every_slot_of_the_table_is_in_a_message():
    pytest.importorskip("pycrate_asn1dir.NGAP")
    used = {slot for _, _, slot in walk() if slot}
    assert used == {slot for rows in SLOTS.values() for slot in rows.values()}


def permuted(name: str, value: Value) -> Value:
    """Returns another value for each value of a type: the same form, other digits or octets."""
    if isinstance(value, bytes):
        return bytes(octet ^ 0x15 for octet in value)
    if isinstance(value, Bits):
        return Bits(value.value ^ 5, value.size)
    if isinstance(value, int):
        return value ^ 1
    if name.endswith("_IP"):
        return str(ip_address(int(ip_address(value)) ^ 5))
    return value.translate(str.maketrans("0123456789", "1032547698"))


def with_others(messages: tuple[Message, ...], change: Callable[[str, Value], Value]) -> list[Message]:
    """Returns messages with other identifiers, the same in place of the same."""
    taken, given, found = Bindings(), Bindings(), []
    for message in messages:
        canonical, values = canonicalise(message, taken)
        named = [slot for _, slot in canonical.fields.walk() if isinstance(slot, Slot) and slot.kind != "ref"]
        other = [
            change(slot.name, value) if slot.kind == "new" else value for slot, value in zip(named, values, strict=True)
        ]
        found.append(restore(canonical, other, given))
    return found


@pytest.mark.parametrize("name", ["n2n4-c02", "n2n4-rejects"])
def test_tokens_do_not_depend_on_identifiers(name: str):
    messages = recorded(name)
    others = with_others(messages, permuted)
    assert sum(one != other for one, other in zip(messages, others, strict=True)) > len(messages) // 2
    here, there = Bindings(), Bindings()
    for message, other in zip(messages, others, strict=True):
        assert to_tokens(canonicalise(message, here)[0]) == to_tokens(canonicalise(other, there)[0])
        assert through_bytes(other) == other


@pytest.mark.parametrize("name", ["n2n4-c02", "n2n4-rejects"])
def test_recorded_messages_come_back_from_tokens_and_values(name: str):
    taken, given, tokens = Bindings(), Bindings(), 0
    for message in recorded(name):
        canonical, values = canonicalise(message, taken)
        found = to_tokens(canonical)
        tokens += len(found)
        assert restore(to_message(found), values, given) == message
        assert taken.state == given.state
    assert tokens / len(recorded(name)) <= 30
