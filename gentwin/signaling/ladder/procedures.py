"""Procedures: what a UE, the core and base stations did together, and how it ended.

What procedures there are, and by which messages they begin and end, is the table `KINDS`. Where a message means
different things by a field of its own, the table has the name with that after a colon: `RegistrationRequest:initial`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from gentwin.signaling.ladder.causes import Cause, causes_of, refuses
from gentwin.signaling.ladder.parts import CIPHERED as CIPHERED_NAS
from gentwin.signaling.ladder.parts import DOWNLINK, parts
from gentwin.signaling.messages import NAS, NGAP, PFCP, Message, Record
from gentwin.signaling.nas import MESSAGES

COMPLETED, REJECTED, CIPHERED, UNANSWERED = "completed", "rejected", "ciphered", "unanswered"
"""How a procedure ended: `ciphered` if what came next could not be read, `unanswered` if nothing came that ends it."""

PATIENCE = 60.0
"""Seconds after which an answer is not to what was asked before, and what is asked again is asked anew."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A procedure of the specifications.

    Args:
        name: Of the procedure.
        source: Where it is specified.
        begins: Names of the messages that begin it.
        completes: Names of those that complete it; one that is in both begins and completes it at once.
        rejects: Names of those that end it without success.
        family: Procedures of a family exclude each other: a new one ends those before it. Its own name if empty.
    """

    name: str
    source: str
    begins: frozenset[str]
    completes: frozenset[str]
    rejects: frozenset[str]
    family: str


def _kind(name: str, source: str, begins: str, completes: str, rejects: str = "", family: str = "") -> Kind:
    return Kind(name, source, *(frozenset(names.split()) for names in (begins, completes, rejects)), family or name)


def _registration(name: str, clause: str, kind: str) -> Kind:
    rejects = "RegistrationReject AuthenticationReject"
    begins = " ".join(f"RegistrationRequest:{entry}" for entry in kind.split())
    return _kind(name, f"TS 23.502 clause {clause}", begins, "RegistrationAccept", rejects, "registration")


def _n4(name: str, message: str, clause: str) -> Kind:
    response = f"{message}Response"
    return _kind(name, f"TS 29.244 clause {clause}", f"{message}Request", response, f"{response}:refused")


_RETURNED = "5GMMStatus:downlink DLNASTransport:returned"
_IDLE_REQUESTS = "ServiceRequest ControlPlaneServiceRequest RegistrationRequest:mobility_updating"

KINDS = (
    _registration("Initial registration", "4.2.2.2.2", "initial disaster_roaming_initial snpn_onboarding"),
    _registration("Mobility registration update", "4.2.2.2.2", "mobility_updating disaster_roaming_mobility_updating"),
    _registration("Periodic registration update", "4.2.2.2.2", "periodic_updating"),
    _registration("Emergency registration", "4.2.2.2.2", "emergency"),
    _kind(
        "Primary authentication",
        "TS 33.501 clause 6.1",
        "AuthenticationRequest",
        # Nothing says that a response was right but what comes next.
        "SecurityModeCommand AuthenticationResult RegistrationAccept ServiceAccept",
        "AuthenticationFailure AuthenticationReject",
    ),
    _kind(
        "NAS security mode control",
        "TS 24.501 clause 5.4.2",
        "SecurityModeCommand",
        "SecurityModeComplete",
        "SecurityModeReject",
    ),
    _kind("Identification", "TS 24.501 clause 5.4.3", "IdentityRequest", "IdentityResponse"),
    _kind(
        "UE configuration update",
        "TS 23.502 clause 4.2.4",
        "ConfigurationUpdateCommand ConfigurationUpdateCommand:acknowledged",
        "ConfigurationUpdateCommand ConfigurationUpdateComplete",
    ),
    _kind(
        "Service request",
        "TS 23.502 clause 4.2.3",
        "ServiceRequest ControlPlaneServiceRequest",
        "ServiceAccept",
        "ServiceReject",
    ),
    _kind("Paging", "TS 23.502 clause 4.2.3.3", "Paging", _IDLE_REQUESTS),
    _kind(
        "PDU session establishment",
        "TS 23.502 clause 4.3.2",
        "PDUSessionEstablishmentRequest",
        "PDUSessionEstablishmentAccept",
        f"PDUSessionEstablishmentReject {_RETURNED}",
    ),
    _kind(
        "PDU session modification",
        "TS 23.502 clause 4.3.3",
        "PDUSessionModificationRequest PDUSessionModificationCommand",
        "PDUSessionModificationComplete",
        f"PDUSessionModificationReject PDUSessionModificationCommandReject {_RETURNED}",
    ),
    _kind(
        "PDU session release",
        "TS 23.502 clause 4.3.4",
        "PDUSessionReleaseRequest PDUSessionReleaseCommand",
        "PDUSessionReleaseComplete",
        f"PDUSessionReleaseReject {_RETURNED}",
    ),
    _kind(
        "UE-initiated deregistration",
        "TS 23.502 clause 4.2.2.3.2",
        "DeregistrationRequestUEOriginating DeregistrationRequestUEOriginating:switch_off",
        "DeregistrationAcceptUEOriginating DeregistrationRequestUEOriginating:switch_off",
    ),
    _kind(
        "Network-initiated deregistration",
        "TS 23.502 clause 4.2.2.3.3",
        "DeregistrationRequestUETerminated",
        "DeregistrationAcceptUETerminated",
    ),
    _kind(
        "AN release",
        "TS 23.502 clause 4.2.6",
        "UEContextReleaseRequest UEContextReleaseCommand",
        "UEContextReleaseComplete",
    ),
    _kind(
        "Xn-based handover",
        "TS 23.502 clause 4.9.1.2",
        "PathSwitchRequest",
        "PathSwitchRequestAcknowledge",
        "PathSwitchRequestFailure",
    ),
    _kind(
        "N2-based handover",
        "TS 23.502 clause 4.9.1.3",
        "HandoverRequired",
        "HandoverNotify",
        "HandoverPreparationFailure HandoverCancel",
    ),
    _kind("NG setup", "TS 38.413 clause 8.7.1", "NGSetupRequest", "NGSetupResponse", "NGSetupFailure"),
    _kind(
        "RAN configuration update",
        "TS 38.413 clause 8.7.2",
        "RANConfigurationUpdate",
        "RANConfigurationUpdateAcknowledge",
        "RANConfigurationUpdateFailure",
    ),
    _kind(
        "AMF configuration update",
        "TS 38.413 clause 8.7.3",
        "AMFConfigurationUpdate",
        "AMFConfigurationUpdateAcknowledge",
        "AMFConfigurationUpdateFailure",
    ),
    _kind("NG reset", "TS 38.413 clause 8.7.4", "NGReset", "NGResetAcknowledge"),
    _n4("N4 session establishment", "SessionEstablishment", "6.3.2"),
    _n4("N4 session modification", "SessionModification", "6.3.3"),
    _n4("N4 session deletion", "SessionDeletion", "6.3.4"),
    _n4("N4 session report", "SessionReport", "6.3.5"),
    _n4("N4 association setup", "AssociationSetup", "6.2.6"),
    _n4("N4 association update", "AssociationUpdate", "6.2.7"),
    _n4("N4 association release", "AssociationRelease", "6.2.8"),
    _n4("N4 node report", "NodeReport", "6.2.9"),
    _n4("N4 heartbeat", "Heartbeat", "6.2.2"),
)
"""Procedures that are recognised, those of a UE first."""

UNSPECIFIC = frozenset(_RETURNED.split())
"""Messages that do not say what they reject; they end only what of their sort began last."""

UPLINK_REQUESTS = frozenset(
    {"PDUSessionEstablishmentRequest", "PDUSessionModificationRequest", "PDUSessionReleaseRequest"}
)
"""Messages of a UE; downlink they are returned to it."""


class Sign(NamedTuple):
    """A message, as far as procedures are concerned.

    Args:
        name: Of the message, for some with a field of it after a colon.
        key: What tells procedures of a kind apart that go on at the same time: PDU session, PFCP request; None if
            there is one at a time.
        cause: That it names; None if it names none.
        first: Whether it begins a connection.
    """

    name: str
    key: object = None
    cause: Cause | None = None
    first: bool = False


@dataclass(slots=True)
class Procedure:
    """A procedure that was seen.

    Args:
        kind: Which one.
        begin: When, in seconds since 1970.
        end: When it ended; None if no end was seen.
        outcome: `completed`, `rejected`, `ciphered` or `unanswered`.
        cause: Why it was rejected, if that was said.
    """

    kind: Kind
    begin: float
    end: float | None = None
    outcome: str = UNANSWERED
    cause: Cause | None = None

    @property
    def duration(self) -> float | None:
        """Seconds from its first to its last message; None if that is one message or its end was not seen."""
        return None if self.end is None or self.end == self.begin else self.end - self.begin


def find_procedures(records: Iterable[Record]) -> list[Procedure]:
    """Returns the procedures of one context, in the order in which they began.

    Args:
        records: Of one UE, or between two nodes, in the order of time; of a
            [`Dialogue`][gentwin.signaling.contexts.Dialogue] for example.
    """
    return follow((record.timestamp, signs(record)) for record in records)


def signs(record: Record) -> tuple[Sign, ...]:
    """Returns what a record means for procedures."""
    message = record.message
    if message.protocol == PFCP:
        request = message.name.endswith("Request")
        key = (record.sender if request else record.receiver, message.get("sequence_number"))
        return (Sign(_pfcp_name(message), key, _first_cause(message)),)
    first = message.name == "InitialUEMessage"
    return tuple(Sign(_name(part, message.name), _session(part), _first_cause(part), first) for part in parts(message))


def _first_cause(message: Message) -> Cause | None:
    return next(iter(causes_of(message)), None)


def _session(part: Message) -> object:
    """Returns the number of the PDU session that a message is about."""
    return part.get("pdu_session_id") if part.protocol == NAS else None


def _pfcp_name(message: Message) -> str:
    return f"{message.name}:refused" if refuses(message) else message.name


def _name(part: Message, carrier: str) -> str:
    name = part.name
    if part.protocol == NGAP:
        return name
    if name == "RegistrationRequest":
        kind = part.get("registration_type.type")
        return f"{name}:{kind if isinstance(kind, str) else 'initial'}"
    if name == "DeregistrationRequestUEOriginating" and part.get("deregistration_type.switch_off"):
        return f"{name}:switch_off"
    if name == "ConfigurationUpdateCommand" and "ack" in str(part.get("configuration_update_indication")).split():
        return f"{name}:acknowledged"
    if carrier in DOWNLINK:
        if name == "5GMMStatus":
            return f"{name}:downlink"
        if name == "DLNASTransport" and refuses(part):
            return f"{name}:returned"
        if name in UPLINK_REQUESTS:
            return f"{name}:back"
    return name


def _tables() -> tuple[dict[str, Kind], dict[str, dict[str, str]]]:
    """Returns the procedure that a name begins, and the outcomes that a name is to families of procedures."""
    begins = {name: kind for kind in KINDS for name in kind.begins}
    ends: dict[str, dict[str, str]] = defaultdict(dict)
    for kind in KINDS:
        for outcome, names in ((COMPLETED, kind.completes), (REJECTED, kind.rejects)):
            for name in names:
                ends[name][kind.family] = outcome
    return begins, dict(ends)


_BEGINS, _ENDS = _tables()
_NAS_FAMILIES = sorted(
    {kind.family for kind in KINDS if all(name.partition(":")[0] in MESSAGES for name in kind.begins | kind.completes)}
)


def follow(steps: Iterable[tuple[float, Iterable[Sign]]]) -> list[Procedure]:
    """Returns the procedures of one context, in the order in which they began.

    Args:
        steps: Time in seconds and signs of its records, in the order of time.
    """
    followed = _Followed()
    for time, signs_of_record in steps:
        for sign in signs_of_record:
            followed.take(time, sign)
    return followed.found


class _Followed:
    """The procedures of a context as they go on.

    Attributes:
        found: Those that began.
    """

    def __init__(self) -> None:
        self.found: list[Procedure] = []
        self._open: dict[str, dict[object, Procedure]] = defaultdict(dict)

    def take(self, time: float, sign: Sign) -> None:
        """Lets procedures begin and end by a sign."""
        kind, outcomes = _BEGINS.get(sign.name), _ENDS.get(sign.name)
        if kind is not None:
            self._begin(time, sign, kind)
        if outcomes is not None:
            self._end(time, sign, outcomes)
        if sign.name == CIPHERED_NAS:
            self._hide(time)

    def _hide(self, time: float) -> None:
        """Notes that what goes on in NAS may just have ended."""
        for family in _NAS_FAMILIES:
            for procedure in self._open[family].values():
                if time - procedure.begin <= PATIENCE:
                    procedure.outcome = CIPHERED

    def _begin(self, time: float, sign: Sign, kind: Kind) -> None:
        known = self._open[kind.family].get(sign.key)
        # What is said again is said for want of an answer, unless it begins a connection, which is a new try, or an
        # answer may have been among what cannot be read.
        is_open = known is not None and known.outcome == UNANSWERED and time - known.begin <= PATIENCE
        if is_open and known.kind is kind and not sign.first:
            return
        self._open[kind.family][sign.key] = procedure = Procedure(kind, time)
        self.found.append(procedure)

    def _end(self, time: float, sign: Sign, outcomes: Mapping[str, str]) -> None:
        ended = []
        for family, outcome in outcomes.items():
            living = self._open[family]
            for key, procedure in list(living.items()):
                if time - procedure.begin > PATIENCE:
                    del living[key]
                elif sign.key is None or key is None or key == sign.key:
                    ended.append((procedure, living, key, outcome))
        if sign.name in UNSPECIFIC:
            ended = sorted(ended, key=lambda entry: entry[0].begin)[-1:]
        for procedure, living, key, outcome in ended:
            del living[key]
            procedure.end, procedure.outcome = time, outcome
            procedure.cause = sign.cause if outcome == REJECTED else None
