"""Which runs may be summed up as trainings that differ in the seed only."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from gentwin.training import ArgumentsError
from gentwin.training.arguments import ARGUMENT_CLASSES
from gentwin.training.checkpoints import sibling_arguments
from gentwin.training.model_card import require_siblings

GIVEN = {"model_config": {"hidden_size": 8}, "learning_rate": 0.1, "num_train_epochs": 3, "seed": 0}


def run(folder: Path, **changes) -> str:
    folder.mkdir()
    (folder / "training_arguments.yaml").write_text(yaml.safe_dump(GIVEN | changes))
    return str(folder)


def check(*folders: str) -> None:
    require_siblings(folders, GIVEN, ARGUMENT_CLASSES, sibling_arguments(ARGUMENT_CLASSES))


def test_only_the_seed_may_differ_and_what_shapes_nothing(tmp_path: Path):
    first = run(tmp_path / "1", seed=1, num_train_epochs=3.0, output_dir="there", torch_threads=7)
    check(first, run(tmp_path / "2", seed=2, split_seed=0, lr_scheduler_type="linear"))  # a default, written out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 0.2}, "`learning_rate` is 0.2 there and 0.1 here"),
        (
            {"model_config": {"num_members": 2}},
            "`model_config.hidden_size` is left out there and 8 here",
        ),
        ({"data_path": "other.parquet"}, "`data_path` is 'other.parquet' there"),
        ({"rollout_starts": 5}, "`rollout_starts` is 5 there and 192 here"),
        ({"seed": 0}, "seeds of their own, got .* with seed 0, that of this run"),
        ({"seed": 1}, "seeds of their own, got .* with seed 1, that of .*good"),
    ],
)
def test_other_runs_are_refused_by_what_differs(tmp_path: Path, changes: dict, message: str):
    good = run(tmp_path / "good", seed=1)
    with pytest.raises(ArgumentsError, match=message):
        check(good, run(tmp_path / "other", **{"seed": 2, **changes}))


def test_a_folder_without_arguments_is_refused(tmp_path: Path):
    with pytest.raises(ArgumentsError, match="`sibling_runs` must be output folders of finished runs"):
        check(str(tmp_path))
