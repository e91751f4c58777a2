"""A carrier's list against held numbers: only differences come back. Adopted numbers are stored with their order."""

from dataclasses import replace
from datetime import datetime, timedelta

import psycopg
import pytest
from uuid_utils.compat import uuid7

from number_orders.ledger.holdings import AdoptedOrder, Difference, ReportedNumber
from number_orders.ledger.ledger import Ledger
from number_orders.orders.errors import AlreadyTaken
from number_orders.orders.events import (
    Acknowledged,
    Filled,
    Hurried,
    NumbersAdopted,
    NumbersGivenUp,
    StillOpen,
    SubmissionBegun,
)
from number_orders.orders.model import (
    CarrierName,
    CarrierOrderId,
    Kind,
    NumberResult,
    NumberState,
    Order,
    OrderId,
    OrderRequest,
    State,
)
from number_orders.orders.numbers import E164
from tests.integration.ledger.examples import (
    DURHAM,
    HOUR,
    RALEIGH,
    a_named_request,
    a_request,
    accept_order,
    record_events,
)
from tests.integration.ledger.harness import BANDWIDTH, LedgerHarness, PostgresHarness

CARY = E164("+19195550102")


def got(*numbers: E164, state: NumberState = NumberState.ACQUIRED) -> tuple[NumberResult, ...]:
    return tuple(NumberResult(number, state) for number in numbers)


async def buy(ledger: Ledger, key: str, *numbers: E164) -> Order:
    order = await accept_order(ledger, a_request(key))
    events = (SubmissionBegun(), Acknowledged(CarrierOrderId(key)), Filled("COMPLETE", got(*numbers)))
    return await record_events(ledger, order, *events)


async def compare(
    ledger: Ledger, *numbers: E164, since: datetime | None = None, moved_since: datetime | None = None
) -> tuple[int, list[Difference]]:
    """Compare the list with the ledger, some time after everything that has happened."""
    listed = [ReportedNumber(number, "sub", since) for number in numbers]
    return await ledger.holdings.compare(BANDWIDTH, listed, moved_since=moved_since or await ledger.now() + HOUR)


def adopted(*numbers: E164, since: datetime | None = None, account: str | None = None) -> AdoptedOrder:
    order_id = OrderId(uuid7())
    request = OrderRequest(f"adopted-{order_id}", BANDWIDTH, Kind.NEW_NUMBERS, numbers=numbers, account=account)
    results = tuple(replace(result, held_since=since) for result in got(*numbers))
    return AdoptedOrder(order_id, "reconcile", request, "by ana", NumbersAdopted("ana", "on the bill", results))


def test_only_differences_come_back(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        order = await buy(ledger, "a", RALEIGH, DURHAM)
        now = await ledger.now()
        ours, found = await compare(ledger, DURHAM, CARY, since=now)
        assert ours == 2
        assert [replace(one, acquired_at=None) for one in found] == [
            Difference(CARY, True, "sub", now),
            Difference(RALEIGH, False, held_by=order.order_id, held_at=BANDWIDTH),
        ]
        assert await compare(ledger, RALEIGH, DURHAM) == (2, [])

    harness.run(work)


def test_what_has_just_moved_is_no_difference(harness: LedgerHarness) -> None:
    """The list was read before, or lags behind."""

    async def work(ledger: Ledger) -> None:
        before = await ledger.now()
        order = await buy(ledger, "a", RALEIGH, DURHAM)
        await record_events(ledger, order, NumbersGivenUp("ana", "gone", got(DURHAM, state=NumberState.WITHDRAWN)))
        assert await compare(ledger, DURHAM, moved_since=before) == (1, [])
        _, found = await compare(ledger, DURHAM)
        assert [(one.e164, one.is_listed) for one in found] == [(DURHAM, True), (RALEIGH, False)]
        assert found[0].released_at is not None

    harness.run(work)


def test_orders_under_way_are_named(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        bringer = await accept_order(ledger, a_named_request("b", CARY))
        await buy(ledger, "a", RALEIGH)
        remover = await accept_order(ledger, a_named_request("r", RALEIGH, kind=Kind.REMOVE_NUMBERS))
        _, (cary, raleigh) = await compare(ledger, CARY)
        assert (cary.brought_by, cary.removed_by) == (bringer.order_id, None)
        assert (raleigh.brought_by, raleigh.removed_by) == (None, remover.order_id)

    harness.run(work)


def test_a_holder_that_has_not_ended_is_said(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        order = await accept_order(ledger)
        begun = await record_events(ledger, order, SubmissionBegun(), Acknowledged(CarrierOrderId("a")))
        await record_events(ledger, begun, StillOpen("PROCESSING", got(RALEIGH)))
        _, (one,) = await compare(ledger)
        assert (one.e164, one.holder_unfinished) == (RALEIGH, True)

    harness.run(work)


def test_a_number_at_another_carrier_is_an_orphan_that_says_so(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        await buy(ledger, "a", RALEIGH)
        listed = [ReportedNumber(RALEIGH)]
        ours, (one,) = await ledger.holdings.compare(CarrierName("swift"), listed, moved_since=await ledger.now())
        assert (ours, one.is_listed, one.held_at) == (0, True, BANDWIDTH)

    harness.run(work)


def test_an_order_that_is_born_ended_holds_its_numbers(harness: LedgerHarness) -> None:
    """Since the date that is known, but never since a time to come; and it owes nothing."""

    async def work(ledger: Ledger) -> None:
        now = await ledger.now()
        new, ahead = adopted(RALEIGH, since=now - HOUR, account="sub"), adopted(DURHAM, since=now + HOUR)
        await ledger.holdings.store_adopted([new, ahead])
        await ledger.holdings.store_adopted([new, ahead])  # as after a broken connection
        story = await ledger.history.story(new.order_id)
        assert (story.order.state, story.order.version, story.order.ended_at) == (
            State.COMPLETED,
            1,
            story.order.accepted_at,
        )
        assert [row["event"] for row in story.events] == ["OrderAccepted", "NumbersAdopted"]
        assert (story.work_items, story.order.request) == ((), new.request)
        assert [(one.e164, one.state) for one in story.numbers] == [(RALEIGH, NumberState.ACQUIRED)]
        found = {one.e164: one for one in (await compare(ledger, moved_since=now + 2 * HOUR))[1]}
        assert found[RALEIGH].acquired_at == now - HOUR
        assert found[RALEIGH].account == "sub"
        acquired_at = found[DURHAM].acquired_at
        assert acquired_at is not None
        assert acquired_at <= await ledger.now()

    harness.run(work)


def test_a_number_that_is_held_is_not_adopted_and_nothing_is_stored(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        await buy(ledger, "a", RALEIGH)
        new = adopted(DURHAM, RALEIGH)
        with pytest.raises(AlreadyTaken):
            await ledger.holdings.store_adopted([new])
        assert await ledger.orders.read([new.order_id]) == {}
        assert (await compare(ledger, RALEIGH))[1] == []

    harness.run(work)


def test_a_number_added_to_an_ended_order_is_held_since_its_date_and_keeps_its_late_look(
    harness: LedgerHarness,
) -> None:
    """Adopting must not make the service forget that the carrier is to be asked once more."""

    async def work(ledger: Ledger) -> None:
        order = await buy(ledger, "a", RALEIGH)
        order = await record_events(ledger, order, Hurried("ana"))
        assert [item.lane for item in (await ledger.schedule.work_items([order.order_id]))[order.order_id]] == ["ask"]
        since = await ledger.now() - 3 * HOUR
        found = NumbersAdopted("ana", "on the bill", (replace(got(DURHAM)[0], held_since=since),))
        await record_events(ledger, order, found)
        assert [item.lane for item in (await ledger.schedule.work_items([order.order_id]))[order.order_id]] == ["ask"]
        durham = next(one for one in (await compare(ledger))[1] if one.e164 == DURHAM)
        assert (durham.held_by, durham.acquired_at) == (order.order_id, since)

    harness.run(work)


def test_purchases_by_criteria_that_may_have_been_sent(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        sent = await record_events(ledger, await accept_order(ledger, a_request("sent")), SubmissionBegun())
        not_sent = await accept_order(ledger, a_request("not sent"))
        await record_events(ledger, await accept_order(ledger, a_named_request("named", CARY)), SubmissionBegun())
        await buy(ledger, "ended", RALEIGH)
        assert [one.order_id for one in await ledger.holdings.purchases_by_criteria(BANDWIDTH)] == [sent.order_id]
        assert await ledger.holdings.purchases_by_criteria(CarrierName("swift")) == []
        await ledger.guard.begin(timedelta(hours=1), who="ana", why="a backup was restored")
        maybe = {one.order_id for one in await ledger.holdings.purchases_by_criteria(BANDWIDTH)}
        assert maybe == {sent.order_id, not_sent.order_id}, "the ledger may have forgotten that it was sent"

    harness.run(work)


def test_purchases_are_found_by_either_id(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        one, other = await buy(ledger, "a", RALEIGH), await accept_order(ledger, a_request("b"))
        find = ledger.holdings.purchases_with
        assert [order.order_id for order in await find(BANDWIDTH, [CarrierOrderId("a")], [])] == [one.order_id]
        assert [order.order_id for order in await find(BANDWIDTH, [], [other.reference])] == [other.order_id]
        assert await find(CarrierName("swift"), [CarrierOrderId("a")], [other.reference]) == []

    harness.run(work)


MANY = 200_000


def test_two_hundred_thousand_numbers_are_compared_by_one_statement(ledger_url: str) -> None:
    """Far below the time that PostgreSQL gives a statement, also where everything differs."""
    with psycopg.connect(ledger_url, autocommit=True) as db:
        db.execute(
            "INSERT INTO held_numbers (e164, carrier, acquired_at)"
            " SELECT '+1919' || (2000000 + i), 'bandwidth', now() - interval '1 day' FROM generate_series(1, %s) AS i",
            [MANY],
        )
    same = [ReportedNumber(E164(f"+1919{2_000_000 + i}")) for i in range(1, MANY + 1)]
    others = [ReportedNumber(E164(f"+1984{2_000_000 + i}")) for i in range(1, MANY + 1)]

    async def work(ledger: Ledger) -> None:
        now = await ledger.now()
        assert await ledger.holdings.compare(BANDWIDTH, same, moved_since=now) == (MANY, [])
        ours, found = await ledger.holdings.compare(BANDWIDTH, others, moved_since=now)
        assert (ours, len(found)) == (MANY, 2 * MANY)

    PostgresHarness(ledger_url).run(work)
