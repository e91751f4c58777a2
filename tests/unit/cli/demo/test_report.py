"""The summary counts how doubts were resolved, and how late an end was known."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from number_orders.cli.demo.ledger_view import Entry
from number_orders.cli.demo.report import deadlines, doubts
from number_orders.ledger.history import Story
from number_orders.orders.model import CarrierName, Kind, Order, OrderId, OrderRequest

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def an_order(number: int, ended_at: datetime | None = None) -> Order:
    request = OrderRequest(f"key-{number}", CarrierName("bandwidth"), Kind.NEW_NUMBERS)
    return Order(OrderId(UUID(int=number)), request, accepted_at=NOON, ended_at=ended_at)


def a_story(*events: tuple[str, str]) -> Story:
    rows: tuple[dict[str, Any], ...] = tuple({"event": event, "state": state} for event, state in events)
    return Story(NOON, "crm", an_order(1), (), (), rows)


def test_doubts_are_counted_by_how_they_were_resolved() -> None:
    found = a_story(("AnswerLost", "IN_DOUBT"), ("NotListed", "IN_DOUBT"), ("Acknowledged", "OPEN"))
    absent = a_story(("AnswerLost", "IN_DOUBT"), ("ProvenAbsent", "ACCEPTED"), ("SubmissionBegun", "SUBMITTING"))

    assert doubts([found, found, absent]) == {
        "found with the carrier and followed": 2,
        "proven never to have arrived, and sent again": 1,
    }


def test_order_still_in_doubt_is_not_counted() -> None:
    assert doubts([a_story(("AnswerLost", "IN_DOUBT"))]) == {}


def test_delay_is_measured_from_the_carriers_end_to_ours() -> None:
    entries = {str(UUID(int=n)): Entry(an_order(n, NOON + timedelta(seconds=n)), {}) for n in (1, 2, 3)}
    orders = [
        {"customer_order_id": order_id, "ended_at": NOON.isoformat(), "carrier": "bandwidth"} for order_id in entries
    ]

    late = deadlines(entries, {"orders": orders})

    assert late is not None
    assert (late.median, late.slowest) == (2.0, 3.0)


def test_orders_without_end_are_not_measured() -> None:
    entries = {str(UUID(int=1)): Entry(an_order(1), {})}

    assert deadlines(entries, {"orders": [{"customer_order_id": str(UUID(int=1)), "ended_at": None}]}) is None
