"""Names of pretrained twins: `gentwin/<name>` is a folder inside this package, any other name is left as it is.

This module imports only the standard library, so listing and locating checkpoints costs nothing.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from gentwin.schema import did_you_mean

NAMESPACE = "gentwin/"
CHECKPOINTS = Path(__file__).resolve().parent / "checkpoints"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class CheckpointError(ValueError):
    """A checkpoint that must not be used: unknown, foreign, incomplete, tampered with, or not finite."""


def list_checkpoints() -> list[str]:
    """Returns the names of the checkpoints shipped with this package, such as `gentwin/slice-lstm-dynamic`, sorted."""
    return sorted(NAMESPACE + config.parent.name for config in CHECKPOINTS.glob("*/config.json"))


def checkpoint_path(name: str) -> Path:
    """Returns the folder of a shipped checkpoint, for tools that take a path.

    Args:
        name: `gentwin/<name>` or just `<name>`.

    Returns:
        An existing folder with `config.json` and `model.safetensors`.

    Raises:
        CheckpointError: If no checkpoint of that name is shipped.
    """
    stem = str(name).removeprefix(NAMESPACE)
    folder = CHECKPOINTS / stem
    if not _NAME.fullmatch(stem) or not (folder / "config.json").is_file():
        shipped = list_checkpoints()
        raise CheckpointError(
            f"`name` must be a shipped checkpoint ({', '.join(shipped) or 'none is installed'}), got {name!r}"
            + did_you_mean(NAMESPACE + stem, shipped)
        )
    return folder


def resolve(name: str | Path) -> str:
    """Returns where to load `name` from: the folder of a shipped checkpoint, or `name` unchanged (a path or Hub name).

    An existing local folder wins over a shipped checkpoint, as it does over a Hub name in transformers.
    """
    name = str(name)
    stem = name.removeprefix(NAMESPACE)
    if stem != name and not Path(name).is_dir() and _NAME.fullmatch(stem):
        folder = CHECKPOINTS / stem
        if (folder / "config.json").is_file():
            return str(folder)
    return name


def read_figures(name: str) -> dict[str, float | int | str | bool]:
    """Returns the headline numbers of a shipped checkpoint: `figures` of its `metrics.json`, empty if it has none."""
    path = checkpoint_path(name) / "metrics.json"
    return json.loads(path.read_text(encoding="utf-8")).get("figures", {}) if path.is_file() else {}
