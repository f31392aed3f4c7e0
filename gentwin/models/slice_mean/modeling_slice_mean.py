"""Twin of slice dynamics that predicts means: an LSTM for the next state, a dense network for the outcome."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gentwin.models.field_scaling import TargetScale
from gentwin.models.modeling_dynamics import DynamicsOutput, DynamicsTwin, State
from gentwin.models.slice_mean.configuration_slice_mean import SliceMeanTwinConfig
from gentwin.models.target_distribution import TargetDistribution, TargetParameters
from gentwin.schema import Field


@dataclass
class SliceMeanOutput(DynamicsOutput):
    """Loss of a twin that predicts means and its parts.

    Attributes:
        loss: `()`, mean over real steps, slices and targets of the squared error.
        squared_error: `(O,)`, that of every target, in variances of the target in training.
    """

    squared_error: Tensor | None = None


class SliceMeanTwinModel(DynamicsTwin):
    """The twin of Zhang et al.: point predictions, learned with squared errors.

    The next state comes from an LSTM that sees states and actions of all slices, the outcome from a dense network that
    sees those of the present step alone. Targets are standardised linearly, which weighs them but leaves the best
    prediction of each what it is in equation 7: its mean. Whatever is random in the network is missing from its
    roll-outs, so a state or a reward that is not linear in what varies comes out wrong; it is here to compare with.

    Noise and member of a step play no part. The memory of a copy is the pair of LSTM vectors `(B, hidden_size)`.

    Source: Zhang et al., "Digital Twin-Enhanced Deep Reinforcement Learning for Resource Management in Networks
    Slicing", equations 7 and 9. Deviations: the dense network predicts the parts of the reward, from which the
    environment composes it, and predictions are kept in the range seen in training.
    """

    config_class = SliceMeanTwinConfig

    def __init__(self, config: SliceMeanTwinConfig) -> None:
        super().__init__(config)
        schema, num_inputs = self.transition_schema, self.num_slices * self.field_encoder.num_features
        self.lstm = nn.LSTM(num_inputs, config.hidden_size, batch_first=True)
        margin = config.range_margin
        heads = {"transition": MeanHead(schema.state, self.num_slices, [config.hidden_size], margin)}
        if schema.outcome:
            sizes = [num_inputs, *config.reward_hidden_sizes]
            heads["reward"] = MeanHead(schema.outcome, self.num_slices, sizes, margin)
        self.heads = nn.ModuleDict(heads)
        self.post_init()

    def weight_layers(self) -> list[list[nn.Parameter]]:
        """Returns the weights of the LSTM and of the heads, that of the outcome among them."""
        return [list(part.parameters()) for part in (self.lstm, self.heads)]

    def initial_memory(self, num_copies: int) -> State:
        """Returns zero LSTM vectors, two tensors `(num_copies, hidden_size)`."""
        shape = (num_copies, self.config.hidden_size)
        return torch.zeros(shape, device=self.device), torch.zeros(shape, device=self.device)

    def encode_sequence(self, features: Tensor) -> Tensor:
        return self._for_each_slice(self.lstm(features.flatten(2))[0])

    def encode_step(self, features: Tensor, memory: State) -> tuple[Tensor, State]:
        hidden, cell = (part.unsqueeze(0) for part in memory)
        output, (hidden, cell) = self.lstm(features.flatten(1).unsqueeze(1), (hidden, cell))
        return self._for_each_slice(output.squeeze(1)), (hidden.squeeze(0), cell.squeeze(0))

    def target_loss(self, encoding: Tensor, features: Tensor, labels: Tensor) -> SliceMeanOutput:
        """Returns the squared errors of equation 7 in standardised units; see the base class."""
        errors = [
            (means - head.scale.standardize(part)).square().mean(dim=(0, 1))
            for means, (head, part) in zip(self._means(encoding, features), self._heads_with(labels), strict=True)
        ]
        squared_error = torch.cat(errors)
        return SliceMeanOutput(squared_error.mean(), squared_error.detach())

    def step(
        self,
        observation: Tensor,
        action: Tensor,
        state: State,
        noise: Tensor,
        context: Tensor | None = None,
        member: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Returns the means of what happens next, whatever the noise and the member; see the base class."""
        features = self._step_features(observation, action, context)
        self._check_noise(noise, len(observation))
        encoding, memory = self.encode_step(features, state)
        means = self._means(encoding, features)
        targets = [head.scale.restore(part) for head, part in zip(self.heads.values(), means, strict=True)]
        return torch.cat(targets, dim=-1), memory

    def observe(self, observation: Tensor, action: Tensor, state: State, context: Tensor | None = None) -> State:
        """Returns the state after a step of a known past; see the base class."""
        return self.encode_step(self._step_features(observation, action, context), state)[1]

    def predict(
        self, observation: Tensor, action: Tensor, state: State, context: Tensor | None = None
    ) -> TargetDistribution:
        """Returns a distribution without spread: all its quantiles are the means; see the base class."""
        features = self._step_features(observation, action, context)
        encoding, _ = self.encode_step(features, state)
        means = self._means(encoding, features)
        parts = tuple((_certain(part), head.scale) for head, part in zip(self.heads.values(), means, strict=True))
        size = self.num_slices * self.num_targets
        return TargetDistribution(parts, torch.eye(size, device=self.device), torch.zeros(size, device=self.device))

    def _means(self, encoding: Tensor, features: Tensor) -> list[Tensor]:
        """Returns the means of the next state and of the outcome, `(R, N, …)` in standardised units."""
        inputs = {"transition": encoding[:, 0], "reward": features.flatten(1)}
        return [head(inputs[name]) for name, head in self.heads.items()]

    def _for_each_slice(self, hidden: Tensor) -> Tensor:
        return hidden.unsqueeze(-2).expand(*hidden.shape[:-1], self.num_slices, -1)


class MeanHead(nn.Module):
    """Dense network from one vector to the standardised means of the `O` targets of all `N` slices.

    Args:
        fields: The target fields; neither their logarithms nor their atoms matter to a mean.
        num_slices: Number of slices.
        sizes: Widths of the input and of the hidden layers.
        range_margin: Passed to [`TargetScale`][gentwin.models.field_scaling.TargetScale].
    """

    def __init__(self, fields: tuple[Field, ...], num_slices: int, sizes: Sequence[int], range_margin: float) -> None:
        super().__init__()
        self.num_targets, self.num_slices = len(fields), num_slices
        linear_fields = tuple(dataclasses.replace(field, scale="linear", atoms=()) for field in fields)
        self.scale = TargetScale(linear_fields, num_slices, range_margin)
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], num_slices * self.num_targets))

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps `(R, D)` to `(R, N, O)`."""
        return self.layers(inputs).unflatten(1, (self.num_slices, self.num_targets))


def _certain(means: Tensor) -> TargetParameters:
    """Returns the parameters `(1, R, N, O)` of a distribution that is at its means for certain."""
    never = torch.full_like(means, -torch.inf).unsqueeze(0)
    return TargetParameters(never, never, means, torch.zeros_like(means)[None, ..., None].repeat(1, 1, 1, 1, 2))
