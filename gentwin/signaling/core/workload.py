"""What users do: they come, ask for sessions, send and receive, move, and go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from itertools import accumulate
from random import Random

from gentwin.signaling.core.configuration import Slice
from gentwin.signaling.core.gnb import Gnb
from gentwin.signaling.core.reference import ReferenceCore
from gentwin.signaling.core.subscribers import Subscription
from gentwin.signaling.core.ue import DEREGISTERED, REGISTERED, Ue, UeSession
from gentwin.signaling.errors import SignalingError

DEFAULT_PSI = 1
RELEASE_TIME = 0.05  # seconds in which a connection is released
MOST_SESSIONS = 4
LEAST_RATE = 1000  # bit/s, to which the network lowers that of a session
COMES_BACK = 0.5  # probability that a UE that is off is switched on instead of what a user does
UNKNOWN_NETWORK = "nosuch"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How often a user does what, as weights; only ratios matter.

    Args:
        send: A packet to send after the connection was released.
        receive: A packet from the network after the connection was released.
        idle: Nothing after the connection was released.
        session: Another session, released some time later.
        unknown_network: A session in a data network that nobody has.
        unknown_slice: A session in a slice that the network does not have.
        unsubscribed: A session in a slice of the network that this user may not use.
        modify: Another quality for a session, asked for by the UE or by the network: half, the same or twice the rates,
            at most those of the subscription.
        network_release: Another session is released by the network.
        move_xn: To another base station over Xn.
        move_n2: To another base station over N2.
        move_idle: To another base station while idle, with a mobility registration.
        radio_failure: The radio link is lost.
        update: Periodic registration before its time.
        deregister: Goes and comes back at once.
        switch_off: Goes and comes back after a think time.
        network_deregistration: Is deregistered by the network for good.

    Raises:
        SignalingError: If a weight is negative, or none is positive.
    """

    send: float = 30.0
    receive: float = 25.0
    idle: float = 0.0
    session: float = 30.0
    unknown_network: float = 4.0
    unknown_slice: float = 0.0
    unsubscribed: float = 0.0
    modify: float = 3.0
    network_release: float = 0.0
    move_xn: float = 4.0
    move_n2: float = 4.0
    move_idle: float = 2.0
    radio_failure: float = 0.0
    update: float = 2.0
    deregister: float = 4.0
    switch_off: float = 3.0
    network_deregistration: float = 0.2

    def __post_init__(self) -> None:
        weights = [getattr(self, known.name) for known in fields(self)]
        if min(weights) < 0 or not sum(weights):
            raise SignalingError(f"`behaviour` must have weights of 0 or more, one of them above 0, got {weights!r}.")


@dataclass(frozen=True, slots=True)
class Demand:
    """Sessions that are asked for in a slice by registered users who may have them, beside those of `Behaviour`.

    Args:
        slice: In which.
        dnn: Data network.
        arrivals: Sessions asked for per second, by a Poisson process.
        session_time: Mean life of one, in seconds; exponential.

    Raises:
        SignalingError: If a value is out of range.
    """

    slice: Slice
    dnn: str
    arrivals: float
    session_time: float = 5.0

    def __post_init__(self) -> None:
        _check_positive(self, "arrivals", "session_time")


@dataclass(frozen=True, slots=True)
class Workload:
    """What all users do together.

    Args:
        arrivals: UEs that are switched on per second, by a Poisson process; all at once if infinite.
        think_time: Mean of the time between two things that a user does, in seconds; exponential.
        idle_time: Mean time from the release of a connection to the next packet, in seconds; exponential.
        session_time: Mean life of another session, in seconds; exponential.
        behaviour: How often a user does what.
        demands: Further sessions, by slice.

    Raises:
        SignalingError: If a value is out of range.
    """

    arrivals: float = 2.0
    think_time: float = 5.0
    idle_time: float = 0.5
    session_time: float = 5.0
    behaviour: Behaviour = field(default_factory=Behaviour)
    demands: tuple[Demand, ...] = ()

    def __post_init__(self) -> None:
        _check_positive(self, "arrivals", "think_time", "idle_time", "session_time")


class Users:
    """The users of a network, each with a UE.

    Args:
        core: The network.
        workload: What they do.
        ues: Their UEs.
        random: When and what.
    """

    def __init__(self, core: ReferenceCore, workload: Workload, ues: list[Ue], random: Random) -> None:
        self._core, self._workload, self._ues, self._random = core, workload, ues, random
        self._clock = core.clock
        actions: dict[str, Callable[[Ue], None]] = {
            "send": self._send,
            "receive": self._receive,
            "idle": Ue.release,
            "session": self._begin_session,
            "unknown_network": lambda ue: ue.establish(ue.usim.slices[0], UNKNOWN_NETWORK),
            "unknown_slice": self._ask_unknown_slice,
            "unsubscribed": self._ask_unsubscribed,
            "modify": self._modify,
            "network_release": self._revoke,
            "move_xn": self._move_xn,
            "move_n2": self._move_n2,
            "move_idle": self._move_idle,
            "radio_failure": Ue.lose_radio,
            "update": Ue.update,
            "deregister": lambda ue: ue.deregister(switch_off=False, comes_back=True),
            "switch_off": Ue.deregister,
            "network_deregistration": self._expel,
        }
        self._actions = [*actions.values()]
        self._weights = [*accumulate(getattr(workload.behaviour, name) for name in actions)]

    def start(self, time: float) -> None:
        """Lets users come from a time of the clock on, in seconds."""
        for ue in self._ues:
            if self._workload.arrivals != float("inf"):
                time += self._random.expovariate(self._workload.arrivals)
            self._clock.at(time, self._come, ue)
        for demand in self._workload.demands:
            users = [ue for ue in self._ues if self._subscription(ue, demand) is not None]
            if users:
                self._later(1 / demand.arrivals, self._demand, demand, users)

    def _later(self, mean: float, action: Callable[..., object], *arguments: object) -> None:
        self._clock.after(self._random.expovariate(1.0 / mean), action, *arguments)

    def _come(self, ue: Ue) -> None:
        ue.register()
        self._later(self._workload.think_time, self._act, ue)

    def _act(self, ue: Ue) -> None:
        if ue.state == REGISTERED:
            (action,) = self._random.choices(self._actions, cum_weights=self._weights)
            action(ue)
        elif ue.state == DEREGISTERED and not ue.waits and self._random.random() < COMES_BACK:
            ue.register()
        self._later(self._workload.think_time, self._act, ue)

    # ------------------------------------------------------------ data

    def _idle_then(self, ue: Ue, action: Callable[[Ue], None]) -> None:
        """Lets the connection be released for want of data, and something happen after that."""
        wait = 0.0
        if not ue.idle:
            wait = self._random.expovariate(1.0 / self._workload.idle_time)
            ue.release()
        self._clock.after(RELEASE_TIME + wait, action, ue)

    def _send(self, ue: Ue) -> None:
        self._idle_then(ue, Ue.send_data)

    def _receive(self, ue: Ue) -> None:
        self._idle_then(ue, self._carry)

    def _carry(self, ue: Ue) -> None:
        there = _there(ue)
        if there:
            self._core.upf.carry_downlink(self._random.choice(there).address)

    # ------------------------------------------------------------ sessions

    def _subscriptions(self, ue: Ue) -> tuple[Subscription, ...]:
        subscriber = self._core.subscribers.get(ue.usim.supi)
        return () if subscriber is None else subscriber.subscriptions

    def _subscription(self, ue: Ue, demand: Demand) -> Subscription | None:
        subscriber = self._core.subscribers.get(ue.usim.supi)
        return None if subscriber is None else subscriber.find(demand.slice, demand.dnn)

    def _begin_session(self, ue: Ue) -> None:
        subscriptions = self._subscriptions(ue)
        if subscriptions and len(_there(ue)) < MOST_SESSIONS:
            choice = self._random.choice(subscriptions)
            self._hold(ue, choice.slice, choice.dnn, self._workload.session_time)

    def _hold(self, ue: Ue, of: Slice, dnn: str, mean: float) -> None:
        """Lets a user ask for a session, and end it some time later."""
        psi = ue.establish(of, dnn)
        if psi is not None and psi != DEFAULT_PSI:
            self._later(mean, self._end, ue, psi, ue.sessions[psi], mean)

    def _end(self, ue: Ue, psi: int, session: UeSession, mean: float) -> None:
        """Lets a user end a session, or later if there is none yet."""
        if ue.sessions.get(psi) is session:
            if session.state == "there":
                ue.release_session(psi)
            else:
                self._later(mean, self._end, ue, psi, session, mean)

    def _demand(self, demand: Demand, users: list[Ue]) -> None:
        ue = self._random.choice(users)
        self._hold(ue, demand.slice, demand.dnn, demand.session_time)
        self._later(1 / demand.arrivals, self._demand, demand, users)

    def _ask_unknown_slice(self, ue: Ue) -> None:
        network = self._core.network
        known = {entry.sst for entry in network.slices}
        unknown = next(sst for sst in range(1, 256) if sst not in known)
        ue.establish(Slice(unknown), network.data_networks[0].dnn)

    def _ask_unsubscribed(self, ue: Ue) -> None:
        own = {known.slice for known in self._subscriptions(ue)}
        others = [known for known in self._core.network.slices if known not in own]
        if others:
            ue.establish(self._random.choice(others), self._random.choice(self._core.network.data_networks).dnn)

    def _modify(self, ue: Ue) -> None:
        if self._random.random() < 0.5:
            ue.modify(DEFAULT_PSI)
            return
        known = self._core.amf.by_supi.get(ue.usim.supi)
        session = known.sessions.get(DEFAULT_PSI) if known is not None else None
        if session is not None and known.connection is not None:
            factor, of = self._random.choice((0.5, 1.0, 2.0)), session.subscription
            uplink, downlink = (max(LEAST_RATE, int(rate * factor)) for rate in session.rates)
            rates = min(uplink, of.uplink), min(downlink, of.downlink)
            self._core.amf.sessions.change_rates(known, session, rates)

    def _revoke(self, ue: Ue) -> None:
        known = self._core.amf.by_supi.get(ue.usim.supi)
        others = [psi for psi in known.sessions if psi != DEFAULT_PSI] if known is not None else []
        if others:
            self._core.amf.sessions.revoke(known, self._random.choice(others))

    def _expel(self, ue: Ue) -> None:
        self._core.amf.deregistrations.deregister(ue.usim.supi)

    # ------------------------------------------------------------ mobility

    def _other_station(self, ue: Ue) -> Gnb | None:
        others = [known for known in self._core.stations if known is not ue.station and known.accepted]
        return self._random.choice(others) if others else None

    def _move_xn(self, ue: Ue) -> None:
        target = self._other_station(ue)
        if target is not None and ue.connection is not None:
            ue.station.hand_over_xn(ue.connection, target)

    def _move_n2(self, ue: Ue) -> None:
        target = self._other_station(ue)
        if target is not None and ue.connection is not None:
            ue.station.hand_over_n2(ue.connection, target)

    def _move_idle(self, ue: Ue) -> None:
        target = self._other_station(ue)
        if target is not None and ue.idle and ue.state == REGISTERED:
            ue.station = target
            ue.update("mobility_updating")


def _there(ue: Ue) -> list[UeSession]:
    """Returns the sessions that a UE has."""
    return [known for known in ue.sessions.values() if known.state == "there"]


def _check_positive(configuration: Demand | Workload, *names: str) -> None:
    for name in names:
        if not getattr(configuration, name) > 0:
            raise SignalingError(f"`{name}` must be positive, got {getattr(configuration, name)!r}.")
