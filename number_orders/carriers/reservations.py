"""Reservations: numbers that a carrier keeps for us for a while, outside any order.

A request of its own (`carriers.contract.Inquiry`): it costs nothing, moves no order, and needs no ledger. What an order
makes of a reservation stands in its options.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, runtime_checkable

from number_orders.carriers.contract import Inquiry
from number_orders.orders.numbers import E164


@dataclass(frozen=True, slots=True)
class Reservation:
    """A number that is kept for us. `expires_in` is None where the carrier has not told."""

    reservation_id: str
    e164: E164
    expires_in: timedelta | None = None


class Reservations(Protocol):
    """What can be asked about reservations at one carrier. Every method but the first returns a conversation.

    Raises, when it is held:
        InquiryRefused: The question breaks a rule; field and rule are named, and nothing has left.
        Declined: The carrier will not, or knows no such reservation.
        NoAnswer, UnreadableAnswer: What was asked for may have been done all the same.
    """

    @property
    def lasts(self) -> timedelta:
        """How long a reservation lasts, unless the carrier says otherwise of one."""
        ...

    def reserve(self, e164: E164) -> Inquiry[Reservation]:
        """Have a number kept."""
        ...

    def read(self, reservation_id: str) -> Inquiry[Reservation]:
        """Look a reservation up."""
        ...

    def of_number(self, e164: E164) -> Inquiry[Reservation]:
        """Look up the reservation of a number."""
        ...

    def release(self, reservation_id: str) -> Inquiry[None]:
        """Let a reservation go before its time."""
        ...


@runtime_checkable
class Reserving(Protocol):
    """An adapter of a carrier that takes reservations."""

    @property
    def reservations(self) -> Reservations:
        """What can be asked about them."""
        ...
