"""What a core knows after it has said something."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gentwin.signaling.fields import Bits, Fields
from gentwin.signaling.messages import PFCP, Message
from gentwin.signaling.resolver import reading, sessions
from gentwin.signaling.resolver.protection import PROTECTED
from gentwin.signaling.resolver.state import DEREGISTERED, REGISTERED, REGISTERING, Connection, Session
from gentwin.signaling.turns.names import ACTIVATION, DEACTIVATION, names_of, nas_of, plain

if TYPE_CHECKING:
    from gentwin.signaling.resolver.resolver import Resolver

RESPONSE = "Response"
SESSION_COMMANDS = frozenset({"PDUSessionModificationCommand", "PDUSessionReleaseCommand"})


def prepare(resolver: Resolver, nas: Message) -> None:
    """Makes the key set that a protected security mode command is the first to use."""
    inner = nas.get("payload") if nas.name == PROTECTED else None
    if isinstance(inner, Message) and inner.name == "SecurityModeCommand":
        resolver.protection.command(inner, resolver.state.supi)


def follow(resolver: Resolver, message: Message) -> None:
    """Lets a context learn from what the core says.

    Args:
        resolver: Of the context.
        message: With NAS opened.
    """
    if message.protocol == PFCP:
        _pfcp(resolver, message)
        return
    _connect(resolver, message)
    known = resolver.state.connections.get(reading.number(message, "amf_ue_ngap_id"))
    if known is not None and message.get("ue_aggregate_maximum_bit_rate") is not None:
        known.ambr_told = True
    for nas in nas_of(message):
        inner = plain(nas)
        take = _NAS.get(inner.name) if inner is not None else None
        if take:
            take(resolver, inner)
    take = _TAKES.get(message.name)
    if take:
        take(resolver, message)


def register(resolver: Resolver) -> None:
    """Makes all identifiers of a context known in its network, and takes note that they are in use."""
    state, network = resolver.state, resolver.network
    if state.supi:
        network.claim("SUPI", state.supi, resolver)
    for amf_id in state.connections:
        network.claim("AMF_UE_ID", amf_id, resolver)
        network.allocators.claim("AMF_UE_ID", amf_id)
    for tmsi in state.tmsis:
        network.claim("TMSI", tmsi, resolver)
        network.allocators.claim("TMSI", tmsi)
    for session in (*state.sessions.values(), *state.asked, *state.ending):
        if session.seid:
            network.claim("SEID", session.seid, resolver)
            network.allocators.claim("SEID", session.seid)
        if session.control:
            network.allocators.claim("TEID", session.control)
        if session.address:
            network.allocators.claim("UE_IP", session.address, session.dnn)
        if session.counted and session.slice is not None:
            network.load.add_session(session.slice, (session.uplink, session.downlink))
    for request in state.waiting:
        network.admission.keep(resolver, request)


# ---------------------------------------------------------------- N2


def _connect(resolver: Resolver, message: Message) -> None:
    """Takes note of the connection that a message is the first of."""
    state = resolver.state
    amf_id, ran_id = reading.number(message, *reading.AMF_IDS), reading.number(message, *reading.RAN_IDS)
    if amf_id is None or amf_id in state.connections:
        return
    fresh = state.fresh
    if message.name == "HandoverRequest":
        state.target = amf_id
        state.connections[amf_id] = Connection(state.heard.get("target", ""), None, amf_id)
    elif fresh is not None and ran_id in (None, fresh.ran_id):
        fresh.amf_id, state.fresh, state.current = amf_id, None, amf_id
        state.connections[amf_id] = fresh
    else:
        return
    resolver.network.claim("AMF_UE_ID", amf_id, resolver)


def _set_up_context(resolver: Resolver, message: Message) -> None:
    key = message.get("security_key")
    if isinstance(key, Bits):
        resolver.state.key, resolver.state.chain = key.value.to_bytes(32, "big"), 0
    resolver.state.wanted.clear()


def _end_switch(resolver: Resolver, message: Message) -> None:
    resolver.state.switching = False
    _give_next_hop(resolver, message)


def _give_next_hop(resolver: Resolver, message: Message) -> None:
    key, count = message.get("security_context.next_hop_nh"), message.get("security_context.next_hop_chaining_count")
    if isinstance(key, Bits) and isinstance(count, int):
        resolver.state.key, resolver.state.chain = key.value.to_bytes(32, "big"), count
    if message.name == "HandoverRequest":
        resolver.state.wanted.clear()


def _set_up_sessions(resolver: Resolver, message: Message) -> None:
    wanted = resolver.state.wanted
    for psi, _ in reading.items(message):
        if psi in wanted:
            wanted.remove(psi)


_TAKES: dict[str, Callable[[Resolver, Message], None]] = {
    "InitialContextSetupRequest": _set_up_context,
    "HandoverRequest": _give_next_hop,
    "PathSwitchRequestAcknowledge": _end_switch,
    "PathSwitchRequestFailure": _end_switch,
    "PDUSessionResourceSetupRequest": _set_up_sessions,
}

# ---------------------------------------------------------------- NAS


def _challenge(resolver: Resolver, message: Message) -> None:
    state, subscriber = resolver.state, resolver.subscriber
    ksi = message.get("ng_ksi.ksi")
    state.ksi = ksi if isinstance(ksi, int) else state.ksi
    if subscriber is not None:
        resolver.protection.follow_challenge(subscriber, message.get("rand"), message.get("autn"))


def _accept(resolver: Resolver, message: Message) -> None:
    state = resolver.state
    state.allowed = reading.slices(message, "allowed_nssai") or state.allowed
    if not _rename(resolver, message):
        resolver.enter(REGISTERED)


def _update(resolver: Resolver, message: Message) -> None:
    _rename(resolver, message)


def _rename(resolver: Resolver, message: Message) -> bool:
    """Takes note of a new temporary identity; returns whether there is one."""
    tmsi, names = message.get("guti.tmsi"), resolver.state.tmsis
    if not isinstance(tmsi, bytes):
        return False
    if tmsi in names:
        names.remove(tmsi)
    names.insert(0, tmsi)
    resolver.network.claim("TMSI", tmsi, resolver)
    return True


def _reject(resolver: Resolver, message: Message) -> None:
    """Takes a rejection: whoever was registered before is so still, for it may be somebody else who asked."""
    if resolver.state.phase == REGISTERING:
        resolver.enter(DEREGISTERED)


def _leave(resolver: Resolver, message: Message) -> None:
    resolver.enter(DEREGISTERED)


def _carry(resolver: Resolver, message: Message) -> None:
    """Takes a message about a session that is not to be."""
    inner = reading.inner(message, "payload_container")
    if inner is None:
        return
    psi, transactions = reading.number(inner, "pdu_session_id"), resolver.state.transactions
    if inner.name in SESSION_COMMANDS:
        transactions[psi] = transactions.pop(psi, 0)  # the latest is the last
    elif transactions.get(psi) == inner.get("pti"):
        transactions.pop(psi, None)
    if inner.name == "PDUSessionEstablishmentReject":
        _drop(resolver, psi)
    elif inner.name == "PDUSessionEstablishmentRequest":
        _turn_down(resolver, psi)


def _told(resolver: Resolver, message: Message) -> None:
    """Takes the report of an error, which is about the session asked for last, if it is about one."""
    psi = resolver.state.heard.get("psi")
    if psi is not None:
        _turn_down(resolver, psi)


def _turn_down(resolver: Resolver, psi: int | None) -> None:
    """Takes that a session in no data network of the UE is not to be; some cores tell the UE of it all the same."""
    state = resolver.state
    keeps = resolver.network.configuration.flavour.keeps_refused_sessions
    if _drop(resolver, psi) and keeps and psi not in state.sessions and psi not in state.lingering:
        state.lingering.append(psi)


def _drop(resolver: Resolver, psi: int | None) -> bool:
    """Takes that a session that was asked for is not to be; returns whether it was asked for."""
    asked = resolver.state.asked
    found = next((session for session in asked if session.psi == psi), None)
    if found is None:
        return False
    asked.remove(found)
    sessions.count(resolver, found, False)
    return True


_NAS: dict[str, Callable[[Resolver, Message], None]] = {
    "AuthenticationRequest": _challenge,
    "AuthenticationReject": _reject,
    "RegistrationAccept": _accept,
    "RegistrationReject": _reject,
    "ConfigurationUpdateCommand": _update,
    "DLNASTransport": _carry,
    "5GMMStatus": _told,
    "DeregistrationRequestUETerminated": _leave,
}

# ---------------------------------------------------------------- N4


def _pfcp(resolver: Resolver, message: Message) -> None:
    if message.name == "AssociationSetupRequest":
        resolver.network.claim("NODE", resolver.network.configuration.upf_address, resolver)
    if not message.name.startswith("Session") or message.name.endswith(RESPONSE):
        return
    state, number = resolver.state, reading.number(message, "sequence_number")
    if message.name == "SessionEstablishmentRequest":
        session = _establishes(resolver, message)
    else:
        session = state.by_peer_seid(reading.number(message, "seid"))
    if number is not None:
        state.unanswered[number] = message.name, session.psi if session is not None else 0
    if session is None:
        return
    state.heard.setdefault("sent", []).append((message.name, session.psi))
    names = names_of(message)
    if DEACTIVATION in names:
        session.active = False
    elif ACTIVATION in names:
        session.active = True
    for limit in message.fields.all("update_qer"):
        _rate(resolver, session, limit)
    if message.name == "SessionDeletionRequest":
        sessions.end(resolver, session)


def _rate(resolver: Resolver, session: Session, limit: object) -> None:
    """Takes note of rates that are not those of the subscription."""
    rates = reading.group(limit, "mbr") if isinstance(limit, Fields) else Fields()
    uplink, downlink = rates.get("uplink"), rates.get("downlink")
    if not isinstance(uplink, int) or not isinstance(downlink, int):
        return
    session.rated = True
    if (session.uplink // 1000, session.downlink // 1000) != (uplink, downlink):
        sessions.change_rates(resolver, session, 1000 * uplink, 1000 * downlink)


def _establishes(resolver: Resolver, message: Message) -> Session | None:
    """Returns the session that is established: the first that was asked for in its data network."""
    dnn = reading.text(message, "apn_dnn")
    session = asked_for(resolver, message)
    if session is None:
        return None
    session.dnn = dnn or session.dnn
    session.seid = reading.number(message, "f_seid.seid") or session.seid
    for name, rule in message.fields:
        if name == "create_pdr" and isinstance(rule, Fields):
            detection = reading.group(rule, "pdi")
            if detection.get("source_interface") == "access" and session.access is None:
                session.access = reading.number(rule, "pdr_id")
            session.address = reading.text(detection, "ue_ip_address.ipv4") or session.address
        elif name == "create_far" and isinstance(rule, Fields):
            header = reading.group(rule, "forwarding_parameters.outer_header_creation")
            found = reading.user_tunnel(header)
            session.control = found[1] if found is not None else session.control
    resolver.network.claim("SEID", session.seid, resolver)
    return session


def asked_for(resolver: Resolver, message: Message) -> Session | None:
    """Returns the session that an establishment on N4 is for; None if none was asked for.

    Args:
        resolver: Of the context.
        message: That establishes it, with slots or without.
    """
    state = resolver.state
    seid, dnn, psi = reading.number(message, "f_seid.seid"), reading.text(message, "apn_dnn"), state.heard.get("psi")
    again = [known for known in state.asked if seid and known.seid == seid]
    fresh = [known for known in state.asked if not known.seid]
    order = sorted(fresh, key=lambda known: (bool(dnn) and known.dnn != dnn, known.psi != psi, not known.downlink))
    return next(iter([*again, *order]), None)
