"""Students of 16 and 4 neurons beside their teachers: utility and time of a decision.

States come from the twin the teacher has practised in. Agreement is measured on roll-outs of their own, which neither
training nor the choice of the best epoch has seen.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch

from gentwin.models.q_network import QNetworkModel
from gentwin.networks.slicing.policies import equal_split
from gentwin.rl import Collector, ReplayBuffer, TwinEnhancedTrainer, greedy_policy, q_network_config
from gentwin.rl.distillation import DistillationArguments, distil, microseconds_per_decision, pseudo_labels
from recipes.comparison.arms import judge
from recipes.comparison.cache import over_seeds
from recipes.comparison.seeds import separate_seeds
from recipes.comparison.settings import SETTINGS, Setting
from recipes.comparison.statistics import share, summary
from recipes.figures.result import Result

WIDTHS = (16, 4)
PRESETS = ("dynamic", "zhang2024")
NUM_STATES, NUM_TESTED, NUM_TIMED = 20_000, 5000, 500
EXPLORATION = 0.1  # so that a student also knows what to do where its own errors lead


def taught(setting: Setting, seed: int) -> dict[str, Any]:
    """Trains a twin-enhanced teacher, distils it on states it meets in its twin; returns what each policy is worth."""
    trainer_seed, states_seed, tested_seed, student_seed = separate_seeds(seed, 4)
    env = setting.ground.make_env(setting.num_envs, seed)
    config = q_network_config(env, setting.head, hidden_sizes=setting.hidden_sizes)
    trainer = TwinEnhancedTrainer(env, config, setting.learning, setting.enhanced, trainer_seed)
    done = trainer.run(setting.num_rounds)
    states = met_in_twin(trainer, NUM_STATES, states_seed)
    tested = met_in_twin(trainer, NUM_TESTED, tested_seed)
    teacher = trainer.agent.averaged.eval()
    networks, agreement = {"teacher": teacher}, {}
    for width in WIDTHS:
        name = f"student_{width}"
        networks[name], _ = distil(teacher, states, DistillationArguments(hidden_sizes=(width, width)), student_seed)
        alike = pseudo_labels(networks[name], tested) == pseudo_labels(teacher, tested)
        agreement[name] = float(alike.float().mean())
    return {
        "utility": {name: judge(setting, greedy_policy(network), seed).mean for name, network in networks.items()},
        "equal_split": judge(setting, equal_split(env.unwrapped.parameters), seed).mean,
        "agreement": agreement,
        "parameters": {name: network.num_parameters() for name, network in networks.items()},
        "updates": done[-1].num_updates,
    }


def met_in_twin(trainer: TwinEnhancedTrainer, num_states: int, seed: int) -> torch.Tensor:
    """Returns states `(num_states, F)` that the agent meets in its twin; the network is not asked again."""
    buffer = ReplayBuffer(num_states, trainer.collector.buffer.observation_size)
    env_seed, draws_seed = separate_seeds(seed, 2)
    collector, rng = Collector(trainer.practice_env(trainer.twin), env_seed, buffer), np.random.default_rng(draws_seed)
    while collector.num_steps < num_states:
        collector.step(lambda observations: trainer.agent.act(observations, EXPLORATION, rng))
    return buffer.whole().observations.to(trainer.agent.device)


def decision_times(setting: Setting) -> dict[str, float]:
    """Measures the microseconds of a decision of teacher and students, in one thread, with nothing beside it.

    The time does not depend on the weights, so networks of the same shapes are measured, not those of a run.
    """
    env = setting.ground.make_env(1, 0)
    observation, _ = env.reset(seed=0)
    configs = {"teacher": q_network_config(env, setting.head, hidden_sizes=setting.hidden_sizes)}
    configs |= {f"student_{width}": q_network_config(env, hidden_sizes=[width, width]) for width in WIDTHS}
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times = {}
        for name, config in configs.items():
            network = QNetworkModel(config).eval()
            network.mark_fitted()
            times[name] = microseconds_per_decision(network, np.repeat(observation, NUM_TIMED, axis=0))
    finally:
        torch.set_num_threads(before)
    return times


def compare(setting: Setting, seeds: list[int]) -> dict[str, Any]:
    """Returns the students' shares of what their teachers reach, and agreement and sizes, for one network."""
    runs = over_seeds(taught, setting, seeds)
    teacher, equal = ([run["utility"]["teacher"] for run in runs], [run["equal_split"] for run in runs])
    result: dict[str, Any] = {
        "teacher_utility": summary(teacher),
        "equal_split": float(np.mean(equal)),
        "parameters": runs[0]["parameters"],
    }
    for name in runs[0]["agreement"]:
        student = [run["utility"][name] for run in runs]
        result[name] = {
            "share_of_utility": share(student, teacher),
            "share_of_gain_over_equal_split": share(np.subtract(student, equal), np.subtract(teacher, equal)),
            "agreement": float(np.median([run["agreement"][name] for run in runs])),
        }
    return result


def measure(full: bool, seed: int) -> Result:
    """Measures 10 seeds, or 3 with teachers of two rounds."""
    seeds = list(range(seed, seed + (10 if full else 3)))
    settings = {name: SETTINGS[name] if full else dataclasses.replace(SETTINGS[name], num_rounds=2) for name in PRESETS}
    figure = {name: compare(setting, seeds) for name, setting in settings.items()}
    # Last, when no other process is left, and never read from the cache.
    for name, setting in settings.items():
        figure[name]["microseconds_per_decision"] = decision_times(setting)
    student, times = figure["dynamic"]["student_16"], figure["dynamic"]["microseconds_per_decision"]
    return Result(
        figure,
        "a student of 16 neurons a layer has >= 98 % of its teacher's utility on dynamic; share of its gain and time "
        "of a decision reported",
        student["share_of_utility"]["mean"] >= 0.98,
        {name: entry["teacher_utility"] for name, entry in figure.items()},
        times["teacher"] / times["student_16"],
    )
