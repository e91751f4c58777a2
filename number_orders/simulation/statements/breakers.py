"""The statements of `sql/breakers.sql`."""

from datetime import datetime, timedelta
from typing import Final

from number_orders.simulation.statements.registry import Params, statement
from number_orders.simulation.tables import Row, Tables

_CLOSED_LATELY: Final = timedelta(minutes=1)
_DOUBLINGS_MAX: Final = 20
_RAMP: Final = timedelta(seconds=16)
_FIRST_SPACING_S: Final = 0.25
_HALVED_EVERY_S: Final = 2.0


@statement
def count_faults(tables: Tables, p: Params) -> list[Row]:
    """Add faults in a row, and open the breaker if there are enough. While it is open, only the probe's counts."""
    row, now = tables.breakers.get(p["carrier"]), tables.clock()
    if row is None or not _counts(row, p):
        return []
    was_open = row["held_until"] is not None
    row.update(faults=row["faults"] + p["faults"], why=p["why"], probe_token=None, probe_until=None)
    if was_open or row["faults"] >= p["faults_max"]:
        again = was_open or (row["closed_at"] is not None and row["closed_at"] > now - _CLOSED_LATELY)
        row["holds"] = row["holds"] + 1 if again else 0
        open_for = min(p["hold_max"], p["hold_first"] * 2 ** min(row["holds"], _DOUBLINGS_MAX))
        row.update(held_until=now + open_for, opened_at=row["opened_at"] if was_open else now)
    return [{"held_until": row["held_until"], "faults": row["faults"]}]


def _counts(breaker: Row, p: Params) -> bool:
    """Tell whether a report counts: any does while the breaker is closed, only the probe's while it is open."""
    return breaker["held_until"] is None or breaker["probe_token"] in p["tokens"]


@statement
def return_probe(tables: Tables, p: Params) -> list[Row]:
    """Let the next claim take the probe."""
    row = tables.breakers.get(p["carrier"])
    if row is not None and row["probe_token"] == p["token"]:
        row.update(probe_token=None, probe_until=None)
    return []


@statement
def reset_breaker(tables: Tables, p: Params) -> list[Row]:
    """Close the breaker. If it is open, only the answer to its probe closes it."""
    row = tables.breakers.get(p["carrier"])
    if row is not None and _counts(row, p):
        closed_at = row["closed_at"] if row["held_until"] is None else tables.clock()
        row.update(faults=0, probe_token=None, probe_until=None, held_until=None, closed_at=closed_at)
    return []


def closed_breaker(carrier: str) -> Row:
    """Return a breaker without faults."""
    row: Row = dict.fromkeys(("why", "held_until", "opened_at", "probe_token", "probe_until", "closed_at"))
    return row | {"carrier": carrier, "faults": 0, "holds": 0}


def ramp_spacing(breaker: Row | None, now: datetime) -> timedelta | None:
    """Return the time between two rate slots while a carrier gets more requests step by step; None at other times."""
    closed_at = breaker and breaker["closed_at"]
    if not closed_at or now - closed_at >= _RAMP:
        return None
    return timedelta(seconds=_FIRST_SPACING_S * 0.5 ** ((now - closed_at).total_seconds() / _HALVED_EVERY_S))
