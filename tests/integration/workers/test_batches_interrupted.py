"""Whatever fails while a batch is running, each of its orders is accepted once and answered."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psutil
import psycopg
import pytest
import redis
from celery import Celery
from celery.exceptions import TaskRevokedError
from celery.result import AsyncResult

from number_orders.embedded.engines import Engines
from number_orders.ledger.migrate import migrate
from tests.integration.workers.conftest import environment
from tests.integration.workers.test_batches import order, send
from tests.processes import Process, Processes, eventually

MANY = 20


@pytest.fixture(scope="module")
def own_engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """Start a PostgreSQL that a test may stop: batches keep running while it is stopped."""
    engines = Engines(tmp_path_factory.mktemp("own"), durable=False)
    engines.postgres.start()
    migrate(engines.database_url)
    yield engines
    engines.postgres.stop()


@pytest.fixture
def env(own_engines: Engines, broker_url: str) -> dict[str, str]:
    return environment(own_engines.database_url, broker_url)


@pytest.fixture
def broker(broker_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(broker_url, decode_responses=True) as client:
        yield client


def hold_batches(app: Celery, broker: redis.Redis, worker: Process, engines: Engines) -> list[AsyncResult[Any]]:
    """Stop the ledger, send orders, and return them when the worker holds them all in batches."""
    send(app, order(f"warm-{uuid4()}")).get(timeout=60)
    engines.postgres.stop()
    sent = [send(app, order(f"crm-{uuid4()}")) for _ in range(MANY)]
    worker.await_words("ledger_away")
    for _ in eventually():
        if broker.hlen("number-orders:unacked") == MANY and not broker.llen("orders"):
            break
    return sent


def accepted(engines: Engines, sent: list[AsyncResult[Any]]) -> int:
    """Return how many of these orders are in the ledger, each with exactly one work item."""
    with psycopg.connect(engines.database_url) as db:
        ids = [one.id for one in sent]
        rows = db.execute("SELECT FROM orders JOIN owed USING (order_id) WHERE order_id = ANY(%s)", [ids]).fetchall()
        assert db.execute("SELECT FROM dead_letters").fetchall() == []
    return len(rows)


def await_all(engines: Engines, sent: list[AsyncResult[Any]]) -> None:
    """Wait until all are answered, and check that the ledger has each of them once."""
    assert [one.get(timeout=90)["order_id"] for one in sent] == [one.id for one in sent]
    assert accepted(engines, sent) == MANY


def await_nothing_left(broker: redis.Redis) -> None:
    for _ in eventually():
        if not broker.exists("orders", "number-orders:unacked", "number-orders:unacked_index"):
            return


def test_orders_of_a_batch_whose_child_is_killed_are_accepted_separately(
    own_engines: Engines, processes: Processes, app: Celery, broker: redis.Redis
) -> None:
    """Every message of the batch is delivered again, and its request then runs alone."""
    worker = processes.worker(children=2)
    sent = hold_batches(app, broker, worker, own_engines)
    for child in psutil.Process(worker.popen.pid).children():
        child.kill()
    own_engines.postgres.start()
    await_all(own_engines, sent)
    await_nothing_left(broker)
    assert worker.popen.poll() is None


def test_terminating_one_task_of_a_batch_does_not_lose_the_others(
    own_engines: Engines, processes: Processes, app: Celery, broker: redis.Redis
) -> None:
    """Terminating a task kills the child that runs its whole batch; the other orders are delivered again."""
    worker = processes.worker(children=2)
    sent = hold_batches(app, broker, worker, own_engines)
    meant = sent.pop()
    assert app.control.revoke(meant.id, terminate=True, reply=True, timeout=60, limit=1)
    own_engines.postgres.start()
    assert [one.get(timeout=90)["order_id"] for one in sent] == [one.id for one in sent]
    with pytest.raises(TaskRevokedError):
        meant.get(timeout=90)
    assert accepted(own_engines, sent) == MANY - 1
    await_nothing_left(broker)


def test_orders_of_a_killed_worker_are_accepted_by_the_next(
    own_engines: Engines, processes: Processes, app: Celery, broker: redis.Redis
) -> None:
    """Every message of a batch is recorded as unacknowledged, so the broker delivers it again after its timeout."""
    worker = processes.worker(children=2)
    sent = hold_batches(app, broker, worker, own_engines)
    worker.kill()
    own_engines.postgres.start()
    assert accepted(own_engines, sent) == 0
    tags: list[Any] = broker.hkeys("number-orders:unacked")
    broker.zadd("number-orders:unacked_index", dict.fromkeys(tags, 1))  # the visibility timeout is over
    processes.worker(children=2)
    await_all(own_engines, sent)
    await_nothing_left(broker)


def test_a_worker_that_is_stopped_finishes_its_running_batches_and_requeues_the_rest(
    own_engines: Engines, processes: Processes, app: Celery, broker: redis.Redis
) -> None:
    worker = processes.worker(children=2)
    sent = hold_batches(app, broker, worker, own_engines)
    worker.popen.terminate()
    own_engines.postgres.start()
    worker.popen.wait(180)
    assert worker.popen.returncode == 0, worker.said()[-3000:]
    assert broker.hlen("number-orders:unacked") == 0
    assert accepted(own_engines, sent) + broker.llen("orders") == MANY
    processes.worker(children=2)
    await_all(own_engines, sent)
    await_nothing_left(broker)


def test_running_batches_are_accepted_although_the_broker_was_wiped(
    own_engines: Engines, processes: Processes, app: Celery, broker: redis.Redis
) -> None:
    """The worker needs the broker for the answers only."""
    worker = processes.worker(children=2)
    sent = hold_batches(app, broker, worker, own_engines)
    broker.flushall()
    own_engines.postgres.start()
    for _ in eventually():
        if accepted(own_engines, sent) == MANY:
            break
    await_all(own_engines, sent)
    assert worker.popen.poll() is None


@pytest.mark.parametrize("is_wiped", [False, True], ids=["recorded", "wiped"])
def test_a_batch_is_requeued_when_the_ledger_stays_away(
    own_engines: Engines, processes: Processes, app: Celery, broker: redis.Redis, is_wiped: bool
) -> None:
    """A batch is held for a while and then given back to the broker; redelivered requests run alone.

    A broker that was wiped meanwhile gets it from the worker's memory.
    """
    worker = processes.worker(children=2)
    sent = hold_batches(app, broker, worker, own_engines)
    if is_wiped:
        broker.flushall()

    def held() -> list[dict[str, Any]]:
        return [json.loads(line) for line in worker.said().splitlines() if '"ledger_away"' in line]

    for _ in eventually():
        if not {line.get("task_id") for line in held()}.isdisjoint(one.id for one in sent):
            break
    assert max(line.get("together", 0) for line in held()) > 1
    own_engines.postgres.start()
    await_all(own_engines, sent)
    await_nothing_left(broker)
