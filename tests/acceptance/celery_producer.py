"""A producer that is itself a Celery worker: its tasks order numbers, with the client and in README's way.

It knows the broker's address (`BROKER_URL`), the file to keep what it learns in (`TOLD`), and of number-orders only
what a producer's documentation says.
"""

import json
import os
from typing import Any, Final

from celery import Celery, current_app, shared_task

from number_orders_client import Client

QUEUE: Final = "crm"
README: Final = os.environ.get("README_SCRIPT", "")
"""The script in README."""

app = Celery("crm", broker=os.environ.get("BROKER_URL"), backend=os.environ.get("BROKER_URL"))
app.conf.update(task_default_queue=QUEUE, broker_connection_retry_on_startup=True)


def keep(what: str, **facts: Any) -> None:
    """Keep a line: in one write."""
    line = json.dumps({"what": what, **facts}).encode() + b"\n"
    file = os.open(os.environ["TOLD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line)
    finally:
        os.close(file)


@shared_task(name="crm.order", ignore_result=True)
def order(key: str) -> None:
    """Order with the client, and wait for the end."""
    client = Client(os.environ["BROKER_URL"])
    try:
        ticket = client.submit(an_order(key, notify={"task": "crm.told", "queue": QUEUE}))
        document = client.wait(ticket.order_id, timeout_s=60)
        keep("ordered", key=key, state=document.state, app=current_app.main)
    except Exception as error:
        keep("failed", key=key, error=repr(error))
        raise
    finally:
        client.close()


@shared_task(name="crm.order_as_readme_says", ignore_result=True)
def order_as_readme_says() -> None:
    """Run README's script inside this task."""
    try:
        exec(README, {})  # noqa: S102  it is ours, and must work here
        keep("readme", state="done", app=current_app.main)
    except Exception as error:
        keep("failed", key="readme", error=repr(error))
        raise


@shared_task(name="crm.told", ignore_result=True)
def told(document: dict[str, Any]) -> None:
    """Hear of an end, and order once more: a handler of `notify` that orders and waits for the ticket."""
    client = Client(os.environ["BROKER_URL"])
    try:
        ticket = client.submit(an_order(f"after-{document['key']}"))
        keep("told", key=document["key"], state=document["state"], next_state=ticket.state)
    except Exception as error:
        keep("failed", key=document["key"], error=repr(error))
        raise
    finally:
        client.close()


def an_order(key: str, **more: Any) -> dict[str, Any]:
    """Return an order of one number."""
    where = {"criteria": {"npa": "919"}, "quantity": 1}
    return {"key": key, "carrier": "bandwidth", "kind": "new_numbers", **where, **more}
