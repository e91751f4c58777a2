"""Prints orders, alarms and dead letters as tables, newest first."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from rich.text import Text

from config.settings import Settings
from number_orders.cli import output
from number_orders.cli.output import clean, screen, state
from number_orders.cli.services import open_ledger
from number_orders.ledger.order_views import OrderFilter
from number_orders.ledger.rows import request_from_json
from number_orders.story import times
from number_orders.story.holds import hold_lines

Row = Mapping[str, Any]

_WIDE: Final = 100
"""The width of a screen from which all columns are shown."""
_COLUMNS: Final = ("ORDER", "KEY", "STATE", "AGE", "PRODUCER", "CARRIER", "KIND", "WANTS", "WHY")
CSV_COLUMNS: Final = (
    *("order_id", "producer", "key", "carrier", "kind", "state", "carrier_status", "quantity", "reason"),
    *("accepted_at", "moved_at", "ended_at"),
)
_NARROW_COLUMNS: Final = 4
_IN_JSON: Final = (
    *("order_id", "producer", "key", "carrier", "kind", "state", "carrier_status", "reason"),
    *("accepted_at", "moved_at", "ended_at"),
)
_EXCERPT: Final = 200


async def read_holds(settings: Settings) -> list[str]:
    """Return what holds work back, a line each."""
    async with open_ledger(settings) as ledger:
        now, holds = await ledger.pauses.holds()
    return hold_lines(holds, now)


async def read_orders(
    settings: Settings,
    wanted: OrderFilter,
    *,
    older_than: timedelta | None,
    younger_than: timedelta | None,
    limit: int,
) -> list[Row]:
    """Return the orders that pass every filter, the newest first."""
    async with open_ledger(settings) as ledger:
        now = await ledger.now()
        of_age = replace(
            wanted,
            accepted_before=None if older_than is None else now - older_than,
            accepted_after=None if younger_than is None else now - younger_than,
        )
        return await ledger.order_views.rows(of_age, limit=limit)


def show_orders(rows: Sequence[Row], *, limit: int, held_back: Sequence[str] = ()) -> None:
    """Print what holds orders back, and the orders with as many columns as fit."""
    console = screen()
    for line in held_back:
        console.print(Text(clean(line), "yellow"), soft_wrap=not console.is_terminal)
    if not rows:
        console.print("no such orders")
        return
    wide = console.width >= _WIDE
    columns = _COLUMNS if wide else _COLUMNS[:_NARROW_COLUMNS]
    output.rows(console, columns, (_cells(row)[: len(columns)] for row in rows), whole=1)
    if len(rows) == limit:
        console.print(Text(f"the newest {limit}; --limit shows more", "dim"))


def orders_to_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the same as JSON."""
    return [{**{name: row[name] for name in _IN_JSON}, "quantity": _quantity(row)} for row in rows]


async def read_alarms(settings: Settings, limit: int) -> list[Row]:
    """Return the alarms, latest first."""
    async with open_ledger(settings) as ledger:
        return await ledger.alarms.active(limit)


def show_alarms(rows: Sequence[Row]) -> None:
    """Print the alarms, each with the order that it is about."""
    console = screen()
    if not rows:
        console.print("no alarms")
    for row in rows:
        about = clean(row["order_id"] or row["subject"])
        repeated = "" if row["times"] == 1 else f"  {row['times']} times since {_utc(row['first_at'])}"
        what = clean(row["what"]).replace("_", " ")
        alarm = f"alarm {row['alarm_id']}  "
        before = (
            f"  put away before by {clean(row['cleared_by'])}" if row["cleared_by"] and not row["cleared_at"] else ""
        )
        last = f"{_utc(row['last_at'])}{repeated}{before}"
        console.print(Text.assemble((alarm, "bold"), (what, "bold red"), f"  {about}  ", (last, "dim")))
        console.print(f"  {clean(row['detail'])}", soft_wrap=not console.is_terminal)
        console.print(Text(f"  → {_command_for(row)}", "bold"), soft_wrap=True)
    if rows:
        console.print(Text("what each alarm means and what to type: docs/runbook.md", "dim"))


def _command_for(row: Row) -> str:
    """Return the command that shows what an alarm is about."""
    return f"number-orders show {row['order_id']}" if row["order_id"] else "number-orders doctor"


async def read_dead_letters(settings: Settings, limit: int) -> list[Row]:
    """Return the dead letters, latest first."""
    async with open_ledger(settings) as ledger:
        return await ledger.dead_letters.latest(limit)


def show_dead_letters(rows: Sequence[Row]) -> None:
    """Print the dead letters: why each cannot be read, and how it begins."""
    console = screen()
    if not rows:
        console.print("no dead letters")
    for row in rows:
        task = f"task {clean(row['task_id'])}" if row["task_id"] else "no task id"
        facts = f"queue {clean(row['queue'])}, {task}, {row['size']} bytes"
        console.print(
            Text.assemble((f"letter {row['letter_id']}", "bold"), f"  {facts}  ", (_utc(row["received_at"]), "dim"))
        )
        console.print(f"  it {clean(row['why'])}", soft_wrap=not console.is_terminal)
        excerpt = clean(bytes(row["body"])[:_EXCERPT].decode(errors="replace"))
        console.print(Text(f"  {excerpt}", "dim"), soft_wrap=not console.is_terminal)


def _cells(row: Row) -> tuple[Text | str, ...]:
    age = times.span(row["now"] - row["accepted_at"])
    cells = (str(row["order_id"]), clean(row["key"]), state(row["state"]), age)
    return (*cells, clean(row["producer"]), row["carrier"], row["kind"], str(_quantity(row)), clean(row["reason"]))


def _quantity(row: Row) -> int:
    return request_from_json(row["request"]).wanted


def _utc(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
