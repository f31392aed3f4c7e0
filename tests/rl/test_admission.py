"""Agents of admission control that begin as the policy twin and practise in a twin of the queues."""

import gymnasium
import numpy as np
import pytest

from gentwin.models.q_network import QNetworkModel
from gentwin.networks.admission.policies import fifo_greedy
from gentwin.rl import (
    AdmissionArguments,
    AdmissionTrainer,
    AgentError,
    LearnerArguments,
    clone_policy,
    fit_policy_twin,
    make_learner,
    q_network_config,
    state_policy,
)
from tests.twin_contract import assert_same_tensors

SHORT = {"preset": "small", "warmup_s": 20.0, "num_threads": 1}
LOOPS = {
    "first_steps": 60, "steps_per_round": 20, "practice_updates": 12, "practice_updates_per_step": 0.1,
    "practice_copies": 8, "policy_updates": 20, "clone_updates": 20, "clone_steps": 40,
}  # fmt: skip


def make_env(num_envs=4, **arguments):
    fields = {"observation_fields": "all", "episode_steps": None}
    return gymnasium.make_vec("gentwin/SliceAdmission-v0", num_envs=num_envs, **{**SHORT, **fields, **arguments})


def make_trainer(seed=0, **changes):
    env = make_env()
    learning = LearnerArguments(discount=0.98, batch_size=16, learning_starts=40, buffer_size=500)
    loops = AdmissionArguments(**{**LOOPS, **changes})
    config = q_network_config(env, "dueling", hidden_sizes=[8])
    return AdmissionTrainer(env, config, learning, loops, seed, fifo_greedy(env.unwrapped.parameters))


def test_decisions_in_the_network_are_counted_and_no_others():
    trainer = make_trainer(fine_tuning_steps=8)
    done = trainer.run(2)
    network = trainer.env.unwrapped
    assert [entry.real_steps for entry in done] == [68, 96]
    assert network.num_decisions * network.num_envs == 96 == len(trainer.experience)
    assert done[0].num_updates >= 12 and trainer.twin.patience == "exponential"


def test_first_decisions_are_those_of_the_networks_policy():
    trainer = make_trainer()
    trainer.round()
    record = trainer.experience.transitions()
    state = record.state.astype(float)
    expected = fifo_greedy(trainer.env.unwrapped.parameters)(state)
    taken = np.where(record.action.any(axis=(1, 2)), record.action[..., 0].argmax(axis=1), 4)
    np.testing.assert_array_equal(taken, expected)


def test_the_same_seed_trains_the_same_agent_and_a_resumed_training_goes_on_as_if_uninterrupted(tmp_path):
    whole, first, resumed = (make_trainer() for _ in range(3))
    whole.run(2)
    first.run(1)
    first.save(tmp_path / "round-1")
    resumed.load_state(tmp_path / "round-1")
    assert resumed.twin == first.twin
    assert_same_tensors(resumed.policy_twin.state_dict(), first.policy_twin.state_dict())
    resumed.run(1)
    for name in ("network", "target"):
        assert_same_tensors(whole.agent.state_dict()[name], resumed.agent.state_dict()[name])
    with pytest.raises(AgentError, match=r"`seed` must be"):
        make_trainer(seed=1).load_state(tmp_path / "round-1")


def test_an_agent_becomes_a_clone_of_the_policy_twin():
    env = make_env(16)
    parameters, rng = env.unwrapped.parameters, np.random.default_rng(0)
    trainer = make_trainer(first_steps=400)
    trainer.round()
    record = trainer.experience.transitions()
    twin = fit_policy_twin(record, parameters, 150, seed=0)
    states = record.state.astype(float)
    wanted = twin.policy(record.schema)(states)
    learner = make_learner(QNetworkModel(q_network_config(env, hidden_sizes=[32])), LearnerArguments())
    learner.prepare(trainer.collector.buffer.whole())
    masks = np.concatenate([(states[:, :, 0] > 0), np.ones((len(states), 1), bool)], axis=1)
    clone_policy(learner, env.unwrapped.observations(states), masks, wanted, 400, rng)
    agreement = (state_policy(learner.network, env)(states) == wanted).mean()
    assert agreement > 0.9
    assert_same_tensors(dict(learner.network.named_parameters()), dict(learner.target.named_parameters()))


def test_environments_that_hide_what_the_policy_sees_are_refused():
    env = make_env(observation_fields=("queued", "in_service"))
    config = q_network_config(env, "dueling", hidden_sizes=[8])
    policy = fifo_greedy(env.unwrapped.parameters)
    with pytest.raises(AgentError, match=r"`observation_fields` must include .*'oldest_wait_s'"):
        AdmissionTrainer(env, config, LearnerArguments(), AdmissionArguments(**LOOPS), 0, policy)
    with pytest.raises(ValueError, match="`policy_updates` must be at least 1, got 0"):
        AdmissionArguments(policy_updates=0)
