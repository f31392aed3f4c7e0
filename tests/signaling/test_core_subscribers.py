"""Files of subscribers."""

from __future__ import annotations

from pathlib import Path

import pytest

from gentwin.signaling.core import RECORDED, SLICED, Subscribers, SynthesisConfiguration, enrol, read_subscribers
from gentwin.signaling.errors import SignalingError
from tests.signaling.resolver_networks import SUBSCRIBERS

GROUP = """
subscribers:
  - first: "999700000000007"
    count: 3
    k: 465B5CE8B199B49FAA5F0A2EE238A6BC
    opc: E8ED289DEBA952E4283B54E88E6183CA
    msisdn: "0821000"
    profiles: sliced
  - first: "001010000000001"
    k: "00000000000000000000000000000000"
    opc: "ffffffffffffffffffffffffffffffff"
    barred: true
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "subscribers.yaml"
    path.write_text(text)
    return path


def test_a_file_has_groups_of_subscribers(tmp_path: Path):
    found = read_subscribers(written(tmp_path, GROUP))
    assert len(found) == 4
    last = found.get("999700000000009")
    assert (last.msisdn, last.subscriptions) == ("0821002", SLICED[1].subscriptions)
    assert last.k == bytes.fromhex("465B5CE8B199B49FAA5F0A2EE238A6BC")
    other = found.get("001010000000001")
    assert (other.barred, other.uplink, other.amf) == (True, RECORDED[1].uplink, b"\x80\x00")


PROFILES = GROUP.replace("sliced", '[{downlink: 2.5 Mbps, subscriptions: [{slice: "1", dnn: a, uplink: 64000}]}]')


def test_rates_have_a_unit_or_are_bit_per_second_and_can_be_left_out(tmp_path: Path):
    known = read_subscribers(written(tmp_path, PROFILES)).get("999700000000007")
    (session,) = known.subscriptions
    assert (known.uplink, known.downlink) == (1_000_000_000, 2_500_000)
    assert (session.uplink, session.downlink) == (64_000, 1_000_000_000)


def test_the_recorded_subscribers_are_in_a_file():
    found = read_subscribers(SUBSCRIBERS)
    assert found.get("999700000000001").subscriptions == RECORDED[1].subscriptions
    assert found.get("999700000009000") is None


def test_a_database_is_read_as_it_is(tmp_path: Path):
    database = Subscribers(tmp_path / "subscribers.sqlite")
    enrol(SynthesisConfiguration(ues=3), 1, database)
    supis = [known.supi for known in database]
    database.close()
    assert [known.supi for known in read_subscribers(tmp_path / "subscribers.sqlite")] == supis


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("subscribers: []", "`subscribers` must be at least one"),
        ("[1, 2]", "must have `subscribers`, a list of groups, got list"),
        ("subscribers: {", "must be YAML, got expected the node content, but found .* in line 1, column 15"),
        (
            PROFILES.replace("2.5 Mbps", "fast"),
            "profiles.0.downlink` must be a whole number of bit/s, or a number with a",
        ),
        (PROFILES.replace("2.5 Mbps", "2.5"), "profiles.0.downlink` must be a whole number of bit/s"),
        (PROFILES.replace("2.5 Mbps", "50"), "profiles.0.downlink` must be from 1 kbps to 4 Tbps"),
        (PROFILES.replace("2.5 Mbps", "5000000000000 bps"), "profiles.0.downlink` must be from 1 kbps to 4 Tbps"),
        ("names: 1", r"`names` is no field; known: `subscribers`\.$"),
        (GROUP.replace("barred", "bared"), r"`subscribers.1.bared` is no field; did you mean `barred`\?$"),
        (GROUP.replace("465B", "46"), r"`subscribers.0.k` must be 32 hex digits"),
        (GROUP.replace("count: 3", "count: 0"), r"`subscribers.0.count` must be from 1 to"),
        (GROUP.replace('"999700000000007"', '"99"'), r"`subscribers.0.first` must be 6 to 15 digits"),
        (GROUP.replace('"999700000000007"', "999700000000007"), r"`subscribers.0.first` must be a text in quotes"),
        (GROUP.replace("sliced", "other"), r"`subscribers.0.profiles` must be one of recorded, sliced"),
        (GROUP.replace('"0821000"', '"99999"'), r"`subscribers.0.msisdn` must be 6 to 15 digits"),
    ],
)
def test_what_is_no_file_of_subscribers_is_refused(tmp_path: Path, text: str, message: str):
    with pytest.raises(SignalingError, match=message):
        read_subscribers(written(tmp_path, text))


def test_other_files_are_refused(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="YAML or SQLite"):
        read_subscribers(tmp_path / "none.sqlite")
    (tmp_path / "text.sqlite").write_text("no database " * 100)
    with pytest.raises(SignalingError, match="it is neither"):
        read_subscribers(tmp_path / "text.sqlite")
