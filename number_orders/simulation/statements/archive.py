"""The statements of `sql/archive.sql`, and what other statements read from the archive."""

from datetime import datetime
from uuid import UUID

from number_orders.simulation.statements.registry import Params, statement
from number_orders.simulation.tables import Row, Tables

_PURGED = ("name", "notes", "notify", "options")


def find_order(tables: Tables, order_id: UUID) -> Row | None:
    """Return an order, also if it is archived."""
    archived = tables.archive.get(order_id)
    return tables.orders.get(order_id) or (archived["order"] if archived else None)


def all_orders(tables: Tables) -> list[Row]:
    """Return every order, also those that are archived."""
    removed = (row["order"] for row in tables.archive.values() if row["removed_at"] is not None)
    return [*tables.orders.values(), *removed]


def archived_part(tables: Tables, order_id: UUID, part: str) -> list[Row]:
    """Return the numbers, events or messages of an archived order; nothing while it is in `orders` too."""
    archived = tables.archive.get(order_id)
    if archived is None or archived["removed_at"] is None:
        return []
    rows: list[Row] = archived[part]
    return [dict(row) for row in rows]


def _is_guarded(tables: Tables) -> bool:
    return tables.guard["ends_at"] is not None and tables.guard["ends_at"] > tables.clock()


def _owes_nothing(tables: Tables, order_id: UUID) -> bool:
    return not (
        tables.work_items(order_id)
        or any(row["order_id"] == order_id for row in tables.serial_locks.values())
        or order_id in tables.webhook_deliveries
        or any(asked[0] == order_id for asked in tables.list_questions)
        or any(row.get("order_id") == order_id for row in tables.notices.values())
        or any(row["order_id"] == order_id for row in tables.receipts)
        or any(_is_about(row, order_id) for row in tables.alarms.values())
        or any(_is_undelivered(tables, row) for row in tables.outbox if row["order_id"] == order_id)
    )


def _is_about(alarm: Row, order_id: UUID) -> bool:
    return alarm["cleared_at"] is None and (alarm.get("order_id") == order_id or alarm["subject"] == str(order_id))


def _is_undelivered(tables: Tables, message: Row) -> bool:
    return message["told_at"] is None and not any(
        later["told_at"] is not None and later["version"] > message["version"]
        for later in tables.outbox
        if (later["order_id"], later["channel"]) == (message["order_id"], message["channel"])
    )


@statement
def archive_orders(tables: Tables, p: Params) -> list[Row]:
    """Copy orders that ended long ago, the oldest first."""
    ended_before: datetime = tables.clock() - p["older_than"]
    old = [
        row
        for order_id, row in tables.orders.items()
        if not _is_guarded(tables)
        if row["ended_at"] is not None and p["ended_from"] <= row["ended_at"] < ended_before
        if order_id not in tables.restored or tables.restored[order_id] <= tables.clock() - p["restored_stay"]
        if order_id not in tables.archive and _owes_nothing(tables, order_id)
    ]
    chosen = sorted(old, key=lambda row: row["ended_at"])[: p["at_once"]]
    for row in chosen:
        order_id = row["order_id"]
        tables.archive[order_id] = {
            "order": dict(row),
            "numbers": sorted((dict(number) for number in tables.numbers[order_id].values()), key=lambda n: n["e164"]),
            "events": [dict(event) for event in tables.events[order_id]],
            "messages": [dict(message) for message in tables.outbox if message["order_id"] == order_id],
            "archived_at": tables.clock(),
            "removed_at": None,
            "purged_at": None,
        }
    return [{"copied": len(chosen), "ended_to": chosen[-1]["ended_at"] if chosen else None}]


@statement
def remove_archived(tables: Tables, p: Params) -> list[Row]:
    """Delete from the orders what was copied long enough ago, and copies of orders that have moved since."""
    now = tables.clock()
    waiting = [(order_id, row) for order_id, row in tables.archive.items() if row["removed_at"] is None]
    waiting = [] if _is_guarded(tables) else waiting
    copied = [(order_id, row) for order_id, row in waiting if row["archived_at"] <= now - p["stays"]][: p["at_once"]]
    removed = 0
    for order_id, row in copied:
        if tables.orders[order_id]["version"] == row["order"]["version"] and _owes_nothing(tables, order_id):
            _remove(tables, order_id)
            row["removed_at"] = now
            removed += 1
        else:
            del tables.archive[order_id]
    return [{"looked_at": len(copied), "removed": removed}]


def _remove(tables: Tables, order_id: UUID) -> None:
    del tables.orders[order_id], tables.numbers[order_id], tables.events[order_id]
    tables.restored.pop(order_id, None)
    tables.outbox[:] = [row for row in tables.outbox if row["order_id"] != order_id]
    for key, alarm in list(tables.alarms.items()):
        if alarm.get("order_id") == order_id:
            del tables.alarms[key]


@statement
def find_in_the_way(tables: Tables, p: Params) -> list[Row]:
    """Return the orders that have the carrier order or the key of an archived one."""
    named = [order_id for order_id in sorted(p["order_ids"]) if order_id in tables.archive]
    return [{"order_id": order_id, "other_id": other} for order_id in named for other in _in_the_way(tables, order_id)]


def _in_the_way(tables: Tables, order_id: UUID) -> list[UUID]:
    order = tables.archive[order_id]["order"]
    return sorted(
        other
        for other, row in tables.orders.items()
        if other != order_id
        if (row["producer"], row["key"]) == (order["producer"], order["key"])
        or (order["carrier_order_id"] and _carrier_order(row) == _carrier_order(order))
    )


def _carrier_order(order: Row) -> tuple[str, str | None]:
    return order["carrier"], order["carrier_order_id"]


@statement
def restore_archived(tables: Tables, p: Params) -> list[Row]:
    """Bring orders back, each as it was."""
    back = []
    for order_id in sorted(p["order_ids"]):
        row = tables.archive.get(order_id)
        if row is None or row["purged_at"] is not None or _in_the_way(tables, order_id):
            continue
        tables.restored[order_id] = tables.clock()
        back.append({"order_id": order_id})
        del tables.archive[order_id]
        if row["removed_at"] is not None:
            tables.orders[order_id] = row["order"]
            tables.numbers[order_id] = {number["e164"]: number for number in row["numbers"]}
            tables.events[order_id] = row["events"]
            tables.outbox += row["messages"]
    return back


@statement
def purge_archived(tables: Tables, p: Params) -> list[Row]:
    """Delete story and free text of archived orders that ended long ago."""
    now = tables.clock()
    old = [
        row
        for row in tables.archive.values()
        if row["removed_at"] is not None and row["purged_at"] is None
        if row["order"]["ended_at"] < now - p["older_than"]
    ][: p["at_once"]]
    for row in old:
        request = {name: value for name, value in row["order"]["request"].items() if name not in _PURGED}
        row["order"] |= {"request": request, "reason": None, "progress": {}}
        row.update(purged_at=now, events=[], messages=[])
    return [{"purged": len(old)}]


@statement
def archive_summary(tables: Tables, p: Params) -> list[Row]:
    """Return what the archive holds."""
    rows = list(tables.archive.values())
    ends = [row["order"]["ended_at"] for row in rows]
    removed = sum(row["removed_at"] is not None for row in rows)
    purged = sum(row["purged_at"] is not None for row in rows)
    bounds = {"oldest": min(ends, default=None), "newest": max(ends, default=None)}
    return [{"copied": len(rows) - removed, "removed": removed, "purged": purged, **bounds, "bytes": 0}]


@statement
def archived_since(tables: Tables, p: Params) -> list[Row]:
    """Return the orders that were archived since a moment and can be brought back."""
    found = [
        (row["archived_at"], order_id)
        for order_id, row in tables.archive.items()
        if row["archived_at"] >= p["since"] and row["purged_at"] is None and order_id not in p["but"]
    ]
    return [{"order_id": order_id} for _, order_id in sorted(found)[: p["limit"]]]


@statement
def archived_among(tables: Tables, p: Params) -> list[Row]:
    """Return those of some orders that are in the archive and no longer in `orders`."""
    archived = (order_id for order_id in p["order_ids"] if order_id in tables.archive)
    return [{"order_id": order_id} for order_id in archived if tables.archive[order_id]["removed_at"] is not None]
