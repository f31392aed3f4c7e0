"""The imports of the package, against the layer table of docs/concepts/architecture.md."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "gentwin").rglob("*.py"))
# The face of the package names everything lazily, so it belongs to no layer.
FACE = ("gentwin", "gentwin.gymnasium_hook")
NAMES_ITS_RELEASE = ("gentwin.cli", "gentwin.datasets")  # and takes nothing else from the face
ARRAYS = {"numpy", "torch"}
FILE_FORMATS = {"pandas", "pyarrow", "yaml"}
MODEL_LIBRARIES = {"transformers", "diffusers", "huggingface_hub", "safetensors"}
ALLOWED_LIBRARIES = {
    "gentwin.schema": set(),
    "gentwin.hub": set(),
    "gentwin.networks": {"numpy", "numba"},
    "gentwin.signaling": {"numpy", "cryptography", "pycrate_asn1dir", "pycrate_asn1rt", "pycrate_core"},
    "gentwin.datasets": {"datasets", *ARRAYS, *FILE_FORMATS},
    "gentwin.charts": {"matplotlib"},
    "gentwin.models": {"numba", *ARRAYS, *MODEL_LIBRARIES},
    "gentwin.metrics": {"sklearn", *ARRAYS},
    "gentwin.envs": {"gymnasium", *ARRAYS, *FILE_FORMATS},
    "gentwin.serving": {"prometheus_client", "rich", "sctp"},
    "gentwin.cli": {"gymnasium", "rich", "typer", "yaml"},
}


def read_layers() -> dict[str, int]:
    """Returns the layer of each package, as the table says."""
    rows = re.findall(r"^\| L(\d) \| (.*) \|$", (ROOT / "docs/concepts/architecture.md").read_text(), re.MULTILINE)
    return {package: int(layer) for layer, packages in rows for package in re.findall(r"`([\w.]+)`", packages)}


LAYERS = read_layers()


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def package_of(module: str) -> str:
    """Returns `gentwin.<package>` of a module inside it."""
    return ".".join(module.split(".")[:2])


def imports_of(file: Path) -> set[str]:
    """Returns the full names of everything a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import; write the full name"
            # `from gentwin import hub` imports a module, `from gentwin.hub import resolve` a name in one.
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_table_covers_the_package():
    packages = {package_of(module_name(file)) for file in FILES} - set(FACE)
    assert packages <= LAYERS.keys(), f"not in the layer table: {sorted(packages - LAYERS.keys())}"


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_imports_go_down(file: Path):
    importer = module_name(file)
    if importer in FACE:
        return
    for imported in imports_of(file):
        top = imported.split(".")[0]
        assert top not in ("recipes", "tests"), f"{importer} imports {imported}"
        if top != "gentwin" or (imported in FACE and package_of(importer) in NAMES_ITS_RELEASE):
            continue
        package = package_of(imported)
        assert package in LAYERS, f"{importer} imports {imported}, which is in no layer"
        assert LAYERS[package] <= LAYERS[package_of(importer)], f"{importer} imports {imported} of a higher layer"


@pytest.mark.parametrize("file", sorted((ROOT / "gentwin/models").rglob("*.py")), ids=module_name)
def test_models_import_neither_data_nor_each_other(file: Path):
    importer = module_name(file)
    parts = importer.split(".")
    for imported in imports_of(file):
        assert not imported.startswith(("gentwin.datasets", "datasets")), f"{importer} imports {imported}"
        imported_folder = re.match(r"gentwin\.models\.(\w+)", imported)
        if file.parent.name == "models" or not imported_folder:
            continue
        is_folder = (ROOT / "gentwin/models" / imported_folder[1]).is_dir()
        assert not is_folder or imported_folder[1] == parts[2], f"{importer} imports {imported}, another twin"


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_libraries_fit_the_layer(file: Path):
    importer = module_name(file)
    allowed = ALLOWED_LIBRARIES.get(package_of(importer))
    if importer in FACE or allowed is None:
        return
    libraries = {imported.split(".")[0] for imported in imports_of(file)} - {"gentwin"} - sys.stdlib_module_names
    assert libraries <= allowed, f"{importer} imports {sorted(libraries - allowed)}"
