"""Deep Q-learning: how a Q-network learns from a batch of transitions."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor, nn

from gentwin.models.q_network import QNetworkModel, allowed_values
from gentwin.rl.flat_parameters import FlatAdam, flatten
from gentwin.rl.replay import Batch

ALGORITHMS = ("dqn", "double_dqn", "gan_dqn")


@dataclass(frozen=True)
class LearnerArguments:
    """Hyper-parameters of Q-learning.

    Args:
        algorithm: `dqn` (Mnih et al. 2015), `double_dqn` (van Hasselt et al. 2016) or `gan_dqn` (Hua et al. 2020).
        discount: Of future rewards, 0 … below 1: per second where the environment says how much time passes between
            actions, `elapsed_s`, as in a semi-Markov decision process; else per step.
        learning_rate: Of Adam.
        batch_size: Transitions of an update.
        buffer_size: Transitions kept, at least `batch_size`.
        learning_starts: Transitions before the first update; actions are random until then.
        updates_per_step: Updates for every transition added, such as 1 or 0.25.
        target_update_rate: Share by which the target network follows at every update, above 0 … 1.
        exploration_final: Share of random actions in the end.
        exploration_decay_steps: The share of random actions is
            `final + (1 - final) * exp(-steps / exploration_decay_steps)`.
        max_grad_norm: Longest gradient.
        normalises: Whether observations and values are scaled by statistics of the first experience; else they are
            learned as they are, as most implementations do.
        gradient_penalty: Weight of the critic's gradient penalty, for `gan_dqn`.
        critic_updates: Updates of the critic before one of the generator, for `gan_dqn`.

    Raises:
        ValueError: If a value is out of range.
    """

    algorithm: str = "double_dqn"
    discount: float = 0.9
    learning_rate: float = 1e-3
    batch_size: int = 32
    buffer_size: int = 50_000
    learning_starts: int = 200
    updates_per_step: float = 1.0
    target_update_rate: float = 0.01
    exploration_final: float = 0.01
    exploration_decay_steps: float = 3000.0
    max_grad_norm: float = 10.0
    normalises: bool = True
    gradient_penalty: float = 10.0
    critic_updates: int = 5

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise ValueError(f"`algorithm` must be one of {ALGORITHMS}, got {self.algorithm!r}.")
        ranges = {
            "discount": (0 <= self.discount < 1, "at least 0 and below 1"),
            "learning_rate": (0 < self.learning_rate < math.inf, "above 0 and finite"),
            "batch_size": (self.batch_size >= 1, "at least 1"),
            "buffer_size": (self.buffer_size >= self.batch_size, f"at least `batch_size`, {self.batch_size}"),
            "learning_starts": (self.learning_starts >= 1, "at least 1"),
            "updates_per_step": (0 < self.updates_per_step < math.inf, "above 0 and finite"),
            "target_update_rate": (0 < self.target_update_rate <= 1, "above 0 and at most 1"),
            "exploration_final": (0 <= self.exploration_final <= 1, "from 0 to 1"),
            "exploration_decay_steps": (0 < self.exploration_decay_steps < math.inf, "above 0 and finite"),
            "max_grad_norm": (self.max_grad_norm > 0, "above 0"),
            "gradient_penalty": (0 <= self.gradient_penalty < math.inf, "at least 0 and finite"),
            "critic_updates": (self.critic_updates >= 1, "at least 1"),
        }
        for name, (holds, constraint) in ranges.items():
            if not holds:
                raise ValueError(f"`{name}` must be {constraint}, got {getattr(self, name)}.")

    def exploration(self, num_steps: int) -> float:
        """Returns the share of random actions after `num_steps` transitions."""
        final = self.exploration_final
        return final + (1 - final) * math.exp(-num_steps / self.exploration_decay_steps)


class QLearner:
    """Double or plain deep Q-learning with a slowly following target network.

    Acting is random with the share the caller gives, else greedy. An update makes one step of Adam on half the mean
    squared temporal difference; after a truncation the last state is still worth something, after a termination
    nothing is.

    Args:
        network: What learns, moved to the accelerator's device and not to be moved after; its statistics are set by
            [`prepare`][gentwin.rl.learner.QLearner.prepare].
        arguments: Hyper-parameters.
        accelerator: Device and, in several processes, averaging of gradients; a new one by default.

    Raises:
        ValueError: If the algorithm or the head is one for another learner, or the accelerator has mixed precision.

    Source: Mnih et al., "Human-level control through deep reinforcement learning" (Nature 518, 2015); van Hasselt et
    al., "Deep reinforcement learning with double Q-learning" (AAAI 2016). Deviations: Adam, soft target updates and a
    squared loss, as Zhang et al. and Hua et al. have them; the norm of the gradient is limited.
    """

    algorithms: ClassVar[tuple[str, ...]] = ("dqn", "double_dqn")
    heads: ClassVar[tuple[str, ...]] = ("plain", "dueling", "factorised")
    betas: ClassVar[tuple[float, float]] = (0.9, 0.999)

    def __init__(
        self, network: QNetworkModel, arguments: LearnerArguments, accelerator: Accelerator | None = None
    ) -> None:
        self.arguments = arguments
        self.accelerator = accelerator or Accelerator()
        self._refuse_misfits(network)
        self.network = network.to(self.accelerator.device).train()
        self.target = copy.deepcopy(self.network).requires_grad_(False)
        self.num_updates = 0
        self.owed_updates = 0.0  # part of an update that interactions have earned and none was made for yet
        self._build_optimizers()

    @property
    def device(self) -> torch.device:
        """Where the networks compute."""
        return self.accelerator.device

    @property
    def averaged(self) -> QNetworkModel:
        """The slowly following network, an average over recent updates: what to keep and judge.

        Its policy goes up and down less from update to update than that of `network`; it lags by some `1 /
        target_update_rate` updates.
        """
        return self.target

    @property
    def is_prepared(self) -> bool:
        """Whether the statistics of the network are set."""
        return bool(self.network.fitted)

    def prepare(self, batch: Batch) -> None:
        """Sets the statistics of the networks from some experience; in several processes, that of the first."""
        if not self.arguments.normalises:
            self.network.mark_fitted()
            self.target.mark_fitted()
            return
        batch = batch.to(self.device)
        self.network.fit_normalization(
            batch.observations,
            batch.rewards,
            self.arguments.discount,
            terminated=batch.terminated,
            elapsed_s=batch.elapsed_s,
        )
        if self.accelerator.num_processes > 1:
            for values in self.network.buffers():
                values.copy_(broadcast(values))
        for mine, theirs in zip(self.target.buffers(), self.network.buffers(), strict=True):
            mine.copy_(theirs)

    def act(
        self,
        observations: np.ndarray,
        exploration: float,
        rng: np.random.Generator,
        masks: np.ndarray | None = None,
    ) -> np.ndarray:
        """Returns actions `(B,)` int64, random with probability `exploration`.

        Args:
            observations: `(B, F)`.
            exploration: Share of random actions, drawn evenly from those allowed.
            rng: Source of randomness.
            masks: `(B, A)`, true or 1 where an action is allowed; all are by default.
        """
        num_actions = self.network.config.num_actions
        is_random = rng.random(len(observations)) < exploration
        if masks is None:
            actions = rng.integers(num_actions, size=len(observations))
        else:
            actions = np.where(masks, rng.random(masks.shape), -1.0).argmax(axis=1)
        if not is_random.all():
            actions = np.where(is_random, actions, self.greedy(observations, masks))
        return actions

    def greedy(self, observations: np.ndarray, masks: np.ndarray | None = None) -> np.ndarray:
        """Returns the best actions `(B,)` int64 for observations `(B, F)`, of those that masks `(B, A)` allow."""
        return greedy_actions(self.network, observations, masks)

    def update(self, batch: Batch, rng: np.random.Generator, pull: Pull | None = None) -> dict[str, Tensor]:
        """Makes one step of the optimiser.

        Args:
            batch: Transitions on any device.
            rng: Source of randomness, for algorithms that need it.
            pull: A penalty on the distance from other parameters (Zhang et al., eq. 13).

        Returns:
            Metrics as tensors: `loss`.
        """
        batch = batch.to(self.device)
        optimizer = self._optimizer
        loss = self.network.value_gradients(
            batch.observations, batch.actions, self._targets(batch), optimizer.gradients
        )
        if pull is not None:
            torch._foreach_add_(optimizer.gradients, pull.gradients(self.network))
        optimizer.step()
        self._follow()
        return {"loss": loss}

    def loss(self, batch: Batch, rng: np.random.Generator) -> Tensor:
        """Returns half the mean squared temporal difference `()`, in units of the network's `return_scale`."""
        labels = self._targets(batch)
        chosen = self.network.relative_values(batch.observations).gather(1, batch.actions[:, None]).squeeze(1)
        return 0.5 * (chosen - labels).square().mean()

    @torch.no_grad()
    def _targets(self, batch: Batch) -> Tensor:
        values = self.target.relative_values(batch.next_observations)
        if self.arguments.algorithm == "double_dqn":
            ours = allowed_values(self.network.relative_values(batch.next_observations), batch.next_masks)
            best = ours.argmax(dim=1, keepdim=True)
            following = values.gather(1, best).squeeze(1)
        else:
            following = allowed_values(values, batch.next_masks).amax(dim=1)
        return self._bellman(batch.rewards, self._kept(batch), following)

    def _kept(self, batch: Batch) -> Tensor:
        """Returns what share `(B,)` of the value of the next state counts: the discount, and nothing after the end."""
        if batch.elapsed_s is None:
            return self.arguments.discount * (1 - batch.terminated)
        return self.arguments.discount**batch.elapsed_s * (1 - batch.terminated)

    def _bellman(self, rewards: Tensor, kept: Tensor, following: Tensor) -> Tensor:
        """Returns relative returns of actions, given the relative returns of what follows."""
        self.network.require_fitted()
        offset, scale = self.network.return_offset, self.network.return_scale
        following = torch.addcmul(offset, following, scale)
        return (torch.addcmul(rewards, kept, following) - offset) / scale

    def _refuse_misfits(self, network: QNetworkModel) -> None:
        name, head, precision = self.arguments.algorithm, network.config.head, self.accelerator.mixed_precision
        if name not in self.algorithms:
            raise ValueError(
                f"`algorithm` must be one of {self.algorithms} for {type(self).__name__}, got {name!r}; use "
                "`make_learner`."
            )
        if head not in self.heads:
            raise ValueError(f"`head` of the network must be one of {self.heads} for {name!r}, got {head!r}.")
        if precision != "no":
            raise ValueError(f"`mixed_precision` must be 'no' for networks as small as these, got {precision!r}.")

    def _learned(self, network: QNetworkModel) -> list[nn.Parameter]:
        """Returns what temporal differences teach in a network like `network`."""
        return list(network.parameters())

    def _build_optimizers(self) -> None:
        self._optimizer = self._adam(self._learned(self.network))
        self._target_values = flatten(self._learned(self.target))
        with torch.no_grad():
            self._target_values.copy_(self._optimizer.values)

    def _adam(self, parameters: list[nn.Parameter]) -> FlatAdam:
        return FlatAdam(
            parameters, self.arguments.learning_rate, self.betas, self.arguments.max_grad_norm, self.accelerator
        )

    @torch.no_grad()
    def _follow(self) -> None:
        self._target_values.lerp_(self._optimizer.values, self.arguments.target_update_rate)
        self.num_updates += 1

    @torch.no_grad()
    def copy_from(self, other: QLearner) -> None:
        """Takes over networks and statistics of another learner, not the state of its optimiser."""
        for mine, theirs in ((self.network, other.network), (self.target, other.target)):
            mine.load_state_dict(theirs.state_dict())

    def state_dict(self) -> dict:
        """Returns everything learning goes on from, as tensors and numbers."""
        return {
            "network": self.network.state_dict(),
            "target": self.target.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "num_updates": self.num_updates,
            "owed_updates": self.owed_updates,
        }

    def load_state_dict(self, state: dict) -> None:
        """Puts back what `state_dict` returned."""
        self.network.load_state_dict(state["network"])
        self.target.load_state_dict(state["target"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.num_updates = int(state["num_updates"])
        self.owed_updates = float(state["owed_updates"])


def greedy_actions(network: QNetworkModel, observations: np.ndarray, masks: np.ndarray | None = None) -> np.ndarray:
    """Returns the best actions `(B,)` int64 of a network for observations `(B, …)`, of those that masks allow."""
    flat = np.ascontiguousarray(observations, np.float32).reshape(len(observations), -1)
    allowed = None if masks is None else torch.from_numpy(np.asarray(masks, bool)).to(network.device)
    return network.greedy(torch.from_numpy(flat).to(network.device), allowed).cpu().numpy()


class Pull:
    """A penalty `weight / 2 * |theta - theta_0|^2` that pulls a network's parameters towards others.

    Args:
        network: Holds `theta_0`, copied.
        weight: nu, at least 0.

    Raises:
        ValueError: If the weight is negative.

    Source: Zhang et al., equation 13.
    """

    def __init__(self, network: QNetworkModel, weight: float) -> None:
        if not 0 <= weight < math.inf:
            raise ValueError(f"`weight` must be at least 0 and finite, got {weight}.")
        self.weight = weight
        self._centre = [parameter.detach().clone() for parameter in network.parameters()]

    def __call__(self, network: QNetworkModel) -> Tensor:
        """Returns the penalty `()`."""
        distances = torch._foreach_sub(list(network.parameters()), self._centre)
        return 0.5 * self.weight * sum(distance.square().sum() for distance in distances)

    @torch.no_grad()
    def gradients(self, network: QNetworkModel) -> list[Tensor]:
        """Returns the gradient of the penalty for every parameter."""
        distances = torch._foreach_sub(list(network.parameters()), self._centre)
        torch._foreach_mul_(distances, self.weight)
        return list(distances)
