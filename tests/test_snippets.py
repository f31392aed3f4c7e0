"""Every fenced `python` block of the README and the documentation runs, page by page, one block after the other.

What is not meant to run (signatures, output) is fenced as `text`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import torch

from tests.datasets.kpi_samples import write_explora_log

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Its blocks are the files of a package; `tests/test_docs.py` runs them as such.
OTHERWISE_TESTED = ("add-a-twin",)
PAGES = [
    page
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if page.stem not in OTHERWISE_TESTED and BLOCK.search(page.read_text(encoding="utf-8"))
]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder like a clone, with the logs that the how-to tells readers to fetch."""
    for name in ("data", "recipes"):
        (tmp_path / name).symlink_to(ROOT / name)
    for number in range(3):
        write_explora_log(tmp_path / f"explora/data/action-steering/run{number}_agent.log", num_reports=30)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_snippets_run(page: Path, clone: Path):
    text = page.read_text(encoding="utf-8")
    names: dict[str, object] = {"__name__": "__main__"}
    torch.manual_seed(0)
    for block in BLOCK.finditer(text):
        # Padded with empty lines, so that a traceback names the line of the page.
        line = text.count("\n", 0, block.start(1))
        exec(compile("\n" * line + block.group(1), os.fspath(page), "exec"), names)
    assert torch.is_grad_enabled()
