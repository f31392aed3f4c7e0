"""What all twins of slice dynamics have in common: inputs, statistics, loss and roll-outs."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers.utils import ModelOutput

from gentwin.models.configuration_dynamics import DynamicsTwinConfig
from gentwin.models.field_scaling import FieldEncoder
from gentwin.models.modeling_twin import TwinModel
from gentwin.models.target_distribution import TargetDistribution

State = tuple[Tensor, ...]
NUM_START_STATES = 256


@dataclass
class DynamicsOutput(ModelOutput):
    """Loss of a twin of slice dynamics; twins add its parts.

    Attributes:
        loss: `()`, a mean over real steps.
    """

    loss: Tensor | None = None


class DynamicsTwin(TwinModel):
    """Base class of twins that predict the next state and the outcome of every slice.

    Letters in shapes: `B` copies or sequences, `T` steps, `N` slices; `S`, `A`, `C` and `O` state, action, context and
    target fields; `M` members. A subclass sets `heads` and implements what is abstract here.
    [`DistributionalTwin`][gentwin.models.modeling_distributional.DistributionalTwin] is the base of those that draw
    from distributions; such a subclass only encodes features.

    Attributes:
        transition_schema: The schema of the configuration.
        num_slices: Number of slices `N`.
        num_targets: Number of targets `O`.
        heads: Modules with a `scale`, a [`TargetScale`][gentwin.models.field_scaling.TargetScale]: `transition` for the
            next state and `reward` for the outcome, if any.
        start_states: Persistent buffer `(256, N, S)` of states of the training data, evenly spread over it.
    """

    config_class = DynamicsTwinConfig
    heads: torch.nn.ModuleDict

    def __init__(self, config: DynamicsTwinConfig) -> None:
        super().__init__(config)
        self.transition_schema = config.transition_schema
        schema = self.transition_schema
        self.num_slices, self.num_targets = len(schema.slices), len(schema.targets)
        self.field_encoder = FieldEncoder(schema, config.feature_clip)
        self.register_buffer("start_states", torch.zeros(NUM_START_STATES, self.num_slices, len(schema.state)))

    @abstractmethod
    def initial_memory(self, num_copies: int) -> State:
        """Returns the memory of `num_copies` encoders that have seen nothing: tensors whose first axis is the copy."""

    @abstractmethod
    def encode_sequence(self, features: Tensor) -> Tensor:
        """Maps features `(B, T, N, F)` to encodings `(B, T, N, D)`; step `t` sees steps up to `t` only."""

    @abstractmethod
    def encode_step(self, features: Tensor, memory: State) -> tuple[Tensor, State]:
        """Maps features `(B, N, F)` and a memory to encodings `(B, N, D)` and the next memory."""

    @abstractmethod
    def target_loss(self, encoding: Tensor, features: Tensor, labels: Tensor) -> DynamicsOutput:
        """Returns the loss of targets `(R, N, O)` given encodings `(R, N, D)` and features `(R, N, F)`."""

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
        return self.target_loss(encoding, features, labels)

    def initial_state(self, num_copies: int) -> State:
        """Returns the state of `num_copies` twins that have seen nothing; tensors whose first axis is the copy."""
        return self.initial_memory(num_copies)

    @abstractmethod
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
            noise: `(B, N, O)` independent standard normals, the source of what cannot be predicted.
            context: `(B, N, C)`; needed if the schema has context fields.
            member: `(B,)` int64, the ensemble member of each copy. Without it the average distribution of all members
                is used, which is slower.

        Returns:
            Targets `(B, N, O)` in physical units, next state first, and the next state of the twin.

        Raises:
            RuntimeError: If the normalisation was never fitted.
            TypeError: If an argument is not a tensor.
            ValueError: If a shape does not fit the schema, or a value is not finite.
        """

    @abstractmethod
    def observe(self, observation: Tensor, action: Tensor, state: State, context: Tensor | None = None) -> State:
        """Returns the state after a step of a known past, without drawing anything; arguments as in `step`."""

    @abstractmethod
    def predict(
        self, observation: Tensor, action: Tensor, state: State, context: Tensor | None = None
    ) -> TargetDistribution:
        """Returns the distribution of what happens next, without drawing from it; arguments as in `step`."""

    def sample_start(self, num_copies: int, generator: torch.Generator | None = None) -> Tensor:
        """Draws states `(num_copies, N, S)` in physical units from those kept of the training data."""
        self.require_fitted()
        index = torch.randint(NUM_START_STATES, (num_copies,), generator=generator, device=self.start_states.device)
        return self.start_states[index]

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
        self.keep_starts(values[..., : self.start_states.shape[-1]])
        self.mark_fitted()

    @torch.no_grad()
    def keep_starts(self, states: Tensor) -> None:
        """Keeps 256 of some states as those to start from, evenly spread over them.

        Args:
            states: `(R, N, S)` in physical units.
        """
        starts = torch.linspace(0, len(states) - 1, NUM_START_STATES, device=states.device).long()
        self.start_states.copy_(states[starts])

    @torch.no_grad()
    def widen_ranges(self, labels: Tensor, mask: Tensor | None = None) -> None:
        """Lets samples go where new data have been; mean and scale stay, so the weights keep their meaning.

        Args:
            labels: `(B, T, N, O)`: next state, then outcome.
            mask: `(B, T)` bool, true where a step is real; all by default.
        """
        self.require_fitted()
        values = labels.flatten(0, 1)
        if mask is not None:
            values = values[mask.flatten().bool()]
        for heads, part in self._heads_with(values):
            heads.scale.widen(part)

    def fit_copula(
        self,
        states: Tensor,
        actions: Tensor,
        contexts: Tensor | None = None,
        labels: Tensor | None = None,
        mask: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        """Fits the joint noise of a trained twin; one that draws nothing has none, and nothing happens.

        Args:
            generator: Source of randomness, on the device of the data. Other arguments as in `forward`.
        """

    def _split_targets(self, values: Tensor) -> tuple[Tensor, ...]:
        return values.split([heads.num_targets for heads in self.heads.values()], dim=-1)

    def _heads_with(self, values: Tensor) -> list[tuple[torch.nn.Module, Tensor]]:
        return list(zip(self.heads.values(), self._split_targets(values), strict=True))

    def _encode(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Returns encodings `(B * T, N, D)` and features `(B * T, N, F)` of inputs `(B, T, N, S + A + C)`."""
        features = self.field_encoder(values)
        return self.encode_sequence(features).flatten(0, 1), features.flatten(0, 1)

    def _check_noise(self, noise: Tensor, num_copies: int) -> None:
        shape = (num_copies, self.num_slices, self.num_targets)
        if not isinstance(noise, Tensor) or noise.shape != shape:
            found = tuple(noise.shape) if isinstance(noise, Tensor) else type(noise).__name__
            raise ValueError(f"`noise` must be a torch tensor {shape} of standard normals, got {found}.")

    def _check_labels(self, states: Tensor, labels: Tensor | None) -> Tensor:
        shape = (*states.shape[:-1], self.num_targets)
        if labels is None or labels.shape != shape:
            found = None if labels is None else tuple(labels.shape)
            raise ValueError(f"`labels` must have shape {shape}, next state then outcome, got {found}.")
        return labels

    def _step_features(self, observation: Tensor, action: Tensor, context: Tensor | None) -> Tensor:
        """Returns the features `(B, N, F)` of one step after checking it; NaN would spread through all later steps."""
        self.require_fitted()
        values = self._gather_inputs(observation, action, context, ("observation", "action", "context"))
        # The sum shows it at a fraction of the cost of looking at every value.
        if not torch.isfinite(values.sum()) and not torch.isfinite(values).all():
            schema = self.transition_schema
            copy, position, index = (~torch.isfinite(values)).nonzero()[0].tolist()
            field = (*schema.state, *schema.action, *schema.context)[index]
            raise ValueError(
                f"`{field.name}` of slice `{schema.slices[position]}` must be finite, got "
                f"{values[copy, position, index].item()} in copy {copy}; drop or repair that step."
            )
        return self.field_encoder(values)

    def _gather_inputs(
        self,
        states: Tensor,
        actions: Tensor,
        contexts: Tensor | None,
        names: tuple[str, str, str] = ("states", "actions", "contexts"),
    ) -> Tensor:
        """Returns inputs `(..., N, S + A + C)` after checking that their types and shapes fit the schema."""
        schema = self.transition_schema
        parts = []
        roles = (schema.state, schema.action, schema.context)
        for name, part, fields in zip(names, (states, actions, contexts), roles, strict=True):
            if part is None and not fields:
                continue
            if part is not None and not isinstance(part, Tensor):
                raise TypeError(
                    f"`{name}` must be a torch tensor, got {type(part).__name__}; use "
                    "`torch.as_tensor(..., dtype=torch.float32)`."
                )
            shape = (*states.shape[:-2], self.num_slices, len(fields))
            if part is None or part.shape != shape:
                found = None if part is None else tuple(part.shape)
                raise ValueError(
                    f"`{name}` must have shape {shape}, the fields "
                    f"{[field.name for field in fields]} of slices {list(schema.slices)}, got {found}."
                )
            parts.append(part)
        return torch.cat(parts, dim=-1)
