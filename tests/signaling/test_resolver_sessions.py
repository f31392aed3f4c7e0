"""Which PDU sessions a core speaks of, of several that there are."""

from __future__ import annotations

from random import Random

import pytest

from gentwin.signaling.core import NetworkConfiguration, Subscribers
from gentwin.signaling.dialogue import Slot
from gentwin.signaling.dialogue.hints import command, event
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import NGAP, PFCP, Message
from gentwin.signaling.resolver import CoreNetwork, Resolver, ResolverError
from gentwin.signaling.resolver.errors import SuperfluousRequestError
from gentwin.signaling.resolver.state import Connection, Session
from tests.signaling.record_samples import nas

STATION, UPF = "127.0.2.1:41621", "127.0.0.7:8805"
PSI, SEID = Slot("new", "PDU_SESSION_ID", 0), Slot("new", "SEID", 0)
LIST = "pdu_session_resource_to_release_list_rel_cmd"
DELETION = Message(PFCP, "SessionDeletionRequest", Fields.of(seid=SEID))
MODIFICATION = Message(PFCP, "SessionModificationRequest", Fields.of(seid=SEID))


@pytest.fixture
def resolver() -> Resolver:
    """Returns the resolver of a connected UE with the sessions 1, 2 and 3, whose user plane is there."""
    found = Resolver(CoreNetwork(NetworkConfiguration(), Subscribers(), random=Random(1)))
    found.state.connections[7] = Connection(STATION, 1, 7)
    found.state.current = 7
    for psi in (1, 2, 3):
        found.state.sessions[psi] = Session(psi, seid=psi, peer_seid=10 + psi, active=True, there=True)
    return found


def released(*lists: int, told: bool = False) -> Message:
    """Returns a command that releases some sessions, and tells the UE of the first."""
    items = Fields(tuple(("item", Fields.of(pdu_session_id=PSI)) for _ in lists))
    inner = nas("DLNASTransport", payload_container=nas("PDUSessionReleaseCommand", pdu_session_id=PSI))
    before = (("nas_pdu", inner),) if told else ()
    return Message(NGAP, "PDUSessionResourceReleaseCommand", Fields((*before, (LIST, items))))


def listed(message: Message) -> list[int]:
    return [item["pdu_session_id"] for item in message[LIST].all("item")]


def test_each_message_of_an_answer_is_about_another_session(resolver: Resolver):
    assert resolver.lose_sessions()
    assert resolver.happen(event("sessions_lost"), 0.0).count("<session=unknown>") == 3
    assert [listed(resolver.say(released(1), 0.0)) for _ in range(3)] == [[1], [2], [3]]


def test_items_of_a_list_are_about_different_sessions(resolver: Resolver):
    resolver.lose_sessions()
    resolver.happen(event("sessions_lost"), 0.0)
    assert listed(resolver.say(released(1, 2, told=True), 0.0)) == [1, 2]


@pytest.mark.parametrize(("psi", "endpoint"), [(None, 11), (2, 12), (3, 13)])
def test_command_says_which_session(resolver: Resolver, psi: int | None, endpoint: int):
    hints = resolver.happen(command("release_session"), 0.0, psi)
    assert hints == ("<connection=connected>", "<session=active>")
    assert resolver.say(DELETION, 0.0)["seid"] == endpoint


def test_every_session_is_sent_a_request_once(resolver: Resolver):
    resolver.happen("<timer:T3522>", 0.0)
    assert [resolver.say(MODIFICATION, 0.0)["seid"] for _ in range(3)] == [11, 12, 13]
    with pytest.raises(SuperfluousRequestError, match="each session was sent one"):
        resolver.say(MODIFICATION, 0.0)


def test_request_for_no_session_is_no_superfluous_one(resolver: Resolver):
    resolver.state.sessions.clear()
    with pytest.raises(ResolverError, match="has no session") as error:
        resolver.say(DELETION, 0.0)
    assert not isinstance(error.value, SuperfluousRequestError)


def test_lost_link_is_a_turn_of_its_own(resolver: Resolver):
    resolver.happen("<timer:T3522>", 0.0)
    assert [resolver.say(MODIFICATION, 0.0)["seid"] for _ in range(3)] == [11, 12, 13]
    resolver.lose(STATION, 1.0)
    assert resolver.say(MODIFICATION, 1.0)["seid"] == 11


@pytest.mark.parametrize("name", ["HandoverNotify", "UEContextReleaseComplete"])
def test_what_base_stations_tell_each_other_is_not_kept_after_a_handover(resolver: Resolver, name: str):
    resolver.state.connections[8], resolver.state.target = Connection("127.0.2.2:41622", 2, 8), 8
    container = "source_to_target_transparent_container"
    required = Fields(((("amf_ue_ngap_id", 7)), ("ran_ue_ngap_id", 1), (container, bytes(9))))
    resolver.hear(Message(NGAP, "HandoverRequired", required), 0.0, STATION)
    assert resolver.state.container == bytes(9)
    resolver.hear(Message(NGAP, name, Fields.of(amf_ue_ngap_id=8, ran_ue_ngap_id=2)), 1.0, "127.0.2.2:41622")
    assert resolver.state.container is None


def test_only_requests_of_the_user_plane_are_answered(resolver: Resolver):
    answer = Message(PFCP, "HeartbeatResponse", Fields.of(sequence_number=Slot("new", "PFCP_SEQ", 0)))
    resolver.hear(Message(PFCP, "HeartbeatRequest", Fields.of(sequence_number=9, recovery_time_stamp=1)), 0.0, UPF)
    assert resolver.say(answer, 0.0)["sequence_number"] == 9
    resolver.hear(Message(PFCP, "HeartbeatResponse", Fields.of(sequence_number=9, recovery_time_stamp=1)), 1.0, UPF)
    with pytest.raises(ResolverError, match="no request is answered"):
        resolver.say(answer, 1.0)
