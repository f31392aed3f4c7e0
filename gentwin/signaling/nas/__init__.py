"""NAS of the 5G system: messages between UE and core network, from and to bytes.

```python
>>> message = decode(bytes.fromhex("7e004e5002060026020000"))
>>> message.name, message["pdu_session_status"]
('ServiceAccept', 'psi_1 psi_2')
>>> encode(message.with_value("pdu_session_status", "psi_1")).hex()
'7e004e5002020026020000'
```

A security protected message is `SecurityProtected` with the plain one in the field `payload`, which is bytes where it
is ciphered. An element whose octets are not of its type is bytes; half an octet is four
[`Bits`][gentwin.signaling.fields.Bits]. Unknown elements are `unknown_0x…` in their place, octets that fit nothing
`trailing` at the end, spare half octets `header_spare_half_octet` and `spare_half_octet` if they are not zero.

`MESSAGES` has what can be in which message: [`MessageType`][gentwin.signaling.nas.elements.MessageType],
[`Element`][gentwin.signaling.nas.elements.Element] and their [value types][gentwin.signaling.values], which is all that
decoding and encoding know.
"""

from __future__ import annotations

from gentwin.signaling.nas.codec import MESSAGES, decode, encode

__all__ = ["MESSAGES", "decode", "encode"]
