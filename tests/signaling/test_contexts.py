"""Which records belong to the same UE."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from gentwin.signaling.contexts import MOST_KEYS, ContextTracker, dialogues
from gentwin.signaling.fields import Bits, Fields
from gentwin.signaling.messages import NGAP, PFCP, Message, Record
from tests.signaling.record_samples import (
    AMF,
    GNB,
    OTHER_GNB,
    SMF,
    UPF,
    accept,
    downlink,
    establishment,
    guti,
    nas,
    ngap,
    pfcp,
    recorded,
    registration,
    resource_setup,
    s_tmsi,
    suci,
    tunnel,
)

TMSI, OTHER_TMSI = b"\xc0\0\0\x01", b"\xc0\0\0\x02"
ANSWER = nas("AuthenticationReject")
UPF_END = tunnel("10.0.1.7", 77)


def groups(*records: Record) -> list[list[int]]:
    """Returns the places of the records of every dialogue."""
    places = {id(record): place for place, record in enumerate(records)}
    return [[places[id(record)] for record in dialogue.records] for dialogue in dialogues(records)]


def service_request(ran_id: int, tmsi: bytes, gnb: str = GNB) -> Record:
    return ngap("InitialUEMessage", gnb=gnb, ran_ue_ngap_id=ran_id, nas_pdu=b"", five_g_s_tmsi=s_tmsi(tmsi))


def paging(tmsi: bytes, gnb: str = GNB) -> Record:
    return ngap("Paging", False, gnb, ue_paging_identity=Fields.of(five_g_s_tmsi=s_tmsi(tmsi)))


# ---------------------------------------------------------------- connections


def test_numbers_of_a_connection():
    records = [
        registration(1, suci("0000000001")),
        registration(2, suci("0000000002")),
        downlink(7, 2, ANSWER),
        downlink(8, 1, ANSWER),
        ngap("UplinkNASTransport", amf_ue_ngap_id=7, ran_ue_ngap_id=2, nas_pdu=b""),
        ngap("UEContextReleaseCommand", False, ue_ngap_ids=Fields.of(amf_ue_ngap_id=8)),
        ngap(
            "UEContextReleaseCommand",
            False,
            ue_ngap_ids=Fields.of(ue_ngap_id_pair=Fields.of(amf_ue_ngap_id=7, ran_ue_ngap_id=2)),
        ),
    ]
    assert groups(*records) == [[0, 3, 5], [1, 2, 4, 6]]


def test_base_stations_number_on_their_own():
    records = [registration(1, suci("0000000001")), registration(1, suci("0000000002"), OTHER_GNB)]
    records += [downlink(5, 1, ANSWER), downlink(6, 1, ANSWER, OTHER_GNB)]
    assert groups(*records) == [[0, 2], [1, 3]]


def test_a_number_is_used_again():
    records = [registration(1, suci("0000000001")), downlink(5, 1, ANSWER)]
    records += [registration(1, suci("0000000002")), downlink(5, 1, ANSWER)]
    assert groups(*records) == [[0, 1], [2, 3]]


def test_a_number_is_used_again_and_the_first_message_is_missing():
    records = [registration(1, suci("0000000001")), downlink(5, 1, ANSWER), downlink(6, 1, ANSWER)]
    assert groups(*records) == [[0, 1], [2]]


def test_a_capture_that_begins_within_a_connection():
    uplink = ngap("UplinkNASTransport", amf_ue_ngap_id=7, ran_ue_ngap_id=2, nas_pdu=b"")
    assert groups(uplink, downlink(7, 2, ANSWER), downlink(8, 3, ANSWER)) == [[0, 1], [2]]


def test_handover_to_another_base_station():
    moved = ngap("PathSwitchRequest", gnb=OTHER_GNB, ran_ue_ngap_id=9, source_amf_ue_ngap_id=5)
    records = [registration(1, suci("0000000001")), downlink(5, 1, ANSWER), moved, downlink(5, 9, ANSWER, OTHER_GNB)]
    records += [registration(9, suci("0000000002"))]
    assert groups(*records) == [[0, 1, 2, 3], [4]]


def test_amf_at_another_port():
    def elsewhere(record: Record) -> Record:
        ends = (end.replace(":38412", ":50000") for end in (record.sender, record.receiver))
        return replace(record, **dict(zip(("sender", "receiver"), ends, strict=True)))

    records = [registration(1, suci("0000000001")), downlink(5, 1, ANSWER), registration(2, suci("0000000002"))]
    assert groups(*map(elsewhere, records)) == [[0, 1], [2]]


# ---------------------------------------------------------------- one UE in several connections


def test_temporary_identity():
    records = [registration(1, suci("0000000001")), accept(5, 1, TMSI), service_request(2, TMSI), paging(TMSI)]
    assert groups(*records, paging(OTHER_TMSI), service_request(3, OTHER_TMSI)) == [[0, 1, 2, 3], [4, 5]]


def test_temporary_identity_that_the_ue_says_in_nas():
    records = [registration(1, suci("0000000001")), accept(5, 1, TMSI), registration(2, guti(TMSI))]
    records += [registration(3, guti(OTHER_TMSI)), registration(4, guti(OTHER_TMSI, "5g_s_tmsi"))]
    assert groups(*records) == [[0, 1, 2], [3, 4]]


def test_temporary_identity_given_to_another_ue():
    records = [registration(1, suci("0000000001")), accept(5, 1, TMSI)]
    records += [registration(2, suci("0000000002")), accept(6, 2, TMSI), service_request(3, TMSI)]
    assert groups(*records) == [[0, 1], [2, 3, 4]]


def test_new_temporary_identity_in_a_configuration_update():
    command = nas("SecurityProtected", payload=nas("ConfigurationUpdateCommand", guti=guti(OTHER_TMSI)))
    records = [registration(1, suci("0000000001")), accept(5, 1, TMSI), downlink(5, 1, command)]
    assert groups(*records, service_request(2, OTHER_TMSI), service_request(3, TMSI)) == [[0, 1, 2, 3, 4]]


def test_permanent_identity():
    records = [registration(1, suci("0000000001")), registration(2, suci("0000000001"))]
    assert groups(*records, registration(3, suci("0000000002"))) == [[0, 1], [2]]


def test_identity_that_the_amf_asks_for():
    response = nas("IdentityResponse", mobile_identity=suci("0000000001"))
    answer = ngap("UplinkNASTransport", amf_ue_ngap_id=5, ran_ue_ngap_id=2, nas_pdu=response)
    records = [registration(1, suci("0000000001")), registration(2, guti(TMSI)), downlink(5, 2, ANSWER), answer]
    assert groups(*records) == [[0, 1, 2, 3]]


def test_two_permanent_identities_are_two_ues():
    records = [registration(1, suci("0000000001")), accept(5, 1, TMSI), registration(2, guti(TMSI))]
    response = nas("IdentityResponse", mobile_identity=suci("0000000002"))
    records += [ngap("UplinkNASTransport", amf_ue_ngap_id=6, ran_ue_ngap_id=2, nas_pdu=response)]
    records += [downlink(6, 2, ANSWER), downlink(5, 1, ANSWER)]
    assert groups(*records) == [[0, 1, 2, 5], [3, 4]]


def test_a_concealed_identity_sent_again():
    concealed = Fields.of(type="suci", protection_scheme="ecies_profile_a", scheme_output=b"concealed")
    other = concealed.with_value("scheme_output", b"otherwise")
    assert groups(registration(1, concealed), registration(2, concealed), registration(3, other)) == [[0, 1], [2]]


# ---------------------------------------------------------------- sessions


def modification(seid: int, sequence: int, **fields) -> list[Record]:
    return [
        pfcp("SessionModificationRequest", True, seid, sequence, **fields),
        pfcp("SessionModificationResponse", False, 3, sequence),
    ]


def test_sessions_by_their_ends():
    report = pfcp("SessionReportRequest", False, 3, 40)
    records = [*establishment(3, 8, "10.45.0.2", 70), *establishment(4, 9, "10.45.0.3", 71, 2), *modification(8, 3)]
    records += [report, pfcp("SessionReportResponse", True, 8, 40)]
    assert groups(*records) == [[0, 1, 4, 5, 6, 7], [2, 3]]


def test_an_answer_without_session_belongs_to_its_request():
    records = [*establishment(3, 8, "10.45.0.2", 70), pfcp("SessionDeletionRequest", True, 8, 2)]
    records += [pfcp("SessionDeletionResponse", False, 0, 2)]
    assert groups(*records) == [[0, 1, 2, 3]]


def test_an_unanswered_establishment_is_sent_again():
    request, response = establishment(3, 8, "10.45.0.2", 70)
    assert groups(request, replace(request, timestamp=1.0), replace(response, timestamp=2.0)) == [[0, 1, 2]]


def test_a_session_number_is_used_again():
    first, second = establishment(3, 8, "10.45.0.2", 70), establishment(3, 8, "10.45.0.3", 71, 2)
    assert groups(*first, *second, *modification(8, 3)) == [[0, 1], [2, 3, 4, 5]]


def test_a_session_joins_its_ue_by_the_tunnel():
    records = [registration(1, suci("0000000001")), registration(2, suci("0000000002")), downlink(5, 2, ANSWER)]
    records += [*establishment(3, 8, "10.45.0.2", 77), *establishment(4, 9, "10.45.0.3", 78, 2)]
    assert groups(*records, resource_setup(5, 2, UPF_END)) == [[0], [1, 2, 3, 4, 7], [5, 6]]


def test_a_tunnel_of_both_versions_of_ip():
    both = tunnel(Bits((0x0A000107 << 128) | 1, 160), 77)
    records = [*establishment(3, 8, "10.45.0.2", 77), downlink(5, 2, ANSWER), resource_setup(5, 2, both)]
    assert groups(*records) == [[0, 1, 2, 3]]


def test_a_session_joins_its_ue_by_the_address():
    address = Fields.of(type="ipv4", ipv4_address="10.45.0.2")
    accepted = nas("PDUSessionEstablishmentAccept", pdu_address=address)
    transport = nas("DLNASTransport", payload_container_type="n1_sm_information", payload_container=accepted)
    records = [*establishment(3, 8, "10.45.0.2", 77), *establishment(4, 9, "10.45.0.3", 78, 2)]
    assert groups(*records, downlink(5, 2, transport)) == [[0, 1, 4], [2, 3]]


def test_the_tunnel_is_believed_more_than_the_address():
    accepted = nas("PDUSessionEstablishmentAccept", pdu_address=Fields.of(type="ipv4", ipv4_address="10.45.0.3"))
    records = [*establishment(3, 8, "10.45.0.2", 77), *establishment(4, 9, "10.45.0.3", 78, 2)]
    setup = resource_setup(5, 2, UPF_END, pdu_session_nas_pdu=accepted)
    assert groups(*records, setup) == [[0, 1, 4], [2, 3]]


def test_a_session_joins_its_ue_by_the_tunnel_of_the_base_station():
    end = Fields.of(up_transport_layer_information=tunnel("10.0.0.1", 5))
    transfer = Fields.of(dl_qos_flow_per_tnl_information=end)
    items = Fields.of(item=Fields.of(pdu_session_id=1, pdu_session_resource_setup_response_transfer=transfer))
    response = ngap(
        "PDUSessionResourceSetupResponse",
        amf_ue_ngap_id=5,
        ran_ue_ngap_id=2,
        pdu_session_resource_setup_list_su_res=items,
    )
    to_gnb = Fields.of(outer_header_creation=Fields.of(teid=5, ipv4="10.0.0.1"))
    far = Fields.of(far_id=1, update_forwarding_parameters=to_gnb)
    assert groups(response, *modification(8, 3, update_far=far)) == [[0, 1, 2]]


def test_a_session_joins_its_ue_by_the_permanent_identity():
    records = establishment(3, 8, "10.45.0.2", 77, user_id=Fields.of(imsi="999700000000001"))
    records += establishment(4, 9, "10.45.0.3", 78, 2, user_id=Fields.of(supi="imsi-999700000000001"))
    assert groups(registration(1, suci("0000000001")), *records) == [[0, 1, 2, 3, 4]]


def test_two_connections_are_joined_by_their_session():
    records = [registration(1, suci("0000000001")), downlink(5, 1, ANSWER), *establishment(3, 8, "10.45.0.2", 77)]
    records += [resource_setup(5, 1, UPF_END), service_request(2, TMSI), resource_setup(6, 2, UPF_END), paging(TMSI)]
    assert groups(*records) == [[0, 1, 2, 3, 4, 5, 6, 7]]


# ---------------------------------------------------------------- nodes


def test_everything_else_belongs_to_nodes():
    heartbeats = [
        Record(Message(PFCP, f"Heartbeat{kind}", Fields.of(sequence_number=1)), 0.0, *ends)
        for kind, ends in (("Request", (SMF, UPF)), ("Response", (UPF, SMF)))
    ]
    setup = [Record(Message(NGAP, f"NGSetup{kind}"), 0.0, *ends) for kind, ends in (("Request", (GNB, AMF)),)]
    error = ngap("ErrorIndication", amf_ue_ngap_id=5, ran_ue_ngap_id=2)
    found = list(dialogues([*heartbeats, *setup, error, registration(1, suci("0000000001"))]))
    assert [(dialogue.context.kind, len(dialogue.records)) for dialogue in found] == [
        ("node", 2),
        ("node", 2),
        ("ue", 1),
    ]


def test_an_error_of_a_connection_belongs_to_it():
    error = ngap("ErrorIndication", amf_ue_ngap_id=5, ran_ue_ngap_id=1)
    assert groups(registration(1, suci("0000000001")), downlink(5, 1, ANSWER), error) == [[0, 1, 2]]


# ---------------------------------------------------------------- the tracker


def test_contexts_are_known_by_identities():
    tracker = ContextTracker()
    context = tracker.assign(registration(1, suci("0000000001")))
    tracker.assign(accept(5, 1, TMSI))
    assert (context.kind, context.supi, context.links) == ("ue", "999700000000001", {"ngap"})
    assert context.identities == [("supi", "999700000000001"), ("s_tmsi", 1, 0, TMSI)]


def test_contexts_that_are_one_say_so():
    tracker = ContextTracker()
    session = [tracker.assign(record) for record in establishment(3, 8, "10.45.0.2", 77)][-1]
    connection = tracker.assign(downlink(5, 2, ANSWER))
    assert session.current is session and connection.current is connection
    joined = tracker.assign(resource_setup(5, 2, UPF_END))
    assert connection.current is session.current is joined is session
    assert joined.links == {"ngap", "pfcp"}
    assert tracker.assign(downlink(5, 2, ANSWER)) is joined


def test_the_oldest_context_is_closed_when_there_are_too_many():
    tracker = ContextTracker(most_contexts=2)
    first = tracker.assign(registration(1, suci("0000000001")))
    second = tracker.assign(registration(2, suci("0000000002")))
    assert tracker.assign(registration(3, suci("0000000001"))) is first
    tracker.assign(registration(4, suci("0000000004")))
    assert tracker.assign(registration(5, suci("0000000001"))) is first
    assert tracker.assign(registration(6, suci("0000000002"))) is not second


def test_tables_do_not_grow_without_end():
    tracker = ContextTracker(most_contexts=10, most_requests=5)
    for number in range(1000):
        tracker.assign(registration(number, suci(f"{number % 3:010}")))
        tracker.assign(accept(number, number, number.to_bytes(4, "big")))
        for record in establishment(number + 1, number + 1, f"10.1.0.{number % 250}", number, number):
            tracker.assign(record)
    assert len(tracker._contexts) <= 10 and len(tracker._requests) <= 5
    assert len(tracker._owners) <= 10 * MOST_KEYS and len(tracker._peers) <= len(tracker._owners)
    assert {context.supi for context in tracker._contexts} >= {f"99970{number:010}" for number in range(3)}


@pytest.mark.parametrize("most", [1, 2])
def test_few_contexts_do_no_harm(most: int):
    tracker = ContextTracker(most_contexts=most)
    assert all(tracker.assign(record) for record in recorded("n2n4-rejects"))
    assert len(tracker._contexts) <= most


def test_dialogues_are_in_the_order_of_time():
    request, response = establishment(3, 8, "10.45.0.2", 77)
    late = replace(request, timestamp=5.0)
    assert [dialogue.records for dialogue in dialogues([late, response])] == [(response, late)]


# ---------------------------------------------------------------- recordings


def truth(records: tuple[Record, ...]) -> dict[int, str]:
    """Returns the IMSI of every record of a session, from what the SMF says at its establishment."""
    numbers: dict[tuple[str, int], str] = {}
    found = {}
    for place, record in enumerate(records):
        message = record.message
        if message.protocol != PFCP or not message.name.startswith("Session"):
            continue
        if message.name == "SessionEstablishmentRequest":
            imsi = numbers[record.sender, message["f_seid.seid"]] = message["user_id.imsi"]
        else:
            imsi = numbers[record.receiver, message["seid"]]
        if message.name == "SessionEstablishmentResponse":
            numbers[record.sender, message["f_seid.seid"]] = imsi
        found[place] = imsi
    return found


@pytest.mark.parametrize(("scenario", "ues"), [("n2n4-c02", 8), ("n2n4-gnb-restart", 16)])
def test_recorded_sessions_belong_to_the_right_ue(scenario: str, ues: int):
    records = recorded(scenario)
    imsis = truth(records)
    unnamed = [replace(record, message=record.message.without("user_id")) for record in records]
    places = {id(record): place for place, record in enumerate(unnamed)}
    found = list(dialogues(unnamed))
    assert sum(len(dialogue.records) for dialogue in found) == len(records)
    ues_found = [dialogue for dialogue in found if dialogue.context.kind == "ue"]
    assert len(ues_found) == len({dialogue.context.supi for dialogue in ues_found} - {None}) == ues
    right = Counter(
        imsis[places[id(record)]] == dialogue.context.supi
        for dialogue in found
        for record in dialogue.records
        if places[id(record)] in imsis
    )
    assert right == {True: len(imsis)}


def test_recorded_ciphered_connections_belong_to_the_right_ue():
    records = recorded("n2n4-nea2-c08")
    found = [dialogue.context for dialogue in dialogues(records) if dialogue.context.kind == "ue"]
    assert len(found) == len({context.supi for context in found} - {None}) == 16
