"""Q-networks and the environments they fit."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from gentwin.models.q_network import QNetworkModel
from gentwin.networks.slicing import PRESETS
from gentwin.rl import AgentError, evaluate, greedy_policy, q_network_config, require_fit
from tests.rl.counting_env import CountingEnv


def slicing(preset="hua2019", num_envs=1, **arguments):
    return gymnasium.make_vec("gentwin/RanSlicing-v0", num_envs=num_envs, preset=preset, slots_per_step=20, **arguments)


def make_agent(env, head="plain", **fields):
    torch.manual_seed(0)
    network = QNetworkModel(q_network_config(env, head, hidden_sizes=[8, 8, 8], **fields))
    network.mark_fitted()
    return network


@pytest.mark.parametrize("head", ["plain", "dueling", "factorised", "particles"])
@pytest.mark.parametrize("preset", PRESETS)
def test_configurations_fit_the_presets(preset, head):
    env = slicing(preset, observation_fields="all")
    config = q_network_config(env, head)
    assert config.num_actions == env.single_action_space.n
    assert len(config.observation_fields) == env.single_observation_space.shape[0]
    assert config.hidden_sizes == [256, 256, 128, 128]
    network = make_agent(env, head)
    require_fit(network, env)
    observations, _ = env.reset(seed=0)
    assert network(torch.from_numpy(observations)).values.shape == (1, config.num_actions)


def test_entries_are_named_and_counts_are_on_the_log_scale():
    config = q_network_config(slicing("dynamic", observation_fields=("queued_bits", "channel_db")))
    assert config.observation_fields[:3] == ["gaming.queued_bits", "gaming.channel_db", "conferencing.queued_bits"]
    assert config.observation_scales == ["log1p", "linear"] * 3
    elsewhere = q_network_config(CountingEnv([3], [True]))
    assert elsewhere.observation_fields == ["observation.0", "observation.1", "observation.2"]
    assert elsewhere.observation_scales == ["linear"] * 3


def test_agents_for_other_spaces_are_refused():
    agent = make_agent(slicing("hua2019"))
    with pytest.raises(AgentError, match="`num_actions` of the agent must be that of the environment, 171, got 36"):
        require_fit(agent, slicing("zhang2024"))
    dynamic = make_agent(slicing("dynamic"))
    with pytest.raises(AgentError, match=r"`observation_fields` .*gaming\.queued_bits"):
        require_fit(dynamic, slicing("dynamic", observation_fields="all"))
    four_actions = make_agent(CountingEnv([3], [True]))
    four_actions.config.observation_fields = ["a", "b", "c"]
    with pytest.raises(AgentError, match=r"`observation_fields` .*observation\.0"):
        require_fit(four_actions, CountingEnv([3], [True]))


def test_environments_without_q_values_are_refused():
    with pytest.raises(AgentError, match="`head` must not be 'factorised'"):
        q_network_config(CountingEnv([3], [True]), "factorised")
    continuous, started, nested = (CountingEnv([3], [True]) for _ in range(3))
    continuous.single_action_space = spaces.Box(0, 1, (2,))
    started.single_action_space = spaces.Discrete(4, start=1)
    nested.single_observation_space = spaces.Discrete(3)
    for env in (continuous, started):
        with pytest.raises(AgentError, match="`env` must have actions Discrete"):
            q_network_config(env)
    with pytest.raises(AgentError, match="`env` must have observations in a Box"):
        q_network_config(nested)


@pytest.mark.parametrize("head", ["plain", "particles"])
def test_saved_agents_act_as_before(head, tmp_path):
    env = slicing(num_envs=4)
    agent = make_agent(env, head)
    agent.observation_mean.fill_(8.0)
    agent.save_pretrained(tmp_path)
    loaded = QNetworkModel.from_pretrained(tmp_path)
    require_fit(loaded, env)
    observations = np.random.default_rng(0).uniform(0, 9000, (50, 3)).astype(np.float32)
    actions = greedy_policy(agent)(observations)
    assert actions.shape == (50,)
    np.testing.assert_array_equal(actions, greedy_policy(loaded)(observations))
    results = [evaluate(greedy_policy(each), env, 5, seed=0) for each in (agent, loaded)]
    np.testing.assert_array_equal(results[0].utility, results[1].utility)
