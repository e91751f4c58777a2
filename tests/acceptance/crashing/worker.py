"""The workers' own application, on wires that break: `celery -A tests.acceptance.crashing.worker worker`.

Each lane takes one order at a time (CONCURRENCY=1 does that for two of them), and each child one lane, so that every
I/O is one order's. `test_killed_workers` and simulated worlds kill children that work several lanes.
"""

import os
from collections.abc import Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from celery import signals

from number_orders.carriers.bandwidth import disconnects
from number_orders.fulfilment import notifications, runtime
from number_orders.fulfilment.lanes import runner
from tasks import orders as submitting
from tests.acceptance.crashing import wires
from tests.acceptance.crashing.fate import FOLDER, Fates
from workers import batches, bells
from workers.celery_app import app

__all__ = ["app"]

fates = Fates(Path(os.environ[FOLDER]))
wires.lay(fates)
vars(notifications)["_LIMIT"] = 1
vars(runner)["LOOK_EVERY_S"] = 3600.0
vars(bells)["_SILENT_S"] = 0.0  # nor does one order's trouble silence the bell of the next
vars(batches)["BATCH_MAX"] = 1
bells.CeleryBell.mute = lambda *_: None  # type: ignore[method-assign]  # one order must not mute the bell of another
vars(disconnects)["DISCONNECTS_READ_MAX"] = 1000  # "near in time" says little while time is made to pass
app.conf.worker_send_task_events = False  # nobody watches


async def _look_for_nothing(self: runner.LaneRunner) -> None:
    """Leave every other lane to another child."""


runner.LaneRunner._look = _look_for_nothing  # type: ignore[method-assign]

# What is slow to make and the same in every child is made once: hundreds of them are going to die.
runtime.runtime()
runtime.close()


@wraps(submitting.submit_batch)
def _one_by_one(requests: Sequence[Mapping[str, Any]]) -> list[submitting.TaskReport]:
    """Take one order in: a message that comes for the first time gets to a child by this way, and without a signal."""
    (request,) = requests
    fates.enter("intake", request["id"])
    try:
        return _submit_batch(requests)
    finally:
        fates.enter("elsewhere")


_submit_batch = submitting.submit_batch
for module in (submitting, batches):
    vars(module)["submit_batch"] = _one_by_one


@signals.task_prerun.connect(weak=False)
def _on_task(task_id: str, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any], **_: Any) -> None:
    match task.name:
        case "orders.submit":
            fates.enter("intake", task_id)
        case "orders.cancel":
            fates.enter("cancel", args[0])
        case "orders.work":
            fates.enter(kwargs["lane"])
        case _:
            fates.enter("elsewhere")


@signals.task_postrun.connect(weak=False)
def _after_task(**_: Any) -> None:
    fates.enter("elsewhere")
