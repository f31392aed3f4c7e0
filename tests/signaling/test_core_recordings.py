"""Every recorded scenario can be configured: what the reference core says is what was recorded, in kind and in time.

Recordings that differ from one of these in the number of UEs only are left out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from functools import cache
from itertools import pairwise
from statistics import median, quantiles

import pytest

from gentwin.signaling.core import (
    OPEN5GS,
    Behaviour,
    Faults,
    Flavour,
    NetworkConfiguration,
    Population,
    Slice,
    Station,
    SynthesisConfiguration,
    Timing,
    Workload,
    synthesize,
)
from gentwin.signaling.messages import Record
from gentwin.signaling.records import read_records
from tests.signaling.core_templates import chain, kind
from tests.signaling.recordings import find_capture

ONE = (Station(1, "127.0.2.1:48355"),)
TWO = (*ONE, Station(2, "127.0.2.2:38766"))
THREE = (*TWO, Station(3, "127.0.2.3:38766"))
TWO_AREAS = (*ONE, Station(2, "127.0.2.2:38766", "000002"))
REFUSED = (*ONE, Station(2, "127.0.2.2:38766", "000063"), Station(3, "127.0.2.3:38766", slices=(Slice(9),)))
BOTH = Population(requested_slices=(Slice(1), Slice(2, "000001")))
REJECTED = Population(
    wrong_key=0.15,
    old_sequence=0.15,
    unknown=0.15,
    no_common_integrity=0.15,
    unsubscribed_slice=0.15,
    without_session=0.1,
)
IN_CLEAR = replace(OPEN5GS, requested_nssai_in_clear=True, timing=Timing(t3512=12.0))


def users(arrivals: float = 10.0, think_time: float = 0.5, **weights: float) -> Workload:
    """Returns users who do this, and nothing else."""
    nothing = {known.name: 0.0 for known in fields(Behaviour)}
    return Workload(arrivals, think_time, session_time=1.0, behaviour=Behaviour(**nothing | weights))


def closed_loop(
    ues: int, stations: tuple[Station, ...], population: Population | None = None, flavour: Flavour = OPEN5GS
) -> SynthesisConfiguration:
    """Returns the workload of most recordings."""
    return SynthesisConfiguration(
        ues,
        30.0,
        NetworkConfiguration(stations=stations, flavour=flavour),
        population or Population(),
        users(send=30, receive=25, session=30, unknown_network=7, deregister=8, switch_off=1),
        Faults(acceptance_missed=0.5),
    )


def network(stations: tuple[Station, ...] = ONE, **values) -> NetworkConfiguration:
    return NetworkConfiguration(stations=stations, **values)


SCENARIOS = {
    "n2n4-c02": closed_loop(8, ONE),
    "n2n4-c08-2slices": closed_loop(12, TWO, BOTH),
    "n2n4-nea2-c08": closed_loop(12, ONE, flavour=replace(OPEN5GS, ciphering=2)),
    "n2n4-burst-48": SynthesisConfiguration(24, 20.0, network(THREE), workload=users(float("inf"), 5.0, switch_off=1)),
    "n2n4-gnb-restart": SynthesisConfiguration(
        12, 120.0, network(TWO_AREAS), workload=users(5.0, 40.0, switch_off=1), faults=Faults(station_restarts=0.07)
    ),
    "n2n4-rejects-periodic": SynthesisConfiguration(
        16, 150.0, network(TWO, flavour=IN_CLEAR), workload=users(10.0, 15.0, idle=5, network_deregistration=1)
    ),
    "n2n4-rejects-suci": SynthesisConfiguration(
        4, 20.0, network(home_keys=()), population=Population(unknown_home_key=1.0)
    ),
    "n2n4-rejects": SynthesisConfiguration(
        40,
        60.0,
        network(REFUSED),
        REJECTED,
        users(
            10.0, 2.0, unknown_network=3, unknown_slice=3, unsubscribed=3, deregister=2, switch_off=2, radio_failure=1
        ),
    ),
}


@cache
def recorded(name: str) -> list[Record]:
    with read_records(find_capture(name)) as reader:
        return [*reader]


@pytest.mark.parametrize("name", SCENARIOS)
def test_recorded_kinds_of_messages_are_made(name):
    """What is left are registrations that a recorded UE sent for a wrong reason of its radio connection."""
    known = Counter(kind(record.message) for record in recorded(name))
    made = {kind(record.message) for record in synthesize(SCENARIOS[name], 1)}
    missing = {of: count for of, count in known.items() if of not in made}
    assert sum(missing.values()) <= 0.003 * known.total()
    assert {chain(of) for of in missing} <= {
        "InitialUEMessage+RegistrationRequest",
        "DownlinkNASTransport+RegistrationAccept",
    }


# ---------------------------------------------------------------- time

STEPS = {
    "challenge": ("InitialUEMessage+RegistrationRequest", "DownlinkNASTransport+AuthenticationRequest"),
    "security": ("UplinkNASTransport+AuthenticationResponse", "DownlinkNASTransport+SecurityModeCommand"),
    "acceptance": (
        "UplinkNASTransport+SecurityModeComplete+RegistrationRequest",
        "InitialContextSetupRequest+RegistrationAccept",
    ),
    "session": (
        "UplinkNASTransport+ULNASTransport+PDUSessionEstablishmentRequest",
        "PDUSessionResourceSetupRequest+DLNASTransport+PDUSessionEstablishmentAccept",
    ),
    "status": (
        "UplinkNASTransport+ULNASTransport+PDUSessionEstablishmentRequest",
        "DownlinkNASTransport+5GMMStatus",
    ),
    "release": ("UEContextReleaseRequest", "UEContextReleaseCommand"),
    "deregistration": ("UplinkNASTransport+DeregistrationRequestUEOriginating", "UEContextReleaseCommand"),
}


def latencies(records: list[Record]) -> dict[str, list[float]]:
    """Returns how long the core took for each step, in milliseconds, in the order of its answers."""
    begun: dict = {}
    found: dict[str, list[float]] = {name: [] for name in STEPS}
    for record in records:
        message = record.message
        pair = message.get("ue_ngap_ids.ue_ngap_id_pair.ran_ue_ngap_id", message.get("ran_ue_ngap_id"))
        place, said = ({record.sender, record.receiver} - {"127.0.0.5:38412"}).pop(), chain(message)
        for name, (first, second) in STEPS.items():
            if said == first:
                begun[place, pair, name] = record.timestamp
            elif said == second and (place, pair, name) in begun:
                found[name].append(1000 * (record.timestamp - begun.pop((place, pair, name))))
    return found


def test_medians_are_those_recorded():
    known, made = latencies(recorded("n2n4-c02")), latencies([*synthesize(SCENARIOS["n2n4-c02"], 1)])
    for name, times in known.items():
        assert median(made[name]) == pytest.approx(median(times), rel=0.35), name


def burst(ues: int) -> SynthesisConfiguration:
    """Returns UEs that all come within a fifth of a second."""
    return SynthesisConfiguration(ues, 12.0, network(THREE), workload=users(5.0 * ues, 1e6, switch_off=1))


def test_times_grow_with_load_as_recorded():
    known, made = latencies(recorded("n2n4-burst-48")), latencies([*synthesize(burst(48), 1)])
    for name in ("challenge", "security", "acceptance", "session"):
        assert 0.3 < median(made[name]) / median(known[name]) < 1.5, name
    alone = latencies([*synthesize(burst(1), 1)])
    assert median(made["challenge"]) > 5 * alone["challenge"][0]


def test_tails_grow_with_load():
    tails = []
    for ues in (4, 16, 64):
        times = latencies([*synthesize(burst(ues), 2)])["acceptance"]
        tails.append(quantiles(times, n=10)[-1])
    assert tails[0] < tails[1] < tails[2] and tails[2] > 5 * tails[0]


def test_dialogues_interleave_more_under_load():
    """Between a UE's first message and its session others speak: the more, the more UEs come at a time."""

    def between(ues: int) -> float:
        senders = [
            (record.receiver, record.message.get("ran_ue_ngap_id"))
            for record in synthesize(burst(ues), 3)
            if record.message.protocol == "ngap" and record.receiver != "127.0.0.5:38412"
        ]
        return sum(one != other for one, other in pairwise(senders)) / len(senders)

    assert between(2) < between(8) < between(48)


def test_without_limits_of_capacity_load_costs_no_time():
    free = burst(48)
    unlimited = replace(free.network, capacity=replace(free.network.capacity, amf=0, smf=0, upf=0, services=0))
    made = latencies([*synthesize(replace(free, network=unlimited), 1)])
    assert median(made["challenge"]) == pytest.approx(2.8, rel=0.2)
