"""Parameters of the slicing network: presets, and the refusal of everything that is not a network."""

import dataclasses
import math

import numpy as np
import pytest

from gentwin.networks.slicing import (
    PRESETS,
    SliceParameters,
    SlicingNetwork,
    SlicingParameters,
    allocation_grid,
    slicing_parameters,
    slicing_schema,
)

HUA = slicing_parameters("hua2019")
DYNAMIC = slicing_parameters("dynamic")

BAD_NETWORK_VALUES = [
    ("slices", HUA.slices[:1]),
    ("slices", (HUA.slices[0], HUA.slices[0])),
    ("slices", (*HUA.slices, "video")),
    ("slices", tuple(dataclasses.replace(HUA.slices[0], name=f"slice_{n}") for n in range(9))),
    ("num_users", 2),
    ("num_users", 129),
    ("bandwidth_hz", 0.0),
    ("bandwidth_hz", math.inf),
    ("resolution_hz", 3e6),
    ("resolution_hz", 5e6),
    ("resolution_hz", 1e3),
    ("resolution_hz", -1e6),
    ("resource_block_hz", 20e6),
    ("resource_block_hz", 0),
    ("slot_ms", 0.0),
    ("slots_per_step", 0),
    ("slots_per_step", 100_001),
    ("queue_packets", 0),
    ("queue_packets", 33),
    ("population", "nobody"),
    ("population", "sessions"),
    ("carry_over", True),
    ("drop_late", True),
    ("power_split", True),
    ("scheduler", "proportional_fair"),
    ("fading", "rice"),
    ("fading_std_db", -1.0),
    ("speed_mps", -1.0),
    ("carrier_ghz", 0.0),
    ("placement", "hexagon"),
    ("cell_radius_m", 0.0),
    ("path_loss_db", math.inf),
    ("path_loss_exponent", -math.inf),
    ("path_loss_reference_m", 0.0),
    ("shadowing_std_db", -0.1),
    ("shadowing_distance_m", 0.0),
    ("transmit_power_dbm", math.inf),
    ("receive_gain_db", math.inf),
    ("rate_logarithm", 3),
    ("rate_factor", 0.0),
    ("max_spectral_efficiency", 0.0),
    ("spectral_efficiency", "offered"),
    ("spectral_efficiency_weight", -0.01),
    ("day_s", 0.0),
    ("warmup_steps", -1),
    ("warmup_steps", 10_001),
]

BAD_SLICE_VALUES = [
    ("name", "two words"),
    ("user_share", 0.0),
    ("interarrival", "weibull"),
    ("interarrival_ms", 0.0),
    ("interarrival_cap_ms", -1.0),
    ("packet_size", "pareto"),
    ("packet_bits", ()),
    ("packet_bits", (1.0, 2.0)),
    ("packet_bits", (0.0,)),
    ("packet_bits", (math.inf,)),
    ("packet_cap_bits", 0.0),
    ("packet_log_std", -0.5),
    ("rate_sla_mbps", -1.0),
    ("rate_sla_mbps", math.inf),
    ("latency_sla_ms", 0.0),
    ("mean_sessions", -1.0),
    ("session_s", 0.0),
    ("daily_depth", 1.5),
    ("daily_peak", -0.1),
    ("burst_on_s", -1.0),
    ("burst_off_s", 2.0),
    ("rate_log_std", -0.1),
    ("rate_correlation_s", 0.0),
]


@pytest.mark.parametrize(("name", "value"), BAD_NETWORK_VALUES)
def test_an_impossible_network_is_refused_by_field(name, value):
    with pytest.raises(ValueError, match=f"^`{name}` of .* must be "):
        slicing_parameters("hua2019", **{name: value})


@pytest.mark.parametrize(("name", "value"), BAD_SLICE_VALUES)
def test_an_impossible_slice_is_refused_by_field(name, value):
    with pytest.raises(ValueError, match=f"^`{name}` of slice .* must be "):
        dataclasses.replace(HUA.slices[0], **{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_users", 50.0),
        ("num_users", True),
        ("bandwidth_hz", "10e6"),
        ("bandwidth_hz", math.nan),
        ("slots_per_step", 0.5),
        ("carry_over", 1),
        ("fading", None),
        ("slices", 3),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_field(name, value):
    with pytest.raises(TypeError, match=f"^`{name}` of "):
        slicing_parameters("hua2019", **{name: value})


@pytest.mark.parametrize(("name", "value"), [("user_share", "1"), ("packet_bits", 320.0), ("packet_bits", ("a",))])
def test_a_slice_value_of_the_wrong_type_is_refused_by_field(name, value):
    with pytest.raises(TypeError, match=f"^`{name}` of "):
        dataclasses.replace(HUA.slices[0], **{name: value})


def test_every_field_has_a_value_that_is_refused():
    fields = {entry.name for entry in dataclasses.fields(SlicingParameters)} - {"preset"}
    assert {name for name, _ in BAD_NETWORK_VALUES} == fields
    assert {name for name, _ in BAD_SLICE_VALUES} == {entry.name for entry in dataclasses.fields(SliceParameters)}


def test_a_work_conserving_network_needs_sessions_deadlines_and_a_shared_power():
    for name, value in {"population": "static", "carry_over": False, "drop_late": False, "power_split": False}.items():
        with pytest.raises(ValueError, match=f"^`{name}` of the slicing network must be .*work_conserving"):
            DYNAMIC.replace(**{name: value})


def test_waits_beyond_the_tables_are_refused():
    video = dataclasses.replace(HUA.slices[1], interarrival_cap_ms=64.0)
    with pytest.raises(ValueError, match=r"^`interarrival_cap_ms` of slice `video` must be below 128 slots"):
        HUA.replace(slices=(HUA.slices[0], video, HUA.slices[2]))


def test_unknown_names_are_answered_with_the_nearest_one():
    with pytest.raises(ValueError, match=r"`num_user` is not a parameter.*`?num_users"):
        slicing_parameters("hua2019", num_user=3)
    with pytest.raises(ValueError, match=r"`preset` must be one of .*dynamic.*got 'dynamics'.*dynamic"):
        slicing_parameters("dynamics")
    with pytest.raises(ValueError, match=r"`urllc_packets` must be 'small' or 'large', got 'medium'"):
        slicing_parameters("hua2019", urllc_packets="medium")
    with pytest.raises(ValueError, match=r"`urllc_packets` applies to"):
        slicing_parameters("dynamic", urllc_packets="large")


@pytest.mark.parametrize(
    ("preset", "changes", "num_actions", "step_ms"),
    [
        ("hua2019", {}, 36, 1000.0),
        ("hua2019", {"resolution_hz": 200e3}, 1176, 1000.0),
        ("zhang2024", {}, 171, 200.0),
        ("zhang2024", {"resolution_hz": 200e3}, 4851, 200.0),
        ("dynamic", {}, 120, 100.0),
    ],
)
def test_presets_have_the_published_grids_and_windows(preset, changes, num_actions, step_ms):
    parameters = slicing_parameters(preset, **changes)
    grid = allocation_grid(parameters)
    assert grid.shape == (num_actions, 3)
    assert parameters.step_ms == step_ms
    assert (grid > 0).all()
    np.testing.assert_allclose(grid.sum(axis=1), parameters.bandwidth_hz)
    assert len(np.unique(grid, axis=0)) == num_actions


def test_resource_blocks_are_whole():
    network = SlicingNetwork(HUA)
    blocks = network.resource_blocks(np.array([[1e6, 8e6, 1e6], [10e6 / 3, 180e3, 0.0]]))
    np.testing.assert_array_equal(blocks, [[5, 44, 5], [18, 1, 0]])


@pytest.mark.parametrize("preset", PRESETS)
def test_the_schema_follows_from_the_parameters(preset):
    parameters = slicing_parameters(preset)
    schema = slicing_schema(parameters)
    assert schema.name == preset
    assert schema.slices == tuple(entry.name for entry in parameters.slices)
    assert schema.step_ms == parameters.step_ms
    assert schema.state[0].name == "arrived"
    assert len(schema.state) == (4 if preset == "dynamic" else 1)
