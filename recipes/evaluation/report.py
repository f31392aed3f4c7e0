"""Results as a table, as JSON, and as plots."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from gentwin.models.signaling.configuration_signaling import VIEWS
from gentwin.training.plots import COLORS, new_figure, save_figure
from recipes.evaluation.judging import Judged
from recipes.figures.result import rounded

MEASURES = ("accuracy", "precision", "recall")
WIDEST = 1000  # characters
CLOSED_NAMES = ("twin", "flavour", "procedures", "completed %", "violations")
DIGITS = 6  # of a share of elements, which is near 1


def write_results(folder: Path, results: Sequence[Judged], closed: Sequence[dict[str, Any]], asked: dict) -> Path:
    """Writes `evaluation.json`, and `concurrency.png` if UEs were counted; returns the first.

    Args:
        folder: Is made if there is none.
        results: Of every run.
        closed: Of every closed loop.
        asked: What was judged on what.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "evaluation.json"
    values = {**asked, "turn_by_turn": [each.figures() for each in results], "closed_loop": [*closed]}
    path.write_text(json.dumps(rounded(values, DIGITS), indent=2) + "\n", encoding="utf-8")
    if len({each.concurrency for each in results}) > 1:
        draw_concurrency(results, folder / "concurrency.png")
    return path


def print_results(results: Sequence[Judged], closed: Sequence[dict[str, Any]], console: Console | None = None) -> None:
    """Prints the figures of every run, and the most frequent mistakes of the first.

    No figure is cut: a terminal that is too narrow for a table gets one figure in a line, and a file or a pipe as wide
    a table as it takes.

    Args:
        results: Of every run.
        closed: Of every closed loop.
        console: Where to; standard output if not given.
    """
    console = console or Console()
    title = f"Answers after what was really said, with{'' if results[0].hints else 'out'} hints, in %"
    names = ("twin", "view", "UEs", "F1", "exact message", "exact turn", "type", "silence", "refusals", "ms p50, p99")
    rows = []
    for each in results:
        scores = each.scores
        low, high = (_percent(end, 2) for end in each.interval("exact_message"))
        shown = [_percent(scores.elements.f1, 3), f"{_percent(scores.messages.value, 2)} [{low}, {high}]"]
        shown += [_percent(share.value, 2) for share in (scores.turns, scores.kinds, scores.silence, scores.refused)]
        times = ", ".join(f"{each.milliseconds(quantile):.1f}" for quantile in (0.5, 0.99))
        rows.append([each.name, each.view, str(each.concurrency), *shown, times])
    _print_table(console, title, names, rows)
    if closed:
        _print_table(console, "Closed loop", CLOSED_NAMES, [_closed_row(each) for each in closed])
    for each in results[:1]:
        for what, count in each.mistakes.most_common(10):
            console.print(f"{count:5} x {what}", markup=False, highlight=False, soft_wrap=True)


def _print_table(console: Console, title: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(*(Column(name, no_wrap=True) for name in names), title=title)
    for row in rows:
        table.add_row(*row)
    needed = console.measure(table, options=console.options.update(max_width=WIDEST)).maximum
    if needed <= console.width or not console.is_terminal:
        Console(file=console.file, width=max(needed, console.width)).print(table)
        return
    console.print(title, style="bold", highlight=False)
    longest = max(map(len, names))
    for row in rows:
        for name, value in zip(names, row, strict=True):
            console.print(f"  {name:{longest}}  {value}", markup=False, highlight=False, soft_wrap=True)
        console.print()


def _closed_row(each: dict[str, Any]) -> list[str]:
    shown = [each["name"], each["flavour"], str(each["procedures"])]
    return [*shown, _percent(each["completion"], 2), str(each["violations"])]


def _percent(value: float | None, digits: int) -> str:
    return "-" if value is None or math.isnan(value) else f"{100 * value:.{digits}f}"


def draw_concurrency(results: Sequence[Judged], path: Path) -> Path:
    """Draws accuracy, precision and recall of elements over the number of UEs at a time, one row for each view.

    Source: the published figure compares a generative transformer with an LSTM in this way.
    """
    views = [view for view in VIEWS if any(each.view == view for each in results)]
    names = list(dict.fromkeys(each.name for each in results))
    figure, axes = new_figure(len(views), len(MEASURES), (3.6, 2.6), sharex=True)
    for row, view in enumerate(views):
        for axis, measure in zip(axes[row], MEASURES, strict=True):
            for place, name in enumerate(names):
                runs = sorted((each for each in results if (each.name, each.view) == (name, view)), key=_concurrency)
                points = [(each.concurrency, 100 * getattr(each.scores.elements, measure)) for each in runs]
                if points:
                    axis.plot(*zip(*points, strict=True), "o-", color=COLORS[place % len(COLORS)], label=name)
            axis.set_xscale("log", base=2)
            axis.set_title(f"{measure}, {view} contexts", fontsize=9)
            axis.set_ylabel("% of elements", fontsize=8)
            axis.set_xlabel("UEs at a time", fontsize=8)
    for row in axes:
        row[0].legend(fontsize=7, frameon=False)
    return save_figure(figure, path)


def _concurrency(each: Judged) -> int:
    return each.concurrency
