"""How well a message twin says what was said: beside the recording, each token after the true ones before it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from gentwin.models.modeling_twin import TwinModel
from gentwin.models.signaling.modeling_signaling import IGNORED
from gentwin.signaling.dialogue import PADDING, Vocabulary
from gentwin.signaling.dialogue.schema import PROTOCOLS
from gentwin.training.signaling.dialogues import DialogueSet, Marks, marks_of
from gentwin.training.signaling.packing import PackedDialogues, Piece

ALL = "all"
PROTECTED = "nas:SecurityProtected"


@dataclass
class Tally:
    """Counts of what was said right.

    Args:
        tokens: Of the core.
        right_tokens: Of these, those that the twin takes for the likeliest.
        messages: Of the core; silence at the end of a turn counts as one.
        right_messages: Of these, those of which every token was right.
        loss: Sum of the cross entropy of the tokens, in nats.
    """

    tokens: int = 0
    right_tokens: int = 0
    messages: int = 0
    right_messages: int = 0
    loss: float = 0.0

    def add(self, right: np.ndarray, loss: np.ndarray) -> None:
        """Counts a message, by whether each of its tokens is right, and their cross entropy."""
        self.tokens += len(right)
        self.right_tokens += int(right.sum())
        self.messages += 1
        self.right_messages += bool(right.all())
        self.loss += float(loss.sum())

    def figures(self) -> dict[str, float]:
        """Returns mean loss, token accuracy and share of exact messages."""
        return {
            "loss": self.loss / max(self.tokens, 1),
            "token_accuracy": self.right_tokens / max(self.tokens, 1),
            "exact_messages": self.right_messages / max(self.messages, 1),
        }


@dataclass(frozen=True)
class Agreement:
    """How far a twin agrees with dialogues.

    Args:
        sources: Tally by capture or synthesis; `all` of all of them.
        messages: Tally by name of the message, `<wait>` among them.
    """

    sources: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    messages: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))

    def metrics(self) -> dict[str, float]:
        """Returns every score as `<source>/<score>`, and of messages as `<message>/exact_messages`."""
        by_source = {
            f"{name}/{score}": value for name, tally in self.sources.items() for score, value in tally.figures().items()
        }
        exact = {f"{name}/exact_messages": tally.figures()["exact_messages"] for name, tally in self.messages.items()}
        return by_source | dict(sorted(exact.items()))

    def figures(self, part: str) -> dict[str, float]:
        """Returns headline numbers, called after a part of the data."""
        return {f"{part}_{name}": round(value, 6) for name, value in self.sources[ALL].figures().items()}


@torch.inference_mode()
def agreement(
    twin: TwinModel, dialogues: DialogueSet, vocabulary: Vocabulary, length: int, batch_size: int = 2
) -> Agreement:
    """Compares what a twin would say with what was said.

    Each token is predicted from the true tokens before it, without a grammar.

    Args:
        twin: A trained twin; it computes where it is.
        dialogues: What was said.
        vocabulary: Of the tokens.
        length: Tokens of a row.
        batch_size: Rows at a time.
    """
    twin.eval()
    marks = marks_of(vocabulary)
    rows = PackedDialogues(dialogues, marks, length, vocabulary.ids[PADDING])
    found = Agreement()
    for number, batch in enumerate(tqdm(DataLoader(rows, batch_size), "evaluation", leave=False, disable=None)):
        tensors = {name: tensor.to(twin.device) for name, tensor in batch.items()}
        logits = twin(tensors["input_ids"], position_ids=tensors["position_ids"], use_cache=False).logits[:, :-1]
        counted = (tensors["said"] & (tensors["labels"] != IGNORED))[:, 1:]
        logits, targets = logits[counted].float(), tensors["labels"][:, 1:][counted]
        right = torch.ones(counted.shape, dtype=torch.bool)
        loss = torch.zeros(counted.shape)
        right[counted.cpu()] = (logits.argmax(-1) == targets).cpu()
        loss[counted.cpu()] = torch.nn.functional.cross_entropy(logits, targets, reduction="none").cpu()
        for row in range(len(right)):
            _count(found, rows, number * batch_size + row, right[row].numpy(), loss[row].numpy(), vocabulary)
    return found


def _count(
    found: Agreement, rows: PackedDialogues, index: int, right: np.ndarray, loss: np.ndarray, vocabulary: Vocabulary
) -> None:
    """Counts the messages of a row; `right` and `loss` are those of its tokens from the second one on."""
    place = 0
    for piece in rows.pieces(index):
        tokens, said = rows.dialogues[piece.dialogue]
        source = rows.dialogues.sources[rows.dialogues.source[piece.dialogue]]
        for begin, end in _spoken(tokens, said, piece, rows.marks):
            name = _name(vocabulary.decode(tokens[begin:end].tolist()))
            span = slice(place + begin - piece.begin - 1, place + end - piece.begin - 1)
            for tally in (found.sources[ALL], found.sources[source], found.messages[name]):
                tally.add(right[span], loss[span])
        place += len(piece)


def _spoken(tokens: np.ndarray, said: np.ndarray, piece: Piece, marks: Marks) -> Iterator[tuple[int, int]]:
    """Yields where each message that the core says in the learnt part of a piece begins and ends."""
    begin = max(piece.learnt, piece.begin + 1)  # nothing is known before the first token
    for place in range(begin, piece.end):
        if not said[place]:
            begin = place + 1
        elif tokens[place] in (marks.end, marks.wait):
            yield begin, place + 1
            begin = place + 1


def _name(words: list[str]) -> str:
    """Returns what a message is called: by the NAS message inside, if there is one."""
    names = [word for word in words if word.partition(":")[0] in PROTOCOLS and word != PROTECTED]
    return names[-1] if names else words[-1]


def as_rows(metrics: dict[str, Tally]) -> list[list[Any]]:
    """Returns tallies as rows of a table: name, messages, exact messages and token accuracy in per cent."""
    return [
        [
            name,
            f"{tally.messages:,}",
            f"{100 * tally.figures()['exact_messages']:.2f}",
            f"{100 * tally.figures()['token_accuracy']:.3f}",
        ]
        for name, tally in metrics.items()
    ]
