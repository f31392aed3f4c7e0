"""Policy twins as the policy of a core: whom a twin admits, a core admits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from typing import Any

import numpy as np
import torch

from gentwin.hub import CheckpointError
from gentwin.models.auto import from_pretrained
from gentwin.models.policy import PolicyTwinModel
from gentwin.models.policy.configuration_policy import FREE
from gentwin.signaling.core.admission import AdmissionConfiguration, AdmissionPolicy, Resource, Tenant, policy_of
from gentwin.signaling.core.configuration import HRLLC, IMMERSIVE, MASSIVE, UBIQUITOUS, NetworkConfiguration, Slice
from gentwin.signaling.core.policy import Policy

EXAMPLE = "gentwin/policy-admission-greedy"
SLICES: Mapping[str, Slice] = {
    "immersive": IMMERSIVE,
    "hrllc": HRLLC,
    "massive": MASSIVE,
    "ubiquitous": UBIQUITOUS,
}
"""Slices of a network that are known by name where nothing else is said."""
IN_SERVICE = 3  # field of a state that policy twins do not see


def load_policy(
    policy: Policy | PolicyTwinModel | str | PathLike[str] | None,
    network: NetworkConfiguration,
    admission: AdmissionConfiguration | None = None,
    limits: Policy | None = None,
) -> Policy | None:
    """Returns the policy of a core.

    Args:
        policy: A policy twin, or its name: `gentwin/<name>`, a folder, or a Hub name. A `Policy` is returned as it is.
            None for the greedy policy where there is `admission`.
        network: Of the core.
        admission: Which slices of the network the twin admits to, their queues, and how rejections back off; where the
            twin knows them by names of IMT-2030 scenarios, slices 1-000101 to 1-000104 if not given.
        limits: Decides on all that is no session of these slices; everything is admitted if not given.

    Raises:
        CheckpointError: If it is no policy twin, is damaged, or admits other slices by other resources.
        SignalingError: If the network does not have the slices.
        ValueError: If a `Policy` is given along with `admission` or `limits`, which it would not heed.
    """
    if isinstance(policy, Policy):
        given = [name for name, value in (("admission", admission), ("limits", limits)) if value is not None]
        if given:
            names = ", ".join(f"`{name}`" for name in given)
            raise ValueError(f"{names} must be left out beside a `Policy` object, which decides alone, got both.")
        return policy
    admission = admission if admission is not None and admission.slices else None
    if policy is not None:
        twin = _twin(policy)
        return AdmissionPolicy(fitted(twin, network, admission), TwinDecider(twin), limits)
    if admission is not None:
        admission.require_slices(network.slices)
    return policy_of(admission, limits)


def _twin(policy: PolicyTwinModel | str | PathLike[str]) -> PolicyTwinModel:
    """Returns a policy twin by its name, or as it is."""
    twin = from_pretrained(str(policy)) if isinstance(policy, str | PathLike) else policy
    if not isinstance(twin, PolicyTwinModel):
        kind = getattr(getattr(twin, "config", None), "model_type", type(twin).__name__)
        where = f" in {str(policy)!r}" if isinstance(policy, str | PathLike) else ""
        raise CheckpointError(f"`policy` must be a policy twin, such as {EXAMPLE}, got {kind!r}{where}.")
    twin.require_fitted()
    return twin


class TwinDecider:
    """Lets a policy twin decide; see [`Decider`][gentwin.signaling.core.admission.Decider].

    Args:
        twin: Whose slices and resources are those of the states, in their order.
    """

    def __init__(self, twin: PolicyTwinModel) -> None:
        self._twin = twin.eval()

    def __call__(self, states: np.ndarray) -> np.ndarray:
        seen = np.delete(states, IN_SERVICE, axis=2)
        known = torch.as_tensor(seen, dtype=torch.float32, device=self._twin.device)
        return self._twin.decide(known).actions.cpu().numpy()


def fitted(
    twin: PolicyTwinModel, network: NetworkConfiguration, admission: AdmissionConfiguration | None = None
) -> AdmissionConfiguration:
    """Returns the admission that a policy twin decides on, slices and resources in the order of the twin.

    Args:
        twin: Whose configuration has slices, demand and capacity.
        network: Of the core.
        admission: What of the network they are; if not given, slices are found by their names, and a request waits as
            long as the longest wait in the decisions that the twin learnt.

    Raises:
        CheckpointError: If slices, demand or capacity are others.
        SignalingError: If the network has no such slices.
    """
    config = twin.config
    names = [field.name.removeprefix(FREE) for field in config.policy_schema.state if field.name.startswith(FREE)]
    resources = tuple(Resource(name, config.capacity[name]) for name in names)
    demand = {name: dict(zip(names, config.demand[name], strict=True)) for name in config.policy_schema.slices}
    if admission is None:
        waits = (twin.space.longest[:, 1] / (1 + config.range_margin)).tolist()
        tenants = tuple(
            Tenant(_slice_named(name), name, tuple(needs.values()), patience)
            for (name, needs), patience in zip(demand.items(), waits, strict=True)
        )
        admission = AdmissionConfiguration(resources, tenants)
    given = [known.name for known in admission.resources]
    _require_same("resources", config.capacity, {known.name: known.capacity for known in admission.resources})
    _require_same("slices", sorted(demand), sorted(known.name for known in admission.slices))
    tenants = {known.name: known for known in admission.slices}
    for name, needs in demand.items():
        _require_same(f"slices.{name}.demand", needs, dict(zip(given, tenants[name].demand, strict=True)))
    admission.require_slices(network.slices)
    ordered = tuple(replace(tenants[name], demand=tuple(needs.values())) for name, needs in demand.items())
    return replace(admission, resources=resources, slices=ordered)


def _slice_named(name: str) -> Slice:
    if name not in SLICES:
        raise CheckpointError(
            f"`admission` must say which slice of the network {name!r} of the policy twin is, got nothing; only "
            f"{', '.join(SLICES)} are known by name."
        )
    return SLICES[name]


def _require_same(field: str, wanted: Any, given: Any) -> None:
    if wanted != given:
        raise CheckpointError(
            f"`admission.{field}` must be as the policy twin has it, {wanted}, got {given}; correct it, or train a "
            "policy twin on decisions of this network."
        )
