"""Which tokens may come where: the places in a message, and what each token does there.

A field is one token with name and value, or one with its name and then the octets of its value. Fields inside begin
with the name of the field that holds them, unless nothing else could come; they end where a token comes that does not
belong to them, so that `</>` is only there if it would. A group of which nothing more can come has ended by itself.
What nodes do not say is `<raw>`, its size and its octets; `<open>` is in place of a name that is left out if the first
field inside is raw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from typing import Any, NamedTuple

from gentwin.signaling.dialogue.leaves import Coded
from gentwin.signaling.dialogue.nodes import MANY, Alternatives, Carried, Choice, Group, Member, Node
from gentwin.signaling.dialogue.schema import message_group, message_names
from gentwin.signaling.dialogue.slots import tokens_of_slot
from gentwin.signaling.fields import Fields, Value

END, OPEN, CLOSE, RAW, LONG = "<end>", "<open>", "</>", "<raw>", ":long"
BEGIN = "<begin>"
DIRECTIONS = ("<gnb>amf>", "<amf>gnb>", "<smf>upf>", "<upf>smf>")
CONTEXTS = 64
CONTEXT_TOKENS = tuple(f"<ctx:{number}>" for number in range(1, CONTEXTS + 1))
OCTETS = tuple(f"#{octet:02x}" for octet in range(256))
NUMBERS = {token: octet for octet, token in enumerate(OCTETS)}
MESSAGE = "message"
SHORTEST = 32  # sizes below have a token of their own
SIZES = {f":{size}": size for size in range(SHORTEST)}
SIZE_OCTETS = 3  # of other sizes, after LONG, and of what is written raw
CACHED_PLACES = 65536


def message_token(protocol: str, name: str) -> str:
    """Returns the token that begins a message."""
    return f"{protocol}:{name}"


def value_token(name: str, value: Any) -> str:
    """Returns the token of a field with one of a few values."""
    if isinstance(value, Fields | bytes):
        return name
    return f"{name}={value}".replace(" ", "+") if isinstance(value, str) else f"{name}={value}"


class Frame(NamedTuple):
    """A place in a group.

    Args:
        group: The group.
        cursor: Place of the member that came last, or next after it if it cannot come again.
        times: How often that member came in a row.
        count: How many fields came, as far as that matters.
        known: Fields that conditions of other members depend on.
    """

    group: Group
    cursor: int = 0
    times: int = 0
    count: int = 0
    known: tuple[tuple[str, Any], ...] = ()

    def after(self, place: int, value: Any) -> Frame:
        """Returns the place after a member came with a value."""
        group = self.group
        member, most = group.members[place], group.least if group.most >= MANY else group.most
        times = self.times + 1 if place == self.cursor else 1
        known = self.known
        if member.name in group.watched:
            known = (*(pair for pair in known if pair[0] != member.name), (member.name, value))
        cursor, times = (0, 0) if group.free else (place + 1, 0) if times >= member.high else (place, times)
        return Frame(group, cursor, times, min(self.count + 1, most), known)


class Spelling(NamedTuple):
    """A place in the octets of a value.

    Args:
        leaf: What they may be.
        name: Of the field.
        place: Of the field's member in its group.
        size: Number of octets, if known.
        data: Those that came; of the size while it is not known.
    """

    leaf: Coded
    name: str
    place: int
    size: int | None
    data: bytes


class Step(NamedTuple):
    """What a token does in a group.

    Args:
        place: Of the member in the group.
        node: What begins: octets, a group; None if the token says the value.
        value: What the token says; the name of the message that begins.
        protocol: Of the message that begins.
    """

    place: int
    node: Coded | Group | None
    value: Any = None
    protocol: str | None = None


@dataclass(frozen=True, eq=False)
class Steps:
    """What may come at a place in a group.

    Args:
        places: Of the members that may.
        required: Of the member that must come before the group can end, if one must.
        closable: Whether the group can end.
        forced: Of the one member that can come, if it is a group and its name is left out.
        tokens: What each token does.
    """

    places: tuple[int, ...]
    required: int | None
    closable: bool
    forced: int | None
    tokens: Mapping[str, Step]

    @property
    def ended(self) -> bool:
        """Whether nothing more can come."""
        return not self.places


@lru_cache(CACHED_PLACES)
def steps(frame: Frame) -> Steps:
    """Returns what may come at a place in a group."""
    group = frame.group
    if group.free:
        places = tuple(range(len(group.members))) if frame.count < group.most else ()
        required, closable = None, frame.count >= group.least
    else:
        places, required = _in_order(frame)
        closable = required is None and frame.count >= group.least
    tokens: dict[str, Step] = {}
    for place in places:
        member = group.members[place]
        tokens |= heads(member, member.node, member.name, place)
    only = group.members[places[0]] if len(places) == 1 and not closable else None
    forced = places[0] if only is not None and isinstance(only.node, Group) and only.slot is None else None
    if forced is not None:
        tokens = {OPEN: Step(forced, group.members[forced].node)}
    return Steps(places, required, closable, forced, tokens)


def _in_order(frame: Frame) -> tuple[tuple[int, ...], int | None]:
    """Returns the places of the members that may come next, and of the one that must."""
    known, places, broken = dict(frame.known), [], False
    members = frame.group.members
    for place in range(frame.cursor, len(members)):
        member, times = members[place], frame.times if place == frame.cursor else 0
        if (member.condition and not member.condition.holds(known)) or (member.chained and broken):
            continue
        places.append(place)
        if times < member.low:
            return tuple(places), place
        broken |= member.chained and not times
    return tuple(places), None


def heads(member: Member, node: Node, name: str, place: int) -> dict[str, Step]:
    """Returns the tokens that a field can begin with."""
    found: dict[str, Step] = {}
    if isinstance(node, Choice):
        found = {value_token(name, value): Step(place, None, value) for value in node.values}
        if node.other is not None:
            found[name] = Step(place, node.other)
    elif isinstance(node, Coded | Group):
        found = {name: Step(place, node)}
    elif isinstance(node, Alternatives):
        for number, one in enumerate(node.nodes):
            found |= heads(member, one, f"{name}|{number}" if number else name, place)
    elif isinstance(node, Carried):
        found = {message_token(node.protocol, m): Step(place, node.find(m), m, node.protocol) for m in node.names}
    if member.slot:
        found |= {value_token(member.name, slot): Step(place, None, slot) for slot in tokens_of_slot(member.slot)}
    return found


@cache
def root(*protocols: str) -> Group:
    """Returns the group around one message of some protocols."""

    def member(protocol: str) -> Member:
        return Member(MESSAGE, Carried(protocol, message_names(protocol), partial(message_group, protocol)))

    return Group(lambda: map(member, protocols), free=True, least=1, most=1)


class GrammarError(ValueError):
    """A token came that cannot come there."""


class Machine:
    """Follows the tokens of one message.

    Args:
        protocols: That it may be of.

    Attributes:
        stack: Groups that have begun, the message around them first, and the value that is spelt, if any.
    """

    def __init__(self, *protocols: str) -> None:
        self.stack: list[Frame | Spelling] = [Frame(root(*protocols))]

    # ---------------------------------------------------------------- what a reader overrides

    def opened(self, name: str, step: Step | None) -> None:
        """Fields of a name begin, by a token or without one."""

    def closed(self) -> None:
        """The innermost fields end."""

    def held(self, name: str, value: Value) -> None:
        """A field of the innermost ones has a value."""

    # ---------------------------------------------------------------- tokens

    def advance(self, token: str) -> None:
        """Takes the next token.

        Raises:
            GrammarError: If it cannot come here.
        """
        top = self.stack[-1]
        if isinstance(top, Spelling):
            self._spell(top, token)
        elif token == CLOSE:
            while (forced := steps(self.stack[-1]).forced) is not None:
                self._begin(forced, None)
            if len(self.stack) == 1 or not steps(self.stack[-1]).closable:
                raise GrammarError("nothing can end here")
            self._end()
        elif token == END:
            self._finish()
        else:
            self._take(token)
        self._settle()

    def _finish(self) -> None:
        while len(self.stack) > 1:
            known = steps(self.stack[-1])
            if known.forced is not None:
                self._begin(known.forced, None)
            elif known.closable:
                self._end()
            else:
                break
        if not steps(self.stack[-1]).ended or len(self.stack) > 1:
            raise GrammarError("the message is not complete")

    def _take(self, token: str) -> None:
        while True:
            known = steps(self.stack[-1])
            step = known.tokens.get(token)
            if step is not None:
                break
            if known.forced is not None:
                self._begin(known.forced, None)
            elif known.closable and len(self.stack) > 1:
                self._end()
            else:
                raise GrammarError(f"{token!r} cannot come here")
        frame = self.stack[-1]
        name = frame.group.members[step.place].name
        if isinstance(step.node, Coded):
            leaf = step.node
            self.stack.append(Spelling(leaf, name, step.place, leaf.sizes[0] if leaf.fixed else None, b""))
            self._spelt()
        elif step.node is None:
            self.stack[-1] = frame.after(step.place, step.value)
            self.held(name, step.value)
        else:
            self._begin(step.place, step)

    def _begin(self, place: int, step: Step | None) -> None:
        frame = self.stack[-1]
        member = frame.group.members[place]
        self.stack[-1] = frame.after(place, True)
        self.opened(member.name, step)
        self.stack.append(Frame(step.node if step else member.node))

    def _end(self) -> None:
        self.stack.pop()
        self.closed()

    def _settle(self) -> None:
        """Ends groups of which nothing more can come, and begins those of which nothing can."""
        while not isinstance(self.stack[-1], Spelling):
            known = steps(self.stack[-1])
            if known.ended and len(self.stack) > 1:
                self._end()
            elif known.forced is not None and self._is_empty(self.stack[-1].group.members[known.forced].node):
                self._begin(known.forced, None)
            else:
                return

    @staticmethod
    def _is_empty(group: Any) -> bool:
        return not group.members

    def _spell(self, top: Spelling, token: str) -> None:
        octet = NUMBERS.get(token)
        if top.size is None and octet is None:
            if token != LONG and SIZES.get(token) not in top.leaf.sizes:
                raise GrammarError(f"{token!r} is no size of `{top.name}`")
            self.stack[-1] = top._replace(size=-1 if token == LONG else SIZES[token])
        elif octet is None or top.size is None:
            raise GrammarError(f"{token!r} is no octet of `{top.name}`")
        elif top.size < 0:
            data = top.data + bytes([octet])
            size = int.from_bytes(data, "big") if len(data) == SIZE_OCTETS else -1
            self.stack[-1] = top._replace(size=size, data=b"" if size >= 0 else data)
            if size >= 0 and size not in top.leaf.sizes:
                raise GrammarError(f"{size} is no size of `{top.name}`")
        else:
            if octet not in top.leaf.allowed(top.leaf.state(top.data, top.size)):
                raise GrammarError(f"{token!r} cannot come in `{top.name}`")
            self.stack[-1] = top._replace(data=top.data + bytes([octet]))
        self._spelt()

    def _spelt(self) -> None:
        top = self.stack[-1]
        if top.size is not None and len(top.data) == top.size:
            self.stack.pop()
            value = top.leaf.unpack(top.data)
            self.stack[-1] = self.stack[-1].after(top.place, value)
            self.held(top.name, value)
