"""What a core learns of PDU sessions: from UEs on N1, from the user plane on N4."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gentwin.signaling.core.policy import MODIFICATION, SESSION, Decision
from gentwin.signaling.dialogue.hints import hint
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import Message
from gentwin.signaling.resolver import hints, reading
from gentwin.signaling.resolver.hints import Part
from gentwin.signaling.resolver.state import Connection, Request, Session, Tunnel

if TYPE_CHECKING:
    from gentwin.signaling.core.subscribers import Subscription
    from gentwin.signaling.resolver.resolver import Resolver

IP_KINDS = ("ipv4", "ipv6", "ipv4v6")
FEW = 2


def present(resolver: Resolver, active_first: bool = False) -> list[Part]:
    """Returns the hints of all sessions that there are.

    Args:
        resolver: Of the context.
        active_first: Whether those whose user plane is there come first; else in the order in which they began.
    """
    there = [known for known in resolver.state.sessions.values() if known.there]
    if active_first:
        there.sort(key=lambda known: not known.active)
    return [part for of in there for part in hints.session("active" if of.active else "inactive", of)]


def chosen(resolver: Resolver, psi: int | None) -> list[Part]:
    """Returns the hint of the session that a command is about.

    Args:
        resolver: Of the context.
        psi: Its identity; the lowest one if not given.
    """
    there = {known.psi: known for known in resolver.state.sessions.values() if known.there}
    session = there.get(min(there, default=0) if psi is None else psi)
    if session is None:
        return [hint("session", "unknown")]
    return hints.session("active" if session.active else "inactive", session)


# ---------------------------------------------------------------- N1


def _establishes(resolver: Resolver, transport: Message, message: Message) -> list[Part]:
    state, subscriber = resolver.state, resolver.subscriber
    psi, pti = reading.number(message, "pdu_session_id"), reading.number(message, "pti")
    if psi is None or subscriber is None:
        return []
    of = reading.slice_of(transport.get("s_nssai")) or (state.allowed[0] if state.allowed else None)
    default = subscriber.subscriptions[0].dnn if subscriber.subscriptions else ""
    dnn = reading.text(transport, "dnn") or default
    session = Session(psi, pti or 0, of, dnn)
    state.transactions[psi] = pti or 0
    found = subscriber.find(of, dnn) if of is not None else None
    if any(request.psi == psi and request.procedure == SESSION for request in state.waiting):
        return [hint("policy", "wait")]
    for known in [known for known in state.asked if known.psi == psi and not known.seid]:  # asked for once more
        state.asked.remove(known)
        count(resolver, known, False)
    state.asked.append(session)
    parts: list[Part] = []
    old = state.sessions.get(psi)
    if old is not None and old.there:
        parts += hints.session("exists", old)
    if of is None or of not in state.allowed:
        return [*parts, hint("session", "slice_not_allowed")]
    if found is None:
        return [*parts, hint("session", "unknown_dnn")]
    _subscribe(session, found)
    decided = ask(resolver, SESSION, session, (session.uplink, session.downlink))
    if decided.admitted:
        count(resolver, session)
    if not _suits(reading.text(message, "pdu_session_type") or "ipv4", found):
        parts += [hint("session", "type_not_allowed"), *(f"pdu_session_type={kind}" for kind in session.kinds)]
    else:
        parts += hints.session("granted", session, quality=True)
    return [*parts, *hints.decision(decided, "cause_5gsm")]


def ask(
    resolver: Resolver,
    procedure: str,
    session: Session | None = None,
    rates: tuple[int, int] = (0, 0),
    counted: bool = False,
) -> Decision:
    """Returns what the policy says about something that a UE asks for.

    Args:
        resolver: Of the context.
        procedure: As in [`Situation`][gentwin.signaling.core.policy.Situation].
        session: It is about; None if it is about none.
        rates: Uplink and downlink in bit/s that it needs.
        counted: Whether the load counts the UE as registering already.
    """
    connection = resolver.state.connection or Connection()
    request = Request(procedure, resolver.time, resolver.time, 0, rates=rates, counted=counted)
    request.amf_id, request.ran_id, request.station = connection.amf_id, connection.ran_id, connection.station
    if session is not None:
        request.slice, request.dnn, request.psi = session.slice, session.dnn, session.psi
        request.priority = session.priority
    found = resolver.network.admission.ask(resolver, request)
    resolver.state.heard["back_off"] = found.back_off
    return found


def settle(resolver: Resolver, request: Request, admitted: bool) -> None:
    """Takes the decision on a session that waited."""
    session = next((known for known in resolver.state.asked if known.psi == request.psi), None)
    if session is not None and admitted:
        count(resolver, session)


def _subscribe(session: Session, found: Subscription) -> None:
    """Gives a session what is subscribed."""
    session.five_qi, session.priority = found.five_qi, found.priority
    session.uplink, session.downlink, session.kinds = found.uplink, found.downlink, found.session_types
    session.address = found.address or ""


def _suits(kind: str, found: Subscription) -> bool:
    """Returns whether a type of session that is asked for is allowed, or one that may be given in its place."""
    if kind == "ipv4v6":
        return any(known in IP_KINDS for known in found.session_types)
    return kind in found.session_types


def _modifies(resolver: Resolver, transport: Message, message: Message) -> list[Part]:
    session = _known(resolver, message)
    if session is None:
        return [hint("session", "unknown")]
    decided = ask(resolver, MODIFICATION, session)
    value = "active" if session.active else "inactive"
    parts = hints.session(value, session)
    return [*parts, *hints.decision(decided, "cause_5gsm")]


def _releases(resolver: Resolver, transport: Message, message: Message) -> list[Part]:
    session = _known(resolver, message)
    if session is None:
        return [hint("session", "unknown")]
    return hints.session("active" if session.active else "inactive", session)


def _known(resolver: Resolver, message: Message) -> Session | None:
    """Returns the session that a UE speaks of; None if there is none."""
    psi = reading.number(message, "pdu_session_id")
    if psi is None:
        return None
    resolver.state.transactions[psi] = reading.number(message, "pti") or 0
    session = resolver.state.sessions.get(psi)
    return session if session is not None and session.there else None


def _completes(resolver: Resolver, transport: Message, message: Message) -> list[Part]:
    resolver.state.transactions.pop(reading.number(message, "pdu_session_id"), None)
    return []


Ask = Callable[["Resolver", Message, Message], list[Part]]
ASKS: dict[str, Ask] = {
    "PDUSessionEstablishmentRequest": _establishes,
    "PDUSessionModificationRequest": _modifies,
    "PDUSessionReleaseRequest": _releases,
    "PDUSessionModificationComplete": _completes,
    "PDUSessionModificationCommandReject": _completes,
    "PDUSessionReleaseComplete": _completes,
}
"""By name of a message about a session, what takes it, in its transport, and returns the hints after it."""

# ---------------------------------------------------------------- N4


def _answered(resolver: Resolver, message: Message) -> tuple[str, int]:
    """Returns name and session of the request that is answered; that of none has no name."""
    name, psi = resolver.state.unanswered.pop(reading.number(message, "sequence_number") or 0, ("", 0))
    resolver.state.heard["psi"] = psi or None
    return name, psi


def _going_on(resolver: Resolver) -> list[Part]:
    """Returns the hints of what the core waits for: that a UE may leave, and answers of the user plane."""
    state, count = resolver.state, len(resolver.state.unanswered)
    parts: list[Part] = [hint("deregistration", state.leaving)] if state.leaving else []
    return [*parts, hint("unanswered", str(count) if count <= FEW else "more")]


def give_up(resolver: Resolver) -> list[Part]:
    """Returns the hints after the oldest request to the user plane is given up."""
    state = resolver.state
    number = next(iter(state.unanswered), None)
    if number is None:
        return []
    name, psi = state.unanswered.pop(number)
    if name == "SessionDeletionRequest":
        ended = next((entry for entry in state.ending if entry.psi == psi), None)
        if ended is not None:
            _forget(resolver, ended)
    known = [*state.sessions.values(), *state.asked]
    session = next((entry for entry in known if entry.psi == psi), None)
    if session is not None and not session.there:
        count(resolver, session, False)
    parts = hints.session("inactive", session) if session is not None else []
    return [*parts, *_going_on(resolver)]


def _established(resolver: Resolver, message: Message) -> list[Part]:
    state = resolver.state
    _, psi = _answered(resolver, message)
    session = state.by_seid(reading.number(message, "seid"))
    if session is None:
        session = next((known for known in state.asked if known.psi == psi), None)
    if session is None or message.get("cause") != "request_accepted":
        if session is not None:
            count(resolver, session, False)
        return _going_on(resolver)
    session.peer_seid = reading.number(message, "f_seid.seid") or 0
    session.user = _user_tunnel(session, message)
    _begin(resolver, session)
    return [*hints.session("wanted", session, quality=True), *hints.context(state.connection), *_going_on(resolver)]


def _user_tunnel(session: Session, message: Message) -> Tunnel | None:
    """Returns the end at the user plane for packets of the base station."""
    rules = [rule for rule in message.fields.all("created_pdr") if isinstance(rule, Fields)]
    rules.sort(key=lambda rule: rule.get("pdr_id") != session.access)
    found = (reading.user_tunnel(reading.group(rule, "f_teid")) for rule in rules)
    return next((tunnel for tunnel in found if tunnel is not None), None)


def _begin(resolver: Resolver, session: Session) -> None:
    """Takes note that the user plane has a session."""
    state = resolver.state
    if session in state.asked:
        state.asked.remove(session)
    old = state.sessions.get(session.psi)
    if old is not None and old is not session:
        end(resolver, old)
    state.sessions.pop(session.psi, None)
    state.sessions[session.psi] = session
    if session.psi in state.lingering:
        state.lingering.remove(session.psi)
    if not session.there:
        session.there = True
        count(resolver, session)


def count(resolver: Resolver, session: Session, there: bool = True) -> None:
    """Lets the load of the core count a session, once, or no longer."""
    if session.counted != there and session.slice is not None:
        session.counted = there
        rates = session.uplink, session.downlink
        resolver.network.load.add_session(session.slice, rates, 1 if there else -1)


def change_rates(resolver: Resolver, session: Session, uplink: int, downlink: int) -> None:
    """Gives a session other rates, in bit/s."""
    if session.counted and session.slice is not None:
        growth = uplink - session.uplink, downlink - session.downlink
        resolver.network.load.add_rates(session.slice, *growth)
    session.uplink, session.downlink = uplink, downlink


def end(resolver: Resolver, session: Session) -> None:
    """Takes note that a session is to be deleted."""
    state = resolver.state
    if state.sessions.get(session.psi) is session:
        del state.sessions[session.psi]
    if session.there:
        session.there = False
        state.ending.append(session)
    if session.psi in state.wanted:
        state.wanted.remove(session.psi)


def _modified(resolver: Resolver, message: Message) -> list[Part]:
    state = resolver.state
    _, psi = _answered(resolver, message)
    session = state.sessions.get(psi)
    parts: list[Part] = []
    if session is not None and session.rated:
        session.rated = False
        parts += hints.session("active" if session.active else "inactive", session)
    if state.switching and not state.unanswered:
        parts += hints.slices(state.allowed)
        for known in state.sessions.values():
            parts += hints.session("active", known) if known.active else []
    return [*parts, *_going_on(resolver)]


def _deleted(resolver: Resolver, message: Message) -> list[Part]:
    state = resolver.state
    _answered(resolver, message)
    session = state.by_seid(reading.number(message, "seid"))
    if session is None or session not in state.ending:
        return _going_on(resolver)
    _forget(resolver, session)
    return [*hints.session("active" if session.active else "inactive", session), *_going_on(resolver)]


def _forget(resolver: Resolver, session: Session) -> None:
    """Takes note that a session is deleted: its identifiers may be given to others."""
    resolver.state.ending.remove(session)
    free(resolver, session)


def free(resolver: Resolver, session: Session) -> None:
    """Gives back the identifiers of a session that is no more."""
    count(resolver, session, False)
    allocators = resolver.network.allocators
    resolver.network.release("SEID", session.seid, resolver)
    allocators.free("SEID", session.seid)
    allocators.free("TEID", session.control)
    if session.address:
        allocators.free("UE_IP", session.address, session.dnn)


def lose(resolver: Resolver) -> bool:
    """Takes note that the user plane has lost all sessions; returns whether there is a UE that is connected to tell."""
    state = resolver.state
    lost = [known for known in state.sessions.values() if known.there]
    for session in lost:
        end(resolver, session)
        _forget(resolver, session)
    state.lost = lost if state.connection is not None else []
    return bool(state.lost)


def _reported(resolver: Resolver, message: Message) -> list[Part]:
    state = resolver.state
    session = state.by_seid(reading.number(message, "seid"))
    connected = state.connection is not None
    parts: list[Part] = [hint("connection", "connected" if connected else "idle")]
    if session is None or not session.there:
        return [*parts, hint("session", "unknown")]
    if session.psi not in state.wanted:
        state.wanted.append(session.psi)
    return [*parts, *hints.session("wanted", session, quality=True), *hints.context(state.connection)]


TAKES: dict[str, Callable[[Resolver, Message], list[Part]]] = {
    "SessionEstablishmentResponse": _established,
    "SessionModificationResponse": _modified,
    "SessionDeletionResponse": _deleted,
    "SessionReportRequest": _reported,
}
"""By name of a message of the user plane about a session, what takes it and returns the hints after it."""
