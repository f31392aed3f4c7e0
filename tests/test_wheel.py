"""The wheel, installed where the sources are out of reach."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import gentwin

ROOT = Path(__file__).resolve().parents[1]

USE_INSTALLED = """
import json, sys
import gentwin
checkpoints = gentwin.list_checkpoints()
light = "torch" not in sys.modules and "gymnasium" not in sys.modules
import gymnasium
env = gymnasium.make("gentwin/RanSlicing-v0", preset="hua2019")
observation, info = env.reset(seed=0)
light = light and "torch" not in sys.modules
gentwin.from_pretrained(checkpoints[0]).require_fitted()
print(json.dumps({
    "file": gentwin.__file__,
    "version": gentwin.__version__,
    "checkpoints": checkpoints,
    "light": light,
    "inside": bool(env.observation_space.contains(observation)),
}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty virtual environment with the wheel; the dependencies are borrowed from the running interpreter."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=True, symlinks=True)
    subprocess.run(
        [folder / "bin/python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel], check=True
    )
    borrowed = sysconfig.get_paths()["purelib"]
    site_packages = next(folder.glob("lib/python*/site-packages"))
    # Added to the path as a plain folder, so the editable install of the sources in it stays inactive.
    (site_packages / "borrowed.pth").write_text(borrowed + "\n")
    return folder


def test_installed_package_works_on_its_own(environment: Path, tmp_path: Path):
    variables = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    run = subprocess.run(
        [environment / "bin/python", "-c", USE_INSTALLED],
        cwd=tmp_path,
        env={**variables, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout.splitlines()[-1])
    assert Path(found.pop("file")).is_relative_to(environment)
    assert found == {
        "version": gentwin.__version__,
        "checkpoints": gentwin.list_checkpoints(),
        "light": True,
        "inside": True,
    }


def test_command_is_installed(environment: Path, tmp_path: Path):
    listed = subprocess.check_output([environment / "bin/gentwin", "twins"], cwd=tmp_path, text=True)
    for name in gentwin.list_checkpoints():
        assert name in listed


def test_wheel_holds_the_package_only(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"gentwin"}
    assert "gentwin/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    shipped = {str(file.relative_to(ROOT)) for file in (ROOT / "gentwin/checkpoints").rglob("*") if file.is_file()}
    assert shipped <= set(names)
    assert not [name for name in names if name.endswith((".pyc", ".nbi", ".nbc"))]


def test_source_distribution_holds_the_licence(wheel: Path):
    with tarfile.open(next(wheel.parent.glob("*.tar.gz"))) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml", "gentwin/__init__.py", "mkdocs.yml"} <= names
