from dataclasses import replace

import pytest
from psycopg.types.json import Jsonb

from number_orders.ledger.text import storable, storable_text
from number_orders.orders.events import StillOpen
from number_orders.orders.model import NumberResult, NumberState
from number_orders.orders.numbers import E164


@pytest.mark.parametrize(
    ("text", "stored"),
    [("RECEIVED", "RECEIVED"), ("RE\0CEIVED", "RE\ufffdCEIVED"), ("\ud83d", "?"), ("\U0001f600 ok", "\U0001f600 ok")],
)
def test_only_what_postgresql_cannot_store_is_replaced(text: str, stored: str) -> None:
    """NULs and halves of surrogate pairs."""
    assert storable_text(text) == stored


def test_every_text_of_a_parameter_is_made_storable() -> None:
    """However deep, keys too. Everything else stays as it is."""
    value = {"a\0": ["b\0", ("c\0", 7, None)], "json": Jsonb({"d": "e\0"})}
    stored = storable(value)

    assert stored.pop("json").obj == {"d": "e\ufffd"}
    assert stored == {"a\ufffd": ["b\ufffd", ("c\ufffd", 7, None)]}


def test_an_event_is_made_storable_with_its_numbers() -> None:
    """It stays an event of the same type."""
    number = NumberResult(E164("+19195550100"), NumberState.ACQUIRED, "1\0", "text")
    event = StillOpen("NE\0W", (number,))

    assert storable(event) == StillOpen("NE\ufffdW", (replace(number, code="1\ufffd"),))
