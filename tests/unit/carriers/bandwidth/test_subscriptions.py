"""Subscriptions at Bandwidth: what is sent, and what each answer means."""

from datetime import timedelta
from typing import Any, TypeVar

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from number_orders.carriers.contract import CarrierAnswer, CarrierRequest, Inquiry, Purpose
from number_orders.carriers.subscriptions import Subscription, TakesSubscriptions, WantedSubscription
from number_orders.orders.errors import Declined, NoAnswer, UnreadableAnswer
from tests.unit.carriers.bandwidth.examples import BANDWIDTH, HTML, answered
from tests.unit.carriers.conversations import answer
from tests.unit.carriers.tampered_answers import mutated

PATH = "/api/v2/accounts/9900000/subscriptions"
ID = "d8274fa6-0000-4000-8000-000000000001"
URL = "https://numbers.example/notices/bandwidth"
WANTED = WantedSubscription(URL, "us", "hush", timedelta(days=7))
LISTED = f"""<SubscriptionsResponse><Subscriptions>
  <Subscription><SubscriptionId>{ID}</SubscriptionId><OrderType>orders</OrderType>
    <CallbackSubscription><URL>"{URL}"</URL><Expiry>3600</Expiry><Status>200 OK</Status></CallbackSubscription>
  </Subscription>
  <Subscription><SubscriptionId>{ID[:-1]}2</SubscriptionId><OrderType>portins</OrderType><OrderId>7</OrderId>
    <EmailSubscription><Email>x@example.com</Email></EmailSubscription>
  </Subscription>
</Subscriptions></SubscriptionsResponse>"""
NOT_VALID = (
    "<SubscriptionsResponse><ResponseStatus><ErrorCode>14503</ErrorCode>"
    "<Description>The URL is not valid.</Description></ResponseStatus></SubscriptionsResponse>"
)

Result = TypeVar("Result")


def inquire(inquiry: Inquiry[Result], reply: CarrierAnswer) -> tuple[CarrierRequest, Result]:
    request = next(inquiry)
    with pytest.raises(StopIteration) as end:
        inquiry.send(reply)
    result: Any = end.value.value
    return request, result


def refused(inquiry: Inquiry[Any], reply: CarrierAnswer) -> None:
    next(inquiry)
    inquiry.send(reply)


def test_bandwidth_takes_subscriptions_to_orders_and_disconnects() -> None:
    assert isinstance(BANDWIDTH, TakesSubscriptions)
    assert BANDWIDTH.subscriptions.topics == ("orders", "disconnects")
    assert BANDWIDTH.subscriptions.limit_group == "SUBSCRIPTION"


def test_a_subscription_has_its_credentials_inside_the_callback() -> None:
    """Bandwidth ignores them anywhere else."""
    request, _ = inquire(BANDWIDTH.subscriptions.create("orders", WANTED), answered(201))

    assert (request.method, request.path, request.purpose) == ("POST", PATH, Purpose.PREPARE)
    root = fromstring(request.body)
    basic = "CallbackSubscription/CallbackCredentials/BasicAuthentication"
    assert root.tag == "Subscription"
    assert root.findtext("OrderType") == "orders"
    assert root.findtext("CallbackSubscription/URL") == URL
    assert root.findtext("CallbackSubscription/Expiry") == "604800"
    assert (root.findtext(f"{basic}/Username"), root.findtext(f"{basic}/Password")) == ("us", "hush")


def test_the_list_is_read_with_what_is_not_ours() -> None:
    request, found = inquire(BANDWIDTH.subscriptions.all(), answer(LISTED))

    assert (request.method, request.path, request.purpose) == ("GET", PATH, Purpose.READ)
    assert found == (
        Subscription(ID, "orders", URL, timedelta(hours=1), "200 OK"),
        Subscription(f"{ID[:-1]}2", "portins", order_id="7"),
    )


@pytest.mark.parametrize("reply", [answer("", 200), answer("", 404), answer("<SubscriptionsResponse/>")])
def test_an_account_without_subscriptions_has_an_empty_list(reply: CarrierAnswer) -> None:
    assert inquire(BANDWIDTH.subscriptions.all(), reply)[1] == ()


def test_a_renewal_writes_the_whole_subscription() -> None:
    """What a PUT leaves out returns to its default: the expiry to a day, the credentials to none."""
    request, _ = inquire(BANDWIDTH.subscriptions.renew(Subscription(ID, "orders", URL), WANTED), answered(200))
    made, _ = inquire(BANDWIDTH.subscriptions.create("orders", WANTED), answered(201))

    assert (request.method, request.path, request.body) == ("PUT", f"{PATH}/{ID}", made.body)


@pytest.mark.parametrize("status", [200, 404])
def test_a_removed_subscription_may_be_gone_already(status: int) -> None:
    request, _ = inquire(BANDWIDTH.subscriptions.remove(ID), answered(status))

    assert (request.method, request.path) == ("DELETE", f"{PATH}/{ID}")


@pytest.mark.parametrize(
    ("reply", "error", "says"),
    [
        (answer(NOT_VALID, 404), Declined, "14503"),
        (answer("", 409), Declined, "HTTP 409"),
        (answer("", 401), NoAnswer, "401"),
        (answer(HTML, 502), NoAnswer, "502"),
        (answer("", 429), NoAnswer, "429"),
    ],
)
def test_a_refusal_is_told_from_no_answer(reply: CarrierAnswer, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        refused(BANDWIDTH.subscriptions.create("orders", WANTED), reply)


@pytest.mark.parametrize("body", ["<Order/>", "{}", LISTED.replace(ID, "../x"), LISTED.replace("SubscriptionId", "Id")])
def test_a_list_that_is_none_is_unreadable(body: str) -> None:
    with pytest.raises(UnreadableAnswer):
        refused(BANDWIDTH.subscriptions.all(), answer(body))


@given(mutated([LISTED.encode(), NOT_VALID.encode()]), st.sampled_from([200, 400, 404, 409, 500]))
def test_any_answer_is_a_list_or_a_known_error(body: bytes, status: int) -> None:
    inquiry = BANDWIDTH.subscriptions.all()
    next(inquiry)
    with pytest.raises((StopIteration, Declined, NoAnswer, UnreadableAnswer)):
        inquiry.send(CarrierAnswer(status, {}, body))
