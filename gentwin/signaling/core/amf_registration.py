"""Registration at the AMF: who asks, whether it is admitted, and what it is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gentwin.signaling.core import n1, n2
from gentwin.signaling.core.amf_context import DEREGISTERED, REGISTERED, REGISTERING, AmfConnection, AmfUe
from gentwin.signaling.core.policy import REGISTRATION
from gentwin.signaling.core.protection import PROTECTED
from gentwin.signaling.core.servers import Work
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import Message
from gentwin.signaling.security import derive_k_gnb, derive_nh

if TYPE_CHECKING:
    from gentwin.signaling.core.amf import Amf

NOT_ALLOWED, CAPABILITIES_MISMATCH, NO_SLICES, INCORRECT_MESSAGE = 7, 23, 62, 95
MOST_ALLOWED_SLICES = 8


class Registrations:
    """Registrations: initial ones, periodic ones, and those of UEs that have moved.

    Args:
        amf: To which they belong.
    """

    def __init__(self, amf: Amf) -> None:
        self._amf, self._home, self._works = amf, amf.home, amf.works
        self._network, self._links, self._timing = amf.network, amf.links, amf.network.flavour.timing
        self.nas_handlers: dict[str, Callable[[AmfConnection, AmfUe, Message], None]] = {
            "IdentityResponse": self._identified,
            "RegistrationRequest": self._request_again,
            "RegistrationComplete": self._completed,
        }
        self.plain = frozenset({"IdentityResponse"})

    # ------------------------------------------------------------ request

    def request(self, connection: AmfConnection, nas: Message) -> None:
        """Takes a registration request, protected or not."""
        request = nas["payload"] if nas.name == PROTECTED else nas
        identity = request["mobile_identity"]
        supi = self._home.reveal(identity)
        ue = self._amf.by_supi.get(supi) if supi else self.find(identity)
        if ue is None:
            ue = AmfUe(self._links.clock)
        whole = self._verify(ue, nas) if nas.name == PROTECTED else None
        known = ue.state == REGISTERED
        self._begin(connection, ue, whole or request)
        ue.algorithms = request.get("ue_security_capability", ue.algorithms)
        if not self._amf.authentication.has_common_integrity(ue):
            self._reject(connection, ue, CAPABILITIES_MISMATCH)
        elif whole is not None and ue.kind != "initial" and ue.subscriber is not None:
            self._update(connection, ue, request, known)
        elif ue.subscriber is None and identity["type"] != "suci":
            self._ask_identity(connection, ue, self._timing.attempts)
        else:
            self._identify(connection, ue, supi)

    def find(self, identity: Fields) -> AmfUe | None:
        """Returns the context of the UE with a temporary identity; None if there is none."""
        if identity["type"] != "5g_guti":
            return None
        return self._amf.by_tmsi.get(int.from_bytes(identity["tmsi"]))

    def _verify(self, ue: AmfUe, nas: Message) -> Message | None:
        """Returns the whole request if the code of a protected one is right."""
        if ue.security is None:
            return None
        opened = ue.security.open(nas)
        if opened.message is None:
            return None
        inner = opened.message.get("nas_message_container")
        return opened.message if inner is None else ue.security.read_container(inner, opened.count)

    def _begin(self, connection: AmfConnection, ue: AmfUe, request: Message) -> None:
        self._amf.attach(connection, ue)
        ue.timers.stop_all()
        ue.kind, ue.initial, ue.resynchronised = request["registration_type.type"], request, False
        self._amf.set_state(ue, REGISTERING)

    def _request_again(self, connection: AmfConnection, ue: AmfUe, message: Message) -> None:
        """Takes a registration request that came protected on a connection: of an update, or after a late answer."""
        inner = message.get("nas_message_container")
        known = ue.state == REGISTERED
        self._begin(connection, ue, inner if isinstance(inner, Message) else message)
        self._update(connection, ue, message, known)

    # ------------------------------------------------------------ identity

    def _ask_identity(self, connection: AmfConnection, ue: AmfUe, attempts: int) -> None:
        if not attempts:
            self.give_up(connection, ue)
            return
        request = n1.message("IdentityRequest", ("identity_type", "suci"))
        wait = self._amf.send_nas(connection, request, header=None)
        ue.timers.start("T3570", wait + self._timing.t3570, self._ask_identity, connection, ue, attempts - 1)

    def _identified(self, connection: AmfConnection, ue: AmfUe, message: Message) -> None:
        if "T3570" in ue.timers:
            ue.timers.stop("T3570")
            self._identify(connection, ue, self._home.reveal(message["mobile_identity"]))

    def _identify(self, connection: AmfConnection, ue: AmfUe, supi: str) -> None:
        if ue.subscriber is None and supi:
            ue.subscriber = self._home.subscribers.get(supi)
        if ue.subscriber is None or ue.subscriber.barred:
            self._reject(connection, ue, NOT_ALLOWED, work=self._works.challenge)
            return
        known = self._amf.by_supi.setdefault(ue.supi, ue)
        if known is not ue:
            self._take_over(known, ue)
        self._amf.admission.ask(
            self._amf.situation(REGISTRATION, ue),
            lambda: self._admitted(connection, ue),
            lambda cause, back_off: self._reject(connection, ue, cause, back_off),
            lambda: self._waits(connection, ue),
        )

    def _admitted(self, connection: AmfConnection, ue: AmfUe) -> None:
        self._amf.admit(ue)
        self._amf.authentication.challenge(connection, ue)

    def _waits(self, connection: AmfConnection, ue: AmfUe) -> bool:
        return ue.connection is connection and not connection.releasing and ue.state == REGISTERING

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

    # ------------------------------------------------------------ update

    def _update(self, connection: AmfConnection, ue: AmfUe, clear: Message, known: bool) -> None:
        """Takes a periodic or mobility registration whose code is right; `known` says whether the UE is registered."""
        connection.key_count = ue.security.context.uplink_count - 1
        if clear.get("requested_nssai") is not None:  # which may not be said in clear
            self._refuse_update(connection, ue, INCORRECT_MESSAGE, None, known)
            return
        if not known:
            self._refuse_update(connection, ue, self._network.flavour.implicitly_deregistered_cause, None, known)
            return
        self._amf.admit(ue)  # a registered UE keeps its place, whatever is decided
        self._amf.admission.ask(
            self._amf.situation(REGISTRATION, ue),
            lambda: self.accept(connection, ue),
            lambda cause, back_off: self._refuse_update(connection, ue, cause, back_off, known),
            lambda: self._waits(connection, ue),
        )

    def _refuse_update(
        self, connection: AmfConnection, ue: AmfUe, cause: int, back_off: float | None, known: bool
    ) -> None:
        """Rejects an update; a UE that was registered stays so."""
        if not known:
            self._reject(connection, ue, cause, back_off)
            return
        self._amf.set_state(ue, REGISTERED)
        self._amf.send_nas(connection, n1.reject("RegistrationReject", cause, back_off), header=None)
        if cause != INCORRECT_MESSAGE:
            self._amf.release(connection, "nas", "normal-release")

    # ------------------------------------------------------------ acceptance

    def accept(self, connection: AmfConnection, ue: AmfUe) -> None:
        """Accepts a UE that is who it says, if there is a slice for it."""
        wanted = [n1.read_slice(entry) for entry in ue.initial.get("requested_nssai", Fields()).all("s_nssai")]
        if not self._network.flavour.repeats_slices:
            wanted = [*dict.fromkeys(wanted)]
        usable = {*ue.subscriber.slices} & {*self._network.slices}
        default = ue.subscriber.slices[:1]
        allowed = [entry for entry in wanted if entry in usable] or [entry for entry in default if entry in usable]
        if not allowed:
            self._reject(connection, ue, NO_SLICES)
            return
        ue.allowed = tuple(allowed[:MOST_ALLOWED_SLICES])
        ue.rejected = tuple(entry for entry in wanted if entry not in usable)
        if ue.new_tmsi is None:
            ue.new_tmsi = self._amf.tmsis.allocate()
            self._amf.by_tmsi[ue.new_tmsi] = ue
        self._send_accept(connection, ue, self._timing.attempts, self._works.registration)

    def _send_accept(self, connection: AmfConnection, ue: AmfUe, attempts: int, work: Work | None = None) -> None:
        if not attempts:
            self.give_up(connection, ue)
            return
        status = None
        if ue.initial.get("pdu_session_status") is not None:
            status = self._agree_on_sessions(ue)
        identity = n1.guti(self._network, ue.new_tmsi)
        accept = n1.registration_accept(self._network, identity, ue.allowed, ue.rejected, status)
        if connection.context:
            wait = self._send_accept_in_transport(connection, ue, accept, work)
        elif self._network.flavour.accept_in_context_setup:
            wait = self.set_up_context(connection, ue, accept, work)
        else:
            wait = self._amf.send_nas(connection, accept, work)
            self.set_up_context(connection, ue, None, self._works.amf)
        ue.timers.start("T3550", wait + self._timing.t3550, self._send_accept, connection, ue, attempts - 1)

    def _agree_on_sessions(self, ue: AmfUe) -> frozenset[int]:
        """Returns the sessions that the UE is told of; those of this end that it does not have are deleted."""
        there = n1.read_sessions(ue.initial["pdu_session_status"])
        for psi in [psi for psi in ue.sessions if psi not in there]:
            self._amf.smf.release(ue.sessions.pop(psi))
        return frozenset(ue.sessions) | ue.lingering

    def _send_accept_in_transport(
        self, connection: AmfConnection, ue: AmfUe, accept: Message, work: Work | None
    ) -> float:
        ambr = () if connection.ambr_told else (n2.ue_ambr(ue.subscriber.uplink, ue.subscriber.downlink),)
        connection.ambr_told = True
        message = n2.message(
            "DownlinkNASTransport",
            *connection.ids,
            ("nas_pdu", ue.security.seal(accept)),
            *ambr,
            ("allowed_nssai", n2.slice_list(ue.allowed)),
        )
        return self._amf.send(connection, message, work)

    def set_up_context(
        self,
        connection: AmfConnection,
        ue: AmfUe,
        plain: Message | None,
        work: Work | None,
        sessions: tuple[Fields, ...] = (),
    ) -> float:
        """Returns in how many seconds the request to set up the context of a UE is sent, with fresh keys.

        Args:
            connection: Of the UE.
            ue: Whose context.
            plain: NAS message for the UE; None for none.
            work: To be done before.
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
        return self._amf.send(connection, message, work)

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
            self._amf.send_nas(connection, n1.network_names(*names, self._links.seconds))
        if ue.kind != "initial" and not any(known.active for known in ue.sessions.values()):
            self._amf.release(connection, "nas", "normal-release", self._works.exchange)

    def use_new_identity(self, ue: AmfUe) -> None:
        """Forgets the temporary identity that a UE had before its new one."""
        if ue.new_tmsi is not None:
            self._free(ue.tmsi)
            ue.tmsi, ue.new_tmsi = ue.new_tmsi, None

    # ------------------------------------------------------------ ends

    def _reject(
        self,
        connection: AmfConnection,
        ue: AmfUe,
        cause: int,
        back_off: float | None = None,
        work: Work | None = None,
    ) -> None:
        self._amf.send_nas(connection, n1.reject("RegistrationReject", cause, back_off), work, None)
        self.end(connection, ue)

    def give_up(self, connection: AmfConnection, ue: AmfUe) -> None:
        """Ends a procedure that the UE does not answer."""
        if connection.gone:
            self.abort(ue)
        else:
            self.end(connection, ue)

    def end(self, connection: AmfConnection, ue: AmfUe) -> None:
        """Ends a procedure that has failed, and its connection."""
        self.abort(ue)
        self._amf.release(connection, "nas", "normal-release")

    def abort(self, ue: AmfUe) -> None:
        """Lets a UE be as if it had never asked; what it had before is gone."""
        ue.vector = ue.pending_security = None
        self._free(ue.new_tmsi)
        ue.new_tmsi = None
        self._amf.deregistrations.forget(ue)

    def _free(self, tmsi: int | None) -> None:
        if tmsi is not None:
            self._amf.by_tmsi.pop(tmsi, None)
            self._amf.tmsis.free(tmsi)
