"""Messages of the core with values in their slots."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gentwin.signaling.core.n1 import sessions
from gentwin.signaling.core.n1_sessions import rate
from gentwin.signaling.core.n2 import NTP_EPOCH, masked_imeisv
from gentwin.signaling.dialogue.bindings import Identifiers, SlotError, restore
from gentwin.signaling.dialogue.slots import CALC, DB, NEW, REF, Slot
from gentwin.signaling.errors import SignalingError
from gentwin.signaling.fields import Bits, Fields, Value
from gentwin.signaling.messages import NAS, NGAP, PFCP, Message
from gentwin.signaling.ngap import map_nas
from gentwin.signaling.resolver import saying
from gentwin.signaling.resolver.errors import ResolverError
from gentwin.signaling.resolver.hints import CHAIN
from gentwin.signaling.resolver.protection import PROTECTED
from gentwin.signaling.resolver.state import Connection, Session
from gentwin.signaling.security import derive_k_gnb, derive_nh

if TYPE_CHECKING:
    from gentwin.signaling.resolver.resolver import Resolver

IMEISV_DIGITS = 16
KEY_SETS = 7
NOT_FOUND = "session_context_not_found"
ESTABLISHMENT = "SessionEstablishmentRequest"


def fill(resolver: Resolver, canonical: Message) -> Message:
    """Returns a message with a value in every slot and NAS protected, and lets the context learn from it.

    Raises:
        ResolverError: If a slot cannot be filled, or NAS not be protected.
    """
    bindings = resolver.bindings.about(canonical).copy()
    filler = _Filler(resolver, canonical, bindings)
    try:
        filler.walk(canonical, (), None)
        plain = restore(canonical, filler.values, resolver.bindings.copy())
        sealed = map_nas(plain, filler.seal) if plain.protocol == NGAP else plain
    except ResolverError:
        filler.give_back()
        raise
    except (SignalingError, SlotError) as error:
        filler.give_back()
        raise ResolverError(canonical.name, "a message with slots", str(error)) from error
    resolver.bindings = bindings
    saying.follow(resolver, plain)
    return sealed


@dataclass(frozen=True, slots=True)
class Place:
    """Where a slot stands.

    Args:
        message: Message that the field is in.
        path: Names of the fields around it and of itself.
        siblings: Fields beside it.
        slot: The slot.
        psi: Identity of the PDU session that is spoken of; None if it is about none.
    """

    message: Message
    path: tuple[str, ...]
    siblings: Fields
    slot: Slot
    psi: int | None

    @property
    def protocol(self) -> str:
        """Protocol of the message."""
        return self.message.protocol

    def fail(self, reason: str) -> ResolverError:
        """Returns the error that the slot cannot be filled."""
        return ResolverError(".".join(self.path), self.slot, reason)


class _Filler:
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
        self.areas = 0  # of the registration area, that were said
        self._allocated: list[tuple[str, Any, str]] = []

    # ------------------------------------------------------------ walking

    def walk(self, message: Message, path: tuple[str, ...], psi: int | None) -> None:
        """Finds the values of the slots in a message."""
        if message.name == ESTABLISHMENT:
            self.session = saying.asked_for(self.resolver, message)
        self._fields(message, message.fields, path, psi)

    def _fields(self, message: Message, fields: Fields, path: tuple[str, ...], psi: int | None) -> None:
        for name, value in fields:
            here = (*path, name)
            if isinstance(value, Slot):
                found = self._value(Place(message, here, fields, value, psi))
                if name == "pdu_session_id" and isinstance(found, int):
                    psi = found
                    self.named.add(psi)
            elif isinstance(value, Fields):
                self._fields(message, value, here, psi)
            elif isinstance(value, Message):
                self.walk(value, here, psi)

    def _value(self, place: Place) -> Value:
        slot = place.slot
        if slot.kind == REF:
            value = self._known(place)
        else:
            find = _FINDERS[slot.kind].get(slot.name)
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


# ---------------------------------------------------------------- new identifiers


def _amf_ue_id(filler: _Filler, place: Place) -> int:
    state = filler.state
    if filler.amf_id is not None:
        return filler.amf_id
    if filler.message.name == "HandoverRequest" or (state.fresh is not None and state.fresh.amf_id is None):
        return filler.allocate("AMF_UE_ID")
    if state.current is None:
        raise place.fail("the UE has no connection.")
    return state.current


def _ran_ue_id(filler: _Filler, place: Place) -> int:
    found = filler.connection(place).ran_id
    if found is None:
        raise place.fail("the base station has not said it.")
    return found


def _tmsi(filler: _Filler, place: Place) -> bytes:
    if "guti" in place.path:
        return filler.allocate("TMSI")
    if not filler.state.tmsis:
        raise place.fail("the UE has no temporary identity.")
    return filler.state.tmsis[0]


def _area(filler: _Filler, place: Place) -> bytes:
    """Returns the next area of the registration area, or an area that the context has not used."""
    areas = [bytes.fromhex(code) for code in filler.network.configuration.areas]
    if "tai_list" not in place.path:
        return _configured("TAC", lambda network: areas)(filler, place)
    if filler.areas >= len(areas):
        raise place.fail(f"there are only {len(areas)} areas.")
    filler.areas += 1
    return areas[filler.areas - 1]


def _configured(kind: str, *choices: Callable[[Any], Any]) -> Callable[[_Filler, Place], Value]:
    """Returns what gives the first value of a configuration that the context has not used."""

    def find(filler: _Filler, place: Place) -> Value:
        known = filler.bindings.state.get(kind, [])
        wanted = [value for choice in choices for value in choice(filler.network.configuration)]
        found = next((value for value in wanted if value not in known), None)
        if found is None:
            raise place.fail(f"all of {len(wanted)} configured ones are known already.")
        return found

    return find


def _session_id(filler: _Filler, place: Place) -> int:
    found = next((psi for psi in filler.state.wanted if psi not in filler.named), None)
    if found is None:
        raise place.fail("no session is wanted that was not named.")
    return found


def _transaction(filler: _Filler, place: Place) -> int:
    return 0  # of the network's own accord, TS 24.501 clause 6.3


def _teid(filler: _Filler, place: Place) -> bytes:
    if filler.message.name == ESTABLISHMENT:
        session = filler.of_session(place)
        return session.control or filler.allocate("TEID")
    return _end(filler, place)[1]


def _end(filler: _Filler, place: Place) -> tuple[str, bytes]:
    """Returns the end of a tunnel that a message names: the base station's on N4, the user plane's on N2."""
    session = filler.of_session(place)
    found = session.radio if place.protocol == PFCP else session.user
    if found is None:
        raise place.fail(f"session {session.psi} has no such end of its tunnel.")
    return found


def _node_address(filler: _Filler, place: Place) -> str:
    if place.protocol == PFCP and ("outer_header_creation" not in place.path or filler.message.name == ESTABLISHMENT):
        return filler.network.configuration.smf_address
    return _end(filler, place)[0]


def _seid(filler: _Filler, place: Place) -> int:
    if filler.message.name == ESTABLISHMENT:
        if place.path == ("seid",):
            return 0  # the other end has none yet
        session = filler.of_session(place)
        return session.seid or filler.allocate("SEID")
    if place.path != ("seid",):
        raise place.fail("only an establishment gives one.")
    if filler.message.name.endswith("Response"):
        asked = filler.state.by_seid(filler.state.heard.get("seid"))
        unknown = asked is None or filler.message.get("cause") == NOT_FOUND
        return 0 if unknown else asked.peer_seid  # TS 29.244 clause 7.2.2.4.2
    known = filler.bindings.state.get("SEID", [])
    there = {psi: of for psi, of in filler.state.sessions.items() if of.there and of.peer_seid not in known}
    spoken_of = [there[psi] for psi in filler.state.heard.get("sessions", ()) if psi in there]
    if not spoken_of and len(there) != 1:
        raise place.fail(f"it may be any of {len(there)} sessions.")
    return (spoken_of or [*there.values()])[0].peer_seid


def _sequence(filler: _Filler, place: Place) -> int:
    if not filler.message.name.endswith("Response"):
        return filler.allocate("PFCP_SEQ", filler.network.configuration.upf_address)
    found = filler.state.heard.get("sequence_number")
    if found is None:
        raise place.fail("no request is answered.")
    return found


def _ue_address(filler: _Filler, place: Place) -> str:
    session = filler.of_session(place)
    if place.protocol == PFCP and not session.seid:
        return filler.allocate("UE_IP", session.dnn, session.address or None)
    return session.address


def _of_subscriber(name: str) -> Callable[[_Filler, Place], Value]:
    def find(filler: _Filler, place: Place) -> Value:
        subscriber = filler.resolver.subscriber
        if subscriber is None:
            raise place.fail("the subscriber is not known.")
        return getattr(subscriber, name)

    return find


def _device(filler: _Filler, place: Place) -> str:
    if not filler.state.imeisv:
        raise place.fail("the UE has not said it.")
    return filler.state.imeisv


# ---------------------------------------------------------------- computed values


def _autn(filler: _Filler, place: Place) -> bytes:
    subscriber = filler.resolver.subscriber
    if subscriber is None:
        raise place.fail("the subscriber is not known.")
    if not filler.rand:
        raise place.fail("there is no challenge before it.")
    open_one = filler.resolver.protection.vector
    if open_one is not None and open_one.rand == filler.rand:
        return open_one.autn
    sqn = filler.network.subscribers.next_sqn(subscriber.supi)
    return filler.resolver.protection.challenge(subscriber, filler.rand, sqn).autn


def _k_gnb(filler: _Filler, place: Place) -> Bits:
    k_amf, count = filler.resolver.protection.k_amf, filler.connection(place).count
    if not k_amf or count is None:
        raise place.fail("no protected message of the UE was verified.")
    return Bits(int.from_bytes(derive_k_gnb(k_amf, count), "big"), 256)


def _next_hop(filler: _Filler, place: Place) -> Bits:
    state, k_amf = filler.state, filler.resolver.protection.k_amf
    wanted = place.siblings.get("next_hop_chaining_count")
    if not k_amf or not state.key:
        raise place.fail("the base station was given no key.")
    if not isinstance(wanted, int) or wanted == state.chain:
        raise place.fail(f"its count must be after {state.chain}, got {wanted!r}.")
    key = state.key
    for _ in range((wanted - state.chain) % CHAIN):
        key = derive_nh(k_amf, key)
    return Bits(int.from_bytes(key, "big"), 256)


def _now(filler: _Filler, place: Place) -> Value:
    seconds = int(filler.resolver.time)
    if place.protocol == NAS:
        return time.strftime("%y%m%d%H%M%S", time.gmtime(seconds))
    return (seconds + NTP_EPOCH).to_bytes(4, "big") if place.protocol == NGAP else seconds + NTP_EPOCH


def _sealed(value: Value) -> Callable[[_Filler, Place], Value]:
    """Returns what stands in a field until the message is sealed."""

    def find(filler: _Filler, place: Place) -> Value:
        if place.message.name != PROTECTED or not isinstance(place.message.get("payload"), Message):
            raise place.fail("it is of no message that can be read.")
        return value

    return find


# ---------------------------------------------------------------- subscription


def _masked(filler: _Filler, place: Place) -> Bits:
    imeisv = _device(filler, place)
    if len(imeisv) != IMEISV_DIGITS or not imeisv.isdigit():
        raise place.fail(f"an IMEISV must have {IMEISV_DIGITS} digits, got {imeisv!r}.")
    return masked_imeisv(imeisv)[1]


def _direction(place: Place) -> str:
    """Returns which of two rates a field has."""
    names = place.path[-2:]
    if any(name == "uplink" or name.endswith("_ul") for name in names):
        return "uplink"
    return "downlink"


def _ue_rate(filler: _Filler, place: Place) -> int:
    return _of_subscriber(_direction(place))(filler, place)


def _session_rate(filler: _Filler, place: Place) -> int:
    bits = getattr(filler.of_session(place), _direction(place))
    if place.protocol == NGAP:
        return bits
    if place.protocol == PFCP:
        return bits // 1000
    return rate(bits)["value"]


def _rate_unit(filler: _Filler, place: Place) -> str:
    return rate(getattr(filler.of_session(place), _direction(place)))["unit"]


def _of_session(name: str) -> Callable[[_Filler, Place], Value]:
    return lambda filler, place: getattr(filler.of_session(place), name)


def _key_set(filler: _Filler, place: Place) -> int:
    """Returns the key set that a challenge makes, if it is a new one; else the latest."""
    rand = place.message.get("rand")
    if place.message.name != "AuthenticationRequest" or not isinstance(rand, Slot) or rand.kind != NEW:
        if filler.state.ksi < 0:
            raise place.fail("the UE was given no key set.")
        return filler.state.ksi
    return (filler.state.ksi + 1) % KEY_SETS


def _sessions_there(filler: _Filler, place: Place) -> str:
    """Returns the sessions that there are, and those that a UE is told of all the same."""
    gone = filler.state.heard.get("gone", ())
    there = [psi for psi, known in filler.state.sessions.items() if known.there and psi not in gone]
    return sessions(frozenset((*there, *filler.state.lingering)))


def _data_network(filler: _Filler, place: Place) -> str:
    dnn = filler.of_session(place).dnn
    if not dnn:
        raise place.fail("the session has no data network.")
    return dnn


Find = Callable[[_Filler, Place], Value]
_FINDERS: dict[str, dict[str, Find]] = {
    NEW: {
        "AMF_UE_ID": _amf_ue_id,
        "RAN_UE_ID": _ran_ue_id,
        "TMSI": _tmsi,
        "PLMN": _configured("PLMN", lambda network: [network.plmn]),
        "MCC": _configured("MCC", lambda network: [network.mcc]),
        "MNC": _configured("MNC", lambda network: [network.mnc]),
        "TAC": _area,
        "PDU_SESSION_ID": _session_id,
        "PTI": _transaction,
        "TEID": _teid,
        "NODE_IP": _node_address,
        "SEID": _seid,
        "PFCP_SEQ": _sequence,
        "UE_IP": _ue_address,
        "UE_INTERFACE": lambda filler, place: filler.allocate("UE_INTERFACE"),
        "RAND": lambda filler, place: filler.allocate("RAND"),
        "SUPI": _of_subscriber("supi"),
        "GPSI": _of_subscriber("msisdn"),
        "PEI": _device,
    },
    CALC: {
        "KSI": _key_set,
        "SESSIONS": _sessions_there,
        "NOT_REACTIVATED": lambda filler, place: sessions(frozenset(filler.state.lingering)),
        "AUTN": _autn,
        "MAC": _sealed(bytes(4)),
        "NAS_SN": _sealed(0),
        "K_GNB": _k_gnb,
        "NH": _next_hop,
        "TIME": _now,
        "RECOVERY_TIME": lambda filler, place: filler.network.recovery_time,
    },
    DB: {
        "IMEISV": _masked,
        "UE_AMBR": _ue_rate,
        "SESSION_AMBR": _session_rate,
        "RATE_UNIT": _rate_unit,
        "FIVE_QI": _of_session("five_qi"),
        "PRIORITY": _of_session("priority"),
        "DNN": _data_network,
    },
}
"""What finds the value of a slot, by kind and name."""
