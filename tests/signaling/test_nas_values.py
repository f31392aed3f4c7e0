"""NAS value types: octets that follow from the figures of the specification, and the trees they are."""

from __future__ import annotations

import pytest

from gentwin.signaling.errors import DecodeError
from gentwin.signaling.fields import Fields
from gentwin.signaling.nas import common, identity, mobility, session
from gentwin.signaling.values import Reader

of = Fields.of


def many(name: str, *values) -> Fields:
    """Returns fields of one name."""
    return Fields((name, value) for value in values)


PLMN = {"mcc": "999", "mnc": "70"}
TMSI = {"amf_set_id": 1, "amf_pointer": 0, "tmsi": b"\xc0\x00\x00\x50"}
SUCI = {
    "type": "suci",
    "supi_format": "imsi",
    **PLMN,
    "routing_indicator": "0",
}
VALUES = {
    # identities
    "no identity": (identity.MOBILE_IDENTITY, of(type="no_identity"), "00"),
    "suci, null scheme": (
        identity.MOBILE_IDENTITY,
        of(**SUCI, protection_scheme="null", home_network_public_key_id=0, msin="0000000196"),
        "01 99f907 f0ff 00 00 0000001069",
    ),
    "suci, profile A": (
        identity.MOBILE_IDENTITY,
        of(**SUCI, protection_scheme="ecies_profile_a", home_network_public_key_id=1, scheme_output=b"\xaa" * 45),
        "01 99f907 f0ff 01 01" + "aa" * 45,
    ),
    "suci of a network access identifier": (
        identity.MOBILE_IDENTITY,
        of(type="suci", supi_format="network_specific_identifier", nai="type1.rid0@example.org"),
        "11" + b"type1.rid0@example.org".hex(),
    ),
    "guti": (
        identity.MOBILE_IDENTITY,
        of(type="5g_guti", **PLMN, amf_region_id=2, **TMSI),
        "f2 99f907 02 0040 c0000050",
    ),
    "s-tmsi": (identity.MOBILE_IDENTITY, of(type="5g_s_tmsi", **TMSI), "f4 0040 c0000050"),
    "imei": (identity.MOBILE_IDENTITY, of(type="imei", imei="490154203237518"), "4b09512430325781"),
    "imeisv": (identity.MOBILE_IDENTITY, of(type="imeisv", imeisv="4370816125816151"), "4573806121856151f1"),
    "mac address": (
        identity.MOBILE_IDENTITY,
        of(type="mac_address", not_unique=1, mac_address=bytes(range(6))),
        "0e000102030405",
    ),
    "eui-64": (identity.MOBILE_IDENTITY, of(type="eui_64", eui_64=bytes(range(8))), "070001020304050607"),
    # timers
    "timer": (common.TIMER, of(unit="6 min", value=9), "49"),
    "timer without unit": (common.TIMER, of(unit=3, value=9), "69"),
    "timer 3": (common.TIMER_3, of(unit="1 h", value=9), "29"),
    "timer 3 deactivated": (common.TIMER_3, of(unit="deactivated", value=0), "e0"),
    # slices
    "slice": (common.S_NSSAI, of(sst=1), "01"),
    "slice and mapped": (common.S_NSSAI, of(sst=1, mapped_sst=2), "0102"),
    "slice with sd": (common.S_NSSAI, of(sst=1, sd=b"\0\0\1"), "01000001"),
    "slice with sd and mapped": (common.S_NSSAI, of(sst=1, sd=b"\0\0\1", mapped_sst=2), "0100000102"),
    "slice with all": (common.S_NSSAI, of(sst=1, sd=b"\0\0\1", mapped_sst=2, mapped_sd=b"\0\0\3"), "0100000102000003"),
    "nssai": (mobility.NSSAI_8, many("s_nssai", of(sst=1), of(sst=2, sd=b"\0\0\1")), "0101 0402000001"),
    "rejected nssai": (
        mobility.REJECTED_NSSAI,
        many(
            "rejected",
            of(cause="not_available_in_plmn", s_nssai=of(sst=1)),
            of(cause="not_available_after_failed_nssaa", s_nssai=of(sst=2, sd=b"\0\0\1")),
        ),
        "1001 4202000001",
    ),
    "extended rejected nssai": (
        mobility.EXTENDED_REJECTED_NSSAI,
        many(
            "list",
            of(
                type="with_back_off_timer",
                back_off_timer=of(unit="1 min", value=2),
                rejected_nssai=many("rejected", of(cause="maximum_number_of_ues_reached", s_nssai=of(sst=1))),
            ),
            of(
                type="without_back_off_timer",
                rejected_nssai=many("rejected", *[of(cause="not_available_in_plmn", s_nssai=of(sst=1))] * 2),
            ),
        ),
        "10 a2 1301 01 1001 1001",
    ),
    # areas
    "tracking areas of one plmn": (
        mobility.TAI_LIST,
        many("list", of(type="tacs_of_one_plmn", **PLMN, tacs=many("tac", b"\0\0\1", b"\0\0\5"))),
        "01 99f907 000001 000005",
    ),
    "consecutive tracking areas": (
        mobility.TAI_LIST,
        many("list", of(type="consecutive_tacs_of_one_plmn", number=16, **PLMN, tac=b"\0\0\1")),
        "2f 99f907 000001",
    ),
    "tracking areas of several plmns": (
        mobility.TAI_LIST,
        many(
            "list",
            of(type="tais", tais=many("tai", of(**PLMN, tac=b"\0\0\1"), of(mcc="310", mnc="012", tac=b"\0\0\2"))),
        ),
        "41 99f907 000001 132010 000002",
    ),
    "service area of a whole plmn": (
        mobility.SERVICE_AREA_LIST,
        many("list", of(type="plmn", area="not_allowed", **PLMN)),
        "e0 99f907",
    ),
    "service area": (
        mobility.SERVICE_AREA_LIST,
        many("list", of(type="tacs_of_one_plmn", area="allowed", **PLMN, tacs=many("tac", b"\0\0\1"))),
        "00 99f907 000001",
    ),
    "ladn": (
        mobility.LADN_INFORMATION,
        many(
            "ladn",
            of(dnn="edge", tai_list=many("list", of(type="tacs_of_one_plmn", **PLMN, tacs=many("tac", b"\0\0\1")))),
        ),
        "05 0465646765 07 00 99f907 000001",
    ),
    # registration
    "registration type": (mobility.REGISTRATION_TYPE, of(follow_on_request=1, type="mobility_updating"), "a0"),
    "key set": (mobility.NG_KSI, of(tsc="mapped", ksi=7), "f0"),
    "deregistration type": (
        mobility.DEREGISTRATION_TYPE,
        of(switch_off=1, re_registration_required=0, access_type="3gpp"),
        "90",
    ),
    "sessions": (common.SESSIONS, "psi_1 psi_5 psi_15", "2280"),
    "bearers": (mobility.EPS_BEARER_CONTEXT_STATUS, "ebi_5 ebi_8", "2001"),
    "security capability": (
        mobility.UE_SECURITY_CAPABILITY,
        of(ea="ea0 ea2", ia="ia2", eea="", eia="eia1 eia7"),
        "a0200041",
    ),
    "short security capability": (mobility.UE_SECURITY_CAPABILITY, of(ea="ea0", ia="ia2"), "8020"),
    "capability": (mobility.CAPABILITY_5GMM, of(octet_3="s1_mode lpp"), "05"),
    "network features": (
        mobility.NETWORK_FEATURE_SUPPORT,
        of(mpsi=0, iwk_n26=1, emf=0, emc=1, ims_vops="3gpp", octet_4="mcsi"),
        "4502",
    ),
    "algorithms": (mobility.SECURITY_ALGORITHMS, of(ciphering=0, integrity=2), "02"),
    "error causes": (
        mobility.REACTIVATION_RESULT_ERROR_CAUSE,
        many("error", of(pdu_session_id=1, cause_5gmm=92)),
        "015c",
    ),
    "paging restriction": (
        mobility.PAGING_RESTRICTION,
        of(type="all_paging_except_pdu_sessions", pdu_sessions="psi_1"),
        "030200",
    ),
    "access categories": (
        mobility.ACCESS_CATEGORY_DEFINITIONS,
        many("definition", of(precedence=1, number=3, criteria=b"\xaa\xbb", standardized_access_category=7)),
        "06 01 83 02 aabb 07",
    ),
    # names and time
    "name in ucs2": (mobility.NETWORK_NAME, of(coding="ucs2", add_ci=0, text="Ne"), "90004e0065"),
    "name in septets": (
        mobility.NETWORK_NAME,
        of(coding="gsm_default_alphabet", add_ci=1, text="hello"),
        "8de8329bfd06",
    ),
    "an hour east": (mobility.TIME_ZONE, 4, "40"),
    "five hours west": (mobility.TIME_ZONE, -20, "0a"),
    "time": (
        mobility.UNIVERSAL_TIME,
        of(yymmddhhmmss="261121073924", time_zone=8),
        "62111270934280",
    ),
    # sessions
    "ambr": (
        session.SESSION_AMBR,
        of(downlink=of(unit="1 Mbps", value=500), uplink=of(unit="256 Gbps", value=1)),
        "0601f4 0f0001",
    ),
    "ipv4 address": (session.PDU_ADDRESS, of(type="ipv4", ipv4_address="10.45.0.2"), "01 0a2d0002"),
    "both addresses": (
        session.PDU_ADDRESS,
        of(type="ipv4v6", interface_identifier=bytes(8), ipv4_address="10.45.0.2"),
        "03 0000000000000000 0a2d0002",
    ),
    "address with that of the smf": (
        session.PDU_ADDRESS,
        of(type="ipv6", interface_identifier=bytes(8), smf_ipv6_link_local_address="fe80::1"),
        "0a 0000000000000000 fe800000000000000000000000000001",
    ),
    "maximum of packet filters": (session.MAXIMUM_PACKET_FILTERS, 17, "0220"),
    "rule": (
        session.QOS_RULES,
        many(
            "rule",
            of(
                id=1,
                operation="create",
                default_qos_rule=1,
                packet_filters=many("packet_filter", of(direction="bidirectional", id=1, components=of(match_all=b""))),
                precedence=255,
                segregation=0,
                qfi=1,
            ),
        ),
        "01 0006 31 31 01 01 ff 01",
    ),
    "rules that delete": (
        session.QOS_RULES,
        many(
            "rule",
            of(id=2, operation="delete", default_qos_rule=0),
            of(id=3, operation="modify_and_delete_filters", default_qos_rule=0, packet_filter_ids=many("id", 4, 5)),
        ),
        "02 0001 40 03 0003 a2 04 05",
    ),
    "packet filter": (
        session.PACKET_FILTER,
        of(
            direction="uplink",
            id=2,
            components=of(
                ipv4_remote_address=of(address="10.0.0.0", mask="255.0.0.0"),
                protocol=17,
                remote_ports=of(low=80, high=443),
                type_of_service=of(value=0xB8, mask=0xFC),
            ),
        ),
        "22 13 100a000000ff000000 3011 51005001bb 70b8fc",
    ),
    "flow": (
        session.QOS_FLOW_DESCRIPTIONS,
        many(
            "flow",
            of(
                qfi=1,
                operation="create",
                e_bit=1,
                parameters=of(five_qi=9, gfbr_uplink=of(unit="1 Mbps", value=2), averaging_window=2000),
            ),
            of(qfi=2, operation="delete", e_bit=0),
        ),
        "01 20 43 010109 0203060002 060207d0 02 40 00",
    ),
    "mapped bearer": (
        session.MAPPED_EPS_BEARER_CONTEXTS,
        many("context", of(eps_bearer_identity=5, operation="create", e_bit=1, parameters=of(mapped_eps_qos=b"\x09"))),
        "50 0004 51 010109",
    ),
    "options of the ue": (
        session.OPTIONS_FROM_UE,
        of(ip_address_allocation_via_nas=b"", dns_server_ipv4_address_request=b"", ipcp=b"\1\0"),
        "80 000a00 000d00 8021020100",
    ),
    "options of the network": (
        session.OPTIONS_TO_UE,
        Fields(
            (*of(ipv4_link_mtu=1400), *many("dns_server_ipv4_address", "8.8.8.8", "8.8.4.4"), ("unknown_0xff00", b"a"))
        ),
        "80 0010020578 000d0408080808 000d0408080404 ff000161",
    ),
    "rules in options": (
        session.OPTIONS_TO_UE,
        of(qos_rules_of_two_octets=many("rule", of(id=2, operation="delete", default_qos_rule=0))),
        "80 0023 0004 02000140",
    ),
    "payloads": (
        common.MULTIPLE_PAYLOADS,
        of(
            entries=many(
                "entry",
                of(
                    type="n1_sm_information", elements=many("element", of(identifier=0x12, content=b"\5")), content=b"x"
                ),
                of(type="sms", content=b""),
            )
        ),
        "02 0005 11 120105 78 0001 02",
    ),
}


@pytest.mark.parametrize("name", VALUES)
def test_octets_and_trees(name: str):
    kind, tree, octets = VALUES[name]
    data = bytes.fromhex(octets)
    assert kind.read(Reader(data, 0, min(kind.max_bits, 8 * len(data)))) == tree
    assert kind.encode(tree) == data


@pytest.mark.parametrize(
    ("kind", "octets"),
    [
        (identity.MOBILE_IDENTITY, "02 99f907 02 0040 c0000050"),  # upper half of the first octet is not 1111
        (identity.MOBILE_IDENTITY, "4309512430325781"),  # even number of digits in an IMEI
        (identity.MOBILE_IDENTITY, "0199f907f0ff00001a"),  # a digit that is none
        (common.S_NSSAI, "010203"),
        (mobility.TAI_LIST, "02 99f907 000001 000005"),  # three announced, two there
        (mobility.TIME_ZONE, "08"),  # minus nothing
        (mobility.TIME_ZONE, "a0"),
        (session.PDU_ADDRESS, "04"),
        (session.QOS_RULES, "01 0005 31 31 01 01 ff 01"),
        (session.OPTIONS_TO_UE, "00"),
    ],
)
def test_what_the_figures_do_not_allow(kind, octets: str):
    with pytest.raises(DecodeError):
        kind.decode(bytes.fromhex(octets))
