"""Find every carrier order with our reference, and ask each what it has bought.

An order has more than one only if it was sent again although an earlier attempt had arrived: a carrier's list may lag
beyond our patience.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from number_orders.carriers.http.courier import Exchange
from number_orders.fulfilment.carrier import Carrier, ConversationResult
from number_orders.fulfilment.lanes.run import Attempt
from number_orders.fulfilment.memory import ListReadings, NumberRecall, OrderMemory
from number_orders.fulfilment.ports import NoticeReader
from number_orders.orders.events import UNKNOWN_ORDER, Acknowledged, Event, FoundTwice, Parked, StillOpen
from number_orders.orders.model import SETTLED, CarrierOrderId, NumberResult, Order, State, is_done
from number_orders.orders.numbers import E164


class NoProgress:
    """Stores no steps: they would belong to another carrier order than the one that the order follows."""

    async def keep_progress(self, order: Order, progress: Mapping[str, object]) -> bool:
        """Store nothing."""
        return True


@dataclass(slots=True)
class OtherOrders:
    """What the carrier has with our reference."""

    bought: dict[CarrierOrderId, tuple[NumberResult, ...]] = field(default_factory=dict)
    """The numbers that each carrier order has bought and that were not known, where there are any."""
    open_ids: list[CarrierOrderId] = field(default_factory=list)
    """The carrier orders that are still open."""
    asked: dict[CarrierOrderId, Event | None] = field(default_factory=dict)
    """What each carrier order says of itself."""
    error: Exception | None = None
    """Why not everything could be asked."""
    exchanges: list[Exchange] = field(default_factory=list)

    @property
    def numbers(self) -> tuple[NumberResult, ...]:
        """Every number that was bought and not known."""
        return tuple({result.e164: result for results in self.bought.values() for result in results}.values())


@dataclass(slots=True)
class Search:
    """One search for the carrier orders of one order."""

    carrier: Carrier
    numbers: NumberRecall
    readings: ListReadings
    notices: NoticeReader
    attempt: Attempt
    found: OtherOrders = field(default_factory=OtherOrders)

    async def run(self, *, known: Collection[E164], without: CarrierOrderId | None = None) -> OtherOrders:
        """Look for the orders, and ask each of them, and those that notices about the order have named.

        Args:
            known: Numbers that count as known.
            without: A carrier order that need not be asked.
        """
        order = self.attempt.order
        listed = await self._converse(as_if_over(order, self.attempt.now), looks=True)
        named = await named_in_notices(order, self.notices)
        ours = [*ids_in(listed), *order.other_ids, *filter(None, (order.carrier_order_id,))]
        waiting = [*ours, *named] if listed else []
        asked = {without}
        while waiting:
            if (carrier_order_id := waiting.pop(0)) not in asked:
                asked.add(carrier_order_id)
                event = await self.ask(carrier_order_id)
                if carrier_order_id in ours or not is_unknown(event):
                    waiting += ids_in(event)
                    self._add(carrier_order_id, event, known)
        return self.found

    async def ask(self, carrier_order_id: CarrierOrderId) -> Event | None:
        """Ask one carrier order how it stands. None: there is no answer, and `found.error` says why."""
        return await self._converse(as_if_only(self.attempt.order, carrier_order_id))

    def _add(self, carrier_order_id: CarrierOrderId, event: Event | None, known: Collection[E164]) -> None:
        self.found.asked[carrier_order_id] = event
        if isinstance(event, StillOpen):
            self.found.open_ids.append(carrier_order_id)
        numbers: Sequence[NumberResult] = getattr(event, "numbers", ())
        more = tuple(one for one in numbers if is_done(self.attempt.order, one) and one.e164 not in known)
        more = more[: self._at_most(known if carrier_order_id == self.attempt.order.carrier_order_id else ())]
        if more:
            self.found.bought[carrier_order_id] = more

    def _at_most(self, known: Collection[E164]) -> int | None:
        """Return how many more numbers a carrier order can have brought, where only time tells them from others'.

        The oldest come first. Here the order has no serial lock any more, so the later ones belong to others.
        """
        request = self.attempt.order.request
        if not self.carrier.adapter.serial_keys(request):
            return None
        return max(0, request.wanted - len(known))

    async def _converse(self, order: Order, *, looks: bool = False) -> Event | None:
        adapter = self.carrier.adapter
        answer: ConversationResult = await self.carrier.converse(
            adapter.look_for(order) if looks else adapter.ask(order),
            deadline=self.attempt.deadline,
            memory=OrderMemory(NoProgress(), self.numbers, self.readings, order),
            pace=self.attempt.pace,
        )
        self.found.exchanges += answer.exchanges
        self.found.error = self.found.error or answer.error
        return answer.event


async def named_in_notices(order: Order, notices: NoticeReader) -> Sequence[CarrierOrderId]:
    """Return the carrier orders that notices about the order have named."""
    return (await notices.named_orders({order.order_id: None})).get(order.order_id, ())


def as_if_over(order: Order, now: datetime) -> Order:
    """Return the order as one that may have any number of carrier orders: all with our reference are looked for."""
    return replace(order, state=State.IN_DOUBT, carrier_order_id=None, ended_at=order.ended_at or now)


def as_if_only(order: Order, carrier_order_id: CarrierOrderId) -> Order:
    """Return the order as if it had been sent once and become this carrier order.

    One that has ended keeps its `ended_at`: it has no serial lock any more, which an adapter may have to consider.
    """
    followed = carrier_order_id == order.carrier_order_id
    progress = order.progress if followed else {key: order.progress[key] for key in (SETTLED,) if key in order.progress}
    return replace(order, state=State.OPEN, carrier_order_id=carrier_order_id, sends=1, losses=0, progress=progress)


def is_unknown(event: Event | None) -> bool:
    """Return whether the carrier does not show the carrier order that was asked about, or shows it as another's."""
    return isinstance(event, Parked) or (isinstance(event, StillOpen) and event.carrier_status == UNKNOWN_ORDER)


def ids_in(event: Event | Exception | None) -> Sequence[CarrierOrderId]:
    """Return the carrier orders that an answer names."""
    match event:
        case FoundTwice(carrier_order_ids=ids):
            return ids
        case Acknowledged(carrier_order_id=named):
            return (named,)
        case Parked(carrier_order_id=named) if named is not None:
            return (named,)
        case _:
            return ()
