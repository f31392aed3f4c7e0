"""Message twins that figures are measured on, and what was held out when they were trained."""

from __future__ import annotations

from pathlib import Path

from gentwin.hub import list_checkpoints, resolve
from gentwin.signaling.core import Subscribers, read_subscribers
from gentwin.signaling.resolver import Example
from gentwin.yaml_text import read_yaml
from recipes.evaluation.candidates import recorded
from recipes.figures.recordings import ROOT, recordings

SUBSCRIBERS = ROOT / "data/signaling/subscribers.yaml"


RECIPES = {
    "signaling-open5gs": "recipes/signaling.yaml",
    "signaling-open5gs-lstm": "recipes/signaling_lstm.yaml",
    "signaling-interleaved": "recipes/signaling_interleaved.yaml",
    "signaling-interleaved-lstm": "recipes/signaling_interleaved_lstm.yaml",
}
"""What twins are trained by."""


def checkpoint(name: str) -> str | None:
    """Returns where a twin is: among those that are shipped, or where its recipe left it; None if it is nowhere.

    Args:
        name: One of `RECIPES`.
    """
    if f"gentwin/{name}" in list_checkpoints():
        return resolve(f"gentwin/{name}")
    config = ROOT / RECIPES[name]
    folder = ROOT / read_yaml(config)["output_dir"] if config.is_file() else ROOT
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
        command = f"accelerate launch recipes/train_twin.py --config {RECIPES[name]}"
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
