"""Dialogues as tokens and back, in two views of what happens at the same time.

| view | | |
|---|---|---|
| one context | [`separate`][gentwin.signaling.dialogue.views.separate] | a sequence for each UE |
| several | [`interleave`][gentwin.signaling.dialogue.views.interleave] | one for up to 64 UEs, in the order of time |

```python
>>> for dialogue in dialogues(records):
...     for utterance in separate(dialogue):
...         print(*utterance.tokens)
<gnb>amf> <begin> ngap:InitialUEMessage ran_ue_ngap_id=<new:RAN_UE_ID> nas:RegistrationRequest … <end>
<amf>gnb> ngap:DownlinkNASTransport amf_ue_ngap_id=<new:AMF_UE_ID> ran_ue_ngap_id=<ref:RAN_UE_ID#1> … <end>
```

Both are read by [`read_utterances`][gentwin.signaling.dialogue.views.read_utterances]. Where a context begins is in the
tokens, so any number of sequences can be put one after the other.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter

from gentwin.signaling.contexts import Dialogue
from gentwin.signaling.dialogue.bindings import Bindings, canonicalise, restore
from gentwin.signaling.dialogue.directions import Sides
from gentwin.signaling.dialogue.grammar import CONTEXTS, GrammarError
from gentwin.signaling.dialogue.linear import framed, to_message, to_tokens, unframed
from gentwin.signaling.fields import Value
from gentwin.signaling.messages import Message, Record


@dataclass(frozen=True, slots=True)
class Utterance:
    """A message in a dialogue: what a twin reads and writes, and what it never sees.

    Args:
        tokens: Direction, number of the context if several are interleaved, `<begin>` if nothing was said in the
            context before, the message with slots in place of identifiers, `<end>`.
        values: Of its slots in order, without those that are referred to.
        timestamp: When it was said, in seconds since 1970.
    """

    tokens: tuple[str, ...]
    values: tuple[Value, ...]
    timestamp: float


@dataclass(frozen=True, slots=True)
class Spoken:
    """A message as it was before it became an utterance.

    Args:
        message: With all identifiers.
        direction: Who said it to whom, one of `DIRECTIONS`.
        timestamp: When, in seconds since 1970.
        dialogue: That it belongs to: how many began before, from 0.
    """

    message: Message
    direction: str
    timestamp: float
    dialogue: int


class ContextView:
    """The dialogue of one context, message by message, in either direction: what is heard and what is answered.

    Args:
        bindings: Identifiers that the context has used, if something was said before.
        number: Of the context, 1 to 64, among several; None if it is alone.
    """

    def __init__(self, bindings: Bindings | None = None, number: int | None = None) -> None:
        self._begun = bindings is not None
        self.bindings = Bindings() if bindings is None else bindings
        self.number = number

    def write(self, message: Message, direction: str, timestamp: float) -> Utterance:
        """Returns a message as an utterance.

        Args:
            message: Any that a codec decoded.
            direction: Who says it to whom, one of `DIRECTIONS`.
            timestamp: When, in seconds since 1970.

        Raises:
            ValueError: If there is no such direction or number.
        """
        canonical, values = canonicalise(message, self.bindings)
        tokens = framed(to_tokens(canonical), direction, self.number, begins=not self._begun)
        self._begun = True
        return Utterance(tuple(tokens), tuple(values), timestamp)

    def read(self, utterance: Utterance) -> Message:
        """Returns the message of an utterance.

        Raises:
            GrammarError: If its tokens are no message, or it is the first of the context and says that it is not, or
                the other way round.
            DecodeError: If what is raw in them is none.
            SlotError: If a slot refers to nothing, or there are fewer or more values than slots.
        """
        parts = unframed(utterance.tokens)
        if parts.begins is self._begun:
            raise GrammarError(f"context {parts.context} {'begins again' if self._begun else 'has no beginning'}")
        message = restore(to_message(parts.tokens), utterance.values, self.bindings)
        self._begun = True
        return message


class Interleaver:
    """Writes what is said in several contexts as one sequence.

    A context has a number from its first message on: the lowest one that none had before, and when all are taken, that
    of the context that was silent for longest. That one begins anew, with another number, if it speaks again. Wherever
    a number is given, `<begin>` follows it, and nothing that was bound to it before is known any more.

    Args:
        contexts: How many numbers there are, 1 to 64.

    Raises:
        ValueError: If it is not from 1 to 64.
    """

    def __init__(self, contexts: int = CONTEXTS) -> None:
        if not 1 <= contexts <= CONTEXTS:
            raise ValueError(f"`contexts` must be from 1 to {CONTEXTS}, got {contexts}")
        self.contexts = contexts
        self._alive: OrderedDict[Hashable, ContextView] = OrderedDict()

    def write(self, context: Hashable, message: Message, direction: str, timestamp: float) -> Utterance:
        """Returns a message as an utterance.

        Args:
            context: That it belongs to, by whatever name or object.
            message: Any that a codec decoded.
            direction: Who says it to whom, one of `DIRECTIONS`.
            timestamp: When, in seconds since 1970.
        """
        if context not in self._alive:
            number = len(self._alive) + 1
            if number > self.contexts:
                number = self._alive.popitem(last=False)[1].number
            self._alive[context] = ContextView(number=number)
        self._alive.move_to_end(context)
        return self._alive[context].write(message, direction, timestamp)


def separate(dialogue: Dialogue, sides: Sides | None = None) -> list[Utterance]:
    """Returns a dialogue as a sequence of its own.

    Args:
        dialogue: Of one UE, or of two nodes.
        sides: Who is who; learnt from the dialogue if not given, which may not tell for a heartbeat alone.
    """
    sides, view = sides or Sides(dialogue.records), ContextView()
    return [view.write(record.message, sides.direction_of(record), record.timestamp) for record in dialogue.records]


def interleave(
    dialogues: Iterable[Dialogue], contexts: int = CONTEXTS, sides: Sides | None = None
) -> Iterator[Utterance]:
    """Yields several dialogues as one sequence, in the order of time.

    Args:
        dialogues: Any number of UEs and nodes.
        contexts: How many of them are told apart at a time, 1 to 64; see
            [`Interleaver`][gentwin.signaling.dialogue.views.Interleaver].
        sides: Who is who; learnt from the dialogues if not given.

    Raises:
        ValueError: If `contexts` is not from 1 to 64.
    """
    dialogues = list(dialogues)
    sides = sides or Sides(chain.from_iterable(dialogue.records for dialogue in dialogues))
    interleaver = Interleaver(contexts)
    for _, place, record in heapq.merge(*map(_timed, range(len(dialogues)), dialogues), key=itemgetter(0)):
        yield interleaver.write(place, record.message, sides.direction_of(record), record.timestamp)


def _timed(place: int, dialogue: Dialogue) -> Iterator[tuple[float, int, Record]]:
    return ((record.timestamp, place, record) for record in dialogue.records)


def read_utterances(utterances: Iterable[Utterance]) -> Iterator[Spoken]:
    """Yields the messages of either view, with the dialogue that each belongs to.

    Args:
        utterances: As `separate` or `interleave` gives them, or several of the one or of the other after each other.

    Raises:
        GrammarError: If tokens are no message, or a context does not begin with `<begin>`.
        DecodeError: If what is raw in them is none.
        SlotError: If a slot refers to nothing, or there are fewer or more values than slots.
    """
    views: dict[int | None, tuple[int, ContextView]] = {}
    begun = 0
    for utterance in utterances:
        parts = unframed(utterance.tokens)
        if parts.begins:
            views[parts.context] = begun, ContextView()
            begun += 1
        elif parts.context not in views:
            raise GrammarError(f"context {parts.context} has no beginning")
        dialogue, view = views[parts.context]
        yield Spoken(view.read(utterance), parts.direction, utterance.timestamp, dialogue)
