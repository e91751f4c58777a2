"""What beat sends, and how often. A tick that is sent twice or not at all does no harm."""

from typing import Any, Final

from celery.schedules import crontab

from config.queues import SWEEP, SWEEP_EVERY_S
from config.settings import OFF

_ALWAYS: Final[dict[str, dict[str, Any]]] = {
    "sweep": {
        "task": "orders.sweep",
        "schedule": SWEEP_EVERY_S,
        # A tick that no worker took in time is useless: the next one has been sent.
        "options": {"queue": SWEEP, "expires": 2 * SWEEP_EVERY_S, "ignore_result": True},
    },
    "mind": {
        "task": "orders.mind",
        "schedule": 60.0,
        "options": {"queue": SWEEP, "expires": 60, "ignore_result": True},
    },
    "forget": {
        "task": "orders.forget",
        "schedule": 3600.0,
        "options": {"queue": SWEEP, "expires": 600, "ignore_result": True},
    },
}


def schedule(reconcile_at: str) -> dict[str, dict[str, Any]]:
    """Return what beat sends, with the nightly reconciliation at that time in UTC (`HH:MM`), unless it is `off`.

    Beat stores nothing, so a time of day is used and no interval, which would begin anew with each start of beat.
    """
    if reconcile_at == OFF:
        return _ALWAYS
    hour, minute = reconcile_at.split(":")
    nightly = {
        "task": "orders.reconcile",
        "schedule": crontab(hour=int(hour), minute=int(minute)),
        "options": {"queue": SWEEP, "expires": 3600, "ignore_result": True},
    }
    return {**_ALWAYS, "reconcile": nightly}
