"""The shipped agents: they load, decide and are better than an equal split."""

from __future__ import annotations

import gymnasium
import pytest

import gentwin
from gentwin.networks.slicing.policies import equal_split
from gentwin.rl import evaluate, greedy_policy

NETWORKS = {
    "gentwin/agent-dynamic": {"preset": "dynamic", "observation_fields": "all"},
    "gentwin/agent-zhang2024": {"preset": "zhang2024", "resolution_hz": 200_000, "placement_seed": 0},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_shipped_agent_is_better_than_an_equal_split(name: str):
    agent = gentwin.from_pretrained(name)
    env = gymnasium.make_vec("gentwin/RanSlicing-v0", num_envs=8, episode_steps=None, num_threads=1, **NETWORKS[name])
    gain = (
        evaluate(greedy_policy(agent, env), env, 40, 1).utility
        - evaluate(equal_split(env.unwrapped.parameters), env, 40, 1).utility
    )
    assert gain.mean() > 0.1 and (gain > 0).mean() > 0.7
