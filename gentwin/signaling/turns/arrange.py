"""The records of a context in the order of cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from gentwin.signaling.dialogue.directions import AMF_TO_GNB, SMF_TO_UPF
from gentwin.signaling.dialogue.hints import command, event, timer
from gentwin.signaling.fields import Value
from gentwin.signaling.messages import NGAP, PFCP, Message
from gentwin.signaling.turns.names import SessionNumbers, names_of, nas_of, plain
from gentwin.signaling.turns.triggers import (
    DONE,
    GIVES_UP,
    IMPLICIT,
    IN_TURN,
    OF_ITSELF,
    ONE_OF,
    OTHERWISE,
    QUIET,
    REQUEST,
    RESPONSE,
    TIMER_RULES,
    TRIGGERS,
    TimerRule,
)

FROM_CORE = (AMF_TO_GNB, SMF_TO_UPF)
REACH, MOST_TURNS = 1.5, 256  # seconds and turns back from what is said to what it was said because of
WAITS = 0.3  # seconds for which a request may wait until those before it are answered
NEAR = 0.5  # seconds within which what has no rule is an answer to what was heard last
TOGETHER = 0.05  # seconds within which things that the core says of itself have one reason
AGAIN = 60.0  # seconds within which the same message is one that is sent again
SAME_TIME = 1e-4  # seconds by which times of one event may differ
AT_ONCE = 1.0  # seconds within which it is not because of a timer


ALONE = frozenset(
    {
        "AssociationSetupRequest",
        "HeartbeatRequest",
        "DeregistrationRequestUETerminated",
        "activation",
        "deactivation",
        "limitation",
        "SessionModificationRequest",
    }
)
"""What nothing makes the core say but messages of the table."""


ESTABLISHMENT, DELETION, STATUS = "SessionEstablishmentRequest", "SessionDeletionRequest", "5GMMStatus"
RELEASED = "UEContextReleaseComplete"


class Cause(Enum):
    """How it was found out why a core says something."""

    ANSWER = "answer"
    TABLE = "table"
    LAST = "last"
    TIMER = "timer"
    AGAIN = "again"
    ITSELF = "itself"


class Seen(NamedTuple):
    """What a message is, as far as that matters for who answers whom.

    Args:
        protocol: Of the message.
        names: Of the message and of those inside; the last one counts.
        sessions: Identities of PDU sessions it is about; empty if that is not known.
        dnn: Data network it is about; empty if that is not known.
        sst: Type of the slice it is about; None if that is not known.
        number: Sequence number of a message of N4; None elsewhere.
        identity: What is the same in a message that is sent again; None if it is none of those that are.
    """

    protocol: str
    names: tuple[str, ...]
    sessions: frozenset[int]
    dnn: str
    sst: Any
    number: Any
    identity: Hashable

    @property
    def request(self) -> Hashable:
        """Name and number of a request of N4, or of the one that this responds to; None elsewhere."""
        if self.protocol != PFCP:
            return None
        return self.names[0].removesuffix(RESPONSE).removesuffix(REQUEST), self.number

    @property
    def answer(self) -> tuple[str, frozenset[int]]:
        """What it is as an answer."""
        return self.names[-1], self.sessions


@dataclass(slots=True)
class OpenTurn:
    """A turn to which more may come.

    Args:
        stimulus: Place of the record that is heard, or token of what nobody says.
        time: When, in seconds.
        names: Of the messages in it, and what led to it.
        sessions: Identities of PDU sessions it is about; empty if that is not known.
        dnn: Data network it is about; empty if that is not known.
        sst: Type of the slice it is about; None if that is not known.
        seid: Endpoint of N4 that it was heard at; None elsewhere.
        said: Places of the records that are said because of it.
        answers: What they were, so that the same is not taken for an answer twice.
        put_off: Whether it will be decided later, so that nothing is said because of it before.
    """

    stimulus: int | str
    time: float
    names: tuple[str, ...] = ()
    sessions: frozenset[int] = frozenset()
    dnn: str = ""
    sst: Any = None
    seid: Value | None = None
    said: list[int] = field(default_factory=list)
    answers: set[tuple[str, frozenset[int]]] = field(default_factory=set)
    put_off: bool = False


class Arranger:
    """Puts what a core says to what it says it because of.

    Args:
        put_off: When something was heard, of which messages and data network, that will be decided later.

    Attributes:
        turns: In order.
        counts: How often a cause was found in each way, by name of what was said.
    """

    def __init__(self, put_off: Iterable[tuple[float, Collection[str], str | None]] = ()) -> None:
        self._put_off = [*put_off]
        self.turns: list[OpenTurn] = []
        self.counts: Counter[tuple[str, Cause, str]] = Counter()
        self._numbers = SessionNumbers()
        self._connections: set[Value] = set()
        self._floors: dict[str, int] = {}
        self._before: dict[Hashable, tuple[float, int]] = {}
        self._running: dict[str, tuple[float, TimerRule]] = {}
        self._requests: dict[Hashable, int] = {}
        self._asked: dict[Hashable, int] = {}
        self._unanswered: set[Hashable] = set()
        self._status: tuple[int, int] | None = None  # place of the last error report, and its turn

    def hear(self, place: int, message: Message, time: float) -> None:
        """Takes a record that the core hears.

        Args:
            place: Of the record.
            message: In it, opened if it can be.
            time: In seconds.
        """
        seen = self._see(message)
        names = seen.names
        if names[0].endswith(REQUEST) and seen.request is not None:
            self._requests[seen.request] = len(self.turns)
        if names[0].endswith(RESPONSE) and seen.request in self._unanswered:
            self._unanswered.discard(seen.request)
            because = self.turns[self._asked[seen.request]]
            led = (because.stimulus,) if isinstance(because.stimulus, str) else because.names
            names = (*(f"{DONE}{name}" for name in led), *names)
        if names[0] == RELEASED:
            self._connections.discard(message.get("amf_ue_ngap_id"))
        elif message.protocol == NGAP and message.fields.has("amf_ue_ngap_id"):
            self._connections.add(message["amf_ue_ngap_id"])
        seid = message.get("seid") if message.protocol == PFCP else None
        self.turns.append(OpenTurn(place, time, names, seen.sessions, seen.dnn, seen.sst, seid))
        self.turns[-1].put_off = any(_asks(self.turns[-1], *asked) for asked in self._put_off)
        for name in [name for name, (_, rule) in self._running.items() if not rule.stopped.isdisjoint(names)]:
            del self._running[name]

    def say(self, place: int, message: Message, time: float) -> None:
        """Takes a record that the core says; arguments as of `hear`."""
        seen = self._see(message)
        if seen.names[-1] in (ESTABLISHMENT, STATUS):
            self._correct(seen, time)
        turn, cause = self._find(seen, time)
        chosen = self.turns[turn]
        chosen.said.append(place)
        if seen.names[-1] == STATUS:
            self._status = place, turn
        chosen.answers.add(seen.answer)
        if not seen.names[0].endswith(RESPONSE):
            if seen.names[-1] != ESTABLISHMENT:  # which takes longer than what is asked for after it
                self._floors[seen.protocol] = max(turn, self._floors.get(seen.protocol, 0))
            self._ask(seen, cause, turn, time)
        stimulus = chosen.stimulus if isinstance(chosen.stimulus, str) else chosen.names[-1]
        self.counts[seen.names[-1], cause, stimulus] += 1
        if seen.identity is not None:
            self._before[seen.identity] = time, turn
        for rule in TIMER_RULES:
            if not rule.started.isdisjoint(seen.names):
                self._running[rule.name] = time, rule

    def decide(self, asked: float, time: float, names: Collection[str], dnn: str | None = None) -> None:
        """Takes a decision on something that had to wait: what is said from now on is said because of it.

        Args:
            asked: When it was heard, in seconds.
            time: When it was decided, in seconds.
            names: Of the messages that can have asked for it.
            dnn: Data network it is about; None if it is about none.
        """
        for turn in reversed(self.turns):
            if turn.time < asked - SAME_TIME:
                return
            if not turn.said and _asks(turn, asked, names, dnn):
                self.turns.append(OpenTurn(event("decided"), time, turn.names, turn.sessions, turn.dnn, turn.sst))
                turn.names = ()
                return

    def _ask(self, seen: Seen, cause: Cause, turn: int, time: float) -> None:
        """Takes a request of N4; one that the link brings twice has no response of its own."""
        if seen.request is None:
            return
        if cause is not Cause.AGAIN:
            self._asked[seen.request] = turn
        if cause is not Cause.AGAIN or time - self._before[seen.identity][0] >= AT_ONCE:
            self._unanswered.add(seen.request)

    def _see(self, message: Message) -> Seen:
        self._numbers.learn(message)
        number = message.get("sequence_number") if message.protocol == PFCP else None
        return Seen(
            message.protocol,
            names_of(message),
            self._numbers.sessions_of(message),
            *_data_network(message),
            number,
            _identity(message),
        )

    def _find(self, seen: Seen, time: float) -> tuple[int, Cause]:
        """Returns the place of the turn in which something is said."""
        names = seen.names
        if names[0].endswith(RESPONSE) and seen.request in self._requests:
            return self._requests[seen.request], Cause.ANSWER
        again = self._again(seen, time)
        if again is not None:
            return again
        found = self._trigger(seen, time)
        if found is not None:
            return found, Cause.TABLE
        ruled = any(name in TRIGGERS or name in OF_ITSELF for name in names)
        if self.turns and time - self.turns[-1].time <= (TOGETHER if ruled else NEAR) and names[-1] not in ALONE:
            return len(self.turns) - 1, Cause.LAST
        return self._of_itself(seen, time), Cause.ITSELF

    def _recent(self, link: str, since: float) -> Iterable[int]:
        """Yields the places of turns in which something can be said on a link, the latest first; on any if empty."""
        least = max(self._floors.get(link, 0), len(self.turns) - MOST_TURNS)
        for place in range(len(self.turns) - 1, least - 1, -1):
            if self.turns[place].time < since:
                return
            yield place

    def _again(self, seen: Seen, time: float) -> tuple[int, Cause] | None:
        """Returns the place of the turn for what was said before and is said again; None if it was not."""
        before, turn = self._before.get(seen.identity, (-AGAIN, 0))
        if seen.identity is None or time - before >= AGAIN:
            return None
        if seen.protocol == PFCP:
            return self._new(event("repeated"), time), Cause.AGAIN
        if time - before < AT_ONCE:
            to_others = seen.names[0] == "Paging" and time - before < TOGETHER
            return (turn, Cause.TABLE) if to_others else None
        name = next((rule.name for rule in TIMER_RULES if not rule.started.isdisjoint(seen.names)), None)
        if name is None or self._trigger(seen, time, since=before) is not None:
            return None
        return self._new(timer(name), time), Cause.TIMER

    def _trigger(self, seen: Seen, time: float, since: float = 0.0) -> int | None:
        """Returns the place of what the table says is answered: the latest, or the first of several that wait."""
        last = seen.names[-1]
        known = next((TRIGGERS[name] for name in reversed(seen.names) if name in TRIGGERS), None)
        found, kind = None, None
        if known is None:
            return None
        for place in self._recent("" if last == ESTABLISHMENT else seen.protocol, max(since, time - REACH)):
            turn = self.turns[place]
            if turn.put_off or known.isdisjoint(turn.names):
                continue
            if seen.answer in turn.answers or not self._agree(seen, turn):
                continue
            if last in ONE_OF and any(name in ONE_OF for name, _ in turn.answers):
                continue
            if last not in IN_TURN:
                if not seen.sessions or turn.sessions or not turn.seid:
                    return place
                found = place if found is None else found  # unless another one is known to be of this session
                continue
            if kind is None or (kind == turn.names[-1] and time - turn.time <= WAITS):
                found, kind = place, turn.names[-1]
        return found

    def _correct(self, seen: Seen, time: float) -> None:
        """Moves an error report to the request before, if the one it was put to turns out to have another answer.

        The report does not say which of several requests it is about, so the next answer tells: the establishment of
        the session, or another report.
        """
        place, turn = self._status or (0, 0)
        if self._status is None or self.turns[turn].said != [place] or not self._agree(seen, self.turns[turn]):
            return
        kind, again = self.turns[turn].names[-1:], seen.names[-1] == STATUS
        recent = [other for other in self.turns[-MOST_TURNS:] if other.names[-1:] == kind and not other.said]
        if not again and any(self._agree(seen, other) and time - other.time <= WAITS for other in recent):
            return
        if again and any(later.names[-1:] == kind for later in self.turns[turn + 1 :]):
            return
        for other in reversed(self.turns[max(0, turn - MOST_TURNS) : turn]):
            if other.said or time - other.time > WAITS:
                return
            if other.names[-1:] == kind and (again or not self._agree(seen, other)):
                self.turns[turn].said.remove(place)
                self.turns[turn].answers = {answer for answer in self.turns[turn].answers if answer[0] != STATUS}
                other.said.append(place)
                other.answers.add((STATUS, frozenset()))
                return

    def _of_itself(self, seen: Seen, time: float) -> int:
        """Returns the place of the turn for what nobody asked for."""
        last = seen.names[-1]
        token = next((OF_ITSELF[name] for name in reversed(seen.names) if name in OF_ITSELF), OTHERWISE)
        if last == DELETION and self._connections:  # to a UE that is deregistered something would be said first
            token = command("release_session")
        elif last == DELETION and self.turns and time - self.turns[-1].time >= QUIET:
            token = IMPLICIT
        running = [(began, name) for name, (began, _) in self._running.items()]
        running += [(self.turns[self._asked[request]].time, "T1") for request in self._unanswered]
        expired = [entry for entry in running if AT_ONCE <= time - entry[0] < AGAIN]
        if expired and last in GIVES_UP:
            token = timer(min(expired)[1])
        for place in self._recent(seen.protocol, time - TOGETHER):
            if self.turns[place].stimulus == token:
                return place
        return self._new(token, time)

    def _new(self, stimulus: str, time: float) -> int:
        if stimulus == event("link_lost"):
            self._connections.clear()
        self.turns.append(OpenTurn(stimulus, time))
        return len(self.turns) - 1

    def _agree(self, seen: Seen, turn: OpenTurn) -> bool:
        """Returns whether a message can be about what a turn is about."""
        if not turn.sessions and turn.seid:  # whose tunnel a base station may have been told of meanwhile
            turn.sessions = self._numbers.of_endpoint(turn.seid)
        if seen.sessions and turn.sessions and seen.sessions.isdisjoint(turn.sessions):
            return False
        if None not in (seen.sst, turn.sst) and seen.sst != turn.sst:
            return False
        return not seen.dnn or not turn.dnn or seen.dnn == turn.dnn


def _asks(turn: OpenTurn, asked: float, names: Collection[str], dnn: str | None) -> bool:
    """Returns whether in a turn something was asked for then, with one of these messages, for that data network."""
    same = abs(turn.time - asked) <= SAME_TIME and (not dnn or not turn.dnn or turn.dnn == dnn)
    return same and not {*names}.isdisjoint(turn.names)


def _data_network(message: Message) -> tuple[str, Any]:
    """Returns the data network that a message is about, and the type of slice."""
    if message.protocol == PFCP:
        return message.get("apn_dnn", ""), message.get("s_nssai.sst")
    transports = (plain(protected) for protected in nas_of(message))
    return next(
        ((inner.get("dnn", ""), inner.get("s_nssai.sst")) for inner in transports if inner is not None), ("", None)
    )


def _identity(message: Message) -> Hashable | None:
    """Returns what is the same in a message that is sent again; None if it is none of those that are."""
    if message.protocol == PFCP:
        return None if message.name.endswith(RESPONSE) else (message.name, message.get("sequence_number"))
    if message.name == "Paging":
        return message.name, message.get("ue_paging_identity.five_g_s_tmsi.five_g_tmsi")
    for protected in nas_of(message):
        inner = plain(protected)
        if inner is None:
            return None
        rest = inner.get("payload_container")
        if isinstance(rest, Message):
            inner = rest
        said = [inner.get(name) for name in ("rand", "guti", "pdu_session_id", "pti")]
        return (inner.name, *(value for value in said if value is not None))
    return None
