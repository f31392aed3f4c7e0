"""Violations of the SLA while an agent explores `dynamic` and while it learns there, with a guard and without.

Every arm is charged for all its interactions: a guard with a twin of its own for those its twin was fitted to as well.
The shipped twin has seen a recorded data set that no arm is charged for.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import gentwin
from gentwin.datasets import Transitions
from gentwin.hub import resolve
from gentwin.networks.slicing.policies import RandomPolicy
from gentwin.rl import (
    Collector,
    Experience,
    ReplayBuffer,
    TwinEnhancedTrainer,
    ViolationGuard,
    fit_twin,
    greedy_policy,
    q_network_config,
)
from gentwin.rl.guard import worst_violations
from gentwin.rl.recipe.arguments import VIOLATION
from recipes.comparison.arms import judge
from recipes.comparison.cache import over_seeds
from recipes.comparison.seeds import separate_seeds
from recipes.comparison.settings import DYNAMIC, Setting
from recipes.comparison.statistics import paired, summary
from recipes.figures.result import Result

UNGUARDED = "unguarded"


@dataclass(frozen=True)
class SafetySetting:
    """One comparison.

    Args:
        first_steps: Random interactions to which the guard's own twin is fitted.
        later_steps: Random interactions after those.
        bound: Of the guards, and of what counts as a violated window.
        guard_twin: Shipped twin, or the folder of one.
        agent: Network, and the agent that learns.
        guard_weights: SHA-256 of the twin's files, so that runs with a twin that was since trained again do not count
            as the same.
    """

    first_steps: int = 1000
    later_steps: int = 1600
    bound: float = VIOLATION
    guard_twin: str = "gentwin/slice-lstm-dynamic"
    agent: Setting = field(default_factory=lambda: dataclasses.replace(DYNAMIC, num_rounds=2))
    guard_weights: str = field(init=False)

    def __post_init__(self) -> None:
        folder, digest = Path(resolve(self.guard_twin)), hashlib.sha256()
        for name in ("config.json", "model.safetensors"):
            digest.update((folder / name).read_bytes())
        object.__setattr__(self, "guard_weights", digest.hexdigest())


def explored(setting: SafetySetting, seed: int) -> dict[str, dict[str, float]]:
    """Returns what random exploration did: unguarded, guarded by its own twin once there is one, by the shipped one."""
    return {arm: explore(setting, seed, arm) for arm in (UNGUARDED, "own_twin", "shipped_twin")}


def explore(setting: SafetySetting, seed: int, arm: str) -> dict[str, float]:
    """Explores with one of the arms; all of a seed draw the same allocations in the same network."""
    in_network, decisions, weights = separate_seeds(seed, 3)
    env = setting.agent.ground.make_env(setting.agent.num_envs, seed)
    seen, num_steps = Experience(env), setting.first_steps + setting.later_steps
    size = env.single_observation_space.shape[0]
    collector = Collector(env, in_network, ReplayBuffer(num_steps + env.num_envs, size), seen.add)
    random = RandomPolicy(len(env.unwrapped.allocations), np.random.default_rng(decisions), hold_steps=5)
    guard = None
    if arm == "shipped_twin":
        guard = ViolationGuard(gentwin.from_pretrained(setting.guard_twin), env, setting.bound)

    def policy(observations: np.ndarray) -> np.ndarray:
        actions = random(observations)
        return actions if guard is None else guard(observations, actions, collector.is_first)

    utilities = []
    while collector.num_steps < num_steps:
        if arm == "own_twin" and guard is None and collector.num_steps >= setting.first_steps:
            twin = fit_twin(seen.transitions(), setting.agent.enhanced.fit, weights)
            guard = ViolationGuard(twin, env, setting.bound)
        utilities.append(collector.step(policy)["utility"])
    return violations(seen.transitions(), setting.bound, guard) | {"utility": float(np.mean(utilities))}


def learned(setting: SafetySetting, seed: int) -> dict[str, dict[str, float]]:
    """Returns what an agent did that learns: unguarded, and with a guard that asks the shipped twin until it has one.

    Its utility is that of the greedy policy in the end, which no guard holds.
    """
    arms, agent = {}, setting.agent
    for arm in (UNGUARDED, "guarded"):
        env = agent.ground.make_env(agent.num_envs, seed)
        guard = None
        if arm != UNGUARDED:
            guard = ViolationGuard(gentwin.from_pretrained(setting.guard_twin), env, setting.bound)
        config = q_network_config(env, agent.head, hidden_sizes=agent.hidden_sizes)
        trainer = TwinEnhancedTrainer(env, config, agent.learning, agent.enhanced, seed, guard=guard)
        trainer.run(agent.num_rounds)
        found = violations(trainer.experience.transitions(), setting.bound, guard)
        arms[arm] = found | {"utility": judge(agent, greedy_policy(trainer.agent.averaged), seed).mean}
    return arms


def violations(record: Transitions, bound: float, guard: ViolationGuard | None) -> dict[str, float]:
    """Returns violations over all interactions, and how often a guard stepped in."""
    worst, decisions = worst_violations(record), 0 if guard is None else guard.num_decisions
    return {
        "interactions": len(worst),
        "violated_windows": int((worst > bound).sum()),
        "mean_worst_violation": float(worst.mean()),
        "replaced": guard.num_replaced / decisions if decisions else 0.0,
        "without_choice": guard.num_without_choice / decisions if decisions else 0.0,
    }


def summaries(runs: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, Any]]:
    """Returns interquartile means of every arm and, for guarded ones, paired differences from the unguarded one."""
    figure: dict[str, dict[str, Any]] = {}
    for arm in runs[0]:
        values = {name: np.array([run[arm][name] for run in runs]) for name in runs[0][arm]}
        figure[arm] = {name: summary(entry)["mean"] for name, entry in values.items()}
        if arm != UNGUARDED:
            for name in ("violated_windows", "utility"):
                unguarded = [run[UNGUARDED][name] for run in runs]
                figure[arm][f"{name}_less_unguarded"] = paired(values[name], unguarded)
    return figure


def compare(setting: SafetySetting, seeds: list[int]) -> dict[str, dict[str, dict[str, Any]]]:
    """Returns the summaries of exploration and learning."""
    return {
        "exploration": summaries(over_seeds(explored, setting, seeds)),
        "learning": summaries(over_seeds(learned, setting, seeds)),
    }


def measure(full: bool, seed: int) -> Result:
    """Measures 10 seeds if `full`, else 3: random exploration, and an agent that learns for two rounds."""
    setting = SafetySetting()
    return result(compare(setting, list(range(seed, seed + (10 if full else 3)))), setting.bound)


def result(figure: dict[str, dict[str, dict[str, Any]]], bound: float) -> Result:
    """Returns the verdict on what `compare` found."""
    baseline = {name: arms[UNGUARDED]["violated_windows"] for name, arms in figure.items()}
    guarded = {(name, arm): entry for name, arms in figure.items() for arm, entry in arms.items() if arm != UNGUARDED}
    met = all(entry["violated_windows_less_unguarded"]["interval"][1] < 0 for entry in guarded.values())
    ratio = {
        f"{name}, {arm}": baseline[name] / max(entry["violated_windows"], 1) for (name, arm), entry in guarded.items()
    }
    goal = (
        f"over all interactions fewer windows in which a slice loses more than {100 * bound:g} % of its packets than "
        "without a guard, 95 % interval of the paired difference below 0"
    )
    return Result(figure, goal, met, baseline, ratio)
