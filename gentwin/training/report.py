"""What a finished run leaves in its folder: metrics, plots, arguments, and a table on the screen."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml
from rich.console import Console
from rich.table import Table

from gentwin.models.modeling_dynamics import DynamicsTwin
from gentwin.training.arguments import EvaluationArguments
from gentwin.training.data import Splits
from gentwin.training.evaluation import TWIN, Evaluation
from gentwin.training.plots import plot_calibration, plot_rollouts, plot_training
from gentwin.training.response import has_surface, plot_curves, plot_surface, utility_surface

ARGUMENTS_NAME = "training_arguments.yaml"
METRICS_NAME = "metrics.json"
RESUME = "--resume_from_checkpoint"
TRAIN_TWIN = "recipes/train_twin.py"


def refuse(message: str, code: int = 2) -> NoReturn:
    """Ends a recipe: one message on stderr, and an exit code.

    Args:
        message: What cannot be done.
        code: 2 for bad input, as of the command line.

    Raises:
        SystemExit: With message and code.
    """
    print(message, file=sys.stderr)
    end = SystemExit(message)
    end.code = code  # a text in its place would be exit code 1
    raise end from None


def portable_path(path: str | os.PathLike) -> str:
    """Returns a path as it was given, or relative to the current directory if it was absolute and is below that."""
    path = Path(path)
    return (path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path).as_posix()


# How an interrupted run is gone on with is no part of what it computes.
_LAUNCH_ONLY = ("resume_from_checkpoint", "overwrite_output_dir")
PATHS = (
    *("data_path", "output_dir", "start_from", "guard_twin"),
    *("captures", "subscribers", "examples_cache", "init_from"),
)


def write_arguments(folder: str | Path, given: Mapping[str, Any], script: str = TRAIN_TWIN) -> None:
    """Writes the arguments of a run as YAML that `--config` takes.

    Args:
        folder: Output folder.
        given: From `given_arguments`.
        script: The recipe.
    """
    values = {name: value for name, value in given.items() if name not in _LAUNCH_ONLY}
    for name in PATHS:
        if name in values:
            values[name] = portable_path(values[name])
    if "sibling_runs" in values:
        values["sibling_runs"] = [portable_path(run) for run in values["sibling_runs"]]
    text = f"# Reproduces this run: accelerate launch {script} --config <this file>\n"
    text += yaml.safe_dump(values, sort_keys=False)
    (Path(folder) / ARGUMENTS_NAME).write_text(text, encoding="utf-8")


def portable_command(argv: Sequence[str], script: str = TRAIN_TWIN) -> str:
    """Returns the line that gives the run of a recipe with `argv` from its beginning; paths become relative."""
    words, rest = [], iter(argv)
    for word in rest:
        if word.partition("=")[0] == RESUME:
            next(rest if word == RESUME else iter(()), None)
            continue
        name, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        words.append(name + equals + (portable_path(value) if os.path.isabs(value) else value))
    return shlex.join(["accelerate", "launch", script, *words])


def write_plots(
    folder: str | Path,
    twin: DynamicsTwin,
    splits: Splits,
    evaluation: Evaluation,
    arguments: EvaluationArguments,
    history: Sequence[dict[str, float]],
) -> dict[str, str]:
    """Draws all plots into `plots/` of the output folder.

    Args:
        folder: Output folder.
        twin: The trained twin.
        splits: The record.
        evaluation: Its scores.
        arguments: Fields, horizon and seed.
        history: `trainer.state.log_history`.

    Returns:
        Captions by path relative to the folder.
    """
    plots = Path(folder) / "plots"
    plot_rollouts(twin, splits, arguments, plots / "rollouts.png")
    plot_calibration(evaluation.levels, splits.schema, plots / "calibration.png")
    plot_training(history, plots / "training.png")
    captions = {
        "plots/rollouts.png": "Roll-outs over a test episode: median, central 50 % and 90 %, and what happened."
    }
    captions["plots/calibration.png"] = "Share of truths below each predicted quantile; calibrated on the diagonal."
    if has_surface(splits.schema):
        plot_surface(utility_surface(twin), splits.schema, plots / "response.png")
        captions["plots/response.png"] = "Mean utility of every fixed allocation: network, twin, difference."
    else:
        plot_curves(twin, splits, arguments, plots / "response.png")
        captions["plots/response.png"] = "What the twin expects if one slice's action changes, and means of the record."
    captions["plots/training.png"] = "Loss on training and validation sequences."
    return captions


def write_metrics(
    folder: str | Path, figures: Mapping[str, float], metrics: Mapping[str, Any], run: Mapping[str, Any]
) -> None:
    """Writes `metrics.json`: `figures` (headlines), `metrics` (every score) and `run` (time, data, versions).

    Runs of equal arguments on one machine have equal `figures` and `metrics`. The file appears in one step, and a
    folder that has it holds a finished run.

    Args:
        folder: Output folder.
        figures: Headline numbers.
        metrics: All scores.
        run: Facts about the run.
    """
    path = Path(folder) / METRICS_NAME
    content = {"figures": dict(figures), "metrics": dict(metrics), "run": dict(run)}
    partial = path.with_name(f"{METRICS_NAME}.partial")
    partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    os.replace(partial, path)


def score_table(evaluation: Evaluation, digits: int = 3) -> list[list[str]]:
    """Returns CRPS averaged over slices as text, header first, one row per target.

    A cell holds the scores of all forecasters at a step, the twin first; the last column is the twin's coverage.
    """
    steps = list(evaluation.levels)
    names = list(dict.fromkeys(row["forecaster"] for row in evaluation.rows))
    table = [["target", *(f"{step} step{'s' * (step > 1)} ahead" for step in steps), "90 % covers"]]
    for target, unit in {row["target"]: row["unit"] for row in evaluation.rows}.items():
        cells = [
            " / ".join(f"{_mean(evaluation, name, target, step, 'crps'):.{digits}g}" for name in names)
            for step in steps
        ]
        covered = " ".join(f"{100 * _mean(evaluation, TWIN, target, step, 'coverage'):.0f}" for step in steps)
        scale = "log" if unit.startswith("log1p") else unit
        label = target if scale == "1" else f"{target} ({scale})"
        table.append([label, *cells, covered])
    return table


def forecasters(evaluation: Evaluation) -> str:
    """Returns the names of the forecasters in the order of the cells of `score_table`."""
    return " / ".join(dict.fromkeys(row["forecaster"] for row in evaluation.rows))


def _mean(evaluation: Evaluation, forecaster: str, target: str, step: int, score: str) -> float:
    key = (forecaster, target, step)
    found = [row[score] for row in evaluation.rows if (row["forecaster"], row["target"], row["step"]) == key]
    return sum(found) / len(found)


def print_report(
    evaluation: Evaluation, figures: dict[str, float], folder: str | Path, warnings: Sequence[str] = ()
) -> None:
    """Prints the table of scores, the headline numbers, what to be warned of, and where everything is."""
    console = Console()
    rows = score_table(evaluation, digits=2)
    table = Table(title=f"CRPS on test episodes, {forecasters(evaluation)}; lower is better", box=None, padding=(0, 1))
    for number, name in enumerate(rows[0]):
        table.add_column(name, justify="right" if number else "left")
    for row in rows[1:]:
        table.add_row(*row)
    console.print(table)
    console.print("(log): of log(1 + value)\n")
    for name, value in figures.items():
        console.print(f"{name:<28}[bold]{value:.4g}[/]")
    for text in warnings:
        console.print(f"[bold red]warning[/] {text}", highlight=False)
    console.print(f"twin, card, metrics and plots: [bold]{portable_path(folder)}[/]")
