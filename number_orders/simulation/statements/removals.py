"""The statements of `sql/removals.sql`."""

from uuid import UUID

from number_orders.orders.model import Kind
from number_orders.simulation.statements.archive import find_order
from number_orders.simulation.statements.guard import guarded_until
from number_orders.simulation.statements.registry import Params, statement
from number_orders.simulation.tables import Row, Tables


@statement
def find_not_removable(tables: Tables, p: Params) -> list[Row]:
    """Return the numbers that removals name and their producers may not remove."""
    rows: list[Row] = []
    for given in p["removals"]:
        order_id = UUID(given["order_id"])
        if any(event["event"] == "SentAgain" for event in tables.events.get(order_id, ())):
            continue
        done = {e164 for e164, row in tables.numbers.get(order_id, {}).items() if row["state"] == "released"}
        right = tables.producers.get(given["producer"], {}).get("removals", "own")
        rows += [
            {"order_id": order_id, "place": place, "removals": right, "guarded_until": guarded_until(tables)}
            for place, e164 in enumerate(given["numbers"])
            if e164 not in done and not _may_remove(tables, given["producer"], right, e164, p["adopter"])
        ]
    return sorted(rows, key=lambda row: (row["order_id"], row["place"]))


def _may_remove(tables: Tables, producer: str, right: str, e164: str, adopter: str) -> bool:
    if right == "any":
        return True
    held = tables.holding(e164)
    holder = _producer_of(tables, held or _last_holding(tables, e164), adopter)
    if held is not None and holder is not None:
        return holder == producer
    if _is_coming(tables, e164, not_for=producer):
        return False
    return right == "unknown" or holder == producer


def _last_holding(tables: Tables, e164: str) -> Row | None:
    before = [row for row in reversed(tables.held) if row["e164"] == e164 and row["released_at"] is not None]
    return max(before, key=lambda row: row["released_at"], default=None)


def _producer_of(tables: Tables, holding: Row | None, adopter: str) -> str | None:
    order = find_order(tables, holding["acquired_by"]) if holding else None
    producer: str | None = order["producer"] if order else None
    return None if producer == adopter else producer


def _is_coming(tables: Tables, e164: str, *, not_for: str) -> bool:
    """Tell whether an unfinished purchase of another producer names a number."""
    return any(
        order["ended_at"] is None and order["kind"] != Kind.REMOVE_NUMBERS and order["producer"] != not_for
        for order in tables.orders.values()
        if e164 in order["request"].get("numbers", ())
    )
