"""The bell, `orders.work`: it names a lane, not an order. What is due stands in the ledger and is claimed there."""

from celery import shared_task

from number_orders.orders.model import CarrierName, Lane
from tasks.wakeups import run


@shared_task(
    name="orders.work",
    acks_late=False,  # the lease is the recovery; a late ack would only run it twice
    ignore_result=True,  # the ledger is the result
)
def work(carrier: str, lane: str) -> None:
    """Do what is due on one lane; twice, late or never changes no outcome."""
    run(lambda service: service.work(CarrierName(carrier), Lane(lane)))
