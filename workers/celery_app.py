"""The Celery application: `python -m workers worker`.

Importing this module connects to nothing. A pool child opens its event loop, HTTP clients and ledger connections when
it starts, after the fork, and keeps them until it ends (`number_orders.fulfilment.runtime`).
"""

import gc
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

import structlog
from celery import signals

from config.settings import Settings
from number_orders.carriers.http.transport import default_tls
from number_orders.fulfilment import runtime
from number_orders.fulfilment.webhooks.client import webhook_tls
from workers import bootstrap, logs, worker_metrics
from workers.apps import begin, make_app, serves_lanes_of
from workers.dead_letters import DeadLetters
from workers.health import WorkerHealth
from workers.metrics_server import MetricsServer
from workers.senders import make_bell, make_notifier, node_here, order_monitor
from workers.slots import FileSlots
from workers.termination import heed_only_the_worker

_READY_WITHIN_S: Final = 2.0
"""How long a starting child waits for the ledger. Giving up on one that does not answer takes a few seconds more."""

log = structlog.get_logger(__name__)

settings = Settings()
begin(settings)
app = make_app(settings)


class _Node:
    """The name of this worker among the others; its pool children have it too."""

    name = node_here("celery")
    metrics: MetricsServer | None = None


# One folder per worker: its pool children are forked from the process that imports this.
slots_folder = Path(tempfile.gettempdir()) / f"number-orders-slots-{os.getuid()}-{os.getpid()}"
metrics_folder = Path(tempfile.gettempdir()) / f"number-orders-metrics-{os.getuid()}-{os.getpid()}"
"""Where the processes of this worker count. A child is forked, so it has its worker's."""
if settings.metrics_port:
    worker_metrics.begin(metrics_folder)


def _metrics() -> worker_metrics.WorkerMetrics | None:
    return worker_metrics.WorkerMetrics() if settings.metrics_port else None


if settings.database_url is not None:
    DeadLetters.database_url = WorkerHealth.database_url = settings.database_url.get_secret_value()
    runtime.install(
        bootstrap.services_factory(
            settings,
            bell=lambda: make_bell(settings),
            notifier=lambda: make_notifier(settings),
            monitor=lambda: order_monitor(settings, _Node.name),
            metrics=_metrics,
            slots=FileSlots(slots_folder, each=settings.lane_children, together=settings.lanes_together),
            serves=serves_lanes_of(app),
        )
    )


@signals.celeryd_init.connect(weak=False)
def _on_worker_named(sender: str, **_: Any) -> None:
    _Node.name = sender


@signals.celeryd_after_setup.connect(weak=False)
def _on_worker_set_up(instance: Any, **_: Any) -> None:
    instance.quiet = instance.quiet or settings.log_json  # its banner is no JSON


@signals.worker_init.connect(weak=False)
def _on_worker_start(**_: Any) -> None:
    # Read the certificates once, before the fork, for all children. What is loaded so far is then left out of garbage
    # collections, which would write to it, so that children share its memory.
    default_tls()
    webhook_tls(settings.webhooks.ca_file)
    gc.collect()
    gc.freeze()


@signals.worker_ready.connect(weak=False)
def _on_worker_ready(**_: Any) -> None:
    if not settings.metrics_port:
        return
    try:
        _Node.metrics = MetricsServer(
            settings.metrics_host,
            settings.metrics_port,
            read=lambda: worker_metrics.exposition(metrics_folder),
            token=settings.metrics_token.get_secret_value() if settings.metrics_token else None,
            is_open=settings.metrics_open,
        )
    except OSError as fault:
        # Orders matter more than their metrics, and Prometheus raises the alarm.
        log.error("metrics_not_served", port=settings.metrics_port, trouble=str(fault))  # noqa: TRY400  no bug of ours


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
    shutil.rmtree(metrics_folder, ignore_errors=True)


@signals.worker_process_shutdown.connect(weak=False)
def _on_child_end(**_: Any) -> None:
    runtime.close()
