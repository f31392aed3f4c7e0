"""Transition files: round trip, crash safety, and every kind of bad input."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gentwin.datasets import TransitionError, TransitionWriter, read_transitions, write_transitions
from tests.datasets.records import SCHEMA, make_record

ROOT = Path(__file__).resolve().parents[2]
ROLES = ("state", "action", "next_state", "context", "outcome")


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "record.parquet"
    write_transitions(path, make_record())
    return pq.read_table(path)


def rewrite(table, path, **columns):
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    pq.write_table(table, path)
    return path


def changed(table, name, row, value):
    values = table.column(name).to_numpy().copy()
    values[row] = value
    return {name: values}


def test_round_trip(tmp_path):
    path = tmp_path / "record.parquet"
    record = make_record(seed=5)
    write_transitions(path, record)
    read = read_transitions(path)
    assert read.schema == record.schema
    assert (read.seed, read.provenance) == (5, {"site": "lab"})
    assert read.fingerprint() == record.fingerprint()
    unit = pq.read_schema(path).field("next_queued_bits").metadata[b"unit"]
    assert unit == b"bit"


def test_steps_may_arrive_in_any_order_and_in_chunks(tmp_path):
    path, record = tmp_path / "record.parquet", make_record(num_episodes=5, num_steps=20)
    with TransitionWriter(path, SCHEMA, chunk_steps=30) as writer:
        for rows in np.array_split(np.random.default_rng(0).permutation(len(record)), 13):
            part = {role: getattr(record, role)[rows] for role in ROLES}
            writer.append(record.episode[rows], record.step[rows], **part)
    assert read_transitions(path).fingerprint() == record.fingerprint()
    assert os.listdir(tmp_path) == ["record.parquet"]


def test_existing_file_is_not_replaced_unless_asked(tmp_path):
    path = tmp_path / "record.parquet"
    write_transitions(path, make_record())
    with pytest.raises(FileExistsError, match="overwrite=True"):
        write_transitions(path, make_record(seed=1))
    write_transitions(path, make_record(seed=1), overwrite=True)
    assert read_transitions(path).seed == 1


def test_failure_leaves_nothing_behind(tmp_path):
    path, record = tmp_path / "record.parquet", make_record()
    with pytest.raises(RuntimeError, match="boom"), TransitionWriter(path, SCHEMA) as writer:
        writer.append(record.episode, record.step, **{role: getattr(record, role) for role in ROLES})
        raise RuntimeError("boom")
    assert os.listdir(tmp_path) == []
    with pytest.raises(TransitionError, match="no steps were appended"):
        TransitionWriter(path, SCHEMA).close()
    assert os.listdir(tmp_path) == []


def test_killed_writer_leaves_no_readable_file(tmp_path):
    script = (
        "import os, signal, sys; from tests.datasets.records import SCHEMA, make_record\n"
        "from gentwin.datasets import TransitionWriter\n"
        "record = make_record(); writer = TransitionWriter(sys.argv[1], SCHEMA, chunk_steps=10)\n"
        "roles = ('state', 'action', 'next_state', 'context', 'outcome')\n"
        "writer.append(record.episode, record.step, **{role: getattr(record, role) for role in roles})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = tmp_path / "record.parquet"
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False, cwd=ROOT).returncode == -9
    assert not path.exists()
    with pytest.raises(TransitionError, match="not a complete Parquet file"):
        read_transitions(f"{path}.partial")


def test_writer_checks_shapes_and_values(tmp_path):
    record = make_record()
    parts = {role: getattr(record, role) for role in ROLES}
    writer = TransitionWriter(tmp_path / "a.parquet", SCHEMA)
    with pytest.raises(TransitionError, match="`state` must have shape"):
        writer.append(record.episode, record.step, **{**parts, "state": record.state[:, :1]})
    parts["outcome"] = record.outcome + 2
    writer.append(record.episode, record.step, **parts)
    with pytest.raises(TransitionError, match=r"`ssr` must lie in \[0, 1\]"):
        writer.close()
    assert os.listdir(tmp_path) == []


def test_writer_that_is_never_closed_leaves_no_file(tmp_path):
    record = make_record()
    writer = TransitionWriter(tmp_path / "a.parquet", SCHEMA, chunk_steps=10)
    writer.append(record.episode, record.step, **{role: getattr(record, role) for role in ROLES})
    del writer
    assert os.listdir(tmp_path) == []


def test_repeated_step_is_refused_by_the_writer(tmp_path):
    record = make_record()
    parts = {role: getattr(record, role) for role in ROLES}
    writer = TransitionWriter(tmp_path / "a.parquet", SCHEMA, chunk_steps=len(record))
    writer.append(record.episode, record.step, **parts)
    writer.append(record.episode, record.step, **parts)
    with pytest.raises(TransitionError, match="appear twice"):
        writer.close()
    assert os.listdir(tmp_path) == []


def test_plain_file_needs_a_schema_and_may_have_other_columns(tmp_path, table):
    frame = table.to_pandas().assign(comment="x", slice=lambda rows: rows["slice"].astype(str))
    path = tmp_path / "plain.parquet"
    frame.astype({"prb": "int16", "load": "float64", "step": "int8"}).to_parquet(path)
    with pytest.raises(TransitionError, match="carries no transition schema; pass `schema=`"):
        read_transitions(path)
    assert read_transitions(path, SCHEMA).fingerprint() == make_record().fingerprint()


def test_another_schema_than_the_stored_one_is_refused(tmp_path):
    path = tmp_path / "record.parquet"
    write_transitions(path, make_record())
    assert len(read_transitions(path, SCHEMA)) == 40
    with pytest.raises(TransitionError, match="another schema"):
        read_transitions(path, dataclasses.replace(SCHEMA, step_ms=1.0))


# Row 5 is episode 0, step 2, slice `control`.
@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (
            "queued_bits",
            np.nan,
            r"column `queued_bits`, row 5 \(episode 0, step 2, slice 'control'\): .* finite, got nan",
        ),
        ("next_load", np.inf, "column `next_load`, row 5 .* finite, got inf"),
        ("queued_bits", -1.0, "column `queued_bits`, row 5 .*convert the column to the unit"),
        ("prb", 51.0, r"column `prb`, row 5 .* must lie in \[0, 50\] 1, got 51"),
        ("next_load", 1.5, r"column `next_load`, row 5 .* must lie in \[0, 1\]"),
        ("scheduler", 0.5, "column `scheduler`, row 5 .* integer in 0 … 2, got 0.5"),
        ("scheduler", 3.0, "column `scheduler`, row 5 .* integer in 0 … 2, got 3"),
        ("next_load", 0.123, "column `next_load`, row 5 .* contradicts the state of the following step"),
    ],
)
def test_bad_value_is_named(tmp_path, table, column, value, message):
    path = rewrite(table, tmp_path / "bad.parquet", **changed(table, column, 5, value))
    with pytest.raises(TransitionError, match=f"bad.parquet: {message}"):
        read_transitions(path)


def test_state_may_jump_where_a_step_is_missing(tmp_path, table):
    keep = table.to_pandas().query("not (episode == 0 and step == 3)").index
    columns = changed(table, "next_load", 5, 0.123)
    path = rewrite(rewrite_table(table, columns).take(keep.to_numpy()), tmp_path / "gap.parquet")
    assert len(read_transitions(path).runs) == 5


def rewrite_table(table, columns):
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    return table


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ([0, 1, 4, 5, 2, 3], "column `step`, row 4 .*not sorted"),
        ([0, 1, 3, 2], "column `slice`, row 3 .*not sorted"),
        ([20, 21, 0, 1], "column `episode`, row 2 .*not sorted"),
        ([0, 1, 2, 2, 3], "column `step`, row 3 .*appear twice"),
        ([0, 1, 3, 4, 5], "column `slice`, row 2 .*lacks slice `video`"),
    ],
)
def test_bad_order_is_named(tmp_path, table, order, message):
    path = rewrite(table.take(order), tmp_path / "bad.parquet")
    with pytest.raises(TransitionError, match=message):
        read_transitions(path)


def test_bad_columns_are_named(tmp_path, table):
    path = tmp_path / "bad.parquet"
    slices = ["video", "contrl"] * 40
    for broken, message in [
        (table.drop_columns("load"), "column `load` is missing. The file"),
        (
            table.append_column("lod", table.column("load")).drop_columns("load"),
            r"column `load` is missing; did you mean `lod`\? The file",
        ),
        (rewrite_table(table, {"load": ["high"] * 80}), "column `load` must be number, got string"),
        (rewrite_table(table, {"step": np.zeros(80)}), "column `step` must be integer, got double"),
        (rewrite_table(table, {"slice": slices}), r"row 1: unknown slice 'contrl'.*did you mean `control`\?$"),
        (rewrite_table(table, {"load": [None] + [0.5] * 79}), "column `load`, row 0: empty cell"),
        (table.slice(0, 0), "no rows"),
        (table.append_column("load", table.column("load")), "column `load` is there 2 times"),
    ]:
        pq.write_table(broken, path)
        with pytest.raises(TransitionError, match=message):
            read_transitions(path)


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "record.parquet"
    write_transitions(path, make_record(num_episodes=50))
    content = path.read_bytes()
    for broken in (
        content[:-10],
        content[: len(content) // 2],
        b"not a parquet file",
        b"",
        content[:4] + content[-300:],
    ):
        path.write_bytes(broken)
        with pytest.raises(TransitionError, match=r"record\.parquet: (not a complete|damaged) Parquet"):
            read_transitions(path)
    flipped = bytearray(content)
    flipped[len(content) // 4] ^= 0xFF
    path.write_bytes(flipped)
    with pytest.raises(TransitionError):
        read_transitions(path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_transitions(tmp_path / "absent.parquet")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("gentwin.schema", b"{", "`gentwin.schema` is not JSON"),
        ("gentwin.schema", b"[" * 200_000, "`gentwin.schema` is not JSON"),
        ("gentwin.schema", b"[]", "`gentwin.schema` is no schema"),
        ("gentwin.schema", b'{"slices": ["a"], "state": 5}', "is no schema"),
        ("gentwin.schema", b'{"slices": ["a"], "hooks": []}', "is no schema.*`hooks` is not a key"),
        ("gentwin.schema", b'"' + b"x" * 5_000_000 + b'"', "has 5000002 bytes|not a complete Parquet"),
        ("gentwin.seed", b'"lots"', "`gentwin.seed` must be an integer"),
        ("gentwin.provenance", b"3", "`gentwin.provenance` must be an object"),
    ],
)
def test_hostile_metadata_is_refused(tmp_path, table, key, value, message):
    path = tmp_path / "hostile.parquet"
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, key.encode(): value}), path)
    with pytest.raises(TransitionError, match=message):
        read_transitions(path)


def test_provenance_must_be_json(tmp_path):
    with pytest.raises(TypeError):
        TransitionWriter(tmp_path / "a.parquet", SCHEMA, provenance={"x": object()})
    assert os.listdir(tmp_path) == []


def test_metadata_is_plain_json_for_other_tools(tmp_path):
    path = tmp_path / "record.parquet"
    write_transitions(path, make_record())
    metadata = pq.read_schema(path).metadata
    assert json.loads(metadata[b"gentwin.schema"])["state"][0]["unit"] == "bit"
    frame = pd.read_parquet(path)
    assert list(frame.columns[:3]) == ["episode", "step", "slice"]
    assert len(frame) == 80


def test_the_order_of_arguments_is_said(tmp_path):
    with pytest.raises(TypeError, match=r"`write_transitions\(path, transitions\)`"):
        write_transitions(make_record(), tmp_path / "record.parquet")
