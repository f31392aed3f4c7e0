"""Whether the twin of `dynamic` ranks policies as the network does."""

from __future__ import annotations

from collections.abc import Callable

import gymnasium
import numpy as np
import torch

import gentwin
from gentwin.datasets import read_transitions
from gentwin.metrics import spearman, top1_regret
from gentwin.networks.slicing import allocation_grid, slicing_parameters
from gentwin.networks.slicing.policies import (
    NoisyPolicy,
    Policy,
    ProportionalPolicy,
    RandomPolicy,
    StaticPolicy,
    equal_split,
    nearest_action,
)
from recipes.figures.result import Result
from recipes.figures.twin_fidelity import DATA, TWIN

PARAMETERS = slicing_parameters("dynamic")
STEPS = 200
WEIGHTS = (None, (2.0, 1.5, 1.0), (1.0, 1.5, 2.0))


class SoftmaxPolicy:
    """Shares the band by a softmax of random linear scores of the state: state-dependent, and mostly bad."""

    CENTRE, SPREAD = np.array([2.5, 5.0, 2.0, 15.0]), np.array([1.0, 5.0, 2.0, 5.0])

    def __init__(self, rng: np.random.Generator, sensitivity: float) -> None:
        self.weights = rng.normal(0.0, sensitivity, (PARAMETERS.num_slices, len(self.CENTRE)))
        self.bias = rng.normal(0.0, 0.7, PARAMETERS.num_slices)
        self.allocations = allocation_grid(PARAMETERS)

    def __call__(self, observation: np.ndarray) -> np.ndarray:
        values = np.asarray(observation, dtype=np.float64)
        values = np.concatenate([np.log1p(values[:, :, :3]), values[:, :, 3:]], axis=2)
        scores = ((values - self.CENTRE) / self.SPREAD * self.weights).sum(axis=2) + self.bias
        share = np.exp(scores - scores.max(axis=1, keepdims=True))
        return nearest_action(self.allocations, share / share.sum(axis=1, keepdims=True) * PARAMETERS.bandwidth_hz)


def policies(seed: int) -> dict[str, Callable[[], Policy]]:
    """Returns makers of 72 policies: static, proportional, softmax of the state, random, noisy."""
    rng = np.random.default_rng(seed)
    num_actions = len(allocation_grid(PARAMETERS))
    makers: dict[str, Callable[[], Policy]] = {"equal": lambda: equal_split(PARAMETERS)}
    for action in rng.choice(num_actions, 20, replace=False):
        makers[f"static {action}"] = lambda action=action: StaticPolicy(action)
    for memory in (0.0, 0.5, 0.9):
        for queue in (0.0, 0.3, 2.0):
            for weights in WEIGHTS:
                makers[f"proportional {memory} {queue} {weights}"] = lambda m=memory, q=queue, w=weights: (
                    ProportionalPolicy(PARAMETERS, m, q, w, 0.05)
                )
    for index in range(16):
        draw = int(rng.integers(2**31))
        makers[f"softmax {index}"] = lambda draw=draw, index=index: SoftmaxPolicy(
            np.random.default_rng(draw), 0.3 + 0.1 * (index % 5)
        )
    for hold in (1, 5, 30):
        makers[f"random held {hold}"] = lambda hold=hold: RandomPolicy(num_actions, np.random.default_rng(5), hold)
    for epsilon in (0.1, 0.2, 0.3, 0.5, 0.7):
        makers[f"noisy {epsilon}"] = lambda epsilon=epsilon: NoisyPolicy(
            ProportionalPolicy(PARAMETERS, 0.8, 0.3, WEIGHTS[1], 0.05), num_actions, epsilon, np.random.default_rng(6)
        )
    return makers


def mean_rewards(env: gymnasium.vector.VectorEnv, makers: dict[str, Callable[[], Policy]], seed: int) -> np.ndarray:
    """Returns the mean utility `(policies, copies)` over `STEPS` decisions, every policy from the same seed."""
    means = []
    for make in makers.values():
        policy, total = make(), np.zeros(env.num_envs)
        observation, _ = env.reset(seed=seed)
        for _ in range(STEPS):
            observation, reward, *_ = env.step(policy(observation.reshape(env.num_envs, PARAMETERS.num_slices, -1)))
            total += reward
        means.append(total / STEPS)
    return np.array(means)


def measure(full: bool, seed: int) -> Result:
    """Measures the figure over three seeds if `full`.

    The baseline is how half of the network's copies ranks the rest.
    """
    makers = policies(seed)
    record = read_transitions(DATA)
    network = gymnasium.make_vec(
        "gentwin/RanSlicing-v0", num_envs=64, preset="dynamic", observation_fields="all", episode_steps=None
    )
    runs = []
    with torch.inference_mode():
        twin = gymnasium.make_vec(
            "gentwin/TwinSlicing-v0", num_envs=512 if full else 256, twin=gentwin.from_pretrained(TWIN),
            observation_fields="all", horizon=None, start_states=record.state[record.step == 0],
        )  # fmt: skip
        for run in range(3 if full else 1):
            real = mean_rewards(network, makers, 1000 * (seed + run + 1))
            predicted = mean_rewards(twin, makers, seed + run).mean(axis=1)
            halves = real[:, :32].mean(axis=1), real[:, 32:].mean(axis=1)
            truth = real.mean(axis=1)
            runs.append(
                {
                    "spearman": spearman(predicted, truth),
                    "top1_regret": top1_regret(predicted, truth),
                    "bias": float((predicted - truth).mean()),
                    "spearman_of_halves": spearman(*halves),
                    "regret_of_halves": top1_regret(*halves),
                }
            )
    mean = {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}
    figure = {
        **{key: mean[key] for key in ("spearman", "top1_regret", "bias")},
        "num_policies": len(makers),
        "spearman_by_seed": [run["spearman"] for run in runs],
        "regret_by_seed": [run["top1_regret"] for run in runs],
    }
    met = mean["spearman"] >= 0.97 and mean["top1_regret"] <= 0.01
    goal = "Spearman >= 0.97 over >= 50 policies; top-1 regret <= 1 %"
    baseline = {key: mean[key] for key in ("spearman_of_halves", "regret_of_halves")}
    return Result(figure, goal, met, baseline, mean["spearman"] / mean["spearman_of_halves"])
