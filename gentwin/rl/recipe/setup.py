"""From the arguments of a run to what it needs: network, agent, trainer and checkpoints."""

from __future__ import annotations

import dataclasses
import inspect
import json
import shutil
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import gymnasium
from accelerate import Accelerator
from gymnasium.vector import VectorEnv
from huggingface_hub.errors import StrictDataclassError

from gentwin.envs import RanSlicingVectorEnv
from gentwin.models import from_pretrained
from gentwin.models.modeling_dynamics import DynamicsTwin
from gentwin.models.q_network import QNetworkConfig, QNetworkModel
from gentwin.networks.slicing import SlicingParameters
from gentwin.rl.agent import q_network_config, require_fit
from gentwin.rl.guard import ViolationGuard, worst_violations
from gentwin.rl.learner import LearnerArguments
from gentwin.rl.plain import PlainTrainer
from gentwin.rl.recipe.arguments import ENVIRONMENT, VIOLATION, AgentSections, RunArguments
from gentwin.rl.rounds import RoundTrainer
from gentwin.rl.twin_enhanced import TwinEnhancedArguments, TwinEnhancedTrainer
from gentwin.schema import did_you_mean
from gentwin.training.arguments import ArgumentsError, require
from gentwin.training.checkpoints import list_checkpoints, mark_complete

LEFT_TO_THE_RUN = {"num_envs": "`num_envs`, outside of the sections"}
FOLLOWS_FROM_NETWORK = ("observation_fields", "observation_scales", "num_actions", "num_slices", "num_units")
NO_RECORD = "no record"  # in place of the fingerprint of a data set
KEPT_CHECKPOINTS = 2
Settings = TypeVar("Settings")


@dataclass(frozen=True)
class AgentSetup:
    """What the sections of an `AgentSections` stand for, checked.

    Args:
        env: The network the agent acts in.
        evaluation_env: The network it is judged on.
        config: Of its Q-network.
        learning: Hyper-parameters.
        twin_enhanced: Loops with a twin.
        start_from: Network to go on from, if any.
        guard: Of exploration, if any.
    """

    env: VectorEnv
    evaluation_env: VectorEnv
    config: QNetworkConfig
    learning: LearnerArguments
    twin_enhanced: TwinEnhancedArguments
    start_from: QNetworkModel | None
    guard: ViolationGuard | None


def build_setup(sections: AgentSections, run: RunArguments) -> AgentSetup:
    """Makes everything a run needs; what does not fit is refused here, before the first step.

    Raises:
        ArgumentsError: If a section has an unknown entry, a value is of the wrong type or out of range, or agent and
            network do not fit each other.
    """
    learning = read_section(LearnerArguments, sections.learning, "learning")
    if not run.use_twin:
        starts, first = learning.learning_starts, run.plain_steps_per_round
        remedy = "choose longer rounds or an earlier start"
        require(starts <= first, "learning.learning_starts", f"within the first round of {first}", starts, remedy)
    enhanced = read_section(TwinEnhancedArguments, sections.twin_enhanced, "twin_enhanced")
    env, evaluation_env = (_network(sections.network, copies) for copies in (run.num_envs, run.evaluation_copies))
    started = _loaded(run.start_from, sections.agent)
    try:
        if started is None:
            config = _config(env, sections.agent)
        else:
            require_fit(started, env)
            config = started.config
    except ValueError as error:
        where = "start_from" if started is not None else "agent"
        raise ArgumentsError(f"section or argument `{where}`: {error}") from error
    return AgentSetup(env, evaluation_env, config, learning, enhanced, started, _guard(env, run))


def make_trainer(setup: AgentSetup, run: RunArguments, accelerator: Accelerator | None = None) -> RoundTrainer:
    """Returns the trainer of a run, before its first round.

    Raises:
        ArgumentsError: If algorithm, head and network do not fit each other.
    """
    try:
        if run.use_twin:
            loops = setup.twin_enhanced
            trainer: RoundTrainer = TwinEnhancedTrainer(
                setup.env, setup.config, setup.learning, loops, run.seed, setup.guard, accelerator
            )
        else:
            steps = run.plain_steps_per_round
            trainer = PlainTrainer(setup.env, setup.config, setup.learning, steps, run.seed, setup.guard, accelerator)
    except (ValueError, TypeError) as error:
        raise ArgumentsError(str(error)) from error
    if setup.start_from is not None:
        for network in (trainer.agent.network, trainer.agent.target):
            network.load_state_dict(setup.start_from.state_dict())
    return trainer


def guard_counts(trainer: RoundTrainer) -> dict[str, int]:
    """Returns how often a guard was asked, and how often it had to step in; nothing without one."""
    guard = trainer.guard
    if not isinstance(guard, ViolationGuard):
        return {}
    return {
        "guarded_decisions": guard.num_decisions,
        "replaced_by_the_guard": guard.num_replaced,
        "without_an_allowed_allocation": guard.num_without_choice,
    }


def violation_figures(trainer: RoundTrainer, run: RunArguments) -> dict[str, float]:
    """Returns how often the network broke its SLAs in all interactions of a run.

    A window is violated if some slice lost more than `guard_bound` of its packets to its SLA, without a guard more than
    `VIOLATION`. Empty for a trainer that keeps no record of its interactions.
    """
    if not isinstance(trainer, TwinEnhancedTrainer):
        return {}
    bound = VIOLATION if run.guard_bound is None else run.guard_bound
    worst = worst_violations(trainer.experience.transitions())
    return {
        "violation_bound": bound,
        "violated_windows": int((worst > bound).sum()),
        "mean_worst_violation": float(f"{worst.mean():.6g}"),
    }


def save_round(
    output_dir: str | Path, trainer: RoundTrainer, history: Sequence[Mapping[str, float]], shaping: Mapping[str, Any]
) -> None:
    """Writes a checkpoint from which the next round goes on; only the last two are kept.

    Args:
        output_dir: Of the run.
        trainer: After a round.
        history: One entry for each round so far.
        shaping: From `shaping_arguments`.
    """
    folder = Path(output_dir) / f"checkpoint-{len(history)}"
    folder.mkdir(parents=True)
    trainer.save(folder / "trainer")
    (folder / "history.json").write_text(json.dumps(list(history)), encoding="utf-8")
    mark_complete(folder, NO_RECORD, shaping)
    for old in list_checkpoints(output_dir)[:-KEPT_CHECKPOINTS]:
        shutil.rmtree(old)


def read_section(cls: type[Settings], values: dict[str, Any], name: str) -> Settings:
    """Returns a dataclass made of a mapping.

    Args:
        cls: The dataclass; a field that is a dataclass itself takes a mapping.
        values: Some of its fields.
        name: Of the section, for messages.

    Raises:
        ArgumentsError: If an entry is unknown, of the wrong type or out of range.
    """
    kinds = typing.get_type_hints(cls)
    known = [entry.name for entry in dataclasses.fields(cls)]
    given = {}
    for key, value in values.items():
        if key not in known:
            raise ArgumentsError(f"`{name}.{key}` is not an argument{did_you_mean(str(key), known)}")
        kind = kinds[key]
        if dataclasses.is_dataclass(kind):
            require(isinstance(value, dict), f"{name}.{key}", "a mapping", value)
            given[key] = read_section(kind, value, f"{name}.{key}")
        else:
            require(_is_a(value, kind), f"{name}.{key}", f"of type {getattr(kind, '__name__', kind)}", value)
            given[key] = value
    try:
        return cls(**given)
    except ValueError as error:
        raise ArgumentsError(f"section `{name}`: {error}") from error


def _is_a(value: Any, kind: Any) -> bool:
    """Returns whether a value read from YAML can stand for a type annotation."""
    if isinstance(kind, types.UnionType):
        return any(_is_a(value, part) for part in typing.get_args(kind))
    plain = typing.get_origin(kind) or kind
    if isinstance(value, bool) and plain is not bool:
        return False
    return isinstance(value, (int, float) if plain is float else (list, tuple) if plain is tuple else plain)


def _network(values: dict[str, Any], num_envs: int) -> VectorEnv:
    known = [name for name in inspect.signature(RanSlicingVectorEnv).parameters if name != "parameters"]
    known += [entry.name for entry in dataclasses.fields(SlicingParameters)]
    for key in values:
        if key not in known or key in LEFT_TO_THE_RUN:
            remedy = f"; it is {LEFT_TO_THE_RUN[key]}." if key in LEFT_TO_THE_RUN else did_you_mean(str(key), known)
            raise ArgumentsError(f"`network.{key}` is not an argument of {ENVIRONMENT} here{remedy}")
    try:
        return gymnasium.make_vec(ENVIRONMENT, num_envs=num_envs, **{"episode_steps": None, **values})
    except (ValueError, TypeError) as error:
        raise ArgumentsError(f"section `network`: {error}") from error


def _config(env: VectorEnv, values: dict[str, Any]) -> QNetworkConfig:
    known = [entry.name for entry in dataclasses.fields(QNetworkConfig) if entry.name in QNetworkConfig.__annotations__]
    for key in values:
        if key not in known:
            raise ArgumentsError(f"`agent.{key}` is not an argument{did_you_mean(str(key), known)}")
        if key in FOLLOWS_FROM_NETWORK:
            raise ArgumentsError(f"`agent.{key}` follows from the section `network`; leave it out.")
    try:
        return q_network_config(env, **values)
    except (StrictDataclassError, TypeError) as error:
        raise ValueError(" ".join(str(error).split())) from error


def _guard(env: VectorEnv, run: RunArguments) -> ViolationGuard | None:
    if run.guard_bound is None:
        return None
    try:
        return ViolationGuard(_twin(run.guard_twin), env, run.guard_bound)
    except (OSError, ValueError) as error:
        raise ArgumentsError(f"`guard_twin`, `guard_bound`: {error}") from error


def _twin(name: str) -> DynamicsTwin:
    twin = from_pretrained(name)
    require(isinstance(twin, DynamicsTwin), "guard_twin", "a twin of slice dynamics", f"{name} ({type(twin).__name__})")
    return twin


def _loaded(name: str | None, values: dict[str, Any]) -> QNetworkModel | None:
    if name is None:
        return None
    require(not values, "agent", "left out with `start_from`, whose network is used", values)
    try:
        network = from_pretrained(name)
    except (OSError, ValueError) as error:
        raise ArgumentsError(f"`start_from`: {error}") from error
    require(isinstance(network, QNetworkModel), "start_from", "a trained agent", f"{name} ({type(network).__name__})")
    return network
