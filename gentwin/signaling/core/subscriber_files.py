"""Files of subscribers: YAML, to be written by hand, and SQLite, as the core has them."""

from __future__ import annotations

import sqlite3
from os import PathLike
from pathlib import Path

from gentwin.signaling.core.plain import groups_from_plain
from gentwin.signaling.core.subscribers import Subscribers
from gentwin.signaling.errors import SignalingError
from gentwin.yaml_text import read_yaml

YAML_ENDINGS = (".yaml", ".yml")


def read_subscribers(path: str | PathLike[str]) -> Subscribers:
    """Returns the subscribers in a file.

    A YAML file has groups of them; what a group does not name has its default:

    ```yaml
    subscribers:
      - first: "999700000000001"
        count: 100
        k: 465B5CE8B199B49FAA5F0A2EE238A6BC
        opc: E8ED289DEBA952E4283B54E88E6183CA
        profiles: recorded    # or sliced, or a list
    ```

    They are kept in memory. Any other file is SQLite, as `gentwin synthesize --subscribers` writes it; sequence numbers
    that are used are written to it.

    Args:
        path: Of the file.

    Raises:
        SignalingError: If it is no such file, or a value in it is out of range.
        OSError: If it cannot be read.
    """
    path = Path(path)
    if path.suffix.lower() not in YAML_ENDINGS:
        return _open(path)
    try:
        values = read_yaml(path)
    except ValueError as error:
        raise SignalingError(str(error)) from error
    if not isinstance(values, dict):
        raise SignalingError(f"`{path}` must have `subscribers`, a list of groups, got {type(values).__name__}.")
    found = Subscribers()
    for group in groups_from_plain(values):
        for subscriber in group:
            found.add(subscriber)
    return found


def _open(path: Path) -> Subscribers:
    if not path.is_file():
        raise FileNotFoundError(f"`{path}` must be a file of subscribers, YAML or SQLite; there is none.")
    try:
        return Subscribers(path)
    except sqlite3.DatabaseError as error:
        raise SignalingError(f"`{path}` must be YAML that ends with .yaml, or SQLite; it is neither.") from error
