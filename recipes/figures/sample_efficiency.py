"""Real interactions to 95 % of the best known policy's gain over equal split, with a twin and without."""

from __future__ import annotations

from typing import Any

import numpy as np

from gentwin.metrics import bootstrap_interval, interquartile_mean
from gentwin.networks.slicing.policies import RidgeBandit
from gentwin.rl.anchors import ANCHORS, EQUAL
from recipes.comparison.arms import ARMS, anchors, curves, judge
from recipes.comparison.cache import over_seeds
from recipes.comparison.plots import PICTURES, from_root, plot_sample_efficiency
from recipes.comparison.seeds import separate_seeds
from recipes.comparison.settings import SETTINGS, Setting
from recipes.comparison.statistics import paired, summary
from recipes.figures.result import Result

SHARE = 0.95
BANDIT_STEPS = 160
BANDIT_STRETCH = 8
NEVER = 1e12  # in place of infinity, with which a mean cannot reckon
GOALS = {"dynamic": 10.0, "zhang2024": 20.0}

Curve = dict[str, Any]


def steps_to(curve: Curve, target: float) -> float:
    """Returns the interactions at the first of two successive evaluations that reach `target`; infinity without.

    One alone may be luck.
    """
    reached = np.array(curve["utility"]) >= target
    twice = np.flatnonzero(reached[:-1] & reached[1:])
    return float(curve["steps"][twice[0]]) if twice.size else float("inf")


def bandit_run(setting: Setting, seed: int) -> Curve:
    """Returns the curve of a ridge bandit, evaluated after every eighth interaction."""
    env = setting.ground.make_env(1, seed)
    in_network, decisions = separate_seeds(seed, 2)
    bandit = RidgeBandit(env.unwrapped.allocations, np.random.default_rng(decisions))
    observation, _ = env.reset(seed=in_network)
    curve: Curve = {"steps": [], "utility": []}
    for step in range(1, BANDIT_STEPS + 1):
        action = bandit(observation)
        observation, reward, *_ = env.step(action)
        bandit.update(action, reward)
        if step % BANDIT_STRETCH == 0:
            best = bandit.best_action()
            curve["steps"].append(step)
            curve["utility"].append(judge(setting, lambda seen, best=best: np.full(len(seen), best), seed).mean)
    return curve


def settled(curve: Curve) -> float:
    """Returns the mean of a curve's last three evaluations: single ones go up and down."""
    return float(np.mean(curve["utility"][-3:]))


def targets_of(setting: Setting, arms: dict[str, list[Curve]], seeds: list[int]) -> list[float]:
    """Returns the target of every seed: equal split plus a share of the best known policy's gain on that network.

    Candidates for the best known are all anchors and the last policies of both arms. Where all seeds meet one network,
    they are averaged over seeds. Policies that look ahead on the simulator itself, which no real network offers, are
    not among them.
    """
    lines = [entry["mean"] for entry in anchors(setting, seeds)]
    reached = np.array([[settled(curve) for curve in arm] for arm in arms.values()])
    if not setting.ground.fixed_placement:
        reached = np.repeat(reached.mean(axis=1, keepdims=True), len(seeds), axis=1)
    best = np.maximum(reached.max(axis=0), [max(line.values()) for line in lines])
    equal = np.array([line[EQUAL] for line in lines])
    return (equal + SHARE * (best - equal)).tolist()


def mean_steps(steps: np.ndarray) -> float | None:
    """Returns the interquartile mean of interactions; `None` if more than a quarter never arrived."""
    mean = interquartile_mean(np.minimum(steps, NEVER))
    return None if mean >= NEVER / 1000 else mean


def arm_summary(arm: list[Curve], targets: list[float]) -> dict[str, Any]:
    """Returns interactions to the targets and final utility of an arm, each with a 95 % interval over seeds."""
    steps = np.array([steps_to(curve, target) for curve, target in zip(arm, targets, strict=True)])
    last = np.array([np.mean(curve["final"]) for curve in arm])
    low, high = bootstrap_interval(np.minimum(steps, NEVER), 0)
    return {
        "steps": mean_steps(steps),
        "steps_interval": [low if low < NEVER / 1000 else None, high if high < NEVER / 1000 else None],
        "never_reached": int(np.isinf(steps).sum()),
        "interactions": arm[0]["steps"][-1],
        "updates": arm[0]["updates"][-1],
        "final": summary(last),
    }


def comparison(arms: dict[str, list[Curve]], targets: list[float]) -> dict[str, Any]:
    """Returns how many times fewer interactions the arm with a twin needs, and how much better it ends.

    Seeds are resampled in pairs. Runs without twin that never arrive count as if they had at their end, so the ratio
    is then a lower bound; runs with a twin that never arrive count as infinitely long.
    """
    steps = np.array(
        [[steps_to(curve, goal) for curve, goal in zip(arm, targets, strict=True)] for arm in arms.values()]
    )
    ours, plain = (steps[list(arms).index(name)] for name in ("with_twin", "without_twin"))
    ends = np.array([curve["steps"][-1] for curve in arms["without_twin"]], float)

    def ratio(rows: np.ndarray) -> float:
        mean = mean_steps(ours[rows])
        return 0.0 if mean is None else interquartile_mean(np.minimum(plain, ends)[rows]) / mean

    rows = np.arange(len(ours))
    final = [np.array([np.mean(curve["final"]) for curve in arms[name]]) for name in ("with_twin", "without_twin")]
    return {
        "ratio": ratio(rows),
        "ratio_interval": list(bootstrap_interval(rows, 0, ratio)),
        "ratio_is_lower_bound": bool(np.isinf(plain).any()),
        "final_difference": paired(*final),
    }


def compare(preset: str, setting: Setting, seeds: list[int]) -> dict[str, Any]:
    """Returns everything measured on one network, and draws the curves."""
    arms = {arm: curves(setting, arm, seeds) for arm in ARMS}
    targets = targets_of(setting, arms, seeds)
    lines = [entry["mean"] for entry in anchors(setting, seeds)]
    path = PICTURES / f"sample_efficiency_{preset}.png"
    result: dict[str, Any] = {
        "target": float(np.mean(targets)),
        "anchors": {name: float(np.mean([line[name] for line in lines])) for name in ANCHORS},
        **{arm: arm_summary(found, targets) for arm, found in arms.items()},
        **comparison(arms, targets),
        "picture": from_root(plot_sample_efficiency(arms, lines, float(np.mean(targets)), preset, path)),
    }
    if setting.ground.fixed_placement:
        found = over_seeds(bandit_run, setting, seeds)
        steps = np.array([steps_to(curve, target) for curve, target in zip(found, targets, strict=True)])
        result["ridge_bandit"] = {"steps": mean_steps(steps), "never_reached": int(np.isinf(steps).sum())}
    return result


def is_met(figure: dict[str, Any]) -> bool:
    """Returns whether the goals on both networks that have one are reached."""
    met = all(figure[name]["ratio"] >= goal for name, goal in GOALS.items())
    met &= all(figure[name]["final_difference"]["mean"] >= 0 for name in GOALS)
    ours, bandit = figure["zhang2024"]["with_twin"]["steps"], figure["zhang2024"]["ridge_bandit"]["steps"]
    return bool(met and ours is not None and (bandit is None or ours <= 2 * bandit))


def measure(full: bool, seed: int) -> Result:
    """Measures all networks over 3 seeds, those with a goal over 10 if `full`; keeps all runs."""
    counts = {name: 10 if full and name in GOALS else 3 for name in SETTINGS}
    figure = {
        name: compare(name, setting, list(range(seed, seed + counts[name]))) for name, setting in SETTINGS.items()
    }
    goal = (
        "real interactions to 95 % of the best known gain over equal split: dynamic >= 10 x fewer with a twin and "
        "final utility not lower; zhang2024 >= 20 x fewer and within 2 x of the ridge bandit's"
    )
    baseline = {name: entry["without_twin"]["steps"] for name, entry in figure.items()}
    return Result(figure, goal, is_met(figure), baseline, {name: entry["ratio"] for name, entry in figure.items()})
