"""Data sets of dialogues: what is written is read again, whole or not at all."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import gentwin
from gentwin.datasets.signaling import SPLITS, DialogueError, Splits, load, read_dialogues, to_dialogues
from gentwin.signaling.contexts import dialogues
from gentwin.signaling.messages import PFCP, Message, Record
from gentwin.signaling.privacy import Pseudonymiser
from gentwin.signaling.records import encode_record, read_records
from tests.datasets.dialogue_samples import KEY, as_plain, read, rows_of, subscribers, write
from tests.signaling.record_samples import recorded
from tests.signaling.recordings import find_capture

LISTS = ("timestamp", "sender", "receiver", "stream", "protocol", "name", "nas", "data")

# ---------------------------------------------------------------- there and back


@pytest.mark.parametrize("scenario", ["n2n4-c02", "n2n4-rejects"])
def test_dialogues_are_those_of_the_capture(tmp_path: Path, scenario: str):
    write(tmp_path, (scenario, recorded(scenario)), key=KEY, pseudonymise=True)
    expected = [as_plain(dialogue) for dialogue in dialogues(map(Pseudonymiser(KEY), recorded(scenario)))]
    found = read(tmp_path)
    for dialogue in found:
        assert all(record.raw == encode_record(record) for record in dialogue.records)
    bare = [replace(dialogue, records=tuple(replace(r, raw=b"") for r in dialogue.records)) for dialogue in found]
    assert [as_plain(dialogue) for dialogue in bare] == expected
    assert {dialogue.capture for dialogue in found} == {scenario}


def test_no_message_is_lost(tmp_path: Path):
    summary = write(tmp_path, ("c02", recorded("n2n4-c02")), ("rejects", recorded("n2n4-rejects")))
    written = Counter(encode_record(record) for name in ("n2n4-c02", "n2n4-rejects") for record in recorded(name))
    assert Counter(record.raw for dialogue in read(tmp_path) for record in dialogue.records) == written
    assert sum(split.messages for split in summary.splits.values()) == written.total()


def test_messages_are_in_the_order_of_time(tmp_path: Path):
    records = subscribers(20)
    write(tmp_path, ("late", records[::2] + records[1::2]))
    for dialogue in read(tmp_path):
        times = [record.timestamp for record in dialogue.records]
        assert times == sorted(times)


def test_a_long_dialogue_continues_in_further_rows(tmp_path: Path):
    records = recorded("n2n4-c02")
    write(tmp_path / "short", ("c02", records), max_messages=10)
    write(tmp_path / "long", ("c02", records))
    rows = rows_of(tmp_path / "short")
    assert max(len(row["data"]) for row in rows) == 10
    assert {row["part"] for row in rows} > {0, 1} and {row["part"] for row in rows_of(tmp_path / "long")} == {0}
    assert list(map(as_plain, read(tmp_path / "short"))) == list(map(as_plain, read(tmp_path / "long")))


def test_messages_of_many_bytes_are_in_several_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gentwin.datasets.signaling.writer.MAX_ROW_BYTES", 600)
    write(tmp_path, ("c02", recorded("n2n4-rejects")))
    sizes = [sum(map(len, row["data"])) for row in rows_of(tmp_path) if len(row["data"]) > 1]
    assert 300 < max(sizes) <= 600


def test_files_of_a_split(tmp_path: Path):
    records = recorded("n2n4-c02")
    write(tmp_path / "many", ("c02", records), shard_bytes=20_000)
    write(tmp_path / "one", ("c02", records))
    files = sorted(path.name for path in (tmp_path / "many/dialogues/data").glob("train-*"))
    assert len(files) > 3 and files == [f"train-{n:05d}-of-{len(files):05d}.parquet" for n in range(len(files))]
    assert list(map(as_plain, read(tmp_path / "many"))) == list(map(as_plain, read(tmp_path / "one")))


def test_the_same_key_gives_the_same_files(tmp_path: Path):
    files = []
    for folder in ("one", "other"):
        write(tmp_path / folder, ("c02", recorded("n2n4-rejects")), pseudonymise=True, key=KEY)
        paths = sorted(path for path in (tmp_path / folder).rglob("*") if path.is_file())
        files.append([(path.name, path.read_bytes()) for path in paths])
    assert files[0] == files[1]
    write(tmp_path / "drawn", ("c02", recorded("n2n4-rejects")), pseudonymise=True)
    assert rows_of(tmp_path / "drawn") != rows_of(tmp_path / "one")


def test_names_of_messages(tmp_path: Path):
    """Names of NAS are outermost first; a protected message is named if it cannot be opened."""
    summary = write(tmp_path, ("nea2", recorded("n2n4-nea2-c08")))
    found = {pair for row in rows_of(tmp_path) for pair in zip(row["name"], row["nas"], strict=True)}
    assert {
        ("InitialUEMessage", "RegistrationRequest"),
        ("UplinkNASTransport", "SecurityProtected"),
        ("HeartbeatRequest", ""),
    } <= found
    write(tmp_path / "c02", ("c02", recorded("n2n4-c02")))
    found = {pair for row in rows_of(tmp_path / "c02") for pair in zip(row["name"], row["nas"], strict=True)}
    assert ("UplinkNASTransport", "ULNASTransport+PDUSessionEstablishmentRequest") in found
    assert ("UplinkNASTransport", "SecurityModeComplete+RegistrationRequest") in found
    assert sum(summary.messages["nas", "SecurityProtected", split] for split in SPLITS) > 500


# ---------------------------------------------------------------- as other tools read it


def test_datasets_reads_typed_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from datasets import List, Value

    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    summary = write(tmp_path, ("c02", recorded("n2n4-c02")), splits=Splits(validation=0.2, test=0.2, seed=1))
    loaded = load(tmp_path / "dialogues")
    assert {name: len(rows) for name, rows in loaded.items()} == {
        name: split.rows for name, split in summary.splits.items() if split.rows
    }
    columns = loaded["train"].features
    assert columns["timestamp"] == List(Value("float64")) and columns["data"] == List(Value("binary"))
    assert columns["context"] == Value("int64") and columns["supi"] == Value("string")
    assert set(columns) == {"capture", "context", "part", "kind", "split", "supi", *LISTS}
    assert all(row["split"] == name for name, rows in loaded.items() for row in rows)
    again = [as_plain(dialogue) for dialogue in to_dialogues(loaded["train"])]
    assert again == [as_plain(dialogue) for dialogue in read_dialogues(tmp_path / "dialogues", "train")]


def test_the_card_says_what_is_in_it(tmp_path: Path):
    with read_records(find_capture("n2n4-nea2-c08")) as reader:
        summary = write(
            tmp_path, ("n2n4-nea2-c08", reader), key=KEY, pseudonymise=True, provenance={"command": "make it"}
        )
    text = (tmp_path / "dialogues/README.md").read_text()
    _, header, body = text.split("---\n", 2)
    files = yaml.safe_load(header)["configs"][0]["data_files"]
    assert {file["split"]: list((tmp_path / "dialogues").glob(file["path"])) for file in files} == {
        split: list((tmp_path / "dialogues/data").glob(f"{split}-*")) for split in SPLITS if summary.splits[split].rows
    }
    assert summary.undecoded == 913 and "913 messages could not be decoded" in body
    train = summary.messages["nas", "RegistrationRequest", "train"]
    rest = [summary.messages["nas", "RegistrationRequest", split] for split in SPLITS[1:]]
    assert f"| nas | RegistrationRequest | {train} | {rest[0]} | {rest[1]} |" in body
    assert "%" not in body and f"Written by gentwin {gentwin.__version__}." in body
    for words in ("capture-to-dataset.md", "are pseudonyms", "command: make it", "| n2n4-nea2-c08 | 3344 |"):
        assert words in body


def test_the_card_warns_where_there_are_no_pseudonyms(tmp_path: Path):
    write(tmp_path, ("synthesised", subscribers(3)))
    card = (tmp_path / "dialogues/README.md").read_text()
    assert "There are no pseudonyms in this data set" in card
    assert card.endswith(f"## Origin\n\nWritten by gentwin {gentwin.__version__}.\n")


# ---------------------------------------------------------------- whole or not at all


def failing(error: Exception) -> Iterator[Record]:
    yield from subscribers(300)
    raise error


def test_nothing_is_left_of_what_failed(tmp_path: Path):
    with pytest.raises(OSError, match="gone"):
        write(tmp_path, ("a", failing(OSError("gone"))))
    assert not list(tmp_path.iterdir())
    write(tmp_path, ("a", subscribers(1)))
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, ("a", failing(KeyboardInterrupt())), overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["dialogues"] and len(read(tmp_path)) == 1


def test_a_data_set_is_replaced_only_if_that_is_wanted(tmp_path: Path):
    write(tmp_path, ("a", subscribers(1)))
    with pytest.raises(FileExistsError, match="dialogues exists"):
        write(tmp_path, ("a", subscribers(2)))
    write(tmp_path, ("a", subscribers(2)), overwrite=True)
    assert len(read(tmp_path)) == 2 and [path.name for path in tmp_path.iterdir()] == ["dialogues"]
    (tmp_path / "dialogues/thesis.tex").touch()
    with pytest.raises(FileExistsError, match="not a data set of dialogues"):
        write(tmp_path, ("a", subscribers(2)), overwrite=True)
    assert (tmp_path / "dialogues/thesis.tex").exists()


def test_what_a_killed_run_left_does_no_harm(tmp_path: Path):
    (tmp_path / "dialogues.partial/data").mkdir(parents=True)
    (tmp_path / "dialogues.partial/dialogues.sqlite").write_bytes(b"half")
    write(tmp_path, ("a", subscribers(1)))
    assert [path.name for path in tmp_path.iterdir()] == ["dialogues"] and len(read(tmp_path)) == 1


def test_records_do_not_stay_in_memory(tmp_path: Path):
    alive = []

    def counted() -> Iterator[Record]:
        for place, record in enumerate(recorded("n2n4-rejects") * 8):
            if place % 1000 == 999:
                gc.collect()  # what other tests have left
                alive.append(sum(type(known) is Record for known in gc.get_objects()))
            yield replace(record, timestamp=float(place))

    write(tmp_path, ("long", counted()))
    assert len(alive) == 4 and alive[-1] - alive[0] < 300


# ---------------------------------------------------------------- what cannot be written


def test_captures_need_names_of_their_own(tmp_path: Path):
    with pytest.raises(DialogueError, match="two captures are named 'a'"):
        write(tmp_path, ("a", subscribers(1)), ("a", subscribers(1)))
    with pytest.raises(DialogueError, match="must name captures that are there, got 'monda'; did you mean `monday`"):
        write(tmp_path, ("monday", subscribers(1)), splits=Splits(test_captures=("monda",)))


def test_nothing_to_write(tmp_path: Path):
    with pytest.raises(DialogueError, match=r"no message of N2 or N4 in a, b \(they are empty\)"):
        write(tmp_path, ("a", []), ("b", []))
    with pytest.raises(DialogueError, match="in no captures"):
        write(tmp_path)


def test_a_record_that_cannot_be_encoded(tmp_path: Path):
    bad = Record(Message(PFCP, "HeartbeatRequest"), 0.0, "10.0.0.1:8805", "10.0.0.2:8805")
    with pytest.raises(DialogueError, match=r"a, message 3 \(HeartbeatRequest\): `sequence_number`"):
        write(tmp_path, ("a", [*subscribers(1), bad]))


@pytest.mark.parametrize("option", ["max_messages", "shard_bytes"])
def test_bad_sizes(tmp_path: Path, option: str):
    with pytest.raises(DialogueError, match=f"`{option}` must be at least 1, got 0"):
        write(tmp_path, ("a", subscribers(1)), **{option: 0})


def test_bad_key_and_provenance(tmp_path: Path):
    with pytest.raises(ValueError, match="`key` must have at least 16 bytes, got 3"):
        write(tmp_path, ("a", subscribers(1)), key=b"key", pseudonymise=True)
    with pytest.raises(TypeError):
        write(tmp_path, ("a", subscribers(1)), provenance={"made": object()})
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- what cannot be read


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The only file of a data set."""
    write(tmp_path, ("a", subscribers(3)), splits=Splits(validation=0.0, test=0.0), max_messages=1)
    return tmp_path / "dialogues/data/train-00000-of-00001.parquet"


def rewrite(file: Path, **columns: list) -> None:
    table = pq.read_table(file)
    for name, values in columns.items():
        place = table.column_names.index(name)
        table = table.set_column(place, table.field(name), pa.array(values, table.field(name).type))
    pq.write_table(table, file)


def check_error(file: Path, message: str) -> None:
    with pytest.raises(DialogueError, match=message):
        list(read_dialogues(file.parents[1], "train"))


def test_no_such_data_set_or_split(file: Path, tmp_path: Path):
    with pytest.raises(DialogueError, match="is not a data set of dialogues"):
        read_dialogues(tmp_path, "train")
    with pytest.raises(DialogueError, match="is not a data set of dialogues"):
        load(tmp_path / "nowhere")
    with pytest.raises(DialogueError, match="`split` must be train, validation or test, got 'dev'"):
        read_dialogues(file.parents[1], "dev")
    assert list(read_dialogues(file.parents[1], "validation")) == []


def test_a_missing_file(file: Path):
    file.rename(file.with_name("train-00000-of-00002.parquet"))
    check_error(file, "`train` has 1 files of 2")


@pytest.mark.parametrize("cut", [0, 10, 1000])
def test_a_damaged_file(file: Path, cut: int):
    data = file.read_bytes()
    file.write_bytes(data[:cut])
    check_error(file, "not a complete Parquet file")


def test_damage_inside_of_a_file(file: Path):
    data = bytearray(file.read_bytes())
    data[60:300] = bytes(240)
    file.write_bytes(data)
    check_error(file, "damaged Parquet file")


def test_another_format(file: Path):
    table = pq.read_table(file)
    pq.write_table(table.replace_schema_metadata({"gentwin.dialogues": "7"}), file)
    check_error(file, "metadata `gentwin.dialogues` must be '1', got '7'")
    pq.write_table(table.replace_schema_metadata({}), file)
    check_error(file, "got none")


def test_other_columns(file: Path):
    table = pq.read_table(file)
    pq.write_table(table.drop_columns("nas"), file)
    check_error(file, "column `nas` must be list.* got none")
    context = table.column_names.index("context")
    pq.write_table(table.set_column(context, "context", pa.array(["a"] * len(table))), file)
    check_error(file, "column `context` must be int64, got string")


def test_parts_out_of_order(file: Path):
    rewrite(file, part=[1, 0] * 3)
    check_error(file, r"a, context 0: `part` must count from 0, got \[1, 0\]")


def test_lists_of_different_lengths(file: Path):
    rewrite(file, stream=[[]] * 6)
    check_error(file, "lists of a row must have one length")


def test_bytes_that_are_no_message(file: Path):
    rewrite(file, data=[[b"\xff\xff"]] * 6)
    check_error(file, "a, context 0: .*write the data set again")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        *(({name: None}, f"`{name}` must not be null") for name in ("capture", "context", "part", "kind", "split")),
        *(({name: None}, f"`{name}` and its entries must not be null") for name in LISTS),
        *(({name: [None]}, f"`{name}` and its entries must not be null") for name in LISTS),
        ({"kind": "zzz"}, "`kind` must be `ue` or `node`, got 'zzz'"),
        ({name: [] for name in LISTS}, "a row must have at least one message"),
        ({"timestamp": [float("nan")]}, "`timestamp` must be finite, got nan"),
        ({"timestamp": [float("-inf")]}, "`timestamp` must be finite, got -inf"),
        ({"protocol": ["xyz"]}, "`protocol` must be `ngap` or `pfcp`, got 'xyz'"),
    ],
    ids=str,
)
def test_values_that_no_data_set_has(file: Path, columns: dict, message: str):
    rewrite(file, **{name: [value] * 6 for name, value in columns.items()})
    check_error(file, message)


def test_a_dialogue_may_have_no_supi(file: Path):
    rewrite(file, supi=[None] * 6)
    assert [dialogue.context.supi for dialogue in read_dialogues(file.parents[1], "train")] == [None] * 3
