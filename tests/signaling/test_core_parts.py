"""Parts of the reference core by themselves: clock, servers, timers, identifiers, subscribers, protection."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gentwin.signaling.core import (
    RECORDED,
    SLICED,
    Behaviour,
    Capacity,
    Delays,
    Demand,
    Faults,
    Flavour,
    HomeKey,
    LoadLimits,
    NetworkConfiguration,
    Population,
    Slice,
    Subscribers,
    Workload,
    populate,
)
from gentwin.signaling.core.clock import Clock, Timers
from gentwin.signaling.core.home import HomeNetwork, HomePublicKey
from gentwin.signaling.core.identifiers import Addresses, Counter, ExhaustedError, Pool, lowest_free
from gentwin.signaling.core.n1 import concealed_suci, message, periodic_timer, suci, timer_2, timer_3
from gentwin.signaling.core.n1_sessions import rate
from gentwin.signaling.core.protection import CIPHERED, NasEnd
from gentwin.signaling.core.servers import Server, Works
from gentwin.signaling.errors import SignalingError
from gentwin.signaling.fields import Fields
from gentwin.signaling.security import Direction, NasSecurityContext


@given(st.lists(st.integers(0, 20), max_size=30))
def test_events_happen_in_the_order_of_time_and_call(delays):
    clock, happened = Clock(), []
    for place, delay in enumerate(delays):
        clock.at(delay, happened.append, (delay, place))
    while clock.step():
        assert clock.now == happened[-1][0]
    assert happened == sorted((delay, place) for place, delay in enumerate(delays))


def test_cancelled_events_do_not_happen():
    clock, happened = Clock(), []
    event = clock.after(1.0, happened.append, 1)
    clock.after(2.0, happened.append, 2)
    event.cancel()
    assert clock.step(1.5) is False and clock.step() and happened == [2]


@given(st.lists(st.tuples(st.sampled_from(("start", "stop", "wait")), st.integers(1, 9)), max_size=40))
def test_timers_expire_as_if_each_start_were_the_only_one(script):
    clock, expired = Clock(), []
    timers, expiry, expected = Timers(clock), None, []
    for what, number in script:
        if what == "start":
            timers.start("T3510", number, lambda: expired.append(clock.now))
            expiry = clock.now + number
        elif what == "stop":
            timers.stop("T3510")
            expiry = None
        else:
            end = clock.now + number - 0.5
            while clock.step(end):
                pass
            clock.now = end
            if expiry is not None and expiry <= end:
                expected.append(expiry)
                expiry = None
        assert ("T3510" in timers) == (expiry is not None)
        assert expired == expected


def test_a_timer_that_is_started_often_leaves_one_event():
    clock = Clock()
    timers = Timers(clock)
    for _ in range(100):
        timers.start("T3512", 540.0, lambda: None)
        clock.now += 1.0
    assert len(clock._queue) == 1


def test_identifiers_are_not_given_out_twice():
    pool = Pool(1, 20, Random(1))
    numbers = [pool.allocate() for _ in range(20)]
    assert sorted(numbers) == [*range(1, 21)]
    with pytest.raises(ExhaustedError, match="from 1 to 20"):
        pool.allocate()
    pool.free(7)
    assert pool.allocate() == 7


def test_counters_go_round():
    counter = Counter(1, 3)
    assert [counter.allocate() for _ in range(4)] == [1, 2, 3, 1]
    assert counter.allocate({2}) == 3
    with pytest.raises(ExhaustedError):
        counter.allocate({1, 2, 3})
    assert lowest_free({1, 2, 4}, 1, 15) == 3


def test_addresses_begin_after_the_gateway():
    addresses = Addresses("10.45.0.0/29")
    assert [addresses.allocate() for _ in range(3)] == ["10.45.0.2", "10.45.0.3", "10.45.0.4"]
    assert addresses.allocate("10.45.0.6") == "10.45.0.6"
    with pytest.raises(ExhaustedError, match=r"10\.45\.0\.6"):
        addresses.allocate("10.45.0.6")
    addresses.free("10.45.0.3")
    assert [addresses.allocate(), addresses.allocate()] == ["10.45.0.5", "10.45.0.3"]


@pytest.mark.parametrize("profiles", [RECORDED, SLICED])
def test_subscribers_stay_in_a_file(tmp_path, profiles):
    path = tmp_path / "subscribers.sqlite"
    written = Subscribers(path)
    usims = populate(written, 8, Random(3), profiles=profiles)
    assert written.next_sqn(usims[0].supi) == 32
    everybody = [*written]
    written.close()
    read = Subscribers(path)
    assert [*read] == everybody and len(read) == 8
    assert read.get(usims[3].supi).k == usims[3].k
    assert read.next_sqn(usims[0].supi) == 64 and read.get("1") is None
    read.set_sqn(usims[0].supi, 1 << 20)
    assert read.next_sqn(usims[0].supi) == (1 << 20) + 32


def test_sequence_numbers_have_48_bits():
    subscribers = Subscribers()
    (usim,) = populate(subscribers, 1, Random(1))
    with pytest.raises(SignalingError, match="`sqn` must be a number of 48 bits"):
        subscribers.add(subscribers.get(usim.supi), 1 << 48)


def test_work_waits_for_those_before_it():
    clock = Clock()
    two, unlimited = Server(clock, 2), Server(clock, 0)
    assert [two.work(3.0) for _ in range(5)] == [3.0, 3.0, 6.0, 6.0, 9.0]
    assert [unlimited.work(3.0) for _ in range(5)] == [3.0] * 5
    clock.at(4.0, lambda: None)
    clock.step()
    assert two.backlog == 2.0 and unlimited.backlog == 0.0
    assert two.work(1.0) == 3.0


@given(st.lists(st.floats(0.001, 5.0), min_size=1, max_size=30), st.integers(1, 4))
def test_a_server_is_never_idle_while_something_waits(times, workers):
    clock = Clock()
    server = Server(clock, workers)
    ends = [server.work(seconds) for seconds in times]
    assert max(ends) <= sum(times) / workers + max(times) * (1 - 1 / workers) + 1e-9
    assert all(end >= seconds - 1e-9 for end, seconds in zip(ends, times, strict=True))


def test_works_have_the_configured_median():
    works = Works(Delays(spread=0.5), Capacity(services=0), Clock(), Random(1))
    times = sorted(works.challenge.seconds() for _ in range(4001))
    assert times[2000] == pytest.approx(0.0028, rel=0.05)
    assert times[3365] / times[2000] == pytest.approx(2.718**0.5, rel=0.1)  # one standard deviation above


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Capacity(amf=-1), "`amf` must be 1 or more, or 0 for no limit, got -1"),
        (lambda: HomeKey(0, "profile_a", "00" * 32), "`identifier` must be from 1 to 254, got 0"),
        (lambda: HomeKey(1, "null", "00" * 32), "`scheme` must be profile_a or profile_b, got 'null'"),
        (lambda: HomeKey(1, "profile_a", "secret"), "`private_key` must have 64 hex digits"),
        (lambda: Flavour("x", ciphering=1), r"`ciphering` must be 0 \(NEA0\) or 2 \(NEA2\), got 1"),
        (lambda: Population(unknown=1.5), "`unknown` must be a share from 0 to 1, got 1.5"),
        (lambda: Population(unknown=0.6, ipv6=0.6), "must have a sum of at most 1, got 1.2"),
        (lambda: Population(profile_a=0.6, profile_b=0.6), "`profile_a`, `profile_b` must have a sum of at most 1"),
        (lambda: LoadLimits(reduction=100), "`reduction` must be from 1 to 99 percent, got 100"),
        (lambda: LoadLimits(back_off=1.0), "`back_off` must be 0, or 2 to 11160 seconds, got 1.0"),
        (lambda: LoadLimits(patience=-1.0), "`patience` must not be negative seconds, got -1.0"),
        (lambda: Faults(radio_loss=2.0), "`radio_loss` must be from 0 to 1, got 2.0"),
        (lambda: Faults(downtime=-2.0), "`downtime` must be from 0 to inf, got -2.0"),
        (lambda: Workload(think_time=0.0), "`think_time` must be positive, got 0.0"),
        (lambda: Demand(Slice(1), "internet", 0.0), "`arrivals` must be positive, got 0.0"),
        (lambda: Behaviour(send=-1.0), "`behaviour` must have weights of 0 or more"),
        (lambda: timer_2(20_000.0), "`seconds` must be at most 11160, got 20000.0"),
    ],
)
def test_values_are_checked(make, said):
    with pytest.raises(SignalingError, match=said):
        make()


@pytest.mark.parametrize("scheme", ["profile_a", "profile_b"])
def test_home_network_reads_what_was_concealed_for_it(scheme):
    network = NetworkConfiguration()
    home = HomeNetwork(network, Subscribers(), Random(1))
    (key,) = (HomePublicKey.of(known) for known in network.home_keys if known.scheme == scheme)
    concealed = concealed_suci("999700000000123", 2, key, (7).to_bytes(32))
    assert home.reveal(concealed) == "999700000000123"
    assert "msin" not in concealed.names()
    output = concealed["scheme_output"]
    for wrong in (
        concealed.with_value("home_network_public_key_id", 9),
        concealed.with_value("scheme_output", output[:-1] + bytes([output[-1] ^ 1])),
        concealed.with_value("scheme_output", output[:20]),
        concealed.with_value("protection_scheme", "ecies_profile_b" if scheme == "profile_a" else "ecies_profile_a"),
    ):
        assert home.reveal(wrong) == ""
    assert home.reveal(suci("999700000000124", 2)) == "999700000000124"


@pytest.mark.parametrize(
    ("made", "unit", "value"),
    [
        (rate(1_000_000_000), "16 kbps", 62500),
        (rate(100_000_000), "4 kbps", 25000),
        (rate(8_000_000), "1 kbps", 8000),
        (rate(4_000_000_000_000), "64 Mbps", 62500),
        (periodic_timer(540.0), "30 s", 18),
        (periodic_timer(12.0), "2 s", 6),
        (timer_3(0), "deactivated", 0),
        (timer_3(3600.0), "10 min", 6),
        (timer_2(62.0), "2 s", 31),
        (timer_2(120.0), "1 min", 2),
    ],
)
def test_numbers_in_units(made, unit, value):
    assert made == Fields.of(unit=unit, value=value)


@settings(max_examples=30)
@given(ciphering=st.sampled_from((0, 2)), count=st.integers(0, 70000), cause=st.integers(0, 255))
def test_ends_understand_each_other(ciphering, count, cause):
    ends = [
        NasEnd(NasSecurityContext(bytes(32), ciphering, 2, count, count), 1, direction)
        for direction in (Direction.UPLINK, Direction.DOWNLINK)
    ]
    plain = message("5GMMStatus", ("cause_5gmm", cause))
    sealed = ends[0].seal(plain, CIPHERED)
    assert isinstance(sealed["payload"], bytes) == bool(ciphering)
    assert ends[1].open(sealed) == (plain, count, False)
    assert ends[1].open(sealed).repeated and ends[1].open(sealed).message is None
    assert ends[1].open(ends[0].seal(plain).with_value("mac", bytes(4))).message is None


def test_slices_are_values():
    assert {Slice(1): "a"}[Slice(1)] == "a" and Slice(1) != Slice(1, "000001")
