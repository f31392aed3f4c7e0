"""What was answered before: to the same tokens, with as many identifiers, the model says the same again."""

from __future__ import annotations

from array import array
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

    A context has a place, which stands for all that the model has read of it, in its order: the same place, the same
    tokens. From a place, what is heard and answered leads to the next one.

    Args:
        most_answers: How many answers, of some 2 KB each; 0 to remember none. There is a sixteenth as many places that
            are found by their tokens, of 4 bytes for each token.

    Raises:
        ValueError: If it is negative.
    """

    def __init__(self, most_answers: int) -> None:
        if most_answers < 0:
            raise ValueError(f"`most_answers` must be at least 0, got {most_answers}.")
        self._most = most_answers
        self._answers: OrderedDict[Key, Answer] = OrderedDict()
        self._places: OrderedDict[bytes, int] = OrderedDict()
        self._next = count()

    def __len__(self) -> int:
        return len(self._answers)

    def place(self, tokens: Sequence[int]) -> int:
        """Returns the place of a context of which only the tokens are known.

        Args:
            tokens: All that the model has read or is to read before it answers.
        """
        key = array("i", tokens).tobytes()
        found = self._places.pop(key, None)
        self._places[key] = self.new_place() if found is None else found
        if len(self._places) * ANSWERS_PER_PLACE > self._most + ANSWERS_PER_PLACE:
            self._places.popitem(last=False)
        return self._places[key]

    def new_place(self) -> int:
        """Returns a place where nobody was, for a context of which not all tokens are known any more."""
        return next(self._next)

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
        answer = Answer(tokens, self.new_place())
        if len(key[1]) + len(tokens) <= LONGEST:
            self._answers[key] = answer
            if len(self._answers) > self._most:
                self._answers.popitem(last=False)
        return answer.place
