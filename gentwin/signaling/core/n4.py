"""Elements of messages between control plane and user plane.

Source: 3GPP TS 29.244 clauses 7.4 and 7.5.
"""

from __future__ import annotations

from functools import lru_cache

from gentwin.signaling.core.configuration import Slice
from gentwin.signaling.fields import Fields, Value
from gentwin.signaling.messages import PFCP, Message

ACCEPTED = ("cause", "request_accepted")
CHOOSE_BOTH, SHARED_CHOICE = "ipv4 ipv6", 5
THRESHOLD = 104_857_600  # octets until the user plane reports
LOW, HIGH = 65535, 255
BUFFER = Fields.of(far_id=1, apply_action="buff nocp", bar_id=1)
_REMOVAL = Fields.of(description="gtp_u_udp_ip")
_SHARED = Fields.of(choose=CHOOSE_BOTH, choose_id=SHARED_CHOICE)
_REPORTS = (
    "create_urr",
    Fields.of(
        urr_id=1,
        measurement_method="volum",
        reporting_triggers="volth",
        volume_threshold=Fields.of(total_volume=THRESHOLD),
    ),
)
_SOLICITATION = Fields.of(flow_description="permit out 58 from ff02::2/128 to assigned")

Pair = tuple[str, Value]


def message(name: str, sequence: int, *pairs: Pair, seid: int | None = None) -> Message:
    """Returns a PFCP message.

    Args:
        name: Of the message.
        sequence: Number of the request, 24 bits.
        pairs: Its elements.
        seid: Of the receiver's session; None for a message about the node.
    """
    header = (("sequence_number", sequence),) if seid is None else (("seid", seid), ("sequence_number", sequence))
    return Message(PFCP, name, Fields((*header, *pairs)))


@lru_cache(16)
def node_id(address: str) -> Pair:
    """Returns who a node is."""
    return "node_id", Fields.of(ipv4=address)


def f_seid(seid: int, address: str) -> Pair:
    """Returns the endpoint of a session."""
    return "f_seid", Fields.of(seid=seid, ipv4=address)


@lru_cache(256)
def _uplink_rules(dnn: str, solicitation: bool) -> tuple[Pair, ...]:
    n3 = ("3gpp_interface_type", "n3_3gpp_access")
    packets = Fields((("source_interface", "access"), ("f_teid", _SHARED), ("network_instance", dnn), ("qfi", 1), n3))
    rules = [
        ("create_pdr", _rule(2, LOW, packets, ("far_id", 2), ("qer_id", 1))),
        (
            "create_pdr",
            _rule(
                3, HIGH, Fields.of(source_interface="cp_function", f_teid=Fields.of(choose=CHOOSE_BOTH)), ("far_id", 1)
            ),
        ),
    ]
    if solicitation:
        packets = Fields(
            (
                ("source_interface", "access"),
                ("f_teid", _SHARED),
                ("network_instance", dnn),
                ("sdf_filter", _SOLICITATION),
                n3,
            )
        )
        rules.append(("create_pdr", _rule(4, HIGH, packets, ("far_id", 3))))
    return tuple(rules)


def _rule(number: int, precedence: int, packets: Fields, *rest: Pair) -> Fields:
    return Fields(
        (("pdr_id", number), ("precedence", precedence), ("pdi", packets), ("outer_header_removal", _REMOVAL), *rest)
    )


@lru_cache(256)
def _forward_to_network(dnn: str) -> Pair:
    parameters = Fields((("destination_interface", "core"), ("network_instance", dnn), ("3gpp_interface_type", "n6")))
    return "create_far", Fields.of(far_id=2, apply_action="forw", forwarding_parameters=parameters)


@lru_cache(1024)
def limit(uplink: int, downlink: int) -> Pair:
    """Returns the maximum bit rates of a session, from rates in bit/s."""
    return "mbr", Fields.of(uplink=uplink // 1000, downlink=downlink // 1000)


@lru_cache(256)
def slice_of_session(of: Slice, reverse: bool) -> Pair:
    """Returns the slice of a session.

    Args:
        of: The slice.
        reverse: Whether the octets of its differentiator are to be reversed.
    """
    sd = b"\xff\xff\xff" if of.sd is None else bytes.fromhex(of.sd)
    return "s_nssai", Fields.of(sst=of.sst, sd=sd[::-1] if reverse else sd)


def session_elements(
    dnn: str, address: str, rates: tuple[int, int], control_plane: tuple[str, int], solicitation: bool
) -> tuple[Pair, ...]:
    """Returns the rules of a new session: everything is buffered until a base station is known.

    Args:
        dnn: Data network.
        address: IPv4 address of the UE.
        rates: Session AMBR uplink and downlink in bit/s.
        control_plane: Address and TEID of the tunnel to the control plane.
        solicitation: Whether router solicitations go there.
    """
    packets = Fields(
        (
            ("source_interface", "core"),
            ("network_instance", dnn),
            ("ue_ip_address", Fields.of(match="destination", ipv4=address)),
            ("3gpp_interface_type", "n6"),
        )
    )
    downlink = Fields.of(pdr_id=1, precedence=LOW, pdi=packets, far_id=1, urr_id=1, qer_id=1)
    gate = ("gate_status", Fields.of(uplink="open", downlink="open"))
    pairs = [("create_pdr", downlink), *_uplink_rules(dnn, solicitation), ("create_far", BUFFER)]
    pairs.append(_forward_to_network(dnn))
    if solicitation:
        host, teid = control_plane
        header = Fields.of(description="gtp_u_udp_ipv4", teid=teid, ipv4=host)
        parameters = Fields.of(destination_interface="cp_function", outer_header_creation=header)
        pairs.append(("create_far", Fields.of(far_id=3, apply_action="forw", forwarding_parameters=parameters)))
    pairs += (
        _REPORTS,
        ("create_qer", Fields((("qer_id", 1), gate, limit(*rates), ("qfi", 1)))),
        ("create_bar", Fields.of(bar_id=1)),
        ("pdn_type", "ipv4"),
    )
    return tuple(pairs)


def forward_to_station(dnn: str, host: str, teid: int, end_marker: bool = False) -> Pair:
    """Returns the update that sends downlink packets to a base station.

    Args:
        dnn: Data network.
        host: Of the base station.
        teid: Of its end of the tunnel.
        end_marker: Whether the station before is told that no more packets come.
    """
    header = Fields.of(description="gtp_u_udp_ipv4", teid=teid, ipv4=host)
    pairs = [("destination_interface", "access"), ("network_instance", dnn), ("outer_header_creation", header)]
    if end_marker:
        pairs.append(("pfcpsmreq_flags", "sndem"))
    pairs.append(("3gpp_interface_type", "n3_3gpp_access"))
    forward = Fields.of(far_id=1, apply_action="forw", update_forwarding_parameters=Fields(pairs))
    return "update_far", forward


def created_rules(host: str, shared: int, control_plane: int, solicitation: bool) -> tuple[Pair, ...]:
    """Returns the tunnels that a user plane chose for a new session.

    Args:
        host: Of the user plane.
        shared: TEID for packets of the base station.
        control_plane: TEID for packets of the control plane.
        solicitation: Whether there is a rule for router solicitations.
    """
    numbers = ((2, shared), (3, control_plane), (4, shared))
    return tuple(
        ("created_pdr", Fields.of(pdr_id=number, f_teid=Fields.of(teid=teid, ipv4=host)))
        for number, teid in numbers[: 3 if solicitation else 2]
    )


def usage_report(now: int, octets: int, packets: int, first: int, last: int) -> Pair:
    """Returns the report of what a session carried until it ended.

    Args:
        now: Seconds since 1900.
        octets: Downlink.
        packets: Downlink.
        first: When the first of them came, in seconds since 1900; that of 1970 if there was none.
        last: When the last came.
    """
    volume = Fields.of(
        total_volume=octets,
        uplink_volume=0,
        downlink_volume=octets,
        total_packets=packets,
        uplink_packets=0,
        downlink_packets=packets,
    )
    return "usage_report_session_deletion_response", Fields.of(
        urr_id=1,
        ur_seqn=0,
        usage_report_trigger="termr",
        end_time=now,
        volume_measurement=volume,
        duration_measurement=now - 2_208_988_800 + 1,
        time_of_first_packet=first,
        time_of_last_packet=last,
    )
