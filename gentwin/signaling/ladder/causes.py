"""Causes: why something was refused or released, with the names that the specifications have for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import NAS, NGAP, Message
from gentwin.signaling.pfcp.enumerations import CAUSES

PROTOCOL_ERRORS = {
    95: "Semantically incorrect message",
    96: "Invalid mandatory information",
    97: "Message type non-existent or not implemented",
    98: "Message type not compatible with the protocol state",
    99: "Information element non-existent or not implemented",
    100: "Conditional IE error",
    101: "Message not compatible with the protocol state",
    111: "Protocol error, unspecified",
}
"""What 5GMM and 5GSM have in common. Source: 3GPP TS 24.501, tables 9.11.3.2.1 and 9.11.4.2.1."""

CAUSES_5GMM = {
    3: "Illegal UE",
    5: "PEI not accepted",
    6: "Illegal ME",
    7: "5GS services not allowed",
    9: "UE identity cannot be derived by the network",
    10: "Implicitly de-registered",
    11: "PLMN not allowed",
    12: "Tracking area not allowed",
    13: "Roaming not allowed in this tracking area",
    15: "No suitable cells in tracking area",
    20: "MAC failure",
    21: "Synch failure",
    22: "Congestion",
    23: "UE security capabilities mismatch",
    24: "Security mode rejected, unspecified",
    26: "Non-5G authentication unacceptable",
    27: "N1 mode not allowed",
    28: "Restricted service area",
    31: "Redirection to EPC required",
    36: "IAB-node operation not authorized",
    43: "LADN not available",
    62: "No network slices available",
    65: "Maximum number of PDU sessions reached",
    67: "Insufficient resources for specific slice and DNN",
    69: "Insufficient resources for specific slice",
    71: "ngKSI already in use",
    72: "Non-3GPP access to 5GCN not allowed",
    73: "Serving network not authorized",
    74: "Temporarily not authorized for this SNPN",
    75: "Permanently not authorized for this SNPN",
    76: "Not authorized for this CAG or authorized for CAG cells only",
    77: "Wireline access area not allowed",
    78: "PLMN not allowed to operate at the present UE location",
    79: "UAS services not allowed",
    80: "Disaster roaming for the determined PLMN with disaster condition not allowed",
    90: "Payload was not forwarded",
    91: "DNN not supported or not subscribed in the slice",
    92: "Insufficient user-plane resources for the PDU session",
    **PROTOCOL_ERRORS,
}
"""Source: 3GPP TS 24.501, table 9.11.3.2.1."""

CAUSES_5GSM = {
    8: "Operator determined barring",
    26: "Insufficient resources",
    27: "Missing or unknown DNN",
    28: "Unknown PDU session type",
    29: "User authentication or authorization failed",
    31: "Request rejected, unspecified",
    32: "Service option not supported",
    33: "Requested service option not subscribed",
    35: "PTI already in use",
    36: "Regular deactivation",
    37: "5GS QoS not accepted",
    38: "Network failure",
    39: "Reactivation requested",
    41: "Semantic error in the TFT operation",
    42: "Syntactical error in the TFT operation",
    43: "Invalid PDU session identity",
    44: "Semantic errors in packet filter(s)",
    45: "Syntactical error in packet filter(s)",
    46: "Out of LADN service area",
    47: "PTI mismatch",
    50: "PDU session type IPv4 only allowed",
    51: "PDU session type IPv6 only allowed",
    54: "PDU session does not exist",
    57: "PDU session type IPv4v6 only allowed",
    58: "PDU session type Unstructured only allowed",
    59: "Unsupported 5QI value",
    61: "PDU session type Ethernet only allowed",
    67: "Insufficient resources for specific slice and DNN",
    68: "Not supported SSC mode",
    69: "Insufficient resources for specific slice",
    70: "Missing or unknown DNN in a slice",
    81: "Invalid PTI value",
    82: "Maximum data rate per UE for user-plane integrity protection is too low",
    83: "Semantic error in the QoS operation",
    84: "Syntactical error in the QoS operation",
    85: "Invalid mapped EPS bearer identity",
    86: "UAS services not allowed",
    **PROTOCOL_ERRORS,
}
"""Source: 3GPP TS 24.501, table 9.11.4.2.1."""

GROUPS = {
    "radio_network": "radio network",
    "transport": "transport",
    "nas": "NAS",
    "protocol": "protocol",
    "misc": "miscellaneous",
}
"""Groups of causes of NGAP. Source: 3GPP TS 38.413, clause 9.3.1.2."""

ACCEPTED = frozenset({"request_accepted", "more_usage_report_to_send", "request_partially_accepted"})
"""Causes of PFCP that refuse nothing. Source: 3GPP TS 29.244, table 8.2.1-1."""

REFUSING_NAS = frozenset({"AuthenticationFailure", "5GMMStatus", "5GSMStatus"})
"""Messages of NAS that refuse something, besides those whose name ends with `Reject`."""

_NUMBERS = {name: number for number, name in CAUSES.items()}


class Cause(NamedTuple):
    """Why something was refused or released.

    Args:
        protocol: `5GMM`, `5GSM`, `NGAP` or `PFCP`.
        code: Its number such as `#91`, of NGAP its group such as `radio network`.
        name: As the specification calls it.
    """

    protocol: str
    code: str
    name: str

    def __str__(self) -> str:
        return f"{self.protocol} {self.code} {self.name}" if self.code[:1] == "#" else f"{self.code}: {self.name}"


def causes_of(message: Message) -> tuple[Cause, ...]:
    """Returns the causes that a message names, of those it holds itself, not in a message inside.

    Args:
        message: Of NAS as plain message, of NGAP or of PFCP. Of NGAP, causes why single sessions failed count too.
    """
    if message.protocol == NAS:
        numbers = (("5GMM", CAUSES_5GMM, message.get("cause_5gmm")), ("5GSM", CAUSES_5GSM, message.get("cause_5gsm")))
        return tuple(
            Cause(protocol, f"#{number}", names.get(number, "unknown"))
            for protocol, names, number in numbers
            if isinstance(number, int)
        )
    if message.protocol == NGAP:
        own = (message.get("cause"), *_of_sessions(message.fields))
        return tuple(dict.fromkeys(cause for value in own if (cause := _ngap(value)) is not None))
    value = message.get("cause")
    if value is None:
        return ()
    number = _NUMBERS.get(value, value)
    return (Cause("PFCP", f"#{number}", str(value).replace("_", " ") if value in _NUMBERS else "unknown"),)


def _ngap(value: Any) -> Cause | None:
    if not isinstance(value, Fields) or not value:
        return None
    group, name = value[0]
    return Cause("NGAP", GROUPS.get(group, group), str(name))


def _of_sessions(fields: Fields) -> Iterator[Any]:
    """Yields the causes why sessions in lists of failed ones failed."""
    for name, items in fields:
        if "failed" in name and isinstance(items, Fields):
            for item in items.all("item"):
                transfers = (value for _, value in item if isinstance(value, Fields))
                yield from (transfer.get("cause") for transfer in transfers)


def refuses(message: Message) -> bool:
    """Returns whether a message says that something is refused or has failed.

    Args:
        message: Of NAS as plain message, of NGAP or of PFCP.
    """
    name = message.name
    if message.protocol == NAS:
        returned = name == "DLNASTransport" and message.get("cause_5gmm") is not None
        return returned or name.endswith("Reject") or name in REFUSING_NAS
    if message.protocol == NGAP:
        if name.endswith("Failure") or name == "ErrorIndication":
            return True
        return any("failed" in field and isinstance(items, Fields) for field, items in message.fields)
    return name.endswith("Response") and message.get("cause", "request_accepted") not in ACCEPTED
