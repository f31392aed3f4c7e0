"""What a policy earns: long-run measures by simulation with standard errors, and bounds on them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gentwin.networks.admission.network import AdmissionNetwork, slice_revenue
from gentwin.networks.admission.parameters import AdmissionParameters
from gentwin.networks.admission.policies import Policy, trunk_reservation


@dataclass(frozen=True)
class Performance:
    """What happened in some copies of a network, from the warm-up on.

    Args:
        revenue: `(C,)` revenue less penalties.
        elapsed_s: `(C,)` seconds.
        arrived: `(C, num_slices)` requests.
        admitted: `(C, num_slices)` requests.
        lost: `(C, num_slices)` requests timed out or blocked.
        used_s: `(C, num_resources)` seconds for which a resource was in use, weighted with the share of it.
    """

    revenue: np.ndarray
    elapsed_s: np.ndarray
    arrived: np.ndarray
    admitted: np.ndarray
    lost: np.ndarray
    used_s: np.ndarray

    @property
    def revenue_per_s(self) -> float:
        """Revenue less penalties per second."""
        return float(self.revenue.sum() / self.elapsed_s.sum())

    @property
    def standard_error(self) -> float:
        """Standard error of `revenue_per_s` over copies; NaN for a single one."""
        return _standard_error(self.residuals)

    @property
    def residuals(self) -> np.ndarray:
        """What each copy contributes to the error of `revenue_per_s`, `(C,)`; the linearised ratio."""
        return (self.revenue - self.revenue_per_s * self.elapsed_s) / self.elapsed_s.mean()

    @property
    def admission(self) -> np.ndarray:
        """Share of the decided requests that were admitted, `(num_slices,)`."""
        decided = (self.admitted + self.lost).sum(axis=0)
        return self.admitted.sum(axis=0) / np.maximum(decided, 1)

    @property
    def utilisation(self) -> np.ndarray:
        """Share of each resource in use, `(num_resources,)`."""
        return self.used_s.sum(axis=0) / self.elapsed_s.sum()

    def gain_over(self, other: Performance) -> tuple[float, float]:
        """Returns the difference of `revenue_per_s` to that of another policy under the same keys, and its standard
        error."""
        return self.revenue_per_s - other.revenue_per_s, _standard_error(self.residuals - other.residuals)


def _standard_error(residuals: np.ndarray) -> float:
    copies = len(residuals)
    return float(residuals.std(ddof=1) / copies**0.5) if copies > 1 else float("nan")


def simulate(
    policy: Policy,
    parameters: AdmissionParameters,
    keys: np.ndarray,
    duration_s: float,
    settle_s: float = 0.0,
    num_threads: int | None = None,
) -> Performance:
    """Runs a policy for a time after the warm-up; under the same keys all policies meet the same requests.

    Args:
        policy: Maps states of the schema to actions.
        parameters: Of the network.
        keys: `(C,)` uint64 random keys, one per copy.
        duration_s: Time that counts, seconds; a copy goes on to the first decision after it.
        settle_s: Time before it under the same policy, seconds, for what the warm-up's policy has left to go.
        num_threads: Threads that share the copies, all cores by default.

    Raises:
        ValueError: If the duration is not positive, or the policy takes an action that is not allowed.
    """
    if not duration_s > 0:
        raise ValueError(f"`duration_s` must be above 0, got {duration_s}.")
    network = AdmissionNetwork(parameters, len(keys), num_threads)
    network.reset(keys)
    begin_s = network.time_s + settle_s
    elapsed_s = np.zeros(len(keys))
    counts = {name: np.zeros((len(keys), parameters.num_slices)) for name in ("arrived", "admitted", "lost")}
    used_s = np.zeros((len(keys), parameters.num_resources))
    while (running := network.time_s < begin_s + duration_s).any():
        counted = running & (network.time_s >= begin_s)
        network.step(policy(network.state_values()))
        seen = {"arrived": network.values("arrived"), "admitted": network.values("admitted")}
        seen["lost"] = network.values("timed_out") + network.values("blocked")
        for name, values in seen.items():
            counts[name] += np.where(counted[:, None], values, 0)
        counted_s = np.where(counted, network.elapsed_s, 0)
        elapsed_s += counted_s
        used_s += counted_s[:, None] * network.used
    earned = slice_revenue(parameters, counts["admitted"], counts["lost"]).sum(axis=1)
    return Performance(earned, elapsed_s, used_s=used_s, **counts)


def fluid_bound(parameters: AdmissionParameters) -> float:
    """Returns an upper bound on the revenue per second of any policy.

    In the long run no more of a slice is admitted than arrives, and the services in progress fit on average. The bound
    is the best rate of admissions under these conditions alone, a linear program solved by looking at its vertices.
    """
    slices = parameters.slices
    arrivals = np.array([entry.arrivals_per_s for entry in slices])
    held = (
        np.array([entry.service_s * np.array(entry.demand) for entry in slices]).T
        / np.array(parameters.capacity)[:, None]
    )
    identity = np.eye(len(slices))
    rows = np.concatenate([held, identity, -identity])
    limits = np.concatenate([np.ones(len(held)), arrivals, np.zeros(len(slices))])
    active = np.array(list(itertools.combinations(range(len(rows)), len(slices))))
    active = active[np.abs(np.linalg.det(rows[active])) > 1e-12]
    vertices = np.linalg.solve(rows[active], limits[active][..., None])[..., 0]
    feasible = vertices[(vertices @ rows.T <= limits * (1 + 1e-9) + 1e-12).all(axis=1)]
    return float(slice_revenue(parameters, feasible, arrivals - feasible).sum(axis=1).max())


def best_reservation(
    parameters: AdmissionParameters,
    keys: np.ndarray,
    duration_s: float,
    shares: Sequence[float] = (0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3),
    num_passes: int = 2,
) -> dict[str, float]:
    """Searches the reserve of `trunk_reservation` that earns most, one slice after the other, by simulation.

    Args:
        parameters: Of the network.
        keys: `(C,)` uint64 random keys; take others for the evaluation of what is found.
        duration_s: Time to simulate for each candidate, seconds.
        shares: Candidates for the reserve of a slice.
        num_passes: Passes over the slices.

    Returns:
        Reserve by the names of slices.
    """
    best = {entry.name: 0.0 for entry in parameters.slices}
    top = simulate(trunk_reservation(parameters, best), parameters, keys, duration_s).revenue_per_s
    for _ in range(num_passes):
        before = top
        for name, share in itertools.product(list(best), shares):
            tried = best | {name: share}
            if tried == best:
                continue
            found = simulate(trunk_reservation(parameters, tried), parameters, keys, duration_s).revenue_per_s
            if found > top:
                best, top = tried, found
        if top == before:
            break
    return best
