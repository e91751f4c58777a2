"""The ledger's statements about lanes, limits, breakers and pauses, in memory. See `simulation.statements.orders`."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Final

from number_orders.simulation.statements.orders import Params, statement
from number_orders.simulation.tables import Row, Tables

_NEVER_DRAWN: Final = datetime(1970, 1, 1, tzinfo=UTC)
_JUST_BACK: Final = timedelta(minutes=1)
_DOUBLINGS: Final = 20
_EASED: Final = timedelta(seconds=16)
_FIRST_SPACING_S: Final = 0.25
_HALVED_EVERY_S: Final = 2.0

# Lanes


@statement
def open_lanes(tables: Tables, p: Params) -> list[Row]:
    """Have the sweep look at lanes."""
    for carrier, lane in product(p["carriers"], p["lanes"]):
        tables.lanes.setdefault((carrier, str(lane)), {"carrier": carrier, "lane": str(lane)})
    return []


@statement
def carriers(tables: Tables, p: Params) -> list[Row]:
    """Return the lanes that were ever opened, by carrier."""
    names = sorted({carrier for carrier, _ in tables.lanes})
    return [{"carrier": name, "lanes": sorted(lane for owner, lane in tables.lanes if owner == name)} for name in names]


@statement
def due_lanes(tables: Tables, p: Params) -> list[Row]:
    """Return lanes on which something is due, and may be taken."""
    now = tables.clock()
    due = (row for row in tables.owed.values() if row["not_before"] <= now and not _is_limited(tables, row))
    waiting = {(row["carrier"], row["lane"]) for row in due}
    return [dict(row) for key, row in tables.lanes.items() if key in waiting and _is_open(tables, *key)]


def _is_limited(tables: Tables, work_item: Row) -> bool:
    until = (tables.budget(work_item) or {}).get("paused_until")
    return until is not None and until > tables.clock()


def _is_open(tables: Tables, carrier: str, lane: str) -> bool:
    now, breaker = tables.clock(), tables.breaker(carrier, lane)
    if tables.pause(carrier, lane):
        return False
    if breaker is None or breaker["held_until"] is None:
        return True
    return bool(breaker["held_until"] <= now and not (breaker["probe_until"] and breaker["probe_until"] > now))


# Limits


@statement
def set_limits(tables: Tables, p: Params) -> list[Row]:
    """Say what a carrier limits. What it has paused stays paused."""
    carrier = p["carrier"]
    tables.breakers.setdefault(carrier, _closed(carrier))
    for given in p["limits"]:
        key = (carrier, given["limit_group"])
        row = tables.budgets.setdefault(
            key, {"carrier": carrier, "next_at": _NEVER_DRAWN, "paused_until": None, "why": None}
        )
        spacing = None if given["spacing_s"] is None else timedelta(seconds=given["spacing_s"])
        row.update(limit_group=given["limit_group"], per_second=given["per_second"], spacing=spacing)
    for draw in [draw for draw in tables.draws if draw[0] == carrier]:
        del tables.draws[draw]
    tables.draws.update({(carrier, given["lane"], given["kind"]): given["limit_group"] for given in p["draws"]})
    return []


def _closed(carrier: str) -> Row:
    row: Row = dict.fromkeys(("why", "held_until", "opened_at", "probe_token", "probe_until", "closed_at"))
    return row | {"carrier": carrier, "faults": 0, "holds": 0}


@statement
def take_rate_slot(tables: Tables, p: Params) -> list[Row]:
    """Hand one more place out, where there is a rate, or the carrier is just back."""
    now, row = tables.clock(), tables.budgets.get((p["carrier"], p["limit_group"]))
    spacing = row and spacing_of(row, easing_of(tables.breakers.get(p["carrier"]), now))
    if not row or not spacing:
        return []
    rate_slot_at = max(row["next_at"], now)
    row["next_at"] = rate_slot_at + spacing
    return [{"rate_slot_at": rate_slot_at, "clock": now, "paused_until": row["paused_until"]}]


def spacing_of(budget: Row, easing: timedelta | None) -> timedelta | None:
    """Return how far apart a limit's places lie at this moment, if there are any."""
    return max((spacing for spacing in (budget["spacing"], easing) if spacing), default=None)


@statement
def pause_limit(tables: Tables, p: Params) -> list[Row]:
    """Let nothing be taken that draws on a limit; the longer pause wins."""
    row = tables.budgets.get((p["carrier"], p["limit_group"]))
    if row is not None and (row["paused_until"] is None or row["paused_until"] < p["until"]):
        row.update(paused_until=p["until"], why=p["why"])
    return []


# Carriers out of reach


@statement
def count_faults(tables: Tables, p: Params) -> list[Row]:
    """Count faults in a row. While the carrier is held only the probe's word counts."""
    row, now = tables.breakers.get(p["carrier"]), tables.clock()
    if row is None or not _is_heard(row, p):
        return []
    was_held = row["held_until"] is not None
    row.update(faults=row["faults"] + p["faults"], why=p["why"], probe_token=None, probe_until=None)
    if was_held or row["faults"] >= p["faults_max"]:
        again = was_held or (row["closed_at"] is not None and row["closed_at"] > now - _JUST_BACK)
        row["holds"] = row["holds"] + 1 if again else 0
        held_for = min(p["hold_max"], p["hold_first"] * 2 ** min(row["holds"], _DOUBLINGS))
        row.update(held_until=now + held_for, opened_at=row["opened_at"] if was_held else now)
    return [{"held_until": row["held_until"], "faults": row["faults"]}]


def _is_heard(breaker: Row, p: Params) -> bool:
    return breaker["held_until"] is None or breaker["probe_token"] in p["tokens"]


def easing_of(breaker: Row | None, now: datetime) -> timedelta | None:
    """Return how far apart the places of a carrier lie that is just back."""
    closed_at = breaker and breaker["closed_at"]
    if not closed_at or now - closed_at >= _EASED:
        return None
    return timedelta(seconds=_FIRST_SPACING_S * 0.5 ** ((now - closed_at).total_seconds() / _HALVED_EVERY_S))


@statement
def return_probe(tables: Tables, p: Params) -> list[Row]:
    """Let another be the probe."""
    row = tables.breakers.get(p["carrier"])
    if row is not None and row["probe_token"] == p["token"]:
        row.update(probe_token=None, probe_until=None)
    return []


@statement
def reset_breaker(tables: Tables, p: Params) -> list[Row]:
    """Count nothing any more. While the carrier is held only the probe's answer opens the way."""
    row = tables.breakers.get(p["carrier"])
    if row is not None and _is_heard(row, p):
        closed_at = row["closed_at"] if row["held_until"] is None else tables.clock()
        row.update(faults=0, probe_token=None, probe_until=None, held_until=None, closed_at=closed_at)
    return []


# People's pauses


@statement
def pause_lanes(tables: Tables, p: Params) -> list[Row]:
    """Pause lanes; those that are paused already stay as they were."""
    lanes = [lane for lane in map(str, p["lanes"]) if (p["carrier"], lane) in tables.lanes]
    new = [_new_pause(tables, p, lane) for lane in lanes if not tables.pause(p["carrier"], lane)]
    tables.pauses += new
    return [dict(row) for row in new]


def _new_pause(tables: Tables, p: Params, lane: str) -> Row:
    row: Row = {"pause_id": tables.identity(), "carrier": p["carrier"], "lane": lane, "paused_at": tables.clock()}
    row |= {"paused_by": p["by"], "why": p["why"]}
    return row | dict.fromkeys(("resumed_at", "resumed_by", "resumed_why"))


@statement
def resume_lanes(tables: Tables, p: Params) -> list[Row]:
    """Let lanes go on."""
    ended = [row for lane in p["lanes"] if (row := tables.pause(p["carrier"], str(lane)))]
    for row in ended:
        row.update(resumed_at=tables.clock(), resumed_by=p["by"], resumed_why=p["why"])
    return [dict(row) for row in ended]


@statement
def holds(tables: Tables, p: Params) -> list[Row]:
    """Return all that holds work back at this moment."""
    standing = (*_people(tables), *_breakers(tables), *_limits(tables))
    return [{"now": tables.clock(), **row} for row in sorted(standing, key=_in_order)]


def _people(tables: Tables) -> Iterator[Row]:
    for row in tables.pauses:
        if row["resumed_at"] is None:
            yield _hold(row, "person", lane=row["lane"], since=row["paused_at"], who=row["paused_by"])


def _breakers(tables: Tables) -> Iterator[Row]:
    for row in tables.breakers.values():
        if row["held_until"] is not None:
            yield _hold(row, "breaker", since=row["opened_at"], until=row["held_until"])


def _limits(tables: Tables) -> Iterator[Row]:
    for row in tables.budgets.values():
        if row["paused_until"] is not None and row["paused_until"] > tables.clock():
            yield _hold(row, "limit", limit_group=row["limit_group"], until=row["paused_until"])


def _hold(row: Row, held_by: str, **known: Any) -> Row:
    nothing = dict.fromkeys(("lane", "limit_group", "since", "until", "who"))
    return {**nothing, "carrier": row["carrier"], "held_by": held_by, "why": row["why"], **known}


def _in_order(row: Row) -> tuple[str, ...]:
    return (row["carrier"], row["held_by"], row["lane"] or "~", row["limit_group"] or "~")
