"""Session management: who has which session, and what the user plane is told about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gentwin.signaling.core import n2, n4
from gentwin.signaling.core.configuration import DataNetwork, NetworkConfiguration, Slice
from gentwin.signaling.core.identifiers import Addresses, Counter, ExhaustedError, Pool
from gentwin.signaling.core.links import Links
from gentwin.signaling.core.pfcp_node import PfcpNode
from gentwin.signaling.core.policy import Load
from gentwin.signaling.core.servers import Work, Works
from gentwin.signaling.core.subscribers import Subscriber, Subscription
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import Message

if TYPE_CHECKING:
    from gentwin.signaling.core.amf_context import AmfUe

INSUFFICIENT_RESOURCES, UNKNOWN_TYPE, NETWORK_FAILURE = 26, 28, 38
NOT_ASSOCIATED = "no_established_pfcp_association"
INTERNET_TYPES = ("ipv4", "ipv6", "ipv4v6")
Then = Callable[["SmfSession | None"], None]


class SmfSession:
    """A PDU session.

    Args:
        supi: Whose.
        psi: PDU session identity.
        subscription: That allows it.
        seid: Of this end.
        teid: Of the tunnel to the control plane.
        address: IPv4 address of the UE.
    """

    __slots__ = (
        "active",
        "address",
        "peer_seid",
        "psi",
        "rates",
        "seid",
        "subscription",
        "supi",
        "teid",
        "uplink_teid",
    )

    def __init__(self, supi: str, psi: int, subscription: Subscription, seid: int, teid: int, address: str) -> None:
        self.supi, self.psi, self.subscription = supi, psi, subscription
        self.seid, self.teid, self.address = seid, teid, address
        self.rates = subscription.uplink, subscription.downlink
        self.peer_seid = self.uplink_teid = 0
        self.active = False

    @property
    def slice(self) -> Slice:
        """In which it is."""
        return self.subscription.slice

    def setup_transfer(self, host: str) -> Fields:
        """Returns what a base station is told to set it up, with the host of the user plane."""
        known = self.subscription
        return n2.setup_request_transfer(host, self.uplink_teid, known.five_qi, known.priority, self.rates)


class Smf(PfcpNode):
    """Session management function.

    Args:
        network: Of the core.
        links: To send with.
        works: What takes time.
        load: Of the core, in which it counts its sessions.
    """

    def __init__(self, network: NetworkConfiguration, links: Links, works: Works, load: Load) -> None:
        super().__init__(network, links, network.smf_address, works.smf)
        self.load, self._works = load, works
        self.sessions: dict[tuple[str, int], SmfSession] = {}
        self.page: Callable[[SmfSession], None] = lambda session: None
        self.lost: Callable[[SmfSession], None] = lambda session: None
        self.relieved: Callable[[], None] = lambda: None
        self._by_seid: dict[int, SmfSession] = {}
        self._networks: dict[str, DataNetwork] = {entry.dnn: entry for entry in network.data_networks}
        self._addresses = {entry.dnn: Addresses(entry.addresses) for entry in network.data_networks}
        self._seids = Pool(1, 4 * network.max_ues - 3, links.random)
        self._teids = Counter(1, (1 << 32) - 1)

    # ------------------------------------------------------------ association

    def start(self) -> None:
        """Sets up the association with the user plane."""
        pairs = n4.node_id(self.host), ("recovery_time_stamp", self.started), ("cp_function_features", "")
        self.request("AssociationSetupRequest", *pairs, answered=self._associated)

    def _associated(self, response: Message | None) -> None:
        self.associated = response is not None and response["cause"] == "request_accepted"
        if self.associated:
            self.peer_started = response["recovery_time_stamp"]
            self._links.clock.after(5e-4, self.start_heartbeats)
        else:
            self.lost_peer()

    def lost_peer(self) -> None:
        """Tries again to set up the association, after a while."""
        self._links.clock.after(self._network.flavour.timing.heartbeat, self.start)

    def peer_restarted(self) -> None:
        """Takes the loss of all sessions at a user plane that has started again."""
        self.associated = False
        for session in [*self.sessions.values()]:
            self._forget(session)
            self.lost(session)
        self.start()

    # ------------------------------------------------------------ sessions

    def name_servers(self, dnn: str) -> tuple[str, ...]:
        """Returns the name servers of a data network."""
        return self._networks[dnn].name_servers

    def establish(
        self, ue: AmfUe, psi: int, subscription: Subscription, kind: str, then: Callable[[SmfSession | int], None]
    ) -> None:
        """Creates a session with the user plane.

        Args:
            ue: For whom.
            psi: PDU session identity.
            subscription: That allows it.
            kind: Type that the UE asked for.
            then: Called with the session, or with the 5GSM cause why there is none.
        """
        old = self.sessions.get((ue.supi, psi))
        if old is not None:
            self.release(old)
        cause = self._refuse(subscription, kind)
        if not cause:
            try:
                address = self._addresses[subscription.dnn].allocate(subscription.address)
            except ExhaustedError:
                cause = INSUFFICIENT_RESOURCES
        if cause:
            self._links.clock.after(self._works.session.seconds(), then, cause)
            return
        seid = self._seids.allocate()
        session = SmfSession(ue.supi, psi, subscription, seid, self._teids.allocate(), address)
        self.sessions[ue.supi, psi] = self._by_seid[seid] = session
        self.load.add_session(session.slice, session.rates)
        self.request(
            "SessionEstablishmentRequest",
            n4.node_id(self.host),
            n4.f_seid(seid, self.host),
            *self._rules(session, ue.subscriber, ue.imeisv),
            seid=0,
            answered=lambda response: self._established(session, response, then),
            work=self._works.session,
        )

    def _refuse(self, subscription: Subscription, kind: str) -> int:
        """Returns the 5GSM cause why a type of session is refused; 0 if it is not. Sessions are of IPv4."""
        flavour = self._network.flavour
        if not self.associated or subscription.dnn not in self._networks:
            return NETWORK_FAILURE
        if kind not in INTERNET_TYPES:
            return UNKNOWN_TYPE
        if "ipv4" not in subscription.session_types and "ipv4v6" not in subscription.session_types:
            return flavour.ipv6_only_cause
        return flavour.ipv4_only_cause if kind == "ipv6" else 0

    def _rules(self, session: SmfSession, subscriber: Subscriber, imeisv: str) -> tuple[n4.Pair, ...]:
        known, flavour = session.subscription, self._network.flavour
        plane = self.host, session.teid
        identity = Fields.of(imsi=subscriber.supi, imei=imeisv, msisdn=subscriber.msisdn)
        return (
            *n4.session_elements(known.dnn, session.address, session.rates, plane, flavour.router_solicitation_rule),
            ("user_id", identity),
            ("apn_dnn", known.dnn),
            n4.slice_of_session(known.slice, flavour.sd_of_session_reversed),
        )

    def _established(
        self, session: SmfSession, response: Message | None, then: Callable[[SmfSession | int], None]
    ) -> None:
        if response is None or response["cause"] != "request_accepted":
            self._forget(session)
            if response is not None and response["cause"] == NOT_ASSOCIATED and self.associated:
                self.associated = False
                self.start()
            then(NETWORK_FAILURE)
            return
        session.peer_seid = response["f_seid.seid"]
        session.uplink_teid = response["created_pdr.f_teid.teid"]
        then(session)

    def forward(
        self, session: SmfSession, host: str, teid: int, then: Then | None = None, marker: bool = False
    ) -> None:
        """Sends downlink packets of a session to a base station.

        Args:
            session: Which.
            host: Of the base station.
            teid: Of its end of the tunnel.
            then: Called with the session when that is done, or with None if it failed.
            marker: Whether the station before is told.
        """
        session.active = True
        update = n4.forward_to_station(session.subscription.dnn, host, teid, marker)
        self._update(session, then, update, self._works.smf)

    def buffer(self, session: SmfSession, then: Then | None = None) -> None:
        """Lets downlink packets of a session wait; arguments as of `forward`."""
        session.active = False
        self._update(session, then, ("update_far", n4.BUFFER), self._works.exchange)

    def limit(self, session: SmfSession, rates: tuple[int, int], then: Then) -> None:
        """Changes the session AMBR, uplink and downlink in bit/s; `then` as of `forward`."""
        if self._by_seid.get(session.seid) is session:
            (uplink, downlink), session.rates = session.rates, rates
            self.load.add_rates(session.slice, rates[0] - uplink, rates[1] - downlink)
            self.relieved()
        pair = "update_qer", Fields((("qer_id", 1), n4.limit(*rates), ("qfi", 1)))
        self._update(session, then, pair, self._works.exchange)

    def _update(self, session: SmfSession, then: Then | None, pair: n4.Pair, work: Work) -> None:
        def answered(response: Message | None) -> None:
            done = response is not None and response["cause"] == "request_accepted"
            if then is not None:
                then(session if done else None)

        self.request("SessionModificationRequest", pair, seid=session.peer_seid, answered=answered, work=work)

    def release(self, session: SmfSession, then: Then | None = None) -> None:
        """Deletes a session at the user plane, and forgets it; `then` as of `forward`."""
        if self.sessions.get((session.supi, session.psi)) is session:
            del self.sessions[session.supi, session.psi]

        def answered(response: Message | None) -> None:
            self._forget(session)
            if then is not None:
                then(session)

        work = self._works.exchange
        self.request("SessionDeletionRequest", seid=session.peer_seid, answered=answered, work=work)

    def _forget(self, session: SmfSession) -> None:
        if self.sessions.get((session.supi, session.psi)) is session:
            del self.sessions[session.supi, session.psi]
        if self._by_seid.get(session.seid) is session:
            del self._by_seid[session.seid]
            self._seids.free(session.seid)
            self._addresses[session.subscription.dnn].free(session.address)
            self.load.add_session(session.slice, session.rates, -1)
            self.relieved()

    # ------------------------------------------------------------ reports

    def answer(self, message: Message, sequence: int) -> Message:
        """Returns the response to a report; if packets wait, the UE is paged."""
        name = message.name.replace("Request", "Response")
        session = self._by_seid.get(message["seid"])
        if session is None:
            return n4.message(name, sequence, ("cause", "session_context_not_found"), seid=0)
        if message["report_type"] == "dldr":
            self._links.clock.after(0.0, self._have_paged, session)
        return n4.message(name, sequence, n4.ACCEPTED, seid=session.peer_seid)

    def _have_paged(self, session: SmfSession) -> None:
        self._links.clock.after(self._works.exchange.seconds(), self.page, session)
