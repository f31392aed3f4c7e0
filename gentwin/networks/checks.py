"""Checks of parameters, with one form of message for all networks."""

from __future__ import annotations

import math
from typing import Any, get_type_hints


def check(condition: bool, owner: str, name: str, constraint: str, value: Any) -> None:
    """Raises `ValueError` naming the field, the constraint and the value unless `condition` holds."""
    if not condition:
        raise ValueError(f"`{name}` of {owner} must be {constraint}, got {value!r}.")


def is_number(value: Any) -> bool:
    """Tells whether a value is an integer or a float, but neither a truth value nor NaN."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)


def check_types(instance: Any) -> None:
    """Raises `TypeError` if a field of a dataclass instance does not hold the annotated plain type."""
    owner = type(instance).__name__
    for name, kind in get_type_hints(type(instance)).items():
        value = getattr(instance, name)
        if kind is float and not is_number(value):
            raise TypeError(f"`{name}` of {owner} must be a number, got {value!r}.")
        if kind is int and (isinstance(value, bool) or not isinstance(value, int)):
            raise TypeError(f"`{name}` of {owner} must be an integer, got {value!r}.")
        if kind in (str, bool) and not isinstance(value, kind):
            raise TypeError(f"`{name}` of {owner} must be a {kind.__name__}, got {value!r}.")
