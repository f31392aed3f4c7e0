"""Dialogues as bytes, in pieces that byte pair encoding finds: the baseline without a grammar of messages.

What is heard and said is what was on the link, identifiers, keys and codes among it; there are no hints. Beside the
twin it shows what slots and fields are worth.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, trainers

from gentwin.signaling.contexts import dialogues
from gentwin.signaling.core.control_plane import encode
from gentwin.signaling.dialogue import CONTEXT_TOKENS, DIRECTIONS, END, PADDING, Sides, Vocabulary
from gentwin.signaling.dialogue.hints import HINT_TOKENS, STIMULI, WAIT
from gentwin.signaling.messages import Record
from gentwin.signaling.resolver import Example
from gentwin.signaling.resolver.following import REPEATED
from gentwin.signaling.turns import turns_of
from gentwin.training.signaling.dialogues import DialogueSet

SPECIAL = tuple(dict.fromkeys((PADDING, END, WAIT, *DIRECTIONS, *CONTEXT_TOKENS, *STIMULI, *HINT_TOKENS)))
OCTETS = tuple(f"{octet:02x}" for octet in range(256))
BYTES = Vocabulary((*SPECIAL, *OCTETS))
"""Tokens before pairs are joined: those of the course of a dialogue, and octets."""


def byte_examples(records: Sequence[Record]) -> Iterator[Example]:
    """Yields the dialogues of records as examples of bytes: direction, octets and `<end>` of each message.

    Args:
        records: All of them, in the order of time.
    """
    sides = Sides(records)
    for dialogue in dialogues(records):
        tokens: list[str] = []
        said: list[bool] = []
        for turn in turns_of(dialogue, sides):
            if turn.stimulus == REPEATED:
                continue
            if turn.heard is None:
                tokens.append(str(turn.stimulus))
                said.append(False)
            for record in turn.records:
                words = [sides.direction_of(record), *_octets(record), END]
                tokens += words
                said += [record is not turn.heard] * len(words)
            tokens.append(WAIT)
            said.append(True)
        yield Example(tokens, said, dialogue.context.kind)


def _octets(record: Record) -> list[str]:
    return [OCTETS[octet] for octet in record.raw or encode(record.message)]


class BytePairs:
    """Joins octets that often stand beside each other into tokens.

    Args:
        messages: Octets of messages to learn from.
        size: Number of tokens in all, special ones and octets among them.

    Attributes:
        vocabulary: The tokens: special ones, and octets in hexadecimal, one or several.

    Source: byte pair encoding as in R. Sennrich et al., "Neural machine translation of rare words with subword units",
    2016.
    """

    LONGEST = 32  # octets of a token

    def __init__(self, messages: Iterable[bytes], size: int) -> None:
        self._tokenizer = Tokenizer(models.BPE())
        trainer = trainers.BpeTrainer(
            vocab_size=size - len(SPECIAL),
            initial_alphabet=[chr(octet) for octet in range(256)],
            max_token_length=self.LONGEST,
            show_progress=False,
        )
        self._tokenizer.train_from_iterator((message.decode("latin-1") for message in messages), trainer)
        pieces = sorted(self._tokenizer.get_vocab(), key=self._tokenizer.token_to_id)
        self.vocabulary = Vocabulary((*SPECIAL, *(piece.encode("latin-1").hex() for piece in pieces)))

    def save(self, path: Path) -> None:
        """Writes the pairs to a file that `tokenizers.Tokenizer.from_file` reads."""
        self._tokenizer.save(str(path))

    def join(self, dialogues: DialogueSet) -> DialogueSet:
        """Returns dialogues of `BYTES` with octets joined to tokens of the vocabulary."""
        tokens, said, ends = [], [], []
        count = 0
        for own, own_said in dialogues:
            for begin, end in _runs(own):
                part = own[begin:end].astype(np.int64)
                if part[0] >= len(SPECIAL):
                    text = bytes((part - len(SPECIAL)).tolist()).decode("latin-1")
                    part = np.array(self._tokenizer.encode(text).ids) + len(SPECIAL)
                tokens.append(part)
                said.append(np.full(len(part), own_said[begin]))
                count += len(part)
            ends.append(count)
        return DialogueSet(
            np.concatenate(tokens).astype(np.uint16),
            np.concatenate(said),
            np.array(ends, np.int64),
            dialogues.source,
            dialogues.is_ue,
            dialogues.sources,
        )


def messages_of(dialogues: DialogueSet) -> Iterator[bytes]:
    """Yields the octets of all messages in dialogues of `BYTES`."""
    for tokens, _ in dialogues:
        for begin, end in _runs(tokens):
            if tokens[begin] >= len(SPECIAL):
                yield bytes((tokens[begin:end].astype(np.int64) - len(SPECIAL)).tolist())


def _runs(tokens: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yields where runs of octets, and special tokens one by one, begin and end."""
    special = tokens < len(SPECIAL)
    begins = special.copy()
    begins[1:] |= special[:-1]
    begins[:1] = True
    places = np.flatnonzero(begins)
    yield from zip(places.tolist(), [*places[1:].tolist(), len(tokens)], strict=True)
