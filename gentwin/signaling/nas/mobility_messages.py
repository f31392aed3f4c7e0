"""Messages of 5GS mobility management and the elements they consist of.

Source: TS 24.501 release 17, clauses 8.2 and 9.7.
"""

from __future__ import annotations

from gentwin.signaling.nas import mobility as m
from gentwin.signaling.nas.common import (
    ACCESS_TYPE,
    CAUSE,
    DNN,
    EAP_MESSAGE,
    NAS_MESSAGE,
    OPAQUE,
    PAYLOAD_CONTAINER,
    PAYLOAD_CONTAINER_TYPE,
    PLMN,
    PLMN_LIST,
    S_NSSAI,
    SESSION_IDENTITY,
    SESSIONS,
    TIMER_2,
    TIMER_3,
    U8,
)
from gentwin.signaling.nas.elements import LV, LV_E, MOBILITY, TLV, TLV_E, TV, Element, MessageType, V
from gentwin.signaling.nas.identity import IDENTITY_TYPE, MOBILE_IDENTITY
from gentwin.signaling.values import Enum, ListOf, Octets

SECURITY_HEADER_TYPES = {
    1: "integrity_protected",
    2: "integrity_protected_and_ciphered",
    3: "integrity_protected_with_new_context",
    4: "integrity_protected_and_ciphered_with_new_context",
}
SECURITY_PROTECTED = MessageType(
    MOBILITY,
    None,
    "SecurityProtected",
    (
        V("security_header_type", Enum(4, SECURITY_HEADER_TYPES, closed=True)),
        V("mac", Octets(4, 4)),
        V("sequence_number", U8),
        V("payload", NAS_MESSAGE),
    ),
)


def _message(number: int, name: str, *elements: Element) -> MessageType:
    return MessageType(MOBILITY, number, name, elements)


# --- elements that many messages have
NG_KSI = V("ng_ksi", m.NG_KSI)
CAUSE_5GMM = V("cause_5gmm", CAUSE)
OPTIONAL_CAUSE = TV(0x58, "cause_5gmm", CAUSE)
EAP = TLV_E(0x78, "eap_message", EAP_MESSAGE)
MANDATORY_EAP = LV_E("eap_message", EAP_MESSAGE)
GUTI = TLV_E(0x77, "guti", MOBILE_IDENTITY)
SESSION_STATUS = TLV(0x50, "pdu_session_status", SESSIONS)
UPLINK_DATA_STATUS = TLV(0x40, "uplink_data_status", SESSIONS)
ALLOWED_SESSION_STATUS = TLV(0x25, "allowed_pdu_session_status", SESSIONS)
NAS_MESSAGE_CONTAINER = TLV_E(0x71, "nas_message_container", NAS_MESSAGE)
UE_REQUEST_TYPE = TLV(0x29, "ue_request_type", m.UE_REQUEST_TYPE)
PAGING_RESTRICTION = TLV(0x28, "paging_restriction", m.PAGING_RESTRICTION)
EPS_BEARERS = TLV(0x60, "eps_bearer_context_status", m.EPS_BEARER_CONTEXT_STATUS)
T3346, T3448 = TLV(0x5F, "t3346_value", TIMER_2), TLV(0x6B, "t3448_value", TIMER_2)
T3502, T3324 = TLV(0x16, "t3502_value", TIMER_2), TLV(0x6A, "t3324_value", TIMER_3)
LOWER_BOUND_TIMER = TLV(0x3A, "lower_bound_timer_value", TIMER_3)
EXTENDED_REJECTED_NSSAI = TLV(0x68, "extended_rejected_nssai", m.EXTENDED_REJECTED_NSSAI)
CAG_INFORMATION_LIST = TLV_E(0x75, "cag_information_list", Octets(0))
EXTENDED_CAG_INFORMATION_LIST = TLV_E(0x71, "extended_cag_information_list", Octets(0))
RETURN_WAIT = TLV(0x2C, "disaster_return_wait_range", m.REGISTRATION_WAIT_RANGE)
FORBIDDEN_FOR_ROAMING = TLV(0x1D, "forbidden_tai_list_for_roaming", m.TAI_LIST)
FORBIDDEN_FOR_SERVICE = TLV(0x1E, "forbidden_tai_list_for_regional_provision_of_service", m.TAI_LIST)
RADIO_CAPABILITY = TLV(0x67, "ue_radio_capability_id", OPAQUE)
SESSION_2 = TV(0x12, "pdu_session_id", SESSION_IDENTITY)
ADDITIONAL_INFORMATION = TLV(0x24, "additional_information", OPAQUE)
OPTIONAL_PAYLOAD = (
    TV(0x80, "payload_container_type", PAYLOAD_CONTAINER_TYPE),
    TLV_E(0x7B, "payload_container", PAYLOAD_CONTAINER),
)
TRANSPORT = (V("payload_container_type", PAYLOAD_CONTAINER_TYPE), LV_E("payload_container", PAYLOAD_CONTAINER))
PRTI = V("prose_relay_transaction_identity", U8)

# --- registration and deregistration
REGISTRATION = (
    _message(
        0x41,
        "RegistrationRequest",
        V("registration_type", m.REGISTRATION_TYPE),
        NG_KSI,
        LV_E("mobile_identity", MOBILE_IDENTITY),
        TV(0xC0, "non_current_native_ng_ksi", m.NG_KSI),
        TLV(0x10, "capability_5gmm", m.CAPABILITY_5GMM),
        TLV(0x2E, "ue_security_capability", m.UE_SECURITY_CAPABILITY),
        TLV(0x2F, "requested_nssai", m.NSSAI_8),
        TV(0x52, "last_visited_registered_tai", m.TAI),
        TLV(0x17, "s1_ue_network_capability", m.S1_UE_NETWORK_CAPABILITY),
        UPLINK_DATA_STATUS,
        SESSION_STATUS,
        TV(0xB0, "mico_indication", m.MICO_INDICATION),
        TLV(0x2B, "ue_status", m.UE_STATUS),
        TLV_E(0x77, "additional_guti", MOBILE_IDENTITY),
        ALLOWED_SESSION_STATUS,
        TLV(0x18, "ue_usage_setting", m.UE_USAGE_SETTING),
        TLV(0x51, "requested_drx_parameters", m.DRX_PARAMETERS),
        TLV_E(0x70, "eps_nas_message_container", OPAQUE),
        TLV_E(0x74, "ladn_indication", m.LADN_INDICATION),
        *OPTIONAL_PAYLOAD,
        TV(0x90, "network_slicing_indication", m.NETWORK_SLICING_INDICATION),
        TLV(0x53, "update_type", m.UPDATE_TYPE),
        TLV(0x41, "mobile_station_classmark_2", Octets(3, 3)),
        TLV(0x42, "supported_codecs", m.SUPPORTED_CODECS),
        NAS_MESSAGE_CONTAINER,
        EPS_BEARERS,
        TLV(0x6E, "requested_extended_drx_parameters", m.EXTENDED_DRX_PARAMETERS),
        T3324,
        RADIO_CAPABILITY,
        TLV(0x35, "requested_mapped_nssai", m.MAPPED_NSSAI),
        TLV(0x48, "additional_information_requested", m.ADDITIONAL_INFORMATION_REQUESTED),
        TLV(0x1A, "requested_wus_assistance_information", OPAQUE),
        TV(0xA0, "n5gc_indication", m.N5GC_INDICATION),
        TLV(0x30, "requested_nb_n1_mode_drx_parameters", m.NB_N1_DRX_PARAMETERS),
        UE_REQUEST_TYPE,
        PAGING_RESTRICTION,
        TLV_E(0x72, "service_level_aa_container", OPAQUE),
        TLV(0x32, "nid", m.NID),
        TLV(0x16, "ms_determined_plmn_with_disaster_condition", PLMN),
        TLV(0x2A, "requested_peips_assistance_information", OPAQUE),
        TLV(0x3B, "requested_t3512_value", TIMER_3),
    ),
    _message(
        0x42,
        "RegistrationAccept",
        LV("registration_result", m.REGISTRATION_RESULT),
        GUTI,
        TLV(0x4A, "equivalent_plmns", PLMN_LIST),
        TLV(0x54, "tai_list", m.TAI_LIST),
        TLV(0x15, "allowed_nssai", m.NSSAI_8),
        TLV(0x11, "rejected_nssai", m.REJECTED_NSSAI),
        TLV(0x31, "configured_nssai", m.NSSAI_16),
        TLV(0x21, "network_feature_support", m.NETWORK_FEATURE_SUPPORT),
        SESSION_STATUS,
        TLV(0x26, "pdu_session_reactivation_result", SESSIONS),
        TLV_E(0x72, "pdu_session_reactivation_result_error_cause", m.REACTIVATION_RESULT_ERROR_CAUSE),
        TLV_E(0x79, "ladn_information", m.LADN_INFORMATION),
        TV(0xB0, "mico_indication", m.MICO_INDICATION),
        TV(0x90, "network_slicing_indication", m.NETWORK_SLICING_INDICATION),
        TLV(0x27, "service_area_list", m.SERVICE_AREA_LIST),
        TLV(0x5E, "t3512_value", TIMER_3),
        TLV(0x5D, "non_3gpp_deregistration_timer_value", TIMER_2),
        T3502,
        TLV(0x34, "emergency_number_list", Octets(3, 48)),
        TLV_E(0x7A, "extended_emergency_number_list", Octets(4)),
        TLV_E(0x73, "sor_transparent_container", Octets(17)),
        EAP,
        TV(0xA0, "nssai_inclusion_mode", m.NSSAI_INCLUSION_MODE),
        TLV_E(0x76, "operator_defined_access_category_definitions", m.ACCESS_CATEGORY_DEFINITIONS),
        TLV(0x51, "negotiated_drx_parameters", m.DRX_PARAMETERS),
        TV(0xD0, "non_3gpp_nw_policies", m.NON_3GPP_NW_POLICIES),
        EPS_BEARERS,
        TLV(0x6E, "negotiated_extended_drx_parameters", m.EXTENDED_DRX_PARAMETERS),
        TLV(0x6C, "t3447_value", TIMER_3),
        T3448,
        T3324,
        RADIO_CAPABILITY,
        TV(0xE0, "ue_radio_capability_id_deletion_indication", m.UE_RADIO_CAPABILITY_ID_DELETION),
        TLV(0x39, "pending_nssai", m.NSSAI_16),
        TLV_E(0x74, "ciphering_key_data", Octets(31)),
        CAG_INFORMATION_LIST,
        TLV(0x1B, "truncated_s_tmsi_configuration", m.TRUNCATED_S_TMSI_CONFIGURATION),
        TLV(0x1C, "negotiated_wus_assistance_information", OPAQUE),
        TLV(0x29, "negotiated_nb_n1_mode_drx_parameters", m.NB_N1_DRX_PARAMETERS),
        EXTENDED_REJECTED_NSSAI,
        TLV_E(0x7B, "service_level_aa_container", OPAQUE),
        TLV(0x33, "negotiated_peips_assistance_information", OPAQUE),
        TLV(0x35, "additional_request_result", m.ADDITIONAL_REQUEST_RESULT),
        TLV_E(0x70, "nssrg_information", Octets(4)),
        TLV(0x14, "disaster_roaming_wait_range", m.REGISTRATION_WAIT_RANGE),
        RETURN_WAIT,
        TLV(0x13, "plmns_to_be_used_in_disaster_condition", ListOf("plmn", PLMN, 0, 80)),
        FORBIDDEN_FOR_ROAMING,
        FORBIDDEN_FOR_SERVICE,
        EXTENDED_CAG_INFORMATION_LIST,
        TLV_E(0x7C, "nsag_information", Octets(6)),
    ),
    _message(0x43, "RegistrationComplete", TLV_E(0x73, "sor_transparent_container", Octets(17))),
    _message(
        0x44,
        "RegistrationReject",
        CAUSE_5GMM,
        T3346,
        T3502,
        EAP,
        TLV(0x69, "rejected_nssai", m.REJECTED_NSSAI),
        CAG_INFORMATION_LIST,
        EXTENDED_REJECTED_NSSAI,
        RETURN_WAIT,
        EXTENDED_CAG_INFORMATION_LIST,
        LOWER_BOUND_TIMER,
        FORBIDDEN_FOR_ROAMING,
        FORBIDDEN_FOR_SERVICE,
    ),
    _message(
        0x45,
        "DeregistrationRequestUEOriginating",
        V("deregistration_type", m.DEREGISTRATION_TYPE),
        NG_KSI,
        LV_E("mobile_identity", MOBILE_IDENTITY),
    ),
    _message(0x46, "DeregistrationAcceptUEOriginating"),
    _message(
        0x47,
        "DeregistrationRequestUETerminated",
        V("deregistration_type", m.DEREGISTRATION_TYPE),
        OPTIONAL_CAUSE,
        T3346,
        TLV(0x6D, "rejected_nssai", m.REJECTED_NSSAI),
        CAG_INFORMATION_LIST,
        EXTENDED_REJECTED_NSSAI,
        RETURN_WAIT,
        EXTENDED_CAG_INFORMATION_LIST,
        LOWER_BOUND_TIMER,
        FORBIDDEN_FOR_ROAMING,
        FORBIDDEN_FOR_SERVICE,
    ),
    _message(0x48, "DeregistrationAcceptUETerminated"),
)

# --- service
SERVICE = (
    _message(
        0x4C,
        "ServiceRequest",
        NG_KSI,
        V("service_type", m.SERVICE_TYPE),
        LV_E("mobile_identity", MOBILE_IDENTITY),
        UPLINK_DATA_STATUS,
        SESSION_STATUS,
        ALLOWED_SESSION_STATUS,
        NAS_MESSAGE_CONTAINER,
        UE_REQUEST_TYPE,
        PAGING_RESTRICTION,
    ),
    _message(
        0x4D,
        "ServiceReject",
        CAUSE_5GMM,
        SESSION_STATUS,
        T3346,
        EAP,
        T3448,
        CAG_INFORMATION_LIST,
        RETURN_WAIT,
        EXTENDED_CAG_INFORMATION_LIST,
        LOWER_BOUND_TIMER,
        FORBIDDEN_FOR_ROAMING,
        FORBIDDEN_FOR_SERVICE,
    ),
    _message(
        0x4E,
        "ServiceAccept",
        SESSION_STATUS,
        TLV(0x26, "pdu_session_reactivation_result", SESSIONS),
        TLV_E(0x72, "pdu_session_reactivation_result_error_cause", m.REACTIVATION_RESULT_ERROR_CAUSE),
        EAP,
        T3448,
        TLV(0x34, "additional_request_result", m.ADDITIONAL_REQUEST_RESULT),
        FORBIDDEN_FOR_ROAMING,
        FORBIDDEN_FOR_SERVICE,
    ),
    _message(
        0x4F,
        "ControlPlaneServiceRequest",
        V("control_plane_service_type", m.CONTROL_PLANE_SERVICE_TYPE),
        NG_KSI,
        TLV(0x6F, "ciot_small_data_container", OPAQUE),
        *OPTIONAL_PAYLOAD,
        SESSION_2,
        SESSION_STATUS,
        TV(0xF0, "release_assistance_indication", m.RELEASE_ASSISTANCE_INDICATION),
        UPLINK_DATA_STATUS,
        NAS_MESSAGE_CONTAINER,
        ADDITIONAL_INFORMATION,
        ALLOWED_SESSION_STATUS,
        UE_REQUEST_TYPE,
        PAGING_RESTRICTION,
    ),
)

# --- slice-specific authentication, configuration update
SLICES_AND_CONFIGURATION = (
    _message(0x50, "NetworkSliceSpecificAuthenticationCommand", LV("s_nssai", S_NSSAI), MANDATORY_EAP),
    _message(0x51, "NetworkSliceSpecificAuthenticationComplete", LV("s_nssai", S_NSSAI), MANDATORY_EAP),
    _message(0x52, "NetworkSliceSpecificAuthenticationResult", LV("s_nssai", S_NSSAI), MANDATORY_EAP),
    _message(
        0x54,
        "ConfigurationUpdateCommand",
        TV(0xD0, "configuration_update_indication", m.CONFIGURATION_UPDATE_INDICATION),
        GUTI,
        TLV(0x54, "tai_list", m.TAI_LIST),
        TLV(0x15, "allowed_nssai", m.NSSAI_8),
        TLV(0x27, "service_area_list", m.SERVICE_AREA_LIST),
        TLV(0x43, "full_name_for_network", m.NETWORK_NAME),
        TLV(0x45, "short_name_for_network", m.NETWORK_NAME),
        TV(0x46, "local_time_zone", m.TIME_ZONE),
        TV(0x47, "universal_time_and_local_time_zone", m.UNIVERSAL_TIME),
        TLV(0x49, "network_daylight_saving_time", m.DAYLIGHT_SAVING_TIME),
        TLV_E(0x79, "ladn_information", m.LADN_INFORMATION),
        TV(0xB0, "mico_indication", m.MICO_INDICATION),
        TV(0x90, "network_slicing_indication", m.NETWORK_SLICING_INDICATION),
        TLV(0x31, "configured_nssai", m.NSSAI_16),
        TLV(0x11, "rejected_nssai", m.REJECTED_NSSAI),
        TLV_E(0x76, "operator_defined_access_category_definitions", m.ACCESS_CATEGORY_DEFINITIONS),
        TV(0xF0, "sms_indication", m.SMS_INDICATION),
        TLV(0x6C, "t3447_value", TIMER_3),
        CAG_INFORMATION_LIST,
        RADIO_CAPABILITY,
        TV(0xA0, "ue_radio_capability_id_deletion_indication", m.UE_RADIO_CAPABILITY_ID_DELETION),
        TLV(0x44, "registration_result", m.REGISTRATION_RESULT),
        TLV(0x1B, "truncated_s_tmsi_configuration", m.TRUNCATED_S_TMSI_CONFIGURATION),
        TV(0xC0, "additional_configuration_indication", m.ADDITIONAL_CONFIGURATION_INDICATION),
        EXTENDED_REJECTED_NSSAI,
        TLV_E(0x72, "service_level_aa_container", OPAQUE),
        TLV_E(0x70, "nssrg_information", Octets(4)),
        TLV(0x14, "disaster_roaming_wait_range", m.REGISTRATION_WAIT_RANGE),
        RETURN_WAIT,
        TLV(0x13, "plmns_to_be_used_in_disaster_condition", ListOf("plmn", PLMN, 0, 80)),
        EXTENDED_CAG_INFORMATION_LIST,
        TLV(0x1F, "updated_peips_assistance_information", OPAQUE),
        TLV_E(0x73, "nsag_information", Octets(6)),
        TV(0xE0, "priority_indicator", m.PRIORITY_INDICATOR),
    ),
    _message(0x55, "ConfigurationUpdateComplete"),
)

# --- authentication, identification, security
SECURITY = (
    _message(
        0x56,
        "AuthenticationRequest",
        NG_KSI,
        LV("abba", m.ABBA),
        TV(0x21, "rand", m.RAND),
        TLV(0x20, "autn", m.AUTN),
        EAP,
    ),
    _message(0x57, "AuthenticationResponse", TLV(0x2D, "res_star", m.RES_STAR), EAP),
    _message(0x58, "AuthenticationReject", EAP),
    _message(0x59, "AuthenticationFailure", CAUSE_5GMM, TLV(0x30, "auts", m.AUTS)),
    _message(0x5A, "AuthenticationResult", NG_KSI, MANDATORY_EAP, TLV(0x38, "abba", m.ABBA)),
    _message(0x5B, "IdentityRequest", V("identity_type", IDENTITY_TYPE)),
    _message(0x5C, "IdentityResponse", LV_E("mobile_identity", MOBILE_IDENTITY)),
    _message(
        0x5D,
        "SecurityModeCommand",
        V("selected_nas_security_algorithms", m.SECURITY_ALGORITHMS),
        NG_KSI,
        LV("replayed_ue_security_capabilities", m.UE_SECURITY_CAPABILITY),
        TV(0xE0, "imeisv_request", m.IMEISV_REQUEST),
        TV(0x57, "selected_eps_nas_security_algorithms", m.SECURITY_ALGORITHMS),
        TLV(0x36, "additional_5g_security_information", m.ADDITIONAL_5G_SECURITY_INFORMATION),
        EAP,
        TLV(0x38, "abba", m.ABBA),
        TLV(0x19, "replayed_s1_ue_security_capabilities", m.S1_UE_SECURITY_CAPABILITY),
    ),
    _message(
        0x5E,
        "SecurityModeComplete",
        TLV_E(0x77, "imeisv", MOBILE_IDENTITY),
        NAS_MESSAGE_CONTAINER,
        TLV_E(0x78, "non_imeisv_pei", MOBILE_IDENTITY),
    ),
    _message(0x5F, "SecurityModeReject", CAUSE_5GMM),
)

# --- status, notification, transport, relay
TRANSPORT_AND_OTHERS = (
    _message(0x64, "5GMMStatus", CAUSE_5GMM),
    _message(0x65, "Notification", V("access_type", ACCESS_TYPE)),
    _message(0x66, "NotificationResponse", SESSION_STATUS),
    _message(
        0x67,
        "ULNASTransport",
        *TRANSPORT,
        SESSION_2,
        TV(0x59, "old_pdu_session_id", SESSION_IDENTITY),
        TV(0x80, "request_type", m.REQUEST_TYPE),
        TLV(0x22, "s_nssai", S_NSSAI),
        TLV(0x25, "dnn", DNN),
        ADDITIONAL_INFORMATION,
        TV(0xA0, "ma_pdu_session_information", m.MA_PDU_SESSION_INFORMATION),
        TV(0xF0, "release_assistance_indication", m.RELEASE_ASSISTANCE_INDICATION),
    ),
    _message(
        0x68,
        "DLNASTransport",
        *TRANSPORT,
        SESSION_2,
        ADDITIONAL_INFORMATION,
        OPTIONAL_CAUSE,
        TLV(0x37, "back_off_timer_value", TIMER_3),
        LOWER_BOUND_TIMER,
    ),
    _message(0x69, "RelayKeyRequest", PRTI, LV_E("relay_key_request_parameters", OPAQUE)),
    _message(0x6A, "RelayKeyAccept", PRTI, LV_E("relay_key_response_parameters", OPAQUE), EAP),
    _message(0x6B, "RelayKeyReject", PRTI, EAP),
    _message(0x6C, "RelayAuthenticationRequest", PRTI, MANDATORY_EAP),
    _message(0x6D, "RelayAuthenticationResponse", PRTI, MANDATORY_EAP),
)

MOBILITY_MESSAGES = (*REGISTRATION, *SERVICE, *SLICES_AND_CONFIGURATION, *SECURITY, *TRANSPORT_AND_OTHERS)
