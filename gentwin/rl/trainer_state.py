"""Saving and resuming a twin-enhanced training between rounds, without pickles."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gentwin.datasets import read_transitions, write_transitions
from gentwin.envs import RanSlicingVectorEnv
from gentwin.models import from_pretrained
from gentwin.rl.agent import AgentError

if TYPE_CHECKING:
    from gentwin.rl.twin_enhanced import TwinEnhancedTrainer

STATE, LEARNERS, NETWORK, RECORD, TWIN = "state.json", "learners.pt", "network.npz", "experience.parquet", "twin"


def save_trainer(trainer: TwinEnhancedTrainer, folder: str | os.PathLike) -> None:
    """Saves everything the next round of a trainer depends on.

    The folder appears complete or not at all. It holds `twin/` as `save_pretrained` writes it, the experience as
    `experience.parquet`, agents and buffer in `learners.pt` (plain tensors), where the network's environment stands in
    `network.npz`, and counters, arguments and random generators in `state.json`. A guard is not saved.

    Args:
        trainer: Between two rounds, after the first.
        folder: Must not exist.

    Raises:
        FileExistsError: If the folder exists.
        AgentError: If the environment's state cannot be taken down: it is not `gentwin/RanSlicing-v0`.
        ValueError: Before the first round.
    """
    target, env = Path(folder), _network(trainer)
    if target.exists():
        raise FileExistsError(f"{target} exists; choose another folder.")
    if not trainer.num_rounds:
        raise ValueError("`save` needs at least one round; call `run` first.")
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    snapshot = env.snapshot()
    arrays = {f"env.{name}": value for name, value in snapshot.items() if isinstance(value, np.ndarray)}
    numbers = {name: value for name, value in snapshot.items() if not isinstance(value, np.ndarray)}
    arrays |= {f"collector.{name}": value for name, value in trainer.collector.state_dict().items()}
    np.savez(partial / NETWORK, **arrays)
    state = {**_identity(trainer), "num_rounds": trainer.num_rounds, "env": numbers}
    state["rng"] = trainer.rng.bit_generator.state
    (partial / STATE).write_text(json.dumps(state, indent=1))
    parts = {"agent": trainer.agent, "apprentice": trainer.apprentice, "buffer": trainer.collector.buffer}
    torch.save({name: part.state_dict() for name, part in parts.items()}, partial / LEARNERS)
    write_transitions(partial / RECORD, trainer.experience.transitions())
    trainer.twin.save_pretrained(partial / TWIN)
    os.replace(partial, target)


def load_trainer(trainer: TwinEnhancedTrainer, folder: str | os.PathLike) -> None:
    """Lets a new trainer go on where a saved one was; further rounds are, bit by bit, those it would have made.

    Args:
        trainer: Made with the arguments of the saved one.
        folder: From `save_trainer`.

    Raises:
        FileNotFoundError: If there is no such folder.
        AgentError: If the trainer was made with other arguments; it is left as it is.
    """
    source, env = Path(folder), _network(trainer)
    state = json.loads((source / STATE).read_text())
    for name, value in _identity(trainer).items():
        if state[name] != value:
            raise AgentError(
                f"`{name}` must be what the training in {source} began with, {_difference(state[name], value)}."
            )
    experience = read_transitions(source / RECORD, trainer.experience.schema)
    twin = from_pretrained(source / TWIN).to(trainer.agent.device)
    learners = torch.load(source / LEARNERS, map_location=trainer.agent.device, weights_only=True)
    with np.load(source / NETWORK, allow_pickle=False) as file:
        arrays = dict(file)
    trainer.experience.restore(experience)
    parts = {"agent": trainer.agent, "apprentice": trainer.apprentice, "buffer": trainer.collector.buffer}
    for name, part in parts.items():
        part.load_state_dict(learners[name])
    env.restore({**_under("env.", arrays), **state["env"]})
    trainer.collector.load_state_dict(_under("collector.", arrays))
    trainer.rng.bit_generator.state = state["rng"]
    trainer.twin, trainer.num_rounds = twin, state["num_rounds"]


def _network(trainer: TwinEnhancedTrainer) -> RanSlicingVectorEnv:
    env = trainer.env.unwrapped
    if not isinstance(env, RanSlicingVectorEnv):
        raise AgentError(
            f"`env` must be 'gentwin/RanSlicing-v0' for a training that is saved, got {type(env).__name__}; the state "
            "of others cannot be taken down."
        )
    return env


def _identity(trainer: TwinEnhancedTrainer) -> dict[str, Any]:
    """Returns what a resumed training must share with the saved one, as JSON gives it back."""
    env, config = _network(trainer), trainer.agent.network.config.to_dict()
    config.pop("transformers_version", None)
    identity = {
        "seed": trainer.seed,
        "arguments": dataclasses.asdict(trainer.arguments),
        "learning": dataclasses.asdict(trainer.learning),
        "agent": config,
        "network": dataclasses.asdict(env.parameters),
        "num_envs": env.num_envs,
        "episode_steps": env.episode_steps,
        "utility_weights": env.utility.weights,
        "shaping": None if env.shaping is None else dataclasses.asdict(env.shaping),
        "placement_seed": env.placement_seed,
        **trainer.identity(),
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
