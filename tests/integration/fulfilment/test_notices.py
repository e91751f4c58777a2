"""The practice Bandwidth sends notices, the receiver takes them, and orders are asked about at once: no time passes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest

from number_orders.carriers.bandwidth.notices import BandwidthNotices
from number_orders.carriers.subscriptions import WantedSubscription
from number_orders.fulfilment.runtime import Services
from number_orders.ledger.ledger import PostgresLedger
from number_orders.orders.model import Lane, OrderId
from number_orders.receiver.notices.credentials import BasicCredentials
from number_orders.receiver.notices.intake import NoticeIntake
from number_orders.receiver.notices.routes import NoticeSource, notice_router
from tests.integration.fulfilment.practice import BANDWIDTH, GET, POST, Practice, accept, an_order, run, work
from tests.notice_server import serving

EVERY = timedelta(seconds=5)


@asynccontextmanager
async def with_notices(practice: Practice, *, every: timedelta = EVERY) -> AsyncIterator[Services]:
    """Open a worker's services, and a receiver that the carrier sends its notices to."""
    practice.notice_asks_every = every
    async with PostgresLedger.at(practice.url, connections_max=2) as ledger:

        def router(url: str) -> Any:
            practice.subscription = WantedSubscription(f"{url}/notices/bandwidth", "us", "hush")
            source = NoticeSource(BANDWIDTH, BandwidthNotices(), BasicCredentials("us", "hush"))
            return notice_router([source], lambda _: NoticeIntake(ledger.notices, practice.bell, asks_every=every))

        async with serving(router), practice.opened() as services:
            await services.orders.subscription_keeper(BANDWIDTH).keep()
            yield services


async def notices(practice: Practice, count: int) -> list[dict[str, Any]]:
    """Wait until so many notices are stored and applied."""
    query = "SELECT * FROM notices WHERE handled_at IS NOT NULL OR match_at > received_at ORDER BY notice_id"
    async with asyncio.timeout(90):
        while len(rows := practice.rows(query)) < count:  # noqa: ASYNC110  another connection writes them
            await asyncio.sleep(0.01)
    return rows


async def open_order(practice: Practice, services: Services, **changes: Any) -> OrderId:
    """Return an order that the carrier has and has not finished, and that is asked about only much later."""
    practice.carrier.behave(processing_s=1000)
    (order_id,) = await accept(services, an_order(**changes))
    await work(services, Lane.SUBMIT)
    await put_off(practice)
    return order_id


async def put_off(practice: Practice) -> None:
    practice.rows("UPDATE owed SET not_before = now() + '1 hour', lease_token = NULL WHERE lane = 'ask' RETURNING lane")


def asked(practice: Practice) -> int:
    """Return how often the carrier was asked about single orders."""
    by_route = practice.carrier.report()["requests"]["by_route"]
    return sum(count["total"] for route, count in by_route.items() if route.endswith("GET /orders/{orderId}"))


def test_a_notice_brings_the_end_at_once(practice: Practice) -> None:
    async def look() -> None:
        async with with_notices(practice) as services:
            order_id = await open_order(practice, services)
            practice.carrier.advance(1001)
            (notice,) = await notices(practice, 1)
            assert notice["order_id"] == order_id
            assert (BANDWIDTH, Lane.ASK) in practice.bell.rung
            await work(services, Lane.ASK)
            assert practice.differences(order_id) == []
            assert practice.order(order_id)["state"] == "COMPLETED"

    run(look())


def test_without_the_notice_the_order_waits(practice: Practice) -> None:
    async def look() -> None:
        async with with_notices(practice) as services:
            practice.carrier.behave(notice_drop=1)
            order_id = await open_order(practice, services)
            practice.carrier.advance(1001)
            await asyncio.sleep(0.2)
            await work(services, Lane.ASK)
            assert practice.order(order_id)["state"] == "OPEN"
            practice.pass_time(hours=1)
            await work(services, Lane.ASK)
            assert practice.differences(order_id) == []

    run(look())


def test_a_forged_notice_changes_nothing(practice: Practice) -> None:
    """The carrier is asked, and its answer counts."""

    async def look() -> None:
        async with with_notices(practice) as services:
            practice.carrier.behave(notice_drop=1, notice_forge=1)
            order_ids = [await open_order(practice, services, key=f"crm-{n}") for n in range(6)]
            practice.carrier.advance(1001)
            await notices(practice, 6)
            practice.carrier.behave(notice_drop=0, notice_forge=0)
            practice.pass_time(hours=1)
            await work(services, Lane.ASK)
            assert practice.differences(*order_ids) == []

    run(look())


@pytest.mark.parametrize("copies", [40])
def test_many_notices_cost_one_question(practice: Practice, copies: int) -> None:
    """Whoever has the credentials, and sends what he likes: one question in ten minutes for each order."""

    async def look() -> None:
        async with with_notices(practice, every=timedelta(minutes=10)) as services:
            order_id = await open_order(practice, services)
            theirs = practice.order(order_id)["carrier_order_id"]
            before = asked(practice)
            for burst in range(3):
                about = f"<Notification><OrderId>{theirs}</OrderId><Note>{burst} {{n}}</Note></Notification>"
                await _send(practice, [about.format(n=n).encode() for n in range(copies)])
                await notices(practice, (burst + 1) * copies)
                await work(services, Lane.ASK)
            assert asked(practice) - before == 1
            assert practice.order(order_id)["state"] == "OPEN"

    run(look())


async def _send(practice: Practice, bodies: list[bytes]) -> None:
    assert practice.subscription is not None
    async with httpx.AsyncClient(trust_env=False, auth=("us", "hush")) as http:
        answers = await asyncio.gather(*(http.post(practice.subscription.url, content=body) for body in bodies))
    assert {answer.status_code for answer in answers} == {202}


def test_an_order_in_doubt_is_looked_for_at_once(practice: Practice) -> None:
    """Its answer was lost; the notice of its end has our reference."""

    async def look() -> None:
        async with with_notices(practice) as services:
            practice.carrier.fault("drop_after", **POST, times=1)
            practice.carrier.behave(processing_s=1000)
            (order_id,) = await accept(services)
            await work(services, Lane.SUBMIT)
            assert practice.order(order_id)["state"] == "IN_DOUBT"
            await put_off(practice)
            practice.carrier.advance(1001)
            await notices(practice, 1)
            await work(services, Lane.ASK)
            assert practice.order(order_id)["state"] == "OPEN"
            practice.pass_time(minutes=1)
            await work(services, Lane.ASK)
            assert practice.differences(order_id) == []

    run(look())


def test_a_notice_before_the_answer_is_applied_after_it(practice: Practice) -> None:
    """The carrier is done before its answer to the submission is stored."""

    async def look() -> None:
        async with with_notices(practice) as services:
            practice.carrier.fault("slow", **POST, times=1, delay_s=0.0)
            practice.carrier.behave(processing_s=0, latency_s={"order_create": 0.3})
            (order_id,) = await accept(services)
            submitting = asyncio.create_task(work(services, Lane.SUBMIT))
            await notices(practice, 1)
            await submitting
            practice.pass_time(seconds=1)
            await services.orders.sweep()
            await work(services, Lane.ASK)
            assert practice.differences(order_id) == []

    run(look())


def test_a_carrier_that_wants_fewer_requests_gets_none_for_a_notice(practice: Practice) -> None:
    """A pause of its limit holds for early questions as for any."""

    async def look() -> None:
        async with with_notices(practice) as services:
            order_id = await open_order(practice, services)
            practice.carrier.fault("too_many_requests", **GET, times=1, delay_s=600)
            practice.rows("UPDATE owed SET not_before = now() RETURNING lane")
            await work(services, Lane.ASK)
            before = asked(practice)
            practice.carrier.advance(1001)
            await notices(practice, 1)
            await work(services, Lane.ASK)
            assert asked(practice) == before
            practice.pass_time(minutes=20)
            await work(services, Lane.ASK)
            assert practice.differences(order_id) == []

    run(look())


def test_old_notices_are_forgotten_with_the_receipts(practice: Practice) -> None:
    async def look() -> None:
        async with with_notices(practice) as services:
            await open_order(practice, services)
            practice.carrier.advance(1001)
            await notices(practice, 1)
            await services.orders.forget()
            assert len(practice.rows("SELECT * FROM notices")) == 1
            practice.pass_time(days=31)
            await services.orders.forget()
            assert practice.rows("SELECT * FROM notices") == []
            await work(services, Lane.ASK)

    run(look())
