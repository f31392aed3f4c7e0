"""The lines every learned policy is compared with."""

import gymnasium
import numpy as np
import pytest

from gentwin.networks.slicing.policies import StaticPolicy, equal_split
from gentwin.rl import AgentError, evaluate
from gentwin.rl.anchors import ANCHORS, EQUAL, HEURISTIC, RANDOM, STATIC, anchor_utilities, best_static_action
from tests.rl.counting_env import CountingEnv


def slicing(num_envs=4, **arguments):
    return gymnasium.make_vec("gentwin/RanSlicing-v0", num_envs=num_envs, num_threads=1, **arguments)


def test_all_anchors_are_there_and_the_best_static_is_above_equal_and_random():
    env = slicing(preset="hua2019", placement_seed=1, slots_per_step=100, episode_steps=None)
    found = anchor_utilities(env, 10, seed=0, bandit_interactions=200, search_steps=2)
    assert tuple(found) == ANCHORS
    assert all(entry.standard_error > 0 for entry in found.values())
    assert found[STATIC].mean > max(found[EQUAL].mean, found[RANDOM].mean)
    assert found[EQUAL].mean == evaluate(equal_split(env.unwrapped.parameters), env, 10, seed=0).mean
    again = anchor_utilities(env, 10, seed=0, bandit_interactions=200, search_steps=2)
    for name, entry in found.items():
        np.testing.assert_array_equal(entry.utility, again[name].utility)


def test_the_search_finds_the_best_of_all_allocations():
    env = slicing(preset="hua2019", placement_seed=1, slots_per_step=100, resolution_hz=2e6, episode_steps=None)
    means = [evaluate(StaticPolicy(action), env, 40, seed=7).mean for action in range(len(env.unwrapped.allocations))]
    found = best_static_action(env, [0], 10, seed=0)
    assert means[found] > max(means) - 0.05


def test_a_large_set_is_climbed_above_where_it_began():
    env = slicing(preset="zhang2024", placement_seed=1, slots_per_step=40, resolution_hz=200e3, episode_steps=None)
    start = equal_split(env.unwrapped.parameters).action
    found = best_static_action(env, [start], 1, seed=0)
    utilities = [evaluate(StaticPolicy(action), env, 10, seed=7).mean for action in (start, found)]
    assert utilities[1] > utilities[0] + 0.3


def test_the_heuristic_sees_the_whole_state_whatever_the_agent_sees():
    arguments = {"preset": "dynamic", "slots_per_step": 40, "resolution_hz": 3.06e6, "warmup_steps": 2}
    blind, seeing = (
        anchor_utilities(slicing(2, **arguments, **more), 5, 0, bandit_interactions=4, search_steps=1)[HEURISTIC].mean
        for more in ({}, {"observation_fields": "all"})
    )
    assert blind == seeing


def test_bad_requests_are_refused():
    with pytest.raises(AgentError, match="`env` must be an environment of a sliced network, got CountingEnv"):
        anchor_utilities(CountingEnv([3], [True]), 10, 0)
    for name in ("bandit_interactions", "search_steps"):
        with pytest.raises(ValueError, match=f"`{name}` must be at least 1, got 0"):
            anchor_utilities(slicing(), 10, 0, **{name: 0})
