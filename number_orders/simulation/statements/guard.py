"""The statements of `sql/guard.sql`."""

from datetime import datetime, timedelta

from number_orders.simulation.statements.alarms import raise_alarm
from number_orders.simulation.statements.registry import Params, statement
from number_orders.simulation.tables import Row, Tables

_PERIOD = ("seen_at", "began_at", "ends_at", "why", "who")


@statement
def check_identity(tables: Tables, p: Params) -> list[Row]:
    """Begin a guard period if the ledger is another than at the last look, or is older than what a process has seen."""
    guard, now = tables.guard, tables.clock()
    fell = guard["identity"] != tables.ledger_identity or guard["seen_at"] < p["seen_at"]
    if fell:
        why = f"the ledger fell back in time. It knows nothing after {guard['seen_at']}"
        guard.update(began_at=now, ends_at=now + p["lasts"], who="number-orders", why=why)
        _mark_orders(tables)
        for budget in tables.budgets.values():
            budget["next_at"] = max(budget["next_at"], now + timedelta(minutes=1))
        alarm = {"what": str(p["alarm"]), "subject": "ledger", "carrier": None, "order_id": None, "detail": why}
        raise_alarm(tables, alarm)
    if fell or guard["seen_at"] < now - p["heartbeat"]:
        guard.update(identity=tables.ledger_identity, seen_at=max(now, guard["seen_at"]))
    return [_period(tables, fell=fell)]


@statement
def begin_guard(tables: Tables, p: Params) -> list[Row]:
    """Begin a guard period by hand."""
    now = tables.clock()
    tables.guard.update(began_at=now, ends_at=now + p["lasts"], why=p["why"], who=p["who"])
    _mark_orders(tables)
    return [_period(tables, fell=True)]


@statement
def end_guard(tables: Tables, p: Params) -> list[Row]:
    """End the guard period by hand, if there is one."""
    guard, now = tables.guard, tables.clock()
    if guard["ends_at"] is None or guard["ends_at"] <= now:
        return []
    guard.update(ends_at=now, why=p["why"], who=p["who"])
    return [_period(tables, fell=False)]


@statement
def read_guard(tables: Tables, p: Params) -> list[Row]:
    """Return the latest guard period."""
    return [_period(tables, fell=False)]


def _period(tables: Tables, *, fell: bool) -> Row:
    return {"now": tables.clock(), "fell": fell} | {name: tables.guard[name] for name in _PERIOD}


def _mark_orders(tables: Tables) -> None:
    for order in tables.orders.values():
        if order["ended_at"] is None:
            order["history_lost_at"] = tables.clock()


def guarded_since(tables: Tables) -> datetime | None:
    """Return when the guard period that is in force began."""
    began_at: datetime | None = tables.guard["began_at"]
    return began_at if guarded_until(tables) else None


def guarded_until(tables: Tables) -> datetime | None:
    """Return when the guard period that is in force ends."""
    ends_at: datetime | None = tables.guard["ends_at"]
    return ends_at if ends_at is not None and tables.clock() < ends_at else None
