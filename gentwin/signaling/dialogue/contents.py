"""Octets that are well-formed where a codec looks no further, for messages of our own.

A codec gives the content of many elements as octets: what base stations say to each other through the core,
positioning, short messages, lists for emergencies. Whoever receives them takes them apart, so not any octets will do. A
message that is generated has one of these in such a field, where nobody has told what belongs there; a message of
somebody else may have any.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from gentwin.signaling.dialogue.nodes import Examples
from gentwin.signaling.messages import NAS, NGAP, PFCP


def _of(*octets: str) -> Examples:
    return Examples(tuple(map(bytes.fromhex, octets)))


def _by(field: str, cases: Mapping[Any, str], *octets: str) -> Examples:
    by_value = {value: tuple(map(bytes.fromhex, found.split())) for value, found in cases.items()}
    return Examples(tuple(map(bytes.fromhex, octets)), field, by_value)


PLMN = "00f110"
RRC = "80"  # any message of RRC between nodes that has nothing but the mark of a later version
TRACE = f"{PLMN}0000010001"
FIRST_MESSAGE = "000f403900000400550002000100260014137e004171000d01" + (
    "00f110f0ff000000000000100079000f4000f110000000001000f110000001005a400118"
)  # of a UE that registers
CIPHERING = "0001" + 16 * "00" + "0100" + "0100" + "00" + "1210100000" + "003c" + "00"
ACKNOWLEDGED = "01" + 16 * "00"  # by a UE, with a code
INFORMED = "00" + 18 * "00"  # a UE, with a code and a counter
SESSION_STATUS = "2e0100d65f"
PAYLOADS = {
    "n1_sm_information": SESSION_STATUS,
    "sms": "0904 8904",
    "lpp_message": "08",
    "sor_transparent_container": f"{ACKNOWLEDGED} {INFORMED}",
    "ue_policy_container": "0102",
    "ue_parameters_update_transparent_container": ACKNOWLEDGED,
    "service_level_aa_container": "100141",
}
"""Content of a NAS payload by its type. Source: 3GPP TS 24.501 clause 9.11.3.39."""

EXAMPLES: Mapping[str, Mapping[str, Examples]] = MappingProxyType(
    {
        NGAP: {
            "coverage_enhancement_level": _of(RRC),
            "endc_son_configuration_transfer_dl": _of("080000f1100000000400f11000010000f1100000001000f110000100"),
            "endc_son_configuration_transfer_ul": _of("080000f1100000000400f11000010000f1100000001000f110000100"),
            "lte": _of("0000"),
            "mdt_mode": _of("4000"),
            "nas_security_parameters_from_ngran": _of("00", "07"),
            "nasc": _of("0000000022010000"),
            "ngap_message": _of(FIRST_MESSAGE),
            "ngran_trace_id": _of(TRACE),
            "nr": _of("000a01000140100000400000"),
            "nrppa_pdu": _of("0000400001" + "03000000"),
            "qoe_reference": _of(f"{PLMN}000001"),
            "s_based_mdt": _of(TRACE),
            "source_to_target_transparent_container": _by(
                "handover_type",
                {"fivegs-to-eps": "0001800000f110000000100000f11000000010800001", "fivegs-to-utran": "20"},
                "0001800000f1100000000010000000f1100000000010800001",
            ),
            "successful_ho_report_container": _of("00300100800000000800000b0010080000000080000080"),
            "target_to_source_transparent_container": _by("handover_type", {"fivegs-to-utran": "f0"}, "000180"),
            "ue_radio_capability": _of(RRC),
            "ue_radio_capability_eutra_format": _of(RRC),
            "ue_radio_capability_for_paging_of_eutra": _of(RRC),
            "ue_radio_capability_for_paging_of_nb_iot": _of(RRC),
            "ue_radio_capability_for_paging_of_nr": _of(RRC),
            "warning_message_contents": _of("01" + 82 * "00" + "52"),
        },
        NAS: {
            "cag_information_list": _of(f"04{PLMN}00", f"08{PLMN}0100000001"),
            "chap": _of("03000004", "04000004"),
            "ciphering_key_data": _of(CIPHERING),
            "eap_message": _of("03000004", "04000004"),
            "emergency_number_list": _of("030111f2"),
            "extended_cag_information_list": _of(f"0004{PLMN}00"),
            "extended_emergency_number_list": _of("000211f200"),
            "ipcp": _of("01000004", "03000004"),
            "lcp": _of("01000004", "02000004"),
            "msisdn": _of("214365f7"),
            "nsag_information": _of("050102010101"),
            "nssrg_information": _of("03010101"),
            "pap": _of("0200000500", "0300000500"),
            "payload_container": _by("payload_container_type", PAYLOADS),
            "payload_container.content": _by("type", PAYLOADS),
            "s_nssai": _of("01", "01000001"),
            "sor_transparent_container": _of(ACKNOWLEDGED, INFORMED),
            "traffic_flow_template": _of("40"),
        },
        PFCP: {
            "c_tag": _of("070001"),
            "cp_ip_address": _of("027f000004"),
            "dns_query_response_filter": _of("000161"),
            "l2tp_user_authentication": _of("000500"),
            "mbs_session_identifier": _of(f"01000001{PLMN}"),
            "mptcp_address_information": _of("01030050c0000201"),
            "multicast_transport_information": _of("000000000104e000000104c0000201"),
            "pmf_address_information": _of("01c000020110001001"),
            "s_tag": _of("070001"),
            "ue_link_specific_ip_address": _of(f"0fc0000201{16 * '00'}c0000202{16 * '00'}"),
            "vendor_specific_node_report_type": _of("000001"),
        },
    }
)


def examples_of(protocol: str, scope: str, name: str) -> Examples | None:
    """Returns examples of the octets in a field; None if any octets are well-formed.

    Args:
        protocol: `ngap`, `nas` or `pfcp`.
        scope: Name of the element, or message, that the field is in.
        name: Of the field.
    """
    known = EXAMPLES[protocol]
    return known.get(f"{scope}.{name}") or known.get(name)
