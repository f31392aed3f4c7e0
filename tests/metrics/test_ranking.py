"""Rank correlation, regret and bootstrap intervals."""

import numpy as np
import pytest
from scipy import stats

from gentwin.metrics import bootstrap_interval, interquartile_mean, spearman, top1_regret


def test_spearman_agrees_with_scipy_with_and_without_ties():
    rng = np.random.default_rng(0)
    for first in (rng.standard_normal(40), rng.integers(0, 5, 40)):
        second = first + rng.standard_normal(40)
        assert spearman(first, second) == pytest.approx(stats.spearmanr(first, second).statistic)
    assert spearman([1, 2, 3], [10, 20, 21]) == 1.0
    assert spearman([1, 1, 1], [1, 2, 3]) == 0.0


def test_regret_of_the_policy_the_twin_likes_best():
    assert top1_regret([1, 2, 3], [4.0, 5.0, 4.5]) == pytest.approx(0.1)
    assert top1_regret([1, 3, 2], [4.0, 5.0, 4.5]) == 0.0
    assert top1_regret([1, 2], [-3.0, -6.0]) == pytest.approx(1.0)
    assert top1_regret([2, 2, 1], [5.0, 4.0, 1.0]) == pytest.approx(0.2)
    with pytest.raises(ValueError, match="must not be 0"):
        top1_regret([1, 2], [-1.0, 0.0])
    with pytest.raises(ValueError, match="at least 2"):
        top1_regret([1], [1.0])


@pytest.mark.parametrize("count", [4, 5, 7, 100])
def test_interquartile_mean_agrees_with_repetition(count):
    values = np.random.default_rng(count).standard_normal(count)
    # Repeating each value four times makes the quarters whole numbers of observations.
    whole = np.sort(np.repeat(values, 4))
    assert interquartile_mean(values) == pytest.approx(whole[count : 3 * count].mean())


def test_interquartile_mean_ignores_outliers():
    assert interquartile_mean([1.0, 1.0, 1.0, 1e9]) == 1.0


def test_bootstrap_interval():
    values = np.random.default_rng(0).normal(3.0, 1.0, 400)
    low, high = bootstrap_interval(values, seed=0, statistic=np.mean)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.15)
    assert bootstrap_interval(values, seed=0, statistic=np.mean) == (low, high)
    with pytest.raises(ValueError, match="at least one run"):
        bootstrap_interval([], seed=0)
