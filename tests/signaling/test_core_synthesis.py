"""Traffic of many users: the same for the same seed, complete, decodable, with keys that verify."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gentwin.signaling import nas
from gentwin.signaling.capture import read_capture, write_capture
from gentwin.signaling.core import (
    GENERIC,
    OPEN5GS,
    SLICED,
    Behaviour,
    Demand,
    Faults,
    LoadLimits,
    NetworkConfiguration,
    Population,
    ReferenceCore,
    Slice,
    SliceLimit,
    SynthesisConfiguration,
    Workload,
    populate,
    synthesize,
)
from gentwin.signaling.core.breakdowns import Breakdowns
from gentwin.signaling.core.configuration import HRLLC, IMMERSIVE, MASSIVE, UBIQUITOUS, DataNetwork
from gentwin.signaling.core.subscribers import Subscribers
from gentwin.signaling.core.workload import Users
from gentwin.signaling.errors import SignalingError
from gentwin.signaling.messages import Message
from gentwin.signaling.security import (
    Direction,
    Milenage,
    NasSecurityContext,
    answer_challenge,
    check_autn,
    derive_k_amf,
    derive_k_gnb,
    derive_k_seaf,
    serving_network_name,
)
from tests.signaling.core_networks import (
    STATIONS,
    check_bytes,
    check_living,
    check_order,
    check_pfcp_answered,
    check_releases_answered,
    encode,
)
from tests.signaling.core_templates import messages_in

BUSY = SynthesisConfiguration(ues=4, duration=12.0, workload=Workload(arrivals=4.0, think_time=1.0))
NETWORK = serving_network_name("999", "70")


def test_same_seed_same_records():
    first, again = [*synthesize(BUSY, 3)], [*synthesize(BUSY, 3)]
    assert first == again
    assert first != [*synthesize(BUSY, 4)]


def test_records_come_as_a_stream():
    long = SynthesisConfiguration(ues=2, duration=1e9)
    assert len([*islice(synthesize(long, 1), 100)]) == 100


def test_records_can_be_captured(tmp_path):
    records = [replace(record, raw=encode(record.message)) for record in synthesize(BUSY, 1)]
    write_capture(tmp_path / "made.pcap", records)
    with read_capture(tmp_path / "made.pcap") as reader:
        packets = [*reader]
    assert [packet.payload for packet in packets] == [record.raw for record in records]
    assert [packet.stream for packet in packets] == [record.stream for record in records]


@pytest.mark.parametrize("values", [{"ues": 0}, {"ues": 10_001}, {"duration": 0.0}])
def test_configuration_is_checked(values):
    with pytest.raises(SignalingError, match="must be"):
        SynthesisConfiguration(**values)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (
            {"profiles": SLICED},
            r"`profiles` must .* got 1-000101, 2-000102, .* `network.slices`, .* one of 1, 2-000001",
        ),
        ({"network": NetworkConfiguration(data_networks=(DataNetwork("internet", "10.45.0.0/16"),))}, "got ims, iot;"),
        ({"workload": Workload(demands=(Demand(MASSIVE, "iot", 1.0),))}, "`workload.demands` must .* got 3-000103"),
        ({"workload": Workload(demands=(Demand(Slice(1), "x", 1.0),))}, "got x; .* `network.data_networks`, .* ims"),
        ({"limits": LoadLimits(slices=(SliceLimit(HRLLC, 1),))}, "`limits.slices` must .* got 2-000102"),
    ],
)
def test_slices_and_data_networks_are_those_of_the_network(values, text):
    with pytest.raises(SignalingError, match=text):
        SynthesisConfiguration(**values)


def test_an_unknown_subscriber_is_one_of_the_network():
    network = NetworkConfiguration(plmn="310-260")
    usims = populate(Subscribers(), 3, Random(1), network, population=Population(unknown=1.0))
    assert [usim.supi for usim in usims] == [f"310260900000{number:03d}" for number in (1, 2, 3)]


def test_slices_of_the_admission_problem():
    network = NetworkConfiguration(
        stations=STATIONS,
        slices=(IMMERSIVE, HRLLC, MASSIVE, UBIQUITOUS),
        data_networks=(DataNetwork("internet", "10.45.0.0/16"), DataNetwork("iot", "10.47.0.0/16")),
    )
    configuration = SynthesisConfiguration(8, 10.0, network, workload=Workload(arrivals=8.0), profiles=SLICED)
    records = [*synthesize(configuration, 1)]
    made = {record.message["s_nssai"] for record in records if record.message.name == "SessionEstablishmentRequest"}
    assert len(made) == 4
    check_bytes(records)


probabilities = st.sampled_from((0.0, 0.02, 0.2))
NO_SHRINKING = tuple(phase for phase in Phase if phase is not Phase.shrink)  # which takes minutes here
rates = st.sampled_from((0.0, 0.0, 0.1, 0.5))
faults = st.builds(
    Faults,
    radio_loss=probabilities,
    datagram_loss=probabilities,
    datagram_repeat=probabilities,
    datagram_late=probabilities,
    late_by=st.sampled_from((0.1, 3.0)),
    handover_refused=probabilities,
    handover_cancelled=probabilities,
    acceptance_missed=probabilities,
    station_resets=rates,
    station_restarts=rates,
    amf_restarts=rates,
    upf_restarts=rates,
    downtime=st.sampled_from((0.5, 2.0)),
)
workloads = st.builds(
    Workload,
    arrivals=st.sampled_from((1.0, 5.0, float("inf"))),
    think_time=st.sampled_from((0.05, 0.5, 2.0)),
    behaviour=st.just(Behaviour(unknown_slice=2.0, unsubscribed=2.0, radio_failure=2.0, network_release=5.0)),
)
populations = st.builds(
    Population,
    wrong_key=probabilities,
    old_sequence=probabilities,
    unknown=probabilities,
    unsubscribed_slice=probabilities,
    ipv6=probabilities,
    null_ciphering=probabilities,
    profile_a=probabilities,
    profile_b=probabilities,
)
limits = st.builds(
    LoadLimits,
    registered=st.sampled_from((2, 100)),
    backlog=st.sampled_from((0.001, 10.0)),
    sessions=st.sampled_from((3, 100)),
    patience=st.sampled_from((0.0, 1.0)),
    overload=st.sampled_from((0.002, 10.0)),
    back_off=st.sampled_from((0.0, 2.0)),
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=NO_SHRINKING)
@given(
    faults=faults,
    workload=workloads,
    population=populations,
    limits=limits,
    flavour=st.sampled_from((OPEN5GS, GENERIC, replace(OPEN5GS, ciphering=2))),
    seed=st.integers(0, 1 << 32),
)
def test_whatever_users_do_and_whatever_breaks(faults, workload, population, limits, flavour, seed):
    subscribers, network = Subscribers(), NetworkConfiguration(stations=STATIONS, flavour=flavour)
    usims = populate(subscribers, 4, Random(seed), network, population=population)
    core = ReferenceCore(network, subscribers, limits, faults, seed)
    ues = [core.add_ue(usim, core.stations[place % 2]) for place, usim in enumerate(usims)]
    core.start()
    Users(core, workload, ues, Random(seed)).start(4.0)
    Breakdowns(core, faults, Random(seed)).start(4.0)
    records = [*core.run(15.0)]
    check_order(records)
    check_bytes(records)
    if not faults.station_restarts and not faults.amf_restarts:
        check_releases_answered(records)
    if not faults.upf_restarts:
        check_pfcp_answered(records, 10.0, network.flavour.timing.n1)
    check_living(core)


# ---------------------------------------------------------------- an onlooker with the subscribers' keys


class Onlooker:
    """Follows authentication on N2 with nothing but the subscribers' keys, and checks every code and key."""

    def __init__(self, keys: dict[str, Milenage]) -> None:
        self.keys, self.verified, self.station_keys = keys, 0, 0
        self.supis: dict = {}
        self.challenges: dict = {}
        self.contexts: dict = {}
        self.by_tmsi: dict = {}
        self.counts: dict = {}

    def look(self, record) -> None:
        message = record.message
        uplink = record.receiver.endswith(":38412")
        place = record.sender if uplink else record.receiver, message.get("ran_ue_ngap_id")
        if message.name == "InitialUEMessage":
            for known in (self.supis, self.challenges, self.contexts):
                known.pop(place, None)
        for name, sealed in [(known.name, known) for known in messages_in(message.fields)]:
            if name == "SecurityProtected":
                self.check(place, uplink, sealed, message)
            else:
                self.follow(place, name, sealed)
        if message.name == "InitialContextSetupRequest" and place in self.counts:
            k_amf = self.contexts[place].k_amf
            assert message["security_key"].value == int.from_bytes(derive_k_gnb(k_amf, self.counts[place]))
            self.station_keys += 1

    def follow(self, place, name: str, plain: Message) -> None:
        if name == "RegistrationRequest":
            identity = plain["mobile_identity"]
            if identity["type"] == "suci":
                self.supis[place] = identity["mcc"] + identity["mnc"] + identity["msin"]
            elif int.from_bytes(identity["tmsi"]) in self.by_tmsi:
                self.supis[place] = self.by_tmsi[int.from_bytes(identity["tmsi"])][0]
        elif name == "AuthenticationRequest":
            self.challenges[place] = plain["rand"], plain["autn"]
        elif name == "AuthenticationResponse":
            milenage, (rand, autn) = self.keys[self.supis[place]], self.challenges[place]
            assert check_autn(milenage, rand, autn).verified
            answer = answer_challenge(milenage, rand, autn, NETWORK)
            assert answer.res_star == plain["res_star"]
            k_amf = derive_k_amf(derive_k_seaf(answer.k_ausf, NETWORK), self.supis[place])
            self.contexts[place] = NasSecurityContext(k_amf, 0, 2)
        elif plain.get("guti.tmsi") is not None and place in self.contexts:
            tmsi = int.from_bytes(plain["guti.tmsi"])
            self.by_tmsi[tmsi] = self.supis[place], self.contexts[place]

    def check(self, place, uplink: bool, sealed: Message, message: Message) -> None:
        initial = message.name == "InitialUEMessage"
        if initial:
            tmsi = int.from_bytes(sealed["payload.mobile_identity.tmsi"])
            self.supis[place], self.contexts[place] = self.by_tmsi[tmsi]
        direction = Direction.UPLINK if uplink else Direction.DOWNLINK
        opened = self.contexts[place].unprotect(nas.encode(sealed), direction)
        assert opened.verified
        if initial or sealed["payload"].name == "SecurityModeComplete":
            self.counts[place] = opened.count
        self.verified += 1


def test_keys_and_codes_verify():
    configuration = SynthesisConfiguration(
        ues=4,
        duration=30.0,
        network=NetworkConfiguration(),
        workload=Workload(arrivals=4.0, think_time=1.0),
    )
    users = populate(Subscribers(), 4, Random("5/users"))
    onlooker = Onlooker({usim.supi: Milenage(usim.k, usim.opc) for usim in users})
    for record in synthesize(configuration, 5):
        if record.message.protocol == "ngap":
            onlooker.look(record)
    assert onlooker.verified > 100 and onlooker.station_keys > 10
