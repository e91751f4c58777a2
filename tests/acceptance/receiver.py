"""A producer's receiver, as an application may have one: a Celery worker of its own, which keeps every word it is told.

It knows the broker's address (`BROKER_URL`), what Celery must be told there (`CELERY_CONF`), the file to keep them in
(`TOLD`), and nothing of number-orders.
"""

import json
import os
from typing import Any

from celery import Celery

TASK = "crm.told"
QUEUE = "crm"

app = Celery("receiver", broker=os.environ.get("BROKER_URL"))
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    worker_prefetch_multiplier=1,
    **json.loads(os.environ.get("CELERY_CONF", "{}")),
)


@app.task(name=TASK, acks_late=True, ignore_result=True)
def told(document: dict[str, Any]) -> None:
    """Keep one document: in one write, so that no kill leaves half of it."""
    line = json.dumps(document).encode() + b"\n"
    file = os.open(os.environ["TOLD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line)
    finally:
        os.close(file)
