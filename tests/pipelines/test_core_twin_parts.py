"""Timers, datagrams, conversations and answers of a core, each by itself."""

from pathlib import Path
from weakref import WeakSet

import numpy as np
import pytest
import torch

from gentwin.models.signaling import (
    SignalingLstmTwinConfig,
    SignalingLstmTwinForCausalLM,
    SignalingTokenizer,
    SignalingTwinConfig,
    SignalingTwinForCausalLM,
)
from gentwin.models.signaling.decoding import KEPT, Decoder
from gentwin.pipelines import CoreTwin
from gentwin.pipelines.core_twin.answers import Answers
from gentwin.pipelines.core_twin.conversations import Conversations
from gentwin.pipelines.core_twin.datagrams import Datagrams
from gentwin.pipelines.core_twin.speech import Stimulus
from gentwin.pipelines.core_twin.timers import HEARTBEAT, IMPLICIT, Timers
from gentwin.signaling.core import n2, n4
from gentwin.signaling.core.configuration import NetworkConfiguration, Timing
from gentwin.signaling.core.control_plane import Packet
from gentwin.signaling.core.subscribers import Subscribers
from gentwin.signaling.errors import SignalingError
from gentwin.signaling.messages import NGAP, PFCP
from gentwin.signaling.records import decode_message
from gentwin.signaling.resolver import CoreNetwork
from tests.serving.stations import initial_message

UPF, GNB = "127.0.0.7:8805", "127.0.2.1:41621"


@pytest.fixture(scope="module")
def tokenizer() -> SignalingTokenizer:
    return SignalingTokenizer()


def untrained(tokenizer: SignalingTokenizer, length: int) -> SignalingTwinForCausalLM:
    """Returns the smallest twin, of so many tokens of context."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = SignalingTwinConfig.for_tokenizer(
        tokenizer, **sizes, num_key_value_heads=1, max_position_embeddings=length
    )
    return SignalingTwinForCausalLM(config).eval()


@pytest.fixture
def conversations(tokenizer: SignalingTokenizer) -> Conversations:
    decoder = Decoder(untrained(tokenizer, 64), rows=2)
    return Conversations(decoder, empty_network(), most_tokens=40)


def empty_network() -> CoreNetwork:
    return CoreNetwork(NetworkConfiguration(), Subscribers())


@pytest.fixture(scope="module")
def core(tokenizer: SignalingTokenizer) -> CoreTwin:
    return CoreTwin(untrained(tokenizer, 512), tokenizer, empty_network(), rows=2)


def read(conversations: Conversations, *spoken) -> None:
    """Lets conversations hear tokens, as a core does."""
    chosen = [conversation for conversation, _ in spoken]
    unread = conversations.seat(chosen)
    tokens = [[*before, *new] for before, (_, new) in zip(unread, spoken, strict=True)]
    conversations._decoder.append([conversation.row for conversation in chosen], tokens)
    conversations.settle(chosen)


# ---------------------------------------------------------------- timers


def test_timer_runs_from_what_is_said_to_what_is_heard(conversations):
    timers, conversation = Timers(Timing(t3560=6.0)), conversations.begin()
    timers.said(conversation, ["DownlinkNASTransport", "AuthenticationRequest"], 10.0)
    assert timers.due() == 16.0
    assert [*timers.expire(15.9)] == []
    timers.heard(conversation, ["UplinkNASTransport", "AuthenticationResponse"], 12.0)
    assert timers.due() is None
    assert [*timers.expire(100.0)] == []


def test_timer_runs_out_as_often_as_the_specification_allows(conversations):
    timers, conversation = Timers(Timing(t3560=6.0, attempts=5)), conversations.begin()
    now, tokens = 0.0, []
    timers.said(conversation, ["AuthenticationRequest"], now)
    while (now := timers.due()) is not None:
        for found, token in timers.expire(now):
            assert found is conversation
            tokens.append(token)
            timers.said(found, ["AuthenticationRequest"], now)
    assert tokens == ["<timer:T3560>"] * 5


def test_heartbeats_begin_with_the_association(conversations):
    timers, conversation = Timers(Timing(heartbeat=11.0)), conversations.begin(is_node=True)
    timers.heard(conversation, ["AssociationSetupResponse"], 1.0)
    assert [token for _, token in timers.expire(12.0)] == [f"<timer:{HEARTBEAT}>"]
    timers.heard(conversation, ["HeartbeatResponse"], 12.1)
    assert timers.due() == pytest.approx(23.1)


def test_timers_of_conversations_run_out_in_their_order(conversations):
    timers, one, other = Timers(Timing()), conversations.begin(), conversations.begin()
    timers.said(one, ["RegistrationAccept"], 5.0)
    timers.said(other, ["IdentityRequest"], 5.0)
    assert [(found.number, token) for found, token in timers.expire(60.0)] == [
        (other.number, "<timer:T3570>"),
        (one.number, "<timer:T3550>"),
    ]


def test_stopped_timers_keep_nobody(conversations):
    timers, met = Timers(Timing()), WeakSet()
    for _ in range(4000):
        conversation = conversations.begin()
        met.add(conversation)
        timers.start(conversation, IMPLICIT, 0.0)
        timers.stop(conversation, IMPLICIT)
        conversations.end(conversation)
    assert len(met) < 2000, "the hour of their timer is not waited for"


def test_timers_that_run_stay_among_many_that_were_stopped(conversations):
    timers, (one, other) = Timers(Timing(heartbeat=11.0)), (conversations.begin(), conversations.begin())
    timers.start(one, HEARTBEAT, 1.0)
    for _ in range(4000):
        timers.start(other, IMPLICIT, 0.0)
        timers.stop(other, IMPLICIT)
    assert timers.due() == 12.0
    assert [found for found, _ in timers.expire(1e9)] == [one]


# ---------------------------------------------------------------- datagrams


def test_request_goes_out_again_until_it_is_given_up(conversations):
    datagrams, conversation = Datagrams(Timing(t1=2.5, n1=3)), conversations.begin()
    packet = Packet(PFCP, UPF, b"request")
    datagrams.send(packet, n4.message("HeartbeatRequest", 7), conversation, 0.0)
    assert datagrams.expire(2.4) == ([], [])
    assert datagrams.expire(2.5) == ([packet], [])
    assert datagrams.expire(5.0) == ([packet], [])
    assert datagrams.expire(7.5) == ([], [conversation])
    assert datagrams.due() is None


def test_only_the_response_to_what_was_asked_is_waited_for(conversations):
    datagrams, conversation = Datagrams(Timing()), conversations.begin()
    datagrams.send(Packet(PFCP, UPF, b""), n4.message("HeartbeatRequest", 7), conversation, 0.0)
    assert not datagrams.waits(n4.message("HeartbeatResponse", 8), UPF)
    assert not datagrams.waits(n4.message("SessionDeletionResponse", 7), UPF)
    assert not datagrams.waits(n4.message("HeartbeatResponse", 7), "127.0.0.9:8805")
    assert datagrams.waits(n4.message("HeartbeatResponse", 7), UPF)
    datagrams.answered(n4.message("HeartbeatResponse", 7), UPF)
    assert not datagrams.waits(n4.message("HeartbeatResponse", 7), UPF)
    assert datagrams.due() is None


def test_request_that_comes_again_is_answered_alike(conversations):
    datagrams, conversation = Datagrams(Timing()), conversations.begin()
    request = n4.message("HeartbeatRequest", 3)
    assert datagrams.answer_again(request, UPF) is None
    datagrams.send(Packet(PFCP, UPF, b"response"), n4.message("HeartbeatResponse", 3), conversation, 0.0)
    assert datagrams.answer_again(request, "127.0.0.7:9000") == Packet(PFCP, "127.0.0.7:9000", b"response")
    assert datagrams.due() is None, "a response is not repeated"


# ---------------------------------------------------------------- conversations


def test_conversation_that_lost_its_place_is_read_again(conversations):
    one, two, three = (conversations.begin() for _ in range(3))
    read(conversations, (one, [5, 6]), (two, [7]))
    read(conversations, (three, [8]))
    assert one.row is None
    assert conversations.tokens(one) == [5, 6]
    read(conversations, (one, [9]))
    assert conversations.tokens(one) == [5, 6, 9]
    known = conversations._decoder.append([one.row], [[10]])
    fresh = conversations._decoder
    fresh.reset(three.row if three.row is not None else two.row)
    row = three.row if three.row is not None else two.row
    assert np.array_equal(known, fresh.append([row], [[5, 6, 9, 10]])), "the same as if it had been there all the time"


def test_all_together_stay_below_their_limit(conversations):
    one, two = conversations.begin(), conversations.begin()
    read(conversations, (one, [3] * 30))
    read(conversations, (two, [4] * 30))
    assert one.row is None
    assert two.row is not None
    assert conversations.tokens(one) == [3] * 30


def test_begun_anew_nothing_is_left_but_the_ue(conversations):
    one = conversations.begin()
    one.begun = True
    one.resolver.bindings.use("TMSI", b"\x01\x02\x03\x04")
    read(conversations, (one, [5, 6]))
    conversations.restart(one)
    assert not one.begun
    assert conversations.tokens(one) == []
    assert one.resolver.bindings.counts.get("TMSI", 0) == 0
    assert conversations.of(one.resolver) is one


def test_checkpoint_holds_conversations(conversations, tokenizer):
    one = conversations.begin(is_node=True)
    one.timers["heartbeat"], one.begun = 11.0, True
    read(conversations, (one, [5, 6, 7]))
    saved = conversations.state_dict()
    conversations.load_state_dict(saved)
    (found,) = conversations
    assert found is not one
    assert (found.is_node, found.begun, found.timers) == (True, True, {"heartbeat": 11.0})
    assert conversations.tokens(found) == [5, 6, 7]
    assert conversations.state_dict() == saved


# ---------------------------------------------------------------- answers


def test_answer_is_found_by_all_that_it_depends_on():
    answers = Answers(most_answers=100)
    begin, bound = answers.place([]), {"TMSI": 1, "SEID": 2}
    key = answers.key(begin, [5, 6], True, bound)
    place = answers.add(key, [7, 8])
    assert answers.find(answers.key(begin, [5, 6], True, {"SEID": 2, "TMSI": 1})) == ([7, 8], place)
    others = [
        answers.key(place, [5, 6], True, bound),
        answers.key(begin, [5], True, bound),
        answers.key(begin, [5, 6], False, bound),
        answers.key(begin, [5, 6], True, {"TMSI": 2, "SEID": 2}),
    ]
    assert [answers.find(other) for other in others] == [None] * 4


def test_same_tokens_are_the_same_place():
    answers = Answers(most_answers=100)
    assert answers.place([1, 2]) == answers.place([1, 2])
    assert len({answers.place([1, 2]), answers.place([1]), answers.place([])}) == 3


def test_answers_that_were_not_given_for_long_are_forgotten():
    answers = Answers(most_answers=2)
    keys = [answers.key(0, [heard], False, {}) for heard in range(3)]
    for key in keys[:2]:
        answers.add(key, [9])
    assert answers.find(keys[0]) is not None
    answers.add(keys[2], [9])
    assert [answers.find(key) is not None for key in keys] == [True, False, True]


@pytest.mark.parametrize("most, length", [(0, 1), (100, 1000)], ids=["none", "long"])
def test_answers_that_are_not_remembered(most, length):
    answers = Answers(most)
    key = answers.key(answers.place([]), [5] * length, False, {})
    assert answers.add(key, [9]) != answers.add(key, [9])
    assert answers.find(key) is None


def test_number_of_answers_is_not_negative():
    with pytest.raises(ValueError, match="`most_answers` must be at least 0, got -1"):
        Answers(most_answers=-1)


def test_contexts_whose_tokens_were_forgotten_share_no_answers(tokenizer: SignalingTokenizer):
    config = SignalingLstmTwinConfig.for_tokenizer(tokenizer, embedding_size=4, hidden_size=4, num_hidden_layers=1)
    core = CoreTwin(SignalingLstmTwinForCausalLM(config).eval(), tokenizer, empty_network(), rows=3)
    places = []
    for tokens in ([5, 6], [5, 6], [5] + [6] * KEPT, [7] + [6] * KEPT):
        conversation = core._conversations.begin()
        read(core._conversations, (conversation, tokens))
        core._speech._turn(conversation, [], [8])
        places.append(conversation.place)
    assert places[0] == places[1]
    assert len({*places}) == 3


# ---------------------------------------------------------------- what is said


@pytest.mark.parametrize(
    ("peer", "heard", "receivers"),
    [
        (GNB, initial_message(), [GNB]),
        ("127.0.0.7:50000", None, []),
        (UPF, None, []),
        ("127.0.0.7:41621", None, ["127.0.0.7:41621"]),
        ("127.0.0.7:41622", initial_message(), ["127.0.0.7:41622"]),
    ],
    ids=["base station", "UPF, any port", "UPF", "base station beside the UPF", "new base station beside the UPF"],
)
def test_messages_for_base_stations_do_not_go_to_the_user_plane(core: CoreTwin, peer, heard, receivers):
    core.stations |= {GNB: 0, "127.0.0.7:41621": 1}
    message = n4.message("SessionReportRequest", 5, seid=1) if heard is None else decode_message(NGAP, heard)
    conversation = core._conversations.begin()
    conversation.resolver.peer = peer
    said = n2.message("ErrorIndication", *n2.ids(4711, 1), n2.cause("protocol", "semantic-error"))
    assert core._speech._receivers(Stimulus(conversation, [], message, peer), said) == receivers


def test_subscribers_of_another_type_are_refused_at_once(tmp_path: Path):
    with pytest.raises(TypeError, match="`subscribers` must be `Subscribers` or a path, got list"):
        CoreTwin.from_pretrained("gentwin/signaling-open5gs", subscribers=[])
    with pytest.raises(FileNotFoundError, match="must be a file of subscribers"):
        CoreTwin.from_pretrained("gentwin/signaling-open5gs", subscribers=tmp_path / "nobody.sqlite")


def test_there_are_two_protocols():
    with pytest.raises(SignalingError, match="`protocol` must be 'ngap' or 'pfcp', got 'sip'"):
        Packet("sip", UPF, b"")


def test_defects_are_logged_with_their_traceback(tokenizer: SignalingTokenizer, caplog: pytest.LogCaptureFixture):
    subscribers, events = Subscribers(), []
    network = CoreNetwork(NetworkConfiguration(), subscribers)
    core = CoreTwin(untrained(tokenizer, 512), tokenizer, network, rows=2, listener=events.append)
    core.stations[GNB] = 0
    subscribers.close()
    assert core.hear([Packet(NGAP, GNB, initial_message())], 1.8e9) == []
    assert "Cannot operate on a closed database" in caplog.text and "Traceback" in caplog.text
    assert events[-1].kind == "refused" and "`InitialUEMessage` cannot be taken" in events[-1].reason
