"""The database's address moves to a new primary, and the old one stays up and takes no writes; commits that hang."""

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from number_orders.embedded.engines import Engines
from number_orders.sandbox.control import SandboxControl
from tests.acceptance.conftest import MakeOrder, Producer, environment, quick_carrier
from tests.acceptance.test_clocks import doctor
from tests.conftest import empty_broker
from tests.processes import Processes, eventually
from tests.two_clusters import TwoClusters, two_clusters

pytestmark = [pytest.mark.acceptance, pytest.mark.long]


@pytest.fixture
def carrier() -> Iterator[SandboxControl]:
    with quick_carrier() as control:
        yield control


@pytest.fixture
def broker_url(engines: Engines) -> str:
    return empty_broker(engines)


@pytest.fixture
def clusters(tmp_path: Path) -> Iterator[TwoClusters]:
    """The second has not even what the workers write at their start: it is a backup of before."""
    with two_clusters(tmp_path) as running:
        yield running


@pytest.fixture
def env(clusters: TwoClusters, broker_url: str, carrier: SandboxControl) -> dict[str, str]:
    return environment(clusters.url, broker_url, carrier)


def test_orders_go_on_at_once_at_the_new_primary(
    clusters: TwoClusters, processes: Processes, producer: Producer, an_order: MakeOrder, env: dict[str, str]
) -> None:
    """Once 243 errors in a minute and three of eight orders without a ticket, for up to an hour."""
    processes.beat()
    worker = processes.worker(children=4)
    before = producer.submit(an_order())
    assert producer.await_end(before["order_id"])["state"] == "COMPLETED"

    clusters.demote_first()
    checks = doctor(env)
    assert checks["database"]["verdict"] == "wrong"
    assert "the ledger is read-only" in checks["database"]["says"]
    assert checks["beat"]["verdict"] == "skipped"
    assert "the ledger is read-only" in checks["workers"]["says"]

    since = len(worker.said())
    clusters.move()
    tickets = [producer.submit(an_order(), wait_s=60) for _ in range(8)]
    ends = [producer.await_end(ticket["order_id"])["state"] for ticket in tickets]
    assert ends == ["COMPLETED"] * 8
    errors = re.findall("read-only", worker.said()[since:])
    print(f"read-only errors after the address had moved: {len(errors)}")  # noqa: T201  for docs/reliability.md
    assert len(errors) < 12, worker.said()[since:][-3000:]
    assert doctor(env)["database"]["verdict"] == "good"


def test_the_doctor_blames_the_standby_that_commits_wait_for(
    clusters: TwoClusters, processes: Processes, producer: Producer, an_order: MakeOrder, env: dict[str, str]
) -> None:
    """All children hang in a commit, so nobody sweeps; beat runs all the same."""
    processes.beat()
    processes.worker(children=2)
    producer.submit(an_order())
    with psycopg.connect(clusters.first.url, autocommit=True) as db:
        db.execute("SET synchronous_commit = local")
        db.execute("ALTER SYSTEM SET synchronous_standby_names = 'elsewhere'")
        db.execute("SELECT pg_reload_conf()")
        waiting = [
            producer.app.send_task("orders.submit", [an_order(f"crm-{i}")], queue="orders", task_id=str(i))
            for i in range(6)
        ]
        for _ in eventually():
            if db.execute("SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'").fetchall():
                break
        checks = doctor(env)
        assert "synchronous standby (elsewhere)" in checks["database"]["says"]
        assert checks["beat"]["verdict"] == "skipped", checks["beat"]
        db.execute("ALTER SYSTEM RESET synchronous_standby_names")
        db.execute("SELECT pg_reload_conf()")
    assert all(one.get(timeout=90)["key"] == f"crm-{i}" for i, one in enumerate(waiting))
