"""The settings in which agents are compared: network, agent, loops; those of the recipes that train them.

Both arms of a setting have the same agent, the same number of gradient updates in all, the same episodes to be judged
on, and the same hyper-parameters but for those in `plain_learning`. With a twin the slow average of the parameters is
judged; without one it is that or, on the bandits `zhang2024` and `hua2019`, the last parameters (`plain_judged`), as
suited that arm better. The arm without twin has as many interactions as suited it best among several budgets, tried on
other seeds. Nothing in a setting was learned from the simulator: twins are fitted to the interactions of the run alone.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
from gymnasium.vector import VectorEnv

from gentwin.rl import LearnerArguments, TwinEnhancedArguments
from gentwin.rl.recipe.arguments import AGENT_ARGUMENT_CLASSES
from gentwin.rl.recipe.setup import read_section
from gentwin.training import parse_arguments

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
        learning: Hyper-parameters of both arms, but for updates and their start in the arm without twin.
        enhanced: Loops of the arm with twin.
        num_rounds: Rounds of the arm with twin.
        plain_steps: Interactions of the arm without twin, over which its updates are spread.
        plain_starts: Interactions before that arm learns.
        plain_learning: Hyper-parameters in which that arm differs, because without a twin it explores in the network.
        plain_judged: Which of its networks is judged, `network` or `averaged`: what suits it better.
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
    plain_learning: dict[str, Any] = field(default_factory=dict)
    plain_judged: str = "averaged"
    hidden_sizes: list[int] = field(default_factory=lambda: list(MLP))

    @property
    def num_updates(self) -> int:
        """Updates of either arm."""
        return self.num_rounds * self.enhanced.practice_updates


def from_recipe(name: str, **fields: Any) -> Setting:
    """Returns the setting of a recipe that practises in a twin.

    Args:
        name: Of a YAML file beside `train_agent.py`, without its ending.
        **fields: What a recipe does not say.
    """
    sections, run = parse_arguments([], Path(__file__).parents[1] / f"{name}.yaml", name, AGENT_ARGUMENT_CLASSES)
    network = dict(sections.network)
    return Setting(
        ground=Ground(
            network,
            fixed_placement=network.pop("placement_seed", None) is not None,
            evaluation_copies=run.evaluation_copies,
            evaluation_steps=run.evaluation_steps,
        ),
        num_envs=run.num_envs,
        head=sections.agent["head"],
        learning=read_section(LearnerArguments, sections.learning, "learning"),
        enhanced=read_section(TwinEnhancedArguments, sections.twin_enhanced, "twin_enhanced"),
        num_rounds=run.num_rounds,
        **fields,
    )


def judged_on(setting: Setting, copies: int, steps: int) -> Setting:
    """Returns a setting whose curves are evaluated on so many copies and decisions."""
    ground = dataclasses.replace(setting.ground, evaluation_copies=copies, evaluation_steps=steps)
    return dataclasses.replace(setting, ground=ground)


DYNAMIC = judged_on(
    from_recipe(
        "agent_dynamic", plain_steps=128_000, plain_starts=600, plain_learning={"exploration_decay_steps": 3000}
    ),
    copies=16,
    steps=200,
)
# Their users never change, so few episodes show what an allocation is worth.
ZHANG2024 = judged_on(
    from_recipe(
        "agent_zhang2024",
        plain_steps=1000,
        plain_starts=32,
        plain_learning={"exploration_decay_steps": 2000},
        plain_judged="network",
    ),
    copies=4,
    steps=50,
)
HUA2019 = dataclasses.replace(ZHANG2024, ground=Ground({"preset": "hua2019"}, True, 4, 25))
# Networks on which the agent of Zhang et al. is compared with itself; on `dynamic` the shipped one has another head.
SETTINGS = {"dynamic": dataclasses.replace(DYNAMIC, head="plain"), "zhang2024": ZHANG2024, "hua2019": HUA2019}
