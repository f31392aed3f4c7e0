"""Messages between base station and core; NAS messages are inside as they are.

Source: 3GPP TS 38.413 clause 9.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from gentwin.signaling.core.configuration import NetworkConfiguration, Slice, Station
from gentwin.signaling.fields import Bits, Fields, Value
from gentwin.signaling.messages import NGAP, Message

NTP_EPOCH = 2_208_988_800  # seconds from 1900 to 1970
GNB_ID_BITS, CELL_BITS, CELL_SHIFT = 32, 36, 4
ALGORITHM_BITS = 16
MEDIUM_CELL = 1  # size of a cell, in the four bits after its identity
COMMAND, COMMAND_SHIFT, COMMAND_BYTES = 0x000A00801800504080000140, 9, 12
"""RRC reconfiguration with synchronisation, within a second: as number, place of the C-RNTI in it, length."""
_FLOW_ONE = Fields.of(item=Fields.of(qos_flow_identifier=1))

Pair = tuple[str, Value]


def message(name: str, *pairs: Pair) -> Message:
    """Returns an NGAP message of a name with these fields."""
    return Message(NGAP, name, Fields(pairs))


def ids(amf_ue: int, ran_ue: int) -> tuple[Pair, Pair]:
    """Returns the fields of the identities of a connection."""
    return ("amf_ue_ngap_id", amf_ue), ("ran_ue_ngap_id", ran_ue)


def read_ids(message: Message) -> tuple[int | None, int | None]:
    """Returns the identities of the connection that a message to a base station is about; None for those not in it."""
    found = dict(message.fields[:2])
    pair = found.get("ue_ngap_ids")
    if pair is not None:
        found = dict(pair["ue_ngap_id_pair"])
    return found.get("amf_ue_ngap_id"), found.get("ran_ue_ngap_id")


def items(entries: Iterable[Fields]) -> Fields:
    """Returns a list."""
    return Fields(("item", entry) for entry in entries)


@lru_cache(1024)
def s_nssai(of: Slice) -> Fields:
    """Returns a slice as NGAP writes it."""
    sst = bytes([of.sst])
    return Fields.of(sst=sst) if of.sd is None else Fields.of(sst=sst, sd=bytes.fromhex(of.sd))


@lru_cache(1024)
def slice_list(slices: Sequence[Slice]) -> Fields:
    """Returns a list of slices."""
    return items(Fields.of(s_nssai=s_nssai(entry)) for entry in slices)


def read_slice(fields: Fields) -> Slice:
    """Returns the slice that fields of NGAP name."""
    sd = fields.get("sd")
    return Slice(fields["sst"][0], None if sd is None else sd.hex())


@lru_cache(1024)
def tai(plmn: str, tac: str) -> Fields:
    """Returns a tracking area."""
    return Fields.of(plmn_identity=plmn, tac=bytes.fromhex(tac))


def cause(group: str, value: str) -> Pair:
    """Returns a cause, such as `nas`, `deregister`."""
    return "cause", _cause(group, value)


@lru_cache(256)
def _cause(group: str, value: str) -> Fields:
    return Fields(((group, value),))


@lru_cache(64)
def global_gnb_id(plmn: str, number: int) -> Fields:
    """Returns the identity of a base station."""
    identity = Fields.of(plmn_identity=plmn, gnb_id=Fields.of(gnb_id=Bits(number, GNB_ID_BITS)))
    return Fields.of(global_gnb_id=identity)


@lru_cache(1024)
def location(plmn: str, station: Station, seconds: int) -> Pair:
    """Returns where a UE is.

    Args:
        plmn: Network of the cell.
        station: That serves the UE.
        seconds: When, since 1970.
    """
    cell = Fields.of(plmn_identity=plmn, nr_cell_identity=Bits(station.number << CELL_SHIFT, CELL_BITS))
    stamp = (seconds + NTP_EPOCH).to_bytes(4)
    where = Fields.of(nr_cgi=cell, tai=tai(plmn, station.tac), time_stamp=stamp)
    return "user_location_information", Fields.of(user_location_information_nr=where)


@lru_cache(64)
def guami(network: NetworkConfiguration) -> Fields:
    """Returns the identity of the AMF."""
    return Fields.of(
        plmn_identity=network.plmn,
        amf_region_id=Bits(network.amf_region, 8),
        amf_set_id=Bits(network.amf_set, 10),
        amf_pointer=Bits(network.amf_pointer, 6),
    )


def s_tmsi(network: NetworkConfiguration, tmsi: int) -> Fields:
    """Returns a 5G-S-TMSI of the AMF."""
    return Fields.of(
        amf_set_id=Bits(network.amf_set, 10), amf_pointer=Bits(network.amf_pointer, 6), five_g_tmsi=tmsi.to_bytes(4)
    )


@lru_cache(64)
def security_capabilities(algorithms: Fields) -> Pair:
    """Returns what algorithms a UE knows, from its capabilities in NAS."""

    def mask(name: str) -> Bits:
        known = {int(word[-1]) for word in algorithms.get(name, "").split()}
        return Bits(sum(1 << ALGORITHM_BITS - number for number in known if number), ALGORITHM_BITS)

    return "ue_security_capabilities", Fields.of(
        nr_encryption_algorithms=mask("ea"),
        nr_integrity_protection_algorithms=mask("ia"),
        eutra_encryption_algorithms=mask("eea"),
        eutra_integrity_protection_algorithms=mask("eia"),
    )


@lru_cache(1024)
def ue_ambr(uplink: int, downlink: int) -> Pair:
    """Returns the UE AMBR of rates in bit/s."""
    rates = Fields.of(ue_aggregate_maximum_bit_rate_dl=downlink, ue_aggregate_maximum_bit_rate_ul=uplink)
    return "ue_aggregate_maximum_bit_rate", rates


@lru_cache(4096)
def masked_imeisv(imeisv: str) -> Pair:
    """Returns an IMEISV without the last four digits of the serial number. Source: 3GPP TS 23.003 clause 6.2.3."""
    return "masked_imeisv", Bits(int(imeisv[:10] + "ffff" + imeisv[14:], 16), 64)


def gtp_tunnel(address: str, teid: int) -> Fields:
    """Returns an endpoint of a tunnel."""
    return Fields.of(gtp_tunnel=Fields.of(transport_layer_address=address, gtp_teid=teid.to_bytes(4)))


@lru_cache(1024)
def _flow(five_qi: int, priority: int) -> Pair:
    parameters = Fields.of(
        qos_characteristics=Fields.of(non_dynamic_5qi=Fields.of(five_qi=five_qi)),
        allocation_and_retention_priority=Fields.of(
            priority_level_arp=priority,
            pre_emption_capability="shall-not-trigger-pre-emption",
            pre_emption_vulnerability="pre-emptable",
        ),
    )
    return "qos_flow_setup_request_list", Fields.of(
        item=Fields.of(qos_flow_identifier=1, qos_flow_level_qos_parameters=parameters)
    )


@lru_cache(1024)
def session_ambr(uplink: int, downlink: int) -> Pair:
    """Returns the session AMBR of rates in bit/s."""
    rates = Fields.of(
        pdu_session_aggregate_maximum_bit_rate_dl=downlink, pdu_session_aggregate_maximum_bit_rate_ul=uplink
    )
    return "pdu_session_aggregate_maximum_bit_rate", rates


def setup_request_transfer(address: str, teid: int, five_qi: int, priority: int, rates: tuple[int, int]) -> Fields:
    """Returns what a base station is told to set up a session.

    Args:
        address: Of the user plane.
        teid: Of the tunnel to it.
        five_qi: Of the default flow.
        priority: Of allocation and retention.
        rates: Session AMBR uplink and downlink in bit/s.
    """
    return Fields(
        (
            session_ambr(*rates),
            ("ul_ngu_up_tnl_information", gtp_tunnel(address, teid)),
            ("pdu_session_type", "ipv4"),
            _flow(five_qi, priority),
        )
    )


def setup_response_transfer(address: str, teid: int) -> Fields:
    """Returns what a base station tells of a session it has set up: its end of the tunnel."""
    return Fields.of(
        dl_qos_flow_per_tnl_information=Fields.of(
            up_transport_layer_information=gtp_tunnel(address, teid), associated_qos_flow_list=_FLOW_ONE
        )
    )


# ---------------------------------------------------------------- set-up of the link


def ng_setup_request(plmn: str, station: Station, slices: Sequence[Slice]) -> Message:
    """Returns how a base station introduces itself."""
    broadcast = Fields.of(plmn_identity=plmn, tai_slice_support_list=slice_list(tuple(slices)))
    area = Fields.of(tac=bytes.fromhex(station.tac), broadcast_plmn_list=items([broadcast]))
    return message(
        "NGSetupRequest",
        ("global_ran_node_id", global_gnb_id(plmn, station.number)),
        ("ran_node_name", f"UERANSIM-gnb-{plmn}-{station.number}"),
        ("supported_ta_list", items([area])),
        ("default_paging_drx", "v128"),
    )


def ng_setup_response(network: NetworkConfiguration) -> Message:
    """Returns how the AMF introduces itself."""
    support = Fields.of(plmn_identity=network.plmn, slice_support_list=slice_list(network.slices))
    return message(
        "NGSetupResponse",
        ("amf_name", network.amf_name),
        ("served_guami_list", items([Fields.of(guami=guami(network))])),
        ("relative_amf_capacity", network.flavour.relative_capacity),
        ("plmn_support_list", items([support])),
    )


def ng_setup_failure(group: str, value: str) -> Message:
    """Returns why a base station is not accepted."""
    return message("NGSetupFailure", cause(group, value), ("time_to_wait", "v10s"))


def overload_start(reduction: int) -> Message:
    """Returns the request to refuse so many percent of new connections, 1 to 99."""
    response = Fields.of(overload_action="reject-rrc-cr-signalling")
    pairs = ("amf_overload_response", response), ("amf_traffic_load_reduction_indication", reduction)
    return message("OverloadStart", *pairs)


# ---------------------------------------------------------------- contexts


def initial_context_setup(
    network: NetworkConfiguration,
    connection: tuple[Pair, Pair],
    ambr: Pair | None,
    sessions: Sequence[Fields],
    allowed: Sequence[Slice],
    algorithms: Fields,
    key: bytes,
    imeisv: str,
    nas: Message | None,
) -> Message:
    """Returns the request to set up the context of a UE.

    Args:
        network: Of the core.
        connection: Fields of its identities.
        ambr: Field of the UE AMBR; None if there are no sessions.
        sessions: To set up.
        allowed: Slices.
        algorithms: That the UE knows, as in NAS.
        key: K_gNB, 32 bytes.
        imeisv: 16 digits; empty if it is not known.
        nas: Message for the UE.
    """
    pairs: list[Pair] = [*connection]
    if ambr is not None:
        pairs.append(ambr)
    pairs.append(("guami", guami(network)))
    if sessions:
        pairs.append(("pdu_session_resource_setup_list_cxt_req", items(sessions)))
    pairs += (
        ("allowed_nssai", slice_list(tuple(allowed))),
        security_capabilities(algorithms),
        ("security_key", Bits(int.from_bytes(key), 256)),
    )
    if imeisv:
        pairs.append(masked_imeisv(imeisv))
    if nas is not None:
        pairs.append(("nas_pdu", nas))
    return message("InitialContextSetupRequest", *pairs)


def release_command(amf_ue: int, ran_ue: int, reason: Pair) -> Message:
    """Returns the command to release the context of a UE."""
    pair = Fields.of(amf_ue_ngap_id=amf_ue, ran_ue_ngap_id=ran_ue)
    return message("UEContextReleaseCommand", ("ue_ngap_ids", Fields.of(ue_ngap_id_pair=pair)), reason)


def paging(network: NetworkConfiguration, tmsi: int, tac: str) -> Message:
    """Returns the page of a UE in a tracking area."""
    return message(
        "Paging",
        ("ue_paging_identity", Fields.of(five_g_s_tmsi=s_tmsi(network, tmsi))),
        ("tai_list_for_paging", items([Fields.of(tai=tai(network.plmn, tac))])),
    )


# ---------------------------------------------------------------- between base stations, through the core


def source_container(plmn: str, source: int, target: int) -> bytes:
    """Returns what a base station tells the target of a handover: the cell, and the one where the UE has been.

    Args:
        plmn: Network of the cells.
        source: Number of the base station that the UE leaves.
        target: Number of the one to which it goes.

    Source: 3GPP TS 38.413 clause 9.3.1.29; TS 38.331 clause 11.2.2, HandoverPreparationInformation.
    """
    mcc, _, mnc = plmn.partition("-")
    network = bytes.fromhex(mcc[1] + mcc[0] + mnc[2:].rjust(1, "f") + mcc[2] + mnc[1] + mnc[0])
    cells = [number << CELL_SHIFT << 4 for number in (target, source)]
    return b"".join(
        (
            b"\0\x02\0\0\0",  # RRC container without capabilities; target cell of NR
            network + cells[0].to_bytes(5),
            b"\0\0",  # history of one cell of NR
            network + (cells[1] | MEDIUM_CELL).to_bytes(5),
            b"\0\0\x01",  # one second there
        )
    )


def target_container(c_rnti: int) -> bytes:
    """Returns what the target of a handover tells the source for the UE: to come under a C-RNTI, 1 to 65519.

    Source: 3GPP TS 38.413 clause 9.3.1.30; TS 38.331 clause 11.2.2, HandoverCommand.
    """
    return (COMMAND | c_rnti << COMMAND_SHIFT).to_bytes(COMMAND_BYTES)


def read_c_rnti(container: bytes) -> int:
    """Returns the C-RNTI in what `target_container` makes."""
    return int.from_bytes(container) >> COMMAND_SHIFT & 0xFFFF
