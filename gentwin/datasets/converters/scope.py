"""Metrics of SCOPE base stations: the CSV layout of the ColO-RAN, COMMAG and TRACTOR data sets.

Sources: M. Polese et al., "ColO-RAN", IEEE Trans. Mobile Computing 2022 (github.com/wineslab/
colosseum-oran-coloran-dataset); L. Bonati et al., "Intelligence and Learning in O-RAN for Data-driven NextG Cellular
Networks", IEEE Communications Magazine 2021 (github.com/wineslab/colosseum-oran-commag-dataset); J. Groen et al.,
"TRACTOR", 2024 (github.com/genesys-neu/TRACTOR). The first two carry no licence: convert them, do not ship them.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from gentwin.datasets.converters.kpi import (
    STATE,
    assemble,
    check_reports,
    kpi_schema,
    link_reports,
    slice_positions,
)
from gentwin.datasets.transitions import Transitions
from gentwin.datasets.validation import Rows, TransitionError
from gentwin.schema import did_you_mean

# A base station writes a line per user every 250 ms.
REPORT_MS = 250.0
SLICE_IDS = {0: "embb", 1: "mmtc", 2: "urllc"}
COLUMNS = {
    "time_ms": "Timestamp",
    "user": "IMSI",
    "slicing": "slicing_enabled",
    "slice": "slice_id",
    "prb": "slice_prb",
    "scheduler": "scheduling_policy",
    "buffer": "dl_buffer [bytes]",
    "throughput_mbps": "tx_brate downlink [Mbps]",
    "packets": "tx_pkts downlink",
    "requested": "sum_requested_prbs",
    "granted": "sum_granted_prbs",
}


def read_scope(path: str | os.PathLike, step_ms: float = 1000.0) -> Transitions:
    """Reads one `*_metrics.csv` of a user, or all below a folder; the files of one folder are one episode.

    Lines are averaged per slice over `step_ms`: `buffer_max_bytes` is the largest, `num_ues` the number of users seen,
    `prb` and `scheduler` the last ones, `packets` the mean of a 250 ms line, and `grant_ratio` the mean of granted over
    requested PRBs (at most 1; 1 if none were requested). `slice_id` 0, 1, 2 is eMBB, mMTC, URLLC, as in the
    configurations that group users by traffic. Lines with slicing switched off are left out and counted.

    Args:
        path: File or folder.
        step_ms: Length of a step, a multiple of 250 ms.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If `step_ms` is not a multiple of 250.
        TransitionError: If a column is missing or a line breaks the schema.
    """
    if not step_ms >= REPORT_MS or step_ms % REPORT_MS:
        raise ValueError(f"`step_ms` must be a multiple of {REPORT_MS:g}, the report period, got {step_ms}.")
    root = Path(path)
    files = sorted(root.rglob("*_metrics.csv")) if root.is_dir() else [root]
    if not files or not files[0].exists():
        raise FileNotFoundError(f"{root} holds no `*_metrics.csv`; fetch the data set first.")
    schema = kpi_schema(step_ms=step_ms)
    lines = []
    for file in files:
        frame = _read_csv(file)
        check_reports(frame, {"prb": "slice_prb", "scheduler": "scheduling_policy"}, schema, str(file))
        lines.append(frame.assign(episode=file.parent.relative_to(root).as_posix() if root.is_dir() else file.stem))
    frame = pd.concat(lines, ignore_index=True)
    sliced = frame[frame["slicing"] != 0]
    if sliced.empty:
        raise TransitionError(f"{root}: no line has `slicing_enabled` 1; such a run has no slices to learn from.")
    reports = _aggregate(sliced, step_ms)
    pairs = link_reports(reports, 0.0, np.inf)
    facts = {"layout": "scope", "source": root.name, "lines_without_slicing": len(frame) - len(sliced)}
    return assemble(pairs, schema, str(root), facts)


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, usecols=lambda name: name in COLUMNS.values(), low_memory=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise TransitionError(f"{path}: not a CSV of SCOPE metrics ({error}); fetch it again.") from error
    for column in COLUMNS.values():
        if column not in table:
            end = did_you_mean(column, table.columns)
            raise TransitionError(f"{path}: column `{column}` is missing{end} The file must hold it.")
    if table.empty:
        raise TransitionError(f"{path}: no rows; drop the file or fetch it again.")
    table = table.rename(columns={original: name for name, original in COLUMNS.items()})
    rows = Rows(str(path), lambda row: f"row {row}")
    for name, original in COLUMNS.items():
        values = pd.to_numeric(table[name], errors="coerce")
        bad = np.flatnonzero(~np.isfinite(values) | (values < 0))
        if bad.size:
            got = table[name].iloc[bad[0]]
            rows.fail(original, bad[0], f"must be a number of at least 0, got {str(got)!r}", "repair or drop the line")
        table[name] = values
    late = np.flatnonzero(np.diff(table["time_ms"]) <= 0)
    if late.size:
        rows.fail("Timestamp", late[0] + 1, "the time does not increase", "sort by time and keep one line per report")
    table["slice"] = slice_positions(table["slice"].to_numpy(), SLICE_IDS, "slice_id", str(path))
    return table.assign(episode=path.parent.name, step=np.arange(len(table)))


def _aggregate(frame: pd.DataFrame, step_ms: float) -> pd.DataFrame:
    requested, granted = frame["requested"].to_numpy(float), frame["granted"].to_numpy(float)
    ratio = np.divide(granted, requested, out=np.ones_like(granted), where=requested > 0)
    # Half a period of offset keeps the jitter of a millisecond or two away from the edges of a step.
    start = frame.groupby("episode")["time_ms"].transform("min") - REPORT_MS / 2
    step = np.floor((frame["time_ms"] - start) / step_ms).astype(np.int64)
    frame = frame.assign(grant_ratio=np.minimum(1.0, ratio), step=step, time_s=step * step_ms / 1000.0)
    frame = frame.sort_values(["episode", "slice", "time_ms"], kind="stable")
    groups = frame.groupby(["episode", "slice", "step", "time_s"], sort=False)
    reports = groups.agg(
        buffer_mean_bytes=("buffer", "mean"),
        buffer_max_bytes=("buffer", "max"),
        throughput_mbps=("throughput_mbps", "mean"),
        grant_ratio=("grant_ratio", "mean"),
        packets=("packets", "mean"),
        prb=("prb", "last"),
        scheduler=("scheduler", "last"),
        num_ues=("user", "nunique"),
    )
    return reports.reset_index()[["episode", "slice", "step", "time_s", *STATE, "prb", "scheduler", "num_ues"]]


LAYOUTS = {"scope": read_scope}
