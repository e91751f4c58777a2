"""Reserved numbers are sold only to the order that names the reservation."""

from typing import Any

import httpx

from number_orders.orders.model import Lane, OrderId
from tests.integration.fulfilment.practice import POST, Practice, accept, an_order, run, work, work_until_idle

NUMBER = "+19842471432"
ACCOUNT = "/api/v2/accounts/9900000"


def reserve(practice: Practice, number: str = NUMBER) -> str:
    """Reserve a number, and return the reservation's id."""
    body = f"<Reservation><ReservedTn>{number}</ReservedTn></Reservation>"
    headers = {"Authorization": "Bearer sandbox-token"}
    answer = httpx.post(
        f"{practice.carrier.url}{ACCOUNT}/tnreservation", content=body, headers=headers, trust_env=False
    )
    assert answer.status_code == 201
    where: str = answer.headers["location"]
    return where.rpartition("/")[2]


def a_named_order(key: str, *reservation_ids: str) -> dict[str, Any]:
    options = {"reservation_ids": list(reservation_ids)} if reservation_ids else None
    return an_order(key, criteria=None, quantity=None, numbers=[NUMBER], options=options)


def work_to_the_end(practice: Practice, *orders: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Bring orders to their ends, one after the other; return state and numbers of each."""
    order_ids: list[OrderId] = []

    async def whole() -> None:
        async with practice.opened() as services:
            for order in orders:
                order_ids.extend(await accept(services, order))
                await work_until_idle(practice, services)

    run(whole())
    return [(practice.order(order_id)["state"], practice.numbers(order_id)) for order_id in order_ids]


def test_reserved_number_is_sold_to_the_order_that_names_its_reservation(practice: Practice) -> None:
    kept = reserve(practice)

    assert work_to_the_end(practice, a_named_order("without"), a_named_order("with", kept)) == [
        ("FAILED", []),
        ("COMPLETED", [NUMBER]),
    ]


def test_expired_reservation_is_named_in_the_reason(practice: Practice) -> None:
    kept = reserve(practice)
    practice.carrier.advance(4 * 3600)

    assert work_to_the_end(practice, a_named_order("late", kept)) == [("FAILED", [])]
    (row,) = practice.rows("SELECT reason FROM orders")
    assert f"Reservation {kept}" in row["reason"]


def test_used_reservation_is_no_refusal_after_a_lost_answer(practice: Practice) -> None:
    """The carrier lists the order late: sent again, it finds its own reservation gone, and is found by its number."""
    kept = reserve(practice)
    practice.carrier.behave(listing_delay_s=86_400)
    practice.carrier.fault("drop_after", times=1, **POST)

    assert work_to_the_end(practice, a_named_order("lost", kept)) == [("COMPLETED", [NUMBER])]
    assert len(practice.sold()) == 1


def test_order_that_was_sent_again_is_found_late_by_its_number(practice: Practice) -> None:
    """The purchase takes long, so neither the list nor the number shows it before the order is sent again."""
    kept = reserve(practice)
    practice.carrier.behave(listing_delay_s=86_400, processing_s=600)
    practice.carrier.fault("drop_after", times=1, **POST)

    async def whole() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services, a_named_order("lost", kept))
            for _ in range(20):
                await work(services, Lane.SUBMIT, Lane.ASK)
                if practice.order(order_id)["losses"] == 2:
                    break
                practice.pass_time(minutes=2)
            assert practice.order(order_id)["state"] == "IN_DOUBT"
            assert "5042" in practice.order(order_id)["reason"]
            practice.carrier.advance(600)
            await work_until_idle(practice, services)
            assert practice.differences(order_id) == []

    run(whole())
