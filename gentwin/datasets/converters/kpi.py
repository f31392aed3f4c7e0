"""From KPI reports of slices to transitions: what all converters share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from gentwin.datasets.transitions import ROLES, Transitions, role_fields
from gentwin.datasets.validation import Rows, TransitionError, check_continuity, check_values
from gentwin.schema import Field, TransitionSchema

SLICES = ("embb", "mmtc", "urllc")
STATE = ("buffer_mean_bytes", "buffer_max_bytes", "throughput_mbps", "grant_ratio", "packets")
ACTION = ("prb", "scheduler")
TIME = Field("time_s", "s", low=-math.inf)
# What a slice without users reports: nothing waiting, nothing sent, nothing refused, no blocks in use.
AT_REST = dict.fromkeys((*STATE, *ACTION, "num_ues"), 0.0) | {"grant_ratio": 1.0}


def kpi_schema(traffic: bool = False, step_ms: float = 1000.0) -> TransitionSchema:
    """The schema of every converted KPI log: three slices of an LTE or NR cell with srsLTE/SCOPE reports.

    Args:
        traffic: Whether the log says which of the EXPLORA traffic mixes was offered.
        step_ms: Time between two reports in milliseconds.

    Returns:
        State: the KPIs of a report. Action: what was in force until the next report. No outcome fields: the next
        report is the outcome.
    """
    bytes_field = {"unit": "byte", "scale": "log1p", "atoms": (0.0,)}
    context = [Field("num_ues", high=50, description="Users of the slice; 0 for a slice without users")]
    if traffic:
        context.append(Field("traffic", categories=2, description="0: heavy eMBB packets (trf1), 1: light ones (trf2)"))
    return TransitionSchema(
        slices=SLICES,
        state=(
            Field("buffer_mean_bytes", description="Downlink RLC buffer, mean over users", **bytes_field),
            Field("buffer_max_bytes", description="Downlink RLC buffer, largest of the users", **bytes_field),
            Field("throughput_mbps", "Mbit/s", atoms=(0.0,), description="Downlink rate, mean over users"),
            Field("grant_ratio", high=1.0, atoms=(0.0, 1.0), description="Granted over requested PRBs, at most 1"),
            Field("packets", scale="log1p", atoms=(0.0,), description="Downlink packets per report, mean over users"),
        ),
        action=(
            Field("prb", "PRB", high=50, description="Physical resource blocks of the slice; 0 without users"),
            Field("scheduler", categories=3, description="0: round robin, 1: water-filling, 2: proportionally fair"),
        ),
        context=tuple(context),
        step_ms=step_ms,
        name="ran_kpi",
    )


def check_reports(frame: pd.DataFrame, fields: Mapping[str, str], schema: TransitionSchema, source: str) -> None:
    """Refuses KPI rows that break the schema, before anything is derived from them.

    Args:
        frame: Columns `episode` (name), `step`, `slice` (position) and the columns named in `fields`, in file order.
        fields: Column of the file, for error messages, by column of `frame`: fields of the schema, `next_<field>`, and
            `time_s` if the time must increase.
        schema: Ranges of the fields.
        source: File name for error messages.

    Raises:
        TransitionError: At the first value out of range, or if the reports of a slice are unsorted or repeated.
    """
    episode, step, position = (frame[name].to_numpy() for name in ("episode", "step", "slice"))

    def describe(row: int) -> str:
        where = f"episode {episode[row]!r}, step {step[row]}, slice {schema.slices[position[row]]!r}"
        return f"row {frame.index[row]} ({where})"

    rows = Rows(source, describe)
    for column, original in fields.items():
        field = TIME if column == TIME.name else schema.field(column.removeprefix("next_"))
        check_values(frame[column].to_numpy(np.float32), field, original, rows)
    order, same = _slice_order(frame)
    clocks = {"step": "step"} | {column: original for column, original in fields.items() if column == TIME.name}
    for column, original in clocks.items():
        late = np.flatnonzero(same & (np.diff(frame[column].to_numpy()[order]) <= 0))
        if late.size:
            problem = f"`{original}` does not increase within this slice of this episode"
            rows.fail(original, order[late + 1].min(), problem, "sort by time and keep one row per step")
    if all(f"next_{name}" in frame for name in STATE):
        codes = np.cumsum(np.concatenate([[False], ~same]))
        now, after = (frame[[prefix + name for name in STATE]].to_numpy(np.float32)[order] for prefix in ("", "next_"))
        columns = [fields[f"next_{name}"] for name in STATE]
        placed = Rows(source, lambda row: describe(order[row]))
        check_continuity(codes, step[order], now[:, None], after[:, None], columns, placed)


def _slice_order(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Order by episode and slice that keeps file order inside, and where a row has the slice of the one before."""
    codes = pd.factorize(frame["episode"])[0].astype(np.int64) * len(SLICES) + frame["slice"].to_numpy()
    order = np.argsort(codes, kind="stable")
    return order, np.diff(codes[order]) == 0


def link_reports(frame: pd.DataFrame, min_gap_s: float, max_gap_s: float) -> pd.DataFrame:
    """Pairs every report with the next one of its slice; the action is what the next report says was in force.

    Args:
        frame: Columns `episode`, `step`, `slice`, `time_s`, the state and action fields and the context, checked.
        min_gap_s: Pairs closer than this are no decision window.
        max_gap_s: Pairs further apart than this are an interruption.

    Returns:
        One row per pair of consecutive steps, with `next_<state field>`.
    """
    order, same = _slice_order(frame)
    now, after = frame.iloc[order[:-1]].reset_index(drop=True), frame.iloc[order[1:]].reset_index(drop=True)
    gap = after["time_s"].to_numpy() - now["time_s"].to_numpy()
    linked = same & (after["step"].to_numpy() == now["step"].to_numpy() + 1) & (gap >= min_gap_s) & (gap <= max_gap_s)
    linked &= after[list(ACTION)].notna().all(axis=1).to_numpy()
    now[list(ACTION)] = after[list(ACTION)]
    return now.assign(**{f"next_{name}": after[name] for name in STATE})[linked]


def assemble(
    frame: pd.DataFrame, schema: TransitionSchema, source: str, provenance: Mapping[str, object]
) -> Transitions:
    """Aligns the rows of the slices of a cell into transitions.

    A slice that reports nowhere in an episode has no users in it: it is filled in at rest, with `num_ues` 0. Any
    other step that lacks a slice lost a report and is left out; both counts go into the provenance.

    Args:
        frame: One row per episode, step and slice, with the fields of the schema and `next_<state field>`.
        schema: The schema of the result.
        source: File name for error messages.
        provenance: Facts about the origin, stored with the counts and the names of the episodes.

    Raises:
        TransitionError: If no complete step is left.
    """
    episode, names = pd.factorize(frame["episode"])
    keys, inverse = np.unique(np.stack([episode, frame["step"]], axis=1), axis=0, return_inverse=True)
    position, present = frame["slice"].to_numpy(), np.zeros((len(keys), len(SLICES)), bool)
    present[inverse, position] = True
    in_use = np.zeros((len(names), len(SLICES)), bool)
    np.logical_or.at(in_use, keys[:, 0], present)
    complete = (present | ~in_use[keys[:, 0]]).all(axis=1)
    if not complete.any():
        raise TransitionError(f"{source}: no step with a report of every slice; check that the slices share a clock.")
    arrays = {}
    for role in ROLES:
        prefix, fields = "next_" if role == "next_state" else "", role_fields(schema, role)
        values = np.zeros((len(keys), len(SLICES), len(fields)), np.float32)
        for index, field in enumerate(fields):
            column = frame[prefix + field.name].to_numpy(np.float32)
            if field.name in AT_REST:
                values[:, :, index] = AT_REST[field.name]
            else:  # the traffic mix is one for the whole cell, so a slice without users has it too
                values[inverse, :, index] = column[:, None]
            values[inverse, position, index] = column
        arrays[role] = values[complete]
    counts = {
        "episodes": [str(name) for name in names],
        "rows": len(frame),
        "rows_of_incomplete_steps": int(present[~complete].sum()),
        "rows_filled_at_rest": int((~present[complete]).sum()),
    }
    key = keys[complete].astype(np.int64)
    record = Transitions(schema, key[:, 0].copy(), key[:, 1].copy(), **arrays, provenance={**provenance, **counts})
    record.validate(source)
    return record


def slice_positions(names: Sequence[object], known: Mapping[object, str], column: str, source: str) -> np.ndarray:
    """Maps what a file calls its slices to positions in the schema.

    Raises:
        TransitionError: At the first unknown slice.
    """
    positions = pd.Series(names).map({name: SLICES.index(slice_name) for name, slice_name in known.items()})
    unknown = positions.isna().to_numpy()
    if unknown.any():
        row = int(np.argmax(unknown))
        wanted = ", ".join(str(name) for name in known)
        rows = Rows(source, lambda at: f"row {at}")
        rows.fail(column, row, f"unknown slice {str(names[row])!r}", f"rename it to one of {wanted} or drop its rows")
    return positions.to_numpy(np.int64)
