"""Notices are stored once, find their order now or later, and make at most one question due in a while."""

from collections.abc import Sequence
from datetime import timedelta

from number_orders.ledger.ledger import Ledger
from number_orders.ledger.notices import BODY_KEPT, StoredNotice
from number_orders.ledger.schedule import Later
from number_orders.orders.alarms import Alarm
from number_orders.orders.events import Acknowledged, AnswerLost, Filled, Parked, SubmissionBegun
from number_orders.orders.model import CarrierOrderId, Lane, Order
from tests.integration.ledger.examples import (
    CARRIER_ORDER_ID,
    HOUR,
    MINUTE,
    a_request,
    accept_order,
    claim_due,
    record_events,
)
from tests.integration.ledger.harness import BANDWIDTH, LedgerHarness

EVERY = timedelta(minutes=5)
ANOTHER = CarrierOrderId("another")


def a_notice(
    carrier_order_id: CarrierOrderId | None = CARRIER_ORDER_ID, reference: str | None = None, *, body: bytes = b"news"
) -> StoredNotice:
    return StoredNotice(BANDWIDTH, body, carrier_order_id, reference)


async def an_open_order(ledger: Ledger) -> Order:
    order = await accept_order(ledger, a_request())
    order = await record_events(ledger, order, SubmissionBegun(), Acknowledged(CARRIER_ORDER_ID))
    await put_off(ledger, order)
    return order


async def put_off(ledger: Ledger, order: Order, by: timedelta = HOUR) -> None:
    """Ask about an order, and then not for an hour."""
    claims = await ledger.schedule.claim(BANDWIDTH, Lane.ASK, limit=10, lease=MINUTE)
    if claims is None:
        return
    await ledger.schedule.postpone(claims, [Later(order.order_id, await ledger.now() + by)])


async def tell(ledger: Ledger, *notices: StoredNotice) -> bool:
    """Store and apply notices; return whether a question is due now."""
    await ledger.notices.store(notices)
    return BANDWIDTH in (await ledger.notices.apply(every=EVERY)).due


async def wait_s(ledger: Ledger, order: Order) -> float:
    """Return in how many seconds the order is asked about."""
    (item,) = (await ledger.schedule.work_items([order.order_id]))[order.order_id]
    return (item.not_before - await ledger.now()).total_seconds()


async def waiting(ledger: Ledger) -> Sequence[int]:
    return [each.waiting for each in await ledger.notices.counts(HOUR)]


def test_notice_makes_the_question_due_now(harness: LedgerHarness) -> None:
    """And does not count as an attempt, so the questions without notices come no more slowly."""

    async def work(ledger: Ledger) -> None:
        order = await an_open_order(ledger)
        await harness.make_all_due()
        await put_off(ledger, order)
        assert await wait_s(ledger, order) > 3000
        assert await tell(ledger, a_notice())
        claims = await claim_due(ledger, Lane.ASK)
        assert [claim.attempts for claim in claims.claims] == [1]
        assert await waiting(ledger) == [0]

    harness.run(work)


def test_notice_changes_no_order(harness: LedgerHarness) -> None:
    """Whatever it says: only the time of the question."""

    async def work(ledger: Ledger) -> None:
        order = await an_open_order(ledger)
        before = await ledger.history.story(order.order_id)
        await tell(ledger, a_notice(body=b"<Status>FAILED</Status>"))
        after = await ledger.history.story(order.order_id)
        assert (after.order, after.events, after.numbers) == (before.order, before.events, before.numbers)

    harness.run(work)


def test_many_notices_are_one_question(harness: LedgerHarness) -> None:
    """Copies too. The next question comes five minutes later at the earliest, and is one for all."""

    async def work(ledger: Ledger) -> None:
        order = await an_open_order(ledger)
        await harness.make_all_due()
        await put_off(ledger, order)
        assert await tell(ledger, *(a_notice(body=b"news %d" % number) for number in range(50)), a_notice(), a_notice())
        await put_off(ledger, order)
        assert not await tell(ledger, a_notice(), a_notice(body=b"more"))
        assert 200 < await wait_s(ledger, order) <= 300
        assert not await tell(ledger, a_notice(body=b"and more"))
        assert 200 < await wait_s(ledger, order) <= 300
        await harness.advance(EVERY)
        await put_off(ledger, order)
        assert not await tell(ledger, a_notice(body=b"forged"))
        assert 200 < await wait_s(ledger, order) <= 300

    harness.run(work)


def test_copies_are_counted_and_kept_once(harness: LedgerHarness) -> None:
    """In one group, and in two."""

    async def work(ledger: Ledger) -> None:
        await ledger.notices.store([a_notice(), a_notice(), a_notice(body=b"other")])
        await ledger.notices.store([a_notice()])
        (count,) = await ledger.notices.counts(HOUR)
        assert (count.notices, count.copies) == (2, 4)

    harness.run(work)


def test_order_in_doubt_is_looked_for_now(harness: LedgerHarness) -> None:
    """By its reference, since it has no other name yet."""

    async def work(ledger: Ledger) -> None:
        order = await accept_order(ledger, a_request())
        order = await record_events(ledger, order, SubmissionBegun(), AnswerLost("silence"))
        await harness.make_all_due()
        await put_off(ledger, order)
        assert await tell(ledger, a_notice(ANOTHER, order.reference))
        assert await wait_s(ledger, order) <= 0

    harness.run(work)


def test_notice_that_overtakes_the_answer_waits_for_it(harness: LedgerHarness) -> None:
    """An order that is being sent is not asked about: its answer is under way. Its notice is applied afterwards."""

    async def work(ledger: Ledger) -> None:
        order = await accept_order(ledger, a_request())
        order = await record_events(ledger, order, SubmissionBegun())
        assert not await tell(ledger, a_notice(CARRIER_ORDER_ID, order.reference))
        assert await wait_s(ledger, order) > 5
        assert await waiting(ledger) == [1]
        order = await record_events(ledger, order, Acknowledged(CARRIER_ORDER_ID))
        await harness.advance(timedelta(seconds=1))
        await ledger.notices.apply(every=EVERY)
        assert await wait_s(ledger, order) <= 0
        assert await waiting(ledger) == [0]

    harness.run(work)


def test_notice_of_an_order_that_is_accepted_later_is_matched(harness: LedgerHarness) -> None:
    """As after a fall, when a producer sends a forgotten key again."""

    async def work(ledger: Ledger) -> None:
        assert not await tell(ledger, a_notice())
        order = await an_open_order(ledger)
        await harness.make_all_due()
        await put_off(ledger, order)
        await harness.advance(timedelta(seconds=5))
        await ledger.notices.apply(every=EVERY)
        assert await wait_s(ledger, order) <= 0

    harness.run(work)


def test_notice_about_no_order_of_ours_is_matched_ever_less_often(harness: LedgerHarness) -> None:
    """Others order on the same account; their notices cost nothing, and are forgotten in the end."""

    async def work(ledger: Ledger) -> None:
        await ledger.notices.store([a_notice()])
        looks = 0
        for _ in range(30):
            looks += (await ledger.notices.apply(every=EVERY)).looked_at
            await harness.advance(MINUTE)
        assert 3 < looks < 10
        await harness.advance(80 * HOUR)
        assert (await ledger.notices.apply(every=EVERY)).looked_at == 1
        await harness.advance(HOUR)
        assert (await ledger.notices.apply(every=EVERY)).looked_at == 0
        await ledger.notices.forget(HOUR)
        assert await ledger.notices.counts(2 * HOUR) == []

    harness.run(work)


def test_notice_during_a_question_brings_another(harness: LedgerHarness) -> None:
    """The one under way may have been answered before the carrier changed anything."""

    async def work(ledger: Ledger) -> None:
        order = await an_open_order(ledger)
        await harness.make_all_due()
        claims = await claim_due(ledger, Lane.ASK)
        assert not await tell(ledger, a_notice())
        assert await waiting(ledger) == [1]
        await ledger.schedule.postpone(claims, [Later(order.order_id, await ledger.now() + HOUR)])
        await harness.advance(timedelta(seconds=1))
        assert BANDWIDTH in (await ledger.notices.apply(every=EVERY)).due

    harness.run(work)


def test_notice_about_an_order_that_is_over_or_parked_asks_nothing(harness: LedgerHarness) -> None:
    """The end stands, and a parked order is a person's."""

    async def work(ledger: Ledger) -> None:
        ended = await an_open_order(ledger)
        await record_events(ledger, ended, Filled("COMPLETE", ()))
        parked = await accept_order(ledger, a_request("crm-2"))
        parked = await record_events(ledger, parked, SubmissionBegun(), Acknowledged(ANOTHER), Parked("look at it"))
        assert not await tell(ledger, a_notice(), a_notice(ANOTHER))
        assert await waiting(ledger) == [0]
        assert await ledger.schedule.work_items([ended.order_id, parked.order_id]) == {
            ended.order_id: [],
            parked.order_id: [],
        }

    harness.run(work)


def test_unreadable_notice_is_kept_and_raises_an_alarm(harness: LedgerHarness) -> None:
    """With whatever bytes it has. If its address names the order, it is asked about all the same."""

    async def work(ledger: Ledger) -> None:
        order = await an_open_order(ledger)
        await harness.make_all_due()
        await put_off(ledger, order)
        bad = StoredNotice(BANDWIDTH, b"\xff\0" + b"x" * 2 * BODY_KEPT, trouble="not XML")
        assert not await tell(ledger, bad)
        assert await tell(ledger, StoredNotice(BANDWIDTH, b"", reference=order.reference, trouble="empty"))
        (count,) = await ledger.notices.counts(HOUR)
        assert (count.notices, count.unreadable, count.waiting) == (2, 2, 0)
        (alarm,) = await ledger.alarms.active()
        assert (alarm["what"], alarm["subject"], alarm["times"]) == (Alarm.UNREADABLE_NOTICE, BANDWIDTH, 2)

    harness.run(work)
