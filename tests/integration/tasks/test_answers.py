"""A refusal is an answer: typed for callers that read it so, the old exception for all others, never a failed task."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import redis
from celery import Celery

from number_orders_client.contract import ANSWERS_HEADER, ANSWERS_TYPED, Problem
from tests.later import LATER
from tests.processes import Process, Processes, eventually

ORDER = {
    "key": "crm-1",
    "carrier": "bandwidth",
    "kind": "new_numbers",
    "criteria": {"npa": "919"},
    "quantity": 1,
    "not_before": LATER,
}
BAD = ORDER | {"quantity": 0}
TYPED = {ANSWERS_HEADER: ANSWERS_TYPED}


@pytest.fixture
def worker(processes: Processes) -> Process:
    return processes.worker(children=1)


@pytest.fixture
def keys(ledger_url: str) -> Iterator[Any]:
    """Return the keys of the stored orders."""
    with psycopg.connect(ledger_url, autocommit=True) as db:
        yield lambda: [key for (key,) in db.execute("SELECT key FROM orders ORDER BY key").fetchall()]


def call(app: Celery, task: str, **kwargs: Any) -> Any:
    """Call a task as the client of this release does."""
    queue = "orders.operators" if task in {"orders.park", "orders.resolve"} else "orders"
    return app.send_task(task, kwargs=kwargs, queue=queue, headers=TYPED).get(timeout=60)


def submit(app: Celery, order: Any, task_id: str) -> Any:
    """Submit an order as an application that knows Celery only."""
    return app.send_task("orders.submit", [order], queue="orders", task_id=task_id).get(timeout=60)


@contextmanager
def refused(words: str) -> Iterator[None]:
    with pytest.raises(ValueError, match=words):
        yield


def test_a_refusal_is_an_answer_and_no_failed_task(worker: Process, app: Celery, broker_url: str) -> None:
    """One line of the log, errbacks as for a failure; and what was linked to success is not run."""
    links: dict[str, Any] = {
        "link": app.signature("crm.took", queue="crm"),
        "link_error": app.signature("crm.refused", queue="crm-no"),
    }
    with redis.Redis.from_url(broker_url, decode_responses=True) as broker:
        plain = app.send_task("orders.submit", [BAD], queue="orders", **links)
        with refused("order refused: quantity: "):
            plain.get(timeout=60)
        typed = app.send_task("orders.submit", [BAD], queue="orders", headers=TYPED)
        problem = Problem.model_validate(typed.get(timeout=60)["problem"])
        for _ in eventually():
            if broker.llen("crm-no"):
                break
        assert (broker.llen("crm"), broker.llen("crm-no")) == (0, 1)
    assert problem.type == "urn:number-orders:problem:order-refused"
    assert [fault.field for fault in problem.faults] == ["quantity"]
    said = worker.said()
    assert "Traceback" not in said
    assert len([line for line in said.splitlines() if "refused" in line]) == 2, said


def test_every_kind_of_refusal_has_its_name(worker: Process, app: Celery) -> None:
    """Wrong arguments too; an application on plain Celery gets the exceptions that it always got."""
    ticket = call(app, "orders.submit", order=ORDER, producer="crm")
    order_id = ticket["order_id"]
    assert call(app, "orders.get", key="crm-1", producer="crm")["order_id"] == order_id
    cancelled = call(app, "orders.cancel", order_id=order_id, by="crm", why="not needed")
    assert (cancelled["state"], cancelled["order_id"], cancelled["final"]) == ("CANCELLED", order_id, True)

    def name(task: str, **kwargs: Any) -> str:
        kind: str = call(app, task, **kwargs)["problem"]["type"]
        return kind.removeprefix("urn:number-orders:problem:")

    assert name("orders.submit", order=ORDER | {"quantity": 2}, producer="crm") == "key-conflict"
    assert name("orders.get", order_id=str(uuid4())) == "unknown-order"
    assert name("orders.get", key="crm-1", producer="another") == "unknown-order"
    assert name("orders.get", key="a\x00b", producer="crm") == "unknown-order"
    assert name("orders.get") == "order-refused"
    assert name("orders.cancel", order_id=order_id, why="\x00") == "order-refused"
    assert name("orders.cancel", order_id=order_id, whom="me") == "order-refused"
    assert name("orders.submit_many", orders="no list") == "order-refused"
    assert name("orders.park", order_id=order_id, why="why", by="me") == "not-parkable"
    assert name("orders.resolve", order_id=order_id, as_="failed", why="why", by="me") == "not-resolvable"
    with pytest.raises(Exception, match="no order") as unknown:
        app.send_task("orders.get", [str(uuid4())], queue="orders").get(timeout=60)
    assert type(unknown.value).__name__ == "UnknownOrder"
    assert "Traceback" not in worker.said()


def test_a_corrected_order_under_the_id_of_a_refused_one_is_not_accepted_behind_its_producers_back(
    worker: Process, app: Celery, keys: Any
) -> None:
    """Its producer reads the stored refusal. So nothing is accepted, and the refusal that follows names the id."""
    used = str(uuid4())
    with refused("order refused: quantity: "):
        submit(app, BAD, used)
    with refused("order refused: quantity: "):
        submit(app, ORDER, used)
    for _ in eventually():  # the second message is answered after its producer has read the answer of the first
        if "has the refusal of an earlier message" in worker.said():
            break
    with refused(f"order_id: the task id {used} has the refusal of an earlier message; send this order with a new"):
        submit(app, ORDER, used)
    assert keys() == []
    assert submit(app, ORDER, str(uuid4()))["new"] is True
    assert keys() == ["crm-1"]


def test_an_accepted_order_gets_its_ticket_whatever_was_refused_under_its_id(
    worker: Process, app: Celery, keys: Any
) -> None:
    used = str(uuid4())
    with refused("order refused: quantity: "):
        submit(app, BAD, used)
    ticket = submit(app, ORDER, str(uuid4()))
    app.send_task("orders.submit", [ORDER], queue="orders", task_id=used)
    stored: Any = None
    for _ in eventually():  # it takes the place of the refusal
        stored = app.backend.get_task_meta(used, cache=False)
        if stored["status"] == "SUCCESS":
            break
    assert stored["result"] == ticket | {"new": False}
    assert keys() == ["crm-1"]


def test_answers_of_our_client_have_ids_of_their_own(worker: Process, app: Celery, keys: Any) -> None:
    """The order's id is an argument, so a corrected order under the same id is answered with its own ticket."""
    order_id = str(uuid4())
    assert "problem" in call(app, "orders.submit", order=BAD, order_id=order_id)
    assert call(app, "orders.submit", order=ORDER, order_id=order_id)["order_id"] == order_id
    conflict = call(app, "orders.submit", order=ORDER | {"key": "crm-2"}, order_id=order_id)["problem"]
    assert f"{order_id} is the id of an order with another key" in conflict["detail"]
    assert keys() == ["crm-1"]


def test_the_sender_of_a_message_that_cannot_be_read_is_told(worker: Process, app: Celery) -> None:
    """It unpacks to more than is read. A compressed message of ordinary length is taken."""
    long = ORDER | {"notes": "x" * 5_000_000}
    sent = app.send_task("orders.submit", [long], queue="orders", headers=TYPED, compression="gzip")
    assert "unpacks to more than 4194304 bytes" in sent.get(timeout=60)["problem"]["detail"]
    plain = app.send_task("orders.submit", [long], queue="orders", compression="gzip")
    with refused("order refused: message: cannot be read: .*unpacks to more than 4194304 bytes"):
        plain.get(timeout=60)
    short = app.send_task("orders.submit", [ORDER], queue="orders", headers=TYPED, compression="gzip")
    assert short.get(timeout=60)["key"] == "crm-1"
