"""On a real broker, one bell message is enough, and a broker that is away costs hardly any time."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from pydantic import SecretStr
from structlog.testing import capture_logs

from config.settings import Settings
from number_orders.embedded.engines import Engines
from number_orders.fulfilment.ports import Delivery
from number_orders.ledger.outbox import OutboxMessage
from number_orders.orders.model import CarrierName, Lane, OrderId
from workers import bells
from workers.bells import CeleryBell, CeleryNotifier
from workers.senders import make_bell, make_notifier

BANDWIDTH = CarrierName("bandwidth")
SUBMIT, ASK = (BANDWIDTH, Lane.SUBMIT), (BANDWIDTH, Lane.ASK)


@pytest.fixture
def bell(broker_url: str) -> CeleryBell:
    return make_bell(settings(broker_url))


@pytest.fixture
def notifier(broker_url: str) -> CeleryNotifier:
    return make_notifier(settings(broker_url))


@pytest.fixture
def broker(broker_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(broker_url) as client:
        yield client


@pytest.fixture
def frozen(engines: Engines) -> Iterator[Callable[[], None]]:
    """Return a function that freezes the broker: it keeps its connections and does not answer."""
    yield lambda: os.kill(engines.valkey.pid, signal.SIGSTOP)
    os.kill(engines.valkey.pid, signal.SIGCONT)


def settings(broker_url: str) -> Settings:
    return Settings(broker_url=SecretStr(broker_url))


def a_delivery(queue: str = "crm", *, order_id: OrderId | None = None, version: int = 1) -> Delivery:
    document = {"state": "OPEN", "version": version}
    return Delivery(OutboxMessage(order_id or OrderId(uuid4()), version, document), "crm.moved", queue)


def test_a_bell_sends_one_message_until_it_is_reset(
    bell: CeleryBell, broker: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five rings send one message; after a reset the next ring sends another. Each lane has its own bell."""
    monkeypatch.setattr(bells, "_RUNG_MS", 600_000)  # longer than this test takes
    for _ in range(5):
        bell.ring([SUBMIT])
    assert broker.llen("orders.bells.submit") == 1
    bell.ring([SUBMIT, ASK])
    assert (broker.llen("orders.bells.submit"), broker.llen("orders.bells.ask")) == (1, 1)
    bell.reset(*SUBMIT)
    bell.ring([SUBMIT, ASK])
    assert (broker.llen("orders.bells.submit"), broker.llen("orders.bells.ask")) == (2, 1)


def test_a_muted_bell_sends_nothing(bell: CeleryBell, broker: redis.Redis) -> None:
    """A worker that is claiming on a lane mutes its bell; a reset ends that."""
    sent = -1
    while sent != broker.llen("orders.bells.submit"):  # on a busy machine the mark may expire between mute and ring
        sent = broker.llen("orders.bells.submit")
        bell.mute(*SUBMIT)
        bell.ring([SUBMIT])
    bell.reset(*SUBMIT)
    bell.ring([SUBMIT])
    assert broker.llen("orders.bells.submit") == sent + 1


def test_a_lost_bell_can_be_rung_again_after_two_seconds(bell: CeleryBell, broker: redis.Redis) -> None:
    """The mark that it was rung expires."""
    expires_ms = [0]
    while max(expires_ms, default=0) <= 0:  # on a busy machine the mark may expire before it is read
        bell.ring([SUBMIT])
        expires_ms = [broker.pttl(mark) for mark in broker.keys("number-orders:rung:*")]
    assert max(expires_ms) <= 2000


def test_a_bell_message_expires_by_no_clock_of_a_machine(bell: CeleryBell, broker: redis.Redis) -> None:
    """RabbitMQ drops it by its own clock (`expiration`); a worker with another clock would discard it (`expires`)."""
    bell.ring([SUBMIT])
    (kept,) = broker.lrange("orders.bells.submit", 0, -1)
    message = json.loads(kept)
    assert message["headers"]["expires"] is None
    assert message["properties"]["expiration"] == "5000"
    assert message["headers"]["ignore_result"] is True


def test_a_bell_tries_a_frozen_broker_once_a_second(broker_url: str, frozen: Callable[[], None]) -> None:
    """The first order that rings it waits for one timeout, the next orders for none."""
    times = iter([0.0, 5.0, 5.0, 5.9, 6.1, 6.1])  # read before each attempt and after each failure

    bell = make_bell(settings(broker_url), clock=lambda: next(times))
    bell.ring([ASK])
    frozen()
    with capture_logs() as lines:
        for attempts in (1, 1, 2):
            bell.ring([SUBMIT])
            assert [line["event"] for line in lines] == ["bell_silent"] * attempts
    bell.reset(*SUBMIT)


def test_a_stopped_broker_costs_no_time_and_is_used_again_when_it_is_back(tmp_path: Path) -> None:
    """The bell ignores refused connections; the notifier reports why a document was not delivered."""
    engines = Engines(tmp_path)
    engines.valkey.start()
    try:
        bell, notifier = make_bell(settings(engines.broker_url)), make_notifier(settings(engines.broker_url))
        assert notifier.deliver([a_delivery()]) == [None]
        bell.ring([ASK])
        engines.valkey.stop()
        bell.ring([SUBMIT, ASK])
        bell.reset(*SUBMIT)
        (why,) = notifier.deliver([a_delivery()])
        assert why is not None
        assert "the broker did not take it" in why
        engines.valkey.start()
        assert notifier.deliver([a_delivery()]) == [None]
        time.sleep(1.1)  # for one second after a failure the bell does not try
        bell.ring([SUBMIT])
        with redis.Redis.from_url(engines.broker_url) as broker:
            assert broker.llen("orders.bells.submit") == 1
    finally:
        engines.valkey.stop()


def test_a_frozen_broker_costs_a_batch_of_documents_one_timeout(
    notifier: CeleryNotifier, frozen: Callable[[], None]
) -> None:
    """Two hundred timeouts, one after another, would outlast the lease."""
    notifier.deliver([a_delivery()])
    frozen()
    deliveries = [a_delivery() for _ in range(200)]
    started = time.monotonic()
    reasons = notifier.deliver(deliveries)
    assert time.monotonic() - started < 100, "each document waited for its own timeout"
    assert len(reasons) == 200
    assert all(reasons)


def test_a_queue_that_cannot_take_messages_fails_only_its_own_order(
    notifier: CeleryNotifier, broker: redis.Redis
) -> None:
    """A producer named a Redis key of another type as its queue: its documents wait, all others are delivered."""
    broker.set("no-queue", "something else")
    wrong, right = OrderId(uuid4()), OrderId(uuid4())
    reasons = notifier.deliver([
        a_delivery("no-queue", order_id=wrong, version=1),
        a_delivery("crm", order_id=wrong, version=2),  # must not overtake the first
        a_delivery("crm", order_id=right),
    ])  # fmt: skip
    assert [reason is None for reason in reasons] == [False, False, True]
    assert broker.llen("crm") == 1


def test_a_document_has_the_same_task_id_however_often_it_is_delivered(
    notifier: CeleryNotifier, broker: redis.Redis
) -> None:
    """A producer can recognise a repeated delivery by its task id."""
    delivery = a_delivery(version=7)
    notifier.deliver([delivery])
    notifier.deliver([delivery])
    ids = {json.loads(message)["headers"]["id"] for message in broker.lrange("crm", 0, -1)}
    assert ids == {f"{delivery.message.order_id}-told-7"}
