"""The reference core says what recorded cores said: the same messages in the same order, field by field."""

from __future__ import annotations

from functools import cache

import pytest

from gentwin.signaling import nas, ngap, pfcp
from gentwin.signaling.capture import read_capture
from gentwin.signaling.core import Slice
from gentwin.signaling.messages import NGAP, Record
from tests.signaling.core_networks import change, check_bytes, check_living, check_order, make_network, play
from tests.signaling.core_templates import chain, chains, template
from tests.signaling.recordings import find_capture

REGISTRATION = [
    "InitialUEMessage+RegistrationRequest",
    "DownlinkNASTransport+AuthenticationRequest",
    "UplinkNASTransport+AuthenticationResponse",
    "DownlinkNASTransport+SecurityModeCommand",
    "UplinkNASTransport+SecurityModeComplete+RegistrationRequest",
    "InitialContextSetupRequest+RegistrationAccept",
    "InitialContextSetupResponse",
    "UplinkNASTransport+RegistrationComplete",
    "UplinkNASTransport+ULNASTransport+PDUSessionEstablishmentRequest",
    "DownlinkNASTransport+ConfigurationUpdateCommand",
    "SessionEstablishmentRequest",
    "SessionEstablishmentResponse",
    "PDUSessionResourceSetupRequest+DLNASTransport+PDUSessionEstablishmentAccept",
    "PDUSessionResourceSetupResponse",
    "SessionModificationRequest",
    "SessionModificationResponse",
]
RELEASE = [
    "UEContextReleaseRequest",
    "SessionModificationRequest",
    "SessionModificationResponse",
    "UEContextReleaseCommand",
    "UEContextReleaseComplete",
]
PAGING = [
    "SessionReportRequest",
    "SessionReportResponse",
    "Paging",
    "InitialUEMessage+ServiceRequest+ServiceRequest",
    "InitialContextSetupRequest+ServiceAccept",
    "InitialContextSetupResponse",
    "DownlinkNASTransport+ConfigurationUpdateCommand",
    "SessionModificationRequest",
    "SessionModificationResponse",
    "UplinkNASTransport+ConfigurationUpdateComplete",
]
SERVICE = [
    "InitialUEMessage+ServiceRequest+ServiceRequest",
    "InitialContextSetupRequest+ServiceAccept",
    "InitialContextSetupResponse",
    "SessionModificationRequest",
    "SessionModificationResponse",
]
SESSION = [REGISTRATION[8], *REGISTRATION[10:]]
SESSION_RELEASE = [
    "UplinkNASTransport+ULNASTransport+PDUSessionReleaseRequest",
    "SessionDeletionRequest",
    "SessionDeletionResponse",
    "PDUSessionResourceReleaseCommand+DLNASTransport+PDUSessionReleaseCommand",
    "PDUSessionResourceReleaseResponse",
    "UplinkNASTransport+ULNASTransport+PDUSessionReleaseComplete",
]
DEREGISTRATION = [
    "UplinkNASTransport+DeregistrationRequestUEOriginating",
    "SessionDeletionRequest",
    "SessionDeletionResponse",
    "DownlinkNASTransport+DeregistrationAcceptUEOriginating",
    "UEContextReleaseCommand",
    "UEContextReleaseComplete",
]
NETWORK_DEREGISTRATION = [
    "DownlinkNASTransport+DeregistrationRequestUETerminated",
    "UplinkNASTransport+DeregistrationAcceptUETerminated",
    "SessionDeletionRequest",
    "SessionDeletionResponse",
    "UEContextReleaseCommand",
    "UEContextReleaseComplete",
]


@cache
def recorded(name: str) -> list[Record]:
    found = []
    with read_capture(find_capture(name)) as reader:
        for packet in reader:
            if packet.protocol == NGAP:
                messages = [ngap.map_nas(ngap.decode(packet.payload), nas.decode)]
            else:
                messages = pfcp.decode_all(packet.payload)
            found += [Record(known, packet.timestamp, packet.sender, packet.receiver) for known in messages]
    return found


def registered(seed: int = 1, count: int = 1):
    core, ues = make_network(count, seed)
    records = play(core, *[(4.0 + 0.1 * place, ue.register) for place, ue in enumerate(ues)], until=6.0)
    return core, ues, records


def after(core, action, *arguments) -> list[str]:
    """Returns what is said within the second after something was done."""
    records = play(core, (core.clock.now, action, *arguments))
    return [name for name in chains(records) if "Heartbeat" not in name]


def of_link(names: list[str], on_n4: bool) -> list[str]:
    return [name for name in names if name.startswith("Session") == on_n4]


def test_registration_and_default_session_in_the_recorded_order():
    _, _, records = registered()
    names = chains(records)
    start = names.index(REGISTRATION[0])
    assert names[start : start + len(REGISTRATION)] == REGISTRATION
    assert names[:start] == [
        "AssociationSetupRequest",
        "AssociationSetupResponse",
        "HeartbeatRequest",
        "HeartbeatRequest",
        "HeartbeatResponse",
        "HeartbeatResponse",
        "NGSetupRequest",
        "NGSetupResponse",
        "NGSetupRequest",
        "NGSetupResponse",
    ]


def test_recorded_procedures_in_the_recorded_order():
    core, (ue, _), _ = registered(count=2)
    assert after(core, ue.release) == RELEASE
    assert after(core, ue.send_data) == SERVICE
    after(core, ue.release)
    paged = after(core, core.upf.carry_downlink, ue.sessions[1].address)
    once = [name for place, name in enumerate(paged) if name != "Paging" or paged[place - 1] != "Paging"]
    for on_n4 in (False, True):  # what is said on N2 and on N4 at the same time may come in either order
        assert of_link(once, on_n4) == of_link(PAGING, on_n4)
    assert paged.count("Paging") == len(core.stations)
    assert after(core, ue.establish, Slice(1), "internet") == SESSION
    assert after(core, ue.release_session, 2) == SESSION_RELEASE
    assert after(core, ue.deregister, False) == DEREGISTRATION
    assert after(core, ue.register) == REGISTRATION
    assert after(core, core.amf.deregistrations.deregister, ue.usim.supi) == NETWORK_DEREGISTRATION
    check_living(core)


def test_same_order_as_a_recording():
    """One UE at a time in the recording: between its first message and its session nothing else is said."""
    names = [chain(record.message) for record in recorded("n2n4-c02")[8:24]]
    assert sorted(names) == sorted(REGISTRATION)
    late = {"UplinkNASTransport+ULNASTransport+PDUSessionEstablishmentRequest", REGISTRATION[9]}
    assert [name for name in names if name not in late] == [name for name in REGISTRATION if name not in late]


def test_messages_are_template_identical_to_recorded_ones():
    core, ues = make_network(4)
    one, two = ues[1], ues[2]
    wrong_key = change(core, ues[0], k=bytes(16))
    ahead = change(core, ues[3], sqn=5000 << 5)
    records = play(
        core,
        *[(4.0 + 0.1 * place, ue.register) for place, ue in enumerate((wrong_key, one, two, ahead))],
        (5.0, one.release),
        (5.5, one.send_data),
        (6.0, one.release),
        (6.5, lambda: core.upf.carry_downlink(one.sessions[1].address)),
        (7.0, two.establish, Slice(1), "ims"),
        (7.5, two.release_session, 2),
        (8.0, two.establish, Slice(1), "nosuch"),
        (8.5, two.establish, Slice(1), "ims"),
        (9.0, one.deregister, False),
        (9.5, one.register),
        (10.5, one.deregister, True),
        (11.0, core.amf.deregistrations.deregister, two.usim.supi),
    )
    known: dict[str, set] = {}
    for name in ("n2n4-c02", "n2n4-rejects", "n2n4-rejects-periodic"):
        for record in recorded(name):
            known.setdefault(chain(record.message), set()).add(template(record.message))
    different = {
        chain(record.message)
        for record in records
        if template(record.message) not in known.get(chain(record.message), ())
    }
    assert not different
    assert len({chain(record.message) for record in records}) >= 40


def test_every_message_is_what_its_bytes_say():
    core, ues, records = registered(count=3)
    records += play(core, (7.0, ues[0].release), (8.0, ues[0].send_data), (9.0, ues[1].deregister))
    check_bytes(records)
    check_order(records)


@pytest.mark.parametrize("seed", [1, 2])
def test_identifiers_come_in_the_recorded_ranges(seed):
    core, _, records = registered(seed, 4)
    for record in records:
        for path, value in record.message.fields.walk():
            name = path.rpartition(".")[2]
            if name == "tmsi":
                assert 0xC0000001 <= int.from_bytes(value) <= 0xC0000800
            elif name == "seid":
                assert 0 <= value <= 4093
    assert [session.address for session in core.smf.sessions.values()] == [f"10.45.0.{host}" for host in (2, 3, 4, 5)]
