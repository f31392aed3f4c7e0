"""The slicing network as a stochastic process and as a batch: theory, conservation, determinism, refusals."""

import dataclasses
import math

import numpy as np
import pytest
from numba import njit
from scipy.special import j0

from gentwin.networks.slicing import PRESETS, SlicingNetwork, slicing_parameters
from gentwin.networks.slicing.kernel import fading_db
from gentwin.networks.slicing.state import kernel_parameters

VOLTE, VIDEO, URLLC = range(3)


def keys(count, seed=0):
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)


def make_network(preset, num_copies, seed=0, num_threads=1, **changes):
    network = SlicingNetwork(slicing_parameters(preset, **changes), num_copies, num_threads=num_threads)
    network.reset(keys(num_copies, seed))
    return network


def random_allocations(network, num_steps, seed=1):
    choice = np.random.default_rng(seed).integers(len(network.allocations), size=(num_steps, network.num_copies))
    return network.allocations[choice]


def equal_split(network, share=1.0):
    shape = (network.num_copies, network.parameters.num_slices)
    return np.full(shape, share * network.parameters.bandwidth_hz / shape[1])


def packets_in_queues(network):
    """Queued packets per copy and slice."""
    users = network.snapshot()["state"]["users"]
    slices = np.arange(network.parameters.num_slices)
    return np.where(users["slice"][:, None, :] == slices[:, None], users["queue_length"][:, None, :], 0).sum(axis=2)


def test_published_sources_send_at_their_theoretical_rate():
    network = make_network("hua2019", 48)
    arrived = 0.0
    for _ in range(4):
        network.step(equal_split(network))
        arrived += network.values("arrived")
    # A packet every ceil(X / slot) + 1 slots, X being the read time.
    volte = np.arange(1, 321).mean() + 1
    video = sum((1 + 0.5 * slots / 6.0) ** -1.2 for slots in range(25)) + 1
    urllc = 1 / (1 - math.exp(-0.5 / 180)) + 1
    packets_per_user = arrived.sum(axis=0) / network.values("connected").sum(axis=0)
    np.testing.assert_allclose(packets_per_user, 4 * 2000 / np.array([volte, video, urllc]), rtol=0.03)


def test_the_population_is_shared_six_six_one():
    network = make_network("hua2019", 400)
    network.step(equal_split(network))
    np.testing.assert_allclose(network.values("connected").mean(axis=0), np.array([6, 6, 1]) * 100 / 13, rtol=0.05)


def silent_cell(**slice_changes):
    """A `dynamic` cell of short days and sessions that hardly sends anything, so that many windows are cheap."""
    slices = [
        dataclasses.replace(entry, interarrival_ms=1e6, session_s=2.0, **slice_changes)
        for entry in slicing_parameters("dynamic").slices
    ]
    return {"slices": slices, "day_s": 40.0, "warmup_steps": 0}


def test_sessions_follow_their_mean_and_the_day():
    network = make_network("dynamic", 64, **silent_cell())
    parameters = network.parameters
    phase = np.array([network.day_phase]).T
    connected, time = [], []
    for window in range(400):  # one day
        network.step(equal_split(network))
        connected.append(network.values("connected"))
        time.append(phase + (window + 1) / 400)
    connected, time = np.array(connected), np.array(time)
    mean_sessions = [entry.mean_sessions for entry in parameters.slices]
    np.testing.assert_allclose(connected.mean(axis=(0, 1)), mean_sessions, rtol=0.08)
    for n, entry in enumerate(parameters.slices):
        # The number of sessions follows their rate of arrival as a first-order lag of one session.
        lag = 2 * math.pi * entry.session_s / parameters.day_s
        cycle = np.exp(2j * math.pi * (time[..., 0] - entry.daily_peak)) * connected[:, :, n]
        expected = entry.mean_sessions * entry.daily_depth / 2 / (1 - 1j * lag)
        assert abs(cycle.mean() - expected) < 0.15 * abs(expected)


def test_bursts_are_active_their_share_of_the_time():
    network = make_network("dynamic", 64, **silent_cell(burst_on_s=0.6, burst_off_s=1.4))
    sending = connected = 0
    for _ in range(100):
        network.step(equal_split(network))
        users = network.snapshot()["state"]["users"]
        connected += (users["slice"] >= 0).sum()
        sending += users["sending"].sum()
    assert sending / connected == pytest.approx(0.3, abs=0.01)


@njit
def gain_history(p, state, slots):
    """Advances the channel of user 0 to each of `slots` and returns its complex gains."""
    gains = np.zeros(slots.size, np.complex128)
    for index in range(slots.size):
        fading_db(p, state[0], 0, slots[index])
        gains[index] = state[0].users[0].in_phase + 1j * state[0].users[0].quadrature
    return gains


def test_fading_is_rayleigh_and_loses_its_memory_when_jakes_model_does():
    parameters = slicing_parameters("dynamic")
    state = make_network("dynamic", 1, warmup_steps=0).snapshot()["state"]
    doppler_hz = parameters.speed_mps * parameters.carrier_ghz * 1e9 / 299_792_458
    coherence_slots = 1.5211 / (2 * math.pi * doppler_hz * 0.5e-3)
    assert j0(1.5211) == pytest.approx(0.5, abs=1e-4)
    # Irregular visits every 1 … 7 slots: a gap must not change the correlation over a given time.
    slots = np.cumsum(np.random.default_rng(0).integers(1, 8, 200_000))
    gains = gain_history(kernel_parameters(parameters)[0], state, slots)
    power = np.abs(gains) ** 2
    assert power.mean() == pytest.approx(1.0, abs=0.03)
    assert (power < 0.1).mean() == pytest.approx(1 - math.exp(-0.1), abs=0.01)
    for lag in (1, 4, 7, 14):
        elapsed = slots[lag:] - slots[:-lag]
        expected = np.mean(0.5 ** (elapsed / coherence_slots))
        assert np.mean(gains[lag:] * gains[:-lag].conj()).real == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("preset", PRESETS)
def test_slices_use_no_more_than_their_blocks_and_outputs_stay_in_their_fields(preset):
    network = make_network(preset, 8)
    for allocation in random_allocations(network, 12):
        network.step(allocation)
        assert (network.values("used_rb") <= network.resource_blocks(allocation) + 1e-9).all()
        assert (network.values("delivered") <= network.values("completed")).all()
        for fields, values in (
            (network.schema.state, network.state_values()),
            (network.schema.outcome, network.outcome_values()),
        ):
            for index, field in enumerate(fields):
                assert (values[:, :, index] >= field.low).all(), field.name
                assert (values[:, :, index] <= field.high).all(), field.name
        delays = [network.values(f"delay_p{level}_ms") for level in (50, 95, 99)]
        assert (delays[0] <= delays[1]).all()
        assert (delays[1] <= delays[2]).all()


def test_published_windows_account_for_every_packet():
    network = make_network("hua2019", 8, urllc_packets="large")
    for allocation in random_allocations(network, 6):
        network.step(allocation)
        np.testing.assert_array_equal(
            network.values("arrived"), network.values("completed") + network.values("dropped")
        )
        assert not packets_in_queues(network).any()


def test_dynamic_windows_account_for_every_packet_over_time():
    network = make_network("dynamic", 16)
    queued = packets_in_queues(network)
    for allocation in random_allocations(network, 60):
        network.step(allocation)
        left = network.values("delivered") + network.values("dropped")
        queued = queued + network.values("arrived") - left
        np.testing.assert_array_equal(network.values("delivered"), network.values("completed"))
        np.testing.assert_array_equal(queued, packets_in_queues(network))
    assert queued.sum() > 0


@pytest.mark.parametrize("preset", PRESETS)
def test_more_band_does_not_hurt_on_average(preset):
    satisfied = []
    for share in (0.3, 0.6, 1.0):
        network = make_network(preset, 24)
        ratios = []
        for _ in range(40 if preset == "dynamic" else 2):
            network.step(equal_split(network, share))
            ratios.append(network.values("ssr").mean(axis=0))
        satisfied.append(np.mean(ratios, axis=0))
    assert (np.diff(satisfied, axis=0) > -0.005).all()
    assert satisfied[-1].mean() > satisfied[0].mean()


@pytest.mark.parametrize("preset", PRESETS)
def test_a_copy_depends_on_its_keys_alone(preset):
    """Not on its neighbours, the number of threads, or what it did before its reset."""
    changes = {"slots_per_step": 100, "warmup_steps": 2}
    batch = make_network(preset, 5, num_threads=3, **changes)
    single = SlicingNetwork(batch.parameters, num_copies=1, num_threads=1)
    for _ in range(2):
        single.reset(keys(5)[3:4])
        np.testing.assert_array_equal(single.outputs[0], batch.outputs[3])
        for allocation in random_allocations(batch, 5):
            batch.step(allocation)
            single.step(allocation[3:4])
            np.testing.assert_array_equal(single.outputs[0], batch.outputs[3])
        batch.reset(keys(5))
    assert len(np.unique(batch.snapshot()["state"]["key"])) == 5


@pytest.mark.parametrize("preset", PRESETS)
def test_a_restored_snapshot_continues_identically(preset):
    network = make_network(preset, 3, slots_per_step=100)
    allocations = random_allocations(network, 8)
    network.step(allocations[0])
    snapshot = network.snapshot()
    futures = []
    for _ in range(2):
        network.restore(snapshot)
        future = [network.outputs.copy()]
        for allocation in allocations[1:]:
            network.step(allocation)
            future.append(network.outputs.copy())
        futures.append(future)
    np.testing.assert_array_equal(*futures)


@pytest.mark.parametrize("preset", PRESETS)
def test_resetting_some_copies_leaves_the_others_alone(preset):
    changes = {"slots_per_step": 100, "warmup_steps": 2}
    network, undisturbed = make_network(preset, 4, **changes), make_network(preset, 4, **changes)
    fresh = make_network(preset, 2, seed=9, **changes)
    first, *rest = random_allocations(network, 4)
    network.step(first)
    undisturbed.step(first)
    network.reset(keys(2, seed=9), copies=np.array([2, 0]))
    for allocation in rest:
        network.step(allocation)
        undisturbed.step(allocation)
        fresh.step(allocation[[2, 0]])
        np.testing.assert_array_equal(network.outputs[[1, 3]], undisturbed.outputs[[1, 3]])
        np.testing.assert_array_equal(network.outputs[[2, 0]], fresh.outputs)


def test_a_fork_with_the_same_keys_continues_identically_and_others_differ():
    network = make_network("dynamic", 2)
    fork = network.fork(np.array([1, 1]), np.array([keys(2)[1], 7], np.uint64))
    np.testing.assert_array_equal(fork.outputs[0], fork.outputs[1])
    for allocation in random_allocations(network, 5):
        network.step(allocation)
        fork.step(allocation[[1, 1]])
        np.testing.assert_array_equal(fork.outputs[0], network.outputs[1])
    assert (fork.outputs[0] != fork.outputs[1]).any()


def test_placement_keys_keep_the_users_where_they_are():
    network = SlicingNetwork(slicing_parameters("hua2019", slots_per_step=50), 2)
    network.reset(keys(2), placement_keys=np.array([5, 5], np.uint64))
    users = network.snapshot()["state"]["users"]
    np.testing.assert_array_equal(users["block_snr_db"][0], users["block_snr_db"][1])
    np.testing.assert_array_equal(users["slice"][0], users["slice"][1])
    assert (users["next_time"][0] != users["next_time"][1]).any()


def test_a_step_before_the_first_reset_is_refused():
    network = SlicingNetwork(slicing_parameters("hua2019", slots_per_step=50), num_copies=2)
    with pytest.raises(RuntimeError, match="must be reset"):
        network.step(network.allocations[:2])
    network.reset(keys(1), copies=np.array([1]))
    with pytest.raises(RuntimeError, match="must be reset"):
        network.step(network.allocations[:2])
    network.reset(keys(1), copies=np.array([0]))
    network.step(network.allocations[:2])


@pytest.mark.parametrize(
    ("allocation_hz", "message"),
    [
        (np.array([1e6, 8e6, 1e6]), r"`allocation_hz` must have shape \(1, 3\), got \(3,\)"),
        (np.array([[1e6, 8e6, 2e6]]), "`allocation_hz` must be at least 0 and sum to at most 1e\\+07 Hz"),
        (np.array([[-1e6, 8e6, 1e6]]), "`allocation_hz` must be at least 0"),
        (np.array([[np.nan, 8e6, 1e6]]), "`allocation_hz` must be at least 0"),
    ],
)
def test_an_impossible_allocation_is_refused_and_changes_nothing(allocation_hz, message):
    network = make_network("hua2019", 1)
    before = network.snapshot()
    with pytest.raises(ValueError, match=message):
        network.step(allocation_hz)
    np.testing.assert_array_equal(network.snapshot()["state"], before["state"])


def test_keys_that_do_not_fit_the_copies_are_refused_and_change_nothing():
    network = make_network("hua2019", 3)
    before = network.snapshot()
    for arguments, name in (
        ({"keys": keys(2)}, "keys"),
        ({"keys": keys(3), "placement_keys": keys(2)}, "placement_keys"),
        ({"keys": np.array([0.5, 1.5, 2.5])}, "keys"),
        ({"keys": np.array([-1, 2, 3])}, "keys"),
        ({"keys": keys(1), "copies": np.array([3])}, "copies"),
        ({"keys": keys(2), "copies": np.array([1, 1])}, "copies"),
    ):
        with pytest.raises(ValueError, match=f"^`{name}` must "):
            network.reset(**arguments)
    np.testing.assert_array_equal(network.snapshot()["state"], before["state"])


def test_a_snapshot_of_another_batch_is_refused():
    network = make_network("hua2019", 3)
    with pytest.raises(ValueError, match=r"`snapshot` must have .* got "):
        network.restore(make_network("hua2019", 2).snapshot())
    with pytest.raises(ValueError, match="`num_copies` must be at least 1, got 0"):
        SlicingNetwork(network.parameters, 0)
