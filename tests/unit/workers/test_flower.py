"""Rows of orders in Flower stand where the order stands, in whatever order its events come."""

from itertools import permutations
from typing import Any

import pytest
from celery.events.state import State

from workers.flower import OrderRow


class Rows(State):
    Task = OrderRow


def event(kind: str, at: float, **fields: Any) -> dict[str, Any]:
    row = {"uuid": "1", "name": "order.swift.remove_numbers", "received": 1.0, "hostname": "worker", "clock": 1}
    return {**row, "type": f"task-{kind}", "timestamp": at, "local_received": at, **fields}


def row_after(*events: dict[str, Any]) -> Any:
    rows: Any = Rows()  # the stubs lack its tasks
    for each in events:
        rows.event(dict(each))
    return rows.tasks["1"]


RECEIVED = event("received", 1.0)
RETRIED = event("retried", 2.0, result="ACCEPTED: waits")
STARTED = event("started", 3.0, result="OPEN at swift")


@pytest.mark.parametrize("events", [*permutations((RECEIVED, RETRIED, STARTED))])
def test_the_latest_news_counts_whenever_it_comes(events: tuple[dict[str, Any], ...]) -> None:
    row = row_after(*events)
    assert (row.state, row.result, row.received) == ("STARTED", "OPEN at swift", 1.0)


def test_an_order_that_waits_is_not_accepted_again() -> None:
    """Although the clock of the process that accepted it is a little fast."""
    row = row_after(RETRIED, RECEIVED | {"timestamp": 2.01})
    assert (row.state, row.result) == ("RETRY", "ACCEPTED: waits")


def test_news_in_order_moves_the_row() -> None:
    assert row_after(RECEIVED, STARTED, event("retried", 4.0)).state == "RETRY"
    assert row_after(RECEIVED, RETRIED, event("succeeded", 4.0)).state == "SUCCESS"
