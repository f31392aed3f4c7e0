"""How well a policy twin of 1,000 recorded decisions does what the greedy policy does, and how a network then fares.

The record is ten stretches of decisions in a row, two of them for calibration. The twin is that of
`recipes/policy.yaml`, enriched by dominance. Gaps are in percent of the policy's revenue, and in percentage points of
utilisation (largest over resources) and admission (largest over slices); both policies meet the same requests.
Baselines: the same twin without augmentation, the joint layout of the article without it, and the most frequent action
allowed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from recipes.comparison.policy_twins import (
    DOMINANCE,
    EPISODES,
    FULL,
    PARAMETERS,
    QUICK,
    REAL,
    Judge,
    quiet,
    record_decisions,
    train_twin,
)
from recipes.comparison.statistics import summary
from recipes.figures.result import Result

NUM_RECORDS = 1000
ACCURACY, GAP = 98.0, 1.0
REAL_ONLY, JOINT, MAJORITY = "real only", "joint", "majority"
TWINS = {"twin": (DOMINANCE, "shared"), REAL_ONLY: (REAL, "shared"), JOINT: (REAL, "joint")}


def summarised(rows: list[dict[str, float]]) -> dict[str, Any]:
    """Returns the summary over seeds of every score; of a single seed its value."""
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return {name: summary(values) if len(rows) > 1 else values[0] for name, values in columns.items()}


def measure(full: bool, seed: int) -> Result:
    """Measures one seed, or five with `full`."""
    quiet()
    budget, seeds = (FULL, 5) if full else (QUICK, 1)
    judge = Judge(budget, seed)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in (*TWINS, MAJORITY)}
    for number in range(seed, seed + seeds):
        record = record_decisions(EPISODES, NUM_RECORDS // EPISODES, number, PARAMETERS)
        for name, (arm, layout) in TWINS.items():
            found[name].append(judge(train_twin(record, arm, budget, number, layout)[0]))
        found[MAJORITY].append(judge.majority(record))
    means = {
        twin: {name: float(np.mean([row[name] for row in rows])) for name in rows[0]} for twin, rows in found.items()
    }
    twin = means["twin"]
    met = twin["macro_accuracy"] >= ACCURACY and max(twin["revenue_gap"], twin["utilisation_gap"]) <= GAP
    goal = f"{NUM_RECORDS} records: macro accuracy >= {ACCURACY:g} %, revenue and utilisation within {GAP:g} %"
    figure = {
        "twin": summarised(found["twin"]),
        "decisions_of_the_test": len(judge.test),
        "greedy_revenue_per_s": judge.greedy.revenue_per_s,
        "greedy_standard_error": judge.greedy.standard_error,
    }
    baseline = {name: summarised(found[name]) for name in found if name != "twin"}
    errors = [max(100 - means[name]["macro_accuracy"], 1e-3) for name in (JOINT, "twin")]
    return Result(figure, goal, met, baseline, errors[0] / errors[1])
