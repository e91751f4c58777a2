"""Calls an order back from the command line."""

from config.settings import Settings
from number_orders.cli.output import clean, screen, state, write_json
from number_orders.cli.services import find_order, open_services
from number_orders.orders.model import Order


async def cancel(settings: Settings, name: str, *, by: str, why: str | None) -> Order:
    """Call back the order that is called `name`; an order that the carrier has stays open until the carrier drops it.

    Raises:
        NotCancellable: The carrier may have it, or has it and cannot be asked, or it is over.
    """
    async with open_services(settings) as services:
        order_id = await find_order(services.ledger, name)
        return await services.orders.cancel(order_id, by=by, why=why)


def tell(order: Order, *, as_json: bool) -> None:
    """Print the order as it stands now."""
    if as_json:
        write_json({"order_id": order.order_id, "state": order.state.value, "reason": order.reason})
    else:
        screen().print(state(order.state.value), str(order.order_id), clean(order.reason))
