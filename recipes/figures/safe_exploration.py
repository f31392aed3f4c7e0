"""Violations of the SLA while an agent explores `dynamic` at random, with a guard and without."""

from __future__ import annotations

import numpy as np

import gentwin
from gentwin.networks.slicing.policies import RandomPolicy
from gentwin.rl import Collector, Experience, ReplayBuffer, ViolationGuard, fit_twin
from recipes.comparison.settings import DYNAMIC
from recipes.figures.result import Result

BOUND = 0.3
SHIPPED = "gentwin/slice-lstm-dynamic"


def explore(num_steps: int, seed: int, twin=None) -> tuple[Experience, dict[str, float]]:
    """Explores at random; returns what was seen, and violations, utility and how often the guard stepped in."""
    env = DYNAMIC.ground.make_env(DYNAMIC.num_envs, seed)
    guard = None if twin is None else ViolationGuard(twin, env, BOUND)
    seen = Experience(env)
    collector = Collector(env, seed, ReplayBuffer(num_steps, 12), seen.add)
    random = RandomPolicy(len(env.unwrapped.allocations), np.random.default_rng(seed), hold_steps=5)

    def policy(observations: np.ndarray) -> np.ndarray:
        actions = random(observations)
        return actions if guard is None else guard(observations, actions, collector.is_first)

    utilities = []
    while collector.num_steps < num_steps:
        utilities.append(collector.step(policy)["utility"])
    record = seen.transitions()
    ssr = record.outcome[..., [field.name for field in record.schema.outcome].index("ssr")]
    worst = 1 - ssr.min(axis=1)
    return seen, {
        "windows_above_bound": float((worst > BOUND).mean()),
        "mean_violation": float(worst.mean()),
        "utility": float(np.mean(utilities)),
        "replaced": 0.0 if guard is None else guard.num_replaced / guard.num_decisions,
        "without_choice": 0.0 if guard is None else guard.num_without_choice / guard.num_decisions,
    }


def measure(full: bool, seed: int) -> Result:
    """Measures over 3 seeds, 10 if `full`: no guard, with the twin of 1,000 random steps, with the shipped one."""
    runs: dict[str, list[dict]] = {"unguarded": [], "own_twin": [], "shipped_twin": []}
    shipped = gentwin.from_pretrained(SHIPPED)
    for run in range(seed, seed + (10 if full else 3)):
        first, _ = explore(1000, 10_000 + run)
        own = fit_twin(first.transitions(), DYNAMIC.enhanced.fit, run)
        for name, twin in (("unguarded", None), ("own_twin", own), ("shipped_twin", shipped)):
            runs[name].append(explore(1600, run, twin)[1])
    figure = {
        name: {
            key: [float(np.mean([entry[key] for entry in entries])), float(np.std([entry[key] for entry in entries]))]
            for key in entries[0]
        }
        for name, entries in runs.items()
    }
    share = {name: entry["windows_above_bound"][0] for name, entry in figure.items()}
    goal = f"fewer windows in which a slice loses more than {BOUND:.0%} of its packets than without a guard"
    baseline = share.pop("unguarded")
    ratio = {name: baseline / max(value, 1e-9) for name, value in share.items()}
    return Result(figure, goal, all(value < baseline for value in share.values()), baseline, ratio)
