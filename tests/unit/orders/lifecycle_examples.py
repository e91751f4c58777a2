"""Orders in every state and one event of each type, for the tests of the core."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from number_orders.orders.events import (
    Acknowledged,
    Adopted,
    AnswerLost,
    CalledBack,
    CancelAsked,
    CutShort,
    Deferred,
    Event,
    Filled,
    FilledWithErrors,
    FoundTwice,
    HistoryLost,
    Hurried,
    LookedAgain,
    NotListed,
    NotSent,
    NumbersAdopted,
    NumbersGivenUp,
    Parked,
    PartlyFilled,
    PartSettled,
    ProvenAbsent,
    Refused,
    SentAgain,
    SetAside,
    StillOpen,
    SubmissionBegun,
    TakenAsItIs,
    ToldAgain,
    WrittenOff,
)
from number_orders.orders.lifecycle import AT_REST, Effect, Step, advance
from number_orders.orders.model import (
    FINAL_STATES,
    CarrierName,
    CarrierOrderId,
    Kind,
    Lane,
    Notify,
    NumberResult,
    NumberState,
    Order,
    OrderId,
    OrderRequest,
    State,
)
from number_orders.orders.numbers import E164
from number_orders.orders.policy import CarrierPolicy

NOON: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICY: Final = CarrierPolicy()
RALEIGH: Final = E164("+19195550100")
DURHAM: Final = E164("+19195550101")
THEIR_ID: Final = CarrierOrderId("0aac5809")

UNDER_WAY: Final = tuple(state for state in State if state not in AT_REST)

OWED_IN: Final = {
    State.ACCEPTED: Lane.SUBMIT,
    State.SUBMITTING: Lane.ASK,
    State.IN_DOUBT: Lane.ASK,
    State.OPEN: Lane.ASK,
}
"""The work that is owed in each state under way, written out again instead of read from the code."""

_BOUGHT: Final = (NumberResult(RALEIGH, NumberState.ACQUIRED),)
_WAITS: Final = (NumberResult(DURHAM, NumberState.REQUESTED, "TAINTED", "may leave at 12:31"),)
_HALF: Final = (*_BOUGHT, NumberResult(DURHAM, NumberState.FAILED, "5005", "unavailable"))

EXAMPLES: Final[tuple[Event, ...]] = (
    SubmissionBegun(),
    HistoryLost(NOON),
    NotSent("connection refused"),
    Deferred("tainted", NOON + timedelta(minutes=31), _WAITS),
    AnswerLost("timed out"),
    Acknowledged(THEIR_ID, "RECEIVED"),
    StillOpen("PROCESSING"),
    PartSettled("COMPLETED", _BOUGHT, "the other is tainted", NOON + timedelta(minutes=31), {"numbers": [RALEIGH]}),
    CalledBack("closed as it was asked for", "CANCELLED"),
    Filled("COMPLETE", _BOUGHT),
    PartlyFilled("PARTIAL", _HALF, "one of two"),
    FilledWithErrors("COMPLETE", _HALF, "complete, yet with errors"),
    Refused("no such site", "5016"),
    NotListed("orders by our reference"),
    ProvenAbsent("orders by our reference"),
    FoundTwice((THEIR_ID, CarrierOrderId("77659f47"))),
    LookedAgain("late look: carrier order 77659f47 bought 1 number", (CarrierOrderId("77659f47"),), _BOUGHT),
    Parked("nobody knows"),
    CancelAsked("crm"),
    Adopted(THEIR_ID, "ana", "seen in the dashboard"),
    NumbersAdopted("ana", "on the bill", _BOUGHT),
    NumbersGivenUp("ana", "removed in the dashboard", (NumberResult(RALEIGH, NumberState.WITHDRAWN),)),
    SentAgain("ana", "not in the dashboard"),
    WrittenOff("ana", "the customer went away"),
    CutShort("ana", "the rest will never come"),
    TakenAsItIs("ana", "they work, whatever the carrier says"),
    SetAside("ana", "it does not move"),
    Hurried("ana"),
    ToldAgain("ana", "the queue was lost"),
)


def an_event(event: type[Event]) -> Event:
    """Return the example of this type of event."""
    return next(example for example in EXAMPLES if type(example) is event)


def an_order(
    state: State = State.ACCEPTED,
    *,
    sends: int | None = None,
    losses: int = 0,
    doubt_since: datetime | None = None,
    doubt_asks: int = 0,
    carrier_order_id: CarrierOrderId | None = None,
    carrier_status: str | None = None,
    notify_on: Iterable[State] | None = FINAL_STATES,
    not_before: datetime | None = None,
    progress: Mapping[str, object] | None = None,
    history_lost_at: datetime | None = None,
    number: int = 1,
) -> Order:
    """Return an order for one number in Raleigh that could be in `state`."""
    request = OrderRequest(
        key="crm-000123",
        carrier=CarrierName("bandwidth"),
        kind=Kind.NEW_NUMBERS,
        numbers=(RALEIGH,),
        not_before=not_before,
        notify=None if notify_on is None else Notify(task="crm.notified", queue="crm", on=frozenset(notify_on)),
    )
    return Order(
        order_id=OrderId(UUID(int=number)),
        request=request,
        accepted_at=NOON - timedelta(minutes=1),
        state=state,
        version=7,
        carrier_order_id=carrier_order_id,
        carrier_status=carrier_status,
        progress=progress or {},
        history_lost_at=history_lost_at,
        sends=(0 if state is State.ACCEPTED else 1) if sends is None else sends,
        losses=losses,
        doubt_since=doubt_since,
        doubt_asks=doubt_asks,
        ended_at=NOON if state.is_final else None,
    )


def work_owed(effects: Iterable[Effect]) -> tuple[Lane, ...]:
    """Return the lanes of the work owed, without notifications."""
    return tuple(effect.lane for effect in effects if effect.lane is not Lane.TELL)


def apply(
    order: Order,
    event: Event,
    *,
    policy: CarrierPolicy = POLICY,
    attempt_number: int | None = None,
    about: CarrierOrderId | None = None,
) -> Step:
    """Advance the order by the event at noon."""
    return advance(order, event, now=NOON, policy=policy, attempt_number=attempt_number, about=about)


def an_order_long_in_doubt(*, losses: int = 1) -> Order:
    """Return an order that the next look in vain proves absent."""
    since = NOON - timedelta(minutes=5)
    return an_order(State.IN_DOUBT, sends=losses, losses=losses, doubt_since=since, doubt_asks=2)
