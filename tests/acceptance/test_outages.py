"""The broker is wiped or gone, PostgreSQL is restarted, in the middle of it: nothing is lost, nothing bought twice."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from embedded.engines import Engines
from embedded.supervisor import Supervisor
from ledger.migrate import migrate
from sandbox.control import SandboxControl
from tests.acceptance.conftest import House, MakeOrder, Producer, producing, quick_carrier
from tests.invariants import broken_promises
from tests.processes import REPOSITORY, eventually

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

ORDERS = 60


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[Engines]:
    """Engines of this test's own, for it to be rough with."""
    with Engines(tmp_path / "var") as own:
        migrate(own.database_url)
        yield own
        assert broken_promises(own.database_url) == []


@pytest.fixture
def house(engines: Engines) -> Iterator[House]:
    with quick_carrier() as carrier:
        yield House(engines.database_url, engines.broker_url, carrier)


@pytest.fixture
def producer(env: dict[str, str], engines: Engines, carrier: SandboxControl, tmp_path: Path) -> Iterator[Producer]:
    """A producer, and a supervised worker and beat that serve it."""
    celery = [sys.executable, "-m", "celery", "-A", "workers.celery_app"]
    with Supervisor(output=tmp_path / "log") as supervisor, producing(engines.broker_url) as orders:
        flags = ["--without-gossip", "--without-mingle", "-c", "3", "-l", "INFO"]
        supervisor.start("worker", [*celery, "worker", *flags], env=with_ours(env), cwd=REPOSITORY)
        supervisor.start("beat", [*celery, "beat"], env=with_ours(env), cwd=REPOSITORY)
        carrier.behave(processing_s=[0.5, 3])
        yield orders


def with_ours(env: dict[str, str]) -> dict[str, str]:
    return {**os.environ, **env}


def test_a_wiped_broker_costs_a_second(
    producer: Producer, engines: Engines, carrier: SandboxControl, an_order: MakeOrder
) -> None:
    """FLUSHALL with orders at every stage: what is accepted reaches its end."""
    submit(producer, an_order)
    with redis.Redis.from_url(engines.broker_url) as broker:
        for _ in range(5):
            time.sleep(0.3)
            broker.flushall()
    all_end(engines, carrier)


# redis-py forgets to close the sockets of a broker that was killed under it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_broker_that_dies_and_comes_back_is_found_again(
    producer: Producer, engines: Engines, carrier: SandboxControl, an_order: MakeOrder
) -> None:
    """SIGKILL for the broker, back after four seconds: a worker that gives up over it is started anew."""
    submit(producer, an_order)
    engines.valkey.kill()
    time.sleep(4)
    engines.valkey.start()
    all_end(engines, carrier)
    ticket = producer.submit(an_order())
    assert producer.await_end(ticket["order_id"])["state"] == "COMPLETED"


def test_a_restarted_database_loses_no_answer_that_was_in_hand(
    producer: Producer, engines: Engines, carrier: SandboxControl, an_order: MakeOrder
) -> None:
    """PostgreSQL goes down with orders on their way, and comes back: once bought, truly ended."""
    submit(producer, an_order)
    engines.postgres.stop()
    time.sleep(2)
    engines.postgres.start()
    all_end(engines, carrier)
    ticket = producer.submit(an_order())
    assert producer.await_end(ticket["order_id"])["state"] == "COMPLETED"


def submit(producer: Producer, an_order: MakeOrder) -> None:
    answer = producer.call("orders.submit_many", [an_order(f"crm-{i}") for i in range(ORDERS)])
    assert len(answer["tickets"]) == ORDERS


def all_end(engines: Engines, carrier: SandboxControl) -> None:
    """Wait until every order is at its end, and compare with the carrier's word."""
    for _ in eventually(within_s=240):
        try:
            with psycopg.connect(engines.database_url) as db:
                ends = db.execute("SELECT state, count(*) FROM orders GROUP BY state").fetchall()
        except psycopg.OperationalError:
            continue
        if ends == [("COMPLETED", ORDERS)]:
            break
    report = carrier.report()
    assert report["duplicates"] == {"customer_order_ids": {}, "numbers": {}}
    assert report["totals"]["orders"] == ORDERS
