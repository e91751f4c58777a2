"""The client uses the addresses that it was given, tells Celery what a broker needs, and what its caller adds."""

from typing import Any

import pytest

from number_orders_client.errors import NotCancellable, OrderRefused, ServiceFailed, UnknownOrder
from number_orders_client.over_queue import QueueTransport, _old_refusal


def transport(url: str, **options: Any) -> QueueTransport:
    given = {"producer": "crm", "secret": None, "wait_s": 10, "result_url": None, "celery_settings": None}
    return QueueTransport(url, **given | options)


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
    refused = _old_refusal(ValueError("order refused: criteria.npa: must be three digits; name: is too long"))
    assert isinstance(refused, OrderRefused)
    assert [(one.field, one.rule) for one in refused.faults] == [
        ("criteria.npa", "must be three digits"),
        ("name", "is too long"),
    ]
    for kind in (UnknownOrder, NotCancellable):
        made_again = type(kind.__name__, (Exception,), {})
        assert type(_old_refusal(made_again("why"))) is kind


def test_a_task_that_failed_is_no_refusal() -> None:
    failed = _old_refusal(RuntimeError("all children are dead"))
    assert isinstance(failed, ServiceFailed)
    assert str(failed) == "all children are dead"
