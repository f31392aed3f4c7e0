"""Turns of dialogues: what a core says because of what it hears."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from gentwin.signaling.contexts import Context, Dialogue
from gentwin.signaling.core import GENERIC, OPEN5GS, Flavour, NetworkConfiguration, SynthesisConfiguration
from gentwin.signaling.core import clock as core_clock
from gentwin.signaling.core import links as core_links
from gentwin.signaling.core import reference as core_reference
from gentwin.signaling.dialogue import ContextView, message_names
from gentwin.signaling.dialogue.hints import STIMULI
from gentwin.signaling.messages import NAS, NGAP, PFCP, Record
from gentwin.signaling.resolver import Follower, Resolver
from gentwin.signaling.resolver.following import DECIDED
from gentwin.signaling.turns import FROM_CORE, Arranger, Cause, Turn, turns_of
from gentwin.signaling.turns.triggers import OF_ITSELF, TIMER_RULES, TRIGGERS
from tests.signaling.record_samples import downlink, nas, ngap, pfcp, registration, suci
from tests.signaling.resolver_networks import (
    BUSY,
    LOSSY,
    OTHERS,
    STATIONS,
    Recording,
    quarter,
    recorded,
    synthesised,
    traffic,
)

REASONS = {"<command:associate>", "<timer:heartbeat>", "<command:deregister>", "<event:link_lost>"}
KINDS = {"activation", "deactivation", "limitation", "acknowledged_update"}


def turns_in(recording: Recording) -> list[tuple[Dialogue, list[Turn]]]:
    return [(dialogue, [*turns_of(dialogue, recording.sides)]) for dialogue in recording.dialogues]


@pytest.mark.parametrize("flavour", [OPEN5GS, GENERIC], ids=lambda flavour: flavour.name)
def test_every_record_is_in_one_turn_and_order_is_kept(flavour: Flavour):
    recording = synthesised(flavour, seed=3, faults=LOSSY)
    for dialogue, turns in turns_in(recording):
        found = [record for turn in turns for record in turn.records]
        assert sorted(map(id, found)) == sorted(map(id, dialogue.records))
        for direction in {*map(recording.sides.direction_of, dialogue.records)} - {"<smf>upf>"}:
            before = [r for r in dialogue.records if recording.sides.direction_of(r) == direction]
            after = [r for r in found if recording.sides.direction_of(r) == direction]
            assert [*map(id, before)] == [*map(id, after)]
        for turn in turns:
            asked = [r for r in turn.said if r.message.protocol == PFCP and r.message.name.endswith("Request")]
            assert [r.message["sequence_number"] for r in asked] == sorted(r.message["sequence_number"] for r in asked)
            assert all(recording.sides.direction_of(record) in FROM_CORE for record in turn.said)
            assert turn.heard is not None or turn.stimulus in STIMULI


def test_the_view_of_turns_is_lossless():
    recording = synthesised(OPEN5GS)
    for _, turns in turns_in(recording):
        records = [record for turn in turns for record in turn.records]
        writer, reader = ContextView(), ContextView()
        for record in records:
            utterance = writer.write(record.message, recording.sides.direction_of(record), record.timestamp)
            assert reader.read(utterance) == record.message


# ---------------------------------------------------------------- causes


class TracingClock(core_clock.Clock):
    """A clock that knows what led to each event: a record, or a timer."""

    cause: object = None

    def at(self, time, action, *arguments):
        expires = getattr(action, "__name__", "") in ("_look", "_expire", "start_heartbeats", "_repeat")
        cause = "timer" if expires else self.cause

        def happen(*values):
            before, self.cause = self.cause, cause
            action(*values)
            self.cause = before

        return super().at(time, happen, *arguments)


class TracingLinks(core_links.Links):
    """Links that note what each record was said because of."""

    causes: dict[int, object]

    def _record(self, message, sender, receiver, stream):
        super()._record(message, sender, receiver, stream)
        record = self.records[-1]
        self.causes[id(record)] = self.clock.cause
        self.clock.cause = record


def lossy(flavour: Flavour) -> SynthesisConfiguration:
    network = NetworkConfiguration(stations=STATIONS, flavour=flavour)
    return SynthesisConfiguration(8, 40.0, network, population=OTHERS, workload=BUSY, faults=LOSSY)


@pytest.mark.parametrize(
    ("configuration", "wrong"),
    [(lossy(OPEN5GS), 0.01), (lossy(GENERIC), 0.015), (quarter(ues=20, duration=30.0), 0.005)],
    ids=["open5gs", "generic", "quarter"],
)
def test_turns_are_those_of_the_true_causes(
    configuration: SynthesisConfiguration, wrong: float, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(core_reference, "Clock", TracingClock)
    monkeypatch.setattr(core_reference, "Links", TracingLinks)
    monkeypatch.setattr(TracingLinks, "causes", {}, raising=False)
    recording, outcomes = traffic(configuration, 5), Counter()
    sides, network = recording.sides, recording.network()
    for dialogue, messages in recording.opened:
        inside = {*map(id, dialogue.records)}
        for turn in Follower(dialogue, Resolver(network), sides, messages).turns:
            for record in turn.said:
                cause = TracingLinks.causes[id(record)]
                while isinstance(cause, Record) and sides.direction_of(cause) in FROM_CORE:
                    cause = TracingLinks.causes[id(cause)]
                of_itself = not isinstance(cause, Record) or id(cause) not in inside or turn.stimulus == DECIDED
                outcomes[(turn.heard is None) if of_itself else cause is turn.heard] += 1
    assert outcomes[True] > 400
    assert outcomes[False] <= wrong * outcomes[True]


@pytest.mark.parametrize("name", ["n2n4-rejects", "n2n4-rejects-periodic", "n2n4-gnb-restart"])
def test_causes_in_recordings_are_known(name: str):
    counts: Counter = Counter()
    recording = recorded(name)
    for dialogue in recording.dialogues:
        arranger = Arranger()
        assert [*turns_of(dialogue, recording.sides, arranger=arranger)]
        for (said, cause, stimulus), count in arranger.counts.items():
            counts[cause] += count
            if cause is Cause.LAST:  # a deregistration overtaken by the session that was asked for before
                assert (said, stimulus) == ("UEContextReleaseCommand", "SessionModificationResponse")
            if cause is Cause.ITSELF:
                assert stimulus in REASONS
    assert counts[Cause.LAST] <= 2
    assert counts[Cause.TABLE] > 100


# ---------------------------------------------------------------- single cases


def stimuli(*entries: tuple[float, Record]) -> list[str]:
    """Returns what each turn of some records begins with."""
    records = tuple(replace(record, timestamp=time) for time, record in entries)
    turns = turns_of(Dialogue(Context(0, "ue"), records))
    return [turn.stimulus if turn.heard is None else turn.heard.message.name for turn in turns]


REQUEST = registration(1, suci("0000000001"))
CHALLENGE = downlink(1, 1, nas("AuthenticationRequest", rand=bytes(16)))
MODIFICATION = pfcp("SessionModificationRequest", seid=1, sequence=9)


def test_the_same_challenge_again_is_because_of_its_timer():
    assert stimuli((0.0, REQUEST), (0.1, CHALLENGE), (6.1, CHALLENGE)) == ["InitialUEMessage", "<timer:T3560>"]


def test_the_same_number_again_is_the_same_datagram():
    heard = pfcp("SessionReportRequest", False, seid=2, sequence=1)
    found = stimuli((0.0, heard), (0.1, MODIFICATION), (2.6, MODIFICATION))
    assert found == ["SessionReportRequest", "<command:modify_session>", "<event:repeated>"]


def test_a_core_that_gives_up_does_so_because_of_the_timer_that_runs():
    release = ngap("UEContextReleaseCommand", False)
    found = stimuli((0.0, REQUEST), (0.1, CHALLENGE), (6.1, CHALLENGE), (12.1, release))
    assert found == ["InitialUEMessage", "<timer:T3560>", "<timer:T3560>"]


def test_a_session_that_nobody_ends_is_released_by_command_while_the_ue_is_connected():
    deletion = pfcp("SessionDeletionRequest", seid=1, sequence=9)
    gone = ngap("UEContextReleaseComplete", amf_ue_ngap_id=1, ran_ue_ngap_id=1)
    answer = ngap("UplinkNASTransport", amf_ue_ngap_id=1, ran_ue_ngap_id=1)
    assert stimuli((0.0, answer), (9.0, deletion)) == ["UplinkNASTransport", "<command:release_session>"]
    assert stimuli((0.0, answer), (1.0, gone), (9.0, deletion))[2:] == ["<command:deregister>"]
    assert stimuli((0.0, answer), (1.0, gone), (300.0, deletion))[2:] == ["<timer:implicit_deregistration>"]


def test_what_has_no_rule_belongs_to_what_was_heard_just_before():
    odd = ngap("AMFStatusIndication", False)
    assert stimuli((0.0, REQUEST), (0.2, odd)) == ["InitialUEMessage"]
    assert stimuli((0.0, REQUEST), (5.0, odd)) == ["InitialUEMessage", "<command:other>"]


def asks(psi: int, dnn: str) -> Record:
    inner = nas("PDUSessionEstablishmentRequest", pdu_session_id=psi)
    return ngap("UplinkNASTransport", nas_pdu=nas("ULNASTransport", payload_container=inner, dnn=dnn))


def test_an_error_report_is_about_the_request_that_is_not_granted():
    status = downlink(1, 1, nas("5GMMStatus", cause_5gmm=91))
    session = pfcp("SessionEstablishmentRequest", sequence=3, apn_dnn="ims")
    entries = (0.0, asks(2, "unknown")), (0.0, asks(4, "ims")), (0.0, status), (0.01, session)
    turns = turns_of(Dialogue(Context(0, "ue"), tuple(replace(record, timestamp=time) for time, record in entries)))
    said = [[record.message.name for record in turn.said] for turn in turns]
    assert said == [["DownlinkNASTransport"], ["SessionEstablishmentRequest"]]


def test_the_tables_name_messages_and_stimuli():
    pytest.importorskip("pycrate_asn1dir.NGAP")
    known = {name for protocol in (NGAP, NAS, PFCP) for name in message_names(protocol)} | KINDS
    heard = {name.removeprefix("done:") for row in TRIGGERS.values() for name in row}
    assert TRIGGERS.keys() | OF_ITSELF.keys() <= known
    assert heard <= known | {*STIMULI}
    assert {*OF_ITSELF.values()} <= {*STIMULI}
    assert {name for rule in TIMER_RULES for name in rule.started | rule.stopped} <= known
    assert {f"<timer:{rule.name}>" for rule in TIMER_RULES} <= {*STIMULI}
