"""What finds the value of each slot that is no reference."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from gentwin.signaling.core import n1, n2
from gentwin.signaling.core.n1_sessions import rate
from gentwin.signaling.core.n2 import NTP_EPOCH, masked_imeisv
from gentwin.signaling.dialogue.bindings import ESTABLISHMENT
from gentwin.signaling.dialogue.slots import CALC, DB, NEW, Slot
from gentwin.signaling.fields import Bits, Fields, Value
from gentwin.signaling.messages import NAS, NGAP, PFCP, Message
from gentwin.signaling.resolver.errors import SuperfluousRequestError
from gentwin.signaling.resolver.protection import PROTECTED
from gentwin.signaling.resolver.state import Session
from gentwin.signaling.security import derive_k_gnb, derive_nh
from gentwin.signaling.turns.names import DEACTIVATION, names_of

if TYPE_CHECKING:
    from gentwin.signaling.core.configuration import NetworkConfiguration
    from gentwin.signaling.resolver.filling import Filler, Place

CHAIN = 8  # next hop chaining counts
IMEISV_DIGITS = 16
KEY_SETS = 7
NOT_FOUND = "session_context_not_found"
SETUPS = frozenset({"InitialContextSetupRequest", "PDUSessionResourceSetupRequest", "HandoverRequest"})

# ---------------------------------------------------------------- new identifiers


def _amf_ue_id(filler: Filler, place: Place) -> int:
    state = filler.state
    if filler.amf_id is not None:
        return filler.amf_id
    if filler.message.name == "HandoverRequest" or (state.fresh is not None and state.fresh.amf_id is None):
        return filler.allocate("AMF_UE_ID")
    if state.current is None:
        raise place.fail("the UE has no connection.")
    return state.current


def _ran_ue_id(filler: Filler, place: Place) -> int:
    found = filler.connection(place).ran_id
    if found is None:
        raise place.fail("the base station has not said it.")
    return found


def _tmsi(filler: Filler, place: Place) -> bytes:
    if "guti" in place.path:
        return filler.allocate("TMSI")
    if not filler.state.tmsis:
        raise place.fail("the UE has no temporary identity.")
    return filler.state.tmsis[0]


def _area(filler: Filler, place: Place) -> bytes:
    """Returns the next area of the registration area, or an area that the context has not used."""
    areas = [bytes.fromhex(code) for code in filler.network.configuration.areas]
    if "tai_list" not in place.path:
        return _configured("TAC", lambda network: areas)(filler, place)
    if filler.areas >= len(areas):
        raise place.fail(f"there are only {len(areas)} areas.")
    filler.areas += 1
    return areas[filler.areas - 1]


def _configured(kind: str, values_of: Callable[[NetworkConfiguration], list[Value]]) -> Find:
    """Returns what gives the first value of a configuration that the context has not used."""

    def find(filler: Filler, place: Place) -> Value:
        known, wanted = filler.bindings.state.get(kind, []), values_of(filler.network.configuration)
        found = next((value for value in wanted if value not in known), None)
        if found is None:
            raise place.fail(f"all of {len(wanted)} configured ones are known already.")
        return found

    return find


def _session_id(filler: Filler, place: Place) -> int:
    """Returns the session that is spoken of, or the next one that the message does not name yet."""
    if place.psi is not None:
        return place.psi
    order = [psi for psi in _order(filler, place) if psi is not None and psi not in filler.named]
    if not order:
        raise place.fail("there is no session to speak of that was not named.")
    before = {psi for name, psi in filler.state.heard.get("sent", ()) if name == filler.message.name}
    return next((psi for psi in order if psi not in before), order[0])


def _order(filler: Filler, place: Place) -> Iterable[int | None]:
    """Returns the sessions that a message may be about, the likeliest first."""
    state = filler.state
    heard, told, gone = state.heard.get("psi"), state.heard.get("sessions", ()), state.heard.get("gone", ())
    there = [psi for psi, known in state.sessions.items() if known.there]
    target = state.connections.get(state.target) if state.target is not None else None
    if filler.message.name == "HandoverCommand" and target is not None:
        moved = "to_release" not in place.path[0]
        return target.tunnels if moved else [psi for psi in there if psi not in target.tunnels]
    if filler.message.name == "PathSwitchRequestAcknowledge":
        return *told, *(psi for psi in there if state.sessions[psi].active)
    if filler.message.name in SETUPS:
        return *(psi for psi in told if psi not in gone), *state.wanted, *there
    return *told, heard, *state.transactions, *filler.bindings.state.get("PDU_SESSION_ID", ())


def _transaction(filler: Filler, place: Place) -> int:
    """Returns what a UE asked for, or 0 for what the network does of its own accord, TS 24.501 clause 6.3."""
    state = filler.state
    if place.message.name == "PDUSessionEstablishmentAccept":
        return filler.of_session(place).pti
    if state.heard.get("psi") == place.psi and state.heard.get("pti") is not None:
        return state.heard["pti"]
    return state.transactions.get(place.psi, 0)


def _teid(filler: Filler, place: Place) -> bytes:
    if filler.message.name == ESTABLISHMENT:
        session = filler.of_session(place)
        return session.control or filler.allocate("TEID")
    return _end(filler, place)[1]


def _end(filler: Filler, place: Place) -> tuple[str, bytes]:
    """Returns the end of a tunnel that a message names: the base station's on N4, the user plane's on N2."""
    session = filler.of_session(place)
    found = session.radio if place.protocol == PFCP else session.user
    if found is None:
        raise place.fail(f"session {session.psi} has no such end of its tunnel.")
    return found


def _node_address(filler: Filler, place: Place) -> str:
    if place.protocol == PFCP and ("outer_header_creation" not in place.path or filler.message.name == ESTABLISHMENT):
        return filler.network.configuration.smf_address
    return _end(filler, place)[0]


def _seid(filler: Filler, place: Place) -> int:
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
    return _next_session(filler, place).peer_seid


def _next_session(filler: Filler, place: Place) -> Session:
    """Returns the session that a request of N4 is about: the next that is spoken of and was not sent the like."""
    state = filler.state
    sent = {psi for name, psi in state.heard.get("sent", ()) if name == filler.message.name}
    left = {psi: known for psi, known in state.sessions.items() if known.there and psi not in sent}
    order = [left[psi] for psi in (*state.heard.get("sessions", ()), *left) if psi in left]
    if DEACTIVATION in names_of(filler.message):
        order.sort(key=lambda known: not known.active)
    if order:
        return order[0]
    if not sent:
        raise place.fail("the user plane has no session of this UE.")
    raise SuperfluousRequestError(".".join(place.path), place.slot, "each session was sent one.")


def _sequence(filler: Filler, place: Place) -> int:
    if not filler.message.name.endswith("Response"):
        return filler.allocate("PFCP_SEQ", filler.network.configuration.upf_address)
    found = filler.state.heard.get("sequence_number")
    if found is None:
        raise place.fail("no request is answered.")
    return found


def _ue_address(filler: Filler, place: Place) -> str:
    session = filler.of_session(place)
    if place.protocol == PFCP and not session.seid:
        return filler.allocate("UE_IP", session.dnn, session.address or None)
    return session.address


def _of_subscriber(name: str) -> Callable[[Filler, Place], Value]:
    def find(filler: Filler, place: Place) -> Value:
        subscriber = filler.resolver.subscriber
        if subscriber is None:
            raise place.fail("the subscriber is not known.")
        return getattr(subscriber, name)

    return find


def _device(filler: Filler, place: Place) -> str:
    if not filler.state.imeisv:
        raise place.fail("the UE has not said it.")
    return filler.state.imeisv


# ---------------------------------------------------------------- computed values


def _autn(filler: Filler, place: Place) -> bytes:
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


def _k_gnb(filler: Filler, place: Place) -> Bits:
    k_amf, count = filler.resolver.protection.k_amf, filler.connection(place).count
    if not k_amf or count is None:
        raise place.fail("no protected message of the UE was verified.")
    return Bits(int.from_bytes(derive_k_gnb(k_amf, count), "big"), 256)


def _next_hop(filler: Filler, place: Place) -> Bits:
    state, k_amf = filler.state, filler.resolver.protection.k_amf
    if not k_amf or not state.key:
        raise place.fail("the base station was given no key.")
    return Bits(int.from_bytes(derive_nh(k_amf, state.key), "big"), 256)


def _container(filler: Filler, place: Place) -> Value:
    if filler.state.container is None:
        raise place.fail("no base station has said it.")
    return filler.state.container


def _now(filler: Filler, place: Place) -> Value:
    seconds = int(filler.resolver.time)
    if place.protocol == NAS:
        return time.strftime("%y%m%d%H%M%S", time.gmtime(seconds))
    return (seconds + NTP_EPOCH).to_bytes(4, "big") if place.protocol == NGAP else seconds + NTP_EPOCH


def _sealed(value: Value) -> Callable[[Filler, Place], Value]:
    """Returns what stands in a field until the message is sealed."""

    def find(filler: Filler, place: Place) -> Value:
        if place.message.name != PROTECTED or not isinstance(place.message.get("payload"), Message):
            raise place.fail("it is of no message that can be read.")
        return value

    return find


# ---------------------------------------------------------------- subscription


def _masked(filler: Filler, place: Place) -> Bits:
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


def _ue_rate(filler: Filler, place: Place) -> int:
    return _of_subscriber(_direction(place))(filler, place)


def _session_rate(filler: Filler, place: Place) -> int:
    bits = getattr(filler.of_session(place), _direction(place))
    if place.protocol == NGAP:
        return bits
    if place.protocol == PFCP:
        return bits // 1000
    return rate(bits)["value"]


def _rate_unit(filler: Filler, place: Place) -> str:
    return rate(getattr(filler.of_session(place), _direction(place)))["unit"]


def _of_session(name: str) -> Callable[[Filler, Place], Value]:
    return lambda filler, place: getattr(filler.of_session(place), name)


def _key_set(filler: Filler, place: Place) -> int:
    """Returns the key set that a challenge makes, if it is a new one; else the latest."""
    rand = place.message.get("rand")
    if place.message.name != "AuthenticationRequest" or not isinstance(rand, Slot) or rand.kind != NEW:
        if filler.state.ksi < 0:
            raise place.fail("the UE was given no key set.")
        return filler.state.ksi
    return (filler.state.ksi + 1) % KEY_SETS


def _sessions_there(filler: Filler, place: Place) -> str:
    """Returns the sessions that there are, and those that a UE is told of all the same."""
    gone = filler.state.heard.get("gone", ())
    there = [psi for psi, known in filler.state.sessions.items() if known.there and psi not in gone]
    return n1.sessions(frozenset((*there, *filler.state.lingering)))


def _allowed_slices(filler: Filler, place: Place) -> Fields:
    """Returns the slices that a UE may use, those of its registration before it is accepted."""
    allowed = tuple(filler.state.heard.get("allowed") or filler.state.allowed)
    if not allowed:
        raise place.fail("the UE may use none.")
    return n2.slice_list(allowed) if place.protocol == NGAP else n1.nssai(allowed)


def _back_off(part: str) -> Callable[[Filler, Place], Value]:
    """Returns what gives the unit or the value of the timer that a policy wants."""

    def find(filler: Filler, place: Place) -> Value:
        seconds = filler.state.heard.get("back_off")
        if seconds is None:
            raise place.fail("the policy says nothing of it.")
        timer = n1.timer_2(seconds) if "t3346_value" in place.path else n1.timer_3(seconds)
        return timer[part]

    return find


def _data_network(filler: Filler, place: Place) -> str:
    dnn = filler.of_session(place).dnn
    if not dnn:
        raise place.fail("the session has no data network.")
    return dnn


Find = Callable[["Filler", "Place"], Value]
FINDERS: dict[str, dict[str, Find]] = {
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
        "BACK_OFF": _back_off("value"),
        "BACK_OFF_UNIT": _back_off("unit"),
        "KSI": _key_set,
        "SESSIONS": _sessions_there,
        "NOT_REACTIVATED": lambda filler, place: n1.sessions(frozenset(filler.state.lingering)),
        "AUTN": _autn,
        "CHAIN": lambda filler, place: (filler.state.chain + 1) % CHAIN,
        "CONTAINER": _container,
        "MAC": _sealed(bytes(4)),
        "NAS_SN": _sealed(0),
        "K_GNB": _k_gnb,
        "NH": _next_hop,
        "TIME": _now,
        "RECOVERY_TIME": lambda filler, place: filler.network.recovery_time,
    },
    DB: {
        "ALLOWED": _allowed_slices,
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
