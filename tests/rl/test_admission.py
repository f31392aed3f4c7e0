"""Agents of admission control that begin as the policy twin and practise in a twin of the queues."""

import dataclasses

import gymnasium
import numpy as np
import pytest
import torch

from gentwin.models.q_network import QNetworkModel
from gentwin.networks.admission.policies import fifo_greedy, revenue_greedy
from gentwin.rl import (
    AdmissionArguments,
    AdmissionTrainer,
    AgentError,
    LearnerArguments,
    TwinEnhancedArguments,
    TwinEnhancedTrainer,
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


def make_trainer(seed=0, policy=fifo_greedy, kind=AdmissionTrainer, num_envs=4, **changes):
    env = make_env(num_envs)
    learning = LearnerArguments(discount=0.98, batch_size=16, learning_starts=40, buffer_size=500)
    loops = AdmissionArguments(**{**LOOPS, **changes})
    config = q_network_config(env, "dueling", hidden_sizes=[8])
    return kind(env, config, learning, loops, seed, policy(env.unwrapped.parameters))


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
    with pytest.raises(AgentError, match=r"`policy` must be what the training"):
        make_trainer(policy=revenue_greedy).load_state(tmp_path / "round-1")


def test_the_twin_of_the_queues_is_fitted_once_a_round():
    class Counting(AdmissionTrainer):
        fits = 0

        def fit(self):
            self.fits += 1
            return super().fit()

    trainer = make_trainer(kind=Counting)
    trainer.run(2)
    assert trainer.fits == 2


@pytest.mark.parametrize("name", ["hold_steps", "history_steps", "fit"])
def test_arguments_without_effect_are_no_arguments(name):
    with pytest.raises(TypeError, match=name):
        AdmissionArguments(**{name: 3})


def test_trainers_of_slicing_name_the_one_for_admission():
    env = make_env()
    config = q_network_config(env, "dueling", hidden_sizes=[8])
    with pytest.raises(AgentError, match=r"`env` must be 'gentwin/RanSlicing-v0'.* `AdmissionTrainer`"):
        TwinEnhancedTrainer(env, config, LearnerArguments(), TwinEnhancedArguments(), seed=0)


@pytest.mark.parametrize("num_envs", [1, 4])
def test_policy_twins_are_calibrated_on_decisions_they_were_not_trained_on(num_envs):
    trainer = make_trainer(num_envs=num_envs, first_steps=200)
    trainer.round()
    record, parameters = trainer.experience.transitions(), trainer.env.unwrapped.parameters
    twin = fit_policy_twin(record, parameters, 40, seed=0)
    assert float(twin.temperature) != 1.0
    # Other decisions in what is held out, one episode or the last tenth of a single one, change the temperature alone.
    stretches = [record.episode == episode for episode in record.episodes] if num_envs > 1 else [record.step >= 180]
    is_held_out = []
    for rows in stretches:
        altered = record.action.copy()
        altered[rows] = 0  # admits none
        other = fit_policy_twin(dataclasses.replace(record, action=altered), parameters, 40, seed=0)
        same = all(torch.equal(mine, its) for mine, its in zip(twin.parameters(), other.parameters(), strict=True))
        is_held_out.append(same and float(other.temperature) != float(twin.temperature))
    assert sum(is_held_out) == 1


def test_a_policy_twin_needs_a_decision_to_learn_from_and_one_to_hold_out():
    trainer = make_trainer()
    trainer.round()
    record = trainer.experience.transitions()
    with pytest.raises(ValueError, match="`record` must hold at least two decisions, one of them held out, got 1"):
        fit_policy_twin(record.take(np.arange(1)), trainer.env.unwrapped.parameters, 5, seed=0)


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
