"""The evaluator on an environment whose rewards are known."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from gentwin.networks.slicing.policies import ProportionalPolicy
from gentwin.rl import evaluate, per_slice
from tests.rl.counting_env import CountingEnv


def first_action(observations):
    return np.zeros(len(observations), np.int64)


def test_means_are_over_real_steps():
    # Copy 0: rewards 1, 2, reset, 1, 2, reset; copy 1: 1 … 6.
    result = evaluate(first_action, CountingEnv([2, 9], [True, False], with_utility=True), 6, seed=0)
    assert result.reward.tolist() == [1.5, 3.5]
    assert result.utility.tolist() == [15.0, 35.0]
    assert result.mean == 25.0
    assert result.standard_error == pytest.approx(10.0)


def test_utility_is_the_reward_where_none_is_known():
    result = evaluate(first_action, CountingEnv([4], [False]), 4, seed=0)
    assert result.utility.tolist() == result.reward.tolist() == [2.5]
    assert np.isnan(result.standard_error)


def test_policies_meet_the_same_network_under_the_same_seed():
    def make():
        return gymnasium.make_vec("gentwin/RanSlicing-v0", num_envs=3, slots_per_step=20)

    first, again = (evaluate(first_action, make(), 4, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first.utility, again.utility)
    other = evaluate(first_action, make(), 4, seed=6)
    assert (first.utility != other.utility).any()


def test_heuristics_of_the_network_can_be_judged():
    env = gymnasium.make_vec("gentwin/RanSlicing-v0", num_envs=2, preset="dynamic", observation_fields="all")
    heuristic = ProportionalPolicy(env.unwrapped.parameters)
    result = evaluate(per_slice(heuristic, 3), env, 5, seed=0)
    assert result.mean > evaluate(first_action, env, 5, seed=0).mean


@pytest.mark.parametrize(
    ("mode", "name"), [(AutoresetMode.SAME_STEP, "same-step"), (AutoresetMode.DISABLED, "disabled")]
)
def test_other_autoreset_is_refused(mode: AutoresetMode, name: str):
    env = CountingEnv([4, 4], [False, False])
    env.metadata = {"autoreset_mode": mode}
    with pytest.raises(ValueError, match=f"`autoreset_mode` must be next-step, got {name}"):
        evaluate(first_action, env, 3, seed=0)


def test_bad_requests_are_refused_before_a_step():
    env = CountingEnv([4, 4], [False, False])
    with pytest.raises(ValueError, match="`num_steps` must be at least 1, got 0"):
        evaluate(first_action, env, 0, seed=0)
    with pytest.raises(ValueError, match=r"`policy` must return 2 actions, got shape \(\)"):
        evaluate(lambda observations: 0, env, 3, seed=0)
    assert (env.count == 0).all()
