"""Scores of decisions, on cases that can be counted."""

from __future__ import annotations

import numpy as np
import pytest

from gentwin.metrics.decisions import (
    confidence_bins,
    copy_rate,
    expected_calibration_error,
    is_rare,
    macro_accuracy,
    rare_limits,
)


def test_macro_accuracy_counts_actions_alike():
    actions = np.array([0] * 8 + [1] * 2)
    predicted = np.array([0] * 8 + [0, 1])
    assert macro_accuracy(actions, predicted) == pytest.approx((1 + 0.5) / 2)
    assert macro_accuracy(actions, np.full(10, 3)) == 0


def test_calibration_error_is_the_mean_gap():
    confidence, right = np.array([0.95] * 10 + [0.55] * 10), np.array([1] * 10 + [1] * 2 + [0] * 8)
    assert expected_calibration_error(confidence, right, 10) == pytest.approx((0.05 + 0.35) / 2)
    assert expected_calibration_error(np.ones(4), np.ones(4)) == 0
    count, mean, share = confidence_bins(confidence, right, 10)
    assert count[5] == count[9] == 10 and mean[9] == pytest.approx(0.95) and share[5] == pytest.approx(0.2)


def test_calibrated_confidence_has_hardly_an_error():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.3, 1, 50_000)
    assert expected_calibration_error(confidence, rng.random(50_000) < confidence) < 0.01


def test_rare_states_are_at_either_end():
    waiting = np.arange(100.0)
    limits = rare_limits(waiting)
    assert is_rare(waiting, limits).sum() == 10
    assert is_rare(np.array([0.0, 50.0, 99.0]), limits).tolist() == [True, False, True]


def test_copies_are_told_from_fresh_draws():
    rng = np.random.default_rng(0)
    records, fresh = rng.normal(size=(2, 300, 6))
    assert copy_rate(records + 1e-3 * fresh, records) == 1
    assert copy_rate(fresh, records) < 0.05
    half = np.concatenate([records[:150], fresh[:150]])
    assert 0.5 <= copy_rate(half, records) < 0.53
