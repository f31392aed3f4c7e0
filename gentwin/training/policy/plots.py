"""Pictures of a policy twin: confidence, what it takes for what, and the course of training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator

from gentwin.metrics.decisions import confidence_bins
from gentwin.training.plots import COLORS, FAINT, INK, new_figure, plot_training, save_figure
from gentwin.training.policy.evaluation import PolicyScores


def write_policy_plots(folder: Path, scores: PolicyScores, history: Sequence[dict[str, float]]) -> dict[str, str]:
    """Writes all plots below `plots/` and returns their captions by path relative to the folder.

    Args:
        folder: Output folder.
        scores: Of the test.
        history: `trainer.state.log_history`.
    """
    plots = folder / "plots"
    plot_confidence(scores, plots / "calibration.png")
    plot_confusion(scores, plots / "confusion.png")
    plot_training(history, plots / "training.png", "nats per decision")
    captions = {
        "plots/calibration.png": "Share of right decisions over confidence on test episodes.",
        "plots/confusion.png": "What the twin says for what the policy did, in percent of the latter.",
        "plots/training.png": "Loss on training decisions, synthetic ones among them, and on validation decisions.",
    }
    if any("critic_loss" in entry for entry in history):
        plot_adversarial(history, plots / "adversarial.png")
        captions["plots/adversarial.png"] = "Losses of critic and generator."
    return captions


def plot_confidence(scores: PolicyScores, path: Path) -> Path:
    """Draws the share of right decisions over confidence, and how many decisions there are."""
    figure, axes = new_figure(1, 1, (4.2, 3.6))
    axis = axes[0, 0]
    count, mean, share = confidence_bins(scores.confidence, scores.right)
    used = count > 0
    axis.bar(
        (np.arange(len(count)) + 0.5) / len(count), count / count.sum(), 1 / len(count), color=FAINT, alpha=0.3,
        label="share of decisions",
    )  # fmt: skip
    axis.plot((0, 1), (0, 1), color=INK, linewidth=0.8)
    axis.plot(mean[used], share[used], "o-", color=COLORS[0], markersize=4, linewidth=1.4, label="right")
    axis.set_xlabel("confidence", fontsize=9)
    axis.set_ylabel("share", fontsize=9)
    axis.legend(fontsize=8, frameon=False, loc="upper left")
    figure.suptitle("Confidence on test episodes", fontsize=10)
    return save_figure(figure, path)


def plot_confusion(scores: PolicyScores, path: Path) -> Path:
    """Draws what the twin says for what the policy did; numbers of decisions beside the names."""
    table = scores.confusion()
    shares = 100 * table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    figure, axes = new_figure(1, 1, (4.6, 3.8))
    axis = axes[0, 0]
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    for row, column in np.ndindex(*shares.shape):
        if table[row, column]:
            color = "white" if shares[row, column] > 55 else INK
            text = f"{shares[row, column]:.3g}"
            axis.text(column, row, text, ha="center", va="center", fontsize=8, color=color)
    labels = [f"{name} ({number:,})" for name, number in zip(scores.names, table.sum(axis=1), strict=True)]
    axis.set_xticks(range(len(scores.names)), scores.names, rotation=30, ha="right", fontsize=8)
    axis.set_yticks(range(len(scores.names)), labels, fontsize=8)
    axis.set_xlabel("twin", fontsize=9)
    axis.set_ylabel("policy (decisions)", fontsize=9)
    figure.suptitle("Actions on test episodes, %", fontsize=10)
    return save_figure(figure, path)


def plot_adversarial(history: Sequence[dict[str, float]], path: Path) -> Path:
    """Draws the losses of critic and generator; arguments as in `write_policy_plots`."""
    figure, axes = new_figure(1, 1, (6.0, 3.2))
    axis = axes[0, 0]
    for color, name in zip(COLORS, ("critic", "generator"), strict=False):
        points = [(entry["step"], entry[f"{name}_loss"]) for entry in history if f"{name}_loss" in entry]
        if points:
            axis.plot(*zip(*points, strict=True), color=color, linewidth=1.2, label=name)
    axis.set_xlabel("optimiser steps", fontsize=9)
    axis.set_ylabel("loss", fontsize=9)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.legend(fontsize=8, frameon=False)
    figure.suptitle("Training of the generator", fontsize=10)
    return save_figure(figure, path)
