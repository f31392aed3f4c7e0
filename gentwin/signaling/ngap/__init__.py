"""NGAP, the protocol between core network and base stations (3GPP TS 38.413).

```python
>>> message = decode(bytes.fromhex("0029000e000002007200024007000f400140"))
>>> message.name, message["ue_ngap_ids.amf_ue_ngap_id"], message["cause.nas"]
('UEContextReleaseCommand', 7, 'normal-release')
>>> encode(message.with_value("cause.nas", "deregister")).hex()
'0029000e000002007200024007000f400148'
```

| in the specification | in the fields |
|---|---|
| protocol and extension elements, by their identifier | their names in snake case: `amf_ue_ngap_id`, `nas_pdu` |
| SEQUENCE, CHOICE | fields with the names of the components, of the chosen alternative |
| SEQUENCE OF | fields that are all called `item` |
| INTEGER, ENUMERATED | `int`, `str` as the specification writes it: `mo-Signalling` |
| OCTET STRING, BIT STRING | `bytes`, [`Bits`][gentwin.signaling.fields.Bits] |
| `PLMNIdentity`, `TransportLayerAddress` | texts such as `999-70`, `10.0.0.1` |
| a `...Transfer` and other encoded content | the fields of that content |
| PrintableString, VisibleString, UTF8String; NULL | `str`; empty fields |

What each message consists of comes from the ASN.1 objects of pycrate, which is imported when it is first needed; the
bits are read and written here. Nothing is shared between calls that could change, so threads may decode and encode at
the same time.
"""

from __future__ import annotations

from gentwin.signaling.ngap.codec import decode, encode
from gentwin.signaling.ngap.definitions import MessageSchema, message_names, schema
from gentwin.signaling.ngap.leaves import BitString, Enumerated, Integer, Kind, Null, OctetString, Sized, Text
from gentwin.signaling.ngap.nas import NAS_FIELDS, map_nas
from gentwin.signaling.ngap.structures import Choice, Component, Element, Elements, Sequence, SequenceOf

__all__ = [
    "NAS_FIELDS",
    "BitString",
    "Choice",
    "Component",
    "Element",
    "Elements",
    "Enumerated",
    "Integer",
    "Kind",
    "MessageSchema",
    "Null",
    "OctetString",
    "Sequence",
    "SequenceOf",
    "Sized",
    "Text",
    "decode",
    "encode",
    "map_nas",
    "message_names",
    "schema",
]
