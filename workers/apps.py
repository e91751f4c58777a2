"""Make Celery applications, the bell and the notifier from the settings.

Importing this module installs our Redis transport and the limit of what messages unpack to, and does nothing else.
Making an application connects to nothing, so commands may do it too. The workers' own application is in
`workers.celery_app`.
"""

import time
from collections.abc import Callable

import redis
from celery import Celery
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.addresses import REDIS, scheme_of
from config.queues import ALL, CELERY, OPERATORS
from config.schedule import schedule
from config.settings import Settings
from workers import compression, redis_transport
from workers.bells import CeleryBell, CeleryNotifier
from workers.brokers import broker_options, broker_url, redis_client, result_backend, result_options, task_queue
from workers.own_celery import OwnCelery

redis_transport.install()
compression.install()


def make_app(settings: Settings) -> Celery:
    """Return the application that workers, beat and Flower run."""
    app = OwnCelery(
        "number-orders",
        broker=broker_url(settings),
        backend=result_backend(settings),
        include=["tasks.orders", "tasks.lanes", "tasks.schedule"],
        task_cls="workers.request:DeadLetterTask",
    )
    app.conf.update(CELERY)
    app.conf.update(
        **broker_options(settings),
        **result_options(settings),
        task_queues=[task_queue(settings, name) for name in (*ALL, *((OPERATORS,) * settings.operators_queue))],
        beat_schedule=schedule(settings.reconcile_at),
        beat_scheduler="workers.scheduler:BeatScheduler",
        beat_max_loop_interval=1,
        worker_consumer="workers.consumer:DeadLetterConsumer",
        worker_concurrency=settings.children,
        task_annotations={"orders.submit": {"Strategy": "workers.batches:batching_strategy"}},
    )
    return app


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


def _bell_marks(settings: Settings) -> redis.Redis | None:
    url = broker_url(settings)
    if scheme_of(url) not in REDIS:
        return None
    # Once more at once, on a new connection, if the broker has closed this one; by default redis-py waits for seconds.
    retry = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
    return redis_client(settings, url, timeout_s=1, retry=retry)
