"""The documentation site builds without a warning."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gentwin.serving import read_configuration
from gentwin.signaling.core import read_subscribers
from gentwin.signaling.core.plain import from_plain
from gentwin.yaml_text import read_yaml

ROOT = Path(__file__).resolve().parents[1]


def test_site_builds_strictly(tmp_path: Path):
    run = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert (tmp_path / "reference" / "models" / "index.html").is_file()


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.stem)
def test_page_is_in_the_navigation(page: Path):
    assert page.relative_to(ROOT / "docs").as_posix() in (ROOT / "mkdocs.yml").read_text()


YAML_BLOCK = re.compile(r'^```yaml(?: title="([^"]*)")?\n(.*?)^```', re.MULTILINE | re.DOTALL)
READERS = {
    "subscribers.yaml": read_subscribers,
    "core.yaml": read_configuration,
    "mine.yaml": lambda path: from_plain(read_yaml(path)),
}


@pytest.mark.parametrize(
    "page",
    [page for page in sorted((ROOT / "docs").rglob("*.md")) if YAML_BLOCK.search(page.read_text(encoding="utf-8"))],
    ids=lambda page: page.stem,
)
def test_yaml_of_a_page_is_read(page: Path, tmp_path: Path):
    for title, text in YAML_BLOCK.findall(page.read_text(encoding="utf-8")):
        path = tmp_path / title
        path.write_text(text)
        assert READERS[title](path), title


def test_the_twin_of_the_how_to_keeps_the_contract(tmp_path: Path):
    page = (ROOT / "docs/how-to/add-a-twin.md").read_text()
    configuration, model, registration, tests = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    parts = (configuration, model, "from gentwin.models import register_twin\n", registration, tests)
    lines = "".join(parts).splitlines()
    script = tmp_path / "test_linear.py"
    script.write_text("\n".join(line for line in lines if not line.startswith("from gentwin.models.linear")))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", ROOT / "pyproject.toml", script]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
