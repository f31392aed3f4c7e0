"""What each part of the twin-enhanced loop is worth on `dynamic`: the default with one part changed at a time."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.vector import VectorWrapper

from gentwin.rl import TwinEnhancedTrainer
from gentwin.rl.anchors import EQUAL
from recipes.comparison.arms import anchors, run_with_twin
from recipes.comparison.cache import over_seeds
from recipes.comparison.settings import DYNAMIC, Setting
from recipes.comparison.statistics import paired, summary
from recipes.figures.result import Result

NUM_ROUNDS = 2
NUM_UPDATES = 8000
FIRST_SEED = 100  # parts are chosen on other trainings than those of the comparisons


@dataclass(frozen=True)
class Variant:
    """The default with one part changed.

    Args:
        setting: Of the agent.
        penalty: Weight of the members' disagreement, subtracted from every reward in the twin.
    """

    setting: Setting
    penalty: float = 0.0


class Distrustful(VectorWrapper):
    """A twin whose rewards are lower where its members disagree."""

    def __init__(self, env: Any, penalty: float) -> None:
        super().__init__(env)
        self.penalty = penalty

    def step(self, actions: np.ndarray) -> tuple:
        """Takes `actions`; see Gymnasium."""
        doubt = self.env.uncertainty(actions)
        observations, rewards, *rest = self.env.step(actions)
        return observations, rewards - self.penalty * doubt, *rest


class DistrustfulTrainer(TwinEnhancedTrainer):
    """Practises in a distrustful twin."""

    def __init__(self, *arguments: Any, penalty: float) -> None:
        super().__init__(*arguments)
        self.penalty = penalty

    def practice_env(self, twin: Any) -> Distrustful:
        """Returns the twin's environment with the penalty."""
        return Distrustful(super().practice_env(twin), self.penalty)


def changed(num_rounds: int = NUM_ROUNDS, penalty: float = 0.0, **values: Any) -> Variant:
    """Returns a variant; fields of the fit start with `fit_`, hyper-parameters of learning with `learning_`."""
    parts: dict[str, dict[str, Any]] = {"fit_": {}, "learning_": {}, "": {}}
    for key, value in values.items():
        prefix = next(prefix for prefix in parts if key.startswith(prefix))
        parts[prefix][key.removeprefix(prefix)] = value
    fit = dataclasses.replace(DYNAMIC.enhanced.fit, **parts["fit_"])
    practice = {"practice_updates": NUM_UPDATES // num_rounds, **parts[""]}
    loops = dataclasses.replace(DYNAMIC.enhanced, fit=fit, **practice)
    learning = dataclasses.replace(DYNAMIC.learning, **parts["learning_"])
    setting = dataclasses.replace(DYNAMIC, enhanced=loops, learning=learning, num_rounds=num_rounds)
    return Variant(setting, penalty)


# All have 900 interactions, and 8,000 updates but for one of them.
VARIANTS = {
    "as shipped, but two rounds of 4,000 updates": changed(),
    "point guesses (eq. 7)": changed(fit_model_type="gentwin_slice_mean", fit_model_config={}),
    "one member instead of three": changed(fit_model_config={"num_members": 1}),
    "six members": changed(fit_model_config={"num_members": 6}),
    "reward less 1 x disagreement": changed(penalty=1.0),
    "twin fitted four times as long": changed(fit_num_updates=1200, fit_refit_updates=600),
    "twin fitted anew in every round": changed(fit_refit_updates=None),
    "all 900 random, no refit": changed(num_rounds=1, first_steps=900),
    "trusted from 300 on, rounds of 150": changed(num_rounds=5, first_steps=300, steps_per_round=150),
    "mostly random while acting": changed(learning_exploration_decay_steps=3000),
    "no past before a roll-out": changed(history_steps=0),
    "roll-outs of 5 steps": changed(practice_horizon=5),
    "roll-outs of 200 steps": changed(practice_horizon=200),
    "half of each batch real": changed(real_share=0.5),
    "six times fewer steps in the twin": changed(practice_updates_per_step=0.125),
    "a quarter of the updates": changed(practice_updates=1000, practice_updates_per_step=0.005),
    "half of agent 1 kept (eq. 8)": changed(empowerment=0.5),
}


def run_variant(variant: Variant, seed: int) -> dict[str, list]:
    """Trains the agent of a variant; returns its curve."""
    distrustful = functools.partial(DistrustfulTrainer, penalty=variant.penalty)
    return run_with_twin(variant.setting, seed, distrustful if variant.penalty else TwinEnhancedTrainer)


def measure(full: bool, seed: int) -> Result:
    """Measures the variants over 2 seeds, 10 if `full`, with the difference to the default seed by seed."""
    first = FIRST_SEED + seed
    seeds = list(range(first, first + (10 if full else 2)))
    equal = anchors(DYNAMIC, seeds)[0]["mean"][EQUAL]
    table: dict[str, dict[str, Any]] = {}
    default = np.zeros(0)
    for name, variant in VARIANTS.items():
        last = np.array([curve["utility"][-1] for curve in over_seeds(run_variant, variant, seeds)])
        default = default if default.size else last
        table[name] = {
            "gain": summary(last - equal),
            "difference": paired(last, default),
        }
    base = next(iter(table.values()))["gain"]["mean"]
    ratio = {name: entry["gain"]["mean"] / base for name, entry in table.items()}
    goal = "gain over equal split after 900 interactions with one part changed at a time, reported whatever it shows"
    return Result(table, goal, True, base, ratio)
