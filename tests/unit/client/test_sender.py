"""The client tells Celery what a broker needs, and what its caller adds."""

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
