"""What a core that is served is configured with: network, subscribers, limits of load.

```yaml
network:                       # as in `gentwin synthesize --show-config`, without its base stations
  plmn: "999-70"
  amf_address: "127.0.0.5:38412"
subscribers: subscribers.yaml  # a file beside this one, YAML or SQLite; or the list that such a YAML file has
limits:                        # of load; none if left out
  registered: 1000
admission:                     # slices whose sessions share resources; none if left out
  resources: [{name: radio, capacity: 100}]
  slices: [{slice: "1", name: broadband, demand: [4], patience: 5}]
policy: outputs/policy         # twin of who is admitted: a folder, relative to this file, or a name; greedy if left out
```
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from gentwin.signaling.core import (
    AdmissionConfiguration,
    LoadLimits,
    NetworkConfiguration,
    SubscriberGroup,
    Subscribers,
    read_subscribers,
)
from gentwin.signaling.core.plain import groups_from_plain, part_from_plain
from gentwin.signaling.errors import SignalingError
from gentwin.yaml_text import read_yaml

SAMPLE = SubscriberGroup(
    "999700000000001", "465B5CE8B199B49FAA5F0A2EE238A6BC", "E8ED289DEBA952E4283B54E88E6183CA", count=999
)
"""Subscribers with the sample keys that UE simulators publish."""


def _sample() -> Subscribers:
    return _database([SAMPLE])


@dataclass(frozen=True)
class ServingConfiguration:
    """A core that is served.

    Args:
        network: Its parts and addresses.
        subscribers: The database.
        limits: Of load; None to admit everything.
        admission: Slices whose sessions share resources.
        policy: Policy twin that admits them: `gentwin/<name>`, a folder, or a Hub name; None for the greedy policy.

    Raises:
        SignalingError: If the network does not have a slice of the admission.
    """

    network: NetworkConfiguration = field(default_factory=NetworkConfiguration)
    subscribers: Subscribers = field(default_factory=_sample)
    limits: LoadLimits | None = None
    admission: AdmissionConfiguration = field(default_factory=AdmissionConfiguration)
    policy: str | None = None

    def __post_init__(self) -> None:
        self.admission.require_slices(self.network.slices)

    @property
    def home_keys(self) -> dict[int, bytes]:
        """Private keys of the home network by their identifiers."""
        return {key.identifier: bytes.fromhex(key.private_key) for key in self.network.home_keys}

    @property
    def warnings(self) -> list[str]:
        """What is allowed and unlikely to be meant."""
        plmn = self.network.mcc + self.network.mnc
        if any(known.supi.startswith(plmn) for known in self.subscribers):
            return []
        return [f"no subscriber has PLMN {self.network.plmn}: UEs of the network are unknown to it"]


NAMES = ("network", "subscribers", "limits", "admission", "policy")


def read_configuration(path: str | PathLike[str]) -> ServingConfiguration:
    """Returns what a YAML file says; what it does not name is that of the recorded core.

    Args:
        path: Of the file.

    Raises:
        SignalingError: If a name is unknown, or a value of another type or out of range.
        ValueError: If it is no YAML.
        OSError: If it, or the file of subscribers, cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"`--config` must be a YAML file, got {str(path)!r}, which is no file.")
    values = read_yaml(path) or {}
    if not isinstance(values, Mapping):
        raise SignalingError(f"`{path}` must have names and values, got {type(values).__name__}.")
    for name in values:
        if name not in NAMES:
            raise SignalingError(f"`{name}` is no part of a configuration; there are {', '.join(NAMES)}.")
    network = part_from_plain(NetworkConfiguration, values.get("network") or {}, "network")
    known = values.get("subscribers")
    subscribers = _sample() if known is None else _read_subscribers(known, path.parent)
    limits = values.get("limits")
    return ServingConfiguration(
        network,
        subscribers,
        None if limits is None else part_from_plain(LoadLimits, limits, "limits"),
        part_from_plain(AdmissionConfiguration, values.get("admission") or {}, "admission"),
        _read_policy(values.get("policy"), path.parent),
    )


def _read_policy(value: Any, folder: Path) -> str | None:
    if value is not None and not isinstance(value, str):
        raise SignalingError(f"`policy` must be the name or the folder of a policy twin, got {value!r}.")
    return str(folder / value) if value is not None and (folder / value).is_dir() else value


def _read_subscribers(value: Any, folder: Path) -> Subscribers:
    if isinstance(value, str):
        path = folder / value
        if not path.is_file():
            raise FileNotFoundError(
                f"`subscribers` must be a file, its path relative to the YAML file, got {value!r}; there is no {path}."
            )
        return read_subscribers(path)
    return _database(groups_from_plain({"subscribers": value}))


def _database(groups: Any) -> Subscribers:
    found = Subscribers()
    for group in groups:
        for subscriber in group:
            found.add(subscriber)
    return found
