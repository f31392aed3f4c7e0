"""The figure of the two levels: who is asked what, and how answers are counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from gentwin.models import SignalingTokenizer
from gentwin.signaling.core import AdmissionPolicy, Verdict
from gentwin.signaling.core.plain import from_plain
from gentwin.signaling.resolver import synthesised_examples
from gentwin.signaling.resolver.examples import UE
from gentwin.yaml_text import read_yaml
from recipes.figures import hierarchy
from recipes.figures.hierarchy import ACCEPTED, DECIDED, REQUEST, SILENCE, Asked, Beside, Confusion
from recipes.figures.recordings import ROOT

UES, SECONDS, SEED = 8, 70.0, 1
REJECTED = "PDUSessionEstablishmentReject cause_5gsm=26, back off"


def asked(decider=None) -> tuple[list[list[Asked]], Beside]:
    """Returns the turns in which the policy decided, with a decider in the place of a policy twin."""
    configuration = hierarchy.network_of(UES, SECONDS)
    found = Beside(configuration.policy, AdmissionPolicy(configuration.admission, decider))
    sequences = []
    for example in synthesised_examples(configuration, SEED, found):
        if example.kind == UE:
            times = [time - configuration.network.start for time in example.times]
            turns = hierarchy.exchanges_of(example.tokens, example.said)
            sequences.append([*hierarchy.asked_of(turns, times, found, SECONDS - hierarchy.LAST_SECONDS)])
    return [sequence for sequence in sequences if sequence], found


@pytest.fixture(scope="module")
def alike() -> tuple[list[list[Asked]], Beside]:
    return asked()


@pytest.fixture(scope="module")
def tokenizer() -> SignalingTokenizer:
    return SignalingTokenizer()


class Knows:
    """Says what the core said."""

    def __init__(self, sequences: Sequence[Sequence[Asked]], tokenizer: SignalingTokenizer) -> None:
        self._said, encode = {}, tokenizer.vocabulary.encode
        for sequence in sequences:
            context: list[int] = []
            for one in sequence:
                context += encode(one.told.heard)
                self._said[tuple(context)] = encode(one.told.said)
                context += encode(one.told.said)

    def answer(self, contexts, guides) -> list[list[int]]:
        return [[*self._said[tuple(context)]] for context in contexts]


def test_every_decision_is_judged_once_and_all_kinds_of_answers_are_there(alike):
    sequences, found = alike
    turns = [one for sequence in sequences for one in sequence]
    requests = [one for one in turns if one.kind == REQUEST]
    last = SECONDS - hierarchy.LAST_SECONDS
    early = [known for known in found.requests if known.time <= last]
    assert len(requests) == len(early) > 30
    assert {hierarchy.answer_of(one.told.said) for one in turns} <= {ACCEPTED, SILENCE, REJECTED}
    waited = sum(known.decision.verdict is Verdict.WAIT for known in early)
    assert sum(hierarchy.answer_of(one.told.said) == SILENCE for one in requests) == waited > 3
    accepted = [one for one in turns if (one.kind, hierarchy.answer_of(one.told.said)) == (DECIDED, ACCEPTED)]
    assert len(accepted) == sum(known.time <= last for known in found.admissions) > 0


def test_the_recipe_trains_on_the_network_of_the_figure():
    syntheses = read_yaml(ROOT / "recipes/signaling_admission.yaml")["syntheses"]
    for name, ues in (("busy", 6), ("alone", 1)):
        known = {key: value for key, value in syntheses[name].items() if key != "runs"}
        wanted = hierarchy.network_of(ues, 120.0)
        demands = tuple(replace(demand, arrivals=round(demand.arrivals, 9)) for demand in wanted.workload.demands)
        assert from_plain(known) == replace(wanted, workload=replace(wanted.workload, demands=demands))


def test_who_waits_is_answered_when_that_is_decided():
    """Of requests for the same data network one is admitted while another one waits on."""
    turns = [
        turn
        for example in synthesised_examples(hierarchy.network_of(3, 75.0), seed=3)
        if example.kind == UE
        for turn in hierarchy.exchanges_of(example.tokens, example.said)
    ]
    waiting = [turn for turn in turns if "<policy=wait>" in turn.hints]
    admitted = [turn for turn in turns if turn.heard[0] == DECIDED and "<policy=admit>" in turn.hints]
    assert len(waiting) > 20 and {hierarchy.answer_of(turn.said) for turn in waiting} == {SILENCE}
    assert len(admitted) > 5 and {hierarchy.answer_of(turn.said) for turn in admitted} == {ACCEPTED}


def test_without_the_hint_nothing_tells_what_was_decided(alike):
    for sequence in alike[0]:
        for one in sequence:
            assert any(token.startswith("<policy=") for token in one.told.heard)
            assert not any(token.startswith("<policy=") or token == "<back_off>" for token in one.untold.heard)
            assert one.told.said == one.untold.said


def test_a_twin_that_always_agrees_is_always_right(alike, tokenizer):
    sequences, found = alike
    assert found.early == 0 and all(known.agrees for known in [*found.requests, *found.admissions])
    scores = hierarchy.judged(Knows(sequences, tokenizer), sequences, tokenizer.automaton(bounds=None), 0)
    assert scores.share().value == 1.0 and scores.scores()["recall"] == 1.0
    majority = scores.majority().scores()
    assert 0.3 < majority["accuracy"] < 0.95 and majority["recall"] < 1.0


def test_a_twin_that_admits_nobody_tells_so_in_its_hints(alike, tokenizer):
    sequences, found = asked(lambda states: np.array([states.shape[1]]))
    assert sum(map(len, sequences)) == sum(map(len, alike[0])), "the core does as its own policy says"
    assert not any(known.agrees for known in found.admissions)
    requests = [one for sequence in sequences for one in sequence if one.kind == REQUEST]
    last = [[token for token in one.told.heard if token.startswith("<policy=")][-1] for one in requests]
    assert {*last} == {"<policy=wait>"}
    scores = hierarchy.judged(Knows(sequences, tokenizer), sequences, tokenizer.automaton(bounds=None), 0)
    late = sum(one.is_late for sequence in sequences for one in sequence)
    assert scores[DECIDED, ACCEPTED, SILENCE] == late > 0


def test_scores_of_counts():
    found = Confusion(
        {(REQUEST, ACCEPTED, ACCEPTED): 6, (REQUEST, SILENCE, ACCEPTED): 2, (DECIDED, REJECTED, REJECTED): 2}
    )
    scores = found.scores()
    assert scores["accuracy"] == 0.8
    assert scores["precision"] == pytest.approx((0.75 + 0 + 1) / 3)
    assert scores["recall"] == pytest.approx((1 + 0 + 1) / 3)
    assert found.majority() == found


def test_the_figure_is_drawn(tmp_path):
    scores = {"accuracy": 0.9, "precision": 0.8, "recall": 0.7}
    figure = {name: {1: scores, 64: scores} for name in (hierarchy.WITH_POLICY, hierarchy.ALONE, hierarchy.MAJORITY)}
    assert hierarchy.draw(figure | {hierarchy.LSTM: {}}, tmp_path / "hierarchy.png").stat().st_size > 10_000
