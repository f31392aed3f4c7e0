"""What a resolver knows of a UE: identity, connections, sessions; in plain types for a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from gentwin.signaling.core.configuration import Slice
from gentwin.signaling.fields import Bits, Fields, Value

MOST = 32  # connections, sessions or requests that nobody ends
DEREGISTERED, REGISTERING, REGISTERED = "deregistered", "registering", "registered"

Tunnel = tuple[str, bytes]
"""Address and TEID of an end of the user plane."""


@dataclass
class Connection:
    """A UE's connection on N2.

    Args:
        station: Address `host:port` of the base station.
        ran_id: RAN UE NGAP identity; None if the base station has not said it.
        amf_id: AMF UE NGAP identity; None until there is one.
        plmn: Network of the cell, such as `999-70`.
        tac: Tracking area code, 3 bytes.
        count: NAS COUNT of the uplink message that K_gNB comes from; None if there was none that was verified.
        context: Whether its base station has the context of the UE.
        ambr_told: Whether its base station was told the UE AMBR.
        tunnels: Ends of the sessions at a base station that a UE is handed over to.
    """

    station: str = ""
    ran_id: int | None = None
    amf_id: int | None = None
    plmn: str = ""
    tac: bytes = b""
    count: int | None = None
    context: bool = False
    ambr_told: bool = False
    tunnels: dict[int, Tunnel] = field(default_factory=dict)


@dataclass
class Session:
    """A PDU session.

    Args:
        psi: PDU session identity.
        pti: Transaction in which it was asked for.
        slice: In which it is.
        dnn: Data network.
        five_qi: 5QI of the default flow.
        priority: Of allocation and retention.
        uplink: Session AMBR in bit/s.
        downlink: Session AMBR in bit/s.
        kinds: Types of session that the subscription allows.
        seid: Of this end on N4.
        peer_seid: Of the other end.
        control: End of the tunnel to the control plane.
        user: End of the tunnel at the user plane.
        radio: End of the tunnel at the base station.
        address: Of the UE.
        access: Number of the rule for packets of the base station.
        active: Whether downlink packets are forwarded to the base station.
        there: Whether the user plane has it.
        rated: Whether its rates were changed, and the UE was not told.
        counted: Whether the load of the core counts it.
    """

    psi: int
    pti: int = 0
    slice: Slice | None = None
    dnn: str = ""
    five_qi: int = 9
    priority: int = 8
    uplink: int = 0
    downlink: int = 0
    kinds: tuple[str, ...] = ("ipv4",)
    seid: int = 0
    peer_seid: int = 0
    control: bytes = b""
    user: Tunnel | None = None
    radio: Tunnel | None = None
    address: str = ""
    access: int | None = None
    active: bool = False
    there: bool = False
    rated: bool = False
    counted: bool = False


@dataclass
class Request:
    """Something that a UE asked for, and that waits until the policy decides.

    Args:
        procedure: As in [`Situation`][gentwin.signaling.core.policy.Situation].
        time: When it was asked for, in seconds since 1970.
        until: When it is rejected if nothing else was decided.
        cause: Why, then.
        back_off: How long the UE is not to ask again then, in seconds; None to say nothing of it.
        slice: Of the session it is about; None if it is about none.
        dnn: Data network of that session.
        rates: Uplink and downlink in bit/s that it needs.
        priority: Of allocation and retention, 1 to 15.
        psi: Identity of that session; None if it is about none.
        counted: Whether the load counted the UE as registering when it asked.
        amf_id: AMF UE NGAP identity of the connection over which it was asked for; None while there is none.
        ran_id: RAN UE NGAP identity of that connection.
        station: Address of its base station.
        parts: Hints that came with it, but for the decision.
        heard: Facts of the stimulus, as in the state of the UE.
    """

    procedure: str
    time: float
    until: float
    cause: int
    back_off: float | None = None
    slice: Slice | None = None
    dnn: str | None = None
    rates: tuple[int, int] = (0, 0)
    priority: int = 15
    psi: int | None = None
    counted: bool = False
    amf_id: int | None = None
    ran_id: int | None = None
    station: str = ""
    parts: list[Any] = field(default_factory=list)
    heard: dict[str, Any] = field(default_factory=dict)

    def is_over(self, connection: Connection | None) -> bool:
        """Returns whether this was asked for over a connection; else nobody waits for it any more."""
        if connection is None or connection.amf_id != self.amf_id:
            return False
        return self.amf_id is not None or (connection.station, connection.ran_id) == (self.station, self.ran_id)


@dataclass
class UeState:
    """What is known of a UE.

    Args:
        supi: Digits of the SUPI; empty while it is not known.
        imeisv: 16 digits; empty while it is not known.
        tmsis: 5G-TMSIs that it may be called by, the newest first.
        phase: `deregistered`, `registering` or `registered`.
        leaving: Whose deregistration is going on: `by_ue`, `switch_off` or `by_network`; empty if there is none.
        admitted: Whether its registration, which is going on, was admitted.
        requested: Slices that it asked for; None if it asked for none.
        allowed: Slices that it may use.
        ciphers: NEA algorithms that it knows, such as `ea0 ea2`.
        lingering: Sessions that were refused and that it is told of all the same.
        ksi: Identifier of the key set given last; -1 for none.
        key: K_gNB of the connection, or the next hop key given last.
        chain: Next hop chaining count that belongs to it.
        resynchronised: Whether its sequence number was taken over in this registration.
        connections: By AMF UE NGAP identity.
        fresh: Connection that has no such identity yet.
        current: AMF UE NGAP identity of the connection it uses.
        target: The same of the one it is handed over to.
        sessions: By PDU session identity.
        asked: Sessions that were asked for and not established, the oldest first.
        ending: Sessions that the user plane was asked to delete.
        lost: Sessions that the user plane has lost, and the UE was not told.
        wanted: Identities of the sessions whose user plane is to be set up.
        waiting: What waits for the policy, the oldest first.
        switching: Whether a base station to which the UE came waits for its path to be switched.
        transactions: PTI of what is going on in each session, 0 of what the core wants; the latest command last.
        container: What base stations tell each other in a handover, said last.
        unanswered: Sequence number of each request on N4 that is not answered, with its name and session.
        peer_started: When the user plane says it started, in seconds since 1900; None of anything else.
        heard: Facts of the stimulus that an answer repeats, by name.
    """

    supi: str = ""
    imeisv: str = ""
    tmsis: list[bytes] = field(default_factory=list)
    phase: str = DEREGISTERED
    leaving: str = ""
    admitted: bool = False
    requested: tuple[Slice, ...] | None = None
    allowed: tuple[Slice, ...] = ()
    ciphers: str = ""
    lingering: list[int] = field(default_factory=list)
    ksi: int = -1
    key: bytes = b""
    chain: int = 0
    resynchronised: bool = False
    connections: dict[int, Connection] = field(default_factory=dict)
    fresh: Connection | None = None
    current: int | None = None
    target: int | None = None
    sessions: dict[int, Session] = field(default_factory=dict)
    asked: list[Session] = field(default_factory=list)
    ending: list[Session] = field(default_factory=list)
    lost: list[Session] = field(default_factory=list)
    wanted: list[int] = field(default_factory=list)
    waiting: list[Request] = field(default_factory=list)
    switching: bool = False
    transactions: dict[int, int] = field(default_factory=dict)
    container: Value = None
    unanswered: dict[int, tuple[str, int]] = field(default_factory=dict)
    peer_started: int | None = None
    heard: dict[str, Any] = field(default_factory=dict)

    @property
    def connection(self) -> Connection | None:
        """The connection that it uses; None if it is idle."""
        if self.fresh is not None:
            return self.fresh
        return self.connections.get(self.current) if self.current is not None else None

    def by_seid(self, seid: object) -> Session | None:
        """Returns the session of an endpoint of this side of N4; None if there is none."""
        return next((known for known in self._all() if seid and known.seid == seid), None)

    def by_peer_seid(self, seid: object) -> Session | None:
        """Returns the session of an endpoint of the other side of N4; None if there is none.

        A user plane that has started again gives the same numbers again, so the newest one counts.
        """
        newest_first = *reversed(self.sessions.values()), *self.asked, *self.ending
        return next((known for known in newest_first if seid and known.peer_seid == seid), None)

    def prune(self) -> list[Session]:
        """Forgets the oldest of what there can be without end if others never answer; returns sessions among that."""
        gone = [*self.asked[:-MOST], *self.ending[:-MOST]]
        for known in (self.asked, self.ending, self.lost, self.waiting):
            del known[:-MOST]
        for known in (self.unanswered, self.transactions):
            for key in [*known][:-MOST]:
                del known[key]
        return gone

    def _all(self) -> list[Session]:
        return [*self.sessions.values(), *self.asked, *self.ending]


_TYPES = {kind.__name__: kind for kind in (Connection, Request, Session, UeState, Slice)}


def to_plain(value: Any) -> Any:
    """Returns a value made of what JSON has; one that is none of these is a dictionary that names its type."""
    if is_dataclass(value):
        return {"type": type(value).__name__} | {
            part.name: to_plain(getattr(value, part.name)) for part in fields(value)
        }
    if isinstance(value, Bits):
        return {"type": "bits", "value": value.value, "size": value.size}
    if isinstance(value, bytes):
        return {"type": "bytes", "hex": value.hex()}
    if isinstance(value, Fields):
        return {"type": "fields", "items": [[name, to_plain(inner)] for name, inner in value]}
    if isinstance(value, dict):
        return {"type": "dict", "items": [[to_plain(key), to_plain(inner)] for key, inner in value.items()]}
    if isinstance(value, tuple):
        return {"type": "tuple", "items": [to_plain(inner) for inner in value]}
    return [to_plain(inner) for inner in value] if isinstance(value, list) else value


def from_plain(value: Any) -> Any:
    """Returns the value that `to_plain` made this of.

    Raises:
        KeyError: If a type is not known, or something is missing.
    """
    if isinstance(value, list):
        return [from_plain(inner) for inner in value]
    if not isinstance(value, Mapping):
        return value
    kind = value["type"]
    if kind == "bytes":
        return bytes.fromhex(value["hex"])
    if kind == "bits":
        return Bits(value["value"], value["size"])
    if kind == "fields":
        return Fields((name, from_plain(inner)) for name, inner in value["items"])
    if kind == "dict":
        return {from_plain(key): from_plain(inner) for key, inner in value["items"]}
    if kind == "tuple":
        return tuple(from_plain(inner) for inner in value["items"])
    return _TYPES[kind](**{name: from_plain(inner) for name, inner in value.items() if name != "type"})
