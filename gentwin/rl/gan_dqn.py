"""Dueling GAN-DDQN: returns of actions as samples of a generator, judged by a critic."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from gentwin.models.q_network import QNetworkModel, allowed_values
from gentwin.rl.flat_parameters import flatten
from gentwin.rl.learner import Pull, QLearner
from gentwin.rl.replay import Batch


class GanQLearner(QLearner):
    """Learns the distribution of returns with a Wasserstein GAN and their means by temporal differences.

    The generator turns a state and noise into `K` particles of every action's return; the sample to imitate is
    `r + discount * particles` of the best action in the next state, from the target network. The critic tells the two
    apart: its loss is `mean D(generated) - mean D(target)` plus the gradient penalty. The generator's loss is
    `-mean D(generated)` plus half the mean squared difference of the particles' means. Actions are those with the
    largest mean, for which the noise is fixed at its middle.

    An update makes `critic_updates` steps of the critic, each with fresh noise, then one of the generator, all on one
    batch.

    Args:
        network: With head `particles`.
        arguments: Hyper-parameters with algorithm `gan_dqn`.
        accelerator: Device and, in several processes, averaging of gradients; a new one by default.

    Raises:
        ValueError: If the algorithm or the head is one for another learner, or the accelerator has mixed precision.

    Source: Hua et al., "GAN-powered deep distributional reinforcement learning for resource management in network
    slicing" (IEEE JSAC 38(2), 2020), algorithm 2; Zhang et al. use it as an agent. Deviations from the published code:
    the critic's target holds the reward of the transition, where the code has the constant 1; particles may be negative
    and are relative to the statistics of the network, where the code ends values in a ReLU; one Adam makes the step of
    both terms of the generator's loss, where the code has one for each; the best next action is the one that would be
    taken, where the code asks a sample, whose maximum is too large on average; the critic's slope is limited per root
    mean square of the particles, not per length, or it would outweigh temporal differences the more particles there
    are; the target follows at every update, the norm of gradients is limited, and no learning rate decays.
    """

    algorithms: ClassVar[tuple[str, ...]] = ("gan_dqn",)
    heads: ClassVar[tuple[str, ...]] = ("particles",)
    betas: ClassVar[tuple[float, float]] = (0.5, 0.999)

    def update(self, batch: Batch, rng: np.random.Generator, pull: Pull | None = None) -> dict[str, Tensor]:
        """Makes the steps of the critic and one of the generator.

        Args:
            batch: Transitions on any device.
            rng: Source of the noise.
            pull: A penalty on the distance from other parameters (Zhang et al., eq. 13), felt by the generator.

        Returns:
            Metrics as tensors: `loss`, the temporal difference term; `critic_loss` of the last step of the critic; and
            `distance`, by how much the critic's mean of targets is above that of generated particles.
        """
        batch = batch.to(self.device)
        # Neither network of particles changes while the critic learns, so all its samples come from one pass.
        count = self.arguments.critic_updates
        targets = self._target_particles(batch, rng, count + 1)
        with torch.no_grad():
            generated = self._generated(batch, rng, count)
        for found, wanted in zip(generated, targets, strict=False):
            critic_loss, distance = self._critic_loss(found, wanted, rng)
            self._critic_optimizer.minimise(critic_loss)
        loss, judged = self._generator_terms(batch, targets[-1], rng)
        total = loss - judged
        self._optimizer.minimise(total if pull is None else total + pull(self.network))
        self._follow()
        return {"loss": loss.detach(), "critic_loss": critic_loss.detach(), "distance": distance.detach()}

    def loss(self, batch: Batch, rng: np.random.Generator) -> Tensor:
        """Returns half the mean squared temporal difference of the particles' means `()`."""
        return self._generator_terms(batch, self._target_particles(batch, rng, 1)[0], rng)[0]

    def _generator_terms(self, batch: Batch, targets: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        (generated,) = self._generated(batch, rng, 1)
        loss = 0.5 * (generated.mean(dim=1) - targets.mean(dim=1)).square().mean()
        return loss, self.network.critic(generated).mean()

    def _critic_loss(self, generated: Tensor, targets: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        critic, size = self.network.critic, len(targets)
        judged = critic(torch.cat((targets, generated))).squeeze(1)
        distance = judged[:size].mean() - judged[size:].mean()
        between = torch.lerp(generated, targets, self._uniform(rng, size, 1)).requires_grad_()
        (slopes,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        steepness = slopes.norm(dim=1) * targets.shape[1] ** 0.5
        penalty = (steepness - 1).square().mean()
        return self.arguments.gradient_penalty * penalty - distance, distance

    def _generated(self, batch: Batch, rng: np.random.Generator, count: int) -> Tensor:
        """Returns samples of particles of the actions taken, `(count, B, K)`."""
        particles = self._draw(self.network, batch.observations, batch.actions, rng, count)
        return particles.unflatten(0, (count, -1))

    @torch.no_grad()
    def _target_particles(self, batch: Batch, rng: np.random.Generator, count: int) -> Tensor:
        """Returns samples of particles that the actions taken should have, `(count, B, K)`."""
        best = allowed_values(self.target.relative_values(batch.next_observations), batch.next_masks).argmax(dim=1)
        following = self._draw(self.target, batch.next_observations, best, rng, count).unflatten(0, (count, -1))
        return self._bellman(batch.rewards[:, None], self._kept(batch)[:, None], following)

    def _draw(
        self, network: QNetworkModel, observations: Tensor, actions: Tensor, rng: np.random.Generator, count: int
    ) -> Tensor:
        """Returns particles `(count * B, K)` of actions `(B,)`, with noise of their own."""
        noise = self._uniform(rng, count * len(actions), network.config.noise_size)
        particles = network.particles(observations.repeat(count, 1), noise)
        return particles[torch.arange(len(noise), device=noise.device), actions.repeat(count)]

    def _uniform(self, rng: np.random.Generator, *shape: int) -> Tensor:
        return torch.from_numpy(rng.random(shape, dtype=np.float32)).to(self.device)

    def _learned(self, network: QNetworkModel) -> list[nn.Parameter]:
        return list(network.generator.parameters())

    def _build_optimizers(self) -> None:
        super()._build_optimizers()
        self._critic_optimizer = self._adam(list(self.network.critic.parameters()))
        self._target_critic_values = flatten(list(self.target.critic.parameters()))
        with torch.no_grad():
            self._target_critic_values.copy_(self._critic_optimizer.values)

    @torch.no_grad()
    def _follow(self) -> None:
        # Nothing is learned from the target's critic, but it is saved with `averaged`, for whoever goes on from there.
        super()._follow()
        self._target_critic_values.lerp_(self._critic_optimizer.values, self.arguments.target_update_rate)

    def state_dict(self) -> dict:
        """Returns everything learning goes on from, as tensors and numbers."""
        return {**super().state_dict(), "critic_optimizer": self._critic_optimizer.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        """Puts back what `state_dict` returned."""
        super().load_state_dict(state)
        self._critic_optimizer.load_state_dict(state["critic_optimizer"])
