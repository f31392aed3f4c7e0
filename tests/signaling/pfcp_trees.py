"""Random messages of PFCP, drawn from the tables of its elements and messages."""

from __future__ import annotations

from functools import cache

from hypothesis import strategies as st

from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import PFCP, Message
from gentwin.signaling.pfcp import ELEMENTS, MESSAGES, Element, Member, MessageType, kinds
from tests.signaling.value_strategies import STRATEGIES, values_of

MOST_MEMBERS = 4  # optional ones in a message or grouped element

STRATEGIES.update(
    {
        kinds.OneOf: lambda kind: st.one_of([values_of(one) for one in kind.kinds]),
        kinds.Leaving: lambda kind: values_of(kind.kind),
        kinds.Signed: lambda kind: st.integers(kind.low, kind.high),
        kinds.Mac: lambda kind: st.binary(min_size=6, max_size=6).map(lambda data: data.hex(":")),
        kinds.SomeFlags: lambda kind: st.sets(st.sampled_from(sorted(kind.places)), min_size=1).map(
            lambda names: " ".join(sorted(names, key=kind.places.get))
        ),
    }
)


@cache
def element_values(element: Element) -> st.SearchStrategy:
    """Returns a strategy of valid values of an element."""
    return values_of(element.kind) if element.members is None else members_of(element.members).map(Fields)


@st.composite
def members_of(draw: st.DrawFn, members: tuple[Member, ...]) -> list[tuple[str, object]]:
    """Returns fields of the members that must be there, and some of those that may be."""
    optional = [place for place, member in enumerate(members) if not member.mandatory]
    chosen = draw(st.lists(st.sampled_from(optional), max_size=MOST_MEMBERS, unique=True)) if optional else []
    pairs = []
    for place, member in enumerate(members):
        if member.mandatory or place in chosen:
            times = draw(st.integers(1, 2)) if member.repeatable else 1
            pairs += [(member.name, draw(element_values(ELEMENTS[member.name]))) for _ in range(times)]
    return pairs


@st.composite
def messages_of(draw: st.DrawFn, kind: MessageType) -> Message:
    """Returns a valid message of a type."""
    header: list[tuple[str, object]] = [("sequence_number", draw(st.integers(0, (1 << 24) - 1)))]
    if kind.of_session:
        header.insert(0, ("seid", draw(st.integers(0, (1 << 64) - 1))))
        if draw(st.booleans()):
            header.append(("message_priority", draw(st.integers(0, 15))))
    return Message(PFCP, kind.name, Fields([*header, *draw(members_of(kind.members))]))


def any_message() -> st.SearchStrategy[Message]:
    """Returns a strategy of valid messages of all types."""
    return st.sampled_from(list(MESSAGES.values())).flatmap(messages_of)
