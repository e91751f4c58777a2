"""A carrier that is added from outside buys numbers on the real ledger, through the real services.

Its adapter, settings, entry and practice carrier are in `tests/contract/fourth_carrier/` (docs/adding-a-carrier.md).
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from number_orders.fulfilment.runtime import Services
from number_orders.orders.errors import OrderRefused
from number_orders.orders.model import CarrierName, Lane, OrderId
from number_orders.sandbox.control import SandboxControl
from number_orders.sandbox.server import running_sandbox
from tests.contract.fourth_carrier.sandbox import KEY, SHOP, SandboxMeridian
from tests.contract.fourth_carrier.settings import MERIDIAN, SettingsWithMeridian
from tests.integration.fulfilment.practice import QUIET, Practice, RecordingNotifier, UnlimitedSlots, accept, run
from workers.bootstrap import services_factory
from workers.carriers import CARRIERS

NAME = CarrierName("meridian")
BUYING = {"method": "POST", "path": "/purchases", "carrier": NAME}


@pytest.fixture(scope="module")
def serving() -> Iterator[SandboxControl]:
    with running_sandbox(behaviour=QUIET, extra_carriers=[SandboxMeridian]) as control:
        yield control


@pytest.fixture
def practice(ledger_url: str, serving: SandboxControl) -> Iterator[Practice]:
    serving.reset()
    with psycopg.connect(ledger_url, autocommit=True, row_factory=dict_row) as db:
        yield Practice(ledger_url, db, serving)


@asynccontextmanager
async def opened(practice: Practice) -> AsyncIterator[Services]:
    """Open a worker's services as a worker does: from settings, with one entry more in the registry."""
    settings = SettingsWithMeridian.model_validate(
        {
            "database_url": practice.url,
            "meridian": {"base_url": practice.carrier.url, "shop": SHOP, "key": KEY},
        }
    )
    services = services_factory(
        settings,
        bell=lambda: practice.bell,
        notifier=RecordingNotifier,
        slots=UnlimitedSlots(),
        carriers=[*CARRIERS, MERIDIAN],
    )
    async with services() as open_services:
        yield open_services


async def work_until_idle(practice: Practice, services: Services) -> None:
    """Work and let time pass until no order has work left."""
    for _ in range(40):
        for lane in Lane:
            await services.orders.work(NAME, lane)
        if practice.is_idle():
            return
        practice.pass_time(minutes=10)
    raise AssertionError(practice.rows("SELECT order_id, state, reason FROM orders"))


def an_order(key: str, npa: str, quantity: int = 2) -> dict[str, Any]:
    return {"key": key, "carrier": NAME, "kind": "new_numbers", "criteria": {"npa": npa}, "quantity": quantity}


def test_orders_end_as_they_did_at_the_carrier(practice: Practice) -> None:
    """Also those whose answers were lost."""
    ends = {"full": "COMPLETED", "short": "PARTIAL", "void": "FAILED", "strange": "COMPLETED"}
    areas = {"full": "250", "short": "251", "void": "252", "strange": "254"}

    async def whole() -> None:
        async with opened(practice) as services:
            practice.carrier.fault("drop_after", times=1, **BUYING)
            lost = await accept_and_send(services, "answer-lost", "250")
            practice.carrier.fault("drop_before", times=1, **BUYING)
            never = await accept_and_send(services, "never-arrived", "250")
            assert {practice.order(order_id)["state"] for order_id in (lost, never)} == {"IN_DOUBT"}
            others = await accept(services, *(an_order(key, npa) for key, npa in areas.items()))
            await work_until_idle(practice, services)

            assert [practice.order(order_id)["state"] for order_id in others] == [ends[key] for key in areas]
            assert practice.differences(lost, never, *others) == []
            assert (practice.order(lost)["sends"], practice.order(never)["sends"]) == (1, 2)

    run(whole())


def test_order_is_cancelled_at_a_carrier_that_offers_cancellation(practice: Practice) -> None:
    async def whole() -> None:
        async with opened(practice) as services:
            order_id = await accept_and_send(services, "waiting", "253")
            await services.orders.cancel(order_id, by="ana")
            await work_until_idle(practice, services)
            assert practice.order(order_id)["state"] == "CANCELLED"
            assert practice.differences(order_id) == []

    run(whole())


def test_kind_that_the_carrier_does_not_offer_is_refused(practice: Practice) -> None:
    removal = {"key": "gone", "carrier": NAME, "kind": "remove_numbers", "numbers": ["+12505550000"]}

    async def refused() -> None:
        async with opened(practice) as services:
            with pytest.raises(
                OrderRefused, match="kind: meridian does not offer remove_numbers; it offers new_numbers"
            ):
                await accept(services, removal)

    run(refused())
    assert practice.rows("SELECT 1 FROM orders") == []


async def accept_and_send(services: Services, key: str, npa: str) -> OrderId:
    """Take one order in, and send it."""
    (order_id,) = await accept(services, an_order(key, npa))
    await services.orders.work(NAME, Lane.SUBMIT)
    return order_id
