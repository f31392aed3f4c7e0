"""Where recordings of a real core lie."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (ROOT / "data/signaling", ROOT.parent / "shared/data/captures")


def find_capture(name: str) -> Path:
    """Returns the path of a recording, or skips the test where there is none."""
    for folder in FOLDERS:
        path = folder / name / f"{name}.pcap"
        if path.exists():
            return path
    pytest.skip(f"no recording {name} in {[folder.relative_to(ROOT.parent).as_posix() for folder in FOLDERS]}")
