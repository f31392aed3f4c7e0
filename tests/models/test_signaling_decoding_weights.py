"""Weights that are held as int8 are near the twin's, and what is computed with them is as exact as with float32."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from gentwin.models.signaling.decoding import Decoder, sampled
from gentwin.models.signaling.decoding_weights import FLOAT32, INT8, Matrix
from tests.models.test_signaling_decoding import END, SIZE, TWINS, Free, logits_of, lstm, tokens_of, transformer

WEIGHTS = arrays(np.float32, array_shapes(min_dims=2, max_dims=3), elements=st.floats(-1e3, 1e3, width=32))
MODELS = {
    **TWINS,
    "untied transformer": transformer(tie_word_embeddings=False, initializer_range=0.1),
    "lstm of one layer": lstm(num_hidden_layers=1, tie_word_embeddings=False),
}


@pytest.fixture(params=list(MODELS))
def model(request):
    return MODELS[request.param]


def rounded(model):
    """Returns a twin with the weights that int8 stands for: 127 steps to each side for each output."""
    found = deepcopy(model)
    with torch.no_grad():
        for weight in (weight for weight in found.parameters() if weight.ndim == 2):
            step = weight.abs().amax(dim=1, keepdim=True).clamp(min=1e-30) / 127
            weight.copy_((weight / step).round() * step)
    return found


# Rounding


@given(WEIGHTS, st.sampled_from([-1, -2]))
@settings(max_examples=200, deadline=None)
def test_no_weight_is_off_by_more_than_half_a_step(values, inputs):
    held = Matrix.of(values, INT8, inputs)
    peaks = np.abs(values).max(axis=inputs, keepdims=True)
    off = np.abs(held.values * np.expand_dims(held.scales, inputs).astype(float) - values)
    assert held.values.dtype == np.int8 and held.scales.dtype == np.float32
    assert (off <= peaks / 254 * (1 + 1e-4) + 1e-40).all()


@given(WEIGHTS)
@settings(max_examples=50, deadline=None)
def test_a_weight_and_its_negative_are_rounded_alike(values):
    held, other = Matrix.of(values, INT8), Matrix.of(-values, INT8)
    assert np.array_equal(held.values, -other.values) and np.array_equal(held.scales, other.scales)
    peaks = np.abs(values).max(axis=-1)
    assert (np.abs(held.values).max(axis=-1)[peaks > 1e-30] == 127).all()


def test_outputs_that_are_zero_stay_so():
    held = Matrix.of(np.array([[0.0, 0.0], [0.5, -1.0]], np.float32), INT8)
    assert held.rows().tolist()[0] == [0.0, 0.0]
    np.testing.assert_allclose(held.rows(np.array([1])), [[0.5, -1.0]], atol=1 / 254)


def test_float32_is_left_as_it_is():
    values = np.ones((3, 2), np.float32)
    held = Matrix.of(values, FLOAT32)
    assert held.values is values and held.scales.size == 0 and held.rows() is not None
    assert np.array_equal(held.rows(), values)


# Computing


def test_logits_are_those_of_the_twin_with_rounded_weights(model):
    tokens, expected = tokens_of(257, 64, 1, 5), rounded(model)
    logits = Decoder(model, rows=4, weights=INT8).append(range(4), tokens)
    for row, found in zip(tokens, logits, strict=True):
        np.testing.assert_allclose(found, logits_of(expected, row), rtol=1e-4, atol=1e-4)
        assert np.abs(found - logits_of(model, row)).max() > 1e-4, "nothing was rounded"


def test_answers_are_those_of_the_twin_with_rounded_weights(model):
    heard, expected = tokens_of(5, 60, 17), rounded(model)
    decoder = Decoder(model, rows=3, weights=INT8)
    for _ in range(2):  # the second time all of it is guessed
        for row in range(3):
            decoder.reset(row)
        said = decoder.respond([2, 0, 1], [Free(), Free(), Free()], {END}, heard, most=25)
        for tokens, answer in zip(heard, said, strict=True):
            context = list(tokens)
            for token in answer:
                logits = logits_of(expected, context)
                assert logits[token] >= logits.max() - 1e-4
                context.append(token)


def test_drawn_tokens_are_weighed_as_the_likeliest_is(model):
    heard = tokens_of(12)
    decoders = [Decoder(model, weights=INT8) for _ in range(2)]
    draws = None, [sampled(np.random.default_rng(0), 1e-6)]
    greedy, cold = (
        decoder.respond([0], [Free(range(3, SIZE, 2))], {END}, heard, draw, 15)
        for decoder, draw in zip(decoders, draws, strict=True)
    )
    assert cold == greedy


def test_saved_row_goes_on_elsewhere(model):
    first, second, (heard, more) = Decoder(model, weights=INT8), Decoder(model, rows=3, weights=INT8), tokens_of(40, 5)
    guide = Free()
    first.respond([0], [guide], {END}, [heard], most=6)
    second.restore(2, first.save(0))
    assert second.tokens(2) == heard + guide.taken
    assert np.array_equal(first.append([0], [more]), second.append([2], [more]))


def test_a_quarter_of_the_memory(model):
    assert Decoder(model).weight_bytes == 4 * sum(w.numel() for w in model.parameters() if w.ndim == 2)
    large = transformer(hidden_size=192)
    assert Decoder(large, weights=INT8).weight_bytes < 0.28 * Decoder(large).weight_bytes


# Refusals


def test_weights_that_cannot_be_held_are_refused():
    with pytest.raises(ValueError, match="`weights` must be one of float32, int8, got 'int4'"):
        Decoder(TWINS["transformer"], weights="int4")
    for wrong in (float("nan"), float("inf")):
        broken = transformer()
        with torch.no_grad():
            broken.model.layers[1].mlp.down_proj.weight[3, 4] = wrong
        with pytest.raises(ValueError, match="finite"):
            Decoder(broken, weights=INT8)
