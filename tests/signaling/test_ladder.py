"""What happened, as people look at it: charts, procedures and their outcome, summaries, pictures."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.image import imread

from gentwin.charts import draw_ladder, save_ladder
from gentwin.charts.ladder import MOST_STEPS
from gentwin.signaling import nas as nas_codec
from gentwin.signaling import ngap as ngap_codec
from gentwin.signaling.contexts import dialogues
from gentwin.signaling.core import Behaviour, Faults, SynthesisConfiguration, Workload, synthesize
from gentwin.signaling.fields import Bits, Fields
from gentwin.signaling.ladder import (
    CIPHERED,
    COMPLETED,
    KINDS,
    REJECTED,
    TONES,
    UNANSWERED,
    Actor,
    Cause,
    Ladder,
    Procedure,
    Step,
    causes_of,
    draw_text,
    find_procedures,
    make_ladder,
    parts,
    refuses,
    summarise,
)
from gentwin.signaling.messages import NAS, NGAP, PFCP, Message, Record
from gentwin.signaling.pfcp.messages import MESSAGES as PFCP_MESSAGES
from tests.signaling.record_samples import (
    GNB,
    OTHER_GNB,
    accept,
    downlink,
    establishment,
    nas,
    ngap,
    pfcp,
    recorded,
    registration,
    resource_setup,
    suci,
    tunnel,
)

SUCI = suci("0000000001")
TMSI = b"\xc0\0\0\x01"


def at(time: float, record: Record) -> Record:
    """Returns a record of another time."""
    return replace(record, timestamp=time)


def uplink(message: Message | bytes) -> Record:
    return ngap("UplinkNASTransport", amf_ue_ngap_id=1, ran_ue_ngap_id=1, nas_pdu=message)


def session(name: str, psi: int = 1, **more) -> Message:
    """Returns a 5GSM message in a transport."""
    inner = nas(name, pdu_session_id=psi, pti=1, **more)
    kind = "ULNASTransport" if name.endswith(("Request", "Complete")) else "DLNASTransport"
    return nas(kind, payload_container_type="n1_sm_information", payload_container=inner, pdu_session_id=psi)


def protected(payload: Message | bytes) -> Message:
    return nas("SecurityProtected", security_header_type=2, mac=bytes(4), sequence_number=0, payload=payload)


def outcomes(*records: Record) -> list[tuple[str, str]]:
    """Returns the procedures in records, a second apart, as names and outcomes."""
    found = find_procedures(at(float(place), record) for place, record in enumerate(records))
    return [(entry.kind.name, entry.outcome) for entry in found]


def of_kind(found: list[Procedure], name: str) -> list[Procedure]:
    return [entry for entry in found if entry.kind.name == name]


# ---------------------------------------------------------------- causes


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (nas("RegistrationReject", cause_5gmm=7), "5GMM #7 5GS services not allowed"),
        (nas("5GMMStatus", cause_5gmm=250), "5GMM #250 unknown"),
        (nas("PDUSessionEstablishmentReject", cause_5gsm=27), "5GSM #27 Missing or unknown DNN"),
        (ngap("NGSetupFailure", cause=Fields.of(misc="om-intervention")).message, "miscellaneous: om-intervention"),
        (
            pfcp("SessionDeletionResponse", cause="session_context_not_found").message,
            "PFCP #65 session context not found",
        ),
        (pfcp("SessionDeletionResponse", cause=200).message, "PFCP #200 unknown"),
    ],
)
def test_causes_have_the_names_of_the_specification(message: Message, text: str):
    assert [str(cause) for cause in causes_of(message)] == [text]
    assert refuses(message)


@pytest.mark.parametrize(
    "message",
    [
        nas("RegistrationAccept"),
        nas("DLNASTransport", pdu_session_id=1),
        ngap("UEContextReleaseCommand", cause=Fields.of(nas="deregister")).message,
        pfcp("SessionDeletionResponse", cause="request_accepted").message,
        pfcp("SessionDeletionRequest").message,
    ],
)
def test_what_refuses_nothing(message: Message):
    assert not refuses(message)


def test_sessions_that_failed_have_causes():
    transfer = Fields.of(cause=Fields.of(radio_network="unknown-pdu-session-id"))
    item = Fields.of(pdu_session_id=1, pdu_session_resource_setup_unsuccessful_transfer=transfer)
    record = ngap(
        "PDUSessionResourceSetupResponse", pdu_session_resource_failed_to_setup_list_su_res=Fields.of(item=item)
    )
    assert refuses(record.message)
    assert causes_of(record.message) == (Cause("NGAP", "radio network", "unknown-pdu-session-id"),)


# ---------------------------------------------------------------- procedures


def test_table_names_messages_that_exist():
    names = {*nas_codec.MESSAGES, *ngap_codec.message_names(), *PFCP_MESSAGES}
    used = {name.partition(":")[0] for kind in KINDS for name in kind.begins | kind.completes | kind.rejects}
    assert used <= names
    assert all(kind.source.startswith("TS ") for kind in KINDS)
    begins = [name for kind in KINDS for name in kind.begins]
    assert len(begins) == len(set(begins))


@pytest.mark.parametrize(
    ("answer", "outcome", "cause"),
    [
        (accept(1, 1, TMSI), COMPLETED, None),
        (downlink(1, 1, nas("RegistrationReject", cause_5gmm=22)), REJECTED, "5GMM #22 Congestion"),
        (downlink(1, 1, nas("AuthenticationReject")), REJECTED, None),
        (downlink(1, 1, protected(b"\1\2\3")), CIPHERED, None),
        (downlink(1, 1, nas("ServiceAccept")), UNANSWERED, None),
    ],
)
def test_outcome_of_a_registration(answer: Record, outcome: str, cause: str | None):
    (found,) = find_procedures([at(1.0, registration(1, SUCI)), at(1.25, answer)])
    assert (found.kind.name, found.outcome, found.begin) == ("Initial registration", outcome, 1.0)
    assert found.duration == (0.25 if outcome in (COMPLETED, REJECTED) else None)
    assert (found.cause and str(found.cause)) == cause


def test_kinds_of_registration():
    request = registration(1, SUCI).message["nas_pdu"]
    kinds = {
        "mobility_updating": "Mobility registration update",
        "periodic_updating": "Periodic registration update",
        "emergency": "Emergency registration",
        0: "Initial registration",
    }
    for value, name in kinds.items():
        assert outcomes(uplink(request.with_value("registration_type.type", value))) == [(name, UNANSWERED)]


def test_sessions_are_told_apart_by_their_number():
    found = outcomes(
        uplink(session("PDUSessionEstablishmentRequest", 1)),
        uplink(session("PDUSessionEstablishmentRequest", 2)),
        downlink(1, 1, session("PDUSessionEstablishmentReject", 2, cause_5gsm=27)),
        downlink(1, 1, session("PDUSessionEstablishmentAccept", 1)),
    )
    assert found == [("PDU session establishment", COMPLETED), ("PDU session establishment", REJECTED)]


def test_a_payload_that_comes_back_is_a_rejection():
    request = session("PDUSessionEstablishmentRequest", 3)
    back = nas("DLNASTransport", **dict(request.fields), cause_5gmm=91)
    (found,) = find_procedures([at(0.0, uplink(request)), at(1.0, downlink(1, 1, back))])
    assert (found.outcome, found.cause.code) == (REJECTED, "#91")


def test_a_status_rejects_what_was_asked_last():
    found = outcomes(
        uplink(session("PDUSessionEstablishmentRequest", 1)),
        uplink(session("PDUSessionEstablishmentRequest", 2)),
        uplink(nas("5GMMStatus", cause_5gmm=101)),
        downlink(1, 1, nas("5GMMStatus", cause_5gmm=91)),
    )
    assert [outcome for _, outcome in found] == [UNANSWERED, REJECTED]


def test_what_is_said_again_is_one_procedure_and_a_new_try_another():
    again = downlink(1, 1, nas("AuthenticationRequest"))
    assert outcomes(again, again, uplink(nas("AuthenticationFailure", cause_5gmm=20))) == [
        ("Primary authentication", REJECTED)
    ]
    assert outcomes(registration(1, SUCI), registration(2, SUCI), accept(1, 2, TMSI)) == [
        ("Initial registration", UNANSWERED),
        ("Initial registration", COMPLETED),
    ]


def test_an_answer_that_comes_too_late_is_none():
    assert [entry.outcome for entry in find_procedures([registration(1, SUCI), at(61.0, accept(1, 1, TMSI))])] == [
        UNANSWERED
    ]


def test_switch_off_has_no_answer():
    leave = nas("DeregistrationRequestUEOriginating", deregistration_type=Fields.of(switch_off=1))
    (found,) = find_procedures([uplink(leave)])
    assert (found.kind.name, found.outcome, found.duration) == ("UE-initiated deregistration", COMPLETED, None)


def test_n4_is_answered_by_its_sequence_number():
    found = find_procedures(
        [
            pfcp("SessionModificationRequest", sequence=1),
            pfcp("SessionModificationRequest", sequence=2),
            pfcp("SessionModificationResponse", False, sequence=2, cause="rule_creation_modification_failure"),
            pfcp("SessionModificationResponse", False, sequence=1, cause="request_accepted"),
        ]
    )
    assert [entry.outcome for entry in found] == [COMPLETED, REJECTED]
    assert str(found[1].cause) == "PFCP #73 rule creation modification failure"


def test_a_repeated_request_inside_of_another_message_begins_nothing():
    whole = registration(1, SUCI).message["nas_pdu"]
    complete = nas("SecurityModeComplete", nas_message_container=whole)
    assert outcomes(uplink(protected(complete))) == []
    assert [part.name for part in parts(uplink(protected(complete)).message)] == [
        "UplinkNASTransport",
        "SecurityModeComplete",
    ]


def test_handovers_of_a_synthesis():
    behaviour = Behaviour(move_xn=40.0, move_n2=80.0)
    workload = Workload(arrivals=20.0, think_time=1.0, behaviour=behaviour)
    faults = Faults(handover_refused=0.3, handover_cancelled=0.3)
    summary = summarise(synthesize(SynthesisConfiguration(10, 40.0, workload=workload, faults=faults), seed=1))
    found = {entry.kind.name: entry for entry in summary.procedures}
    assert found["Xn-based handover"].completed
    n2 = found["N2-based handover"]
    assert n2.completed and n2.rejected
    assert n2.completed + n2.rejected + n2.unanswered <= summary.messages[NGAP, "HandoverRequired"]
    assert n2.completed <= summary.messages[NGAP, "HandoverNotify"]


def test_procedures_of_a_recording():
    summary = summarise(recorded("n2n4-rejects"))
    found = {entry.kind.name: (entry.completed, entry.rejected, entry.unanswered) for entry in summary.procedures}
    assert found["Initial registration"] == (24, 11, 0)
    assert found["PDU session establishment"] == (10, 16, 2)
    assert found["NG setup"] == (1, 2, 0)
    assert found["AN release"] == (35, 0, 0)
    assert summary.refusals["RegistrationReject", Cause("5GMM", "#7", "5GS services not allowed")] == 3
    assert all(entry.duration is None or 0 < entry.duration < 1 for entry in summary.procedures)


def test_ciphered_recording_is_not_taken_for_unanswered():
    summary = summarise(recorded("n2n4-nea2-c08"))
    (found,) = (entry for entry in summary.procedures if entry.kind.name == "Service request")
    assert (found.ciphered, found.unanswered) == (137, 0)
    assert (summary.nas, summary.ciphered) == (1222, 913)
    security = next(found for found in summary.procedures if found.kind.name == "NAS security mode control")
    assert security.ciphered == 43  # as many as there are commands, on several connections of a UE


# ---------------------------------------------------------------- summaries


def test_summary_and_dialogues_agree():
    records = recorded("n2n4-c02")
    summary, found = summarise(records), list(dialogues(records))
    ues = [dialogue for dialogue in found if dialogue.context.kind == "ue"]
    assert [ue.number for ue in summary.ues] == [dialogue.context.number for dialogue in ues]
    assert [ue.supi for ue in summary.ues] == [dialogue.context.supi for dialogue in ues]
    for ue, dialogue in zip(summary.ues, ues, strict=True):
        assert ue.records == len(dialogue.records)
        assert list(ue.procedures) == find_procedures(dialogue.records)
    assert sum(summary.links.values()) == summary.records == len(records)
    assert summary.begin == min(record.timestamp for record in records)
    assert Counter(
        {name: count for (protocol, name), count in summary.messages.items() if protocol == NGAP}
    ) == Counter(record.message.name for record in records if record.message.protocol == NGAP)


def test_summary_of_nothing():
    summary = summarise([])
    assert (summary.records, summary.ues, summary.procedures, summary.begin) == (0, (), (), 0.0)


# ---------------------------------------------------------------- ladders


def test_steps_of_a_registration():
    setup = resource_setup(
        1, 1, tunnel("10.0.1.7", 9), pdu_session_nas_pdu=protected(session("PDUSessionEstablishmentAccept"))
    )
    ladder = make_ladder(
        [
            registration(1, SUCI),
            downlink(1, 1, nas("RegistrationReject", cause_5gmm=22, t3346_value=Fields.of(unit="2 s", value=15))),
            ngap("UEContextReleaseCommand", False, cause=Fields.of(nas="normal-release")),
            setup,
            uplink(protected(b"\1")),
            uplink(b"\0"),
            *establishment(1, 2, "10.45.0.2", 9),
        ],
        numbers=range(10, 18),
    )
    first, rejected, release, setup, ciphered, undecoded, request, _ = ladder.steps
    assert first.label == "InitialUEMessage / RegistrationRequest"
    assert first.details == ("initial", "SUCI 999-70-0000000001")
    assert [ladder.names()[actor] for actor in first.actors] == ["UE", "gNB", "AMF"]
    assert (rejected.tone, rejected.receiver.role, rejected.via) == ("refused", "UE", Actor("gNB", GNB))
    assert rejected.details == ("5GMM #22 Congestion", "T3346 30 s")
    assert (release.tone, release.details, release.via) == (NGAP, ("NAS: normal-release",), None)
    assert setup.label == "PDUSessionResourceSetupRequest / PDUSessionEstablishmentAccept"
    assert (ciphered.label, ciphered.tone) == ("UplinkNASTransport / (ciphered)", "closed")
    assert (undecoded.label, undecoded.tone) == ("UplinkNASTransport / (undecoded)", "closed")
    assert [actor.role for actor in request.actors] == ["SMF", "UPF"]
    assert [step.number for step in ladder.steps] == [*range(10, 18)]


def test_actors_are_named_and_numbered():
    ladder = make_ladder([registration(1, SUCI), registration(2, SUCI, OTHER_GNB)])
    assert [ladder.names()[actor] for actor in ladder.actors] == ["UE", "gNB 1", "gNB 2", "AMF"]
    assert ladder.actors[2].address == OTHER_GNB


def test_control_plane_is_known_by_what_it_asks():
    heartbeat = pfcp("HeartbeatRequest", False)
    assert [actor.role for actor in make_ladder([heartbeat]).steps[0].actors] == ["SMF", "UPF"]
    ladder = make_ladder([heartbeat, pfcp("SessionDeletionRequest"), pfcp("SessionReportResponse")])
    assert [[actor.role for actor in step.actors] for step in ladder.steps] == [
        ["UPF", "SMF"],
        ["SMF", "UPF"],
        ["SMF", "UPF"],
    ]


def test_base_stations_with_few_steps_share_a_column():
    records = [registration(place, SUCI, f"10.0.0.{min(place, 9)}:1") for place in range(1, 15)]
    ladder = make_ladder(records).with_stations(3)
    assert [ladder.names()[actor] for actor in ladder.actors] == ["UE", "gNB 1", "gNB 2", "gNBs", "AMF"]
    assert len(ladder.steps) == len(records)


def test_first_steps_tell_how_many_are_left_out():
    ladder = make_ladder([registration(1, SUCI)] * 5)
    assert (len(ladder.first(2).steps), ladder.first(2).omitted, ladder.first(9).omitted) == (2, 3, 0)
    assert ladder.first(3).first(2).omitted == 3


@pytest.mark.parametrize("width", [20, 60, 80, 100, 140, 250])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_text_fits_the_terminal(width: int, ascii_only: bool):
    dialogue = max(dialogues(recorded("n2n4-rejects")), key=lambda dialogue: len(dialogue.context.links))
    ladder = make_ladder(dialogue.records)
    lines = ["".join(span.text for span in line) for line in draw_text(ladder, width, ascii_only=ascii_only)]
    assert max(map(len, lines)) <= max(width, 75)
    assert not ascii_only or "\n".join(lines).isascii()
    assert width < 100 or any("DeregistrationRequestUEOriginating" in line for line in lines)


def test_arrows_point_from_sender_to_receiver():
    up, down = registration(1, SUCI), accept(1, 1, TMSI)
    *_, first, second = ("".join(span.text for span in line) for line in draw_text(make_ladder([up, down]), 140))
    assert first.index("├") < first.index("●") < first.index("▶")
    assert second.index("◀") < second.index("●") < second.index("┤")


def test_chart_of_nothing_is_no_line_but_its_head():
    assert draw_text(Ladder("nothing", (), 0.0), 80) == draw_text(make_ladder([]), 80)


names = st.sampled_from([*nas_codec.MESSAGES, *PFCP_MESSAGES, "InitialUEMessage", "Paging", "NGSetupFailure", "x"])
leaves = st.one_of(
    st.integers(), st.text(max_size=5), st.binary(max_size=5), st.builds(Bits, st.integers(0, 9), st.integers(4, 8))
)
FIELDS = """
cause cause_5gmm cause_5gsm nas_pdu payload payload_container mobile_identity guti s_nssai dnn pdu_session_id type sst
sd registration_type f_seid seid t3346_value unit value item update_far x_failed_x
"""
fields_names = st.sampled_from(FIELDS.split())
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(st.tuples(fields_names, inner), max_size=4).map(Fields),
        st.builds(Message, st.just(NAS), names, st.lists(st.tuples(fields_names, inner), max_size=4).map(Fields)),
    ),
    max_leaves=5,
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([NGAP, PFCP]), names, st.lists(st.tuples(fields_names, trees), max_size=5), st.booleans()
        ),
        max_size=5,
    )
)
def test_nothing_that_can_be_said_breaks_a_chart(said: list[tuple]):
    records = [
        Record(Message(protocol, name, Fields(pairs)), 0.0, *(("a:1", "b:2") if there else ("b:2", "b:2")))
        for protocol, name, pairs, there in said
    ]
    ladder = make_ladder(records)
    assert len(ladder.steps) == len(records)
    assert all(step.tone in TONES and step.label for step in ladder.steps)
    assert draw_text(ladder, 80)
    find_procedures(records)


# ---------------------------------------------------------------- pictures


@pytest.fixture(scope="module")
def ladder() -> Ladder:
    records = synthesize(SynthesisConfiguration(ues=1, duration=8.0), seed=2)
    ue = next(dialogue for dialogue in dialogues(records) if dialogue.context.kind == "ue")
    return make_ladder(ue.records, title="UE <1> & $x$").first(12)


def test_svg_is_xml_with_its_text(ladder: Ladder, tmp_path: Path):
    path = save_ladder(ladder, tmp_path / "charts" / "one.svg")
    texts = " ".join(ElementTree.parse(path).getroot().itertext())
    assert "UE <1> & $x$" in texts
    for step in ladder.steps:
        assert step.label in texts
        assert ", ".join(step.details) in texts
    assert not list(path.parent.glob("*.partial"))


def test_equal_ladders_are_equal_files(ladder: Ladder, tmp_path: Path):
    for ending in ("svg", "png"):
        one, other = (save_ladder(ladder, tmp_path / f"{name}.{ending}").read_bytes() for name in ("one", "other"))
        assert one == other


def test_png_has_ink_in_every_row(ladder: Ladder, tmp_path: Path):
    pixels = imread(save_ladder(ladder, tmp_path / "one.png"))[..., :3]
    assert pixels.shape[0] > 500 and pixels.shape[1] > 500
    dark = (pixels.min(axis=2) < 0.3).sum(axis=1)
    assert (dark > 200).sum() >= len(ladder.steps)


def test_texts_of_a_picture_stay_inside_and_apart(ladder: Ladder):
    figure = draw_ladder(ladder)
    renderer = figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in figure.axes[0].texts if text.get_text()]
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
    overlaps = [
        (one, other)
        for place, one in enumerate(boxes)
        for other in boxes[place + 1 :]
        if one.x0 < other.x1 and other.x0 < one.x1 and one.y0 + 1 < other.y1 and other.y0 + 1 < one.y1
    ]
    assert not overlaps


@pytest.mark.parametrize("name", ["one.gif", "svg", "one"])
def test_other_endings_are_refused(ladder: Ladder, tmp_path: Path, name: str):
    with pytest.raises(ValueError, match=r"`path` must end with `.svg` or `.png`"):
        save_ladder(ladder, tmp_path / name)


def test_pictures_have_a_limit():
    step = Step(0.0, Actor("UE"), Actor("AMF", "a"), "x")
    for count in (0, MOST_STEPS + 1):
        with pytest.raises(ValueError, match=f"`steps` must be from 1 to {MOST_STEPS} for a picture, got {count}"):
            draw_ladder(Ladder("", (step,) * count, 0.0))
