"""The tasks that beat sends.

How often, and why: config/schedule.py.
"""

from typing import Final

from celery import shared_task

from tasks.wakeups import run

RECONCILIATION_LIMIT_S: Final = 3600
"""The lists of all carriers are read page by page, within their rate limits."""


@shared_task(
    name="orders.sweep",
    acks_late=False,  # the next tick is a second away
    ignore_result=True,
)
def sweep() -> None:
    """Ring for every lane that has something due."""
    run(lambda service: service.sweep())


@shared_task(name="orders.mind", acks_late=False, ignore_result=True)
def watch() -> None:
    """Raise alarms about orders that block others, and drop the alarms that no longer apply."""
    run(lambda service: service.watch())


@shared_task(name="orders.forget", acks_late=False, ignore_result=True)
def forget() -> None:
    """Delete the receipts and notices that are past their retention."""
    run(lambda service: service.forget())


@shared_task(name="orders.subscribe", acks_late=False, ignore_result=True)
def subscribe() -> None:
    """Make and renew the subscriptions to carriers' notices."""
    run(lambda service: service.keep_subscriptions())


@shared_task(name="orders.reconcile", acks_late=False, ignore_result=True, time_limit=RECONCILIATION_LIMIT_S)
def reconcile() -> None:
    """Compare the numbers that carriers say are ours with those in the ledger, and raise alarms about differences."""
    run(lambda service: service.reconcile_all())


@shared_task(name="orders.reconcile_after_fall", acks_late=False, ignore_result=True, time_limit=RECONCILIATION_LIMIT_S)
def reconcile_after_fall() -> None:
    """Do so after the ledger fell back in time."""
    run(lambda service: service.reconcile_after_fall())


@shared_task(name="orders.snapshot_coverage", acks_late=False, ignore_result=True, time_limit=RECONCILIATION_LIMIT_S)
def snapshot_coverage() -> None:
    """Count what carriers have for sale."""
    run(lambda service: service.snapshot_coverage())


@shared_task(name="orders.archive", acks_late=False, ignore_result=True)
def archive() -> None:
    """Move orders that ended long ago into the archive."""
    run(lambda service: service.archive())
