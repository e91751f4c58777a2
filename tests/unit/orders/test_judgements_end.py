"""An end is believed when the carrier's lists have settled, and every carrier order with our reference has ended."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from number_orders.orders.events import (
    Acknowledged,
    CalledBack,
    CarriersEnd,
    Event,
    Filled,
    FilledWithErrors,
    PartlyFilled,
    PartSettled,
    Refused,
    StillOpen,
)
from number_orders.orders.judgements import Unsettled, falls_short, judge_end, judge_others, numbers_at_end
from number_orders.orders.model import CarrierOrderId, Kind, NumberResult, NumberState, Order, State
from number_orders.orders.numbers import E164
from tests.unit.orders.lifecycle_examples import DURHAM, NOON, POLICY, RALEIGH, THEIR_ID, an_order, apply

SECOND = timedelta(seconds=1)
OTHER_ID = CarrierOrderId("77659f47")
ASHEVILLE = E164("+18285550100")
WANTED = (RALEIGH, DURHAM, ASHEVILLE)
ALL = tuple(NumberResult(e164, NumberState.ACQUIRED) for e164 in WANTED)
ONE, TWO = ALL[:1], ALL[:2]
RELEASED = NumberResult(RALEIGH, NumberState.RELEASED)
HELD = NumberResult(RALEIGH, NumberState.FAILED, None, "still on the account")
LATER = NOON + timedelta(minutes=30)


def an_open_order(kind: Kind = Kind.NEW_NUMBERS) -> Order:
    """Return an order for three numbers that the carrier has had for a minute."""
    order = an_order(State.OPEN, carrier_order_id=THEIR_ID, carrier_status="RECEIVED")
    return replace(order, request=replace(order.request, kind=kind, numbers=WANTED), moved_at=NOON - 60 * SECOND)


def judge(
    order: Order, event: Event, known: Collection[NumberResult] = (), *, looks: int = 2, now: datetime = NOON
) -> Event | Unsettled:
    return judge_end(order, event, known, looks=looks, now=now, policy=POLICY)


def shown(order: Order, event: Event, known: Collection[NumberResult] = ()) -> Order:
    """Return the order after the look that found this end new, at noon."""
    waiting = judge(order, event, known)
    assert isinstance(waiting, StillOpen)
    return replace(apply(order, waiting).order, moved_at=NOON)


@pytest.mark.parametrize(
    "event",
    [
        Filled("COMPLETE", ALL),
        FilledWithErrors("COMPLETE", ALL, "bought twice", (THEIR_ID, OTHER_ID)),
        StillOpen("PROCESSING", TWO),
        Acknowledged(OTHER_ID, instead_of=THEIR_ID),
    ],
)
def test_a_full_answer_and_anything_but_an_end_is_believed_at_once(event: Event) -> None:
    """All numbers are there, so nothing more can come."""
    assert judge(an_open_order(), event, looks=1) is event


SHORT = [
    pytest.param(Filled("COMPLETE", ()), id="complete without numbers"),
    pytest.param(PartlyFilled("PARTIAL", TWO, "2 of 3"), id="partial"),
    pytest.param(FilledWithErrors("COMPLETE", TWO, "2 of 3"), id="with errors"),
    pytest.param(FilledWithErrors("FAILED", ALL, "FAILED, yet 3 of 3 are listed"), id="contradicting its list"),
    pytest.param(Refused("ERROR", None, "ERROR"), id="error"),
    pytest.param(CalledBack("cancelled", "CANCELLED"), id="cancelled"),
]


@pytest.mark.parametrize("event", SHORT)
def test_an_end_that_falls_short_is_believed_when_time_and_looks_are_enough(event: Event) -> None:
    """Both are needed. The look that found it new counts, and reaching the limit exactly is enough."""
    known = getattr(event, "numbers", ())
    order = shown(an_open_order(), event)
    settled = NOON + POLICY.settle_after

    assert order.state is State.OPEN
    early = judge(order, event, known, looks=99, now=settled - timedelta(microseconds=1))
    assert isinstance(early, Unsettled)
    assert early.not_before == settled
    assert isinstance(judge(order, event, known, looks=2, now=LATER), Unsettled)
    assert judge(order, event, known, looks=3, now=settled) is event


@pytest.mark.parametrize("event", SHORT)
def test_an_end_that_falls_short_is_news_of_an_open_order_at_first(event: CarriersEnd) -> None:
    """With its status and its numbers, and the reason says what is waited for."""
    waiting = judge(an_open_order(), event, looks=99, now=LATER)

    assert isinstance(waiting, StillOpen)
    assert (waiting.carrier_status, waiting.numbers) == (event.carrier_status, event.numbers)
    assert waiting.detail
    assert "unchanged for 120 s" in waiting.detail


def test_an_end_whose_status_is_known_already_is_new_all_the_same() -> None:
    """The answer to the submission may say COMPLETED before any list was read."""
    event = PartlyFilled("COMPLETED", (), "0 of 3")
    order = replace(an_open_order(), carrier_status="COMPLETED")

    assert isinstance(judge(order, event, looks=99, now=LATER), StillOpen)


@pytest.mark.parametrize(("before", "after"), [(ONE, TWO), (TWO, ONE), (ONE, (ALL[1],)), ((), ONE), (TWO, ())], ids=str)
def test_every_change_of_the_numbers_starts_the_time_again(
    before: tuple[NumberResult, ...], after: tuple[NumberResult, ...]
) -> None:
    """Growing, shrinking and replaced lists are lists that have not settled."""
    order = shown(an_open_order(), PartlyFilled("PARTIAL", before, "some"))

    assert isinstance(judge(order, PartlyFilled("PARTIAL", after, "some"), before, looks=99, now=LATER), StillOpen)


def test_another_status_starts_the_time_again() -> None:
    """COMPLETED, then COMPLETED_WITH_ERRORS."""
    order = shown(an_open_order(), PartlyFilled("COMPLETED", TWO, "2 of 3"))

    assert isinstance(judge(order, PartlyFilled("ERRORS", TWO, "2 of 3"), TWO, looks=99, now=LATER), StillOpen)


def test_an_order_that_the_ledger_has_not_dated_has_not_settled() -> None:
    """There is no time to count from."""
    event = Refused("no stock", "5016", "FAILED")
    order = replace(shown(an_open_order(), event), moved_at=None)

    assert isinstance(judge(order, event, looks=99, now=LATER), StillOpen)


def test_without_a_settle_time_an_end_is_believed_at_once() -> None:
    """For tests and for carriers whose lists never lag."""
    policy = replace(POLICY, settle_after=timedelta(), settle_looks=1)
    event = Refused("no stock", "5016", "FAILED")

    assert judge_end(an_open_order(), event, (), looks=1, now=NOON, policy=policy) is event


def test_looks_are_needed_even_without_a_settle_time() -> None:
    """Both limits are set by themselves."""
    policy = replace(POLICY, settle_after=timedelta())
    event = Refused("no stock", "5016", "FAILED")

    assert isinstance(judge_end(an_open_order(), event, (), looks=1, now=NOON, policy=policy), StillOpen)


@pytest.mark.parametrize(
    ("event", "short"),
    [
        (PartSettled("COMPLETED", (RELEASED,), "the rest is tainted", NOON, {}), False),
        (PartSettled("COMPLETED", (RELEASED, HELD), "one stays", NOON, {}), True),
        (PartSettled("ERROR", (RELEASED,), "ERROR, yet it is gone", NOON, {}, contradicted=True), True),
        (FilledWithErrors("COMPLETED", (RELEASED, HELD), "one stays"), True),
        (Filled("COMPLETED", tuple(replace(result, state=NumberState.RELEASED) for result in ALL)), False),
    ],
)
def test_a_removal_falls_short_while_a_number_is_still_listed(*, event: Event, short: bool) -> None:
    """Numbers leave a list as late as they enter it."""
    assert falls_short(an_open_order(Kind.REMOVE_NUMBERS), event) is short


def test_a_removal_that_is_not_believed_counts_no_number_as_removed() -> None:
    """A number that is not listed may be listed again. One that an earlier part has removed stays removed."""
    earlier, later = NumberResult(DURHAM, NumberState.RELEASED), NumberResult(ASHEVILLE, NumberState.RELEASED)
    end = FilledWithErrors("ERROR", (earlier, later, HELD), "ERROR, yet it is gone")

    waiting = judge(an_open_order(Kind.REMOVE_NUMBERS), end, [earlier], now=LATER)

    assert isinstance(waiting, StillOpen)
    assert [(one.e164, one.state) for one in waiting.numbers] == [
        (ASHEVILLE, NumberState.REQUESTED),
        (RALEIGH, NumberState.REQUESTED),
    ]


def test_another_number_that_is_not_listed_starts_the_time_of_a_removal_again() -> None:
    """As many are gone as before, and they are others."""
    order = an_open_order(Kind.REMOVE_NUMBERS)
    first = PartlyFilled("PARTIAL", (RELEASED, NumberResult(DURHAM, NumberState.FAILED, None, "listed")), "1 of 2")
    second = PartlyFilled("PARTIAL", (HELD, NumberResult(DURHAM, NumberState.RELEASED)), "1 of 2")
    waiting = judge(order, first)
    assert isinstance(waiting, StillOpen)

    assert isinstance(judge(shown(order, first), first, waiting.numbers, looks=99, now=LATER), PartlyFilled)
    assert isinstance(judge(shown(order, first), second, waiting.numbers, looks=99, now=LATER), StillOpen)


def test_an_order_with_all_its_numbers_needs_no_serial_lock_while_its_end_is_not_believed() -> None:
    for numbers, alone in ((ALL, False), (TWO, True)):
        waiting = judge(an_open_order(), FilledWithErrors("ERRORS", numbers, "with errors"))
        assert isinstance(waiting, StillOpen)
        assert waiting.alone is alone


# Withdrawn numbers


WITHDRAWN = NumberResult(DURHAM, NumberState.WITHDRAWN, None, "shown as bought before, and not at the end")


@pytest.mark.parametrize(
    ("end", "named"),
    [(CalledBack("cancelled", "CANCELLED"), ()), (PartlyFilled("PARTIAL", ONE, "1 of 3"), ONE)],
)
def test_numbers_that_the_end_does_not_show_are_withdrawn(end: Event, named: tuple[NumberResult, ...]) -> None:
    """They were shown as bought while the order was open."""
    assert numbers_at_end(an_open_order(), end, [*named, ALL[1]]) == (*named, WITHDRAWN)


def test_replaced_numbers_are_withdrawn() -> None:
    """The carrier showed others before."""
    old = NumberResult(E164("+18285550199"), NumberState.USABLE)
    numbers = numbers_at_end(an_open_order(), Filled("COMPLETE", ALL), [old, *TWO])

    assert numbers == (*ALL, replace(WITHDRAWN, e164=old.e164))


def test_a_withdrawn_number_keeps_what_the_carrier_says_of_it() -> None:
    """Unless it says nothing."""
    failed = NumberResult(DURHAM, NumberState.FAILED, "5005", "unavailable")
    unknown = NumberResult(DURHAM, NumberState.REQUESTED)
    order = an_open_order()

    (taken,) = numbers_at_end(order, Refused("no", "5005", "FAILED", (failed,)), [ALL[1]])
    assert taken == NumberResult(DURHAM, NumberState.WITHDRAWN, "5005", "unavailable")
    assert numbers_at_end(order, Refused("no", None, "FAILED", (unknown,)), [ALL[1]]) == (WITHDRAWN,)


@pytest.mark.parametrize("before", [NumberState.REQUESTED, NumberState.FAILED, NumberState.RELEASED])
def test_only_a_number_that_was_bought_can_be_withdrawn(before: NumberState) -> None:
    """Otherwise nothing was there to take away."""
    assert numbers_at_end(an_open_order(), Refused("no"), [NumberResult(DURHAM, before)]) == ()


def test_a_number_that_left_again_is_released_and_not_withdrawn() -> None:
    """The end says what became of it."""
    gone = NumberResult(DURHAM, NumberState.RELEASED, None, "it came, and is on the account no more")

    assert numbers_at_end(an_open_order(), FilledWithErrors("COMPLETED", (gone,), "gone"), [ALL[1]]) == (gone,)


def test_a_removal_withdraws_nothing() -> None:
    """What is not released stays as it is known."""
    order = an_open_order(Kind.REMOVE_NUMBERS)

    assert numbers_at_end(order, Refused("no", None, "ERROR", (HELD,)), [RELEASED]) == (HELD,)


# Several carrier orders


def others(end: CarriersEnd, bought: Sequence[NumberResult] = (), open_ids: Sequence[CarrierOrderId] = ()) -> Event:
    return judge_others(an_open_order(), end, {OTHER_ID: tuple(bought)} if bought else {}, open_ids)


def test_the_only_carrier_order_ends_the_order() -> None:
    """The usual case, however it ends."""
    for end in (Filled("COMPLETE", ALL), Refused("no")):
        assert others(end) is end


def test_an_order_stays_open_while_another_carrier_order_is() -> None:
    """Both are followed to their ends."""
    judged = others(Filled("COMPLETE", ALL), open_ids=[OTHER_ID])

    assert isinstance(judged, StillOpen)
    assert judged.numbers == ALL
    assert judged.detail
    assert OTHER_ID in judged.detail


@pytest.mark.parametrize("end", [Refused("no"), CalledBack("cancelled")])
@pytest.mark.parametrize(("bought", "open_ids"), [(TWO, ()), ((), (OTHER_ID,))])
def test_an_order_follows_the_carrier_order_that_lives(
    end: CarriersEnd, bought: tuple[NumberResult, ...], open_ids: tuple[CarrierOrderId, ...]
) -> None:
    """The one that it followed came to nothing."""
    assert others(end, bought, open_ids) == Acknowledged(OTHER_ID, None, instead_of=THEIR_ID)


def test_an_order_bought_twice_ends_with_every_number_and_both_carrier_orders() -> None:
    """And raises an alarm (`test_an_end_that_several_carrier_orders_bought_raises_an_alarm`)."""
    judged = others(PartlyFilled("PARTIAL", TWO, "2 of 3"), [ALL[2]])

    assert isinstance(judged, FilledWithErrors)
    assert (judged.numbers, judged.carrier_order_ids) == (ALL, (THEIR_ID, OTHER_ID))
