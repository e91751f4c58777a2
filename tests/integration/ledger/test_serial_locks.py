"""Turns, steps kept under way, and what is recalled of numbers: what adapters of several steps stand on."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from uuid_utils.compat import uuid7

from number_orders.ledger.ledger import Ledger
from number_orders.ledger.schedule import Claims
from number_orders.orders.events import (
    Acknowledged,
    CancelAsked,
    Deferred,
    Event,
    Filled,
    NotSent,
    StillOpen,
    SubmissionBegun,
)
from number_orders.orders.model import (
    CarrierOrderId,
    Kind,
    Lane,
    NumberResult,
    NumberState,
    Order,
    OrderId,
    OrderRequest,
    State,
)
from number_orders.orders.numbers import E164
from tests.integration.ledger.books import BANDWIDTH, Book, PostgresBook
from tests.integration.ledger.test_ledger import (
    MINUTE,
    RALEIGH,
    a_new_order,
    a_request,
    a_step,
    accepted,
    claimed,
    hear,
)

DURHAM = E164("+19195550101")
HOUR = timedelta(hours=1)
THEIRS = CarrierOrderId("01J")


async def turns(ledger: Ledger, claims: Claims, key: str = "own", *, at_most: timedelta = HOUR) -> set[OrderId]:
    """Let every claimed order try for the same turn."""
    wanted = {claim.order.order_id: key for claim in claims.claims}
    return set(await ledger.serial_locks.take(claims, wanted, carrier=BANDWIDTH, at_most=at_most))


async def some_in_line(ledger: Ledger, count: int) -> tuple[Order, list[Order]]:
    """Return the order that has the turn, and the others in the order they came."""
    orders = [await accepted(ledger, a_request(f"k{i}")) for i in range(count)]
    (first,) = await turns(ledger, await claimed(ledger))
    assert first == orders[0].order_id
    return orders[0], orders[1:]


def test_of_many_that_cannot_be_told_apart_one_goes_at_a_time(book: Book) -> None:
    """The oldest has the turn; the others wait for it, and say for whom."""

    async def work(ledger: Ledger) -> None:
        first, others = await some_in_line(ledger, 4)
        assert await ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=10, lease=MINUTE) is None
        for other in others:
            (work_item,) = (await ledger.history.story(other.order_id)).work_items
            assert work_item.reason == f"waits for order {first.order_id}: they could not be told apart at the carrier"
            assert not work_item.in_hand

    book.run(work)


def test_many_workers_take_one_turn(book: Book) -> None:
    """Ten at once, each with an order of its own: one of them may begin."""

    async def work(ledger: Ledger) -> None:
        for i in range(10):
            await accepted(ledger, a_request(f"k{i}"))
        claims = [await claimed(ledger, limit=1) for _ in range(10)]
        won = await asyncio.gather(*(turns(ledger, claim) for claim in claims))
        assert sum(map(len, won)) == 1

    book.run(work)


def test_a_turn_once_taken_may_be_taken_again_by_the_same_order(book: Book) -> None:
    """Its worker died between the turn and the beginning."""

    async def work(ledger: Ledger) -> None:
        order = await accepted(ledger)
        claims = await claimed(ledger)
        assert await turns(ledger, claims) == {order.order_id}
        assert await turns(ledger, claims) == {order.order_id}

    book.run(work)


def test_whoever_has_the_turn_keeps_it_although_an_older_order_asks(book: Book) -> None:
    """Its worker died before the beginning, and both are claimed at once: one of them goes, for ever waits nobody."""

    async def work(ledger: Ledger) -> None:
        ids = sorted(OrderId(uuid7()) for _ in range(2))
        orders = [a_new_order(a_request(f"k{i}"), order_id) for i, order_id in enumerate(ids)]
        await ledger.intake.accept([orders[1]])
        assert await turns(ledger, await claimed(ledger)) == {ids[1]}
        await ledger.intake.accept([orders[0]])
        await book.make_due()
        assert await turns(ledger, await claimed(ledger)) == {ids[1]}

    book.run(work)


def test_turns_of_other_keys_are_nobodys_business(book: Book) -> None:
    """Two accounts, two orders, both go."""

    async def work(ledger: Ledger) -> None:
        one, two = await accepted(ledger, a_request("one")), await accepted(ledger, a_request("two"))
        claims = await claimed(ledger)
        wanted = {one.order_id: "a", two.order_id: "b"}
        assert await ledger.serial_locks.take(claims, wanted, carrier=BANDWIDTH, at_most=HOUR) == wanted.keys()

    book.run(work)


ENDING = [
    pytest.param([Filled("COMPLETED", ())], id="ended"),
    pytest.param([NotSent("connection refused")], id="not sent"),
    pytest.param([Acknowledged(THEIRS), StillOpen("COMPLETED", alone=False)], id="told apart"),
]


@pytest.mark.parametrize("events", ENDING)
def test_the_next_in_line_is_woken_when_the_turn_ends(book: Book, events: list[Event]) -> None:
    """At once, in the order they came, one of them."""

    async def work(ledger: Ledger) -> None:
        first, (second, third) = await some_in_line(ledger, 3)
        begun = await hear(ledger, first, SubmissionBegun())
        assert await ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=10, lease=MINUTE) is None
        await hear(ledger, begun, *events)
        woken = await claimed(ledger)
        assert [claim.order.order_id for claim in woken.claims] == [second.order_id]
        assert await turns(ledger, woken) == {second.order_id}
        assert third.order_id not in {claim.order.order_id for claim in woken.claims}

    book.run(work)


@pytest.mark.parametrize("events", [[], [Acknowledged(THEIRS)], [Acknowledged(THEIRS), StillOpen("COMPLETED")]])
def test_nobody_is_woken_before(book: Book, events: list[Event]) -> None:
    """As long as what the carrier shows next may be the first order's."""

    async def work(ledger: Ledger) -> None:
        first, _ = await some_in_line(ledger, 2)
        await hear(ledger, first, SubmissionBegun(), *events)
        assert await ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=10, lease=MINUTE) is None

    book.run(work)


def test_who_leaves_the_line_in_the_same_breath_is_not_woken(book: Book) -> None:
    """The turn ends and the next in line is called back in one group: the one behind it goes."""

    async def work(ledger: Ledger) -> None:
        first, (second, third) = await some_in_line(ledger, 3)
        begun = await hear(ledger, first, SubmissionBegun())
        now = await ledger.now()
        group = [a_step(begun, Filled("COMPLETED", ()), now), a_step(second, CancelAsked("crm"), now)]
        assert await ledger.orders.record(group) == {first.order_id, second.order_id}
        assert (await ledger.history.story(second.order_id)).work_items == ()
        assert [claim.order.order_id for claim in (await claimed(ledger)).claims] == [third.order_id]

    book.run(work)


def test_whoever_is_called_back_with_the_turn_in_hand_gives_it_on(book: Book) -> None:
    """It had taken its turn and not begun."""

    async def work(ledger: Ledger) -> None:
        first, (second,) = await some_in_line(ledger, 2)
        await hear(ledger, first, CancelAsked("crm"))
        assert [claim.order.order_id for claim in (await claimed(ledger)).claims] == [second.order_id]

    book.run(work)


def test_a_turn_taken_for_an_order_that_has_ended_is_free(book: Book) -> None:
    """Called back between the claim and the turn, or ended while the worker slept: nobody would ever give it on."""

    async def work(ledger: Ledger) -> None:
        first = await accepted(ledger, a_request("first"))
        claims = await claimed(ledger)
        await hear(ledger, first, CancelAsked("crm"))
        assert await turns(ledger, claims) == {first.order_id}
        second = await accepted(ledger, a_request("second"))
        assert await turns(ledger, await claimed(ledger)) == {second.order_id}
        third = await accepted(ledger, a_request("third"))
        assert third.order_id not in await turns(ledger, await claimed(ledger))

    book.run(work)


def test_whoever_finds_the_turn_free_when_standing_in_line_need_not_wait(ledger_url: str) -> None:
    """It was given back between the try and the standing, so nobody will wake anybody."""

    async def work(ledger: Ledger) -> None:
        await some_in_line(ledger, 2)
        with psycopg.connect(ledger_url, autocommit=True) as db:
            db.execute("UPDATE owed SET not_before = now(), lease_token = NULL")
            claims = await claimed(ledger)
            db.execute(
                "CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN DELETE FROM turns; RETURN NULL; END $$;"
                "CREATE TRIGGER leave AFTER INSERT ON turns EXECUTE FUNCTION leave()"
            )
            await turns(ledger, claims)
            db.execute("DROP TRIGGER leave ON turns")
        assert await ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=10, lease=MINUTE) is not None

    PostgresBook(ledger_url).run(work)


def test_nobody_stands_in_line_for_ever(book: Book) -> None:
    """Should the waking be lost, time wakes."""

    async def work(ledger: Ledger) -> None:
        first, others = await some_in_line(ledger, 2)
        await book.make_due()
        again = await claimed(ledger)
        assert await turns(ledger, again) == {first.order_id}
        assert others[0].order_id in {claim.order.order_id for claim in again.claims}

    book.run(work)


def test_steps_are_kept_while_the_order_stands_where_it_stood(book: Book) -> None:
    """They are there for whoever goes on after a crash, and no later step loses them."""

    async def work(ledger: Ledger) -> None:
        begun = await hear(ledger, await accepted(ledger), SubmissionBegun())
        assert await ledger.orders.keep_progress(begun, {"cart_id": "01J"})
        kept = replace(begun, progress={"cart_id": "01J"})
        assert await ledger.orders.keep_progress(kept, {"cart_id": "01J", "requested": True})
        await hear(ledger, begun, Acknowledged(THEIRS))
        kept = (await ledger.orders.read([begun.order_id]))[begun.order_id]
        assert (kept.state, kept.progress) == (State.OPEN, {"cart_id": "01J", "requested": True})

    book.run(work)


def test_who_was_given_up_keeps_nothing(book: Book) -> None:
    """The order has moved on; a cart of the old attempt must not appear in it any more."""

    async def work(ledger: Ledger) -> None:
        begun = await hear(ledger, await accepted(ledger), SubmissionBegun())
        await hear(ledger, begun, NotSent("gave up"))
        assert not await ledger.orders.keep_progress(begun, {"cart_id": "01J"})
        assert (await ledger.orders.read([begun.order_id]))[begun.order_id].progress == {}

    book.run(work)


def test_of_two_who_ask_at_once_the_later_does_not_undo_what_the_other_kept(book: Book) -> None:
    """One slept past its lease; the order stands where it stood, and its steps do not."""

    async def work(ledger: Ledger) -> None:
        order = await hear(ledger, await accepted(ledger), SubmissionBegun(), Acknowledged(THEIRS))
        assert await ledger.orders.keep_progress(order, {"found": [RALEIGH]})
        assert await ledger.orders.keep_progress(order, {"found": [RALEIGH]})  # tried again: the connection broke
        assert not await ledger.orders.keep_progress(order, {"looks": 1})
        assert (await ledger.orders.read([order.order_id]))[order.order_id].progress == {"found": [RALEIGH]}

    book.run(work)


def test_a_deferred_attempts_steps_are_dropped(book: Book) -> None:
    """The next attempt makes its own; the numbers that wait say what they wait for."""

    async def work(ledger: Ledger) -> None:
        begun = await hear(ledger, await accepted(ledger), SubmissionBegun())
        await ledger.orders.keep_progress(begun, {"cart_id": "01J"})
        waits = NumberResult(RALEIGH, NumberState.REQUESTED, "TAINTED", "until 12:31")
        later = await ledger.now() + HOUR
        await hear(ledger, begun, Deferred("tainted", later, (waits,)))  # read before anything was kept
        story = await ledger.history.story(begun.order_id)
        assert (story.order.state, story.order.progress, story.numbers) == (State.ACCEPTED, {}, (waits,))
        assert [(work_item.lane, work_item.not_before) for work_item in story.work_items] == [(Lane.SUBMIT, later)]

    book.run(work)


def naming(key: str, *numbers: E164, kind: Kind = Kind.ADD_MESSAGING_NUMBERS) -> OrderRequest:
    return OrderRequest(key, BANDWIDTH, kind, numbers=numbers)


async def known(ledger: Ledger, order: Order, *numbers: E164) -> dict[E164, tuple[bool, bool, bool]]:
    """Return for each number whether it is held, by another order, and whether another order is to bring it."""
    _, found = await ledger.numbers.recall(order, numbers)
    return {n.e164: (n.held_since is not None, n.held_by not in {None, order.order_id}, n.named) for n in found}


def test_what_is_known_of_numbers_is_recalled(book: Book) -> None:
    """Held by this order, held by another, to be brought by an unfinished one, and never heard of."""

    async def work(ledger: Ledger) -> None:
        got = Filled("COMPLETED", (NumberResult(RALEIGH, NumberState.ACQUIRED),))
        buyer = await hear(ledger, await accepted(ledger, naming("buyer", RALEIGH)), SubmissionBegun(), got)
        await accepted(ledger, naming("unfinished", DURHAM))
        remover = await accepted(ledger, naming("remover", RALEIGH, DURHAM, kind=Kind.REMOVE_NUMBERS))
        strange = E164("+19195550199")
        assert await known(ledger, buyer, RALEIGH) == {RALEIGH: (True, False, False)}
        assert await known(ledger, remover, RALEIGH, DURHAM, strange) == {
            RALEIGH: (True, True, False),
            DURHAM: (False, False, True),
            strange: (False, False, False),
        }
        now, nothing = await ledger.numbers.recall(remover, [])
        assert (abs(now - await ledger.now()) < MINUTE, nothing) == (True, [])

    book.run(work)


def test_what_was_given_up_is_not_held_and_removals_bring_nothing(book: Book) -> None:
    """Another removal that names the number is no reason to expect it."""

    async def work(ledger: Ledger) -> None:
        got = Filled("COMPLETED", (NumberResult(RALEIGH, NumberState.ACQUIRED),))
        gone = Filled("COMPLETED", (NumberResult(RALEIGH, NumberState.RELEASED),))
        await hear(ledger, await accepted(ledger, naming("buyer", RALEIGH)), SubmissionBegun(), got)
        remover = await accepted(ledger, naming("remover", RALEIGH, kind=Kind.REMOVE_NUMBERS))
        await accepted(ledger, naming("other", RALEIGH, kind=Kind.REMOVE_NUMBERS))
        await hear(ledger, remover, SubmissionBegun(), gone)
        assert await known(ledger, a_stranger(), RALEIGH) == {RALEIGH: (False, False, False)}

    book.run(work)


def a_stranger() -> Order:
    new = a_new_order(a_request("stranger"))
    return Order(new.order_id, new.request, accepted_at=datetime.fromtimestamp(0, UTC))
