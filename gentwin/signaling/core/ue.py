"""UE: registers, keeps its sessions, moves, and answers what the core asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gentwin.signaling.core import n1
from gentwin.signaling.core.clock import Timers
from gentwin.signaling.core.configuration import NetworkConfiguration, Slice
from gentwin.signaling.core.links import Links
from gentwin.signaling.core.protection import CIPHERED_NEW_CONTEXT, INTEGRITY, NEW_CONTEXT, PROTECTED, NasEnd
from gentwin.signaling.core.ue_sessions import UeSession, UeSessions
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import Message
from gentwin.signaling.security import (
    Direction,
    Milenage,
    NasSecurityContext,
    SequenceNumbers,
    answer_challenge,
    check_autn,
    derive_k_amf,
    derive_k_seaf,
    make_auts,
    serving_network_name,
)

if TYPE_CHECKING:
    from gentwin.signaling.core.gnb import Gnb, GnbConnection

DEREGISTERED, REGISTERING, REGISTERED, DEREGISTERING = "deregistered", "registering", "registered", "deregistering"
SIGNALLING, DATA, TERMINATED = "mo-Signalling", "mo-Data", "mt-Access"
MAC_FAILURE, NOT_5G, SYNCHRONISATION_FAILURE = 20, 26, 21
SWITCHED_OFF = 2.0  # seconds until a UE that is switched off is gone
FATAL = frozenset({3, 5, 6, 7, 11, 12, 13, 15, 27, 62, 72})  # causes after which a UE does not try again
IDENTITY_LOST = frozenset({9, 10})


@dataclass(frozen=True, slots=True)
class Usim:
    """What a UE knows of its subscription.

    Args:
        supi: Digits of the IMSI.
        k: Key, 16 bytes.
        opc: Operator variant, 16 bytes.
        imeisv: Of the device, 16 digits.
        slices: That it requests.
        session: Slice and data network of the session it asks for after registration; None for none.
        algorithms: That it knows.
        session_type: That it asks for.
        sqn: Highest sequence number that was accepted.
    """

    supi: str
    k: bytes
    opc: bytes
    imeisv: str
    slices: tuple[Slice, ...] = (Slice(1),)
    session: tuple[Slice, str] | None = (Slice(1), "internet")
    algorithms: Fields = n1.ALL_ALGORITHMS
    session_type: str = "ipv4"
    sqn: int = 0


class Ue:
    """User equipment.

    Args:
        network: It registers in.
        usim: Its subscription.
        station: It camps on.
        links: For delays.
        by_tmsi: UEs by the temporary identity to which they listen; this one keeps itself there.
    """

    def __init__(
        self, network: NetworkConfiguration, usim: Usim, station: Gnb, links: Links, by_tmsi: dict[int, Ue]
    ) -> None:
        self.network, self.usim, self.station, self.links = network, usim, station, links
        self.algorithms = usim.algorithms
        self.state = DEREGISTERED
        self.connection: GnbConnection | None = None
        self.tmsi: int | None = None
        self._procedures = UeSessions(self)
        self.sessions: dict[int, UeSession] = self._procedures.sessions
        self.allowed: tuple[Slice, ...] = ()
        self.rejected: tuple[Slice, ...] = ()
        self.tac: str | None = None
        self.timers = Timers(links.clock)
        self.barred = False
        self.changed: Callable[[Ue], None] = lambda ue: None
        self._milenage = Milenage(usim.k, usim.opc)
        seq, index = usim.sqn >> 5, usim.sqn % 32
        self._accepted = SequenceNumbers(tuple(seq if place == index else 0 for place in range(32)))
        self._serving = serving_network_name(network.mcc, network.mnc)
        self._timing, self._delay = network.flavour.timing, network.flavour.delays.ue
        self._by_tmsi = by_tmsi
        self._security: NasEnd | None = None
        self._next: tuple[bytes, int] | None = None
        self._answered: tuple[bytes, bytes] | None = None
        self._request: Message | None = None
        self._kind = "initial"
        self._attempts = 0
        self._plain = {
            "AuthenticationRequest": self._challenged,
            "AuthenticationReject": self._authentication_rejected,
            "IdentityRequest": self._identify,
            "RegistrationReject": self._registration_rejected,
            "ServiceReject": self._service_rejected,
            "DeregistrationAcceptUEOriginating": self._deregistered,
        }
        self._protected = {
            **self._plain,
            "RegistrationAccept": self._registration_accepted,
            "ServiceAccept": self._service_accepted,
            "ConfigurationUpdateCommand": self._updated,
            "DeregistrationRequestUETerminated": self._deregister_by_network,
            **self._procedures.handlers,
        }

    # ------------------------------------------------------------ sending

    @property
    def idle(self) -> bool:
        """Whether it has no connection."""
        return self.connection is None

    def _begin(self, nas: Message, cause: str, median: float | None = None) -> None:
        self.connection = self.station.connect(self)
        time = self._delay if median is None else median
        if not self.links.happens(self.links.faults.radio_loss):
            self.station.carry_first(self.connection, nas, cause, self.tmsi, time)

    def _send(self, nas: Message, median: float | None = None) -> None:
        if self.connection is not None:
            self.station.carry(self.connection, nas, self._delay if median is None else median)

    def send_sealed(self, plain: Message, median: float | None = None) -> None:
        """Sends a message protected, in a median time in seconds; not at all if there is no connection."""
        if self._security is not None and self.connection is not None:
            self._send(self._security.seal(plain), median)

    def _identity(self) -> Fields:
        if self.tmsi is not None:
            return n1.guti(self.network, self.tmsi)
        return n1.suci(self.usim.supi, len(self.network.mnc))

    def _listen(self, tmsi: int | None) -> None:
        if self.tmsi is not None and self._by_tmsi.get(self.tmsi) is self:
            del self._by_tmsi[self.tmsi]
        self.tmsi = tmsi
        if tmsi is not None:
            self._by_tmsi[tmsi] = self

    # ------------------------------------------------------------ registration

    def register(self) -> None:
        """Registers, if it is not and may."""
        if self.state != DEREGISTERED or self.barred or "T3346" in self.timers:
            return
        self.timers.stop_all()
        self._attempts += 1
        self._kind, self._next = "initial", None
        identity = self._identity()
        wanted = (*self.allowed, *(entry for entry in self.usim.slices if entry not in self.rejected))[:8]
        area = self.tac if self.tmsi is not None else None
        self._request = n1.whole_registration_request(
            "initial", 7, identity, self.algorithms, wanted, area, self.network
        )
        self._set_state(REGISTERING)
        request = n1.registration_request("initial", 7, identity, self.algorithms)
        if self.connection is None:
            self._begin(request, SIGNALLING, 0.001)
        else:
            self._send(request, 0.001)
        self.timers.start("T3510", self._timing.t3510, self._abandon)

    def update(self, kind: str = "periodic_updating") -> None:
        """Registers periodically, or because it moved to another area (`mobility_updating`)."""
        if self.state != REGISTERED or self._security is None or self.connection is not None:
            return
        self._kind = kind
        identity, security = self._identity(), self._security
        clear = self.allowed if self.network.flavour.requested_nssai_in_clear else ()
        status = self._procedures.there()
        whole = n1.whole_registration_request(
            kind, security.ksi, identity, self.algorithms, self.allowed, self.tac, self.network, status
        )
        start = n1.registration_request(kind, security.ksi, identity, self.algorithms, clear)
        message = n1.message(start.name, *start.fields, ("nas_message_container", security.container(whole)))
        self._request = whole
        self._set_state(REGISTERING)
        self._begin(security.seal(message, INTEGRITY), SIGNALLING)
        self.timers.start("T3510", self._timing.t3510, self._abandon)

    def _abandon(self) -> None:
        """Gives up a registration that is not answered; it is tried again later."""
        self._leave()
        self._set_state(DEREGISTERED)
        self._retry()

    def _retry(self) -> None:
        if self._attempts < self._timing.attempts:
            self.timers.start("T3511", self._timing.t3511, self.register)
        else:
            self._attempts = 0
            self._listen(None)
            self.timers.start("T3502", self._timing.t3502, self.register)

    def _leave(self) -> None:
        """Loses the connection, which the base station notices."""
        connection, self.connection = self.connection, None
        if connection is not None:
            self.station.release(connection, ("radio_network", "radio-connection-with-ue-lost"))

    def _challenged(self, message: Message) -> None:
        rand, autn = message["rand"], message["autn"]
        if self._answered is not None and self._answered[0] == rand and "T3516" in self.timers:
            self._send(n1.message("AuthenticationResponse", ("res_star", self._answered[1])))
            return
        checked = check_autn(self._milenage, rand, autn)
        if not checked.verified:
            self._fail_challenge(MAC_FAILURE)
        elif not checked.separation_bit:
            self._fail_challenge(NOT_5G)
        elif not self._accepted.accepts(checked.sqn):
            auts = make_auts(self._milenage, rand, self._accepted.sqn_ms)
            self._fail_challenge(SYNCHRONISATION_FAILURE, ("auts", auts))
        else:
            self._accepted = self._accepted.with_sqn(checked.sqn)
            answer = answer_challenge(self._milenage, rand, autn, self._serving)
            self._next = answer.k_ausf, message["ng_ksi.ksi"]
            self._answered = rand, answer.res_star
            self.timers.start("T3516", self._timing.t3516, lambda: None)
            self._send(n1.message("AuthenticationResponse", ("res_star", answer.res_star)))

    def _fail_challenge(self, cause: int, *more: tuple[str, bytes]) -> None:
        self._send(n1.message("AuthenticationFailure", ("cause_5gmm", cause), *more))

    def _authentication_rejected(self, message: Message) -> None:
        self.barred = True
        self.timers.stop_all()
        self._forget()
        self._listen(None)
        self._set_state(DEREGISTERED)

    def _identify(self, message: Message) -> None:
        identity = n1.suci(self.usim.supi, len(self.network.mnc))
        self._send(n1.message("IdentityResponse", ("mobile_identity", identity)))

    def _secure(self, sealed: Message) -> None:
        """Takes a security mode command, which is protected by the keys that it brings into use."""
        command = sealed["payload"]
        if not isinstance(command, Message) or command.name != "SecurityModeCommand" or self._next is None:
            return
        k_ausf, ksi = self._next
        chosen = command["selected_nas_security_algorithms"]
        context = NasSecurityContext(
            derive_k_amf(derive_k_seaf(k_ausf, self._serving), self.usim.supi), chosen["ciphering"], chosen["integrity"]
        )
        security = NasEnd(context, ksi, Direction.UPLINK)
        if security.open(sealed).message is None or command["replayed_ue_security_capabilities"] != self.algorithms:
            self._send(n1.message("SecurityModeReject", ("cause_5gmm", 24)))
            return
        self._security = security
        complete = n1.security_mode_complete(self.usim.imeisv, self._request)
        self._send(security.seal(complete, CIPHERED_NEW_CONTEXT))

    def _registration_accepted(self, message: Message) -> None:
        guti = message.get("guti")
        if guti is not None:
            self._listen(int.from_bytes(guti["tmsi"]))
        initial = self.state == REGISTERING and self._kind == "initial"
        self.timers.stop("T3510")
        self._attempts = 0
        self.allowed = tuple(n1.read_slice(entry) for entry in message["allowed_nssai"].all("s_nssai"))
        rejected = message.get("rejected_nssai")
        if rejected is not None:
            self.rejected = tuple(n1.read_slice(entry["s_nssai"]) for entry in rejected.all("rejected"))
        self.tac = self.station.station.tac
        if initial:
            self.sessions.clear()
        status = message.get("pdu_session_status")
        if status is not None:
            self._procedures.agree(status)
        self._set_state(REGISTERED)
        self.send_sealed(n1.message("RegistrationComplete"))
        if initial and self.usim.session is not None:
            self.establish(*self.usim.session)

    def _registration_rejected(self, message: Message) -> None:
        if self.state != REGISTERING:
            return
        cause, back_off = message["cause_5gmm"], message.get("t3346_value")
        self.timers.stop("T3510")
        self._forget()
        self._set_state(DEREGISTERED)
        if back_off is not None:
            self.timers.start("T3346", _seconds(back_off), self.register)
        elif cause in FATAL:
            self.barred = True
            self._listen(None)
        else:
            self._retry()

    def _forget(self) -> None:
        self._security = self._next = self._answered = None
        self._procedures.forget()

    def _set_state(self, state: str) -> None:
        self.state = state
        self.changed(self)

    # ------------------------------------------------------------ idle and back

    def released(self) -> None:
        """Takes the loss of its connection."""
        self.connection = None
        if self.state == DEREGISTERING:
            self._deregistered(None)
        elif self.state == REGISTERING and "T3510" in self.timers:
            self.timers.stop("T3510")
            self._set_state(DEREGISTERED)
            self._retry()
        elif self.state == REGISTERED:
            self.timers.stop("T3517")
            self.timers.start("T3512", self._timing.t3512, self.update)
            self.changed(self)

    def release(self, cause: tuple[str, str] = ("radio_network", "unspecified")) -> None:
        """Lets the base station release the connection, as after some time without data."""
        if self.connection is not None:
            self.station.release(self.connection, cause)

    def send_data(self) -> None:
        """Has a packet to send: if it is idle, it asks for service."""
        if self.connection is None:
            self.ask_service("data", DATA)

    def paged(self) -> None:
        """Hears that packets wait for it."""
        if self.connection is None:
            self.ask_service("mobile_terminated_services", TERMINATED)

    def ask_service(self, kind: str, cause: str) -> None:
        """Asks for a connection: a type of service, for an RRC establishment cause."""
        if self.state != REGISTERED or self._security is None or "T3346" in self.timers:
            return
        there = self._procedures.there()
        more = [("pdu_session_status", n1.sessions(there))]
        if kind == "data":
            more.insert(0, ("uplink_data_status", n1.sessions(there)))
        identity, ksi = n1.s_tmsi(self.network, self.tmsi), self._security.ksi
        whole = n1.service_request(kind, ksi, identity, *more)
        clear = n1.service_request(kind, ksi, identity, ("nas_message_container", self._security.container(whole)))
        self._begin(self._security.seal(clear, INTEGRITY), cause)
        self.timers.start("T3517", self._timing.t3517, self._abandon_service)

    def _abandon_service(self) -> None:
        self._procedures.waiting.clear()
        self._leave()

    def _service_accepted(self, message: Message) -> None:
        self.timers.stop("T3517")
        self.timers.stop("T3512")
        status = message.get("pdu_session_status")
        if status is not None:
            self._procedures.agree(status)
        self._procedures.send_waiting()
        self.changed(self)

    def _service_rejected(self, message: Message) -> None:
        cause, back_off = message["cause_5gmm"], message.get("t3346_value")
        self.timers.stop("T3517")
        self._procedures.waiting.clear()
        if back_off is not None:
            self.timers.start("T3346", _seconds(back_off), lambda: None)
        elif cause in IDENTITY_LOST:
            self._forget()
            if cause == 9:
                self._listen(None)
            self._set_state(DEREGISTERED)
            self.timers.start("T3511", 0.1, self.register)

    def _updated(self, message: Message) -> None:
        guti = message.get("guti")
        if guti is not None:
            self._listen(int.from_bytes(guti["tmsi"]))
        if "ack" in message.get("configuration_update_indication", ""):
            self.send_sealed(n1.message("ConfigurationUpdateComplete"))

    # ------------------------------------------------------------ deregistration

    def deregister(self, switch_off: bool = True) -> None:
        """Deregisters; a UE that is switched off waits for no answer."""
        if self.state != REGISTERED or self._security is None:
            return
        request = n1.deregistration_request(switch_off, self._security.ksi, self._identity())
        self.timers.stop_all()
        self._set_state(DEREGISTERING)
        if self.connection is None:
            self._begin(self._security.seal(request, INTEGRITY), SIGNALLING)
        else:
            self.send_sealed(request)
        seconds = SWITCHED_OFF if switch_off else self._timing.t3521
        self.timers.start("T3521", seconds, self._deregistered, None)

    def _deregistered(self, message: Message | None) -> None:
        if self.state == DEREGISTERING:
            self.timers.stop("T3521")
            self._forget()
            if message is None:
                self._leave()
            self._set_state(DEREGISTERED)

    def _deregister_by_network(self, message: Message) -> None:
        self.send_sealed(n1.message("DeregistrationAcceptUETerminated"))
        self.timers.stop_all()
        self._forget()
        again = message["deregistration_type.re_registration_required"]
        self.barred = not again
        self._set_state(DEREGISTERED)
        if again:
            self.timers.start("T3511", 1.0, self.register)

    # ------------------------------------------------------------ sessions

    def establish(self, of: Slice, dnn: str) -> int | None:
        """Returns the identity of a session it asks for; None if it is not registered or has too many."""
        return self._procedures.establish(of, dnn) if self.state == REGISTERED else None

    def modify(self, psi: int) -> None:
        """Asks for a session to be modified."""
        if self.state == REGISTERED:
            self._procedures.modify(psi)

    def release_session(self, psi: int) -> None:
        """Asks for a session to be released."""
        if self.state == REGISTERED:
            self._procedures.release(psi)

    # ------------------------------------------------------------ receiving

    def receive(self, nas: Message) -> None:
        """Takes a NAS message."""
        if nas.name != PROTECTED:
            handler = self._plain.get(nas.name)
            if handler is not None:
                handler(nas)
            return
        if nas["security_header_type"] == NEW_CONTEXT:
            self._secure(nas)
            return
        message = self._security.open(nas).message if self._security is not None else None
        if message is not None and message.name in self._protected:
            self._protected[message.name](message)


def _seconds(timer: Fields) -> float:
    """Returns the seconds that a GPRS timer 2 stands for."""
    return {"2 s": 2.0, "1 min": 60.0, "6 min": 360.0}.get(timer["unit"], 0.0) * timer["value"]
