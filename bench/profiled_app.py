"""The workers' Celery application with a profiler in every process; run by `celery -A` instead of the original.

Profiling starts with the first task after the file `go` exists in the directory `BENCH_PROFILE`. It counts CPU time,
not waiting. Each process writes its profile into that directory when it ends.
"""

import cProfile
import os
import time
from pathlib import Path
from typing import Any

from celery import signals

from bench.profiled_names import FOLDER, GO
from workers.celery_app import app

__all__ = ["app"]

_folder = Path(os.environ[FOLDER])
_profiles: dict[int, cProfile.Profile] = {}
"""Profiles by pid. A forked child inherits its parent's entry and must not use it."""


def _begin(**_: Any) -> None:
    if os.getpid() not in _profiles and (_folder / GO).exists():
        profile = _profiles[os.getpid()] = cProfile.Profile(time.process_time)
        profile.enable()


def _end(name: str) -> None:
    if profile := _profiles.get(os.getpid()):
        profile.disable()
        profile.dump_stats(_folder / f"{name}-{os.getpid()}.prof")


@signals.worker_process_shutdown.connect(weak=False)
def _end_child(**_: Any) -> None:
    _end("child")


@signals.worker_shutdown.connect(weak=False)
def _end_parent(**_: Any) -> None:
    _end("parent")


signals.task_prerun.connect(_begin, weak=False)
signals.task_received.connect(_begin, weak=False)
