"""Plain values from YAML, with the numbers of YAML 1.2."""

from __future__ import annotations

import re
from os import PathLike
from pathlib import Path
from typing import Any

import yaml

MOST_NESTED = 64  # lists and mappings in brackets
SHOWN = 40  # characters of what is wrong, in an error


class _Loader(yaml.SafeLoader):
    """Reads 200e3 and 5e-4 as the numbers they are in YAML 1.2; PyYAML, which reads YAML 1.1, takes them for text."""

    def fetch_flow_collection_start(self, token: type[yaml.Token]) -> None:
        """Begins a list or a mapping in brackets; the scanner takes quadratic time for those that are nested."""
        if self.flow_level >= MOST_NESTED:
            problem = f"lists and mappings must be nested at most {MOST_NESTED} deep"
            raise yaml.scanner.ScannerError(problem=problem, problem_mark=self.get_mark())
        super().fetch_flow_collection_start(token)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Returns the value of a node; what a scalar cannot be has a line, such as the date 2024-13-45."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, OverflowError) as error:
            text, kind = str(node.value)[:SHOWN], node.tag.rpartition(":")[2]
            raise yaml.constructor.ConstructorError(
                problem=f"{text!r} is no {kind} ({error})", problem_mark=node.start_mark
            ) from error


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [key.value for key, _ in node.value]
    for place, (key, _) in enumerate(node.value):
        if key.value in keys[:place]:
            problem = f"{key.value!r} is there twice"
            raise yaml.constructor.ConstructorError(problem=problem, problem_mark=key.start_mark)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def read_yaml(path: str | PathLike[str]) -> Any:
    """Returns the plain values in a YAML file.

    Raises:
        ValueError: If it is no YAML, or a key is there twice.
        OSError: If it cannot be read.
    """
    try:
        return load_yaml(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"`{path}` must be YAML, got {error}.") from error


def load_yaml(text: str) -> Any:
    """Returns the plain values in a YAML text.

    Raises:
        yaml.YAMLError: If it is no YAML, or a key is there twice; says in which line.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" in line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise yaml.YAMLError(f"{error.problem or error.context}{place}") from error
    except RecursionError as error:
        raise yaml.YAMLError("lists or mappings are nested too deeply") from error
    except yaml.reader.ReaderError as error:
        raise yaml.YAMLError(f"{error.reason}, U+{error.character:04X}, at character {error.position + 1}") from error
