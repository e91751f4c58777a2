"""Adopt orphans, and give ghosts up: each by an event of an order, so that its story says who did it and why.

An orphan whose carrier order is an order of ours is added to that order. Any other gets an order that is born ended, of
the producer `reconcile`. Nothing is asked of the carrier, bought or released there.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any, Final, Protocol, TypeVar

from uuid_utils.compat import uuid7

from number_orders.fulfilment.ports import Bell, OrderReader
from number_orders.fulfilment.reconciliation.comparison import Comparison, Ghost, Orphan
from number_orders.fulfilment.recorder import Heard, Recorder
from number_orders.ledger.holdings import ADOPTER, AdoptedOrder
from number_orders.orders.errors import AlreadyTaken
from number_orders.orders.events import Event, NumbersAdopted, NumbersGivenUp
from number_orders.orders.model import CarrierName, Kind, Lane, NumberResult, NumberState, Order, OrderId, OrderRequest
from number_orders.orders.numbers import E164

_TOGETHER: Final = 100
"""How many orders are recorded with one statement."""
_NUMBERS_MAX: Final = 1000
"""How many numbers an order that is born ended has at most."""

Item = TypeVar("Item", Orphan, Ghost)
Part = TypeVar("Part")


class _AdoptedOrders(Protocol):
    async def store_adopted(self, orders: Sequence[AdoptedOrder]) -> None: ...


class ArchivedOrders(Protocol):
    """Brings archived orders back."""

    async def restore(self, order_ids: Sequence[OrderId]) -> list[OrderId]: ...
    async def among(self, order_ids: Sequence[OrderId]) -> frozenset[OrderId]: ...


class AdoptionStores(Protocol):
    """The parts of the ledger that adoption uses."""

    @property
    def orders(self) -> OrderReader: ...
    @property
    def holdings(self) -> _AdoptedOrders: ...
    @property
    def archive(self) -> ArchivedOrders: ...
    async def now(self) -> datetime: ...


@dataclass(slots=True)
class Decided:
    """What became of orphans and ghosts: the order that each number is in now, or was in."""

    adopted: dict[E164, OrderId] = field(default_factory=dict)
    given_up: dict[E164, OrderId] = field(default_factory=dict)
    moved: list[E164] = field(default_factory=list)
    """Numbers that were left alone, because something happened to them meanwhile."""
    archived: dict[E164, OrderId] = field(default_factory=dict)
    """Numbers that were left alone, because their order cannot be brought back from the archive: it was purged."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """Carries out what a person decides about the numbers of a comparison."""

    ledger: AdoptionStores
    recorder: Recorder
    bell: Bell
    by: str
    why: str

    async def adopt(self, comparison: Comparison, decided: Decided) -> None:
        """Adopt every orphan of which enough is known."""
        ready = [orphan for orphan in comparison.orphans if orphan.can_be_adopted]
        known = [orphan for orphan in ready if orphan.order_id]
        await self._record(comparison.carrier, known, self._adopts, decided.adopted, decided)
        for account, orphans in _grouped((one for one in ready if not one.order_id), lambda one: one.account or ""):
            for part in _parts(orphans, _NUMBERS_MAX):
                await self._store(comparison.carrier, account or None, part, decided)

    async def give_up(self, comparison: Comparison, decided: Decided) -> None:
        """Give up every ghost that the carrier said it does not have as ours."""
        ready = [ghost for ghost in comparison.ghosts if ghost.can_be_given_up]
        await self._record(comparison.carrier, ready, self._gives_up, decided.given_up, decided)

    async def _record(
        self,
        carrier: CarrierName,
        items: Sequence[Item],
        event_of: Callable[[Sequence[Item]], Event],
        done: dict[E164, OrderId],
        decided: Decided,
    ) -> None:
        """Record one event for each order of these numbers. An archived order is brought back from the archive first.

        One that is not an ended order any more is left alone.
        """
        of_orders = {order_id: group for order_id, group in _grouped(items, lambda item: item.order_id) if order_id}
        for order_ids in _parts(list(of_orders), _TOGETHER):
            await self.ledger.archive.restore(order_ids)
            archived = await self.ledger.archive.among(order_ids)
            orders = await self.ledger.orders.read([order_id for order_id in order_ids if order_id not in archived])
            heard = [Heard(order, event_of(of_orders[order_id])) for order_id, order in _ended(orders)]
            recorded = await self.recorder.hear(heard, now=await self.ledger.now())
            for order_id in order_ids:
                numbers = [item.e164 for item in of_orders[order_id]]
                if order_id in recorded:
                    done.update(dict.fromkeys(numbers, order_id))
                elif order_id in archived:
                    decided.archived.update(dict.fromkeys(numbers, order_id))
                else:
                    decided.moved += numbers
        self.bell.ring([(carrier, Lane.TELL)])

    async def _store(
        self, carrier: CarrierName, account: str | None, orphans: Sequence[Orphan], decided: Decided
    ) -> None:
        """Store an order that is born ended."""
        order_id, numbers = OrderId(uuid7()), tuple(orphan.e164 for orphan in orphans)
        event = self._adopts(orphans)
        request = OrderRequest(
            key=f"adopted-{order_id}",
            carrier=carrier,
            kind=Kind.NEW_NUMBERS,
            numbers=numbers,
            account=account,
            name="adopted by a reconciliation",
            notes=self.why,
        )
        reason = f"adopted by {self.by}: {self.why}"
        try:
            await self.ledger.holdings.store_adopted([AdoptedOrder(order_id, ADOPTER, request, reason, event)])
        except AlreadyTaken:
            decided.moved += numbers
        else:
            decided.adopted.update(dict.fromkeys(numbers, order_id))

    def _adopts(self, orphans: Sequence[Orphan]) -> NumbersAdopted:
        return NumbersAdopted(self.by, self.why, tuple(_adopted(orphan) for orphan in orphans))

    def _gives_up(self, ghosts: Sequence[Ghost]) -> NumbersGivenUp:
        return NumbersGivenUp(self.by, self.why, tuple(_given_up(ghost) for ghost in ghosts))


def _ended(orders: Mapping[OrderId, Order]) -> list[tuple[OrderId, Order]]:
    return [(order_id, order) for order_id, order in orders.items() if order.state.is_final]


def _grouped(items: Iterable[Item], key: Callable[[Item], object]) -> Iterable[tuple[Any, list[Item]]]:
    ordered = sorted(items, key=lambda item: (str(key(item)), item.e164))
    return ((name, list(group)) for name, group in groupby(ordered, key))


def _parts(items: Sequence[Part], most: int) -> Iterable[Sequence[Part]]:
    return (items[start : start + most] for start in range(0, len(items), most))


def _adopted(orphan: Orphan) -> NumberResult:
    said = [f"the carrier had it as ours{f' since {orphan.since:%Y-%m-%d %H:%M:%S} UTC' if orphan.since else ''}"]
    if orphan.carrier_order_id:
        said.append(f"its order {orphan.carrier_order_id} brought it")
    return NumberResult(orphan.e164, NumberState.ACQUIRED, None, "; ".join(said), held_since=orphan.since)


def _given_up(ghost: Ghost) -> NumberResult:
    status = f" ({ghost.status})" if ghost.status else ""
    return NumberResult(
        ghost.e164, NumberState.WITHDRAWN, None, f"the carrier does not have it as ours any more{status}"
    )
