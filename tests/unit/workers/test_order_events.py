"""What Flower makes of the events of an order: one row, in the right state at every step."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from celery.events.state import State as FlowerState

from number_orders.ledger.intake import NewOrder
from number_orders.ledger.orders import PendingStep
from number_orders.orders import events
from number_orders.orders.events import Event
from number_orders.orders.lifecycle import advance
from number_orders.orders.model import (
    CarrierName,
    CarrierOrderId,
    Criteria,
    Kind,
    NumberResult,
    NumberState,
    Order,
    OrderId,
    OrderRequest,
    State,
)
from number_orders.orders.numbers import E164
from number_orders.orders.policy import CarrierPolicy
from tests.unit.orders.lifecycle_examples import NOON
from workers.order_events import OrderEvents

ORDER_ID = OrderId(UUID("0191f3a0-0000-7000-8000-000000000001"))
REQUEST = OrderRequest(
    "crm-1",
    CarrierName("bandwidth"),
    Kind.NEW_NUMBERS,
    criteria=Criteria(npa="919"),
    quantity=3,
    name="Jane Doe",
    notes="her new number",
    options={"site_id": "743"},
)
THEIRS = CarrierOrderId("theirs-1")
RALEIGH = E164("+19195550100")
HALF = timedelta(minutes=30)


class Row:
    """Flower's row of one order that moves."""

    def __init__(self, request: OrderRequest = REQUEST, *, state: State = State.ACCEPTED) -> None:
        self.flower: Any = FlowerState()
        self.order = Order(ORDER_ID, request, accepted_at=NOON)
        self.now = NOON
        self.monitor = OrderEvents(self._receive, now=lambda: self.now)
        self.monitor.on_accepted([NewOrder(ORDER_ID, "crm", request, "", "")], {ORDER_ID: state})

    def _receive(self, sent: Sequence[dict[str, Any]]) -> None:
        for event in sent:
            self.flower.event({**event, "hostname": "w@h", "clock": 1, "local_received": event["timestamp"]})

    def move(self, *heard: Event, done: Sequence[E164] = (), at: datetime | None = None) -> Any:
        for event in heard:
            self.now = at or self.now + timedelta(seconds=1)
            step = advance(self.order, event, now=self.now, policy=CarrierPolicy())
            self.monitor.on_moved([PendingStep(self.order, step, done=tuple(done))])
            self.order = step.order
        return self.task

    @property
    def task(self) -> Any:
        (task,) = self.flower.tasks.values()
        return task


def test_an_order_is_one_row_from_its_acceptance_to_its_end() -> None:
    row = Row()
    accepted = (row.task.uuid, row.task.name, row.task.state, row.task.received)
    assert accepted == (str(ORDER_ID), "order.bandwidth.new_numbers", "RECEIVED", NOON.timestamp())

    assert row.move(events.SubmissionBegun()).state == "RECEIVED"
    assert row.move(events.Acknowledged(THEIRS, "RECEIVED")).state == "STARTED"
    assert row.task.result == "OPEN at bandwidth as theirs-1"
    assert row.move(events.StillOpen("BACKORDERED", slow=True)).result.endswith(": the carrier says BACKORDERED")
    ended = row.move(events.Filled("COMPLETE", ()), done=[RALEIGH], at=NOON + HALF)

    assert (ended.state, ended.runtime) == ("SUCCESS", HALF.total_seconds())
    assert ended.result == "COMPLETED: 1 of 3 numbers; +19195550100"
    assert row.flower.task_count == 1


def test_what_was_ordered_is_shown_and_nothing_of_the_customer() -> None:
    kwargs = Row().task.kwargs
    assert kwargs == "{'key': 'crm-1', 'quantity': 3, 'criteria': {'npa': '919'}}"


def test_many_named_numbers_are_counted() -> None:
    numbers = tuple(E164(f"+1919555{index:04}") for index in range(100, 115))
    row = Row(replace(REQUEST, criteria=None, quantity=None, numbers=numbers))
    assert "'quantity': 15" in row.task.kwargs
    assert "+19195550109 and 5 more" in row.task.kwargs
    assert "+19195550110" not in row.task.kwargs


def test_a_tainted_removal_waits_as_a_retry_with_its_moment_and_then_goes_on() -> None:
    row = Row(OrderRequest("crm-2", CarrierName("swift"), Kind.REMOVE_NUMBERS, numbers=(RALEIGH,)))
    waits = row.move(events.SubmissionBegun(), events.Deferred("ordered 5 minutes ago", NOON + HALF, ()))

    assert (waits.state, waits.exception) == ("RETRY", "ordered 5 minutes ago")
    assert waits.result == "ACCEPTED: waits until 2026-03-01 12:30:00 UTC: ordered 5 minutes ago"
    assert waits.eta == "2026-03-01T12:30:00+00:00"
    sent = row.move(events.SubmissionBegun(), events.Acknowledged(THEIRS, "PENDING"))
    assert (sent.state, sent.eta, sent.exception) == ("STARTED", None, None)


def test_an_order_in_doubt_and_one_that_must_be_sent_again_wait_as_retries() -> None:
    doubt = Row().move(events.SubmissionBegun(), events.AnswerLost("timed out"))
    assert (doubt.state, doubt.exception) == ("RETRY", "timed out")
    assert doubt.result.startswith("IN_DOUBT: waits until 2026-03-01 12:00:0")
    limited = Row().move(events.SubmissionBegun(), events.NotSent("HTTP 429", NOON + HALF))
    assert (limited.state, limited.eta) == ("RETRY", "2026-03-01T12:30:00+00:00")


def test_an_end_that_falls_short_is_not_green() -> None:
    row = Row()
    row.move(events.SubmissionBegun(), events.Acknowledged(THEIRS, "RECEIVED"))
    partial = row.move(events.PartlyFilled("PARTIAL", (), "out of stock"), done=[RALEIGH])
    assert (partial.state, partial.result) == ("PARTIAL", "PARTIAL: 1 of 3 numbers; out of stock; +19195550100")


def test_what_the_reason_says_already_is_said_once() -> None:
    row = Row()
    row.move(events.SubmissionBegun(), events.Acknowledged(THEIRS, "RECEIVED"))
    partial = row.move(events.PartlyFilled("PARTIAL", (), "1 of 3 numbers: out of stock"), done=[RALEIGH])
    assert partial.result == "PARTIAL: 1 of 3 numbers: out of stock; +19195550100"


def test_failed_and_cancelled_orders_say_why() -> None:
    failed = Row().move(events.SubmissionBegun(), events.Refused("no such area code"))
    assert (failed.state, failed.exception) == ("FAILURE", "no such area code")
    assert failed.result == "FAILED: 0 of 3 numbers; no such area code"
    cancelled = Row().move(events.CancelAsked("crm", "not needed"))
    assert (cancelled.state, cancelled.result) == ("REVOKED", "CANCELLED: 0 of 3 numbers; crm: not needed")


@pytest.mark.parametrize(
    ("decision", "state"),
    [
        pytest.param(events.Adopted(THEIRS, "ann", "found it"), "STARTED", id="adopted"),
        pytest.param(events.SentAgain("ann", "nothing there"), "RETRY", id="sent-again"),
        pytest.param(events.WrittenOff("ann", "gone"), "FAILURE", id="written-off"),
        pytest.param(events.CutShort("ann", "enough"), "PARTIAL", id="cut-short"),
    ],
)
def test_a_parked_order_is_seen_and_leaves_that_state(decision: Event, state: str) -> None:
    row = Row()
    parked = row.move(events.SubmissionBegun(), events.Acknowledged(THEIRS, "X"), events.Parked("found twice"))
    assert (parked.state, parked.result) == ("PARKED", "PARKED: found twice")
    assert row.move(decision).state == state


def test_an_order_that_its_budget_parks_is_parked_from_the_first() -> None:
    assert Row(state=State.PARKED).task.state == "PARKED"


def test_a_scheduled_order_shows_its_moment() -> None:
    row = Row(replace(REQUEST, not_before=NOON + HALF))
    assert (row.task.state, row.task.result) == ("RECEIVED", "waits until 2026-03-01 12:30:00 UTC")


def test_late_news_and_repeated_answers_move_no_row() -> None:
    row = Row()
    row.move(events.SubmissionBegun(), events.Acknowledged(THEIRS, "RECEIVED"), events.StillOpen("RECEIVED"))
    before = row.flower.event_count
    row.move(events.StillOpen("RECEIVED"))
    assert row.flower.event_count == before
    row.move(events.Filled("COMPLETE", (NumberResult(RALEIGH, NumberState.ACQUIRED),)))
    before = row.flower.event_count
    row.move(events.StillOpen("RECEIVED"))
    assert row.flower.event_count == before


def test_a_flower_that_missed_the_first_events_shows_the_row_whole() -> None:
    row = Row()
    row.flower.clear(ready=False)
    task = row.move(events.SubmissionBegun(), events.Acknowledged(THEIRS, "RECEIVED"))
    assert (task.name, task.received) == ("order.bandwidth.new_numbers", NOON.timestamp())
    assert "crm-1" in task.kwargs
