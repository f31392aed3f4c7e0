"""Traffic of a whole network, made from a configuration and a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random

from gentwin.signaling.core.configuration import NetworkConfiguration, Station
from gentwin.signaling.core.links import Faults
from gentwin.signaling.core.policy import AdmitAll, Policy
from gentwin.signaling.core.population import RECORDED, Profile, populate
from gentwin.signaling.core.reference import ReferenceCore
from gentwin.signaling.core.subscribers import Subscribers
from gentwin.signaling.core.ue import Usim
from gentwin.signaling.core.workload import Users, Workload
from gentwin.signaling.errors import SignalingError
from gentwin.signaling.messages import Record

FIRST_ARRIVAL = 4.0  # seconds after the start; by then the links are set up
MOST_UES = 10_000
AHEAD = 1 << 20


@dataclass(frozen=True, slots=True)
class SynthesisConfiguration:
    """What traffic to make.

    Args:
        ues: Number of UEs, 1 to 10,000.
        duration: Simulated time, in seconds.
        network: Its parts.
        workload: What users do.
        faults: What goes wrong on links.
        policy: Asked where an answer depends on load.
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
    workload: Workload = field(default_factory=Workload)
    faults: Faults = field(default_factory=Faults)
    policy: Policy = field(default_factory=AdmitAll)
    profiles: tuple[Profile, ...] = RECORDED

    def __post_init__(self) -> None:
        if not 1 <= self.ues <= MOST_UES:
            raise SignalingError(f"`ues` must be from 1 to {MOST_UES}, got {self.ues!r}.")
        if not self.duration > 0:
            raise SignalingError(f"`duration` must be positive seconds, got {self.duration!r}.")


def synthesize(configuration: SynthesisConfiguration, seed: int = 0) -> Iterator[Record]:
    """Yields what is said on N2 and N4 of a network, in the order of time.

    The same configuration and seed give the same records. Nothing is kept but the state of the network.

    Args:
        configuration: What traffic.
        seed: Of all that is random.
    """
    random = Random(f"{seed}/users")
    network = replace(configuration.network, max_ues=max(configuration.network.max_ues, configuration.ues))
    subscribers = Subscribers()
    usims = populate(subscribers, configuration.ues, random, configuration.profiles, network.plmn)
    core = ReferenceCore(network, subscribers, configuration.policy, configuration.faults, seed)
    ues = [core.add_ue(_disturb(usim, configuration.workload, random), random.choice(core.stations)) for usim in usims]
    core.start()
    Users(core, configuration.workload, ues, random).start(FIRST_ARRIVAL)
    yield from core.run(configuration.duration)
    subscribers.close()


def _disturb(usim: Usim, workload: Workload, random: Random) -> Usim:
    """Returns a subscription, wrong in the share of cases that the workload says."""
    draw = random.random()
    if draw < workload.wrong_key:
        return replace(usim, k=random.randbytes(16))
    draw -= workload.wrong_key
    if draw < workload.old_sequence:
        return replace(usim, sqn=AHEAD)
    draw -= workload.old_sequence
    if draw < workload.unknown:
        return replace(usim, supi=usim.supi[:5] + "9" + usim.supi[6:])
    return usim
