"""Twins of slice dynamics that draw from distributions: heads of an ensemble, joint noise and its fit."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gentwin.models.configuration_dynamics import DistributionalTwinConfig
from gentwin.models.modeling_dynamics import DynamicsOutput, DynamicsTwin, State
from gentwin.models.noise_copula import fit_normal_scores, fit_score_memory
from gentwin.models.target_distribution import (
    TargetDistribution,
    TargetParameters,
    level_bounds,
    sample_targets,
    target_losses,
)
from gentwin.models.target_heads import TargetHeads

COPULA_BATCH = 64


@dataclass
class DistributionalOutput(DynamicsOutput):
    """Loss of a distributional twin and its parts.

    Attributes:
        loss: `()`, mean over real steps, slices, targets and members of `quantile_loss + gate_loss`.
        quantile_loss: `(O,)`, continuous ranked probability score of the continuous part, relative to the error of a
            quick regression.
        gate_loss: `(O,)`, negative log probability of being at an atom or not, in nats.
    """

    quantile_loss: Tensor | None = None
    gate_loss: Tensor | None = None


class DistributionalTwin(DynamicsTwin):
    """Base class of twins that give the distribution of every target and draw from it.

    A subclass encodes features: it implements `initial_memory`, `encode_sequence` and `encode_step`, and calls
    `build_heads` at the end of its `__init__`, before `post_init`.
    """

    config_class = DistributionalTwinConfig

    def __init__(self, config: DistributionalTwinConfig) -> None:
        super().__init__(config)
        size = self.num_slices * self.num_targets
        self.register_buffer("noise_mixing", torch.eye(size))
        self.register_buffer("noise_offset", torch.zeros(size))
        self.register_buffer("noise_memory", torch.zeros(size))

    def build_heads(self, encoding_size: int) -> None:
        """Adds the heads: the transition model for the next state and the reward model for the outcome, if any.

        Args:
            encoding_size: Width `D` of the encodings.
        """
        schema, config = self.transition_schema, self.config
        self.heads = torch.nn.ModuleDict()
        for name, fields in (("transition", schema.state), ("reward", schema.outcome)):
            if fields:
                self.heads[name] = TargetHeads(
                    fields,
                    num_slices=self.num_slices,
                    input_size=encoding_size,
                    num_features=self.field_encoder.num_features,
                    hidden_size=config.head_hidden_size,
                    num_members=config.num_members,
                    num_quantiles=config.num_quantiles,
                    range_margin=config.range_margin,
                )

    def initial_state(self, num_copies: int) -> State:
        """Returns the state of `num_copies` twins that have seen nothing.

        It is the memory of the encoder and, last, the normal scores of the noise of the step before `(B, N * O)`, NaN
        after a known past.
        """
        scores = self.noise_offset.new_full((num_copies, self.num_slices * self.num_targets), torch.nan)
        return (*self.initial_memory(num_copies), scores)

    def target_loss(self, encoding: Tensor, features: Tensor, labels: Tensor) -> DistributionalOutput:
        """Returns the mean over rows, slices, targets and members of quantile and gate losses; see the base class."""
        quantile_losses, gate_losses = [], []
        for heads, part in self._heads_with(labels):
            losses = target_losses(heads(encoding, features), part, heads.scale)
            for total, loss in zip((quantile_losses, gate_losses), losses, strict=True):
                total.append(loss.mean(dim=(0, 1, 2)))
        quantile_loss, gate_loss = torch.cat(quantile_losses), torch.cat(gate_losses)
        return DistributionalOutput((quantile_loss + gate_loss).mean(), quantile_loss.detach(), gate_loss.detach())

    def step(
        self,
        observation: Tensor,
        action: Tensor,
        state: State,
        noise: Tensor,
        context: Tensor | None = None,
        member: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Draws what happens next; see the base class.

        Without a member the average distribution of all members is drawn from, which is slower.
        """
        features = self._step_features(observation, action, context)
        self._check_noise(noise, len(observation))
        encoding, memory = self.encode_step(features, state[:-1])
        scores = self._next_scores(noise, state[-1])
        level = torch.special.ndtr(scores + self.noise_offset).unflatten(1, (self.num_slices, self.num_targets))
        if member is None:
            return self._sample_average(encoding, features, level), (*memory, scores)
        return self._sample_members(encoding, features, level, member), (*memory, scores)

    def observe(self, observation: Tensor, action: Tensor, state: State, context: Tensor | None = None) -> State:
        """Returns the state after a step of a known past, without drawing anything; see the base class."""
        features = self._step_features(observation, action, context)
        return (*self.encode_step(features, state[:-1])[1], torch.full_like(state[-1], torch.nan))

    def predict(
        self, observation: Tensor, action: Tensor, state: State, context: Tensor | None = None
    ) -> TargetDistribution:
        """Returns the distribution of what happens next, without drawing from it; see the base class.

        It is the distribution after a known past: the noise of a step drawn before plays no part.
        """
        features = self._step_features(observation, action, context)
        encoding, _ = self.encode_step(features, state[:-1])
        return self._distribution(encoding, features)

    @torch.no_grad()
    def fit_copula(
        self,
        states: Tensor,
        actions: Tensor,
        contexts: Tensor | None = None,
        labels: Tensor | None = None,
        mask: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        """Fits the joint noise of all targets of all slices, and with it the calibration of every target.

        The level of every true value in its predicted distribution is mapped to a normal score. Were each distribution
        right, scores would be standard normal; their mean and covariance become those of the noise `step` uses. That
        takes many episodes: what happens to be high for most of a few would become a drift of every roll-out. What an
        encoder leaves of the correlation between the scores of successive steps becomes the memory of the noise;
        without it, noise that cancels out within two steps would add up. Other arguments as in `forward`.

        Args:
            generator: Source of the members drawn and of scores at atoms, on the device of the data.
        """
        self.require_fitted()
        labels = self._check_labels(states, labels)
        bounds = []
        for chunk in torch.arange(len(states), device=states.device).split(COPULA_BATCH):
            values = self._gather_inputs(states[chunk], actions[chunk], None if contexts is None else contexts[chunk])
            rows = slice(None) if mask is None else mask[chunk].flatten().bool()
            encoding, features = (tensor[rows] for tensor in self._encode(values))
            bounds.append(self._level_bounds(encoding, features, labels[chunk].flatten(0, 1)[rows], generator))
        low, high = (torch.cat(ends) for ends in zip(*bounds, strict=True))
        mixing, offset = fit_normal_scores(low, high, generator)
        self.noise_mixing.copy_(mixing)
        self.noise_offset.copy_(offset)
        real = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device) if mask is None else mask.bool()
        sequence = torch.arange(len(states), device=states.device).unsqueeze(1).expand_as(real)[real]
        self.noise_memory.copy_(fit_score_memory(low, high, sequence[1:] == sequence[:-1], generator))

    def _level_bounds(
        self, encoding: Tensor, features: Tensor, labels: Tensor, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Returns the level bounds `(R, N * O)` of labels `(R, N, O)`, each row under a random member."""
        member = torch.randint(self.config.num_members, (len(labels),), generator=generator, device=labels.device)
        row = torch.arange(len(labels), device=labels.device)
        bounds = []
        for heads, part in self._heads_with(labels):
            low, high, location, grid = heads(encoding, features)
            parameters = TargetParameters(low[member, row], high[member, row], location, grid[member, row])
            bounds.append(level_bounds(parameters, part, heads.scale))
        low, high = (torch.cat(ends, dim=-1).flatten(1) for ends in zip(*bounds, strict=True))
        return low, high

    def _next_scores(self, noise: Tensor, scores: Tensor) -> Tensor:
        """Returns the joint normal scores less their mean; `scores` are those of the step before, NaN if not drawn."""
        memory = self.noise_memory
        fresh = noise.flatten(1) @ self.noise_mixing.T
        return torch.where(scores.isnan(), fresh, memory * scores + torch.sqrt(1.0 - memory.square()) * fresh)

    def _sample_average(self, encoding: Tensor, features: Tensor, level: Tensor) -> Tensor:
        parts = []
        for heads, part in self._heads_with(level):
            average = heads(encoding, features).average()
            parts.append(sample_targets(average, part, heads.scale))
        return torch.cat(parts, dim=-1)

    def _sample_members(self, encoding: Tensor, features: Tensor, level: Tensor, member: Tensor) -> Tensor:
        # Copies are grouped by member, so each is computed by its own member only.
        order = torch.argsort(member)
        counts = torch.bincount(member, minlength=self.config.num_members).tolist()
        encoding, features, level = (tensor.index_select(0, order) for tensor in (encoding, features, level))
        parts = [
            sample_targets(heads.forward_sorted(encoding, features, counts), part, heads.scale)
            for heads, part in self._heads_with(level)
        ]
        return torch.empty_like(level).index_copy_(0, order, torch.cat(parts, dim=-1))

    def _distribution(self, encoding: Tensor, features: Tensor) -> TargetDistribution:
        parts = tuple((heads(encoding, features), heads.scale) for heads in self.heads.values())
        return TargetDistribution(parts, self.noise_mixing, self.noise_offset)
