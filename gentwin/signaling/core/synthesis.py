"""Traffic of a whole network, made from a configuration and a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random

from gentwin.signaling.core.breakdowns import Breakdowns
from gentwin.signaling.core.configuration import Faults, NetworkConfiguration, Station
from gentwin.signaling.core.policy import LoadLimits, Policy
from gentwin.signaling.core.population import RECORDED, Population, Profile, populate
from gentwin.signaling.core.reference import ReferenceCore
from gentwin.signaling.core.subscribers import Subscribers
from gentwin.signaling.core.workload import Users, Workload
from gentwin.signaling.errors import SignalingError
from gentwin.signaling.messages import Record

FIRST_ARRIVAL = 4.0  # seconds after the start; by then the links are set up
MOST_UES = 10_000


@dataclass(frozen=True, slots=True)
class SynthesisConfiguration:
    """What traffic to make.

    Args:
        ues: Number of UEs, 1 to 10,000.
        duration: Simulated time, in seconds.
        network: Its parts.
        population: Who the users are.
        workload: What they do.
        faults: What goes wrong.
        limits: Of load; there are none if not given.
        profiles: Subscriptions, of which each subscriber has one in turn.

    Raises:
        SignalingError: If a value is out of range.
    """

    ues: int = 10
    duration: float = 60.0
    network: NetworkConfiguration = field(
        default_factory=lambda: NetworkConfiguration(
            stations=(Station(1, "127.0.2.1:41621"), Station(2, "127.0.2.2:41622", "000002"))
        )
    )
    population: Population = field(default_factory=Population)
    workload: Workload = field(default_factory=Workload)
    faults: Faults = field(default_factory=Faults)
    limits: LoadLimits = field(default_factory=LoadLimits)
    profiles: tuple[Profile, ...] = RECORDED

    def __post_init__(self) -> None:
        if not 1 <= self.ues <= MOST_UES:
            raise SignalingError(f"`ues` must be from 1 to {MOST_UES}, got {self.ues!r}.")
        if not self.duration > 0:
            raise SignalingError(f"`duration` must be positive seconds, got {self.duration!r}.")
        if not self.profiles:
            raise SignalingError("`profiles` must have at least one profile, got none.")


def synthesize(configuration: SynthesisConfiguration, seed: int = 0, policy: Policy | None = None) -> Iterator[Record]:
    """Yields what is said on N2 and N4 of a network, in the order of time.

    The same configuration and seed give the same records. Nothing is kept but the state of the network.

    Args:
        configuration: What traffic.
        seed: Of all that is random.
        policy: Asked where an answer depends on load, in place of the limits of the configuration.
    """
    random = Random(f"{seed}/users")
    network = replace(configuration.network, max_ues=max(configuration.network.max_ues, configuration.ues))
    subscribers = Subscribers()
    usims = populate(subscribers, configuration.ues, random, network, configuration.profiles, configuration.population)
    core = ReferenceCore(network, subscribers, policy or configuration.limits, configuration.faults, seed)
    ues = [core.add_ue(usim, random.choice(core.stations)) for usim in usims]
    core.start()
    Users(core, configuration.workload, ues, random).start(FIRST_ARRIVAL)
    Breakdowns(core, configuration.faults, Random(f"{seed}/faults")).start(FIRST_ARRIVAL)
    yield from core.run(configuration.duration)
    subscribers.close()
