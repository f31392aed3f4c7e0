"""Scores of twins of policies, and of decisions that were made for them."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import NearestNeighbors

NUM_BINS = 15
RARE_SHARE = 0.05  # of states on either side


def macro_accuracy(actions: np.ndarray, predicted: np.ndarray) -> float:
    """Returns the mean over the actions that occur of the share of them that is predicted.

    Args:
        actions: `(N,)` integers, what was done.
        predicted: `(N,)` integers.
    """
    return float(np.mean([(predicted[actions == action] == action).mean() for action in np.unique(actions)]))


def confidence_bins(
    confidence: np.ndarray, right: np.ndarray, num_bins: int = NUM_BINS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns number, mean confidence and share of right ones in bins of equal width from 0 to 1, each `(num_bins,)`.

    Args:
        confidence: `(N,)` probabilities of what was predicted, 0 … 1.
        right: `(N,)` bool.
        num_bins: Number of bins; in an empty one the means are 0.
    """
    place = np.minimum((np.asarray(confidence, np.float64) * num_bins).astype(np.int64), num_bins - 1)
    count = np.bincount(place, minlength=num_bins)
    sums = [np.bincount(place, weights=values, minlength=num_bins) for values in (confidence, right)]
    return count, *(total / np.maximum(count, 1) for total in sums)


def expected_calibration_error(confidence: np.ndarray, right: np.ndarray, num_bins: int = NUM_BINS) -> float:
    """Returns the mean distance of confidence and share of right ones over bins; arguments as in `confidence_bins`.

    Source: Guo et al., "On calibration of modern neural networks", equation 3.
    """
    count, mean, share = confidence_bins(confidence, right, num_bins)
    return float((count * np.abs(mean - share)).sum() / max(1, count.sum()))


def rare_limits(waiting: np.ndarray) -> tuple[float, float]:
    """Returns the numbers of requests waiting `(N,)` in recorded states below and above which a state is rare."""
    low, high = np.quantile(waiting, (RARE_SHARE, 1 - RARE_SHARE))
    return float(low), float(high)


def is_rare(waiting: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Returns where the number of requests waiting `(N,)` is rare: few, or many."""
    return (waiting < limits[0]) | (waiting > limits[1])


def copy_rate(synthetic: np.ndarray, records: np.ndarray) -> float:
    """Returns which share of synthetic states is closer to a record than half of its distance to the next record.

    Args:
        synthetic: `(N, F)` features, of comparable scale.
        records: `(M, F)` features of what the generator has seen; at least two different ones.
    """
    records = np.unique(records, axis=0)
    neighbours = NearestNeighbors(n_neighbors=2).fit(records)
    own = neighbours.kneighbors(records)[0][:, 1]
    distance, nearest = neighbours.kneighbors(synthetic, n_neighbors=1)
    return float((distance[:, 0] < 0.5 * own[nearest[:, 0]]).mean())
