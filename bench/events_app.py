"""The workers' Celery application that counts the CPU of what Flower is shown; run by `celery -A` instead of it.

It counts what begins after the file `go` exists in the directory `BENCH_EVENTS`, as the CPU of the worker is counted
from then on. Each process writes what it took when it ends, in seconds, into that directory.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery import signals

from bench.profiled_names import EVENTS, GO
from workers.celery_app import app
from workers.event_publisher import EventPublisher
from workers.order_events import OrderEvents

__all__ = ["app"]

_folder = Path(os.environ[EVENTS])
_taken: dict[str, float] = {}
"""CPU seconds of this process by what took them. A child begins with its parent's, which are none."""


def _counted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*args: Any, **kwargs: Any) -> Any:
        if not (_folder / GO).exists():
            return call(*args, **kwargs)
        began = time.thread_time()
        try:
            return call(*args, **kwargs)
        finally:
            _taken[name] = _taken.get(name, 0.0) + time.thread_time() - began

    return counted


for owner, method in ((OrderEvents, "on_accepted"), (OrderEvents, "on_moved"), (EventPublisher, "_send_waiting")):
    setattr(owner, method, _counted(method, getattr(owner, method)))


def _write(**_: Any) -> None:
    (_folder / f"{os.getpid()}.json").write_text(json.dumps(_taken), encoding="utf-8")


signals.worker_process_shutdown.connect(_write, weak=False, dispatch_uid="bench.events_app")
