"""The final policy of the twin-enhanced agent on `dynamic`, beside static and state-aware policies."""

from __future__ import annotations

from typing import Any

import numpy as np

from gentwin.rl.anchors import EQUAL, HEURISTIC, STATIC
from recipes.comparison.arms import anchors, curves
from recipes.comparison.settings import DYNAMIC
from recipes.figures.result import Result

RESAMPLES = 2000


def mean_interval(values: np.ndarray, seed: int) -> list[float]:
    """Returns the 95 % bootstrap interval of a mean over trainings and episodes, both of them resampled.

    Args:
        values: `(trainings, episodes)`.
        seed: Of the resampling.
    """
    rng = np.random.default_rng(seed)
    rows, columns = values.shape
    means = [
        values[np.ix_(rng.integers(rows, size=rows), rng.integers(columns, size=columns))].mean()
        for _ in range(RESAMPLES)
    ]
    return np.quantile(means, [0.025, 0.975]).tolist()


def measure(full: bool, seed: int) -> Result:
    """Measures over 3 trainings, 10 if `full`, on the final episodes.

    The agent is the shipped one's, with another head than that of `sample-efficiency`; both share the other policies.
    """
    seeds = list(range(seed, seed + (10 if full else 3)))
    ours = np.array([curve["final"] for curve in curves(DYNAMIC, "with_twin", seeds)])
    lines = {name: np.array(values) for name, values in anchors(DYNAMIC, seeds)[0]["final"].items()}
    figure: dict[str, Any] = {
        "final": float(ours.mean()),
        "interval": mean_interval(ours, 0),
        "anchors": {name: float(values.mean()) for name, values in lines.items()},
    }
    gain, differences = ours.mean() - lines[EQUAL].mean(), {}
    for name in (STATIC, HEURISTIC):
        # All policies meet the same episodes, so what counts is the difference in each.
        differences[name] = {
            "mean": float((ours - lines[name]).mean()),
            "interval": mean_interval(ours - lines[name], 0),
        }
    figure["better_by"] = differences
    ratio = {name: gain / (lines[name].mean() - lines[EQUAL].mean()) for name in differences}
    met = all(entry["interval"][0] > 0 for entry in differences.values())
    goal = "final utility above the best static allocation and the state-aware heuristic, intervals apart"
    return Result(figure, goal, met, figure["anchors"], ratio)
