"""Several monitors of orders as one."""

from collections.abc import Mapping, Sequence

from number_orders.fulfilment.ports import OrderMonitor
from number_orders.ledger.intake import NewOrder
from number_orders.ledger.orders import PendingStep
from number_orders.orders.model import OrderId, State


class Monitors:
    """Tells each of several monitors."""

    def __init__(self, monitors: Sequence[OrderMonitor]) -> None:
        self._monitors = monitors

    def on_accepted(self, orders: Sequence[NewOrder], states: Mapping[OrderId, State]) -> None:
        """Tell each that these orders are accepted."""
        for monitor in self._monitors:
            monitor.on_accepted(orders, states)

    def on_moved(self, steps: Sequence[PendingStep]) -> None:
        """Tell each that these steps are stored."""
        for monitor in self._monitors:
            monitor.on_moved(steps)


def together(*monitors: OrderMonitor | None) -> OrderMonitor | None:
    """Return one monitor for all that there are; None if there are none."""
    there = [monitor for monitor in monitors if monitor is not None]
    return there[0] if len(there) == 1 else Monitors(there) if there else None
