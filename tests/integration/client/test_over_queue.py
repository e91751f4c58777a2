"""A producer with the client only, over a real broker to a real worker, blocking and on an event loop.

Once as a client of Redis, once as one that leaves all to Celery, as it does with other brokers.
"""

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any
from uuid import uuid4

import pytest
import redis
from celery import Celery

from number_orders_client import (
    AsyncClient,
    Client,
    KeyConflict,
    NoTicket,
    OrderRefused,
    UnknownOrder,
    derive_order_id,
)
from number_orders_client.over_queue import QUEUE
from number_orders_client.over_redis import RedisTransport
from tests.integration.client.answering import answering
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
WAYS: Mapping[str, Mapping[str, Any]] = {"redis": {}, "celery": {"celery_settings": {}}}
PRODUCER_APP = "tests.integration.client.producer_app"


@pytest.fixture
def worker(processes: Processes) -> Process:
    return processes.worker(children=1)


@pytest.fixture(params=list(WAYS))
def way(request: pytest.FixtureRequest) -> Mapping[str, Any]:
    """Return the options by which a client takes one way."""
    return WAYS[request.param]


@pytest.fixture
def orders(worker: Process, broker_url: str, way: Mapping[str, Any]) -> Iterator[Client]:
    with Client(broker_url, producer="crm", wait_s=60, **way) as client:
        yield client


def test_orders_are_submitted_found_and_cancelled(orders: Client, broker_url: str) -> None:
    ticket = orders.submit(ORDER)
    assert (ticket.order_id, ticket.new) == (derive_order_id("crm", "crm-1"), True)
    assert orders.submit(ORDER).new is False
    document = orders.get(ticket.order_id)
    assert (document.state, document.key) == ("ACCEPTED", "crm-1")
    assert orders.find("crm-1").order_id == ticket.order_id
    assert orders.cancel(ticket.order_id, why="not needed").state == "CANCELLED"
    assert orders.wait(ticket.order_id, timeout_s=60).final
    with redis.Redis.from_url(broker_url) as broker:  # answers that were read are gone
        assert list(broker.scan_iter("celery-task-meta-*")) == []


def test_refusals_have_types_and_faults(orders: Client) -> None:
    orders.submit(ORDER)
    with pytest.raises(KeyConflict, match="stands for another order"):
        orders.submit(ORDER | {"quantity": 2})
    with pytest.raises(OrderRefused) as malformed:
        orders.submit(ORDER | {"quantity": 0})
    assert [(fault.field, fault.rule) for fault in malformed.value.faults] == [("quantity", "must be at least 1")]
    with pytest.raises(OrderRefused, match="order refused: carrier: is not one of ours") as refused:
        orders.submit(ORDER | {"key": "crm-2", "carrier": "acme"})
    assert [fault.field for fault in refused.value.faults] == ["carrier"]
    with pytest.raises(UnknownOrder):
        orders.get(uuid4())
    with pytest.raises(UnknownOrder, match="'crm-3'"):
        orders.find("crm-3")


def test_a_corrected_order_has_its_own_answer(orders: Client) -> None:
    """Both have the same key, and so the same id."""
    for _ in range(2):
        with pytest.raises(OrderRefused):
            orders.submit(ORDER | {"carrier": "acme"})
        assert orders.submit(ORDER).order_id == derive_order_id("crm", "crm-1")


def test_of_many_the_good_are_accepted_and_each_bad_one_is_named(orders: Client) -> None:
    many = [ORDER | {"key": f"crm-{i}"} for i in range(700)]
    many[3] = {"key": "crm-3", "quantity": 0}
    many[500] |= {"carrier": "acme"}
    many[699] = "no order"  # type: ignore[call-overload]
    submitted = orders.submit_many(many)
    assert len(submitted.tickets) == 697
    assert [(one.index, one.key) for one in submitted.refused] == [(3, "crm-3"), (500, "crm-500"), (699, None)]
    assert "carrier" in {fault.field for fault in submitted.refused[0].faults}
    assert orders.find("crm-698").state == "ACCEPTED"


def test_waiting_ends_when_a_person_must_decide(orders: Client, app: Celery) -> None:
    ticket = orders.submit(ORDER)
    parked = [str(ticket.order_id), "look at it", "ana"]
    app.send_task("orders.park", parked, queue="orders.operators").get(timeout=60)
    document = orders.wait(ticket.order_id, timeout_s=60)
    assert (document.state, document.final) == ("PARKED", False)
    assert "look at it" in str(document.reason)


def test_the_same_on_an_event_loop(worker: Process, broker_url: str, way: Mapping[str, Any]) -> None:
    async def producer() -> None:
        async with AsyncClient(broker_url, producer="crm", wait_s=60, **way) as orders:
            tickets = await asyncio.gather(*(orders.submit(ORDER | {"key": f"crm-{i}"}) for i in range(20)))
            assert [ticket.key for ticket in tickets] == [f"crm-{i}" for i in range(20)]
            assert (await orders.find("crm-7")).order_id == tickets[7].order_id
            assert (await orders.cancel(tickets[0].order_id)).state == "CANCELLED"
            assert (await orders.wait(tickets[0].order_id, timeout_s=60)).final
            with pytest.raises(OrderRefused):
                await orders.submit({"key": "crm"})
            submitted = await orders.submit_many([ORDER, "no order"])  # type: ignore[list-item]
            assert (len(submitted.tickets), [one.index for one in submitted.refused]) == (1, [1])

    asyncio.run(producer())


def test_a_celery_task_may_order(processes: Processes, app: Celery, worker: Process) -> None:
    """Celery forbids to wait for results in a task. A producer's task, and its notify task, may wait for a ticket."""
    processes.worker(children=1, app=PRODUCER_APP)
    ticket = app.send_task("crm.order", [ORDER | {"notify": {"task": "crm.order_ended", "queue": "celery"}}])
    order_id = ticket.get(timeout=60)["order_id"]
    document = app.send_task("orders.get", [order_id], queue=QUEUE).get(timeout=60)
    assert app.send_task("crm.order_ended", [document]).get(timeout=60)["key"] == "crm-1-again"


def test_without_a_worker_there_is_no_ticket(broker_url: str, way: Mapping[str, Any]) -> None:
    """The message stays in the queue, and is accepted later."""
    with Client(broker_url, wait_s=0.5, **way) as orders, redis.Redis.from_url(broker_url) as broker:
        began = time.monotonic()
        with pytest.raises(NoTicket, match=r"no answer to orders\.submit"):
            orders.submit(ORDER)
        assert time.monotonic() - began < 9  # it waits for ten by default
        for _ in eventually():
            if broker.llen(QUEUE) == 1:
                break


def test_answers_that_nobody_heard_are_found(worker: Process, broker_url: str) -> None:
    """The broker closes the client's connections that listen all the time, so many an answer is announced to nobody."""
    over = threading.Event()

    def close_listeners() -> None:
        with redis.Redis.from_url(broker_url) as broker:
            others = {one["id"] for one in broker.client_list(_type="pubsub")}
            while not over.wait(0.002):
                for one in broker.client_list(_type="pubsub"):
                    if one["id"] not in others:
                        broker.client_kill_filter(_id=one["id"])

    closing = threading.Thread(target=close_listeners)
    closing.start()
    try:
        with Client(broker_url, producer="crm", wait_s=60) as orders:
            tickets = [orders.submit(ORDER | {"key": f"crm-{number}"}) for number in range(4)]
    finally:
        over.set()
        closing.join()
    assert [ticket.key for ticket in tickets] == [f"crm-{number}" for number in range(4)]


def test_an_answer_that_comes_twice_is_not_the_next_calls(broker_url: str) -> None:
    """A message may be delivered twice, and then its answer is announced twice."""
    keys = [f"crm-{number}" for number in range(20)]
    way = RedisTransport(broker_url, producer="crm", secret=None, wait_s=60)
    with answering(broker_url, calls=len(keys)):
        assert [way.find(key)["key"] for key in keys] == keys
    way.close()


def test_many_threads_call_at_once(broker_url: str) -> None:
    """redis-py's pool has a limit of 100 by itself, and a call takes two connections."""
    keys = [f"crm-{number}" for number in range(120)]
    way = RedisTransport(broker_url, producer="crm", secret=None, wait_s=60)
    under_way = threading.Barrier(len(keys) + 1)

    def find(key: str) -> str:
        under_way.wait()
        return str(way.find(key)["key"])

    with ThreadPoolExecutor(len(keys)) as threads:
        found = [threads.submit(find, key) for key in keys]
        under_way.wait()
        for _ in eventually():  # all are sent before the first is answered
            with redis.Redis.from_url(broker_url) as broker:
                if broker.llen(QUEUE) == len(keys):
                    break
        with answering(broker_url, calls=len(keys)):
            assert [one.result() for one in found] == keys
    way.close()


@pytest.mark.filterwarnings("ignore:.* use of fork:DeprecationWarning")
def test_a_process_that_was_forked_has_connections_of_its_own(worker: Process, broker_url: str) -> None:
    """Two processes that read one connection would take each other's answers."""
    fork = get_context("fork")
    with Client(broker_url, producer="crm", wait_s=60) as orders:
        keys = [f"crm-{number}" for number in range(30)]
        orders.submit_many([ORDER | {"key": key} for key in keys])
        children = [fork.Process(target=_find_all, args=(orders, keys)) for _ in range(3)]
        for child in children:
            child.start()
        _find_all(orders, keys)
        for child in children:
            child.join(timeout=120)
        assert [child.exitcode for child in children] == [0, 0, 0]


def _find_all(orders: Client, keys: list[str]) -> None:
    assert [orders.find(key).key for key in keys] == keys
