"""Value types of the elements of 5GSM messages.

Source: TS 24.501 clause 9.11.4, TS 24.008 clause 10.5.6.3.
"""

from __future__ import annotations

from typing import Any

from gentwin.signaling.nas.common import BIT, RATE, U4, U8, U16, choice, half
from gentwin.signaling.values import (
    Address,
    Count,
    Enum,
    Fixed,
    Flags,
    Framed,
    IfMore,
    ListOf,
    Octets,
    Sized,
    Struct,
    Switch,
    Tagged,
    Text,
    UInt,
)

# --- types, modes, capabilities
SESSION_TYPES = {1: "ipv4", 2: "ipv6", 3: "ipv4v6", 4: "unstructured", 5: "ethernet"}
PDU_SESSION_TYPE = choice(3, SESSION_TYPES, 4)
SSC_MODE = Framed(Fixed(1), UInt(3))
ALLOWED_SSC_MODE = half("ssc_1 ssc_2 ssc_3")
ALWAYS_ON_REQUESTED = half("requested")
ALWAYS_ON_INDICATION = half("required")
CONTROL_PLANE_ONLY = half("control_plane_only")
MAXIMUM_RATES = Enum(8, {0: "64 kbps", 1: "null", 255: "full"})
INTEGRITY_PROTECTION_MAXIMUM_DATA_RATE = Struct(("uplink", MAXIMUM_RATES), ("downlink", MAXIMUM_RATES))
MAXIMUM_PACKET_FILTERS = Framed(UInt(11), Fixed(5))
CAPABILITY_5GSM = Struct(
    ("octet_3", Flags("rqos mh6_pdu ept_s1 atsss_st_0 atsss_st_1 atsss_st_2 atsss_st_3 tpmic")),
    ("octet_4", Flags("apmqf - - - - - - -"), IfMore()),
    ("more_octets", Octets(1, 11), IfMore()),
)
NETWORK_FEATURE_SUPPORT_5GSM = Struct(
    ("octet_3", Flags("ept_s1 - - - - - - -")), ("more_octets", Octets(1, 12), IfMore())
)
REATTEMPT_INDICATOR = Framed(Fixed(6), Flags("ratc eplmnc"))
CONGESTION_REATTEMPT_INDICATOR = Framed(Fixed(6), Flags("abo catbo"))
ETHERNET_HEADER_COMPRESSION = Framed(Fixed(6), UInt(2))
DN_REQUEST = Text(1, 253)
SESSION_AMBR = Struct(("downlink", RATE), ("uplink", RATE))


# --- addresses
def _address(number: int, *parts: Any) -> Struct:
    link_local = "smf_ipv6_link_local_address"
    return Struct(Fixed(4), Count(1, link_local), Fixed(3, number), *parts, (link_local, Address(6)))


INTERFACE = ("interface_identifier", Octets(8, 8))
PDU_ADDRESS = Switch(
    "type",
    Enum(3, SESSION_TYPES),
    {
        "ipv4": _address(1, ("ipv4_address", Address(4))),
        "ipv6": _address(2, INTERFACE),
        "ipv4v6": _address(3, INTERFACE, ("ipv4_address", Address(4))),
    },
    at=5,
)

# --- packet filters and rules
PORTS = Struct(("low", U16), ("high", U16))
MAC, MACS = Octets(6, 6), Struct(("low", Octets(6, 6)), ("high", Octets(6, 6)))
IPV4_RANGE = Struct(("address", Address(4)), ("mask", Address(4)))
IPV6_RANGE = Struct(("address", Address(6)), ("prefix_length", U8))
PRIORITY = Framed(Fixed(4), U4)
FILTER_COMPONENTS = Tagged(
    8,
    0,
    {
        0x01: ("match_all", Octets(0, 0)),
        0x10: ("ipv4_remote_address", IPV4_RANGE),
        0x11: ("ipv4_local_address", IPV4_RANGE),
        0x21: ("ipv6_remote_address", IPV6_RANGE),
        0x23: ("ipv6_local_address", IPV6_RANGE),
        0x30: ("protocol", U8),
        0x40: ("local_port", U16),
        0x41: ("local_ports", PORTS),
        0x50: ("remote_port", U16),
        0x51: ("remote_ports", PORTS),
        0x60: ("security_parameter_index", Octets(4, 4)),
        0x70: ("type_of_service", Struct(("value", U8), ("mask", U8))),
        0x80: ("flow_label", Framed(Fixed(4), UInt(20))),
        0x81: ("destination_mac_address", MAC),
        0x82: ("source_mac_address", MAC),
        0x83: ("c_tag_vid", Framed(Fixed(4), UInt(12))),
        0x84: ("s_tag_vid", Framed(Fixed(4), UInt(12))),
        0x85: ("c_tag_pcp_dei", PRIORITY),
        0x86: ("s_tag_pcp_dei", PRIORITY),
        0x87: ("ethertype", U16),
        0x88: ("destination_mac_addresses", MACS),
        0x89: ("source_mac_addresses", MACS),
    },
    1,
    14,
)
PACKET_FILTER = Struct(
    Fixed(2),
    ("direction", Enum(2, {1: "downlink", 2: "uplink", 3: "bidirectional"})),
    ("id", U4),
    ("components", Sized(FILTER_COMPONENTS)),
)
PACKET_FILTER_ID = Framed(Fixed(4), U4)
RULE_OPERATIONS = {
    1: "create",
    2: "delete",
    3: "modify_and_add_filters",
    4: "modify_and_replace_filters",
    5: "modify_and_delete_filters",
    6: "modify_without_filters",
}


def _rule(number: int, *filters: Any) -> Struct:
    """Returns a rule with this number of its operation: its bits, filters, precedence and flow."""
    return Struct(
        Fixed(3, number),
        ("default_qos_rule", BIT),
        *(filters or (Fixed(4),)),
        ("precedence", U8, IfMore()),
        (None, Struct(Fixed(1), ("segregation", BIT), ("qfi", UInt(6))), IfMore()),
    )


def _rules() -> dict[str, Struct]:
    whole = (Count(4, "packet_filters", 0), ("packet_filters", ListOf("packet_filter", PACKET_FILTER, 1, 15)))
    ids = (Count(4, "packet_filter_ids", 0), ("packet_filter_ids", ListOf("id", PACKET_FILTER_ID, 1, 15)))
    filters = {1: whole, 3: whole, 4: whole, 5: ids}
    return {name: _rule(number, *filters.get(number, ())) for number, name in RULE_OPERATIONS.items()}


QOS_RULES = ListOf(
    "rule", Struct(("id", U8), Sized(Switch("operation", Enum(3, RULE_OPERATIONS), _rules(), at=0), 16)), 1, 255
)

# --- flows
OPERATIONS = {1: "create", 2: "delete", 3: "modify"}
FLOW_PARAMETERS = {
    1: ("five_qi", U8),
    2: ("gfbr_uplink", RATE),
    3: ("gfbr_downlink", RATE),
    4: ("mfbr_uplink", RATE),
    5: ("mfbr_downlink", RATE),
    6: ("averaging_window", U16),
    7: ("eps_bearer_identity", Framed(U4, Fixed(4))),
}
QOS_FLOW_DESCRIPTIONS = ListOf(
    "flow",
    Struct(
        Fixed(2),
        ("qfi", UInt(6)),
        ("operation", Enum(3, OPERATIONS)),
        Fixed(6),
        ("e_bit", BIT),
        Count(6, "parameters"),
        ("parameters", Tagged(8, 8, FLOW_PARAMETERS, 1, 63)),
    ),
    1,
    64,
)
BEARER_PARAMETERS = {
    1: ("mapped_eps_qos", Octets(1, 255)),
    2: ("mapped_extended_eps_qos", Octets(1, 255)),
    3: ("traffic_flow_template", Octets(1, 255)),
    4: ("apn_ambr", Octets(1, 255)),
    5: ("extended_apn_ambr", Octets(1, 255)),
}
MAPPED_EPS_BEARER_CONTEXTS = ListOf(
    "context",
    Struct(
        ("eps_bearer_identity", U4),
        Fixed(4),
        Sized(
            Struct(
                ("operation", Enum(2, OPERATIONS)),
                Fixed(1),
                ("e_bit", BIT),
                Count(4, "parameters"),
                ("parameters", Tagged(8, 8, BEARER_PARAMETERS, 1, 15)),
            ),
            16,
        ),
    ),
    1,
    11,
)

# --- extended protocol configuration options; what an option means depends on the direction
EMPTY = Octets(0, 0)
IN_BOTH_DIRECTIONS = {
    0x8021: ("ipcp", Octets(0, 255)),
    0xC021: ("lcp", Octets(0, 255)),
    0xC023: ("pap", Octets(0, 255)),
    0xC223: ("chap", Octets(0, 255)),
    0x0011: ("ms_support_of_local_address_in_tft", EMPTY),
}
FROM_UE = IN_BOTH_DIRECTIONS | {
    0x0001: ("p_cscf_ipv6_address_request", EMPTY),
    0x0002: ("im_cn_subsystem_signaling_flag", EMPTY),
    0x0003: ("dns_server_ipv6_address_request", EMPTY),
    0x0005: ("ms_support_of_network_requested_bearer_control", EMPTY),
    0x000A: ("ip_address_allocation_via_nas", EMPTY),
    0x000B: ("ipv4_address_allocation_via_dhcpv4", EMPTY),
    0x000C: ("p_cscf_ipv4_address_request", EMPTY),
    0x000D: ("dns_server_ipv4_address_request", EMPTY),
    0x000E: ("msisdn_request", EMPTY),
    0x0010: ("ipv4_link_mtu_request", EMPTY),
    0x0012: ("p_cscf_reselection_support", EMPTY),
    0x0015: ("non_ip_link_mtu_request", EMPTY),
    0x001A: ("pdu_session_id", U8),
    0x0023: ("qos_rules_of_two_octets_support", EMPTY),
    0x0024: ("qos_flow_descriptions_of_two_octets_support", EMPTY),
}
TO_UE = IN_BOTH_DIRECTIONS | {
    0x0001: ("p_cscf_ipv6_address", Address(6)),
    0x0002: ("im_cn_subsystem_signaling_flag", EMPTY),
    0x0003: ("dns_server_ipv6_address", Address(6)),
    0x0005: ("selected_bearer_control_mode", U8),
    0x000C: ("p_cscf_ipv4_address", Address(4)),
    0x000D: ("dns_server_ipv4_address", Address(4)),
    0x000E: ("msisdn", Octets(0, 255)),
    0x0010: ("ipv4_link_mtu", U16),
    0x0015: ("non_ip_link_mtu", U16),
    0x001B: ("s_nssai", Octets(1, 255)),
    0x001C: ("qos_rules", QOS_RULES),
    0x001D: ("session_ambr", SESSION_AMBR),
    0x001E: ("pdu_session_address_lifetime", U16),
    0x001F: ("qos_flow_descriptions", QOS_FLOW_DESCRIPTIONS),
    0x0023: ("qos_rules_of_two_octets", QOS_RULES, 16),
    0x0024: ("qos_flow_descriptions_of_two_octets", QOS_FLOW_DESCRIPTIONS, 16),
}


def _options(entries: dict[int, tuple[Any, ...]]) -> Framed:
    return Framed(Fixed(1, 1), Fixed(4), Fixed(3), Tagged(16, 8, entries, 0, 100))


OPTIONS_FROM_UE, OPTIONS_TO_UE = _options(FROM_UE), _options(TO_UE)
SERVING_PLMN_RATE_CONTROL = U16
