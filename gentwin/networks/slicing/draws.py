"""Streams of random numbers of the slicing network, and its normal quantile.

The index of a draw counts slots (fading) or draws (all others); see [`gentwin.networks.draws`][gentwin.networks.draws].
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numba import njit

# Streams; at most 32, so that stream, user and index fit into one counter.
PLACEMENT_X, PLACEMENT_Y, CATEGORY, READ_TIME, PACKET_SIZE, FADING, FADING_QUADRATURE, SESSION, MOBILITY, BURST = range(
    10
)

TABLE_SIZE = 1024
# Values of the standard normal quantile function at k / TABLE_SIZE; the two open ends are never read.
NORMAL_TABLE = np.array([0.0, *(NormalDist().inv_cdf(k / TABLE_SIZE) for k in range(1, TABLE_SIZE)), 0.0])


@njit(inline="always")
def standard_normal(u):
    """Returns the standard normal quantile of `u` in (0, 1): table with linear interpolation, exact rational tails."""
    position = u * TABLE_SIZE
    cell = int(position)
    if 4 <= cell < TABLE_SIZE - 5:
        low = NORMAL_TABLE[cell]
        return low + (NORMAL_TABLE[cell + 1] - low) * (position - cell)
    return normal_tail(u)


@njit
def normal_tail(u):
    """Returns the standard normal quantile of `u` outside the table, by Newton steps on the tail probability."""
    tail = min(u, 1.0 - u)
    x = math.sqrt(-2.0 * math.log(tail))
    x -= (math.log(x) + 0.5 * math.log(2.0 * math.pi)) / x
    for _ in range(6):
        error = 0.5 * math.erfc(x / math.sqrt(2.0)) - tail
        density = math.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
        x += error / density
    return -x if u < 0.5 else x
