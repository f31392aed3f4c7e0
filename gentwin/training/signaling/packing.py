"""Dialogues packed into rows of tokens: no padding to speak of, and each dialogue sees only itself.

A dialogue that is longer than a row is cut between turns, at other places in every epoch. What comes after a cut begins
with the turns before it, an eighth of a row, from which nothing is learnt twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from gentwin.models.signaling.modeling_signaling import IGNORED
from gentwin.training.signaling.dialogues import DialogueSet, Marks

OVERLAP = 8  # what is repeated after a cut is a row divided by this
OPEN_ROWS = 64


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a dialogue in a row.

    Args:
        dialogue: Its place in the set.
        begin: First token, counted without hints that are left out.
        learnt: First token that is learnt; those before it are context.
        end: After the last token.
        dropped: Kinds of hints that are left out, as bits.
    """

    dialogue: int
    begin: int
    learnt: int
    end: int
    dropped: int

    def __len__(self) -> int:
        """Returns the number of tokens."""
        return self.end - self.begin


class PackedDialogues(Dataset):
    """Rows of tokens for the training of message twins.

    What is in which row follows from seed and epoch alone. The number of rows is that of the first epoch.

    Args:
        dialogues: To learn from.
        marks: Of their vocabulary.
        length: Tokens of a row.
        pad: Token that fills a row up.
        repeats: How often each dialogue is in an epoch, `(len(dialogues),)`; once if not given.
        hint_dropout: Share of dialogues in which hints are left out: all of them in half of these, each kind with
            probability one half in the others.
        seed: Of order, cuts and left out hints; None to keep the order and cut at the latest.
    """

    def __init__(
        self,
        dialogues: DialogueSet,
        marks: Marks,
        length: int,
        pad: int,
        repeats: np.ndarray | None = None,
        hint_dropout: float = 0.0,
        seed: int | None = None,
    ) -> None:
        self.dialogues, self.marks, self.length, self.pad = dialogues, marks, length, pad
        self.repeats = np.ones(len(dialogues), np.int64) if repeats is None else repeats
        self.hint_dropout, self.seed = hint_dropout, seed
        self._rows = self._plan(0)
        self._epoch, self._count = 0, len(self._rows)

    def set_epoch(self, epoch: int) -> None:
        """Packs the dialogues anew, as they are in that epoch."""
        if epoch != self._epoch and self.seed is not None:
            self._rows, self._epoch = self._plan(epoch), epoch

    def __len__(self) -> int:
        """Returns the number of rows."""
        return self._count

    def pieces(self, index: int) -> list[Piece]:
        """Returns what is in a row, in order."""
        return self._rows[index % len(self._rows)]

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """Returns a row: `input_ids`, `position_ids`, `labels` and `said`, each `(length,)`."""
        if not 0 <= index < self._count:
            raise IndexError(index)
        tokens = np.full(self.length, self.pad, np.int64)
        labels = np.full(self.length, IGNORED, np.int64)
        positions, said = np.zeros(self.length, np.int64), np.zeros(self.length, bool)
        place = 0
        for piece in self.pieces(index):
            row = slice(place, place + len(piece))
            own, own_said = self._kept(piece.dialogue, piece.dropped)
            tokens[row], said[row] = own[piece.begin : piece.end], own_said[piece.begin : piece.end]
            learnt = slice(place + piece.learnt - piece.begin, place + len(piece))
            labels[learnt] = tokens[learnt]
            labels[place] = IGNORED  # nothing is known before it
            positions[row] = np.arange(len(piece))
            place += len(piece)
        positions[place:] = np.arange(self.length - place)
        arrays = {"input_ids": tokens, "position_ids": positions, "labels": labels, "said": said}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def _kept(self, dialogue: int, dropped: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns tokens and who says them, without kinds of hints that are left out."""
        tokens, said = self.dialogues[dialogue]
        if not dropped:
            return tokens, said
        kinds = self.marks.hints(tokens).astype(np.int64)
        kept = (kinds < 0) | ((dropped >> np.maximum(kinds, 0)) & 1 == 0)
        return tokens[kept], said[kept]

    def _plan(self, epoch: int) -> list[list[Piece]]:
        order = np.arange(len(self.dialogues)).repeat(self.repeats)
        rng = None if self.seed is None else np.random.default_rng((self.seed, epoch))
        if rng is not None:
            rng.shuffle(order)
        pieces = [piece for dialogue in order for piece in self._cut(int(dialogue), rng)]
        if rng is not None:
            pieces = [pieces[place] for place in rng.permutation(len(pieces))]
        rows = _fill(pieces, self.length)
        return rows if rng is None else [rows[place] for place in rng.permutation(len(rows))]

    def _dropped(self, rng: np.random.Generator | None) -> int:
        if rng is None or rng.random() >= self.hint_dropout:
            return 0
        every = (1 << len(self.marks.kinds)) - 1
        return every if rng.random() < 0.5 else int(rng.integers(0, every, endpoint=True))

    def _cut(self, dialogue: int, rng: np.random.Generator | None) -> Iterator[Piece]:
        """Yields the parts of a dialogue, none longer than a row."""
        dropped = self._dropped(rng)
        tokens, _ = self._kept(dialogue, dropped)
        ends = self.marks.turn_ends(tokens)
        begin = learnt = 0
        room = self.length if rng is None else int(rng.integers(self.length // 2, self.length, endpoint=True))
        while learnt < len(tokens):
            if len(tokens) - begin <= self.length:
                end = len(tokens)
            else:
                fitting = ends[np.searchsorted(ends, learnt, "right") : np.searchsorted(ends, begin + room, "right")]
                # A turn that is longer than a row is cut anywhere.
                end = int(fitting[-1]) if len(fitting) else begin + self.length
            yield Piece(dialogue, begin, learnt, end, dropped)
            repeated = ends[np.searchsorted(ends, end - self.length // OVERLAP)]
            begin, learnt, room = min(int(repeated), end), end, self.length


def _fill(pieces: list[Piece], length: int) -> list[list[Piece]]:
    """Returns rows of pieces: each piece is put into the fullest of the open rows that has room for it."""
    rows: list[list[Piece]] = []
    room: dict[int, int] = {}  # by number of the row, of those that are open
    for piece in pieces:
        fitting = [number for number, left in room.items() if left >= len(piece)]
        number = min(fitting, key=room.__getitem__) if fitting else len(rows)
        if not fitting:
            rows.append([])
            room[number] = length
        rows[number].append(piece)
        room[number] -= len(piece)
        if len(room) > OPEN_ROWS:
            del room[min(room, key=room.__getitem__)]
    return rows
