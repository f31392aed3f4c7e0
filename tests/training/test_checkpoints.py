"""Which checkpoints count, and what happens to an output folder that is already in use."""

from __future__ import annotations

from pathlib import Path

import pytest

from gentwin.training import ArgumentsError, TwinTrainingArguments, prepare_output_dir
from gentwin.training.checkpoints import is_complete, list_checkpoints, mark_complete


def make_checkpoint(output_dir: Path, step: int, complete: bool = True) -> Path:
    folder = output_dir / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    if complete:
        mark_complete(folder, "print")
    return folder


def prepare(output_dir: Path, **arguments) -> Path | None:
    return prepare_output_dir(TwinTrainingArguments(output_dir=str(output_dir), use_cpu=True, **arguments), "print")


def test_the_last_complete_checkpoint_is_taken_and_torn_ones_are_removed(tmp_path: Path):
    make_checkpoint(tmp_path, 2)
    wanted = make_checkpoint(tmp_path, 10)
    make_checkpoint(tmp_path, 12, complete=False)
    shortened = make_checkpoint(tmp_path, 14)
    (shortened / "model.safetensors").write_bytes(b"weig")
    assert is_complete(wanted) and not is_complete(shortened)
    assert prepare(tmp_path, resume_from_checkpoint="true") == wanted
    assert [folder.name for folder in list_checkpoints(tmp_path)] == ["checkpoint-2", "checkpoint-10"]


def test_resuming_an_empty_folder_starts_from_the_beginning(tmp_path: Path):
    assert prepare(tmp_path / "new", resume_from_checkpoint="true") is None


def test_an_unfinished_run_is_not_overwritten_by_accident(tmp_path: Path):
    make_checkpoint(tmp_path, 2)
    with pytest.raises(ArgumentsError, match="unfinished run"):
        prepare(tmp_path)
    assert list_checkpoints(tmp_path)
    assert prepare(tmp_path, overwrite_output_dir=True) is None
    assert not list_checkpoints(tmp_path)


def test_a_finished_run_may_be_repeated(tmp_path: Path):
    make_checkpoint(tmp_path, 2)
    (tmp_path / "metrics.json").write_text("{}")
    assert prepare(tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_a_named_checkpoint_must_be_complete(tmp_path: Path):
    good, torn = make_checkpoint(tmp_path, 2), make_checkpoint(tmp_path, 4, complete=False)
    assert prepare(tmp_path, resume_from_checkpoint=str(good)) == good
    with pytest.raises(ArgumentsError, match="complete checkpoint folder"):
        prepare(tmp_path, resume_from_checkpoint=str(torn))


def test_a_checkpoint_of_other_data_is_refused(tmp_path: Path):
    make_checkpoint(tmp_path, 2)
    arguments = TwinTrainingArguments(output_dir=str(tmp_path), use_cpu=True, resume_from_checkpoint="true")
    with pytest.raises(ArgumentsError, match="same data"):
        prepare_output_dir(arguments, "another")
