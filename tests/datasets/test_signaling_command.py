"""`gentwin capture-to-dataset`, run as a user runs it."""

from __future__ import annotations

import gzip
import hashlib
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gentwin.cli import app
from gentwin.datasets.signaling import SPLITS, read_dialogues
from gentwin.signaling.capture import read_capture, write_capture
from tests.signaling.recordings import find_capture

EMPTY = bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000")
KEY = bytes(range(32))


def run(*arguments: object) -> Result:
    runner = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"})
    return runner.invoke(app, ["capture-to-dataset", *map(str, arguments)])


def check_one_line(result: Result, *texts: str) -> None:
    assert result.exit_code == 2
    assert result.output.count("\n") == 1 and result.output.startswith("gentwin: ")
    for text in texts:
        assert text in result.output


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    return shutil.copy(find_capture("n2n4-rejects-suci"), tmp_path / "monday.pcap")


def test_from_captures_to_a_data_set(tmp_path: Path, capture: Path):
    other = tmp_path / "tuesday.pcap.gz"
    other.write_bytes(gzip.compress(find_capture("n2n4-gnb-restart").read_bytes()))
    result = run(capture, other, "-o", tmp_path / "out", "--test-captures", "monday")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines()]
    assert ["monday", "68", "10", "0"] in lines and ["tuesday", "438", "27", "0"] in lines
    assert "not decoded: 0 messages" in result.output
    dialogues = {split: list(read_dialogues(tmp_path / "out", split)) for split in SPLITS}
    assert {dialogue.capture for dialogue in dialogues["test"]} == {"monday"}
    assert sum(len(dialogue.records) for found in dialogues.values() for dialogue in found) == 68 + 438
    card = (tmp_path / "out/README.md").read_text()
    for path in (capture, other):
        assert path.name in card and hashlib.sha256(path.read_bytes()).hexdigest() in card
    assert "gentwin capture-to-dataset monday.pcap tuesday.pcap.gz -o DIR --split-by ue" in card
    assert str(tmp_path) not in card


def test_what_cannot_be_decoded_is_shown(tmp_path: Path):
    capture = tmp_path / "mixed.pcap"
    packets = list(read_capture(find_capture("n2n4-rejects-suci")))
    broken = next(packet for packet in packets if packet.protocol == "pfcp")
    write_capture(capture, [*packets, type(broken)(b"\x20\xff", "pfcp", 2e9, broken.sender, broken.receiver)])
    result = run(capture, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "not decoded: 1 messages" in result.output and "1 undecoded_pfcp" in result.output
    assert "| `undecoded_pfcp` |" in (tmp_path / "out/README.md").read_text()


def test_a_key_gives_the_same_pseudonyms(tmp_path: Path, capture: Path):
    (tmp_path / "key").write_bytes(KEY)
    for name in ("one", "other"):
        assert run(capture, "-o", tmp_path / name, "--key-file", tmp_path / "key").exit_code == 0
    files = [[path.read_bytes() for path in sorted((tmp_path / name / "data").iterdir())] for name in ("one", "other")]
    assert files[0] == files[1]
    saved = b"".join(path.read_bytes() for path in tmp_path.glob("one/**/*") if path.is_file())
    assert KEY not in saved and b"--key" not in saved


def test_an_empty_split_is_said(tmp_path: Path, capture: Path):
    result = run(capture, "-o", tmp_path / "out", "--split-by", "capture", "--seed", 1)
    assert result.exit_code == 0 and "validation is empty: there are too few captures" in result.output


def test_a_split_without_a_fraction_is_not_missed(tmp_path: Path, capture: Path):
    result = run(capture, "-o", tmp_path / "out", "--validation", 0, "--test", 0)
    assert result.exit_code == 0 and "is empty" not in result.output


def test_names_and_paths_are_no_markup(tmp_path: Path, capture: Path):
    named, output = capture.rename(tmp_path / "[red]:b:.pcap"), tmp_path / "x[/y]"
    result = run(named, "-o", output)
    assert result.exit_code == 0, result.output
    assert "[red]:b:" in result.output and f"written: {output}" in result.output


def test_no_such_file(tmp_path: Path):
    check_one_line(run(tmp_path / "nowhere.pcap", "-o", tmp_path / "out"), "nowhere.pcap is not a file")


def test_no_capture(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("Not a capture at all, but long enough to have a header.")
    check_one_line(run(tmp_path / "notes.txt", "-o", tmp_path / "out"), "notes.txt: ", "capture")
    (tmp_path / "notes.txt").write_bytes(b"")
    check_one_line(run(tmp_path / "notes.txt", "-o", tmp_path / "out"), "notes.txt: ")


def test_no_message(tmp_path: Path):
    (tmp_path / "empty.pcap").write_bytes(EMPTY)
    check_one_line(run(tmp_path / "empty.pcap", "-o", tmp_path / "out"), "no message of N2 or N4 in empty")
    (tmp_path / "other.pcap").write_bytes(EMPTY + bytes(8) + 2 * (60).to_bytes(4, "little") + bytes(60))
    check_one_line(run(tmp_path / "other.pcap", "-o", tmp_path / "out"), "1 not_ip")
    assert not (tmp_path / "out").exists()


def test_two_of_one_name(tmp_path: Path, capture: Path):
    (tmp_path / "again").mkdir()
    again = shutil.copy(capture, tmp_path / "again/monday.pcap.gz")
    check_one_line(run(capture, again, "-o", tmp_path / "out"), "both named 'monday'")


def test_a_folder_that_is_there(tmp_path: Path, capture: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.tex").touch()
    check_one_line(run(capture, "-o", tmp_path / "out"), "exists", "overwrite")
    check_one_line(run(capture, "-o", tmp_path / "out", "--overwrite"), "is not a data set of dialogues")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--validation", "1.5", "`validation` must be a fraction from 0 to below 1, got 1.5"),
        ("--test", "0.95", "must leave a fraction to train on, got 0.1 and 0.95"),
        ("--split-by", "message", "`by` must be `ue` or `capture`, got 'message'"),
        ("--test-captures", "mondag", "`--test-captures` must name one of the captures, got 'mondag'; did you mean"),
        ("--key-file", "nowhere", "`--key-file` must be a file"),
    ],
)
def test_bad_options(tmp_path: Path, capture: Path, option: str, value: str, message: str):
    check_one_line(run(capture, "-o", tmp_path / "out", option, value), message)
    assert not (tmp_path / "out").exists()


def test_a_short_key(tmp_path: Path, capture: Path):
    (tmp_path / "key").write_bytes(b"short")
    check_one_line(run(capture, "-o", tmp_path / "out", "--key-file", tmp_path / "key"), "`key` must have at least 16")
