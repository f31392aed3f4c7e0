"""Where the recordings of a real core lie that figures are measured on."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IN_REPOSITORY, BESIDE_IT = ROOT / "data/signaling", ROOT.parent / "shared/data/captures"


def recordings(every: bool) -> list[Path]:
    """Returns the recordings in the repository by name, and if `every`, those in the folder shared beside it too.

    Raises:
        FileNotFoundError: If there is none.
    """
    found = {path.stem: path for folder in (BESIDE_IT, IN_REPOSITORY) for path in folder.glob("*/*.pcap")}
    if not every:
        found = {name: path for name, path in found.items() if IN_REPOSITORY in path.parents}
    if not found:
        raise FileNotFoundError(f"no recordings in {IN_REPOSITORY}")
    return [found[name] for name in sorted(found)]
