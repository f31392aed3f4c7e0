"""Turns answered one by one, each after what was really said before: a twin beside the core, or a baseline.

```python
exchanges = [exchanges_of(example.tokens, example.said) for example in examples]
scores = AnswerScores()
for one in answered(DecoderPredictor(twin, tokenizer), exchanges, tokenizer.automaton(bounds=None)):
    one.count(scores)
```
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from gentwin.metrics.sequences import AnswerScores
from gentwin.models.modeling_twin import TwinModel
from gentwin.models.signaling.decoding import Decoder
from gentwin.models.signaling.decoding_weights import FLOAT32
from gentwin.models.signaling.guides import TurnGuide
from gentwin.models.signaling.tokenization_signaling import SignalingTokenizer
from gentwin.signaling.dialogue import DIRECTIONS, Automaton, GrammarError, to_message
from gentwin.signaling.dialogue.grammar import BEGIN, CONTEXT_TOKENS, END
from gentwin.signaling.dialogue.hints import BACK_OFF, HINT_TOKENS, STIMULI, WAIT
from gentwin.signaling.dialogue.linear import unframed
from gentwin.signaling.dialogue.slots import FARTHEST, NEW
from gentwin.signaling.errors import DecodeError
from gentwin.signaling.messages import Message

ROOM = 256
"""Tokens of room below which a context is cut between two answers."""
MOST_SAID = 1024
"""Tokens at which an answer ends in any case; the longest ones that were recorded have some 300."""


POLICY = "policy"


class Exchange(NamedTuple):
    """A turn, and what may be said in it.

    Args:
        heard: Tokens of the stimulus and of the hints.
        said: Tokens of what the core said; the last one is `<wait>`.
        stimulus: How many tokens of `heard` come before the hints.
        prefix: Tokens after each direction of the answer: number of the context, where there are several.
        begins: Whether nothing was said in its context before the answer.
        bound: How many identifiers of each type its context has.
    """

    heard: list[str]
    said: list[str]
    stimulus: int
    prefix: tuple[str, ...]
    begins: bool
    bound: dict[str, int]

    @property
    def hints(self) -> list[str]:
        """Tokens of the hints."""
        return self.heard[self.stimulus :]

    def without_hints(self, kinds: Collection[str] | None = None) -> Exchange:
        """Returns the same turn where nothing is known but what is said.

        Args:
            kinds: Hints to leave out, with the fields after them, such as `policy`; all if not given.
        """
        if kinds is None:
            return self._replace(heard=self.heard[: self.stimulus])
        kept, leaves = self.heard[: self.stimulus], False
        for token in self.hints:
            if token in _HINTS:
                leaves = (POLICY if token == BACK_OFF else token.strip("<>").partition("=")[0]) in kinds
            kept += [] if leaves else [token]
        return self._replace(heard=kept)


def exchanges_of(tokens: Sequence[str], said: Sequence[bool]) -> list[Exchange]:
    """Returns the turns of a sequence of either view.

    Args:
        tokens: Of whole turns, as those of an [`Example`][gentwin.signaling.resolver.examples.Example].
        said: For each whether the core says it.

    Raises:
        GrammarError: If they are not turns: stimulus, hints, answer, `<wait>`.
    """
    contexts: dict[str, Counter[str]] = {}
    found: list[Exchange] = []
    for heard, answer in _turns(tokens, said):
        number = next((token for token in heard[1:2] if token in _NUMBERS), "")
        stimulus = heard.index(END) + 1 if heard[0] in DIRECTIONS else 1 + bool(number)
        _bind(contexts, number, heard[:stimulus])
        bound = contexts.get(number)
        prefix = (number,) if number else ()
        found.append(Exchange(heard, answer, stimulus, prefix, bound is None, dict(bound or {})))
        _bind(contexts, number, answer)
    return found


_NUMBERS = frozenset(CONTEXT_TOKENS)
_HINTS = frozenset(HINT_TOKENS)


def _turns(tokens: Sequence[str], said: Sequence[bool]) -> Iterator[tuple[list[str], list[str]]]:
    heard: list[str] = []
    answer: list[str] = []
    for token, by_core in zip(tokens, said, strict=True):
        (answer if by_core else heard).append(token)
        if by_core and token == WAIT:
            if not heard or (heard[0] not in DIRECTIONS and heard[0] not in STIMULI):
                raise GrammarError(f"a turn begins with a message or a stimulus, got {heard[:1]}")
            yield heard, answer
            heard, answer = [], []
    if heard or answer:
        raise GrammarError(f"the last turn must end with {WAIT}, got {[*heard, *answer][-1]!r}")


def _bind(contexts: dict[str, Counter[str]], number: str, tokens: Iterable[str]) -> None:
    """Takes note of the identifiers that messages bring into a context."""
    inside = False
    for token in tokens:
        if token in DIRECTIONS:
            inside = True
            contexts.setdefault(number, Counter())
        elif token == BEGIN:
            contexts[number] = Counter()
        elif token == END:
            inside = False
        elif inside:
            _, new, kind = token.partition(f"=<{NEW}:")
            if new:
                known, kind = contexts[number], kind.rstrip(">")
                known[kind] = min(FARTHEST, known[kind] + 1)


def messages_of(tokens: Sequence[str]) -> list[Message] | None:
    """Returns the messages of an answer, canonical; None if it is none.

    Args:
        tokens: Of messages, each with its direction, and `<wait>`.
    """
    if not tokens or tokens[-1] != WAIT:
        return None
    found: list[Message] = []
    start = 0
    try:
        for place, token in enumerate(tokens):
            if token == END:
                found.append(to_message(unframed(tokens[start : place + 1]).tokens))
                start = place + 1
    except (GrammarError, DecodeError):
        return None
    return found if start == len(tokens) - 1 else None


# -------------------------------------------------------------------- who answers


class Predictor(Protocol):
    """Says what a core says: a twin, or a baseline."""

    def answer(self, contexts: Sequence[Sequence[int]], guides: Sequence[TurnGuide]) -> list[list[int]]:
        """Returns answers.

        Args:
            contexts: Numbers of the tokens of each dialogue up to its answer: turns, stimulus and hints.
            guides: What may be said in each, at its beginning.

        Returns:
            Numbers of the tokens of each answer, the last one that of `<wait>`.
        """


class ContextPredictor(ABC):
    """Base of what answers one context after the other, from its tokens alone, as baselines do."""

    def answer(self, contexts: Sequence[Sequence[int]], guides: Sequence[TurnGuide]) -> list[list[int]]:
        """Returns what it says; see [`Predictor`][gentwin.metrics.answers.Predictor]."""
        return [self.say(list(context), guide) for context, guide in zip(contexts, guides, strict=True)]

    @abstractmethod
    def say(self, context: list[int], guide: TurnGuide) -> list[int]:
        """Returns an answer.

        Args:
            context: Numbers of all tokens before it.
            guide: What may be said, at its beginning.
        """


class _Row:
    """A row of a decoder.

    Attributes:
        read: All tokens that it was given and said.
        before: As many of them as it had before its last answer, and what it knew then.
    """

    def __init__(self) -> None:
        self.read: list[int] = []
        self.before: tuple[list[int], dict | None] = [], None


class DecoderPredictor:
    """Lets a message twin answer. A context that goes on from one that was answered is read on, and not anew.

    Args:
        model: The twin, transformer or LSTM.
        tokenizer: Of the twin.
        rows: Most contexts that it answers at a time.
        length: Most tokens of a context; as many as the twin has positions if not given.
        weights: How they are held, `float32` or `int8`, as for [`Decoder`][gentwin.models.signaling.decoding.Decoder].

    Raises:
        CheckpointError: If the tokenizer is not that of the twin.
        ValueError: If `weights` is none of the two.
    """

    def __init__(
        self,
        model: TwinModel,
        tokenizer: SignalingTokenizer,
        rows: int = 64,
        length: int | None = None,
        weights: str = FLOAT32,
    ) -> None:
        model.config.check_tokenizer(tokenizer)
        starts = tokenizer.convert_tokens_to_ids([*DIRECTIONS, *STIMULI])
        self._stop = {tokenizer.convert_tokens_to_ids(WAIT)}
        self._decoder = Decoder(model, rows, length, starts, weights=weights)
        self._rows = {row: _Row() for row in range(rows)}  # the one that was used last comes last

    def answer(self, contexts: Sequence[Sequence[int]], guides: Sequence[TurnGuide]) -> list[list[int]]:
        """Returns what the twin says; see [`Predictor`][gentwin.metrics.answers.Predictor]."""
        contexts = [list(context) for context in contexts]
        rows: list[int] = []
        for context in contexts:
            rows.append(self._seat(context, rows))
        heard = [context[len(self._rows[row].read) :] for row, context in zip(rows, contexts, strict=True)]
        for row in rows:
            room = self._decoder.room(row)
            if room is not None and room < min(ROOM, self._decoder.length // 4):
                self._decoder.slide(row)
            known = self._rows[row]
            known.before = known.read, self._decoder.save(row) if known.read else None
        answers = self._decoder.respond(rows, guides, self._stop, heard, most=MOST_SAID)
        for row, context, answer in zip(rows, contexts, answers, strict=True):
            self._rows[row].read = [*context, *answer]
        return answers

    def _seat(self, context: list[int], taken: Sequence[int]) -> int:
        """Returns the row that has read the most of a context, and nothing else."""
        free = [row for row in self._rows if row not in taken]
        if not free:
            raise ValueError(f"there must be at most {len(self._rows)} contexts at a time; make more `rows`")
        row = max(free, key=lambda row: _common(context, self._rows[row]))
        known = self._rows[row] = self._rows.pop(row)
        if context[: len(known.read)] == known.read:
            return row
        tokens, state = known.before
        if state is not None and context[: len(tokens)] == tokens:
            self._decoder.restore(row, state)
            known.read = tokens
            return row
        row = next(row for row in self._rows if row not in taken)
        known = self._rows[row] = self._rows.pop(row)
        self._decoder.reset(row)
        known.read = []
        return row


def _common(context: list[int], row: _Row) -> int:
    """Returns how many tokens of a context a row has read, before its last answer if that is another; 0 if others."""
    for tokens in (row.read, row.before[0]):
        if tokens and context[: len(tokens)] == tokens:
            return len(tokens)
    return 0


# -------------------------------------------------------------------- turn by turn


class Answered(NamedTuple):
    """A turn that was answered.

    Args:
        sequence: Place of its sequence.
        exchange: The turn.
        said: Tokens of the answer.
        seconds: Of the processor until it was there, together with those that were answered with it.
    """

    sequence: int
    exchange: Exchange
    said: list[str]
    seconds: float

    @property
    def is_exact(self) -> bool:
        """Whether it is what the core said."""
        return self.said == self.exchange.said

    def count(self, scores: AnswerScores) -> None:
        """Counts this turn among the scores of others."""
        wanted = messages_of(self.exchange.said)
        if wanted is None:
            raise GrammarError(f"what the core said must be messages, got {' '.join(self.exchange.said)}")
        scores.count(wanted, wanted if self.is_exact else messages_of(self.said))


def answered(
    predictor: Predictor, sequences: Sequence[Sequence[Exchange]], automaton: Automaton, rows: int = 1
) -> Iterator[Answered]:
    """Lets every turn of some sequences be answered, each after what was really said before it.

    Args:
        predictor: Twin or baseline.
        sequences: Turns of each, which come in their order.
        automaton: Of the messages; answers keep to it and to the identifiers of their context.
        rows: How many sequences are answered at a time.
    """
    vocabulary = automaton.vocabulary
    waiting = [(place, list(turns)[::-1], []) for place, turns in enumerate(sequences) if turns][::-1]
    active: list[tuple[int, list[Exchange], list[int]]] = []
    while waiting or active:
        while waiting and len(active) < rows:
            active.append(waiting.pop())
        now = [left.pop() for _, left, _ in active]
        for (_, _, context), turn in zip(active, now, strict=True):
            context += vocabulary.encode(turn.heard)
        guides = [_guide(automaton, turn) for turn in now]
        started = time.thread_time()
        answers = predictor.answer([context for _, _, context in active], guides)
        seconds = time.thread_time() - started
        for (place, _, context), turn, answer in zip(active, now, answers, strict=True):
            context += vocabulary.encode(turn.said)
            yield Answered(place, turn, vocabulary.decode(answer), seconds)
        active = [entry for entry in active if entry[1]]


def _guide(automaton: Automaton, turn: Exchange) -> TurnGuide:
    return TurnGuide(automaton, turn.bound, prefix=turn.prefix, begins=turn.begins)
