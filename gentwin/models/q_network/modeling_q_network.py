"""Q-networks: the values of all actions in a state."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers.utils import ModelOutput

from gentwin.models.modeling_twin import TwinModel
from gentwin.models.q_network.configuration_q_network import QNetworkConfig
from gentwin.models.q_network.heads import (
    DuelingHead,
    FactorisedHead,
    ParticleGenerator,
    PlainHead,
    ValueHead,
    dense,
    trunk_backward,
    trunk_forward,
)

SMALLEST_DEVIATION = 1e-6


@dataclass
class QNetworkOutput(ModelOutput):
    """Values of actions.

    Attributes:
        loss: `()`, half the mean squared difference of the values of the actions taken from their labels, in units of
            `return_scale`; only with labels.
        values: `(B, A)`, expected discounted sums of rewards.
    """

    loss: Tensor | None = None
    values: Tensor | None = None


def allowed_values(values: Tensor, masks: Tensor | None) -> Tensor:
    """Returns values `(B, A)` with minus infinity where `masks` forbid an action; as they are without masks."""
    return values if masks is None else values.masked_fill(~masks, -math.inf)


class QNetworkModel(TwinModel):
    """Network of an agent that says what every action is worth.

    Letters in shapes: `B` observations, `F` their entries, `A` actions, `K` particles.

    Observations are in physical units; the network scales them by statistics it keeps. Values are in units of reward;
    inside, they are relative to `return_offset` and `return_scale`, so that learning does not depend on the unit.

    Attributes:
        observation_mean: Persistent buffer `(F,)`, mean on the scale of each entry.
        observation_deviation: Persistent buffer `(F,)`, standard deviation, above 0.
        return_offset: Persistent buffer `()`, value of an average state.
        return_scale: Persistent buffer `()`, above 0.

    Source: Zhang et al., "Digital Twin-Enhanced Deep Reinforcement Learning for Resource Management in Networks
    Slicing", section V-A; Hua et al. (IEEE JSAC 38(2), 2020) for the particles.
    """

    config_class = QNetworkConfig

    def __init__(self, config: QNetworkConfig) -> None:
        super().__init__(config)
        size, sizes = len(config.observation_fields), list(config.hidden_sizes)
        scales = config.observation_scales or ["linear"] * size
        self.log_entries = [index for index, scale in enumerate(scales) if scale == "log1p"]
        self.register_buffer("observation_mean", torch.zeros(size))
        self.register_buffer("observation_deviation", torch.ones(size))
        self.register_buffer("return_offset", torch.zeros(()))
        self.register_buffer("return_scale", torch.ones(()))
        if config.head == "particles":
            self.generator = ParticleGenerator(size, sizes, config.num_actions, config.num_particles, config.noise_size)
            critic = [config.num_particles, *config.critic_sizes]
            self.critic = nn.Sequential(dense(critic), nn.Linear(critic[-1], 1))
        else:
            self.trunk = dense([size, *sizes])
            self.head = self._build_head(sizes[-1])
        self.post_init()

    def _build_head(self, input_size: int) -> ValueHead:
        config = self.config
        if config.head == "factorised":
            return FactorisedHead(input_size, config.num_slices, config.num_units, config.num_knots)
        kind = DuelingHead if config.head == "dueling" else PlainHead
        return kind(input_size, config.num_actions)

    def forward(
        self, observations: Tensor, actions: Tensor | None = None, labels: Tensor | None = None
    ) -> QNetworkOutput:
        """Computes the values of all actions, and the loss of some.

        Args:
            observations: `(B, F)` in physical units.
            actions: `(B,)` int64, the actions taken; needed with labels.
            labels: `(B,)`, what the actions taken are worth, in units of reward.

        Returns:
            Values `(B, A)` and, with labels, the loss.

        Raises:
            RuntimeError: If the statistics were never fitted.
            ValueError: If a shape does not fit.
        """
        self.require_fitted()
        inner = self.relative_values(observations)
        loss = None
        if labels is not None:
            if actions is None or actions.shape != labels.shape:
                found = None if actions is None else tuple(actions.shape)
                raise ValueError(f"`actions` must have the shape of `labels`, {tuple(labels.shape)}, got {found}.")
            chosen = inner.gather(1, actions[:, None]).squeeze(1)
            loss = 0.5 * (chosen - (labels - self.return_offset) / self.return_scale).square().mean()
        return QNetworkOutput(loss, inner * self.return_scale + self.return_offset)

    def relative_values(self, observations: Tensor) -> Tensor:
        """Returns values `(B, A)` less `return_offset`, in units of `return_scale`."""
        features = self.features(observations)
        if self.config.head == "particles":
            middle = torch.full((len(features), self.config.noise_size), 0.5, device=features.device)
            return self.generator(features, middle).mean(dim=-1)
        return self.head(trunk_forward(self.trunk, features)[-1])

    @torch.no_grad()
    def value_gradients(self, observations: Tensor, actions: Tensor, labels: Tensor, gradients: list[Tensor]) -> Tensor:
        """Computes half the mean squared difference of relative values from labels, and its gradients.

        Autograd gives the same up to rounding, at twice the time for networks of a few small layers.

        Args:
            observations: `(B, F)` in physical units.
            actions: `(B,)` int64, the actions taken.
            labels: `(B,)`, what they are worth, in the units of `relative_values`.
            gradients: Filled in: one for each of `parameters()`, in order.

        Returns:
            The loss `()`.

        Raises:
            ValueError: If the head is `particles`.
        """
        if self.config.head == "particles":
            raise ValueError("`head` must not be 'particles' for gradients of values; use autograd.")
        activations = trunk_forward(self.trunk, self.features(observations))
        differences = self.head(activations[-1]).gather(1, actions[:, None]).squeeze(1).sub_(labels)
        split = 2 * (len(activations) - 1)
        slopes = self.head.backward(activations[-1], actions, differences / len(differences), gradients[split:])
        trunk_backward(self.trunk, activations, slopes, gradients[:split])
        return torch.dot(differences, differences) / (2 * len(differences))

    def particles(self, observations: Tensor, noise: Tensor) -> Tensor:
        """Draws relative returns `(B, A, K)` of every action from noise `(B, noise_size)`, uniform in 0 … 1.

        Raises:
            ValueError: If the head has no particles.
        """
        if self.config.head != "particles":
            raise ValueError(f"`head` must be 'particles' to draw returns, got {self.config.head!r}.")
        self.require_fitted()
        return self.generator(self.features(observations), noise)

    def features(self, observations: Tensor) -> Tensor:
        """Returns observations `(B, F)` on their scales, standardised and limited."""
        if observations.ndim != 2 or observations.shape[1] != len(self.observation_mean):
            raise ValueError(
                f"`observations` must have shape (B, {len(self.observation_mean)}), got {tuple(observations.shape)}."
            )
        scaled = (self._on_scale(observations) - self.observation_mean) / self.observation_deviation
        return scaled.clamp(-self.config.feature_clip, self.config.feature_clip)

    @torch.no_grad()
    def greedy(self, observations: Tensor, masks: Tensor | None = None) -> Tensor:
        """Returns the best actions `(B,)` int64.

        Args:
            observations: `(B, F)` in physical units.
            masks: `(B, A)` bool, true where an action is allowed; all are by default.
        """
        self.require_fitted()
        return allowed_values(self.relative_values(observations), masks).argmax(dim=1)

    @torch.no_grad()
    def fit_normalization(
        self,
        observations: Tensor,
        rewards: Tensor,
        discount: float,
        terminated: Tensor | None = None,
        elapsed_s: Tensor | None = None,
    ) -> None:
        """Sets the statistics from some experience.

        Args:
            observations: `(M, F)` in physical units.
            rewards: `(M,)`.
            discount: Of future rewards, 0 … below 1; per second if times are given, else per step.
            terminated: `(M,)`, 1 where an episode came to its end; never by default.
            elapsed_s: `(M,)`, time from each action to the next, seconds.

        Raises:
            ValueError: If a value is not finite, an entry on the log scale is negative, or no time passes.
        """
        for name, values in (("observations", observations), ("rewards", rewards)):
            if not torch.isfinite(values).all():
                raise ValueError(f"`{name}` must be finite; drop or repair the steps that are not.")
        if elapsed_s is not None and not elapsed_s.sum() > 0:
            raise ValueError("`elapsed_s` must hold some time that passes, got none; gather more experience first.")
        if self.log_entries and (lowest := float(observations[:, self.log_entries].min())) < 0:
            raise ValueError(f"`observations` on the log scale must be at least 0, got {lowest}.")
        scaled = self._on_scale(observations)
        self.observation_mean.copy_(scaled.mean(dim=0))
        deviation = scaled.std(dim=0, correction=0)
        self.observation_deviation.copy_(torch.where(deviation > SMALLEST_DEVIATION, deviation, 1.0))
        # With times, returns are about those of steps of the mean discount.
        usual = discount if elapsed_s is None else float((discount ** elapsed_s.double()).mean())
        self._fit_returns(rewards, usual, 1.0 if terminated is None else 1 - float(terminated.float().mean()))
        self.mark_fitted()

    def _fit_returns(self, rewards: Tensor, discount: float, going_on: float) -> None:
        """Sets mean and deviation of returns as if episodes went on with a fixed probability at every step."""
        mean, variance = float(rewards.mean()), float(rewards.var(correction=0))
        horizon = 1 / (1 - discount * going_on)
        second_moment = mean**2 * (1 + 2 * discount * going_on * horizon) / (1 - discount**2 * going_on)
        from_length = max(0.0, second_moment - (mean * horizon) ** 2) if going_on < 1 else 0.0
        # Rewards of successive steps vary together, so a return varies more than independent ones would make it.
        deviation = math.sqrt(variance * horizon + from_length)
        self.return_offset.fill_(mean * horizon)
        self.return_scale.fill_(deviation if deviation > SMALLEST_DEVIATION else 1.0)

    def _on_scale(self, observations: Tensor) -> Tensor:
        if not self.log_entries:
            return observations
        if len(self.log_entries) == observations.shape[1]:
            return torch.log1p(observations.clamp(min=0))
        scaled = observations.clone()
        scaled[:, self.log_entries] = torch.log1p(observations[:, self.log_entries].clamp(min=0))
        return scaled
