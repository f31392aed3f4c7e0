"""Networks of the policy twin: features of a state, classifiers over actions, generators and their critic."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gentwin.models.policy.state_space import FREE, QUEUED, REQUESTING, WAIT, StateSpace

SMALLEST_DEVIATION = 1e-6
SLOPE = 0.2  # of the critic's units below 0


def dense(sizes: Sequence[int], activation: type[nn.Module] = nn.ReLU, **options: float) -> nn.Sequential:
    """Returns hidden layers of these widths, the input's first."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after), activation(**options)]
    return nn.Sequential(*layers)


def _weights(layers: Sequence[Sequence[nn.Module]]) -> list[list[nn.Parameter]]:
    return [[weight for module in layer for weight in module.parameters()] for layer in layers]


class StateEncoder(nn.Module):
    """Turns states and masks into standardised features, with statistics that all slices share.

    Args:
        num_slices: Number of slices `K`.
        num_resources: Number of resources `R`.
        clip: Standardised values are limited to plus or minus this.
    """

    num_own = 4  # features of a slice: queue, wait, request, mask

    def __init__(self, num_slices: int, num_resources: int, clip: float) -> None:
        super().__init__()
        self.clip, self.num_slices, self.num_resources = clip, num_slices, num_resources
        self.register_buffer("mean", torch.zeros(2 + num_resources))
        self.register_buffer("scale", torch.ones(2 + num_resources))
        self.reset_parameters()

    @property
    def num_flat(self) -> int:
        """Number of features of a whole state."""
        return self.num_own * self.num_slices + self.num_resources

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Fills in neutral statistics."""
        self.mean.zero_()
        self.scale.fill_(1.0)

    def _numbers(self, states: Tensor) -> Tensor:
        own = torch.stack((torch.log1p(states[..., QUEUED].clamp(min=0.0)), states[..., WAIT]), dim=-1)
        return torch.cat((own, states[..., FREE:]), dim=-1)

    @torch.no_grad()
    def fit(self, states: Tensor) -> None:
        """Sets the statistics from states `(B, K, S)`."""
        numbers = self._numbers(states).flatten(0, 1).double()
        deviation = numbers.std(dim=0, correction=0)
        self.mean.copy_(numbers.mean(dim=0))
        self.scale.copy_(torch.where(deviation > SMALLEST_DEVIATION, deviation, 1.0))

    def forward(self, states: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Maps states and masks to features of slices `(B, K, 4)` and of resources `(B, R)`."""
        numbers = ((self._numbers(states) - self.mean) / self.scale).clamp(-self.clip, self.clip)
        rest = torch.stack((states[..., REQUESTING], masks[:, :-1].to(states.dtype)), dim=-1)
        return torch.cat((numbers[..., :2], rest), dim=-1), numbers[:, 0, 2:]

    def flat(self, states: Tensor, masks: Tensor) -> Tensor:
        """Maps states and masks to features of whole states, `(B, num_flat)`."""
        own, free = self(states, masks)
        return torch.cat((own.flatten(1), free), dim=1)


class SharedClassifier(nn.Module):
    """Scores every slice with one network, and none with another.

    Args:
        encoder: Of the features.
        sizes: Widths of the hidden layers.
    """

    def __init__(self, encoder: StateEncoder, sizes: Sequence[int]) -> None:
        super().__init__()
        inputs = encoder.num_own + encoder.num_slices + encoder.num_resources
        self.register_buffer("identity", torch.zeros(encoder.num_slices, encoder.num_slices), persistent=False)
        self.slice_layers = dense([inputs, sizes[0]])
        self.score_layers = dense([2 * sizes[0], *sizes[1:], sizes[-1]])
        self.score = nn.Linear(sizes[-1], 1)
        self.direct = nn.Linear(inputs, 1, bias=False)
        self.none_layers = dense([sizes[0], sizes[-1]])
        self.none_score = nn.Linear(sizes[-1], 1)
        self.reset_parameters()

    def weight_layers(self) -> list[list[nn.Parameter]]:
        """Returns the weights of the layers, lowest first; that of the action none is beside the last hidden one."""
        hidden = [[module] for module in (*self.slice_layers, *self.score_layers) if isinstance(module, nn.Linear)]
        hidden[-1].append(self.none_layers)
        return _weights([*hidden, [self.score, self.direct, self.none_score]])

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Fills in the constants; layers reset themselves."""
        self.identity.copy_(torch.eye(len(self.identity)))

    def forward(self, own: Tensor, free: Tensor) -> Tensor:
        """Maps features `(B, K, 4)` and `(B, R)` to logits `(B, K + 1)`."""
        count, slices = own.shape[:2]
        identity = self.identity.expand(count, -1, -1)
        inputs = torch.cat((own, identity, free.unsqueeze(1).expand(-1, slices, -1)), dim=-1)
        hidden = self.slice_layers(inputs)
        pooled = hidden.mean(dim=1)
        both = torch.cat((hidden, pooled.unsqueeze(1).expand_as(hidden)), dim=-1)
        scores = (self.score(self.score_layers(both)) + self.direct(inputs)).squeeze(-1)
        return torch.cat((scores, self.none_score(self.none_layers(pooled))), dim=1)


class JointClassifier(nn.Module):
    """A dense network from everything to all logits, as in the article; arguments as in `SharedClassifier`."""

    def __init__(self, encoder: StateEncoder, sizes: Sequence[int]) -> None:
        super().__init__()
        self.layers = dense([encoder.num_flat, *sizes])
        self.output = nn.Linear(sizes[-1], encoder.num_slices + 1)

    def weight_layers(self) -> list[list[nn.Parameter]]:
        """Returns the weights of the layers, lowest first."""
        return _weights([[module] for module in (*self.layers, self.output) if isinstance(module, nn.Linear)])

    def forward(self, own: Tensor, free: Tensor) -> Tensor:
        """Maps features `(B, K, 4)` and `(B, R)` to logits `(B, K + 1)`."""
        return self.output(self.layers(torch.cat((own.flatten(1), free), dim=1)))


class ActionGenerator(nn.Module):
    """Gives states their actions: the generator of the article.

    Args:
        encoder: Of the features.
        sizes: Widths of the hidden layers.
        noise_size: Width of the noise.
    """

    def __init__(self, encoder: StateEncoder, sizes: Sequence[int], noise_size: int) -> None:
        super().__init__()
        self.layers = dense([encoder.num_flat + noise_size, *sizes])
        self.output = nn.Linear(sizes[-1], encoder.num_slices + 1)

    def forward(self, features: Tensor, noise: Tensor) -> Tensor:
        """Maps features of whole states `(B, num_flat)` and noise to logits `(B, K + 1)`."""
        return self.output(self.layers(torch.cat((features, noise), dim=1)))


class DecisionGenerator(nn.Module):
    """Makes states in which an action is taken: a conditional tabular generator.

    Args:
        encoder: Of the features.
        sizes: Widths of the hidden layers.
        noise_size: Width of the noise.
    """

    def __init__(self, encoder: StateEncoder, sizes: Sequence[int], noise_size: int) -> None:
        super().__init__()
        self.num_slices = slices = encoder.num_slices
        self.parts = [slices, slices, slices, slices + 1, encoder.num_resources]
        self.layers = dense([slices + 1 + noise_size, *sizes])
        self.output = nn.Linear(sizes[-1], sum(self.parts))

    def forward(
        self, actions: Tensor, noise: Tensor, space: StateSpace, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        """Draws states `(B, K, S)` for one-hot actions `(B, K + 1)`; gradients pass through what is discrete.

        Args:
            actions: One-hot actions.
            noise: `(B, noise_size)` standard normals.
            space: Ranges of the numbers.
            temperature: Of the Gumbel-softmax.
            generator: Source of randomness.
        """
        parts = self.output(self.layers(torch.cat((actions, noise), dim=1))).split(self.parts, dim=1)
        gate, length, wait, request, free = parts
        both = torch.stack((gate, torch.zeros_like(gate)), dim=-1)
        waiting = gumbel_one_hot(both, temperature, generator)[..., 0].maximum(actions[:, :-1])
        queued = torch.exp(length.sigmoid() * space.longest[:, 0].log())
        queued = queued + (queued.round() - queued).detach()
        arrived = gumbel_one_hot(request, temperature, generator)[:, :-1]
        own = torch.stack((waiting * queued, waiting * wait.sigmoid() * space.longest[:, 1], arrived), dim=-1)
        return torch.cat((own, free.sigmoid().unsqueeze(1).expand(-1, self.num_slices, -1)), dim=-1)


class Critic(nn.Module):
    """Scores pairs of a state and an action: higher for recorded ones.

    Args:
        encoder: Of the features.
        sizes: Widths of the hidden layers.
    """

    def __init__(self, encoder: StateEncoder, sizes: Sequence[int]) -> None:
        super().__init__()
        self.layers = dense([encoder.num_flat + encoder.num_slices + 1, *sizes], nn.LeakyReLU, negative_slope=SLOPE)
        self.output = nn.Linear(sizes[-1], 1)

    def forward(self, pairs: Tensor) -> Tensor:
        """Maps features and one-hot actions `(B, num_flat + K + 1)` to scores `(B,)`."""
        return self.output(self.layers(pairs)).squeeze(1)


def gumbel_one_hot(logits: Tensor, temperature: float, generator: torch.Generator | None = None) -> Tensor:
    """Draws one-hot vectors over the last axis, with the gradient of the Gumbel-softmax.

    Args:
        logits: `(..., A)`; minus infinity is never drawn.
        temperature: Of the softmax, above 0.
        generator: Source of randomness; torch's own by default.
    """
    uniform = torch.rand(logits.shape, generator=generator, device=logits.device, dtype=logits.dtype)
    noise = -torch.log(-torch.log(uniform.clamp(min=1e-20)))
    soft = torch.softmax((logits + noise) / temperature, dim=-1)
    hard = torch.zeros_like(soft).scatter(-1, soft.argmax(dim=-1, keepdim=True), 1.0)
    return hard + soft - soft.detach()
