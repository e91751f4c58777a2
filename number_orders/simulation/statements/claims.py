"""The ledger's claims, in memory: who may take how much of what is due. See `simulation.statements.orders`."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import floor
from typing import Final

from number_orders.orders.model import Lane
from number_orders.simulation.statements.limits import easing_of, spacing_of
from number_orders.simulation.statements.orders import Params, statement
from number_orders.simulation.tables import Row, Tables

_AHEAD: Final = (timedelta(seconds=0.5), timedelta(seconds=1.25))
_AHEAD_PLACES: Final = 5
_EVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Source:
    """What may be taken of one kind of order."""

    group: str | None
    room: int
    spacing: timedelta | None = None
    from_at: datetime | None = None


@statement
def claim(tables: Tables, p: Params) -> list[Row]:
    """Lend out what is due on a lane, and may be worked on now."""
    return [row | {"reached": None} for row in _lent(tables, p, since=None)]


def _lent(tables: Tables, p: Params, *, since: datetime | None) -> list[Row]:
    now, breaker = tables.clock(), tables.breaker(p["carrier"], p["lane"])
    allowed = _allowed(tables, p, breaker)
    taken = list(_placed(tables, p, since, allowed, easing_of(breaker, now)))[:allowed]
    reached = max((row["not_before"] for row, _, _ in taken), default=None)
    for row, source, rate_slot_at in taken:
        row.update(not_before=now + p["lease"], lease_token=p["token"], attempts=row["attempts"] + 1, serial_key=None)
        if rate_slot_at is not None and source.spacing is not None:
            tables.budgets[row["carrier"], source.group or ""]["next_at"] = rate_slot_at + source.spacing
    is_held, recovering = bool(breaker and breaker["held_until"]), bool(breaker and breaker["faults"])
    if breaker is not None and is_held and taken:
        breaker.update(probe_token=p["token"], probe_until=now + p["probe"])
    same: Row = {"now": now, "clock": now, "recovering": is_held or recovering, "reached": reached}
    return [
        {**tables.orders[row["order_id"]], **same, "attempts": row["attempts"], "generation": row["turn"]}
        | {"limit_group": source.group, "rate_slot_at": rate_slot_at}
        for row, source, rate_slot_at in taken
    ]


@statement
def claim_unlimited(tables: Tables, p: Params) -> list[Row]:
    """Do the same where nothing is limited, paused, held or doubted; elsewhere nothing."""
    plain = _is_plain(tables, p["carrier"], p["lane"])
    taken = _lent(tables, p, since=p["since"]) if plain else []
    return [{**row, "plain": plain} for row in taken or [{"order_id": None}]]


def _is_plain(tables: Tables, carrier: str, lane: str) -> bool:
    now, breaker = tables.clock(), tables.breaker(carrier, lane)
    groups = {group for (owner, drawing, _), group in tables.draws.items() if (owner, drawing) == (carrier, lane)}
    budgets = [tables.budgets[carrier, group] for group in groups]
    is_limited = any(row["spacing"] or (row["paused_until"] and row["paused_until"] > now) for row in budgets)
    is_doubted = breaker is not None and (breaker["held_until"] or breaker["faults"] or easing_of(breaker, now))
    return not (tables.pause(carrier, lane) or is_limited or is_doubted)


def _allowed(tables: Tables, p: Params, breaker: Row | None) -> int:
    """Return how many orders may be taken at most: of a carrier that is held the probe, and nothing beside it."""
    if tables.pause(p["carrier"], p["lane"]):
        return 0
    if breaker is None or breaker["held_until"] is None:
        return int(p["limit"])
    now = tables.clock()
    free = breaker["probe_until"] is None or breaker["probe_until"] <= now
    return 1 if free and breaker["held_until"] <= now else 0


def _placed(
    tables: Tables, p: Params, since: datetime | None, allowed: int, easing: timedelta | None
) -> Iterator[tuple[Row, _Source, datetime | None]]:
    """Return what is due, the oldest first, each with its place, as far as there are places."""
    drawn: Counter[str | None] = Counter()
    sources: dict[str, _Source] = {}
    for row in _due(tables, p["carrier"], p["lane"], since):
        if row["kind"] not in sources:
            sources[row["kind"]] = _source(tables, row, allowed, easing)
        source = sources[row["kind"]]
        place = drawn[source.group]
        if place < source.room:
            drawn[source.group] += 1
            at = source.from_at + source.spacing * place if source.from_at and source.spacing else None
            yield row, source, at


def _due(tables: Tables, carrier: str, lane: Lane, since: datetime | None) -> list[Row]:
    now, since = tables.clock(), since or _EVER
    due = (row for row in tables.owed.values() if (row["carrier"], row["lane"]) == (carrier, lane))
    return sorted(
        (row for row in due if since <= row["not_before"] <= now), key=lambda row: (row["not_before"], row["order_id"])
    )


def _source(tables: Tables, work_item: Row, allowed: int, easing: timedelta | None) -> _Source:
    now, budget = tables.clock(), tables.budget(work_item)
    if budget is None:
        return _Source(None, allowed)
    group = budget["limit_group"]
    if budget["paused_until"] and budget["paused_until"] > now:
        return _Source(group, 0)
    spacing, from_at = spacing_of(budget, easing), max(budget["next_at"], now)
    if spacing is None:
        return _Source(group, allowed)
    least, most = _AHEAD
    ahead = max(least, min(most, _AHEAD_PLACES * spacing))
    room = max(0, 1 + floor((now - from_at + ahead) / spacing))
    return _Source(group, min(allowed, room), spacing, from_at)
