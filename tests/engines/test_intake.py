"""Orders that wait at RabbitMQ survive its death and are accepted in batches; one that kills children is set aside."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery

from number_orders.ledger.migrate import migrate
from number_orders_client import Client
from tests.acceptance.queries import rows
from tests.acceptance.test_poison import KEY, kill_whoever_takes_it
from tests.engines.debian import debian
from tests.engines.servers import Postgres, RabbitMQ, Redis
from tests.integration.workers.conftest import environment
from tests.processes import Processes, eventually

pytestmark = [
    pytest.mark.engines,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

ORDERS = 400
BATCH_AT_LEAST = 100


Place = tuple[Postgres, RabbitMQ, Celery, Processes]


@pytest.fixture(params=["classic", "quorum"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A ledger, a producer's application, and processes that use RabbitMQ with queues of either type."""
    tree = debian("trixie")
    with Postgres(tree) as postgres, RabbitMQ(tree) as broker, Redis(tree) as tickets:
        migrate(postgres.url)
        env = {
            **environment(postgres.url, broker.url),
            "NUMBER_ORDERS_RESULT_URL": tickets.url,
            "NUMBER_ORDERS_QUEUE_TYPE": request.param,
        }
        app = Celery("producer", broker=broker.url, backend=tickets.url, set_as_current=False)
        app.conf.task_create_missing_queue_type = request.param
        with Processes(tmp_path / "log", env) as processes:
            yield postgres, broker, app, processes
        backend: Any = app.backend
        backend.result_consumer.stop()
        backend.client.connection_pool.disconnect()
        app.close()


def an_order(key: str) -> dict[str, Any]:
    return {
        "key": key,
        "carrier": "bandwidth",
        "kind": "new_numbers",
        "criteria": {"npa": "919"},
        "quantity": 1,
        "not_before": "2099-01-01T00:00:00Z",
    }


def test_waiting_orders_share_statements(place: Place, record_property: Callable[[str, object], None]) -> None:
    postgres, _, app, processes = place
    for number in range(ORDERS):
        app.send_task("orders.submit", [an_order(f"crm-{number}")], queue="orders", task_id=str(uuid4()))
    processes.worker(children=4)
    for _ in eventually():
        if rows(postgres.url, "SELECT count(*) AS n FROM orders")[0]["n"] == ORDERS:
            break

    moments = Counter(row["accepted_at"] for row in rows(postgres.url, "SELECT accepted_at FROM orders"))
    took_s = (max(moments) - min(moments)).total_seconds()
    record_property("figures", f"{ORDERS} orders accepted in {took_s:.1f} s by {len(moments)} statements")
    assert max(moments.values()) >= BATCH_AT_LEAST


def test_orders_that_rabbitmq_has_confirmed_survive_its_death(place: Place) -> None:
    """None is sent again: each was on disk when its producer went on."""
    postgres, broker, app, processes = place
    app.conf.broker_transport_options = {"confirm_publish": True}
    for number in range(BATCH_AT_LEAST):
        app.send_task("orders.submit", [an_order(f"crm-{number}")], queue="orders", task_id=str(uuid4()))
    time.sleep(3)  # RabbitMQ does not recover a quorum queue that it made in its last second

    broker.kill_and_start()
    processes.worker(children=2)

    for _ in eventually():
        if rows(postgres.url, "SELECT count(*) AS n FROM orders")[0]["n"] == BATCH_AT_LEAST:
            break


def test_message_that_kills_every_child_becomes_a_dead_letter(place: Place) -> None:
    """It is retried with a delay, for which Celery would declare delay queues on a quorum queue that it knew."""
    postgres, _, app, processes = place
    worker = processes.worker(children=2)

    class Sender:
        """What `kill_whoever_takes_it` needs of a producer."""

    sender: Any = Sender()
    sender.app = app
    kill_whoever_takes_it(sender, an_order(KEY), postgres.url)

    (letter,) = rows(postgres.url, "SELECT why FROM dead_letters")
    assert letter["why"].startswith("has killed every child")
    assert worker.popen.poll() is None
    assert "celery_delayed" not in worker.said()


def test_client_package_gets_its_ticket(place: Place) -> None:
    _, _, app, processes = place
    processes.worker(children=1)
    queue_type = {"task_create_missing_queue_type": app.conf.task_create_missing_queue_type}

    client = Client(app.conf.broker_url, result_url=app.conf.result_backend, celery_settings=queue_type, wait_s=30)

    assert client.submit(an_order("crm-client")).new
    client.close()
