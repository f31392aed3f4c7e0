"""The contexts of a core: what was said with each UE and node, and where it is in the decoder."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gentwin.models.signaling.decoding import Decoder
from gentwin.signaling.resolver import CoreNetwork, Resolver


class Conversation:
    """What is said with one UE, or with a node about no UE.

    Attributes:
        number: Place in the order in which conversations began.
        resolver: Knows of whom it is said.
        is_node: Whether it is with a node about no UE.
        begun: Whether something was said in it.
        timers: When each timer that runs will run out, by name.
        expired: How often a timer ran out since it was started by something else.
        place: What stands for all of its tokens among [`Answers`][gentwin.pipelines.core_twin.answers.Answers]; None
            if that is not known.
    """

    def __init__(self, number: int, resolver: Resolver, is_node: bool = False) -> None:
        self.number, self.resolver, self.is_node = number, resolver, is_node
        self.begun = False
        self.timers: dict[str, float] = {}
        self.expired: dict[str, int] = {}
        self.row: int | None = None
        self.place: int | None = None
        self.unseated: list[int] = []  # tokens, while it has no row in the decoder


class Conversations:
    """All conversations, and which of them have a place in the decoder.

    A conversation without a place keeps its tokens only, and is read again when something is heard in it.

    Args:
        decoder: Whose rows they share.
        network: That all of them belong to.
        most_tokens: Number of tokens in the decoder above which those that were silent longest lose their place.
    """

    def __init__(self, decoder: Decoder, network: CoreNetwork, most_tokens: int) -> None:
        self._decoder, self._network, self._most_tokens = decoder, network, most_tokens
        self._of: dict[int, Conversation] = {}  # by identity of the resolver
        self._free = list(range(decoder.rows))
        self._seated: OrderedDict[int, Conversation] = OrderedDict()  # by number, the one silent longest first
        self._sizes: dict[int, int] = {}
        self._tokens = 0
        self._next = 0

    def __len__(self) -> int:
        return len(self._of)

    def __iter__(self) -> Iterator[Conversation]:
        return iter(self._of.values())

    def begin(self, is_node: bool = False) -> Conversation:
        """Returns a new one.

        Args:
            is_node: Whether it is with a node about no UE.
        """
        resolver = Resolver(self._network)
        found = self._of[id(resolver)] = Conversation(self._next, resolver, is_node)
        self._next += 1
        return found

    def of(self, resolver: Resolver) -> Conversation:
        """Returns the conversation that a resolver belongs to."""
        return self._of[id(resolver)]

    def end(self, conversation: Conversation) -> None:
        """Forgets a conversation."""
        self._unseat(conversation, keep=False)
        self._of.pop(id(conversation.resolver), None)

    # ------------------------------------------------------------ places in the decoder

    def seat(self, conversations: Sequence[Conversation]) -> list[list[int]]:
        """Gives each of some conversations a place.

        Returns:
            For each, tokens that the decoder has not read and must read before anything else.
        """
        wanted = {conversation.number for conversation in conversations}
        unread = []
        for conversation in conversations:
            if conversation.row is None:
                if not self._free:
                    self._unseat(next(known for number, known in self._seated.items() if number not in wanted))
                conversation.row = self._free.pop()
            self._seated[conversation.number] = conversation
            self._seated.move_to_end(conversation.number)
            unread.append(conversation.unseated)
            conversation.unseated = []
        return unread

    def settle(self, conversations: Iterable[Conversation]) -> None:
        """Takes note of how long some have become, and takes their place from others if all are too long together."""
        for conversation in conversations:
            if conversation.row is not None:
                size = self._decoder.size(conversation.row)
                self._tokens += size - self._sizes.get(conversation.number, 0)
                self._sizes[conversation.number] = size
        while self._tokens > self._most_tokens and len(self._seated) > 1:
            self._unseat(next(iter(self._seated.values())))

    def tokens(self, conversation: Conversation) -> list[int]:
        """Returns the tokens of a conversation, without those that were forgotten."""
        return list(conversation.unseated) if conversation.row is None else self._decoder.tokens(conversation.row)

    def rewrite(self, conversation: Conversation, tokens: list[int]) -> None:
        """Puts other tokens in place of those of a conversation."""
        self._unseat(conversation, keep=False)
        conversation.unseated, conversation.place = tokens, None

    def restart(self, conversation: Conversation) -> None:
        """Begins a conversation anew: what was said is forgotten, what is known of the UE stays."""
        self._unseat(conversation, keep=False)
        conversation.resolver.forget_names()
        conversation.begun, conversation.unseated, conversation.place = False, [], None

    def _unseat(self, conversation: Conversation, keep: bool = True) -> None:
        if conversation.row is None:
            return
        if keep:
            conversation.unseated = self._decoder.tokens(conversation.row)
        self._decoder.reset(conversation.row)
        self._free.append(conversation.row)
        conversation.row = conversation.place = None
        self._seated.pop(conversation.number, None)
        self._tokens -= self._sizes.pop(conversation.number, 0)

    # ------------------------------------------------------------ checkpoints

    def state_dict(self) -> list[dict[str, Any]]:
        """Returns all conversations in plain types. They hold keys: store them as a secret."""
        return [
            {
                "is_node": conversation.is_node,
                "resolver": conversation.resolver.state_dict(),
                "tokens": self.tokens(conversation),
                "begun": conversation.begun,
                "timers": dict(conversation.timers),
                "expired": dict(conversation.expired),
            }
            for conversation in self
        ]

    def load_state_dict(self, values: Sequence[dict[str, Any]]) -> None:
        """Takes what `state_dict` of others of the same twin gave, in place of all conversations."""
        for conversation in [*self]:
            self.end(conversation)
        for known in values:
            conversation = self.begin(known["is_node"])
            conversation.resolver.load_state_dict(known["resolver"])
            conversation.unseated, conversation.begun = list(known["tokens"]), known["begun"]
            conversation.timers, conversation.expired = dict(known["timers"]), dict(known["expired"])
