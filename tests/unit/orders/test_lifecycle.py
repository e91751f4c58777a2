from dataclasses import replace
from datetime import timedelta
from typing import get_args

import pytest

from number_orders.orders.errors import IllegalTransition
from number_orders.orders.events import (
    EVENT_TYPES,
    AboutOneAttempt,
    Acknowledged,
    Adopted,
    AnswerLost,
    CalledBack,
    CancelAsked,
    CarrierNews,
    ClosedByPerson,
    Deferred,
    Event,
    Filled,
    FilledWithErrors,
    FoundTwice,
    HistoryLost,
    Hurried,
    Judgement,
    LookedAgain,
    NotListed,
    NotSent,
    NumbersAdopted,
    NumbersGivenUp,
    Parked,
    PartlyFilled,
    PartSettled,
    PersonsDecision,
    ProvenAbsent,
    Refused,
    Resolution,
    SentAgain,
    SetAside,
    StillOpen,
    SubmissionBegun,
    ToldAgain,
    WrittenOff,
)
from number_orders.orders.lifecycle import (
    ARCS,
    AT_REST,
    CHANGES_MAX,
    AfterTheEnd,
    AskCarrier,
    Effect,
    Step,
    SubmitOrder,
    TellProducer,
    next_ask,
)
from number_orders.orders.model import (
    FINAL_STATES,
    SETTLED,
    CarrierOrderId,
    Kind,
    Lane,
    NumberResult,
    NumberState,
    Order,
    State,
)
from number_orders.orders.policy import CarrierPolicy
from tests.unit.orders.lifecycle_examples import (
    EXAMPLES,
    NOON,
    OWED_IN,
    POLICY,
    RALEIGH,
    THEIR_ID,
    UNDER_WAY,
    an_event,
    an_order,
    an_order_long_in_doubt,
    apply,
    work_owed,
)

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)

PAIRS = [pytest.param(state, event, id=f"{state}-{event.__name__}") for state in State for event in EVENT_TYPES]
LEGAL = [
    pytest.param(state, event, target, id=f"{state}-{event.__name__}")
    for state, arcs in ARCS.items()
    for event, target in arcs.items()
]
RESTING = [state for state in State if state in AT_REST]
NEWS = [event for event in EVENT_TYPES if issubclass(event, CarrierNews)]
AFTER_THE_END = get_args(AfterTheEnd)
ENDS = {Filled: State.COMPLETED, PartlyFilled: State.PARTIAL, Refused: State.FAILED}


# The whole table


def test_there_is_one_example_of_every_event() -> None:
    """An event added later cannot be left out of the tests below."""
    assert sorted(type(event).__name__ for event in EXAMPLES) == sorted(event.__name__ for event in EVENT_TYPES)


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_every_state_with_every_event_is_legal_or_recorded_or_refused(state: State, event: type[Event]) -> None:
    """Each pair is an arc, late news, a late look, a reminder, or a bug that names order, state and event."""
    order = an_order(state)

    if event in ARCS.get(state, {}):
        step = apply(order, an_event(event))
        assert (step.order.state, step.late) == (ARCS[state][event], False)
    elif state.is_final and event in AFTER_THE_END:
        step = apply(order, an_event(event))
        assert (step.order.state, step.late) == (state, False)
    elif (state in AT_REST and event in NEWS) or event is ToldAgain:
        step = apply(order, an_event(event))
        assert (step.order.state, step.late) == (state, True)
    else:
        with pytest.raises(IllegalTransition, match=rf"{order.order_id} is {state}: {event.__name__} cannot"):
            apply(order, an_event(event))


@pytest.mark.parametrize("event", EVENT_TYPES)
def test_every_event_is_legal_in_some_state(event: type[Event]) -> None:
    """Nothing could ever raise an event without an arc."""
    assert any(event in arcs for arcs in ARCS.values()) or event in {*AFTER_THE_END, ToldAgain}


def test_every_state_can_be_reached_from_accepted() -> None:
    """No order could ever be in a state without a way in."""
    reached, frontier = {State.ACCEPTED}, {State.ACCEPTED}
    while frontier:
        frontier = {target for state in frontier for target in ARCS.get(state, {}).values()} - reached
        reached |= frontier

    assert reached == set(State)


@pytest.mark.parametrize("state", UNDER_WAY)
def test_the_carriers_end_ends_an_order_in_every_state_under_way(state: State) -> None:
    """It may arrive in each of them, even before the answer to the submission."""
    for event, end in ENDS.items():
        assert apply(an_order(state), an_event(event)).order.state is end


def test_states_at_rest_have_no_arc_for_news() -> None:
    """News at rest is recorded before the table is read, so such an arc would never be used."""
    assert not [(state, event) for state in AT_REST for event in ARCS.get(state, {}) if event in NEWS]


def test_final_states_have_no_arcs() -> None:
    """The end that the producer was told stays the end."""
    assert not FINAL_STATES & ARCS.keys()


def test_only_a_begun_submission_leads_to_submitting() -> None:
    """So the ledger knows of every request before it leaves."""
    ways_in = {(state, event) for state, arcs in ARCS.items() for event in arcs if arcs[event] is State.SUBMITTING}

    assert ways_in == {(State.ACCEPTED, SubmissionBegun)}


def test_an_order_in_doubt_is_sent_again_only_after_proof() -> None:
    """The attempt in doubt reports that nothing left, or the order is proven absent."""
    ways = {event for event, target in ARCS[State.IN_DOUBT].items() if target is State.ACCEPTED}

    assert ways == {NotSent, Deferred, ProvenAbsent}


@pytest.mark.parametrize(("state", "event", "target"), LEGAL)
def test_an_arc_owes_the_work_of_the_state_it_leads_to(state: State, event: type[Event], target: State) -> None:
    """Under way exactly one piece of work, at rest none but a late look: no order is forgotten."""
    step = apply(an_order(state), an_event(event))
    late_look = (Lane.ASK,) if issubclass(event, ClosedByPerson) else ()

    assert work_owed(step.effects) == ((OWED_IN[target],) if target in OWED_IN else late_look)


@pytest.mark.parametrize(("state", "event", "target"), LEGAL)
def test_an_arc_adds_one_to_the_version_and_stores_when_the_order_ended(
    state: State, event: type[Event], target: State
) -> None:
    """The version guards the ledger's update. Only an order that ended has `ended_at`."""
    before = an_order(state)
    after = apply(before, an_event(event)).order

    assert after.version == before.version + 1
    assert after.ended_at == (NOON if target in FINAL_STATES else None)
    assert (after.order_id, after.request, after.accepted_at) == (before.order_id, before.request, before.accepted_at)


# One submission


def test_a_begun_submission_owes_a_question_after_the_last_possible_answer() -> None:
    """It is owed before the request leaves, so it survives a crash."""
    step = apply(an_order(sends=2), SubmissionBegun())

    assert (step.order.state, step.order.sends) == (State.SUBMITTING, 3)
    assert [effect.not_before for effect in step.effects] == [NOON + POLICY.answer_within]


def test_a_submission_begun_twice_is_in_doubt_and_counts_as_one_send() -> None:
    """The worker died with it. Only the carrier knows whether the request arrived."""
    step = apply(an_order(State.SUBMITTING), SubmissionBegun())

    assert (step.order.state, step.order.sends, step.order.losses) == (State.IN_DOUBT, 1, 1)


@pytest.mark.parametrize(("sends", "pause"), [(1, 2), (2, 4), (3, 8), (8, 256), (9, 300), (1000, 300)])
def test_an_order_that_was_not_sent_waits_longer_each_time(sends: int, pause: int) -> None:
    """The pause doubles up to its maximum, shortened by at most a tenth."""
    (effect,) = apply(an_order(State.SUBMITTING, sends=sends), NotSent("connection refused")).effects

    assert isinstance(effect, SubmitOrder)
    assert 0.9 * pause * SECOND <= effect.not_before - NOON <= pause * SECOND
    assert effect.reason == "connection refused"


def test_no_request_is_sent_before_the_time_that_the_carrier_gave() -> None:
    """HTTP 429 with a time."""
    back_at = NOON + timedelta(hours=1)
    (effect,) = apply(an_order(State.SUBMITTING), NotSent("too many requests", not_before=back_at)).effects

    assert effect == SubmitOrder(back_at, "too many requests")


def test_a_carrier_cannot_shorten_our_pause() -> None:
    """A time in the past would make a tight loop."""
    (effect,) = apply(an_order(State.SUBMITTING), NotSent("too many requests", not_before=NOON)).effects

    assert effect.not_before > NOON


def test_the_answer_brings_the_carrier_order_id() -> None:
    """From now on the carrier is asked about this id."""
    order = apply(an_order(State.SUBMITTING), Acknowledged(THEIR_ID, "RECEIVED")).order

    assert (order.state, order.carrier_order_id, order.carrier_status) == (State.OPEN, THEIR_ID, "RECEIVED")


def test_an_answer_without_a_status_keeps_the_known_status() -> None:
    """A missing status says nothing."""
    order = an_order(State.OPEN, carrier_order_id=THEIR_ID, carrier_status="RECEIVED")

    assert apply(order, Acknowledged(THEIR_ID)).order.carrier_status == "RECEIVED"


# Doubt


def test_a_lost_answer_is_asked_about_before_anything_is_sent_again() -> None:
    """When a carrier does not answer, it is asked. The order is never sent again without knowing."""
    step = apply(an_order(State.SUBMITTING), AnswerLost("timed out"), attempt_number=1)

    assert step.order.state is State.IN_DOUBT
    assert (step.order.losses, step.order.doubt_since, step.order.doubt_asks) == (1, NOON, 0)
    assert step.effects == (AskCarrier(NOON + POLICY.doubt_first, "asking the carrier whether it arrived"),)


def test_a_lost_answer_is_counted_once() -> None:
    """A worker thought dead reports late what was assumed. The doubt starts again; the loss is counted already."""
    order = an_order(State.IN_DOUBT, losses=1, doubt_since=NOON - MINUTE, doubt_asks=2)
    after = apply(order, AnswerLost("timed out"), attempt_number=1).order

    assert (after.losses, after.doubt_since, after.doubt_asks) == (1, NOON, 0)


@pytest.mark.parametrize(("asked", "pause"), [(0, 10), (1, 20), (3, 80), (4, 160), (5, 300), (60, 300)])
def test_an_order_in_doubt_is_asked_about_at_growing_pauses(asked: int, pause: int) -> None:
    """Five seconds at first, doubling with every look in vain, at most five minutes."""
    order = an_order(State.IN_DOUBT, doubt_since=NOON, doubt_asks=asked)
    step = apply(order, NotListed("by reference"))

    assert step.order.doubt_asks == asked + 1
    assert [effect.not_before - NOON for effect in step.effects] == [pause * SECOND]


def test_an_order_proven_absent_is_sent_again_at_once() -> None:
    """It has waited long enough. The reason says why it is sent again."""
    step = apply(an_order_long_in_doubt(), ProvenAbsent("by reference"))

    assert step.effects == (SubmitOrder(NOON, "it never arrived (by reference), so it is sent again"),)


def test_two_carrier_orders_with_our_reference_park_the_order() -> None:
    """The first is adopted, and the reason names both."""
    both = (THEIR_ID, CarrierOrderId("77659f47"))
    order = apply(an_order(State.IN_DOUBT), FoundTwice(both)).order

    assert (order.state, order.carrier_order_id) == (State.PARKED, THEIR_ID)
    assert order.reason
    assert all(name in order.reason for name in both)


# Answers to old attempts


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", [event for event in EVENT_TYPES if issubclass(event, AboutOneAttempt)])
@pytest.mark.parametrize("attempt_number", [1, 3])
def test_an_answer_to_another_attempt_moves_nothing(state: State, event: type[Event], attempt_number: int) -> None:
    """What became of attempt 1 says nothing about attempt 2, under way or over."""
    before = an_order(state, sends=2)
    step = apply(before, an_event(event), attempt_number=attempt_number)

    assert (step.order.state, step.late, step.effects) == (state, True, ())
    assert step.order.version == before.version + 1


@pytest.mark.parametrize("state", UNDER_WAY)
def test_an_old_attempt_that_was_acknowledged_opens_the_order(state: State) -> None:
    """The carrier has the order, whichever attempt brought it there."""
    step = apply(an_order(state, sends=2), Acknowledged(THEIR_ID), attempt_number=1)

    assert (step.order.state, step.order.carrier_order_id) == (State.OPEN, THEIR_ID)


# Open orders


def test_an_order_just_acknowledged_is_asked_about_soon() -> None:
    """Most orders are done within seconds."""
    (effect,) = apply(an_order(State.SUBMITTING), Acknowledged(THEIR_ID)).effects

    assert 0.9 * POLICY.ask_first <= effect.not_before - NOON <= POLICY.ask_first


def test_an_order_adopted_by_a_person_is_asked_about_at_once() -> None:
    """A person is waiting to see it move."""
    step = apply(an_order(State.PARKED), Adopted(THEIR_ID, "ana", "seen in the dashboard"))

    assert step.order.carrier_order_id == THEIR_ID
    assert step.effects == (AskCarrier(NOON, "ana: seen in the dashboard"),)


def test_an_open_order_shows_the_carriers_status() -> None:
    """People read it in the reason."""
    order = apply(an_order(State.OPEN), StillOpen("BACKORDERED", slow=True)).order

    assert (order.carrier_status, order.reason) == ("BACKORDERED", "the carrier says BACKORDERED")


@pytest.mark.parametrize("slow", [True, False])
def test_an_order_that_has_not_moved_is_asked_about_a_little_later(*, slow: bool) -> None:
    """The second pause, 3.2 s. `slow` raises the maximum, not the first pauses: review may be over in a minute."""
    (effect,) = apply(an_order(State.OPEN), StillOpen("RECEIVED", slow=slow)).effects

    assert 0.9 * 3.2 * SECOND <= effect.not_before - NOON <= 3.2 * SECOND


def test_a_detail_from_the_carrier_becomes_the_reason() -> None:
    """The carrier's explanation says more than its status."""
    order = apply(an_order(State.OPEN), StillOpen("RECEIVED", detail="5019: pending review")).order

    assert order.reason == "5019: pending review"


@pytest.mark.parametrize("asked", [0, 1, 2, 5, 9])
def test_pauses_grow_by_the_factor(asked: int) -> None:
    """Two seconds at first, 1.6 times longer each time, shortened by at most a tenth."""
    pause = next_ask(an_order(State.OPEN), asked, slow=False, now=NOON, policy=POLICY).not_before - NOON
    whole = 2 * SECOND * 1.6**asked

    assert 0.9 * whole <= pause <= whole


@pytest.mark.parametrize(("slow", "ceiling"), [(False, POLICY.ask_max), (True, POLICY.slow_ask_max)])
@pytest.mark.parametrize("factor", [1.6, 2.0, 10.0])
@pytest.mark.parametrize("asked", [40, 64, 65, 1_000_000])
def test_pauses_stop_growing_at_the_maximum(*, slow: bool, ceiling: timedelta, factor: float, asked: int) -> None:
    """An order may stay backordered for weeks: it is asked about at the longest pause, and nothing overflows."""
    policy = CarrierPolicy(ask_factor=factor)
    pause = next_ask(an_order(State.OPEN), asked, slow=slow, now=NOON, policy=policy).not_before - NOON

    assert 0.9 * ceiling <= pause <= ceiling


def test_orders_acknowledged_together_are_asked_about_at_different_times() -> None:
    """A hundred orders spread out, and a replay gives the same times."""

    def due() -> list[timedelta]:
        orders = [an_order(State.OPEN, number=number) for number in range(100)]
        return [next_ask(order, 9, slow=False, now=NOON, policy=POLICY).not_before - NOON for order in orders]

    assert len(set(due())) == 100
    assert due() == due()


# People


def test_an_order_cancelled_before_it_was_sent_is_cancelled() -> None:
    """Nothing was sent, so nothing can have been bought."""
    order = apply(an_order(), CancelAsked("crm", "typed twice")).order

    assert (order.state, order.reason) == (State.CANCELLED, "crm: typed twice")


def test_a_decision_without_a_reason_names_the_person() -> None:
    """The story shows who asked."""
    assert apply(an_order(), CancelAsked("crm")).order.reason == "by crm"


@pytest.mark.parametrize("state", [state for state in State if state not in {State.ACCEPTED, State.OPEN}])
def test_an_order_that_may_have_been_sent_cannot_be_cancelled(state: State) -> None:
    """What may have been bought stays bought, whatever we decide."""
    with pytest.raises(IllegalTransition):
        apply(an_order(state), CancelAsked("crm"))


def test_cancelling_an_open_order_asks_the_carrier_at_once() -> None:
    """The order stays open, since only the carrier knows its end, and remembers that it is not wanted."""
    step = apply(an_order(State.OPEN, carrier_order_id=THEIR_ID), CancelAsked("crm", "typed twice"))

    assert (step.order.state, step.order.cancel_asked_at) == (State.OPEN, NOON)
    assert step.effects == (AskCarrier(NOON, "crm: typed twice"),)


def test_sending_an_order_again_withdraws_its_cancellation() -> None:
    """A person overruled the cancellation from before it was parked."""
    parked = replace(an_order(State.PARKED), cancel_asked_at=NOON - MINUTE)

    assert apply(parked, SentAgain("ops", "nothing was bought")).order.cancel_asked_at is None
    assert apply(parked, Adopted(THEIR_ID, "ops", "seen")).order.cancel_asked_at == NOON - MINUTE


@pytest.mark.parametrize("state", [State.ACCEPTED, State.IN_DOUBT, State.OPEN])
def test_an_order_parked_by_a_person_keeps_its_serial_lock(state: State) -> None:
    """No work is owed to it. What it may have bought could be taken for the purchase of another order."""
    order = an_order(state, carrier_order_id=THEIR_ID, doubt_since=NOON, progress={"cart_id": "01J"})
    step = apply(order, SetAside("ana", "it does not move"))

    assert (step.order.state, step.order.reason) == (State.PARKED, "ana: it does not move")
    assert (step.order.carrier_order_id, step.order.progress) == (THEIR_ID, {"cart_id": "01J"})
    assert (work_owed(step.effects), step.releases_serial_lock) == ((), False)


def test_an_order_being_sent_cannot_be_parked_by_a_person() -> None:
    """The answer would come to an order that nothing can move any more."""
    with pytest.raises(IllegalTransition):
        apply(an_order(State.SUBMITTING), SetAside("ana", "now"))


@pytest.mark.parametrize(
    ("state", "owed"),
    [(State.ACCEPTED, SubmitOrder), (State.IN_DOUBT, AskCarrier), (State.OPEN, AskCarrier)],
)
def test_a_hurried_order_is_due_now_and_otherwise_unchanged(state: State, owed: type[Effect]) -> None:
    """State, reason and counters stay."""
    order = replace(an_order(state, doubt_since=NOON - MINUTE, doubt_asks=2), reason="the carrier says RECEIVED")
    step = apply(order, Hurried("ana", "the customer calls"))

    assert step.order == replace(order, version=order.version + 1)
    assert [(type(effect), effect.not_before) for effect in step.effects] == [(owed, NOON)]


@pytest.mark.parametrize("state", State)
def test_a_person_can_have_the_producer_notified_again_in_every_state(state: State) -> None:
    """The story records who asked, the notification is due, and the order does not move."""
    order = an_order(state)
    step = apply(order, ToldAgain("ana", "the queue was lost"))

    assert step.order == replace(order, version=order.version + 1)
    assert step.effects == (TellProducer(NOON, "ana: the queue was lost"),)
    assert apply(an_order(state, notify_on=None), ToldAgain("ana")).effects == ()


def test_adopting_another_carrier_order_discards_the_steps_of_the_first() -> None:
    """Under the known id the order goes on where it was."""
    order = an_order(State.PARKED, carrier_order_id=THEIR_ID, progress={"found": ["+1"], SETTLED: {"numbers": ["+2"]}})
    other = CarrierOrderId("77659f47")

    assert apply(order, Adopted(THEIR_ID, "ana", "seen")).order.progress == order.progress
    assert apply(order, Adopted(other, "ana", "seen")).order.progress == {SETTLED: {"numbers": ["+2"]}}
    assert apply(replace(order, carrier_order_id=None), Adopted(other, "ana", "seen")).order.progress == order.progress


def test_following_a_carrier_order_instead_of_another_discards_the_steps_of_the_first() -> None:
    """What was asked of the first, as to cancel it, was not asked of the second."""
    order = an_order(State.OPEN, carrier_order_id=THEIR_ID, progress={"asked": "yes", SETTLED: {"numbers": ["+2"]}})
    instead = Acknowledged(OTHER_ID, "accepted", instead_of=THEIR_ID)

    assert apply(order, instead).order.progress == {SETTLED: {"numbers": ["+2"]}}
    assert apply(order, Acknowledged(THEIR_ID)).order.progress == order.progress


def test_carrier_orders_of_a_removal_have_one_part() -> None:
    order = an_order(State.OPEN, carrier_order_id=THEIR_ID, progress={"part": ["+1"]})
    order = replace(order, request=replace(order.request, kind=Kind.REMOVE_NUMBERS))

    assert apply(order, Acknowledged(OTHER_ID, instead_of=THEIR_ID)).order.progress == order.progress


def test_an_order_that_the_carrier_cancelled_is_cancelled() -> None:
    """With the carrier's reason and status."""
    order = apply(an_order(State.OPEN), CalledBack("closed", "CANCELLED")).order

    assert (order.state, order.reason, order.carrier_status) == (State.CANCELLED, "closed", "CANCELLED")


# Rules of the carrier, and orders in parts


def test_an_order_held_back_by_a_rule_is_due_when_the_rule_allows_it() -> None:
    """Exactly then: no pause of ours is added, however often it was tried."""
    step = apply(an_order(State.SUBMITTING, sends=9), Deferred("tainted", NOON + 31 * MINUTE), attempt_number=9)

    assert step.order.state is State.ACCEPTED
    assert step.effects == (SubmitOrder(NOON + 31 * MINUTE, "tainted"),)


def test_an_order_held_back_until_now_is_due_now() -> None:
    """A moment in the past is not waited for."""
    (effect,) = apply(an_order(State.SUBMITTING), Deferred("tainted", NOON - MINUTE)).effects

    assert effect == SubmitOrder(NOON, "tainted")


@pytest.mark.parametrize("progress", [{}, {SETTLED: {"numbers": ["+1"]}}])
def test_a_deferred_attempt_keeps_only_the_settled_part(progress: dict[str, object]) -> None:
    """The next attempt makes its own cart and does not repeat what is done."""
    order = an_order(State.SUBMITTING, progress={"cart_id": "01J", **progress})

    assert apply(order, Deferred("tainted", NOON)).order.progress == progress


def in_parts(state: State) -> Order:
    return an_order(state, sends=2, carrier_status="COMPLETED", progress={SETTLED: {"numbers": ["+1"]}})


def test_the_rest_of_an_order_is_submitted_separately() -> None:
    """As another carrier order, with the settled part kept."""
    order = an_order(State.OPEN, carrier_order_id=THEIR_ID, progress={"cart_id": "01J"})
    step = apply(order, an_event(PartSettled))

    assert (step.order.state, step.order.carrier_order_id) == (State.ACCEPTED, None)
    assert step.order.progress == {SETTLED: {"numbers": ["+19195550100"]}}
    assert step.effects == (SubmitOrder(NOON + 31 * MINUTE, "the other is tainted"),)


@pytest.mark.parametrize("event", [Refused("no such number", "404"), CalledBack("dropped")])
def test_no_end_of_the_rest_undoes_the_settled_part(event: Event) -> None:
    """An order of which something was done has not failed and was not cancelled."""
    step = apply(in_parts(State.OPEN), event)

    assert step.order.state is State.PARTIAL
    assert isinstance(step.event, PartlyFilled)


@pytest.mark.parametrize(
    ("state", "event", "end"),
    [
        (State.OPEN, Refused("no such number", "404"), State.FAILED),
        (State.OPEN, CalledBack("dropped"), State.CANCELLED),
        (State.ACCEPTED, CancelAsked("ana"), State.CANCELLED),
    ],
)
def test_a_settled_part_in_which_nothing_was_done_does_not_count(state: State, event: Event, end: State) -> None:
    """The carrier ended an order and did nothing of it: the settled part is empty."""
    order = replace(in_parts(state), progress={SETTLED: {}})

    assert apply(order, event).order.state is end


def test_an_old_attempts_refusal_does_not_end_the_rest() -> None:
    """Whether an answer belongs to an old attempt is checked first."""
    step = apply(in_parts(State.SUBMITTING), Refused("no such number"), attempt_number=1)

    assert (step.order.state, step.late) == (State.SUBMITTING, True)


def test_the_rest_can_be_cancelled() -> None:
    """What was done before stays done, and the reason says so."""
    step = apply(in_parts(State.ACCEPTED), CancelAsked("crm", "keep it"))

    assert step.order.state is State.PARTIAL
    assert step.order.reason == "the rest was called back by crm: keep it"


@pytest.mark.parametrize(
    ("event", "ends"),
    [
        (StillOpen("COMPLETED"), False),
        (StillOpen("COMPLETED", alone=False), True),
        (an_event(PartSettled), True),
        (an_event(Filled), True),
        (CancelAsked("crm"), False),
    ],
)
def test_a_step_releases_the_serial_lock_when_the_order_no_longer_needs_it(event: Event, *, ends: bool) -> None:
    """Until then, orders that could be taken for it wait."""
    assert apply(an_order(State.OPEN, carrier_order_id=THEIR_ID), event).releases_serial_lock is ends


def test_late_news_releases_no_serial_lock() -> None:
    """The lock was released when the order ended; another order may hold it now."""
    assert not apply(an_order(State.COMPLETED), an_event(Filled)).releases_serial_lock


def test_a_parked_order_is_sent_again_at_once_when_a_person_says_so() -> None:
    """The reason is what the person wrote."""
    step = apply(an_order(State.PARKED), SentAgain("ana", "not in the dashboard"))

    assert step.effects == (SubmitOrder(NOON, "ana: not in the dashboard"),)


def test_a_parked_order_can_be_written_off() -> None:
    """It ends as FAILED, and the producer is notified."""
    step = apply(an_order(State.PARKED, sends=0), WrittenOff("ana", "the customer went away"))

    assert step.order.state is State.FAILED
    assert step.effects == (TellProducer(NOON),)


def test_a_persons_decision_is_void_once_the_order_has_moved() -> None:
    """The person saw the order as it stood, and sending again costs money."""
    closings = {event for event in EVENT_TYPES if issubclass(event, ClosedByPerson)}
    assert set(get_args(Resolution)) | closings == set(ARCS[State.PARKED])
    assert all(issubclass(event, PersonsDecision) and issubclass(event, Judgement) for event in ARCS[State.PARKED])


# Late news


@pytest.mark.parametrize("state", RESTING)
@pytest.mark.parametrize("event", NEWS)
def test_late_news_adds_one_to_the_version_and_changes_nothing_else(state: State, event: type[Event]) -> None:
    """The story gets one more event, and no work is owed for it. Another carrier order that it names is kept."""
    before = an_order(state, carrier_order_id=THEIR_ID, carrier_status="COMPLETE")
    step = apply(before, an_event(event))
    named = tuple(one for one in getattr(step.event, "carrier_order_ids", ()) if one != THEIR_ID)

    kept = replace(before, version=before.version + 1, other_ids=named if isinstance(step.event, FoundTwice) else ())
    assert step == Step(kept, step.event, (), late=True, contradicts=step.contradicts)


@pytest.mark.parametrize("state", [state for state in State if state.is_final])
@pytest.mark.parametrize("event", ENDS)
def test_late_news_of_another_end_raises_an_alarm(state: State, event: type[Event]) -> None:
    """The carrier contradicts what the producer was told. The same end again raises none."""
    assert apply(an_order(state), an_event(event)).contradicts is (ENDS[event] is not state)


@pytest.mark.parametrize(
    ("state", "alarm"),
    [(State.FAILED, True), (State.CANCELLED, True), (State.COMPLETED, False), (State.PARTIAL, False)],
)
def test_an_acknowledgement_after_failed_or_cancelled_raises_an_alarm(*, state: State, alarm: bool) -> None:
    """The carrier has an order that ended here without a purchase: somebody may be paying for it."""
    order = an_order(state, carrier_order_id=None if alarm else THEIR_ID)

    assert apply(order, Acknowledged(THEIR_ID)).contradicts is alarm


@pytest.mark.parametrize("event", NEWS)
def test_late_news_for_a_parked_order_raises_no_alarm(event: type[Event]) -> None:
    """The producer was told no end yet. The news is evidence for the person who decides."""
    assert not apply(an_order(State.PARKED), an_event(event)).contradicts


def test_an_acknowledgement_with_the_known_id_raises_no_alarm() -> None:
    """The carrier accepted the order and then refused it: hearing the same id again is no purchase."""
    order = an_order(State.FAILED, carrier_order_id=THEIR_ID)

    assert not apply(order, Acknowledged(THEIR_ID)).contradicts


# Answers about another carrier order

OTHER_ID = CarrierOrderId("77659f47")


@pytest.mark.parametrize("event", [Refused("no such site", "5016"), an_event(Filled), StillOpen("RECEIVED")])
def test_an_answer_about_another_carrier_order_moves_nothing(event: Event) -> None:
    """Two questions were out at once; meanwhile the order follows another carrier order, which lives."""
    before = an_order(State.OPEN, carrier_order_id=OTHER_ID)
    step = apply(before, event, about=THEIR_ID)

    assert (step.order, step.late, step.effects) == (replace(before, version=before.version + 1), True, ())
    assert step.bought_elsewhere is isinstance(event, Filled)


def test_an_answer_about_the_carrier_order_that_is_followed_counts() -> None:
    """It is the usual case."""
    order = an_order(State.OPEN, carrier_order_id=THEIR_ID)

    assert apply(order, Refused("no such site", "5016"), about=THEIR_ID).order.state is State.FAILED


def test_a_number_released_by_another_carrier_order_was_not_bought_twice() -> None:
    """A removal buys nothing."""
    order = replace(an_order(State.OPEN, carrier_order_id=OTHER_ID), request=REMOVAL)
    released = Filled("COMPLETED", (NumberResult(RALEIGH, NumberState.RELEASED),))

    assert not apply(order, released, about=THEIR_ID).bought_elsewhere


def test_an_end_that_several_carrier_orders_bought_raises_an_alarm() -> None:
    """The end names them."""
    end = FilledWithErrors("COMPLETE", (), "bought twice", (THEIR_ID, OTHER_ID))
    order = an_order(State.OPEN, carrier_order_id=THEIR_ID)

    assert apply(order, end).bought_elsewhere
    assert not apply(order, replace(end, carrier_order_ids=())).bought_elsewhere


# A ledger that fell back in time


@pytest.mark.parametrize("ago", [timedelta(0), MINUTE, timedelta(hours=1)])
def test_an_order_that_may_be_forgotten_is_looked_for_when_the_patience_since_the_fall_is_over(ago: timedelta) -> None:
    step = apply(an_order(), HistoryLost(NOON - ago))

    (effect,) = step.effects
    assert isinstance(effect, AskCarrier)
    assert effect.not_before == max(NOON, NOON - ago + POLICY.doubt_patience)
    assert step.order.doubt_since == step.order.history_lost_at == NOON - ago
    assert step.order.was_doubted_since(NOON - ago)
    assert not step.order.history_in_doubt
    assert step.order.may_have_arrived
    assert not step.releases_serial_lock


def test_the_history_of_an_order_is_in_doubt_until_it_is_looked_for() -> None:
    """Of a purchase: a removal that is done twice harms nobody."""
    order = an_order(State.OPEN, carrier_order_id=THEIR_ID, history_lost_at=NOON)

    assert order.history_in_doubt
    assert not replace(order, doubt_since=NOON).history_in_doubt
    assert replace(order, doubt_since=NOON - MINUTE).history_in_doubt
    assert not replace(order, history_lost_at=None).history_in_doubt
    assert not replace(order, request=replace(order.request, kind=Kind.REMOVE_NUMBERS)).history_in_doubt


# Late looks

LATE = AskCarrier(NOON + POLICY.late_look_after, "late look: did the carrier buy more than is known?")
REMOVAL = replace(an_order().request, kind=Kind.REMOVE_NUMBERS)


def a_day_ago(order: Order) -> Order:
    return replace(order, ended_at=NOON - POLICY.late_look_after)


@pytest.mark.parametrize(
    ("sends", "doubted", "owed"),
    [(1, False, False), (1, True, False), (2, False, False), (2, True, True), (3, True, True)],
)
def test_an_order_sent_again_in_doubt_owes_a_late_look(*, sends: int, doubted: bool, owed: bool) -> None:
    """The carrier's list may lag beyond our patience. Attempts that provably did not arrive buy nothing."""
    doubt_since = NOON - MINUTE if doubted else None
    order = an_order(State.OPEN, sends=sends, doubt_since=doubt_since, carrier_order_id=THEIR_ID)

    assert (LATE in apply(order, an_event(Filled)).effects) is owed
    assert LATE not in apply(replace(order, request=REMOVAL), an_event(Filled)).effects


def test_an_order_sent_after_the_ledger_fell_back_owes_a_late_look() -> None:
    """What the ledger has forgotten may be listed beyond our patience, also if it knows of no attempt at all."""
    order = an_order(State.OPEN, sends=1, carrier_order_id=THEIR_ID, history_lost_at=NOON - MINUTE)

    assert LATE in apply(order, an_event(Filled)).effects
    assert LATE in apply(replace(order, sends=0), an_event(Filled)).effects
    assert LATE not in apply(replace(order, history_lost_at=None), an_event(Filled)).effects
    assert LATE not in apply(replace(order, request=REMOVAL), an_event(Filled)).effects


def test_an_order_sent_again_by_a_person_owes_a_late_look() -> None:
    """Also if no answer was lost: the person judged what became of the first attempt."""
    order = an_order(State.PARKED, carrier_order_id=THEIR_ID)
    for event in (SentAgain("ana", "nothing was bought"), SubmissionBegun()):
        order = apply(order, event).order

    assert LATE in apply(order, an_event(Filled)).effects


@pytest.mark.parametrize("event", [event for event in EVENT_TYPES if issubclass(event, ClosedByPerson)])
def test_an_order_closed_by_a_person_owes_a_late_look_if_it_was_sent(event: type[Event]) -> None:
    """The carrier may still buy, as a backorder does."""
    assert LATE in apply(an_order(State.PARKED, sends=1), an_event(event)).effects
    assert LATE not in apply(an_order(State.PARKED, sends=0), an_event(event)).effects


@pytest.mark.parametrize("state", [state for state in State if state.is_final])
def test_a_late_look_that_finds_numbers_keeps_the_end_and_tells_the_producer(state: State) -> None:
    """The reason says what was found, and an alarm is raised."""
    before = a_day_ago(
        replace(an_order(state, carrier_order_id=THEIR_ID, carrier_status="COMPLETE"), reason="no stock")
    )
    event = an_event(LookedAgain)
    assert isinstance(event, LookedAgain)
    step = apply(before, event)

    assert step.order == replace(before, version=before.version + 1, reason=f"no stock; {event.detail}")
    assert apply(replace(before, reason=None), event).order.reason == event.detail
    assert (step.effects, step.late, step.bought_elsewhere) == ((TellProducer(NOON),), False, True)
    assert apply(a_day_ago(an_order(state, notify_on=None)), event).effects == ()
    assert apply(a_day_ago(an_order(state, notify_on={State.PARKED})), event).effects == ()


def test_a_late_look_that_finds_nothing_changes_nothing() -> None:
    """No more work is owed."""
    before = a_day_ago(replace(an_order(State.FAILED), reason="no stock"))
    step = apply(before, LookedAgain("nothing else"))

    assert (step.order, step.effects) == (replace(before, version=before.version + 1), ())
    assert not step.bought_elsewhere


def test_a_late_look_is_repeated_while_a_carrier_order_is_open() -> None:
    """A backorder may buy after weeks."""
    found = LookedAgain("still open", (OTHER_ID,), look_again=True)

    again = AskCarrier(NOON + POLICY.late_look_after, "still open")
    assert apply(a_day_ago(an_order(State.FAILED)), found).effects == (again,)


@pytest.mark.parametrize("look_again", [False, True])
def test_a_late_look_that_a_person_hurried_does_not_replace_that_of_its_day(*, look_again: bool) -> None:
    """The carrier's list may lag for hours."""
    ended = replace(an_order(State.FAILED), ended_at=NOON - MINUTE)
    owed = AskCarrier(NOON - MINUTE + POLICY.late_look_after, LATE.reason)
    assert apply(ended, LookedAgain("nothing else", look_again=look_again)).effects == (owed,)


def test_carrier_orders_with_its_reference_are_kept_until_the_end() -> None:
    """Their numbers count when the order that it follows ends, and a late look is owed."""
    found = apply(an_order(State.IN_DOUBT, sends=1), FoundTwice((THEIR_ID, OTHER_ID))).order
    assert (found.carrier_order_id, found.other_ids, found.may_have_others) == (THEIR_ID, (OTHER_ID,), True)
    adopted = apply(found, Adopted(OTHER_ID, "ana", "that one")).order
    assert (adopted.carrier_order_id, adopted.other_ids) == (OTHER_ID, (THEIR_ID,))
    assert LATE in apply(adopted, an_event(Filled)).effects
    assert apply(found, SentAgain("ana", "nothing bought")).order.other_ids == (OTHER_ID,)


def test_what_answers_too_late_is_a_carrier_order_to_be_looked_at() -> None:
    """The order is parked already. Sent again, it would be bought twice."""
    late = apply(an_order(State.PARKED, sends=1), Acknowledged(THEIR_ID, "RECEIVED")).order
    assert (late.state, late.carrier_order_id, late.other_ids) == (State.PARKED, None, (THEIR_ID,))
    other_content = apply(an_order(State.IN_DOUBT), Parked("ordered with something else", THEIR_ID)).order
    assert other_content.other_ids == (THEIR_ID,)


def test_an_order_cancelled_after_a_doubt_owes_a_late_look() -> None:
    """It never arrived, as far as the list says, which may lag."""
    doubted = an_order(State.ACCEPTED, sends=1, doubt_since=NOON - MINUTE)
    assert LATE in apply(doubted, CancelAsked("crm")).effects
    assert LATE not in apply(an_order(State.ACCEPTED), CancelAsked("crm")).effects


def test_a_person_can_have_the_late_look_made_now() -> None:
    """The order stays as it is."""
    before = an_order(State.FAILED)
    step = apply(before, Hurried("ana", "the bill is higher"))

    assert step.order == replace(before, version=before.version + 1)
    assert step.effects == (AskCarrier(NOON, "hurried: ana: the bill is higher"),)


@pytest.mark.parametrize("state", [state for state in State if state.is_final])
@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (NumbersAdopted, "1 number adopted by ana: on the bill"),
        (NumbersGivenUp, "1 number given up by ana: removed in the dashboard"),
    ],
)
def test_a_decision_about_numbers_keeps_the_end_and_tells_the_producer(
    state: State, event: type[Event], reason: str
) -> None:
    """No alarm is raised, since a person knows it, and a late look that is owed stays owed."""
    before = replace(an_order(state), reason="no stock")
    step = apply(before, an_event(event))

    assert step.order == replace(before, version=before.version + 1, reason=f"no stock; {reason}")
    assert apply(replace(before, reason=None), an_event(event)).order.reason == reason
    assert (step.effects, step.late, step.keeps_work) == ((TellProducer(NOON),), False, True)
    assert not step.bought_elsewhere
    assert apply(an_order(state, notify_on={State.PARKED}), an_event(event)).effects == ()


def test_another_step_says_itself_what_is_owed_next() -> None:
    """It replaces the work that was owed before; late news leaves it alone."""
    assert apply(an_order(State.FAILED), an_event(Filled)).keeps_work
    assert not apply(an_order(State.FAILED), an_event(LookedAgain)).keeps_work
    assert not apply(an_order(State.OPEN, carrier_order_id=THEIR_ID), an_event(Filled)).keeps_work


# A status that flips


def test_a_status_that_keeps_changing_is_asked_about_ever_more_slowly() -> None:
    """Like one that never changes: by then a change is no progress."""
    order, pauses = an_order(State.OPEN, carrier_order_id=THEIR_ID), []
    for look in range(60):
        step = apply(order, StillOpen(("RECEIVED", "PROCESSING")[look % 2]))
        order, (effect,) = step.order, step.effects
        pauses.append(effect.not_before - NOON)

    assert max(pauses[:10]) <= 3.2 * SECOND
    assert min(pauses[-10:]) >= 0.9 * POLICY.ask_max


def test_attempts_and_looks_in_vain_are_no_changes() -> None:
    """After an outage of hours an order that is under way at last is asked about soon."""
    sends, asks = 40, 9
    order = an_order(State.OPEN, sends=sends, doubt_asks=asks, carrier_order_id=THEIR_ID)
    order = replace(order, version=2 * sends + asks + CHANGES_MAX)
    (effect,) = apply(order, StillOpen("PROCESSING")).effects

    assert effect.not_before - NOON <= 3.2 * SECOND


# Notifying the producer


@pytest.mark.parametrize(("state", "event", "target"), LEGAL)
def test_by_default_the_producer_is_notified_of_the_end_only(state: State, event: type[Event], target: State) -> None:
    """One message per order."""
    notified = [
        effect for effect in apply(an_order(state), an_event(event)).effects if isinstance(effect, TellProducer)
    ]

    assert notified == ([TellProducer(NOON)] if target in FINAL_STATES else [])


@pytest.mark.parametrize(("state", "event", "target"), LEGAL)
def test_the_producer_is_notified_on_entering_the_states_it_named(
    state: State, event: type[Event], target: State
) -> None:
    """Staying in a state is nothing new."""
    for notify_on in State:
        effects = apply(an_order(state, notify_on={notify_on}), an_event(event)).effects

        assert (TellProducer(NOON) in effects) is (target is notify_on and target is not state)


@pytest.mark.parametrize(("state", "event", "target"), LEGAL)
def test_a_producer_without_notify_is_not_notified(state: State, event: type[Event], target: State) -> None:
    """It reads the order when it wants to know."""
    effects = apply(an_order(state, notify_on=None), an_event(event)).effects

    assert TellProducer(NOON) not in effects, f"notified of {target}"
