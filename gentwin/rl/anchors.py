"""Anchors of a comparison: what policies without deep learning reach on the same network."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper

from gentwin.envs.slicing import SlicingVectorEnv
from gentwin.networks.slicing.policies import (
    ProportionalPolicy,
    RandomPolicy,
    RidgeBandit,
    StaticPolicy,
    equal_split,
    nearest_action,
)
from gentwin.rl.agent import AgentError
from gentwin.rl.evaluation import Evaluation, evaluate

RANDOM, EQUAL, STATIC = "random", "equal split", "best static"
BANDIT, HEURISTIC = "ridge bandit", "proportional heuristic"
ANCHORS = (RANDOM, EQUAL, STATIC, BANDIT, HEURISTIC)
MOST_ENUMERATED = 200  # allocations that are all tried; larger sets are climbed
CLIMB_UNITS = (1, 2, 4, 8)  # units of the grid that one step of the climb moves between two slices
SEARCH_SEED = 1_000_003  # distance of the seeds policies are searched with from those they are evaluated with
RUN_OFF = 16  # times the steps of a search, for the last comparison of fixed allocations
HEURISTIC_PASSES = 3  # over all parameters of the heuristic, fewer if one changes nothing
MEMORIES = (0.5, 0.8, 0.95)
QUEUE_WEIGHTS = (0.1, 0.3, 1.0)
FLOORS = (0.0, 0.25, 0.5, 0.75)  # shares of an equal split
WEIGHT_FACTORS = (0.25, 0.5, 2.0, 4.0)  # by which the weight of one slice may change in a pass


def anchor_utilities(
    env: VectorEnv, num_steps: int, seed: int, *, bandit_interactions: int = 2000, search_steps: int = 10
) -> dict[str, Evaluation]:
    """Evaluates the policies every learned one is compared with.

    `random` draws an allocation at every decision. `equal split` is the allocation nearest to equal bandwidths. `best
    static` is the best fixed allocation for all copies, searched on the network with other seeds: among all
    allocations if they are at most 200, else by climbing; the bandit's and the equal split are in the run-off. `ridge
    bandit` is the allocation that ridge regression takes after `bandit_interactions` of its own. `proportional
    heuristic` sees all state fields; memory, urgency of queues, floor and the weight of every slice are searched one
    after the other, likewise. What the searches cost is not counted: these are yardsticks, not competitors.

    Args:
        env: Vector environment of a sliced network, such as the one agents are evaluated on.
        num_steps: Decisions of each copy in an evaluation.
        seed: Of the evaluations, all on the same network; searches take others.
        bandit_interactions: Interactions of the bandit, over all copies.
        search_steps: Decisions of each copy for each candidate in the first round of a search.

    Returns:
        Evaluations by the names in `ANCHORS`.

    Raises:
        AgentError: If the environment is another one.
        ValueError: If a number is not positive.
    """
    base = env.unwrapped
    if not isinstance(base, SlicingVectorEnv):
        raise AgentError(f"`env` must be an environment of a sliced network, got {type(base).__name__}.")
    for name, value in (
        ("num_steps", num_steps), ("bandit_interactions", bandit_interactions), ("search_steps", search_steps)
    ):  # fmt: skip
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1, got {value}.")
    parameters, count = base.parameters, len(base.allocations)
    equal, taught = equal_split(parameters), bandit_action(env, bandit_interactions, seed)
    best = best_static_action(env, [taught, equal.action], search_steps, seed)
    policies = {
        RANDOM: RandomPolicy(count, np.random.default_rng(seed)),
        EQUAL: equal,
        STATIC: StaticPolicy(best),
        BANDIT: StaticPolicy(taught),
    }
    found = {name: evaluate(policy, env, num_steps, seed) for name, policy in policies.items()}
    found[HEURISTIC] = _heuristic(env, best_heuristic(env, search_steps, seed), num_steps, seed)
    return found


def bandit_action(env: VectorEnv, num_interactions: int, seed: int) -> int:
    """Returns the allocation a ridge bandit takes after learning online, as an index.

    Args:
        env: Vector environment of a sliced network.
        num_interactions: Over all copies, rounded up to whole steps of them.
        seed: Of the exploration; the network's is another than that of evaluations with `seed`.
    """
    bandit = RidgeBandit(env.unwrapped.allocations, np.random.default_rng(seed))
    observations, _ = env.reset(seed=seed + SEARCH_SEED)
    remaining, was_last = num_interactions, False
    while remaining > 0:
        actions = bandit(observations)
        observations, _, _, truncated, info = env.step(actions)
        if not was_last:  # the step that resets is no interaction
            bandit.update(actions[:remaining], info["utility"][:remaining])
            remaining -= len(actions)
        was_last = bool(truncated.all())
    return bandit.best_action()


def best_static_action(env: VectorEnv, starts: list[int], search_steps: int, seed: int) -> int:
    """Returns the fixed allocation with the highest mean utility over all copies, as an index.

    It is at least as good as every start on the episodes searched with, over `RUN_OFF * search_steps` decisions.

    Args:
        env: Vector environment of a sliced network.
        starts: Allocations that take part in the run-off, and to climb from if there are more than 200.
        search_steps: Decisions of each copy for each candidate in the first round.
        seed: The network's is another than that of evaluations with `seed`.
    """
    count, seed = len(env.unwrapped.allocations), seed + SEARCH_SEED
    if count <= MOST_ENUMERATED:
        winner = _halved(env, list(range(count)), search_steps, seed)
    else:
        winner = _climbed(env, _halved(env, starts, 2 * search_steps, seed), search_steps, seed)
    finalists = list(dict.fromkeys([winner, *starts]))
    if len(finalists) == 1:
        return winner
    means = [evaluate(StaticPolicy(action), env, RUN_OFF * search_steps, seed).mean for action in finalists]
    return finalists[int(np.argmax(means))]


def best_heuristic(env: VectorEnv, search_steps: int, seed: int) -> dict[str, Any]:
    """Returns the arguments of the proportional heuristic that a search finds best.

    One parameter is changed at a time and kept if that is better, in passes over all of them.

    Args:
        env: Vector environment of a sliced network.
        search_steps: Decisions of each copy for each candidate.
        seed: The network's is another than that of evaluations with `seed`.
    """
    num_slices, seed = env.unwrapped.parameters.num_slices, seed + SEARCH_SEED
    has_queues = "queued_bits" in [field.name for field in env.unwrapped.schema.state]
    best = {"memory": MEMORIES[0], "queue_weight": QUEUE_WEIGHTS[-1], "floor": 0.0, "weights": (1.0,) * num_slices}
    top = _heuristic(env, best, search_steps, seed).mean
    for _ in range(HEURISTIC_PASSES):
        before = top
        for name in ("memory", *["queue_weight"] * has_queues, "floor", *range(num_slices)):
            tried = _heuristic_variations(best, name, num_slices)
            means = [_heuristic(env, setting, search_steps, seed).mean for setting in tried]
            if max(means) > top:
                best, top = tried[int(np.argmax(means))], max(means)
        if top == before:
            break
    return best


def _heuristic_variations(setting: dict[str, Any], name: str | int, num_slices: int) -> list[dict[str, Any]]:
    """Returns settings that differ in one parameter, or in the weight of one slice."""
    if isinstance(name, int):
        return [
            {**setting, "weights": tuple(w * factor if n == name else w for n, w in enumerate(setting["weights"]))}
            for factor in WEIGHT_FACTORS
        ]
    values = {"memory": MEMORIES, "queue_weight": QUEUE_WEIGHTS, "floor": [share / num_slices for share in FLOORS]}
    return [{**setting, name: value} for value in values[name] if value != setting[name]]


def _climbed(env: VectorEnv, best: int, search_steps: int, seed: int) -> int:
    """Moves bandwidth between slices as long as that helps."""
    while True:
        around = _halved(env, [best, *_neighbours(env, best)], search_steps, seed)
        if around == best:
            return best
        best = _halved(env, [best, around], 4 * search_steps, seed)
        if best != around:
            return best


def _halved(env: VectorEnv, candidates: list[int], num_steps: int, seed: int) -> int:
    """Tries candidates on the same network; the best third goes on for twice as long."""
    while len(candidates) > 1:
        means = [evaluate(StaticPolicy(action), env, num_steps, seed).mean for action in candidates]
        order = np.argsort(means)[::-1][: max(1, len(candidates) // 3)]
        candidates, num_steps = [candidates[place] for place in order], 2 * num_steps
    return candidates[0]


def _neighbours(env: VectorEnv, action: int) -> list[int]:
    """Returns the allocations that differ by a few units given from one slice to another."""
    base = env.unwrapped
    unit, allocations = base.parameters.resolution_hz, base.allocations
    moves = []
    for giver, taker in itertools.permutations(range(base.parameters.num_slices), 2):
        for units in CLIMB_UNITS:
            target = allocations[action].copy()
            target[[giver, taker]] += (-units * unit, units * unit)
            if target[giver] >= 0.5 * unit:
                moves.append(target)
    return sorted(set(nearest_action(allocations, np.array(moves)).tolist()) - {action})


class _InfoKept(VectorWrapper):
    """Keeps the last `info`, so that a policy can see what the agent does not."""

    info: dict[str, Any]

    def reset(self, **arguments: Any) -> tuple[np.ndarray, dict[str, Any]]:
        observations, self.info = self.env.reset(**arguments)
        return observations, self.info

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        *rest, self.info = self.env.step(actions)
        return *rest, self.info


def _heuristic(env: VectorEnv, setting: dict[str, Any], num_steps: int, seed: int) -> Evaluation:
    policy, kept = ProportionalPolicy(env.unwrapped.parameters, **setting), _InfoKept(env)
    names = [field.name for field in env.unwrapped.schema.state]
    return evaluate(lambda _: policy(np.stack([kept.info[name] for name in names], axis=-1)), kept, num_steps, seed)
