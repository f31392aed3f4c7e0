"""The data card: what is in a data set, where it is from, and what must be known of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

import gentwin
from gentwin.datasets.signaling.splits import SPLITS
from gentwin.datasets.signaling.summary import AMBIGUOUS, Summary
from gentwin.signaling.capture import REASONS
from gentwin.signaling.records import UNDECODED

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))

_AMBIGUOUS = "dialogue without SUPI that may be of UEs in different splits: left out"

_CONTENT = """\
# Dialogues of a 5G core

What was said on N2 (NGAP with NAS inside) and N4 (PFCP) of a 5G core. One row is the dialogue of one UE across its
connections and sessions, or what two nodes say to each other about no UE.

```python
from datasets import load_dataset
from gentwin.datasets.signaling import read_dialogues

rows = load_dataset("DIRECTORY")
dialogues = read_dialogues("DIRECTORY", "train")  # with decoded messages
```

| column | meaning |
|---|---|
| `capture`, `context`, `part` | which dialogue; one that is too long for a row continues in the next part |
| `kind` | `ue` or `node` |
| `split` | `train`, `validation` or `test` |
| `supi` | SUPI if it is known |
| `timestamp` | list: seconds since 1970 |
| `sender`, `receiver`, `stream` | lists: addresses, SCTP stream |
| `protocol`, `name`, `nas` | lists: protocol and name of the message, names of the NAS messages inside |
| `data` | list: bytes of the message |
"""

_PSEUDONYMS = """\
Identities (SUPI, SUCI, 5G-GUTI, PEI, GPSI, addresses, names of nodes) are pseudonyms, made at reading with a key that
is not in the data set. Keys and passwords are zeros; RAND, AUTN, RES\\*, MACs and all opaque or ciphered bytes are
replaced by other ones. PLMN, slices, DNNs, cells, TEIDs, SEIDs, NGAP ids and times are as they were: where somebody was
and when is still in the data. Names of captures and of files are those that were given.
"""

_NO_PSEUDONYMS = """\
**There are no pseudonyms in this data set**: identities, addresses and keys are as they were given. Publish it only if
they are nobody's, as in synthesised traffic.
"""


def render_card(summary: Summary, provenance: Mapping[str, Any]) -> str:
    """Returns the text of a data card.

    Args:
        summary: What was written.
        provenance: JSON-able facts about the origin.
    """
    parts = [
        _header(summary),
        _CONTENT.replace("DIRECTORY", summary.directory.name),
        _part("Splits", _splits(summary)),
        _part("Captures", _captures(summary)),
        _part("Not decoded", _undecoded(summary)),
        _part("Messages", _messages(summary)),
        _part("Privacy", _PSEUDONYMS if summary.pseudonyms else _NO_PSEUDONYMS),
    ]
    return "\n".join([*parts, _part("Origin", _origin(provenance))])


def _header(summary: Summary) -> str:
    rows = sum(split.rows for split in summary.splits.values())
    files = [{"split": name, "path": f"data/{name}-*"} for name in SPLITS if summary.splits[name].rows]
    facts = {
        "pretty_name": "Dialogues of a 5G core",
        "tags": ["5g", "telecommunications", "signaling", "ngap", "nas", "pfcp"],
        "size_categories": [next((name for size, name in _SIZES if rows < size), "n>1M")],
        "configs": [{"config_name": "default", "data_files": files}],
    }
    return f"---\n{yaml.safe_dump(facts, sort_keys=False)}---\n"


def _origin(provenance: Mapping[str, Any]) -> str:
    written = f"Written by gentwin {gentwin.__version__}.\n"
    if not provenance:
        return written
    text = yaml.safe_dump(dict(provenance), sort_keys=False, allow_unicode=True, width=10_000)
    return f"{written}\n```yaml\n{text}```\n"


def _part(title: str, text: str) -> str:
    return f"## {title}\n\n{text}"


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    head = list(head)
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *cells))


def _splits(summary: Summary) -> str:
    splits = summary.division
    counted = [(name, split.rows, split.dialogues, split.ues, split.messages) for name, split in summary.splits.items()]
    whole = summary.pseudonyms and any(splits.as_a_whole(capture.name) for capture in summary.captures)
    own = " A capture that is in one split as a whole has pseudonyms of its own." if whole else ""
    what = "by UE: all dialogues of one are in one split" if splits.by == "ue" else "by capture"
    held = f", but for {', '.join(splits.test_captures)}, which are in `test`" if splits.test_captures else ""
    return (
        f"Divided {what}{held}; seed {splits.seed}, expected fractions {splits.validation:g} for `validation` and "
        f"{splits.test_fraction:g} for `test`. What is about no UE goes with its capture.{own}\n\n"
        "Messages are not divided at random, as those of a core are near copies of each other, and what is held out "
        "would have its twin in `train`; see *Splits* in `docs/how-to/capture-to-dataset.md` of gentwin's "
        "documentation.\n\n" + _table(("split", "rows", "dialogues", "UEs", "messages"), counted)
    )


def _captures(summary: Summary) -> str:
    rows = [
        (capture.name, capture.messages, capture.dialogues, capture.undecoded, capture.ambiguous)
        for capture in summary.captures
    ]
    return _table(("capture", "messages", "dialogues", "not decoded", "ambiguous dialogues"), rows)


def _undecoded(summary: Summary) -> str:
    meanings = {**UNDECODED, **REASONS, AMBIGUOUS: _AMBIGUOUS}
    lines = f"{summary.undecoded} messages could not be decoded, or not as a whole.\n"
    if not summary.counts:
        return lines
    rows = [(f"`{reason}`", meanings[reason], count) for reason, count in summary.counts.most_common()]
    lines += "\nWhat else was not delivered, or was left out, is counted, too:\n\n"
    return lines + _table(("reason", "meaning", "times"), rows)


def _messages(summary: Summary) -> str:
    totals: dict[tuple[str, str], int] = {}
    for (protocol, name, _), count in summary.messages.items():
        totals[protocol, name] = totals.get((protocol, name), 0) + count
    rows = (
        (protocol, name, *(summary.messages.get((protocol, name, split), 0) for split in SPLITS))
        for protocol, name in sorted(totals, key=lambda kind: (kind[0], -totals[kind], kind[1]))
    )
    text = "Messages of `nas` are inside of those of `ngap`; one that is ciphered is a `SecurityProtected`.\n\n"
    return text + _table(("protocol", "message", *SPLITS), rows)
