"""Long random lives of one order: whatever happens to it, and in whatever order, the promises hold."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from number_orders.orders.errors import IllegalTransition
from number_orders.orders.events import (
    EVENT_TYPES,
    AboutOneAttempt,
    CarrierNews,
    Deferred,
    Event,
    Hurried,
    NotSent,
    PartSettled,
    ProvenAbsent,
    SentAgain,
    SubmissionBegun,
    ToldAgain,
)
from number_orders.orders.lifecycle import ARCS, AT_REST, Effect, Step, advance, next_ask
from number_orders.orders.model import Lane, Order, State
from number_orders.orders.policy import CarrierPolicy
from tests.unit.orders.lifecycle_examples import NOON, OWED_IN, an_event, an_order, work_owed

NEWS = [event for event in EVENT_TYPES if issubclass(event, CarrierNews)]
ABOUT_ONE_ATTEMPT = [event for event in NEWS if issubclass(event, AboutOneAttempt)]
MANNERS = st.builds(
    CarrierPolicy,
    ask_first=st.timedeltas(timedelta(milliseconds=1), timedelta(minutes=1)),
    ask_factor=st.floats(1, 10),
    ask_max=st.timedeltas(timedelta(minutes=1), timedelta(days=1)),
    doubt_first=st.timedeltas(timedelta(milliseconds=1), timedelta(minutes=1)),
    resend_first=st.timedeltas(timedelta(milliseconds=1), timedelta(minutes=1)),
)
PAUSES = st.timedeltas(timedelta(0), timedelta(days=2))


class OneLife(RuleBasedStateMachine):
    """An order among carriers, workers and persons who say anything at any time.

    Keeps its own account of what is owed and of what was told, as the ledger would: a piece of work
    stays owed until a step says otherwise.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.told: list[State] = []
        self.begun = 0
        self.events = 0

    @initialize(policy=MANNERS)
    def come_in(self, policy: CarrierPolicy) -> None:
        self.policy = policy
        self.order = an_order()
        self.first_version = self.order.version
        self.owed: tuple[Lane, ...] = (Lane.SUBMIT,)

    @precondition(lambda self: self.order.state in ARCS)
    @rule(data=st.data(), pause=PAUSES)
    def something_moves_the_order_on(self, data: st.DataObject, pause: timedelta) -> None:
        arcs = ARCS[self.order.state]
        going_on = [event for event in arcs if not arcs[event].is_final]
        self.happens(data.draw(st.sampled_from(going_on)), pause, attempt_number=self.order.sends)

    @precondition(lambda self: self.order.state in ARCS and self.events >= 30)
    @rule(data=st.data(), pause=PAUSES)
    def something_ends_the_order(self, data: st.DataObject, pause: timedelta) -> None:
        arcs = ARCS[self.order.state]
        ending = [event for event in arcs if arcs[event].is_final]
        if ending:
            self.happens(data.draw(st.sampled_from(ending)), pause, attempt_number=self.order.sends)

    @precondition(lambda self: self.order.sends > 1)
    @rule(data=st.data(), event=st.sampled_from(ABOUT_ONE_ATTEMPT), pause=PAUSES)
    def an_attempt_long_over_speaks(self, data: st.DataObject, event: type[Event], pause: timedelta) -> None:
        attempt_number = data.draw(st.integers(1, self.order.sends - 1))
        assert self.happens(event, pause, attempt_number=attempt_number).late

    @precondition(lambda self: self.order.state in AT_REST)
    @rule(event=st.sampled_from(NEWS), pause=PAUSES)
    def late_news_comes(self, event: type[Event], pause: timedelta) -> None:
        assert self.happens(event, pause).late

    def happens(self, event_type: type[Event], pause: timedelta, *, attempt_number: int | None = None) -> Step:
        self.now += pause
        before, event = self.order, an_event(event_type)
        step = advance(before, event, now=self.now, policy=self.policy, attempt_number=attempt_number)
        self.compare(before, event, attempt_number, step)
        self.order = step.order
        self.events += 1
        if not step.late:
            self.owed = work_owed(step.effects)
        self.told += [step.order.state for effect in step.effects if effect.lane is Lane.TELL]
        return step

    def compare(self, before: Order, event: Event, attempt_number: int | None, step: Step) -> None:
        after = step.order
        assert after.version == before.version + 1
        assert after.state is before.state or not (step.late or before.state.is_final)
        assert not (step.late and step.effects)
        assert all(effect.not_before >= self.now for effect in step.effects)
        if after.state is State.SUBMITTING and not step.late:
            assert before.state is State.ACCEPTED
            assert isinstance(event, SubmissionBegun)
            self.begun += 1
        if (before.state, after.state) == (State.IN_DOUBT, State.ACCEPTED):
            assert isinstance(event, ProvenAbsent) or (
                isinstance(event, NotSent | Deferred) and attempt_number == before.sends
            )

    @invariant()
    def the_impossible_is_refused(self) -> None:
        possible = {*ARCS.get(self.order.state, ()), *(NEWS if self.order.state in AT_REST else ()), ToldAgain}
        for event in set(EVENT_TYPES) - possible:
            with pytest.raises(IllegalTransition):
                advance(self.order, an_event(event), now=self.now, policy=self.policy)

    @invariant()
    def nothing_unfinished_is_forgotten_and_nothing_at_rest_is_worked_on(self) -> None:
        state = self.order.state
        assert self.owed == ((OWED_IN[state],) if state in OWED_IN else ())

    @invariant()
    def the_story_is_as_long_as_the_version_says(self) -> None:
        assert self.order.version == self.first_version + self.events

    @invariant()
    def every_submission_is_counted_and_no_more_are_lost_than_begun(self) -> None:
        assert self.order.sends == self.begun
        assert self.order.losses <= self.order.sends

    @invariant()
    def the_ledgers_constraints_would_let_it_be_stored(self) -> None:
        assert self.order.state is not State.OPEN or self.order.carrier_order_id
        assert self.order.state is not State.IN_DOUBT or self.order.doubt_since

    @invariant()
    def the_end_is_told_once_and_nothing_else_is(self) -> None:
        assert self.told == ([self.order.state] if self.order.state.is_final else [])

    @invariant()
    def an_order_has_an_end_when_it_has_ended(self) -> None:
        assert (self.order.ended_at is not None) is self.order.state.is_final


OneLife.TestCase.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
test_the_promises_hold_all_through_a_long_life = OneLife.TestCase


@dataclass(frozen=True, slots=True)
class Walk:
    """Legal steps from the start, each with the event that caused it, and the policy they were taken in."""

    policy: CarrierPolicy
    start: Order
    steps: tuple[tuple[Event, Step], ...]


@st.composite
def walks(draw: st.DrawFn) -> Walk:
    """Take thirty steps or more without coming to an end."""
    policy, start = draw(MANNERS), an_order()
    steps: list[tuple[Event, Step]] = []
    order = start
    for _ in range(draw(st.integers(30, 60))):
        arcs = ARCS[order.state]
        event = an_event(draw(st.sampled_from([event for event in arcs if not arcs[event].is_final])))
        step = advance(order, event, now=NOON, policy=policy, attempt_number=order.sends)
        steps.append((event, step))
        order = step.order
    return Walk(policy, start, tuple(steps))


@settings(max_examples=50, deadline=None)
@given(walks())
def test_the_same_life_lived_again_is_the_same_life(walk: Walk) -> None:
    """No dice, no clock: the story of events gives the order and its due times back."""
    order = walk.start
    for event, step in walk.steps:
        assert advance(order, event, now=NOON, policy=walk.policy, attempt_number=order.sends) == step
        order = step.order


@settings(max_examples=50, deadline=None)
@given(walks())
def test_an_order_is_never_sent_again_while_its_last_send_is_unexplained(walk: Walk) -> None:
    """Between two submissions stands a proof that the first bought nothing, or a person's word."""
    explained = True
    for event, step in walk.steps:
        match step.order.state:
            case State.SUBMITTING:
                assert explained
                explained = False
            case State.IN_DOUBT:
                explained = False
            case State.ACCEPTED if isinstance(event, Hurried):
                assert explained
            case State.ACCEPTED:
                assert isinstance(event, NotSent | Deferred | PartSettled | ProvenAbsent | SentAgain)
                explained = True


@settings(deadline=None)
@given(
    policy=MANNERS,
    asked=st.integers(0, 10**9),
    number=st.integers(1, 2**128 - 1),
    slow=st.booleans(),
)
def test_the_next_question_is_never_past_the_ceiling_and_always_the_same(
    *, policy: CarrierPolicy, asked: int, number: int, slow: bool
) -> None:
    """Any patience, any order, any number of looks: at least nine tenths of the pause, at most the ceiling."""

    def ask(asked: int) -> Effect:
        return next_ask(an_order(State.OPEN, number=number), asked, slow=slow, now=NOON, policy=policy)

    pause = ask(asked).not_before - NOON

    assert ask(asked) == ask(asked)
    assert 0.9 * min(policy.ask_first, policy.ask_max) <= pause + timedelta(microseconds=1)
    assert pause <= (policy.slow_ask_max if slow else policy.ask_max)
