"""Cancels an order from the command line."""

from config.settings import Settings
from number_orders.cli.output import clean, screen, state, write_json
from number_orders.cli.services import find_order, open_services
from number_orders.orders.model import Order


async def cancel_order(settings: Settings, name: str, *, by: str, why: str | None) -> Order:
    """Cancel the order `name`; one that the carrier has stays OPEN until the carrier has dropped it.

    Raises:
        NotCancellable: The carrier may have it, or has it and does not cancel, or it has ended.
    """
    async with open_services(settings) as services:
        order_id = await find_order(services.ledger, name)
        return await services.orders.cancel(order_id, by=by, why=why)


def show_state(order: Order, *, as_json: bool) -> None:
    """Print the order's state and reason."""
    if as_json:
        write_json({"order_id": order.order_id, "state": order.state.value, "reason": order.reason})
    else:
        screen().print(state(order.state.value), str(order.order_id), clean(order.reason))
