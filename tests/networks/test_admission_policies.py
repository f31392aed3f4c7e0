"""The anchors of admission control: what they do, what they earn, and the optimum of the small network."""

import dataclasses

import numpy as np
import pytest

from gentwin.networks.admission import ServiceParameters, admission_parameters
from gentwin.networks.admission.network import AdmissionNetwork, admission_schema
from gentwin.networks.admission.optimum import MarkovModel, OptimalPolicy
from gentwin.networks.admission.performance import best_reservation, fluid_bound, simulate
from gentwin.networks.admission.policies import (
    PriorityPolicy,
    RandomPolicy,
    fifo_greedy,
    revenue_density,
    revenue_greedy,
    trunk_reservation,
)

BUSY, SMALL = admission_parameters("busy"), admission_parameters("small")
IMMERSIVE, HRLLC, MASSIVE, UBIQUITOUS, NONE = range(5)


def keys(count, seed=0):
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)


def state(parameters, queued, oldest_wait_s=(0, 0, 0, 0), free=(1.0, 1.0, 1.0)):
    """Returns one state of the schema."""
    names = [field.name for field in admission_schema(parameters).state]
    values = np.zeros((1, parameters.num_slices, len(names)))
    values[0, :, names.index("queued")] = queued
    values[0, :, names.index("oldest_wait_s")] = oldest_wait_s
    values[0, :, -parameters.num_resources :] = free
    return values


def losses(parameters, arrivals, demands, **changes):
    """Returns a network of one resource without queues or penalties, every admission worth 1."""
    slices = [
        ServiceParameters(
            name=f"slice_{n}", arrivals_per_s=rate, service_s=1.0, demand=(need,), revenue=1.0, timeout_s=1.0,
            queue_places=0,
        )
        for n, (rate, need) in enumerate(zip(arrivals, demands, strict=True))
    ]  # fmt: skip
    return parameters.replace(slices=slices, resources=("radio",), **changes)


# ---------------------------------------------------------------- what they do


def test_the_greedy_policy_takes_the_oldest_that_fits():
    greedy = fifo_greedy(BUSY)
    waits = (9.0, 3.0, 5.0, 7.0)
    assert greedy(state(BUSY, (1, 1, 1, 1), waits)) == [IMMERSIVE]
    assert greedy(state(BUSY, (1, 1, 1, 1), waits, free=(0.1, 1.0, 1.0))) == [UBIQUITOUS]
    assert greedy(state(BUSY, (0, 1, 1, 0), waits)) == [MASSIVE]
    assert greedy(state(BUSY, (1, 1, 1, 1), waits, free=(0.0, 1.0, 1.0))) == [NONE]


def test_the_greedy_policy_is_that_of_the_warm_up():
    warm, cold = (AdmissionNetwork(BUSY.replace(warmup_s=warmup_s), 8) for warmup_s in (60.0, 0.0))
    warm.reset(keys(8))
    cold.reset(keys(8))
    greedy = fifo_greedy(BUSY)
    while (cold.time_s < 60).any():
        running = cold.time_s < 60
        # Copies that are through wait by being put back.
        before = cold.snapshot()
        cold.step(greedy(cold.state_values()))
        after = cold.snapshot()
        cold.restore({name: np.where(_like(running, after[name]), after[name], before[name]) for name in after})
    np.testing.assert_array_equal(warm.time_s, cold.time_s)
    np.testing.assert_array_equal(warm.state_values(), cold.state_values())


def _like(running, array):
    return running.reshape(-1, *[1] * (array.ndim - 1))


def test_priorities_go_by_what_an_admission_is_worth():
    share = 10 / 273 + 12 / 96 + 4 / 224
    assert revenue_density(BUSY)[HRLLC] == pytest.approx((4.5 + 0.5) / (20.0 * share))
    greedy = revenue_greedy(BUSY)
    assert greedy(state(BUSY, (1, 1, 1, 1))) == [np.argmax(revenue_density(BUSY))] == [HRLLC]
    assert PriorityPolicy(BUSY, [1, 2, 4, 3])(state(BUSY, (1, 1, 1, 1))) == [MASSIVE]


def test_a_reserve_is_kept_free_from_its_slice_only():
    policy = trunk_reservation(BUSY, {"hrllc": 0.5})
    just_enough = (0.5 + 10 / 273, 0.5 + 12 / 96, 0.5 + 4 / 224)
    assert policy(state(BUSY, (0, 1, 0, 0), free=just_enough)) == [NONE]  # a reserve of whole units: 137 of 273
    assert policy(state(BUSY, (0, 1, 0, 0), free=(0.6, 0.7, 0.6))) == [HRLLC]
    assert policy(state(BUSY, (0, 1, 1, 0), free=just_enough)) == [MASSIVE]
    with pytest.raises(ValueError, match=r"`reserve` of slice `hrllc` must be between 0 and 1, got 1\.5"):
        trunk_reservation(BUSY, {"hrllc": 1.5})
    with pytest.raises(KeyError, match="no slice `hrlc`; did you mean `hrllc`"):
        trunk_reservation(BUSY, {"hrlc": 0.1})
    with pytest.raises(ValueError, match=r"`priority` must have 4 entries, got shape \(2,\)"):
        PriorityPolicy(BUSY, [1, 2])


def test_random_actions_are_allowed_and_cover_all():
    network = AdmissionNetwork(SMALL, 64)
    network.reset(keys(64))
    policy, taken = RandomPolicy(SMALL, np.random.default_rng(0)), set()
    for _ in range(30):
        actions = policy(network.state_values())
        taken |= set(actions.tolist())
        network.step(actions)
    assert taken == {0, 1, 2, 3, 4}


# ---------------------------------------------------------------- the Markov chain


def test_the_chain_without_queues_loses_what_kaufman_and_roberts_say():
    """Two slices of different demand share a resource completely; the chain is exact."""
    units, arrivals, demands = 7, (2.0, 0.9), (1, 3)
    parameters = losses(SMALL, arrivals, demands, capacity=(units,))
    weights = np.zeros(units + 1)
    weights[0] = 1.0
    for used in range(1, units + 1):
        shares = (
            rate * need * weights[used - need] for rate, need in zip(arrivals, demands, strict=True) if need <= used
        )
        weights[used] = sum(shares) / used
    weights /= weights.sum()
    carried = sum(rate * weights[: units + 1 - need].sum() for rate, need in zip(arrivals, demands, strict=True))
    solution = MarkovModel(parameters).solve(revenue_greedy(parameters), tolerance=1e-9)
    assert solution.revenue_per_s == pytest.approx(carried, abs=1e-8)


def test_the_best_policy_of_the_chain_is_the_best_reservation_where_that_is_known():
    """Miller (1969): with equal demands and services, the cheaper class keeps a number of units free."""
    parameters = losses(SMALL, (3.0, 3.0), (1, 1), capacity=(5,))
    cheap = dataclasses.replace(parameters.slices[1], revenue=0.3)
    parameters = parameters.replace(slices=(parameters.slices[0], cheap))
    model = MarkovModel(parameters)
    best = model.solve(tolerance=1e-9)
    reserves = [
        model.solve(trunk_reservation(parameters, {"slice_1": units / 5}), 1e-9).revenue_per_s for units in range(6)
    ]
    assert best.revenue_per_s == pytest.approx(max(reserves), abs=1e-8)
    assert 0 < np.argmax(reserves) < 5


def test_the_simulated_network_earns_what_the_chain_says():
    """For the best policy and for the greedy one by revenue, within four standard errors."""
    model = MarkovModel(SMALL)
    best, greedy = model.solve(), model.solve(revenue_greedy(SMALL))
    optimal = simulate(OptimalPolicy(model, best), SMALL, keys(1280), 100.0, settle_s=80.0)
    simple = simulate(revenue_greedy(SMALL), SMALL, keys(1280), 100.0, settle_s=80.0)
    for found, solution in ((optimal, best), (simple, greedy)):
        assert found.standard_error < 0.012 * solution.revenue_per_s
        assert abs(found.revenue_per_s - solution.revenue_per_s) < 4 * found.standard_error
    gain, error = optimal.gain_over(simple)
    apart = np.hypot(optimal.standard_error, simple.standard_error)
    assert error < 0.75 * apart, "the same requests should make policies comparable"
    assert abs(gain - (best.revenue_per_s - greedy.revenue_per_s)) < 4 * error


def test_no_policy_beats_the_optimum_and_none_the_fluid_bound():
    model = MarkovModel(SMALL)
    best = model.solve().revenue_per_s
    others = [
        revenue_greedy(SMALL),
        trunk_reservation(SMALL, {"ubiquitous": 0.25}),
        lambda states: np.full(len(states), 4),
    ]
    found = [model.solve(policy, 1e-4).revenue_per_s for policy in others]
    assert max(found) < best - 0.01
    assert best < fluid_bound(SMALL)
    paid = sum(entry.arrivals_per_s * entry.penalty for entry in SMALL.slices)
    assert found[2] == pytest.approx(-paid, abs=1e-3)


def test_the_fluid_bound_is_tight_where_there_is_room_for_all():
    roomy = admission_parameters("light", load=0.05)
    everything = sum(entry.arrivals_per_s * entry.revenue for entry in roomy.slices)
    assert fluid_bound(roomy) == pytest.approx(everything)
    tight = losses(SMALL, (6.0, 6.0), (1, 2), capacity=(4,))
    assert fluid_bound(tight) == pytest.approx(4.0)


def test_a_chain_needs_exponential_patience_and_few_states():
    with pytest.raises(ValueError, match="`patience` must be 'exponential' for a Markov chain, got 'deterministic'"):
        MarkovModel(BUSY)
    with pytest.raises(ValueError, match="`capacity` and `queue_places` must give at most 2000000 states"):
        MarkovModel(BUSY.replace(patience="exponential"))
    model = MarkovModel(SMALL)
    with pytest.raises(ValueError, match="`tolerance` must be above 0, got 0"):
        model.solve(tolerance=0)
    with pytest.raises(ValueError, match="`policy` must take actions allowed by `action_mask`"):
        model.solve(lambda states: np.zeros(len(states), np.int64))
    with pytest.raises(RuntimeError, match="`max_iterations` 3 left the revenue per second between"):
        model.solve(max_iterations=3)


# ---------------------------------------------------------------- the presets


def test_a_better_policy_has_much_to_gain_in_busy_and_little_in_light():
    gains = {}
    for preset in ("light", "busy"):
        parameters = admission_parameters(preset)
        greedy = simulate(fifo_greedy(parameters), parameters, keys(256), 100.0)
        better = simulate(revenue_greedy(parameters), parameters, keys(256), 100.0)
        gain, error = better.gain_over(greedy)
        gains[preset] = gain / greedy.revenue_per_s
        if preset == "busy":
            assert 0.9 < better.utilisation.mean() < 0.97
            assert gain > 10 * error
    assert gains["light"] < 0.01 < 0.05 < gains["busy"]


def test_the_search_for_a_reserve_ends_no_worse_than_it_began():
    parameters = admission_parameters("small")
    found = best_reservation(parameters, keys(64), 40.0, shares=(0.0, 0.25), num_passes=1)
    assert found.keys() == {"immersive", "hrllc", "massive", "ubiquitous"}
    ours, greedy = (
        simulate(policy, parameters, keys(64), 40.0).revenue_per_s
        for policy in (trunk_reservation(parameters, found), revenue_greedy(parameters))
    )
    assert ours >= greedy
    with pytest.raises(ValueError, match="`duration_s` must be above 0, got 0"):
        simulate(fifo_greedy(parameters), parameters, keys(2), 0)
