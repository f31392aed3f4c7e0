"""Weights that a decoder computes with: as they are, or as int8 with one scale for each output channel.

Only weights are quantised: sums are of float32, so nothing has to be calibrated, and what is computed is what a float32
twin with the rounded weights would compute, within rounding.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

FLOAT32, INT8 = "float32", "int8"
WEIGHTS = (FLOAT32, INT8)
_HIGHEST = np.float32(127)  # -128 is not used: a weight and its negative are rounded alike


class Matrix(NamedTuple):
    """Weights of one kind, of all layers, or the vectors of all tokens.

    Args:
        values: float32 or int8.
        scales: Of each output channel, what its `values` are to be multiplied by, float32; none, on the last axis, if
            they are float32 themselves.
    """

    values: np.ndarray
    scales: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, weights: str, inputs: int = -1) -> Matrix:
        """Returns weights as they are to be held.

        Args:
            values: float32.
            weights: One of `WEIGHTS`. For `int8` the largest weight of each output channel becomes 127 or -127, and
                the others are rounded to the nearest multiple of a 127th of it.
            inputs: Axis of `values` that sums run over; the other axes are those of the scales.

        Raises:
            ValueError: If a weight is not finite and `weights` is `int8`.
        """
        if weights == FLOAT32:
            return cls(values, np.zeros((*np.delete(values.shape, inputs)[:-1], 0), np.float32))
        scales = np.abs(values).max(axis=inputs, initial=0.0, keepdims=True) / _HIGHEST
        if not np.isfinite(scales).all():
            raise ValueError(
                f"`weights` must be {FLOAT32!r} for a twin with weights that are not finite, got {weights!r}"
            )
        steps = np.rint(values / np.where(scales > 0, scales, np.float32(1)))
        return cls(np.clip(steps, -_HIGHEST, _HIGHEST).astype(np.int8), scales.squeeze(inputs))

    @property
    def nbytes(self) -> int:
        """Memory of values and scales."""
        return self.values.nbytes + self.scales.nbytes

    def rows(self, numbers: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Returns some vectors of tokens, `(numbers, D)` float32.

        Args:
            numbers: Of the tokens; all of them if not given.
        """
        found = self.values[numbers]
        return found * self.scales[numbers, None] if self.scales.size else found
