"""Whoever dies over a group of orders, and whatever is forgotten meanwhile: each is accepted once, and answered."""

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
    """A PostgreSQL that may be stopped: a group stays under way while it is."""
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


def all_under_way(app: Celery, broker: redis.Redis, worker: Process, engines: Engines) -> list[AsyncResult[Any]]:
    """Take the ledger away, and return orders that a worker holds on to meanwhile."""
    send(app, order(f"warm-{uuid4()}")).get(timeout=60)
    engines.postgres.stop()
    sent = [send(app, order(f"crm-{uuid4()}")) for _ in range(MANY)]
    worker.await_words("ledger_away")
    for _ in eventually():
        if broker.hlen("unacked") == MANY and not broker.llen("orders"):
            break
    return sent


def accepted(engines: Engines, sent: list[AsyncResult[Any]]) -> int:
    """Return how many of these orders are in the ledger, each with the one thing that it is owed."""
    with psycopg.connect(engines.database_url) as db:
        ids = [one.id for one in sent]
        rows = db.execute("SELECT FROM orders JOIN owed USING (order_id) WHERE order_id = ANY(%s)", [ids]).fetchall()
        assert db.execute("SELECT FROM dead_letters").fetchall() == []
    return len(rows)


def await_all(engines: Engines, sent: list[AsyncResult[Any]]) -> None:
    """Wait until all are answered, and see that the ledger has each of them once."""
    assert [one.get(timeout=90)["order_id"] for one in sent] == [one.id for one in sent]
    assert accepted(engines, sent) == MANY


def await_nothing_left(broker: redis.Redis) -> None:
    for _ in eventually():
        if not broker.exists("orders", "unacked", "unacked_index"):
            return


def test_children_that_die_over_groups(
    own_engines: Engines, processes: Processes, app: Celery, broker: redis.Redis
) -> None:
    """Every order of a group comes again, by itself."""
    worker = processes.worker(children=2)
    sent = all_under_way(app, broker, worker, own_engines)
    for child in psutil.Process(worker.popen.pid).children():
        child.kill()
    own_engines.postgres.start()
    await_all(own_engines, sent)
    await_nothing_left(broker)
    assert worker.popen.poll() is None


def test_an_order_whose_task_is_terminated_takes_no_other_with_it(
    own_engines: Engines, processes: Processes, app: Celery, broker: redis.Redis
) -> None:
    """To terminate one is to kill the child that has all of its group: those were not meant, and come again."""
    worker = processes.worker(children=2)
    sent = all_under_way(app, broker, worker, own_engines)
    meant = sent.pop()
    assert app.control.revoke(meant.id, terminate=True, reply=True, timeout=60, limit=1)
    own_engines.postgres.start()
    assert [one.get(timeout=90)["order_id"] for one in sent] == [one.id for one in sent]
    with pytest.raises(TaskRevokedError):
        meant.get(timeout=90)
    assert accepted(own_engines, sent) == MANY - 1
    await_nothing_left(broker)


def test_a_worker_that_dies_over_groups(
    own_engines: Engines, processes: Processes, app: Celery, broker: redis.Redis
) -> None:
    """Every message of a group is noted as unacknowledged, so the next worker is given all of them, in time."""
    worker = processes.worker(children=2)
    sent = all_under_way(app, broker, worker, own_engines)
    worker.kill()
    own_engines.postgres.start()
    assert accepted(own_engines, sent) == 0
    tags: list[Any] = broker.hkeys("unacked")
    broker.zadd("unacked_index", dict.fromkeys(tags, 1))  # the visibility timeout is over
    processes.worker(children=2)
    await_all(own_engines, sent)
    await_nothing_left(broker)


def test_a_worker_told_to_go_finishes_what_is_under_way_and_gives_back_the_rest(
    own_engines: Engines, processes: Processes, app: Celery, broker: redis.Redis
) -> None:
    worker = processes.worker(children=2)
    sent = all_under_way(app, broker, worker, own_engines)
    worker.popen.terminate()
    own_engines.postgres.start()
    worker.popen.wait(180)
    assert worker.popen.returncode == 0, worker.said()[-3000:]
    assert broker.hlen("unacked") == 0
    assert accepted(own_engines, sent) + broker.llen("orders") == MANY
    processes.worker(children=2)
    await_all(own_engines, sent)
    await_nothing_left(broker)


def test_a_broker_that_forgets_everything(
    own_engines: Engines, processes: Processes, app: Celery, broker: redis.Redis
) -> None:
    """What a worker has in hand is accepted all the same."""
    worker = processes.worker(children=2)
    sent = all_under_way(app, broker, worker, own_engines)
    broker.flushall()
    own_engines.postgres.start()
    for _ in eventually():
        if accepted(own_engines, sent) == MANY:
            break
    await_all(own_engines, sent)
    assert worker.popen.poll() is None


def test_a_ledger_that_stays_away(own_engines: Engines, processes: Processes, app: Celery, broker: redis.Redis) -> None:
    """A group is held for a while, then given back to the broker; what comes again comes by itself."""
    worker = processes.worker(children=2)
    sent = all_under_way(app, broker, worker, own_engines)

    def held() -> list[dict[str, Any]]:
        return [json.loads(line) for line in worker.said().splitlines() if '"ledger_away"' in line]

    for _ in eventually():
        if not {line.get("task_id") for line in held()}.isdisjoint(one.id for one in sent):
            break
    assert max(line.get("together", 0) for line in held()) > 1
    own_engines.postgres.start()
    await_all(own_engines, sent)
    await_nothing_left(broker)
