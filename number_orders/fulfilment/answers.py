"""Answers to producers as JSON values: the shapes of `number_orders_client.contract`, the same in every channel."""

from collections.abc import Sequence

from number_orders.fulfilment.intake import Refusal, Ticket
from number_orders.orders.errors import Fault


def ticket_to_json(ticket: Ticket) -> dict[str, object]:
    """Return a ticket (`contract.Ticket`)."""
    return {
        "order_id": str(ticket.order_id),
        "key": ticket.key,
        "state": ticket.state.value,
        "new": ticket.new,
    }


def faults_to_json(faults: Sequence[Fault]) -> list[dict[str, str]]:
    """Return faults (`contract.Fault`)."""
    return [{"field": fault.field, "rule": fault.rule} for fault in faults]


def outcomes_to_json(outcomes: Sequence[Ticket | Refusal]) -> dict[str, object]:
    """Return what became of many orders: the accepted and the refused ones, each with its index."""
    return {
        "tickets": [{"index": i, **ticket_to_json(got)} for i, got in enumerate(outcomes) if isinstance(got, Ticket)],
        "refused": [
            {"index": i, "key": got.key, "faults": faults_to_json(got.error.faults)}
            for i, got in enumerate(outcomes)
            if isinstance(got, Refusal)
        ],
    }
