"""What depends on the kind of broker is set by its URL."""

import pytest
from pydantic import SecretStr

from config.queues import BELLS
from config.schedule import schedule
from config.settings import Settings
from number_orders.orders.model import CarrierName, Lane
from workers.apps import make_app, serves_lanes_of


@pytest.mark.parametrize(
    ("url", "is_redis"),
    [
        ("redis://localhost/0", True),
        ("rediss://localhost/0", True),
        ("sentinel://localhost:26379", True),
        ("amqp://localhost//", False),
        ("amqps://localhost//", False),
    ],
)
def test_prefetching_is_turned_off_where_celery_can(url: str, is_redis: bool) -> None:
    """On other brokers Celery ignores the setting, and warns at each connection."""
    settings = Settings(broker_url=SecretStr(url), sentinel_master="orders")
    assert make_app(settings).conf.worker_disable_prefetch is is_redis


def test_no_tick_expires_by_the_clock_of_a_machine() -> None:
    """`expires` is judged by the worker that takes it, `expiration` by RabbitMQ itself."""
    for tick in schedule(Settings(archive_after_days=90)).values():
        assert "expires" not in tick["options"]
        assert tick["options"]["expiration"] > 0


def test_worker_works_only_lanes_whose_wake_ups_it_takes() -> None:
    """Its queues are chosen on the command line (`-Q`) and removed from (`-X`), after the application was made."""
    app = make_app(Settings(broker_url=SecretStr("redis://localhost/0")))
    serves = serves_lanes_of(app)
    assert all(serves(CarrierName("swift"), lane) for lane in Lane)
    app.amqp.queues.select(["orders", BELLS["ask"]])
    assert [lane for lane in Lane if serves(CarrierName("swift"), lane)] == [Lane.ASK]
    app.amqp.queues.deselect([BELLS["ask"]])
    assert not any(serves(CarrierName("swift"), lane) for lane in Lane)
