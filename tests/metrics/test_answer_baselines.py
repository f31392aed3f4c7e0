"""What the baselines of message twins say after what they have seen."""

from __future__ import annotations

import pytest

pytest.importorskip("pycrate_asn1dir.NGAP")
from gentwin.metrics.answer_baselines import AnswerLookup, NGram
from gentwin.models.signaling.guides import TurnGuide
from gentwin.signaling.dialogue import Automaton, Vocabulary

RESET = "<gnb>amf> ngap:NGReset misc=unspecified ng_interface=reset-all <end>"
OTHER = "<gnb>amf> ngap:NGReset misc=hardware-failure ng_interface=reset-all <end>"
DONE = "<amf>gnb> ngap:NGResetAcknowledge <end> <wait>"
LOST, SILENT = "<event:link_lost>", "<wait>"


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary.of_schema()


@pytest.fixture(scope="module")
def automaton(vocabulary) -> Automaton:
    return Automaton(vocabulary, None)


@pytest.mark.parametrize("baseline", [AnswerLookup, NGram])
def test_answers_as_seen_and_backs_off(vocabulary, automaton, baseline):
    def encode(*texts: str) -> list[int]:
        return vocabulary.encode(" ".join(texts).split())

    def answer(*texts: str) -> list[int]:
        (said,) = predictor.answer([encode(*texts)], [TurnGuide(automaton)])
        return said

    predictor = baseline(vocabulary).fit([encode(RESET, DONE, LOST, SILENT), encode(LOST, SILENT, RESET, DONE)])
    assert answer(RESET) == encode(DONE)
    assert answer(LOST) == encode(SILENT)
    assert answer(RESET, DONE, RESET) == encode(DONE)
    assert answer(OTHER) == encode(DONE), "never heard, but its name was"


def test_the_state_tells_equal_messages_apart(vocabulary, automaton):
    def encode(*texts: str) -> list[int]:
        return vocabulary.encode(" ".join(texts).split())

    first, again = encode(RESET, DONE), encode(LOST, SILENT, RESET, SILENT)
    lookup, ngram = (kind(vocabulary).fit([first, first, again]) for kind in (AnswerLookup, NGram))
    for predictor in (lookup, ngram):
        contexts = [encode(LOST, SILENT, RESET), encode(RESET)]
        assert predictor.answer(contexts, [TurnGuide(automaton), TurnGuide(automaton)]) == [
            encode(SILENT),
            encode(DONE),
        ]


def test_ngram_refuses_what_it_cannot_learn(vocabulary):
    with pytest.raises(ValueError, match="`order`"):
        NGram(vocabulary, order=0)
    with pytest.raises(ValueError, match="`dialogues`"):
        NGram(vocabulary).fit([])
