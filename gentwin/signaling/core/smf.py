"""Session management: who has which session, and what the user plane is told about it."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Callable
from typing import TYPE_CHECKING

from gentwin.signaling.core import n2, n4
from gentwin.signaling.core.configuration import DataNetwork, NetworkConfiguration, Slice
from gentwin.signaling.core.identifiers import Addresses, Counter, ExhaustedError, Pool
from gentwin.signaling.core.links import Links
from gentwin.signaling.core.pfcp_node import PfcpNode
from gentwin.signaling.core.subscribers import Subscriber, Subscription
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import Message

if TYPE_CHECKING:
    from gentwin.signaling.core.amf_context import AmfUe

INSUFFICIENT_RESOURCES, UNKNOWN_TYPE, NETWORK_FAILURE, IPV6_ONLY = 26, 28, 38, 51
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
        "handed_over",
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
        self.handed_over: tuple[str, int] | None = None

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
    """

    def __init__(self, network: NetworkConfiguration, links: Links) -> None:
        super().__init__(network, links, network.smf_address, network.flavour.delays.smf)
        self.sessions: dict[tuple[str, int], SmfSession] = {}
        self.of_slices: Count[Slice] = Count()
        self.page: Callable[[SmfSession], None] = lambda session: None
        self._by_seid: dict[int, SmfSession] = {}
        self._networks: dict[str, DataNetwork] = {entry.dnn: entry for entry in network.data_networks}
        self._addresses = {entry.dnn: Addresses(entry.addresses) for entry in network.data_networks}
        self._seids = Pool(1, 4 * network.max_ues - 3, links.random)
        self._teids = Counter(1, (1 << 32) - 1)

    # ------------------------------------------------------------ association

    def start(self) -> None:
        """Sets up the association with the user plane."""
        self.request(
            "AssociationSetupRequest",
            n4.node_id(self.host),
            ("recovery_time_stamp", self._started),
            ("cp_function_features", ""),
            answered=self._associated,
            median=0.0,
        )

    def _associated(self, response: Message | None) -> None:
        self.associated = response is not None and response["cause"] == "request_accepted"
        if self.associated:
            self._links.clock.after(5e-4, self.start_heartbeats, 0.0)
        else:
            self.lost_peer()

    def lost_peer(self) -> None:
        """Tries again to set up the association, after a while."""
        self._links.clock.after(self._network.flavour.timing.heartbeat, self.start)

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
        cause = self._refuse(subscription, kind)
        if cause:
            self._links.clock.after(self._links.delay(self._median), then, cause)
            return
        try:
            address = self._addresses[subscription.dnn].allocate(subscription.address)
        except ExhaustedError:
            self._links.clock.after(self._links.delay(self._median), then, INSUFFICIENT_RESOURCES)
            return
        seid = self._seids.allocate()
        session = SmfSession(ue.supi, psi, subscription, seid, self._teids.allocate(), address)
        self.sessions[ue.supi, psi] = self._by_seid[seid] = session
        self.of_slices[session.slice] += 1
        self.request(
            "SessionEstablishmentRequest",
            n4.node_id(self.host),
            n4.f_seid(seid, self.host),
            *self._rules(session, ue.subscriber, ue.imeisv),
            seid=0,
            answered=lambda response: self._established(session, response, then),
            median=self._network.flavour.delays.session,
        )

    def _refuse(self, subscription: Subscription, kind: str) -> int:
        """Returns the 5GSM cause why a type of session is refused; 0 if it is not."""
        if not self.associated or subscription.dnn not in self._networks:
            return NETWORK_FAILURE
        if kind not in ("ipv4", "ipv6", "ipv4v6"):
            return UNKNOWN_TYPE
        if "ipv4" not in subscription.session_types:
            return IPV6_ONLY
        return 0

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
        self._update(session, then, update)

    def buffer(self, session: SmfSession, then: Then | None = None) -> None:
        """Lets downlink packets of a session wait; arguments as of `forward`."""
        session.active = False
        self._update(session, then, ("update_far", n4.BUFFER))

    def limit(self, session: SmfSession, rates: tuple[int, int], then: Then) -> None:
        """Changes the session AMBR, uplink and downlink in bit/s; `then` as of `forward`."""
        session.rates = rates
        self._update(session, then, ("update_qer", Fields((("qer_id", 1), n4.limit(*rates), ("qfi", 1)))))

    def _update(self, session: SmfSession, then: Then | None, *pairs: n4.Pair) -> None:
        def answered(response: Message | None) -> None:
            done = response is not None and response["cause"] == "request_accepted"
            if then is not None:
                then(session if done else None)

        self.request("SessionModificationRequest", *pairs, seid=session.peer_seid, answered=answered)

    def release(self, session: SmfSession, then: Then | None = None) -> None:
        """Deletes a session at the user plane, and forgets it; `then` as of `forward`."""
        if self.sessions.get((session.supi, session.psi)) is session:
            del self.sessions[session.supi, session.psi]

        def answered(response: Message | None) -> None:
            self._forget(session)
            if then is not None:
                then(session)

        self.request("SessionDeletionRequest", seid=session.peer_seid, answered=answered)

    def _forget(self, session: SmfSession) -> None:
        if self.sessions.get((session.supi, session.psi)) is session:
            del self.sessions[session.supi, session.psi]
        if self._by_seid.pop(session.seid, None) is not None:
            self._seids.free(session.seid)
            self._addresses[session.subscription.dnn].free(session.address)
            self.of_slices[session.slice] -= 1

    # ------------------------------------------------------------ reports

    def answer(self, message: Message, sequence: int) -> Message:
        """Returns the response to a report; if packets wait, the UE is paged."""
        name = message.name.replace("Request", "Response")
        session = self._by_seid.get(message["seid"])
        if session is None:
            return n4.message(name, sequence, ("cause", "session_context_not_found"), seid=0)
        if message["report_type"] == "dldr":
            self._links.clock.after(self._links.delay(2 * self._median), self.page, session)
        return n4.message(name, sequence, n4.ACCEPTED, seid=session.peer_seid)
