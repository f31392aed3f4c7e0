"""Parameters of the admission network: presets, and the refusal of everything that is not a network."""

import dataclasses
import math

import numpy as np
import pytest

from gentwin.networks.admission import (
    PRESETS,
    AdmissionParameters,
    ServiceParameters,
    admission_parameters,
    admission_schema,
)

BUSY = admission_parameters("busy")
HRLLC = BUSY.slices[1]

BAD_NETWORK_VALUES = [
    ("slices", ()),
    ("slices", (HRLLC, HRLLC)),
    ("slices", (HRLLC, "massive")),
    ("slices", tuple(dataclasses.replace(HRLLC, name=f"slice_{n}") for n in range(9))),
    ("resources", ()),
    ("resources", ("radio", "radio", "storage")),
    ("resources", ("radio", "two words", "storage")),
    ("resources", ("radio", 3, "storage")),
    ("resources", ("a", "b", "c", "d", "e")),
    ("capacity", (273, 96)),
    ("capacity", (273, 96, 0)),
    ("capacity", (273, -96, 224)),
    ("capacity", (273_000, 96_000, 224_000)),
    ("patience", "endless"),
    ("warmup_s", -1.0),
    ("warmup_s", math.inf),
]

BAD_SERVICE_VALUES = [
    ("name", "two words"),
    ("arrivals_per_s", 0.0),
    ("arrivals_per_s", math.inf),
    ("service_s", -1.0),
    ("demand", (1, -1, 1)),
    ("demand", (0, 0, 0)),
    ("revenue", -1.0),
    ("penalty", -0.1),
    ("timeout_s", 0.0),
    ("queue_places", -1),
    ("queue_places", 33),
]


@pytest.mark.parametrize(("name", "value"), BAD_NETWORK_VALUES)
def test_an_impossible_network_is_refused_by_field(name, value):
    with pytest.raises(ValueError, match=f"^`{name}` of .* must be .*got "):
        admission_parameters("busy", **{name: value})


@pytest.mark.parametrize(("name", "value"), BAD_SERVICE_VALUES)
def test_an_impossible_slice_is_refused_by_field(name, value):
    with pytest.raises(ValueError, match=f"^`{name}` of slice .* must be .*got "):
        dataclasses.replace(HRLLC, **{name: value})


@pytest.mark.parametrize(
    ("name", "value"), [("warmup_s", "1"), ("patience", 1), ("slices", 3), ("capacity", (1.5, 2, 3))]
)
def test_a_value_of_the_wrong_type_is_refused_by_field(name, value):
    with pytest.raises(TypeError, match=f"^`{name}` of "):
        admission_parameters("busy", **{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("service_s", "20"), ("service_s", math.nan), ("demand", 3), ("demand", ()), ("queue_places", 2.0)],
)
def test_a_slice_value_of_the_wrong_type_is_refused_by_field(name, value):
    with pytest.raises(TypeError, match=f"^`{name}` of "):
        dataclasses.replace(HRLLC, **{name: value})


def test_every_field_has_a_value_that_is_refused():
    assert {name for name, _ in BAD_NETWORK_VALUES} == {
        entry.name for entry in dataclasses.fields(AdmissionParameters)
    } - {"preset"}
    assert {name for name, _ in BAD_SERVICE_VALUES} == {entry.name for entry in dataclasses.fields(ServiceParameters)}


def test_a_service_that_never_fits_or_demands_other_resources_is_refused():
    for demand, message in (((10, 97, 4), "within `capacity`"), ((10, 12), "3 numbers for")):
        with pytest.raises(ValueError, match=f"^`demand` of slice `hrllc` must be {message}.*got "):
            BUSY.replace(slices=(dataclasses.replace(HRLLC, demand=demand),))


def test_unknown_names_are_answered_with_the_nearest_one():
    with pytest.raises(ValueError, match=r"`capacities` is not a parameter.*did you mean `capacity`"):
        admission_parameters("busy", capacities=(1, 1, 1))
    with pytest.raises(ValueError, match=r"`preset` must be one of .*got 'busi'; did you mean `busy`"):
        admission_parameters("busi")
    with pytest.raises(KeyError, match=r"no slice `hrlc`; did you mean `hrllc`\?; known: "):
        BUSY.slice_index("hrlc")
    for load in (0, -1.0, math.inf, "2", True):
        with pytest.raises(ValueError, match=r"^`load` of the admission network must be above 0 and finite, got "):
            admission_parameters("busy", load=load)


@pytest.mark.parametrize(("preset", "load"), [("light", 0.7), ("busy", 1.75), ("overload", 3.0), ("small", 3.0)])
def test_presets_have_their_load_on_the_busiest_resource(preset, load):
    parameters = admission_parameters(preset)
    assert parameters.num_slices == 4 and parameters.num_resources == 3
    held = sum(entry.arrivals_per_s * entry.service_s * np.array(entry.demand) for entry in parameters.slices)
    np.testing.assert_allclose(parameters.offered_load, held / parameters.capacity)
    assert max(parameters.offered_load) == pytest.approx(load)
    assert max(admission_parameters(preset, load=1.2).offered_load) == pytest.approx(1.2)
    # Changes alone leave the arrivals as they are; with a load, that is met after them.
    halved = {"capacity": tuple(-(-units // 2) for units in parameters.capacity)}
    assert admission_parameters(preset, **halved).slices == parameters.slices
    assert max(admission_parameters(preset, load=0.9, **halved).offered_load) == pytest.approx(0.9)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_schema_follows_from_the_parameters(preset):
    parameters = admission_parameters(preset)
    schema = admission_schema(parameters)
    assert schema.slices == ("immersive", "hrllc", "massive", "ubiquitous")
    assert [field.name for field in schema.state[:4]] == ["queued", "oldest_wait_s", "requesting", "in_service"]
    assert [field.name for field in schema.state[4:]] == ["free_radio", "free_computing", "free_storage"]
    assert schema.step_ms == pytest.approx(1e3 / sum(entry.arrivals_per_s for entry in parameters.slices))
