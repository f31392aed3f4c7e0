"""Learning in the network alone: the same agent, rounds and checkpoints as with a twin."""

from __future__ import annotations

from typing import Any

from accelerate import Accelerator
from gymnasium.vector import VectorEnv

from gentwin.models.q_network import QNetworkConfig
from gentwin.rl.learner import LearnerArguments
from gentwin.rl.loop import Guard, train
from gentwin.rl.rounds import Round, RoundTrainer


class PlainTrainer(RoundTrainer):
    """Acts and learns in the network, round by round; the baseline of every twin-enhanced method.

    Args:
        env: Vector environment the agent acts in.
        config: Of its Q-network.
        learning: Hyper-parameters.
        steps_per_round: Interactions of a round, at least 1.
        seed: Of everything.
        guard: Of its actions, if any.
        accelerator: Device; a new one by default.

    Raises:
        AgentError: If the Q-network does not fit the environment.
        ValueError: If algorithm and head do not fit each other, or `steps_per_round` is not positive.
    """

    def __init__(
        self,
        env: VectorEnv,
        config: QNetworkConfig,
        learning: LearnerArguments,
        steps_per_round: int,
        seed: int,
        guard: Guard | None = None,
        accelerator: Accelerator | None = None,
    ) -> None:
        if steps_per_round < 1:
            raise ValueError(f"`steps_per_round` must be at least 1, got {steps_per_round}.")
        super().__init__(env, config, learning, seed, guard, accelerator)
        self.steps_per_round = steps_per_round

    def round(self) -> Round:
        """Makes one round."""
        acting = train(self.agent, self.collector, self.steps_per_round, self.rng, guard=self.guard)
        self.num_rounds += 1
        return Round(self.collector.num_steps, self.agent.num_updates, acting)

    def identity(self) -> dict[str, Any]:
        """Returns the length of a round, which a resumed training must share with the saved one."""
        return {"steps_per_round": self.steps_per_round}
