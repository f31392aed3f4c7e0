"""Checkpoint folders: finding or downloading them, and the integrity of the weights in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from transformers.utils import logging

from gentwin.hub import CheckpointError, list_checkpoints, resolve

CHECKSUMS_NAME = "checksums.json"
WEIGHTS_PATTERN = "model*.safetensors"
_DOWNLOAD_KEYS = ("cache_dir", "force_download", "local_files_only", "revision", "token")


def local_folder(name: str, kwargs: dict[str, Any]) -> str:
    """Returns the folder `name` stands for, downloading a Hub model; removes the download arguments from `kwargs`.

    Raises:
        CheckpointError: If `name` is neither shipped, nor a folder, nor to be had from the Hub.
    """
    resolved = resolve(name)
    download = {key: kwargs.pop(key) for key in _DOWNLOAD_KEYS if kwargs.get(key) is not None}
    if Path(resolved).is_dir():
        return resolved
    prefix = f"{kwargs['subfolder']}/" if kwargs.get("subfolder") else ""
    patterns = [prefix + name for name in ("*config.json", CHECKSUMS_NAME, "model*.json", WEIGHTS_PATTERN)]
    try:
        return snapshot_download(resolved, allow_patterns=patterns, **download)
    except (HFValidationError, HfHubHTTPError, OSError) as error:
        shipped = ", ".join(list_checkpoints()) or "none is installed"
        raise CheckpointError(
            f"`{name}` is neither a shipped checkpoint ({shipped}), nor a folder, nor a model the Hub gives now "
            f"({type(error).__name__})."
        ) from error


@contextmanager
def no_progress_bar() -> Iterator[None]:
    """Keeps transformers from drawing a bar, as twins are small and load at once."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def make_readable(folder: str | Path) -> None:
    """Gives the weights in a folder the permissions of its `config.json`, not of their owner alone."""
    folder = Path(folder)
    mode = (folder / "config.json").stat().st_mode
    for path in folder.glob(WEIGHTS_PATTERN):
        path.chmod(mode)


def write_checksums(folder: str | Path) -> None:
    """Writes `checksums.json`: the SHA-256 of each weight file of `folder`, shards included."""
    folder = Path(folder)
    digests = {path.name: _sha256(path) for path in sorted(folder.glob(WEIGHTS_PATTERN))}
    (folder / CHECKSUMS_NAME).write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")


def verify_checksums(folder: str | Path) -> None:
    """Checks the weight files of `folder` against its `checksums.json`; a folder without that file passes.

    Raises:
        CheckpointError: If a file is missing, is not listed, or has changed since it was saved.
    """
    folder = Path(folder)
    path = folder / CHECKSUMS_NAME
    if not path.is_file():
        return
    try:
        expected = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"`{CHECKSUMS_NAME}` in {str(folder)!r} is not a JSON object ({error}).") from error
    present = {file.name: file for file in folder.glob(WEIGHTS_PATTERN)}
    for name in sorted(present.keys() | expected.keys()):
        if name not in present or name not in expected:
            problem = "is missing" if name in expected else f"is not listed in `{CHECKSUMS_NAME}`"
        elif _sha256(present[name]) != expected[name]:
            problem = "has changed since it was saved (its SHA-256 differs)"
        else:
            continue
        raise CheckpointError(
            f"weights `{name}` in {str(folder)!r}: the file {problem}. It was damaged, replaced or only partly "
            "written; get the checkpoint again, or save the model anew."
        )


def refuse_non_finite(tensors: Iterable[tuple[str, torch.Tensor]], what: str) -> None:
    """Raises `CheckpointError` naming the tensors that hold NaN or infinity."""
    bad = [
        name
        for name, tensor in tensors
        if tensor.is_floating_point() and not tensor.is_meta and not bool(torch.isfinite(tensor).all())
    ]
    if bad:
        raise CheckpointError(
            f"{what} must be finite, got NaN or infinity in {_listed(bad)}. The training that made them diverged; use "
            "an earlier checkpoint or a lower learning rate."
        )


def refuse_loading_problems(info: dict, model_class: str, where: str) -> None:
    """Raises `CheckpointError` if a transformers loading report lists missing, unexpected or misshapen weights."""
    problems = []
    if info["missing_keys"]:
        problems.append(f"missing {_listed(info['missing_keys'])}")
    if info["unexpected_keys"]:
        problems.append(f"unexpected {_listed(info['unexpected_keys'])}")
    for name, found, expected in sorted(info["mismatched_keys"]):
        problems.append(f"`{name}` has shape {tuple(found)}, the configuration needs {tuple(expected)}")
    if problems:
        raise CheckpointError(
            f"weights of {where} are not those of a {model_class}: {'; '.join(problems)}. Load the folder with the "
            "class and configuration it was saved with, or pass `strict=False` to re-initialise what does not fit."
        )


def _listed(names: Iterable[str], most: int = 8) -> str:
    names = sorted(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(f"`{name}`" for name in names[:most]) + more


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
