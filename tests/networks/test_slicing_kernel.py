"""The compiled kernel against the readable references, window by window, on the same random stream."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gentwin.networks.slicing import SlicingNetwork, slicing_parameters
from gentwin.networks.slicing.state import COMPLETED, CONNECTED, DROPPED
from tests.networks.slicing_dynamic_reference import ReferenceDynamicNetwork
from tests.networks.slicing_reference import HUA2019, ZHANG2024, ReferenceSlicing, SharedDraws

KEY = 0x243F6A8885A308D3
PUBLISHED = {"hua2019": HUA2019, "zhang2024": ZHANG2024}
keys = st.integers(0, 2**64 - 1)


def published_pair(preset, key, slots_per_step, urllc_packets="small", num_users=100, placement_key=None):
    """Returns the kernel and the reference of a published preset, on the same keys."""
    parameters = slicing_parameters(
        preset, urllc_packets=urllc_packets, slots_per_step=slots_per_step, num_users=num_users
    )
    network = SlicingNetwork(parameters, num_threads=1)
    placement = None if placement_key is None else np.array([placement_key], np.uint64)
    network.reset(np.array([key], np.uint64), placement_keys=placement)
    reference = ReferenceSlicing(
        dataclasses.replace(PUBLISHED[preset], slots_per_window=slots_per_step),
        SharedDraws(key),
        None if placement_key is None else SharedDraws(placement_key),
        urllc_packets=urllc_packets,
        num_users=num_users,
    )
    return network, reference


def assert_same_window(network, reference, allocation_hz):
    """Steps both and compares every output of the window."""
    network.step(np.array([allocation_hz]))
    expected = reference.step(allocation_hz)
    for name in ("arrived", "completed", "delivered"):
        np.testing.assert_array_equal(network.values(name)[0], expected[name], err_msg=name)
    np.testing.assert_array_equal(network.values("dropped")[0], expected["in_flight"])
    np.testing.assert_array_equal(network.values("ssr")[0], expected["ssr"])
    efficiency = network.values("slice_spectral_efficiency")[0]
    np.testing.assert_allclose(efficiency, expected["spectral_efficiency_by_slice"], rtol=1e-9, atol=0)


@pytest.mark.parametrize("urllc_packets", ["small", "large"])
@pytest.mark.parametrize("preset", ["hua2019", "zhang2024"])
def test_published_windows_equal_the_reference_for_every_kind_of_allocation(preset, urllc_packets):
    network, reference = published_pair(preset, KEY, slots_per_step=200, urllc_packets=urllc_packets)
    band = network.parameters.bandwidth_hz
    shares = [(1, 1, 1), (1, 8, 1), (8, 1, 1), (1, 1, 8), (0, 5, 5), (5, 0, 5), (5, 5, 0), (0, 0, 0), (0.2, 9, 0.3)]
    for share in shares:
        total = max(sum(share), 1e-9)
        assert_same_window(network, reference, tuple(band * part / total for part in share))


@pytest.mark.parametrize("preset", ["hua2019", "zhang2024"])
def test_full_published_windows_equal_the_reference(preset):
    slots = PUBLISHED[preset].slots_per_window
    network, reference = published_pair(preset, KEY + 1, slots)
    for share in ((0.1, 0.8, 0.1), (0.3, 0.3, 0.4)):
        assert_same_window(network, reference, tuple(network.parameters.bandwidth_hz * part for part in share))


@settings(max_examples=100, deadline=None)
@given(
    preset=st.sampled_from(["hua2019", "zhang2024"]),
    urllc_packets=st.sampled_from(["small", "large"]),
    key=keys,
    placement_key=keys,
    num_users=st.integers(3, 128),
    slots_per_step=st.integers(1, 120),
    cuts=st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), min_size=1, max_size=3),
)
def test_any_published_window_equals_the_reference(
    preset, urllc_packets, key, placement_key, num_users, slots_per_step, cuts
):
    network, reference = published_pair(preset, key, slots_per_step, urllc_packets, num_users, placement_key)
    for cut in cuts:
        low, high = sorted(cut)
        units = np.array([low, high - low, 100 - high]) * network.parameters.bandwidth_hz / 100
        assert_same_window(network, reference, tuple(units))


def crowded_cell(**changes):
    """Returns a small `dynamic` cell in which sessions come and go and queues overflow within a few windows."""
    slices = [
        dataclasses.replace(entry, mean_sessions=sessions, session_s=0.2, latency_sla_ms=latency_ms)
        for entry, sessions, latency_ms in zip(
            slicing_parameters("dynamic").slices, (2.0, 3.0, 5.0), (15.0, 40.0, 30.0), strict=True
        )
    ]
    slices[0] = dataclasses.replace(slices[0], interarrival="lomax", interarrival_ms=6.0, interarrival_cap_ms=30.0)
    slices[1] = dataclasses.replace(slices[1], packet_size="choice", packet_bits=(3e3, 3e4, 3e5), rate_sla_mbps=2.0)
    slices[2] = dataclasses.replace(slices[2], interarrival_ms=4.0, burst_on_s=0.05, burst_off_s=0.03)
    settings = {"slices": slices, "num_users": 30, "slots_per_step": 40, "day_s": 1.0, "speed_mps": 30.0}
    settings |= {"queue_packets": 4, "cell_radius_m": 60.0, "path_loss_db": 60.0, "warmup_steps": 0}
    return slicing_parameters("dynamic", **(settings | changes))


def assert_same_dynamic_windows(parameters, key, allocations_hz, placement_key=None):
    """Steps kernel and reference through the allocations and compares every output; returns those of the kernel."""
    network = SlicingNetwork(parameters, num_threads=1)
    placement = None if placement_key is None else np.array([placement_key], np.uint64)
    network.reset(np.array([key], np.uint64), placement_keys=placement)
    reference = ReferenceDynamicNetwork(
        parameters, SharedDraws(key), None if placement_key is None else SharedDraws(placement_key)
    )
    np.testing.assert_allclose(network.values("channel_db")[0], reference.channel_db, rtol=1e-9)
    history = []
    for allocation_hz in allocations_hz:
        network.step(np.array([allocation_hz]))
        for name, expected in reference.step(allocation_hz).items():
            tolerance = 1e-9 if name in ("channel_db", "queued_bits", "slice_spectral_efficiency") else 1e-12
            np.testing.assert_allclose(
                network.values(name)[0], expected, rtol=tolerance, atol=1e-6 * (name == "queued_bits"), err_msg=name
            )
        history.append(network.outputs[0].copy())
    return np.array(history)


def test_dynamic_windows_equal_the_reference():
    thirds, lopsided, starved = (6.12e6, 6.12e6, 6.12e6), (1.08e6, 16.2e6, 1.08e6), (0.0, 1.08e6, 17.28e6)
    parameters = crowded_cell()
    history = assert_same_dynamic_windows(parameters, KEY, [thirds] * 6 + [lopsided] * 6 + [starved] * 4 + [thirds] * 4)
    # The comparison covers what it is meant to: losses, overflowing queues, sessions that come and go.
    assert (history[:, :, DROPPED].sum(axis=0) > 0).all()
    assert (history[:, :, COMPLETED].sum(axis=0) > 0).all()
    assert (np.ptp(history[:, :, CONNECTED], axis=0) >= 2).all()


def test_dynamic_windows_of_the_preset_equal_the_reference():
    parameters = slicing_parameters("dynamic", warmup_steps=0)
    assert_same_dynamic_windows(parameters, KEY + 2, [(6.48e6, 4.32e6, 7.56e6)] * 4)


@settings(max_examples=100, deadline=None)
@given(
    key=keys,
    placement_key=keys,
    fading=st.sampled_from(["rayleigh_doppler", "rayleigh", "lognormal"]),
    speed_mps=st.sampled_from([0.0, 1.5, 30.0]),
    queue_packets=st.integers(1, 32),
    num_users=st.integers(3, 128),
    slots_per_step=st.integers(1, 60),
    cuts=st.lists(st.tuples(st.integers(0, 51), st.integers(0, 51)), min_size=1, max_size=6),
)
def test_any_dynamic_window_equals_the_reference(key, placement_key, cuts, **changes):
    allocations = []
    for cut in cuts:
        low, high = sorted(cut)
        allocations.append(tuple(360e3 * blocks for blocks in (low, high - low, 51 - high)))
    assert_same_dynamic_windows(crowded_cell(**changes), key, allocations, placement_key)
