"""The report: every order of every carrier as it really is, and anything that was sold twice."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from number_orders.sandbox.clock import iso
from number_orders.sandbox.state import SandboxCarrier, SandboxState

_RELEASING_KINDS: Final = {"disconnect", "REMOVE_NUMBERS"}
"""Kinds of orders that may repeat under one reference, because they buy nothing."""


def report(sandbox: SandboxState, carriers: Sequence[SandboxCarrier], since: datetime | None) -> dict[str, Any]:
    """Return the report; with `since`, only of the orders and requests from then on."""
    now = sandbox.clock()
    orders = [order for carrier in carriers for order in carrier.orders_as_json(now, since)]
    return {
        "at": iso(now),
        "totals": _totals(orders) | {"stock": {c.name: c.stock_as_json() for c in carriers}},
        "duplicates": _duplicates(orders),
        **_incidents(carriers, since),
        "orders": orders,
        "holdings": {carrier.name: carrier.holdings_as_json(now) for carrier in carriers},
        "requests": sandbox.request_log.requests_as_json(),
        "http": sandbox.request_log.log_as_json(since),
        "stalls": sandbox.stalls.as_json(),
    }


def _incidents(carriers: Sequence[SandboxCarrier], since: datetime | None) -> dict[str, list[Any]]:
    merged: dict[str, list[Any]] = {"violations": [], "callbacks": []}
    for carrier in carriers:
        for heading, incidents in carrier.incidents_as_json(since).items():
            merged[heading] += incidents
    return merged


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
    """Find references with several purchases at one carrier, and numbers bought again without a release in between."""
    references: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    numbers: defaultdict[str, list[str]] = defaultdict(list)
    released = Counter(e164 for order in orders for e164 in _released(order))
    for order in orders:
        if order["customer_order_id"] and order["kind"] not in _RELEASING_KINDS:
            references[order["carrier"], order["customer_order_id"]].append(order["order_id"])
        for e164 in order["bought"]:
            numbers[e164].append(order["order_id"])
    repeated = {reference: order_ids for (_, reference), order_ids in references.items() if len(order_ids) > 1}
    resold = {e164: order_ids for e164, order_ids in numbers.items() if len(order_ids) > 1 + released[e164]}
    return {"customer_order_ids": repeated, "numbers": resold}


def _released(order: Mapping[str, Any]) -> Sequence[str]:
    return [*order.get("released", ()), *order.get("removed", ())]
