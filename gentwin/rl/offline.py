"""Offline learning: a policy from a fixed record of a network, without another interaction.

Source: Zhang et al., "Digital Twin-Enhanced Deep Reinforcement Learning for Resource Management in Networks Slicing",
section IV-B, Algorithm 2.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from accelerate import Accelerator
from gymnasium.vector import VectorEnv

from gentwin.datasets import Transitions
from gentwin.envs.slicing import SlicingVectorEnv
from gentwin.models.q_network import QNetworkConfig
from gentwin.networks.slicing import SlicingParameters
from gentwin.networks.slicing.policies import Policy, RandomPolicy, exploring_behaviour
from gentwin.rl.agent import AgentError
from gentwin.rl.collector import Collector
from gentwin.rl.experience import Experience
from gentwin.rl.learner import LearnerArguments, Pull, QLearner
from gentwin.rl.loop import Progress
from gentwin.rl.replay import ReplayBuffer
from gentwin.rl.rounds import Round
from gentwin.rl.twin_enhanced import TwinEnhancedArguments, TwinEnhancedTrainer

BEHAVIOURS = ("random", "mixed")


def behaviour_policy(
    name: str, parameters: SlicingParameters, rng: np.random.Generator, hold_steps: float = 5.0
) -> Policy:
    """Returns a policy whose record offline learning starts from.

    Args:
        name: `random`, allocations drawn uniformly and held; or `mixed`, where every copy of the network follows
            another one of [`exploring_behaviour`][gentwin.networks.slicing.policies.exploring_behaviour].
        parameters: Of the network.
        rng: Source of randomness.
        hold_steps: Mean number of windows an allocation of `random` stays.

    Raises:
        ValueError: If the name is unknown.
    """
    if name not in BEHAVIOURS:
        raise ValueError(f"`name` must be one of {BEHAVIOURS}, got {name!r}.")
    if name == "mixed":
        return exploring_behaviour(parameters, rng)
    units = round(parameters.bandwidth_hz / parameters.resolution_hz)
    return RandomPolicy(math.comb(units - 1, parameters.num_slices - 1), rng, hold_steps)


def record_behaviour(env: VectorEnv, policy: Policy, num_steps: int, seed: int) -> Transitions:
    """Lets a policy act in a network and returns what happened, in memory.

    Args:
        env: Vector environment of a sliced network, whatever it observes.
        policy: Maps the network's whole state `(num_envs, num_slices, S)` to actions `(num_envs,)`.
        num_steps: Interactions, at least 1; rounded up to whole steps of all copies.
        seed: Of the reset.

    Raises:
        AgentError: If the environment is another one.
        ValueError: If `num_steps` is not positive.
    """
    if num_steps < 1:
        raise ValueError(f"`num_steps` must be at least 1, got {num_steps}.")
    experience = Experience(env)
    size = int(np.prod(env.single_observation_space.shape))
    collector = Collector(env, seed, ReplayBuffer(env.num_envs, size), experience.add)
    fields = [field.name for field in experience.schema.state]

    def act(_: np.ndarray) -> np.ndarray:
        return policy(np.stack([collector.info[name] for name in fields], axis=-1))

    while collector.num_steps < num_steps:
        collector.step(act)
    return experience.transitions()


def allocation_index(record: Transitions, env: SlicingVectorEnv) -> np.ndarray:
    """Returns the actions of a record as indices into the allocations of an environment, `(M,)` int64.

    Raises:
        AgentError: If a recorded allocation is not on the grid.
    """
    parameters = env.parameters
    bandwidth = record.action[:, :, 0].astype(np.float64)
    units = np.round(bandwidth / parameters.resolution_hz)
    total = round(parameters.bandwidth_hz / parameters.resolution_hz)
    # Records hold float32, so a bandwidth can be off by some 1e-7 of itself.
    exact = np.abs(bandwidth - units * parameters.resolution_hz) <= 1e-6 * parameters.bandwidth_hz
    fits = exact.all(axis=1) & (units >= 1).all(axis=1) & (units.sum(axis=1) == total)
    if not fits.all():
        row = int(np.flatnonzero(~fits)[0])
        raise AgentError(
            f"`bandwidth_hz` must divide {parameters.bandwidth_hz:g} Hz into multiples of "
            f"{parameters.resolution_hz:g} Hz, at least one for every slice; step {row} of the record has "
            f"{bandwidth[row].tolist()}; make the environment with the `resolution_hz` of the record."
        )
    # The grid is in lexicographic order, so its keys are sorted.
    places = (total + 1) ** np.arange(parameters.num_slices)[::-1]
    keys = np.round(env.allocations / parameters.resolution_hz).astype(np.int64) @ places
    return np.searchsorted(keys, units.astype(np.int64) @ places)


def replay_from_transitions(record: Transitions, env: VectorEnv) -> ReplayBuffer:
    """Turns a record of a sliced network into an agent's transitions.

    Observations are those the environment would have given, actions the indices of the recorded bandwidths, rewards
    the utilities of the recorded outcomes. Nothing terminates: the last step of an episode has a next state as well.

    Args:
        record: Such as from [`read_transitions`][gentwin.datasets.read_transitions].
        env: Tells the allocations, the utility and the fields observed; it is not stepped.

    Returns:
        A full buffer, in the order of the record.

    Raises:
        AgentError: If the record is empty or one of another network, its allocations are not on the environment's grid,
            or the environment's reward is not the utility.
    """
    base = env.unwrapped
    _refuse_misfits(record, base)
    states = [field.name for field in base.schema.state]
    outcomes = [field.name for field in base.schema.outcome]
    observed = [states.index(name) for name in base.observation_fields]
    efficiency = record.outcome[:, :, outcomes.index("slice_spectral_efficiency")].astype(np.float64).sum(axis=1)
    rewards = base.utility(record.outcome[:, :, outcomes.index("ssr")].astype(np.float64), efficiency)
    size = len(record)
    before, after = (values[:, :, observed].reshape(size, -1) for values in (record.state, record.next_state))
    buffer = ReplayBuffer(size, before.shape[1])
    buffer.add(before, allocation_index(record, base), rewards, after, np.zeros(size, bool))
    return buffer


def _refuse_misfits(record: Transitions, env: SlicingVectorEnv) -> None:
    if not isinstance(env, SlicingVectorEnv):
        raise AgentError(f"`env` must be an environment of a sliced network, got {type(env).__name__}.")
    if not len(record):
        raise AgentError("`record` must hold at least one step, got none.")
    if env.shaping is not None:
        raise AgentError(
            "`reward` of `env` must be 'utility', got 'shaped', whose threshold depends on how many decisions "
            "were made before, which a record does not tell; make it with reward='utility'."
        )
    for name, given, wanted in (
        ("name", record.schema.name, env.schema.name),
        ("slices", record.schema.slices, env.schema.slices),
    ):
        if given != wanted:
            raise AgentError(
                f"`{name}` of the record's schema must be that of the environment, {wanted!r}, got {given!r}; make the "
                "environment with the `preset` of the record."
            )
    if record.schema != env.schema:
        raise AgentError(
            f"`schema` of the record must be that of the environment; both are of {env.schema.name!r}, but fields or "
            "ranges differ; make the environment with the parameters of the record."
        )


def train_offline(
    learner: QLearner,
    buffer: ReplayBuffer,
    num_updates: int,
    rng: np.random.Generator,
    pull: Pull | None = None,
    stretch: int = 200,
) -> np.ndarray:
    """Learns from a fixed set of transitions (Algorithm 2); without `pull` the baseline without a twin.

    Args:
        learner: Agent 1; its statistics are set from the transitions if they are not yet.
        buffer: The transitions.
        num_updates: `T`, at least 1.
        rng: Of the draws.
        pull: The penalty of equation 13, towards the parameters of the agent that practised in the twin.
        stretch: Updates of one entry of the result.

    Returns:
        Mean loss of each stretch, without the penalty.

    Raises:
        ValueError: If a number is not positive or there are no transitions.
    """
    for name, value in (("num_updates", num_updates), ("stretch", stretch)):
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1, got {value}.")
    if not len(buffer):
        raise ValueError("`buffer` must hold at least one transition, got none.")
    if not learner.is_prepared:
        learner.prepare(buffer.whole())
    losses, means = [], []
    for number in range(1, num_updates + 1):
        losses.append(learner.update(buffer.sample(learner.arguments.batch_size, rng), rng, pull)["loss"])
        if number % stretch == 0 or number == num_updates:
            means.append(float(np.mean([float(loss) for loss in losses])))
            losses.clear()
    return np.array(means)


class OfflineTwinEnhancedTrainer(TwinEnhancedTrainer):
    """Algorithm 1 with Algorithm 2 in place of its lines 13-19: the network is never acted in.

    A twin is fitted to the record, agent 2 practises in it, agent 1 takes over what agent 2 has learned (eq. 8) and
    goes on with the record, pulled towards agent 2 (eq. 13). One call of `round` does all of it; further rounds go on
    with the same record.

    Args:
        record: Of the network.
        env: Tells the network's spaces, utility and parameters; it is reset, but never acted in.
        config: Of both agents' Q-networks.
        learning: Hyper-parameters of both agents.
        arguments: Of twin, practice and empowerment; what concerns acting in the network has no effect.
        seed: Of everything.
        num_updates: Updates of agent 1 in a round, `T`.
        pull_weight: nu of equation 13.
        accelerator: Device; a new one by default.

    Attributes:
        agent: Agent 1.
        apprentice: Agent 2.
        twin: The twin of the last round; `None` before the first.

    Raises:
        AgentError: If record, environment and Q-network do not fit each other.
    """

    def __init__(
        self,
        record: Transitions,
        env: VectorEnv,
        config: QNetworkConfig,
        learning: LearnerArguments,
        arguments: TwinEnhancedArguments,
        seed: int,
        num_updates: int,
        pull_weight: float,
        accelerator: Accelerator | None = None,
    ) -> None:
        super().__init__(env, config, learning, arguments, seed, accelerator=accelerator)
        if num_updates < 1:
            raise ValueError(f"`num_updates` must be at least 1, got {num_updates}.")
        if not 0 <= pull_weight < math.inf:
            raise ValueError(f"`pull_weight` must be at least 0 and finite, got {pull_weight}.")
        self.num_updates, self.pull_weight = num_updates, pull_weight
        self.experience = _Recorded(env, record)
        self.collector.buffer = replay_from_transitions(record, env)

    def identity(self) -> dict[str, Any]:
        """Returns the arguments of the loops and of the offline part."""
        return {**super().identity(), "num_updates": self.num_updates, "pull_weight": self.pull_weight}

    def _check_starts(self, env: VectorEnv) -> None:
        """Leaves the question to `branch_points`: there are no first interactions, the record is what it is."""

    def round(self) -> Round:
        """Makes one round: fits the twin, practises, empowers, learns from the record.

        Returns:
            `real_steps` is the length of the record, and `fine_tuning` holds the losses of Algorithm 2.
        """
        buffer = self.collector.buffer
        if not self.agent.is_prepared:
            self.agent.prepare(buffer.whole())
        self.apprentice.copy_from(self.agent)
        self.twin = self.fit()
        practice = self._practise(self.twin)
        self._empower()
        pull = Pull(self.apprentice.network, self.pull_weight)
        losses = train_offline(self.agent, buffer, self.num_updates, self.rng, pull)
        self.num_rounds += 1
        offline = Progress(steps=[len(buffer)] * len(losses), losses=losses.tolist())
        num_updates = self.agent.num_updates + self.apprentice.num_updates
        return Round(len(buffer), num_updates, Progress(), practice, offline)


class _Recorded(Experience):
    """Experience that was made before."""

    def __init__(self, env: VectorEnv, record: Transitions) -> None:
        super().__init__(env)
        self._record = record

    def __len__(self) -> int:
        return len(self._record)

    def transitions(self) -> Transitions:
        return self._record

    def restore(self, record: Transitions) -> None:
        if record.fingerprint() != self._record.fingerprint():
            raise AgentError("`record` must be the one the saved training learns from, got another one.")
