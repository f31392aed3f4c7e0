"""Records of decisions: states, which actions were allowed, and the action taken; read from transitions and checked."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from gentwin.datasets.parquet import open_parquet, read_columns, read_schema, slice_positions
from gentwin.datasets.transitions import Transitions
from gentwin.datasets.validation import TransitionError
from gentwin.networks.masks import allowed_actions
from gentwin.schema import TransitionSchema

SEEN = ("queued", "oldest_wait_s", "requesting")  # of a slice, besides the free share of every resource
FREE, ADMITTED = "free_", "admitted"
ON_FAULT = ("refuse", "drop", "keep")
REMEDIES = {
    "unknown_slice": "add the demand of the slice, or remove its rows",
    "incomplete": "a decision needs one row of each slice",
    "not_finite": "drop or measure the decision again",
    "ambiguous_action": "`admitted` must be 1 in at most one slice and 0 in the others",
    "negative_resource": "a free share is at least 0; measure it before the admission is taken off",
    "out_of_range": "convert the column to the unit of the schema, or correct the range in the schema",
    "forbidden_action": "check `capacity` and `demand`, and that the state is that before the decision",
    "contradiction": "the policy draws its actions or sees more than the record tells",
}
UNUSABLE = ("unknown_slice", "incomplete", "not_finite", "ambiguous_action")


def policy_schema(schema: TransitionSchema) -> TransitionSchema:
    """Returns what a policy of admission control sees and does, of the schema of a network.

    Args:
        schema: With the state fields `queued`, `oldest_wait_s`, `requesting`, `free_<resource>`, and the action
            `admitted`.

    Raises:
        TransitionError: If a field is missing.
    """
    names = [entry.name for entry in schema.state]
    missing = [name for name in SEEN if name not in names]
    missing += [] if any(name.startswith(FREE) for name in names) else [f"{FREE}<resource>"]
    missing += [] if [entry.name for entry in schema.action] == [ADMITTED] else [ADMITTED]
    if missing:
        raise TransitionError(
            f"`schema` must be that of admission control, got {names} without {', '.join(missing)}; record "
            "`gentwin/SliceAdmission-v0`, or name the fields like its own."
        )
    free = [entry for entry in schema.state if entry.name.startswith(FREE)]
    return dataclasses.replace(schema, state=(*(schema.field(name) for name in SEEN), *free), context=(), outcome=())


@dataclass(frozen=True, eq=False)
class Decisions:
    """Decisions of a policy of admission control, by episode.

    Args:
        schema: From `policy_schema`.
        episode: `(N,)` int64.
        states: `(N, K, S)` float32, in the units of the schema.
        masks: `(N, K + 1)` bool, true where an action was allowed; the last action admits none.
        actions: `(N,)` int64.
        faults: Numbers of faulty decisions by kind that the source had, those kept and those left out.
    """

    schema: TransitionSchema
    episode: np.ndarray
    states: np.ndarray
    masks: np.ndarray
    actions: np.ndarray
    faults: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.actions)

    def take(self, index: np.ndarray) -> Decisions:
        """Returns the decisions at `index`, integers or a boolean mask `(N,)`."""
        arrays = {name: getattr(self, name)[index] for name in ("episode", "states", "masks", "actions")}
        return dataclasses.replace(self, **arrays)

    @property
    def episodes(self) -> np.ndarray:
        """`(num_episodes,)` int64: the episode numbers in order."""
        return np.unique(self.episode)

    def split(self, sizes: Sequence[int], seed: int) -> tuple[Decisions, ...]:
        """Divides the record by whole episodes, at random and reproducibly.

        Args:
            sizes: Numbers of episodes of the parts, at least 1 each; they add up to all episodes.
            seed: The same seed gives the same division.
        """
        if min(sizes) < 1 or sum(sizes) != len(self.episodes):
            raise ValueError(f"`sizes` must be positive and add up to {len(self.episodes)} episodes, got {sizes}.")
        order = np.random.default_rng(seed).permutation(self.episodes)
        parts = np.split(order, np.cumsum(sizes)[:-1])
        return tuple(self.take(np.isin(self.episode, part)) for part in parts)

    def fingerprint(self) -> str:
        """SHA-256 (hexadecimal) of schema and values, for model cards; the same content gives the same digest."""
        digest = hashlib.sha256(json.dumps(self.schema.to_dict(), sort_keys=True).encode())
        for name in ("episode", "states", "masks", "actions"):
            array = getattr(self, name)
            digest.update(f"{name}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes())
        return digest.hexdigest()


def read_decisions(
    path: str | os.PathLike,
    capacity: Mapping[str, int],
    demand: Mapping[str, Sequence[int]],
    on_fault: str = "refuse",
) -> Decisions:
    """Reads the decisions in a file of transitions, faulty ones included, and checks them.

    Args:
        path: Parquet file of transitions; outcomes and next states are not needed.
        capacity: Units of each resource, by name.
        demand: Units of each resource that a service holds, in the order of the record, by the names of slices.
        on_fault: `refuse`, `drop` faulty decisions, or `keep` those that can be used.

    Raises:
        FileNotFoundError: If there is no such file.
        TransitionError: If the file is damaged or lacks a column; with `refuse`, if decisions are faulty, naming every
            fault with its count; if no decision is left.
        ValueError: If `capacity`, `demand` or `on_fault` do not fit.
    """
    source = os.fspath(path)
    with open_parquet(path) as file:
        schema = policy_schema(read_schema(file, source))
        columns = [entry.name for entry in (*schema.state, *schema.action)]
        kinds = {"episode": "integer", "step": "integer", "slice": "string"} | dict.fromkeys(columns, "number")
        table = read_columns(file, kinds, source)
    positions, unknown = slice_positions(table.column("slice"), schema.slices, source)
    episode, step = (table.column(name).to_numpy().astype(np.int64) for name in ("episode", "step"))
    order = np.lexsort((step, episode))
    episode, step, positions = episode[order], step[order], positions[order]
    with np.errstate(over="ignore"):  # a value beyond float32 becomes infinite and is reported as such
        values = np.stack([table.column(name).to_numpy().astype(np.float32)[order] for name in columns], axis=1)
    starts = np.concatenate([[True], (np.diff(episode) != 0) | (np.diff(step) != 0)])
    decision, count = np.cumsum(starts) - 1, int(starts.sum())
    known = positions >= 0
    rows = np.zeros((count, len(schema.slices)), np.int64)
    np.add.at(rows, (decision[known], positions[known]), 1)
    filled = np.zeros((count, len(schema.slices), len(columns)), np.float32)
    filled[decision[known], positions[known]] = values[known]
    found = {"unknown_slice": np.zeros(count, bool), "incomplete": (rows != 1).any(axis=1)}
    found["unknown_slice"][decision[~known]] = True
    where = f"{source}: " + (f"slices without demand: {', '.join(unknown)}; " if unknown else "")
    keys = episode[starts], step[starts]
    return _checked(schema, keys, filled[..., :-1], filled[..., -1], capacity, demand, on_fault, found, where)


def decisions_of(
    transitions: Transitions,
    capacity: Mapping[str, int],
    demand: Mapping[str, Sequence[int]],
    on_fault: str = "refuse",
) -> Decisions:
    """Returns the decisions of a record in memory; arguments and errors as in `read_decisions`."""
    schema = policy_schema(transitions.schema)
    names = [entry.name for entry in transitions.schema.state]
    states = transitions.state[:, :, [names.index(entry.name) for entry in schema.state]]
    keys = transitions.episode, transitions.step
    return _checked(schema, keys, states, transitions.action[..., 0], capacity, demand, on_fault, {}, "transitions: ")


def _checked(
    schema: TransitionSchema,
    keys: tuple[np.ndarray, np.ndarray],
    states: np.ndarray,
    admitted: np.ndarray,
    capacity: Mapping[str, int],
    demand: Mapping[str, Sequence[int]],
    on_fault: str,
    found: dict[str, np.ndarray],
    where: str,
) -> Decisions:
    """Returns the decisions of states `(N, K, S)` and admissions `(N, K)`; `keys` are episodes and steps `(N,)`."""
    if on_fault not in ON_FAULT:
        raise ValueError(f"`on_fault` must be one of {ON_FAULT}, got {on_fault!r}.")
    units, needed = _units(schema, capacity, demand)
    num_slices = len(schema.slices)
    actions = np.where(admitted.any(axis=1), admitted.argmax(axis=1), num_slices).astype(np.int64)
    free = np.rint(states[:, 0, len(SEEN) :] * units)
    masks = allowed_actions(states[:, :, 0], free, needed)
    allowed = np.take_along_axis(masks, actions[:, None], axis=1)[:, 0]
    low, high = (np.array([getattr(entry, end) for entry in schema.state], np.float32) for end in ("low", "high"))
    outside = (states < low) | (states > high)
    negative = states[:, :, len(SEEN) :] < 0
    unclear = ~np.isin(admitted, (0, 1)).all(axis=1) | (admitted.sum(axis=1) > 1)
    complete = ~np.any([np.zeros(len(states), bool), *found.values()], axis=0)
    finite = np.isfinite(states).all(axis=(1, 2)) & np.isfinite(admitted).all(axis=1)
    usable = complete & finite & ~unclear
    found |= {
        "not_finite": complete & ~finite,
        "ambiguous_action": complete & finite & unclear,
        "negative_resource": usable & negative.any(axis=(1, 2)),
        "out_of_range": usable & (outside.any(axis=(1, 2)) & ~negative.any(axis=(1, 2))),
        "forbidden_action": usable & ~allowed,
    }
    found["contradiction"] = _contradictions(states, actions, usable)
    faults = {name: int(which.sum()) for name, which in found.items() if which.any()}
    if faults and on_fault == "refuse":
        raise TransitionError(_refusal(found, faults, keys, len(states), where))
    dropped = UNUSABLE if on_fault == "keep" else tuple(found)
    left = ~np.any([found[name] for name in dropped if name in found], axis=0)
    if not left.any():
        raise TransitionError(f"{where}no decision of {len(states)} can be used; faults: {faults}.")
    masks[np.arange(len(masks)), actions] = True
    return Decisions(schema, keys[0], states.astype(np.float32), masks, actions, faults).take(left)


def _units(
    schema: TransitionSchema, capacity: Mapping[str, int], demand: Mapping[str, Sequence[int]]
) -> tuple[np.ndarray, np.ndarray]:
    resources = [entry.name.removeprefix(FREE) for entry in schema.state[len(SEEN) :]]
    if set(capacity) != set(resources):
        raise ValueError(f"`capacity` must be of the resources {resources} of the record, got {list(capacity)}.")
    absent = [name for name in schema.slices if name not in demand]
    if absent:
        raise ValueError(f"`demand` must name every slice of the record, got none of {absent}.")
    needed = np.array([demand[name] for name in schema.slices], np.float64)
    if needed.shape != (len(schema.slices), len(resources)):
        raise ValueError(f"`demand` must give {len(resources)} numbers for every slice, got shape {needed.shape}.")
    return np.array([capacity[name] for name in resources], np.float64), needed


def _contradictions(states: np.ndarray, actions: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Returns which decisions share their state with one of another action, `(N,)` bool."""
    which = np.flatnonzero(usable)
    _, group = np.unique(states[which].reshape(len(which), -1), axis=0, return_inverse=True)
    group = group.reshape(-1)
    first, last = np.full(len(which), np.iinfo(np.int64).max), np.full(len(which), -1)
    np.minimum.at(first, group, actions[which])
    np.maximum.at(last, group, actions[which])
    contradicted = np.zeros(len(states), bool)
    contradicted[which] = (first < last)[group]
    return contradicted


def _refusal(
    found: Mapping[str, np.ndarray],
    faults: Mapping[str, int],
    keys: tuple[np.ndarray, np.ndarray],
    total: int,
    where: str,
) -> str:
    lines = []
    for name, count in faults.items():
        first = int(found[name].argmax())
        at = f"first in episode {keys[0][first]}, step {keys[1][first]}"
        lines.append(f"`{name}`: {count} of {total} decisions, {at}; {REMEDIES[name]}")
    return "\n  ".join([f'{where}faulty decisions; pass `on_fault` "drop" or "keep" to go on:', *lines])
