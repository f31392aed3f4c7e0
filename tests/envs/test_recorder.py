"""The recorder around real environments: scalar, batched, and one of a sliced network."""

import os
from typing import ClassVar

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from gentwin.datasets import TransitionError, read_transitions
from gentwin.envs.recorder import ScalarTransitionRecorder, TransitionRecorder, record_transitions
from gentwin.schema import Field, TransitionSchema

SCHEMA = TransitionSchema(
    slices=("video", "control"),
    state=(Field("queued_bits", "bit"),),
    action=(Field("prb", "PRB", high=10.0),),
    context=(Field("num_users"),),
    outcome=(Field("ssr", high=1.0),),
    step_ms=10.0,
    name="toy",
)


class ToySlicing(VectorEnv):
    """Two queues per copy; an episode ends after as many steps as its copy's number plus three."""

    metadata: ClassVar = {"autoreset_mode": AutoresetMode.NEXT_STEP}
    schema = SCHEMA

    def __init__(self, num_envs):
        self.num_envs = num_envs
        self.allocations = np.array([[2.0, 8.0], [5.0, 5.0], [8.0, 2.0]], np.float32)
        self.single_observation_space = spaces.Box(0.0, np.inf, (2,), np.float32)
        self.single_action_space = spaces.Discrete(3)
        self.observation_space = spaces.Box(0.0, np.inf, (num_envs, 2), np.float32)
        self.action_space = spaces.MultiDiscrete([3] * num_envs)

    def action_values(self, actions):
        return self.allocations[actions][..., None]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.age = np.zeros(self.num_envs, int)
        self.done = np.zeros(self.num_envs, bool)
        self.queue = np.zeros((self.num_envs, 2), np.float32)
        self.users = self.np_random.integers(1, 5, (self.num_envs, 2))
        return self.queue.copy(), self.info(np.ones((self.num_envs, 2)))

    def info(self, ssr):
        return {"queued_bits": self.queue.copy(), "num_users": self.users.copy(), "ssr": ssr}

    def step(self, actions):
        offered = self.queue + self.users
        served = np.minimum(offered, self.allocations[actions])
        self.queue = np.where(self.done[:, None], 0, offered - served).astype(np.float32)
        self.age = np.where(self.done, 0, self.age + 1)
        self.users = self.np_random.integers(1, 5, (self.num_envs, 2))
        self.done = self.age >= np.arange(self.num_envs) + 3
        truncations = np.zeros(self.num_envs, bool)
        return self.queue.copy(), served.sum(1), self.done.copy(), truncations, self.info(served / offered)


def test_sliced_network(tmp_path):
    path = tmp_path / "toy.parquet"
    env = TransitionRecorder(ToySlicing(3), path, provenance={"policy": "random"}, chunk_steps=7)
    assert isinstance(record_transitions(ToySlicing(2), tmp_path / "b.parquet"), TransitionRecorder)
    observations, _ = env.reset(seed=11)
    rng = np.random.default_rng(0)
    expected = []
    for _ in range(20):
        actions = rng.integers(0, 3, 3)
        before, resetting = observations, env.unwrapped.done.copy()
        observations, *_ = env.step(actions)
        allocations = env.unwrapped.allocations[actions]
        expected += [(before[i], allocations[i], observations[i]) for i in range(3) if not resetting[i]]
    env.close()
    record = read_transitions(path)
    assert record.schema == SCHEMA
    assert record.seed == 11
    assert (record.provenance["environment"], record.provenance["policy"]) == ("ToySlicing", "random")
    assert len(record) == len(expected)
    found = [
        tuple(np.concatenate(row, axis=None))
        for row in zip(record.state, record.action, record.next_state, strict=True)
    ]
    assert sorted(found) == sorted(tuple(np.concatenate(row, axis=None)) for row in expected)
    # Served share times what was offered is what left the queue.
    offered = record.state[..., 0] + record.context[..., 0]
    np.testing.assert_allclose(offered * (1 - record.outcome[..., 0]), record.next_state[..., 0], atol=1e-5)
    lengths = np.unique(record.episode, return_counts=True)[1]
    assert list(lengths[:3]) == [3, 4, 5]
    assert (record.step[np.unique(record.episode, return_index=True)[1]] == 0).all()


def test_cart_pole_batched_skips_reset_steps(tmp_path):
    path = tmp_path / "cart.parquet"
    env = record_transitions(gymnasium.make_vec("CartPole-v1", num_envs=3), path)
    env.reset(seed=1)
    rng, done = np.random.default_rng(0), np.zeros(3, bool)
    real, ends = 0, 0
    for _ in range(120):
        _, _, terminations, truncations, _ = env.step(rng.integers(0, 2, 3))
        real += int((~done).sum())
        ends += int((terminations & ~done).sum())
        done = terminations | truncations
    env.close()
    record = read_transitions(path)
    assert len(record) == real
    assert record.outcome[:, 0, 1].sum() == ends
    assert len(record.episodes) >= ends
    assert [field.name for field in record.schema.fields][-3:] == ["action", "reward", "terminated"]
    last = np.append(np.flatnonzero(np.diff(record.episode)), len(record) - 1)
    assert record.outcome[np.setdiff1d(np.arange(len(record)), last), 0, 1].sum() == 0
    # The angle that ended an episode is a next state, never a state.
    assert (np.abs(record.state[:, 0, 2]) <= 0.2095).all()
    assert (np.abs(record.next_state[:, 0, 2]) > 0.2095).sum() > 0


def test_cart_pole_scalar(tmp_path):
    path = tmp_path / "cart.parquet"
    with record_transitions(gymnasium.make("CartPole-v1", max_episode_steps=8), path) as env:
        assert isinstance(env, ScalarTransitionRecorder)
        trajectory = []
        for episode in range(3):
            observation, _ = env.reset(seed=4 if episode == 0 else None)
            done = False
            while not done:
                trajectory.append(observation)
                observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
                done = terminated or truncated
    record = read_transitions(path)
    assert (record.seed, record.provenance["environment"]) == (4, "CartPole-v1")
    assert len(record.episodes) == 3
    np.testing.assert_array_equal(record.state[:, 0], np.array(trajectory))


def test_other_spaces(tmp_path):
    env = record_transitions(gymnasium.make("Pendulum-v1"), tmp_path / "a.parquet")
    env.reset(seed=0)
    env.step(np.array([0.5], np.float32))
    env.close()
    record = read_transitions(tmp_path / "a.parquet")
    assert record.action[0, 0, 0] == 0.5
    assert (record.schema.field("action_0").low, record.schema.field("action_0").high) == (-2.0, 2.0)
    env = record_transitions(gymnasium.make("FrozenLake-v1"), tmp_path / "b.parquet")
    assert env.reset(seed=0)[0] == 0
    env.step(1)
    env.close()
    assert read_transitions(tmp_path / "b.parquet").schema.field("obs_0").categories == 16
    with pytest.raises(ValueError, match="`obs` space must be Box, Discrete or MultiDiscrete"):
        record_transitions(gymnasium.make("Blackjack-v1"), tmp_path / "c.parquet")


def test_same_step_autoreset_is_refused(tmp_path):
    env = SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")], autoreset_mode=AutoresetMode.SAME_STEP)
    with pytest.raises(ValueError, match="`autoreset_mode` must be next-step or disabled, got same-step"):
        TransitionRecorder(env, tmp_path / "a.parquet")


def test_partial_resets_without_autoreset(tmp_path):
    env = SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")] * 2, autoreset_mode=AutoresetMode.DISABLED)
    env = TransitionRecorder(env, tmp_path / "a.parquet")
    env.reset(seed=0)
    for _ in range(60):
        _, _, terminations, truncations, _ = env.step(np.array([0, 1]))
        if (terminations | truncations).any():
            env.reset(options={"reset_mask": terminations | truncations})
    env.close()
    record = read_transitions(tmp_path / "a.parquet")
    assert len(record) == 120
    assert len(record.episodes) > 4


def test_nothing_is_left_of_a_failed_or_empty_recording(tmp_path):
    path = tmp_path / "cart.parquet"
    with pytest.raises(RuntimeError, match="boom"), record_transitions(gymnasium.make("CartPole-v1"), path) as env:
        env.reset(seed=0)
        env.step(0)
        raise RuntimeError("boom")
    env = record_transitions(gymnasium.make("CartPole-v1"), path)
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="no transition was recorded"):
        env.close()
    assert os.listdir(tmp_path) == []


def test_existing_file_is_refused_before_recording(tmp_path):
    path = tmp_path / "cart.parquet"
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        record_transitions(gymnasium.make("CartPole-v1"), path)


def test_environment_must_report_its_schema(tmp_path):
    class Silent(ToySlicing):
        def info(self, ssr):
            return {"queued_bits": self.queue}

    env = TransitionRecorder(Silent(2), tmp_path / "a.parquet")
    with pytest.raises(TransitionError, match="`info` lacks field `num_users`"):
        env.reset(seed=0)


@pytest.mark.parametrize("name", ["RanSlicing", "TwinSlicing"])
def test_slicing_environments_are_recorded_across_resets(tmp_path, name):
    path = tmp_path / "slicing.parquet"
    length = {"RanSlicing": "episode_steps", "TwinSlicing": "horizon"}[name]
    env = gymnasium.make_vec(f"gentwin/{name}-v0", num_envs=2, preset="dynamic", **{length: 10})
    env = record_transitions(env, path)
    env.reset(seed=0)
    env.action_space.seed(0)
    for step in range(25):
        *_, info = env.step(env.action_space.sample())
        assert ("delivered" in info) == (step not in (10, 21))
    env.close()
    record = read_transitions(path)
    assert list(np.unique(record.episode, return_counts=True)[1]) == [10, 10, 10, 10, 3, 3]


def test_steps_after_the_end_of_a_scalar_episode_are_left_out(tmp_path):
    path = tmp_path / "slicing.parquet"
    env = record_transitions(gymnasium.make("gentwin/RanSlicing-v0", preset="dynamic", episode_steps=2), path)
    env.reset(seed=0)
    for action in range(4):
        env.step(action)
    env.close()
    assert len(read_transitions(path)) == 2
