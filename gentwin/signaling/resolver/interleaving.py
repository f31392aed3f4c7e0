"""Examples of several contexts in one sequence, in the order of time."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from random import Random

from gentwin.signaling.dialogue.grammar import CONTEXT_TOKENS, CONTEXTS, DIRECTIONS
from gentwin.signaling.dialogue.hints import STIMULI, WAIT
from gentwin.signaling.resolver.examples import Example

SPREAD = 0.1
"""Seconds within which the dialogues of a group begin: a registration takes as long."""
_NUMBERED = frozenset((*DIRECTIONS, *STIMULI))
_Turn = tuple[float, int, int, list[str], list[bool]]


def interleaved(examples: Sequence[Example], offsets: Sequence[float] | None = None) -> Example:
    """Returns the turns of several examples in one sequence, in the order of time.

    The number of its context follows every direction and every stimulus that nobody says; hints, and `<wait>`, are
    those of the turn in which they are.

    Args:
        examples: 1 to 64.
        offsets: Seconds that the times of each are shifted by; 0 if not given.

    Raises:
        ValueError: If there are too many examples, or not as many offsets.
    """
    if not 1 <= len(examples) <= CONTEXTS:
        raise ValueError(f"`examples` must be from 1 to {CONTEXTS}, got {len(examples)}")
    offsets = [0.0] * len(examples) if offsets is None else offsets
    if len(offsets) != len(examples):
        raise ValueError(f"`offsets` must be one for each of {len(examples)} examples, got {len(offsets)}")
    tokens: list[str] = []
    said: list[bool] = []
    times: list[float] = []
    kinds = {example.kind for example in examples}
    for time, _, _, words, by_core in heapq.merge(*map(_turns, range(len(examples)), examples, offsets)):
        tokens += words
        said += by_core
        times.append(time)
    return Example(tokens, said, kinds.pop() if len(kinds) == 1 else "mixed", times)


def _turns(place: int, example: Example, offset: float) -> Iterator[_Turn]:
    """Yields the turns of an example with the number of its context."""
    number, started, turn = CONTEXT_TOKENS[place], 0, 0
    for end, token in enumerate(example.tokens, 1):
        if token != WAIT or not example.said[end - 1]:
            continue
        words: list[str] = []
        by_core: list[bool] = []
        for word, core in zip(example.tokens[started:end], example.said[started:end], strict=True):
            more = (word, number) if word in _NUMBERED else (word,)
            words += more
            by_core += [core] * len(more)
        yield example.times[turn] + offset, place, turn, words, by_core
        started, turn = end, turn + 1


def interleaved_examples(
    examples: Iterable[Example], count: int | tuple[int, int], seed: int = 0, spread: float = SPREAD
) -> Iterator[Example]:
    """Yields examples of several contexts each, all of which begin at nearly the same time.

    Every example is in one of them; the last ones may be of fewer contexts.

    Args:
        examples: Of one context each.
        count: How many are put together, 1 to 64, or the least and the most of a number that is drawn anew each time.
        seed: Of which are put together, and when they begin.
        spread: Seconds within which those begin that are together.

    Raises:
        ValueError: If a count is not from 1 to 64.
    """
    least, most = (count, count) if isinstance(count, int) else count
    if not 1 <= least <= most <= CONTEXTS:
        raise ValueError(f"`count` must be from 1 to {CONTEXTS}, or two such numbers in order, got {count!r}")
    random, left = Random(seed), [*examples]
    random.shuffle(left)
    while left:
        size = random.randint(least, most)
        group, left = left[:size], left[size:]
        yield interleaved(group, [random.uniform(0.0, spread) - example.times[0] for example in group])
