"""PDU sessions at the AMF: between the UE, the base station and session management."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gentwin.signaling.core import n1, n1_sessions, n2
from gentwin.signaling.core.amf_context import REGISTERING, AmfConnection, AmfUe
from gentwin.signaling.core.policy import MODIFICATION, SESSION
from gentwin.signaling.core.smf import SmfSession
from gentwin.signaling.core.subscribers import Subscription
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import Message

if TYPE_CHECKING:
    from gentwin.signaling.core.amf import Amf

DNN_NOT_SUPPORTED, NOT_FORWARDED = 91, 90
IPV4_ONLY = 50
REGULAR_DEACTIVATION, REACTIVATION_REQUESTED, NO_SUCH_SESSION = 36, 39, 54
SETUP_RESPONSE = "pdu_session_resource_setup_response_transfer"


class Sessions:
    """Establishment, modification and release of sessions.

    Args:
        amf: To which they belong.
    """

    def __init__(self, amf: Amf) -> None:
        self._amf, self._smf, self._works = amf, amf.smf, amf.works
        self._network, self._timing = amf.network, amf.network.flavour.timing
        self._beginning: dict[tuple[str, int], AmfConnection] = {}
        self.nas_handlers: dict[str, Callable[[AmfConnection, AmfUe, Message], None]] = {
            "ULNASTransport": self._transport
        }
        self._for_session = {
            "PDUSessionEstablishmentRequest": self._establish,
            "PDUSessionModificationRequest": self._modify,
            "PDUSessionModificationComplete": self._modified,
            "PDUSessionReleaseRequest": self._release,
            "PDUSessionReleaseComplete": self._released,
            "5GSMStatus": self._told_error,
        }
        self.handlers: dict[str, Callable[[AmfConnection, Message], None]] = {
            "PDUSessionResourceSetupResponse": self._resources_set_up,
            "PDUSessionResourceModifyResponse": _expected,
            "PDUSessionResourceReleaseResponse": _expected,
        }

    def _transport(self, connection: AmfConnection, ue: AmfUe, message: Message) -> None:
        if ue.state == REGISTERING:  # it has not completed its registration: the recorded core is silent
            return
        inner = message["payload_container"]
        handler = self._for_session.get(inner.name) if isinstance(inner, Message) else None
        if handler is None:
            self._amf.send_nas(connection, n1.status_5gmm(NOT_FORWARDED))
        else:
            handler(connection, ue, message, inner)

    # ------------------------------------------------------------ establishment

    def _establish(self, connection: AmfConnection, ue: AmfUe, message: Message, inner: Message) -> None:
        psi, pti = inner["pdu_session_id"], inner["pti"]
        if self._beginning.get((ue.supi, psi)) is connection:
            return
        of = n1.read_slice(message["s_nssai"]) if message.get("s_nssai") is not None else ue.allowed[0]
        dnn = message.get("dnn") or ue.subscriber.subscriptions[0].dnn
        subscription = ue.subscriber.find(of, dnn) if of in ue.allowed else None
        if subscription is None:
            self._not_supported(connection, ue, message, DNN_NOT_SUPPORTED if of in ue.allowed else NOT_FORWARDED)
            return
        self._beginning[ue.supi, psi] = connection
        kind = inner.get("pdu_session_type", "ipv4")

        def refuse(cause: int, back_off: float | None) -> None:
            self._begun(connection, ue, psi)
            self._reject(connection, "PDUSessionEstablishmentReject", psi, pti, cause, back_off)

        self._amf.admission.ask(
            self._amf.situation(SESSION, ue, subscription, (subscription.uplink, subscription.downlink)),
            lambda: self._create(connection, ue, (psi, pti), subscription, kind),
            refuse,
            lambda: self._waits(connection, ue, psi),
        )

    def _waits(self, connection: AmfConnection, ue: AmfUe, psi: int) -> bool:
        """Returns whether a UE still waits for a session; if not, that is forgotten."""
        if ue.connection is connection and not connection.releasing:
            return True
        self._begun(connection, ue, psi)
        return False

    def _begun(self, connection: AmfConnection, ue: AmfUe, psi: int) -> None:
        """Notes that a session is no longer being established over a connection."""
        if self._beginning.get((ue.supi, psi)) is connection:
            del self._beginning[ue.supi, psi]

    def _create(
        self, connection: AmfConnection, ue: AmfUe, which: tuple[int, int], subscription: Subscription, kind: str
    ) -> None:
        psi, pti = which
        old = ue.sessions.pop(psi, None)
        if old is not None:
            self._smf.release(old)

        def then(result: SmfSession | int) -> None:
            self._begun(connection, ue, psi)
            self._established(connection, ue, (psi, pti), kind, result)

        self._smf.establish(ue, psi, subscription, kind, then)

    def _not_supported(self, connection: AmfConnection, ue: AmfUe, message: Message, cause: int) -> None:
        flavour, inner = self._network.flavour, message["payload_container"]
        if flavour.keeps_refused_sessions and inner["pdu_session_id"] not in ue.sessions:
            ue.lingering.add(inner["pdu_session_id"])
        if flavour.unsupported_dnn_status:
            self._amf.send_nas(connection, n1.status_5gmm(DNN_NOT_SUPPORTED))
        else:
            self._amf.send_nas(connection, n1_sessions.downlink_transport(inner, ("cause_5gmm", cause)))

    def _reject(
        self, connection: AmfConnection, name: str, psi: int, pti: int, cause: int, back_off: float | None = None
    ) -> None:
        self._amf.send_nas(connection, n1_sessions.session_reject(name, psi, pti, cause, back_off))

    def _established(
        self, connection: AmfConnection, ue: AmfUe, which: tuple[int, int], kind: str, result: SmfSession | int
    ) -> None:
        gone = ue.connection is not connection or connection.releasing
        psi, pti = which
        if isinstance(result, int):
            if not gone:
                self._reject(connection, "PDUSessionEstablishmentReject", psi, pti, result)
            return
        if gone:
            self._smf.release(result)
            return
        ue.sessions[psi] = result
        ue.lingering.discard(psi)
        known = result.subscription
        accept = n1_sessions.establishment_accept(
            (psi, pti),
            (known.slice, known.dnn, known.five_qi),
            result.address,
            result.rates,
            self._smf.name_servers(known.dnn),
            IPV4_ONLY if kind == "ipv4v6" else None,
        )
        self.send_setup(connection, ue, result, accept)

    def send_setup(
        self, connection: AmfConnection, ue: AmfUe, session: SmfSession, accept: Message | None = None
    ) -> None:
        """Asks the base station to set up the resources of a session.

        Args:
            connection: Of the UE.
            ue: Whose session.
            session: Which.
            accept: What the UE is told of it; None if it is not new.
        """
        nas = () if accept is None else (("pdu_session_nas_pdu", ue.security.seal(accept)),)
        entry = Fields(
            (
                ("pdu_session_id", session.psi),
                *nas,
                ("s_nssai", n2.s_nssai(session.slice)),
                ("pdu_session_resource_setup_request_transfer", session.setup_transfer(self._network.upf_address)),
            )
        )
        pairs = [*connection.ids, ("pdu_session_resource_setup_list_su_req", n2.items([entry]))]
        if not connection.ambr_told:
            connection.ambr_told = True
            pairs.append(n2.ue_ambr(ue.subscriber.uplink, ue.subscriber.downlink))
        self._amf.send(connection, n2.message("PDUSessionResourceSetupRequest", *pairs), self._works.smf)

    def _resources_set_up(self, connection: AmfConnection, message: Message) -> None:
        ue = connection.ue
        listed = message.get("pdu_session_resource_setup_list_su_res")
        if ue is not None and listed is not None:
            for item in listed.all("item"):
                self._amf.services.forward(ue, item["pdu_session_id"], item[SETUP_RESPONSE])

    # ------------------------------------------------------------ modification

    def _modify(self, connection: AmfConnection, ue: AmfUe, message: Message, inner: Message) -> None:
        psi, pti, session = inner["pdu_session_id"], inner["pti"], ue.sessions.get(inner["pdu_session_id"])
        name = "PDUSessionModificationReject"
        if session is None:
            self._reject(connection, name, psi, pti, NO_SUCH_SESSION)
            return
        self._ask_rates(
            ue,
            session,
            None,
            lambda: self._change_rates(ue, session, session.rates, pti),
            lambda cause, back_off: self._reject(connection, name, psi, pti, cause, back_off),
        )

    def change_rates(self, ue: AmfUe, session: SmfSession, rates: tuple[int, int]) -> None:
        """Modifies the session AMBR of a session of a connected UE by the network, if the policy admits it.

        Args:
            ue: Whose.
            session: Which.
            rates: Uplink and downlink in bit/s.
        """
        self._ask_rates(
            ue, session, rates, lambda: self._change_rates(ue, session, rates, 0), lambda cause, back_off: None
        )

    def _ask_rates(
        self,
        ue: AmfUe,
        session: SmfSession,
        rates: tuple[int, int] | None,
        admit: Callable[[], None],
        refuse: Callable[[int, float | None], None],
    ) -> None:
        """Asks the policy whether a session may have other rates; None for those that it has when that is admitted."""
        connection, before = ue.connection, session.rates
        growth = tuple(max(0, new - old) for new, old in zip(rates or before, before, strict=True))

        def waits() -> bool:
            there = ue.connection is connection and ue.sessions.get(session.psi) is session
            return there and (rates is None or session.rates == before)  # else the growth is another one

        self._amf.admission.ask(
            self._amf.situation(MODIFICATION, ue, session.subscription, growth), admit, refuse, waits
        )

    def _change_rates(self, ue: AmfUe, session: SmfSession, rates: tuple[int, int], pti: int) -> None:
        def then(done: SmfSession | None) -> None:
            if done is not None and ue.connection is not None and ue.sessions.get(session.psi) is session:
                self._send_modification(ue.connection, ue, session, pti, self._timing.attempts)

        self._smf.limit(session, rates, then)

    def _send_modification(
        self, connection: AmfConnection, ue: AmfUe, session: SmfSession, pti: int, attempts: int
    ) -> None:
        if not attempts or ue.connection is not connection or connection.releasing:
            return
        command = n1_sessions.session_message(
            "PDUSessionModificationCommand", session.psi, pti, n1_sessions.session_ambr(*session.rates)
        )
        plain = n1_sessions.downlink_transport(command)
        if session.active:
            entry = Fields.of(
                pdu_session_id=session.psi,
                nas_pdu=ue.security.seal(plain),
                pdu_session_resource_modify_request_transfer=Fields((n2.session_ambr(*session.rates),)),
            )
            pair = ("pdu_session_resource_modify_list_mod_req", n2.items([entry]))
            request = n2.message("PDUSessionResourceModifyRequest", *connection.ids, pair)
            wait = self._amf.send(connection, request, self._works.smf)
        else:  # the base station has no resources of it
            wait = self._amf.send_nas(connection, plain, self._works.smf)
        wait += self._timing.t3591
        again = self._send_modification, connection, ue, session, pti, attempts - 1
        ue.timers.start(f"T3591/{session.psi}", wait, *again)

    def _modified(self, connection: AmfConnection, ue: AmfUe, message: Message, inner: Message) -> None:
        ue.timers.stop(f"T3591/{inner['pdu_session_id']}")

    # ------------------------------------------------------------ release

    def forget_all(self) -> None:
        """Forgets the sessions that are being established."""
        self._beginning.clear()

    def _release(self, connection: AmfConnection, ue: AmfUe, message: Message, inner: Message) -> None:
        psi, pti = inner["pdu_session_id"], inner["pti"]
        session = ue.sessions.pop(psi, None)
        if session is None:
            if f"T3592/{psi}" not in ue.timers:
                self._reject(connection, "PDUSessionReleaseReject", psi, pti, NO_SUCH_SESSION)
            return
        self._end(connection, ue, session, pti, inner.get("cause_5gsm", REGULAR_DEACTIVATION))

    def revoke(self, ue: AmfUe, psi: int, cause: int = REGULAR_DEACTIVATION) -> None:
        """Releases a session by the network; a UE that is idle is not told of it until it comes back.

        Args:
            ue: Whose.
            psi: PDU session identity.
            cause: 5GSM cause; with #39 the UE asks for the session again.
        """
        session = ue.sessions.pop(psi, None)
        if session is None:
            return
        if ue.connection is None or ue.connection.releasing:
            self._smf.release(session)
        else:
            self._end(ue.connection, ue, session, 0, cause)

    def lose(self, session: SmfSession) -> None:
        """Takes the loss of a session at the user plane: the UE is asked to establish it anew."""
        ue = self._amf.by_supi.get(session.supi)
        if ue is None or ue.sessions.get(session.psi) is not session:
            return
        del ue.sessions[session.psi]
        if ue.connection is not None and ue.connection.context:
            which = session.psi, 0
            self._send_release(ue.connection, ue, which, REACTIVATION_REQUESTED, session.active, self._timing.attempts)

    def _end(self, connection: AmfConnection, ue: AmfUe, session: SmfSession, pti: int, cause: int) -> None:
        which, active = (session.psi, pti), session.active
        ue.timers.stop(f"T3591/{session.psi}")
        ue.timers.start(f"T3592/{session.psi}", self._timing.t3592, lambda: None)
        self._smf.release(
            session, lambda _: self._send_release(connection, ue, which, cause, active, self._timing.attempts)
        )

    def _send_release(
        self, connection: AmfConnection, ue: AmfUe, which: tuple[int, int], cause: int, active: bool, attempts: int
    ) -> None:
        psi, pti = which
        timer = f"T3592/{psi}"
        if not attempts or ue.connection is not connection or connection.releasing:
            ue.timers.stop(timer)
            return
        inner = n1_sessions.session_message("PDUSessionReleaseCommand", psi, pti, ("cause_5gsm", cause))
        plain = n1_sessions.downlink_transport(inner)
        if active:
            transfer = Fields.of(cause=Fields.of(nas="normal-release"))
            entry = Fields.of(pdu_session_id=psi, pdu_session_resource_release_command_transfer=transfer)
            nas = ("nas_pdu", ue.security.seal(plain))
            listed = ("pdu_session_resource_to_release_list_rel_cmd", n2.items([entry]))
            message = n2.message("PDUSessionResourceReleaseCommand", *connection.ids, nas, listed)
            wait = self._amf.send(connection, message, self._works.smf)
        else:
            wait = self._amf.send_nas(connection, plain, self._works.smf)
        # What is sent again goes without the base station, which has released the resources.
        again = self._send_release, connection, ue, which, cause, False, attempts - 1
        ue.timers.start(timer, wait + self._timing.t3592, *again)

    def _released(self, connection: AmfConnection, ue: AmfUe, message: Message, inner: Message) -> None:
        ue.timers.stop(f"T3592/{inner['pdu_session_id']}")

    def _told_error(self, connection: AmfConnection, ue: AmfUe, message: Message, inner: Message) -> None:
        """Takes the report of a UE that it does not know a session: there is nothing to do about it."""


def _expected(connection: AmfConnection, message: Message) -> None:
    """Takes an answer of the base station that changes nothing: the UE's own is awaited."""
