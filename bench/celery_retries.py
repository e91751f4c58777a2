"""Follow orders with a Celery task that retries itself, the usual design; run by `celery -A`.

One row per order: inserted when the carrier has accepted it, updated when it is complete. A worker that is killed
between the POST and the retry orders twice; this benchmark does not measure that.
"""

import os
import threading
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import httpx
import psycopg
from celery import Celery, Task
from psycopg_pool import ConnectionPool

from bench.bandwidth_xml import COMPLETE, ORDERS, XML, read_response, write_order
from bench.workload import POLL_S, number_of

BROKER: Final = "BENCH_BROKER_URL"
DATABASE: Final = "BENCH_DATABASE_URL"
CARRIER: Final = "BENCH_CARRIER_URL"
TASK: Final = "bench.follow"
QUEUE: Final = "bench"
TABLE: Final = (
    "CREATE TABLE orders (idx integer PRIMARY KEY, carrier_order_id text NOT NULL, state text NOT NULL, "
    "accepted_at timestamptz NOT NULL DEFAULT now(), ended_at timestamptz)"
)

_POOL: Final = 20
_LOCK: Final = threading.Lock()

app = Celery("bench", broker=os.environ.get(BROKER))
app.conf.update(
    task_default_queue=QUEUE,
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
)


@dataclass(frozen=True, slots=True)
class Clients:
    """The clients that the tasks of one process share."""

    http: httpx.Client
    database: ConnectionPool[psycopg.Connection[Any]]


@cache
def _make() -> Clients:
    limits = httpx.Limits(max_connections=_POOL, max_keepalive_connections=_POOL)
    return Clients(
        httpx.Client(base_url=os.environ[CARRIER], limits=limits, timeout=30),
        ConnectionPool(os.environ[DATABASE], min_size=1, max_size=_POOL, kwargs={"autocommit": True}, open=True),
    )


def clients() -> Clients:
    """Return the clients of this process, made at first use, after the fork."""
    with _LOCK:
        return _make()


@app.task(bind=True, name=TASK, max_retries=None)
def follow(self: Task[Any, Any], index: int, carrier_order_id: str | None = None) -> None:
    """Send the order or ask for its status; retry in two seconds until it is complete."""
    if carrier_order_id is None:
        carrier_order_id = _place(index)
    elif _is_complete(carrier_order_id):
        return _end(index)
    raise self.retry(args=(index, carrier_order_id), countdown=POLL_S)


def _place(index: int) -> str:
    body = write_order(number_of(index), reference=f"celery-{index}")
    answer = clients().http.post(ORDERS, content=body, headers={"Content-Type": XML})
    carrier_order_id, _ = read_response(answer.raise_for_status().content)
    with clients().database.connection() as db:
        db.execute(
            "INSERT INTO orders (idx, carrier_order_id, state) VALUES (%s, %s, 'OPEN')", [index, carrier_order_id]
        )
    return carrier_order_id


def _is_complete(carrier_order_id: str) -> bool:
    answer = clients().http.get(f"{ORDERS}/{carrier_order_id}")
    return read_response(answer.raise_for_status().content)[1] == COMPLETE


def _end(index: int) -> None:
    with clients().database.connection() as db:
        db.execute("UPDATE orders SET state = 'COMPLETED', ended_at = now() WHERE idx = %s", [index])
