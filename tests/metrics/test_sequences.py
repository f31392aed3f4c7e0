"""Elements, exact messages, refusals, and how scores add up."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gentwin.metrics import AnswerScores, Overlap, elements, kind_of, paired, ratio_interval, wilson_interval
from gentwin.metrics.sequences import refusal_of
from gentwin.signaling.dialogue import Slot
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import NAS, NGAP, PFCP, Message

REJECT = Message(NAS, "RegistrationReject", Fields.of(cause_5gmm=22, t3346_value=Fields.of(unit="2 s", value=15)))
COMMAND = Message(NGAP, "UEContextReleaseCommand", Fields.of(cause=Fields.of(nas="normal-release")))
SETUP = Message(PFCP, "SessionDeletionRequest", Fields.of(seid=Slot("ref", "SEID", 1)))

VALUES = st.one_of(st.integers(0, 3), st.sampled_from(["a", "b"]), st.binary(max_size=2), st.just(Fields()))
NAMES = st.sampled_from(["one", "two", "three"])


def fields_of(values: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(st.tuples(NAMES, values), max_size=4).map(Fields)


MESSAGES = st.builds(
    Message,
    st.sampled_from([NGAP, PFCP]),
    st.sampled_from(["Alpha", "Beta", "Gamma"]),
    fields_of(st.one_of(VALUES, fields_of(VALUES), st.builds(Message, st.just(NAS), NAMES, fields_of(VALUES)))),
)
TURNS = st.lists(MESSAGES, max_size=4)


def downlink(nas: Message) -> Message:
    protected = Message(NAS, "SecurityProtected", Fields.of(mac=Slot("calc", "MAC"), payload=nas))
    return Message(
        NGAP, "DownlinkNASTransport", Fields.of(ran_ue_ngap_id=Slot("ref", "RAN_UE_ID", 1), nas_pdu=protected)
    )


def scored(wanted: list[Message], said: list[Message] | None) -> AnswerScores:
    scores = AnswerScores()
    scores.count(wanted, said)
    return scores


def test_elements_name_every_message_on_the_way():
    start = "ngap:DownlinkNASTransport"
    inner = f"{start}.nas_pdu.nas:SecurityProtected"
    reject = f"{inner}.payload.nas:RegistrationReject"
    assert elements([downlink(REJECT)]) == Counter(
        {
            (start, True): 1,
            (f"{start}.ran_ue_ngap_id", Slot("ref", "RAN_UE_ID", 1)): 1,
            (inner, True): 1,
            (f"{inner}.mac", Slot("calc", "MAC")): 1,
            (reject, True): 1,
            (f"{reject}.cause_5gmm", 22): 1,
            (f"{reject}.t3346_value.unit", "2 s"): 1,
            (f"{reject}.t3346_value.value", 15): 1,
        }
    )


def test_repeated_elements_count_as_often_as_they_are_there():
    twice = Message(PFCP, "Alpha", Fields([("one", 1), ("one", 1), ("one", Fields())]))
    once = Message(PFCP, "Alpha", Fields([("one", 1)]))
    assert Overlap.between(elements([twice]), elements([once])) == Overlap(both=2, wanted=4, said=2)


@given(TURNS)
def test_an_exact_copy_is_right_in_every_way(turn):
    scores = scored(turn, list(turn))
    assert scores.elements.f1 == scores.elements.accuracy == scores.turns.value == scores.silence.value == 1
    assert scores.messages.right == scores.messages.of == scores.kinds.right == len(turn)
    assert scores.f1_of_messages == len(turn)
    assert not scores.worst_paths()
    assert all(core == twin for core, twin in scores.refusals)


@given(TURNS, TURNS)
def test_scores_are_shares_and_swapping_swaps_precision_and_recall(wanted, said):
    scores, other = scored(wanted, said), scored(said, wanted)
    for part in (scores.elements, other.elements):
        assert 0 <= part.accuracy <= part.f1 <= 1
        assert min(part.precision, part.recall) - 1e-12 <= part.f1 <= max(part.precision, part.recall) + 1e-12
    assert scores.elements.f1 == other.elements.f1
    assert scores.messages.of >= max(len(wanted), len(said))
    if wanted and said:
        assert (scores.elements.precision, scores.elements.recall) == (other.elements.recall, other.elements.precision)
    assert sum(known.wanted for known in scores.by_path.values()) == scores.elements.wanted
    assert scores.turns.value == (wanted == said)


@given(MESSAGES, st.randoms(use_true_random=False))
def test_order_of_elements_counts_for_the_message_and_not_for_f1(message, random):
    shuffled = list(message.fields)
    random.shuffle(shuffled)
    other = Message(message.protocol, message.name, Fields(shuffled))
    scores = scored([message], [other])
    assert scores.elements.f1 == scores.message_f1 == 1
    assert scores.messages.right == (other == message)


@given(st.lists(st.tuples(TURNS, TURNS), max_size=6), st.integers(0, 6))
def test_scores_add_up(turns, cut):
    parts = [AnswerScores(), AnswerScores()]
    whole = AnswerScores()
    for place, (wanted, said) in enumerate(turns):
        parts[place >= cut].count(wanted, said)
        whole.count(wanted, said)
    added = parts[0] + parts[1]
    assert added.f1_of_messages == pytest.approx(whole.f1_of_messages)
    added.f1_of_messages = whole.f1_of_messages
    assert added == whole
    assert AnswerScores() + whole == whole


@given(TURNS, TURNS)
def test_every_message_is_in_one_pair_in_order(wanted, said):
    pairs = paired(wanted, said)
    assert [core for core, _ in pairs if core is not None] == wanted
    assert [twin for _, twin in pairs if twin is not None] == said
    assert (None, None) not in pairs


def test_one_message_too_few_leaves_the_others_their_partners():
    wanted, said = [SETUP, downlink(REJECT), COMMAND], [downlink(REJECT), COMMAND]
    assert paired(wanted, said) == [(SETUP, None), (downlink(REJECT), downlink(REJECT)), (COMMAND, COMMAND)]
    scores = scored(wanted, said)
    assert (scores.messages.right, scores.messages.of) == (2, 3)
    assert scores.elements.precision == 1 > scores.elements.recall
    assert scores.message_f1 == pytest.approx(2 / 3)


def test_a_message_in_place_of_another_is_one_pair():
    assert paired([SETUP], [COMMAND]) == [(SETUP, COMMAND)]
    assert scored([SETUP], [COMMAND]).message_f1 == 0


def test_silence_is_an_answer():
    silent, wrong, mute = scored([], []), scored([], [COMMAND]), scored([COMMAND], [])
    assert [scores.silence.value for scores in (silent, wrong, mute)] == [1, 0, 0]
    assert [scores.turns.value for scores in (silent, wrong, mute)] == [1, 0, 0]
    assert [scores.waits.of for scores in (silent, wrong, mute)] == [1, 1, 0]
    assert [scores.elements.f1 for scores in (silent, wrong, mute)] == [1, 0, 0]
    assert silent.figures()["exact_message"] is None


@pytest.mark.parametrize("wanted", [[], [COMMAND]])
def test_what_is_no_message_is_wrong(wanted):
    scores = scored(wanted, None)
    assert scores.malformed == 1
    assert scores.turns.value == scores.messages.value == scores.message_f1 == 0
    assert scores.messages.of == 1
    assert scores.silence.value == bool(wanted)


def test_refusals_are_told_by_message_and_cause():
    status = Message(NAS, "5GMMStatus", Fields.of(cause_5gmm=91))
    assert refusal_of([downlink(REJECT)]) == "RegistrationReject cause_5gmm=22"
    assert refusal_of([downlink(status), COMMAND]) == "5GMMStatus cause_5gmm=91"
    assert refusal_of([COMMAND, SETUP]) == ""
    other = REJECT.with_value("cause_5gmm", 7)
    scores = scored([downlink(REJECT)], [downlink(REJECT)]) + scored([downlink(REJECT)], [downlink(other)])
    scores += scored([downlink(REJECT)], []) + scored([COMMAND], [downlink(other)])
    assert (scores.refused.right, scores.refused.of) == (1, 3)
    assert scores.refusals["RegistrationReject cause_5gmm=22", "RegistrationReject cause_5gmm=7"] == 1
    assert scores.refusals["", "RegistrationReject cause_5gmm=7"] == 1


def test_kinds_leave_protection_out():
    assert kind_of(downlink(REJECT)) == "DownlinkNASTransport RegistrationReject"
    assert scored([downlink(REJECT)], [downlink(REJECT.with_value("cause_5gmm", 7))]).kinds.value == 1


def test_worst_paths_are_those_with_most_wrong_elements():
    scores = scored([COMMAND] * 3, [COMMAND.with_value("cause.nas", "unspecified")] * 3)
    assert scores.worst_paths(1) == [("ngap:UEContextReleaseCommand.cause.nas", Overlap(0, 3, 3))]


@pytest.mark.parametrize(("right", "of"), [(0, 10), (10, 10), (997, 1000), (3, 7)])
def test_wilson_agrees_with_scipy(right, of):
    expected = stats.binomtest(right, of).proportion_ci(0.95, method="wilson")
    assert wilson_interval(right, of) == pytest.approx(expected)


def test_intervals_refuse_what_makes_no_sense():
    assert wilson_interval(0, 0) == (0.0, 1.0)
    with pytest.raises(ValueError, match="`right`"):
        wilson_interval(3, 2)
    with pytest.raises(ValueError, match="`level`"):
        wilson_interval(1, 2, level=1.0)
    with pytest.raises(ValueError, match="at least one run"):
        ratio_interval([0.0], [0.0], seed=0)


def test_interval_of_a_ratio_draws_whole_dialogues():
    rng = np.random.default_rng(0)
    sizes = rng.integers(5, 50, 60)
    right = np.where(rng.random(60) < 0.9, sizes, 0)  # a dialogue is right as a whole, or wrong
    low, high = ratio_interval(right, sizes, seed=0)
    assert low < right.sum() / sizes.sum() < high
    wilson = wilson_interval(int(right.sum()), int(sizes.sum()))
    assert high - low > 2 * (wilson[1] - wilson[0])
    assert ratio_interval(right, sizes, seed=0) == (low, high)
