"""Predictors that a message twin has to beat: a look-up of whole answers, and an n-gram model of tokens.

Both learn from the tokens of dialogues and are predictors as the twin is:

```python
baseline = AnswerLookup(tokenizer.vocabulary).fit(tokens for tokens, said in dialogues)
```
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from gentwin.metrics.answers import MOST_SAID, ContextPredictor
from gentwin.models.signaling.guides import TurnGuide
from gentwin.signaling.dialogue import DIRECTIONS, PADDING, Vocabulary
from gentwin.signaling.dialogue.hints import HINT_TOKENS, STIMULI, WAIT
from gentwin.signaling.dialogue.schema import PROTOCOLS

Key = tuple[int, ...]


class AnswerLookup(ContextPredictor):
    """Gives the whole answer that was most often seen in the same state, as a state machine does.

    The state is, and backs off to the next if it was never seen:

    1. what is heard, token by token, and the names of the messages of the two turns before;
    2. what is heard, token by token;
    3. names and hints of what is heard, and the names of the messages of the two turns before;
    4. names and hints of what is heard;
    5. names of what is heard.

    After all of them it says nothing. It keeps to no grammar, as what it says was said before.

    Args:
        vocabulary: Of the tokens.
    """

    TURNS = 2

    def __init__(self, vocabulary: Vocabulary) -> None:
        tokens = enumerate(vocabulary.tokens)
        names = {number for number, token in tokens if token.partition(":")[0] in PROTOCOLS}
        self._names = names | {vocabulary.ids[token] for token in STIMULI}
        self._hints = {vocabulary.ids[token] for token in HINT_TOKENS}
        self._directions = {vocabulary.ids[token] for token in DIRECTIONS if token in vocabulary.ids}
        self._from_core = {vocabulary.ids[token] for token in ("<amf>gnb>", "<smf>upf>") if token in vocabulary.ids}
        self._wait = vocabulary.ids[WAIT]
        self._answers: dict[tuple, Counter[Key]] = defaultdict(Counter)

    def fit(self, dialogues: Iterable[Sequence[int]]) -> AnswerLookup:
        """Takes note of the answers in dialogues, each its tokens."""
        for tokens in dialogues:
            before: list[Key] = []
            for turn in self._turns(tokens):
                heard, said = self._parts(turn)
                for state in self._states(heard, before):
                    self._answers[state][said] += 1
                before.append(self._only(turn, self._names))
        return self

    def say(self, context: list[int], guide: TurnGuide) -> list[int]:
        """Returns the answer seen most often in the present state; the one seen first of equally frequent ones."""
        *turns, heard = list(self._turns(context))[-self.TURNS - 1 :]
        before = [self._only(turn, self._names) for turn in turns]
        for state in self._states(tuple(heard), before):
            if state in self._answers:
                return list(max(self._answers[state].items(), key=lambda entry: entry[1])[0])
        return [self._wait]

    def _turns(self, tokens: Sequence[int]) -> Iterator[list[int]]:
        """Yields the turns of a dialogue; the last one may be without its end."""
        turn: list[int] = []
        for token in tokens:
            turn.append(int(token))
            if token == self._wait:
                yield turn
                turn = []
        if turn:
            yield turn

    def _parts(self, turn: list[int]) -> tuple[Key, Key]:
        """Returns what is heard in a turn, with hints, and what is said."""
        begins = (place for place, token in enumerate(turn) if token in self._from_core or token == self._wait)
        first = next(begins, len(turn))
        return tuple(turn[:first]), tuple(turn[first:])

    def _states(self, heard: Key, before: list[Key]) -> Iterator[tuple]:
        names, recent = self._only(heard, self._names), tuple(before[-self.TURNS :])
        outline = self._only(heard, self._names | self._hints)
        yield 1, heard, recent
        yield 2, heard
        yield 3, outline, recent
        yield 4, outline
        yield 5, names

    def _only(self, tokens: Sequence[int], wanted: set[int]) -> Key:
        return tuple(token for token in tokens if token in wanted)


class NGram(ContextPredictor):
    """Says the token that most often followed the longest context seen in training, and keeps to the guide.

    A context backs off to a shorter one until something that is allowed followed it. All contexts are kept in the order
    of their last tokens (a suffix array), so the order may be long.

    Args:
        vocabulary: Of the tokens.
        order: Most tokens of a context.

    Raises:
        ValueError: If the order is below 1.

    Source: back-off as in S. Katz, 1987, without discounts, since the likeliest is taken; suffix array as in J. Liu et
    al., "Infini-gram", 2024.
    """

    def __init__(self, vocabulary: Vocabulary, order: int = 32) -> None:
        if order < 1:
            raise ValueError(f"`order` must be at least 1, got {order}.")
        self.order, self._size = order, len(vocabulary)
        self._between, self._wait = vocabulary.ids[PADDING], vocabulary.ids[WAIT]

    def fit(self, dialogues: Iterable[Sequence[int]]) -> NGram:
        """Sorts the contexts of dialogues, each its tokens.

        Raises:
            ValueError: If there are none.
        """
        parts = [np.append(np.asarray(tokens, np.int64), self._between) for tokens in dialogues]
        if not parts:
            raise ValueError("`dialogues` must be at least one, got none.")
        backwards = np.concatenate([[self._between], *parts])[::-1]
        rank, known = backwards.copy(), 1
        while known < self.order:
            following = np.append(rank[known:], np.zeros(known, np.int64))
            _, rank = np.unique(rank * (rank.max() + 1) + following, return_inverse=True)
            known *= 2
        self._begins = np.argsort(rank, kind="stable")
        self._backwards = np.append(backwards, np.full(known, self._between))
        self._next = np.append(self._between, backwards)[self._begins]  # what came after the latest token
        return self

    def say(self, context: list[int], guide: TurnGuide) -> list[int]:
        """Returns the likeliest tokens, one after the other, up to `<wait>`."""
        said: list[int] = []
        while len(said) < MOST_SAID and (not said or said[-1] != self._wait):
            recent = [*context[-self.order :], *said][-self.order :]
            allowed = guide.allowed()
            token = self._likeliest(recent, allowed)
            guide.advance(token)
            said.append(token)
        return said

    def _likeliest(self, recent: list[int], allowed: np.ndarray) -> int:
        for first, last in reversed(self._ranges(recent)):
            counts = np.bincount(self._next[first:last], minlength=self._size)[: self._size] * allowed
            if counts.any():
                return int(counts.argmax())
        return int(allowed.argmax())

    def _ranges(self, recent: list[int]) -> list[tuple[int, int]]:
        """Returns where the contexts are that end with none, the last one, the last two and so on of some tokens."""
        first, last = 0, len(self._begins)
        found = [(first, last)]
        for depth, token in enumerate(reversed(recent)):

            def symbol(begin: int, depth: int = depth) -> int:
                return self._backwards[begin + depth]

            first, last = (
                bisect_left(self._begins, token, first, last, key=symbol),
                bisect_right(self._begins, token, first, last, key=symbol),
            )
            if first == last:
                break
            found.append((first, last))
        return found
