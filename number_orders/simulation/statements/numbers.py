"""The statements of `sql/numbers.sql`."""

from typing import Any

from number_orders.orders.model import State
from number_orders.simulation.statements.archive import all_orders, archived_part, find_order
from number_orders.simulation.statements.registry import Params, statement
from number_orders.simulation.tables import Row, Tables


@statement
def numbers_of(tables: Tables, p: Params) -> list[Row]:
    """Return the known numbers of orders."""
    rows = [
        row
        for order_id in p["order_ids"]
        for row in (*tables.numbers.get(order_id, {}).values(), *archived_part(tables, order_id, "numbers"))
    ]
    return [dict(row) for row in sorted(rows, key=_e164)]


def _e164(row: Row) -> str:
    return str(row["e164"])


@statement
def recall(tables: Tables, p: Params) -> list[Row]:
    """Return what is known of some numbers at one carrier. The first row has only the time."""
    now = tables.clock()
    nothing: Row = {"held_since": None, "held_by": None, "named": False, "released_by": None, "released_at": None}
    rows: list[Row] = [{"now": now, "e164": None, **nothing}]
    for e164 in p["numbers"]:
        holding = tables.holding(e164)
        held = holding if holding is not None and holding["carrier"] == p["carrier"] else None
        named = any(_names(order, e164, p) for order in tables.orders.values())
        row: Row = {"now": now, "e164": e164, "named": named}
        row["held_since"] = held["acquired_at"] if held else None
        row["released_by"], row["released_at"] = _latest_release(tables, e164, p)
        rows.append(row | {"held_by": held["acquired_by"] if held else None})
    return rows


def _latest_release(tables: Tables, e164: str, p: Params) -> tuple[Any, Any]:
    """Return the other order that released a number last, and when."""
    releases = [
        (row["released_at"], row["released_by"])
        for row in tables.held
        if (row["e164"], row["carrier"]) == (e164, p["carrier"]) and row["released_by"] not in {None, p["order_id"]}
    ]
    released_at, released_by = max(releases, default=(None, None))
    return released_by, released_at


def _names(order: Row, e164: str, p: Params) -> bool:
    """Tell whether an unfinished order at this carrier, other than this order, is to acquire a number."""
    return (
        e164 in order["request"].get("numbers", ())
        and order["ended_at"] is None
        and order["carrier"] == p["carrier"]
        and order["kind"] != "remove_numbers"
        and order["order_id"] != p["order_id"]
    )


@statement
def ended_references(tables: Tables, p: Params) -> list[Row]:
    """Return those of some references whose order has ended."""
    ended = (row for row in all_orders(tables) if row["carrier"] == p["carrier"] and row["ended_at"] is not None)
    references = (row["reference"] or str(row["order_id"]) for row in ended)
    return [{"reference": reference} for reference in references if reference in p["references"]]


@statement
def owners(tables: Tables, p: Params) -> list[Row]:
    """Return the orders that follow some orders of a carrier."""
    found = {named: tables.owner(p["carrier"], named) for named in p["carrier_orders"]}
    orders = {named: find_order(tables, order_id) for named, order_id in found.items() if order_id is not None}
    return [
        {
            "carrier_order_id": named,
            "is_complete": order["state"] == State.COMPLETED,
            "criteria": order["request"].get("criteria"),
        }
        for named, order in orders.items()
        if order is not None
    ]


@statement
def parked_orders_bringing(tables: Tables, p: Params) -> list[Row]:
    """Return the parked orders that are to acquire one of these numbers, which nobody holds yet."""
    awaited = sorted(e164 for e164 in p["numbers"] if tables.holding(e164) is None)
    any_order: Params = {"carrier": p["carrier"], "order_id": None}
    parked = sorted(order_id for order_id, row in tables.orders.items() if row["state"] == State.PARKED)
    named = (
        (order_id, [e164 for e164 in awaited if _names(tables.orders[order_id], e164, any_order)])
        for order_id in parked
    )
    return [{"order_id": order_id, "e164": numbers[0]} for order_id, numbers in named if numbers]


@statement
def holdings_of_number(tables: Tables, p: Params) -> list[Row]:
    """Return how often we have held a number, the present or last time first."""
    rows = []
    for held in reversed(tables.held):
        bringer = find_order(tables, held["acquired_by"]) or {}
        if held["e164"] == p["e164"] and p["producer"] in {None, bringer.get("producer")}:
            of_bringer = {name: bringer.get(name) for name in ("producer", "key")}
            remover = find_order(tables, held["released_by"]) or {}
            shown = held["released_by"] if p["producer"] in {None, remover.get("producer")} else None
            rows.append({"now": tables.clock(), **held, **of_bringer, "released_by": shown})
    present = [row for row in rows if row["released_at"] is None]
    past = sorted((row for row in rows if row["released_at"] is not None), key=_released_at, reverse=True)
    return [*present, *past][: p["limit"]]


def _released_at(row: Row) -> Any:
    return row["released_at"]


@statement
def orders_of_number(tables: Tables, p: Params) -> list[Row]:
    """Return what became of a number in the orders that name or brought it, newest first."""
    rows = []
    for order in all_orders(tables):
        order_id = order["order_id"]
        archived = {row["e164"]: row for row in archived_part(tables, order_id, "numbers")}
        told = (tables.numbers.get(order_id) or archived).get(p["e164"])
        if told is not None and p["producer"] in {None, order["producer"]}:
            row = {name: order[name] for name in ("order_id", "producer", "key", "kind", "carrier", "state")}
            rows.append(row | {"number_state": told["state"], "changed_at": told["changed_at"]})
    return sorted(rows, key=_changed_at, reverse=True)[: p["limit"]]


def _changed_at(row: Row) -> Any:
    return row["changed_at"], row["order_id"]
