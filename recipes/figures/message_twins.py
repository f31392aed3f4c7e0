"""Twins of a core that figures are measured on, and what was held out when they were trained."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from gentwin.hub import list_checkpoints, resolve
from gentwin.signaling.core import Subscribers, read_subscribers
from gentwin.signaling.resolver import Example
from gentwin.yaml_text import read_yaml
from recipes.evaluation.candidates import recorded
from recipes.figures.recordings import ROOT, recordings

SUBSCRIBERS = ROOT / "data/signaling/subscribers.yaml"


class Recipe(NamedTuple):
    """How a twin is trained.

    Args:
        config: YAML file.
        folder: Where it is left.
        options: Beside the file.
    """

    config: str
    folder: str
    options: str = ""

    @property
    def command(self) -> str:
        """The command that trains it."""
        return f"accelerate launch recipes/train_twin.py --config {self.config} {self.options}".rstrip()


def _together(config: str, folder: str, more: str = "") -> Recipe:
    """Returns the recipe of a twin that answers all UEs in one sequence."""
    return Recipe(config, folder, f"--model_config.view interleaved {more}--max_steps 1000 --output_dir {folder}")


_LONG = "--sequence_length 2048 --model_config.max_position_embeddings 2048 --global_batch_size 1 "
RECIPES = {
    "signaling-open5gs": Recipe("recipes/signaling.yaml", "outputs/signaling"),
    "signaling-open5gs-lstm": Recipe("recipes/signaling_lstm.yaml", "outputs/signaling_lstm"),
    "signaling-admission": Recipe("recipes/signaling_admission.yaml", "outputs/signaling_admission"),
    "signaling-admission-lstm": Recipe(
        "recipes/signaling_admission.yaml",
        "outputs/signaling_admission_lstm",
        "--init_from gentwin/signaling-open5gs-lstm --model_type gentwin_signaling_lstm "
        "--output_dir outputs/signaling_admission_lstm",
    ),
    "policy-admission-greedy": Recipe("recipes/policy.yaml", "outputs/policy"),
    "signaling-interleaved": _together("recipes/signaling.yaml", "outputs/signaling_interleaved", _LONG),
    "signaling-interleaved-lstm": _together("recipes/signaling_lstm.yaml", "outputs/signaling_interleaved_lstm"),
}


def checkpoint(name: str) -> str | None:
    """Returns where a twin is: among those that are shipped, or where its recipe left it; None if it is nowhere.

    Args:
        name: One of `RECIPES`.
    """
    if f"gentwin/{name}" in list_checkpoints():
        return resolve(f"gentwin/{name}")
    folder = ROOT / RECIPES[name].folder
    return str(folder) if (folder / "config.json").is_file() else None


def required(name: str) -> str:
    """Returns where a twin is.

    Args:
        name: One of `RECIPES`.

    Raises:
        FileNotFoundError: If it is nowhere.
    """
    found = checkpoint(name)
    if found is None:
        command = RECIPES[name].command
        raise FileNotFoundError(f"gentwin/{name} is not shipped and was not trained; train it with `{command}`")
    return found


def held_out(folder: str, every: bool) -> tuple[list[Path], list[Path]]:
    """Returns the captures that a twin was not trained on and is to be judged on, and those that it was trained on.

    Args:
        folder: Of the twin.
        every: Whether to look beside the repository as well.
    """
    arguments = read_yaml(Path(folder) / "training_arguments.yaml")
    tests, chosen = set(arguments["test_captures"]), set(arguments.get("validation_captures", ()))
    known = recordings(every)
    learnt = [path for path in recordings(every=False) if path.stem not in tests | chosen]
    return [path for path in known if path.stem in tests], learnt


def subscribers() -> Subscribers:
    """Returns the database of the recorded core."""
    return read_subscribers(SUBSCRIBERS)


def dialogues(captures: list[Path]) -> list[Example]:
    """Returns the dialogues of UEs in captures of the recorded core."""
    return [*recorded(captures, subscribers())]
