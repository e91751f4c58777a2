"""A producer orders no more numbers than its budget allows, and gets back what was not bought."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from number_orders.ledger.allowances import Limit
from number_orders.ledger.intake import NewOrder, Stored
from number_orders.ledger.ledger import Ledger
from number_orders.orders.budget import Above, Span
from number_orders.orders.events import Acknowledged, Filled, SentAgain, SubmissionBegun, WrittenOff
from number_orders.orders.model import (
    CarrierName,
    CarrierOrderId,
    Criteria,
    Kind,
    NumberResult,
    NumberState,
    OrderRequest,
    State,
)
from tests.integration.ledger.examples import DURHAM, HOUR, RALEIGH, a_named_request, a_new_order, a_step, claim_due
from tests.integration.ledger.harness import BANDWIDTH, LedgerHarness

SWIFT = CarrierName("swift")
MINUTE = timedelta(minutes=1)


def an_order(key: str, numbers: int, *, carrier: CarrierName = BANDWIDTH, producer: str = "crm") -> NewOrder:
    request = OrderRequest(key, carrier, Kind.NEW_NUMBERS, criteria=Criteria(npa="919"), quantity=numbers)
    return replace(a_new_order(request), producer=producer, reference=f"{producer}-{key}")


async def outcomes(ledger: Ledger, *orders: NewOrder, default: int | None = None) -> list[str]:
    """Store orders together; return what became of each."""
    return in_words(await ledger.intake.accept(orders, numbers_per_hour=default), orders)


def in_words(stored: Stored, orders: Sequence[NewOrder]) -> list[str]:
    return [
        stored.states.get(order.order_id) or ("refused" if order.order_id in stored.over_budget else "taken")
        for order in orders
    ]


async def taken(ledger: Ledger, producer: str = "crm") -> dict[tuple[str | None, str], int | None]:
    return {(row.carrier, row.span): row.taken for row in await ledger.allowances.read(producer)}


def test_orders_above_the_hour_are_refused_and_later_smaller_ones_still_fit(harness: LedgerHarness) -> None:
    """In one statement, each order takes its numbers in turn; one that does not fit leaves them to the others."""

    async def work(ledger: Ledger) -> None:
        await ledger.allowances.set_limits("crm", [Limit(Span.HOUR, 100)])
        orders = [an_order("a", 60), an_order("b", 50), an_order("c", 40), an_order("d", 1)]
        assert await outcomes(ledger, *orders) == ["ACCEPTED", "refused", "ACCEPTED", "refused"]
        assert await taken(ledger) == {(None, "hour"): 100}
        stored = await ledger.intake.accept([again := an_order("e", 7)])
        why = stored.over_budget[again.order_id]
        assert why.startswith("7 numbers are more than the 0 left of 100 per hour until ")
        assert await ledger.orders.read([again.order_id, orders[1].order_id]) == {}

    harness.run(work)


def test_next_hour_begins_with_its_first_order(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        await ledger.allowances.set_limits("crm", [Limit(Span.HOUR, 10), Limit(Span.DAY, 15)])
        assert await outcomes(ledger, an_order("a", 10), an_order("b", 1)) == ["ACCEPTED", "refused"]
        await harness.advance(HOUR + MINUTE)
        assert await taken(ledger) == {(None, "hour"): 0, (None, "day"): 10}
        assert await outcomes(ledger, an_order("b", 6), an_order("c", 5)) == ["refused", "ACCEPTED"]
        await harness.advance(23 * HOUR)
        assert await outcomes(ledger, an_order("b", 10)) == ["ACCEPTED"]

    harness.run(work)


def test_limits_of_orders_and_of_a_carrier(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        limits = [Limit(Span.ORDER, 50), Limit(Span.HOUR, 60, BANDWIDTH), Limit(Span.ORDER, 5, SWIFT)]
        await ledger.allowances.set_limits("crm", limits)
        orders = [an_order("a", 51), an_order("b", 50), an_order("c", 11), an_order("d", 10)]
        orders += [an_order("e", 5, carrier=SWIFT), an_order("f", 6, carrier=SWIFT)]
        assert await outcomes(ledger, *orders) == ["refused", "ACCEPTED", "refused", "ACCEPTED", "ACCEPTED", "refused"]
        why = (await ledger.intake.accept([last := an_order("g", 6, carrier=SWIFT)])).over_budget[last.order_id]
        assert why == "6 numbers are more than 5, the most in an order at swift"
        assert (await taken(ledger))["bandwidth", "hour"] == 60

    harness.run(work)


def test_order_sent_again_takes_nothing_and_is_not_refused(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        await ledger.allowances.set_limits("crm", [Limit(Span.HOUR, 10)])
        assert await outcomes(ledger, an_order("a", 10)) == ["ACCEPTED"]
        assert await outcomes(ledger, an_order("a", 10), an_order("b", 1)) == ["taken", "refused"]
        assert await taken(ledger) == {(None, "hour"): 10}

    harness.run(work)


def test_key_that_comes_twice_at_once_counts_once(harness: LedgerHarness) -> None:
    """Whether the first of its orders is stored, parked, or refused before a smaller one."""

    async def work(ledger: Ledger) -> None:
        await ledger.allowances.set_limits("crm", [Limit(Span.HOUR, 10)])
        orders = [an_order("a", 6), an_order("a", 6), an_order("a", 6), an_order("b", 4), an_order("c", 1)]
        assert await outcomes(ledger, *orders) == ["ACCEPTED", "taken", "taken", "ACCEPTED", "refused"]
        assert await taken(ledger) == {(None, "hour"): 10}

        await ledger.allowances.set_limits("web", [Limit(Span.HOUR, 10)])
        orders = [an_order("a", 20, producer="web"), an_order("a", 7, producer="web"), an_order("a", 7, producer="web")]
        orders += [an_order("b", 4, producer="web"), an_order("c", 3, producer="web")]
        assert await outcomes(ledger, *orders) == ["refused", "ACCEPTED", "taken", "refused", "ACCEPTED"]

        await ledger.allowances.set_limits("erp", [Limit(Span.HOUR, 10)], above=Above.PARK)
        orders = [
            an_order("a", 20, producer="erp"),
            an_order("a", 20, producer="erp"),
            an_order("b", 10, producer="erp"),
        ]
        assert await outcomes(ledger, *orders) == ["PARKED", "taken", "ACCEPTED"]

    harness.run(work)


def test_default_holds_for_producers_that_nobody_set_up(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        assert await outcomes(ledger, an_order("a", 90), an_order("b", 20), default=100) == ["ACCEPTED", "refused"]
        other = an_order("a", 100, producer="web")
        assert await outcomes(ledger, other, an_order("c", 10), default=100) == ["ACCEPTED", "ACCEPTED"]
        (row,) = await ledger.allowances.read("crm", numbers_per_hour=100)
        assert (row.is_default, row.numbers_max, row.taken, row.left) == (True, 100, 100, 0)
        await ledger.allowances.set_limits("crm", [Limit(Span.DAY, 1000)])
        assert await outcomes(ledger, an_order("b", 500), default=100) == ["ACCEPTED"]
        assert {row.span: row.numbers_max for row in await ledger.allowances.read("crm")} == {"day": 1000, "hour": None}

    harness.run(work)


def test_removals_cost_nothing(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        await ledger.allowances.set_limits("crm", [Limit(Span.HOUR, 0), Limit(Span.ORDER, 0)])
        removal = a_new_order(a_named_request("r", RALEIGH, DURHAM, kind=Kind.REMOVE_NUMBERS))
        assert await outcomes(ledger, replace(removal, producer="crm"), an_order("a", 1)) == ["ACCEPTED", "refused"]

    harness.run(work)


def test_parked_order_counts_when_it_is_approved(harness: LedgerHarness) -> None:
    """Nothing is sent of it before. Approved, it takes its numbers even beyond the limit."""

    async def work(ledger: Ledger) -> None:
        await ledger.allowances.set_limits("crm", [Limit(Span.HOUR, 10)], above=Above.PARK)
        new = replace(an_order("a", 11), parked_notification={"state": "PARKED"}, channels=("task",))
        assert await outcomes(ledger, new, an_order("b", 8)) == ["PARKED", "ACCEPTED"]
        order = (await ledger.orders.read([new.order_id]))[new.order_id]
        assert (order.state, order.version) == (State.PARKED, 1)
        assert str(order.reason).startswith("budget: 11 numbers are more than the 10 left of 10 per hour until ")
        assert [row["event"] for row in (await ledger.history.story(new.order_id)).events] == [
            "OrderAccepted",
            "Parked",
        ]
        (message,) = await ledger.outbox.pending([new.order_id], "task")
        assert (message.version, message.document["reason"]) == (1, order.reason)
        assert [claim.order.request.key for claim in (await claim_due(ledger)).claims] == ["b"]
        assert await taken(ledger) == {(None, "hour"): 8}

        step = a_step(order, SentAgain("ann@desk", "they may"), await ledger.now())
        await ledger.orders.record([step])
        assert await taken(ledger) == {(None, "hour"): 19}
        assert await outcomes(ledger, an_order("c", 1)) == ["PARKED"]
        assert await taken(ledger) == {(None, "hour"): 19}

    harness.run(work)


def test_what_was_not_bought_is_given_back_once(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        await ledger.allowances.set_limits("crm", [Limit(Span.HOUR, 10), Limit(Span.DAY, 10, BANDWIDTH)])
        new = an_order("a", 10)
        assert await outcomes(ledger, new) == ["ACCEPTED"]
        order = (await ledger.orders.read([new.order_id]))[new.order_id]
        bought = tuple(NumberResult(e164, NumberState.ACQUIRED) for e164 in (RALEIGH, DURHAM))
        for event in (SubmissionBegun(), Acknowledged(CarrierOrderId("1"), None), Filled("COMPLETE", bought)):
            step = a_step(order, event, await ledger.now())
            await ledger.orders.record([replace(step, unbought=8 if step.step.order.state.is_final else None)])
            order = (await ledger.orders.read([new.order_id]))[new.order_id]
        assert await taken(ledger) == {(None, "hour"): 2, ("bandwidth", "day"): 2}
        assert await outcomes(ledger, an_order("b", 9), an_order("c", 8)) == ["refused", "ACCEPTED"]
        assert await taken(ledger) == {(None, "hour"): 10, ("bandwidth", "day"): 10}
        await ledger.allowances.forget_corrections()
        assert await taken(ledger) == {(None, "hour"): 10, ("bandwidth", "day"): 10}

    harness.run(work)


def test_nothing_is_given_back_for_orders_of_an_earlier_hour_or_that_took_nothing(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        await ledger.allowances.set_limits("crm", [Limit(Span.HOUR, 10)])
        early = an_order("a", 10)
        assert await outcomes(ledger, early) == ["ACCEPTED"]
        await harness.advance(HOUR + MINUTE)
        assert await outcomes(ledger, an_order("b", 10)) == ["ACCEPTED"]
        order = (await ledger.orders.read([early.order_id]))[early.order_id]
        begun = a_step(order, SubmissionBegun(), await ledger.now())
        await ledger.orders.record([begun])
        await ledger.allowances.set_limits("crm", [Limit(Span.HOUR, 10)], above=Above.PARK)
        parked = an_order("c", 5)
        assert await outcomes(ledger, parked) == ["PARKED"]
        for each in (begun.step.order, (await ledger.orders.read([parked.order_id]))[parked.order_id]):
            event = WrittenOff("ann", "no") if each.state is State.PARKED else Acknowledged(CarrierOrderId("1"), None)
            await ledger.orders.record([replace(a_step(each, event, await ledger.now()), unbought=5)])
        assert await taken(ledger) == {(None, "hour"): 10}

    harness.run(work)


def test_many_intakes_at_once_take_exactly_what_there_is(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        await ledger.allowances.set_limits("crm", [Limit(Span.HOUR, 50), Limit(Span.DAY, 60, BANDWIDTH)])
        waves = [[an_order(f"{wave}-{i}", 3) for i in range(10)] for wave in range(6)]
        told = await asyncio.gather(*(outcomes(ledger, *orders) for orders in waves))
        assert [one for words in told for one in words].count("ACCEPTED") == 50 // 3
        assert await taken(ledger) == {(None, "hour"): 48, ("bandwidth", "day"): 48}

    harness.run(work)
