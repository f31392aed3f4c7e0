"""Dialogues as arrays of tokens: what is said, which of it by the core, and where hints are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from gentwin.signaling.dialogue import CONTEXT_TOKENS, DIRECTIONS, END, Vocabulary
from gentwin.signaling.dialogue.hints import BACK_OFF, HINT_TOKENS, STIMULI, WAIT

UE, NODE = "ue", "node"
SLICES, FIELDS, POLICY = "slices", "fields", "policy"


class DialogueSet:
    """Dialogues of several sources, one after the other.

    Args:
        tokens: Of all dialogues, `(n,)` integers.
        said: For each whether the core says it, `(n,)` bool.
        ends: Where each dialogue ends, `(len(self),)`.
        source: Place in `sources` of each dialogue.
        is_ue: For each dialogue whether it is that of a UE, and not of two nodes.
        sources: Names of where they come from: captures, and runs of syntheses.
    """

    def __init__(
        self,
        tokens: np.ndarray,
        said: np.ndarray,
        ends: np.ndarray,
        source: np.ndarray,
        is_ue: np.ndarray,
        sources: Sequence[str],
    ) -> None:
        self.tokens, self.said, self.ends = tokens, said, ends
        self.source, self.is_ue, self.sources = source, is_ue, tuple(sources)

    @classmethod
    def of_examples(cls, examples: Iterable[tuple], vocabulary: Vocabulary, source: str) -> DialogueSet:
        """Returns dialogues of one source.

        Args:
            examples: With `tokens`, `said` and `kind`, as
                [`Example`][gentwin.signaling.resolver.examples.Example].
            vocabulary: Numbers the tokens.
            source: Where they come from.
        """
        tokens: list[int] = []
        said: list[bool] = []
        ends, is_ue = [], []
        for example in examples:
            tokens += vocabulary.encode(example.tokens)
            said += example.said
            ends.append(len(tokens))
            is_ue.append(example.kind == UE)
        return cls(
            np.array(tokens, np.uint16),
            np.array(said, bool),
            np.array(ends, np.int64),
            np.zeros(len(ends), np.int64),
            np.array(is_ue, bool),
            [source],
        )

    def __len__(self) -> int:
        """Returns the number of dialogues."""
        return len(self.ends)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns tokens and who says them of a dialogue."""
        begin = int(self.ends[index - 1]) if index else 0
        return self.tokens[begin : self.ends[index]], self.said[begin : self.ends[index]]

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields tokens and who says them of each dialogue."""
        return (self[index] for index in range(len(self)))

    def take(self, indices: Sequence[int] | np.ndarray) -> DialogueSet:
        """Returns some of the dialogues, in the order given."""
        parts = [self[int(index)] for index in indices]
        indices = np.asarray(indices, np.int64)
        return DialogueSet(
            np.concatenate([tokens for tokens, _ in parts]) if parts else self.tokens[:0],
            np.concatenate([said for _, said in parts]) if parts else self.said[:0],
            np.cumsum([len(tokens) for tokens, _ in parts], dtype=np.int64),
            self.source[indices],
            self.is_ue[indices],
            self.sources,
        )

    def fingerprint(self) -> str:
        """Returns the SHA-256 of the dialogues, in their order."""
        digest = hashlib.sha256()
        for array in (self.tokens, self.said, self.ends):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Writes the dialogues to a file, in one step."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        arrays = {"tokens": self.tokens, "said": self.said, "ends": self.ends, "source": self.source}
        with partial.open("wb") as file:
            np.savez_compressed(file, **arrays, is_ue=self.is_ue, sources=np.array(self.sources))
        os.replace(partial, path)

    @classmethod
    def load(cls, path: Path) -> DialogueSet:
        """Returns the dialogues in a file that `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ("tokens", "said", "ends", "source", "is_ue")}
            return cls(**arrays, sources=[str(name) for name in file["sources"]])


def concatenate(parts: Sequence[DialogueSet]) -> DialogueSet:
    """Returns the dialogues of several sets, one set after the other; there must be one at least."""
    tokens_before = np.cumsum([0, *(len(part.tokens) for part in parts)])
    sources = list(dict.fromkeys(name for part in parts for name in part.sources))
    renumbered = [np.array([sources.index(name) for name in part.sources], np.int64)[part.source] for part in parts]
    return DialogueSet(
        np.concatenate([part.tokens for part in parts]),
        np.concatenate([part.said for part in parts]),
        np.concatenate([part.ends + before for part, before in zip(parts, tokens_before, strict=False)]),
        np.concatenate(renumbered),
        np.concatenate([part.is_ue for part in parts]),
        sources,
    )


class Marks:
    """What tokens of a vocabulary mean for the course of a dialogue.

    Args:
        vocabulary: Of the tokens.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        ids = vocabulary.ids
        self.wait, self.end = ids[WAIT], ids[END]
        self._directions = np.array([ids[token] for token in DIRECTIONS if token in ids])
        self._stimuli = np.array([ids[token] for token in STIMULI])
        self._contexts = np.array([ids[token] for token in CONTEXT_TOKENS])
        self.kinds = (FIELDS, SLICES, *sorted({_kind(token) for token in HINT_TOKENS} - {SLICES}))
        self._kind = np.full(len(vocabulary), -1, np.int8)
        for token in HINT_TOKENS:
            self._kind[ids[token]] = self.kinds.index(_kind(token))

    def turn_ends(self, tokens: np.ndarray) -> np.ndarray:
        """Returns the places after each turn, the last of them the length of the dialogue."""
        ends = np.flatnonzero(tokens == self.wait) + 1
        return ends if len(ends) and ends[-1] == len(tokens) else np.append(ends, len(tokens))

    def hints(self, tokens: np.ndarray) -> np.ndarray:
        """Returns the kind of hint that each token is part of, its place in `kinds`; -1 of those of none.

        Hints come after what is heard, up to the direction of an answer or `<wait>`. Fields belong to the hint before
        them; those that stand alone are of kind `fields`.
        """
        # What begins a message, what ends it, and so whether a token is within one.
        begins = np.isin(tokens, self._directions)
        ends = np.isin(tokens, self._stimuli) | (tokens == self.end) | (tokens == self.wait)
        places = np.arange(len(tokens))
        last_begin = np.maximum.accumulate(np.where(begins, places, -1))
        last_end = np.maximum.accumulate(np.where(ends, places, -1))
        # Of which context a stimulus is, where there are several, is no hint.
        outside = (last_end > last_begin) & ~ends & ~np.isin(tokens, self._contexts)
        kind = np.where(outside, self._kind[tokens], -1)
        last_hint = np.maximum.accumulate(np.where(kind >= 0, places, -1))
        inherited = np.where(last_hint > last_end, kind[last_hint], 0)
        return np.where(outside, inherited, -1).astype(np.int8)


def _kind(token: str) -> str:
    name = token.strip("<>").partition("=")[0]
    if token == BACK_OFF:
        return POLICY
    return name if "=" in token else SLICES


@lru_cache(4)
def marks_of(vocabulary: Vocabulary) -> Marks:
    """Returns the marks of a vocabulary, made once."""
    return Marks(vocabulary)
