"""What the numbers of a sliced network mean: fields with units and ranges, and the schema of its transitions.

A [`TransitionSchema`][gentwin.schema.TransitionSchema] travels with the data: networks declare it, recorders write it
into Parquet, twins keep it in their configuration and environments derive their spaces from it. This module is the
vocabulary all layers share, so it imports nothing but the standard library.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

SCHEMA_VERSION = 1
SCALES = ("linear", "log1p")


@dataclass(frozen=True)
class Field:
    """One measured or controlled quantity of one slice.

    Args:
        name: Identifier used as the column name, such as `queued_bits`.
        unit: Physical unit, such as `bit`, `ms`, `Hz`, or `1` for a plain number.
        low: Smallest possible value.
        high: Largest possible value, `inf` if there is none.
        scale: `log1p` for heavy-tailed quantities, which are then modelled as `log(1 + value)`; otherwise `linear`.
        atoms: Values taken with positive probability (a share that is often exactly 0 or 1); only `low` and `high` can
            be atoms.
        categories: Number of categories if the field is a class index `0 … categories - 1`, else 0.
        description: One line for manuals and data cards.

    Raises:
        ValueError: If the range is empty, the scale is unknown, or an atom is not an end of the range.
    """

    name: str
    unit: str = "1"
    low: float = 0.0
    high: float = math.inf
    scale: str = "linear"
    atoms: tuple[float, ...] = ()
    categories: int = 0
    description: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "atoms", tuple(float(value) for value in self.atoms))
        object.__setattr__(self, "low", float(self.low))
        object.__setattr__(self, "high", float(self.high))
        if not self.name.isidentifier():
            raise ValueError(
                f"`name` must be a Python identifier, got {self.name!r}; use letters, digits and underscores."
            )
        if not self.low < self.high:
            raise ValueError(f"`low` of field `{self.name}` must be below `high`, got {self.low} and {self.high}.")
        if self.scale not in SCALES:
            raise ValueError(f"`scale` of field `{self.name}` must be one of {SCALES}, got {self.scale!r}.")
        if self.scale == "log1p" and self.low < 0:
            raise ValueError(f"`low` of log1p field `{self.name}` must be at least 0, got {self.low}.")
        for value in self.atoms:
            if value not in (self.low, self.high):
                raise ValueError(
                    f"`atoms` of field `{self.name}` must be ends of its range [{self.low}, {self.high}], got {value}."
                )
        if self.categories < 0:
            raise ValueError(f"`categories` of field `{self.name}` must be at least 0, got {self.categories}.")

    def to_dict(self) -> dict[str, Any]:
        """Returns a JSON-able dictionary; an infinite end of the range becomes `None`."""
        record = dataclasses.asdict(self)
        record["atoms"] = list(self.atoms)
        record["low"] = None if math.isinf(self.low) else self.low
        record["high"] = None if math.isinf(self.high) else self.high
        return record

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Field:
        """Inverse of [`to_dict`][gentwin.schema.Field.to_dict]; refuses unknown keys."""
        refuse_unknown_keys(record, [field.name for field in dataclasses.fields(cls)], "field")
        values = dict(record)
        if values.get("low", 0.0) is None:
            values["low"] = -math.inf
        if values.get("high", 0.0) is None:
            values["high"] = math.inf
        return cls(**values)


@dataclass(frozen=True)
class TransitionSchema:
    """Names, units and ranges of everything in a transition of a sliced network.

    A transition is: the state at a decision, the action, what the network then delivered in the decision window
    (outcome), and the state at the next decision. All fields are per slice.

    Args:
        slices: Slice names in order; their position is the slice index of every array.
        state: Fields observed at a decision. They are both inputs and, one step later, targets of a twin.
        action: Fields the agent controls.
        context: Fields known at a decision that nobody controls or predicts, such as the number of attached users.
        outcome: Fields measured over the window after the decision; targets only.
        step_ms: Duration of a decision window in milliseconds.
        name: What produced the data, such as `dynamic`.
    """

    slices: tuple[str, ...]
    state: tuple[Field, ...]
    action: tuple[Field, ...]
    context: tuple[Field, ...] = ()
    outcome: tuple[Field, ...] = ()
    step_ms: float = 1000.0
    name: str = ""

    def __post_init__(self) -> None:
        for attribute in ("slices", "state", "action", "context", "outcome"):
            object.__setattr__(self, attribute, tuple(getattr(self, attribute)))
        for attribute in ("slices", "state", "action"):
            if not getattr(self, attribute):
                raise ValueError(f"`{attribute}` of a transition schema must not be empty.")
        names = [field.name for field in self.fields]
        for group, members in (("slices", list(self.slices)), ("fields", names)):
            repeated = sorted({member for member in members if members.count(member) > 1})
            if repeated:
                raise ValueError(f"`{group}` must be unique, got {repeated} more than once.")
        if not self.step_ms > 0:
            raise ValueError(f"`step_ms` must be above 0, got {self.step_ms}.")

    @property
    def fields(self) -> tuple[Field, ...]:
        """All fields: state, action, context, outcome."""
        return self.state + self.action + self.context + self.outcome

    @property
    def targets(self) -> tuple[Field, ...]:
        """What a twin predicts: the fields of the next state, then those of the outcome."""
        return self.state + self.outcome

    def field(self, name: str) -> Field:
        """Returns the field called `name`; raises `KeyError` naming the nearest one otherwise."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(f"no field `{name}`{did_you_mean(name, [field.name for field in self.fields])}")

    def to_dict(self) -> dict[str, Any]:
        """Returns a JSON-able dictionary."""
        return {
            "version": SCHEMA_VERSION,
            "name": self.name,
            "step_ms": self.step_ms,
            "slices": list(self.slices),
            **{
                role: [field.to_dict() for field in getattr(self, role)]
                for role in ("state", "action", "context", "outcome")
            },
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> TransitionSchema:
        """Inverse of [`to_dict`][gentwin.schema.TransitionSchema.to_dict]; refuses unknown keys and versions."""
        roles = ("state", "action", "context", "outcome")
        refuse_unknown_keys(record, ["version", "name", "step_ms", "slices", *roles], "transition schema")
        version = record.get("version", SCHEMA_VERSION)
        if version != SCHEMA_VERSION:
            raise ValueError(f"`version` of the transition schema must be {SCHEMA_VERSION}, got {version!r}.")
        return cls(
            slices=tuple(record["slices"]),
            step_ms=record.get("step_ms", 1000.0),
            name=record.get("name", ""),
            **{role: tuple(Field.from_dict(field) for field in record.get(role, ())) for role in roles},
        )


def did_you_mean(name: str, known: Iterable[str], otherwise: str = ".") -> str:
    """Returns the end of a sentence about an unknown name: `"; did you mean …?"` with the known name nearest to it.

    Args:
        name: That is unknown.
        known: Names that are not.
        otherwise: End of the sentence if none of them is near.
    """
    nearest = difflib.get_close_matches(name, [*known], n=1, cutoff=0.5)
    return f"; did you mean `{nearest[0]}`?" if nearest else otherwise


def refuse_unknown_keys(record: dict[str, Any], known: list[str], what: str) -> None:
    """Raises `ValueError` naming the first key of `record` that is not in `known`, with the nearest known key."""
    for key in record:
        if key not in known:
            raise ValueError(f"`{key}` is not a key of a {what}{did_you_mean(str(key), known)}")
