"""What a core says in a turn: the model chooses the tokens, the resolver fills them in, and packets go out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from gentwin.models.signaling import SignalingTokenizer
from gentwin.models.signaling.decoding import Decoder
from gentwin.models.signaling.guides import TurnGuide
from gentwin.pipelines.core_twin import refusals
from gentwin.pipelines.core_twin.answers import Answers, Key
from gentwin.pipelines.core_twin.conversations import Conversation, Conversations
from gentwin.pipelines.core_twin.datagrams import RESPONSE, Datagrams
from gentwin.pipelines.core_twin.journal import Journal
from gentwin.pipelines.core_twin.timers import Timers
from gentwin.signaling.core import n2
from gentwin.signaling.core.control_plane import Packet
from gentwin.signaling.core.pfcp_node import PORT
from gentwin.signaling.dialogue import END, GrammarError
from gentwin.signaling.dialogue.directions import AMF_TO_GNB, GNB_TO_AMF, SMF_TO_UPF
from gentwin.signaling.dialogue.hints import WAIT, command
from gentwin.signaling.dialogue.linear import framed, to_message, to_tokens, unframed
from gentwin.signaling.errors import SignalingError
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import NGAP, PFCP, Message, Record
from gentwin.signaling.records import decode_message, encode_record
from gentwin.signaling.resolver.errors import SuperfluousRequestError
from gentwin.signaling.resolver.network import host_of
from gentwin.signaling.turns.names import names_of

MOST_SAID, MOST_WARM = 1024, 64  # tokens of an answer, and of one to nobody
MOST_UNREAD = 1024  # tokens that are read at once at most, when the model is asked after long
ROOM = 256  # tokens below which a conversation is cut when there is time
KEPT_MESSAGES = 4096
STREAMS = 9  # for UEs; stream 0 is that of nodes
FROM_CORE = {NGAP: AMF_TO_GNB, PFCP: SMF_TO_UPF}


@dataclass(frozen=True, slots=True)
class Stimulus:
    """What a conversation goes on with.

    Args:
        conversation: Which.
        tokens: Of what is heard or happens, with hints.
        heard: Message that is heard, opened; None if nobody says anything.
        peer: Address of who says it; empty if nobody does.
    """

    conversation: Conversation
    tokens: list[str]
    heard: Message | None = None
    peer: str = ""


@dataclass(slots=True)
class _Turn:
    """A stimulus as the decoder takes it, and the answer.

    Args:
        conversation: Which.
        heard: Tokens that the decoder does not have.
        bound: How many identifiers of each type can be referred to.
        key: What the answer depends on.
        said: Tokens of the answer.
    """

    conversation: Conversation
    heard: list[int]
    bound: dict[str, int]
    key: Key
    said: list[int] = field(default_factory=list)


class Speech:
    """Answers stimuli, those of different conversations together.

    Args:
        decoder: Of the model.
        tokenizer: It was trained with.
        conversations: In its rows.
        timers: Started by what is said.
        datagrams: Sends requests of N4 again.
        journal: Told of what goes out.
        user_plane: Address of the user plane.
        stations: Conversation of each base station whose link is set up, by its address.
        answers: Of the model, that are said again.
    """

    def __init__(
        self,
        decoder: Decoder,
        tokenizer: SignalingTokenizer,
        conversations: Conversations,
        timers: Timers,
        datagrams: Datagrams,
        journal: Journal,
        user_plane: str,
        stations: dict[str, int],
        answers: Answers,
    ) -> None:
        self._decoder, self._tokenizer, self._conversations = decoder, tokenizer, conversations
        self._timers, self._datagrams, self._journal = timers, datagrams, journal
        self._user_plane, self._stations = f"{user_plane}:{PORT}", stations
        self._automaton = tokenizer.automaton(bounds=None)
        self._wait = tokenizer.vocabulary.ids[WAIT]
        self._full: list[Conversation] = []
        self._answers = answers

    def answer(self, stimuli: Sequence[Stimulus], now: float) -> Iterator[tuple[Stimulus, list[Packet]]]:
        """Yields each stimulus with the packets that go out because of it; each conversation is there once."""
        for first in range(0, len(stimuli), self._decoder.rows):
            part = stimuli[first : first + self._decoder.rows]
            for stimulus, answer in zip(part, self._respond(part), strict=True):
                yield stimulus, self._say(stimulus, answer, now)

    def warm_up(self) -> None:
        """Says something to nobody, for the first answer takes seconds: what it needs is made and compiled."""
        encode = self._tokenizer.vocabulary.encode
        reset = n2.message(
            "NGReset", n2.cause("misc", "unspecified"), ("reset_type", Fields.of(ng_interface="reset-all"))
        )
        heard = framed(
            to_tokens(decode_message(NGAP, encode_record(Record(reset, 0.0, "", "")))), GNB_TO_AMF, begins=True
        )
        for tokens in (heard, [command("associate")]):
            guide = TurnGuide(self._automaton, {}, begins=True)
            self._decoder.respond([0], [guide], {self._wait}, [encode(tokens)], most=MOST_WARM)
            self._decoder.reset(0)

    def make_room(self) -> None:
        """Cuts conversations that have become long, which takes longer than an answer."""
        for conversation in self._full:
            if conversation.row is not None:
                self._decoder.slide(conversation.row)
                conversation.place = None
        self._full.clear()

    # ------------------------------------------------------------ tokens

    def _respond(self, stimuli: Sequence[Stimulus]) -> list[list[str]]:
        """Returns the tokens of the answers."""
        conversations = [stimulus.conversation for stimulus in stimuli]
        unread = self._conversations.seat(conversations)
        turns = [
            self._turn(conversation, before, self._tokenizer.vocabulary.encode(stimulus.tokens))
            for conversation, before, stimulus in zip(conversations, unread, stimuli, strict=True)
        ]
        asked, again = {}, []
        for turn in turns:
            if turn.key in asked:
                again.append(turn)  # the model is asked once
            elif not self._say_again(turn):
                asked[turn.key] = turn
        self._ask([*asked.values()])
        self._ask([turn for turn in again if not self._say_again(turn)])
        for conversation in conversations:
            room = self._decoder.room(conversation.row)
            if room is not None and room < ROOM:
                self._full.append(conversation)
        self._conversations.settle(conversations)
        words = self._tokenizer.vocabulary.tokens
        return [[words[token] for token in turn.said] for turn in turns]

    def _turn(self, conversation: Conversation, before: list[int], new: list[int]) -> _Turn:
        """Returns what is to be answered, after tokens that the decoder does not have and those that are new."""
        if conversation.place is None:
            row = conversation.row
            whole = self._decoder.is_whole(row)
            known = [*self._decoder.tokens(row), *before]
            conversation.place = self._answers.place(known) if whole else self._answers.new_place()
        bound = conversation.resolver.bindings.counts
        key = self._answers.key(conversation.place, new, not conversation.begun, bound)
        return _Turn(conversation, [*before, *new], bound, key)

    def _say_again(self, turn: _Turn) -> bool:
        """Lets a conversation go on with what was answered before in the same place, if the decoder can hold that."""
        found, row = self._answers.find(turn.key), turn.conversation.row
        if found is None:
            return False
        tokens = [*turn.heard, *found.tokens]
        room, unread = self._decoder.room(row), self._decoder.unread(row)
        if unread + len(tokens) > MOST_UNREAD or (room is not None and len(tokens) > room):
            return False
        self._decoder.hear([row], [tokens])
        turn.said, turn.conversation.place = found.tokens, found.place
        return True

    def _ask(self, turns: Sequence[_Turn]) -> None:
        """Lets the model answer, and takes note of what it says."""
        rows = [turn.conversation.row for turn in turns]
        guides = [TurnGuide(self._automaton, turn.bound, begins=not turn.conversation.begun) for turn in turns]
        sizes = [self._decoder.size(row) + len(turn.heard) for row, turn in zip(rows, turns, strict=True)]
        answers = self._decoder.respond(rows, guides, {self._wait}, [turn.heard for turn in turns], most=MOST_SAID)
        for row, turn, size, said in zip(rows, turns, sizes, answers, strict=True):
            turn.said = said
            whole = self._decoder.size(row) == size + len(said)  # nothing was forgotten meanwhile
            turn.conversation.place = self._answers.add(turn.key, said) if whole else None

    def _say(self, stimulus: Stimulus, tokens: list[str], now: float) -> list[Packet]:
        """Returns what goes out for the tokens of an answer; what cannot be said is replaced by an error."""
        out: list[Packet] = []
        protocols: set[str] = set()
        done, size, tokens = 0, len(tokens), [*tokens]
        while done < len(tokens) and tokens[done] != WAIT:
            try:
                end = tokens.index(END, done) + 1
                canonical, names = _read(tuple(tokens[done:end]))
                out += self._utter(stimulus, canonical, names, now)
            except SuperfluousRequestError as error:
                self._journal.refuses(stimulus.conversation, stimulus.peer, f"a message is left out: {error}", now)
                del tokens[done:end]
                continue
            except (SignalingError, GrammarError, ValueError) as error:
                reason = f"the answer cannot be given: {error}"
                break
            stimulus.conversation.begun = True
            protocols.add(canonical.protocol)
            done = end
        else:
            if done < len(tokens):
                if len(tokens) < size:
                    self._conversations.rewrite(stimulus.conversation, self._kept(stimulus, size, tokens))
                return out
            reason = f"the answer must be at most {MOST_SAID} tokens long"
        self._journal.refuses(stimulus.conversation, stimulus.peer, reason, now)
        return out + self._apologise(stimulus, self._kept(stimulus, size, tokens[:done]), protocols, now)

    def _kept(self, stimulus: Stimulus, size: int, said: list[str]) -> list[int]:
        """Returns the tokens of a conversation with what was said in place of an answer.

        Args:
            stimulus: What is answered.
            size: Number of tokens of the answer.
            said: Tokens that were said.
        """
        known = self._conversations.tokens(stimulus.conversation)
        return known[: len(known) - size] + self._tokenizer.vocabulary.encode(said)

    def _apologise(self, stimulus: Stimulus, kept: list[int], protocols: set[str], now: float) -> list[Packet]:
        """Returns the error that is said in place of the rest of an answer, and puts it where that was.

        Args:
            stimulus: What is answered.
            kept: Tokens of the conversation that were heard or said.
            protocols: Of the messages that were said.
            now: When.
        """
        conversation, resolver = stimulus.conversation, stimulus.conversation.resolver
        encode = self._tokenizer.vocabulary.encode
        out: list[Packet] = []
        try:
            error = refusals.of_silence(stimulus.heard, resolver, protocols)
            if error is not None:
                out = self._utter(stimulus, error, names_of(error), now)
                words = to_tokens(resolver.name_identifiers(error))
                kept += encode(framed(words, FROM_CORE[error.protocol], begins=not conversation.begun))
                conversation.begun = True
        except SignalingError as reason:
            self._journal.refuses(conversation, stimulus.peer, f"nor can it be refused: {reason}", now)
        self._conversations.rewrite(conversation, [*kept, self._wait])
        return out

    # ------------------------------------------------------------ packets

    def _utter(self, stimulus: Stimulus, canonical: Message, names: Sequence[str], now: float) -> list[Packet]:
        """Returns the packets of a message, and takes note of what follows from it and from those inside."""
        conversation = stimulus.conversation
        message = conversation.resolver.say(canonical, now)
        stream = _stream(message)
        packets = [
            self._journal.says(conversation, message, peer, stream, now) for peer in self._receivers(stimulus, message)
        ]
        if message.protocol == PFCP:
            for packet in packets:
                self._datagrams.send(packet, message, conversation, now)
        if not packets:
            self._journal.refuses(conversation, "", f"`{message.name}` has nobody to go to", now)
        self._timers.said(conversation, names, now)
        if message.name == "NGSetupResponse" and stimulus.peer:
            self._stations[stimulus.peer] = conversation.number
        return packets

    def _receivers(self, stimulus: Stimulus, message: Message) -> Iterable[str]:
        if message.protocol == PFCP:
            return [stimulus.peer if message.name.endswith(RESPONSE) and stimulus.peer else self._user_plane]
        if message.name == "Paging":
            return [*self._stations]
        found = stimulus.conversation.resolver.receiver(message) or stimulus.peer
        return [found] if found and not self._is_user_plane(found, stimulus.heard) else []

    def _is_user_plane(self, address: str, heard: Message | None) -> bool:
        """Returns whether an address is that of the user plane, from any port, and not of a base station beside it."""
        is_station = address in self._stations or (heard is not None and heard.protocol == NGAP)
        return not is_station and host_of(address) == host_of(self._user_plane)


@lru_cache(KEPT_MESSAGES)
def _read(tokens: tuple[str, ...]) -> tuple[Message, tuple[str, ...]]:
    """Returns the message of tokens that begin with a direction, and the names of it and of those inside."""
    message = to_message(unframed(tokens).tokens)
    return message, names_of(message)


def _stream(message: Message) -> int:
    """Returns the stream of SCTP on which a message goes out."""
    if message.protocol != NGAP or message.name == "Paging":
        return 0
    amf_id = message.get("amf_ue_ngap_id", message.get("ue_ngap_ids.ue_ngap_id_pair.amf_ue_ngap_id"))
    return 1 + amf_id % STREAMS if isinstance(amf_id, int) else 0
