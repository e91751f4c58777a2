"""What the libraries are given for each address: transport options, TLS, the type of queues, the store of tickets."""

import ssl
from typing import Any

import pytest

from config.settings import Settings
from workers.brokers import broker_options, broker_url, redis_client, result_backend, result_options, task_queue

SENTINELS = "sentinel://app:hush@h1:26379;sentinel://h2:26380/3"
SENTINEL = {"broker_url": SENTINELS, "sentinel_master": "orders", "sentinel_kwargs": '{"password": "other"}'}


def settings(**given: Any) -> Settings:
    return Settings.model_validate(given)


def test_certificates_are_verified_unless_the_address_says_otherwise() -> None:
    """kombu verifies nothing for `rediss://` without a parameter; Celery's backend does not start."""
    assert broker_url(settings(broker_url="rediss://h/0")) == "rediss://h/0?ssl_cert_reqs=required"
    assert broker_url(settings(broker_url="rediss://h/0?ssl_ca_certs=/ca")).endswith("/ca&ssl_cert_reqs=required")
    assert broker_url(settings(broker_url="rediss://h/0?ssl_cert_reqs=none")) == "rediss://h/0?ssl_cert_reqs=none"
    assert result_backend(settings(broker_url="rediss://h/0")).endswith("+rediss://h/0?ssl_cert_reqs=required")


def test_amqps_takes_the_same_parameters() -> None:
    given = settings(broker_url="amqps://u:p@h:5671/orders?ssl_ca_certs=/ca.pem&heartbeat=5")

    assert broker_url(given) == "amqps://u:p@h:5671/orders?heartbeat=5"
    assert broker_options(given)["broker_use_ssl"] == {
        "ca_certs": "/ca.pem",
        "cert_reqs": ssl.CERT_REQUIRED,
        "server_hostname": None,
    }


def test_rabbitmq_confirms_what_it_has_taken() -> None:
    """And Celery is not told of what it knows for Redis only, and warns of otherwise."""
    given = settings(broker_url="amqp://h//", queue_type="quorum")

    for options in (broker_options(given), broker_options(given, is_sender=True)):
        assert options["broker_transport_options"]["confirm_publish"] is True
        assert "visibility_timeout" not in options["broker_transport_options"]
        assert options["worker_disable_prefetch"] is False
        assert options["task_create_missing_queue_type"] == "quorum"


def test_quorum_queues_are_declared_as_such() -> None:
    class Channel:
        """Remembers what is declared."""

        def __init__(self) -> None:
            self.declared: dict[str, Any] = {}

        def prepare_queue_arguments(self, arguments: dict[str, Any], **_: Any) -> dict[str, Any]:
            return arguments

        def queue_declare(self, **given: Any) -> tuple[str, int, int]:
            self.declared = dict(given["arguments"])
            return given["queue"], 0, 0

    for queue_type, arguments in (("quorum", {"x-queue-type": "quorum"}), ("classic", {})):
        queue = task_queue(settings(broker_url="amqp://h//", queue_type=queue_type), "orders")
        channel: Any = Channel()
        queue.queue_declare(channel=channel)
        assert channel.declared == arguments
        assert not queue.queue_arguments  # or Celery would declare its delay queues


def test_sentinels_are_asked_for_the_master_with_credentials_of_their_own() -> None:
    given = settings(**SENTINEL)

    for options in (broker_options(given)["broker_transport_options"], *result_options(given).values()):
        assert options["master_name"] == "orders"
        assert options["sentinel_kwargs"]["password"] == "other"
    everywhere = "sentinel://app:hush@h1:26379/3;sentinel://app:hush@h2:26380/3"
    assert broker_url(given) == everywhere
    assert broker_url(settings(**{**SENTINEL, "broker_url": "sentinel://app:hush@h1:26379;h2:26380/3"})) == everywhere
    assert result_backend(given) == f"tasks.tickets:SentinelTicketStore+{everywhere}"


def test_client_of_sentinels_connects_to_the_master_with_the_credentials_of_the_address() -> None:
    pool: Any = redis_client(settings(**SENTINEL), SENTINELS, timeout_s=1).connection_pool

    assert pool.service_name == "orders"
    assert {name: pool.connection_kwargs[name] for name in ("username", "password", "db")} == {
        "username": "app",
        "password": "hush",
        "db": 3,
    }
    hosts = [sentinel.connection_pool.connection_kwargs for sentinel in pool.sentinel_manager.sentinels]
    assert [(host["host"], host["port"], host["password"]) for host in hosts] == [
        ("h1", 26379, "other"),
        ("h2", 26380, "other"),
    ]


@pytest.mark.parametrize(
    ("given", "backend"),
    [
        ({"broker_url": "amqp://h//"}, "disabled://"),
        ({"broker_url": "amqp://h//", "result_url": "redis://t/1"}, "tasks.tickets:TicketStore+redis://t/1"),
        ({"broker_url": "redis://h"}, "tasks.tickets:TicketStore+redis://h"),
        (
            {"broker_url": "amqp://h//", "result_url": "postgresql://u@t/tickets"},
            "db+postgresql+psycopg://u@t/tickets",
        ),
    ],
)
def test_tickets_are_stored_where_the_settings_say(given: dict[str, str], backend: str) -> None:
    assert result_backend(settings(**given)) == backend
