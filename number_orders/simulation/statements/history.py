"""The statements of `sql/history.sql`."""

from datetime import timedelta
from uuid import UUID

from number_orders.simulation.statements.archive import archived_part
from number_orders.simulation.statements.registry import Params, moment_from_json, statement
from number_orders.simulation.tables import Row, Tables


def add_event(tables: Tables, order_id: UUID, version: int, name: str, state: str, *, late: bool, detail: Row) -> None:
    """Add an event to the story of an order."""
    row: Row = {"version": version, "at": tables.clock(), "event": name, "state": state}
    tables.events[order_id].append(row | {"late": late, "detail": detail})


@statement
def story_of(tables: Tables, p: Params) -> list[Row]:
    """Return the events of an order."""
    events = tables.events.get(p["order_id"]) or archived_part(tables, p["order_id"], "events")
    return [dict(row) for row in events]


@statement
def news_of(tables: Tables, p: Params) -> list[Row]:
    """Return the events of some orders, of each those after a version."""
    watched = sorted(zip(p["order_ids"], p["versions"], strict=True))
    return [
        {"order_id": order_id, **event}
        for order_id, version in watched
        for event in tables.events.get(order_id) or archived_part(tables, order_id, "events")
        if event["version"] > version
    ]


@statement
def trying_since(tables: Tables, p: Params) -> list[Row]:
    """Return when the present series of failed attempts to send an order began."""
    events = tables.events[p["order_id"]]
    other = max(event["version"] for event in events if event["event"] not in p["no_progress"])
    return [{"since": min((event["at"] for event in events if event["version"] > other), default=None)}]


@statement
def due_since(tables: Tables, p: Params) -> list[Row]:
    """Return when an order was first to be worked on."""
    order = tables.orders[p["order_id"]]
    ruled = (
        event["detail"]["not_before"] for event in tables.events[p["order_id"]] if event["event"] in p["held_back"]
    )
    moments = (moment_from_json(text) for text in (order["request"].get("not_before"), next(ruled, None)))
    return [{"since": max([order["accepted_at"], *filter(None, moments)])}]


@statement
def last_moves(tables: Tables, p: Params) -> list[Row]:
    """Return the last event that moved each order."""
    last = {
        order_id: event["event"]
        for order_id in p["order_ids"]
        for event in tables.events.get(order_id, ())
        if not event["late"] and event["event"] not in p["reminders"]
    }
    return [{"order_id": order_id, "event": event} for order_id, event in last.items()]


@statement
def keep_receipts(tables: Tables, p: Params) -> list[Row]:
    """Store receipts."""
    at = tables.clock()
    tables.receipts += [{**receipt, "order_id": UUID(receipt["order_id"]), "at": at} for receipt in p["receipts"]]
    return []


@statement
def receipts_of(tables: Tables, p: Params) -> list[Row]:
    """Return the receipts of an order: the newest `limit`, or all."""
    found = [dict(row) for row in tables.receipts if row["order_id"] == p["order_id"]]
    return found if p["limit"] is None else found[max(0, len(found) - p["limit"]) :]


@statement
def forget_receipts(tables: Tables, p: Params) -> list[Row]:
    """Delete old receipts, and return how many."""
    older_than: timedelta = p["older_than"]
    kept_from = tables.clock() - older_than
    old = [row for row in tables.receipts if row["at"] < kept_from][: p["at_once"]]
    tables.receipts[:] = [row for row in tables.receipts if not any(row is gone for gone in old)]
    return [{"forgotten": len(old)}]
