"""The workers' application with a profiler in every process; run by `celery -A` in place of the shipped one.

Profiling begins with the first task after the file `BENCH_PROFILE/go` is there, and counts CPU time, not waiting. A
process writes what it found into that directory as it ends.
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
"""This process's own; a child inherits its parent's by the fork, and leaves it alone."""


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
