"""Behaviour of the twin's environment."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

import gentwin.envs
from gentwin.models import SliceLstmTwinConfig, SliceLstmTwinModel
from gentwin.networks.slicing import slicing_parameters, slicing_schema

SCHEMA = slicing_schema(slicing_parameters("dynamic"))


def sequences(num_sequences=6, steps=8, seed=0):
    """Random but legal transitions of the network, as a twin's forward takes them."""
    env = gymnasium.make_vec(
        "gentwin/RanSlicing-v0", num_envs=num_sequences, preset="dynamic", observation_fields="all", slots_per_step=20
    )
    network = env.unwrapped
    rng = np.random.default_rng(seed)
    observation, _ = env.reset(seed=seed)
    shape = (num_sequences, len(SCHEMA.slices), len(SCHEMA.state))
    states, actions, labels = [], [], []
    for _ in range(steps):
        action = rng.integers(len(network.allocations), size=num_sequences)
        states.append(observation.reshape(shape))
        actions.append(network.action_values(action))
        observation, *_, info = env.step(action)
        outcome = np.stack([info[field.name] for field in SCHEMA.outcome], axis=-1)
        labels.append(np.concatenate([observation.reshape(shape), outcome], axis=-1))
    columns = {"states": states, "actions": actions, "labels": labels}
    return {name: torch.tensor(np.stack(rows, axis=1), dtype=torch.float32) for name, rows in columns.items()}


@pytest.fixture(scope="module")
def twin():
    torch.manual_seed(0)
    config = SliceLstmTwinConfig(
        schema=SCHEMA.to_dict(), embedding_size=8, hidden_size=8, head_hidden_size=8, num_members=2
    )
    model = SliceLstmTwinModel(config)
    model.fit_normalization(**sequences())
    return model.eval()


def make_vec(twin, num_envs=5, **arguments):
    return gymnasium.make_vec("gentwin/TwinSlicing-v0", num_envs=num_envs, twin=twin, **arguments)


def test_it_has_the_spaces_and_info_keys_of_the_network(twin):
    ours = make_vec(twin, observation_fields="all")
    network = gymnasium.make_vec("gentwin/RanSlicing-v0", num_envs=5, preset="dynamic", observation_fields="all")
    assert ours.observation_space == network.observation_space
    assert ours.action_space == network.action_space
    np.testing.assert_array_equal(ours.unwrapped.allocations, network.unwrapped.allocations)
    infos = []
    for env in (ours, network):
        env.reset(seed=0)
        observation, reward, _, _, info = env.step(np.arange(5))
        assert env.observation_space.contains(observation)
        np.testing.assert_allclose(reward, info["utility"])
        infos.append({key: values.shape for key, values in info.items()})
    assert infos[0] == infos[1]


def test_gymnasium_and_sb3_checkers_pass(twin):
    from stable_baselines3.common.env_checker import check_env as check_env_sb3

    env = gymnasium.make("gentwin/TwinSlicing-v0", twin=twin, observation_fields="all")
    check_env(env.unwrapped)
    check_env_sb3(env)


def test_a_seed_determines_everything(twin):
    runs = []
    for seed in (3, 3, 4):
        env = make_vec(twin, observation_fields="all")
        env.reset(seed=seed)
        runs.append([env.step(np.full(5, action))[0] for action in (0, 50, 119)])
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_episodes_end_at_the_horizon_and_start_where_told(twin):
    starts = sequences(seed=1)["states"].numpy()[:, 0]
    env = make_vec(twin, horizon=2, start_states=starts[:1], observation_fields="all")
    observation, _ = env.reset(seed=0)
    np.testing.assert_allclose(observation, np.tile(starts[0].ravel(), (5, 1)))
    assert not env.step(np.zeros(5, int))[3].any()
    assert env.step(np.zeros(5, int))[3].all()
    observation, reward, *_ = env.step(np.zeros(5, int))
    np.testing.assert_allclose(observation, np.tile(starts[0].ravel(), (5, 1)))
    assert not reward.any()
    observation, _ = env.reset(options={"start_states": starts[3:4]})
    np.testing.assert_allclose(observation[0], starts[3].ravel())


def test_uncertainty_is_the_disagreement_of_members_about_an_action_and_steps_nothing(twin):
    env = make_vec(twin, observation_fields="all").unwrapped
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.uncertainty(np.zeros(5, int))
    observation, _ = env.reset(seed=0)
    states = torch.from_numpy(observation.reshape(5, len(SCHEMA.slices), -1))
    found = [env.uncertainty(np.full(5, action)) for action in (0, 119, 0)]
    action = torch.from_numpy(env.action_values(np.zeros(5, int)).astype(np.float32))
    expected = twin.predict(states, action, twin.initial_state(5)).uncertainty().mean(dim=(1, 2))
    np.testing.assert_allclose(found[0], expected.detach().numpy(), rtol=1e-5)
    assert found[0].shape == (5,) and (found[0] > 0).all() and (found[0] != found[1]).all()
    np.testing.assert_array_equal(found[0], found[2])
    with pytest.raises(ValueError, match="`actions` must be 5 integers"):
        env.uncertainty(np.zeros(4, int))


def test_history_before_a_start_shapes_the_memory(twin):
    data = {name: values.numpy() for name, values in sequences(seed=2).items()}
    branch = {"states": data["states"][:1], "actions": data["actions"][:1, :-1]}
    with_history = make_vec(twin, start_states=branch, observation_fields="all")
    without = make_vec(twin, start_states=data["states"][:1, -1], observation_fields="all")
    first = [env.reset(seed=0)[0] for env in (with_history, without)]
    np.testing.assert_array_equal(*first)
    second = [env.step(np.zeros(5, int))[0] for env in (with_history, without)]
    assert not np.array_equal(*second)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start_states": np.zeros((2, 3, 3))}, r"`start_states` must have shape \(num_starts, 3, 4\)"),
        ({"start_states": np.full((1, 3, 4), np.nan)}, "`start_states` must be finite"),
        ({"start_states": {"states": np.zeros((1, 2, 3, 4))}}, "`start_states` must have the keys"),
        ({"horizon": 0}, "`horizon` must be at least 1"),
        ({"observation_fields": ("delay",)}, "got 'delay'"),
        ({"slots_per_step": 100}, "`twin` must have been trained on"),
        ({"preset": "hua2019"}, "`preset` must be what the twin was trained on, 'dynamic', got 'hua2019'"),
    ],
)
def test_bad_arguments_are_refused_by_name(twin, arguments, message):
    with pytest.raises(ValueError, match=message):
        make_vec(twin, **arguments)


def test_the_preset_of_the_twin_may_be_named(twin):
    assert make_vec(twin, preset="dynamic").unwrapped.parameters == make_vec(twin).unwrapped.parameters


def test_arguments_of_the_sibling_environment_are_told_apart(twin):
    with pytest.raises(TypeError, match=r"`episode_steps` is not an argument of .*`horizon` here"):
        make_vec(twin, episode_steps=10)
    with pytest.raises(TypeError, match=r"`horizon` is not an argument of .*`episode_steps` here"):
        gymnasium.make("gentwin/RanSlicing-v0", horizon=10)


@pytest.mark.parametrize("name", ["RanSlicing", "TwinSlicing"])
def test_one_action_is_one_integer(name):
    env = gymnasium.make(f"gentwin/{name}-v0", preset="dynamic").unwrapped
    env.reset(seed=0)
    with pytest.raises(ValueError, match="`action` must be one integer, got"):
        env.step([1, 2, 3])


def test_an_unfitted_twin_is_refused():
    config = SliceLstmTwinConfig(schema=SCHEMA.to_dict(), hidden_size=4, num_members=1)
    with pytest.raises(RuntimeError, match="fit"):
        make_vec(SliceLstmTwinModel(config))


def test_network_and_twin_leave_torch_and_numpy_randomness_alone(twin):
    torch.manual_seed(1)
    np.random.seed(1)
    before = (torch.get_rng_state(), np.random.get_state()[1].copy())
    for env in (make_vec(twin), gentwin.envs.RanSlicingVectorEnv(2, slots_per_step=10)):
        env.reset(seed=0)
        env.step(np.zeros(env.num_envs, int))
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])
