"""The client uses the addresses that it was given, tells Celery what a broker needs, and what its caller adds."""

import pytest

from number_orders_client import Client


def test_caller_adds_what_celery_must_be_told_on_its_broker() -> None:
    """Further transport options join the client's own; without those a frozen broker blocks the producer."""
    settings = {"task_create_missing_queue_type": "quorum", "broker_transport_options": {"master_name": "orders"}}
    client = Client("sentinel://host", celery_settings=settings)

    conf = client._app.conf
    assert conf.broker_transport_options["master_name"] == "orders"
    assert conf.broker_transport_options["socket_timeout"] == 5
    assert conf.broker_transport_options["confirm_publish"] is True
    assert conf.task_create_missing_queue_type == "quorum"
    assert settings["broker_transport_options"] == {"master_name": "orders"}


def test_a_client_takes_no_address_from_its_producers_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The producer's own Celery application may have another broker, and say so in variables that Celery reads."""
    for name in ("BROKER_URL", "BROKER_READ_URL", "BROKER_WRITE_URL", "RESULT_BACKEND"):
        monkeypatch.setenv(f"CELERY_{name}", "redis://elsewhere:6379/0")
    app = Client("redis://orders:6379/0", result_url="redis://results:6379/0")._app
    assert app.connection_for_write().as_uri() == app.connection_for_read().as_uri() == "redis://:**@orders:6379/0"
    assert str(app.conf.result_backend) == "redis://results:6379/0"
