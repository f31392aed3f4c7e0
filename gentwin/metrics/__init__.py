"""Scores of twins: distributions, roll-outs, rankings of policies, answers of a core, and the baselines to beat."""

from gentwin.metrics.baselines import GradientBoosting, NearestNeighbours, Persistence
from gentwin.metrics.decisions import copy_rate, expected_calibration_error, macro_accuracy
from gentwin.metrics.distributions import coverage, crps_from_samples, energy_distance, interval_coverage, pit
from gentwin.metrics.ranking import bootstrap_interval, interquartile_mean, spearman, top1_regret
from gentwin.metrics.rollouts import (
    Cases,
    Forecaster,
    History,
    TwinForecaster,
    rollout,
    rollout_cases,
    rollout_errors,
)
from gentwin.metrics.sequences import (
    AnswerScores,
    Overlap,
    Share,
    elements,
    kind_of,
    paired,
    ratio_interval,
    wilson_interval,
)

__all__ = [
    "AnswerScores",
    "Cases",
    "Forecaster",
    "GradientBoosting",
    "History",
    "NearestNeighbours",
    "Overlap",
    "Persistence",
    "Share",
    "TwinForecaster",
    "bootstrap_interval",
    "copy_rate",
    "coverage",
    "crps_from_samples",
    "elements",
    "energy_distance",
    "expected_calibration_error",
    "interquartile_mean",
    "interval_coverage",
    "kind_of",
    "macro_accuracy",
    "paired",
    "pit",
    "ratio_interval",
    "rollout",
    "rollout_cases",
    "rollout_errors",
    "spearman",
    "top1_regret",
    "wilson_interval",
]
