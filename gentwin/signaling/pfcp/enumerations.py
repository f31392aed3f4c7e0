"""Values of the elements of PFCP that have names."""

from __future__ import annotations

CAUSES = {
    1: "request_accepted",
    2: "more_usage_report_to_send",
    3: "request_partially_accepted",
    64: "request_rejected",
    65: "session_context_not_found",
    66: "mandatory_ie_missing",
    67: "conditional_ie_missing",
    68: "invalid_length",
    69: "mandatory_ie_incorrect",
    70: "invalid_forwarding_policy",
    71: "invalid_f_teid_allocation_option",
    72: "no_established_pfcp_association",
    73: "rule_creation_modification_failure",
    74: "pfcp_entity_in_congestion",
    75: "no_resources_available",
    76: "service_not_supported",
    77: "system_failure",
    78: "redirection_requested",
    79: "all_dynamic_addresses_are_occupied",
    80: "unknown_predefined_rule",
    81: "unknown_application_id",
    82: "l2tp_tunnel_establishment_failure",
    83: "l2tp_session_establishment_failure",
    84: "l2tp_tunnel_release",
    85: "l2tp_session_release",
    86: "pfcp_session_restoration_failure",
    87: "l2tp_tunnel_authentication_failure",
    88: "l2tp_session_authentication_failure",
    89: "l2tp_lns_not_reachable",
}
"""Source: TS 29.244, table 8.2.1-1."""

SOURCE_INTERFACES = {0: "access", 1: "core", 2: "sgi_lan_n6_lan", 3: "cp_function", 4: "5g_vn_internal"}
"""Source: TS 29.244, table 8.2.2-1."""

DESTINATION_INTERFACES = {
    0: "access",
    1: "core",
    2: "sgi_lan_n6_lan",
    3: "cp_function",
    4: "li_function",
    5: "5g_vn_internal",
}
"""Source: TS 29.244, table 8.2.24-1."""

INTERFACES = {
    0: "s1_u",
    1: "s5_s8_u",
    2: "s4_u",
    3: "s11_u",
    4: "s12_u",
    5: "gn_gp_u",
    6: "s2a_u",
    7: "s2b_u",
    8: "enodeb_dl_data_forwarding",
    9: "enodeb_ul_data_forwarding",
    10: "sgw_upf_dl_data_forwarding",
    11: "n3_3gpp_access",
    12: "n3_trusted_non_3gpp_access",
    13: "n3_untrusted_non_3gpp_access",
    14: "n3_data_forwarding",
    15: "n9",
    16: "sgi",
    17: "n6",
    18: "n19",
    19: "s8_u",
    20: "gp_u",
    21: "n9_roaming",
    22: "iu_u",
    23: "n9_data_forwarding",
    24: "sxa_u",
    25: "sxb_u",
    26: "sxc_u",
    27: "n4_u",
    28: "sgw_upf_ul_data_forwarding",
}
"""Source: TS 29.244, table 8.2.118-1."""

PDN_TYPES = {1: "ipv4", 2: "ipv6", 3: "ipv4v6", 4: "non_ip", 5: "ethernet"}
"""Source: TS 29.244, table 8.2.79-1."""

OUTER_HEADERS = {
    0: "gtp_u_udp_ipv4",
    1: "gtp_u_udp_ipv6",
    2: "udp_ipv4",
    3: "udp_ipv6",
    4: "ipv4",
    5: "ipv6",
    6: "gtp_u_udp_ip",
    7: "vlan_s_tag",
    8: "s_tag_and_c_tag",
}
"""Source: TS 29.244, table 8.2.64-1."""

GATES = {0: "open", 1: "closed"}
"""Source: TS 29.244, tables 8.2.7-1 and 8.2.7-2."""

TIMER_UNITS = {0: "2 s", 1: "1 min", 2: "10 min", 3: "1 h", 4: "10 h", 7: "infinite"}
"""Source: TS 29.244, table 8.2.28-1."""

RATE_UNITS = {0: "min", 1: "6 min", 2: "h", 3: "day", 4: "week"}
"""Source: TS 29.244, table 8.2.63-1."""

REDIRECT_ADDRESSES = {0: "ipv4", 1: "ipv6", 2: "url", 3: "sip_uri", 4: "ipv4_and_ipv6"}
"""Source: TS 29.244, table 8.2.20-1."""

FLOW_DIRECTIONS = {0: "unspecified", 1: "downlink", 2: "uplink", 3: "bidirectional"}
"""Source: TS 29.244, table 8.2.61-1."""

STEERING_FUNCTIONALITIES = {0: "atsss_ll", 1: "mptcp", 2: "mpquic"}
"""Source: TS 29.244, table 8.2.124-1."""

STEERING_MODES = {0: "active_standby", 1: "smallest_delay", 2: "load_balancing", 3: "priority_based"}
"""Source: TS 29.244, table 8.2.125-1."""

PRIORITIES = {0: "active", 1: "standby", 2: "no_standby", 3: "high", 4: "low"}
"""Source: TS 29.244, table 8.2.127-1."""

RAT_TYPES = {
    1: "utran",
    2: "geran",
    3: "wlan",
    4: "gan",
    5: "hspa_evolution",
    6: "eutran",
    7: "virtual",
    8: "eutran_nb_iot",
    9: "lte_m",
    10: "nr",
}
"""Source: TS 29.244, clause 8.2.186."""

UP_FUNCTION_FEATURES = """
    bucp ddnd dlbd trst ftup pfdm heeu treu
    empu pdiu udbc quoac trace frrt pfde epfar
    dpdra adpdp ueip sset mnop mte bundl gcom
    mpas rttl vtime norp iptv ip6pl tscu mptcp
    atsss_ll qfqm gpqm mt_edt ciot ethar ddds rds
    rttwp quasf nspoc l2tp upber resps iprep dnsts
    drqos mbsn4 psuprm epppi ratp upidp
"""
"""Source: TS 29.244, table 8.2.25-1."""

CP_FUNCTION_FEATURES = "load ovrl epfar sset bundl mpas ardr uiaur psucc rpgur"
"""Source: TS 29.244, table 8.2.58-1."""

APPLY_ACTIONS = "drop forw buff nocp dupl ipma ipmd dfrt edrt bdpn ddpn fssm mbsu"
"""Source: TS 29.244, clause 8.2.26."""

REPORTING_TRIGGERS = """
    perio volth timth quhti start stopt droth liusa
    volqu timqu envcl macar eveth evequ ipmjl quvti
    reemr upint
"""
"""Source: TS 29.244, clause 8.2.19."""

USAGE_REPORT_TRIGGERS = """
    perio volth timth quhti start stopt droth immer
    volqu timqu liusa termr monit envcl macar eveth
    evequ tebur ipmjl quvti emrre upint
"""
"""Source: TS 29.244, clause 8.2.41."""

OUTER_HEADER_CREATIONS = """
    gtp_u_udp_ipv4 gtp_u_udp_ipv6 udp_ipv4 udp_ipv6 ipv4 ipv6 c_tag s_tag
    n19 n6 ssm_and_c_teid
"""
"""Source: TS 29.244, table 8.2.56-1."""
