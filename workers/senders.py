"""Make what sends messages from the settings: the bell, the notifier, and the monitor that shows orders in Flower.

Making them connects to nothing, so commands may do it too.
"""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import redis
from celery import Celery
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.addresses import REDIS, scheme_of
from config.queues import ALL, CELERY
from config.settings import Settings
from number_orders.fulfilment.ports import OrderMonitor
from workers.bells import CeleryBell, CeleryNotifier
from workers.brokers import broker_options, broker_url, redis_client, task_queue
from workers.clock import utc_now
from workers.event_publisher import CeleryEvents, EventPublisher
from workers.order_events import OrderEvents
from workers.own_celery import OwnCelery


def make_sender(settings: Settings) -> Celery:
    """Return the application that sends bells and documents: it gives up quickly where a worker's would wait."""
    sender = OwnCelery("number-orders-bells", broker=broker_url(settings), set_as_current=False)
    sender.conf.update(CELERY)
    sender.conf.update(
        **broker_options(settings, is_sender=True),
        task_queues=[task_queue(settings, name) for name in ALL],
        broker_connection_timeout=1,
        # Flower need not see each bell that is sent, only each that is received.
        task_send_sent_event=False,
    )
    return sender


def make_bell(settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> CeleryBell:
    """Return the bell of one process."""
    return CeleryBell(make_sender(settings), _bell_marks(settings), clock=clock)


def make_notifier(settings: Settings) -> CeleryNotifier:
    """Return the notifier of one process."""
    return CeleryNotifier(make_sender(settings))


@contextmanager
def order_monitor(settings: Settings, node: str) -> Iterator[OrderMonitor | None]:
    """Show the orders of one process in Flower, if the settings want it. `node` is who says so: `worker1@host`."""
    if not settings.order_events:
        yield None
        return
    publish = CeleryEvents(make_sender(settings), node)
    publisher = EventPublisher(publish)
    try:
        yield OrderEvents(publisher.send, now=utc_now)
    finally:
        publisher.close()


def node_here(name: str) -> str:
    """Return the name under which Flower lists a process of this machine that is no worker."""
    return f"{name}@{socket.gethostname()}"


def _bell_marks(settings: Settings) -> redis.Redis | None:
    url = broker_url(settings)
    if scheme_of(url) not in REDIS:
        return None
    # Once more at once, on a new connection, if the broker has closed this one; by default redis-py waits for seconds.
    retry = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
    return redis_client(settings, url, timeout_s=1, retry=retry)
