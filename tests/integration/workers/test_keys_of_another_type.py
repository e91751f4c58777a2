"""Somebody writes something else to a key of ours: the worker lives, other queues go on, and the doctor names it."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
import redis
from celery import Celery
from pydantic import SecretStr
from structlog.testing import capture_logs

from config.queues import ALL, BELLS, TRANSPORT
from config.settings import Settings
from number_orders.cli.doctor.broker_checks import check_broker_content
from number_orders.cli.doctor.checks import Check, Verdict
from number_orders.orders.model import CarrierName, Lane
from tests.integration.workers.messages import ORDER
from tests.processes import Processes
from workers.broker_owner import KEY as OWNER
from workers.senders import make_bell

RUNG = "number-orders:rung:bandwidth:submit"
QUEUES = [*ALL, "orders\x06\x163"]
BOOKKEEPING = [TRANSPORT["unacked_key"], TRANSPORT["unacked_index_key"]]
BINDINGS = ["_kombu.binding.celery.pidbox", "_kombu.binding_permanent.celery.pidbox", "_kombu.binding_deadlines"]


@pytest.fixture
def broker(broker_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(broker_url, decode_responses=True) as client:
        yield client


def spoil(broker: redis.Redis, key: str) -> None:
    """Put something else under a key."""
    broker.delete(key)
    if key in {RUNG, OWNER}:
        broker.lpush(key, "something else")
    else:
        broker.set(key, "something else")


def keys_check(broker_url: str) -> Check:
    """Return what the doctor says of the keys."""
    checks = check_broker_content(Settings(broker_url=SecretStr(broker_url), database_url=None))
    return next(check for check in checks if check.name == "keys")


def answer(app: Celery, key: str) -> dict[str, object]:
    sent = app.send_task("orders.submit", [{**ORDER, "key": key}], queue="orders", task_id=str(uuid4()))
    return dict(sent.get(timeout=60))


@pytest.mark.parametrize("key", [*QUEUES, *BOOKKEEPING, *BINDINGS, RUNG, OWNER])
def test_the_doctor_names_a_key_that_holds_something_else(broker: redis.Redis, broker_url: str, key: str) -> None:
    assert keys_check(broker_url).verdict is Verdict.GOOD
    spoil(broker, key)
    check = keys_check(broker_url)
    assert check.verdict is Verdict.WRONG
    assert check.says.startswith(f"{key.partition(chr(6))[0]} ")
    assert check.remedy is not None


def test_a_worker_starts_and_answers_although_its_bookkeeping_is_unusable(
    processes: Processes, app: Celery, broker: redis.Redis
) -> None:
    """Without records a killed worker would lose what it has in hand; that is no reason to serve nobody."""
    for key in (*BOOKKEEPING, *BINDINGS, RUNG, TRANSPORT["unacked_mutex_key"]):
        spoil(broker, key)
    worker = processes.worker(children=1)
    assert answer(app, "crm-1")["new"]
    worker.await_words("message_not_recorded")
    assert worker.popen.poll() is None


def test_an_unusable_queue_does_not_stop_the_others(processes: Processes, app: Celery, broker: redis.Redis) -> None:
    """Redis refuses to wait on several lists if one of them is none; each is read again once it is a list."""
    spoil(broker, "orders.bells.tell")
    worker = processes.worker(children=1)
    worker.await_words("queue_unusable")
    assert answer(app, "crm-1")["new"]
    worker.await_words("SubmissionBegun")
    for key in QUEUES:
        if key != "orders":
            spoil(broker, key)
    assert answer(app, "crm-2")["new"]
    for key in QUEUES:
        spoil(broker, key)
    worker.await_words('"queue": "orders", ')
    broker.delete(*QUEUES)
    assert answer(app, "crm-3")["new"]
    assert worker.popen.poll() is None


def test_a_lane_that_cannot_be_rung_does_not_silence_the_others(broker_url: str, broker: redis.Redis) -> None:
    """The sweep rings for all lanes in one call, the lane `ask` first."""
    broker.set(BELLS["ask"], "something else")
    bell = make_bell(Settings(broker_url=SecretStr(broker_url)))
    bandwidth = CarrierName("bandwidth")
    with capture_logs() as lines:
        bell.ring([(bandwidth, Lane.ASK), (bandwidth, Lane.SUBMIT)])
    assert [line["lane"] for line in lines if line["event"] == "bell_silent"] == ["ask"]
    assert broker.llen(BELLS["submit"]) == 1


@pytest.mark.parametrize("kind", ["string", "list"])
def test_a_mark_that_never_expires_is_replaced(broker_url: str, broker: redis.Redis, kind: str) -> None:
    """Otherwise its lane would count as rung for ever."""
    if kind == "string":
        broker.set(RUNG, "something else")
    else:
        broker.lpush(RUNG, "something else")
    bell = make_bell(Settings(broker_url=SecretStr(broker_url)))
    bell.ring([(CarrierName("bandwidth"), Lane.SUBMIT)])
    assert broker.llen(BELLS["submit"]) == 1
    assert 0 < broker.pttl(RUNG) <= 2000
