import json
from dataclasses import replace
from datetime import timedelta

import pytest

from number_orders.orders.document import document
from number_orders.orders.model import NumberResult, NumberState, State
from tests.unit.orders.lifecycle_examples import DURHAM, NOON, RALEIGH, THEIR_ID, an_order


def test_the_document_is_plain_json() -> None:
    """It can be read without our code."""
    order = replace(an_order(State.PARTIAL, carrier_order_id=THEIR_ID, carrier_status="PARTIAL"), producer="crm")
    result = document(order, [NumberResult(RALEIGH, NumberState.FAILED, "5005", "unavailable")])

    assert json.loads(json.dumps(result)) == {
        "order_id": "00000000-0000-0000-0000-000000000001",
        "producer": "crm",
        "key": "crm-000123",
        "carrier": "bandwidth",
        "kind": "new_numbers",
        "state": "PARTIAL",
        "final": True,
        "version": 7,
        "reason": None,
        "quantity": 1,
        "numbers": [{"e164": RALEIGH, "state": "failed", "code": "5005", "text": "unavailable"}],
        "reference": "00000000-0000-0000-0000-000000000001",
        "carrier_order_id": "0aac5809",
        "carrier_status": "PARTIAL",
        "accepted_at": (NOON - timedelta(minutes=1)).isoformat(timespec="microseconds"),
        "ended_at": NOON.isoformat(timespec="microseconds"),
    }


def test_a_number_asked_for_by_name_is_listed_before_anything_is_known_of_it() -> None:
    """The producer sees every number it asked for, from the first document on."""
    result = document(an_order(), [])

    assert result["numbers"] == [{"e164": RALEIGH, "state": "requested", "code": None, "text": None}]
    assert result["ended_at"] is None


def test_numbers_are_sorted() -> None:
    """Two documents of an order can be compared line by line, also with numbers that were not asked for by name."""
    results = [NumberResult(DURHAM, NumberState.ACQUIRED), NumberResult(RALEIGH, NumberState.USABLE)]

    assert document(an_order(), results) == document(an_order(), reversed(results))
    assert [number["e164"] for number in document(an_order(), results)["numbers"]] == [RALEIGH, DURHAM]


@pytest.mark.parametrize("state", State)
def test_the_document_says_whether_the_state_is_final(state: State) -> None:
    """A producer need not know the list of final states."""
    assert document(an_order(state), [])["final"] is state.is_final
