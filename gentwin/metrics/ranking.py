"""How well a twin ranks policies, and intervals for statistics of few runs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0; equal values share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[inverse]


def _check_pair(predicted: np.ndarray, actual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    predicted, actual = np.asarray(predicted, np.float64), np.asarray(actual, np.float64)
    if predicted.ndim != 1 or predicted.shape != actual.shape or len(predicted) < 2:
        raise ValueError(
            f"`predicted` and `actual` must be (num_policies,) with at least 2, got {predicted.shape}, {actual.shape}."
        )
    if not (np.isfinite(predicted).all() and np.isfinite(actual).all()):
        raise ValueError("`predicted` and `actual` must be finite.")
    return predicted, actual


def spearman(predicted: np.ndarray, actual: np.ndarray) -> float:
    """Spearman's rank correlation, with mean ranks for ties.

    Args:
        predicted: `(num_policies,)` returns in the twin.
        actual: `(num_policies,)` returns in the network.

    Returns:
        From -1 to 1; 0 if all values of one side are equal.
    """
    predicted, actual = _check_pair(predicted, actual)
    first, second = (_ranks(values) - (len(values) - 1) / 2 for values in (predicted, actual))
    norm = np.sqrt((first**2).sum() * (second**2).sum())
    return float(first @ second / norm) if norm else 0.0


def top1_regret(predicted: np.ndarray, actual: np.ndarray) -> float:
    """What is lost by taking the policy the twin likes best, as a fraction of the best actual return.

    Args:
        predicted: `(num_policies,)` returns in the twin.
        actual: `(num_policies,)` returns in the network; the best must not be 0.

    Returns:
        `(best - chosen) / |best|`, at least 0; of several policies the twin likes equally the worst is counted.

    Raises:
        ValueError: If the best actual return is 0.
    """
    predicted, actual = _check_pair(predicted, actual)
    best = actual.max()
    if best == 0:
        raise ValueError("the best of `actual` must not be 0, for the regret is relative to it; shift the returns.")
    chosen = actual[predicted == predicted.max()].min()
    return float((best - chosen) / abs(best))


def interquartile_mean(values: np.ndarray) -> float:
    """Mean of the middle half, with the observations at its ends counted in part; robust to a few bad runs.

    Args:
        values: Any shape; all values are pooled.

    Source: Agarwal et al., "Deep RL at the Edge of the Statistical Precipice", NeurIPS 2021.
    """
    ordered = np.sort(np.asarray(values, np.float64), axis=None)
    if not ordered.size:
        raise ValueError("`values` must not be empty.")
    edges = np.arange(ordered.size + 1) / ordered.size
    weights = np.diff(np.clip(edges, 0.25, 0.75))
    return float(weights @ ordered / weights.sum())


def bootstrap_interval(
    values: np.ndarray,
    seed: int,
    statistic: Callable[[np.ndarray], float] = interquartile_mean,
    level: float = 0.95,
    num_resamples: int = 2000,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a statistic over runs.

    Args:
        values: `(num_runs, ...)`; runs (axis 0) are resampled.
        seed: The same seed gives the same interval.
        statistic: Maps resampled `values` to a number.
        level: Probability of the interval, in (0, 1).
        num_resamples: Bootstrap samples.

    Returns:
        Lower and upper end.

    Raises:
        ValueError: If there are no runs or `level` is not in (0, 1).
    """
    values = np.asarray(values)
    if not 0 < level < 1:
        raise ValueError(f"`level` must be in (0, 1), got {level}.")
    if not len(values):
        raise ValueError("`values` must hold at least one run.")
    rng = np.random.default_rng(seed)
    resampled = [statistic(values[rng.integers(len(values), size=len(values))]) for _ in range(num_resamples)]
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
