"""Who says a message to whom: from its name, from where the AMF listens, and from what was said before."""

from __future__ import annotations

from collections.abc import Iterable

from gentwin.signaling.dialogue.grammar import DIRECTIONS
from gentwin.signaling.messages import NGAP, PFCP, Message, Record

GNB_TO_AMF, AMF_TO_GNB, SMF_TO_UPF, UPF_TO_SMF = DIRECTIONS
AMF_PORT = "38412"


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


FROM_GNB = _names(
    """AMFConfigurationUpdateAcknowledge AMFConfigurationUpdateFailure
    BroadcastSessionModificationFailure BroadcastSessionModificationResponse BroadcastSessionReleaseRequired
    BroadcastSessionReleaseResponse BroadcastSessionSetupFailure BroadcastSessionSetupResponse
    BroadcastSessionTransportRequest CellTrafficTrace DistributionReleaseRequest
    DistributionSetupRequest HandoverCancel HandoverFailure HandoverNotify HandoverRequestAcknowledge HandoverRequired
    InitialContextSetupFailure InitialContextSetupResponse InitialUEMessage LocationReport
    LocationReportingFailureIndication MTCommunicationHandlingRequest MulticastSessionActivationFailure
    MulticastSessionActivationResponse MulticastSessionDeactivationResponse MulticastSessionUpdateFailure
    MulticastSessionUpdateResponse NASNonDeliveryIndication NGSetupRequest PDUSessionResourceModifyIndication
    PDUSessionResourceModifyResponse PDUSessionResourceNotify PDUSessionResourceReleaseResponse
    PDUSessionResourceSetupResponse PWSCancelResponse PWSFailureIndication PWSRestartIndication PathSwitchRequest
    RANCPRelocationIndication RANConfigurationUpdate RRCInactiveTransitionReport RetrieveUEInformation
    SecondaryRATDataUsageReport TimingSynchronisationStatusFailure TimingSynchronisationStatusReport
    TimingSynchronisationStatusResponse TraceFailureIndication UEContextModificationFailure
    UEContextModificationResponse UEContextReleaseComplete UEContextReleaseRequest UEContextResumeRequest
    UEContextSuspendRequest UERadioCapabilityCheckResponse UERadioCapabilityIDMappingRequest
    UERadioCapabilityInfoIndication UplinkNASTransport UplinkNonUEAssociatedNRPPaTransport
    UplinkRANConfigurationTransfer UplinkRANEarlyStatusTransfer UplinkRANStatusTransfer UplinkRIMInformationTransfer
    UplinkUEAssociatedNRPPaTransport WriteReplaceWarningResponse"""
)
"""Messages of NGAP that only a base station sends. Source: 3GPP TS 38.413 clause 9.2."""

FROM_AMF = _names(
    """AMFCPRelocationIndication AMFConfigurationUpdate AMFStatusIndication BroadcastSessionModificationRequest
    BroadcastSessionReleaseRequest BroadcastSessionSetupRequest BroadcastSessionTransportFailure
    BroadcastSessionTransportResponse
    ConnectionEstablishmentIndication DeactivateTrace DistributionReleaseResponse DistributionSetupFailure
    DistributionSetupResponse DownlinkNASTransport DownlinkNonUEAssociatedNRPPaTransport
    DownlinkRANConfigurationTransfer DownlinkRANEarlyStatusTransfer DownlinkRANStatusTransfer
    DownlinkRIMInformationTransfer DownlinkUEAssociatedNRPPaTransport HandoverCancelAcknowledge HandoverCommand
    HandoverPreparationFailure HandoverRequest HandoverSuccess InitialContextSetupRequest LocationReportingControl
    MTCommunicationHandlingFailure MTCommunicationHandlingResponse MulticastGroupPaging
    MulticastSessionActivationRequest MulticastSessionDeactivationRequest MulticastSessionUpdateRequest NGSetupFailure
    NGSetupResponse OverloadStart OverloadStop PDUSessionResourceModifyConfirm PDUSessionResourceModifyRequest
    PDUSessionResourceReleaseCommand PDUSessionResourceSetupRequest PWSCancelRequest Paging
    PathSwitchRequestAcknowledge PathSwitchRequestFailure RANConfigurationUpdateAcknowledge
    RANConfigurationUpdateFailure RANPagingRequest RerouteNASRequest TimingSynchronisationStatusRequest TraceStart
    UEContextModificationRequest UEContextReleaseCommand UEContextResumeFailure UEContextResumeResponse
    UEContextSuspendFailure UEContextSuspendResponse UEInformationTransfer UERadioCapabilityCheckRequest
    UERadioCapabilityIDMappingResponse UETNLABindingReleaseRequest WriteReplaceWarningRequest"""
)
"""Messages of NGAP that only an AMF sends. Source: 3GPP TS 38.413 clause 9.2."""

FROM_SMF = _names(
    """AssociationReleaseRequest NodeReportResponse PFDManagementRequest SessionDeletionRequest
    SessionEstablishmentRequest SessionModificationRequest SessionReportResponse
    SessionSetModificationRequest"""
)
"""Messages of PFCP that only a control plane sends. Source: 3GPP TS 29.244 clauses 7.4 and 7.5."""

FROM_UPF = _names(
    """AssociationReleaseResponse NodeReportRequest PFDManagementResponse SessionDeletionResponse
    SessionEstablishmentResponse SessionModificationResponse SessionReportRequest
    SessionSetModificationResponse"""
)
"""Messages of PFCP that only a user plane sends. Source: 3GPP TS 29.244 clauses 7.4 and 7.5."""

_BY_NAME = {
    **{(NGAP, name): GNB_TO_AMF for name in FROM_GNB},
    **{(NGAP, name): AMF_TO_GNB for name in FROM_AMF},
    **{(PFCP, name): SMF_TO_UPF for name in FROM_SMF},
    **{(PFCP, name): UPF_TO_SMF for name in FROM_UPF},
}
_TO_AND_FRO = {NGAP: (GNB_TO_AMF, AMF_TO_GNB), PFCP: (UPF_TO_SMF, SMF_TO_UPF)}
"""Directions to the control plane and from it."""


def direction_of(message: Message) -> str | None:
    """Returns the direction of a message that only one side sends; None for one that both do, such as a heartbeat.

    Args:
        message: Of NGAP or PFCP.
    """
    found = _BY_NAME.get((message.protocol, message.name))
    if found is None and message.name.startswith("Association"):
        return _by_features(message)
    return found


def _by_features(message: Message) -> str | None:
    """Returns the direction of a message about an association, in which either side says what it can do."""
    control, user = (message.fields.has(f"{plane}_function_features") for plane in ("cp", "up"))
    if control is user:
        return None
    return SMF_TO_UPF if control else UPF_TO_SMF


class Sides:
    """Who is AMF or SMF on each link, from what was said on it.

    Messages that both sides send, such as heartbeats, resets and error indications, say nothing of their direction.
    The link they are on does: by the other messages on it, by the port of the AMF (TS 38.412 clause 7), or else by who
    asks for an association, which is the SMF as a rule. Where nothing at all is known, the one with the higher address
    is taken for the AMF or SMF, so that the directions of a link are different in any case.

    Args:
        records: To learn from.
    """

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._controls: dict[tuple[str, frozenset[str]], str] = {}
        self._guesses: dict[tuple[str, frozenset[str]], str] = {}
        for record in records:
            self.learn(record)

    def learn(self, record: Record) -> None:
        """Takes note of what a record says about its link; of others' protocols, nothing."""
        message = record.message
        if message.protocol not in _TO_AND_FRO:
            return
        direction, (sender, receiver) = direction_of(message), _ends(record)
        link = message.protocol, frozenset((sender, receiver))
        if direction is not None:
            self._controls[link] = sender if direction == _TO_AND_FRO[message.protocol][1] else receiver
        elif message.name == "AssociationSetupRequest":
            self._guesses.setdefault(link, sender)

    def direction_of(self, record: Record) -> str:
        """Returns who says a record to whom, one of `DIRECTIONS`.

        Raises:
            ValueError: If it is neither of NGAP nor of PFCP.
        """
        message = record.message
        if message.protocol not in _TO_AND_FRO:
            raise ValueError(f"`record.message.protocol` must be `{NGAP}` or `{PFCP}`, got {message.protocol!r}")
        known = direction_of(message)
        if known is not None:
            return known
        return _TO_AND_FRO[message.protocol][self._control(record) == _ends(record)[0]]

    def _control(self, record: Record) -> str:
        """Returns the end of a record's link that is AMF or SMF."""
        ends = _ends(record)
        link = record.message.protocol, frozenset(ends)
        if link in self._controls:
            return self._controls[link]
        listening = [address.endswith(f":{AMF_PORT}") for address in (record.sender, record.receiver)]
        if record.message.protocol == NGAP and sum(listening) == 1:
            return ends[listening.index(True)]
        return self._guesses.get(link, max(ends))


def _ends(record: Record) -> tuple[str, str]:
    """Returns sender and receiver of a record: hosts, as ports change, or addresses if they are on one host."""
    hosts = record.sender.rpartition(":")[0], record.receiver.rpartition(":")[0]
    return hosts if hosts[0] != hosts[1] else (record.sender, record.receiver)
