"""What figures 5 to 9 of Zhang et al. show, measured on our networks: agents with and without a twin."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv

from gentwin.envs.slicing_reward import RewardShaping, default_shaping
from gentwin.metrics import bootstrap_interval, interquartile_mean
from gentwin.networks.slicing import slicing_parameters
from gentwin.rl import (
    PlainTrainer,
    TwinEnhancedTrainer,
    evaluate,
    greedy_policy,
    q_network_config,
    zhang2024_arguments,
)
from gentwin.rl.anchors import anchor_utilities
from recipes.comparison.arms import EVALUATION_SEED
from recipes.comparison.settings import MLP

ROUND = 200  # interactions of a round in the paper's figures
AGENTS = {"DQN": ("dqn", "plain"), "DDQN": ("double_dqn", "plain"), "Dueling GAN-DDQN": ("gan_dqn", "particles")}


@dataclass(frozen=True)
class CurveSetting:
    """One line of figures 5 and 6: Algorithm 1 as published, or the same agent without a twin.

    Both have made as many updates in the end. As in the paper, agents learn from the reshaped reward.

    Args:
        preset: Network; the users of a published one are placed by the seed of the run and stay.
        agent: Name in `AGENTS`; empty for the policies without deep learning.
        use_twin: Whether it practises in a twin.
        num_rounds: Rounds of 200 interactions, even: with a twin one half of two feeds the twin, in the other agent 1
            learns.
        practice_steps: Steps and updates in the twin for every two rounds.
        fit_updates: Updates of the first twin; half as many when it is fitted again.
        evaluation_copies: Copies the greedy policy is evaluated on after every two rounds.
        evaluation_steps: Decisions in each.
    """

    preset: str = "zhang2024"
    agent: str = ""
    use_twin: bool = False
    num_rounds: int = 50
    practice_steps: int = 1000
    fit_updates: int = 600
    evaluation_copies: int = 16
    evaluation_steps: int = 100

    def make_env(self, num_envs: int, seed: int, shaping: RewardShaping | None = None) -> VectorEnv:
        """Returns the network with the reshaped reward; endless episodes."""
        stays = slicing_parameters(self.preset).population == "static"
        return gymnasium.make_vec(
            "gentwin/RanSlicing-v0", num_envs=num_envs, preset=self.preset, observation_fields="all", reward="shaped",
            shaping=shaping, episode_steps=None, num_threads=1, **({"placement_seed": seed} if stays else {}),
        )  # fmt: skip

    def evaluation_env(self, seed: int) -> VectorEnv:
        """Returns the network with the final threshold of the reward."""
        top = default_shaping(self.preset, (1.0,) * slicing_parameters(self.preset).num_slices).gamma_max
        return self.make_env(self.evaluation_copies, seed, RewardShaping(top - 1e-6, top, 1.0))


def learning_curve(setting: CurveSetting, seed: int) -> dict[str, Any]:
    """Trains an agent; returns its greedy utility and reward after every two rounds."""
    algorithm, head = AGENTS[setting.agent]
    loops, learning = zhang2024_arguments(algorithm, collection_steps=ROUND, practice_steps=setting.practice_steps)
    first, again = setting.fit_updates, max(1, setting.fit_updates // 2)
    loops = dataclasses.replace(loops, fit=dataclasses.replace(loops.fit, num_updates=first, refit_updates=again))
    env, evaluation_env = setting.make_env(1, seed), setting.evaluation_env(seed)
    config = q_network_config(env, head, hidden_sizes=list(MLP))
    if setting.use_twin:
        trainer: PlainTrainer | TwinEnhancedTrainer = TwinEnhancedTrainer(env, config, learning, loops, seed)
    else:
        total = setting.num_rounds // 2 * (setting.practice_steps + loops.fine_tuning_steps)
        updates = total / (setting.num_rounds * ROUND - ROUND)  # the first round is random
        learning = dataclasses.replace(learning, updates_per_step=updates, learning_starts=ROUND)
        trainer = PlainTrainer(env, config, learning, 2 * ROUND, seed)
    curve: dict[str, Any] = {"rounds": [], "updates": [], "utility": [], "reward": []}
    while trainer.collector.num_steps < setting.num_rounds * ROUND:
        done = trainer.round()
        policy = greedy_policy(trainer.agent.network)
        found = evaluate(policy, evaluation_env, setting.evaluation_steps, EVALUATION_SEED)
        curve["rounds"].append(done.real_steps / ROUND)
        curve["updates"].append(done.num_updates)
        curve["utility"].append(found.mean)
        curve["reward"].append(float(found.reward.mean()))
    return curve


def anchor_lines(setting: CurveSetting, seed: int) -> dict[str, Any]:
    """Returns utility and reward of the policies without deep learning on the same episodes."""
    interactions = setting.num_rounds * ROUND
    found = anchor_utilities(
        setting.evaluation_env(seed), setting.evaluation_steps, EVALUATION_SEED, bandit_interactions=interactions
    )
    return {name: {"utility": entry.mean, "reward": float(entry.reward.mean())} for name, entry in found.items()}


def band(values: list[list[float]]) -> np.ndarray:
    """Returns `(points, 3)`: interquartile mean over runs and the ends of its 95 % bootstrap interval.

    Args:
        values: `(runs, points)`.
    """
    columns = np.asarray(values, np.float64).T
    return np.array([[interquartile_mean(column), *bootstrap_interval(column, 0)] for column in columns])
