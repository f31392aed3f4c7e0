"""UE: registers, keeps its sessions, moves, and answers what the core asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gentwin.signaling.core import n1
from gentwin.signaling.core.clock import Timers
from gentwin.signaling.core.configuration import NetworkConfiguration, Slice
from gentwin.signaling.core.home import HomePublicKey
from gentwin.signaling.core.links import Links
from gentwin.signaling.core.protection import INTEGRITY, NEW_CONTEXT, PROTECTED
from gentwin.signaling.core.radio import Radio
from gentwin.signaling.core.servers import Works
from gentwin.signaling.core.ue_security import UeSecurity
from gentwin.signaling.core.ue_sessions import UeSession, UeSessions
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import Message

if TYPE_CHECKING:
    from gentwin.signaling.core.gnb import Gnb, GnbConnection

DEREGISTERED, REGISTERING, REGISTERED, DEREGISTERING = "deregistered", "registering", "registered", "deregistering"
SIGNALLING, DATA, TERMINATED = "mo-Signalling", "mo-Data", "mt-Access"
RADIO_LOST = "radio_network", "radio-connection-with-ue-lost"
SWITCHED_OFF = 2.0  # seconds until a UE that is switched off is gone
AT_ONCE = 0.1  # seconds until a UE registers whose identity was lost
UNKNOWN_IDENTITY, CONGESTION, NOT_COMPATIBLE_WITH_STATE = 9, 22, 101
FATAL = frozenset({3, 5, 6, 7, 11, 12, 13, 15, 27, 62, 72})  # causes after which a UE does not try again
IDENTITY_LOST = frozenset({UNKNOWN_IDENTITY, 10})
MOST_REQUESTED_SLICES = 8


@dataclass(frozen=True, slots=True)
class Usim:
    """What a UE knows of its subscription, and of itself.

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
        home_key: For which it conceals its identity; None not to conceal it.
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
    home_key: HomePublicKey | None = None


class Ue:
    """User equipment.

    Args:
        network: It registers in.
        usim: Its subscription.
        station: It camps on.
        links: For faults.
        works: What takes time.
        radio: By which it reaches base stations.
    """

    def __init__(
        self, network: NetworkConfiguration, usim: Usim, station: Gnb, links: Links, works: Works, radio: Radio
    ) -> None:
        self.network, self.usim, self.station, self.links = network, usim, station, links
        self.state = DEREGISTERED
        self.connection: GnbConnection | None = None
        self.tmsi: int | None = None
        self.timers = Timers(links.clock)
        self.security = UeSecurity(self)
        self._procedures = UeSessions(self)
        self.sessions: dict[int, UeSession] = self._procedures.sessions
        self.allowed: tuple[Slice, ...] = ()
        self.rejected: tuple[Slice, ...] = ()
        self.tac: str | None = None
        self.barred = False
        self._work, self._radio, self._timing = works.ue, radio, network.flavour.timing
        self._request: Message | None = None
        self._kind, self._attempts = "initial", 0
        self._postponed: Callable[[], None] | None = None
        self._comes_back = self._misses_acceptance = False
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

    @property
    def waits(self) -> bool:
        """Whether it is not registered now, and will try again by itself."""
        return self._comes_back or any(name in self.timers for name in ("T3346", "T3502", "T3511"))

    def _begin(self, nas: Message, cause: str) -> bool:
        """Returns whether there is a connection for a first message, which is sent unless the air loses it."""
        station = self._radio.select(self.station)
        connection = station.connect(self, cause) if station is not None else None
        if connection is None:
            return False
        self.station, self.connection = station, connection
        if not self.links.happens(self.links.faults.radio_loss):
            station.carry_first(connection, nas, cause, self.tmsi, self._work)
        return True

    def _send(self, nas: Message) -> None:
        if self.connection is not None:
            self.station.carry(self.connection, nas, self._work)

    def send_sealed(self, plain: Message) -> None:
        """Sends a message protected; not at all if there is no connection."""
        if self.security.end is not None and self.connection is not None:
            self._send(self.security.end.seal(plain))

    def _identity(self) -> Fields:
        return self.security.suci() if self.tmsi is None else n1.guti(self.network, self.tmsi)

    def _listen(self, tmsi: int | None) -> None:
        self._radio.listen(self, self.tmsi, tmsi)
        self.tmsi = tmsi

    # ------------------------------------------------------------ registration

    def register(self) -> bool:
        """Registers, if it may; returns whether it asks for that: not if it reaches no station, as before NG setup."""
        if self.state != DEREGISTERED or self.barred or "T3346" in self.timers:
            return False
        self.timers.stop_all()
        self._kind, wanted = "initial", self._wanted()
        identity, algorithms = self._identity(), self.usim.algorithms
        area = self.tac if self.tmsi is not None else None
        self._request = n1.whole_registration_request(
            "initial", n1.NO_KEYS, identity, algorithms, wanted, area, self.network
        )
        clear = () if self.connection is None else wanted
        request = n1.registration_request("initial", n1.NO_KEYS, identity, algorithms, clear)
        return self._set_out(request)

    def update(self, kind: str = "periodic_updating") -> bool:
        """Registers periodically, or as it moved (`mobility_updating`); returns whether it asks for that now."""
        end = self.security.end
        if self.state != REGISTERED or end is None or self.connection is not None:
            return False
        if "T3346" in self.timers:
            self._postponed = lambda: self.update(kind)
            return False
        self._kind, wanted = kind, self._wanted()
        identity, algorithms, status = self._identity(), self.usim.algorithms, self._procedures.there()
        self._request = n1.whole_registration_request(
            kind, end.ksi, identity, algorithms, wanted, self.tac, self.network, status
        )
        clear = wanted if self.network.flavour.requested_nssai_in_clear else ()
        start = n1.registration_request(kind, end.ksi, identity, algorithms, clear)
        message = n1.message(start.name, *start.fields, ("nas_message_container", end.container(self._request)))
        return self._set_out(end.seal(message, INTEGRITY))

    def _wanted(self) -> tuple[Slice, ...]:
        """Returns the slices that it requests: those it was allowed, and those it is made for."""
        made_for = (entry for entry in self.usim.slices if entry not in self.rejected)
        wanted = [*self.allowed, *made_for]
        if not self.network.flavour.repeats_slices:
            wanted = [*dict.fromkeys(wanted)]
        return tuple(wanted[:MOST_REQUESTED_SLICES])

    def _set_out(self, request: Message) -> bool:
        """Sends a registration request, on a new connection if there is none; returns whether it is sent."""
        self._attempts += 1
        self.state = REGISTERING
        if self.connection is not None:
            self._send(request)
        elif not self._begin(request, SIGNALLING):
            self._fail_registration()
            return False
        self.timers.start("T3510", self._timing.t3510, self._abandon)
        return True

    def _abandon(self) -> None:
        self._leave()
        self._fail_registration()

    def _fail_registration(self) -> None:
        """Takes the failure of a registration, which is tried again later."""
        initial, kind = self._kind == "initial", self._kind
        self.state = DEREGISTERED if initial else REGISTERED
        again = self.register if initial else lambda: self.update(kind)
        if self._attempts < self._timing.attempts:
            self.timers.start("T3511", self._timing.t3511, again)
            return
        self._attempts = 0
        if initial:
            self._listen(None)
        self.timers.start("T3502", self._timing.t3502, again)

    def _leave(self) -> None:
        """Loses the connection, which the base station notices."""
        connection, self.connection = self.connection, None
        if connection is not None:
            self.station.release(connection, RADIO_LOST)

    def _challenged(self, message: Message) -> None:
        self._send(self.security.answer(message))

    def _authentication_rejected(self, message: Message) -> None:
        self.barred = True
        self.timers.stop_all()
        self._forget()
        self._listen(None)
        self.state = DEREGISTERED

    def _identify(self, message: Message) -> None:
        self._send(n1.message("IdentityResponse", ("mobile_identity", self.security.suci())))

    def _secure(self, sealed: Message) -> None:
        answer = self.security.secure(sealed, self._request) if self._request is not None else None
        if answer is not None:
            self._send(answer)

    def _registration_accepted(self, message: Message) -> None:
        if self.state not in (REGISTERING, REGISTERED):
            return
        self.timers.stop("T3510")
        if self._misses_acceptance:
            self._miss_acceptance()
            return
        guti = message.get("guti")
        if guti is not None:
            self._listen(int.from_bytes(guti["tmsi"]))
        initial = self.state == REGISTERING and self._kind == "initial"
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
        self.state = REGISTERED
        self.send_sealed(n1.message("RegistrationComplete"))
        if initial and self.usim.session is not None:
            self.establish(*self.usim.session)

    def _miss_acceptance(self) -> None:
        """Does not understand that it was accepted, and registers again later."""
        self._misses_acceptance = False
        self.send_sealed(n1.status_5gmm(NOT_COMPATIBLE_WITH_STATE))
        self._fail_registration()

    def _registration_rejected(self, message: Message) -> None:
        if self.state != REGISTERING:
            return
        cause, back_off = message["cause_5gmm"], message.get("t3346_value")
        self.timers.stop("T3510")
        if self._kind != "initial" and cause not in FATAL | IDENTITY_LOST:
            self._update_rejected(cause, back_off)
            return
        self._forget()
        self.state = DEREGISTERED
        if cause in FATAL:
            self.barred = True
            self._listen(None)
        elif cause in IDENTITY_LOST:
            self._lose_identity(cause)
        elif back_off is not None:
            self.timers.start("T3346", n1.read_timer_2(back_off), self.register)
        else:
            self._fail_registration()

    def _update_rejected(self, cause: int, back_off: Fields | None) -> None:
        """Takes the rejection of an update, after which it is still registered."""
        self.state, kind = REGISTERED, self._kind
        if back_off is not None:
            self._postpone(back_off, lambda: self.update(kind))
        elif cause == CONGESTION:
            self._fail_registration()

    def _lose_identity(self, cause: int) -> None:
        """Registers anew, since the core does not know it, or not that it is registered."""
        self._forget()
        if cause == UNKNOWN_IDENTITY:
            self._listen(None)
        self.state = DEREGISTERED
        self.timers.start("T3511", AT_ONCE, self.register)

    def _postpone(self, back_off: Fields, action: Callable[[], None]) -> None:
        """Does something when T3346 has expired."""
        self._postponed = action
        self.timers.start("T3346", n1.read_timer_2(back_off), self._resume)

    def _resume(self) -> None:
        action, self._postponed = self._postponed, None
        if action is not None:
            action()

    def _forget(self) -> None:
        self.security.forget()
        self._procedures.forget()

    # ------------------------------------------------------------ idle and back

    def released(self) -> None:
        """Takes the loss of its connection."""
        self.connection = None
        if self.state == DEREGISTERING:
            self._deregistered(None)
        elif self.state == REGISTERING and "T3510" in self.timers:
            self.timers.stop("T3510")
            self._fail_registration()
        elif self.state == REGISTERED:
            self.timers.stop("T3517")
            self.timers.start("T3512", self._timing.t3512, self.update)
        if self._comes_back and self.state == DEREGISTERED:
            self._come_back()

    def release(self, cause: tuple[str, str] = ("radio_network", "unspecified")) -> None:
        """Lets the base station release the connection, as after some time without data."""
        if self.connection is not None:
            self.station.release(self.connection, cause)

    def lose_radio(self) -> None:
        """Goes out of reach of the base station for a moment."""
        if self.connection is not None:
            self._leave()
            self.released()

    def send_data(self) -> bool:
        """Has a packet to send: if it is idle, it asks for service; returns whether it does."""
        return self.connection is None and self.ask_service("data", DATA)

    def paged(self) -> None:
        """Hears that packets wait for it."""
        if self.connection is None:
            self.timers.stop("T3346")
            self.ask_service("mobile_terminated_services", TERMINATED)

    def ask_service(self, kind: str, cause: str) -> bool:
        """Asks for a connection: a type of service, for an RRC establishment cause; returns whether it does so now."""
        end = self.security.end
        if self.state != REGISTERED or end is None or self.tmsi is None or self.connection is not None:
            return False
        if "T3346" in self.timers:
            self._postponed = self._postponed or (lambda: self.ask_service(kind, cause))
            return False
        there = self._procedures.there()
        more = [("pdu_session_status", n1.sessions(there))]
        if kind == "data":
            more.insert(0, ("uplink_data_status", n1.sessions(there)))
        identity = n1.s_tmsi(self.network, self.tmsi)
        whole = n1.service_request(kind, end.ksi, identity, *more)
        clear = n1.service_request(kind, end.ksi, identity, ("nas_message_container", end.container(whole)))
        if not self._begin(end.seal(clear, INTEGRITY), cause):
            return False
        self.timers.start("T3517", self._timing.t3517, self._abandon_service)
        return True

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

    def _service_rejected(self, message: Message) -> None:
        cause, back_off = message["cause_5gmm"], message.get("t3346_value")
        self.timers.stop("T3517")
        self._procedures.waiting.clear()
        if cause in IDENTITY_LOST:
            self._lose_identity(cause)
        elif back_off is not None:
            self._postpone(back_off, self.send_data)

    def _updated(self, message: Message) -> None:
        guti = message.get("guti")
        if guti is not None:
            self._listen(int.from_bytes(guti["tmsi"]))
        if "ack" in message.get("configuration_update_indication", ""):
            self.send_sealed(n1.message("ConfigurationUpdateComplete"))

    # ------------------------------------------------------------ deregistration

    def deregister(self, switch_off: bool = True, comes_back: bool = False) -> None:
        """Deregisters.

        Args:
            switch_off: Whether it is switched off, and waits for no answer.
            comes_back: Whether it registers again as soon as its connection is released.
        """
        end = self.security.end
        if self.state != REGISTERED or end is None:
            return
        request = n1.deregistration_request(switch_off, end.ksi, self._identity())
        self.timers.stop_all()
        self.state, self._comes_back = DEREGISTERING, comes_back
        if self.connection is not None:
            self.send_sealed(request)
        elif not self._begin(end.seal(request, INTEGRITY), SIGNALLING):
            self._deregistered(None)
            return
        seconds = SWITCHED_OFF if switch_off else self._timing.t3521
        self.timers.start("T3521", seconds, self._deregistered, None)

    def _deregistered(self, message: Message | None) -> None:
        if self.state == DEREGISTERING:
            self.timers.stop("T3521")
            self._forget()
            if message is None:
                self._leave()
            self.state = DEREGISTERED

    def _come_back(self) -> None:
        self._comes_back = False
        self._misses_acceptance = self.links.happens(self.links.faults.acceptance_missed)
        self.links.clock.after(self._work.seconds(), self.register)

    def _deregister_by_network(self, message: Message) -> None:
        self.send_sealed(n1.message("DeregistrationAcceptUETerminated"))
        self.timers.stop_all()
        self._forget()
        again = message["deregistration_type.re_registration_required"]
        self.barred, self._comes_back = not again, bool(again)
        self.state = DEREGISTERED

    # ------------------------------------------------------------ sessions

    def establish(self, of: Slice, dnn: str, kind: str | None = None) -> int | None:
        """Returns the identity of a session it asks for; None if it may not ask, or has too many.

        Args:
            of: Slice.
            dnn: Data network.
            kind: Type; that of the subscription if not given.
        """
        return self._procedures.establish(of, dnn, kind) if self.state == REGISTERED else None

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
            self.take(nas, self._plain)
        elif nas["security_header_type"] == NEW_CONTEXT:
            self._secure(nas)
        elif self.security.end is not None and (message := self.security.end.open(nas).message) is not None:
            self.take(message, self._protected)

    def take(self, message: Message, known: dict[str, Callable[[Message], None]]) -> None:
        """Takes a NAS message that is not to be doubted, and does what is known to be done with it."""
        handler = known.get(message.name)
        if handler is not None:
            handler(message)
