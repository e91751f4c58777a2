"""What a conversation keeps in the ledger, and recalls from it: the steps it has done, and facts about numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from number_orders.carriers.contract import KnownNumbers, Release
from number_orders.ledger.numbers import KnownNumber
from number_orders.orders.errors import NoAnswer
from number_orders.orders.model import Order
from number_orders.orders.numbers import E164


class ProgressStore(Protocol):
    """Keeps the steps of a conversation."""

    async def keep_progress(self, order: Order, progress: Mapping[str, object]) -> bool: ...


class NumberRecall(Protocol):
    """Reads what other orders know of numbers."""

    async def recall(self, order: Order, numbers: Sequence[E164]) -> tuple[datetime, list[KnownNumber]]: ...


@dataclass(slots=True)
class OrderMemory:
    """The memory of one conversation. `order` is as it was at the beginning, plus the steps kept since."""

    progress: ProgressStore
    numbers: NumberRecall
    order: Order

    async def save_progress(self, progress: Mapping[str, object]) -> None:
        """Store the steps done so far, unless the order has moved: then another worker has it, and this one must stop.

        Raises:
            NoAnswer: The order has moved.
            LedgerUnavailable: The steps may not be stored.
        """
        if not await self.progress.keep_progress(self.order, progress):
            raise NoAnswer(f"order {self.order.order_id} moved while this conversation was under way")
        self.order = replace(self.order, progress=progress)

    async def look_up_numbers(self, numbers: tuple[E164, ...]) -> KnownNumbers:
        """Return what the ledger knows of these numbers."""
        now, known = await self.numbers.recall(self.order, numbers)
        return KnownNumbers(
            now,
            held_since={number.e164: number.held_since for number in known if number.held_since},
            of_other_orders=frozenset(
                number.e164
                for number in known
                if number.named or (number.held_since and number.held_by != self.order.order_id)
            ),
            awaited=frozenset(number.e164 for number in known if number.named and not number.held_since),
            released={
                number.e164: Release(number.released_by, number.released_at)
                for number in known
                if number.released_by and number.released_at
            },
        )
