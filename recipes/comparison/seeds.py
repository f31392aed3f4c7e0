"""Seeds that lie far apart."""

from __future__ import annotations

import numpy as np


def separate_seeds(seed: int, count: int) -> list[int]:
    """Returns seeds for the parts of one run.

    Copy `i` of an environment has seed `seed + i`, so the runs of neighbouring seeds would share most of their
    episodes. These are 32-bit hashes: no two environments have a copy in common, within a run or between runs.

    Args:
        seed: Of the run.
        count: Parts, such as an environment, an agent's weights, the draws of its batches.
    """
    return [int(state) for state in np.random.SeedSequence(seed).generate_state(count)]
