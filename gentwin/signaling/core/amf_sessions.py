"""PDU sessions at the AMF: between the UE, the base station and session management."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gentwin.signaling.core import n1, n1_sessions, n2
from gentwin.signaling.core.amf_context import AmfConnection, AmfUe
from gentwin.signaling.core.policy import MODIFICATION, SESSION
from gentwin.signaling.core.smf import SmfSession
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import Message

if TYPE_CHECKING:
    from gentwin.signaling.core.amf import Amf

DNN_NOT_SUPPORTED, PAYLOAD_NOT_FORWARDED = 91, 90
REGULAR_DEACTIVATION, NO_SUCH_SESSION = 36, 54
SETUP_RESPONSE = "pdu_session_resource_setup_response_transfer"


class Sessions:
    """Establishment, modification and release of sessions.

    Args:
        amf: To which they belong.
    """

    def __init__(self, amf: Amf) -> None:
        self._amf, self._smf = amf, amf.smf
        self._network, self._timing = amf.network, amf.network.flavour.timing
        self._beginning: set[tuple[str, int]] = set()
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
        inner = message["payload_container"]
        handler = self._for_session.get(inner.name) if isinstance(inner, Message) else None
        if handler is None:
            self._amf.send_nas(connection, n1.status_5gmm(PAYLOAD_NOT_FORWARDED))
        else:
            handler(connection, ue, message, inner)

    # ------------------------------------------------------------ establishment

    def _establish(self, connection: AmfConnection, ue: AmfUe, message: Message, inner: Message) -> None:
        psi, pti = inner["pdu_session_id"], inner["pti"]
        if (ue.supi, psi) in self._beginning:
            return
        of = n1.read_slice(message["s_nssai"]) if message.get("s_nssai") is not None else ue.allowed[0]
        dnn = message.get("dnn") or ue.subscriber.subscriptions[0].dnn
        subscription = ue.subscriber.find(of, dnn) if of in ue.allowed else None
        if subscription is None:
            self._not_supported(connection, message)
            return
        decision = self._amf.decide(SESSION, ue, of, dnn)
        if not decision.admitted:
            self._reject(connection, "PDUSessionEstablishmentReject", psi, pti, decision.cause, decision.back_off)
            return
        old = ue.sessions.pop(psi, None)
        if old is not None:
            self._smf.release(old)
        self._beginning.add((ue.supi, psi))

        def then(result: SmfSession | int) -> None:
            self._beginning.discard((ue.supi, psi))
            self._established(connection, ue, psi, pti, result)

        self._smf.establish(ue, psi, subscription, inner.get("pdu_session_type", "ipv4"), then)

    def _not_supported(self, connection: AmfConnection, message: Message) -> None:
        if self._network.flavour.unsupported_dnn_status:
            self._amf.send_nas(connection, n1.status_5gmm(DNN_NOT_SUPPORTED), 0.0003)
        else:
            answer = n1_sessions.downlink_transport(message["payload_container"], ("cause_5gmm", DNN_NOT_SUPPORTED))
            self._amf.send_nas(connection, answer, 0.0003)

    def _reject(
        self, connection: AmfConnection, name: str, psi: int, pti: int, cause: int, back_off: float | None = None
    ) -> None:
        self._amf.send_nas(connection, n1_sessions.session_reject(name, psi, pti, cause, back_off))

    def _established(self, connection: AmfConnection, ue: AmfUe, psi: int, pti: int, result: SmfSession | int) -> None:
        gone = ue.connection is not connection or connection.releasing
        if isinstance(result, int):
            if not gone:
                self._reject(connection, "PDUSessionEstablishmentReject", psi, pti, result)
            return
        if gone:
            self._smf.release(result)
            return
        ue.sessions[psi] = result
        known = result.subscription
        servers = self._smf.name_servers(known.dnn)
        accept = n1_sessions.establishment_accept(
            psi, pti, known.slice, known.dnn, result.address, known.five_qi, result.rates, servers
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
        self._amf.send(connection, n2.message("PDUSessionResourceSetupRequest", *pairs), 0.0005)

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
        decision = self._amf.decide(MODIFICATION, ue, session.slice, session.subscription.dnn)
        if not decision.admitted:
            self._reject(connection, name, psi, pti, decision.cause, decision.back_off)
            return
        self.change_rates(ue, session, session.rates, pti)

    def change_rates(self, ue: AmfUe, session: SmfSession, rates: tuple[int, int], pti: int = 0) -> None:
        """Modifies the session AMBR of a session of a connected UE.

        Args:
            ue: Whose.
            session: Which.
            rates: Uplink and downlink in bit/s.
            pti: Transaction of the UE that asked; 0 if the network does it by itself.
        """

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
        entry = Fields.of(
            pdu_session_id=session.psi,
            nas_pdu=ue.security.seal(n1_sessions.downlink_transport(command)),
            pdu_session_resource_modify_request_transfer=Fields((n2.session_ambr(*session.rates),)),
        )
        pair = ("pdu_session_resource_modify_list_mod_req", n2.items([entry]))
        self._amf.send(connection, n2.message("PDUSessionResourceModifyRequest", *connection.ids, pair), 0.0005)
        timer = f"T3591/{session.psi}"
        ue.timers.start(timer, self._timing.t3591, self._send_modification, connection, ue, session, pti, attempts - 1)

    def _modified(self, connection: AmfConnection, ue: AmfUe, message: Message, inner: Message) -> None:
        ue.timers.stop(f"T3591/{inner['pdu_session_id']}")

    # ------------------------------------------------------------ release

    def _release(self, connection: AmfConnection, ue: AmfUe, message: Message, inner: Message) -> None:
        psi, pti = inner["pdu_session_id"], inner["pti"]
        session = ue.sessions.pop(psi, None)
        if session is None:
            if f"T3592/{psi}" not in ue.timers:
                self._reject(connection, "PDUSessionReleaseReject", psi, pti, NO_SUCH_SESSION)
            return
        ue.timers.stop(f"T3591/{psi}")
        timer = f"T3592/{psi}"
        ue.timers.start(timer, self._timing.t3592, lambda: None)
        cause = inner.get("cause_5gsm", REGULAR_DEACTIVATION)
        active = session.active
        self._smf.release(
            session, lambda _: self._send_release(connection, ue, (psi, pti), cause, active, self._timing.attempts)
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
            self._amf.send(connection, message, 0.0004)
        else:
            self._amf.send_nas(connection, plain, 0.0004)
        # What is sent again goes without the base station, which has released the resources.
        ue.timers.start(
            timer, self._timing.t3592, self._send_release, connection, ue, which, cause, False, attempts - 1
        )

    def _released(self, connection: AmfConnection, ue: AmfUe, message: Message, inner: Message) -> None:
        ue.timers.stop(f"T3592/{inner['pdu_session_id']}")

    def _told_error(self, connection: AmfConnection, ue: AmfUe, message: Message, inner: Message) -> None:
        """Takes the report of a UE that it does not know a session: there is nothing to do about it."""


def _expected(connection: AmfConnection, message: Message) -> None:
    """Takes an answer of the base station that changes nothing: the UE's own is awaited."""
