"""Value types: what the content of an element is, in bits and as a tree.

A value type is made of smaller ones and says by itself what it can hold, so that decoding, encoding, the grammar of the
tokens and the documentation come from one description.

```python
>>> from gentwin.signaling.fields import Fields
>>> slice_id = Struct(("sst", UInt(8)), ("sd", Octets(3, 3), IfMore()))
>>> slice_id.decode(bytes([1, 0, 0, 7]))
Fields(sst=1, sd=b'\\x00\\x00\\x07')
>>> slice_id.encode(Fields.of(sst=2))
b'\\x02'
```

| | |
|---|---|
| leaves, one value | `UInt`, `Flags`, `Enum`, `Octets`, `Text`, `Digits`, `Labels`, `Address` |
| parts with names | `Struct`, `Switch`, `BySize`, `Plmn` |
| lists | `ListOf`, `Tagged` |
| around another one | `Sized`, `Framed`, `Lossless` |
| in the bits, not in the tree | `Fixed`, `Count`, `Size` |
| when a part is there | `When`, `Unless`, `IfMore` |

Bits are read from the highest of the first octet on. What a type holds is in its attributes: `names` of an `Enum`,
`low` and `high` of a number, `parts` of a `Struct`, `min_bits` and `max_bits` of all.
"""

from __future__ import annotations

from gentwin.signaling.values.base import Kind, Reader, Writer
from gentwin.signaling.values.leaves import Address, Digits, Enum, Flags, Labels, Octets, Text, UInt
from gentwin.signaling.values.lists import Entry, Framed, ListOf, Lossless, Sized, Tagged
from gentwin.signaling.values.structures import (
    BySize,
    Count,
    Fixed,
    Hidden,
    IfMore,
    Part,
    Plmn,
    Size,
    Struct,
    Switch,
    Unless,
    When,
)

__all__ = [
    "Address",
    "BySize",
    "Count",
    "Digits",
    "Entry",
    "Enum",
    "Fixed",
    "Flags",
    "Framed",
    "Hidden",
    "IfMore",
    "Kind",
    "Labels",
    "ListOf",
    "Lossless",
    "Octets",
    "Part",
    "Plmn",
    "Reader",
    "Size",
    "Sized",
    "Struct",
    "Switch",
    "Tagged",
    "Text",
    "UInt",
    "Unless",
    "When",
    "Writer",
]
