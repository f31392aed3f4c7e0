"""Messages as tokens and back."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gentwin.signaling import nas, ngap, pfcp
from gentwin.signaling.dialogue import GrammarError, Slot, framed, raw, to_message, to_tokens, unframed
from gentwin.signaling.dialogue.grammar import CLOSE, END, OCTETS, OPEN, RAW
from gentwin.signaling.errors import DecodeError, SignalingError
from gentwin.signaling.fields import Bits, Fields
from gentwin.signaling.messages import NAS, NGAP, PFCP, Message
from tests.signaling import nas_trees, pfcp_trees
from tests.signaling.dialogue_samples import recorded
from tests.signaling.ngap_trees import random_message

ACCEPT = nas.decode(bytes.fromhex("7e004e5002060026020000"))
TAGS = st.sampled_from([END, CLOSE, OPEN, RAW, ":3", ":long", *OCTETS[:4], "cause_5gmm=7", "guti", "nas:ServiceAccept"])


def far(**fields: object) -> tuple[str, Fields]:
    return "update_far", Fields(fields.items())


def modification(*pairs: tuple[str, object]) -> Message:
    return Message(PFCP, "SessionModificationRequest", Fields([("seid", 1 << 60), ("sequence_number", 3), *pairs]))


def test_a_message_is_its_name_its_fields_and_an_end():
    assert to_tokens(Message(NAS, "RegistrationReject", Fields.of(cause_5gmm=7))) == [
        "nas:RegistrationReject",
        "cause_5gmm=7",
        END,
    ]


def test_numbers_are_one_token_where_they_are_small_and_octets_elsewhere():
    assert to_tokens(modification(far(far_id=9), far(far_id=10)))[-8:] == [
        "far_id=9", "update_far", "far_id", "#00", "#00", "#00", "#0a", END,
    ]  # fmt: skip


def test_names_of_groups_are_left_out_where_nothing_else_can_come():
    tokens = to_tokens(Message(NAS, "AuthenticationResult", Fields([
        ("ng_ksi", Fields.of(tsc="native", ksi=1)), ("eap_message", b"abcd"),
    ])))  # fmt: skip
    assert tokens[:4] == ["nas:AuthenticationResult", "tsc=native", "ksi=1", "eap_message"]


def test_a_group_ends_by_a_token_only_before_a_field_that_it_could_have_itself():
    endpoint = ("create_traffic_endpoint", Fields.of(traffic_endpoint_id=1))
    apart, alike = modification(endpoint, ("group_id", b"")), modification(endpoint, ("rat_type", "nr"))
    inside = modification(("create_traffic_endpoint", Fields.of(traffic_endpoint_id=1, rat_type="nr")))
    assert CLOSE not in to_tokens(apart)
    assert to_tokens(alike)[-3:] == [CLOSE, "rat_type=nr", END]
    assert to_tokens(inside)[-2:] == ["rat_type=nr", END]


@pytest.mark.parametrize(
    "message",
    [
        ACCEPT.with_value("unknown_0x7f", b"abc"),
        ACCEPT.with_value("trailing", b"\x50"),
        Message(NAS, "ServiceAccept", Fields(reversed(ACCEPT.fields))),
        Message(NAS, "RegistrationReject", Fields.of(cause_5gmm=b"too long")),
        Message(NAS, "RegistrationReject", Fields()),
        Message(NAS, "NoSuchMessage", Fields.of(bits=Bits(5, 4), low=-3, text="é")),
        Message(PFCP, "SessionDeletionRequest", Fields.of(sequence_number=1)),
        modification(("update_far", b"?"), far(far_id=1, unknown_999=b"x"), far(apply_action="forw", far_id=1)),
        Message("other", "Message", Fields.of(inner=ACCEPT)),
    ],
)
def test_what_nodes_do_not_say_is_raw(message: Message):
    tokens = to_tokens(message)
    assert RAW in tokens
    assert to_message(tokens) == message


@pytest.mark.parametrize("begins", [False, True])
@pytest.mark.parametrize("context", [None, 1, 64])
def test_messages_in_a_dialogue_say_who_speaks_and_of_whom(context: int | None, begins: bool):
    tokens = to_tokens(ACCEPT)
    found = framed(tokens, "<amf>gnb>", context, begins)
    assert unframed(found) == ("<amf>gnb>", context, begins, tokens)
    assert len(found) == len(tokens) + 1 + (context is not None) + begins


def test_directions_and_contexts_that_there_are_not_are_refused():
    for direction, context in (("<gnb>ue>", None), ("<amf>gnb>", 0), ("<amf>gnb>", 65)):
        with pytest.raises(ValueError, match="must be"):
            framed([], direction, context)
    with pytest.raises(GrammarError):
        unframed(to_tokens(ACCEPT))


def test_slots_are_tokens():
    message = Message(NAS, "AuthenticationFailure", Fields.of(cause_5gmm=21, auts=Slot("calc", "AUTS")))
    assert to_tokens(message)[-2:] == ["auts=<calc:AUTS>", END]
    assert to_message(to_tokens(message)) == message


def test_slots_of_another_type_are_raw():
    message = Message(NAS, "AuthenticationFailure", Fields.of(cause_5gmm=21, auts=Slot("ref", "TEID", 3)))
    assert to_message(to_tokens(message)) == message


@settings(max_examples=150, deadline=None)
@given(nas_trees.any_message)
def test_random_nas_messages_go_there_and_back(message: Message):
    assert to_message(to_tokens(message)) == message


@settings(max_examples=150, deadline=None)
@given(pfcp_trees.any_message())
def test_random_pfcp_messages_go_there_and_back(message: Message):
    assert to_message(to_tokens(message)) == message


def test_random_ngap_messages_go_there_and_back():
    pytest.importorskip("pycrate_asn1dir.NGAP")
    random = Random(1)
    for name in random.sample([name for name in ngap.message_names() if name != "PrivateMessage"], 40):
        message = random_message(name, random)
        assert to_message(to_tokens(message)) == message
    private = Message(NGAP, "PrivateMessage", Fields.of(private_ies=b"\0"))
    assert to_message(to_tokens(private)) == private


@settings(max_examples=150, deadline=None)
@given(st.binary(min_size=1, max_size=40), st.sampled_from([b"\x7e\0", b"\x2e\1\1"]))
def test_whatever_a_codec_accepts_goes_there_and_back(data: bytes, start: bytes):
    for decode, octets in ((nas.decode, start + data), (pfcp.decode, b"\x20\x01\0" + bytes([len(data)]) + data)):
        try:
            message = decode(octets)
        except DecodeError:
            continue
        assert to_message(to_tokens(message)) == message


@settings(max_examples=200, deadline=None)
@given(st.lists(TAGS, max_size=12))
def test_tokens_that_are_no_message_are_refused(tokens: list[str]):
    try:
        message = to_message(["nas:RegistrationReject", *tokens])
    except (GrammarError, SignalingError):
        return
    assert isinstance(message, Message)


@given(st.binary(max_size=60))
def test_raw_bytes_that_are_no_field_are_refused(data: bytes):
    try:
        name, value = raw.unpack(data)
    except DecodeError:
        return
    assert raw.unpack(raw.pack(name, value)) == (name, value)


@pytest.mark.parametrize("name", ["n2n4-c02", "n2n4-rejects"])
def test_recorded_messages_go_there_and_back(name: str):
    for message in recorded(name):
        tokens = to_tokens(message)
        assert RAW not in tokens
        assert to_message(tokens) == message
