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
    FoundTwice,
    Hurried,
    Judgement,
    NotListed,
    NotSent,
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
    Order,
    State,
)
from number_orders.orders.policy import CarrierPolicy
from tests.unit.orders.lifecycle_examples import (
    EXAMPLES,
    NOON,
    OWED_IN,
    POLICY,
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
ENDS = {Filled: State.COMPLETED, PartlyFilled: State.PARTIAL, Refused: State.FAILED}


# The table, whole


def test_there_is_one_example_of_every_event() -> None:
    """So that an event added later cannot be left out of the tests below."""
    assert sorted(type(event).__name__ for event in EXAMPLES) == sorted(event.__name__ for event in EVENT_TYPES)


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_every_state_knows_what_to_do_with_every_event(state: State, event: type[Event]) -> None:
    """Each pair is an arc, or late news kept at rest, or a remark, or a bug that is told by name."""
    order = an_order(state)

    if event in ARCS.get(state, {}):
        step = apply(order, an_event(event))
        assert (step.order.state, step.late) == (ARCS[state][event], False)
    elif (state in AT_REST and event in NEWS) or event is ToldAgain:
        step = apply(order, an_event(event))
        assert (step.order.state, step.late) == (state, True)
    else:
        with pytest.raises(IllegalTransition, match=rf"{order.order_id} is {state}: {event.__name__} cannot"):
            apply(order, an_event(event))


@pytest.mark.parametrize("event", EVENT_TYPES)
def test_every_event_has_a_place_where_it_can_happen(event: type[Event]) -> None:
    """An event without an arc would be an event nobody may raise."""
    assert any(event in arcs for arcs in ARCS.values()) or event is ToldAgain


def test_every_state_can_be_reached_from_the_start() -> None:
    """A state without a way in would be a state nobody is ever in."""
    reached, frontier = {State.ACCEPTED}, {State.ACCEPTED}
    while frontier:
        frontier = {target for state in frontier for target in ARCS.get(state, {}).values()} - reached
        reached |= frontier

    assert reached == set(State)


@pytest.mark.parametrize("state", UNDER_WAY)
def test_whatever_the_carrier_decides_ends_an_order_under_way(state: State) -> None:
    """The end is heard in every state it can come in, also before the answer to the submission."""
    for event, end in ENDS.items():
        assert apply(an_order(state), an_event(event)).order.state is end


def test_no_arc_at_rest_stands_for_news_that_is_only_kept_there() -> None:
    """News at rest is kept before the table is asked, so such an arc would never be taken."""
    assert not [(state, event) for state in AT_REST for event in ARCS.get(state, {}) if event in NEWS]


def test_final_states_have_no_way_out() -> None:
    """An end that was told stays the end."""
    assert not FINAL_STATES & ARCS.keys()


def test_a_submission_is_always_begun_before_it_is_on_its_way() -> None:
    """Nothing else leads to SUBMITTING, so nothing leaves unwritten."""
    ways_in = {(state, event) for state, arcs in ARCS.items() for event in arcs if arcs[event] is State.SUBMITTING}

    assert ways_in == {(State.ACCEPTED, SubmissionBegun)}


def test_doubt_ends_in_sending_again_by_proof_only() -> None:
    """Either the attempt in doubt says it never left, or the order is proven absent."""
    ways = {event for event, target in ARCS[State.IN_DOUBT].items() if target is State.ACCEPTED}

    assert ways == {NotSent, Deferred, ProvenAbsent}


@pytest.mark.parametrize(("state", "event", "target"), LEGAL)
def test_an_arc_owes_the_work_of_the_state_it_leads_to(state: State, event: type[Event], target: State) -> None:
    """One piece of work under way, none at rest: nothing unfinished is forgotten, nothing ended is touched."""
    step = apply(an_order(state), an_event(event))

    assert work_owed(step.effects) == ((OWED_IN[target],) if target in OWED_IN else ())


@pytest.mark.parametrize(("state", "event", "target"), LEGAL)
def test_an_arc_counts_one_event_and_notes_when_the_order_ended(
    state: State, event: type[Event], target: State
) -> None:
    """The version guards the ledger's update; the end has a moment, and nothing else has."""
    before = an_order(state)
    after = apply(before, an_event(event)).order

    assert after.version == before.version + 1
    assert after.ended_at == (NOON if target in FINAL_STATES else None)
    assert (after.order_id, after.request, after.accepted_at) == (before.order_id, before.request, before.accepted_at)


# One submission


def test_a_begun_submission_is_asked_about_when_no_request_can_be_alive_any_more() -> None:
    """Owed before the request leaves, so the question outlives a crash, and due after the last possible answer."""
    step = apply(an_order(sends=2), SubmissionBegun())

    assert (step.order.state, step.order.sends) == (State.SUBMITTING, 3)
    assert [effect.not_before for effect in step.effects] == [NOON + POLICY.answer_within]


def test_a_submission_begun_twice_is_in_doubt_and_counts_as_one_send() -> None:
    """A worker died with it; whether the request left is for the carrier to say."""
    step = apply(an_order(State.SUBMITTING), SubmissionBegun())

    assert (step.order.state, step.order.sends, step.order.losses) == (State.IN_DOUBT, 1, 1)


@pytest.mark.parametrize(("sends", "pause"), [(1, 2), (2, 4), (3, 8), (8, 256), (9, 300), (1000, 300)])
def test_what_never_left_is_sent_again_later_each_time(sends: int, pause: int) -> None:
    """The pause doubles up to its ceiling, shortened by at most a tenth."""
    (effect,) = apply(an_order(State.SUBMITTING, sends=sends), NotSent("connection refused")).effects

    assert isinstance(effect, SubmitOrder)
    assert 0.9 * pause * SECOND <= effect.not_before - NOON <= pause * SECOND
    assert effect.reason == "connection refused"


def test_a_carrier_that_says_when_to_come_back_is_believed() -> None:
    """429 with a time: not one request before it."""
    back_at = NOON + timedelta(hours=1)
    (effect,) = apply(an_order(State.SUBMITTING), NotSent("too many requests", not_before=back_at)).effects

    assert effect == SubmitOrder(back_at, "too many requests")


def test_a_carrier_cannot_make_the_pause_shorter_than_ours() -> None:
    """A time in the past would make a tight loop."""
    (effect,) = apply(an_order(State.SUBMITTING), NotSent("too many requests", not_before=NOON)).effects

    assert effect.not_before > NOON


def test_the_answer_brings_the_carriers_name_for_the_order() -> None:
    """By it the order is asked about from now on."""
    order = apply(an_order(State.SUBMITTING), Acknowledged(THEIR_ID, "RECEIVED")).order

    assert (order.state, order.carrier_order_id, order.carrier_status) == (State.OPEN, THEIR_ID, "RECEIVED")


def test_an_answer_without_a_status_keeps_the_status_known_before() -> None:
    """Silence is no news."""
    order = an_order(State.OPEN, carrier_order_id=THEIR_ID, carrier_status="RECEIVED")

    assert apply(order, Acknowledged(THEIR_ID)).order.carrier_status == "RECEIVED"


# Doubt


def test_lost_answer_is_asked_about_before_anything_is_sent_again() -> None:
    """A carrier gone silent is questioned; the order is never blindly resent."""
    step = apply(an_order(State.SUBMITTING), AnswerLost("timed out"), attempt_number=1)

    assert step.order.state is State.IN_DOUBT
    assert (step.order.losses, step.order.doubt_since, step.order.doubt_asks) == (1, NOON, 0)
    assert step.effects == (AskCarrier(NOON + POLICY.doubt_first, "asking the carrier whether it arrived"),)


def test_a_lost_answer_that_was_counted_is_not_counted_again() -> None:
    """The worker thought dead says late what was assumed; the doubt starts anew, the loss does not."""
    order = an_order(State.IN_DOUBT, losses=1, doubt_since=NOON - MINUTE, doubt_asks=2)
    after = apply(order, AnswerLost("timed out"), attempt_number=1).order

    assert (after.losses, after.doubt_since, after.doubt_asks) == (1, NOON, 0)


@pytest.mark.parametrize(("asked", "pause"), [(0, 10), (1, 20), (3, 80), (4, 160), (5, 300), (60, 300)])
def test_an_order_in_doubt_is_asked_about_ever_more_slowly(asked: int, pause: int) -> None:
    """Five seconds at first, doubling with every empty-handed look, at most five minutes."""
    order = an_order(State.IN_DOUBT, doubt_since=NOON, doubt_asks=asked)
    step = apply(order, NotListed("by reference"))

    assert step.order.doubt_asks == asked + 1
    assert [effect.not_before - NOON for effect in step.effects] == [pause * SECOND]


def test_an_order_proven_absent_is_owed_its_submission_at_once() -> None:
    """It has waited long enough, and says why it is sent again."""
    step = apply(an_order_long_in_doubt(), ProvenAbsent("by reference"))

    assert step.effects == (SubmitOrder(NOON, "it never arrived (by reference), so it is sent again"),)


def test_two_orders_with_our_reference_are_shown_to_a_person() -> None:
    """The first is adopted, and both names stand in the reason."""
    both = (THEIR_ID, CarrierOrderId("77659f47"))
    order = apply(an_order(State.IN_DOUBT), FoundTwice(both)).order

    assert (order.state, order.carrier_order_id) == (State.PARKED, THEIR_ID)
    assert order.reason
    assert all(name in order.reason for name in both)


# Answers to attempts that are over


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", [event for event in EVENT_TYPES if issubclass(event, AboutOneAttempt)])
@pytest.mark.parametrize("attempt_number", [1, 3])
def test_an_answer_to_another_attempt_moves_nothing(state: State, event: type[Event], attempt_number: int) -> None:
    """What became of attempt 1 says nothing of attempt 2, be it under way or over."""
    before = an_order(state, sends=2)
    step = apply(before, an_event(event), attempt_number=attempt_number)

    assert (step.order.state, step.late, step.effects) == (state, True, ())
    assert step.order.version == before.version + 1


@pytest.mark.parametrize("state", UNDER_WAY)
def test_an_order_found_by_an_old_attempts_answer_is_found(state: State) -> None:
    """The carrier has it, whichever attempt brought it there."""
    step = apply(an_order(state, sends=2), Acknowledged(THEIR_ID), attempt_number=1)

    assert (step.order.state, step.order.carrier_order_id) == (State.OPEN, THEIR_ID)


# At the carrier


def test_an_order_just_acknowledged_is_asked_about_soon() -> None:
    """Most orders are done within seconds."""
    (effect,) = apply(an_order(State.SUBMITTING), Acknowledged(THEIR_ID)).effects

    assert 0.9 * POLICY.ask_first <= effect.not_before - NOON <= POLICY.ask_first


def test_an_order_adopted_by_a_person_is_asked_about_at_once() -> None:
    """Somebody is waiting to see it move."""
    step = apply(an_order(State.PARKED), Adopted(THEIR_ID, "ana", "seen in the dashboard"))

    assert step.order.carrier_order_id == THEIR_ID
    assert step.effects == (AskCarrier(NOON, "ana: seen in the dashboard"),)


def test_an_open_order_keeps_the_carriers_word_and_says_it() -> None:
    """The carrier's status is what a person is told."""
    order = apply(an_order(State.OPEN), StillOpen("BACKORDERED", slow=True)).order

    assert (order.carrier_status, order.reason) == ("BACKORDERED", "the carrier says BACKORDERED")


@pytest.mark.parametrize("slow", [True, False])
def test_an_order_looked_at_in_vain_is_left_alone_a_little_longer(*, slow: bool) -> None:
    """The second pause, 3.2 s. Slow stretches the ceiling, not the first steps: review may be over in a minute."""
    (effect,) = apply(an_order(State.OPEN), StillOpen("RECEIVED", slow=slow)).effects

    assert 0.9 * 3.2 * SECOND <= effect.not_before - NOON <= 3.2 * SECOND


def test_the_carriers_own_explanation_is_better_than_its_status() -> None:
    """A detail in the carrier's words is kept as the reason."""
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
def test_pauses_stop_growing_however_often_it_was_asked(
    *, slow: bool, ceiling: timedelta, factor: float, asked: int
) -> None:
    """An order may stay backordered for weeks; the asking goes on at the slowest pace and breaks nothing."""
    policy = CarrierPolicy(ask_factor=factor)
    pause = next_ask(an_order(State.OPEN), asked, slow=slow, now=NOON, policy=policy).not_before - NOON

    assert 0.9 * ceiling <= pause <= ceiling


def test_orders_due_together_do_not_ask_together() -> None:
    """A hundred orders acknowledged in one moment spread out, and a replay gives the same times."""

    def due() -> list[timedelta]:
        orders = [an_order(State.OPEN, number=number) for number in range(100)]
        return [next_ask(order, 9, slow=False, now=NOON, policy=POLICY).not_before - NOON for order in orders]

    assert len(set(due())) == 100
    assert due() == due()


# Persons


def test_an_order_called_back_before_it_left_is_cancelled() -> None:
    """Nothing was sent, so nothing can have been bought."""
    order = apply(an_order(), CancelAsked("crm", "typed twice")).order

    assert (order.state, order.reason) == (State.CANCELLED, "crm: typed twice")


def test_a_decision_without_a_reason_still_has_a_name_to_it() -> None:
    """Whoever asked stands in the story."""
    assert apply(an_order(), CancelAsked("crm")).order.reason == "by crm"


@pytest.mark.parametrize("state", [state for state in State if state not in {State.ACCEPTED, State.OPEN}])
def test_an_order_that_may_have_left_cannot_be_called_back(state: State) -> None:
    """What may have been bought is not unbought by a word of ours."""
    with pytest.raises(IllegalTransition):
        apply(an_order(state), CancelAsked("crm"))


def test_an_order_that_the_carrier_has_is_called_back_by_asking_the_carrier_at_once() -> None:
    """It stays open, since only the carrier can say what became of it, and remembers that it is not wanted."""
    step = apply(an_order(State.OPEN, carrier_order_id=THEIR_ID), CancelAsked("crm", "typed twice"))

    assert (step.order.state, step.order.cancel_asked_at) == (State.OPEN, NOON)
    assert step.effects == (AskCarrier(NOON, "crm: typed twice"),)


def test_an_order_that_is_sent_again_is_wanted_again() -> None:
    """Whoever called it back before it was parked has been overruled by a person."""
    parked = replace(an_order(State.PARKED), cancel_asked_at=NOON - MINUTE)

    assert apply(parked, SentAgain("ops", "nothing was bought")).order.cancel_asked_at is None
    assert apply(parked, Adopted(THEIR_ID, "ops", "seen")).order.cancel_asked_at == NOON - MINUTE


@pytest.mark.parametrize("state", [State.ACCEPTED, State.IN_DOUBT, State.OPEN])
def test_an_order_that_is_set_aside_waits_for_a_person_and_keeps_its_turn(state: State) -> None:
    """Nothing is owed to it any more; what it may have bought could be taken for another's."""
    order = an_order(state, carrier_order_id=THEIR_ID, doubt_since=NOON, progress={"cart_id": "01J"})
    step = apply(order, SetAside("ana", "it does not move"))

    assert (step.order.state, step.order.reason) == (State.PARKED, "ana: it does not move")
    assert (step.order.carrier_order_id, step.order.progress) == (THEIR_ID, {"cart_id": "01J"})
    assert (work_owed(step.effects), step.releases_serial_lock) == ((), False)


def test_what_is_on_its_way_is_not_set_aside() -> None:
    """Its answer would come to an order that hears nothing any more."""
    with pytest.raises(IllegalTransition):
        apply(an_order(State.SUBMITTING), SetAside("ana", "now"))


@pytest.mark.parametrize(
    ("state", "owed"),
    [(State.ACCEPTED, SubmitOrder), (State.IN_DOUBT, AskCarrier), (State.OPEN, AskCarrier)],
)
def test_a_hurried_order_is_due_now_and_is_otherwise_what_it_was(state: State, owed: type[Effect]) -> None:
    """Impatience is no news: state, reason and what was counted stay."""
    order = replace(an_order(state, doubt_since=NOON - MINUTE, doubt_asks=2), reason="the carrier says RECEIVED")
    step = apply(order, Hurried("ana", "the customer calls"))

    assert step.order == replace(order, version=order.version + 1)
    assert [(type(effect), effect.not_before) for effect in step.effects] == [(owed, NOON)]


@pytest.mark.parametrize("state", State)
def test_a_telling_is_wanted_again_in_any_state_and_moves_nothing(state: State) -> None:
    """The story grows by who wanted it, and the telling is due."""
    order = an_order(state)
    step = apply(order, ToldAgain("ana", "the queue was lost"))

    assert step.order == replace(order, version=order.version + 1)
    assert step.effects == (TellProducer(NOON, "ana: the queue was lost"),)
    assert apply(an_order(state, told_at=None), ToldAgain("ana")).effects == ()


def test_steps_of_another_order_are_forgotten_with_it() -> None:
    """Adopted under the name that is known, it goes on where it was; under another, what was seen is not its own."""
    order = an_order(State.PARKED, carrier_order_id=THEIR_ID, progress={"found": ["+1"], SETTLED: {"numbers": ["+2"]}})
    other = CarrierOrderId("77659f47")

    assert apply(order, Adopted(THEIR_ID, "ana", "seen")).order.progress == order.progress
    assert apply(order, Adopted(other, "ana", "seen")).order.progress == {SETTLED: {"numbers": ["+2"]}}
    assert apply(replace(order, carrier_order_id=None), Adopted(other, "ana", "seen")).order.progress == order.progress


def test_an_order_that_the_carrier_dropped_is_cancelled() -> None:
    """In the carrier's own words."""
    order = apply(an_order(State.OPEN), CalledBack("closed", "CANCELLED")).order

    assert (order.state, order.reason, order.carrier_status) == (State.CANCELLED, "closed", "CANCELLED")


# Waiting for a rule, and going in parts


def test_what_a_rule_holds_back_is_owed_when_the_rule_allows_it() -> None:
    """To the moment: no pause of ours is added, however often it was tried."""
    step = apply(an_order(State.SUBMITTING, sends=9), Deferred("tainted", NOON + 31 * MINUTE), attempt_number=9)

    assert step.order.state is State.ACCEPTED
    assert step.effects == (SubmitOrder(NOON + 31 * MINUTE, "tainted"),)


def test_what_a_rule_held_back_until_now_is_owed_now() -> None:
    """A moment that has passed is not waited for."""
    (effect,) = apply(an_order(State.SUBMITTING), Deferred("tainted", NOON - MINUTE)).effects

    assert effect == SubmitOrder(NOON, "tainted")


@pytest.mark.parametrize("progress", [{}, {SETTLED: {"numbers": ["+1"]}}])
def test_a_deferred_attempt_leaves_nothing_but_what_is_settled(progress: dict[str, object]) -> None:
    """The next one makes its own cart, and does not do again what is done."""
    order = an_order(State.SUBMITTING, progress={"cart_id": "01J", **progress})

    assert apply(order, Deferred("tainted", NOON)).order.progress == progress


def in_parts(state: State) -> Order:
    return an_order(state, sends=2, carrier_status="COMPLETED", progress={SETTLED: {"numbers": ["+1"]}})


def test_the_rest_of_an_order_has_a_submission_of_its_own() -> None:
    """Under a new name at the carrier, and with the first part on record."""
    order = an_order(State.OPEN, carrier_order_id=THEIR_ID, progress={"cart_id": "01J"})
    step = apply(order, an_event(PartSettled))

    assert (step.order.state, step.order.carrier_order_id) == (State.ACCEPTED, None)
    assert step.order.progress == {SETTLED: {"numbers": ["+19195550100"]}}
    assert step.effects == (SubmitOrder(NOON + 31 * MINUTE, "the other is tainted"),)


@pytest.mark.parametrize("event", [Refused("no such number", "404"), CalledBack("dropped")])
def test_no_end_of_the_rest_undoes_the_part_that_is_settled(event: Event) -> None:
    """An order of which something was done has not failed, and was not called off."""
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
def test_a_part_in_which_nothing_was_done_is_no_part_of_the_end(state: State, event: Event, end: State) -> None:
    """The carrier has ended an order and done nothing of it: what is settled is nothing."""
    order = replace(in_parts(state), progress={SETTLED: {}})

    assert apply(order, event).order.state is end


def test_an_old_attempts_refusal_says_nothing_of_the_rest() -> None:
    """It is seen in the light of the attempt it answers before it is seen in any other."""
    step = apply(in_parts(State.SUBMITTING), Refused("no such number"), attempt_number=1)

    assert (step.order.state, step.late) == (State.SUBMITTING, True)


def test_the_rest_can_be_called_back() -> None:
    """What was done before stays done, and the end says so."""
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
def test_an_order_needs_the_carrier_to_itself_until_it_says_otherwise_or_leaves(event: Event, *, ends: bool) -> None:
    """Others that could be taken for it wait so long."""
    assert apply(an_order(State.OPEN, carrier_order_id=THEIR_ID), event).releases_serial_lock is ends


def test_late_news_takes_nobodys_turn_away() -> None:
    """The order had ended, and with it its turn."""
    assert not apply(an_order(State.COMPLETED), an_event(Filled)).releases_serial_lock


def test_a_parked_order_is_sent_again_on_a_persons_word_only() -> None:
    """At once, and with that word as the reason."""
    step = apply(an_order(State.PARKED), SentAgain("ana", "not in the dashboard"))

    assert step.effects == (SubmitOrder(NOON, "ana: not in the dashboard"),)


def test_a_parked_order_can_be_written_off() -> None:
    """It ends as failed, and the producer is told."""
    step = apply(an_order(State.PARKED), WrittenOff("ana", "the customer went away"))

    assert step.order.state is State.FAILED
    assert step.effects == (TellProducer(NOON),)


def test_what_a_person_decided_is_void_once_the_order_has_moved() -> None:
    """Whoever decided saw the order as it stood, and sending again costs money."""
    closings = {event for event in EVENT_TYPES if issubclass(event, ClosedByPerson)}
    assert set(get_args(Resolution)) | closings == set(ARCS[State.PARKED])
    assert all(issubclass(event, PersonsDecision) and issubclass(event, Judgement) for event in ARCS[State.PARKED])


# Late news


@pytest.mark.parametrize("state", RESTING)
@pytest.mark.parametrize("event", NEWS)
def test_late_news_is_counted_and_changes_nothing_else(state: State, event: type[Event]) -> None:
    """The story grows by one event, and nothing is owed for it."""
    before = an_order(state, carrier_order_id=THEIR_ID, carrier_status="COMPLETE")
    step = apply(before, an_event(event))

    assert step == Step(
        replace(before, version=before.version + 1), step.event, (), late=True, contradicts=step.contradicts
    )


@pytest.mark.parametrize("state", [state for state in State if state.is_final])
@pytest.mark.parametrize("event", ENDS)
def test_late_news_of_another_end_is_an_alarm(state: State, event: type[Event]) -> None:
    """The producer was told one thing and the carrier now says another; the same thing again is no alarm."""
    assert apply(an_order(state), an_event(event)).contradicts is (ENDS[event] is not state)


@pytest.mark.parametrize(
    ("state", "alarm"),
    [(State.FAILED, True), (State.CANCELLED, True), (State.COMPLETED, False), (State.PARTIAL, False)],
)
def test_an_order_acknowledged_after_nothing_was_said_to_be_bought_is_an_alarm(*, state: State, alarm: bool) -> None:
    """The carrier has an order that we called off: somebody may be paying for it."""
    order = an_order(state, carrier_order_id=None if alarm else THEIR_ID)

    assert apply(order, Acknowledged(THEIR_ID)).contradicts is alarm


@pytest.mark.parametrize("event", NEWS)
def test_a_parked_order_contradicts_nobody(event: type[Event]) -> None:
    """No end was told yet; the news is evidence for whoever decides."""
    assert not apply(an_order(State.PARKED), an_event(event)).contradicts


def test_the_answer_to_an_order_that_came_to_nothing_is_no_alarm_when_it_says_what_is_known() -> None:
    """The carrier took it, gave it a name and refused it; hearing of the name once more is no purchase."""
    order = an_order(State.FAILED, carrier_order_id=THEIR_ID)

    assert not apply(order, Acknowledged(THEIR_ID)).contradicts


# OutboxMessage the producer


@pytest.mark.parametrize(("state", "event", "target"), LEGAL)
def test_by_default_the_producer_hears_of_the_end_alone(state: State, event: type[Event], target: State) -> None:
    """One message per order, when there is something to say."""
    told = [effect for effect in apply(an_order(state), an_event(event)).effects if isinstance(effect, TellProducer)]

    assert told == ([TellProducer(NOON)] if target in FINAL_STATES else [])


@pytest.mark.parametrize(("state", "event", "target"), LEGAL)
def test_the_producer_hears_of_the_states_it_named_on_entering_them(
    state: State, event: type[Event], target: State
) -> None:
    """Staying in a state tells nothing new."""
    for told_at in State:
        effects = apply(an_order(state, told_at={told_at}), an_event(event)).effects

        assert (TellProducer(NOON) in effects) is (target is told_at and target is not state)


@pytest.mark.parametrize(("state", "event", "target"), LEGAL)
def test_a_producer_that_asked_for_nothing_is_told_nothing(state: State, event: type[Event], target: State) -> None:
    """Without `notify` it will ask for itself."""
    effects = apply(an_order(state, told_at=None), an_event(event)).effects

    assert TellProducer(NOON) not in effects, f"told of {target}"
