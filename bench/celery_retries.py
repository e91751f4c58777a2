"""Orders followed by a Celery task that retries itself, as most people write it; run by `celery -A`.

One row per order: inserted when the carrier has taken the order, updated when it is done. A worker killed between
the POST and the retry orders again: that is the usual price, and not measured here.
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

from bench.dialect import COMPLETE, ORDERS, XML, read_response, write_order
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
_ONE_AT_A_TIME: Final = threading.Lock()

app = Celery("bench", broker=os.environ.get(BROKER))
app.conf.update(
    task_default_queue=QUEUE,
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
)


@dataclass(frozen=True, slots=True)
class Here:
    """What one process shares between its tasks."""

    http: httpx.Client
    database: ConnectionPool[psycopg.Connection[Any]]


@cache
def _make() -> Here:
    limits = httpx.Limits(max_connections=_POOL, max_keepalive_connections=_POOL)
    return Here(
        httpx.Client(base_url=os.environ[CARRIER], limits=limits, timeout=30),
        ConnectionPool(os.environ[DATABASE], min_size=1, max_size=_POOL, kwargs={"autocommit": True}, open=True),
    )


def here() -> Here:
    """Return what this process shares, made at first use and after the fork."""
    with _ONE_AT_A_TIME:
        return _make()


@app.task(bind=True, name=TASK, max_retries=None)
def follow(self: Task[Any, Any], index: int, named: str | None = None) -> None:
    """Send the order, or ask how it stands; come back in two seconds."""
    if named is None:
        named = _place(index)
    elif _is_complete(named):
        return _end(index)
    raise self.retry(args=(index, named), countdown=POLL_S)


def _place(index: int) -> str:
    body = write_order(number_of(index), reference=f"celery-{index}")
    answer = here().http.post(ORDERS, content=body, headers={"Content-Type": XML})
    named, _ = read_response(answer.raise_for_status().content)
    with here().database.connection() as db:
        db.execute("INSERT INTO orders (idx, carrier_order_id, state) VALUES (%s, %s, 'OPEN')", [index, named])
    return named


def _is_complete(named: str) -> bool:
    answer = here().http.get(f"{ORDERS}/{named}")
    return read_response(answer.raise_for_status().content)[1] == COMPLETE


def _end(index: int) -> None:
    with here().database.connection() as db:
        db.execute("UPDATE orders SET state = 'COMPLETED', ended_at = now() WHERE idx = %s", [index])
