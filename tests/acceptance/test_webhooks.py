"""Real workers send documents to a producer's HTTPS server: every end arrives, signed, whoever is killed meanwhile."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from tests.acceptance.conftest import MakeOrder, Producer
from tests.hook_receiver import CA, HANGS, OK, HookReceiver, Received, Reply, running_receiver, status
from tests.processes import REPOSITORY, Processes, eventually

pytestmark = pytest.mark.acceptance

ON: Final = ["ACCEPTED", "OPEN", "COMPLETED"]


@pytest.fixture
def receiver() -> Iterator[HookReceiver]:
    """A server that answers two of five requests badly, or not at all."""
    count = 0

    def answer(_: Received) -> Reply:
        nonlocal count
        count += 1
        return {0: status(500), 1: HANGS}.get(count % 5, OK)

    with running_receiver(answer) as running:
        yield running


def settings(receiver: HookReceiver) -> dict[str, str]:
    """Return what a worker needs to reach the receiver, and to try again quickly."""
    return {
        "NUMBER_ORDERS_WEBHOOKS__CA_FILE": str(CA),
        "NUMBER_ORDERS_WEBHOOKS__PORTS": f"[{receiver.port}]",
        "NUMBER_ORDERS_WEBHOOKS__ALLOWED_NETWORKS": '["127.0.0.0/8"]',
        "NUMBER_ORDERS_WEBHOOKS__TIMEOUT_S": "1",
        "NUMBER_ORDERS_WEBHOOKS__RETRY_FIRST_S": "0.2",
        "NUMBER_ORDERS_WEBHOOKS__RETRY_MAX_S": "2",
    }


@pytest.mark.timeout(400)
def test_every_change_arrives_in_order_though_workers_are_killed(
    processes: Processes, producer: Producer, receiver: HookReceiver, ledger_url: str, an_order: MakeOrder
) -> None:
    """Killed between delivery and record, a document comes again under the same id."""
    env = settings(receiver)
    secret = add_secret(processes)
    processes.beat()
    workers = [processes.worker(env=env), processes.worker(env=env)]
    notify = {"url": receiver.url("/hooks"), "on": ON}
    answer = producer.call("orders.submit_many", [an_order(notify=notify) for _ in range(60)])
    assert len(answer["tickets"]) == 60, answer
    for _ in range(3):
        sent = len(receiver.received)
        for _ in eventually(60):
            if len(receiver.received) > sent + 10:
                break
        workers.pop(0).kill()
        workers.append(processes.worker(env=env))
    for _ in eventually(200):
        if not missing(ledger_url):
            break
    heard: dict[str, list[Any]] = {}
    ids: dict[str, bytes] = {}
    for request in receiver.received:
        document = request.verified(secret)
        assert ids.setdefault(request.headers["webhook-id"], request.body) == request.body
        versions = heard.setdefault(document["order_id"], [])
        if document["version"] not in versions:
            versions.append(document["version"])
    assert heard.keys() == {ticket["order_id"] for ticket in answer["tickets"]}
    assert all(versions == sorted(versions) for versions in heard.values())
    assert {order_id: len(versions) for order_id, versions in heard.items()} == documents(ledger_url)


def add_secret(processes: Processes, producer: str = "default") -> str:
    """Type the command, and return the secret that it shows."""
    command = [str(Path(sys.executable).with_name("number-orders")), "webhook-secrets", producer, "add", "--json"]
    typed = subprocess.run(
        command, env=processes.whole_env, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False
    )
    assert typed.returncode == 0, typed.stderr
    secret: str = json.loads(typed.stdout)["secret"]
    return secret


def missing(ledger_url: str) -> list[Any]:
    """Return what has not ended, or was not delivered."""
    with psycopg.connect(ledger_url) as db:
        return db.execute("""
            SELECT order_id FROM orders WHERE ended_at IS NULL
            UNION SELECT order_id FROM tellings WHERE told_at IS NULL""").fetchall()


def documents(ledger_url: str) -> dict[str, int]:
    """Return how many documents each order has."""
    with psycopg.connect(ledger_url) as db:
        return {str(row[0]): row[1] for row in db.execute("SELECT order_id, count(*) FROM tellings GROUP BY order_id")}
