"""What a core learns from what it hears, and what its answer depends on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from gentwin.signaling.core.policy import HANDOVER, MODIFICATION, REGISTRATION, SERVICE, SESSION
from gentwin.signaling.dialogue.hints import HINTS, OF_A_SESSION, command, event, hint, timer
from gentwin.signaling.dialogue.slots import SLOTS
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import NGAP, PFCP, Message
from gentwin.signaling.resolver import hints, nodes, reading, sessions
from gentwin.signaling.resolver.hints import About, Part
from gentwin.signaling.resolver.network import CONCEALED, KNOWN, UNKNOWN
from gentwin.signaling.resolver.protection import RESYNCHRONISED, UNUSABLE, VERIFIED, Opened
from gentwin.signaling.resolver.state import DEREGISTERED, MOST, REGISTERED, REGISTERING, Connection
from gentwin.signaling.resolver.waiting import Decided

if TYPE_CHECKING:
    from gentwin.signaling.resolver.resolver import Resolver

CONTAINERS = frozenset(name for name, slot in SLOTS[NGAP].items() if slot == "calc:CONTAINER")
REQUEST = "Request"
INDEX_BITS = 0b11111  # of a sequence number; what the home network adds is its own
CAUSES = {REGISTRATION: "cause_5gmm", SERVICE: "cause_5gmm", SESSION: "cause_5gsm", MODIFICATION: "cause_5gsm"}
CAUSES |= {HANDOVER: ""}  # of which no cause is told
_OF_THE_SESSION = ("psi", "pdu_session_id"), ("pti", "pti")
_OF_THE_MESSAGE = {hint("policy", "wait"), *(hint("security", value) for value in HINTS["security"])}

Take = Callable[["Resolver", Message], list[Part]]
TakeNas = Callable[["Resolver", Opened, Message], list[Part]]


def hear(resolver: Resolver, message: Message, opened: Sequence[Opened]) -> list[Part]:
    """Returns the hints after a message that is heard, and lets a context learn from it.

    Args:
        resolver: Of the context.
        message: With NAS opened.
        opened: The NAS messages in it.
    """
    state = resolver.state
    state.heard = {}
    for session in state.prune():
        sessions.free(resolver, session)
    resolver.lose_connections([*state.connections.values()][:-MOST])
    asked = [*state.waiting]
    parts = _hear(resolver, message, opened)
    for request in state.waiting:
        if request not in asked:
            request.heard = dict(state.heard)
            request.parts = [part for part in parts if part not in _OF_THE_MESSAGE]
    return parts


def _hear(resolver: Resolver, message: Message, opened: Sequence[Opened]) -> list[Part]:
    if message.protocol == PFCP:
        asked = ("seid", "sequence_number") if message.name.endswith(REQUEST) else ("seid",)
        resolver.state.heard |= {name: reading.number(message, name) for name in asked}
        take = sessions.TAKES.get(message.name) or nodes.TAKES.get(message.name)
        return take(resolver, message) if take else []
    if message.name in nodes.TAKES:
        return nodes.TAKES[message.name](resolver, message)
    _locate(resolver, message)
    found = next((value for name, value in message.fields if name in CONTAINERS), None)
    resolver.state.container = resolver.state.container if found is None else found
    parts: list[Part] = []
    for found in opened:
        parts += _nas(resolver, found)
    take = _TAKES.get(message.name)
    return parts + take(resolver, message) if take else parts


def _locate(resolver: Resolver, message: Message) -> None:
    """Finds the connection of a message, or makes one, and where the UE is."""
    state = resolver.state
    amf_id, ran_id = reading.number(message, *reading.AMF_IDS), reading.number(message, *reading.RAN_IDS)
    if message.name == "InitialUEMessage":
        state.fresh = Connection(resolver.peer, ran_id)
    known = state.connections.get(amf_id) if amf_id is not None else state.fresh
    if known is None:
        return
    where = reading.group(message, "user_location_information.user_location_information_nr")
    known.plmn = reading.text(where, "nr_cgi.plmn_identity") or known.plmn
    tac = where.get("tai.tac")
    known.tac = tac if isinstance(tac, bytes) else known.tac
    if message.name not in ("InitialUEMessage", "UEContextReleaseComplete") and amf_id != state.target:
        state.current, state.fresh = amf_id, None


# ---------------------------------------------------------------- NAS


def _nas(resolver: Resolver, found: Opened) -> list[Part]:
    parts: list[Part] = [hint("security", found.security)]
    connection = resolver.state.connection
    if found.trusted and connection is not None and connection.count is None:
        connection.count = found.count
    if found.plain is None:
        return parts
    take = _NAS.get(found.plain.name)
    return parts + take(resolver, found, found.plain) if take else parts


def _whole(message: Message) -> Message:
    """Returns the whole message that an initial one or a completed security mode holds, or the message itself."""
    return reading.inner(message, "nas_message_container") or message


def _identity(resolver: Resolver, identity: Fields) -> str:
    """Returns what is known of who a UE says it is, and takes note of who it is."""
    state = resolver.state
    if isinstance(identity.get("tmsi"), bytes):
        if identity["tmsi"] not in state.tmsis or not state.supi:
            return UNKNOWN
        return resolver.network.subscriber(state.supi)[1]
    supi, concealed = resolver.network.reveal(identity)
    if concealed:
        return CONCEALED
    found = resolver.network.subscriber(supi)[1]
    return found if found == UNKNOWN or resolver.name(supi) else UNKNOWN


def _registers(resolver: Resolver, found: Opened, message: Message) -> list[Part]:
    state, whole = resolver.state, _whole(message)
    known = _identity(resolver, reading.group(message, "mobile_identity"))
    state.ciphers = reading.text(message, "ue_security_capability.ea") or state.ciphers
    state.requested, state.resynchronised = reading.slices(whole, "requested_nssai"), False
    state.heard["kind"] = reading.text(message, "registration_type.type")
    update = found.trusted and state.heard["kind"] != "initial"
    counted = update and state.phase == REGISTERED  # a registered UE keeps its place, whatever is decided
    if found.trusted or state.phase != REGISTERED:
        resolver.enter(REGISTERING, counted)
    parts: list[Part] = [hint("identity", known)]
    if known == KNOWN:
        parts += _policy(resolver, REGISTRATION, counted)
    if update:
        parts += _acceptance(resolver) + _wanted(resolver, whole) + hints.context(state.connection)
    return parts


def _identified(resolver: Resolver, found: Opened, message: Message) -> list[Part]:
    known = _identity(resolver, reading.group(message, "mobile_identity"))
    parts: list[Part] = [hint("identity", known)]
    return parts + _policy(resolver, REGISTRATION) if known == KNOWN else parts


def _authenticated(resolver: Resolver, found: Opened, message: Message) -> list[Part]:
    result = resolver.protection.check_response(message.get("res_star"))
    if result == VERIFIED and resolver.state.supi:
        resolver.network.claim("SUPI", resolver.state.supi, resolver)
    wanted = resolver.network.configuration.flavour.ciphering
    chosen = wanted if f"ea{wanted}" in resolver.state.ciphers.split() else 0
    return [hint("authentication", result), *([f"ciphering={chosen}"] if result == VERIFIED else [])]


def _refused(resolver: Resolver, found: Opened, message: Message) -> list[Part]:
    state, subscriber = resolver.state, resolver.subscriber
    result, sqn = resolver.protection.check_failure(subscriber, message.get("cause_5gmm"), message.get("auts"))
    if result == RESYNCHRONISED and state.resynchronised:
        result = UNUSABLE
    if result != RESYNCHRONISED or subscriber is None:
        return [hint("authentication", result)]
    state.resynchronised = True
    resolver.network.subscribers.set_sqn(subscriber.supi, sqn & ~INDEX_BITS)
    return [hint("authentication", result)]


def _secured(resolver: Resolver, found: Opened, message: Message) -> list[Part]:
    state, connection = resolver.state, resolver.state.connection
    if not found.trusted:
        return []
    resolver.enter(REGISTERING, admitted=True)
    if connection is not None:
        connection.count = found.count
    state.imeisv = reading.text(message, "imeisv.imeisv") or state.imeisv
    whole = _whole(message)
    if whole is not message:
        state.requested = reading.slices(whole, "requested_nssai")
    return [*_acceptance(resolver), *sessions.present(resolver), *hints.context(connection)]


def _serves(resolver: Resolver, found: Opened, message: Message) -> list[Part]:
    known = _identity(resolver, reading.group(message, "mobile_identity"))
    parts: list[Part] = [hint("identity", known), *_registration(resolver)]
    if not found.trusted or known != KNOWN:
        return parts
    asked = _policy(resolver, SERVICE) if resolver.state.phase == REGISTERED else []
    wanted = [*_wanted(resolver, _whole(message)), *hints.context(resolver.state.connection)]
    return parts + asked + hints.slices(resolver.state.allowed) + wanted


def _completed(resolver: Resolver, found: Opened, message: Message) -> list[Part]:
    if found.trusted:
        resolver.enter(REGISTERED)
        _forget_old_names(resolver)
    return []


def _updated(resolver: Resolver, found: Opened, message: Message) -> list[Part]:
    if found.trusted:
        _forget_old_names(resolver)
    return []


def _forget_old_names(resolver: Resolver) -> None:
    """Forgets the temporary identities before the newest one."""
    names = resolver.state.tmsis
    for old in names[1:]:
        resolver.network.release("TMSI", old, resolver)
        resolver.network.allocators.free("TMSI", old)
    del names[1:]


def _leaves(resolver: Resolver, found: Opened, message: Message) -> list[Part]:
    known = _identity(resolver, reading.group(message, "mobile_identity"))
    if not found.trusted:
        return [hint("identity", known)]
    resolver.enter(DEREGISTERED)
    resolver.state.leaving = "switch_off" if message.get("deregistration_type.switch_off") else "by_ue"
    return [hint("identity", known), *sessions.present(resolver)]


def _left(resolver: Resolver, found: Opened, message: Message) -> list[Part]:
    if not found.trusted:
        return []
    resolver.enter(DEREGISTERED)
    resolver.state.leaving = "by_network"
    return sessions.present(resolver)


def _registration(resolver: Resolver) -> list[Part]:
    """Returns the hint that a UE is not registered; none if it is."""
    phase = resolver.state.phase
    if phase == REGISTERED:
        return []
    return [hint("registration", "pending" if phase == REGISTERING else "none")]


def _transports(resolver: Resolver, found: Opened, message: Message) -> list[Part]:
    inner = reading.inner(message, "payload_container")
    take = sessions.ASKS.get(inner.name) if inner is not None else None
    if inner is not None:
        resolver.state.heard |= {name: reading.number(inner, field) for name, field in _OF_THE_SESSION}
    ignored = resolver.state.phase == REGISTERING  # until the registration is complete
    parts = take(resolver, message, inner) if take and found.trusted and not ignored else []
    return [*_registration(resolver), *parts]


_NAS: dict[str, TakeNas] = {
    "RegistrationRequest": _registers,
    "IdentityResponse": _identified,
    "AuthenticationResponse": _authenticated,
    "AuthenticationFailure": _refused,
    "SecurityModeComplete": _secured,
    "ServiceRequest": _serves,
    "RegistrationComplete": _completed,
    "ConfigurationUpdateComplete": _updated,
    "DeregistrationRequestUEOriginating": _leaves,
    "DeregistrationAcceptUETerminated": _left,
    "ULNASTransport": _transports,
}

# ---------------------------------------------------------------- what answers depend on


def _policy(resolver: Resolver, procedure: str, counted: bool = False) -> list[Part]:
    found = sessions.ask(resolver, procedure, counted=counted)
    if procedure == REGISTRATION and found.admitted and resolver.state.phase == REGISTERING:
        resolver.enter(REGISTERING, admitted=True)
    return [*hints.decision(found, CAUSES[procedure])]


def settle(resolver: Resolver, decided: Decided) -> list[Part]:
    """Returns the hints after a decision on something that waited; they repeat what came with the question."""
    state, request, decision = resolver.state, decided.request, decided.decision
    state.heard = request.heard | {"back_off": decision.back_off}
    if decision.admitted and request.procedure == REGISTRATION:
        resolver.enter(REGISTERING, admitted=True)
    if request.procedure == SESSION:
        sessions.settle(resolver, request, decision.admitted)
    parts = [part if isinstance(part, str) else About(*part) for part in request.parts]
    return [*hints.decision(decision, CAUSES[request.procedure]), *parts]


def _acceptance(resolver: Resolver) -> list[Part]:
    """Returns the hints of what a UE is told that is accepted: slices, registration area, periodic registration."""
    configuration = resolver.network.configuration
    areas = [bytes.fromhex(code) for code in configuration.areas]
    return [*_slices(resolver), *hints.area(areas, configuration.flavour.timing.t3512)]


def _slices(resolver: Resolver) -> list[Part]:
    """Returns the hint of the slices that may be used."""
    subscriber, state = resolver.subscriber, resolver.state
    if subscriber is None:
        return []
    served = resolver.network.configuration.slices
    usable = [of for of in subscriber.slices if of in served]
    wanted = state.requested or ()
    allowed = [of for of in wanted if of in usable]
    default = usable[:1] if not allowed else []
    state.heard["allowed"] = (*allowed, *default)
    return [*hints.slices(allowed, [of for of in wanted if of not in usable], default)]


def _wanted(resolver: Resolver, message: Message) -> list[Part]:
    """Returns the hints of the sessions that there are, and of those whose user plane a UE or the network wants."""
    state = resolver.state
    asked = (reading.flags(message, "uplink_data_status") or frozenset()) | frozenset(state.wanted)
    state.wanted = [psi for psi in sorted(asked) if psi in state.sessions and state.sessions[psi].there]
    there = [psi for psi, known in state.sessions.items() if known.there]
    parts: list[Part] = []
    at_ue = reading.flags(message, "pdu_session_status")
    gone = [psi for psi in there if at_ue is not None and psi not in at_ue]
    state.heard["gone"] = gone
    for psi in gone:
        parts += hints.session("inactive", state.sessions[psi])
    for psi in state.wanted:
        parts += hints.session("wanted", state.sessions[psi], quality=True)
    return parts


# ---------------------------------------------------------------- N2


def _release_requested(resolver: Resolver, message: Message) -> list[Part]:
    return sessions.present(resolver, active_first=True)


def _each(value: str, known: Iterable) -> list[Part]:
    return [part for session in known for part in hints.session(value, session)]


def _released(resolver: Resolver, message: Message) -> list[Part]:
    state, amf_id = resolver.state, reading.number(message, "amf_ue_ngap_id")
    if state.connections.pop(amf_id, None) is not None:
        resolver.network.release("AMF_UE_ID", amf_id, resolver)
        resolver.network.allocators.free("AMF_UE_ID", amf_id)
    if state.target == amf_id:
        state.target, state.container = None, None
    if state.current == amf_id:
        state.leaving = ""
        state.current = next((known for known in reversed(state.connections) if known != state.target), None)
        if state.phase == REGISTERING and state.current is None and state.fresh is None:
            resolver.enter(DEREGISTERED)
    return []


def _set_up(resolver: Resolver, message: Message) -> list[Part]:
    """Takes the ends of the tunnels at a base station."""
    state, found = resolver.state, []
    known = state.connections.get(reading.number(message, "amf_ue_ngap_id"))
    if known is not None:
        known.context = True
    for psi, item in reading.items(message):
        tunnel, session = reading.tunnel(item), state.sessions.get(psi)
        if tunnel is not None and session is not None:
            session.radio = tunnel
            found.append(session)
    return _each("active", found)


def _path_switched(resolver: Resolver, message: Message) -> list[Part]:
    state = resolver.state
    known = state.connections.get(reading.number(message, "source_amf_ue_ngap_id"))
    if known is None:
        return []
    known.ran_id, known.station = reading.number(message, "ran_ue_ngap_id"), resolver.peer
    state.switching = True
    return _set_up(resolver, message)


def _handover_required(resolver: Resolver, message: Message) -> list[Part]:
    state, listed = resolver.state, [psi for psi, _ in reading.items(message)]
    path = "target_id.target_ran_node_id.global_ran_node_id.global_gnb_id.gnb_id.gnb_id"
    known = nodes.station(resolver.network, message.get(path))
    state.heard["target"] = known
    parts: list[Part] = [hint("target", KNOWN if known else UNKNOWN), *_policy(resolver, HANDOVER)]
    parts += hints.slices(state.allowed)
    state.wanted = [psi for psi in listed if psi in state.sessions and state.sessions[psi].there]
    for psi in state.wanted:
        parts += hints.session("wanted", state.sessions[psi], quality=True)
    return parts


def _handover_acknowledged(resolver: Resolver, message: Message) -> list[Part]:
    target = resolver.state.connections.get(reading.number(message, "amf_ue_ngap_id"))
    if target is not None:
        target.context = True
        target.ran_id, target.station = reading.number(message, "ran_ue_ngap_id"), resolver.peer or target.station
        for psi, item in reading.items(message):
            found = reading.tunnel(item)
            if found is not None:
                target.tunnels[psi] = found
    return []


def _handed_over(resolver: Resolver, message: Message) -> list[Part]:
    state, amf_id = resolver.state, reading.number(message, "amf_ue_ngap_id")
    target = state.connections.get(amf_id)
    if target is None or amf_id != state.target:
        return []
    source = state.connection
    target.count = source.count if source is not None else target.count
    state.container = None
    state.current, state.target = amf_id, None
    moved = [state.sessions[psi] for psi in target.tunnels if psi in state.sessions]
    for session in moved:
        session.radio = target.tunnels[session.psi]
    left = [known for known in state.sessions.values() if known.active and known not in moved]
    return [*_each("wanted", moved), *_each("active", left)]


def _handover_failed(resolver: Resolver, message: Message) -> list[Part]:
    return _released(resolver, message)


_TAKES: dict[str, Take] = {
    "UEContextReleaseRequest": _release_requested,
    "UEContextReleaseComplete": _released,
    "InitialContextSetupResponse": _set_up,
    "PDUSessionResourceSetupResponse": _set_up,
    "PathSwitchRequest": _path_switched,
    "HandoverRequired": _handover_required,
    "HandoverRequestAcknowledge": _handover_acknowledged,
    "HandoverNotify": _handed_over,
    "HandoverFailure": _handover_failed,
}

# ---------------------------------------------------------------- what nobody says


def happen(resolver: Resolver, stimulus: str, psi: int | None = None) -> list[Part]:
    """Returns the hints after something that nobody says; arguments as of the resolver."""
    state = resolver.state
    state.heard = {}
    if stimulus == timer("T1"):
        return sessions.give_up(resolver)
    if stimulus == event("decided"):
        decided = resolver.network.admission.settle_for(resolver, resolver.time)
        return settle(resolver, decided) if decided is not None else []
    if stimulus == event("overload"):
        return nodes.relief(resolver.network)
    connected = state.connection is not None
    parts: list[Part] = [hint("connection", "connected" if connected else "idle")]
    if stimulus in (command("deregister"), timer("implicit_deregistration")):
        return parts + (sessions.present(resolver) if not connected else [])
    if stimulus in map(command, OF_A_SESSION):
        return parts + sessions.chosen(resolver, psi)
    if stimulus == event("sessions_lost"):
        lost, state.lost = state.lost, []
        return parts + _each("unknown", lost)
    if stimulus == event("link_lost"):
        return lose(resolver)
    return parts


def lose(resolver: Resolver, station: str = "") -> list[Part]:
    """Returns the hints after the link to a base station, or to all, was lost; the connections are no more."""
    state = resolver.state
    state.heard = {}
    parts: list[Part] = [hint("connection", "connected" if state.connection is not None else "idle")]
    resolver.lose_connections([known for known in state.connections.values() if station in ("", known.station)])
    if state.fresh is not None and station in ("", state.fresh.station):
        state.fresh = None
    return parts + _each("active", [known for known in state.sessions.values() if known.active])
