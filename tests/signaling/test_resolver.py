"""Resolvers: what they hear, what they say, what they refuse, and what they keep."""

from __future__ import annotations

import json
from collections import Counter
from random import Random

import numpy as np
import pytest

from gentwin.signaling.core import OPEN5GS, NetworkConfiguration, Subscriber, Subscribers, Subscription
from gentwin.signaling.core.configuration import EMBB
from gentwin.signaling.dialogue import Automaton, Slot, to_message
from gentwin.signaling.fields import Bits, Fields
from gentwin.signaling.messages import NGAP, PFCP, Message
from gentwin.signaling.resolver import CoreNetwork, NetworkAllocators, Resolver, ResolverError
from gentwin.signaling.resolver.state import from_plain, to_plain
from gentwin.signaling.security import ProtectionScheme, conceal, derive_public_key, pack_msin
from gentwin.signaling.turns import FROM_CORE
from tests.signaling.dialogue_samples import sampled, vocabulary
from tests.signaling.record_samples import guti, nas, s_tmsi
from tests.signaling.resolver_networks import Recording, names, synthesised

STATION, UPF = "127.0.2.1:41621", "127.0.0.7:8805"
SUPI = "999700000000001"
HOME_KEY = bytes(range(1, 33))


def network(**arguments) -> CoreNetwork:
    subscribers = Subscribers()
    for supi, barred in ((SUPI, False), ("999700000000002", True)):
        known = Subscription(EMBB, "internet"), Subscription(EMBB, "ims", 5, 1)
        subscribers.add(Subscriber(supi, bytes(16), bytes(16), "821000000001", (EMBB,), known, barred=barred))
    return CoreNetwork(NetworkConfiguration(), subscribers, random=Random(1), **arguments)


def first(identity: Fields, ran_id: int = 1) -> Message:
    """Returns the first message of a UE that registers."""
    request = nas(
        "RegistrationRequest",
        registration_type=Fields.of(follow_on_request=1, type="initial"),
        ng_ksi=Fields.of(tsc="native", ksi=7),
        mobile_identity=identity,
    )
    return Message(NGAP, "InitialUEMessage", Fields.of(ran_ue_ngap_id=ran_id, nas_pdu=request))


def suci(msin: str = "0000000001", **changes) -> Fields:
    known = {"type": "suci", "supi_format": "imsi", "mcc": "999", "mnc": "70", "routing_indicator": "0"}
    known |= {"protection_scheme": "null", "home_network_public_key_id": 0}
    return Fields.of(**(known | ({} if "scheme_output" in changes else {"msin": msin}) | changes))


def live(recording: Recording, until: str = "") -> tuple[CoreNetwork, dict[int, Resolver]]:
    """Returns the contexts of a recording, followed in the order of time until a message of a name was heard."""
    shared, contexts = recording.network(), {}
    owners = {id(record): dialogue.context.number for dialogue in recording.dialogues for record in dialogue.records}
    for record in recording.records:
        resolver = contexts.setdefault(owners[id(record)], Resolver(shared))
        if recording.sides.direction_of(record) in FROM_CORE:
            resolver.note(record.message, record.timestamp)
            continue
        resolver.hear(record.message, record.timestamp, record.sender)
        if until and until in names(record.message):
            break
    return shared, contexts


# ---------------------------------------------------------------- identities


@pytest.mark.parametrize(
    ("identity", "hint"),
    [
        (suci(), "known"),
        (suci("0000000002"), "barred"),
        (suci("0000000003"), "unknown"),
        (suci(mcc="001"), "unknown"),
        (guti(b"\xc0\0\0\1"), "unknown"),
        (suci(protection_scheme="ecies_profile_a", scheme_output=bytes(45)), "concealed"),
        (suci(protection_scheme="ecies_profile_a", home_network_public_key_id=1, scheme_output=bytes(9)), "concealed"),
        (Fields.of(type="suci", supi_format="network_specific_identifier", nai="someone@example.org"), "unknown"),
        (Fields.of(type="imei", imei="490154203237518"), "unknown"),
    ],
)
def test_who_registers_is_known_or_not(identity: Fields, hint: str):
    heard = Resolver(network(home_keys={1: HOME_KEY})).hear(first(identity), 0.0, STATION)
    assert heard.hints[:2] == ("<security=unprotected>", f"<identity={hint}>")
    assert ("<policy=admit>" in heard.hints) == (hint == "known")


@pytest.mark.parametrize("scheme", [ProtectionScheme.PROFILE_A, ProtectionScheme.PROFILE_B])
def test_concealed_identities_are_revealed_with_the_key_of_the_home_network(scheme: ProtectionScheme):
    output = conceal(scheme, pack_msin("0000000001"), derive_public_key(scheme, HOME_KEY), bytes(range(2, 34)))
    name = {ProtectionScheme.PROFILE_A: "ecies_profile_a", ProtectionScheme.PROFILE_B: "ecies_profile_b"}[scheme]
    identity = suci(protection_scheme=name, home_network_public_key_id=7, scheme_output=output)
    resolver = Resolver(network(home_keys={7: HOME_KEY}))
    assert "<identity=known>" in resolver.hear(first(identity), 0.0, STATION).hints
    assert resolver.state.supi == SUPI
    assert resolver.network.find(first(identity), STATION) is resolver


# ---------------------------------------------------------------- messages find their contexts


def test_messages_find_their_contexts():
    recording = synthesised(OPEN5GS)
    shared, contexts = recording.network(), {}
    owners = {id(record): dialogue.context.number for dialogue in recording.dialogues for record in dialogue.records}
    found = 0
    for record in recording.records:
        owner = owners[id(record)]
        if recording.sides.direction_of(record) in FROM_CORE:
            contexts.setdefault(owner, Resolver(shared)).note(record.message, record.timestamp)
            continue
        assert shared.find(record.message, record.sender) is contexts.get(owner)
        found += owner in contexts
        contexts.setdefault(owner, Resolver(shared)).hear(record.message, record.timestamp, record.sender)
    assert found > 200


def test_what_nobody_knows_finds_no_context():
    shared = network()
    for identity in (guti(b"\xc0\0\0\1"), suci("0000000009")):
        assert shared.find(first(identity), STATION) is None
    assert shared.find(Message(NGAP, "UplinkNASTransport", Fields.of(amf_ue_ngap_id=5)), STATION) is None
    assert shared.find(Message(PFCP, "SessionReportRequest", Fields.of(seid=5, sequence_number=1)), UPF) is None
    assert shared.find(Message(PFCP, "HeartbeatRequest", Fields.of(sequence_number=1)), UPF) is None


# ---------------------------------------------------------------- security


def test_a_message_that_is_replayed_changed_or_foreign_is_not_trusted():
    recording = synthesised(OPEN5GS)
    shared, contexts = live(recording, until="RegistrationComplete")
    resolver = next(context for context in contexts.values() if context.state.phase == "registered")
    record = next(r for r in recording.records if "RegistrationComplete" in names(r.message))
    again = resolver.hear(record.message, record.timestamp, record.sender)
    assert again.hints[0] == "<security=repeated>"
    changed = record.message.with_value("nas_pdu.mac", bytes(4))
    assert resolver.hear(changed, record.timestamp, record.sender).hints[0] == "<security=failed>"
    assert Resolver(shared).hear(record.message, record.timestamp, record.sender).hints[0] == "<security=no_context>"
    assert resolver.state.phase == "registered"


def test_who_takes_the_name_of_another_changes_nothing_of_theirs():
    recording = synthesised(OPEN5GS)
    shared, contexts = live(recording, until="RegistrationComplete")
    victim = next(context for context in contexts.values() if context.state.phase == "registered")
    known = victim.protection.k_amf, victim.state.phase, shared.load.registered
    identity = guti(victim.state.tmsis[0])
    assert shared.find(first(identity, 99), STATION) is victim
    heard = victim.hear(first(identity, 99), 0.0, STATION)
    assert "<identity=known>" in heard.hints
    refusal = nas("AuthenticationResponse", res_star=bytes(16))
    answer = Message(NGAP, "UplinkNASTransport", Fields.of(amf_ue_ngap_id=0, ran_ue_ngap_id=99, nas_pdu=refusal))
    assert "<authentication=unusable>" in victim.hear(answer, 0.0, STATION).hints
    victim.note(Message(NGAP, "DownlinkNASTransport", Fields.of(nas_pdu=nas("AuthenticationReject"))), 0.0)
    assert (victim.protection.k_amf, victim.state.phase, shared.load.registered) == known


def test_hostile_messages_stop_nothing():
    automaton, random = Automaton(vocabulary()), np.random.default_rng(3)
    shared, contexts = live(synthesised(OPEN5GS), until="PDUSessionEstablishmentRequest")
    resolvers = [Resolver(shared), *contexts.values()]
    kinds = [*("ngap:InitialUEMessage", "ngap:UplinkNASTransport", "ngap:PathSwitchRequest", "ngap:NGSetupRequest")]
    kinds += ["ngap:HandoverRequired", "ngap:InitialContextSetupResponse", "ngap:UEContextReleaseRequest"]
    kinds += ["pfcp:SessionEstablishmentResponse", "pfcp:SessionReportRequest", "pfcp:AssociationSetupRequest"]
    for place in range(60):
        message = to_message(sampled(automaton, kinds[place % len(kinds)], random, named=True))
        resolver = resolvers[place % len(resolvers)]
        shared.find(message, STATION)
        assert all(token in vocabulary().ids for token in resolver.hear(message, 1.0, STATION).hints)
        json.dumps(resolver.state_dict())


# ---------------------------------------------------------------- what cannot be said


def slot(kind: str, name: str, number: int = 0) -> Slot:
    return Slot(kind, name, number)


NEW_ID = ("amf_ue_ngap_id", slot("new", "AMF_UE_ID")), ("ran_ue_ngap_id", slot("new", "RAN_UE_ID"))
CHALLENGE = nas("AuthenticationRequest", autn=slot("calc", "AUTN"))
RESPONSE = nas("AuthenticationResponse", res_star=slot("calc", "RES"))
PROTECTED = nas(
    "SecurityProtected",
    security_header_type="integrity_protected_and_ciphered",
    mac=slot("calc", "MAC"),
    sequence_number=slot("calc", "NAS_SN"),
    payload=nas("ServiceAccept"),
)


@pytest.mark.parametrize(
    ("message", "path", "reason"),
    [
        (Message(NGAP, "DownlinkNASTransport", Fields(NEW_ID)), "amf_ue_ngap_id", "no connection"),
        (
            Message(NGAP, "UEContextReleaseCommand", Fields.of(amf_ue_ngap_id=slot("ref", "AMF_UE_ID", 2))),
            "amf_ue_ngap_id",
            "refers to none",
        ),
        (Message(NGAP, "DownlinkNASTransport", Fields.of(nas_pdu=PROTECTED)), "DownlinkNASTransport", "key set"),
        (
            Message(NGAP, "InitialContextSetupRequest", Fields.of(security_key=slot("calc", "K_GNB"))),
            "security_key",
            "no connection",
        ),
        (
            Message(NGAP, "InitialContextSetupRequest", Fields.of(masked_imeisv=slot("db", "IMEISV"))),
            "masked_imeisv",
            "has not said",
        ),
        (
            Message(PFCP, "SessionDeletionRequest", Fields.of(seid=slot("new", "SEID"))),
            "seid",
            "the user plane has no session",
        ),
        (
            Message(PFCP, "HeartbeatResponse", Fields.of(sequence_number=slot("new", "PFCP_SEQ"))),
            "sequence_number",
            "no request",
        ),
        (
            Message(NGAP, "DownlinkNASTransport", Fields.of(nas_pdu=CHALLENGE)),
            "nas_pdu.autn",
            "subscriber is not known",
        ),
        (
            Message(NGAP, "DownlinkNASTransport", Fields.of(nas_pdu=RESPONSE)),
            "nas_pdu.res_star",
            "a core has no value",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_slot_that_cannot_be_filled_is_named(message: Message, path: str, reason: str):
    resolver = Resolver(network())
    before = resolver.state_dict()
    with pytest.raises(ResolverError, match=reason) as error:
        resolver.say(message, 5.0)
    assert error.value.path == path
    assert resolver.state_dict() | {"time": 0.0} == before


def test_what_the_grammar_allows_is_said_or_refused():
    automaton, random = Automaton(vocabulary(), slots=True), np.random.default_rng(5)
    shared, contexts = live(synthesised(OPEN5GS), until="PDUSessionEstablishmentRequest")
    resolvers, outcomes = [Resolver(shared), *contexts.values()], Counter()
    kinds = [*("ngap:DownlinkNASTransport", "ngap:InitialContextSetupRequest", "ngap:UEContextReleaseCommand")]
    kinds += ["ngap:Paging", "pfcp:SessionDeletionRequest", "pfcp:SessionReportResponse", "pfcp:HeartbeatRequest"]
    for place in range(70):
        message = to_message(sampled(automaton, kinds[place % len(kinds)], random, named=True))
        try:
            said = resolvers[place % len(resolvers)].say(message, 1.0)
        except ResolverError:
            outcomes["refused"] += 1
        else:
            assert not any(isinstance(value, Slot) for _, value in said.fields.walk())
    assert outcomes["refused"] > 20


def test_every_handover_has_the_next_key_of_the_chain():
    resolver = Resolver(network())
    resolver.state.key, resolver.state.chain = bytes(32), 6
    _, contexts = live(synthesised(OPEN5GS), until="RegistrationComplete")
    resolver.protection = next(c for c in contexts.values() if c.protection.current is not None).protection
    security = Fields.of(next_hop_chaining_count=slot("calc", "CHAIN"), next_hop_nh=slot("calc", "NH"))
    message = Message(NGAP, "PathSwitchRequestAcknowledge", Fields.of(security_context=security))
    given = [resolver.say(message, 0.0)["security_context"] for _ in range(3)]
    assert [known["next_hop_chaining_count"] for known in given] == [7, 0, 1]
    assert len({known["next_hop_nh"] for known in given}) == 3


def test_identifiers_of_a_message_that_is_not_said_are_given_back():
    shared = network()
    resolver = Resolver(shared)
    resolver.hear(first(suci()), 0.0, STATION)
    challenge = nas("AuthenticationRequest", rand=slot("new", "RAND"), autn=slot("calc", "AUTN"), abba=b"\0\0")
    bad = Fields((*NEW_ID, ("nas_pdu", challenge), ("security_key", slot("calc", "K_GNB"))))
    with pytest.raises(ResolverError):
        resolver.say(Message(NGAP, "DownlinkNASTransport", bad), 0.0)
    assert not resolver.state.connections and resolver.state.fresh is not None
    good = Message(NGAP, "DownlinkNASTransport", Fields((*NEW_ID, ("nas_pdu", challenge))))
    said = resolver.say(good, 0.0)
    assert isinstance(said["amf_ue_ngap_id"], int) and said["ran_ue_ngap_id"] == 1
    assert shared.find(Message(NGAP, "UplinkNASTransport", Fields((said.fields[0],))), STATION) is resolver
    assert resolver.receiver(said) == STATION


# ---------------------------------------------------------------- allocators


def test_nothing_that_lives_is_given_twice():
    allocators = NetworkAllocators(NetworkConfiguration(max_ues=8), Random(1))
    for kind, scope in (("TMSI", ""), ("SEID", ""), ("TEID", ""), ("AMF_UE_ID", ""), ("UE_IP", "internet")):
        given = [allocators.allocate(kind, scope) for _ in range(12)]
        assert len({*given}) == 12
        allocators.free(kind, given[0], scope)
        allocators.claim(kind, given[0], scope)
        assert given[0] not in [allocators.allocate(kind, scope) for _ in range(3)]
    assert [allocators.allocate("PFCP_SEQ", "one") for _ in range(2)] == [1, 2]
    assert allocators.allocate("PFCP_SEQ", "other") == 1
    assert allocators.allocate("UE_IP", "ims", "10.46.0.77") == "10.46.0.77"


@pytest.mark.parametrize(("kind", "scope"), [("UE_IP", "nowhere"), ("UNKNOWN", "")])
def test_what_is_not_allocated_here_is_refused(kind: str, scope: str):
    with pytest.raises(ValueError, match="`kind` must be one that is allocated"):
        NetworkAllocators(NetworkConfiguration(), Random(1)).allocate(kind, scope)


# ---------------------------------------------------------------- checkpoints


def test_contexts_go_on_from_a_checkpoint():
    recording = synthesised(OPEN5GS)
    dialogue = max(recording.dialogues, key=lambda dialogue: len(dialogue.records))
    one, shared = Resolver(recording.network()), recording.network()
    other = Resolver(shared)
    for place, record in enumerate(dialogue.records):
        if place % 7 == 3:
            values = json.loads(json.dumps(one.state_dict()))
            shared = recording.network()
            other = Resolver(shared)
            other.load_state_dict(values)
            assert other.state_dict() == values
            assert shared.load.registered == (one.state.phase == "registered")
            assert all(shared.contexts["TMSI", tmsi] is other for tmsi in one.state.tmsis)
        if recording.sides.direction_of(record) in FROM_CORE:
            assert one.note(record.message, record.timestamp) == other.note(record.message, record.timestamp)
        else:
            heard = record.message, record.timestamp, record.sender
            assert one.hear(*heard) == other.hear(*heard)


def test_plain_values_come_back():
    values = {"a": (1, b"\x01", None), 2: [Bits(3, 5)], "b": EMBB}
    assert from_plain(json.loads(json.dumps(to_plain(values)))) == values


def test_paging_names_the_ue_that_is_idle():
    recording = synthesised(OPEN5GS)
    shared, _ = live(recording, until="SessionReportRequest")
    report = next(record for record in recording.records if record.message.name == "SessionReportRequest")
    resolver = shared.find(report.message, report.sender)
    identity = Fields.of(five_g_s_tmsi=s_tmsi(slot("ref", "TMSI", 1)))
    said = resolver.say(Message(NGAP, "Paging", Fields.of(ue_paging_identity=identity)), report.timestamp)
    assert said["ue_paging_identity.five_g_s_tmsi.five_g_tmsi"] == resolver.state.tmsis[0]
    assert resolver.receiver(said) is None
