"""CM.com's callbacks: one for every change of a request's status."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.sandbox.cm.callback_receiver import CallbackReceiver, receiving
from tests.contract.sandbox.cm.client import CmClient
from tests.contract.sandbox.turns import let_it_work


@pytest.fixture
def receiver() -> Iterator[CallbackReceiver]:
    with receiving() as receiver:
        yield receiver


def callbacks(cm: CmClient, count: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 60
    while len(made := cm.control.report()["callbacks"]) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return list(made)


def test_every_status_change_is_called_back_with_the_whole_request(cm: CmClient, receiver: CallbackReceiver) -> None:
    cm.control.behave(cm_review_s=1000)
    guid = cm.place(quantity=2, callbackUrl=receiver.url, comment="ref=o-1")
    cm.control.advance(500)
    first = list(receiver.wait_for(1))
    cm.control.advance(501)
    second = receiver.wait_for(2)[1]

    assert [each["status"] for each in first] == ["IN_PROGRESS"]
    assert second == cm.read(guid)
    assert second["status"] == "COMPLETED"
    (made,) = [each for each in callbacks(cm, 2) if each["status"] == "COMPLETED"]  # recorded when they are answered
    assert made == {
        "carrier": "cm",
        "at": made["at"],
        "url": receiver.url,
        "order_id": guid,
        "customer_order_id": "o-1",
        "status": "COMPLETED",
        "answer": 204,
        "forged": False,
    }


def test_directly_available_numbers_are_called_back_at_once(cm: CmClient, receiver: CallbackReceiver) -> None:
    cm.place(areaCode="020", callbackUrl=receiver.url)

    assert receiver.wait_for(1)[0]["ranges"][0]["start"] == "+31207990000"


def test_cancellation_is_called_back_and_prevented_stages_are_not(cm: CmClient, receiver: CallbackReceiver) -> None:
    cm.control.behave(cm_review_s=1000)
    cm.cancel(cm.place(callbackUrl=receiver.url))
    cm.control.advance(2000)
    receiver.wait_for(1)  # callbacks of different requests can overtake each other
    cm.place(areaCode="020", callbackUrl=receiver.url, comment="the last")

    assert [each["status"] for each in receiver.wait_for(2)] == ["CANCELLED", "COMPLETED"]


def test_every_change_during_a_cancellation_is_called_back_once(cm: CmClient, receiver: CallbackReceiver) -> None:
    cm.control.behave(cm_review_s=1000, cm_cancel_s=500)
    cm.cancel(cm.place(callbackUrl=receiver.url))
    cm.control.advance(450)
    receiver.wait_for(1)
    cm.control.advance(2000)
    receiver.wait_for(2)
    cm.place(areaCode="020", callbackUrl=receiver.url, comment="the last")

    assert [each["status"] for each in receiver.wait_for(3)] == ["IN_PROGRESS", "CANCELLED", "COMPLETED"]


def test_failed_callbacks_are_not_retried(cm: CmClient, receiver: CallbackReceiver) -> None:
    receiver.answer = 500
    cm.place(areaCode="020", callbackUrl=receiver.url)
    cm.place(areaCode="020", callbackUrl="http://127.0.0.1:9/nobody", comment="ref=gone")

    made = callbacks(cm, 2)

    assert {each["customer_order_id"]: each["answer"] for each in made} == {"": 500, "gone": None}
    cm.control.advance(100_000)
    cm.place(areaCode="020", callbackUrl=receiver.url, comment="the last")
    assert [each["comment"] for each in receiver.wait_for(2)] == [None, "the last"]


def test_callbacks_can_come_twice_or_never(cm: CmClient, receiver: CallbackReceiver) -> None:
    cm.control.behave(cm_callback_times=2)
    cm.place(areaCode="020", callbackUrl=receiver.url)
    callbacks(cm, 2)
    cm.control.behave(cm_callback_times=0)
    cm.place(areaCode="020", callbackUrl=receiver.url, comment="unheard")
    let_it_work(cm.control)
    cm.control.behave(cm_callback_times=1)
    cm.place(areaCode="020", callbackUrl=receiver.url, comment="heard")

    assert [each["comment"] for each in receiver.wait_for(3)] == [None, None, "heard"]


def test_reset_removes_scheduled_callbacks(cm: CmClient, receiver: CallbackReceiver) -> None:
    cm.control.behave(cm_review_s=1000)
    cm.place(callbackUrl=receiver.url)
    cm.control.reset()
    cm.control.advance(2000)
    cm.place(areaCode="020", callbackUrl=receiver.url, comment="heard")

    assert [each["comment"] for each in receiver.wait_for(1)] == ["heard"]
