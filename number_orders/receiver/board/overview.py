"""The overview: what needs a person, counts, plots, what waits longest, lanes, carriers. Read once for all viewers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final, TypeVar

from markupsafe import Markup

from number_orders.ledger.board import COUNTED_MAX, ENDED_MAX
from number_orders.ledger.guard import GuardPeriod
from number_orders.ledger.holdings import ReconciliationResult
from number_orders.ledger.ledger import Ledger
from number_orders.orders.model import State
from number_orders.receiver.board import plots
from number_orders.receiver.board.live import version_of
from number_orders.receiver.board.service import PRESENT, Board
from number_orders.receiver.recent import Recent

Row = Mapping[str, Any]
Value = TypeVar("Value")

SHOWN: Final = 20
"""How many orders or alarms a section of the overview lists."""
_OLDEST_SHOWN: Final = 10
_NOW_S: Final = 2.0
_HOUR_S: Final = 15.0
_DAY_S: Final = 60.0
_STOCK_S: Final = 600.0
"""How long what was read is shown at most before it is read again: the present, the last hour, the last day, the stock.

It is read again after `_NOW_S` where that is cheap (`Recent`).
"""
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_STOCK_SHOWN: Final = timedelta(days=90)


@dataclass(frozen=True)  # without slots: the version is kept with it, once for all viewers
class Present:
    """How everything stands now."""

    now: datetime
    unfinished: Sequence[Row]
    parked: Sequence[Row]
    overdue: Sequence[Row]
    alarms: Sequence[Row]
    cleared: Sequence[Row]
    """The alarms that somebody has put away in the last day."""
    oldest: Sequence[Row]
    lanes: Sequence[Row]
    carriers: Sequence[Row]
    limits: Sequence[Row]
    last_answers: Mapping[str, Row]
    guard: GuardPeriod
    reconciliations: Sequence[ReconciliationResult]

    @cached_property
    def version(self) -> str:
        """The version of all of it but the time."""
        shown = (self.unfinished, self.parked, self.overdue, self.alarms, self.oldest, self.lanes, self.carriers)
        rest = (self.guard.began_at, self.guard.is_active, self.reconciliations)
        rows = [[{**row, "now": None} for row in rows] for rows in (*shown, self.limits, self.cleared)]
        return version_of((rows, rest))


@dataclass(frozen=True, slots=True)
class Past:
    """What has ended lately: its plots, and the same numbers for those who see no plot."""

    ended: int
    throughput: Markup
    time_to_end: Markup
    median_s: float | None
    """In the last span in which anything ended."""


@dataclass(frozen=True, slots=True)
class Stock:
    """How many numbers a carrier had for sale: its plot, and the latest count for those who see no plot."""

    carrier: str
    quantity: int
    taken_at: datetime
    first: int
    first_at: datetime
    plot: Markup


@dataclass(frozen=True, slots=True)
class Matrix:
    """Orders by state and carrier."""

    carriers: Sequence[str]
    rows: Sequence[tuple[str, Sequence[int], int, int]]
    """Each state with its count by carrier, in all, and the limit of counting."""
    reached: bool
    """Not all unfinished orders were counted."""


async def present(board: Board, ledger: Ledger) -> Present:
    """Return how everything stands."""
    return await _recently(board, PRESENT, _NOW_S, lambda: _read_present(board, ledger))


async def past_hour(board: Board, ledger: Ledger) -> Past:
    """Return what ended in the last hour."""
    return await _recently(board, "hour", _HOUR_S, lambda: _read_past(board, ledger, _HOUR, timedelta(minutes=1)))


async def past_day(board: Board, ledger: Ledger) -> Past:
    """Return what ended in the last day."""
    return await _recently(board, "day", _DAY_S, lambda: _read_past(board, ledger, _DAY, _HOUR))


async def stock(board: Board, ledger: Ledger) -> Sequence[Stock]:
    """Return what carriers had for sale in the last 90 days, from the coverage snapshots."""
    return await _recently(board, "stock", _STOCK_S, lambda: _read_stock(board, ledger))


async def matrix(board: Board, ledger: Ledger, now: Present) -> Matrix:
    """Return the orders by state and carrier: unfinished ones now, and the ends of the last day."""
    ended: Sequence[Row] = await _recently(board, "ended", _DAY_S, lambda: board.read(ledger.board.ended(_DAY)))
    counted = {(row["state"], row["carrier"]): row["orders"] for row in (*now.unfinished, *ended)}
    carriers = sorted({row["carrier"] for row in (*now.lanes, *now.unfinished, *ended)})
    rows = []
    for state in State:
        counts = [counted.get((state.value, carrier), 0) for carrier in carriers]
        rows.append((state.value, counts, sum(counts), ENDED_MAX if state.is_final else COUNTED_MAX))
    return Matrix(carriers, rows, sum(row["orders"] for row in now.unfinished) >= COUNTED_MAX)


async def _recently(board: Board, name: str, lasts_s: float, read: Callable[[], Awaitable[Value]]) -> Value:
    value: Value = await board.recent.setdefault(name, Recent(_NOW_S, lasts_s)).get(read)
    return value


async def _read_present(board: Board, ledger: Ledger) -> Present:
    view, read = ledger.board, board.read
    orders = asyncio.gather(
        read(view.unfinished()),
        read(view.parked(SHOWN + 1)),
        read(view.overdue(SHOWN + 1)),
        _read_alarms(board, ledger),
        read(view.oldest(_OLDEST_SHOWN)),
    )
    carriers_now = asyncio.gather(
        read(view.lanes()), read(view.carriers()), read(view.limits()), read(view.last_answers())
    )
    whole = asyncio.gather(read(ledger.guard.read()), read(ledger.holdings.results()))
    (
        (unfinished, parked, overdue, (alarms, cleared), oldest),
        (lanes, carriers, limits, answers),
        (guard, results),
    ) = await asyncio.gather(orders, carriers_now, whole)
    return Present(
        now=guard.now,
        unfinished=unfinished,
        parked=parked,
        overdue=overdue,
        alarms=alarms,
        cleared=cleared,
        oldest=oldest,
        lanes=lanes,
        carriers=carriers,
        limits=limits,
        last_answers={row["carrier"]: row for row in answers},
        guard=guard,
        reconciliations=results,
    )


async def _read_stock(board: Board, ledger: Ledger) -> Sequence[Stock]:
    found: dict[str, list[Row]] = {}
    for row in await board.read(ledger.coverage.totals(_STOCK_SHOWN)):
        found.setdefault(row["carrier"], []).append(row)
    return [
        Stock(
            carrier,
            rows[-1]["quantity"],
            rows[-1]["taken_at"],
            rows[0]["quantity"],
            rows[0]["taken_at"],
            plots.stock(rows),
        )
        for carrier, rows in found.items()
    ]


async def _read_alarms(board: Board, ledger: Ledger) -> tuple[Sequence[Row], Sequence[Row]]:
    """Return the active alarms, and those that were put away lately."""
    active = await board.read(ledger.alarms.active(SHOWN + 1))
    return active, await board.read(ledger.alarms.cleared(_DAY, SHOWN))


async def _read_past(board: Board, ledger: Ledger, since: timedelta, width: timedelta) -> Past:
    ends, times, now = await asyncio.gather(
        board.read(ledger.board.ends(since, width)),
        board.read(ledger.board.times_to_end(since, width)),
        board.read(ledger.now()),
    )
    spans = plots.spans_of(now, since, width)
    latest = max(times, key=lambda row: row["began_at"], default=None)
    return Past(
        sum(row["orders"] for row in ends),
        plots.throughput(ends, spans),
        plots.time_to_end(times, spans),
        None if latest is None else latest["median_s"],
    )
