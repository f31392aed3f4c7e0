"""Whether the preset `dynamic` is worth a twin: what state, history and time of day mean there."""

from __future__ import annotations

import numpy as np

from gentwin.envs.slicing_reward import SlicingUtility
from gentwin.networks.slicing import SlicingNetwork, slicing_parameters
from gentwin.networks.slicing.policies import Policy, RandomPolicy, StaticPolicy, equal_split
from recipes.figures.result import Result

PARAMETERS = slicing_parameters("dynamic")
UTILITY = SlicingUtility((1.0,) * PARAMETERS.num_slices, PARAMETERS.spectral_efficiency_weight)
HORIZON = 3  # windows a look-ahead holds an action


def random_keys(rng: np.random.Generator, size: int) -> np.ndarray:
    """Returns `size` random keys."""
    return rng.integers(2**64, size=size, dtype=np.uint64)


def utilities(network: SlicingNetwork) -> np.ndarray:
    """Returns the utility of the last window of every copy."""
    return UTILITY(network.values("ssr"), network.values("slice_spectral_efficiency").sum(axis=1))


def roll_out(policy: Policy, keys: np.ndarray, steps: int) -> dict[str, np.ndarray]:
    """Runs a policy; returns utilities `(steps, copies)`, actions, arrivals `(…, slices)` and utilisation."""
    network = SlicingNetwork(PARAMETERS, len(keys))
    network.reset(keys)
    record = {"utility": [], "action": [], "arrived": [], "utilisation": []}
    blocks = PARAMETERS.bandwidth_hz / PARAMETERS.resource_block_hz
    for _ in range(steps):
        actions = policy(network.state_values())
        network.step(network.allocations[actions])
        record["utility"].append(utilities(network))
        record["action"].append(actions)
        record["arrived"].append(network.values("arrived"))
        record["utilisation"].append(network.values("used_rb").sum(axis=1) / blocks)
    return {name: np.array(values) for name, values in record.items()}


def held_utility(
    network: SlicingNetwork, copies: np.ndarray, allocation_hz: np.ndarray, keys: np.ndarray
) -> np.ndarray:
    """Returns the mean utility of holding an allocation for `HORIZON` windows from the state of `copies`."""
    future = network.fork(copies, keys)
    total = np.zeros(len(copies))
    for _ in range(HORIZON):
        future.step(allocation_hz)
        total += utilities(future)
    return total / HORIZON


def look_ahead(network: SlicingNetwork, rng: np.random.Generator) -> np.ndarray:
    """Returns for every copy the action that does best on the simulator itself: all actions, then the ten best again.

    The futures are drawn anew, so the policy knows the state of the network but not what is to come.
    """
    copies, actions = network.num_copies, len(network.allocations)

    def scores(candidates: np.ndarray, futures: int) -> np.ndarray:
        count = candidates.shape[1]
        owners = np.repeat(np.arange(copies), count * futures)
        chosen = np.repeat(candidates.ravel(), futures)
        keys = np.repeat(random_keys(rng, copies * futures).reshape(copies, 1, futures), count, axis=1).ravel()
        return held_utility(network, owners, network.allocations[chosen], keys).reshape(copies, count, futures).mean(2)

    every = np.tile(np.arange(actions), (copies, 1))
    best = np.argsort(-scores(every, 2), axis=1)[:, :10]
    return np.take_along_axis(best, scores(best, 12).argmax(axis=1)[:, None], axis=1)[:, 0]


def look_ahead_utility(keys: np.ndarray, steps: int, rng: np.random.Generator) -> float:
    """Returns the mean utility of the look-ahead policy."""
    network = SlicingNetwork(PARAMETERS, len(keys))
    network.reset(keys)
    total = 0.0
    for _ in range(steps):
        network.step(network.allocations[look_ahead(network, rng)])
        total += utilities(network).mean()
    return total / steps


def best_static_action(keys: np.ndarray, steps: int) -> int:
    """Returns the static action with the highest mean utility, by halving the candidates."""
    candidates = np.arange(len(SlicingNetwork(PARAMETERS).allocations))
    while len(candidates) > 1:
        means = [roll_out(StaticPolicy(action), keys, steps)["utility"].mean() for action in candidates]
        candidates = candidates[np.argsort(means)[::-1][: len(candidates) // 4 + (len(candidates) < 4)]]
        steps = 2 * steps
    return int(candidates[0])


def history_effect(keys: np.ndarray) -> float:
    """Returns the largest relative change of the utility of an equal split after five windows of another action."""
    equal = equal_split(PARAMETERS).action
    means = []
    for allocation in (None, *np.eye(PARAMETERS.num_slices)):
        network = SlicingNetwork(PARAMETERS, len(keys))
        network.reset(keys)
        unit = PARAMETERS.resolution_hz
        before = (
            network.allocations[equal]
            if allocation is None
            else unit + allocation * (PARAMETERS.bandwidth_hz - PARAMETERS.num_slices * unit)
        )
        for _ in range(5):
            network.step(np.tile(before, (len(keys), 1)))
        network.step(np.tile(network.allocations[equal], (len(keys), 1)))
        means.append(utilities(network).mean())
    return (max(means) - min(means)) / means[0]


def action_share(record: dict[str, np.ndarray]) -> float:
    """Returns the share of the utility's variance that the own action explains (unbiased one-way analysis)."""
    utility, action = record["utility"].ravel(), record["action"].ravel()
    count = np.bincount(action)
    used = count > 1
    mean = np.bincount(action, utility)[used] / count[used]
    within = (np.bincount(action, utility**2)[used] - count[used] * mean**2).sum() / (count[used] - 1).sum()
    return float(1 - within / utility.var(ddof=1))


def lag_one(arrived: np.ndarray) -> list[float]:
    """Returns the lag-1 autocorrelation of the load of every slice, pooled over copies.

    Input `(steps, copies, slices)`.
    """
    centred = arrived - arrived.mean(axis=(0, 1))
    return ((centred[1:] * centred[:-1]).mean(axis=(0, 1)) / (centred**2).mean(axis=(0, 1))).tolist()


def daily_swing(keys: np.ndarray) -> list[float]:
    """Returns, per slice, the load of the busiest eighth of the day over that of the quietest, averaged over copies."""
    steps = round(PARAMETERS.day_s / (PARAMETERS.step_ms / 1e3))
    network = SlicingNetwork(PARAMETERS, len(keys))
    network.reset(keys)
    equal = np.tile(network.allocations[equal_split(PARAMETERS).action], (len(keys), 1))
    load = np.zeros((8, PARAMETERS.num_slices))
    for step in range(steps):
        network.step(equal)
        eighth = (8 * ((step / steps + network.day_phase) % 1)).astype(int)
        np.add.at(load, eighth, network.values("arrived"))
    return (load.max(axis=0) / load.min(axis=0)).tolist()


def abandonment(keys: np.ndarray, steps: int, best_utility: float) -> dict[str, float]:
    """Returns for every slice the best utility when it gets nothing, as a share of the best static one's."""
    shares = {}
    halves = np.linspace(0.1, 0.9, 9)
    for n, parameters in enumerate(PARAMETERS.slices):
        others = [index for index in range(PARAMETERS.num_slices) if index != n]
        means = []
        for half in halves:
            allocation = np.zeros(PARAMETERS.num_slices)
            allocation[others[0]], allocation[others[1]] = half, 1 - half
            network = SlicingNetwork(PARAMETERS, len(keys))
            network.reset(keys)
            total = 0.0
            for _ in range(steps):
                network.step(np.tile(allocation * PARAMETERS.bandwidth_hz, (len(keys), 1)))
                total += utilities(network).mean()
            means.append(total / steps)
        shares[parameters.name] = max(means) / best_utility
    return shares


def measure(full: bool, seed: int) -> Result:
    """Measures all rows of the table."""
    rng = np.random.default_rng(seed)
    keys = random_keys(rng, 24 if full else 8)
    steps = 150 if full else 50
    many = random_keys(rng, 64)
    best = best_static_action(random_keys(rng, 32 if full else 12), 50)
    equal = roll_out(equal_split(PARAMETERS), keys, steps)["utility"].mean()
    static = roll_out(StaticPolicy(best), keys, steps)["utility"].mean()
    aware = look_ahead_utility(keys, steps, rng)
    num_actions = len(SlicingNetwork(PARAMETERS).allocations)
    random = roll_out(RandomPolicy(num_actions, rng), many, 300 if full else 150)
    usual = roll_out(equal_split(PARAMETERS), many, 300 if full else 150)
    long_static = roll_out(StaticPolicy(best), many, 100)
    figure = {
        "gain_over_equal_aware": aware - equal,
        "utility_equal_static_aware": [equal, static, aware],
        "utilisation_equal_static": [usual["utilisation"].mean(), long_static["utilisation"].mean()],
        "history_effect": history_effect(random_keys(rng, 512 if full else 128)),
        "lag_one_autocorrelation": lag_one(usual["arrived"]),
        "daily_peak_over_trough": daily_swing(random_keys(rng, 64 if full else 24)),
        "variance_explained_by_action": action_share(random),
        "abandonment_over_best_static": abandonment(many, 100, long_static["utility"].mean()),
    }
    met = (
        aware - equal >= 1.15 * (static - equal)
        and figure["history_effect"] >= 0.05
        and min(figure["lag_one_autocorrelation"]) >= 0.5
        and min(figure["daily_peak_over_trough"]) >= 1.5
        and figure["variance_explained_by_action"] <= 0.6
        and max(figure["abandonment_over_best_static"].values()) < 1
        and all(0.7 <= share <= 0.95 for share in figure["utilisation_equal_static"])
    )
    goal = (
        "gain of a state-aware policy over equal split >= 1.15 x that of best static; history effect >= 5 %; lag-1 "
        "autocorrelation >= 0.5; daily cycle visible (>= 1.5); own action explains <= 60 %; abandonment never best; "
        "utilisation 70-95 %"
    )
    return Result(
        figure, goal, met, {"gain_over_equal_best_static": static - equal}, (aware - equal) / (static - equal)
    )
