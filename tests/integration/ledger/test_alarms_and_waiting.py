"""What the ledger tells and keeps for people: alarms that go on, lines that do not, who waits, and since when."""

from dataclasses import replace
from datetime import timedelta

import pytest

from number_orders.ledger.ledger import Ledger
from number_orders.orders.alarms import Alarm
from number_orders.orders.events import (
    Acknowledged,
    Deferred,
    Hurried,
    NotSent,
    Parked,
    StillOpen,
    SubmissionBegun,
    ToldAgain,
    WrittenOff,
)
from number_orders.orders.model import Kind, Lane, NumberResult, NumberState, Order, OrderRequest, State
from number_orders.orders.numbers import E164
from tests.integration.ledger.books import BANDWIDTH, Book
from tests.integration.ledger.test_ledger import MINUTE, RALEIGH, a_request, accepted, claimed, hear
from tests.integration.ledger.test_serial_locks import THEIRS, some_in_line

DURHAM = E164("+19195550101")
HOUR = timedelta(hours=1)


def naming(key: str, *numbers: E164, kind: Kind = Kind.NEW_NUMBERS) -> OrderRequest:
    return OrderRequest(key, BANDWIDTH, kind, numbers=numbers)


def test_a_turn_is_held_by_a_parked_order_at_once_and_by_another_after_a_while(book: Book) -> None:
    """With how many wait, and since when the first of them does; nobody's, once the order has ended."""

    async def work(ledger: Ledger) -> None:
        first, others = await some_in_line(ledger, 3)
        begun = await hear(ledger, first, SubmissionBegun(), Acknowledged(THEIRS))
        assert await ledger.serial_locks.held_for_long(BANDWIDTH, HOUR) == []
        (held,) = await ledger.serial_locks.held_for_long(BANDWIDTH, timedelta(microseconds=-1))
        assert (held.serial_key, held.order_id, held.state, held.waiting) == ("own", first.order_id, State.OPEN, 2)
        assert held.waiting_since == min(order.accepted_at for order in others)
        parked = await hear(ledger, begun, Parked("nobody knows"))
        (held,) = await ledger.serial_locks.held_for_long(BANDWIDTH, HOUR)
        assert (held.order_id, held.state) == (first.order_id, State.PARKED)
        await hear(ledger, parked, WrittenOff("ana", "over"))
        assert await ledger.serial_locks.held_for_long(BANDWIDTH, timedelta(microseconds=-1)) == []

    book.run(work)


def test_what_goes_on_is_one_alarm_that_is_counted_once_in_a_while(book: Book) -> None:
    """Put away by a person, it comes back when that time is over; about another order it is told at once."""

    async def work(ledger: Ledger) -> None:
        one, two = await accepted(ledger, a_request("one")), await accepted(ledger, a_request("two"))

        async def note(order: Order = one, *, detail: str, after: timedelta = HOUR) -> int:
            return await ledger.alarms.note_alarm(
                Alarm.TURN_HELD, "s", carrier=BANDWIDTH, order_id=order.order_id, detail=detail, again_after=after
            )

        assert await note(detail="1 waits") == 1
        assert await note(detail="2 wait") == 1
        (alarm,) = await ledger.alarms.active()
        assert (alarm["detail"], alarm["order_id"], alarm["times"]) == ("2 wait", one.order_id, 1)
        await ledger.alarms.clear()
        assert await note(detail="3 wait") == 1
        assert await ledger.alarms.active() == []
        assert await note(detail="3 wait", after=timedelta(microseconds=-1)) == 2
        assert await note(two, detail="other") == 3
        (alarm,) = await ledger.alarms.active()
        assert (alarm["order_id"], alarm["times"]) == (two.order_id, 3)

    book.run(work)


def test_what_is_over_by_itself_leaves_no_alarm(book: Book) -> None:
    """Of this sort and at this carrier; what still stands, and everything else, stays."""

    async def work(ledger: Ledger) -> None:
        order = await accepted(ledger)
        for subject in ("still", "over"):
            await ledger.alarms.raise_alarm(Alarm.TURN_HELD, subject, carrier=BANDWIDTH)
        await ledger.alarms.raise_alarm(Alarm.OVERDUE, "over", carrier=BANDWIDTH)
        await ledger.alarms.raise_alarm(Alarm.TURN_HELD, "elsewhere", carrier="cm")
        await ledger.alarms.raise_alarm(Alarm.WAITS_FOR_PARKED, "x", carrier=BANDWIDTH, order_id=order.order_id)

        async def standing() -> set[tuple[str, str]]:
            return {(alarm["what"], alarm["subject"]) for alarm in await ledger.alarms.active()}

        await ledger.alarms.drop_alarms(Alarm.TURN_HELD, carrier=BANDWIDTH, keep=["still"])
        await ledger.alarms.drop_alarms_unless(Alarm.WAITS_FOR_PARKED, State.ACCEPTED)
        left = {("turn_held", "still"), ("overdue", "over"), ("turn_held", "elsewhere")}
        assert await standing() == left | {("waits_for_parked", "x")}
        await ledger.alarms.drop_alarms_unless(Alarm.WAITS_FOR_PARKED, State.PARKED)
        assert await standing() == left

    book.run(work)


@pytest.mark.parametrize("kind", [Kind.NEW_NUMBERS, Kind.REMOVE_NUMBERS])
def test_only_a_parked_order_that_is_to_bring_a_number_keeps_it_waiting(book: Book, kind: Kind) -> None:
    """And nobody does once the number is held."""

    async def work(ledger: Ledger) -> None:
        bringer = await accepted(ledger, naming("brings", RALEIGH, DURHAM, kind=kind))
        assert await ledger.numbers.parked_orders_bringing(BANDWIDTH, [DURHAM]) == []
        await hear(ledger, bringer, Parked("nobody knows"))
        expected = [(bringer.order_id, DURHAM)] if kind is Kind.NEW_NUMBERS else []
        assert await ledger.numbers.parked_orders_bringing(BANDWIDTH, [DURHAM]) == expected
        assert await ledger.numbers.parked_orders_bringing(BANDWIDTH, [E164("+19195550199")]) == []
        other = await accepted(ledger, a_request("holds"))
        bought = StillOpen("RECEIVED", (NumberResult(DURHAM, NumberState.ACQUIRED),))
        await hear(ledger, other, SubmissionBegun(), Acknowledged(THEIRS), bought)
        assert await ledger.numbers.parked_orders_bringing(BANDWIDTH, [DURHAM]) == []

    book.run(work)


def test_an_order_is_due_since_its_first_purposeful_wait(book: Book) -> None:
    """Its producer's wish counts, and the first time that a rule held it back; no later one does."""

    async def work(ledger: Ledger) -> None:
        now = await ledger.now()
        plain = await accepted(ledger)
        assert await ledger.history.due_since(plain.order_id) == plain.accepted_at
        wished = await accepted(ledger, replace(a_request("wished"), not_before=now + HOUR))
        assert await ledger.history.due_since(wished.order_id) == now + HOUR
        first, again = now + 2 * HOUR, now + 9 * HOUR
        await hear(
            ledger, wished, SubmissionBegun(), Deferred("tainted", first), SubmissionBegun(), Deferred("x", again)
        )
        assert await ledger.history.due_since(wished.order_id) == first

    book.run(work)


def test_impatience_is_not_what_an_order_was_tried_in_vain_since(book: Book) -> None:
    """Nor is it what moved an order last."""

    async def work(ledger: Ledger) -> None:
        order = await hear(ledger, await accepted(ledger), SubmissionBegun(), NotSent("refused"))
        since = await ledger.history.trying_since(order.order_id)
        await hear(ledger, order, Hurried("ana"), ToldAgain("ana"))
        assert since is not None
        assert await ledger.history.trying_since(order.order_id) == since
        assert await ledger.history.last_moves([order.order_id]) == {order.order_id: "NotSent"}

    book.run(work)


def test_who_waits_for_its_time_is_found_page_by_page(book: Book) -> None:
    """Not what is due, nor what a worker has, nor what stands in line."""

    async def work(ledger: Ledger) -> None:
        for i in range(4):
            await accepted(ledger, a_request(f"k{i}"))
        claims = await claimed(ledger, limit=3)
        ids = sorted(claim.order.order_id for claim in claims.claims)
        await ledger.schedule.postpone(claims, [(order_id, claims.now + MINUTE, "later") for order_id in ids[:2]])

        assert await ledger.schedule.waiting_at(BANDWIDTH, Lane.SUBMIT, after=None, limit=10) == ids[:2]
        assert await ledger.schedule.waiting_at(BANDWIDTH, None, after=ids[0], limit=10) == ids[1:2]
        assert await ledger.schedule.waiting_at(BANDWIDTH, None, after=None, limit=1) == ids[:1]
        assert await ledger.schedule.waiting_at(BANDWIDTH, Lane.TELL, after=None, limit=10) == []

    book.run(work)
