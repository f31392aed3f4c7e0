"""The arms of a comparison, the policies they are compared with, and how all are judged."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from gentwin.rl import (
    Evaluation,
    PlainTrainer,
    QLearner,
    TwinEnhancedTrainer,
    evaluate,
    greedy_policy,
    q_network_config,
)
from gentwin.rl.anchors import anchor_utilities
from recipes.comparison.cache import over_seeds
from recipes.comparison.settings import Ground, Setting

# Nothing was developed on the episodes of these seeds. Copy `i` of an environment has seed `seed + i`.
EVALUATION_SEED = 31_000_000
FINAL_SEED = 47_000_000
FINAL_COPIES = 4  # times those of other evaluations


def judge(setting: Setting, policy: Any, seed: int) -> Evaluation:
    """Returns how good a policy is on fresh episodes; every policy of one seed meets the same ones."""
    ground = setting.ground
    return evaluate(policy, ground.make_env(ground.evaluation_copies, seed), ground.evaluation_steps, EVALUATION_SEED)


def judge_at_last(ground: Ground, policy: Any, seed: int) -> Evaluation:
    """Returns the same on more episodes, others than those that curves are judged on."""
    copies = FINAL_COPIES * ground.evaluation_copies
    return evaluate(policy, ground.make_env(copies, seed), ground.evaluation_steps, FINAL_SEED)


def judged(agent: QLearner, which: str = "averaged") -> Any:
    """Returns the policy of an agent that is judged: of its `averaged` network or of the last one, `network`."""
    return greedy_policy(getattr(agent, which))


def run_with_twin(
    setting: Setting, seed: int, make_trainer: Callable[..., TwinEnhancedTrainer] = TwinEnhancedTrainer
) -> dict[str, Any]:
    """Trains the agent with a twin.

    Args:
        setting: Of the comparison.
        seed: Of everything.
        make_trainer: Makes the trainer from environment, configuration, hyper-parameters, loops and seed.

    Returns:
        `steps`, `updates` and greedy `utility` after every round, and `final`, the utility of the last policy in every
        copy of the final episodes.
    """
    env = setting.ground.make_env(setting.num_envs, seed)
    config = q_network_config(env, setting.head, hidden_sizes=setting.hidden_sizes)
    trainer = make_trainer(env, config, setting.learning, setting.enhanced, seed)
    curve: dict[str, Any] = {"steps": [], "updates": [], "utility": []}
    for _ in range(setting.num_rounds):
        _note(curve, setting, trainer, seed, "averaged")
    policy = judged(trainer.agent)
    return curve | {"final": judge_at_last(setting.ground, policy, seed).utility.tolist()}


def run_without_twin(setting: Setting, seed: int) -> dict[str, Any]:
    """Trains the same agent with as many updates, spread over `plain_steps` interactions; returns the same.

    It is evaluated after as many interactions as the arm with a twin, and after a quarter more each time from there on.
    """
    env = setting.ground.make_env(setting.num_envs, seed)
    config = q_network_config(env, setting.head, hidden_sizes=setting.hidden_sizes)
    learning = dataclasses.replace(
        setting.learning,
        updates_per_step=setting.num_updates / (setting.plain_steps - setting.plain_starts),
        learning_starts=setting.plain_starts,
        **setting.plain_learning,
    )
    trainer = PlainTrainer(env, config, learning, 1, seed)
    curve: dict[str, Any] = {"steps": [], "updates": [], "utility": []}
    for steps in evaluation_steps(setting):
        trainer.steps_per_round = steps - trainer.collector.num_steps
        _note(curve, setting, trainer, seed, setting.plain_judged)
    policy = judged(trainer.agent, setting.plain_judged)
    return curve | {"final": judge_at_last(setting.ground, policy, seed).utility.tolist()}


def evaluation_steps(setting: Setting) -> list[int]:
    """Returns the interactions after which the arm without twin is evaluated."""
    loops, copies = setting.enhanced, setting.num_envs
    per_round = -(-loops.steps_per_round // copies) * copies
    steps = [loops.first_steps + number * per_round for number in range(setting.num_rounds)]
    while steps[-1] < setting.plain_steps:
        steps.append(min(setting.plain_steps, round(1.25 * steps[-1])))
    return steps


def _note(
    curve: dict[str, Any], setting: Setting, trainer: PlainTrainer | TwinEnhancedTrainer, seed: int, which: str
) -> None:
    done = trainer.round()
    curve["steps"].append(done.real_steps)
    curve["updates"].append(done.num_updates)
    curve["utility"].append(judge(setting, judged(trainer.agent, which), seed).mean)


def anchor_run(ground: Ground, seed: int) -> dict[str, Any]:
    """Returns the utilities of the policies without deep learning: on the episodes of `judge`, and the final ones."""
    found = {}
    for name, copies, episodes in (("curve", 1, EVALUATION_SEED), ("final", FINAL_COPIES, FINAL_SEED)):
        env = ground.make_env(copies * ground.evaluation_copies, seed)
        found[name] = anchor_utilities(env, ground.evaluation_steps, episodes, search_steps=40)
    return {
        "mean": {name: entry.mean for name, entry in found["curve"].items()},
        "final": {name: entry.utility.tolist() for name, entry in found["final"].items()},
    }


def anchors(setting: Setting, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Returns the lines of every plot for every seed; one for all where all seeds meet one network."""
    if setting.ground.fixed_placement:
        return over_seeds(anchor_run, setting.ground, list(seeds))
    return over_seeds(anchor_run, setting.ground, [0]) * len(seeds)


ARMS = {"with_twin": run_with_twin, "without_twin": run_without_twin}


def curves(setting: Setting, arm: str, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Returns the curves of an arm for every seed."""
    return over_seeds(ARMS[arm], setting, list(seeds))
