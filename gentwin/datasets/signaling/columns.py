"""Columns of a data set of dialogues."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

FORMAT_KEY, FORMAT = b"gentwin.dialogues", b"1"

VALUES = {
    "capture": "string",
    "context": "int64",
    "part": "int32",
    "kind": "string",
    "split": "string",
    "supi": "string",
}
"""Columns with one value for the dialogue, and its type."""

LISTS = {
    "timestamp": "float64",
    "sender": "string",
    "receiver": "string",
    "stream": "int32",
    "protocol": "string",
    "name": "string",
    "nas": "string",
    "data": "binary",
}
"""Columns with one entry for each message, and its type."""


@cache
def features() -> datasets.Features:
    """Returns the columns as `datasets` declares them."""
    from datasets import Features, List, Value

    values = {name: Value(kind) for name, kind in VALUES.items()}
    return Features(values | {name: List(Value(kind)) for name, kind in LISTS.items()})


def arrow_schema() -> pa.Schema:
    """Returns the columns as Arrow has them, with the features and the version of the format in the metadata."""
    schema = features().arrow_schema
    return schema.with_metadata({**schema.metadata, FORMAT_KEY: FORMAT})
