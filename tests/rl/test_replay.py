"""The replay buffer against a list."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gentwin.rl import ReplayBuffer
from gentwin.rl.replay import COLUMNS


def transitions(first, size):
    """Returns `size` transitions, each told from all others by its number."""
    numbers = np.arange(first, first + size)
    observations = np.stack((numbers, -numbers), axis=1).astype(np.float32)
    return observations, numbers, numbers / 2, observations + 1, numbers % 3 == 0


def filled(capacity, sizes):
    buffer = ReplayBuffer(capacity, 2)
    for first, size in zip(np.cumsum([0, *sizes]), sizes, strict=False):
        buffer.add(*transitions(int(first), size))
    return buffer


def rows(batch):
    """Returns the transitions of a batch by number, checking that their columns belong together."""
    numbers = batch.actions.numpy()
    observations = np.stack((numbers, -numbers), axis=1)
    expected = (observations, numbers, numbers / 2, observations + 1, numbers % 3 == 0)
    for name, values in zip(COLUMNS, expected, strict=True):
        np.testing.assert_array_equal(getattr(batch, name).numpy(), values)
    return numbers.tolist()


SIZES = st.lists(st.integers(0, 12), max_size=8)


@given(capacity=st.integers(1, 9), sizes=SIZES)
@settings(max_examples=60, deadline=None)
def test_keeps_the_last_transitions_in_a_ring(capacity, sizes):
    buffer, total = filled(capacity, sizes), sum(sizes)
    assert buffer.num_added == total
    assert len(buffer) == min(total, capacity)
    kept = rows(buffer.whole())
    assert sorted(kept) == list(range(max(0, total - capacity), total))
    assert all(number % capacity == place for place, number in enumerate(kept))


@given(capacity=st.integers(1, 9), sizes=SIZES, more=st.integers(0, 12))
@settings(max_examples=60, deadline=None)
def test_goes_on_from_its_state_as_if_never_stopped(capacity, sizes, more):
    buffer = filled(capacity, sizes)
    state, restored = buffer.state_dict(), ReplayBuffer(capacity, 2)
    buffer.add(*transitions(sum(sizes), more))
    restored.load_state_dict(state)
    restored.add(*transitions(sum(sizes), more))
    assert rows(buffer.whole()) == rows(restored.whole())
    assert buffer.num_added == restored.num_added


def test_samples_are_uniform_and_follow_the_generator():
    buffer = filled(5, [3, 4])
    drawn = rows(buffer.sample(1000, np.random.default_rng(0)))
    counts = np.bincount(drawn, minlength=7)
    assert counts[:2].tolist() == [0, 0]
    assert (abs(counts[2:] - 200) < 70).all()
    assert drawn == rows(buffer.sample(1000, np.random.default_rng(0)))


def test_contents_are_copies():
    buffer, (observations, *others) = ReplayBuffer(4, 2), transitions(0, 2)
    buffer.add(observations, *others)
    observations[:] = 77
    state = buffer.state_dict()
    buffer.add(*transitions(2, 4))
    assert rows(buffer.take(torch.tensor([2, 0]))) == [2, 4]
    assert state["actions"].tolist() == [0, 1]


def test_bad_transitions_are_refused_and_leave_no_trace():
    buffer = ReplayBuffer(4, 2)
    for index, name in enumerate(COLUMNS):
        misshapen = list(transitions(0, 2))
        misshapen[index] = misshapen[index][:, None]
        with pytest.raises(ValueError, match=f"`{name}` must have shape" if index != 1 else "must have shape"):
            buffer.add(*misshapen)
    for index in (0, 2, 3):
        for value in (np.nan, np.inf):
            broken = list(transitions(0, 2))
            broken[index] = np.full_like(broken[index], value, dtype=np.float64)
            with pytest.raises(ValueError, match=f"`{COLUMNS[index]}` must be finite"):
                buffer.add(*broken)
    assert len(buffer) == 0
    with pytest.raises(ValueError, match="at least one transition"):
        buffer.sample(1, np.random.default_rng(0))


def test_foreign_states_and_sizes_are_refused():
    with pytest.raises(ValueError, match="`observations` must have shape"):
        ReplayBuffer(9, 2).load_state_dict(filled(3, [5]).state_dict())
    with pytest.raises(ValueError, match="`observations` must have shape"):
        ReplayBuffer(3, 4).load_state_dict(filled(3, [5]).state_dict())
    for capacity, size, named in ((0, 2, "capacity"), (2, 0, "observation_size")):
        with pytest.raises(ValueError, match=f"`{named}`"):
            ReplayBuffer(capacity, size)
