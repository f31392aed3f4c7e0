"""Transitions in memory: splitting, selecting, joining, windows."""

import dataclasses

import datasets
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gentwin.datasets import TransitionError, Transitions, concatenate, read_transitions, write_transitions
from gentwin.datasets.sequences import window_indices
from gentwin.schema import TransitionSchema
from tests.datasets.records import SCHEMA, make_record


def test_targets_are_next_state_then_outcome():
    record = make_record()
    assert record.targets.shape == (40, 2, 3)
    np.testing.assert_array_equal(record.targets[..., :2], record.next_state)
    np.testing.assert_array_equal(record.targets[..., 2:], record.outcome)


@pytest.mark.parametrize("name", ["state", "episode"])
def test_wrong_shape_or_type_is_refused(name):
    record = make_record()
    with pytest.raises(TransitionError, match="must be an array"):
        dataclasses.replace(record, **{name: getattr(record, name)[:-1]})
    with pytest.raises(TransitionError, match=f"`{name}` must be an array"):
        dataclasses.replace(record, **{name: getattr(record, name).astype(np.float64)})


def test_split_is_by_whole_episodes_and_reproducible():
    record = make_record(num_episodes=10)
    train, test = record.split(0.7, seed=3)
    assert (len(train.episodes), len(test.episodes)) == (7, 3)
    assert not set(train.episodes) & set(test.episodes)
    assert len(train) + len(test) == len(record)
    again = record.split((7, 3), seed=3)
    assert [part.fingerprint() for part in again] == [train.fingerprint(), test.fingerprint()]
    assert record.split(0.7, seed=4)[0].fingerprint() != train.fingerprint()
    assert [len(part.episodes) for part in record.split((0.6, 0.2, 0.2), seed=0)] == [6, 2, 2]


@pytest.mark.parametrize("sizes", [(0.5, 0.4), (3, 3), 1.0, 0.0, 10, (0.5, 5), (-2, 12)])
def test_sizes_that_do_not_add_up_are_refused(sizes):
    with pytest.raises(ValueError, match="`sizes`"):
        make_record(num_episodes=10).split(sizes, seed=0)


def test_select_keeps_order_and_names_missing_episode():
    record = make_record()
    np.testing.assert_array_equal(record.select([2, 0]).episodes, [0, 2])
    with pytest.raises(KeyError, match="no episode 7"):
        record.select([7])


def test_concatenate_keeps_episodes_apart():
    first, second = make_record(seed=0), make_record(num_episodes=2, seed=1)
    joined = concatenate([first, second])
    joined.validate()
    assert len(joined.episodes) == 6
    assert [part["seed"] for part in joined.provenance["parts"]] == [0, 1]
    other = make_record(schema=dataclasses.replace(SCHEMA, step_ms=1.0))
    with pytest.raises(TransitionError, match="part 1 has another schema"):
        concatenate([first, other])
    with pytest.raises(TransitionError, match="at least one"):
        concatenate([])


def test_fingerprint_depends_on_content_only():
    record = make_record()
    assert dataclasses.replace(record, provenance={}).fingerprint() == record.fingerprint()
    changed = dataclasses.replace(record, context=record.context + 1)
    assert changed.fingerprint() != record.fingerprint()


def test_runs_end_at_gaps_and_episodes():
    record = make_record(num_episodes=2, num_steps=6)
    cut = record.take(np.array([0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11]))
    np.testing.assert_array_equal(cut.runs, [[0, 3], [3, 5], [5, 11]])


def test_sequences_have_the_columns_of_forward():
    record = make_record(num_episodes=2, num_steps=10)
    windows = record.sequences(length=4, stride=2)
    assert isinstance(windows, datasets.Dataset)
    row = windows[0]
    shapes = {name: tuple(value.shape) for name, value in row.items()}
    assert shapes == {
        "states": (4, 2, 2),
        "actions": (4, 2, 2),
        "contexts": (4, 2, 1),
        "labels": (4, 2, 3),
        "mask": (4,),
    }
    assert row["states"].dtype == torch.float32
    assert row["mask"].dtype == torch.bool
    np.testing.assert_array_equal(row["labels"].numpy(), record.targets[:4])
    assert windows.num_rows == 2 * 4


def test_sequences_without_context_have_no_such_column():
    record = make_record()
    schema = TransitionSchema(SCHEMA.slices, SCHEMA.state, SCHEMA.action, (), SCHEMA.outcome)
    bare = dataclasses.replace(record, schema=schema, context=record.context[..., :0])
    assert set(bare.sequences(5).column_names) == {"states", "actions", "labels", "mask"}


def test_short_tail_is_padded_and_masked():
    record = make_record(num_episodes=1, num_steps=5)
    windows = record.sequences(length=3)
    last = windows[1]
    assert last["mask"].tolist() == [True, True, False]
    np.testing.assert_array_equal(last["states"][2].numpy(), record.state[4])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(1, 6), st.data())
def test_windows_cover_every_step_and_stay_in_their_run(sizes, length, data):
    stride = data.draw(st.integers(1, length))
    edges = np.cumsum([0, *sizes])
    runs = np.stack([edges[:-1], edges[1:]], axis=1)
    indices, mask = window_indices(runs, length, stride)
    assert set(indices[mask]) == set(range(edges[-1]))
    run_of = np.repeat(np.arange(len(sizes)), sizes)
    assert all(len(set(run_of[row])) == 1 for row in indices)
    assert all((np.diff(row[real]) == 1).all() for row, real in zip(indices, mask, strict=True))
    if stride == length:
        assert mask.sum() == edges[-1]


@pytest.mark.parametrize(("length", "stride"), [(0, None), (4, 0), (4, 5)])
def test_window_sizes_out_of_range_are_refused(length, stride):
    with pytest.raises(ValueError, match=r"`(length|stride)` must be"):
        make_record().sequences(length, stride)


def test_context_and_outcome_may_be_left_out_where_the_schema_has_none(tmp_path):
    record = make_record()
    schema = dataclasses.replace(SCHEMA, context=(), outcome=())
    arrays = {name: getattr(record, name) for name in ("episode", "step", "state", "action", "next_state")}
    bare = Transitions(schema, **arrays)
    assert bare.context.shape == bare.outcome.shape == (len(record), 2, 0)
    write_transitions(tmp_path / "bare.parquet", bare)
    assert read_transitions(tmp_path / "bare.parquet").fingerprint() == bare.fingerprint()
    with pytest.raises(TransitionError, match=r"`context` must be an array \(40, 2, 1\)"):
        Transitions(SCHEMA, **arrays, outcome=record.outcome)
