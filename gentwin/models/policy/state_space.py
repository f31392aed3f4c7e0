"""The states that admission control can be in, and what may be admitted in them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

QUEUED, WAIT, REQUESTING, FREE = 0, 1, 2, 3  # state fields; the free shares are the last ones
MAX_DRAWS = 100
TOLERANCE = 1e-4  # of a free share: in float32 it is not quite a number of units over the capacity


class StateSpace(nn.Module):
    """All states of a network of known capacity and demand, up to the longest queues and waits on record.

    Args:
        capacity: Units of the `R` resources.
        demand: Units of each resource that a service of each of the `K` slices holds.
        margin: By which share queues and waits may be longer than on record.

    Attributes:
        longest: Persistent buffer `(K, 2)`: the longest queue and wait of each slice, margin included, at least 1.
    """

    def __init__(self, capacity: list[int], demand: list[list[int]], margin: float) -> None:
        super().__init__()
        self.margin, self.units, self.needs = margin, [float(u) for u in capacity], demand
        self.num_slices, self.num_resources = len(demand), len(capacity)
        self.register_buffer("longest", torch.ones(self.num_slices, 2))
        self.register_buffer("capacity", torch.zeros(self.num_resources), persistent=False)
        self.register_buffer("demand", torch.zeros(self.num_slices, self.num_resources), persistent=False)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Fills in the constants, and neutral ranges."""
        self.longest.fill_(1.0)
        self.capacity.copy_(torch.tensor(self.units))
        self.demand.copy_(torch.tensor(self.needs, dtype=torch.float32))

    @torch.no_grad()
    def fit(self, states: Tensor) -> None:
        """Sets the longest queues and waits from recorded states `(B, K, S)`."""
        longest = states[:, :, (QUEUED, WAIT)].amax(dim=0)
        self.longest.copy_((longest * (1 + self.margin)).clamp(min=1.0))

    def masks(self, states: Tensor) -> Tensor:
        """Returns which actions are allowed in states `(B, K, S)`: `(B, K + 1)` bool, none always."""
        free = (states[:, 0, FREE:] + TOLERANCE) * self.capacity
        fits = (self.demand <= free.unsqueeze(1)).all(dim=-1) & (states[:, :, QUEUED] > 0)
        return torch.cat((fits, torch.ones_like(fits[:, :1])), dim=1)

    @torch.no_grad()
    def sample(self, num_states: int, generator: torch.Generator | None = None) -> Tensor:
        """Draws states in which something may be admitted.

        Args:
            num_states: How many.
            generator: Source of randomness on the device of the twin; torch's own by default.

        Returns:
            `(num_states, K, S)` in physical units.
        """
        parts, missing = [], num_states
        for _ in range(MAX_DRAWS):
            states = self._draw(2 * missing + 16, generator)
            states = states[self.masks(states)[:, :-1].any(dim=1)][:missing]
            parts.append(states)
            missing -= len(states)
            if not missing:
                return torch.cat(parts)
        raise RuntimeError("`demand` leaves hardly any state in which something may be admitted; check `capacity`.")

    def _draw(self, count: int, generator: torch.Generator | None) -> Tensor:
        device, slices = self.capacity.device, self.num_slices

        def uniform(*shape: int) -> Tensor:
            return torch.rand(shape, generator=generator, device=device)

        chance = uniform(count, slices)
        waiting = uniform(count, slices) < 0.5
        requesting = torch.randint(slices + 1, (count,), generator=generator, device=device)
        arrived = torch.nn.functional.one_hot(requesting, slices + 1)[:, :slices].bool()
        waiting = waiting | arrived
        queued = waiting * torch.exp(chance * self.longest[:, 0].log()).round().clamp(min=1.0)
        # Who has just come to an empty queue has not waited.
        wait = waiting * ~(arrived & (queued == 1)) * uniform(count, slices) * self.longest[:, 1]
        free = self._free(uniform(count, slices), uniform(count, slices).argsort(dim=1)) / self.capacity
        own = torch.stack((queued, wait, arrived.float()), dim=-1)
        return torch.cat((own, free.unsqueeze(1).expand(-1, slices, -1)), dim=-1)

    def _free(self, chance: Tensor, order: Tensor) -> Tensor:
        """Returns free units `(B, R)` beside services drawn slice by slice, as many as fit or fewer."""
        free = self.capacity.expand(len(chance), -1)
        for place in range(self.num_slices):
            which = order[:, place]
            need = self.demand[which]
            most = torch.where(need > 0, free / need.clamp(min=1.0), math.inf).amin(dim=1).floor()
            number = (chance.gather(1, which[:, None]).squeeze(1) * (most + 1)).floor().minimum(most)
            free = free - number[:, None] * need
        return free

    @torch.no_grad()
    def project(self, states: Tensor) -> Tensor:
        """Returns the nearest states that can be: whole requests and units, no waiting where nobody waits, one request.

        Args:
            states: `(B, K, S)`.
        """
        queued = states[..., QUEUED].clamp(min=0.0).round()
        wait = torch.where(queued > 0, states[..., WAIT].clamp(min=0.0), 0.0)
        strongest = states[..., REQUESTING].argmax(dim=1, keepdim=True)
        requesting = torch.zeros_like(queued).scatter(1, strongest, 1.0)
        requesting = requesting * (states[..., REQUESTING] > 0.5)
        free = (states[:, :1, FREE:].clamp(0.0, 1.0) * self.capacity).round() / self.capacity
        own = torch.stack((queued, wait, requesting), dim=-1)
        return torch.cat((own, free.expand(-1, states.shape[1], -1)), dim=-1)
