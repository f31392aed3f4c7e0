"""Which fields hold identifiers, computed values and values of a subscription, which no token ever spells.

| token | value |
|---|---|
| `<new:T>` | of a type that the context has not had: an allocator gives one |
| `<ref:T#i>` | that was used before, counted from the most recent one, `#1` |
| `<calc:name>` | that an algorithm, a clock or a policy gives, or that is passed on |
| `<db:name>` | that is in the database of subscribers |
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from gentwin.signaling.messages import NAS, NGAP, PFCP

NEW, REF, CALC, DB = "new", "ref", "calc", "db"
FARTHEST = 8  # most recent values of a type that can be referred to


class Slot(NamedTuple):
    """What stands in a message in place of a value.

    Args:
        kind: `new`, `ref`, `calc` or `db`.
        name: Type of the identifier, or name of what is computed or looked up.
        number: Of a reference, from 1, the most recent one; 0 for others.
    """

    kind: str
    name: str
    number: int = 0

    def __str__(self) -> str:
        return f"<{self.kind}:{self.name}#{self.number}>" if self.number else f"<{self.kind}:{self.name}>"


def _table(rows: Mapping[str, str]) -> dict[str, str]:
    return {path: slot for slot, paths in rows.items() for path in paths.split()}


SLOTS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        NGAP: _table(
            {
                "AMF_UE_ID": "amf_ue_ngap_id source_amf_ue_ngap_id new_amf_ue_ngap_id",
                "RAN_UE_ID": "ran_ue_ngap_id",
                "TEID": "gtp_teid",
                "NODE_IP": "transport_layer_address",
                "TMSI": "five_g_tmsi",
                "PDU_SESSION_ID": "pdu_session_id",
                "PLMN": "plmn_identity",
                "TAC": "tac",
                "CELL": "nr_cell_identity",
                "calc:CHAIN": "next_hop_chaining_count",
                "calc:CONTAINER": """source_to_target_transparent_container target_to_source_transparent_container
                    ran_status_transfer_transparent_container""",
                "calc:K_GNB": "security_key",
                "calc:NH": "next_hop_nh",
                "calc:TIME": "time_stamp",
                "db:ALLOWED": "allowed_nssai",
                "db:FIVE_QI": "five_qi",
                "db:PRIORITY": "priority_level_arp",
                "db:IMEISV": "masked_imeisv",
                "db:UE_AMBR": "ue_aggregate_maximum_bit_rate_dl ue_aggregate_maximum_bit_rate_ul",
                "db:SESSION_AMBR": """pdu_session_aggregate_maximum_bit_rate_dl
                    pdu_session_aggregate_maximum_bit_rate_ul""",
            }
        ),
        NAS: _table(
            {
                "TMSI": "mobile_identity.tmsi guti.tmsi additional_guti.tmsi",
                "MSIN": "mobile_identity.msin",
                "SUCI": "mobile_identity.scheme_output",
                "PEI": "imeisv.imeisv imeisv.imei mobile_identity.imei mobile_identity.imeisv",
                "MCC": "mcc",
                "MNC": "mnc",
                "TAC": "tac",
                "UE_IP": "pdu_address.ipv4_address",
                "UE_INTERFACE": "pdu_address.interface_identifier",
                "RAND": "rand",
                "PDU_SESSION_ID": "pdu_session_id old_pdu_session_id",
                "PTI": "pti",
                "calc:AUTN": "autn",
                "calc:RES": "res_star",
                "calc:AUTS": "auts",
                "calc:MAC": "SecurityProtected.mac",
                "calc:NAS_SN": "SecurityProtected.sequence_number",
                "calc:CIPHERED": "SecurityProtected.payload nas_message_container",
                "calc:TIME": "universal_time_and_local_time_zone.yymmddhhmmss",
                "calc:KSI": "ng_ksi.ksi",
                "calc:SESSIONS": "ServiceAccept.pdu_session_status RegistrationAccept.pdu_session_status",
                "calc:NOT_REACTIVATED": """ServiceAccept.pdu_session_reactivation_result
                    RegistrationAccept.pdu_session_reactivation_result""",
                "calc:BACK_OFF": "t3346_value.value back_off_timer_value.value",
                "calc:BACK_OFF_UNIT": "t3346_value.unit back_off_timer_value.unit",
                "db:ALLOWED": "RegistrationAccept.allowed_nssai",
                "db:DNN": "dnn",
                "db:FIVE_QI": "five_qi",
                "db:RATE_UNIT": "session_ambr.unit",
                "db:SESSION_AMBR": "session_ambr.value",
            }
        ),
        PFCP: _table(
            {
                "SEID": "seid f_seid.seid",
                "PFCP_SEQ": "header.sequence_number",
                "TEID": "f_teid.teid outer_header_creation.teid",
                "NODE_IP": """node_id.ipv4 node_id.ipv6 f_seid.ipv4 f_seid.ipv6 f_teid.ipv4 f_teid.ipv6
                    outer_header_creation.ipv4 outer_header_creation.ipv6""",
                "UE_IP": "ue_ip_address.ipv4 ue_ip_address.ipv6",
                "SUPI": "user_id.imsi",
                "PEI": "user_id.imei",
                "GPSI": "user_id.msisdn",
                "calc:RECOVERY_TIME": "recovery_time_stamp",
                "calc:TIME": "start_time end_time time_of_first_packet time_of_last_packet event_time_stamp",
                "calc:UR_SEQN": "ur_seqn",
                "calc:DURATION": "duration_measurement",
                "calc:VOLUME": """volume_measurement.total_volume volume_measurement.uplink_volume
                    volume_measurement.downlink_volume""",
                "calc:PACKETS": """volume_measurement.total_packets volume_measurement.uplink_packets
                    volume_measurement.downlink_packets""",
                "db:DNN": "network_instance apn_dnn",
                "db:SESSION_AMBR": "mbr.uplink mbr.downlink",
            }
        ),
    }
)
"""Type of the slot of every field that has one, by protocol and name, or element or message and name. A type without a
kind is that of an identifier, `new` or `ref`."""


def slot_of(protocol: str, scope: str, name: str) -> str | None:
    """Returns the type of the slot of a field; None if its values are in the tokens.

    Args:
        protocol: `ngap`, `nas` or `pfcp`.
        scope: Name of the element, or message, that the field is in.
        name: Of the field.
    """
    known: Mapping[str, Any] = SLOTS[protocol]
    return known.get(f"{scope}.{name}") or known.get(name)


def tokens_of_slot(slot: str) -> list[Slot]:
    """Returns what can stand in a field with a slot of a type."""
    kind, _, name = slot.rpartition(":")
    if kind:
        return [Slot(kind, name)]
    return [Slot(NEW, name), *(Slot(REF, name, number) for number in range(1, FARTHEST + 1))]
