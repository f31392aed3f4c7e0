"""Names of fields, made from the names of the specification."""

from __future__ import annotations

import re

# The specification joins words without a mark; those that do not follow its usual pattern are named here.
_WORD = re.compile(
    r"[A-Z]{2,}s(?![a-z])"  # plurals of abbreviations
    r"|[Qq]o[SE]|[Pp]roSe|RedCap|IPsec|NRPPa|C?IoT|SgNB|eDRX|NGRAN|EUTRAN?|SNPN|N3IWF|[AV]2X|5QI|5GC"
    r"|(?:CE|CN|MBS|NR|NSSAI|PDU|PEIPS|PLMN|RAN|TAI|UE|UL)(?=[a-z]{2})|G(?=proSe)"  # before a small letter
    r"|(?:LTE|NR)(?=V2X)|NB(?=IoT)|DL(?=UPTNL)|UP(?=TNL)|Paging(?=eDRX)"  # before another word of their own
    r"|[A-Z]+[0-9]*(?![a-z])|[A-Z]?[a-z]+(?:[0-9]+(?!QI|GC))?|[0-9]+"
)


def field_name(identifier: str) -> str:
    """Returns the name of a field in snake case.

    Args:
        identifier: As the specification writes it.

    ```python
    >>> [field_name(name) for name in ("id-AMF-UE-NGAP-ID", "pDUSessionID", "iE-Extensions", "equivalentPLMNs")]
    ['amf_ue_ngap_id', 'pdu_session_id', 'ie_extensions', 'equivalent_plmns']
    ```
    """
    text = identifier.removeprefix("id-")
    # An abbreviation at the beginning has a small first letter only because the specification wants one there.
    if text[:1].islower() and (text[1:2].isupper() or text[1:3] in ("2X", "3I")):
        text = text[0].upper() + text[1:]
    return "_".join(_WORD.findall(text)).lower()
