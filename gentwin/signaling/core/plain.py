"""Configurations of traffic as plain values, such as a YAML file holds them.

```python
>>> configuration = from_plain({"ues": 50, "workload": {"arrivals": 5.0}, "network": {"flavour": {"name": "generic"}}})
>>> configuration.ues, configuration.workload.think_time, configuration.network.flavour.name
(50, 5.0, 'generic')
```

What is not named keeps its default. A slice is `SST` or `SST-SD`, such as `1` or `2-000001`. A flavour is that of its
name, `open5gs` or `generic`, but for what is named besides; its name alone is enough. `profiles` is `recorded`,
`sliced`, or a list of `subscriptions`, `uplink` and `downlink`. A rate is a number of bit/s, or has a unit, such as
`50 Mbps`.
"""

from __future__ import annotations

import inspect
import ipaddress
import json
import math
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from gentwin.schema import did_you_mean
from gentwin.signaling.core.admission import AdmissionConfiguration, Resource, Tenant
from gentwin.signaling.core.configuration import (
    GENERIC,
    OPEN5GS,
    PROBABILITIES,
    Capacity,
    DataNetwork,
    Delays,
    Faults,
    Flavour,
    HomeKey,
    NetworkConfiguration,
    Slice,
    Station,
    Timing,
)
from gentwin.signaling.core.policy import LONGEST_BACK_OFF, LoadLimits, SliceLimit
from gentwin.signaling.core.population import RECORDED, SLICED, Population, Profile, SubscriberGroup
from gentwin.signaling.core.subscribers import Subscription
from gentwin.signaling.core.synthesis import MOST_UES, SynthesisConfiguration
from gentwin.signaling.core.workload import Behaviour, Demand, Workload
from gentwin.signaling.errors import SignalingError

FLAVOURS = {flavour.name: flavour for flavour in (OPEN5GS, GENERIC)}
PROFILES = {"recorded": RECORDED, "sliced": SLICED}
COMMENT_WIDTH = 100
MOST_SUBSCRIBERS = 100_000  # of one group
UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}  # of rates, in bit/s
_HEX = re.compile(r"[0-9a-fA-F]{6}")
_DIGITS = re.compile(r"[0-9]{6,15}")
_RATE = re.compile(r"([0-9]{1,13}(?:\.[0-9]{1,9})?) ?([kMGT]?)(?:bps|bit/s)")
_PLMN = re.compile(r"[0-9]{3}-[0-9]{2,3}")


def from_plain(values: Mapping[str, Any]) -> SynthesisConfiguration:
    """Returns the configuration that plain values describe.

    Args:
        values: By the names of the fields of
            [`SynthesisConfiguration`][gentwin.signaling.core.synthesis.SynthesisConfiguration]; what is made of fields
            itself is a mapping again.

    Raises:
        SignalingError: If a name is unknown, or a value of another type or out of range.
    """
    return _fill(SynthesisConfiguration, values, "", SynthesisConfiguration())


def groups_from_plain(values: Mapping[str, Any]) -> tuple[SubscriberGroup, ...]:
    """Returns the subscribers that plain values describe.

    Args:
        values: `subscribers`, a list of what
            [`SubscriberGroup`][gentwin.signaling.core.population.SubscriberGroup] has.

    Raises:
        SignalingError: If a name is unknown, or a value of another type or out of range.
    """
    return _fill(_Subscribers, values, "").subscribers


def part_from_plain(kind: type, values: Mapping[str, Any], path: str) -> Any:
    """Returns a part of a configuration that plain values describe.

    Args:
        kind: [`NetworkConfiguration`][gentwin.signaling.core.configuration.NetworkConfiguration] or another dataclass
            whose fields all have defaults.
        values: By the names of its fields.
        path: Name of the part, for errors.

    Raises:
        SignalingError: If a name is unknown, or a value of another type or out of range.
    """
    return _fill(kind, values, path, kind())


@dataclass(frozen=True)
class _Subscribers:
    """A file of subscribers."""

    subscribers: tuple[SubscriberGroup, ...]


def explain(flavour: str = OPEN5GS.name) -> str:
    """Returns the default configuration as YAML, complete and with a comment for every field.

    Args:
        flavour: Name of the flavour that it has.

    Raises:
        SignalingError: If there is no such flavour.
    """
    configuration = from_plain({"network": {"flavour": {"name": flavour}}})
    lines = [
        "# What traffic to make. These are the defaults; leave out what is to stay.",
        *_explained(configuration, ""),
    ]
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------- reading


def _fill(kind: type, values: Any, path: str, base: Any = None) -> Any:
    """Returns an object of a dataclass, made of one whose other fields it keeps, or of defaults."""
    _require(isinstance(values, Mapping), path, "a mapping of names to values", values)
    hints = _hints(kind)
    for name in values:
        if name not in hints:
            known = f"; known: {', '.join(f'`{each}`' for each in sorted(hints))}."
            raise SignalingError(f"`{_join(path, name)}` is no field{did_you_mean(str(name), hints, known)}")
    if base is None:
        for entry in fields(kind):
            given = entry.name in values or entry.default is not MISSING or entry.default_factory is not MISSING
            _require(given, _join(path, entry.name), "given", None)
    read = {}
    for name, value in values.items():
        at = _join(path, name)
        known = None if base is None else getattr(base, name)
        read[name] = _SPECIAL.get((kind, name), _read)(hints[name], value, at, known)
        check = _CHECKS.get((kind, name))
        if check is not None and read[name] is not None:
            _require(check[0](read[name]), at, check[1], value)
    return kind(**read) if base is None else replace(base, **read)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _join(path: str, name: Any) -> str:
    return f"{path}.{name}" if path else str(name)


def _require(condition: bool, path: str, constraint: str, value: Any) -> None:
    if not condition:
        raise SignalingError(f"`{path or 'configuration'}` must be {constraint}, got {value!r}.")


def _read(kind: Any, value: Any, path: str, base: Any = None) -> Any:
    """Returns a value of a type."""
    if kind is Slice:
        return _read_slice(value, path)
    if is_dataclass(kind):
        return _fill(kind, value, path, base)
    arguments = get_args(kind)
    if get_origin(kind) in (Union, UnionType):
        return None if value is None else _read(arguments[0], value, path)
    if get_origin(kind) is tuple:
        _require(isinstance(value, Sequence) and not isinstance(value, str), path, "a list", value)
        return tuple(_read(arguments[0], entry, f"{path}.{place}") for place, entry in enumerate(value))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text in quotes"}[kind]
    _require(type(value) is kind and value == value, path, words, value)
    return value


def _read_slice(value: Any, path: str) -> Slice:
    sst, _, sd = str(value).partition("-")
    known = sst.isdecimal() and 1 <= int(sst) <= 255 and (not sd or _HEX.fullmatch(sd))
    _require(bool(known) and not isinstance(value, bool), path, "SST or SST-SD, such as 1 or 2-000001", value)
    return Slice(int(sst), sd.lower() or None)


def _read_flavour(_: Any, value: Any, path: str, base: Flavour) -> Flavour:
    value = {"name": value} if isinstance(value, str) else value
    _require(isinstance(value, Mapping), path, "a name, or a mapping of names to values", value)
    name = value.get("name", base.name)
    _require(name in FLAVOURS, _join(path, "name"), f"one of {', '.join(FLAVOURS)}", name)
    return _fill(Flavour, value, path, FLAVOURS[name])


def _read_profiles(kind: Any, value: Any, path: str, base: Any) -> tuple[Profile, ...]:
    if isinstance(value, str):
        _require(value in PROFILES, path, f"one of {', '.join(PROFILES)}, or a list", value)
        return PROFILES[value]
    _require(isinstance(value, Sequence) and bool(value), path, "recorded, sliced, or a list of profiles", value)
    return _read(kind, value, path)


def _read_rate(_: Any, value: Any, path: str, base: Any) -> int:
    """Returns a rate in bit/s."""
    written = _RATE.fullmatch(value) if isinstance(value, str) else None
    known = written is not None or type(value) is int
    _require(known, path, "a whole number of bit/s, or a number with a unit, such as 50 Mbps", value)
    return value if written is None else round(float(written[1]) * UNITS[written[2]])


_SPECIAL: dict[tuple[type, str], Callable[..., Any]] = {
    (NetworkConfiguration, "flavour"): _read_flavour,
    (SynthesisConfiguration, "profiles"): _read_profiles,
    (SubscriberGroup, "profiles"): _read_profiles,
    **{(kind, name): _read_rate for kind in (Subscription, Profile) for name in ("uplink", "downlink")},
}

# ---------------------------------------------------------------- ranges

Check = tuple[Callable[[Any], bool], str]


def _between(low: float, high: float) -> Check:
    return lambda value: low <= value <= high, f"from {low:,} to {high:,}"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_ipv4(text: str) -> bool:
    return _is_address(text) and ipaddress.ip_address(text).version == 4


def _is_end(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return _is_address(host.strip("[]")) and port.isdecimal() and int(port) < 1 << 16


def _hex_of(length: int) -> Callable[[str], bool]:
    return lambda value: len(value) == length and not set(value) - set("0123456789abcdefABCDEF")


def _is_network(text: str) -> bool:
    try:
        return ipaddress.IPv4Network(text).num_addresses > 3
    except ValueError:
        return False


# What timers can say (TS 24.008 clauses 10.5.7.4 and 10.5.7.4a) but for the unit of 320 h; last time that PFCP can say.
LONGEST_TIMER_2, LONGEST_TIMER_3, LATEST = 31 * 360, 31 * 36_000, 2_085_000_000
SESSION_TYPES = ("ipv4", "ipv6", "ipv4v6")
TYPES: Check = (lambda values: bool(values) and set(values) <= {*SESSION_TYPES}, f"of {', '.join(SESSION_TYPES)}")
POSITIVE: Check = (lambda value: 0 < value < math.inf, "positive")
NOT_NEGATIVE: Check = (lambda value: 0 <= value < math.inf, "0 or more")
AT_LEAST_ONE: Check = (lambda value: value >= 1, "at least 1")
SHARE = _between(0, 1)
CAUSE = _between(1, 255)
RATE: Check = (lambda value: 1000 <= value <= 4 * UNITS["T"], "from 1 kbps to 4 Tbps (a number is bit/s)")
AREA: Check = (lambda value: bool(_HEX.fullmatch(value)), 'six hex digits in quotes, such as "000001"')
AREAS: Check = (lambda values: 1 <= len(values) <= 16 and all(map(AREA[0], values)), f"1 to 16 of {AREA[1]}")
NETWORK: Check = (lambda value: bool(_PLMN.fullmatch(value)), "MCC-MNC, such as 999-70")
END: Check = (_is_end, "an IP address and port, such as 10.0.0.1:38412")
HOST: Check = (_is_ipv4, "an IPv4 address")
SOME: Check = (bool, "at least one")
KEY: Check = (_hex_of(32), "32 hex digits in quotes")
DIGITS: Check = (lambda value: bool(_DIGITS.fullmatch(value)), "6 to 15 digits in quotes")


def _all(kind: type, check: Check, names: str = "", but: str = "") -> dict[tuple[type, str], Check]:
    chosen = names.split() or [entry.name for entry in fields(kind) if entry.name not in but.split()]
    return {(kind, name): check for name in chosen}


_CHECKS: dict[tuple[type, str], Check] = {
    **_all(SynthesisConfiguration, _between(1, MOST_UES), "ues"),
    **_all(SynthesisConfiguration, POSITIVE, "duration"),
    **_all(Workload, (lambda value: value > 0, "positive"), "arrivals"),
    **_all(Workload, POSITIVE, "think_time idle_time session_time"),
    **_all(Demand, POSITIVE, "arrivals session_time"),
    **_all(Demand, SOME, "dnn"),
    **_all(Population, SHARE, but="requested_slices"),
    **_all(Workload, (lambda value: any(map(value.__getattribute__, value.__slots__)), "with a weight"), "behaviour"),
    **_all(Behaviour, NOT_NEGATIVE),
    **_all(Faults, NOT_NEGATIVE),
    **_all(Faults, SHARE, " ".join(PROBABILITIES)),
    **_all(Timing, POSITIVE, but="n1 attempts paging_attempts t3502 t3512"),
    **_all(Timing, _between(2, LONGEST_TIMER_2), "t3502"),
    **_all(Timing, _between(2, LONGEST_TIMER_3), "t3512"),
    **_all(Timing, AT_LEAST_ONE, "n1 attempts paging_attempts"),
    **_all(Delays, POSITIVE, but="spread"),
    **_all(Delays, _between(0, 3), "spread"),
    **_all(Flavour, (lambda value: value in (0, 2), "0 or 2"), "ciphering"),
    **_all(Flavour, CAUSE, "ipv4_only_cause ipv6_only_cause implicitly_deregistered_cause"),
    **_all(Flavour, _between(0, 255), "relative_capacity"),
    **_all(Capacity, NOT_NEGATIVE),
    **_all(HomeKey, _between(1, 254), "identifier"),
    **_all(Flavour, (lambda value: len(value) == 2, "a list of full and short name"), "network_name"),
    **_all(NetworkConfiguration, NETWORK, "plmn"),
    **_all(NetworkConfiguration, SOME, "stations slices data_networks amf_name"),
    **_all(NetworkConfiguration, AREAS, "areas"),
    **_all(NetworkConfiguration, END, "amf_address"),
    **_all(NetworkConfiguration, HOST, "smf_address upf_address"),
    **_all(NetworkConfiguration, _between(0, 255), "amf_region"),
    **_all(NetworkConfiguration, _between(0, 1023), "amf_set"),
    **_all(NetworkConfiguration, _between(0, 63), "amf_pointer"),
    **_all(NetworkConfiguration, _between(0, LATEST), "start"),
    **_all(NetworkConfiguration, AT_LEAST_ONE, "max_ues"),
    **_all(Station, _between(1, (1 << 28) - 1), "number"),
    **_all(Station, END, "address"),
    **_all(Station, AREA, "tac"),
    **_all(Station, NETWORK, "plmn"),
    **_all(Station, SOME, "slices"),
    **_all(DataNetwork, (_is_network, "an IPv4 network, such as 10.45.0.0/16"), "addresses"),
    **_all(DataNetwork, (lambda values: all(map(_is_address, values)), "IP addresses"), "name_servers"),
    **_all(DataNetwork, SOME, "dnn"),
    **_all(Subscription, _between(1, 255), "five_qi"),
    **_all(Subscription, _between(1, 15), "priority"),
    **_all(Subscription, RATE, "uplink downlink"),
    **_all(Subscription, HOST, "address"),
    **_all(Subscription, SOME, "dnn"),
    **_all(Subscription, TYPES, "session_types"),
    **_all(Profile, RATE, "uplink downlink"),
    **_all(Profile, SOME, "subscriptions"),
    **_all(_Subscribers, SOME),
    **_all(SubscriberGroup, DIGITS, "first msisdn"),
    **_all(SubscriberGroup, KEY, "k opc"),
    **_all(SubscriberGroup, (_hex_of(4), "4 hex digits in quotes"), "amf"),
    **_all(SubscriberGroup, _between(1, MOST_SUBSCRIBERS), "count"),
    **_all(LoadLimits, NOT_NEGATIVE, but="slices back_off reduction"),
    **_all(LoadLimits, _between(0, LONGEST_BACK_OFF), "back_off"),
    **_all(LoadLimits, _between(1, 99), "reduction"),
    **_all(SliceLimit, NOT_NEGATIVE, but="slice"),
    **_all(AdmissionConfiguration, _between(0, LONGEST_BACK_OFF), "back_off"),
    **_all(Resource, AT_LEAST_ONE, "capacity"),
    **_all(Tenant, POSITIVE, "patience"),
    **_all(Tenant, NOT_NEGATIVE, "places"),
    **_all(Tenant, (lambda units: min(units, default=-1) >= 0, "whole numbers of 0 or more"), "demand"),
}


# ---------------------------------------------------------------- explaining


def _explained(value: Any, indent: str) -> Iterator[str]:
    """Yields the lines of a dataclass: every field with its comment."""
    comments, hints = _comments(type(value)), _hints(type(value))
    for entry in fields(value):
        parts = _parts(hints[entry.name])
        yield from _field(entry.name, getattr(value, entry.name), parts, comments[entry.name], indent)


def _parts(hint: Any) -> type | None:
    """Returns the dataclass of which a field of a type has several; None for any other field."""
    kind = get_args(hint)[0] if get_origin(hint) is tuple else None
    return kind if is_dataclass(kind) and kind is not Slice else None


def _field(name: str, value: Any, parts: type | None, comment: str, indent: str) -> Iterator[str]:
    if isinstance(value, Flavour):
        yield f"\n{indent}{name}:  # {comment}"
        own = [line for line in _explained(value, "") if not line.startswith("name:")]
        yield f"{indent}  name: {_scalar(value.name)}  # Of {', '.join(FLAVOURS)}. It stands for:"
        yield from _commented(own, indent + "  ")
    elif is_dataclass(value):
        yield f"\n{indent}{name}:  # {comment}"
        yield from _explained(value, indent + "  ")
    elif value == RECORDED:
        known = f"{comment} Of {', '.join(PROFILES)}, or a list of `subscriptions`, `uplink` and `downlink`."
        yield from (*_comment(known, indent), f"{indent}{name}: recorded")
    elif parts is not None:
        yield from _comment(f"{comment} Of each:", indent)
        for key, text in _comments(parts).items():
            yield from _comment(f"- {key}: {text}", indent)
        yield f"{indent}{name}:" if value else f"{indent}{name}: []"
        yield from (f"{indent}  - {_scalar(entry)}" for entry in value)
    else:
        line = f"{indent}{name}: {_scalar(value)}"
        beside = len(line) + len(comment) + 4 <= COMMENT_WIDTH
        yield from [f"{line}  # {comment}"] if beside else [*_comment(comment, indent), line]


def _commented(lines: Iterable[str], indent: str) -> Iterator[str]:
    """Yields lines as comments, to be made valid by taking the marks away."""
    for line in "\n".join(lines).splitlines():
        yield f"{indent}# {line}" if line else ""


def _comment(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, COMMENT_WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")


@cache
def _comments(kind: type) -> dict[str, str]:
    """Returns what the docstring of a dataclass says about its fields."""
    _, _, section = (inspect.getdoc(kind) or "").partition("\nArgs:\n")
    section = re.split(r"^(?=\S)", section, flags=re.MULTILINE)[0]
    entries = re.split(r"^ {4}(\w+): ", section, flags=re.MULTILINE)[1:]
    return {
        name: re.sub(r"\bNone\b", "null", " ".join(text.split()))
        for name, text in zip(entries[::2], entries[1::2], strict=True)
    }


def _scalar(value: Any) -> str:
    """Returns a value in one line of YAML."""
    if isinstance(value, Slice):
        return json.dumps(str(value))
    if is_dataclass(value):
        pairs = ((entry.name, getattr(value, entry.name)) for entry in fields(value))
        return "{" + ", ".join(f"{name}: {_scalar(part)}" for name, part in pairs) + "}"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_scalar, value)) + "]"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.12f}".rstrip("0") if math.isfinite(value) else ".inf"
    return json.dumps(value)
