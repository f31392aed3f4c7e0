"""The recipe as users run it: in one process and two, killed and resumed, and with bad input."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from matplotlib.image import imread

import gentwin
from gentwin.training.checkpoints import is_complete, list_checkpoints
from gentwin.training.checks import caveats
from gentwin.training.report import portable_command, write_arguments
from tests.training.conftest import ROOT, command, make_record, run_recipe, settings


def read_metrics(folder: Path) -> dict[str, float]:
    content = json.loads((folder / "metrics.json").read_text())
    return {**content["figures"], **content["metrics"]}


def test_everything_needed_is_in_the_folder(finished: Path):
    twin = gentwin.from_pretrained(finished)
    assert bool(twin.fitted)
    metrics = read_metrics(finished)
    assert metrics["twin/ssr/video/crps_4"] > 0
    assert 0 <= metrics["coverage_90_1"] <= 1
    assert "crps_skill_persistence_4" in metrics
    for name in ("rollouts", "calibration", "response", "training"):
        picture = imread(finished / f"plots/{name}.png")
        assert min(picture.shape[:2]) > 300 and picture[..., :3].std() > 0.02
    arguments = yaml.safe_load((finished / "training_arguments.yaml").read_text())
    assert arguments["data_path"] == "record.parquet" and arguments["max_steps"] == 12
    assert not list(finished.rglob("*.bin"))


def test_card_says_what_it_is_and_not_where_it_was_made(finished: Path, workplace: Path):
    card = (finished / "README.md").read_text()
    front_matter = yaml.safe_load(card.split("---")[1])
    assert front_matter["license"] == "apache-2.0" and front_matter["library_name"] == "gentwin"
    for expected in (
        "queued_bits",
        "persistence",
        "`record.parquet`",
        make_record().fingerprint(),
        "plots/rollouts.png",
    ):
        assert expected in card
    for file in ("README.md", "metrics.json", "training_arguments.yaml", "config.json"):
        text = (finished / file).read_text()
        assert str(workplace) not in text and str(ROOT) not in text and str(Path.home()) not in text


def test_two_processes_give_the_result_of_one(finished: Path, workplace: Path):
    launcher = ("--config_file", str(ROOT / "recipes/accelerate/multi_cpu.yaml"), "--num_processes", "2")
    run = run_recipe(workplace, "--output_dir", "outputs/two", launcher=launcher)
    assert run.returncode == 0, run.stdout + run.stderr
    content = json.loads((workplace / "outputs/two/metrics.json").read_text())
    assert "2 processes" in content["run"]["hardware"]
    metrics = read_metrics(workplace / "outputs/two")
    for name, value in read_metrics(finished).items():
        # A coverage counts: a draw that moves by a rounding error can step over an observation.
        assert metrics[name] == pytest.approx(value, abs=0.02 if "coverage" in name else 1e-3), name
    weights = [gentwin.from_pretrained(folder).state_dict() for folder in (finished, workplace / "outputs/two")]
    for name, tensor in weights[0].items():
        assert tensor.numpy() == pytest.approx(weights[1][name].numpy(), rel=1e-3, abs=1e-4), name


def test_resuming_with_another_argument_is_refused(
    finished: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch, recipe
):
    monkeypatch.chdir(workplace)
    line = ["--config", "tiny.yaml", "--resume_from_checkpoint", "true"]
    with pytest.raises(SystemExit, match=r"`learning_rate` was 0\.01 and is 0\.5"):
        recipe.prepare_or_exit([*line, "--learning_rate", "0.5"])
    assert list_checkpoints(finished)


def test_killed_and_resumed_equals_uninterrupted(finished: Path, workplace: Path):
    arguments = ("--output_dir", "outputs/killed")
    process = subprocess.Popen(command(*arguments), **settings(workplace), stdout=subprocess.DEVNULL)
    folder = workplace / "outputs/killed"
    while not any(is_complete(checkpoint) for checkpoint in list_checkpoints(folder)):
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    last = [checkpoint for checkpoint in list_checkpoints(folder) if is_complete(checkpoint)][-1]
    step = int(last.name.partition("-")[2])
    assert step < 12 and not (folder / "metrics.json").exists()
    # What a crash in the middle of saving leaves behind.
    torn = shutil.copytree(last, folder / "checkpoint-99")
    (torn / "optimizer.pt").write_bytes((torn / "optimizer.pt").read_bytes()[:100])
    run = run_recipe(workplace, *arguments, "--resume_from_checkpoint", "true")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "resuming from outputs/killed/checkpoint-" in run.stderr
    assert read_metrics(folder) == read_metrics(finished)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data_path", "damaged.parquet"), "damaged.parquet"),
        (("--data_path", "missing.parquet"), "missing.parquet"),
        (("--horizons", "30"), "`horizons` must be at most the longest test episode"),
        (("--global_batch_size", "400"), "`global_batch_size`"),
        (("--model_type", "gentwin_slice_lst"), "did you mean `gentwin_slice_lstm`"),
        (("--model_config.hiden_size", "3"), "did you mean `hidden_size`"),
        (("--plot_fields", "speed"), "`plot_fields`"),
        (("--data_layout", "explora-log"), "record.parquet is a file of transitions already.*--data_layout none"),
        (("--validation_size", "9"), "`validation_size` and `test_size`.*--validation_size 1 --test_size 1"),
        (("--sibling_runs", "nowhere"), "`sibling_runs`"),
        (("--unknown", "1"), "`--unknown` is not an argument"),
    ],
)
def test_bad_input_is_refused_before_training(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, recipe, arguments: tuple[str, ...], message: str
):
    monkeypatch.chdir(workplace)
    (workplace / "damaged.parquet").write_bytes((workplace / "record.parquet").read_bytes()[:-100])
    with pytest.raises(SystemExit, match=message):
        recipe.main(["--config", "tiny.yaml", "--output_dir", "outputs/refused", *arguments])
    assert not list(workplace.glob("outputs/refused/*"))


def test_all_that_does_not_fit_is_said_at_once_with_what_would(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, recipe
):
    monkeypatch.chdir(workplace)
    line = ["--config", "tiny.yaml", "--output_dir", "outputs/refused"]
    misfits = ["--plot_fields", "speed", "--horizons", "1", "30", "--global_batch_size", "400"]
    with pytest.raises(SystemExit) as refusal:
        recipe.prepare_or_exit([*line, *misfits])
    message = str(refusal.value)
    assert refusal.value.code == 2
    assert "3 arguments do not fit the record record.parquet" in message
    assert "queued_bits, channel_db, ssr" in message
    remedy = re.findall(r"`(--[^`]*)` would do", message)
    assert len(remedy) == 2
    recipe.prepare_or_exit([*line, *shlex.split(" ".join(remedy))])


def test_the_default_recipe_takes_any_record(workplace: Path, monkeypatch: pytest.MonkeyPatch, recipe):
    monkeypatch.chdir(workplace)
    line = ["--data_path", "record.parquet", "--burn_in_steps", "3", "--horizons", "4", "--global_batch_size", "4"]
    arguments, *_ = recipe.prepare_or_exit([*line, "--output_dir", "outputs/default"])
    assert arguments[1].model_config["embedding_size"] == 40


def test_the_arguments_of_a_run_repeat_it(finished: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch, recipe):
    monkeypatch.chdir(workplace)
    recipe.main(["--config", str(finished / "training_arguments.yaml"), "--output_dir", "outputs/repeated"])
    assert read_metrics(workplace / "outputs/repeated") == read_metrics(finished)


def test_data_elsewhere_is_found_again(workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    inside, outside = tmp_path / "run/record.parquet", workplace / "record.parquet"
    for given, written in ((inside, "run/record.parquet"), (outside, str(outside)), ("../record.parquet",) * 2):
        write_arguments(tmp_path / "run", {"data_path": str(given), "resume_from_checkpoint": "true"})
        content = yaml.safe_load((tmp_path / "run/training_arguments.yaml").read_text())
        assert content == {"data_path": written}
        assert f"--data_path {written}" in portable_command(["--data_path", str(given)])


@pytest.mark.parametrize("words", [["--resume_from_checkpoint", "true"], ["--resume_from_checkpoint=true"], []])
def test_the_command_of_a_run_is_that_of_its_beginning(words: list[str]):
    assert portable_command([*words, "--seed", "1"]) == "accelerate launch recipes/train_twin.py --seed 1"


def test_a_weak_twin_comes_with_a_warning(finished: Path):
    assert "**Warning.** The twin was trained for 12 optimiser steps only" in (finished / "README.md").read_text()
    assert caveats(100, {"crps_skill_persistence_1": 0.1, "crps_skill_boosting_1": -0.1}) == []
    assert "raise `num_train_epochs`" in caveats(12, {})[0] and "max_steps" not in caveats(12, {})[0]
    assert caveats(12, {}, max_steps=12)[0].endswith("too few to learn much: raise `max_steps`.")
    weak = {"crps_skill_persistence_1": 0.1, "crps_skill_persistence_10": -0.2, "crps_skill_persistence_50": -0.1}
    (warning,) = caveats(1000, weak)
    assert "`horizons` 10, 50" in warning and "worse than persistence" in warning


def test_the_card_of_a_twin_without_an_environment_shows_how_to_step_it(
    finished: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(workplace)
    code = re.search(r"## Use\n\n```python\n(.*?)```", (finished / "README.md").read_text(), re.DOTALL)[1]
    names: dict = {}
    exec(code, names)
    assert names["observation"].shape == (64, 2, 2) and names["expected"].shape == (64, 2, 3)


def test_one_seed_gives_one_result(finished: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch, recipe):
    monkeypatch.chdir(workplace)
    recipe.main(["--config", "tiny.yaml", "--output_dir", "outputs/again"])
    assert read_metrics(workplace / "outputs/again") == read_metrics(finished)


def test_finished_run_is_judged_anew_without_training(
    finished: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch, recipe
):
    monkeypatch.chdir(workplace)
    folder = workplace / "outputs/judged"
    shutil.copytree(finished, folder)
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["run"] |= {"training_s": 1234.5, "hardware": "elsewhere"}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    recipe.main(["--config", "tiny.yaml", "--output_dir", "outputs/judged", "--resume_from_checkpoint", "true"])
    run = json.loads((folder / "metrics.json").read_text())["run"]
    assert (run["training_s"], run["hardware"]) == (1234.5, "elsewhere")
    assert read_metrics(folder) == read_metrics(finished)
    assert (folder / "model.safetensors").read_bytes() == (finished / "model.safetensors").read_bytes()


def test_sibling_runs_give_the_spread_in_the_card(
    finished: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch, recipe
):
    monkeypatch.chdir(workplace)
    words = ["--config", "tiny.yaml", "--output_dir", "outputs/sibling", "--sibling_runs", "outputs/tiny"]
    recipe.main([*words, "--seed", "1"])
    assert "mean ± deviation of 2 seeds" in (workplace / "outputs/sibling/README.md").read_text()
    with pytest.raises(SystemExit, match="seed"):
        recipe.main(words)
