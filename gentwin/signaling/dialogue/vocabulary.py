"""The tokens there are and their numbers, from what messages can consist of, not from any data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache, cached_property

from gentwin.signaling.dialogue import grammar as g
from gentwin.signaling.dialogue.hints import HINT_TOKENS, STIMULI, WAIT
from gentwin.signaling.dialogue.nodes import Member
from gentwin.signaling.dialogue.schema import PROTOCOLS, message_names, walk

PADDING = "<pad>"
SPECIAL = (
    *(PADDING, g.END, g.CLOSE, g.OPEN, g.RAW, g.BEGIN, *g.DIRECTIONS, *g.CONTEXT_TOKENS),
    *(WAIT, *STIMULI, *HINT_TOKENS),
)


class Vocabulary:
    """Tokens and their numbers.

    Args:
        tokens: In the order of their numbers, each once.

    Attributes:
        tokens: The tokens.
        ids: Number of each.
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        self.tokens = tuple(tokens)
        self.ids = {token: number for number, token in enumerate(self.tokens)}

    @classmethod
    @cache
    def of_schema(cls, protocols: tuple[str, ...] = PROTOCOLS) -> Vocabulary:
        """Returns the tokens of all messages of some protocols: special ones, sizes, octets, messages, fields.

        Raises:
            ImportError: If NGAP is among them and pycrate is not installed.
        """
        messages = [g.message_token(protocol, name) for protocol in protocols for name in message_names(protocol)]
        fields: set[str] = set()
        for name, node, slot in walk(protocols):
            fields.update(g.heads(Member(name, node, slot=slot), node, name, 0))
        return cls([*SPECIAL, *g.SIZES, g.LONG, *g.OCTETS, *messages, *sorted(fields.difference(messages))])

    @cached_property
    def version(self) -> str:
        """Hash of all tokens in order: vocabularies with the same are the same."""
        return hashlib.sha256("\n".join(self.tokens).encode()).hexdigest()[:16]

    @cached_property
    def protocols(self) -> tuple[str, ...]:
        """Protocols whose messages are in it."""
        begun = {token.partition(":")[0] for token in self.tokens}
        return tuple(protocol for protocol in PROTOCOLS if protocol in begun)

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Returns the numbers of tokens.

        Raises:
            KeyError: If one is not in the vocabulary.
        """
        return [self.ids[token] for token in tokens]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Returns the tokens of numbers.

        Raises:
            IndexError: If there is no such number.
        """
        return [self.tokens[number] for number in ids]
