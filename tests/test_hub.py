"""Names of shipped checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest

from gentwin import hub


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two shipped checkpoints, in a package folder of their own, beside a file that is none."""
    package = tmp_path / "package"
    for name in ("slice-b", "slice-a"):
        (package / name).mkdir(parents=True)
        (package / name / "config.json").write_text("{}")
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr(hub, "CHECKPOINTS", package)
    return package


def test_listing_is_sorted(shipped: Path):
    assert hub.list_checkpoints() == ["gentwin/slice-a", "gentwin/slice-b"]


def test_path_of_a_shipped_checkpoint(shipped: Path):
    assert hub.checkpoint_path("gentwin/slice-a") == hub.checkpoint_path("slice-a") == shipped / "slice-a"
    assert hub.resolve("gentwin/slice-a") == str(shipped / "slice-a")


@pytest.mark.parametrize("name", ["gentwin/slice-c", "gentwin/..", "..", "gentwin/../package/slice-a", "", ".", "a/b"])
def test_only_names_are_names(shipped: Path, name: str):
    with pytest.raises(hub.CheckpointError, match=r"gentwin/slice-a, gentwin/slice-b"):
        hub.checkpoint_path(name)


def test_near_name_is_suggested(shipped: Path):
    with pytest.raises(hub.CheckpointError, match="did you mean `gentwin/slice-a`"):
        hub.checkpoint_path("gentwin/slic-a")


@pytest.mark.parametrize("name", ["gentwin/slice-c", "gentwin/../slice-a", "slice-a", "someone/model", "runs/last"])
def test_other_names_are_left_alone(shipped: Path, name: str):
    assert hub.resolve(name) == name


def test_local_folder_wins(shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "here" / "gentwin" / "slice-a").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert hub.resolve("gentwin/slice-a") == "gentwin/slice-a"
