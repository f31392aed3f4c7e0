"""Base station: connections of UEs, tunnels of their sessions, and what it tells the core of both."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gentwin.signaling.core import n2
from gentwin.signaling.core.configuration import NetworkConfiguration, Station
from gentwin.signaling.core.identifiers import Counter
from gentwin.signaling.core.links import Links
from gentwin.signaling.core.radio import Radio
from gentwin.signaling.core.servers import Work, Works
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import Message

if TYPE_CHECKING:
    from gentwin.signaling.core.amf import Amf
    from gentwin.signaling.core.ue import Ue

STREAMS, NODE_STREAM = 9, 0
LAST_RAN_ID, LAST_TEID = (1 << 32) - 1, (1 << 32) - 1
UNSPECIFIED = "radio_network", "unspecified"
DESIRABLE = "radio_network", "handover-desirable-for-radio-reason"
NO_ROOM = "radio_network", "no-radio-resources-available-in-target-cell"
CANCELLED = "radio_network", "handover-cancelled"
FLOW_ONE = Fields.of(item=Fields.of(qos_flow_identifier=1))
LAST_C_RNTI = 65519
LAST_PORT = 65535
TRIED_AGAIN = 1.0  # seconds from one try to reach the core to the next
MOVE = 0.02  # median of the seconds in which a UE comes to the target of a handover
TERMINATED = "mt-Access"


class GnbConnection:
    """A UE's connection as the base station has it.

    Args:
        ran_id: RAN UE NGAP identity.
        ue: Whose; None until a UE that is handed over has come.
        stream: SCTP stream.
    """

    __slots__ = ("amf_id", "c_rnti", "gone", "leaving", "ran_id", "sent", "sessions", "stream", "ue")

    def __init__(self, ran_id: int, ue: Ue | None, stream: int) -> None:
        self.ran_id, self.ue, self.stream = ran_id, ue, stream
        self.amf_id: int | None = None
        self.sessions: dict[int, int] = {}
        self.leaving: Gnb | None = None
        self.gone, self.sent, self.c_rnti = False, 0.0, 0


class Gnb:
    """Base station.

    Args:
        network: Of the core.
        station: This one.
        links: To send with.
        works: What takes time.
        amf: It belongs to.
        radio: In which it adds itself.
    """

    def __init__(
        self, network: NetworkConfiguration, station: Station, links: Links, works: Works, amf: Amf, radio: Radio
    ) -> None:
        self.network, self.station, self.address = network, station, station.address
        self.links, self.amf = links, amf
        self.host = station.address.rpartition(":")[0]
        self.plmn = station.plmn or network.plmn
        self.up, self.accepted = True, False
        self.connections: dict[int, GnbConnection] = {}
        self._by_tmsi = radio.by_tmsi
        self._work, self._resources = works.of_station()
        self._move = works.of(MOVE)
        self._reduction = 0
        self._number_anew()
        radio.stations.append(self)
        self._handlers: dict[str, Callable[[GnbConnection, Message], None]] = {
            "DownlinkNASTransport": self._downlink,
            "InitialContextSetupRequest": self._set_up_context,
            "PDUSessionResourceSetupRequest": self._set_up_sessions,
            "PDUSessionResourceModifyRequest": self._modify_sessions,
            "PDUSessionResourceReleaseCommand": self._release_sessions,
            "UEContextReleaseCommand": self._release_context,
            "HandoverCommand": self._command_handover,
            "PathSwitchRequestAcknowledge": _known,
            "PathSwitchRequestFailure": self._switch_failed,
            "HandoverPreparationFailure": self._preparation_failed,
            "HandoverCancelAcknowledge": _known,
            "DownlinkRANStatusTransfer": _known,
            "ErrorIndication": self._core_lost_context,
        }

    def _number_anew(self) -> None:
        self._ids, self._teids = Counter(1, LAST_RAN_ID), Counter(1, LAST_TEID)
        self._c_rntis = Counter(1, LAST_C_RNTI)
        self._coming: dict[int, GnbConnection] = {}
        self._streams = Counter(1, STREAMS)

    def next_stream(self) -> int:
        """Returns the stream of the next connection."""
        return self._streams.allocate()

    # ------------------------------------------------------------ the link to the core

    def start(self) -> None:
        """Introduces itself to the core; connections there were are gone."""
        self._drop_all()
        self.up, self.accepted, self._reduction = True, False, 0
        slices = self.station.slices or self.network.slices
        self._send(n2.ng_setup_request(self.plmn, self.station, slices))

    def reset(self) -> None:
        """Resets the link after a failure: all connections are gone at both ends."""
        self._drop_all()
        kind = Fields.of(ng_interface="reset-all")
        self._send(n2.message("NGReset", *(n2.cause("misc", "om-intervention"), ("reset_type", kind))))

    def fail(self) -> None:
        """Fails, with all its connections; the core notices."""
        self.amf.lose_station(self)
        self._lose_association()
        self.up = False
        self._number_anew()

    def lose_core(self) -> None:
        """Takes the end of its association with the core, and tries to set it up again."""
        self._lose_association()
        self.links.clock.after(TRIED_AGAIN, self._try_again)

    def _lose_association(self) -> None:
        """Loses all connections; the next association is another one, from another port."""
        self.accepted = False
        self._drop_all()
        port = int(self.address.rpartition(":")[2])
        self.address = f"{self.host}:{port + 1 if port < LAST_PORT else 1024}"

    def _try_again(self) -> None:
        if self.up and self.amf.up:
            self.start()
        elif self.up:
            self.links.clock.after(TRIED_AGAIN, self._try_again)

    def _drop_all(self) -> None:
        for connection in [*self.connections.values()]:
            self._drop(connection)

    def _send(self, message: Message, stream: int = NODE_STREAM) -> None:
        """Sends a message about no connection, or about one that this station does not have."""
        self.links.send_ngap(message, self, self.amf, stream, self._work)

    def receive(self, message: Message, sender: Amf, stream: int) -> None:
        """Takes a message of the core."""
        if message.name == "Paging":
            self._page(message)
        elif message.name == "NGSetupResponse":
            self.accepted = True
        elif message.name == "OverloadStart":
            self._reduction = message["amf_traffic_load_reduction_indication"]
        elif message.name == "OverloadStop":
            self._reduction = 0
        elif message.name == "HandoverRequest":
            self._prepare_handover(message, stream)
        elif message.name in self._handlers:
            self._for_connection(message, stream)

    def _for_connection(self, message: Message, stream: int) -> None:
        amf_id, ran_id = n2.read_ids(message)
        connection = self.connections.get(ran_id)
        if connection is None or connection.amf_id not in (None, amf_id):
            if message.name == "UEContextReleaseCommand":
                self._send(n2.message("UEContextReleaseComplete", *n2.ids(amf_id, ran_id)), stream)
            elif message.name != "ErrorIndication" and ran_id is not None:
                pairs = *n2.ids(amf_id, ran_id), n2.cause("radio_network", "unknown-local-UE-NGAP-ID")
                self._send(n2.message("ErrorIndication", *pairs), stream)
            return
        connection.amf_id = amf_id
        self._handlers[message.name](connection, message)

    def _where(self) -> n2.Pair:
        return n2.location(self.plmn, self.station, self.links.seconds)

    def _answer(
        self,
        connection: GnbConnection,
        name: str,
        *pairs: n2.Pair,
        located: bool = True,
        work: Work | None = None,
        last: bool = False,
    ) -> None:
        """Sends a message about a connection, after some work: an answer's, if not given; the last one in any case."""
        where = (self._where(),) if located else ()
        message = n2.message(name, *n2.ids(connection.amf_id, connection.ran_id), *pairs, *where)
        work = self._work if work is None else work
        self.links.send_ngap(message, self, self.amf, connection.stream, work, connection, last)

    # ------------------------------------------------------------ NAS

    def connect(self, ue: Ue, cause: str | None = None) -> GnbConnection | None:
        """Returns a new connection of a UE; None if it is refused for the sake of an overloaded core.

        Args:
            ue: Who.
            cause: RRC establishment cause; None for one that was handed over.
        """
        if cause not in (None, TERMINATED) and self.links.happens(self._reduction / 100):
            return None
        connection = GnbConnection(self._ids.allocate(self.connections), ue, self.next_stream())
        self.connections[connection.ran_id] = connection
        return connection

    def carry_first(self, connection: GnbConnection, nas: Message, cause: str, tmsi: int | None, work: Work) -> None:
        """Sends the first NAS message of a connection.

        Args:
            connection: Of the UE.
            nas: What the UE says.
            cause: RRC establishment cause.
            tmsi: Temporary identity that the UE gave on the air; None for none.
            work: Of the UE, to be done before.
        """
        pairs: list[n2.Pair] = [
            ("ran_ue_ngap_id", connection.ran_id),
            ("nas_pdu", nas),
            self._where(),
            ("rrc_establishment_cause", cause),
        ]
        if tmsi is not None:
            pairs.append(("five_g_s_tmsi", n2.s_tmsi(self.network, tmsi)))
        message = n2.message("InitialUEMessage", *pairs, ("ue_context_request", "requested"))
        self.links.send_ngap(message, self, self.amf, connection.stream, work, connection)

    def carry(self, connection: GnbConnection, nas: Message, work: Work) -> None:
        """Sends a NAS message of a UE, unless the air loses it; arguments as of `carry_first`."""
        if connection.amf_id is not None and not self.links.happens(self.links.faults.radio_loss):
            self._answer(connection, "UplinkNASTransport", ("nas_pdu", nas), work=work)

    def _to_ue(self, connection: GnbConnection, nas: Message | None) -> None:
        ue = connection.ue
        if nas is None or ue is None or ue.connection is not connection:
            return
        if not self.links.happens(self.links.faults.radio_loss):
            ue.receive(nas)

    def _downlink(self, connection: GnbConnection, message: Message) -> None:
        self._to_ue(connection, message.get("nas_pdu"))

    def _page(self, message: Message) -> None:
        ue = self._by_tmsi.get(int.from_bytes(message["ue_paging_identity.five_g_s_tmsi.five_g_tmsi"]))
        if ue is not None and ue.station is self and not self.links.happens(self.links.faults.radio_loss):
            ue.paged()

    # ------------------------------------------------------------ contexts and sessions

    def _tunnel(self, connection: GnbConnection, psi: int) -> Fields:
        teid = connection.sessions[psi] = self._teids.allocate()
        return n2.setup_response_transfer(self.host, teid)

    def _set_up_context(self, connection: GnbConnection, message: Message) -> None:
        listed = message.get("pdu_session_resource_setup_list_cxt_req")
        pairs = ()
        if listed is not None:
            entries = n2.items(
                Fields.of(
                    pdu_session_id=item["pdu_session_id"],
                    pdu_session_resource_setup_response_transfer=self._tunnel(connection, item["pdu_session_id"]),
                )
                for item in listed.all("item")
            )
            pairs = (("pdu_session_resource_setup_list_cxt_res", entries),)
        work = self._resources if pairs else self._work
        self._answer(connection, "InitialContextSetupResponse", *pairs, located=False, work=work)
        self._to_ue(connection, message.get("nas_pdu"))

    def _set_up_sessions(self, connection: GnbConnection, message: Message) -> None:
        entries = []
        for item in message["pdu_session_resource_setup_list_su_req"].all("item"):
            psi = item["pdu_session_id"]
            transfer = self._tunnel(connection, psi)
            entries.append(Fields.of(pdu_session_id=psi, pdu_session_resource_setup_response_transfer=transfer))
            self._to_ue(connection, item.get("pdu_session_nas_pdu"))
        pair = ("pdu_session_resource_setup_list_su_res", n2.items(entries))
        self._answer(connection, "PDUSessionResourceSetupResponse", pair, work=self._resources)

    def _modify_sessions(self, connection: GnbConnection, message: Message) -> None:
        entries = []
        for item in message["pdu_session_resource_modify_list_mod_req"].all("item"):
            psi = item["pdu_session_id"]
            entries.append(Fields.of(pdu_session_id=psi, pdu_session_resource_modify_response_transfer=Fields()))
            self._to_ue(connection, item.get("nas_pdu"))
        pair = ("pdu_session_resource_modify_list_mod_res", n2.items(entries))
        self._answer(connection, "PDUSessionResourceModifyResponse", pair)

    def _release_sessions(self, connection: GnbConnection, message: Message) -> None:
        entries = []
        for item in message["pdu_session_resource_to_release_list_rel_cmd"].all("item"):
            psi = item["pdu_session_id"]
            connection.sessions.pop(psi, None)
            entries.append(Fields.of(pdu_session_id=psi, pdu_session_resource_release_response_transfer=Fields()))
        pair = ("pdu_session_resource_released_list_rel_res", n2.items(entries))
        self._answer(connection, "PDUSessionResourceReleaseResponse", pair)
        self._to_ue(connection, message.get("nas_pdu"))

    def release(self, connection: GnbConnection, cause: tuple[str, str] = UNSPECIFIED) -> None:
        """Asks the core to release a connection."""
        if connection.amf_id is None:
            self._drop(connection)
        if connection.gone:
            return
        pairs = []
        if connection.sessions:
            entries = n2.items(Fields.of(pdu_session_id=psi) for psi in connection.sessions)
            pairs.append(("pdu_session_resource_list_cxt_rel_req", entries))
        self._answer(connection, "UEContextReleaseRequest", *pairs, n2.cause(*cause), located=False)

    def _release_context(self, connection: GnbConnection, message: Message) -> None:
        self._answer(connection, "UEContextReleaseComplete", last=True)
        self._drop(connection)

    def _drop(self, connection: GnbConnection) -> None:
        if connection.gone:
            return
        del self.connections[connection.ran_id]
        connection.gone = True
        if self._coming.get(connection.c_rnti) is connection:
            del self._coming[connection.c_rnti]
        ue, connection.ue = connection.ue, None
        if ue is not None and ue.connection is connection:
            ue.released()

    def _core_lost_context(self, connection: GnbConnection, message: Message) -> None:
        self._drop(connection)

    # ------------------------------------------------------------ handover

    def hand_over_xn(self, connection: GnbConnection, target: Gnb) -> None:
        """Hands a UE over to another base station, which then tells the core."""
        ue = connection.ue
        if ue is None or connection.amf_id is None or connection.leaving is not None or not connection.sessions:
            return
        del self.connections[connection.ran_id]
        connection.ue, connection.gone = None, True
        target._switch_path(ue, connection)

    def _switch_path(self, ue: Ue, old: GnbConnection) -> None:
        connection = self.connect(ue)
        connection.amf_id = old.amf_id
        ue.station, ue.connection = self, connection
        entries = []
        for psi in old.sessions:
            teid = connection.sessions[psi] = self._teids.allocate()
            transfer = Fields.of(
                dl_ngu_up_tnl_information=n2.gtp_tunnel(self.host, teid), qos_flow_accepted_list=FLOW_ONE
            )
            entries.append(Fields.of(pdu_session_id=psi, path_switch_request_transfer=transfer))
        message = n2.message(
            "PathSwitchRequest",
            ("ran_ue_ngap_id", connection.ran_id),
            ("source_amf_ue_ngap_id", connection.amf_id),
            self._where(),
            n2.security_capabilities(ue.usim.algorithms),
            ("pdu_session_resource_to_be_switched_dl_list", n2.items(entries)),
        )
        self.links.send_ngap(message, self, self.amf, connection.stream, self._resources, connection)

    def _switch_failed(self, connection: GnbConnection, message: Message) -> None:
        self._drop(connection)

    def hand_over_n2(self, connection: GnbConnection, target: Gnb) -> None:
        """Asks the core to hand a UE over to another base station."""
        if connection.ue is None or connection.amf_id is None or connection.leaving is not None:
            return
        if not connection.sessions:
            return
        connection.leaving = target
        area = n2.tai(target.plmn, target.station.tac)
        node = n2.global_gnb_id(target.plmn, target.station.number)
        container = n2.source_container(target.plmn, self.station.number, target.station.number)
        entries = n2.items(
            Fields.of(pdu_session_id=psi, handover_required_transfer=Fields()) for psi in connection.sessions
        )
        self._answer(
            connection,
            "HandoverRequired",
            ("handover_type", "intra5gs"),
            n2.cause(*DESIRABLE),
            ("target_id", Fields.of(target_ran_node_id=Fields.of(global_ran_node_id=node, selected_tai=area))),
            ("pdu_session_resource_list_ho_rqd", entries),
            ("source_to_target_transparent_container", container),
            located=False,
        )

    def _preparation_failed(self, connection: GnbConnection, message: Message) -> None:
        connection.leaving = None

    def _prepare_handover(self, message: Message, stream: int) -> None:
        amf_id = message["amf_ue_ngap_id"]
        if self.links.happens(self.links.faults.handover_refused):
            failure = n2.message("HandoverFailure", ("amf_ue_ngap_id", amf_id), n2.cause(*NO_ROOM))
            self._send(failure, stream)
            return
        connection = GnbConnection(self._ids.allocate(self.connections), None, stream)
        self.connections[connection.ran_id] = connection
        connection.amf_id, connection.c_rnti = amf_id, self._c_rntis.allocate(self._coming)
        self._coming[connection.c_rnti] = connection
        entries = []
        for item in message["pdu_session_resource_setup_list_ho_req"].all("item"):
            psi = item["pdu_session_id"]
            teid = connection.sessions[psi] = self._teids.allocate()
            transfer = Fields.of(
                dl_ngu_up_tnl_information=n2.gtp_tunnel(self.host, teid), qos_flow_setup_response_list=FLOW_ONE
            )
            entries.append(Fields.of(pdu_session_id=psi, handover_request_acknowledge_transfer=transfer))
        self._answer(
            connection,
            "HandoverRequestAcknowledge",
            ("pdu_session_resource_admitted_list", n2.items(entries)),
            ("target_to_source_transparent_container", n2.target_container(connection.c_rnti)),
            located=False,
            work=self._resources,
        )

    def _command_handover(self, connection: GnbConnection, message: Message) -> None:
        target, ue = connection.leaving, connection.ue
        if target is None or ue is None:
            return
        if self.links.happens(self.links.faults.handover_cancelled):
            connection.leaving = None
            self._answer(connection, "HandoverCancel", n2.cause(*CANCELLED), located=False)
            return
        bearer = Fields.of(
            drb_id=1,
            drb_status_ul=_count("drb_status_ul12", "ul_count_value", 12),
            drb_status_dl=_count("drb_status_dl12", "dl_count_value", 12),
        )
        status = Fields.of(drbs_subject_to_status_transfer_list=n2.items([bearer]))
        self._answer(
            connection, "UplinkRANStatusTransfer", ("ran_status_transfer_transparent_container", status), located=False
        )
        c_rnti = n2.read_c_rnti(message["target_to_source_transparent_container"])
        self.links.clock.after(self._move.seconds(), target.arrive, ue, connection, c_rnti)

    def arrive(self, ue: Ue, old: GnbConnection, c_rnti: int) -> None:
        """Takes a UE that was handed over and has come, and tells the core.

        Args:
            ue: Who.
            old: Its connection at the other base station.
            c_rnti: By which it was told to come.
        """
        connection = self._coming.pop(c_rnti, None)
        if connection is None or ue.connection is not old:
            return
        old.ue, connection.ue = None, ue
        ue.station, ue.connection = self, connection
        self._answer(connection, "HandoverNotify")


def _count(kind: str, name: str, bits: int) -> Fields:
    counts = Fields(((f"pdcp_sn{bits}", 0), (f"hfn_pdcp_sn{bits}", 0)))
    return Fields(((kind, Fields(((name, counts),))),))


def _known(connection: GnbConnection, message: Message) -> None:
    """Takes a message after which there is nothing to do."""
