"""A callback of CM.com's is about the order of its address, and its body is only checked."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from number_orders.carriers.cm.notices import CMNotices
from number_orders.carriers.notices import Notice
from number_orders.orders.errors import UnreadableAnswer
from tests.unit.carriers.tampered_answers import mutated

REFERENCE = "ref-1"
SHOWN = {
    "guid": "5f5c0000-0000-4000-8000-000000000001",
    "status": "COMPLETED",
    "comment": f"number-orders:{REFERENCE}\nfor the spring campaign",
    "quantity": 1,
    "ranges": [{"id": 1, "start": "31201234560"}],
}
BODY = json.dumps(SHOWN).encode()


def read(body: bytes) -> Notice:
    return CMNotices().read(body, REFERENCE)


@pytest.mark.parametrize("changes", [{}, {"comment": None}, {"comment": "by hand"}, {"status": 7}, {"ranges": "none"}])
def test_the_address_names_the_order(changes: dict[str, object]) -> None:
    assert read(json.dumps(SHOWN | changes).encode()) == Notice(reference=REFERENCE)


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
        assert read(body) == Notice(reference=REFERENCE)
    except UnreadableAnswer:
        return
