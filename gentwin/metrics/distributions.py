"""Scores of predicted distributions, given draws from them. Axis 0 of every `samples` is the draw."""

from __future__ import annotations

import numpy as np


def _check(samples: np.ndarray, observed: np.ndarray, least: int) -> tuple[np.ndarray, np.ndarray]:
    samples, observed = np.asarray(samples), np.asarray(observed)
    if samples.ndim < 1 or samples.shape[1:] != observed.shape:
        raise ValueError(
            f"`samples` must have shape (num_samples, *{observed.shape}) for `observed` {observed.shape}, "
            f"got {samples.shape}."
        )
    if len(samples) < least:
        raise ValueError(f"`samples` must hold at least {least} draws, got {len(samples)}.")
    if not (np.isfinite(samples).all() and np.isfinite(observed).all()):
        raise ValueError("`samples` and `observed` must be finite; a forecast that diverges has no score.")
    return samples, observed


def crps_from_samples(samples: np.ndarray, observed: np.ndarray, fair: bool = True) -> np.ndarray:
    """Continuous ranked probability score, `E|X - y| - E|X - X'| / 2`, in the unit of the observation.

    It is 0 for a sure and right forecast and the absolute error for a point forecast. Costs `O(n log n)` per value.

    Args:
        samples: `(num_samples, ...)` draws.
        observed: `(...)` what happened.
        fair: Whether to estimate without bias what infinitely many draws would score; otherwise the score of the
            empirical distribution, which punishes few draws. A single draw needs `fair=False`.

    Returns:
        `(...)` float64 scores; with `fair=True` one may be slightly negative.

    Raises:
        ValueError: If shapes do not fit, draws are too few, or a value is not finite.

    Source: Gneiting & Raftery, J. Am. Stat. Assoc. 102 (2007), eq. 21; fair estimator: Ferro, Q. J. R. Meteorol. Soc.
        140 (2014).
    """
    samples, observed = _check(samples, observed, 2 if fair else 1)
    count = len(samples)
    ordered = np.sort(samples, axis=0)
    error, spread = np.zeros(observed.shape), np.zeros(observed.shape)
    for rank, draw in enumerate(ordered):  # one draw at a time keeps float64 copies of all samples out of memory
        error += np.abs(draw - observed, dtype=np.float64)
        spread += (2 * rank + 1 - count) * draw.astype(np.float64)
    return error / count - spread / (count * (count - 1 if fair else count))


def pit(samples: np.ndarray, observed: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Randomised probability integral transform: uniform on (0, 1) if the forecast is calibrated.

    Ties, as between atoms, are broken at random, so a forecast with atoms can be uniform too.

    Args:
        samples: `(num_samples, ...)` draws.
        observed: `(...)` what happened.
        rng: Breaks ties.

    Returns:
        `(...)` float64 in (0, 1): the rank of the observation among the draws.

    Source: Czado, Gneiting & Held, Biometrics 65 (2009), with the observation ranked among the draws.
    """
    samples, observed = _check(samples, observed, 1)
    below, equal = (samples < observed).sum(axis=0), (samples == observed).sum(axis=0)
    return (below + rng.random(observed.shape) * (equal + 1)) / (len(samples) + 1)


def coverage(
    samples: np.ndarray, observed: np.ndarray, level: float, rng: np.random.Generator, axis: int | tuple | None = None
) -> np.ndarray:
    """Share of observations inside the central interval of probability `level`; equal to `level` if calibrated.

    Counted with the randomised transform of `pit`: with closed intervals, every atom inside an interval would count
    whole and even a perfect forecast would cover too much.

    Args:
        samples: `(num_samples, ...)` draws, many more than `2 / (1 - level)`.
        observed: `(...)` what happened.
        level: Probability in (0, 1), such as 0.9.
        rng: Breaks ties.
        axis: Axes of `observed` to average over; all if `None`.

    Returns:
        The share, in [0, 1].

    Raises:
        ValueError: If `level` is not in (0, 1) or shapes do not fit.
    """
    if not 0 < level < 1:
        raise ValueError(f"`level` must be in (0, 1), got {level}.")
    return (np.abs(pit(samples, observed, rng) - 0.5) <= level / 2).mean(axis=axis)


def interval_coverage(low: np.ndarray, high: np.ndarray, observed: np.ndarray) -> float:
    """Share of observations in the closed intervals `[low, high]`, for forecasts given as quantiles.

    Args:
        low: `(...)` lower ends.
        high: `(...)` upper ends.
        observed: `(...)` what happened.
    """
    return float(((observed >= low) & (observed <= high)).mean())


def energy_distance(first: np.ndarray, second: np.ndarray, chunk: int = 1024) -> float:
    """Energy distance of two samples of vectors: 0 if and only if their distributions agree, with infinite samples.

    `2 E|X - Y| - E|X - X'| - E|Y - Y'|`, estimated without bias, so it may be slightly negative. Scale the coordinates
    to comparable units first.

    Args:
        first: `(num_first, num_dims)`, at least 2.
        second: `(num_second, num_dims)`, at least 2.
        chunk: Rows compared at a time.

    Source: Székely & Rizzo, J. Stat. Plan. Inference 143 (2013).
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or min(len(first), len(second)) < 2:
        raise ValueError(
            f"`first` and `second` must be (at least 2, same number of dimensions), got {first.shape}, {second.shape}."
        )
    cross = _distance_sum(first, second, chunk) / (len(first) * len(second))
    inner = [_distance_sum(part, part, chunk) / (len(part) * (len(part) - 1)) for part in (first, second)]
    return 2 * cross - sum(inner)


def _distance_sum(first: np.ndarray, second: np.ndarray, chunk: int) -> float:
    total = 0.0
    for start in range(0, len(first), chunk):
        gap = first[start : start + chunk, None] - second[None]
        total += float(np.sqrt(np.einsum("ijk,ijk->ij", gap, gap)).sum())
    return total
