"""What the reference core does when nodes fail and messages are lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gentwin.signaling.core import OPEN5GS, Faults, NetworkConfiguration, Slice, Station, Timing
from tests.signaling.core_networks import (
    STATIONS,
    causes,
    check_bytes,
    check_living,
    check_pfcp_answered,
    does,
    make_network,
    named,
    play,
    registered,
)
from tests.signaling.core_templates import chains

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


def test_station_starts_again():
    """As recorded: sessions are buffered at once, UEs go to another station and say nothing until they have to."""
    core, (ue,) = registered()
    home, other = core.stations
    address = home.address
    records = does(core, home.fail, seconds=9.0)
    assert chains(records) == ["SessionModificationRequest", "SessionModificationResponse"]
    assert ue.idle and not core.amf.connections
    records = does(core, home.start)
    assert chains(records) == ["NGSetupRequest", "NGSetupResponse"]
    assert records[0].sender != address and records[0].sender.rpartition(":")[0] == "127.0.2.1"
    home.fail()
    records = does(core, ue.deregister)
    assert chains(records)[0] == "InitialUEMessage+DeregistrationRequestUEOriginating"
    assert records[0].sender == other.address and causes(records, "UEContextReleaseCommand") == ["deregister"]
    check_living(core)


def test_no_station_is_left():
    core, (ue,) = registered()
    for station in core.stations:
        station.fail()
    does(core, ue.send_data)
    assert ue.idle and ue.state == "registered"
    records = does(core, core.stations[1].start)
    assert named(records, "NGSetupResponse")
    assert named(does(core, ue.send_data), "ServiceAccept") and ue.station is core.stations[1]


def test_amf_starts_again():
    """All it knew of UEs is lost: service is rejected (#9), UEs register anew, and old sessions are replaced."""
    core, ues = registered(3)
    does(core, ues[0].release)
    records = does(core, core.amf.fail, seconds=5.0)
    assert not records and all(ue.idle and ue.state == "registered" for ue in ues)
    assert not core.amf.by_supi and len(core.smf.sessions) == 3
    records = does(core, core.amf.recover, seconds=3.0)
    assert len(named(records, "NGSetupResponse")) == 2 and not core.load.registered
    records = does(core, ues[0].send_data, seconds=2.0)
    assert causes(records, "ServiceReject") == [9]
    names = [name for name in chains(records) if name.startswith("Session")]
    assert names[:2] == ["SessionDeletionRequest", "SessionDeletionResponse"]
    assert ues[0].sessions[1].state == "there" and len(core.upf.sessions) == 3
    does(core, ues[1].deregister)
    check_living(core)


def test_unknown_temporary_identity_after_the_amf_started_again():
    core, (ue,) = registered()
    does(core, core.amf.fail)
    does(core, core.amf.recover, seconds=3.0)
    ue.security.forget()
    ue.state = "deregistered"
    records = does(core, ue.register)
    assert named(records, "IdentityRequest") and ue.state == "registered"


def test_upf_starts_again():
    """A heartbeat tells it: sessions are released for reactivation (#39), or silently if the UE is idle."""
    core, ues = registered(2)
    does(core, ues[1].release)
    does(core, core.upf.fail, seconds=2.0)
    records = does(core, core.upf.recover, seconds=15.0)
    names = chains(records)
    assert names[:2] == ["AssociationSetupRequest", "AssociationSetupResponse"]
    assert 39 in causes(records, "PDUSessionReleaseCommand")
    assert ues[0].sessions[1].state == "there" and len(core.upf.sessions) == 1
    does(core, ues[1].send_data)
    assert not ues[1].sessions
    assert named(does(core, ues[1].establish, Slice(1), "internet"), "PDUSessionEstablishmentAccept")
    check_living(core)


def test_radio_link_is_lost():
    core, (ue,) = registered()
    records = does(core, ue.lose_radio)
    assert causes(records, "UEContextReleaseCommand") == ["radio-connection-with-ue-lost"]
    assert ue.idle and "T3512" in ue.timers


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
    assert not core.load.procedures or core.load.procedures == 1
    check_living(core)


def test_ue_that_is_not_heard_of_is_deregistered():
    flavour = replace(OPEN5GS, timing=Timing(t3512=30.0, implicit_deregistration=20.0))
    core, (ue,) = registered(network=NetworkConfiguration(stations=STATIONS, flavour=flavour))
    does(core, ue.release)
    ue.timers.stop_all()
    records = does(core, lambda: None, seconds=60.0)
    assert named(records, "SessionDeletionRequest") and not core.load.registered and not core.smf.sessions


def test_unanswered_page_is_repeated():
    core, (ue,) = registered()
    does(core, ue.release)
    ue.paged = lambda: None
    records = does(core, core.upf.carry_downlink, ue.sessions[1].address, seconds=10.0)
    assert len(named(records, "Paging")) == 3 * len(core.stations)
    assert not core.amf.by_supi[ue.usim.supi].paged
