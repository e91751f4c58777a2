"""The statements of `sql/readings.sql`."""

from datetime import datetime, timedelta
from typing import Final

from number_orders.orders.model import Lane, State
from number_orders.simulation.statements.registry import Params, statement
from number_orders.simulation.statements.schedule import may_be_read
from number_orders.simulation.tables import Row, Tables

_FORGOTTEN_AFTER: Final = timedelta(days=1)
_ASLEEP: Final = frozenset({State.SUBMITTING, State.IN_DOUBT})
"""Orders in these states are due at their own time."""


@statement
def put_question(tables: Tables, p: Params) -> list[Row]:
    """Note a question, unless it waits already, and make a reading if none answers it."""
    if p["order_id"] not in tables.orders:
        return []
    now, key = tables.clock(), (p["order_id"], p["list_name"], p["question"])
    question = tables.list_questions.setdefault(key, {**p, "asked_at": now})
    whole = [row for row in _readings(tables, p) if row["whole_at"] is not None]
    answering = max((row for row in whole if row["began_at"] > question["asked_at"]), key=_began_at, default=None)
    under_way = _under_way(tables, p)
    if answering is None and under_way is None:
        _make_reading(tables, p, now + p["begins_after"])
    last = max(whole, key=_began_at, default=None)
    # As in PostgreSQL, a reading that this statement makes is not seen by it.
    return [
        {
            "now": now,
            "reading_id": answering and answering["reading_id"],
            "pages": under_way and under_way["pages"],
            "trouble": under_way and under_way["trouble"],
            "lasted": last and last["whole_at"] - last["began_at"],
        }
    ]


@statement
def find_in_reading(tables: Tables, p: Params) -> list[Row]:
    """Return what a whole reading has of some numbers; the first row has only its time."""
    reading = tables.readings.get(p["reading_id"])
    if reading is None or reading["whole_at"] is None:
        return []
    tables.list_questions.pop((p["order_id"], p["list_name"], p["question"]), None)
    asked, since = set(p["numbers"]), p["since"]
    shown = (
        row
        for row in reading["numbers"].values()
        if row["e164"] in asked or (since is not None and row["inserted_at"] >= since)
    )
    return [{"began_at": reading["began_at"], **row} for row in ({"e164": None}, *shown)]


@statement
def lease_reading(tables: Tables, p: Params) -> list[Row]:
    """Lease one reading that is due, if lists of the carrier may be read now; delete those that nobody waits for."""
    now = tables.clock()
    wanted = {_list(question) for question in tables.list_questions.values() if _is_wanted(tables, question)}
    due = [
        row
        for row in tables.readings.values()
        if row["carrier"] == p["carrier"] and row["whole_at"] is None and row["not_before"] <= now
    ]
    for unwanted in [row for row in due if _list(row) not in wanted]:
        del tables.readings[unwanted["reading_id"]]
        due.remove(unwanted)
    if not due or not may_be_read(tables, p["carrier"]):
        return []
    row = min(due, key=lambda row: (row["not_before"], row["reading_id"]))
    row.update(not_before=now + p["lease"], lease_token=p["token"], began_at=row["began_at"] or now)
    breaker = tables.breaker(p["carrier"], Lane.ASK)
    is_open = breaker is not None and breaker["held_until"] is not None
    if breaker is not None and is_open:
        breaker.update(probe_token=p["token"], probe_until=now + p["probe"])
    return [{**row, "probe_at": now if is_open else None}]


@statement
def add_page(tables: Tables, p: Params) -> list[Row]:
    """Add one page to a leased reading. If it was the last, make due what waits, and make the next reading."""
    reading = _leased(tables, p)
    if reading is None or reading["cursor"] != p["cursor"]:
        return []
    now = tables.clock()
    reading.update(cursor=p["after"], pages=reading["pages"] + 1, faults=0, trouble=None, not_before=now + p["lease"])
    for given in p["numbers"]:
        number = {**given, "inserted_at": datetime.fromisoformat(given["inserted_at"])}
        before = reading["numbers"].setdefault(number["e164"], number)
        if before["inserted_at"] <= number["inserted_at"]:
            reading["numbers"][number["e164"]] = number
    if p["after"] is None:
        reading.update(whole_at=now, lease_token=None)
        _close(tables, reading, p["begins_after"])
    return [{"pages": reading["pages"], "whole": p["after"] is None}]


def _close(tables: Tables, reading: Row, begins_after: timedelta) -> None:
    """Make due what a whole reading answers, delete the older one, and make the next for later questions."""
    for older in _readings(tables, reading):
        if older["whole_at"] is not None and older is not reading:
            del tables.readings[older["reading_id"]]
    questions = [row for row in tables.list_questions.values() if _list(row) == _list(reading)]
    for question in questions:
        if question["asked_at"] < reading["began_at"]:
            _wake(tables, question)
        if not _is_wanted(tables, question):
            del tables.list_questions[question["order_id"], question["list_name"], question["question"]]
    if any(question["asked_at"] >= reading["began_at"] for question in questions):
        _make_reading(tables, reading, tables.clock() + begins_after)


def _is_wanted(tables: Tables, question: Row) -> bool:
    """Return whether somebody may still come for the answer: the order is owed work, or a person asked lately."""
    lanes = (Lane.SUBMIT.value, Lane.ASK.value)
    is_owed = any((question["order_id"], lane) in tables.owed for lane in lanes)
    return is_owed or bool(question["asked_at"] > tables.clock() - _FORGOTTEN_AFTER)


def _wake(tables: Tables, question: Row) -> None:
    now, order = tables.clock(), tables.orders[question["order_id"]]
    for lane in (Lane.SUBMIT.value, Lane.ASK.value):
        row = tables.owed.get((order["order_id"], lane))
        if row is not None and row["lease_token"] is None and row["not_before"] > now and order["state"] not in _ASLEEP:
            row.update(not_before=now)


@statement
def put_back_reading(tables: Tables, p: Params) -> list[Row]:
    """Give a leased reading back."""
    reading = _leased(tables, p)
    if reading is not None:
        reading.update(not_before=max(tables.clock(), p["not_before"] or tables.clock()), lease_token=None)
    return []


@statement
def put_off_reading(tables: Tables, p: Params) -> list[Row]:
    """Give a leased reading back after a fault."""
    reading, due_at = _leased(tables, p), tables.clock() + p["pause"]
    if reading is None:
        return []
    reading.update(not_before=max(due_at, p["not_before"] or due_at), lease_token=None, trouble=p["trouble"])
    reading.update(faults=reading["faults"] + 1)
    if p["restart"]:
        reading.update(began_at=None, cursor=None, pages=0, numbers={})
    return []


def _readings(tables: Tables, of: Params) -> list[Row]:
    return [row for row in tables.readings.values() if _list(row) == _list(of)]


def _under_way(tables: Tables, of: Params) -> Row | None:
    return next((row for row in _readings(tables, of) if row["whole_at"] is None), None)


def _list(row: Params) -> tuple[str, str]:
    return row["carrier"], row["list_name"]


def _began_at(row: Row) -> datetime:
    began_at: datetime = row["began_at"]
    return began_at


def _leased(tables: Tables, p: Params) -> Row | None:
    """Return the reading, if this worker still has it."""
    reading = tables.readings.get(p["reading_id"])
    return reading if reading is not None and reading["lease_token"] == p["token"] else None


def _make_reading(tables: Tables, of: Params, not_before: datetime) -> None:
    """Make a reading of a list, unless one is under way."""
    if _under_way(tables, of) is not None:
        return
    row: Row = {"reading_id": tables.identity(), "carrier": of["carrier"], "list_name": of["list_name"]}
    row |= {"not_before": not_before, "lease_token": None, "began_at": None, "cursor": None, "pages": 0}
    tables.readings[row["reading_id"]] = row | {"faults": 0, "trouble": None, "whole_at": None, "numbers": {}}
