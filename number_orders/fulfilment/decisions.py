"""Carry out what people decide about orders: park one, or resolve a parked one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from number_orders.fulfilment.carrier import Carrier
from number_orders.fulfilment.ports import Bell, StoryReader
from number_orders.fulfilment.recorder import Heard, Recorder
from number_orders.ledger.history import Story
from number_orders.orders.errors import NotParkable, NotResolvable
from number_orders.orders.events import (
    Adopted,
    ClosedByPerson,
    Event,
    Resolution,
    SentAgain,
    SetAside,
    WrittenOff,
    event_type,
)
from number_orders.orders.judgements import choose_closing_event
from number_orders.orders.model import CarrierName, Kind, Lane, Order, OrderId, State, count_done

_TRIES: Final = 5
"""How often an order is read again because it moved meanwhile."""


@dataclass(slots=True)
class Decisions:
    """Carries people's decisions out, each once."""

    history: StoryReader
    recorder: Recorder
    bell: Bell
    carriers: Mapping[CarrierName, Carrier]

    async def park(self, order_id: OrderId, *, by: str, why: str) -> Order:
        """Park an order for a person to decide about; parking it twice changes nothing more.

        It keeps its serial lock: what it may have bought could be mistaken for another order's.

        Raises:
            UnknownOrder: There is no such order.
            NotParkable: It is being sent at this moment, or it has ended.
        """
        for _ in range(_TRIES):
            story = await self._whole_story(order_id)
            order = story.order
            if order.state is State.PARKED:
                return order
            if order.request.carrier not in self.carriers:
                raise NotParkable(not_set_up(order))
            if order.state is State.SUBMITTING or order.state.is_final:
                raise NotParkable(_why_not_parked(order))
            moved = await self.recorder.hear([Heard(order, SetAside(by, why, _waited(story)))], now=story.now)
            if order_id in moved:
                self.bell.ring([(order.request.carrier, Lane.TELL)])
                return moved[order_id]
        raise NotParkable(f"order {order_id} could not be parked, because it kept moving; try again")

    async def resolve(self, order_id: OrderId, decision: Resolution) -> Order:
        """Carry out a person's decision about a parked order; the same decision sent twice is carried out once.

        Closing an order undoes nothing: what the carrier has done of it by then stays (`choose_closing_event`).

        Raises:
            UnknownOrder: There is no such order.
            NotResolvable: The order does not wait for this decision, or it would buy twice, or the carrier's order to
                adopt belongs to another order.
        """
        story = await self._whole_story(order_id)
        if story.order.request.carrier not in self.carriers:
            raise NotResolvable(not_set_up(story.order))
        if story.order.state is State.PARKED and not _was_decided(story, decision):
            if isinstance(decision, SentAgain) and (bought := _bought(story)):
                raise NotResolvable(_why_not_again(story.order, bought))
            moved = await self.recorder.hear([Heard(story.order, _event(story, decision))], now=story.now)
            if order_id in moved:
                self.bell.ring((story.order.request.carrier, lane) for lane in Lane)  # the next work is on one
                return moved[order_id]
            story = await self._whole_story(order_id)
        if story.order.state is State.PARKED or not _was_decided(story, decision):
            raise NotResolvable(_why_unresolved(story, decision))
        return story.order

    async def _whole_story(self, order_id: OrderId) -> Story:
        """Return a story that fits its order. They are read one after the other, and the order may move in between."""
        story = await self.history.story(order_id)
        for _ in range(_TRIES):
            if story.events[-1]["version"] == story.order.version:
                break
            story = await self.history.story(order_id)
        return story


def not_set_up(order: Order) -> str:
    """Return the message for an order whose carrier has no settings here."""
    return f"order {order.order_id} is with {order.request.carrier}, which is not set up here"


def _waited(story: Story) -> str | None:
    """Return what the order was waiting for, and how often it was asked about."""
    work_item = next((work_item for work_item in story.work_items if work_item.lane is not Lane.TELL), None)
    if work_item is None:
        return None
    often = (
        f"asked {work_item.attempts} times without news" if work_item.lane is Lane.ASK and work_item.attempts else None
    )
    return "; ".join(filter(None, (often, work_item.reason))) or None


def _bought(story: Story) -> int:
    """Return how many numbers a purchase has brought already."""
    if story.order.request.kind is Kind.REMOVE_NUMBERS:
        return 0
    return count_done(story.order, story.numbers)


def _event(story: Story, decision: Resolution) -> Event:
    """Return the event that carries the decision out."""
    if isinstance(decision, WrittenOff):
        return choose_closing_event(story.order, decision, story.numbers)
    return decision


def _was_decided(story: Story, decision: Resolution) -> bool:
    """Tell whether the story has this very decision: its message may come twice, and sending costs money."""
    kind = ClosedByPerson if isinstance(decision, WrittenOff) else type(decision)
    theirs = decision.carrier_order_id if isinstance(decision, Adopted) else None
    wanted = decision.by, decision.why, theirs
    return any(
        issubclass(event_type(row["event"]), kind)
        and tuple(map(row["detail"].get, ("by", "why", "carrier_order_id"))) == wanted
        for row in story.events
    )


def _why_not_parked(order: Order) -> str:
    where = f"order {order.order_id} is {order.state}"
    if order.state.is_final:
        return f"{where}: it is over, and an order that has ended is never changed"
    return f"{where}: a worker is sending it; try again when there is an answer, or none for too long"


def _why_not_again(order: Order, bought: int) -> str:
    numbers = "1 number of it is" if bought == 1 else f"{bought} numbers of it are"
    return (
        f"order {order.order_id} cannot be sent again: {numbers} there already, and would be bought twice; "
        "adopt the carrier's order, or close this one and order the rest as a new order"
    )


def _why_unresolved(story: Story, decision: Resolution) -> str:
    order = story.order
    where = f"order {order.order_id} is {order.state}"
    if order.state.is_final:
        return f"{where}: it is over, and an order that has ended is never changed"
    if order.state is not State.PARKED:
        return f"{where}: only a parked order waits for a person to decide; `number-orders park` parks it"
    if _was_decided(story, decision):
        return f"{where} again since this was decided; to decide the same once more, give another reason"
    return f"{where}, and something was heard of it just now: look at it again, then decide"
