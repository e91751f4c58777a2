"""What beat sends, and how often. A tick that is sent twice or not at all does no harm."""

from typing import Any, Final

from celery.schedules import crontab

from config.queues import SWEEP, SWEEP_EVERY_S, WAKE_UP_LIVES_S
from config.settings import OFF


def _options(lives_s: float) -> dict[str, Any]:
    """Return how a tick is sent. The broker judges `expiration` by its own clock; a worker would judge `expires`."""
    return {"queue": SWEEP, "expiration": lives_s, "ignore_result": True}


_ALWAYS: Final[dict[str, dict[str, Any]]] = {
    "sweep": {"task": "orders.sweep", "schedule": SWEEP_EVERY_S, "options": _options(WAKE_UP_LIVES_S)},
    "mind": {"task": "orders.mind", "schedule": 60.0, "options": _options(60)},
    "subscribe": {"task": "orders.subscribe", "schedule": 600.0, "options": _options(300)},
    "forget": {"task": "orders.forget", "schedule": 3600.0, "options": _options(600)},
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
        "options": _options(3600),
    }
    return {**_ALWAYS, "reconcile": nightly}
