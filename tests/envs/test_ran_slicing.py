"""Behaviour of the slicing network's environment."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

import gentwin.envs
from gentwin.envs.slicing_reward import RewardShaping, SlicingUtility, default_shaping
from gentwin.networks.slicing import PRESETS

SHORT = {"slots_per_step": 40}


def make(**arguments):
    return gymnasium.make("gentwin/RanSlicing-v0", **SHORT, **arguments)


def make_vec(num_envs, **arguments):
    return gymnasium.make_vec("gentwin/RanSlicing-v0", num_envs=num_envs, **SHORT, **arguments)


@pytest.mark.parametrize("preset", PRESETS)
def test_checkers_pass_without_a_warning(preset):
    from stable_baselines3.common.env_checker import check_env as check_env_sb3

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = make(preset=preset, observation_fields="all")
        check_env(env.unwrapped)
        check_env_sb3(env)


def test_unmodified_dqn_trains_on_it():
    from stable_baselines3 import DQN

    env = make(preset="dynamic", observation_fields="all", episode_steps=20)
    agent = DQN("MlpPolicy", env, learning_starts=20, train_freq=4, buffer_size=200, seed=0)
    agent.learn(60)
    action, _ = agent.predict(env.reset(seed=0)[0])
    assert env.action_space.contains(int(action))


@pytest.mark.parametrize("preset", PRESETS)
def test_spaces_contain_what_is_observed_and_info_has_every_key(preset):
    env = make(preset=preset, observation_fields="all")
    observation, info = env.reset(seed=3)
    assert env.observation_space.contains(observation)
    state = [field.name for field in env.unwrapped.schema.state]
    assert list(info) == state
    observation, reward, terminated, truncated, info = env.step(0)
    assert env.observation_space.contains(observation)
    assert not terminated and not truncated
    per_slice = {*state, "delivered", "dropped", "ssr", "prb", "slice_spectral_efficiency"}
    for key in per_slice:
        assert info[key].shape == (3,), key
    assert info["delay_ms"].shape == (3, 3)
    assert (np.diff(info["delay_ms"], axis=1) >= 0).all()
    assert ((info["ssr"] >= 0) & (info["ssr"] <= 1)).all()
    alpha = env.unwrapped.parameters.spectral_efficiency_weight
    assert reward == info["utility"] == pytest.approx(info["ssr"].sum() + alpha * info["spectral_efficiency"])


@given(seed=st.integers(0, 2**31), actions=st.lists(st.integers(0, 35), min_size=3, max_size=3))
@settings(max_examples=10, deadline=None)
def test_copy_i_of_the_batch_is_the_scalar_environment_of_seed_plus_i(seed, actions):
    batch = make_vec(3, preset="hua2019")
    batched, _ = batch.reset(seed=seed)
    steps = [batch.step(np.full(3, action)) for action in actions]
    for copy in range(3):
        env = make(preset="hua2019")
        observation, _ = env.reset(seed=seed + copy)
        np.testing.assert_array_equal(observation, batched[copy])
        for action, (observations, rewards, *_) in zip(actions, steps, strict=True):
            observation, reward, *_ = env.step(action)
            np.testing.assert_array_equal(observation, observations[copy])
            assert reward == rewards[copy]


def test_episodes_are_truncated_and_restarted_in_the_next_step():
    env = make_vec(2, preset="dynamic", episode_steps=2, observation_fields="all")
    env.reset(seed=0)
    *_, truncations, _ = env.step(np.array([0, 1]))
    assert not truncations.any()
    *_, terminations, truncations, _ = env.step(np.array([0, 1]))
    assert truncations.all() and not terminations.any()
    observation, rewards, terminations, truncations, info = env.step(np.array([5, 5]))
    assert not rewards.any() and not truncations.any()
    assert "utility" not in info
    again = make_vec(2, preset="dynamic", episode_steps=2, observation_fields="all")
    first, _ = again.reset(seed=0)
    assert not np.array_equal(observation, first), "the second episode repeats the first"


def test_placement_stays_over_episodes_and_can_be_fixed():
    env = make(preset="hua2019", placement_seed=7)
    categories = []
    for seed in (0, 1, None):
        env.reset(seed=seed)
        categories.append(env.unwrapped.batched.network._state["users"]["slice"][0].copy())
    np.testing.assert_array_equal(categories[0], categories[1])
    np.testing.assert_array_equal(categories[0], categories[2])
    free = make(preset="hua2019")
    free.reset(seed=0)
    before = free.unwrapped.batched.network._state["users"]["slice"][0].copy()
    free.reset()
    np.testing.assert_array_equal(before, free.unwrapped.batched.network._state["users"]["slice"][0])
    free.reset(seed=1)
    assert not np.array_equal(before, free.unwrapped.batched.network._state["users"]["slice"][0])


def test_allocations_share_the_band_on_the_grid():
    env = make(preset="zhang2024", resolution_hz=200e3).unwrapped
    assert env.allocations.shape == (4851, 3)
    np.testing.assert_allclose(env.allocations.sum(axis=1), 20e6)
    assert env.allocations.min() == 200e3
    env.reset(seed=0)
    *_, info = env.step(0)
    expected = 20e6 - info["prb"].sum() * 180e3
    assert info["quantisation_loss_hz"] == pytest.approx(expected)


def test_shaped_reward_follows_the_rising_threshold():
    env = make(preset="hua2019", reward="shaped", shaping={"gamma_min": 0.0, "gamma_max": 100.0, "sigma": 50.0})
    env.reset(seed=0)
    rewards = [env.step(3)[1] for _ in range(3)]
    assert rewards == [1.0, 0.0, 0.0]
    shaping = RewardShaping(gamma_min=1, gamma_max=3, sigma=0.5)
    np.testing.assert_allclose(shaping(np.array([0.9, 1.0, 2.9, 3.0, 5.0]), 0), [0, 1, 1, 1, 2])
    assert shaping.threshold(2) == 2.0 and shaping.threshold(100) == 3.0
    assert default_shaping("hua2019", (1, 4, 6)).gamma_max > default_shaping("hua2019", (1, 1, 1)).gamma_max


def test_utility_is_equation_five():
    utility = SlicingUtility((1, 4, 6), 0.01)
    assert utility(np.array([[1.0, 0.5, 0.25]]), np.array([200.0]))[0] == pytest.approx(1 + 2 + 1.5 + 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"preset": "hua"}, "`preset` must be one of .*did you mean `hua2019`"),
        ({"urllc_packets": "medium"}, "`urllc_packets` must be 'small' or 'large', got 'medium'"),
        ({"reward": "sparse"}, "`reward` must be one of"),
        ({"num_user": 5}, "`num_user` is not a parameter .*`num_users`"),
        ({"num_users": 1000}, "`num_users` .* got 1000"),
        ({"bandwidth_hz": -1.0}, "`bandwidth_hz` .* got -1"),
        ({"utility_weights": (1, 1)}, "`utility_weights` must have 3 entries"),
        ({"utility_weights": (1, 1, -1)}, "`utility_weights` must be at least 0"),
        ({"observation_fields": ("queue",)}, "`observation_fields` must be .* got 'queue'\\."),
        ({"episode_steps": 0}, "`episode_steps` must be at least 1"),
        ({"preset": "dynamic", "placement_seed": 3}, "`placement_seed` applies to presets whose users stay"),
        ({"shaping": {"gamma_min": 0.0, "gamma_max": 1.0, "sigma": 1.0}}, "`shaping` applies to reward='shaped'"),
        ({"reward": "shaped", "shaping": {"gamma": 0.0}}, "`shaping` must give the numbers"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        gymnasium.make("gentwin/RanSlicing-v0", **arguments)


@pytest.mark.parametrize("actions", [np.array([0, 36]), np.array([-1, 0]), np.array([0.0, 1.0]), np.array([0])])
def test_bad_actions_are_refused(actions):
    env = make_vec(2, preset="hua2019")
    env.reset(seed=0)
    with pytest.raises(ValueError, match="`actions` must be"):
        env.step(actions)


def test_step_before_reset_is_refused():
    with pytest.raises(gymnasium.error.ResetNeeded):
        gentwin.envs.RanSlicingVectorEnv(1).step(np.zeros(1, np.int64))
