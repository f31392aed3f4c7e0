"""Replay buffer: past transitions, drawn at random for learning."""

from __future__ import annotations

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
    """

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    next_observations: Tensor
    terminated: Tensor

    def to(self, device: torch.device) -> Batch:
        """Returns the batch on a device."""
        if self.observations.device == device:
            return self
        return Batch(*(getattr(self, name).to(device, non_blocking=True) for name in COLUMNS))

    def joined(self, other: Batch) -> Batch:
        """Returns the transitions of both."""
        return Batch(*(torch.cat((getattr(self, name), getattr(other, name))) for name in COLUMNS))


COLUMNS = ("observations", "actions", "rewards", "next_observations", "terminated")


class ReplayBuffer:
    """The last `capacity` transitions, in memory.

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
    ) -> None:
        """Adds transitions; shapes as in [`Batch`][gentwin.rl.replay.Batch].

        Raises:
            ValueError: If a shape does not fit, or an observation or a reward is not finite.
        """
        size = len(actions)
        shapes = ((size, self.observation_size), (size,), (size,), (size, self.observation_size), (size,))
        given = dict(zip(COLUMNS, (observations, actions, rewards, next_observations, terminated), strict=True))
        for (name, values), shape in zip(given.items(), shapes, strict=True):
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
        return Batch(*(self._columns[name].index_select(0, rows) for name in COLUMNS))

    def whole(self) -> Batch:
        """Returns all transitions; the order is that of addition until the buffer is full."""
        return Batch(*(self._columns[name][: len(self)] for name in COLUMNS))

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
        for name, column in self._columns.items():
            if state[name].shape != (size, *column.shape[1:]):
                raise ValueError(
                    f"`{name}` must have shape {(size, *column.shape[1:])}, got {tuple(state[name].shape)}; the buffer "
                    "was saved with another `buffer_size` or for other observations."
                )
            column[:size] = state[name]
        self.num_added = num_added
