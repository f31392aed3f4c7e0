"""How faithful a trained twin is on episodes it has never seen: errors and calibration of its roll-outs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gentwin.metrics import (
    Cases,
    Forecaster,
    GradientBoosting,
    NearestNeighbours,
    Persistence,
    TwinForecaster,
    pit,
    rollout,
    rollout_cases,
    rollout_errors,
)
from gentwin.models.modeling_dynamics import DynamicsTwin
from gentwin.training.arguments import EvaluationArguments
from gentwin.training.data import Splits, has_users

TWIN = "twin"
COVERAGE_LEVEL = 0.9
# Draws of a baseline per start: the fair score needs at least two, and neighbours are slow to find.
BASELINE_SAMPLES = 20


@dataclass(frozen=True)
class Evaluation:
    """Scores of a twin and of baselines on the same roll-outs.

    Args:
        rows: One per forecaster, target, slice and step: `forecaster`, `target`, `slice`, `unit`, `step`, `mae` (of
            the median), `crps`, `coverage` (of the central 90 %). Errors of `log1p` fields are on that scale.
        levels: For each step reported, the probability integral transform `(K, N, O)` of what happened;
            NaN for slices without users.
        seconds: Time taken by each forecaster.
    """

    rows: list[dict[str, Any]]
    levels: dict[int, np.ndarray] = field(repr=False)
    seconds: dict[str, float]

    def metrics(self) -> dict[str, float]:
        """Returns every score as `<forecaster>/<target>/<slice>/<score>_<step>`."""
        return {
            f"{row['forecaster']}/{row['target']}/{row['slice']}/{score}_{row['step']}": row[score]
            for row in self.rows
            for score in ("mae", "crps", "coverage")
            if score != "coverage" or row["forecaster"] == TWIN
        }

    def figures(self) -> dict[str, float]:
        """Returns headline numbers: for each step, the skill against each baseline and the coverage.

        The skill is 1 less the ratio of the twin's score (CRPS) to the baseline's, averaged over targets and slices: 1
        is perfect, 0 as good as the baseline.
        """
        scores = self._table("crps")
        figures = {}
        for name in scores:
            for step in self.levels if name != TWIN else ():
                ratios = [scores[TWIN][key] / crps for key, crps in scores[name].items() if key[2] == step and crps > 0]
                figures[f"crps_skill_{name}_{step}"] = round(1.0 - float(np.mean(ratios)), 4)
        for step in self.levels:
            covered = [row["coverage"] for row in self.rows if (row["forecaster"], row["step"]) == (TWIN, step)]
            figures[f"coverage_90_{step}"] = round(float(np.mean(covered)), 4)
        return figures

    def _table(self, score: str) -> dict[str, dict[tuple[str, str, int], float]]:
        table: dict[str, dict[tuple[str, str, int], float]] = {}
        for row in self.rows:
            table.setdefault(row["forecaster"], {})[row["target"], row["slice"], row["step"]] = row[score]
        return table


def evaluate_twin(twin: DynamicsTwin, splits: Splits, arguments: EvaluationArguments) -> Evaluation:
    """Rolls the twin and the baselines out along the test episodes, under the recorded actions.

    Each roll-out starts at a random step, after `burn_in_steps` true steps; from there on the forecaster sees its own
    predictions only. Persistence is always scored; nearest neighbours and gradient boosting, fitted on the training
    episodes, with `evaluation_baselines`.

    Args:
        twin: A trained twin; it computes where it is.
        splits: The record.
        arguments: Starts, draws and steps.

    Returns:
        The scores.
    """
    twin.eval()
    horizon = max(arguments.horizons)
    seed = arguments.evaluation_seed
    cases = rollout_cases(splits.test, arguments.rollout_starts, horizon, seed, arguments.burn_in_steps)
    forecasters: dict[str, tuple[Forecaster, int]] = {
        TWIN: (TwinForecaster(twin), arguments.rollout_samples),
        "persistence": (Persistence().fit(splits.train), 2),
    }
    if arguments.evaluation_baselines:
        neighbours, boosting = NearestNeighbours(50), GradientBoosting(residuals=True)
        forecasters["neighbours"] = (neighbours.fit(splits.train), BASELINE_SAMPLES)
        forecasters["boosting"] = (boosting.fit(splits.train), BASELINE_SAMPLES)
    rows, levels, seconds = [], {}, {}
    for name, (forecaster, num_samples) in forecasters.items():
        begin = time.perf_counter()
        rng = np.random.default_rng(seed)
        samples = rollout(forecaster, cases, num_samples, rng)
        rows += _score(name, samples, cases, splits, arguments.horizons, rng)
        if name == TWIN:
            levels = _levels(samples, cases, splits, arguments.horizons, rng)
        seconds[name] = round(time.perf_counter() - begin, 2)
    return Evaluation(rows, levels, seconds)


def _levels(
    samples: np.ndarray, cases: Cases, splits: Splits, steps: list[int], rng: np.random.Generator
) -> dict[int, np.ndarray]:
    keep = has_users(splits.schema, cases.contexts[:, 0])[..., None]
    levels = {step: pit(samples[:, :, step - 1], cases.observed[:, step - 1], rng) for step in steps}
    return {step: np.where(keep, level, np.nan) for step, level in levels.items()}


def _score(
    name: str, samples: np.ndarray, cases: Cases, splits: Splits, steps: list[int], rng: np.random.Generator
) -> list[dict[str, Any]]:
    rows = []
    for index, slice_name in enumerate(splits.schema.slices):
        part = slice(index, index + 1)
        keep = has_users(splits.schema, cases.contexts[:, 0])[:, index]
        if not keep.any():
            continue
        drawn, seen = samples[:, keep, :, part], cases.observed[keep, :, part]
        scores = rollout_errors(drawn, seen, splits.schema.targets, rng, steps, level=COVERAGE_LEVEL)
        rows += [{"forecaster": name, "slice": slice_name, **score} for score in scores]
    return rows
