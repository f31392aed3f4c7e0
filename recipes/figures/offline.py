"""Learning from a fixed record of `dynamic`: twin-enhanced, plain, and beside them the agent that acts.

All make the same number of updates. The agent that acts explores as every agent without a twin does in comparisons,
over 3,000 interactions. Nobody can stop the plain agent where it is best without asking the network; `plain_best` does.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from gentwin.models.q_network import QNetworkModel
from gentwin.networks.slicing.policies import equal_split
from gentwin.rl import Collector, QLearner, ReplayBuffer, TwinFitArguments, greedy_policy, q_network_config, train
from gentwin.rl.offline import (
    OfflineTwinEnhancedTrainer,
    behaviour_policy,
    record_behaviour,
    replay_from_transitions,
    train_offline,
)
from recipes.comparison.arms import judge
from recipes.comparison.cache import over_seeds
from recipes.comparison.seeds import separate_seeds
from recipes.comparison.settings import DYNAMIC, Setting
from recipes.comparison.statistics import paired, share, summary
from recipes.figures.result import Result

NUM_STRETCHES = 12  # of the plain arm, each followed by an evaluation


@dataclass(frozen=True)
class OfflineSetting:
    """One comparison.

    Args:
        behaviour: Policy of the record, `random` or `mixed`.
        record_steps: Length of the record.
        practice_updates: Updates of agent 2 in the twin.
        offline_updates: Updates of agent 1 on the record.
        pull_weight: nu of equation 13.
        online_copies: Copies of the network the agent beside them acts in; it makes as many updates as either arm.
        online_updates_per_step: Its updates for every interaction.
        agent: Network, agent and practice of all arms.
    """

    behaviour: str = "random"
    record_steps: int = 5000
    practice_updates: int = 10_000
    offline_updates: int = 2000
    pull_weight: float = 0.01
    online_copies: int = 64
    online_updates_per_step: float = 0.125
    agent: Setting = field(
        default_factory=lambda: dataclasses.replace(
            DYNAMIC, num_envs=7, enhanced=dataclasses.replace(DYNAMIC.enhanced, fit=TwinFitArguments(weight_decay=0.3))
        )
    )

    @property
    def num_updates(self) -> int:
        """Updates of every arm."""
        return self.practice_updates + self.offline_updates


def new_learner(setting: Setting, seed: int) -> QLearner:
    """Returns an agent that has learned nothing."""
    config = q_network_config(setting.ground.make_env(1, seed), setting.head, hidden_sizes=setting.hidden_sizes)
    torch.manual_seed(seed)
    return QLearner(QNetworkModel(config), setting.learning)


def learned_from_record(setting: OfflineSetting, seed: int) -> dict[str, object]:
    """Returns utilities of the arms that learn from the same record, and how many updates they made."""
    agent = setting.agent
    record_seed, behaviour_seed, weights_seed, draws_seed, twin_seed = separate_seeds(seed, 5)
    env = agent.ground.make_env(agent.num_envs, seed)
    behaviour = behaviour_policy(setting.behaviour, env.unwrapped.parameters, np.random.default_rng(behaviour_seed))
    record = record_behaviour(env, behaviour, setting.record_steps, record_seed)
    plain, buffer = new_learner(agent, weights_seed), replay_from_transitions(record, env)
    rng, curve = np.random.default_rng(draws_seed), []
    for num_updates in np.diff(np.linspace(0, setting.num_updates, NUM_STRETCHES + 1).round().astype(int)):
        train_offline(plain, buffer, int(num_updates), rng)
        curve.append(judge(agent, greedy_policy(plain.averaged), seed).mean)
    enhanced = dataclasses.replace(agent.enhanced, practice_updates=setting.practice_updates)
    trainer = OfflineTwinEnhancedTrainer(
        record, env, plain.network.config, agent.learning, enhanced, twin_seed,
        setting.offline_updates, setting.pull_weight,
    )  # fmt: skip
    done = trainer.round()
    return {
        "plain_curve": curve,
        "twin_enhanced": judge(agent, greedy_policy(trainer.agent.averaged), seed).mean,
        "agent_2": judge(agent, greedy_policy(trainer.apprentice.averaged), seed).mean,
        "equal_split": judge(agent, equal_split(env.unwrapped.parameters), seed).mean,
        "updates": {"twin_enhanced": done.num_updates, "plain": plain.num_updates},
    }


def learned_online(setting: OfflineSetting, seed: int) -> dict[str, object]:
    """Returns the utility of the same agent after as many updates with fresh interactions, and both numbers."""
    agent, copies, ratio = setting.agent, setting.online_copies, setting.online_updates_per_step
    agent = dataclasses.replace(agent, learning=dataclasses.replace(agent.learning, **agent.plain_learning))
    env_seed, weights_seed, draws_seed = separate_seeds(seed, 3)
    learner = new_learner(agent, weights_seed)
    buffer = ReplayBuffer(agent.learning.buffer_size, len(learner.network.config.observation_fields))
    collector = Collector(agent.ground.make_env(copies, seed), env_seed, buffer)
    before = (math.ceil(agent.learning.learning_starts / copies) - 1) * copies  # interactions without an update
    num_steps = before + round(setting.num_updates / ratio)
    train(learner, collector, num_steps, np.random.default_rng(draws_seed), updates_per_step=ratio)
    utility = judge(agent, greedy_policy(learner.averaged), seed).mean
    return {"utility": utility, "steps": collector.num_steps, "updates": learner.num_updates}


def compare(setting: OfflineSetting, seeds: list[int]) -> dict[str, Any]:
    """Returns the summary of every arm, shares of what the acting agent reaches, and differences seed by seed.

    `plain_best` is the plain arm stopped where the network itself says best.
    """
    runs = over_seeds(learned_from_record, setting, seeds)
    # What happens online does not depend on the record.
    online = over_seeds(learned_online, dataclasses.replace(setting, behaviour="random"), seeds)
    arms = {
        "twin_enhanced": np.array([run["twin_enhanced"] for run in runs]),
        "agent_2": np.array([run["agent_2"] for run in runs]),
        "plain": np.array([run["plain_curve"][-1] for run in runs]),
        "plain_best": np.array([max(run["plain_curve"]) for run in runs]),
        "online": np.array([run["utility"] for run in online]),
    }
    equal = np.array([run["equal_split"] for run in runs])
    ours, reference = arms["twin_enhanced"], arms.pop("online")
    return {
        "utility": {name: summary(values) for name, values in (*arms.items(), ("online", reference))},
        "equal_split": float(equal.mean()),
        "share_of_online_utility": {name: share(values, reference) for name, values in arms.items()},
        "share_of_online_gain_over_equal_split": {
            name: share(values - equal, reference - equal) for name, values in arms.items()
        },
        "twin_enhanced_minus": {name: paired(ours, arms[name]) for name in ("plain", "plain_best")},
        "steps": {"record": setting.record_steps, "online": online[0]["steps"]},
        "updates": {**runs[0]["updates"], "online": online[0]["updates"]},
    }


def measure(full: bool, seed: int) -> Result:
    """Measures 10 seeds of a random and of a mixed record, or 3 of a random one with half of the practice."""
    seeds = list(range(seed, seed + (10 if full else 3)))
    settings = [OfflineSetting(), OfflineSetting("mixed")] if full else [OfflineSetting(practice_updates=5000)]
    figure = {setting.behaviour: compare(setting, seeds) for setting in settings}
    found = figure["random"]
    ratio = found["share_of_online_utility"]["twin_enhanced"]["mean"]
    better = all(difference["interval"][0] > 0 for difference in found["twin_enhanced_minus"].values())
    goal = (
        "from a random policy's record >= 95 % of the online agent's utility; better than plain, and than plain "
        "stopped where it is best: intervals of the differences on the same records above 0"
    )
    baseline = {name: found["utility"][name] for name in ("plain", "plain_best", "online")}
    return Result(figure, goal, ratio >= 0.95 and better, baseline, ratio)
