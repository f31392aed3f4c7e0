"""Handover at the AMF: of the path after one over Xn, and over N2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gentwin.signaling.core import n2
from gentwin.signaling.core.amf_context import REGISTERED, AmfConnection, AmfUe
from gentwin.signaling.core.policy import HANDOVER
from gentwin.signaling.fields import Bits, Fields
from gentwin.signaling.messages import Message

if TYPE_CHECKING:
    from gentwin.signaling.core.amf import Amf
    from gentwin.signaling.core.gnb import Gnb
    from gentwin.signaling.core.smf import SmfSession

NO_TARGET = "radio_network", "unknown-targetID"
NO_RESOURCES = "radio_network", "no-radio-resources-available-in-target-cell"
FAILED = "radio_network", "ho-failure-in-target-5GC-ngran-node-or-target-system"
LOST = "radio_network", "unknown-local-UE-NGAP-ID"
DONE = "radio_network", "successful-handover"
CANCELLED = "radio_network", "handover-cancelled"


class Handovers:
    """Path switch and N2 handover.

    Args:
        amf: To which they belong.
    """

    def __init__(self, amf: Amf) -> None:
        self._amf, self._network, self._links, self._works = amf, amf.network, amf.links, amf.works
        self.handlers: dict[str, Callable[[AmfConnection, Message], None]] = {
            "HandoverRequired": self._required,
            "HandoverRequestAcknowledge": self._acknowledged,
            "HandoverFailure": self._failed,
            "HandoverNotify": self._notified,
            "HandoverCancel": self._cancelled,
            "UplinkRANStatusTransfer": self._pass_status,
        }

    # ------------------------------------------------------------ Xn

    def switch_path(self, message: Message, sender: Gnb, stream: int) -> None:
        """Takes the request of a base station to which a UE came over Xn."""
        connection = self._amf.connections.get(message["source_amf_ue_ngap_id"])
        ue = connection.ue if connection is not None else None
        ran_id = message["ran_ue_ngap_id"]
        if ue is None or ue.state != REGISTERED or connection.releasing:
            self._fail_switch(message, sender, stream)
            return
        tunnels = {
            item["pdu_session_id"]: item["path_switch_request_transfer.dl_ngu_up_tnl_information.gtp_tunnel"]
            for item in message["pdu_session_resource_to_be_switched_dl_list"].all("item")
        }
        waiting = {psi for psi in tunnels if psi in ue.sessions}
        if not waiting:
            self._fail_switch(message, sender, stream)
            return
        connection.station, connection.ran_id, connection.stream = sender, ran_id, stream
        ue.tac = sender.station.tac
        key, count = self._amf.registrations.advance_key(ue)

        def switched(psi: int) -> None:
            waiting.discard(psi)
            if not waiting and ue.connection is connection:
                self._acknowledge_switch(connection, ue, [*tunnels], key, count)

        for psi in sorted(waiting):
            self._forward(ue, psi, tunnels[psi], lambda _, psi=psi: switched(psi), marker=True)

    def _fail_switch(self, message: Message, sender: Gnb, stream: int) -> None:
        transfer = Fields.of(cause=Fields((LOST,)))
        released = n2.items(
            Fields.of(pdu_session_id=item["pdu_session_id"], path_switch_request_unsuccessful_transfer=transfer)
            for item in message["pdu_session_resource_to_be_switched_dl_list"].all("item")
        )
        answer = n2.message(
            "PathSwitchRequestFailure",
            *n2.ids(message["source_amf_ue_ngap_id"], message["ran_ue_ngap_id"]),
            ("pdu_session_resource_released_list_ps_fail", released),
        )
        self._amf.send_node(answer, sender, stream)

    def _forward(
        self, ue: AmfUe, psi: int, tunnel: Fields, then: Callable[[object], None] | None = None, marker: bool = False
    ) -> None:
        host, teid = tunnel["transport_layer_address"], int.from_bytes(tunnel["gtp_teid"])
        self._amf.smf.forward(ue.sessions[psi], host, teid, then, marker)

    def _acknowledge_switch(
        self, connection: AmfConnection, ue: AmfUe, sessions: list[int], key: bytes, count: int
    ) -> None:
        switched = n2.items(
            Fields.of(
                pdu_session_id=psi,
                path_switch_request_acknowledge_transfer=Fields.of(
                    ul_ngu_up_tnl_information=n2.gtp_tunnel(self._network.upf_address, ue.sessions[psi].uplink_teid)
                ),
            )
            for psi in sessions
            if psi in ue.sessions
        )
        if not switched:
            return
        message = n2.message(
            "PathSwitchRequestAcknowledge",
            *connection.ids,
            ("security_context", _security(key, count)),
            ("pdu_session_resource_switched_list", switched),
            ("allowed_nssai", n2.slice_list(ue.allowed)),
        )
        self._amf.send(connection, message)

    # ------------------------------------------------------------ N2: preparation

    def _required(self, source: AmfConnection, message: Message) -> None:
        ue = source.ue
        number = message["target_id.target_ran_node_id.global_ran_node_id.global_gnb_id.gnb_id.gnb_id"].value
        target = next((known for known in self._amf.stations.values() if known.station.number == number), None)
        listed = [item["pdu_session_id"] for item in message["pdu_session_resource_list_ho_rqd"].all("item")]
        sessions = [ue.sessions[psi] for psi in listed if psi in ue.sessions] if ue is not None else []
        if ue is None or target is None or target is source.station:
            self._fail_preparation(source, NO_TARGET)
        elif not sessions or source.handover is not None:
            self._fail_preparation(source, FAILED)
        elif not self._amf.admission.decide(self._amf.situation(HANDOVER, ue)).admitted:
            self._fail_preparation(source, NO_RESOURCES)
        else:
            self._prepare(source, target, message, sessions)

    def _fail_preparation(self, source: AmfConnection, reason: tuple[str, str]) -> None:
        self._amf.send(source, n2.message("HandoverPreparationFailure", *source.ids, n2.cause(*reason)))

    def _prepare(self, source: AmfConnection, target: Gnb, message: Message, sessions: Sequence[SmfSession]) -> None:
        ue = source.ue
        connection = self._amf.new_connection(0, target, target.next_stream())
        source.handover, connection.handover = connection, source
        key, count = self._amf.registrations.advance_key(ue)
        entries = n2.items(
            Fields(
                (
                    ("pdu_session_id", session.psi),
                    ("s_nssai", n2.s_nssai(session.slice)),
                    ("handover_request_transfer", session.setup_transfer(self._network.upf_address)),
                )
            )
            for session in sessions
        )
        request = n2.message(
            "HandoverRequest",
            ("amf_ue_ngap_id", connection.amf_id),
            ("handover_type", "intra5gs"),
            ("cause", message["cause"]),
            n2.ue_ambr(ue.subscriber.uplink, ue.subscriber.downlink),
            n2.security_capabilities(ue.algorithms),
            ("security_context", _security(key, count)),
            ("pdu_session_resource_setup_list_ho_req", entries),
            ("allowed_nssai", n2.slice_list(ue.allowed)),
            ("source_to_target_transparent_container", message["source_to_target_transparent_container"]),
            ("guami", n2.guami(self._network)),
        )
        self._amf.send(connection, request)
        self._links.clock.after(self._network.flavour.timing.handover, self._expire, connection)

    def _expire(self, target: AmfConnection) -> None:
        """Gives up a handover that has not ended: the target is told, the source goes on."""
        source = target.handover
        if source is not None and not target.gone:
            source.handover = target.handover = None
            self._amf.release(target, "radio_network", "tngrelocprep-expiry")

    def _acknowledged(self, target: AmfConnection, message: Message) -> None:
        source, target.ran_id = target.handover, message["ran_ue_ngap_id"]
        if source is None or source.ue is None or source.releasing:
            self._amf.release(target, *CANCELLED)
            return
        target.tunnels = {
            item["pdu_session_id"]: item["handover_request_acknowledge_transfer.dl_ngu_up_tnl_information.gtp_tunnel"]
            for item in message["pdu_session_resource_admitted_list"].all("item")
        }
        handed = n2.items(Fields.of(pdu_session_id=psi, handover_command_transfer=Fields()) for psi in target.tunnels)
        command = n2.message(
            "HandoverCommand",
            *source.ids,
            ("handover_type", "intra5gs"),
            ("pdu_session_resource_handover_list", handed),
            ("target_to_source_transparent_container", message["target_to_source_transparent_container"]),
        )
        self._amf.send(source, command)

    def _failed(self, target: AmfConnection, message: Message) -> None:
        source, target.handover = target.handover, None
        self._amf.drop(target)
        if source is not None:
            source.handover = None
            self._fail_preparation(source, message["cause"][0])

    # ------------------------------------------------------------ N2: execution

    def _pass_status(self, source: AmfConnection, message: Message) -> None:
        target = source.handover
        if target is not None:
            status = ("ran_status_transfer_transparent_container", message["ran_status_transfer_transparent_container"])
            self._amf.send(target, n2.message("DownlinkRANStatusTransfer", *target.ids, status))

    def _notified(self, target: AmfConnection, message: Message) -> None:
        source = target.handover
        if source is None or source.ue is None:
            self._amf.release(target, *LOST)
            return
        ue, source.ue, source.handover, target.handover = source.ue, None, None, None
        ue.connection = target
        target.ue, target.context, target.ambr_told = ue, True, True
        target.key_count = source.key_count
        ue.tac = target.station.station.tac
        for psi, tunnel in target.tunnels.items():
            if psi in ue.sessions:
                self._forward(ue, psi, tunnel, marker=True)
        for psi in [psi for psi, known in ue.sessions.items() if known.active and psi not in target.tunnels]:
            self._amf.smf.buffer(ue.sessions[psi])
        self._amf.release(source, *DONE, self._works.exchange)

    def _cancelled(self, source: AmfConnection, message: Message) -> None:
        target, source.handover = source.handover, None
        self._amf.send(source, n2.message("HandoverCancelAcknowledge", *source.ids))
        if target is not None:
            target.handover = None
            self._amf.release(target, *CANCELLED)


def _security(key: bytes, count: int) -> Fields:
    return Fields.of(next_hop_chaining_count=count, next_hop_nh=Bits(int.from_bytes(key), 256))
