"""Subscriptions at the sandbox Bandwidth are made, listed, changed, removed, and expire."""

import httpx
import pytest
from defusedxml.ElementTree import fromstring

from tests.contract.sandbox.bandwidth.client import ACCOUNT, BandwidthClient

URL = "https://us.example/notices/bandwidth"


def subscription_xml(url: str = URL, *, order_type: str = "orders", expiry_s: object = "", order_id: str = "") -> str:
    expiry = f"<Expiry>{expiry_s}</Expiry>" if expiry_s else ""
    about = f"<OrderId>{order_id}</OrderId>" if order_id else ""
    basic = "<BasicAuthentication><Username>us</Username><Password>hush</Password></BasicAuthentication>"
    return (
        f"<Subscription><OrderType>{order_type}</OrderType>{about}<CallbackSubscription><URL>{url}</URL>{expiry}"
        f"<CallbackCredentials>{basic}</CallbackCredentials></CallbackSubscription></Subscription>"
    )


def subscribe(bandwidth: BandwidthClient, body: str) -> httpx.Response:
    return bandwidth.http.post(f"{ACCOUNT}/subscriptions", content=body)


def listed(bandwidth: BandwidthClient) -> list[dict[str, str]]:
    answer = bandwidth.http.get(f"{ACCOUNT}/subscriptions")
    assert answer.status_code == 200
    assert b"Password" not in answer.content
    found = fromstring(answer.content).iter("Subscription")
    return [{child.tag: (child.text or "").strip() for child in one.iter() if child is not one} for one in found]


def test_a_subscription_is_listed_with_the_time_that_is_left(bandwidth: BandwidthClient) -> None:
    made = subscribe(bandwidth, subscription_xml(expiry_s=1000))
    assert (made.status_code, made.content) == (201, b"")
    bandwidth.control.advance(400)

    (one,) = listed(bandwidth)

    assert made.headers["Location"].endswith(f"{ACCOUNT}/subscriptions/{one['SubscriptionId']}")
    assert (one["OrderType"], one["URL"], one["Username"], one["Status"]) == ("orders", URL, "us", "READY")
    assert 500 < int(one["Expiry"]) <= 600


def test_a_subscription_lasts_a_day_unless_it_says_otherwise(bandwidth: BandwidthClient) -> None:
    subscribe(bandwidth, subscription_xml())
    bandwidth.control.advance(86_000)
    assert len(listed(bandwidth)) == 1
    bandwidth.control.advance(500)
    assert listed(bandwidth) == []


def test_a_change_replaces_the_whole_subscription(bandwidth: BandwidthClient) -> None:
    where = subscribe(bandwidth, subscription_xml(expiry_s=1000)).headers["Location"]
    changed = bandwidth.http.put(where, content=subscription_xml(URL + "2"))

    assert changed.status_code == 200
    (one,) = listed(bandwidth)
    assert one["URL"] == URL + "2"
    assert int(one["Expiry"]) > 80_000  # left out, so it is the default again


def test_a_removed_subscription_is_gone(bandwidth: BandwidthClient) -> None:
    where = subscribe(bandwidth, subscription_xml()).headers["Location"]

    assert [bandwidth.http.delete(where).status_code for _ in range(2)] == [200, 404]
    assert listed(bandwidth) == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("<Subscription", "14501"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><Subscription/>", "14501"),
        ("<Subscription/>", "14502"),
        (subscription_xml(order_type="portins"), "14502"),
        (subscription_xml("ftp://us"), "14503"),
        (subscription_xml(expiry_s="soon"), "14504"),
        (subscription_xml(expiry_s=10**12), "14504"),
    ],
)
def test_what_is_not_valid_is_answered_404_with_a_code(bandwidth: BandwidthClient, body: str, code: str) -> None:
    refused = subscribe(bandwidth, body)

    assert (refused.status_code, fromstring(refused.content).findtext("ResponseStatus/ErrorCode")) == (404, code)


def test_the_same_subscription_again_is_a_conflict(bandwidth: BandwidthClient) -> None:
    subscribe(bandwidth, subscription_xml())

    assert subscribe(bandwidth, subscription_xml()).status_code == 409
    assert subscribe(bandwidth, subscription_xml(order_type="disconnects")).status_code == 201
