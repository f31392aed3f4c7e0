"""Words of a command line and lines of a YAML file, and how a bad argument is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from gentwin.yaml_text import load_yaml


class ArgumentsError(ValueError):
    """Arguments that are unknown, malformed, out of range, or contradict each other or the data."""


def about(help_text: str) -> dict[str, str]:
    """Returns the metadata of a field that `--help` shows."""
    return {"help": help_text}


def require(condition: bool, name: str, constraint: str, value: Any, remedy: str = "") -> None:
    """Raises `ArgumentsError` naming the argument, the constraint and the value unless `condition` holds."""
    if not condition:
        raise ArgumentsError(f"`{name}` must be {constraint}, got {value!r}{'; ' + remedy if remedy else ''}.")


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Returns the mapping in a YAML file.

    Raises:
        FileNotFoundError: If there is no such file.
        ArgumentsError: If it is not YAML, or not a mapping.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"`--config` must be a YAML file, got {str(path)!r}, which does not exist.")
    try:
        values = load_yaml(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ArgumentsError(f"{path} is not YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(values or {}, dict):
        raise ArgumentsError(f"{path} must hold `key: value` lines, got a {type(values).__name__}.")
    return dict(values or {})


def take_option(argv: list[str], name: str, default: str) -> tuple[str, list[str]]:
    """Removes `name VALUE` or `name=VALUE` from `argv`; the last one counts."""
    value, rest = default, []
    words = iter(argv)
    for word in words:
        if word == name:
            value = next(words, None)
            if value is None:
                raise ArgumentsError(f"`{name}` must be followed by a value; see --help.")
        elif word.startswith(f"{name}="):
            value = word.partition("=")[2]
        else:
            rest.append(word)
    return value, rest


def take_entries(argv: list[str], field_name: str) -> tuple[dict[str, Any], list[str]]:
    """Removes `--FIELD.KEY VALUE` from `argv` and returns `{KEY: VALUE}`, values read as YAML."""
    names = sorted({word.partition("=")[0] for word in argv if word.startswith(f"--{field_name}.")})
    entries = {}
    for name in names:
        text, argv = take_option(argv, name, "")
        entries[name.partition(".")[2]] = load_yaml(text)
    return entries, argv


def with_entry(values: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Returns nested mappings with the entry at `path`, such as `fit.num_updates`, set."""
    key, _, rest = path.partition(".")
    if rest:
        nested = values.get(key) or {}
        require(isinstance(nested, dict), key, "a mapping", nested)
        value = with_entry(nested, rest, value)
    return {**values, key: value}


def as_command_line(values: dict[str, Any]) -> list[str]:
    """Returns YAML values as a command line, so that both pass the same conversion and checks."""
    words: list[str] = []
    for key, value in values.items():
        if value is None:
            continue
        words.append(f"--{key}")
        if isinstance(value, dict):
            words.append(json.dumps(value))
        else:
            words += [str(item) for item in (value if isinstance(value, list) else [value])]
    return words
