"""Messages that nobody can read, and one that kills whoever runs it: they are buried, and orders flow on."""

import contextlib
import os
import random
import signal
from typing import Final
from uuid import uuid4

import psycopg
import pytest
import redis
from celery.exceptions import WorkerLostError

from config.queues import ALL
from number_orders.sandbox.control import SandboxControl
from tests.acceptance.conftest import MakeOrder, Producer
from tests.acceptance.queries import rows
from tests.acceptance.test_killed_workers import Load, await_rest, differences
from tests.integration.workers.messages import UNREADABLE
from tests.processes import Processes, eventually

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.long,
    pytest.mark.timeout(600),
    # The producer's thread ends with sockets open: Celery's results keep theirs per thread and never close them.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ROUNDS: Final = 3
ORDERS: Final = 100
WITHIN_S: Final = 300
KEY: Final = "crm-killer"
IN_THE_WAY: Final = """
    INSERT INTO orders (order_id, producer, key, fingerprint, carrier, kind, request, state, version)
    VALUES (gen_random_uuid(), 'default', %s, '', 'bandwidth', 'new_numbers', '{}', 'ACCEPTED', 0)"""


def test_poison_among_orders_is_buried_and_no_worker_dies_of_it(
    producer: Producer,
    processes: Processes,
    carrier: SandboxControl,
    broker_url: str,
    ledger_url: str,
    an_order: MakeOrder,
) -> None:
    """Every kind of it, three times, in any queue; an order that six children die of; and orders all the while."""
    dice = random.Random(20261122)
    processes.beat()
    workers = [processes.worker(), processes.worker()]
    load = Load(producer, an_order, dice)
    load.start()
    poison = [spoiled for spoiled, _ in UNREADABLE.values()] * ROUNDS
    dice.shuffle(poison)
    with redis.Redis.from_url(broker_url) as broker:
        for spoiled in poison:
            broker.lpush(dice.choice(ALL), spoiled)
    children = kill_whoever_takes_it(producer, an_order(KEY), ledger_url)
    for _ in eventually(WITHIN_S):
        if len(rows(ledger_url, "SELECT FROM dead_letters")) >= len(poison) + 1:
            break
    letters = rows(ledger_url, "SELECT why FROM dead_letters")
    assert len(letters) == len(poison) + 1
    assert [letter for letter in letters if letter["why"].startswith("has killed every child")]

    again = producer.submit(
        an_order(KEY)
    )  # with the same key it is the same order, whatever became of the first message
    tickets = load.finish(at_least=ORDERS) | {again["order_id"]}
    orders = await_rest(ledger_url, len(tickets))
    report = carrier.report()
    assert report["duplicates"] == {"customer_order_ids": {}, "numbers": {}}
    assert {order["order_id"] for order in orders} == tickets
    assert differences(orders, report["orders"], ledger_url) == []
    assert [worker.popen.poll() for worker in workers] == [None, None]
    print(f"{len(poison)} unreadable messages, {children} children killed by one, {len(orders)} orders")  # noqa: T201


def kill_whoever_takes_it(producer: Producer, order: dict[str, object], ledger_url: str) -> int:
    """Send an order and kill every child that has it, until it is given up; return how many that were.

    They can be told because the order's key is being written by somebody else, for whom they wait.
    """
    killed: set[int] = set()
    with psycopg.connect(ledger_url) as db:
        db.execute(IN_THE_WAY, [order["key"]])
        sent = producer.app.send_task("orders.submit", [order], queue="orders", task_id=str(uuid4()))
        for _ in eventually(WITHIN_S):
            if sent.state == "FAILURE":
                break
            for pid in holders(producer, sent.id):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        db.rollback()
    with pytest.raises(WorkerLostError):
        sent.get(timeout=60)
    return len(killed)


def holders(producer: Producer, task_id: str) -> list[int]:
    """Return the children that run a task at this moment."""
    active = producer.app.control.inspect(timeout=5, limit=2).active() or {}
    return [task["worker_pid"] for tasks in active.values() for task in tasks if task["id"] == task_id]
