"""Roll-out errors of the shipped twin of `dynamic` on episodes of its own, beside four forecasters."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch

import gentwin
from gentwin.datasets import Transitions, read_transitions
from gentwin.metrics import (
    GradientBoosting,
    NearestNeighbours,
    Persistence,
    TwinForecaster,
    rollout,
    rollout_cases,
    rollout_errors,
)
from recipes.figures.result import Result
from recipes.record_slicing import record

TWIN = "gentwin/slice-lstm-dynamic"
DATA = Path(__file__).parents[2] / "data" / "slicing_dynamic" / "transitions.parquet"
STEPS = (1, 10, 50)
HELD_OUT_SEED = 10_000


def held_out_episodes(num_episodes: int, seed: int) -> Transitions:
    """Records episodes of the network that no twin was trained on."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "transitions.parquet"
        record(path, "dynamic", num_episodes, 150, HELD_OUT_SEED + 1000 * seed)
        return read_transitions(path)


def errors(
    forecaster, held_out: Transitions, num_starts: int, num_samples: int, seed: int
) -> dict[str, dict[int, dict]]:
    """Returns `mae`, `crps` and `coverage` by target and step."""
    cases = rollout_cases(held_out, num_starts, max(STEPS), seed, warmup=20)
    rng = np.random.default_rng(seed)
    samples = rollout(forecaster, cases, num_samples, rng)
    table: dict[str, dict[int, dict]] = {}
    for row in rollout_errors(samples, cases.observed, held_out.schema.targets, rng, STEPS):
        table.setdefault(row["target"], {})[row["step"]] = {key: row[key] for key in ("mae", "crps", "coverage")}
    return table


def measure(full: bool, seed: int) -> Result:
    """Measures the figure; `full` uses three seeds of held-out episodes and more starts and draws."""
    training = read_transitions(DATA)
    twin = gentwin.from_pretrained(TWIN).eval()
    # The median of few draws is itself noisy, which a point forecast is not: hence many draws of the twin.
    num_starts, num_samples = (250, 200) if full else (150, 100)
    baselines = {
        "persistence": Persistence().fit(training),
        "knn-50": NearestNeighbours().fit(training),
        "boosting": GradientBoosting(seed=seed).fit(training),
        "boosting+residuals": GradientBoosting(residuals=True, seed=seed).fit(training),
    }
    tables: dict[str, list] = {"twin": [], **{name: [] for name in baselines}}
    for run in range(3 if full else 1):
        held_out = held_out_episodes(42 if full else 28, seed + run)
        with torch.inference_mode():
            tables["twin"].append(errors(TwinForecaster(twin), held_out, num_starts, num_samples, seed + run))
        for name, baseline in baselines.items():
            draws = 50 if name in ("knn-50", "boosting+residuals") else 2
            tables[name].append(errors(baseline, held_out, num_starts, draws, seed + run))
    figure, baseline, ratio, behind = {}, {}, {}, []
    for target in tables["twin"][0]:
        for step in STEPS:
            for score in ("mae", "crps"):
                key = f"{target} {score} @{step}"
                values = {name: np.mean([t[target][step][score] for t in runs]) for name, runs in tables.items()}
                figure[key] = values.pop("twin")
                baseline[key] = min(values.values())
                ratio[key] = baseline[key] / figure[key] if figure[key] > 0 else 1.0
                if figure[key] >= baseline[key]:
                    behind.append(key)
    covered = [t[target][step]["coverage"] for t in tables["twin"] for target in t for step in STEPS]
    by_step = {
        f"coverage @{step}": np.mean([t[x][step]["coverage"] for t in tables["twin"] for x in t]) for step in STEPS
    }
    outside = {
        f"{target} coverage @{step}": mean
        for target in tables["twin"][0]
        for step in STEPS
        if not 0.87 <= (mean := np.mean([t[target][step]["coverage"] for t in tables["twin"]])) <= 0.93
    }
    summary = {**by_step, "coverage": np.mean(covered), "behind": behind, "coverage outside": outside, "errors": figure}
    goal = "MAE and CRPS at 1, 10, 50 steps below persistence, kNN-50 and boosting on every output; coverage 87-93 %"
    return Result(summary, goal, not behind and not outside, {"best of the baselines": baseline}, ratio)
