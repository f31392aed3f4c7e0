"""What was answered before: to the same tokens, with as many identifiers, the model says the same again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import chain, count
from typing import NamedTuple

LONGEST = 512  # tokens that are heard and said in an answer that is remembered
ANSWERS_PER_PLACE = 16  # that is found by its tokens, which may be many

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
        most: How many answers; 0 to remember none.
    """

    def __init__(self, most: int) -> None:
        self._most = most
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
        key = tuple(tokens)
        found = self._places.pop(key, None)
        self._places[key] = next(self._next) if found is None else found
        if len(self._places) * ANSWERS_PER_PLACE > self._most + ANSWERS_PER_PLACE:
            self._places.popitem(last=False)
        return self._places[key]

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
        found = self._answers.get(key)
        if found is not None:
            self._answers.move_to_end(key)
        return found

    def add(self, key: Key, tokens: list[int]) -> int:
        """Takes an answer, and returns the place that follows."""
        answer = Answer(tokens, next(self._next))
        if len(key[1]) + len(tokens) <= LONGEST:
            self._answers[key] = answer
            if len(self._answers) > self._most:
                self._answers.popitem(last=False)
        return answer.place
