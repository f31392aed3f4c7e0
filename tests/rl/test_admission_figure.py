"""What the figure of admission agents measures, with settings as small as can be; and the recipe that trains one."""

import dataclasses
import json

import numpy as np
import pytest

from recipes import train_admission_agent
from recipes.comparison import admission_agents
from recipes.comparison.admission_agents import HEURISTICS, OPTIMUM
from recipes.figures import admission_drl

TINY = {
    name: dataclasses.replace(
        setting,
        num_envs=4,
        hidden_sizes=[8],
        learning=dataclasses.replace(setting.learning, batch_size=8, learning_starts=16, buffer_size=100),
        enhanced=dataclasses.replace(
            setting.enhanced, first_steps=40, steps_per_round=8, practice_updates=6, practice_updates_per_step=0.1,
            practice_copies=4, policy_updates=5, clone_updates=5, clone_steps=16,
        ),
        num_rounds=2,
        plain_steps=(60, 100),
        curve_copies=2,
        final_copies=3,
        duration_s=5.0,
        settle_s=1.0,
    )
    for name, setting in admission_drl.FULL.items()
}  # fmt: skip


@pytest.mark.parametrize("preset", TINY)
def test_arms_begin_with_the_same_decisions_and_make_as_many_updates_at_every_density(preset):
    setting = TINY[preset]
    ours = admission_agents.with_twins(setting.of_twins(), 0)
    assert ours == admission_agents.with_twins(setting.of_twins(), 0)
    assert ours["steps"] == [40, 48]
    plain = {steps: admission_agents.without_twins(one, 0) for steps, one in setting.by_density().items()}
    assert list(plain) == [60, 100]
    for steps, run in plain.items():
        assert run["steps"][0] == 40 and run["steps"][-1] == steps
        assert run["updates"][-1] == pytest.approx(ours["updates"][-1], abs=1)
    assert plain[60]["updates"][1] > plain[100]["updates"][1]
    for run in (ours, *plain.values()):
        assert len(run["final"]["by_copy"]) == 3 and len(run["utility"]) == len(run["steps"])
        assert np.mean(run["final"]["by_copy"]) == pytest.approx(run["final"]["revenue_per_s"])
        assert all(0 <= share <= 1 for share in (*run["final"]["utilisation"], *run["final"]["admission"]))


def test_without_twins_an_agent_has_hyper_parameters_of_its_own_and_the_other_arm_does_not_change():
    usual = dataclasses.replace(TINY["small"], plain_learning={}, plain_steps=(100,))
    fast = dataclasses.replace(usual, plain_learning={"learning_rate": 0.3, "target_update_rate": 1.0})
    found = [admission_agents.without_twins(one, 0) for one in (usual, fast)]
    assert found[0]["utility"][0] == found[1]["utility"][0]
    assert found[0]["utility"][1:] != found[1]["utility"][1:]
    assert usual.of_twins() == fast.of_twins()


def test_the_figure_is_measured_and_drawn(monkeypatch, tmp_path):
    monkeypatch.setattr(admission_drl, "over_seeds", lambda run, setting, seeds: [run(setting, seed) for seed in seeds])
    monkeypatch.setattr(admission_drl, "CACHE", tmp_path / "agent_runs")
    monkeypatch.setattr(admission_drl, "from_root", lambda path: path.name)
    monkeypatch.setattr(admission_drl, "FULL", TINY)
    monkeypatch.setattr(admission_drl, "quick", lambda setting: setting)
    result = admission_drl.measure(full=False, seed=0)
    small, busy = result.figure["small"], result.figure["busy"]
    assert list(small["anchors"]) == [*HEURISTICS, OPTIMUM] and list(busy["anchors"]) == [*HEURISTICS]
    share = small["with_twins"]["revenue_per_s"] / small["anchors"][OPTIMUM]["revenue_per_s"]
    assert small["share_of_optimum"] == pytest.approx(share)
    for table in (small, busy):
        chosen = table["without_twins"]["updates_spread_over"]
        assert list(table["by_density"]) == [60, 100] and chosen == admission_drl.best_density(table["by_density"])
        assert table["by_density"][chosen]["to_level"] == table["without_twins"]["to_level"]
    assert result.ratio == {name: result.figure[name]["times_fewer_decisions"] for name in ("small", "busy")}


def test_the_goal_needs_all_its_parts():
    def tables(share, low, ratio):
        busy = {"best_heuristic": "x", "with_twins": {"gain_over": {"x": {"interval": [low, 3]}}}}
        return {
            "small": {"share_of_optimum": share, "times_fewer_decisions": 20},
            "busy": busy | {"times_fewer_decisions": ratio},
        }

    assert admission_drl.is_met(tables(0.96, 0.1, 10))
    for missed in ((0.94, 0.1, 10), (0.96, -0.1, 10), (0.96, 0.1, 9)):
        assert not admission_drl.is_met(tables(*missed))


def test_the_baseline_is_the_density_with_the_fewest_decisions():
    def arms(**found):
        return {
            name: {"to_level": dict(zip(("decisions", "at_least"), pair, strict=True))} for name, pair in found.items()
        }

    assert admission_drl.best_density(arms(dense=(None, 3000), middle=(5000, 5000), sparse=(9000, 9000))) == "middle"
    assert admission_drl.best_density(arms(dense=(2000, 2000), sparse=(9000, 9000))) == "dense"
    assert admission_drl.best_density(arms(dense=(None, 3000), sparse=(None, 24_000))) == "sparse"


def test_trainings_that_never_arrive_count_with_their_end():
    curves = [{"steps": [1, 2, 8], "utility": values} for values in ([0, 1, 1], [1, 1, 1], [0, 1, 0])]
    assert admission_drl.decisions_to(curves, 0.5) == {"decisions": 2.0, "at_least": 2.0, "never_reached": 1}
    assert admission_drl.decisions_to(curves[2:], 0.5) == {"decisions": None, "at_least": 8.0, "never_reached": 1}


def test_the_recipe_trains_and_goes_on(tmp_path, capsys):
    folder = tmp_path / "agent"
    line = [
        "--output_dir", str(folder), "--network.preset", "small", "--network.warmup_s", "20.0", "--num_envs", "4",
        "--num_rounds", "1", "--evaluation_copies", "2", "--evaluation_steps", "5", "--use_cpu", "true",
        "--agent.hidden_sizes", "[8]", "--learning.batch_size", "8", "--learning.learning_starts", "16",
    ]  # fmt: skip
    tiny = {"first_steps": 40, "steps_per_round": 8, "practice_updates": 4, "clone_updates": 3, "clone_steps": 8}
    for name, value in (tiny | {"policy_updates": 3, "practice_copies": 4, "practice_updates_per_step": 0.1}).items():
        line += [f"--twin_enhanced.{name}", str(value)]
    train_admission_agent.main(line)
    train_admission_agent.main([*line[:8], "--num_rounds", "2", *line[10:], "--resume_from_checkpoint", "true"])
    metrics = json.loads((folder / "metrics.json").read_text())
    assert [entry["real_decisions"] for entry in metrics["history"]] == [40, 48]
    assert (folder / "model.safetensors").exists() and "resuming from" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="`guard_bound` must be left out"):
        train_admission_agent.main([*line, "--guard_bound", "0.3"])
