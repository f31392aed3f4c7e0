"""Message-sequence charts as pictures."""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gentwin.signaling.ladder.steps import CLOSED, REFUSED, Actor, Ladder, Step
from gentwin.signaling.messages import NAS, NGAP, PFCP

# Okabe & Ito's palette, which readers with any colour vision can tell apart.
COLORS = {NAS: "#222222", NGAP: "#0072B2", PFCP: "#009E73", REFUSED: "#D55E00", CLOSED: "#999999"}
MEANING = {NAS: "NAS", NGAP: "NGAP", PFCP: "PFCP", REFUSED: "refused or failed", CLOSED: "ciphered"}
INK, FAINT, PAPER = "#222222", "#888888", "white"

COLUMN, ROW, MARGIN, SIDE = 2.15, 0.42, 1.1, 0.55  # inches
HEAD, FOOT = 0.95, 0.4
LABEL_SIZE, DETAIL_SIZE, HEAD_SIZE = 8.0, 6.5, 10.0  # points
LETTER = 0.0078  # inches per point of a letter's height that a letter is wide
DPI = 130
MOST_STEPS, MOST_STATIONS = 1000, 4
FORMATS = ("svg", "png")
FONTS = ("DejaVu Sans", "Verdana", "sans-serif")


def draw_ladder(ladder: Ladder) -> Figure:
    """Returns a message-sequence chart as a figure: actors from left to right, time from top to bottom.

    Args:
        ladder: At least one step, and 1,000 at most. If there are more than four base stations, those with fewest
            steps share a column.

    Raises:
        ValueError: If there are none, or more.
    """
    if not 1 <= len(ladder.steps) <= MOST_STEPS:
        raise ValueError(f"`steps` must be from 1 to {MOST_STEPS} for a picture, got {len(ladder.steps)}.")
    ladder = ladder.with_stations(MOST_STATIONS)
    actors, names = ladder.actors, ladder.names()
    places = {actor: MARGIN + SIDE + COLUMN * place for place, actor in enumerate(actors)}
    width = MARGIN + COLUMN * (len(actors) - 1) + 2 * SIDE
    height = HEAD + ROW * (len(ladder.steps) + 0.5) + FOOT
    figure = Figure(figsize=(width, height), facecolor=PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    _draw_heads(axes, ladder, places, names, height)
    for row, step in enumerate(ladder.steps):
        _draw_step(axes, ladder, step, HEAD + ROW * (row + 1), places, width)
    _draw_foot(axes, ladder, width, height)
    return figure


def save_ladder(ladder: Ladder, path: str | PathLike[str]) -> Path:
    """Writes a message-sequence chart as SVG, with its text as text, or as PNG.

    Equal ladders are equal files. The file appears in one step.

    Args:
        ladder: What to draw; see [`draw_ladder`][gentwin.charts.ladder.draw_ladder].
        path: Ends with `.svg` or `.png`; its folder is made if there is none.

    Raises:
        ValueError: If it ends otherwise, or the ladder has no steps or too many.
    """
    path = Path(path)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise ValueError(f"`path` must end with `.svg` or `.png`, got {path.name!r}.")
    figure = draw_ladder(ladder)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    try:
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": "gentwin", "font.sans-serif": FONTS}):
            figure.savefig(partial, format=kind, dpi=DPI, metadata=metadata)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _draw_heads(axes: Axes, ladder: Ladder, places: dict[Actor, float], names: dict[Actor, str], height: float) -> None:
    axes.text(0.15, 0.22, ladder.title, size=HEAD_SIZE + 1, color=INK, va="center", weight="bold", parse_math=False)
    for actor, x in places.items():
        axes.plot((x, x), (HEAD, height - FOOT), color="#cccccc", linewidth=1, zorder=0)
        axes.text(x, HEAD - 0.32, names[actor], size=HEAD_SIZE, color=INK, ha="center", va="center", weight="bold")
        axes.text(x, HEAD - 0.13, actor.address, size=DETAIL_SIZE, color=FAINT, ha="center", va="center")


def _draw_foot(axes: Axes, ladder: Ladder, width: float, height: float) -> None:
    x, y = 0.15, height - FOOT / 2
    if ladder.omitted:
        axes.text(
            width - 0.15, y, f"{ladder.omitted:,} more messages", size=LABEL_SIZE, color=FAINT, ha="right", va="center"
        )
    for tone in dict.fromkeys(tone for tone in COLORS for step in ladder.steps if step.tone == tone):
        axes.plot((x, x + 0.2), (y, y), color=COLORS[tone], linewidth=1.6)
        axes.text(x + 0.27, y, MEANING[tone], size=DETAIL_SIZE, color=COLORS[tone], va="center")
        x += 0.45 + len(MEANING[tone]) * DETAIL_SIZE * LETTER


def _draw_step(axes: Axes, ladder: Ladder, step: Step, y: float, places: dict[Actor, float], width: float) -> None:
    color, start, end = COLORS[step.tone], places[step.sender], places[step.receiver]
    number = f"{step.number}" if step.number else ""
    axes.text(0.5, y, number, size=DETAIL_SIZE, color=FAINT, ha="right", va="center")
    axes.text(MARGIN, y, f"{step.time - ladder.origin:.4f} s", size=DETAIL_SIZE, color=FAINT, ha="right", va="center")
    axes.annotate(
        "",
        xy=(end, y),
        xytext=(start, y),
        arrowprops={"arrowstyle": "-|>", "color": color, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0},
    )
    if step.via is not None:
        axes.plot((places[step.via],), (y,), marker="o", markersize=3.5, color=color)
    _write(axes, step, y, (start + end) / 2, width, color)


def _write(axes: Axes, step: Step, y: float, middle: float, width: float, color: str) -> None:
    """Writes the names above an arrow and the details below it, within the picture."""
    box = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.4}
    for text, size, place, va in (
        (step.label, LABEL_SIZE, y - 0.035, "bottom"),
        (", ".join(step.details), DETAIL_SIZE, y + 0.045, "top"),
    ):
        room = int((width - MARGIN - 0.3) / (size * LETTER))
        shown = text if len(text) <= room else text[: room - 1] + "…"
        half = len(shown) * size * LETTER / 2
        x = min(max(middle, MARGIN + 0.1 + half), width - 0.15 - half)
        shade = color if size == LABEL_SIZE or step.tone == REFUSED else FAINT
        axes.text(x, place, shown, size=size, color=shade, ha="center", va=va, bbox=box, parse_math=False, zorder=1)
