"""Whether a resolver says again what cores said: every identifier, key, code and count of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gentwin.signaling.core import GENERIC, OPEN5GS, Faults, LoadLimits, Population, SynthesisConfiguration, Workload
from gentwin.signaling.core.workload import Behaviour
from tests.signaling.resolver_networks import (
    LOSSY,
    STATIONS,
    Echo,
    Recording,
    quarter,
    recorded,
    synthesised,
    traffic,
)

COUNTED_AGAIN = "<timer:T3550>"
"""When the recorded core sends a registration accept again it keeps the count that it had, and so the code and what is
ciphered are the same; counts shall go on, 3GPP TS 24.501 clause 4.4.3.1."""

STALE = 0.01
"""Share of messages that may be about sessions that a core believes in, and a user plane has lost; the resolver gives
them up when it hears of that."""


def said_again(recording: Recording, most: int | None = None) -> dict[str, int]:
    echo = Echo(recording)
    echo.run(most)
    return echo.outcomes


@pytest.mark.parametrize("name", ["n2n4-rejects", "n2n4-rejects-suci", "n2n4-gnb-restart", "n2n4-rejects-periodic"])
def test_recorded_messages_are_said_again(name: str):
    outcomes = said_again(recorded(name), most=22)
    assert outcomes["same"] > 30
    assert outcomes.keys() == {"same"}


def test_ciphered_messages_are_said_again():
    outcomes = said_again(recorded("n2n4-nea2-c08"), most=3)
    assert outcomes["same"] > 100
    assert all(name == "same" or name.startswith(COUNTED_AGAIN) for name in outcomes)


@pytest.mark.parametrize("flavour", [OPEN5GS, GENERIC], ids=lambda flavour: flavour.name)
def test_synthesised_messages_are_said_again(flavour):
    outcomes = said_again(synthesised(flavour))
    assert outcomes["same"] > 200
    assert outcomes.keys() == {"same"}


def test_messages_over_lossy_links_are_said_again():
    assert said_again(synthesised(OPEN5GS, seed=3, faults=LOSSY)).keys() == {"same"}


# ---------------------------------------------------------------- everything that the reference core can do

ALL = Behaviour(
    idle=5.0,
    unknown_slice=4.0,
    unsubscribed=4.0,
    modify=8.0,
    network_release=5.0,
    move_xn=8.0,
    move_n2=8.0,
    move_idle=5.0,
    radio_failure=2.0,
    update=4.0,
    network_deregistration=1.0,
)
EVERYBODY = Population(
    **dict.fromkeys(("wrong_key", "old_sequence", "unknown", "barred", "no_common_integrity"), 0.04),
    **dict.fromkeys(("unknown_home_key", "unsubscribed_slice", "ipv6", "ipv4v6", "unstructured"), 0.04),
    without_session=0.04,
    null_ciphering=0.2,
    profile_a=0.3,
    profile_b=0.3,
)
BROKEN = Faults(
    radio_loss=0.005,
    datagram_loss=0.005,
    datagram_repeat=0.005,
    datagram_late=0.003,
    handover_refused=0.1,
    handover_cancelled=0.1,
    acceptance_missed=0.2,
    station_resets=0.01,
    station_restarts=0.01,
)
LIMITS = LoadLimits(registered=15, procedures=3, sessions=20, patience=3.0, overload=0.02, back_off=30.0)


def everything(flavour, faults: Faults = BROKEN) -> SynthesisConfiguration:
    timing = replace(flavour.timing, t3512=30.0)
    network = replace(
        SynthesisConfiguration().network, stations=STATIONS, flavour=replace(flavour, ciphering=2, timing=timing)
    )
    workload = Workload(arrivals=10.0, think_time=3.0, behaviour=ALL)
    return SynthesisConfiguration(15, 30.0, network, EVERYBODY, workload, faults, LIMITS)


def test_a_city_quarter_under_load_is_said_again():
    outcomes = said_again(traffic(quarter(ues=16, duration=25.0), 1))
    assert outcomes["same"] > 300
    assert outcomes.keys() == {"same"}


@pytest.mark.parametrize(("flavour", "seed"), [(OPEN5GS, 2), (GENERIC, 3)], ids=["open5gs", "generic"])
def test_everything_that_a_core_does_is_said_again(flavour, seed: int):
    recording = traffic(everything(flavour), seed)
    handover = {"HandoverRequired", "HandoverRequest", "HandoverCommand", "HandoverNotify"}
    wanted = {*handover, "PathSwitchRequest", "Paging"}
    assert wanted <= {record.message.name for record in recording.records}
    outcomes = said_again(recording)
    assert outcomes["same"] > 300
    assert outcomes.keys() == {"same"}


def test_what_is_said_after_a_user_plane_has_failed_is_said_again():
    outcomes = said_again(traffic(everything(GENERIC, replace(BROKEN, upf_restarts=0.05)), 1))
    assert outcomes["same"] > 200
    assert sum(outcomes.values()) - outcomes["same"] <= STALE * outcomes["same"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("n2n4-burst-48", "n2n4-c01", "n2n4-c02", "n2n4-c04", "n2n4-c08", "n2n4-c08-2slices", "n2n4-c24-long"),
        *("n2n4-c32", "n2n4-nea2-c08"),
    ],
)
def test_all_recorded_messages_are_said_again(name: str):
    outcomes = said_again(recorded(name))
    assert outcomes["same"] > 600
    assert all(outcome == "same" or outcome.startswith(COUNTED_AGAIN) for outcome in outcomes)
    assert sum(outcomes.values()) < 1.02 * outcomes["same"]
