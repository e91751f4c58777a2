"""The Celery application: `celery -A workers.celery_app worker|beat|flower`.

Importing this module connects to nothing. A pool child opens its event loop, HTTP clients and ledger connections when
it starts, after the fork, and keeps them until it ends (`number_orders.fulfilment.runtime`).
"""

import gc
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

from celery import signals

from config.settings import Settings
from number_orders.carriers.http.transport import default_tls
from number_orders.fulfilment import runtime
from number_orders.fulfilment.webhooks.client import webhook_tls
from workers import bootstrap, logs, own_celery, scheduler
from workers.apps import make_app, make_bell, make_notifier
from workers.dead_letters import DeadLetters
from workers.health import WorkerHealth
from workers.slots import FileSlots
from workers.termination import heed_only_the_worker

_READY_WITHIN_S: Final = 2.0
"""How long a starting child waits for the ledger. Giving up on one that does not answer takes a few seconds more."""

settings = Settings()
logs.set_up(settings.log_level, as_json=settings.log_json)
signals.setup_logging.connect(logs.on_setup_logging, weak=False)
own_celery.forget_environment()
scheduler.install()
app = make_app(settings)


# One folder per worker: its pool children are forked from the process that imports this.
slots_folder = Path(tempfile.gettempdir()) / f"number-orders-slots-{os.getuid()}-{os.getpid()}"
if settings.database_url is not None:
    DeadLetters.database_url = WorkerHealth.database_url = settings.database_url.get_secret_value()
    runtime.install(
        bootstrap.services_factory(
            settings,
            bell=lambda: make_bell(settings),
            notifier=lambda: make_notifier(settings),
            slots=FileSlots(slots_folder, each=settings.lane_children, together=settings.lanes_together),
        )
    )


@signals.worker_init.connect(weak=False)
def _on_worker_start(**_: Any) -> None:
    # Read the certificates once, before the fork, for all children. What is loaded so far is then left out of garbage
    # collections, which would write to it, so that children share its memory.
    default_tls()
    webhook_tls(settings.webhooks.ca_file)
    gc.collect()
    gc.freeze()


@signals.worker_process_init.connect(weak=False)
def _on_child_start(**_: Any) -> None:
    heed_only_the_worker()  # before any thread starts
    runtime.prepare(within_s=_READY_WITHIN_S)


@signals.task_prerun.connect(weak=False)
def _on_task(task_id: str, task: Any, **_: Any) -> None:
    logs.bind_task(task_id, task.name)


@signals.worker_shutdown.connect(weak=False)
def _on_worker_end(**_: Any) -> None:
    shutil.rmtree(slots_folder, ignore_errors=True)


@signals.worker_process_shutdown.connect(weak=False)
def _on_child_end(**_: Any) -> None:
    runtime.close()
