"""An order goes in by Celery, numbers come out, the producer is told; real worker, beat, broker, ledger and HTTP."""

import json
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from kombu import Connection

from number_orders.embedded.engines import Engines
from number_orders.sandbox.control import SandboxControl
from number_orders_client import Client, NoTicketError, OrderRefused, OrderRequest
from tests.acceptance.conftest import Backend, MakeOrder, Producer
from tests.acceptance.queries import acquired, rows, sold_for, traces
from tests.later import LATER
from tests.processes import eventually

pytestmark = pytest.mark.acceptance


@pytest.fixture
def backend(shared_backend: Backend) -> Backend:
    """One installation for all of these."""
    return shared_backend


def test_an_order_reaches_its_end_and_says_which_numbers_it_got(
    producer: Producer, an_order: MakeOrder, carrier: SandboxControl
) -> None:
    """The ticket has the task's id; the document has the numbers that the carrier really sold."""
    order_id = str(uuid4())
    ticket = producer.submit(an_order("crm-1", quantity=3), order_id=order_id)
    assert ticket == {"order_id": order_id, "key": "crm-1", "state": "ACCEPTED", "new": True}

    document = producer.await_end(order_id)

    assert document["state"] == "COMPLETED"
    (sold,) = sold_for(carrier, document)
    assert [number["e164"] for number in document["numbers"]] == sorted(sold["bought"])
    assert {number["state"] for number in document["numbers"]} == {"acquired"}


@pytest.mark.parametrize(
    ("npa", "state", "count"),
    [("808", "PARTIAL", 1), ("406", "FAILED", 0), ("802", "COMPLETED_WITH_ERRORS", 2), ("307", "COMPLETED", 2)],
)
def test_every_end_is_told_as_it_was(
    producer: Producer, an_order: MakeOrder, carrier: SandboxControl, npa: str, state: str, count: int
) -> None:
    """Partial, failed, with errors, backordered and filled later: number by number what the carrier did."""
    ticket = producer.submit(an_order(criteria={"npa": npa}, quantity=2, allow_backorder=npa == "307"))
    document = producer.await_end(ticket["order_id"])
    assert document["state"] == state
    assert len(acquired(document)) == count
    assert acquired(document) == sorted(sold_for(carrier, ticket)[0]["bought"])


def test_the_same_key_is_the_same_order(producer: Producer, an_order: MakeOrder, carrier: SandboxControl) -> None:
    """Sent twice, bought once; the second ticket names the first order."""
    first = producer.submit(an_order("crm-7"))
    second = producer.submit(an_order("crm-7"))
    assert second["order_id"] == first["order_id"]
    assert (first["new"], second["new"]) == (True, False)
    producer.await_end(first["order_id"])
    assert len(sold_for(carrier, first)) == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"carrier": "acme"}, "carrier: is not one of ours"),
        ({"kind": "rent_numbers"}, "kind: "),
        ({"kind": "add_messaging_numbers", "criteria": None, "quantity": None, "numbers": ["+19195550123"]}, "kind: "),
        ({"numbers": ["+19195550123"]}, "numbers or criteria"),
        ({"criteria": None, "quantity": None}, "numbers or criteria"),
        ({"quantity": 0}, "quantity: "),
        ({"quantity": 5001}, "quantity: "),
        ({"quantity": "5"}, "quantity: "),
        ({"criteria": None, "quantity": None, "numbers": ["919-555-0100"]}, "numbers.0: "),
        ({"criteria": None, "quantity": None, "numbers": ["+11234567890"]}, "numbers.0: "),
        ({"criteria": {"rate_center": "RALEIGH"}}, "state"),
        ({"criteria": {"npa": "919", "toll_free_pattern": "83*"}}, "criteria.npa: "),
        ({"options": {"colour": "red"}}, "options.colour"),
        ({"colour": "red"}, "colour: "),
        ({"key": "two words"}, "key: "),
        ({"notes": "x" * 300_000}, "order: is too long"),
        ({"name": "a\x00b"}, "NUL"),
    ],
)
def test_a_bad_order_is_refused_by_field_and_rule_and_leaves_nothing(
    producer: Producer,
    an_order: MakeOrder,
    carrier: SandboxControl,
    ledger_url: str,
    changes: dict[str, Any],
    says: str,
) -> None:
    """No carrier call, no row: only a reason."""
    order, order_id = an_order(**changes), str(uuid4())
    with pytest.raises(ValueError, match="order refused") as refused:
        producer.submit(order, order_id=order_id)
    assert says in str(refused.value)
    assert traces(ledger_url, carrier, order_id, order["key"]) == []


def test_an_order_that_is_taken_leaves_its_traces(
    producer: Producer, an_order: MakeOrder, carrier: SandboxControl, ledger_url: str
) -> None:
    """By which the refused are known to have left none."""
    order, order_id = an_order(), str(uuid4())
    producer.submit(order, order_id=order_id)
    producer.await_end(order_id)
    assert traces(ledger_url, carrier, order_id, order["key"]) == ["events", "orders", "carrier"]


def test_a_key_for_another_order_is_a_conflict(producer: Producer, an_order: MakeOrder, ledger_url: str) -> None:
    """The first order stands; the second is refused and says which order the key names."""
    first = producer.submit(an_order("crm-9"))
    with pytest.raises(ValueError, match="key: stands for another order") as refused:
        producer.submit(an_order("crm-9", quantity=2))
    assert first["order_id"] in str(refused.value)
    assert len(rows(ledger_url, "SELECT * FROM orders WHERE key = 'crm-9'")) == 1
    producer.await_end(first["order_id"])


def test_of_many_the_good_are_taken_and_the_bad_are_named_by_index(producer: Producer, an_order: MakeOrder) -> None:
    """One bad order costs the others nothing; one key twice in a batch is one order."""
    orders = [an_order("a"), an_order("b", quantity=0), an_order("c"), "no order at all", an_order("a")]
    answer = producer.call("orders.submit_many", orders)
    assert [(ticket["index"], ticket["key"], ticket["new"]) for ticket in answer["tickets"]] == [
        (0, "a", True),
        (2, "c", True),
        (4, "a", False),
    ]
    assert [(refusal["index"], refusal["key"]) for refusal in answer["refused"]] == [(1, "b"), (3, None)]
    assert answer["refused"][0]["faults"][0]["field"] == "quantity"
    for ticket in answer["tickets"]:
        producer.await_end(ticket["order_id"])


def test_more_than_five_hundred_at_once_are_refused_whole(producer: Producer, an_order: MakeOrder) -> None:
    """Nothing of them is taken."""
    with pytest.raises(ValueError, match="orders: at most 500"):
        producer.call("orders.submit_many", [an_order() for _ in range(501)])


def test_an_order_waits_for_its_time_and_can_be_called_back_until_then(
    producer: Producer, an_order: MakeOrder, carrier: SandboxControl
) -> None:
    """Scheduled for later, cancelled before: never sent. Once the carrier has it, it cannot be cancelled."""
    later = producer.submit(an_order(not_before=LATER))
    cancelled = producer.call("orders.cancel", later["order_id"])
    assert cancelled == producer.call("orders.get", later["order_id"])
    assert cancelled["state"] == "CANCELLED"
    assert producer.call("orders.cancel", later["order_id"])["state"] == "CANCELLED"
    sent = producer.submit(an_order())
    producer.await_end(sent["order_id"])
    with pytest.raises(Exception, match="it is over"):
        producer.call("orders.cancel", sent["order_id"])
    assert (sold_for(carrier, later), len(sold_for(carrier, sent))) == ([], 1)


def test_a_person_decides_about_a_parked_order(
    producer: Producer, an_order: MakeOrder, carrier: SandboxControl
) -> None:
    """Parked, sent again, bought once; a second word for it comes too late. What says nothing clear is refused."""
    order_id = producer.submit(an_order(not_before=LATER))["order_id"]
    for _ in range(2):
        assert producer.call("orders.park", order_id, "let me look", "ana")["state"] == "PARKED"
    for unclear in (
        ("bought", "why", "ana"),
        ("sent_again", " ", "ana"),
        ("sent_again", "a\0b", "ana"),
        ("adopted", "seen", "ana"),
        ("failed", "over", "ana", "0aac"),
    ):
        with pytest.raises(ValueError, match="must be"):
            producer.call("orders.resolve", order_id, *unclear)
    for _ in range(2):
        producer.call("orders.resolve", order_id, "send-again", "not in the dashboard", "ana")
    document = producer.await_end(order_id)
    with pytest.raises(Exception, match="it is over"):
        producer.call("orders.resolve", order_id, "failed", "too slow", "ana")
    assert len(sold_for(carrier, document)) == 1


def test_an_order_that_waits_is_tried_now(producer: Producer, an_order: MakeOrder, carrier: SandboxControl) -> None:
    """Whoever means it may overrule a schedule; what is over is over, and what is unclear is refused."""
    order_id = producer.submit(an_order(not_before=LATER))["order_id"]
    for unclear in ((" ",), ("ana", "\0"), ("ana", None, "buy")):
        with pytest.raises(ValueError, match="must be"):
            producer.call("orders.retry", order_id, *unclear)
    answer = producer.call("orders.retry", order_id, "ana", "the customer calls")
    assert (answer["lanes"], answer["refused"]) == (["submit"], None)
    document = producer.await_end(order_id)
    answer = producer.call("orders.retry", order_id, "ana")
    assert (answer["lanes"], answer["state"]) == ([], "COMPLETED")
    assert "it is over" in answer["refused"]
    with pytest.raises(Exception, match="no order"):
        producer.call("orders.retry", str(uuid4()), "ana")
    assert len(sold_for(carrier, document)) == 1


def test_the_producer_is_told_the_end_by_a_celery_message(
    producer: Producer, an_order: MakeOrder, broker_url: str
) -> None:
    """The whole document, once, on the queue and to the task that the order named."""
    order = an_order(notify={"task": "crm.number_order_ended", "queue": "crm-ends"})
    ticket = producer.submit(order)
    (message,) = _messages(broker_url, "crm-ends", 1)
    assert message["task"] == "crm.number_order_ended"
    ((document,), _, _) = message["body"]
    assert document == producer.call("orders.get", ticket["order_id"])
    assert document["state"] == "COMPLETED"


def test_every_state_that_was_asked_for_is_told_in_order(
    producer: Producer, an_order: MakeOrder, broker_url: str
) -> None:
    """Accepted, open, completed: three documents, each with the state it tells of."""
    on = ["ACCEPTED", "OPEN", "COMPLETED"]
    producer.submit(an_order(notify={"task": "crm.moved", "queue": "crm-moves", "on": on}))
    documents = [message["body"][0][0] for message in _messages(broker_url, "crm-moves", 3)]
    assert [document["state"] for document in documents] == on
    versions = [document["version"] for document in documents]
    assert versions == sorted(versions)


@pytest.mark.parametrize(
    ("body", "headers", "content_type", "why"),
    [
        (b"{not json", {"task": "orders.submit", "id": "x-1"}, "application/json", "cannot be read"),
        (b"\x80\x04}.", {"task": "orders.submit", "id": "x-2"}, "application/x-python-serialize", "cannot be read"),
        (b"[[], {}, {}]", {"task": "orders.sing", "id": "x-3"}, "application/json", "task that we do not have"),
        (b'"hello"', {}, "application/json", "not a task message"),
        (
            b"[[1], {}, {}" + b" " * 5_000_000 + b"]",
            {"task": "orders.submit", "id": "x-5"},
            "application/json",
            "too long",
        ),
    ],
)
def test_a_message_that_nobody_can_read_is_buried_where_it_is_seen(
    ledger_url: str,
    broker_url: str,
    producer: Producer,
    body: bytes,
    headers: dict[str, str],
    content_type: str,
    why: str,
) -> None:
    """Kept with its reason, not dropped, not tried again and again; and the queue goes on."""
    with Connection(broker_url) as connection, connection.SimpleQueue("orders") as queue:
        queue.producer.publish(
            body,
            routing_key="orders",
            exchange="",
            headers=headers,
            content_type=content_type,
            content_encoding="utf-8",
        )
    buried = "SELECT queue, why FROM dead_letters WHERE position(%s IN body) = 1"  # each begins in its own way
    for _ in eventually():
        if rows(ledger_url, buried, body[:9]):
            break
    with pytest.raises(ValueError, match="order refused"):
        producer.submit({})
    (letter,) = rows(ledger_url, buried, body[:9])
    assert why in letter["why"]
    assert letter["queue"] == "orders"


def test_what_flower_shows_is_the_key_and_no_secret(producer: Producer, an_order: MakeOrder, broker_url: str) -> None:
    """The order's id is the task's id, its key stands in the task's arguments."""
    seen: list[dict[str, Any]] = []
    app = Celery(broker=broker_url, set_as_current=False)
    order_id = str(uuid4())
    with app.connection() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": seen.append})
        with receiver.consumer_context() as (connected, _, _):
            connected.drain_events(timeout=60)  # from the first word on we hear every other
            producer.submit(an_order("crm-flower"), order_id=order_id)
            for _ in eventually():
                connected.drain_events(timeout=60)
                if any(event["type"] == "task-succeeded" and event["uuid"] == order_id for event in seen):
                    break
    received = [event for event in seen if event["type"] == "task-received" and event["uuid"] == order_id]
    assert received
    assert "crm-flower" in received[0]["kwargs"]
    assert "sandbox-secret" not in json.dumps(seen, default=str)


def test_the_client_orders_waits_and_calls_back(broker_url: str, an_order: MakeOrder, carrier: SandboxControl) -> None:
    """What a producer in Python imports: the contract on the way in, tickets and documents on the way out."""
    client = Client(broker_url, producer="crm")
    try:
        ticket = client.submit(OrderRequest.model_validate(an_order("client-1", quantity=2)))
        ended = client.wait(ticket.order_id, timeout_s=60, every_s=0.1)
        assert (ended.state, len(ended.numbers), ended.key) == ("COMPLETED", 2, "client-1")
        assert {n.e164 for n in ended.numbers} == set(
            sold_for(carrier, {"key": "client-1"}, producer="crm")[0]["bought"]
        )
        again = client.submit(an_order("client-1", quantity=2))
        assert (again.order_id, again.new) == (ticket.order_id, False)
        later = client.submit(an_order("client-2", not_before=LATER))
        client.cancel(later.order_id, why="not wanted any more")
        assert client.get(later.order_id).state == "CANCELLED"
    finally:
        client.close()


def test_the_client_says_what_is_wrong_before_it_sends_and_passes_on_what_was_refused(
    broker_url: str, an_order: MakeOrder
) -> None:
    """Bad form never leaves; a rule of the carrier's comes back by field; of many, by index."""
    client = Client(broker_url, producer="crm")
    try:
        with pytest.raises(OrderRefused, match="order refused: quantity: must be at least 1"):
            client.submit(an_order(quantity=0))
        with pytest.raises(OrderRefused, match="order refused: carrier"):
            client.submit(an_order(carrier="acme"))
        orders = [an_order("client-3"), an_order("client-4", criteria={"rate_center": "RALEIGH"})]
        (ticket,), (refusal,) = client.submit_many(orders)
        assert (ticket.key, refusal.index, refusal.faults[0].field) == ("client-3", 1, "criteria.rate_center")
    finally:
        client.close()


def test_a_client_without_a_service_is_told_to_send_again(engines: Engines, an_order: MakeOrder) -> None:
    """Nobody listens on this broker: no ticket, and the advice that is always safe."""
    client = Client(engines.broker_url.replace("/0", "/9"), wait_s=0.5)
    try:
        with pytest.raises(NoTicketError, match=r"no answer to orders\.submit"):
            client.submit(an_order())
    finally:
        client.close()


def _messages(broker_url: str, queue_name: str, count: int) -> list[dict[str, Any]]:
    found = []
    with Connection(broker_url) as connection, connection.SimpleQueue(queue_name) as queue:
        for _ in range(count):
            message = queue.get(timeout=60)
            found.append({"task": message.headers["task"], "id": message.headers["id"], "body": message.payload})
            message.ack()
    return found
