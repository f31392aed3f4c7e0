"""Control side of the user plane: sessions, their tunnels, and reports of packets that wait."""

from __future__ import annotations

from gentwin.signaling.core import n4
from gentwin.signaling.core.configuration import NetworkConfiguration
from gentwin.signaling.core.identifiers import Pool
from gentwin.signaling.core.links import Links
from gentwin.signaling.core.n2 import NTP_EPOCH
from gentwin.signaling.core.pfcp_node import PfcpNode
from gentwin.signaling.core.servers import Works
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import Message

FIRST_TEID, LAST_TEID = 71, 65535
PACKET_OCTETS = (48, 104, 152)


class UpfSession:
    """A session as the user plane has it."""

    __slots__ = (
        "address",
        "control_seid",
        "first",
        "forwarding",
        "last",
        "octets",
        "packets",
        "reported",
        "seid",
        "teids",
    )

    def __init__(self, seid: int, control_seid: int, address: str, teids: tuple[int, int]) -> None:
        self.seid, self.control_seid, self.address, self.teids = seid, control_seid, address, teids
        self.forwarding = self.reported = False
        self.octets = self.packets = self.first = self.last = 0


class Upf(PfcpNode):
    """User plane function.

    Args:
        network: Of the core.
        links: To send with.
        works: What takes time.
    """

    def __init__(self, network: NetworkConfiguration, links: Links, works: Works) -> None:
        super().__init__(network, links, network.upf_address, works.upf)
        self.sessions: dict[int, UpfSession] = {}
        self._by_address: dict[str, UpfSession] = {}
        self._seids = Pool(1, 4 * network.max_ues - 3, links.random)
        self._teids = Pool(FIRST_TEID, max(LAST_TEID, 16 * network.max_ues), links.random)

    def answer(self, message: Message, sequence: int) -> Message:
        """Returns the response to a request about the association or a session."""
        if message.name == "AssociationSetupRequest":
            return self._associate(message, sequence)
        if message.name == "SessionEstablishmentRequest":
            return self._establish(message, sequence)
        name = message.name.replace("Request", "Response")
        session = self.sessions.get(message["seid"])
        if session is None:
            return n4.message(name, sequence, ("cause", "session_context_not_found"), seid=0)
        if message.name == "SessionDeletionRequest":
            return n4.message(name, sequence, n4.ACCEPTED, self._delete(session), seid=session.control_seid)
        self._modify(session, message)
        return n4.message(name, sequence, n4.ACCEPTED, seid=session.control_seid)

    def _associate(self, message: Message, sequence: int) -> Message:
        self.peer_started = message["recovery_time_stamp"]
        if not self.associated:
            self.associated = True
            self._links.clock.after(2e-4, self.start_heartbeats)
        return n4.message(
            "AssociationSetupResponse",
            sequence,
            n4.node_id(self.host),
            n4.ACCEPTED,
            ("recovery_time_stamp", self.started),
            ("up_function_features", "ftup empu frrt mnop vtime"),
        )

    def _establish(self, message: Message, sequence: int) -> Message:
        name, control_seid = "SessionEstablishmentResponse", message["f_seid.seid"]
        if not self.associated:
            refusal = (n4.node_id(self.host), ("cause", "no_established_pfcp_association"))
            return n4.message(name, sequence, *refusal, seid=control_seid)
        teids = self._teids.allocate(), self._teids.allocate()
        address = message["create_pdr.pdi.ue_ip_address.ipv4"]
        session = UpfSession(self._seids.allocate(), control_seid, address, teids)
        self.sessions[session.seid] = self._by_address[address] = session
        solicitation = len(message.fields.all("create_pdr")) > 3
        return n4.message(
            name,
            sequence,
            n4.node_id(self.host),
            n4.ACCEPTED,
            n4.f_seid(session.seid, self.host),
            *n4.created_rules(self.host, *teids, solicitation),
            seid=control_seid,
        )

    def _modify(self, session: UpfSession, message: Message) -> None:
        action = message.get("update_far.apply_action")
        if action is not None:
            session.forwarding, session.reported = action == "forw", False

    def _delete(self, session: UpfSession) -> n4.Pair:
        del self.sessions[session.seid]
        if self._by_address.get(session.address) is session:
            del self._by_address[session.address]
        self._seids.free(session.seid)
        for teid in session.teids:
            self._teids.free(teid)
        first, last = session.first or NTP_EPOCH, session.last or NTP_EPOCH
        now = self._links.seconds + NTP_EPOCH
        return n4.usage_report(now, session.octets, session.packets, first, last)

    def fail(self) -> None:
        """Fails: all sessions are lost."""
        super().fail()
        for known in (self.sessions, self._by_address, self._seids.living, self._teids.living):
            known.clear()

    def carry_downlink(self, address: str) -> None:
        """Takes a packet for a UE: it is forwarded, or waits and is reported once.

        Args:
            address: Of the UE.
        """
        session = self._by_address.get(address)
        if session is None:
            return
        if session.forwarding:
            self._count(session)
        elif not session.reported:
            session.reported = True
            self._count(session)
            report = ("downlink_data_report", _FIRST_FLOW)
            pairs = ("report_type", "dldr"), report
            self.request("SessionReportRequest", *pairs, seid=session.control_seid, answered=_ignore, work=self._work)

    def _count(self, session: UpfSession) -> None:
        now = self._links.seconds + NTP_EPOCH
        session.octets += self._links.random.choice(PACKET_OCTETS)
        session.packets += 1
        session.first, session.last = session.first or now, now


_FIRST_FLOW = Fields.of(pdr_id=1, downlink_data_service_information=Fields.of(qfi=1))


def _ignore(response: Message | None) -> None:
    """A report that is not answered is not repeated further: the next packet is reported anew."""
