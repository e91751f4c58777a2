"""Carry out what people decide about orders: park one, or resolve a parked one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

from number_orders.fulfilment.carrier import TOO_MANY_REQUESTS, Carrier, log_requests, receipts
from number_orders.fulfilment.decision_checks import DecisionCheck, Seen
from number_orders.fulfilment.lanes.other_orders import NoProgress, as_if_only, as_if_over, ids_in, named_in_notices
from number_orders.fulfilment.lanes.rate import LedgerClock, LimitStore
from number_orders.fulfilment.memory import MemoryStores, OrderMemory, ProgressStore
from number_orders.fulfilment.ports import Bell, NoticeReader, ReceiptStore, StoryReader
from number_orders.fulfilment.recorder import Heard, Recorder, belongs_to
from number_orders.ledger.history import Story
from number_orders.orders.errors import NoAnswer, NotParkable, NotResolvable
from number_orders.orders.events import (
    Adopted,
    CancelAsked,
    ClosedByPerson,
    Event,
    Parked,
    Resolution,
    SentAgain,
    SetAside,
    WrittenOff,
    event_type,
)
from number_orders.orders.judgements import choose_closing_event
from number_orders.orders.model import CarrierName, CarrierOrderId, Kind, Lane, Order, OrderId, State, count_done

_TRIES: Final = 5
"""How often an order is read again because it moved meanwhile."""


class _Orders(ProgressStore, Protocol):
    async def owner_of(self, carrier: CarrierName, carrier_order_id: CarrierOrderId) -> OrderId | None: ...


class _History(StoryReader, ReceiptStore, Protocol): ...


class DecisionStores(MemoryStores, Protocol):
    """The parts of the ledger that decisions, and a question to a carrier before one, use."""

    @property
    def orders(self) -> _Orders: ...
    @property
    def history(self) -> _History: ...
    @property
    def limits(self) -> LimitStore: ...
    @property
    def notices(self) -> NoticeReader: ...
    async def now(self) -> datetime: ...


@dataclass(slots=True)
class Decisions:
    """Carries people's decisions out, each once."""

    ledger: DecisionStores
    boot_clock: Callable[[], float]
    ledger_clock: LedgerClock
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
            if _was_parked(story, by, why):
                raise NotParkable(f"order {order_id} was parked with these words and has gone on since; say why again")
            moved = await self.recorder.hear([Heard(order, SetAside(by, why, _waited(story)))], now=story.now)
            if order_id in moved:
                self.bell.ring([(order.request.carrier, Lane.TELL)])
                return moved[order_id]
        raise NotParkable(f"order {order_id} could not be parked, because it kept moving; try again")

    async def resolve(self, order_id: OrderId, decision: Resolution, *, expected_version: int | None = None) -> Order:
        """Carry out a person's decision about a parked order; the same decision sent twice is carried out once.

        Closing an order undoes nothing: what the carrier has done of it by then stays (`choose_closing_event`).

        `expected_version`: the version that the person has seen; an order that has moved since is left as it is.

        Raises:
            UnknownOrder: There is no such order.
            NotResolvable: The order does not wait for this decision, or it would buy twice, or the carrier's order to
                adopt belongs to another order.
        """
        story = await self._whole_story(order_id)
        if story.order.request.carrier not in self.carriers:
            raise NotResolvable(not_set_up(story.order))
        has_moved = expected_version not in {None, story.order.version}
        if story.order.state is State.PARKED and not _was_decided(story, decision) and not has_moved:
            if isinstance(decision, SentAgain):
                await self._check_may_send_again(story)
            if isinstance(decision, Adopted):
                await self._check_may_adopt(story, decision)
            moved = await self.recorder.hear([Heard(story.order, _event(story, decision))], now=story.now)
            if order_id in moved:
                self.bell.ring((story.order.request.carrier, lane) for lane in Lane)  # the next work is on one
                return moved[order_id]
            story = await self._whole_story(order_id)
        if story.order.state is State.PARKED or not _was_decided(story, decision):
            raise NotResolvable(_why_unresolved(story, decision))
        return story.order

    async def _check_may_send_again(self, story: Story) -> None:
        """Look at the carrier before an order is sent again: nothing of it may be there, nor still be on its way.

        Raises:
            NotResolvable: Numbers are there, or the carrier has the order and has not ended it with nothing, or the
                carrier could not be asked.
        """
        order = story.order
        if bought := _bought(story):
            raise NotResolvable(_why_not_again(order, bought))
        if not order.may_be_at_carrier:
            return
        check = DecisionCheck(
            story, f"order {order.order_id} cannot be sent again", self.carriers[order.request.carrier].policy
        )
        listed = check.require_answer(await self._ask(as_if_over(order, story.now), looks=True))
        theirs = dict.fromkeys((*ids_in(listed.event), *order.other_ids, *filter(None, (order.carrier_order_id,))))
        if not theirs:
            check.require_absence(listed)
        named = await named_in_notices(order, self.ledger.notices)
        for carrier_order_id in dict.fromkeys((*theirs, *named)):
            check.require_nothing(await self._ask(as_if_only(order, carrier_order_id)), carrier_order_id)

    async def _check_may_adopt(self, story: Story, decision: Adopted) -> None:
        """Look at the carrier order before it is adopted: it must not bear another order's reference.

        Without an answer it is adopted all the same: the first question about it shows the same.

        Raises:
            NotResolvable: It is another order's, or the order would drop a carrier order of its own that has brought
                numbers or still may.
        """
        order = story.order
        owner = await self.ledger.orders.owner_of(order.request.carrier, decision.carrier_order_id)
        if owner not in {None, order.order_id}:
            raise NotResolvable(belongs_to(order, decision.carrier_order_id, owner))
        if order.carrier_order_id not in {None, decision.carrier_order_id}:
            await self._check_may_drop(story, order.carrier_order_id)
        seen = await self._ask(
            replace(order, state=State.OPEN, carrier_order_id=decision.carrier_order_id, progress={})
        )
        if isinstance(seen.event, Parked):
            raise NotResolvable(f"order {order.order_id} cannot adopt it: {seen.event.reason}")

    async def _check_may_drop(self, story: Story, dropped: CarrierOrderId) -> None:
        """Look at the carrier order that ours would not follow any more. One without our reference was adopted wrongly.

        Raises:
            NotResolvable: It bears our reference and has not come to nothing, or the carrier could not be asked.
        """
        order = story.order
        if order.request.kind is Kind.REMOVE_NUMBERS:
            return
        cannot = f"order {order.order_id} cannot adopt another carrier order"
        check = DecisionCheck(story, cannot, self.carriers[order.request.carrier].policy)
        listed = check.require_answer(await self._ask(as_if_over(order, story.now), looks=True))
        if dropped in ids_in(listed.event):
            check.require_nothing(await self._ask(as_if_only(order, dropped)), dropped)

    async def _ask(self, order: Order, *, looks: bool = False) -> Seen:
        """Ask the carrier about an order by its carrier order id, or look for all that it has with our reference.

        The requests keep to the carrier's limits like those of the lanes, and leave receipts.
        """
        carrier = self.carriers[order.request.carrier]
        adapter = carrier.adapter
        question = adapter.look_for(order) if looks else adapter.ask(order)
        memory = OrderMemory(NoProgress(), self.ledger.numbers, self.ledger.readings, order)
        group = adapter.capabilities.limit_group(Lane.ASK, order.request.kind)
        pace = carrier.pace(group, self.ledger.limits, clock=self.boot_clock, ledger_clock=self.ledger_clock)
        answer = await carrier.converse(question, deadline=pace.deadline, memory=memory, pace=pace)
        log_requests(order.order_id, answer)
        kept = receipts(order, answer)
        await self.ledger.history.keep_receipts(kept)
        if until := answer.limited_until(await self.ledger.now()):
            await self.ledger.limits.pause(adapter.name, pace.group, until=until, why=TOO_MANY_REQUESTS)
        return Seen(answer.event, answer.error or NoAnswer("no answer"), kept)

    async def _whole_story(self, order_id: OrderId) -> Story:
        """Return a story that fits its order. They are read one after the other, and the order may move in between."""
        story = await self.ledger.history.story(order_id)
        for _ in range(_TRIES):
            # A purged order has no events, and does not move.
            if not story.events or story.events[-1]["version"] == story.order.version:
                break
            story = await self.ledger.history.story(order_id)
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
    if isinstance(decision, SentAgain) and _was_parked_at_once(story):
        return replace(decision, not_before=story.order.request.not_before)
    return decision


def _was_parked_at_once(story: Story) -> bool:
    """Tell whether the order was parked when it came in, by its producer's budget, and nothing has happened since."""
    return story.order.version == 1 and bool(story.events) and event_type(story.events[-1]["event"]) is Parked


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


def was_cancelled_before(story: Story, by: str, why: str | None) -> bool:
    """Tell whether this very cancellation was asked for before a person decided that the order goes on.

    Its message may come twice.
    """
    asked = False
    for row in story.events:
        kind = event_type(row["event"])
        if kind is CancelAsked and (row["detail"].get("by"), row["detail"].get("why")) == (by, why):
            asked = True
        if asked and kind in {SentAgain, Adopted}:
            return True
    return False


def _was_parked(story: Story, by: str, why: str) -> bool:
    """Tell whether the story has this very wish to park: its message may come twice, also after a person decided."""
    return any(
        event_type(row["event"]) is SetAside and (row["detail"].get("by"), row["detail"].get("why")) == (by, why)
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
