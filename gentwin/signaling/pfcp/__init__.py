"""PFCP, which control planes and user planes speak on N4: bytes to messages and back.

```python
>>> message = decode(bytes.fromhex("2001000c 00000100 00600004 eeabc5ed"))
>>> message.name, message["recovery_time_stamp"]
('HeartbeatRequest', 4004234733)
```

`ELEMENTS` and `MESSAGES` say what there is: the type of value of every element, and the members of every message and
grouped element. Source: TS 29.244.
"""

from __future__ import annotations

from gentwin.signaling.pfcp.codec import decode, decode_all, encode, encode_all
from gentwin.signaling.pfcp.elements import ELEMENTS, Element
from gentwin.signaling.pfcp.groups import Member
from gentwin.signaling.pfcp.messages import MESSAGES, MessageType

__all__ = ["ELEMENTS", "MESSAGES", "Element", "Member", "MessageType", "decode", "decode_all", "encode", "encode_all"]
