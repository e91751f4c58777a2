"""What beat sends, how often, and why. A tick that is sent twice or not at all does no harm.

Two beats send every tick twice. Most of what ticks start is cheap and finds nothing the second time. What is not begins
once in its time, which the ledger remembers (`ScheduledRuns`).

Not here, because each is a work item of its order, due at its own time: the next question to a carrier, the alarm about
an order that is overdue (raised by the question that finds it so), and the late look after an end.
"""

from typing import Any, Final

from celery.schedules import crontab

from config.queues import SWEEP, WAKE_UP_LIVES_S
from config.settings import OFF, Settings

_AFTER_FALL_S: Final = 600.0


def _tick(task: str, every: float | crontab, *, lives_s: float) -> dict[str, Any]:
    """Return one entry. The broker judges `expiration` by its own clock; a worker would judge `expires`."""
    return {
        "task": task,
        "schedule": every,
        "options": {"queue": SWEEP, "expiration": lives_s, "ignore_result": True},
    }


def schedule(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return what beat sends. What is switched off is left out.

    Beat stores nothing, so for what happens once a day a time of day is used, and no interval, which would begin anew
    with each start of beat.
    """
    every = settings.schedule
    wanted = {
        # Work that fell due rings no bell by itself, and a bell can be lost: this is how late an order can be.
        "sweep": _tick("orders.sweep", every.sweep_s, lives_s=WAKE_UP_LIVES_S),
        # Nobody else notices an order that blocks others, or a document whose work item is gone. A minute is soon
        # enough for a person.
        "watch": _tick("orders.mind", every.watch_s, lives_s=60),
        # A subscription that is missing only delays news, and a carrier counts the questions.
        "subscribe": _tick("orders.subscribe", every.subscribe_s, lives_s=300),
        # Receipts and notices are most of the disk. An hour's worth is deleted in seconds.
        "forget": _tick("orders.forget", every.forget_s, lives_s=600),
        # A ledger that fell back has forgotten purchases and removals: nobody should wait for the night to know which.
        # Looks whether it has fallen, and only then compares.
        "reconcile_after_fall": _tick("orders.reconcile_after_fall", _AFTER_FALL_S, lives_s=300),
    }
    if settings.reconcile_at != OFF:
        # Reads whole lists of numbers, at a time when orders need the carriers' limits least.
        wanted["reconcile"] = _tick("orders.reconcile", _daily(settings.reconcile_at), lives_s=3600)
    if settings.coverage_at != OFF:
        # A stock that runs out is seen days before orders for it fail.
        wanted["coverage"] = _tick("orders.snapshot_coverage", _daily(settings.coverage_at), lives_s=3600)
    if settings.archive_after_days != OFF:
        # Moves for two minutes at most, so that it never competes with orders for long; the next hour goes on.
        wanted["archive"] = _tick("orders.archive", every.archive_s, lives_s=600)
    return wanted


def _daily(time_of_day: str) -> crontab:
    hour, minute = time_of_day.split(":")
    return crontab(hour=int(hour), minute=int(minute))
