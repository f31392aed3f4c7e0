"""Admission control: an agent that begins as the policy twin, improves in a twin of the queues, then in the network.

Source: Tao et al., "Wireless network digital twin for 6G: generative AI as a key enabler", section IV; the loop is that
of Zhang et al., Algorithm 1.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator
from gymnasium.vector import VectorEnv

from gentwin.datasets import read_transitions, write_transitions
from gentwin.envs import SliceAdmissionVectorEnv, TwinAdmissionVectorEnv
from gentwin.envs.twin_admission import fit_dynamics
from gentwin.models import PolicyTwinModel, from_pretrained
from gentwin.models.q_network import QNetworkConfig, QNetworkModel
from gentwin.networks.admission import AdmissionNetwork, AdmissionParameters, action_mask, admission_parameters
from gentwin.networks.admission.policies import Policy
from gentwin.rl.agent import AgentError
from gentwin.rl.cloning import clone_policy, fit_policy_twin
from gentwin.rl.collector import Collector
from gentwin.rl.evaluation import per_state
from gentwin.rl.learner import LearnerArguments, greedy_actions
from gentwin.rl.loop import Progress
from gentwin.rl.twin_enhanced import RECORD, LoopArguments, TwinEnhancedTrainer, changed_parameters

POLICY = "policy"
DIGEST_COPIES, DIGEST_STEPS = 32, 32
CLONE_EXPLORATION = 0.1  # share of random actions on the way to the states in which the policy twin is asked


@dataclass(frozen=True)
class AdmissionArguments(LoopArguments):
    """The loops of an agent of admission control.

    Args:
        first_steps: Decisions of the network's own policy before the first twins.
        policy_updates: Updates of the policy twin.
        clone_updates: Updates with which the agent takes over what the policy twin does, before it learns; 0 for none.
        clone_steps: Decisions of the policy twin in the twin of the queues that are taken over.

    The other arguments are those of [`LoopArguments`][gentwin.rl.twin_enhanced.LoopArguments].

    Raises:
        ValueError: If a value is out of range.
    """

    first_steps: int = 1000
    practice_horizon: int | None = None
    policy_updates: int = 500
    clone_updates: int = 500
    clone_steps: int = 10_000

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("policy_updates", 1), ("clone_updates", 0), ("clone_steps", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"`{name}` must be at least {least}, got {getattr(self, name)}.")


class AdmissionTrainer(TwinEnhancedTrainer):
    """Algorithm 1 for admission control: the first data are decisions of the policy that the network already has.

    The first round fits two twins to them: a policy twin, of which the agent becomes a clone, and one of the queues,
    `gentwin/TwinAdmission-v0`, in which it practises. Further rounds are those of Algorithm 1.

    Args:
        env: `gentwin/SliceAdmission-v0`, observing at least what the policy sees; its decisions are what counts.
        config: Of both agents' Q-networks.
        learning: Hyper-parameters of both agents; the discount is per second.
        arguments: Of the loops.
        seed: Of everything.
        policy: Of the network: states to actions, such as `fifo_greedy(parameters)`.
        accelerator: Device; a new one by default.

    Attributes:
        policy_twin: The twin of the policy; `None` before the first round.
        twin: Parameters of the twin of the queues; `None` before the first round.

    Raises:
        AgentError: If the environment is another one or the Q-network does not fit it.
    """

    def __init__(
        self,
        env: VectorEnv,
        config: QNetworkConfig,
        learning: LearnerArguments,
        arguments: AdmissionArguments,
        seed: int,
        policy: Policy,
        accelerator: Accelerator | None = None,
    ) -> None:
        super().__init__(env, config, learning, arguments, seed, accelerator=accelerator)
        self.policy = policy
        self._policy_digest = decisions_digest(policy, env.unwrapped.parameters)
        self.policy_twin: PolicyTwinModel | None = None
        self.warm_up = arguments.practice_exploration if arguments.clone_updates else 1.0
        if self.warm_up is None:
            self.warm_up = learning.exploration(0)

    def _check(self, env: VectorEnv) -> None:
        base = env.unwrapped
        if not isinstance(base, SliceAdmissionVectorEnv) or isinstance(base, TwinAdmissionVectorEnv):
            raise AgentError(f"`env` must be 'gentwin/SliceAdmission-v0', got {type(base).__name__}.")
        seen = [field.name for field in base.schema.state if field.name != "in_service"]
        missing = [name for name in seen if name not in base.observation_fields]
        if missing:
            raise AgentError(
                f"`observation_fields` must include what the network's policy sees, {seen}, got none of {missing}."
            )

    def fit(self) -> AdmissionParameters:
        """Returns the parameters of a twin of everything seen so far."""
        return fit_dynamics(self.experience.transitions(), self.env.unwrapped.parameters)

    def practice_env(self, twin: AdmissionParameters) -> TwinAdmissionVectorEnv:
        """Returns the environment of the twin, with the observations of the network's."""
        return self._twin_env(twin, self.arguments.practice_copies)

    def _twin_env(self, twin: AdmissionParameters, copies: int) -> TwinAdmissionVectorEnv:
        base = self.env.unwrapped
        return TwinAdmissionVectorEnv(
            copies,
            twin=twin,
            preset=base.parameters.preset,
            horizon=self.arguments.practice_horizon,
            observation_fields=base.observation_fields,
            num_threads=1,
            **changed_parameters(base.parameters, admission_parameters(base.parameters.preset)),
        )

    def _explore(self) -> Progress:
        """Lets the network's policy decide."""
        rewards = follow(self.collector, per_state(self.policy, self.env), self.arguments.first_steps)
        self.agent.prepare(self.collector.buffer.whole())
        return Progress([self.collector.num_steps], [float(rewards.mean())])

    def _begin(self) -> None:
        """Fits a twin of the network's policy, and lets the agent become its clone."""
        record, parameters = self.experience.transitions(), self.env.unwrapped.parameters
        self.policy_twin = fit_policy_twin(
            record, parameters, self.arguments.policy_updates, self.derived_seed("policy twin")
        )
        if self.arguments.clone_updates:
            self._clone()

    def _clone(self) -> None:
        """Takes over what the policy twin does in states of the twin of the queues, which cost nothing."""
        arguments = self.arguments
        env = self._twin_env(self.twin, min(arguments.practice_copies, arguments.clone_steps))
        decide = self.policy_twin.policy(env.schema)
        observations, info = env.reset(seed=self.derived_seed("clone"))
        columns: dict[str, list[np.ndarray]] = {"observations": [], "masks": [], "actions": []}
        for _ in range(math.ceil(arguments.clone_steps / env.num_envs)):
            actions, masks = decide(env.states(observations)), info["action_mask"]
            for name, values in zip(columns, (observations, masks, actions), strict=True):
                columns[name].append(values)
            explored = self.agent.act(observations, 1.0, self.rng, masks)
            is_random = self.rng.random(env.num_envs) < CLONE_EXPLORATION
            observations, _, _, _, info = env.step(np.where(is_random, explored, actions))
        joined = {name: np.concatenate(values) for name, values in columns.items()}
        clone_policy(self.agent, **joined, num_updates=arguments.clone_updates, rng=self.rng)

    def identity(self) -> dict[str, Any]:
        """Returns the arguments of the loops, and a digest of what the network's policy does."""
        return {**super().identity(), "policy": self._policy_digest}

    def save_rest(self, folder: Path) -> None:
        """Saves experience and policy twin; the twin of the queues follows from the experience."""
        write_transitions(folder / RECORD, self.experience.transitions())
        self.policy_twin.save_pretrained(folder / POLICY)

    def read_rest(self, folder: Path) -> Callable[[], None]:
        """Reads experience and policy twin; returns what puts them in place."""
        experience = read_transitions(folder / RECORD, self.experience.schema)
        policy_twin = from_pretrained(folder / POLICY)

        def put_in_place() -> None:
            self.experience.restore(experience)
            self.policy_twin, self.twin = policy_twin, self.fit()

        return put_in_place


def decisions_digest(policy: Policy, parameters: AdmissionParameters) -> str:
    """Returns a digest of a policy's first decisions in networks that are always the same.

    Policies are any callables, so what one does is all that tells it from another.
    """
    network = AdmissionNetwork(parameters, DIGEST_COPIES, num_threads=1)
    network.reset(np.arange(DIGEST_COPIES, dtype=np.uint64))
    digest = hashlib.sha256()
    for _ in range(DIGEST_STEPS):
        actions = np.asarray(policy(network.state_values()), np.int64)
        network.step(actions)
        digest.update(actions.astype("<i8").tobytes())
    return digest.hexdigest()


def follow(collector: Collector, policy: Callable[..., np.ndarray], num_steps: int) -> np.ndarray:
    """Lets a policy act until the collector has made `num_steps` more interactions; returns their rewards."""
    last, seen = collector.num_steps + num_steps, []
    while collector.num_steps < last:
        seen.append(collector.step(policy)["reward"])
    return np.concatenate(seen)


def state_policy(agent: QNetworkModel, env: VectorEnv) -> Policy:
    """Returns an agent as a policy on states of the schema, as `gentwin.networks.admission.performance` takes them.

    Args:
        agent: Its Q-network.
        env: The environment it was made for; tells which fields are observed.
    """
    base = env.unwrapped

    def policy(states: np.ndarray) -> np.ndarray:
        return greedy_actions(agent, base.observations(states), action_mask(base.parameters, states))

    return policy
