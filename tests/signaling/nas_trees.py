"""Random valid NAS messages, drawn from nothing but the tables."""

from __future__ import annotations

from hypothesis import strategies as st

from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import NAS, Message
from gentwin.signaling.nas import MESSAGES
from gentwin.signaling.nas.elements import Carried, Depending, Element, MessageType
from gentwin.signaling.values import Kind
from tests.signaling.value_strategies import values_of

DEEPEST = 2
PLAIN = [message for message in MESSAGES.values() if message.number is not None]
LAST = {"payload_container_type": 1, "payload_container": 2}
CIPHERED = st.binary(min_size=1, max_size=9).map(b"\xff".__add__)


def element_values(element: Element, fields: dict, depth: int) -> st.SearchStrategy:
    """Returns a strategy of valid values of an element after other fields."""
    kind: Kind | None = element.kind
    if isinstance(kind, Depending):
        kind = kind.case_after(next(reversed(fields.items()), None))
    if kind is None:
        return CIPHERED
    if not isinstance(kind, Carried):
        return values_of(kind)
    messages = [message for message in PLAIN if message.discriminator == kind.discriminator]
    return CIPHERED if depth >= DEEPEST else st.sampled_from(messages).flatmap(lambda m: messages_of(m, depth + 1))


@st.composite
def messages_of(draw: st.DrawFn, message: MessageType, depth: int = 0) -> Message:
    """Draws a message with its mandatory fields and some optional ones in any order."""
    fields: dict = {}
    for element in message.mandatory.values():
        fields[element.name] = draw(element_values(element, fields, depth))
    if message.optional:
        chosen = draw(st.lists(st.sampled_from(sorted(message.optional)), unique=True, max_size=4))
        for name in sorted(chosen, key=lambda name: LAST.get(name, 0)):
            fields[name] = draw(element_values(message.optional[name], fields, depth))
    return Message(NAS, message.name, Fields(fields.items()))


any_message = st.sampled_from(list(MESSAGES.values())).flatmap(messages_of)
