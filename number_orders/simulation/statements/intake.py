"""The statements of `sql/intake.sql`."""

from datetime import datetime
from typing import Final
from uuid import UUID

from number_orders.orders.model import Lane, State
from number_orders.simulation.statements.allowances import apply_corrections, charge, find_exceeded, is_open
from number_orders.simulation.statements.archive import all_orders
from number_orders.simulation.statements.guard import guarded_since
from number_orders.simulation.statements.history import add_event
from number_orders.simulation.statements.outbox import add_messages
from number_orders.simulation.statements.registry import Params, moment_from_json, moment_in_document, statement
from number_orders.simulation.tables import Row, Tables, new_work_item

_TAKEN_OVER: Final = ("producer", "key", "carrier", "kind", "account", "request", "reason", "reference", "trace_parent")
_NOT_YET: Final = (
    "carrier_order_id",
    "carrier_status",
    "cancel_asked_at",
    "doubt_since",
    "ended_at",
    "history_lost_at",
)


@statement
def accept_orders(tables: Tables, p: Params) -> list[Row]:
    """Store the orders whose key and id are free and which their producers' budgets allow."""
    default = p["numbers_per_hour"]
    producers = {order["producer"] for order in p["orders"] if order["numbers"]}
    unopened = {producer for producer in producers if default is not None and not is_open(tables, producer)}
    apply_corrections(tables, producers - unopened, default)
    return [
        row
        for order in sorted(p["orders"], key=lambda order: int(order["position"]))
        if (row := _outcome(tables, order, unopened, default))
    ]


def _outcome(tables: Tables, new: Row, unopened: set[str], default: int | None) -> Row | None:
    order_id, why = UUID(new["order_id"]), None
    if new["numbers"] and new["producer"] in unopened:
        return {"order_id": order_id, "outcome": "UNOPENED", "why": None}
    known = order_id in tables.orders or order_id in tables.archive
    if known or (new["producer"], new["key"]) in tables.keys:
        return None
    exceeded = find_exceeded(tables, new, default) if new["numbers"] else None
    if exceeded is not None and exceeded[0] == "refuse":
        return {"order_id": order_id, "outcome": "REFUSED", "why": exceeded[1]}
    if exceeded is not None:
        why = f"budget: {exceeded[1]}"
    _store(tables, new, why, charged_at=charge(tables, new, default) if new["numbers"] and why is None else None)
    return {"order_id": order_id, "outcome": tables.orders[order_id]["state"], "why": None}


def _store(tables: Tables, new: Row, parked: str | None, *, charged_at: datetime | None) -> None:
    order_id, now = UUID(new["order_id"]), tables.clock()
    row = {name: new[name] for name in _TAKEN_OVER}
    row |= {"order_id": order_id, "fingerprint": bytes.fromhex(new["fingerprint"]), "state": State.ACCEPTED.value}
    row |= {"version": 0, "sends": 0, "losses": 0, "doubt_asks": 0, "progress": {}, "other_carrier_orders": []}
    row |= dict.fromkeys(_NOT_YET)
    row |= {"history_lost_at": guarded_since(tables), "charged_at": charged_at}
    row |= {"is_proven": new["is_proven"] or None}
    tables.insert_order(row | {"accepted_at": now, "moved_at": now})
    add_event(tables, order_id, 0, "OrderAccepted", State.ACCEPTED, late=False, detail={})
    documents = [new["notification"]]
    if parked is None:
        due_at = max(moment_from_json(new["not_before"]) or now, now)
        tables.owed[order_id, "submit"] = new_work_item(row, Lane.SUBMIT.value, due_at, new["reason"])
    else:
        tables.orders[order_id].update(state=State.PARKED.value, version=1, reason=parked)
        add_event(tables, order_id, 1, "Parked", State.PARKED, late=False, detail={"reason": parked})
        documents.append(new["parked_notification"] and new["parked_notification"] | {"reason": parked})
    for version, document in enumerate(documents):
        if document is not None:
            tables.owed[order_id, "tell"] = new_work_item(row, Lane.TELL.value, now, None)
            whole = document | {"accepted_at": moment_in_document(now), "reference": new["reference"]}
            add_messages(tables, order_id, version, new["channels"], whole)


@statement
def accept_orders_in_turn(tables: Tables, p: Params) -> list[Row]:
    """Do the same: in memory, each order takes its numbers in its turn anyway."""
    return accept_orders(tables, p)


@statement
def find_taken(tables: Tables, p: Params) -> list[Row]:
    """Return the orders that have one of these ids, or one of these pairs of producer and key."""
    ids = {*p["order_ids"], *(tables.keys.get(key) for key in zip(p["producers"], p["keys"], strict=True))}
    return [dict(row) for row in all_orders(tables) if row["order_id"] in ids]
