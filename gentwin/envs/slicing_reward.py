"""Utility and reward of a sliced network, shared by the network's and the twin's environment."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SlicingUtility:
    """Utility of a decision window: `U = alpha * SE + sum_n beta_n * SSR_n` (Zhang et al., eq. 5).

    Args:
        weights: beta, one per slice, each at least 0.
        spectral_efficiency_weight: alpha, at least 0.
    """

    weights: tuple[float, ...]
    spectral_efficiency_weight: float = 0.01

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", tuple(float(weight) for weight in self.weights))
        for name, values in (("utility_weights", self.weights), ("alpha", (self.spectral_efficiency_weight,))):
            if not all(0 <= value < math.inf for value in values):
                raise ValueError(f"`{name}` must be at least 0 and finite, got {values}.")

    def __call__(self, ssr: np.ndarray, spectral_efficiency: np.ndarray) -> np.ndarray:
        """Returns utilities `(num_envs,)` from `ssr` `(num_envs, num_slices)` and cell SE `(num_envs,)`, b/s/Hz."""
        return ssr @ np.asarray(self.weights) + self.spectral_efficiency_weight * spectral_efficiency


@dataclass(frozen=True)
class RewardShaping:
    """Reshaped reward of Zhang et al., eq. 6, whose threshold rises with the number of decisions taken.

    `r = 0` below `gamma_t`, 1 from there, and `1 + (U - gamma_max) / 2` from `gamma_max` on, where
    `gamma_t = min(gamma_min + sigma * t, gamma_max)`.

    Args:
        gamma_min: Threshold before the first decision.
        gamma_max: Final threshold, above `gamma_min`.
        sigma: Growth per decision, above 0.
    """

    gamma_min: float
    gamma_max: float
    sigma: float

    def __post_init__(self) -> None:
        if not self.gamma_min < self.gamma_max < math.inf:
            raise ValueError(f"`gamma_max` must be above `gamma_min`, got {self.gamma_max} and {self.gamma_min}.")
        if not 0 < self.sigma < math.inf:
            raise ValueError(f"`sigma` must be above 0 and finite, got {self.sigma}.")

    def threshold(self, step: int) -> float:
        """Returns `gamma_t` after `step` decisions."""
        return min(self.gamma_min + self.sigma * step, self.gamma_max)

    def __call__(self, utility: np.ndarray, step: int) -> np.ndarray:
        """Returns rewards of the same shape as `utility`, for decision number `step` (from 0)."""
        above = 1.0 + (utility - self.gamma_max) / 2.0
        return np.where(utility < self.threshold(step), 0.0, np.where(utility < self.gamma_max, 1.0, above))


# The papers print no constants; Hua et al.'s code raises the threshold within two thirds of 10,000 decisions.
_THRESHOLDS = {"hua2019": (4.5, 6.5), "zhang2024": (4.5, 7.0), "dynamic": (2.2, 2.9)}


def default_shaping(preset: str, weights: tuple[float, ...]) -> RewardShaping:
    """Returns our thresholds for a preset: from a little below a random policy's utility to well above a static one's.

    They hold for weights of 1 and are scaled by the mean weight; the final threshold is reached after 6,667 decisions.
    """
    scale = sum(weights) / len(weights)
    low, high = (scale * threshold for threshold in _THRESHOLDS[preset])
    return RewardShaping(gamma_min=low, gamma_max=high, sigma=(high - low) / 6667)
