"""Checkpoints of an unfinished run: which are complete, and which to go on from.

A checkpoint is complete once it holds `complete.json`, written last and in one step, with the size of every file in it
and in its folders, the fingerprint of the data and the arguments that shape the result. A folder without it, or whose
files differ, was torn by a crash and is never used.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gentwin.training.arguments import CONFIG_KEY, ArgumentsError, TwinTrainingArguments

MARKER = "complete.json"
FINISHED = "metrics.json"
SEEDS = ("seed", "data_seed")
_FOLDER = re.compile(r"checkpoint-(\d+)")


def result_arguments(*arguments: Any) -> dict[str, Any]:
    """Returns the arguments that shape the weights of a run, as JSON holds them; those of the evaluation do not.

    Args:
        *arguments: Objects of argument classes, each with the names of those that count in `shaping`. The data
            themselves are known by their fingerprint.
    """
    values: dict[str, Any] = {}
    for entry in arguments:
        for name in entry.shaping:
            value = getattr(entry, name)
            values |= {f"{name}.{key}": item for key, item in value.items()} if name == CONFIG_KEY else {name: value}
    return json.loads(json.dumps(values, default=str))


def sibling_arguments(classes: Sequence[type]) -> list[str]:
    """Returns the arguments that runs of other seeds share: what shapes their weights, their data and evaluation.

    Args:
        classes: Of arguments, with names in `shaping` and `compared`.
    """
    names = [name for cls in classes for of in ("compared", "shaping") for name in getattr(cls, of, ())]
    return [name for name in names if name not in SEEDS]


def list_checkpoints(output_dir: str | Path) -> list[Path]:
    """Returns the checkpoint folders of a run, complete or not, by number of steps."""
    folders = [path for path in Path(output_dir).glob("checkpoint-*") if _FOLDER.fullmatch(path.name) and path.is_dir()]
    return sorted(folders, key=lambda path: int(path.name.rpartition("-")[2]))


def mark_complete(folder: str | Path, fingerprint: str, run_arguments: Mapping[str, Any] | None = None) -> None:
    """Declares a checkpoint complete; everything in it is on the disk before the mark is.

    Args:
        folder: The checkpoint.
        fingerprint: Of the data it was trained on.
        run_arguments: From `result_arguments`, to be compared when the run is resumed.
    """
    folder = Path(folder)
    sizes, partial = {}, folder / f"{MARKER}.partial"
    for path in sorted(folder.rglob("*")):
        if path not in (folder / MARKER, partial) and path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
            sizes[path.relative_to(folder).as_posix()] = path.stat().st_size
    with partial.open("w", encoding="utf-8") as file:
        content = {"fingerprint": fingerprint, "sizes": sizes, "arguments": dict(run_arguments or {})}
        json.dump(content, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, folder / MARKER)


def is_complete(folder: str | Path) -> bool:
    """Returns whether a checkpoint was saved to its end and has all its files still."""
    folder = Path(folder)
    try:
        sizes = json.loads((folder / MARKER).read_text(encoding="utf-8"))["sizes"]
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def prepare_output_dir(
    arguments: TwinTrainingArguments, fingerprint: str, run_arguments: Mapping[str, Any] | None = None
) -> Path | None:
    """Decides what to go on from, and clears what must not be mixed with the new run.

    Args:
        arguments: Gives `output_dir`, `resume_from_checkpoint` and `overwrite_output_dir`.
        fingerprint: Of the data of this run.
        run_arguments: From `result_arguments`; they must be those of the checkpoint.

    Returns:
        The checkpoint to resume from, or `None` to start from the beginning.

    Raises:
        ArgumentsError: If the folder holds an unfinished run and the arguments do not say what to do with it, or the
            checkpoint is torn, of other data or of other arguments.
    """
    output_dir, wanted = Path(arguments.output_dir), arguments.resume_from_checkpoint
    if output_dir.exists() and not output_dir.is_dir():
        raise ArgumentsError(f"`output_dir` must be a folder, got the file {str(output_dir)!r}.")
    resume = _find(output_dir, wanted)
    if resume is not None:
        _refuse_other_run(resume, fingerprint, run_arguments)
    found = list_checkpoints(output_dir)
    starts_anew = str(wanted).lower() in ("none", "false")
    if found and starts_anew and not (output_dir / FINISHED).exists() and not arguments.overwrite_output_dir:
        raise ArgumentsError(
            f"`output_dir` {str(output_dir)!r} holds an unfinished run ({found[-1].name}); pass "
            "`--resume_from_checkpoint true` to go on, `--overwrite_output_dir true` to start anew, or another folder."
        )
    arguments.distributed_state.wait_for_everyone()  # nothing is deleted before every process has looked
    if arguments.should_save:
        for folder in found:
            if resume is None or step_of(folder) > step_of(resume) or not is_complete(folder):
                shutil.rmtree(folder)
        (output_dir / FINISHED).unlink(missing_ok=True)
    arguments.distributed_state.wait_for_everyone()
    return resume


def _find(output_dir: Path, wanted: str | None) -> Path | None:
    word = str(wanted).lower()
    if word in ("none", "false"):
        return None
    if word == "true":
        complete = [folder for folder in list_checkpoints(output_dir) if is_complete(folder)]
        return complete[-1] if complete else None
    folder = Path(str(wanted))
    if not _FOLDER.fullmatch(folder.name) or not is_complete(folder):
        raise ArgumentsError(
            f"`resume_from_checkpoint` must be true or a complete checkpoint folder, got {str(wanted)!r}, which has no "
            f"`{MARKER}` or lacks files it lists."
        )
    return folder


def step_of(folder: Path) -> int:
    """Returns the number of steps after which a checkpoint was saved."""
    return int(folder.name.rpartition("-")[2])


def _refuse_other_run(folder: Path, fingerprint: str, run_arguments: Mapping[str, Any] | None) -> None:
    content = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    found = content.get("fingerprint")
    if found != fingerprint:
        raise ArgumentsError(
            f"`resume_from_checkpoint` {folder.name} must be of the same data, got fingerprint {str(found)[:12]} "
            f"against {fingerprint[:12]}; start anew with `--overwrite_output_dir true`."
        )
    before, now = content.get("arguments"), run_arguments
    if not before or not now:
        return
    changes = [
        f"`{name}` was {_shown(before, name)} and is {_shown(now, name)}"
        for name in [*before, *(name for name in now if name not in before)]
        if before.get(name) != now.get(name)
    ]
    if changes:
        raise ArgumentsError(
            f"`resume_from_checkpoint` {folder.name} must be of the same arguments, but {', '.join(changes)}; give the "
            "old values to go on, or start anew with `--overwrite_output_dir true` or another `--output_dir`, without "
            "`--resume_from_checkpoint`."
        )


def _shown(arguments: Mapping[str, Any], name: str) -> str:
    return repr(arguments[name]) if name in arguments else "left out"
