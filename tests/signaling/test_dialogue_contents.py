"""Octets of elements that no table looks into, in messages of our own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from gentwin.signaling import nas
from gentwin.signaling.dialogue import (
    Automaton,
    Bounds,
    Vocabulary,
    message_group,
    message_names,
    to_message,
    to_tokens,
)
from gentwin.signaling.dialogue.contents import EXAMPLES, PAYLOADS
from gentwin.signaling.dialogue.describe import LEFT_OUT, NAMED_ONLY, TOGETHER
from gentwin.signaling.dialogue.leaves import Opaque
from gentwin.signaling.dialogue.nodes import Alternatives, Examples, Group, Member
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import NAS, NGAP, PFCP, Message
from tests.signaling.dialogue_samples import sampled, vocabulary


def members(*protocols: str) -> Iterator[Member]:
    """Yields every member of every group."""
    waiting = [message_group(protocol, name) for protocol in protocols for name in message_names(protocol)]
    seen = set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, Alternatives):
            waiting += node.nodes
        if isinstance(node, Group) and id(node) not in seen:
            seen.add(id(node))
            yield from node.members
            waiting += [member.node for member in node.members]


def octets_of(examples: Examples) -> set[bytes]:
    return {*examples.octets, *(one for found in examples.by_value.values() for one in found)}


@pytest.mark.parametrize("protocol", [NGAP, NAS, PFCP])
def test_every_example_is_one_of_an_opaque_field(protocol: str):
    if protocol == NGAP:
        pytest.importorskip("pycrate_asn1dir.NGAP")
    used = set()
    for member in members(protocol):
        if member.examples is None:
            continue
        nodes = member.node.nodes if isinstance(member.node, Alternatives) else (member.node,)
        for leaf in nodes:
            if isinstance(leaf, Opaque):
                used.add(id(member.examples))
                assert all(len(one) in leaf.sizes for one in octets_of(member.examples)), member.name
    assert used == {id(examples) for examples in EXAMPLES[protocol].values()}


def test_what_is_generated_is_an_example_and_what_is_received_is_anything():
    found = Vocabulary.of_schema((NAS,))
    message = Message(NAS, "AuthenticationResult", Fields([
        ("ng_ksi", Fields.of(tsc="native", ksi=1)), ("eap_message", b"\x01\x02\x00\x05\x01"),
    ]))  # fmt: skip
    tokens = found.encode(to_tokens(message))
    for bounds, allowed in ((Bounds(), False), (Bounds(examples=False), True), (None, True)):
        automaton = Automaton(found, bounds)
        automaton.start()
        accepted = []
        for token in tokens:
            accepted.append(bool(automaton.allowed()[token]))
            automaton.advance(token)
        assert all(accepted) is allowed


def test_examples_depend_on_what_is_said_before():
    found = Vocabulary.of_schema((NAS,))
    automaton, random = Automaton(found), np.random.default_rng(0)
    seen = {}
    for _ in range(150):
        message = to_message(sampled(automaton, "nas:DLNASTransport", random, False))
        if isinstance(message.get("payload_container"), bytes):
            seen.setdefault(message["payload_container_type"], set()).add(message["payload_container"])
    known = {kind: {bytes.fromhex(one) for one in text.split()} for kind, text in PAYLOADS.items()}
    named = seen.keys() & known.keys()
    assert len(named) > 3 and all(seen[kind] <= known[kind] for kind in named)


def test_long_examples_are_spelt_whole():
    pytest.importorskip("pycrate_asn1dir.NGAP")
    automaton, random = Automaton(vocabulary()), np.random.default_rng(0)
    (inner,) = EXAMPLES[NGAP]["ngap_message"].octets
    assert len(inner) > 32
    assert to_message(sampled(automaton, "ngap:RerouteNASRequest", random, False))["ngap_message"] == inner


# ---------------------------------------------------------------- what codecs take and specifications do not know


def test_fields_that_go_together_do():
    found = {member.name: member for member in members(NAS) if member.name in TOGETHER}
    assert found.keys() == TOGETHER.keys()
    for name, other in TOGETHER.items():
        assert found[name].low == 1
        assert found[name].condition.holds({other: ""}) and not found[name].condition.holds({})


def test_reserved_kinds_of_lists_are_raw():
    names = {"extended_rejected_nssai"} & {scope for scope, _ in NAMED_ONLY}
    assert names
    entry = Fields.of(rejected=Fields.of(cause=14, s_nssai=Fields.of(sst=1)))
    for kind, raw in (("without_back_off_timer", False), (5, True)):
        lists = Fields.of(list=Fields.of(type=kind, rejected_nssai=entry))
        message = Message(NAS, "RegistrationReject", Fields.of(cause_5gmm=62, extended_rejected_nssai=lists))
        message = nas.decode(nas.encode(message))
        tokens = to_tokens(message)
        assert ("<raw>" in tokens) is raw
        assert to_message(tokens) == message


def test_what_a_rule_that_is_deleted_does_not_have_is_raw():
    left = LEFT_OUT["operation", "delete"]
    rule = Fields.of(id=1, operation="delete", default_qos_rule=0)
    for extra in ({}, {"precedence": 3}):
        rules = Fields.of(rule=Fields([*rule, *extra.items()]))
        message = Message(NAS, "PDUSessionModificationRequest", Fields([
            ("pdu_session_id", 1), ("pti", 1), ("requested_qos_rules", rules),
        ]))  # fmt: skip
        message = nas.decode(nas.encode(message))
        assert set(extra) <= left
        assert ("<raw>" in to_tokens(message)) is bool(extra)
        assert to_message(to_tokens(message)) == message
