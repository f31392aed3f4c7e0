"""A base station and a UE that do what they are told, and a core at the other end: what `gentwin talk` plays with.

Time is simulated: nothing happens between two things that are asked for but what follows from the first one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random

from gentwin.signaling.closed_loop import NetworkSide
from gentwin.signaling.core import Profile, Subscription, SynthesisConfiguration
from gentwin.signaling.core.configuration import NetworkConfiguration, Slice, Station
from gentwin.signaling.core.control_plane import ControlPlane, Packet
from gentwin.signaling.core.subscribers import Subscriber, Subscribers
from gentwin.signaling.core.ue import DEREGISTERED, REGISTERED, Ue, Usim
from gentwin.signaling.errors import SignalingError
from gentwin.signaling.messages import Record

SETTLES = 1.0  # seconds within which what was asked for is done; timers of UE and core take longer
MOST_STEPS = 10_000  # between two things that are asked for
IMEISV = "4370816125816151"
HEARTBEATS = frozenset({"HeartbeatRequest", "HeartbeatResponse"})


class Talk:
    """One base station and its UEs, one of which acts at a time; they watch what the core says to them.

    Args:
        core: That answers.
        network: It is configured with; the base station is its first one.
        subscribers: Its database, for the keys of the UEs.
        seed: Of what is random at the UEs and the user plane.
        problem: Called with what the core may not say.

    Attributes:
        records: What was said, in the order of time, without heartbeats.
        ue: The UE that acts.
    """

    def __init__(
        self,
        core: ControlPlane,
        network: NetworkConfiguration,
        subscribers: Subscribers,
        *,
        seed: int = 0,
        problem: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.core, self.network, self.subscribers = core, network, subscribers
        self.records: list[Record] = []
        self._problem, self._told, self._random = problem, 0, Random(seed)
        self._packets: list[Packet] = []
        self._lost: list[str] = []
        anybody = Profile((Subscription(network.slices[0], network.data_networks[0].dnn),))
        configuration = SynthesisConfiguration(network=network, profiles=(anybody,))
        self._side = NetworkSide(configuration, subscribers, seed, self._packets.append, self._lost.append)
        self.station = self._side.stations[0]
        self._ues: dict[str, Ue] = {}
        self.ue = self.switch_to(next(iter(subscribers)).supi)
        self._deliver(core.start(self.now))
        self.settle()

    @property
    def now(self) -> float:
        """Simulated time, in seconds since 1970."""
        return self._side.now

    # ------------------------------------------------------------ what is asked for

    def switch_to(self, supi: str) -> Ue:
        """Lets another UE act from now on, and returns it.

        Args:
            supi: Of the UE; of a subscriber, or not.
        """
        if supi not in self._ues:
            self._ues[supi] = self._side.add_ue(self._usim(supi))
        self.ue = self._ues[supi]
        return self.ue

    def change_key(self, wrong: bool) -> None:
        """Puts a USIM with a wrong key, or with the right one, into the UE, which is switched on anew."""
        usim = self._usim(self.ue.usim.supi)
        if self.ue.state == REGISTERED:
            self.do(lambda: self.ue.deregister(switch_off=True))
        self._switch_on(replace(usim, k=self._random.randbytes(16)) if wrong else usim)

    def _usim(self, supi: str) -> Usim:
        known = self.subscribers.get(supi) or Subscriber(supi, bytes(16), bytes(16), "", self.network.slices[:1], ())
        return Usim(supi, known.k, known.opc, IMEISV, slices=known.slices[:1], session=None)

    def _switch_on(self, usim: Usim) -> None:
        self.ue = self._ues[usim.supi] = self._side.add_ue(usim)

    def set_up(self, station: Station | None = None) -> bool:
        """Sets up the link of the base station, and returns whether it was accepted.

        Args:
            station: It is from now on; as it was if not given.
        """
        if station is not None:
            self.station.station, self.station.plmn = station, station.plmn or self.network.plmn
        self.do(self.station.start)
        return self.station.accepted

    def register(self) -> str:
        """Registers the UE, and returns its state."""
        if self.ue.barred:
            self._switch_on(self.ue.usim)
        if self.ue.state == DEREGISTERED:
            self.ue.register()
        self.settle()
        return self.ue.state

    def establish(self, dnn: str, of: Slice | None = None) -> int | None:
        """Asks for a session, and returns its identity; None if there is none.

        Args:
            dnn: Data network.
            of: Slice; the first that was allowed if not given.
        """
        psi = self.ue.establish(of or (*self.ue.allowed, *self.ue.usim.slices)[0], dnn)
        self.settle()
        known = self.ue.sessions.get(psi) if psi is not None else None
        return psi if known is not None and known.state == "there" else None

    def do(self, action: Callable[[], object]) -> None:
        """Does something with the UE or the base station, and lets happen what follows."""
        action()
        self.settle()

    def page(self) -> bool:
        """Lets a packet come for the UE; returns whether there is a session for it."""
        addresses = [known.address for known in self.ue.sessions.values() if known.address]
        for address in addresses[:1]:
            self._side.upf.carry_downlink(address)
        self.settle()
        return bool(addresses)

    def command(self, name: str, psi: int | None = None) -> None:
        """Lets the core do something with the subscriber.

        Args:
            name: Such as `deregister`.
            psi: PDU session that it is about, if it is about one; the one of the lowest identity if not given.

        Raises:
            ValueError: If there is no such command, or the core does not know the UE, or the UE has no such session.
        """
        self._side.watch.asked.add((name, self.ue.usim.supi))
        self._deliver(self.core.command(name, self.ue.usim.supi, self.now, psi))
        self.settle()

    # ------------------------------------------------------------ time

    def settle(self, seconds: float = SETTLES) -> None:
        """Lets happen what is due.

        Args:
            seconds: Within which time; if longer than the default, all of it passes.

        Raises:
            SignalingError: If the sides do not stop talking.
        """
        clock, start = self._side.clock, self.network.start
        end = clock.now + seconds
        for _ in range(MOST_STEPS * max(1, int(seconds / SETTLES))):
            self._exchange()
            due, expiry = clock.due, self.core.due()
            expiry = None if expiry is None else max(clock.now, expiry - start)
            if min((time for time in (due, expiry) if time is not None), default=end + 1) > end:
                break
            if expiry is None or (due is not None and due <= expiry):
                clock.step(due)
            else:
                clock.now = expiry
                self._deliver(self.core.tick(start + expiry))
        else:
            raise SignalingError("UE, base station and core do not stop talking.")
        if seconds > SETTLES:
            clock.now = end
        for violation in self._side.ledger.violations[self._told :]:
            self._problem(f"the core may not say `{violation.message}`: {violation.rule}, {violation.detail}")
        self._told = len(self._side.ledger.violations)

    def _exchange(self) -> None:
        """Keeps what was said, and brings it to the core."""
        kept = self._side.links.records
        while kept:
            record = kept.popleft()
            if record.message.name not in HEARTBEATS:
                self.records.append(record)
        for peer in _take(self._lost):
            self._deliver(self.core.lose(peer, self.now))
        packets = _take(self._packets)
        if packets:
            self._deliver(self.core.hear(packets, self.now))

    def _deliver(self, packets: Iterable[Packet]) -> None:
        for packet in packets:
            self._side.deliver(packet)


def _take(held: list) -> list:
    """Empties a list, and returns what was in it."""
    taken = [*held]
    held.clear()
    return taken
