"""The core twin against UEs, base stations and a user plane, honest ones and others."""

from __future__ import annotations

import json
import os
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gentwin.hub import CheckpointError
from gentwin.models import SignalingTokenizer, from_pretrained
from gentwin.pipelines import CoreTwin, Packet
from gentwin.pipelines.core_twin.speech import Stimulus
from gentwin.signaling import pfcp
from gentwin.signaling.closed_loop import ClosedLoop
from gentwin.signaling.core import (
    LoadLimits,
    Policy,
    Subscribers,
    SynthesisConfiguration,
    Workload,
    n1,
    n2,
    n4,
)
from gentwin.signaling.core.control_plane import encode
from gentwin.signaling.dialogue.hints import command
from gentwin.signaling.messages import NGAP, PFCP
from gentwin.signaling.ngap import map_nas
from gentwin.signaling.records import decode_message, encode_record
from gentwin.signaling.resolver import CoreNetwork

CHECKPOINT = os.environ.get("GENTWIN_CORE_CHECKPOINT", "gentwin/signaling-open5gs")
CONFIGURATION = SynthesisConfiguration(ues=2, duration=12.0, workload=Workload(arrivals=4.0, think_time=1.0))
STRANGER, UPF = "127.0.9.9:5000", "127.0.0.7:8805"


@pytest.fixture(scope="module")
def twin() -> tuple:
    return from_pretrained(CHECKPOINT), SignalingTokenizer.from_pretrained(CHECKPOINT)


class Scene:
    """A core twin and its other side, one thing at a time."""

    def __init__(self, twin: tuple, policy: Policy | None = None, configuration=CONFIGURATION, **arguments) -> None:
        self.events: list = []
        self.subscribers = Subscribers()
        network = CoreNetwork(configuration.network, self.subscribers, policy=policy, random=Random(1))
        self.core = CoreTwin(*twin, network, **{"rows": 8, **arguments}, listener=self.events.append)
        self.loop = ClosedLoop(self.core, configuration, seed=1, subscribers=self.subscribers)

    def begin(self) -> Scene:
        """Sets up all links."""
        self.loop.start()
        self.loop.run_until_quiet()
        return self

    @property
    def now(self) -> float:
        """Seconds since 1970."""
        return CONFIGURATION.network.start + self.loop.now

    @property
    def reasons(self) -> list[str]:
        """Why something was refused."""
        return [event.reason for event in self.events if event.kind == "refused"]

    def hear(self, message, peer: str) -> list:
        """Returns the messages that the core says to one."""
        data = encode(message) if message.protocol == NGAP else pfcp.encode(message)
        packets = self.core.hear([Packet(message.protocol, peer, data)], self.now)
        return [decode_message(packet.protocol, packet.data) for packet in packets]


@pytest.fixture
def scene(twin) -> Scene:
    return Scene(twin).begin()


# ---------------------------------------------------------------- honest ones


def test_ue_registers_has_a_session_is_idle_is_paged_and_leaves(scene):
    ue = scene.loop.ues[0]
    ue.register()
    scene.loop.run_until_quiet()
    assert ue.state == "registered"
    assert [*ue.sessions] == [1]
    ue.release()
    scene.loop.run_until_quiet()
    assert ue.idle
    scene.loop.carry_downlink(ue.usim.supi)
    said = [record.message.name for record in scene.loop.run_until_quiet()]
    assert "Paging" in said
    assert not ue.idle
    ue.deregister(switch_off=False)
    scene.loop.run_until_quiet()
    result = scene.loop.result()
    assert ue.state == "deregistered"
    assert result.completion == 1.0, str(result)
    assert result.violations == []
    assert scene.reasons == []


def test_whole_workload(twin):
    scene = Scene(twin)
    result = scene.loop.run()
    assert len(result.judged) > 10
    assert result.completion >= 0.9, str(result)


def test_weights_may_be_held_as_int8(twin):
    scene = Scene(twin, weights="int8").begin()
    ue = scene.loop.ues[0]
    ue.register()
    scene.loop.run_until_quiet()
    assert (ue.state, [*ue.sessions], scene.reasons) == ("registered", [1], [])


def test_ue_that_leaves_at_once_leaves_nothing_behind(scene):
    ue = scene.loop.ues[0]
    ue.register()
    while not any(session.state == "there" for session in ue.sessions.values()):
        scene.loop.run_until(scene.loop.now + 0.001)
    ue.deregister(switch_off=False)
    scene.loop.run_until_quiet()
    assert ue.state == "deregistered"
    assert scene.loop.result().violations == []


def test_same_seed_same_bytes(twin):
    def bytes_said() -> list[bytes]:
        scene = Scene(twin)
        scene.loop.run()
        return [encode_record(event.record) for event in scene.events if event.kind == "said"]

    first = bytes_said()
    assert len(first) > 50
    assert first == bytes_said()


@pytest.mark.parametrize("sizes", [{}, {"rows": 2, "most_tokens": 600}], ids=["room for all", "two rows"])
def test_answers_are_the_same_whether_they_were_given_before_or_not(twin, sizes):
    def bytes_said(most_answers: int) -> list[bytes]:
        configuration = SynthesisConfiguration(ues=4, duration=9.0, workload=CONFIGURATION.workload)
        scene = Scene(twin, configuration=configuration, most_answers=most_answers, **sizes)
        scene.loop.run()
        return [encode_record(event.record) for event in scene.events if event.kind == "said"]

    asked = bytes_said(0)
    assert len(asked) > 50
    assert bytes_said(1000) == asked


def test_model_is_not_asked_again_what_it_was_asked_before(scene):
    peer, decoder = next(iter(scene.core.stations)), scene.core._speech._decoder
    heard = (event.record for event in scene.events if event.kind == "heard" and event.peer == peer)
    request = next(record.raw for record in heard if record.message.name == "NGSetupRequest")

    def answer() -> tuple[list[bytes], int, int]:
        scene.core.lose(peer, scene.now)
        packets = scene.core.hear([Packet(NGAP, peer, request)], scene.now)
        (row,) = [known.row for known in scene.core._conversations if known.number == scene.core.stations[peer]]
        return [packet.data for packet in packets], decoder.size(row), decoder.unread(row)

    (said, size, unread), again = answer(), answer()
    assert len(said) == 1 and size > 20
    assert unread == size, "the station set up its link before"
    assert again == (said, size, unread)


def test_policy_rejects_with_cause_and_back_off(twin):
    scene = Scene(twin, LoadLimits(registered=0, back_off=60)).begin()
    scene.loop.ues[0].register()
    scene.loop.run_until_quiet()
    said = [event.record.message for event in scene.events if event.kind == "said"]
    (reject,) = [message for message in said if message.get("nas_pdu.cause_5gmm") == 22]
    assert (reject["nas_pdu.t3346_value.unit"], reject["nas_pdu.t3346_value.value"]) == ("2 s", 30)


def test_core_deregisters_a_ue(scene):
    ue = scene.loop.ues[0]
    ue.register()
    scene.loop.run_until_quiet()
    scene.loop.command("deregister", ue.usim.supi)
    scene.loop.run_until_quiet()
    assert ue.state == "deregistered"


def test_core_releases_the_session_that_is_named(scene):
    ue = scene.loop.ues[0]
    ue.register()
    scene.loop.run_until_quiet()
    psi = ue.establish(ue.usim.slices[0], "internet")
    scene.loop.run_until_quiet()
    assert sorted(ue.sessions) == [1, psi]
    scene.loop._answer(scene.core.command("release_session", ue.usim.supi, scene.now, psi))
    scene.loop.run_until_quiet()
    assert [*ue.sessions] == [1]
    with pytest.raises(ValueError, match=rf"`psi` must be a PDU session of the UE, which has 1, got {psi}"):
        scene.core.command("release_session", ue.usim.supi, scene.now, psi)
    ue.release_session(1)
    scene.loop.run_until_quiet()
    with pytest.raises(ValueError, match=r"`name` 'release_session' needs a PDU session, .*; establish one first"):
        scene.core.command("release_session", ue.usim.supi, scene.now)


@pytest.mark.parametrize(("times", "kept"), [(1, 1), (3, 1)])
def test_what_is_left_out_of_an_answer_leaves_no_trace(scene, times: int, kept: int):
    ue = scene.loop.ues[0]
    ue.register()
    scene.loop.run_until_quiet()
    (context,) = {found for (kind, _), found in scene.core.network.contexts.items() if kind == "SUPI"}
    conversation, speech = scene.core._conversations.of(context), scene.core._speech
    context.happen(command("release_session"), scene.now)
    before = scene.core._conversations.tokens(conversation)
    fields = "seid=<new:SEID>", "sequence_number=<new:PFCP_SEQ>"
    request = ["<smf>upf>", "pfcp:SessionModificationRequest", *fields, "<end>"]
    answer = [*request * times, "<wait>"]
    encode = speech._tokenizer.vocabulary.encode
    scene.core._conversations.rewrite(conversation, [*before, *encode(answer)])
    out = speech._say(Stimulus(conversation, []), answer, scene.now)
    assert [packet.protocol for packet in out] == [PFCP] * kept
    assert scene.core._conversations.tokens(conversation) == [*before, *encode([*request * kept, "<wait>"])]
    assert len(scene.reasons) == times - kept


def test_command_about_nobody_is_an_error(scene):
    with pytest.raises(ValueError, match="`supi` must be of a UE that has registered"):
        scene.core.command("deregister", "999709999999999", scene.now)
    with pytest.raises(ValueError, match="`name` must be one of"):
        scene.core.command("dance", "999700000000001", scene.now)


def test_lost_station_leaves_ues_registered_and_idle(scene):
    ue = scene.loop.ues[0]
    ue.register()
    scene.loop.run_until_quiet()
    (context,) = {found for (kind, _), found in scene.core.network.contexts.items() if kind == "SUPI"}
    scene.core.lose(ue.station.address, scene.now)
    assert context.state.connections == {}
    assert context.state.phase == "registered"
    assert ue.station.address not in scene.core.stations


def test_state_goes_on_in_another_core(twin, scene):
    ue = scene.loop.ues[0]
    ue.register()
    scene.loop.run_until_quiet()
    saved = json.loads(json.dumps(scene.core.state_dict()))
    other = CoreTwin(*twin, CoreNetwork(CONFIGURATION.network, scene.subscribers), rows=8)
    other.load_state_dict(saved)
    assert json.loads(json.dumps(other.state_dict())) == saved
    scene.loop.core = other
    ue.deregister(switch_off=False)
    scene.loop.run_until_quiet()
    assert ue.state == "deregistered"
    assert scene.loop.result().violations == []


# ---------------------------------------------------------------- others


def test_bytes_that_are_nothing(scene):
    before = scene.core.state_dict()
    packets = scene.core.hear([Packet(NGAP, STRANGER, b"\xff" * 40), Packet(PFCP, UPF, b"\xff" * 40)], scene.now)
    assert [decode_message(packet.protocol, packet.data).name for packet in packets] == [
        "ErrorIndication",
        "VersionNotSupportedResponse",
    ]
    assert len(scene.reasons) == 2
    assert scene.core.state_dict() == before


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([NGAP, PFCP]), st.binary(max_size=200), st.sampled_from([STRANGER, UPF, "127.0.2.1:41621"]))
def test_no_bytes_stop_it(twin, protocol, data, peer):
    scene = _shared(twin)
    scene.core.hear([Packet(protocol, peer, data)], scene.now)


_SHARED: dict[int, Scene] = {}


def _shared(twin: tuple) -> Scene:
    if id(twin[0]) not in _SHARED:
        scene = _SHARED[id(twin[0])] = Scene(twin).begin()
        scene.loop.ues[0].register()
        scene.loop.run_until_quiet()
    return _SHARED[id(twin[0])]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 99),
    st.lists(st.tuples(st.integers(0, 999), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_no_changed_message_stops_it(twin, which, changes):
    scene = _shared(twin)
    messages = [event.record.raw for event in scene.events if event.kind == "heard" and event.record.raw][:12]
    raw = bytearray(messages[which % len(messages)])
    for place, octet in changes:
        raw[place % len(raw)] = octet
    scene.core.hear([Packet(NGAP, scene.loop.stations[0].address, bytes(raw))], scene.now)


def test_nothing_before_ng_setup(scene):
    where = n2.location("999-70", CONFIGURATION.network.stations[0], 0)
    uplink = n2.message("UplinkNASTransport", *n2.ids(1, 1), ("nas_pdu", b"\x7e\x00\x41"), where)
    (said,) = scene.hear(uplink, STRANGER)
    assert said.name == "ErrorIndication"
    assert said["cause.protocol"] == "message-not-compatible-with-receiver-state"
    assert "before NG setup" in scene.reasons[-1]


def test_error_is_not_answered_by_an_error(scene):
    station = scene.loop.stations[0].address
    error = n2.message("ErrorIndication", *n2.ids(77, 1), n2.cause("protocol", "semantic-error"))
    assert scene.hear(error, station) == []
    assert scene.hear(error, STRANGER) == []


def test_connection_of_nobody_and_of_another_station(scene):
    ue, (one, other) = scene.loop.ues[0], scene.loop.stations[:2]
    ue.register()
    scene.loop.run_until_quiet()
    (amf_id,) = [value for kind, value in scene.core.network.contexts if kind == "AMF_UE_ID"]
    request = n2.message("UEContextReleaseRequest", *n2.ids(amf_id, 1), n2.cause("radio_network", "user-inactivity"))
    before = scene.core.state_dict()
    foreign = other.address if ue.station is one else one.address
    (said,) = scene.hear(request, foreign)
    assert said["cause.radio_network"] == "unknown-local-UE-NGAP-ID"
    (said,) = scene.hear(request.with_value("amf_ue_ngap_id", amf_id + 1), ue.station.address)
    assert said["cause.radio_network"] == "unknown-local-UE-NGAP-ID"
    (said,) = scene.hear(request.with_value("ran_ue_ngap_id", 4321), ue.station.address)
    assert said["cause.radio_network"] == "inconsistent-remote-UE-NGAP-ID"
    assert scene.core.state_dict() == before


def test_replayed_and_forged_nas_is_silence(scene):
    ue = scene.loop.ues[0]
    ue.register()
    scene.loop.run_until_quiet()
    protected = [
        event.record
        for event in scene.events
        if event.kind == "heard"
        and event.record.message.name == "UplinkNASTransport"
        and event.peer == ue.station.address
    ]
    request = protected[-1]
    tokens = scene.core.state_dict()["conversations"]
    assert scene.core.hear([Packet(NGAP, ue.station.address, request.raw)], scene.now) == []
    forged = map_nas(request.message, lambda nas: nas.with_value("mac", bytes(4)) if nas.fields.has("mac") else nas)
    assert scene.hear(forged, ue.station.address) == []
    assert [known["tokens"] for known in scene.core.state_dict()["conversations"]] == [
        known["tokens"] for known in tokens
    ]
    assert "came before" in scene.reasons[-2]
    assert "integrity" in scene.reasons[-1]
    assert ue.state == "registered"


def uplink(scene, ue, nas):
    """Returns a message of a UE's connection with other NAS in it."""
    heard = [event.record for event in scene.events if event.kind == "heard" and event.peer == ue.station.address]
    last = next(record for record in reversed(heard) if record.message.name == "UplinkNASTransport")
    return last.message.with_value("nas_pdu", nas)


def test_nobody_becomes_somebody_else(scene):
    ue, other = scene.loop.ues
    for each in (ue, other):
        each.register()
        scene.loop.run_until_quiet()
    contexts = scene.core.network.contexts
    own, others = contexts["SUPI", ue.usim.supi], contexts["SUPI", other.usim.supi]
    (amf_id,) = own.state.connections
    theft = n1.message("IdentityResponse", ("mobile_identity", n1.suci(other.usim.supi, 2)))
    ids = {"amf_ue_ngap_id": amf_id, "ran_ue_ngap_id": own.state.connections[amf_id].ran_id}
    message = uplink(scene, ue, theft)
    for name, value in ids.items():
        message = message.with_value(name, value)
    scene.hear(message, own.state.connections[amf_id].station)
    assert own.state.supi == ue.usim.supi
    assert contexts["SUPI", other.usim.supi] is others
    assert others.state.phase == "registered"


def test_messages_that_are_refused_leave_nothing_behind(scene):
    scene.loop.ues[0].register()
    scene.loop.run_until_quiet()
    initial = next(
        event.record.message
        for event in scene.events
        if event.kind == "heard" and event.record.message.name == "InitialUEMessage"
    )
    before, station = len(scene.core), scene.loop.ues[0].station.address
    for number in range(20):
        nonsense = initial.with_value("ran_ue_ngap_id", 1000 + number).with_value("nas_pdu", b"\x7e\x02" + bytes(12))
        assert scene.hear(nonsense, station) == []
    assert len(scene.core) == before


def test_link_of_another_station_matters_to_nobody_else(scene):
    ue = scene.loop.ues[0]
    ue.register()
    scene.loop.run_until_quiet()
    context = scene.core.network.contexts["SUPI", ue.usim.supi]
    other = next(station for station in scene.loop.stations if station is not ue.station)
    assert scene.core.lose(other.address, scene.now) == []
    assert [known.station for known in context.state.connections.values()] == [ue.station.address]


def test_n4_responses_nobody_waits_for_and_sessions_nobody_has(scene):
    assert scene.hear(n4.message("HeartbeatResponse", 999, ("recovery_time_stamp", 1)), UPF) == []
    assert "answers nothing" in scene.reasons[-1]
    report = n4.message("SessionReportRequest", 5, ("report_type", "dldr"), seid=424242)
    (said,) = scene.hear(report, UPF)
    assert (said.name, said["cause"], said["seid"]) == ("SessionReportResponse", "session_context_not_found", 0)


def test_n4_request_that_comes_again_is_answered_alike(scene):
    request = n4.message("HeartbeatRequest", 4711, ("recovery_time_stamp", 4_004_235_560))
    once, twice = scene.hear(request, UPF), scene.hear(request, UPF)
    assert once == twice
    assert once[0].name == "HeartbeatResponse"
    assert sum(event.kind == "heard" and event.record.message == request for event in scene.events) == 1


def test_message_longer_than_any_is_refused(scene):
    ue = scene.loop.ues[0]
    ue.register()
    scene.loop.run_until_quiet()
    heard = [event.record for event in scene.events if event.kind == "heard"]
    last = next(record for record in reversed(heard) if record.message.name == "UplinkNASTransport")
    blown = last.message.with_value("nas_pdu", b"\x7e\x00\x41" + b"\xff" * 6000)
    assert scene.hear(blown, ue.station.address) == []
    assert len(scene.reasons) == 1
    ue.deregister(switch_off=False)
    scene.loop.run_until_quiet()
    assert ue.state == "deregistered"


def test_other_view_is_refused(twin):
    model, tokenizer = twin
    config = model.config
    interleaved = type(model)(type(config)(**{**config.to_dict(), "view": "interleaved"}))
    with pytest.raises(ValueError, match="`view` of the twin must be 'separate'"):
        CoreTwin(interleaved, tokenizer, CoreNetwork(CONFIGURATION.network, Subscribers()))


def test_weights_of_no_kind_are_refused(twin):
    with pytest.raises(ValueError, match="`weights` must be one of float32, int8, got 'float16'"):
        CoreTwin(*twin, CoreNetwork(CONFIGURATION.network, Subscribers()), weights="float16")


def test_checkpoint_of_no_message_twin_is_refused(tmp_path: Path):
    with pytest.raises(CheckpointError, match="is neither a shipped checkpoint"):
        CoreTwin.from_pretrained(str(tmp_path / "nothing"))


def test_two_ues_do_not_disturb_each_other(twin):
    def said_to_first(together: bool) -> list[str]:
        scene = Scene(twin).begin()
        for ue in scene.loop.ues[: 2 if together else 1]:
            ue.register()
        scene.loop.run_until_quiet()
        conversation = scene.core.network.contexts["SUPI", scene.loop.ues[0].usim.supi]
        number = next(known.number for known in scene.core._conversations if known.resolver is conversation)
        own = [event for event in scene.events if event.kind == "said" and event.context == number]
        return [event.record.message.name for event in own]

    assert said_to_first(True) == said_to_first(False)
