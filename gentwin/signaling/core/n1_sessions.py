"""Messages about PDU sessions between UE and core, plain, in the transport that carries them.

Source: 3GPP TS 24.501 clause 8.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from gentwin.signaling.core.configuration import Slice
from gentwin.signaling.core.n1 import message, s_nssai, timer_3
from gentwin.signaling.fields import Fields, Value
from gentwin.signaling.messages import Message

RATE_STEPS = [
    (4**step * 1000 ** (power + 1), f"{4**step} {prefix}bps")
    for power, prefix in enumerate("kMGT")
    for step in range(5)
]
_CAPABILITY_5GSM = ("capability_5gsm", Fields.of(octet_3=""))
_CONTAINER_TYPE = ("payload_container_type", "n1_sm_information")
_WHOLE_RATE = ("integrity_protection_maximum_data_rate", Fields.of(uplink="full", downlink="full"))
_OPTIONS_REQUEST = (
    "extended_protocol_configuration_options",
    Fields.of(ip_address_allocation_via_nas=b"", dns_server_ipv4_address_request=b""),
)
_MATCH_ALL = Fields.of(packet_filter=Fields.of(direction="bidirectional", id=1, components=Fields.of(match_all=b"")))
_DEFAULT_RULE = (
    "authorized_qos_rules",
    Fields.of(
        rule=Fields.of(
            id=1,
            operation="create",
            default_qos_rule=1,
            packet_filters=_MATCH_ALL,
            precedence=255,
            segregation=0,
            qfi=1,
        )
    ),
)


@lru_cache(1024)
def rate(bits: int) -> Fields:
    """Returns a rate in the smallest unit in which it fits.

    Args:
        bits: Per second, at least 1000.
    """
    unit, name = next((unit, name) for unit, name in RATE_STEPS if bits // unit <= 0xFFFF)
    return Fields.of(unit=name, value=bits // unit)


def uplink_transport(inner: Message, *more: tuple[str, Value]) -> Message:
    """Returns the transport of a session message to the core."""
    identity = inner["pdu_session_id"]
    pairs = (_CONTAINER_TYPE, ("payload_container", inner), ("pdu_session_id", identity))
    return message("ULNASTransport", *pairs, *more)


def downlink_transport(inner: Message, *more: tuple[str, Value]) -> Message:
    """Returns the transport of a session message to a UE."""
    identity = inner["pdu_session_id"]
    pairs = (_CONTAINER_TYPE, ("payload_container", inner), ("pdu_session_id", identity))
    return message("DLNASTransport", *pairs, *more)


def session_message(name: str, psi: int, pti: int, *more: tuple[str, Value]) -> Message:
    """Returns a message about a session.

    Args:
        name: Of the message.
        psi: PDU session identity, 1 to 15.
        pti: Procedure transaction identity, 0 to 254.
        more: Further fields.
    """
    return message(name, ("pdu_session_id", psi), ("pti", pti), *more)


@lru_cache(1024)
def establishment_request(psi: int, pti: int, kind: str, of: Slice, dnn: str) -> Message:
    """Returns the request for a session, in its transport.

    Args:
        psi: PDU session identity.
        pti: Procedure transaction identity.
        kind: Type of session.
        of: Slice.
        dnn: Data network.
    """
    parts = (_WHOLE_RATE, ("pdu_session_type", kind), ("ssc_mode", 1), _CAPABILITY_5GSM, _OPTIONS_REQUEST)
    inner = session_message("PDUSessionEstablishmentRequest", psi, pti, *parts)
    more = (("request_type", "initial_request"), ("s_nssai", s_nssai(of)), ("dnn", dnn))
    return uplink_transport(inner, *more)


@lru_cache(1024)
def session_ambr(uplink: int, downlink: int) -> tuple[str, Fields]:
    """Returns the session AMBR of rates in bit/s."""
    return "session_ambr", Fields.of(downlink=rate(downlink), uplink=rate(uplink))


@lru_cache(256)
def _flow(five_qi: int) -> tuple[str, Fields]:
    flow = Fields.of(qfi=1, operation="create", e_bit=1, parameters=Fields.of(five_qi=five_qi))
    return "authorized_qos_flow_descriptions", Fields.of(flow=flow)


@lru_cache(64)
def _name_servers(addresses: Sequence[str]) -> tuple[str, Fields]:
    return "extended_protocol_configuration_options", Fields(("dns_server_ipv4_address", entry) for entry in addresses)


def establishment_accept(
    transaction: tuple[int, int],
    what: tuple[Slice, str, int],
    address: str,
    rates: tuple[int, int],
    servers: Sequence[str],
    cause: int | None = None,
) -> Message:
    """Returns the acceptance of a session, in its transport.

    Args:
        transaction: PDU session identity and procedure transaction identity.
        what: Slice, data network, and 5QI of the default flow.
        address: IPv4 address of the UE.
        rates: Session AMBR uplink and downlink in bit/s.
        servers: Addresses of name servers.
        cause: 5GSM cause why the session is not of the type that was asked for; None if it is.
    """
    of, dnn, five_qi = what
    inner = session_message(
        "PDUSessionEstablishmentAccept",
        *transaction,
        ("selected_pdu_session_type", "ipv4"),
        ("selected_ssc_mode", 1),
        _DEFAULT_RULE,
        session_ambr(*rates),
        *(() if cause is None else (("cause_5gsm", cause),)),
        ("pdu_address", Fields.of(type="ipv4", ipv4_address=address)),
        ("s_nssai", s_nssai(of)),
        _flow(five_qi),
        _name_servers(tuple(servers)),
        ("dnn", dnn),
    )
    return downlink_transport(inner)


def session_reject(name: str, psi: int, pti: int, cause: int, back_off: float | None = None) -> Message:
    """Returns the rejection of something asked for a session, in its transport.

    Args:
        name: Of the message.
        psi: PDU session identity.
        pti: Procedure transaction identity.
        cause: 5GSM cause.
        back_off: Timer in seconds; None for none.
    """
    timer = () if back_off is None else (("back_off_timer_value", timer_3(back_off)),)
    return downlink_transport(session_message(name, psi, pti, ("cause_5gsm", cause), *timer))
