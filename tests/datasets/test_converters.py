"""Converters of public KPI logs, on made-up files in their layouts and on the real table where it is present."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gentwin.datasets import TransitionError, read_transitions
from gentwin.datasets.converters import LAYOUTS, convert, kpi_schema, read_layout
from tests.datasets.kpi_samples import explora_reports, explora_transitions, write_explora_log, write_scope_run

REAL = Path(__file__).resolve().parents[2].parent / "shared/data/ran_kpi"


def save(frame, tmp_path, name="kpi.parquet"):
    frame.to_parquet(tmp_path / name)
    return tmp_path / name


def test_transitions_table(tmp_path):
    frame = explora_transitions()
    record = convert(save(frame, tmp_path), "explora-transitions", tmp_path / "out.parquet")
    assert record.schema == kpi_schema(traffic=True)
    assert record.schema.outcome == ()
    first = (
        frame[(frame.episode == "motivation/exp1") & (frame.step == 3)].set_index("slice").loc[["embb", "mtc", "urllc"]]
    )
    index = int(np.flatnonzero((record.episode == 0) & (record.step == 3))[0])
    np.testing.assert_allclose(record.state[index, :, 0], first["buffer_b_mean"])
    np.testing.assert_allclose(record.next_state[index, :, 2], first["next_thr_mbps_mean"])
    np.testing.assert_allclose(record.action[index, :, 0], first["a_prb"])
    np.testing.assert_allclose(record.context[index, :, 1], 0)
    assert read_transitions(tmp_path / "out.parquet").fingerprint() == record.fingerprint()
    with pytest.raises(FileExistsError):
        convert(save(frame, tmp_path), "explora-transitions", tmp_path / "out.parquet")


def test_slice_without_users_is_filled_at_rest(tmp_path):
    frame = explora_transitions().query("not (episode == 'motivation/exp2' and slice == 'mtc')")
    record = read_layout(save(frame, tmp_path), "explora-transitions")
    absent = record.select([1])
    np.testing.assert_array_equal(absent.state[:, 1], np.tile([0, 0, 0, 1, 0], (len(absent), 1)))
    np.testing.assert_array_equal(absent.context[:, 1], np.tile([0, 1], (len(absent), 1)))
    np.testing.assert_array_equal(absent.action[:, 1], 0)
    assert record.provenance["rows_filled_at_rest"] == len(absent)


def test_step_that_lost_a_report_is_left_out(tmp_path):
    frame = explora_transitions().query("not (episode == 'motivation/exp1' and slice == 'mtc' and step == 5)")
    record = read_layout(save(frame, tmp_path), "explora-transitions")
    assert 5 not in record.select([0]).step
    assert record.provenance["rows_of_incomplete_steps"] == 2
    assert len(record.select([0]).runs) == 2


def test_user_leaves_in_the_steering_campaigns(tmp_path):
    frame = explora_transitions().assign(campaign="steering-spring-2023")
    frame["t_s"] += 306
    record = read_layout(save(frame, tmp_path), "explora-transitions")
    users = record.select([0]).context[:, :, 0]
    assert users[0, 0] == 2
    assert users[-1, 0] == 1
    assert (users[:, 1:] == 2).all()


def test_report_table_gives_the_same_transitions(tmp_path):
    reports = explora_reports()
    record = read_layout(save(reports, tmp_path), "explora-slice-kpi")
    other = read_layout(save(explora_transitions(), tmp_path, "b.parquet"), "explora-transitions")
    for role in ("episode", "step", "state", "next_state", "action"):
        np.testing.assert_array_equal(getattr(record, role), getattr(other, role))
    assert set(record.context[..., 0].ravel()) == {2.0}


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("grant_ratio_mean", 93.0, r"column `grant_ratio_mean`, row 7 \(episode 'motivation/exp1', step 7, .*\[0, 1\]"),
        ("thr_mbps_mean", np.nan, "column `thr_mbps_mean`, row 7: empty cell"),
        ("thr_mbps_mean", np.inf, "column `thr_mbps_mean`, row 7 .*finite"),
        ("a_sched", 7.0, "column `a_sched`, row 7 .*integer in 0 … 2"),
        ("a_prb", 60.0, r"column `a_prb`, row 7 .*\[0, 50\] PRB"),
        ("next_pkts_mean", 5000.0, "column `next_pkts_mean`, row 7 .*contradicts"),
        ("traffic", 3, "column `traffic`, row 7 .*integer in 0 … 1"),
        ("slice", "iot", "column `slice`, row 7: unknown slice 'iot'.*embb"),
        ("step", 3, "column `step`, row 7 .*does not increase"),
        ("t_s", 0.0, "column `t_s`, row 7 .*does not increase"),
    ],
)
def test_bad_table_is_named(tmp_path, column, value, message):
    frame = explora_transitions().astype({"a_sched": float})
    frame.loc[7, column] = value
    with pytest.raises(TransitionError, match=f"kpi.parquet: {message}"):
        read_layout(save(frame, tmp_path), "explora-transitions")


def test_bad_files_are_refused_before_work(tmp_path):
    path = save(explora_transitions().drop(columns="next_pkts_mean"), tmp_path)
    with pytest.raises(TransitionError, match="column `next_pkts_mean` is missing"):
        read_layout(path, "explora-transitions")
    with pytest.raises(TransitionError, match="no rows"):
        read_layout(save(explora_transitions().head(0), tmp_path), "explora-transitions")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TransitionError, match="not a complete Parquet"):
        read_layout(path, "explora-transitions")
    with pytest.raises(ValueError, match=r"`layout` must be one of .*did you mean `explora-log`"):
        read_layout(path, "exploralog")
    for layout in LAYOUTS:
        with pytest.raises(FileNotFoundError):
            read_layout(tmp_path / "absent", layout)


@pytest.mark.parametrize("raw", [False, True])
def test_xapp_log(tmp_path, raw):
    log = write_explora_log(tmp_path / "exp1" / "xapp_agent.log", num_reports=6, raw=raw)
    record = read_layout(tmp_path, "explora-log")
    assert record.provenance["episodes"] == ["exp1/xapp_agent"]
    # The first report comes before any command, and the last has no successor.
    np.testing.assert_array_equal(record.step, [0, 1, 2, 3, 4])
    np.testing.assert_array_equal(record.action[0, :, 0], [18, 15, 17])
    np.testing.assert_array_equal(record.action[1, :, 1], [1, 2, 0])
    np.testing.assert_allclose(record.state[2, :, 0], [250, 0, 0])
    np.testing.assert_allclose(record.state[2, :, 1], [500, 0, 0])
    assert (record.context[..., 0] == 2).all()
    log.write_text("2023-03-08 17:12:19,304 INFO     Agents loaded\n")
    with pytest.raises(TransitionError, match="no reports"):
        read_layout(log, "explora-log")


def test_xapp_log_with_impossible_report_names_the_line(tmp_path):
    log = write_explora_log(tmp_path / "xapp_agent.log", num_reports=6)
    log.write_text(log.read_text().replace(",1.00,18,", ",7.00,18,", 1))
    with pytest.raises(TransitionError, match=r"column `report`, line 3: `grant_ratio` must lie in \[0, 1\]"):
        read_layout(log, "explora-log")


def test_scope_metrics(tmp_path):
    write_scope_run(tmp_path / "exp1" / "bs1", num_seconds=5)
    record = read_layout(tmp_path, "scope")
    assert record.provenance["episodes"] == ["exp1/bs1"]
    np.testing.assert_array_equal(record.step, [0, 1, 2, 3])
    np.testing.assert_array_equal(record.context[:, :, 0], np.tile([2, 1, 1], (4, 1)))
    np.testing.assert_array_equal(record.action[0], [[6, 0], [39, 1], [5, 2]])
    np.testing.assert_allclose(record.state[:, 0, 3], 0.5)
    np.testing.assert_allclose(record.state[:, 1, 3], 1.0)
    np.testing.assert_allclose(record.state[0, 0, :2], [500, 1000])
    fine = LAYOUTS["scope"](tmp_path, step_ms=250.0)
    assert (len(fine), fine.schema.step_ms) == (19, 250.0)
    with pytest.raises(ValueError, match="`step_ms` must be a multiple of 250"):
        LAYOUTS["scope"](tmp_path, step_ms=300.0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("sum_granted_prbs", "granted", "column `sum_granted_prbs` is missing"),
        (",1000,", ",-5,", r"column `dl_buffer \[bytes\]`, row 0: must be a number of at least 0, got '-5'"),
        (",1000,", ",many,", r"column `dl_buffer \[bytes\]`, row 0: .* got 'many'"),
        ("1617070530226", "1617070630226", "column `Timestamp`, row 1: the time does not increase"),
        (",1,0,6,", ",1,0,60,", r"column `slice_prb`, row 0 .*\[0, 50\] PRB"),
        (",1,0,6,", ",1,4,6,", "column `slice_id`, row 0: unknown slice '4'"),
        (",1,0,6,", ",0,0,6,", "no line has `slicing_enabled` 1"),
    ],
)
def test_bad_scope_metrics_are_named(tmp_path, old, new, message):
    for file in write_scope_run(tmp_path, num_seconds=3):
        text = file.read_text().replace(old, new, -1 if "slicing" in message else 1)
        file.write_text(text if "_0_" in file.name else "")
        if "_0_" not in file.name:
            file.unlink()
    with pytest.raises(TransitionError, match=message):
        read_layout(tmp_path, "scope")


@pytest.mark.skipif(not REAL.is_dir(), reason="the public EXPLORA tables are not beside this checkout")
def test_real_explora_tables_agree():
    record = read_layout(REAL / "explora_transitions_train.parquet", "explora-transitions")
    other = read_layout(REAL / "explora_slice_kpi_train.parquet", "explora-slice-kpi")
    facts = record.provenance
    assert facts["rows_of_incomplete_steps"] < 0.001 * facts["rows"]
    assert len(record.episodes) == 48
    np.testing.assert_array_equal(record.action, other.action)
    np.testing.assert_array_equal(record.next_state, other.next_state)
    # More blocks must show in the record as more grants: eMBB, mean grant ratio over allocations.
    embb = pd.DataFrame({"prb": record.action[:, 0, 0], "grant": record.next_state[:, 0, 3]})[
        record.context[:, 0, 0] > 0
    ]
    means = embb.groupby("prb")["grant"].mean()
    assert means.loc[[6, 12, 18, 24, 36]].is_monotonic_increasing
