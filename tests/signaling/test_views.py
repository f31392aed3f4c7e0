"""Dialogues as tokens and back: one context at a time, and several at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import chain
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gentwin.signaling.contexts import NODE, UE, Context, Dialogue, dialogues
from gentwin.signaling.core import Faults, Population, SynthesisConfiguration, Workload, synthesize
from gentwin.signaling.dialogue import (
    BEGIN,
    CONTEXT_TOKENS,
    DIRECTIONS,
    Bindings,
    ContextView,
    GrammarError,
    Interleaver,
    Sides,
    Utterance,
    direction_of,
    interleave,
    message_names,
    read_utterances,
    separate,
    unframed,
)
from gentwin.signaling.dialogue.bindings import SlotError
from gentwin.signaling.dialogue.directions import FROM_AMF, FROM_GNB, FROM_SMF, FROM_UPF
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import NAS, NGAP, PFCP, Message, Record
from tests.signaling.record_samples import AMF, GNB, SMF, UPF, ngap, pfcp, recorded

BOTH_WAYS = {
    NGAP: {"ErrorIndication", "NGReset", "NGResetAcknowledge"},
    PFCP: {
        "HeartbeatRequest",
        "HeartbeatResponse",
        "AssociationSetupRequest",
        "AssociationSetupResponse",
        "AssociationUpdateRequest",
        "AssociationUpdateResponse",
        "SessionSetDeletionRequest",
        "SessionSetDeletionResponse",
        "VersionNotSupportedResponse",
    },
}


@cache
def made() -> tuple[Record, ...]:
    """Returns what is said in a small network where things go wrong."""
    pytest.importorskip("pycrate_asn1dir.NGAP")
    workload, population = Workload(arrivals=4.0, think_time=0.5), Population(wrong_key=0.1)
    faults = Faults(datagram_loss=0.05, datagram_repeat=0.05, station_resets=0.1)
    configuration = SynthesisConfiguration(6, 12.0, population=population, workload=workload, faults=faults)
    return tuple(synthesize(configuration, 3))


def spoken(utterances: Sequence[Utterance]) -> dict[int, list[tuple[Message, str, float]]]:
    """Returns messages, directions and times of every dialogue."""
    found: dict[int, list[tuple[Message, str, float]]] = {}
    for one in read_utterances(utterances):
        found.setdefault(one.dialogue, []).append((one.message, one.direction, one.timestamp))
    return found


def said(dialogue: Dialogue, sides: Sides) -> list[tuple[Message, str, float]]:
    return [(record.message, sides.direction_of(record), record.timestamp) for record in dialogue.records]


def dialogue_of(records: Sequence[Record], number: int = 0) -> Dialogue:
    return Dialogue(Context(number, UE), tuple(records))


# ---------------------------------------------------------------- directions


def test_every_message_has_a_direction_or_both():
    pytest.importorskip("pycrate_asn1dir.NGAP")
    for protocol, *senders in ((NGAP, FROM_GNB, FROM_AMF), (PFCP, FROM_SMF, FROM_UPF)):
        assert not senders[0] & senders[1]
        assert {*message_names(protocol)} - senders[0] - senders[1] == BOTH_WAYS[protocol]
        assert senders[0] | senders[1] < {*message_names(protocol)}


def test_requests_and_answers_go_opposite_ways():
    for one, other in (("Request", "Response"), ("Request", "Failure"), ("Required", "Command")):
        for protocol, senders in ((NGAP, (FROM_GNB, FROM_AMF)), (PFCP, (FROM_SMF, FROM_UPF))):
            for asking, answering in (senders, senders[::-1]):
                answers = {name.removesuffix(one) + other for name in asking if name.endswith(one)}
                assert not answers & asking, protocol
                assert answers & (senders[0] | senders[1]) <= answering


@pytest.mark.parametrize(
    ("record", "direction"),
    [
        (ngap("InitialUEMessage"), "<gnb>amf>"),
        (ngap("Paging", to_amf=False), "<amf>gnb>"),
        (pfcp("SessionDeletionRequest"), "<smf>upf>"),
        (pfcp("SessionReportRequest", to_upf=False), "<upf>smf>"),
        (ngap("ErrorIndication"), "<gnb>amf>"),
        (ngap("NGReset", to_amf=False), "<amf>gnb>"),
    ],
)
def test_names_and_the_port_of_the_amf_say_who_speaks(record: Record, direction: str):
    assert Sides().direction_of(record) == direction
    anywhere = replace(record, sender="", receiver="")
    assert Sides().direction_of(anywhere) in DIRECTIONS
    if direction_of(record.message):
        assert Sides().direction_of(anywhere) == direction


def test_a_link_is_known_by_what_was_said_on_it():
    there, back = pfcp("HeartbeatRequest", to_upf=False), pfcp("HeartbeatRequest")
    for known in (
        pfcp("SessionDeletionRequest"),
        pfcp("SessionReportRequest", to_upf=False),
        pfcp("AssociationSetupRequest"),
        pfcp("AssociationSetupRequest", cp_function_features="load"),
        pfcp("AssociationSetupRequest", to_upf=False, up_function_features="ftup"),
        pfcp("AssociationSetupResponse", to_upf=False, up_function_features="ftup"),
    ):
        sides = Sides([known])
        assert (sides.direction_of(there), sides.direction_of(back)) == ("<upf>smf>", "<smf>upf>")
    swapped = Sides([replace(pfcp("SessionDeletionRequest"), sender=UPF, receiver=SMF)])
    assert (swapped.direction_of(there), swapped.direction_of(back)) == ("<smf>upf>", "<upf>smf>")
    # What is certain counts more than who asks for an association.
    both = Sides([pfcp("AssociationSetupRequest", to_upf=False), pfcp("SessionDeletionRequest")])
    assert both.direction_of(back) == "<smf>upf>"


def test_ends_of_one_host_are_told_apart():
    record = replace(pfcp("SessionDeletionRequest"), sender="127.0.0.1:8805", receiver="127.0.0.1:8806")
    beat = replace(record, message=Message(PFCP, "HeartbeatRequest"))
    sides = Sides([record])
    assert sides.direction_of(beat) == "<smf>upf>"
    assert sides.direction_of(replace(beat, sender=beat.receiver, receiver=beat.sender)) == "<upf>smf>"


def test_the_two_directions_of_an_unknown_link_differ():
    for record in (pfcp("HeartbeatRequest"), replace(ngap("NGReset"), sender="10.0.0.1:1", receiver="10.0.0.2:1")):
        back = replace(record, sender=record.receiver, receiver=record.sender)
        assert Sides().direction_of(record) != Sides().direction_of(back)


def test_other_protocols_have_no_direction():
    record = Record(Message(NAS, "ServiceAccept"), 0.0, GNB, AMF)
    assert direction_of(record.message) is None
    with pytest.raises(ValueError, match="must be `ngap` or `pfcp`"):
        Sides([record]).direction_of(record)


def test_directions_of_made_records_are_those_of_their_addresses():
    sides = Sides(made())
    of_core = {"127.0.0.5": "<amf>gnb>", "127.0.0.4": "<smf>upf>", "127.0.0.7": "<upf>smf>"}
    for record in made():
        assert sides.direction_of(record) == of_core.get(record.sender.partition(":")[0], "<gnb>amf>")


# ---------------------------------------------------------------- both views


def test_dialogues_come_back_one_by_one():
    sides, found = Sides(made()), list(dialogues(made()))
    assert {dialogue.context.kind for dialogue in found} == {UE, NODE}
    for dialogue in found:
        utterances = separate(dialogue, sides)
        assert spoken(utterances) == {0: said(dialogue, sides)}
        assert [BEGIN in utterance.tokens for utterance in utterances] == [True] + [False] * (len(utterances) - 1)
        assert {unframed(utterance.tokens).context for utterance in utterances} == {None}
    everything = [utterance for dialogue in found for utterance in separate(dialogue, sides)]
    assert [*spoken(everything).values()] == [said(dialogue, sides) for dialogue in found]


def test_dialogues_come_back_interleaved():
    sides, found = Sides(made()), list(dialogues(made()))
    utterances = list(interleave(found))
    assert [utterance.timestamp for utterance in utterances] == sorted(record.timestamp for record in made())
    assert sorted(spoken(utterances).values(), key=str) == sorted((said(d, sides) for d in found), key=str)
    assert max(unframed(utterance.tokens).context or 0 for utterance in utterances) == len(found)


def test_the_views_differ_in_numbers_only():
    found = list(dialogues(made()))
    alone = {utterance for dialogue in found for utterance in separate(dialogue, Sides(made()))}
    for utterance in interleave(found):
        tokens = tuple(token for token in utterance.tokens if token not in CONTEXT_TOKENS)
        assert len(tokens) == len(utterance.tokens) - 1
        assert replace(utterance, tokens=tokens) in alone


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=12),
    contexts=st.integers(1, 64),
    seed=st.integers(0, 1 << 32),
    ticks=st.sampled_from([1, 10, 10_000]),
)
def test_any_interleaving_comes_back(lengths: list[int], contexts: int, seed: int, ticks: int):
    random = Random(seed)
    found = []
    for number, length in enumerate(lengths):
        times = sorted(float(random.randrange(ticks)) for _ in range(length))
        records = [replace(random.choice(made()), timestamp=time) for time in times]
        found.append(dialogue_of(records, number))
    sides = Sides(record for dialogue in found for record in dialogue.records)
    utterances = list(interleave(found, contexts))
    back = spoken(utterances)
    assert max(unframed(utterance.tokens).context for utterance in utterances) <= min(contexts, len(found))
    if len(found) <= contexts:
        assert sorted(back.values(), key=str) == sorted((said(d, sides) for d in found), key=str)
    # With fewer numbers than dialogues, some come back in parts, but every message does, in the order of time.
    assert sorted(map(str, chain(*back.values()))) == sorted(str(one) for d in found for one in said(d, sides))
    times = [utterance.timestamp for utterance in utterances]
    assert times == sorted(times)


# ---------------------------------------------------------------- numbers of contexts


def beat(number: int) -> Message:
    return Message(PFCP, "HeartbeatRequest", Fields.of(sequence_number=number, recovery_time_stamp=1))


def contexts_of(interleaver: Interleaver, order: Sequence[int]) -> list[tuple[int | None, bool]]:
    utterances = [interleaver.write(context, beat(context), "<smf>upf>", 0.0) for context in order]
    return [unframed(utterance.tokens)[1:3] for utterance in utterances]


def test_numbers_are_given_on_first_use():
    assert contexts_of(Interleaver(), [70, 3, 70, 5]) == [(1, True), (2, True), (1, False), (3, True)]


def test_sixty_four_contexts_are_told_apart_and_the_longest_silent_one_makes_room():
    found = contexts_of(Interleaver(), [*range(64), 0, 64, 1])
    assert found[:64] == [(number, True) for number in range(1, 65)]
    # 0 spoke again, so 1 was silent for longest, and then 2.
    assert found[64:] == [(1, False), (2, True), (3, True)]


def test_a_number_that_is_given_again_knows_nothing_of_before():
    interleaver = Interleaver(1)
    one, other = (interleaver.write(context, beat(9), "<smf>upf>", 0.0) for context in (1, 2))
    assert one == other and BEGIN in other.tokens and other.values[:1] == (9,)
    assert [(s.dialogue, s.message) for s in read_utterances([one, other])] == [(0, beat(9)), (1, beat(9))]


@pytest.mark.parametrize("contexts", [0, 65, -1])
def test_there_are_1_to_64_numbers(contexts: int):
    with pytest.raises(ValueError, match=f"`contexts` must be from 1 to 64, got {contexts}"):
        Interleaver(contexts)
    with pytest.raises(ValueError, match="`contexts`"):
        list(interleave([], contexts))


# ---------------------------------------------------------------- hearing and answering


def test_a_view_goes_on_from_its_bindings():
    first, second = (pfcp("SessionDeletionRequest", seid=7, sequence=number).message for number in (1, 2))
    view = ContextView()
    heard = [view.write(first, "<smf>upf>", 0.0), view.write(second, "<smf>upf>", 1.0)]
    other = ContextView()
    assert other.read(heard[0]) == first
    resumed = ContextView(other.bindings)
    assert resumed.read(heard[1]) == second
    assert BEGIN not in resumed.write(first, "<smf>upf>", 2.0).tokens


def test_what_does_not_fit_is_refused():
    view = ContextView()
    first, second = (view.write(pfcp("SessionDeletionRequest", seid=7).message, "<smf>upf>", 0.0) for _ in range(2))
    with pytest.raises(GrammarError, match="has no beginning"):
        list(read_utterances([second]))
    with pytest.raises(GrammarError, match="has no beginning"):
        ContextView().read(second)
    with pytest.raises(GrammarError, match="begins again"):
        view.read(first)
    with pytest.raises(SlotError, match="no value"):
        list(read_utterances([replace(first, values=first.values[:1])]))
    with pytest.raises(SlotError, match="refers to none"):
        ContextView(Bindings()).read(second)
    with pytest.raises(GrammarError, match="begins with one of"):
        list(read_utterances([replace(first, tokens=first.tokens[1:])]))
    with pytest.raises(ValueError, match="`direction`"):
        view.write(beat(1), "<ue>amf>", 0.0)


@pytest.mark.parametrize("scenario", ["n2n4-rejects"])
def test_recorded_dialogues_come_back(scenario: str):
    sides, found = Sides(recorded(scenario)), list(dialogues(recorded(scenario)))
    alone = [utterance for dialogue in found for utterance in separate(dialogue, sides)]
    assert [*spoken(alone).values()] == [said(dialogue, sides) for dialogue in found]
    together = spoken(list(interleave(found)))
    assert sum(map(len, together.values())) == len(recorded(scenario))
