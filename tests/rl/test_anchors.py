"""The lines every learned policy is compared with."""

import gymnasium
import numpy as np
import pytest

from gentwin.networks.slicing.policies import StaticPolicy, equal_split
from gentwin.rl import AgentError, evaluate
from gentwin.rl.anchors import (
    ANCHORS,
    EQUAL,
    HEURISTIC,
    RANDOM,
    RUN_OFF,
    SEARCH_SEED,
    STATIC,
    anchor_utilities,
    bandit_action,
    best_heuristic,
    best_static_action,
)
from tests.rl.counting_env import CountingEnv


def slicing(num_envs=4, **arguments):
    return gymnasium.make_vec("gentwin/RanSlicing-v0", num_envs=num_envs, num_threads=1, **arguments)


def test_all_anchors_are_there_and_the_best_static_is_above_equal_and_random():
    env = slicing(preset="hua2019", placement_seed=1, slots_per_step=100, episode_steps=None)
    found = anchor_utilities(env, 10, seed=0, bandit_interactions=200, search_steps=2)
    assert tuple(found) == ANCHORS
    assert all(entry.standard_error > 0 for entry in found.values())
    assert found[STATIC].mean > max(found[EQUAL].mean, found[RANDOM].mean)
    assert found[HEURISTIC].mean > found[EQUAL].mean
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


@pytest.mark.parametrize("resolution_hz", [1e6, 200e3])
def test_the_best_static_is_no_worse_than_any_start_where_it_was_searched(resolution_hz):
    """All of 36 allocations are tried, 1,176 are climbed; so short a search is often wrong but for its run-off."""
    env = slicing(2, preset="hua2019", slots_per_step=20, resolution_hz=resolution_hz, episode_steps=None)
    starts = [bandit_action(env, 200, seed=0), equal_split(env.unwrapped.parameters).action]
    found = best_static_action(env, starts, 1, seed=0)
    means = [evaluate(StaticPolicy(action), env, RUN_OFF, SEARCH_SEED).mean for action in (found, *starts)]
    assert means[0] == max(means)


def test_the_heuristic_gives_more_to_the_slice_that_needs_more_than_its_traffic():
    env = slicing(preset="zhang2024", placement_seed=1, slots_per_step=40, episode_steps=None)
    setting = best_heuristic(env, 2, seed=0)
    assert max(setting["weights"]) > 1 or setting["floor"] > 0
    assert setting["queue_weight"] == 1  # not searched: there are no queues


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
