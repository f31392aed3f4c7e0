"""Plain values from YAML, with the numbers of YAML 1.2."""

from __future__ import annotations

import re
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """Reads 200e3 and 5e-4 as the numbers they are in YAML 1.2; PyYAML, which reads YAML 1.1, takes them for text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def load_yaml(text: str) -> Any:
    """Returns the plain values in a YAML text.

    Raises:
        yaml.YAMLError: If it is no YAML.
    """
    return yaml.load(text, _Loader)
