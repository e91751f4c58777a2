"""Reservations at Bandwidth: what is sent, and what each answer means."""

from datetime import timedelta
from typing import Any, TypeVar

import pytest
from defusedxml.ElementTree import fromstring

from number_orders.carriers.contract import CarrierAnswer, CarrierRequest, Inquiry, Purpose
from number_orders.carriers.reservations import Reservation, TakesReservations
from number_orders.orders.errors import Declined, InquiryRefused, NoAnswer, UnreadableAnswer
from number_orders.orders.numbers import E164
from tests.unit.carriers.bandwidth.examples import BANDWIDTH, HTML, A, answered

ID = "8dddbd6f-77ca-4a17-97ca-83d334fc404e"
PATH = "/api/v2/accounts/9900000/tnreservation"
RESERVATIONS = BANDWIDTH.reservations
BY_ID = (
    f"<ReservationResponse><Reservation><ReservationId>{ID}</ReservationId><AccountId>9900000</AccountId>"
    "<ReservationExpires>14293</ReservationExpires><ReservedTn>9195550100</ReservedTn></Reservation></ReservationResponse>"
)
BY_NUMBER = (
    f"<TNReservation>\n<ReservationID>\n {ID}\n</ReservationID><Account> 9900000 </Account>"
    "<ReservationExpires> 14346 </ReservationExpires><ReservedTN> 9195550100 </ReservedTN></TNReservation>"
)
TAKEN = (
    "<ReservationResponse><ResponseStatus><ErrorCode>5041</ErrorCode>"
    "<Description>Reservation failed: telephone number 9195550100 is not available.</Description>"
    "</ResponseStatus></ReservationResponse>"
)

Result = TypeVar("Result")


def inquire(inquiry: Inquiry[Result], answer: CarrierAnswer) -> tuple[CarrierRequest, Result]:
    request = next(inquiry)
    with pytest.raises(StopIteration) as end:
        inquiry.send(answer)
    result: Any = end.value.value
    return request, result


def test_bandwidth_takes_reservations_and_says_so() -> None:
    assert isinstance(BANDWIDTH, TakesReservations)
    assert BANDWIDTH.capabilities.reserves
    assert RESERVATIONS.lifetime == timedelta(hours=4)


@pytest.mark.parametrize("segment", ["tnreservation", "tnsreservation"])
def test_one_number_is_reserved_under_the_id_in_the_location(segment: str) -> None:
    where = f"https://host:443/v1.0/accounts/9900000/{segment}/{ID}"

    request, made = inquire(RESERVATIONS.reserve(A), answered(201, location=where))

    assert (request.method, request.path, request.purpose) == ("POST", PATH, Purpose.PREPARE)
    assert fromstring(request.body).findtext("ReservedTn") == A
    assert fromstring(request.body).tag == "Reservation"
    assert made == Reservation(ID, A)


def test_a_reservation_is_read_by_id_and_by_number() -> None:
    by_id, shown = inquire(RESERVATIONS.by_id(ID), answered(200, BY_ID))
    by_number, same = inquire(RESERVATIONS.by_number(A), answered(200, BY_NUMBER))

    assert (by_id.method, by_id.path, by_id.purpose) == ("GET", f"{PATH}/{ID}", Purpose.READ)
    assert by_number.path == "/api/v2/tns/%2B19195550100/tnreservation"
    assert shown == Reservation(ID, A, timedelta(seconds=14293))
    assert same == Reservation(ID, A, timedelta(seconds=14346))


def test_an_expired_reservation_has_no_time_left() -> None:
    body = BY_ID.replace("14293", "0")
    assert inquire(RESERVATIONS.by_id(ID), answered(200, body))[1].expires_in == timedelta()
    untold = BY_ID.replace("14293", "soon")
    assert inquire(RESERVATIONS.by_id(ID), answered(200, untold))[1].expires_in is None


@pytest.mark.parametrize("status", [200, 204])
def test_a_reservation_is_released(status: int) -> None:
    request, nothing = inquire(RESERVATIONS.release(ID), answered(status))

    assert (request.method, request.path, request.purpose) == ("DELETE", f"{PATH}/{ID}", Purpose.PREPARE)
    assert nothing is None


def test_an_id_is_never_more_than_a_segment_of_the_path() -> None:
    assert next(RESERVATIONS.by_id("../../orders?x=1")).path == f"{PATH}/..%2F..%2Forders%3Fx%3D1"


def test_a_number_that_is_not_north_american_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(InquiryRefused, match="North American numbers only"):
        next(RESERVATIONS.reserve(E164("+441224003845")))


def ended(inquiry: Inquiry[Result], answer: CarrierAnswer) -> None:
    next(inquiry)
    inquiry.send(answer)


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (answered(400, TAKEN), "5041", "5041: Reservation failed: telephone number 9195550100 is not available."),
        (answered(404, TAKEN.replace("5041", "5043")), "5043", "5043: Reservation failed"),
        (answered(404), None, "no such reservation"),
    ],
)
def test_a_refusal_is_declined_in_bandwidths_words(answer: CarrierAnswer, code: str | None, words: str) -> None:
    for inquiry in (RESERVATIONS.reserve(A), RESERVATIONS.by_id(ID), RESERVATIONS.release(ID)):
        with pytest.raises(Declined) as no:
            ended(inquiry, answer)
        assert no.value.code == code
        assert words in no.value.words


def test_another_accounts_reservation_is_declined() -> None:
    with pytest.raises(Declined, match="another account"):
        ended(RESERVATIONS.by_number(A), answered(200, BY_NUMBER.replace("9900000", "5")))


@pytest.mark.parametrize("answer", [answered(500), answered(502, HTML), answered(401), answered(403), answered(400)])
def test_an_unclear_answer_is_no_answer(answer: CarrierAnswer) -> None:
    for inquiry in (RESERVATIONS.reserve(A), RESERVATIONS.by_id(ID), RESERVATIONS.release(ID)):
        with pytest.raises(NoAnswer):
            ended(inquiry, answer)


@pytest.mark.parametrize(
    "where", ["", "https://host/v1/orders/1", "https://host/tnreservation/a%2Fb", "/tnreservation/"]
)
def test_a_reservation_without_an_id_is_unreadable(where: str) -> None:
    with pytest.raises(UnreadableAnswer, match="no reservation id"):
        ended(RESERVATIONS.reserve(A), answered(201, location=where))


@pytest.mark.parametrize(
    "body",
    ["no XML", "<OrderResponse/>", BY_ID.replace("9195550100", "n/a"), BY_ID.replace(ID, ""), "<ReservationResponse/>"],
)
def test_a_body_that_is_not_a_reservation_is_unreadable(body: str) -> None:
    with pytest.raises(UnreadableAnswer):
        ended(RESERVATIONS.by_id(ID), answered(200, body))


@pytest.mark.parametrize("body", [b"", HTML])
def test_an_empty_body_is_no_answer(body: bytes) -> None:
    with pytest.raises(NoAnswer):
        ended(RESERVATIONS.by_id(ID), answered(200, body))
