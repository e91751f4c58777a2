"""The statements of `sql/schedule.sql`, and what an observer of a simulated world asks of the schedule."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from math import floor
from typing import Final
from uuid import UUID

from number_orders.orders.model import Lane
from number_orders.simulation.statements.breakers import ramp_spacing
from number_orders.simulation.statements.guard import guarded_since
from number_orders.simulation.statements.limits import spacing_now
from number_orders.simulation.statements.notices import next_match
from number_orders.simulation.statements.registry import Params, statement
from number_orders.simulation.statements.webhooks import documents, webhook_is_due
from number_orders.simulation.tables import Row, Tables

_AHEAD: Final = (timedelta(seconds=0.5), timedelta(seconds=1.25))
_AHEAD_SLOTS: Final = 5
_EVER: Final = datetime.min.replace(tzinfo=UTC)

# Claims


@dataclass(frozen=True, slots=True)
class _Available:
    """How many orders of one kind may be taken, and from when on its limit group has rate slots."""

    limit_group: str | None
    orders: int
    spacing: timedelta | None = None
    first_slot_at: datetime | None = None


@statement
def claim(tables: Tables, p: Params) -> list[Row]:
    """Lease work that is due on a lane and may be worked on now."""
    return [row | {"reached": None} for row in _leased(tables, p, since=None)]


@statement
def claim_unlimited(tables: Tables, p: Params) -> list[Row]:
    """Do the same where nothing is limited, paused or failing; take nothing elsewhere."""
    unlimited = _is_unlimited(tables, p["carrier"], p["lane"])
    taken = _leased(tables, p, since=p["since"]) if unlimited else []
    return [{**row, "unlimited": unlimited} for row in taken or [{"order_id": None}]]


def _leased(tables: Tables, p: Params, *, since: datetime | None) -> list[Row]:
    now, breaker = tables.clock(), tables.breaker(p["carrier"], p["lane"])
    allowed = _allowed(tables, p, breaker)
    taken = list(_with_slots(tables, p, since, allowed, ramp_spacing(breaker, now)))[:allowed]
    reached = max((row["not_before"] for row, _, _ in taken), default=None)
    for row, available, rate_slot_at in taken:
        row.update(not_before=now + p["lease"], lease_token=p["token"], attempts=row["attempts"] + 1, serial_key=None)
        if rate_slot_at is not None and available.spacing is not None:
            tables.budgets[row["carrier"], available.limit_group or ""]["next_at"] = rate_slot_at + available.spacing
    is_open, recovering = bool(breaker and breaker["held_until"]), bool(breaker and breaker["faults"])
    if breaker is not None and is_open and taken:
        breaker.update(probe_token=p["token"], probe_until=now + p["probe"])
    same: Row = {"now": now, "clock": now, "recovering": is_open or recovering, "reached": reached}
    same["guarded_since"] = guarded_since(tables) if p["lane"] == Lane.SUBMIT else None
    return [
        {**tables.orders[row["order_id"]], **same}
        | {"attempts": row["attempts"], "confirmed": row["confirmed"], "generation": row["turn"]}
        | {"limit_group": available.limit_group, "rate_slot_at": rate_slot_at}
        for row, available, rate_slot_at in taken
    ]


def _is_recognised(tables: Tables, lane: str) -> bool:
    """Return whether the ledger was looked at since it may have fallen back in time. No carrier is asked before."""
    return lane == Lane.TELL or tables.guard["identity"] == tables.ledger_identity


def _is_unlimited(tables: Tables, carrier: str, lane: str) -> bool:
    now, breaker = tables.clock(), tables.breaker(carrier, lane)
    if not _is_recognised(tables, lane):
        return False
    groups = {
        group for (owner, its_lane, _), group in tables.limit_groups.items() if (owner, its_lane) == (carrier, lane)
    }
    budgets = [tables.budgets[carrier, group] for group in groups]
    is_limited = any(row["spacing"] or (row["paused_until"] and row["paused_until"] > now) for row in budgets)
    is_failing = breaker is not None and (breaker["held_until"] or breaker["faults"] or ramp_spacing(breaker, now))
    return not (tables.pause(carrier, lane) or is_limited or is_failing)


def _allowed(tables: Tables, p: Params, breaker: Row | None) -> int:
    """Return how many orders may be taken at most: while the breaker is open the probe, and nothing beside it."""
    if tables.pause(p["carrier"], p["lane"]) or not _is_recognised(tables, p["lane"]):
        return 0
    if breaker is None or breaker["held_until"] is None:
        return int(p["limit"])
    now = tables.clock()
    free = breaker["probe_until"] is None or breaker["probe_until"] <= now
    return 1 if free and breaker["held_until"] <= now else 0


def _with_slots(
    tables: Tables, p: Params, since: datetime | None, allowed: int, ramp: timedelta | None
) -> Iterator[tuple[Row, _Available, datetime | None]]:
    """Yield the work that is due, the oldest first, each with its rate slot, as far as there are slots."""
    taken: Counter[str | None] = Counter()
    by_kind: dict[str, _Available] = {}
    for row in _due(tables, p["carrier"], p["lane"], since):
        if row["kind"] not in by_kind:
            by_kind[row["kind"]] = _available(tables, row, allowed, ramp)
        available = by_kind[row["kind"]]
        before = taken[available.limit_group]
        if before < available.orders:
            taken[available.limit_group] += 1
            spacing, first_slot_at = available.spacing, available.first_slot_at
            yield row, available, first_slot_at + spacing * before if first_slot_at and spacing else None


def _due(tables: Tables, carrier: str, lane: Lane, since: datetime | None) -> list[Row]:
    now, since = tables.clock(), since or _EVER
    on_lane = (row for row in tables.owed.values() if (row["carrier"], row["lane"]) == (carrier, lane))
    due = (row for row in on_lane if since <= row["not_before"] <= now)
    return sorted(due, key=lambda row: (row["not_before"], row["order_id"]))


def _available(tables: Tables, work_item: Row, allowed: int, ramp: timedelta | None) -> _Available:
    now, budget = tables.clock(), tables.budget(work_item)
    if budget is None:
        return _Available(None, allowed)
    group = budget["limit_group"]
    if budget["paused_until"] and budget["paused_until"] > now:
        return _Available(group, 0)
    spacing, first_slot_at = spacing_now(budget, ramp), max(budget["next_at"], now)
    if spacing is None:
        return _Available(group, allowed)
    least, most = _AHEAD
    ahead = max(least, min(most, _AHEAD_SLOTS * spacing))
    slots = max(0, 1 + floor((now - first_slot_at + ahead) / spacing))
    return _Available(group, min(allowed, slots), spacing, first_slot_at)


@statement
def postpone(tables: Tables, p: Params) -> list[Row]:
    """Give claims back, due later."""
    for later in p["later"]:
        row = claimed_item(tables, UUID(later["order_id"]), p["lane"], p["token"])
        if row is not None:
            due_at = datetime.fromisoformat(later["not_before"])
            row.update(not_before=due_at, lease_token=None, reason=later["reason"] or row["reason"])
            row["confirmed"] += later["confirms"]
    return []


@statement
def put_off(tables: Tables, p: Params) -> list[Row]:
    """Give claims back, due later, as if they had not been made."""
    for later in p["later"]:
        row = claimed_item(tables, UUID(later["order_id"]), p["lane"], p["token"])
        if row is not None:
            answered = _is_answered(tables, row["order_id"])
            due_at = tables.clock() if answered else datetime.fromisoformat(later["not_before"])
            row.update(not_before=due_at, lease_token=None, reason=later["reason"], attempts=row["attempts"] - 1)
    return []


def _is_answered(tables: Tables, order_id: UUID) -> bool:
    """Return whether a whole reading answers a question of an order."""
    questions = [row for row in tables.list_questions.values() if row["order_id"] == order_id]
    whole = [row for row in tables.readings.values() if row["whole_at"] is not None]
    return any(
        (row["carrier"], row["list_name"]) == (question["carrier"], question["list_name"])
        and row["began_at"] > question["asked_at"]
        for question in questions
        for row in whole
    )


@statement
def release(tables: Tables, p: Params) -> list[Row]:
    """Give claims back, as if they had not been made."""
    for order_id in p["order_ids"]:
        row = claimed_item(tables, order_id, p["lane"], p["token"])
        if row is not None:
            row.update(not_before=tables.clock(), lease_token=None, attempts=row["attempts"] - 1)
    return []


def claimed_item(tables: Tables, order_id: UUID, lane: str, token: UUID) -> Row | None:
    """Return a work item, if this claim still has it."""
    row = tables.owed.get((order_id, lane))
    return row if row is not None and row["lease_token"] == token else None


# Lanes


@statement
def open_lanes(tables: Tables, p: Params) -> list[Row]:
    """Add lanes to those that the sweep looks at."""
    for carrier, lane in product(p["carriers"], p["lanes"]):
        tables.lanes.setdefault((carrier, str(lane)), {"carrier": carrier, "lane": str(lane)})
    return []


@statement
def due_lanes(tables: Tables, p: Params) -> list[Row]:
    """Return the lanes with due work that may be claimed."""
    now = tables.clock()
    due = (row for row in tables.owed.values() if row["not_before"] <= now and not _is_limit_paused(tables, row))
    lanes = {(row["carrier"], row["lane"]) for row in due}
    readings = (row for row in tables.readings.values() if row["whole_at"] is None and row["not_before"] <= now)
    lanes |= {(row["carrier"], Lane.ASK.value) for row in readings if may_be_read(tables, row["carrier"])}
    due_now = [dict(row) for key, row in tables.lanes.items() if key in lanes and _may_be_claimed(tables, *key)]
    return due_now + ([{"carrier": "webhooks", "lane": Lane.TELL.value}] if webhook_is_due(tables) else [])


def _is_limit_paused(tables: Tables, work_item: Row) -> bool:
    until = (tables.budget(work_item) or {}).get("paused_until")
    return until is not None and until > tables.clock()


def _may_be_claimed(tables: Tables, carrier: str, lane: str) -> bool:
    now, breaker = tables.clock(), tables.breaker(carrier, lane)
    if tables.pause(carrier, lane):
        return False
    if breaker is None or breaker["held_until"] is None:
        return True
    return bool(breaker["held_until"] <= now and not (breaker["probe_until"] and breaker["probe_until"] > now))


def may_be_read(tables: Tables, carrier: str) -> bool:
    """Return whether lists of a carrier may be read now. While the breaker is open, one page may be the probe."""
    now, breaker = tables.clock(), tables.breaker(carrier, Lane.ASK)
    limits = {group for (owner, lane, _), group in tables.limit_groups.items() if (owner, lane) == (carrier, Lane.ASK)}
    pauses = (tables.budgets[carrier, group]["paused_until"] for group in limits)
    is_limited = any(until is not None and until > now for until in pauses)
    is_held = any(until > now for until in _breaker_holds(breaker))
    return not (tables.pause(carrier, Lane.ASK) or is_held or is_limited)


def _breaker_holds(breaker: Row | None) -> list[datetime]:
    """Return until when an open breaker lets nothing out: its hold, and the probe that is under way."""
    is_open = breaker is not None and breaker["held_until"] is not None
    return [*filter(None, (breaker["held_until"], breaker["probe_until"]))] if breaker and is_open else []


@statement
def carriers(tables: Tables, p: Params) -> list[Row]:
    """Return the lanes that were ever opened, by carrier."""
    names = sorted({carrier for carrier, _ in tables.lanes})
    return [{"carrier": name, "lanes": sorted(lane for owner, lane in tables.lanes if owner == name)} for name in names]


# Work items


@statement
def work_items_of(tables: Tables, p: Params) -> list[Row]:
    """Return the work items of orders, each with everything that keeps it from being claimed."""
    rows = [row for order_id in p["order_ids"] for row in tables.work_items(order_id)]
    return [
        {"now": tables.clock(), **row, **_holds(tables, row), **_list_wait(tables, row)}
        for row in sorted(rows, key=_due_at)
    ]


def _list_wait(tables: Tables, work_item: Row) -> Row:
    """Return the list that a work item waits for, and how far its reading has come."""
    questions = [row for row in tables.list_questions.values() if row["order_id"] == work_item["order_id"]]
    waits = work_item["lane"] in {Lane.SUBMIT, Lane.ASK} and work_item["lease_token"] is None
    if not (questions and waits and work_item["not_before"] > tables.clock()):
        return {"list_name": None, "list_pages": None, "list_trouble": None}
    question = max(questions, key=lambda row: row["asked_at"])
    here = (question["carrier"], question["list_name"])
    readings = (row for row in tables.readings.values() if (row["carrier"], row["list_name"]) == here)
    reading: Row = next((row for row in readings if row["whole_at"] is None), {"pages": 0, "trouble": None})
    return {"list_name": here[1], "list_pages": reading["pages"], "list_trouble": reading["trouble"]}


def _due_at(row: Row) -> datetime:
    due_at: datetime = row["not_before"]
    return due_at


def _holds(tables: Tables, work_item: Row) -> Row:
    pause = tables.pause(work_item["carrier"], work_item["lane"]) or {}
    breaker = tables.breaker(work_item["carrier"], work_item["lane"]) or {}
    opened = breaker if breaker.get("held_until") else {}
    limit = tables.budget(work_item) or {}
    row: Row = {
        "paused_at": pause.get("paused_at"),
        "paused_by": pause.get("paused_by"),
        "paused_why": pause.get("why"),
    }
    row |= {"opened_at": opened.get("opened_at"), "held_until": opened.get("held_until"), "held_why": opened.get("why")}
    row |= {"limit_group": limit.get("limit_group"), "limited_until": limit.get("paused_until")}
    return row | {"limited_why": limit.get("why")}


@statement
def waiting_at(tables: Tables, p: Params) -> list[Row]:
    """Return a page of the orders at one carrier that are due later."""
    waiting = {
        row["order_id"]
        for row in tables.owed.values()
        if row["carrier"] == p["carrier"]
        and p["lane"] in {None, row["lane"]}
        and row["not_before"] > tables.clock()
        and row["lease_token"] is None
        and row["serial_key"] is None
    }
    if p["lane"] in {None, Lane.TELL}:
        at_carrier = (order_id for order_id, row in tables.orders.items() if row["carrier"] == p["carrier"])
        waiting |= {
            row["order_id"]
            for row in documents(tables, at_carrier)
            if row["gave_up_at"] or _waits_to_be_sent(tables, row)
        }
    waiting = {order_id for order_id in waiting if p["after"] is None or order_id > p["after"]}
    return [{"order_id": order_id} for order_id in sorted(waiting)[: p["limit"]]]


def _waits_to_be_sent(tables: Tables, message: Row) -> bool:
    delivery = tables.webhook_deliveries.get(message["order_id"])
    return delivery is not None and delivery["lease_token"] is None and delivery["not_before"] > tables.clock()


# For the observer of a simulated world; no statements


def next_due(tables: Tables) -> datetime | None:
    """Return the earliest moment at which the sweep could find anything."""
    items = (row for row in tables.owed.values() if not tables.pause(row["carrier"], row["lane"]))
    # A reading that may not be read now is looked at when the breaker's hold or the limit's pause is over.
    readings = [row for row in tables.readings.values() if row["whole_at"] is None]
    pauses = [row["paused_until"] for row in tables.budgets.values() if row["paused_until"]]
    moments = [_claimed_from(tables, row) for row in items]
    moments += [row["not_before"] for row in readings if may_be_read(tables, row["carrier"])]
    holds = [until for row in readings for until in _breaker_holds(tables.breaker(row["carrier"], Lane.ASK))]
    moments += [until for until in holds if until > tables.clock()]
    moments += [until for until in pauses if tables.readings and until > tables.clock()]
    moments += filter(None, [next_match(tables)])
    return min(moments, default=None)


def _claimed_from(tables: Tables, work_item: Row) -> datetime:
    """Return from when on a work item may be claimed, as far as it is known now."""
    limit, breaker = tables.budget(work_item) or {}, tables.breaker(work_item["carrier"], work_item["lane"]) or {}
    holds = (breaker["held_until"], breaker["probe_until"]) if breaker.get("held_until") else ()
    moments: list[datetime] = [work_item["not_before"], *filter(None, (limit.get("paused_until"), *holds))]
    return max(moments)


def next_steps(tables: Tables, order_id: UUID) -> list[Row]:
    """Return the work items of an order on the lanes submit and ask."""
    return [row for row in tables.work_items(order_id) if row["lane"] != Lane.TELL]
