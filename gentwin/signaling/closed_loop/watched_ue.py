"""A UE that notes how its procedures end, and what the core may not say to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from gentwin.signaling.closed_loop.outcomes import Expectation
from gentwin.signaling.closed_loop.watch import (
    AN_RELEASE,
    AUTHENTICATION,
    DEREGISTRATION,
    ESTABLISHMENT,
    EXPULSION,
    MODIFICATION,
    N2_HANDOVER,
    NOT_ALLOWED,
    NOT_AWAITED,
    OF_NAS,
    PAGING,
    REGISTRATIONS,
    RELEASE,
    REPLAYED,
    SERVICE,
    UNPROTECTED,
    UNREADABLE,
    WRONG_CODE,
    WRONG_IDENTITY,
    WRONG_TRANSACTION,
    WRONG_VALUE,
    XN_HANDOVER,
    Watch,
)
from gentwin.signaling.core import n1
from gentwin.signaling.core.configuration import NetworkConfiguration
from gentwin.signaling.core.gnb import Gnb, GnbConnection
from gentwin.signaling.core.links import Links
from gentwin.signaling.core.protection import NEW_CONTEXT, PROTECTED
from gentwin.signaling.core.radio import Radio
from gentwin.signaling.core.servers import Works
from gentwin.signaling.core.ue import DEREGISTERED, DEREGISTERING, REGISTERED, REGISTERING, SWITCHED_OFF, Ue, Usim
from gentwin.signaling.core.ue_security import MAC_FAILURE, SYNCHRONISATION_FAILURE
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import Message

MAY_BE_PLAIN = frozenset(
    {
        "IdentityRequest",
        "AuthenticationRequest",
        "AuthenticationResult",
        "AuthenticationReject",
        "RegistrationReject",
        "DeregistrationAcceptUEOriginating",
        "ServiceReject",
    }
)
"""Messages that a UE takes without protection. Source: 3GPP TS 24.501 clause 4.4.4.2."""

KEPT_TUNNELS = 8
_TIMERS = {ESTABLISHMENT: "t3580", MODIFICATION: "t3581", RELEASE: "t3582"}
_REQUESTS = {
    "PDUSessionEstablishmentRequest": ESTABLISHMENT,
    "PDUSessionModificationRequest": MODIFICATION,
    "PDUSessionReleaseRequest": RELEASE,
}


class WatchedUe(Ue):
    """User equipment that is watched.

    Args:
        network: It registers in.
        usim: Its subscription.
        station: It camps on.
        links: To send with.
        works: What takes time.
        radio: By which it reaches base stations.
        watch: To whom it tells.
    """

    def __init__(
        self,
        network: NetworkConfiguration,
        usim: Usim,
        station: Gnb,
        links: Links,
        works: Works,
        radio: Radio,
        watch: Watch,
    ) -> None:
        super().__init__(network, usim, station, links, works, radio)
        self._watch, self._ledger = watch, watch.ledger
        self.doubtful = False  # whether the core may not know what this UE knows
        self.packets_wait = False  # so that it may be paged
        self.former_tunnels: deque[tuple[str, int]] = deque(maxlen=KEPT_TUNNELS)
        self._taken = self._switched_off = self._resynchronises = False
        self._said: str | None = None
        self._closing: GnbConnection | None = None  # connection that the core releases when it is done
        watch.ues[usim.supi] = self
        self._judges: dict[str, Callable[[Message], None]] = {
            "RegistrationAccept": self._judge_acceptance,
            "RegistrationReject": self._judge_rejection,
            "AuthenticationRequest": self._judge_challenge,
            "AuthenticationReject": self._judge_authentication_reject,
            "IdentityRequest": self._judge_identity_request,
            "ServiceAccept": self._judge_service_accept,
            "ServiceReject": self._judge_service_reject,
            "DeregistrationAcceptUEOriginating": self._judge_deregistration_accept,
            "DeregistrationRequestUETerminated": self._judge_expulsion,
            "ConfigurationUpdateCommand": self._judge_update,
            "5GMMStatus": self._judge_status,
            "DLNASTransport": self._judge_transport,
        }
        self._session_judges: dict[str, Callable[[int, Message], None]] = {
            "PDUSessionEstablishmentAccept": self._judge_session,
            "PDUSessionEstablishmentReject": lambda psi, inner: self._end_session(ESTABLISHMENT, psi, inner),
            "PDUSessionModificationCommand": lambda psi, inner: self._commanded(MODIFICATION, psi, inner),
            "PDUSessionModificationReject": lambda psi, inner: self._end_session(MODIFICATION, psi, inner),
            "PDUSessionReleaseCommand": lambda psi, inner: self._commanded(RELEASE, psi, inner),
            "PDUSessionReleaseReject": lambda psi, inner: self._end_session(RELEASE, psi, inner),
        }

    @property
    def who(self) -> str:
        """SUPI."""
        return self.usim.supi

    def _violate(self, rule: str, detail: str, message: Message) -> None:
        self._ledger.violate(self.who, rule, detail, message.name)

    # ------------------------------------------------------------ what its own side does

    def disturb(self) -> None:
        """Notes that its side does something that may keep what is going on from its end."""
        self._ledger.disturb(self.who)
        self.doubtful = self.doubtful or self.state == REGISTERING

    @property
    def is_leaving(self) -> bool:
        """Whether its connection is about to end, or to become another one."""
        closing = self._closing is not None and self._closing is self.connection
        ways = AN_RELEASE, XN_HANDOVER, N2_HANDOVER
        return closing or any(self._ledger.is_going(name, self.who) for name in ways)

    def _start(self, name: str, seconds: float, expected: Expectation, key: object = None) -> None:
        self._ledger.begin(name, self.who, seconds, expected, key, self.is_leaving)

    def lose_radio(self) -> None:
        """Goes out of reach of the base station for a moment."""
        self.disturb()
        super().lose_radio()

    def _set_out(self, request: Message) -> bool:
        wanted, expectations = self._wanted(), self._watch.expectations
        if self._kind == "initial":
            expected = expectations.initial_registration(self.usim, wanted)
        else:
            expected = expectations.update(wanted, self.doubtful)
        self._ledger.abort(PAGING, self.who)
        name = REGISTRATIONS[self._kind]
        self._start(name, self._timing.t3510, expected)
        self._resynchronises = False
        sent = super()._set_out(request)
        if self.connection is None:
            self._ledger.abort(name, self.who)
        return sent

    def _begin(self, nas: Message, cause: str) -> bool:
        begun = super()._begin(nas, cause)
        if begun:
            self._ledger.abort(PAGING, self.who)
            self._note(nas["payload"] if nas.name == PROTECTED else nas)
        return begun

    def send_sealed(self, plain: Message) -> None:
        """Sends a message protected; not at all if there is no connection."""
        if self.security.end is not None and self.connection is not None:
            self._note(plain)
        super().send_sealed(plain)

    def _send(self, nas: Message) -> None:
        self._said = nas.name
        if nas.name == "AuthenticationFailure":
            self._judge_failure(nas)
        super()._send(nas)

    def _note(self, plain: Message) -> None:
        """Notes what it says, as far as that begins a procedure."""
        if plain.name == "ServiceRequest":
            self._start(SERVICE, self._timing.t3517, self._watch.expectations.service(self.doubtful))
        elif plain.name == "DeregistrationRequestUEOriginating":
            self._switched_off = bool(plain["deregistration_type.switch_off"])
            self._ledger.disturb(self.who)
            self._start(DEREGISTRATION, SWITCHED_OFF if self._switched_off else self._timing.t3521, Expectation())
        elif plain.name == "RegistrationComplete" and self._kind != "initial":
            self._closing = self.connection
        elif plain.name == "ULNASTransport":
            self._note_session(plain["payload_container"])

    def _note_session(self, inner: Message) -> None:
        name, psi, expectations = _REQUESTS.get(inner.name), inner["pdu_session_id"], self._watch.expectations
        session = self.sessions.get(psi)
        if name is None or session is None or self._ledger.is_going(name, self.who, psi):
            return  # what waited for a connection may be sent twice; what was not answered is not going on any more
        if name == ESTABLISHMENT:
            expected = expectations.session(self.usim, self.allowed, (session.slice, session.dnn, session.kind))
        else:
            expected = expectations.modification() if name == MODIFICATION else Expectation()
        self._start(name, getattr(self._timing, _TIMERS[name]), expected, psi)

    def _abandon(self) -> None:
        self._ledger.leave_all(self.who, OF_NAS)
        super()._abandon()

    def _abandon_service(self) -> None:
        self._ledger.leave_all(self.who, OF_NAS)
        super()._abandon_service()

    def released(self) -> None:
        """Takes the loss of its connection."""
        self._ledger.leave_all(self.who, OF_NAS)
        super().released()

    def _deregistered(self, message: Message | None) -> None:
        if self.state == DEREGISTERING and message is None:
            if self._switched_off and self.connection is None:
                self._ledger.complete(DEREGISTRATION, self.who)
            self._ledger.leave(DEREGISTRATION, self.who)
        super()._deregistered(message)

    # ------------------------------------------------------------ protection

    def receive(self, nas: Message) -> None:
        """Takes a NAS message."""
        self._taken, end = False, self.security.end
        if nas.name != PROTECTED and nas.name not in MAY_BE_PLAIN:
            self._violate(UNPROTECTED, "this message must be protected", nas)
        super().receive(nas)
        if nas.name != PROTECTED or nas["security_header_type"] == NEW_CONTEXT or self._taken:
            return
        if end is None:
            self._violate(WRONG_CODE, "there is no key set", nas)
            return
        again = end.open(nas)  # which was of no effect, since it is not right
        self._violate(
            *((REPLAYED, f"count {again.count}") if again.repeated else (WRONG_CODE, "not that of the key")), nas
        )

    def _secure(self, sealed: Message) -> None:
        self._said = None
        super()._secure(sealed)
        if self._said is None:
            self._violate(NOT_AWAITED, "no key set waits to be used", sealed)
        elif self._said == "SecurityModeReject":
            self._violate(WRONG_CODE, "or other capabilities than those of the UE", sealed)
        else:
            self._ledger.complete(AUTHENTICATION, self.who)
            told = sealed["payload"].get("ng_ksi.ksi")
            if told != self.security.end.ksi:
                self._violate(WRONG_VALUE, f"key set {told}, but {self.security.end.ksi} was agreed", sealed)

    def take(self, message: Message, known: dict[str, Callable[[Message], None]]) -> None:
        """Takes a NAS message that is not to be doubted."""
        self._taken = True
        judge = self._judges.get(message.name)
        if judge is None:
            self._violate(NOT_ALLOWED, "no such message is for a UE", message)
        else:
            judge(message)
        super().take(message, known)

    # ------------------------------------------------------------ authentication

    def _judge_challenge(self, message: Message) -> None:
        if self.state == DEREGISTERED:
            self._violate(NOT_AWAITED, "the UE is deregistered", message)
        if message.get("ng_ksi.ksi", n1.NO_KEYS) == n1.NO_KEYS:
            self._violate(WRONG_VALUE, "a challenge names its key set", message)
        if self._resynchronises:
            self._resynchronises = False
            return
        right = self._watch.expectations.has_right_key(self.usim)
        self._start(AUTHENTICATION, self._timing.t3510, Expectation() if right else Expectation.rejection(None))

    def _judge_failure(self, failure: Message) -> None:
        """Notes why a challenge is refused, if it should not be."""
        cause, right = failure["cause_5gmm"], self._watch.expectations.has_right_key(self.usim)
        if cause == SYNCHRONISATION_FAILURE and self.usim.sqn:
            self._resynchronises = True
        elif right or cause != MAC_FAILURE:
            challenge = Message(failure.protocol, "AuthenticationRequest")
            self._violate(WRONG_VALUE, f"AUTN, which the UE answers with cause {cause}", challenge)

    def _judge_authentication_reject(self, message: Message) -> None:
        self._ledger.reject(AUTHENTICATION, self.who, None)
        if not self._ledger.reject(REGISTRATIONS[self._kind], self.who, None):
            self._violate(NOT_AWAITED, f"the UE is {self.state}", message)

    def _judge_identity_request(self, message: Message) -> None:
        if self.state != REGISTERING:
            self._violate(NOT_AWAITED, f"the UE is {self.state}", message)

    # ------------------------------------------------------------ registration and service

    def _judge_acceptance(self, message: Message) -> None:
        if not self._ledger.complete(REGISTRATIONS[self._kind], self.who):
            self._violate(NOT_AWAITED, f"the UE is {self.state}, and no registration is going on", message)
        allowed = tuple(n1.read_slice(entry) for entry in message.get("allowed_nssai", Fields()).all("s_nssai"))
        if not allowed or not self._watch.expectations.may_use(self.usim, allowed):
            self._violate(WRONG_VALUE, f"allowed slices {allowed}", message)
        self._judge_identity(message, needed=self._kind == "initial")
        self.doubtful = self.packets_wait = False

    def _judge_identity(self, message: Message, needed: bool) -> None:
        """Checks the temporary identity that the UE is given."""
        guti = message.get("guti")
        if guti is None:
            if needed:
                self._violate(WRONG_VALUE, "no temporary identity", message)
            return
        other = self._radio.by_tmsi.get(int.from_bytes(guti["tmsi"]))
        if other is not None and other is not self and other.state == REGISTERED:
            self._violate(WRONG_IDENTITY, f"5G-TMSI {guti['tmsi'].hex()} is that of {other.usim.supi}", message)

    def _judge_rejection(self, message: Message) -> None:
        if not self._ledger.reject(REGISTRATIONS[self._kind], self.who, message["cause_5gmm"]):
            self._violate(NOT_AWAITED, f"the UE is {self.state}, and no registration is going on", message)

    def _judge_service_accept(self, message: Message) -> None:
        self.packets_wait = False
        if not self._ledger.complete(SERVICE, self.who):
            self._violate(NOT_AWAITED, "no service was asked for", message)

    def _judge_service_reject(self, message: Message) -> None:
        if not self._ledger.reject(SERVICE, self.who, message["cause_5gmm"]):
            self._violate(NOT_AWAITED, "no service was asked for", message)

    def _judge_update(self, message: Message) -> None:
        if self.state != REGISTERED:
            self._violate(NOT_AWAITED, f"the UE is {self.state}", message)
        self._judge_identity(message, needed=False)

    def _judge_deregistration_accept(self, message: Message) -> None:
        if self._switched_off or not self._ledger.complete(DEREGISTRATION, self.who):
            self._violate(NOT_AWAITED, "no answer to a deregistration is awaited", message)

    def _judge_expulsion(self, message: Message) -> None:
        self._ledger.disturb(self.who)
        if ("deregister", self.who) not in self._watch.asked:
            self._violate(NOT_AWAITED, "nobody asked the core to deregister the UE", message)
        elif not self._ledger.complete(EXPULSION, self.who):
            self._violate(NOT_AWAITED, "the UE was told before", message)

    # ------------------------------------------------------------ sessions

    def _judge_status(self, message: Message) -> None:
        """A status names no session: it is taken for the last that may be rejected so."""
        cause = message["cause_5gmm"]
        psi = self._ledger.latest(ESTABLISHMENT, self.who, cause)
        asked = any(session.state == "asked" for session in self.sessions.values())
        if not self._ledger.reject(ESTABLISHMENT, self.who, cause, psi) and not asked:
            self._violate(NOT_AWAITED, f"cause {cause}, and nothing that it could be about", message)

    def _judge_transport(self, message: Message) -> None:
        inner, psi, cause = message["payload_container"], message.get("pdu_session_id"), message.get("cause_5gmm")
        if cause is not None:
            if not any(self._ledger.reject(name, self.who, cause, psi) for name in _TIMERS):
                self._violate(NOT_AWAITED, f"PDU session {psi}: nothing was sent that could come back", message)
        elif not isinstance(inner, Message):
            self._violate(UNREADABLE, "the payload is no session message", message)
        elif inner.name not in self._session_judges:
            self._violate(NOT_ALLOWED, f"{inner.name} is not for a UE", message)
        elif inner["pdu_session_id"] != psi:
            self._violate(WRONG_IDENTITY, f"PDU session {psi} outside, {inner['pdu_session_id']} inside", inner)
        else:
            self._session_judges[inner.name](psi, inner)

    def _judge_session(self, psi: int, inner: Message) -> None:
        session, address = self.sessions.get(psi), inner.get("pdu_address.ipv4_address", "")
        if session is None or session.pti != inner["pti"]:
            self._violate(WRONG_TRANSACTION, f"PDU session {psi}, transaction {inner['pti']}", inner)
        owner = self._watch.upf.owner_of(address)
        if owner is not None and owner != self.who:
            self._violate(WRONG_VALUE, f"{address} is the address of {owner}", inner)
        if not self._ledger.complete(ESTABLISHMENT, self.who, psi):
            self._violate(NOT_AWAITED, f"PDU session {psi} is not asked for", inner)

    def _end_session(self, name: str, psi: int, inner: Message) -> None:
        session = self.sessions.get(psi)
        if session is None or session.pti != inner["pti"]:
            self._violate(WRONG_TRANSACTION, f"PDU session {psi}, transaction {inner['pti']}", inner)
        if not self._ledger.reject(name, self.who, inner["cause_5gsm"], psi):
            self._violate(NOT_AWAITED, f"PDU session {psi}", inner)

    def _commanded(self, name: str, psi: int, inner: Message) -> None:
        """Judges a command about a session, which answers a request of the UE or comes from the network."""
        session, pti = self.sessions.get(psi), inner["pti"]
        if session is None or session.state != "there":
            self._violate(WRONG_IDENTITY, f"there is no PDU session {psi}", inner)
        elif pti and pti != session.pti:
            self._violate(WRONG_TRANSACTION, f"PDU session {psi}, transaction {pti}, but {session.pti} is open", inner)
        elif pti and not self._ledger.complete(name, self.who, psi):
            self._violate(NOT_AWAITED, f"PDU session {psi}", inner)
