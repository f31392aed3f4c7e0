"""Figures of the paper for our networks: that their lines are measured and drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from gentwin.rl.anchors import ANCHORS
from recipes.comparison.learning_curves import AGENTS, CurveSetting, band, learning_curve
from recipes.comparison.plots import plot_curves, plot_distillation, plot_landscape, plot_offline

SEEDS = 3


def looks_drawn(path: Path) -> bool:
    picture = imread(path)
    return min(picture.shape[:2]) > 300 and picture[..., :3].std() > 0.02


def made_up_anchors() -> list[dict[str, float]]:
    return [{name: 5.0 + number for number, name in enumerate(ANCHORS)}] * SEEDS


@pytest.mark.parametrize("use_twin", [False, True])
def test_a_line_has_a_point_every_two_rounds_and_equal_updates(use_twin: bool):
    setting = CurveSetting("hua2019", "DQN", use_twin, 2, 5, fit_updates=5, evaluation_copies=2, evaluation_steps=2)
    curve = learning_curve(setting, 0)
    assert curve["rounds"] == [2.0]
    assert curve["updates"] == pytest.approx([205], abs=2)
    assert all(np.isfinite(curve[name]).all() for name in ("utility", "reward"))


def test_learning_and_utility_are_drawn_over_interactions(tmp_path: Path):
    rng = np.random.default_rng(0)
    curves = {
        agent + twin: [
            {"rounds": [2, 4, 6], "utility": rng.uniform(5, 7, 3).tolist(), "reward": rng.uniform(0, 1, 3).tolist()}
            for _ in range(SEEDS)
        ]
        for agent in AGENTS
        for twin in ("", " + twin")
    }
    anchors = [
        {name: {"utility": value, "reward": value / 9} for name, value in run.items()} for run in made_up_anchors()
    ]
    for what in ("utility", "reward"):
        assert looks_drawn(plot_curves(curves, anchors, what, "title", tmp_path / f"{what}.png"))


def test_landscape_students_and_offline_agents_are_drawn(tmp_path: Path):
    strengths, rng = np.linspace(-1, 1, 5), np.random.default_rng(0)
    lines = [
        {arm: {"line": {"losses": (1 + rng.random(5)).tolist()}} for arm in ("twin", "plain")} for _ in range(SEEDS)
    ]
    assert looks_drawn(plot_landscape(lines, strengths, ("twin", "plain"), tmp_path / "7.png"))
    policies = ("teacher", "student_16", "student_4")
    students = [{"utility": {name: rng.uniform(5, 6) for name in policies}} for _ in range(SEEDS)]
    runs = {"dynamic": students, "zhang2024": students}
    assert looks_drawn(plot_distillation(runs, dict.fromkeys(runs, made_up_anchors()), tmp_path / "8.png"))
    offline = [
        {"plain_curve": rng.uniform(5, 6, 12).tolist(), "twin_enhanced": rng.uniform(5, 6)} for _ in range(SEEDS)
    ]
    runs, updates = {"random": offline, "mixed": offline}, {"random": 1200, "mixed": 1200}
    assert looks_drawn(plot_offline(runs, updates, made_up_anchors(), tmp_path / "9.png"))


def test_the_band_holds_its_middle_and_narrows_to_a_point_for_equal_runs():
    middle, low, high = band([[1.0, 2.0], [3.0, 2.0], [5.0, 2.0]]).T
    assert (low <= middle).all() and (middle <= high).all()
    assert low[0] < middle[0] < high[0]
    assert low[1] == high[1] == pytest.approx(2.0)
