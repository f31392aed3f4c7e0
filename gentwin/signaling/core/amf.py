"""Access and mobility management: base stations, connections of UEs, and where messages go."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from gentwin.signaling.core import n1, n2
from gentwin.signaling.core.amf_admission import Admission
from gentwin.signaling.core.amf_authentication import Authentication
from gentwin.signaling.core.amf_context import DEREGISTERED, REGISTERED, REGISTERING, AmfConnection, AmfUe
from gentwin.signaling.core.amf_deregistration import Deregistrations
from gentwin.signaling.core.amf_handover import Handovers
from gentwin.signaling.core.amf_registration import Registrations
from gentwin.signaling.core.amf_service import Services
from gentwin.signaling.core.amf_sessions import Sessions
from gentwin.signaling.core.configuration import NetworkConfiguration, Slice
from gentwin.signaling.core.home import HomeNetwork
from gentwin.signaling.core.identifiers import Counter, Pool
from gentwin.signaling.core.links import Links
from gentwin.signaling.core.policy import Policy, Situation
from gentwin.signaling.core.protection import CIPHERED, PROTECTED
from gentwin.signaling.core.servers import Work, Works
from gentwin.signaling.core.smf import Smf, SmfSession
from gentwin.signaling.core.subscribers import Subscription
from gentwin.signaling.messages import Message

if TYPE_CHECKING:
    from gentwin.signaling.core.gnb import Gnb

LAST_AMF_ID = (1 << 40) - 1
FIRST_TMSI = 0xC0000001
NODE_STREAM = 0
LOST = "radio_network", "unknown-local-UE-NGAP-ID"
MESSAGE_UNKNOWN = 97


class Amf:
    """Access and mobility management function.

    Args:
        network: Of the core.
        links: To send with.
        works: What takes time.
        home: Home network of the subscribers.
        smf: Session management.
        policy: Asked where an answer depends on load.
    """

    def __init__(
        self,
        network: NetworkConfiguration,
        links: Links,
        works: Works,
        home: HomeNetwork,
        smf: Smf,
        policy: Policy,
    ) -> None:
        self.network, self.links, self.works, self.home, self.smf = network, links, works, home, smf
        self.address, self.up, self.load = network.amf_address, True, smf.load
        self.stations: dict[str, Gnb] = {}
        self.connections: dict[int, AmfConnection] = {}
        self.by_tmsi: dict[int, AmfUe] = {}
        self.by_supi: dict[str, AmfUe] = {}
        self.tmsis = Pool(FIRST_TMSI, FIRST_TMSI + 2 * network.max_ues - 1, links.random)
        self._ids = Counter(1, LAST_AMF_ID)
        self.admission = Admission(self, policy)
        self.registrations = Registrations(self)
        self.authentication = Authentication(self)
        self.deregistrations = Deregistrations(self)
        self.services = Services(self)
        self.sessions = Sessions(self)
        self.handovers = Handovers(self)
        smf.page, smf.lost, smf.relieved = self.services.page, self.sessions.lose, self.admission.look
        self._for_node = {
            "NGSetupRequest": self._set_up,
            "NGReset": self._reset,
            "InitialUEMessage": self._begin,
            "PathSwitchRequest": self.handovers.switch_path,
        }
        self._for_connection: dict[str, Callable[[AmfConnection, Message], None]] = {
            "UplinkNASTransport": self._continue,
            "InitialContextSetupResponse": self._context_set_up,
            "InitialContextSetupFailure": self._context_failed,
            "UEContextReleaseRequest": self._release_requested,
            "UEContextReleaseComplete": self._released,
            "ErrorIndication": self._station_lost_context,
            **self.sessions.handlers,
            **self.handovers.handlers,
        }
        parts = self.registrations, self.authentication, self.deregistrations, self.services, self.sessions
        self._for_nas = {name: handler for part in parts for name, handler in part.nas_handlers.items()}
        self._plain = self.registrations.plain | self.authentication.plain | self.deregistrations.plain

    # ------------------------------------------------------------ base stations

    def receive(self, message: Message, sender: Gnb, stream: int) -> None:
        """Takes a message of a base station."""
        handler = self._for_node.get(message.name)
        if handler is not None:
            handler(message, sender, stream)
            return
        known = self._for_connection.get(message.name)
        if known is None:
            return
        connection = self.connections.get(message.get("amf_ue_ngap_id", -1))
        if connection is None or not self._belongs(connection, message, sender):
            self._complain(message, sender, stream)
            return
        known(connection, message)

    def _belongs(self, connection: AmfConnection, message: Message, sender: Gnb) -> bool:
        if connection.station is not sender:
            return False
        return connection.handover is not None or message.get("ran_ue_ngap_id", connection.ran_id) == connection.ran_id

    def _complain(self, message: Message, sender: Gnb, stream: int) -> None:
        if message.name in ("ErrorIndication", "UEContextReleaseComplete"):
            return
        pairs = [(name, value) for name, value in message.fields if name.endswith("_ue_ngap_id")]
        self.send_node(n2.message("ErrorIndication", *pairs, n2.cause(*LOST)), sender, stream)

    def _set_up(self, message: Message, sender: Gnb, stream: int) -> None:
        failure = self._refuse_station(message)
        if failure is None:
            self._drop_all(sender)
            self.stations[sender.address] = sender
        answer = n2.ng_setup_response(self.network) if failure is None else n2.ng_setup_failure(*failure)
        wait = self.links.send_ngap(answer, self, sender, stream, self.works.setup)
        if failure is None:
            self.links.clock.after(wait, self.admission.greet, sender)

    def _refuse_station(self, message: Message) -> tuple[str, str] | None:
        supported: set[Slice] = set()
        for area in message["supported_ta_list"].all("item"):
            for broadcast in area["broadcast_plmn_list"].all("item"):
                if broadcast["plmn_identity"] == self.network.plmn and area["tac"].hex() in self.network.areas:
                    supported |= {
                        n2.read_slice(item["s_nssai"]) for item in broadcast["tai_slice_support_list"].all("item")
                    }
        if not supported:
            return "misc", "unknown-PLMN-or-SNPN"
        return None if supported & {*self.network.slices} else ("radio_network", "slice-not-supported")

    def _reset(self, message: Message, sender: Gnb, stream: int) -> None:
        part = message["reset_type"].get("part_of_ng_interface")
        if part is None:
            self._drop_all(sender)
        else:
            wanted = {item.get("amf_ue_ngap_id") for item in part.all("item")}
            self._drop_all(sender, wanted)
        answer = () if part is None else (("ue_associated_logical_ng_connection_list", part),)
        self.send_node(n2.message("NGResetAcknowledge", *answer), sender, stream)

    def _drop_all(self, station: Gnb, wanted: set[int] | None = None) -> None:
        for connection in [known for known in self.connections.values() if known.station is station]:
            if wanted is None or connection.amf_id in wanted:
                self.drop(connection)

    def lose_station(self, station: Gnb) -> None:
        """Takes the end of the association with a base station: connections over it are gone."""
        if self.stations.get(station.address) is station:
            del self.stations[station.address]
        self._drop_all(station)

    def send_node(self, message: Message, station: Gnb, stream: int = NODE_STREAM) -> None:
        """Sends a base station a message about no connection."""
        self.links.send_ngap(message, self, station, stream, self.works.amf)

    # ------------------------------------------------------------ failure

    def fail(self) -> None:
        """Fails: all that it knew of UEs is lost, and base stations lose their associations."""
        self.up = False
        stations, self.stations = [*self.stations.values()], {}
        for connection in self.connections.values():
            connection.gone = True
        for ue in [*self.by_supi.values(), *(known.ue for known in self.connections.values() if known.ue)]:
            ue.timers.stop_all()
            ue.connection = None
            self.set_state(ue, DEREGISTERED)
        for known in (self.connections, self.by_tmsi, self.by_supi, self.tmsis.living):
            known.clear()
        self._ids = Counter(1, LAST_AMF_ID)
        self.admission.forget_all()
        self.sessions.forget_all()
        for station in stations:
            station.lose_core()

    def recover(self) -> None:
        """Works again."""
        self.up = True

    # ------------------------------------------------------------ connections

    def new_connection(self, ran_id: int, station: Gnb, stream: int) -> AmfConnection:
        """Returns a new connection of a UE."""
        connection = AmfConnection(self._ids.allocate(self.connections), ran_id, station, stream)
        self.connections[connection.amf_id] = connection
        return connection

    def attach(self, connection: AmfConnection, ue: AmfUe) -> None:
        """Lets a connection be that of a UE; one that it had before is released."""
        old = ue.connection
        if old is not None and old is not connection:
            old.ue = None
            self.release(old, "nas", "normal-release")
        connection.ue, ue.connection = ue, connection
        ue.tac = connection.station.station.tac
        ue.timers.stop("reachable")

    def send(self, connection: AmfConnection, message: Message, work: Work | None = None) -> float:
        """Returns in how many seconds a message on a connection is sent, after some work (an answer's if not given)."""
        work = self.works.amf if work is None else work
        return self.links.send_ngap(message, self, connection.station, connection.stream, work, connection)

    def send_nas(
        self, connection: AmfConnection, plain: Message, work: Work | None = None, header: str | None = CIPHERED
    ) -> float:
        """Returns in how many seconds a NAS message is sent; with header None, or to a UE without keys, as it is."""
        ue = connection.ue
        nas = plain if header is None or ue is None or ue.security is None else ue.security.seal(plain, header)
        return self.send(connection, n2.message("DownlinkNASTransport", *connection.ids, ("nas_pdu", nas)), work)

    def release(self, connection: AmfConnection, group: str, value: str, work: Work | None = None) -> None:
        """Releases a connection for a cause, once."""
        if not connection.releasing:
            connection.releasing = True
            command = n2.release_command(connection.amf_id, connection.ran_id, n2.cause(group, value))
            wait = self.send(connection, command, work)
            self.links.clock.after(wait + self.network.flavour.timing.handover, self.drop, connection)

    def drop(self, connection: AmfConnection) -> None:
        """Forgets a connection, if it is not yet; packets for its UE wait from now on."""
        if connection.gone:
            return
        del self.connections[connection.amf_id]
        connection.gone = True
        ue, connection.ue = connection.ue, None
        if ue is None or ue.connection is not connection:
            return
        ue.connection = None
        if ue.state == REGISTERING:
            self.registrations.abort(ue)
        if ue.state == REGISTERED:
            for session in ue.sessions.values():
                if session.active:
                    self.smf.buffer(session)
            timing = self.network.flavour.timing
            quiet = timing.t3512 + timing.implicit_deregistration
            ue.timers.start("reachable", quiet, self.deregistrations.forget, ue)

    def _begin(self, message: Message, sender: Gnb, stream: int) -> None:
        connection = self.new_connection(message["ran_ue_ngap_id"], sender, stream)
        nas = message["nas_pdu"]
        inner = nas["payload"] if nas.name == PROTECTED else nas
        if inner.name == "ServiceRequest":
            self.services.request(connection, nas)
        elif inner.name == "RegistrationRequest":
            self.registrations.request(connection, nas)
        elif inner.name == "DeregistrationRequestUEOriginating":
            self.deregistrations.begin(connection, nas)
        else:
            self.release(connection, "nas", "unspecified")

    def _continue(self, connection: AmfConnection, message: Message) -> None:
        nas, ue = message["nas_pdu"], connection.ue
        if ue is None or connection.releasing:
            return
        if nas.name == PROTECTED:
            self._open(connection, ue, nas)
        elif nas.name == "RegistrationRequest":
            self.registrations.request(connection, nas)
        elif nas.name in self._plain:
            self._for_nas[nas.name](connection, ue, nas)

    def _open(self, connection: AmfConnection, ue: AmfUe, nas: Message) -> None:
        if self.authentication.complete_security(connection, ue, nas) or ue.security is None:
            return
        message = ue.security.open(nas).message
        if message is None:
            return
        handler = self._for_nas.get(message.name)
        if handler is None:
            self.send_nas(connection, n1.status_5gmm(MESSAGE_UNKNOWN))
        else:
            handler(connection, ue, message)

    def _context_set_up(self, connection: AmfConnection, message: Message) -> None:
        connection.context = True
        if connection.ue is not None:
            self.services.context_set_up(connection, connection.ue, message)

    def _context_failed(self, connection: AmfConnection, message: Message) -> None:
        self.release(connection, "radio_network", "unspecified")

    def _release_requested(self, connection: AmfConnection, message: Message) -> None:
        (group, value), ue = message["cause"][0], connection.ue
        active = [known for known in ue.sessions.values() if known.active] if ue else []
        after_all(active, self.smf.buffer, lambda: self.release(connection, group, value))

    def _released(self, connection: AmfConnection, message: Message) -> None:
        self.drop(connection)

    def _station_lost_context(self, connection: AmfConnection, message: Message) -> None:
        self.drop(connection)

    # ------------------------------------------------------------ policy

    def situation(
        self, procedure: str, ue: AmfUe, subscription: Subscription | None = None, rates: tuple[int, int] = (0, 0)
    ) -> Situation:
        """Returns the situation in which a UE asks for something.

        Args:
            procedure: As of [`Situation`][gentwin.signaling.core.policy.Situation].
            ue: Who.
            subscription: To the session that it is about; None if it is about none.
            rates: Uplink and downlink in bit/s that it needs.
        """
        self.load.connected, now = len(self.connections), self.links.clock.now
        if subscription is None:
            return Situation(procedure, now, ue.supi, self.load, counted=ue.admitted)
        known = subscription
        return Situation(procedure, now, ue.supi, self.load, known.slice, known.dnn, *rates, known.priority)

    def set_state(self, ue: AmfUe, state: str) -> None:
        """Changes the state of a UE, and counts."""
        self.load.registered += (state == REGISTERED) - (ue.state == REGISTERED)
        self.load.procedures += (state == REGISTERING) - (ue.state == REGISTERING)
        self.load.registering -= ue.admitted
        ue.state, ue.admitted = state, False
        if state != REGISTERING:
            self.admission.look()

    def admit(self, ue: AmfUe) -> None:
        """Counts the registration of a UE as admitted, until its state changes or it asks anew."""
        self.load.registering += not ue.admitted
        ue.admitted = True

    def release_sessions(self, ue: AmfUe, then: Callable[[], None]) -> None:
        """Deletes all sessions of a UE."""
        sessions = [*ue.sessions.values()]
        ue.sessions.clear()
        after_all(sessions, self.smf.release, then)


def after_all(
    sessions: Iterable[SmfSession],
    action: Callable[[SmfSession, Callable[[object], None]], None],
    then: Callable[[], None],
) -> None:
    """Does something with sessions that takes its time, and something else when all are done."""
    left = [*sessions]
    if not left:
        then()
        return
    waiting = len(left)

    def done(_: object) -> None:
        nonlocal waiting
        waiting -= 1
        if not waiting:
            then()

    for session in left:
        action(session, done)
