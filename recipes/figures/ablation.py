"""What each part of the twin-enhanced loop is worth on `dynamic`: the default with one part changed at a time."""

from __future__ import annotations

import dataclasses

import numpy as np

from gentwin.metrics import bootstrap_interval, interquartile_mean
from recipes.comparison.arms import anchors, curves
from recipes.comparison.settings import DYNAMIC, Setting
from recipes.figures.result import Result


def changed(**values) -> Setting:
    """Returns the setting of `dynamic` with other values of its loops; fields of the fit start with `fit_`."""
    fit = {key.removeprefix("fit_"): value for key, value in values.items() if key.startswith("fit_")}
    loops = {key: value for key, value in values.items() if not key.startswith("fit_")}
    fitting = dataclasses.replace(DYNAMIC.enhanced.fit, **fit)
    return dataclasses.replace(DYNAMIC, enhanced=dataclasses.replace(DYNAMIC.enhanced, fit=fitting, **loops))


VARIANTS = {
    "default": DYNAMIC,
    "one member instead of three": changed(fit_model_config={"num_members": 1}),
    "no past before a roll-out": changed(history_steps=0),
    "roll-outs of 5 steps": changed(practice_horizon=5),
    "roll-outs of 200 steps": changed(practice_horizon=200),
    "half of each batch real": changed(real_share=0.5),
    "a quarter of the updates": changed(practice_updates=1000),
    "point guesses (eq. 7)": changed(fit_model_type="gentwin_slice_mean", fit_model_config={}),
}


def measure(full: bool, seed: int) -> Result:
    """Measures the variants over 2 seeds, 5 if `full`; runs are cached and shared with `sample-efficiency`."""
    seeds = list(range(seed, seed + (5 if full else 2)))
    equal = anchors(DYNAMIC, seeds)[0]["equal split"]
    table = {}
    for name, setting in VARIANTS.items():
        utilities = np.array([curve["utility"] for curve in curves(setting, "with_twin", seeds)])
        last = utilities[:, -1]
        table[name] = {
            "gain_by_round": [float(interquartile_mean(column)) - equal for column in utilities.T],
            "interval": [end - equal for end in bootstrap_interval(last, 0)],
        }
    default = table["default"]["gain_by_round"][-1]
    ratio = {name: entry["gain_by_round"][-1] / default for name, entry in table.items()}
    goal = "gain over equal split with one part changed at a time, reported whatever it shows"
    return Result(table, goal, True, default, ratio)
