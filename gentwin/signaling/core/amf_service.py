"""Service requests and paging at the AMF: a UE that was idle comes back with its sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gentwin.signaling.core import n1, n2
from gentwin.signaling.core.amf_context import REGISTERED, AmfConnection, AmfUe
from gentwin.signaling.core.policy import SERVICE
from gentwin.signaling.core.protection import PROTECTED
from gentwin.signaling.core.smf import SmfSession
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import Message

if TYPE_CHECKING:
    from gentwin.signaling.core.amf import Amf

UNKNOWN_IDENTITY = 9
SETUP_RESPONSE = "pdu_session_resource_setup_response_transfer"


class Services:
    """Service requests, paging and configuration updates.

    Args:
        amf: To which they belong.
    """

    def __init__(self, amf: Amf) -> None:
        self._amf, self._works = amf, amf.works
        self._network, self._timing = amf.network, amf.network.flavour.timing
        self.nas_handlers: dict[str, Callable[[AmfConnection, AmfUe, Message], None]] = {
            "ConfigurationUpdateComplete": self._updated,
            "5GMMStatus": self._told_error,
        }

    # ------------------------------------------------------------ service request

    def request(self, connection: AmfConnection, nas: Message) -> None:
        """Takes a service request."""
        request = nas["payload"] if nas.name == PROTECTED else nas
        ue = self._amf.by_tmsi.get(int.from_bytes(request["mobile_identity.tmsi"]))
        opened = ue.security.open(nas) if ue is not None and ue.security is not None and nas.name == PROTECTED else None
        if opened is None or opened.message is None:
            self._reject(connection, UNKNOWN_IDENTITY, None)
            return
        if ue.state != REGISTERED:
            self._reject(connection, self._network.flavour.implicitly_deregistered_cause, None)
            return
        container = opened.message.get("nas_message_container")
        whole = ue.security.read_container(container, opened.count) if container is not None else None
        self._amf.attach(connection, ue)
        self._amf.admission.ask(
            self._amf.situation(SERVICE, ue),
            lambda: self._accept(connection, ue, whole or opened.message, opened.count),
            lambda cause, back_off: self._refuse(connection, ue, cause, back_off),
            lambda: ue.connection is connection and not connection.releasing,
        )

    def _refuse(self, connection: AmfConnection, ue: AmfUe, cause: int, back_off: float | None) -> None:
        ue.paged.clear()
        self._reject(connection, cause, back_off)

    def _reject(self, connection: AmfConnection, cause: int, back_off: float | None) -> None:
        self._amf.send_nas(connection, n1.reject("ServiceReject", cause, back_off), header=None)
        self._amf.release(connection, "nas", "normal-release")

    def _accept(self, connection: AmfConnection, ue: AmfUe, request: Message, count: int) -> None:
        ue.timers.stop("T3513")
        connection.key_count = count
        status = request.get("pdu_session_status")
        if status is not None:
            there = n1.read_sessions(status)
            for psi in [psi for psi in ue.sessions if psi not in there]:
                self._amf.smf.release(ue.sessions.pop(psi))
        asked = request.get("uplink_data_status")
        wanted = n1.read_sessions(asked or "") | ue.paged
        sessions = [ue.sessions[psi] for psi in sorted(wanted) if psi in ue.sessions]
        lingering = frozenset(ue.lingering)
        accept = n1.service_accept(frozenset(ue.sessions) | lingering, None if asked is None else lingering)
        entries = tuple(self._setup_item(session) for session in sessions)
        work = self._works.amf if asked is None else self._works.exchange
        self._amf.registrations.set_up_context(connection, ue, accept, work, entries)

    def _setup_item(self, session: SmfSession) -> Fields:
        transfer = session.setup_transfer(self._network.upf_address)
        return Fields(
            (
                ("pdu_session_id", session.psi),
                ("s_nssai", n2.s_nssai(session.slice)),
                ("pdu_session_resource_setup_request_transfer", transfer),
            )
        )

    def context_set_up(self, connection: AmfConnection, ue: AmfUe, message: Message) -> None:
        """Takes the answer to the set-up of a context: the sessions in it can be used."""
        if ue.paged:
            ue.paged.clear()
            if self._network.flavour.new_guti_after_paging:
                self._give_identity(connection, ue)
        listed = message.get("pdu_session_resource_setup_list_cxt_res")
        for item in listed.all("item") if listed else ():
            self.forward(ue, item["pdu_session_id"], item[SETUP_RESPONSE])

    def forward(self, ue: AmfUe, psi: int, transfer: Fields, then: Callable[[object], None] | None = None) -> None:
        """Lets the user plane send packets of a session where a base station wants them.

        Args:
            ue: Whose session.
            psi: PDU session identity.
            transfer: What the base station told.
            then: Called when that is done.
        """
        session = ue.sessions.get(psi)
        if session is not None:
            tunnel = transfer["dl_qos_flow_per_tnl_information.up_transport_layer_information.gtp_tunnel"]
            teid = int.from_bytes(tunnel["gtp_teid"])
            self._amf.smf.forward(session, tunnel["transport_layer_address"], teid, then)

    # ------------------------------------------------------------ new identity

    def _give_identity(self, connection: AmfConnection, ue: AmfUe) -> None:
        if ue.new_tmsi is None:
            ue.new_tmsi = self._amf.tmsis.allocate()
            self._amf.by_tmsi[ue.new_tmsi] = ue
        self._send_update(connection, ue, self._timing.attempts)

    def _send_update(self, connection: AmfConnection, ue: AmfUe, attempts: int) -> None:
        if not attempts or ue.connection is not connection or ue.new_tmsi is None:
            return
        update = n1.new_identity(n1.guti(self._network, ue.new_tmsi))
        wait = self._amf.send_nas(connection, update)
        ue.timers.start("T3555", wait + self._timing.t3555, self._send_update, connection, ue, attempts - 1)

    def _updated(self, connection: AmfConnection, ue: AmfUe, message: Message) -> None:
        if "T3555" in ue.timers:
            ue.timers.stop("T3555")
            self._amf.registrations.use_new_identity(ue)

    def _told_error(self, connection: AmfConnection, ue: AmfUe, message: Message) -> None:
        """Takes a status message: there is nothing to do about it."""

    # ------------------------------------------------------------ paging

    def page(self, session: SmfSession) -> None:
        """Pages the UE of a session for which packets wait; if it has a connection, sets the session up."""
        ue = self._amf.by_supi.get(session.supi)
        if ue is None or ue.state != REGISTERED or ue.sessions.get(session.psi) is not session:
            return
        if ue.connection is not None:
            if ue.connection.context and not ue.connection.releasing and not session.active:
                self._amf.sessions.send_setup(ue.connection, ue, session)
            return
        ue.paged.add(session.psi)
        if "T3513" not in ue.timers:
            self._send_page(ue, self._timing.paging_attempts)

    def _send_page(self, ue: AmfUe, attempts: int) -> None:
        if ue.connection is not None:
            return
        if not attempts or ue.state != REGISTERED:
            ue.paged.clear()
            return
        tmsi = ue.tmsi if ue.tmsi is not None else ue.new_tmsi
        message = n2.paging(self._network, tmsi, ue.tac)
        for station in self._amf.stations.values():
            if station.station.tac in self._network.areas:
                self._amf.send_node(message, station)
        ue.timers.start("T3513", self._timing.t3513, self._send_page, ue, attempts - 1)
