"""Learners on a process with two states whose optimum is known."""

import io

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from gentwin.models.q_network import QNetworkConfig, QNetworkModel
from gentwin.rl import GanQLearner, LearnerArguments, Pull, QLearner, ReplayBuffer, make_learner

DISCOUNT = 0.8
HEADS = {"dqn": "plain", "double_dqn": "dueling", "gan_dqn": "particles"}
# Action 1 changes the state and costs 0.5; staying (action 0) pays 1 in state 1 and nothing in state 0. Then
# Q(1, 0) = 1 / (1 - 0.8), Q(0, 1) = Q(1, 0) * 0.8 - 0.5, Q(0, 0) = 0.8 * Q(0, 1) and Q(1, 1) = 0.8 * Q(0, 1) - 0.5.
OPTIMUM = torch.tensor([[2.8, 3.5], [5.0, 2.3]])


def make_network(head="plain", seed=0, **fields):
    torch.manual_seed(seed)
    sizes = {"hidden_sizes": [32, 32, 32], "critic_sizes": [32, 32], "num_particles": 8, "noise_size": 4}
    return QNetworkModel(QNetworkConfig(observation_fields=["a", "b"], head=head, **{**sizes, **fields}))


def make(algorithm="dqn", seed=0, **arguments):
    defaults = {"discount": DISCOUNT, "learning_rate": 3e-3, "target_update_rate": 0.1, "critic_updates": 1}
    network = make_network(HEADS[algorithm], seed)
    return make_learner(network, LearnerArguments(algorithm=algorithm, **{**defaults, **arguments}))


def two_states(size=500, terminated=False):
    rng = np.random.default_rng(0)
    state, action = rng.integers(2, size=size), rng.integers(2, size=size)
    reward = np.where(action == 1, -0.5, state)
    after = np.where(action == 1, 1 - state, state)
    observations = np.eye(2, dtype=np.float32)
    buffer = ReplayBuffer(size, 2)
    buffer.add(observations[state], action, reward, observations[after], np.full(size, terminated))
    return buffer


def learn(learner, buffer, num_updates, seed=0, pull=None):
    """Returns the metrics of the last update."""
    rng = np.random.default_rng(seed)
    if not learner.is_prepared:
        learner.prepare(buffer.whole())
    for _ in range(num_updates):
        metrics = learner.update(buffer.sample(32, rng), rng, pull)
    return {name: float(value) for name, value in metrics.items()}


def values_of(learner):
    return learner.network(torch.eye(2)).values.detach()


@pytest.mark.parametrize(
    ("algorithm", "num_updates", "tolerance"), [("dqn", 600, 0.05), ("double_dqn", 600, 0.05), ("gan_dqn", 800, 0.7)]
)
def test_values_converge_to_the_optimum(algorithm, num_updates, tolerance):
    learner = make(algorithm)
    metrics = learn(learner, two_states(), num_updates)
    torch.testing.assert_close(values_of(learner), OPTIMUM, atol=tolerance, rtol=0)
    assert learner.greedy(np.eye(2)).tolist() == [1, 0]
    assert metrics["loss"] < 0.05
    assert learner.num_updates == num_updates


@pytest.mark.parametrize("algorithm", HEADS)
def test_nothing_follows_a_termination(algorithm):
    learner = make(algorithm)
    learn(learner, two_states(terminated=True), 300)
    rewards = torch.tensor([[0.0, -0.5], [1.0, -0.5]])
    torch.testing.assert_close(values_of(learner), rewards, atol=0.03 if algorithm != "gan_dqn" else 0.3, rtol=0)


def test_labels_of_the_algorithms():
    """The target network scores the next action; `double_dqn` lets the online network choose it."""
    buffer, labels = two_states(), {}
    for algorithm in ("dqn", "double_dqn"):
        learner = QLearner(make_network("plain"), LearnerArguments(algorithm=algorithm, discount=DISCOUNT))
        learner.prepare(buffer.whole())
        with torch.no_grad():
            learner.target.head.values.weight.mul_(-3)
        batch = buffer.take(torch.arange(20))
        target = learner.target(batch.next_observations).values
        online = learner.network(batch.next_observations).values
        best = (target if algorithm == "dqn" else online).argmax(dim=1, keepdim=True)
        expected = batch.rewards + DISCOUNT * target.gather(1, best).squeeze(1)
        chosen = learner.network(batch.observations).values.gather(1, batch.actions[:, None]).squeeze(1)
        expected_loss = 0.5 * ((chosen - expected) / learner.network.return_scale).square().mean()
        loss = learner.loss(batch, np.random.default_rng(0))
        torch.testing.assert_close(loss, expected_loss)
        torch.testing.assert_close(learner.update(batch, np.random.default_rng(0))["loss"], loss.detach())
        labels[algorithm] = expected
    assert not torch.allclose(labels["dqn"], labels["double_dqn"])


def test_an_update_is_a_step_of_adam_with_limited_gradient():
    arguments = LearnerArguments(algorithm="dqn", discount=DISCOUNT, max_grad_norm=0.01, target_update_rate=0.3)
    buffer, learner, network = two_states(), QLearner(make_network(), arguments), make_network()
    target = make_network()
    learner.prepare(buffer.whole())
    network.load_state_dict(learner.network.state_dict())
    optimizer, rng = torch.optim.Adam(network.parameters(), arguments.learning_rate), np.random.default_rng(0)
    for first in (0, 10, 20):
        batch = buffer.take(torch.arange(first, first + 10))
        optimizer.zero_grad()
        following = learner.target(batch.next_observations).values.amax(dim=1)
        network(batch.observations, batch.actions, batch.rewards + DISCOUNT * following).loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 0.01)
        optimizer.step()
        learner.update(batch, rng)
        for mine, followed, ours in zip(
            network.parameters(), target.parameters(), learner.network.parameters(), strict=True
        ):
            torch.testing.assert_close(ours, mine)
            followed.data.lerp_(mine.data, 0.3)
    for expected, found in zip(target.parameters(), learner.target.parameters(), strict=True):
        torch.testing.assert_close(found.data, expected.data)


@pytest.mark.parametrize("algorithm", HEADS)
def test_one_seed_gives_one_result_and_resuming_changes_nothing(algorithm):
    buffer, whole, again, before = two_states(), *(make(algorithm, seed=1) for _ in range(3))
    learn(whole, buffer, 4), learn(again, buffer, 4), learn(before, buffer, 4)
    assert_same(whole.state_dict(), again.state_dict())
    file = io.BytesIO()
    torch.save(before.state_dict(), file)
    resumed = make(algorithm, seed=7)
    resumed.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    assert resumed.is_prepared and resumed.num_updates == 4
    expected, found = learn(whole, buffer, 3, seed=5), learn(resumed, buffer, 3, seed=5)
    assert expected == found
    assert_same(whole.state_dict(), resumed.state_dict())


def assert_same(expected, found):
    """Fails if nested tensors and numbers differ in any bit."""
    if isinstance(expected, torch.Tensor):
        assert torch.equal(expected, found)
    elif isinstance(expected, dict):
        assert expected.keys() == found.keys()
        for key in expected:
            assert_same(expected[key], found[key])
    elif isinstance(expected, list):
        for mine, theirs in zip(expected, found, strict=True):
            assert_same(mine, theirs)
    else:
        assert expected == found


def test_copying_takes_networks_and_statistics():
    teacher, pupil = make(seed=0), make(seed=1)
    learn(teacher, two_states(), 5)
    pupil.copy_from(teacher)
    assert_same(teacher.network.state_dict(), pupil.network.state_dict())
    assert_same(teacher.target.state_dict(), pupil.target.state_dict())
    learn(pupil, two_states(), 1)
    assert not torch.equal(values_of(teacher), values_of(pupil))


@pytest.mark.parametrize("algorithm", HEADS)
def test_the_average_follows_in_every_parameter(algorithm):
    learner = make(algorithm, target_update_rate=0.25)
    expected = [values.detach().clone() for values in learner.averaged.parameters()]
    for _ in range(3):
        learn(learner, two_states(), 1)
        for mine, learned in zip(expected, learner.network.parameters(), strict=True):
            mine.lerp_(learned.detach(), 0.25)
    for (name, found), mine in zip(learner.averaged.named_parameters(), expected, strict=True):
        torch.testing.assert_close(found.detach(), mine, msg=name)
        # The bias of the critic's output has no gradient: it cancels in a difference.
        assert name.endswith("bias") or not torch.equal(found, learner.network.get_parameter(name)), name


@pytest.mark.parametrize("algorithm", HEADS)
def test_the_learned_network_can_be_saved(algorithm, tmp_path):
    learner = make(algorithm)
    learn(learner, two_states(), 2)
    learner.network.save_pretrained(tmp_path)
    assert_same(learner.network.state_dict(), QNetworkModel.from_pretrained(tmp_path).state_dict())


# Pull


def test_pull_is_half_the_weighted_squared_distance():
    centre, network = make_network(seed=0), make_network(seed=1)
    pull = Pull(centre, 3.0)
    distances = [mine - theirs for mine, theirs in zip(network.parameters(), centre.parameters(), strict=True)]
    expected = 1.5 * sum(distance.square().sum() for distance in distances)
    torch.testing.assert_close(pull(network), expected)
    gradients = list(torch.autograd.grad(pull(network), list(network.parameters())))
    torch.testing.assert_close(gradients, [3.0 * distance.detach() for distance in distances])
    torch.testing.assert_close(pull.gradients(network), gradients)
    assert pull(centre).item() == 0
    with pytest.raises(ValueError, match="`weight` must be at least 0"):
        Pull(centre, -1.0)


@pytest.mark.parametrize("algorithm", HEADS)
def test_a_strong_pull_holds_the_parameters(algorithm):
    free, held = make(algorithm), make(algorithm)
    centre = make_network(HEADS[algorithm])
    learn(free, two_states(), 100), learn(held, two_states(), 100, pull=Pull(centre, 100.0))
    distance = Pull(centre, 1.0)
    learned = "critic." if algorithm == "gan_dqn" else "-"
    for learner in (free, held):  # the critic is not pulled
        own = dict(centre.named_parameters())
        learner.network.load_state_dict({k: v for k, v in own.items() if k.startswith(learned)}, strict=False)
    assert distance(held.network) < 0.2 * distance(free.network)


# Acting


def test_actions_are_random_with_the_share_asked_for():
    learner = make()
    learner.prepare(two_states().whole())
    observations = np.tile(np.eye(2, dtype=np.float32), (1000, 1))
    greedy = learner.greedy(observations)
    assert (learner.act(observations, 0.0, np.random.default_rng(0)) == greedy).all()
    for share in (0.5, 1.0):
        actions = learner.act(observations, share, np.random.default_rng(0))
        assert (actions != greedy).mean() == pytest.approx(share / 2, abs=0.05)
    same = learner.act(observations, 0.5, np.random.default_rng(0))
    assert (same == learner.act(observations, 0.5, np.random.default_rng(0))).all()


def test_share_of_random_actions():
    arguments = LearnerArguments(exploration_final=0.1, exploration_decay_steps=50)
    assert arguments.exploration(0) == 1
    assert arguments.exploration(50) == pytest.approx(0.1 + 0.9 / np.e)
    assert arguments.exploration(10**6) == pytest.approx(0.1)


# Refusals


@pytest.mark.parametrize(
    ("name", "value", "constraint"),
    [
        ("algorithm", "ppo", "one of"),
        ("discount", 1.0, "at least 0 and below 1"),
        ("discount", float("nan"), "at least 0 and below 1"),
        ("learning_rate", 0.0, "above 0 and finite"),
        ("batch_size", 0, "at least 1"),
        ("buffer_size", 31, "at least `batch_size`, 32"),
        ("learning_starts", 0, "at least 1"),
        ("updates_per_step", 0.0, "above 0 and finite"),
        ("target_update_rate", 1.1, "above 0 and at most 1"),
        ("exploration_final", -0.1, "from 0 to 1"),
        ("exploration_decay_steps", 0.0, "above 0 and finite"),
        ("max_grad_norm", 0.0, "above 0"),
        ("gradient_penalty", -1.0, "at least 0 and finite"),
        ("critic_updates", 0, "at least 1"),
    ],
)
def test_arguments_out_of_range_are_refused_by_name_and_constraint(name, value, constraint):
    with pytest.raises(ValueError, match=f"`{name}` must be {constraint}.*, got {value!r}"):
        LearnerArguments(**{name: value})


@pytest.mark.parametrize(("algorithm", "head"), [("dqn", "particles"), ("gan_dqn", "dueling")])
def test_head_must_fit_the_algorithm(algorithm, head):
    with pytest.raises(ValueError, match=f"`head` of the network must be .* for '{algorithm}', got '{head}'"):
        make_learner(make_network(head), LearnerArguments(algorithm=algorithm))


def test_algorithm_must_be_the_learner_s():
    with pytest.raises(ValueError, match=r"`algorithm` must be one of .* for QLearner, got 'gan_dqn'"):
        QLearner(make_network("particles"), LearnerArguments(algorithm="gan_dqn"))
    with pytest.raises(ValueError, match=r"`algorithm` must be one of .* for GanQLearner, got 'dqn'"):
        GanQLearner(make_network("particles"), LearnerArguments(algorithm="dqn"))
    assert type(make("gan_dqn")) is GanQLearner
    assert type(make("double_dqn")) is QLearner


def test_learning_before_the_statistics_is_refused():
    for algorithm in HEADS:
        with pytest.raises(RuntimeError, match="`fitted`"):
            make(algorithm).update(two_states().take(torch.arange(4)), np.random.default_rng(0))


def test_a_network_that_was_moved_is_refused():
    learner = make()
    learner.prepare(two_states().whole())
    learner.network.double().float()
    with pytest.raises(RuntimeError, match="`network` was moved"):
        learn(learner, two_states(), 1)


def test_accelerator_decides_on_the_device():
    learner = QLearner(make_network(), LearnerArguments(), Accelerator(cpu=True))
    assert learner.device == next(learner.network.parameters()).device == torch.device("cpu")
