"""Spaces that follow from the fields of a schema, and checks of what is given for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium import spaces

from gentwin.schema import Field, did_you_mean


def field_box(fields: Sequence[Field]) -> spaces.Box:
    """Returns the `Box` of float32 whose entries are fields."""
    # A space rounds its bounds to float32; a bound rounded inwards would exclude its own value.
    low = np.nextafter(np.array([field.low for field in fields], np.float32), np.float32(-np.inf))
    high = np.nextafter(np.array([field.high for field in fields], np.float32), np.float32(np.inf))
    low = np.where([field.low == 0 for field in fields], np.float32(0), low)
    return spaces.Box(low, high, dtype=np.float32)


def observed_names(fields: Sequence[str] | str, known: list[str]) -> tuple[str, ...]:
    """Returns the names of the fields to observe, all `known` ones for `all`, or raises `ValueError`."""
    if fields == "all":
        return tuple(known)
    if isinstance(fields, str) or not fields:
        raise ValueError(f"`observation_fields` must be 'all' or names from {known}, got {fields!r}.")
    for name in fields:
        if name not in known:
            raise ValueError(
                f"`observation_fields` must be 'all' or names from {known}, got {name!r}{did_you_mean(name, known)}"
            )
    return tuple(fields)


def checked_actions(actions: np.ndarray, num_envs: int, num_actions: int) -> np.ndarray:
    """Returns one action per copy, integers of `Discrete(num_actions)`, or raises `ValueError`."""
    actions = np.asarray(actions)
    if actions.shape != (num_envs,) or actions.dtype.kind not in "iu":
        raise ValueError(f"`actions` must be {num_envs} integers, got {actions.dtype} of shape {actions.shape}.")
    if actions.min() < 0 or actions.max() >= num_actions:
        raise ValueError(f"`actions` must be in 0 … {num_actions - 1}, got {actions.min()} … {actions.max()}.")
    return actions
