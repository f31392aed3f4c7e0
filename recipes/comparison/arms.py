"""The arms of a comparison, the policies they are compared with, and how all are judged."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from gentwin.rl import (
    Evaluation,
    PlainTrainer,
    TwinEnhancedTrainer,
    evaluate,
    greedy_policy,
    q_network_config,
)
from gentwin.rl.anchors import anchor_utilities
from recipes.comparison.cache import over_seeds
from recipes.comparison.settings import Ground, Setting

EVALUATION_SEED = 999_000
SEED_DISTANCE = 1000  # copy `i` of an environment has seed `seed + i`


def judge(setting: Setting, policy: Any, seed: int) -> Evaluation:
    """Returns how good a policy is on fresh episodes; every policy of one seed meets the same ones."""
    env = setting.ground.make_env(setting.ground.evaluation_copies, seed)
    return evaluate(policy, env, setting.ground.evaluation_steps, EVALUATION_SEED)


def curve_of(
    setting: Setting, trainer: PlainTrainer | TwinEnhancedTrainer, num_rounds: int, seed: int
) -> dict[str, list]:
    """Trains for some rounds; returns interactions, updates, utility earned and greedy utility after every one."""
    curve: dict[str, list] = {"steps": [], "utility": [], "updates": [], "acting": []}
    for _ in range(num_rounds):
        done = trainer.round()
        curve["steps"].append(done.real_steps)
        curve["updates"].append(done.num_updates)
        curve["acting"].append(float(np.mean(done.acting.rewards)))
        curve["utility"].append(judge(setting, greedy_policy(trainer.agent.averaged), seed).mean)
    return curve


def run_with_twin(
    setting: Setting, seed: int, trainer_class: type[TwinEnhancedTrainer] = TwinEnhancedTrainer
) -> dict[str, list]:
    """Trains the agent with a twin; returns real steps, utilities and updates after every round."""
    env, start = setting.ground.make_env(setting.num_envs, seed), SEED_DISTANCE * (seed + 1)
    config = q_network_config(env, setting.head, hidden_sizes=setting.hidden_sizes)
    trainer = trainer_class(env, config, setting.learning, setting.enhanced, start)
    return curve_of(setting, trainer, setting.num_rounds, seed)


def run_without_twin(setting: Setting, seed: int) -> dict[str, list]:
    """Trains the same agent with as many updates, spread over `plain_steps` interactions."""
    env, start = setting.ground.make_env(setting.num_envs, seed), SEED_DISTANCE * (seed + 1)
    config = q_network_config(env, setting.head, hidden_sizes=setting.hidden_sizes)
    learning = dataclasses.replace(
        setting.learning,
        updates_per_step=setting.num_updates / (setting.plain_steps - setting.plain_starts),
        learning_starts=setting.plain_starts,
        **setting.plain_learning,
    )
    trainer = PlainTrainer(env, config, learning, setting.plain_stretch, start)
    return curve_of(setting, trainer, -(-setting.plain_steps // setting.plain_stretch), seed)


def anchor_run(ground: Ground, seed: int) -> dict[str, float]:
    """Returns the utilities of the policies without deep learning on the episodes of `judge`."""
    env = ground.make_env(ground.evaluation_copies, seed)
    found = anchor_utilities(env, ground.evaluation_steps, EVALUATION_SEED, search_steps=40)
    return {name: entry.mean for name, entry in found.items()}


def anchors(setting: Setting, seeds: list[int]) -> list[dict[str, float]]:
    """Returns the lines of every plot for every seed; one for all where all seeds meet one network."""
    if setting.ground.fixed_placement:
        return over_seeds(anchor_run, setting.ground, seeds)
    return over_seeds(anchor_run, setting.ground, [0]) * len(seeds)


ARMS = {"with_twin": run_with_twin, "without_twin": run_without_twin}


def curves(setting: Setting, arm: str, seeds: list[int]) -> list[dict[str, list]]:
    """Returns the curves of an arm for every seed."""
    return over_seeds(ARMS[arm], setting, seeds)
