"""Splits of dialogues: no UE is in two of them."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from gentwin.datasets.signaling import DialogueError, Splits, StoredDialogue
from gentwin.signaling.contexts import ContextTracker
from tests.datasets.dialogue_samples import KEY, begin, give, splits_of, subscribers, write
from tests.signaling.record_samples import guti, recorded, suci


def identities(dialogue: StoredDialogue) -> set[str]:
    """Returns the SUPIs in the messages of a dialogue."""
    found = set()
    for record in dialogue.records:
        fields = dict(record.message.fields.walk())
        found |= {value for path, value in fields.items() if path.endswith("imsi")}
        for path, value in fields.items():
            if path.endswith("msin"):
                found.add("".join(fields[path.removesuffix("msin") + name] for name in ("mcc", "mnc")) + value)
    return found


@pytest.mark.parametrize(
    "splits",
    [Splits(seed=seed, validation=0.3, test=0.3) for seed in range(3)]
    + [Splits("capture", 0.3, 0.3, seed=1), Splits(test_captures=("n2n4-rejects",))],
    ids=str,
)
def test_no_ue_is_in_two_splits(tmp_path: Path, splits: Splits):
    """The captures have the same subscribers."""
    names = ("n2n4-rejects", "n2n4-gnb-restart", "n2n4-rejects-periodic")
    write(tmp_path, *((name, recorded(name)) for name in names), splits=splits, pseudonymise=True, key=KEY)
    found: dict[str, set[str]] = defaultdict(set)
    captures: dict[str, set[str]] = defaultdict(set)
    for split, dialogue in splits_of(tmp_path):
        captures[dialogue.capture].add(split)
        for identity in {dialogue.context.supi, *identities(dialogue)} - {None}:
            found[identity].add(split)
    assert len(found) > 15 and all(len(where) == 1 for where in found.values())
    assert len(set.union(*found.values())) > 1
    if splits.by == "capture":
        assert all(len(where) == 1 for where in captures.values())
    if splits.test_captures:
        assert [name for name in names if "test" in captures[name]] == ["n2n4-rejects"]
        assert captures["n2n4-rejects"] == {"test"}


def test_a_ue_without_supi_is_where_its_temporary_identity_is(tmp_path: Path):
    """A recording that is cut in two: in the second half, UEs are known by what they were given in the first."""
    records, tracker = recorded("n2n4-c02"), ContextTracker()
    owner = {record.raw: tracker.assign(record) for record in records}
    unknown = 0
    for seed in range(3):
        halves = (("first", records[:700]), ("second", records[700:1000]))
        write(tmp_path / str(seed), *halves, splits=Splits(validation=0.3, test=0.3, seed=seed))
        places: dict[object, set[str]] = defaultdict(set)
        for split, dialogue in splits_of(tmp_path / str(seed)):
            # A connection that begins in the first half has no identity in the second.
            if any(path.endswith("tmsi") for record in dialogue.records for path, _ in record.message.fields.walk()):
                unknown += dialogue.context.supi is None
                for record in dialogue.records:
                    if record.message.protocol == "ngap":
                        places[owner[record.raw].current].add(split)
        assert len(set.union(*places.values())) > 1
        assert all(len(where) == 1 for where in places.values())
    assert unknown > 2


def places_of(directory: Path) -> dict[str | None, str]:
    """Returns the split of each SUPI, and of the dialogue without one."""
    return {dialogue.context.supi: split for split, dialogue in splits_of(directory)}


GIVEN = ("one", [begin(1, suci("0000000001")), give(1, b"\0\0\0\7")])
AGAIN = ("two", [begin(2, suci("0000000002")), give(2, b"\0\0\0\7")])
BARE = ("three", [begin(3, guti(b"\0\0\0\7"))])
"""Two UEs had the same temporary identity after another; the third, of which nothing else is known, may be either."""


def test_where_a_known_ue_is_does_not_depend_on_other_dialogues(tmp_path: Path):
    seen = set()
    for seed in range(10):
        splits = Splits(seed=seed, test=0.4)
        write(tmp_path / f"all{seed}", GIVEN, AGAIN, BARE, splits=splits)
        together = places_of(tmp_path / f"all{seed}")
        for capture in (GIVEN, AGAIN):
            write(tmp_path / f"{capture[0]}{seed}", capture, splits=splits)
            [(supi, alone)] = places_of(tmp_path / f"{capture[0]}{seed}").items()
            assert supi is not None and together[supi] == alone
        seen.add(len(set(together.values())))
    assert seen == {1, 2}


def test_a_dialogue_that_may_be_of_ues_in_two_splits_is_left_out(tmp_path: Path):
    seen = set()
    for seed in range(10):
        summary = write(tmp_path / str(seed), GIVEN, AGAIN, BARE, splits=Splits(seed=seed, test=0.4))
        places = places_of(tmp_path / str(seed))
        without = places.pop(None, None)
        ambiguous = len(set(places.values())) > 1
        seen.add(ambiguous)
        assert without is None if ambiguous else {without} == set(places.values())
        assert summary.ambiguous == summary.counts["ambiguous"] == ambiguous
        kept = 0 if ambiguous else 1
        assert [(c.messages, c.dialogues, c.ambiguous) for c in summary.captures] == [
            *[(2, 1, 0)] * 2,
            (kept, kept, 1 - kept),
        ]
        assert sum(split.messages for split in summary.splits.values()) == 4 + kept
        assert sum(split.ues for split in summary.splits.values()) == 2
        card = (tmp_path / str(seed) / "dialogues/README.md").read_text()
        assert f"| three | {kept} | {kept} | 0 | {1 - kept} |" in card and ("| `ambiguous` |" in card) == ambiguous
    assert seen == {False, True}


def test_links_without_supi_are_followed(tmp_path: Path):
    """Nothing but a UE without SUPI, which had both temporary identities, says that a bare one may be of either UE."""
    other = ("two", [begin(2, suci("0000000002")), give(2, b"\0\0\0\x08")])
    link = ("link", [begin(3, guti(b"\0\0\0\7")), give(3, b"\0\0\0\x08")])
    counts = set()
    for seed in range(10):
        summary = write(tmp_path / str(seed), GIVEN, other, link, BARE, splits=Splits(seed=seed, test=0.4))
        places: dict[str | None, set[str]] = defaultdict(set)
        for split, dialogue in splits_of(tmp_path / str(seed)):
            places[dialogue.context.supi].add(split)
        counts.add(summary.ambiguous)
        assert summary.ambiguous == (2 if None not in places else 0)
        assert len(set.union(*places.values())) == (1 if None in places else 2)
    assert counts == {0, 2}


def test_a_ue_has_one_split_whatever_it_is_with(tmp_path: Path):
    """The same key and seed put a UE in the same split in all data sets."""
    records = subscribers(40)
    places = []
    for name, captures in {"all": [("a", records)], "some": [("b", records[:40]), ("c", records[20:])]}.items():
        write(tmp_path / name, *captures, pseudonymise=True, key=KEY)
        places.append({dialogue.context.supi: split for split, dialogue in splits_of(tmp_path / name)})
    assert places[0] == places[1] and len(set(places[0].values())) == 3


def test_fractions_are_about_right(tmp_path: Path):
    summary = write(tmp_path, ("many", subscribers(400)), splits=Splits(validation=0.2, test=0.3))
    assert summary.splits["validation"].ues == pytest.approx(80, abs=25)
    assert summary.splits["test"].ues == pytest.approx(120, abs=25)
    assert sum(split.ues for split in summary.splits.values()) == 400


def test_what_is_about_no_ue_goes_with_its_capture(tmp_path: Path):
    write(tmp_path, *((f"capture {number}", recorded("n2n4-rejects")[:12]) for number in range(12)))
    places: dict[str, set[str]] = defaultdict(set)
    for split, dialogue in splits_of(tmp_path):
        if dialogue.context.kind == "node":
            places[dialogue.capture].add(split)
    assert all(len(where) == 1 for where in places.values()) and len(set.union(*places.values())) > 1


def test_one_ue_in_captures_of_two_splits_needs_pseudonyms(tmp_path: Path):
    captures = (("one", subscribers(2)), ("two", subscribers(2)))
    with pytest.raises(DialogueError, match=r"supi 99970000000000.' is in captures of different splits \(one,two\)"):
        write(tmp_path, *captures, splits=Splits(test_captures=("two",)))
    write(tmp_path, *captures, splits=Splits(test_captures=("two",)), pseudonymise=True)
    write(
        tmp_path, captures[0], ("two", subscribers(2, start=3)), splits=Splits(test_captures=("two",)), overwrite=True
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "message"}, "`by` must be `ue` or `capture`, got 'message'"),
        ({"validation": 1.0}, "`validation` must be a fraction from 0 to below 1, got 1.0"),
        ({"test": -0.1}, "`test` must be a fraction from 0 to below 1, got -0.1"),
        ({"validation": float("nan")}, "`validation` must be a fraction"),
        ({"validation": 0.5, "test": 0.5}, "must leave a fraction to train on, got 0.5 and 0.5"),
        ({"test_captures": "c02"}, "`test_captures` must be names in a list, got 'c02'"),
    ],
)
def test_bad_splits(options: dict, message: str):
    with pytest.raises(DialogueError, match=message):
        Splits(**options)
