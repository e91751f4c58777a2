"""Bells and documents on a real broker: one bell is enough, a broker that is away costs next to nothing."""

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
from workers.apps import make_bell, make_notifier
from workers.bells import CeleryBell, CeleryNotifier

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
    """Freeze the broker: it keeps its connections and says nothing."""
    yield lambda: os.kill(engines.valkey.pid, signal.SIGSTOP)
    os.kill(engines.valkey.pid, signal.SIGCONT)


def settings(broker_url: str) -> Settings:
    return Settings(broker_url=SecretStr(broker_url))


def an_errand(queue: str = "crm", *, order_id: OrderId | None = None, version: int = 1) -> Delivery:
    document = {"state": "OPEN", "version": version}
    return Delivery(OutboxMessage(order_id or OrderId(uuid4()), version, document), "crm.moved", queue)


def test_one_bell_is_enough_until_somebody_heard_it(bell: CeleryBell, broker: redis.Redis) -> None:
    """Five strokes are one message; after it was heard the next stroke is sent again. Each lane has its own bell."""
    for _ in range(5):
        bell.ring([SUBMIT])
    assert broker.llen("orders.bells.submit") == 1
    bell.ring([SUBMIT, ASK])
    assert (broker.llen("orders.bells.submit"), broker.llen("orders.bells.ask")) == (1, 1)
    bell.reset(*SUBMIT)
    bell.ring([SUBMIT, ASK])
    assert (broker.llen("orders.bells.submit"), broker.llen("orders.bells.ask")) == (2, 1)


def test_nobody_rings_while_somebody_looks(bell: CeleryBell, broker: redis.Redis) -> None:
    """A lane that is attended needs no bell; once it was said that nobody looks any more, it does."""
    rung = -1
    while rung != broker.llen("orders.bells.submit"):  # on a busy machine the mark may run out between the two
        rung = broker.llen("orders.bells.submit")
        bell.mute(*SUBMIT)
        bell.ring([SUBMIT])
    bell.reset(*SUBMIT)
    bell.ring([SUBMIT])
    assert broker.llen("orders.bells.submit") == rung + 1


def test_a_bell_that_was_lost_is_rung_again_before_long(bell: CeleryBell, broker: redis.Redis) -> None:
    """Rung and lost: what is remembered of it is forgotten within two seconds."""
    lives_ms = [0]
    while max(lives_ms, default=0) <= 0:  # on a busy machine it may be forgotten before we look
        bell.ring([SUBMIT])
        lives_ms = [broker.pttl(mark) for mark in broker.keys("number-orders:rung:*")]
    assert max(lives_ms) <= 2000


def test_a_bell_expires(bell: CeleryBell, broker: redis.Redis) -> None:
    """An old bell says nothing that the sweep does not."""
    bell.ring([SUBMIT])
    (kept,) = broker.lrange("orders.bells.submit", 0, -1)
    message = json.loads(kept)
    assert message["headers"]["expires"]
    assert message["headers"]["ignore_result"] is True


def test_a_frozen_broker_is_tried_once_a_second(broker_url: str, frozen: Callable[[], None]) -> None:
    """Whoever submits an order waits for one timeout at the most, and the next for none."""
    times = iter([0.0, 5.0, 5.0, 5.9, 6.1, 6.1])  # looked at before each try and after each failure

    bell = make_bell(settings(broker_url), clock=lambda: next(times))
    bell.ring([ASK])
    frozen()
    with capture_logs() as words:
        for tried in (1, 1, 2):
            bell.ring([SUBMIT])
            assert [word["event"] for word in words] == ["bell_silent"] * tried
    bell.reset(*SUBMIT)


def test_a_broker_that_is_gone_costs_nothing_and_is_rung_when_it_is_back(tmp_path: Path) -> None:
    """Refused connections are no trouble at all; a document that could not be handed over says why."""
    engines = Engines(tmp_path)
    engines.valkey.start()
    try:
        bell, notifier = make_bell(settings(engines.broker_url)), make_notifier(settings(engines.broker_url))
        assert notifier.deliver([an_errand()]) == [None]
        bell.ring([ASK])
        engines.valkey.stop()
        bell.ring([SUBMIT, ASK])
        bell.reset(*SUBMIT)
        (why,) = notifier.deliver([an_errand()])
        assert why is not None
        assert "the broker did not take it" in why
        engines.valkey.start()
        assert notifier.deliver([an_errand()]) == [None]
        time.sleep(1.1)  # so long it does not try
        bell.ring([SUBMIT])
        with redis.Redis.from_url(engines.broker_url) as broker:
            assert broker.llen("orders.bells.submit") == 1
    finally:
        engines.valkey.stop()


def test_documents_that_meet_a_frozen_broker_wait_together(
    notifier: CeleryNotifier, frozen: Callable[[], None]
) -> None:
    """Two hundred documents are not two hundred timeouts: the lease would be over long before."""
    notifier.deliver([an_errand()])
    frozen()
    deliveries = [an_errand() for _ in range(200)]
    begun = time.monotonic()
    troubles = notifier.deliver(deliveries)
    assert time.monotonic() - begun < 100, "every document had a timeout of its own"
    assert len(troubles) == 200
    assert all(troubles)


def test_a_queue_that_is_none_is_its_own_orders_trouble(notifier: CeleryNotifier, broker: redis.Redis) -> None:
    """A producer named a key of the broker's that is no queue: its documents wait, everybody else's go out."""
    broker.set("no-queue", "something else")
    wrong, right = OrderId(uuid4()), OrderId(uuid4())
    troubles = notifier.deliver([
        an_errand("no-queue", order_id=wrong, version=1),
        an_errand("crm", order_id=wrong, version=2),  # may not overtake the first
        an_errand("crm", order_id=right),
    ])  # fmt: skip
    assert [trouble is None for trouble in troubles] == [False, False, True]
    assert broker.llen("crm") == 1


def test_a_document_has_the_same_id_however_often_it_is_handed_over(
    notifier: CeleryNotifier, broker: redis.Redis
) -> None:
    """A producer can tell a repetition by the message's id."""
    delivery = an_errand(version=7)
    notifier.deliver([delivery])
    notifier.deliver([delivery])
    ids = {json.loads(message)["headers"]["id"] for message in broker.lrange("crm", 0, -1)}
    assert ids == {f"{delivery.message.order_id}-told-7"}
