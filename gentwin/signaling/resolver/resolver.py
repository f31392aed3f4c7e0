"""One context of a core: what it hears is opened and explained, what it says is filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from gentwin.signaling.core.subscribers import Subscriber
from gentwin.signaling.dialogue.bindings import Identifiers, canonicalise
from gentwin.signaling.messages import NGAP, PFCP, Message
from gentwin.signaling.ngap import map_nas
from gentwin.signaling.resolver import filling, hearing, hints, saying, sessions
from gentwin.signaling.resolver.network import CONNECTION, CoreNetwork
from gentwin.signaling.resolver.protection import Opened, Protection
from gentwin.signaling.resolver.state import (
    DEREGISTERED,
    REGISTERED,
    REGISTERING,
    Connection,
    UeState,
    from_plain,
    to_plain,
)
from gentwin.signaling.resolver.waiting import Decided


@dataclass(frozen=True, slots=True)
class Heard:
    """A message that a core hears.

    Args:
        message: With ciphered NAS opened where its key is known.
        canonical: The same with slots in place of identifiers.
        hints: Tokens of what the answer depends on.
    """

    message: Message
    canonical: Message
    hints: tuple[str, ...] = ()


class Unsealed(NamedTuple):
    """A message that is heard, with NAS opened.

    Args:
        message: The message.
        opened: The NAS messages in it, and who vouches for them.
    """

    message: Message
    opened: list[Opened]


class Resolver:
    """Follows the dialogue of one UE or node, and knows what the transformer does not.

    It learns from what is heard and said alone, so it can follow a recording (`hear`, `note`) as well as take part
    (`hear`, `say`).

    Args:
        network: That the context belongs to.
        bindings: Identifiers that the context has used, if something was said before.

    Attributes:
        state: What is known of the UE.
        protection: Its security.
        peer: Address of who was heard last.
        time: When something was heard or said last, in seconds since 1970.
    """

    def __init__(self, network: CoreNetwork, bindings: Identifiers | None = None) -> None:
        self.network = network
        self.bindings = Identifiers() if bindings is None else bindings
        self.state = UeState()
        self.protection = Protection(network.serving_network)
        self.peer = ""
        self.time = 0.0

    # ------------------------------------------------------------ following a dialogue

    def hear(self, message: Message, timestamp: float, sender: str = "", unsealed: Unsealed | None = None) -> Heard:
        """Takes a message to the core.

        Args:
            message: Any that a codec decoded.
            timestamp: When, in seconds since 1970.
            sender: Address of who sent it.
            unsealed: What `unseal` gave for it, where that was asked before.
        """
        self.time, self.peer = timestamp, sender or self.peer
        message, found = unsealed or self.unseal(message)
        parts = hearing.hear(self, message, found)
        canonical = self.name_identifiers(message)
        return Heard(message, canonical, self._write(parts))

    def unseal(self, message: Message) -> Unsealed:
        """Returns a message to the core with NAS opened, and who vouches for it; only counts of NAS go on with that.

        Args:
            message: Any that a codec decoded.
        """
        found: list[Opened] = []

        def opened(nas: Any) -> Any:
            if not isinstance(nas, Message):
                return nas
            found.append(self.protection.open(nas))
            return found[-1].message

        return Unsealed(map_nas(message, opened) if message.protocol == NGAP else message, found)

    def lose(self, station: str, timestamp: float) -> tuple[str, ...]:
        """Takes that the link to a base station is lost; returns the hints that go with it.

        Args:
            station: Its address.
            timestamp: When, in seconds since 1970.
        """
        self.time = timestamp
        return self._write(hearing.lose(self, station))

    def happen(self, stimulus: str, timestamp: float, psi: int | None = None) -> tuple[str, ...]:
        """Takes what happens and nobody says; returns the hints that go with it.

        Args:
            stimulus: Its token, such as `<timer:T3550>`.
            timestamp: When, in seconds since 1970.
            psi: PDU session that a command is about; the one of the lowest identity if not given.
        """
        self.time = timestamp
        return self._write(hearing.happen(self, stimulus, psi))

    def settle(self, decided: Decided, timestamp: float) -> tuple[str, ...]:
        """Takes what was decided on something that this context asked for and that waited; returns the hints for it.

        Args:
            decided: The decision.
            timestamp: When, in seconds since 1970.
        """
        self.time = timestamp
        return self._write(hearing.settle(self, decided))

    def lose_connections(self, lost: Iterable[Connection]) -> None:
        """Takes note that connections are no more."""
        state, network = self.state, self.network
        for amf_id in [known.amf_id for known in lost]:
            network.release(CONNECTION, amf_id, self)
            network.allocators.free(CONNECTION, amf_id)
            state.connections.pop(amf_id, None)
        state.current = state.current if state.current in state.connections else None
        state.target = state.target if state.target in state.connections else None

    def lose_sessions(self) -> bool:
        """Takes note that the user plane has lost all sessions; returns whether the UE is to be told."""
        return sessions.lose(self)

    def _write(self, parts: list[hints.Part]) -> tuple[str, ...]:
        self.state.heard["sessions"] = [part.psi for part in parts if isinstance(part, hints.About)]
        return tuple(part for part in parts if isinstance(part, str))

    def note(self, message: Message, timestamp: float) -> Message:
        """Takes a message that the core said, and returns it with NAS opened and slots in place of identifiers.

        Args:
            message: With all its values.
            timestamp: When, in seconds since 1970.
        """
        return self.name_identifiers(self.open_said(message, timestamp))

    def name_identifiers(self, message: Message) -> Message:
        """Returns a message with slots in place of identifiers, which are known from then on."""
        return canonicalise(message, self.bindings.about(message))[0]

    def open_said(self, message: Message, timestamp: float) -> Message:
        """Takes a message that the core said, and returns it with NAS opened; arguments as of `note`."""
        self.time = timestamp
        message = map_nas(message, self._follow) if message.protocol == NGAP else message
        saying.follow(self, message)
        return message

    def _follow(self, nas: Any) -> Any:
        if not isinstance(nas, Message):
            return nas
        saying.prepare(self, nas)
        return self.protection.follow(nas).message

    def aside(self) -> Resolver:
        """Returns a resolver that knows the same, to look ahead: nothing it does changes this one or its network."""
        other = Resolver(self.network.aside())
        other.load_state_dict(self.state_dict())
        return other

    # ------------------------------------------------------------ taking part

    def say(self, canonical: Message, timestamp: float) -> Message:
        """Returns a message of the core with a value in every slot, NAS protected: what goes out.

        Args:
            canonical: With slots in place of identifiers and computed values, NAS plain inside its protection.
            timestamp: When, in seconds since 1970.

        Raises:
            ResolverError: If a slot cannot be filled, or NAS not be protected. The context is as it was, but for
                identifiers that were allocated.
        """
        self.time = timestamp
        return filling.fill(self, canonical)

    # ------------------------------------------------------------ what is known

    @property
    def subscriber(self) -> Subscriber | None:
        """The subscriber; None if it is not known who it is."""
        return self.network.subscriber(self.state.supi)[0]

    def name(self, supi: str) -> bool:
        """Takes note of who a UE says it is; returns whether it can be, as a context is never that of another UE later.

        Another context that is known by this identity keeps it until this UE has proved who it is.
        """
        if self.state.supi not in ("", supi):
            return False
        self.state.supi = supi
        if ("SUPI", supi) not in self.network.contexts:
            self.network.claim("SUPI", supi, self)
        return True

    @property
    def is_at_rest(self) -> bool:
        """Whether a UE is not registered, has no connection and no session, and nothing is going on."""
        state = self.state
        busy = state.connections or state.fresh or state.sessions or state.asked or state.ending or state.unanswered
        return state.phase == DEREGISTERED and not busy

    def forget_names(self) -> None:
        """Forgets which identifiers were spoken of, but not what is known of the UE: a dialogue begins anew."""
        self.bindings = Identifiers()

    def enter(self, phase: str, admitted: bool = False) -> None:
        """Changes the phase of the UE, and counts.

        Args:
            phase: `deregistered`, `registering` or `registered`.
            admitted: Whether a registration that is going on was admitted.
        """
        load, state = self.network.load, self.state
        load.registered += (phase == REGISTERED) - (state.phase == REGISTERED)
        load.procedures += (phase == REGISTERING) - (state.phase == REGISTERING)
        load.registering += admitted - state.admitted
        state.phase, state.admitted, state.leaving = phase, admitted, ""
        if phase == DEREGISTERED:
            state.transactions.clear()

    def receiver(self, message: Message) -> str | None:
        """Returns the address that a message of the core goes to; None if it goes to every station, or is not known."""
        if message.protocol == PFCP:
            return self.network.configuration.upf_address
        for name in ("amf_ue_ngap_id", "ue_ngap_ids.ue_ngap_id_pair.amf_ue_ngap_id"):
            known = self.state.connections.get(message.get(name, -1))
            if known is not None:
                return known.station
        return None if message.name == "Paging" else self.peer or None

    # ------------------------------------------------------------ checkpoints

    def state_dict(self) -> dict[str, Any]:
        """Returns everything in plain types, as JSON has them. It holds keys: store it as a secret."""
        return {
            "state": to_plain(self.state),
            "protection": self.protection.state_dict(),
            "bindings": to_plain(self.bindings.state),
            "peer": self.peer,
            "time": self.time,
        }

    def load_state_dict(self, values: Mapping[str, Any]) -> None:
        """Takes what `state_dict` of another one gave, and makes its identifiers known in the network."""
        self.state = UeState()
        loaded = from_plain(values["state"])
        self.protection.load_state_dict(values["protection"])
        self.bindings = Identifiers(from_plain(values["bindings"]))
        self.peer, self.time = values["peer"], values["time"]
        self.enter(loaded.phase, loaded.admitted)
        self.state = loaded
        saying.register(self)
