"""Real interactions to 95 % of the best known policy's gain over equal split, with a twin and without."""

from __future__ import annotations

import numpy as np

from gentwin.metrics import bootstrap_interval, interquartile_mean
from gentwin.networks.slicing.policies import RidgeBandit
from gentwin.rl.anchors import ANCHORS
from recipes.comparison.arms import ARMS, anchors, curves, judge
from recipes.comparison.settings import SETTINGS, Setting
from recipes.figures.result import Result

SHARE = 0.95
BANDIT_STEPS = 160
GOALS = {"dynamic": 10.0, "zhang2024": 20.0}


def steps_to(curve: dict[str, list], target: float) -> float:
    """Returns the interactions at the first evaluation that reaches `target`; infinity if none does."""
    reached = [step for step, utility in zip(curve["steps"], curve["utility"], strict=True) if utility >= target]
    return float(reached[0]) if reached else float("inf")


def bandit_curve(setting: Setting, seed: int, last: int = BANDIT_STEPS) -> dict[str, list]:
    """Returns the curve of a ridge bandit, evaluated after every eighth interaction."""
    env = setting.ground.make_env(1, seed)
    bandit = RidgeBandit(env.unwrapped.allocations, np.random.default_rng(seed))
    observation, _ = env.reset(seed=seed)
    curve: dict[str, list] = {"steps": [], "utility": []}
    for step in range(1, last + 1):
        action = bandit(observation)
        observation, reward, *_ = env.step(action)
        bandit.update(action, reward)
        if step % 8 == 0:
            best = bandit.best_action()
            utility = judge(setting, lambda seen, best=best: np.full(len(seen), best), seed).mean
            curve["steps"].append(step)
            curve["utility"].append(utility)
    return curve


def censored_mean(values: list[float], limit: float) -> tuple[float, list[float]]:
    """Returns the interquartile mean and its 95 % interval; what was never reached counts as `limit`."""
    capped = np.minimum(values, limit)
    interval = bootstrap_interval(capped, 0)
    return float(interquartile_mean(capped)), [float(end) for end in interval]


def finals(curve: dict[str, list]) -> float:
    """Returns the mean of a curve's last three evaluations: single ones go up and down."""
    return float(np.mean(curve["utility"][-3:]))


def targets_of(settings: dict[str, Setting], runs: dict[str, dict[str, list]], seeds: list[int]) -> list[float]:
    """Returns the target of every seed: equal split plus a share of the best known policy's gain on that network.

    Candidates for the best known are all anchors and the final policies of all arms of all agents, so every agent is
    held to the same target. Where all seeds meet one network, finals are averaged over seeds.
    """
    first = next(iter(settings.values()))
    lines = anchors(first, seeds)
    reached = np.array([[finals(curve) for curve in arm] for arms in runs.values() for arm in arms.values()])
    if not first.ground.fixed_placement:
        reached = np.repeat(reached.mean(axis=1, keepdims=True), len(seeds), axis=1)
    best = np.maximum(reached.max(axis=0), [max(line.values()) for line in lines])
    equal = np.array([line["equal split"] for line in lines])
    return (equal + SHARE * (best - equal)).tolist()


def summary(arm: list[dict[str, list]], targets: list[float]) -> dict[str, object]:
    """Returns interactions to the targets and final utilities of an arm, with 95 % intervals."""
    steps = [steps_to(curve, target) for curve, target in zip(arm, targets, strict=True)]
    mean, interval = censored_mean(steps, arm[0]["steps"][-1])
    last = np.array([finals(curve) for curve in arm])
    return {
        "steps": mean,
        "steps_interval": interval,
        "never_reached": int(np.isinf(steps).sum()),
        "final": float(interquartile_mean(last)),
        "final_interval": list(bootstrap_interval(last, 0)),
    }


def compare(settings: dict[str, Setting], seeds: list[int]) -> dict[str, object]:
    """Returns everything measured on one network, for all agents."""
    runs = {name: {arm: curves(setting, arm, seeds) for arm in ARMS} for name, setting in settings.items()}
    targets = targets_of(settings, runs, seeds)
    result: dict[str, object] = {"target": float(np.mean(targets))}
    first = next(iter(settings.values()))
    result["anchors"] = {name: float(np.mean([line[name] for line in anchors(first, seeds)])) for name in ANCHORS}
    for name, arms in runs.items():
        table = {arm: summary(arm_curves, targets) for arm, arm_curves in arms.items()}
        # Interactions of runs that never arrive are unknown, and so is a ratio with many of them in the denominator.
        is_known = table["with_twin"]["never_reached"] <= len(seeds) // 4
        table["ratio"] = table["without_twin"]["steps"] / table["with_twin"]["steps"] if is_known else None
        result[name] = table
    if first.ground.fixed_placement:
        bandit = [steps_to(bandit_curve(first, seed), target) for seed, target in zip(seeds, targets, strict=True)]
        mean, interval = censored_mean(bandit, BANDIT_STEPS)
        never = int(np.isinf(bandit).sum())
        result["ridge_bandit"] = {"steps": mean, "steps_interval": interval, "never_reached": never}
    return result


def measure(full: bool, seed: int) -> Result:
    """Measures all settings over 3 seeds, 10 if `full`; runs are cached under `outputs/agent_runs`."""
    seeds = list(range(seed, seed + (10 if full else 3)))
    presets: dict[str, dict[str, Setting]] = {}
    for name, setting in SETTINGS.items():
        presets.setdefault(setting.ground.network["preset"], {})[name] = setting
    figure = {preset: compare(settings, seeds) for preset, settings in presets.items()}
    ratio = {name: figure[setting.ground.network["preset"]][name]["ratio"] for name, setting in SETTINGS.items()}
    published = {name: figure[name][name] for name in GOALS}
    met = all(
        (ratio[name] or 0) >= goal and published[name]["with_twin"]["final"] >= published[name]["without_twin"]["final"]
        for name, goal in GOALS.items()
    )
    met &= published["zhang2024"]["with_twin"]["steps"] <= 2 * figure["zhang2024"]["ridge_bandit"]["steps"]
    goal = (
        "real interactions to 95 % of the best known gain over equal split: dynamic >= 10 x fewer with a twin and "
        "final utility not lower; zhang2024 >= 20 x fewer and within 2 x of the ridge bandit's"
    )
    baseline = {name: entry["without_twin"]["steps"] for name, entry in published.items()}
    return Result(figure, goal, bool(met), baseline, ratio)
