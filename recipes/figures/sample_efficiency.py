"""Real interactions to 95 % of the best known policy's gain over equal split, with a twin and without."""

from __future__ import annotations

import numpy as np

from gentwin.metrics import bootstrap_interval, interquartile_mean
from gentwin.networks.slicing.policies import RidgeBandit
from recipes.figures.agent_runs import ANCHORS, anchors, curves, judge
from recipes.figures.agent_settings import SETTINGS, Setting
from recipes.figures.result import Result

SHARE = 0.95
GOALS = {"dynamic": 10.0, "zhang2024": 20.0}


def steps_to(curve: dict[str, list], target: float) -> float:
    """Returns the interactions at the first evaluation that reaches `target`; infinity if none does."""
    reached = [step for step, utility in zip(curve["steps"], curve["utility"], strict=True) if utility >= target]
    return float(reached[0]) if reached else float("inf")


def bandit_curve(setting: Setting, seed: int, last: int = 160) -> dict[str, list]:
    """Returns the curve of a ridge bandit, evaluated after every eighth interaction."""
    env = setting.make_env(1, seed)
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


def compare(setting: Setting, seeds: list[int]) -> dict:
    """Returns everything measured in one setting."""
    with_twin, without = (curves(setting, arm, seeds) for arm in ("with_twin", "without_twin"))
    lines = [anchors(setting, seed) for seed in seeds]
    finals = {
        "with_twin": [curve["utility"][-1] for curve in with_twin],
        "without_twin": [float(np.mean(curve["utility"][-3:])) for curve in without],
    }
    best = [max(*line.values(), *(max(final[i] for final in finals.values()),)) for i, line in enumerate(lines)]
    if not setting.fixed_placement:  # all seeds meet the same network, so one best policy holds for all
        best = [max(np.mean([line[name] for line in lines]) for name in lines[0])] * len(seeds)
        best = [max(best[0], *(float(interquartile_mean(np.array(final))) for final in finals.values()))] * len(seeds)
    targets = [line["equal split"] + SHARE * (top - line["equal split"]) for line, top in zip(lines, best, strict=True)]
    steps = {
        "with_twin": [steps_to(*pair) for pair in zip(with_twin, targets, strict=True)],
        "without_twin": [steps_to(*pair) for pair in zip(without, targets, strict=True)],
    }
    result: dict = {"anchors": {name: float(np.mean([line[name] for line in lines])) for name in ANCHORS}}
    result["best_known"] = float(np.mean(best))
    result["target"] = float(np.mean(targets))
    limits = {"with_twin": with_twin[0]["steps"][-1], "without_twin": without[0]["steps"][-1]}
    for arm, values in steps.items():
        mean, interval = censored_mean(values, limits[arm])
        result[arm] = {
            "steps": mean,
            "steps_interval": interval,
            "never_reached": int(np.isinf(values).sum()),
            "final": float(interquartile_mean(np.array(finals[arm]))),
            "final_interval": list(bootstrap_interval(np.array(finals[arm]), 0)),
        }
    if setting.fixed_placement:
        bandit = [steps_to(bandit_curve(setting, seed), target) for seed, target in zip(seeds, targets, strict=True)]
        mean, interval = censored_mean(bandit, 160)
        result["ridge_bandit"] = {
            "steps": mean,
            "steps_interval": interval,
            "never_reached": int(np.isinf(bandit).sum()),
        }
    return result


def measure(full: bool, seed: int) -> Result:
    """Measures all settings over 3 seeds, 10 if `full`; runs are cached under `outputs/agent_runs`."""
    seeds = list(range(seed, seed + (10 if full else 3)))
    figure = {name: compare(setting, seeds) for name, setting in SETTINGS.items()}
    ratio = {name: entry["without_twin"]["steps"] / entry["with_twin"]["steps"] for name, entry in figure.items()}
    met = (
        all(
            ratio[name] >= GOALS[name]
            and figure[name]["with_twin"]["never_reached"] == 0
            and figure[name]["with_twin"]["final"] >= figure[name]["without_twin"]["final"]
            for name in ("dynamic", "zhang2024")
        )
        and figure["zhang2024"]["with_twin"]["steps"] <= 2 * figure["zhang2024"]["ridge_bandit"]["steps"]
    )
    goal = (
        "real interactions to 95 % of the best known gain over equal split: dynamic >= 10 x fewer with a twin and "
        "final utility not lower; zhang2024 >= 20 x fewer and within 2 x of the ridge bandit's"
    )
    baseline = {name: entry["without_twin"]["steps"] for name, entry in figure.items()}
    return Result(figure, goal, met, baseline, ratio)
