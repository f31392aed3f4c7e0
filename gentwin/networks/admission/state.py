"""Records of fixed layout that the compiled kernel reads and changes: numeric parameters, and the state of a copy."""

from __future__ import annotations

import numpy as np

from gentwin.networks.admission.parameters import (
    MAX_QUEUE_PLACES,
    MAX_RESOURCES,
    MAX_SERVICES,
    MAX_SLICES,
    AdmissionParameters,
)

# Columns of the outputs per slice: first what is true now, then what happened since the last decision.
QUEUED, OLDEST_WAIT_S, REQUESTING, IN_SERVICE, ARRIVED, ADMITTED, COMPLETED, TIMED_OUT, BLOCKED = range(9)
NUM_SLICE_OUTPUTS = 9
# Columns of the outputs per resource, both in units: free now, and in use on average since the last decision.
FREE, USED = range(2)
NUM_RESOURCE_OUTPUTS = 2

_F, _I = np.float64, np.int64
_PER_SLICE, _PER_RESOURCE = (MAX_SLICES,), (MAX_RESOURCES,)

PARAMETERS = np.dtype(
    [
        ("num_slices", _I),
        ("num_resources", _I),
        ("capacity", _I, _PER_RESOURCE),
        ("demand", _I, (MAX_SLICES, MAX_RESOURCES)),
        ("interarrival_s", _F, _PER_SLICE),
        ("service_s", _F, _PER_SLICE),
        ("timeout_s", _F, _PER_SLICE),
        ("queue_places", _I, _PER_SLICE),
        ("exponential_patience", np.bool_),
        ("warmup_s", _F),
    ],
    align=True,
)
"""The numbers of `AdmissionParameters` in the form the compiled kernel reads."""

REQUEST = np.dtype([("arrived_s", _F), ("expires_s", _F), ("number", _I)])
"""A queued request: when it arrived, when it will be withdrawn, and its number among the requests of its slice."""

SERVICE = np.dtype([("ends_s", _F), ("slice", _I)])
"""A service in progress."""

COPY = np.dtype(
    [
        ("key", np.uint64),  # random generator
        ("time_s", _F),  # since the start
        ("requesting", _I),  # slice whose arrival was the last event, -1 after a departure or a time-out
        ("num_services", _I),
        ("free", _I, _PER_RESOURCE),
        ("queued", _I, _PER_SLICE),
        ("in_service", _I, _PER_SLICE),
        ("num_requests", _I, _PER_SLICE),  # arrived so far
        ("next_arrival_s", _F, _PER_SLICE),
        ("next_expiry_s", _F, _PER_SLICE),  # of the queue; infinity if it is empty
        ("expiring", _I, _PER_SLICE),  # place of the request that expires next
        ("services", SERVICE, (MAX_SERVICES,)),  # a binary heap by the time they end
        ("queue", REQUEST, (MAX_SLICES, MAX_QUEUE_PLACES + 1)),  # by age; one place more for the newest arrival
    ],
    align=True,
)
"""One copy of the network. Its layout is the same for all parameters, so that the kernel is compiled once."""


def kernel_parameters(parameters: AdmissionParameters) -> np.ndarray:
    """Translates `parameters` into the numbers of the compiled kernel."""
    slices = parameters.slices
    values = {
        "num_slices": parameters.num_slices,
        "num_resources": parameters.num_resources,
        "capacity": parameters.capacity,
        "interarrival_s": [1.0 / entry.arrivals_per_s for entry in slices],
        "service_s": [entry.service_s for entry in slices],
        "timeout_s": [entry.timeout_s for entry in slices],
        "queue_places": [entry.queue_places for entry in slices],
        "exponential_patience": parameters.patience == "exponential",
        "warmup_s": parameters.warmup_s,
    }
    record = np.zeros(1, PARAMETERS)
    for name, value in values.items():
        if np.ndim(value) == 0:
            record[name] = value
        else:
            record[name][0][: len(value)] = value
    record["demand"][0, : len(slices), : parameters.num_resources] = [entry.demand for entry in slices]
    return record
