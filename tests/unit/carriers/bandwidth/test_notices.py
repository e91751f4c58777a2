"""Of Bandwidth's notices only the order is read, whatever else is in them."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from number_orders.carriers.bandwidth.notices import BandwidthNotices
from number_orders.carriers.notices import Notice
from number_orders.orders.errors import UnreadableAnswer
from number_orders.orders.model import CarrierOrderId
from tests.unit.carriers.tampered_answers import mutated

ORDER_ID = "a8ef295b-0000-4000-8000-000000000001"
PAGE = f"""<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Notification>
  <Status>COMPLETE</Status>
  <SubscriptionId>d8274fa6-0000-4000-8000-000000000001</SubscriptionId>
  <Message>Created a new number order for 1 number from WASHINGTON, VA</Message>
  <OrderId>{ORDER_ID}</OrderId>
  <OrderType>orders</OrderType>
  <CustomerOrderId>ref-1</CustomerOrderId>
  <CompletedTelephoneNumbers><TelephoneNumber>5402278098</TelephoneNumber></CompletedTelephoneNumbers>
  <LastModifiedDate>2023-09-12T15:11:31.705Z</LastModifiedDate>
</Notification>""".encode()


def read(body: bytes) -> Notice:
    return BandwidthNotices().read(body)


def test_a_notice_as_the_page_has_it() -> None:
    assert read(PAGE) == Notice(CarrierOrderId(ORDER_ID), "ref-1")


def test_order_or_reference_is_enough() -> None:
    """Some of the page's examples have no OrderId; an order need not have a CustomerOrderId."""
    assert read(b"<Notification><CustomerOrderId>ref-1</CustomerOrderId></Notification>") == Notice(None, "ref-1")
    assert read(f"<Notification><OrderId>{ORDER_ID}</OrderId></Notification>".encode()) == Notice(
        CarrierOrderId(ORDER_ID)
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<Notification/>",
        b"<Notification><OrderId>../etc</OrderId></Notification>",
        b"<Order><OrderId>a8ef295b</OrderId></Order>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><Notification><CustomerOrderId>&b;</CustomerOrderId></Notification>',
        PAGE[: len(PAGE) // 2],
    ],
)
def test_what_is_no_notice_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableAnswer):
        read(body)


@given(st.one_of(st.binary(max_size=400), mutated([PAGE, b"<Notification><OrderId>x</OrderId></Notification>"])))
@example(b"\x00<")
@example(b"<?xml version='1.0' encoding='nonsense'?><a/>")
def test_any_bytes_are_a_notice_or_unreadable(body: bytes) -> None:
    try:
        notice = read(body)
    except UnreadableAnswer:
        return
    assert notice.carrier_order_id or notice.reference
