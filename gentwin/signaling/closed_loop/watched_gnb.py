"""A base station that notes how its procedures end, and what the core may not say to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from gentwin.signaling.closed_loop.outcomes import Expectation
from gentwin.signaling.closed_loop.watch import (
    AN_RELEASE,
    N2_HANDOVER,
    NG_RESET,
    NG_SETUP,
    NOT_ALLOWED,
    NOT_AWAITED,
    PAGING,
    UNREADABLE,
    WRONG_IDENTITY,
    WRONG_VALUE,
    XN_HANDOVER,
    Watch,
)
from gentwin.signaling.closed_loop.watched_ue import WatchedUe
from gentwin.signaling.core import n2
from gentwin.signaling.core.configuration import NetworkConfiguration, Station
from gentwin.signaling.core.gnb import NO_ROOM, UNSPECIFIED, Gnb, GnbConnection
from gentwin.signaling.core.links import Links, Node
from gentwin.signaling.core.radio import Radio
from gentwin.signaling.core.servers import Works
from gentwin.signaling.dialogue.directions import FROM_GNB
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import Message
from gentwin.signaling.ngap import NAS_FIELDS
from gentwin.signaling.security import derive_k_gnb

NODE_PATIENCE = 10.0  # seconds in which an answer about a base station, and a handover, must end
KEPT_CONNECTIONS = 1024
MOST_UPLINK = 4  # NAS messages of a UE from the first of a connection to the setup of its context
_FIRST = frozenset({"NGSetupResponse", "NGSetupFailure", "ErrorIndication"})
_OF_NODE = frozenset({"Paging", "OverloadStart", "OverloadStop", "NGResetAcknowledge", "HandoverRequest"})
_SETUP = "pdu_session_resource_setup_list_su_req"
_SETUP_IN_CONTEXT = "pdu_session_resource_setup_list_cxt_req"
_TRANSFER = "pdu_session_resource_setup_request_transfer"
_UPLINK_TUNNEL = "ul_ngu_up_tnl_information.gtp_tunnel"


class WatchedGnb(Gnb):
    """Base station that is watched.

    Args:
        network: Of the core.
        station: This one.
        links: To send with.
        works: What takes time.
        amf: The core, as base stations see it.
        radio: In which it adds itself.
        watch: To whom it tells.
    """

    def __init__(
        self,
        network: NetworkConfiguration,
        station: Station,
        links: Links,
        works: Works,
        amf: Node,
        radio: Radio,
        watch: Watch,
    ) -> None:
        super().__init__(network, station, links, works, amf, radio)
        self._watch, self._ledger, self._radio = watch, watch.ledger, radio
        self._with_context: set[int] = set()
        self._handed_over: dict[int, WatchedUe] = {}
        self._dropped: deque[int] = deque(maxlen=KEPT_CONNECTIONS)  # without the core
        watch.stations.append(self)
        self._judges: dict[str, Callable[[GnbConnection, Message], None]] = {
            "InitialContextSetupRequest": self._judge_context,
            "PDUSessionResourceSetupRequest": self._judge_setup,
            "PDUSessionResourceModifyRequest": lambda known, message: self._judge_listed(
                known, message, "pdu_session_resource_modify_list_mod_req"
            ),
            "PDUSessionResourceReleaseCommand": lambda known, message: self._judge_listed(
                known, message, "pdu_session_resource_to_release_list_rel_cmd"
            ),
            "UEContextReleaseCommand": self._judge_release,
            "PathSwitchRequestAcknowledge": self._judge_switch,
            "PathSwitchRequestFailure": self._judge_switch_failure,
            "HandoverCommand": self._judge_command,
            "HandoverPreparationFailure": self._judge_preparation_failure,
            "HandoverCancelAcknowledge": self._judge_cancelled,
        }

    def _violate(self, rule: str, detail: str, message: Message, who: str = "") -> None:
        self._ledger.violate(who or self.address, rule, detail, message.name)

    # ------------------------------------------------------------ what its own side does

    def start(self) -> None:
        """Introduces itself to the core."""
        expected = self._watch.expectations.ng_setup(self.station)
        super().start()
        self._ledger.begin(NG_SETUP, self.address, NODE_PATIENCE, expected)

    def reset(self) -> None:
        """Resets the link after a failure."""
        super().reset()
        self._ledger.begin(NG_RESET, self.address, NODE_PATIENCE)

    def _drop_all(self) -> None:
        self._dropped.extend(self.connections)
        for ue in self._watch.ues.values():
            if ue.station is self:
                ue.disturb()
        super()._drop_all()

    def _drop(self, connection: GnbConnection) -> None:
        self._with_context.discard(connection.ran_id)
        if connection.ue is not None:
            connection.ue.former_tunnels.extend((self.host, teid) for teid in connection.sessions.values())
        super()._drop(connection)

    def release(self, connection: GnbConnection, cause: tuple[str, str] = UNSPECIFIED) -> None:
        """Asks the core to release a connection."""
        ue = connection.ue
        if ue is not None:
            ue.disturb()
            if connection.amf_id is not None and not self._ledger.is_going(AN_RELEASE, ue.who):
                self._ledger.begin(AN_RELEASE, ue.who, NODE_PATIENCE)
        if connection.amf_id is None:
            self._dropped.append(connection.ran_id)
        super().release(connection, cause)

    def _switch_path(self, ue: WatchedUe, old: GnbConnection) -> None:
        disturbed = ue.is_leaving
        ue.disturb()
        ue.former_tunnels.extend((ue.station.host, teid) for teid in old.sessions.values())
        super()._switch_path(ue, old)
        self._with_context.add(ue.connection.ran_id)
        self._ledger.begin(XN_HANDOVER, ue.who, NODE_PATIENCE, disturbed=disturbed)

    def hand_over_n2(self, connection: GnbConnection, target: Gnb) -> None:
        """Asks the core to hand a UE over to another base station."""
        ue, before = connection.ue, connection.leaving
        disturbed = ue is not None and ue.is_leaving
        super().hand_over_n2(connection, target)
        if connection.leaving is None or before is not None:
            return
        ue.disturb()
        self._handed_over[connection.ran_id] = ue
        may_refuse = self._watch.expectations.is_limited or self.links.faults.handover_refused
        expected = Expectation().tolerates(NO_ROOM[1]) if may_refuse else Expectation()
        self._ledger.begin(N2_HANDOVER, ue.who, NODE_PATIENCE, expected, disturbed=disturbed)

    def arrive(self, ue: WatchedUe, old: GnbConnection, c_rnti: int) -> None:
        """Takes a UE that was handed over and has come, and tells the core."""
        super().arrive(ue, old, c_rnti)
        if ue.station is self and ue.connection is not None:
            self._with_context.add(ue.connection.ran_id)

    # ------------------------------------------------------------ what the core says

    def receive(self, message: Message, sender: Node, stream: int) -> None:
        """Takes a message of the core."""
        try:
            self._judge(message)
            super().receive(message, sender, stream)
        except (LookupError, TypeError, ValueError, AttributeError) as error:  # it may say anything
            self._violate(UNREADABLE, f"{type(error).__name__}: {error}", message)

    def _judge(self, message: Message) -> None:
        name = message.name
        if name in FROM_GNB:
            self._violate(NOT_ALLOWED, "only a base station says so", message)
        elif not self.accepted and name not in _FIRST:
            self._violate(NOT_ALLOWED, "the base station is not set up", message)
        elif name in ("NGSetupResponse", "NGSetupFailure"):
            self._judge_setup_answer(message)
        elif name == "NGResetAcknowledge":
            if not self._ledger.complete(NG_RESET, self.address):
                self._violate(NOT_AWAITED, "there was no reset", message)
        elif name == "Paging":
            self._judge_page(message)
        elif name == "HandoverRequest":
            self._judge_handover_request(message)
        elif name not in _OF_NODE:
            self._judge_of_connection(message)

    def _judge_setup_answer(self, message: Message) -> None:
        if message.name == "NGSetupResponse":
            ended = self._ledger.complete(NG_SETUP, self.address)
        else:
            ended = self._ledger.reject(NG_SETUP, self.address, message["cause"][0][1])
        if not ended:
            self._violate(NOT_AWAITED, "no setup was asked for", message)

    def _judge_page(self, message: Message) -> None:
        tmsi = int.from_bytes(message["ue_paging_identity.five_g_s_tmsi.five_g_tmsi"])
        ue = self._radio.by_tmsi.get(tmsi)
        if ue is None:
            self._violate(WRONG_IDENTITY, f"nobody has 5G-TMSI {tmsi:08x}", message)
        elif not ue.packets_wait:
            self._violate(NOT_AWAITED, "no packets wait for the UE", message, ue.who)
        else:
            self._ledger.complete(PAGING, ue.who)

    def _judge_handover_request(self, message: Message) -> None:
        coming = [ue for station in self._watch.stations for ue in station.leavers_to(self)]
        if not coming:
            self._violate(NOT_AWAITED, "no UE is to come here", message)
        known = self._watch.connections.get(message["amf_ue_ngap_id"])
        if known is not None and not known.gone:
            self._violate(WRONG_IDENTITY, f"AMF UE NGAP ID {message['amf_ue_ngap_id']} is in use", message)
        tunnels = message["pdu_session_resource_setup_list_ho_req"].all("item")
        if coming and not any(self._has_tunnels(ue, tunnels, "handover_request_transfer") for ue in coming):
            self._violate(WRONG_VALUE, "a tunnel that the user plane does not have for this UE", message)

    def leavers_to(self, target: Gnb) -> list[WatchedUe]:
        """Returns the UEs that this station hands over to another one."""
        return [
            ue
            for ran_id, ue in self._handed_over.items()
            if ran_id in self.connections and self.connections[ran_id].leaving is target
        ]

    # ------------------------------------------------------------ about a connection

    def _judge_of_connection(self, message: Message) -> None:
        amf_id, ran_id = n2.read_ids(message)
        connection = self.connections.get(ran_id)
        if message.name == "ErrorIndication":
            who = connection.ue.who if connection is not None and connection.ue is not None else ""
            self._violate(NOT_ALLOWED, "there was no error", message, who)
        elif connection is None:
            if ran_id not in self._dropped:
                self._violate(WRONG_IDENTITY, f"there is no RAN UE NGAP ID {ran_id}", message)
        elif connection.amf_id not in (None, amf_id):
            detail = f"AMF UE NGAP ID {amf_id}, but {connection.amf_id} was told before"
            self._violate(WRONG_IDENTITY, detail, message)
        elif not self._watch.knows_connection(amf_id, connection):
            self._violate(WRONG_IDENTITY, f"AMF UE NGAP ID {amf_id} is that of another connection", message)
        else:
            self._judge_nas(message.fields, message)
            judge = self._judges.get(message.name)
            if judge is not None:
                judge(connection, message)

    def _judge_nas(self, fields: Fields, message: Message) -> None:
        for name, value in fields:
            if name in NAS_FIELDS and not isinstance(value, Message):
                self._violate(UNREADABLE, "what is in it is no NAS message", message)

    def _has_tunnels(self, ue: WatchedUe, entries: list[Fields], transfer: str) -> bool:
        upf = self._watch.upf
        if upf is None:
            return True
        tunnels = [entry[f"{transfer}.{_UPLINK_TUNNEL}"] for entry in entries]
        return all(upf.owner_of_tunnel(int.from_bytes(tunnel["gtp_teid"])) == ue.who for tunnel in tunnels)

    def _judge_context(self, connection: GnbConnection, message: Message) -> None:
        if connection.ran_id in self._with_context:
            self._violate(NOT_AWAITED, "the context is set up already", message)
        self._with_context.add(connection.ran_id)
        ue = connection.ue
        if ue is None or ue.connection is not connection:
            return
        end = ue.security.end
        key = message["security_key"].value.to_bytes(32)
        last = end.context.uplink_count if end is not None else 0
        counts = range(max(0, last - MOST_UPLINK), last)
        if not any(derive_k_gnb(end.context.k_amf, count) == key for count in counts):
            self._violate(WRONG_VALUE, "the key is not that of the UE", message, ue.who)
        listed = message.get(_SETUP_IN_CONTEXT)
        if listed is not None and not self._has_tunnels(ue, listed.all("item"), _TRANSFER):
            self._violate(WRONG_VALUE, "a tunnel that the user plane does not have for this UE", message, ue.who)

    def _judge_setup(self, connection: GnbConnection, message: Message) -> None:
        entries, ue = message[_SETUP].all("item"), connection.ue
        if connection.ran_id not in self._with_context:
            self._violate(NOT_AWAITED, "there is no context yet", message)
        for entry in entries:
            self._judge_nas(entry, message)
            if entry["pdu_session_id"] in connection.sessions:
                self._violate(WRONG_IDENTITY, f"PDU session {entry['pdu_session_id']} is set up already", message)
        if ue is not None and not self._has_tunnels(ue, entries, _TRANSFER):
            self._violate(WRONG_VALUE, "a tunnel that the user plane does not have for this UE", message, ue.who)

    def _judge_listed(self, connection: GnbConnection, message: Message, listed: str) -> None:
        for entry in message[listed].all("item"):
            self._judge_nas(entry, message)
            if entry["pdu_session_id"] not in connection.sessions:
                self._violate(WRONG_IDENTITY, f"PDU session {entry['pdu_session_id']} is not set up", message)

    def _judge_release(self, connection: GnbConnection, message: Message) -> None:
        leaver = self._handed_over.pop(connection.ran_id, None)
        if leaver is not None and connection.leaving is not None:
            if connection.ue is None:
                self._ledger.complete(N2_HANDOVER, leaver.who)
            else:
                self._ledger.leave(N2_HANDOVER, leaver.who)
        if connection.ue is not None:
            self._ledger.complete(AN_RELEASE, connection.ue.who)

    # ------------------------------------------------------------ handover

    def _judge_switch(self, connection: GnbConnection, message: Message) -> None:
        if connection.ue is None or not self._ledger.complete(XN_HANDOVER, connection.ue.who):
            self._violate(NOT_AWAITED, "no path was to be switched", message)

    def _judge_switch_failure(self, connection: GnbConnection, message: Message) -> None:
        if connection.ue is None or not self._ledger.reject(XN_HANDOVER, connection.ue.who, None):
            self._violate(NOT_AWAITED, "no path was to be switched", message)

    def _judge_command(self, connection: GnbConnection, message: Message) -> None:
        if connection.leaving is None:
            self._violate(NOT_AWAITED, "no handover is being prepared", message)
        elif n2.read_c_rnti(message["target_to_source_transparent_container"]) not in connection.leaving._coming:
            self._violate(WRONG_VALUE, "the container is not that of the target", message)

    def _judge_preparation_failure(self, connection: GnbConnection, message: Message) -> None:
        leaver = self._handed_over.pop(connection.ran_id, None)
        if leaver is None or not self._ledger.reject(N2_HANDOVER, leaver.who, message["cause"][0][1]):
            self._violate(NOT_AWAITED, "no handover is being prepared", message)

    def _judge_cancelled(self, connection: GnbConnection, message: Message) -> None:
        leaver = self._handed_over.pop(connection.ran_id, None)
        if leaver is None or not self._ledger.abort(N2_HANDOVER, leaver.who):
            self._violate(NOT_AWAITED, "no handover was cancelled", message)
