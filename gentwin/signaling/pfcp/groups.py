"""Which elements the grouped elements of PFCP are made of."""

from __future__ import annotations

from typing import NamedTuple


class Member(NamedTuple):
    """An element that may stand in a message or in a grouped element.

    Args:
        name: Of the element.
        mandatory: Whether it is always there.
        repeatable: Whether it may be there several times.
    """

    name: str
    mandatory: bool
    repeatable: bool


def members(text: str) -> tuple[Member, ...]:
    """Returns what a line of the tables names, in the order of the specification.

    Args:
        text: Names apart by white space; as in a regular expression, `?` after a name says that it may be absent, `*`
            that it may come any number of times, `+` at least once, and nothing exactly once.
    """
    return tuple(
        Member(word.rstrip("?*+"), mandatory=word[-1] not in "?*", repeatable=word[-1] in "*+") for word in text.split()
    )


PDR_SELECTION = "activation_time? deactivation_time?"
THRESHOLDS = """
    measurement_period? volume_threshold? volume_quota? event_threshold? event_quota? time_threshold? time_quota?
    quota_holding_time? dropped_dl_traffic_threshold? quota_validity_time? monitoring_time?
    subsequent_volume_threshold? subsequent_time_threshold? subsequent_volume_quota? subsequent_time_quota?
    subsequent_event_threshold? subsequent_event_quota? inactivity_detection_time? linked_urr_id*
    measurement_information? time_quota_mechanism?
"""
USAGE = """
    urr_id ur_seqn usage_report_trigger start_time? end_time? volume_measurement? duration_measurement?
    time_of_first_packet? time_of_last_packet? usage_information?
"""
ACCESS_ACTION = "far_id weight? priority? urr_id*"
UPDATED_ACCESS_ACTION = "far_id? weight? priority? urr_id*"
BAR = "bar_id downlink_data_notification_delay? suggested_buffering_packets_count? mt_edt_control_information?"
TSC_MANAGEMENT = "port_management_information_container* bridge_management_information_container? nw_tt_port_number?"
MULTICAST = "ip_multicast_address source_ip_address*"
LOCAL_ENDPOINT = "f_teid* ue_ip_address*"

GROUPS = {
    name: members(text)
    for name, text in {
        "create_pdr": f"""
            pdr_id precedence pdi outer_header_removal? far_id? urr_id* qer_id* activate_predefined_rules*
            {PDR_SELECTION} mar_id? packet_replication_and_detection_carry_on_information?
            ip_multicast_addressing_info* ue_ip_address_pool_identity* mptcp_applicable_indication?
            transport_delay_reporting? rat_type?""",
        "pdi": """
            source_interface f_teid? local_ingress_tunnel? network_instance?
            redundant_transmission_detection_parameters? ue_ip_address* traffic_endpoint_id* sdf_filter*
            application_id? ethernet_pdu_session_information? ethernet_packet_filter* qfi* framed_route*
            framed_routing? framed_ipv6_route* 3gpp_interface_type? ip_multicast_addressing_info*
            dns_query_response_filter? mbs_session_identifier? area_session_id?""",
        "create_far": """
            far_id apply_action forwarding_parameters? duplicating_parameters* bar_id?
            redundant_transmission_forwarding_parameters? mbs_multicast_parameters? add_mbs_unicast_parameters*""",
        "forwarding_parameters": """
            destination_interface network_instance? redirect_information? outer_header_creation?
            transport_level_marking? forwarding_policy? header_enrichment* traffic_endpoint_id? proxying?
            3gpp_interface_type? data_network_access_identifier? ip_address_and_port_number_replacement?""",
        "duplicating_parameters": """
            destination_interface outer_header_creation? transport_level_marking? forwarding_policy?""",
        "create_urr": f"""
            urr_id measurement_method reporting_triggers {THRESHOLDS} aggregated_urrs* far_id?
            ethernet_inactivity_timer? additional_monitoring_time* number_of_reports? application_id* sdf_filter*""",
        "create_qer": """
            qer_id qer_correlation_id? gate_status mbr? gbr? packet_rate? packet_rate_status? dl_flow_level_marking?
            qfi? rqi? paging_policy_indicator? averaging_window? qer_control_indications? qer_indications?""",
        "created_pdr": f"pdr_id {LOCAL_ENDPOINT} local_ingress_tunnel?",
        "update_pdr": f"""
            pdr_id outer_header_removal? precedence? pdi? far_id? urr_id* qer_id* activate_predefined_rules*
            deactivate_predefined_rules* {PDR_SELECTION} ip_multicast_addressing_info* transport_delay_reporting?
            rat_type?""",
        "update_far": """
            far_id apply_action? update_forwarding_parameters? update_duplicating_parameters*
            redundant_transmission_forwarding_parameters? bar_id? mbs_multicast_parameters?
            add_mbs_unicast_parameters* remove_mbs_unicast_parameters*""",
        "update_forwarding_parameters": """
            destination_interface? network_instance? redirect_information? outer_header_creation?
            transport_level_marking? forwarding_policy? header_enrichment* pfcpsmreq_flags? traffic_endpoint_id?
            3gpp_interface_type? data_network_access_identifier? ip_address_and_port_number_replacement?""",
        "update_bar_session_report_response": """
            bar_id downlink_data_notification_delay? dl_buffering_duration? dl_buffering_suggested_packet_count?
            suggested_buffering_packets_count?""",
        "update_urr": f"""
            urr_id measurement_method? reporting_triggers? {THRESHOLDS} aggregated_urrs* far_id?
            ethernet_inactivity_timer? additional_monitoring_time* number_of_reports? application_id* sdf_filter*""",
        "update_qer": """
            qer_id qer_correlation_id? gate_status? mbr? gbr? packet_rate? dl_flow_level_marking? qfi? rqi?
            paging_policy_indicator? averaging_window? qer_control_indications? qer_indications?""",
        "remove_pdr": "pdr_id",
        "remove_far": "far_id",
        "remove_urr": "urr_id",
        "remove_qer": "qer_id",
        "load_control_information": "sequence_number metric",
        "overload_control_information": "sequence_number metric timer oci_flags?",
        "application_ids_pfds": "application_id pfd_context*",
        "pfd_context": "pfd_contents+",
        "application_detection_information": """
            application_id application_instance_id? flow_information? pdr_id?""",
        "query_urr": "urr_id",
        "usage_report_session_modification_response": f"{USAGE} query_urr_reference? ethernet_traffic_information?",
        "usage_report_session_deletion_response": f"{USAGE} ethernet_traffic_information?",
        "usage_report_session_report_request": f"""
            {USAGE} application_detection_information? ue_ip_address? network_instance? query_urr_reference?
            event_time_stamp* ethernet_traffic_information? join_ip_multicast_information*
            leave_ip_multicast_information* predefined_rules_name?""",
        "downlink_data_report": """
            pdr_id+ downlink_data_service_information* dl_data_packets_size? data_status?""",
        "create_bar": BAR,
        "update_bar_session_modification_request": BAR,
        "remove_bar": "bar_id",
        "error_indication_report": "f_teid+",
        "user_plane_path_failure_report": "remote_gtp_u_peer+",
        "user_plane_path_recovery_report": "remote_gtp_u_peer+",
        "update_duplicating_parameters": """
            destination_interface? outer_header_creation? transport_level_marking? forwarding_policy?""",
        "aggregated_urrs": "aggregated_urr_id multiplier",
        "create_traffic_endpoint": """
            traffic_endpoint_id f_teid? local_ingress_tunnel? network_instance?
            redundant_transmission_detection_parameters? ue_ip_address* ethernet_pdu_session_information? framed_route*
            framed_routing? framed_ipv6_route* qfi* 3gpp_interface_type? ip_multicast_addressing_info*
            mbs_session_identifier? area_session_id? rat_type?""",
        "created_traffic_endpoint": f"traffic_endpoint_id {LOCAL_ENDPOINT} local_ingress_tunnel?",
        "update_traffic_endpoint": """
            traffic_endpoint_id f_teid? network_instance? redundant_transmission_detection_parameters? ue_ip_address*
            framed_route* framed_routing? framed_ipv6_route* qfi* 3gpp_interface_type? rat_type?""",
        "remove_traffic_endpoint": "traffic_endpoint_id",
        "ethernet_packet_filter": """
            ethernet_filter_id? ethernet_filter_properties? mac_address* ethertype? c_tag? s_tag? sdf_filter*""",
        "ethernet_traffic_information": "mac_addresses_detected* mac_addresses_removed*",
        "additional_monitoring_time": """
            monitoring_time subsequent_volume_threshold? subsequent_time_threshold? subsequent_volume_quota?
            subsequent_time_quota? subsequent_event_threshold? subsequent_event_quota?""",
        "create_mar": """
            mar_id steering_functionality steering_mode 3gpp_access_forwarding_action_information?
            non_3gpp_access_forwarding_action_information? thresholds? steering_mode_indicator?""",
        "3gpp_access_forwarding_action_information": ACCESS_ACTION,
        "non_3gpp_access_forwarding_action_information": ACCESS_ACTION,
        "remove_mar": "mar_id",
        "update_mar": """
            mar_id steering_functionality? steering_mode? update_3gpp_access_forwarding_action_information?
            update_non_3gpp_access_forwarding_action_information? 3gpp_access_forwarding_action_information?
            non_3gpp_access_forwarding_action_information? thresholds? steering_mode_indicator?""",
        "update_3gpp_access_forwarding_action_information": UPDATED_ACCESS_ACTION,
        "update_non_3gpp_access_forwarding_action_information": UPDATED_ACCESS_ACTION,
        "session_retention_information": "cp_pfcp_entity_ip_address*",
        "ip_multicast_addressing_info": MULTICAST,
        "join_ip_multicast_information": MULTICAST,
        "leave_ip_multicast_information": MULTICAST,
        "created_bridge_info_for_tsc": "ds_tt_port_number? tsn_bridge_id?",
        "tsc_management_information_session_modification_request": TSC_MANAGEMENT,
        "tsc_management_information_session_modification_response": TSC_MANAGEMENT,
        "tsc_management_information_session_report_request": TSC_MANAGEMENT,
        "clock_drift_control_information": """
            requested_clock_drift_information tsn_time_domain_number* configured_time_domain? time_offset_threshold?
            cumulative_rate_ratio_threshold?""",
        "clock_drift_report": """
            tsn_time_domain_number time_offset_measurement? cumulative_rate_ratio_measurement? event_time_stamp?
            network_instance* apn_dnn? s_nssai?""",
        "remove_srr": "srr_id",
        "create_srr": """
            srr_id access_availability_control_information? qos_monitoring_per_qos_flow_control_information*
            direct_reporting_information?""",
        "update_srr": """
            srr_id access_availability_control_information? qos_monitoring_per_qos_flow_control_information*
            direct_reporting_information?""",
        "session_report": "srr_id access_availability_report? qos_monitoring_report*",
        "access_availability_control_information": "requested_access_availability_information",
        "access_availability_report": "access_availability_information+",
        "provide_atsss_control_information": """
            mptcp_control_information? atsss_ll_control_information? pmf_control_information?""",
        "atsss_control_parameters": "mptcp_parameters? atsss_ll_parameters? pmf_parameters?",
        "mptcp_parameters": "mptcp_address_information ue_link_specific_ip_address",
        "atsss_ll_parameters": "atsss_ll_information",
        "pmf_parameters": "pmf_address_information",
        "ue_ip_address_pool_information": "ue_ip_address_pool_identity network_instance? s_nssai* ip_version?",
        "gtp_u_path_qos_control_information": """
            remote_gtp_u_peer* gtp_u_path_interface_type? qos_report_trigger transport_level_marking*
            measurement_period? average_packet_delay? minimum_packet_delay? maximum_packet_delay? timer?""",
        "gtp_u_path_qos_report": """
            remote_gtp_u_peer gtp_u_path_interface_type? qos_report_trigger event_time_stamp start_time?
            qos_information+""",
        "qos_information": """
            average_packet_delay minimum_packet_delay? maximum_packet_delay? transport_level_marking?""",
        "qos_monitoring_per_qos_flow_control_information": """
            qfi+ requested_qos_monitoring reporting_frequency packet_delay_thresholds? minimum_wait_time?
            measurement_period?""",
        "qos_monitoring_report": "qfi qos_monitoring_measurement event_time_stamp start_time?",
        "packet_rate_status_report": "qer_id packet_rate_status",
        "ethernet_context_information": "mac_addresses_detected+",
        "redundant_transmission_detection_parameters": "f_teid network_instance?",
        "updated_pdr": f"pdr_id {LOCAL_ENDPOINT}",
        "provide_rds_configuration_information": "rds_configuration_information?",
        "query_packet_rate_status_session_modification_request": "qer_id",
        "packet_rate_status_report_session_modification_response": "qer_id packet_rate_status",
        "ue_ip_address_usage_information": """
            sequence_number metric validity_timer number_of_ue_ip_addresses network_instance
            ue_ip_address_pool_identity? s_nssai?""",
        "redundant_transmission_forwarding_parameters": "outer_header_creation network_instance?",
        "transport_delay_reporting": "remote_gtp_u_peer transport_level_marking?",
        "partial_failure_information_session_establishment_response": """
            failed_rule_id cause offending_ie_information+""",
        "partial_failure_information_session_modification_response": """
            failed_rule_id cause offending_ie_information+""",
        "l2tp_tunnel_information": "lns_address tunnel_password? tunnel_preference?",
        "l2tp_session_information": """
            calling_number? called_number? maximum_receive_unit? l2tp_session_indications?
            l2tp_user_authentication?""",
        "created_l2tp_session": "dns_server_address* nbns_server_address* lns_address?",
        "pfcp_session_change_info": "fq_csid* group_id* cp_ip_address? alternative_smf_ip_address",
        "direct_reporting_information": """
            event_notification_uri notification_correlation_id? reporting_flags?""",
        "mbs_session_n4mb_control_information": """
            mbs_session_identifier area_session_id? mbsn4mbreq_flags? multicast_transport_information?""",
        "mbs_multicast_parameters": """
            destination_interface network_instance? outer_header_creation? transport_level_marking?
            3gpp_interface_type?""",
        "add_mbs_unicast_parameters": """
            mbs_unicast_parameters_id destination_interface network_instance? outer_header_creation?
            transport_level_marking? 3gpp_interface_type?""",
        "mbs_session_n4mb_information": "multicast_transport_information?",
        "remove_mbs_unicast_parameters": "mbs_unicast_parameters_id",
        "mbs_session_n4_control_information": """
            mbs_session_identifier area_session_id? multicast_transport_information?""",
        "mbs_session_n4_information": "mbs_session_identifier area_session_id? f_teid? mbsn4resp_flags?",
        "peer_up_restart_report": "remote_gtp_u_peer+",
        "dscp_to_ppi_control_information": "dscp_to_ppi_mapping_information+ qfi*",
    }.items()
}
"""Members of every grouped element by its name; an element that is not here is not grouped. Source: TS 29.244, tables
of clauses 7.4 and 7.5."""
