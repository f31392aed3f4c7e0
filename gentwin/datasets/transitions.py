"""Records of a sliced network as arrays, one entry per decision."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gentwin.datasets.validation import Rows, TransitionError, check_continuity, check_keys, check_values, follows
from gentwin.schema import TransitionSchema

if TYPE_CHECKING:
    import datasets

ROLES = ("state", "action", "context", "outcome", "next_state")


def role_fields(schema: TransitionSchema, role: str) -> tuple:
    """The fields of one array of [`Transitions`][gentwin.datasets.Transitions]; `next_state` has those of `state`."""
    return schema.state if role == "next_state" else getattr(schema, role)


@dataclass(frozen=True, eq=False)
class Transitions:
    """Transitions of a sliced network, sorted by episode, then step.

    Args:
        schema: Slices and fields; their order is the order of the array axes.
        episode: `(num_steps,)` int64. An episode is one uninterrupted experiment.
        step: `(num_steps,)` int64. Consecutive decisions have consecutive numbers; a gap is an interruption.
        state: `(num_steps, num_slices, num_state)` float32, at the decision, in the units of the schema.
        action: `(num_steps, num_slices, num_action)` float32.
        next_state: `(num_steps, num_slices, num_state)` float32, at the end of the window.
        context: `(num_steps, num_slices, num_context)` float32; may be left out if the schema has no context fields.
        outcome: `(num_steps, num_slices, num_outcome)` float32, over the window after the decision; may be left out if
            the schema has no outcome fields.
        seed: Seed of the recording, if it had one.
        provenance: Free JSON-able facts about the origin.

    Raises:
        TransitionError: If an array does not have the shape and type above. Values are checked where records enter
            or leave, in `read_transitions` and `write_transitions`.
    """

    schema: TransitionSchema
    episode: np.ndarray
    step: np.ndarray
    state: np.ndarray
    action: np.ndarray
    next_state: np.ndarray
    context: np.ndarray | None = None
    outcome: np.ndarray | None = None
    seed: int | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        num_steps, num_slices = len(self.episode), len(self.schema.slices)
        for role in ("context", "outcome"):
            if getattr(self, role) is None:
                object.__setattr__(self, role, np.zeros((num_steps, num_slices, 0), np.float32))
        shapes = {role: (num_steps, num_slices, len(role_fields(self.schema, role))) for role in ROLES}
        shapes |= {"episode": (num_steps,), "step": (num_steps,)}
        for name, shape in shapes.items():
            array = getattr(self, name)
            dtype = np.int64 if name in ("episode", "step") else np.float32
            if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != dtype:
                got = f"{array.shape} {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
                raise TransitionError(f"`{name}` must be an array {shape} {np.dtype(dtype)}, got {got}.")

    def __len__(self) -> int:
        return len(self.episode)

    @functools.cached_property
    def targets(self) -> np.ndarray:
        """`(num_steps, num_slices, num_state + num_outcome)` float32: the next state, then the outcome."""
        return np.concatenate([self.next_state, self.outcome], axis=-1)

    @functools.cached_property
    def episodes(self) -> np.ndarray:
        """`(num_episodes,)` int64: the episode numbers in order."""
        return np.unique(self.episode)

    @functools.cached_property
    def runs(self) -> np.ndarray:
        """`(num_runs, 2)` int64: start and end (exclusive) of every stretch without a gap, within one episode."""
        breaks = np.flatnonzero(~follows(self.episode, self.step)) + 1 if len(self) else []
        edges = np.concatenate([[0], breaks, [len(self)]]).astype(np.int64)
        return np.stack([edges[:-1], edges[1:]], axis=1)[np.diff(edges) > 0]

    def validate(self, source: str = "transitions") -> None:
        """Checks order, ranges and continuity.

        Args:
            source: Name of the record in error messages.

        Raises:
            TransitionError: At the first violation, with column, row (`step * num_slices + slice`) and remedy.
        """
        if not len(self):
            raise TransitionError(f"{source}: no steps; record or convert at least one.")
        slices = self.schema.slices

        def describe(row: int) -> str:
            index, position = divmod(row, len(slices))
            where = f"episode {self.episode[index]}, step {self.step[index]}, slice {slices[position]!r}"
            return f"row {row} ({where})"

        rows = Rows(source, describe)
        position = np.tile(np.arange(len(slices)), len(self))
        check_keys(self.episode.repeat(len(slices)), self.step.repeat(len(slices)), position, slices, rows)
        for role in ROLES:
            prefix = "next_" if role == "next_state" else ""
            for index, declared in enumerate(role_fields(self.schema, role)):
                values = getattr(self, role)[:, :, index].reshape(-1)
                check_values(values, declared, prefix + declared.name, rows)
        columns = [f"next_{declared.name}" for declared in self.schema.state]
        check_continuity(self.episode, self.step, self.state, self.next_state, columns, rows)

    def take(self, index: np.ndarray) -> Transitions:
        """Returns the steps at `index`, an increasing integer array or a boolean mask `(num_steps,)`."""
        arrays = {name: getattr(self, name)[index] for name in ("episode", "step", *ROLES)}
        return dataclasses.replace(self, **arrays)

    def select(self, episodes: Iterable[int]) -> Transitions:
        """Returns the steps of some episodes.

        Args:
            episodes: Episode numbers, in any order.

        Raises:
            KeyError: If an episode is not in the record.
        """
        wanted = np.asarray(list(episodes), dtype=np.int64)
        missing = np.setdiff1d(wanted, self.episodes)
        if missing.size:
            raise KeyError(f"no episode {missing[0]}; the record has {len(self.episodes)} episodes, see `episodes`.")
        return self.take(np.isin(self.episode, wanted))

    def split(self, sizes: float | int | Sequence[float | int], seed: int) -> tuple[Transitions, ...]:
        """Divides the record by whole episodes, at random and reproducibly.

        Args:
            sizes: Size of the first of two parts, or the sizes of all parts. Floats are fractions of the episodes
                that add up to 1; integers are numbers of episodes that add up to all of them.
            seed: The same seed gives the same division.

        Returns:
            The parts, each with at least one episode.

        Raises:
            ValueError: If the sizes do not add up or a part would be empty.
        """
        counts = _part_counts(sizes, len(self.episodes))
        order = np.random.default_rng(seed).permutation(self.episodes)
        edges = np.cumsum([0, *counts])
        return tuple(self.select(order[start:stop]) for start, stop in itertools.pairwise(edges))

    def sequences(self, length: int, stride: int | None = None) -> datasets.Dataset:
        """Cuts windows of consecutive steps, with the columns the `forward` of a twin takes.

        See [`cut_sequences`][gentwin.datasets.cut_sequences] for arguments and columns.
        """
        from gentwin.datasets.sequences import cut_sequences

        return cut_sequences(self, length, stride)

    def fingerprint(self) -> str:
        """SHA-256 (hexadecimal) of schema and values, for model cards; the same content gives the same digest."""
        digest = hashlib.sha256(json.dumps(self.schema.to_dict(), sort_keys=True).encode())
        for name in ("episode", "step", *ROLES):
            array = getattr(self, name)
            digest.update(f"{name}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes())
        return digest.hexdigest()


def _part_counts(sizes: float | int | Sequence[float | int], num_episodes: int) -> list[int]:
    scalar = isinstance(sizes, int | float)
    values = [sizes] if scalar else list(sizes)
    fractions = all(isinstance(value, float) for value in values)
    if not fractions and not all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        raise ValueError(f"`sizes` must be all fractions or all counts, got {sizes!r}; use floats or integers.")
    total = 1.0 if fractions else num_episodes
    if scalar:
        values.append(total - values[0])
    if abs(sum(values) - total) > 1e-6:
        raise ValueError(f"`sizes` must add up to {total}, got {sizes!r}; name the size of every part.")
    edges = [round(num_episodes * edge) for edge in np.cumsum([0.0, *values])] if fractions else np.cumsum([0, *values])
    counts = [int(count) for count in np.diff(edges)]
    if min(counts) < 1:
        raise ValueError(f"`sizes` must leave an episode in every part, got {sizes!r} of {num_episodes} episodes.")
    return counts


def concatenate(parts: Sequence[Transitions]) -> Transitions:
    """Joins records of one schema; episodes are numbered on, so those of different parts never merge.

    Args:
        parts: At least one record. Each keeps its own provenance under `provenance["parts"]`.

    Raises:
        TransitionError: If there are no parts or their schemas differ.
    """
    if not parts:
        raise TransitionError("`parts` must hold at least one record, got none.")
    for index, part in enumerate(parts):
        if part.schema != parts[0].schema:
            raise TransitionError(f"part {index} has another schema than part 0; convert both to one schema first.")
    episode, offset = [], 0
    for part in parts:
        episode.append(np.searchsorted(part.episodes, part.episode) + offset)
        offset += len(part.episodes)
    return Transitions(
        schema=parts[0].schema,
        episode=np.concatenate(episode).astype(np.int64),
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in ("step", *ROLES)},
        provenance={"parts": [{"seed": part.seed, **part.provenance} for part in parts]},
    )
