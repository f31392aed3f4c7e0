"""What was answered before: to the same tokens, with as many identifiers, the model says the same again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import chain, count
from typing import NamedTuple

KEPT = 16_384
Key = tuple
"""Place, tokens that are heard, whether they begin a context, and how many identifiers of each type there are."""


class Answer(NamedTuple):
    """What the model says.

    Args:
        tokens: Up to `<wait>`.
        place: That a context has come to by them.
    """

    tokens: list[int]
    place: int


class Answers:
    """Answers by all that was said before them, the latest ones.

    UEs do much the same, and slots stand for their identifiers, so their contexts are often the same tokens. What the
    likeliest answer is depends on nothing but tokens and identifiers that can be referred to; so it is worked out once.

    A context has a place, which stands for all of its tokens in their order: the same place, the same tokens. From a
    place, what is heard and answered leads to the next one.

    Args:
        kept: How many answers, and how many places that were found by their tokens.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._answers: OrderedDict[Key, Answer] = OrderedDict()
        self._places: OrderedDict[tuple[int, ...], int] = OrderedDict()
        self._next = count()

    def __len__(self) -> int:
        return len(self._answers)

    def place(self, tokens: Sequence[int]) -> int:
        """Returns the place of a context of which only the tokens are known.

        Args:
            tokens: All that it has.
        """
        found = self._places.pop(tuple(tokens), None)
        return self._keep(self._places, tuple(tokens), next(self._next) if found is None else found)

    @staticmethod
    def key(place: int, heard: Sequence[int], begins: bool, bound: Mapping[str, int]) -> Key:
        """Returns what an answer depends on.

        Args:
            place: Of the context.
            heard: Tokens that it goes on with.
            begins: Whether the answer begins the context.
            bound: How many identifiers of each type can be referred to.
        """
        return place, tuple(heard), begins, *chain.from_iterable(sorted(bound.items()))

    def find(self, key: Key) -> Answer | None:
        """Returns an answer that was given before; None if there is none."""
        found = self._answers.pop(key, None)
        return None if found is None else self._keep(self._answers, key, found)

    def add(self, key: Key, tokens: list[int]) -> Answer:
        """Takes an answer, and returns it with the place that follows."""
        return self._keep(self._answers, key, Answer(tokens, next(self._next)))

    def _keep(self, known: OrderedDict, key: tuple, value: object) -> object:
        known[key] = value
        if len(known) > self._kept:
            known.popitem(last=False)
        return value
