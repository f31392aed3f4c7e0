"""Records of decisions: what is read, and every fault reported, refused, left out or kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gentwin.datasets import TransitionError, decisions_of, policy_schema, read_decisions, read_transitions
from gentwin.networks.admission import action_mask
from gentwin.networks.admission.policies import fifo_greedy
from gentwin.schema import Field, TransitionSchema
from tests.datasets.decision_samples import PARAMETERS, RESOURCES, record


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return record(tmp_path_factory.mktemp("decisions") / "record.parquet")


def changed(path: Path, folder: Path, change) -> Path:
    """Writes the file again with columns changed: `change` gets them as writable arrays by name."""
    table = pq.read_table(path)
    columns = {name: np.array(table.column(name).to_pylist()) for name in table.column_names}
    columns = change(columns) or columns
    schema = pa.schema(
        [pa.field("slice", pa.string()) if field.name == "slice" else field for field in table.schema],
        metadata=table.schema.metadata,
    )
    arrays = [pa.array(columns[field.name].tolist(), field.type) for field in schema]
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), folder / "changed.parquet")
    return folder / "changed.parquet"


def test_decisions_are_states_masks_and_actions_of_the_network(path):
    decisions, transitions = read_decisions(path, **RESOURCES), read_transitions(path)
    assert len(decisions) == 80 and decisions.states.shape == (80, 4, 6) and not decisions.faults
    assert [field.name for field in decisions.schema.state][:3] == ["queued", "oldest_wait_s", "requesting"]
    state = transitions.state.astype(np.float64)
    np.testing.assert_array_equal(decisions.masks, action_mask(PARAMETERS, state))
    np.testing.assert_array_equal(decisions.actions, fifo_greedy(PARAMETERS)(state))
    again = decisions_of(transitions, **RESOURCES)
    assert again.fingerprint() == decisions.fingerprint()


def test_parts_are_whole_episodes(path):
    decisions = read_decisions(path, **RESOURCES)
    parts = decisions.split([2, 1, 1], seed=0)
    assert [len(part) for part in parts] == [40, 20, 20]
    assert sorted(np.concatenate([part.episodes for part in parts])) == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="`sizes`"):
        decisions.split([4, 1], seed=0)


def forbid(columns):  # the first decision admits somebody who is not there
    columns["queued"][:4] = [0, 3, 3, 3]
    columns["admitted"][:4] = [1, 0, 0, 0]


def admit_two(columns):
    columns["admitted"][4:6] = 1


def make_negative(columns):
    columns["free_computing"][8:12] = -0.25


def go_out_of_range(columns):
    columns["oldest_wait_s"][8] = 1e6


def spoil(columns):
    columns["queued"][12] = np.nan


def rename(columns):
    columns["slice"] = columns["slice"].astype("U12")
    columns["slice"][16] = "holographic"


def contradict(columns):
    state = ("queued", "oldest_wait_s", "requesting", "free_radio", "free_computing", "free_storage")
    for name in state:
        columns[name][24:28] = columns[name][20:24]
    for name in ("queued", "oldest_wait_s"):
        columns[name][20:24] = columns[name][24:28] = 1
    for name in state[3:]:
        columns[name][20:28] = 1
    columns["admitted"][20:28] = [1, 0, 0, 0, 0, 1, 0, 0]


@pytest.mark.parametrize(
    ("change", "faults", "kept"),
    [
        (forbid, {"forbidden_action": 1}, 80),
        (admit_two, {"ambiguous_action": 1}, 79),
        (make_negative, {"negative_resource": 1}, None),
        (go_out_of_range, {"out_of_range": 1}, 80),
        (spoil, {"not_finite": 1}, 79),
        (rename, {"unknown_slice": 1, "incomplete": 1}, 79),
        (contradict, {"contradiction": 2}, 80),
    ],
)
def test_faults_are_refused_with_counts_or_left_out_or_kept(path, tmp_path, change, faults, kept):
    file = changed(path, tmp_path, change)
    with pytest.raises(TransitionError) as refusal:
        read_decisions(file, **RESOURCES)
    for name, count in faults.items():
        assert f"`{name}`: {count} of 80 decisions, first in episode 0" in str(refusal.value)
    dropped = read_decisions(file, **RESOURCES, on_fault="drop")
    assert faults.items() <= dropped.faults.items()
    assert len(dropped) == 80 - max(faults.values())
    assert np.isfinite(dropped.states).all() and dropped.masks[np.arange(len(dropped)), dropped.actions].all()
    whole = read_decisions(file, **RESOURCES, on_fault="keep")
    assert whole.faults == dropped.faults
    assert kept is None or len(whole) == kept
    assert whole.masks[np.arange(len(whole)), whole.actions].all()


def test_an_unknown_slice_is_named(path, tmp_path):
    with pytest.raises(TransitionError, match="holographic"):
        read_decisions(changed(path, tmp_path, rename), **RESOURCES)


def test_a_negative_resource_is_kept_as_it_is(path, tmp_path):
    file = changed(path, tmp_path, make_negative)
    kept = read_decisions(file, **RESOURCES, on_fault="keep")
    assert (kept.states < 0).any()
    assert (read_decisions(file, **RESOURCES, on_fault="drop").states >= 0).all()


def test_arguments_that_do_not_fit_are_refused(path):
    capacity, demand = RESOURCES["capacity"], RESOURCES["demand"]
    with pytest.raises(ValueError, match="`on_fault`"):
        read_decisions(path, capacity, demand, on_fault="ignore")
    with pytest.raises(ValueError, match=r"`capacity`.*'radio'"):
        read_decisions(path, {"radio": 273}, demand)
    with pytest.raises(ValueError, match=r"`demand` must name every slice.*'hrllc'"):
        read_decisions(path, capacity, {name: demand[name] for name in demand if name != "hrllc"})
    with pytest.raises(ValueError, match="`demand` must give 3 numbers"):
        read_decisions(path, capacity, {name: [1, 2] for name in demand})
    with pytest.raises(TransitionError, match="admitted"):
        policy_schema(TransitionSchema(slices=("one",), state=(Field("queued"),), action=(Field("bandwidth"),)))
