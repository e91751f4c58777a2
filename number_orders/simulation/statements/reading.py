"""The ledger's statements that only read, and those about receipts, in memory. See `simulation.statements.orders`."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from number_orders.orders.model import Lane
from number_orders.simulation.statements.orders import Params, moment, statement
from number_orders.simulation.tables import Row, Tables


@statement
def now(tables: Tables, p: Params) -> list[Row]:
    """Return the ledger's time."""
    return [{"now": tables.clock()}]


@statement
def read_orders(tables: Tables, p: Params) -> list[Row]:
    """Return orders by id."""
    at = tables.clock()
    return [{"now": at, **tables.orders[order_id]} for order_id in p["order_ids"] if order_id in tables.orders]


@statement
def find_by_key(tables: Tables, p: Params) -> list[Row]:
    """Return the orders that any producer gave this key, newest first."""
    found = [row for row in tables.orders.values() if row["key"] == p["key"]]
    return [{"now": tables.clock(), **row} for row in sorted(found, key=_accepted_at, reverse=True)]


@statement
def find_by_carrier_order(tables: Tables, p: Params) -> list[Row]:
    """Return the order that a carrier's order belongs to."""
    owner = tables.owner(p["carrier"], p["carrier_order_id"])
    return [] if owner is None else [{"order_id": owner}]


@statement
def numbers_of(tables: Tables, p: Params) -> list[Row]:
    """Return what is known of numbers."""
    rows = [row for order_id in p["order_ids"] for row in tables.numbers.get(order_id, {}).values()]
    return [dict(row) for row in sorted(rows, key=_e164)]


def _e164(row: Row) -> str:
    return str(row["e164"])


@statement
def work_items_of(tables: Tables, p: Params) -> list[Row]:
    """Return what orders wait for, and all that holds it back."""
    rows = [row for order_id in p["order_ids"] for row in tables.work_items(order_id)]
    return [{"now": tables.clock(), **row, **_holds(tables, row)} for row in sorted(rows, key=_due_at)]


def _due_at(row: Row) -> datetime:
    due_at: datetime = row["not_before"]
    return due_at


def _holds(tables: Tables, work_item: Row) -> Row:
    pause = tables.pause(work_item["carrier"], work_item["lane"]) or {}
    breaker = tables.breaker(work_item["carrier"], work_item["lane"]) or {}
    held = breaker if breaker.get("held_until") else {}
    limit = tables.budget(work_item) or {}
    row: Row = {
        "paused_at": pause.get("paused_at"),
        "paused_by": pause.get("paused_by"),
        "paused_why": pause.get("why"),
    }
    row |= {"opened_at": held.get("opened_at"), "held_until": held.get("held_until"), "held_why": held.get("why")}
    row |= {"limit_group": limit.get("limit_group"), "limited_until": limit.get("paused_until")}
    return row | {"limited_why": limit.get("why")}


@statement
def story_of(tables: Tables, p: Params) -> list[Row]:
    """Return what has happened to an order."""
    return [dict(row) for row in tables.events.get(p["order_id"], ())]


@statement
def trying_since(tables: Tables, p: Params) -> list[Row]:
    """Return when the attempts began of which none left anything at the carrier."""
    events = tables.events[p["order_id"]]
    other = max(event["version"] for event in events if event["event"] not in p["no_progress"])
    return [{"since": min((event["at"] for event in events if event["version"] > other), default=None)}]


@statement
def due_since(tables: Tables, p: Params) -> list[Row]:
    """Return from when on an order was to be worked on."""
    order = tables.orders[p["order_id"]]
    ruled = (
        event["detail"]["not_before"] for event in tables.events[p["order_id"]] if event["event"] in p["held_back"]
    )
    moments = (moment(text) for text in (order["request"].get("not_before"), next(ruled, None)))
    return [{"since": max([order["accepted_at"], *filter(None, moments)])}]


@statement
def last_moves(tables: Tables, p: Params) -> list[Row]:
    """Return what happened last to orders that moved them."""
    told = {
        order_id: event["event"]
        for order_id in p["order_ids"]
        for event in tables.events.get(order_id, ())
        if not event["late"] and event["event"] not in p["reminders"]
    }
    return [{"order_id": order_id, "event": event} for order_id, event in told.items()]


@statement
def waiting_at(tables: Tables, p: Params) -> list[Row]:
    """Return orders that wait for their time."""
    waiting = {
        row["order_id"]
        for row in tables.owed.values()
        if row["carrier"] == p["carrier"]
        and p["lane"] in {None, row["lane"]}
        and row["not_before"] > tables.clock()
        and row["lease_token"] is None
        and row["serial_key"] is None
        and (p["after"] is None or row["order_id"] > p["after"])
    }
    return [{"order_id": order_id} for order_id in sorted(waiting)[: p["limit"]]]


@statement
def keep_receipts(tables: Tables, p: Params) -> list[Row]:
    """Keep what passed between us and the carrier."""
    at = tables.clock()
    tables.receipts += [{**receipt, "order_id": UUID(receipt["order_id"]), "at": at} for receipt in p["receipts"]]
    return []


@statement
def receipts_of(tables: Tables, p: Params) -> list[Row]:
    """Return what passed between us and the carrier about one order."""
    return [dict(row) for row in tables.receipts if row["order_id"] == p["order_id"]]


@statement
def forget_receipts(tables: Tables, p: Params) -> list[Row]:
    """Drop old receipts."""
    older_than: timedelta = p["older_than"]
    kept_from = tables.clock() - older_than
    old = [row for row in tables.receipts if row["at"] < kept_from][: p["at_once"]]
    tables.receipts[:] = [row for row in tables.receipts if not any(row is gone for gone in old)]
    return [{"forgotten": len(old)}]


@statement
def list_orders(tables: Tables, p: Params) -> list[Row]:
    """Return orders, newest first."""
    found = [row for row in tables.orders.values() if _is_listed(row, p, tables.clock())]
    newest_first = sorted(found, key=_accepted_at, reverse=True)[: p["limit"]]
    return [{**row, "now": tables.clock()} for row in newest_first]


def _is_listed(row: Row, p: Params, at: datetime) -> bool:
    age: timedelta = at - row["accepted_at"]
    return (
        (p["states"] is None or row["state"] in p["states"])
        and p["carrier"] in {None, row["carrier"]}
        and p["kind"] in {None, row["kind"]}
        and (p["older_than"] is None or age > p["older_than"])
        and (p["younger_than"] is None or age <= p["younger_than"])
    )


def _accepted_at(row: Row) -> Any:
    return row["accepted_at"]


@statement
def count_by_state(tables: Tables, p: Params) -> list[Row]:
    """Return how many orders stand in each state."""
    counted = Counter(row["state"] for row in tables.orders.values())
    return [{"state": state, "orders": orders} for state, orders in counted.items()]


def next_due(tables: Tables) -> datetime | None:
    """Return the earliest moment at which the sweep could find anything; no statement, a look from outside."""
    waiting = (row for row in tables.owed.values() if not tables.pause(row["carrier"], row["lane"]))
    return min((_claimed_from(tables, row) for row in waiting), default=None)


def _claimed_from(tables: Tables, work_item: Row) -> datetime:
    """Return from when on a work_item may be claimed, as far as anybody knows by now."""
    limit, breaker = tables.budget(work_item) or {}, tables.breaker(work_item["carrier"], work_item["lane"]) or {}
    held = (breaker["held_until"], breaker["probe_until"]) if breaker.get("held_until") else ()
    moments: list[datetime] = [work_item["not_before"], *filter(None, (limit.get("paused_until"), *held))]
    return max(moments)


def next_steps(tables: Tables, order_id: UUID) -> list[Row]:
    """Return what an order is owed beside its telling."""
    return [row for row in tables.work_items(order_id) if row["lane"] != Lane.TELL]
