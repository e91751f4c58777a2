"""The Celery application: `celery -A workers.celery_app worker|beat|flower`.

Nothing is connected here. A pool child makes its loop, its clients and its ledger connections at its first task,
after the fork, and keeps them for life (`fulfilment.runtime`).
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import redis
from celery import Celery, signals
from kombu import Queue

from config.queues import ALL, BELL_TRANSPORT, CELERY
from config.schedule import SCHEDULE
from config.settings import Settings
from fulfilment import runtime
from workers import bootstrap, logs
from workers.bells import CeleryBell, CeleryHerald
from workers.letters import Undertaker
from workers.slots import FileSlots


def make_app(settings: Settings) -> Celery:
    """Return the application that workers, beat and Flower run."""
    app = Celery(
        "number-orders",
        broker=_broker(settings),
        backend=settings.tickets_url or "disabled://",
        include=["tasks.submitting", "tasks.working", "tasks.sweeping"],
    )
    app.conf.update(CELERY)
    app.conf.update(
        task_queues=[Queue(name, routing_key=name) for name in ALL],
        beat_schedule=SCHEDULE,
        # The schedule stands in the code, so beat has nothing to remember and nothing to corrupt.
        beat_scheduler="celery.beat:Scheduler",
        beat_max_loop_interval=1,
        worker_consumer="workers.letters:CarefulConsumer",
        worker_concurrency=settings.children,
    )
    return app


def make_ringer(settings: Settings) -> Celery:
    """Return the application that bells and documents leave by: it gives up where a worker's would wait."""
    ringer = Celery("number-orders-bells", broker=_broker(settings), set_as_current=False)
    ringer.conf.update(CELERY)
    ringer.conf.update(
        broker_transport_options=BELL_TRANSPORT,
        broker_connection_timeout=1,
        # A bell is not worth an event of its own; that it was heard is.
        task_send_sent_event=False,
    )
    return ringer


def _broker(settings: Settings) -> str:
    if settings.broker_url is None:
        return "memory://"  # nothing runs on this: `number-orders up` hands its processes the broker it started
    return settings.broker_url.get_secret_value()


def _rung(settings: Settings) -> redis.Redis | None:
    url = _broker(settings)
    if not url.startswith(("redis://", "rediss://")):
        return None
    return redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)


settings = Settings()
logs.set_up(settings.log_level, as_json=settings.log_json)
signals.setup_logging.connect(logs.on_setup_logging, weak=False)
app = make_app(settings)


# One folder per worker: its children are forked from the process that this runs in.
slots_folder = Path(tempfile.gettempdir()) / f"number-orders-slots-{os.getuid()}-{os.getpid()}"
if settings.database_url is not None:
    Undertaker.database_url = settings.database_url.get_secret_value()
    runtime.install(
        bootstrap.opening(
            settings,
            bell=lambda: CeleryBell(make_ringer(settings), _rung(settings)),
            herald=lambda: CeleryHerald(make_ringer(settings)),
            slots=FileSlots(slots_folder, each=settings.lane_children),
        )
    )


@signals.task_prerun.connect(weak=False)
def _on_task(task_id: str, task: Any, **_: Any) -> None:
    logs.bind_task(task_id, task.name)


@signals.worker_shutdown.connect(weak=False)
def _on_worker_end(**_: Any) -> None:
    shutil.rmtree(slots_folder, ignore_errors=True)


@signals.worker_process_shutdown.connect(weak=False)
def _on_child_end(**_: Any) -> None:
    runtime.close()
