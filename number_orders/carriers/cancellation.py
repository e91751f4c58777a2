"""Whether a carrier can be asked to cancel an open order, by what its adapter declares."""

from enum import StrEnum

from number_orders.carriers.contract import Capabilities
from number_orders.orders.model import Order


class Cancellation(StrEnum):
    """Whether the carrier of an open order can be asked to cancel it."""

    OFFERED = "offered"
    ONCE_BACKORDERED = "once backordered"
    """Only while it waits for stock, which may come: a cancellation asked for now is carried out then."""
    NONE = "none"
    UNKNOWN = "unknown"
    """The carrier is not set up here."""


def cancellation(order: Order, capabilities: Capabilities | None) -> Cancellation:
    """Return whether the carrier of an open order can be asked to cancel it, by what it declares."""
    if capabilities is None:
        return Cancellation.UNKNOWN
    backorders_only = capabilities.cancels_backorders_only
    if order.request.kind not in capabilities.cancellable or (backorders_only and not order.request.allow_backorder):
        return Cancellation.NONE
    return Cancellation.ONCE_BACKORDERED if backorders_only else Cancellation.OFFERED
