"""Message-sequence charts, also called ladders: who said what to whom, as rows between the lines of actors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from gentwin.signaling.dialogue.directions import (
    AMF_PORT,
    AMF_TO_GNB,
    GNB_TO_AMF,
    SMF_TO_UPF,
    UPF_TO_SMF,
    direction_of,
)
from gentwin.signaling.ladder.causes import refuses
from gentwin.signaling.ladder.details import details_of
from gentwin.signaling.ladder.parts import CIPHERED, DOWNLINK, UNDECODED, UPLINK, parts
from gentwin.signaling.messages import NAS, NGAP, PFCP, Message, Record

UE, GNB, AMF, SMF, UPF = "UE", "gNB", "AMF", "SMF", "UPF"
ROLES = (UE, GNB, AMF, SMF, UPF)
"""Roles in the order of their columns."""

REFUSED, CLOSED = "refused", "closed"
TONES = (NAS, NGAP, PFCP, REFUSED, CLOSED)
"""Tones of a step: NAS between UE and core, NGAP or PFCP alone, something refused, NAS that cannot be read."""


class Actor(NamedTuple):
    """Who sends and receives.

    Args:
        role: `UE`, `gNB`, `AMF`, `SMF` or `UPF`.
        address: Of NGAP `host:port`, of PFCP the host; empty for the UE.
    """

    role: str
    address: str = ""


OTHER_STATIONS = Actor(GNB, "others")
"""Stands for base stations that do not have a column of their own."""


@dataclass(frozen=True, slots=True)
class Step:
    """One row of a ladder.

    Args:
        time: In seconds since 1970.
        sender: Who speaks; the UE if it is NAS from it.
        receiver: Who is spoken to; the UE if it is NAS to it.
        label: Names of the messages: `InitialUEMessage / RegistrationRequest`.
        details: What is decisive in them, the most decisive first.
        tone: One of `TONES`.
        via: Base station that carries NAS between sender and receiver; None if there is none between them.
        number: Of the frame in the capture, or of the record; 0 if it has none.
    """

    time: float
    sender: Actor
    receiver: Actor
    label: str
    details: tuple[str, ...] = ()
    tone: str = NGAP
    via: Actor | None = None
    number: int = 0

    @property
    def actors(self) -> tuple[Actor, ...]:
        """All that take part, in the order of what is said."""
        return (self.sender, self.receiver) if self.via is None else (self.sender, self.via, self.receiver)


@dataclass(frozen=True, slots=True)
class Ladder:
    """A message-sequence chart.

    Args:
        title: What it shows.
        steps: Its rows, in the order of time.
        origin: Time from which those of the rows count, in seconds since 1970.
        omitted: Number of steps after the last one that are not shown.
    """

    title: str
    steps: tuple[Step, ...]
    origin: float
    omitted: int = 0

    @property
    def actors(self) -> tuple[Actor, ...]:
        """Those that take part, in the order of their columns: by role, then by their first step."""
        seen = dict.fromkeys(actor for step in self.steps for actor in step.actors)
        return tuple(sorted(seen, key=lambda actor: (ROLES.index(actor.role), actor == OTHER_STATIONS)))

    def names(self) -> dict[Actor, str]:
        """Returns the name of every actor: its role, with a number if there are several of it."""
        actors = [actor for actor in self.actors if actor != OTHER_STATIONS]
        several, given = Counter(actor.role for actor in actors), Counter[str]()
        names = {}
        for actor in actors:
            given[actor.role] += 1
            names[actor] = f"{actor.role} {given[actor.role]}" if several[actor.role] > 1 else actor.role
        return names | ({OTHER_STATIONS: "gNBs"} if OTHER_STATIONS in self.actors else {})

    def first(self, count: int) -> Ladder:
        """Returns the ladder with its first steps only, which knows how many are left out."""
        left_out = max(0, len(self.steps) - count)
        return replace(self, steps=self.steps[:count], omitted=self.omitted + left_out)

    def with_stations(self, most: int) -> Ladder:
        """Returns the ladder with a column for each of the base stations with most steps, and one for all others.

        Args:
            most: Number of columns of base stations, at least 2.
        """
        counts = Counter(actor for step in self.steps for actor in step.actors if actor.role == GNB)
        if len(counts) <= most:
            return self
        kept = {actor for actor, _ in counts.most_common(most - 1)}
        return replace(self, steps=tuple(_among(step, kept) for step in self.steps))


def _among(step: Step, stations: set[Actor]) -> Step:
    def known(actor: Actor | None) -> Actor | None:
        return OTHER_STATIONS if actor is not None and actor.role == GNB and actor not in stations else actor

    return replace(step, sender=known(step.sender), receiver=known(step.receiver), via=known(step.via))


def make_ladder(
    records: Iterable[Record],
    *,
    title: str = "",
    numbers: Sequence[int] | None = None,
    origin: float | None = None,
) -> Ladder:
    """Returns the message-sequence chart of records.

    ```python
    >>> from gentwin.signaling.core import SynthesisConfiguration, synthesize
    >>> records = synthesize(SynthesisConfiguration(ues=1, duration=5.0), seed=7)
    >>> ladder = make_ladder(records)
    >>> [ladder.names()[actor] for actor in ladder.actors]
    ['UE', 'gNB 1', 'gNB 2', 'AMF', 'SMF', 'UPF']
    >>> ladder.steps[0].label
    'AssociationSetupRequest'
    ```

    Args:
        records: In the order of time; of one UE for example, see [`dialogues`][gentwin.signaling.contexts.dialogues].
        title: What it shows.
        numbers: Of the records, such as that of their frames in a capture; from 1 if not given.
        origin: Time from which those of the rows count, in seconds since 1970; that of the first record if not given.
    """
    records = list(records)
    roles = _find_roles(records)
    numbers = range(1, len(records) + 1) if numbers is None else numbers
    steps = tuple(_step(record, number, roles) for record, number in zip(records, numbers, strict=True))
    if origin is None:
        origin = steps[0].time if steps else 0.0
    return Ladder(title, steps, origin)


# ---------------------------------------------------------------- what a record says


def _step(record: Record, number: int, roles: dict[str, str]) -> Step:
    carried = parts(record.message)
    sender, receiver = _ends(record, roles)
    inside, name = [part.name for part in carried[1:]], record.message.name
    via = None
    if inside and name in UPLINK:
        sender, via = Actor(UE), sender
    elif inside and name in DOWNLINK:
        via, receiver = receiver, Actor(UE)
    found = tuple(dict.fromkeys(detail for part in _decisive(carried) for detail in details_of(part)))
    return Step(record.timestamp, sender, receiver, _label(carried), found, _tone(carried), via, number)


def _decisive(carried: tuple[Message, ...]) -> tuple[Message, ...]:
    """Returns the messages of a record in the order in which their details matter: what refuses, then the innermost."""
    return tuple(sorted(reversed(carried), key=lambda part: not refuses(part)))


def _label(carried: tuple[Message, ...]) -> str:
    """Returns the names of the messages of a record, without that of a transport that carries another one."""
    inside = [part.name for part in carried[1:] if not isinstance(part.get("payload_container"), Message)]
    return " / ".join(filter(None, (carried[0].name, " + ".join(inside))))


def _tone(carried: tuple[Message, ...]) -> str:
    if any(map(refuses, carried)):
        return REFUSED
    inside = [part.name for part in carried[1:]]
    if inside and all(name in (CIPHERED, UNDECODED) for name in inside):
        return CLOSED
    return NAS if inside else carried[0].protocol


# ---------------------------------------------------------------- who is who

_ROLES = {GNB_TO_AMF: (GNB, AMF), AMF_TO_GNB: (AMF, GNB), SMF_TO_UPF: (SMF, UPF), UPF_TO_SMF: (UPF, SMF)}


def _find_roles(records: Iterable[Record]) -> dict[str, str]:
    """Returns the roles of addresses, as far as what they say tells them."""
    roles: dict[str, str] = {}
    for record in records:
        for address, role in zip(_addresses(record), _roles_in(record) or (), strict=False):
            roles.setdefault(address, role)
    return roles


def _addresses(record: Record) -> tuple[str, str]:
    ends = record.sender, record.receiver
    if record.message.protocol == NGAP:
        return ends
    # A request may come from any port.
    return tuple(end.rpartition(":")[0] or end for end in ends)


def _roles_in(record: Record) -> tuple[str, str] | None:
    """Returns the roles of sender and receiver that a record tells; None if it tells nothing."""
    direction = direction_of(record.message)
    if record.message.protocol == NGAP:
        ports = record.sender.endswith(f":{AMF_PORT}"), record.receiver.endswith(f":{AMF_PORT}")
        if direction is None or ports[0] != ports[1]:
            direction = AMF_TO_GNB if ports[0] and not ports[1] else GNB_TO_AMF
    return None if direction is None else _ROLES[direction]


def _ends(record: Record, roles: dict[str, str]) -> tuple[Actor, Actor]:
    """Returns sender and receiver of a record, the UE left aside."""
    addresses = _addresses(record)
    known = tuple(roles.get(address) for address in addresses)
    if None in known or addresses[0] == addresses[1]:
        # Where nothing tells them apart, who asks is taken for the control plane.
        asks = (SMF, UPF) if record.message.name.endswith("Request") else (UPF, SMF)
        known = _roles_in(record) or asks
    return tuple(Actor(role, address) for role, address in zip(known, addresses, strict=True))
