"""Trainings in rounds that can be saved between two of them and go on bit by bit, without pickles."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from gymnasium.vector import VectorEnv

from gentwin.models.q_network import QNetworkConfig, QNetworkModel
from gentwin.rl.agent import AgentError, make_learner, require_fit
from gentwin.rl.collector import Collector, Listener
from gentwin.rl.learner import LearnerArguments
from gentwin.rl.loop import Guard, Progress
from gentwin.rl.replay import ReplayBuffer

STATE, LEARNERS, NETWORK = "state.json", "learners.pt", "network.npz"


@dataclass(frozen=True)
class Round:
    """What one round has brought.

    Args:
        real_steps: Interactions with the network so far.
        num_updates: Updates so far, of all agents.
        acting: Progress in the network, before a twin was fitted if there is one.
        practice: Progress of agent 2 in the twin; `None` without one.
        fine_tuning: Progress of agent 1 in the network after it was empowered; `None` without such steps.
    """

    real_steps: int
    num_updates: int
    acting: Progress
    practice: Progress | None = None
    fine_tuning: Progress | None = None


class RoundTrainer(ABC):
    """Base class of trainings that proceed in rounds.

    A subclass implements `round` and `identity`; it extends `parts` by what else has a `state_dict`, and `save_rest`
    and `read_rest` by what has none.

    Args:
        env: Vector environment of the network; its interactions are what counts. To be saved,
            `gentwin/RanSlicing-v0` or `gentwin/SliceAdmission-v0`.
        config: Of the Q-network.
        learning: Hyper-parameters.
        seed: Of everything. The seeds of weights, network and decisions are derived from it, so that trainings with
            neighbouring seeds share nothing.
        guard: Maps observations, the actions meant and which episodes have just begun to the actions taken in the
            network, such as a [`ViolationGuard`][gentwin.rl.guard.ViolationGuard].
        accelerator: Device; a new one by default.
        listener: Told of every step in the network, as a [`Collector`][gentwin.rl.collector.Collector] tells it.

    Attributes:
        agent: What learns to act in the network.
        collector: The interaction with the network.
        rng: Source of randomness for decisions and batches.
        num_rounds: Rounds made so far.

    Raises:
        AgentError: If the Q-network does not fit the environment.
        ValueError: If algorithm and head do not fit each other.
    """

    def __init__(
        self,
        env: VectorEnv,
        config: QNetworkConfig,
        learning: LearnerArguments,
        seed: int,
        guard: Guard | None = None,
        accelerator: Accelerator | None = None,
        listener: Listener | None = None,
    ) -> None:
        self.env, self.learning, self.seed, self.guard = env, learning, seed, guard
        self.accelerator = accelerator or Accelerator()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.derived_seed("weights"))
            network = QNetworkModel(config)
        require_fit(network, env)
        self.agent = make_learner(network, learning, self.accelerator)
        self.rng = np.random.default_rng(self.derived_seed("decisions"))
        buffer = ReplayBuffer(learning.buffer_size, len(config.observation_fields))
        self.collector = Collector(env, self.derived_seed("network"), buffer, listener)
        self.num_rounds = 0

    def derived_seed(self, purpose: str, number: int = 0) -> int:
        """Returns a seed for one purpose, unlike those for others and those of other trainings."""
        return int(np.random.SeedSequence((self.seed, number, *purpose.encode())).generate_state(1)[0])

    @abstractmethod
    def round(self) -> Round:
        """Makes one round."""

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Returns what else a resumed training must share with the saved one, as JSON holds it."""

    def parts(self) -> dict[str, Any]:
        """Returns what is saved by `state_dict`: learners, buffer and a guard that has one."""
        parts = {"agent": self.agent, "buffer": self.collector.buffer}
        return parts | ({"guard": self.guard} if hasattr(self.guard, "state_dict") else {})

    def save_rest(self, folder: Path) -> None:  # noqa: B027 (most have nothing more)
        """Saves what `parts` are not."""

    def read_rest(self, folder: Path) -> Callable[[], None]:
        """Reads what `save_rest` saved; returns what puts it in place."""
        return lambda: None

    def run(self, num_rounds: int, on_round: Callable[[Round], None] | None = None) -> list[Round]:
        """Makes `num_rounds` more rounds.

        Args:
            num_rounds: At least 1.
            on_round: Called after every round.

        Raises:
            ValueError: If `num_rounds` is not positive.
        """
        if num_rounds < 1:
            raise ValueError(f"`num_rounds` must be at least 1, got {num_rounds}.")
        rounds = []
        for _ in range(num_rounds):
            rounds.append(self.round())
            if on_round is not None:
                on_round(rounds[-1])
        return rounds

    def save(self, folder: str | os.PathLike) -> None:
        """Saves everything the next round depends on.

        The folder appears complete or not at all. It holds learners and buffer in `learners.pt` (plain tensors), where
        the network's environment stands in `network.npz`, and counters, arguments and random generators in
        `state.json`; with a twin also `twin/` as `save_pretrained` writes it and the experience as
        `experience.parquet`.

        Args:
            folder: Must not exist.

        Raises:
            FileExistsError: If the folder exists.
            AgentError: If the environment's state cannot be taken down: it has no `snapshot`.
            ValueError: Before the first round.
        """
        target, env = Path(folder), self._network()
        if target.exists():
            raise FileExistsError(f"{target} exists; choose another folder.")
        if not self.num_rounds:
            raise ValueError("`save` needs at least one round; call `run` first.")
        partial = target.with_name(target.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        snapshot = env.snapshot()
        arrays = {f"env.{name}": value for name, value in snapshot.items() if isinstance(value, np.ndarray)}
        numbers = {name: value for name, value in snapshot.items() if not isinstance(value, np.ndarray)}
        arrays |= {f"collector.{name}": value for name, value in self.collector.state_dict().items()}
        np.savez(partial / NETWORK, **arrays)
        state = {**self._whole_identity(), "num_rounds": self.num_rounds, "env": numbers}
        state["rng"] = self.rng.bit_generator.state
        (partial / STATE).write_text(json.dumps(state, indent=1), encoding="utf-8")
        torch.save({name: part.state_dict() for name, part in self.parts().items()}, partial / LEARNERS)
        self.save_rest(partial)
        os.replace(partial, target)

    def load_state(self, folder: str | os.PathLike) -> None:
        """Goes on where a saved training was; further rounds are, bit by bit, those it would have made.

        Args:
            folder: From `save`, of a trainer made with the same arguments.

        Raises:
            FileNotFoundError: If there is no such folder.
            AgentError: If this trainer was made with other arguments; it is left as it is.
        """
        source, env = Path(folder), self._network()
        state = json.loads((source / STATE).read_text(encoding="utf-8"))
        for name, value in self._whole_identity().items():
            if state.get(name) != value:
                raise AgentError(
                    f"`{name}` must be what the training in {source} began with, {_difference(state.get(name), value)}."
                )
        put_rest_in_place = self.read_rest(source)
        learners = torch.load(source / LEARNERS, map_location=self.agent.device, weights_only=True)
        with np.load(source / NETWORK, allow_pickle=False) as file:
            arrays = dict(file)
        if learners.keys() != self.parts().keys():
            raise AgentError(
                f"{source} must hold the parts {sorted(self.parts())}, got {sorted(learners)}; it was saved with "
                "another kind of guard or is damaged."
            )
        put_rest_in_place()
        for name, part in self.parts().items():
            part.load_state_dict(learners[name])
        env.restore({**_under("env.", arrays), **state["env"]})
        self.collector.load_state_dict(_under("collector.", arrays))
        self.rng.bit_generator.state = state["rng"]
        self.num_rounds = state["num_rounds"]

    def _network(self) -> VectorEnv:
        env = self.env.unwrapped
        if not all(hasattr(env, name) for name in ("snapshot", "restore", "identity")):
            raise AgentError(
                "`env` must be 'gentwin/RanSlicing-v0' or 'gentwin/SliceAdmission-v0' for a training that is saved, "
                f"got {type(env).__name__}; the state of others cannot be taken down."
            )
        return env

    def _whole_identity(self) -> dict[str, Any]:
        env, config = self._network(), self.agent.network.config.to_dict()
        config.pop("transformers_version", None)
        identity = {
            "kind": type(self).__name__,
            "seed": self.seed,
            "learning": dataclasses.asdict(self.learning),
            "agent": config,
            **env.identity(),
            "guard": self.guard.identity() if hasattr(self.guard, "identity") else None,
            **self.identity(),
        }
        return json.loads(json.dumps(identity))


def _difference(saved: Any, found: Any) -> str:
    """Says where two values differ."""
    if isinstance(saved, dict) and isinstance(found, dict):
        for name in saved | found:
            if saved.get(name) != found.get(name):
                return f"{saved.get(name)!r} for `{name}`, got {found.get(name)!r}"
    return f"{saved!r}, got {found!r}"


def _under(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}
