"""Dialogues as turns: what a core hears, and all that it says because of it.

```python
>>> for turn in turns_of(dialogue):
...     print(turn.heard.message.name if turn.heard else turn.stimulus, [said.message.name for said in turn.said])
InitialUEMessage ['DownlinkNASTransport']
UplinkNASTransport ['InitialContextSetupRequest']
InitialContextSetupResponse []
```

Records are in the order of time. What a core says because of one message may come after the next one was heard; who
answers each message before the next one comes, as a twin does, needs the order of cause. A message of the core belongs
to the latest of those that its procedure says it answers ([`TRIGGERS`][gentwin.signaling.turns.triggers.TRIGGERS]); to
the one heard last if it has no procedure that is known; and to a stimulus that nobody says if nothing of its procedure
was heard, or if it is the same message once more.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gentwin.signaling.contexts import Dialogue
from gentwin.signaling.dialogue.directions import Sides
from gentwin.signaling.messages import PFCP, Message, Record
from gentwin.signaling.turns.arrange import ESTABLISHMENT, FROM_CORE, WAITS, Arranger, Cause, OpenTurn
from gentwin.signaling.turns.triggers import REQUEST

__all__ = ["FROM_CORE", "Arranger", "Cause", "Decided", "Turn", "turns_of"]


@dataclass(frozen=True, slots=True)
class Turn:
    """What a core hears, and what it says because of it.

    Args:
        stimulus: Record that is heard, or the token of what nobody says, such as `<timer:T3550>`.
        timestamp: When, in seconds since 1970.
        said: Records that the core says, in their order.
    """

    stimulus: Record | str
    timestamp: float
    said: tuple[Record, ...] = ()

    @property
    def heard(self) -> Record | None:
        """The record that is heard; None if nobody says anything."""
        return None if isinstance(self.stimulus, str) else self.stimulus

    @property
    def records(self) -> tuple[Record, ...]:
        """All records of the turn, in their order."""
        return self.said if self.heard is None else (self.heard, *self.said)


class Decided(NamedTuple):
    """A decision on something that had to wait for it.

    Args:
        asked: When it was heard, in seconds since 1970.
        time: When it was decided.
        names: Of the messages that can have asked for it.
        dnn: Data network it is about; None if it is about none.
    """

    asked: float
    time: float
    names: frozenset[str]
    dnn: str | None = None


def turns_of(
    dialogue: Dialogue,
    sides: Sides | None = None,
    opened: Sequence[Message] | None = None,
    arranger: Arranger | None = None,
    decided: Iterable[Decided] = (),
) -> Iterator[Turn]:
    """Yields the turns of a dialogue. Every record is in one of them.

    What is heard keeps its order, and so does what the core says on N2. Requests of N4 are in the order of their
    numbers, as their datagrams may overtake each other. Responses of N4 go with what they respond to.

    Args:
        dialogue: Of one UE, or of two nodes.
        sides: Who is who; learnt from the dialogue if not given.
        opened: Message of each record with ciphered NAS opened, where its kind matters; those of the records if not
            given.
        arranger: To look at afterwards; a new one if not given.
        decided: Decisions on what had to wait, in the order of time.
    """
    records, sides, waiting = dialogue.records, sides or Sides(dialogue.records), deque(decided)
    arranger = arranger or Arranger((known.asked, known.names, known.dnn) for known in waiting)
    messages: Iterable[Message] = opened if opened is not None else (record.message for record in records)
    for place, (record, message) in enumerate(zip(records, messages, strict=True)):
        while waiting and waiting[0].time < record.timestamp:
            arranger.decide(*waiting.popleft())
        take = arranger.say if sides.direction_of(record) in FROM_CORE else arranger.hear
        take(place, message, record.timestamp)
    _sort_establishments(arranger.turns, records)
    for turn in arranger.turns:
        stimulus = turn.stimulus if isinstance(turn.stimulus, str) else records[turn.stimulus]
        yield Turn(stimulus, turn.time, _in_order([records[place] for place in turn.said]))


def _sort_establishments(turns: Sequence[OpenTurn], records: Sequence[Record]) -> None:
    """Lets sessions that were asked for at about the same time be established in the order of the numbers of N4.

    A request of N4 does not say which session it is for, and datagrams may overtake each other.
    """
    together: dict[object, list[tuple[OpenTurn, int]]] = defaultdict(list)  # turn, and place in what is said in it
    for turn in turns:
        for place, said in enumerate(turn.said):
            message = records[said].message
            if message.name != ESTABLISHMENT or isinstance(turn.stimulus, str):
                continue
            entries = together[message.get("apn_dnn")]
            if entries and turn.time - entries[-1][0].time > WAITS:
                _sort(entries, records)
                entries.clear()
            entries.append((turn, place))
    for entries in together.values():
        _sort(entries, records)


def _sort(entries: Sequence[tuple[OpenTurn, int]], records: Sequence[Record]) -> None:
    said = sorted(
        (turn.said[place] for turn, place in entries), key=lambda place: records[place].message["sequence_number"]
    )
    for (turn, place), record in zip(entries, said, strict=True):
        turn.said[place] = record


def _in_order(said: list[Record]) -> tuple[Record, ...]:
    """Returns what is said in a turn with the requests of N4 in the order of their numbers, in which they were made."""
    places = [place for place, record in enumerate(said) if _is_request(record.message)]
    requests = sorted((said[place] for place in places), key=lambda record: record.message["sequence_number"])
    for place, record in zip(places, requests, strict=True):
        said[place] = record
    return tuple(said)


def _is_request(message: Message) -> bool:
    return message.protocol == PFCP and message.name.endswith(REQUEST)
