"""Anchors: the policies every learned one is compared with.

A policy is called with observations of shape `(num_copies, num_slices, num_state_fields)` in physical units and returns
actions of shape `(num_copies,)`, indices into the allocations.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gentwin.networks.slicing.network import SlicingNetwork, allocation_grid, slicing_schema
from gentwin.networks.slicing.parameters import SlicingParameters

Policy = Callable[[np.ndarray], np.ndarray]


def nearest_action(allocations: np.ndarray, target_hz: np.ndarray) -> np.ndarray:
    """Returns the indices of the allocations nearest to `target_hz`, shape `(num_copies, num_slices)`, Hz."""
    gram = target_hz @ allocations.T
    return np.argmax(gram - 0.5 * (allocations**2).sum(axis=1), axis=1)


class RandomPolicy:
    """Draws every action uniformly; with `hold_steps` above 1 an action stays for a geometric time of that mean."""

    def __init__(self, num_actions: int, rng: np.random.Generator, hold_steps: float = 1.0) -> None:
        if hold_steps < 1:
            raise ValueError(f"`hold_steps` must be at least 1, got {hold_steps}.")
        self.num_actions, self.rng, self.hold_steps = num_actions, rng, hold_steps
        self._actions: np.ndarray | None = None

    def __call__(self, observation: np.ndarray) -> np.ndarray:
        fresh = self.rng.integers(self.num_actions, size=len(observation))
        if self._actions is None or len(self._actions) != len(observation):
            self._actions = fresh
        else:
            change = self.rng.random(len(observation)) * self.hold_steps < 1
            self._actions = np.where(change, fresh, self._actions)
        return self._actions


class StaticPolicy:
    """Always takes the same action."""

    def __init__(self, action: int) -> None:
        self.action = int(action)

    def __call__(self, observation: np.ndarray) -> np.ndarray:
        return np.full(len(observation), self.action)


def equal_split(parameters: SlicingParameters) -> StaticPolicy:
    """Returns the static policy nearest to equal bandwidths."""
    allocations = allocation_grid(parameters)
    equal = np.full((1, parameters.num_slices), parameters.bandwidth_hz / parameters.num_slices)
    return StaticPolicy(nearest_action(allocations, equal)[0])


class ProportionalPolicy:
    """Divides the band in proportion to what the slices need, as NVS does with its per-slice rate shares.

    The need of a slice is a moving average of its offered bits plus its queue, divided by the spectral efficiency of
    its channel where the observation has one, times its weight. The idea of weighted shares over exponentially averaged
    rates is that of Kokku et al., "NVS: a substrate for virtualizing wireless resources" (IEEE/ACM ToN 2012).
    Measuring demand instead of throughput is ours, since the action is set before the window.

    Args:
        parameters: Of the network; gives packet sizes and the grid.
        memory: Weight of the past in the moving average of arrivals, 0 … 1.
        queue_weight: Windows' worth of urgency given to a queued bit.
        weights: Per-slice weights, all 1 by default.
        floor: Share of the band every slice gets at least.
    """

    def __init__(
        self,
        parameters: SlicingParameters,
        memory: float = 0.5,
        queue_weight: float = 1.0,
        weights: tuple[float, ...] | None = None,
        floor: float = 0.0,
    ) -> None:
        if not 0 <= memory < 1:
            raise ValueError(f"`memory` must be in [0, 1), got {memory}.")
        if not 0 <= floor * parameters.num_slices < 1:
            raise ValueError(f"`floor` must be in [0, 1/{parameters.num_slices}), got {floor}.")
        self.parameters = parameters
        self.allocations = allocation_grid(parameters)
        self.fields = [field.name for field in slicing_schema(parameters).state]
        self.mean_bits = np.array([np.mean(entry.packet_bits) for entry in parameters.slices])
        self.memory, self.queue_weight, self.floor = memory, queue_weight, floor
        self.weights = np.ones(parameters.num_slices) if weights is None else np.asarray(weights, dtype=np.float64)
        self._average: np.ndarray | None = None

    def __call__(self, observation: np.ndarray) -> np.ndarray:
        observation = np.asarray(observation, dtype=np.float64)
        offered = observation[:, :, self.fields.index("arrived")] * self.mean_bits
        if self._average is None or self._average.shape != offered.shape:
            self._average = offered
        else:
            self._average = self.memory * self._average + (1 - self.memory) * offered
        need = self._average
        if "queued_bits" in self.fields:
            snr = 10 ** (observation[:, :, self.fields.index("channel_db")] / 10)
            need = need + self.queue_weight * observation[:, :, self.fields.index("queued_bits")]
            need = need / np.log2(1 + snr)
        need = need * self.weights + 1e-9
        share = self.floor + (1 - self.floor * need.shape[1]) * need / need.sum(axis=1, keepdims=True)
        return nearest_action(self.allocations, share * self.parameters.bandwidth_hz)


def allocation_features(allocations: np.ndarray) -> np.ndarray:
    """Returns features of allocations for regression: 1, shares, their products and saturating functions of each.

    Args:
        allocations: `(num_actions, num_slices)` Hz.

    Returns:
        `(num_actions, num_features)`; 22 features for 3 slices.
    """
    share = allocations / allocations.sum(axis=1, keepdims=True)
    slices = range(share.shape[1])
    products = [share[:, i] * share[:, j] for i in slices for j in slices if i <= j]
    saturating = [np.exp(-share[:, i] / scale) for i in slices for scale in (0.03, 0.06, 0.12, 0.25)]
    return np.stack([np.ones(len(share)), *share.T, *products, *saturating], axis=1)


class RidgeBandit:
    """Ridge regression of the utility on allocation features; greedy with ever rarer random actions.

    Call it for actions, then [`update`][gentwin.networks.slicing.policies.RidgeBandit.update] it with the utilities.

    Args:
        allocations: `(num_actions, num_slices)` Hz.
        rng: For exploration.
        explore_steps: Decisions taken at random before the first greedy one, at least 1.
        ridge: Penalty on the coefficients, above 0.
    """

    def __init__(
        self, allocations: np.ndarray, rng: np.random.Generator, explore_steps: int = 16, ridge: float = 1e-2
    ) -> None:
        if explore_steps < 1 or ridge <= 0:
            raise ValueError(
                f"`explore_steps` must be at least 1 and `ridge` above 0, got {explore_steps} and {ridge}."
            )
        self.features, self.rng, self.explore_steps = allocation_features(allocations), rng, explore_steps
        size = self.features.shape[1]
        self._gram, self._moment, self._count = ridge * np.eye(size), np.zeros(size), 0

    def __call__(self, observation: np.ndarray) -> np.ndarray:
        actions = np.full(len(observation), self.best_action())
        explore = self.rng.random(len(observation)) * max(self._count, 1) < self.explore_steps
        return np.where(explore, self.rng.integers(len(self.features), size=len(observation)), actions)

    def update(self, actions: np.ndarray, utilities: np.ndarray) -> None:
        """Learns from the utilities of actions, both of shape `(num_copies,)`."""
        rows = self.features[actions]
        self._gram += rows.T @ rows
        self._moment += rows.T @ np.asarray(utilities, dtype=np.float64)
        self._count += len(rows)

    def best_action(self) -> int:
        """Returns the action with the highest predicted utility."""
        return int(np.argmax(self.features @ np.linalg.solve(self._gram, self._moment)))


def best_static(
    network: SlicingNetwork,
    keys: np.ndarray,
    utility: Callable[[np.ndarray, np.ndarray], np.ndarray],
    num_steps: int = 16,
) -> tuple[np.ndarray, np.ndarray]:
    """Searches the best static allocation of each copy by successive halving on the network itself.

    Every action of a round is run for the same windows on copies with the same keys, so differences between actions are
    not blurred by different placements or arrivals; the better half goes on with twice as many windows.

    Args:
        network: The network; all its copies are used and reset.
        keys: `(num_copies,)` uint64 keys: the placements to search for.
        utility: Maps `(num_copies, num_slices)` SSR and `(num_copies,)` spectral efficiency to `(num_copies,)`
            utilities.
        num_steps: Windows per action in the first round.

    Returns:
        The best action and its mean utility in the last round, both `(num_copies,)`.
    """
    copies = network.num_copies
    alive = np.tile(np.arange(len(network.allocations)), (copies, 1))
    while True:
        scores = np.zeros(alive.shape)
        for column in range(alive.shape[1]):
            network.reset(keys)
            for _ in range(num_steps):
                network.step(network.allocations[alive[:, column]])
                efficiency = network.values("slice_spectral_efficiency").sum(axis=1)
                scores[:, column] += utility(network.values("ssr"), efficiency) / num_steps
        order = np.argsort(-scores, axis=1, kind="stable")
        keep = -(-alive.shape[1] // 2)
        if alive.shape[1] == 1:
            return alive[:, 0], scores[:, 0]
        alive = np.take_along_axis(alive, order[:, :keep], axis=1)
        num_steps *= 2


class PolicyMixture:
    """Gives every copy one of several policies, in turn: the behaviour that recorded data should cover.

    Args:
        policies: The policies; copy `i` follows number `i % len(policies)`. Each sees the observations of its copies
            only.
    """

    def __init__(self, policies: list[Policy]) -> None:
        if not policies:
            raise ValueError("`policies` must not be empty, got [].")
        self.policies = policies

    def __call__(self, observation: np.ndarray) -> np.ndarray:
        actions = np.zeros(len(observation), dtype=np.int64)
        for index, policy in enumerate(self.policies):
            mine = slice(index, None, len(self.policies))
            if len(observation[mine]):
                actions[mine] = policy(observation[mine])
        return actions


class NoisyPolicy:
    """Follows a policy, but with probability `epsilon` takes a random action instead."""

    def __init__(self, policy: Policy, num_actions: int, epsilon: float, rng: np.random.Generator) -> None:
        if not 0 <= epsilon <= 1:
            raise ValueError(f"`epsilon` must be between 0 and 1, got {epsilon}.")
        self.policy, self.num_actions, self.epsilon, self.rng = policy, num_actions, epsilon, rng

    def __call__(self, observation: np.ndarray) -> np.ndarray:
        actions = self.policy(observation)
        explore = self.rng.random(len(actions)) < self.epsilon
        return np.where(explore, self.rng.integers(self.num_actions, size=len(actions)), actions)


def exploring_behaviour(parameters: SlicingParameters, rng: np.random.Generator) -> PolicyMixture:
    """Returns the behaviour our data sets are recorded under: random actions held for 1, 5, 20 and 100 windows on
    average, and proportional policies of several settings with a tenth of random actions."""
    num_actions = len(allocation_grid(parameters))
    held = [RandomPolicy(num_actions, rng, hold_steps) for hold_steps in (1, 5, 20, 100)]
    settings = [{"memory": 0.8, "queue_weight": 0.3}, {"memory": 0.5}, {"memory": 0.9, "floor": 0.15}]
    weighted = [{**setting, "weights": tuple(rng.uniform(0.5, 2.0, parameters.num_slices))} for setting in settings]
    proportional = [
        NoisyPolicy(ProportionalPolicy(parameters, **setting), num_actions, 0.1, rng) for setting in weighted
    ]
    return PolicyMixture([*held, *proportional])
