"""What all contexts of a core share: configuration, subscribers, allocators, and which context an identifier is of."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from random import Random, SystemRandom
from time import time
from typing import TYPE_CHECKING, Any

from gentwin.signaling.core.configuration import NetworkConfiguration
from gentwin.signaling.core.n2 import NTP_EPOCH
from gentwin.signaling.core.policy import AdmitAll, Load, Policy
from gentwin.signaling.core.subscribers import Subscriber, Subscribers
from gentwin.signaling.dialogue.hints import event
from gentwin.signaling.errors import DecodeError, SignalingError
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import PFCP, Message
from gentwin.signaling.resolver.allocators import Allocators, NetworkAllocators
from gentwin.signaling.resolver.waiting import Admission, Happened
from gentwin.signaling.security import (
    MacError,
    ProtectionScheme,
    SecurityError,
    deconceal,
    serving_network_name,
    unpack_msin,
)
from gentwin.signaling.turns.names import nas_of, plain

if TYPE_CHECKING:
    from gentwin.signaling.resolver.resolver import Resolver

SCHEMES = {"ecies_profile_a": ProtectionScheme.PROFILE_A, "ecies_profile_b": ProtectionScheme.PROFILE_B}
IMSI_DIGITS = 15
CONNECTION, STATION = "AMF_UE_ID", "STATION"
KNOWN, UNKNOWN, BARRED, CONCEALED = "known", "unknown", "barred", "concealed"


class CoreNetwork:
    """A core that contexts belong to.

    Args:
        configuration: Its parts and addresses.
        subscribers: The database.
        policy: Asked where an answer depends on load; everything is admitted if not given.
        allocators: Where new identifiers come from; counters and pools if not given.
        home_keys: Private key of the home network by its identifier, for concealed identities, 32 bytes each; those of
            the configuration if not given.
        random: Of what is random; of the operating system if not given.
        clock: Returns the time in seconds since 1970.

    Attributes:
        started: When the control plane started, in seconds since 1970.
        contexts: Context by kind of identifier and identifier: `AMF_UE_ID`, `TMSI`, `SUPI`, `SEID`, `NODE`, `STATION`.
        admission: Asks the policy, and keeps what waits and the load. Who knows how long queues are says so in the
            `backlog` of the load.
        relief: How many percent of new connections base stations were asked to refuse; 0 for none.
    """

    def __init__(
        self,
        configuration: NetworkConfiguration,
        subscribers: Subscribers,
        *,
        policy: Policy | None = None,
        allocators: Allocators | None = None,
        home_keys: Mapping[int, bytes] | None = None,
        random: Random | None = None,
        clock: Callable[[], float] = time,
    ) -> None:
        self.configuration, self.subscribers = configuration, subscribers
        self.admission = Admission(policy or AdmitAll(), configuration.start)
        self.allocators = allocators or NetworkAllocators(configuration, random or SystemRandom())
        known = {key.identifier: bytes.fromhex(key.private_key) for key in configuration.home_keys}
        self.home_keys, self.clock = known if home_keys is None else dict(home_keys), clock
        self.serving_network = serving_network_name(configuration.mcc, configuration.mnc)
        self.started = configuration.start
        self.contexts: dict[tuple[str, Any], Resolver] = {}
        self.relief = 0
        self.events: deque[tuple[Resolver, str]] = deque()

    # ------------------------------------------------------------ contexts

    def find(self, message: Message, sender: str) -> Resolver | None:
        """Returns the context that a message is for; None if none is known, and a new one is to be made.

        Args:
            message: That is heard.
            sender: Address of who sent it.
        """
        keys = _pfcp_keys(message) if message.protocol == PFCP else self._ngap_keys(message)
        for key in keys:
            found = self.contexts.get(key)
            if found is not None:
                return found
        return self.contexts.get(("NODE", node(message, sender))) if not keys else None

    def claim(self, kind: str, value: Any, context: Resolver) -> None:
        """Lets an identifier be one of a context, whoever had it before."""
        self.load.connected += kind == CONNECTION and (kind, value) not in self.contexts
        self.contexts[kind, value] = context

    def release(self, kind: str, value: Any, context: Resolver) -> None:
        """Takes an identifier from a context, if it has it."""
        if self.contexts.get((kind, value)) is context:
            self.load.connected -= kind == CONNECTION
            del self.contexts[kind, value]

    def forget(self, context: Resolver) -> None:
        """Takes all identifiers from a context that is no more."""
        for kind, value in [key for key, known in self.contexts.items() if known is context]:
            self.release(kind, value, context)

    def _ngap_keys(self, message: Message) -> list[tuple[str, Any]]:
        for name in ("amf_ue_ngap_id", "source_amf_ue_ngap_id", "ue_ngap_ids.ue_ngap_id_pair.amf_ue_ngap_id"):
            amf_id = message.get(name)
            if isinstance(amf_id, int):
                return [("AMF_UE_ID", amf_id)]
        if message.name != "InitialUEMessage":
            return []
        keys: list[tuple[str, Any]] = []
        for protected in nas_of(message):
            inner = plain(protected)
            identity = inner.get("mobile_identity") if inner is not None else None
            if isinstance(identity, Fields):
                keys += self._identity_keys(identity)
        return [*keys, ("new", None)]

    def _identity_keys(self, identity: Fields) -> Iterable[tuple[str, Any]]:
        if isinstance(identity.get("tmsi"), bytes):
            return [("TMSI", identity["tmsi"])] if self.is_ours(identity) else []
        supi, _ = self.reveal(identity)
        return [("SUPI", supi)] if supi else []

    def aside(self) -> CoreNetwork:
        """Returns a network of the same parts and subscribers, whose contexts and identifiers are its own."""
        known = _Unchanged(self.subscribers)
        return CoreNetwork(self.configuration, known, home_keys=self.home_keys, random=Random(0), clock=self.clock)

    # ------------------------------------------------------------ identities

    def is_ours(self, identity: Fields) -> bool:
        """Returns whether a temporary identity was given by this AMF, as far as it says who gave it."""
        known = self.configuration
        ours = {
            "amf_set_id": known.amf_set,
            "amf_pointer": known.amf_pointer,
            "amf_region_id": known.amf_region,
            "mcc": known.mcc,
            "mnc": known.mnc,
        }
        return all(identity.get(name, value) == value for name, value in ours.items())

    def reveal(self, identity: Fields) -> tuple[str, str]:
        """Returns the SUPI in a SUCI, and `concealed` if it is and there is no key for it; else empty texts.

        Args:
            identity: Mobile identity.
        """
        if identity.get("type") != "suci":
            return "", ""
        start, msin = f"{identity.get('mcc', '')}{identity.get('mnc', '')}", identity.get("msin")
        if isinstance(identity.get("nai"), str):
            return identity["nai"], ""
        if isinstance(msin, str):
            return start + msin, ""
        scheme, output = SCHEMES.get(identity.get("protection_scheme")), identity.get("scheme_output")
        key = self.home_keys.get(identity.get("home_network_public_key_id", -1))
        if scheme is None or key is None or not isinstance(output, bytes):
            return "", CONCEALED
        try:
            msin = unpack_msin(deconceal(scheme, output, key))
        except (DecodeError, MacError, SecurityError):
            return "", CONCEALED
        return start + msin[: IMSI_DIGITS - len(start)], ""

    def subscriber(self, supi: str) -> tuple[Subscriber | None, str]:
        """Returns a subscriber, and `known`, `unknown` or `barred`."""
        found = self.subscribers.get(supi) if supi else None
        if found is None:
            return None, UNKNOWN
        return found, BARRED if found.barred else KNOWN

    # ------------------------------------------------------------ load, and what happens

    @property
    def load(self) -> Load:
        """What is going on in the core."""
        return self.admission.load

    def happen(self, time: float) -> Happened | None:
        """Returns the next thing that happens at the core and nobody says, with the context that has to answer it.

        To be asked when something was heard or said, or time has gone by, until it is None; the answer is to be said
        before it is asked again, for load goes up with it.

        Args:
            time: In seconds since 1970.
        """
        self._look_after_relief()
        if self.events:
            context, stimulus = self.events.popleft()
            return Happened(context, stimulus, context.happen(stimulus, time))
        decided = self.admission.settle(time)
        if decided is None:
            return None
        return Happened(decided.context, event("decided"), decided.context.settle(decided, time))

    def _look_after_relief(self) -> None:
        wanted = self.admission.policy.relief(self.load)
        if wanted != self.relief:
            self.relief = wanted
            stations = [context for (kind, _), context in self.contexts.items() if kind == STATION]
            self.events += [(context, event("overload" if wanted else "relief")) for context in stations]

    def lose_sessions(self) -> None:
        """Takes note that the user plane has lost all sessions."""
        known = dict.fromkeys(context for (kind, _), context in self.contexts.items() if kind == "SEID")
        self.events += [(context, event("sessions_lost")) for context in known if context.lose_sessions()]

    @property
    def recovery_time(self) -> int:
        """When the control plane started, as PFCP tells it: whole seconds since 1900."""
        return int(self.started) + NTP_EPOCH


def node(message: Message, address: str) -> str:
    """Returns what a node is known by: of N2 its address, of N4 its host, as datagrams come from any port."""
    return host_of(address) if message.protocol == PFCP else address


def host_of(address: str) -> str:
    """Returns the host of an address `host:port`."""
    return address.rpartition(":")[0].strip("[]")


class _Unchanged(Subscribers):
    """Subscribers of a database that is not written to."""

    def __init__(self, subscribers: Subscribers) -> None:
        self._subscribers = subscribers

    def get(self, supi: str) -> Subscriber | None:
        return self._subscribers.get(supi)

    def next_sqn(self, supi: str) -> int:
        raise SignalingError("`supi` must be of a database that can be written to; this one is for looking ahead.")

    def set_sqn(self, supi: str, sqn: int) -> None:
        """Leaves the database as it is."""


def _pfcp_keys(message: Message) -> list[tuple[str, Any]]:
    seid = message.get("seid")
    return [("SEID", seid)] if isinstance(seid, int) and seid else []
