"""Messages of the core with values in their slots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gentwin.signaling.dialogue.bindings import ESTABLISHMENT, Identifiers, SlotError, restore
from gentwin.signaling.dialogue.slots import NEW, REF, Slot
from gentwin.signaling.errors import SignalingError
from gentwin.signaling.fields import Fields, Value
from gentwin.signaling.messages import NGAP, PFCP, Message
from gentwin.signaling.ngap import map_nas
from gentwin.signaling.resolver import saying
from gentwin.signaling.resolver.errors import ResolverError
from gentwin.signaling.resolver.finding import FINDERS
from gentwin.signaling.resolver.protection import PROTECTED
from gentwin.signaling.resolver.state import Connection, Session

if TYPE_CHECKING:
    from gentwin.signaling.resolver.resolver import Resolver


def fill(resolver: Resolver, canonical: Message) -> Message:
    """Returns a message with a value in every slot and NAS protected, and lets the context learn from it.

    Raises:
        ResolverError: If a slot cannot be filled, or NAS not be protected.
    """
    bindings = resolver.bindings.about(canonical).copy()
    filler = Filler(resolver, canonical, bindings)
    try:
        filler.walk(canonical, (), _About())
        plain = restore(canonical, filler.values, resolver.bindings.copy())
        sealed = map_nas(plain, filler.seal) if plain.protocol == NGAP else plain
    except ResolverError:
        filler.give_back()
        raise
    except (SignalingError, SlotError) as error:
        filler.give_back()
        raise ResolverError(canonical.name, "a message with slots", str(error)) from error
    resolver.bindings = bindings
    resolver.state.heard.setdefault("sent", []).extend((canonical.name, psi) for psi in sorted(filler.named))
    saying.follow(resolver, plain)
    return sealed


@dataclass(frozen=True, slots=True)
class Place:
    """Where a slot stands.

    Args:
        message: Message that the field is in.
        path: Names of the fields around it and of itself.
        slot: The slot.
        psi: Identity of the PDU session that is spoken of; None if it is about none.
    """

    message: Message
    path: tuple[str, ...]
    slot: Slot
    psi: int | None

    @property
    def protocol(self) -> str:
        """Protocol of the message."""
        return self.message.protocol

    def fail(self, reason: str) -> ResolverError:
        """Returns the error that the slot cannot be filled."""
        return ResolverError(".".join(self.path), self.slot, reason)


@dataclass(slots=True)
class _About:
    """What an item of a list, or a message that has none, is about.

    Args:
        psi: Identity of the PDU session; None until it is named.
    """

    psi: int | None = None


class Filler:
    """Finds the values of the slots of one message.

    Attributes:
        values: Of all slots that are no references, in order.
    """

    def __init__(self, resolver: Resolver, message: Message, bindings: Identifiers) -> None:
        self.resolver, self.state, self.network = resolver, resolver.state, resolver.network
        self.message, self.bindings = message, bindings
        self.values: list[Value] = []
        self.amf_id: int | None = None
        self.session: Session | None = None
        self.rand = b""
        self.named: set[int] = set()
        self._listed: set[int] = set()  # of those, in items of lists
        self.areas = 0  # of the registration area, that were said
        self._allocated: list[tuple[str, Any, str]] = []

    # ------------------------------------------------------------ walking

    def walk(self, message: Message, path: tuple[str, ...], about: _About) -> None:
        """Finds the values of the slots in a message."""
        if message.name == ESTABLISHMENT:
            self.session = saying.asked_for(self.resolver, message)
        self._fields(message, message.fields, path, about)

    def _fields(self, message: Message, fields: Fields, path: tuple[str, ...], about: _About) -> None:
        for name, value in fields:
            here = (*path, name)
            if isinstance(value, Slot):
                found = self._value(Place(message, here, value, about.psi))
                if name == "pdu_session_id" and isinstance(found, int):
                    about.psi = found
                    self.named.add(found)
                    self._listed |= {found} if "item" in path else set()
            elif isinstance(value, Fields):
                self._fields(message, value, here, self._item(path, about) if name == "item" else about)
            elif isinstance(value, Message):
                self.walk(value, here, about)

    def _item(self, path: tuple[str, ...], about: _About) -> _About:
        """Returns what an item of a list is about: as what is around it, unless another one of the message is."""
        return _About(None if "item" not in path and about.psi in self._listed else about.psi)

    def _value(self, place: Place) -> Value:
        slot = place.slot
        if slot.kind == REF:
            value = self._known(place)
        else:
            find = FINDERS[slot.kind].get(slot.name)
            if find is None:
                raise place.fail("a core has no value for it.")
            value = find(self, place)
            self.values.append(_written(place, value))
        if slot.kind in (NEW, REF):
            self.bindings.use(slot.name, value)
        self._note(place, value)
        return value

    def _known(self, place: Place) -> Value:
        try:
            return self.bindings.value_of(place.slot)
        except SlotError as error:
            raise place.fail(str(error)) from error

    def _note(self, place: Place, value: Any) -> None:
        """Takes note of what later slots of the message depend on."""
        name = place.slot.name
        if name == "AMF_UE_ID":
            self.amf_id = value
        elif name == "SEID" and value:
            known = self.state.by_seid(value) if place.path[0] == "f_seid" else self.state.by_peer_seid(value)
            self.session = known or self.session
        elif name == "RAND":
            self.rand = value

    def allocate(self, kind: str, scope: str = "", wanted: Value | None = None) -> Any:
        """Returns a new identifier."""
        value = self.network.allocators.allocate(kind, scope, wanted)
        self._allocated.append((kind, value, scope))
        return value

    def give_back(self) -> None:
        """Takes back the identifiers of a message that is not said."""
        for kind, value, scope in self._allocated:
            self.network.allocators.free(kind, value, scope)

    def seal(self, nas: Any) -> Any:
        """Returns a NAS message as it goes out."""
        if not isinstance(nas, Message) or nas.name != PROTECTED:
            return nas
        saying.prepare(self.resolver, nas)
        return self.resolver.protection.seal(nas)

    # ------------------------------------------------------------ what a slot is about

    def connection(self, place: Place) -> Connection:
        """Returns the connection that a message is about."""
        known = self.state.connections.get(self.amf_id) if self.amf_id is not None else None
        found = known or self.state.connection
        if found is None:
            raise place.fail("the UE has no connection.")
        return found

    def of_session(self, place: Place) -> Session:
        """Returns the session that a slot is about."""
        found = self.session if place.protocol == PFCP or place.psi is None else self.state.sessions.get(place.psi)
        if found is None:
            raise place.fail(f"there is no session {place.psi if place.psi is not None else 'of this endpoint'}.")
        return found


def _written(place: Place, value: Any) -> Any:
    """Returns an identifier as a field has it."""
    return int.from_bytes(value, "big") if place.slot.name == "TEID" and place.protocol == PFCP else value
