"""What figures about agents measure, with settings as small as can be."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from gentwin.metrics import bootstrap_interval
from gentwin.rl import TwinFitArguments
from recipes.comparison import statistics
from recipes.comparison.seeds import separate_seeds
from recipes.comparison.settings import DYNAMIC, Ground
from recipes.comparison.statistics import paired, share, summary
from recipes.figures import distil, landscape, offline

NETWORK = {"preset": "dynamic", "observation_fields": "all", "slots_per_step": 10, "warmup_steps": 2}
TINY = dataclasses.replace(
    DYNAMIC,
    ground=Ground(NETWORK, evaluation_copies=2, evaluation_steps=2),
    num_envs=2,
    learning=dataclasses.replace(DYNAMIC.learning, learning_starts=8, batch_size=8),
    enhanced=dataclasses.replace(
        DYNAMIC.enhanced, first_steps=24, practice_updates=24, practice_updates_per_step=0.5, practice_copies=4,
        practice_horizon=4, history_steps=2,
        fit=TwinFitArguments(num_updates=2, refit_updates=2, sequence_length=4, model_config={"num_members": 1}),
    ),
    num_rounds=1,
    hidden_sizes=[8],
)  # fmt: skip
OFFLINE = offline.OfflineSetting(
    record_steps=42, practice_updates=16, offline_updates=10, online_copies=4, agent=TINY, online_updates_per_step=0.5
)


def finite(value):
    """Tells whether all numbers in nested results are finite."""
    if isinstance(value, dict):
        return all(finite(entry) for entry in value.values())
    return bool(np.isfinite(np.asarray(value, np.float64)).all())


def test_arms_of_the_offline_figure_make_as_many_updates(monkeypatch):
    monkeypatch.setattr(offline, "NUM_STRETCHES", 3)
    found, again = (offline.learned_from_record(OFFLINE, 3) for _ in range(2))
    online = offline.learned_online(OFFLINE, 3)
    assert found == again
    assert finite(found)
    assert finite(online)
    assert found.keys() == {"plain_curve", "twin_enhanced", "agent_2", "equal_split", "updates"}
    assert len(found["plain_curve"]) == offline.NUM_STRETCHES
    assert [*found["updates"].values(), online["updates"]] == [OFFLINE.num_updates] * 3
    assert online["steps"] == OFFLINE.num_updates / 0.5 + 4


def test_the_acting_agent_explores_as_agents_without_a_twin_do(monkeypatch):
    seen = []
    monkeypatch.setattr(offline, "train", lambda learner, *rest, **more: seen.append(learner.arguments))
    with pytest.raises(RuntimeError, match="fitted"):  # it has learned nothing
        offline.learned_online(OFFLINE, 0)
    assert seen[0].exploration_decay_steps == DYNAMIC.plain_learning["exploration_decay_steps"]


def test_the_offline_figure_says_shares_of_utility_and_of_gain(monkeypatch):
    monkeypatch.setattr(statistics, "bootstrap_interval", functools.partial(bootstrap_interval, num_resamples=40))
    runs = {
        "learned_from_record": [
            {"plain_curve": [2.0, 5.0 + seed, 3.0 + seed], "twin_enhanced": 6.0 + seed, "agent_2": 1.0,
             "equal_split": 2.0, "updates": {"twin_enhanced": 1, "plain": 1}} for seed in range(3)
        ],
        "learned_online": [{"utility": 10.0 + seed, "steps": 9, "updates": 1} for seed in range(3)],
    }  # fmt: skip
    monkeypatch.setattr(offline, "over_seeds", lambda run, setting, seeds: runs[run.__name__])
    result = offline.measure(full=False, seed=0)
    found = result.figure["random"]
    assert found["share_of_online_utility"]["twin_enhanced"]["mean"] == pytest.approx(7 / 11)
    assert found["share_of_online_gain_over_equal_split"]["twin_enhanced"]["mean"] == pytest.approx(5 / 9)
    assert found["twin_enhanced_minus"]["plain"]["interval"] == (3, 3)
    assert found["twin_enhanced_minus"]["plain_best"]["interval"] == (1, 1)
    assert not result.met  # 7 / 11 is too little


def test_students_are_judged_beside_their_teacher(monkeypatch):
    monkeypatch.setattr(distil, "NUM_STATES", 60)
    monkeypatch.setattr(distil, "NUM_TESTED", 20)
    monkeypatch.setattr(distil, "NUM_TIMED", 5)
    run = distil.taught(TINY, 0)
    monkeypatch.setattr(distil, "over_seeds", lambda *rest: [run])
    monkeypatch.setattr(statistics, "bootstrap_interval", functools.partial(bootstrap_interval, num_resamples=40))
    assert finite(run)
    assert run.keys() == {"utility", "equal_split", "agreement", "parameters", "updates"}
    assert run["utility"].keys() == run["parameters"].keys() == {"teacher", "student_16", "student_4"}
    assert all(0 <= value <= 1 for value in run["agreement"].values())
    assert run["updates"] == TINY.num_updates
    found = distil.compare(TINY, [0])
    assert found["student_4"].keys() == {"share_of_utility", "share_of_gain_over_equal_split", "agreement"}
    times = distil.decision_times(TINY)
    assert times.keys() == run["utility"].keys()
    assert min(times.values()) > 0


def test_landscapes_are_in_one_unit_after_as_many_updates(monkeypatch):
    strengths = np.linspace(-0.1, 0.1, 3)
    for name, value in (("NUM_TESTED", 56), ("NUM_DIRECTIONS", 1), ("NUM_POSITIONS", 3), ("STRENGTHS", strengths)):
        monkeypatch.setattr(landscape, name, value)
    setting = landscape.LandscapeSetting(real_steps=40, num_updates=30, agent=TINY)
    learners = landscape.learned(setting, 2)
    monkeypatch.setattr(landscape, "learned", lambda *rest: learners)
    found = landscape.landscapes(setting, 2)
    assert finite(found)
    assert tuple(found) == landscape.ARMS
    batch = landscape.held_out_transitions(setting, 2)
    for name, learner in learners.items():
        assert found[name]["updates"] == pytest.approx(setting.num_updates, abs=2)
        loss = learner.loss(batch, np.random.default_rng(0)).item() * float(learner.network.return_scale) ** 2
        assert found[name]["line"]["losses"][1] == pytest.approx(loss, rel=1e-4)
    # Both learn from the same random interactions; the other one has seen its own.
    scales = [float(learner.network.return_scale) for learner in learners.values()]
    assert scales[0] == scales[2] != scales[1]


def test_random_decisions_are_as_many_as_those_of_stable_baselines3(monkeypatch):
    pytest.importorskip("stable_baselines3")
    from recipes.figures import rl_speed

    for num_steps in (500, 2000):
        ours = rl_speed.our_random_share(rl_speed.our_arguments(num_steps), num_steps)
        assert ours == pytest.approx(rl_speed.sb3_random_share(num_steps), abs=1e-6)
    monkeypatch.setattr(rl_speed, "MLP", [8])
    assert 0 < rl_speed.our_seconds(220, seed=0) < 60


def test_seeds_of_neighbouring_runs_share_no_episode():
    starts = np.array([separate_seeds(seed, 6) for seed in range(10)]).reshape(-1)
    assert np.diff(np.sort(starts)).min() > 256
    assert separate_seeds(3, 2) == separate_seeds(3, 6)[:2]


def test_differences_and_shares_are_of_runs_with_one_seed():
    ours, others = [2.0, 4.0, 6.0, 8.0], [1.0, 2.0, 3.0, 4.0]
    assert summary(ours)["mean"] == 5
    assert share(ours, others) == {"mean": 2, "interval": (2, 2)}
    low, high = paired(ours, others)["interval"]
    assert 1 <= low < 2.5 < high <= 4
