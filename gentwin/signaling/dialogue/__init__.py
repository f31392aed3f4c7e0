"""Messages as tokens and back: what the message twin reads and writes.

```python
>>> from gentwin.signaling import nas
>>> message = nas.decode(bytes.fromhex("7e004e5002060026020000"))
>>> to_tokens(message)
['nas:ServiceAccept', 'pdu_session_status', '#00', '#06', 'pdu_session_reactivation_result', '#00', '#00', '<end>']
>>> to_message(to_tokens(message)) == message
True
```

| step | there | and back |
|---|---|---|
| identifiers become slots | [`canonicalise`][gentwin.signaling.dialogue.bindings.canonicalise] | `restore` |
| a message becomes tokens | [`to_tokens`][gentwin.signaling.dialogue.linear.to_tokens] | `to_message` |
| tokens become numbers | [`Vocabulary.encode`][gentwin.signaling.dialogue.vocabulary.Vocabulary] | `decode` |
| all of it for a dialogue | [`separate`][gentwin.signaling.dialogue.views.separate], `interleave` | `read_utterances` |

[`Automaton`][gentwin.signaling.dialogue.automaton.Automaton] says which token may come next. All of them follow one
description of what messages consist of, which is compiled from the tables of the codecs; see
[`nodes`][gentwin.signaling.dialogue.nodes].
"""

from __future__ import annotations

from gentwin.signaling.dialogue.automaton import Automaton, Bounds
from gentwin.signaling.dialogue.bindings import Bindings, SlotError, canonicalise, restore
from gentwin.signaling.dialogue.directions import Sides, direction_of
from gentwin.signaling.dialogue.grammar import BEGIN, CONTEXT_TOKENS, DIRECTIONS, END, GrammarError, message_token
from gentwin.signaling.dialogue.linear import Framed, framed, to_message, to_tokens, unframed
from gentwin.signaling.dialogue.schema import message_group, message_names
from gentwin.signaling.dialogue.slots import SLOTS, Slot
from gentwin.signaling.dialogue.views import (
    ContextView,
    Interleaver,
    Spoken,
    Utterance,
    interleave,
    read_utterances,
    separate,
)
from gentwin.signaling.dialogue.vocabulary import PADDING, Vocabulary

__all__ = [
    "BEGIN",
    "CONTEXT_TOKENS",
    "DIRECTIONS",
    "END",
    "PADDING",
    "SLOTS",
    "Automaton",
    "Bindings",
    "Bounds",
    "ContextView",
    "Framed",
    "GrammarError",
    "Interleaver",
    "Sides",
    "Slot",
    "SlotError",
    "Spoken",
    "Utterance",
    "Vocabulary",
    "canonicalise",
    "direction_of",
    "framed",
    "interleave",
    "message_group",
    "message_names",
    "message_token",
    "read_utterances",
    "restore",
    "separate",
    "to_message",
    "to_tokens",
    "unframed",
]
