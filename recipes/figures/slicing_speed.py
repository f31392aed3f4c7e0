"""Speed of the slicing network on one core, beside the readable reference simulator of the tests."""

from __future__ import annotations

import time

import gymnasium
import numpy as np

import gentwin.envs  # noqa: F401 (registers the environments)
from gentwin.networks.slicing import SlicingNetwork, slicing_parameters
from recipes.figures.result import Result

BEST_STATIC_HZ = 1e6 * np.array([1.0, 8.0, 1.0])


def decisions_per_second(slots: int, allocation: np.ndarray | None, seconds: float, seed: int) -> float:
    """Returns decisions per second of one copy of `hua2019` on one core; random actions without an allocation."""
    network = SlicingNetwork(slicing_parameters("hua2019", slots_per_step=slots), num_threads=1)
    rng = np.random.default_rng(seed)
    network.reset(rng.integers(2**64, size=1, dtype=np.uint64))
    chosen = network.allocations if allocation is None else allocation[None]
    blocks = network.resource_blocks(chosen[rng.integers(len(chosen), size=1000)])
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        for _ in range(20):
            network.step_blocks(blocks[count % 1000][None])
            count += 1
    return count / (time.perf_counter() - started)


def vector_overhead_us(num_envs: int, steps: int, seed: int) -> float:
    """Returns the Python time per `VectorEnv.step` in microseconds.

    A step of a one-slot window less the kernel alone.
    """
    env = gymnasium.make_vec(
        "gentwin/RanSlicing-v0", num_envs=num_envs, slots_per_step=1, episode_steps=None, num_threads=1
    )
    env.reset(seed=seed)
    actions = np.zeros(num_envs, dtype=np.int64)
    network = env.unwrapped.network
    blocks = network.resource_blocks(network.allocations[actions])

    def seconds_per_call(call) -> float:
        started = time.perf_counter()
        for _ in range(steps):
            call()
        return (time.perf_counter() - started) / steps

    seconds_per_call(lambda: env.step(actions))
    whole = min(seconds_per_call(lambda: env.step(actions)) for _ in range(5))
    kernel = min(seconds_per_call(lambda: network.step_blocks(blocks)) for _ in range(5))
    return (whole - kernel) * 1e6


def vectorised_per_second(num_envs: int, num_threads: int, steps: int, seed: int) -> float:
    """Returns environment steps per second of a batched environment with W = 400."""
    env = gymnasium.make_vec(
        "gentwin/RanSlicing-v0", num_envs=num_envs, slots_per_step=400, episode_steps=None, num_threads=num_threads
    )
    env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    actions = rng.integers(36, size=(steps + 2, num_envs))
    for step in range(2):
        env.step(actions[step])
    started = time.perf_counter()
    for step in range(steps):
        env.step(actions[step + 2])
    return steps * num_envs / (time.perf_counter() - started)


def reference_per_second(windows: int, seed: int) -> float:
    """Returns decisions per second of the readable reference, random actions, W = 2000."""
    from tests.networks.slicing_reference import HUA2019, IndependentDraws, ReferenceSlicing

    rng = np.random.default_rng(seed)
    reference = ReferenceSlicing(HUA2019, IndependentDraws(rng))
    grid = SlicingNetwork(slicing_parameters("hua2019")).allocations
    started = time.perf_counter()
    for _ in range(windows):
        reference.step(grid[rng.integers(len(grid))])
    return windows / (time.perf_counter() - started)


def measure(full: bool, seed: int) -> Result:
    """Measures the figure."""
    seconds = 20.0 if full else 4.0
    decisions_per_second(400, None, 0.1, seed)  # compiles
    figure = {
        "decisions_per_s_random": decisions_per_second(2000, None, seconds, seed),
        "decisions_per_s_best_static": decisions_per_second(2000, BEST_STATIC_HZ, seconds, seed),
        "steps_per_s_w400": decisions_per_second(400, None, seconds, seed),
        "overhead_us_per_vector_step": vector_overhead_us(8, 400, seed),
        "vectorised_steps_per_s_w400_1_thread": vectorised_per_second(64, 1, 100 if full else 30, seed),
        "vectorised_steps_per_s_w400_2_threads": vectorised_per_second(64, 2, 100 if full else 30, seed),
    }
    baseline = reference_per_second(20 if full else 5, seed)
    met = (
        figure["decisions_per_s_random"] >= 2000
        and figure["decisions_per_s_best_static"] >= 1500
        and figure["steps_per_s_w400"] >= 10_000
        and figure["overhead_us_per_vector_step"] < 50
    )
    goal = ">= 2000 decisions/s random, >= 1500 best static (W = 2000); >= 10000 at W = 400; < 50 us overhead"
    ratio = figure["decisions_per_s_random"] / baseline
    return Result(figure, goal, met, {"readable_reference_decisions_per_s": baseline}, ratio)
