"""Learning from a fixed record of `dynamic`: twin-enhanced, plain, and beside them the agent that acts."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np
import torch

from gentwin.metrics import bootstrap_interval, interquartile_mean
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
from recipes.comparison.settings import DYNAMIC, Setting
from recipes.figures.result import Result


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
    """Returns utilities of the arms that learn from the same record."""
    agent = setting.agent
    env = agent.ground.make_env(agent.num_envs, seed)
    behaviour = behaviour_policy(setting.behaviour, env.unwrapped.parameters, np.random.default_rng(seed))
    record = record_behaviour(env, behaviour, setting.record_steps, seed)
    plain, buffer, rng = new_learner(agent, seed), replay_from_transitions(record, env), np.random.default_rng(seed)
    curve = []
    for _ in range(12):
        train_offline(plain, buffer, setting.num_updates // 12, rng)
        curve.append(judge(agent, greedy_policy(plain.averaged), seed).mean)
    enhanced = dataclasses.replace(agent.enhanced, practice_updates=setting.practice_updates)
    trainer = OfflineTwinEnhancedTrainer(
        record, env, plain.network.config, agent.learning, enhanced, seed, setting.offline_updates, setting.pull_weight
    )
    trainer.round()
    return {
        "plain_curve": curve,
        "twin_enhanced": judge(agent, greedy_policy(trainer.agent.averaged), seed).mean,
        "agent_2": judge(agent, greedy_policy(trainer.apprentice.averaged), seed).mean,
        "equal_split": judge(agent, equal_split(env.unwrapped.parameters), seed).mean,
    }


def learned_online(setting: OfflineSetting, seed: int) -> dict[str, object]:
    """Returns the utility of the same agent after as many updates with fresh interactions, and their number."""
    agent, learner = setting.agent, new_learner(setting.agent, seed)
    ratio = setting.online_updates_per_step
    env = agent.ground.make_env(setting.online_copies, seed)
    size = learner.network.config.observation_fields
    collector = Collector(env, seed, ReplayBuffer(agent.learning.buffer_size, len(size)))
    num_steps = round(setting.num_updates / ratio)
    train(learner, collector, num_steps, np.random.default_rng(seed), updates_per_step=ratio)
    return {"utility": judge(agent, greedy_policy(learner.averaged), seed).mean, "steps": collector.num_steps}


def summary(values: list[float]) -> dict[str, object]:
    """Returns the interquartile mean and its 95 % interval over runs."""
    return {"utility": interquartile_mean(np.array(values)), "interval": bootstrap_interval(np.array(values), seed=0)}


def compare(setting: OfflineSetting, seeds: list[int]) -> dict[str, dict]:
    """Returns the summary of every arm; `plain_best` is the plain one stopped where the network itself says best."""
    runs = over_seeds(learned_from_record, setting, seeds)
    # What happens online does not depend on the record.
    online = over_seeds(learned_online, dataclasses.replace(setting, behaviour="random"), seeds)
    arms = {
        "twin_enhanced": [run["twin_enhanced"] for run in runs],
        "agent_2": [run["agent_2"] for run in runs],
        "plain": [run["plain_curve"][-1] for run in runs],
        "plain_best": [max(run["plain_curve"]) for run in runs],
        "online": [run["utility"] for run in online],
    }
    return {name: summary(values) for name, values in arms.items()} | {
        "equal_split": float(np.mean([run["equal_split"] for run in runs])),
        "steps": {"record": setting.record_steps, "online": online[0]["steps"]},
    }


def measure(full: bool, seed: int) -> Result:
    """Measures 10 seeds of a random and of a mixed record, or 3 of a random one with half of the updates."""
    seeds = list(range(seed, seed + (10 if full else 3)))
    settings = [OfflineSetting(), OfflineSetting("mixed")] if full else [OfflineSetting(practice_updates=5000)]
    figure = {setting.behaviour: compare(setting, seeds) for setting in settings}
    arms = figure["random"]
    ours, plain, online = (arms[name] for name in ("twin_enhanced", "plain", "online"))
    share = ours["utility"] / online["utility"]
    gains = [arm["utility"] - arms["equal_split"] for arm in (ours, online)]
    figure["share_of_online_gain_over_equal_split"] = gains[0] / gains[1]
    met = share >= 0.95 and ours["interval"][0] > plain["interval"][1]
    goal = "from a random policy's record >= 95 % of the online agent's utility; better than plain, intervals apart"
    return Result(figure, goal, bool(met), {"plain": plain, "online": online}, share)
