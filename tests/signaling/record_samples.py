"""Records made by hand and recorded ones, to test what is made of records."""

from __future__ import annotations

from functools import lru_cache

from gentwin.signaling.fields import Bits, Fields
from gentwin.signaling.messages import NAS, NGAP, PFCP, Message, Record
from gentwin.signaling.records import read_records
from tests.signaling.recordings import find_capture

AMF, GNB, OTHER_GNB = "10.0.0.5:38412", "10.0.0.1:40000", "10.0.0.2:40000"
SMF, UPF = "10.0.1.4:8805", "10.0.1.7:8805"
KEY = b"sixteen or more bytes"


@lru_cache(maxsize=2)
def recorded(scenario: str) -> tuple[Record, ...]:
    """Returns the records of a recorded capture, or skips the test."""
    return tuple(read_records(find_capture(scenario)))


def ngap(name: str, to_amf: bool = True, gnb: str = GNB, **fields) -> Record:
    """Returns a record of NGAP."""
    ends = (gnb, AMF) if to_amf else (AMF, gnb)
    return Record(Message(NGAP, name, Fields.of(**fields)), 0.0, *ends)


def pfcp(name: str, to_upf: bool = True, seid: int = 0, sequence: int = 1, **fields) -> Record:
    """Returns a record of a PFCP session."""
    ends = (SMF, UPF) if to_upf else (UPF, SMF)
    return Record(Message(PFCP, name, Fields.of(seid=seid, sequence_number=sequence, **fields)), 0.0, *ends)


def nas(name: str, **fields) -> Message:
    """Returns a NAS message."""
    return Message(NAS, name, Fields.of(**fields))


def suci(msin: str) -> Fields:
    """Returns the SUCI of the null scheme."""
    return Fields.of(
        type="suci",
        supi_format="imsi",
        mcc="999",
        mnc="70",
        routing_indicator="0",
        protection_scheme="null",
        home_network_public_key_id=0,
        msin=msin,
    )


def guti(tmsi: bytes, kind: str = "5g_guti") -> Fields:
    """Returns a temporary identity of NAS."""
    place = {"mcc": "999", "mnc": "70", "amf_region_id": 2} if kind == "5g_guti" else {}
    return Fields.of(type=kind, **place, amf_set_id=1, amf_pointer=0, tmsi=tmsi)


def s_tmsi(tmsi: bytes) -> Fields:
    """Returns a temporary identity of NGAP."""
    return Fields.of(amf_set_id=Bits(1, 10), amf_pointer=Bits(0, 6), five_g_tmsi=tmsi)


def registration(ran_id: int, identity: Fields, gnb: str = GNB, **fields) -> Record:
    """Returns the first message of a UE that registers."""
    request = nas(
        "RegistrationRequest",
        registration_type=Fields.of(follow_on_request=0, type="initial"),
        ng_ksi=Fields.of(tsc="native", ksi=7),
        mobile_identity=identity,
    )
    return ngap("InitialUEMessage", gnb=gnb, ran_ue_ngap_id=ran_id, nas_pdu=request, **fields)


def downlink(amf_id: int, ran_id: int, message: Message, gnb: str = GNB) -> Record:
    """Returns a NAS message to a UE."""
    return ngap("DownlinkNASTransport", False, gnb, amf_ue_ngap_id=amf_id, ran_ue_ngap_id=ran_id, nas_pdu=message)


def accept(amf_id: int, ran_id: int, tmsi: bytes) -> Record:
    """Returns the message that gives a UE a temporary identity."""
    return downlink(amf_id, ran_id, nas("RegistrationAccept", guti=guti(tmsi)))


def tunnel(address: str, teid: int) -> Fields:
    """Returns the end of a tunnel in NGAP."""
    return Fields.of(gtp_tunnel=Fields.of(transport_layer_address=address, gtp_teid=teid.to_bytes(4, "big")))


def resource_setup(amf_id: int, ran_id: int, end: Fields, **fields) -> Record:
    """Returns the message that tells a base station of a tunnel to the user plane."""
    transfer = Fields.of(ul_ngu_up_tnl_information=end)
    item = Fields.of(pdu_session_id=1, **fields, pdu_session_resource_setup_request_transfer=transfer)
    items = Fields.of(item=item)
    return ngap(
        "PDUSessionResourceSetupRequest",
        False,
        amf_ue_ngap_id=amf_id,
        ran_ue_ngap_id=ran_id,
        pdu_session_resource_setup_list_su_req=items,
    )


def establishment(cp: int, up: int, address: str, teid: int, sequence: int = 1, **fields) -> list[Record]:
    """Returns request and response of a session whose user plane chooses the tunnel."""
    pdr = Fields.of(pdr_id=1, pdi=Fields.of(ue_ip_address=Fields.of(match="destination", ipv4=address)))
    ends = Fields.of(pdr_id=1, f_teid=Fields.of(teid=teid, ipv4="10.0.1.7"))
    own, other = (Fields.of(seid=seid, ipv4=host) for seid, host in ((cp, "10.0.1.4"), (up, "10.0.1.7")))
    return [
        pfcp("SessionEstablishmentRequest", sequence=sequence, f_seid=own, create_pdr=pdr, **fields),
        pfcp("SessionEstablishmentResponse", False, cp, sequence, f_seid=other, created_pdr=ends),
    ]
