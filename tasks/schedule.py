"""What beat rings for.

`orders.sweep` finds the lanes on which something is due, `orders.mind` the lines that do not move on, and
`orders.forget` drops old receipts.
"""

from celery import shared_task

from tasks.wakeups import answer


@shared_task(
    name="orders.sweep",
    acks_late=False,  # the next tick is a second away
    ignore_result=True,
    send_events=False,  # one a second for ever would bury the orders in Flower
)
def sweep() -> None:
    """Ring for every lane that has something due."""
    answer(lambda desk: desk.sweep())


@shared_task(name="orders.mind", acks_late=False, ignore_result=True, send_events=False)
def mind() -> None:
    """Tell a person about lines that do not move on."""
    answer(lambda desk: desk.watch())


@shared_task(name="orders.forget", acks_late=False, ignore_result=True)
def forget() -> None:
    """Drop the receipts that are older than they are kept."""
    answer(lambda desk: desk.forget())
