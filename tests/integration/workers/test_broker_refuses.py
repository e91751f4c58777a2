"""A broker that accepts connections and refuses commands is tried at ever longer pauses; a restarted one at once."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from celery import Celery
from pydantic import SecretStr
from structlog.testing import capture_logs

from config.settings import Settings
from number_orders.cli.doctor.broker_checks import check_broker
from number_orders.cli.doctor.checks import Verdict
from number_orders.embedded.valkey import EmbeddedValkey
from number_orders.fulfilment.ports import Delivery
from number_orders.ledger.outbox import OutboxMessage
from number_orders.orders.model import CarrierName, Lane, OrderId
from tests.integration.workers.messages import ORDER
from tests.processes import Process, Processes, eventually
from workers.senders import make_bell, make_notifier

SUBMIT = (CarrierName("bandwidth"), Lane.SUBMIT)


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A broker of the test's own, to be made read-only and restarted."""
    with EmbeddedValkey(tmp_path / "valkey") as running:
        yield running


@pytest.fixture
def broker_url(valkey: EmbeddedValkey) -> str:
    return valkey.url


def set_read_only(url: str, *, read_only: bool) -> None:
    """Make a server the replica of one that does not exist, as a failover that went wrong does; or undo that."""
    with redis.Redis.from_url(url) as broker:
        broker.replicaof(*(("127.0.0.1", "1") if read_only else ("NO", "ONE")))


def tries(worker: Process) -> int:
    """Return how often the worker has lost its connection."""
    return len(re.findall("Connection to broker lost", worker.said()))


def test_a_worker_pauses_between_its_tries_and_goes_on_by_itself(
    processes: Processes, app: Celery, broker_url: str
) -> None:
    """Celery connects, is refused, and connects again, some twenty times a second."""
    worker = processes.worker(children=1)
    set_read_only(broker_url, read_only=True)
    worker.await_words("Connection to broker lost")
    time.sleep(10)
    assert tries(worker) <= 6, worker.said()[-3000:]
    for _ in eventually():
        if tries(worker) >= 2:
            break
    check = check_broker(Settings(broker_url=SecretStr(broker_url)))
    assert check.verdict is Verdict.WRONG
    assert "takes no writes" in check.says
    set_read_only(broker_url, read_only=False)
    sent = app.send_task("orders.submit", [ORDER], queue="orders", task_id=str(uuid4()))
    assert sent.get(timeout=60)["new"]
    assert worker.popen.poll() is None


def test_the_first_wake_up_and_document_after_a_restart_arrive(valkey: EmbeddedValkey) -> None:
    """The connections from before are closed; each is replaced instead of costing what it was used for first."""
    settings = Settings(broker_url=SecretStr(valkey.url))
    bell, notifier = make_bell(settings), make_notifier(settings)
    document = Delivery(OutboxMessage(OrderId(uuid4()), 1, {"state": "OPEN"}), "crm.moved", "crm")
    bell.ring([SUBMIT])
    bell.reset(*SUBMIT)
    assert notifier.deliver([document]) == [None]
    valkey.stop()
    valkey.start()
    with capture_logs() as lines:
        bell.ring([SUBMIT])
        assert notifier.deliver([document]) == [None]
    assert lines == []
    with redis.Redis.from_url(valkey.url) as broker:
        assert (broker.llen("orders.bells.submit"), broker.llen("crm")) == (2, 2)
