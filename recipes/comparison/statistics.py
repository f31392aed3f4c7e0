"""What is said about runs over seeds: interquartile means with 95 % bootstrap intervals, differences, shares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gentwin.metrics import bootstrap_interval, interquartile_mean

Runs = Sequence[float] | np.ndarray


def summary(values: Runs) -> dict[str, Any]:
    """Returns the interquartile mean over runs and its 95 % interval."""
    values = np.asarray(values, np.float64)
    return {"mean": interquartile_mean(values), "interval": bootstrap_interval(values, seed=0)}


def paired(values: Runs, others: Runs) -> dict[str, Any]:
    """Returns the summary of what runs have more than others of the same seeds."""
    return summary(np.asarray(values, np.float64) - np.asarray(others, np.float64))


def share(values: Runs, others: Runs) -> dict[str, Any]:
    """Returns the mean of runs over that of others of the same seeds, which are resampled together."""
    pairs = np.stack([values, others], axis=1).astype(np.float64)
    return {"mean": _ratio(pairs), "interval": bootstrap_interval(pairs, seed=0, statistic=_ratio)}


def _ratio(pairs: np.ndarray) -> float:
    return interquartile_mean(pairs[:, 0]) / interquartile_mean(pairs[:, 1])
