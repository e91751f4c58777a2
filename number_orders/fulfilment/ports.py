"""What the use cases need of the world and do not want to know more about."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from number_orders.ledger.ledger import OutboxMessage
from number_orders.orders.model import CarrierName, Lane


class Bell(Protocol):
    """Says that there is work on a lane. A bell that stays silent costs a second: the sweep rings too."""

    def ring(self, lanes: Iterable[tuple[CarrierName, Lane]]) -> None:
        """Ring, or give up quickly. Never raises."""
        ...

    def heard(self, carrier: CarrierName, lane: Lane) -> None:
        """Note that a worker is about to look, so that what comes in from now on is rung for again."""
        ...

    def attended(self, carrier: CarrierName, lane: Lane) -> None:
        """Note that a worker looks all the while: for the next two seconds nobody needs to ring."""
        ...


@dataclass(frozen=True, slots=True)
class Delivery:
    """One document and where it goes."""

    message: OutboxMessage
    task: str
    queue: str | None


class Notifier(Protocol):
    """Hands order documents to producers."""

    def tell(self, deliveries: Sequence[Delivery]) -> list[str | None]:
        """Hand over what can be handed over; for each delivery None, or why it failed. Never raises."""
        ...


class Slots(Protocol):
    """Keeps one lane from taking more pool children of this worker than it needs, and than it may."""

    def take(self, carrier: CarrierName, lane: Lane) -> AbstractContextManager[bool]:
        """Enter with True when there was a free place on the lane, which is given back on leaving.

        While somebody has one and says that it is enough, there is no other.
        """
        ...

    def suffice(self, carrier: CarrierName, lane: Lane) -> None:
        """Say, of a place of one's own, that it is enough for the next three seconds: nothing waits for another."""
        ...

    def call(self, carrier: CarrierName, lane: Lane) -> None:
        """Take that back: another child is wanted."""
        ...
