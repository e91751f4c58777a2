"""Bandwidth's numbers in service, the record of one number, and the reference of the order that brought it."""

from datetime import UTC, datetime

import pytest

from number_orders.carriers.bandwidth.holdings import BandwidthHoldings
from number_orders.carriers.contract import CarrierAnswer
from number_orders.carriers.holdings import HoldingsPage, RecordsNumbers
from number_orders.carriers.market import HeldNumber
from number_orders.orders.errors import Declined, FulfilmentError, NoAnswer, UnreadableAnswer
from number_orders.orders.numbers import E164
from tests.unit.carriers.bandwidth.test_market import page
from tests.unit.carriers.conversations import answer, first_request, inquire

HOLDINGS = BandwidthHoldings("9900000")
ACCOUNT = "/api/v2/accounts/9900000"
A, B = E164("+19195550120"), E164("+19195550121")
THEIRS = "5f3a4dab-aac7-4b0a-8ee4-1b6a67ae04be"


def record(status: str = "Inservice", account: str | None = "9900000") -> CarrierAnswer:
    """Return the record of a number, as captured from GET /tns/{tn}."""
    owner = f"<AccountId>{account}</AccountId>" if account else ""
    return answer(
        f"<TelephoneNumberResponse><TelephoneNumber>9195550120</TelephoneNumber><Status>{status}</Status>"
        f"<OrderCreateDate>2014-05-09T21:12:03.835Z</OrderCreateDate><OrderId>{THEIRS}</OrderId>{owner}"
        "</TelephoneNumberResponse>"
    )


def not_ours(code: str = "15610", status: int = 400) -> CarrierAnswer:
    body = f"<R><ResponseStatus><ErrorCode>{code}</ErrorCode><Description>no</Description></ResponseStatus></R>"
    return answer(body, status)


def an_order(reference: str | None) -> CarrierAnswer:
    label = f"<CustomerOrderId>{reference}</CustomerOrderId>" if reference else ""
    return answer(f"<OrderResponse><Order>{label}</Order><OrderStatus>COMPLETE</OrderStatus></OrderResponse>")


def test_the_first_page_and_the_next() -> None:
    requests, first = inquire(HOLDINGS.page(), answer(page("9195550120", "x", total=3, following="9195550121")))

    assert (requests[0].path, requests[0].query) == (f"{ACCOUNT}/inserviceNumbers", {"page": "1", "size": "500"})
    assert first == HoldingsPage((HeldNumber(A),), "9195550121", 3, 1)
    assert first_request(HOLDINGS.page("9195550121")).query == {"page": "9195550121", "size": "500"}


def test_an_account_without_numbers_has_one_empty_page() -> None:
    assert inquire(HOLDINGS.page(), answer(status=204))[1] == HoldingsPage((), None, 0)


def test_a_page_that_names_itself_as_the_next_is_unreadable() -> None:
    """It would be read for ever."""
    with pytest.raises(UnreadableAnswer, match="names itself"):
        inquire(HOLDINGS.page("9195550120"), answer(page("9195550120", total=1, following="9195550120")))


@pytest.mark.parametrize(("status", "is_ours"), [("Inservice", True), ("InAccount", True), ("Aging", False)])
def test_a_record_says_whether_the_number_is_ours(status: str, is_ours: bool) -> None:
    """Also one that is not in service yet."""
    requests, held = inquire(HOLDINGS.record(A), record(status))

    assert requests[0].path == "/api/v2/tns/%2B19195550120"
    assert (held.status, held.is_ours, held.carrier_order_id) == (status, is_ours, THEIRS)
    assert held.ordered_at == datetime(2014, 5, 9, 21, 12, 3, tzinfo=UTC)


def test_an_unknown_status_says_nothing() -> None:
    """It is neither a ghost nor proof that the number is ours."""
    assert inquire(HOLDINGS.record(A), record("Napping"))[1].is_ours is None


@pytest.mark.parametrize("given", [not_ours(), not_ours(status=200), answer(status=404), record(account="1234567")])
def test_a_number_that_is_on_no_record_of_this_account_is_not_ours(given: CarrierAnswer) -> None:
    assert inquire(HOLDINGS.record(A), given)[1].is_ours is False


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (not_ours("1001", 403), Declined),
        (answer(status=503), NoAnswer),
        (answer(status=401), NoAnswer),
        (answer("<TNs/>"), UnreadableAnswer),
    ],
)
def test_another_answer_is_no_record(given: CarrierAnswer, error: type[FulfilmentError]) -> None:
    """Nothing is concluded about the number."""
    with pytest.raises(error):
        inquire(HOLDINGS.record(A), given)


def conclude(carrier_order_id: str, *answers: CarrierAnswer) -> object:
    """Return the result of the question for a reference, which may be None."""
    inquiry = HOLDINGS.reference(carrier_order_id)
    waiting = list(answers)
    try:
        request = next(inquiry)
        assert request.path == f"{ACCOUNT}/orders/{carrier_order_id}"
        while True:
            inquiry.send(waiting.pop(0))
    except StopIteration as end:
        assert not waiting
        return end.value


def test_the_reference_of_an_order_is_its_customer_order_id() -> None:
    assert conclude(THEIRS, an_order("ref-1")) == "ref-1"
    assert conclude(THEIRS, an_order(None)) is None
    assert conclude(THEIRS, answer(status=404)) is None
    assert conclude(THEIRS, answer(status=403)) is None
    assert conclude("../../tns") is None  # nothing is sent
    with pytest.raises(NoAnswer):
        conclude(THEIRS, answer(status=503))


def test_bandwidth_has_records_of_numbers() -> None:
    assert isinstance(HOLDINGS, RecordsNumbers)
