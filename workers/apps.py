"""Make Celery applications, the bell and the notifier from the settings.

Importing this module installs our Redis transport and does nothing else. Making an application connects to nothing, so
commands may do it too. The workers' own application is in `workers.celery_app`.
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
        broker=broker_url(settings),
        backend=_result_backend(settings),
        include=["tasks.orders", "tasks.lanes", "tasks.schedule"],
        task_cls="workers.request:DeadLetterTask",
    )
    app.conf.update(CELERY)
    app.conf.update(
        task_queues=[Queue(name, routing_key=name) for name in ALL],
        beat_schedule=SCHEDULE,
        beat_scheduler="workers.scheduler:BeatScheduler",
        beat_max_loop_interval=1,
        worker_consumer="workers.consumer:DeadLetterConsumer",
        worker_concurrency=settings.children,
        task_annotations={"orders.submit": {"Strategy": "workers.batches:batching_strategy"}},
    )
    return app


def make_sender(settings: Settings) -> Celery:
    """Return the application that sends bells and documents: it gives up quickly where a worker's would wait."""
    sender = Celery("number-orders-bells", broker=broker_url(settings), set_as_current=False)
    sender.conf.update(CELERY)
    sender.conf.update(
        broker_transport_options=BELL_TRANSPORT,
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


def broker_url(settings: Settings) -> str:
    """Return the URL of the broker."""
    if settings.broker_url is None:
        return "memory://"  # never used: `number-orders up` passes its processes the broker that it has started
    return settings.broker_url.get_secret_value()


def _result_backend(settings: Settings) -> str:
    url = settings.tickets_url or "disabled://"
    return (
        f"{TicketStore.__module__}:{TicketStore.__name__}+{url}" if url.startswith(("redis://", "rediss://")) else url
    )


def _bell_marks(settings: Settings) -> redis.Redis | None:
    url = broker_url(settings)
    if not url.startswith(("redis://", "rediss://")):
        return None
    return redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)
