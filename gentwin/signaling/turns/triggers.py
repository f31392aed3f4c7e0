"""What a core says because of what: a table by procedure, and the timers that make it speak of itself.

Names are those of messages; of a message inside another one, the inner name counts. A session modification of N4 is an
`activation` if packets are to be forwarded from then on, a `deactivation` if they are to wait, and a `limitation` if
rates change; a configuration update that the UE shall acknowledge is an `acknowledged_update`. Where a core may choose
the order, all of the messages that it can have waited for are there.

Source: 3GPP TS 23.502 clauses 4.2 to 4.9, TS 24.501 clauses 5 and 6, TS 38.413 clause 8, TS 29.244 clause 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from gentwin.signaling.dialogue.hints import command, event, timer

REQUEST, RESPONSE, DONE = "Request", "Response", "done:"


def _table(rows: Mapping[str, str]) -> Mapping[str, frozenset[str]]:
    return MappingProxyType({said: frozenset(heard.split()) for names, heard in rows.items() for said in names.split()})


_REGISTERS = "RegistrationRequest IdentityResponse SecurityModeComplete"
_FAILS = "AuthenticationResponse AuthenticationFailure SecurityModeReject"
_LEAVES = "DeregistrationRequestUEOriginating DeregistrationAcceptUETerminated"
_LEFT = "done:DeregistrationRequestUEOriginating done:DeregistrationAcceptUETerminated"

TRIGGERS = _table(
    {
        # Links.
        "NGSetupResponse NGSetupFailure": "NGSetupRequest",
        "NGResetAcknowledge": "NGReset",
        "RANConfigurationUpdateAcknowledge RANConfigurationUpdateFailure": "RANConfigurationUpdate",
        "HeartbeatRequest": "AssociationSetupResponse AssociationSetupRequest",
        # Registration, TS 23.502 clause 4.2.2.
        "IdentityRequest": "RegistrationRequest ServiceRequest",
        "AuthenticationRequest": "RegistrationRequest ServiceRequest IdentityResponse AuthenticationFailure",
        "AuthenticationReject": "AuthenticationResponse AuthenticationFailure",
        "SecurityModeCommand": "AuthenticationResponse RegistrationRequest",
        "RegistrationAccept": _REGISTERS,
        "RegistrationReject": f"{_REGISTERS} {_FAILS}",
        # Service and paging, clauses 4.2.3 and 4.3.3.
        "ServiceAccept ServiceReject": "ServiceRequest",
        "InitialContextSetupRequest": "SecurityModeComplete RegistrationRequest ServiceRequest",
        "Paging": "SessionReportRequest",
        "ConfigurationUpdateCommand": "RegistrationComplete InitialContextSetupResponse",
        # Sessions, clause 4.3.
        "SessionEstablishmentRequest": "PDUSessionEstablishmentRequest",
        "PDUSessionEstablishmentRequest": "PDUSessionEstablishmentRequest",
        "5GMMStatus": "ULNASTransport",
        "PDUSessionEstablishmentAccept": "SessionEstablishmentResponse",
        "PDUSessionEstablishmentReject": "PDUSessionEstablishmentRequest SessionEstablishmentResponse",
        "PDUSessionResourceSetupRequest": "SessionEstablishmentResponse SessionReportRequest ServiceRequest",
        "PDUSessionModificationCommand PDUSessionResourceModifyRequest": "PDUSessionModificationRequest "
        "done:PDUSessionModificationRequest done:<command:modify_session>",
        "PDUSessionModificationReject": "PDUSessionModificationRequest done:PDUSessionModificationRequest",
        "PDUSessionReleaseCommand PDUSessionResourceReleaseCommand": "PDUSessionReleaseRequest "
        "done:PDUSessionReleaseRequest done:<command:release_session>",
        "PDUSessionReleaseReject": "PDUSessionReleaseRequest",
        "activation": "PDUSessionResourceSetupResponse InitialContextSetupResponse PathSwitchRequest HandoverNotify "
        "HandoverRequestAcknowledge HandoverCancel",
        "deactivation": "UEContextReleaseRequest UEContextReleaseComplete HandoverNotify InitialContextSetupFailure",
        "limitation": "PDUSessionModificationRequest",
        "SessionModificationRequest": "PDUSessionModificationRequest PDUSessionResourceModifyResponse "
        "PDUSessionModificationComplete HandoverRequired HandoverRequestAcknowledge",
        "SessionDeletionRequest": "PDUSessionReleaseRequest RegistrationRequest ServiceRequest SecurityModeComplete "
        f"SessionEstablishmentResponse PDUSessionEstablishmentRequest {_FAILS} {_LEAVES}",
        # Handover, clause 4.9.1.
        "PathSwitchRequestAcknowledge PathSwitchRequestFailure": "PathSwitchRequest done:PathSwitchRequest",
        "HandoverRequest": "HandoverRequired done:HandoverRequired",
        "HandoverCommand": "HandoverRequestAcknowledge done:HandoverRequestAcknowledge",
        "HandoverPreparationFailure": "HandoverRequired HandoverFailure",
        "HandoverCancelAcknowledge": "HandoverCancel",
        "DownlinkRANStatusTransfer": "UplinkRANStatusTransfer",
        # Deregistration and release, clauses 4.2.2.3 and 4.2.6.
        "DeregistrationAcceptUEOriginating": f"DeregistrationRequestUEOriginating {_LEFT}",
        "UEContextReleaseCommand": "UEContextReleaseRequest done:UEContextReleaseRequest InitialUEMessage "
        "RegistrationRequest IdentityResponse SecurityModeComplete RegistrationComplete InitialContextSetupFailure "
        "HandoverNotify HandoverCancel HandoverRequestAcknowledge ServiceRequest "
        f"done:<command:deregister> {_FAILS} {_LEAVES} {_LEFT}",
    }
)
"""By name of what the core says, what it may say it because of. Responses to requests of N4 go by their number; a
response of N4 is `done:` and what led to the request."""

IN_TURN = frozenset({"SessionEstablishmentRequest", "Paging"})
"""What answers several requests that wait one after the other; anything else answers the latest."""

ONE_OF = frozenset(
    {
        "SessionEstablishmentRequest",
        "PDUSessionEstablishmentRequest",
        "PDUSessionEstablishmentReject",
        "5GMMStatus",
    }
)
"""Answers of which a request gets one at most."""

OF_ITSELF: Mapping[str, str] = MappingProxyType(
    {
        "AssociationSetupRequest": command("associate"),
        "HeartbeatRequest": timer("heartbeat"),
        "DeregistrationRequestUETerminated": command("deregister"),
        "Paging": command("page"),
        "ConfigurationUpdateCommand": command("update"),
        "PDUSessionResourceReleaseCommand": command("release_session"),
        "PDUSessionReleaseCommand": command("release_session"),
        "UEContextReleaseCommand": command("release"),
        "deactivation": event("link_lost"),
        "SessionModificationRequest": command("modify_session"),
        "SessionDeletionRequest": command("deregister"),
        "OverloadStart": event("overload"),
        "OverloadStop": event("relief"),
    }
)
"""Why the core says something when nothing of the table was heard, and no timer that runs explains it."""
OTHERWISE = command("other")
IMPLICIT, QUIET = timer("implicit_deregistration"), 240.0
"""Why it deletes sessions of a UE that it did not hear of for so many seconds. Source: 3GPP TS 24.501 clause 5.3.7."""

GIVES_UP = frozenset(
    {
        "UEContextReleaseCommand",
        "SessionDeletionRequest",
        "RegistrationReject",
        "PDUSessionEstablishmentReject",
        "HandoverPreparationFailure",
    }
)
"""What it says when a timer ran out so often that it gives up."""


class TimerRule(NamedTuple):
    """When a timer of the core runs.

    Args:
        name: Of the timer.
        started: By names of what the core says.
        stopped: By names of what it hears.
    """

    name: str
    started: frozenset[str]
    stopped: frozenset[str]


def _rule(name: str, started: str, stopped: str) -> TimerRule:
    return TimerRule(name, frozenset(started.split()), frozenset(stopped.split()))


TIMER_RULES = (
    _rule("T3513", "Paging", "ServiceRequest RegistrationRequest"),
    _rule("T3522", "DeregistrationRequestUETerminated", "DeregistrationAcceptUETerminated"),
    _rule("T3550", "RegistrationAccept", "RegistrationComplete"),
    _rule("T3555", "acknowledged_update", "ConfigurationUpdateComplete"),
    _rule("T3560", "AuthenticationRequest", "AuthenticationResponse AuthenticationFailure"),
    _rule("T3560", "SecurityModeCommand", "SecurityModeComplete SecurityModeReject"),
    _rule("T3570", "IdentityRequest", "IdentityResponse"),
    _rule("T3591", "PDUSessionModificationCommand", "PDUSessionModificationComplete"),
    _rule("T3592", "PDUSessionReleaseCommand", "PDUSessionReleaseComplete"),
    _rule("handover", "HandoverRequest", "HandoverNotify HandoverFailure HandoverCancel"),
)
"""Source: 3GPP TS 24.501 table 10.2.2; TS 38.413 clause 8.4.2 for the supervision of a handover."""
