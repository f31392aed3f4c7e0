"""What the collector stores of an environment whose observations say what happened."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from hypothesis import strategies as st

from gentwin.rl import Collector, ReplayBuffer, evaluate
from tests.rl.counting_env import CountingEnv


def first_action(observations):
    return np.zeros(len(observations), np.int64)


COPIES = st.lists(st.tuples(st.integers(1, 4), st.booleans()), min_size=1, max_size=4)


@given(copies=COPIES, num_steps=st.integers(1, 15))
@settings(max_examples=40, deadline=None)
def test_stores_real_steps_only(copies, num_steps):
    lengths, terminates = zip(*copies, strict=True)
    buffer = ReplayBuffer(1000, 3)
    collector = Collector(CountingEnv(lengths, terminates), 0, buffer)
    rewards = [collector.step(first_action)["reward"] for _ in range(num_steps)]
    stored = buffer.whole()
    before, after = stored.observations.numpy(), stored.next_observations.numpy()
    # Within an episode every step counts one up; the step of a reset would go down.
    np.testing.assert_array_equal(before[:, :2], after[:, :2])
    np.testing.assert_array_equal(before[:, 2] + 1, after[:, 2])
    np.testing.assert_array_equal(stored.rewards, after[:, 2])
    np.testing.assert_array_equal(np.concatenate(rewards), stored.rewards)
    # After a truncation something follows, after a termination nothing does.
    copy = before[:, 0].astype(int)
    ends = after[:, 2] == np.array(lengths)[copy]
    np.testing.assert_array_equal(stored.terminated, ends & np.array(terminates)[copy])
    # In `length + 1` steps of the environment an episode has `length` real ones.
    expected = sum(num_steps - num_steps // (length + 1) for length in lengths)
    assert collector.num_steps == len(buffer) == expected


def test_utility_is_passed_on_and_the_listener_hears_of_resets():
    heard = []
    env = CountingEnv([2, 5], [True, False], with_utility=True)
    collector = Collector(env, 0, ReplayBuffer(100, 3), lambda *step: heard.append(step))
    seen = [collector.step(first_action) for _ in range(4)]
    assert [each["utility"].tolist() for each in seen] == [[10, 10], [20, 20], [30], [10, 40]]
    assert [real.tolist() for *_, real in heard] == [[True, True], [True, True], [False, True], [True, True]]
    before, _, after, _ = heard[1]
    assert before["utility"].tolist() == [10, 10]
    assert after["utility"].tolist() == [20, 20]


def test_transitions_of_the_slicing_network_skip_the_resets():
    env = gymnasium.make_vec("gentwin/RanSlicing-v0", num_envs=2, slots_per_step=40, episode_steps=3)
    buffer = ReplayBuffer(100, 3)
    collector = Collector(env, 0, buffer)
    for _ in range(9):
        collector.step(first_action)
    assert collector.num_steps == 14
    assert not buffer.whole().terminated.any()
    assert (buffer.whole().rewards > 0).all()


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
def test_other_autoreset_is_refused(mode: AutoresetMode):
    env = gymnasium.make_vec("CartPole-v1", 2, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode})
    with pytest.raises(ValueError, match="`autoreset_mode` must be next-step"):
        Collector(env, 0, ReplayBuffer(10, 4))


def test_observations_that_are_not_finite_are_refused():
    class Broken(CountingEnv):
        def _observation(self):
            return np.full((self.num_envs, 3), np.nan, np.float32)

    collector = Collector(Broken([3], [True]), 0, ReplayBuffer(10, 3))
    with pytest.raises(ValueError, match="`observations` must be finite"):
        collector.step(first_action)


def test_an_environment_that_somebody_else_stepped_is_refused():
    env = gymnasium.make_vec("gentwin/RanSlicing-v0", num_envs=2, preset="hua2019", slots_per_step=10)
    collector = Collector(env, 0, ReplayBuffer(10, 3))
    collector.step(first_action)
    evaluate(first_action, env, num_steps=1, seed=1)
    with pytest.raises(RuntimeError, match="`env` must be stepped by its collector only"):
        collector.step(first_action)
