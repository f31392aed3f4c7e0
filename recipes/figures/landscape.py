"""How sharp the minimum is that an agent has found, with a twin and without, after equal updates."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gentwin.metrics import bootstrap_interval, interquartile_mean
from gentwin.rl import Batch, PlainTrainer, QLearner, TwinEnhancedTrainer, q_network_config
from gentwin.rl.landscape import (
    GradientLine,
    LossSurface,
    loss_along_gradient,
    loss_surface,
    plot_gradient_lines,
    plot_loss_surfaces,
    sharpness,
)
from gentwin.rl.offline import behaviour_policy, record_behaviour, replay_from_transitions
from recipes.comparison.cache import CACHE, over_seeds
from recipes.comparison.settings import DYNAMIC, Setting
from recipes.figures.result import Result

RADIUS, NUM_DIRECTIONS = 0.2, 20
STRENGTHS = np.linspace(-0.5, 0.5, 41)
NUM_TESTED = 2048
ARMS = ("twin_enhanced", "plain")


@dataclass(frozen=True)
class LandscapeSetting:
    """One comparison.

    Args:
        real_steps: Interactions with the network of either arm; the first arm's are random.
        num_updates: Updates of either arm.
        agent: Network, agent and practice.
    """

    real_steps: int = 2000
    num_updates: int = 10_000
    agent: Setting = field(default_factory=lambda: DYNAMIC)


def learned(setting: LandscapeSetting, seed: int) -> dict[str, QLearner]:
    """Returns both agents."""
    agent = setting.agent
    env = agent.ground.make_env(agent.num_envs, seed)
    config = q_network_config(env, agent.head, hidden_sizes=agent.hidden_sizes)
    loops = dataclasses.replace(
        agent.enhanced, first_steps=setting.real_steps, practice_updates=setting.num_updates, empowerment=0.0
    )
    trainer = TwinEnhancedTrainer(env, config, agent.learning, loops, seed)
    trainer.round()
    ratio = setting.num_updates / (setting.real_steps - agent.learning.learning_starts)
    learning = dataclasses.replace(agent.learning, updates_per_step=ratio)
    plain = PlainTrainer(agent.ground.make_env(agent.num_envs, seed), config, learning, setting.real_steps, seed)
    plain.round()
    return dict(zip(ARMS, (trainer.apprentice, plain.agent), strict=True))


def held_out_transitions(setting: LandscapeSetting, seed: int) -> Batch:
    """Returns transitions of a mixed behaviour that neither agent has seen."""
    env = setting.agent.ground.make_env(28, seed + 500_000)
    behaviour = behaviour_policy("mixed", env.unwrapped.parameters, np.random.default_rng(seed))
    record = record_behaviour(env, behaviour, NUM_TESTED, seed + 500_000)
    return replay_from_transitions(record, env).whole()


def landscapes(setting: LandscapeSetting, seed: int) -> dict[str, Any]:
    """Returns sharpness, curvature and the loss along the gradient of both agents, and their surfaces."""
    batch, result = held_out_transitions(setting, seed), {}
    for name, learner in learned(setting, seed).items():
        line = loss_along_gradient(learner, batch, STRENGTHS, seed)
        surface = loss_surface(learner, batch, 1.0, 15, seed)
        result[name] = {
            "sharpness": sharpness(learner, batch, RADIUS, NUM_DIRECTIONS, seed),
            "line": dataclasses.asdict(line),
            "surface": dataclasses.asdict(surface),
        }
    return result


def draw(run: dict[str, Any]) -> list[str]:
    """Draws the landscapes of one run; returns the names of the files."""
    lines, surfaces = {}, {}
    for name in ARMS:
        label = name.replace("_", "-")
        lines[label] = GradientLine(**{key: np.array(value) for key, value in run[name]["line"].items()})
        surfaces[label] = LossSurface(**{key: np.array(value) for key, value in run[name]["surface"].items()})
    folder = CACHE.parent / "figures"
    paths = (
        plot_gradient_lines(lines, folder / "landscape_gradient.png"),
        plot_loss_surfaces(surfaces, folder / "landscape_surface.png"),
    )
    return [path.relative_to(CACHE.parents[1]).as_posix() for path in paths]


def summary(values: list[float] | np.ndarray) -> dict[str, Any]:
    """Returns the interquartile mean and its 95 % interval over runs."""
    return {"mean": interquartile_mean(np.array(values)), "interval": bootstrap_interval(np.array(values), seed=0)}


def measure(full: bool, seed: int) -> Result:
    """Measures 10 seeds, or 3 with 3,000 updates; draws the landscapes of the first."""
    seeds = list(range(seed, seed + (10 if full else 3)))
    setting = LandscapeSetting() if full else LandscapeSetting(num_updates=3000)
    runs = over_seeds(landscapes, setting, seeds)
    figure: dict[str, Any] = {}
    for name in ARMS:
        sharp = np.array([run[name]["sharpness"] for run in runs])
        loss = np.array([run[name]["line"]["losses"][len(STRENGTHS) // 2] for run in runs])
        figure[name] = {
            "sharpness": summary(sharp),
            "rise_of_loss": summary(sharp * loss),  # an agent with a large loss can be flat only relative to it
            "curvature_along_gradient": summary([run[name]["line"]["curvature"] for run in runs]),
            "test_loss": summary(loss),
        }
    figure["pictures"] = draw(runs[0])
    ours, plain = (figure[name]["sharpness"] for name in ARMS)
    goal = f"relative rise of the test loss at filter-normalised distance {RADIUS}, with intervals, whatever it is"
    return Result(figure, goal, True, {"plain": plain}, plain["mean"] / ours["mean"])
