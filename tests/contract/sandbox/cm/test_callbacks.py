"""CM.com calls its customer on every change of a request's status."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.sandbox.cm.callback_receiver import Receiver, receiving
from tests.contract.sandbox.cm.client import CmClient


@pytest.fixture
def customer() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def calls(cm: CmClient, count: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 60
    while len(made := cm.control.report()["callbacks"]) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return list(made)


def test_every_change_is_told_with_the_whole_request(cm: CmClient, customer: Receiver) -> None:
    cm.control.behave(cm_review_s=1000)
    guid = cm.place(quantity=2, callbackUrl=customer.url, comment="ref=o-1")
    cm.control.advance(500)
    first = list(customer.wait_for(1))
    cm.control.advance(501)
    second = customer.wait_for(2)[1]

    assert [each["status"] for each in first] == ["IN_PROGRESS"]
    assert second == cm.read(guid)
    assert second["status"] == "COMPLETED"
    (made,) = [each for each in calls(cm, 2) if each["status"] == "COMPLETED"]  # noted as they are answered
    assert made == {
        "carrier": "cm",
        "at": made["at"],
        "url": customer.url,
        "order_id": guid,
        "customer_order_id": "o-1",
        "status": "COMPLETED",
        "answer": 204,
    }


def test_numbers_at_hand_are_told_at_once(cm: CmClient, customer: Receiver) -> None:
    cm.place(areaCode="020", callbackUrl=customer.url)

    assert customer.wait_for(1)[0]["ranges"][0]["start"] == "+31207990000"


def test_cancellation_is_told_and_what_it_prevents_is_not(cm: CmClient, customer: Receiver) -> None:
    cm.control.behave(cm_review_s=1000)
    cm.cancel(cm.place(callbackUrl=customer.url))
    cm.control.advance(2000)
    customer.wait_for(1)  # calls about different requests overtake each other
    cm.place(areaCode="020", callbackUrl=customer.url, comment="the last")

    assert [each["status"] for each in customer.wait_for(2)] == ["CANCELLED", "COMPLETED"]


def test_a_cancellation_under_way_tells_every_change_once(cm: CmClient, customer: Receiver) -> None:
    cm.control.behave(cm_review_s=1000, cm_cancel_s=500)
    cm.cancel(cm.place(callbackUrl=customer.url))
    cm.control.advance(450)
    customer.wait_for(1)
    cm.control.advance(2000)
    customer.wait_for(2)
    cm.place(areaCode="020", callbackUrl=customer.url, comment="the last")

    assert [each["status"] for each in customer.wait_for(3)] == ["IN_PROGRESS", "CANCELLED", "COMPLETED"]


def test_nobody_is_called_again(cm: CmClient, customer: Receiver) -> None:
    customer.answer = 500
    cm.place(areaCode="020", callbackUrl=customer.url)
    cm.place(areaCode="020", callbackUrl="http://127.0.0.1:9/nobody", comment="ref=gone")

    made = calls(cm, 2)

    assert {each["customer_order_id"]: each["answer"] for each in made} == {"": 500, "gone": None}
    cm.control.advance(100_000)
    cm.place(areaCode="020", callbackUrl=customer.url, comment="the last")
    assert [each["comment"] for each in customer.wait_for(2)] == [None, "the last"]


def test_calls_may_come_twice_or_never(cm: CmClient, customer: Receiver) -> None:
    cm.control.behave(cm_callback_times=2)
    cm.place(areaCode="020", callbackUrl=customer.url)
    calls(cm, 2)
    cm.control.behave(cm_callback_times=0)
    cm.place(areaCode="020", callbackUrl=customer.url, comment="unheard")
    time.sleep(0.05)
    cm.control.behave(cm_callback_times=1)
    cm.place(areaCode="020", callbackUrl=customer.url, comment="heard")

    assert [each["comment"] for each in customer.wait_for(3)] == [None, None, "heard"]


def test_reset_forgets_whom_to_call(cm: CmClient, customer: Receiver) -> None:
    cm.control.behave(cm_review_s=1000)
    cm.place(callbackUrl=customer.url)
    cm.control.reset()
    cm.control.advance(2000)
    cm.place(areaCode="020", callbackUrl=customer.url, comment="heard")

    assert [each["comment"] for each in customer.wait_for(1)] == ["heard"]
