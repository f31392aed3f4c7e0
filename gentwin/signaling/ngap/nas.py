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

AROUND_NAS = frozenset(
    {
        "pdu_session_resource_setup_list_cxt_req",
        "pdu_session_resource_setup_list_su_req",
        "pdu_session_resource_modify_list_mod_req",
        "item",
    }
)
"""Names of the fields that have such a field somewhere inside; what is in others is not looked into."""


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
    pairs = None
    for place, (name, value) in enumerate(fields):
        if name in NAS_FIELDS:
            mapped = function(value)
        elif name in AROUND_NAS and isinstance(value, Fields):
            mapped = _mapped(value, function)
        else:
            continue
        if mapped is not value:
            pairs = pairs or list(fields)
            pairs[place] = (name, mapped)
    return Fields(pairs) if pairs else fields
