"""Tiny policy twins and decisions of a greedy policy, without a network."""

from __future__ import annotations

import torch
from torch import Tensor

from gentwin.models.policy import PolicyTwinConfig, PolicyTwinModel
from gentwin.models.policy.state_space import WAIT, StateSpace
from gentwin.schema import Field, TransitionSchema

CAPACITY = {"radio": 8, "computing": 6}
DEMAND = {"video": [4, 1], "urllc": [1, 3], "iot": [1, 1]}
SCHEMA = TransitionSchema(
    slices=tuple(DEMAND),
    state=(
        Field("queued", "requests", 0, 9, atoms=(0,)),
        Field("oldest_wait_s", "s", 0, 40, atoms=(0,)),
        Field("requesting", "1", 0, 1, atoms=(0, 1)),
        *(Field(f"free_{name}", "1", 0, 1, atoms=(0, 1)) for name in CAPACITY),
    ),
    action=(Field("admitted", "requests", 0, 1, atoms=(0, 1)),),
)
SIZES = {"hidden_sizes": [8, 8], "generator_sizes": [8], "critic_sizes": [8], "noise_size": 3}


def make_config(**fields) -> PolicyTwinConfig:
    return PolicyTwinConfig(**{"schema": SCHEMA.to_dict(), "capacity": CAPACITY, "demand": DEMAND, **SIZES, **fields})


def greedy(states: Tensor, masks: Tensor) -> Tensor:
    """The slice that has waited longest of those allowed; none if there is no other."""
    waits = torch.where(masks[:, :-1], states[:, :, WAIT], -1.0)
    return torch.where(masks[:, :-1].any(dim=1), waits.argmax(dim=1), masks.shape[1] - 1)


def make_decisions(count: int, seed: int = 0) -> dict[str, Tensor]:
    """Returns states of the state space, masks, and labels of the greedy policy."""
    space = StateSpace(list(CAPACITY.values()), list(DEMAND.values()), 0.0)
    space.longest.copy_(torch.tensor([[8.0, 30.0], [4.0, 10.0], [8.0, 20.0]]))
    states = space.sample(count, torch.Generator().manual_seed(seed))
    masks = space.masks(states)
    return {"states": states, "masks": masks, "labels": greedy(states, masks)}


def make_twin(seed: int = 0, count: int = 64, **fields) -> PolicyTwinModel:
    """Returns an untrained twin with statistics."""
    torch.manual_seed(seed)
    twin = PolicyTwinModel(make_config(**fields))
    twin.fit_normalization(**make_decisions(count))
    return twin.eval()
