"""Value types of the elements of PFCP.

Addresses, numbers and names are leaves of their own. What says only which of them are there is not in the tree. Where
older releases have fewer octets of flags, those are in a field `short`. Times are seconds since 1900 (NTP), rates
kbit/s, volumes octets.

Source: TS 29.244, clause 8.2.
"""

from __future__ import annotations

from gentwin.signaling.pfcp import enumerations as named
from gentwin.signaling.pfcp.kinds import (
    Flagged,
    GrowingFlags,
    Leaving,
    Mac,
    OneOf,
    Presence,
    Signed,
    SomeFlags,
    With,
)
from gentwin.signaling.pfcp.numbers import NAMES
from gentwin.signaling.values import (
    Address,
    Count,
    Digits,
    Enum,
    Fixed,
    Flags,
    Framed,
    IfMore,
    Kind,
    Labels,
    ListOf,
    Octets,
    Plmn,
    Sized,
    Struct,
    Text,
    UInt,
    Unless,
)

U8, U16, U24, U32, U40, U64 = (UInt(bits) for bits in (8, 16, 24, 32, 40, 64))
SIX_BITS = Framed(Fixed(2), UInt(6))
IPV4, IPV6, MAC = Address(4), Address(6), Mac()
TEXT, SHORT_TEXT, SIZED_TEXT = Text(), Sized(Text(), 8), Sized(Text(), 16)
FQDN, NETWORK = Labels(1, 255), Labels(1, 255)
ADDRESSES, IPV6_LOWEST = {"ipv4": IPV4, "ipv6": IPV6}, ("ipv6", "ipv4")


def half(names: dict[int, str]) -> Kind:
    """Returns the type of a value in the lower half of an octet."""
    return Framed(Fixed(4), Enum(4, names))


def padded(names: str) -> str:
    """Returns names of flags with the spare bits up to whole octets."""
    known = names.split()
    return " ".join([*known, *"-" * (-len(known) % 8)])


def flags(names: str) -> Flags:
    """Returns the type of flags in whole octets."""
    return Flags(padded(names))


def grown(names: str, short: int) -> Kind:
    """Returns the type of flags that have only `short` octets in an older release."""
    older = " ".join(names.split()[: 8 * short])
    return OneOf(flags(names), Struct(("short", flags(older))))


def counters(kind: Kind, *names: str) -> Presence:
    """Returns the type of numbers of which each may be there."""
    return Presence(dict.fromkeys(names, kind))


VOLUMES = ("total_volume", "uplink_volume", "downlink_volume")
PACKETS = ("total_packets", "uplink_packets", "downlink_packets")
DELAYS = ("downlink_delay", "uplink_delay", "round_trip_delay")
TIMER = Struct(("unit", Enum(3, named.TIMER_UNITS)), ("value", UInt(5)))
RATES = Struct(("uplink", U40), ("downlink", U40))
PACKET_RATE = Struct(("unit", Framed(Fixed(5), Enum(3, named.RATE_UNITS))), ("packets", U16))
TYPE_OF_ELEMENT = Enum(16, NAMES)

F_TEID = OneOf(
    Presence(ADDRESSES, always={"teid": U32}),
    Struct(Fixed(4), Count(1, "choose_id"), Fixed(1, 1), ("choose", SomeFlags("ipv4 ipv6")), ("choose_id", U8)),
)
_UE_IP_ADDRESSES = (
    Count(1, "ipv6_prefix_delegation_bits"),
    ("match", Enum(1, {0: "source", 1: "destination"})),
    Count(1, "ipv4"),
    Count(1, "ipv6"),
    ("ipv4", IPV4),
    ("ipv6", IPV6),
    ("ipv6_prefix_delegation_bits", U8),
    ("ipv6_prefix_length", U8),
)
_PREFIX = (Fixed(1), Count(1, "ipv6_prefix_length"))
UE_IP_ADDRESS = OneOf(
    Struct(*_PREFIX, Fixed(2), *_UE_IP_ADDRESSES),
    Struct(*_PREFIX, ("choose", SomeFlags("ipv4 ipv6")), *_UE_IP_ADDRESSES),
)
NODE_ID = OneOf(
    Struct(Fixed(8, 0), ("ipv4", IPV4)),
    Struct(Fixed(8, 1), ("ipv6", IPV6)),
    Struct(Fixed(8, 2), ("fqdn", FQDN)),
)
_CSIDS = (Count(4, "csids"),)
FQ_CSID = OneOf(
    Struct(Fixed(4, 0), *_CSIDS, ("ipv4", IPV4), ("csids", ListOf("csid", U16))),
    Struct(Fixed(4, 1), *_CSIDS, ("ipv6", IPV6), ("csids", ListOf("csid", U16))),
    Struct(Fixed(4, 2), *_CSIDS, ("operator_node", U32), ("csids", ListOf("csid", U16))),
)
FAILED_RULE_ID = OneOf(
    *(
        Struct(Fixed(8, number), (name, kind))
        for number, (name, kind) in enumerate(
            {
                "pdr_id": U16,
                "far_id": U32,
                "qer_id": U32,
                "urr_id": U32,
                "bar_id": U8,
                "mar_id": U16,
                "srr_id": U8,
            }.items()
        )
    )
)
SDF_FILTER = Presence(
    {
        "flow_description": SIZED_TEXT,
        "tos_traffic_class": U16,
        "security_parameter_index": U32,
        "flow_label": U24,
        "sdf_filter_id": U32,
    },
    octets=2,
)
PFD_CONTENTS = Presence(
    {
        "flow_description": SIZED_TEXT,
        "url": SIZED_TEXT,
        "domain_name": SIZED_TEXT,
        "custom_pfd_content": Sized(Octets(), 16),
        "domain_name_protocol": SIZED_TEXT,
        "additional_flow_descriptions": Sized(ListOf("flow_description", SIZED_TEXT), 16),
        "additional_urls": Sized(ListOf("url", SIZED_TEXT), 16),
        "additional_domain_names": Sized(
            ListOf("domain", Struct(("name", SIZED_TEXT), ("protocol", SIZED_TEXT))),
            16,
        ),
    },
    octets=2,
)
OUTER_HEADER_CREATION = Struct(
    ("description", flags(named.OUTER_HEADER_CREATIONS)),
    ("teid", U32, Flagged("description", "gtp_u_udp_ipv4", "gtp_u_udp_ipv6")),
    ("ipv4", IPV4, Flagged("description", "gtp_u_udp_ipv4", "udp_ipv4", "ipv4")),
    ("ipv6", IPV6, Flagged("description", "gtp_u_udp_ipv6", "udp_ipv6", "ipv6")),
    ("port", U16, Flagged("description", "udp_ipv4", "udp_ipv6")),
    ("c_tag", Octets(3, 3), Flagged("description", "c_tag")),
    ("s_tag", Octets(3, 3), Flagged("description", "s_tag")),
)
OUTER_HEADER_REMOVAL = Struct(
    ("description", Enum(8, named.OUTER_HEADERS)),
    ("extension_headers", flags("pdu_session_container"), IfMore()),
)
_USER_PLANE = (
    Count(1, "network_instance"),
    ("teid_range_bits", UInt(3)),
    Count(1, "ipv6"),
    Count(1, "ipv4"),
    ("teid_range", U8, Unless("teid_range_bits", 0)),
    ("ipv4", IPV4),
    ("ipv6", IPV6),
)
USER_PLANE_IP_RESOURCE_INFORMATION = OneOf(
    Struct(Fixed(2, 0), *_USER_PLANE, ("network_instance", NETWORK)),
    Struct(
        Fixed(2, 1),
        *_USER_PLANE,
        ("network_instance", Leaving(NETWORK, 1)),
        ("source_interface", half(named.SOURCE_INTERFACES)),
    ),
)
USER_ID = Presence(
    {
        "imsi": Sized(Digits(1, 16)),
        "imei": Sized(Digits(1, 16)),
        "msisdn": Sized(Digits(1, 20)),
        "nai": SHORT_TEXT,
        "supi": SHORT_TEXT,
        "gpsi": SHORT_TEXT,
        "pei": SHORT_TEXT,
    }
)
_RATES = (Count(1, "downlink"), Count(1, "uplink"))
PACKET_RATES = OneOf(
    counters(PACKET_RATE, "uplink", "downlink"),
    Struct(
        Fixed(5),
        Fixed(1, 1),
        *_RATES,
        ("uplink", PACKET_RATE),
        ("downlink", PACKET_RATE),
        ("additional_uplink", PACKET_RATE, With("uplink")),
        ("additional_downlink", PACKET_RATE, With("downlink")),
    ),
)
PACKET_RATE_STATUS = OneOf(
    Struct(Fixed(6), *_RATES, ("uplink", U16), ("downlink", U16), ("valid_until", U64)),
    Struct(
        Fixed(5),
        Fixed(1, 1),
        *_RATES,
        ("uplink", U16),
        ("additional_uplink", U16, With("uplink")),
        ("downlink", U16),
        ("additional_downlink", U16, With("downlink")),
        ("valid_until", U64),
    ),
)
REMOTE_GTP_U_PEER = Presence(
    {
        **ADDRESSES,
        "destination_interface": Sized(half(named.DESTINATION_INTERFACES), 16),
        "network_instance": Sized(NETWORK, 16),
        "recovery_time_stamp": U32,
    },
    (*IPV6_LOWEST, "destination_interface", "network_instance", "recovery_time_stamp"),
)
IP_MULTICAST_ADDRESS = OneOf(
    Presence(ADDRESSES, IPV6_LOWEST),
    Struct(
        Fixed(5),
        Fixed(1, 1),
        Count(1, "first_ipv4"),
        Count(1, "first_ipv6"),
        ("first_ipv4", IPV4),
        ("first_ipv6", IPV6),
        ("last_ipv4", IPV4, With("first_ipv4")),
        ("last_ipv6", IPV6, With("first_ipv6")),
    ),
)
SOURCE_IP_ADDRESS = Presence({**ADDRESSES, "prefix_length": U8}, (*IPV6_LOWEST, "prefix_length"))
MAC_ADDRESSES = Struct(
    Count(8, "addresses"),
    ("addresses", ListOf("mac_address", MAC)),
    ("c_tag", Sized(Octets())),
    ("s_tag", Sized(Octets())),
)
MAC_ADDRESS = Presence(dict.fromkeys(("source", "destination", "upper_source", "upper_destination"), MAC))
TRACE_INFORMATION = Struct(
    ("plmn", Plmn()),
    ("trace_id", U24),
    ("triggering_events", Sized(Octets())),
    ("session_trace_depth", U8),
    ("interfaces", Sized(Octets())),
    ("collection_entity", Sized(Octets())),
)
REDIRECT_INFORMATION = Struct(
    ("address_type", half(named.REDIRECT_ADDRESSES)),
    ("address", SIZED_TEXT),
    ("other_address", SIZED_TEXT, IfMore()),
)
DOWNLINK_DATA_SERVICE_INFORMATION = Presence({"paging_policy_indication": SIX_BITS, "qfi": SIX_BITS})
ACCESS_AVAILABILITY = Struct(
    Fixed(4),
    ("status", Enum(2, {0: "unavailable", 1: "available"})),
    ("access", Enum(2, {0: "3gpp", 1: "non_3gpp"})),
)
QOS_MONITORING_MEASUREMENT = Struct(
    Fixed(4),
    ("measurement_failure", UInt(1)),
    *(Count(1, name) for name in reversed(DELAYS)),
    *((name, U32) for name in DELAYS),
)
LNS_ADDRESS = OneOf(IPV4, IPV6)

KINDS: dict[str, Kind] = {
    "cause": Enum(8, named.CAUSES),
    "source_interface": half(named.SOURCE_INTERFACES),
    "f_teid": F_TEID,
    "network_instance": NETWORK,
    "sdf_filter": SDF_FILTER,
    "application_id": TEXT,
    "gate_status": Struct(Fixed(4), ("uplink", Enum(2, named.GATES)), ("downlink", Enum(2, named.GATES))),
    "mbr": RATES,
    "gbr": RATES,
    "qer_correlation_id": U32,
    "precedence": U32,
    "transport_level_marking": U16,
    "volume_threshold": counters(U64, *VOLUMES),
    "time_threshold": U32,
    "monitoring_time": U32,
    "subsequent_volume_threshold": counters(U64, *VOLUMES),
    "subsequent_time_threshold": U32,
    "inactivity_detection_time": U32,
    "reporting_triggers": grown(named.REPORTING_TRIGGERS, 2),
    "redirect_information": REDIRECT_INFORMATION,
    "report_type": flags("dldr usar erir upir tmir sesr uisr"),
    "offending_ie": TYPE_OF_ELEMENT,
    "forwarding_policy": SHORT_TEXT,
    "destination_interface": half(named.DESTINATION_INTERFACES),
    "up_function_features": GrowingFlags(padded(named.UP_FUNCTION_FEATURES), 2),
    "apply_action": grown(named.APPLY_ACTIONS, 1),
    "downlink_data_service_information": DOWNLINK_DATA_SERVICE_INFORMATION,
    "downlink_data_notification_delay": U8,
    "dl_buffering_duration": TIMER,
    "dl_buffering_suggested_packet_count": OneOf(U8, U16),
    "pfcpsmreq_flags": flags("drobu sndem qaurr sumpc rumuc deteid"),
    "pfcpsrrsp_flags": flags("drobu"),
    "sequence_number": U32,
    "metric": UInt(8, 0, 100),
    "timer": TIMER,
    "pdr_id": U16,
    "f_seid": Presence(ADDRESSES, IPV6_LOWEST, {"seid": U64}),
    "node_id": NODE_ID,
    "pfd_contents": PFD_CONTENTS,
    "measurement_method": flags("durat volum event"),
    "usage_report_trigger": grown(named.USAGE_REPORT_TRIGGERS, 2),
    "measurement_period": U32,
    "fq_csid": FQ_CSID,
    "volume_measurement": counters(U64, *VOLUMES, *PACKETS),
    "duration_measurement": U32,
    "time_of_first_packet": U32,
    "time_of_last_packet": U32,
    "quota_holding_time": U32,
    "dropped_dl_traffic_threshold": counters(U64, "packets", "octets"),
    "volume_quota": counters(U64, *VOLUMES),
    "time_quota": U32,
    "start_time": U32,
    "end_time": U32,
    "urr_id": U32,
    "linked_urr_id": U32,
    "outer_header_creation": OUTER_HEADER_CREATION,
    "bar_id": U8,
    "cp_function_features": GrowingFlags(padded(named.CP_FUNCTION_FEATURES), 1),
    "usage_information": flags("bef aft uae ube"),
    "application_instance_id": TEXT,
    "flow_information": Struct(
        Fixed(5),
        ("direction", Enum(3, named.FLOW_DIRECTIONS)),
        ("flow_description", SIZED_TEXT),
    ),
    "ue_ip_address": UE_IP_ADDRESS,
    "packet_rate": PACKET_RATES,
    "outer_header_removal": OUTER_HEADER_REMOVAL,
    "recovery_time_stamp": U32,
    "dl_flow_level_marking": counters(U16, "tos_traffic_class", "service_class_indicator"),
    "measurement_information": flags("mbqe inam radi istm mnop sspoc aspoc ciam"),
    "node_report_type": flags("upfr uprr ckdr gpqr purr vsr"),
    "remote_gtp_u_peer": REMOTE_GTP_U_PEER,
    "ur_seqn": U32,
    "activate_predefined_rules": TEXT,
    "deactivate_predefined_rules": TEXT,
    "far_id": U32,
    "qer_id": U32,
    "oci_flags": flags("aoci"),
    "association_release_request": flags("sarr urss"),
    "graceful_release_period": TIMER,
    "pdn_type": Framed(Fixed(5), Enum(3, named.PDN_TYPES)),
    "failed_rule_id": FAILED_RULE_ID,
    "time_quota_mechanism": Struct(Fixed(6), ("type", Enum(2, {0: "ctp", 1: "dtp"})), ("base_time_interval", U32)),
    "user_plane_ip_resource_information": USER_PLANE_IP_RESOURCE_INFORMATION,
    "user_plane_inactivity_timer": U32,
    "multiplier": Struct(("value_digits", Signed(64)), ("exponent", Signed(32))),
    "aggregated_urr_id": U32,
    "subsequent_volume_quota": counters(U64, *VOLUMES),
    "subsequent_time_quota": U32,
    "rqi": flags("rqi"),
    "qfi": SIX_BITS,
    "query_urr_reference": U32,
    "additional_usage_reports_information": Struct(("auri", UInt(1)), ("reports", UInt(15))),
    "traffic_endpoint_id": U8,
    "mac_address": MAC_ADDRESS,
    "ethertype": U16,
    "proxying": flags("arp ins"),
    "ethernet_filter_id": U32,
    "ethernet_filter_properties": flags("bide"),
    "suggested_buffering_packets_count": U8,
    "user_id": USER_ID,
    "ethernet_pdu_session_information": flags("ethi"),
    "mac_addresses_detected": MAC_ADDRESSES,
    "mac_addresses_removed": MAC_ADDRESSES,
    "ethernet_inactivity_timer": U32,
    "event_quota": U32,
    "event_threshold": U32,
    "subsequent_event_quota": U32,
    "subsequent_event_threshold": U32,
    "trace_information": TRACE_INFORMATION,
    "framed_route": TEXT,
    "framed_routing": U32,
    "framed_ipv6_route": TEXT,
    "event_time_stamp": U32,
    "averaging_window": U32,
    "paging_policy_indicator": Framed(Fixed(5), UInt(3)),
    "apn_dnn": NETWORK,
    "3gpp_interface_type": Framed(Fixed(2), Enum(6, named.INTERFACES)),
    "pfcpsrreq_flags": flags("psdbu"),
    "pfcpaureq_flags": flags("parps"),
    "activation_time": U32,
    "deactivation_time": U32,
    "mar_id": U16,
    "steering_functionality": half(named.STEERING_FUNCTIONALITIES),
    "steering_mode": half(named.STEERING_MODES),
    "weight": U8,
    "priority": half(named.PRIORITIES),
    "ue_ip_address_pool_identity": SIZED_TEXT,
    "alternative_smf_ip_address": Presence(ADDRESSES, IPV6_LOWEST),
    "packet_replication_and_detection_carry_on_information": flags("priueai prin19i prin6i dcaroni"),
    "smf_set_id": Struct(Fixed(8), ("fqdn", FQDN)),
    "quota_validity_time": U32,
    "number_of_reports": U16,
    "pfcpasrsp_flags": flags("psrei uupsi"),
    "cp_pfcp_entity_ip_address": Presence(ADDRESSES, IPV6_LOWEST),
    "pfcpsereq_flags": flags("resti"),
    "ip_multicast_address": IP_MULTICAST_ADDRESS,
    "source_ip_address": SOURCE_IP_ADDRESS,
    "packet_rate_status": PACKET_RATE_STATUS,
    "create_bridge_info_for_tsc": flags("bii"),
    "ds_tt_port_number": U32,
    "nw_tt_port_number": U32,
    "tsn_bridge_id": counters(U64, "bridge_id"),
    "requested_clock_drift_information": flags("rrto rrcr"),
    "tsn_time_domain_number": U8,
    "time_offset_threshold": Signed(64),
    "cumulative_rate_ratio_threshold": Signed(32),
    "time_offset_measurement": Signed(64),
    "cumulative_rate_ratio_measurement": Signed(32),
    "srr_id": U8,
    "requested_access_availability_information": flags("rrca"),
    "access_availability_information": ACCESS_AVAILABILITY,
    "mptcp_control_information": flags("tci"),
    "atsss_ll_control_information": flags("lli"),
    "pmf_control_information": flags("pmfi drtti"),
    "atsss_ll_information": flags("lli"),
    "data_network_access_identifier": TEXT,
    "average_packet_delay": U32,
    "minimum_packet_delay": U32,
    "maximum_packet_delay": U32,
    "qos_report_trigger": flags("per thr ire"),
    "gtp_u_path_interface_type": flags("n9 n3"),
    "requested_qos_monitoring": flags("dl ul rp gtpupm"),
    "reporting_frequency": flags("evett perio sesrl"),
    "packet_delay_thresholds": counters(U32, *DELAYS),
    "minimum_wait_time": U32,
    "qos_monitoring_measurement": QOS_MONITORING_MEASUREMENT,
    "mt_edt_control_information": flags("rdsi"),
    "dl_data_packets_size": U16,
    "qer_control_indications": flags("rcsr"),
    "nf_instance_id": Octets(16, 16),
    "s_nssai": Struct(("sst", U8), ("sd", Octets(3, 3))),
    "ip_version": flags("v4 v6"),
    "pfcpasreq_flags": flags("uupsi"),
    "data_status": flags("drop buff"),
    "rds_configuration_information": flags("rds"),
    "mptcp_applicable_indication": flags("mai"),
    "number_of_ue_ip_addresses": counters(U32, "ipv4", "ipv6"),
    "validity_timer": U16,
    "offending_ie_information": Struct(("type", TYPE_OF_ELEMENT), ("value", Octets())),
    "rat_type": Enum(8, named.RAT_TYPES),
    "lns_address": LNS_ADDRESS,
    "tunnel_preference": U24,
    "calling_number": TEXT,
    "called_number": TEXT,
    "l2tp_session_indications": flags("reuia redsa rensa"),
    "dns_server_address": IPV4,
    "nbns_server_address": IPV4,
    "maximum_receive_unit": U16,
    "steering_mode_indicator": flags("albi ueai"),
    "event_notification_uri": TEXT,
    "notification_correlation_id": TEXT,
    "reporting_flags": flags("dupl"),
    "predefined_rules_name": TEXT,
    "mbs_unicast_parameters_id": U16,
    "area_session_id": U16,
}
"""Value type of every element by its name; grouped elements, and those left opaque, are not here."""
