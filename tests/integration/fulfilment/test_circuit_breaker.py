"""A carrier that is out of reach is tried with one order at a time. Its orders wait, and all of them end."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from number_orders.carriers.http import credentials
from number_orders.fulfilment.runtime import Services
from number_orders.ledger.breakers import BreakerPolicy
from number_orders.ledger.pauses import HeldBy
from number_orders.orders.model import Lane
from number_orders.orders.policy import CarrierPolicy
from tests.integration.fulfilment.practice import POST, Practice, accept, an_order, run, work, work_until_idle
from tests.pace import arrivals

OPENS_AFTER_FOUR: Final = BreakerPolicy(faults_max=4, hold_first=timedelta(minutes=1), hold_max=timedelta(minutes=4))


def count_requests(practice: Practice) -> int:
    """Return how many requests about orders have reached the carrier."""
    routes = practice.carrier.report()["requests"]["by_route"]
    return sum(pace["total"] for route, pace in routes.items() if "/orders" in route)


async def run_all_lanes(services: list[Services]) -> None:
    """Let every worker run every lane at the same time."""
    await asyncio.gather(*(work(services, lane) for services in services for lane in (Lane.SUBMIT, Lane.ASK)))


def test_carrier_that_is_down_is_tried_with_one_order_at_a_time(practice: Practice) -> None:
    """Thirty orders, three workers: a few faults, then one request each time it is allowed, then all orders end."""
    practice.breaker_policy = OPENS_AFTER_FOUR
    practice.carrier.fault("error_before", status=503, path="/orders*")

    async def outage() -> None:
        async with practice.opened() as one, practice.opened() as two, practice.opened() as three:
            services = [one, two, three]
            order_ids = await accept(one, *(an_order(f"crm-{i}") for i in range(30)))
            await run_all_lanes(services)
            before = count_requests(practice)
            assert before >= OPENS_AFTER_FOUR.faults_max
            await run_all_lanes(services)
            assert count_requests(practice) == before, "it was not left alone"
            for probes in range(1, 4):
                practice.pass_time(minutes=5)
                await run_all_lanes(services)
                assert count_requests(practice) == before + probes, "the probe was not exactly one request"
            _, (hold,) = await one.ledger.pauses.holds()
            assert (hold.held_by, hold.why) == (HeldBy.BREAKER, "HTTP 503")
            assert "carrier_out_of_reach" in dict(practice.alarms())
            assert {row["state"] for row in practice.rows("SELECT state FROM orders")} <= {"ACCEPTED", "IN_DOUBT"}

            practice.carrier.clear_faults()
            practice.pass_time(minutes=5)
            await work_until_idle(practice, one)
            assert practice.differences(*order_ids) == []
            assert (await one.ledger.pauses.holds())[1] == []

    run(outage())


def test_refused_connection_opens_the_breaker_and_fails_no_order(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No server listens: accepted orders stay accepted. A token that cannot be fetched is one fault for them all."""
    practice.breaker_policy = replace(OPENS_AFTER_FOUR, faults_max=2)
    monkeypatch.setattr(credentials, "_SHARE_FAILURE_S", 600.0)
    url, practice.carrier.url = practice.carrier.url, "http://127.0.0.1:1"

    async def refused() -> None:
        async with practice.opened() as services:
            order_ids = await accept(services, *(an_order(f"crm-{i}") for i in range(12)))
            await work(services, Lane.SUBMIT)
            assert practice.rows("SELECT faults FROM breakers") == [{"faults": 1}]
            practice.pass_time(minutes=1)
            monkeypatch.setattr(credentials, "_SHARE_FAILURE_S", 0.0)
            await work(services, Lane.SUBMIT)
            _, (hold,) = await services.ledger.pauses.holds()
            assert hold.held_by is HeldBy.BREAKER
            assert hold.why
            assert hold.why.startswith("no token: nothing was sent")
            assert "token_refused" in dict(practice.alarms())
        practice.carrier.url = url
        async with practice.opened() as services:
            practice.pass_time(minutes=5)
            await work_until_idle(practice, services)
            assert practice.differences(*order_ids) == []
            assert {row["losses"] for row in practice.rows("SELECT losses FROM orders")} == {0}

    run(refused())


def test_probe_without_a_token_counts_and_the_token_endpoint_is_named(practice: Practice) -> None:
    """The carrier is back, its token endpoint answers 500: the hold grows, it says why, and an alarm is raised."""
    practice.breaker_policy = OPENS_AFTER_FOUR
    practice.carrier.fault("error_before", status=503, path="/orders*")

    async def half_back() -> None:
        async with practice.opened() as services:
            await accept(services, *(an_order(f"crm-{i}") for i in range(6)))
            await work(services, Lane.SUBMIT)
        practice.carrier.clear_faults()
        practice.carrier.fault("error_before", status=500, path="/oauth2/token")
        async with practice.opened() as services:
            practice.pass_time(minutes=5)
            await work(services, Lane.SUBMIT)
            await work(services, Lane.ASK)
            ((row,),) = (practice.rows("SELECT why, probe_token, held_until > now() AS held FROM breakers"),)
            assert row["probe_token"] is None
            assert row["held"]
            assert "token endpoint" in row["why"]
            assert "token_refused" in dict(practice.alarms())

    run(half_back())


def test_refused_orders_are_no_faults(practice: Practice) -> None:
    """Ten orders that the carrier refuses: the breaker stays closed."""
    practice.breaker_policy = OPENS_AFTER_FOUR

    async def refused_orders() -> None:
        async with practice.opened() as services:
            order_ids = await accept(services, *(an_order(f"crm-{i}", criteria={"npa": "406"}) for i in range(10)))
            await work_until_idle(practice, services)
            assert {practice.order(order_id)["state"] for order_id in order_ids} == {"FAILED"}
            assert practice.rows("SELECT faults, opened_at FROM breakers") == [{"faults": 0, "opened_at": None}]

    run(refused_orders())


def test_429_without_a_time_pauses_the_limit_group_for_30_seconds(practice: Practice) -> None:
    """It does not count as a fault of the breaker."""
    practice.breaker_policy = OPENS_AFTER_FOUR
    practice.carrier.fault("empty", status=429, processed=False, times=1, **POST)

    async def limited() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services)
            before = await services.ledger.now()
            await work(services, Lane.SUBMIT)
            now, (hold,) = await services.ledger.pauses.holds()
            assert (hold.held_by, hold.limit_group) == (HeldBy.LIMIT, "ORDER")
            assert hold.until is not None
            assert hold.until - before > timedelta(seconds=29)
            assert hold.until - now <= timedelta(seconds=30)
            await work_until_idle(practice, services)
            assert practice.differences(order_id) == []

    run(limited())


def test_every_request_of_a_conversation_takes_a_rate_slot(practice: Practice) -> None:
    """A search for an order in doubt asks several times: at five a second, its requests take as long as they must."""
    practice.rates = {"HISTORY": 5.0}
    practice.policy = CarrierPolicy(doubt_patience=timedelta(seconds=0), doubt_asks=1)
    practice.carrier.fault("drop_before", times=3, **POST)

    async def doubtful() -> None:
        async with practice.opened() as services:
            order_ids = await accept(services, *(an_order(f"crm-{i}") for i in range(6)))
            await work_until_idle(practice, services)
            assert practice.differences(*order_ids) == []
            asked = arrivals(practice.carrier.report(), "GET")
            assert len(asked) >= 6
            # Their slots are a fifth of a second apart. The first may have been later after its slot than the last.
            assert asked[-1].at - asked[0].earliest >= (len(asked) - 2) / 5

    run(doubtful())
