"""Arms, targets and cached runs of the comparisons of agents."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from gentwin.hub import checkpoint_path
from gentwin.rl import LearnerArguments, TwinEnhancedArguments, TwinFitArguments, q_network_config
from recipes.comparison import cache
from recipes.comparison.arms import ARMS, evaluation_steps, judge, judge_at_last
from recipes.comparison.settings import SETTINGS, Ground, Setting
from recipes.figures.ablation import VARIANTS, Distrustful, DistrustfulTrainer, Variant, run_variant
from recipes.figures.beats_static import mean_interval
from recipes.figures.safe_exploration import SafetySetting
from recipes.figures.sample_efficiency import arm_summary, bandit_run, comparison, mean_steps, steps_to, targets_of

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
    hidden_sizes=[8],
)  # fmt: skip


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_is_determined_by_its_seed(arm):
    first, again, other = (ARMS[arm](TINY, seed) for seed in (0, 0, 1))
    assert first == again != other
    assert len(first["steps"]) == len(first["utility"]) == len(first["updates"])
    assert first["steps"] == ([8, 12] if arm == "with_twin" else evaluation_steps(TINY)) and first["steps"][-1] <= 24
    assert len(first["final"]) == 4 * TINY.ground.evaluation_copies


def test_both_arms_make_as_many_updates_and_are_evaluated_after_as_many_interactions():
    updates = [ARMS[arm](TINY, 0)["updates"][-1] for arm in ARMS]
    assert updates == pytest.approx([TINY.num_updates] * 2, abs=1)
    for setting in SETTINGS.values():
        steps, loops = evaluation_steps(setting), setting.enhanced
        assert steps[0] == loops.first_steps and steps[-1] == setting.plain_steps
        assert (np.diff(steps) > 0).all()
        assert setting.plain_starts <= steps[0]


def test_policies_of_one_seed_meet_one_network():
    def policy(observations):
        return np.zeros(len(observations), int)

    utilities = [judge(TINY, policy, seed).utility for seed in (0, 0, 1)]
    assert (utilities[0] == utilities[1]).all()
    assert (utilities[0] != utilities[2]).any()


def test_one_evaluation_above_the_target_may_be_luck():
    curve = {"steps": [10, 20, 30, 40], "utility": [3.0, 1.0, 3.0, 3.0]}
    assert steps_to(curve, 2.5) == 30
    assert steps_to(curve, 4.0) == float("inf")
    assert steps_to({"steps": [10, 20], "utility": [1.0, 3.0]}, 2.5) == float("inf")


def made_up(steps, utilities, final=2.0):
    return {"steps": steps, "utility": utilities, "updates": [1] * len(steps), "final": [final, final]}


def test_runs_that_never_arrive_are_not_counted_as_if_they_had():
    assert mean_steps(np.array([10.0, 20.0, 30.0, np.inf])) == pytest.approx(25.0)
    assert mean_steps(np.array([10.0, 20.0, np.inf, np.inf])) is None
    early, late, never = ([1.0, 3.0, 3.0, 3.0], [1.0, 1.0, 3.0, 3.0], [1.0, 1.0, 1.0, 1.0])
    steps = [10, 20, 40, 80]
    arms = {
        "with_twin": [made_up(steps, early, 3.0) for _ in range(4)],
        "without_twin": [made_up(steps, late), made_up(steps, never), made_up(steps, late), made_up(steps, late)],
    }
    found = comparison(arms, [2.0] * 4)
    assert found["ratio"] == pytest.approx(2.0 * 1.0) and found["ratio_is_lower_bound"]
    assert found["ratio_interval"][0] <= found["ratio"] <= found["ratio_interval"][1]
    assert found["final_difference"]["mean"] == pytest.approx(1.0)
    summary = arm_summary(arms["without_twin"], [2.0] * 4)
    assert summary["never_reached"] == 1 and summary["steps"] == pytest.approx(40.0)
    worse = comparison({"with_twin": arms["without_twin"], "without_twin": arms["with_twin"]}, [2.0] * 4)
    assert worse["ratio"] == pytest.approx(0.5) and worse["ratio_interval"][0] == 0
    assert not worse["ratio_is_lower_bound"]


def test_the_target_is_a_share_of_the_best_gain_of_all(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "CACHE", tmp_path)
    lines = [{"mean": {"equal split": 1.0, "best static": 1.5}}, {"mean": {"equal split": 2.0, "best static": 4.0}}]
    monkeypatch.setattr("recipes.figures.sample_efficiency.anchors", lambda setting, seeds: lines)
    runs = {"with_twin": [made_up([1], [2.0]), made_up([1], [3.0])]}
    assert targets_of(TINY, runs, [0, 1]) == pytest.approx([1.95, 3.9])


def test_a_ridge_bandit_has_a_curve():
    curve = bandit_run(TINY, 0)
    assert curve["steps"][:2] == [8, 16] and np.isfinite(curve["utility"]).all()


def test_the_interval_of_a_mean_knows_both_trainings_and_episodes():
    rng = np.random.default_rng(0)
    episodes = np.tile(rng.normal(size=200), (5, 1))
    trainings = np.tile(rng.normal(size=5)[:, None], (1, 200))
    low, high = mean_interval(episodes, 0)
    assert high - low == pytest.approx(4 * episodes[0].std() / 200**0.5, rel=0.15)
    low, high = mean_interval(trainings, 0)
    assert high - low > 2 * trainings[:, 0].std() / 5**0.5


def test_final_episodes_are_others_than_those_of_curves():
    def policy(observations):
        return np.zeros(len(observations), int)

    curve, final = judge(TINY, policy, 0).utility, judge_at_last(TINY.ground, policy, 0).utility
    assert len(final) == 4 * len(curve) and not set(final) & set(curve)


def test_variants_of_the_ablation_cost_as_much_as_the_default():
    def cost(variant):
        loops, rounds = variant.setting.enhanced, variant.setting.num_rounds
        return loops.first_steps + (rounds - 1) * loops.steps_per_round, rounds * loops.practice_updates

    default = next(iter(VARIANTS.values()))
    for name, variant in VARIANTS.items():
        interactions, updates = cost(variant)
        assert interactions == cost(default)[0], name
        assert updates == cost(default)[1] or name == "a quarter of the updates"


def test_a_distrustful_twin_takes_the_disagreement_off_the_reward():
    fit = dataclasses.replace(TINY.enhanced.fit, model_config={"num_members": 2})
    setting = dataclasses.replace(TINY, enhanced=dataclasses.replace(TINY.enhanced, fit=fit))
    assert run_variant(Variant(setting, 1.0), 0)["steps"] == [8, 12]
    env = setting.ground.make_env(1, 0)
    config = q_network_config(env, hidden_sizes=[8])
    trainer = DistrustfulTrainer(env, config, setting.learning, setting.enhanced, 0, penalty=2.0)
    trainer.round()
    rewards = []
    for practice in (trainer.practice_env(trainer.twin).env, trainer.practice_env(trainer.twin)):
        practice.reset(seed=0)
        actions = np.zeros(4, int)
        doubt = practice.unwrapped.uncertainty(actions)
        rewards.append(practice.step(actions)[1])
    assert isinstance(trainer.practice_env(trainer.twin), Distrustful) and (doubt > 0).all()
    np.testing.assert_allclose(rewards[0] - rewards[1], 2.0 * doubt, rtol=1e-5)


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


def test_runs_with_a_shipped_twin_are_not_those_with_one_trained_since(tmp_path):
    shipped, folder = SafetySetting(), tmp_path / "twin"
    shutil.copytree(checkpoint_path(shipped.guard_twin), folder)
    copied = SafetySetting(guard_twin=str(folder))
    assert copied.guard_weights == shipped.guard_weights == dataclasses.asdict(shipped)["guard_weights"]
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    assert SafetySetting(guard_twin=str(folder)).guard_weights != copied.guard_weights


def test_what_counts_as_the_same_run_is_what_its_module_imports(monkeypatch):
    read: list[str] = []
    original = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.as_posix()) or original(path))
    cache._code.cache_clear()
    digest = cache._code("recipes.comparison.arms")
    for part in ("recipes/comparison/settings.py", "gentwin/rl/learner.py", "gentwin/models/slice_lstm/__init__.py"):
        assert any(path.endswith(part) for path in read), part
    assert not any("signaling" in path or path.endswith("figures/distil.py") for path in read)
    assert cache._code("recipes.figures.distil") != digest == cache._code("recipes.comparison.arms")
