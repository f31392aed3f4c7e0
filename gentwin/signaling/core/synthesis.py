"""Traffic of a whole network, made from a configuration and a seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from gentwin.signaling.core.admission import AdmissionConfiguration, policy_of
from gentwin.signaling.core.breakdowns import Breakdowns
from gentwin.signaling.core.configuration import Faults, NetworkConfiguration, Station
from gentwin.signaling.core.policy import LoadLimits, Policy
from gentwin.signaling.core.population import RECORDED, Population, Profile, populate
from gentwin.signaling.core.reference import ReferenceCore
from gentwin.signaling.core.subscribers import Subscribers
from gentwin.signaling.core.ue import Usim
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
        admission: Slices whose sessions share resources; there are none if not given.
        profiles: Subscriptions, of which each subscriber has one in turn.

    Raises:
        SignalingError: If a value is out of range, or a slice or data network is not one of the network.
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
    admission: AdmissionConfiguration = field(default_factory=AdmissionConfiguration)
    profiles: tuple[Profile, ...] = RECORDED

    def __post_init__(self) -> None:
        if not 1 <= self.ues <= MOST_UES:
            raise SignalingError(f"`ues` must be from 1 to {MOST_UES}, got {self.ues!r}.")
        if not self.duration > 0:
            raise SignalingError(f"`duration` must be positive seconds, got {self.duration!r}.")
        if not self.profiles:
            raise SignalingError("`profiles` must have at least one profile, got none.")
        self._check_network()

    def _check_network(self) -> None:
        """Checks that the network has the slices and data networks of profiles, demands and limits."""
        subscriptions = [known for profile in self.profiles for known in profile.subscriptions]
        demands = self.workload.demands
        slices = [*map(str, self.network.slices)]
        names = [known.dnn for known in self.network.data_networks]
        _check_known("profiles", (str(known.slice) for known in subscriptions), "slices", slices)
        _check_known("profiles", (known.dnn for known in subscriptions), "data_networks", names)
        _check_known("workload.demands", (str(known.slice) for known in demands), "slices", slices)
        _check_known("workload.demands", (known.dnn for known in demands), "data_networks", names)
        _check_known("limits.slices", (str(known.slice) for known in self.limits.slices), "slices", slices)
        self.admission.require_slices(self.network.slices)

    @property
    def policy(self) -> Policy:
        """Asked where an answer depends on load: limits, and the greedy policy where slices share resources."""
        return policy_of(self.admission, self.limits)


def _check_known(field: str, used: Iterable[str], part: str, known: Sequence[str]) -> None:
    missing = [name for name in dict.fromkeys(used) if name not in known]
    if missing:
        raise SignalingError(
            f"`{field}` must have `{part}` of the network only, got {', '.join(missing)}; add what is missing to "
            f"`network.{part}`, or use one of {', '.join(known)}."
        )


def enrol(configuration: SynthesisConfiguration, seed: int, subscribers: Subscribers) -> tuple[list[Usim], Random]:
    """Puts the subscribers that a synthesis begins with into a database.

    Args:
        configuration: What traffic.
        seed: Of all that is random.
        subscribers: An empty database.

    Returns:
        The USIM of every UE, and what users are drawn with after them.
    """
    random, parts = Random(f"{seed}/users"), (configuration.network, configuration.profiles, configuration.population)
    return populate(subscribers, configuration.ues, random, *parts), random


def synthesize(configuration: SynthesisConfiguration, seed: int = 0, policy: Policy | None = None) -> Iterator[Record]:
    """Yields what is said on N2 and N4 of a network, in the order of time.

    The same configuration and seed give the same records. Nothing is kept but the state of the network.

    Args:
        configuration: What traffic.
        seed: Of all that is random.
        policy: Asked where an answer depends on load, in place of that of the configuration.
    """
    network = replace(configuration.network, max_ues=max(configuration.network.max_ues, configuration.ues))
    subscribers = Subscribers()
    usims, random = enrol(configuration, seed, subscribers)
    core = ReferenceCore(network, subscribers, policy or configuration.policy, configuration.faults, seed)
    ues = [core.add_ue(usim, random.choice(core.stations)) for usim in usims]
    core.start()
    Users(core, configuration.workload, ues, random).start(FIRST_ARRIVAL)
    Breakdowns(core, configuration.faults, Random(f"{seed}/faults")).start(FIRST_ARRIVAL)
    yield from core.run(configuration.duration)
    subscribers.close()
