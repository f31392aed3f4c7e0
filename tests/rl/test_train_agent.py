"""The recipe that trains agents: with a twin and without, interrupted and resumed, and with bad input."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest
import torch
import yaml
from matplotlib.image import imread

import gentwin
from gentwin.datasets import read_transitions
from gentwin.rl.anchors import ANCHORS
from gentwin.rl.guard import worst_violations
from gentwin.training.arguments import load_yaml
from gentwin.training.checkpoints import is_complete, list_checkpoints

ROOT = Path(__file__).resolve().parents[2]
TINY = """
network: {preset: dynamic, observation_fields: all, slots_per_step: 20, resolution_hz: 3.06e6, warmup_steps: 0}
agent: {head: factorised, hidden_sizes: [8, 8]}
learning: {batch_size: 8, buffer_size: 500, learning_starts: 10, discount: 0.5}
twin_enhanced:
  first_steps: 40
  steps_per_round: 20
  practice_updates: 10
  practice_copies: 16
  practice_horizon: 5
  history_steps: 2
  fit:
    num_updates: 4
    refit_updates: 2
    sequence_length: 8
    batch_size: 4
    model_config: {embedding_size: 8, hidden_size: 8, head_hidden_size: 8, num_members: 2, num_quantiles: 8}
num_rounds: 3
plain_steps_per_round: 40
num_envs: 4
evaluation_copies: 3
evaluation_steps: 5
torch_threads: 1
use_cpu: true
"""


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_agent", ROOT / "recipes/train_agent.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("agents")
    (folder / "tiny.yaml").write_text(TINY)
    return folder


@pytest.fixture
def run(recipe: ModuleType, workplace: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(workplace)
    return lambda *words: recipe.main(["--config", "tiny.yaml", *words])


@pytest.fixture(scope="module")
def finished(recipe: ModuleType, workplace: Path) -> dict[str, Path]:
    """Output folders of a run with a twin and one without."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workplace)
        for name, use_twin in (("with_twin", "true"), ("plain", "false")):
            recipe.main(["--config", "tiny.yaml", "--use_twin", use_twin, "--output_dir", f"outputs/{name}"])
    return {name: workplace / "outputs" / name for name in ("with_twin", "plain")}


def metrics_of(folder: Path) -> tuple[dict, list]:
    content = json.loads((folder / "metrics.json").read_text())
    history = [
        {key: value for key, value in entry.items() if key != "seconds"} for entry in content["metrics"]["history"]
    ]
    return content["figures"], history


@pytest.mark.parametrize("name", ["with_twin", "plain"])
def test_everything_needed_is_in_the_folder(finished: dict[str, Path], workplace: Path, name: str):
    folder = finished[name]
    agent = gentwin.from_pretrained(folder)
    assert bool(agent.fitted) and agent.config.head == "factorised"
    figures, history = metrics_of(folder)
    assert figures["real_interactions"] == {"with_twin": 80, "plain": 120}[name] == history[-1]["real_steps"]
    assert len(history) == 3
    card = (folder / "README.md").read_text()
    assert yaml.safe_load(card.split("---")[1])["library_name"] == "gentwin"
    for expected in (*ANCHORS, "this agent", "±", f"{figures['real_interactions']} interactions", "--use_twin"):
        assert expected in card
    picture = imread(folder / "plots/progress.png")
    assert min(picture.shape[:2]) > 300 and picture[..., :3].std() > 0.02
    for file in ("README.md", "metrics.json", "training_arguments.yaml", "config.json"):
        text = (folder / file).read_text()
        assert str(workplace) not in text and str(ROOT) not in text


def test_a_guard_steps_in_and_it_and_violations_are_counted(finished, run, workplace: Path):
    folder = workplace / "outputs/guarded"
    twin = "outputs/with_twin/checkpoint-3/trainer/twin"
    words = ["--guard_bound", "0.2", "--guard_twin", twin, "--num_rounds", "2", "--output_dir", "outputs/guarded"]
    run(*words)
    figures, _ = metrics_of(folder)
    assert figures["guarded_decisions"] >= figures["real_interactions"]
    assert 0 < figures["replaced_by_the_guard"] <= figures["guarded_decisions"]
    assert figures["violation_bound"] == 0.2
    assert 0 <= figures["violated_windows"] <= figures["real_interactions"]
    card = (folder / "README.md").read_text()
    for expected in (
        f"A guard asked the twin `{twin}` what to expect of actions until there was one of this run;",
        f"lost more than 20 % of its packets to its SLA in {figures['violated_windows']} of 60 interactions",
        f"was asked about {figures['guarded_decisions']} actions and replaced {figures['replaced_by_the_guard']}",
    ):
        assert expected in card


def test_violations_are_counted_without_a_guard_too(finished: dict[str, Path]):
    figures, _ = metrics_of(finished["with_twin"])
    record = read_transitions(finished["with_twin"] / "checkpoint-3/trainer/experience.parquet")
    worst = worst_violations(record)
    assert figures["violated_windows"] == (worst > 0.3).sum()
    assert figures["mean_worst_violation"] == pytest.approx(worst.mean(), rel=1e-4)
    card = (finished["with_twin"] / "README.md").read_text()
    assert "lost more than 30 % of its packets" in card and "guard" not in card
    assert "violated_windows" not in metrics_of(finished["plain"])[0]  # it keeps no record


def test_sibling_runs_give_the_spread(finished: dict[str, Path], run, workplace: Path):
    words = ["--use_twin", "false", "--seed", "1", "--output_dir", "outputs/sibling"]
    run(*words, "--sibling_runs", str(finished["plain"]))
    assert (
        "Over 2 trainings that differ in the seed only: utility"
        in (workplace / "outputs/sibling/README.md").read_text()
    )


def test_the_code_in_the_card_runs(finished: dict[str, Path], workplace: Path, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    code = re.search(r"## Use\n\n```python\n(.*?)```", (finished["plain"] / "README.md").read_text(), re.DOTALL)[1]
    exec(code.replace("num_steps=200", "num_steps=3"), {})
    assert float(capsys.readouterr().out) > 0


@pytest.mark.parametrize("name", ["with_twin", "plain"])
def test_resumed_equals_uninterrupted(finished: dict[str, Path], run, workplace: Path, name: str, capsys):
    words = ["--use_twin", str(name == "with_twin"), "--output_dir", f"outputs/resumed_{name}"]
    folder = workplace / f"outputs/resumed_{name}"
    run(*words, "--num_rounds", "1")
    (folder / "checkpoint-2").mkdir()  # what a crash in the middle of saving leaves behind
    torn = shutil.copytree(folder / "checkpoint-1", folder / "checkpoint-3") / "trainer/learners.pt"
    torn.write_bytes(torn.read_bytes()[:-1])
    assert [is_complete(checkpoint) for checkpoint in list_checkpoints(folder)] == [True, False, False]
    run(*words, "--resume_from_checkpoint", "true")
    assert f"resuming from outputs/resumed_{name}/checkpoint-1" in capsys.readouterr().err
    assert metrics_of(folder) == metrics_of(finished[name])
    weights = [gentwin.from_pretrained(each).state_dict() for each in (folder, finished[name])]
    assert all(torch.equal(values, weights[1][key]) for key, values in weights[0].items())


@pytest.mark.parametrize("use_twin", ["true", "false"])
def test_a_guarded_run_resumed_equals_one_uninterrupted(finished, run, workplace: Path, use_twin: str):
    twin = "outputs/with_twin/checkpoint-3/trainer/twin"
    words = ["--use_twin", use_twin, "--guard_bound", "0.2", "--guard_twin", twin]
    once, twice = (f"outputs/guarded_{number}_{use_twin}" for number in ("once", "twice"))
    run(*words, "--num_rounds", "2", "--output_dir", once)
    run(*words, "--num_rounds", "1", "--output_dir", twice)
    run(*words, "--num_rounds", "2", "--output_dir", twice, "--resume_from_checkpoint", "true")
    figures = [metrics_of(workplace / folder) for folder in (once, twice)]
    assert figures[0] == figures[1] and figures[0][0]["guarded_decisions"] == (60 if use_twin == "true" else 80)


def test_the_arguments_of_a_run_repeat_it(finished: dict[str, Path], recipe, workplace: Path, monkeypatch):
    monkeypatch.chdir(workplace)
    given = finished["plain"] / "training_arguments.yaml"
    recipe.main(["--config", str(given), "--output_dir", "outputs/repeated"])
    assert metrics_of(workplace / "outputs/repeated") == metrics_of(finished["plain"])


@pytest.mark.parametrize("use_twin", ["true", "false"])
def test_a_run_goes_on_from_a_trained_agent(finished: dict[str, Path], recipe, workplace: Path, monkeypatch, use_twin):
    monkeypatch.chdir(workplace)
    line = ["--config", "tiny.yaml", "--agent", "null", "--start_from", "outputs/with_twin", "--use_twin", use_twin]
    *_, trainer, _ = recipe.prepare([*line, "--output_dir", "outputs/further"])
    statistics = trainer.agent.network.observation_mean.clone()
    assert trainer.agent.is_prepared
    trainer.round()
    assert torch.equal(trainer.agent.network.observation_mean, statistics)


def test_resuming_with_another_argument_is_refused(finished: dict[str, Path], run):
    words = ["--use_twin", "false", "--output_dir", "outputs/plain", "--resume_from_checkpoint", "true"]
    with pytest.raises(SystemExit, match=r"`learning\.discount` was 0\.5 and is 0\.9"):
        run(*words, "--learning.discount", "0.9")
    assert (finished["plain"] / "metrics.json").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--network.preset", "dynamik"], "`preset` must be one of .*did you mean `dynamic`"),
        (["--network.observation_field", "all"], "`network.observation_field` .*did you mean `observation_fields`"),
        (["--network.num_envs", "3"], "`network.num_envs` .*outside of the sections"),
        (["--network.horizon", "3"], "`network.horizon` is not an argument"),
        (["--network.resolution_hz", "7e6"], "section `network`: `resolution_hz`"),
        (["--learning.discont", "0.3"], "`learning.discont` is not an argument; did you mean `discount`"),
        (["--learning.discount", "high"], "`learning.discount` must be of type float, got 'high'"),
        (["--learning.discount", "1.5"], "section `learning`: `discount` must be at least 0 and below 1, got 1.5"),
        (["--learning.algorithm", "gan_dqn"], "`head` of the network must be one of"),
        (["--twin_enhanced.fit.num_update", "3"], "`twin_enhanced.fit.num_update` .*did you mean `num_updates`"),
        (["--twin_enhanced.practice_copies", "2.5"], "`twin_enhanced.practice_copies` must be of type int"),
        (["--twin_enhanced.fit", "3"], "`twin_enhanced.fit` must be a mapping"),
        (["--agent.head", "plane"], "`head` must be one of"),
        (["--agent.hidden_size", "[3]"], "`agent.hidden_size` is not an argument; did you mean `hidden_sizes`"),
        (["--agent.num_actions", "3"], "`agent.num_actions` follows from"),
        (["--num_round", "3"], "`--num_round` is not an argument; did you mean `num_rounds`"),
        (["--num_rounds", "0"], "`num_rounds` must be at least 1, got 0"),
        (["--learning", "3"], "`learning` must be a mapping, got 3"),
        (["--start_from", "outputs/with_twin"], "`agent` must be left out with `start_from`"),
        (["--agent", "null", "--start_from", "nowhere"], "`start_from`: "),
        (["--agent", "null", "--start_from", "gentwin/slice-lstm-dynamic"], "`start_from` must be a trained agent"),
        (
            ["--agent", "null", "--start_from", "outputs/with_twin", "--network.resolution_hz", "1.08e6"],
            "`num_actions` of the agent must be that of the environment, 120, got 10",
        ),
        (["--guard_bound", "1.5"], "`guard_bound`: `bound` must be above 0 and below 1, got 1.5"),
        (["--guard_bound", "0.3", "--guard_twin", "outputs/plain"], "`guard_twin` must be a twin of slice dynamics"),
        (["--guard_bound", "0.3", "--network.observation_fields", "[arrived]"], "`observation_fields` must be all"),
        (["--guard_bound", "0.3"], "must be one of a network with the same state fields .*'arrived'"),
        (["--sibling_runs", "nowhere"], "`sibling_runs`"),
        (["--sibling_runs", "outputs/with_twin"], "`sibling_runs` must have seeds of their own.* seed 0.* this run"),
        (
            ["--seed", "1", "--sibling_runs", "outputs/with_twin", "outputs/with_twin"],
            "`sibling_runs` must have seeds of their own.* seed 0.* 'outputs/with_twin'",
        ),
        (
            ["--seed", "1", "--learning.discount", "0.6", "--sibling_runs", "outputs/plain"],
            "'outputs/plain' does not: `learning.discount` is 0.5 there and 0.6 here, `use_twin` is False there",
        ),
        (["--seed", "1", "--num_rounds", "4", "--sibling_runs", "outputs/with_twin"], "`num_rounds` is 3 there and 4"),
        (
            ["--use_twin", "false", "--plain_steps_per_round", "4"],
            "`learning.learning_starts` must be within the first",
        ),
        (["--network.placement_seed", "a"], "train_agent.py: "),
        (["--network.episode_steps", "2"], "`history_steps` must be below the 2 steps of an episode"),
        (["--output_dir", "tiny.yaml"], "`output_dir` must be a folder"),
    ],
)
def test_bad_input_is_refused_before_any_step(finished, run, workplace: Path, words: list[str], message: str):
    with pytest.raises(SystemExit, match=message):
        run("--output_dir", "outputs/refused", *words)
    assert not (workplace / "outputs/refused").exists()


def test_the_agent_a_run_starts_from_is_not_overwritten(finished, run, workplace: Path):
    before = (workplace / "outputs/plain/model.safetensors").read_bytes()
    with pytest.raises(SystemExit, match="`output_dir` must be another folder than that of `start_from`"):
        run("--agent", "null", "--start_from", "outputs/plain", "--output_dir", "outputs/plain")
    assert (workplace / "outputs/plain/model.safetensors").read_bytes() == before


def test_shipped_recipes_can_be_prepared(recipe, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for config in sorted((ROOT / "recipes").glob("agent_[dz]*.yaml")):
        _, run_arguments, setup, trainer, resume = recipe.prepare(["--config", str(config)])
        assert resume is None and setup.config.head == ("plain" if "zhang" in config.stem else "factorised")
        assert run_arguments.output_dir == f"outputs/{config.stem}"
        assert trainer.num_rounds == 0


def test_numbers_are_read_as_in_yaml_1_2():
    assert load_yaml("{a: 200e3, b: 5e-4, c: 1.5e+3, d: 3, e: e3, f: 1e3x}") == {
        "a": 200e3, "b": 5e-4, "c": 1500.0, "d": 3, "e": "e3", "f": "1e3x",
    }  # fmt: skip
