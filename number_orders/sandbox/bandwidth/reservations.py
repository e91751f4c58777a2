"""Reservations at the sandbox Bandwidth: numbers kept out of stock for a while, and their XML.

A reserved number is not found and not sold, except to the order that names its reservation. It returns to stock when
the reservation is deleted, when it expires, and when an order has used the reservation, whatever the order bought.
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
    """One number, reserved until `expires_at`."""

    order_id: str
    e164: str
    expires_at: datetime

    def seconds_left(self, now: datetime) -> int:
        """Return how long the number stays reserved."""
        return max(0, int((self.expires_at - now).total_seconds()))


class ReservationRefused(Exception):
    """Bandwidth answers 400 or 404 with a ResponseStatus."""

    def __init__(self, reason: CarrierError, status: int = 400) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class Reservations:
    """All reservations of one account that have not ended."""

    def __init__(self, inventory: Inventory, account_id: str) -> None:
        self._inventory = inventory
        self._account_id = account_id
        self._reservations: dict[str, Reservation] = {}

    def create(self, body: bytes, duration: timedelta, now: datetime, *, order_id: str | None = None) -> Reservation:
        """Reserve a number. A replayed reservation has its id already.

        Raises:
            ReservationRefused: it is not a number, or it is not available.
        """
        e164 = _read(body)
        if not e164.startswith("+1") or not plausible(e164):
            raise ReservationRefused(error(5040, e164))
        if not self._inventory.is_available(e164):
            raise ReservationRefused(error(5041, e164))
        self._inventory.take((e164,))
        reservation = Reservation(order_id=order_id or str(uuid4()), e164=e164, expires_at=now + duration)
        self._reservations[reservation.order_id] = reservation
        return reservation

    def expire(self, now: datetime) -> None:
        """End the reservations that have expired, and put their numbers back into stock."""
        self._release([each for each in self._reservations.values() if each.expires_at <= now])

    def get(self, reservation_id: str) -> Reservation:
        """Return a reservation.

        Raises:
            ReservationRefused: it does not exist, or has ended.
        """
        if reservation_id not in self._reservations:
            raise ReservationRefused(error(5043, reservation_id), 404)
        return self._reservations[reservation_id]

    def of_number(self, e164: str) -> Reservation:
        """Return the reservation of a number.

        Raises:
            ReservationRefused: the number is not reserved.
        """
        found = next((each for each in self._reservations.values() if each.e164 == e164), None)
        if found is None:
            raise ReservationRefused(error(5040, e164), 404)
        return found

    def release(self, reservation_id: str) -> Reservation:
        """Delete a reservation.

        Raises:
            ReservationRefused: it does not exist.
        """
        found = self.get(reservation_id)
        self._release([found])
        return found

    def consume(self, reservation_ids: Sequence[str], numbers: Iterable[str]) -> None:
        """End an order's reservations and put their numbers back into stock, where the order takes them next.

        Raises:
            OrderRefused: a reservation does not exist, or is of a number that the order does not name.
        """
        wanted = set(numbers)
        named = {each: self._reservations.get(each) for each in reservation_ids}
        if unknown := [each for each in reservation_ids if (found := named[each]) is None or found.e164 not in wanted]:
            raise OrderRefused(tuple(error(5042, each, self._account_id) for each in unknown))
        self._release([found for found in named.values() if found is not None])

    def count(self) -> int:
        """Count the reserved numbers."""
        return len(self._reservations)

    def as_xml(self, reservation: Reservation, now: datetime) -> bytes:
        """Write the answer to GET /tnreservation/{id}."""
        inner = self._element("Reservation", ("ReservationId", "AccountId", "ReservedTn"), reservation, now)
        return xml.document(xml.element(_ROOT, inner))

    def as_xml_by_number(self, reservation: Reservation, now: datetime) -> bytes:
        """Write the answer to GET /tns/{tn}/tnreservation, which names the same fields differently."""
        return xml.document(
            self._element("TNReservation", ("ReservationID", "Account", "ReservedTN"), reservation, now)
        )

    def _element(self, tag: str, names: tuple[str, str, str], reservation: Reservation, now: datetime) -> str:
        own_id, account, number = names
        return xml.element(
            tag,
            xml.text(own_id, reservation.order_id),
            xml.text(account, self._account_id),
            xml.text("ReservationExpires", reservation.seconds_left(now)),
            xml.text(number, reservation.e164),
        )

    def _release(self, released: Sequence[Reservation]) -> None:
        for reservation in released:
            del self._reservations[reservation.order_id]
        self._inventory.release(reservation.e164 for reservation in released)


def refusal(refused: ReservationRefused) -> bytes:
    """Write the refusal of a reservation."""
    return xml.status_refusal(_ROOT, refused.reason)


def _read(body: bytes) -> str:
    try:
        root: Element = fromstring(body)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as fault:
        raise ReservationRefused(error(5044)) from fault
    numbers = [e164_of(number.text or "") for number in root.iterfind("ReservedTn")]
    if root.tag != "Reservation" or len(numbers) != 1:
        raise ReservationRefused(error(5044))
    return numbers[0]
