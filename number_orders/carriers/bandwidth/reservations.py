"""Reservations at Bandwidth: one North American number each, kept for four hours, used up by an order that names it.

Holds what is asked and what the answers mean; the XML is read and written in `bandwidth_xml`. Opens no socket, reads no
clock, repeats nothing.

Source: Bandwidth's page "Order Numbers" (up to 4 hours); Bandwidth/api-docs, site/specs/numbers_v2.yml (tnreservation)
and site/docs/numbers/errors.mdx (5040 to 5047).
"""

from datetime import timedelta
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from number_orders.carriers.bandwidth.answers import errors_of, last_segment, require_content, said_in
from number_orders.carriers.bandwidth.facts import CARRIER, CARRIER_ORDER_ID, RESERVATION_LASTS
from number_orders.carriers.bandwidth.xml import read_reservation, write_reservation
from number_orders.carriers.contract import CarrierAnswer, CarrierRequest, Inquiry, Purpose
from number_orders.carriers.http.answers import is_success
from number_orders.carriers.reservations import Reservation
from number_orders.orders.errors import Declined, Fault, InquiryRefused, NoAnswer, UnreadableAnswer
from number_orders.orders.numbers import E164, is_nanp

_NO: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT})


class BandwidthReservations:
    """The conversations about reservations of one account."""

    def __init__(self, account_id: str) -> None:
        self._account_id = account_id
        self._path = f"/api/v2/accounts/{quote(account_id, safe='')}/tnreservation"

    @property
    def lifetime(self) -> timedelta:
        """Four hours, says the page."""
        return RESERVATION_LASTS

    def reserve(self, e164: E164) -> Inquiry[Reservation]:
        """Have a number kept: one POST. It names the reservation and says nothing more of it."""
        if not is_nanp(e164):
            raise InquiryRefused([Fault("number", f"{e164}: Bandwidth reserves North American numbers only")])
        body = write_reservation(e164)
        answer = yield CarrierRequest("POST", self._path, Purpose.PREPARE, body=body, content_type="application/xml")
        _require_yes(answer)
        named = last_segment(answer.headers.get("location", ""), "reservation")
        if named is None or not CARRIER_ORDER_ID.fullmatch(named):
            raise UnreadableAnswer(CARRIER, f"{e164} was reserved, and nothing says under which id", answer.body)
        return Reservation(named, e164)

    def by_id(self, reservation_id: str) -> Inquiry[Reservation]:
        """Look a reservation up by its id."""
        return (yield from self._shown(f"{self._path}/{quote(reservation_id, safe='')}"))

    def by_number(self, e164: E164) -> Inquiry[Reservation]:
        """Look up the reservation of a number, if it is ours."""
        return (yield from self._shown(f"/api/v2/tns/{quote(e164, safe='')}/tnreservation"))

    def release(self, reservation_id: str) -> Inquiry[None]:
        """Let a reservation go before its time."""
        path = f"{self._path}/{quote(reservation_id, safe='')}"
        answer = yield CarrierRequest("DELETE", path, Purpose.PREPARE)
        _require_yes(answer)

    def _shown(self, path: str) -> Inquiry[Reservation]:
        answer = yield CarrierRequest("GET", path, Purpose.READ)
        _require_yes(answer)
        require_content(answer)
        view = read_reservation(answer.body)
        if view.account_id not in {None, self._account_id}:
            raise Declined(CARRIER, "reserved by another account")
        if view.reservation_id is None or view.e164 is None:
            raise UnreadableAnswer(CARRIER, "a reservation without its id or its number", answer.body)
        lasts = None if view.expires_s is None else timedelta(seconds=view.expires_s)
        return Reservation(view.reservation_id, view.e164, lasts)


def _require_yes(answer: CarrierAnswer) -> None:
    """Raise `Declined` for Bandwidth's own no, and `NoAnswer` for what is neither yes nor no."""
    if is_success(answer):
        return
    error = next((error for error in errors_of(answer) if error.code), None)
    if error and answer.status in _NO:
        raise Declined(CARRIER, str(error), error.code)
    if answer.status == HTTPStatus.NOT_FOUND:
        raise Declined(CARRIER, "HTTP 404: no such reservation")
    raise NoAnswer(said_in(answer))
