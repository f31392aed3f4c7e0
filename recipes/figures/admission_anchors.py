"""What policies without learning earn in admission control, over the load; on the small network beside the optimum.

All policies of a load meet the same requests. The reserve of `trunk reservation` is searched under other keys.
Revenue is per second and less the penalties; gains are over the greedy policy, with standard errors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gentwin.networks.admission import AdmissionParameters, admission_parameters
from gentwin.networks.admission.optimum import MarkovModel, OptimalPolicy
from gentwin.networks.admission.performance import Performance, best_reservation, fluid_bound, simulate
from gentwin.networks.admission.policies import (
    Policy,
    RandomPolicy,
    fifo_greedy,
    revenue_greedy,
    trunk_reservation,
)
from gentwin.training.plots import COLORS, INK, new_figure, save_figure
from recipes.comparison.cache import CACHE
from recipes.comparison.plots import from_root
from recipes.figures.result import Result

LOADS = (0.7, 1.0, 1.5, 1.75, 2.0, 3.0)
LIGHT, BUSY = 0.7, 1.75  # loads of these presets
GREEDY, BY_REVENUE, TRUNK, OPTIMUM, RANDOM = (
    "greedy", "greedy by revenue", "trunk reservation", "optimum", "random"
)  # fmt: skip
SETTLE_S = 100.0


def row(found: Performance, greedy: Performance) -> dict[str, Any]:
    """Returns what is printed of a policy."""
    gain, error = found.gain_over(greedy)
    return {
        "revenue_per_s": found.revenue_per_s,
        "standard_error": found.standard_error,
        "gain_percent": 100 * gain / greedy.revenue_per_s,
        "gain_standard_error": 100 * error / greedy.revenue_per_s,
        "utilisation": found.utilisation,
        "admission": found.admission,
    }


def anchors(parameters: AdmissionParameters, num_copies: int, duration_s: float, seed: int) -> dict[str, Any]:
    """Returns the table of one network: policy by policy, the reserve found, and the bound."""
    rng = np.random.default_rng(seed)
    keys, search_keys = (rng.integers(2**64, size=size, dtype=np.uint64) for size in (num_copies, num_copies // 2))
    reserve = best_reservation(parameters, search_keys, duration_s)
    policies: dict[str, Policy] = {
        GREEDY: fifo_greedy(parameters),
        RANDOM: RandomPolicy(parameters, rng),
        BY_REVENUE: revenue_greedy(parameters),
        TRUNK: trunk_reservation(parameters, reserve),
    }
    table: dict[str, Any] = {"offered_load": parameters.offered_load, "fluid_bound_per_s": fluid_bound(parameters)}
    if parameters.preset == "small":
        model = MarkovModel(parameters)
        solution = model.solve()
        policies[OPTIMUM] = OptimalPolicy(model, solution)
        exact = {name: model.solve(policies[name]).revenue_per_s for name in (BY_REVENUE, TRUNK)}
        table["exact_revenue_per_s"] = exact | {OPTIMUM: solution.revenue_per_s}
    found = {name: simulate(policy, parameters, keys, duration_s, SETTLE_S) for name, policy in policies.items()}
    return table | {"reserve": reserve, "policies": {name: row(run, found[GREEDY]) for name, run in found.items()}}


def draw(tables: dict[float, dict[str, Any]]) -> Path:
    """Draws revenue, utilisation and admission over the load."""
    figure, axes = new_figure(1, 3, (4.0, 3.2))
    loads = list(tables)
    for color, name in zip(COLORS, (GREEDY, BY_REVENUE, TRUNK), strict=False):
        rows = [tables[load]["policies"][name] for load in loads]
        for axis, values in zip(
            axes[0],
            ([entry["revenue_per_s"] for entry in rows],
             [np.mean(entry["utilisation"]) for entry in rows],
             [entry["admission"][0] for entry in rows]),
            strict=True,
        ):  # fmt: skip
            axis.plot(loads, values, "o-", color=color, markersize=3, linewidth=1.4, label=name)
    bounds = [tables[load]["fluid_bound_per_s"] for load in loads]
    axes[0, 0].plot(loads, bounds, "--", color=INK, linewidth=1, label="fluid bound")
    labels = ("revenue less penalties per second", "mean utilisation", "admission of immersive communication")
    for axis, label in zip(axes[0], labels, strict=True):
        axis.set_xlabel("offered load")
        axis.set_ylabel(label)
    axes[0, 0].legend(frameon=False, fontsize=8)
    return save_figure(figure, CACHE.parent / "figures" / "admission_anchors.png")


def measure(full: bool, seed: int) -> Result:
    """Measures the loads and the small network; `full` on four times as many copies, twice as long."""
    num_copies, duration_s = (1024, 400.0) if full else (256, 200.0)
    tables = {load: anchors(admission_parameters(load=load), num_copies, duration_s, seed) for load in LOADS}
    small = anchors(admission_parameters("small"), num_copies, duration_s, seed)
    busy, light = (tables[load]["policies"] for load in (BUSY, LIGHT))
    simulated, optimum = small["policies"][OPTIMUM], small["exact_revenue_per_s"][OPTIMUM]
    best = max(busy[BY_REVENUE]["gain_percent"], busy[TRUNK]["gain_percent"])
    met = (
        best > 3
        and abs(light[BY_REVENUE]["gain_percent"]) < 1
        and 0.9 <= np.mean(busy[BY_REVENUE]["utilisation"]) <= 0.97
        and abs(simulated["revenue_per_s"] - optimum) <= 3 * simulated["standard_error"]
    )
    goal = (
        "light: gain over greedy < 1 %; busy: > 3 % at 90-97 % utilisation; small: simulated optimum is the exact one"
    )
    figure = {f"load {load:g}": table for load, table in tables.items()} | {"small": small}
    figure["picture"] = from_root(draw(tables))
    return Result(figure, goal, met, {"greedy_revenue_per_s_in_busy": busy[GREEDY]["revenue_per_s"]}, 1 + best / 100)
