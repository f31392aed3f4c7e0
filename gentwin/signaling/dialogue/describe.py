"""Nodes for the value types that NAS and PFCP are described with."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from gentwin.signaling import values as v
from gentwin.signaling.dialogue import leaves
from gentwin.signaling.dialogue.contents import examples_of
from gentwin.signaling.dialogue.nodes import Alternatives, Choice, Condition, Group, Member, Node
from gentwin.signaling.dialogue.slots import slot_of
from gentwin.signaling.pfcp import kinds

FUSED_NAMES = 64  # values with names that get a token each
FUSED_NUMBERS = 16  # numbers, or combinations of flags
FIRST = 10  # numbers of those that are more, as most are small
PRINTABLE = frozenset(map(chr, range(0x20, 0x7F)))
NAMED_ONLY = frozenset({("extended_rejected_nssai", "type")})
"""Fields, with their elements, whose values without a name are reserved and change what comes after them."""
TOGETHER = {"uia": "uea"}
"""Fields that are there if and only if another one is, where a codec takes the one without the other."""
LEFT_OUT = {("operation", "delete"): frozenset({"precedence", "segregation", "qfi"})}
"""Fields that do not go with a value of another one, where a codec takes them."""
LABELS = frozenset(map(chr, range(0x21, 0x7F)))


def sizes(low: int, high: int) -> range:
    """Returns the numbers of octets from `low` to `high`."""
    return range(low, high + 1)


def number(low: int, high: int) -> Node:
    """Returns the node of a number; the lowest ones have tokens of their own."""
    if high - low < FUSED_NUMBERS:
        return Choice(tuple(range(low, high + 1)))
    first = max(low, 0)
    return Choice(tuple(range(first, first + FIRST)), leaves.Number(low, high, range(first, first + FIRST)))


def octets(low: int, high: int) -> Node:
    """Returns the node of opaque octets; of none, a choice without choice."""
    return leaves.Opaque(sizes(low, high)) if high else Choice((b"",))


class Describer:
    """Makes nodes of value types, of each type only once where slots do not tell them apart.

    Args:
        protocol: That the types are of.
    """

    def __init__(self, protocol: str) -> None:
        self.protocol = protocol
        self._known: dict[tuple[str, int], tuple[v.Kind, Node]] = {}

    def node(self, kind: Any, scope: str) -> Node:
        """Returns the node of a value type in an element."""
        if (scope, id(kind)) not in self._known:
            make = next(MAKERS[base] for base in type(kind).__mro__ if base in MAKERS)
            self._known[scope, id(kind)] = kind, make(self, kind, scope)
        return self._known[scope, id(kind)][1]

    def member(self, name: str, kind: Any, scope: str, **rest: Any) -> Member:
        """Returns a field of a value type in an element."""
        slot, examples = slot_of(self.protocol, scope, name), examples_of(self.protocol, scope, name)
        node = self.node(kind, scope)
        if (scope, name) in NAMED_ONLY:
            node = Choice(tuple(value for value in node.values if isinstance(value, str)))
        return Member(name, node, slot=slot, examples=examples, **rest)

    def parts(self, kind: Any, scope: str) -> list[Member]:
        """Returns the fields of a structure, or of a choice between structures."""
        kind = unwrapped(kind)
        if isinstance(kind, v.Switch):
            return list(self._cases(kind, scope))
        if isinstance(kind, v.BySize):
            return list(self._shapes(kind, scope))
        found: list[Member] = []
        for part in kind.parts:
            if not isinstance(part.kind, v.Hidden):
                found += self._part(kind, part, scope)
        return found

    def _part(self, struct: v.Struct, part: v.Part, scope: str) -> list[Member]:
        optional = isinstance(part.condition, v.IfMore)
        condition = None if optional or part.condition is None else said_by(part.condition)
        if part.name is None:
            first, *rest = self.parts(part.kind, scope)
            if optional:
                after = present(first.name)
                return [replace(first, low=0, chained=True), *(replace(m, condition=after & m.condition) for m in rest)]
            return [first, *rest]
        if part.name in TOGETHER:
            return [self.member(part.name, part.kind, scope, condition=present(TOGETHER[part.name]))]
        count = struct.announced.get(part.name)
        if count is None or not any(isinstance(p.kind, v.Count) and p.kind.of == part.name for p in struct.parts):
            low = 0 if optional else 1
            return [self.member(part.name, part.kind, scope, low=low, condition=condition, chained=optional)]
        return [self._counted(struct, part, condition, scope)]

    def _counted(self, struct: v.Struct, part: v.Part, condition: Condition | None, scope: str) -> Member:
        """Returns the field that a count says the number of items of."""
        count = next(p.kind for p in struct.parts if isinstance(p.kind, v.Count) and p.kind.of == part.name)
        rest = {"low": 0 if count.minus == 0 else 1, "condition": condition}
        if not part.kind.counted:
            return self.member(part.name, part.kind, scope, **rest)
        group = self.items(part.kind, scope, max(1, count.minus), count.minus + (1 << count.bits) - 1)
        return Member(part.name, group, slot=slot_of(self.protocol, scope, part.name), **rest)

    def _cases(self, kind: v.Switch, scope: str) -> Iterator[Member]:
        yield Member(kind.name, Choice(tuple(kind.cases)), slot=slot_of(self.protocol, scope, kind.name))
        for tag, case in kind.cases.items():
            chosen = equal(kind.name, tag)
            for member in self.parts(case, scope):
                if member.name not in LEFT_OUT.get((kind.name, tag), ()):
                    yield replace(member, condition=chosen & member.condition)

    def _shapes(self, kind: v.BySize, scope: str) -> Iterator[Member]:
        """Yields the fields of structures that their names tell apart, each where one of them goes on with it."""
        shapes = [tuple(case.kinds) for case in kind.cases.values()]
        whole = max(kind.cases.values(), key=lambda case: len(case.kinds))
        order = [*whole.kinds]
        for place, name in enumerate(order):
            always = all(name in shape for shape in shapes)
            condition = Condition(frozenset(order[:place]), one_of(shapes, order[:place], name))
            low = 1 if always else 0
            yield self.member(name, whole.kinds[name], scope, low=low, condition=None if always else condition)

    def items(self, kind: Any, scope: str, low: int, high: int) -> Group:
        """Returns the node of a list with a number of items in both its own and the given limits."""
        low, high = max(low, kind.low), min(high, kind.high)
        if isinstance(kind, v.ListOf):
            return Group([self.member(kind.name, kind.item, scope, low=low, high=high)])
        members = [self.member(entry.name, entry.kind, scope) for entry in kind.entries.values()]
        return Group(members, free=True, least=low, most=high)


def unwrapped(kind: Any) -> Any:
    """Returns a value type without lengths and spare bits around it."""
    while isinstance(kind, v.Sized | v.Framed | v.Lossless | kinds.Leaving):
        kind = kind.kind
    return kind


def equal(name: str, value: Any) -> Condition:
    """Returns the condition that a field has a value."""
    return Condition(frozenset({name}), lambda known: known.get(name) == value)


def present(name: str) -> Condition:
    """Returns the condition that a field is there."""
    return Condition(frozenset({name}), lambda known: name in known)


def one_of(shapes: list[tuple[str, ...]], before: list[str], name: str) -> Any:
    """Returns what says whether a field may come after some others, by the names of which there may be together."""

    def holds(known: Mapping[str, Any]) -> bool:
        present = [other for other in before if other in known]
        return any(name in shape and [o for o in before if o in shape] == present for shape in shapes)

    return holds


def said_by(condition: Any) -> Condition:
    """Returns the condition of a part of a structure."""
    return Condition(frozenset({condition.field}), lambda known: condition.holds(known, 1))


def _enum(_: Describer, kind: v.Enum, scope: str) -> Node:
    total = 1 << kind.bits
    if kind.closed or total <= FUSED_NUMBERS:
        numbers = sorted(kind.names) if kind.closed else range(total)
        return Choice(tuple(kind.names.get(value, value) for value in numbers))
    if len(kind.names) > FUSED_NAMES:
        return leaves.Named(0, total - 1, kind.names)
    return Choice(tuple(kind.names.values()), leaves.Number(0, total - 1, kind.names))


def _flags(_: Describer, kind: v.Flags, scope: str) -> Node:
    some = leaves.FlagNames(kind.places, int(isinstance(kind, kinds.SomeFlags)))
    if 1 << len(kind.places) > FUSED_NUMBERS:
        return some
    found = (some.unpack(n.to_bytes(some.width, "big")) for n in range(1 << 8 * some.width if some.width == 1 else 1))
    return Choice(tuple(value for value in dict.fromkeys(found) if value or not some.least))


def _text(_: Describer, kind: v.Text, scope: str) -> Node:
    return leaves.Letters(sizes(kind.low, kind.high), PRINTABLE if kind.alphabet is None else kind.alphabet)


def _one_of(describer: Describer, kind: kinds.OneOf, scope: str) -> Node:
    if all(type(one) is v.UInt for one in kind.kinds):
        return number(min(one.low for one in kind.kinds), max(one.high for one in kind.kinds))
    if all(isinstance(one, v.Address) for one in kind.kinds):
        return leaves.IpAddress(*(one.version for one in kind.kinds))
    chosen, names = [], frozenset()
    for one in kind.kinds:
        if not isinstance(one, v.Struct):
            chosen.append(describer.node(one, scope))
        elif not chosen or kinds.always_in(one) - names:
            chosen.append(describer.node(one, scope))
            names |= one.names
    return Alternatives(tuple(chosen)) if len(chosen) > 1 else chosen[0]


MAKERS: dict[type, Any] = {
    v.UInt: lambda _, kind, scope: number(kind.low, kind.high),
    kinds.Signed: lambda _, kind, scope: number(kind.low, kind.high),
    v.Enum: _enum,
    v.Flags: _flags,
    v.Octets: lambda _, kind, scope: octets(kind.low, kind.high),
    v.Text: _text,
    v.Digits: lambda _, kind, scope: leaves.Letters(sizes(kind.low, kind.high), string.digits),
    v.Labels: lambda _, kind, scope: leaves.Letters(sizes(max(1, kind.low - 1), kind.high - 1), LABELS, labels=True),
    v.Address: lambda _, kind, scope: leaves.IpAddress(kind.version),
    kinds.Mac: lambda _, kind, scope: leaves.EthernetAddress(),
    v.Struct: lambda self, kind, scope: Group(self.parts(kind, scope)),
    v.Switch: lambda self, kind, scope: Group(self.parts(kind, scope)),
    v.BySize: lambda self, kind, scope: Group(self.parts(kind, scope)),
    v.ListOf: lambda self, kind, scope: self.items(kind, scope, 0, kind.high),
    v.Tagged: lambda self, kind, scope: self.items(kind, scope, 0, kind.high),
    kinds.OneOf: _one_of,
    **dict.fromkeys(
        (v.Sized, v.Framed, v.Lossless, kinds.Leaving), lambda self, kind, scope: self.node(kind.kind, scope)
    ),
}
