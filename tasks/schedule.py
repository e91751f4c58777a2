"""The tasks that beat sends.

`orders.sweep` rings for lanes on which something is due, `orders.mind` raises alarms about serial locks that are held
for too long, `orders.reconcile` compares the carriers' numbers with ours, `orders.subscribe` keeps the subscriptions to
carriers' notices, and `orders.forget` deletes old receipts and notices.
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
    send_events=False,  # one every second would bury the orders in Flower
)
def sweep() -> None:
    """Ring for every lane that has something due."""
    run(lambda service: service.sweep())


@shared_task(name="orders.mind", acks_late=False, ignore_result=True, send_events=False)
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
