"""Transitions in Parquet: one row is one slice in one decision window, with the schema in the file's metadata."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gentwin.datasets.transitions import ROLES, Transitions, role_fields
from gentwin.datasets.validation import Rows, TransitionError, check_continuity, check_keys, check_values
from gentwin.schema import TransitionSchema, did_you_mean

SCHEMA_KEY, SEED_KEY, PROVENANCE_KEY = b"gentwin.schema", b"gentwin.seed", b"gentwin.provenance"
# Far above any real schema or provenance; a larger footer is an attack on memory, not a record.
MAX_METADATA_BYTES = 4_000_000
MAX_FOOTER_ITEMS = 1_000_000


def columns_of(schema: TransitionSchema) -> list[tuple[str, str, int]]:
    """`(column, role, position in the role's array)` of every value column of a file."""
    return [
        (("next_" if role == "next_state" else "") + field.name, role, index)
        for role in ROLES
        for index, field in enumerate(role_fields(schema, role))
    ]


class TransitionWriter:
    """Writes transitions to Parquet as they are produced.

    Rows go to `<path>.partial`, which becomes `path` in one atomic step at `close`, so a file at `path` is complete.
    Steps may arrive in any order, as from many environment copies; `close` sorts them if they did.

    Args:
        path: File to write.
        schema: Slices and fields of the record.
        seed: Seed of the recording, stored in the file.
        provenance: JSON-able facts about the origin, stored in the file.
        chunk_steps: Steps gathered in memory before they are checked and written.
        overwrite: Whether an existing file may be replaced.

    Raises:
        FileExistsError: If `path` exists and `overwrite` is false.
        TypeError: If `provenance` is not JSON-able.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        schema: TransitionSchema,
        seed: int | None = None,
        provenance: Mapping[str, Any] | None = None,
        chunk_steps: int = 16_384,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        if self.path.exists() and not overwrite:
            raise FileExistsError(f"{self.path} exists; choose another path or pass `overwrite=True`.")
        if chunk_steps < 1:
            raise ValueError(f"`chunk_steps` must be at least 1, got {chunk_steps}.")
        self.schema, self.chunk_steps = schema, chunk_steps
        self.num_steps = 0
        self._arrow_schema = _arrow_schema(schema, seed, dict(provenance or {}))
        self._partial = self.path.with_name(self.path.name + ".partial")
        self._pending: list[dict[str, np.ndarray]] = []
        self._num_pending = 0
        self._last_key: tuple[int, int] | None = None
        self._sorted = True
        self._sink = open(self._partial, "wb")  # noqa: SIM115 - closed in `close` or `abort`
        self._writer = _open_writer(self._sink, self._arrow_schema)

    def append(
        self,
        episode: np.ndarray,
        step: np.ndarray,
        state: np.ndarray,
        action: np.ndarray,
        next_state: np.ndarray,
        context: np.ndarray | None = None,
        outcome: np.ndarray | None = None,
    ) -> None:
        """Adds a batch of steps.

        Args:
            episode: `(num_steps,)` integers.
            step: `(num_steps,)` integers.
            state: `(num_steps, num_slices, num_state)`, units of the schema.
            action: `(num_steps, num_slices, num_action)`.
            next_state: `(num_steps, num_slices, num_state)`.
            context: `(num_steps, num_slices, num_context)`; may be left out if the schema has no context fields.
            outcome: `(num_steps, num_slices, num_outcome)`; may be left out if the schema has no outcome fields.

        Raises:
            TransitionError: If a shape is wrong, or, when a chunk is written, if a value breaks the schema; the writer
                then gives up, see `abort`.
        """
        if self._sink.closed:
            raise TransitionError(f"{self.path}: the writer is closed; open another one.")
        batch = {"episode": np.array(episode, np.int64), "step": np.array(step, np.int64)}
        given = {"state": state, "action": action, "context": context, "outcome": outcome, "next_state": next_state}
        for role, values in given.items():
            shape = (len(batch["episode"]), len(self.schema.slices), len(role_fields(self.schema, role)))
            if values is None:
                values = np.zeros((*shape[:2], 0))
            with np.errstate(over="ignore"):  # a value beyond float32 becomes infinite and is refused as such
                batch[role] = np.array(values, np.float32)
            if batch[role].shape != shape:
                raise TransitionError(f"{self.path}: `{role}` must have shape {shape}, got {batch[role].shape}.")
        if batch["episode"].ndim != 1 or batch["step"].shape != batch["episode"].shape:
            shapes = f"{batch['episode'].shape} and {batch['step'].shape}"
            raise TransitionError(f"{self.path}: `episode` and `step` must have one shape (num_steps,), got {shapes}.")
        self._pending.append(batch)
        self._num_pending += len(batch["episode"])
        if self._num_pending >= self.chunk_steps:
            try:
                self._flush()
            except BaseException:
                self.abort()
                raise

    @property
    def is_empty(self) -> bool:
        """Whether no step was appended yet."""
        return not self.num_steps and not self._num_pending

    def close(self) -> None:
        """Completes the file and moves it to `path`.

        Raises:
            TransitionError: If nothing was appended or a value breaks the schema; no file is left behind.
        """
        if self._sink.closed:
            return
        try:
            self._flush()
            if not self.num_steps:
                raise TransitionError(f"{self.path}: no steps were appended; append at least one.")
            self._writer.close()
            _sync(self._sink)
            if not self._sorted:
                self._sort()
        except BaseException:
            self.abort()
            raise
        os.replace(self._partial, self.path)

    def abort(self) -> None:
        """Gives up and removes the partial file; `path` is untouched."""
        self._sink.close()
        self._writer.is_open = False  # or it would try to write its footer when it is deleted
        self._partial.unlink(missing_ok=True)

    def __del__(self) -> None:
        # Left unclosed, as after an exception: the footer must not be written, for the record is not complete.
        if "_writer" in self.__dict__ and not self._sink.closed:
            self.abort()

    def __enter__(self) -> TransitionWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def _flush(self) -> None:
        if not self._num_pending:
            return
        arrays = {name: np.concatenate([batch[name] for batch in self._pending]) for name in self._pending[0]}
        self._pending, self._num_pending = [], 0
        order = np.lexsort((arrays["step"], arrays["episode"]))
        chunk = Transitions(self.schema, **{name: array[order] for name, array in arrays.items()})
        chunk.validate(str(self.path))
        first, last = ((int(chunk.episode[at]), int(chunk.step[at])) for at in (0, -1))
        self._sorted = self._sorted and (self._last_key is None or self._last_key < first)
        self._last_key = last
        self.num_steps += len(chunk)
        self._writer.write_table(_to_table(chunk, self._arrow_schema))

    def _sort(self) -> None:
        table = pq.read_table(self._partial)
        table = table.append_column("position", pa.array(np.tile(np.arange(len(self.schema.slices)), self.num_steps)))
        table = table.sort_by([("episode", "ascending"), ("step", "ascending"), ("position", "ascending")])
        table = table.drop_columns("position").cast(self._arrow_schema)
        _parse(table, self.schema, str(self.path))
        with open(self._partial, "wb") as self._sink:
            with _open_writer(self._sink, self._arrow_schema) as writer:
                writer.write_table(table, row_group_size=self.chunk_steps * len(self.schema.slices))
            _sync(self._sink)


def write_transitions(path: str | os.PathLike, transitions: Transitions, overwrite: bool = False) -> None:
    """Writes a record to Parquet, checked as `read_transitions` checks it.

    Args:
        path: File to write; it appears complete or not at all.
        transitions: The record; its seed and provenance are stored too.
        overwrite: Whether an existing file may be replaced.

    Raises:
        TransitionError: If the record breaks its schema.
        FileExistsError: If `path` exists and `overwrite` is false.
    """
    if not isinstance(transitions, Transitions):
        raise TypeError(
            f"`transitions` must be Transitions, got {type(transitions).__name__}; the order is "
            "`write_transitions(path, transitions)`."
        )
    transitions.validate(str(path))
    record = transitions
    with TransitionWriter(path, record.schema, record.seed, record.provenance, overwrite=overwrite) as writer:
        for start in range(0, len(record), writer.chunk_steps):
            part = slice(start, start + writer.chunk_steps)
            writer.append(**{name: getattr(record, name)[part] for name in ("episode", "step", *ROLES)})


def read_transitions(path: str | os.PathLike, schema: TransitionSchema | None = None) -> Transitions:
    """Reads and validates a record.

    Columns that the schema does not name are ignored. The first row is row 0.

    Args:
        path: A Parquet file in the long format: `episode`, `step`, `slice`, the fields, `next_<state field>`.
        schema: Needed for a file that carries none; must equal the one in the file otherwise.

    Returns:
        The record.

    Raises:
        FileNotFoundError: If there is no such file.
        TransitionError: If the file is not a complete Parquet, or a column is missing, of the wrong type, or holds a
            value that breaks the schema; if rows are unsorted, repeated or missing; if there are no rows.
    """
    source = os.fspath(path)
    with open_parquet(path) as file:
        seed, provenance, stored = _read_metadata(file.schema_arrow.metadata or {}, source)
        schema = _agree(stored, schema, source)
        kinds = {"episode": "integer", "step": "integer", "slice": "string"}
        table = read_columns(file, kinds | {column: "number" for column, _, _ in columns_of(schema)}, source)
    return Transitions(schema, **_parse(table, schema, source), seed=seed, provenance=provenance)


def is_transition_file(path: str | os.PathLike) -> bool:
    """Returns whether `path` is a Parquet file that carries the schema of transitions."""
    if not os.path.isfile(path):
        return False
    try:
        with open_parquet(path) as file:
            return SCHEMA_KEY in (file.schema_arrow.metadata or {})
    except TransitionError:
        return False


def read_schema(file: pq.ParquetFile, source: str) -> TransitionSchema:
    """Returns the schema that an open file carries; raises `TransitionError` if it carries none."""
    return _agree(_read_metadata(file.schema_arrow.metadata or {}, source)[2], None, source)


def open_parquet(path: str | os.PathLike) -> pq.ParquetFile:
    """Opens a Parquet file with bounded metadata and verified checksums.

    Raises:
        FileNotFoundError: If there is no such file.
        TransitionError: If it is not a complete Parquet file.
    """
    source = os.fspath(path)
    if not os.path.exists(source):
        raise FileNotFoundError(f"{source} does not exist; record or convert a data set first.")
    with _refuse_damage(source, "not a complete Parquet file"):
        return pq.ParquetFile(
            source,
            thrift_string_size_limit=MAX_METADATA_BYTES,
            thrift_container_size_limit=MAX_FOOTER_ITEMS,
            page_checksum_verification=True,
        )


@contextlib.contextmanager
def _refuse_damage(source: str, what: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise TransitionError(f"{source}: {what} ({error}); write or fetch it again.") from error


def read_columns(
    file: pq.ParquetFile, kinds: Mapping[str, str], source: str, may_be_empty: Collection[str] = ()
) -> pa.Table:
    """Reads some columns of a Parquet file.

    Args:
        file: An open file.
        kinds: What each column must hold: `integer`, `number` or `string`.
        source: Name of the file in error messages.
        may_be_empty: Columns in which cells may be empty.

    Raises:
        TransitionError: If a column is missing, there twice, or of the wrong type; at the first empty cell; if there
            are no rows or the file is damaged.
    """
    with _refuse_damage(source, "damaged Parquet file"):
        _check_columns(file.schema_arrow, kinds, source)
        if not file.metadata.num_rows:
            raise TransitionError(f"{source}: no rows; record or convert at least one step.")
        table = file.read(columns=list(kinds))
    for name in kinds:
        nulls = table.column(name).null_count
        if nulls and name not in may_be_empty:
            row = int(np.argmax(table.column(name).is_null().to_numpy()))
            problem = f"empty cell ({nulls} in this column)"
            Rows(source, lambda at: f"row {at}").fail(name, row, problem, "fill it in or drop the step")
    return table


def _arrow_schema(schema: TransitionSchema, seed: int | None, provenance: dict[str, Any]) -> pa.Schema:
    fields = [pa.field("episode", pa.int64()), pa.field("step", pa.int64())]
    fields.append(pa.field("slice", pa.dictionary(pa.int32(), pa.string())))
    units = {field.name: field.unit for field in schema.fields}
    for column, role, index in columns_of(schema):
        unit = units[role_fields(schema, role)[index].name]
        fields.append(pa.field(column, pa.float32(), metadata={"unit": unit}))
    stored = {SCHEMA_KEY: schema.to_dict(), SEED_KEY: seed, PROVENANCE_KEY: provenance}
    return pa.schema(fields, metadata={key: json.dumps(value, allow_nan=False) for key, value in stored.items()})


def _open_writer(sink: Any, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(sink, schema, compression="zstd", write_page_checksum=True)


def _sync(sink: Any) -> None:
    sink.flush()
    os.fsync(sink.fileno())
    sink.close()


def _to_table(transitions: Transitions, arrow_schema: pa.Schema) -> pa.Table:
    slices = transitions.schema.slices
    position = np.tile(np.arange(len(slices), dtype=np.int32), len(transitions))
    arrays = [
        pa.array(transitions.episode.repeat(len(slices))),
        pa.array(transitions.step.repeat(len(slices))),
        pa.DictionaryArray.from_arrays(position, list(slices)),
    ]
    for _, role, index in columns_of(transitions.schema):
        arrays.append(pa.array(getattr(transitions, role)[:, :, index].reshape(-1)))
    return pa.Table.from_arrays(arrays, schema=arrow_schema)


def _read_metadata(metadata: dict[bytes, bytes], source: str) -> tuple[int | None, dict, TransitionSchema | None]:
    values: dict[bytes, Any] = {SCHEMA_KEY: None, SEED_KEY: None, PROVENANCE_KEY: {}}
    remedy = "write the file with `TransitionWriter`, or remove the key and pass `schema=`"
    for key in values:
        if key not in metadata:
            continue
        name = key.decode()
        if len(metadata[key]) > MAX_METADATA_BYTES:
            size = f"{len(metadata[key])} bytes, more than {MAX_METADATA_BYTES}"
            raise TransitionError(f"{source}: metadata `{name}` has {size}; {remedy}.")
        try:
            values[key] = json.loads(metadata[key])
        except (ValueError, RecursionError) as error:
            raise TransitionError(f"{source}: metadata `{name}` is not JSON ({error}); {remedy}.") from error
    seed, provenance, record = values[SEED_KEY], values[PROVENANCE_KEY], values[SCHEMA_KEY]
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        raise TransitionError(
            f"{source}: metadata `{SEED_KEY.decode()}` must be an integer, got {seed!r:.80}; {remedy}."
        )
    if not isinstance(provenance, dict):
        got = type(provenance).__name__
        raise TransitionError(f"{source}: metadata `{PROVENANCE_KEY.decode()}` must be an object, got {got}; {remedy}.")
    if record is None:
        return seed, provenance, None
    try:
        return seed, provenance, TransitionSchema.from_dict(record)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise TransitionError(
            f"{source}: metadata `{SCHEMA_KEY.decode()}` is no schema ({error}); {remedy}."
        ) from error


def _agree(stored: TransitionSchema | None, given: TransitionSchema | None, source: str) -> TransitionSchema:
    if stored is None and given is None:
        raise TransitionError(
            f"{source}: the file carries no transition schema; pass `schema=` or convert the file first "
            "(`gentwin.datasets.converters`; in the recipe `--data_layout`)."
        )
    if stored is not None and given is not None and stored != given:
        raise TransitionError(f"{source}: the file carries another schema than `schema=`; leave `schema` out.")
    return stored or given


def _check_columns(present: pa.Schema, kinds: Mapping[str, str], source: str) -> None:
    for name, wanted in kinds.items():
        count = present.names.count(name)
        if count != 1:
            what = "missing" if not count else f"there {count} times"
            others = [other for other in present.names if other not in kinds]  # a column has one meaning
            end = did_you_mean(name, others) if not count else "."
            raise TransitionError(f"{source}: column `{name}` is {what}{end} The file must hold one such column.")
        kind = present.field(name).type
        value = kind.value_type if pa.types.is_dictionary(kind) else kind
        fits = {
            "string": pa.types.is_string(value) or pa.types.is_large_string(value),
            "integer": pa.types.is_integer(kind),
            "number": pa.types.is_integer(kind) or pa.types.is_floating(kind),
        }
        if not fits[wanted]:
            raise TransitionError(f"{source}: column `{name}` must be {wanted}, got {kind}; convert the column.")


def _parse(table: pa.Table, schema: TransitionSchema, source: str) -> dict[str, np.ndarray]:
    num_slices, num_rows = len(schema.slices), table.num_rows
    unnamed = Rows(source, lambda row: f"row {row}")
    episode, step = (table.column(name).to_numpy().astype(np.int64) for name in ("episode", "step"))
    slice_index = _slice_index(table.column("slice"), schema.slices, unnamed)

    def describe(row: int) -> str:
        return f"row {row} (episode {episode[row]}, step {step[row]}, slice {schema.slices[slice_index[row]]!r})"

    rows = Rows(source, describe)
    check_keys(episode, step, slice_index, schema.slices, rows)
    num_steps = num_rows // num_slices
    arrays = {"episode": episode[::num_slices].copy(), "step": step[::num_slices].copy()}
    for role in ROLES:
        arrays[role] = np.empty((num_steps, num_slices, len(role_fields(schema, role))), np.float32)
    for column, role, index in columns_of(schema):
        with np.errstate(over="ignore"):
            values = table.column(column).to_numpy().astype(np.float32)
        check_values(values, role_fields(schema, role)[index], column, rows)
        arrays[role][:, :, index] = values.reshape(num_steps, num_slices)
    next_columns = [f"next_{field.name}" for field in schema.state]
    check_continuity(*(arrays[name] for name in ("episode", "step", "state", "next_state")), next_columns, rows)
    return arrays


def slice_positions(column: pa.ChunkedArray, slices: tuple[str, ...], source: str) -> tuple[np.ndarray, list[str]]:
    """Returns the position of every row's slice, -1 if it is none of `slices`, and the names of those."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    encoded = column.unify_dictionaries().combine_chunks()
    encoded = encoded.chunk(0) if isinstance(encoded, pa.ChunkedArray) else encoded
    with _refuse_damage(source, "damaged Parquet file"):
        found = encoded.dictionary.to_pylist()
    lookup = np.array([slices.index(name) if name in slices else -1 for name in found], dtype=np.int64)
    positions = lookup[encoded.indices.to_numpy()]
    unknown = np.unique(encoded.indices.to_numpy()[positions < 0])
    return positions, [str(found[index]) for index in unknown]


def _slice_index(column: pa.ChunkedArray, slices: tuple[str, ...], rows: Rows) -> np.ndarray:
    slice_index, _ = slice_positions(column, slices, rows.source)
    if (slice_index < 0).any():
        row = int(np.argmax(slice_index < 0))
        name = column[row].as_py()
        remedy = f"rename it or give a schema with it{did_you_mean(str(name), list(slices), otherwise='')}"
        rows.fail("slice", row, f"unknown slice {name!r}, the schema has {', '.join(slices)}", remedy)
    return slice_index
