"""The messages of PFCP and the elements they are made of.

Source: TS 29.244, tables 7.3-1, 7.4.2.1-1 to 7.4.8.2-1 and 7.5.2.1-1 to 7.5.9.1-1.
"""

from __future__ import annotations

from dataclasses import dataclass

from gentwin.signaling.pfcp.groups import Member, members


@dataclass(frozen=True, slots=True)
class MessageType:
    """One type of message.

    Args:
        number: Its message type.
        name: As in [`Message`][gentwin.signaling.messages.Message].
        of_session: Whether it is about one session, so that its header has the identifier of a session (SEID).
        members: What may stand in it, in the order of the specification.
    """

    number: int
    name: str
    of_session: bool
    members: tuple[Member, ...]


FEATURES = """
    up_function_features? cp_function_features? user_plane_ip_resource_information* alternative_smf_ip_address*
    smf_set_id?
"""
RULES_TO_CREATE = "create_urr* create_qer* create_bar? create_traffic_endpoint*"
OVERLOAD = "load_control_information? overload_control_information?"

_NODE_MESSAGES = {
    1: ("HeartbeatRequest", "recovery_time_stamp source_ip_address?"),
    2: ("HeartbeatResponse", "recovery_time_stamp"),
    3: ("PFDManagementRequest", "application_ids_pfds* node_id?"),
    4: ("PFDManagementResponse", "cause offending_ie? node_id?"),
    5: (
        "AssociationSetupRequest",
        f"""node_id recovery_time_stamp {FEATURES} session_retention_information? ue_ip_address_pool_information*
        gtp_u_path_qos_control_information* clock_drift_control_information* nf_instance_id? pfcpasreq_flags?""",
    ),
    6: (
        "AssociationSetupResponse",
        f"""node_id cause recovery_time_stamp {FEATURES} pfcpasrsp_flags? clock_drift_control_information*
        ue_ip_address_pool_information* gtp_u_path_qos_control_information* nf_instance_id?""",
    ),
    7: (
        "AssociationUpdateRequest",
        f"""node_id {FEATURES} association_release_request? graceful_release_period? pfcpaureq_flags?
        clock_drift_control_information* ue_ip_address_pool_information* gtp_u_path_qos_control_information*
        ue_ip_address_usage_information*""",
    ),
    8: (
        "AssociationUpdateResponse",
        """node_id cause up_function_features? cp_function_features? user_plane_ip_resource_information*
        ue_ip_address_usage_information*""",
    ),
    9: ("AssociationReleaseRequest", "node_id"),
    10: ("AssociationReleaseResponse", "node_id cause"),
    11: ("VersionNotSupportedResponse", ""),
    12: (
        "NodeReportRequest",
        """node_id node_report_type vendor_specific_node_report_type? user_plane_path_failure_report?
        user_plane_path_recovery_report? clock_drift_report* gtp_u_path_qos_report* peer_up_restart_report?""",
    ),
    13: ("NodeReportResponse", "node_id cause offending_ie?"),
    14: ("SessionSetDeletionRequest", "node_id fq_csid*"),
    15: ("SessionSetDeletionResponse", "node_id cause offending_ie?"),
    16: ("SessionSetModificationRequest", "node_id pfcp_session_change_info+"),
    17: ("SessionSetModificationResponse", "node_id cause offending_ie?"),
}

_SESSION_MESSAGES = {
    50: (
        "SessionEstablishmentRequest",
        f"""node_id f_seid create_pdr+ create_far+ {RULES_TO_CREATE} pdn_type? fq_csid* user_plane_inactivity_timer?
        user_id? trace_information? apn_dnn? create_mar* pfcpsereq_flags? create_bridge_info_for_tsc? create_srr*
        provide_atsss_control_information? recovery_time_stamp? s_nssai? provide_rds_configuration_information?
        rat_type? l2tp_tunnel_information* l2tp_session_information? group_id? mbs_session_n4mb_control_information?
        mbs_session_n4_control_information* dscp_to_ppi_control_information*""",
    ),
    51: (
        "SessionEstablishmentResponse",
        f"""node_id cause offending_ie? f_seid? created_pdr* {OVERLOAD} fq_csid* failed_rule_id?
        created_traffic_endpoint* created_bridge_info_for_tsc? atsss_control_parameters? rds_configuration_information?
        partial_failure_information_session_establishment_response* created_l2tp_session?
        mbs_session_n4mb_information? mbs_session_n4_information*""",
    ),
    52: (
        "SessionModificationRequest",
        f"""f_seid? remove_pdr* remove_far* remove_urr* remove_qer* remove_bar? remove_traffic_endpoint* create_pdr*
        create_far* {RULES_TO_CREATE} update_pdr* update_far* update_urr* update_qer*
        update_bar_session_modification_request? update_traffic_endpoint* pfcpsmreq_flags? query_urr* fq_csid*
        user_plane_inactivity_timer? query_urr_reference? trace_information? remove_mar* update_mar* create_mar*
        node_id? tsc_management_information_session_modification_request* remove_srr* create_srr* update_srr*
        provide_atsss_control_information? ethernet_context_information? access_availability_information*
        query_packet_rate_status_session_modification_request* s_nssai? rat_type? group_id?
        mbs_session_n4_control_information* dscp_to_ppi_control_information*""",
    ),
    53: (
        "SessionModificationResponse",
        f"""cause offending_ie? created_pdr* {OVERLOAD} usage_report_session_modification_response* failed_rule_id?
        additional_usage_reports_information? created_traffic_endpoint*
        tsc_management_information_session_modification_response* atsss_control_parameters? updated_pdr*
        packet_rate_status_report_session_modification_response*
        partial_failure_information_session_modification_response* mbs_session_n4_information*""",
    ),
    54: ("SessionDeletionRequest", ""),
    55: (
        "SessionDeletionResponse",
        f"""cause offending_ie? {OVERLOAD} usage_report_session_deletion_response*
        additional_usage_reports_information? packet_rate_status_report* session_report* mbs_session_n4_information*
        pfcpsdrsp_flags?""",
    ),
    56: (
        "SessionReportRequest",
        f"""report_type downlink_data_report? usage_report_session_report_request* error_indication_report? {OVERLOAD}
        additional_usage_reports_information? pfcpsrreq_flags? f_seid? packet_rate_status_report*
        tsc_management_information_session_report_request* session_report* cause?""",
    ),
    57: (
        "SessionReportResponse",
        """cause offending_ie? update_bar_session_report_response? pfcpsrrsp_flags? f_seid? f_teid?
        alternative_smf_ip_address? fq_csid? group_id? node_id?""",
    ),
}

MESSAGES = {
    name: MessageType(number, name, number >= 50, members(text))
    for number, (name, text) in (_NODE_MESSAGES | _SESSION_MESSAGES).items()
}
"""Every type of message by its name."""

BY_NUMBER = {message.number: message for message in MESSAGES.values()}
"""Every type of message by its number."""
