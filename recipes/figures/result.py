"""What every figure returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Result:
    """A measured figure.

    Args:
        figure: The measured number or numbers.
        goal: What was aimed at, in words.
        met: Whether the goal was reached.
        baseline: What it is compared with, measured in the same run.
        ratio: Figure over baseline (or the reverse, whichever is better when larger).
    """

    figure: Any
    goal: str
    met: bool
    baseline: Any
    ratio: Any


def rounded(value: Any, digits: int = 4) -> Any:
    """Returns `value` with all floats rounded to `digits` significant digits, as plain Python numbers."""
    if isinstance(value, dict):
        return {key: rounded(entry, digits) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(entry, digits) for entry in value]
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if hasattr(value, "tolist"):
        return rounded(value.tolist(), digits)
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value
