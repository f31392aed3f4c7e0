"""What NGAP messages consist of: names, bounds, and agreement with an independent encoder."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from gentwin.signaling import ngap
from gentwin.signaling.errors import DecodeError, EncodeError
from gentwin.signaling.ngap.names import field_name
from gentwin.signaling.ngap.nas import AROUND_NAS
from gentwin.signaling.ngap.per import Reader, Writer
from tests.signaling.ngap_trees import random_message

pytest.importorskip("pycrate_asn1dir", reason="needs the extra `signaling`")


def kinds_below(kind: ngap.Kind, found: dict[int, ngap.Kind] | None = None) -> dict[int, ngap.Kind]:
    """Returns all kinds that a kind consists of."""
    found = {} if found is None else found
    if id(kind) not in found:
        found[id(kind)] = kind
        for part in parts_of(kind):
            kinds_below(part[1], found)
    return found


def parts_of(kind: ngap.Kind) -> Iterator[tuple[str, ngap.Kind]]:
    match kind:
        case ngap.Sequence():
            yield from ((part.name, part.kind) for part in kind.components)
        case ngap.Choice():
            yield from ((part.name, part.kind) for part in kind.alternatives)
        case ngap.Elements():
            yield from ((part.name, part.kind) for part in kind.elements)
        case ngap.SequenceOf():
            yield "item", kind.item
        case ngap.OctetString(contains=inner) if inner:
            yield "contained", inner


@pytest.fixture(scope="module")
def kinds() -> list[ngap.Kind]:
    found: dict[int, ngap.Kind] = {}
    for name in ngap.message_names():
        if ngap.schema(name).content:
            kinds_below(ngap.schema(name).content, found)
    return list(found.values())


def test_schema_says_what_the_specification_says():
    message = ngap.schema("InitialUEMessage")
    assert (message.procedure_code, message.outcome, message.criticality) == (15, "initiating", "ignore")
    elements = {element.name: element for element in message.content.elements}
    assert [element.name for element in message.content.elements[:4]] == [
        "ran_ue_ngap_id",
        "nas_pdu",
        "user_location_information",
        "rrc_establishment_cause",
    ]
    identifier = elements["ran_ue_ngap_id"]
    assert (identifier.identifier, identifier.criticality, identifier.presence) == (85, "reject", "mandatory")
    assert (identifier.kind.lower, identifier.kind.upper, identifier.kind.extensible) == (0, 4294967295, False)
    assert elements["five_g_s_tmsi"].presence == "optional"
    assert elements["rrc_establishment_cause"].kind.values[:4] == (
        "emergency",
        "highPriorityAccess",
        "mt-Access",
        "mo-Signalling",
    )
    assert isinstance(elements["user_location_information"].kind, ngap.Choice)


def test_schema_of_a_transfer_has_its_elements():
    setup = {part.name: part for part in ngap.schema("PDUSessionResourceSetupRequest").content.elements}
    item = setup["pdu_session_resource_setup_list_su_req"].kind.item
    parts = {part.name: part for part in item.components}
    assert parts["pdu_session_nas_pdu"].optional and not parts["s_nssai"].optional
    transfer = parts["pdu_session_resource_setup_request_transfer"].kind.contains
    assert {"ul_ngu_up_tnl_information", "pdu_session_type"} <= set(transfer.by_name)
    assert transfer.by_name["qos_flow_setup_request_list"].kind.upper == 64


def test_messages_have_their_outcome():
    names = ngap.message_names()
    assert len(names) == len(set(names)) and len(names) >= 130
    for name, outcome in (
        ("NGSetupFailure", "unsuccessful"),
        ("HandoverRequestAcknowledge", "successful"),
        ("UEContextReleaseComplete", "successful"),
        ("PathSwitchRequestFailure", "unsuccessful"),
        ("RerouteNASRequest", "initiating"),
    ):
        assert ngap.schema(name).outcome == outcome
    with pytest.raises(EncodeError, match="did you mean `NGSetupRequest`"):
        ngap.schema("NgSetupRequest")


def test_named_types_are_one_object(kinds: list[ngap.Kind]):
    paging, setup = ngap.schema("Paging").content.by_name, ngap.schema("NGSetupRequest").content.by_name
    of_paging = {kind.type_name: kind for kind in kinds_below(paging["tai_list_for_paging"].kind).values()}
    of_setup = {kind.type_name: kind for kind in kinds_below(setup["supported_ta_list"].kind).values()}
    assert of_paging["TAC"] is of_setup["TAC"] and of_paging["PLMNIdentity"] is of_setup["PLMNIdentity"]
    assert len(kinds) < 3000


def test_names_are_unique_and_not_those_of_markers(kinds: list[ngap.Kind]):
    for kind in kinds:
        names = [name for name, _ in parts_of(kind)]
        assert len(names) == len(set(names)), kind
        if isinstance(kind, ngap.Elements):
            assert not {"opaque", "criticality", "trailing"} & set(names), kind


def test_contents_of_octets_are_told_from_octets(kinds: list[ngap.Kind]):
    for kind in kinds:
        if isinstance(kind, ngap.OctetString) and kind.contains:
            assert isinstance(kind.contains, ngap.Elements | ngap.Sequence | ngap.SequenceOf | ngap.Choice)


def test_nas_fields_are_those_that_hold_nas(kinds: list[ngap.Kind]):
    parts = [part for kind in kinds for part in parts_of(kind)]
    # The element `nasc` has the type of a NAS message, but holds an element of one (TS 38.413, clause 9.2.3.4).
    assert {name for name, kind in parts if kind.type_name == "NAS-PDU"} == ngap.NAS_FIELDS | {"nasc"}
    assert {kind.type_name for name, kind in parts if name in ngap.NAS_FIELDS} == {"NAS-PDU"}


def test_nas_is_looked_for_wherever_it_can_be(kinds: list[ngap.Kind]):
    around: set[str] = set()
    for kind in kinds:
        for name, inner in parts_of(kind):
            below = [part for known in kinds_below(inner).values() for part, _ in parts_of(known)]
            if not ngap.NAS_FIELDS.isdisjoint(below):
                around.add(name)
    assert around == AROUND_NAS


@pytest.mark.parametrize(
    ("identifier", "name"),
    [
        ("id-AMF-UE-NGAP-ID", "amf_ue_ngap_id"),
        ("id-NAS-PDU", "nas_pdu"),
        ("pDUSessionID", "pdu_session_id"),
        ("dL-NGU-UP-TNLInformation", "dl_ngu_up_tnl_information"),
        ("gTP-TEID", "gtp_teid"),
        ("globalRANNodeID", "global_ran_node_id"),
        ("qosFlowLevelQosParameters", "qos_flow_level_qos_parameters"),
        ("nonDynamic5QI", "non_dynamic_5qi"),
        ("nRencryptionAlgorithms", "nr_encryption_algorithms"),
        ("equivalentPLMNs", "equivalent_plmns"),
        ("userLocationInformationN3IWF-with-PortNumber", "user_location_information_n3iwf_with_port_number"),
        ("targetNGRANnodeID", "target_ngran_node_id"),
        ("iE-Extensions", "ie_extensions"),
    ],
)
def test_names_are_in_snake_case(identifier: str, name: str):
    assert field_name(identifier) == name


def test_bytes_are_those_of_an_independent_encoder():
    from pycrate_asn1dir import NGAP

    pdu = NGAP.NGAP_PDU_Descriptions.NGAP_PDU
    for name in ngap.message_names():
        if name == "PrivateMessage":
            continue
        data = ngap.encode(random_message(name, Random(f"independent {name}")))
        pdu.from_aper(data)
        assert pdu.to_aper() == data, name
        kind, outer = pdu.get_val()
        assert kind.lower().startswith(ngap.schema(name).outcome) and outer["value"][0] == name


def test_schemas_are_made_once_however_many_ask():
    with ThreadPoolExecutor(4) as threads:
        asked = list(threads.map(ngap.schema, ["Paging"] * 8))
    assert all(known is asked[0] for known in asked)


def test_threads_do_not_disturb_each_other():
    messages = [random_message(name, Random(name)) for name in ("Paging", "NGSetupRequest", "HandoverRequired")] * 20
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda message: ngap.decode(ngap.encode(message)), messages)) == messages


@pytest.mark.parametrize("span", [0, 1, 7, 254, 255, 256, 65535, 65536, 4294967295, (1 << 40) - 1, (1 << 64) - 1])
def test_numbers_are_read_as_written(span: int):
    for number in {0, 1, span // 2, span - 1, span} & set(range(span + 1)) if span < 10 else {0, 1, span // 2, span}:
        writer = Writer()
        writer.uint(1, 1)
        writer.constrained(number, span)
        reader = Reader(writer.finish())
        assert reader.uint(1) == 1 and reader.constrained(span) == number


@pytest.mark.parametrize("number", [0, 1, 127, 128, -1, -128, -129, 65536, -(10**12), 1 << 500])
def test_numbers_without_bounds_are_read_as_written(number: int):
    writer = Writer()
    writer.unconstrained(number)
    assert Reader(writer.finish()).unconstrained() == number


@pytest.mark.parametrize(
    ("data", "method"),
    [
        ("8005" + "00" * 5, "counted_octets"),  # a length in two octets that needs one
        ("c5", "counted_octets"),  # more than four blocks
        ("020001", "unconstrained"),  # a number in two octets that needs one
        ("00", "unconstrained"),  # a number in no octets
        ("41" + "00" * 65, "unconstrained"),
    ],
)
def test_numbers_and_lengths_have_only_one_way(data: str, method: str):
    with pytest.raises(DecodeError):
        getattr(Reader(bytes.fromhex(data)), method)()
