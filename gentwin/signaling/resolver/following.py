"""Dialogues that were recorded, turn by turn, as a resolver follows them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from heapq import merge
from typing import NamedTuple

from gentwin.signaling.contexts import NODE, Context, ContextTracker, Dialogue, dialogues
from gentwin.signaling.core.policy import MODIFICATION, REGISTRATION, SERVICE, SESSION
from gentwin.signaling.dialogue.bindings import Identifiers, canonicalise
from gentwin.signaling.dialogue.directions import Sides
from gentwin.signaling.dialogue.hints import event
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import NGAP, Message, Record
from gentwin.signaling.resolver import nodes, reading
from gentwin.signaling.resolver.network import CONNECTION, CoreNetwork
from gentwin.signaling.resolver.policy import Replay
from gentwin.signaling.resolver.resolver import Resolver
from gentwin.signaling.turns import FROM_CORE, Decided, Turn, turns_of
from gentwin.signaling.turns.names import PROTECTED, nas_of, plain

REPEATED, DECIDED, OVERLOAD, RELIEF = event("repeated"), event("decided"), event("overload"), event("relief")
ASKS = {
    REGISTRATION: frozenset({"RegistrationRequest", "IdentityResponse"}),
    SERVICE: frozenset({"ServiceRequest"}),
    SESSION: frozenset({"PDUSessionEstablishmentRequest"}),
    MODIFICATION: frozenset({"PDUSessionModificationRequest"}),
}
"""By procedure, names of the messages after which the policy is asked and may let wait."""


class Followed(NamedTuple):
    """A turn as a resolver follows it.

    Args:
        turn: The turn.
        heard: Message that is heard, with slots in place of identifiers; None if nobody says anything.
        hints: What the answer depends on.
        said: Messages that the core says, with slots.
    """

    turn: Turn
    heard: Message | None
    hints: tuple[str, ...]
    said: tuple[Message, ...]


class Follower:
    """Follows a dialogue that was recorded.

    Args:
        dialogue: Of one UE, or of two nodes.
        resolver: Of its context; without one nothing is opened, and there are no hints.
        sides: Who is who; learnt from the dialogue if not given.
        opened: Message of each record with ciphered NAS opened; found out if not given.

    Attributes:
        turns: Of the dialogue, to be taken in their order.
    """

    def __init__(
        self,
        dialogue: Dialogue,
        resolver: Resolver | None = None,
        sides: Sides | None = None,
        opened: Sequence[Message] | None = None,
    ) -> None:
        sides = sides or Sides(dialogue.records)
        self._resolver, self._bindings = resolver, Identifiers()
        self._is_node = dialogue.context.kind == NODE
        if resolver is not None and opened is None:
            opened = _look_ahead(dialogue, resolver, sides)
        decided = () if resolver is None else _decided(dialogue, resolver.network)
        turns = turns_of(dialogue, sides, opened, decided=decided)
        self.turns = [turn for turn in turns if turn.stimulus != REPEATED]

    def take(self, turn: Turn) -> Followed | None:
        """Returns the next turn with slots in place of identifiers; None if nothing came of it.

        Args:
            turn: The next one.
        """
        if self._resolver is None:
            if turn.stimulus == DECIDED and not turn.said:
                return None
            heard = None if turn.heard is None else self._name(turn.heard.message)
            return Followed(turn, heard, (), tuple(self._name(record.message) for record in turn.said))
        resolver, heard = self._resolver, None
        _lose_silently(resolver.network, turn)
        if turn.heard is None:
            hints = self._happen(resolver, turn)
            if turn.stimulus == DECIDED and not hints and not turn.said:
                return None
        else:
            found = resolver.hear(turn.heard.message, turn.timestamp, turn.heard.sender)
            heard, hints = found.canonical, found.hints
        resolver.network.events.clear()  # what happens is in the turns of others
        return Followed(turn, heard, hints, tuple(resolver.note(known.message, known.timestamp) for known in turn.said))

    def begin_anew(self) -> bool:
        """Lets the dialogue begin anew if nothing is left of the UE; returns whether it is so."""
        resolver = self._resolver
        if resolver is None or self._is_node or not resolver.is_at_rest:
            return False
        resolver.forget_names()
        return True

    def _name(self, message: Message) -> Message:
        return canonicalise(message, self._bindings.about(message))[0]

    def _happen(self, resolver: Resolver, turn: Turn) -> tuple[str, ...]:
        if turn.stimulus in (OVERLOAD, RELIEF) and turn.said:  # the percentage is what the policy said
            reduction = turn.said[0].message.get(nodes.REDUCTION)
            resolver.network.relief = reduction if isinstance(reduction, int) else 0
        return resolver.happen(str(turn.stimulus), turn.timestamp, session_of(resolver, turn))


def session_of(resolver: Resolver, turn: Turn) -> int | None:
    """Returns the PDU session that a core speaks of first in a turn; None if it speaks of none.

    Args:
        resolver: Of the context.
        turn: In which nobody is heard.
    """
    for record in turn.said[:1]:
        session = resolver.state.by_peer_seid(reading.number(record.message, "seid"))
        return next((psi for psi, _ in reading.items(record.message)), None) if session is None else session.psi
    return None


def in_order(followers: Sequence[Follower]) -> Iterator[tuple[int, Turn]]:
    """Yields place of the follower and turn for all turns of some dialogues, in the order of time.

    What happens in one dialogue may matter in another: a station that is set up, a user plane that has lost sessions.

    Args:
        followers: Of the dialogues.
    """
    entries = [
        [(turn.timestamp, number, place) for place, turn in enumerate(follower.turns)]
        for number, follower in enumerate(followers)
    ]
    for _, number, place in merge(*entries):
        yield number, followers[number].turns[place]


def follow(dialogue: Dialogue, resolver: Resolver | None = None, sides: Sides | None = None) -> Iterator[Followed]:
    """Yields the turns of a dialogue as a resolver follows them.

    Args:
        dialogue: Of one UE, or of two nodes.
        resolver: Of its context; without one nothing is opened, and there are no hints.
        sides: Who is who; learnt from the dialogue if not given.
    """
    follower = Follower(dialogue, resolver, sides)
    yield from filter(None, map(follower.take, follower.turns))


class Opened(NamedTuple):
    """A dialogue with its messages as they can be read.

    Args:
        dialogue: As it was recorded.
        messages: Of its records, with ciphered NAS opened.
    """

    dialogue: Dialogue
    messages: tuple[Message, ...]


def open_dialogues(
    records: Sequence[Record], network: CoreNetwork | None = None, sides: Sides | None = None
) -> list[Opened]:
    """Returns the dialogues in records, with ciphered NAS opened as far as keys of subscribers go.

    What is ciphered names identities, and so says what belongs together: contexts are found and messages are opened in
    one go, by resolvers of another network. Turns, which a resolver needs to follow a dialogue, come after that.

    Args:
        records: All of them, in the order of time.
        network: That they are of; it stays as it is. Without one nothing is opened.
        sides: Who is who; learnt from the records if not given.
    """
    if network is None or not any(_is_ciphered(record.message) for record in records):
        return [Opened(known, tuple(record.message for record in known.records)) for known in dialogues(records)]
    opener = _Opener(network.aside(), sides or Sides(records))
    messages = [opener.open(record) for record in records]
    held: dict[Context, list[int]] = defaultdict(list)
    for place in sorted(range(len(records)), key=lambda place: records[place].timestamp):
        held[opener.contexts[place].current].append(place)
    return [
        Opened(Dialogue(context, tuple(records[place] for place in places)), tuple(messages[place] for place in places))
        for context, places in sorted(held.items(), key=lambda entry: entry[0].number)
    ]


class _Opener:
    """Opens one record after the other.

    Attributes:
        contexts: Of the records.
    """

    def __init__(self, network: CoreNetwork, sides: Sides) -> None:
        self._network, self._sides, self._tracker = network, sides, ContextTracker()
        self._resolvers: dict[Context, Resolver] = {}
        self.contexts: list[Context] = []

    def open(self, record: Record) -> Message:
        """Returns the message of a record, opened."""
        context = self._tracker.assign(record)
        message, name = record.message, record.message.name
        if message.protocol == NGAP:
            resolver = self._resolver(context.current, _is_ciphered(message))
            if self._sides.direction_of(record) in FROM_CORE:
                message = resolver.open_said(message, record.timestamp)
            else:
                message = resolver.hear(message, record.timestamp, record.sender).message
            if message is not record.message and name != "InitialUEMessage":  # which says in clear who the UE is
                context = self._tracker.assign(replace(record, message=message))
        self.contexts.append(context)
        return message

    def _resolver(self, context: Context, ciphered: bool) -> Resolver:
        """Returns the resolver of a context; for what is ciphered, that of a part of it which has keys."""
        own = self._resolvers.get(context)
        if own is None:
            own = self._resolvers[context] = Resolver(self._network)
        if ciphered and own.protection.current is None:
            parts = [known for part, known in self._resolvers.items() if part.current is context]
            own = self._resolvers[context] = next((part for part in parts if part.protection.current), own)
        return own


def _look_ahead(dialogue: Dialogue, resolver: Resolver, sides: Sides) -> list[Message]:
    """Returns the messages of a dialogue with ciphered NAS opened by another resolver, in the order of time."""
    if not any(_is_ciphered(record.message) for record in dialogue.records):
        return [record.message for record in dialogue.records]
    other, found = resolver.aside(), []
    for record in dialogue.records:
        if sides.direction_of(record) in FROM_CORE:
            found.append(other.open_said(record.message, record.timestamp))
        else:
            found.append(other.hear(record.message, record.timestamp, record.sender).message)
    return found


def _lose_silently(network: CoreNetwork, turn: Turn) -> None:
    """Lets UEs lose their connections at a station whose link begins anew, if the core has nothing to say of that."""
    if turn.heard is None or turn.heard.message.name not in ("NGSetupRequest", "NGReset"):
        return
    message = turn.heard.message
    peers = {turn.heard.sender, nodes.station(network, message.get(nodes.NUMBER))}
    listed = [item.get("amf_ue_ngap_id") for item in reading.group(message, nodes.RESET_PART).all("item")]
    for context in dict.fromkeys(known for (kind, _), known in network.contexts.items() if kind == CONNECTION):
        own = [known for known in context.state.connections.values() if known.station in peers]
        if own and not any(session.active for session in context.state.sessions.values()):
            context.lose_connections(own if not listed else [known for known in own if known.amf_id in listed])


def _is_ciphered(message: Message) -> bool:
    return any(nas.name == PROTECTED and isinstance(nas.get("payload"), bytes) for nas in nas_of(message))


def _decided(dialogue: Dialogue, network: CoreNetwork) -> Iterable[Decided]:
    """Yields the decisions of a recorded policy on what had to wait."""
    policy = network.admission.policy
    supi = _supi_of(dialogue, network) if isinstance(policy, Replay) else None
    for asked, outcome in policy.waited(supi) if supi is not None else ():
        if asked.procedure in ASKS:
            times = network.started + outcome.asked, network.started + outcome.ended
            yield Decided(*times, ASKS[asked.procedure], asked.dnn)


def _supi_of(dialogue: Dialogue, network: CoreNetwork) -> str | None:
    """Returns who a dialogue is of; None if it does not say so."""
    if dialogue.context.supi is not None:
        return dialogue.context.supi
    for record in dialogue.records:
        inner = [plain(nas) for nas in nas_of(record.message)]
        identities = [message.get("mobile_identity") for message in inner if message is not None]
        found = [network.reveal(identity)[0] for identity in identities if isinstance(identity, Fields)]
        if any(found):
            return next(filter(None, found))
    return None
