"""Which admissions are allowed; apart from the network, for those who read its records."""

from __future__ import annotations

import numpy as np


def allowed_actions(queued: np.ndarray, free: np.ndarray, demand: np.ndarray) -> np.ndarray:
    """Returns which actions are allowed.

    Args:
        queued: `(B, num_slices)` requests waiting.
        free: `(B, num_resources)` free units.
        demand: `(num_slices, num_resources)` units that a service holds.

    Returns:
        `(B, num_slices + 1)` bool: true for a slice of which a request waits and fits, and for none, the last.
    """
    fits = (demand <= free[:, None]).all(axis=2)
    return np.concatenate([fits & (queued > 0), np.ones((len(queued), 1), bool)], axis=1)
