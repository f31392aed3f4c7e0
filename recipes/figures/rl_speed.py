"""Speed of learning: ten thousand decisions, one update each, beside stable-baselines3's DQN.

A random decision needs no forward pass, so both take the same share of them, on average over the run: there the share
falls linearly over half of the run, here exponentially, at the rate that gives the same mean.
"""

from __future__ import annotations

import dataclasses
import math
import time

import gymnasium
import numpy as np
import torch
from scipy.optimize import brentq
from stable_baselines3 import DQN

import gentwin.envs  # noqa: F401 (registers the environments)
from gentwin.models.q_network import QNetworkModel
from gentwin.rl import Collector, LearnerArguments, ReplayBuffer, make_learner, q_network_config, train
from recipes.comparison.settings import MLP
from recipes.figures.result import Result

ENVIRONMENT, PRESET = "gentwin/RanSlicing-v0", "hua2019"
ARGUMENTS = LearnerArguments(algorithm="dqn")
EXPLORATION_FRACTION = 0.5  # of the run, after which SB3's share of random decisions is final


def warm_up() -> None:
    """Compiles the network."""
    env = gymnasium.make(ENVIRONMENT, preset=PRESET)
    env.reset(seed=0)
    env.step(0)


def our_random_share(arguments: LearnerArguments, num_steps: int) -> float:
    """Returns our mean share of random decisions."""
    starts = min(arguments.learning_starts, num_steps)  # until then all are random
    return (starts + math.fsum(arguments.exploration(step) for step in range(starts, num_steps))) / num_steps


def sb3_random_share(num_steps: int) -> float:
    """Returns that of stable-baselines3."""
    starts, final = min(ARGUMENTS.learning_starts, num_steps), ARGUMENTS.exploration_final
    passed = np.arange(starts, num_steps) / (EXPLORATION_FRACTION * num_steps)
    return float(starts + np.maximum(1 + (final - 1) * passed, final).sum()) / num_steps


def our_arguments(num_steps: int) -> LearnerArguments:
    """Returns our hyper-parameters, with as many random decisions as stable-baselines3 takes."""

    def decaying(steps: float) -> LearnerArguments:
        return dataclasses.replace(ARGUMENTS, exploration_decay_steps=steps)

    wanted = sb3_random_share(num_steps)
    steps = brentq(lambda steps: our_random_share(decaying(steps), num_steps) - wanted, 1e-2 * num_steps, num_steps)
    return decaying(steps)


def our_seconds(num_steps: int, seed: int) -> float:
    """Returns the wall-clock seconds of `num_steps` decisions, each of those after `learning_starts` with an update."""
    arguments = our_arguments(num_steps)
    torch.manual_seed(seed)
    env = gymnasium.make_vec(ENVIRONMENT, num_envs=1, preset=PRESET)
    learner = make_learner(QNetworkModel(q_network_config(env, hidden_sizes=MLP)), arguments)
    buffer = ReplayBuffer(arguments.buffer_size, env.single_observation_space.shape[0])
    started = time.perf_counter()
    train(learner, Collector(env, seed, buffer), num_steps, np.random.default_rng(seed))
    return time.perf_counter() - started


def sb3_seconds(num_steps: int, seed: int) -> float:
    """Returns the same for stable-baselines3."""
    agent = DQN(
        "MlpPolicy",
        gymnasium.make(ENVIRONMENT, preset=PRESET),
        learning_rate=ARGUMENTS.learning_rate,
        buffer_size=ARGUMENTS.buffer_size,
        learning_starts=ARGUMENTS.learning_starts,
        batch_size=ARGUMENTS.batch_size,
        tau=ARGUMENTS.target_update_rate,
        target_update_interval=1,
        gamma=ARGUMENTS.discount,
        train_freq=1,
        gradient_steps=1,
        exploration_fraction=EXPLORATION_FRACTION,
        exploration_final_eps=ARGUMENTS.exploration_final,
        policy_kwargs={"net_arch": MLP},
        device="cpu",
        seed=seed,
    )
    started = time.perf_counter()
    agent.learn(num_steps)
    return time.perf_counter() - started


def measure(full: bool, seed: int) -> Result:
    """Measures both in turns, each with the number of threads that suits it best; quick: one thread, fewer steps."""
    num_steps, rounds, counts = (10_000, 3, (1, 2)) if full else (2_000, 1, (1,))
    warm_up()
    before = torch.get_num_threads()
    runs: dict[str, list[float]] = {}
    try:
        for threads in counts:
            torch.set_num_threads(threads)
            for turn in range(rounds):
                for name, measured in (("gentwin", our_seconds), ("sb3", sb3_seconds)):
                    runs.setdefault(f"{name}_{threads}_threads", []).append(measured(num_steps, seed + turn))
    finally:
        torch.set_num_threads(before)
    seconds = {name: float(np.median(times)) for name, times in runs.items()}
    ours = min(value for name, value in seconds.items() if name.startswith("gentwin"))
    baseline = min(value for name, value in seconds.items() if name.startswith("sb3"))
    share = our_random_share(our_arguments(num_steps), num_steps)
    figure = {"seconds": ours, "steps": num_steps, "share_of_random_decisions": share, **seconds}
    return Result(
        figure, ">= 3 x as fast as stable-baselines3", baseline >= 3 * ours, {"sb3_seconds": baseline}, baseline / ours
    )
