"""A worker whose broker is killed reconnects and goes on, even while it holds an order."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery

from number_orders.embedded.engines import Engines
from number_orders.ledger.migrate import migrate
from tests.integration.workers.conftest import environment
from tests.later import LATER
from tests.processes import Processes

ORDER = {"carrier": "bandwidth", "kind": "new_numbers", "criteria": {"npa": "919"}, "quantity": 1}


@pytest.fixture
def own_engines(tmp_path: Path) -> Iterator[Engines]:
    """Start engines that the test may stop and kill."""
    with Engines(tmp_path / "own", durable=False) as engines:
        migrate(engines.database_url)
        yield engines


@pytest.fixture
def env(own_engines: Engines) -> dict[str, str]:
    return environment(own_engines.database_url, own_engines.broker_url)


def test_a_worker_that_holds_an_order_survives_the_death_of_its_broker(
    own_engines: Engines, processes: Processes
) -> None:
    """Without a ledger the message stays unacknowledged; then the broker is killed, and later both come back."""
    worker = processes.worker(children=2)
    own_engines.postgres.stop()
    submit(own_engines.broker_url, "held")
    worker.await_words("error connecting")
    own_engines.valkey.kill()
    worker.await_words("Connection refused")
    own_engines.valkey.start()
    own_engines.postgres.start()
    sent = submit(own_engines.broker_url, "after")
    assert ticket(own_engines.broker_url, sent)["key"] == "after"
    assert worker.popen.poll() is None


def submit(broker_url: str, key: str) -> str:
    """Submit an order that is scheduled for years later; return the task id."""
    order = {"key": key, "not_before": LATER, **ORDER}
    with Celery("producer", broker=broker_url, set_as_current=False) as app:
        return str(app.send_task("orders.submit", [order], queue="orders", task_id=str(uuid4())).id)


def ticket(broker_url: str, task_id: str) -> dict[str, Any]:
    """Wait for the ticket of an order."""
    with Celery("producer", backend=broker_url, set_as_current=False) as app:
        answer: Any = app.AsyncResult(task_id).get(timeout=90)
        backend: Any = app.backend  # the stubs know only the base class
        backend.result_consumer.stop()
        backend.client.connection_pool.disconnect()
        return dict(answer)
