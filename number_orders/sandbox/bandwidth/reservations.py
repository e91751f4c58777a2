"""Reservations at the practice Bandwidth: numbers kept out of stock for a while, and the XML that says so.

A reserved number is neither found nor sold, but to the order that names its reservation. It is in stock again when the
reservation is let go, when its time is over, and when an order has used the reservation up, whatever it bought.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from number_orders.sandbox.bandwidth import xml
from number_orders.sandbox.bandwidth.order_requests import OrderRefused, e164_of
from number_orders.sandbox.bandwidth.vocabulary import CarrierError, error
from number_orders.sandbox.inventory import Inventory, plausible

_ROOT: Final = "ReservationResponse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """One number, kept until `expires_at`."""

    order_id: str
    e164: str
    expires_at: datetime

    def seconds_left(self, now: datetime) -> int:
        """Say how long it is kept."""
        return max(0, int((self.expires_at - now).total_seconds()))


class ReservationRefused(Exception):
    """Bandwidth answers 400, or 404, with a ResponseStatus."""

    def __init__(self, reason: CarrierError, status: int = 400) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class Reservations:
    """All reservations of one account that have not run out."""

    def __init__(self, inventory: Inventory, account_id: str) -> None:
        self._inventory = inventory
        self._account_id = account_id
        self._kept: dict[str, Reservation] = {}

    def place(self, body: bytes, lasts: timedelta, now: datetime, *, order_id: str | None = None) -> Reservation:
        """Keep a number; a reservation that is played again has its id already.

        Raises:
            ReservationRefused: It is no number, or it is not to be had.
        """
        e164 = _read(body)
        if not e164.startswith("+1") or not plausible(e164):
            raise ReservationRefused(error(5040, e164))
        if not self._inventory.is_available(e164):
            raise ReservationRefused(error(5041, e164))
        self._inventory.take((e164,))
        made = Reservation(order_id=order_id or str(uuid4()), e164=e164, expires_at=now + lasts)
        self._kept[made.order_id] = made
        return made

    def settle(self, now: datetime) -> None:
        """Put what has run out into stock again."""
        self._let_go([kept for kept in self._kept.values() if kept.expires_at <= now])

    def get(self, reservation_id: str) -> Reservation:
        """Return a reservation.

        Raises:
            ReservationRefused: There is none, or none any more.
        """
        if reservation_id not in self._kept:
            raise ReservationRefused(error(5043, reservation_id), 404)
        return self._kept[reservation_id]

    def of_number(self, e164: str) -> Reservation:
        """Return the reservation of a number.

        Raises:
            ReservationRefused: It is not reserved.
        """
        found = next((kept for kept in self._kept.values() if kept.e164 == e164), None)
        if found is None:
            raise ReservationRefused(error(5040, e164), 404)
        return found

    def release(self, reservation_id: str) -> Reservation:
        """Let a reservation go.

        Raises:
            ReservationRefused: There is none.
        """
        found = self.get(reservation_id)
        self._let_go([found])
        return found

    def use_up(self, reservation_ids: Sequence[str], numbers: Iterable[str]) -> None:
        """Put the numbers of an order back into stock, where the order finds them in the same breath.

        Raises:
            OrderRefused: A reservation does not exist, or is of another number.
        """
        wanted = set(numbers)
        if strange := [one for one in reservation_ids if one not in self._kept or self._kept[one].e164 not in wanted]:
            raise OrderRefused(tuple(error(5042, one, self._account_id) for one in strange))
        self._let_go([self._kept[one] for one in dict.fromkeys(reservation_ids)])

    def count(self) -> int:
        """Say how many numbers are kept."""
        return len(self._kept)

    def shown(self, kept: Reservation, now: datetime) -> bytes:
        """Write the answer to GET /tnreservation/{id}."""
        inner = self._element("Reservation", ("ReservationId", "AccountId", "ReservedTn"), kept, now)
        return xml.document(xml.element(_ROOT, inner))

    def shown_by_number(self, kept: Reservation, now: datetime) -> bytes:
        """Write the answer to GET /tns/{tn}/tnreservation, which has names of its own for the same things."""
        return xml.document(self._element("TNReservation", ("ReservationID", "Account", "ReservedTN"), kept, now))

    def _element(self, tag: str, names: tuple[str, str, str], kept: Reservation, now: datetime) -> str:
        own_id, account, number = names
        return xml.element(
            tag,
            xml.text(own_id, kept.order_id),
            xml.text(account, self._account_id),
            xml.text("ReservationExpires", kept.seconds_left(now)),
            xml.text(number, kept.e164),
        )

    def _let_go(self, over: Sequence[Reservation]) -> None:
        for kept in over:
            del self._kept[kept.order_id]
        self._inventory.release(kept.e164 for kept in over)


def refusal(refused: ReservationRefused) -> bytes:
    """Write a no."""
    return xml.status_refusal(_ROOT, refused.reason)


def _read(body: bytes) -> str:
    try:
        root: Element = fromstring(body)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as fault:
        raise ReservationRefused(error(5044)) from fault
    numbers = [e164_of(one.text or "") for one in root.iterfind("ReservedTn")]
    if root.tag != "Reservation" or len(numbers) != 1:
        raise ReservationRefused(error(5044))
    return numbers[0]
