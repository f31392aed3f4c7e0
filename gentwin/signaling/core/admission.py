"""Admission of sessions whose slices share resources: tenants' queues, free resources, and the policy that decides.

```python
admission = AdmissionConfiguration(
    resources=(Resource("radio", 20), Resource("computing", 10)),
    slices=(Tenant(Slice(1), "broadband", (4, 1)), Tenant(Slice(2, "000001"), "sensors", (1, 2), patience=5.0)),
)
records = synthesize(SynthesisConfiguration(admission=admission), seed=1)
```

It is the network of [`gentwin.networks.admission`][gentwin.networks.admission] as a core meets it. The same state is
kept by the reference core and by a core twin, as it follows from the load: sessions hold resources from their admission
until they are deleted, and what waits is in one queue for each slice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gentwin.networks.masks import allowed_actions
from gentwin.signaling.core.configuration import Slice
from gentwin.signaling.core.policy import (
    ADMIT,
    INSUFFICIENT_5GSM,
    LONGEST_BACK_OFF,
    MODIFICATION,
    SESSION,
    SLICE_5GSM,
    AdmitAll,
    Decision,
    Load,
    Policy,
    Situation,
    Verdict,
    reject,
    wait,
)
from gentwin.signaling.errors import SignalingError

Decider = Callable[[np.ndarray], np.ndarray]
"""Takes states `(B, K, 4 + R)` in physical units, of each of K slices `queued`, `oldest_wait_s`, `requesting`,
`in_service`, and the free share of each of R resources; returns actions `(B,)`: the slice whose oldest request is
admitted, or K for none. The policies of `gentwin.networks.admission.policies` are such."""

JUST_NOW = 1e-4  # seconds; times of one clock differ by less


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource that slices share.

    Args:
        name: Such as `radio`.
        capacity: Units that there are, 1 or more.
    """

    name: str
    capacity: int


@dataclass(frozen=True, slots=True)
class Tenant:
    """Who has a slice: what its sessions need, and its queue of requests for sessions.

    Args:
        slice: Of the network.
        name: Of the slice as a policy knows it, such as `immersive`.
        demand: Units of each resource that a session holds, in the order of the resources.
        patience: How long a request waits at most before it is rejected, in seconds.
        places: Requests that may wait; with 0 a request is admitted when it comes, or rejected.
    """

    slice: Slice
    name: str
    demand: tuple[int, ...]
    patience: float = 10.0
    places: int = 32


@dataclass(frozen=True, slots=True)
class AdmissionConfiguration:
    """Slices whose sessions share resources.

    Args:
        resources: That they share.
        slices: Their tenants; none for no admission control. Other slices of the network have resources of their own.
        back_off: How long who is rejected is not to ask again, 2 to 11,160 seconds; 0 to say nothing of it.

    Raises:
        SignalingError: If a value is out of range, or two contradict each other.
    """

    resources: tuple[Resource, ...] = ()
    slices: tuple[Tenant, ...] = ()
    back_off: float = 30.0

    def __post_init__(self) -> None:
        if bool(self.resources) != bool(self.slices):
            there, missing = ("resources", "slices") if self.resources else ("slices", "resources")
            raise SignalingError(f"`{missing}` must have at least one entry where there are `{there}`, got none.")
        for name, values in (
            ("resources", [known.name for known in self.resources]),
            ("slices", [known.name for known in self.slices]),
            ("slices", [known.slice for known in self.slices]),
        ):
            twice = next((value for value in values if values.count(value) > 1), None)
            if twice is not None:
                raise SignalingError(f"`{name}` must be different ones, got {twice} twice; keep one of them.")
        for resource in self.resources:
            if resource.capacity < 1:
                raise SignalingError(
                    f"`capacity` of resource `{resource.name}` must be 1 or more units, got {resource.capacity!r}."
                )
        for tenant in self.slices:
            self._check(tenant)
        if self.back_off and not 2 <= self.back_off <= LONGEST_BACK_OFF:
            limits = f"0, or 2 to {LONGEST_BACK_OFF} seconds"
            raise SignalingError(f"`back_off` must be {limits}, got {self.back_off!r}.")

    def require_slices(self, known: Sequence[Slice]) -> None:
        """Raises `SignalingError` unless a network with these slices has all of those of the tenants."""
        for tenant in self.slices:
            if tenant.slice not in known:
                raise SignalingError(
                    f"`admission.slices` must be slices of the network, {', '.join(map(str, known))}, got "
                    f"{tenant.slice} for `{tenant.name}`; add it to `network.slices`, or name another slice."
                )

    def _check(self, tenant: Tenant) -> None:
        units = [known.capacity for known in self.resources]
        fits = len(tenant.demand) == len(units) and all(
            0 <= need <= most for need, most in zip(tenant.demand, units, strict=False)
        )
        if not fits or not any(tenant.demand):
            names = ", ".join(known.name for known in self.resources)
            raise SignalingError(
                f"`demand` of slice `{tenant.name}` must be a number of units for each of {names}, from 0 to the "
                f"capacity {units} and not all 0, got {list(tenant.demand)}."
            )
        if not tenant.patience > 0:
            raise SignalingError(
                f"`patience` of slice `{tenant.name}` must be positive seconds, got {tenant.patience!r}; with `places: "
                "0` nobody waits."
            )
        if tenant.places < 0:
            raise SignalingError(f"`places` of slice `{tenant.name}` must be 0 or more, got {tenant.places!r}.")


class OldestThatFits:
    """The greedy policy: of the requests that fit, the one that has waited longest.

    It is [`fifo_greedy`][gentwin.networks.admission.policies.fifo_greedy] for resources and demands of a configuration.

    Args:
        configuration: Resources and demands.

    Attributes:
        units: Of each resource that there are, `(R,)`.
        demand: Units of each resource that a session of each slice holds, `(K, R)`.
    """

    def __init__(self, configuration: AdmissionConfiguration) -> None:
        self.units = np.array([known.capacity for known in configuration.resources], np.float64)
        self.demand = np.array([known.demand for known in configuration.slices], np.float64)

    def __call__(self, states: np.ndarray) -> np.ndarray:
        allowed = self.allowed(states)
        oldest = np.where(allowed[:, :-1], states[:, :, 1], -np.inf).argmax(axis=1)
        return np.where(allowed[:, :-1].any(axis=1), oldest, len(self.demand))

    def allowed(self, states: np.ndarray) -> np.ndarray:
        """Returns which actions are allowed in states, `(B, K + 1)` bool."""
        free = np.rint(states[:, 0, 4:] * self.units)
        return allowed_actions(states[:, :, 0], free, self.demand)


class AdmissionPolicy(Policy):
    """Admits sessions of slices that share resources one by one, as a decider says.

    A request that comes is admitted, waits, or is rejected where the queue of its slice is full: insufficient resources
    for the slice (#69). What waits is decided again whenever load goes down, and rejected when its patience ends:
    insufficient resources (#26).

    It knows nothing but what it is asked: the state is that of the load, so a core that is restored from a checkpoint
    goes on where it was.

    Args:
        configuration: Slices, resources, queues.
        decider: Whom to admit next, or nobody; the oldest request that fits if not given.
        otherwise: Decides on all that is no session of these slices; everything is admitted if not given. A
            modification in these slices does not wait: queues are those of requests for sessions.
    """

    def __init__(
        self, configuration: AdmissionConfiguration, decider: Decider | None = None, otherwise: Policy | None = None
    ) -> None:
        self.configuration, self.otherwise = configuration, otherwise or AdmitAll()
        self._greedy = OldestThatFits(configuration)
        self._decider = decider or self._greedy
        self._numbers = {tenant.slice: number for number, tenant in enumerate(configuration.slices)}

    def decide(self, situation: Situation) -> Decision:
        """Returns whether something that is asked for is admitted, waits or is rejected."""
        number = self._number(situation)
        if number is None:
            return self._decide_otherwise(situation)
        tenant, waiting = self.configuration.slices[number], situation.load.of(situation.slice).waiting
        action = self._act(self.state(situation.load, situation.time, number))
        if action == number and not waiting:
            return ADMIT
        back_off = self.configuration.back_off or None
        # If one that waits is admitted now, this one takes its place.
        if waiting - (action == number) >= tenant.places:
            return reject(SLICE_5GSM, back_off)
        return wait(tenant.patience, INSUFFICIENT_5GSM, back_off)

    def choose(self, waiting: Sequence[Situation]) -> int | None:
        """Returns the place of the request that is admitted next; None for none."""
        places = {self._number(known): place for place, known in enumerate(waiting)}
        others = [place for place, known in enumerate(waiting) if self._number(known) is None]
        found = self.otherwise.choose([waiting[place] for place in others]) if others else None
        if found is not None:
            return others[found]
        return places.get(self._act(self.state(waiting[0].load, waiting[0].time)))

    def relief(self, load: Load) -> int:
        """Returns the relief that is asked for otherwise."""
        return self.otherwise.relief(load)

    def state(self, load: Load, time: float, requesting: int | None = None) -> np.ndarray:
        """Returns the state of the admission, `(1, K, 4 + R)`, as a [decider][gentwin.signaling.core.admission.Decider]
        takes it.

        Args:
            load: Of the core.
            time: In seconds of the simulated clock.
            requesting: Number of the slice in which a session is asked for now, which the load does not count yet; if
                not given, that in which one was asked for just now and waits.
        """
        slices = [load.of(tenant.slice) for tenant in self.configuration.slices]
        units, demand = self._greedy.units, self._greedy.demand
        state = np.zeros((1, len(slices), 4 + len(units)))
        state[0, :, 0] = [known.waiting for known in slices]
        state[0, :, 1] = [0.0 if known.oldest is None else max(0.0, time - known.oldest) for known in slices]
        state[0, :, 3] = [known.sessions for known in slices]
        state[0, :, 2] = [known.newest is not None and time - known.newest <= JUST_NOW for known in slices]
        if requesting is not None:
            state[0, requesting, 0] += 1
            state[0, :, 2] = np.arange(len(slices)) == requesting
        state[0, :, 4:] = np.maximum(units - state[0, :, 3] @ demand, 0) / units
        return state

    def _number(self, situation: Situation) -> int | None:
        """Returns the number of the slice in which a session is asked for; None for anything else."""
        return self._numbers.get(situation.slice) if situation.procedure == SESSION else None

    def _act(self, state: np.ndarray) -> int:
        """Returns what the decider says where there is a choice, and none where there is none."""
        allowed = self._greedy.allowed(state)[0]
        if not allowed[:-1].any():
            return len(allowed) - 1
        action = int(self._decider(state)[0])
        if not (0 <= action < len(allowed) and allowed[action]):
            names = [tenant.name for tenant in self.configuration.slices]
            able = [name for name, is_allowed in zip([*names, "none"], allowed, strict=True) if is_allowed]
            raise SignalingError(
                f"`decider` must admit one of {', '.join(able)}, got action {action} of {[*names, 'none']}; let it "
                "mind which requests wait and fit."
            )
        return action

    def _decide_otherwise(self, situation: Situation) -> Decision:
        found = self.otherwise.decide(situation)
        waits = found.verdict is Verdict.WAIT and situation.procedure == MODIFICATION
        return reject(found.cause, found.back_off) if waits and situation.slice in self._numbers else found


def policy_of(admission: AdmissionConfiguration | None, limits: Policy | None = None) -> Policy | None:
    """Returns the policy of a core that is configured so: limits, and greedy admission where slices share resources.

    Args:
        admission: Slices that share resources.
        limits: Of everything else; None to admit it.
    """
    if admission is None or not admission.slices:
        return limits
    return AdmissionPolicy(admission, otherwise=limits)
