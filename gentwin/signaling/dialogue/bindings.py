"""Identifiers of a context: messages without them, and with them again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from gentwin.signaling.dialogue.leaves import Number
from gentwin.signaling.dialogue.nodes import Alternatives, Carried, Choice, Group, Member, Node
from gentwin.signaling.dialogue.schema import message_group, message_names
from gentwin.signaling.dialogue.slots import FARTHEST, NEW, REF, Slot
from gentwin.signaling.fields import Fields, Value
from gentwin.signaling.messages import NGAP, PFCP, Message

ESTABLISHMENT = "SessionEstablishmentRequest"
TUNNELS, SESSIONS = frozenset({"TEID", "NODE_IP"}), frozenset({"PDU_SESSION_ID", "PTI"})
SEQUENCE = "PFCP_SEQ"
AREA, ENDPOINT = frozenset({"TAC"}), frozenset({"SEID"})
GIVEN = {
    (PFCP, ESTABLISHMENT): TUNNELS | ENDPOINT,
    (PFCP, "SessionModificationRequest"): ENDPOINT,
    (PFCP, "SessionDeletionRequest"): ENDPOINT,
    (PFCP, "SessionReportResponse"): ENDPOINT,
    (NGAP, "InitialContextSetupRequest"): TUNNELS | SESSIONS | AREA,
    (NGAP, "DownlinkNASTransport"): SESSIONS | AREA,
    (NGAP, "PDUSessionResourceSetupRequest"): TUNNELS | SESSIONS,
    (NGAP, "PDUSessionResourceModifyRequest"): SESSIONS,
    (NGAP, "PDUSessionResourceReleaseCommand"): SESSIONS,
    (NGAP, "HandoverRequest"): TUNNELS | SESSIONS,
    (NGAP, "HandoverCommand"): SESSIONS,
    (NGAP, "PathSwitchRequestAcknowledge"): TUNNELS | SESSIONS,
}
"""Types of which a message of a core gives values of its own, that it has from its configuration or its sessions."""


class SlotError(ValueError):
    """A slot cannot be filled: nothing it refers to, or values are missing or left over."""


class Bindings:
    """Values that a context has used, of each type the most recent first; the last eight of them.

    Args:
        state: What `state` of another one was.
    """

    def __init__(self, state: Mapping[str, Sequence[Value]] | None = None) -> None:
        self._values: dict[str, list[Value]] = {name: list(values) for name, values in (state or {}).items()}

    @property
    def state(self) -> dict[str, list[Value]]:
        """All values by type, for a checkpoint; numbers, texts and bytes."""
        return {name: list(values) for name, values in self._values.items()}

    @property
    def counts(self) -> dict[str, int]:
        """How many values of each type can be referred to."""
        return {name: len(values) for name, values in self._values.items()}

    def use(self, name: str, value: Value) -> Slot:
        """Returns what stands for an identifier, which is the most recent one of its type from now on.

        Args:
            name: Type of the identifier.
            value: The identifier.
        """
        values = self._values.setdefault(name, [])
        slot = Slot(REF, name, values.index(value) + 1) if value in values else Slot(NEW, name)
        if slot.number:
            del values[slot.number - 1]
        values.insert(0, value)
        del values[FARTHEST:]
        return slot

    def value_of(self, slot: Slot) -> Value:
        """Returns the identifier that a slot refers to.

        Raises:
            SlotError: If there is none.
        """
        values = self._values.get(slot.name, [])
        if not 0 < slot.number <= len(values):
            raise SlotError(f"{slot} refers to none of {len(values)} values")
        return values[slot.number - 1]


class Identifiers(Bindings):
    """Bindings that can be copied, in which numbers that are equal by chance are different identifiers.

    Both ends of N4 and every base station count tunnels and endpoints of their own, often from 1. What a core knows
    without looking back, as ends of tunnels, areas of a registration, and which session it speaks of, is always new,
    whoever had it before. So are sequence numbers of N4: a response has that of what it answers. Zero is no identifier:
    it stands for a session that has no endpoint yet, and for a transaction of the network.
    """

    _giving: frozenset[str] = frozenset()

    def about(self, message: Message) -> Identifiers:
        """Returns these bindings, for the identifiers of a message from now on."""
        self._giving = GIVEN.get((message.protocol, message.name), frozenset())
        return self

    def copy(self) -> Identifiers:
        """Returns bindings that know the same and go their own way."""
        other = Identifiers(self._values)
        other._giving = self._giving
        return other

    def use(self, name: str, value: Value) -> Slot:
        """Returns what stands for an identifier, which is the most recent one of its type from now on."""
        if value == 0 and name in ("SEID", "PTI"):
            return Slot(NEW, name)
        found = super().use(name, value)
        return Slot(NEW, name) if name in self._giving or name == SEQUENCE else found


def canonicalise(message: Message, bindings: Bindings) -> tuple[Message, list[Value]]:
    """Returns a message with slots in place of identifiers and computed values, and what they stand for.

    Args:
        message: Any that a codec decoded.
        bindings: Of its context; they know the identifiers in it afterwards.

    Returns:
        The message, and the values of its slots in order, without those that are referred to.
    """
    values: list[Value] = []

    def replace(slot: str, node: Node, value: Value) -> Value:
        kind, _, name = slot.rpartition(":")
        found = Slot(kind, name) if kind else bindings.use(name, _bound(name, value))
        if found.kind != REF:
            values.append(value)
        return found

    return _mapped(message, replace), values


def restore(message: Message, values: Sequence[Value], bindings: Bindings) -> Message:
    """Returns a message with values in its slots: what `canonicalise` took away.

    Args:
        message: With slots.
        values: Of all slots that are no references, in order.
        bindings: Of the context, as they were before the message; they know the identifiers in it afterwards.

    Raises:
        SlotError: If a slot refers to nothing, or there are fewer or more values than slots.
    """
    left: Iterator[Value] = iter(values)

    def replace(slot: str, node: Node, value: Value) -> Value:
        if not isinstance(value, Slot):
            return value
        if value.kind == REF:
            found = _written(node, value.name, bindings.value_of(value))
        else:
            found = next(left, None)
            if found is None:
                raise SlotError(f"no value for {value}, got only {len(values)}")
        if value.kind in (NEW, REF):
            bindings.use(value.name, _bound(value.name, found))
        return found

    restored = _mapped(message, replace)
    if next(left, None) is not None:
        raise SlotError(f"more values than slots, got {len(values)}")
    return restored


def _bound(name: str, value: Any) -> Value:
    """Returns an identifier as it is kept: in the form that all protocols share."""
    return value.to_bytes(4, "big") if name == "TEID" and type(value) is int else value


def _written(node: Node, name: str, value: Any) -> Value:
    """Returns an identifier as a field has it."""
    number = isinstance(node, Number) or (isinstance(node, Choice) and isinstance(node.other, Number))
    return int.from_bytes(value, "big") if name == "TEID" and number else value


Replace = Callable[[str, Node, Value], Value]
"""Takes type of a slot, node and value of a field, and returns the value that shall be there."""


def _mapped(message: Message, replace: Replace) -> Message:
    if message.name not in message_names(message.protocol):
        return message
    return _in_message(message_group(message.protocol, message.name), message, replace)


def _in_message(group: Group, message: Message, replace: Replace) -> Message:
    return Message(message.protocol, message.name, _in_fields(group, message.fields, replace))


def _in_fields(group: Group, fields: Fields, replace: Replace) -> Fields:
    named = _with_slots(group)
    return Fields(
        [(name, _in_value(named[name], value, replace) if name in named else value) for name, value in fields]
    )


@cache
def _with_slots(group: Group) -> dict[str, tuple[Member, ...]]:
    """Returns the members of a group that hold slots, or may have them somewhere inside, by name."""
    return {name: found for name, found in group.named.items() if any(_may_hold(member, (group,)) for member in found)}


def _may_hold(member: Member, around: tuple[Group, ...]) -> bool:
    """Returns whether a field holds a slot, or may have one inside; a message, or a group inside itself, may."""
    if member.slot is not None:
        return True
    nodes = member.node.nodes if isinstance(member.node, Alternatives) else (member.node,)
    return any(
        isinstance(node, Carried)
        or (isinstance(node, Group) and (node in around or any(_may_hold(m, (*around, node)) for m in node.members)))
        for node in nodes
    )


def _in_value(members: Sequence[Member], value: Any, replace: Replace) -> Value:
    """Returns the value of a field that one of some members describes."""
    for member in members:
        for node in member.node.nodes if isinstance(member.node, Alternatives) else (member.node,):
            if isinstance(value, Message):
                if isinstance(node, Carried) and node.protocol == value.protocol and value.name in node.names:
                    return _in_message(node.find(value.name), value, replace)
            elif type(value) is Fields and member.slot is None:
                if isinstance(node, Group) and node.places.keys() >= set(value.names()):
                    return _in_fields(node, value, replace)
            elif member.slot is not None and _is_held(node, value):
                return replace(member.slot, node, value)
    return value


def _is_held(node: Node, value: Any) -> bool:
    """Returns whether a slot can hold a value: one without fields, a whole list, or a message that is ciphered."""
    if isinstance(node, Carried):
        return isinstance(value, bytes | Slot)
    return isinstance(value, Fields | Slot) if isinstance(node, Group) else type(value) is not Fields
