"""A callback of CM.com's is about the order of its address; its body names it by CM.com's guid."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from number_orders.carriers.cm.notices import CMNotices
from number_orders.carriers.notices import Notice
from number_orders.orders.errors import UnreadableAnswer
from number_orders.orders.model import CarrierOrderId
from tests.unit.carriers.tampered_answers import mutated

REFERENCE = "ref-1"
GUID = CarrierOrderId("5f5c0000-0000-4000-8000-000000000001")
SHOWN = {
    "guid": GUID,
    "status": "COMPLETED",
    "comment": f"number-orders:{REFERENCE}\nfor the spring campaign",
    "quantity": 1,
    "ranges": [{"id": 1, "start": "31201234560"}],
}
BODY = json.dumps(SHOWN).encode()


def read(body: bytes) -> Notice:
    return CMNotices().read(body, REFERENCE)


@pytest.mark.parametrize("changes", [{}, {"comment": None}, {"comment": "by hand"}, {"status": 7}, {"ranges": "none"}])
def test_address_and_guid_name_the_order(changes: dict[str, object]) -> None:
    assert read(json.dumps(SHOWN | changes).encode()) == Notice(GUID, REFERENCE)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<a/>",
        b"[]",
        b'"text"',
        b"{}",
        json.dumps(SHOWN | {"guid": "7"}).encode(),
        json.dumps(SHOWN | {"comment": "number-orders:ref-2"}).encode(),
    ],
)
def test_what_is_no_callback_about_this_order_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableAnswer):
        read(body)


@given(st.one_of(st.binary(max_size=400), mutated([BODY, b"{}", b"[[["])))
def test_any_bytes_are_a_callback_or_unreadable(body: bytes) -> None:
    try:
        notice = read(body)
    except UnreadableAnswer:
        return
    assert notice.reference == REFERENCE
    assert notice.carrier_order_id is not None
