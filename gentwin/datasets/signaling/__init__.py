"""Dialogues of a core network in Parquet: one row is what was said of one UE, or between two nodes.

| column | type | meaning |
|---|---|---|
| `capture` | string | name of the capture |
| `context` | int64 | number of the context in its capture, in the order in which contexts began |
| `part` | int32 | 0, or what number of piece it is, if the dialogue is too long for one row |
| `kind` | string | `ue` or `node` |
| `split` | string | `train`, `validation` or `test` |
| `supi` | string | SUPI, or a pseudonym of it; null if it is not known, and of a node |
| `timestamp` | list of float64 | when each message was sent, in seconds since 1970 |
| `sender`, `receiver` | list of string | addresses `host:port` |
| `stream` | list of int32 | SCTP stream of NGAP; 0 elsewhere |
| `protocol` | list of string | `ngap` or `pfcp` |
| `name` | list of string | of the message, as its specification calls it |
| `nas` | list of string | names of the NAS messages inside, outermost first, joined by `+`; empty if there are none |
| `data` | list of binary | the bytes of the message, with pseudonyms |

All lists of a row have the same length, one entry for each message, in the order of time. Tokens are not stored: they
are made of the bytes, so that a data set outlives vocabularies.

```python
from gentwin.datasets.signaling import read_dialogues, write_dataset
from gentwin.signaling.records import read_records

summary = write_dataset("dialogues", [("monday", read_records("monday.pcap"))])
for dialogue in read_dialogues("dialogues", "train"):
    print(dialogue.capture, dialogue.context, len(dialogue.records))
```

Dialogues are divided by UE or by capture, never by message; see
[`Splits`][gentwin.datasets.signaling.Splits].
"""

from gentwin.datasets.signaling.errors import DialogueError
from gentwin.datasets.signaling.reader import StoredDialogue, load, read_dialogues, to_dialogues
from gentwin.datasets.signaling.splits import SPLITS, Splits
from gentwin.datasets.signaling.summary import CaptureSummary, SplitSummary, Summary
from gentwin.datasets.signaling.writer import write_dataset

__all__ = [
    "SPLITS",
    "CaptureSummary",
    "DialogueError",
    "SplitSummary",
    "Splits",
    "StoredDialogue",
    "Summary",
    "load",
    "read_dialogues",
    "to_dialogues",
    "write_dataset",
]
