"""Fast decoding of small twins: many contexts at once, guessed ahead, under a grammar."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np

from gentwin.models.modeling_twin import TwinModel
from gentwin.models.signaling.decoding_engines import engine_for
from gentwin.models.signaling.decoding_kernels import best_of
from gentwin.models.signaling.decoding_weights import FLOAT32

MOST_SAID = 4096
KEPT = 4096  # last tokens that are kept of a context of any length
Choose = Callable[[np.ndarray, np.ndarray], int]
"""Takes the tokens that are allowed and their logits, and returns one of the tokens."""


class Guide(Protocol):
    """What says which token may come next in an answer: an
    [`Automaton`][gentwin.signaling.dialogue.automaton.Automaton], or a
    [`TurnGuide`][gentwin.models.signaling.guides.TurnGuide]."""

    def allowed(self) -> np.ndarray:
        """Returns booleans, one for each token of the vocabulary, at least one of them true."""

    def advance(self, token: int) -> None:
        """Takes the token that came."""


class Decoder:
    """Reads and continues the contexts of many UEs, one in each row, as fast as one core can.

    Logits are those of the twin, within rounding; with `weights="int8"`, those of the twin with its weights rounded. An
    answer depends on no other row, nor on how its tokens came, to the last bit. It is fast by four things:

    - one compiled call runs all layers over all new tokens of all rows (see
      [`decoding_kernels`][gentwin.models.signaling.decoding_kernels]);
    - keys and values are never moved, and take memory as a row fills up;
    - only what the guide allows is weighed, and what it forces is taken unseen;
    - answers repeat, so what followed the same few tokens before is guessed and read with the rest. The twin takes of
      it as much as it would have said, so guesses change the time, never the answer.

    When a row of a transformer is full, half of what it can hold is kept, the latest, and read again from position 0:
    the twin sees what it would see of a sequence that begins there. `slide` does it beforehand, when there is time.

    A decoder may be used by one thread at a time; several of them side by side.

    Args:
        model: [`SignalingTwinForCausalLM`][gentwin.models.signaling.SignalingTwinForCausalLM] or
            [`SignalingLstmTwinForCausalLM`][gentwin.models.signaling.SignalingLstmTwinForCausalLM]; its weights are
            copied.
        rows: How many contexts.
        length: Most tokens of a context, at most the positions of the twin, which is the default.
        starts: Tokens that a sequence can begin with, as directions; a row that is full is cut before one of them, if
            there is one in its second half.
        drafted: Most tokens that are guessed at a time; 0 to guess none.
        weights: How projections and vectors of tokens are held: `float32`, or `int8` with a float32 scale for each
            output, in a quarter of the memory. Either way they are computed with in float32.

    Attributes:
        rows: How many contexts.
        length: Most tokens of a context; None if any number, as for the LSTM.
        weight_bytes: Memory of projections and vectors of tokens.

    Raises:
        TypeError: If the model is no message twin.
        ValueError: If a number is out of its range, `weights` is none of the two, or the model has blocks that are not
            known here, or weights that are not finite to be held as int8.

    Example:
        ```python
        decoder = Decoder(model, rows=32)
        guide = tokenizer.automaton()
        guide.start(["ngap:DownlinkNASTransport"])
        (said,) = decoder.respond([0], [guide], {tokenizer.eos_token_id}, heard=[tokens])
        ```
    """

    def __init__(
        self,
        model: TwinModel,
        rows: int = 1,
        length: int | None = None,
        starts: Collection[int] = (),
        drafted: int = 32,
        weights: str = FLOAT32,
    ) -> None:
        if rows < 1:
            raise ValueError(f"`rows` must be at least 1, got {rows}")
        if drafted < 0:
            raise ValueError(f"`drafted` must be at least 0, got {drafted}")
        self._engine = engine_for(model, rows, length, weights)
        self.rows, self.length, self.weight_bytes = rows, self._engine.length, self._engine.weight_bytes
        self._starts = frozenset(starts)
        self._drafts = _Drafts(drafted)
        self._tokens: list[list[int]] = [[] for _ in range(rows)]
        self._unread = [0] * rows  # how many of them, at the end, were not read yet
        self._known = np.zeros((rows, self._engine.head.values.shape[1]), np.float32)  # after the last one that was

    # ---------------------------------------------------------------- contexts

    def append(self, rows: Sequence[int], tokens: Sequence[Sequence[int]]) -> np.ndarray:
        """Reads tokens.

        Args:
            rows: Contexts, each once.
            tokens: That each goes on with.

        Returns:
            Logits of what comes next in each, `(len(rows), vocabulary)` float32.

        Raises:
            ValueError: If a row or token is out of its range, or a row is empty and stays so.
        """
        self.hear(rows, tokens)
        self._read(rows, [[]] * len(rows))
        return self._known[np.array(rows)] @ self._engine.head.rows().T

    def hear(self, rows: Sequence[int], tokens: Sequence[Sequence[int]]) -> None:
        """Takes tokens that are read when something is to be said after them; none if not all are what they must be.

        Args:
            rows: Contexts, each once.
            tokens: That each goes on with.

        Raises:
            ValueError: If a row or token is out of its range, or a row is empty and stays so.
        """
        if len(set(rows)) != len(rows) or not all(0 <= row < self.rows for row in rows):
            raise ValueError(f"`rows` must be different ones from 0 to {self.rows - 1}, got {list(rows)}")
        if len(tokens) != len(rows):
            raise ValueError(f"there must be tokens for each of {len(rows)} rows, got those of {len(tokens)}")
        for row, new in zip(rows, tokens, strict=True):
            self._check_tokens(new)
            if not len(new) and not self._tokens[row]:
                raise ValueError(f"row {row} is empty; it must hear at least one token")
        for row, new in zip(rows, tokens, strict=True):
            self._tokens[row] += map(int, new)
            self._unread[row] += len(new)

    def size(self, row: int) -> int:
        """Returns how many tokens `tokens` has."""
        return len(self._tokens[row])

    def unread(self, row: int) -> int:
        """Returns how many tokens of a row were heard or said last and not read yet."""
        return self._unread[row]

    def tokens(self, row: int) -> list[int]:
        """Returns the tokens of a row, without those it has forgotten; the last few thousand of an LSTM."""
        return list(self._tokens[row])

    def is_whole(self, row: int) -> bool:
        """Returns whether what the twin says depends on no tokens but those that `tokens` returns.

        A transformer reads those that it keeps again; the state of an LSTM stays that of all it has read.
        """
        return self.length is not None or len(self._tokens[row]) < KEPT

    def room(self, row: int) -> int | None:
        """Returns how many tokens a row can go on with before it must forget; None if any number."""
        return None if self.length is None else self.length - len(self._tokens[row])

    def reset(self, row: int) -> None:
        """Forgets a row."""
        self._engine.reset(row)
        self._tokens[row], self._unread[row] = [], 0

    def slide(self, row: int) -> None:
        """Cuts a row to half of what it can hold, if it has more, and reads that again from position 0.

        What was never read of a row, as `hear` leaves it, is not read now either.
        """
        if self.length is not None and len(self._tokens[row]) > self.length // 2:
            was_read = self._unread[row] < len(self._tokens[row])
            self._forget(row)
            if was_read:
                self._read([row], [[]])

    def rehearse(self, heard: Sequence[int], said: Sequence[int]) -> None:
        """Takes note of an answer, as one that may be guessed from now on; no row changes.

        Args:
            heard: Tokens before it, of which the last few matter.
            said: Tokens of the answer.
        """
        self._drafts.learn(list(heard), said)

    def save(self, row: int) -> dict[str, np.ndarray]:
        """Returns what is known of a row as arrays, for `restore` in this or another decoder of the same twin and
        `weights`."""
        tokens = np.array(self._tokens[row], np.int64)
        counts = {"tokens": tokens, "unread": np.array(self._unread[row]), "known": self._known[row].copy()}
        return {**counts, **self._engine.save(row)}

    def restore(self, row: int, state: Mapping[str, np.ndarray]) -> None:
        """Puts a row as it was when it was saved.

        Raises:
            ValueError: If the state is that of a twin of other sizes, or longer than a row can be.
        """
        tokens, unread, known = state["tokens"].tolist(), int(state["unread"]), state["known"]
        self._check_tokens(tokens)
        if known.shape != self._known.shape[1:]:
            raise ValueError(f"`known` must be of shape {self._known.shape[1:]} for this twin, got {known.shape}")
        if not 0 <= unread <= len(tokens) or int(state.get("filled", len(tokens) - unread)) != len(tokens) - unread:
            raise ValueError(f"`unread` must be how many of {len(tokens)} tokens were not read, got {unread}")
        self._engine.restore(row, dict(state))
        self._tokens[row], self._unread[row], self._known[row] = tokens, unread, known

    # ---------------------------------------------------------------- answers

    def respond(
        self,
        rows: Sequence[int],
        guides: Sequence[Guide],
        stop: Collection[int],
        heard: Sequence[Sequence[int]] | None = None,
        choose: Sequence[Choose] | None = None,
        most: int = MOST_SAID,
    ) -> list[list[int]]:
        """Returns what the twin says in several contexts.

        Args:
            rows: Contexts, each once.
            guides: One for each, at the beginning of an answer or wherever it has come to.
            stop: Tokens that end an answer, such as `<end>` or `<wait>`; they are part of it.
            heard: Tokens that each context goes on with before.
            choose: For each, what takes the tokens that are allowed and their logits and returns one of them, as
                [`sampled`][gentwin.models.signaling.decoding.sampled]; if not given, the likeliest is taken.
            most: Number of tokens at which an answer ends in any case.

        Returns:
            Tokens of each answer; they belong to the context from now on.

        Raises:
            ValueError: If a row or token is out of its range, a row is empty, or a guide allows nothing.
        """
        self.hear(rows, [()] * len(rows) if heard is None else heard)
        answers: list[list[int]] = [[] for _ in rows]
        live = list(range(len(rows)))
        while live:
            drafts = [self._draft(rows[place], most - len(answers[place])) for place in live]
            known = self._read([rows[place] for place in live], drafts)
            left = list(zip(live, drafts, known, strict=True))
            try:
                while left:
                    place, draft, after = left[0]
                    chooser = None if choose is None else choose[place]
                    said = self._followed(after, draft, guides[place], stop, chooser, most - len(answers[place]))
                    self._take(rows[place], said, draft, after)
                    answers[place] += said
                    del left[0]
            finally:  # a guide that raises leaves no guess behind in any row
                for place, draft, after in left:
                    self._take(rows[place], [], draft, after)
            live = [place for place in live if answers[place][-1] not in stop and len(answers[place]) < most]
        return answers

    def _draft(self, row: int, most: int) -> list[int]:
        """Returns what a row may go on with, as much as there is room for."""
        self._make_room(row)
        if self.length is not None:
            most = min(most, self.length - len(self._tokens[row]))
        return self._drafts.guess(self._tokens[row], most)

    def _followed(
        self, known: np.ndarray, draft: list[int], guide: Guide, stop: Collection[int], choose: Choose | None, most: int
    ) -> list[int]:
        """Returns what the twin says from what it knows after each token of a draft, and what must follow that."""
        said: list[int] = []
        for place, after in enumerate(known):
            token = self._pick(after, guide.allowed(), choose)
            guide.advance(token)
            said.append(token)
            if token in stop or len(said) == most:
                return said
            if place == len(draft) or token != draft[place]:
                break
        while len(said) < most:
            allowed = guide.allowed()
            if np.count_nonzero(allowed) != 1:
                break
            said.append(int(allowed.argmax()))
            guide.advance(said[-1])
            if said[-1] in stop:
                break
        return said

    def _pick(self, known: np.ndarray, allowed: np.ndarray, choose: Choose | None) -> int:
        head = self._engine.head
        if allowed.shape != head.values.shape[:1]:
            size = len(head.values)
            raise ValueError(f"a guide must allow or refuse each of {size} tokens, got shape {allowed.shape}")
        if choose is None:
            token = best_of(*head, known, allowed)
        else:
            tokens = np.flatnonzero(allowed)
            token = int(choose(tokens, head.rows(tokens) @ known)) if len(tokens) else -1
        if token < 0:
            raise ValueError("a guide must allow at least one token, got none; is its answer complete?")
        return token

    # ---------------------------------------------------------------- reading

    def _check_tokens(self, tokens: Sequence[int]) -> None:
        size = len(self._engine.head.values)
        if len(tokens) and not 0 <= min(tokens) <= max(tokens) < size:
            raise ValueError(f"tokens must be from 0 to {size - 1}, got {min(tokens)} to {max(tokens)}")

    def _read(self, rows: Sequence[int], drafts: Sequence[list[int]]) -> list[np.ndarray]:
        """Reads what rows have not read yet, and drafts after it.

        Returns:
            What is known after the last token of each row and after each of its draft, `(1 + len(draft), D)`.
        """
        for row in rows:
            self._make_room(row)
        unread = [self._tokens[row][len(self._tokens[row]) - self._unread[row] :] for row in rows]
        new = [tokens + draft for tokens, draft in zip(unread, drafts, strict=True)]
        wanted = [len(draft) + bool(tokens) for tokens, draft in zip(unread, drafts, strict=True)]
        found = [self._known[row : row + 1] for row in rows]
        busy = [place for place, tokens in enumerate(new) if tokens]
        if busy:
            read = [rows[place] for place in busy], [new[place] for place in busy], [wanted[place] for place in busy]
            parts = np.split(self._engine.advance(*read), np.cumsum(read[2])[:-1])
            for place, part in zip(busy, parts, strict=True):
                found[place] = part if unread[place] else np.concatenate((found[place], part))
        for row, after in zip(rows, found, strict=True):
            self._known[row] = after[0]
            self._unread[row] = 0
            if self.length is None:
                del self._tokens[row][:-KEPT]
        return found

    def _take(self, row: int, said: list[int], draft: list[int], known: np.ndarray) -> None:
        """Adds what was said to a row; of the draft that was read, only what was said stays."""
        right = 0
        while right < min(len(said), len(draft)) and said[right] == draft[right]:
            right += 1
        if right < len(draft):
            self._engine.drop(row, len(draft) - right)
        self._known[row] = known[right]
        self._drafts.learn(self._tokens[row], said)
        self._tokens[row] += said
        self._unread[row] = len(said) - right

    def _make_room(self, row: int) -> None:
        """Forgets as much of a row as it has too much."""
        if self.length is not None and len(self._tokens[row]) > self.length:
            self._forget(row)

    def _forget(self, row: int) -> None:
        """Cuts a row to half of what it can hold, or less if it can begin at one of `starts` then; all is unread."""
        kept = self._tokens[row][-(self.length // 2) :]
        begin = next((place for place, token in enumerate(kept) if token in self._starts), 0)
        self._engine.reset(row)
        self._tokens[row] = kept[begin:]
        self._unread[row] = len(kept) - begin


def sampled(generator: np.random.Generator, temperature: float = 1.0) -> Choose:
    """Returns what draws tokens at random by their probability, for `respond`.

    Args:
        generator: Of random numbers.
        temperature: What logits are divided by, above 0.

    Raises:
        ValueError: If the temperature is not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"`temperature` must be above 0, got {temperature}")

    def choose(tokens: np.ndarray, logits: np.ndarray) -> int:
        weights = np.exp((logits - logits.max()).astype(np.float64) / temperature).cumsum()
        return int(tokens[np.searchsorted(weights, generator.random() * weights[-1], side="right")])

    return choose


class _Drafts:
    """Guesses what follows a few tokens: what did when as many as possible of them were last there, in any row.

    Args:
        most: Most tokens that are guessed at a time.
    """

    CONTEXTS = (12, 4)  # how many tokens must be the same, the more first
    KEPT = 65_536

    def __init__(self, most: int) -> None:
        self._most = most
        self._next: tuple[dict[tuple[int, ...], int], ...] = tuple({} for _ in self.CONTEXTS)

    def learn(self, before: list[int], said: Iterable[int]) -> None:
        """Takes note of what was said after some tokens."""
        if not self._most:
            return
        recent = before[-self.CONTEXTS[0] :]
        for token in said:
            for size, known in zip(self.CONTEXTS, self._next, strict=True):
                known[tuple(recent[-size:])] = token
            recent = [*recent[1 - self.CONTEXTS[0] :], token]
        for known in self._next:
            while len(known) > self.KEPT:
                del known[next(iter(known))]

    def guess(self, before: list[int], most: int) -> list[int]:
        """Returns a guess of what is said after some tokens, at most so many; maybe nothing."""
        recent, found = before[-self.CONTEXTS[0] :], []
        while len(found) < min(most, self._most):
            for size, known in zip(self.CONTEXTS, self._next, strict=True):
                token = known.get(tuple(recent[-size:]))
                if token is not None:
                    break
            else:
                break
            found.append(token)
            recent = [*recent[1 - self.CONTEXTS[0] :], token]
        return found
