"""Over the queue, two producers cannot see, cancel or pay for each other's orders, and only operators decide."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast
from uuid import uuid4

import psycopg
import pytest
import redis
from celery import Celery

from number_orders.ledger.allowances import Limit
from number_orders.ledger.ledger import PostgresLedger
from number_orders.orders.budget import Span
from number_orders_client.signing import Message, sign
from tests.integration.workers.conftest import environment
from tests.later import LATER
from tests.processes import Processes

ORDER = {"carrier": "bandwidth", "kind": "new_numbers", "criteria": {"npa": "919"}, "quantity": 3, "not_before": LATER}
OPERATORS = "orders.operators"
NOON = datetime(2020, 1, 1, 12, tzinfo=UTC)  # a message may wait for years, and clocks may be wrong


class Sender:
    """Sends messages, signed by somebody."""

    def __init__(self, app: Celery, name: str | None, secret: str | None = None, queue: str = "orders") -> None:
        self._app, self._name, self._secret, self._queue = app, name, secret, queue

    def headers(self, task: str, task_id: str, kwargs: Mapping[str, Any]) -> dict[str, str]:
        if self._name is None or self._secret is None:
            return {}
        message = Message(task, task_id, (), kwargs)
        return sign(message, signer=self._name, secret=self._secret, signed_at=NOON)

    def call(self, task: str, *, task_id: str | None = None, **kwargs: Any) -> Any:
        """Send a message and return the answer, or the words of the refusal."""
        task_id = task_id or str(uuid4())
        return self.send(task, task_id, kwargs, self.headers(task, task_id, kwargs))

    def send(self, task: str, task_id: str, kwargs: Mapping[str, Any], headers: Mapping[str, str]) -> Any:
        sent = self._app.send_task(task, kwargs=dict(kwargs), queue=self._queue, task_id=task_id, headers=dict(headers))
        try:
            return sent.get(timeout=60)
        except Exception as refusal:  # noqa: BLE001  whatever Celery makes of it
            return str(refusal)

    def order(self, key: str, **more: Any) -> Any:
        return self.call("orders.submit", order={"key": key, **ORDER}, **more)


@pytest.fixture
def env(ledger_url: str, broker_url: str) -> dict[str, str]:
    more = {"NUMBER_ORDERS_SIGNED_MESSAGES": "required", "NUMBER_ORDERS_OPERATORS_QUEUE": "true"}
    return environment(ledger_url, broker_url) | more


@pytest.fixture
def keys(ledger_url: str) -> dict[str, str]:
    """The signing keys of two producers, who may order four numbers an hour, and of an operator."""

    async def add() -> dict[str, str]:
        made = {}
        async with PostgresLedger.at(ledger_url) as ledger:
            for name, role in (("crm", "producer"), ("web", "producer"), ("ann", "operator")):
                await ledger.producers.add(name, role, by="test")
                made[name] = await ledger.producers.make_signing_key(name, by="test") or ""
                await ledger.allowances.set_limits(name, [Limit(Span.HOUR, 4)])
        return made

    return asyncio.run(add())


def events(ledger_url: str) -> list[tuple[str, str | None]]:
    with psycopg.connect(ledger_url) as db:
        return db.execute("SELECT event, detail ->> 'by' FROM order_events ORDER BY at, version").fetchall()


def test_two_producers_have_nothing_to_do_with_each_other(
    processes: Processes, app: Celery, keys: dict[str, str], ledger_url: str
) -> None:
    processes.worker(children=2)
    crm, web = (Sender(app, name, keys[name]) for name in ("crm", "web"))
    ticket = crm.order("a")
    order_id = ticket["order_id"]

    # Seeing and cancelling.
    assert crm.call("orders.get", order_id=order_id)["key"] == "a"
    unknown = f"no order {order_id} in the ledger"
    assert unknown in web.call("orders.get", order_id=order_id)
    assert unknown in web.call("orders.cancel", order_id=order_id, by="crm")
    assert unknown in web.call("orders.cancel", order_id=order_id, by="crm", why="mine")
    assert crm.call("orders.get", order_id=order_id)["state"] == "ACCEPTED"

    # Paying: neither by a claim, nor by the other's name with one's own key, nor by changing what the other has signed.
    claim = "producer: is crm, but the message is signed by web"
    assert claim in web.order("b", producer="crm")
    assert claim in web.call("orders.submit_many", orders=[{"key": "b", **ORDER}], producer="crm")
    forged = "signature: is not one of 'crm' for this task, id and arguments"
    assert forged in Sender(app, "crm", keys["web"]).order("b")
    task_id, kwargs = str(uuid4()), {"order": {"key": "b", **ORDER}}
    headers = crm.headers("orders.submit", task_id, kwargs)
    dearer = {"order": {**kwargs["order"], "quantity": 4}}
    assert forged in crm.send("orders.submit", task_id, dearer, headers)
    assert forged in crm.send("orders.submit", str(uuid4()), kwargs, headers)
    assert forged in crm.send("orders.submit_many", task_id, {"orders": [kwargs["order"]]}, headers)
    assert "signature: is missing" in Sender(app, None).order("b")
    assert "budget: 3 numbers are more than the 1 left of 4 per hour" in crm.order("b")
    own = web.order("a")
    assert own["new"]
    assert own["order_id"] != order_id

    # Removing: only what one's own orders brought.
    removal = {"key": "r", "carrier": "bandwidth", "kind": "remove_numbers", "numbers": ["+19195550134"]}
    not_own = "numbers.0: must be a number that an order of this producer brought"
    assert not_own in web.call("orders.submit", order=removal)
    (refused,) = web.call("orders.submit_many", orders=[removal])["refused"]
    assert refused["faults"][0]["field"] == "numbers.0"

    # A message that comes again is the same order.
    kwargs = {"order": {"key": "a", **ORDER}}
    again = crm.send("orders.submit", order_id, kwargs, crm.headers("orders.submit", order_id, kwargs))
    assert again["order_id"] == order_id
    with psycopg.connect(ledger_url) as db:
        owners = db.execute("SELECT producer, key FROM orders ORDER BY producer").fetchall()
        taken = db.execute("SELECT producer, taken FROM allowances ORDER BY producer").fetchall()
    assert owners == [("crm", "a"), ("web", "a")]
    assert taken == [("ann", 0), ("crm", 3), ("web", 3)]

    assert crm.call("orders.cancel", order_id=order_id, by="web")["state"] == "CANCELLED"
    assert events(ledger_url)[-1] == ("CancelAsked", "crm")


def test_only_operators_decide_and_the_story_has_their_proven_names(
    processes: Processes, app: Celery, keys: dict[str, str], ledger_url: str
) -> None:
    processes.worker(children=2)
    crm, ann = Sender(app, "crm", keys["crm"]), Sender(app, "ann", keys["ann"], OPERATORS)
    order_id = crm.order("a")["order_id"]
    park = {"order_id": order_id, "why": "look first", "by": "the boss"}
    refused = "orders.park is for operators, on the queue orders.operators"
    assert refused in crm.call("orders.park", **park)
    assert "crm is no operator" in Sender(app, "crm", keys["crm"], OPERATORS).call("orders.park", **park)
    assert "signature: is missing" in Sender(app, None, queue=OPERATORS).call("orders.park", **park)
    assert "belongs on orders.operators" in Sender(app, "ann", keys["ann"]).call("orders.park", **park)
    assert "operators order nothing" in ann.order("b")

    assert ann.call("orders.park", **park)["state"] == "PARKED"
    assert ann.call("orders.get", order_id=order_id)["key"] == "a"
    resolve = {"order_id": order_id, "as_": "failed", "why": "seen", "by": "the boss"}
    for task in ("orders.resolve", "orders.retry"):
        assert f"{task} is for operators" in crm.call(task, **(resolve if "resolve" in task else park))
    assert ann.call("orders.resolve", **resolve)["state"] == "FAILED"
    assert ann.call("orders.cancel", order_id=crm.order("c")["order_id"], by="the boss")["state"] == "CANCELLED"
    assert events(ledger_url) == [
        ("OrderAccepted", None),
        ("SetAside", "ann"),
        ("WrittenOff", "ann"),
        ("OrderAccepted", None),
        ("CancelAsked", "ann"),
    ]


def test_message_on_the_producers_queue_cannot_claim_to_come_from_the_operators(
    processes: Processes, app: Celery, env: dict[str, str], ledger_url: str, broker_url: str
) -> None:
    """Without signatures the queue is all that tells an operator; the address in a message is its sender's claim."""
    env["NUMBER_ORDERS_SIGNED_MESSAGES"] = "off"
    processes.worker(children=2)
    anybody, operator = Sender(app, None), Sender(app, None, queue=OPERATORS)
    order_id = anybody.order("a", producer="crm")["order_id"]
    park = {"order_id": order_id, "why": "look first", "by": "the boss"}
    assert "is for operators" in anybody.call("orders.park", **park)
    forged = app.send_task("orders.park", kwargs=park, queue="aside", task_id=str(uuid4()))
    with redis.Redis.from_url(broker_url) as broker:
        item = json.loads(cast("bytes", broker.rpop("aside")))
        item["properties"]["delivery_info"].update(exchange="", routing_key=OPERATORS)
        broker.lpush("orders", json.dumps(item))
        first_protocol = json.dumps({"task": "orders.park", "id": str(uuid4()), "args": [], "kwargs": park})
        item |= {"headers": {}, "body": b64encode(first_protocol.encode()).decode()}
        item["properties"]["delivery_tag"] = str(uuid4())
        broker.lpush("orders", json.dumps(item))
    with pytest.raises(ValueError, match="is for operators"):
        forged.get(timeout=60)
    follower = app.signature("orders.park", kwargs=park, queue=OPERATORS, immutable=True)
    with pytest.raises(ValueError, match=f"has a task follow it on {OPERATORS}"):
        app.send_task("orders.get", kwargs={"order_id": order_id}, queue="orders", link=follower).get(timeout=60)
    with pytest.raises(ValueError, match=r"asks for celery\.group"):
        app.send_task("celery.group", args=[[follower], str(uuid4()), "g", []], queue="orders").get(timeout=60)
    assert anybody.call("orders.get", order_id=order_id)["state"] == "ACCEPTED"
    assert operator.call("orders.park", **park)["state"] == "PARKED"
    assert events(ledger_url)[-1] == ("SetAside", "the boss")


def test_worker_takes_no_operators_messages_unless_told_to(
    processes: Processes, app: Celery, env: dict[str, str]
) -> None:
    del env["NUMBER_ORDERS_OPERATORS_QUEUE"]
    processes.worker(children=2)
    sent = app.send_task("orders.park", kwargs={}, queue=OPERATORS, task_id=str(uuid4()))
    assert "signature: is missing" in Sender(app, None).order("a")
    assert not sent.ready()
