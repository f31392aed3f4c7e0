"""Drawings of comparisons, figures 5 to 9 of Zhang et al. among them: interquartile means and 95 % intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from gentwin.rl.recipe.report import ANCHOR_STYLES
from gentwin.training.plots import COLORS, FAINT, INK, new_figure, save_figure
from recipes.comparison.cache import ROOT
from recipes.comparison.learning_curves import band

PICTURES = ROOT / "outputs" / "figures"
Runs = Sequence[Mapping[str, Any]]


def plot_curves(curves: Mapping[str, Runs], anchors: Runs, what: str, title: str, path: Path) -> Path:
    """Draws `what`, utility or reward, over rounds of 200 interactions (figs. 5 and 6).

    Args:
        curves: Runs of each arm by name; those with a twin end in `+ twin` and share the colour of those without.
        anchors: Of each seed, values by policy.
        what: Key of the values.
        title: Of the figure.
        path: PNG file to write.
    """
    figure, axes = new_figure(1, 1, (7.0, 4.0))
    agents = list(dict.fromkeys(name.removesuffix(" + twin") for name in curves))
    for name, runs in curves.items():
        color = COLORS[agents.index(name.removesuffix(" + twin"))]
        style = "solid" if name.endswith("+ twin") else "dashed"
        draw_band(axes[0, 0], runs[0]["rounds"], [run[what] for run in runs], name, color, style)
    draw_anchors(axes[0, 0], [{name: values[what] for name, values in run.items()} for run in anchors])
    axes[0, 0].set_xlabel("rounds of 200 interactions with the network", fontsize=8)
    axes[0, 0].set_ylabel({"utility": "mean utility", "reward": "mean reward"}[what], fontsize=8)
    figure.suptitle(title, fontsize=10)
    return finish(figure, axes[0, 0], path)


def plot_sample_efficiency(arms: Mapping[str, Runs], anchors: Runs, target: float, title: str, path: Path) -> Path:
    """Draws utility over real interactions, with a twin and without.

    Args:
        arms: Curves of `with_twin` and `without_twin`.
        anchors: Of each seed, utilities by policy.
        target: Utility that is aimed at.
        title: Of the figure.
        path: PNG file to write.
    """
    figure, axes = new_figure(1, 1, (7.0, 4.0))
    for arm, style in (("without_twin", "dashed"), ("with_twin", "solid")):
        curves = [run["utility"] for run in arms[arm]]
        draw_band(axes[0, 0], arms[arm][0]["steps"], curves, arm.replace("_", " "), COLORS[0], style)
    draw_anchors(axes[0, 0], anchors)
    axes[0, 0].axhline(target, color=COLORS[3], linewidth=0.9, label="target")
    axes[0, 0].set_xscale("log")
    axes[0, 0].set_xlabel("interactions with the network", fontsize=8)
    axes[0, 0].set_ylabel("mean utility", fontsize=8)
    figure.suptitle(title, fontsize=10)
    return finish(figure, axes[0, 0], path)


def plot_landscape(runs: Runs, strengths: np.ndarray, arms: Sequence[str], path: Path) -> Path:
    """Draws the loss along its gradient over the loss where the agent stands (fig. 7)."""
    figure, axes = new_figure(1, 1, (5.4, 3.6))
    for index, arm in enumerate(arms):
        losses = np.array([run[arm]["line"]["losses"] for run in runs])
        relative = losses / losses[:, [len(strengths) // 2]]
        draw_band(axes[0, 0], strengths, relative.tolist(), arm.replace("_", "-"), COLORS[index], "solid")
    axes[0, 0].set_yscale("log")
    axes[0, 0].set_xlabel("distance along the gradient", fontsize=8)
    axes[0, 0].set_ylabel("loss over loss at 0", fontsize=8)
    figure.suptitle("Loss landscape at equal interactions and updates", fontsize=10)
    return finish(figure, axes[0, 0], path)


def plot_distillation(runs: Mapping[str, Runs], anchors: Mapping[str, Runs], path: Path) -> Path:
    """Draws the utility of teachers and students (fig. 8), one panel for each network."""
    figure, axes = new_figure(1, len(runs), (4.0, 3.4))
    for axis, (preset, found) in zip(axes[0], runs.items(), strict=True):
        for index, name in enumerate(found[0]["utility"]):
            mean, low, high = band([[run["utility"][name]] for run in found])[0]
            ends = [[mean - low], [high - mean]]
            axis.errorbar([index], [mean], ends, marker="o", capsize=3, color=COLORS[index])
        axis.set_xticks(range(len(found[0]["utility"])), [name.replace("_", " ") for name in found[0]["utility"]])
        draw_anchors(axis, anchors[preset])
        axis.set_title(preset, fontsize=9)
    axes[0, 0].set_ylabel("mean utility", fontsize=8)
    return finish(figure, axes[0, -1], path)


def plot_offline(runs: Mapping[str, Runs], num_updates: Mapping[str, int], anchors: Runs, path: Path) -> Path:
    """Draws the utility of agents that learn from a fixed record, one panel for each behaviour (fig. 9)."""
    figure, axes = new_figure(1, len(runs), (4.4, 3.4), sharey=True)
    for axis, (behaviour, found) in zip(axes[0], runs.items(), strict=True):
        curves = [run["plain_curve"] for run in found]
        updates = np.linspace(0, num_updates[behaviour], len(curves[0]) + 1)[1:]
        draw_band(axis, updates, curves, "without twin", COLORS[1], "dashed")
        mean, low, high = band([[run["twin_enhanced"]] for run in found])[0]
        ends = [[mean - low], [high - mean]]
        axis.errorbar(updates[-1:], [mean], ends, marker="o", capsize=3, color=COLORS[0], label="with twin")
        draw_anchors(axis, anchors)
        axis.set_title(f"record of a {behaviour} policy", fontsize=9)
        axis.set_xlabel("updates, no interaction", fontsize=8)
    axes[0, 0].set_ylabel("mean utility", fontsize=8)
    return finish(figure, axes[0, -1], path)


def draw_band(axis: Axes, x: Sequence[float], values: list[list[float]], label: str, color: str, style: str) -> None:
    """Draws the interquartile mean over runs and its interval."""
    mean, low, high = band(values).T
    axis.plot(x, mean, color=color, linestyle=style, linewidth=1.4, label=label)
    axis.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)


def draw_anchors(axis: Axes, anchors: Runs) -> None:
    """Draws the mean over seeds of every policy without deep learning as a line."""
    for name, style in zip(anchors[0], ANCHOR_STYLES, strict=True):
        mean = float(np.mean([run[name] for run in anchors]))
        axis.axhline(mean, color=INK if style == "solid" else FAINT, linestyle=style, linewidth=0.9, label=name)


def finish(figure: Any, axis: Axes, path: Path) -> Path:
    """Puts the legend beside the last axis and writes the figure."""
    axis.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return save_figure(figure, path)


def from_root(path: Path) -> str:
    """Returns where a picture lies, from the repository's root."""
    return path.relative_to(ROOT).as_posix()
