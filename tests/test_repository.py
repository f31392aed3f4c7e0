"""What the repository may hold."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from gentwin import hub
from gentwin.models.checkpoint import verify_checksums

ROOT = Path(__file__).resolve().parents[1]
MAX_LINES = 500
MAX_CHECKPOINT_BYTES = 60_000_000
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:home|root|work|Users|tmp)/\w")


def tracked_files() -> list[Path]:
    """Returns the files git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_no_machine_paths():
    found = []
    for file in tracked_files():
        content = file.read_bytes()
        if b"\0" in content:
            continue
        for number, line in enumerate(content.decode("utf-8").splitlines(), 1):
            if MACHINE_PATH.search(line):
                found.append(f"{file.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("folder", ["gentwin", "recipes", "examples", "tests"])
def test_files_stay_readable(folder: str):
    for file in (ROOT / folder).rglob("*.py"):
        length = len(file.read_text(encoding="utf-8").splitlines())
        assert length <= MAX_LINES, f"{file.relative_to(ROOT)} has {length} lines"


def test_what_is_shipped_loads_and_steps():
    import gymnasium

    import gentwin

    shipped = {"gentwin/slice-lstm-dynamic", "gentwin/slice-lstm-zhang2024"}
    assert shipped <= set(hub.list_checkpoints())
    for name in shipped:
        env = gymnasium.make_vec("gentwin/TwinSlicing-v0", num_envs=3, twin=gentwin.from_pretrained(name))
        observation, _ = env.reset(seed=0)
        observation, reward, *_ = env.step(env.action_space.sample() * 0)
        assert env.observation_space.contains(observation)
        assert (reward > 0).all()


def test_the_readme_points_at_what_exists():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in target]
    assert targets
    assert not [target for target in targets if not (ROOT / target).exists()]
    assert not re.search(r"\b(?:TIME|FIGURES)_[A-Z]+", text)


def test_checkpoints_are_small_and_whole():
    assert sum(file.stat().st_size for file in hub.CHECKPOINTS.rglob("*") if file.is_file()) < MAX_CHECKPOINT_BYTES
    for name in hub.list_checkpoints():
        folder = hub.checkpoint_path(name)
        for file in ("README.md", "checksums.json", "metrics.json", "model.safetensors"):
            assert (folder / file).is_file(), f"{name} has no `{file}`"
        verify_checksums(folder)
        assert hub.read_figures(name)
