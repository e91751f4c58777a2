"""Reads the ledger for the demo: counts by state, order documents, stories and alarms."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

from number_orders.ledger.history import Story
from number_orders.ledger.ledger import PostgresLedger
from number_orders.ledger.notices import NoticeCount
from number_orders.orders.document import document
from number_orders.orders.model import Kind, Order, OrderId, State

_ALL = 100_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One order as the ledger has it."""

    order: Order
    document: Mapping[str, Any]


class LedgerReader:
    """Reads the ledger in its own event loop, for callers that have none."""

    def __init__(self, database_url: str) -> None:
        self._runner = asyncio.Runner()
        self._opened = AsyncExitStack()
        self._ledger = PostgresLedger.at(database_url, connections_max=2)

    def __enter__(self) -> Self:
        self._runner.run(self._opened.enter_async_context(self._ledger))
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._opened.aclose())
        self._runner.close()

    def counts(self) -> Mapping[State, int]:
        """Return the number of orders in each state."""
        return self._runner.run(self._ledger.orders.count_by_state())

    def held_back(self) -> int:
        """Return how many removals a carrier's rule holds back."""
        rows = self._runner.run(
            self._ledger.orders.list_orders(states=[State.ACCEPTED], kind=Kind.REMOVE_NUMBERS.value, limit=_ALL)
        )
        return sum(row["reason"] is not None for row in rows)

    def entries(self) -> dict[str, Entry]:
        """Return every order by its id."""
        return self._runner.run(self._entries())

    def stories(self, order_ids: Sequence[OrderId]) -> list[Story]:
        """Return the stories of these orders."""
        return [self._runner.run(self._ledger.history.story(order_id)) for order_id in order_ids]

    def alarms(self) -> list[Mapping[str, Any]]:
        """Return all alarms."""
        return self._runner.run(self._ledger.alarms.active())

    def notices(self) -> list[NoticeCount]:
        """Return what each carrier has told us."""
        return self._runner.run(self._ledger.notices.counts(timedelta(days=1)))

    async def _entries(self) -> dict[str, Entry]:
        rows = await self._ledger.orders.list_orders(limit=_ALL)
        order_ids = [row["order_id"] for row in rows]
        orders = await self._ledger.orders.read(order_ids)
        numbers = await self._ledger.numbers.of_orders(order_ids)
        return {str(key): Entry(order, document(order, numbers[key])) for key, order in orders.items()}
