"""How sharp the minimum is that an agent has found, with a twin and without, after equal updates.

| arm | data | explores |
|---|---|---|
| `twin_enhanced` | roll-outs of a twin of `real_steps` interactions under random allocations | in the twin |
| `plain` | `real_steps` interactions of its own | in the network, as every agent without a twin in comparisons |
| `plain_same_data` | the interactions of the first arm, learned from as a fixed record | not at all |

The sizes of the agent, the number of its updates and all other hyper-parameters are the same. The loss is that of the
last parameters, with the target network as it stands; the slow average, which is judged elsewhere, is that target
network and has no loss of its own. Every arm learns values in units of its own `return_scale`; losses and curvatures
are given in squared utility, curvatures for a step of length 1 in the arm's own parameters; sharpness has no unit.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from gentwin.models.q_network import QNetworkModel
from gentwin.rl import Batch, PlainTrainer, QLearner, TwinEnhancedTrainer, make_learner, q_network_config
from gentwin.rl.landscape import (
    GradientLine,
    LossSurface,
    loss_along_gradient,
    loss_surface,
    plot_gradient_lines,
    plot_loss_surfaces,
    sharpness,
)
from gentwin.rl.offline import behaviour_policy, record_behaviour, replay_from_transitions, train_offline
from recipes.comparison.cache import over_seeds
from recipes.comparison.plots import PICTURES, from_root
from recipes.comparison.seeds import separate_seeds
from recipes.comparison.settings import DYNAMIC, Setting
from recipes.comparison.statistics import paired, summary
from recipes.figures.result import Result

RADIUS, NUM_DIRECTIONS = 0.2, 20
STRENGTHS = np.linspace(-0.5, 0.5, 41)
NUM_POSITIONS = 15  # along each direction of a surface
NUM_TESTED = 2048
ARMS = ("twin_enhanced", "plain", "plain_same_data")


@dataclass(frozen=True)
class LandscapeSetting:
    """One comparison.

    Args:
        real_steps: Interactions with the network, of the first arm and of the second.
        num_updates: Updates of every arm.
        agent: Network, agent and practice.
    """

    real_steps: int = 2000
    num_updates: int = 10_000
    agent: Setting = field(default_factory=lambda: DYNAMIC)


def learned(setting: LandscapeSetting, seed: int) -> dict[str, QLearner]:
    """Returns the agent of every arm."""
    agent = setting.agent
    twin_seed, plain_seed, weights_seed, draws_seed = separate_seeds(seed, 4)
    env = agent.ground.make_env(agent.num_envs, seed)
    config = q_network_config(env, agent.head, hidden_sizes=agent.hidden_sizes)
    loops = dataclasses.replace(
        agent.enhanced, first_steps=setting.real_steps, practice_updates=setting.num_updates, empowerment=0.0
    )
    trainer = TwinEnhancedTrainer(env, config, agent.learning, loops, twin_seed)
    trainer.round()
    torch.manual_seed(weights_seed)
    same_data = make_learner(QNetworkModel(config), agent.learning)
    # The twin has seen nothing but these.
    train_offline(same_data, trainer.collector.buffer, setting.num_updates, np.random.default_rng(draws_seed))
    return dict(zip(ARMS, (trainer.apprentice, learned_plainly(setting, seed, plain_seed), same_data), strict=True))


def learned_plainly(setting: LandscapeSetting, seed: int, plain_seed: int) -> QLearner:
    """Returns the agent that acts and learns in the network, and explores there as in other comparisons."""
    agent = setting.agent
    env = agent.ground.make_env(agent.num_envs, seed)
    steps = math.ceil(setting.real_steps / env.num_envs)
    waiting = math.ceil(agent.learning.learning_starts / env.num_envs) - 1
    ratio = setting.num_updates / ((steps - waiting) * env.num_envs)
    learning = dataclasses.replace(agent.learning, updates_per_step=ratio, **agent.plain_learning)
    config = q_network_config(env, agent.head, hidden_sizes=agent.hidden_sizes)
    trainer = PlainTrainer(env, config, learning, setting.real_steps, plain_seed)
    trainer.round()
    return trainer.agent


def held_out_transitions(setting: LandscapeSetting, seed: int) -> Batch:
    """Returns transitions of a mixed behaviour that no agent has seen."""
    *_, record_seed, behaviour_seed = separate_seeds(seed, 6)
    env = setting.agent.ground.make_env(28, seed)
    behaviour = behaviour_policy("mixed", env.unwrapped.parameters, np.random.default_rng(behaviour_seed))
    record = record_behaviour(env, behaviour, NUM_TESTED, record_seed)
    return replay_from_transitions(record, env).whole()


def landscapes(setting: LandscapeSetting, seed: int) -> dict[str, Any]:
    """Returns sharpness, curvature and the loss along the gradient of every agent, and their surfaces."""
    batch, result = held_out_transitions(setting, seed), {}
    for name, learner in learned(setting, seed).items():
        unit = float(learner.network.return_scale) ** 2
        line = loss_along_gradient(learner, batch, STRENGTHS, seed)
        surface = loss_surface(learner, batch, 1.0, NUM_POSITIONS, seed)
        result[name] = {
            "sharpness": sharpness(learner, batch, RADIUS, NUM_DIRECTIONS, seed),
            "line": dataclasses.asdict(line.scaled(unit)),
            "surface": dataclasses.asdict(surface.scaled(unit)),
            "updates": learner.num_updates,
        }
    return result


def draw(run: dict[str, Any]) -> list[str]:
    """Draws the landscapes of one run; returns the names of the files."""
    lines, surfaces = {}, {}
    for name in ARMS:
        label = name.replace("_", "-")
        lines[label] = GradientLine(**{key: np.array(value) for key, value in run[name]["line"].items()})
        surfaces[label] = LossSurface(**{key: np.array(value) for key, value in run[name]["surface"].items()})
    paths = (
        plot_gradient_lines(lines, PICTURES / "landscape_gradient.png"),
        plot_loss_surfaces(surfaces, PICTURES / "landscape_surface.png"),
    )
    return [from_root(path) for path in paths]


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
    sharp = {name: [run[name]["sharpness"] for run in runs] for name in ARMS}
    figure["sharpness_of_twin_enhanced_minus"] = {name: paired(sharp[ARMS[0]], sharp[name]) for name in ARMS[1:]}
    figure["updates"] = {name: runs[0][name]["updates"] for name in ARMS}
    figure["pictures"] = draw(runs[0])
    ours, plain, same_data = (figure[name]["sharpness"] for name in ARMS)
    goal = f"relative rise of the test loss at filter-normalised distance {RADIUS}, with intervals, whatever it is"
    return Result(figure, goal, True, {"plain": plain, "plain_same_data": same_data}, plain["mean"] / ours["mean"])
