"""A core that answers: what is heard becomes tokens, the model says what comes next, the resolver says of whom."""

from __future__ import annotations

import logging
import time as clock_time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from os import PathLike
from typing import Any

from gentwin.models.policy import PolicyTwinModel
from gentwin.models.signaling import SignalingTokenizer
from gentwin.models.signaling.configuration_signaling import SEPARATE
from gentwin.models.signaling.decoding import Decoder
from gentwin.models.signaling.decoding_weights import FLOAT32
from gentwin.pipelines.core_twin import refusals
from gentwin.pipelines.core_twin.answers import Answers
from gentwin.pipelines.core_twin.conversations import Conversation, Conversations
from gentwin.pipelines.core_twin.datagrams import REQUEST, RESPONSE, Datagrams
from gentwin.pipelines.core_twin.journal import Journal, Listener
from gentwin.pipelines.core_twin.loading import load_twin
from gentwin.pipelines.core_twin.policies import load_policy
from gentwin.pipelines.core_twin.speech import Speech, Stimulus
from gentwin.pipelines.core_twin.timers import IMPLICIT, Timers
from gentwin.signaling import pfcp
from gentwin.signaling.core.admission import AdmissionConfiguration
from gentwin.signaling.core.configuration import NetworkConfiguration
from gentwin.signaling.core.control_plane import Packet
from gentwin.signaling.core.policy import Policy
from gentwin.signaling.core.subscriber_files import read_subscribers
from gentwin.signaling.core.subscribers import Subscribers
from gentwin.signaling.dialogue.directions import GNB_TO_AMF, UPF_TO_SMF
from gentwin.signaling.dialogue.hints import COMMANDS, OF_A_SESSION, command, event
from gentwin.signaling.dialogue.linear import framed, to_tokens
from gentwin.signaling.errors import SignalingError
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import NGAP, PFCP, Message
from gentwin.signaling.records import decode_message
from gentwin.signaling.resolver import CoreNetwork, reading
from gentwin.signaling.resolver.nodes import RESET_PART
from gentwin.signaling.turns.names import names_of

MOST_HEARD = 1024  # tokens of one message
LINK_LOST = event("link_lost")
TO_CORE = {NGAP: GNB_TO_AMF, PFCP: UPF_TO_SMF}

log = logging.getLogger(__name__)


class CoreTwin:
    """A core network that a message twin speaks for.

    It takes bytes and gives bytes; when things happen is said by the caller, so it works in simulated time as well.
    Everything it is given may be hostile: what is no message, comes from a stranger, is replayed or is not protected by
    the right keys gets the answer that 3GPP prescribes, or silence, and changes nothing for anybody else.

    One thread may use it at a time.

    Args:
        model: Message twin whose view is `separate`.
        tokenizer: It was trained with.
        network: Configuration, subscribers, policy and allocators of the core.
        rows: How many conversations are answered at a time, and are kept ready to be.
        most_tokens: Number of tokens of all conversations that are kept ready, of 2 KB each with the default sizes.
        most_answers: Number of answers of the model that are remembered, to say them again where all that was said
            before them is the same, of some 2 KB each, and 4 bytes for each token of a sixteenth as many contexts; 0
            for none.
        weights: How the decoder holds the weights of the model: `float32`, or `int8` in a quarter of the memory; see
            [`Decoder`][gentwin.models.signaling.decoding.Decoder].
        listener: Told of everything that happens.

    Attributes:
        network: As given.
        stations: Number of the conversation of each base station whose link is set up, by its address.

    Raises:
        ValueError: If the twin was trained with another view, a number is out of its range, or `weights` is none of the
            two.
        CheckpointError: If the tokenizer is not that of the twin.

    Example:
        ```python
        core = CoreTwin.from_pretrained("gentwin/signaling-open5gs", subscribers=read_subscribers("subscribers.yaml"))
        for packet in core.hear([Packet("ngap", "127.0.2.1:41621", data)], now=time.time()):
            send(packet.peer, packet.data, packet.stream)
        ```
    """

    def __init__(
        self,
        model: Any,
        tokenizer: SignalingTokenizer,
        network: CoreNetwork,
        *,
        rows: int = 1024,
        most_tokens: int = 500_000,
        most_answers: int = 16_384,
        weights: str = FLOAT32,
        listener: Listener | None = None,
    ) -> None:
        model.config.check_tokenizer(tokenizer)
        if model.config.view != SEPARATE:
            raise ValueError(
                f"`view` of the twin must be {SEPARATE!r}, as a core keeps a context for every UE, got "
                f"{model.config.view!r}; load a twin that was trained so."
            )
        self.network = network
        self.stations: dict[str, int] = {}
        starts = tokenizer.vocabulary.encode(TO_CORE.values())
        decoder = Decoder(model, rows=rows, starts=starts, weights=weights)
        self._conversations = Conversations(decoder, network, most_tokens)
        configuration = network.configuration
        timing = configuration.flavour.timing
        self._timers, self._datagrams = Timers(timing), Datagrams(timing)
        self._journal = Journal(configuration, listener)
        self._speech = Speech(
            decoder,
            tokenizer,
            self._conversations,
            self._timers,
            self._datagrams,
            self._journal,
            configuration.upf_address,
            self.stations,
            Answers(most_answers),
        )
        self._speech.warm_up()

    @classmethod
    def from_pretrained(
        cls,
        name: str | PathLike[str],
        *,
        configuration: NetworkConfiguration | None = None,
        subscribers: Subscribers | str | PathLike[str] | None = None,
        policy: Policy | PolicyTwinModel | str | PathLike[str] | None = None,
        admission: AdmissionConfiguration | None = None,
        limits: Policy | None = None,
        home_keys: Mapping[int, bytes] | None = None,
        clock: Callable[[], float] = clock_time.time,
        **arguments: Any,
    ) -> CoreTwin:
        """Loads a core.

        Args:
            name: `gentwin/<name>` of a shipped checkpoint, a folder, or a Hub name.
            configuration: Parts and addresses of the network; those of the recorded one if not given.
            subscribers: The database, or a file as of
                [`read_subscribers`][gentwin.signaling.core.subscriber_files.read_subscribers]; none if not given.
            policy: Asked where an answer depends on load: a `Policy`; or a policy twin or its name, such as
                `gentwin/policy-admission-greedy`, which admits sessions in the slices of `admission`. If not given, the
                greedy policy does that where there is `admission`, and without it everything is admitted.
            admission: Slices whose sessions share resources; if not given, those that the policy twin knows.
            limits: Decides on all that is no session of these slices; everything is admitted if not given.
            home_keys: Private keys of the home network by identifier, 32 bytes each.
            clock: Returns the time in seconds since 1970.
            **arguments: As of the constructor: `rows`, `most_tokens`, `most_answers`, `weights`, `listener`.

        Raises:
            CheckpointError: If it is no message twin, or is damaged; if the policy is no policy twin, or its slices or
                resources are not those of `admission`.
            ValueError: If the network does not have these slices, or `admission` or `limits` is given beside a
                `Policy`, which decides alone.
            TypeError: If the subscribers are neither a database nor a path.
        """
        if isinstance(subscribers, str | PathLike):
            subscribers = read_subscribers(subscribers)
        elif not isinstance(subscribers, Subscribers | None):
            raise TypeError(f"`subscribers` must be `Subscribers` or a path, got {type(subscribers).__name__}.")
        configuration = configuration or NetworkConfiguration(start=clock())
        network = CoreNetwork(
            configuration,
            Subscribers() if subscribers is None else subscribers,
            policy=load_policy(policy, configuration, admission, limits),
            home_keys=home_keys,
            clock=clock,
        )
        return cls(*load_twin(name), network, **arguments)

    def __len__(self) -> int:
        """Returns the number of conversations."""
        return len(self._conversations)

    # ------------------------------------------------------------ what happens

    def start(self, now: float) -> list[Packet]:
        """Associates with the user plane.

        Args:
            now: In seconds since 1970, as in all that follows.

        Returns:
            Packets that go out, as in all that follows.
        """
        node = self._conversations.begin(is_node=True)
        return self._answer([self._happening(node, command("associate"), now)], now)

    def hear(self, packets: Sequence[Packet], now: float) -> list[Packet]:
        """Takes what came in, in its order, and answers; different UEs are answered together.

        Args:
            packets: From base stations and user planes.
            now: When.
        """
        out: list[Packet] = []
        waiting = deque(found for packet in packets for found in self._decoded(packet, now, out))
        while waiting:
            stimuli, later, taken = [], deque(), set()
            for packet, message in waiting:
                conversation = None
                try:
                    conversation = self._addressed(packet, message, now, out)
                    if conversation is None:
                        continue
                    if conversation.number in taken:
                        later.append((packet, message))
                        continue
                    taken.add(conversation.number)
                    stimuli += self._heard(conversation, packet, message, now)
                except Exception as error:  # whatever somebody sends, others are answered
                    self._fail(None, packet.peer, f"`{message.name}`", error, now)
                    self._end_if_idle(conversation)
            out += self._answer(stimuli, now)
            waiting = later
        return out + self._follow_up(now)

    def lose(self, peer: str, now: float) -> list[Packet]:
        """Takes that the link to a base station is lost.

        Args:
            peer: Its address.
            now: When.
        """
        self.stations.pop(peer, None)
        node = self.network.contexts.get(("NODE", peer))
        if node is not None:
            self._conversations.end(self._conversations.of(node))
            self.network.forget(node)
        return self._lose_connections(peer, now)

    def command(self, name: str, supi: str, now: float, psi: int | None = None) -> list[Packet]:
        """Lets the core do something of itself.

        Args:
            name: One of [`COMMANDS`][gentwin.signaling.dialogue.hints.COMMANDS] about a UE, such as `deregister`.
            supi: Of the UE.
            now: When.
            psi: PDU session that it is about, if it is about one; the one of the lowest identity if not given.

        Raises:
            ValueError: If there is no such command, or the core does not know the UE, or the UE has no such session.
        """
        if name not in COMMANDS or name == "associate":
            known = ", ".join(known for known in COMMANDS if known != "associate")
            raise ValueError(f"`name` must be one of {known}, got {name!r}.")
        found = self.network.contexts.get(("SUPI", supi))
        if found is None:
            raise ValueError(f"`supi` must be of a UE that has registered, got {supi!r}.")
        there = [known.psi for known in found.state.sessions.values() if known.there]
        if name in OF_A_SESSION and (not there if psi is None else psi not in there):
            known = ", ".join(map(str, sorted(there)))
            if not known:
                raise ValueError(f"`name` {name!r} needs a PDU session, the UE has none; establish one first.")
            raise ValueError(f"`psi` must be a PDU session of the UE, which has {known}, got {psi}; or leave it out.")
        return self._answer([self._happening(self._conversations.of(found), command(name), now, psi)], now)

    def due(self) -> float | None:
        """Returns when the next timer runs out, in seconds since 1970; None if none runs."""
        ends = self._timers.due(), self._datagrams.due(), self.network.admission.due
        return min((end for end in ends if end is not None), default=None)

    def tick(self, now: float) -> list[Packet]:
        """Lets the timers run out whose time has come.

        Args:
            now: When.
        """
        out, given_up = self._datagrams.expire(now)
        expired = [(conversation, "<timer:T1>") for conversation in given_up] + [*self._timers.expire(now)]
        while expired:
            stimuli, later, taken = [], [], set()
            for conversation, token in expired:
                if conversation.number in taken:
                    later.append((conversation, token))
                    continue
                taken.add(conversation.number)
                try:
                    stimuli.append(self._happening(conversation, token, now))
                except Exception as error:  # other timers run out all the same
                    self._fail(conversation, "", f"`{token}`", error, now)
            out += self._answer(stimuli, now)
            expired = later
        self._speech.make_room()
        return out + self._follow_up(now)

    # ------------------------------------------------------------ what is heard

    def _decoded(self, packet: Packet, now: float, out: list[Packet]) -> list[tuple[Packet, Message]]:
        """Returns the messages in a packet."""
        try:
            if packet.protocol == PFCP:
                return [(packet, message) for message in pfcp.decode_all(packet.data)]
            return [(packet, decode_message(packet.protocol, packet.data))]
        except SignalingError as error:
            out += self._refuse(refusals.of_bytes(packet.protocol, packet.data, str(error)), packet, now)
            return []

    def _addressed(self, packet: Packet, message: Message, now: float, out: list[Packet]) -> Conversation | None:
        """Returns the conversation that a message goes on with; None if it is refused or needs no answer."""
        refusal = refusals.of_stranger(message, packet.peer, self.stations)
        if refusal is None and message.protocol == PFCP:
            if message.name.endswith(RESPONSE) and not self._datagrams.waits(message, packet.peer):
                refusal = refusals.Refusal(f"`{message.name}` answers nothing that was asked")
            elif message.name.endswith(REQUEST) and (again := self._datagrams.answer_again(message, packet.peer)):
                out.append(again)
                return None
            elif message.name.endswith(RESPONSE):
                return self._datagrams.asked_by(message, packet.peer)
        found = self.network.find(message, packet.peer)
        refusal = refusal or refusals.of_connection(message, packet.peer, found)
        if refusal is not None:
            out += self._refuse(refusal, packet, now)
            return None
        if found is not None:
            return self._conversations.of(found)
        return self._conversations.begin(is_node=message.name != "InitialUEMessage")

    def _heard(self, conversation: Conversation, packet: Packet, message: Message, now: float) -> list[Stimulus]:
        """Returns what a message is for its conversation; nothing if there is no answer to it."""
        resolver = conversation.resolver
        self._journal.hears(conversation, message, packet, now)
        if message.protocol == PFCP and message.name.endswith(RESPONSE):
            self._datagrams.answered(message, packet.peer)
        unsealed = resolver.unseal(message)
        refusal = refusals.of_security(unsealed.opened) or refusals.of_length(unsealed.message, MOST_HEARD)
        if refusal is not None:
            self._refuse(refusal, packet, now, conversation)
            self._end_if_idle(conversation)
            return []
        heard = resolver.hear(message, now, packet.peer, unsealed)
        tokens = to_tokens(heard.canonical)
        self._timers.heard(conversation, names_of(heard.message), now)
        tokens = framed(tokens, TO_CORE[message.protocol], begins=not conversation.begun)
        conversation.begun = True
        return [Stimulus(conversation, [*tokens, *heard.hints], heard.message, packet.peer)]

    def _happening(self, conversation: Conversation, token: str, now: float, psi: int | None = None) -> Stimulus:
        """Returns what something that nobody says is for a conversation."""
        self._journal.happens(conversation, token, now)
        return Stimulus(conversation, [token, *conversation.resolver.happen(token, now, psi)])

    def _follow_up(self, now: float) -> list[Packet]:
        """Answers what happens at the core because load has changed, as that who waited is admitted."""
        out: list[Packet] = []
        while (found := self.network.happen(now)) is not None:
            conversation = self._conversations.of(found.context)
            self._journal.happens(conversation, found.stimulus, now)
            out += self._answer([Stimulus(conversation, [found.stimulus, *found.hints])], now)
        return out

    def _lose_connections(self, peer: str, now: float, listed: Collection[int] = ()) -> list[Packet]:
        """Lets UEs at a base station lose their connections: all of them, or those that are listed."""
        lost = []
        for conversation in [*self._conversations]:
            state = conversation.resolver.state
            own = {
                known.amf_id for known in (*state.connections.values(), state.fresh) if known and known.station == peer
            }
            if own and (not listed or own & {*listed}):
                self._journal.happens(conversation, LINK_LOST, now)
                hints = conversation.resolver.lose(peer, now)
                lost.append(Stimulus(conversation, [LINK_LOST, *hints]))
        return self._answer(lost, now)

    def _answer(self, stimuli: Sequence[Stimulus], now: float) -> list[Packet]:
        """Returns what the core says; each conversation is there once."""
        out: list[Packet] = []
        for stimulus, packets in self._speech.answer(stimuli, now):
            out += packets + self._after(stimulus, now)
        return out

    # ------------------------------------------------------------ what follows

    def _after(self, stimulus: Stimulus, now: float) -> list[Packet]:
        """Takes what follows from a turn beyond its own conversation."""
        conversation, heard = stimulus.conversation, stimulus.heard
        out: list[Packet] = []
        if heard is not None and heard.name == "NGReset":
            items = reading.group(heard, RESET_PART).all("item")
            listed = [item.get("amf_ue_ngap_id") for item in items if isinstance(item, Fields)]
            out += self._lose_connections(stimulus.peer, now, [known for known in listed if isinstance(known, int)])
        elif heard is not None and heard.name == refusals.SET_UP and stimulus.peer in self.stations:
            out += self._lose_connections(stimulus.peer, now)
        if not conversation.is_node and conversation.resolver.state.connection is None:
            self._timers.start(conversation, IMPLICIT, now)
        self._end_if_idle(conversation)
        return out

    def _end_if_idle(self, conversation: Conversation | None) -> None:
        """Lets go of what a UE that has gone does not need any more."""
        if conversation is None or conversation.is_node or not conversation.resolver.is_at_rest:
            return
        self._timers.stop(conversation, IMPLICIT)
        if conversation.resolver.state.supi:
            self._conversations.restart(conversation)
        else:
            self.network.forget(conversation.resolver)
            self._conversations.end(conversation)

    def _refuse(
        self, refusal: refusals.Refusal, packet: Packet, now: float, conversation: Conversation | None = None
    ) -> list[Packet]:
        """Returns what is said in place of an answer."""
        self._journal.refuses(conversation, packet.peer, refusal.reason, now)
        if refusal.answer is None:
            return []
        return [self._journal.says(conversation, refusal.answer, packet.peer, packet.stream, now)]

    def _fail(self, conversation: Conversation | None, peer: str, what: str, error: Exception, now: float) -> None:
        """Tells that something cannot be taken; what no sender is to blame for is logged with its traceback."""
        if not isinstance(error, SignalingError):
            log.error("%s cannot be taken, by a defect", what, exc_info=error)
        self._journal.refuses(conversation, peer, f"{what} cannot be taken: {error!r}", now)

    # ------------------------------------------------------------ checkpoints

    def state_dict(self) -> dict[str, Any]:
        """Returns all conversations in plain types, as JSON has them. They hold keys: store them as a secret."""
        return {
            "conversations": self._conversations.state_dict(),
            "stations": dict(self.stations),
            "sequences": self.network.allocators.state_dict(),
        }

    def load_state_dict(self, values: Mapping[str, Any]) -> None:
        """Takes what `state_dict` of another core of the same twin and network gave, in place of what it knows."""
        self._conversations.load_state_dict(values["conversations"])
        self.network.allocators.load_state_dict(values["sequences"])
        self.stations.clear()
        self.stations.update(values["stations"])
        for conversation in self._conversations:
            for name, end in conversation.timers.items():
                self._timers.resume(conversation, name, end)
