from dataclasses import replace
from datetime import timedelta

import pytest

from number_orders.orders.events import (
    CancelAsked,
    ClosedByPerson,
    CutShort,
    Event,
    Filled,
    Hurried,
    NotListed,
    Parked,
    PartlyFilled,
    ProvenAbsent,
    StillOpen,
    TakenAsItIs,
    WrittenOff,
)
from number_orders.orders.judgements import adds_information, choose_closing_event, judge_absence
from number_orders.orders.model import Kind, NumberResult, NumberState, State
from number_orders.orders.numbers import E164
from number_orders.orders.policy import CarrierPolicy
from tests.unit.orders.lifecycle_examples import (
    DURHAM,
    NOON,
    POLICY,
    RALEIGH,
    an_event,
    an_order,
    an_order_long_in_doubt,
    apply,
)

MINUTE = timedelta(minutes=1)
NOT_LISTED = NotListed("by reference")


@pytest.mark.parametrize(
    ("asks", "since", "verdict"),
    [
        (0, timedelta(hours=1), NotListed),
        (1, timedelta(hours=1), NotListed),
        (2, 5 * MINUTE - timedelta(microseconds=1), NotListed),
        (2, 5 * MINUTE, ProvenAbsent),
        (3, 5 * MINUTE, ProvenAbsent),
        (99, 4 * MINUTE, NotListed),
    ],
)
def test_absence_is_proven_by_enough_looks_over_enough_time(asks: int, since: timedelta, verdict: type[Event]) -> None:
    """Both are needed. The look being judged counts, and reaching the limit exactly is enough."""
    order = an_order(State.IN_DOUBT, losses=1, doubt_since=NOON - since, doubt_asks=asks)

    assert type(judge_absence(order, NOT_LISTED, now=NOON, policy=POLICY)) is verdict


@pytest.mark.parametrize("resend", [True, False])
@pytest.mark.parametrize(("shows", "verdict"), [(True, ProvenAbsent), (False, None)])
def test_an_order_that_was_never_sent_is_looked_for_once_after_the_patience(
    *, resend: bool, shows: bool, verdict: type[Event] | None
) -> None:
    """The ledger fell back in time. Where absence proves little, the list must at least show references of ours."""
    policy, looked = replace(POLICY, resend_when_absent=resend), replace(NOT_LISTED, shows_references=shows)
    order = an_order(State.IN_DOUBT, sends=0, doubt_since=NOON, history_lost_at=NOON)

    assert judge_absence(order, looked, now=NOON + 4 * MINUTE, policy=policy) == looked
    judged = judge_absence(order, looked, now=NOON + 5 * MINUTE, policy=policy)
    assert type(judged) is (ProvenAbsent if resend else verdict or Parked)


def test_the_patience_counts_from_the_fall_of_the_ledger() -> None:
    """What it has forgotten was sent until then, however old the doubt is that it remembers."""
    hour = timedelta(hours=1)
    order = an_order(State.IN_DOUBT, losses=1, doubt_since=NOON - hour, doubt_asks=9, history_lost_at=NOON)

    assert judge_absence(order, NOT_LISTED, now=NOON + 4 * MINUTE, policy=POLICY) == NOT_LISTED
    assert isinstance(judge_absence(order, NOT_LISTED, now=NOON + 5 * MINUTE, policy=POLICY), ProvenAbsent)


def test_doubt_without_a_beginning_has_begun_now() -> None:
    """No time has passed, however many looks there were."""
    order = an_order(State.IN_DOUBT, losses=1, doubt_asks=99)

    assert judge_absence(order, NOT_LISTED, now=NOON, policy=POLICY) == NOT_LISTED


@pytest.mark.parametrize(("losses", "verdict"), [(1, ProvenAbsent), (2, ProvenAbsent), (3, Parked), (4, Parked)])
def test_a_person_decides_after_too_many_lost_answers(losses: int, verdict: type[Event]) -> None:
    """Three orders that disappear without a trace are no accident."""
    weighed = judge_absence(an_order_long_in_doubt(losses=losses), NOT_LISTED, now=NOON, policy=POLICY)

    assert type(weighed) is verdict


def test_a_person_decides_where_the_policy_forbids_sending_again() -> None:
    """Some carriers' lists prove too little."""
    weighed = judge_absence(
        an_order_long_in_doubt(), NOT_LISTED, now=NOON, policy=CarrierPolicy(resend_when_absent=False)
    )

    assert isinstance(weighed, Parked)
    assert "by reference" in weighed.reason


def test_a_person_decides_where_the_prepared_cart_is_gone() -> None:
    """Nothing else would prevent a second purchase."""
    weighed = judge_absence(an_order_long_in_doubt(), NotListed("the cart", resend=False), now=NOON, policy=POLICY)

    assert isinstance(weighed, Parked)


def test_parking_needs_the_same_patience_as_sending_again() -> None:
    """An order is not parked before it was looked for often and long enough."""
    order = an_order(State.IN_DOUBT, losses=3, doubt_since=NOON - MINUTE, doubt_asks=2)
    weighed = judge_absence(order, NOT_LISTED, now=NOON, policy=CarrierPolicy(resend_when_absent=False))

    assert weighed == NOT_LISTED


def test_an_unchanged_status_adds_no_information() -> None:
    """A look that finds the order as it was needs no entry in the story."""
    order = an_order(State.OPEN, carrier_status="PROCESSING")

    assert not adds_information(order, StillOpen("PROCESSING"))
    assert adds_information(order, StillOpen("BACKORDERED"))
    assert adds_information(order, an_event(Filled))


def test_a_parked_order_found_at_the_carrier_adds_information() -> None:
    """Only for an open order is the same status nothing new."""
    assert adds_information(an_order(State.PARKED, carrier_status="PROCESSING"), StillOpen("PROCESSING"))


def test_new_numbers_add_information_under_the_same_status() -> None:
    """A backordered order may be filled number by number."""
    order = an_order(State.OPEN, carrier_status="BACKORDERED")
    some = an_event(PartlyFilled)
    assert isinstance(some, PartlyFilled)

    assert adds_information(order, StillOpen("BACKORDERED", some.numbers))


def test_the_reply_to_a_cancellation_adds_information_once() -> None:
    """Under the same status. Until the carrier replies, the reason says who cancelled."""
    order = apply(an_order(State.OPEN, carrier_status="NEW"), CancelAsked("crm")).order
    refusal = StillOpen("NEW", detail="too late")

    assert not adds_information(an_order(State.OPEN, carrier_status="NEW"), refusal)
    assert not adds_information(order, StillOpen("NEW"))
    assert adds_information(order, refusal)
    assert not adds_information(apply(order, refusal).order, refusal)


def test_hurrying_an_order_does_not_prove_its_absence() -> None:
    """However often it is hurried, the time that proves absence must pass."""
    order = an_order(State.IN_DOUBT, losses=1, doubt_since=NOON - 4 * MINUTE, doubt_asks=50)
    hurried = apply(order, Hurried("ana")).order

    assert isinstance(judge_absence(hurried, NOT_LISTED, now=NOON, policy=POLICY), NotListed)


RALEIGH_HELD = NumberResult(RALEIGH, NumberState.ACQUIRED)
OTHER_HELD = NumberResult(DURHAM, NumberState.USABLE)
WAITING = NumberResult(DURHAM, NumberState.REQUESTED, "TAINTED", "later")
CLOSED = "closed by ana: over"


@pytest.mark.parametrize(
    ("known", "event", "state", "left"),
    [
        ((), WrittenOff, State.FAILED, (RALEIGH, DURHAM)),
        ((WAITING,), WrittenOff, State.FAILED, (RALEIGH, DURHAM)),
        ((RALEIGH_HELD,), CutShort, State.PARTIAL, (DURHAM,)),
        ((RALEIGH_HELD, WAITING), CutShort, State.PARTIAL, (DURHAM,)),
        ((RALEIGH_HELD, OTHER_HELD), TakenAsItIs, State.COMPLETED_WITH_ERRORS, ()),
    ],
)
def test_closing_an_order_keeps_what_was_done(
    known: tuple[NumberResult, ...], event: type[ClosedByPerson], state: State, left: tuple[E164, ...]
) -> None:
    """What was bought stays bought. The rest is reported as failed, with who closed it and why."""
    order = an_order(State.PARKED)
    order = replace(order, request=replace(order.request, numbers=(RALEIGH, DURHAM)))
    closed = choose_closing_event(order, WrittenOff("ana", "over"), known)
    ended = apply(order, closed).order

    assert (type(closed), ended.state, ended.reason) == (event, state, "ana: over")
    numbers = () if isinstance(closed, TakenAsItIs) else closed.numbers
    assert numbers == tuple(NumberResult(e164, NumberState.FAILED, None, CLOSED) for e164 in left)


@pytest.mark.parametrize(("done", "event"), [(NumberState.RELEASED, CutShort), (NumberState.ACQUIRED, WrittenOff)])
def test_a_removal_has_done_a_number_when_it_is_released(done: NumberState, event: type[ClosedByPerson]) -> None:
    """A number that is still held was not given up."""
    order = an_order(State.PARKED)
    request = replace(order.request, kind=Kind.REMOVE_NUMBERS, numbers=(RALEIGH, DURHAM))

    assert (
        type(
            choose_closing_event(
                replace(order, request=request), WrittenOff("ana", "over"), [NumberResult(RALEIGH, done)]
            )
        )
        is event
    )
