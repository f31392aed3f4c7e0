"""What the reference core does beyond what was recorded: refusals, moves, faults, timers, load."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gentwin.signaling.core import (
    GENERIC,
    OPEN5GS,
    Faults,
    LoadLimits,
    NetworkConfiguration,
    Slice,
    Station,
    Timing,
)
from gentwin.signaling.core import n1 as nas_messages
from tests.signaling.core_networks import (
    STATIONS,
    change,
    check_bytes,
    check_living,
    check_pfcp_answered,
    make_network,
    play,
)
from tests.signaling.core_templates import chain, chains


def named(records, name):
    return [record.message for record in records if name in chain(record.message).split("+")]


def causes(records, name):
    """Returns the values of all causes in messages of a name."""
    return [
        value
        for message in named(records, name)
        for path, value in message.fields.walk()
        if path.rpartition(".")[2] in ("cause_5gmm", "cause_5gsm") or ".cause." in f".{path}"
    ]


def registered(count=1, **arguments):
    core, ues = make_network(count, **arguments)
    play(core, *[(4.0 + 0.1 * place, ue.register) for place, ue in enumerate(ues)], until=6.0)
    return core, ues


def does(core, action, *arguments, seconds=1.0):
    """Returns what is said within some time after something was done, without heartbeats."""
    records = play(core, (core.clock.now, action, *arguments), until=core.clock.now + seconds)
    check_bytes(records)
    return [record for record in records if "Heartbeat" not in record.message.name]


# ---------------------------------------------------------------- registration


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        ({"supi": "999700000999999"}, 7),
        ({"algorithms": nas_messages.NULL_INTEGRITY_ONLY}, 23),
        ({"slices": (Slice(7),)}, 62),
    ],
)
def test_registration_is_rejected(values, cause):
    core, ues = make_network()
    records = play(core, (4.0, change(core, ues[0], **values).register))
    check_bytes(records)
    assert causes(records, "RegistrationReject") == [cause]
    assert causes(records, "UEContextReleaseCommand") == ["normal-release"]
    assert not core.amf.connections and not core.amf.registered


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
    flavour = replace(OPEN5GS, requested_nssai_in_clear=True)
    core, (ue,) = registered(network=NetworkConfiguration(stations=STATIONS, flavour=flavour))
    does(core, ue.release)
    assert causes(does(core, ue.update), "RegistrationReject") == [95]


def test_ciphered_dialogue():
    flavour = replace(GENERIC, ciphering=2)
    core, (ue,) = registered(network=NetworkConfiguration(stations=STATIONS, flavour=flavour))
    assert ue.state == "registered" and ue.sessions[1].state == "there"
    records = does(core, ue.release) + does(core, ue.send_data)
    container = named(records, "InitialUEMessage")[0]["nas_pdu"]["payload"]["nas_message_container"]
    assert isinstance(container, bytes)
    assert isinstance(named(records, "InitialContextSetupRequest")[0]["nas_pdu"]["payload"], bytes)
    assert core.smf.sessions[ue.usim.supi, 1].active


# ---------------------------------------------------------------- sessions


def test_sessions_are_refused():
    core, ues = make_network(2)
    raw = change(core, ues[0], session_type="unstructured")
    records = play(core, (4.0, raw.register), (4.5, ues[1].register), (5.5, ues[1].establish, Slice(1), "nosuch"))
    assert causes(records, "PDUSessionEstablishmentReject") == [28]
    assert causes(records, "5GMMStatus") == [91]
    assert not raw.sessions and [*ues[1].sessions] == [1]


def test_another_flavour_returns_what_it_does_not_forward():
    core, (ue,) = registered(network=NetworkConfiguration(stations=STATIONS, flavour=GENERIC))
    records = does(core, ue.establish, Slice(1), "nosuch")
    assert causes(records, "DLNASTransport") == [91]
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


def test_load_decides():
    policy = LoadLimits(registered=2, sessions=3, back_off=20.0)
    core, ues = registered(3, policy=policy)
    assert [ue.state for ue in ues] == ["registered", "registered", "deregistered"]
    assert "T3346" in ues[2].timers
    records = does(core, ues[0].establish, Slice(1), "internet")
    records += does(core, ues[1].establish, Slice(1), "internet")
    assert causes(records, "PDUSessionEstablishmentReject") == [26]
    (reject,) = named(records, "PDUSessionEstablishmentReject")
    inner = reject["nas_pdu"]["payload"]["payload_container"]
    assert inner["back_off_timer_value"] == nas_messages.timer_3(20.0)


def test_limit_of_a_slice():
    policy = LoadLimits(sessions_of_slices={Slice(1): 1})
    _, ues = registered(2, policy=policy)
    assert [len(ue.sessions) for ue in ues] == [1, 0]


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


# ---------------------------------------------------------------- stations and links


def test_stations_are_refused():
    stations = (*STATIONS, Station(3, "127.0.2.3:4", tac="000009"), Station(4, "127.0.2.4:4", slices=(Slice(9),)))
    core, _ = make_network(network=NetworkConfiguration(stations=stations))
    records = play(core, (4.0, lambda: None))
    assert causes(records, "NGSetupFailure") == ["unknown-PLMN-or-SNPN", "slice-not-supported"]
    assert [station.accepted for station in core.stations] == [True, True, False, False]


@pytest.mark.parametrize(("action", "name"), [("reset", "NGResetAcknowledge"), ("start", "NGSetupResponse")])
def test_station_loses_all_connections(action, name):
    core, (ue,) = registered()
    records = does(core, getattr(core.stations[0], action))
    assert named(records, name) and ue.idle and not core.amf.connections
    assert not core.smf.sessions[ue.usim.supi, 1].active
    assert named(does(core, ue.send_data), "ServiceAccept")


def test_message_about_an_unknown_connection_is_an_error():
    core, (ue,) = registered()
    core.amf.connections.clear()
    records = does(core, ue.establish, Slice(1), "internet")
    assert causes(records, "ErrorIndication") == ["unknown-local-UE-NGAP-ID"]
    assert ue.idle


def test_service_of_an_unknown_ue_is_rejected_and_it_registers_again():
    core, (ue,) = registered()
    does(core, ue.release)
    core.amf.by_tmsi.clear()
    core.amf.tmsis.living.clear()
    records = does(core, ue.send_data, seconds=3.0)
    assert causes(records, "ServiceReject") == [9]
    assert ue.state == "registered" and ue.sessions[1].state == "there"


# ---------------------------------------------------------------- what gets lost


def test_lost_datagrams_are_sent_again_and_then_given_up():
    core, (ue,) = make_network(faults=Faults(datagram_loss=1.0))
    core.smf.associated = True
    records = play(core, (4.0, ue.register), until=20.0)
    assert len(named(records, "SessionEstablishmentRequest")) == 4
    assert causes(records, "PDUSessionEstablishmentReject") == [38]
    assert not core.smf.sessions


def test_repeated_datagrams_change_nothing():
    core, (ue,) = registered(faults=Faults(datagram_repeat=1.0))
    assert len(core.upf.sessions) == len(core.smf.sessions) == 1
    records = does(core, ue.deregister, False)
    assert not core.upf.sessions
    assert len(named(records, "SessionDeletionRequest")) == 2


def test_late_datagrams_are_asked_for_again():
    core, (ue,) = make_network(faults=Faults(datagram_late=1.0, late_by=3.0))
    records = play(core, (10.0, ue.register), until=60.0)
    check_bytes(records)
    check_pfcp_answered(records, 10.0, 4)
    assert ue.sessions[1].state == "there" and len(core.upf.sessions) == 1


def test_lost_radio_messages_are_sent_again():
    core, ues = make_network(6, faults=Faults(radio_loss=0.2))
    records = play(core, *[(4.0, ue.register) for ue in ues], until=120.0)
    check_bytes(records)
    assert all(ue.state == "registered" for ue in ues)
    assert len(named(records, "AuthenticationRequest")) + len(named(records, "RegistrationAccept")) > 12
    check_living(core)


def test_deaf_ue_is_given_up():
    core, (ue,) = make_network()
    ue.receive = lambda nas: None
    records = play(core, (4.0, ue.register), until=60.0)
    assert len(named(records, "AuthenticationRequest")) >= 3
    assert not core.amf.procedures or core.amf.procedures == 1
    check_living(core)


def test_ue_that_is_not_heard_of_is_deregistered():
    flavour = replace(OPEN5GS, timing=Timing(t3512=30.0, implicit_deregistration=20.0))
    core, (ue,) = registered(network=NetworkConfiguration(stations=STATIONS, flavour=flavour))
    does(core, ue.release)
    ue.timers.stop_all()
    records = does(core, lambda: None, seconds=60.0)
    assert named(records, "SessionDeletionRequest") and not core.amf.registered and not core.smf.sessions


def test_unanswered_page_is_repeated():
    core, (ue,) = registered()
    does(core, ue.release)
    ue.paged = lambda: None
    records = does(core, core.upf.carry_downlink, ue.sessions[1].address, seconds=10.0)
    assert len(named(records, "Paging")) == 3 * len(core.stations)
    assert not core.amf.by_supi[ue.usim.supi].paged
