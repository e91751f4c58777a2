"""A message that no task can be run from becomes a dead letter, and the worker that received it keeps running."""

import json
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
import redis
from psycopg.rows import dict_row

from tests.integration.workers.messages import ORDER, TASK, UNREADABLE, a_message
from tests.processes import Process, Processes, eventually


@pytest.fixture
def worker(processes: Processes) -> Iterator[Process]:
    """Start one worker, which must still be alive when the test ends."""
    started = processes.worker(children=1)
    yield started
    assert started.popen.poll() is None, started.said()[-3000:]


def test_unreadable_messages_become_dead_letters_and_the_next_order_is_accepted(
    worker: Process, broker_url: str, ledger_url: str
) -> None:
    """Left to Celery, each of these has stopped a worker, or come back for ever, or disappeared."""
    with redis.Redis.from_url(broker_url) as broker, psycopg.connect(ledger_url, row_factory=dict_row) as db:
        db.autocommit = True
        for message, _ in UNREADABLE.values():
            broker.lpush("orders", message)
        broker.lpush("orders", a_message({"task": TASK, "id": str(uuid4())}, json.dumps([[ORDER], {}, {}])))
        protocol_1 = {"task": TASK, "id": "old", "args": [ORDER | {"key": "crm-2"}]}
        broker.lpush("orders", a_message({}, json.dumps(protocol_1)))
        for _ in eventually():
            if len(db.execute("SELECT FROM orders").fetchall()) == 2:
                break
        letters = db.execute("SELECT * FROM dead_letters ORDER BY letter_id").fetchall()
        assert len(letters) == len(UNREADABLE)
        for name, letter, (_, why) in zip(UNREADABLE, letters, UNREADABLE.values(), strict=True):
            assert why in letter["why"], name
            assert letter["queue"] == "orders"
        for _ in eventually():  # the last message is acknowledged after it is in the ledger
            if (broker.llen("orders"), broker.hlen("number-orders:unacked")) == (0, 0):
                break
