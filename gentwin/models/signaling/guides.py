"""What may be said in a turn of the core: messages to the right side, with identifiers that are known, and silence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from functools import lru_cache

import numpy as np

from gentwin.signaling.dialogue import END, Automaton, GrammarError, Vocabulary
from gentwin.signaling.dialogue.directions import AMF_TO_GNB, FROM_GNB, FROM_UPF, SMF_TO_UPF
from gentwin.signaling.dialogue.grammar import BEGIN
from gentwin.signaling.dialogue.hints import WAIT
from gentwin.signaling.dialogue.slots import FARTHEST, NEW, REF
from gentwin.signaling.messages import NGAP, PFCP


class TurnGuide:
    """Says which tokens may come in what the core says: a direction, a message, and so on, until it waits.

    A message is one that the core may send to that side. It can refer to as many identifiers as the context has; those
    that the answer itself makes count from then on.

    Args:
        automaton: Of the messages. It is left as it is; guides of one share what it has worked out.
        bound: How many identifiers of each type the context has, as `Bindings.counts`; any number if not given.
        silent: Whether `<wait>` may come at once.
        prefix: Tokens after each direction, as the number of the context.
        begins: Whether the first message is the first of its context, with `<begin>` after the prefix.
    """

    def __init__(
        self,
        automaton: Automaton,
        bound: Mapping[str, int] | None = None,
        silent: bool = True,
        prefix: Sequence[str] = (),
        begins: bool = False,
    ) -> None:
        self._automaton = copy(automaton)
        self._names = _names(automaton.vocabulary)
        self._counts = None if bound is None else dict(bound)
        self._usable = None if bound is None else self._names.usable(bound)
        self._prefix = automaton.vocabulary.encode(prefix)
        self._first = automaton.vocabulary.encode([BEGIN]) if begins else []
        self._left: list[int] | None = None  # of the prefix; None before a direction
        self._begins = self._names.begins if silent else self._names.speaks
        self.complete = False

    def allowed(self) -> np.ndarray:
        """Returns which tokens may come next, one boolean for each token of the vocabulary; none after `<wait>`."""
        if self.complete:
            return self._names.nothing
        if self._left is None:
            return self._begins
        if self._left:
            return self._names.only(self._left[0])
        allowed = self._automaton.allowed()
        return allowed if self._usable is None else allowed & self._usable

    def advance(self, token: int) -> None:
        """Takes a token.

        Raises:
            GrammarError: If it cannot come here.
        """
        if self._left is not None and not self._left:
            self._advance_message(token)
            return
        if not self.allowed()[token]:
            raise GrammarError(f"{self._automaton.vocabulary.tokens[token]!r} cannot come here")
        if self._left:
            self._left.pop(0)
        elif token == self._names.wait:
            self.complete = True
        else:
            self._left, self._first = [*self._prefix, *self._first], []
            self._automaton.start(self._names.messages[token])

    def _advance_message(self, token: int) -> None:
        self._automaton.advance(token)
        made = self._names.makes.get(token)
        if self._counts is not None and made is not None and self._counts.get(made, 0) < FARTHEST:
            self._counts[made] = self._counts.get(made, 0) + 1
            self._usable = self._names.usable(self._counts)
        if self._automaton.complete:
            self._left, self._begins = None, self._names.begins


class _Names:
    """Tokens of a vocabulary by what they mean in a turn."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._size = len(vocabulary)
        ids = vocabulary.ids
        self.end, self.wait = ids[END], ids[WAIT]
        self.messages: dict[int, list[str]] = {}
        for direction, protocol, never in ((AMF_TO_GNB, NGAP, FROM_GNB), (SMF_TO_UPF, PFCP, FROM_UPF)):
            names = [t for t in vocabulary.tokens if t.startswith(f"{protocol}:") and t.partition(":")[2] not in never]
            if names:
                self.messages[ids[direction]] = names
        self.nothing = self._row([])
        self.speaks = self._row(self.messages)
        self.begins = self._row([*self.messages, self.wait])
        self.makes: dict[int, str] = {}
        references: dict[str, list[tuple[int, int]]] = {}
        for number, token in enumerate(vocabulary.tokens):
            _, new, made = token.partition(f"=<{NEW}:")
            _, ref, known = token.partition(f"=<{REF}:")
            if new:
                self.makes[number] = made.rstrip(">")
            elif ref:
                name, _, place = known.rstrip(">").partition("#")
                references.setdefault(name, []).append((number, int(place)))
        self._references = {name: np.array(pairs) for name, pairs in references.items()}
        self.only = lru_cache(256)(lambda token: self._row([token]))

    def usable(self, counts: Mapping[str, int]) -> np.ndarray:
        """Returns which tokens do not refer to an identifier that is not there."""
        row = np.ones(self._size, bool)
        for name, pairs in self._references.items():
            row[pairs[pairs[:, 1] > counts.get(name, 0), 0]] = False
        return row

    def _row(self, tokens: Iterable[int]) -> np.ndarray:
        row = np.zeros(self._size, bool)
        row[list(tokens)] = True
        row.setflags(write=False)
        return row


@lru_cache(8)
def _names(vocabulary: Vocabulary) -> _Names:
    return _Names(vocabulary)
