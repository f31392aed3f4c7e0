"""What is said about runs over seeds: interquartile means with 95 % bootstrap intervals, differences, shares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from gentwin.metrics import bootstrap_interval, interquartile_mean

Runs = Sequence[float] | np.ndarray


def summary(values: Runs) -> dict[str, Any]:
    """Returns the interquartile mean over runs and its 95 % interval."""
    values = np.asarray(values, np.float64)
    return {"mean": interquartile_mean(values), "interval": bootstrap_interval(values, seed=0)}


def paired(values: Runs, others: Runs) -> dict[str, Any]:
    """Returns the summary of what runs have more than others of the same seeds."""
    return summary(np.asarray(values, np.float64) - np.asarray(others, np.float64))


def is_ahead(values: Runs, others: Runs, comparisons: int = 1) -> bool:
    """Returns whether runs have more than others of the same seeds, by a t-interval of the mean difference.

    Args:
        values: Of at least two seeds; fewer are never ahead.
        others: Of the same seeds.
        comparisons: How many such questions are asked at once; their intervals hold together with 95 % (Bonferroni).
    """
    gains = np.asarray(values, np.float64) - np.asarray(others, np.float64)
    if len(gains) < 2:
        return False
    reach = stats.t.ppf(1 - 0.025 / comparisons, len(gains) - 1)
    return bool(gains.mean() > reach * gains.std(ddof=1) / len(gains) ** 0.5)


def share(values: Runs, others: Runs) -> dict[str, Any]:
    """Returns the mean of runs over that of others of the same seeds, which are resampled together."""
    pairs = np.stack([values, others], axis=1).astype(np.float64)
    return {"mean": _ratio(pairs), "interval": bootstrap_interval(pairs, seed=0, statistic=_ratio)}


def _ratio(pairs: np.ndarray) -> float:
    return interquartile_mean(pairs[:, 0]) / interquartile_mean(pairs[:, 1])
