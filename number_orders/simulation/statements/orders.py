"""The ledger's statements that move work, in memory: accept, record, and what stands between them.

Each function is the statement of its name in the ledger's SQL, and one transaction: it happens whole, or it raises and
nothing of it has happened.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from number_orders.orders.model import Lane, NumberState, State
from number_orders.simulation.tables import Row, Tables, a_work_item, check_e164

Params = Mapping[str, Any]
Statement = Callable[[Tables, Params], list[Row]]

STATEMENTS: Final[dict[str, Statement]] = {}
"""Every statement by its name; the neighbours of this module add theirs."""

_HELD: Final = frozenset({NumberState.ACQUIRED, NumberState.USABLE})
_MOVED: Final = ("state", "reason", "carrier_order_id", "carrier_status", "sends", "losses", "doubt_asks")


def statement(run: Statement) -> Statement:
    """Add a statement under its own name."""
    STATEMENTS[run.__name__] = run
    return run


def moment(text: str | None) -> datetime | None:
    """Read a moment from JSON."""
    return datetime.fromisoformat(text) if text else None


def written(at: datetime) -> str:
    """Write a moment as PostgreSQL writes it into a document."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")


# The way in


@statement
def accept_orders(tables: Tables, p: Params) -> list[Row]:
    """Write orders down whose key and id are free."""
    fresh = [order for order in p["orders"] if _accepted(tables, order)]
    return [{"order_id": UUID(order["order_id"])} for order in fresh]


def _accepted(tables: Tables, new: Row) -> bool:
    order_id, now = UUID(new["order_id"]), tables.clock()
    if order_id in tables.orders or (new["producer"], new["key"]) in tables.keys:
        return False
    row = {name: new[name] for name in ("producer", "key", "carrier", "kind", "account", "request", "reason")}
    row |= {"order_id": order_id, "fingerprint": bytes.fromhex(new["fingerprint"]), "state": State.ACCEPTED.value}
    row |= {"version": 0, "sends": 0, "losses": 0, "doubt_asks": 0, "progress": {}}
    row |= dict.fromkeys(("carrier_order_id", "carrier_status", "cancel_asked_at", "doubt_since", "ended_at"))
    tables.insert_order(row | {"accepted_at": now, "moved_at": now})
    tables.events[order_id].append(_event(tables, 0, "OrderAccepted", State.ACCEPTED, late=False, detail={}))
    due_at = max(moment(new["not_before"]) or now, now)
    tables.owed[order_id, "submit"] = a_work_item(row, Lane.SUBMIT.value, due_at, new["reason"])
    if new["notification"] is not None:
        tables.owed[order_id, "tell"] = a_work_item(row, Lane.TELL.value, now, None)
        _tell(tables, order_id, 0, new["channels"], new["notification"] | {"accepted_at": written(now)})
    return True


@statement
def find_taken(tables: Tables, p: Params) -> list[Row]:
    """Return what stands under ids and keys."""
    ids = {*p["order_ids"], *(tables.keys.get(key) for key in zip(p["producers"], p["keys"], strict=True))}
    return [dict(row) for order_id, row in tables.orders.items() if order_id in ids]


# The work


@statement
def keep_progress(tables: Tables, p: Params) -> list[Row]:
    """Write down steps done at the carrier."""
    order = tables.orders.get(p["order_id"])
    if order is None or order["version"] != p["version"] or order["progress"] not in (p["known"], p["progress"]):
        return []
    order["progress"] = p["progress"]
    return [{"order_id": p["order_id"]}]


@statement
def recall(tables: Tables, p: Params) -> list[Row]:
    """Say what is known of numbers; the first row is only the time."""
    now = tables.clock()
    rows: list[Row] = [{"now": now, "e164": None, "held_since": None, "held_by": None, "named": False}]
    for e164 in p["numbers"]:
        holder = tables.holder(e164)
        held = holder if holder is not None and holder["carrier"] == p["carrier"] else None
        named = any(_names(order, e164, p) for order in tables.orders.values())
        row: Row = {"now": now, "e164": e164, "named": named}
        row["held_since"] = held["acquired_at"] if held else None
        rows.append(row | {"held_by": held["acquired_by"] if held else None})
    return rows


def _names(order: Row, e164: str, p: Params) -> bool:
    return (
        e164 in order["request"].get("numbers", ())
        and order["ended_at"] is None
        and order["carrier"] == p["carrier"]
        and order["kind"] != "remove_numbers"
        and order["order_id"] != p["order_id"]
    )


@statement
def take_serial_locks(tables: Tables, p: Params) -> list[Row]:
    """Give each turn to one order: whoever has it keeps it, unless it has ended."""
    wanted = sorted((wish["serial_key"], UUID(wish["order_id"])) for wish in p["wanted"])
    for key, order_id in wanted:
        turn = tables.turns.get((p["carrier"], key))
        holders = {mine for theirs, mine in wanted if theirs == key}
        if turn and turn["order_id"] not in holders and tables.orders[turn["order_id"]]["ended_at"] is not None:
            del tables.turns[p["carrier"], key]
        tables.turns.setdefault((p["carrier"], key), {"order_id": order_id, "since": tables.clock()})
    theirs = (order_id for key, order_id in wanted if tables.turns[p["carrier"], key]["order_id"] == order_id)
    return [{"order_id": order_id} for order_id in theirs]


@statement
def held_serial_locks(tables: Tables, p: Params) -> list[Row]:
    """Return turns that a parked order has, or another for long, and who waits behind."""
    held = sorted((key, tables.turns[carrier, key]) for carrier, key in tables.turns if carrier == p["carrier"])
    return [_held_turn(tables, p["carrier"], key, turn) for key, turn in held if _is_held(tables, turn, p["patience"])]


def _is_held(tables: Tables, turn: Row, patience: timedelta) -> bool:
    order = tables.orders[turn["order_id"]]
    return order["ended_at"] is None and (order["state"] == State.PARKED or turn["since"] < tables.clock() - patience)


def _held_turn(tables: Tables, carrier: str, key: str, turn: Row) -> Row:
    line = [row["order_id"] for row in tables.owed.values() if (row["carrier"], row["serial_key"]) == (carrier, key)]
    since = min((tables.orders[order_id]["accepted_at"] for order_id in line), default=None)
    row: Row = {"now": tables.clock(), "serial_key": key, "order_id": turn["order_id"], "since": turn["since"]}
    return row | {"state": tables.orders[turn["order_id"]]["state"], "waiting": len(line), "waiting_since": since}


@statement
def parked_orders_bringing(tables: Tables, p: Params) -> list[Row]:
    """Return parked orders that are to bring numbers that nobody holds yet."""
    awaited = sorted(e164 for e164 in p["numbers"] if tables.holder(e164) is None)
    nobody: Params = {"carrier": p["carrier"], "order_id": None}
    parked = sorted(order_id for order_id, row in tables.orders.items() if row["state"] == State.PARKED)
    named = (
        (order_id, [e164 for e164 in awaited if _names(tables.orders[order_id], e164, nobody)]) for order_id in parked
    )
    return [{"order_id": order_id, "e164": numbers[0]} for order_id, numbers in named if numbers]


@statement
def has_serial_lock(tables: Tables, p: Params) -> list[Row]:
    """Tell whether an order has something to itself."""
    return [{"has_serial_lock": any(row["order_id"] == p["order_id"] for row in tables.turns.values())}]


@statement
def wait_for_serial_locks(tables: Tables, p: Params) -> list[Row]:
    """Give claims back until a turn comes."""
    now = tables.clock()
    for wish in p["waiting"]:
        row = _in_hand(tables, UUID(wish["order_id"]), Lane.SUBMIT.value, p["token"])
        if row is None:
            continue
        turn = tables.turns.get((p["carrier"], wish["serial_key"]))
        why = f"waits for order {turn['order_id']}: they could not be told apart at the carrier" if turn else None
        due_at = now + p["at_most"] if turn else now
        row.update(lease_token=None, attempts=row["attempts"] - 1, serial_key=wish["serial_key"])
        row.update(reason=why, not_before=due_at)
    return []


@statement
def postpone(tables: Tables, p: Params) -> list[Row]:
    """Give claims back, due later."""
    for later in p["later"]:
        row = _in_hand(tables, UUID(later["order_id"]), p["lane"], p["token"])
        if row is not None:
            due_at = datetime.fromisoformat(later["not_before"])
            row.update(not_before=due_at, lease_token=None, reason=later["reason"] or row["reason"])
    return []


@statement
def release(tables: Tables, p: Params) -> list[Row]:
    """Give claims back, as if they had never been made."""
    for order_id in p["order_ids"]:
        row = _in_hand(tables, order_id, p["lane"], p["token"])
        if row is not None:
            row.update(not_before=tables.clock(), lease_token=None, attempts=row["attempts"] - 1)
    return []


def _in_hand(tables: Tables, order_id: UUID, lane: str, token: UUID) -> Row | None:
    row = tables.owed.get((order_id, lane))
    return row if row is not None and row["lease_token"] == token else None


# Steps


@statement
def record_steps(tables: Tables, p: Params) -> list[Row]:
    """Write steps of orders that have not moved on since they were read."""
    current = [step for step in p["steps"] if _is_current(tables, step)]
    for step in current:
        for number in step["numbers"]:
            check_e164(number["e164"])
    tables.move([(_order(tables, step), _change(tables, step)) for step in current])
    for step in current:
        _tell_story(tables, step)
    _count_numbers(tables, [step for step in current if not step["late"]])
    group = {_order(tables, step)["order_id"] for step in current}
    for step in current:
        _settle(tables, step, group)
    return [{"order_id": UUID(step["order_id"])} for step in current]


def _is_current(tables: Tables, step: Row) -> bool:
    order = tables.orders.get(UUID(step["order_id"]))
    return order is not None and order["version"] == step["from_version"]


def _order(tables: Tables, step: Row) -> Row:
    return tables.orders[UUID(step["order_id"])]


def _change(tables: Tables, step: Row) -> Row:
    order, now = _order(tables, step), tables.clock()
    change = {name: step[name] for name in _MOVED} | {"version": step["from_version"] + 1, "moved_at": now}
    change |= {name: moment(step[name]) for name in ("cancel_asked_at", "doubt_since")}
    change["ended_at"] = (order["ended_at"] or now) if step["ends"] else None
    return change | ({} if step["progress"] is None else {"progress": step["progress"]})


def _tell_story(tables: Tables, step: Row) -> None:
    order = _order(tables, step)
    row = _event(tables, order["version"], step["event"], order["state"], late=step["late"], detail=step["detail"])
    tables.events[order["order_id"]].append(row)


def _event(tables: Tables, version: int, name: str, state: str, *, late: bool, detail: Row) -> Row:
    row: Row = {"version": version, "at": tables.clock(), "event": name, "state": state}
    return row | {"late": late, "detail": detail}


def _count_numbers(tables: Tables, steps: Iterable[Row]) -> None:
    """Write down what became of numbers. Those given up go first: one may be bought again in the same group."""
    told = [(_order(tables, step), number) for step in steps for number in step["numbers"]]
    # An order acquires a number once. Told again, as usable or in its end, it may have been given up meanwhile.
    new = [(order, number) for order, number in told if not _has_acquired(tables, order, number["e164"])]
    for order, number in told:
        tables.numbers[order["order_id"]][number["e164"]] = {"order_id": order["order_id"], **number}
        if number["state"] == NumberState.RELEASED:
            tables.let_go(number["e164"], order)
    for order, number in new:
        if number["state"] in _HELD:
            tables.hold(number["e164"], order)


def _has_acquired(tables: Tables, order: Row, e164: str) -> bool:
    known = tables.numbers[order["order_id"]].get(e164)
    return known is not None and known["state"] in _HELD


def _settle(tables: Tables, step: Row, group: set[UUID]) -> None:
    """Replace what was owed, pass the turn on, and write down what is to be told."""
    order = _order(tables, step)
    order_id = order["order_id"]
    if not step["late"]:
        tables.settle(order_id, {effect["lane"] for effect in step["effects"]})
    if step["releases_serial_lock"]:
        _pass_turns_on(tables, order_id, group)
    for effect in step["effects"]:
        tables.owe(order, effect)
    if step["notification"] is not None:
        ended_at = written(order["ended_at"]) if order["ended_at"] else None
        _tell(tables, order_id, order["version"], step["channels"], step["notification"] | {"ended_at": ended_at})


def _pass_turns_on(tables: Tables, order_id: UUID, group: set[UUID]) -> None:
    for carrier, key in [turn for turn, row in tables.turns.items() if row["order_id"] == order_id]:
        del tables.turns[carrier, key]
        line = [
            row
            for row in tables.owed.values()
            if (row["carrier"], row["serial_key"]) == (carrier, key) and row["order_id"] not in group
        ]
        first = min(line, key=lambda row: row["order_id"], default=None)
        if first is not None and first["lane"] == Lane.SUBMIT and first["lease_token"] is None:
            first.update(not_before=tables.clock(), serial_key=None)


def _tell(tables: Tables, order_id: UUID, version: int, channels: Iterable[str], document: Row) -> None:
    for channel in channels:
        row: Row = {"order_id": order_id, "version": version, "channel": channel, "document": document}
        tables.tellings.append(row | {"told_at": None, "tries": 0, "trouble": None})


@statement
def held_elsewhere(tables: Tables, p: Params) -> list[Row]:
    """Return numbers that another order holds."""
    pairs = zip(p["order_ids"], p["numbers"], strict=True)
    holders = ((order_id, tables.holder(e164)) for order_id, e164 in pairs)
    return [dict(row) for order_id, row in holders if row is not None and row["acquired_by"] != order_id]
