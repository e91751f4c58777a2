"""A number is held at most once, and other orders learn who holds it."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from number_orders.ledger.ledger import Ledger
from number_orders.orders.events import Acknowledged, Filled, Parked, PartlyFilled, Refused, StillOpen, SubmissionBegun
from number_orders.orders.model import (
    CarrierName,
    CarrierOrderId,
    Kind,
    NumberResult,
    NumberState,
    Order,
    OrderRequest,
    Owner,
)
from number_orders.orders.numbers import E164
from tests.integration.ledger.examples import (
    CARRIER_ORDER_ID,
    DURHAM,
    MINUTE,
    RALEIGH,
    a_named_request,
    a_new_order,
    a_request,
    a_step,
    accept_order,
    record_events,
)
from tests.integration.ledger.harness import BANDWIDTH, LedgerHarness


def a_removal(*numbers: E164) -> OrderRequest:
    return a_named_request("remove", *numbers, kind=Kind.REMOVE_NUMBERS)


def released(*numbers: E164) -> Filled:
    return Filled("COMPLETE", tuple(NumberResult(number, NumberState.RELEASED) for number in numbers))


async def known(ledger: Ledger, order: Order, *numbers: E164) -> dict[E164, tuple[bool, bool, bool]]:
    """Return for each number whether it is held, by another order, and whether another order is to acquire it."""
    _, found = await ledger.numbers.recall(order, numbers)
    return {n.e164: (n.held_since is not None, n.held_by not in {None, order.order_id}, n.named) for n in found}


def an_unknown_order() -> Order:
    new = a_new_order(a_request("unknown"))
    return Order(new.order_id, new.request, accepted_at=datetime.fromtimestamp(0, UTC))


async def open_orders(ledger: Ledger, *keys: str) -> list[Order]:
    """Return orders that the carrier works on."""
    events = {key: (SubmissionBegun(), Acknowledged(CarrierOrderId(key))) for key in keys}
    return [await record_events(ledger, await accept_order(ledger, a_request(key)), *events[key]) for key in keys]


@pytest.mark.parametrize("together", [False, True])
def test_number_acquired_twice_is_held_by_the_first_order(harness: LedgerHarness, together: bool) -> None:
    """The carrier says that two orders got one number, in one group of answers or one after the other.

    The alarm is raised with the second answer, so that no crash comes between. Nothing repeats it.
    """
    got = Filled("COMPLETE", (NumberResult(RALEIGH, NumberState.ACQUIRED),))

    async def work(ledger: Ledger) -> None:
        first, second = await open_orders(ledger, "a", "b")
        now = await ledger.now()
        steps = [a_step(first, got, now), a_step(second, got, now)]
        groups = [steps] if together else [[step] for step in steps]
        found = [await ledger.orders.record(group) for group in groups]
        assert {order_id: numbers for each in found for order_id, numbers in each.items()} == {
            first.order_id: [],
            second.order_id: [RALEIGH],
        }
        (alarm,) = await ledger.alarms.active()
        assert [alarm[name] for name in ("what", "subject", "carrier", "order_id", "times")] == [
            "number_held_twice",
            RALEIGH,
            "bandwidth",
            second.order_id,
            1,
        ]
        assert f"while order {first.order_id} held it" in alarm["detail"]
        assert await harness.holdings() == [(RALEIGH, "a", None, True)]

    harness.run(work)


def test_numbers_acquired_twice_at_the_same_moment_raise_one_alarm(harness: LedgerHarness) -> None:
    """Two workers record, and neither sees what the other writes."""
    got = Filled("COMPLETE", (NumberResult(RALEIGH, NumberState.ACQUIRED),))

    async def work(ledger: Ledger) -> None:
        for turn in range(10):
            orders = await open_orders(ledger, *(f"{turn}-{i}" for i in range(4)))
            now = await ledger.now()
            found = await asyncio.gather(*(ledger.orders.record([a_step(order, got, now)]) for order in orders))
            elsewhere = [numbers for each in found for numbers in each.values()]
            assert elsewhere.count([RALEIGH]) == (3 if turn == 0 else 4)
        (alarm,) = await ledger.alarms.active()
        assert alarm["times"] == 3 + 9 * 4

    harness.run(work)


def test_released_number_can_be_acquired_again(harness: LedgerHarness) -> None:
    """Bought, removed, bought again: two holdings, the first ended by the removal."""

    async def work(ledger: Ledger) -> None:
        got = Filled("COMPLETE", (NumberResult(RALEIGH, NumberState.ACQUIRED),))
        for key, end in (("buy", got), ("remove", released(RALEIGH)), ("buy again", got)):
            order = await accept_order(ledger, a_removal(RALEIGH) if key == "remove" else a_request(key))
            await record_events(ledger, order, SubmissionBegun(), Acknowledged(CarrierOrderId(key)), end)
        assert await ledger.alarms.active() == []
        assert await harness.holdings() == [
            (RALEIGH, "buy", "remove", False),
            (RALEIGH, "buy again", None, True),
        ]

    harness.run(work)


def test_number_released_and_acquired_in_one_group_is_held_by_the_buyer(harness: LedgerHarness) -> None:
    """One statement records both: it releases first, whatever their order in the group."""

    async def work(ledger: Ledger) -> None:
        got = Filled("COMPLETE", (NumberResult(RALEIGH, NumberState.ACQUIRED),))
        first = await accept_order(ledger, a_request("buy"))
        await record_events(ledger, first, SubmissionBegun(), Acknowledged(CarrierOrderId("buy")), got)
        steps = []
        for key, end in (("buy again", got), ("remove", released(RALEIGH))):
            order = await accept_order(ledger, a_removal(RALEIGH) if key == "remove" else a_request(key))
            order = await record_events(ledger, order, SubmissionBegun(), Acknowledged(CarrierOrderId(key)))
            steps.append(a_step(order, end, await ledger.now()))
        assert len(await ledger.orders.record(steps)) == 2
        assert (await harness.holdings())[1:] == [(RALEIGH, "buy again", None, True)]

    harness.run(work)


def test_number_released_before_its_purchase_ended_is_not_held_again(harness: LedgerHarness) -> None:
    """The purchase reports a number, a removal releases it, and the end of the purchase reports it again."""

    async def work(ledger: Ledger) -> None:
        got = (NumberResult(RALEIGH, NumberState.ACQUIRED),)
        bought = await accept_order(ledger, a_request("buy"))
        bought = await record_events(ledger, bought, SubmissionBegun(), Acknowledged(CarrierOrderId("buy")))
        bought = await record_events(ledger, bought, StillOpen("BACKORDERED", numbers=got))
        gone = await accept_order(ledger, a_removal(RALEIGH))
        await record_events(ledger, gone, SubmissionBegun(), Acknowledged(CarrierOrderId("remove")), released(RALEIGH))
        await record_events(ledger, bought, Filled("COMPLETE", got))
        assert await harness.holdings() == [(RALEIGH, "buy", "remove", False)]

    harness.run(work)


def test_number_released_again_by_the_end_of_its_removal_stays_held_by_the_next_buyer(harness: LedgerHarness) -> None:
    """The removal shows a number as gone, another order brings it again, and the removal's end reports it again."""

    async def work(ledger: Ledger) -> None:
        got = (NumberResult(RALEIGH, NumberState.ACQUIRED),)
        gone = (NumberResult(RALEIGH, NumberState.RELEASED),)
        first = await accept_order(ledger, a_request("buy"))
        await record_events(ledger, first, SubmissionBegun(), Acknowledged(CarrierOrderId("buy")), Filled("", got))
        removal = await accept_order(ledger, a_removal(RALEIGH))
        removal = await record_events(ledger, removal, SubmissionBegun(), Acknowledged(CarrierOrderId("remove")))
        removal = await record_events(ledger, removal, StillOpen("COMPLETED", numbers=gone))
        next_one = await accept_order(ledger, a_request("buy again"))
        await record_events(ledger, next_one, SubmissionBegun(), Acknowledged(CarrierOrderId("2")), Filled("", got))
        await record_events(ledger, removal, Filled("COMPLETED", gone))
        assert await harness.holdings() == [(RALEIGH, "buy", "remove", False), (RALEIGH, "buy again", None, True)]

    harness.run(work)


@pytest.mark.parametrize("held_before", [True, False])
def test_number_that_was_ordered_after_its_removal_stays_held(harness: LedgerHarness, *, held_before: bool) -> None:
    """The removal is asked about late, when another order has brought the number again."""

    async def work(ledger: Ledger) -> None:
        got = Filled("", (NumberResult(RALEIGH, NumberState.ACQUIRED),))
        if held_before:
            first = await accept_order(ledger, a_request("buy"))
            await record_events(ledger, first, SubmissionBegun(), Acknowledged(CarrierOrderId("buy")), got)
        removal = await accept_order(ledger, a_removal(RALEIGH))
        removal = await record_events(ledger, removal, SubmissionBegun(), Acknowledged(CarrierOrderId("remove")))
        await harness.advance(MINUTE)
        again = await accept_order(ledger, a_request("again"))
        await record_events(ledger, again, SubmissionBegun(), Acknowledged(CarrierOrderId("again")), got)
        await record_events(ledger, removal, released(RALEIGH))
        before = [(RALEIGH, "buy", "remove", False)] if held_before else []
        assert await harness.holdings() == [*before, (RALEIGH, "again", None, True)]

    harness.run(work)


def test_number_of_an_order_that_was_sent_before_its_removal_is_released(harness: LedgerHarness) -> None:
    """Although the ledger has learnt of the number only after the removal was sent."""

    async def work(ledger: Ledger) -> None:
        got = Filled("", (NumberResult(RALEIGH, NumberState.ACQUIRED),))
        bought = await accept_order(ledger, a_request("buy"))
        bought = await record_events(ledger, bought, SubmissionBegun(), Acknowledged(CarrierOrderId("buy")))
        await harness.advance(MINUTE)
        removal = await accept_order(ledger, a_removal(RALEIGH))
        removal = await record_events(ledger, removal, SubmissionBegun(), Acknowledged(CarrierOrderId("remove")))
        await harness.advance(MINUTE)
        await record_events(ledger, bought, got)
        await record_events(ledger, removal, released(RALEIGH))
        assert await harness.holdings() == [(RALEIGH, "buy", "remove", False)]

    harness.run(work)


def test_releasing_a_number_that_is_not_held_here_changes_no_holding(harness: LedgerHarness) -> None:
    """One number is held at another carrier, the other was never acquired."""

    async def work(ledger: Ledger) -> None:
        other = E164("+19196362099")
        order = await accept_order(ledger, replace(a_request("buy"), carrier=CarrierName("acme")))
        got = Filled("COMPLETE", (NumberResult(RALEIGH, NumberState.ACQUIRED),))
        await record_events(ledger, order, SubmissionBegun(), Acknowledged(CarrierOrderId("buy")), got)
        order = await accept_order(ledger, a_removal(RALEIGH))
        order = await record_events(ledger, order, SubmissionBegun(), Acknowledged(CarrierOrderId("remove")))
        await record_events(ledger, order, released(RALEIGH, other))
        assert await harness.holdings() == [(RALEIGH, "buy", None, True)]

    harness.run(work)


def test_withdrawn_number_is_not_held_and_can_be_acquired_again(harness: LedgerHarness) -> None:
    """The carrier showed it, withdrew it at the end, and sells it to another order."""

    async def work(ledger: Ledger) -> None:
        got = (NumberResult(RALEIGH, NumberState.ACQUIRED),)
        gone = PartlyFilled("PARTIAL", (NumberResult(RALEIGH, NumberState.WITHDRAWN),), "0 of 1")
        order = await accept_order(ledger, a_request("first"))
        events = (SubmissionBegun(), Acknowledged(CarrierOrderId("first")), StillOpen("BACKORDERED", numbers=got), gone)
        order = await record_events(ledger, order, *events)
        (number,) = (await ledger.numbers.of_orders([order.order_id]))[order.order_id]
        assert number.state is NumberState.WITHDRAWN
        assert await harness.holdings() == [(RALEIGH, "first", "first", False)]
        order = await accept_order(ledger, a_request("second"))
        await record_events(
            ledger, order, SubmissionBegun(), Acknowledged(CarrierOrderId("second")), Filled("COMPLETE", got)
        )
        assert (await harness.holdings())[1:] == [(RALEIGH, "second", None, True)]

    harness.run(work)


@pytest.mark.parametrize("state", [NumberState.WITHDRAWN, NumberState.RELEASED])
def test_number_that_one_purchase_lost_stays_held_by_another(harness: LedgerHarness, state: NumberState) -> None:
    """Of purchases, only the one that brought a number can lose it."""

    async def work(ledger: Ledger) -> None:
        got = (NumberResult(RALEIGH, NumberState.ACQUIRED),)
        gone = (NumberResult(RALEIGH, state),)
        for key, numbers in (("buy", got), ("other", gone)):
            order = await accept_order(ledger, a_request(key))
            events = (SubmissionBegun(), Acknowledged(CarrierOrderId(key)), Filled("COMPLETE", numbers))
            await record_events(ledger, order, *events)
        assert await harness.holdings() == [(RALEIGH, "buy", None, True)]

    harness.run(work)


def test_recall_says_who_holds_a_number_and_whether_one_is_to_acquire_it(harness: LedgerHarness) -> None:
    """Held by this order, held by another, to be acquired by an unfinished order, and unknown."""

    async def work(ledger: Ledger) -> None:
        got = Filled("COMPLETED", (NumberResult(RALEIGH, NumberState.ACQUIRED),))
        buyer = await record_events(
            ledger, await accept_order(ledger, a_named_request("buyer", RALEIGH)), SubmissionBegun(), got
        )
        await accept_order(ledger, a_named_request("unfinished", DURHAM))
        remover = await accept_order(ledger, a_named_request("remover", RALEIGH, DURHAM, kind=Kind.REMOVE_NUMBERS))
        strange = E164("+19195550199")
        assert await known(ledger, buyer, RALEIGH) == {RALEIGH: (True, False, False)}
        assert await known(ledger, remover, RALEIGH, DURHAM, strange) == {
            RALEIGH: (True, True, False),
            DURHAM: (False, False, True),
            strange: (False, False, False),
        }
        now, nothing = await ledger.numbers.recall(remover, [])
        assert (abs(now - await ledger.now()) < MINUTE, nothing) == (True, [])

    harness.run(work)


def test_recall_says_which_other_order_released_a_number_last(harness: LedgerHarness) -> None:
    """Also if the number is held again, but never this order itself."""

    async def work(ledger: Ledger) -> None:
        got = Filled("COMPLETED", (NumberResult(RALEIGH, NumberState.ACQUIRED),))
        gone = Filled("COMPLETED", (NumberResult(RALEIGH, NumberState.RELEASED),))
        removers = []
        for key in ("first", "second"):
            buyer = await accept_order(ledger, a_named_request(f"buyer-{key}", RALEIGH))
            await record_events(ledger, buyer, SubmissionBegun(), got)
            remover = await accept_order(ledger, a_named_request(f"remover-{key}", RALEIGH, kind=Kind.REMOVE_NUMBERS))
            removers.append(await record_events(ledger, remover, SubmissionBegun(), gone))
        first, second = removers
        for order, other in ((an_unknown_order(), second), (first, second), (second, first)):
            _, (number,) = await ledger.numbers.recall(order, [RALEIGH])
            assert number.released_by == other.order_id
            assert number.released_at is not None
        elsewhere = replace(an_unknown_order().request, carrier=CarrierName("swift"))
        _, (number,) = await ledger.numbers.recall(replace(an_unknown_order(), request=elsewhere), [RALEIGH])
        assert (number.released_by, number.released_at) == (None, None)

    harness.run(work)


def test_references_of_orders_that_have_ended(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        ended, under_way = [await accept_order(ledger, a_request(key)) for key in ("ended", "under way")]
        for order in (ended, under_way):
            await record_events(ledger, order, SubmissionBegun(), Acknowledged(CarrierOrderId(order.request.key)))
        ended = (await ledger.orders.read([ended.order_id]))[ended.order_id]
        await record_events(ledger, ended, Filled("COMPLETE", ()))
        references = [ended.reference, under_way.reference, "nobody's"]
        assert await ledger.numbers.ended(BANDWIDTH, references) == {ended.reference}
        assert await ledger.numbers.ended(CarrierName("swift"), references) == frozenset()

    harness.run(work)


def test_what_orders_follow_some_carrier_orders(harness: LedgerHarness) -> None:
    """One that ended with too few numbers is not complete: more may come."""

    async def work(ledger: Ledger) -> None:
        keys = ("complete", "refused", "under way")
        for key in keys:
            order = await accept_order(ledger, a_request(key))
            await record_events(ledger, order, SubmissionBegun(), Acknowledged(CarrierOrderId(key)))
            followed = (await ledger.orders.read([order.order_id]))[order.order_id]
            if key == "complete":
                await record_events(ledger, followed, Filled("COMPLETE", ()))
            elif key == "refused":
                await record_events(ledger, followed, Refused("no stock"))
        criteria = a_request("any").criteria
        assert await ledger.numbers.owners(BANDWIDTH, [*keys, "nobody's"]) == {
            key: Owner(key == "complete", criteria) for key in keys
        }
        assert await ledger.numbers.owners(CarrierName("swift"), keys) == {}

    harness.run(work)


def test_recall_ignores_released_numbers_and_removals(harness: LedgerHarness) -> None:
    """Another removal that names a number does not acquire it."""

    async def work(ledger: Ledger) -> None:
        got = Filled("COMPLETED", (NumberResult(RALEIGH, NumberState.ACQUIRED),))
        gone = Filled("COMPLETED", (NumberResult(RALEIGH, NumberState.RELEASED),))
        await record_events(
            ledger, await accept_order(ledger, a_named_request("buyer", RALEIGH)), SubmissionBegun(), got
        )
        remover = await accept_order(ledger, a_named_request("remover", RALEIGH, kind=Kind.REMOVE_NUMBERS))
        await accept_order(ledger, a_named_request("other", RALEIGH, kind=Kind.REMOVE_NUMBERS))
        await record_events(ledger, remover, SubmissionBegun(), gone)
        assert await known(ledger, an_unknown_order(), RALEIGH) == {RALEIGH: (False, False, False)}

    harness.run(work)


@pytest.mark.parametrize("kind", [Kind.NEW_NUMBERS, Kind.REMOVE_NUMBERS])
def test_parked_order_that_is_to_acquire_a_number_is_found(harness: LedgerHarness, kind: Kind) -> None:
    """A removal is not, and no order is once the number is held."""

    async def work(ledger: Ledger) -> None:
        bringer = await accept_order(ledger, a_named_request("brings", RALEIGH, DURHAM, kind=kind))
        assert await ledger.numbers.parked_orders_bringing(BANDWIDTH, [DURHAM]) == []
        await record_events(ledger, bringer, Parked("nobody knows"))
        expected = [(bringer.order_id, DURHAM)] if kind is Kind.NEW_NUMBERS else []
        assert await ledger.numbers.parked_orders_bringing(BANDWIDTH, [DURHAM]) == expected
        assert await ledger.numbers.parked_orders_bringing(BANDWIDTH, [E164("+19195550199")]) == []
        other = await accept_order(ledger, a_request("holds"))
        bought = StillOpen("RECEIVED", (NumberResult(DURHAM, NumberState.ACQUIRED),))
        await record_events(ledger, other, SubmissionBegun(), Acknowledged(CARRIER_ORDER_ID), bought)
        assert await ledger.numbers.parked_orders_bringing(BANDWIDTH, [DURHAM]) == []

    harness.run(work)
