"""The statements of `sql/notices.sql`."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from number_orders.orders.model import Lane, State
from number_orders.simulation.statements.alarms import raise_alarm
from number_orders.simulation.statements.registry import Params, statement
from number_orders.simulation.tables import Row, Tables

_NOT_YET: Final = frozenset({State.ACCEPTED, State.SUBMITTING})
_ASKED: Final = frozenset({State.OPEN, State.IN_DOUBT})
_AGAIN_FIRST: Final = timedelta(seconds=0.5)
_UNKNOWN_AGAIN_FIRST: Final = timedelta(seconds=5)
_AGAIN_MAX: Final = timedelta(hours=1)
_GIVEN_UP_AFTER: Final = timedelta(days=3)


@statement
def store_notices(tables: Tables, p: Params) -> list[Row]:
    """Store notices, each once, and raise an alarm about what cannot be read."""
    now = tables.clock()
    for notice in p["notices"]:
        key = (notice["carrier"], notice["digest"])
        row = tables.notices.setdefault(
            key, {**notice, "notice_id": tables.identity(), "order_id": None, "copies": 0, "match_at": None}
        )
        names_order = notice["carrier_order_id"] is not None or notice["reference"] is not None
        row.update(copies=row["copies"] + notice["copies"], received_at=now)
        row.update(match_at=now if names_order else None, handled_at=None if names_order else now)
        if notice["trouble"] is not None:
            about = {"what": p["alarm"], "subject": notice["carrier"], "carrier": notice["carrier"]}
            raise_alarm(tables, about | {"order_id": None, "detail": notice["trouble"]})
    return [{"stored": len(p["notices"])}]


@statement
def apply_notices(tables: Tables, p: Params) -> list[Row]:
    """Make the questions due that waiting notices call for."""
    now = tables.clock()
    waiting = [row for row in tables.notices.values() if row["handled_at"] is None and row["match_at"] <= now]
    waiting = sorted(waiting, key=_match_at)[: p["limit"]]
    asked: dict[UUID, Row] = {}
    matched = {row["notice_id"]: _matched(tables, row) for row in waiting}
    for order in (order for orders in matched.values() for order in orders if order["state"] in _ASKED):
        item = tables.owed.get((order["order_id"], Lane.ASK.value))
        if item is not None and item["lease_token"] is None and item["serial_key"] is None:
            if order["order_id"] not in asked:
                _hurry(item, now, p["every"])
            asked[order["order_id"]] = item
    for row in waiting:
        orders = matched[row["notice_id"]]
        is_done = any(order["order_id"] in asked or order["state"] not in _NOT_YET | _ASKED for order in orders)
        is_done = is_done or row["received_at"] < now - _GIVEN_UP_AFTER
        row["order_id"] = min((order["order_id"] for order in orders), default=row["order_id"])
        row["handled_at"] = now if is_done else None
        row["match_at"] = now + min(_AGAIN_MAX, _again_in(now - row["received_at"], is_known=bool(orders)))
    due = sorted({item["carrier"] for item in asked.values() if item["not_before"] <= now})
    return [{"looked_at": len(waiting), "due": due}]


def _again_in(age: timedelta, *, is_known: bool) -> timedelta:
    """Return when a notice that waits is looked at again: soon, if its order is known and cannot be asked about yet."""
    return max(_AGAIN_FIRST, age) if is_known else max(_UNKNOWN_AGAIN_FIRST, 2 * age)


def _matched(tables: Tables, notice: Row) -> list[Row]:
    """Return the orders that a notice names: by the carrier's id, and unfinished ones by their reference."""
    followed = tables.owner(notice["carrier"], notice["carrier_order_id"])
    named = tables.references.get(notice["reference"] or "")
    found = {order_id: tables.orders[order_id] for order_id in (followed, named) if order_id in tables.orders}
    return [
        order
        for order_id, order in found.items()
        if order["carrier"] == notice["carrier"] and (order_id == followed or order["ended_at"] is None)
    ]


def _hurry(item: Row, now: datetime, every: timedelta) -> None:
    """Make a question due earlier, but not sooner than `every` after the last that a notice brought."""
    last: datetime | None = item["hurried_at"]
    at = last if last is not None and last > now else max(now, last + every if last else now)
    if at < item["not_before"]:
        item.update(not_before=at, hurried_at=at, attempts=max(item["attempts"] - 1, 0))


def _match_at(row: Row) -> datetime:
    at: datetime = row["match_at"]
    return at


@statement
def orders_named_in_notices(tables: Tables, p: Params) -> list[Row]:
    """Return the carrier orders that notices about these orders have named, each since a moment of its own."""
    since = dict(zip(p["order_ids"], p["since"], strict=True))
    named = {
        (row["order_id"], row["carrier_order_id"])
        for row in tables.notices.values()
        if row["order_id"] in since and row["carrier_order_id"] and row["trouble"] is None
        if row["received_at"] >= since[row["order_id"]]
    }
    return [{"order_id": order_id, "carrier_order_id": theirs} for order_id, theirs in sorted(named)]


@statement
def forget_notices(tables: Tables, p: Params) -> list[Row]:
    """Delete old notices, and return how many."""
    older_than: timedelta = p["older_than"]
    kept_from = tables.clock() - older_than
    old = [key for key, row in tables.notices.items() if row["received_at"] < kept_from][: p["at_once"]]
    for key in old:
        del tables.notices[key]
    return [{"forgotten": len(old)}]


@statement
def notices_by_carrier(tables: Tables, p: Params) -> list[Row]:
    """Return what each carrier has sent in the time until now."""
    since: timedelta = p["since"]
    recent = [row for row in tables.notices.values() if row["received_at"] > tables.clock() - since]
    counted = []
    for carrier in sorted({row["carrier"] for row in recent}):
        own = [row for row in recent if row["carrier"] == carrier]
        numbers = {"notices": len(own), "copies": sum(row["copies"] for row in own)}
        numbers |= {"unreadable": sum(row["trouble"] is not None for row in own)}
        numbers |= {"matched": sum(row["copies"] for row in own if row["order_id"] is not None)}
        numbers |= {"orders": len({row["order_id"] for row in own} - {None})}
        numbers |= {"waiting": sum(row["handled_at"] is None for row in own)}
        counted.append({"carrier": carrier, "last_at": max(row["received_at"] for row in own), **numbers})
    return counted


# For the observer of a simulated world; no statement


def next_match(tables: Tables) -> datetime | None:
    """Return when a waiting notice is to be matched next."""
    return min((row["match_at"] for row in tables.notices.values() if row["handled_at"] is None), default=None)
