"""A user plane that notes how procedures of N4 end, and what the core may not say to it."""

from __future__ import annotations

from gentwin.signaling.closed_loop.watch import (
    AN_RELEASE,
    NOT_ALLOWED,
    NOT_AWAITED,
    PAGING,
    UNREADABLE,
    WRONG_IDENTITY,
    WRONG_TRANSACTION,
    WRONG_VALUE,
    Watch,
)
from gentwin.signaling.core import n4
from gentwin.signaling.core.configuration import NetworkConfiguration
from gentwin.signaling.core.links import Links
from gentwin.signaling.core.pfcp_node import KEPT_RESPONSES, Answered, PfcpNode
from gentwin.signaling.core.servers import Work, Works
from gentwin.signaling.core.ue import REGISTERED
from gentwin.signaling.core.upf import Upf, UpfSession
from gentwin.signaling.dialogue.directions import FROM_UPF
from gentwin.signaling.messages import Message

PROCEDURES = {
    "SessionEstablishment": "N4 session establishment",
    "SessionModification": "N4 session modification",
    "SessionDeletion": "N4 session deletion",
    "SessionReport": "N4 session report",
    "AssociationSetup": "N4 association setup",
    "Heartbeat": "N4 heartbeat",
}
ACCEPTED = "request_accepted"
REQUEST, RESPONSE = "Request", "Response"
_UPDATE = "update_far"
_HEADER = "update_forwarding_parameters.outer_header_creation"


class WatchedUpf(Upf):
    """User plane function that is watched.

    Args:
        network: Of the core.
        links: To send with.
        works: What takes time.
        watch: To whom it tells.
    """

    def __init__(self, network: NetworkConfiguration, links: Links, works: Works, watch: Watch) -> None:
        super().__init__(network, links, works)
        self._watch, self._ledger = watch, watch.ledger
        self._timing = network.flavour.timing
        self._supis: dict[int, str] = {}  # of sessions, by their SEID
        self._by_teid: dict[int, UpfSession] = {}
        self._by_control_seid: dict[int, UpfSession] = {}
        self._requests: dict[int, str] = {}  # names of what is answered, by sequence number
        self._repeated: dict[int, None] = {}  # sequence numbers of what was sent again, and may be answered again
        watch.upf = self

    def owner_of(self, address: str) -> str | None:
        """Returns the SUPI of the UE that has an address; None if nobody has it."""
        session = self._by_address.get(address)
        return None if session is None else self._supis.get(session.seid)

    def owner_of_tunnel(self, teid: int) -> str | None:
        """Returns the SUPI of the UE to which a tunnel belongs; None if there is no such tunnel."""
        session = self._by_teid.get(teid)
        return None if session is None else self._supis.get(session.seid)

    def _violate(self, rule: str, detail: str, message: Message) -> None:
        self._ledger.violate(self.address, rule, detail, message.name)

    # ------------------------------------------------------------ what its own side does

    def request(
        self, name: str, *pairs: n4.Pair, answered: Answered, seid: int | None = None, work: Work | None = None
    ) -> None:
        """Sends a request, and again until there is a response."""
        procedure, key = PROCEDURES[name.removesuffix(REQUEST)], object()

        def heard(response: Message | None) -> None:
            cause = None if response is None else response.get("cause", ACCEPTED)
            if cause is None:
                self._ledger.leave(procedure, self.address, key)
            elif cause == ACCEPTED:
                self._ledger.complete(procedure, self.address, key)
            else:
                self._ledger.reject(procedure, self.address, cause, key)
            answered(response)

        seconds = self._timing.t1 * (self._timing.n1 + 1)
        self._ledger.begin(procedure, self.address, seconds, key=key)
        super().request(name, *pairs, answered=heard, seid=seid, work=work)
        if name == "SessionReportRequest":
            self._expect_page(seid)

    def _expire(self, sequence: int) -> None:
        self._repeated[sequence] = None
        if len(self._repeated) > KEPT_RESPONSES:
            del self._repeated[next(iter(self._repeated))]
        super()._expire(sequence)

    def _expect_page(self, control_seid: int) -> None:
        """Notes that packets wait for an idle UE, which is to be paged."""
        session = self._by_control_seid[control_seid]
        ue = self._watch.ues.get(self._supis.get(session.seid, ""))
        if ue is None or not ue.idle or ue.state != REGISTERED:
            return
        ue.packets_wait = True
        if not ue.doubtful and ue.station.accepted and not self._ledger.is_going(AN_RELEASE, ue.who):
            self._ledger.begin(PAGING, ue.who, self._timing.t3513)

    def fail(self) -> None:
        """Fails: all sessions are lost."""
        super().fail()
        self._supis.clear()
        for known in (self._by_teid, self._by_control_seid, self._requests):
            known.clear()

    def _establish(self, message: Message, sequence: int) -> Message:
        answer = super()._establish(message, sequence)
        if answer["cause"] == ACCEPTED:
            session = self.sessions[answer["f_seid.seid"]]
            self._supis[session.seid] = message["user_id.imsi"]
            self._by_teid[session.teids[0]] = self._by_control_seid[session.control_seid] = session
        return answer

    def _delete(self, session: UpfSession) -> n4.Pair:
        self._supis.pop(session.seid, None)
        self._by_teid.pop(session.teids[0], None)
        self._by_control_seid.pop(session.control_seid, None)
        return super()._delete(session)

    # ------------------------------------------------------------ what the core says

    def receive(self, message: Message, sender: PfcpNode, stream: int) -> None:
        """Takes a message of the core."""
        try:
            if message.name.removesuffix(REQUEST).removesuffix(RESPONSE) not in PROCEDURES or message.name in FROM_UPF:
                self._violate(NOT_ALLOWED, "no such message is for a user plane", message)
            elif message.name.endswith(RESPONSE):
                self._judge_response(message)
                super().receive(message, sender, stream)
            else:
                self._take_request(message, sender, stream)
        except (LookupError, TypeError, ValueError, AttributeError) as error:  # it may say anything
            self._violate(UNREADABLE, f"{type(error).__name__}: {error}", message)

    def _judge_response(self, message: Message) -> None:
        transaction = self._open.get(message["sequence_number"])
        if transaction is None:
            if message["sequence_number"] not in self._repeated:
                self._violate(WRONG_TRANSACTION, f"there is no request {message['sequence_number']}", message)
            return
        asked = transaction.message
        if asked.name.removesuffix(REQUEST) != message.name.removesuffix(RESPONSE):
            self._violate(WRONG_TRANSACTION, f"request {message['sequence_number']} is {asked.name}", message)
        if asked.name == "SessionReportRequest" and message["cause"] == ACCEPTED:
            session = self.sessions.get(message["seid"])
            if session is None or session.control_seid != asked["seid"]:
                self._violate(WRONG_IDENTITY, f"SEID {message['seid']} is not that of the report", message)

    def _take_request(self, message: Message, sender: PfcpNode, stream: int) -> None:
        sequence = message["sequence_number"]
        known = self._answers.get(sequence)
        if known is not None and self._requests.get(sequence) != message.name:
            self._violate(WRONG_TRANSACTION, f"sequence number {sequence} was used before", message)
        if known is None:
            self._judge_request(message)
        super().receive(message, sender, stream)
        if known is None:
            self._conclude(message, sequence)

    def _judge_request(self, message: Message) -> None:
        if message.name == "SessionEstablishmentRequest":
            self._judge_establishment(message)
        elif message.name in ("SessionModificationRequest", "SessionDeletionRequest"):
            supi = self._supis.get(message["seid"])
            if supi is None:
                self._violate(WRONG_IDENTITY, f"there is no SEID {message['seid']}", message)
            elif message.get(_UPDATE) is not None:
                self._judge_tunnel(supi, message)

    def _judge_establishment(self, message: Message) -> None:
        if not self.associated:
            self._violate(NOT_AWAITED, "there is no association", message)
        if message["seid"]:
            self._violate(WRONG_IDENTITY, f"SEID {message['seid']} of a session that is not there yet", message)
        supi, address = message["user_id.imsi"], message["create_pdr.pdi.ue_ip_address.ipv4"]
        if supi not in self._watch.ues:
            self._violate(WRONG_IDENTITY, f"there is no UE {supi}", message)
        if address in self._by_address:
            self._violate(WRONG_VALUE, f"{address} is the address of {self.owner_of(address)}", message)
        seid = message["f_seid.seid"]
        if seid in self._by_control_seid:
            self._violate(WRONG_IDENTITY, f"SEID {seid} is that of another session", message)

    def _judge_tunnel(self, supi: str, message: Message) -> None:
        """Checks that downlink packets go to a tunnel of the UE."""
        header, ue = message[_UPDATE].get(_HEADER), self._watch.ues.get(supi)
        if header is None or ue is None or ue.connection is None:
            return
        tunnels = {(ue.station.host, teid) for teid in ue.connection.sessions.values()} | {*ue.former_tunnels}
        if (header["ipv4"], header["teid"]) not in tunnels:
            detail = f"TEID {header['teid']} at {header['ipv4']} is not a tunnel of {supi}"
            self._violate(WRONG_VALUE, detail, message)

    def _conclude(self, message: Message, sequence: int) -> None:
        """Notes how a request of the core ended."""
        self._requests[sequence] = message.name
        if len(self._requests) > 2 * len(self._answers) + 16:
            self._requests = {known: name for known, name in self._requests.items() if known in self._answers}
        answer, procedure = self._answers[sequence], PROCEDURES[message.name.removesuffix(REQUEST)]
        cause = answer.get("cause", ACCEPTED)
        self._ledger.note(procedure, self.address, None if cause == ACCEPTED else cause)
