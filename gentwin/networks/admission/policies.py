"""Anchors: the policies every learned one is compared with.

A policy is called with states of the schema, shape `(num_copies, num_slices, num_state)` in physical units, and returns
actions of shape `(num_copies,)`: the slice whose oldest request is admitted, or `num_slices` for none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from gentwin.networks.admission.network import action_mask, admission_schema, free_units
from gentwin.networks.admission.parameters import AdmissionParameters

Policy = Callable[[np.ndarray], np.ndarray]


class PriorityPolicy:
    """Admits the slice of highest priority among those that may be admitted and leave enough free.

    Args:
        parameters: Of the network.
        priority: One number per slice, the highest goes first; `None` for the longest wait of the oldest request.
        reserve: Share of every resource that must stay free after an admission, by the names of slices, 0 … 1; a slice
            that is not named may take the last unit.

    Raises:
        ValueError: If a share is not between 0 and 1, or `priority` has not one number per slice.
        KeyError: If there is no slice of that name.
    """

    def __init__(
        self,
        parameters: AdmissionParameters,
        priority: np.ndarray | None = None,
        reserve: Mapping[str, float] | None = None,
    ) -> None:
        self.parameters = parameters
        self.priority = None if priority is None else np.asarray(priority, np.float64)
        if self.priority is not None and self.priority.shape != (parameters.num_slices,):
            raise ValueError(f"`priority` must have {parameters.num_slices} entries, got shape {self.priority.shape}.")
        self.reserve = np.zeros(parameters.num_slices)
        for name, share in (reserve or {}).items():
            if not 0 <= share <= 1:
                raise ValueError(f"`reserve` of slice `{name}` must be between 0 and 1, got {share}.")
            self.reserve[parameters.slice_index(name)] = share
        demand = np.array([entry.demand for entry in parameters.slices], np.float64)
        self._needed = demand + np.ceil(self.reserve[:, None] * np.array(parameters.capacity) - 1e-9)
        self._wait = [entry.name for entry in admission_schema(parameters).state].index("oldest_wait_s")

    def __call__(self, states: np.ndarray) -> np.ndarray:
        free = free_units(self.parameters, states)[:, None]
        allowed = (states[:, :, 0] > 0) & (self._needed <= free).all(axis=2)
        rank = states[:, :, self._wait] if self.priority is None else self.priority
        best = np.where(allowed, rank, -np.inf).argmax(axis=1)
        return np.where(allowed.any(axis=1), best, self.parameters.num_slices)


def fifo_greedy(parameters: AdmissionParameters) -> PriorityPolicy:
    """Returns the physical policy: the request that has waited longest among those that fit."""
    return PriorityPolicy(parameters)


def revenue_density(parameters: AdmissionParameters) -> np.ndarray:
    """Returns what an admission of each slice is worth per second and share of the network it holds, `(num_slices,)`.

    It is (revenue + penalty) / (mean service time x sum over resources of demand / capacity).
    """
    share = np.array([entry.demand for entry in parameters.slices]) / np.array(parameters.capacity)
    worth = np.array([(entry.revenue + entry.penalty) / entry.service_s for entry in parameters.slices])
    return worth / share.sum(axis=1)


def revenue_greedy(parameters: AdmissionParameters) -> PriorityPolicy:
    """Returns the greedy policy by revenue per resource: the fitting slice of highest `revenue_density`."""
    return PriorityPolicy(parameters, revenue_density(parameters))


def trunk_reservation(parameters: AdmissionParameters, reserve: Mapping[str, float]) -> PriorityPolicy:
    """Returns the greedy policy by revenue per resource that keeps shares of the network free from some slices.

    Args:
        parameters: Of the network.
        reserve: As in [`PriorityPolicy`][gentwin.networks.admission.policies.PriorityPolicy].
    """
    return PriorityPolicy(parameters, revenue_density(parameters), reserve)


class RandomPolicy:
    """Draws every action uniformly from those allowed."""

    def __init__(self, parameters: AdmissionParameters, rng: np.random.Generator) -> None:
        self.parameters, self.rng = parameters, rng

    def __call__(self, states: np.ndarray) -> np.ndarray:
        mask = action_mask(self.parameters, states)
        return np.where(mask, self.rng.random(mask.shape), -1.0).argmax(axis=1)
