"""The readable slicing reference against the published anchors and against cases worked out by hand."""

import numpy as np
import pytest

from gentwin.networks.slicing.draws import READ_TIME
from tests.networks.slicing_reference import (
    HUA2019,
    QUEUE_PLACES,
    URLLC,
    VIDEO,
    VOLTE,
    ZHANG2024,
    IndependentDraws,
    Packet,
    ReferenceSlicing,
    SharedDraws,
    meets_sla,
    serve,
    share_resource_blocks,
)

EQUAL_SPLIT_HZ = (10e6 / 3, 10e6 / 3, 10e6 / 3)
BEST_STATIC_HZ = (1e6, 8e6, 1e6)
KEY = 0x243F6A8885A308D3


def mean_outputs(preset, allocation_hz, num_placements, num_windows, **options):
    """Averages utility and arrivals over independent placements and windows."""
    utility, arrived = [], []
    for placement in range(num_placements):
        network = ReferenceSlicing(preset, IndependentDraws(np.random.default_rng([7, placement])), **options)
        for _ in range(num_windows):
            outputs = network.step(allocation_hz)
            utility.append(outputs["utility"])
            arrived.append(outputs["arrived"])
    return np.mean(utility), np.mean(arrived, axis=0)


def test_equal_split_reaches_the_published_utility_and_load():
    utility, arrived = mean_outputs(HUA2019, EQUAL_SPLIT_HZ, num_placements=24, num_windows=1)
    assert utility == pytest.approx(5.26, abs=0.15)
    # Four standard errors of the mean over 24 random numbers of users per slice.
    assert arrived[VOLTE] == pytest.approx(570, abs=52)
    assert arrived[VIDEO] == pytest.approx(6900, abs=650)
    assert arrived[URLLC] == pytest.approx(42, abs=14)


def test_best_static_allocation_reaches_the_published_utility():
    utility, _ = mean_outputs(HUA2019, BEST_STATIC_HZ, num_placements=16, num_windows=1)
    assert utility == pytest.approx(7.38, abs=0.25)


@pytest.mark.parametrize(
    ("allocation_hz", "weights", "published", "tolerance"),
    [
        (EQUAL_SPLIT_HZ, (1, 1, 1), 4.98, 0.2),
        (BEST_STATIC_HZ, (1, 1, 1), 6.52, 0.25),
        ((1e6, 4e6, 5e6), (1, 4, 6), 13.15, 0.3),
    ],
)
def test_large_urllc_packets_reach_the_published_utility(allocation_hz, weights, published, tolerance):
    utility, _ = mean_outputs(HUA2019, allocation_hz, 12, 2, urllc_packets="large", utility_weights=weights)
    assert utility == pytest.approx(published, abs=tolerance)


@pytest.mark.parametrize("preset", [HUA2019, ZHANG2024])
def test_the_shared_stream_replays_and_follows_the_same_distribution(preset):
    allocation_hz = tuple(preset.bandwidth_hz / 3 for _ in range(3))
    network = ReferenceSlicing(preset, SharedDraws(KEY))
    first = [network.step(allocation_hz) for _ in range(4)]
    network.reset()
    for outputs in first:
        replayed = network.step(allocation_hz)
        np.testing.assert_array_equal(replayed["arrived"], outputs["arrived"])
        assert replayed["utility"] == outputs["utility"]
    assert np.mean([outputs["utility"] for outputs in first]) == pytest.approx(5.27, abs=0.3)


def test_every_packet_is_completed_or_in_flight_and_the_window_forgets_it():
    network = ReferenceSlicing(HUA2019, SharedDraws(KEY), urllc_packets="large")
    trace = []
    for _ in range(2):
        outputs = network.step((1e6, 1e6, 8e6), trace)
        np.testing.assert_array_equal(outputs["arrived"], outputs["completed"] + outputs["in_flight"])
        assert outputs["in_flight"].sum() > 0
        assert (outputs["delivered"] <= outputs["completed"]).all()
        assert max(trace[-1].queue_length) <= QUEUE_PLACES
        assert all(not user.queue for user in network.users)
    second = trace[HUA2019.slots_per_window]
    np.testing.assert_array_equal(second.queue_length, second.arrived)


def test_spectral_efficiency_counts_allocated_blocks_whatever_is_queued():
    network = ReferenceSlicing(HUA2019, SharedDraws(KEY))
    trace = []
    outputs = network.step(BEST_STATIC_HZ, trace)
    total = sum(slot.rate_bps.sum() for slot in trace) / HUA2019.slots_per_window / HUA2019.bandwidth_hz
    assert outputs["spectral_efficiency"] == pytest.approx(total)
    for slot in trace:
        assert not slot.resource_blocks[slot.queue_length == 0].any()
        assert slot.resource_blocks.sum() <= 5 + 44 + 5


@pytest.mark.parametrize(
    ("num_blocks", "active", "pointer", "expected_blocks", "expected_pointer"),
    [
        (18, [], 7, {}, 7),
        (6, [2, 5, 9], 4, {2: 2, 5: 2, 9: 2}, 4),
        # Two remainder blocks for the indices 4 and 5: only user 5 is active, so one block is lost.
        (5, [2, 5, 9], 4, {2: 1, 5: 2, 9: 1}, 6),
        # Nobody active has an index in 3 … 4: both blocks are lost and the pointer stays.
        (2, [2, 5, 9], 3, {2: 0, 5: 0, 9: 0}, 3),
        # A user at the pointer itself is not "after" it, but its index lies in the range.
        (4, [2, 5, 9], 5, {2: 1, 5: 2, 9: 1}, 6),
        # Only user 9 is after the pointer: wrap around to the first user.
        (5, [2, 5, 9], 6, {2: 2, 5: 1, 9: 2}, 3),
        # Nobody is after the pointer.
        (2, [2, 5, 9], 10, {2: 1, 5: 1, 9: 0}, 6),
    ],
)
def test_round_robin_remainder(num_blocks, active, pointer, expected_blocks, expected_pointer):
    assert share_resource_blocks(num_blocks, active, pointer) == (expected_blocks, expected_pointer)


def test_service_charges_completed_packets_to_the_rate_not_to_the_capacity():
    # 1 Mb/s carries 500 bit per slot. The second packet sees (1e6 - 300) * 0.5 ms = 499.85 bit, the third 499.65.
    queue = [Packet(300.0, 300.0), Packet(400.0, 400.0), Packet(600.0, 600.0), Packet(100.0, 100.0)]
    completed = serve(queue, 1e6)
    assert [packet.original_bits for packet in completed] == [300.0, 400.0]
    assert [packet.remaining_bits for packet in queue] == pytest.approx([600.0 - 499.65, 100.0])


@pytest.mark.parametrize(
    ("category", "bits", "age_slots", "rate_bps", "max_age_slots", "met"),
    [
        (VIDEO, 2000.0, 1, 100e6, 19, True),
        (VIDEO, 2000.0, 1, 99e6, 19, False),
        (VIDEO, 2000.0, 2, 900e6, 19, False),  # 2000 bit in 1 ms is 2 Mb/s.
        (VOLTE, 320.0, 12, 1.0, 19, True),
        (VOLTE, 320.0, 13, 1.0, 19, False),
        (URLLC, 2.4e6, 5, 1.0, 5, True),
        (URLLC, 2.4e6, 6, 1.0, 5, False),
        (URLLC, 51.2e3, 2, 1.0, 1, False),
    ],
)
def test_success_needs_rate_and_latency(category, bits, age_slots, rate_bps, max_age_slots, met):
    assert meets_sla(Packet(bits, 0.0, age_slots), category, rate_bps, max_age_slots) is met


def test_a_read_time_of_n_slots_separates_packets_by_n_plus_one_slots():
    network = ReferenceSlicing(HUA2019, SharedDraws(KEY))
    trace = []
    network.step((2e6, 7e6, 1e6), trace)
    arrivals = np.array([slot.arrived for slot in trace])
    volte = [index for index, user in enumerate(network.users) if user.category == VOLTE]
    for index in volte[:5]:
        slots = np.flatnonzero(arrivals[:, index])
        read_slots = [int(np.ceil(160.0 * network.draws.uniform(READ_TIME, index, n) / 0.5)) for n in range(len(slots))]
        assert slots[0] == read_slots[0]
        np.testing.assert_array_equal(np.diff(slots), np.array(read_slots[1:]) + 1)


def test_a_slice_without_arrivals_is_satisfied():
    network = ReferenceSlicing(HUA2019, SharedDraws(KEY), num_users=1)
    outputs = network.step(EQUAL_SPLIT_HZ)
    assert (outputs["ssr"][outputs["arrived"] == 0] == 1.0).all()
    assert (outputs["arrived"] == 0).sum() == 2
