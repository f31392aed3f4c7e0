"""Logs of the EXPLORA xApp: closed-loop slicing on the Colosseum testbed.

Source: C. Fiandrino et al., "EXPLORA: AI/ML EXPLainability for the Open RAN", CoNEXT 2023, doi:10.1145/3629141;
artifacts at github.com/wineslab/explora, folder `data` (GPL-3.0: convert them, do not ship them).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import datetime
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
from gentwin.datasets.parquet import open_parquet, read_columns
from gentwin.datasets.transitions import Transitions
from gentwin.datasets.validation import Rows, TransitionError, check_values

CITATION = "Fiandrino et al., EXPLORA: AI/ML EXPLainability for the Open RAN, CoNEXT 2023, doi:10.1145/3629141"
ORIGIN = {"origin": "github.com/wineslab/explora", "licence": "GPL-3.0", "citation": CITATION}
SLICE_NAMES = {"embb": "embb", "mtc": "mmtc", "mmtc": "mmtc", "urllc": "urllc"}
SLICE_IDS = {0: "embb", 1: "mmtc", 2: "urllc"}
STATE_COLUMNS = dict(
    zip(STATE, ("buffer_b_mean", "buffer_b_max", "thr_mbps_mean", "grant_ratio_mean", "pkts_mean"), strict=True)
)
# Reports are about a second apart; pairs outside this range lost a report or straddle a clock jump.
MIN_GAP_S, MAX_GAP_S = 0.6, 2.0
# In the steering campaigns one of the two eMBB users leaves "at minute 5" (the data's README); the number of lines per
# report drops between 305 and 318 s in all of them.
STEERING_LEAVE_S = 312.0
# The cell's 50 PRBs are 17 groups of 3, the last group being short by one; the last slice owns it.
PRBS_PER_GROUP = 3

_TIME = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) ")
_REPORT = re.compile(r" (Received data: |DEBUG +b)(['\"])(.*)\2\s*$")
_COMMAND = re.compile(r" Sending to DU: '([\d,]+)\\n([\d,]+)'")
_LINE = re.compile(r"([0-2]),(\d+),(\d+\.\d+),(\d+\.\d+),(\d+),(\d+)")


def read_explora_transitions(path: str | os.PathLike) -> Transitions:
    """Reads a table of EXPLORA transitions, one row per episode, report and slice.

    Columns used: `episode`, `campaign`, `traffic` (1 or 2), `slice`, `n_ue_design`, `step`, `t_s`, the KPIs
    `buffer_b_mean`, `buffer_b_max`, `thr_mbps_mean`, `grant_ratio_mean`, `pkts_mean`, the same with `next_`, and the
    action in force until the next report, `a_prb` and `a_sched`. `num_ues` is `n_ue_design`, less the eMBB user that
    leaves in the steering campaigns.

    Raises:
        TransitionError: If the file is damaged, a column is missing, or a row breaks the schema.
    """
    source = os.fspath(path)
    next_columns = {f"next_{name}": f"next_{column}" for name, column in STATE_COLUMNS.items()}
    fields = {**STATE_COLUMNS, **next_columns, "prb": "a_prb", "scheduler": "a_sched", "time_s": "t_s"}
    numbers = [*fields.values(), "traffic", "n_ue_design"]
    frame = _read_table(path, numbers, ["episode", "campaign", "slice"])
    frame["slice"] = slice_positions(frame["slice"].to_numpy(), SLICE_NAMES, "slice", source)
    frame = frame.rename(columns={column: name for name, column in fields.items()})
    frame["num_ues"] = _steering_users(frame)
    frame["traffic"] = frame["traffic"] - 1
    schema = kpi_schema(traffic=True)
    check_reports(frame, {**fields, "num_ues": "n_ue_design", "traffic": "traffic"}, schema, source)
    return assemble(frame, schema, source, {**ORIGIN, "layout": "explora-transitions", "source": Path(source).name})


def read_explora_slice_kpi(path: str | os.PathLike) -> Transitions:
    """Reads a table of EXPLORA reports, one row per episode, report and slice, and pairs consecutive reports.

    Columns used: `episode`, `traffic`, `slice`, `step`, `t_s`, `n_rows` (user lines in the report), the KPIs as in
    `read_explora_transitions`, `prb_applied` and `act_sched` (empty before the first command). `num_ues` is counted
    from the user lines.

    Raises:
        TransitionError: If the file is damaged, a column is missing, or a row breaks the schema.
    """
    source = os.fspath(path)
    fields = {**STATE_COLUMNS, "prb": "prb_applied", "time_s": "t_s"}
    numbers = [*fields.values(), "traffic", "n_rows", "act_sched"]
    frame = _read_table(path, numbers, ["episode", "slice"], may_be_empty=("act_sched",))
    frame["slice"] = slice_positions(frame["slice"].to_numpy(), SLICE_NAMES, "slice", source)
    renamed = {column: name for name, column in fields.items()}
    frame = frame.rename(columns={**renamed, "act_sched": "scheduler"})
    frame["num_ues"] = _count_users(frame, frame["n_rows"])
    frame["traffic"] = frame["traffic"] - 1
    schema = kpi_schema(traffic=True)
    check_reports(frame, {**fields, "traffic": "traffic"}, schema, source)
    check_reports(frame[frame["scheduler"].notna()], {"scheduler": "act_sched"}, schema, source)
    pairs = link_reports(frame, MIN_GAP_S, MAX_GAP_S)
    return assemble(pairs, schema, source, {**ORIGIN, "layout": "explora-slice-kpi", "source": Path(source).name})


def read_explora_log(path: str | os.PathLike) -> Transitions:
    """Reads the log of an EXPLORA xApp (`*_agent.log`), or every such log below a folder; one log is one episode.

    A report is a line `Received data: '…'` or `DEBUG b'…'` with one `slice,buffer_bytes,rate_mbps,grant_ratio,prb,
    packets` entry per user; a command is a line `Sending to DU: 'schedulers\\nPRB groups'`. The scheduler in force is
    that of the latest command whose PRBs are the reported ones.

    Raises:
        FileNotFoundError: If there is no log.
        TransitionError: If a log holds no report, or a report breaks the schema.
    """
    root = Path(path)
    logs = sorted(root.rglob("*_agent.log")) if root.is_dir() else [root]
    if not logs or not logs[0].exists():
        raise FileNotFoundError(f"{root} holds no `*_agent.log`; fetch the logs of the EXPLORA artifacts first.")
    frames = []
    for log in logs:
        frame = _parse_log(log)
        frame["episode"] = log.relative_to(root).with_suffix("").as_posix() if root.is_dir() else log.stem
        frames.append(frame)
    frame = pd.concat(frames, ignore_index=True)
    frame["num_ues"] = _count_users(frame, frame["n_rows"])
    pairs = link_reports(frame, MIN_GAP_S, MAX_GAP_S)
    return assemble(pairs, kpi_schema(), str(root), {**ORIGIN, "layout": "explora-log", "source": root.name})


def _read_table(
    path: str | os.PathLike, numbers: list[str], strings: list[str], may_be_empty: tuple[str, ...] = ()
) -> pd.DataFrame:
    kinds = dict.fromkeys(strings, "string") | {"step": "integer"} | dict.fromkeys(numbers, "number")
    with open_parquet(path) as file:
        return read_columns(file, kinds, os.fspath(path), may_be_empty).to_pandas()


def _steering_users(frame: pd.DataFrame) -> np.ndarray:
    left = frame["campaign"].str.startswith("steering") & (frame["slice"] == 0) & (frame["time_s"] >= STEERING_LEAVE_S)
    return (frame["n_ue_design"] - left).to_numpy()


def _count_users(frame: pd.DataFrame, num_lines: pd.Series) -> np.ndarray:
    """Users from the lines of the last five messages; a message normally carries two reports of every user."""
    groups = num_lines.groupby([frame["episode"], frame["slice"]])
    median = groups.transform(lambda lines: lines.rolling(5, min_periods=1).median())
    return np.maximum(1, np.ceil(median.to_numpy() / 2))


def _parse_log(path: Path) -> pd.DataFrame:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    reports = [(number, match) for number, line in enumerate(lines, 1) if (match := _REPORT.search(line))]
    # Where raw messages are logged as well, `Received data` repeats some of them.
    raw = any(match[1].startswith("DEBUG") for _, match in reports)
    reports = {number: match[3] for number, match in reports if match[1].startswith("DEBUG") == raw}
    commands: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    entries, step = [], 0
    for number, line in enumerate(lines, 1):
        if command := _COMMAND.search(line):
            commands.append(_parse_command(command, path, number))
        users = _parse_users(reports[number]) if number in reports else []
        if users:
            time_s = _parse_time(line, path, number)
            schedulers = _schedulers_in_force(users, commands)
            entries += [(number, step, time_s, *user, schedulers[user[0]]) for user in users]
            step += 1
    if not entries:
        raise TransitionError(f"{path}: no reports; a log of the xApp has lines `Received data: '…'`.")
    kpis = ["slice", "buffer", "throughput_mbps", "grant_ratio", "prb", "packets"]
    frame = pd.DataFrame(entries, columns=["line", "step", "time_s", *kpis, "scheduler"])
    rows = Rows(str(path), lambda row: f"line {frame['line'].iloc[row]}")
    for name in ("throughput_mbps", "grant_ratio", "prb"):  # before averages can hide a user line out of range
        check_values(frame[name].to_numpy(np.float32), kpi_schema().field(name), "report", rows)
    groups = frame.groupby(["line", "step", "slice", "time_s"], sort=False)
    aggregated = groups.agg(
        buffer_mean_bytes=("buffer", "mean"),
        buffer_max_bytes=("buffer", "max"),
        throughput_mbps=("throughput_mbps", "mean"),
        grant_ratio=("grant_ratio", "mean"),
        packets=("packets", "mean"),
        prb=("prb", "last"),
        scheduler=("scheduler", "last"),
        n_rows=("buffer", "size"),
    )
    return aggregated.reset_index()


def _schedulers_in_force(users: list[tuple], commands: list[tuple[tuple[int, ...], tuple[int, ...]]]) -> tuple:
    """Schedulers of the latest command whose PRBs are the reported ones, else of the latest command, else NaN."""
    prbs = {user[0]: user[4] for user in users}
    for schedulers, allocation in reversed(commands[-3:]):
        if all(allocation[position] == prb for position, prb in prbs.items()):
            return schedulers
    return commands[-1][0] if commands else (np.nan,) * len(SLICE_IDS)


def _parse_users(message: str) -> list[tuple]:
    """User lines of a message; bytes of padding after the last line do not match and are left out."""
    matches = (_LINE.fullmatch(line) for line in message.split("\\n"))
    return [(int(m[1]), int(m[2]), float(m[3]), float(m[4]), int(m[5]), int(m[6])) for m in matches if m]


def _parse_command(match: re.Match, path: Path, number: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    schedulers, groups = (tuple(int(value) for value in part.split(",")) for part in match.groups())
    if len(schedulers) != len(SLICE_IDS) or len(groups) != len(SLICE_IDS) or not set(schedulers) <= {0, 1, 2}:
        rows = Rows(str(path), lambda row: f"line {row}")
        rows.fail("command", number, f"not a command for {len(SLICE_IDS)} slices, got {match[0]!r}", "drop the line")
    allocation = [PRBS_PER_GROUP * group for group in groups]
    allocation[-1] -= 1
    return schedulers, tuple(allocation)


def _parse_time(line: str, path: Path, number: int) -> float:
    match = _TIME.match(line)
    if not match:
        rows = Rows(str(path), lambda row: f"line {row}")
        rows.fail("time", number, "the line does not begin with a time", "keep the lines as the xApp wrote them")
    return (datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S,%f") - datetime(2000, 1, 1)).total_seconds()


LAYOUTS: dict[str, Callable[[str | os.PathLike], Transitions]] = {
    "explora-transitions": read_explora_transitions,
    "explora-slice-kpi": read_explora_slice_kpi,
    "explora-log": read_explora_log,
}
