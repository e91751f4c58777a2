"""Reservations: numbers that a carrier keeps for us for a while.

They are made by inquiries (`carriers.contract.Inquiry`): they cost nothing, are about no order, and need no ledger. An
order uses a reservation by naming it in its options.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, runtime_checkable

from number_orders.carriers.contract import Inquiry
from number_orders.orders.numbers import E164


@dataclass(frozen=True, slots=True)
class Reservation:
    """A number that is kept for us. `expires_in` is None if the carrier has not said."""

    reservation_id: str
    e164: E164
    expires_in: timedelta | None = None


class Reservations(Protocol):
    """The inquiries about reservations at one carrier.

    An inquiry raises:
        InquiryRefused: The question breaks a rule. Field and rule are named, and nothing was sent.
        Declined: The carrier refused, or does not know the reservation.
        NoAnswer, UnreadableAnswer: What was asked for may have been done all the same.
    """

    @property
    def lifetime(self) -> timedelta:
        """How long a reservation lasts, unless the carrier says otherwise for one."""
        ...

    def reserve(self, e164: E164) -> Inquiry[Reservation]:
        """Reserve a number."""
        ...

    def by_id(self, reservation_id: str) -> Inquiry[Reservation]:
        """Read a reservation by its id."""
        ...

    def by_number(self, e164: E164) -> Inquiry[Reservation]:
        """Read the reservation of a number."""
        ...

    def release(self, reservation_id: str) -> Inquiry[None]:
        """End a reservation early."""
        ...


@runtime_checkable
class TakesReservations(Protocol):
    """An adapter whose carrier takes reservations."""

    @property
    def reservations(self) -> Reservations:
        """The inquiries about them."""
        ...
