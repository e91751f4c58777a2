"""PostgreSQL goes away under a running worker: no order is lost, and none is accepted twice."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import psycopg
import pytest
from celery import Celery

from number_orders.embedded.engines import Engines
from number_orders.ledger.migrate import migrate
from tests.integration.workers.conftest import environment
from tests.later import LATER
from tests.processes import Processes, eventually

ORDER = {"carrier": "bandwidth", "kind": "new_numbers", "criteria": {"npa": "919"}, "quantity": 1}


@pytest.fixture
def own_engines(tmp_path: Path) -> Iterator[Engines]:
    """Start a PostgreSQL that the test may stop."""
    engines = Engines(tmp_path / "own", durable=False)
    engines.postgres.start()
    migrate(engines.database_url)
    yield engines
    engines.postgres.stop()


@pytest.fixture
def env(own_engines: Engines, broker_url: str) -> dict[str, str]:
    return environment(own_engines.database_url, broker_url)


def test_orders_sent_while_the_ledger_is_away_are_accepted_when_it_is_back(
    own_engines: Engines, processes: Processes, app: Celery
) -> None:
    """The worker holds the messages; the tickets come as soon as PostgreSQL is back."""
    worker = processes.worker(children=2)

    def send(task: str, **kwargs: Any) -> Any:
        return app.send_task(task, kwargs=kwargs, queue="orders", task_id=str(uuid4()))

    def order(key: str) -> dict[str, Any]:
        return {"key": key, "not_before": LATER, **ORDER}

    first = send("orders.submit", order=order("before")).get(timeout=60)
    own_engines.postgres.stop()
    waiting = [send("orders.submit", order=order(f"during-{i}")) for i in range(4)]
    waiting.append(send("orders.submit", order=order("before")))
    time.sleep(1.5)
    assert not any(sent.ready() for sent in waiting)
    own_engines.postgres.start()
    tickets = [sent.get(timeout=90) for sent in waiting]
    assert [ticket["new"] for ticket in tickets] == [True, True, True, True, False]
    assert tickets[-1]["order_id"] == first["order_id"]
    assert [ticket["order_id"] for ticket in tickets[:4]] == [sent.id for sent in waiting[:4]]
    with psycopg.connect(own_engines.database_url) as db:
        counted = db.execute("SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM owed)").fetchone()
    assert counted == (5, 5)
    with pytest.raises(ValueError, match="producer: must be a name"):
        send("orders.submit", order=order("after"), producer="a\x00b").get(timeout=60)
    with pytest.raises(ValueError, match="why: must be a printable text"):
        send("orders.cancel", order_id=first["order_id"], why="half a surrogate pair: \ud800").get(timeout=60)
    assert send("orders.cancel", order_id=first["order_id"]).get(timeout=60)["state"] == "CANCELLED"
    assert worker.popen.poll() is None


def test_an_order_whose_pool_child_is_killed_is_accepted_by_another_child(
    own_engines: Engines, processes: Processes, app: Celery
) -> None:
    """The child is killed while it holds the order; the worker lives, and the order still gets into the ledger."""
    worker = processes.worker(children=1)
    order = {"key": "crm-1", "not_before": LATER, **ORDER}
    app.send_task("orders.submit", [order | {"key": "warm"}], queue="orders", task_id=str(uuid4())).get(timeout=60)
    own_engines.postgres.stop()
    sent = app.send_task("orders.submit", [order], queue="orders", task_id=str(uuid4()))
    time.sleep(1)
    for child in psutil.Process(worker.popen.pid).children():
        child.kill()
    own_engines.postgres.start()
    for _ in eventually():
        with psycopg.connect(own_engines.database_url) as db:
            if db.execute("SELECT FROM orders WHERE order_id = %s", [sent.id]).fetchall():
                break
    with psycopg.connect(own_engines.database_url) as db:
        assert db.execute("SELECT why FROM dead_letters").fetchall() == []
