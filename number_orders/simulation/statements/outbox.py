"""The ledger's statements about tellings, alarms and letters, in memory. See `simulation.statements.orders`."""

from datetime import datetime
from typing import Any
from uuid import UUID

from number_orders.orders.model import Lane
from number_orders.simulation.statements.orders import Params, statement
from number_orders.simulation.tables import Row, Tables

# Tellings


@statement
def pending_messages(tables: Tables, p: Params) -> list[Row]:
    """Return documents still to be told, in order per order."""
    found = [row for row in tables.tellings if row["order_id"] in p["order_ids"] and row["channel"] == p["channel"]]
    waiting = [row for row in found if row["told_at"] is None]
    return [dict(row) for row in sorted(waiting, key=lambda row: (row["order_id"], row["version"]))]


@statement
def mark_delivered(tables: Tables, p: Params) -> list[Row]:
    """Mark documents as handed over; a work_item is paid unless another telling was owed meanwhile."""
    for done in p["told"]:
        for row in _telling(tables, done, p["channel"]):
            row.update(told_at=tables.clock(), tries=row["tries"] + 1, trouble=None)
    for paid in p["paid"]:
        key = (UUID(paid["order_id"]), Lane.TELL.value)
        work_item = tables.owed.get(key)
        if work_item is not None and (work_item["lease_token"], work_item["turn"]) == (p["token"], paid["generation"]):
            del tables.owed[key]
    return []


@statement
def mark_undelivered(tables: Tables, p: Params) -> list[Row]:
    """Keep why a document could not be handed over."""
    for failed in p["failed"]:
        for row in _telling(tables, failed, p["channel"]):
            row.update(tries=row["tries"] + 1, trouble=failed["trouble"])
    return []


def _telling(tables: Tables, named: Row, channel: str) -> list[Row]:
    wanted = (UUID(named["order_id"]), named["version"], channel)
    return [row for row in tables.tellings if (row["order_id"], row["version"], row["channel"]) == wanted]


# Alarms


@statement
def raise_alarm(tables: Tables, p: Params) -> list[Row]:
    """Tell a person something, once per matter."""
    now, key = tables.clock(), (p["what"], p["subject"])
    if key not in tables.alarms:
        tables.alarms[key] = {"alarm_id": tables.identity(), "times": 0, "first_at": now, **p}
    row = tables.alarms[key]
    row.update(times=row["times"] + 1, last_at=now, detail=p["detail"], cleared_at=None)
    return [{"times": row["times"]}]


@statement
def note_alarm(tables: Tables, p: Params) -> list[Row]:
    """Tell a person of something that goes on; it happens again once in a while."""
    row = tables.alarms.get((p["what"], p["subject"]))
    told = {name: p[name] for name in ("what", "subject", "carrier", "order_id", "detail")}
    if row is None or row["order_id"] != p["order_id"] or row["last_at"] < tables.clock() - p["again_after"]:
        rows = raise_alarm(tables, told)
        tables.alarms[p["what"], p["subject"]]["order_id"] = p["order_id"]
        return rows
    row["detail"] = p["detail"]
    return [{"times": row["times"]}]


@statement
def drop_alarms(tables: Tables, p: Params) -> list[Row]:
    """Forget what is over by itself."""
    for key, row in list(tables.alarms.items()):
        if (row["what"], row["carrier"]) == (p["what"], p["carrier"]) and row["subject"] not in p["standing"]:
            del tables.alarms[key]
    return []


@statement
def drop_alarms_unless(tables: Tables, p: Params) -> list[Row]:
    """Forget alarms about orders that stand otherwise now."""
    for key, row in list(tables.alarms.items()):
        if row["what"] == p["what"] and row["order_id"] and tables.orders[row["order_id"]]["state"] != p["state"]:
            del tables.alarms[key]
    return []


@statement
def active_alarms(tables: Tables, p: Params) -> list[Row]:
    """Return alarms that stand, latest first."""
    standing = [row for row in tables.alarms.values() if row["cleared_at"] is None]
    return [dict(row) for row in sorted(standing, key=_last_at, reverse=True)[: p["limit"]]]


def _last_at(row: Row) -> Any:
    return row["last_at"]


@statement
def clear_alarms(tables: Tables, p: Params) -> list[Row]:
    """Put alarms away until they happen again."""
    wanted: list[int] | None = p["alarm_ids"]
    standing = [row for row in tables.alarms.values() if row["cleared_at"] is None]
    cleared = [row for row in standing if wanted is None or row["alarm_id"] in wanted]
    for row in cleared:
        row["cleared_at"] = tables.clock()
    return [dict(row) for row in cleared]


# Letters


@statement
def store_dead_letter(tables: Tables, p: Params) -> list[Row]:
    """Keep a message that nobody could read."""
    at: datetime = tables.clock()
    tables.letters.append({"letter_id": tables.identity(), "received_at": at, **p})
    return []


@statement
def dead_letters(tables: Tables, p: Params) -> list[Row]:
    """Return messages that nobody could read, latest first."""
    return [dict(row) for row in tables.letters[::-1][: p["limit"]]]


@statement
def delete_dead_letters(tables: Tables, p: Params) -> list[Row]:
    """Drop messages that nobody could read."""
    gone = [row for row in tables.letters if row["letter_id"] in p["letter_ids"]]
    tables.letters[:] = [row for row in tables.letters if row not in gone]
    return gone
