"""Learning where some actions are forbidden and time between decisions varies."""

import gymnasium
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gentwin.models.q_network import QNetworkConfig, QNetworkModel
from gentwin.networks.admission.policies import fifo_greedy, revenue_greedy
from gentwin.rl import (
    Collector,
    LearnerArguments,
    ReplayBuffer,
    evaluate,
    greedy_policy,
    make_learner,
    per_state,
    q_network_config,
    train,
)
from tests.rl.counting_env import CountingEnv
from tests.rl.test_learner import HEADS

DISCOUNT = 0.8  # per second
# In state 0 action 0 goes to state 1 in 2 s and pays 1, action 1 is forbidden, action 2 pays 0 and stays for 1 s. In
# state 1 action 0 is forbidden, action 1 pays 2 and goes back at once, action 2 pays 0 and stays for 1 s.
FROM_0 = (1 + DISCOUNT**2 * 2) / (1 - DISCOUNT**2)
FROM_1 = 2 + FROM_0
ALLOWED = np.array([[True, False, True], [False, True, True]])


def make(algorithm, **arguments):
    torch.manual_seed(0)
    sizes = {"hidden_sizes": [32, 32, 32], "critic_sizes": [32], "num_particles": 8, "noise_size": 4}
    config = QNetworkConfig(observation_fields=["a", "b"], num_actions=3, head=HEADS[algorithm], **sizes)
    defaults = {"discount": DISCOUNT, "learning_rate": 3e-3, "target_update_rate": 0.1, "critic_updates": 1}
    return make_learner(QNetworkModel(config), LearnerArguments(algorithm=algorithm, **{**defaults, **arguments}))


def two_states(size=600):
    rng = np.random.default_rng(0)
    state, action = rng.integers(2, size=size), rng.integers(2, size=size)
    action = np.where(action == 1, 2, state)
    reward = np.where(action == 2, 0.0, 1.0 + state)
    after = np.where(action == 2, state, 1 - state)
    elapsed_s = np.where(action == 2, 1.0, np.where(state == 0, 2.0, 0.0))
    observations, buffer = np.eye(2, dtype=np.float32), ReplayBuffer(size, 2)
    never = np.zeros(size, bool)
    buffer.add(observations[state], action, reward, observations[after], never, ALLOWED[after], elapsed_s)
    return buffer


@pytest.mark.parametrize(("algorithm", "tolerance"), [("dqn", 0.15), ("double_dqn", 0.15), ("gan_dqn", 1.5)])
def test_values_are_those_of_the_semi_markov_process(algorithm, tolerance):
    learner, buffer, rng = make(algorithm), two_states(), np.random.default_rng(0)
    learner.prepare(buffer.whole())
    for _ in range(1500):
        learner.update(buffer.sample(32, rng), rng)
    values = learner.network(torch.eye(2)).values.detach()
    found = values[[0, 0, 1, 1], [0, 2, 1, 2]].numpy()
    expected = [FROM_0, DISCOUNT * FROM_0, FROM_1, DISCOUNT * FROM_1]
    np.testing.assert_allclose(found, expected, atol=tolerance)


@pytest.mark.parametrize("algorithm", HEADS)
def test_what_is_forbidden_has_no_value(algorithm):
    """A target never comes from a forbidden action, however high its value."""
    learner, batch = make(algorithm), two_states().take(torch.arange(40))
    learner.prepare(two_states().whole())

    def targets():
        if algorithm == "gan_dqn":
            return learner._target_particles(batch, np.random.default_rng(0), 1).mean(dim=-1)[0]
        return learner._targets(batch)

    before = targets()
    raised = 100 * torch.from_numpy(~ALLOWED).float()
    for network in (learner.network, learner.target):
        original = network.relative_values
        network.relative_values = lambda seen, original=original: original(seen) + raised[seen[:, 1].long()]
    torch.testing.assert_close(targets(), before)


def test_statistics_are_those_of_returns_over_time():
    learner, buffer = make("dqn"), two_states()
    learner.prepare(buffer.whole())
    whole = buffer.whole()
    kept = DISCOUNT ** whole.elapsed_s.double()
    expected = whole.rewards.mean() / (1 - kept.mean())
    assert float(learner.network.return_offset) == pytest.approx(float(expected), rel=1e-5)


@given(exploration=st.floats(0, 1), masks=st.lists(st.integers(1, 7), min_size=1, max_size=9), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_forbidden_actions_are_never_taken(exploration, masks, seed):
    learner = make("dqn", normalises=False)
    learner.prepare(two_states().whole())
    allowed = np.array([[bool(mask >> bit & 1) for bit in range(3)] for mask in masks])
    observations = np.random.default_rng(seed).normal(size=(len(masks), 2))
    actions = learner.act(observations, exploration, np.random.default_rng(seed), allowed)
    assert allowed[np.arange(len(masks)), actions].all()


def test_random_actions_are_drawn_evenly_from_those_allowed():
    learner = make("dqn", normalises=False)
    masks = np.tile(ALLOWED[:1], (3000, 1))
    actions = learner.act(np.zeros((3000, 2)), 1.0, np.random.default_rng(0), masks)
    assert np.bincount(actions, minlength=3)[[0, 2]] == pytest.approx([1500, 1500], abs=120)


def test_a_buffer_keeps_masks_and_times_of_all_transitions_or_of_none():
    buffer = two_states(20)
    again = ReplayBuffer(20, 2)
    again.load_state_dict(buffer.state_dict())
    for name in ("next_masks", "elapsed_s", "rewards"):
        torch.testing.assert_close(getattr(again.whole(), name), getattr(buffer.whole(), name))
    joined = buffer.take(torch.arange(3)).joined(again.take(torch.arange(2)))
    assert joined.next_masks.shape == (5, 3) and joined.elapsed_s.shape == (5,)
    seen = np.zeros((1, 2), np.float32)
    with pytest.raises(ValueError, match=r"transitions must have .*'elapsed_s'"):
        buffer.add(seen, np.zeros(1, int), np.zeros(1), seen, np.zeros(1, bool))


class TimedEnv(CountingEnv):
    """As `CountingEnv`, in which a step takes as many seconds as the number of the copy plus one."""

    def step(self, actions):
        *step, info = super().step(actions)
        return *step, info | {"elapsed_s": np.arange(self.num_envs) + 1.0}


def test_evaluation_is_per_second_where_time_passes():
    # Rewards 1, 2, reset, 1 in 1 s each; 1, 2, 3, 4 in 2 s each.
    result = evaluate(lambda seen: np.zeros(len(seen), int), TimedEnv([2, 9], [False, False]), 4, seed=0)
    assert result.elapsed_s.tolist() == [1.0, 2.0]
    assert result.reward.tolist() == pytest.approx([4 / 3, 2.5])
    assert result.mean == pytest.approx((4 / 3 + 2.5) / 3)
    ratio = np.array([4 / 3 - result.mean, 2.5 - 2 * result.mean]) / 1.5
    assert result.standard_error == pytest.approx(ratio.std(ddof=1) / 2**0.5)


def admission(num_envs=4, **arguments):
    return gymnasium.make_vec(
        "gentwin/SliceAdmission-v0", num_envs=num_envs, preset="small", warmup_s=20.0, num_threads=1,
        **{"episode_steps": 7, "observation_fields": "all", **arguments},
    )  # fmt: skip


def test_an_agent_of_the_network_decides_what_is_allowed_only():
    env, forbidden = admission(), []
    config = q_network_config(env, "dueling", hidden_sizes=[8])
    assert config.observation_fields[:2] == ["immersive.queued", "immersive.oldest_wait_s"]
    assert config.observation_fields[-3:] == ["free_radio", "free_computing", "free_storage"]
    assert len(config.observation_fields) == env.single_observation_space.shape[0]
    learner = make_learner(QNetworkModel(config), LearnerArguments(learning_starts=20, batch_size=8))
    buffer = ReplayBuffer(400, len(config.observation_fields))

    def listen(before, actions, after, real):
        if real.all():
            forbidden.append(after["forbidden"])

    progress = train(learner, Collector(env, 0, buffer, listen), 120, np.random.default_rng(0), stretch=40)
    assert learner.num_updates > 50
    assert len(forbidden) * 4 == 120 and not np.concatenate(forbidden).any()
    assert (buffer.whole().next_masks[:, -1]).all() and not buffer.whole().next_masks.all()
    assert len(progress.elapsed_s) == len(progress.rewards) == 3 and min(progress.elapsed_s) > 0
    assert evaluate(greedy_policy(learner.network, env), admission(), 10, seed=1).elapsed_s.shape == (4,)


def test_policies_on_states_are_judged_in_the_environment():
    env = admission(16, episode_steps=None)
    by_revenue, greedy = (
        evaluate(per_state(make(env.unwrapped.parameters), env), env, 60, seed=3)
        for make in (revenue_greedy, fifo_greedy)
    )
    assert by_revenue.mean > greedy.mean
    states = env.unwrapped.network.state_values()
    np.testing.assert_allclose(env.unwrapped.states(env.unwrapped.observations(states)), states, rtol=1e-6)
