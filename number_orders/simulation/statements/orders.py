"""The statements of `sql/orders.sql`."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from number_orders.orders.model import Kind, Lane, NumberState, State
from number_orders.simulation.statements.alarms import raise_alarm
from number_orders.simulation.statements.archive import all_orders, archived_part, find_order
from number_orders.simulation.statements.history import add_event
from number_orders.simulation.statements.outbox import add_messages
from number_orders.simulation.statements.registry import Params, moment_from_json, moment_in_document, statement
from number_orders.simulation.statements.serial_locks import is_of_number, was_in_doubt
from number_orders.simulation.tables import Row, Tables, check_e164

_HELD: Final = frozenset({NumberState.ACQUIRED, NumberState.USABLE})
_MOVED: Final = (
    "state",
    "reason",
    "carrier_order_id",
    "carrier_status",
    "sends",
    "losses",
    "doubt_asks",
    "other_carrier_orders",
)


@statement
def record_steps(tables: Tables, p: Params) -> list[Row]:
    """Write the steps of the orders that have not moved since they were read, and return these orders."""
    current = [step for step in p["steps"] if _is_current(tables, step)]
    for step in current:
        for number in step["numbers"]:
            check_e164(number["e164"])
    approved = [step for step in current if step["approves"] and _order(tables, step)["charged_at"] is None]
    tables.move([(_order(tables, step), _change(tables, step)) for step in current])
    _correct_allowances(tables, current, approved)
    for step in current:
        order = _order(tables, step)
        version, state = order["version"], order["state"]
        add_event(tables, order["order_id"], version, step["event"], state, late=step["late"], detail=step["detail"])
    held_elsewhere = _store_numbers(tables, [step for step in current if not step["late"]])
    group = {_order(tables, step)["order_id"] for step in current}
    for step in current:
        _store_effects(tables, step, group)
        _raise_alarms(tables, step)
    numbers: dict[UUID, list[str]] = {_order(tables, step)["order_id"]: [] for step in current}
    held_elsewhere.sort(key=lambda one: one[1]["order_id"], reverse=True)
    for holding, order in held_elsewhere:
        numbers[order["order_id"]].append(holding["e164"])
    for holding, order in {one[0]["e164"]: one for one in held_elsewhere}.values():  # an alarm for the first order
        about = {"what": str(p["held_twice"]), "subject": holding["e164"], "carrier": order["carrier"]}
        detail = f"{holding['e164']} was acquired while order {holding['acquired_by']} held it"
        raise_alarm(tables, about | {"order_id": order["order_id"], "detail": detail})
        tables.alarms[about["what"], about["subject"]]["order_id"] = order["order_id"]
    return [{"order_id": order_id, "held_elsewhere": found} for order_id, found in numbers.items()]


def _correct_allowances(tables: Tables, steps: Iterable[Row], approved: Iterable[Row]) -> None:
    """Note what approved orders take from their producers' allowances, and what ended ones give back."""
    given_back = [(step, -(step["unbought"] or 0)) for step in steps]
    for step, numbers in [*((step, step["wanted"]) for step in approved), *given_back]:
        if numbers and _order(tables, step)["charged_at"] is not None:
            correction = {name: _order(tables, step)[name] for name in ("producer", "carrier", "charged_at")}
            tables.allowance_corrections.append(correction | {"numbers": numbers})


def _raise_alarms(tables: Tables, step: Row) -> None:
    order = _order(tables, step)
    about = {"subject": str(order["order_id"]), "carrier": order["carrier"], "order_id": order["order_id"]}
    for alarm in step["alarms"]:
        raise_alarm(tables, about | alarm)


def _is_current(tables: Tables, step: Row) -> bool:
    order = tables.orders.get(UUID(step["order_id"]))
    return order is not None and (order["version"], order["state"]) == (step["from_version"], step["from_state"])


def _order(tables: Tables, step: Row) -> Row:
    return tables.orders[UUID(step["order_id"])]


def _change(tables: Tables, step: Row) -> Row:
    order, now = _order(tables, step), tables.clock()
    change = {name: step[name] for name in _MOVED} | {"version": step["from_version"] + 1}
    change |= {} if step["reminds"] else {"moved_at": now}
    change |= {name: moment_from_json(step[name]) for name in ("cancel_asked_at", "doubt_since")}
    losses = (moment_from_json(step["history_lost_at"]), order["history_lost_at"])
    change["history_lost_at"] = max(filter(None, losses), default=None)
    change["charged_at"] = order["charged_at"] or (now if step["approves"] else None)
    change["ended_at"] = (order["ended_at"] or now) if step["ends"] else None
    return change | ({} if step["progress"] is None else {"progress": step["progress"]})


def _store_numbers(tables: Tables, steps: Iterable[Row]) -> list[tuple[Row, Row]]:
    """Store what became of numbers. Release first: a group may release a number and acquire it again.

    Return the holdings of numbers that other orders acquired, each with that other order.
    """
    reported = [(_order(tables, step), number) for step in steps for number in step["numbers"]]
    # An order acquires a number once, and releases it once. When it reports the number again, another order may have
    # released it meanwhile, or hold it again.
    new = [(order, number) for order, number in reported if not _has_acquired(tables, order, number["e164"])]
    gone = [(order, number) for order, number in reported if _releases(tables, order, number)]
    for order, number in reported:
        told = {"order_id": order["order_id"], "changed_at": tables.clock()}
        tables.numbers[order["order_id"]][number["e164"]] = told | number
    for order, number in gone:
        if tables.release_number(number["e164"], order) and number["state"] == NumberState.RELEASED:
            _hold_if_it_came_again(tables, order, number["e164"])
    for order, number in new:
        if number["state"] in _HELD:
            tables.hold_number(number["e164"], order, since=moment_from_json(number.get("held_since")))
    acquired = [(tables.holding(number["e164"]), order) for order, number in new if number["state"] in _HELD]
    return [(holding, order) for holding, order in acquired if holding and holding["acquired_by"] != order["order_id"]]


def _has_acquired(tables: Tables, order: Row, e164: str) -> bool:
    known = tables.numbers[order["order_id"]].get(e164)
    return known is not None and known["state"] in _HELD


def _releases(tables: Tables, order: Row, number: Row) -> bool:
    """Tell whether an order lets go of a number by this result."""
    known = tables.numbers[order["order_id"]].get(number["e164"])
    if known is not None and known["state"] == NumberState.RELEASED:
        return False
    if order["kind"] == Kind.REMOVE_NUMBERS and number["state"] == NumberState.RELEASED:
        return not _has_come_again(tables, order, number["e164"])
    holder = tables.holding(number["e164"])  # a purchase loses what it has brought itself
    brought = holder is not None and holder["acquired_by"] == order["order_id"]
    return brought and number["state"] in {NumberState.RELEASED, NumberState.WITHDRAWN}


def _has_come_again(tables: Tables, order: Row, e164: str) -> bool:
    """Tell whether the order that holds a number was sent for it after this one was sent."""
    holder, sent_at = tables.holding(e164), _sent_at(tables, order["order_id"])
    if holder is None or sent_at is None:
        return False
    ordered_at: datetime = _sent_at(tables, holder["acquired_by"]) or holder["acquired_at"]
    return ordered_at > sent_at


def _hold_if_it_came_again(tables: Tables, order: Row, e164: str) -> None:
    """Let the order hold a number that was sent for it after this one, and has brought it already."""
    sent_at = _sent_at(tables, order["order_id"])
    for order_id in sorted(tables.orders, reverse=True):
        number, ordered_at = tables.numbers[order_id].get(e164), _sent_at(tables, order_id)
        if number and number["state"] in _HELD and sent_at and ordered_at and ordered_at > sent_at:
            holder = tables.orders[order_id]
            if holder["carrier"] == order["carrier"]:
                tables.hold_number(e164, holder)
                return


def _sent_at(tables: Tables, order_id: UUID) -> datetime | None:
    """Return when an order was last begun to be sent."""
    begun = (event["at"] for event in tables.events.get(order_id, ()) if event["event"] == "SubmissionBegun")
    return max(begun, default=None)


def _store_effects(tables: Tables, step: Row, group: set[UUID]) -> None:
    """Replace the order's work items, release its serial lock, and add its document for the producer."""
    order = _order(tables, step)
    order_id = order["order_id"]
    if not step["keeps_work"]:
        tables.drop_work(order_id, {effect["lane"] for effect in step["effects"]})
    if step["releases_serial_lock"]:
        unsent = step["state"] == State.ACCEPTED and not was_in_doubt(order)
        _release_serial_locks(tables, order_id, group, numbers=step["ends"] or unsent)
    for effect in step["effects"]:
        tables.add_work(order, effect, keeps_looks=step["reminds"])
    if step["notification"] is not None:
        ended_at = moment_in_document(order["ended_at"]) if order["ended_at"] else None
        document = step["notification"] | {"ended_at": ended_at}
        add_messages(tables, order_id, order["version"], step["channels"], document)


def _release_serial_locks(tables: Tables, order_id: UUID, group: set[UUID], *, numbers: bool) -> None:
    """Release the locks of an order, and wake the oldest order that waits for each and has no step in the group.

    The locks of the numbers that it names are released only with `numbers`.
    """
    held = [lock for lock, row in tables.serial_locks.items() if row["order_id"] == order_id]
    for carrier, key in held:
        if is_of_number(key) and not numbers:
            continue
        del tables.serial_locks[carrier, key]
        waiting = [
            row
            for row in tables.owed.values()
            if (row["carrier"], row["serial_key"]) == (carrier, key) and row["order_id"] not in group
        ]
        first = min(waiting, key=lambda row: row["order_id"], default=None)
        if first is not None and first["lane"] == Lane.SUBMIT and first["lease_token"] is None:
            first.update(not_before=tables.clock(), serial_key=None)


@statement
def keep_progress(tables: Tables, p: Params) -> list[Row]:
    """Store the progress of a conversation unless order or progress have moved."""
    order = tables.orders.get(p["order_id"])
    if order is None or order["version"] != p["version"] or order["progress"] not in (p["known"], p["progress"]):
        return []
    order["progress"] = p["progress"]
    return [{"order_id": p["order_id"]}]


@statement
def read_orders(tables: Tables, p: Params) -> list[Row]:
    """Return orders by id."""
    at = tables.clock()
    found = (find_order(tables, order_id) for order_id in p["order_ids"])
    return [{"now": at, **row, **_archiving(tables, row["order_id"])} for row in found if row is not None]


def _archiving(tables: Tables, order_id: UUID) -> Row:
    archived = tables.archive.get(order_id)
    is_there = archived is not None and archived["removed_at"] is not None
    return {
        "archived_at": archived["removed_at"] if archived and is_there else None,
        "purged_at": archived["purged_at"] if archived and is_there else None,
    }


@statement
def find_by_key(tables: Tables, p: Params) -> list[Row]:
    """Return the orders with this key, of any producer, newest first."""
    found = [row for row in all_orders(tables) if row["key"] == p["key"]]
    return [{"now": tables.clock(), **row} for row in sorted(found, key=_accepted_at, reverse=True)]


@statement
def find_by_carrier_order(tables: Tables, p: Params) -> list[Row]:
    """Return the order of ours that a carrier's order belongs to."""
    owner = tables.owner(p["carrier"], p["carrier_order_id"])  # an archived order keeps it too
    return [] if owner is None else [{"order_id": owner}]


@statement
def list_orders(tables: Tables, p: Params) -> list[Row]:
    """Return a page of orders, newest first."""
    return _page(tables.orders.values(), tables, p)


def _page(orders: Iterable[Row], tables: Tables, p: Params) -> list[Row]:
    found = [row for row in orders if _is_listed(row, p)]
    newest_first = sorted(found, key=_age_and_id, reverse=True)[: p["limit"]]
    return [{**row, "now": tables.clock()} for row in newest_first]


@statement
def list_orders_of_producer(tables: Tables, p: Params) -> list[Row]:
    """Return a page of the orders of one producer."""
    return [row for row in list_orders(tables, {**p, "limit": None}) if row["producer"] == p["producer"]][: p["limit"]]


@statement
def list_orders_among(tables: Tables, p: Params) -> list[Row]:
    """Return a page of some orders."""
    everything = _page(all_orders(tables), tables, {**p, "limit": None})
    among = [row for row in everything if row["order_id"] in p["order_ids"]]
    return [row for row in among if p["producer"] in {None, row["producer"]}][: p["limit"]]


@statement
def find_by_producer_and_key(tables: Tables, p: Params) -> list[Row]:
    """Return the order with this key of this producer."""
    order_id = tables.keys.get((p["producer"], p["key"]))
    return [] if order_id is None else [{"order_id": order_id}]


@statement
def find_by_number(tables: Tables, p: Params) -> list[Row]:
    """Return the orders in which something became of a number, and the unfinished ones that name it."""
    about = (row for row in all_orders(tables) if _is_about(tables, row, p["number"]))
    return [{"order_id": row["order_id"]} for row in about]


def _is_listed(row: Row, p: Params) -> bool:
    return (
        _is_in_time(row, p)
        and row["state"] in p["states"]
        and p["carrier"] in {None, row["carrier"]}
        and p["kind"] in {None, row["kind"]}
    )


def _is_in_time(row: Row, p: Params) -> bool:
    """Tell whether an order was accepted between two bounds. A bound that is a text is no bound: infinity."""
    before, since = p["before"], p["since"]
    is_before = isinstance(before, str) or _age_and_id(row) < (before, p["before_id"])
    return is_before and (isinstance(since, str) or row["accepted_at"] >= since)


def _is_about(tables: Tables, row: Row, e164: str) -> bool:
    named = row["ended_at"] is None and e164 in row["request"].get("numbers", ())
    archived = archived_part(tables, row["order_id"], "numbers")
    return named or e164 in tables.numbers.get(row["order_id"], {}) or any(one["e164"] == e164 for one in archived)


def _age_and_id(row: Row) -> tuple[Any, Any]:
    return row["accepted_at"], row["order_id"]


def _accepted_at(row: Row) -> Any:
    return row["accepted_at"]


@statement
def count_by_state(tables: Tables, p: Params) -> list[Row]:
    """Return how many orders are in each state."""
    counted = Counter(row["state"] for row in tables.orders.values())
    return [{"state": state, "orders": orders} for state, orders in counted.items()]
