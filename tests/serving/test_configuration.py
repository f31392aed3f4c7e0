"""Configurations of cores that are served."""

from __future__ import annotations

from pathlib import Path

import pytest

from gentwin.serving import ServingConfiguration, read_configuration
from gentwin.signaling.core import LoadLimits

ROOT = Path(__file__).resolve().parents[2]


def test_recipe_is_the_recorded_network_and_the_default():
    recipe, default = read_configuration(ROOT / "recipes/serve_open5gs.yaml"), ServingConfiguration()
    assert recipe.network == default.network
    assert list(recipe.subscribers) == list(default.subscribers)
    assert recipe.limits is None and recipe.home_keys == default.home_keys
    first = recipe.subscribers.get("999700000000001")
    assert first.k.hex() == "465b5ce8b199b49faa5f0a2ee238a6bc" and first.amf == b"\x80\x00"
    assert [known.dnn for known in first.subscriptions] == ["internet", "ims"]


def test_subscribers_and_limits(tmp_path: Path):
    path = tmp_path / "core.yaml"
    path.write_text(
        f"""
network: {{plmn: "001-01"}}
subscribers:
  - {{first: "001010000000001", count: 3, k: "{"0" * 32}", opc: "{"1" * 32}"}}
limits: {{registered: 5}}
"""
    )
    known = read_configuration(path)
    assert known.network.plmn == "001-01" and len(known.subscribers) == 3
    assert known.limits == LoadLimits(registered=5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1", "must have names and values, got list"),
        ("networks: {}", "`networks` is no part of a configuration"),
        ("network: {amf_adress: x}", r"`network\.amf_adress` is no field; .*amf_address"),
        ("network: {plmn: 99970}", r"`network\.plmn` must be a text"),
        ("limits: {registered: -1}", r"`limits\.registered` must be"),
        ("subscribers: none.yaml", "`subscribers` must be a file, its path relative to the YAML file, got 'none.yaml'"),
        ("subscribers: [{first: x}]", "`subscribers"),
        ("network: [", "must be YAML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str):
    path = tmp_path / "core.yaml"
    path.write_text(text)
    with pytest.raises((ValueError, OSError), match=message):
        read_configuration(path)
