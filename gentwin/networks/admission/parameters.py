"""Parameters of the admission network: strict dataclasses with units, and the presets."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

from gentwin.networks.checks import check, check_types, is_number
from gentwin.schema import did_you_mean

MAX_SLICES = 8
MAX_RESOURCES = 4
MAX_QUEUE_PLACES = 32
MAX_SERVICES = 512  # that may be in progress at a time
PRESETS = ("light", "busy", "overload", "small")
PATIENCE = ("deterministic", "exponential")


@dataclass(frozen=True, kw_only=True)
class ServiceParameters:
    """The services requested in one slice, and the queue of its tenant.

    Args:
        name: Slice name, used in tables and as the key in records.
        arrivals_per_s: Rate of the Poisson process of requests, 1/s, > 0.
        service_s: Mean of the exponential time for which an admitted service holds its resources, seconds, > 0.
        demand: Units of each resource that a service holds, integers of at least 0, not all 0.
        revenue: Earned when a request is admitted, >= 0.
        penalty: Paid when a request is lost: it has timed out, or found the queue full. >= 0.
        timeout_s: Time (deterministic patience) or mean time (exponential) after which a queued request is withdrawn,
            seconds, > 0.
        queue_places: Requests that may wait, 0 … 32; with 0 a request is admitted at its arrival or lost.
    """

    name: str
    arrivals_per_s: float
    service_s: float
    demand: tuple[int, ...]
    revenue: float
    penalty: float = 0.0
    timeout_s: float
    queue_places: int = 32

    def __post_init__(self) -> None:
        object.__setattr__(self, "demand", _integers("demand", "ServiceParameters", self.demand))
        check_types(self)
        owner = f"slice `{self.name}`"
        check(self.name.isidentifier(), owner, "name", "a Python identifier", self.name)
        for name in ("arrivals_per_s", "service_s", "timeout_s"):
            check(0 < getattr(self, name) < math.inf, owner, name, "above 0 and finite", getattr(self, name))
        for name in ("revenue", "penalty"):
            check(0 <= getattr(self, name) < math.inf, owner, name, "at least 0 and finite", getattr(self, name))
        check(min(self.demand) >= 0, owner, "demand", "at least 0 of every resource", self.demand)
        check(max(self.demand) > 0, owner, "demand", "above 0 of some resource", self.demand)
        places = f"0 … {MAX_QUEUE_PLACES}"
        check(0 <= self.queue_places <= MAX_QUEUE_PLACES, owner, "queue_places", places, self.queue_places)


@dataclass(frozen=True, kw_only=True)
class AdmissionParameters:
    """A network whose slices share resources, and that decides whose request to admit.

    Args:
        preset: Name of the preset these parameters started from.
        slices: What is requested in each slice, 1 … 8.
        resources: Names of the resources, 1 … 4.
        capacity: Units of each resource, integers above 0.
        patience: `deterministic`: every queued request is withdrawn exactly `timeout_s` after its arrival;
            `exponential`: after an exponential time of that mean, which makes the network a Markov chain.
        warmup_s: Time that passes under the greedy policy before the first decision, seconds.
    """

    preset: str
    slices: tuple[ServiceParameters, ...] = field(default=())
    resources: tuple[str, ...] = ("radio", "computing", "storage")
    capacity: tuple[int, ...]
    patience: str = "deterministic"
    warmup_s: float = 0.0

    def __post_init__(self) -> None:
        owner = "the admission network"
        for name in ("slices", "resources"):
            value = getattr(self, name)
            if not isinstance(value, (tuple, list)):
                raise TypeError(f"`{name}` of {owner} must be a sequence, got {value!r}.")
            object.__setattr__(self, name, tuple(value))
        object.__setattr__(self, "capacity", _integers("capacity", "AdmissionParameters", self.capacity))
        check_types(self)
        check(self.preset in PRESETS, owner, "preset", f"one of {PRESETS}", self.preset)
        check(self.patience in PATIENCE, owner, "patience", f"one of {PATIENCE}", self.patience)
        check(0 <= self.warmup_s < math.inf, owner, "warmup_s", "at least 0 and finite", self.warmup_s)
        self._check_resources(owner)
        self._check_slices(owner)

    def _check_resources(self, owner: str) -> None:
        names = self.resources
        check(1 <= len(names) <= MAX_RESOURCES, owner, "resources", f"1 to {MAX_RESOURCES} names", names)
        for name in names:
            valid = isinstance(name, str) and name.isidentifier()
            check(valid, owner, "resources", "names that are Python identifiers", name)
        check(len(set(names)) == len(names), owner, "resources", "uniquely named", names)
        check(len(self.capacity) == len(names), owner, "capacity", f"{len(names)} numbers for {names}", self.capacity)
        check(min(self.capacity) > 0, owner, "capacity", "above 0 for every resource", self.capacity)

    def _check_slices(self, owner: str) -> None:
        check(1 <= len(self.slices) <= MAX_SLICES, owner, "slices", f"1 to {MAX_SLICES} slices", len(self.slices))
        for entry in self.slices:
            check(isinstance(entry, ServiceParameters), owner, "slices", "ServiceParameters objects", entry)
        names = [entry.name for entry in self.slices]
        check(len(set(names)) == len(names), owner, "slices", "uniquely named", names)
        for entry in self.slices:
            where, numbers = f"slice `{entry.name}`", f"{len(self.resources)} numbers for {self.resources}"
            check(len(entry.demand) == len(self.resources), where, "demand", numbers, entry.demand)
            fits = all(need <= units for need, units in zip(entry.demand, self.capacity, strict=True))
            check(fits, where, "demand", f"within `capacity` {self.capacity}", entry.demand)
        most = self.most_services
        check(most <= MAX_SERVICES, owner, "capacity", f"small enough for {MAX_SERVICES} services at a time", most)

    @property
    def num_slices(self) -> int:
        """Number of slices."""
        return len(self.slices)

    @property
    def num_resources(self) -> int:
        """Number of resources."""
        return len(self.resources)

    @property
    def most_services(self) -> int:
        """A bound on the number of services in progress: the sum over slices of what the network holds of each."""
        return sum(
            min(units // need for need, units in zip(entry.demand, self.capacity, strict=True) if need)
            for entry in self.slices
        )

    @property
    def offered_load(self) -> tuple[float, ...]:
        """Offered load of each resource: what all requests would hold on average were all admitted, over capacity."""
        return tuple(
            sum(entry.arrivals_per_s * entry.service_s * entry.demand[r] for entry in self.slices) / units
            for r, units in enumerate(self.capacity)
        )

    def slice_index(self, name: str) -> int:
        """Returns the position of a slice; raises `KeyError` naming the nearest slice if there is none of this name."""
        names = [entry.name for entry in self.slices]
        if name not in names:
            raise KeyError(f"no slice `{name}`{did_you_mean(name, names)}; known: {names}.")
        return names.index(name)

    def replace(self, **changes: Any) -> AdmissionParameters:
        """Returns a copy with fields changed; refuses unknown names with the nearest known one."""
        known = [entry.name for entry in dataclasses.fields(self)]
        for name in changes:
            if name not in known:
                raise ValueError(f"`{name}` is not a parameter of the admission network{did_you_mean(name, known)}")
        return dataclasses.replace(self, **changes)

    def with_load(self, load: float) -> AdmissionParameters:
        """Returns a copy with all arrival rates scaled so that the busiest resource is offered `load`.

        Args:
            load: Largest entry of `offered_load`, above 0.
        """
        check(is_number(load) and 0 < load < math.inf, "the admission network", "load", "above 0 and finite", load)
        factor = load / max(self.offered_load)
        slices = [dataclasses.replace(entry, arrivals_per_s=factor * entry.arrivals_per_s) for entry in self.slices]
        return dataclasses.replace(self, slices=tuple(slices))


def _integers(name: str, owner: str, values: Any) -> tuple[int, ...]:
    """Returns a sequence of integers as a tuple, or raises `TypeError`."""
    whole = isinstance(values, (tuple, list)) and values
    if not whole or not all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        raise TypeError(f"`{name}` of {owner} must be a sequence of integers, one per resource, got {values!r}.")
    return tuple(values)


def _imt2030_slices() -> tuple[ServiceParameters, ...]:
    """Four usage scenarios of IMT-2030 (Recommendation ITU-R M.2160) as slices; all numbers are ours.

    As in the article, immersive communication takes mostly radio, HRLLC mostly computing. Demands are in resource
    blocks, vCPUs and gigabytes.
    """
    immersive = ServiceParameters(
        name="immersive", arrivals_per_s=0.05, service_s=60.0, demand=(40, 4, 8), revenue=16.0, penalty=1.0,
        timeout_s=20.0,
    )  # fmt: skip
    hrllc = ServiceParameters(
        name="hrllc", arrivals_per_s=0.2, service_s=20.0, demand=(10, 12, 4), revenue=4.5, penalty=0.5, timeout_s=4.0,
    )  # fmt: skip
    massive = ServiceParameters(
        name="massive", arrivals_per_s=0.3, service_s=30.0, demand=(4, 2, 12), revenue=2.6, penalty=0.1,
        timeout_s=30.0,
    )  # fmt: skip
    ubiquitous = ServiceParameters(
        name="ubiquitous", arrivals_per_s=0.1, service_s=40.0, demand=(16, 3, 6), revenue=5.0, penalty=0.3,
        timeout_s=20.0,
    )  # fmt: skip
    return immersive, hrllc, massive, ubiquitous


def _small_slices() -> tuple[ServiceParameters, ...]:
    """The four slices with demands of a few units and two places in each queue."""
    numbers = {
        "immersive": {"arrivals_per_s": 0.1, "demand": (4, 1, 1)},
        "hrllc": {"arrivals_per_s": 0.3, "demand": (1, 3, 1)},
        "massive": {"arrivals_per_s": 0.3, "demand": (1, 1, 2)},
        "ubiquitous": {"arrivals_per_s": 0.2, "demand": (2, 1, 1)},
    }
    return tuple(dataclasses.replace(entry, queue_places=2, **numbers[entry.name]) for entry in _imt2030_slices())


LOADS = {"light": 0.7, "busy": 1.75, "overload": 3.0, "small": 3.0}


def admission_parameters(preset: str = "busy", *, load: float | None = None, **changes: Any) -> AdmissionParameters:
    """Returns the parameters of a preset, with changes.

    Args:
        preset: `light` (load 0.7, where any policy will do), `busy` (load 1.75), `overload` (load 3), or `small` (a
            network at load 3 whose optimal policy is computed exactly).
        load: Offered load of the busiest resource, above 0; scales all arrival rates.
        **changes: Any field of [`AdmissionParameters`][gentwin.networks.admission.AdmissionParameters]; the load is
            that after the changes. Without `load`, changed slices or capacities are taken as they are.

    Raises:
        ValueError: If the preset or a field is unknown or a value is out of range.
        TypeError: If a value has the wrong type.
    """
    if preset not in PRESETS:
        raise ValueError(f"`preset` must be one of {PRESETS}, got {preset!r}{did_you_mean(str(preset), list(PRESETS))}")
    if preset == "small":
        base = AdmissionParameters(
            preset=preset, slices=_small_slices(), capacity=(8, 7, 8), patience="exponential", warmup_s=300.0
        )
    else:
        base = AdmissionParameters(preset=preset, slices=_imt2030_slices(), capacity=(273, 96, 224), warmup_s=300.0)
    changed = base.with_load(LOADS[preset]).replace(**changes)
    return changed if load is None else changed.with_load(load)
