"""A carrier that is down is left alone and tried with one order at a time; its orders wait, and all of them end."""

import asyncio
from datetime import timedelta
from typing import Final

from number_orders.fulfilment.runtime import Services
from number_orders.ledger.breakers import BreakerPolicy
from number_orders.ledger.pauses import HeldBy
from number_orders.orders.model import Lane
from number_orders.orders.policy import CarrierPolicy
from tests.integration.fulfilment.practice import POST, Practice, accept, an_order, live, run, work
from tests.pace import arrivals, most_in_a_second

CAUTION: Final = BreakerPolicy(faults_max=4, hold_first=timedelta(minutes=1), hold_max=timedelta(minutes=4))


def asked(practice: Practice) -> int:
    """Return how many requests about orders have reached the carrier's door."""
    routes = practice.carrier.report()["requests"]["by_route"]
    return sum(pace["total"] for route, pace in routes.items() if "/orders" in route)


async def all_at_once(services: list[Services]) -> None:
    """Every worker looks at every lane, at the same time."""
    await asyncio.gather(*(work(services, lane) for services in services for lane in (Lane.SUBMIT, Lane.ASK)))


def test_a_carrier_that_is_down_is_tried_with_one_order_at_a_time(practice: Practice) -> None:
    """Thirty orders, three workers: a few faults, then one request for each hold, then all orders end well."""
    practice.breaker_policy = CAUTION
    practice.carrier.fault("error_before", status=503, path="/orders*")

    async def down() -> None:
        async with practice.opened() as one, practice.opened() as two, practice.opened() as three:
            services = [one, two, three]
            order_ids = await accept(one, *(an_order(f"crm-{i}") for i in range(30)))
            await all_at_once(services)
            before = asked(practice)
            assert before >= CAUTION.faults_max
            await all_at_once(services)
            assert asked(practice) == before, "it was not left alone"
            for probes in range(1, 4):
                practice.pass_time(minutes=5)
                await all_at_once(services)
                assert asked(practice) == before + probes, "a probe is one request, whoever sends it"
            _, (hold,) = await one.ledger.pauses.holds()
            assert (hold.held_by, hold.why) == (HeldBy.BREAKER, "HTTP 503")
            assert "carrier_out_of_reach" in dict(practice.alarms())
            assert {row["state"] for row in practice.rows("SELECT state FROM orders")} <= {"ACCEPTED", "IN_DOUBT"}

            practice.carrier.clear_faults()
            practice.pass_time(minutes=5)
            await live(practice, one)
            assert practice.untrue(*order_ids) == []
            assert (await one.ledger.pauses.holds())[1] == []

    run(down(), within_s=120)


def test_a_refused_connection_holds_everything_and_fails_nothing(practice: Practice) -> None:
    """Nobody listens there: what is accepted stays accepted, and the token counts as well as the order."""
    practice.breaker_policy = CAUTION
    url, practice.carrier.url = practice.carrier.url, "http://127.0.0.1:1"

    async def refused() -> None:
        async with practice.opened() as services:
            order_ids = await accept(services, *(an_order(f"crm-{i}") for i in range(12)))
            await work(services, Lane.SUBMIT)
            _, (hold,) = await services.ledger.pauses.holds()
            assert hold.held_by is HeldBy.BREAKER
            assert hold.why
            assert hold.why.startswith("no token: nothing was sent")
        practice.carrier.url = url
        async with practice.opened() as services:
            practice.pass_time(minutes=5)
            await live(practice, services)
            assert practice.untrue(*order_ids) == []
            assert {row["losses"] for row in practice.rows("SELECT losses FROM orders")} == {0}

    run(refused(), within_s=120)


def test_refusals_are_answers_and_hold_nothing(practice: Practice) -> None:
    """Ten orders that the carrier will not have: business as usual."""
    practice.breaker_policy = CAUTION

    async def refusing() -> None:
        async with practice.opened() as services:
            order_ids = await accept(services, *(an_order(f"crm-{i}", criteria={"npa": "406"}) for i in range(10)))
            await live(practice, services)
            assert {practice.order(order_id)["state"] for order_id in order_ids} == {"FAILED"}
            assert practice.rows("SELECT faults, opened_at FROM breakers") == [{"faults": 0, "opened_at": None}]

    run(refusing())


def test_too_many_requests_without_a_word_when_pause_their_limit_for_a_while(practice: Practice) -> None:
    """429 and nothing else: half a minute; and it is no fault of the way."""
    practice.breaker_policy = CAUTION
    practice.carrier.fault("empty", status=429, processed=False, times=1, **POST)

    async def silent() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services)
            await work(services, Lane.SUBMIT)
            now, (hold,) = await services.ledger.pauses.holds()
            assert (hold.held_by, hold.limit_group) == (HeldBy.LIMIT, "ORDER")
            assert hold.until is not None
            assert timedelta(seconds=20) < hold.until - now <= timedelta(seconds=30)
            await live(practice, services)
            assert practice.untrue(order_id) == []

    run(silent())


def test_every_request_of_a_conversation_takes_a_place(practice: Practice) -> None:
    """A search in doubt asks several times: at five a second that takes its time, and none is too many."""
    practice.rates = {"HISTORY": 5.0}
    practice.policy = CarrierPolicy(doubt_patience=timedelta(seconds=0), doubt_asks=1)
    practice.carrier.fault("drop_before", times=3, **POST)

    async def doubtful() -> None:
        async with practice.opened() as services:
            order_ids = await accept(services, *(an_order(f"crm-{i}") for i in range(6)))
            await live(practice, services)
            assert practice.untrue(*order_ids) == []
            assert practice.carrier.report()["requests"]["by_route"]["GET /orders"]["total"] >= 3
            assert most(practice, "GET") <= 5

    run(doubtful(), within_s=120)


def most(practice: Practice, method: str) -> int:
    """Return the most requests of a method in any one second of the carrier's clock."""
    return most_in_a_second(arrivals(practice.carrier.report(), method))
