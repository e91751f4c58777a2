"""What workers and beat answer to the doctor: their clock, and whether they can write to the ledger."""

import time
from typing import Any, Final

from celery.worker.control import inspect_command

HEALTH_COMMAND: Final = "number_orders_health"
_WITHIN_S: Final = 1
"""The main process of a worker takes no messages meanwhile."""


class WorkerHealth:
    """Where a worker finds its ledger, set once for the process."""

    database_url: str = ""


@inspect_command(name=HEALTH_COMMAND)
def worker_health(state: Any, **_: Any) -> dict[str, Any]:
    """Try a write to the ledger; the clock is read last, so that it is exact when the answer leaves."""
    from number_orders.ledger.write_check import find_write_fault  # noqa: PLC0415  beat needs no driver of the database

    fault = find_write_fault(WorkerHealth.database_url, within_s=_WITHIN_S)
    return {"is": "worker", "ledger": fault, "time": time.time()}


def beat_health(state: Any, **_: Any) -> dict[str, Any]:
    """Return beat's clock. Beat uses no ledger."""
    return {"is": "beat", "ledger": None, "time": time.time()}
