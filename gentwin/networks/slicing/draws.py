"""Counter-based random numbers for the slicing network.

Every draw is a pure function of `(key, stream, user, index)`, where the index counts slots (fading) or draws
(all others). Simulators that visit users and slots in different orders therefore see the same randomness, which is what
makes the event-driven kernel comparable with the readable reference slot by slot. The mixing function is SplitMix64
(Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numba import njit, uint64

# Streams; at most 32, so that stream, user and index fit into one counter.
PLACEMENT_X, PLACEMENT_Y, CATEGORY, READ_TIME, PACKET_SIZE, FADING, FADING_QUADRATURE, SESSION, MOBILITY, BURST = range(
    10
)

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)

TABLE_SIZE = 1024
# Values of the standard normal quantile function at k / TABLE_SIZE; the two open ends are never read.
NORMAL_TABLE = np.array([0.0, *(NormalDist().inv_cdf(k / TABLE_SIZE) for k in range(1, TABLE_SIZE)), 0.0])


@njit(inline="always")
def uniform(key, stream, user, index):
    """Returns the draw `(stream, user, index)` of the generator `key`, uniform in the open interval (0, 1).

    Args:
        key: uint64, the seed of one network copy; must itself be well mixed.
        stream: Purpose of the draw, 0 … 31.
        user: User index, 0 … 16383.
        index: Slot or draw number, 0 … 2**44 - 1.
    """
    counter = (uint64(stream) << uint64(58)) | (uint64(user) << uint64(44)) | uint64(index)
    z = uint64(key) + counter * _GOLDEN
    z = (z ^ (z >> uint64(30))) * _MIX_1
    z = (z ^ (z >> uint64(27))) * _MIX_2
    z = z ^ (z >> uint64(31))
    return (float(z >> uint64(12)) + 0.5) * 2.220446049250313e-16


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
