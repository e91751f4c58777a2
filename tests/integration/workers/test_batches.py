"""Orders that wait together are accepted in batches; each still has its own answer, acknowledgement and events."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import redis
from celery import Celery
from celery.exceptions import TaskRevokedError
from celery.result import AsyncResult

from tests.flower_events import task_events
from tests.integration.workers.messages import a_message
from tests.later import LATER
from tests.processes import Processes, eventually

ORDER = {
    "carrier": "bandwidth",
    "kind": "new_numbers",
    "criteria": {"npa": "919"},
    "quantity": 1,
    "not_before": LATER,
}
MANY = 40
PAST = datetime.fromtimestamp(1e9, UTC)


@pytest.fixture
def broker(broker_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(broker_url, decode_responses=True) as client:
        yield client


def order(key: str, **other: Any) -> dict[str, Any]:
    return {"key": key, **ORDER, **other}


def send(app: Celery, raw: Any, *, task_id: str | None = None, **options: Any) -> AsyncResult[Any]:
    """Send an order, as the README says."""
    return app.send_task("orders.submit", [raw], queue="orders", task_id=task_id or str(uuid4()), **options)


def largest_statement(db: psycopg.Connection[Any]) -> int:
    """Return how many orders the largest statement accepted: all of one statement have the same `accepted_at`."""
    moments = Counter(row[0] for row in db.execute("SELECT accepted_at FROM orders").fetchall())
    return max(moments.values())


def test_orders_that_wait_together_are_accepted_by_one_statement_and_answered_separately(
    processes: Processes, app: Celery, broker: redis.Redis, ledger_url: str
) -> None:
    """Bad orders, an expired one, one sent twice and one with callbacks among them change nothing for the others."""
    twice = str(uuid4())
    good = [send(app, order(f"crm-{i}")) for i in range(MANY // 2)]
    faulty = send(app, order("faulty", quantity=0))
    no_call = app.send_task("orders.submit", kwargs={"ordre": {}}, queue="orders", task_id=str(uuid4()))
    again = [send(app, order("again"), task_id=twice) for _ in range(2)]
    changed = send(app, order("crm-0", quantity=2))
    send(app, order("under another's id"), task_id=good[0].id)
    expired = send(app, order("too-late"), expires=PAST)
    unasked = send(app, order("unasked"), ignore_result=True)
    linked = send(app, order("linked"), link=app.signature("crm.told", queue="crm"))
    within = send(app, order("within"), parent_id="its parent", group_id="its group")
    nameless = send(app, order("nameless"), task_id="crm/4711")
    broker.lpush("orders", a_message({"task": "orders.submit", "id": "unreadable"}, "{"))
    good += [send(app, order(f"crm-{i}")) for i in range(MANY // 2, MANY)]

    with task_events(app, broker) as events:
        processes.worker(children=2)
        tickets = [sent.get(timeout=90) for sent in good]
        answered = [within.get(timeout=90), linked.get(timeout=90), nameless.get(timeout=90)]
        for sent, words in (
            (faulty, "order refused: quantity: "),
            (no_call, "order refused: message: must have the arguments order"),
            (changed, "order refused: key: stands for another order"),
        ):
            with pytest.raises(ValueError, match=words):
                sent.get(timeout=90)
        with pytest.raises(TaskRevokedError):
            expired.get(timeout=90)
        for _ in eventually():  # the acknowledgement and the event follow the answer
            shown = [sent.id for sent in good if sent.id in events]
            if (
                not broker.exists("orders", "number-orders:unacked", "number-orders:unacked_index")
                and len(shown) == MANY
            ):
                break
    assert tickets == [
        {"order_id": sent.id, "key": f"crm-{i}", "state": "ACCEPTED", "new": True} for i, sent in enumerate(good)
    ]
    assert [ticket["new"] for ticket in answered] == [True, True, True]
    assert answered[-1]["order_id"] != nameless.id
    assert [sent.get(timeout=90)["order_id"] for sent in again] == [twice, twice]
    assert broker.llen("crm") == 1
    for sent in good[1:]:
        assert [event["type"] for event in events[sent.id]] == ["task-received"]
    assert faulty.id not in events  # Flower shows orders, and this is none

    alone, together = (json.loads(broker.get(f"celery-task-meta-{sent.id}") or "") for sent in (linked, good[1]))
    assert together == alone | {name: together[name] for name in ("result", "children", "date_done", "task_id")}
    assert (together["children"], together["task_id"]) == ([], good[1].id)
    assert 0 < broker.ttl(f"celery-task-meta-{good[1].id}") <= broker.ttl(f"celery-task-meta-{linked.id}") + 60
    kept = json.loads(broker.get(f"celery-task-meta-{within.id}") or "")
    assert (kept["parent_id"], kept["group_id"]) == ("its parent", "its group")
    assert broker.get(f"celery-task-meta-{unasked.id}") is None

    with psycopg.connect(ledger_url) as db:
        assert largest_statement(db) > MANY
        assert db.execute("SELECT task_id FROM dead_letters").fetchall() == [("unreadable",)]
        keys = {row[0] for row in db.execute("SELECT key FROM orders").fetchall()}
    assert keys == {"again", "unasked", "linked", "within", "nameless", *(f"crm-{i}" for i in range(MANY))}


def test_more_orders_than_fit_into_a_batch_are_accepted_in_several(
    processes: Processes, app: Celery, broker: redis.Redis, ledger_url: str
) -> None:
    """Three hundred wait at the start; a hundred more arrive while the worker works."""
    sent = [send(app, order(f"crm-{i}")) for i in range(300)]
    processes.worker(children=2)
    sent += [send(app, order(f"crm-{i}")) for i in range(300, 400)]
    assert [one.get(timeout=90)["order_id"] for one in sent] == [one.id for one in sent]
    for _ in eventually():
        if not broker.exists("orders", "number-orders:unacked", "number-orders:unacked_index"):
            break
    with psycopg.connect(ledger_url) as db:
        assert 1 < largest_statement(db) <= 256


def test_an_order_that_makes_its_batch_fail_fails_alone(processes: Processes, app: Celery, ledger_url: str) -> None:
    """PostgreSQL refuses one order; all the others of its batch are accepted."""
    with psycopg.connect(ledger_url, autocommit=True) as db:
        db.execute("ALTER TABLE orders ADD CHECK (key <> 'breaks')")
    good = [send(app, order(f"crm-{i}")) for i in range(5)]
    breaking = send(app, order("breaks"))
    good += [send(app, order(f"crm-{i}")) for i in range(5, 10)]
    processes.worker(children=2).await_words("order_not_storable")
    assert [one.get(timeout=90)["new"] for one in good] == [True] * 10
    with pytest.raises(Exception, match="violates check constraint"):
        breaking.get(timeout=90)
