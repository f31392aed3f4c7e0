"""The anchors do what their names say."""

import numpy as np
import pytest

from gentwin.networks.slicing import SlicingNetwork, allocation_grid, slicing_parameters
from gentwin.networks.slicing.policies import (
    NoisyPolicy,
    PolicyMixture,
    ProportionalPolicy,
    RandomPolicy,
    RidgeBandit,
    StaticPolicy,
    best_static,
    equal_split,
    exploring_behaviour,
    nearest_action,
)

HUA = slicing_parameters("hua2019", slots_per_step=200)
DYNAMIC = slicing_parameters("dynamic")
GRID = allocation_grid(HUA)


def utility(ssr, spectral_efficiency):
    return ssr.sum(axis=1) + 0.01 * spectral_efficiency


def test_best_static_finds_the_published_allocation():
    network = SlicingNetwork(HUA, 3)
    actions, scores = best_static(network, np.array([1, 2, 3], np.uint64), utility, num_steps=4)
    np.testing.assert_allclose(GRID[actions], np.tile([1e6, 8e6, 1e6], (3, 1)))
    assert (scores > 7).all()


def test_ridge_bandit_learns_a_good_allocation_within_36_steps():
    network = SlicingNetwork(HUA, 1)
    network.reset(np.array([5], np.uint64))
    bandit = RidgeBandit(GRID, np.random.default_rng(0), explore_steps=24)
    for _ in range(36):
        action = bandit(np.zeros((1, 3, 1)))
        network.step(GRID[action])
        bandit.update(action, utility(network.values("ssr"), network.values("slice_spectral_efficiency").sum(axis=1)))
    total = 0.0
    for _ in range(20):
        network.step(GRID[[bandit.best_action()]])
        efficiency = network.values("slice_spectral_efficiency").sum(axis=1)
        total += utility(network.values("ssr"), efficiency)[0] / 20
    assert total > 6.3  # an equal split gives 5.3, the best allocation 7.4


def test_equal_split_is_the_nearest_of_the_grid():
    allocation = allocation_grid(DYNAMIC)[equal_split(DYNAMIC).action]
    assert np.ptp(allocation) <= DYNAMIC.resolution_hz
    exact = GRID[[7, 30]]
    np.testing.assert_array_equal(nearest_action(GRID, exact), [7, 30])


def test_proportional_policy_follows_the_queue():
    allocations = allocation_grid(DYNAMIC)
    idle = np.tile(np.array([10.0, 0.0, 0.0, 15.0]), (1, 3, 1))
    before = allocations[ProportionalPolicy(DYNAMIC)(idle)[0]]
    loaded = idle.copy()
    loaded[0, 1, 1] = 5e6
    after = allocations[ProportionalPolicy(DYNAMIC)(loaded)[0]]
    assert after[1] > before[1]
    floored = allocations[ProportionalPolicy(DYNAMIC, floor=0.2)(loaded)[0]]
    assert floored.min() >= 0.2 * DYNAMIC.bandwidth_hz - DYNAMIC.resolution_hz


def test_held_random_actions_change_as_rarely_as_told():
    policy = RandomPolicy(36, np.random.default_rng(0), hold_steps=10)
    actions = np.stack([policy(np.zeros((400, 3, 1))) for _ in range(50)])
    changes = (actions[1:] != actions[:-1]).mean()
    assert 0.08 < changes < 0.115  # a tenth, less the draws that repeat the action


def test_mixture_and_noise_keep_copies_apart():
    mixture = PolicyMixture([StaticPolicy(1), StaticPolicy(2)])
    np.testing.assert_array_equal(mixture(np.zeros((5, 3, 1))), [1, 2, 1, 2, 1])
    noisy = NoisyPolicy(StaticPolicy(3), 36, 0.5, np.random.default_rng(0))
    assert 0.4 < (noisy(np.zeros((1000, 3, 1))) == 3).mean() < 0.62
    actions = exploring_behaviour(DYNAMIC, np.random.default_rng(0))(np.ones((14, 3, 4)))
    assert actions.shape == (14,) and actions.max() < len(allocation_grid(DYNAMIC))


@pytest.mark.parametrize(
    "make",
    [
        lambda: RandomPolicy(5, np.random.default_rng(0), hold_steps=0.5),
        lambda: ProportionalPolicy(DYNAMIC, memory=1.0),
        lambda: ProportionalPolicy(DYNAMIC, floor=0.5),
        lambda: NoisyPolicy(StaticPolicy(0), 5, 1.5, np.random.default_rng(0)),
        lambda: PolicyMixture([]),
        lambda: RidgeBandit(GRID, np.random.default_rng(0), ridge=0.0),
    ],
)
def test_bad_arguments_are_refused_by_name(make):
    with pytest.raises(ValueError, match="`"):
        make()
