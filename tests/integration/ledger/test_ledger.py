"""The ledger, on a real PostgreSQL and in the simulator's memory: claims are exclusive, steps are whole.

What only PostgreSQL can show, such as constraints against whoever writes, is shown on PostgreSQL alone.
"""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import psycopg
import pytest
from psycopg import errors, sql
from uuid_utils.compat import uuid7

from number_orders.ledger.history import Receipt
from number_orders.ledger.intake import NewOrder
from number_orders.ledger.ledger import Ledger, PostgresLedger
from number_orders.ledger.orders import Recorded
from number_orders.ledger.schedule import Claims
from number_orders.orders.document import document
from number_orders.orders.errors import AlreadyTaken, LedgerUnavailable, UnknownOrder
from number_orders.orders.events import Acknowledged, Event, Filled, NotSent, StillOpen, SubmissionBegun
from number_orders.orders.lifecycle import advance
from number_orders.orders.model import (
    CarrierName,
    CarrierOrderId,
    Criteria,
    Kind,
    Lane,
    Notify,
    NumberResult,
    NumberState,
    Order,
    OrderId,
    OrderRequest,
    State,
    WhenTainted,
)
from number_orders.orders.numbers import E164
from number_orders.orders.policy import CarrierPolicy
from number_orders.orders.serialization import fingerprint
from tests.integration.ledger.books import BANDWIDTH, Book, PostgresBook

POLICY = CarrierPolicy()
MINUTE = timedelta(minutes=1)
RALEIGH = E164("+19196362098")


def a_request(key: str = "crm-1", *, npa: str = "919", notify: Notify | None = None) -> OrderRequest:
    return OrderRequest(key, BANDWIDTH, Kind.NEW_NUMBERS, criteria=Criteria(npa=npa), quantity=1, notify=notify)


def a_new_order(request: OrderRequest | None = None, order_id: OrderId | None = None) -> NewOrder:
    request = request or a_request()
    return NewOrder(order_id or OrderId(uuid7()), "default", request, fingerprint(request))


def a_step(order: Order, event: Event, now: datetime) -> Recorded:
    step = advance(order, event, now=now, policy=POLICY)
    return Recorded(order, step, getattr(event, "numbers", ()))


async def hear(ledger: Ledger, order: Order, *events: Event) -> Order:
    for event in events:
        step = a_step(order, event, await ledger.now())
        assert await ledger.orders.record([step]) == {order.order_id}
        order = step.step.order
    return order


async def accepted(ledger: Ledger, request: OrderRequest | None = None) -> Order:
    new = a_new_order(request)
    await ledger.intake.accept([new])
    return (await ledger.orders.read([new.order_id]))[new.order_id]


async def claimed(ledger: Ledger, lane: Lane = Lane.SUBMIT, *, limit: int = 10, lease: timedelta = MINUTE) -> Claims:
    claims = await ledger.schedule.claim(BANDWIDTH, lane, limit=limit, lease=lease)
    assert claims is not None
    return claims


def test_a_request_is_read_back_as_it_was_written(book: Book) -> None:
    """What the producer asked for survives the ledger, every field of it."""
    request = OrderRequest(
        "k",
        BANDWIDTH,
        Kind.NEW_NUMBERS,
        numbers=(RALEIGH,),
        allow_partial=False,
        allow_backorder=True,
        when_tainted=WhenTainted.SPLIT,
        not_before=datetime.fromisoformat("2026-11-22T10:00:00+00:00"),
        account="sub-1",
        name="Spring <&> campaign ☎",
        notes="zwölf",
        options={"site_id": "743", "auto_activate": True, "reservation_ids": ["a", "b"]},
        notify=Notify(task="crm.told", queue="crm", on=frozenset({State.OPEN, State.COMPLETED})),
    )

    async def work(ledger: Ledger) -> None:
        assert (await accepted(ledger, request)).request == request

    book.run(work)


def test_the_same_key_is_one_order_however_many_race_for_it(book: Book) -> None:
    """Twenty workers accept the same message at once: one order, one work_item."""

    async def work(ledger: Ledger) -> None:
        orders = [a_new_order() for _ in range(20)]
        accepted_by = await asyncio.gather(*(ledger.intake.accept([order]) for order in orders))
        assert sum(len(ids) for ids in accepted_by) == 1
        (taken, *_) = await ledger.intake.find_taken([orders[0]])
        assert taken.key == "crm-1"
        assert len((await claimed(ledger)).claims) == 1

    book.run(work)


def test_an_id_that_is_taken_is_not_written_over(book: Book) -> None:
    """The producer chose an id that stands for another order of its own."""

    async def work(ledger: Ledger) -> None:
        first = a_new_order(a_request("one"))
        await ledger.intake.accept([first])
        assert await ledger.intake.accept([a_new_order(a_request("two"), first.order_id)]) == frozenset()
        assert (await ledger.orders.read([first.order_id]))[first.order_id].request.key == "one"

    book.run(work)


def test_claims_are_exclusive(book: Book) -> None:
    """Many claimers at once: every work_item goes to exactly one of them."""

    async def work(ledger: Ledger) -> None:
        await ledger.intake.accept([a_new_order(a_request(f"k{i}")) for i in range(100)])
        rounds = await asyncio.gather(
            *(ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=7, lease=MINUTE) for _ in range(20))
        )
        ids = [claim.order.order_id for claims in rounds if claims for claim in claims.claims]
        assert len(ids) == len(set(ids)) == 100
        assert await ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=7, lease=MINUTE) is None

    book.run(work)


def test_a_claim_comes_back_when_its_lease_ends(book: Book) -> None:
    """Whoever held it is dead: the next claimer gets it, and the dead one's token is worth nothing."""

    async def work(ledger: Ledger) -> None:
        order = await accepted(ledger)
        dead = await claimed(ledger, lease=MINUTE)
        assert await ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=1, lease=MINUTE) is None
        await book.passes(MINUTE)
        alive = await claimed(ledger)
        assert [claim.attempts for claim in alive.claims] == [2]
        await ledger.schedule.release(dead, [order.order_id])  # too late: nothing happens
        assert await ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=1, lease=MINUTE) is None

    book.run(work)


def test_whoever_has_just_looked_may_leave_out_what_is_older(book: Book) -> None:
    """It is spared the way past what was claimed before; the next who looks from the start finds what it left out."""

    async def work(ledger: Ledger) -> None:
        old = await accepted(ledger, a_request("old"))
        await book.passes(10 * MINUTE)
        new = await accepted(ledger, a_request("new"))
        now = await ledger.now()
        claims = await ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=10, lease=MINUTE, since=now - MINUTE)
        assert claims is not None
        assert [claim.order.order_id for claim in claims.claims] == [new.order_id]
        assert claims.reached is not None
        assert now - MINUTE < claims.reached <= now
        assert await ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=10, lease=MINUTE, since=now - MINUTE) is None
        assert [claim.order.order_id for claim in (await claimed(ledger)).claims] == [old.order_id]

    book.run(work)


def test_released_and_postponed_debts_are_due_again_when_they_should_be(book: Book) -> None:
    """Released: at once, and as if never claimed. Postponed: later, and the attempt counts."""

    async def work(ledger: Ledger) -> None:
        order = await accepted(ledger)
        claims = await claimed(ledger)
        await ledger.schedule.release(claims, [order.order_id])
        again = await claimed(ledger)
        assert [claim.attempts for claim in again.claims] == [1]
        await ledger.schedule.postpone(again, [(order.order_id, again.now + MINUTE, "wait a little")])
        assert await ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=1, lease=MINUTE) is None
        story = await ledger.history.story(order.order_id)
        assert [(work_item.lane, work_item.reason, work_item.in_hand) for work_item in story.work_items] == [
            (Lane.SUBMIT, "wait a little", False)
        ]
        await book.passes(MINUTE)
        assert [claim.attempts for claim in (await claimed(ledger)).claims] == [2]

    book.run(work)


def test_a_step_is_written_whole(book: Book) -> None:
    """Event, state, numbers, holdings, work_items: all of them, in one statement."""

    async def work(ledger: Ledger) -> None:
        order = await accepted(ledger)
        order = await hear(ledger, order, SubmissionBegun(), Acknowledged(CarrierOrderId("c-1"), "RECEIVED"))
        got = (NumberResult(RALEIGH, NumberState.ACQUIRED),)
        order = await hear(ledger, order, Filled("COMPLETE", got))
        story = await ledger.history.story(order.order_id)
        assert story.order.state is State.COMPLETED
        assert story.order.ended_at is not None
        assert story.numbers == got
        assert story.work_items == ()
        assert [event["event"] for event in story.events] == [
            "OrderAccepted",
            "SubmissionBegun",
            "Acknowledged",
            "Filled",
        ]

    book.run(work)


def test_the_question_is_owed_in_the_same_breath_as_the_sending(book: Book) -> None:
    """From SUBMITTING on, an ask stands in the ledger: a worker that dies now leaves a question, not a hole."""

    async def work(ledger: Ledger) -> None:
        order = await hear(ledger, await accepted(ledger), SubmissionBegun())
        (work_item,) = (await ledger.history.story(order.order_id)).work_items
        assert work_item.lane is Lane.ASK
        assert work_item.not_before > await ledger.now() + POLICY.answer_within - timedelta(seconds=5)

    book.run(work)


def test_an_order_that_moved_on_is_not_moved_by_old_news(book: Book) -> None:
    """The version guards every move; of two steps from the same reading, one is written."""

    async def work(ledger: Ledger) -> None:
        order = await accepted(ledger)
        now = await ledger.now()
        steps = [a_step(order, SubmissionBegun(), now) for _ in range(10)]
        done = await asyncio.gather(*(ledger.orders.record([step]) for step in steps))
        assert sum(len(ids) for ids in done) == 1
        assert (await ledger.orders.read([order.order_id]))[order.order_id].version == 1

    book.run(work)


def test_of_a_group_only_the_stale_are_left_out(book: Book) -> None:
    """One stale order in a group costs the others nothing."""

    async def work(ledger: Ledger) -> None:
        first, second = await accepted(ledger, a_request("a")), await accepted(ledger, a_request("b"))
        await hear(ledger, first, SubmissionBegun())
        now = await ledger.now()
        steps = [a_step(first, SubmissionBegun(), now), a_step(second, SubmissionBegun(), now)]
        assert await ledger.orders.record(steps) == {second.order_id}

    book.run(work)


def test_one_carrier_order_belongs_to_one_order(book: Book) -> None:
    """Two of our orders cannot claim the same purchase; nothing of the group is written."""

    async def work(ledger: Ledger) -> None:
        orders = [await hear(ledger, await accepted(ledger, a_request(k)), SubmissionBegun()) for k in ("a", "b")]
        now = await ledger.now()
        steps = [a_step(order, Acknowledged(CarrierOrderId("c-1")), now) for order in orders]
        with pytest.raises(AlreadyTaken, match="one_order_per_carrier_order"):
            await ledger.orders.record(steps)
        states = {order.state for order in (await ledger.orders.read([order.order_id for order in orders])).values()}
        assert states == {State.SUBMITTING}

    book.run(work)


def test_a_number_is_held_once_and_a_second_purchase_is_noticed(book: Book) -> None:
    """The carrier says that two orders got the same number: both stories are kept, one holds it, somebody is told."""

    async def work(ledger: Ledger) -> None:
        got = (NumberResult(RALEIGH, NumberState.ACQUIRED),)
        orders = []
        for key in ("a", "b"):
            order = await accepted(ledger, a_request(key))
            events = (SubmissionBegun(), Acknowledged(CarrierOrderId(key)), Filled("COMPLETE", got))
            orders.append(await hear(ledger, order, *events))
        assert await ledger.numbers.held_elsewhere([(orders[1].order_id, RALEIGH)]) == [(RALEIGH, orders[0].order_id)]
        assert await ledger.numbers.held_elsewhere([(orders[0].order_id, RALEIGH)]) == []

    book.run(work)


def released(*numbers: E164) -> Filled:
    return Filled("COMPLETE", tuple(NumberResult(number, NumberState.RELEASED) for number in numbers))


def test_a_number_that_is_given_up_is_held_no_more_and_can_be_acquired_again(book: Book) -> None:
    """Bought, removed, bought again: two holdings, the first closed by the removal."""

    async def work(ledger: Ledger) -> None:
        got = Filled("COMPLETE", (NumberResult(RALEIGH, NumberState.ACQUIRED),))
        last: Order | None = None
        for key, end in (("buy", got), ("remove", released(RALEIGH)), ("buy again", got)):
            order = await accepted(ledger, a_request(key))
            last = await hear(ledger, order, SubmissionBegun(), Acknowledged(CarrierOrderId(key)), end)
        assert last is not None
        assert await ledger.numbers.held_elsewhere([(last.order_id, RALEIGH)]) == []
        assert await book.holdings() == [
            (RALEIGH, "buy", "remove", False),
            (RALEIGH, "buy again", None, True),
        ]

    book.run(work)


def test_a_number_given_up_and_bought_in_one_group_is_held_by_who_bought_it(book: Book) -> None:
    """Both ends are recorded in one statement, in either order; the purchase is the later of the two."""

    async def work(ledger: Ledger) -> None:
        got = Filled("COMPLETE", (NumberResult(RALEIGH, NumberState.ACQUIRED),))
        first = await accepted(ledger, a_request("buy"))
        await hear(ledger, first, SubmissionBegun(), Acknowledged(CarrierOrderId("buy")), got)
        steps = []
        for key, end in (("buy again", got), ("remove", released(RALEIGH))):
            order = await accepted(ledger, a_request(key))
            order = await hear(ledger, order, SubmissionBegun(), Acknowledged(CarrierOrderId(key)))
            steps.append(a_step(order, end, await ledger.now()))
        assert len(await ledger.orders.record(steps)) == 2
        assert (await book.holdings())[1:] == [(RALEIGH, "buy again", None, True)]

    book.run(work)


def test_a_number_given_up_before_its_purchase_has_ended_is_not_held_again_by_that_end(book: Book) -> None:
    """The purchase tells its numbers as they come, one is removed, and then the end tells them all once more."""

    async def work(ledger: Ledger) -> None:
        got = (NumberResult(RALEIGH, NumberState.ACQUIRED),)
        bought = await accepted(ledger, a_request("buy"))
        bought = await hear(ledger, bought, SubmissionBegun(), Acknowledged(CarrierOrderId("buy")))
        bought = await hear(ledger, bought, StillOpen("BACKORDERED", numbers=got))
        gone = await accepted(ledger, a_request("remove"))
        await hear(ledger, gone, SubmissionBegun(), Acknowledged(CarrierOrderId("remove")), released(RALEIGH))
        await hear(ledger, bought, Filled("COMPLETE", got))
        assert await book.holdings() == [(RALEIGH, "buy", "remove", False)]

    book.run(work)


def test_giving_up_what_nobody_holds_here_changes_no_holding(book: Book) -> None:
    """A number that was bought elsewhere, or is held at another carrier under the same digits, and one that failed."""

    async def work(ledger: Ledger) -> None:
        other = E164("+19196362099")
        order = await accepted(ledger, replace(a_request("buy"), carrier=CarrierName("acme")))
        got = Filled("COMPLETE", (NumberResult(RALEIGH, NumberState.ACQUIRED),))
        await hear(ledger, order, SubmissionBegun(), Acknowledged(CarrierOrderId("buy")), got)
        order = await accepted(ledger, a_request("remove"))
        order = await hear(ledger, order, SubmissionBegun(), Acknowledged(CarrierOrderId("remove")))
        await hear(ledger, order, released(RALEIGH, other))
        assert await book.holdings() == [(RALEIGH, "buy", None, True)]

    book.run(work)


def test_a_debt_owed_anew_takes_the_lease_from_whoever_holds_it(book: Book) -> None:
    """A step replaces what was owed, so an old claim cannot postpone the new work_item."""

    async def work(ledger: Ledger) -> None:
        order = await hear(ledger, await accepted(ledger), SubmissionBegun(), Acknowledged(CarrierOrderId("c-1")))
        await book.make_due()
        old = await claimed(ledger, Lane.ASK)
        await hear(ledger, order, StillOpen("PROCESSING"))
        await ledger.schedule.postpone(old, [(order.order_id, old.now + timedelta(days=9), "never")])
        (work_item,) = (await ledger.history.story(order.order_id)).work_items
        assert work_item.not_before < await ledger.now() + timedelta(minutes=1)

    book.run(work)


def test_an_attempt_that_was_not_sent_is_owed_again(book: Book) -> None:
    """Back to ACCEPTED: the ask is gone, the submission is owed, and nothing else."""

    async def work(ledger: Ledger) -> None:
        order = await hear(ledger, await accepted(ledger), SubmissionBegun(), NotSent("connection refused"))
        (work_item,) = (await ledger.history.story(order.order_id)).work_items
        assert (work_item.lane, work_item.reason) == (Lane.SUBMIT, "connection refused")

    book.run(work)


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("state = 'DONE'", "orders_state_check"),
        ("state = 'COMPLETED'", "ended_means_final"),
        ("ended_at = now()", "ended_means_final"),
        ("state = 'OPEN'", "open_means_known"),
        ("state = 'IN_DOUBT'", "doubt_has_a_beginning"),
        ("losses = 1", "sent_before_lost"),
    ],
)
def test_a_row_that_lies_is_refused(ledger_url: str, change: str, constraint: str) -> None:
    """Whoever writes to the ledger, these cannot be written."""

    async def work(ledger: Ledger) -> None:
        await accepted(ledger)
        with psycopg.connect(ledger_url) as db, pytest.raises(errors.CheckViolation, match=constraint):
            db.execute(sql.SQL("UPDATE orders SET ") + sql.SQL(change))

    PostgresBook(ledger_url).run(work)


def test_tellings_go_out_in_order_and_are_paid_once(book: Book) -> None:
    """Two states to tell of: both documents, in order; then nothing is owed."""
    notify = Notify("crm.told", "crm", on=frozenset({State.OPEN, State.COMPLETED}))

    async def work(ledger: Ledger) -> None:
        order = await accepted(ledger, a_request(notify=notify))
        for event in (SubmissionBegun(), Acknowledged(CarrierOrderId("c-1")), Filled("COMPLETE", ())):
            step = replace(a_step(order, event, await ledger.now()), notification={"state": "x"}, channels=("task",))
            tells = any(effect.lane is Lane.TELL for effect in step.step.effects)
            await ledger.orders.record([step if tells else replace(step, notification=None, channels=())])
            order = step.step.order
        claims = await claimed(ledger, Lane.TELL)
        untold = await ledger.outbox.pending([order.order_id], "task")
        assert [telling.version for telling in untold] == [2, 3]
        await ledger.outbox.mark_delivered(claims, claims.claims, untold, "task")
        assert await ledger.outbox.pending([order.order_id], "task") == []
        assert (await ledger.history.story(order.order_id)).work_items == ()

    book.run(work)


def test_what_is_owed_while_telling_is_told_next(book: Book) -> None:
    """A document that comes in while its order is being told is neither lost nor overtakes the earlier."""
    notify = Notify("crm.told", "crm", on=frozenset({State.OPEN, State.COMPLETED}))

    async def work(ledger: Ledger) -> None:
        order = await accepted(ledger, a_request(notify=notify))
        order = await hear(ledger, order, SubmissionBegun())

        async def tell(event: Event, order: Order) -> Order:
            step = replace(a_step(order, event, await ledger.now()), notification={"v": 1}, channels=("task",))
            await ledger.orders.record([step])
            return step.step.order

        order = await tell(Acknowledged(CarrierOrderId("c-1")), order)
        claims = await claimed(ledger, Lane.TELL)
        first = await ledger.outbox.pending([order.order_id], "task")
        await tell(Filled("COMPLETE", ()), order)
        assert await ledger.schedule.claim(BANDWIDTH, Lane.TELL, limit=1, lease=MINUTE) is None  # nobody overtakes
        await ledger.outbox.mark_delivered(claims, claims.claims, first, "task")
        await ledger.schedule.release(claims, [order.order_id])
        claims = await claimed(ledger, Lane.TELL)
        assert [telling.version for telling in await ledger.outbox.pending([order.order_id], "task")] == [3]
        await ledger.outbox.mark_delivered(
            claims, claims.claims, await ledger.outbox.pending([order.order_id], "task"), "task"
        )

    book.run(work)


def test_alarms_are_one_per_matter_and_counted(book: Book) -> None:
    """The same matter again is the same alarm, seen twice."""

    async def work(ledger: Ledger) -> None:
        assert await ledger.alarms.raise_alarm("status_never_heard_of", "bandwidth:PONDERING") == 1
        assert await ledger.alarms.raise_alarm("status_never_heard_of", "bandwidth:PONDERING", detail="again") == 2
        (alarm,) = await ledger.alarms.active()
        assert (alarm["times"], alarm["detail"]) == (2, "again")

    book.run(work)


def test_receipts_are_kept_and_forgotten(book: Book) -> None:
    """What passed between us and the carrier is there for a while."""

    async def work(ledger: Ledger) -> None:
        order = await accepted(ledger)
        receipt = Receipt(order.order_id, "POST /orders", 34, 201, None, "<Order/>", "<Ok/>")
        await ledger.history.keep_receipts([receipt] * 3)
        assert [row["request"] for row in (await ledger.history.story(order.order_id)).receipts] == ["POST /orders"] * 3
        await ledger.history.forget_receipts(timedelta(days=1))
        assert len((await ledger.history.story(order.order_id)).receipts) == 3
        await ledger.history.forget_receipts(timedelta(seconds=-1), at_once=1)
        assert (await ledger.history.story(order.order_id)).receipts == ()

    book.run(work)


def test_an_unknown_order_is_said_to_be_unknown(book: Book) -> None:
    """No row, no story."""

    async def work(ledger: Ledger) -> None:
        with pytest.raises(UnknownOrder, match="no order"):
            await ledger.history.story(OrderId(uuid7()))

    book.run(work)


def test_a_connection_that_died_idle_is_replaced(ledger_url: str) -> None:
    """PostgreSQL ended our sessions; the next statement works all the same."""

    async def work(ledger: Ledger) -> None:
        await accepted(ledger)
        with psycopg.connect(ledger_url, autocommit=True) as db:
            db.execute("""SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                          WHERE datname = current_database() AND application_name = 'number-orders'""")
        assert len((await claimed(ledger)).claims) == 1

    PostgresBook(ledger_url).run(work)


def test_a_ledger_that_is_not_there_says_so() -> None:
    """No server: a passing error, which callers know how to wait for."""

    async def work() -> None:
        async with PostgresLedger.at("postgresql://nobody@127.0.0.1:1/none", wait_s=0.3) as ledger:
            with pytest.raises(LedgerUnavailable):
                await ledger.now()

    asyncio.run(work())


def test_a_telling_writes_moments_as_the_document_does(book: Book) -> None:
    """What is told and what is asked for are the same to the last digit, also when the last digits are noughts."""
    notify = Notify("crm.told", "crm", on=frozenset({State.COMPLETED}))

    async def work(ledger: Ledger) -> None:
        order = await accepted(ledger, a_request(notify=notify))
        order = await hear(ledger, order, SubmissionBegun(), Acknowledged(CarrierOrderId("c-1")))
        step = a_step(order, Filled("COMPLETE", ()), await ledger.now())
        await ledger.orders.record([replace(step, notification=document(step.step.order, ()), channels=("task",))])
        (telling,) = await ledger.outbox.pending([order.order_id], "task")
        assert telling.document == document((await ledger.orders.read([order.order_id]))[order.order_id], ())

    book.run(work)
