"""What a person does with an order that the machine shall not go on with: parks it, and decides what becomes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, get_args

from number_orders.fulfilment.carrier import Carrier
from number_orders.fulfilment.ports import Bell
from number_orders.fulfilment.recorder import Heard, Recorder
from number_orders.ledger.ledger import Ledger, Story
from number_orders.orders.errors import NotParkable, NotResolvable
from number_orders.orders.events import Adopted, Closing, Decision, SentAgain, SetAside, WrittenOff
from number_orders.orders.lifecycle import DONE, closing
from number_orders.orders.model import CarrierName, Kind, Lane, Order, OrderId, State

_TRIES: Final = 5
"""How often an order is read again because it moved meanwhile."""
_CLOSINGS: Final = frozenset(event.__name__ for event in get_args(Closing))


@dataclass(slots=True)
class Decisions:
    """Carries people's decisions out, each once."""

    ledger: Ledger
    recorder: Recorder
    bell: Bell
    carriers: Mapping[CarrierName, Carrier]

    async def park(self, order_id: OrderId, *, by: str, why: str) -> Order:
        """Take an order out of the machine's hands; parking it twice is parking it.

        It keeps whatever it has to itself at the carrier: what it may have bought could be taken for another's.

        Raises:
            UnknownOrder: There is no such order.
            NotParkable: It is being sent at this moment, or it is over.
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
        raise NotParkable(f"order {order_id} moves too fast to be parked just now; try again")

    async def resolve(self, order_id: OrderId, decision: Decision) -> Order:
        """Do with a parked order what a person has decided; the same decision told twice is carried out once.

        Closing it undoes nothing: what the carrier has done of it by then stays (`orders.lifecycle.closing`).

        Raises:
            UnknownOrder: There is no such order.
            NotResolvable: It does not wait for this decision, it would buy twice, or what it would adopt is another
                order's.
        """
        story = await self._whole_story(order_id)
        if story.order.request.carrier not in self.carriers:
            raise NotResolvable(not_set_up(story.order))
        if story.order.state is State.PARKED and not _was_decided(story, decision):
            if isinstance(decision, SentAgain) and (bought := _bought(story)):
                raise NotResolvable(_why_not_again(story.order, bought))
            event = closing(story.order, decision, story.numbers) if isinstance(decision, WrittenOff) else decision
            moved = await self.recorder.hear([Heard(story.order, event)], now=story.now)
            if order_id in moved:
                self.bell.ring((story.order.request.carrier, lane) for lane in Lane)  # what is owed is on one of them
                return moved[order_id]
            story = await self._whole_story(order_id)
        if story.order.state is State.PARKED or not _was_decided(story, decision):
            raise NotResolvable(_why_unresolved(story, decision))
        return story.order

    async def _whole_story(self, order_id: OrderId) -> Story:
        """Return order and story as they stood together: they are read one after the other, and may move in between."""
        story = await self.ledger.story(order_id)
        for _ in range(_TRIES):
            if story.events[-1]["version"] == story.order.version:
                break
            story = await self.ledger.story(order_id)
        return story


def not_set_up(order: Order) -> str:
    """Say that nobody here knows the order's carrier."""
    return f"order {order.order_id} is with {order.request.carrier}, which is not set up here"


def _waited(story: Story) -> str | None:
    """Say what the order was waiting for, and how often that was looked at."""
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
    return sum(result.state in DONE[story.order.request.kind] for result in story.numbers)


def _was_decided(story: Story, decision: Decision) -> bool:
    """Tell whether this very decision stands in the story: a message may come twice, and what it sends costs money."""
    named = _CLOSINGS if isinstance(decision, WrittenOff) else {type(decision).__name__}
    theirs = decision.carrier_order_id if isinstance(decision, Adopted) else None
    told = decision.by, decision.why, theirs
    return any(
        row["event"] in named and tuple(map(row["detail"].get, ("by", "why", "carrier_order_id"))) == told
        for row in story.events
    )


def _why_not_parked(order: Order) -> str:
    where = f"order {order.order_id} is {order.state}"
    if order.state.is_final:
        return f"{where}: it is over, and what is over stays as it is"
    return f"{where}: a worker is sending it; try again when there is an answer, or none for too long"


def _why_not_again(order: Order, bought: int) -> str:
    numbers = "1 number of it is" if bought == 1 else f"{bought} numbers of it are"
    return (
        f"order {order.order_id} cannot be sent again: {numbers} there already, and would be bought twice; "
        "adopt the carrier's order, or close this one and order the rest anew"
    )


def _why_unresolved(story: Story, decision: Decision) -> str:
    order = story.order
    where = f"order {order.order_id} is {order.state}"
    if order.state.is_final:
        return f"{where}: it is over, and what is over stays as it is"
    if order.state is not State.PARKED:
        return f"{where}: only a parked order waits for a person to decide; `number-orders park` parks it"
    if _was_decided(story, decision):
        return f"{where} again since this was decided, in these words: whoever means it anew says why anew"
    return f"{where}, and something was heard of it just now: look at it again before deciding"
