"""Where arguments come from, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from gentwin.training import ArgumentsError, given_arguments, parse_arguments
from tests.training.conftest import ROOT


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text("learning_rate: 1e-2\nhorizons: [1, 3]\nmodel_config: {hidden_size: 16}\nuse_cpu: true\n")
    return path


def test_command_line_wins_over_yaml_and_yaml_over_defaults(config: Path):
    line = ["--learning-rate", "0.5", "--model_config.num_members", "2", "--evaluation_baselines", "true"]
    data, model, _, evaluation, training = parse_arguments(line, config)
    assert training.learning_rate == 0.5
    assert evaluation.horizons == [1, 3] and evaluation.evaluation_baselines
    assert model.model_config == {"hidden_size": 16, "num_members": 2}
    assert data.sequence_stride == data.sequence_length // 2
    assert parse_arguments([], config)[-1].learning_rate == 0.01


def test_what_was_given_is_a_config_again(config: Path, tmp_path: Path):
    lists = ["--report_to", "tensorboard", "--debug", "underflow_overflow", "--sibling_runs", "a", "b"]
    line = [*lists, "--model_config.num_members", "2", "--sequence_length", "60", "--disable_tqdm", "true"]
    given = given_arguments(line, config)
    again = tmp_path / "again.yaml"
    again.write_text(yaml.safe_dump(given))
    assert given_arguments([], again) == given
    for first, second in zip(parse_arguments(line, config), parse_arguments([], again), strict=True):
        assert first == second
    # What was left to its default is left to it again.
    assert not {"report_to", "debug", "sequence_stride", "data_path"} & given_arguments([], config).keys()


def test_config_option_names_the_file(config: Path, tmp_path: Path):
    other = tmp_path / "other.yaml"
    other.write_text("seed: 9\nuse_cpu: true\n")
    assert parse_arguments([f"--config={other}"], config)[-1].seed == 9
    with pytest.raises(FileNotFoundError, match=r"missing\.yaml"):
        parse_arguments(["--config", str(tmp_path / "missing.yaml")], config)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["--learnin_rate", "1"], "`--learnin_rate` is not an argument; did you mean `learning_rate`"),
        (["--max_step", "1"], "did you mean `max_steps`"),
        (["--max_steps", "many"], "--max_steps"),
        (["--sequence_length", "1"], "`sequence_length` must be at least 2, got 1"),
        (["--sequence_stride", "99"], "`sequence_stride` must be from 1 to `sequence_length` = 50, got 99"),
        (["--test_size", "2.5"], "`test_size`"),
        (["--horizons", "0"], "`horizons`"),
        (["--data_layout", "explora"], "`data_layout`"),
        (["--per_device_train_batch_size", "4"], "`global_batch_size`"),
        (["--global_batch_size", "5", "--gradient_accumulation_steps", "2"], "`global_batch_size` must be a multiple"),
        (["--save_total_limit", "1"], "`save_total_limit` must be at least 2"),
        (["--model_config", "[1]"], "`model_config` must be a mapping"),
        (["--config"], "`--config` must be followed by a value"),
    ],
)
def test_bad_arguments_are_refused_by_name(config: Path, line: list[str], message: str):
    with pytest.raises(ArgumentsError, match=message.replace("[", r"\[")):
        parse_arguments(line, config)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rat: 1\n", "`learning_rat` is not an argument; did you mean `learning_rate`"),
        ("- 1\n", "must hold `key: value` lines"),
        ("a: [\n", "is not YAML"),
        ("seed: [1, 2]\n", "not an argument"),
    ],
)
def test_bad_yaml_is_refused(config: Path, text: str, message: str):
    config.write_text(text + ("use_cpu: true\n" if ":" in text else ""))
    with pytest.raises(ArgumentsError, match=message):
        parse_arguments([], config)


def test_help_teaches(config: Path, capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit) as stop:
        parse_arguments(["--help"], config, "Trains a twin.")
    text = capsys.readouterr().out
    assert stop.value.code == 0
    assert "Trains a twin." in text and "--data_path" in text and "--global_batch_size" in text
    assert "which win over the defaults below" in " ".join(text.split())
    assert "--fsdp" not in text and "SUPPRESS" not in text


@pytest.mark.parametrize("recipe", sorted((ROOT / "recipes").glob("slice_*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_are_valid(recipe: Path):
    *_, evaluation, training = parse_arguments(["--use_cpu", "true"], recipe)
    assert training.output_dir == f"outputs/{recipe.stem}"
    # A recipe is also used on other records, so it says nothing that holds for its own alone.
    assert evaluation.plot_fields is None
