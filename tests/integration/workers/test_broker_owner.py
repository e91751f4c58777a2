"""A worker serves only the broker of its own ledger, and none that it does not know to be that."""

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import redis
from celery import Celery
from typer.testing import CliRunner

from number_orders.cli.app import app as commands
from number_orders.embedded.engines import Engines
from number_orders.ledger.identity import read_identity
from tests.conftest import fresh_ledger
from tests.integration.workers.conftest import environment
from tests.integration.workers.messages import ORDER
from tests.processes import Processes, eventually
from workers.broker_owner import EXIT_CODE, KEY


@pytest.fixture
def broker(broker_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(broker_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def other_ledger(engines: Engines, ledger_template: str) -> Iterator[str]:
    with fresh_ledger(engines) as url:
        yield url


@pytest.fixture
def others(other_ledger: str, broker_url: str, tmp_path: Path) -> Iterator[Processes]:
    """Start processes of another installation that was given our broker."""
    with Processes(tmp_path / "others", environment(other_ledger, broker_url)) as running:
        yield running


def orders(url: str) -> int:
    with psycopg.connect(url) as db:
        return len(db.execute("SELECT FROM orders").fetchall())


def take_broker(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(commands, ["take-broker"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_worker_of_another_ledger_takes_no_order_and_says_why(
    processes: Processes, others: Processes, app: Celery, broker: redis.Redis, ledger_url: str, other_ledger: str
) -> None:
    """Three of twenty orders would land in the other ledger, and their producer would be told to send again."""
    processes.worker(children=1)
    stranger = others.worker(children=1, wait=False)
    sent = [
        app.send_task("orders.submit", [{**ORDER, "key": f"crm-{i}"}], queue="orders", task_id=str(uuid4()))
        for i in range(20)
    ]
    assert all(one.get(timeout=90)["new"] for one in sent)
    assert stranger.popen.wait(90) == EXIT_CODE
    assert "broker_of_another_ledger" in stranger.said()
    assert "take-broker" in stranger.said()
    assert (orders(ledger_url), orders(other_ledger)) == (20, 0)
    assert json.loads(broker.get(KEY) or "")["ledger_id"] == read_identity(ledger_url).ledger_id


def test_an_operator_hands_the_broker_to_the_ledger_that_replaces_the_old_one(
    processes: Processes,
    others: Processes,
    app: Celery,
    ledger_url: str,
    other_ledger: str,
    broker_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The workers of the old ledger stop; those of the new one serve what waits."""
    old = processes.worker(children=1)
    said = take_broker(environment(other_ledger, broker_url), monkeypatch)
    assert read_identity(other_ledger).ledger_id in said.partition("; before: ")[0]
    assert read_identity(ledger_url).ledger_id in said.partition("; before: ")[2]
    assert old.popen.wait(90) == EXIT_CODE
    others.worker(children=1)
    sent = app.send_task("orders.submit", [ORDER], queue="orders", task_id=str(uuid4()))
    assert sent.get(timeout=90)["new"]
    assert (orders(ledger_url), orders(other_ledger)) == (0, 1)


def test_a_wiped_broker_is_ours_again_at_once(processes: Processes, broker: redis.Redis, ledger_url: str) -> None:
    """Otherwise a worker of another ledger that keeps being restarted could take it."""
    processes.worker(children=1)
    broker.flushall()
    for _ in eventually(within_s=30):
        if owner := broker.get(KEY):
            assert json.loads(owner)["ledger_id"] == read_identity(ledger_url).ledger_id
            break


def test_a_worker_takes_nothing_before_its_ledger_has_answered(
    processes: Processes, app: Celery, broker: redis.Redis, ledger_url: str
) -> None:
    """It cannot know whose broker it has; the orders wait in the queue, where they are safe."""
    nowhere = {"NUMBER_ORDERS_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    blind = processes.worker(children=1, env=nowhere)
    sent = app.send_task("orders.submit", [ORDER], queue="orders", task_id=str(uuid4()))
    blind.await_words("broker_not_served")
    assert broker.llen("orders") == 1
    assert broker.get(KEY) is None
    blind.kill()
    processes.worker(children=1)
    assert sent.get(timeout=90)["new"]


def test_something_else_under_the_key_is_nobodys_permission(
    processes: Processes, app: Celery, broker: redis.Redis
) -> None:
    """The worker lives, serves nothing, and goes on by itself once the key is deleted."""
    broker.lpush(KEY, "something else")
    worker = processes.worker(children=1)
    sent = app.send_task("orders.submit", [ORDER], queue="orders", task_id=str(uuid4()))
    worker.await_words("broker_not_served")
    assert broker.llen("orders") == 1
    broker.delete(KEY)
    assert sent.get(timeout=90)["new"]
    assert worker.popen.poll() is None
