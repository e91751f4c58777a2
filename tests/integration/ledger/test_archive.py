"""Ended orders leave `orders`, nothing is forgotten, and their keys stay taken."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from uuid_utils.compat import uuid7

from number_orders.ledger.archive import RESTORED_STAYS
from number_orders.ledger.history import Receipt
from number_orders.ledger.ledger import Ledger, PostgresLedger
from number_orders.ledger.order_views import OrderFilter
from number_orders.orders.alarms import Alarm
from number_orders.orders.errors import AlreadyTaken
from number_orders.orders.events import (
    Acknowledged,
    CancelAsked,
    Filled,
    LookedAgain,
    NumbersAdopted,
    Refused,
    SubmissionBegun,
)
from number_orders.orders.model import Kind, Lane, Notify, NumberResult, NumberState, Order, OrderId
from tests.integration.ledger.examples import (
    CARRIER_ORDER_ID,
    DURHAM,
    RALEIGH,
    a_named_request,
    a_new_order,
    a_request,
    a_step,
    accept_order,
    claim_due,
    record_events,
)
from tests.integration.ledger.harness import BANDWIDTH, LedgerHarness

DAY = timedelta(days=1)
MONTH = 31 * DAY
GOT = (NumberResult(RALEIGH, NumberState.ACQUIRED),)


async def ended(ledger: Ledger, key: str, *, notify: Notify | None = None) -> Order:
    """Store an order that has ended with one number."""
    order = await accept_order(ledger, a_request(key, notify=notify))
    events = (SubmissionBegun(), Acknowledged(CARRIER_ORDER_ID, "RECEIVED"), Filled("COMPLETE", GOT))
    return await record_events(ledger, order, *events)


async def archive_all(ledger: Ledger, harness: LedgerHarness) -> int:
    """Archive what can be; return how many orders left."""
    await ledger.archive.copy(MONTH)
    await harness.advance(timedelta(minutes=11))
    _, removed = await ledger.archive.remove()
    return removed


@pytest.mark.parametrize("stage", ["copied", "removed"])
def test_key_of_an_archived_order_is_taken_for_ever(harness: LedgerHarness, stage: str) -> None:
    async def work(ledger: Ledger) -> None:
        order = await ended(ledger, "crm-1")
        await harness.advance(2 * MONTH)
        assert await ledger.archive.copy(MONTH) == 1
        if stage == "removed":
            await harness.advance(timedelta(minutes=11))
            assert await ledger.archive.remove() == (1, 1)
        again = a_new_order(a_request("crm-1"))
        other_key = a_new_order(a_request("crm-2"), order.order_id)
        stored = await ledger.intake.accept([again, other_key, a_new_order(a_request("crm-3"))], numbers_per_hour=9)
        assert len(stored.states) == 1
        (taken,) = await ledger.intake.find_taken([again])
        assert (taken.order_id, taken.state, taken.fingerprint) == (order.order_id, order.state, again.fingerprint)
        # And where budgets make each order take its turn.
        in_turn = await ledger.intake.accept([again, a_new_order(a_request("crm-4"))], numbers_per_hour=2)
        assert len(in_turn.states) == 1

    harness.run(work)


def test_what_was_known_is_still_known(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        order = await ended(ledger, "crm-1")
        before = await ledger.history.story(order.order_id)
        await harness.advance(2 * MONTH)
        assert await archive_all(ledger, harness) == 1

        after = await ledger.history.story(order.order_id)
        assert [row["event"] for row in after.events] == [row["event"] for row in before.events]
        assert (after.producer, after.numbers, after.order.request) == (before.producer, before.numbers, order.request)
        assert after.order.state is order.state
        assert (await ledger.numbers.of_orders([order.order_id]))[order.order_id] == list(GOT)
        assert await ledger.orders.with_key("crm-1") == [order.order_id]
        assert await ledger.orders.owner_of(BANDWIDTH, CARRIER_ORDER_ID) == order.order_id
        for wanted in (
            OrderFilter(key="crm-1"),
            OrderFilter(producer="default", key="crm-1"),
            OrderFilter(number=RALEIGH),
        ):
            assert [row["order_id"] for row in await ledger.order_views.rows(wanted, limit=9)] == [order.order_id]
        assert await ledger.order_views.rows(OrderFilter(), limit=9) == []  # lists are of orders that are not archived
        (holding,) = await ledger.numbers.holdings_of(RALEIGH, producer="default")
        assert (holding["acquired_by"], holding["key"]) == (order.order_id, "crm-1")
        (about,) = await ledger.numbers.orders_about(RALEIGH, producer="default")
        assert (about["order_id"], about["number_state"]) == (order.order_id, "acquired")
        assert await ledger.numbers.ended(BANDWIDTH, [order.reference]) == {order.reference}
        assert (await ledger.numbers.owners(BANDWIDTH, [CARRIER_ORDER_ID]))[CARRIER_ORDER_ID].is_complete
        news = await ledger.order_views.news({order.order_id: 1})
        assert [row["version"] for row in news] == [2, 3]
        assert await ledger.producers.owners([order.order_id]) == {order.order_id: "default"}

    harness.run(work)


Owes = Callable[[Ledger, Order], Awaitable[object]]


async def _work_item(ledger: Ledger, order: Order) -> None:
    await record_events(ledger, order, LookedAgain("late look: it is still open", look_again=True))


async def _alarm(ledger: Ledger, order: Order) -> None:
    await ledger.alarms.raise_alarm(Alarm.END_CONTRADICTED, str(order.order_id), carrier=BANDWIDTH, detail="x")


async def _receipt(ledger: Ledger, order: Order) -> None:
    await ledger.history.keep_receipts([Receipt(order.order_id, "GET /orders/1", 7, status=200)])


async def _nothing(ledger: Ledger, order: Order) -> None:
    """Owe nothing."""


@pytest.mark.parametrize(("owes", "leaves"), [(_nothing, 1), (_work_item, 0), (_alarm, 0), (_receipt, 0)])
@pytest.mark.parametrize("when", ["before it is copied", "after"])
def test_an_order_that_something_is_owed_to_stays(harness: LedgerHarness, owes: Owes, leaves: int, when: str) -> None:
    async def work(ledger: Ledger) -> None:
        order = await ended(ledger, "crm-1")
        await harness.advance(2 * MONTH)
        if when == "after":
            assert await ledger.archive.copy(MONTH) == 1
        await owes(ledger, order)
        assert await ledger.archive.copy(MONTH) == (leaves if when != "after" else 0)
        await harness.advance(timedelta(minutes=11))
        assert (await ledger.archive.remove())[1] == leaves
        assert (await ledger.archive.summary()).removed == leaves
        assert (await ledger.orders.read([order.order_id]))[order.order_id].state is order.state

    harness.run(work)


def test_an_undelivered_document_keeps_its_order_and_a_delivered_one_goes_with_it(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        order = await accept_order(ledger, a_request(notify=Notify(task="crm.hear", queue="crm")))
        step = a_step(order, CancelAsked("kim"), await ledger.now())
        await ledger.orders.record([replace(step, notification={"state": "CANCELLED"}, channels=("task",))])
        claims = await claim_due(ledger, Lane.TELL)
        await ledger.outbox.mark_delivered(
            claims, claims.claims, [], "task"
        )  # no work is left, and it was not delivered
        await harness.advance(2 * MONTH)
        assert await ledger.archive.copy(MONTH) == 0

        pending = await ledger.outbox.pending([order.order_id], "task")
        await ledger.outbox.mark_delivered(claims, [], pending, "task")
        before = await ledger.history.story(order.order_id)
        assert await archive_all(ledger, harness) == 1
        after = await ledger.history.story(order.order_id)
        assert len(after.messages) == 1
        assert [dict(row) for row in after.messages] == [dict(row) for row in before.messages]

    harness.run(work)


def test_only_what_ended_long_ago_leaves_the_oldest_first_in_batches(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        async def refused(key: str) -> OrderId:
            order = await accept_order(ledger, a_request(key))
            await record_events(ledger, order, SubmissionBegun(), Refused("no"))
            return order.order_id

        waits = await accept_order(ledger, a_request("waits"))
        oldest = await refused("oldest")
        await harness.advance(DAY)
        older = await refused("older")
        await harness.advance(2 * MONTH)
        young = await refused("young")

        assert [await ledger.archive.copy(MONTH, at_once=1) for _ in range(3)] == [1, 1, 0]
        assert await ledger.archive.remove() == (0, 0)  # too early
        await harness.advance(timedelta(minutes=11))
        assert [await ledger.archive.remove(at_once=1) for _ in range(3)] == [(1, 1), (1, 1), (0, 0)]
        rows = await ledger.order_views.rows(OrderFilter(), limit=9)
        assert {row["order_id"] for row in rows} == {waits.order_id, young}
        assert set(await ledger.orders.read([oldest, older])) == {oldest, older}

    harness.run(work)


def test_an_order_that_moves_after_it_was_copied_stays(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        order = await ended(ledger, "crm-1")
        await harness.advance(2 * MONTH)
        assert await ledger.archive.copy(MONTH) == 1
        more = (NumberResult(DURHAM, NumberState.ACQUIRED),)
        await record_events(ledger, order, NumbersAdopted("ana", "on the bill", more))
        await harness.advance(timedelta(minutes=11))
        assert await ledger.archive.remove() == (1, 0)
        assert (await ledger.archive.summary()).copied == 0
        assert await archive_all(ledger, harness) == 1  # with the number
        assert len((await ledger.numbers.of_orders([order.order_id]))[order.order_id]) == 2

    harness.run(work)


def test_an_archived_order_can_be_brought_back_as_it_was(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        order = await ended(ledger, "crm-1")
        began = await ledger.now()
        await harness.advance(2 * MONTH)
        await archive_all(ledger, harness)
        assert await ledger.archive.since(began - MONTH) == [order.order_id]
        archived = await ledger.history.story(order.order_id)

        assert await ledger.archive.restore([order.order_id, OrderId(uuid7())]) == [order.order_id]
        back = await ledger.history.story(order.order_id)
        assert (back.archived_at, archived.purged_at) == (None, None)
        assert archived.archived_at is not None
        assert replace(back, now=archived.now, archived_at=archived.archived_at) == archived
        assert [row["order_id"] for row in await ledger.order_views.rows(OrderFilter(), limit=9)] == [order.order_id]
        assert await ledger.archive.restore([order.order_id]) == []
        more = (NumberResult(DURHAM, NumberState.ACQUIRED),)
        await record_events(ledger, back.order, NumbersAdopted("ana", "on the bill", more))  # it is whole again

    harness.run(work)


def test_a_purged_order_keeps_its_key_its_end_and_its_numbers(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        order = await accept_order(ledger, replace(a_request("crm-1"), name="Spring", notes="for Ms Fox"))
        await record_events(
            ledger, order, SubmissionBegun(), Acknowledged(CARRIER_ORDER_ID, "NEW"), Filled("COMPLETE", GOT)
        )
        await harness.advance(2 * MONTH)
        await archive_all(ledger, harness)
        assert await ledger.archive.purge(3 * MONTH) == 0
        assert await ledger.archive.purge(MONTH) == 1

        story = await ledger.history.story(order.order_id)
        assert (story.events, story.messages, story.numbers) == ((), (), GOT)
        assert (story.order.request.name, story.order.request.notes, story.order.request.quantity) == (None, None, 1)
        assert await ledger.archive.restore([order.order_id]) == []
        again = a_new_order(a_request("crm-1"))
        assert (await ledger.intake.accept([again])).states == {}
        (taken,) = await ledger.intake.find_taken([again])
        assert taken.order_id == order.order_id

    harness.run(work)


def test_who_released_a_number_is_known_when_its_removal_is_archived(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        await ended(ledger, "crm-1")
        removal = await accept_order(ledger, a_named_request("remove", RALEIGH, kind=Kind.REMOVE_NUMBERS))
        gone = Filled("COMPLETE", (NumberResult(RALEIGH, NumberState.RELEASED),))
        await record_events(ledger, removal, SubmissionBegun(), gone)
        await harness.advance(2 * MONTH)
        assert await archive_all(ledger, harness) == 2
        asks = await accept_order(ledger, a_request("crm-2"))
        _, (known,) = await ledger.numbers.recall(asks, [RALEIGH])
        assert known.released_by == removal.order_id

    harness.run(work)


def test_the_carrier_order_of_an_archived_order_stays_its_own(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        first = await ended(ledger, "crm-1")
        await harness.advance(2 * MONTH)
        assert await archive_all(ledger, harness) == 1
        second = await accept_order(ledger, a_request("crm-2"))
        with pytest.raises(AlreadyTaken):
            await record_events(ledger, second, SubmissionBegun(), Acknowledged(CARRIER_ORDER_ID, "RECEIVED"))
        assert await ledger.archive.restore([first.order_id]) == [first.order_id]
        assert await ledger.orders.owner_of(BANDWIDTH, CARRIER_ORDER_ID) == first.order_id

    harness.run(work)


def test_an_order_that_was_brought_back_is_left_alone_for_a_while(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        order = await ended(ledger, "crm-1")
        await harness.advance(2 * MONTH)
        assert await archive_all(ledger, harness) == 1
        assert await ledger.archive.restore([order.order_id]) == [order.order_id]
        assert await ledger.archive.copy(MONTH) == 0
        await harness.advance(RESTORED_STAYS)
        assert await archive_all(ledger, harness) == 1

    harness.run(work)


def test_a_copy_that_is_taken_back_is_left_alone_too(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        order = await ended(ledger, "crm-1")
        await harness.advance(2 * MONTH)
        assert await ledger.archive.copy(MONTH) == 1
        assert await ledger.archive.among([order.order_id]) == frozenset()
        assert await ledger.archive.restore([order.order_id]) == [order.order_id]
        assert await archive_all(ledger, harness) == 0

    harness.run(work)


def test_a_guard_period_that_begins_meanwhile_stops_the_next_statement(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        await ended(ledger, "crm-1")
        await harness.advance(2 * MONTH)
        await ledger.guard.begin(timedelta(hours=1), who="ana", why="a snapshot was put back")
        assert await ledger.archive.copy(MONTH) == 0
        await ledger.guard.end(who="ana", why="done")
        assert await ledger.archive.copy(MONTH) == 1
        await harness.advance(timedelta(minutes=11))
        await ledger.guard.begin(timedelta(hours=1), who="ana", why="and another")
        assert await ledger.archive.remove() == (0, 0)
        await ledger.guard.end(who="ana", why="done")
        assert await ledger.archive.remove() == (1, 1)

    harness.run(work)


def test_the_next_statement_goes_on_where_the_last_one_ended(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        for key in ("crm-1", "crm-2", "crm-3"):
            order = await accept_order(ledger, a_request(key))
            await record_events(ledger, order, SubmissionBegun(), Refused("no"))
            await harness.advance(DAY)
        await harness.advance(2 * MONTH)
        first = await ledger.archive.copy_next(MONTH, at_once=1)
        assert first.ended_to is not None
        assert (await ledger.archive.copy_next(MONTH, ended_from=first.ended_to + 2 * DAY)).orders == 1  # the youngest
        assert (await ledger.archive.copy_next(MONTH, ended_from=first.ended_to)).orders == 1
        assert await ledger.archive.copy(MONTH) == 0

    harness.run(work)


def test_an_order_whose_key_or_carrier_order_another_has_stays_in_the_archive(ledger_url: str) -> None:
    """As an archive has them that was filled before these were refused. The others of the page come back."""

    async def work() -> None:
        async with PostgresLedger.at(ledger_url) as ledger:
            first, other = await ended(ledger, "crm-1"), await accept_order(ledger, a_request("crm-2"))
            free = await accept_order(ledger, a_request("crm-3"))
            await record_events(ledger, free, SubmissionBegun(), Refused("no"))
            with psycopg.connect(ledger_url, autocommit=True) as db:
                db.execute("UPDATE orders SET ended_at = ended_at - '90 days'::interval WHERE ended_at IS NOT NULL")
                assert await ledger.archive.copy(MONTH) == 2
                db.execute("UPDATE archived_orders SET archived_at = archived_at - '1 hour'::interval")
                assert await ledger.archive.remove() == (2, 2)
                db.execute("ALTER TABLE orders DISABLE TRIGGER archived_carrier_orders_stay_taken")
                await record_events(ledger, other, SubmissionBegun(), Acknowledged(CARRIER_ORDER_ID, "RECEIVED"))
                began = await ledger.now() - DAY
                page = await ledger.archive.since(began)
                assert await ledger.archive.restore(page) == [free.order_id]
                assert await ledger.archive.blocked(page) == {first.order_id: other.order_id}
                assert await ledger.archive.since(began, but=[first.order_id]) == []
                assert await ledger.archive.among(page) == {first.order_id}
                db.execute("UPDATE orders SET carrier_order_id = 'another' WHERE order_id = %s", [other.order_id])

    asyncio.run(work())


def test_a_worker_that_does_not_look_into_the_archive_is_refused(ledger_url: str) -> None:
    """Workers of 0.1.0 take a cancelled statement for a ledger that is away, and give the message back."""
    insert = """
        INSERT INTO orders (order_id, producer, key, fingerprint, carrier, kind, request, state)
        VALUES (gen_random_uuid(), 'default', %s, '\\x00', 'bandwidth', 'new_numbers', '{}', 'ACCEPTED')
        ON CONFLICT DO NOTHING"""
    archive = """
        INSERT INTO archived_orders (order_id, producer, key, fingerprint, reference, carrier, state, ended_at, whole,
                                     numbers, events, messages, removed_at)
        VALUES (gen_random_uuid(), 'default', 'crm-1', '\\x00', '', 'bandwidth', 'FAILED', now(), '{}',
                '[]', '[]', '[]', now())"""
    with psycopg.connect(ledger_url, autocommit=True) as db:
        db.execute(archive.encode())
        with pytest.raises(psycopg.errors.QueryCanceled, match="the key crm-1 belongs to an archived order"):
            db.execute(insert.encode(), ["crm-1"])
        assert db.execute("SELECT count(*) FROM orders").fetchone() == (0,)
        db.execute("UPDATE archived_orders SET removed_at = NULL")  # a copy: `orders` has the key
        db.execute("BEGIN")
        assert db.execute(insert.encode(), ["crm-1"]).rowcount == 1
        db.execute("ROLLBACK")


def test_the_removal_of_an_order_reads_no_table_whole(ledger_url: str) -> None:
    """Each table that refers to orders has an index for it: 200,000 old alarms made a batch take 25 s."""
    query = """
        SELECT conrelid::regclass::text FROM pg_constraint AS known
        WHERE contype = 'f' AND confrelid = 'orders'::regclass AND NOT EXISTS (
            SELECT FROM pg_index WHERE indrelid = known.conrelid AND indkey[0] = known.conkey[1])"""
    with psycopg.connect(ledger_url) as db:
        assert db.execute(query.encode()).fetchall() == []
