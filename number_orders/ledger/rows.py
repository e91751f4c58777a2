"""Turn rows into domain values, and domain values into the statements' parameters.

The only place that knows how an order, a number or an event looks inside the database.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from number_orders.orders.events import Event
from number_orders.orders.lifecycle import Effect
from number_orders.orders.model import (
    CarrierName,
    CarrierOrderId,
    Criteria,
    Kind,
    Notify,
    NumberResult,
    NumberState,
    Order,
    OrderId,
    OrderRequest,
    State,
    WhenTainted,
)
from number_orders.orders.numbers import E164
from number_orders.orders.serialization import fields_to_json, moment_to_json

Row = Mapping[str, Any]

_LISTED: Final = 20
"""How many numbers an event's detail lists; all of them are in order_numbers."""


def request_from_json(row: Row) -> OrderRequest:
    """Read a request back; the inverse of `orders.serialization.request_to_json`."""
    criteria, notify, not_before = row.get("criteria"), row.get("notify"), row.get("not_before")
    return OrderRequest(
        key=row["key"],
        carrier=CarrierName(row["carrier"]),
        kind=Kind(row["kind"]),
        numbers=tuple(row.get("numbers", ())),
        criteria=Criteria(**criteria) if criteria is not None else None,
        quantity=row.get("quantity"),
        range_size=row.get("range_size"),
        allow_partial=row.get("allow_partial", True),
        allow_backorder=row.get("allow_backorder", False),
        when_tainted=WhenTainted(row.get("when_tainted", "wait")),
        not_before=datetime.fromisoformat(not_before) if not_before else None,
        account=row.get("account"),
        name=row.get("name"),
        notes=row.get("notes"),
        options=row.get("options", {}),
        notify=_notify_from_json(notify) if notify is not None else None,
    )


def order_from_row(row: Row) -> Order:
    """Read one row of `orders`."""
    carrier_order_id = row["carrier_order_id"]
    return Order(
        order_id=OrderId(row["order_id"]),
        request=request_from_json(row["request"]),
        accepted_at=row["accepted_at"],
        state=State(row["state"]),
        version=row["version"],
        carrier_order_id=CarrierOrderId(carrier_order_id) if carrier_order_id is not None else None,
        carrier_status=row["carrier_status"],
        reason=row["reason"],
        progress=row["progress"],
        cancel_asked_at=row["cancel_asked_at"],
        sends=row["sends"],
        losses=row["losses"],
        doubt_since=row["doubt_since"],
        doubt_asks=row["doubt_asks"],
        ended_at=row["ended_at"],
        derived_reference=row["reference"],
        history_lost_at=row["history_lost_at"],
        other_ids=tuple(map(CarrierOrderId, row["other_carrier_orders"])),
        producer=row["producer"],
        is_proven=bool(row["is_proven"]),
        moved_at=row["moved_at"],
        trace_parent=row["trace_parent"],
    )


def result_from_row(row: Row) -> NumberResult:
    """Read one row of `order_numbers`."""
    return NumberResult(E164(row["e164"]), NumberState(row["state"]), row["code"], row["text"])


def result_to_json(result: NumberResult) -> dict[str, str | None]:
    """Write one number and what became of it."""
    row: dict[str, str | None] = {"e164": result.e164, "state": result.state, "code": result.code, "text": result.text}
    if result.held_since is not None:
        row["held_since"] = moment_to_json(result.held_since)
    return row


def effect_to_json(effect: Effect) -> dict[str, str | None]:
    """Write one work item."""
    return {"lane": effect.lane, "not_before": moment_to_json(effect.not_before), "reason": effect.reason}


def event_detail(event: Event) -> dict[str, Any]:
    """Write the fields of an event, for the story. Of a long list of numbers only the count is written."""
    detail = fields_to_json(event)
    if len(getattr(event, "numbers", ())) > _LISTED:
        detail["numbers"] = f"{len(detail['numbers'])} numbers"
    return detail


def _notify_from_json(row: Row) -> Notify:
    states = {"on": frozenset(State(state) for state in row["on"])} if "on" in row else {}
    return Notify(task=row.get("task"), queue=row.get("queue"), url=row.get("url"), **states)
