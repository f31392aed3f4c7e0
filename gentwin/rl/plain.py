"""Learning in the network alone: the same agent, rounds and checkpoints as with a twin."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from gymnasium.vector import VectorEnv

from gentwin.models.q_network import QNetworkConfig, QNetworkModel
from gentwin.rl.agent import require_fit
from gentwin.rl.collector import Collector
from gentwin.rl.learner import LearnerArguments
from gentwin.rl.learner_factory import make_learner
from gentwin.rl.replay import ReplayBuffer
from gentwin.rl.training import Progress, train
from gentwin.rl.twin_enhanced import Round

STATE, LEARNER, NETWORK = "state.json", "learner.pt", "network.npz"


class PlainTrainer:
    """Acts and learns in the network, round by round; the baseline of every twin-enhanced method.

    Args:
        env: Vector environment the agent acts in; to be saved, `gentwin/RanSlicing-v0`.
        config: Of its Q-network.
        learning: Hyper-parameters.
        steps_per_round: Interactions of a round, at least 1.
        seed: Of everything.
        accelerator: Device; a new one by default.

    Attributes:
        agent: The learner.
        collector: The interaction with the network.
        num_rounds: Rounds made so far.

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
        accelerator: Accelerator | None = None,
    ) -> None:
        if steps_per_round < 1:
            raise ValueError(f"`steps_per_round` must be at least 1, got {steps_per_round}.")
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = QNetworkModel(config)
        require_fit(network, env)
        self.env, self.steps_per_round = env, steps_per_round
        self.agent = make_learner(network, learning, accelerator)
        buffer = ReplayBuffer(learning.buffer_size, len(config.observation_fields))
        self.collector = Collector(env, seed, buffer)
        self.rng = np.random.default_rng(seed)
        self.num_rounds = 0

    def round(self) -> Round:
        """Makes one round."""
        acting = train(self.agent, self.collector, self.steps_per_round, self.rng)
        self.num_rounds += 1
        return Round(self.collector.num_steps, self.agent.num_updates, Progress(), acting)

    def save(self, folder: str | Path) -> None:
        """Writes everything the next round goes on from: tensors, arrays and JSON.

        Args:
            folder: Must not exist; it appears complete or not at all.

        Raises:
            FileExistsError: If the folder exists.
        """
        folder = Path(folder)
        if folder.exists():
            raise FileExistsError(f"{folder} exists; choose another folder.")
        partial = folder.with_name(f"{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        torch.save({"agent": self.agent.state_dict(), "replay": self.collector.buffer.state_dict()}, partial / LEARNER)
        snapshot = self.env.unwrapped.snapshot()
        arrays = {f"env.{name}": value for name, value in snapshot.items() if isinstance(value, np.ndarray)}
        numbers = {name: value for name, value in snapshot.items() if not isinstance(value, np.ndarray)}
        arrays |= {f"collector.{name}": value for name, value in self.collector.state_dict().items()}
        np.savez(partial / NETWORK, **arrays)
        state = {"num_rounds": self.num_rounds, "rng": self.rng.bit_generator.state, "env": numbers}
        (partial / STATE).write_text(json.dumps(state), encoding="utf-8")
        os.replace(partial, folder)

    def load_state(self, folder: str | Path) -> None:
        """Goes on where a trainer of the same arguments was saved; further rounds are those it would have made.

        Raises:
            FileNotFoundError: If there is no such folder.
            ValueError: If it is of another agent, buffer or environment.
        """
        folder = Path(folder)
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        learner = torch.load(folder / LEARNER, map_location=self.agent.device, weights_only=True)
        with np.load(folder / NETWORK, allow_pickle=False) as file:
            arrays = dict(file)
        self.agent.load_state_dict(learner["agent"])
        self.collector.buffer.load_state_dict(learner["replay"])
        self.env.unwrapped.restore({**_under("env.", arrays), **state["env"]})
        self.collector.load_state_dict(_under("collector.", arrays))
        self.num_rounds = state["num_rounds"]
        self.rng.bit_generator.state = state["rng"]


def _under(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}
