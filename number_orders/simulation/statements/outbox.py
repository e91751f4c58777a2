"""The statements of `sql/outbox.sql`."""

from collections.abc import Iterable
from uuid import UUID

from number_orders.orders.model import Lane
from number_orders.simulation.statements.archive import archived_part
from number_orders.simulation.statements.registry import Params, statement
from number_orders.simulation.statements.webhooks import is_superseded
from number_orders.simulation.tables import Row, Tables

_BY_HTTP = ("tried_since", "gave_up_at")


def add_messages(tables: Tables, order_id: UUID, version: int, channels: Iterable[str], document: Row) -> None:
    """Add one message for each channel."""
    for channel in channels:
        row: Row = {"order_id": order_id, "version": version, "channel": channel, "document": document}
        tables.outbox.append(row | {"told_at": None, "tries": 0, "trouble": None} | dict.fromkeys(_BY_HTTP))


@statement
def pending_messages(tables: Tables, p: Params) -> list[Row]:
    """Return the undelivered messages of some orders, in order for each order."""
    found = [row for row in tables.outbox if row["order_id"] in p["order_ids"] and row["channel"] == p["channel"]]
    pending = [row for row in found if row["told_at"] is None and not is_superseded(tables, row)]
    return [dict(row) for row in sorted(pending, key=lambda row: (row["order_id"], row["version"]))]


@statement
def messages_of(tables: Tables, p: Params) -> list[Row]:
    """Return the documents of one order, and what became of each."""
    found = [row for row in tables.outbox if row["order_id"] == p["order_id"]]
    found = found or archived_part(tables, p["order_id"], "messages")
    return [_message(tables, row) for row in sorted(found, key=lambda row: (row["version"], row["channel"]))]


def _message(tables: Tables, row: Row) -> Row:
    names = ("version", "channel", "told_at", "tries", "trouble", "tried_since", "gave_up_at")
    waits = row["channel"] == "url" and row["told_at"] is None and row["gave_up_at"] is None
    delivery = (tables.webhook_deliveries.get(row["order_id"]) if waits else None) or {}
    return {
        **{name: row[name] for name in names},
        "state": row["document"].get("state"),
        "next_at": delivery.get("not_before"),
        "in_hand": delivery.get("lease_token") is not None,
    }


@statement
def mark_delivered(tables: Tables, p: Params) -> list[Row]:
    """Mark messages as delivered, and delete the work items that were not renewed since they were claimed."""
    for delivered in p["delivered"]:
        for row in _messages(tables, delivered, p["channel"]):
            row.update(told_at=tables.clock(), tries=row["tries"] + 1, trouble=None)
    for done in p["done"]:
        key = (UUID(done["order_id"]), Lane.TELL.value)
        work_item = tables.owed.get(key)
        if work_item is not None and (work_item["lease_token"], work_item["turn"]) == (p["token"], done["generation"]):
            del tables.owed[key]
    return []


@statement
def mark_undelivered(tables: Tables, p: Params) -> list[Row]:
    """Store why messages could not be delivered."""
    for failed in p["failed"]:
        for row in _messages(tables, failed, p["channel"]):
            row.update(tries=row["tries"] + 1, trouble=failed["trouble"])
    return []


def _messages(tables: Tables, named: Row, channel: str) -> list[Row]:
    wanted = (UUID(named["order_id"]), named["version"], channel)
    return [row for row in tables.outbox if (row["order_id"], row["version"], row["channel"]) == wanted]
