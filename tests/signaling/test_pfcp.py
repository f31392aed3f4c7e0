"""PFCP: messages written by hand, and what is not as it should be."""

from __future__ import annotations

import pytest

from gentwin.signaling.errors import DecodeError, EncodeError
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import PFCP, Message
from gentwin.signaling.pfcp import ELEMENTS, MESSAGES, codec, decode, decode_all, encode, encode_all, groups
from gentwin.signaling.pfcp.elements import FIRST_OF_VENDORS

PDU = "pdu_session_container"
HEARTBEAT = bytes.fromhex("2001000c000001000060000483aa7e80")


def element(number: int, content: bytes = b"") -> bytes:
    return number.to_bytes(2, "big") + len(content).to_bytes(2, "big") + content


def message(number: int, *elements: bytes, flags: int = 0x21, seid: bytes = bytes(7) + b"\5", last: int = 0) -> bytes:
    body = (seid if flags & 1 else b"") + b"\0\0\7" + bytes([last]) + b"".join(elements)
    return bytes([flags, number]) + len(body).to_bytes(2, "big") + body


def only(number: int, content: bytes) -> object:
    """Returns the value decoded of one element, after checking that it is written as it was read."""
    data = message(52, element(number, content))
    decoded = decode(data)
    assert encode(decoded) == data
    (value,) = [value for name, value in decoded.fields if name not in ("seid", "sequence_number")]
    return value


def test_header_of_messages_of_nodes_and_sessions():
    heartbeat = decode(HEARTBEAT)
    assert heartbeat == Message(PFCP, "HeartbeatRequest", Fields.of(sequence_number=1, recovery_time_stamp=0x83AA7E80))
    deletion = decode(message(54, flags=0x23, last=0xA0))
    assert deletion == Message(
        PFCP, "SessionDeletionRequest", Fields.of(seid=5, sequence_number=7, message_priority=10)
    )
    assert encode(heartbeat) == HEARTBEAT and encode(deletion) == message(54, flags=0x23, last=0xA0)


@pytest.mark.parametrize("flags", [0x21, 0x23, 0x39, 0x3B, 0x20, 0x22])
@pytest.mark.parametrize("last", [0x00, 0x0F, 0xF0, 0xA5])
def test_spare_bits_of_the_header_are_kept(flags, last):
    data = message(54, flags=flags, last=last)
    assert encode(decode(data)) == data
    assert ("spare_flags" in decode(data).fields.names()) == bool(flags & 0x18)


def test_a_tree_reads_as_the_specification_does():
    pdi = element(20, b"\0") + element(21, bytes.fromhex("0f05")) + element(22, b"\x08internet")
    rules = element(1, element(56, b"\0\2") + element(29, bytes(3) + b"\xff") + element(2, pdi))
    decoded = decode(message(50, rules, element(3, element(108, bytes(3) + b"\1") + element(44, b"\x0c\0"))))
    assert decoded["create_pdr.pdi"] == Fields.of(
        source_interface="access", f_teid=Fields.of(choose="ipv4 ipv6", choose_id=5), network_instance="internet"
    )
    assert decoded["create_far"] == Fields.of(far_id=1, apply_action="buff nocp")


@pytest.mark.parametrize(
    ("name", "content", "value"),
    [
        ("cause", "40", "request_rejected"),
        ("cause", "c8", 200),
        ("f_teid", "01000010007f000007", Fields.of(teid=4096, ipv4="127.0.0.7")),
        ("f_teid", "02000010002001" + "00" * 13 + "01", Fields.of(teid=4096, ipv6="2001::1")),
        ("f_teid", "05", Fields.of(choose="ipv4")),
        ("f_seid", "02000000000000019a0a000001", Fields.of(seid=410, ipv4="10.0.0.1")),
        ("node_id", "0203757066076578616d706c65", Fields.of(fqdn="upf.example")),
        ("apply_action", "0200", "forw"),
        ("apply_action", "02", Fields.of(short="forw")),
        ("up_function_features", "1000", "ftup"),
        ("up_function_features", "10211004", "ftup empu frrt mnop vtime"),
        ("ue_ip_address", "060a2d0002", Fields.of(match="destination", ipv4="10.45.0.2")),
        ("ue_ip_address", "10", Fields.of(choose="ipv4", match="source")),
        ("outer_header_removal", "0001", Fields.of(description="gtp_u_udp_ipv4", extension_headers=PDU)),
        ("volume_threshold", "030000000000000001" + "00" * 8, Fields.of(total_volume=1, uplink_volume=0)),
        ("failed_rule_id", "0100000007", Fields.of(far_id=7)),
        ("dl_buffering_duration", "23", Fields.of(unit="1 min", value=3)),
        (
            "packet_rate",
            "05010003020004",
            Fields.of(uplink=Fields.of(unit="6 min", packets=3), additional_uplink=Fields.of(unit="h", packets=4)),
        ),
        (
            "user_plane_ip_resource_information",
            "654a7f0000070469636f6d01",
            Fields.of(
                teid_range_bits=1, teid_range=0x4A, ipv4="127.0.0.7", network_instance="icom", source_interface="core"
            ),
        ),
        ("offending_ie", "0015", "f_teid"),
        ("s_nssai", "01ffffff", Fields.of(sst=1, sd=b"\xff\xff\xff")),
        ("mac_address", "01020000000001", Fields.of(source="02:00:00:00:00:01")),
        ("time_offset_threshold", "ff" * 8, -1),
    ],
)
def test_values(name, content, value):
    assert only(ELEMENTS[name].number, bytes.fromhex(content)) == value


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cause", ""),
        ("cause", "0101"),
        ("source_interface", "f0"),
        ("f_teid", "0d000010007f000007"),
        ("f_teid", "0100001000"),
        ("network_instance", "696e7465726e6574"),
        ("network_instance", "03612e62"),
        ("apply_action", "ffff"),
        ("up_function_features", "10000000"),
        ("up_function_features", "01" * 40000),
        ("dl_buffering_suggested_packet_count", "0005"),
        ("node_id", "03"),
        ("create_pdr", "0038000200"),
        ("fq_csid", "02"),
    ],
)
def test_what_is_not_well_formed_stays_as_it_is(name, content):
    assert only(ELEMENTS[name].number, bytes.fromhex(content)) == bytes.fromhex(content)


def test_unknown_elements_keep_place_and_bytes():
    data = message(55, element(19, b"\1"), element(500, b"ab"), element(0x8001, b"\0\x0aWV"), element(0x8002, b"\0"))
    decoded = decode(data)
    assert list(decoded.fields[3:]) == [
        ("unknown_500", b"ab"),
        ("vendor_32769", Fields.of(enterprise_id=10, value=b"WV")),
        ("vendor_32770", b"\0"),
    ]
    assert encode(decoded) == data


def test_an_element_named_as_a_field_of_the_header_is_told_apart():
    data = message(55, element(52, bytes(4)), element(174, b"\1"))
    assert decode(data).fields.names() == ["seid", "sequence_number", "sequence_number", "priority"]
    assert encode(decode(data)) == data


def test_groups_may_be_so_deep_wherever_they_were_seen_before():
    def nested(depth: int) -> bytes:
        content = element(19, b"\1")
        for _ in range(depth):
            content = element(1, content)
        return content

    def depth_of(tree: object) -> int:
        return 1 + depth_of(tree["create_pdr"]) if isinstance(tree, Fields) and tree.has("create_pdr") else 0

    for depth in (3, codec.DEEPEST, codec.DEEPEST + 1, 12, 5000):
        data = message(50, nested(depth))
        decoded = decode(data)
        assert encode(decoded) == data
        assert depth_of(decoded.fields) == min(depth, codec.DEEPEST + 1)
        codec._KEPT[0].cache_clear()
        assert decode(data) == decoded


def test_several_messages_in_a_datagram():
    several = [decode(HEARTBEAT), decode(message(54)), decode(HEARTBEAT)]
    datagram = encode_all(several)
    assert datagram[0] == 0x24 and datagram[-len(HEARTBEAT)] == 0x20
    assert decode_all(datagram) == several and encode_all(decode_all(datagram)) == datagram
    assert decode_all(HEARTBEAT) == several[:1]
    with pytest.raises(DecodeError, match="decode_all"):
        decode(datagram)
    with pytest.raises(EncodeError, match="at least one"):
        encode_all([])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "0 octets are less"),
        (HEARTBEAT[:7], "7 octets are less"),
        (HEARTBEAT[:-1], "the length says"),
        (HEARTBEAT + b"\0", "follow-on 0, and 1 octets"),
        (b"\x24" + HEARTBEAT[1:], "follow-on 1, and 0 octets"),
        (b"\x40" + HEARTBEAT[1:], "version 2 and type 1"),
        (message(99), "version 1 and type 99"),
        (message(54, flags=0x21)[:8] + b"", "the length says"),
        (bytes.fromhex("2136000400000700"), "the length says 8 octets, of at least 16"),
        (message(54, b"\0\x13\0"), "at least 4 octets where 3"),
        (message(54, b"\0\x13\0\2\1"), "element 19 of 6 octets where 5"),
    ],
)
def test_what_is_no_message(data, reason):
    with pytest.raises(DecodeError, match=reason):
        decode(data)


@pytest.mark.parametrize(
    ("fields", "path", "reason"),
    [
        (Fields.of(seid=1), "sequence_number", "must be among the first fields"),
        (Fields.of(seid=-1, sequence_number=1), "seid", "64 bits, got -1"),
        (Fields.of(sequence_number=1 << 24), "sequence_number", "24 bits"),
        (Fields.of(sequence_number=1, message_priority=16), "message_priority", "4 bits"),
        (Fields.of(sequence_number=1, spare_octet=16, message_priority=1), "spare_octet", "4 bits"),
        (Fields.of(sequence_number=1, causes="x"), "causes", "did you mean `cause`"),
        (Fields.of(sequence_number=1, cause="accepted"), "cause", "has no value 'accepted'"),
        (Fields.of(sequence_number=1, cause=None), "cause", "got None"),
        (Fields.of(sequence_number=1, create_far=Fields.of(far_id=-1)), "create_far.far_id", "got -1"),
        (Fields.of(sequence_number=1, create_far=7), "create_far", "must be fields or bytes"),
        (Fields.of(sequence_number=1, f_teid=Fields.of(teid=1, port=2)), "f_teid.port", "is no field here"),
        (Fields.of(sequence_number=1, f_teid=Fields.of(ipv4="1.2.3.4")), "f_teid.teid", "is missing"),
        (Fields.of(sequence_number=1, f_seid=Fields.of(seid=1, ipv6="fe80::1%1")), "f_seid.ipv6", "IPv6"),
        (Fields.of(sequence_number=1, apply_action="forward"), "apply_action", "has no flag 'forward'"),
        (Fields.of(sequence_number=1, unknown_19=b"\1"), "unknown_19", "is no element"),
        (Fields.of(sequence_number=1, unknown_0500=b"\1"), "unknown_0500", "is no element"),
        (Fields.of(sequence_number=1, vendor_500=b"\1"), "vendor_500", "is no element"),
        (Fields.of(sequence_number=1, unknown_500="x"), "unknown_500", "must be bytes"),
        (Fields.of(sequence_number=1, vendor_40000=Fields.of(value=b"")), "vendor_40000", "enterprise_id"),
        (Fields.of(sequence_number=1, framed_route=b"x" * 65536), "framed_route", "at most 65535 octets"),
        (Fields.of(sequence_number=1, framed_route=b"x" * 65535), "HeartbeatRequest", "at most 65539 octets"),
    ],
)
def test_errors_say_where_and_why(fields, path, reason):
    with pytest.raises(EncodeError, match=reason) as caught:
        encode(Message(PFCP, "HeartbeatRequest", fields))
    assert caught.value.path == path


def test_only_messages_of_pfcp_are_encoded():
    for wrong in (Message("nas", "HeartbeatRequest"), Message(PFCP, "PFCPHeartbeatRequest")):
        with pytest.raises(EncodeError, match="must be a message of PFCP"):
            encode(wrong)


def test_tables_agree_with_each_other():
    used = [member.name for of in (*MESSAGES.values(), *ELEMENTS.values()) for member in of.members or ()]
    assert set(used) <= set(ELEMENTS) and set(groups.GROUPS) <= set(ELEMENTS)
    assert [entry.number for entry in ELEMENTS.values()] == list(range(1, 354))
    for of in (*MESSAGES.values(), *ELEMENTS.values()):
        names = [member.name for member in of.members or ()]
        assert len(names) == len(set(names)), of.name
    assert not any(entry.number >= FIRST_OF_VENDORS for entry in ELEMENTS.values())
    assert ELEMENTS["urr_id"].members is None and ELEMENTS["created_pdr"].members is not None
    assert {kind.number for kind in MESSAGES.values() if kind.of_session} == set(range(50, 58))


def test_what_may_be_absent_or_repeated():
    members = {member.name: member for member in MESSAGES["SessionEstablishmentRequest"].members}
    assert members["create_pdr"].mandatory and members["create_pdr"].repeatable
    assert members["node_id"].mandatory and not members["node_id"].repeatable
    assert not members["create_urr"].mandatory and members["create_urr"].repeatable
    assert not members["pdn_type"].mandatory and not members["pdn_type"].repeatable
