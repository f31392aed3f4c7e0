"""Scores of twins: predicted distributions, roll-outs, rankings of policies, and the baselines to beat."""

from gentwin.metrics.baselines import GradientBoosting, NearestNeighbours, Persistence
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

__all__ = [
    "Cases",
    "Forecaster",
    "GradientBoosting",
    "History",
    "NearestNeighbours",
    "Persistence",
    "TwinForecaster",
    "bootstrap_interval",
    "coverage",
    "crps_from_samples",
    "energy_distance",
    "interquartile_mean",
    "interval_coverage",
    "pit",
    "rollout",
    "rollout_cases",
    "rollout_errors",
    "spearman",
    "top1_regret",
]
