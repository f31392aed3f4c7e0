"""Messages as tokens and back, without loss."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

from gentwin.signaling.dialogue import raw
from gentwin.signaling.dialogue.grammar import (
    BEGIN,
    CLOSE,
    CONTEXT_TOKENS,
    DIRECTIONS,
    END,
    LONG,
    MESSAGE,
    NUMBERS,
    OCTETS,
    OPEN,
    RAW,
    SHORTEST,
    SIZE_OCTETS,
    Frame,
    GrammarError,
    Machine,
    Step,
    Steps,
    message_token,
    root,
    steps,
    value_token,
)
from gentwin.signaling.dialogue.leaves import Coded, Unfit, same
from gentwin.signaling.dialogue.nodes import Alternatives, Carried, Choice, Group, Member, Node
from gentwin.signaling.dialogue.schema import PROTOCOLS
from gentwin.signaling.dialogue.slots import Slot, tokens_of_slot
from gentwin.signaling.fields import Fields, Value
from gentwin.signaling.messages import NAS, Message

MOST_KEPT, MOST_KEPT_TOKENS = 2048, 512
_KEPT: dict[Message, tuple[str, ...]] = {}
"""Tokens of messages seen before: those with slots repeat, as only their identifiers differ."""
_CONTEXTS = {token: number for number, token in enumerate(CONTEXT_TOKENS, 1)}


def to_tokens(message: Message) -> list[str]:
    """Returns a message as tokens; the last one is `<end>`.

    Args:
        message: Any that a codec decoded, with slots in place of values or without.

    Raises:
        ImportError: If it is of NGAP and pycrate is not installed.
    """
    known = _KEPT.get(message)
    if known is not None:
        return list(known)
    writer = _Writer(_known(message.protocol))
    writer.pair(0, MESSAGE, message)
    tokens = (*writer.tokens, END)
    if len(tokens) <= MOST_KEPT_TOKENS:
        if len(_KEPT) >= MOST_KEPT:
            _KEPT.clear()
        _KEPT[message] = tokens
    return list(tokens)


def to_message(tokens: Iterable[str]) -> Message:
    """Returns the message that some tokens are.

    Args:
        tokens: As `to_tokens` or an automaton gives them, `<end>` at the end.

    Raises:
        GrammarError: If they are none.
        DecodeError: If what is raw in them is none.
        ImportError: If it is of NGAP and pycrate is not installed.
    """
    tokens = iter(tokens)
    first = next(tokens, END)
    reader = _Reader(_known(first.partition(":")[0]))
    for token in chain([first], tokens):
        reader.advance(token)
    message = reader.pairs[0][0][1] if reader.complete else None
    if not isinstance(message, Message):
        raise GrammarError("tokens must be a whole message and `<end>`")
    return message


def _known(protocol: str) -> str:
    """Returns a protocol, or any for a message of none, which is raw."""
    return protocol if protocol in PROTOCOLS else NAS


class Framed(NamedTuple):
    """A message as it stands in a dialogue.

    Args:
        direction: Who says it to whom, one of `DIRECTIONS`.
        context: Number of its context from 1 to 64, where a dialogue is that of several; None elsewhere.
        begins: Whether it is the first of its context, which knows no identifier before it.
        tokens: Of the message.
    """

    direction: str
    context: int | None
    begins: bool
    tokens: list[str]


def framed(tokens: Iterable[str], direction: str, context: int | None = None, begins: bool = False) -> list[str]:
    """Returns the tokens of a message as they stand in a dialogue: direction, context, `<begin>`, message.

    Args:
        tokens: Of the message.
        direction: Who says it to whom, one of `DIRECTIONS`.
        context: Number of its context from 1 to 64, where a dialogue is that of several.
        begins: Whether it is the first of its context.

    Raises:
        ValueError: If there is no such direction or context.
    """
    if direction not in DIRECTIONS:
        raise ValueError(f"`direction` must be one of {', '.join(DIRECTIONS)}, got {direction!r}")
    if context is not None and not 0 < context <= len(CONTEXT_TOKENS):
        raise ValueError(f"`context` must be from 1 to {len(CONTEXT_TOKENS)}, got {context}")
    numbered = () if context is None else (CONTEXT_TOKENS[context - 1],)
    return [direction, *numbered, *((BEGIN,) if begins else ()), *tokens]


def unframed(tokens: Sequence[str]) -> Framed:
    """Returns direction, context and tokens of a message in a dialogue.

    Args:
        tokens: As `framed` gives them.

    Raises:
        GrammarError: If they do not begin with a direction.
    """
    if not tokens or tokens[0] not in DIRECTIONS:
        raise GrammarError(f"a message in a dialogue begins with one of {', '.join(DIRECTIONS)}")
    context = _CONTEXTS.get(tokens[1]) if len(tokens) > 1 else None
    place = 1 if context is None else 2
    begins = len(tokens) > place and tokens[place] == BEGIN
    return Framed(tokens[0], context, begins, list(tokens[place + begins :]))


class _Writer:
    """Writes fields as tokens.

    Attributes:
        tokens: Those written.
        stack: Groups that have begun.
        ended: Places in groups that ended since the last token although more could have come, innermost first.
    """

    def __init__(self, protocol: str) -> None:
        self.tokens: list[str] = []
        self.stack = [Frame(root(protocol))]
        self.ended: list[Steps] = []

    def pair(self, depth: int, name: str, value: Value) -> None:
        """Writes a field of a group, raw if its nodes do not say that it may be there.

        Raises:
            Unfit: If nothing more can come in the group.
        """
        kept = len(self.tokens), self.stack[:], self.ended[:]
        known = steps(self.stack[depth])
        if known.ended:
            raise Unfit(name)
        place = self._place(known, depth, name)
        if place is not None:
            try:
                self._typed(depth, known, place, value)
                return
            except Unfit:
                del self.tokens[kept[0] :]
                self.stack, self.ended = kept[1], kept[2]
        self._raw(depth, place, name, value)

    def _place(self, known: Steps, depth: int, name: str) -> int | None:
        members = self.stack[depth].group.places.get(name, ())
        return next((place for place in members if place in known.places), None)

    def _put(self, token: str) -> None:
        """Writes a token, and before it the end of groups that it would go on with."""
        last = max((place for place, known in enumerate(self.ended, 1) if token in known.tokens), default=0)
        self.tokens += [CLOSE] * last
        self.tokens.append(token)
        self.ended.clear()

    def _raw(self, depth: int, place: int | None, name: str, value: Value) -> None:
        data = raw.pack(name, value)
        self.tokens += [CLOSE] * len(self.ended)
        self.tokens.append(RAW)
        self.tokens += [OCTETS[octet] for octet in len(data).to_bytes(SIZE_OCTETS, "big") + data]
        self.ended.clear()
        if place is not None:
            self.stack[depth] = self.stack[depth].after(place, value)

    def _typed(self, depth: int, known: Steps, place: int, value: Value) -> None:
        frame = self.stack[depth]
        member = frame.group.members[place]
        if isinstance(value, Slot):
            if member.slot is None or value not in tokens_of_slot(member.slot):
                raise Unfit(value)
            self._put(value_token(member.name, value))
            self.stack[depth] = frame.after(place, value)
            return
        self.stack[depth] = frame.after(place, True if isinstance(value, Fields | Message) else value)
        if known.forced is not None:
            self._unnamed(member, value)
        else:
            self._value(member, member.node, member.name, value)

    def _unnamed(self, member: Member, value: Value) -> None:
        """Writes the fields of a group whose name is left out, unless something raw comes first."""
        start, kept = len(self.tokens), (self.stack[:], self.ended[:])
        self._fields(member.node, value)
        first = next((token for token in self.tokens[start:] if token != CLOSE), None)
        if first in (RAW, OPEN):
            del self.tokens[start:]
            self.stack, self.ended = kept
            self._value(member, member.node, OPEN, value)

    def _value(self, member: Member, node: Node, name: str, value: Any) -> None:
        if isinstance(node, Coded):
            self._spell(node, name, value)
        elif isinstance(node, Choice):
            if node.other is not None and value not in node.places:
                self._spell(node.other, name, value)
            elif (
                isinstance(value, Message)
                or value not in node.places
                or not same(node.values[node.places[value]], value)
            ):
                raise Unfit(value)
            else:
                self._put(value_token(name, value))
        elif isinstance(node, Group):
            if type(value) is not Fields:
                raise Unfit(value)
            self._put(name)
            self._fields(node, value)
        elif isinstance(node, Carried):
            self._message(node, value)
        else:
            self._one_of(member, node, name, value)

    def _one_of(self, member: Member, node: Alternatives, name: str, value: Value) -> None:
        kept = len(self.tokens), self.stack[:], self.ended[:]
        for number, one in enumerate(node.nodes):
            try:
                self._value(member, one, f"{name}|{number}" if number else name, value)
            except Unfit:
                pass
            else:
                if RAW not in self.tokens[kept[0] :]:
                    return
            del self.tokens[kept[0] :]
            self.stack, self.ended = kept[1][:], kept[2][:]
        raise Unfit(value)

    def _message(self, node: Carried, value: Any) -> None:
        if not isinstance(value, Message) or value.protocol != node.protocol or value.name not in node.names:
            raise Unfit(value)
        self._put(message_token(value.protocol, value.name))
        self._fields(node.find(value.name), value.fields)

    def _fields(self, group: Group, value: Any) -> None:
        if type(value) is not Fields:
            raise Unfit(value)
        depth = len(self.stack)
        self.stack.append(Frame(group))
        for name, inner in value:
            self.pair(depth, name, inner)
        known = steps(self.stack.pop())
        if not known.closable:
            raise Unfit(value)
        if not known.ended:
            self.ended.append(known)

    def _spell(self, leaf: Coded, name: str, value: Value) -> None:
        data = leaf.pack(value)
        self._put(name)
        if not leaf.fixed:
            if len(data) < SHORTEST:
                self.tokens.append(f":{len(data)}")
            else:
                self.tokens += [LONG, *(OCTETS[octet] for octet in len(data).to_bytes(SIZE_OCTETS, "big"))]
        self.tokens += [OCTETS[octet] for octet in data]


class _Reader(Machine):
    """Makes a message of tokens.

    Attributes:
        pairs: Fields of each group that has begun; the message is in the first.
        complete: Whether `<end>` came.
    """

    def __init__(self, protocol: str) -> None:
        super().__init__(protocol)
        self.pairs: list[list[tuple[str, Any]]] = [[]]
        self.complete = False
        self._heads: list[tuple[str, Step | None]] = []
        self._escaped: bytearray | None = None

    def advance(self, token: str) -> None:
        if self.complete:
            raise GrammarError(f"{token!r} after the end of the message")
        if self._escaped is not None:
            self._escape(token)
        elif token == RAW and isinstance(self.stack[-1], Frame):
            self._escaped = bytearray()
        else:
            super().advance(token)
            self.complete = token == END

    def opened(self, name: str, step: Step | None) -> None:
        self._heads.append((name, step))
        self.pairs.append([])

    def closed(self) -> None:
        (name, step), fields = self._heads.pop(), Fields(self.pairs.pop())
        message = step is not None and step.protocol is not None
        self.pairs[-1].append((name, Message(step.protocol, step.value, fields) if message else fields))

    def held(self, name: str, value: Value) -> None:
        self.pairs[-1].append((name, value))

    def _escape(self, token: str) -> None:
        if token not in NUMBERS:
            raise GrammarError(f"{token!r} is no octet of a raw field")
        self._escaped.append(NUMBERS[token])
        size = int.from_bytes(self._escaped[:SIZE_OCTETS], "big")
        if len(self._escaped) < SIZE_OCTETS or len(self._escaped) < SIZE_OCTETS + size:
            return
        name, value = raw.unpack(bytes(self._escaped[SIZE_OCTETS:]))
        self._escaped = None
        frame = self.stack[-1]
        known = steps(frame)
        if known.ended:
            raise GrammarError("a raw field where nothing more can come")
        place = next((place for place in frame.group.places.get(name, ()) if place in known.places), None)
        if place is not None:
            self.stack[-1] = frame.after(place, value)
        self.held(name, value)
        self._settle()
