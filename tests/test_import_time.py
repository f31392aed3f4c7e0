"""Importing the package costs next to nothing, and its names still work."""

from __future__ import annotations

import subprocess
import sys

import pytest

import gentwin

HEAVY = {"accelerate", "datasets", "gymnasium", "matplotlib", "numba", "numpy", "pandas", "torch", "transformers"}


def modules_after(code: str) -> set[str]:
    """Returns the top-level modules a fresh interpreter has loaded after `code`."""
    script = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize(
    "code",
    ["import gentwin", "import gentwin\ngentwin.list_checkpoints()\ngentwin.TransitionSchema", "import gentwin.cli"],
)
def test_light_import(code: str):
    assert not modules_after(code) & HEAVY


def test_every_public_name_resolves():
    for name in gentwin.__all__:
        assert getattr(gentwin, name) is not None
        assert name in dir(gentwin)


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'from_pretraned'"):
        _ = gentwin.from_pretraned


@pytest.mark.parametrize(
    "imports",
    [
        "import gentwin, gymnasium",
        "import gymnasium, gentwin",
        "import gentwin.hub, gymnasium.spaces, gymnasium",
        "import gentwin.envs, gymnasium",
        "from gentwin.envs import RanSlicingEnv; import gymnasium",
        "import gentwin, importlib.util; importlib.util.find_spec('gymnasium.spaces'); import gymnasium",
    ],
)
def test_environments_are_known_in_any_order_of_imports(imports: str):
    code = f"{imports}\ngymnasium.make('gentwin/RanSlicing-v0')"
    assert not modules_after(code) & {"torch", "transformers", "datasets"}


def test_environments_are_found_by_module_prefix():
    modules_after("import gymnasium\ngymnasium.make('gentwin:gentwin/RanSlicing-v0')")
