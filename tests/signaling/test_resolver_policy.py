"""Answers that depend on load: what the policy is asked, what waits, and what happens that nobody says."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from gentwin.signaling.core import OPEN5GS, LoadLimits, Policy, Situation
from gentwin.signaling.core.policy import ADMIT, REGISTRATION, Decision, Load, reject, wait
from gentwin.signaling.fields import Bits, Fields
from gentwin.signaling.messages import NGAP, PFCP, Message
from gentwin.signaling.resolver import CoreNetwork, Follower, Resolver
from gentwin.signaling.resolver.following import in_order
from gentwin.signaling.resolver.policy import DecisionLog
from tests.signaling.resolver_networks import quarter, synthesised, traffic
from tests.signaling.test_resolver import STATION, SUPI, first, live, network, suci


class Gate(Policy):
    """Lets everything wait while it is closed."""

    def __init__(self) -> None:
        self.open, self.percent = False, 0

    def decide(self, situation: Situation) -> Decision:
        return ADMIT if self.open else wait(5.0, 22, 30.0)

    def relief(self, load: Load) -> int:
        return self.percent


def asked(gate: Gate, time: float = 100.0) -> tuple[CoreNetwork, Resolver]:
    """Returns a network in which one UE asks for registration."""
    shared = network(policy=gate)
    resolver = Resolver(shared)
    heard = resolver.hear(first(suci()), time, STATION)
    assert heard.hints[-1] == "<policy=wait>"
    return shared, resolver


def test_who_waits_is_admitted_when_the_policy_says_so():
    gate = Gate()
    shared, resolver = asked(gate)
    assert (shared.load.waiting, shared.load.procedures, shared.load.registering) == (1, 1, 0)
    assert shared.admission.due == 105.0
    assert shared.happen(101.0) is None
    gate.open = True
    context, stimulus, hints = shared.happen(102.0)
    assert (context, stimulus) == (resolver, "<event:decided>")
    assert hints == ("<policy=admit>", "<identity=known>")
    assert (shared.load.waiting, shared.load.registering) == (0, 1)
    assert shared.happen(110.0) is None


def test_who_waits_too_long_is_rejected():
    shared, _ = asked(Gate())
    hints = shared.happen(105.0).hints
    assert " ".join(hints[:4]) == "<policy=reject> cause_5gmm #16 <back_off>"
    assert shared.admission.due is None


def test_nobody_is_answered_who_has_gone():
    gate = Gate()
    shared, resolver = asked(gate)
    resolver.hear(first(suci(), ran_id=2), 101.0, STATION)
    assert shared.load.waiting == 2
    gate.open = True
    assert shared.happen(102.0).hints[0] == "<policy=admit>"
    assert shared.happen(102.0) is None
    assert shared.load.waiting == 0


def test_what_waits_is_in_a_checkpoint():
    gate = Gate()
    _, resolver = asked(gate)
    other = network(policy=gate)
    Resolver(other).load_state_dict(json.loads(json.dumps(resolver.state_dict())))
    assert (other.load.waiting, other.load.procedures, other.admission.due) == (1, 1, 105.0)
    gate.open = True
    assert other.happen(102.0).hints == ("<policy=admit>", "<identity=known>")


def test_a_handover_cannot_wait():
    _, contexts = live(synthesised(OPEN5GS), until="RegistrationComplete")
    resolver = next(context for context in contexts.values() if context.state.phase == "registered")
    resolver.network.admission.policy = Gate()
    message = Message(NGAP, "HandoverRequired", Fields.of(amf_ue_ngap_id=resolver.state.current))
    assert "<policy=reject>" in resolver.hear(message, 1.0, STATION).hints


# ---------------------------------------------------------------- load


class Watch(Policy):
    """Notes the load with every question."""

    def __init__(self, policy: Policy) -> None:
        self.policy, self.seen = policy, {}

    def decide(self, situation: Situation) -> Decision:
        load = situation.load
        known = load.registered, load.registering, load.procedures, load.sessions, load.uplink, load.downlink
        asked = situation.uplink, situation.downlink, situation.priority, situation.counted
        self.seen.setdefault((situation.procedure, situation.supi, round(situation.time, 3)), (known, asked))
        return self.policy.decide(situation)

    def choose(self, waiting: Sequence[Situation]) -> int | None:
        return self.policy.choose(waiting)


def test_the_load_is_that_of_the_core():
    configuration = quarter(ues=20, duration=30.0)
    watch = Watch(configuration.limits)
    recording = traffic(configuration, 3, watch)
    shared = recording.network()
    again = Watch(shared.admission.policy)
    follower_of = [
        Follower(known.dialogue, Resolver(shared), recording.sides, known.messages) for known in recording.opened
    ]
    shared.admission.policy = again
    for number, turn in in_order(follower_of):
        follower_of[number].take(turn)
    both = watch.seen.keys() & again.seen.keys()
    assert len(both) > 0.95 * len(watch.seen)
    assert all(watch.seen[key][1] == again.seen[key][1] for key in both)
    assert sum(watch.seen[key][0] == again.seen[key][0] for key in both) > 0.85 * len(both)


def test_a_policy_of_limits_works_with_the_load_of_a_resolver():
    shared = network(policy=LoadLimits(registered=1, patience=0.0))
    one, other = Resolver(shared), Resolver(shared)
    assert "<policy=admit>" in one.hear(first(suci()), 0.0, STATION).hints
    assert shared.load.registering == 1
    assert "<policy=reject>" in other.hear(first(suci(), ran_id=2), 0.0, STATION).hints


def test_loads_of_sessions_end_with_them():
    recording = synthesised(OPEN5GS)
    shared, contexts = live(recording)
    sessions = [known for context in contexts.values() for known in context.state.sessions.values() if known.there]
    assert shared.load.sessions == len(sessions) > 0
    assert shared.load.uplink == sum(known.uplink for known in sessions)
    assert sum(known.sessions for known in shared.load.slices.values()) == len(sessions)


# ---------------------------------------------------------------- what happens


def test_stations_are_told_of_overload_and_of_its_end():
    gate = Gate()
    shared = network(policy=gate)
    node = Resolver(shared)
    identity = Fields.of(global_gnb_id=Fields.of(gnb_id=Fields.of(gnb_id=Bits(1, 32))))
    tai = Fields.of(
        tac=bytes.fromhex("000001"),
        broadcast_plmn_list=Fields.of(
            item=Fields.of(
                plmn_identity="999-70",
                tai_slice_support_list=Fields.of(item=Fields.of(s_nssai=Fields.of(sst=b"\1"))),
            )
        ),
    )
    request = Message(
        NGAP, "NGSetupRequest", Fields.of(global_ran_node_id=identity, supported_ta_list=Fields.of(item=tai))
    )
    assert node.hear(request, 0.0, STATION).hints == ("<node=known>",)
    assert shared.happen(0.0) is None
    gate.percent = 50
    assert shared.happen(1.0) == (node, "<event:overload>", ("amf_traffic_load_reduction_indication", "#32"))
    assert node.hear(request, 1.5, STATION).hints[-1] == "#32"
    gate.percent = 0
    assert shared.happen(2.0)[:2] == (node, "<event:relief>")
    assert shared.happen(3.0) is None


def test_sessions_of_a_user_plane_that_has_failed_are_given_up():
    recording = synthesised(OPEN5GS)
    shared, contexts = live(recording, until="PDUSessionResourceSetupResponse")
    resolver = next(context for context in contexts.values() if context.state.sessions)
    node = Resolver(shared)
    for name, stamp in (("AssociationSetupResponse", 1), ("HeartbeatResponse", 1)):
        node.hear(Message(PFCP, name, Fields.of(sequence_number=1, recovery_time_stamp=stamp)), 50.0, "127.0.0.7:8805")
    assert shared.load.sessions > 0
    node.hear(Message(PFCP, "HeartbeatResponse", Fields.of(sequence_number=2, recovery_time_stamp=9)), 60.0)
    assert (shared.load.sessions, resolver.state.sessions) == (0, {})
    happened = shared.happen(60.0)
    assert happened.stimulus == "<event:sessions_lost>"
    assert "<session=unknown>" in happened.hints


# ---------------------------------------------------------------- what was decided elsewhere


def situation(time: float, waited: float = 0.0) -> Situation:
    return Situation(REGISTRATION, time, SUPI, Load(), waited=waited)


@pytest.mark.parametrize(
    ("chosen", "before", "after"),
    [(4.0, wait(5.0, 22), ADMIT), (None, wait(5.0, 22), reject(22))],
    ids=["admitted", "rejected"],
)
def test_what_had_to_wait_is_decided_again_at_its_time(chosen: float | None, before: Decision, after: Decision):
    gate = Gate()
    log = DecisionLog(gate)
    assert log.decide(situation(1.0)).verdict == before.verdict
    gate.open = True
    if chosen is not None:
        assert log.choose([situation(chosen, chosen - 1.0)]) == 0
    policy, end = log.replay(), chosen or 6.0
    assert policy.decide(situation(1.0)).verdict == before.verdict
    assert policy.decide(situation(end - 0.5, end - 1.5)).verdict == before.verdict
    assert policy.decide(situation(end, end - 1.0)).verdict == after.verdict
    assert policy.decide(replace(situation(1.0), supi="another")) == ADMIT
    assert [outcome.ended for _, outcome in policy.waited(SUPI)] == [end]


def test_decisions_on_what_waited_are_turns_of_their_own():
    configuration = quarter(ues=20, duration=30.0)
    tight = replace(configuration.limits, procedures=0)
    recording = traffic(replace(configuration, limits=tight), 1)
    shared, seen = recording.network(), Counter()
    followers = [
        Follower(known.dialogue, Resolver(shared), recording.sides, known.messages) for known in recording.opened
    ]
    for number, turn in in_order(followers):
        found = followers[number].take(turn)
        if found is None:
            continue
        spoken = {inner for message in found.said for inner in [message.name]}
        if "<policy=wait>" in found.hints:
            seen["silent" if not spoken else "answered at once"] += 1
        if turn.stimulus == "<event:decided>":
            assert found.hints[0] in ("<policy=admit>", "<policy=reject>")
            seen["decided", bool(spoken)] += 1
    assert seen["silent"] > 5
    assert not seen["answered at once"]
    assert seen["decided", True] > 5
    assert seen["decided", False] <= 0.2 * seen["decided", True]
