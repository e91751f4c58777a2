"""Reservations at Bandwidth: each keeps one North American number for four hours. An order that names it uses it up.

Has the requests, and what their answers mean; `xml` reads and writes the XML. Opens no socket, reads no clock, retries
nothing.

Source: Bandwidth's page "Order Numbers" (up to 4 hours); Bandwidth/api-docs, site/specs/numbers_v2.yml (tnreservation)
and site/docs/numbers/errors.mdx (5040 to 5047).
"""

from datetime import timedelta
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from number_orders.carriers.bandwidth.answers import decode_errors, error_text, id_in_location, require_content
from number_orders.carriers.bandwidth.facts import CARRIER, CARRIER_ORDER_ID, RESERVATION_LIFETIME
from number_orders.carriers.bandwidth.xml import read_reservation, write_reservation
from number_orders.carriers.contract import CarrierAnswer, CarrierRequest, Inquiry, Purpose
from number_orders.carriers.http.answers import is_success
from number_orders.carriers.reservations import Reservation
from number_orders.orders.errors import Declined, Fault, InquiryRefused, NoAnswer, UnreadableAnswer
from number_orders.orders.numbers import E164, is_nanp

_REFUSALS: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT})


class BandwidthReservations:
    """The inquiries about reservations of one account."""

    def __init__(self, account_id: str) -> None:
        self._account_id = account_id
        self._path = f"/api/v2/accounts/{quote(account_id, safe='')}/tnreservation"

    @property
    def lifetime(self) -> timedelta:
        """Four hours, as Bandwidth's page says."""
        return RESERVATION_LIFETIME

    def reserve(self, e164: E164) -> Inquiry[Reservation]:
        """Reserve a number with one POST. The answer has only the id of the reservation."""
        if not is_nanp(e164):
            raise InquiryRefused([Fault("number", f"{e164}: Bandwidth reserves North American numbers only")])
        body = write_reservation(e164)
        answer = yield CarrierRequest("POST", self._path, Purpose.PREPARE, body=body, content_type="application/xml")
        _require_accepted(answer)
        reservation_id = id_in_location(answer.headers.get("location", ""), "reservation")
        if reservation_id is None or not CARRIER_ORDER_ID.fullmatch(reservation_id):
            raise UnreadableAnswer(CARRIER, f"{e164} was reserved, but the answer has no reservation id", answer.body)
        return Reservation(reservation_id, e164)

    def by_id(self, reservation_id: str) -> Inquiry[Reservation]:
        """Read a reservation by its id."""
        return (yield from self._read(f"{self._path}/{quote(reservation_id, safe='')}"))

    def by_number(self, e164: E164) -> Inquiry[Reservation]:
        """Read the reservation of a number, if it is ours."""
        return (yield from self._read(f"/api/v2/tns/{quote(e164, safe='')}/tnreservation"))

    def release(self, reservation_id: str) -> Inquiry[None]:
        """End a reservation early."""
        path = f"{self._path}/{quote(reservation_id, safe='')}"
        answer = yield CarrierRequest("DELETE", path, Purpose.PREPARE)
        _require_accepted(answer)

    def _read(self, path: str) -> Inquiry[Reservation]:
        answer = yield CarrierRequest("GET", path, Purpose.READ)
        _require_accepted(answer)
        require_content(answer)
        view = read_reservation(answer.body)
        if view.account_id not in {None, self._account_id}:
            raise Declined(CARRIER, "reserved by another account")
        if view.reservation_id is None or view.e164 is None:
            raise UnreadableAnswer(CARRIER, "a reservation without its id or its number", answer.body)
        expires_in = None if view.expires_s is None else timedelta(seconds=view.expires_s)
        return Reservation(view.reservation_id, view.e164, expires_in)


def _require_accepted(answer: CarrierAnswer) -> None:
    """Raise `Declined` if Bandwidth refused, and `NoAnswer` if it neither accepted nor refused."""
    if is_success(answer):
        return
    error = next((error for error in decode_errors(answer) if error.code), None)
    if error and answer.status in _REFUSALS:
        raise Declined(CARRIER, str(error), error.code)
    if answer.status == HTTPStatus.NOT_FOUND:
        raise Declined(CARRIER, "HTTP 404: no such reservation")
    raise NoAnswer(error_text(answer))
