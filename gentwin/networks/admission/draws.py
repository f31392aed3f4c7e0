"""Streams of random numbers of the admission network.

The time of the next request, its patience and the time it would be served are those of the slice's request number `n`,
whatever was decided before: policies compared under one key meet the same requests.
"""

from __future__ import annotations

import math

from numba import njit

from gentwin.networks.draws import uniform

INTERARRIVAL, SERVICE, PATIENCE = range(3)
LONGEST = 37.0  # means; no draw is longer, as no uniform one is below 2**-53


@njit
def exponential(key, stream, slice_index, number, mean):
    """Returns the draw `(stream, slice_index, number)` of the generator `key`, exponential of the given mean."""
    return -mean * math.log(uniform(key, stream, slice_index, number))
