"""Learning from a fixed record: the conversion, Algorithm 2, and the agent that practised in a twin."""

import dataclasses

import gymnasium
import numpy as np
import pytest
import torch

from gentwin.models.q_network import QNetworkConfig, QNetworkModel
from gentwin.rl import LearnerArguments, Pull, QLearner, ReplayBuffer, TwinEnhancedArguments, q_network_config
from gentwin.rl.agent import AgentError
from gentwin.rl.offline import (
    OfflineTwinEnhancedTrainer,
    behaviour_policy,
    record_behaviour,
    replay_from_transitions,
    train_offline,
)
from gentwin.rl.twin_fitting import TwinFitArguments
from tests.twin_contract import assert_same_tensors

DISCOUNT = 0.8


def network_env(num_envs=2, **arguments):
    arguments = {"preset": "hua2019", "slots_per_step": 40, "observation_fields": "all", **arguments}
    return gymnasium.make_vec("gentwin/RanSlicing-v0", num_envs=num_envs, **arguments)


@pytest.fixture(scope="module")
def record():
    env = network_env(num_envs=2, episode_steps=15)
    policy = behaviour_policy("random", env.unwrapped.parameters, np.random.default_rng(0), hold_steps=2)
    return record_behaviour(env, policy, 60, seed=1)


def two_state_buffer(rng, size=400):
    """Random actions in two states: 0 stays, 1 changes. Leaving the first costs 1, staying in the second pays 2."""
    states, actions = rng.integers(2, size=size), rng.integers(2, size=size)
    rewards = np.array([[0.0, -1.0], [2.0, 0.0]])[states, actions]
    one_hot = np.eye(2, dtype=np.float32)
    buffer = ReplayBuffer(size, 2)
    buffer.add(one_hot[states], actions, rewards, one_hot[states ^ actions], np.zeros(size, bool))
    return buffer


def two_state_learner(seed=0, **arguments):
    torch.manual_seed(seed)
    network = QNetworkModel(
        QNetworkConfig(observation_fields=["is_first", "is_second"], num_actions=2, hidden_sizes=[16])
    )
    usual = {"discount": DISCOUNT, "learning_rate": 1e-2, "target_update_rate": 0.1}
    return QLearner(network, LearnerArguments(**{**usual, **arguments}))


@pytest.mark.parametrize("algorithm", ["dqn", "double_dqn"])
def test_random_data_is_enough_for_the_optimum(algorithm):
    rng = np.random.default_rng(3)
    learner = two_state_learner(algorithm=algorithm)
    losses = train_offline(learner, two_state_buffer(rng), 800, rng)
    assert len(losses) == 4
    assert losses[-1] < losses[0]
    best = 2 / (1 - DISCOUNT)
    expected = [[DISCOUNT * (-1 + DISCOUNT * best), -1 + DISCOUNT * best], [best, DISCOUNT * (-1 + DISCOUNT * best)]]
    np.testing.assert_allclose(learner.network(torch.eye(2)).values.detach(), expected, atol=0.1)


def test_pull_keeps_the_parameters_near_the_others():
    distances = []
    for weight in (0.0, 0.1, 100.0):
        learner = two_state_learner()
        centre = torch.nn.utils.parameters_to_vector(learner.network.parameters()).detach().clone()
        rng = np.random.default_rng(3)
        train_offline(learner, two_state_buffer(rng), 100, rng, Pull(learner.network, weight))
        moved = torch.nn.utils.parameters_to_vector(learner.network.parameters()) - centre
        distances.append(moved.norm().item())
    assert distances[0] > distances[1] > 3 * distances[2]


def test_learning_is_the_same_for_the_same_seed():
    values = []
    for seed in (3, 3, 4):
        learner, rng = two_state_learner(), np.random.default_rng(seed)
        buffer = two_state_buffer(np.random.default_rng(0))
        train_offline(learner, buffer, 50, rng)
        values.append(learner.network(torch.eye(2)).values)
    assert torch.equal(values[0], values[1])
    assert not torch.equal(values[0], values[2])


def test_a_record_becomes_what_the_agent_would_have_seen(record):
    env = network_env(num_envs=2, episode_steps=15)
    policy = behaviour_policy("random", env.unwrapped.parameters, np.random.default_rng(0), hold_steps=2)
    observations, info = env.reset(seed=1)
    seen = []
    while len(seen) < 15:
        actions = policy(info["arrived"][..., None])
        after, rewards, *_, info = env.step(actions)
        seen.append((observations[1], actions[1], rewards[1], after[1]))
        observations = after
    stored = replay_from_transitions(record, env)
    # Two episodes of each copy are cut by the length; the second copy's come after the first one's.
    order = np.lexsort((record.step, record.episode))
    rows = stored.take(torch.from_numpy(order[len(record) // 2 :][:15].copy()))
    before, actions, rewards, after = (np.array(column) for column in zip(*seen, strict=True))
    np.testing.assert_array_equal(rows.observations, before)
    np.testing.assert_array_equal(rows.actions, actions)
    np.testing.assert_allclose(rows.rewards, rewards, rtol=1e-5)
    np.testing.assert_array_equal(rows.next_observations, after)
    assert len(stored) == len(record) == 60
    assert not stored.whole().terminated.any()


def test_every_allocation_is_found(record):
    env = network_env()
    allocations = env.unwrapped.allocations
    rows = np.arange(len(allocations)) % len(record)
    full = dataclasses.replace(
        record,
        **{name: getattr(record, name)[rows] for name in ("episode", "step", "state", "context", "outcome")},
        next_state=record.next_state[rows],
        action=allocations[..., None].astype(np.float32),
    )
    stored = replay_from_transitions(full, env).whole()
    np.testing.assert_array_equal(stored.actions, np.arange(len(allocations)))


def test_mixed_behaviour_knows_the_whole_state_whatever_is_observed():
    env = network_env(num_envs=7, preset="dynamic", observation_fields=("arrived",))
    policy = behaviour_policy("mixed", env.unwrapped.parameters, np.random.default_rng(0))
    mixed = record_behaviour(env, policy, 30, seed=0)
    assert len(mixed) == 35
    assert len(np.unique(replay_from_transitions(mixed, env).whole().actions)) > 5


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"preset": "zhang2024"}, "`name`"),
        ({"slots_per_step": 80}, "`schema`"),
        ({"resolution_hz": 2e6}, "`bandwidth_hz`"),
        ({"reward": "shaped"}, "`reward`"),
    ],
)
def test_records_that_do_not_fit_are_refused(record, arguments, name):
    with pytest.raises(AgentError, match=name):
        replay_from_transitions(record, network_env(**arguments))


def test_records_of_other_slices_and_empty_ones_are_refused(record):
    with pytest.raises(AgentError, match="at least one step"):
        replay_from_transitions(record.take(np.zeros(len(record), bool)), network_env())
    schema = dataclasses.replace(record.schema, slices=("voice", "video", "urllc"))
    with pytest.raises(AgentError, match="`slices`"):
        replay_from_transitions(dataclasses.replace(record, schema=schema), network_env())
    with pytest.raises(AgentError, match="sliced network"):
        replay_from_transitions(record, gymnasium.make_vec("CartPole-v1", 1))


def test_numbers_out_of_range_are_refused(record):
    env = network_env()
    with pytest.raises(ValueError, match="`num_updates`"):
        train_offline(two_state_learner(), two_state_buffer(np.random.default_rng(0)), 0, np.random.default_rng(0))
    with pytest.raises(ValueError, match="`buffer`"):
        train_offline(two_state_learner(), ReplayBuffer(10, 2), 1, np.random.default_rng(0))
    with pytest.raises(ValueError, match="`num_steps`"):
        record_behaviour(env, behaviour_policy("random", env.unwrapped.parameters, np.random.default_rng(0)), 0, 0)
    with pytest.raises(ValueError, match="`name`"):
        behaviour_policy("best", env.unwrapped.parameters, np.random.default_rng(0))


def twin_enhanced(record, seed, **numbers):
    env = network_env()
    arguments = TwinEnhancedArguments(
        practice_updates=8,
        practice_copies=4,
        practice_horizon=5,
        history_steps=2,
        fit=TwinFitArguments(num_updates=3, sequence_length=5, batch_size=2, model_config={"num_members": 1}),
    )
    numbers = {"num_updates": 10, "pull_weight": 1e-3, **numbers}
    learning = LearnerArguments(batch_size=8, learning_starts=8)
    config = q_network_config(env, "factorised", hidden_sizes=[8])
    return OfflineTwinEnhancedTrainer(record, env, config, learning, arguments, seed, **numbers)


def test_agent_1_goes_on_from_agent_2_with_the_record(record):
    trainer = twin_enhanced(record, 0)
    (outcome,) = trainer.run(1)
    assert trainer.collector.num_steps == 0, "the network must not be acted in"
    assert 0 < trainer.apprentice.num_updates <= 8
    assert (trainer.agent.num_updates, outcome.real_steps) == (10, 60)
    assert np.isfinite(outcome.fine_tuning.losses).all()
    near, far = (network_distance(twin_enhanced(record, 0, pull_weight=weight)) for weight in (1000.0, 0.0))
    assert 0 < near < far


def network_distance(trainer):
    trainer.round()
    one, two = (
        torch.nn.utils.parameters_to_vector(learner.network.parameters())
        for learner in (trainer.agent, trainer.apprentice)
    )
    return (one - two).norm().item()


def test_offline_rounds_are_the_same_for_the_same_seed(record):
    states = []
    for seed in (0, 0, 1):
        trainer = twin_enhanced(record, seed)
        trainer.round()
        states.append(trainer.agent.network.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert any(not torch.equal(states[0][name], states[2][name]) for name in states[0])


def test_an_interrupted_offline_training_goes_on_as_if_uninterrupted(record, tmp_path):
    whole, first, resumed = (twin_enhanced(record, 0) for _ in range(3))
    whole.run(3)
    first.run(1)
    first.save(tmp_path / "round-1")
    resumed.load_state(tmp_path / "round-1")
    (*_, last) = resumed.run(2)
    assert (resumed.num_rounds, last.num_updates) == (3, whole.agent.num_updates + whole.apprentice.num_updates)
    for name, part in whole.parts().items():
        torch.testing.assert_close(resumed.parts()[name].state_dict(), part.state_dict(), rtol=0, atol=0)
    assert_same_tensors(whole.twin.state_dict(), resumed.twin.state_dict())
    assert whole.rng.bit_generator.state == resumed.rng.bit_generator.state


def test_an_offline_training_goes_on_with_its_own_record_and_numbers(record, tmp_path):
    trainer = twin_enhanced(record, 0)
    trainer.run(1)
    trainer.save(tmp_path / "round-1")
    shorter = record.take(np.arange(len(record)) < 40)
    for other, message in (
        (twin_enhanced(shorter, 0), "`record` must be the one the saved training learns from"),
        (twin_enhanced(record, 0, num_updates=11), "`num_updates` must be .*10, got 11"),
        (twin_enhanced(record, 0, pull_weight=0.5), "`pull_weight` must be .*0.001, got 0.5"),
    ):
        before = {name: values.clone() for name, values in other.agent.network.state_dict().items()}
        with pytest.raises(AgentError, match=message):
            other.load_state(tmp_path / "round-1")
        assert_same_tensors(before, other.agent.network.state_dict())
        assert (other.num_rounds, other.twin) == (0, None)


def test_offline_rounds_refuse_numbers_out_of_range(record):
    with pytest.raises(ValueError, match="`pull_weight`"):
        twin_enhanced(record, 0, pull_weight=-1.0)
    with pytest.raises(ValueError, match="`num_updates`"):
        twin_enhanced(record, 0, num_updates=0)
