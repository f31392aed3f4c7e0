"""Answers that depend on load: limits, waiting, back-off, relief of an overloaded core."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gentwin.signaling.core import (
    OPEN5GS,
    SLICED,
    Behaviour,
    Delays,
    Demand,
    Load,
    LoadLimits,
    NetworkConfiguration,
    Policy,
    Situation,
    Slice,
    SliceLimit,
    SynthesisConfiguration,
    Verdict,
    Workload,
    synthesize,
)
from gentwin.signaling.core.configuration import HRLLC, IMMERSIVE, MASSIVE, UBIQUITOUS, DataNetwork
from gentwin.signaling.core.policy import ADMIT, reject, wait
from tests.signaling.core_networks import STATIONS, check_bytes, check_living, make_network, play
from tests.signaling.core_templates import chain

EMBB, INTERNET = Slice(1), "internet"
SLICED_NETWORK = NetworkConfiguration(
    stations=STATIONS,
    slices=(IMMERSIVE, HRLLC, MASSIVE, UBIQUITOUS),
    data_networks=(DataNetwork("internet", "10.45.0.0/16"), DataNetwork("iot", "10.47.0.0/16")),
)


def loaded(sessions=0, slices=(), **values) -> Load:
    load = Load(sessions=sessions, **values)
    for of, count, rate in slices:
        for _ in range(count):
            load.add_session(of, (rate, rate))
    return load


def situation(procedure: str, load: Load | None = None, **values) -> Situation:
    return Situation(procedure, 0.0, "1", load or Load(), **values)


def named(records, name):
    return [record for record in records if name in chain(record.message).split("+")]


def values_of(records, name, path):
    """Returns the values at the end of a path in all messages of a name."""
    return [
        value
        for record in named(records, name)
        for known, value in record.message.fields.walk()
        if known.endswith(path)
    ]


def registered(count, **arguments):
    core, ues = make_network(count, **arguments)
    records = play(core, *[(4.0 + 0.1 * place, ue.register) for place, ue in enumerate(ues)], until=6.0)
    return core, ues, records


# ---------------------------------------------------------------- policies


@pytest.mark.parametrize(
    ("asked", "cause"),
    [
        (situation("registration", loaded(registered=4)), 0),
        (situation("registration", loaded(registered=5)), 22),
        (situation("service", loaded(procedures=4)), 22),
        (situation("service", loaded(registered=9)), 0),
        (situation("service", loaded(backlog=0.6)), 22),
        (situation("handover", loaded(sessions=99, backlog=9.0)), 0),
        (situation("session", loaded(sessions=9), slice=EMBB), 0),
        (situation("session", loaded(sessions=10), slice=EMBB), 26),
        (situation("modification", loaded(sessions=10), slice=EMBB), 0),
        (situation("modification", loaded(downlink=90), slice=EMBB, downlink=11), 26),
        (situation("session", loaded(downlink=90), slice=EMBB, downlink=10), 0),
        (situation("session", loaded(slices=[(MASSIVE, 2, 1)]), slice=MASSIVE), 69),
        (situation("session", loaded(slices=[(MASSIVE, 2, 1)]), slice=IMMERSIVE), 0),
        (situation("session", loaded(slices=[(HRLLC, 1, 30)]), slice=HRLLC, uplink=21), 69),
        (situation("session", loaded(slices=[(HRLLC, 1, 30)]), slice=HRLLC, uplink=20), 0),
    ],
)
def test_limits_of_load(asked, cause):
    slices = SliceLimit(MASSIVE, sessions=2), SliceLimit(HRLLC, uplink=50)
    limits = LoadLimits(registered=5, procedures=3, backlog=0.5, sessions=10, downlink=100, slices=slices, back_off=8.0)
    assert limits.decide(asked) == (reject(cause, 8.0) if cause else ADMIT)
    patient = replace(limits, patience=3.0, back_off=0.0)
    assert patient.decide(asked) == (wait(3.0, cause) if cause else ADMIT)


def test_no_limits_admit_everything():
    load = loaded(sessions=10**6, registered=10**6, procedures=10**6, backlog=1e9)
    for procedure in ("registration", "service", "session", "modification", "handover"):
        assert LoadLimits().decide(situation(procedure, load, slice=EMBB, uplink=10**12)).admitted


def test_weight_comes_before_age_of_what_waits():
    limits = LoadLimits(slices=(SliceLimit(MASSIVE, sessions=0, weight=9.0), SliceLimit(HRLLC, weight=2.0)))
    heads = [situation("session", slice=of, waited=age) for of, age in ((EMBB, 3.0), (MASSIVE, 2.0), (HRLLC, 1.0))]
    assert limits.choose(heads) == 2
    assert limits.choose(heads[:2]) == 0
    assert limits.choose(heads[1:2]) is None


# ---------------------------------------------------------------- rejection and back-off


def test_a_rejected_ue_registers_after_the_back_off():
    core, ues, records = registered(3, policy=LoadLimits(registered=2, back_off=20.0))
    assert [ue.state for ue in ues] == ["registered", "registered", "deregistered"]
    assert values_of(records, "RegistrationReject", "cause_5gmm") == [22]
    assert values_of(records, "RegistrationReject", "t3346_value.value") == [10]
    ues[2].register()
    ues[0].deregister()
    assert not named(play(core, until=20.0), "RegistrationRequest")
    records = play(core, until=25.0)
    assert named(records, "RegistrationAccept") and ues[2].state == "registered"
    check_living(core)


def test_registrations_in_progress_count():
    core, ues = make_network(20, policy=LoadLimits(registered=4, back_off=60.0))
    records = play(core, *[(4.0 + 0.001 * place, ue.register) for place, ue in enumerate(ues)], until=4.02)
    assert core.load.registering == 4 and not core.load.registered
    records += play(core, until=10.0)
    assert sum(ue.state == "registered" for ue in ues) == core.load.registered == 4
    assert values_of(records, "RegistrationReject", "cause_5gmm") == [22] * 16
    assert not core.load.registering
    check_living(core)


def test_an_update_is_not_counted_twice():
    core, ues, _ = registered(2, policy=LoadLimits(registered=2))
    records = play(core, (6.1, ues[0].release), (7.0, ues[0].update), until=8.0)
    assert named(records, "RegistrationAccept") and not named(records, "RegistrationReject")
    assert (core.load.registered, core.load.registering) == (2, 0)


class Congested(Policy):
    """Rejects updates and services while it is told to."""

    def __init__(self) -> None:
        self.congested = False

    def decide(self, situation):
        return reject(22, 4.0) if self.congested and situation.procedure in ("registration", "service") else ADMIT


@pytest.mark.parametrize(
    ("action", "name", "again"),
    [
        (lambda ue: ue.update(), "RegistrationReject", "RegistrationAccept"),
        (lambda ue: ue.send_data(), "ServiceReject", "ServiceAccept"),
    ],
)
def test_a_registered_ue_stays_so_and_tries_again(action, name, again):
    policy = Congested()
    core, (ue,), _ = registered(1, policy=policy)
    play(core, (core.clock.now, ue.release), until=7.0)
    policy.congested = True
    records = play(core, (7.0, action, ue), until=8.0)
    assert values_of(records, name, "cause_5gmm") == [22] and ue.state == "registered" and ue.idle
    policy.congested = False
    ue.send_data()
    assert not play(core, until=10.0)
    assert named(play(core, until=13.0), again)
    assert core.load.registered == 1 and ue.sessions[1].state == "there"


def test_a_ue_answers_a_page_in_spite_of_the_back_off():
    policy = Congested()
    core, (ue,), _ = registered(1, policy=policy)
    play(core, (core.clock.now, ue.release), until=7.0)
    policy.congested = True
    play(core, (7.0, ue.send_data), until=8.0)
    policy.congested = False
    records = play(core, (8.0, core.upf.carry_downlink, ue.sessions[1].address), until=9.0)
    assert named(records, "Paging") and named(records, "ServiceAccept")


def test_a_session_is_asked_for_again_after_the_back_off():
    core, ues, records = registered(3, policy=LoadLimits(sessions=2, back_off=20.0))
    assert values_of(records, "PDUSessionEstablishmentReject", "cause_5gsm") == [26]
    assert [*ues[2].sessions] == [] and ues[2].establish(EMBB, INTERNET) is None
    play(core, (7.0, ues[0].release_session, 1), until=8.0)
    records = play(core, until=30.0)
    assert named(records, "PDUSessionEstablishmentAccept") and ues[2].sessions[1].state == "there"
    check_living(core)


# ---------------------------------------------------------------- waiting


def test_a_session_waits_until_there_is_room():
    limits = LoadLimits(slices=(SliceLimit(EMBB, sessions=2),), patience=10.0)
    core, ues, records = registered(4, policy=limits)
    assert not named(records, "PDUSessionEstablishmentReject")
    assert core.load.waiting == core.load.of(EMBB).waiting == 2
    records = play(core, (7.0, ues[1].release_session, 1), until=8.0)
    assert named(records, "PDUSessionEstablishmentAccept") and ues[2].sessions[1].state == "there"
    assert core.load.waiting == 1 and ues[3].sessions[1].state == "asked"
    check_bytes(records)
    check_living(core)


def test_patience_ends():
    limits = LoadLimits(slices=(SliceLimit(EMBB, sessions=1),), patience=5.0, back_off=60.0)
    core, ues, _ = registered(2, policy=limits)
    asked = ues[1].timers
    records = play(core, until=12.0)
    (rejection,) = named(records, "PDUSessionEstablishmentReject")
    assert rejection.timestamp - core.network.start == pytest.approx(9.1, abs=0.1)
    assert values_of(records, "PDUSessionEstablishmentReject", "cause_5gsm") == [69]
    assert "T3580/1" not in asked and not ues[1].sessions and not core.load.waiting


def test_a_registration_waits_until_there_is_room():
    core, ues, records = registered(2, policy=LoadLimits(registered=1, patience=8.0))
    assert ues[1].state == "registering" and not named(records, "RegistrationReject")
    records = play(core, (7.0, ues[0].deregister), until=8.0)
    assert named(records, "AuthenticationRequest") and ues[1].state == "registered"


def test_who_has_gone_does_not_wait():
    core, ues, _ = registered(2, policy=LoadLimits(sessions=1, patience=10.0))
    play(core, (6.1, ues[1].release), until=7.0)
    records = play(core, (7.0, ues[0].release_session, 1), until=8.0)
    assert not named(records, "SessionEstablishmentRequest") and not core.load.waiting
    check_living(core)


def test_what_waits_for_a_queue_is_admitted_when_that_is_gone():
    slow = replace(OPEN5GS, delays=replace(Delays(), registration=1.0))
    network = NetworkConfiguration(stations=STATIONS, flavour=slow)
    core, ues = make_network(4, network=network, policy=LoadLimits(backlog=0.5, patience=8.0))
    records = play(core, *[(4.0 + 0.2 * place, ue.register) for place, ue in enumerate(ues)], until=12.0)
    assert [ue.state for ue in ues] == ["registered"] * 4
    assert not named(records, "RegistrationReject")


class Observer(Policy):
    """Lets every session wait, admits the longest waiting one of the massive slice only, and notes what it saw."""

    def __init__(self) -> None:
        self.open, self.seen = False, []

    def decide(self, situation):
        if situation.procedure != "session":
            return ADMIT
        self.seen.append((situation.slice, situation.dnn, situation.uplink, situation.downlink, situation.priority))
        return wait(60.0, 69)

    def choose(self, waiting):
        if not self.open:
            return None
        self.seen.append([known.slice for known in waiting])
        return next((place for place, known in enumerate(waiting) if known.slice == MASSIVE), None)


def test_a_policy_sees_what_is_asked_and_chooses_by_slice():
    policy = Observer()
    core, ues = make_network(8, network=SLICED_NETWORK, profiles=SLICED, policy=policy)
    records = play(core, *[(4.0 + 0.1 * place, ue.register) for place, ue in enumerate(ues)], until=6.0)
    assert not named(records, "SessionEstablishmentRequest") and core.load.waiting == 8
    assert policy.seen[1] == (MASSIVE, "iot", 64_000, 64_000, 12)
    policy.open, policy.seen = True, []
    core.amf.admission.look()
    records = play(core, until=7.0)
    assert len(named(records, "SessionEstablishmentRequest")) == 2
    assert policy.seen[:3] == [
        [HRLLC, MASSIVE, UBIQUITOUS, IMMERSIVE],
        [HRLLC, UBIQUITOUS, IMMERSIVE, MASSIVE],
        [HRLLC, UBIQUITOUS, IMMERSIVE],
    ]
    check_living(core)


def test_demand_by_slice():
    """The network of the admission problem: requests by Poisson processes, one rate and one mean life per slice."""
    demands = Demand(MASSIVE, "iot", 4.0, 1.0), Demand(HRLLC, "internet", 1.0, 2.0)
    configuration = SynthesisConfiguration(
        ues=8,
        duration=30.0,
        network=SLICED_NETWORK,
        workload=Workload(arrivals=100.0, think_time=1e6, demands=demands),
        profiles=SLICED,
        limits=LoadLimits(slices=(SliceLimit(MASSIVE, sessions=5),), patience=0.5, back_off=0.0),
    )
    records = [*synthesize(configuration, 1)]
    asked = [record.message for record in named(records, "SessionEstablishmentRequest")]
    count = {of: sum(message["s_nssai.sst"] == of.sst for message in asked) for of in (MASSIVE, HRLLC)}
    assert 60 < count[MASSIVE] < 130 and 12 < count[HRLLC] < 45
    assert {*values_of(records, "PDUSessionEstablishmentReject", "cause_5gsm")} == {69}


# ---------------------------------------------------------------- rates of sessions


class Limited(Policy):
    """Decides by limits, and notes by how much modifications let sessions grow and how much load there was."""

    def __init__(self, limits: LoadLimits) -> None:
        self.limits, self.growth, self.highest = limits, [], 0

    def decide(self, situation):
        self.highest = max(self.highest, situation.load.uplink)
        decision = self.limits.decide(situation)
        if situation.procedure == "modification":
            self.growth.append((situation.uplink, decision.admitted))
        return decision

    def choose(self, waiting):
        return self.limits.choose(waiting)


@pytest.mark.parametrize("patience", [0.0, 2.0])
def test_rates_never_exceed_the_limit(patience):
    most = 1_300_000_000
    policy = Limited(LoadLimits(uplink=most, back_off=2.0, patience=patience))
    behaviour = Behaviour(modify=200.0, deregister=0.0, switch_off=0.0)
    workload = Workload(arrivals=4.0, think_time=0.3, behaviour=behaviour)
    records = [*synthesize(SynthesisConfiguration(ues=8, duration=30.0, workload=workload), 1, policy)]
    assert named(records, "PDUSessionModificationCommand")
    assert 0 < policy.highest <= most
    assert {admitted for growth, admitted in policy.growth if growth} == {True, False}


def test_the_network_changes_rates_if_the_policy_admits_it():
    policy = Limited(LoadLimits(uplink=1_000_000_000, patience=5.0))
    core, (ue, *others), _ = registered(3, policy=policy)
    known = core.amf.by_supi[ue.usim.supi]
    session, before = known.sessions[1], core.load.uplink
    full = session.rates[0] + 1_000_000_000 - before
    core.amf.sessions.change_rates(known, session, (full + 1, 1000))
    assert policy.growth == [(full + 1 - session.rates[0], False)] and core.load.waiting == 1
    records = play(core, (7.0, others[0].release_session, 1), until=8.0)
    assert named(records, "PDUSessionModificationCommand") and session.rates == (full + 1, 1000)
    ue.modify(1)
    play(core, until=9.0)
    assert policy.growth[1:] == [(0, True)]
    check_living(core)


# ---------------------------------------------------------------- overload


def test_stations_relieve_an_overloaded_core():
    limits = LoadLimits(overload=0.03, reduction=99)
    core, ues = make_network(40, policy=limits)
    crowd, late = ues[:39], ues[39]
    script = [(4.0, ue.register) for ue in crowd]
    records = play(core, *script, (4.02, late.register), until=4.03)
    assert len(named(records, "OverloadStart")) == len(core.stations)
    assert late.idle and late.waits
    records = play(core, until=30.0)
    assert len(named(records, "OverloadStop")) == len(core.stations)
    check_bytes(records)
    assert {ue.state for ue in ues} == {"registered"}


def test_verdicts_are_told_apart():
    assert ADMIT.admitted and not reject(22).admitted and not wait(1.0, 22).admitted
    assert [known.verdict for known in (ADMIT, reject(22), wait(1.0, 22))] == [*Verdict]
