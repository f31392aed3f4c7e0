"""The decoder says what its twin says, whatever comes together, is guessed, forgotten or saved."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gentwin.models import (
    SignalingLstmTwinConfig,
    SignalingLstmTwinForCausalLM,
    SignalingTwinConfig,
    SignalingTwinForCausalLM,
)
from gentwin.models.signaling.decoding import KEPT, Decoder, sampled
from gentwin.models.signaling.decoding_kernels import exponential
from gentwin.models.signaling.decoding_weights import WEIGHTS
from gentwin.models.signaling.guides import TurnGuide
from gentwin.signaling.dialogue import Automaton, GrammarError, Vocabulary, to_message
from gentwin.signaling.dialogue.hints import WAIT

SIZE, POSITIONS, END = 41, 300, 1
SETTINGS = {"vocab_size": SIZE, "initializer_range": 0.3}


def transformer(**fields) -> SignalingTwinForCausalLM:
    torch.manual_seed(0)
    sizes = {"hidden_size": 36, "intermediate_size": 20, "num_hidden_layers": 2, "num_attention_heads": 3}
    more = {"num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": POSITIONS}
    return SignalingTwinForCausalLM(SignalingTwinConfig(**{**SETTINGS, **sizes, **more, **fields})).eval()


def lstm(**fields) -> SignalingLstmTwinForCausalLM:
    torch.manual_seed(0)
    sizes = {"embedding_size": 12, "hidden_size": 20, "num_hidden_layers": 2}
    return SignalingLstmTwinForCausalLM(SignalingLstmTwinConfig(**{**SETTINGS, **sizes, **fields})).eval()


TWINS = {"transformer": transformer(), "lstm": lstm()}


@pytest.fixture(params=list(TWINS))
def model(request):
    return TWINS[request.param]


def tokens_of(*lengths: int, seed: int = 0) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(2, SIZE, length).tolist() for length in lengths]


def logits_of(model, tokens: list[int]) -> np.ndarray:
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0, -1].numpy()


def generated(model, tokens: list[int], most: int) -> list[int]:
    return model.generate(torch.tensor([tokens]), max_new_tokens=most, do_sample=False)[0, len(tokens) :].tolist()


class Free:
    """Allows some tokens, at any place."""

    def __init__(self, tokens=range(SIZE)):
        self.mask = np.zeros(SIZE, bool)
        self.mask[list(tokens)] = True
        self.taken = []

    def allowed(self):
        return self.mask

    def advance(self, token):
        assert self.allowed()[token]
        self.taken.append(token)


class Cycle(Free):
    """Forces all but every third token."""

    def allowed(self):
        if len(self.taken) % 3 == 2:
            return self.mask
        return np.arange(SIZE) == 7 + len(self.taken) % 3


# Reading


@pytest.mark.parametrize(
    "fields", [{}, {"num_key_value_heads": 3}, {"tie_word_embeddings": False}, {"rms_norm_eps": 1e-3}, {"head_dim": 12}]
)
def test_logits_are_those_of_transformers(fields):
    model, tokens = transformer(**fields), tokens_of(257, 64, 1, 5)
    logits = Decoder(model, rows=4).append(range(4), tokens)
    for row, found in zip(tokens, logits, strict=True):
        np.testing.assert_allclose(found, logits_of(model, row), rtol=1e-5, atol=1e-5)


def test_logits_with_scaled_positions():
    scaling = {"rope_type": "linear", "factor": 2.0, "rope_theta": 500.0}
    model, (tokens,) = transformer(rope_parameters=scaling), tokens_of(50)
    np.testing.assert_allclose(Decoder(model).append([0], [tokens])[0], logits_of(model, tokens), atol=1e-5)


@pytest.mark.parametrize("fields", [{}, {"num_hidden_layers": 1}, {"embedding_size": 24}])
def test_logits_are_those_of_the_lstm(fields):
    model, tokens = lstm(**fields), tokens_of(70, 3, 1, 33)
    logits = Decoder(model, rows=4).append(range(4), tokens)
    for row, found in zip(tokens, logits, strict=True):
        np.testing.assert_allclose(found, logits_of(model, row), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_it_does_not_matter_how_tokens_come_and_with_whom(model, weights):
    (tokens, *others) = tokens_of(150, 100, 90, 80, 70)
    once, parts = Decoder(model, weights=weights), Decoder(model, rows=5, weights=weights)
    once.append([0], [tokens])
    start = 0
    for place, count in enumerate((1, 7, 100, 4, 3, 1, 34)):
        rows = [3, *range(place % 3)]
        parts.append(rows, [tokens[start : start + count], *(other[:count] for other in others[: len(rows) - 1])])
        start += count
    assert np.array_equal(once.save(0)["known"], parts.save(3)["known"])
    assert parts.tokens(3) == tokens


def test_nothing_new_gives_the_same_logits(model):
    decoder, (tokens,) = Decoder(model), tokens_of(9)
    assert np.array_equal(decoder.append([0], [tokens]), decoder.append([0], [[]]))


def test_reset_forgets_one_row(model):
    decoder, (first, second) = Decoder(model, rows=2), tokens_of(20, 30)
    kept = decoder.append([0, 1], [first, second])[1]
    decoder.reset(0)
    assert (decoder.tokens(0), decoder.tokens(1)) == ([], second)
    np.testing.assert_allclose(decoder.append([0], [second])[0], kept, atol=1e-5)


def test_saved_row_goes_on_elsewhere(model):
    first, second, (heard, more) = Decoder(model), Decoder(model, rows=3), tokens_of(40, 5)
    guide = Free()
    first.respond([0], [guide], {END}, [heard], most=6)
    second.append([2], [more])
    second.restore(2, first.save(0))
    assert second.tokens(2) == heard + guide.taken
    assert np.array_equal(first.append([0], [more]), second.append([2], [more]))


def test_states_of_other_twins_are_refused():
    (tokens,) = tokens_of(60)
    saved = {name: Decoder(model) for name, model in TWINS.items()}
    for decoder in saved.values():
        decoder.append([0], [tokens])
    with pytest.raises(ValueError, match="`pages`"):
        Decoder(transformer(num_key_value_heads=3)).restore(0, saved["transformer"].save(0))
    with pytest.raises(ValueError, match="at most 50"):
        Decoder(TWINS["transformer"], length=50).restore(0, saved["transformer"].save(0))
    with pytest.raises(ValueError, match="`state`"):
        Decoder(lstm(hidden_size=8)).restore(0, saved["lstm"].save(0))


def test_damaged_states_are_refused(model):
    decoder = Decoder(model)
    decoder.append([0], tokens_of(9))
    state = decoder.save(0)
    for name, value in (("tokens", state["tokens"] + SIZE), ("unread", np.array(1)), ("known", state["known"][1:])):
        if (name, model) != ("unread", TWINS["lstm"]):
            with pytest.raises(ValueError, match=name):
                decoder.restore(0, {**state, name: value})
    assert decoder.tokens(0) == tokens_of(9)[0]


def test_what_was_only_heard_is_read_when_it_is_needed(model):
    decoder, whole, (first, second, third) = Decoder(model, rows=2), Decoder(model), tokens_of(40, 30, 5)
    decoder.append([0, 1], [first, third])
    decoder.hear([0], [second])
    assert (decoder.size(0), decoder.unread(0), decoder.unread(1)) == (70, 30, 0)
    assert decoder.tokens(0) == first + second
    expected = whole.append([0], [first + second + third])
    assert np.array_equal(decoder.append([0], [third]), expected)
    assert decoder.unread(0) == 0


# A full row


@pytest.mark.parametrize("was_read", [True, False])
def test_row_that_slides_is_read_if_it_was(was_read):
    decoder, (tokens,) = Decoder(TWINS["transformer"], length=64), tokens_of(60)
    (decoder.append if was_read else decoder.hear)([0], [tokens])
    decoder.slide(0)
    assert decoder.tokens(0) == tokens[-32:]
    assert decoder.unread(0) == (0 if was_read else 32)
    np.testing.assert_allclose(
        decoder.append([0], [[3]])[0], logits_of(TWINS["transformer"], [*tokens[-32:], 3]), atol=1e-5
    )


def test_full_row_keeps_its_last_half():
    model, (tokens, more) = TWINS["transformer"], tokens_of(60, 7)
    decoder = Decoder(model, length=64)
    decoder.append([0], [tokens])
    assert decoder.room(0) == 4
    logits = decoder.append([0], [more])
    kept = (tokens + more)[-32:]
    assert decoder.tokens(0) == kept
    np.testing.assert_allclose(logits[0], logits_of(model, kept), atol=1e-5)


def test_full_row_is_cut_where_a_sequence_can_begin():
    decoder = Decoder(TWINS["transformer"], length=16, starts=[40])
    tokens = [3, 40, 3, 3, 3, 3, 3, 3, 3, 3, 40, 4, 5, 40, 6, 7]
    decoder.append([0], [tokens])
    decoder.slide(0)
    assert decoder.tokens(0) == [40, 4, 5, 40, 6, 7]
    decoder.slide(0)
    assert decoder.tokens(0) == [40, 4, 5, 40, 6, 7], "it has room"


@pytest.mark.parametrize("drafted", [0, 5])
def test_answer_goes_on_in_a_full_row(drafted):
    model, (tokens,) = TWINS["transformer"], tokens_of(30)
    decoder = Decoder(model, length=32, drafted=drafted)
    guide = Free(range(2, SIZE))
    (said,) = decoder.respond([0], [guide], {END}, [tokens], most=80)
    assert len(said) == 80
    context = list(tokens)
    for token in said:
        context = context[-16:] if len(context) > 32 else context
        logits = logits_of(model, context)
        assert logits[token] >= logits[2:].max() - 1e-5
        context.append(token)
    assert decoder.tokens(0) == context


def test_lstm_depends_on_more_than_the_tokens_that_are_kept_of_it():
    first, last, (same,) = [[3], [4]], [[5]], tokens_of(KEPT)
    decoder = Decoder(TWINS["lstm"], rows=2)
    decoder.append([0, 1], first)
    assert decoder.is_whole(0)
    decoder.append([0, 1], [same, same])
    assert decoder.tokens(0) == decoder.tokens(1) == same
    assert not decoder.is_whole(0)
    decoder.reset(0)
    decoder.append([0], last)
    assert decoder.is_whole(0)


def test_transformer_that_has_slid_depends_on_the_tokens_that_it_has():
    decoder = Decoder(TWINS["transformer"], length=64)
    decoder.append([0], tokens_of(60))
    decoder.slide(0)
    assert decoder.is_whole(0)


def test_lstm_needs_no_room():
    decoder = Decoder(TWINS["lstm"])
    assert (decoder.length, decoder.room(0)) == (None, None)
    decoder.append([0], tokens_of(5000))
    decoder.append([0], tokens_of(1))
    decoder.slide(0)
    assert len(decoder.tokens(0)) == 4096


# Answers


def test_answers_are_those_of_generate(model):
    heard = tokens_of(5, 60, 17)
    decoder = Decoder(model, rows=3)
    for _ in range(3):  # the second time all of it is guessed
        for row in range(3):
            decoder.reset(row)
        said = decoder.respond([2, 0, 1], [Free(), Free(), Free()], {END}, heard, most=25)
        for tokens, answer in zip(heard, said, strict=True):
            assert answer == generated(model, tokens, 25)


def test_wrong_guesses_change_nothing(model):
    heard, (following,) = tokens_of(40, 30), tokens_of(9, seed=5)
    decoder, plain = Decoder(model, rows=2), Decoder(model, rows=2, drafted=0)
    answer = plain.respond([0, 1], [Free(), Free()], {END}, heard, most=20)
    decoder.rehearse(heard[0], answer[0][:4] + following + answer[0][4:])
    decoder.rehearse(heard[1], following)
    assert decoder.respond([0, 1], [Free(), Free()], {END}, heard, most=20) == answer
    assert np.array_equal(decoder.append([0], [following]), plain.append([0], [following]))
    assert np.array_equal(decoder.append([1], [following]), plain.append([1], [following]))


def test_fewer_calls_with_guesses(model, monkeypatch):
    decoder, (heard,) = Decoder(model), tokens_of(20)
    calls = []
    advance = decoder._engine.advance
    monkeypatch.setattr(decoder._engine, "advance", lambda *read: calls.append(read) or advance(*read))
    decoder.respond([0], [Free(range(2, SIZE))], {END}, [heard], most=20)
    first, calls[:] = len(calls), []
    decoder.reset(0)
    decoder.respond([0], [Free(range(2, SIZE))], {END}, [heard], most=20)
    assert first > 5
    assert len(calls) == 1


def test_forced_tokens_are_not_asked_for(model):
    decoder, asked = Decoder(model, drafted=0), []

    def choose(tokens, logits):
        asked.append(len(tokens))
        return int(tokens[logits.argmax()])

    guide = Cycle(range(2, SIZE))
    (said,) = decoder.respond([0], [guide], {END}, tokens_of(4), [choose], most=12)
    assert said == guide.taken and len(said) == 12
    assert [token for place, token in enumerate(said) if place % 3 < 2] == [7, 8] * 4
    assert asked.count(SIZE - 2) == 4 and len(asked) <= 5  # the first one is asked for in any case


def test_only_what_is_allowed_is_said(model):
    (said,) = Decoder(model).respond([0], [Free([5, 9])], {9}, tokens_of(6), most=10)
    assert set(said) <= {5, 9}
    first = logits_of(model, tokens_of(6)[0])
    assert said[0] == (5 if first[5] > first[9] else 9)


def test_answer_ends_at_a_token_or_a_number(model):
    decoder, (heard,) = Decoder(model), tokens_of(8)
    assert decoder.respond([0], [Free([3])], {3}, [heard]) == [[3]]
    assert decoder.respond([0], [Free([4])], {3}, most=5) == [[4] * 5]
    assert decoder.tokens(0) == [*heard, 3, *[4] * 5]


def test_drawn_answers_follow_the_probabilities(model):
    decoder, (heard,) = Decoder(model, drafted=4), tokens_of(12)
    logits = logits_of(model, heard).astype(float)[[3, 4, 5]]
    expected = np.exp(logits - logits.max())
    expected /= expected.sum()
    draw, counts = sampled(np.random.default_rng(0)), np.zeros(3)
    decoder.append([0], [heard])
    state = decoder.save(0)
    for _ in range(2000):
        decoder.restore(0, state)
        ((token,),) = decoder.respond([0], [Free([3, 4, 5])], {3, 4, 5}, choose=[draw])
        counts[token - 3] += 1
    assert np.abs(counts / 2000 - expected).max() < 0.05


def test_a_low_temperature_is_greedy(model):
    heard = tokens_of(12)
    greedy = Decoder(model).respond([0], [Free()], {END}, heard, most=15)
    assert Decoder(model).respond([0], [Free()], {END}, heard, [sampled(np.random.default_rng(0), 1e-6)], 15) == greedy


def test_a_guide_that_fails_leaves_rows_as_they_were(model):
    class Broken(Free):
        def advance(self, token):
            raise GrammarError("no")

    heard, (more,) = tokens_of(10, 12), tokens_of(3, seed=2)
    decoder, whole = Decoder(model, rows=2), Decoder(model, rows=2)
    for tokens in heard:
        decoder.rehearse(tokens, [5, 6, 7, 8])
    with pytest.raises(GrammarError):
        decoder.respond([0, 1], [Broken(), Free()], {END}, heard)
    whole.append([0, 1], heard)
    assert np.array_equal(decoder.append([0, 1], [more, more]), whole.append([0, 1], [more, more]))


# Refusals


def test_bad_input_is_refused_and_changes_nothing(model):
    decoder = Decoder(model, rows=2)
    for rows, tokens, named in (
        ([2], [[3]], "`rows`"),
        ([-1], [[3]], "`rows`"),
        ([0, 0], [[3], [3]], "`rows`"),
        ([0], [[3], [3]], "2"),
        ([0, 1], [[3], [SIZE]], "tokens"),
        ([0, 1], [[3], [-1]], "tokens"),
        ([0, 1], [[3], []], "row 1 is empty"),
    ):
        with pytest.raises(ValueError, match=named):
            decoder.append(rows, tokens)
    assert decoder.tokens(0) == decoder.tokens(1) == []
    with pytest.raises(ValueError, match="empty"):
        decoder.respond([0], [Free()], {END})
    with pytest.raises(ValueError, match="at least one token"):
        decoder.respond([0], [Free([])], {END}, [[3]])
    guide = Free()
    guide.mask = np.ones(SIZE + 1, bool)
    with pytest.raises(ValueError, match=f"each of {SIZE} tokens"):
        decoder.respond([0], [guide], {END}, [[3]])


def test_bad_settings_are_refused_by_name():
    model = TWINS["transformer"]
    for settings, named in (({"rows": 0}, "`rows`"), ({"drafted": -1}, "`drafted`"), ({"length": 301}, "`length`")):
        with pytest.raises(ValueError, match=named):
            Decoder(model, **settings)
    with pytest.raises(ValueError, match="`attention_bias`"):
        Decoder(transformer(attention_bias=True))
    with pytest.raises(ValueError, match="`head_dim`"):
        Decoder(transformer(head_dim=6))
    with pytest.raises(ValueError, match="`rope_type`"):
        Decoder(transformer(rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 500.0}))
    with pytest.raises(TypeError, match=r"`model`.*Linear"):
        Decoder(torch.nn.Linear(2, 2))
    with pytest.raises(ValueError, match="`temperature`"):
        sampled(np.random.default_rng(0), 0.0)


# Messages


@pytest.fixture(scope="module")
def automaton() -> Automaton:
    pytest.importorskip("pycrate_asn1dir")
    return Automaton(Vocabulary.of_schema(), slots=True)


@pytest.fixture(scope="module")
def speaker(automaton) -> SignalingTwinForCausalLM:
    return transformer(vocab_size=len(automaton.vocabulary), max_position_embeddings=2048)


def test_any_weights_say_messages_of_the_core(automaton, speaker):
    vocabulary = automaton.vocabulary
    decoder, rng = Decoder(speaker, rows=4), np.random.default_rng(0)
    guides = [TurnGuide(automaton, {"TEID": 2}, silent=False) for _ in range(4)]
    heard = [rng.integers(len(vocabulary), size=5).tolist() for _ in range(4)]
    draws = [sampled(np.random.default_rng(seed)) for seed in range(4)]
    said = decoder.respond(range(4), guides, {vocabulary.ids["<end>"]}, heard, draws)
    for answer in said:
        direction, *tokens = vocabulary.decode(answer)
        assert direction in ("<amf>gnb>", "<smf>upf>")
        assert to_message(tokens).protocol == ("ngap" if direction == "<amf>gnb>" else "pfcp")
    assert len({tuple(answer) for answer in said}) > 1


def test_turn_guide_knows_turns_and_identifiers(automaton):
    ids = automaton.vocabulary.ids
    guide = TurnGuide(automaton, {"AMF_UE_ID": 1}, prefix=["<ctx:3>"])
    assert [t for t in ("<wait>", "<amf>gnb>", "<smf>upf>", "<gnb>amf>", "<end>") if guide.allowed()[ids[t]]] == [
        *("<wait>", "<amf>gnb>", "<smf>upf>")
    ]
    guide.advance(ids["<amf>gnb>"])
    assert np.flatnonzero(guide.allowed()).tolist() == [ids["<ctx:3>"]]
    guide.advance(ids["<ctx:3>"])
    assert not guide.allowed()[ids["ngap:UplinkNASTransport"]] and not guide.allowed()[ids["pfcp:HeartbeatRequest"]]
    guide.advance(ids["ngap:UEContextReleaseCommand"])
    refer = [f"amf_ue_ngap_id=<ref:AMF_UE_ID#{number}>" for number in (1, 2)]
    pair = [f"ran_ue_ngap_id=<{slot}:RAN_UE_ID{rest}>" for slot, rest in (("ref", "#1"), ("new", ""))]
    guide.advance(ids["ue_ngap_id_pair"])
    assert [bool(guide.allowed()[ids[token]]) for token in refer] == [True, False]
    guide.advance(ids[refer[0]])
    assert [bool(guide.allowed()[ids[token]]) for token in pair] == [False, True]
    guide.advance(ids[pair[1]])
    assert guide._usable[ids[pair[0]]], "what was made can be referred to"
    with pytest.raises(GrammarError):
        guide.advance(ids["<wait>"])
    for token in ("nas=normal-release", "<end>", "<wait>"):
        guide.advance(ids[token])
    assert guide.complete and not guide.allowed().any()


def test_guides_of_one_automaton_are_apart(automaton):
    ids = automaton.vocabulary.ids
    first, second = TurnGuide(automaton), TurnGuide(automaton)
    first.advance(ids["<amf>gnb>"])
    first.advance(ids["ngap:OverloadStop"])
    second.advance(ids["<smf>upf>"])
    assert second.allowed()[ids["pfcp:HeartbeatRequest"]]
    first.advance(ids["<end>"])
    assert first.allowed()[ids[WAIT]]


def test_turn_guide_can_forbid_silence(automaton):
    guide, ids = TurnGuide(automaton, silent=False), automaton.vocabulary.ids
    assert not guide.allowed()[ids[WAIT]]
    with pytest.raises(GrammarError):
        guide.advance(ids[WAIT])


# Kernels


def test_exponential_is_exact_to_a_few_units_in_the_last_place():
    x = np.concatenate((np.linspace(-87, 87, 5000), [-1e9, 1e9, -np.inf, 0.0])).astype(np.float32)
    found, bits = x.copy(), np.empty(len(x), np.int32)
    exponential(found, bits, len(x))
    inside = np.abs(x) < 87
    np.testing.assert_allclose(found[inside], np.exp(x[inside].astype(float)), rtol=6e-6)
    assert np.isfinite(found).all() and found[-1] == 1.0 and found[-2] < 1e-37
