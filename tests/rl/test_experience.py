"""Experience in a network as a record, and the states roll-outs start from."""

import gymnasium
import numpy as np
import pytest

from gentwin.datasets import read_transitions, write_transitions
from gentwin.rl import AgentError, Collector, Experience, ReplayBuffer, branch_points
from tests.rl.counting_env import CountingEnv

EPISODE_STEPS = 4


def make_env(num_envs=2, **arguments):
    defaults = {"preset": "dynamic", "slots_per_step": 20, "warmup_steps": 1, "episode_steps": EPISODE_STEPS}
    return gymnasium.make_vec("gentwin/RanSlicing-v0", num_envs=num_envs, **{**defaults, **arguments})


def collect(env, num_steps, seed=0):
    """Returns experience, the collector and what the environment said: info before, actions, info after, real."""
    experience, log = Experience(env), []

    def listener(*step):
        log.append(step)
        experience.add(*step)

    collector = Collector(env, seed, ReplayBuffer(100, 3), listener)
    go_on(collector, num_steps)
    return experience, collector, log


def go_on(collector, num_steps, seed=0):
    rng, last = np.random.default_rng(seed), collector.num_steps + num_steps
    while collector.num_steps < last:
        collector.step(lambda observations: rng.integers(collector.env.single_action_space.n, size=len(observations)))


def test_a_record_is_what_the_environment_said():
    env = make_env()
    experience, collector, log = collect(env, 20)
    record = experience.transitions()
    record.validate()
    assert len(experience) == len(record) == collector.num_steps == 20
    assert len(record.episodes) == 2 * 3, "10 steps of each copy are two whole episodes of 4 and 2 steps"
    assert [int(np.sum(record.episode == episode)) for episode in record.episodes] == [4, 4, 2] * 2
    assert record.step.tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 10, 11] * 2, "a reset is a gap"
    states, outcomes = ([field.name for field in fields] for fields in (env.schema.state, env.schema.outcome))
    for copy in range(2):
        rows = iter(range(10 * copy, 10 * copy + 10))
        for before, actions, after, real in log:
            if not real[copy]:
                continue
            row = next(rows)
            for part, info, names in (
                (record.state, before, states),
                (record.next_state, after, states),
                (record.outcome, after, outcomes),
            ):
                expected = np.stack([info[name][copy] for name in names], axis=-1).astype(np.float32)
                np.testing.assert_array_equal(part[row], expected)
            np.testing.assert_array_equal(record.action[row, :, 0], env.allocations[actions[copy]].astype(np.float32))


def test_experience_goes_on_after_it_was_restored(tmp_path):
    whole, collector, _ = collect(make_env(), 14)
    write_transitions(tmp_path / "record.parquet", whole.transitions())
    restored = Experience(collector.env)
    restored.restore(read_transitions(tmp_path / "record.parquet"))
    assert len(restored) == len(whole)
    assert restored.transitions().fingerprint() == whole.transitions().fingerprint()
    added, collector.listener = whole.add, lambda *step: (added(*step), restored.add(*step))
    go_on(collector, 12)
    assert restored.transitions().fingerprint() == whole.transitions().fingerprint()


def test_experience_of_something_else_is_refused():
    with pytest.raises(AgentError, match=r"`env` must be an environment of a sliced network.*got CountingEnv"):
        Experience(CountingEnv([3], [True]))
    record = collect(make_env(), 8)[0].transitions()
    for other in (make_env(3), make_env(preset="hua2019", warmup_steps=0)):
        with pytest.raises(ValueError, match="`record` must be one of"):
            Experience(other).restore(record)
    with pytest.raises(ValueError, match="at least one step"):
        Experience(make_env()).transitions()


def test_branch_points_have_their_past():
    record = collect(make_env(), 20)[0].transitions()
    starts = branch_points(record, 2)
    # Of a run of n steps, n - 2 states have two steps before them and one behind.
    assert starts["states"].shape == (2 * (2 + 2 + 0), 3, 3, len(record.schema.state))
    assert starts["actions"].shape == (8, 2, 3, 1)
    np.testing.assert_array_equal(starts["states"][1], record.state[1:4])
    np.testing.assert_array_equal(starts["actions"][1], record.action[1:3])
    np.testing.assert_array_equal(branch_points(record, 0)["states"][:, 0], record.state)
    with pytest.raises(ValueError, match="`history_steps` must be below the longest run, 4 steps, got 4"):
        branch_points(record, 4)
