"""The statements of `sql/pauses.sql`."""

from collections.abc import Iterator
from typing import Any

from number_orders.simulation.statements.registry import Params, statement
from number_orders.simulation.tables import Row, Tables


@statement
def pause_lanes(tables: Tables, p: Params) -> list[Row]:
    """Pause lanes. A lane that is paused already keeps its first pause."""
    lanes = [lane for lane in map(str, p["lanes"]) if (p["carrier"], lane) in tables.lanes]
    free = [lane for lane in lanes if not tables.pause(p["carrier"], lane) and not _was_paused_since(tables, p, lane)]
    new = [_new_pause(tables, p, lane) for lane in free]
    tables.pauses += new
    return [dict(row) for row in new]


def _was_paused_since(tables: Tables, p: Params, lane: str) -> bool:
    ids = (row["pause_id"] for row in tables.pauses if (row["carrier"], row["lane"]) == (p["carrier"], lane))
    return p["after"] is not None and max(ids, default=0) > int(p["after"])


def _new_pause(tables: Tables, p: Params, lane: str) -> Row:
    row: Row = {"pause_id": tables.identity(), "carrier": p["carrier"], "lane": lane, "paused_at": tables.clock()}
    row |= {"paused_by": p["by"], "why": p["why"]}
    return row | dict.fromkeys(("resumed_at", "resumed_by", "resumed_why"))


@statement
def resume_lanes(tables: Tables, p: Params) -> list[Row]:
    """End the pauses of lanes."""
    paused = [row for lane in p["lanes"] if (row := tables.pause(p["carrier"], str(lane)))]
    ended = [row for row in paused if p["pause_id"] in {None, row["pause_id"]}]
    for row in ended:
        row.update(resumed_at=tables.clock(), resumed_by=p["by"], resumed_why=p["why"])
    return [dict(row) for row in ended]


@statement
def latest_pause(tables: Tables, p: Params) -> list[Row]:
    """Return the last pause of a lane, over or not."""
    of_lane = [row for row in tables.pauses if (row["carrier"], row["lane"]) == (p["carrier"], p["lane"])]
    return [dict(row) for row in of_lane[-1:]]


@statement
def holds(tables: Tables, p: Params) -> list[Row]:
    """Return everything that keeps due work from being claimed now."""
    in_force = (*_pauses(tables), *_open_breakers(tables), *_paused_limits(tables))
    return [{"now": tables.clock(), **row} for row in sorted(in_force, key=_in_order)]


def _pauses(tables: Tables) -> Iterator[Row]:
    for row in tables.pauses:
        if row["resumed_at"] is None:
            yield _hold(row, "person", lane=row["lane"], since=row["paused_at"], who=row["paused_by"])


def _open_breakers(tables: Tables) -> Iterator[Row]:
    for row in tables.breakers.values():
        if row["held_until"] is not None:
            yield _hold(row, "breaker", since=row["opened_at"], until=row["held_until"])


def _paused_limits(tables: Tables) -> Iterator[Row]:
    for row in tables.budgets.values():
        if row["paused_until"] is not None and row["paused_until"] > tables.clock():
            yield _hold(row, "limit", limit_group=row["limit_group"], until=row["paused_until"])


def _hold(row: Row, held_by: str, **known: Any) -> Row:
    nothing = dict.fromkeys(("lane", "limit_group", "since", "until", "who"))
    return {**nothing, "carrier": row["carrier"], "held_by": held_by, "why": row["why"], **known}


def _in_order(row: Row) -> tuple[str, ...]:
    return (row["carrier"], row["held_by"], row["lane"] or "~", row["limit_group"] or "~")
