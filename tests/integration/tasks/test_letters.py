"""Messages that nobody can read: buried where they are seen, and the worker that met them lives on."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import redis
from celery import Celery, chain, group
from psycopg.rows import dict_row

from tests.processes import Process, Processes, eventually
from workers.dead_letters import MESSAGE_BYTES_MAX
from workers.message_format import fault_in, parcel

NOTHING = "[[], {}, {}]"
TASK = "orders.submit"
ORDER = {"key": "crm-1", "carrier": "bandwidth", "kind": "new_numbers", "criteria": {"npa": "919"}, "quantity": 1}


def letter(
    headers: Any,
    body: str = NOTHING,
    *,
    content_type: str | None = "application/json",
    encoding: str = "utf-8",
    **changes: Any,
) -> str:
    """Return a message as it lies in the broker."""
    message = {
        "body": base64.b64encode(body.encode()).decode(),
        "content-encoding": encoding,
        "content-type": content_type,
        "headers": headers,
        "properties": {
            "delivery_info": {"exchange": "", "routing_key": "orders"},
            "delivery_tag": str(uuid4()),
            "body_encoding": "base64",
            "priority": 0,
        },
        **changes,
    }
    return json.dumps(message)


def found(**properties: Any) -> dict[str, Any]:
    """Return properties of a message, as kombu wants them, with these changes."""
    return {"delivery_tag": "t", "delivery_info": {"exchange": "", "routing_key": "orders"}, **properties}


STRAYS: dict[str, tuple[str | bytes, str]] = {
    "words": ("hello, orders!", "JSONDecodeError"),
    "nothing at all": ("", "JSONDecodeError"),
    "bytes that are no text": (b"\xff\xfe\x00", "UnicodeDecodeError"),
    "a number": ("5", "valid dictionary"),
    "the bare order": (json.dumps(ORDER), "properties: "),
    "an envelope without end": ("[" * 100_000, "RecursionError"),
    "properties that are none": (letter({}, properties=[]), "properties: "),
    "no delivery tag": (letter({}, properties=found(delivery_tag=None)), "delivery_tag"),
    "a delivery tag that cannot be said": (letter({}, properties=found(delivery_tag="\ud800")), "delivery_tag"),
    "no address": (letter({}, properties=found(delivery_info={})), "exchange: "),
    "an encoding of nobody's": (letter({}, properties=found(body_encoding="rot13")), "body_encoding"),
    "a body that does not open": (letter({}, properties=found(body_encoding="base64"), body="a"), "Error: "),
    "headers in a row": (letter(["task", TASK]), "headers: "),
    "a type of nobody's": (letter({"x": {"__type__": "song", "__value__": 1}}), "ValueError: "),
    "a type that it is not": (letter({"x": {"__type__": "base64", "__value__": 1}}), "AttributeError: "),
    "an id of sixteen letters": (
        letter({"x": {"__type__": "uuid", "__value__": {"bytes": "0123456789abcdef"}}}),
        "AssertionError",
    ),
    "letters that are no UTF-8": (
        letter({}).replace('"headers"', '"x": "\xff", "headers"').encode("latin-1"),
        "Unicode",
    ),
    "a figure of somebody else's": (letter({}).replace('"headers"', '"x": 0x10, "headers"'), "JSONDecodeError"),
    "a figure that is none": (letter({"x": {"__type__": "decimal", "__value__": "x"}}), "InvalidOperation: "),
}
"""What was put there by hand, or by something that is no Celery. kombu's own transport ends a worker over each."""

UNREADABLE: dict[str, tuple[str | bytes, str]] = {
    "half a character in a header": (letter({"task": TASK, "id": "1", "x": "\ud800"}, "{"), "cannot be read"),
    "half a character in the task": (letter({"task": "orders.\ud800", "id": "2"}), "task: "),
    "a NUL in the task": (letter({"task": "orders.\x00", "id": "3"}), "task: "),
    "a NUL in the id": (letter({"task": TASK, "id": "4\x00"}), "id: "),
    "a NUL in a header": (letter({"task": TASK, "id": "5", "x": "\x00"}, "{"), "cannot be read"),
    "no task": (letter({"task": [], "id": "6"}), "task: "),
    "no id": (letter({"task": TASK}), "id: "),
    "an id that is none": (letter({"task": TASK, "id": [1]}), "id: "),
    "a body that is an object": (letter({"task": TASK, "id": "7"}, '{"a": 1}'), "body: "),
    "a body that is short": (letter({"task": TASK, "id": "8"}, "[1]"), "0: "),
    "arguments that are none": (letter({"task": TASK, "id": "9"}, "[5, {}, {}]"), "0: "),
    "keywords that are none": (letter({"task": TASK, "id": "10"}, "[[], 5, {}]"), "1: "),
    "callbacks that are none": (letter({"task": TASK, "id": "11"}, '[[], {}, {"callbacks": [5]}]'), "callbacks"),
    "a time that is none": (letter({"task": TASK, "id": "12", "eta": "yesterday"}), "ETA"),
    "an expiry that is none": (letter({"task": TASK, "id": "13", "expires": {}}), "expires: "),
    "half a time limit": (letter({"task": TASK, "id": "14", "timelimit": [60]}), "timelimit: "),
    "time limits that are none": (letter({"task": TASK, "id": "15", "timelimit": ["x", "y"]}), "timelimit"),
    "stamps that are none": (letter({"task": TASK, "id": "16", "stamped_headers": 5, "stamps": 5}), "stamp"),
    "the old form, spoiled": (letter({}, json.dumps({"task": TASK, "id": "17", "args": 5})), "args: "),
    "no headers": (letter(None), "no task message"),
    "a pickle": (letter({"task": TASK, "id": "21"}, content_type="application/x-python-serialize"), "cannot be read"),
    "another charset": (letter({"task": TASK, "id": "22"}, "\xe9", encoding="utf-99"), "cannot be read"),
    "compressed, it says": (letter({"task": TASK, "id": "23", "compression": "application/x-bz2"}), "cannot be read"),
    "far too long": (letter({"task": TASK, "id": "24"}, "x" * (MESSAGE_BYTES_MAX + 1)), "is too long"),
    "no content type": (letter({"task": TASK, "id": "18"}, content_type=None), "body: "),
    "a task of nobody's": (letter({"task": "orders.sing", "id": "19"}), "do not have"),
    "nesting without end": (letter({"task": TASK, "id": "20"}, "[" * 100_000), "cannot be read"),
    **STRAYS,
}


@pytest.fixture
def worker(processes: Processes) -> Iterator[Process]:
    """One worker; it is still alive when the test is over."""
    started = processes.worker(children=1)
    yield started
    assert started.popen.poll() is None, started.said()[-3000:]


def test_whatever_is_unreadable_is_buried_and_the_next_order_is_taken(
    worker: Process, broker_url: str, ledger_url: str
) -> None:
    """Each of these has killed a worker, or gone round and round, or vanished, where Celery was left to itself."""
    with redis.Redis.from_url(broker_url) as broker, psycopg.connect(ledger_url, row_factory=dict_row) as db:
        db.autocommit = True
        for spoiled, _ in UNREADABLE.values():
            broker.lpush("orders", spoiled)
        broker.lpush("orders", letter({"task": TASK, "id": str(uuid4())}, json.dumps([[ORDER], {}, {}])))
        broker.lpush("orders", letter({}, json.dumps({"task": TASK, "id": "old", "args": [ORDER | {"key": "crm-2"}]})))
        for _ in eventually():
            if len(db.execute("SELECT FROM orders").fetchall()) == 2:
                break
        letters = db.execute("SELECT * FROM dead_letters ORDER BY letter_id").fetchall()
        assert len(letters) == len(UNREADABLE)
        for name, buried, (_, why) in zip(UNREADABLE, letters, UNREADABLE.values(), strict=True):
            assert why in buried["why"], name
            assert buried["queue"] == "orders"
        for _ in eventually():  # the last is acknowledged after it is in the ledger
            if (broker.llen("orders"), broker.hlen("unacked")) == (0, 0):
                break


def test_what_celery_sends_is_well_formed(broker_url: str) -> None:
    """Nothing that a Celery of ours or of a producer's sends is taken for a fault, in either protocol."""
    app = Celery("anybody", broker=broker_url, set_as_current=False)
    app.tasks.pop(TASK, None)  # producers have none of our tasks; this process has them where another test wants them
    task = app.signature(TASK)
    later = datetime.fromtimestamp(4e9, UTC)
    with redis.Redis.from_url(broker_url) as broker:
        for protocol in (2, 1):
            app.conf.task_protocol = protocol
            app.send_task(TASK, kwargs={"order": ORDER}, queue="looked-at", task_id=str(uuid4()))
            app.send_task(TASK, [ORDER], queue="looked-at", eta=later, expires=later, shadow="an order", priority=3)
            task.apply_async(queue="looked-at", link=task, link_error=[task], headers={"x-ours": "\x00"})
            chain(task.clone().set(queue="looked-at"), task).apply_async()
            group([task.clone().set(queue="looked-at")] * 2).apply_async()
        queues = [str(key, "ascii") for key in broker.keys("looked-at*")]
        lying = [kept for queue in queues for kept in broker.lrange(queue, 0, -1)]
    app.close()
    assert all(parcel(kept, "looked-at") is kept for kept in lying)
    messages = [json.loads(kept) for kept in lying]
    assert len(messages) == 2 * 6
    for message in messages:
        assert fault_in(message["headers"], json.loads(base64.b64decode(message["body"]))) is None, message


def test_only_our_own_ticks_say_how_long_they_may_take() -> None:
    """Beat sends them with the limit of our settings; what carries an order goes back to the broker in our time."""
    headers = {"task": "orders.sweep", "id": "x", "timelimit": [180, None]}
    assert fault_in(headers, [[], {}, {}]) is None
    assert "time limit" in (fault_in(headers | {"task": TASK}, [[], {}, {}]) or "")


def test_what_is_no_task_message_is_left_to_celery() -> None:
    """It says so itself, and that is where it is buried."""
    assert fault_in({}, "hello") is None
    assert fault_in(None, [[], {}, {}]) is None
