"""Students of 16 and 4 neurons beside their teachers: utility and time of a decision."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch

from gentwin.metrics import bootstrap_interval, interquartile_mean
from gentwin.rl import Collector, ReplayBuffer, TwinEnhancedTrainer, greedy_policy, q_network_config
from gentwin.rl.distillation import DistillationArguments, distil, microseconds_per_decision
from recipes.comparison.arms import judge
from recipes.comparison.cache import over_seeds
from recipes.comparison.settings import SETTINGS, Setting
from recipes.figures.result import Result

WIDTHS = (16, 4)
PRESETS = ("dynamic", "zhang2024")
NUM_STATES = 20_000
EXPLORATION = 0.1  # so that a student also knows what to do where its own errors lead


def taught(setting: Setting, seed: int) -> dict[str, Any]:
    """Trains a twin-enhanced teacher, distils it on states it meets in its twin; returns what each policy is worth."""
    env = setting.ground.make_env(setting.num_envs, seed)
    config = q_network_config(env, setting.head, hidden_sizes=setting.hidden_sizes)
    trainer = TwinEnhancedTrainer(env, config, setting.learning, setting.enhanced, seed)
    trainer.run(setting.num_rounds)
    states = met_in_twin(trainer, np.random.default_rng(seed))
    teacher = trainer.agent.averaged.eval()
    networks, agreement = {"teacher": teacher}, {}
    for width in WIDTHS:
        arguments = DistillationArguments(hidden_sizes=(width, width))
        networks[f"student_{width}"], report = distil(teacher, states, arguments, seed)
        agreement[f"student_{width}"] = report.agreement
    few = states[:500].numpy()
    return {
        "utility": {name: judge(setting, greedy_policy(network), seed).mean for name, network in networks.items()},
        "microseconds": {name: microseconds_per_decision(network, few) for name, network in networks.items()},
        "agreement": agreement,
        "parameters": {name: network.num_parameters() for name, network in networks.items()},
    }


def met_in_twin(trainer: TwinEnhancedTrainer, rng: np.random.Generator) -> torch.Tensor:
    """Returns states `(NUM_STATES, F)` that the agent meets in its twin; the network is not asked again."""
    buffer = ReplayBuffer(NUM_STATES, trainer.collector.buffer.observation_size)
    collector = Collector(trainer.practice_env(trainer.twin), int(rng.integers(2**31)), buffer)
    while collector.num_steps < NUM_STATES:
        collector.step(lambda observations: trainer.agent.act(observations, EXPLORATION, rng))
    return buffer.whole().observations


def compare(setting: Setting, seeds: list[int]) -> dict[str, Any]:
    """Returns utilities as a share of the teacher's, with 95 % intervals, and medians of the rest, for one network."""
    runs = over_seeds(taught, setting, seeds)
    result: dict[str, Any] = {
        "teacher_utility": interquartile_mean(np.array([run["utility"]["teacher"] for run in runs])),
        "microseconds_per_decision": {
            name: float(np.median([run["microseconds"][name] for run in runs])) for name in runs[0]["microseconds"]
        },
        "parameters": runs[0]["parameters"],
    }
    for name in runs[0]["agreement"]:
        shares = np.array([run["utility"][name] / run["utility"]["teacher"] for run in runs])
        result[name] = {
            "share_of_utility": interquartile_mean(shares),
            "interval": bootstrap_interval(shares, seed=0),
            "agreement": float(np.median([run["agreement"][name] for run in runs])),
        }
    return result


def measure(full: bool, seed: int) -> Result:
    """Measures 10 seeds, or 3 with teachers of one round."""
    seeds = list(range(seed, seed + (10 if full else 3)))
    settings = {name: SETTINGS[name] if full else dataclasses.replace(SETTINGS[name], num_rounds=1) for name in PRESETS}
    figure = {name: compare(setting, seeds) for name, setting in settings.items()}
    student, times = figure["dynamic"]["student_16"], figure["dynamic"]["microseconds_per_decision"]
    return Result(
        figure,
        "a student of 16 neurons a layer has >= 98 % of its teacher's utility on dynamic; time of a decision reported",
        student["share_of_utility"] >= 0.98,
        {name: entry["teacher_utility"] for name, entry in figure.items()},
        times["teacher"] / times["student_16"],
    )
