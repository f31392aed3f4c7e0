"""Which checkpoints count, and what happens to an output folder that is already in use."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import typer

from gentwin.training import (
    ArgumentsError,
    DataArguments,
    ModelArguments,
    TwinTrainingArguments,
    prepare_output_dir,
    result_arguments,
)
from gentwin.training.checkpoints import is_complete, list_checkpoints, mark_complete
from tests.training.conftest import ROOT


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


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"weig"), Path.unlink])
def test_a_checkpoint_torn_in_a_folder_of_its_own_is_not_complete(tmp_path: Path, damage):
    folder = tmp_path / "checkpoint-2"
    inner = folder / "trainer/twin/model.safetensors"
    inner.parent.mkdir(parents=True)
    inner.write_bytes(b"weights")
    mark_complete(folder, "print")
    assert is_complete(folder)
    damage(inner)
    assert not is_complete(folder)


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


def test_a_checkpoint_of_other_arguments_is_refused_by_their_names(tmp_path: Path):
    def shaping(sizes: dict, **arguments) -> tuple[TwinTrainingArguments, dict]:
        training = TwinTrainingArguments(
            output_dir=str(tmp_path), use_cpu=True, resume_from_checkpoint="true", **arguments
        )
        return training, result_arguments(DataArguments(), ModelArguments(model_config=sizes), training)

    _, before = shaping({"hidden_size": 8}, learning_rate=0.1)
    checkpoint = make_checkpoint(tmp_path, 2)
    mark_complete(checkpoint, "print", before)
    training, same = shaping({"hidden_size": 8}, learning_rate=0.1, logging_steps=7, disable_tqdm=True, torch_threads=3)
    assert prepare_output_dir(training, "print", same) == checkpoint
    training, other = shaping({"num_members": 2}, learning_rate=0.2)
    with pytest.raises(ArgumentsError) as refusal:
        prepare_output_dir(training, "print", other)
    message = str(refusal.value)
    for part in (
        "`learning_rate` was 0.1 and is 0.2",
        "`model_config.hidden_size` was 8 and is left out",
        "`model_config.num_members` was left out and is 2",
        "--overwrite_output_dir true",
    ):
        assert part in message
    assert checkpoint.is_dir()


def test_paths_of_a_machine_are_not_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    spec = importlib.util.spec_from_file_location("ship_checkpoint", ROOT / "recipes/ship_checkpoint.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "CHECKPOINTS", tmp_path / "shipped")
    (tmp_path / "run/plots").mkdir(parents=True)
    for name in module.FILES:
        (tmp_path / "run" / name).write_text("# run\n" if name == "README.md" else "{}")
    module.main(tmp_path / "run", "tiny")
    assert (tmp_path / "shipped/tiny/README.md").read_text() == "# gentwin/tiny\n"
    (tmp_path / "run/training_arguments.yaml").write_text(f"data_path: {tmp_path}/record.parquet\n")
    with pytest.raises(typer.BadParameter, match="`data_path`"):
        module.main(tmp_path / "run", "other")
    assert not (tmp_path / "shipped/other").exists()
