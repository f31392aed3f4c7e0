"""Twin-enhanced reinforcement learning: an agent that acts in the network practises in a twin of it.

Source: Zhang et al., "Digital Twin-Enhanced Deep Reinforcement Learning for Resource Management in Networks Slicing",
Algorithm 1; the ways in which ours differs are arguments, and
[`zhang2024_arguments`][gentwin.rl.zhang2024.zhang2024_arguments] are those that make it the published one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from accelerate import Accelerator
from gymnasium.vector import VectorEnv

from gentwin.datasets import read_transitions, write_transitions
from gentwin.envs import TwinSlicingVectorEnv
from gentwin.envs.slicing import SlicingVectorEnv
from gentwin.models import from_pretrained
from gentwin.models.modeling_dynamics import DynamicsTwin
from gentwin.models.q_network import QNetworkConfig, QNetworkModel
from gentwin.networks.admission import AdmissionParameters
from gentwin.networks.slicing import SlicingParameters, slicing_parameters
from gentwin.networks.slicing.policies import RandomPolicy
from gentwin.rl.agent import AgentError, make_learner
from gentwin.rl.collector import Collector
from gentwin.rl.experience import Experience, branch_points
from gentwin.rl.learner import LearnerArguments
from gentwin.rl.loop import Guard, Progress, train
from gentwin.rl.replay import Batch, ReplayBuffer
from gentwin.rl.rounds import Round, RoundTrainer
from gentwin.rl.twin_fitting import TwinFitArguments, fit_twin
from gentwin.training import ModelArguments, build_twin

RECORD, TWIN = "experience.parquet", "twin"
Parameters = TypeVar("Parameters", SlicingParameters, AdmissionParameters)


@dataclass(frozen=True)
class LoopArguments:
    """The two loops of Algorithm 1, whatever the network and its twin are.

    Args:
        first_steps: Interactions with the network before the first twin.
        steps_per_round: Interactions of a later round before the twin is fitted again (line 3).
        practice_updates: Updates of agent 2 in the twin in every round.
        practice_updates_per_step: Updates for every step in the twin, so that there are `Phi = practice_updates /
            practice_updates_per_step` of those.
        practice_exploration: Share of random actions in the twin, where they cost nothing; `None` for the schedule of
            the learner.
        practice_copies: Copies of the twin stepped at once.
        practice_horizon: Steps of a roll-out before it starts anew; `None` for no end.
        real_share: Share of a batch of agent 2 that comes from the network.
        empowerment: zeta of equation 8, the share of its own parameters agent 1 keeps: 0 takes over agent 2.
        learns_in_network: Whether agent 1 also learns in the `steps_per_round`.
        fine_tuning_steps: Interactions of every round in which agent 1, once empowered, learns in the network before
            agent 2 takes its parameters over, `T` (lines 13-20).

    Raises:
        ValueError: If a value is out of range.
    """

    first_steps: int = 500
    steps_per_round: int = 500
    practice_updates: int = 4000
    practice_updates_per_step: float = 0.125
    practice_exploration: float | None = 0.2
    practice_copies: int = 256
    practice_horizon: int | None = 40
    real_share: float = 0.0
    empowerment: float = 0.0
    learns_in_network: bool = False
    fine_tuning_steps: int = 0

    def __post_init__(self) -> None:
        for name in ("first_steps", "steps_per_round", "practice_updates", "practice_copies"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1, got {getattr(self, name)}.")
        if self.practice_horizon is not None and self.practice_horizon < 1:
            raise ValueError(f"`practice_horizon` must be at least 1 or None, got {self.practice_horizon}.")
        if self.fine_tuning_steps < 0:
            raise ValueError(f"`fine_tuning_steps` must be at least 0, got {self.fine_tuning_steps}.")
        if not 0 < self.practice_updates_per_step < math.inf:
            raise ValueError(
                f"`practice_updates_per_step` must be above 0 and finite, got {self.practice_updates_per_step}."
            )
        for name in ("real_share", "empowerment", "practice_exploration"):
            if getattr(self, name) is not None and not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"`{name}` must be from 0 to 1, got {getattr(self, name)}.")


@dataclass(frozen=True)
class TwinEnhancedArguments(LoopArguments):
    """The two loops of Algorithm 1 with a twin of slice dynamics; the first interactions are random allocations.

    Args:
        hold_steps: Mean number of windows a random allocation stays at first.
        history_steps: Real steps before each start of a roll-out, a real state, from which the twin forms its memory.
        fit: How the twin is fitted.

    The other arguments are those of [`LoopArguments`][gentwin.rl.twin_enhanced.LoopArguments].

    Raises:
        ValueError: If a value is out of range.
    """

    hold_steps: float = 5.0
    history_steps: int = 20
    fit: TwinFitArguments = field(default_factory=TwinFitArguments)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hold_steps < 1 or self.history_steps < 0:
            raise ValueError(
                "`hold_steps` must be at least 1 and `history_steps` at least 0, got "
                f"{self.hold_steps} and {self.history_steps}."
            )


class TwinEnhancedTrainer(RoundTrainer):
    """Algorithm 1: collect, fit the twin, practise in it, empower the acting agent, let it learn in the network.

    Args:
        env: Vector environment of the network; its interactions are what counts.
        config: Of both agents' Q-networks.
        learning: Hyper-parameters of both agents.
        arguments: Of the loops.
        seed: Of everything.
        guard: Of actions in the network; one with `replace_twin` is given every new twin.
        accelerator: Device; a new one by default.

    Attributes:
        agent: Agent 1, which acts in the network.
        apprentice: Agent 2, which practises in the twin.
        twin: The twin of the last round; `None` before the first.
        experience: Everything seen in the network.
        warm_up: Share of random actions in the twin before the first update of every round.

    Raises:
        AgentError: If the environment is not one of a sliced network or the Q-network does not fit it.
    """

    warm_up = 1.0

    def __init__(
        self,
        env: VectorEnv,
        config: QNetworkConfig,
        learning: LearnerArguments,
        arguments: TwinEnhancedArguments,
        seed: int,
        guard: Guard | None = None,
        accelerator: Accelerator | None = None,
    ) -> None:
        self.arguments, self.experience = arguments, Experience(env)
        self._check(env)
        super().__init__(env, config, learning, seed, guard, accelerator, self.experience.add)
        with torch.random.fork_rng(devices=[]):
            self.apprentice = make_learner(QNetworkModel(config), learning, self.accelerator)
        self.apprentice.copy_from(self.agent)
        self.twin: DynamicsTwin | None = None

    def _check(self, env: VectorEnv) -> None:
        """Refuses before any interaction what would fail after many."""
        if not isinstance(env.unwrapped, SlicingVectorEnv):
            raise AgentError(
                f"`env` must be 'gentwin/RanSlicing-v0', got {type(env.unwrapped).__name__}; for admission control use "
                "`AdmissionTrainer`."
            )
        fit = self.arguments.fit
        with torch.random.fork_rng(devices=[]):
            build_twin(ModelArguments(fit.model_type, dict(fit.model_config)), self.experience.schema)
        self._check_starts(env)

    def _check_starts(self, env: VectorEnv) -> None:
        """Refuses first interactions too few for a single roll-out to start from."""
        arguments, episode = self.arguments, getattr(env.unwrapped, "episode_steps", None)
        if episode is not None and episode <= arguments.history_steps:
            raise ValueError(
                f"`history_steps` must be below the {episode} steps of an episode, got {arguments.history_steps}: no "
                "roll-out could start; choose a shorter past or longer episodes."
            )
        if math.ceil(arguments.first_steps / env.num_envs) <= arguments.history_steps:
            raise ValueError(
                f"`first_steps` must be above `history_steps` x copies = {arguments.history_steps * env.num_envs}, got "
                f"{arguments.first_steps}: no roll-out could start; choose more steps, fewer copies or a shorter past."
            )

    def round(self) -> Round:
        """Makes one round: acts, fits the twin, practises, empowers, and fine-tunes if there are steps for it."""
        arguments, fine_tuning = self.arguments, None
        if self.num_rounds == 0:
            acting = self._explore()
        else:
            acting = self._act(arguments.steps_per_round, arguments.learns_in_network)
        self.twin = self.fit()
        self._tell_guard()
        if self.num_rounds == 0:
            self._begin()
        self.apprentice.copy_from(self.agent)
        practice = self._practise(self.twin)
        self._empower()
        if arguments.fine_tuning_steps:
            fine_tuning = self._act(arguments.fine_tuning_steps, learns=True)
            self.apprentice.copy_from(self.agent)
        self.num_rounds += 1
        num_updates = self.agent.num_updates + self.apprentice.num_updates
        return Round(self.collector.num_steps, num_updates, acting, practice, fine_tuning)

    def fit(self) -> DynamicsTwin:
        """Returns a twin of everything seen so far, going on from the last one."""
        seed = self.derived_seed("twin", self.num_rounds)
        return fit_twin(self.experience.transitions(), self.arguments.fit, seed, self.twin, self.agent.device)

    def identity(self) -> dict[str, Any]:
        """Returns the arguments of the loops; subclasses with more arguments add them."""
        return {"arguments": dataclasses.asdict(self.arguments)}

    def parts(self) -> dict[str, Any]:
        """Returns both agents and the buffer of the network's transitions."""
        return {**super().parts(), "apprentice": self.apprentice}

    def save_rest(self, folder: Path) -> None:
        """Saves experience and twin."""
        write_transitions(folder / RECORD, self.experience.transitions())
        self.twin.save_pretrained(folder / TWIN)

    def read_rest(self, folder: Path) -> Callable[[], None]:
        """Reads experience and twin; returns what puts them in place."""
        experience = read_transitions(folder / RECORD, self.experience.schema)
        twin = from_pretrained(folder / TWIN).to(self.agent.device)

        def put_in_place() -> None:
            self.experience.restore(experience)
            self.twin = twin
            self._tell_guard()

        return put_in_place

    def _tell_guard(self) -> None:
        if hasattr(self.guard, "replace_twin"):
            self.guard.replace_twin(self.twin)

    def _explore(self) -> Progress:
        policy = RandomPolicy(self.agent.network.config.num_actions, self.rng, self.arguments.hold_steps)
        seen: list[np.ndarray] = []

        def guarded(observations: np.ndarray) -> np.ndarray:
            actions = policy(observations)
            return actions if self.guard is None else self.guard(observations, actions, self.collector.is_first)

        while self.collector.num_steps < self.arguments.first_steps:
            seen.append(self.collector.step(guarded)["reward"])
        if not self.agent.is_prepared:
            self.agent.prepare(self.collector.buffer.whole())
        return Progress([self.collector.num_steps], [float(np.concatenate(seen).mean())])

    def _begin(self) -> None:
        """What comes between the first twin and the first practice; here nothing."""

    def _act(self, num_steps: int, learns: bool) -> Progress:
        """Lets agent 1 act, and learn if it may, with the share of random actions its interactions call for."""
        return train(self.agent, self.collector, num_steps, self.rng, guard=self.guard, learns=learns)

    def _practise(self, twin: DynamicsTwin) -> Progress:
        """Lets agent 2 learn in the twin, on roll-outs from real states."""
        arguments = self.arguments
        env = self.practice_env(twin)
        learning = self.learning
        steps = round(arguments.practice_updates / arguments.practice_updates_per_step)
        size = self.collector.buffer.observation_size
        buffer = MixedReplay(learning.buffer_size, size, self.collector.buffer, arguments.real_share)
        collector = Collector(env, int(self.rng.integers(2**31)), buffer)
        while buffer.num_added < learning.learning_starts - 1:  # steps in the twin cost nothing, updates are counted
            collector.step(lambda seen, masks=None: self.apprentice.act(seen, self.warm_up, self.rng, masks))
        return train(
            self.apprentice,
            collector,
            steps,
            self.rng,
            exploration=arguments.practice_exploration,
            updates_per_step=arguments.practice_updates_per_step,
        )

    def practice_env(self, twin: DynamicsTwin) -> TwinSlicingVectorEnv:
        """Returns the twin's environment, started from every state seen, with the reward of the network's."""
        base, arguments = self.env.unwrapped, self.arguments
        env = TwinSlicingVectorEnv(
            arguments.practice_copies,
            twin=twin,
            horizon=arguments.practice_horizon,
            start_states=branch_points(self.experience.transitions(), arguments.history_steps),
            utility_weights=base.utility.weights,
            reward="utility" if base.shaping is None else "shaped",
            shaping=base.shaping,
            observation_fields=base.observation_fields,
            **changed_parameters(base.parameters, slicing_parameters(base.parameters.preset)),
        )
        env.num_decisions = base.num_decisions  # a shaped reward is as strict as the network's is by now
        return env

    @torch.no_grad()
    def _empower(self) -> None:
        """Sets theta_1 = zeta theta_1 + (1 - zeta) theta_2 (eq. 8), in the target network too."""
        share = 1 - self.arguments.empowerment
        for mine, theirs in (
            (self.agent.network, self.apprentice.network),
            (self.agent.target, self.apprentice.target),
        ):
            torch._foreach_lerp_(list(mine.parameters()), list(theirs.parameters()), share)


def changed_parameters(parameters: Parameters, usual: Parameters) -> dict[str, Any]:
    """Returns the fields of a network's parameters that are not the usual ones, those of its preset."""
    values = {entry.name: getattr(parameters, entry.name) for entry in dataclasses.fields(parameters)}
    return {name: value for name, value in values.items() if value != getattr(usual, name)}


class MixedReplay(ReplayBuffer):
    """A buffer of practice whose batches hold a share of real transitions.

    Args:
        capacity: As in `ReplayBuffer`.
        observation_size: As in `ReplayBuffer`.
        real: Transitions of the network.
        real_share: Share of each batch drawn from `real`, 0 … 1.
    """

    def __init__(self, capacity: int, observation_size: int, real: ReplayBuffer, real_share: float) -> None:
        super().__init__(capacity, observation_size)
        self.real, self.real_share = real, real_share

    def sample(self, batch_size: int, rng: np.random.Generator) -> Batch:
        """Draws transitions uniformly from each source."""
        count = round(self.real_share * batch_size)
        if count == 0:
            return super().sample(batch_size, rng)
        real = self.real.sample(count, rng)
        if count == batch_size:
            return real
        return real.joined(super().sample(batch_size - count, rng))
