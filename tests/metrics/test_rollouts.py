"""Roll-outs of the baselines, and of a twin, on a network simple enough to know the answers."""

import numpy as np
import pytest
import torch

from gentwin.datasets import Transitions
from gentwin.metrics import (
    GradientBoosting,
    NearestNeighbours,
    Persistence,
    TwinForecaster,
    rollout,
    rollout_cases,
    rollout_errors,
)
from gentwin.schema import Field, TransitionSchema

SCHEMA = TransitionSchema(
    slices=("video", "control"),
    state=(Field("queue", "bit", scale="log1p", atoms=(0.0,)),),
    action=(Field("prb", high=10.0), Field("scheduler", categories=2)),
    context=(Field("num_users"),),
    outcome=(Field("ssr", high=1.0),),
)


def make_queue(num_episodes=6, num_steps=200, seed=0) -> Transitions:
    """Queues that grow with users and shrink with blocks; scheduler 1 serves twice as fast."""
    rng = np.random.default_rng(seed)
    queue, steps = np.zeros((num_episodes, 2)), []
    for _ in range(num_steps):
        prb, scheduler = rng.integers(0, 11, queue.shape), rng.integers(0, 2, queue.shape)
        users = rng.integers(1, 4, queue.shape)
        arrived = rng.poisson(2.0 * users)
        served = np.minimum(queue + arrived, prb * (1 + scheduler))
        after = np.minimum(queue + arrived - served, 40)
        ssr = served / np.maximum(queue + arrived, 1)
        steps.append(
            [queue[..., None], np.stack([prb, scheduler], -1), users[..., None], ssr[..., None], after[..., None]]
        )
        queue = after
    arrays = [np.stack([step[part] for step in steps], axis=1).astype(np.float32) for part in range(5)]
    names = ("state", "action", "context", "outcome", "next_state")
    arrays = {name: array.reshape(-1, *array.shape[2:]) for name, array in zip(names, arrays, strict=True)}
    episode, step = np.repeat(np.arange(num_episodes), num_steps), np.tile(np.arange(num_steps), num_episodes)
    record = Transitions(SCHEMA, episode, step, **arrays)
    record.validate()
    return record


@pytest.fixture(scope="module")
def parts():
    return make_queue().split((4, 2), seed=0)


def test_cases_are_consecutive_and_distinct(parts):
    _, test = parts
    cases = rollout_cases(test, num_starts=50, horizon=5, seed=0, warmup=3)
    assert cases.observed.shape == (50, 5, 2, 2)
    assert cases.history.states.shape == (50, 3, 2, 1)
    assert len(set(cases.index)) == 50
    np.testing.assert_array_equal(cases.observed[:, 0, :, :1], test.next_state[cases.index])
    np.testing.assert_array_equal(cases.history.states[:, -1], test.state[cases.index - 1])
    assert (test.episode[cases.index - 3] == test.episode[cases.index + 4]).all()
    with pytest.raises(ValueError, match="longest run, 200 steps, got 210"):
        rollout_cases(test, num_starts=5, horizon=200, seed=0, warmup=10)
    with pytest.raises(ValueError, match="`horizon`"):
        rollout_cases(test, num_starts=5, horizon=0, seed=0)


def errors_of(forecaster, parts, num_samples=30, horizon=10):
    train, test = parts
    cases = rollout_cases(test, num_starts=60, horizon=horizon, seed=0)
    samples = rollout(forecaster.fit(train), cases, num_samples, np.random.default_rng(0))
    assert samples.shape == (num_samples, 60, horizon, 2, 2)
    rows = rollout_errors(samples, cases.observed, SCHEMA.targets, np.random.default_rng(0), steps=(1, horizon))
    return {(row["target"], row["step"]): row for row in rows}


def test_baselines_rank_as_they_should(parts):
    persistence = errors_of(Persistence(), parts)
    neighbours = errors_of(NearestNeighbours(k=20), parts)
    boosting = errors_of(GradientBoosting(max_iter=60), parts)
    spread = errors_of(GradientBoosting(residuals=True, max_iter=60), parts)
    for key in persistence:
        assert neighbours[key]["crps"] < 0.8 * persistence[key]["crps"]
    for target in ("queue", "ssr"):
        assert boosting[target, 1]["mae"] < persistence[target, 1]["mae"]
        assert spread[target, 1]["crps"] < boosting[target, 1]["crps"]
        assert 0.75 < neighbours[target, 1]["coverage"] <= 1.0
    assert persistence["queue", 1]["unit"] == "log1p(bit)"


def test_persistence_repeats_the_state(parts):
    train, test = parts
    cases = rollout_cases(test, num_starts=3, horizon=4, seed=0)
    samples = rollout(Persistence().fit(train), cases, 2, np.random.default_rng(0))
    np.testing.assert_array_equal(samples[0, :, 3, :, :1], cases.start_states)
    np.testing.assert_allclose(samples[1, 0, 0, :, 1], train.outcome.mean(axis=0)[:, 0])


def test_neighbours_are_real_targets_and_reproducible(parts):
    train, test = parts
    model = NearestNeighbours(k=5).fit(train)
    arguments = test.state[:50], test.action[:50], test.context[:50]
    drawn = model.sample(*arguments, np.random.default_rng(1))
    for index in range(2):
        known = {tuple(row) for row in train.targets[:, index].tolist()}
        assert {tuple(row) for row in drawn[:, index].tolist()} <= known
    np.testing.assert_array_equal(drawn, model.sample(*arguments, np.random.default_rng(1)))
    exact = NearestNeighbours(k=1).fit(train)
    own = exact.sample(train.state[:50], train.action[:50], train.context[:50], np.random.default_rng(0))
    assert own.shape == (50, 2, 2)
    with pytest.raises(ValueError, match="`k` must be at most"):
        NearestNeighbours(k=10_000).fit(train)


def test_boosting_stays_in_range(parts):
    train, _ = parts
    model = GradientBoosting(residuals=True, max_iter=20).fit(train)
    far = np.full((20, 2, 1), 1e6, np.float32)
    targets = model.sample(far, train.action[:20], train.context[:20], np.random.default_rng(0))
    assert (targets[..., 0] >= 0).all()
    assert ((targets[..., 1] >= 0) & (targets[..., 1] <= 1)).all()


def test_errors_table_checks_its_arguments(parts):
    samples, observed = np.zeros((3, 4, 5, 2, 2)), np.zeros((4, 5, 2, 2))
    with pytest.raises(ValueError, match="`steps` must be from 1 to the horizon, 5"):
        rollout_errors(samples, observed, SCHEMA.targets, np.random.default_rng(0))
    with pytest.raises(ValueError, match="`samples` must have shape"):
        rollout_errors(samples[:, :3], observed, SCHEMA.targets, np.random.default_rng(0), steps=(1,))
    row = rollout_errors(
        samples + 9, observed, SCHEMA.targets, np.random.default_rng(0), steps=(1,), linear=("queue",)
    )[0]
    assert (row["unit"], row["mae"]) == ("bit", 9.0)


class CountingTwin(torch.nn.Module):
    """A twin that knows the number of steps it has taken; enough of the protocol to be rolled out."""

    device = torch.device("cpu")
    transition_schema = SCHEMA

    class config:
        num_members = 2

    def initial_state(self, num_copies):
        return (torch.zeros(num_copies),)

    def step(self, observation, action, state, noise, context, member):
        assert set(member.tolist()) <= {0, 1}
        count = state[0] + 1
        queue = count[:, None].expand(-1, 2) + 0.0 * noise[..., 0]
        return torch.stack([queue, torch.rand_like(queue) * 0 + noise[..., 1].sigmoid()], dim=-1), (count,)


def test_twin_is_warmed_up_on_the_history(parts):
    _, test = parts
    cases = rollout_cases(test, num_starts=4, horizon=3, seed=0, warmup=7)
    forecaster = TwinForecaster(CountingTwin())
    samples = rollout(forecaster, cases, 5, np.random.default_rng(0))
    np.testing.assert_array_equal(samples[0, 0, :, 0, 0], [8, 9, 10])
    assert np.ptp(samples[:, 0, 0, 0, 1]) > 0
    np.testing.assert_array_equal(samples, rollout(forecaster, cases, 5, np.random.default_rng(0)))
