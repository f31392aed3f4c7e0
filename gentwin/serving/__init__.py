"""A core behind sockets: N2 over SCTP, TCP or UNIX sockets, N4 over UDP.

```
 base stations ──SCTP | TCP | UNIX──► Transport ─ Link ─┐                        ┌─► MessageLog, Metrics, Ladders
                                                        ├─► CoreServer ─► core ──┤
 UPF ──UDP, or in the process──► UserPlane ─────────────┘                        └─► Pages: /metrics, /ues/N
```

| module | holds |
|---|---|
| `server` | `CoreServer`: batches, fairness, timers, shutdown |
| `links`, `framing` | what carries N2: TCP and UNIX sockets with frames |
| `sctp` | the SCTP of the kernel, which needs `gentwin[sctp]` |
| `gate` | what is said to who speaks before NG setup |
| `user_planes`, `emulated_upf` | what is at the other end of N4 |
| `limits` | how much is taken from others |
| `silence` | whether the user plane answers |
| `watching`, `outgoing`, `ladders`, `metrics`, `pages` | what is to be seen |
| `configuration`, `cores` | network, subscribers and limits from a YAML file; the core |
| `talking` | a base station and a UE that do what they are told |
"""

from __future__ import annotations

from gentwin.serving.configuration import ServingConfiguration, read_configuration
from gentwin.serving.emulated_upf import EmulatedUpf, EmulatedUpfServer, InProcessUserPlane
from gentwin.serving.framing import FrameError, FrameReader, encode_frame
from gentwin.serving.ladders import Ladders
from gentwin.serving.limits import Limits
from gentwin.serving.links import Link, TcpTransport, Transport, UnixTransport
from gentwin.serving.outgoing import Outgoing
from gentwin.serving.server import CoreServer
from gentwin.serving.user_planes import UdpUserPlane, UserPlane
from gentwin.serving.watching import MessageLog, Watch, Watches

__all__ = [
    "CoreServer",
    "EmulatedUpf",
    "EmulatedUpfServer",
    "FrameError",
    "FrameReader",
    "InProcessUserPlane",
    "Ladders",
    "Limits",
    "Link",
    "MessageLog",
    "Outgoing",
    "ServingConfiguration",
    "TcpTransport",
    "Transport",
    "UdpUserPlane",
    "UnixTransport",
    "UserPlane",
    "Watch",
    "Watches",
    "encode_frame",
    "read_configuration",
]
