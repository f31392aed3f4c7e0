"""The tree of fields: paths, repeated names, values that stay what they were."""

import pytest

from gentwin.signaling.fields import Bits, Fields
from gentwin.signaling.messages import Message

TREE = Fields((("cause", 22), ("slice", Fields.of(sst=1, sd=b"\0\0\1")), ("slice", Fields.of(sst=2))))


def test_paths_find_the_first_and_all_finds_every_one():
    assert TREE["cause"] == 22 and TREE["slice.sst"] == 1
    assert [entry["sst"] for entry in TREE.all("slice")] == [1, 2]
    assert TREE.get("slice.name") is None and TREE.get("cause.inner", 7) == 7
    assert TREE.has("slice.sd") and not TREE.has("dnn")
    with pytest.raises(KeyError, match="dnn"):
        TREE["dnn"]


def test_changes_make_new_fields_in_the_same_order():
    changed = TREE.with_value("slice.sst", 9)
    assert changed.names() == TREE.names() and changed["slice.sst"] == 9 and TREE["slice.sst"] == 1
    assert changed.all("slice")[1] is TREE.all("slice")[1]
    assert TREE.with_value("timer.unit", "1 min")["timer"] == Fields.of(unit="1 min")
    assert TREE.without("slice").names() == ["cause"]
    assert TREE.without("slice.sst").all("slice") == [Fields.of(sd=b"\0\0\1"), Fields()]


def test_equal_trees_are_equal_and_hash_alike():
    again = Fields((("cause", 22), ("slice", Fields.of(sst=1, sd=b"\0\0\1")), ("slice", Fields.of(sst=2))))
    assert again == TREE and hash(again) == hash(TREE) and isinstance(TREE, Fields)
    assert again != again.with_value("cause", 23)


def test_walk_goes_through_messages_that_are_carried_inside():
    inner = Message("nas", "RegistrationReject", Fields.of(cause=7))
    outer = Message("ngap", "DownlinkNASTransport", Fields.of(amf_ue_ngap_id=1, nas_pdu=inner, mask=Bits(5, 4)))
    assert list(outer.fields.walk()) == [("amf_ue_ngap_id", 1), ("nas_pdu.cause", 7), ("mask", Bits(5, 4))]
    assert outer["nas_pdu.cause"] == 7
    assert outer.with_value("nas_pdu.cause", 3)["nas_pdu"] == Message("nas", "RegistrationReject", Fields.of(cause=3))
    assert outer.without("nas_pdu.cause")["nas_pdu"].fields == Fields()
