"""Dead letters are stored on a connection of their own."""

import psycopg
import pytest
from psycopg.rows import dict_row

from number_orders.ledger.dead_letters import DeadLetter, store_dead_letter
from number_orders.orders.errors import LedgerUnavailable

LETTER = DeadLetter.of(
    queue="orders", why="cannot be read", task_id="t-1", headers={"task": "orders.submit"}, body=b"{\x00"
)


def test_a_dead_letter_is_stored_as_it_is(ledger_url: str) -> None:
    store_dead_letter(ledger_url, LETTER)

    with psycopg.connect(ledger_url, row_factory=dict_row) as db:
        (row,) = db.execute("SELECT queue, why, task_id, headers, body, size FROM dead_letters").fetchall()
    assert row == {
        "queue": "orders",
        "why": "cannot be read",
        "task_id": "t-1",
        "headers": {"task": "orders.submit"},
        "body": b"{\x00",
        "size": 2,
    }


def test_a_ledger_that_cannot_be_reached_is_unavailable() -> None:
    """The caller keeps the message then; no psycopg exception leaves the ledger."""
    with pytest.raises(LedgerUnavailable):
        store_dead_letter("postgresql://127.0.0.1:9/nowhere", LETTER)
