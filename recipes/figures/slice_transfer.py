"""What a twin of general traffic is worth where there are few data of one type of slice.

For policy, slice and message twins, and each of four types of slice, a twin learns few data of the type: from the
general twin by all weights, above frozen layers or by adapters (LoRA), and from scratch, each by the same call,
`gentwin.training.adapt`, with as many steps. Scores are in percent of test data of the type, higher is better; `before`
is that of the general twin as it is. Intervals are over seeds, of differences seed by seed;
what is compared with training from scratch is the adaptation that is best on the other types.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from gentwin.training.plots import COLORS, INK, new_figure, save_figure
from recipes.comparison.cache import CACHE
from recipes.comparison.plots import from_root
from recipes.comparison.policy_twins import quiet
from recipes.comparison.slice_types import FAMILIES, FREEZE, FULL, LORA, SCRATCH, TYPES, Family, Messages
from recipes.comparison.statistics import is_ahead, paired, summary
from recipes.figures.result import Result

GOAL = "few data of every type: adaptation ahead of from scratch in every family, t-intervals of 95 % apart from 0"
ADAPTED = (FULL, FREEZE, LORA)
QUICK_METHODS = (FULL, FREEZE, SCRATCH)  # what needs nothing but gentwin
SEEDS, SEEDS_OF_CURVE, QUICK_SEEDS = 5, 2, {"policy": 2, "slice": 2, "message": 1}

Curves = dict[str, dict[int, list[float]]]
"""Scores by method and number of data, seed by seed."""


def measure_type(family: Family, kind: str, seeds: dict[int, range], methods: tuple[str, ...]) -> Curves:
    """Returns the scores of all methods on one type of slice, at each number of data with its seeds."""
    return {
        method: {count: [family.run(method, kind, count, seed) for seed in own] for count, own in seeds.items()}
        for method in methods
    }


def best_elsewhere(kinds: dict[str, Curves], kind: str, few: int) -> str:
    """Returns the adaptation that is best on the other types at the fewest data; all weights if there is no other."""
    others = [curves for other, curves in kinds.items() if other != kind]
    known = [name for name in ADAPTED if name in kinds[kind]]
    return max(known, key=lambda name: sum(np.mean(curves[name][few]) for curves in others))


def table(curves: Curves, few: int, best: str) -> dict[str, Any]:
    """Returns means and intervals, and what an adaptation at the fewest data has more than from scratch."""
    rows: dict[str, Any] = {
        method: {f"{count}": summary(values) if len(values) > 1 else values[0] for count, values in curve.items()}
        for method, curve in curves.items()
    }
    gain = paired(curves[best][few], curves[SCRATCH][few])
    return rows | {"adapted_by": best, "more_than_scratch": gain}


def draw(found: dict[str, dict[str, Curves]], families: dict[str, Family], before: dict[str, dict[str, float]]) -> Path:
    """Draws a curve of every method for each family and type."""
    figure, axes = new_figure(len(found), len(TYPES), (3.2, 2.4))
    colors = dict(zip((SCRATCH, *ADAPTED), (INK, *COLORS), strict=False))
    for row, (name, kinds) in enumerate(found.items()):
        for column, kind in enumerate(TYPES):
            axis = axes[row, column]
            axis.set_title(f"{name}: {kind}", fontsize=9)
            if kind not in kinds:
                axis.set_axis_off()
                continue
            axis.axhline(before[name][kind], color=INK, linewidth=0.8, linestyle=":", label="before")
            for method, curve in kinds[kind].items():
                means = [np.mean(values) for values in curve.values()]
                style = {"color": colors[method], "markersize": 3, "linewidth": 1.3, "label": method}
                axis.plot(list(curve), means, "o-", **style)
                low, high = zip(*((min(values), max(values)) for values in curve.values()), strict=True)
                axis.fill_between(list(curve), low, high, color=colors[method], alpha=0.08, linewidth=0)
            axis.set_xscale("log")
            axis.set_xlabel(families[name].unit, fontsize=8)
            if column == 0:
                axis.set_ylabel(families[name].score_name, fontsize=8)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, fontsize=8, loc="outside lower center", ncols=len(labels))
    return save_figure(figure, CACHE.parent / "figures" / "slice_transfer.png")


def measure(full: bool, seed: int) -> Result:
    """Measures the fewest data, and of message twins one type of slice; all of them with `full`."""
    quiet()
    torch.set_num_threads(1)
    families = {kind.name: kind(seed) for kind in FAMILIES}
    found: dict[str, dict[str, Curves]] = {}
    before: dict[str, dict[str, float]] = {}
    for name, family in families.items():
        kinds = TYPES if full or not isinstance(family, Messages) else TYPES[1:2]
        methods = (*ADAPTED, SCRATCH) if full else QUICK_METHODS
        seeds = {family.few: range(seed, seed + (SEEDS if full else QUICK_SEEDS[name]))}
        if full:
            curve = range(seed, seed + SEEDS_OF_CURVE)
            seeds = {count: seeds.get(count, curve) for count in family.counts}
        before[name] = {kind: family.score(family.general, kind) for kind in kinds}
        found[name] = {kind: measure_type(family, kind, seeds, methods) for kind in kinds}
    tables = {
        name: {
            kind: {
                "before": before[name][kind],
                **table(curves, families[name].few, best_elsewhere(kinds, kind, families[name].few)),
            }
            for kind, curves in kinds.items()
        }
        for name, kinds in found.items()
    }
    gains = {name: [row["more_than_scratch"]["mean"] for row in kinds.values()] for name, kinds in tables.items()}
    figure = {
        "few": {name: f"{family.few} {family.unit}" for name, family in families.items()},
        **tables,
        "picture": from_root(draw(found, families, before)),
    }
    ahead = [
        is_ahead(kinds[kind][row["adapted_by"]][families[name].few], kinds[kind][SCRATCH][families[name].few])
        for name, kinds in found.items()
        for kind, row in tables[name].items()
    ]
    scratch = {name: {kind: row[SCRATCH] for kind, row in kinds.items()} for name, kinds in tables.items()}
    ratio = {name: float(np.mean(values)) for name, values in gains.items()}
    return Result(figure, GOAL, full and all(ahead), scratch, ratio)
