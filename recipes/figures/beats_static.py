"""The final policy of the twin-enhanced agent on `dynamic`, beside static and state-aware policies."""

from __future__ import annotations

import numpy as np

from gentwin.metrics import bootstrap_interval, interquartile_mean
from recipes.comparison.arms import anchors, curves
from recipes.comparison.settings import DYNAMIC
from recipes.figures.result import Result


def measure(full: bool, seed: int) -> Result:
    """Measures over 3 seeds, 10 if `full`; shares its runs with `sample-efficiency`."""
    seeds = list(range(seed, seed + (10 if full else 3)))
    finals = np.array([curve["utility"][-1] for curve in curves(DYNAMIC, "with_twin", seeds)])
    lines = anchors(DYNAMIC, seeds)[0]
    low, high = bootstrap_interval(finals, 0)
    figure = {
        "final": float(interquartile_mean(finals)),
        "interval": [float(low), float(high)],
        "finals": finals.tolist(),
    }
    rivals = {name: lines[name] for name in ("best static", "proportional heuristic")}
    gain = {
        name: (figure["final"] - lines["equal split"]) / (value - lines["equal split"])
        for name, value in rivals.items()
    }
    goal = "final utility above the best static allocation and the state-aware heuristic, intervals apart"
    return Result(figure, goal, bool(low > max(rivals.values())), lines, gain)
