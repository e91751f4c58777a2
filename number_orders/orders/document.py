"""The order document: an order as producers see it, the same in every channel.

Its fields and types are described for producers in `number_orders_client.contract.OrderDocument`.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from number_orders.orders.model import NumberResult, NumberState, Order


def document(order: Order, results: Iterable[NumberResult]) -> dict[str, Any]:
    """Return the order as plain JSON values. Moments are ISO 8601 in UTC, numbers are E.164.

    `numbers` holds every number that was asked for by name, even before anything is known of it.
    """
    known = {result.e164: result for result in results}
    asked = (NumberResult(e164, NumberState.REQUESTED) for e164 in order.request.numbers if e164 not in known)
    numbers = sorted((*known.values(), *asked), key=lambda result: result.e164)
    return {
        "order_id": str(order.order_id),
        "producer": order.producer,
        "key": order.request.key,
        "carrier": order.request.carrier,
        "kind": order.request.kind.value,
        "state": order.state.value,
        "final": order.state.is_final,
        "version": order.version,
        "reason": order.reason,
        "quantity": order.request.wanted,
        "numbers": [_number(result) for result in numbers],
        "reference": order.reference,
        "carrier_order_id": order.carrier_order_id,
        "carrier_status": order.carrier_status,
        "accepted_at": _moment(order.accepted_at),
        "ended_at": _moment(order.ended_at),
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="microseconds") if moment else None


def _number(result: NumberResult) -> dict[str, str | None]:
    return {"e164": result.e164, "state": result.state.value, "code": result.code, "text": result.text}
