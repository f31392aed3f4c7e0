"""Parts of the reference core by themselves: clock, timers, identifiers, subscribers, policy, protection."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gentwin.signaling.core import RECORDED, SLICED, Decision, LoadLimits, Situation, Slice, Subscribers, populate
from gentwin.signaling.core.clock import Clock, Timers
from gentwin.signaling.core.configuration import IMMERSIVE, MASSIVE
from gentwin.signaling.core.identifiers import Addresses, Counter, ExhaustedError, Pool, lowest_free
from gentwin.signaling.core.n1 import message, periodic_timer, timer_2, timer_3
from gentwin.signaling.core.n1_sessions import rate
from gentwin.signaling.core.protection import CIPHERED, NasEnd
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
    usims = populate(written, 8, Random(3), profiles)
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


def situation(procedure: str, **values) -> Situation:
    start = {"registered": 0, "connected": 0, "procedures": 0, "sessions": 0, "sessions_of_slices": {}}
    return Situation(procedure=procedure, time=0.0, supi="1", **(start | values))


@pytest.mark.parametrize(
    ("asked", "cause"),
    [
        (situation("registration", registered=4), 0),
        (situation("registration", registered=5), 22),
        (situation("service", procedures=4), 22),
        (situation("service", registered=9), 0),
        (situation("session", sessions=9), 0),
        (situation("session", sessions=10), 26),
        (situation("modification", sessions=10), 0),
        (situation("session", slice=MASSIVE, sessions_of_slices={MASSIVE: 2}), 69),
        (situation("session", slice=IMMERSIVE, sessions_of_slices={MASSIVE: 2}), 0),
        (situation("handover", sessions=99), 0),
    ],
)
def test_limits_of_load(asked, cause):
    limits = LoadLimits(5, 3, 10, {MASSIVE: 2}, back_off=8.0)
    assert limits.decide(asked) == (Decision(False, cause, 8.0) if cause else Decision(True))


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
