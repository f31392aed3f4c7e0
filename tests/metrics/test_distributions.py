"""Scores of distributions against definitions, known values and calibrated forecasts."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gentwin.metrics import coverage, crps_from_samples, energy_distance, interval_coverage, pit


@settings(deadline=None, max_examples=50)
@given(
    arrays(np.float64, st.tuples(st.integers(2, 8), st.integers(1, 4)), elements=st.floats(-100, 100)), st.booleans()
)
def test_crps_is_its_definition(samples, fair):
    observed = samples.mean(axis=0) + 1
    count = len(samples)
    spread = np.abs(samples[:, None] - samples[None]).sum(axis=(0, 1)) / (count * (count - fair))
    expected = np.abs(samples - observed).mean(axis=0) - spread / 2
    np.testing.assert_allclose(crps_from_samples(samples, observed, fair=fair), expected, atol=1e-9)


def test_crps_of_a_gaussian():
    samples = np.random.default_rng(0).standard_normal((40_000, 1))
    known = (math.sqrt(2) - 1) / math.sqrt(math.pi)
    assert crps_from_samples(samples, np.zeros(1))[0] == pytest.approx(known, rel=0.02)


def test_fair_crps_does_not_depend_on_the_number_of_draws():
    rng = np.random.default_rng(0)
    observed = rng.standard_normal(200_000)
    few, many = (crps_from_samples(rng.standard_normal((m, 200_000)), observed).mean() for m in (2, 20))
    assert few == pytest.approx(many, abs=0.005)
    assert crps_from_samples(rng.standard_normal((2, 200_000)), observed, fair=False).mean() > many + 0.1


def test_one_draw_scores_its_absolute_error():
    np.testing.assert_allclose(crps_from_samples(np.array([[3.0, 1.0]]), np.array([1.0, 2.0]), fair=False), [2.0, 1.0])
    with pytest.raises(ValueError, match="at least 2 draws"):
        crps_from_samples(np.ones((1, 2)), np.ones(2))


def test_bad_arrays_are_refused():
    with pytest.raises(ValueError, match="`samples` must have shape"):
        crps_from_samples(np.ones((5, 3)), np.ones(2))
    with pytest.raises(ValueError, match="finite"):
        crps_from_samples(np.array([[np.nan], [1.0]]), np.ones(1))
    with pytest.raises(ValueError, match="`level`"):
        coverage(np.ones((5, 3)), np.ones(3), 1.0, np.random.default_rng(0))


def zero_inflated(rng, *shape):
    return np.where(rng.random(shape) < 0.6, 0.0, rng.exponential(size=shape))


def test_a_perfect_forecast_with_an_atom_is_calibrated():
    rng = np.random.default_rng(0)
    samples, observed = zero_inflated(rng, 99, 20_000), zero_inflated(rng, 20_000)
    ranks = pit(samples, observed, rng)
    assert np.histogram(ranks, bins=10, range=(0, 1))[0] == pytest.approx(2000, rel=0.1)
    assert coverage(samples, observed, 0.9, rng) == pytest.approx(0.9, abs=0.01)
    # The closed interval counts the atom whole.
    low, high = np.quantile(samples, [0.05, 0.95], axis=0)
    assert interval_coverage(low, high, observed) > 0.93


def test_coverage_per_column():
    rng = np.random.default_rng(0)
    samples = rng.standard_normal((200, 2000, 2))
    observed = rng.standard_normal((2000, 2)) * [1.0, 3.0]
    good, bad = coverage(samples, observed, 0.9, rng, axis=0)
    assert good == pytest.approx(0.9, abs=0.02)
    assert bad < 0.5


def test_energy_distance():
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((600, 3)), rng.standard_normal((500, 3))
    assert abs(energy_distance(first, second)) < 0.02
    assert energy_distance(first, second + 1.0) > 0.3
    assert energy_distance(first, second, chunk=7) == pytest.approx(energy_distance(first, second))
    with pytest.raises(ValueError, match="same number of dimensions"):
        energy_distance(first, second[:, :2])
