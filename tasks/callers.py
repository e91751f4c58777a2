"""Who has sent the message of a task: what `number_orders.fulfilment.callers` needs to know of Celery's requests."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from number_orders.fulfilment.callers import Arrived
from number_orders.fulfilment.intake import Refusal, Submission, Ticket
from number_orders.fulfilment.runtime import Services
from number_orders.orders.errors import OrderRefused
from number_orders_client.signing import Message


def arrived_as(request: Mapping[str, Any]) -> Arrived:
    """Return a Celery request, or the values of a task's context, as the message that it was."""
    message = Message(request.get("task") or "", request["id"], request["args"] or (), request["kwargs"] or {})
    return Arrived(message, request, _queue(request.get("delivery_info") or {}))


async def submit_proven(services: Services, arrivals: Sequence[tuple[Arrived, Submission]]) -> list[Ticket | Refusal]:
    """Take in the orders of messages, each for the producer that has proven to have sent it; answer each by itself.

    Raises:
        LedgerUnavailable: Some may not be stored. Sending all again is safe.
    """
    refused: dict[int, Refusal] = {}
    proven: list[Submission] = []
    for index, (arrived, one) in enumerate(arrivals):
        try:
            caller = await services.callers.identify(arrived)
            proven.append(replace(one, producer=caller.producer(one.producer), is_proven=caller.is_proven))
        except OrderRefused as refusal:
            refused[index] = Refusal(None, refusal)
    taken = iter(await services.intake.submit_together(proven))
    return [refused[index] if index in refused else next(taken) for index in range(len(arrivals))]


def _queue(delivery: Mapping[str, Any]) -> str:
    """Return the queue that a message came from; empty if it was published to an exchange of somebody's own.

    Celery publishes to the nameless exchange, or to one that is named like the queue.
    """
    queue = delivery.get("routing_key")
    return queue if isinstance(queue, str) and delivery.get("exchange") in {None, "", queue} else ""
