"""Speed of the twin's environment on one core, beside the network's own."""

from __future__ import annotations

import time

import gymnasium
import numpy as np
import torch

import gentwin.envs  # noqa: F401 (registers the environments)
from recipes.figures.result import Result


def steps_per_second(env: gymnasium.vector.VectorEnv, seconds: float, seed: int) -> float:
    """Returns environment steps per second under random actions, over about `seconds`."""
    rng = np.random.default_rng(seed)
    env.reset(seed=seed)
    actions = rng.integers(env.single_action_space.n, size=(8, env.num_envs))
    for step in range(3):
        env.step(actions[step])
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        env.step(actions[count % 8])
        count += 1
    return count * env.num_envs / (time.perf_counter() - started)


def measure(full: bool, seed: int) -> Result:
    """Measures 4,096 copies of the shipped twin; for comparison 64 copies of the network, each on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seconds = 20.0 if full else 5.0
        twin = gymnasium.make_vec(
            "gentwin/TwinSlicing-v0", num_envs=4096, twin="gentwin/slice-lstm-dynamic", horizon=None, device="cpu"
        )
        network = gymnasium.make_vec(
            "gentwin/RanSlicing-v0", num_envs=64, preset="dynamic", episode_steps=None, num_threads=1
        )
        ours, baseline = steps_per_second(twin, seconds, seed), steps_per_second(network, seconds, seed)
    finally:
        torch.set_num_threads(threads)
    return Result(ours, ">= 200000 steps/s", ours >= 200_000, {"network_steps_per_s": baseline}, ours / baseline)
