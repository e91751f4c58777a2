"""The statements of `sql/holdings.sql`."""

from typing import Any
from uuid import UUID

from psycopg import errors

from number_orders.orders.model import State
from number_orders.simulation.statements.archive import all_orders
from number_orders.simulation.statements.history import add_event
from number_orders.simulation.statements.registry import Params, moment_from_json, statement
from number_orders.simulation.tables import Row, Tables

_NOTHING: Row = {
    "is_listed": False,
    "holder_unfinished": False,
    **dict.fromkeys(
        ("account", "since", "held_by", "held_at", "acquired_at", "released_at", "brought_by", "removed_by")
    ),
}


@statement
def compare_holdings(tables: Tables, p: Params) -> list[Row]:
    """Return how many numbers are held at a carrier, and the numbers that only one side has."""
    known: dict[str, Row] = {}
    for e164, account, since in zip(p["numbers"], p["accounts"], p["dates"], strict=True):
        row = _row(known, e164)
        row.update(is_listed=True, account=_later(row["account"], account), since=_later(row["since"], since))
    for held in tables.held:
        row = _row(known, held["e164"])
        if held["released_at"] is None:
            row.update(held_by=held["acquired_by"], held_at=held["carrier"], acquired_at=held["acquired_at"])
            row["account"] = _later(row["account"], held.get("account"))
            row["holder_unfinished"] = _is_unfinished(tables, held["acquired_by"])
        elif held["carrier"] == p["carrier"]:
            row["released_at"] = _later(row["released_at"], held["released_at"])
    for order_id, order in sorted(tables.orders.items()):
        if order["carrier"] == p["carrier"] and order["ended_at"] is None:
            how = "removed_by" if order["kind"] == "remove_numbers" else "brought_by"
            for e164 in order["request"].get("numbers", ()):
                row = _row(known, e164)
                row[how] = row[how] or order_id
    ours = sum(row["held_at"] == p["carrier"] for row in known.values())
    differing = (known[e164] for e164 in sorted(known) if _differs(known[e164], p))
    return [{**_NOTHING, "e164": None, "ours": ours}, *differing]


def _is_unfinished(tables: Tables, order_id: UUID) -> bool:
    order = tables.orders.get(order_id)
    return order is not None and order["ended_at"] is None


def _row(known: dict[str, Row], e164: str) -> Row:
    return known.setdefault(e164, {**_NOTHING, "e164": e164, "ours": None})


def _later(one: Any, other: Any) -> Any:
    return max(filter(None, (one, other)), default=None)


def _differs(row: Row, p: Params) -> bool:
    if row["is_listed"] == (row["held_at"] == p["carrier"]):
        return False
    moved_at = row["released_at"] if row["is_listed"] else row["acquired_at"]
    return moved_at is None or bool(moved_at < p["moved_since"])


@statement
def purchases_by_criteria(tables: Tables, p: Params) -> list[Row]:
    """Return the unfinished orders at one carrier that name no numbers, and that may have been sent."""
    found = [order for _, order in sorted(tables.orders.items()) if _is_sent_by_criteria(order, p["carrier"])]
    return [{"now": tables.clock(), **order} for order in found]


def _is_sent_by_criteria(order: Row, carrier: str) -> bool:
    unfinished_purchase = order["ended_at"] is None and order["kind"] != "remove_numbers"
    names_none = "numbers" not in order["request"]
    may_be_sent = order["sends"] > 0 or order["history_lost_at"] is not None
    return order["carrier"] == carrier and unfinished_purchase and names_none and may_be_sent


@statement
def purchases_with(tables: Tables, p: Params) -> list[Row]:
    """Return the orders at one carrier, archived too, that have one of these carrier order ids or references."""
    return [
        {"now": tables.clock(), **order}
        for order in all_orders(tables)
        if order["carrier"] == p["carrier"]
        and order["kind"] != "remove_numbers"
        and (order["carrier_order_id"] in p["carrier_order_ids"] or order["reference"] in p["references"])
    ]


@statement
def keep_reconciliation(tables: Tables, p: Params) -> list[Row]:
    """Store what a comparison has found, or that none was possible."""
    nothing = {"carrier": p["carrier"], "at": None, "theirs": 0, "ours": 0, "orphans": 0, "ghosts": 0}
    row = tables.reconciliations.setdefault(p["carrier"], nothing)
    if p["trouble"] is None:
        row |= {name: p[name] for name in ("theirs", "ours", "orphans", "ghosts")} | {"at": tables.clock()}
    row |= {"failed_at": tables.clock() if p["trouble"] is not None else None, "trouble": p["trouble"]}
    return []


@statement
def reconciliations(tables: Tables, p: Params) -> list[Row]:
    """Return the last result of each carrier."""
    return [dict(row) for _, row in sorted(tables.reconciliations.items())]


@statement
def store_adopted(tables: Tables, p: Params) -> list[Row]:
    """Store orders that are born ended, unless one of their numbers is held."""
    new = [order for order in p["orders"] if UUID(order["order_id"]) not in tables.orders]
    numbers = [number["e164"] for order in new for number in order["numbers"]]
    if len(set(numbers)) < len(numbers) or any(tables.holding(e164) for e164 in numbers):
        raise errors.UniqueViolation("duplicate key value violates held_at_most_once")
    return [{"order_id": _store(tables, order)} for order in new]


def _store(tables: Tables, new: Row) -> UUID:
    order_id, now = UUID(new["order_id"]), tables.clock()
    row = {name: new[name] for name in ("producer", "key", "carrier", "kind", "account", "request", "reason")}
    row |= {"order_id": order_id, "fingerprint": bytes.fromhex(new["fingerprint"]), "state": State.COMPLETED.value}
    row |= {"version": 1, "sends": 0, "losses": 0, "doubt_asks": 0, "progress": {}, "other_carrier_orders": []}
    row |= dict.fromkeys(
        (
            *("carrier_order_id", "carrier_status", "cancel_asked_at", "doubt_since", "reference"),
            *("is_proven", "trace_parent"),
        )
    )
    row["history_lost_at"] = None
    tables.insert_order(row | {"accepted_at": now, "moved_at": now, "ended_at": now})
    add_event(tables, order_id, 0, "OrderAccepted", State.ACCEPTED, late=False, detail={})
    add_event(tables, order_id, 1, new["event"], State.COMPLETED, late=False, detail=new["detail"])
    for number in new["numbers"]:
        tables.numbers[order_id][number["e164"]] = {"order_id": order_id, "code": None, "text": None, **number}
        tables.hold_number(number["e164"], row, since=moment_from_json(number.get("held_since")))
    return order_id
