"""What the AMF knows of UEs, of their connections and of base stations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gentwin.signaling.core import n1, n2
from gentwin.signaling.core.clock import Clock, Timers
from gentwin.signaling.core.configuration import Slice

if TYPE_CHECKING:
    from gentwin.signaling.core.gnb import Gnb
    from gentwin.signaling.core.protection import NasEnd
    from gentwin.signaling.core.smf import SmfSession
    from gentwin.signaling.core.subscribers import Subscriber
    from gentwin.signaling.fields import Fields
    from gentwin.signaling.messages import Message
    from gentwin.signaling.security import AuthenticationVector

DEREGISTERED, REGISTERING, REGISTERED, DEREGISTERING = "deregistered", "registering", "registered", "deregistering"


class AmfUe:
    """Context of a UE; it lives across connections.

    `sessions` are those that there are; `lingering` are identities of others that the UE is told of all the same;
    `admitted` says whether the load counts its registration, which is going on.

    Args:
        clock: Simulated time.
    """

    __slots__ = (
        "admitted",
        "algorithms",
        "allowed",
        "connection",
        "imeisv",
        "initial",
        "kind",
        "ksi",
        "lingering",
        "new_tmsi",
        "next_hop",
        "paged",
        "pending_security",
        "rejected",
        "resynchronised",
        "security",
        "sessions",
        "state",
        "subscriber",
        "tac",
        "timers",
        "tmsi",
        "vector",
    )

    def __init__(self, clock: Clock) -> None:
        self.timers = Timers(clock)
        self.state = DEREGISTERED
        self.admitted = False
        self.subscriber: Subscriber | None = None
        self.connection: AmfConnection | None = None
        self.tmsi: int | None = None
        self.new_tmsi: int | None = None
        self.security: NasEnd | None = None
        self.pending_security: NasEnd | None = None
        self.vector: AuthenticationVector | None = None
        self.next_hop: tuple[bytes, int] = b"", 0
        self.resynchronised = False
        self.ksi = -1
        self.imeisv = ""
        self.algorithms: Fields = n1.ALL_ALGORITHMS
        self.allowed: tuple[Slice, ...] = ()
        self.rejected: tuple[Slice, ...] = ()
        self.sessions: dict[int, SmfSession] = {}
        self.lingering: set[int] = set()
        self.initial: Message | None = None
        self.tac = ""
        self.paged: set[int] = set()
        self.kind = "initial"

    @property
    def supi(self) -> str:
        """Permanent identity; empty while it is not known."""
        return self.subscriber.supi if self.subscriber else ""


class AmfConnection:
    """A UE's connection on N2.

    Args:
        amf_id: AMF UE NGAP identity.
        ran_id: RAN UE NGAP identity.
        station: At which it is.
        stream: SCTP stream.
    """

    __slots__ = (
        "ambr_told",
        "amf_id",
        "context",
        "gone",
        "handover",
        "key_count",
        "ran_id",
        "releasing",
        "sent",
        "station",
        "stream",
        "tunnels",
        "ue",
    )

    def __init__(self, amf_id: int, ran_id: int, station: Gnb, stream: int) -> None:
        self.amf_id, self.ran_id, self.station, self.stream = amf_id, ran_id, station, stream
        self.ue: AmfUe | None = None
        self.context = self.ambr_told = self.releasing = self.gone = False
        self.key_count = 0
        self.sent = 0.0
        self.handover: AmfConnection | None = None
        self.tunnels: dict[int, Fields] = {}

    @property
    def ids(self) -> tuple[n2.Pair, n2.Pair]:
        """Fields of its identities."""
        return n2.ids(self.amf_id, self.ran_id)
