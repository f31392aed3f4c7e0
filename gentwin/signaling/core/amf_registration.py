"""Registration and deregistration at the AMF: identity, authentication, security mode, acceptance."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gentwin.signaling.core import n1, n2
from gentwin.signaling.core.amf_context import (
    DEREGISTERED,
    DEREGISTERING,
    REGISTERED,
    REGISTERING,
    AmfConnection,
    AmfUe,
)
from gentwin.signaling.core.policy import REGISTRATION
from gentwin.signaling.core.protection import CIPHERED_NEW_CONTEXT, NEW_CONTEXT, PROTECTED, NasEnd
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import Message
from gentwin.signaling.security import (
    Direction,
    Milenage,
    NasSecurityContext,
    check_auts,
    derive_k_amf,
    derive_k_gnb,
    derive_k_seaf,
    derive_nh,
    make_vector,
    serving_network_name,
)

if TYPE_CHECKING:
    from gentwin.signaling.core.amf import Amf

NOT_ALLOWED, UNKNOWN_IDENTITY, MAC_FAILURE, SYNCHRONISATION_FAILURE = 7, 9, 20, 21
CAPABILITIES_MISMATCH, NO_SLICES, INCORRECT_MESSAGE = 23, 62, 95
KEY_SETS = 7
RESYNCHRONISED = 0b11111  # index of the sequence numbers of the home network


class Registrations:
    """Registrations and deregistrations.

    Args:
        amf: To which they belong.
    """

    def __init__(self, amf: Amf) -> None:
        self._amf = amf
        self._network, self._links, self._timing = amf.network, amf.links, amf.network.flavour.timing
        self._serving = serving_network_name(self._network.mcc, self._network.mnc)
        self.handlers: dict[str, Callable[[AmfConnection, AmfUe, Message], None]] = {
            "IdentityResponse": self._identified,
            "AuthenticationResponse": self._authenticated,
            "AuthenticationFailure": self._authentication_failed,
            "SecurityModeReject": self._security_rejected,
            "RegistrationRequest": self._request_again,
            "RegistrationComplete": self._completed,
            "DeregistrationRequestUEOriginating": self._deregister,
            "DeregistrationAcceptUETerminated": self._deregistration_accepted,
        }
        self.plain = frozenset(
            {
                "IdentityResponse",
                "AuthenticationResponse",
                "AuthenticationFailure",
                "SecurityModeReject",
                "DeregistrationRequestUEOriginating",
            }
        )

    # ------------------------------------------------------------ request and identity

    def request(self, connection: AmfConnection, nas: Message) -> None:
        """Takes a registration request, protected or not."""
        request = nas["payload"] if nas.name == PROTECTED else nas
        identity = request["mobile_identity"]
        ue = self._find(identity) or AmfUe(self._links.clock)
        whole = self._verify(ue, nas) if nas.name == PROTECTED else None
        self._amf.attach(connection, ue)
        ue.timers.stop_all()
        self._amf.set_state(ue, REGISTERING)
        ue.algorithms = request.get("ue_security_capability", ue.algorithms)
        ue.kind, ue.initial, ue.resynchronised = request["registration_type.type"], whole or request, False
        if "ia2" not in ue.algorithms["ia"].split():
            self._reject(connection, ue, CAPABILITIES_MISMATCH, median=0.0003)
        elif whole is not None and ue.kind != "initial" and ue.subscriber is not None:
            self._update(connection, ue, request)
        elif ue.subscriber is None and identity["type"] != "suci":
            self._ask_identity(connection, ue, self._timing.attempts)
        else:
            self._identify(connection, ue, identity)

    def _find(self, identity: Fields) -> AmfUe | None:
        if identity["type"] == "5g_guti":
            return self._amf.by_tmsi.get(int.from_bytes(identity["tmsi"]))
        return self._amf.by_supi.get(_read_suci(identity))

    def _verify(self, ue: AmfUe, nas: Message) -> Message | None:
        """Returns the whole request if the code of a protected one is right."""
        if ue.security is None:
            return None
        opened = ue.security.open(nas)
        if opened.message is None:
            return None
        inner = opened.message.get("nas_message_container")
        return opened.message if inner is None else ue.security.read_container(inner, opened.count)

    def _ask_identity(self, connection: AmfConnection, ue: AmfUe, attempts: int) -> None:
        if not attempts:
            self._give_up(connection, ue)
            return
        self._amf.send_nas(connection, n1.message("IdentityRequest", ("identity_type", "suci")), header=None)
        ue.timers.start("T3570", self._timing.t3570, self._ask_identity, connection, ue, attempts - 1)

    def _identified(self, connection: AmfConnection, ue: AmfUe, message: Message) -> None:
        if "T3570" in ue.timers:
            ue.timers.stop("T3570")
            self._identify(connection, ue, message["mobile_identity"])

    def _identify(self, connection: AmfConnection, ue: AmfUe, identity: Fields) -> None:
        if ue.subscriber is None:
            ue.subscriber = self._amf.subscribers.get(_read_suci(identity))
        if ue.subscriber is None or ue.subscriber.barred:
            self._reject(connection, ue, NOT_ALLOWED, median=self._network.flavour.delays.challenge)
            return
        known = self._amf.by_supi.setdefault(ue.supi, ue)
        if known is not ue:
            self._take_over(known, ue)
        decision = self._amf.decide(REGISTRATION, ue)
        if decision.admitted:
            self._challenge(connection, ue)
        else:
            self._reject(connection, ue, decision.cause, decision.back_off)

    def _take_over(self, old: AmfUe, new: AmfUe) -> None:
        """Lets a new context take the place of an old one of the same subscriber."""
        if old.connection is not None:
            old.connection.ue = None
            self._amf.release(old.connection, "nas", "normal-release")
        old.timers.stop_all()
        self._amf.set_state(old, DEREGISTERED)
        new.sessions, old.sessions = old.sessions, {}
        new.ksi = old.ksi
        for tmsi in (old.tmsi, old.new_tmsi):
            self._free(tmsi)
        old.tmsi = old.new_tmsi = None
        self._amf.by_supi[new.supi] = new

    # ------------------------------------------------------------ authentication

    def _challenge(self, connection: AmfConnection, ue: AmfUe) -> None:
        subscriber = ue.subscriber
        sqn = self._amf.subscribers.next_sqn(ue.supi)
        milenage = Milenage(subscriber.k, subscriber.opc)
        ue.vector = make_vector(milenage, self._links.random.randbytes(16), sqn, subscriber.amf, self._serving)
        ue.ksi = (ue.ksi + 1) % KEY_SETS
        self._send_challenge(connection, ue, self._timing.attempts, self._network.flavour.delays.challenge)

    def _send_challenge(self, connection: AmfConnection, ue: AmfUe, attempts: int, median: float = 0.0) -> None:
        if not attempts:
            self._give_up(connection, ue)
            return
        message = n1.authentication_request(ue.ksi, ue.vector.rand, ue.vector.autn)
        self._amf.send_nas(connection, message, median, None)
        ue.timers.start("T3560", self._timing.t3560, self._send_challenge, connection, ue, attempts - 1)

    def _authenticated(self, connection: AmfConnection, ue: AmfUe, message: Message) -> None:
        if "T3560" not in ue.timers or ue.vector is None:
            return
        ue.timers.stop("T3560")
        vector, ue.vector = ue.vector, None
        if vector.accepts(message.get("res_star", b"")):
            k_amf = derive_k_amf(derive_k_seaf(vector.k_ausf, self._serving), ue.supi)
            flavour = self._network.flavour
            context = NasSecurityContext(k_amf, flavour.ciphering, flavour.integrity)
            ue.pending_security = NasEnd(context, ue.ksi, Direction.DOWNLINK)
            self._send_security_mode(connection, ue, self._timing.attempts, flavour.delays.security)
        else:
            self._reject_authentication(connection, ue)

    def _authentication_failed(self, connection: AmfConnection, ue: AmfUe, message: Message) -> None:
        if "T3560" not in ue.timers or ue.vector is None:
            return
        ue.timers.stop("T3560")
        vector, ue.vector = ue.vector, None
        if message["cause_5gmm"] == SYNCHRONISATION_FAILURE and not ue.resynchronised:
            subscriber = ue.subscriber
            checked = check_auts(Milenage(subscriber.k, subscriber.opc), vector.rand, message.get("auts", bytes(14)))
            if checked.verified:
                ue.resynchronised = True
                self._amf.subscribers.set_sqn(ue.supi, checked.sqn_ms & ~RESYNCHRONISED)
                self._challenge(connection, ue)
                return
        self._reject_authentication(connection, ue)

    def _reject_authentication(self, connection: AmfConnection, ue: AmfUe) -> None:
        self._amf.send_nas(connection, n1.message("AuthenticationReject"), None, None)
        self._end(connection, ue)

    # ------------------------------------------------------------ security mode

    def _send_security_mode(self, connection: AmfConnection, ue: AmfUe, attempts: int, median: float = 0.0) -> None:
        if not attempts:
            self._give_up(connection, ue)
            return
        context = ue.pending_security.context
        algorithms = int(context.ciphering), int(context.integrity)
        command = n1.security_mode_command(*algorithms, ue.ksi, ue.algorithms)
        nas = ue.pending_security.seal(command, NEW_CONTEXT)
        message = n2.message("DownlinkNASTransport", *connection.ids, ("nas_pdu", nas))
        self._amf.send(connection, message, median)
        ue.timers.start("T3560", self._timing.t3560, self._send_security_mode, connection, ue, attempts - 1)

    def complete_security(self, connection: AmfConnection, ue: AmfUe, nas: Message) -> bool:
        """Returns whether a protected message belonged to a security mode procedure, and ends that."""
        if ue.pending_security is None or nas["security_header_type"] != CIPHERED_NEW_CONTEXT:
            return False
        opened = ue.pending_security.open(nas)
        message = opened.message
        if message is None or message.name != "SecurityModeComplete":
            return True
        ue.timers.stop("T3560")
        ue.security, ue.pending_security = ue.pending_security, None
        connection.key_count = opened.count
        ue.imeisv = message.get("imeisv.imeisv", ue.imeisv)
        container = message.get("nas_message_container")
        if isinstance(container, Message):
            ue.initial = container
        self._amf.release_sessions(ue, lambda: None)
        self._admit(connection, ue)
        return True

    def _security_rejected(self, connection: AmfConnection, ue: AmfUe, message: Message) -> None:
        ue.timers.stop("T3560")
        ue.pending_security = None
        self._end(connection, ue)

    # ------------------------------------------------------------ acceptance

    def _update(self, connection: AmfConnection, ue: AmfUe, clear: Message) -> None:
        """Accepts a periodic or mobility registration of a UE whose context is known."""
        if clear.get("requested_nssai") is not None:
            self._reject(connection, ue, INCORRECT_MESSAGE, median=0.0002)
            return
        connection.key_count = ue.security.context.uplink_count - 1
        decision = self._amf.decide(REGISTRATION, ue)
        if not decision.admitted:
            self._reject(connection, ue, decision.cause, decision.back_off)
            return
        self._admit(connection, ue)

    def _admit(self, connection: AmfConnection, ue: AmfUe) -> None:
        wanted = [n1.read_slice(entry) for entry in ue.initial.get("requested_nssai", Fields()).all("s_nssai")]
        usable = {*ue.subscriber.slices} & {*self._network.slices}
        allowed = tuple(entry for entry in wanted if entry in usable)
        if not wanted:
            allowed = tuple(entry for entry in ue.subscriber.slices[:1] if entry in usable)
        if not allowed:
            self._reject(connection, ue, NO_SLICES)
            return
        ue.allowed, ue.rejected = allowed, tuple(entry for entry in wanted if entry not in usable)
        self._free(ue.new_tmsi)
        ue.new_tmsi = self._amf.tmsis.allocate()
        self._amf.by_tmsi[ue.new_tmsi] = ue
        self._send_accept(connection, ue, self._timing.attempts, self._network.flavour.delays.registration)

    def _send_accept(self, connection: AmfConnection, ue: AmfUe, attempts: int, median: float = 0.0) -> None:
        if not attempts:
            self._give_up(connection, ue)
            return
        status = None
        if ue.initial.get("pdu_session_status") is not None:
            status = self._agree_on_sessions(ue)
        identity = n1.guti(self._network, ue.new_tmsi)
        accept = n1.registration_accept(self._network, identity, ue.allowed, ue.rejected, status)
        if connection.context:
            self._send_accept_in_transport(connection, ue, accept, median)
        elif self._network.flavour.accept_in_context_setup:
            self.set_up_context(connection, ue, accept, median)
        else:
            self._amf.send_nas(connection, accept, median)
            self.set_up_context(connection, ue, None, median)
        ue.timers.start("T3550", self._timing.t3550, self._send_accept, connection, ue, attempts - 1)

    def _agree_on_sessions(self, ue: AmfUe) -> frozenset[int]:
        """Returns the sessions that there are at both ends; others of this end are deleted."""
        there = n1.read_sessions(ue.initial["pdu_session_status"])
        for psi in [psi for psi in ue.sessions if psi not in there]:
            self._amf.smf.release(ue.sessions.pop(psi))
        return frozenset(ue.sessions)

    def _send_accept_in_transport(self, connection: AmfConnection, ue: AmfUe, accept: Message, median: float) -> None:
        connection.ambr_told = True
        message = n2.message(
            "DownlinkNASTransport",
            *connection.ids,
            ("nas_pdu", ue.security.seal(accept)),
            n2.ue_ambr(ue.subscriber.uplink, ue.subscriber.downlink),
            ("allowed_nssai", n2.slice_list(ue.allowed)),
        )
        self._amf.send(connection, message, median)

    def set_up_context(
        self,
        connection: AmfConnection,
        ue: AmfUe,
        plain: Message | None,
        median: float,
        sessions: tuple[Fields, ...] = (),
    ) -> None:
        """Sends the request to set up the context of a UE, with fresh keys.

        Args:
            connection: Of the UE.
            ue: Whose context.
            plain: NAS message for the UE; None for none.
            median: Of the time until then, in seconds.
            sessions: To set up.
        """
        k_amf = ue.security.context.k_amf
        key = derive_k_gnb(k_amf, connection.key_count)
        ue.next_hop = key, 0
        ambr = None
        if sessions:
            connection.ambr_told, ambr = True, n2.ue_ambr(ue.subscriber.uplink, ue.subscriber.downlink)
        nas = None if plain is None else ue.security.seal(plain)
        message = n2.initial_context_setup(
            self._network, connection.ids, ambr, sessions, ue.allowed, ue.algorithms, key, ue.imeisv, nas
        )
        self._amf.send(connection, message, median)

    def advance_key(self, ue: AmfUe) -> tuple[bytes, int]:
        """Returns the next hop key of a UE and its count, 0 to 7. Source: 3GPP TS 33.501 clause 6.9.2.1.1."""
        key, count = ue.next_hop
        ue.next_hop = derive_nh(ue.security.context.k_amf, key), (count + 1) % 8
        return ue.next_hop

    def _completed(self, connection: AmfConnection, ue: AmfUe, message: Message) -> None:
        if "T3550" not in ue.timers:
            return
        ue.timers.stop("T3550")
        self.use_new_identity(ue)
        self._amf.set_state(ue, REGISTERED)
        names = self._network.flavour.network_name
        if ue.kind == "initial" and names is not None:
            self._amf.send_nas(connection, n1.network_names(*names, self._links.seconds), 0.0002)
        if ue.kind != "initial" and not any(known.active for known in ue.sessions.values()):
            self._amf.release(connection, "nas", "normal-release", 0.001)

    def use_new_identity(self, ue: AmfUe) -> None:
        """Forgets the temporary identity that a UE had before its new one."""
        if ue.new_tmsi is not None:
            self._free(ue.tmsi)
            ue.tmsi, ue.new_tmsi = ue.new_tmsi, None

    def _request_again(self, connection: AmfConnection, ue: AmfUe, message: Message) -> None:
        """Takes a registration request that came protected on a connection: of an update, or after a late answer."""
        ue.kind, ue.initial = message["registration_type.type"], message
        inner = message.get("nas_message_container")
        if isinstance(inner, Message):
            ue.initial = inner
        ue.timers.stop_all()
        self._amf.set_state(ue, REGISTERING)
        self._update(connection, ue, message)

    # ------------------------------------------------------------ ends

    def _reject(
        self,
        connection: AmfConnection,
        ue: AmfUe,
        cause: int,
        back_off: float | None = None,
        median: float | None = None,
    ) -> None:
        self._amf.send_nas(connection, n1.reject("RegistrationReject", cause, back_off), median, None)
        self._end(connection, ue)

    def _give_up(self, connection: AmfConnection, ue: AmfUe) -> None:
        """Ends a procedure that the UE does not answer."""
        if connection.amf_id in self._amf.connections:
            self._end(connection, ue)
        else:
            self.abort(ue)

    def _end(self, connection: AmfConnection, ue: AmfUe) -> None:
        self.abort(ue)
        self._amf.release(connection, "nas", "normal-release")

    def abort(self, ue: AmfUe) -> None:
        """Lets a UE be as if it had never asked; what it had before is gone."""
        ue.timers.stop_all()
        ue.vector = ue.pending_security = None
        self._free(ue.new_tmsi)
        ue.new_tmsi = None
        self.forget(ue)

    def _free(self, tmsi: int | None) -> None:
        if tmsi is not None:
            self._amf.by_tmsi.pop(tmsi, None)
            self._amf.tmsis.free(tmsi)

    def forget(self, ue: AmfUe) -> None:
        """Deregisters a UE without telling it."""
        self._amf.set_state(ue, DEREGISTERED)
        ue.timers.stop_all()
        self._amf.release_sessions(ue, lambda: None)

    # ------------------------------------------------------------ deregistration

    def begin_deregistration(self, connection: AmfConnection, nas: Message) -> None:
        """Takes a deregistration request that begins a connection."""
        request = nas["payload"] if nas.name == PROTECTED else nas
        ue = self._find(request["mobile_identity"])
        if ue is None or nas.name != PROTECTED or ue.security is None or ue.security.open(nas).message is None:
            self._amf.release(connection, "nas", "normal-release")
            return
        self._amf.attach(connection, ue)
        self._deregister(connection, ue, request)

    def _deregister(self, connection: AmfConnection, ue: AmfUe, message: Message) -> None:
        switch_off = message["deregistration_type.switch_off"]
        self._amf.set_state(ue, DEREGISTERED)
        ue.timers.stop_all()
        delay = self._network.flavour.delays.deregistration

        def end() -> None:
            if connection.ue is not ue:
                return
            if not switch_off:
                self._amf.send_nas(connection, n1.message("DeregistrationAcceptUEOriginating"), delay)
            self._amf.release(connection, "nas", "deregister", delay if switch_off else 0.0001)

        self._amf.release_sessions(ue, end)

    def deregister(self, supi: str, cause: int = NOT_ALLOWED) -> None:
        """Deregisters a UE for a 5GMM cause: it is told if it has a connection."""
        ue = self._amf.by_supi.get(supi)
        if ue is None or ue.state != REGISTERED:
            return
        if ue.connection is None:
            self.forget(ue)
            return
        self._amf.set_state(ue, DEREGISTERING)
        self._send_deregistration(ue.connection, ue, cause, self._timing.attempts)

    def _send_deregistration(self, connection: AmfConnection, ue: AmfUe, cause: int, attempts: int) -> None:
        if not attempts or connection.amf_id not in self._amf.connections:
            self._end_deregistration(connection, ue)
            return
        self._amf.send_nas(connection, n1.network_deregistration(cause))
        ue.timers.start("T3522", self._timing.t3522, self._send_deregistration, connection, ue, cause, attempts - 1)

    def _deregistration_accepted(self, connection: AmfConnection, ue: AmfUe, message: Message) -> None:
        if "T3522" in ue.timers:
            ue.timers.stop("T3522")
            self._end_deregistration(connection, ue)

    def _end_deregistration(self, connection: AmfConnection, ue: AmfUe) -> None:
        self._amf.set_state(ue, DEREGISTERED)
        self._amf.release_sessions(ue, lambda: self._amf.release(connection, "misc", "om-intervention"))


def _read_suci(identity: Fields) -> str:
    """Returns the permanent identity in a SUCI of the null scheme; empty if it is in none."""
    if identity["type"] != "suci" or identity.get("msin") is None:
        return ""
    return identity["mcc"] + identity["mnc"] + identity["msin"]
