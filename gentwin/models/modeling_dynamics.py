"""What all twins of slice dynamics have in common: inputs, heads, joint noise, loss and roll-outs."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers.utils import ModelOutput

from gentwin.models.configuration_dynamics import DynamicsTwinConfig
from gentwin.models.field_scaling import FieldEncoder
from gentwin.models.modeling_twin import TwinModel
from gentwin.models.noise_copula import fit_normal_scores, fit_score_memory
from gentwin.models.target_distribution import (
    TargetDistribution,
    TargetParameters,
    level_bounds,
    sample_targets,
    target_losses,
)
from gentwin.models.target_heads import TargetHeads

State = tuple[Tensor, ...]
COPULA_BATCH = 64
NUM_START_STATES = 256


@dataclass
class DynamicsOutput(ModelOutput):
    """Loss of a twin of slice dynamics and its parts.

    Attributes:
        loss: `()`, mean over real steps, slices, targets and members of `quantile_loss + gate_loss`.
        quantile_loss: `(O,)`, continuous ranked probability score of the continuous part, relative to the error of a
            quick regression.
        gate_loss: `(O,)`, negative log probability of being at an atom or not, in nats.
    """

    loss: Tensor | None = None
    quantile_loss: Tensor | None = None
    gate_loss: Tensor | None = None


class DynamicsTwin(TwinModel):
    """Base class of twins that predict the next state and the outcome of every slice.

    Letters in shapes: `B` copies or sequences, `T` steps, `N` slices; `S`, `A`, `C` and `O` state, action, context and
    target fields; `M` members. A subclass encodes features: it implements `initial_memory`, `encode_sequence` and
    `encode_step`, and calls `build_heads` at the end of its `__init__`, before `post_init`.

    Attributes:
        transition_schema: The schema of the configuration.
        num_slices: Number of slices `N`.
        num_targets: Number of targets `O`.
        start_states: Persistent buffer `(256, N, S)` of states of the training data, evenly spread over it.
    """

    config_class = DynamicsTwinConfig

    def __init__(self, config: DynamicsTwinConfig) -> None:
        super().__init__(config)
        self.transition_schema = config.transition_schema
        schema = self.transition_schema
        self.num_slices, self.num_targets = len(schema.slices), len(schema.targets)
        self.field_encoder = FieldEncoder(schema, config.feature_clip)
        size = self.num_slices * self.num_targets
        self.register_buffer("noise_mixing", torch.eye(size))
        self.register_buffer("noise_offset", torch.zeros(size))
        self.register_buffer("noise_memory", torch.zeros(size))
        self.register_buffer("start_states", torch.zeros(NUM_START_STATES, self.num_slices, len(schema.state)))

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

    @abstractmethod
    def initial_memory(self, num_copies: int) -> State:
        """Returns the memory of `num_copies` encoders that have seen nothing: tensors whose first axis is the copy."""

    @abstractmethod
    def encode_sequence(self, features: Tensor) -> Tensor:
        """Maps features `(B, T, N, F)` to encodings `(B, T, N, D)`; step `t` sees steps up to `t` only."""

    @abstractmethod
    def encode_step(self, features: Tensor, memory: State) -> tuple[Tensor, State]:
        """Maps features `(B, N, F)` and a memory to encodings `(B, N, D)` and the next memory."""

    def initial_state(self, num_copies: int) -> State:
        """Returns the state of `num_copies` twins that have seen nothing.

        It is the memory of the encoder and, last, the normal scores of the noise of the step before `(B, N * O)`, NaN
        after a known past.
        """
        scores = self.noise_offset.new_full((num_copies, self.num_slices * self.num_targets), torch.nan)
        return (*self.initial_memory(num_copies), scores)

    def forward(
        self,
        states: Tensor,
        actions: Tensor,
        contexts: Tensor | None = None,
        labels: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> DynamicsOutput:
        """Computes the loss of sequences, every step from the true history before it.

        Args:
            states: `(B, T, N, S)` in physical units.
            actions: `(B, T, N, A)`.
            contexts: `(B, T, N, C)`; needed if the schema has context fields.
            labels: `(B, T, N, O)`: next state, then outcome.
            mask: `(B, T)` bool, true where a step is real; padding belongs at the end. All real by default.

        Returns:
            The loss and its parts.

        Raises:
            RuntimeError: If the normalisation was never fitted.
            ValueError: If a shape does not fit the schema.
        """
        self.require_fitted()
        values = self._gather_inputs(states, actions, contexts)
        labels = self._check_labels(states, labels).flatten(0, 1)
        encoding, features = self._encode(values)
        if mask is not None:
            rows = mask.flatten().nonzero().squeeze(1)
            encoding, features, labels = encoding[rows], features[rows], labels[rows]
        quantile_losses, gate_losses = [], []
        for heads, part in self._heads_with(labels):
            losses = target_losses(heads(encoding, features), part, heads.scale)
            for total, loss in zip((quantile_losses, gate_losses), losses, strict=True):
                total.append(loss.mean(dim=(0, 1, 2)))
        quantile_loss, gate_loss = torch.cat(quantile_losses), torch.cat(gate_losses)
        return DynamicsOutput((quantile_loss + gate_loss).mean(), quantile_loss.detach(), gate_loss.detach())

    def step(
        self,
        observation: Tensor,
        action: Tensor,
        state: State,
        noise: Tensor,
        context: Tensor | None = None,
        member: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Draws what happens next; a pure function of its arguments.

        Args:
            observation: `(B, N, S)` in physical units.
            action: `(B, N, A)`.
            state: From `initial_state`, `observe` or the previous step.
            noise: `(B, N, O)` independent standard normals.
            context: `(B, N, C)`; needed if the schema has context fields.
            member: `(B,)` int64, the ensemble member of each copy. Without it the average distribution of all members
                is used, which is slower.

        Returns:
            Targets `(B, N, O)` in physical units, next state first, and the next state of the twin.
        """
        self.require_fitted()
        features = self.field_encoder(self._gather_inputs(observation, action, context))
        encoding, memory = self.encode_step(features, state[:-1])
        scores = self._next_scores(noise, state[-1])
        level = torch.special.ndtr(scores + self.noise_offset).unflatten(1, (self.num_slices, self.num_targets))
        if member is None:
            return self._sample_average(encoding, features, level), (*memory, scores)
        return self._sample_members(encoding, features, level, member), (*memory, scores)

    def observe(self, observation: Tensor, action: Tensor, state: State, context: Tensor | None = None) -> State:
        """Returns the state after a step of a known past, without drawing anything; arguments as in `step`."""
        self.require_fitted()
        features = self.field_encoder(self._gather_inputs(observation, action, context))
        return (*self.encode_step(features, state[:-1])[1], torch.full_like(state[-1], torch.nan))

    def sample_start(self, num_copies: int, generator: torch.Generator | None = None) -> Tensor:
        """Draws states `(num_copies, N, S)` in physical units from those kept of the training data."""
        self.require_fitted()
        index = torch.randint(NUM_START_STATES, (num_copies,), generator=generator, device=self.start_states.device)
        return self.start_states[index]

    def predict(
        self, observation: Tensor, action: Tensor, state: State, context: Tensor | None = None
    ) -> TargetDistribution:
        """Returns the distribution of what happens next, without drawing from it; arguments as in `step`.

        It is the distribution after a known past: the noise of a step drawn before plays no part.
        """
        self.require_fitted()
        features = self.field_encoder(self._gather_inputs(observation, action, context))
        encoding, _ = self.encode_step(features, state[:-1])
        return self._distribution(encoding, features)

    @torch.no_grad()
    def fit_normalization(
        self,
        states: Tensor,
        actions: Tensor,
        contexts: Tensor | None = None,
        labels: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> None:
        """Sets the statistics of inputs and targets from training data; arguments as in `forward`.

        Raises:
            ValueError: If a shape does not fit the schema, or a real step holds a value that is not finite.
        """
        values = self._gather_inputs(states, actions, contexts).flatten(0, 1)
        labels = self._check_labels(states, labels).flatten(0, 1)
        if mask is not None:
            rows = mask.flatten().bool()
            values, labels = values[rows], labels[rows]
        for name, numbers in (("states, actions, contexts", values), ("labels", labels)):
            if not torch.isfinite(numbers).all():
                raise ValueError(f"`{name}` must be finite where `mask` is true; drop or repair those steps.")
        self.field_encoder.fit(values)
        features = self.field_encoder(values)
        for heads, part in self._heads_with(labels):
            heads.scale.fit(part, features)
        starts = torch.linspace(0, len(values) - 1, NUM_START_STATES, device=values.device).long()
        self.start_states.copy_(values[starts, :, : self.start_states.shape[-1]])
        self.mark_fitted()

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

    def _split_targets(self, values: Tensor) -> tuple[Tensor, ...]:
        return values.split([heads.num_targets for heads in self.heads.values()], dim=-1)

    def _heads_with(self, values: Tensor) -> list[tuple[TargetHeads, Tensor]]:
        return list(zip(self.heads.values(), self._split_targets(values), strict=True))

    def _encode(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Returns encodings `(B * T, N, D)` and features `(B * T, N, F)` of inputs `(B, T, N, S + A + C)`."""
        features = self.field_encoder(values)
        return self.encode_sequence(features).flatten(0, 1), features.flatten(0, 1)

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

    def _check_labels(self, states: Tensor, labels: Tensor | None) -> Tensor:
        shape = (*states.shape[:-1], self.num_targets)
        if labels is None or labels.shape != shape:
            found = None if labels is None else tuple(labels.shape)
            raise ValueError(f"`labels` must have shape {shape}, next state then outcome, got {found}.")
        return labels

    def _gather_inputs(self, states: Tensor, actions: Tensor, contexts: Tensor | None) -> Tensor:
        """Returns inputs `(..., N, S + A + C)` after checking that their shapes fit the schema."""
        schema = self.transition_schema
        leading = (*states.shape[:-2], self.num_slices)
        parts = []
        for name, part, fields in (
            ("states", states, schema.state),
            ("actions", actions, schema.action),
            ("contexts", contexts, schema.context),
        ):
            if part is None and not fields:
                continue
            if part is None or part.shape != (*leading, len(fields)):
                found = None if part is None else tuple(part.shape)
                raise ValueError(
                    f"`{name}` must have shape {(*leading, len(fields))}, the fields "
                    f"{[field.name for field in fields]} of slices {list(schema.slices)}, got {found}."
                )
            parts.append(part)
        return torch.cat(parts, dim=-1)
