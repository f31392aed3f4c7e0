"""Behaviour of the environment of admission control."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

import gentwin.envs
from gentwin.datasets import read_transitions
from gentwin.envs.recorder import record_transitions
from gentwin.networks.admission import PRESETS, action_mask, slice_revenue
from gentwin.networks.admission.policies import fifo_greedy, revenue_greedy

SHORT = {"warmup_s": 20.0}
STATE = {"queued", "oldest_wait_s", "requesting", "in_service", "free_radio", "free_computing", "free_storage"}
PER_SLICE = {"queued", "oldest_wait_s", "requesting", "in_service"} | {
    "arrived", "admitted", "completed", "timed_out", "blocked", "revenue"
}  # fmt: skip


def make(**arguments):
    return gymnasium.make("gentwin/SliceAdmission-v0", **(SHORT | arguments))


def make_vec(num_envs, **arguments):
    return gymnasium.make_vec("gentwin/SliceAdmission-v0", num_envs=num_envs, num_threads=1, **(SHORT | arguments))


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

    env = make(episode_steps=20)
    agent = DQN("MlpPolicy", env, learning_starts=20, train_freq=4, buffer_size=200, seed=0)
    agent.learn(60)
    action, _ = agent.predict(env.reset(seed=0)[0])
    assert env.action_space.contains(int(action))


@pytest.mark.parametrize("preset", PRESETS)
def test_spaces_contain_what_is_observed_and_info_has_every_key(preset):
    env = make(preset=preset, observation_fields="all")
    observation, info = env.reset(seed=3)
    assert env.observation_space.contains(observation)
    assert info.keys() == STATE | {"action_mask"}
    for _ in range(30):
        observation, _, terminated, truncated, info = env.step(env.action_space.sample(info["action_mask"]))
        assert env.observation_space.contains(observation)
        assert not terminated and not truncated and not info["forbidden"]
        assert info["action_mask"].shape == (5,) and info["action_mask"][4] == 1
    used = {"used_radio", "used_computing", "used_storage"}
    assert info.keys() == STATE | PER_SLICE | used | {"action_mask", "elapsed_s", "forbidden"}
    for key in PER_SLICE:
        assert info[key].shape == (4,), key
    assert isinstance(info["free_radio"], float) and isinstance(info["elapsed_s"], float)


def test_the_observation_is_the_state_of_the_article_slice_by_slice_then_of_the_network():
    env = make()
    observation, info = env.reset(seed=1)
    slices = np.stack([info["queued"], info["oldest_wait_s"], info["requesting"]], axis=1).reshape(-1)
    network = [info["free_radio"], info["free_computing"], info["free_storage"]]
    np.testing.assert_array_equal(observation, np.concatenate([slices, network]).astype(np.float32))
    few = make(observation_fields=("free_storage", "in_service", "queued"))
    observation, info = few.reset(seed=1)
    expected = [*np.stack([info["in_service"], info["queued"]], axis=1).reshape(-1), info["free_storage"]]
    np.testing.assert_array_equal(observation, np.array(expected, np.float32))


def test_observations_give_back_the_states_that_policies_take():
    env = make_vec(6, observation_fields="all")
    observations, _ = env.reset(seed=0)
    base = env.unwrapped
    for _ in range(20):
        states = base.states(observations)
        np.testing.assert_allclose(states, base.network.state_values(), rtol=1e-6)
        np.testing.assert_array_equal(action_mask(base.parameters, states), base.network.masks)
        for policy in (fifo_greedy(base.parameters), revenue_greedy(base.parameters)):
            np.testing.assert_array_equal(policy(states), policy(base.network.state_values()))
        observations, *_ = env.step(fifo_greedy(base.parameters)(states))
    part = make_vec(2, observation_fields=("queued",))
    states = part.unwrapped.states(part.reset(seed=0)[0])
    assert (states[:, :, 0] == part.unwrapped.network.values("queued")).all() and not states[:, :, 1:].any()


def test_the_reward_is_the_revenue_less_the_penalties():
    env = make_vec(8, preset="overload")
    _, info = env.reset(seed=0)
    parameters, total = env.unwrapped.parameters, 0.0
    for _ in range(40):
        _, rewards, _, _, info = env.step(info["action_mask"].argmax(axis=1))
        lost = info["timed_out"] + info["blocked"]
        expected = sum(
            entry.revenue * info["admitted"][:, n] - entry.penalty * lost[:, n]
            for n, entry in enumerate(parameters.slices)
        )
        np.testing.assert_allclose(rewards, expected)
        np.testing.assert_allclose(info["revenue"], slice_revenue(parameters, info["admitted"], lost))
        total += lost.sum()
    assert total > 0


def test_a_forbidden_action_counts_as_none_and_is_reported():
    env, none = make_vec(8), make_vec(8)
    _, info = env.reset(seed=0)
    none.reset(seed=0)
    forbidden = (info["action_mask"] == 0).any(axis=1)
    actions = np.where(forbidden, info["action_mask"].argmin(axis=1), 4)
    observations, rewards, _, _, info = env.step(actions)
    expected, expected_rewards, *_ = none.step(np.full(8, 4))
    assert forbidden.any() and not info["admitted"].any()
    np.testing.assert_array_equal(info["forbidden"], forbidden)
    np.testing.assert_array_equal(observations, expected)
    np.testing.assert_array_equal(rewards, expected_rewards)


@given(seed=st.integers(0, 2**31), actions=st.lists(st.integers(0, 4), min_size=5, max_size=5))
@settings(max_examples=10, deadline=None)
def test_copy_i_of_the_batch_is_the_scalar_environment_of_seed_plus_i(seed, actions):
    batch = make_vec(3)
    batched, _ = batch.reset(seed=seed)
    steps = [batch.step(np.full(3, action)) for action in actions]
    for copy in range(3):
        env = make()
        observation, _ = env.reset(seed=seed + copy)
        np.testing.assert_array_equal(observation, batched[copy])
        for action, (observations, rewards, *_) in zip(actions, steps, strict=True):
            observation, reward, *_ = env.step(action)
            np.testing.assert_array_equal(observation, observations[copy])
            assert reward == rewards[copy]


def test_episodes_are_truncated_and_restarted_in_the_next_step():
    env = make_vec(2, episode_steps=2)
    first, _ = env.reset(seed=0)
    env.step(np.array([4, 4]))
    *_, terminations, truncations, _ = env.step(np.array([4, 4]))
    assert truncations.all() and not terminations.any()
    observation, rewards, terminations, truncations, info = env.step(np.array([0, 1]))
    assert not rewards.any() and not truncations.any()
    assert info.keys() == STATE | {"action_mask"}
    assert not np.array_equal(observation, first), "the second episode repeats the first"
    assert env.unwrapped.num_decisions == 2


def test_a_restored_snapshot_continues_identically_over_episodes():
    env = make_vec(3, episode_steps=4)
    env.reset(seed=5)
    env.step(np.full(3, 4))
    snapshot = env.unwrapped.snapshot()
    futures = []
    for _ in range(2):
        env.unwrapped.restore(snapshot)
        futures.append([env.step(np.full(3, 4))[0] for _ in range(8)])
    np.testing.assert_array_equal(*futures)
    with pytest.raises(gymnasium.error.ResetNeeded):
        make_vec(1).unwrapped.snapshot()


@pytest.mark.parametrize("num_envs", [None, 3])
def test_records_hold_states_and_actions_of_every_slice(num_envs, tmp_path):
    env = make(episode_steps=10) if num_envs is None else make_vec(num_envs, episode_steps=10)
    parameters = env.unwrapped.parameters
    env = record_transitions(env, tmp_path / "admission.parquet")
    _, info = env.reset(seed=0)
    masks, taken = [], []
    for _ in range(10):
        mask = np.atleast_2d(info["action_mask"])
        actions = mask.argmax(axis=1)
        masks.append(mask)
        taken.append(actions)
        *_, info = env.step(actions if num_envs else int(actions[0]))
    env.close()
    record = read_transitions(tmp_path / "admission.parquet")
    assert record.schema.name == "admission_busy" and len(record) == 10 * (num_envs or 1)
    masks, taken = (np.stack(values, axis=1).reshape(len(record), -1) for values in (masks, taken))
    np.testing.assert_array_equal(action_mask(parameters, record.state), masks)
    np.testing.assert_array_equal(record.action[..., 0], taken == np.arange(4))
    np.testing.assert_array_equal(record.next_state[:9], record.state[1:10])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"preset": "bussy"}, "`preset` must be one of .*did you mean `busy`"),
        ({"load": -1.0}, "`load` .* must be above 0 and finite, got -1"),
        ({"capacity": (273, 96, -1)}, "`capacity` .* must be above 0 for every resource, got"),
        ({"patient": "exponential"}, "`patient` is not a parameter .*`patience`"),
        ({"observation_fields": ("queue",)}, "`observation_fields` must be .* got 'queue'; did you mean `queued`"),
        ({"observation_fields": "queued"}, "`observation_fields` must be 'all' or names from"),
        ({"episode_steps": 0}, "`episode_steps` must be at least 1"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        gymnasium.make("gentwin/SliceAdmission-v0", **arguments)


@pytest.mark.parametrize("actions", [np.array([0, 5]), np.array([-1, 0]), np.array([0.0, 1.0]), np.array([0])])
def test_bad_actions_are_refused(actions):
    env = make_vec(2)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="`actions` must be"):
        env.step(actions)


def test_step_before_reset_and_unknown_options_are_refused():
    with pytest.raises(gymnasium.error.ResetNeeded):
        gentwin.envs.SliceAdmissionVectorEnv(1).step(np.zeros(1, np.int64))
    with pytest.raises(ValueError, match="`start_states` is not a key of a reset's `options` here"):
        make().reset(options={"start_states": 1})
