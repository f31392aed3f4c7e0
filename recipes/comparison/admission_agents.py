"""Agents of admission control, with a twin and without, and what they earn beside heuristics under equal requests."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv

from gentwin.networks.admission import AdmissionParameters, action_mask, admission_parameters
from gentwin.networks.admission.optimum import optimal_policy
from gentwin.networks.admission.performance import Performance, best_reservation, simulate
from gentwin.networks.admission.policies import Policy, fifo_greedy, revenue_greedy, trunk_reservation
from gentwin.rl import LearnerArguments, PlainTrainer, QLearner, q_network_config
from gentwin.rl.admission import AdmissionArguments, AdmissionTrainer, follow, state_policy
from gentwin.rl.cloning import clone_policy
from gentwin.rl.evaluation import per_state
from gentwin.rl.recipe.arguments import AGENT_ARGUMENT_CLASSES
from gentwin.rl.recipe.setup import read_section
from gentwin.training import parse_arguments

SEARCH, CURVE, FINAL = range(3)  # purposes of random keys: none of them are met by two of them, or by an agent
GREEDY, BY_REVENUE, TRUNK, OPTIMUM = "greedy", "greedy by revenue", "trunk reservation", "optimum"
PLAIN_GROWTH = 1.25  # from one evaluation without twins to the next, as decisions
HEURISTICS = (GREEDY, BY_REVENUE, TRUNK)


@dataclass(frozen=True)
class AdmissionSetting:
    """One comparison of agents of admission control.

    Args:
        preset: Of the network.
        num_envs: Copies the agent decides in; their decisions all count.
        hidden_sizes: Widths of the Q-network.
        learning: Hyper-parameters of both arms, but for updates in the arm without twins.
        enhanced: Loops of the arm with twins.
        num_rounds: Rounds of that arm.
        plain_steps: Decisions of trainings without twins: in each of them as many updates as with twins are spread over
            so many decisions, since nobody knows beforehand how dense updates suit that arm best.
        plain_learning: Hyper-parameters in which that arm differs, because without a twin it explores in the network.
        head: Of the Q-network.
        curve_copies: Copies of the network that curves are judged on.
        final_copies: Copies that last policies are judged on.
        duration_s: Time that counts in either.
        settle_s: Time before it under the same policy.
    """

    preset: str
    num_envs: int
    hidden_sizes: list[int]
    learning: LearnerArguments
    enhanced: AdmissionArguments
    num_rounds: int
    plain_steps: tuple[int, ...]
    plain_learning: dict[str, Any] = field(default_factory=dict)
    head: str = "dueling"
    curve_copies: int = 128
    final_copies: int = 1024
    duration_s: float = 300.0
    settle_s: float = 100.0

    @property
    def num_updates(self) -> int:
        """Updates of either arm."""
        return self.num_rounds * self.enhanced.practice_updates

    @property
    def parameters(self) -> AdmissionParameters:
        """Of the network."""
        return admission_parameters(self.preset)

    def of_twins(self) -> AdmissionSetting:
        """Returns the setting without what is of the other arm alone, so that runs are kept when that changes."""
        return dataclasses.replace(self, plain_steps=(), plain_learning={})

    def by_density(self) -> dict[int, AdmissionSetting]:
        """Returns the settings of single trainings without twins, by their decisions."""
        return {steps: dataclasses.replace(self, plain_steps=(steps,)) for steps in self.plain_steps}

    def make_env(self) -> VectorEnv:
        """Returns the network to decide in; endless episodes."""
        return gymnasium.make_vec(
            "gentwin/SliceAdmission-v0", num_envs=self.num_envs, preset=self.preset, observation_fields="all",
            episode_steps=None, num_threads=1,
        )  # fmt: skip

    def play(self, policy: Policy, purpose: int) -> Performance:
        """Returns what a policy earns; all policies meet the same requests."""
        copies = self.final_copies if purpose == FINAL else self.curve_copies
        keys = np.random.default_rng([purpose, 20_310]).integers(2**64, size=copies, dtype=np.uint64)
        return simulate(policy, self.parameters, keys, self.duration_s, self.settle_s, num_threads=1)


def from_recipe(preset: str, plain_steps: tuple[int, ...], plain_learning: dict[str, Any]) -> AdmissionSetting:
    """Returns the setting of `recipes/agent_admission.yaml` on a preset; the rest is what a recipe does not say."""
    config = Path(__file__).parents[1] / "agent_admission.yaml"
    sections, run = parse_arguments([], config, classes=AGENT_ARGUMENT_CLASSES)
    return AdmissionSetting(
        preset=preset,
        num_envs=run.num_envs,
        hidden_sizes=sections.agent["hidden_sizes"],
        learning=read_section(LearnerArguments, sections.learning, "learning"),
        enhanced=read_section(AdmissionArguments, sections.twin_enhanced, "twin_enhanced"),
        num_rounds=run.num_rounds,
        plain_steps=plain_steps,
        plain_learning=plain_learning,
        head=sections.agent["head"],
    )


def anchors(setting: AdmissionSetting) -> dict[str, Policy]:
    """Returns the policies agents are compared with, on a small network the optimum among them.

    The reserve of trunk reservation is searched under keys that nothing else meets.
    """
    parameters = setting.parameters
    keys = np.random.default_rng([SEARCH, 20_310]).integers(2**64, size=setting.curve_copies, dtype=np.uint64)
    reserve = best_reservation(parameters, keys, setting.duration_s)
    policies = (fifo_greedy(parameters), revenue_greedy(parameters), trunk_reservation(parameters, reserve))
    found: dict[str, Policy] = dict(zip(HEURISTICS, policies, strict=True))
    return found | ({OPTIMUM: optimal_policy(parameters)} if setting.preset == "small" else {})


def anchor_run(setting: AdmissionSetting, seed: int) -> dict[str, Any]:
    """Returns what anchors earn, on the copies for curves and on those for last policies; no seed has an effect."""
    return {
        name: {"curve": setting.play(policy, CURVE).revenue_per_s, "final": described(setting.play(policy, FINAL))}
        for name, policy in anchors(setting).items()
    }


def with_twins(setting: AdmissionSetting, seed: int) -> dict[str, Any]:
    """Trains the agent with twins; returns its curve over real decisions, and how the last policy did."""
    env = setting.make_env()
    config = q_network_config(env, setting.head, hidden_sizes=setting.hidden_sizes)
    policy = fifo_greedy(setting.parameters)
    trainer = AdmissionTrainer(env, config, setting.learning, setting.enhanced, seed, policy)
    curve = _empty_curve()
    for _ in range(setting.num_rounds):
        done = trainer.round()
        _note(curve, setting, trainer.agent, env, done.real_steps, done.num_updates)
    learned = {entry.name: [entry.arrivals_per_s, entry.service_s, entry.timeout_s] for entry in trainer.twin.slices}
    return curve | _last(setting, trainer.agent, env) | {"learned": learned, "patience": trainer.twin.patience}


def without_twins(setting: AdmissionSetting, seed: int) -> dict[str, Any]:
    """Trains the same agent in the network alone, from the same first decisions and with as many updates.

    They are spread evenly over the only entry of `plain_steps`.
    """
    env, loops, (last_step,) = setting.make_env(), setting.enhanced, setting.plain_steps
    config = q_network_config(env, setting.head, hidden_sizes=setting.hidden_sizes)
    learning = dataclasses.replace(
        setting.learning,
        learning_starts=1,
        updates_per_step=setting.num_updates / (last_step - loops.first_steps),
        **setting.plain_learning,
    )
    trainer = PlainTrainer(env, config, learning, 1, seed)
    follow(trainer.collector, per_state(fifo_greedy(setting.parameters), env), loops.first_steps)
    whole = trainer.collector.buffer.whole()
    trainer.agent.prepare(whole)
    if loops.clone_updates:
        states = env.unwrapped.states(whole.observations.numpy())
        clone_policy(
            trainer.agent, whole.observations.numpy(), action_mask(setting.parameters, states), whole.actions.numpy(),
            loops.clone_updates, trainer.rng,
        )  # fmt: skip
    curve, collector = _empty_curve(), trainer.collector
    _note(curve, setting, trainer.agent, env, collector.num_steps, 0)
    while collector.num_steps < last_step:  # copies act at once, so there may be a few more than asked for
        trainer.steps_per_round = min(last_step, math.ceil(PLAIN_GROWTH * collector.num_steps)) - collector.num_steps
        done = trainer.round()
        _note(curve, setting, trainer.agent, env, done.real_steps, done.num_updates)
    return curve | _last(setting, trainer.agent, env)


def _empty_curve() -> dict[str, Any]:
    return {"steps": [], "updates": [], "utility": []}


def _note(
    curve: dict[str, Any], setting: AdmissionSetting, agent: QLearner, env: VectorEnv, steps: int, updates: int
) -> None:
    curve["steps"].append(steps)
    curve["updates"].append(updates)
    curve["utility"].append(setting.play(state_policy(agent.averaged, env), CURVE).revenue_per_s)


def _last(setting: AdmissionSetting, agent: QLearner, env: VectorEnv) -> dict[str, Any]:
    """Returns what the policy of an agent earns in the end."""
    return {"final": described(setting.play(state_policy(agent.averaged, env), FINAL))}


def described(found: Performance) -> dict[str, Any]:
    """Returns what was measured, as plain numbers; `by_copy` has the revenue per second as its mean."""
    return {
        "revenue_per_s": found.revenue_per_s,
        "standard_error": found.standard_error,
        "utilisation": found.utilisation.tolist(),
        "admission": found.admission.tolist(),
        "by_copy": (found.revenue_per_s + found.residuals).tolist(),
    }
