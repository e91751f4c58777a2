"""Numbers that were reserved: an order that names the reservation buys them, and nobody else does."""

from typing import Any

import httpx

from number_orders.orders.model import Lane, OrderId
from tests.integration.fulfilment.practice import POST, Practice, accept, an_order, live, run, work

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


def named(key: str, *reservation_ids: str) -> dict[str, Any]:
    options = {"reservation_ids": list(reservation_ids)} if reservation_ids else None
    return an_order(key, criteria=None, quantity=None, numbers=[NUMBER], options=options)


def ended(practice: Practice, *orders: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Follow orders to their ends, one after the other; return state and numbers of each."""
    order_ids: list[OrderId] = []

    async def whole() -> None:
        async with practice.opened() as services:
            for order in orders:
                order_ids.extend(await accept(services, order))
                await live(practice, services)

    run(whole())
    return [(practice.order(order_id)["state"], practice.numbers(order_id)) for order_id in order_ids]


def test_a_reserved_number_is_sold_to_the_order_that_names_its_reservation(practice: Practice) -> None:
    kept = reserve(practice)

    assert ended(practice, named("without"), named("with", kept)) == [("FAILED", []), ("COMPLETED", [NUMBER])]


def test_a_reservation_that_ran_out_is_told(practice: Practice) -> None:
    kept = reserve(practice)
    practice.carrier.advance(4 * 3600)

    assert ended(practice, named("late", kept)) == [("FAILED", [])]
    (row,) = practice.rows("SELECT reason FROM orders")
    assert f"Reservation {kept}" in row["reason"]


def test_when_the_answer_is_lost_a_reservation_used_up_is_no_refusal(practice: Practice) -> None:
    """The carrier lists the order late: sent again, it finds its own reservation gone, and is found by its number."""
    kept = reserve(practice)
    practice.carrier.behave(listing_delay_s=86_400)
    practice.carrier.fault("drop_after", times=1, **POST)

    assert ended(practice, named("lost", kept)) == [("COMPLETED", [NUMBER])]
    assert len(practice.sold()) == 1


def test_found_late_by_its_number_even_when_it_was_sent_again(practice: Practice) -> None:
    """The purchase takes its time, so neither list nor number shows it before the order is sent once more."""
    kept = reserve(practice)
    practice.carrier.behave(listing_delay_s=86_400, processing_s=600)
    practice.carrier.fault("drop_after", times=1, **POST)

    async def whole() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services, named("lost", kept))
            for _ in range(20):
                await work(services, Lane.SUBMIT, Lane.ASK)
                if practice.order(order_id)["losses"] == 2:
                    break
                practice.pass_time(minutes=2)
            assert practice.order(order_id)["state"] == "IN_DOUBT"
            assert "5042" in practice.order(order_id)["reason"]
            practice.carrier.advance(600)
            await live(practice, services)
            assert practice.untrue(order_id) == []

    run(whole())
