"""The ledger as one conversation may use it: to keep the steps it has done, and to recall what is known of numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from number_orders.carriers.contract import Recollection
from number_orders.ledger.ledger import Ledger
from number_orders.orders.errors import NoAnswer
from number_orders.orders.model import Order
from number_orders.orders.numbers import E164


@dataclass(slots=True)
class OrderMemory:
    """What a conversation may keep and recall. `order` stands as at its beginning, but for the steps kept since."""

    ledger: Ledger
    order: Order

    async def keep(self, progress: Mapping[str, object]) -> None:
        """Write steps down, unless the order has moved on: then somebody else is in charge, and this must end.

        Raises:
            NoAnswer: The order has moved on.
            LedgerUnavailable: Nothing is known to be written.
        """
        if not await self.ledger.keep_progress(self.order, progress):
            raise NoAnswer(f"order {self.order.order_id} has moved on while it was talked about")
        self.order = replace(self.order, progress=progress)

    async def recall(self, numbers: tuple[E164, ...]) -> Recollection:
        """Say what is known of these numbers."""
        now, known = await self.ledger.recall(self.order, numbers)
        return Recollection(
            now,
            held_since={number.e164: number.held_since for number in known if number.held_since},
            of_others=frozenset(
                number.e164
                for number in known
                if number.named or (number.held_since and number.held_by != self.order.order_id)
            ),
            awaited=frozenset(number.e164 for number in known if number.named and not number.held_since),
        )
