"""A list is read by one worker at a time, page by page, and answers every question that was put before it began."""

import asyncio
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from number_orders.ledger.breakers import BreakerPolicy
from number_orders.ledger.ledger import Ledger
from number_orders.ledger.limits import Limit
from number_orders.ledger.readings import Question, ReadingLease
from number_orders.ledger.schedule import Claims, Later, ListWait
from number_orders.orders.events import Acknowledged, AnswerLost, SetAside, SubmissionBegun
from number_orders.orders.model import CarrierName, CarrierOrderId, Kind, Lane, Order, State
from number_orders.orders.numbers import E164, ListedNumber
from tests.integration.ledger.examples import (
    DURHAM,
    HOUR,
    MINUTE,
    RALEIGH,
    a_request,
    accept_order,
    claim_due,
    record_events,
)
from tests.integration.ledger.harness import BANDWIDTH, LedgerHarness

DIDS = "/dids"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
BEGINS_AFTER = 2 * SECOND


def a_number(e164: str = RALEIGH, at: datetime = LONG_AGO, **detail: object) -> ListedNumber:
    return ListedNumber(E164(e164), at, detail)


def about(order: Order, text: str = "its numbers", list_name: str = DIDS) -> Question:
    return Question(order.order_id, BANDWIDTH, list_name, text)


async def an_open_order(ledger: Ledger, key: str = "crm-1") -> Order:
    order = await accept_order(ledger, a_request(key))
    return await record_events(ledger, order, SubmissionBegun(), Acknowledged(CarrierOrderId(f"of {key}")))


async def claim_all(harness: LedgerHarness, ledger: Ledger) -> Claims:
    await harness.make_all_due()
    return await claim_due(ledger, Lane.ASK)


async def put_off_all(harness: LedgerHarness, ledger: Ledger, *lanes: Lane) -> None:
    """Let everything on these lanes, or on `ask`, wait for two days."""
    await harness.make_all_due()
    for lane in lanes or (Lane.ASK,):
        claims = await claim_due(ledger, lane)
        later = [Later(claim.order.order_id, claims.now + 48 * HOUR, "waits") for claim in claims.claims]
        await ledger.schedule.put_off(claims, later)


async def lease(ledger: Ledger, of: CarrierName = BANDWIDTH) -> ReadingLease:
    reading = await ledger.readings.lease(of, lease=MINUTE)
    assert reading is not None
    return reading


async def read(ledger: Ledger, *numbers: ListedNumber) -> None:
    """Read a list that has one page."""
    assert await ledger.readings.add_page(await lease(ledger), numbers, None, lease=MINUTE) is None


async def is_answered(ledger: Ledger, question: Question) -> bool:
    return (await ledger.readings.put_question(question)).reading_id is not None


def test_pages_are_added_by_one_worker_and_answer_the_question(harness: LedgerHarness) -> None:
    """Found are the numbers asked for, and those inserted since a moment; after that the question is answered."""

    async def work(ledger: Ledger) -> None:
        question = about(await an_open_order(ledger))
        assert not await is_answered(ledger, question)
        await harness.advance(BEGINS_AFTER)
        first = await lease(ledger)
        assert (first.list_name, first.cursor, first.pages) == (DIDS, None, 0)
        assert await ledger.readings.lease(BANDWIDTH, lease=MINUTE) is None
        page = [a_number(), a_number(DURHAM, sms="PENDING")]
        second = await ledger.readings.add_page(first, page, "page 2", lease=MINUTE)
        assert second is not None
        assert (second.cursor, second.pages) == ("page 2", 1)
        assert (await ledger.readings.put_question(question)).pages == 1
        late = a_number("+19195550102", LONG_AGO + HOUR)
        assert await ledger.readings.add_page(second, [late], None, lease=MINUTE) is None

        state = await ledger.readings.put_question(question)
        assert state.reading_id is not None
        found = await ledger.readings.find(question, state.reading_id, [DURHAM], LONG_AGO + MINUTE)
        assert found is not None
        began_at, listed = found
        assert began_at <= state.now
        assert sorted(listed, key=lambda one: one.e164) == [page[1], late]
        assert not await is_answered(ledger, question)  # it is a new question now, and newer than the reading

    harness.run(work)


def test_only_a_reading_that_began_after_the_question_answers_it(harness: LedgerHarness) -> None:
    """A question that comes while a list is read is answered by the next reading, which is made for it."""

    async def work(ledger: Ledger) -> None:
        early, late = about(await an_open_order(ledger), "early"), about(await an_open_order(ledger, "crm-2"), "late")
        await ledger.readings.put_question(early)
        await harness.advance(BEGINS_AFTER)
        reading = await lease(ledger)
        await asyncio.sleep(0.01)
        await ledger.readings.put_question(late)
        await ledger.readings.add_page(reading, [a_number()], None, lease=MINUTE)
        assert await is_answered(ledger, early)
        assert not await is_answered(ledger, late)
        await harness.advance(BEGINS_AFTER)
        await read(ledger)
        assert await is_answered(ledger, late)
        assert await is_answered(ledger, early)  # its order has not come back yet: the newer reading answers it too
        assert await ledger.readings.lease(BANDWIDTH, lease=MINUTE) is None  # nobody asks any more

    harness.run(
        work,
    )


def test_another_worker_goes_on_after_the_lease(harness: LedgerHarness) -> None:
    """It goes on at the cursor, and what the dead worker still writes changes nothing."""

    async def work(ledger: Ledger) -> None:
        question = about(await an_open_order(ledger))
        await ledger.readings.put_question(question)
        await harness.advance(BEGINS_AFTER)
        await put_off_all(harness, ledger)
        dead = await ledger.readings.add_page(await lease(ledger), [a_number()], "page 2", lease=MINUTE)
        assert dead is not None
        assert await ledger.schedule.due_lanes() == []
        await harness.advance(MINUTE)
        assert await ledger.schedule.due_lanes() == [(BANDWIDTH, Lane.ASK)]
        alive = await lease(ledger)
        assert (alive.cursor, alive.pages) == ("page 2", 1)
        await ledger.readings.add_page(dead, [a_number("+19195559999")], None, lease=MINUTE)
        await ledger.readings.put_back(dead)
        await ledger.readings.put_off(dead, "late", pause=HOUR, not_before=None, restart=True)
        await ledger.readings.add_page(alive, [a_number(DURHAM)], None, lease=MINUTE)
        state = await ledger.readings.put_question(question)
        assert state.reading_id is not None
        _, listed = await ledger.readings.find(question, state.reading_id, [], LONG_AGO) or (None, [])
        assert {one.e164 for one in listed} == {RALEIGH, DURHAM}

    harness.run(work)


def test_a_page_is_added_once(harness: LedgerHarness) -> None:
    """A statement that is run again after a broken connection finds the cursor moved on."""

    async def work(ledger: Ledger) -> None:
        await ledger.readings.put_question(about(await an_open_order(ledger)))
        await harness.advance(BEGINS_AFTER)
        first = await lease(ledger)
        assert await ledger.readings.add_page(first, [a_number()], "page 2", lease=MINUTE)
        assert await ledger.readings.add_page(first, [a_number()], "page 2", lease=MINUTE) is None

    harness.run(work)


def test_of_two_entries_of_a_number_the_later_counts(harness: LedgerHarness) -> None:
    """Whether they are on one page or on two, and in whichever order."""

    async def work(ledger: Ledger) -> None:
        question = about(await an_open_order(ledger))
        await ledger.readings.put_question(question)
        await harness.advance(BEGINS_AFTER)
        new = LONG_AGO + HOUR
        page = [a_number(at=new, sms="new"), a_number(sms="old"), a_number(DURHAM, sms="old")]
        second = await ledger.readings.add_page(await lease(ledger), page, "page 2", lease=MINUTE)
        assert second is not None
        await ledger.readings.add_page(
            second, [a_number(sms="old"), a_number(DURHAM, new, sms="new")], None, lease=MINUTE
        )
        state = await ledger.readings.put_question(question)
        assert state.reading_id is not None
        _, listed = await ledger.readings.find(question, state.reading_id, [RALEIGH, DURHAM], None) or (None, [])
        assert [(one.inserted_at, one.detail) for one in listed] == [(new, {"sms": "new"})] * 2

    harness.run(work)


def test_a_whole_reading_makes_due_what_waits_for_it(harness: LedgerHarness) -> None:
    """Not an order in doubt, whose looks are counted, and not the order that asks about another list."""

    async def work(ledger: Ledger) -> None:
        waiting, elsewhere = await an_open_order(ledger), await accept_order(ledger, a_request("elsewhere"))
        doubtful = await accept_order(ledger, a_request("doubtful"))
        doubtful = await record_events(ledger, doubtful, SubmissionBegun(), AnswerLost("lost"))
        assert doubtful.state is State.IN_DOUBT
        await put_off_all(harness, ledger, Lane.ASK, Lane.SUBMIT)
        for order in (waiting, doubtful):
            await ledger.readings.put_question(about(order))
        await ledger.readings.put_question(about(elsewhere, list_name="/other"))
        await harness.advance(BEGINS_AFTER)
        reading = await lease(ledger)
        assert reading.list_name == DIDS
        await ledger.readings.add_page(reading, [], None, lease=MINUTE)
        again = await claim_due(ledger, Lane.ASK)
        assert [claim.order.order_id for claim in again.claims] == [waiting.order_id]
        assert [claim.attempts for claim in again.claims] == [1]  # what only waited was no look
        assert await ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=9, lease=MINUTE) is None

    harness.run(work)


def test_a_reading_that_is_whole_before_its_order_waits_is_not_missed(harness: LedgerHarness) -> None:
    """The worker that put the question was slow, or the ledger was away."""

    async def work(ledger: Ledger) -> None:
        answered, early = await an_open_order(ledger), await an_open_order(ledger, "crm-2")
        claims = await claim_all(harness, ledger)
        await ledger.readings.put_question(about(answered))
        await harness.advance(BEGINS_AFTER)
        reading = await lease(ledger)
        await asyncio.sleep(0.01)
        await ledger.readings.put_question(about(early))
        await ledger.readings.add_page(reading, [], None, lease=MINUTE)
        in_an_hour = claims.now + HOUR
        later = [Later(claim.order.order_id, in_an_hour, "waits") for claim in claims.claims]
        await ledger.schedule.put_off(claims, later)
        again = await claim_due(ledger, Lane.ASK)
        assert [claim.order.order_id for claim in again.claims] == [answered.order_id]

    harness.run(work)


def test_an_order_that_waits_says_for_which_list_and_how_far_it_is(harness: LedgerHarness) -> None:
    """Not once it is due, and not while a worker has it."""

    async def work(ledger: Ledger) -> None:
        async def wait_of(order: Order) -> ListWait | None:
            (item,) = (await ledger.schedule.work_items([order.order_id]))[order.order_id]
            return item.waits_for_list

        order = await an_open_order(ledger)
        await ledger.readings.put_question(about(order))
        await put_off_all(harness, ledger)
        assert await wait_of(order) == ListWait(DIDS, 0, None)
        await harness.advance(BEGINS_AFTER)
        reading = await ledger.readings.add_page(await lease(ledger), [], "page 2", lease=MINUTE)
        assert reading is not None
        await ledger.readings.put_off(reading, "HTTP 500", pause=SECOND, not_before=None, restart=False)
        assert await wait_of(order) == ListWait(DIDS, 1, "HTTP 500")
        await harness.make_all_due()
        assert await wait_of(order) is None

    harness.run(work)


def test_after_faults_it_begins_again_where_it_was_or_at_the_first_page(harness: LedgerHarness) -> None:
    """With a restart it answers what was asked meanwhile, since it begins later."""

    async def work(ledger: Ledger) -> None:
        question = about(await an_open_order(ledger))
        await ledger.readings.put_question(question)
        await harness.advance(BEGINS_AFTER)
        second = await ledger.readings.add_page(await lease(ledger), [a_number()], "page 2", lease=MINUTE)
        assert second is not None
        await ledger.readings.put_off(second, "HTTP 500", pause=MINUTE, not_before=None, restart=False)
        assert (await ledger.readings.put_question(question)).trouble == "HTTP 500"
        assert await ledger.readings.lease(BANDWIDTH, lease=MINUTE) is None
        await harness.advance(MINUTE)
        second = await lease(ledger)
        assert (second.cursor, second.faults) == ("page 2", 1)
        await ledger.readings.put_off(second, "HTTP 400", pause=MINUTE, not_before=None, restart=True)
        late = about(await an_open_order(ledger, "crm-2"), "meanwhile")
        await ledger.readings.put_question(late)
        await harness.advance(MINUTE)
        again = await lease(ledger)
        assert (again.cursor, again.pages, again.faults) == (None, 0, 2)
        await ledger.readings.add_page(again, [a_number(DURHAM)], None, lease=MINUTE)
        state = await ledger.readings.put_question(late)
        assert state.reading_id is not None
        _, listed = await ledger.readings.find(late, state.reading_id, [], LONG_AGO) or (None, [])
        assert [one.e164 for one in listed] == [DURHAM]

    harness.run(work)


@pytest.mark.parametrize("held_by", ["pause", "breaker", "limit"])
def test_nothing_is_read_while_the_lane_is_held(harness: LedgerHarness, held_by: str) -> None:
    """By a person, by the breaker, or by the carrier's limit; nor is a worker woken for it."""

    async def work(ledger: Ledger) -> None:
        await ledger.limits.set_limits(BANDWIDTH, [Limit("ALL")], {(Lane.ASK, kind): "ALL" for kind in Kind})
        order = await an_open_order(ledger)
        await ledger.readings.put_question(about(order))
        await put_off_all(harness, ledger)
        await harness.advance(BEGINS_AFTER)
        assert await ledger.schedule.due_lanes() == [(BANDWIDTH, Lane.ASK)]
        match held_by:
            case "pause":
                await ledger.pauses.pause(BANDWIDTH, [Lane.ASK], by="ada", why="maintenance")
            case "breaker":
                await ledger.breakers.count_faults(
                    BANDWIDTH, [], faults=1, why="refused", breaker_policy=BreakerPolicy(faults_max=1)
                )
            case _:
                await ledger.limits.pause(BANDWIDTH, "ALL", until=await ledger.now() + HOUR, why="429")
        assert await ledger.readings.lease(BANDWIDTH, lease=MINUTE) is None
        assert await ledger.schedule.due_lanes() == []

    harness.run(work)


def test_one_page_is_the_probe_of_an_open_breaker(harness: LedgerHarness) -> None:
    """Orders that wait for the reading send nothing before. While it is under way, nothing else is the probe."""

    async def work(ledger: Ledger) -> None:
        await ledger.limits.set_limits(BANDWIDTH, [], {})
        waiting, due = await an_open_order(ledger), await an_open_order(ledger, "crm-2")
        await ledger.readings.put_question(about(waiting))
        await harness.advance(BEGINS_AFTER)
        opens = BreakerPolicy(faults_max=1)
        until = await ledger.breakers.count_faults(BANDWIDTH, [], faults=1, why="refused", breaker_policy=opens)
        assert until is not None
        await harness.advance(until - await ledger.now() + SECOND)
        probe = await lease(ledger)
        assert probe.probe_at is not None
        assert await ledger.schedule.claim(BANDWIDTH, Lane.ASK, limit=10, lease=MINUTE) is None
        assert await ledger.schedule.due_lanes() == []
        await ledger.breakers.reset(BANDWIDTH, [probe.token])
        await ledger.readings.put_back(probe)
        assert (await lease(ledger)).probe_at is None
        claims = await ledger.schedule.claim(BANDWIDTH, Lane.ASK, limit=10, lease=MINUTE)
        assert claims is not None
        assert due.order_id in {claim.order.order_id for claim in claims.claims}

    harness.run(work)


def test_a_page_is_no_probe_while_an_order_is(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        await ledger.limits.set_limits(BANDWIDTH, [], {})
        await ledger.readings.put_question(about(await an_open_order(ledger)))
        await harness.advance(BEGINS_AFTER)
        opens = BreakerPolicy(faults_max=1)
        await ledger.breakers.count_faults(BANDWIDTH, [], faults=1, why="refused", breaker_policy=opens)
        await harness.advance(MINUTE)
        assert await ledger.schedule.due_lanes() == [(BANDWIDTH, Lane.ASK)]
        claims = await ledger.schedule.claim(BANDWIDTH, Lane.ASK, limit=10, lease=MINUTE)
        assert claims is not None
        assert await ledger.readings.lease(BANDWIDTH, lease=MINUTE) is None
        await ledger.breakers.return_probe(claims, BANDWIDTH)
        assert (await lease(ledger)).probe_at is not None

    harness.run(work)


def test_an_older_reading_is_deleted(harness: LedgerHarness) -> None:
    """Of each list the latest whole reading stays, with its numbers."""

    async def work(ledger: Ledger) -> None:
        order = await an_open_order(ledger)
        for text in ("first", "second"):
            await ledger.readings.put_question(about(order, text))
            await harness.advance(BEGINS_AFTER)
            await read(ledger, a_number(), a_number(DURHAM))
        states = [await ledger.readings.put_question(about(order, text)) for text in ("first", "second")]
        assert len({state.reading_id for state in states}) == 1
        assert states[0].lasted is not None
        gone = about(order, "first")
        assert await ledger.readings.find(gone, (states[0].reading_id or 0) - 1, [RALEIGH], None) is None

    harness.run(work)


@pytest.mark.parametrize("is_owed", [True, False])
def test_a_reading_that_nobody_waits_for_is_given_up(harness: LedgerHarness, is_owed: bool) -> None:
    """An order that has ended, or is parked, comes for no answer. A person may, within a day."""

    async def work(ledger: Ledger) -> None:
        order = await an_open_order(ledger)
        if not is_owed:
            order = await record_events(ledger, order, SetAside("ada", "looks into it"))
        await ledger.readings.put_question(about(order))
        await harness.advance(23 * HOUR)
        await ledger.readings.put_back(await lease(ledger))
        await harness.advance(2 * HOUR)
        if is_owed:
            await read(ledger)
            assert await is_answered(ledger, about(order))
            return
        assert await ledger.readings.lease(BANDWIDTH, lease=MINUTE) is None
        assert await ledger.schedule.due_lanes() == []

    harness.run(work)


def test_readings_cost_no_wal_and_leave_no_rows(ledger_url: str) -> None:
    """The tables can be lost, and are unlogged; no number outlives its reading."""
    with psycopg.connect(ledger_url) as db:
        kinds = db.execute(
            "SELECT relpersistence FROM pg_class WHERE relname IN ('readings', 'listed_numbers', 'list_questions')"
        ).fetchall()
    assert kinds == [("u",)] * 3
