"""The order book of the sandbox Bandwidth: every accepted order, and the owner of every number.

Everything that is called while orders are made takes the same time with ten orders and with a million.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from random import Random

from number_orders.sandbox.bandwidth.appearance import as_shown
from number_orders.sandbox.bandwidth.order_requests import Amendment, OrderRequest
from number_orders.sandbox.bandwidth.outcomes import BACKORDERED, FAILED, PARTIAL, Durations, OutcomePlanner, Stage
from number_orders.sandbox.behaviour import Behaviour, listing_delay, random_duration
from number_orders.sandbox.fates import Fate
from number_orders.sandbox.inventory import Inventory


@dataclass(slots=True, kw_only=True)
class Order:
    """One accepted order. Only a PUT changes it; otherwise time moves it from stage to stage."""

    order_id: str
    request: OrderRequest
    customer_order_id: str
    name: str
    created_at: datetime
    listed_at: datetime
    stages: tuple[Stage, ...]
    taken: tuple[str, ...]
    fate: Fate
    mixed_bit: bool  # chooses for this order where the behaviour says "mixed"

    def stage(self, now: datetime) -> Stage:
        """Return the stage at `now`."""
        return next(stage for stage in reversed(self.stages) if stage.at <= now or stage is self.stages[0])

    def ended_at(self, now: datetime) -> datetime | None:
        """Return when the carrier finished, which may be long before anyone asked."""
        if not self.stage(now).is_final:
            return None
        return next(stage.at for stage in self.stages if stage.is_final)

    def withdrawn(self, now: datetime) -> list[str]:
        """Return the numbers that the order had, and has no more."""
        had = dict.fromkeys(e164 for stage in self.stages if stage.at <= now for e164 in stage.bought)
        kept = self.stage(now).bought
        return [e164 for e164 in had if e164 not in kept]


class NotBackordered(Exception):
    """A PUT to an order that does not wait for stock."""


class OrderBook:
    """All orders of one account."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._orders: dict[str, Order] = {}
        self._by_reference: dict[str, list[Order]] = {}
        self._holders: dict[str, Order] = {}
        self._unlisted: list[tuple[datetime, int, Order]] = []  # a heap: the order to be listed next is at the top
        self._listed: list[Order] = []
        self._positions: dict[str, int] = {}
        self._arrivals = count()

    def accept(self, request: OrderRequest, behaviour: Behaviour, now: datetime, *, order_id: str) -> Order:
        """Accept an order and decide all that happens to it."""
        label = request.customer_order_id or order_id
        dice, earlier = Random(f"{behaviour.seed}/{label}"), len(self._by_reference.get(label, ()))
        planner = OutcomePlanner(self._inventory, lambda e164: self._is_in_process(e164, now))
        fate, timeline = planner.plan(request.selection, _durations(behaviour, dice), now)
        order = Order(
            order_id=order_id,
            request=request,
            customer_order_id=request.customer_order_id,
            name=request.name,
            created_at=now,
            listed_at=now + listing_delay(behaviour, dice, f"{label}/{earlier}"),
            stages=as_shown(timeline.stages, behaviour, Random(f"{behaviour.seed}/{label}/shown")),
            taken=timeline.taken,
            fate=fate,
            mixed_bit=bool(dice.getrandbits(1)),
        )
        self._file(order)
        return order

    def get(self, order_id: str) -> Order | None:
        """Return the order with this id."""
        return self._orders.get(order_id)

    def by_reference(self, reference: str, now: datetime) -> Sequence[Order]:
        """Return the listed orders with exactly this CustomerOrderId, oldest first."""
        return [order for order in self._by_reference.get(reference, ()) if order.listed_at <= now]

    def listed(self, now: datetime) -> Sequence[Order]:
        """Return the orders that are listed by `now`, in the order in which they were listed."""
        while self._unlisted and self._unlisted[0][0] <= now:
            order = heapq.heappop(self._unlisted)[2]
            self._positions[order.order_id] = len(self._listed)
            self._listed.append(order)
        return self._listed

    def position(self, order_id: str) -> int | None:
        """Return an order's position in `listed`."""
        return self._positions.get(order_id)

    def amend(self, order: Order, change: Amendment, now: datetime) -> None:
        """Rename a backordered order, or close it with the numbers it has.

        Raises:
            NotBackordered: the order does not wait for stock.
        """
        stage = order.stage(now)
        if stage.status != BACKORDERED:
            raise NotBackordered(order.order_id)
        if change.name is not None:
            order.name = change.name
        if change.customer_order_id is not None:
            self._by_reference[order.customer_order_id].remove(order)
            order.customer_order_id = change.customer_order_id
            self._by_reference.setdefault(order.customer_order_id, []).append(order)
        if change.close:
            self._close(order, stage, now)

    def owner(self, e164: str, now: datetime) -> Order | None:
        """Return the order that bought a number; a number that is only set aside has no owner."""
        order = self._holders.get(e164)
        return order if order is not None and e164 in order.stage(now).bought else None

    def owned(self, now: datetime) -> Iterator[tuple[str, Order]]:
        """List every number bought so far, with its order."""
        for e164, order in self._holders.items():
            if e164 in order.stage(now).bought:
                yield e164, order

    def release_numbers(self, numbers: Iterable[str]) -> None:
        """Put numbers back into stock and remove them from the orders that bought them."""
        released = tuple(numbers)
        for e164 in released:
            del self._holders[e164]
        self._inventory.release(released)

    def all_orders(self) -> Iterator[Order]:
        """List every order, oldest first."""
        return iter(self._orders.values())

    def _file(self, order: Order) -> None:
        self._orders[order.order_id] = order
        self._by_reference.setdefault(order.customer_order_id, []).append(order)
        self._holders.update(dict.fromkeys(order.taken, order))
        heapq.heappush(self._unlisted, (order.listed_at, next(self._arrivals), order))

    def _close(self, order: Order, stage: Stage, now: datetime) -> None:
        kept = stage.bought
        returned = [e164 for e164 in order.taken if e164 not in kept]
        for e164 in returned:
            del self._holders[e164]
        self._inventory.release(returned)
        past = tuple(earlier for earlier in order.stages if earlier.at <= now)
        order.stages = (*past, Stage(now, PARTIAL if kept else FAILED, kept, stage.errors))
        order.taken = kept

    def _is_in_process(self, e164: str, now: datetime) -> bool:
        holder = self._holders.get(e164)
        return holder is not None and holder.ended_at(now) is None


def _durations(behaviour: Behaviour, dice: Random) -> Durations:
    return Durations(
        processing=random_duration(behaviour.processing_s, dice),
        backorder=random_duration(behaviour.backorder_s, dice),
        strange=random_duration(behaviour.strange_s, dice),
        strange_word=behaviour.strange_word,
        backorders_fill=behaviour.backorders_fill,
    )
