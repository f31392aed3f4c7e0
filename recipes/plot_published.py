"""Draws figures 5 to 9 of Zhang et al. for our networks, with means and 95 % bootstrap intervals over seeds.

    python recipes/plot_published.py                      # all five, minutes: few seeds, short runs
    python recipes/plot_published.py --full               # 10 seeds, as long as in the paper; hours
    python recipes/plot_published.py --figure 5 --figure 6 --preset dynamic

| figure | what it shows |
|---|---|
| 5, 6 | reward and utility over rounds of 200 interactions: DQN, DDQN, Dueling GAN-DDQN, with a twin and without |
| 7 | loss along the gradient, with a twin and without, after equal interactions and updates, from equal data too |
| 8 | utility of students with hidden layers of 16 and 4 neurons beside their teachers |
| 9 | utility of agents that learn from a fixed record, with a twin and without |

The lines of the policies without deep learning are in every figure of utilities. Every run is kept as JSON under
`outputs/agent_runs` and read again the next time; pictures go to `outputs/published`.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from recipes.comparison.arms import anchors  # noqa: E402
from recipes.comparison.cache import over_seeds  # noqa: E402
from recipes.comparison.learning_curves import AGENTS, CurveSetting, anchor_lines, learning_curve  # noqa: E402
from recipes.comparison.plots import (  # noqa: E402
    from_root,
    plot_curves,
    plot_distillation,
    plot_landscape,
    plot_offline,
)
from recipes.comparison.settings import SETTINGS, Setting  # noqa: E402
from recipes.figures import distil, landscape, offline  # noqa: E402

OUTPUT = ROOT / "outputs" / "published"
PRESETS = ("hua2019", "zhang2024", "dynamic")


def anchor_means(setting: Setting, seeds: Sequence[int]) -> list[dict[str, float]]:
    """Returns the mean utilities of the policies without deep learning for every seed."""
    return [run["mean"] for run in anchors(setting, seeds)]


def learning_curves(figures: Sequence[int], preset: str, full: bool, seeds: list[int]) -> list[Path]:
    """Draws figures 5 and 6, from the same runs."""
    base = CurveSetting(preset) if full else CurveSetting(preset, num_rounds=8, practice_steps=600, fit_updates=300)
    lines = over_seeds(anchor_lines, base, seeds)
    curves = {
        agent + " + twin" * use_twin: over_seeds(
            learning_curve, dataclasses.replace(base, agent=agent, use_twin=use_twin), seeds
        )
        for agent in AGENTS
        for use_twin in (False, True)
    }
    shown = {5: "reward", 6: "utility"}
    return [
        plot_curves(
            curves, lines, shown[figure], f"{shown[figure].capitalize()} on {preset}, {len(seeds)} seeds",
            OUTPUT / f"figure_{figure}_{preset}.png",
        )
        for figure in figures
    ]  # fmt: skip


def draw_landscape(full: bool, seeds: list[int]) -> Path:
    """Draws figure 7."""
    setting = landscape.LandscapeSetting() if full else landscape.LandscapeSetting(num_updates=3000)
    runs = over_seeds(landscape.landscapes, setting, seeds)
    return plot_landscape(runs, landscape.STRENGTHS, landscape.ARMS, OUTPUT / "figure_7.png")


def draw_distillation(full: bool, seeds: list[int]) -> Path:
    """Draws figure 8."""
    settings = {
        name: SETTINGS[name] if full else dataclasses.replace(SETTINGS[name], num_rounds=2) for name in distil.PRESETS
    }
    runs = {name: over_seeds(distil.taught, setting, seeds) for name, setting in settings.items()}
    lines = {name: anchor_means(setting, seeds) for name, setting in settings.items()}
    return plot_distillation(runs, lines, OUTPUT / "figure_8.png")


def draw_offline(full: bool, seeds: list[int]) -> Path:
    """Draws figure 9."""
    settings = {
        behaviour: dataclasses.replace(
            offline.OfflineSetting(behaviour), **({} if full else {"practice_updates": 5000})
        )
        for behaviour in (("random", "mixed") if full else ("random",))
    }
    runs = {name: over_seeds(offline.learned_from_record, setting, seeds) for name, setting in settings.items()}
    updates = {name: setting.num_updates for name, setting in settings.items()}
    return plot_offline(runs, updates, anchor_means(settings["random"].agent, seeds), OUTPUT / "figure_9.png")


def main(
    figure: Annotated[list[int] | None, typer.Option(min=5, max=9, help="Figure; all by default.")] = None,
    preset: Annotated[str, typer.Option(help=f"Network of figures 5 and 6: {', '.join(PRESETS)}.")] = "zhang2024",
    full: Annotated[bool, typer.Option("--full/--quick", help="All seeds and rounds, or minutes.")] = False,
    seeds: Annotated[int | None, typer.Option(min=2, help="Number of seeds; 10, or 3 if quick.")] = None,
) -> None:
    """Draw figures 5 to 9 of Zhang et al. for our networks."""
    if preset not in PRESETS:
        raise typer.BadParameter(f"`preset` must be one of {', '.join(PRESETS)}, got {preset!r}.")
    wanted, numbers = sorted(set(figure or range(5, 10))), list(range(seeds or (10 if full else 3)))
    paths = []
    if curves := [number for number in wanted if number in (5, 6)]:
        paths += learning_curves(curves, preset, full, numbers)
    for number, draw in ((7, draw_landscape), (8, draw_distillation), (9, draw_offline)):
        if number in wanted:
            paths.append(draw(full, numbers))
    for path in paths:
        print(from_root(path))


if __name__ == "__main__":
    typer.run(main)
