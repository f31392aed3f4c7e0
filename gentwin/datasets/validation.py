"""Checks of transition records, shared by the reader, the writer and the converters.

Every check is vectorised over rows and raises [`TransitionError`][gentwin.datasets.TransitionError] at the first
violation, with the source, the column, the row and a remedy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gentwin.schema import Field

# The next state of a step and the state of the following one are the same measurement; both are stored as float32.
CONTINUITY_RTOL = 1e-5
CONTINUITY_ATOL = 1e-5


class TransitionError(ValueError):
    """A transition record that breaks the contract; the message names source, column, row and remedy."""


@dataclass(frozen=True)
class Rows:
    """Where a row comes from, for error messages.

    Args:
        source: File or array the rows belong to.
        describe: Maps a row number to words such as `row 7 (episode 0, step 2, slice 'urllc')`.
    """

    source: str
    describe: Callable[[int], str]

    def fail(self, column: str, row: int, problem: str, remedy: str) -> None:
        """Raises `TransitionError` for one row of one column; the remedy may be a question."""
        end = "" if remedy.endswith("?") else "."
        raise TransitionError(f"{self.source}: column `{column}`, {self.describe(int(row))}: {problem}; {remedy}{end}")


def _first(mask: np.ndarray) -> int:
    """Index of the first true value, or -1."""
    index = int(np.argmax(mask)) if mask.size else 0
    return index if mask.size and mask[index] else -1


def check_values(values: np.ndarray, field: Field, column: str, rows: Rows) -> None:
    """Refuses values that are not finite, outside the field's range, or not one of its categories.

    Args:
        values: `(num_rows,)` float32, in the unit of the field.
        field: What the column is declared to hold.
        column: Name of the column.
        rows: Names rows in the error.

    Raises:
        TransitionError: At the first offending row.
    """
    row = _first(~np.isfinite(values))
    if row >= 0:
        rows.fail(column, row, f"`{field.name}` must be finite, got {values[row]}", "drop or measure the step again")
    if field.categories:
        row = _first((values != np.floor(values)) | (values < 0) | (values >= field.categories))
        if row >= 0:
            rows.fail(
                column,
                row,
                f"`{field.name}` must be an integer in 0 … {field.categories - 1}, got {values[row]:g}",
                "map the classes to these numbers",
            )
        return
    # Ends are rounded to float32 as the values were, so that an end itself is always inside.
    row = _first((values < np.float32(field.low)) | (values > np.float32(field.high)))
    if row >= 0:
        rows.fail(
            column,
            row,
            f"`{field.name}` must lie in [{field.low:g}, {field.high:g}] {field.unit}, got {values[row]:g}",
            "convert the column to the unit of the schema or correct the range in the schema",
        )


def check_keys(episode: np.ndarray, step: np.ndarray, slice_index: np.ndarray, slices: tuple[str, ...], rows: Rows):
    """Refuses rows that are not sorted by episode, step and slice, repeated rows, and steps that lack a slice.

    Args:
        episode: `(num_rows,)` integers.
        step: `(num_rows,)` integers.
        slice_index: `(num_rows,)` positions in `slices`.
        slices: Slice names in the order of the schema.
        rows: Names rows in the error.

    Raises:
        TransitionError: At the first offending row.
    """
    new_episode, new_step = np.diff(episode) != 0, np.diff(step) != 0
    backwards = np.where(
        new_episode, np.diff(episode) < 0, np.where(new_step, np.diff(step) < 0, np.diff(slice_index) < 0)
    )
    repeated = ~new_episode & ~new_step & (np.diff(slice_index) == 0)
    row = _first(backwards | repeated) + 1
    if row > 0 and repeated[row - 1]:
        rows.fail("step", row, "this episode, step and slice appear twice", "keep one row for each")
    if row > 0:
        column = "episode" if new_episode[row - 1] else "step" if new_step[row - 1] else "slice"
        order = ", ".join(slices)
        rows.fail(column, row, "rows are not sorted", f"sort by `episode`, `step` and `slice` in the order {order}")
    starts = np.concatenate([[0], np.flatnonzero(new_episode | new_step) + 1])
    counts = np.diff(np.append(starts, len(step)))
    group = _first(counts != len(slices))
    if group >= 0:
        present = set(slice_index[starts[group] : starts[group] + counts[group]].tolist())
        absent = ", ".join(f"`{name}`" for index, name in enumerate(slices) if index not in present)
        remedy = "every step needs one row of each slice: drop the step or add the row"
        rows.fail("slice", starts[group], f"this step lacks slice {absent}", remedy)


def follows(episode: np.ndarray, step: np.ndarray) -> np.ndarray:
    """`(num_steps - 1,)` bool: true where entry `i + 1` is the step right after entry `i` in the same episode."""
    return (np.diff(episode) == 0) & (np.diff(step) == 1)


def check_continuity(
    episode: np.ndarray,
    step: np.ndarray,
    state: np.ndarray,
    next_state: np.ndarray,
    columns: Sequence[str],
    rows: Rows,
) -> None:
    """Refuses a next state that differs from the state of the following step, where that step is recorded.

    Args:
        episode: `(num_steps,)`.
        step: `(num_steps,)`.
        state: `(num_steps, num_slices, num_state)`.
        next_state: Same shape.
        columns: Names of the `num_state` columns of next states.
        rows: Names rows (one per step and slice) in the error.

    Raises:
        TransitionError: At the first offending row.
    """
    linked = np.flatnonzero(follows(episode, step))
    claimed, found = next_state[linked], state[linked + 1]
    wrong = np.abs(claimed - found) > CONTINUITY_ATOL + CONTINUITY_RTOL * np.abs(found)
    if not wrong.any():
        return
    which, slice_index, field_index = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
    rows.fail(
        columns[field_index],
        linked[which] * state.shape[1] + slice_index,
        f"{claimed[which, slice_index, field_index]:g} contradicts the state of the following step, "
        f"{found[which, slice_index, field_index]:g}",
        "a next state is the state one step later; leave a gap in `step` where the record was interrupted",
    )
