"""The optimal policy of a small admission network, exactly: relative value iteration on its Markov chain.

With exponential patience the requests waiting and the services in progress of every slice are all that the future
depends on. The chain is uniformised: events occur at one rate in all states, some of which change nothing.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from gentwin.networks.admission.network import action_mask, admission_schema
from gentwin.networks.admission.parameters import AdmissionParameters
from gentwin.networks.admission.policies import Policy

MOST_STATES = 2_000_000
_BLOCK = 65_536  # states shown to a policy at a time


@dataclass(frozen=True)
class Solution:
    """A policy of the Markov chain and what it earns.

    Args:
        revenue_per_s: Long-run revenue less penalties per second, exact to `tolerance` of the solution.
        actions: `(num_services, num_queues)` int64, the action at a decision in each state.
    """

    revenue_per_s: float
    actions: np.ndarray


class MarkovModel:
    """The admission network as a Markov decision chain.

    A state is `(services, queues)`, each a number per slice. Queues may hold one request more than they have places:
    the newest arrival while it is decided on.

    Args:
        parameters: With exponential patience, and few states.

    Attributes:
        services: `(num_services, num_slices)` all services that fit the resources together.
        queues: `(num_queues, num_slices)` all numbers of waiting requests.

    Raises:
        ValueError: If patience is not exponential, or there are more than 2,000,000 states.
    """

    def __init__(self, parameters: AdmissionParameters) -> None:
        if parameters.patience != "exponential":
            raise ValueError(
                f"`patience` must be 'exponential' for a Markov chain, got {parameters.patience!r}; the optimum with "
                "deterministic patience depends on the age of every request."
            )
        self.parameters = parameters
        places = np.array([entry.queue_places + 2 for entry in parameters.slices])
        num_queues = math.prod(places.tolist())
        self.services = _service_states(parameters, MOST_STATES // num_queues)
        self.queues = np.array(list(itertools.product(*map(range, places))))
        self._queue_step = np.array([math.prod(places[n + 1 :].tolist()) for n in range(len(places))])
        self._radix = self.services.max(axis=0) + 1
        self._service_index = np.full(math.prod(self._radix.tolist()), -1)
        self._service_index[np.ravel_multi_index(self.services.T, self._radix)] = np.arange(len(self.services))
        self._numbers = self._kernel_numbers()

    def states(self) -> np.ndarray:
        """Returns all states in the form of the schema, `(num_services * num_queues, num_slices, num_state)`.

        Waiting times and the requesting slice, on which nothing depends, are 0.
        """
        p, names = self.parameters, [field.name for field in admission_schema(self.parameters).state]
        shape = (len(self.services), len(self.queues), p.num_slices)
        values = np.zeros((*shape, len(names)))
        values[..., names.index("queued")] = self.queues
        values[..., names.index("in_service")] = self.services[:, None]
        capacity = np.array(p.capacity)
        free = 1 - self.services @ np.array([entry.demand for entry in p.slices]) / capacity
        values[..., -p.num_resources :] = free[:, None, None]
        return values.reshape(-1, p.num_slices, len(names))

    def index(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the indices in `services` and `queues` of states of the schema, each `(B,)`."""
        names = [field.name for field in admission_schema(self.parameters).state]
        queued = states[:, :, names.index("queued")].astype(np.int64)
        in_service = states[:, :, names.index("in_service")].astype(np.int64)
        return self._service_index[np.ravel_multi_index(in_service.T, self._radix)], queued @ self._queue_step

    def solve(self, policy: Policy | None = None, tolerance: float = 1e-6, max_iterations: int = 1_000_000) -> Solution:
        """Returns the best policy, or what a given one earns.

        Args:
            policy: One that neither looks at waiting times nor at the requesting slice; `None` for the best.
            tolerance: Largest error of the revenue per second.
            max_iterations: Limit of the value iteration.

        Raises:
            ValueError: If `tolerance` is not above 0, or the policy takes an action that is not allowed.
            RuntimeError: If the iteration does not get there.
        """
        if not tolerance > 0:
            raise ValueError(f"`tolerance` must be above 0, got {tolerance}.")
        shape = len(self.services), len(self.queues)
        best = policy is None
        actions = np.full(shape, self.parameters.num_slices)
        if policy is not None:
            states, flat = self.states(), actions.reshape(-1)
            for first in range(0, len(flat), _BLOCK):
                block = states[first : first + _BLOCK]
                mask = action_mask(self.parameters, block)
                choice = mask[:, :-1].any(axis=1)
                taken = np.asarray(policy(block[choice]))
                if not mask[choice, taken].all():
                    raise ValueError("`policy` must take actions allowed by `action_mask`, got others in some states.")
                flat[first : first + _BLOCK][choice] = taken
        values = np.zeros(shape)
        low, high = _iterate(*self._numbers, best, actions, values, tolerance, max_iterations)
        if high - low > tolerance:
            raise RuntimeError(
                f"`max_iterations` {max_iterations} left the revenue per second between {low:.6g} and {high:.6g}; "
                "raise it, or `tolerance`."
            )
        return Solution((low + high) / 2, actions)

    def _kernel_numbers(self) -> tuple[np.ndarray, ...]:
        """Returns what `_iterate` needs: neighbours of the services, queues and their steps, rates and prices."""
        slices = self.parameters.slices
        neighbours = np.full((2, *self.services.shape), -1)
        for n, change in itertools.product(range(len(slices)), (0, 1)):
            moved = self.services.copy()
            moved[:, n] += 1 if change else -1
            exists = ((moved >= 0) & (moved < self._radix)).all(axis=1)
            neighbours[change, exists, n] = self._service_index[np.ravel_multi_index(moved[exists].T, self._radix)]
        places = np.array([entry.queue_places for entry in slices])
        rates = np.array([[entry.arrivals_per_s, 1 / entry.service_s, 1 / entry.timeout_s] for entry in slices])
        prices = np.array([[entry.revenue, entry.penalty] for entry in slices], np.float64)
        return self.services, neighbours, self.queues, self._queue_step, places, rates, prices


class OptimalPolicy:
    """Takes the action of a solution of the Markov chain.

    Args:
        model: The chain.
        solution: Of `model.solve()`.
    """

    def __init__(self, model: MarkovModel, solution: Solution) -> None:
        self.model, self.actions = model, solution.actions

    def __call__(self, states: np.ndarray) -> np.ndarray:
        return self.actions[self.model.index(states)]


def optimal_policy(parameters: AdmissionParameters, tolerance: float = 1e-6) -> OptimalPolicy:
    """Returns the optimal policy of a small network with exponential patience."""
    model = MarkovModel(parameters)
    return OptimalPolicy(model, model.solve(tolerance=tolerance))


def _service_states(parameters: AdmissionParameters, most: int) -> np.ndarray:
    """Returns all numbers of services that fit together, or raises `ValueError` if they are more than `most`."""
    found = [((), parameters.capacity)]
    for entry in parameters.slices:
        longer = []
        for services, free in found:
            count = 0
            while all(units >= 0 for units in free):
                longer.append(((*services, count), free))
                free = tuple(units - need for units, need in zip(free, entry.demand, strict=True))
                count += 1
        found = longer
        if len(found) > most:
            raise ValueError(
                f"`capacity` and `queue_places` must give at most {MOST_STATES} states for value iteration, got more; "
                "take the preset `small`."
            )
    return np.array([services for services, _ in found])


@njit(cache=True, error_model="numpy")
def _decide(neighbours, queues, queue_step, places, prices, best, actions, values, decided):
    """Writes into `decided` the values before the decisions, given those after; and the best actions if `best`.

    An admission leads to a state with fewer waiting requests, which comes earlier in the order of queues.
    """
    none = places.size
    for g in range(queues.shape[0]):
        settled, lost = g, 0.0
        for n in range(none):
            if queues[g, n] > places[n]:
                settled -= queue_step[n]
                lost += prices[n, 1]
        for s in range(values.shape[0]):
            found, action = values[s, settled] - lost, none
            for n in range(none):
                if queues[g, n] == 0 or neighbours[1, s, n] < 0 or not (best or actions[s, g] == n):
                    continue
                admitted = prices[n, 0] + decided[neighbours[1, s, n], g - queue_step[n]]
                if not best or admitted > found:
                    found, action = admitted, n
            decided[s, g] = found
            if best:
                actions[s, g] = action


@njit(cache=True, error_model="numpy")
def _iterate(
    services, neighbours, queues, queue_step, places, rates, prices, best, actions, values, tolerance, max_iterations
):
    """Iterates `values` and returns the bounds of the revenue per second (Puterman, 1994, section 8.5.5)."""
    num_services, num_queues, num_slices = values.shape[0], values.shape[1], places.size
    total = 0.0
    for n in range(num_slices):
        total += rates[n, 0] + services[:, n].max() * rates[n, 1] + places[n] * rates[n, 2]
    decided, low, high = np.zeros(values.shape), -np.inf, np.inf
    following = np.zeros(values.shape)
    for _ in range(max_iterations):
        _decide(neighbours, queues, queue_step, places, prices, best, actions, values, decided)
        low, high = np.inf, -np.inf
        for g in range(num_queues):
            is_settled = True
            for n in range(num_slices):
                is_settled &= queues[g, n] <= places[n]
            if not is_settled:
                continue
            for s in range(num_services):
                change = 0.0
                for n in range(num_slices):
                    change += rates[n, 0] * (decided[s, g + queue_step[n]] - values[s, g])
                    if services[s, n] > 0:
                        ended = decided[neighbours[0, s, n], g]
                        change += services[s, n] * rates[n, 1] * (ended - values[s, g])
                    if queues[g, n] > 0:
                        withdrawn = decided[s, g - queue_step[n]] - prices[n, 1]
                        change += queues[g, n] * rates[n, 2] * (withdrawn - values[s, g])
                low, high = min(low, change), max(high, change)
                following[s, g] = values[s, g] + change / total
        base = following[0, 0]
        for g in range(num_queues):
            for s in range(num_services):
                values[s, g] = following[s, g] - base
        if high - low <= tolerance:
            break
    return low, high
