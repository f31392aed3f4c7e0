"""What the reference core does, procedure by procedure: registration, sessions, moves; and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gentwin.signaling.core import GENERIC, OPEN5GS, Faults, HomeKey, NetworkConfiguration, Slice, Timing, n2
from gentwin.signaling.core import n1 as nas_messages
from gentwin.signaling.core.home import HomePublicKey
from tests.signaling.core_networks import (
    STATIONS,
    causes,
    change,
    check_bytes,
    check_living,
    does,
    make_network,
    named,
    play,
    registered,
)
from tests.signaling.core_templates import chain, chains

# ---------------------------------------------------------------- registration


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        ({"supi": "999700000999999"}, 7),
        ({"algorithms": nas_messages.NO_COMMON_INTEGRITY}, 23),
        ({"home_key": HomePublicKey.of(HomeKey(9, "profile_a", "11" * 32))}, 7),
    ],
)
def test_registration_is_rejected(values, cause):
    core, ues = make_network()
    records = play(core, (4.0, change(core, ues[0], **values).register))
    check_bytes(records)
    assert causes(records, "RegistrationReject") == [cause]
    assert causes(records, "UEContextReleaseCommand") == ["normal-release"]
    assert not core.amf.connections and not core.load.registered


def test_barred_subscriber_is_rejected():
    core, (ue,) = make_network()
    core.subscribers.add(replace(core.subscribers.get(ue.usim.supi), barred=True))
    assert causes(play(core, (4.0, ue.register)), "RegistrationReject") == [7]
    assert ue.barred


@pytest.mark.parametrize("scheme", ["profile_a", "profile_b"])
def test_concealed_identity_is_read_by_the_home_network(scheme):
    core, ues = make_network()
    key = next(HomePublicKey.of(known) for known in core.network.home_keys if known.scheme == scheme)
    ue = change(core, ues[0], home_key=key)
    records = play(core, (4.0, ue.register), until=5.0)
    core.amf.by_tmsi.clear()
    core.amf.tmsis.living.clear()
    records += play(core, (5.0, ue.release), (6.0, ue.send_data), until=8.0)
    check_bytes(records)
    assert causes(records, "ServiceReject") == [9]
    asked = [message["nas_pdu"] for message in named(records, "InitialUEMessage")]
    outputs = {nas["mobile_identity.scheme_output"] for nas in asked if nas.name == "RegistrationRequest"}
    assert len(outputs) == 2 and ue.state == "registered"


def test_default_slice_takes_the_place_of_those_that_may_not_be_used():
    core, ues = make_network()
    ue = change(core, ues[0], slices=(Slice(7),), session=(Slice(7), "internet"))
    records = play(core, (4.0, ue.register))
    assert (ue.allowed, ue.rejected) == ((Slice(1),), (Slice(7),))
    assert causes(records, "5GMMStatus") == [91]


def test_no_slice_is_left():
    core, (ue,) = make_network()
    core.subscribers.add(replace(core.subscribers.get(ue.usim.supi), slices=(Slice(7),)))
    assert causes(play(core, (4.0, ue.register)), "RegistrationReject") == [62]


def test_wrong_key_fails_authentication():
    core, ues = make_network()
    ue = change(core, ues[0], k=bytes(16))
    records = play(core, (4.0, ue.register))
    assert causes(records, "AuthenticationFailure") == [20]
    assert named(records, "AuthenticationReject") and ue.barred


def test_sequence_numbers_are_resynchronised():
    core, ues = make_network()
    ue = change(core, ues[0], sqn=5000 << 5)
    records = play(core, (4.0, ue.register))
    assert causes(records, "AuthenticationFailure") == [21]
    assert len(named(records, "AuthenticationRequest")) == 2
    assert ue.state == "registered" and named(records, "RegistrationAccept")


def test_unknown_identity_is_asked_for():
    core, (ue,) = registered()
    does(core, ue.deregister, False)
    core.amf.by_tmsi.clear()
    core.amf.tmsis.living.clear()
    core.amf.by_supi.clear()
    records = does(core, ue.register)
    assert len(named(records, "IdentityRequest")) == len(named(records, "IdentityResponse")) == 1
    assert ue.state == "registered"


@pytest.mark.parametrize("kind", ["periodic_updating", "mobility_updating"])
def test_registration_is_updated_without_a_challenge(kind):
    core, (ue,) = registered()
    does(core, ue.release)
    old = ue.tmsi
    records = does(core, ue.update, kind)
    assert named(records, "RegistrationComplete") and not named(records, "AuthenticationRequest")
    assert ue.idle and ue.state == "registered" and ue.tmsi != old and 1 in ue.sessions
    check_living(core)


def test_periodic_registration_comes_by_itself():
    flavour = replace(OPEN5GS, timing=Timing(t3512=30.0))
    core, (ue,) = registered(network=NetworkConfiguration(stations=STATIONS, flavour=flavour))
    records = does(core, ue.release, seconds=65.0)
    kinds = [message["nas_pdu"]["payload"]["registration_type.type"] for message in named(records, "InitialUEMessage")]
    assert kinds == ["periodic_updating"] * 2


def test_slices_requested_in_clear_are_an_error_here():
    """As recorded: the UE stays registered, the connection stays, the next update is rejected likewise."""
    flavour = replace(OPEN5GS, requested_nssai_in_clear=True, timing=Timing(t3512=12.0))
    core, (ue,) = registered(network=NetworkConfiguration(stations=STATIONS, flavour=flavour))
    records = does(core, ue.release, seconds=20.0)
    assert causes(records, "RegistrationReject") == [95]
    assert ue.state == "registered" and not ue.idle and core.load.registered == 1
    records = does(core, ue.release, seconds=20.0)
    assert causes(records, "RegistrationReject") == [95] and ue.sessions[1].state == "there"


def test_update_of_a_ue_that_was_deregistered_meanwhile():
    core, (ue,) = registered(network=NetworkConfiguration(stations=STATIONS, flavour=GENERIC))
    does(core, ue.release)
    does(core, core.amf.deregistrations.deregister, ue.usim.supi)
    records = does(core, ue.update)
    assert causes(records, "RegistrationReject") == [10]
    assert named(records, "AuthenticationRequest") and ue.state == "registered"


def test_ue_comes_back_as_soon_as_it_is_released():
    core, (ue,) = registered()
    records = does(core, ue.deregister, False, True)
    names = chains(records)
    released = names.index("UEContextReleaseComplete")
    assert names[released + 1] == "InitialUEMessage+RegistrationRequest"
    assert records[released + 1].timestamp - records[released].timestamp < 0.01
    assert records[released + 1].message["nas_pdu.mobile_identity.type"] == "5g_guti" and ue.state == "registered"


def test_ue_that_misses_its_acceptance_registers_again_on_the_same_connection():
    """As recorded: #101, the acceptance again after T3550, a new request after T3511."""
    core, (ue,) = registered(faults=Faults(acceptance_missed=1.0))
    records = does(core, ue.deregister, False, True, seconds=20.0)
    names = chains(records)
    assert causes(records, "UplinkNASTransport").count(101) == 1
    accepts = [record for record in records if "RegistrationAccept" in chain(record.message)]
    assert [chain(record.message) for record in accepts] == [
        "InitialContextSetupRequest+RegistrationAccept",
        "DownlinkNASTransport+RegistrationAccept",
        "DownlinkNASTransport+RegistrationAccept",
    ]
    assert accepts[1].timestamp - accepts[0].timestamp == pytest.approx(6.0, abs=0.1)
    (again,) = [record for record in records if chain(record.message) == "UplinkNASTransport+RegistrationRequest"]
    assert again.timestamp - accepts[0].timestamp == pytest.approx(10.0, abs=0.1)
    assert again.message["nas_pdu.requested_nssai"] and names.count("UEContextReleaseCommand") == 1
    assert len({record.message["nas_pdu.payload.guti.tmsi"] for record in accepts}) == 1
    assert ue.state == "registered" and ue.sessions[1].state == "there"


def test_ciphered_dialogue():
    flavour = replace(GENERIC, ciphering=2)
    core, (ue,) = registered(network=NetworkConfiguration(stations=STATIONS, flavour=flavour))
    assert ue.state == "registered" and ue.sessions[1].state == "there"
    records = does(core, ue.release) + does(core, ue.send_data)
    container = named(records, "InitialUEMessage")[0]["nas_pdu"]["payload"]["nas_message_container"]
    assert isinstance(container, bytes)
    assert isinstance(named(records, "InitialContextSetupRequest")[0]["nas_pdu"]["payload"], bytes)
    assert core.smf.sessions[ue.usim.supi, 1].active


def test_ue_without_ciphering_is_not_ciphered():
    flavour = replace(GENERIC, ciphering=2)
    core, ues = make_network(2, network=NetworkConfiguration(stations=STATIONS, flavour=flavour))
    null = change(core, ues[0], algorithms=nas_messages.NULL_CIPHERING)
    records = play(core, (4.0, null.register), (4.5, ues[1].register), until=6.0)
    chosen = [
        message["nas_pdu.payload.selected_nas_security_algorithms.ciphering"]
        for message in named(records, "SecurityModeCommand")
    ]
    assert chosen == [0, 2] and null.state == ues[1].state == "registered"


# ---------------------------------------------------------------- sessions


@pytest.mark.parametrize(
    ("flavour", "allowed", "asked", "expected"),
    [
        (GENERIC, ("ipv4",), "ipv4", []),
        (GENERIC, ("ipv4",), "ipv4v6", []),
        (GENERIC, ("ipv4",), "ipv6", [50]),
        (GENERIC, ("ipv6",), "ipv4", [51]),
        (GENERIC, ("ipv4",), "unstructured", [28]),
        (OPEN5GS, ("ipv6",), "ipv4", [67]),
    ],
)
def test_types_of_sessions(flavour, allowed, asked, expected):
    core, ues = make_network(network=NetworkConfiguration(stations=STATIONS, flavour=flavour))
    ue = change(core, ues[0], session_type=asked)
    subscriber = core.subscribers.get(ue.usim.supi)
    subscription = replace(subscriber.subscriptions[0], session_types=allowed)
    core.subscribers.add(replace(subscriber, subscriptions=(subscription,)))
    records = play(core, (4.0, ue.register))
    check_bytes(records)
    assert causes(records, "PDUSessionEstablishmentReject") == expected
    there = bool(ue.sessions) and ue.sessions[1].state == "there"
    assert there == (allowed == ("ipv4",) and asked != "unstructured")  # #50: asked for again, of IPv4
    told = causes(records, "PDUSessionEstablishmentAccept")
    assert told == ([50] if asked == "ipv4v6" else [] if not there else told)


def test_refused_sessions_stay_in_the_recorded_core():
    core, (ue,) = registered()
    records = does(core, ue.establish, Slice(1), "nosuch")
    assert causes(records, "5GMMStatus") == [91] and ue.sessions[2].state == "asked"
    does(core, ue.release)
    accept = named(does(core, ue.send_data), "ServiceAccept")[0]["nas_pdu.payload"]
    assert accept["pdu_session_status"] == "psi_1 psi_2" and accept["pdu_session_reactivation_result"] == "psi_2"
    again = named(does(core, lambda: None, seconds=16.0), "PDUSessionEstablishmentRequest")
    assert [message["nas_pdu.payload.dnn"] for message in again] == ["nosuch"]
    does(core, ue.deregister, False, True)
    does(core, ue.release)
    accept = named(does(core, ue.send_data), "ServiceAccept")[0]["nas_pdu.payload"]
    assert accept["pdu_session_status"] == "psi_1 psi_2", "not even a deregistration ends it"


def test_another_flavour_returns_what_it_does_not_forward():
    core, (ue,) = registered(network=NetworkConfiguration(stations=STATIONS, flavour=GENERIC))
    records = does(core, ue.establish, Slice(1), "nosuch")
    assert causes(records, "DLNASTransport") == [91]
    assert causes(does(core, ue.establish, Slice(3), "internet"), "DLNASTransport") == [90]
    assert [*ue.sessions] == [1]


def test_sessions_are_modified_by_ue_and_network():
    core, (ue,) = registered()
    expected = ["PDUSessionModificationRequest", "SessionModificationRequest", "PDUSessionResourceModifyRequest"]
    records = does(core, ue.modify, 1)
    for name in (*expected, "PDUSessionModificationComplete", "PDUSessionResourceModifyResponse"):
        assert named(records, name)
    known = core.amf.by_supi[ue.usim.supi]
    records = does(core, core.amf.sessions.change_rates, known, known.sessions[1], (10**6, 2 * 10**6))
    assert named(records, "SessionModificationRequest")[0]["update_qer.mbr"] == nas_messages.Fields.of(
        uplink=1000, downlink=2000
    )
    assert "T3591/1" not in known.timers


def test_session_is_released_by_the_network():
    core, (ue,) = registered()
    does(core, ue.establish, Slice(1), "internet")
    records = does(core, core.amf.sessions.revoke, core.amf.by_supi[ue.usim.supi], 2)
    assert [name for name in chains(records) if name.startswith("Session")] == [
        "SessionDeletionRequest",
        "SessionDeletionResponse",
    ]
    assert causes(records, "PDUSessionReleaseCommand") == [36, "normal-release"] and [*ue.sessions] == [1]
    records = does(core, core.amf.sessions.revoke, core.amf.by_supi[ue.usim.supi], 1, 39)
    assert named(records, "PDUSessionEstablishmentAccept") and ue.sessions[1].state == "there"
    check_living(core)


def test_idle_ue_learns_of_a_released_session_when_it_comes_back():
    core, (ue,) = registered()
    does(core, ue.release)
    records = does(core, core.amf.sessions.revoke, core.amf.by_supi[ue.usim.supi], 1)
    assert chains(records) == ["SessionDeletionRequest", "SessionDeletionResponse"] and ue.sessions
    does(core, ue.send_data)
    assert not ue.sessions
    check_living(core)


# ---------------------------------------------------------------- moves


def test_handover_over_xn():
    core, (ue,) = registered()
    records = does(core, lambda: ue.station.hand_over_xn(ue.connection, core.stations[1]))
    assert chains(records) == [
        "PathSwitchRequest",
        "SessionModificationRequest",
        "SessionModificationResponse",
        "PathSwitchRequestAcknowledge",
    ]
    assert ue.station is core.stations[1] and not core.stations[0].connections
    update = records[1].message["update_far.update_forwarding_parameters"]
    assert update["outer_header_creation.ipv4"] == "127.0.2.2" and update["pfcpsmreq_flags"] == "sndem"
    assert named(does(core, ue.establish, Slice(1), "internet"), "PDUSessionResourceSetupResponse")


def test_path_switch_of_an_unknown_ue_fails():
    core, (ue,) = registered()
    core.amf.connections.clear()
    records = does(core, lambda: ue.station.hand_over_xn(ue.connection, core.stations[1]))
    assert chains(records) == ["PathSwitchRequest", "PathSwitchRequestFailure"]
    assert ue.idle


def test_handover_over_n2():
    core, (ue,) = registered()
    records = does(core, lambda: ue.station.hand_over_n2(ue.connection, core.stations[1]))
    assert chains(records)[:7] == [
        "HandoverRequired",
        "HandoverRequest",
        "HandoverRequestAcknowledge",
        "HandoverCommand",
        "UplinkRANStatusTransfer",
        "DownlinkRANStatusTransfer",
        "HandoverNotify",
    ]
    assert sorted(chains(records)[7:]) == [
        "SessionModificationRequest",
        "SessionModificationResponse",
        "UEContextReleaseCommand",
        "UEContextReleaseComplete",
    ]
    assert causes(records, "UEContextReleaseCommand") == ["successful-handover"]
    assert ue.station is core.stations[1] and len(core.amf.connections) == 1
    check_living(core)


@pytest.mark.parametrize(
    ("faults", "last"),
    [
        (Faults(handover_refused=1.0), "HandoverPreparationFailure"),
        (Faults(handover_cancelled=1.0), "UEContextReleaseComplete"),
    ],
)
def test_handover_over_n2_does_not_happen(faults, last):
    core, (ue,) = registered(faults=faults)
    records = does(core, lambda: ue.station.hand_over_n2(ue.connection, core.stations[1]))
    assert last in chains(records)[-2:]
    assert ue.station is core.stations[0] and not core.stations[1].connections
    assert named(does(core, ue.establish, Slice(1), "internet"), "PDUSessionResourceSetupResponse")


def test_containers_between_stations_are_what_they_should_be():
    definitions = pytest.importorskip("pycrate_asn1dir.NGAP").NGAP_IEs
    source = definitions.SourceNGRANNode_ToTargetNGRANNode_TransparentContainer
    source.from_aper(n2.source_container("999-70", 7, 300))
    value = source.get_val()
    assert value["targetCell-ID"] == ("nR-CGI", {"pLMNIdentity": b"\x99\xf9\x07", "nRCellIdentity": (300 << 4, 36)})
    (left,) = value["uEHistoryInformation"]
    assert left["lastVisitedCellInformation"][1]["globalCellID"][1]["nRCellIdentity"] == (7 << 4, 36)
    assert n2.source_container("310-410", 7, 300)[5:8] == b"\x13\x00\x14"
    target = definitions.TargetNGRANNode_ToSourceNGRANNode_TransparentContainer
    for c_rnti in (1, 0x1234, 65519):
        data = n2.target_container(c_rnti)
        target.from_aper(data)
        assert target.to_aper() == data and len(target.get_val()["rRCContainer"]) == 10
        assert n2.read_c_rnti(data) == c_rnti
