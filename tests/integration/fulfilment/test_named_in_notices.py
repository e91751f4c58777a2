"""A carrier order that a notice has named is asked about before its order counts as absent, or is sent again."""

import contextlib
from datetime import timedelta

import pytest

from number_orders.fulfilment.runtime import Services
from number_orders.ledger.notices import StoredNotice
from number_orders.orders.errors import NotResolvable
from number_orders.orders.events import (
    UNKNOWN_ORDER,
    Acknowledged,
    AnswerLost,
    Event,
    Filled,
    NotSent,
    Parked,
    Refused,
    SentAgain,
    StillOpen,
    WrittenOff,
)
from number_orders.orders.model import CarrierOrderId, Lane, OrderId
from number_orders.orders.policy import CarrierPolicy
from tests.integration.fulfilment.breaking import (
    CrashPoint,
    ProcessKilled,
    crashing_courier,
    crashing_ledger,
    kill_at_every_point,
)
from tests.integration.fulfilment.practice import BANDWIDTH, POST, Practice, accept, an_order, run, work
from tests.integration.fulfilment.test_settling import E164S, A, B, Scripted, bought, held, look, send

UNKNOWN = StillOpen(UNKNOWN_ORDER, unheard_of=True)
ANOTHERS = Parked("the carrier's order has another reference")


def carrier_with(stands: dict[CarrierOrderId | None, Event]) -> Scripted:
    """Return a carrier whose answer to the first attempt is lost, and whose list never shows it. The second buys B."""
    return Scripted(answers=[AnswerLost("timed out"), Acknowledged(B, "RECEIVED")], stands=stands)


async def notify(practice: Practice, services: Services, order_id: OrderId, theirs: CarrierOrderId = A) -> None:
    """Let a notice come that names a carrier order with the reference of an order."""
    reference = str(practice.order(order_id)["reference"])
    notice = StoredNotice(BANDWIDTH, f"<{theirs}/>".encode(), theirs, reference)
    await services.ledger.notices.store([notice])
    await services.ledger.notices.apply(every=timedelta())


def stands_at(practice: Practice, order_id: OrderId) -> tuple[str, int]:
    """Return the state of an order, and how often it was sent."""
    order = practice.order(order_id)
    return order["state"], order["sends"]


@pytest.fixture
def lagging(practice: Practice) -> Practice:
    """A carrier whose list is trusted when it does not show an order."""
    practice.policy = CarrierPolicy()
    return practice


@pytest.fixture
def untrusted(practice: Practice) -> Practice:
    """A carrier whose list proves nothing: a person decides what is absent there."""
    practice.policy = CarrierPolicy(resend_when_absent=False)
    return practice


def test_an_order_that_a_notice_has_named_is_followed_although_no_list_shows_it(lagging: Practice) -> None:
    async def scenario() -> None:
        carrier = carrier_with({A: Filled("COMPLETE", bought(0, 1, 2))})
        async with lagging.opened(adapter=carrier) as services:
            order_id = await send(services)
            await notify(lagging, services, order_id)
            await look(lagging, services, times=6)
            assert stands_at(lagging, order_id) == ("COMPLETED", 1)
            assert held(lagging) == E164S[:3]

    run(scenario())


@pytest.mark.parametrize("seen", [UNKNOWN, ANOTHERS], ids=["unknown", "another's"])
def test_an_order_that_only_a_notice_has_named_is_for_a_person_to_decide(lagging: Practice, seen: Event) -> None:
    """The carrier does not show what it has named. It is asked as often as usual before."""

    async def scenario() -> None:
        async with lagging.opened(adapter=carrier_with({A: seen})) as services:
            order_id = await send(services)
            await notify(lagging, services, order_id)
            await look(lagging, services, timedelta(seconds=30))
            assert stands_at(lagging, order_id) == ("IN_DOUBT", 1)
            await look(lagging, services, times=6)
            assert stands_at(lagging, order_id) == ("PARKED", 1)
            assert str(A) in lagging.order(order_id)["reason"]
            with pytest.raises(NotResolvable, match=f"does not show {A} as this order's"):
                await services.orders.resolve(order_id, SentAgain("ana", "it is not there"))

    run(scenario())


def test_an_order_is_not_sent_again_if_a_notice_names_it_meanwhile(lagging: Practice) -> None:
    """It was proven absent, and waits to be sent again."""

    async def scenario() -> None:
        carrier = carrier_with({A: Filled("COMPLETE", bought(0, 1, 2))})
        async with lagging.opened(adapter=carrier) as services:
            order_id = await send(services)
            await look(lagging, services, times=4)
            assert stands_at(lagging, order_id) == ("ACCEPTED", 1)
            await notify(lagging, services, order_id)
            lagging.pass_time(hours=1)
            await work(services, Lane.SUBMIT)
            assert stands_at(lagging, order_id) == ("IN_DOUBT", 1)
            await look(lagging, services, times=3)
            assert stands_at(lagging, order_id) == ("COMPLETED", 1)
            assert held(lagging) == E164S[:3]

    run(scenario())


def test_a_notice_counts_also_if_the_next_attempt_was_not_sent(lagging: Practice) -> None:
    """It came while that attempt was under way, which met a carrier that could not be reached."""

    async def scenario() -> None:
        carrier = carrier_with({A: Filled("COMPLETE", bought(0, 1, 2))})
        carrier.answers.insert(1, NotSent("no connection"))
        async with lagging.opened(adapter=carrier) as services:
            order_id = await send(services)
            await look(lagging, services, times=4)
            lagging.pass_time(hours=1)
            await work(services, Lane.SUBMIT)
            assert stands_at(lagging, order_id) == ("ACCEPTED", 2)
            await notify(lagging, services, order_id)
            lagging.db.execute("UPDATE notices SET received_at = moved_at - interval '10 s' FROM orders")
            lagging.pass_time(hours=1)
            await work(services, Lane.SUBMIT)
            assert stands_at(lagging, order_id) == ("IN_DOUBT", 2)

    run(scenario())


def test_a_refused_order_of_an_earlier_attempt_does_not_end_the_order(lagging: Practice) -> None:
    """The later attempt is in doubt, and may have bought. As long as that is not known, nothing is sent either."""

    async def scenario() -> None:
        carrier = carrier_with({A: Refused("no stock", None, "FAILED")})
        carrier.answers[1] = AnswerLost("timed out")
        async with lagging.opened(adapter=carrier) as services:
            order_id = await send(services)
            await look(lagging, services, times=4)
            lagging.pass_time(hours=1)
            await work(services, Lane.SUBMIT)
            await notify(lagging, services, order_id)
            await look(lagging, services, timedelta(seconds=30))
            assert stands_at(lagging, order_id) == ("IN_DOUBT", 2)
            await look(lagging, services, times=6)
            assert stands_at(lagging, order_id) == ("PARKED", 2)
            assert str(A) in lagging.order(order_id)["reason"]

    run(scenario())


def test_of_several_orders_named_one_that_the_carrier_shows_counts(lagging: Practice) -> None:
    async def scenario() -> None:
        carrier = carrier_with({A: UNKNOWN, B: Filled("COMPLETE", bought(0, 1, 2))})
        async with lagging.opened(adapter=carrier) as services:
            order_id = await send(services)
            for theirs in (A, B):
                await notify(lagging, services, order_id, theirs)
            await look(lagging, services, times=6)
            assert stands_at(lagging, order_id) == ("COMPLETED", 1)

    run(scenario())


@pytest.mark.parametrize("waits", [False, True], ids=["in doubt", "to be sent again"])
def test_killed_at_any_point_a_worker_leaves_an_order_that_a_notice_names_bought_once(
    lagging: Practice, waits: bool
) -> None:
    """Before and after every statement and request. The carrier's list shows nothing for days."""
    lagging.carrier.behave(listing_delay_s=864_000, processing_s=0)

    async def killed_at(point: int, services: Services) -> bool:
        lagging.carrier.fault("drop_after", **POST, times=1)
        (order_id,) = await accept(services, an_order(f"crm-{point}"))
        await work(services, Lane.SUBMIT)
        if waits:
            await look(lagging, services, times=4)
        (sold,) = lagging.sold(order_id)
        await notify(lagging, services, order_id, CarrierOrderId(sold["order_id"]))
        assert stands_at(lagging, order_id) == ("ACCEPTED" if waits else "IN_DOUBT", 1)
        crash_point = CrashPoint(point)
        ledger, courier = crashing_ledger(crash_point, services.ledger), crashing_courier(crash_point)
        with contextlib.suppress(ProcessKilled):
            async with lagging.opened(ledger, courier) as dying:
                await work_and_wait(dying)
        await work_and_wait(services)
        assert stands_at(lagging, order_id) == ("COMPLETED", 1), (point, lagging.story(order_id))
        assert lagging.differences(order_id) == []
        assert len(lagging.sold(order_id)) == 1
        return crash_point.reached

    async def work_and_wait(services: Services) -> None:
        for _ in range(4):
            lagging.pass_time(minutes=30)
            await work(services, Lane.SUBMIT, Lane.ASK)

    async def every_point() -> None:
        assert await kill_at_every_point(lagging, killed_at) > 10

    run(every_point())


def test_an_order_that_no_notice_names_is_sent_again(lagging: Practice) -> None:
    async def scenario() -> None:
        async with lagging.opened(adapter=carrier_with({B: Filled("COMPLETE", bought(0, 1, 2))})) as services:
            order_id = await send(services)
            await look(lagging, services, times=4)
            lagging.pass_time(hours=1)
            await work(services, Lane.SUBMIT)
            await look(lagging, services, times=2)
            assert stands_at(lagging, order_id) == ("COMPLETED", 2)

    run(scenario())


def test_a_person_does_not_send_again_what_a_notice_names(untrusted: Practice) -> None:
    """It was parked before the notice came."""

    async def scenario() -> None:
        carrier = carrier_with({A: Filled("COMPLETE", bought(0, 1, 2))})
        async with untrusted.opened(adapter=carrier) as services:
            order_id = await send(services)
            await look(untrusted, services, times=4)
            assert stands_at(untrusted, order_id) == ("PARKED", 1)
            await notify(untrusted, services, order_id)
            untrusted.pass_time(hours=1)
            with pytest.raises(NotResolvable, match="both would be bought"):
                await services.orders.resolve(order_id, SentAgain("ana", "it is not there"))

    run(scenario())


def test_a_late_look_asks_about_what_a_notice_has_named(untrusted: Practice) -> None:
    """A person has closed the order. The producer learns what it has brought, and a person of the purchase."""

    async def scenario() -> None:
        carrier = carrier_with({A: Filled("COMPLETE", bought(0, 1, 2)), B: UNKNOWN})
        async with untrusted.opened(adapter=carrier) as services:
            order_id = await send(services)
            await look(untrusted, services, times=4)
            await notify(untrusted, services, order_id)
            await notify(untrusted, services, order_id, B)
            await services.orders.resolve(order_id, WrittenOff("ana", "not wanted"))
            await look(untrusted, services, timedelta(hours=25), times=2)
            assert stands_at(untrusted, order_id) == ("FAILED", 1)
            assert held(untrusted) == E164S[:3]
            assert untrusted.alarms() == [("bought_twice", 1)]

    run(scenario())
