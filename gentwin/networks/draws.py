"""Counter-based random numbers, shared by the networks.

Every draw is a pure function of `(key, stream, user, index)`. Simulators that come to their draws in different orders
therefore see the same randomness, which is what makes a fast kernel comparable with a readable reference. The mixing
function is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
"""

from __future__ import annotations

import numpy as np
from numba import njit, uint64

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


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
