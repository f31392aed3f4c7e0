"""What every message of NGAP, NAS and PFCP consists of, as nodes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from gentwin.signaling import nas, ngap, pfcp
from gentwin.signaling.dialogue import leaves
from gentwin.signaling.dialogue.contents import examples_of
from gentwin.signaling.dialogue.describe import Describer, number
from gentwin.signaling.dialogue.from_ngap import NgapDescriber
from gentwin.signaling.dialogue.nodes import MANY, Alternatives, Carried, Condition, Group, Member, Node
from gentwin.signaling.dialogue.slots import slot_of
from gentwin.signaling.messages import NAS, NGAP, PFCP
from gentwin.signaling.nas.elements import Carried as CarriedType
from gentwin.signaling.nas.elements import Depending, MessageType
from gentwin.signaling.nas.elements import Element as NasElement

PROTOCOLS = (NGAP, NAS, PFCP)
PRIVATE = "PrivateMessage"
PLAIN = tuple(name for name, message in nas.MESSAGES.items() if message.number is not None)
_NAS, _PFCP = Describer(NAS), Describer(PFCP)


@cache
def message_names(protocol: str) -> tuple[str, ...]:
    """Returns the names of all messages of a protocol.

    Raises:
        ImportError: If it is NGAP and pycrate is not installed.
    """
    if protocol == NGAP:
        return tuple(name for name in ngap.message_names() if name != PRIVATE)
    return tuple(nas.MESSAGES if protocol == NAS else pfcp.MESSAGES)


@cache
def message_group(protocol: str, name: str) -> Group:
    """Returns the fields of a message.

    Args:
        protocol: `ngap`, `nas` or `pfcp`.
        name: Of a message as in `message_names`.

    Raises:
        ImportError: If it is NGAP and pycrate is not installed.
    """
    return {NGAP: _ngap_message, NAS: _nas_message, PFCP: _pfcp_message}[protocol](name)


def walk(protocols: tuple[str, ...] = PROTOCOLS) -> Iterator[tuple[str, Node, str | None]]:
    """Yields name, node and slot of every field there may be, once each."""
    waiting: list[Node] = [message_group(protocol, name) for protocol in protocols for name in message_names(protocol)]
    seen: set[tuple[str, int, str | None]] = set()
    groups: set[int] = set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, Alternatives):
            waiting += node.nodes
        if not isinstance(node, Group) or id(node) in groups:
            continue
        groups.add(id(node))
        for member in node.members:
            waiting.append(member.node)
            key = member.name, id(member.node), member.slot
            if key not in seen:
                seen.add(key)
                yield member.name, member.node, member.slot


# ---------------------------------------------------------------- NGAP


@cache
def _ngap() -> NgapDescriber:
    return NgapDescriber(carried(None))


def _ngap_message(name: str) -> Group:
    return Group(lambda: _ngap().node(ngap.schema(name).content).members)


# ---------------------------------------------------------------- NAS


@cache
def carried(discriminator: int | None) -> Carried:
    """Returns the node of a NAS message inside another: of a family, or any that NGAP carries."""
    if discriminator is None:
        known = tuple(n for n, m in nas.MESSAGES.items() if m.discriminator == nas.codec.MOBILITY)
    else:
        known = tuple(n for n in PLAIN if nas.MESSAGES[n].discriminator == discriminator)
    return Carried(NAS, known, lambda name: message_group(NAS, name))


def _nas_message(name: str) -> Group:
    return Group(lambda: _nas_members(nas.MESSAGES[name]))


def _nas_members(message: MessageType) -> Iterator[Member]:
    for element in message.elements:
        low = 1 if element.identifier is None else 0
        slot = slot_of(NAS, message.name, element.name)
        if isinstance(element.kind, Depending):
            yield from _depending(element, element.kind, low)
        elif isinstance(element.kind, CarriedType):
            yield Member(element.name, carried(element.kind.discriminator), low=low, slot=slot)
        else:
            node, examples = _NAS.node(element.kind, element.name), examples_of(NAS, message.name, element.name)
            yield Member(element.name, node, low=low, slot=slot, examples=examples)


def _depending(element: NasElement, kind: Depending, low: int) -> Iterator[Member]:
    """Yields the field of a value whose type another field says, once for each type."""
    for value, case in kind.cases.items():
        node = carried(case.discriminator) if isinstance(case, CarriedType) else _NAS.node(case, element.name)
        said = Condition(frozenset({kind.element}), lambda known, value=value: known.get(kind.element) == value)
        yield Member(element.name, node, low=low, condition=said)
    other = Condition(frozenset({kind.element}), lambda known: known.get(kind.element) not in kind.cases)
    examples = examples_of(NAS, "", element.name)
    yield Member(element.name, leaves.Opaque(range(1, MANY)), low=low, condition=other, examples=examples)


# ---------------------------------------------------------------- PFCP


def _pfcp_message(name: str) -> Group:
    message = pfcp.MESSAGES[name]
    return Group(lambda: [*_pfcp_header(message.of_session), *_pfcp_members(message.members)])


def _pfcp_header(of_session: bool) -> Iterator[Member]:
    if of_session:
        yield Member("seid", leaves.Number(0, (1 << 64) - 1), slot=slot_of(PFCP, "header", "seid"))
    slot = slot_of(PFCP, "header", "sequence_number")
    yield Member("sequence_number", leaves.Number(0, (1 << 24) - 1), slot=slot)
    yield Member("message_priority", number(0, 15), low=0)


def _pfcp_members(members: tuple[pfcp.Member, ...]) -> Iterator[Member]:
    for member in members:
        element = pfcp.ELEMENTS[member.name]
        node = _pfcp_group(member.name) if element.members is not None else _PFCP.node(element.kind, member.name)
        low, high = int(member.mandatory), MANY if member.repeatable else 1
        slot, examples = slot_of(PFCP, "element", member.name), examples_of(PFCP, "element", member.name)
        yield Member(member.name, node, low, high, slot=slot, examples=examples)


@cache
def _pfcp_group(name: str) -> Group:
    return Group(lambda: _pfcp_members(pfcp.ELEMENTS[name].members or ()))
