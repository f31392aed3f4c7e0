"""What may stand where in a message: the nodes that grammar, tokens and slots are made from.

A node says which values there may be and in which order; it says nothing of bits. It is narrower than a codec: opaque
bytes in place of a value, elements that are unknown and unusual orders are left to the `raw` escape of the tokens.

| node | value |
|---|---|
| [`Choice`][gentwin.signaling.dialogue.nodes.Choice] | one of a few values |
| [`Coded`][gentwin.signaling.dialogue.leaves.Coded] | what a few octets can say: numbers, texts, addresses |
| [`Group`][gentwin.signaling.dialogue.nodes.Group] | fields: in order, or any of some; lists too |
| [`Alternatives`][gentwin.signaling.dialogue.nodes.Alternatives] | one of several nodes |
| [`Carried`][gentwin.signaling.dialogue.nodes.Carried] | a message inside |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gentwin.signaling.dialogue.leaves import Coded
from gentwin.signaling.fields import Value

MANY = 65535


@dataclass(frozen=True, eq=False)
class Choice:
    """One of a few values.

    Args:
        values: All of them, or those that have names.
        other: What values without a name are; None if there are none.
    """

    values: tuple[Value, ...]
    other: Coded | None = None

    @cached_property
    def places(self) -> dict[Value, int]:
        """Place of each value among `values`."""
        return {value: place for place, value in enumerate(self.values)}


@dataclass(frozen=True, eq=False)
class Condition:
    """Says whether a member is there, by the fields before it.

    Args:
        fields: Names of the fields that it depends on.
        holds: Takes the known ones among them by name.
    """

    fields: frozenset[str]
    holds: Callable[[Mapping[str, Any]], bool]

    def __and__(self, other: Condition | None) -> Condition:
        if other is None:
            return self
        return Condition(self.fields | other.fields, lambda known: self.holds(known) and other.holds(known))


@dataclass(frozen=True, eq=False)
class Examples:
    """Octets that are well-formed in a field of which no node says what is in it.

    Args:
        octets: Those that are whatever other fields say; none if any octets are.
        said_by: Name of a field before it that says what is in it.
        by_value: Those that are for some of its values.
    """

    octets: tuple[bytes, ...] = ()
    said_by: str | None = None
    by_value: Mapping[Any, tuple[bytes, ...]] = field(default_factory=dict)

    def where(self, known: Mapping[str, Any]) -> tuple[bytes, ...]:
        """Returns those that are well-formed after some fields; none if any octets are."""
        return self.by_value.get(known.get(self.said_by), self.octets)


@dataclass(frozen=True, eq=False)
class Member:
    """A field of a group.

    Args:
        name: Of the field.
        node: What its value is.
        low: How often it is there at least.
        high: How often at most.
        condition: When it may be there, and must if `low` is not 0; always if None.
        chained: Whether it can only be there if the chained ones before it are.
        slot: Type of identifier or computed value that it holds, if any.
        examples: Of octets that are well-formed, if it holds opaque ones that have to be.
    """

    name: str
    node: Node = field(repr=False)
    low: int = 1
    high: int = 1
    condition: Condition | None = None
    chained: bool = False
    slot: str | None = None
    examples: Examples | None = None


class Group:
    """Fields.

    Args:
        members: Those that there may be, or a function that returns them, for groups that hold themselves.
        free: Whether they come in any order, each any number of times; else in the order given.
        least: How many fields there are at least.
        most: How many at most.
    """

    def __init__(
        self,
        members: Iterable[Member] | Callable[[], Iterable[Member]],
        free: bool = False,
        least: int = 0,
        most: int = MANY,
    ) -> None:
        self._members = members
        self.free, self.least, self.most = free, least, most

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """The members."""
        return tuple(self._members() if callable(self._members) else self._members)

    @cached_property
    def watched(self) -> frozenset[str]:
        """Names of the fields that conditions and examples of members depend on."""
        conditions = (member.condition.fields for member in self.members if member.condition)
        examples = {member.examples.said_by for member in self.members if member.examples and member.examples.said_by}
        return frozenset().union(*conditions, examples)

    @cached_property
    def places(self) -> dict[str, tuple[int, ...]]:
        """Places of the members of each name."""
        places: dict[str, list[int]] = {}
        for place, member in enumerate(self.members):
            places.setdefault(member.name, []).append(place)
        return {name: tuple(found) for name, found in places.items()}

    @cached_property
    def named(self) -> dict[str, tuple[Member, ...]]:
        """Members of each name."""
        return {name: tuple(self.members[place] for place in places) for name, places in self.places.items()}


@dataclass(frozen=True, eq=False)
class Alternatives:
    """One of several nodes that can be told apart by the value, the usual one first."""

    nodes: tuple[Choice | Coded | Group, ...]


@dataclass(frozen=True, eq=False)
class Carried:
    """A message inside.

    Args:
        protocol: Of the message.
        names: Of the messages there may be.
        find: Returns the fields of a message by its name.
    """

    protocol: str
    names: tuple[str, ...]
    find: Callable[[str], Group] = field(repr=False)


Node = Choice | Coded | Group | Alternatives | Carried
