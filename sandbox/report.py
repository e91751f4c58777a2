"""What was really sold: every order of every carrier as it truly stands, and anything sold twice."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sandbox.clock import iso
from sandbox.world import PracticeCarrier, World


def report(world: World, carriers: Sequence[PracticeCarrier], since: datetime | None) -> dict[str, Any]:
    """Write the report; with `since`, of the orders and requests from then on."""
    now = world.clock()
    orders = [order for carrier in carriers for order in carrier.orders_as_json(now, since)]
    return {
        "at": iso(now),
        "totals": _totals(orders) | {"stock": {c.name: c.stock_as_json() for c in carriers}},
        "duplicates": _duplicates(orders),
        "orders": orders,
        "requests": world.journal.requests_as_json(),
        "http": world.journal.log_as_json(since),
    }


def _totals(orders: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "orders": len(orders),
        "open": sum(order["ended_at"] is None for order in orders),
        "by_status": _counted(order["status"] for order in orders),
        "by_outcome": _counted(order["outcome"] or "OPEN" for order in orders),
        "by_kind": _counted(order["kind"] for order in orders),
        "numbers_bought": sum(len(order["bought"]) for order in orders),
        "numbers_released": sum(len(_released(order)) for order in orders),
    }


def _counted(words: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(words).items()))


def _duplicates(orders: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Find customer order ids with several purchases, and numbers bought again without having been given up."""
    references: defaultdict[str, list[str]] = defaultdict(list)
    numbers: defaultdict[str, list[str]] = defaultdict(list)
    given_up = Counter(e164 for order in orders for e164 in _released(order))
    for order in orders:
        if order["customer_order_id"] and "released" not in order:
            references[f"{order['customer_order_id']}"].append(order["order_id"])
        for e164 in order["bought"]:
            numbers[e164].append(order["order_id"])
    return {"customer_order_ids": _repeated(references, {}), "numbers": _repeated(numbers, given_up)}


def _released(order: Mapping[str, Any]) -> Sequence[str]:
    released: Sequence[str] = order.get("released", ())
    return released


def _repeated(orders_by: Mapping[str, list[str]], given_up: Mapping[str, int]) -> dict[str, list[str]]:
    return {name: ids for name, ids in orders_by.items() if len(ids) > 1 + given_up.get(name, 0)}
