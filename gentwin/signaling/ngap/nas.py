"""Where NGAP carries NAS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gentwin.signaling.fields import Fields, Value
from gentwin.signaling.messages import Message

NAS_FIELDS = frozenset({"nas_pdu", "pdu_session_nas_pdu"})
"""Names of the fields that hold a NAS message, wherever in a message they are.

`nasc` of a handover request is not among them: what it holds is an element of NAS, not a message.
"""


def map_nas(message: Message, function: Callable[[Any], Value]) -> Message:
    """Returns a message with every NAS message in it replaced.

    Args:
        message: An NGAP message.
        function: Takes what is in a NAS field and returns what shall be there: a NAS decoder for a message that was
            decoded, a NAS encoder before it is encoded.

    Returns:
        The message itself if nothing was replaced.
    """
    fields = _mapped(message.fields, function)
    return message if fields is message.fields else replace(message, fields=fields)


def _mapped(fields: Fields, function: Callable[[Any], Value]) -> Fields:
    pairs = [(name, _mapped_value(name, value, function)) for name, value in fields]
    same = all(new is old for (_, new), (_, old) in zip(pairs, fields, strict=True))
    return fields if same else Fields(pairs)


def _mapped_value(name: str, value: Any, function: Callable[[Any], Value]) -> Value:
    if name in NAS_FIELDS:
        return function(value)
    return _mapped(value, function) if isinstance(value, Fields) else value
