"""Slices of a core that share resources: who is admitted, waits, and is rejected, and the state that says so."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from gentwin.networks.admission import AdmissionParameters, ServiceParameters
from gentwin.networks.admission.policies import fifo_greedy
from gentwin.signaling.core import (
    AdmissionConfiguration,
    AdmissionPolicy,
    Demand,
    Load,
    LoadLimits,
    NetworkConfiguration,
    Policy,
    Population,
    Profile,
    Resource,
    Situation,
    Slice,
    Subscription,
    SynthesisConfiguration,
    Tenant,
    Workload,
    synthesize,
)
from gentwin.signaling.core.admission import OldestThatFits
from gentwin.signaling.core.plain import explain, from_plain
from gentwin.signaling.core.policy import ADMIT, Decision, reject, wait
from gentwin.signaling.errors import SignalingError
from gentwin.signaling.resolver import CoreNetwork, Follower, Resolver
from gentwin.signaling.resolver.following import in_order
from gentwin.signaling.resolver.state import Request
from gentwin.yaml_text import load_yaml
from tests.signaling.core_networks import STATIONS, causes, change, check_living, make_network, play
from tests.signaling.resolver_networks import traffic
from tests.signaling.test_resolver import network

VIDEO, IOT = Slice(1, "000101"), Slice(2, "000102")
RESOURCES = Resource("radio", 8), Resource("computing", 6)
TENANTS = Tenant(VIDEO, "video", (4, 1), patience=4.0, places=2), Tenant(IOT, "iot", (1, 2), patience=9.0, places=1)
ADMISSION = AdmissionConfiguration(RESOURCES, TENANTS, back_off=20.0)


def loaded(video=(0, 0, None), iot=(0, 0, None)) -> Load:
    """Returns a load; of each slice sessions, requests that wait, and since when the oldest does."""
    load = Load()
    for of, (sessions, waiting, oldest) in ((VIDEO, video), (IOT, iot)):
        own = load.of(of)
        own.sessions, own.waiting, own.oldest = sessions, waiting, oldest
    return load


def situation(of: Slice = VIDEO, load: Load | None = None, time: float = 10.0, procedure: str = "session", waited=0.0):
    return Situation(procedure, time, "1", load or Load(), slice=of, waited=waited)


class Watch(Policy):
    """Notes the state of the admission with every question."""

    def __init__(self, policy: Policy, admission: AdmissionPolicy) -> None:
        self.policy, self.admission, self.seen, self.chosen = policy, admission, {}, []

    def decide(self, situation: Situation) -> Decision:
        state = self.admission.state(situation.load, situation.time).round(3).tolist()
        found = self.policy.decide(situation)
        self.seen.setdefault((situation.procedure, situation.supi, round(situation.time, 3)), (state, found))
        return found

    def choose(self, waiting: Sequence[Situation]) -> int | None:
        place = self.policy.choose(waiting)
        if place is not None:
            self.chosen.append(waiting[place])
        return place


# ---------------------------------------------------------------- decisions


@pytest.mark.parametrize(
    ("of", "load", "decision"),
    [
        (VIDEO, loaded(), ADMIT),
        (VIDEO, loaded(video=(1, 0, None)), ADMIT),
        (VIDEO, loaded(video=(2, 0, None)), wait(4.0, 26, 20.0)),
        (VIDEO, loaded(iot=(3, 0, None)), wait(4.0, 26, 20.0)),
        (VIDEO, loaded(video=(2, 1, 9.0)), wait(4.0, 26, 20.0)),
        (VIDEO, loaded(video=(2, 2, 9.0)), reject(69, 20.0)),
        (IOT, loaded(video=(2, 2, 9.0)), wait(9.0, 26, 20.0)),
        (IOT, loaded(video=(1, 2, 9.0)), wait(9.0, 26, 20.0)),  # the one that has waited comes first
        (VIDEO, loaded(video=(1, 2, 9.0)), wait(4.0, 26, 20.0)),  # in its place
        (Slice(7), loaded(video=(9, 9, 0.0)), ADMIT),
    ],
)
def test_a_request_is_admitted_waits_or_finds_the_queue_full(of, load, decision):
    assert AdmissionPolicy(ADMISSION).decide(situation(of, load)) == decision


def test_without_places_nobody_waits_and_without_back_off_nothing_is_said_of_it():
    tenants = tuple(replace(tenant, places=0) for tenant in TENANTS)
    policy = AdmissionPolicy(replace(ADMISSION, slices=tenants, back_off=0.0))
    assert policy.decide(situation(VIDEO, loaded(video=(2, 0, None)))) == reject(69)
    assert policy.decide(situation(VIDEO, loaded(video=(1, 0, None)))) == ADMIT


def test_the_oldest_that_fits_is_chosen_and_others_by_limits():
    policy = AdmissionPolicy(ADMISSION, otherwise=LoadLimits(registered=1))
    load = loaded(video=(1, 1, 5.0), iot=(2, 1, 3.0))
    heads = [situation(IOT, load, waited=7.0), situation(VIDEO, load, waited=5.0)]
    assert policy.choose(heads) is None, "2 of 8 radio and 1 of 6 computing are left"
    load.of(IOT).sessions = 1
    assert policy.choose(heads) == 0
    assert policy.choose([situation(None, load, procedure="registration"), *heads]) == 0
    load.registered = 1
    assert policy.choose([situation(None, load, procedure="registration"), *heads]) == 1


def test_who_has_just_asked_and_waits_is_known_as_requesting():
    """A policy that admits nobody but who has just asked says the same when that one has begun to wait."""
    admission = AdmissionPolicy(ADMISSION, lambda states: np.where(states[:, 1, 2] == 1, 1, 2))
    load = loaded(video=(1, 1, 5.0), iot=(0, 1, 3.0))
    assert admission.decide(situation(IOT, load)) == reject(69, 20.0) or load.of(IOT).waiting == 1
    load.of(IOT).waiting, load.of(IOT).newest = 2, 10.0
    heads = [situation(IOT, load, waited=7.0), situation(VIDEO, load, waited=5.0)]
    assert admission.choose(heads) == 0
    load.of(IOT).newest = 9.9
    assert admission.choose(heads) is None


def test_what_is_no_session_of_these_slices_is_up_to_the_limits():
    policy = AdmissionPolicy(ADMISSION, otherwise=LoadLimits(registered=0, sessions=0, patience=5.0, overload=1.0))
    full = loaded(video=(2, 2, 0.0))
    assert policy.decide(situation(None, full, procedure="registration")).cause == 22
    assert policy.decide(situation(Slice(7), full)).cause == 26
    assert policy.decide(situation(VIDEO)) == ADMIT
    load = loaded()
    load.uplink = 1
    limits = AdmissionPolicy(ADMISSION, otherwise=LoadLimits(uplink=0, patience=5.0))
    assert limits.decide(situation(VIDEO, load, procedure="modification")) == reject(26, 30.0), "does not wait"
    assert policy.relief(Load(backlog=2.0)) == 50


def test_the_state_is_that_of_the_load():
    policy, load = AdmissionPolicy(ADMISSION), loaded(video=(1, 2, 7.5), iot=(2, 0, None))
    free = [2 / 8, 1 / 6]
    np.testing.assert_allclose(policy.state(load, 10.0)[0], [[2, 2.5, 0, 1, *free], [0, 0, 0, 2, *free]])
    np.testing.assert_allclose(policy.state(load, 10.0, 1)[0, 1], [1, 0, 1, 2, *free])
    full = loaded(video=(9, 0, None))
    assert (policy.state(full, 0.0)[0, :, 4:] >= 0).all(), "sessions that were there before"


def test_the_greedy_policy_is_that_of_the_admission_network():
    common = {"arrivals_per_s": 1.0, "service_s": 1.0, "revenue": 1.0, "timeout_s": 30.0}
    services = tuple(ServiceParameters(name=each.name, demand=each.demand, **common) for each in TENANTS)
    names, units = ("radio", "computing"), (8, 6)
    parameters = AdmissionParameters(preset="busy", slices=services, resources=names, capacity=units)
    rng = np.random.default_rng(0)
    states = np.zeros((500, 2, 6))
    states[:, :, 0] = rng.integers(0, 3, (500, 2))
    states[:, :, 1] = rng.uniform(0, 30, (500, 2)) * (states[:, :, 0] > 0)
    states[:, :, 4:] = (rng.integers(0, [9, 7], (500, 2)) / units)[:, None]
    actions = OldestThatFits(ADMISSION)(states)
    assert {*actions} == {0, 1, 2}
    np.testing.assert_array_equal(actions, fifo_greedy(parameters)(states))


def test_a_decider_may_keep_resources_free_and_must_mind_what_fits():
    never = AdmissionPolicy(ADMISSION, lambda states: np.array([2]))
    assert never.decide(situation()) == wait(4.0, 26, 20.0)
    assert never.choose([situation(load=loaded(video=(0, 1, 1.0)))]) is None
    wrong = AdmissionPolicy(ADMISSION, lambda states: np.array([1]))
    with pytest.raises(SignalingError, match="`decider` must admit one of video, none, got action 1 of"):
        wrong.decide(situation())
    asked = AdmissionPolicy(ADMISSION, lambda states: pytest.fail("there is no choice"))
    assert asked.decide(situation(load=loaded(video=(2, 0, None)))).cause == 26


# ---------------------------------------------------------------- in the reference core

NETWORK = NetworkConfiguration(stations=STATIONS, slices=(Slice(1), VIDEO, IOT))
PROFILES = (Profile(tuple(Subscription(of, "internet") for of in NETWORK.slices)),)


def busy(**changes) -> SynthesisConfiguration:
    """Returns a network of which more is asked for than it has."""
    demands = Demand(VIDEO, "internet", 1.0, 4.0), Demand(IOT, "internet", 2.0, 4.0)
    values = {
        "ues": 8,
        "duration": 40.0,
        "network": NETWORK,
        "population": Population(requested_slices=NETWORK.slices),
        "workload": Workload(arrivals=50.0, think_time=1e6, demands=demands),
        "admission": replace(ADMISSION, back_off=4.0),
        "profiles": PROFILES,
    }
    return SynthesisConfiguration(**values | changes)


def test_who_waits_is_admitted_when_resources_are_free_or_rejected_when_patience_ends():
    core, ues = make_network(4, network=NETWORK, profiles=PROFILES, policy=AdmissionPolicy(ADMISSION))
    ues = [change(core, ue, slices=NETWORK.slices) for ue in ues]
    play(core, *[(4.0 + 0.1 * place, ue.register) for place, ue in enumerate(ues)], until=6.0)
    play(core, *[(6.0 + 0.1 * place, ue.establish, VIDEO, "internet") for place, ue in enumerate(ues)], until=7.0)
    own = core.load.of(VIDEO)
    assert (own.sessions, own.waiting) == (2, 2) and 6.2 < own.oldest < 6.3
    psi = next(psi for psi, known in ues[0].sessions.items() if known.slice == VIDEO)
    play(core, (7.0, ues[0].release_session, psi), until=8.0)
    assert (own.sessions, own.waiting) == (2, 1) and 6.3 < own.oldest < 6.4
    assert [VIDEO in {known.slice for known in ue.sessions.values()} for ue in ues] == [False, True, True, True]
    records = play(core, until=10.2)
    assert not causes(records, "PDUSessionEstablishmentReject")
    records = play(core, until=10.6)
    assert causes(records, "PDUSessionEstablishmentReject") == [26]
    assert (own.sessions, own.waiting, own.oldest) == (2, 0, None)
    check_living(core)


def test_what_is_rejected_says_why():
    rejected = causes(synthesize(busy(), 1), "PDUSessionEstablishmentReject")
    assert {*rejected} == {26, 69}


def test_resources_are_never_exceeded_and_the_same_seed_admits_the_same():
    configuration = busy()
    admission = AdmissionPolicy(configuration.admission)

    def play_once() -> Watch:
        watch = Watch(configuration.policy, admission)
        for _ in synthesize(configuration, 3, watch):
            pass
        return watch

    watch = play_once()
    verdicts = {found.verdict.value for _, found in watch.seen.values()}
    assert verdicts == {"admit", "wait", "reject"} and watch.chosen
    assert all(known.waited > 0 for known in watch.chosen)
    for state, _ in watch.seen.values():
        used = np.array(state)[0, :, 3] @ np.array([tenant.demand for tenant in TENANTS])
        assert (used <= [8, 6]).all()
    again = play_once()
    assert again.seen == watch.seen
    assert [(known.supi, known.time) for known in again.chosen] == [(known.supi, known.time) for known in watch.chosen]


def test_who_follows_the_messages_keeps_the_same_state():
    configuration = busy()
    admission = AdmissionPolicy(configuration.admission)
    watch = Watch(configuration.policy, admission)
    recording = traffic(configuration, 3, watch)
    shared = recording.network()
    again = Watch(shared.admission.policy, admission)
    followers = [
        Follower(known.dialogue, Resolver(shared), recording.sides, known.messages) for known in recording.opened
    ]
    shared.admission.policy = again
    for number, turn in in_order(followers):
        followers[number].take(turn)
    both = [key for key in watch.seen.keys() & again.seen.keys() if key[0] == "session"]
    assert len(both) > 60
    assert sum(watch.seen[key] == again.seen[key] for key in both) > 0.95 * len(both)


def test_what_waits_is_in_the_order_of_time_after_a_checkpoint():
    shared = network(policy=AdmissionPolicy(ADMISSION))
    for time in (30.0, 10.0, 20.0):
        shared.admission.keep(Resolver(shared), Request("session", time, time + 4.0, 26, slice=VIDEO))
    own = shared.load.of(VIDEO)
    assert (own.waiting, own.oldest) == (3, 10.0 - shared.started)


# ---------------------------------------------------------------- configurations

YAML = """
network: {slices: ["1", "2-000001"]}
admission:
  resources: [{name: radio, capacity: 8}]
  slices:
    - {slice: "1", name: broadband, demand: [2], patience: 5, places: 3}
    - {slice: "2-000001", name: sensors, demand: [1]}
  back_off: 12
"""


def test_admission_is_part_of_a_file():
    found = from_plain(load_yaml(YAML)).admission
    assert found.slices[0] == Tenant(Slice(1), "broadband", (2,), 5.0, 3)
    assert (found.resources, found.back_off) == ((Resource("radio", 8),), 12.0)
    text = explain()
    assert "admission:" in text and "# - patience: How long a request waits at most" in text
    assert from_plain(load_yaml(text)).admission == AdmissionConfiguration()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("capacity: 8", "capacity: -8", r"`admission.resources.0.capacity` must be at least 1, got -8"),
        ("demand: [2]", "demand: [9]", r"`demand` of slice `broadband` must be .* capacity \[8\] .*, got \[9\]"),
        ("demand: [2]", "demand: [0]", r"not all 0, got \[0\]"),
        ("demand: [2]", "demand: [1, 1]", r"`demand` of slice `broadband` must be .* each of radio, .*got \[1, 1\]"),
        ("demand: [2]", "demand: [-1]", r"`admission.slices.0.demand` must be whole numbers of 0 or more, got \[-1\]"),
        ("patience: 5", "patience: 0", r"`admission.slices.0.patience` must be positive, got 0"),
        ("places: 3", "places: -1", r"`admission.slices.0.places` must be 0 or more, got -1"),
        ('{slice: "2-000001"', '{slice: "1"', r"`slices` must be different ones, got 1 twice"),
        ("name: sensors", "name: broadband", r"`slices` must be different ones, got broadband twice"),
        (
            '{slice: "1"',
            '{slice: "3"',
            r"`admission.slices` must be slices of the network, 1, 2-000001, got 3 for `broadband`",
        ),
        ("back_off: 12", "back_off: 1", r"`back_off` must be 0, or 2 to 11160 seconds, got 1"),
        ("[{name: radio, capacity: 8}]", "[]", r"`resources` must have at least one entry where there are `slices`"),
        ("demand: [1]", "demands: [1]", r"`admission.slices.1.demands` is no field"),
    ],
)
def test_what_is_wrong_is_named(old, new, message):
    assert old in YAML
    with pytest.raises(SignalingError, match=message):
        from_plain(load_yaml(YAML.replace(old, new, 1)))


def test_a_network_without_admission_is_that_of_its_limits():
    limits = LoadLimits(registered=3)
    assert SynthesisConfiguration(limits=limits).policy is limits
    assert CoreNetwork(NetworkConfiguration(), network().subscribers, random=Random(1)).load.waiting == 0
    assert json.dumps(load_yaml(explain())["admission"]) == '{"resources": [], "slices": [], "back_off": 30.0}'
