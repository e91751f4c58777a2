"""The statements of `sql/alarms.sql`."""

from typing import Any

from number_orders.simulation.statements.registry import Params, statement
from number_orders.simulation.tables import Row, Tables


@statement
def raise_alarm(tables: Tables, p: Params) -> list[Row]:
    """Raise an alarm, or count its repetition."""
    now, key = tables.clock(), (p["what"], p["subject"])
    if key not in tables.alarms:
        tables.alarms[key] = {"alarm_id": tables.identity(), "times": 0, "first_at": now, "cleared_by": None, **p}
    row = tables.alarms[key]
    row.update(times=row["times"] + 1, last_at=now, detail=p["detail"], cleared_at=None)
    return [{"times": row["times"]}]


@statement
def note_alarm(tables: Tables, p: Params) -> list[Row]:
    """Raise an alarm about a condition that persists; count it at most once in a while."""
    row = tables.alarms.get((p["what"], p["subject"]))
    alarm = {name: p[name] for name in ("what", "subject", "carrier", "order_id", "detail")}
    if row is None or row["order_id"] != p["order_id"] or row["last_at"] < tables.clock() - p["again_after"]:
        rows = raise_alarm(tables, alarm)
        tables.alarms[p["what"], p["subject"]]["order_id"] = p["order_id"]
        return rows
    row["detail"] = p["detail"]
    return [{"times": row["times"]}]


@statement
def drop_alarms(tables: Tables, p: Params) -> list[Row]:
    """Delete a carrier's alarms of one sort, except those to keep."""
    for key, row in list(tables.alarms.items()):
        if (row["what"], row["carrier"]) == (p["what"], p["carrier"]) and row["subject"] not in p["keep"]:
            del tables.alarms[key]
    return []


@statement
def drop_alarms_unless(tables: Tables, p: Params) -> list[Row]:
    """Delete the alarms of one sort whose orders are no longer in this state."""
    for key, row in list(tables.alarms.items()):
        if row["what"] == p["what"] and row["order_id"] and tables.orders[row["order_id"]]["state"] != p["state"]:
            del tables.alarms[key]
    return []


@statement
def active_alarms(tables: Tables, p: Params) -> list[Row]:
    """Return the alarms that nobody has cleared, latest first."""
    active = [row for row in tables.alarms.values() if row["cleared_at"] is None]
    return [dict(row) for row in sorted(active, key=_last_at, reverse=True)[: p["limit"]]]


def _last_at(row: Row) -> Any:
    return row["last_at"]


@statement
def clear_alarms(tables: Tables, p: Params) -> list[Row]:
    """Clear alarms until they happen again."""
    wanted: list[int] | None = p["alarm_ids"]
    active = [row for row in tables.alarms.values() if row["cleared_at"] is None]
    cleared = [
        row for row in active if (wanted is None or row["alarm_id"] in wanted) and p["times"] in {None, row["times"]}
    ]
    for row in cleared:
        row.update(cleared_at=tables.clock(), cleared_by=p["by"])
    return [dict(row) for row in cleared]


@statement
def read_alarm(tables: Tables, p: Params) -> list[Row]:
    """Return one alarm, active or not."""
    return [dict(row) for row in tables.alarms.values() if row["alarm_id"] == p["alarm_id"]]


@statement
def cleared_alarms(tables: Tables, p: Params) -> list[Row]:
    """Return the alarms that somebody has cleared lately, the latest first."""
    since = tables.clock() - p["since"]
    cleared = [row for row in tables.alarms.values() if row["cleared_at"] is not None and row["cleared_at"] > since]
    return [dict(row) for row in sorted(cleared, key=_cleared_at, reverse=True)[: p["limit"]]]


def _cleared_at(row: Row) -> Any:
    return row["cleared_at"]
