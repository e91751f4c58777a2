"""The sandbox Bandwidth sends a notice for each change that is notified, after a challenge if one is made."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from defusedxml.ElementTree import fromstring

from tests.contract.sandbox.bandwidth.client import ACCOUNT, BandwidthClient, area_xml
from tests.contract.sandbox.bandwidth.test_subscriptions import listed, subscribe, subscription_xml
from tests.contract.sandbox.notice_receiver import NoticeReceiver, receiving_notices
from tests.contract.sandbox.turns import let_it_work


@pytest.fixture
def receiver() -> Iterator[NoticeReceiver]:
    with receiving_notices() as receiver:
        yield receiver


def statuses(bodies: list[bytes]) -> list[str | None]:
    return [fromstring(body).findtext("Status") for body in bodies]


def callbacks(bandwidth: BandwidthClient) -> list[dict[str, Any]]:
    return list(bandwidth.control.report()["callbacks"])


def wait_for_callbacks(bandwidth: BandwidthClient, count: int) -> list[dict[str, Any]]:
    """Wait until so many are recorded, which they are when they are answered."""
    deadline = time.monotonic() + 60
    while len(made := callbacks(bandwidth)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return made


def test_an_end_is_notified_with_order_and_reference(bandwidth: BandwidthClient, receiver: NoticeReceiver) -> None:
    subscribe(bandwidth, subscription_xml(receiver.url))
    order_id = bandwidth.place(area_xml("919"), CustomerOrderId="o-1")

    notice = fromstring(receiver.wait_for(1)[0])

    assert notice.tag == "Notification"
    wanted = {"Status": "COMPLETE", "OrderId": order_id, "OrderType": "orders", "CustomerOrderId": "o-1"}
    assert {name: notice.findtext(name) for name in wanted} == wanted
    assert len(list(notice.iter("TelephoneNumber"))) == 1


def test_credentials_come_only_after_a_challenge(bandwidth: BandwidthClient, receiver: NoticeReceiver) -> None:
    receiver.password = "hush"
    subscribe(bandwidth, subscription_xml(receiver.url))
    bandwidth.place(area_xml("919"))

    receiver.wait_for(1)

    wait_for_callbacks(bandwidth, 1)
    assert [bool(authorization) for authorization, _ in receiver.requests] == [False, True]
    assert listed(bandwidth)[0]["Status"] == "200 OK"


def test_without_a_challenge_there_is_no_second_request(bandwidth: BandwidthClient, receiver: NoticeReceiver) -> None:
    receiver.password, receiver.challenges = "hush", False
    subscribe(bandwidth, subscription_xml(receiver.url))
    bandwidth.place(area_xml("919"))

    (made,) = wait_for_callbacks(bandwidth, 1)
    assert (made["answer"], len(receiver.requests)) == (401, 1)


def test_a_backorder_is_notified_twice(bandwidth: BandwidthClient, receiver: NoticeReceiver) -> None:
    bandwidth.control.behave(backorder_s=100)
    subscribe(bandwidth, subscription_xml(receiver.url))
    bandwidth.place(area_xml("307", 4))
    receiver.wait_for(1)
    bandwidth.control.advance(101)

    assert statuses(receiver.wait_for(2)) == ["BACKORDERED", "COMPLETE"]


def test_a_disconnect_is_notified_to_its_own_subscription(bandwidth: BandwidthClient, receiver: NoticeReceiver) -> None:
    subscribe(bandwidth, subscription_xml(receiver.url, order_type="disconnects"))
    bandwidth.http.post(
        f"{ACCOUNT}/disconnects",
        content="<DisconnectTelephoneNumberOrder><DisconnectTelephoneNumberOrderType><TelephoneNumberList>"
        "<TelephoneNumber>+19195550100</TelephoneNumber></TelephoneNumberList>"
        "</DisconnectTelephoneNumberOrderType></DisconnectTelephoneNumberOrder>",
    )

    notice = fromstring(receiver.wait_for(1)[0])

    assert (notice.findtext("OrderType"), notice.findtext("Status")) == ("disconnects", "FAILED")


def test_notices_are_not_repeated_unless_told_to(bandwidth: BandwidthClient, receiver: NoticeReceiver) -> None:
    """The page of today names no retries; the one of before 2021 named eight within forty minutes."""
    receiver.answer = 500
    subscribe(bandwidth, subscription_xml(receiver.url))
    bandwidth.place(area_xml("919"))
    receiver.wait_for(1)
    bandwidth.control.advance(10_000)
    bandwidth.control.behave(notice_tries=3)
    bandwidth.place(area_xml("919"))
    for count in (2, 3, 4):
        wait_for_callbacks(bandwidth, count)
        bandwidth.control.advance(301)
    bandwidth.control.advance(10_000)

    assert len(receiver.bodies) == 4


def test_notices_are_dropped_doubled_delayed_and_forged(bandwidth: BandwidthClient, receiver: NoticeReceiver) -> None:
    subscribe(bandwidth, subscription_xml(receiver.url))
    bandwidth.control.behave(notice_drop=1)
    bandwidth.place(area_xml("919"), CustomerOrderId="dropped")
    let_it_work(bandwidth.control)
    bandwidth.control.behave(notice_drop=0, notice_double=1)
    bandwidth.place(area_xml("919"), CustomerOrderId="doubled")
    receiver.wait_for(2)
    bandwidth.control.behave(notice_double=0, notice_delay_s=1000)
    bandwidth.place(area_xml("919"), CustomerOrderId="delayed")
    let_it_work(bandwidth.control)
    bandwidth.control.behave(notice_delay_s=0, notice_forge=1)
    bandwidth.place(area_xml("919"), CustomerOrderId="forged")
    receiver.wait_for(4)
    bandwidth.control.advance(1001)
    receiver.wait_for(5)

    sent = wait_for_callbacks(bandwidth, 5)
    assert [each["customer_order_id"] for each in sent] == ["doubled", "doubled", "forged", "forged", "delayed"]
    assert [each["status"] != "COMPLETE" for each in sent] == [each["forged"] for each in sent]
    assert [each["forged"] for each in sent].count(True) == 1


def test_an_expired_subscription_gets_nothing(bandwidth: BandwidthClient, receiver: NoticeReceiver) -> None:
    subscribe(bandwidth, subscription_xml(receiver.url, expiry_s=100))
    bandwidth.control.advance(101)
    bandwidth.place(area_xml("919"))
    subscribe(bandwidth, subscription_xml(receiver.url))
    bandwidth.place(area_xml("919"), CustomerOrderId="heard")

    assert fromstring(receiver.wait_for(1)[0]).findtext("CustomerOrderId") == "heard"
