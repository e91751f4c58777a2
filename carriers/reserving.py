"""Reservations: numbers that a carrier keeps for us for a while, outside any order.

A request of its own (`carriers.contract.Inquiry`): it costs nothing, moves no order, and needs no ledger. What an order
makes of a reservation stands in its options.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, runtime_checkable

from carriers.contract import Inquiry
from orders.errors import Fault
from orders.numbering import E164


@dataclass(frozen=True, slots=True)
class Reservation:
    """A number that is kept for us. `expires_in` is None where the carrier has not told."""

    reservation_id: str
    e164: E164
    expires_in: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Declined:
    """The carrier will not, or has no such reservation: its code, if it gave one, and its words."""

    code: str | None
    words: str

    def __str__(self) -> str:
        return f"{self.code}: {self.words}" if self.code else self.words


class Reservations(Protocol):
    """What can be asked about reservations at one carrier."""

    @property
    def lasts(self) -> timedelta:
        """How long a reservation lasts, unless the carrier says otherwise of one."""
        ...

    def faults(self, e164: E164) -> tuple[Fault, ...]:
        """Return why this number cannot be reserved here; empty when it may be."""
        ...

    def reserve(self, e164: E164) -> Inquiry[Reservation | Declined]:
        """Have a number kept. Without an answer it may be kept all the same."""
        ...

    def read(self, reservation_id: str) -> Inquiry[Reservation | Declined]:
        """Look a reservation up."""
        ...

    def of_number(self, e164: E164) -> Inquiry[Reservation | Declined]:
        """Look up the reservation of a number."""
        ...

    def release(self, reservation_id: str) -> Inquiry[Declined | None]:
        """Let a reservation go before its time; None when it is gone."""
        ...


@runtime_checkable
class Reserving(Protocol):
    """An adapter of a carrier that takes reservations."""

    @property
    def reservations(self) -> Reservations:
        """What can be asked about them."""
        ...
