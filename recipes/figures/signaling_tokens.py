"""How many tokens a message has, beside byte-level BPE with as many tokens, trained on the bytes of the same messages.

Tokens are those of the default view: direction, message with slots, `<end>`. NAS is counted with NGAP, which carries
it, and once more alone. BPE sees each message as one word, as bytes have no words.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from gentwin.signaling.contexts import Dialogue, dialogues
from gentwin.signaling.dialogue import Bindings, Sides, Vocabulary, canonicalise, framed, to_tokens
from gentwin.signaling.messages import NAS, NGAP, PFCP, Message
from gentwin.signaling.ngap import map_nas
from gentwin.signaling.records import read_records
from recipes.figures.recordings import recordings
from recipes.figures.result import Result

MOST_TOKENS, LARGEST_VOCABULARY = 30, 8000
ALPHABET = [chr(octet) for octet in range(256)]

Lengths = dict[str, list[int]]
"""Numbers of tokens by protocol."""


def count_tokens(dialogue: Dialogue, sides: Sides, lengths: Lengths) -> None:
    """Adds the numbers of tokens of the messages in a dialogue."""
    bindings = Bindings()
    for place, record in enumerate(dialogue.records):
        message, _ = canonicalise(record.message, bindings)
        tokens = framed(to_tokens(message), sides.direction_of(record), begins=not place)
        lengths[message.protocol].append(len(tokens))
        if message.protocol == NGAP:
            map_nas(message, partial(_count_nas, lengths[NAS]))


def _count_nas(lengths: list[int], inner: Message | bytes) -> Message | bytes:
    if isinstance(inner, Message):
        lengths.append(len(to_tokens(inner)))
    return inner


def train_bpe(messages: Iterable[bytes], vocabulary: int) -> Any:
    """Returns byte-level BPE trained on messages.

    Args:
        messages: Their bytes.
        vocabulary: Number of tokens.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from tokenizers import Tokenizer, models, trainers

    tokenizer = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, initial_alphabet=ALPHABET, show_progress=False)
    tokenizer.train_from_iterator((data.decode("latin-1") for data in messages), trainer)
    return tokenizer


def bpe_lengths(tokenizer: Any, messages: Sequence[bytes]) -> list[int]:
    """Returns the numbers of BPE tokens of messages."""
    return [len(found.ids) for found in tokenizer.encode_batch_fast([data.decode("latin-1") for data in messages])]


def described(lengths: Sequence[int]) -> dict[str, float]:
    """Returns mean, median and other percentiles of numbers of tokens."""
    percentiles = zip(("median", "p90", "p99", "max"), np.percentile(lengths, (50, 90, 99, 100)), strict=True)
    return {"messages": len(lengths), "mean": float(np.mean(lengths)), **{n: float(v) for n, v in percentiles}}


def measure(full: bool, seed: int) -> Result:
    """Measures the figure; `seed` has no influence."""
    vocabulary = Vocabulary.of_schema()
    lengths: Lengths = {NGAP: [], NAS: [], PFCP: []}
    halves: tuple[list[bytes], list[bytes]] = ([], [])
    for place, path in enumerate(recordings(every=full)):
        records = list(read_records(path))
        halves[place % 2].extend(record.raw for record in records)
        sides = Sides(records)
        for dialogue in dialogues(records):
            count_tokens(dialogue, sides, lengths)
    every = lengths[NGAP] + lengths[PFCP]
    figure = {
        "vocabulary": len(vocabulary),
        "all": described(every),
        **{protocol: described(found) for protocol, found in lengths.items()},
    }
    same = bpe_lengths(train_bpe([*halves[0], *halves[1]], len(vocabulary)), [*halves[0], *halves[1]])
    unseen = [
        length
        for one, other in (halves, halves[::-1])
        for length in bpe_lengths(train_bpe(one, len(vocabulary)), other)
    ]
    baseline = {
        "bytes": described([len(data) for half in halves for data in half]),
        "BPE trained on the same messages": described(same),
        "BPE trained on the other half of the recordings": described(unseen),
    }
    met = figure["all"]["mean"] <= MOST_TOKENS and len(vocabulary) <= LARGEST_VOCABULARY
    goal = f"mean <= {MOST_TOKENS} tokens a message, vocabulary <= {LARGEST_VOCABULARY}"
    return Result(figure, goal, met, baseline, float(np.mean(same)) / figure["all"]["mean"])
