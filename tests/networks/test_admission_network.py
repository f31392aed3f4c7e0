"""The admission network as a stochastic process and as a batch: theory, conservation, determinism, refusals."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from gentwin.networks.admission import (
    PRESETS,
    AdmissionNetwork,
    AdmissionSimulator,
    ServiceParameters,
    action_mask,
    admission_parameters,
    kernel,
)
from gentwin.networks.admission import state as layout
from gentwin.networks.admission.event_driven import ARRIVAL, BLOCKING, DEPARTURE, TIME_OUT
from gentwin.networks.admission.performance import simulate
from gentwin.networks.admission.policies import RandomPolicy, fifo_greedy

COUNTS = {ARRIVAL: "arrived", DEPARTURE: "completed", TIME_OUT: "timed_out", BLOCKING: "blocked"}


def keys(count, seed=0):
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)


def make_network(preset, num_copies, seed=0, num_threads=1, **changes):
    network = AdmissionNetwork(admission_parameters(preset, **changes), num_copies, num_threads=num_threads)
    network.reset(keys(num_copies, seed))
    return network


def random_policy(parameters, seed=1):
    return RandomPolicy(parameters, np.random.default_rng(seed))


def one_slice(servers, arrivals_per_s, timeout_s=1.0, queue_places=0, patience="exponential"):
    """A network of one slice and one resource, whose services last a second on average: a queue of theory."""
    entry = ServiceParameters(
        name="only", arrivals_per_s=arrivals_per_s, service_s=1.0, demand=(1,), revenue=1.0, timeout_s=timeout_s,
        queue_places=queue_places,
    )  # fmt: skip
    return admission_parameters(
        "small", slices=(entry,), resources=("radio",), capacity=(servers,), patience=patience, warmup_s=20.0
    )


def queue_with_abandonment(parameters):
    """Returns the stationary probabilities of the numbers in an M/M/c/c+q+M queue."""
    entry, servers = parameters.slices[0], parameters.capacity[0]
    weights = [1.0]
    for number in range(1, servers + entry.queue_places + 1):
        leaving = min(number, servers) / entry.service_s + max(number - servers, 0) / entry.timeout_s
        weights.append(weights[-1] * entry.arrivals_per_s / leaving)
    return np.array(weights) / sum(weights)


# ---------------------------------------------------------------- theory


def test_blocking_without_a_queue_is_that_of_erlang_b():
    parameters = one_slice(servers=5, arrivals_per_s=4.0)
    found = simulate(fifo_greedy(parameters), parameters, keys(512), 100.0)
    erlang_b = 4.0**5 / math.factorial(5) / sum(4.0**n / math.factorial(n) for n in range(6))
    assert 1 - found.admission[0] == pytest.approx(erlang_b, abs=0.004)
    assert found.utilisation[0] == pytest.approx(4.0 * (1 - erlang_b) / 5, abs=0.004)


def test_exponential_patience_gives_the_queue_of_palm():
    parameters = one_slice(servers=3, arrivals_per_s=3.6, timeout_s=0.8, queue_places=8)
    probabilities = queue_with_abandonment(parameters)
    waiting = probabilities[4:] @ np.arange(1, 9)
    found = simulate(fifo_greedy(parameters), parameters, keys(512), 100.0)
    lost = waiting / 0.8 / 3.6 + probabilities[-1]
    assert 1 - found.admission[0] == pytest.approx(lost, abs=0.004)
    assert found.revenue_per_s == pytest.approx(3.6 * (1 - lost), abs=4 * found.standard_error)


def test_deterministic_patience_gives_the_loss_of_barrer():
    """Barrer (1957): impatient customers of an M/M/1 queue who wait for a fixed time."""
    load, patience_s = 0.8, 2.0
    parameters = one_slice(1, load, patience_s, queue_places=32, patience="deterministic")
    found = simulate(fifo_greedy(parameters), parameters, keys(512), 200.0)
    decay = math.exp(-(1 - load) * patience_s)
    lost = (1 - load) * load * decay / (1 - load**2 * decay)
    assert 1 - found.admission[0] == pytest.approx(lost, abs=0.004)


# ---------------------------------------------------------------- conservation


@settings(max_examples=25, deadline=None)
@given(
    preset=st.sampled_from(PRESETS),
    patience=st.sampled_from(["deterministic", "exponential"]),
    queue_places=st.integers(0, 32),
    load=st.floats(0.2, 8.0),
    seed=st.integers(0, 2**31),
)
def test_nothing_is_made_or_lost(preset, patience, queue_places, load, seed):
    slices = [dataclasses.replace(entry, queue_places=queue_places) for entry in admission_parameters(preset).slices]
    network = make_network(preset, 3, seed, slices=slices, load=load, patience=patience, warmup_s=5.0)
    parameters, policy = network.parameters, random_policy(network.parameters, seed)
    demand, capacity = np.array([entry.demand for entry in parameters.slices]), np.array(parameters.capacity)
    queued, in_service = network.values("queued"), network.values("in_service")
    for _ in range(60):
        network.step(policy(network.state_values()))
        queued += network.values("arrived") - sum(network.values(name) for name in ("admitted", "timed_out", "blocked"))
        in_service += network.values("admitted") - network.values("completed")
        np.testing.assert_array_equal(queued, network.values("queued"))
        np.testing.assert_array_equal(in_service, network.values("in_service"))
        np.testing.assert_allclose((1 - network.free) * capacity, in_service @ demand, atol=1e-9)
        np.testing.assert_array_equal(network.masks, action_mask(parameters, network.state_values()))
        assert (network.free >= 0).all() and (network.used >= 0).all() and (network.used <= 1 + 1e-9).all()
        assert network.masks[:, :-1].any(axis=1).all(), "a decision without a choice"
        for fields, values in (
            (network.schema.state, network.state_values()),
            (network.schema.outcome, network.outcome_values()),
        ):
            for index, field in enumerate(fields):
                assert (values[:, :, index] >= field.low).all(), field.name
                assert (values[:, :, index] <= field.high + 1e-9).all(), field.name


def test_time_passes_only_between_rounds_of_decisions():
    network = make_network("busy", 16)
    for _ in range(40):
        before, since_s = network.masks.copy(), network.time_s
        actions = random_policy(network.parameters)(network.state_values())
        network.step(actions)
        np.testing.assert_allclose(network.time_s - since_s, network.elapsed_s, atol=1e-9)
        assert (network.elapsed_s[actions == network.none] > 0).all()
        # Nothing that did not fit before the admission can fit after it.
        at_once = network.elapsed_s == 0
        assert (network.masks[at_once] <= before[at_once]).all()


# ---------------------------------------------------------------- batched and event by event


@settings(max_examples=20, deadline=None)
@given(
    preset=st.sampled_from(PRESETS),
    patience=st.sampled_from(["deterministic", "exponential"]),
    queue_places=st.integers(0, 4),
    key=st.integers(0, 2**64 - 1),
    seed=st.integers(0, 2**31),
)
def test_any_decisions_lead_where_they_do_event_by_event(preset, patience, queue_places, key, seed):
    base = admission_parameters(preset)
    slices = [dataclasses.replace(entry, queue_places=queue_places) for entry in base.slices]
    parameters = base.replace(slices=slices, patience=patience, warmup_s=10.0)
    network, simulator = AdmissionNetwork(parameters, num_threads=1), AdmissionSimulator(parameters, key)
    network.reset(np.array([key], np.uint64))
    rng = np.random.default_rng(seed)
    for _ in range(80):
        allowed = simulator.allowed()
        assert np.flatnonzero(network.masks[0]).tolist() == allowed
        assert network.time_s[0] == simulator.time_s
        assert network.values("queued")[0].tolist() == [len(queue) for queue in simulator.queues]
        oldest_s = [simulator.time_s - queue[0].arrived_s if queue else 0.0 for queue in simulator.queues]
        assert network.values("oldest_wait_s")[0].tolist() == oldest_s
        assert network.values("requesting")[0].tolist() == [n == simulator.requesting for n in range(4)]
        np.testing.assert_allclose(network.free[0] * parameters.capacity, simulator.free, atol=1e-9)
        action = int(rng.choice(allowed))
        network.step(np.array([action]))
        events = simulator.step(action)
        for kind, name in COUNTS.items():
            expected = [sum(event.kind == kind and event.slice_index == n for event in events) for n in range(4)]
            assert network.values(name)[0].tolist() == expected, name


@njit
def greedy_events(p, state, slices, resources, times, kinds, slice_indices):
    """Runs the kernel under the greedy policy and logs every event but blockings."""
    copy = state[0]
    for index in range(times.size):
        admitted = kernel.oldest_that_fits(p, copy)
        while admitted >= 0:
            kernel.admit(p, copy, admitted, slices)
            admitted = kernel.oldest_that_fits(p, copy)
        kernel.turn_away(p, copy, slices)
        times[index], kinds[index], slice_indices[index] = kernel.next_event(p, copy)
        if kinds[index] == layout.COMPLETED:
            slice_indices[index] = copy.services[0].slice
        kernel.pass_event(p, copy, slices, resources)


@pytest.mark.parametrize("preset", ["busy", "small"])
def test_the_kernel_passes_the_events_of_the_simulator(preset):
    """Event by event, times equal to the last bit, over the whole life of two thousand events."""
    parameters = admission_parameters(preset, warmup_s=0.0)
    key = 0x243F6A8885A308D3
    network = AdmissionNetwork(parameters, num_threads=1)
    network.reset(np.array([key], np.uint64))
    times, kinds, slice_indices = np.zeros(2000), np.zeros(2000, np.int64), np.zeros(2000, np.int64)
    outputs = np.zeros((4, layout.NUM_SLICE_OUTPUTS)), np.zeros((3, layout.NUM_RESOURCE_OUTPUTS))
    simulator = AdmissionSimulator(parameters, key)
    greedy_events(
        layout.kernel_parameters(parameters)[0], network.snapshot()["state"], *outputs, times, kinds, slice_indices
    )
    expected = []
    while len(expected) < len(times):
        events = simulator.step(simulator.greedy_action())
        expected += [event for event in events if event.kind != BLOCKING]
    names = {layout.ARRIVED: ARRIVAL, layout.COMPLETED: DEPARTURE, layout.TIMED_OUT: TIME_OUT}
    for event, time_s, kind, slice_index in zip(expected, times, kinds, slice_indices, strict=False):
        assert (event.time_s, event.kind, event.slice_index) == (time_s, names[kind], slice_index)
    assert {names[kind] for kind in kinds} == set(names.values())


def test_the_simulator_refuses_what_does_not_fit():
    simulator = AdmissionSimulator(admission_parameters("busy"), key=1)
    forbidden = next(action for action in range(4) if action not in simulator.allowed())
    with pytest.raises(ValueError, match=rf"`action` must be one of \[.*\] now, got {forbidden}; see `allowed`"):
        simulator.step(forbidden)


# ---------------------------------------------------------------- determinism


def run(network, num_steps, seed=1, copies=slice(None)):
    """Returns everything that copies of a network show over some random decisions."""
    rng, seen = np.random.default_rng(seed), []
    for _ in range(num_steps):
        draws = rng.random((5, network.masks.shape[1]))
        actions = np.where(network.masks, draws[copies][: network.num_copies], -1.0).argmax(axis=1)
        network.step(actions)
        seen.append([network.state_values(), network.outcome_values()])
    return [np.stack(parts) for parts in zip(*seen, strict=True)]


@pytest.mark.parametrize("preset", ["busy", "small"])
def test_a_copy_depends_on_its_key_alone(preset):
    """Not on its neighbours, the number of threads, or what it did before its reset."""
    batch = make_network(preset, 5, num_threads=3, warmup_s=20.0)
    single = AdmissionNetwork(batch.parameters, 1, num_threads=1)
    for _ in range(2):
        single.reset(keys(5)[3:4])
        for ours, alone in zip(run(batch, 20), run(single, 20, copies=slice(3, 4)), strict=True):
            np.testing.assert_array_equal(ours[:, 3], alone[:, 0])
            assert (ours[:, 3] != ours[:, 2]).any()
        batch.reset(keys(5))


def test_policies_meet_the_same_requests_under_the_same_key():
    parameters = admission_parameters("busy")
    few, many = (
        simulate(policy, parameters, keys(4), 50.0, num_threads=1)
        for policy in (lambda states: np.full(len(states), 4), fifo_greedy(parameters))
    )
    assert few.admitted.sum() == 0 < many.admitted.sum()
    # A copy goes on to the first decision after the end, so the numbers may differ by the last events.
    np.testing.assert_allclose(few.arrived, many.arrived, atol=8)


def test_a_restored_snapshot_continues_identically():
    network = make_network("busy", 3)
    run(network, 5)
    snapshot = network.snapshot()
    first = run(network, 20)
    network.restore(snapshot)
    for before, after in zip(first, run(network, 20), strict=True):
        np.testing.assert_array_equal(before, after)
    with pytest.raises(ValueError, match=r"`snapshot` must have .* got "):
        network.restore(make_network("busy", 2).snapshot())


def test_resetting_some_copies_leaves_the_others_alone():
    network, undisturbed = make_network("small", 4), make_network("small", 4)
    fresh = make_network("small", 2, seed=9)
    network.reset(keys(2, seed=9), copies=np.array([2, 0]))
    np.testing.assert_array_equal(network.state_values()[[1, 3]], undisturbed.state_values()[[1, 3]])
    np.testing.assert_array_equal(network.state_values()[[2, 0]], fresh.state_values())
    np.testing.assert_array_equal(network.masks[[2, 0]], fresh.masks)


# ---------------------------------------------------------------- refusals


def test_a_step_before_the_first_reset_is_refused():
    network = AdmissionNetwork(admission_parameters("busy"), num_copies=2)
    network.reset(keys(1), copies=np.array([1]))
    with pytest.raises(RuntimeError, match="must be reset"):
        network.step(np.array([4, 4]))


@pytest.mark.parametrize(
    "actions", [np.array([4]), np.array([4.0, 4.0]), np.array([4, 5]), np.array([-1, 4]), np.array([[4, 4]])]
)
def test_impossible_actions_are_refused_and_change_nothing(actions):
    network = make_network("busy", 2)
    before = network.snapshot()
    with pytest.raises(ValueError, match=r"^`actions` must be (2 integers|in 0 … 4), got "):
        network.step(actions)
    np.testing.assert_array_equal(network.snapshot()["state"], before["state"])


def test_an_action_outside_the_mask_is_refused_with_the_remedy():
    network = make_network("busy", 8)
    copy, forbidden = np.argwhere(network.masks == 0)[0]
    actions = np.full(8, network.none)
    actions[copy] = forbidden
    before = network.snapshot()
    with pytest.raises(
        ValueError, match=rf"by `masks`, \[.*\] in copy {copy}, got {forbidden} there; take 4 to admit none"
    ):
        network.step(actions)
    np.testing.assert_array_equal(network.snapshot()["state"], before["state"])


def test_keys_that_do_not_fit_the_copies_are_refused():
    network = make_network("busy", 3)
    for arguments, name in (
        ({"keys": keys(2)}, "keys"),
        ({"keys": np.array([-1, 2, 3])}, "keys"),
        ({"keys": keys(1), "copies": np.array([3])}, "copies"),
    ):
        with pytest.raises(ValueError, match=f"^`{name}` must "):
            network.reset(**arguments)
    with pytest.raises(ValueError, match="`num_copies` must be at least 1, got 0"):
        AdmissionNetwork(network.parameters, 0)
