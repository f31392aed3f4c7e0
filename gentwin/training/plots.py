"""Pictures of a trained twin: roll-outs over the record, calibration, and the course of training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, MaxNLocator

from gentwin.metrics import TwinForecaster, rollout, rollout_cases
from gentwin.models.modeling_dynamics import DynamicsTwin
from gentwin.schema import Field, TransitionSchema
from gentwin.training.arguments import EvaluationArguments
from gentwin.training.data import Splits

# Okabe & Ito's palette, which readers with any colour vision can tell apart.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
INK, FAINT = "#222222", "#999999"
FAN_SAMPLES = 200
DPI = 150


def slice_colors(schema: TransitionSchema) -> dict[str, str]:
    """Returns the colour of each slice, the same in all plots."""
    return {name: COLORS[index % len(COLORS)] for index, name in enumerate(schema.slices)}


def new_figure(rows: int, columns: int, size: tuple[float, float], **grid: Any) -> tuple[Figure, np.ndarray]:
    """Returns a figure without global state and its axes `(rows, columns)`, `size` inches each."""
    figure = Figure(figsize=(columns * size[0], rows * size[1] + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, **grid)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8, color=FAINT)
    return figure, axes


def save_figure(figure: Figure, path: Path) -> Path:
    """Writes a PNG without the date, so equal figures are equal files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI, metadata={"Software": None})
    return path


def field_label(field: Field) -> str:
    """Returns the axis label of a field: its name and unit."""
    return field.name.replace("_", " ") + ("" if field.unit == "1" else f" ({field.unit})")


def chosen_fields(schema: TransitionSchema, names: Sequence[str] | None) -> list[Field]:
    """Returns the targets called `names`, or the first two state and the first two varied outcome fields."""
    if names:
        return [schema.field(name) for name in names]
    outcome = sorted(schema.outcome, key=lambda field: field.atoms != (field.low, field.high))
    return [*schema.state[:2], *outcome[:2]] if outcome else list(schema.state[:4])


def scale_axis(axis: Axes, field: Field, values: np.ndarray) -> None:
    """Gives an axis the scale on which its field is modelled, if the values span decades."""
    if field.scale == "log1p" and np.quantile(values, 0.98) > 30 * (1 + np.quantile(values, 0.1)):
        axis.set_yscale("symlog", linthresh=1.0)
        axis.set_ylim(bottom=0)
    elif field.low == 0 and math.isfinite(field.high) and field.high <= 1:
        axis.set_ylim(-0.03, 1.03)


def plot_rollouts(twin: DynamicsTwin, splits: Splits, arguments: EvaluationArguments, path: Path) -> Path:
    """Draws the futures a twin gives one moment of a test episode over what then happened.

    One row per field, one column per slice: the true past that the twin saw, the median and the central 50 % and 90 %
    of its roll-outs under the recorded actions, and the recorded truth.

    Args:
        twin: A trained twin.
        splits: The record.
        arguments: Fields, horizon, burn-in and seed.
        path: PNG file to write.
    """
    schema = splits.schema
    fields, horizon, burn_in = (
        chosen_fields(schema, arguments.plot_fields),
        max(arguments.horizons),
        arguments.burn_in_steps,
    )
    seed = arguments.evaluation_seed
    cases = rollout_cases(splits.test, 1, horizon, seed, burn_in)
    samples = rollout(TwinForecaster(twin), cases, FAN_SAMPLES, np.random.default_rng(seed))[:, 0]
    first = cases.index[0]
    past = splits.test.targets[first - burn_in : first]
    times = np.arange(1 - burn_in, horizon + 1) * schema.step_ms / 1000
    figure, axes = new_figure(len(fields), len(schema.slices), (3.6, 2.1), sharex=True, sharey="row")
    for row, field in enumerate(fields):
        target = [declared.name for declared in schema.targets].index(field.name)
        for column, (name, color) in enumerate(slice_colors(schema).items()):
            truth = np.concatenate([past, cases.observed[0]])[:, column, target]
            _draw_fan(axes[row, column], times, truth, samples[:, :, column, target], color)
            if row == 0:
                axes[row, column].set_title(name, fontsize=10, color=color, fontweight="bold")
            if row == len(fields) - 1:
                axes[row, column].set_xlabel("time from the start of the roll-out (s)", fontsize=8)
        shown = np.concatenate([cases.observed[0][:, :, target].ravel(), samples[:, :, :, target].ravel()])
        scale_axis(axes[row, 0], field, shown)
        axes[row, 0].set_ylabel(field_label(field), fontsize=8)
    axes[0, -1].legend(fontsize=7, frameon=False, loc="best")
    what = f"Roll-outs of the twin over a test episode of {schema.name or 'the record'}"
    figure.suptitle(f"{what}: {horizon} steps under the recorded actions", fontsize=10)
    return save_figure(figure, path)


def _draw_fan(axis: Axes, times: np.ndarray, truth: np.ndarray, samples: np.ndarray, color: str) -> None:
    ahead = times[len(times) - samples.shape[1] :]
    low, lower, median, upper, high = np.quantile(samples, (0.05, 0.25, 0.5, 0.75, 0.95), axis=0)
    axis.fill_between(ahead, low, high, color=color, alpha=0.18, linewidth=0, label="twin, 5-95 %")
    axis.fill_between(ahead, lower, upper, color=color, alpha=0.35, linewidth=0, label="twin, 25-75 %")
    axis.plot(ahead, median, color=color, linewidth=1.4, label="twin, median")
    axis.plot(times, truth, color=INK, linewidth=0.9, label="network")
    axis.axvline(0, color=FAINT, linewidth=0.8, linestyle=":")


def plot_calibration(levels: dict[int, np.ndarray], schema: TransitionSchema, path: Path) -> Path:
    """Draws how often the truth fell below each quantile the twin predicted, per target and step of the roll-out.

    A calibrated twin follows the diagonal; the grey band is where 95 % of calibrated twins would lie.

    Args:
        levels: For each step, probability integral transforms `(K, N, O)` from `evaluate_twin`.
        schema: Names of the targets.
        path: PNG file to write.
    """
    columns = min(4, len(schema.targets))
    rows = -(-len(schema.targets) // columns)
    figure, axes = new_figure(rows, columns, (2.4, 2.3), sharex=True, sharey=True)
    grid = np.linspace(0, 1, 101)
    for index, axis in enumerate(axes.flat):
        if index >= len(schema.targets):
            axis.set_visible(False)
            continue
        parts = {step: level[:, :, index][~np.isnan(level[:, :, index])] for step, level in levels.items()}
        count = next(iter(parts.values())).size
        spread = 1.96 * np.sqrt(grid * (1 - grid) / count)
        axis.fill_between(grid, grid - spread, grid + spread, color=FAINT, alpha=0.35, linewidth=0)
        axis.plot((0, 1), (0, 1), color=FAINT, linewidth=0.8)
        for number, (step, level) in enumerate(parts.items()):
            below = np.searchsorted(np.sort(level), grid) / count
            label = f"{step} step" + ("s" if step > 1 else "") + " ahead"
            axis.plot(grid, below, color=COLORS[number % len(COLORS)], linewidth=1.2, label=label)
        axis.set_title(schema.targets[index].name.replace("_", " "), fontsize=9)
        axis.set_aspect("equal")
    for axis in axes[:, 0]:
        axis.set_ylabel("share of truths below", fontsize=8)
    for index, axis in enumerate(axes.flat):
        if index < len(schema.targets) and index + columns >= len(schema.targets):
            axis.set_xlabel("predicted quantile", fontsize=8)
            axis.tick_params(labelbottom=True)
    axes[0, 0].legend(fontsize=7, frameon=False, loc="upper left")
    figure.suptitle("Calibration on test episodes, all slices together", fontsize=10)
    return save_figure(figure, path)


def plot_training(
    history: Sequence[dict[str, float]], path: Path, unit: str = "standardised CRPS + nats per target"
) -> Path:
    """Draws training and validation loss over the optimiser's steps.

    Args:
        history: `trainer.state.log_history`.
        path: PNG file to write.
        unit: Of the loss.
    """
    figure, axes = new_figure(1, 1, (6.0, 3.2))
    axis = axes[0, 0]
    for key, label, style in (
        ("loss", "training", {"alpha": 0.8}),
        ("eval_loss", "validation", {"marker": "o", "ms": 3}),
    ):
        points = [(entry["step"], entry[key]) for entry in history if key in entry]
        if points:
            axis.plot(*zip(*points, strict=True), label=label, linewidth=1.2, color=COLORS[key != "loss"], **style)
    axis.set_xlabel("optimiser steps", fontsize=9)
    axis.set_ylabel(f"loss ({unit})", fontsize=9)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_yscale("log")
    for formatter in (axis.yaxis.set_major_formatter, axis.yaxis.set_minor_formatter):
        formatter(FormatStrFormatter("%.3g"))
    axis.tick_params(which="minor", labelsize=7)
    axis.legend(fontsize=8, frameon=False)
    figure.suptitle("Training", fontsize=10)
    return save_figure(figure, path)
