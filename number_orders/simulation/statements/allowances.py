"""The statements of `sql/allowances.sql`, and the budgets in `accept_orders`."""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Final

from number_orders.simulation.statements.registry import Params, statement
from number_orders.simulation.tables import Row, Tables

_LASTS: Final = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
_NEVER: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def is_open(tables: Tables, producer: str) -> bool:
    """Tell whether a producer has ordered, or has a limit."""
    return (producer, "", "hour") in tables.allowances


def apply_corrections(tables: Tables, producers: Collection[str], default: int | None) -> None:
    """Bring the limited allowances of these producers up to now, and delete the corrections counted."""
    rows = [
        row
        for row in tables.allowances.values()
        if row["producer"] in producers and row["span"] in _LASTS and _numbers_max(row, default) is not None
    ]
    current = [_current(tables, row) for row in rows]
    for row, (began_at, taken) in zip(rows, current, strict=True):
        row.update(began_at=began_at or tables.clock(), taken=taken)
    counted = {row["producer"] for row in rows}
    tables.allowance_corrections[:] = [c for c in tables.allowance_corrections if c["producer"] not in counted]


def find_exceeded(tables: Tables, new: Row, default: int | None) -> tuple[str, str] | None:
    """Return what becomes of a new order that exceeds an allowance, and why; None if it fits."""
    exceeded = [row for row in _drawn_on(tables, new, default) if new["numbers"] > _left(row, default)]
    first = min(exceeded, key=_in_order, default=None)
    return None if first is None else (first["above"], _why(first, new, default))


def charge(tables: Tables, new: Row, default: int | None) -> datetime | None:
    """Take the numbers of a new order; return when, or None for a producer without limits."""
    for row in _drawn_on(tables, new, default):
        row["taken"] += new["numbers"]
    limited = (
        row for row in tables.allowances.values() if row["span"] in _LASTS and row["producer"] == new["producer"]
    )
    return tables.clock() if any(_numbers_max(row, default) is not None for row in limited) else None


@statement
def open_allowances(tables: Tables, p: Params) -> list[Row]:
    """Add the first row of producers that order for the first time."""
    new = [name for name in p["producers"] if not is_open(tables, name)]
    for name in new:
        _add(tables, name, "", "hour", is_default=True)
    return [{"producer": name} for name in new]


@statement
def set_allowances(tables: Tables, p: Params) -> list[Row]:
    """Set limits of a producer, which ends the default."""
    given = {(limit["carrier"], limit["span"]): limit["numbers_max"] for limit in p["limits"]}
    base = _add(tables, p["producer"], "", "hour", is_default=False, above=p["above"])
    base["is_default"] = False
    for (carrier, span), numbers_max in given.items():
        row = _add(tables, p["producer"], carrier, span, is_default=False)
        row.update(numbers_max=numbers_max, above=str(p["above"]))
    return []


@statement
def read_allowances(tables: Tables, p: Params) -> list[Row]:
    """Return allowances with what is taken of each now."""
    rows = [row for _, row in sorted(tables.allowances.items()) if p["producer"] in {None, row["producer"]}]
    return [_as_read(tables, row, p["numbers_per_hour"]) for row in rows]


@statement
def forget_corrections(tables: Tables, p: Params) -> list[Row]:
    """Delete the corrections of days that are over."""
    since = tables.clock() - _LASTS["day"]
    tables.allowance_corrections[:] = [c for c in tables.allowance_corrections if c["charged_at"] >= since]
    return []


def _add(tables: Tables, producer: str, carrier: str, span: str, *, is_default: bool, above: str = "refuse") -> Row:
    row: Row = {"producer": producer, "carrier": carrier, "span": span, "numbers_max": None, "is_default": is_default}
    row |= {"above": str(above), "began_at": _NEVER, "taken": 0}
    return tables.allowances.setdefault((producer, carrier, span), row)


def _numbers_max(row: Row, default: int | None) -> int | None:
    numbers_max: int | None = default if row["is_default"] else row["numbers_max"]
    return numbers_max


def _current(tables: Tables, row: Row) -> tuple[datetime | None, int]:
    """Return when the hour or day of an allowance began, None if none has, and what is taken of it."""
    now, lasts = tables.clock(), _LASTS[row["span"]]
    mine = [c for c in tables.allowance_corrections if c["producer"] == row["producer"]]
    mine = [c for c in mine if row["carrier"] in {"", c["carrier"]}]
    began_at, taken = row["began_at"], row["taken"]
    if began_at + lasts <= now:
        after = max(began_at, now - lasts)
        began_at = min((c["charged_at"] for c in mine if c["numbers"] > 0 and c["charged_at"] >= after), default=None)
        taken = 0
    if began_at is not None:
        taken += sum(c["numbers"] for c in mine if c["charged_at"] >= began_at)
    return began_at, max(0, taken)


def _drawn_on(tables: Tables, new: Row, default: int | None) -> Iterator[Row]:
    for row in tables.allowances.values():
        is_of_order = row["producer"] == new["producer"] and row["carrier"] in {"", new["carrier"]}
        if is_of_order and _numbers_max(row, default) is not None:
            yield row


def _left(row: Row, default: int | None) -> int:
    return (_numbers_max(row, default) or 0) - (row["taken"] if row["span"] in _LASTS else 0)


def _in_order(row: Row) -> tuple[bool, bool, str, str]:
    return row["above"] == "park", row["span"] != "order", row["carrier"], row["span"]


def _why(row: Row, new: Row, default: int | None) -> str:
    numbers, at = new["numbers"], f" at {row['carrier']}" if row["carrier"] else ""
    if row["span"] not in _LASTS:
        return f"{numbers} numbers are more than {row['numbers_max']}, the most in an order{at}"
    until = row["began_at"] + _LASTS[row["span"]]
    why = (
        f"{numbers} numbers are more than the {max(0, _left(row, default))} left of {_numbers_max(row, default)}"
        f" per {row['span']}{at} until {until:%Y-%m-%d %H:%M} UTC"
    )
    return why + (", the limit of producers for whom nobody has set one" if row["is_default"] else "")


def _as_read(tables: Tables, row: Row, default: int | None) -> Row:
    read = {name: row[name] for name in ("producer", "carrier", "span", "above", "is_default")}
    read |= {"numbers_max": _numbers_max(row, default), "taken": None, "until": None}
    if row["span"] in _LASTS:
        began_at, taken = _current(tables, row)
        read |= {"taken": taken, "until": began_at and began_at + _LASTS[row["span"]]}
    return read
