"""What users do: they come, ask for sessions, send and receive, move, and go; sometimes things break."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from gentwin.signaling.core.gnb import Gnb
from gentwin.signaling.core.reference import ReferenceCore
from gentwin.signaling.core.ue import DEREGISTERED, REGISTERED, Ue, UeSession

DEFAULT_PSI = 1
RELEASE_TIME = 0.05  # seconds in which a connection is released


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How often a user does what, as weights; only ratios matter.

    Args:
        send: A packet to send after the connection was released.
        receive: A packet from the network after the connection was released.
        session: Another session, released some time later.
        unknown_network: A session in a data network that nobody has.
        modify: Another quality for a session.
        move_xn: To another base station over Xn.
        move_n2: To another base station over N2.
        move_idle: To another base station while idle, with a mobility registration.
        update: Periodic registration before its time.
        deregister: Goes and comes back at once.
        switch_off: Goes and comes back after a think time.
        network_deregistration: Is deregistered by the network, to register again only much later.
    """

    send: float = 30.0
    receive: float = 25.0
    session: float = 30.0
    unknown_network: float = 4.0
    modify: float = 3.0
    move_xn: float = 4.0
    move_n2: float = 4.0
    move_idle: float = 2.0
    update: float = 2.0
    deregister: float = 4.0
    switch_off: float = 3.0
    network_deregistration: float = 0.2


@dataclass(frozen=True, slots=True)
class Workload:
    """What all users do together.

    Args:
        arrivals: UEs that are switched on per second, by a Poisson process; all at once if infinite.
        think_time: Mean of the time between two things that a user does, in seconds; exponential.
        idle_time: Mean time from the release of a connection to the next packet, in seconds; exponential.
        session_time: Mean life of another session, in seconds; exponential.
        behaviour: How often a user does what.
        wrong_key: Share of UEs with a wrong key.
        old_sequence: Share of UEs whose sequence number is ahead of that of the home network.
        unknown: Share of UEs that are no subscribers.
        station_faults: Base stations that fail per second, by a Poisson process: half of them reset the link,
            half start again.
    """

    arrivals: float = 2.0
    think_time: float = 5.0
    idle_time: float = 0.5
    session_time: float = 5.0
    behaviour: Behaviour = field(default_factory=Behaviour)
    wrong_key: float = 0.0
    old_sequence: float = 0.0
    unknown: float = 0.0
    station_faults: float = 0.0


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
        weights = {name: getattr(workload.behaviour, name) for name in workload.behaviour.__slots__}
        self._names, self._weights = [*weights], [*weights.values()]
        self._actions: dict[str, Callable[[Ue], None]] = {
            "send": self._send,
            "receive": self._receive,
            "session": self._begin_session,
            "unknown_network": self._ask_unknown,
            "modify": self._modify,
            "move_xn": self._move_xn,
            "move_n2": self._move_n2,
            "move_idle": self._move_idle,
            "update": Ue.update,
            "deregister": lambda ue: ue.deregister(switch_off=False),
            "switch_off": Ue.deregister,
            "network_deregistration": self._deregister,
        }

    def start(self, time: float) -> None:
        """Lets users come from a time of the clock on, in seconds."""
        for ue in self._ues:
            if self._workload.arrivals != float("inf"):
                time += self._random.expovariate(self._workload.arrivals)
            self._clock.at(time, self._come, ue)
        if self._workload.station_faults:
            self._clock.at(time, self._break_station)

    def _later(self, mean: float, action: Callable[..., object], *arguments: object) -> None:
        self._clock.after(self._random.expovariate(1.0 / mean), action, *arguments)

    def _come(self, ue: Ue) -> None:
        ue.register()
        self._later(self._workload.think_time, self._act, ue)

    def _act(self, ue: Ue) -> None:
        if ue.state == REGISTERED:
            (name,) = self._random.choices(self._names, self._weights)
            self._actions[name](ue)
        elif ue.state == DEREGISTERED and self._random.random() < 0.5:
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
        session = self._session(ue)
        if session is not None:
            self._core.upf.carry_downlink(session.address)

    def _session(self, ue: Ue) -> UeSession | None:
        """Returns a session that a UE has; None if it has none."""
        there = [known for known in ue.sessions.values() if known.state == "there"]
        return self._random.choice(there) if there else None

    # ------------------------------------------------------------ sessions

    def _begin_session(self, ue: Ue) -> None:
        subscriber = self._core.subscribers.get(ue.usim.supi)
        if subscriber is None or len(ue.sessions) > 3:
            return
        choice = self._random.choice(subscriber.subscriptions)
        psi = ue.establish(choice.slice, choice.dnn)
        if psi is not None:
            self._later(self._workload.session_time, self._end_session, ue, psi)

    def _end_session(self, ue: Ue, psi: int) -> None:
        if psi != DEFAULT_PSI:
            ue.release_session(psi)

    def _ask_unknown(self, ue: Ue) -> None:
        ue.establish(ue.usim.slices[0], "unknown")

    def _modify(self, ue: Ue) -> None:
        if self._random.random() < 0.5:
            ue.modify(DEFAULT_PSI)
            return
        known = self._core.amf.by_supi.get(ue.usim.supi)
        session = known.sessions.get(DEFAULT_PSI) if known is not None else None
        if session is not None and known.connection is not None:
            uplink, downlink = session.rates
            factor = self._random.choice((0.5, 1.0, 2.0))
            rates = max(1000, int(uplink * factor)), max(1000, int(downlink * factor))
            self._core.amf.sessions.change_rates(known, session, rates)

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

    def _deregister(self, ue: Ue) -> None:
        self._core.amf.registrations.deregister(ue.usim.supi)

    # ------------------------------------------------------------ faults

    def _break_station(self) -> None:
        station = self._random.choice(self._core.stations)
        if self._random.random() < 0.5:
            station.reset()
        else:
            station.start()
        self._later(1.0 / self._workload.station_faults, self._break_station)
