"""The client uses the addresses that it was given, tells Celery what a broker needs, and what its caller adds."""

from typing import Any

import pytest

from number_orders_client import Client
from number_orders_client.errors import NotCancellable, OrderRefused, ServiceFailed, UnknownOrder
from number_orders_client.over_celery import CeleryTransport
from number_orders_client.over_queue import failure
from number_orders_client.over_redis import RedisTransport, _failure_of


def transport(url: str, **options: Any) -> CeleryTransport:
    given = {"producer": "crm", "secret": None, "wait_s": 10, "result_url": None, "celery_settings": None}
    return CeleryTransport(url, **given | options)


@pytest.mark.parametrize(
    "url",
    [
        "redis://host",
        "redis://:secret@host:6380/",
        "rediss://user:secret@host:6379/3",
        "rediss://host?ssl_cert_reqs=required",
    ],
)
def test_redis_needs_no_celery(url: str) -> None:
    assert isinstance(Client(url)._way, RedisTransport)


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("redis://host/0", {"celery_settings": {}}),
        ("redis://host/0", {"result_url": "redis://results/0"}),
        ("rediss://host/0?ssl_cert_reqs=none", {}),
        ("redis://host/0?ssl_cert_reqs=required", {}),
        ("redis://host/orders", {}),
        ("sentinel://host", {}),
        ("amqp://host", {"result_url": "redis://results/0"}),
    ],
)
def test_what_celery_reads_in_its_own_way_is_left_to_celery(url: str, options: Any) -> None:
    assert isinstance(Client(url, **options)._way, CeleryTransport)


def test_caller_adds_what_celery_must_be_told_on_its_broker() -> None:
    """Further transport options join the client's own; without those a frozen broker blocks the producer."""
    settings = {"task_create_missing_queue_type": "quorum", "broker_transport_options": {"master_name": "orders"}}
    client = transport("sentinel://host", celery_settings=settings)

    conf = client.app.conf
    assert conf.broker_transport_options["master_name"] == "orders"
    assert 0 < conf.broker_transport_options["socket_timeout"] < 10
    assert conf.broker_transport_options["confirm_publish"] is True
    assert conf.task_create_missing_queue_type == "quorum"
    assert settings["broker_transport_options"] == {"master_name": "orders"}


def test_a_client_takes_no_address_from_its_producers_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The producer's own Celery application may have another broker, and say so in variables that Celery reads."""
    for name in ("BROKER_URL", "BROKER_READ_URL", "BROKER_WRITE_URL", "RESULT_BACKEND"):
        monkeypatch.setenv(f"CELERY_{name}", "redis://elsewhere:6379/0")
    app = transport("redis://orders:6379/0", result_url="redis://results:6379/0").app
    assert app.connection_for_write().as_uri() == app.connection_for_read().as_uri() == "redis://:**@orders:6379/0"
    assert str(app.conf.result_backend) == "redis://results:6379/0"


def test_a_refusal_by_the_previous_release_is_typed_too() -> None:
    """It raised a ValueError, or an exception of its own that Celery makes again by its name."""
    refused = failure("ValueError", "order refused: criteria.npa: must be three digits; name: is too long")
    assert isinstance(refused, OrderRefused)
    assert [(one.field, one.rule) for one in refused.faults] == [
        ("criteria.npa", "must be three digits"),
        ("name", "is too long"),
    ]
    for kind in (UnknownOrder, NotCancellable):
        assert type(failure(kind.__name__, "why")) is kind


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["all children are dead"], "all children are dead"),
        ("all children are dead", "all children are dead"),
        ([9, "SIGKILL"], "(9, 'SIGKILL')"),
        ([], "WorkerLostError"),
    ],
)
def test_a_task_that_failed_is_no_refusal(words: Any, text: str) -> None:
    failed = _failure_of({"exc_type": "WorkerLostError", "exc_message": words, "exc_module": "billiard.exceptions"})
    assert isinstance(failed, ServiceFailed)
    assert str(failed) == text
