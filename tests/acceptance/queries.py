"""What tests of whole processes look at: the ledger's rows, what the carrier sold, what an order left behind."""

import json
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.rows import dict_row

from number_orders.orders.reference import derive_reference
from number_orders.sandbox.control import SandboxControl

_OF_ORDER = """
    SELECT 'orders' AS place FROM orders WHERE order_id = %(order_id)s OR key = %(key)s
    UNION SELECT 'events' FROM order_events WHERE order_id = %(order_id)s
    UNION SELECT 'owed' FROM owed WHERE order_id = %(order_id)s
    UNION SELECT 'dead letters' FROM dead_letters WHERE task_id = %(order_id)s::text
    ORDER BY place"""


def rows(url: str, query: str, *values: object) -> list[dict[str, Any]]:
    """Ask the ledger at `url`."""
    with psycopg.connect(url, row_factory=dict_row) as db:
        return db.execute(query.encode(), values or None).fetchall()


def sold_for(carrier: SandboxControl, order: Mapping[str, Any], *, producer: str = "default") -> list[dict[str, Any]]:
    """Return everything that was ordered at the carriers with the reference of an order of ours.

    Args:
        carrier: The sandbox carriers.
        order: The order, its ticket or its document: whatever has its key.
        producer: Whose order it is.
    """
    reference = derive_reference(producer, order["key"])
    return [order for order in carrier.report()["orders"] if order["customer_order_id"] == reference]


def acquired(document: dict[str, Any]) -> list[str]:
    """Return the numbers that an order got, as its document tells the producer."""
    return [number["e164"] for number in document["numbers"] if number["state"] == "acquired"]


def traces(url: str, carrier: SandboxControl, order_id: str, key: str) -> list[str]:
    """Return where something of one order can be found, whatever other orders do meanwhile.

    The carriers keep every order and the last requests of every reference.
    """
    with psycopg.connect(url) as db:
        found = [place for (place,) in db.execute(_OF_ORDER, {"order_id": order_id, "key": key})]
    report = carrier.report()
    known = json.dumps([report["orders"], report["http"]])
    names = (order_id, key, derive_reference("default", key))
    return [*found, "carrier"] if any(name in known for name in names) else found
