"""What was written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gentwin.datasets.signaling.splits import Splits
from gentwin.signaling.records import UNDECODED

AMBIGUOUS = "ambiguous"
"""Reason why a dialogue is left out: it has no SUPI, and may be of any of several UEs that are in different splits."""


@dataclass(frozen=True, slots=True)
class CaptureSummary:
    """What became of a capture.

    Args:
        name: Of the capture.
        messages: Number of messages in the data set.
        dialogues: Number of dialogues in the data set.
        counts: Number of times that something was not delivered or not opened, by reason, if it was read by a
            [`RecordReader`][gentwin.signaling.records.RecordReader].
        ambiguous: Number of dialogues that were left out, as it is not known whose they are; see
            [`Splits`][gentwin.datasets.signaling.Splits].
    """

    name: str
    messages: int
    dialogues: int
    counts: Mapping[str, int]
    ambiguous: int = 0

    @property
    def undecoded(self) -> int:
        """Number of messages that could not be decoded, or not as a whole."""
        return sum(self.counts.get(reason, 0) for reason in UNDECODED)


@dataclass(slots=True)
class SplitSummary:
    """What is in a split.

    Args:
        rows: Number of rows.
        dialogues: Number of dialogues.
        ues: Number of UEs.
        messages: Number of messages.
    """

    rows: int = 0
    dialogues: int = 0
    ues: int = 0
    messages: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """What is in a data set of dialogues.

    Args:
        directory: Where it is.
        captures: What it was made of.
        splits: What is in each split.
        messages: Number of messages by protocol, name and split; of `nas`, those inside of others.
        division: How it was divided.
        pseudonyms: Whether identities have pseudonyms.
    """

    directory: Path
    captures: tuple[CaptureSummary, ...]
    splits: Mapping[str, SplitSummary]
    messages: Mapping[tuple[str, str, str], int]
    division: Splits
    pseudonyms: bool

    @property
    def counts(self) -> Counter[str]:
        """Number of times that something was not delivered, not opened or left out, by reason, in all captures.

        That of `ambiguous` is the number of dialogues that were left out.
        """
        found = sum((Counter(capture.counts) for capture in self.captures), Counter())
        return found + Counter({AMBIGUOUS: self.ambiguous})

    @property
    def ambiguous(self) -> int:
        """Number of dialogues that were left out, as it is not known whose they are, in all captures."""
        return sum(capture.ambiguous for capture in self.captures)

    @property
    def undecoded(self) -> int:
        """Number of messages that could not be decoded, or not as a whole, in all captures."""
        return sum(capture.undecoded for capture in self.captures)
