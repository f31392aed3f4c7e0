"""The tokens there are, and which may come next."""

from __future__ import annotations

import numpy as np
import pytest

from gentwin.signaling.dialogue import (
    Automaton,
    Bindings,
    Bounds,
    GrammarError,
    Vocabulary,
    canonicalise,
    to_message,
    to_tokens,
)
from gentwin.signaling.dialogue.grammar import CLOSE, END, RAW, heads
from gentwin.signaling.dialogue.nodes import Group
from gentwin.signaling.dialogue.schema import message_group, message_names, walk
from gentwin.signaling.messages import NAS, PFCP
from tests.signaling.dialogue_samples import recorded, sampled, through_bytes, vocabulary


def test_the_vocabulary_is_small_and_has_every_token_once():
    tokens = vocabulary().tokens
    assert len(set(tokens)) == len(tokens) <= 8000
    assert not [token for token in tokens if not token or " " in token]


def test_the_version_is_that_of_the_tokens():
    one, same = Vocabulary.of_schema((NAS,)), Vocabulary.of_schema((NAS,))
    assert one.tokens == same.tokens and one.version == same.version
    assert one.version != Vocabulary(one.tokens[::-1]).version != Vocabulary.of_schema((PFCP,)).version
    assert one.protocols == (NAS,)


def test_tokens_have_numbers_and_back():
    found = Vocabulary.of_schema((NAS,))
    tokens = ["nas:RegistrationReject", "cause_5gmm=7", END]
    assert found.decode(found.encode(tokens)) == tokens
    with pytest.raises(KeyError):
        found.encode(["no such token"])


@pytest.mark.parametrize("protocol", [NAS, PFCP])
def test_no_token_begins_two_fields_of_a_group(protocol: str):
    waiting = [message_group(protocol, name) for name in message_names(protocol)]
    seen = set()
    while waiting:
        group = waiting.pop()
        if group in seen:
            continue
        seen.add(group)
        taken: dict[str, str] = {}
        for place, member in enumerate(group.members):
            for token in heads(member, member.node, member.name, place):
                assert taken.setdefault(token, member.name) == member.name
            waiting += [member.node] if isinstance(member.node, Group) else []


@pytest.mark.parametrize("named", [False, True])
def test_random_messages_encode_and_have_the_same_tokens_again(named: bool):
    automaton, random = Automaton(vocabulary()), np.random.default_rng(int(named))
    kinds = [t for t in vocabulary().tokens if t.startswith(("ngap:", "nas:", "pfcp:"))]
    for kind in random.permutation(kinds)[:120]:
        tokens = sampled(automaton, str(kind), random, named)
        message = to_message(tokens)
        assert through_bytes(message) == message
        assert to_tokens(message) == tokens


def test_random_messages_with_slots_spell_no_identifier():
    automaton, random = Automaton(vocabulary(), slots=True), np.random.default_rng(2)
    slotted = {name for name, _, slot in walk() if slot} - {name for name, _, slot in walk() if not slot}
    for kind in ("ngap:InitialUEMessage", "nas:AuthenticationRequest", "pfcp:SessionEstablishmentRequest") * 8:
        tokens = sampled(automaton, kind, random, True)
        assert to_tokens(to_message(tokens)) == tokens
        assert slotted.isdisjoint(tokens)


def test_bounds_hold():
    bounds = Bounds(items=1, octets=4, depth=6, tokens=40)
    automaton, random = Automaton(Vocabulary.of_schema((NAS,)), bounds), np.random.default_rng(0)
    lengths = [len(sampled(automaton, "nas:RegistrationAccept", random, True)) for _ in range(20)]
    assert max(lengths) < 160


@pytest.mark.parametrize("tokens", range(25, 40, 3))
def test_wherever_the_bound_is_a_message_can_be_completed(tokens: int):
    found, random = Vocabulary.of_schema((PFCP,)), np.random.default_rng(0)
    automaton, close, end = Automaton(found, Bounds(tokens=tokens)), found.ids[CLOSE], found.ids[END]
    for _ in range(4):
        automaton.start(["pfcp:SessionEstablishmentRequest"])
        while not automaton.complete:
            choices = np.flatnonzero(automaton.allowed())
            longer = choices[choices != end]
            # Where a group can end by `</>`, only what it would have taken itself may follow.
            automaton.advance(close if close in choices else int(random.choice(longer if len(longer) else choices)))


def test_only_messages_that_are_asked_for_may_begin():
    found = Vocabulary.of_schema((NAS,))
    automaton = Automaton(found)
    automaton.start(["nas:RegistrationReject", "nas:RegistrationAccept"])
    assert found.decode(np.flatnonzero(automaton.allowed())) == ["nas:RegistrationAccept", "nas:RegistrationReject"]


def test_what_is_forced_is_found_without_going_on():
    found = Vocabulary.of_schema((NAS,))
    automaton = Automaton(found)
    automaton.start(["nas:AuthenticationReject"])
    assert found.decode(automaton.forced()) == ["nas:AuthenticationReject"]
    automaton.start(["nas:DeregistrationAcceptUEOriginating"])
    assert found.decode(automaton.forced()) == ["nas:DeregistrationAcceptUEOriginating", END]
    assert not automaton.complete and automaton.forced() == automaton.forced()


def test_what_may_not_come_is_refused():
    found = Vocabulary.of_schema((NAS,))
    automaton = Automaton(found)
    for token in (END, CLOSE, RAW, "cause_5gmm=7", "#00"):
        with pytest.raises(GrammarError):
            automaton.advance(found.ids[token])


def test_references_need_something_to_refer_to():
    found = Vocabulary.of_schema((PFCP,))
    automaton = Automaton(found, slots=True)
    for token in ("pfcp:SessionDeletionRequest", "seid=<ref:SEID#1>"):
        automaton.advance(found.ids[token])
    assert automaton.forced({"PFCP_SEQ": 0}) == [found.ids["sequence_number=<new:PFCP_SEQ>"]]
    allowed = found.decode(np.flatnonzero(automaton.allowed({"PFCP_SEQ": 1})))
    assert allowed == ["sequence_number=<new:PFCP_SEQ>", "sequence_number=<ref:PFCP_SEQ#1>"]


@pytest.mark.parametrize("slots", [False, True])
def test_recorded_messages_are_allowed(slots: bool):
    messages, bindings = recorded("n2n4-c02"), Bindings()
    automaton = Automaton(vocabulary(), None, slots)
    for message in dict.fromkeys(messages[:150]):
        bound = bindings.counts if slots else None
        tokens = vocabulary().encode(to_tokens(canonicalise(message, bindings)[0] if slots else message))
        automaton.start()
        for token in tokens:
            name = vocabulary().tokens[token]
            assert automaton.allowed(bound)[token] or "=<ref:" in name, name
            automaton.advance(token)
        assert automaton.complete
