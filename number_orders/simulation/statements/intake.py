"""The statements of `sql/intake.sql`."""

from typing import Final
from uuid import UUID

from number_orders.orders.model import Lane, State
from number_orders.simulation.statements.guard import guarded_since
from number_orders.simulation.statements.history import add_event
from number_orders.simulation.statements.outbox import add_messages
from number_orders.simulation.statements.registry import Params, moment_from_json, moment_in_document, statement
from number_orders.simulation.tables import Row, Tables, new_work_item

_TAKEN_OVER: Final = ("producer", "key", "carrier", "kind", "account", "request", "reason", "reference")
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
    """Store the orders whose key and id are free, and return their ids."""
    return [{"order_id": UUID(order["order_id"])} for order in p["orders"] if _accept(tables, order)]


def _accept(tables: Tables, new: Row) -> bool:
    order_id, now = UUID(new["order_id"]), tables.clock()
    if order_id in tables.orders or (new["producer"], new["key"]) in tables.keys:
        return False
    row = {name: new[name] for name in _TAKEN_OVER}
    row |= {"order_id": order_id, "fingerprint": bytes.fromhex(new["fingerprint"]), "state": State.ACCEPTED.value}
    row |= {"version": 0, "sends": 0, "losses": 0, "doubt_asks": 0, "progress": {}, "other_carrier_orders": []}
    row |= dict.fromkeys(_NOT_YET)
    row["history_lost_at"] = guarded_since(tables)
    tables.insert_order(row | {"accepted_at": now, "moved_at": now})
    add_event(tables, order_id, 0, "OrderAccepted", State.ACCEPTED, late=False, detail={})
    due_at = max(moment_from_json(new["not_before"]) or now, now)
    tables.owed[order_id, "submit"] = new_work_item(row, Lane.SUBMIT.value, due_at, new["reason"])
    if new["notification"] is not None:
        tables.owed[order_id, "tell"] = new_work_item(row, Lane.TELL.value, now, None)
        document = new["notification"] | {"accepted_at": moment_in_document(now), "reference": new["reference"]}
        add_messages(tables, order_id, 0, new["channels"], document)
    return True


@statement
def find_taken(tables: Tables, p: Params) -> list[Row]:
    """Return the orders that have one of these ids, or one of these pairs of producer and key."""
    ids = {*p["order_ids"], *(tables.keys.get(key) for key in zip(p["producers"], p["keys"], strict=True))}
    return [dict(row) for order_id, row in tables.orders.items() if order_id in ids]
