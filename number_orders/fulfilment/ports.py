"""What the use cases need of the world: protocols, each with the methods that its users call.

The ledger's stores (`number_orders.ledger`) satisfy the store protocols, on PostgreSQL and in memory alike.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from number_orders.carriers.http.courier import Exchange
from number_orders.ledger.history import Receipt, Story
from number_orders.ledger.intake import Acceptance, NewOrder
from number_orders.ledger.orders import PendingStep
from number_orders.ledger.outbox import OutboxMessage
from number_orders.ledger.schedule import Claims, Later
from number_orders.orders.model import CarrierName, CarrierOrderId, Lane, NumberResult, Order, OrderId, State

# The broker, and the other processes


class Bell(Protocol):
    """Wakes a worker for a lane. A lost wake-up costs a second: the sweep rings too."""

    def ring(self, lanes: Iterable[tuple[CarrierName, Lane]]) -> None:
        """Send a wake-up for each lane that has none out, or give up quickly. Never raises."""
        ...

    def reset(self, carrier: CarrierName, lane: Lane) -> None:
        """Forget that a wake-up is out: a worker is about to look, and later work needs another."""
        ...

    def mute(self, carrier: CarrierName, lane: Lane) -> None:
        """Send no wake-up for the next two seconds: a worker looks at this lane all the time."""
        ...


@dataclass(frozen=True, slots=True)
class Delivery:
    """One order document and where it goes."""

    message: OutboxMessage
    task: str
    queue: str | None
    trace_parent: str | None = None
    """What the message carries in its header `traceparent`."""


class Notifier(Protocol):
    """Delivers order documents to producers."""

    def deliver(self, deliveries: Sequence[Delivery]) -> list[str | None]:
        """Deliver what can be delivered; return None for each delivery, or why it failed. Never raises."""
        ...


class Slots(Protocol):
    """Limits how many pool children of this worker one lane may occupy."""

    def take(self, carrier: CarrierName, lane: Lane) -> AbstractContextManager[bool]:
        """Enter with True when the lane had a free slot; leaving gives it back.

        There is none while the child that has one says it is enough (`keep_alone`).
        """
        ...

    def keep_alone(self, carrier: CarrierName, lane: Lane) -> None:
        """Say that one child is enough on this lane for the next three seconds."""
        ...

    def allow_another(self, carrier: CarrierName, lane: Lane) -> None:
        """Take that back: another child is needed."""
        ...


class OrderMonitor(Protocol):
    """Shows orders to people while they move. It never raises and never waits; what it loses costs nothing."""

    def on_accepted(self, orders: Sequence[NewOrder], states: Mapping[OrderId, State]) -> None:
        """Show the orders that are stored now, each in the state that `states` has for it."""
        ...

    def on_moved(self, steps: Sequence[PendingStep]) -> None:
        """Show the orders that these stored steps have moved."""
        ...


class Tracer(Protocol):
    """Writes what is done for orders into their traces. It never raises and never waits."""

    def begin(self, trace_parent: str | None) -> Acceptance:
        """Begin the acceptance of one order, in the trace that its producer has given or in a new one."""
        ...

    def on_attempt(self, order: Order, lane: Lane, *, took: timedelta, exchanges: Sequence[Exchange], end: str) -> None:
        """Write one conversation about an order that has ended now, with its requests."""
        ...


# The ledger's stores


class Clock(Protocol):
    """Tells PostgreSQL's time."""

    async def now(self) -> datetime: ...


class AlarmStore(Protocol):
    """Raises alarms: one row a matter, however often it happens."""

    async def raise_alarm(
        self, what: str, subject: str, *, carrier: str | None = None, order_id: OrderId | None = None, detail: str = ""
    ) -> int: ...

    async def note_alarm(
        self,
        what: str,
        subject: str,
        *,
        carrier: CarrierName,
        order_id: OrderId | None = None,
        detail: str,
        again_after: timedelta,
    ) -> int: ...


class OrderReader(Protocol):
    """Reads orders by id."""

    async def read(self, order_ids: Sequence[OrderId]) -> dict[OrderId, Order]: ...


class NumberReader(Protocol):
    """Reads what is known of the numbers of orders."""

    async def of_orders(self, order_ids: Sequence[OrderId]) -> dict[OrderId, list[NumberResult]]: ...


class StoryReader(Protocol):
    """Reads everything that is known of one order."""

    async def story(self, order_id: OrderId) -> Story: ...


class ReceiptStore(Protocol):
    """Keeps what passed between us and carriers."""

    async def keep_receipts(self, receipts: Sequence[Receipt]) -> None: ...


class NoticeReader(Protocol):
    """Reads what carriers' notices have named."""

    async def named_orders(
        self, orders: Mapping[OrderId, datetime | None]
    ) -> Mapping[OrderId, Sequence[CarrierOrderId]]: ...


class WorkStore(Protocol):
    """Hands out due work under leases, and takes back what was not finished."""

    async def claim(
        self, carrier: CarrierName, lane: Lane, *, limit: int, lease: timedelta, since: datetime | None = None
    ) -> Claims | None: ...

    async def postpone(self, claims: Claims, later: Iterable[Later]) -> None: ...

    async def put_off(self, claims: Claims, later: Iterable[Later]) -> None: ...

    async def release(self, claims: Claims, order_ids: Sequence[OrderId]) -> None: ...


class LockStore(Protocol):
    """Gives serial locks to orders that must not work at a carrier at the same time."""

    async def take(
        self, claims: Claims, wanted: Mapping[OrderId, Collection[str]], *, carrier: CarrierName, at_most: timedelta
    ) -> frozenset[OrderId]: ...

    async def is_held_by(self, order_id: OrderId) -> bool: ...


class PendingMessages(Protocol):
    """Reads the documents that producers do not have yet."""

    async def pending(self, order_ids: Sequence[OrderId], channel: str) -> list[OutboxMessage]: ...
