"""The `gentwin` command, run as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import gentwin
from gentwin import hub
from gentwin.cli import app


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "120", "NO_COLOR": "1"}).invoke(app, arguments)


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A shipped checkpoint, in a package folder of its own."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "metrics.json").write_text(json.dumps({"figures": {"crps_ratio": 0.61234567, "coverage_percent": 90}}))
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Tiny twin\n\nIt is small.\n")
    monkeypatch.setattr(hub, "CHECKPOINTS", tmp_path)
    return "gentwin/tiny"


def test_help_teaches_with_examples():
    result = run("--help")
    assert result.exit_code == 0
    for example in ("gentwin twins", "gentwin card gentwin/", "gentwin env gentwin/"):
        assert example in result.output


def test_twins_lists_figures(checkpoint: str):
    result = run("twins")
    assert result.exit_code == 0
    for text in (checkpoint, "crps_ratio 0.6123", "coverage_percent 90"):
        assert text in result.output


def test_card_hides_metadata(checkpoint: str):
    result = run("card", checkpoint)
    assert result.exit_code == 0
    assert "Tiny twin" in result.output
    assert "apache-2.0" not in result.output


@pytest.mark.parametrize("name", ["gentwin/tinny", "../tiny", "", "gentwin/"])
def test_unknown_name_is_one_line(checkpoint: str, name: str):
    result = run("card", name)
    assert result.exit_code == 2
    assert result.output.count("\n") == 1
    assert checkpoint in result.output


def test_env_shows_spaces_and_manual():
    result = run("env", "gentwin/RanSlicing-v0", "preset=hua2019")
    assert result.exit_code == 0, result.output
    for text in ("gentwin/RanSlicing-v0", "observation space", "action space", "Discrete("):
        assert text in result.output


@pytest.mark.parametrize(
    "arguments",
    [("gentwin/RanSlicng-v0",), ("gentwin/RanSlicing-v0", "preset"), ("gentwin/RanSlicing-v0", "no_such_argument=1")],
)
def test_bad_environment_is_one_line(arguments: tuple[str, ...]):
    result = run("env", *arguments)
    assert result.exit_code == 2
    assert result.output.count("\n") == 1


def test_version():
    result = run("--version")
    assert (result.exit_code, result.output) == (0, f"gentwin {gentwin.__version__}\n")


@pytest.mark.parametrize("name", ["RanSlicing", "TwinSlicing"])
def test_manual_reads_as_text(name: str):
    output = run("env", f"gentwin/{name}-v0").output
    assert "][" not in output and "Args:" not in output
    assert "\n • utility_weights: beta" in output


def test_card_shows_captions_and_not_pictures(checkpoint: str):
    card = hub.checkpoint_path(checkpoint) / "README.md"
    card.write_text(card.read_text() + "\n![Losses.](plots/training.png)\n\n*Losses.*\n")
    output = run("card", checkpoint).output
    assert output.count("Losses.") == 1


def test_short_option_for_help():
    for words in ((), ("card",)):
        assert run(*words, "-h").output == run(*words, "--help").output
