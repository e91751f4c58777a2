"""Makes Celery applications, and what bells and documents leave by, from settings.

Importing this chooses the transport to Redis and does nothing else; nothing is connected when an application is made,
so commands may use it beside the workers. The workers' own application stands in `workers.celery_app`.
"""

import time
from collections.abc import Callable

import redis
from celery import Celery
from kombu import Queue

from config.queues import ALL, BELL_TRANSPORT, CELERY
from config.schedule import SCHEDULE
from config.settings import Settings
from tasks.tickets import TicketStore
from workers import redis_transport
from workers.bells import CeleryBell, CeleryNotifier

redis_transport.install()


def make_app(settings: Settings) -> Celery:
    """Return the application that workers, beat and Flower run."""
    app = Celery(
        "number-orders",
        broker=broker_of(settings),
        backend=_tickets(settings),
        include=["tasks.orders", "tasks.lanes", "tasks.schedule"],
        task_cls="workers.request:DeadLetterTask",
    )
    app.conf.update(CELERY)
    app.conf.update(
        task_queues=[Queue(name, routing_key=name) for name in ALL],
        beat_schedule=SCHEDULE,
        beat_scheduler="workers.scheduler:Ticker",
        beat_max_loop_interval=1,
        worker_consumer="workers.consumer:DeadLetterConsumer",
        worker_concurrency=settings.children,
        task_annotations={"orders.submit": {"Strategy": "workers.batches:batching_strategy"}},
    )
    return app


def make_ringer(settings: Settings) -> Celery:
    """Return the application that bells and documents leave by: it gives up where a worker's would wait."""
    ringer = Celery("number-orders-bells", broker=broker_of(settings), set_as_current=False)
    ringer.conf.update(CELERY)
    ringer.conf.update(
        broker_transport_options=BELL_TRANSPORT,
        broker_connection_timeout=1,
        # A bell is not worth an event of its own; that it was heard is.
        task_send_sent_event=False,
    )
    return ringer


def make_bell(settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> CeleryBell:
    """Return the bell of one process."""
    return CeleryBell(make_ringer(settings), _rung(settings), clock=clock)


def make_notifier(settings: Settings) -> CeleryNotifier:
    """Return the notifier of one process."""
    return CeleryNotifier(make_ringer(settings))


def broker_of(settings: Settings) -> str:
    """Return the broker's address."""
    if settings.broker_url is None:
        return "memory://"  # nothing runs on this: `number-orders up` hands its processes the broker it started
    return settings.broker_url.get_secret_value()


def _tickets(settings: Settings) -> str:
    url = settings.tickets_url or "disabled://"
    return (
        f"{TicketStore.__module__}:{TicketStore.__name__}+{url}" if url.startswith(("redis://", "rediss://")) else url
    )


def _rung(settings: Settings) -> redis.Redis | None:
    url = broker_of(settings)
    if not url.startswith(("redis://", "rediss://")):
        return None
    return redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)
