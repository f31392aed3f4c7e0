"""YAML of recipes and configurations."""

from __future__ import annotations

import pytest
import yaml

from gentwin.yaml_text import load_yaml


def test_numbers_are_those_of_yaml_1_2():
    assert load_yaml("{a: 5e-4, b: 200e3, c: [1, {d: -1.5E+2}]}") == {"a": 5e-4, "b": 2e5, "c": [1, {"d": -150.0}]}


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3", "a: {b: 1, c: 2, b: 3}"])
def test_a_key_that_is_there_twice_is_refused(text: str):
    with pytest.raises(yaml.YAMLError, match="is there twice"):
        load_yaml(text)


def test_what_is_wrong_has_a_place():
    with pytest.raises(yaml.YAMLError, match=r"^'a' is there twice in line 3, column 1$"):
        load_yaml("a: 1\nb: 2\na: 3")
    with pytest.raises(yaml.YAMLError, match=r"U\+0000, at character 4"):
        load_yaml("a: \0")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2024-13-45", r"^'2024-13-45' is no timestamp \(month must be in 1\.\.12\) in line 2, column 4$"),
        ("a: " + "9" * 5000, rf"^'{'9' * 40}' is no int \(.*\) in line 1, column 4$"),
        ("a: !!bool maybe", r"^'maybe' is no bool \(.*\) in line 1, column 4$"),
        ("a: !!timestamp soon", r"^'soon' is no timestamp \(.*\) in line 1, column 4$"),
        ("[" * 100_000, "at most 64 deep in line 1, column 65$"),
    ],
    ids=["date", "number", "truth", "time", "depth"],
)
def test_values_that_cannot_be_are_no_yaml(text: str, message: str):
    with pytest.raises(yaml.YAMLError, match=message):
        load_yaml(text)


def test_nothing_but_plain_values_is_read():
    with pytest.raises(yaml.YAMLError):
        load_yaml("!!python/object/apply:os.system ['true']")
