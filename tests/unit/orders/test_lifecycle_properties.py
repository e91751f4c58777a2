"""Random sequences of events for one order: the promises of the lifecycle hold in all of them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import get_args

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
from number_orders.orders.lifecycle import ARCS, AT_REST, AfterTheEnd, Effect, Step, advance, next_ask
from number_orders.orders.model import Lane, Order, State
from number_orders.orders.policy import CarrierPolicy
from tests.unit.orders.lifecycle_examples import NOON, OWED_IN, an_event, an_order, work_owed

NEWS = [event for event in EVENT_TYPES if issubclass(event, CarrierNews)]
ABOUT_ONE_ATTEMPT = [event for event in NEWS if issubclass(event, AboutOneAttempt)]
POLICIES = st.builds(
    CarrierPolicy,
    ask_first=st.timedeltas(timedelta(milliseconds=1), timedelta(minutes=1)),
    ask_factor=st.floats(1, 10),
    ask_max=st.timedeltas(timedelta(minutes=1), timedelta(days=1)),
    doubt_first=st.timedeltas(timedelta(milliseconds=1), timedelta(minutes=1)),
    resend_first=st.timedeltas(timedelta(milliseconds=1), timedelta(minutes=1)),
)
PAUSES = st.timedeltas(timedelta(0), timedelta(days=2))


class OrderLife(RuleBasedStateMachine):
    """One order, to which carriers, workers and people may report anything at any time.

    It keeps its own record of the work owed and of the notifications, as the ledger would: a piece of work stays owed
    until a step replaces it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.notified: list[State] = []
        self.begun = 0
        self.events = 0

    @initialize(policy=POLICIES)
    def accept_the_order(self, policy: CarrierPolicy) -> None:
        self.policy = policy
        self.order = an_order()
        self.first_version = self.order.version
        self.owed: tuple[Lane, ...] = (Lane.SUBMIT,)

    @precondition(lambda self: self.order.state in ARCS)
    @rule(data=st.data(), pause=PAUSES)
    def move_the_order(self, data: st.DataObject, pause: timedelta) -> None:
        arcs = ARCS[self.order.state]
        going_on = [event for event in arcs if not arcs[event].is_final]
        self.apply(data.draw(st.sampled_from(going_on)), pause, attempt_number=self.order.sends)

    @precondition(lambda self: self.order.state in ARCS and self.events >= 30)
    @rule(data=st.data(), pause=PAUSES)
    def end_the_order(self, data: st.DataObject, pause: timedelta) -> None:
        arcs = ARCS[self.order.state]
        ending = [event for event in arcs if arcs[event].is_final]
        if ending:
            self.apply(data.draw(st.sampled_from(ending)), pause, attempt_number=self.order.sends)

    @precondition(lambda self: self.order.sends > 1)
    @rule(data=st.data(), event=st.sampled_from(ABOUT_ONE_ATTEMPT), pause=PAUSES)
    def answer_an_old_attempt(self, data: st.DataObject, event: type[Event], pause: timedelta) -> None:
        attempt_number = data.draw(st.integers(1, self.order.sends - 1))
        assert self.apply(event, pause, attempt_number=attempt_number).late

    @precondition(lambda self: self.order.state in AT_REST)
    @rule(event=st.sampled_from(NEWS), pause=PAUSES)
    def send_late_news(self, event: type[Event], pause: timedelta) -> None:
        assert self.apply(event, pause).late

    def apply(self, event_type: type[Event], pause: timedelta, *, attempt_number: int | None = None) -> Step:
        self.now += pause
        before, event = self.order, an_event(event_type)
        step = advance(before, event, now=self.now, policy=self.policy, attempt_number=attempt_number)
        self.check_step(before, event, attempt_number, step)
        self.order = step.order
        self.events += 1
        if not step.late:
            self.owed = work_owed(step.effects)
        self.notified += [step.order.state for effect in step.effects if effect.lane is Lane.TELL]
        return step

    def check_step(self, before: Order, event: Event, attempt_number: int | None, step: Step) -> None:
        after = step.order
        assert after.version == before.version + 1
        assert after.state is before.state or not (step.late or before.state.is_final)
        assert not (step.late and step.effects)
        assert all(effect.not_before >= self.now for effect in step.effects)
        if after.state is State.SUBMITTING and not step.late:
            assert before.state is State.ACCEPTED
            assert isinstance(event, SubmissionBegun)
            self.begun += 1
        if after.state.is_final and not before.state.is_final and after.may_have_others:
            assert any(effect.lane is Lane.ASK for effect in step.effects), "a late look"
        if (before.state, after.state) == (State.IN_DOUBT, State.ACCEPTED):
            assert isinstance(event, ProvenAbsent) or (
                isinstance(event, NotSent | Deferred) and attempt_number == before.sends
            )

    @invariant()
    def illegal_events_are_refused(self) -> None:
        at_rest = (
            (*NEWS, *(get_args(AfterTheEnd) if self.order.state.is_final else ()))
            if self.order.state in AT_REST
            else ()
        )
        legal = {*ARCS.get(self.order.state, ()), *at_rest, ToldAgain}
        for event in set(EVENT_TYPES) - legal:
            with pytest.raises(IllegalTransition):
                advance(self.order, an_event(event), now=self.now, policy=self.policy)

    @invariant()
    def work_is_owed_under_way_and_none_at_rest_but_a_late_look(self) -> None:
        state = self.order.state
        if state.is_final:
            assert self.owed in {(), (Lane.ASK,)}
        else:
            assert self.owed == ((OWED_IN[state],) if state in OWED_IN else ())

    @invariant()
    def the_version_counts_the_events(self) -> None:
        assert self.order.version == self.first_version + self.events

    @invariant()
    def submissions_are_counted_and_losses_do_not_exceed_them(self) -> None:
        assert self.order.sends == self.begun
        assert self.order.losses <= self.order.sends

    @invariant()
    def the_ledgers_constraints_accept_the_order(self) -> None:
        assert self.order.state is not State.OPEN or self.order.carrier_order_id
        assert self.order.state is not State.IN_DOUBT or self.order.doubt_since

    @invariant()
    def the_producer_is_notified_once_of_the_end(self) -> None:
        assert self.notified == ([self.order.state] if self.order.state.is_final else [])

    @invariant()
    def an_order_has_ended_at_only_in_a_final_state(self) -> None:
        assert (self.order.ended_at is not None) is self.order.state.is_final


OrderLife.TestCase.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
test_the_promises_hold_through_any_sequence_of_events = OrderLife.TestCase


@dataclass(frozen=True, slots=True)
class Walk:
    """Legal steps from the start, each with its event, and the policy that was used."""

    policy: CarrierPolicy
    start: Order
    steps: tuple[tuple[Event, Step], ...]


@st.composite
def walks(draw: st.DrawFn) -> Walk:
    """Take thirty to sixty steps without reaching a final state."""
    policy, start = draw(POLICIES), an_order()
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
def test_the_same_events_give_the_same_steps_again(walk: Walk) -> None:
    """No randomness and no clock: the events alone give the order and its due times."""
    order = walk.start
    for event, step in walk.steps:
        assert advance(order, event, now=NOON, policy=walk.policy, attempt_number=order.sends) == step
        order = step.order


@settings(max_examples=50, deadline=None)
@given(walks())
def test_an_order_is_sent_again_only_when_the_last_attempt_is_explained(walk: Walk) -> None:
    """Between two submissions there is proof that the first bought nothing, or a decision of a person."""
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
    policy=POLICIES,
    asked=st.integers(0, 10**9),
    number=st.integers(1, 2**128 - 1),
    slow=st.booleans(),
)
def test_the_next_question_is_within_the_maximum_and_always_at_the_same_time(
    *, policy: CarrierPolicy, asked: int, number: int, slow: bool
) -> None:
    """For any policy, order and number of questions: at least nine tenths of the pause, at most the maximum."""

    def ask(asked: int) -> Effect:
        return next_ask(an_order(State.OPEN, number=number), asked, slow=slow, now=NOON, policy=policy)

    pause = ask(asked).not_before - NOON

    assert ask(asked) == ask(asked)
    assert 0.9 * min(policy.ask_first, policy.ask_max) <= pause + timedelta(microseconds=1)
    assert pause <= (policy.slow_ask_max if slow else policy.ask_max)
