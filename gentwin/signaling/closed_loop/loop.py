"""A closed loop in simulated time: UEs, base stations and a user plane against any control plane."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

from gentwin.signaling.closed_loop.outcomes import ClosedLoopResult
from gentwin.signaling.closed_loop.side import NetworkSide
from gentwin.signaling.closed_loop.watch import EXPULSION
from gentwin.signaling.closed_loop.watched_gnb import WatchedGnb
from gentwin.signaling.closed_loop.watched_ue import WatchedUe
from gentwin.signaling.core.breakdowns import Breakdowns
from gentwin.signaling.core.clock import Event
from gentwin.signaling.core.control_plane import ControlPlane, Packet
from gentwin.signaling.core.reference import STATION_GAP, STATIONS_START
from gentwin.signaling.core.subscribers import Subscribers
from gentwin.signaling.core.synthesis import FIRST_ARRIVAL, SynthesisConfiguration, enrol
from gentwin.signaling.core.ue import REGISTERED, Ue, Usim
from gentwin.signaling.core.workload import Users
from gentwin.signaling.errors import SignalingError
from gentwin.signaling.messages import Record

HEARTBEAT = "Heartbeat"


class ClosedLoop:
    """Lets UEs, base stations and a user plane use a control plane, and judges what it does.

    ```python
    >>> from gentwin.signaling.core import ReferenceControlPlane
    >>> configuration, subscribers = SynthesisConfiguration(ues=2, duration=8.0), Subscribers()
    >>> core = ReferenceControlPlane(configuration.network, subscribers)
    >>> result = ClosedLoop(core, configuration, seed=1, subscribers=subscribers).run()
    >>> result.completion, result.violations
    (1.0, [])
    ```

    Args:
        core: That answers.
        configuration: Of the network, its users, and what goes wrong outside the core.
        seed: Of all that is random.
        subscribers: The database that the core asks as well. The users of the configuration are added to it.
        usims: Of users who are in the database already, in place of those of the configuration.
        gather: How long packets are gathered before the core hears them together, in seconds; those of the same
            instant always are.
        keep_records: Whether the result has what was said.
    """

    def __init__(
        self,
        core: ControlPlane,
        configuration: SynthesisConfiguration,
        seed: int = 0,
        subscribers: Subscribers | None = None,
        *,
        usims: Sequence[Usim] | None = None,
        gather: float = 0.0,
        keep_records: bool = True,
    ) -> None:
        if gather < 0:
            raise SignalingError(f"`gather` must be 0 or more seconds, got {gather!r}.")
        self.core, self._configuration, self._gather = core, configuration, gather
        subscribers = Subscribers() if subscribers is None else subscribers
        random = Random(f"{seed}/users")
        if usims is None:
            usims, random = enrol(configuration, seed, subscribers)
        self._side = NetworkSide(configuration, subscribers, seed, self._send, self._lose)
        for usim in usims:
            self._side.add_ue(usim, random.choice(self._side.stations))
        self._random, self._seed = random, seed
        self._inbox: list[Packet] = []
        self._flushing = False
        self._tick: Event | None = None
        self._keeps, self._records = keep_records, []
        self._started = False

    # ------------------------------------------------------------ the whole workload

    def run(self) -> ClosedLoopResult:
        """Returns what comes of the workload of the configuration."""
        configuration, side = self._configuration, self._side
        self.start()
        users = _Users(self, side, configuration, self._random)
        users.start(FIRST_ARRIVAL)
        Breakdowns(side, configuration.faults, Random(f"{self._seed}/faults")).start(FIRST_ARRIVAL)
        self.run_until(configuration.duration)
        return self.result()

    def result(self) -> ClosedLoopResult:
        """Returns what has come up to now."""
        return replace(self._side.ledger.result(), records=[*self._records])

    # ------------------------------------------------------------ one thing at a time

    @property
    def ues(self) -> Sequence[WatchedUe]:
        """UEs, which do what their methods say: register, ask for sessions, send data, deregister."""
        return self._side.ues

    @property
    def stations(self) -> Sequence[WatchedGnb]:
        """Base stations, in the order of the configuration."""
        return self._side.stations

    @property
    def now(self) -> float:
        """Time of the simulated clock, in seconds since it began."""
        return self._side.clock.now

    def start(self) -> None:
        """Lets the core associate with the user plane, and base stations introduce themselves some seconds later."""
        if self._started:
            return
        self._started = True
        self._answer(self.core.start(self._side.now))
        for place, station in enumerate(self.stations):
            self._side.clock.after(STATIONS_START + STATION_GAP * place, station.start)

    def carry_downlink(self, supi: str) -> None:
        """Lets a packet come for a UE: an idle one is paged."""
        ue = self._side.watch.ues[supi]
        session = next((known for known in ue.sessions.values() if known.state == "there"), None)
        if session is not None:
            self._side.upf.carry_downlink(session.address)

    def hand_over(self, ue: WatchedUe, target: WatchedGnb, xn: bool = True) -> None:
        """Lets the base station of a connected UE hand it over to another one, over Xn or over N2."""
        if ue.connection is not None and ue.station is not target:
            (ue.station.hand_over_xn if xn else ue.station.hand_over_n2)(ue.connection, target)

    def command(self, name: str, supi: str) -> None:
        """Lets somebody at the core want something with a subscriber.

        Args:
            name: Such as `deregister`, as the core knows it.
            supi: Whom.
        """
        ue = self._side.watch.ues[supi]
        self._side.watch.asked.add((name, supi))
        if name == "deregister":
            if ue.state == REGISTERED and not ue.idle:
                timing = self._side.network.flavour.timing
                self._side.ledger.begin(EXPULSION, supi, timing.t3522, disturbed=ue.is_leaving)
            ue.disturb()
            ue.doubtful = True
        self._answer(self.core.command(name, supi, self._side.now))

    def run_until(self, time: float) -> list[Record]:
        """Returns what is said up to a time of the clock, in seconds."""
        return [*self._steps(time)]

    def run_until_quiet(self, patience: float = 1.0) -> list[Record]:
        """Returns what is said until nothing but heartbeats is said for some seconds of the simulated clock."""
        said: list[Record] = []
        waiting = not self._started or not all(station.accepted for station in self.stations)
        quiet_at = self.now + patience + (STATIONS_START + STATION_GAP * len(self.stations)) * waiting
        while (due := self._side.clock.due) is not None and due <= quiet_at:
            fresh = [*self._steps(due)]
            said += fresh
            if any(not record.message.name.startswith(HEARTBEAT) for record in fresh):
                quiet_at = max(quiet_at, self.now + patience)
        self._side.clock.now = max(self.now, quiet_at)
        return said

    # ------------------------------------------------------------ what happens

    def _steps(self, until: float) -> Iterator[Record]:
        clock, records = self._side.clock, self._side.links.records
        while clock.step(until):
            while records:
                record = records.popleft()
                if self._keeps:
                    self._records.append(record)
                yield record
        clock.now = max(clock.now, until)

    def _send(self, packet: Packet) -> None:
        self._inbox.append(packet)
        if not self._flushing:
            self._flushing = True
            self._side.clock.after(self._gather, self._flush)

    def _flush(self) -> None:
        packets, self._inbox, self._flushing = self._inbox, [], False
        self._answer(self.core.hear(packets, self._side.now))

    def _lose(self, peer: str) -> None:
        self._answer(self.core.lose(peer, self._side.now))

    def _answer(self, packets: Sequence[Packet]) -> None:
        for packet in packets:
            self._side.deliver(packet)
        due = self.core.due()
        if self._tick is not None:
            self._tick.cancel()
        self._tick = None if due is None else self._side.clock.at(due - self._side.network.start, self._let_expire)

    def _let_expire(self) -> None:
        self._tick = None
        self._answer(self.core.tick(self._side.now))


class _Users(Users):
    """Users at a core that can only be told what the specification knows as commands."""

    def __init__(
        self, loop: ClosedLoop, side: NetworkSide, configuration: SynthesisConfiguration, random: Random
    ) -> None:
        super().__init__(side, configuration.workload, side.ues, random)
        self._loop = loop

    def _modify(self, ue: Ue) -> None:
        ue.modify(1)

    def _revoke(self, ue: Ue) -> None:
        """A core may not know this command, and must not: only the operator releases sessions."""

    def _expel(self, ue: Ue) -> None:
        self._loop.command("deregister", ue.usim.supi)
