"""What augmentations of recorded decisions are worth to a policy twin, over the number of records, paired by seeds.

Arms of a seed have the same record, division, initial weights and number of steps; real decisions count in all of them.
`dominance` knows beforehand that the policy goes by scores; the others know nothing of it. An arm is ahead if the
interval of its difference, at a level of 95 % for all arms together, is above 0.
`label_noise` and `copy_rate` are those of 2,000 synthetic decisions, in percent. Gaps are those of closed loop to the
greedy policy, in percent. Differences are to real decisions only; the oracle's labels are an upper bound.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gentwin.training.plots import COLORS, INK, new_figure, save_figure
from recipes.comparison.cache import CACHE
from recipes.comparison.plots import from_root
from recipes.comparison.policy_twins import (
    ARMS,
    BRIEF,
    EPISODES,
    MANY,
    ORACLE,
    PARAMETERS,
    REAL,
    Judge,
    quiet,
    record_decisions,
    train_twin,
)
from recipes.comparison.statistics import is_ahead, paired, summary
from recipes.figures.result import Result

FEW = 100  # records of the goal
SIZES = (50, FEW, 300, 1000, 3000, 10_000)
SEEDS, SEEDS_OF_FEW, QUICK_SEEDS = 5, 10, 2
COMPARED = ("macro_accuracy", "rare_accuracy", "revenue_gap")

Runs = dict[str, list[dict[str, float]]]


def run_arms(size: int, seeds: range, judge: Judge) -> Runs:
    """Returns the scores of every arm on records of a size, seed by seed."""
    found: Runs = {arm: [] for arm in ARMS}
    for seed in seeds:
        record = record_decisions(EPISODES, max(1, size // EPISODES), seed, PARAMETERS)
        for arm, rows in found.items():
            twin, synthetic = train_twin(record, arm, judge.budget, seed)
            rows.append(judge(twin) | {name: 100 * value for name, value in synthetic.items()})
    return found


def table(found: Runs) -> dict[str, dict[str, Any]]:
    """Returns for every arm the mean and interval of each score, and of its differences to real decisions only."""
    rows = {}
    for arm, runs in found.items():
        rows[arm] = {name: summary([run[name] for run in runs]) for name in runs[0]}
        if arm != REAL:
            for name in COMPARED:
                ours, real = ([run[name] for run in part] for part in (runs, found[REAL]))
                rows[arm][f"{name}_more"] = paired(ours, real)
    return rows


def ahead(found: Runs) -> list[str]:
    """Returns the arms, oracle aside, of higher macro accuracy than real decisions only, the best first."""
    scores = {arm: [run["macro_accuracy"] for run in runs] for arm, runs in found.items()}
    others = [arm for arm in ARMS if arm not in (REAL, ORACLE)]
    better = [arm for arm in others if is_ahead(scores[arm], scores[REAL], len(others))]
    return sorted(better, key=lambda arm: -sum(scores[arm]))


def draw(tables: dict[int, dict[str, dict[str, Any]]]) -> Path:
    """Draws accuracies and the gap in revenue over the number of records."""
    figure, axes = new_figure(1, 3, (4.0, 3.2))
    sizes = list(tables)
    labels = ("macro accuracy, %", "accuracy on rare states, %", "gap in revenue, %")
    for axis, name, label in zip(axes[0], COMPARED, labels, strict=True):
        for color, arm in zip((INK, *COLORS), ARMS, strict=False):
            rows = [tables[size][arm][name] for size in sizes]
            low, high = zip(*(row["interval"] for row in rows), strict=True)
            style = "--" if arm == ORACLE else "o-"
            means = [row["mean"] for row in rows]
            axis.plot(sizes, means, style, color=color, markersize=3, linewidth=1.3, label=arm)
            axis.fill_between(sizes, low, high, color=color, alpha=0.08, linewidth=0)
        axis.set_xscale("log")
        axis.set_xlabel("recorded decisions", fontsize=9)
        axis.set_ylabel(label, fontsize=9)
    axes[0, 0].legend(frameon=False, fontsize=7)
    return save_figure(figure, CACHE.parent / "figures" / "policy_augmentation.png")


def measure(full: bool, seed: int) -> Result:
    """Measures one size with two seeds, or six with five and ten and longer trainings with `full`."""
    quiet()
    budget, sizes = (MANY, SIZES) if full else (BRIEF, (FEW,))
    judge = Judge(budget, seed)
    found = {}
    for size in sizes:
        count = QUICK_SEEDS if not full else SEEDS_OF_FEW if size == FEW else SEEDS
        found[size] = run_arms(size, range(seed, seed + count), judge)
    tables = {size: table(runs) for size, runs in found.items()}
    better = {size: ahead(runs) for size, runs in found.items()}
    figure = {
        "ahead_of_real_only": {f"{size} records": names for size, names in better.items()},
        **{f"{size} records": rows for size, rows in tables.items()},
        "picture": from_root(draw(tables)),
    }
    few = tables[FEW]
    best = max((arm for arm in ARMS if arm not in (REAL, ORACLE)), key=lambda arm: few[arm]["macro_accuracy"]["mean"])
    goal = f"{FEW} records: an augmentation is ahead of real decisions only in macro accuracy, interval apart from 0"
    real = few[REAL]["macro_accuracy"]["mean"]
    baseline = {"real_only_macro_accuracy": real, "best_augmentation": best}
    return Result(figure, goal, bool(better[FEW]), baseline, few[best]["macro_accuracy"]["mean"] / real)
