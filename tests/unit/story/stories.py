"""Builds stories as the ledger stores them, by running events through the lifecycle."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from number_orders.ledger.history import Story
from number_orders.ledger.rows import event_detail
from number_orders.ledger.schedule import WorkItem
from number_orders.orders.events import Event
from number_orders.orders.lifecycle import Effect, SubmitOrder, advance
from number_orders.orders.model import (
    CarrierName,
    Criteria,
    Kind,
    Lane,
    NumberResult,
    Order,
    OrderId,
    OrderRequest,
    State,
)
from number_orders.orders.numbers import E164
from number_orders.orders.policy import CarrierPolicy

NOON: Final = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)
ORDER_ID: Final = OrderId(UUID("01a200ff-5849-7019-8b02-d36a8282df6c"))
REQUEST: Final = OrderRequest(
    "crm-1", CarrierName("bandwidth"), Kind.NEW_NUMBERS, criteria=Criteria(npa="919"), quantity=3
)
STEP: Final = timedelta(seconds=10)


def story_of(
    *events: Event,
    later: timedelta = timedelta(),
    state: State = State.ACCEPTED,
    request: dict[str, Any] | None = None,
    work_item: dict[str, Any] | None = None,
) -> Story:
    """Return the story of an order with these events, ten seconds apart, from noon on.

    `later` is the time since the last event, `state` is the one that the order begins in; `request` and `work_item`
    change fields of the request and of the scheduled work.
    """
    order = Order(ORDER_ID, replace(REQUEST, **(request or {})), accepted_at=NOON, state=state)
    owed: dict[Lane, Effect] = {Lane.SUBMIT: SubmitOrder(max(order.request.not_before or NOON, NOON))}
    rows = [_row(order, NOON, "OrderAccepted", {}, late=False)]
    numbers: dict[E164, NumberResult] = {}
    at = NOON
    for event in events:
        at += STEP
        step = advance(order, event, now=at, policy=CarrierPolicy(), attempt_number=order.sends)
        order = step.order
        rows.append(_row(order, at, type(step.event).__name__, event_detail(step.event), late=step.late))
        if not step.keeps_work:
            owed = {lane: effect for lane, effect in owed.items() if lane is Lane.TELL}
        if not step.late:
            owed |= {effect.lane: effect for effect in step.effects}
            numbers |= {result.e164: result for result in getattr(event, "numbers", ())}
    work_items = (WorkItem(each.lane, each.not_before, 0, each.reason, in_hand=False) for each in owed.values())
    return Story(
        now=at + later,
        producer="crm",
        order=order,
        numbers=tuple(numbers.values()),
        work_items=tuple(replace(each, **(work_item or {})) for each in work_items),
        events=tuple(rows),
    )


def _row(order: Order, at: datetime, event: str, detail: dict[str, Any], *, late: bool) -> dict[str, Any]:
    return {
        "version": order.version,
        "at": at,
        "event": event,
        "state": order.state.value,
        "late": late,
        "detail": detail,
    }
