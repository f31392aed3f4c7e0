"""Conditional distributions of bounded, zero-inflated and heavy-tailed targets: parameters, sampling and loss.

A target is at the low end of its range with a probability, else at the high end with another, else continuous. The
continuous part is a grid of quantiles on the target's own scale. The levels are Chebyshev nodes, dense in the tails:

    level_k = sin²(π (k + ½) / (2 Q)),   k = 0 … Q - 1,

so the place of a level `u` in the grid has a closed form, `acos(1 - 2 u) Q / π - ½`, and sampling needs no search.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from gentwin.models.field_scaling import TargetScale

MIN_PROBABILITY = 1e-6
MEAN_POINTS = 50


class TargetParameters(NamedTuple):
    """What heads say of the `O` targets of `N` slices; leading axes are free.

    Attributes:
        low_logits: `(..., N, O)` log odds of the atom at the low end.
        high_logits: `(..., N, O)` log odds of the atom at the high end, given that the target is not at the low one.
        location: `(..., N, O)` shift of the grid, in standardised units; the same for all members of an ensemble.
        grid: `(..., N, O, Q)` quantiles of the continuous part less the location, in standardised units, not sorted.
    """

    low_logits: Tensor
    high_logits: Tensor
    location: Tensor
    grid: Tensor

    def average(self) -> TargetParameters:
        """Returns the average over the leading axis of members, which the location does not have."""
        low, high, location, grid = self
        return TargetParameters(low.mean(dim=0), high.mean(dim=0), location, grid.mean(dim=0))

    def atom_probabilities(self) -> tuple[Tensor, Tensor]:
        """Returns the probabilities `(..., N, O)` of the low and of the high atom."""
        low = torch.sigmoid(self.low_logits)
        return low, torch.sigmoid(self.high_logits) * (1.0 - low)


def quantile_levels(num_quantiles: int, device: torch.device | None = None) -> Tensor:
    """Returns the `(Q,)` Chebyshev levels of a grid, in (0, 1)."""
    position = (torch.arange(num_quantiles, device=device) + 0.5) / num_quantiles
    return torch.sin(0.5 * math.pi * position).square()


def quantile_weights(num_quantiles: int, device: torch.device | None = None) -> Tensor:
    """Returns the `(Q,)` probability masses the grid points stand for; they sum to 1."""
    edges = torch.arange(num_quantiles + 1, device=device) / num_quantiles
    return torch.sin(0.5 * math.pi * edges).square().diff()


def sample_targets(parameters: TargetParameters, level: Tensor, scale: TargetScale) -> Tensor:
    """Returns the values `(..., N, O)` in physical units at the levels `(..., N, O)` in (0, 1).

    Interpolating an unsorted grid at uniform levels draws from its monotone rearrangement, so nothing is sorted.
    """
    low, high = parameters.atom_probabilities()
    inner = (level - low) / (1.0 - low - high).clamp(min=MIN_PROBABILITY)
    value = scale.restore(_interpolate(parameters.grid, inner) + parameters.location)
    value = torch.where(level < low, scale.minimum, value)
    return torch.where(level > 1.0 - high, scale.maximum, value)


def _interpolate(grid: Tensor, level: Tensor) -> Tensor:
    num_quantiles = grid.shape[-1]
    position = torch.acos((1.0 - 2.0 * level).clamp(-1.0, 1.0)) * (num_quantiles / math.pi) - 0.5
    position = position.clamp(0.0, num_quantiles - 1.0 - 1e-5)
    index = position.long()
    neighbours = grid.gather(-1, torch.stack((index, index + 1), dim=-1))
    return torch.lerp(neighbours[..., 0], neighbours[..., 1], position - index)


def level_bounds(parameters: TargetParameters, values: Tensor, scale: TargetScale) -> tuple[Tensor, Tensor]:
    """Returns the ends of the interval of levels at which physical `values` `(..., N, O)` are drawn, in (0, 1).

    The two agree inside the grid. At an atom they are as far apart as it is probable, beyond the grid as its last level
    is from 0 or 1. A uniform draw between them is the randomised probability integral transform.
    """
    num_quantiles = parameters.grid.shape[-1]
    grid = (parameters.grid + parameters.location.unsqueeze(-1)).sort(dim=-1).values
    value = scale.standardize(values).unsqueeze(-1)
    below = (grid < value).sum(dim=-1)
    index = (below - 1).clamp(0, num_quantiles - 2)
    left, right = grid.gather(-1, torch.stack((index, index + 1), dim=-1)).unbind(dim=-1)
    fraction = ((value[..., 0] - left) / (right - left).clamp(min=1e-9)).clamp(0.0, 1.0)
    inner = torch.sin((0.5 * math.pi / num_quantiles) * (index + fraction + 0.5)).square()
    inner_low = torch.where(below == 0, 0.0, inner)
    inner_high = torch.where(below == num_quantiles, 1.0, inner)
    low_atom, high_atom = parameters.atom_probabilities()
    low, high = (low_atom + end * (1.0 - low_atom - high_atom) for end in (inner_low, inner_high))
    low, high = (torch.where(scale.at_low_atom(values), end, level) for end, level in ((0.0, low), (low_atom, high)))
    is_high = scale.at_high_atom(values)
    low, high = torch.where(is_high, 1.0 - high_atom, low), torch.where(is_high, 1.0, high)
    return tuple(end.clamp(MIN_PROBABILITY, 1.0 - MIN_PROBABILITY) for end in (low, high))


def target_losses(parameters: TargetParameters, labels: Tensor, scale: TargetScale) -> tuple[Tensor, Tensor]:
    """Returns the quantile loss and the gate loss of each target, both `(..., N, O)`.

    The quantile loss is the continuous ranked probability score of the continuous part (twice the pinball loss
    integrated over levels) in units of the spread of the scale, 0 for labels at an atom. The gate loss is the negative
    log probability of the label's component in nats.

    Args:
        parameters: Leading axes broadcast against those of the labels.
        labels: `(..., N, O)` in physical units.
        scale: Scale of the targets.
    """
    num_quantiles = parameters.grid.shape[-1]
    levels = quantile_levels(num_quantiles, labels.device)
    weights = 2.0 * quantile_weights(num_quantiles, labels.device)
    continuous = scale.is_continuous(labels)
    value = torch.where(continuous, scale.standardize(labels), 0.0)
    error = (value - parameters.location).unsqueeze(-1) - parameters.grid
    # max(τ e, (τ - 1) e) = τ e + relu(-e), summed over the grid with the masses as weights.
    pinball = error @ (weights * levels) + torch.relu(-error) @ weights
    quantile_loss = torch.where(continuous, pinball / scale.spread, 0.0)
    is_low, is_high = scale.at_low_atom(labels), scale.at_high_atom(labels)
    low, high = parameters.low_logits, parameters.high_logits
    low_loss = softplus(low) - torch.where(is_low, low, 0.0)
    high_loss = softplus(high) - torch.where(is_high, high, 0.0)
    return quantile_loss, low_loss + torch.where(is_low, 0.0, high_loss)


class TargetDistribution:
    """Joint distribution of all `O` targets of all `N` slices of `B` copies.

    It is the average of the ensemble: quantiles and log odds of atoms are averaged over members.

    Args:
        parts: For each group of targets, in order, the parameters of all members with the leading axes `(M, B)` and
            their scale.
        mixing: `(N * O, N * O)` lower triangular matrix that turns independent into joint normal scores.
        offset: `(N * O,)` mean of the normal scores.
    """

    def __init__(self, parts: tuple[tuple[TargetParameters, TargetScale], ...], mixing: Tensor, offset: Tensor) -> None:
        self._members = parts
        self._average = [(parameters.average(), scale) for parameters, scale in parts]
        shape = (self._average[0][0].location.shape[-2], sum(p.location.shape[-1] for p, _ in self._average))
        self._mixing, self._offset, self._shape = mixing, offset, shape
        self._deviation = mixing.square().sum(dim=-1).sqrt()

    def sample(self, noise: Tensor) -> Tensor:
        """Returns targets `(B, N, O)` in physical units from standard normal `noise` `(B, N, O)`."""
        score = self._offset + noise.flatten(1) @ self._mixing.T
        return self._at(torch.special.ndtr(score).unflatten(1, self._shape))

    def quantile(self, levels: Tensor | list[float]) -> Tensor:
        """Returns the quantiles `(len(levels), B, N, O)` in physical units at `levels` in (0, 1), in their order."""
        levels = torch.as_tensor(levels, dtype=self._offset.dtype, device=self._offset.device)
        if not bool(((levels > 0) & (levels < 1)).all()):
            raise ValueError(f"`levels` must lie strictly between 0 and 1, got {levels.tolist()}.")
        score = self._offset + self._deviation * torch.special.ndtri(levels).unsqueeze(-1)
        return self._at(torch.special.ndtr(score).unflatten(1, self._shape).unsqueeze(1), is_sorted=True)

    def mean(self) -> Tensor:
        """Returns the expected values `(B, N, O)` in physical units."""
        levels = (torch.arange(MEAN_POINTS, device=self._offset.device) + 0.5) / MEAN_POINTS
        return self.quantile(levels).mean(dim=0)

    def uncertainty(self) -> Tensor:
        """Returns the disagreement `(B, N, O)` of the members: the standard deviation of their means.

        Means are taken on the target's scale and measured in standard deviations of the target in training. It is small
        where data told the members the same, whatever the noise of the target itself, and 0 for a single member.
        """
        return torch.cat([_member_means(*part).std(dim=0, correction=0) for part in self._members], dim=-1)

    def _at(self, level: Tensor, is_sorted: bool = False) -> Tensor:
        values, start = [], 0
        for parameters, scale in self._average:
            shape = torch.broadcast_shapes((*level.shape[:-1], 1), parameters.location.shape)
            part = level.expand(*shape[:-1], -1)[..., start : start + shape[-1]]
            start += shape[-1]
            grid = parameters.grid.sort(dim=-1).values if is_sorted else parameters.grid
            parameters = parameters._replace(grid=grid.expand(*shape, -1))
            values.append(sample_targets(parameters, part, scale))
        return torch.cat(values, dim=-1)


def _member_means(parameters: TargetParameters, scale: TargetScale) -> Tensor:
    """Returns the means `(M, B, N, O)` of the members, in standardised units."""
    weights = quantile_weights(parameters.grid.shape[-1], parameters.grid.device)
    low, high = parameters.atom_probabilities()
    mean = (parameters.grid @ weights + parameters.location) * (1.0 - low - high)
    mean = mean + low * torch.where(scale.has_low, scale.standardize(scale.low), 0.0)
    return mean + high * torch.where(scale.has_high, scale.standardize(scale.high), 0.0)
