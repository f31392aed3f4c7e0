"""Converters of public KPI logs to one transition schema, see `kpi_schema`."""

from __future__ import annotations

import os

from gentwin.datasets.converters import explora, scope
from gentwin.datasets.converters.kpi import kpi_schema
from gentwin.datasets.parquet import is_transition_file, write_transitions
from gentwin.datasets.transitions import Transitions
from gentwin.datasets.validation import TransitionError
from gentwin.schema import did_you_mean

LAYOUTS = {**explora.LAYOUTS, **scope.LAYOUTS}


def read_layout(source: str | os.PathLike, layout: str) -> Transitions:
    """Reads a public KPI log as transitions.

    Args:
        source: File or folder.
        layout: One of `LAYOUTS`: `explora-transitions`, `explora-slice-kpi`, `explora-log` or `scope`.

    Returns:
        The record, validated, with origin and counts in `provenance`.

    Raises:
        ValueError: If the layout is unknown.
        FileNotFoundError: If there is nothing to read.
        TransitionError: If the log breaks its layout or the schema; names file, column, row and remedy.
    """
    if layout not in LAYOUTS:
        known = ", ".join(LAYOUTS)
        raise ValueError(f"`layout` must be one of {known}, got {layout!r}{did_you_mean(layout, list(LAYOUTS))}")
    if is_transition_file(source):
        raise TransitionError(
            f"{os.fspath(source)} is a file of transitions already, not a log of layout {layout!r}; read it as it is, "
            "with `read_transitions` or in the recipe with `--data_layout none`."
        )
    return LAYOUTS[layout](source)


def convert(
    source: str | os.PathLike, layout: str, destination: str | os.PathLike, overwrite: bool = False
) -> Transitions:
    """Converts a public KPI log to a transition file.

    Args:
        source: File or folder.
        layout: As in `read_layout`.
        destination: Parquet file to write.
        overwrite: Whether an existing file may be replaced.

    Returns:
        What was written.

    Raises:
        FileExistsError: If `destination` exists and `overwrite` is false.
        ValueError: As `read_layout`.
    """
    if os.path.exists(destination) and not overwrite:
        raise FileExistsError(f"{os.fspath(destination)} exists; choose another path or pass `overwrite=True`.")
    record = read_layout(source, layout)
    write_transitions(destination, record, overwrite=overwrite)
    return record


__all__ = ["LAYOUTS", "convert", "kpi_schema", "read_layout"]
