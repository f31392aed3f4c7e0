"""Heads of Q-networks: from hidden features to the values of actions."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


def dense(sizes: list[int]) -> nn.Sequential:
    """Returns linear layers of these widths, each followed by a ReLU."""
    layers = [part for pair in itertools.pairwise(sizes) for part in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers)


class ValueHead(nn.Module, ABC):
    """What makes values of actions of features."""

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """Maps features `(B, D)` to values `(B, A)`."""

    @abstractmethod
    def backward(self, features: Tensor, actions: Tensor, slopes: Tensor, gradients: list[Tensor]) -> Tensor:
        """Computes gradients of the sum of `slopes` times the values of `actions`.

        Autograd gives the same; for networks as small as these it takes longer than the arithmetic.

        Args:
            features: `(B, D)`.
            actions: `(B,)` int64.
            slopes: `(B,)`.
            gradients: Filled in: one for each parameter, in order.

        Returns:
            The gradient of the features, `(B, D)`.
        """


class PlainHead(ValueHead):
    """One output per action."""

    def __init__(self, input_size: int, num_actions: int) -> None:
        super().__init__()
        self.values = nn.Linear(input_size, num_actions)

    def forward(self, features: Tensor) -> Tensor:
        return self.values(features)

    def backward(self, features: Tensor, actions: Tensor, slopes: Tensor, gradients: list[Tensor]) -> Tensor:
        _choice_gradients(features, actions, slopes, *gradients)
        return self.values.weight.index_select(0, actions).mul_(slopes[:, None])


class DuelingHead(ValueHead):
    """A value of the state and an advantage of each action, centred.

    Source: Wang et al., "Dueling network architectures for deep reinforcement learning" (ICML 2016), equation 9.
    """

    def __init__(self, input_size: int, num_actions: int) -> None:
        super().__init__()
        self.value = nn.Linear(input_size, 1)
        self.advantage = nn.Linear(input_size, num_actions)

    def forward(self, features: Tensor) -> Tensor:
        advantage = self.advantage(features)
        return self.value(features) + advantage - advantage.mean(dim=1, keepdim=True)

    def backward(self, features: Tensor, actions: Tensor, slopes: Tensor, gradients: list[Tensor]) -> Tensor:
        of_value, of_advantage = gradients[:2], gradients[2:]
        _linear_gradients(features, slopes[:, None], *of_value)
        _choice_gradients(features, actions, slopes, *of_advantage)
        for common, gradient in zip(of_value, of_advantage, strict=True):
            gradient.sub_(common, alpha=1 / len(gradient))
        weight = self.advantage.weight
        rows = weight.index_select(0, actions).add_(self.value.weight - weight.mean(dim=0))
        return rows.mul_(slopes[:, None])


class FactorisedHead(ValueHead):
    """A sum over slices of piecewise linear functions of the logarithm of each slice's bandwidth.

    What is learned about an allocation holds for all that share a slice's bandwidth, and in part for the bandwidths
    beside it. Slices whose users do not share anything but the band have exactly such values, if what follows depends
    on them one by one; the network mixes all slices' features, so coefficients may depend on every slice's state.

    Args:
        input_size: Width of the features.
        num_slices: Number of slices.
        num_units: Units of the band; a slice gets 1 … `num_units - num_slices + 1` of them.
        num_knots: Largest number of knots, evenly spaced in the logarithm.
    """

    def __init__(self, input_size: int, num_slices: int, num_units: int, num_knots: int) -> None:
        super().__init__()
        self.num_slices, self.num_units = num_slices, num_units
        most = num_units - num_slices + 1
        self.num_knots = max(1, min(num_knots, most))
        self.value = nn.Linear(input_size, 1)
        self.coefficients = nn.Linear(input_size, num_slices * self.num_knots)
        num_actions = math.comb(num_units - 1, num_slices - 1)
        self.register_buffer("basis", torch.empty(num_slices * self.num_knots, num_actions), persistent=False)

    def reset_parameters(self) -> None:
        """Fills in the weight of every knot in every action."""
        device = self.basis.device
        levels = unit_grid(self.num_slices, self.num_units).to(device)
        most = self.num_units - self.num_slices + 1
        position = torch.log(levels.double()) / max(math.log(most), 1e-9) * (self.num_knots - 1)
        knots = torch.arange(self.num_knots, device=device)
        weights = (1 - (position[..., None] - knots).abs()).clamp(min=0)
        self.basis.copy_(weights.flatten(1).T)

    def forward(self, features: Tensor) -> Tensor:
        return self.value(features) + self.coefficients(features) @ self.basis

    def backward(self, features: Tensor, actions: Tensor, slopes: Tensor, gradients: list[Tensor]) -> Tensor:
        of_coefficients = self.basis.index_select(1, actions).mul_(slopes).t()
        _linear_gradients(features, slopes[:, None], *gradients[:2])
        _linear_gradients(features, of_coefficients, *gradients[2:])
        return torch.addmm(slopes[:, None] * self.value.weight, of_coefficients, self.coefficients.weight)


def _linear_gradients(inputs: Tensor, slopes: Tensor, of_weight: Tensor, of_bias: Tensor) -> None:
    torch.mm(slopes.t(), inputs, out=of_weight)
    torch.sum(slopes, dim=0, out=of_bias)


def _choice_gradients(features: Tensor, actions: Tensor, slopes: Tensor, of_weight: Tensor, of_bias: Tensor) -> None:
    of_weight.zero_().index_add_(0, actions, features * slopes[:, None])
    of_bias.zero_().index_add_(0, actions, slopes)


def trunk_forward(trunk: nn.Sequential, features: Tensor) -> list[Tensor]:
    """Returns features `(B, D)` and the outputs of all layers of `dense`, in order."""
    activations = [features]
    for layer in list(trunk)[::2]:
        activations.append(nn.functional.linear(activations[-1], layer.weight, layer.bias).relu_())
    return activations


def trunk_backward(trunk: nn.Sequential, activations: list[Tensor], slopes: Tensor, gradients: list[Tensor]) -> None:
    """Computes gradients of the layers of `dense`.

    Args:
        trunk: Linear layers, each followed by a ReLU.
        activations: As `trunk_forward` returns them.
        slopes: Gradient of the last outputs.
        gradients: Filled in: one for each parameter, in order.
    """
    for index in reversed(range(len(activations) - 1)):
        slopes = torch.ops.aten.threshold_backward(slopes, activations[index + 1], 0)
        _linear_gradients(activations[index], slopes, *gradients[2 * index : 2 * index + 2])
        if index:
            slopes = slopes @ trunk[2 * index].weight


def unit_grid(num_slices: int, num_units: int) -> Tensor:
    """Returns all divisions of `num_units` into `num_slices` positive parts, `(A, N)` int64, in lexicographic order."""
    bars = torch.tensor(list(itertools.combinations(range(1, num_units), num_slices - 1)), dtype=torch.int64)
    ends = torch.tensor([[0, num_units]]).expand(len(bars), 2)
    edges = torch.cat((ends[:, :1], bars.reshape(len(ends), -1), ends[:, 1:]), dim=1)
    return edges.diff(dim=1)


class ParticleGenerator(nn.Module):
    """Samples of returns: state and noise are embedded, multiplied, and split into a value and advantages.

    Source: Hua et al., "GAN-powered deep distributional reinforcement learning for resource management in network
    slicing" (IEEE JSAC 38(2), 2020), section IV-C; widths as the caller's.
    """

    def __init__(
        self, input_size: int, sizes: list[int], num_actions: int, num_particles: int, noise_size: int
    ) -> None:
        super().__init__()
        self.state = dense([input_size, sizes[0]])
        self.noise = dense([noise_size, sizes[0]])
        self.common = dense(sizes[:2])
        self.value = nn.Sequential(dense(sizes[1:]), nn.Linear(sizes[-1], num_particles))
        self.advantage = nn.Sequential(dense(sizes[1:]), nn.Linear(sizes[-1], num_actions))

    def forward(self, features: Tensor, noise: Tensor) -> Tensor:
        """Maps features `(B, F)` and uniform noise `(B, noise_size)` to particles `(B, A, K)`."""
        common = self.common(self.state(features) * self.noise(noise))
        advantage = self.advantage(common)
        advantage = advantage - advantage.mean(dim=1, keepdim=True)
        return self.value(common)[:, None] + advantage[..., None]
