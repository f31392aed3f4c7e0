"""Replay buffer: past transitions, drawn at random for learning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Transitions to learn from.

    Args:
        observations: `(B, F)` float32.
        actions: `(B,)` int64.
        rewards: `(B,)` float32.
        next_observations: `(B, F)` float32; after a truncation the last observation of the episode that was cut off.
        terminated: `(B,)` float32, 1 where the episode came to its end, so that nothing follows; 0 where it was cut
            off.
        next_masks: `(B, A)` bool, true where an action is allowed in the next state; `None` where all always are.
        elapsed_s: `(B,)` float32, time from the action to the next one, seconds; `None` where every step counts the
            same.
    """

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    next_observations: Tensor
    terminated: Tensor
    next_masks: Tensor | None = None
    elapsed_s: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """Returns the batch on a device."""
        if self.observations.device == device:
            return self
        return self._mapped(lambda values: values.to(device, non_blocking=True))

    def joined(self, other: Batch) -> Batch:
        """Returns the transitions of both."""
        return Batch(**{name: torch.cat((values, getattr(other, name))) for name, values in self._given().items()})

    def _given(self) -> dict[str, Tensor]:
        return {name: getattr(self, name) for name in (*COLUMNS, *OPTIONAL) if getattr(self, name) is not None}

    def _mapped(self, change: Callable[[Tensor], Tensor]) -> Batch:
        return Batch(**{name: change(values) for name, values in self._given().items()})


COLUMNS = ("observations", "actions", "rewards", "next_observations", "terminated")
OPTIONAL = ("next_masks", "elapsed_s")


class ReplayBuffer:
    """The last `capacity` transitions, in memory.

    Masks and times are kept if the first transitions have them; then all must.

    Args:
        capacity: Transitions kept; the oldest give way.
        observation_size: Entries of an observation.

    Raises:
        ValueError: If a size is not positive.
    """

    def __init__(self, capacity: int, observation_size: int) -> None:
        for name, value in (("capacity", capacity), ("observation_size", observation_size)):
            if value < 1:
                raise ValueError(f"`{name}` must be at least 1, got {value}.")
        self.capacity, self.observation_size = capacity, observation_size
        self.num_added = 0
        self._columns = {
            "observations": torch.zeros(capacity, observation_size),
            "actions": torch.zeros(capacity, dtype=torch.int64),
            "rewards": torch.zeros(capacity),
            "next_observations": torch.zeros(capacity, observation_size),
            "terminated": torch.zeros(capacity),
        }
        self._arrays = {name: column.numpy() for name, column in self._columns.items()}  # the same memory

    def __len__(self) -> int:
        return min(self.num_added, self.capacity)

    def add(
        self,
        observations: np.ndarray,
        actions: np.ndarray,
        rewards: np.ndarray,
        next_observations: np.ndarray,
        terminated: np.ndarray,
        next_masks: np.ndarray | None = None,
        elapsed_s: np.ndarray | None = None,
    ) -> None:
        """Adds transitions; shapes as in [`Batch`][gentwin.rl.replay.Batch].

        Raises:
            ValueError: If a shape does not fit, an observation or a reward is not finite, or masks or times are given
                for some transitions only.
        """
        size = len(actions)
        given = dict(zip(COLUMNS, (observations, actions, rewards, next_observations, terminated), strict=True))
        given |= {
            name: values for name, values in zip(OPTIONAL, (next_masks, elapsed_s), strict=True) if values is not None
        }
        if not self.num_added:
            self._make_room(next_masks, elapsed_s)
        if given.keys() != self._columns.keys():
            raise ValueError(f"transitions must have {list(self._columns)}, as the first ones had, got {list(given)}.")
        for name, values in given.items():
            shape = (size, *self._columns[name].shape[1:])
            if np.shape(values) != shape:
                raise ValueError(f"`{name}` must have shape {shape}, got {np.shape(values)}.")
            if not np.isfinite(values).all():
                raise ValueError(f"`{name}` must be finite; the environment returned NaN or infinity.")
        first = self.num_added % self.capacity
        if size <= self.capacity - first:
            rows = slice(first, first + size)
        else:
            kept = np.arange(max(0, size - self.capacity), size)
            rows = (first + kept) % self.capacity
            given = {name: values[kept] for name, values in given.items()}
        for name, values in given.items():
            self._arrays[name][rows] = values
        self.num_added += size

    def _make_room(self, next_masks: np.ndarray | None, elapsed_s: np.ndarray | None) -> None:
        """Adds the columns of masks and times that the first transitions have, and drops those they have not."""
        columns = {name: self._columns[name] for name in COLUMNS}
        if next_masks is not None:
            columns["next_masks"] = torch.zeros(self.capacity, np.shape(next_masks)[-1], dtype=torch.bool)
        if elapsed_s is not None:
            columns["elapsed_s"] = torch.zeros(self.capacity)
        self._columns = columns
        self._arrays = {name: column.numpy() for name, column in columns.items()}

    def sample(self, batch_size: int, rng: np.random.Generator) -> Batch:
        """Draws transitions uniformly, with replacement.

        Raises:
            ValueError: If the buffer is empty.
        """
        if not self.num_added:
            raise ValueError("`sample` needs at least one transition, the buffer holds none.")
        return self.take(torch.from_numpy(rng.integers(len(self), size=batch_size)))

    def take(self, rows: Tensor) -> Batch:
        """Returns the transitions at `rows` `(B,)` int64."""
        return Batch(**{name: values.index_select(0, rows) for name, values in self._columns.items()})

    def whole(self) -> Batch:
        """Returns all transitions; the order is that of addition until the buffer is full."""
        return Batch(**{name: values[: len(self)] for name, values in self._columns.items()})

    def state_dict(self) -> dict[str, Tensor]:
        """Returns what `load_state_dict` needs, as tensors."""
        columns = {name: values[: len(self)].clone() for name, values in self._columns.items()}
        return {**columns, "num_added": torch.tensor(self.num_added)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Puts back the contents.

        Raises:
            ValueError: If they are of a buffer of another size.
        """
        num_added = int(state["num_added"])
        size = min(num_added, self.capacity)
        self._make_room(state.get("next_masks"), state.get("elapsed_s"))
        for name, column in self._columns.items():
            if state[name].shape != (size, *column.shape[1:]):
                raise ValueError(
                    f"`{name}` must have shape {(size, *column.shape[1:])}, got {tuple(state[name].shape)}; the buffer "
                    "was saved with another `buffer_size` or for other observations."
                )
            column[:size] = state[name]
        self.num_added = num_added
