"""Speed of learning: ten thousand decisions, one update each, beside stable-baselines3's DQN."""

from __future__ import annotations

import time

import gymnasium
import numpy as np
import torch
from stable_baselines3 import DQN

import gentwin.envs  # noqa: F401 (registers the environments)
from gentwin.models.q_network import QNetworkModel
from gentwin.rl import Collector, LearnerArguments, ReplayBuffer, make_learner, q_network_config, train
from recipes.figures.result import Result

ENVIRONMENT, PRESET = "gentwin/RanSlicing-v0", "hua2019"
HIDDEN_SIZES = [256, 256, 128, 128]
ARGUMENTS = LearnerArguments(algorithm="dqn")


def warm_up() -> None:
    """Compiles the network."""
    env = gymnasium.make(ENVIRONMENT, preset=PRESET)
    env.reset(seed=0)
    env.step(0)


def our_seconds(num_steps: int, seed: int) -> float:
    """Returns the wall-clock seconds of `num_steps` decisions and as many updates."""
    torch.manual_seed(seed)
    env = gymnasium.make_vec(ENVIRONMENT, num_envs=1, preset=PRESET)
    learner = make_learner(QNetworkModel(q_network_config(env, hidden_sizes=HIDDEN_SIZES)), ARGUMENTS)
    buffer = ReplayBuffer(ARGUMENTS.buffer_size, env.single_observation_space.shape[0])
    started = time.perf_counter()
    train(learner, Collector(env, seed, buffer), num_steps, np.random.default_rng(seed))
    return time.perf_counter() - started


def sb3_seconds(num_steps: int, seed: int) -> float:
    """Returns the same for stable-baselines3; its share of random actions falls linearly, which costs no time."""
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
        exploration_fraction=0.5,
        exploration_final_eps=ARGUMENTS.exploration_final,
        policy_kwargs={"net_arch": HIDDEN_SIZES},
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
    figure = {"seconds": ours, "steps": num_steps, **seconds}
    return Result(
        figure, ">= 3 x as fast as stable-baselines3", baseline >= 3 * ours, {"sb3_seconds": baseline}, baseline / ours
    )
