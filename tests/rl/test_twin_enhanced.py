"""Algorithm 1 of Zhang et al. against a loop written by hand, and what our loops promise besides."""

import dataclasses

import gymnasium
import numpy as np
import pytest
import torch

from gentwin.envs import TwinSlicingVectorEnv
from gentwin.models.q_network import QNetworkModel
from gentwin.rl import (
    AgentError,
    Experience,
    LearnerArguments,
    ReplayBuffer,
    TwinEnhancedArguments,
    TwinEnhancedTrainer,
    TwinFitArguments,
    branch_points,
    fit_twin,
    make_learner,
    q_network_config,
    zhang2024_arguments,
)
from gentwin.rl.twin_enhanced import MixedReplay
from tests.twin_contract import assert_same_tensors

HEADS = {"dqn": "plain", "double_dqn": "dueling", "gan_dqn": "particles"}
CHANGED = {"slots_per_step": 20}
SIZES = {"hidden_size": 8, "reward_hidden_sizes": [8]}
FIT = TwinFitArguments(
    model_type="gentwin_slice_mean", model_config=SIZES, num_updates=8, refit_updates=4, sequence_length=10,
    batch_size=4, weight_decay=0.0,
)  # fmt: skip


def make_env(num_envs=1, preset="hua2019", **arguments):
    arguments = {"episode_steps": None, **CHANGED, **arguments}
    return gymnasium.make_vec("gentwin/RanSlicing-v0", num_envs=num_envs, preset=preset, **arguments)


def make_config(env, algorithm="dqn"):
    sizes = {"hidden_sizes": [8, 8], "critic_sizes": [8], "num_particles": 4, "noise_size": 2}
    if HEADS[algorithm] == "particles":
        return q_network_config(env, "particles", **{**sizes, "hidden_sizes": [8, 8, 8]})
    return q_network_config(env, HEADS[algorithm], hidden_sizes=[8, 8, 8])


def published(algorithm="dqn", **changes):
    """Returns arguments of Algorithm 1, small, and trainers of it."""
    steps = {"collection_steps": 30, "practice_steps": 25, "fine_tuning_steps": 20, "empowerment": 0.5, "fit": FIT}
    loops, learning = zhang2024_arguments(algorithm, **{**steps, **changes})
    return loops, dataclasses.replace(learning, batch_size=8, critic_updates=2, exploration_decay_steps=40.0)


def make_trainer(algorithm="dqn", seed=0, env=None, **changes):
    env = env or make_env()
    loops, learning = published(algorithm, **changes)
    return TwinEnhancedTrainer(env, make_config(env, algorithm), learning, loops, seed)


def parameters_of(learner):
    return [parameter.detach().clone() for parameter in learner.network.parameters()]


class ByHand:
    """Algorithm 1 line by line, for one endless copy of the network."""

    def __init__(self, env, config, learning, loops, derived_seed):
        self.env, self.learning, self.loops, self.derived_seed = env, learning, loops, derived_seed
        self.rng = np.random.default_rng(derived_seed("decisions"))
        torch.manual_seed(derived_seed("weights"))  # line 1
        self.one = make_learner(QNetworkModel(config), learning)
        self.two = make_learner(QNetworkModel(config), learning)
        self.two.copy_from(self.one)
        self.experience, self.twin = Experience(env), None
        self.buffer_1 = ReplayBuffer(learning.buffer_size, len(config.observation_fields))
        self.observation, self.info = env.reset(seed=derived_seed("network"))
        self.num_steps = 0

    def act(self, action):
        """Takes an action in the network; what happens goes into the data of the twin and the buffer of agent 1."""
        following, reward, terminated, _, info = self.env.step(action)
        self.experience.add(self.info, action, info, np.array([True]))
        self.buffer_1.add(self.observation, action, reward, following, terminated)
        self.observation, self.info = following, info
        self.num_steps += 1

    def policy_1(self):
        share = self.learning.exploration(self.num_steps)
        return self.one.act(self.observation, share, self.rng)

    def iterate(self, number):
        for step in range(self.loops.steps_per_round):  # line 3
            if number == 1:
                action = self.rng.integers(self.env.single_action_space.n, size=1)
                if step:
                    self.rng.random(1)  # decides whether the allocation before is kept, which it never is
            else:
                action = self.policy_1()
            self.act(action)
        if number == 1:
            for agent in (self.one, self.two):
                agent.prepare(self.buffer_1.whole())
        record = self.experience.transitions()
        self.twin = fit_twin(record, self.loops.fit, self.derived_seed("twin", number - 1), self.twin)  # line 4
        self.practise(record)
        zeta = self.loops.empowerment
        for first, second in ((self.one.network, self.two.network), (self.one.target, self.two.target)):
            for mine, theirs in zip(first.parameters(), second.parameters(), strict=True):
                mine.data.copy_(zeta * mine.data + (1 - zeta) * theirs.data)  # line 12, eq. 8
        for _ in range(self.loops.fine_tuning_steps):  # lines 13-19
            self.act(self.policy_1())
            self.one.update(self.buffer_1.sample(self.learning.batch_size, self.rng), self.rng)
        self.two.copy_from(self.one)  # line 20

    def practise(self, record):
        """Lines 5 to 11."""
        env = TwinSlicingVectorEnv(1, twin=self.twin, horizon=None, start_states=branch_points(record, 0), **CHANGED)
        state, _ = env.reset(seed=int(self.rng.integers(2**31)))
        buffer_2 = ReplayBuffer(self.learning.buffer_size, state.shape[1])
        for _ in range(self.loops.practice_updates):
            action = self.two.greedy(state)
            self.rng.random(1), self.rng.integers(env.single_action_space.n, size=1)  # not asked when greedy
            following, reward, terminated, _, _ = env.step(action)
            buffer_2.add(state, action, reward, following, terminated)
            self.two.update(buffer_2.sample(self.learning.batch_size, self.rng), self.rng)
            state = following


def test_trainings_with_neighbouring_seeds_share_nothing_and_leave_the_global_generator_alone():
    state = torch.random.get_rng_state()
    first, second = (make_trainer(seed=seed, env=make_env(2)) for seed in (0, 1))
    assert torch.equal(state, torch.random.get_rng_state())
    purposes = ("weights", "network", "decisions", "twin")
    seeds = [trainer.derived_seed(purpose) for trainer in (first, second) for purpose in purposes]
    assert len({seed + copy for seed in seeds for copy in range(64)}) == 64 * len(seeds)


@pytest.mark.parametrize("algorithm", HEADS)
def test_rounds_are_those_of_algorithm_1(algorithm):
    trainer = make_trainer(algorithm, seed=3)
    env = make_env()
    loops, learning = published(algorithm)
    hand = ByHand(env, make_config(env, algorithm), learning, loops, trainer.derived_seed)
    assert all(map(torch.equal, parameters_of(trainer.agent), parameters_of(trainer.apprentice)))
    for number in (1, 2):
        done = trainer.round()
        hand.iterate(number)
        assert trainer.experience.transitions().fingerprint() == hand.experience.transitions().fingerprint()
        for mine, theirs in ((trainer.agent, hand.one), (trainer.apprentice, hand.two)):
            for found, expected in zip(parameters_of(mine), parameters_of(theirs), strict=True):
                torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
        assert_same_tensors(trainer.agent.network.state_dict(), trainer.apprentice.network.state_dict())
        assert done.real_steps == len(trainer.experience) == trainer.collector.buffer.num_added == number * (30 + 20)
        assert done.num_updates == number * (25 + 20)
        assert trainer.apprentice.num_updates == number * 25
    assert_same_tensors(trainer.twin.state_dict(), hand.twin.state_dict())


@pytest.mark.parametrize("zeta", [0.0, 0.5, 1.0])
def test_empowerment_is_equation_8(zeta):
    trainer = make_trainer(empowerment=zeta, fine_tuning_steps=0)
    for _ in range(2):
        before = parameters_of(trainer.agent)
        trainer.round()
        practised = parameters_of(trainer.apprentice)
        assert not any(torch.equal(a, b) for a, b in zip(before, practised, strict=True))
        for old, new, found in zip(before, practised, parameters_of(trainer.agent), strict=True):
            expected = {0.0: new, 0.5: 0.5 * old + 0.5 * new, 1.0: old}[zeta]
            torch.testing.assert_close(
                found, expected, rtol=0 if zeta != 0.5 else 1e-6, atol=0 if zeta != 0.5 else 1e-7
            )


def test_one_seed_gives_one_agent():
    states = []
    for seed in (0, 0, 1):
        trainer = make_trainer(seed=seed)
        trainer.run(2)
        states.append(trainer.agent.network.state_dict())
    assert_same_tensors(states[0], states[1])
    assert any(not torch.equal(states[0][name], states[2][name]) for name in states[0])


def test_our_loops_take_over_what_was_practised():
    """Without fine-tuning an agent is what its apprentice became, and interactions are those of the rounds."""
    env, seen = make_env(2, "dynamic", observation_fields="all", warmup_steps=1), []
    loops = TwinEnhancedArguments(
        first_steps=40, steps_per_round=20, practice_updates=10, practice_copies=4, practice_horizon=3,
        history_steps=2, real_share=0.5, fit=FIT,
    )  # fmt: skip
    trainer = TwinEnhancedTrainer(env, make_config(env), LearnerArguments(batch_size=8), loops, seed=0)
    rounds = trainer.run(3, on_round=seen.append)
    assert rounds == seen
    assert [entry.real_steps for entry in rounds] == [40, 60, 80]
    assert [entry.fine_tuning for entry in rounds] == [None] * 3
    assert trainer.agent.num_updates == 0
    assert_same_tensors(trainer.agent.network.state_dict(), trainer.apprentice.network.state_dict())
    practice = trainer.practice_env(trainer.twin)
    assert practice.num_envs == 4
    assert practice.parameters == env.unwrapped.parameters
    assert practice.observation_fields == env.unwrapped.observation_fields


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_batches_hold_their_share_of_real_transitions(share):
    real, mixed = ReplayBuffer(20, 1), None
    mixed = MixedReplay(20, 1, real, share)
    for buffer, value in ((real, 1.0), (mixed, -1.0)):
        buffer.add(np.full((5, 1), value), np.zeros(5, int), np.full(5, value), np.zeros((5, 1)), np.zeros(5))
    batch = mixed.sample(8, np.random.default_rng(0))
    assert len(batch.rewards) == 8
    assert int((batch.rewards > 0).sum()) == round(8 * share)
    assert torch.equal(batch.observations[:, 0], batch.rewards)


def test_what_does_not_fit_is_refused_before_any_step():
    env, other = make_env(), make_env(preset="dynamic", warmup_steps=1)
    loops, learning = published()
    with pytest.raises(AgentError, match="`num_actions` of the agent must be that of the environment, 36, got 120"):
        TwinEnhancedTrainer(env, make_config(other), learning, loops, seed=0)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(np.array([0]))
    config = q_network_config(make_env(observation_fields="all", preset="dynamic"), hidden_sizes=[8, 8, 8])
    with pytest.raises(AgentError, match="`observation_fields` of the agent must be those of the environment"):
        TwinEnhancedTrainer(other, config, learning, loops, seed=0)
    with pytest.raises(gymnasium.error.ResetNeeded):
        other.step(np.array([0]))


@pytest.mark.parametrize(
    ("name", "value"),
    [("fine_tuning_steps", -1), ("empowerment", 1.5), ("practice_exploration", -0.1), ("practice_updates", 0)],
)
def test_bad_arguments_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"`{name}`"):
        TwinEnhancedArguments(**{name: value})


def test_an_unknown_phi_is_refused():
    with pytest.raises(ValueError, match="`algorithm` must be one of"):
        zhang2024_arguments("ppo")


def test_what_cannot_work_is_refused_before_the_first_interaction():
    env = make_env()
    config, learning = make_config(env, "dqn"), LearnerArguments()
    with pytest.raises(ValueError, match="`first_steps` must be above"):
        TwinEnhancedTrainer(env, config, learning, TwinEnhancedArguments(first_steps=10, history_steps=20), seed=0)
    for fit in (TwinFitArguments(model_type="gentwin_nothing"), TwinFitArguments(model_config={"hiden_size": 3})):
        with pytest.raises(ValueError, match="`model_"):
            TwinEnhancedTrainer(env, config, learning, TwinEnhancedArguments(fit=fit), seed=0)
