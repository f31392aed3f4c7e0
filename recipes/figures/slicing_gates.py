"""Utilities of the preset `hua2019` against values measured on the unmodified published environment."""

from __future__ import annotations

import numpy as np

from gentwin.envs.slicing_reward import SlicingUtility
from gentwin.networks.slicing import SlicingNetwork, slicing_parameters
from recipes.figures.result import Result

# name: (URLLC packets, weights, MHz per slice or None for equal or "all", published utility, tolerance)
GATES = {
    "small, equal split": ("small", (1, 1, 1), (10 / 3,) * 3, 5.26, 0.02),
    "small, 1-8-1": ("small", (1, 1, 1), (1, 8, 1), 7.38, 0.03),
    "large, equal split": ("large", (1, 1, 1), (10 / 3,) * 3, 4.98, 0.03),
    "large, 1-8-1": ("large", (1, 1, 1), (1, 8, 1), 6.52, 0.03),
    "large, weights 1-4-6, 1-4-5": ("large", (1, 4, 6), (1, 4, 5), 13.15, 0.04),
    "small, all actions": ("small", (1, 1, 1), None, 4.89, 0.05),
    "large, all actions": ("large", (1, 1, 1), None, 4.53, 0.05),
}


def mean_utilities(
    packets: str, weights: tuple, megahertz: tuple | None, placements: int, steps: int, seed: int
) -> np.ndarray:
    """Returns the mean utility of every placement; without an allocation the whole grid is run in turn."""
    network = SlicingNetwork(slicing_parameters("hua2019", urllc_packets=packets), placements)
    network.reset(np.random.default_rng(seed).integers(2**64, size=placements, dtype=np.uint64))
    utility = SlicingUtility(weights, network.parameters.spectral_efficiency_weight)
    grid = network.allocations if megahertz is None else 1e6 * np.asarray([megahertz])
    total = np.zeros(placements)
    for step in range(steps):
        network.step(np.tile(grid[step % len(grid)], (placements, 1)))
        total += utility(network.values("ssr"), network.values("slice_spectral_efficiency").sum(axis=1))
    return total / steps


def measure(full: bool, seed: int) -> Result:
    """Measures all gates over 200 steps (216 for the whole grid) and 400 placements, 1000 if `full`."""
    placements = 1000 if full else 400
    figure, met = {}, True
    for name, (packets, weights, megahertz, published, tolerance) in GATES.items():
        steps = 216 if megahertz is None else 200
        utilities = mean_utilities(packets, weights, megahertz, placements, steps, seed)
        figure[name] = {"utility": utilities.mean(), "standard_error": utilities.std(ddof=1) / np.sqrt(placements)}
        met &= abs(utilities.mean() - published) <= tolerance
    baseline = {name: gate[3] for name, gate in GATES.items()}
    goal = "; ".join(f"{name}: {gate[3]} ± {gate[4]}" for name, gate in GATES.items())
    return Result(figure, goal, met, baseline, {name: figure[name]["utility"] / baseline[name] for name in GATES})
