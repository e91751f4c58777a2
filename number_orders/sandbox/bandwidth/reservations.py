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
        self._reservations: dict[str, Reservation] = {}

    def create(self, body: bytes, duration: timedelta, now: datetime, *, order_id: str | None = None) -> Reservation:
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
        reservation = Reservation(order_id=order_id or str(uuid4()), e164=e164, expires_at=now + duration)
        self._reservations[reservation.order_id] = reservation
        return reservation

    def expire(self, now: datetime) -> None:
        """Put what has run out into stock again."""
        self._release([each for each in self._reservations.values() if each.expires_at <= now])

    def get(self, reservation_id: str) -> Reservation:
        """Return a reservation.

        Raises:
            ReservationRefused: There is none, or none any more.
        """
        if reservation_id not in self._reservations:
            raise ReservationRefused(error(5043, reservation_id), 404)
        return self._reservations[reservation_id]

    def of_number(self, e164: str) -> Reservation:
        """Return the reservation of a number.

        Raises:
            ReservationRefused: It is not reserved.
        """
        found = next((each for each in self._reservations.values() if each.e164 == e164), None)
        if found is None:
            raise ReservationRefused(error(5040, e164), 404)
        return found

    def release(self, reservation_id: str) -> Reservation:
        """Let a reservation go.

        Raises:
            ReservationRefused: There is none.
        """
        found = self.get(reservation_id)
        self._release([found])
        return found

    def consume(self, reservation_ids: Sequence[str], numbers: Iterable[str]) -> None:
        """Put the numbers of an order back into stock, where the order finds them in the same breath.

        Raises:
            OrderRefused: A reservation does not exist, or is of another number.
        """
        wanted = set(numbers)
        named = {each: self._reservations.get(each) for each in reservation_ids}
        if unknown := [each for each in reservation_ids if (found := named[each]) is None or found.e164 not in wanted]:
            raise OrderRefused(tuple(error(5042, each, self._account_id) for each in unknown))
        self._release([found for found in named.values() if found is not None])

    def count(self) -> int:
        """Say how many numbers are kept."""
        return len(self._reservations)

    def as_xml(self, reservation: Reservation, now: datetime) -> bytes:
        """Write the answer to GET /tnreservation/{id}."""
        inner = self._element("Reservation", ("ReservationId", "AccountId", "ReservedTn"), reservation, now)
        return xml.document(xml.element(_ROOT, inner))

    def as_xml_by_number(self, reservation: Reservation, now: datetime) -> bytes:
        """Write the answer to GET /tns/{tn}/tnreservation, which has names of its own for the same things."""
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
    """Write a no."""
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
