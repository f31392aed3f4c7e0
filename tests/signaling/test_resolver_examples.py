"""Dialogues as examples: tokens, and which of them the core says."""

from __future__ import annotations

from collections import Counter

import pytest

from gentwin.signaling.core import GENERIC, OPEN5GS, LoadLimits, read_subscribers
from gentwin.signaling.dialogue import BEGIN, DIRECTIONS, END, Vocabulary, to_message
from gentwin.signaling.dialogue.hints import HINT_TOKENS, STIMULI, WAIT
from gentwin.signaling.dialogue.slots import CALC
from gentwin.signaling.resolver import Example, examples_of_capture, examples_of_records, synthesised_examples
from tests.signaling.recordings import find_capture
from tests.signaling.resolver_networks import SUBSCRIBERS, Recording, quarter, recorded, synthesised

FROM_CORE = {"<amf>gnb>", "<smf>upf>"}


def examples(recording: Recording, hints: bool = True) -> list[Example]:
    return [*examples_of_records(recording.records, recording.network() if hints else None)]


def parts(example: Example) -> list[tuple[list[str], set[bool]]]:
    """Returns the messages of an example, stimuli, hints and waits between them, each with who says it."""
    found: list[tuple[list[str], set[bool]]] = []
    inside = False
    for token, said in zip(example.tokens, example.said, strict=True):
        if not inside:
            found.append(([], set()))
        found[-1][0].append(token)
        found[-1][1].add(said)
        inside = token != END if inside else token in DIRECTIONS
    return found


@pytest.mark.parametrize("flavour", [OPEN5GS, GENERIC], ids=lambda flavour: flavour.name)
def test_examples_are_messages_of_the_right_side(flavour):
    ids = Vocabulary.of_schema().ids
    for example in examples(synthesised(flavour)):
        assert all(token in ids for token in example.tokens)
        assert example.tokens.count(BEGIN) == 1
        for tokens, said in parts(example):
            assert len(said) == 1
            if tokens[0] in DIRECTIONS:
                assert (tokens[0] in FROM_CORE) == said.pop()
                to_message([token for token in tokens[1:] if token != BEGIN])
            else:
                assert said == {tokens == [WAIT]}


def test_the_core_waits_once_in_every_turn():
    for example in examples(synthesised(OPEN5GS)):
        kinds = "".join(
            "w" if tokens == [WAIT] else "s" if tokens[0] in FROM_CORE else "h" if tokens[0] in DIRECTIONS else "t"
            for tokens, _ in parts(example)
            if tokens[0] in DIRECTIONS or tokens[0] in STIMULI or tokens == [WAIT]
        )
        turns = kinds.split("w")
        assert turns.pop() == ""
        assert all(turn and turn[0] in "ht" and set(turn[1:]) <= {"s"} for turn in turns)


def test_there_are_no_hints_without_a_network():
    recording = synthesised(OPEN5GS)
    with_hints, without = examples(recording), examples(recording, hints=False)
    assert not any({*HINT_TOKENS} & {*example.tokens} for example in without)
    assert all({*HINT_TOKENS} & {*example.tokens} for example in with_hints if len(example.tokens) > 1000)
    assert count_said(with_hints) == count_said(without)


def count_said(found: list[Example]) -> Counter[str]:
    """Returns how often the core says what, but for what depends on where a dialogue begins."""
    spoken = (token for example in found for token, said in zip(example.tokens, example.said, strict=True) if said)
    return Counter(token for token in spoken if "<ref:" not in token and "<new:" not in token and token != BEGIN)


def test_ciphered_messages_are_read_in_examples():
    names = [f"nas:{name}" for name in ("ConfigurationUpdateCommand", "PDUSessionEstablishmentAccept")]
    recording = recorded("n2n4-nea2-c08")
    records = recording.records[:500]
    opened = [token for example in examples_of_records(records, recording.network()) for token in example.tokens]
    closed = [token for example in examples_of_records(records) for token in example.tokens]
    assert {*names} <= {*opened}
    assert f"payload=<{CALC}:CIPHERED>" not in opened
    assert f"payload=<{CALC}:CIPHERED>" in closed


def test_examples_of_a_capture_are_those_of_its_records():
    path = find_capture("n2n4-rejects")
    found = [*examples_of_capture(path, read_subscribers(SUBSCRIBERS))]
    assert found == examples(recorded("n2n4-rejects"))
    assert {example.kind for example in found} == {"ue", "node"}
    assert any("<identity=unknown>" in example.tokens for example in found)
    assert any("<node=unknown_tac>" in example.tokens for example in found)
    bare = [*examples_of_capture(path)]
    assert not any({*HINT_TOKENS} & {*example.tokens} for example in bare)


def test_examples_of_a_synthesis_follow_from_configuration_and_seed():
    configuration = quarter(ues=8, duration=15.0)
    one = [*synthesised_examples(configuration, 3)]
    assert one == [*synthesised_examples(configuration, 3)]
    assert one != [*synthesised_examples(configuration, 4)]
    tight = [*synthesised_examples(configuration, 3, LoadLimits(registered=2, patience=2.0))]
    decided = Counter(token for example in tight for token in example.tokens if "policy" in token or "decided" in token)
    assert min(decided[token] for token in ("<policy=wait>", "<policy=reject>", "<event:decided>")) > 0


def test_a_dialogue_begins_anew_when_nothing_is_left_of_the_ue():
    found = [example for example in examples(recorded("n2n4-burst-48")) if example.kind == "ue"]
    assert all(example.tokens.count("nas:AuthenticationRequest") <= 1 for example in found)
    assert all(example.tokens[:2] == ["<gnb>amf>", BEGIN] for example in found)
    ends = [name for example in found for name in example.tokens if name == "nas:DeregistrationRequestUEOriginating"]
    assert len(found) >= len(ends) > 90


def test_a_ue_is_paged_once():
    example = max(examples(synthesised(OPEN5GS)), key=lambda example: example.tokens.count("ngap:Paging"))
    paged = [turn for turn in " ".join(example.tokens).split(WAIT) if "ngap:Paging" in turn]
    assert paged
    assert all(turn.count("ngap:Paging") == 1 for turn in paged)
