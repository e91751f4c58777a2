"""Our subscriptions at the practice Bandwidth: made, renewed, made again, removed; others are left alone."""

import asyncio
from datetime import timedelta

import pytest

from number_orders.carriers.subscriptions import Subscription, WantedSubscription
from number_orders.fulfilment.runtime import Services
from number_orders.fulfilment.subscriptions import Done, NoSubscriptions
from number_orders.orders.errors import Declined, NoAnswer
from tests.integration.fulfilment.practice import BANDWIDTH, Practice, run

WANTED = WantedSubscription("https://numbers.example/notices/bandwidth", "us", "hush", timedelta(days=7))
ELSEWHERE = WantedSubscription("https://elsewhere.example/", "them", "hush", timedelta(days=7))
SUBSCRIPTIONS = {"path": "/subscriptions"}


@pytest.fixture
def practice(practice: Practice) -> Practice:
    practice.subscription = WANTED
    return practice


async def listed(services: Services) -> tuple[Subscription, ...]:
    return await services.orders.subscription_keeper(BANDWIDTH).list()


async def keep(services: Services, *, renew_all: bool = False) -> list[Done]:
    return [one.done for one in await services.orders.subscription_keeper(BANDWIDTH).keep(renew_all=renew_all)]


async def left_days(services: Services) -> list[int]:
    return [one.expires_in.days if one.expires_in else -1 for one in await listed(services)]


def test_missing_subscriptions_are_made_once(practice: Practice) -> None:
    async def work() -> None:
        async with practice.opened() as services:
            assert await keep(services) == [Done.CREATED, Done.CREATED]
            assert [(one.topic, one.url) for one in await listed(services)] == [
                ("orders", WANTED.url),
                ("disconnects", WANTED.url),
            ]
            assert await keep(services) == [Done.LEFT, Done.LEFT]

    run(work())


def test_they_are_renewed_before_they_expire(practice: Practice) -> None:
    async def work() -> None:
        async with practice.opened() as services:
            await keep(services)
            practice.carrier.advance(2 * 86_400)
            assert await keep(services) == [Done.LEFT, Done.LEFT]
            assert await left_days(services) == [4, 4]
            practice.carrier.advance(2 * 86_400)
            assert await keep(services) == [Done.RENEWED, Done.RENEWED]
            assert await left_days(services) == [6, 6]
            assert await keep(services, renew_all=True) == [Done.RENEWED, Done.RENEWED]

    run(work())


def test_what_somebody_deleted_is_made_again_by_the_beat_task(practice: Practice) -> None:
    async def work() -> None:
        async with practice.opened() as services:
            await keep(services)
            keeper = services.orders.subscription_keeper(BANDWIDTH)
            one, _ = await keeper.list()
            await keeper._once(lambda: keeper.subscriptions.remove(one.subscription_id))
            await services.orders.keep_subscriptions()
            assert sorted(str(one.topic) for one in await listed(services)) == ["disconnects", "orders"]

    run(work())


def test_subscriptions_of_others_are_left_alone(practice: Practice) -> None:
    async def work() -> None:
        async with practice.opened() as services:
            keeper = services.orders.subscription_keeper(BANDWIDTH)
            await keeper._once(lambda: keeper.subscriptions.create("orders", ELSEWHERE))
            await keep(services, renew_all=True)
            assert len(await listed(services)) == 3
            assert [one.done for one in await keeper.remove()] == [Done.REMOVED, Done.REMOVED]
            assert [one.url for one in await listed(services)] == [ELSEWHERE.url]

    run(work())


def test_a_failure_raises_an_alarm_until_all_is_well(practice: Practice) -> None:
    async def work() -> None:
        async with practice.opened() as services:
            practice.carrier.fault("error_before", method="POST", **SUBSCRIPTIONS, times=2)
            with pytest.raises(NoAnswer):
                await keep(services)
            await services.orders.keep_subscriptions()
            assert practice.alarms() == [("subscription_failed", 1)]
            await services.orders.keep_subscriptions()
            assert practice.alarms() == []
            assert len(await listed(services)) == 2

    run(work())


def test_a_lost_answer_makes_no_second_subscription(practice: Practice) -> None:
    async def work() -> None:
        async with practice.opened() as services:
            practice.carrier.fault("drop_after", method="POST", **SUBSCRIPTIONS, times=1)
            with pytest.raises(NoAnswer):
                await keep(services)
            assert await keep(services) == [Done.LEFT, Done.CREATED]
            assert len(await listed(services)) == 2

    run(work())


def test_two_who_subscribe_at_once_make_one_subscription_each_topic(practice: Practice) -> None:
    """Two beats, or an operator beside it: Bandwidth refuses the second."""

    async def work() -> None:
        async with practice.opened() as services:
            keeper = services.orders.subscription_keeper(BANDWIDTH)
            await asyncio.gather(keeper.keep(), keeper.keep(), return_exceptions=True)
            assert await keep(services) in ([Done.LEFT] * 2, [Done.LEFT, Done.CREATED])
            assert len(await listed(services)) == 2

    run(work())


def test_the_inquiries_keep_to_the_limit_of_their_group(practice: Practice) -> None:
    practice.rates = {"SUBSCRIPTION": 5}

    async def work() -> None:
        async with practice.opened() as services:
            for _ in range(8):
                await listed(services)

    run(work())
    counted = practice.carrier.report()["requests"]["by_route"]
    assert max(count["peak_per_second"] for route, count in counted.items() if "subscriptions" in route) <= 5


def test_without_an_address_nothing_is_subscribed_to(practice: Practice) -> None:
    practice.subscription = None

    async def work() -> None:
        async with practice.opened() as services:
            with pytest.raises(NoSubscriptions):
                services.orders.subscription_keeper(BANDWIDTH)
            await services.orders.keep_subscriptions()

    run(work())
    assert practice.alarms() == []


def test_a_refusal_says_why(practice: Practice) -> None:
    practice.subscription = WantedSubscription("ftp://numbers.example", "us", "hush")

    async def work() -> None:
        async with practice.opened() as services:
            with pytest.raises(Declined, match="14503"):
                await keep(services)

    run(work())
    (alarm,) = practice.rows("SELECT detail FROM alarms")
    assert "14503" in alarm["detail"]
