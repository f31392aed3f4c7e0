"""The admission network: a batch of independent networks, stepped from decision to decision."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from gentwin.networks.admission import kernel
from gentwin.networks.admission import state as st
from gentwin.networks.admission.draws import LONGEST
from gentwin.networks.admission.parameters import AdmissionParameters
from gentwin.networks.batch import checked_copies, checked_keys, run_in_parts
from gentwin.networks.masks import allowed_actions
from gentwin.schema import Field, TransitionSchema

SLICE_COLUMNS = {
    "queued": st.QUEUED,
    "oldest_wait_s": st.OLDEST_WAIT_S,
    "requesting": st.REQUESTING,
    "in_service": st.IN_SERVICE,
    "arrived": st.ARRIVED,
    "admitted": st.ADMITTED,
    "completed": st.COMPLETED,
    "timed_out": st.TIMED_OUT,
    "blocked": st.BLOCKED,
}


def admission_schema(parameters: AdmissionParameters) -> TransitionSchema:
    """Returns the fields of a transition of the admission network, with units and ranges.

    A transition goes from one decision to the next, so its duration varies: it is the outcome `elapsed_s`. The field
    `step_ms` is the mean time between two arrivals. Fields of the whole network (`free_…`, `used_…`, `elapsed_s`) have
    the same value in every slice.
    """
    p = parameters
    longest_s = max(entry.timeout_s for entry in p.slices) * (LONGEST if p.patience == "exponential" else 1.0)
    most_queued = max(entry.queue_places for entry in p.slices) + 1.0
    count = {"unit": "requests", "scale": "log1p", "atoms": (0,)}
    free = [Field(f"free_{name}", "1", 0, 1, atoms=(0, 1), description=f"free share of {name}") for name in p.resources]
    used = [Field(f"used_{name}", "1", 0, 1, description=f"mean share of {name} in use") for name in p.resources]
    return TransitionSchema(
        name=f"admission_{p.preset}",
        slices=tuple(entry.name for entry in p.slices),
        step_ms=1e3 / sum(entry.arrivals_per_s for entry in p.slices),
        state=(
            Field("queued", "requests", 0, most_queued, atoms=(0,), description="requests waiting"),
            Field("oldest_wait_s", "s", 0, longest_s, atoms=(0,), description="time the oldest one has waited"),
            Field("requesting", "1", 0, 1, atoms=(0, 1), description="1 where an arrival opened the round"),
            Field("in_service", "services", 0, p.most_services, atoms=(0,), description="services in progress"),
            *free,
        ),
        action=(Field("admitted", "requests", 0, 1, atoms=(0, 1), description="whether the oldest one is admitted"),),
        outcome=(
            Field("arrived", **count, description="requests that arrived"),
            Field("completed", **count | {"unit": "services"}, description="services that ended"),
            Field("timed_out", **count, description="requests withdrawn"),
            Field("blocked", **count, description="requests lost at a full queue"),
            Field("elapsed_s", "s", scale="log1p", atoms=(0,), description="time to the next decision"),
            *used,
        ),
    )


def free_units(parameters: AdmissionParameters, states: np.ndarray) -> np.ndarray:
    """Returns the free units of each resource in states of the schema.

    Args:
        parameters: Of the network.
        states: `(B, num_slices, num_state)`.

    Returns:
        `(B, num_resources)` float64, whole numbers.
    """
    return np.rint(states[:, 0, -parameters.num_resources :] * np.array(parameters.capacity, np.float64))


def action_mask(parameters: AdmissionParameters, states: np.ndarray) -> np.ndarray:
    """Returns which actions are allowed in states of the schema.

    Args:
        parameters: Of the network.
        states: `(B, num_slices, num_state)`.

    Returns:
        `(B, num_slices + 1)` bool: true for a slice of which a request waits and fits, and for none, the last.
    """
    demand = np.array([entry.demand for entry in parameters.slices], np.float64)
    return allowed_actions(states[:, :, 0], free_units(parameters, states), demand)


def resource_demand(parameters: AdmissionParameters) -> dict[str, dict[str, Any]]:
    """Returns `capacity`, units by resource, and `demand`, units of each resource by slice."""
    return {
        "capacity": dict(zip(parameters.resources, parameters.capacity, strict=True)),
        "demand": {entry.name: list(entry.demand) for entry in parameters.slices},
    }


def slice_revenue(parameters: AdmissionParameters, admitted: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """Returns what numbers of requests are worth: the revenue of those admitted less the penalty of those lost.

    Args:
        parameters: Of the network.
        admitted: `(…, num_slices)` requests admitted.
        lost: `(…, num_slices)` requests timed out or blocked.

    Returns:
        `(…, num_slices)` float64.
    """
    earned = np.array([entry.revenue for entry in parameters.slices], np.float64)
    paid = np.array([entry.penalty for entry in parameters.slices], np.float64)
    return admitted * earned - lost * paid


class AdmissionNetwork:
    """A batch of independent copies of the admission network.

    There is a decision whenever a waiting request fits; between decisions time passes by itself. An action is the index
    of the slice whose oldest request is admitted, or `num_slices` for none. After an admission no time passes if there
    is still a choice.

    Args:
        parameters: What to simulate, from [`admission_parameters`][gentwin.networks.admission.admission_parameters].
        num_copies: Number of copies `C`.
        num_threads: Threads that share the copies, all cores by default.

    Attributes:
        schema: Fields of a transition.
        masks: `(C, num_slices + 1)` int8, 1 where an action is allowed now; none always is.
        elapsed_s: `(C,)` time between the last decision and this one, seconds.
    """

    def __init__(self, parameters: AdmissionParameters, num_copies: int = 1, num_threads: int | None = None) -> None:
        if num_copies < 1:
            raise ValueError(f"`num_copies` must be at least 1, got {num_copies}.")
        self.parameters = parameters
        self.num_copies = num_copies
        self.schema = admission_schema(parameters)
        self._numbers = st.kernel_parameters(parameters)[0]
        self._capacity = np.array(parameters.capacity, np.float64)
        self._state = np.zeros(num_copies, st.COPY)
        self._slices = np.zeros((num_copies, parameters.num_slices, st.NUM_SLICE_OUTPUTS))
        self._resources = np.zeros((num_copies, parameters.num_resources, st.NUM_RESOURCE_OUTPUTS))
        self.masks = np.zeros((num_copies, parameters.num_slices + 1), np.int8)
        self.elapsed_s = np.zeros(num_copies)
        self._num_threads = num_threads or os.cpu_count() or 1
        self._needs_reset = np.ones(num_copies, dtype=bool)

    @property
    def none(self) -> int:
        """The action that admits no request."""
        return self.parameters.num_slices

    def reset(self, keys: np.ndarray, copies: np.ndarray | None = None) -> None:
        """Starts copies anew, up to their first decision after the warm-up.

        Args:
            keys: uint64 random keys, one per copy to reset; equal keys give equal requests.
            copies: Indices of the copies to reset, all by default.

        Raises:
            ValueError: If the copies are not different copies of this network, or the keys are not one per copy.
        """
        copies = checked_copies(copies, self.num_copies)
        keys = checked_keys("keys", keys, len(copies))
        state = np.zeros(len(copies), st.COPY)
        slices, resources, masks = (
            np.zeros((len(copies), *array.shape[1:]), array.dtype)
            for array in (self._slices, self._resources, self.masks)
        )

        def reset_part(part: slice) -> None:
            kernel.reset_copies(self._numbers, state[part], keys[part], slices[part], resources[part], masks[part])

        run_in_parts(reset_part, len(copies), self._num_threads)
        self._state[copies], self.masks[copies], self.elapsed_s[copies] = state, masks, 0.0
        self._slices[copies], self._resources[copies] = slices, resources
        self._needs_reset[copies] = False

    def step(self, actions: np.ndarray) -> None:
        """Takes one decision in every copy and goes on to the next one.

        Args:
            actions: `(C,)` integers: the slice whose oldest request is admitted, or `num_slices` for none.

        Raises:
            RuntimeError: If a copy has not been reset.
            ValueError: If the shape is wrong, or an action is not allowed by `masks`.
        """
        if self._needs_reset.any():
            raise RuntimeError(
                "the admission network must be reset before its first step; call `reset` with random keys."
            )
        actions = np.asarray(actions)
        if actions.shape != (self.num_copies,) or actions.dtype.kind not in "iu":
            raise ValueError(
                f"`actions` must be {self.num_copies} integers, got {actions.dtype} of shape {actions.shape}."
            )
        if actions.min() < 0 or actions.max() > self.none:
            raise ValueError(f"`actions` must be in 0 … {self.none}, got {actions.min()} … {actions.max()}.")
        forbidden = np.flatnonzero(self.masks[np.arange(self.num_copies), actions] == 0)
        if forbidden.size:
            first = forbidden[0]
            raise ValueError(
                f"`actions` must be allowed by `masks`, {self.masks[first].tolist()} in copy {first}, got "
                f"{actions[first]} there; take {self.none} to admit none."
            )
        self.step_allowed(actions)

    def step_allowed(self, actions: np.ndarray) -> None:
        """As `step`, with actions `(C,)` that the caller has checked."""
        actions = np.asarray(actions, np.int64)

        def step_part(part: slice) -> None:
            kernel.step_copies(
                self._numbers, self._state[part], actions[part], self._slices[part], self._resources[part],
                self.masks[part], self.elapsed_s[part],
            )  # fmt: skip

        run_in_parts(step_part, self.num_copies, self._num_threads)

    def values(self, name: str) -> np.ndarray:
        """Returns a quantity of every slice by name, `(C, num_slices)` float64.

        Args:
            name: `queued`, `oldest_wait_s`, `requesting` or `in_service`, which are true now; or `arrived`, `admitted`,
                `completed`, `timed_out` or `blocked`, counted since the last decision.
        """
        return self._slices[:, :, SLICE_COLUMNS[name]].copy()

    @property
    def free(self) -> np.ndarray:
        """Free share of each resource, `(C, num_resources)`."""
        return self._resources[:, :, st.FREE] / self._capacity

    @property
    def used(self) -> np.ndarray:
        """Mean share of each resource in use since the last decision, `(C, num_resources)`; now if no time passed."""
        return self._resources[:, :, st.USED] / self._capacity

    @property
    def time_s(self) -> np.ndarray:
        """Time since the start of each copy, `(C,)` seconds, the warm-up included."""
        return self._state["time_s"].copy()

    def state_values(self) -> np.ndarray:
        """Returns the state fields of the schema, `(C, num_slices, num_state)` float64."""
        shape = (self.num_copies, self.parameters.num_slices, self.parameters.num_resources)
        return np.concatenate(
            [self._slices[:, :, : st.IN_SERVICE + 1], np.broadcast_to(self.free[:, None], shape)], axis=2
        )

    def outcome_values(self) -> np.ndarray:
        """Returns the outcome fields of the schema, `(C, num_slices, num_outcome)` float64."""
        counts = self._slices[:, :, [st.ARRIVED, st.COMPLETED, st.TIMED_OUT, st.BLOCKED]]
        network = np.concatenate([self.elapsed_s[:, None], self.used], axis=1)[:, None]
        shape = (self.num_copies, self.parameters.num_slices, network.shape[2])
        return np.concatenate([counts, np.broadcast_to(network, shape)], axis=2)

    def snapshot(self) -> dict[str, np.ndarray]:
        """Returns a copy of the state, for [`restore`][gentwin.networks.admission.AdmissionNetwork.restore]."""
        return {name: array.copy() for name, array in self._arrays().items()}

    def restore(self, snapshot: dict[str, np.ndarray]) -> None:
        """Goes back to a snapshot of a network with the same parameters and number of copies."""
        for name, array in self._arrays().items():
            if array.shape != snapshot[name].shape:
                raise ValueError(f"`snapshot` must have {array.shape} {name}, got {snapshot[name].shape}.")
        for name, array in self._arrays().items():
            array[:] = snapshot[name]
        self._needs_reset[:] = False

    def _arrays(self) -> dict[str, np.ndarray]:
        return {
            "state": self._state,
            "slices": self._slices,
            "resources": self._resources,
            "masks": self.masks,
            "elapsed_s": self.elapsed_s,
        }
