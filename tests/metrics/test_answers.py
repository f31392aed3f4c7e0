"""Turns out of sequences, and answering them one by one after what was really said."""

from __future__ import annotations

from functools import cache
from itertools import chain

import pytest
import torch

from gentwin.metrics import AnswerScores
from gentwin.metrics.answers import (
    DecoderPredictor,
    Exchange,
    answered,
    exchanges_of,
    messages_of,
)
from gentwin.models import (
    SignalingLstmTwinConfig,
    SignalingLstmTwinForCausalLM,
    SignalingTokenizer,
    SignalingTwinConfig,
    SignalingTwinForCausalLM,
)
from gentwin.signaling.dialogue import GrammarError
from gentwin.signaling.dialogue.hints import WAIT

pytest.importorskip("pycrate_asn1dir.NGAP")

RESET = "<gnb>amf> <begin> ngap:NGReset misc=unspecified ng_interface=reset-all <end>"
ACKNOWLEDGED = "<amf>gnb> ngap:NGResetAcknowledge <end> <wait>"
ACCEPTED = "<upf>smf> pfcp:SessionDeletionResponse cause=request_accepted <end>"
CONFIGURED = "<gnb>amf> ngap:RANConfigurationUpdate <end>"
GUTI = "<amf>gnb> ngap:DownlinkNASTransport amf_ue_ngap_id=<new:AMF_UE_ID> ran_ue_ngap_id=<ref:RAN_UE_ID#1>"


@cache
def tokenizer() -> SignalingTokenizer:
    return SignalingTokenizer()


def sequence(*parts: str) -> tuple[list[str], list[bool]]:
    """Returns tokens of parts, and that every second of them is of the core."""
    tokens = [part.split() for part in parts]
    said = [[bool(place % 2)] * len(part) for place, part in enumerate(tokens)]
    return [*chain.from_iterable(tokens)], [*chain.from_iterable(said)]


def small_twin(kind: str = "transformer"):
    torch.manual_seed(0)
    if kind == "lstm":
        config = SignalingLstmTwinConfig.for_tokenizer(tokenizer(), embedding_size=16, hidden_size=16)
        return SignalingLstmTwinForCausalLM(config).eval()
    config = SignalingTwinConfig.for_tokenizer(
        tokenizer(),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
    )
    return SignalingTwinForCausalLM(config).eval()


class Recall:
    """Says what was said after the same tokens, if it has heard them before; keeps all that it was asked after."""

    def __init__(self, known: list[Exchange]) -> None:
        encode = tokenizer().convert_tokens_to_ids
        self.known = {tuple(encode(turn.heard)): encode(turn.said) for turn in known}
        self.asked: list[list[str]] = []

    def answer(self, contexts, guides):
        self.asked += [tokenizer().convert_ids_to_tokens(list(context)) for context in contexts]
        return [self._say(context, guide) for context, guide in zip(contexts, guides, strict=True)]

    def _say(self, context, guide):
        heard = next(key for key in self.known if tuple(context[-len(key) :]) == key)
        for token in self.known[heard]:
            guide.advance(token)
        return self.known[heard]


def test_turns_have_stimulus_hints_answer_and_identifiers():
    heard = "<gnb>amf> <begin> ngap:InitialUEMessage ran_ue_ngap_id=<new:RAN_UE_ID> x=<new:TMSI> <end>"
    hints = "<security=verified> <session=active> seid=<new:SEID>"
    answer = f"{GUTI} <end> {WAIT}"
    tokens, said = sequence(f"{heard} {hints}", answer, "<timer:T3550>", WAIT)
    first, second = exchanges_of(tokens, said)
    assert (" ".join(first.heard), " ".join(first.said)) == (f"{heard} {hints}", answer)
    assert first.hints == hints.split()
    assert (first.bound, first.prefix, first.begins) == ({"RAN_UE_ID": 1, "TMSI": 1}, (), False)
    assert first.without_hints().heard == heard.split()
    assert (second.heard, second.stimulus) == (["<timer:T3550>"], 1)
    assert second.bound == {"RAN_UE_ID": 1, "TMSI": 1, "AMF_UE_ID": 1}


def test_hints_of_a_kind_can_be_left_out():
    heard = "<timer:T3550> <identity=known> ksi=1"
    policy = "<policy=reject> cause_5gmm #16 <back_off> unit=2+s value #0f"
    tokens, said = sequence(f"{heard} {policy} <allowed> sst=1", WAIT)
    (turn,) = exchanges_of(tokens, said)
    assert " ".join(turn.without_hints(["policy"]).heard) == f"{heard} <allowed> sst=1"
    assert " ".join(turn.without_hints(["identity", "allowed"]).heard) == f"<timer:T3550> {policy}"
    assert turn.without_hints([]) == turn


def test_contexts_of_one_sequence_have_their_own_identifiers():
    def initial(number: int) -> str:
        return f"<gnb>amf> <ctx:{number}> <begin> ngap:InitialUEMessage ran_ue_ngap_id=<new:RAN_UE_ID> <end>"

    tokens, said = sequence(
        *(initial(1), WAIT),
        *("<command:page> <ctx:2>", f"<amf>gnb> <ctx:2> <begin> ngap:Paging x=<new:TMSI> <end> {WAIT}"),
        *(initial(1), WAIT),
        *("<timer:T3550> <ctx:2> <registration=none>", WAIT),
    )
    turns = exchanges_of(tokens, said)
    assert [turn.prefix for turn in turns] == [("<ctx:1>",), ("<ctx:2>",), ("<ctx:1>",), ("<ctx:2>",)]
    assert [turn.begins for turn in turns] == [False, True, False, False]
    assert [turn.bound for turn in turns] == [{"RAN_UE_ID": 1}, {}, {"RAN_UE_ID": 1}, {"TMSI": 1}]
    assert turns[3].hints == ["<registration=none>"]


@pytest.mark.parametrize("parts", [("<timer:T3550>", "<wait>", RESET), ("<registration=none>", WAIT), ("", WAIT)])
def test_what_is_no_turn_is_refused(parts):
    with pytest.raises(GrammarError):
        exchanges_of(*sequence(*parts))


def test_answers_are_read_as_messages():
    (message,) = messages_of(ACKNOWLEDGED.split())
    assert message.name == "NGResetAcknowledge"
    assert messages_of([WAIT]) == []
    for broken in ("", ACKNOWLEDGED.removesuffix(WAIT), f"ngap:NGResetAcknowledge {WAIT}", f"<amf>gnb> <end> {WAIT}"):
        assert messages_of(broken.split()) is None


def test_a_turn_comes_after_what_was_really_said():
    tokens, said = sequence(RESET, ACKNOWLEDGED, CONFIGURED, WAIT)
    (first, second) = exchanges_of(tokens, said)
    liar = Recall([first._replace(said=[WAIT]), second])
    found = [*answered(liar, [[first, second]], tokenizer().automaton())]
    assert [one.is_exact for one in found] == [False, True]
    assert liar.asked[1] == [*first.heard, *first.said, *second.heard]
    scores = AnswerScores()
    for one in found:
        one.count(scores)
    assert (scores.turns.right, scores.turns.of, scores.messages.right, scores.messages.of) == (1, 2, 0, 1)


def test_sequences_take_turns_in_rows_and_come_to_an_end():
    tokens, said = sequence(RESET, ACKNOWLEDGED, CONFIGURED, WAIT)
    turns = exchanges_of(tokens, said)
    sequences = [turns, [], turns[:1], turns, turns[:1]]
    found = [*answered(Recall(turns), sequences, tokenizer().automaton(), rows=2)]
    assert all(one.is_exact for one in found)
    assert sorted(one.sequence for one in found) == [0, 0, 2, 3, 3, 4]


@pytest.mark.parametrize("kind", ["transformer", "lstm"])
def test_a_twin_hears_the_truth_whatever_it_says(kind):
    """Answers depend neither on what it said wrongly before, nor on who is answered with it, nor on a full context."""
    tokens, said = sequence(*[RESET, ACKNOWLEDGED, CONFIGURED, WAIT] * 8)
    turns = exchanges_of(tokens, said)
    twin, automaton = small_twin(kind), tokenizer().automaton()
    alone = [one.said for one in answered(DecoderPredictor(twin, tokenizer(), rows=1), [turns], automaton)]
    together = [*answered(DecoderPredictor(twin, tokenizer()), [turns, turns[:3]], automaton, rows=2)]
    assert [one.said for one in together if one.sequence == 0] == alone
    assert [one.said for one in together if one.sequence == 1] == alone[:3]
    assert not all(answer == turn.said for answer, turn in zip(alone, turns, strict=True))
    if kind == "lstm":  # whose memory has no end
        before = [token for turn in turns[:-1] for token in (*turn.heard, *turn.said)]
        last = turns[-1]._replace(heard=[*before, *turns[-1].heard])
        assert [one.said for one in answered(DecoderPredictor(twin, tokenizer()), [[last]], automaton)] == alone[-1:]


def test_more_contexts_than_rows_are_refused():
    tokens, said = sequence(RESET, ACKNOWLEDGED)
    turns = exchanges_of(tokens, said)
    predictor = DecoderPredictor(small_twin(), tokenizer(), rows=1)
    with pytest.raises(ValueError, match="`rows`"):
        next(answered(predictor, [turns, turns], tokenizer().automaton(), rows=2))
