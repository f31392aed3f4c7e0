"""UEs, base stations and a user plane against a core: all is well with the reference core, and nothing else escapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from gentwin.signaling.closed_loop import ClosedLoop, ClosedLoopResult
from gentwin.signaling.core import (
    GENERIC,
    OPEN5GS,
    Behaviour,
    Faults,
    NetworkConfiguration,
    Population,
    ReferenceControlPlane,
    Slice,
    Station,
    Subscribers,
    SynthesisConfiguration,
    Workload,
    n2,
)
from gentwin.signaling.core.control_plane import Packet, encode
from gentwin.signaling.errors import SignalingError
from gentwin.signaling.fields import Bits
from gentwin.signaling.messages import Message
from gentwin.signaling.ngap import map_nas
from gentwin.signaling.records import decode_message, encode_record

STATIONS = Station(1, "127.0.2.1:41621"), Station(2, "127.0.2.2:41622", "000002")
EVERYTHING = Workload(
    arrivals=10.0,
    think_time=1.0,
    session_time=2.0,
    behaviour=Behaviour(idle=5, modify=10, move_xn=10, move_n2=10, move_idle=5, update=10, network_deregistration=2),
)
EVERYBODY = Population(
    wrong_key=0.08, old_sequence=0.08, unknown=0.08, barred=0.08, no_common_integrity=0.08, unknown_home_key=0.08,
    unsubscribed_slice=0.08, ipv6=0.08, ipv4v6=0.08, unstructured=0.08, profile_a=0.2, null_ciphering=0.2,
)  # fmt: skip


def configure(**values) -> SynthesisConfiguration:
    values.setdefault("network", NetworkConfiguration(stations=STATIONS))
    return SynthesisConfiguration(**{"ues": 2, "duration": 8.0, **values})


def make_loop(configuration: SynthesisConfiguration, core=None, **arguments) -> ClosedLoop:
    subscribers = Subscribers()
    reference = ReferenceControlPlane(configuration.network, subscribers, configuration.limits)
    core = reference if core is None else core(reference)
    return ClosedLoop(core, configuration, subscribers=subscribers, **{"seed": 1, **arguments})


# ---------------------------------------------------------------- the reference core


@pytest.mark.parametrize(
    "flavour", [OPEN5GS, GENERIC, replace(OPEN5GS, ciphering=2)], ids=["open5gs", "generic", "nea2"]
)
def test_reference_core_does_nothing_wrong(flavour):
    network = NetworkConfiguration(stations=STATIONS, flavour=flavour)
    configuration = configure(ues=24, duration=20.0, network=network, workload=EVERYTHING, population=EVERYBODY)
    result = make_loop(configuration).run()
    assert not result.wrong and not result.violations, str(result)
    assert result.completion == 1.0 and {*result.completions.values()} == {1.0}
    assert {"Initial registration", "Xn-based handover", "N2-based handover", "Paging"} <= result.counts.keys()
    assert result.counts["Initial registration"]["rejected"] > 3
    assert len(result.judged) > 300 and result.unfinished < 10


def test_what_its_own_side_does_is_not_held_against_a_core():
    behaviour = replace(EVERYTHING.behaviour, radio_failure=10, switch_off=10)
    workload, faults = replace(EVERYTHING, behaviour=behaviour), Faults(handover_refused=0.5, handover_cancelled=0.5)
    result = make_loop(configure(ues=16, duration=20.0, workload=workload, faults=faults)).run()
    assert not result.wrong and not result.violations, str(result)
    assert result.counts["N2-based handover"]["rejected"]


def test_stations_that_fail_come_back():
    faults = Faults(station_resets=0.1, station_restarts=0.1, downtime=2.0)
    result = make_loop(
        configure(ues=6, duration=30.0, workload=replace(EVERYTHING, think_time=4.0), faults=faults)
    ).run()
    assert result.counts["NG reset"]["completed"] and result.counts["NG setup"]["completed"] > len(STATIONS)
    assert not result.wrong and not result.violations, str(result)


def test_runs_are_repeatable_and_packets_can_be_gathered():
    configuration = configure(ues=4, workload=EVERYTHING)
    first, again = make_loop(configuration).run(), make_loop(configuration).run()
    assert [encode_record(record) for record in first.records] == [encode_record(record) for record in again.records]
    batches: list[int] = []

    class Counted(ReferenceControlPlane):
        def hear(self, packets: Sequence[Packet], now: float) -> list[Packet]:
            batches.append(len(packets))
            return super().hear(packets, now)

    subscribers = Subscribers()
    core = Counted(configuration.network, subscribers)
    at_once = replace(configuration, ues=20, workload=replace(EVERYTHING, arrivals=float("inf")))
    result = ClosedLoop(core, at_once, 1, subscribers, gather=0.01, keep_records=False).run()
    assert max(batches) >= 10 and not result.wrong and not result.violations and not result.records


# ---------------------------------------------------------------- by hand


def test_one_ue_does_one_thing_at_a_time():
    loop = make_loop(configure(ues=1))
    loop.start()
    (ue,) = loop.ues
    assert ue.register() is False  # no station has been set up
    assert [record.message.name for record in loop.run_until_quiet()][-2:] == ["NGSetupRequest", "NGSetupResponse"]
    assert ue.register() is True and ue.send_data() is False
    loop.run_until_quiet()
    assert ue.register() is False and ue.update() is False  # as it is registered, and connected
    assert ue.state == "registered" and ue.sessions[1].state == "there"
    ue.release()
    loop.run_until_quiet()
    assert ue.idle
    loop.carry_downlink(ue.usim.supi)
    names = [record.message.name for record in loop.run_until_quiet()]
    assert "Paging" in names and not ue.idle
    source, target = ue.station, next(known for known in loop.stations if known is not ue.station)
    for xn, (where, other) in ((True, (target, source)), (False, (source, target))):
        loop.hand_over(ue, where, xn)
        loop.run_until_quiet()
        assert ue.station is where and not other.connections
    ue.establish(Slice(1), "nosuch")
    ue.modify(1)
    loop.run_until_quiet()
    loop.command("deregister", ue.usim.supi)
    loop.run_until_quiet()
    assert ue.state == "deregistered"
    result = loop.result()
    assert not result.wrong and not result.violations, str(result)
    assert result.counts["PDU session establishment"] == {"completed": 1, "rejected": 1}
    assert {"Network-initiated deregistration", "Service request", "AN release"} <= result.counts.keys()


# ---------------------------------------------------------------- cores that go wrong

Change = Callable[[Message], Message | list[Message] | bytes | None]


class Broken:
    """A core that is like another one but for messages of a name.

    Args:
        core: The other one.
        name: Of the message, or of the NAS message in it.
        change: Returns what is said instead.
        times: How often.
    """

    def __init__(self, core: ReferenceControlPlane, name: str, change: Change, times: int = 1) -> None:
        self._core, self._name, self._change, self._left = core, name, change, times

    def __getattr__(self, name: str):
        action = getattr(self._core, name)
        return action if name == "due" else lambda *arguments: self._pass(action(*arguments))

    def _pass(self, packets: Sequence[Packet]) -> list[Packet]:
        return [other for packet in packets for other in self._instead(packet)]

    def _instead(self, packet: Packet) -> list[Packet]:
        message = decode_message(packet.protocol, packet.data)
        if not self._left or self._name not in names(message):
            return [packet]
        self._left -= 1
        said = self._change(message)
        if isinstance(said, bytes):
            return [replace(packet, data=said)]
        return [
            replace(packet, data=encode(known)) for known in (said if isinstance(said, list) else [said] * bool(said))
        ]


def names(message: Message) -> list[str]:
    found = [message.name]

    def look(nas: Message) -> Message:
        found.append(nas.name)
        for path in ("payload", "payload.payload_container"):
            inner = nas.get(path)
            if isinstance(inner, Message):
                found.append(inner.name)
        return nas

    map_nas(message, look)
    return found


CANCEL = n2.message("HandoverCancel", *n2.ids(1, 1), n2.cause("nas", "normal-release"))


def with_nas(change: Callable[[Message], Message]) -> Change:
    return lambda message: map_nas(message, change)


def flip(nas: Message) -> Message:
    return nas.with_value("mac", bytes([nas["mac"][0] ^ 1]) + nas["mac"][1:])


def raised(path: str, by: int = 1) -> Change:
    return lambda message: message.with_value(path, message[path] + by)


def run_broken(name: str, change: Change, times: int = 1, **values) -> ClosedLoopResult:
    loop = make_loop(configure(ues=1, **values), lambda core: Broken(core, name, change, times))
    loop.start()
    loop.run_until_quiet()
    (ue,) = loop.ues
    for action in (ue.register, ue.release, lambda: loop.carry_downlink(ue.usim.supi), lambda: ue.modify(1)):
        action()
        loop.run_until(loop.now + (20.0 if action == ue.register else 6.0))
    ue.establish(Slice(1), "nosuch")
    loop.run_until(loop.now + 12.0)
    ue.deregister(switch_off=False)
    loop.run_until(loop.now + 20.0)
    return loop.result()


def test_the_script_is_right_if_nothing_is_broken():
    result = run_broken("", lambda message: message)
    assert not result.wrong and not result.violations, str(result)


@pytest.mark.parametrize(
    ("name", "procedure"),
    [
        ("AuthenticationRequest", "Initial registration"),
        ("InitialContextSetupRequest", "Initial registration"),
        ("SecurityModeCommand", "Primary authentication"),
        ("PDUSessionResourceSetupRequest", "PDU session establishment"),
        ("UEContextReleaseCommand", "AN release"),
        ("Paging", "Paging"),
        ("PDUSessionModificationCommand", "PDU session modification"),
        ("DeregistrationAcceptUEOriginating", "UE-initiated deregistration"),
        ("NGSetupResponse", "NG setup"),
    ],
)
def test_silence_is_noticed(name, procedure):
    stations = STATIONS[:1] if name == "Paging" else STATIONS
    result = run_broken(name, lambda message: None, 100, network=NetworkConfiguration(stations=stations))
    assert (procedure, "unanswered") in [(known.procedure, known.outcome) for known in result.wrong], str(result)
    assert result.completion < 1.0 and result.completions[procedure] < 1.0


@pytest.mark.parametrize(
    ("values", "name", "change"),
    [
        ({"unknown": 1.0}, "RegistrationReject", with_nas(lambda nas: nas.with_value("cause_5gmm", 11))),
        ({"barred": 1.0}, "RegistrationReject", with_nas(lambda nas: nas.with_value("cause_5gmm", 22))),
    ],
)
def test_wrong_cause_is_noticed(values, name, change):
    right = make_loop(configure(ues=1, population=Population(**values))).run()
    assert right.completion == 1.0 and right.counts["Initial registration"]["rejected"]
    wrong = make_loop(configure(ues=1, population=Population(**values)), lambda core: Broken(core, name, change)).run()
    assert wrong.wrong and wrong.completion < 1.0


@pytest.mark.parametrize(
    ("name", "change", "rule"),
    [
        ("RegistrationAccept", with_nas(flip), "wrong authentication code"),
        ("SecurityModeCommand", with_nas(flip), "wrong authentication code"),
        ("ConfigurationUpdateCommand", lambda message: [message, message], "count used before"),
        ("RegistrationAccept", with_nas(lambda nas: nas["payload"]), "not protected"),
        ("AuthenticationRequest", with_nas(lambda nas: nas.with_value("autn", bytes(16))), "wrong value"),
        ("InitialContextSetupRequest", raised("ran_ue_ngap_id"), "unknown identity"),
        ("PDUSessionResourceSetupRequest", raised("amf_ue_ngap_id"), "unknown identity"),
        ("InitialContextSetupRequest", lambda message: message.with_value("security_key", Bits(1, 256)), "wrong value"),
        ("InitialContextSetupRequest", lambda message: [message, message], "not awaited"),
        ("NGSetupResponse", lambda message: [message, message], "not awaited"),
        ("UEContextReleaseCommand", lambda message: encode(message)[:6], "not readable"),
        ("SessionModificationRequest", raised("seid"), "unknown identity"),
        ("SessionModificationRequest", raised("update_far.update_forwarding_parameters.outer_header_creation.teid"),
         "wrong value"),
        ("SessionReportResponse", raised("sequence_number", 100), "wrong transaction"),
        ("Paging", lambda message: message.with_value("ue_paging_identity.five_g_s_tmsi.five_g_tmsi", bytes(4)),
         "unknown identity"),
        ("UEContextReleaseCommand", lambda message: [CANCEL, message], "not allowed"),
    ],
)  # fmt: skip
def test_violation_is_noticed(name, change, rule):
    result = run_broken(name, change)
    assert rule in result.rules, str(result)


def test_identity_of_another_ue_is_noticed():
    configuration = configure(ues=2, duration=10.0)
    loop = make_loop(configuration)
    loop.start()
    loop.run_until_quiet()
    first, second = loop.ues
    first.register()
    loop.run_until_quiet()
    pools = loop.core.amf.tmsis
    pools.allocate = lambda: first.tmsi
    second.register()
    loop.run_until_quiet()
    assert "unknown identity" in loop.result().rules


@pytest.mark.parametrize("name", ["radio_loss", "datagram_loss", "amf_restarts"])
def test_faults_that_blur_the_judgement_are_refused(name):
    with pytest.raises(SignalingError, match=rf"`faults.{name}` must be 0"):
        make_loop(configure(faults=Faults(**{name: 0.1})))


def test_result_says_what_went_wrong():
    result = run_broken("RegistrationAccept", with_nas(flip), times=5)
    text = str(result)
    assert "wrong authentication code (not that of the key)" in text and "unanswered, expected completed" in text
