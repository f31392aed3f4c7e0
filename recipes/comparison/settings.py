"""The settings in which agents are compared: network, agent, loops; one for each preset.

Both arms of a setting have the same agent, the same hyper-parameters, the same number of gradient updates and the same
evaluation. Nothing in a setting was learned from the simulator: twins are fitted to the interactions of the run alone.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import gymnasium
from gymnasium.vector import VectorEnv

from gentwin.rl import LearnerArguments, TwinEnhancedArguments, TwinFitArguments

MLP = [256, 256, 128, 128]  # Zhang et al., section V-A


@dataclass(frozen=True)
class Ground:
    """A network and how policies are judged on it.

    Args:
        network: Arguments of `gentwin/RanSlicing-v0`.
        fixed_placement: Whether the seed of a run is the placement of its users, in training and evaluation: the
            populations of the published networks never change.
        evaluation_copies: Copies a policy is evaluated on.
        evaluation_steps: Decisions in each.
    """

    network: dict[str, Any]
    fixed_placement: bool = False
    evaluation_copies: int = 32
    evaluation_steps: int = 200

    def make_env(self, num_envs: int, seed: int) -> VectorEnv:
        """Returns the network for training or evaluation; endless episodes."""
        placement = {"placement_seed": seed} if self.fixed_placement else {}
        return gymnasium.make_vec(
            "gentwin/RanSlicing-v0", num_envs=num_envs, episode_steps=None, num_threads=1, **self.network, **placement
        )


@dataclass(frozen=True)
class Setting:
    """One comparison.

    Args:
        ground: The network.
        num_envs: Copies the agent acts in; their interactions all count.
        head: Of the Q-network.
        learning: Hyper-parameters of both arms, but for `updates_per_step` of the arm without twin.
        enhanced: Loops of the arm with twin.
        num_rounds: Rounds of the arm with twin.
        plain_steps: Interactions of the arm without twin.
        plain_starts: Interactions before that arm learns, at most `plain_stretch`.
        plain_stretch: Interactions between two evaluations of that arm.
        plain_learning: Hyper-parameters in which that arm differs, because without a twin it explores in the network.
        hidden_sizes: Widths of the Q-network.
    """

    ground: Ground
    num_envs: int
    head: str
    learning: LearnerArguments
    enhanced: TwinEnhancedArguments
    num_rounds: int
    plain_steps: int
    plain_starts: int
    plain_stretch: int
    plain_learning: dict[str, Any] = field(default_factory=dict)
    hidden_sizes: list[int] = field(default_factory=lambda: list(MLP))

    @property
    def num_updates(self) -> int:
        """Updates of either arm."""
        return self.num_rounds * self.enhanced.practice_updates


DYNAMIC = Setting(
    ground=Ground({"preset": "dynamic", "observation_fields": "all"}),
    num_envs=8,
    head="factorised",
    learning=LearnerArguments(
        algorithm="double_dqn",
        discount=0.7,
        learning_rate=5e-4,
        batch_size=128,
        buffer_size=100_000,
        exploration_final=0.05,
        exploration_decay_steps=3000,
    ),
    enhanced=TwinEnhancedArguments(
        first_steps=1000,
        steps_per_round=500,
        practice_updates=4000,
        practice_exploration=0.1,
        fit=TwinFitArguments(model_config={"num_members": 3}),
    ),
    num_rounds=4,
    plain_steps=64_000,
    plain_starts=1000,
    plain_stretch=2000,
)
BANDIT_LEARNING = LearnerArguments(
    algorithm="double_dqn",
    discount=0.0,  # one decision does not influence the next
    learning_rate=5e-4,
    batch_size=128,
    buffer_size=20_000,
    exploration_final=0.02,
    exploration_decay_steps=20,
)
BANDIT_LOOPS = TwinEnhancedArguments(
    first_steps=32,
    hold_steps=1.0,
    steps_per_round=16,
    practice_updates=2000,
    practice_exploration=0.5,
    practice_copies=64,
    practice_horizon=5,
    history_steps=0,
    fit=TwinFitArguments(
        num_updates=600, refit_updates=300, sequence_length=8, model_config={"num_members": 3, "range_margin": 0.5}
    ),
)
BANDIT_AGENT = {
    "head": "plain",
    "learning": BANDIT_LEARNING,
    "enhanced": BANDIT_LOOPS,
    "plain_learning": {"exploration_decay_steps": 2000},
    "num_envs": 1,
}
ZHANG2024 = Setting(
    ground=Ground(
        {"preset": "zhang2024", "resolution_hz": 200e3}, fixed_placement=True, evaluation_copies=4, evaluation_steps=50
    ),
    num_rounds=5,
    plain_steps=20_000,
    plain_starts=32,
    plain_stretch=250,
    **BANDIT_AGENT,
)
HUA2019 = Setting(
    ground=Ground({"preset": "hua2019"}, fixed_placement=True, evaluation_copies=4, evaluation_steps=25),
    num_rounds=5,
    plain_steps=20_000,
    plain_starts=32,
    plain_stretch=250,
    **BANDIT_AGENT,
)
# The agent of Zhang et al., and the same with our head for allocations.
SETTINGS = {
    "dynamic": dataclasses.replace(DYNAMIC, head="plain"),
    "dynamic, factorised head": DYNAMIC,
    "zhang2024": ZHANG2024,
    "zhang2024, factorised head": dataclasses.replace(ZHANG2024, head="factorised", plain_steps=4000, plain_stretch=32),
    "hua2019": HUA2019,
}
