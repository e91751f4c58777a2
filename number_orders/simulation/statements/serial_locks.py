"""The statements of `sql/serial_locks.sql`."""

from datetime import timedelta
from uuid import UUID

from number_orders.orders.model import Lane, State
from number_orders.simulation.statements.registry import Params, statement
from number_orders.simulation.statements.schedule import claimed_item
from number_orders.simulation.tables import Row, Tables


@statement
def take_serial_locks(tables: Tables, p: Params) -> list[Row]:
    """Give each lock to one order: the one that has it keeps it, unless it has ended."""
    wishes = ((wish["serial_key"], UUID(wish["order_id"])) for wish in p["wanted"])
    wanted = sorted((key, order_id) for key, order_id in wishes if order_id in tables.orders)
    for key, order_id in wanted:
        lock = tables.serial_locks.get((p["carrier"], key))
        claimed = {mine for theirs, mine in wanted if theirs == key}
        if lock and lock["order_id"] not in claimed and tables.orders[lock["order_id"]]["ended_at"] is not None:
            del tables.serial_locks[p["carrier"], key]
        tables.serial_locks.setdefault((p["carrier"], key), {"order_id": order_id, "since": tables.clock()})
    return [
        {"order_id": order_id}
        for key, order_id in wanted
        if tables.serial_locks[p["carrier"], key]["order_id"] == order_id
    ]


@statement
def wait_for_serial_locks(tables: Tables, p: Params) -> list[Row]:
    """Give claims back until their locks are free."""
    now = tables.clock()
    wanted: dict[UUID, list[str]] = {}
    for wish in p["waiting"]:
        wanted.setdefault(UUID(wish["order_id"]), []).append(wish["serial_key"])
    missing = {order_id: _missing(tables, p["carrier"], order_id, keys) for order_id, keys in wanted.items()}
    for order_id, keys in wanted.items():
        for key in keys:
            lock = tables.serial_locks.get((p["carrier"], key))
            keeps = is_of_number(key) and was_in_doubt(tables.orders[order_id])
            if lock and lock["order_id"] == order_id and not keeps:
                del tables.serial_locks[p["carrier"], key]
    for order_id, (key, holder) in missing.items():
        row = claimed_item(tables, order_id, Lane.SUBMIT.value, p["token"])
        if row is None:
            continue
        row.update(lease_token=None, attempts=row["attempts"] - 1, serial_key=key)
        row.update(reason=_why(key, holder) if holder else None, not_before=now + p["at_most"] if holder else now)
    return []


def _missing(tables: Tables, carrier: str, order_id: UUID, keys: list[str]) -> tuple[str, UUID | None]:
    """Return the first of these locks that another order has, and that order."""
    for key in sorted(keys):
        lock = tables.serial_locks.get((carrier, key))
        if lock and lock["order_id"] != order_id:
            return key, lock["order_id"]
    return min(keys), None


def _why(key: str, holder: UUID) -> str:
    if is_of_number(key):
        return f"waits for order {holder}, which is about the same number {key.removeprefix('number ')}"
    return f"waits for order {holder}: they could not be told apart at the carrier"


def is_of_number(key: str) -> bool:
    """Tell whether a lock is that of a number."""
    return key.startswith("number +")


def was_in_doubt(order: Row) -> bool:
    """Tell whether an attempt of an order may have arrived: then the numbers that it names stay its own."""
    return bool(order["losses"]) or order["doubt_since"] is not None


@statement
def has_serial_lock(tables: Tables, p: Params) -> list[Row]:
    """Tell whether an order has a serial lock."""
    return [
        {
            "has_serial_lock": any(
                row["order_id"] == p["order_id"] and not is_of_number(key)
                for (_, key), row in tables.serial_locks.items()
            )
        }
    ]


@statement
def held_serial_locks(tables: Tables, p: Params) -> list[Row]:
    """Return the locks that a parked order has, or any unfinished order for long, and how many orders wait."""
    locks = sorted(
        (key, tables.serial_locks[carrier, key]) for carrier, key in tables.serial_locks if carrier == p["carrier"]
    )
    return [
        _held_lock(tables, p["carrier"], key, lock) for key, lock in locks if _is_stuck(tables, lock, p["patience"])
    ]


def _is_stuck(tables: Tables, lock: Row, patience: timedelta) -> bool:
    order = tables.orders[lock["order_id"]]
    return order["ended_at"] is None and (order["state"] == State.PARKED or lock["since"] < tables.clock() - patience)


def _held_lock(tables: Tables, carrier: str, key: str, lock: Row) -> Row:
    waiting = [row["order_id"] for row in tables.owed.values() if (row["carrier"], row["serial_key"]) == (carrier, key)]
    since = min((tables.orders[order_id]["accepted_at"] for order_id in waiting), default=None)
    row: Row = {"now": tables.clock(), "serial_key": key, "order_id": lock["order_id"], "since": lock["since"]}
    return row | {"state": tables.orders[lock["order_id"]]["state"], "waiting": len(waiting), "waiting_since": since}
