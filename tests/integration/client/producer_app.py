"""A producer that is itself a Celery application: its tasks order, and hear of its orders' ends."""

import os
from typing import Any

from celery import Celery

from number_orders_client import Client, on_change

BROKER = os.environ["NUMBER_ORDERS_BROKER_URL"]

app = Celery("crm", broker=BROKER, backend=BROKER)
orders = Client(BROKER, producer="crm")


@app.task(name="crm.order")
def order(what: dict[str, Any]) -> dict[str, Any]:
    """Order from within a task."""
    return orders.submit(what).model_dump(mode="json")


@app.task(name="crm.order_ended")
def order_ended(document: dict[str, Any]) -> dict[str, Any]:
    """Order again when an order has ended, as its notify task."""
    ended = on_change(document)
    again = {"key": f"{ended.key}-again", "carrier": ended.carrier, "kind": ended.kind, "criteria": {"npa": "919"}}
    return orders.submit({**again, "quantity": 1}).model_dump(mode="json")
