"""Which tokens may come next, as rows of a mask, and which must."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from gentwin.signaling.dialogue import grammar as g
from gentwin.signaling.dialogue.grammar import Frame, Machine, Spelling, Step, Steps, steps
from gentwin.signaling.dialogue.leaves import Coded, Opaque
from gentwin.signaling.dialogue.nodes import Alternatives, Carried, Group, Node
from gentwin.signaling.dialogue.slots import REF, Slot
from gentwin.signaling.dialogue.vocabulary import Vocabulary

CACHED_MASKS = 4096  # rows, each as long as the vocabulary
RANK_OF_MESSAGE = 3  # most messages that must hold fields hold no deeper ones


@dataclass(frozen=True)
class Bounds:
    """How large a message may become; what it must have, it has all the same.

    Args:
        items: Number of items in a list.
        octets: Number of octets of a value of several sizes, less than 32.
        depth: Number of groups inside each other from which on only what must be there may come.
        tokens: Number of tokens, `</>` not counted, from which on only what must be there may come.
        examples: Whether octets that no node looks into, but others do, are those of an
            [example][gentwin.signaling.dialogue.contents].
    """

    items: int = 3
    octets: int = 12
    depth: int = 12
    tokens: int = 300
    examples: bool = True


class State(NamedTuple):
    """A place in a message, for a key of what was worked out for it.

    Args:
        stack: Groups that have begun, and the value that is spelt.
        closed: Group that ended by `</>` just now, whose tokens are the only ones that may come.
        tight: Whether only what must be there may come.
    """

    stack: tuple[Frame | Spelling, ...]
    closed: Frame | None
    tight: bool


class Automaton:
    """Keeps the tokens of a message such that it can be encoded, and is written with the same tokens again.

    Args:
        vocabulary: The tokens.
        bounds: How large messages may become; None to allow whatever nodes say, as in messages of others.
        slots: Whether identifiers are slots; else they are spelt.

    ```python
    automaton = Automaton(Vocabulary.of_schema())
    automaton.start(["nas:ServiceAccept"])
    while not automaton.complete:
        automaton.advance(choose(automaton.allowed()))
    ```
    """

    def __init__(self, vocabulary: Vocabulary, bounds: Bounds | None = Bounds(), slots: bool = False) -> None:
        self.vocabulary, self.bounds, self.slots = vocabulary, bounds, slots
        self._mask = lru_cache(CACHED_MASKS)(self._mask_of)
        self._kept = lru_cache(CACHED_MASKS)(self._kept_of)
        self._accepted = lru_cache(CACHED_MASKS)(self._accepted_of)
        self._octets = lru_cache(CACHED_MASKS)(self._octets_of)
        self._like = lru_cache(CACHED_MASKS)(self._like_of)
        self._references = _References(vocabulary)
        self.start()

    def start(self, kinds: Iterable[str] | None = None) -> None:
        """Begins a message.

        Args:
            kinds: Tokens of the messages that are allowed, such as `ngap:Paging`; all if not given.

        Raises:
            KeyError: If one is no token.
        """
        self._machine = Machine(*self.vocabulary.protocols)
        self._closed: Frame | None = None
        self._count = 0
        self._kinds = None if kinds is None else self._row(kinds)

    @property
    def complete(self) -> bool:
        """Whether `<end>` came."""
        return self._count < 0

    @property
    def state(self) -> State:
        """Place in the message; equal ones have the same mask."""
        bounds, size = self.bounds, len(self._machine.stack)
        tight = bounds is not None and (self._count >= bounds.tokens or size >= bounds.depth)
        return State(tuple(self._machine.stack), self._closed, tight)

    def allowed(self, bound: Mapping[str, int] | None = None) -> np.ndarray:
        """Returns which tokens may come next.

        Args:
            bound: How many values of each type of identifier can be referred to; any number if not given.

        Returns:
            Booleans, one for each token of the vocabulary; read-only.
        """
        if self.complete:
            return self._row(())
        top = self._machine.stack[-1]
        if isinstance(top, Spelling):
            return self._spelt(top, self._machine.stack[-2])
        mask = self._mask(self.state)
        if not self._count and self._kinds is not None:
            mask = mask & self._kinds
        if bound is not None:
            mask = mask.copy()
            mask[self._references.tokens] &= self._references.are_bound(bound)
        return mask

    def advance(self, token: int) -> None:
        """Takes a token.

        Args:
            token: Its number.

        Raises:
            GrammarError: If it cannot come here.
        """
        text = self.vocabulary.tokens[token]
        closed = None
        if text == g.CLOSE:
            closed = self._innermost(list(self._machine.stack))
        self._machine.advance(text)
        self._closed = closed
        # The end of a group does not count: what it was allowed for must still be allowed after it.
        self._count = -1 if text == g.END else self._count + (text != g.CLOSE)

    def forced(self, bound: Mapping[str, int] | None = None) -> list[int]:
        """Returns the tokens that must come next, up to where there is a choice; the place stays.

        Args:
            bound: As for `allowed`.
        """
        kept = self._machine.stack[:], self._closed, self._count
        found: list[int] = []
        while not self.complete:
            choices = np.flatnonzero(self.allowed(bound))
            if len(choices) != 1:
                break
            found.append(int(choices[0]))
            self.advance(found[-1])
        self._machine.stack, self._closed, self._count = kept
        return found

    # ---------------------------------------------------------------- masks

    def _row(self, tokens: Iterable[str]) -> np.ndarray:
        row = np.zeros(len(self.vocabulary), bool)
        row[[self.vocabulary.ids[token] for token in tokens]] = True
        return row

    def _mask_of(self, state: State) -> np.ndarray:
        mask = self._open(list(state.stack), state.tight)
        if state.closed is not None:
            mask = mask & self._accepted(state.closed)
        mask[self.vocabulary.ids[g.CLOSE]] = self._can_close(list(state.stack), state.tight)
        return _constant(mask)

    def _spelt(self, top: Spelling, frame: Frame) -> np.ndarray:
        """Returns the tokens that may come in a value."""
        examples = frame.group.members[top.place].examples
        if examples is not None and isinstance(top.leaf, Opaque) and self.bounds is not None and self.bounds.examples:
            octets = examples.where(dict(frame.known))
            if octets:
                return self._like(octets, top.size, top.data)
        state = top.leaf.state(top.data, top.size) if top.size is not None and top.size >= 0 else top.data
        return self._octets(top.leaf, top.size if top.size is None else min(top.size, 0), state)

    def _like_of(self, examples: tuple[bytes, ...], size: int | None, data: bytes) -> np.ndarray:
        """Returns the tokens that may come in a value that is one of some."""
        if size is None:
            return _constant(self._row(f":{len(one)}" if len(one) < g.SHORTEST else g.LONG for one in examples))
        if size < 0:
            examples = tuple(len(one).to_bytes(g.SIZE_OCTETS, "big") for one in examples if len(one) >= g.SHORTEST)
        else:
            examples = tuple(one for one in examples if len(one) == size)
        return _constant(self._row(g.OCTETS[one[len(data)]] for one in examples if one.startswith(data)))

    def _octets_of(self, leaf: Coded, size: int | None, state: Any) -> np.ndarray:
        """Returns the tokens that may come in a value: octets, its size, or octets of its size."""
        sizes = leaf.sizes
        if size == 0:
            return _constant(self._row(g.OCTETS[octet] for octet in leaf.allowed(state)))
        if size is not None:
            return _constant(self._row(g.OCTETS[octet] for octet in _size_octets(sizes, state, self.bounds)))
        most = g.SHORTEST if self.bounds is None else max(self.bounds.octets, sizes[0]) + 1
        short = [f":{size}" for size in range(min(most, g.SHORTEST)) if size in sizes]
        long = sizes[-1] >= g.SHORTEST if self.bounds is None else not short
        return _constant(self._row([*short, g.LONG] if long else short))

    def _open(self, stack: list[Any], tight: bool) -> np.ndarray:
        """Returns the tokens that may come at a place, those that end groups by themselves among them."""
        mask, taken = self._row(()), self._row(())
        while True:
            known = steps(stack[-1])
            mask |= self._kept(stack[-1], tight) & ~taken
            taken |= self._accepted(stack[-1])
            if known.forced is not None:
                _begin(stack)
            elif known.closable and len(stack) > 1:
                stack.pop()
            else:
                break
        if known.closable and known.ended:
            mask[self.vocabulary.ids[g.END]] = True
        return mask

    def _can_close(self, stack: list[Any], tight: bool) -> bool:
        """Returns whether `</>` may come: only before a token that the group would take."""
        frame = self._innermost(stack)
        if frame is None:
            return False
        return bool((self._open(stack[:], tight) & self._accepted(frame)).any()) or self._can_close(stack, tight)

    @staticmethod
    def _innermost(stack: list[Any]) -> Frame | None:
        """Ends the innermost group in a stack and returns it; None if it cannot end."""
        while steps(stack[-1]).forced is not None:
            _begin(stack)
        if len(stack) == 1 or not steps(stack[-1]).closable:
            return None
        frame = stack.pop()
        while len(stack) > 1 and steps(stack[-1]).ended:
            stack.pop()
        return frame

    def _accepted_of(self, frame: Frame) -> np.ndarray:
        return self._row(token for token in steps(frame).tokens if token != g.OPEN)

    def _kept_of(self, frame: Frame, tight: bool) -> np.ndarray:
        """Returns the tokens of a group that keep the message within its bounds."""
        known = steps(frame)
        tokens = {token: step for token, step in known.tokens.items() if token != g.OPEN}
        slotted = {frame.group.members[place].name for place in known.places if frame.group.members[place].slot}
        tokens = {t: s for t, s in tokens.items() if self._is_wanted(frame, s, slotted)}
        if self.bounds is not None:
            tokens = self._bounded(frame, known, tokens, tight)
        return self._row(tokens)

    def _is_wanted(self, frame: Frame, step: Step, slotted: set[str]) -> bool:
        slot = isinstance(step.value, Slot)
        if isinstance(frame.group.members[step.place].node, Carried):  # only others cipher messages
            return not slot or (self.slots and self.bounds is None)
        return slot if self.slots and frame.group.members[step.place].name in slotted else not slot

    def _bounded(self, frame: Frame, known: Steps, tokens: dict[str, Step], tight: bool) -> dict[str, Step]:
        room = 1 if tight else self.bounds.items
        group = frame.group
        if group.free:
            if frame.count >= max(room, group.least):
                tokens = {}
        else:
            full = frame.times >= max(room, group.members[frame.cursor].low) if frame.times else False
            tokens = {t: s for t, s in tokens.items() if not (full and s.place == frame.cursor)}
        if not tight:
            return tokens
        if known.closable:
            return {}
        if known.required is not None:
            tokens = {t: s for t, s in tokens.items() if s.place == known.required}
        low = min((_rank_of_step(step) for step in tokens.values()), default=0)
        return {t: s for t, s in tokens.items() if _rank_of_step(s) == low}


def _begin(stack: list[Any]) -> None:
    """Begins the group that is forced at the top of a stack."""
    frame = stack[-1]
    place = steps(frame).forced
    stack[-1] = frame.after(place, True)
    stack.append(Frame(frame.group.members[place].node))


def _size_octets(sizes: Any, data: bytes, bounds: Bounds | None) -> Iterable[int]:
    """Returns which octets of a size may come after some: those of the smallest one if there are bounds."""
    least = sizes[0].to_bytes(g.SIZE_OCTETS, "big")
    if bounds is not None:
        return [least[len(data)]]
    most, place = sizes[-1].to_bytes(g.SIZE_OCTETS, "big"), len(data)
    least = max(sizes[0], g.SHORTEST).to_bytes(g.SIZE_OCTETS, "big")
    low, high = data == least[:place], data == most[:place]
    return range(least[place] if low else 0, (most[place] if high else 255) + 1)


@lru_cache(None)
def _rank(node: Node) -> int:
    """Returns how many groups are inside each other at least in a value of a node."""
    if isinstance(node, Carried):
        return RANK_OF_MESSAGE
    if isinstance(node, Alternatives):
        return min(map(_rank, node.nodes))
    if not isinstance(node, Group):
        return 0
    ranks = [_rank(member.node) for member in node.members if node.free or member.low]
    if node.free or (not ranks and node.least):
        return 1 + min((_rank(member.node) for member in node.members), default=0)
    return 1 + max(ranks, default=0)


def _rank_of_step(step: Step) -> int:
    return 0 if step.node is None else _rank(step.node)


def _constant(mask: np.ndarray) -> np.ndarray:
    """Returns a mask that nobody can write to, as it is kept."""
    mask.setflags(write=False)
    return mask


class _References:
    """Tokens that refer to values, in arrays."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        found = []
        for token, text in enumerate(vocabulary.tokens):
            _, mark, slot = text.partition(f"=<{REF}:")
            if mark:
                name, _, number = slot.rstrip(">").partition("#")
                found.append((token, name, int(number)))
        self.tokens = np.array([token for token, _, _ in found], int)
        self.numbers = np.array([number for _, _, number in found], int)
        self.names, self.places = np.unique([name for _, name, _ in found], return_inverse=True)

    def are_bound(self, counts: Mapping[str, int]) -> np.ndarray:
        """Returns for each token whether there is what it refers to."""
        return self.numbers <= np.array([counts.get(str(name), 0) for name in self.names], int)[self.places]
