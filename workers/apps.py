"""Make the Celery applications of workers, beat and Flower from the settings.

Making one connects to nothing, so commands may do it too. The workers' own application is in `workers.celery_app`,
beat's in `workers.beat_app`. Beat loads this module, so it imports no driver of the database and no HTTP client.
"""

from collections.abc import Callable, Sequence
from typing import Final

from celery import Celery, signals

from config.queues import ALL, BELLS, CELERY, OPERATORS
from config.schedule import schedule
from config.settings import Settings
from number_orders.orders.model import CarrierName, Lane
from workers import logs, scheduler
from workers.brokers import broker_options, broker_url, result_backend, result_options, task_queue
from workers.own_celery import OwnCelery, forget_environment

TASKS: Final = ("tasks.orders", "tasks.lanes", "tasks.schedule")


def begin(settings: Settings) -> None:
    """Prepare a process for its application: its logs, its environment, and beat's parts."""
    logs.set_up(settings.log_level, as_json=settings.log_json)
    signals.setup_logging.connect(logs.on_setup_logging, weak=False)
    forget_environment()
    scheduler.install()


def make_app(settings: Settings, *, tasks: Sequence[str] = TASKS) -> Celery:
    """Return the application that workers, beat and Flower run; `tasks` are the modules that it loads."""
    app = OwnCelery(
        "number-orders",
        broker=broker_url(settings),
        backend=result_backend(settings),
        include=list(tasks),
        task_cls="workers.request:DeadLetterTask",
    )
    app.conf.update(CELERY)
    app.conf.update(
        **broker_options(settings),
        **result_options(settings),
        task_queues=[task_queue(settings, name) for name in (*ALL, *((OPERATORS,) * settings.operators_queue))],
        beat_schedule=schedule(settings),
        beat_scheduler="workers.scheduler:BeatScheduler",
        beat_max_loop_interval=1,
        worker_consumer="workers.consumer:DeadLetterConsumer",
        worker_concurrency=settings.children,
        task_annotations={"orders.submit": {"Strategy": "workers.batches:batching_strategy"}},
    )
    return app


def serves_lanes_of(app: Celery) -> Callable[[CarrierName, Lane], bool]:
    """Return which lanes the worker of this application may work unasked: those whose wake-ups it takes (`-Q`)."""

    def serves(_carrier: CarrierName, lane: Lane) -> bool:
        return BELLS[lane.value] in app.amqp.queues.consume_from

    return serves
