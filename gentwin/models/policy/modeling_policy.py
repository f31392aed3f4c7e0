"""Twin of a policy of admission control: which action it takes in a state, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from transformers.utils import ModelOutput

from gentwin.models.modeling_twin import TwinModel
from gentwin.models.policy.configuration_policy import PolicyTwinConfig
from gentwin.models.policy.networks import (
    ActionGenerator,
    Critic,
    DecisionGenerator,
    JointClassifier,
    SharedClassifier,
    StateEncoder,
    gumbel_one_hot,
)
from gentwin.models.policy.state_space import MAX_DRAWS, StateSpace
from gentwin.schema import TransitionSchema

NEVER = -1e9  # logit of what is not allowed; a product with 0 is still 0
POLICY, CRITIC, GENERATOR = "policy", "critic", "generator"
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE, SEARCH_STEPS = 0.05, 20.0, 60


@dataclass
class PolicyOutput(ModelOutput):
    """What the twin says of states.

    Attributes:
        loss: `()`, of the objective; only with labels.
        logits: `(B, K + 1)`, a billion below 0 where an action is not allowed; only with the objective `policy`.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None


@dataclass(frozen=True)
class PolicyDecision:
    """What the policy would do.

    Args:
        actions: `(B,)` int64, the most probable actions; the last one admits none.
        confidence: `(B,)` their probabilities, 0 … 1.
        probabilities: `(B, K + 1)`, 0 where an action is not allowed.
    """

    actions: Tensor
    confidence: Tensor
    probabilities: Tensor


class PolicyTwinModel(TwinModel):
    """Twin of a policy of admission control.

    Letters in shapes: `B` decisions, `K` slices, `S` state fields. Actions are numbers of slices, and `K` for none.
    States are in physical units, `(B, K, S)`; masks `(B, K + 1)` are true where an action is allowed.

    Attributes:
        space: Which states can be, a [`StateSpace`][gentwin.models.policy.state_space.StateSpace].
        temperature: Persistent buffer `()`, what logits are divided by; 1 until `calibrate`.
        action_shares: Persistent buffer `(K + 1,)`, shares of the actions in the training data.

    Source: Tao et al., "Wireless network digital twin for 6G: generative AI as a key enabler", section IV. Deviations:
    the mask is an input, one network serves all slices with `layout="shared"`, and confidence is calibrated.
    """

    config_class = PolicyTwinConfig

    def __init__(self, config: PolicyTwinConfig) -> None:
        super().__init__(config)
        self.policy_schema = config.policy_schema
        self.num_slices, self.num_state = len(self.policy_schema.slices), len(self.policy_schema.state)
        self.space = StateSpace(config.units, config.needs, config.range_margin)
        self.encoder = StateEncoder(self.num_slices, len(config.units), config.feature_clip)
        kind = SharedClassifier if config.layout == "shared" else JointClassifier
        self.classifier = kind(self.encoder, config.hidden_sizes)
        if config.generator != "none":
            made = ActionGenerator if config.generator == "actions" else DecisionGenerator
            self.generator = made(self.encoder, config.generator_sizes, config.noise_size)
            self.critic = Critic(self.encoder, config.critic_sizes)
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("action_shares", torch.full((self.num_slices + 1,), 1 / (self.num_slices + 1)))
        self.post_init()

    def weight_layers(self) -> list[list[nn.Parameter]]:
        """Returns the weights of the classifier's layers; generator and critic are in none."""
        return self.classifier.weight_layers()

    def forward(
        self,
        states: Tensor,
        masks: Tensor | None = None,
        labels: Tensor | None = None,
        weights: Tensor | None = None,
        objective: str = POLICY,
    ) -> PolicyOutput:
        """Computes logits, or the loss of an objective.

        Args:
            states: `(B, K, S)`.
            masks: `(B, K + 1)`; by default what follows from the state.
            labels: Actions taken, `(B,)` int64, or shares of several `(B, K + 1)`.
            weights: `(B,)`, what each decision counts in the loss of `policy`; all the same by default.
            objective: `policy`, the cross entropy; `critic` or `generator`, their loss with recorded decisions, which
                needs a generator and labels of single actions.

        Raises:
            RuntimeError: If the statistics were never fitted.
            TypeError: If an argument is not a tensor.
            ValueError: If a shape does not fit, a state is not finite, or there is no such objective.
        """
        masks = self._checked(states, masks)
        if objective == POLICY:
            logits = self._logits(states, masks)
            loss = None if labels is None else self._cross_entropy(logits, labels, weights)
            return PolicyOutput(loss, logits)
        if objective not in (CRITIC, GENERATOR):
            raise ValueError(f"`objective` must be {POLICY}, {CRITIC} or {GENERATOR}, got {objective!r}.")
        self._require_generator()
        if labels is None or labels.ndim != 1:
            raise ValueError(f"`labels` must be single actions for the objective {objective!r}.")
        return PolicyOutput(self._adversarial_loss(states, masks, labels, objective))

    @torch.no_grad()
    def decide(self, states: Tensor, masks: Tensor | None = None) -> PolicyDecision:
        """Returns what the policy would do in states `(B, K, S)`, and how sure that is; arguments as in `forward`."""
        logits = self._logits(states, self._checked(states, masks)) / self.temperature
        probabilities = torch.softmax(logits, dim=1)
        confidence, actions = probabilities.max(dim=1)
        return PolicyDecision(actions, confidence, probabilities)

    def policy(self, schema: TransitionSchema | None = None) -> Callable[[np.ndarray], np.ndarray]:
        """Returns the twin as a policy on arrays, as `gentwin.networks.admission.policies` are.

        Args:
            schema: Of the states it will be called with, `(B, K, …)`; that of the twin by default.
        """
        names = [field.name for field in (schema or self.policy_schema).state]
        missing = [field.name for field in self.policy_schema.state if field.name not in names]
        if missing:
            raise ValueError(f"`schema` must have the state fields {missing}, got {names}.")
        columns = [names.index(field.name) for field in self.policy_schema.state]

        def decide(states: np.ndarray) -> np.ndarray:
            seen = torch.as_tensor(states[..., columns], dtype=torch.float32, device=self.device)
            return self.decide(seen).actions.cpu().numpy()

        return decide

    @torch.no_grad()
    def augment(self, num_decisions: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Makes further decisions.

        With a generator of `decisions`, all is its work; with one of `actions`, it decides in states drawn from the
        state space; without one the twin does: pseudo-labels.

        Args:
            num_decisions: How many, at least 1.
            generator: Source of randomness on the device of the twin; torch's own by default.

        Returns:
            States `(num_decisions, K, S)`, masks `(num_decisions, K + 1)`, actions `(num_decisions,)`.

        Raises:
            RuntimeError: If the statistics were never fitted, or hardly any decision that the generator makes is
                allowed.
        """
        self.require_fitted()
        if num_decisions < 1:
            raise ValueError(f"`num_decisions` must be at least 1, got {num_decisions}.")
        if self.config.generator == "decisions":
            return self._made_decisions(num_decisions, generator)
        states = self.space.sample(num_decisions, generator)
        masks = self.space.masks(states)
        if self.config.generator == "none":
            return states, masks, self._logits(states, masks).argmax(dim=1)
        noise = self._noise(num_decisions, generator)
        logits = self.generator(self.encoder.flat(states, masks), noise).masked_fill(~masks, NEVER)
        return states, masks, logits.argmax(dim=1)

    @torch.no_grad()
    def fit_normalization(self, states: Tensor, masks: Tensor, labels: Tensor) -> None:
        """Sets the statistics from training data; arguments as in `forward`.

        Raises:
            ValueError: If a shape does not fit or a state is not finite.
        """
        self._checked(states, masks, needs_fit=False)
        self.encoder.fit(states)
        self.space.fit(states)
        counts = torch.bincount(labels, minlength=self.num_slices + 1)
        self.action_shares.copy_(counts / counts.sum())
        self.mark_fitted()

    @torch.no_grad()
    def follow_record(self, states: Tensor, labels: Tensor) -> None:
        """Makes synthetic decisions go where other training data have been; standardisation stays, so the weights keep
        their meaning.

        Args:
            states: `(B, K, S)`.
            labels: `(B,)` actions taken, whose shares become those of synthetic decisions.
        """
        self.require_fitted()
        known = self.space.longest.clone()
        self.space.fit(states)
        self.space.longest.copy_(self.space.longest.maximum(known))
        counts = torch.bincount(labels, minlength=self.num_slices + 1)
        self.action_shares.copy_(counts / counts.sum())

    @torch.no_grad()
    def calibrate(self, states: Tensor, masks: Tensor, labels: Tensor) -> None:
        """Chooses the temperature on decisions that the weights have not seen; arguments as in `forward`.

        It is the most probable one between 0.05 and 20 if its logarithm is a standard normal beforehand.
        """
        logits = self._logits(states, self._checked(states, masks)).double()

        def cost(log_temperature: float) -> float:
            likelihood = torch.log_softmax(logits * np.exp(-log_temperature), dim=1)
            return float(-likelihood.gather(1, labels[:, None]).sum()) + 0.5 * log_temperature**2

        self.temperature.fill_(float(np.exp(_lowest(cost, LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE))))

    @torch.no_grad()
    def features(self, states: Tensor, masks: Tensor | None = None) -> Tensor:
        """Returns standardised features of whole states, `(B, F)`: what distances of states are measured in."""
        return self.encoder.flat(states, self._checked(states, masks))

    def _logits(self, states: Tensor, masks: Tensor) -> Tensor:
        return self.classifier(*self.encoder(states, masks)).masked_fill(~masks, NEVER)

    def _cross_entropy(self, logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        losses = nn.functional.cross_entropy(logits, labels, reduction="none")
        return losses.mean() if weights is None else (weights * losses).sum() / weights.sum().clamp(min=1e-6)

    def _adversarial_loss(self, states: Tensor, masks: Tensor, labels: Tensor, objective: str) -> Tensor:
        """Returns the loss of the critic or the generator, with the weights of the other fixed."""
        with torch.set_grad_enabled(objective == GENERATOR):
            synthetic = self._synthetic_pairs(labels)
        if objective == GENERATOR:
            # Its weights as constants: gradients go through the critic, none into it.
            fixed = {name: weight.detach() for name, weight in self.critic.named_parameters()}
            return -functional_call(self.critic, fixed, (synthetic,)).mean()
        actions = nn.functional.one_hot(labels, self.num_slices + 1).to(states.dtype)
        recorded = torch.cat((self.encoder.flat(states, masks), actions), dim=1)
        share = torch.rand(len(recorded), 1, device=recorded.device)
        between = (share * recorded + (1 - share) * synthetic).requires_grad_()
        (slope,) = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
        penalty = (slope.norm(dim=1) - 1).square().mean()
        gap = self.critic(synthetic).mean() - self.critic(recorded).mean()
        return gap + self.config.gradient_penalty * penalty

    def _synthetic_pairs(self, labels: Tensor) -> Tensor:
        """Returns features and one-hot actions of as many synthetic decisions as there are labels."""
        noise, temperature = self._noise(len(labels)), self.config.gumbel_temperature
        if self.config.generator == "decisions":
            actions = nn.functional.one_hot(labels, self.num_slices + 1).float()
            states = self.generator(actions, noise, self.space, temperature, None)
            return torch.cat((self.encoder.flat(states, self.space.masks(states)), actions), dim=1)
        states = self.space.sample(len(labels))
        masks = self.space.masks(states)
        features = self.encoder.flat(states, masks)
        logits = self.generator(features, noise).masked_fill(~masks, NEVER)
        return torch.cat((features, gumbel_one_hot(logits, temperature)), dim=1)

    def _made_decisions(self, count: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor, Tensor]:
        states, masks, actions = [], [], []
        missing = count
        for _ in range(MAX_DRAWS):
            drawn = torch.multinomial(self.action_shares, 2 * missing + 16, replacement=True, generator=generator)
            one_hot = nn.functional.one_hot(drawn, self.num_slices + 1).float()
            noise = self._noise(len(drawn), generator)
            made = self.generator(one_hot, noise, self.space, self.config.gumbel_temperature, generator)
            made = self.space.project(made)
            allowed = self.space.masks(made)
            good = allowed.gather(1, drawn[:, None]).squeeze(1) & allowed[:, :-1].any(dim=1)
            for parts, values in ((states, made), (masks, allowed), (actions, drawn)):
                parts.append(values[good][:missing])
            missing = count - sum(len(part) for part in actions)
            if not missing:
                return torch.cat(states), torch.cat(masks), torch.cat(actions)
        raise RuntimeError("the generator makes hardly any decision that is allowed; train it for more steps.")

    def _noise(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        return torch.randn(count, self.config.noise_size, generator=generator, device=self.device)

    def _require_generator(self) -> None:
        if self.config.generator == "none":
            raise ValueError("`generator` of the configuration must be actions or decisions for this, got none.")

    def _checked(self, states: Tensor, masks: Tensor | None, needs_fit: bool = True) -> Tensor:
        """Returns the masks after checking them and the states."""
        if needs_fit:
            self.require_fitted()
        for name, values in (("states", states), ("masks", masks)):
            if not isinstance(values, Tensor) and not (values is None and name == "masks"):
                raise TypeError(f"`{name}` must be a torch tensor, got {type(values).__name__}.")
        shape = (self.num_slices, self.num_state)
        if states.ndim != 3 or states.shape[1:] != shape:
            names = [field.name for field in self.policy_schema.state]
            raise ValueError(
                f"`states` must have shape (B, {shape[0]}, {shape[1]}), the fields {names} of slices "
                f"{list(self.policy_schema.slices)}, got {tuple(states.shape)}."
            )
        if not torch.isfinite(states).all():
            raise ValueError("`states` must be finite; drop or repair the decisions that are not.")
        if masks is None:
            return self.space.masks(states)
        if masks.shape != (len(states), self.num_slices + 1) or not masks.bool().any(dim=1).all():
            raise ValueError(
                f"`masks` must have shape {(len(states), self.num_slices + 1)} with an action allowed in each, got "
                f"{tuple(masks.shape)}."
            )
        return masks.bool()


def _lowest(cost: Callable[[float], float], low: float, high: float) -> float:
    """Returns the logarithm between those of `low` and `high` of lowest cost, by golden section."""
    ratio = (np.sqrt(5) - 1) / 2
    left, right = float(np.log(low)), float(np.log(high))
    inner = [right - ratio * (right - left), left + ratio * (right - left)]
    costs = [cost(inner[0]), cost(inner[1])]
    for _ in range(SEARCH_STEPS):
        if costs[0] <= costs[1]:
            right, inner[1], costs[1] = inner[1], inner[0], costs[0]
            inner[0] = right - ratio * (right - left)
            costs[0] = cost(inner[0])
        else:
            left, inner[0], costs[0] = inner[0], inner[1], costs[1]
            inner[1] = left + ratio * (right - left)
            costs[1] = cost(inner[1])
    return (left + right) / 2
