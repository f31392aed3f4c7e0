"""Arms, targets and cached runs of the comparisons of agents."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gentwin.rl import LearnerArguments, TwinEnhancedArguments, TwinFitArguments
from recipes.comparison import cache
from recipes.comparison.arms import ARMS, judge
from recipes.comparison.settings import SETTINGS, Ground, Setting
from recipes.figures.sample_efficiency import censored_mean, steps_to, summary

TINY = Setting(
    ground=Ground({"preset": "hua2019"}, fixed_placement=True, evaluation_copies=2, evaluation_steps=2),
    num_envs=1,
    head="plain",
    learning=LearnerArguments(learning_starts=4, batch_size=4),
    enhanced=TwinEnhancedArguments(
        first_steps=8, steps_per_round=4, practice_updates=6, practice_copies=4, practice_horizon=2, history_steps=0,
        fit=TwinFitArguments(num_updates=2, refit_updates=2, sequence_length=4, model_config={"num_members": 1}),
    ),
    num_rounds=2,
    plain_steps=24,
    plain_starts=4,
    plain_stretch=8,
    hidden_sizes=[8],
)  # fmt: skip


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_is_determined_by_its_seed(arm):
    first, again, other = (ARMS[arm](TINY, seed) for seed in (0, 0, 1))
    assert first == again != other
    assert len(first["steps"]) == len(first["utility"]) == len(first["updates"])
    assert first["steps"] == ([8, 12] if arm == "with_twin" else [8, 16, 24])


def test_both_arms_make_as_many_updates():
    updates = [ARMS[arm](TINY, 0)["updates"][-1] for arm in ARMS]
    assert updates == pytest.approx([TINY.num_updates] * 2, abs=2)
    for setting in SETTINGS.values():
        assert setting.plain_starts <= setting.plain_stretch


def test_policies_of_one_seed_meet_one_network():
    def policy(observations):
        return np.zeros(len(observations), int)

    utilities = [judge(TINY, policy, seed).utility for seed in (0, 0, 1)]
    assert (utilities[0] == utilities[1]).all()
    assert (utilities[0] != utilities[2]).any()


def test_interactions_to_a_target():
    curve = {"steps": [10, 20, 30], "utility": [1.0, 3.0, 2.0]}
    assert steps_to(curve, 2.5) == 20
    assert steps_to(curve, 4.0) == float("inf")
    mean, (low, high) = censored_mean([10.0, 20.0, float("inf")], 30.0)
    assert low <= mean <= high <= 30
    table = summary([curve, curve], [2.5, 4.0])
    assert table["never_reached"] == 1
    assert table["final"] == pytest.approx(2.0)


@dataclasses.dataclass(frozen=True)
class Number:
    value: int


def square(setting: Number, seed: int) -> dict[str, int]:
    return {"square": setting.value**2 + seed}


def test_runs_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "CACHE", tmp_path)
    assert cache.over_seeds(square, Number(3), [0, 1]) == [{"square": 9}, {"square": 10}]
    kept = next(tmp_path.rglob("1.json"))
    kept.write_text('{"square": 0}')
    assert cache.over_seeds(square, Number(3), [0, 1, 2])[1:] == [{"square": 0}, {"square": 11}]
    assert cache.over_seeds(square, Number(4), [0]) == [{"square": 16}]
