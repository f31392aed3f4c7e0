"""Messages of 5GS session management and the elements they consist of.

Source: TS 24.501 release 17, clauses 8.3 and 9.7.
"""

from __future__ import annotations

from gentwin.signaling.nas import session as s
from gentwin.signaling.nas.common import (
    ACCESS_TYPE,
    CAUSE,
    DNN,
    EAP_MESSAGE,
    OPAQUE,
    S_NSSAI,
    SESSION_IDENTITY,
    TIMER,
    TIMER_3,
    U8,
)
from gentwin.signaling.nas.elements import LV, LV_E, SESSION, TLV, TLV_E, TV, Element, MessageType, V
from gentwin.signaling.values import Octets

HEADER = (V("pdu_session_id", SESSION_IDENTITY), V("pti", U8))


def _message(number: int, name: str, *elements: Element) -> MessageType:
    return MessageType(SESSION, number, name, (*HEADER, *elements))


# --- elements that many messages have
CAUSE_5GSM = V("cause_5gsm", CAUSE)
OPTIONAL_CAUSE = TV(0x59, "cause_5gsm", CAUSE)
EAP = TLV_E(0x78, "eap_message", EAP_MESSAGE)
MANDATORY_EAP = LV_E("eap_message", EAP_MESSAGE)
OPTIONS_FROM_UE = TLV_E(0x7B, "extended_protocol_configuration_options", s.OPTIONS_FROM_UE)
OPTIONS_TO_UE = TLV_E(0x7B, "extended_protocol_configuration_options", s.OPTIONS_TO_UE)
SERVICE_LEVEL_AA = TLV_E(0x72, "service_level_aa_container", OPAQUE)
BACK_OFF_TIMER = TLV(0x37, "back_off_timer_value", TIMER_3)
CONGESTION_REATTEMPT = TLV(0x61, "congestion_reattempt_indicator_5gsm", s.CONGESTION_REATTEMPT_INDICATOR)
REATTEMPT = TLV(0x1D, "reattempt_indicator", s.REATTEMPT_INDICATOR)
CAPABILITY_5GSM = TLV(0x28, "capability_5gsm", s.CAPABILITY_5GSM)
MAXIMUM_PACKET_FILTERS = TV(0x55, "maximum_number_of_supported_packet_filters", s.MAXIMUM_PACKET_FILTERS)
ALWAYS_ON_REQUESTED = TV(0xB0, "always_on_pdu_session_requested", s.ALWAYS_ON_REQUESTED)
ALWAYS_ON_INDICATION = TV(0x80, "always_on_pdu_session_indication", s.ALWAYS_ON_INDICATION)
IP_COMPRESSION = TLV(0x66, "ip_header_compression_configuration", Octets(3, 255))
ETHERNET_COMPRESSION = TLV(0x1F, "ethernet_header_compression_configuration", s.ETHERNET_HEADER_COMPRESSION)
PORT_MANAGEMENT = TLV_E(0x74, "port_management_information_container", OPAQUE)
REQUESTED_MBS = TLV_E(0x70, "requested_mbs_container", OPAQUE)
RECEIVED_MBS = TLV_E(0x71, "received_mbs_container", OPAQUE)
RQ_TIMER = TV(0x56, "rq_timer_value", TIMER)
BEARERS = TLV_E(0x75, "mapped_eps_bearer_contexts", s.MAPPED_EPS_BEARER_CONTEXTS)
ATSSS = TLV_E(0x77, "atsss_container", Octets(0))

ESTABLISHMENT = (
    _message(
        0xC1,
        "PDUSessionEstablishmentRequest",
        V("integrity_protection_maximum_data_rate", s.INTEGRITY_PROTECTION_MAXIMUM_DATA_RATE),
        TV(0x90, "pdu_session_type", s.PDU_SESSION_TYPE),
        TV(0xA0, "ssc_mode", s.SSC_MODE),
        CAPABILITY_5GSM,
        MAXIMUM_PACKET_FILTERS,
        ALWAYS_ON_REQUESTED,
        TLV(0x39, "sm_pdu_dn_request_container", s.DN_REQUEST),
        OPTIONS_FROM_UE,
        IP_COMPRESSION,
        TLV(0x6E, "ds_tt_ethernet_port_mac_address", s.MAC),
        TLV(0x6F, "ue_ds_tt_residence_time", Octets(8, 8)),
        PORT_MANAGEMENT,
        ETHERNET_COMPRESSION,
        TLV(0x29, "suggested_interface_identifier", s.PDU_ADDRESS),
        SERVICE_LEVEL_AA,
        REQUESTED_MBS,
        TLV(0x34, "pdu_session_pair_id", U8),
        TLV(0x35, "rsn", U8),
    ),
    _message(
        0xC2,
        "PDUSessionEstablishmentAccept",
        V("selected_pdu_session_type", s.PDU_SESSION_TYPE),
        V("selected_ssc_mode", s.SSC_MODE),
        LV_E("authorized_qos_rules", s.QOS_RULES),
        LV("session_ambr", s.SESSION_AMBR),
        OPTIONAL_CAUSE,
        TLV(0x29, "pdu_address", s.PDU_ADDRESS),
        RQ_TIMER,
        TLV(0x22, "s_nssai", S_NSSAI),
        ALWAYS_ON_INDICATION,
        BEARERS,
        EAP,
        TLV_E(0x79, "authorized_qos_flow_descriptions", s.QOS_FLOW_DESCRIPTIONS),
        OPTIONS_TO_UE,
        TLV(0x25, "dnn", DNN),
        TLV(0x17, "network_feature_support_5gsm", s.NETWORK_FEATURE_SUPPORT_5GSM),
        TLV(0x18, "serving_plmn_rate_control", s.SERVING_PLMN_RATE_CONTROL),
        ATSSS,
        TV(0xC0, "control_plane_only_indication", s.CONTROL_PLANE_ONLY),
        IP_COMPRESSION,
        ETHERNET_COMPRESSION,
        SERVICE_LEVEL_AA,
        RECEIVED_MBS,
    ),
    _message(
        0xC3,
        "PDUSessionEstablishmentReject",
        CAUSE_5GSM,
        BACK_OFF_TIMER,
        TV(0xF0, "allowed_ssc_mode", s.ALLOWED_SSC_MODE),
        EAP,
        CONGESTION_REATTEMPT,
        OPTIONS_TO_UE,
        REATTEMPT,
        SERVICE_LEVEL_AA,
    ),
)

AUTHENTICATION = (
    _message(0xC5, "PDUSessionAuthenticationCommand", MANDATORY_EAP, OPTIONS_TO_UE),
    _message(0xC6, "PDUSessionAuthenticationComplete", MANDATORY_EAP, OPTIONS_FROM_UE),
    _message(0xC7, "PDUSessionAuthenticationResult", EAP, OPTIONS_TO_UE),
)

MODIFICATION = (
    _message(
        0xC9,
        "PDUSessionModificationRequest",
        CAPABILITY_5GSM,
        OPTIONAL_CAUSE,
        MAXIMUM_PACKET_FILTERS,
        ALWAYS_ON_REQUESTED,
        TV(0x13, "integrity_protection_maximum_data_rate", s.INTEGRITY_PROTECTION_MAXIMUM_DATA_RATE),
        TLV_E(0x7A, "requested_qos_rules", s.QOS_RULES),
        TLV_E(0x79, "requested_qos_flow_descriptions", s.QOS_FLOW_DESCRIPTIONS),
        BEARERS,
        OPTIONS_FROM_UE,
        PORT_MANAGEMENT,
        IP_COMPRESSION,
        ETHERNET_COMPRESSION,
        REQUESTED_MBS,
        SERVICE_LEVEL_AA,
    ),
    _message(
        0xCA,
        "PDUSessionModificationReject",
        CAUSE_5GSM,
        BACK_OFF_TIMER,
        CONGESTION_REATTEMPT,
        OPTIONS_TO_UE,
        REATTEMPT,
    ),
    _message(
        0xCB,
        "PDUSessionModificationCommand",
        OPTIONAL_CAUSE,
        TLV(0x2A, "session_ambr", s.SESSION_AMBR),
        RQ_TIMER,
        ALWAYS_ON_INDICATION,
        TLV_E(0x7A, "authorized_qos_rules", s.QOS_RULES),
        BEARERS,
        TLV_E(0x79, "authorized_qos_flow_descriptions", s.QOS_FLOW_DESCRIPTIONS),
        OPTIONS_TO_UE,
        ATSSS,
        IP_COMPRESSION,
        PORT_MANAGEMENT,
        TLV(0x1E, "serving_plmn_rate_control", s.SERVING_PLMN_RATE_CONTROL),
        ETHERNET_COMPRESSION,
        RECEIVED_MBS,
        SERVICE_LEVEL_AA,
    ),
    _message(0xCC, "PDUSessionModificationComplete", OPTIONS_FROM_UE, PORT_MANAGEMENT),
    _message(0xCD, "PDUSessionModificationCommandReject", CAUSE_5GSM, OPTIONS_FROM_UE),
)

RELEASE = (
    _message(0xD1, "PDUSessionReleaseRequest", OPTIONAL_CAUSE, OPTIONS_FROM_UE),
    _message(0xD2, "PDUSessionReleaseReject", CAUSE_5GSM, OPTIONS_TO_UE),
    _message(
        0xD3,
        "PDUSessionReleaseCommand",
        CAUSE_5GSM,
        BACK_OFF_TIMER,
        EAP,
        CONGESTION_REATTEMPT,
        OPTIONS_TO_UE,
        TV(0xD0, "access_type", ACCESS_TYPE),
        SERVICE_LEVEL_AA,
    ),
    _message(0xD4, "PDUSessionReleaseComplete", OPTIONAL_CAUSE, OPTIONS_FROM_UE),
)

OTHERS = (
    _message(0xD6, "5GSMStatus", CAUSE_5GSM),
    _message(0xD8, "ServiceLevelAuthenticationCommand", LV_E("service_level_aa_container", OPAQUE)),
    _message(0xD9, "ServiceLevelAuthenticationComplete", LV_E("service_level_aa_container", OPAQUE)),
    _message(
        0xDA,
        "RemoteUEReport",
        TLV_E(0x76, "remote_ue_context_connected", OPAQUE),
        TLV_E(0x70, "remote_ue_context_disconnected", OPAQUE),
    ),
    _message(0xDB, "RemoteUEReportResponse"),
)

SESSION_MESSAGES = (*ESTABLISHMENT, *AUTHENTICATION, *MODIFICATION, *RELEASE, *OTHERS)
