"""The core that is served: a twin, or the reference core for comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from gentwin.hub import NAMESPACE, CheckpointError, checkpoint_path, list_checkpoints
from gentwin.schema import did_you_mean
from gentwin.serving.configuration import ServingConfiguration
from gentwin.signaling.core.admission import policy_of
from gentwin.signaling.core.configuration import NetworkConfiguration
from gentwin.signaling.core.control_plane import (
    HEARD,
    REFUSED,
    SAID,
    ControlPlane,
    CoreEvent,
    Packet,
    ReferenceControlPlane,
)
from gentwin.signaling.core.pfcp_node import PORT
from gentwin.signaling.core.policy import Policy
from gentwin.signaling.errors import SignalingError
from gentwin.signaling.messages import NGAP, Record
from gentwin.signaling.records import decode_message

REFERENCE = "reference"
VOCABULARY = "vocabulary.json"
"""What a message twin has and no other."""

Listener = Callable[[CoreEvent], None]


def load_core(
    name: str, configuration: ServingConfiguration, *, listener: Listener | None = None, seed: int | None = None
) -> ControlPlane:
    """Returns a core.

    Args:
        name: `gentwin/<name>` of a shipped checkpoint, a folder, or a Hub name; `reference` for the reference core.
        configuration: Network, subscribers and limits.
        listener: Told of everything that happens.
        seed: Of challenges and identifiers, for tests; those of the operating system if None.

    Raises:
        CheckpointError: If it is no message twin, or is damaged; or its policy is no policy twin that fits.
    """
    if name == REFERENCE:
        policy = _policy(configuration)
        core = ReferenceControlPlane(
            configuration.network, configuration.subscribers, policy, Random(seed).getrandbits(64)
        )
        return core if listener is None else ObservedCore(core, configuration.network, listener)
    _check_name(name)
    from gentwin.pipelines.core_twin import CoreTwin
    from gentwin.pipelines.core_twin.loading import load_twin
    from gentwin.signaling.resolver import CoreNetwork

    network = CoreNetwork(
        configuration.network,
        configuration.subscribers,
        policy=_policy(configuration),
        home_keys=configuration.home_keys,
        random=None if seed is None else Random(seed),
    )
    return CoreTwin(*load_twin(name), network, listener=listener)


def _policy(configuration: ServingConfiguration) -> Policy | None:
    """Returns the policy that is configured; only a twin needs its libraries."""
    if configuration.policy is None:
        return policy_of(configuration.admission, configuration.limits)
    from gentwin.pipelines.core_twin.policies import load_policy

    return load_policy(configuration.policy, configuration.network, configuration.admission, configuration.limits)


def _check_name(name: str) -> None:
    """Raises `CheckpointError` for what is neither a folder, nor shipped, nor can be of the Hub, `owner/name`."""
    shipped = list_checkpoints()
    if Path(name).is_dir() or name in shipped or ("/" in name and not name.startswith(NAMESPACE)):
        return
    known = [REFERENCE, *(each for each in shipped if (checkpoint_path(each) / VOCABULARY).is_file())]
    raise CheckpointError(
        f"`checkpoint` must be one of {', '.join(known)}, a folder, or `owner/name` on the Hub, got {name!r}"
        + did_you_mean(name, known)
    )


class ObservedCore:
    """A core that tells what it hears and says, for one that does not do so itself.

    Args:
        core: That answers.
        network: It is configured with.
        listener: Told of every message.
    """

    def __init__(self, core: ControlPlane, network: NetworkConfiguration, listener: Listener) -> None:
        self._core, self._listener = core, listener
        self._address = {True: network.amf_address, False: f"{network.smf_address}:{PORT}"}

    def start(self, now: float) -> Sequence[Packet]:
        """As of the core."""
        return self._said(self._core.start(now), now)

    def hear(self, packets: Sequence[Packet], now: float) -> Sequence[Packet]:
        """As of the core."""
        for packet in packets:
            self._tell(HEARD, packet, now)
        return self._said(self._core.hear(packets, now), now)

    def lose(self, peer: str, now: float) -> Sequence[Packet]:
        """As of the core."""
        return self._said(self._core.lose(peer, now), now)

    def command(self, name: str, supi: str, now: float, psi: int | None = None) -> Sequence[Packet]:
        """As of the core."""
        return self._said(self._core.command(name, supi, now, psi), now)

    def due(self) -> float | None:
        """As of the core."""
        return self._core.due()

    def tick(self, now: float) -> Sequence[Packet]:
        """As of the core."""
        return self._said(self._core.tick(now), now)

    def _said(self, packets: Sequence[Packet], now: float) -> Sequence[Packet]:
        for packet in packets:
            self._tell(SAID, packet, now)
        return packets

    def _tell(self, kind: str, packet: Packet, now: float) -> None:
        try:
            message = decode_message(packet.protocol, packet.data)
        except SignalingError as error:
            self._listener(CoreEvent(REFUSED, now, packet.peer, reason=str(error)))
            return
        own = self._address[packet.protocol == NGAP]
        ends = (own, packet.peer) if kind == SAID else (packet.peer, own)
        record = Record(message, now, *ends, packet.stream, packet.data)
        self._listener(CoreEvent(kind, now, packet.peer, record=record))
