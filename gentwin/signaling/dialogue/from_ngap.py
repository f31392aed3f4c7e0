"""Nodes for the types that NGAP is described with."""

from __future__ import annotations

from typing import Any

from gentwin.signaling import ngap
from gentwin.signaling.dialogue import leaves
from gentwin.signaling.dialogue.contents import examples_of
from gentwin.signaling.dialogue.describe import PRINTABLE, number, octets, sizes
from gentwin.signaling.dialogue.nodes import MANY, Alternatives, Carried, Choice, Group, Member, Node
from gentwin.signaling.dialogue.slots import slot_of
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import NGAP
from gentwin.signaling.ngap.leaves import CHARSETS

MOST_BIT_SIZES = 64  # of a bit string; longer ones are written raw


class NgapDescriber:
    """Makes nodes of the types of NGAP, of each type only once.

    Args:
        nas: Node of a NAS message.
    """

    def __init__(self, nas: Carried) -> None:
        self.nas = nas
        self._known: dict[int, tuple[Any, Node | None]] = {}

    def node(self, kind: Any) -> Node | None:
        """Returns the node of a type; None if it has no values, as elements without any."""
        if id(kind) not in self._known:
            self._known[id(kind)] = kind, self._make(kind)
        return self._known[id(kind)][1]

    def _make(self, kind: Any) -> Node | None:
        match kind:
            case ngap.Null():
                return Choice((Fields(),))
            case ngap.Integer():
                return _integer(kind)
            case ngap.Enumerated():
                return Choice(kind.values + kind.extension_values)
            case ngap.BitString():
                return _bits(kind)
            case ngap.OctetString():
                return self._octets(kind)
            case ngap.Text():
                return leaves.Letters(sizes(kind.lower, kind.upper or MANY), CHARSETS.get(kind.charset, PRINTABLE))
            case ngap.Sequence():
                return self._sequence(kind)
            case ngap.SequenceOf():
                item = self.node(kind.item)
                high = MANY if kind.upper is None else kind.upper
                return None if item is None else Group([Member("item", item, kind.lower, high)])
            case ngap.Choice():
                return self._one_of(kind.alternatives)
            case ngap.Elements():
                return self._one_of(kind.elements) if kind.form == "single" else self._elements(kind)
        raise TypeError(kind)

    def _octets(self, kind: ngap.OctetString) -> Node | None:
        if kind.contains is not None:
            return self.node(kind.contains)
        return leaves.Network() if kind.notation else octets(kind.lower, MANY if kind.upper is None else kind.upper)

    def _member(self, name: str, kind: Any, low: int) -> Member | None:
        node: Node | None = self.nas if name in ngap.NAS_FIELDS else self.node(kind)
        if node is None:
            return None
        return Member(name, node, low, slot=slot_of(NGAP, "", name), examples=examples_of(NGAP, "", name))

    def _sequence(self, kind: ngap.Sequence) -> Node | None:
        members = [self._member(part.name, part.kind, int(not part.optional)) for part in kind.components]
        if any(member is None and not part.optional for member, part in zip(members, kind.components, strict=True)):
            return None
        return Group([member for member in members if member])

    def _one_of(self, parts: Any) -> Node | None:
        members = [member for part in parts if (member := self._member(part.name, part.kind, 1))]
        return Group(members, free=True, least=1, most=1) if members else None

    def _elements(self, kind: ngap.Elements) -> Node | None:
        members = [self._member(e.name, e.kind, int(e.presence == "mandatory")) for e in kind.elements]
        if any(member is None and e.presence == "mandatory" for member, e in zip(members, kind.elements, strict=True)):
            return None
        found = [member for member in members if member]
        return Group(found, least=kind.lower) if found or not kind.lower else None


def _integer(kind: ngap.Integer) -> Node:
    if len(kind.ranges) == 1:
        return number(kind.lower, kind.upper)
    return Choice(tuple(value for low, high in kind.ranges for value in range(low, high + 1)))


def _bits(kind: ngap.BitString) -> Node:
    if kind.notation:
        return leaves.IpAddress(4, 6)
    found = tuple(leaves.BitField(bits) for bits in range(kind.lower, (kind.upper or MANY) + 1)[:MOST_BIT_SIZES])
    return Alternatives(found[::-1]) if len(found) > 1 else found[0]
