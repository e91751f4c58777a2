"""Record events. Each becomes a step of its order. Steps are written in groups; a stale step is computed again.

The only writer of order states after acceptance. Knows the lifecycle and the ledger; asks no carrier anything.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

import structlog

from number_orders.fulfilment.observing import observing
from number_orders.fulfilment.ports import AlarmStore, NumberReader, OrderMonitor, OrderReader, PendingMessages
from number_orders.ledger.orders import PendingStep
from number_orders.orders.alarms import Alarm
from number_orders.orders.document import document
from number_orders.orders.errors import AlreadyTaken, IllegalTransition, NotResolvable, NotStorable
from number_orders.orders.events import (
    Adopted,
    CarriersEnd,
    Event,
    FilledWithErrors,
    Judgement,
    LookedAgain,
    NumbersGivenUp,
    Parked,
    StillOpen,
    ToldAgain,
)
from number_orders.orders.judgements import numbers_at_end
from number_orders.orders.lifecycle import TellProducer, advance
from number_orders.orders.model import (
    HELD_STATES,
    CarrierName,
    CarrierOrderId,
    NumberResult,
    NumberState,
    Order,
    OrderId,
    is_done,
)
from number_orders.orders.numbers import E164
from number_orders.orders.policy import CarrierPolicy

log = structlog.get_logger(__name__)

_TRIES: Final = 5
"""How often an event is applied again because its order moved meanwhile."""


@dataclass(frozen=True, slots=True)
class Heard:
    """An event, and its order as it was known when the event happened."""

    order: Order
    event: Event
    attempt_number: int | None = None
    """For the answer to a submission: `sends` of the attempt that it answers."""
    about: CarrierOrderId | None = None
    """For the answer to a question: the carrier order that was asked about."""
    judged: bool = False
    """Concluded from the order as it was read: void if that has moved since, like a `Judgement`."""


class _Orders(OrderReader, Protocol):
    async def record(self, steps: Sequence[PendingStep]) -> Mapping[OrderId, Sequence[E164]]: ...

    async def owner_of(self, carrier: CarrierName, carrier_order_id: CarrierOrderId) -> OrderId | None: ...


class RecorderStores(Protocol):
    """The parts of the ledger that the recorder uses."""

    @property
    def orders(self) -> _Orders: ...
    @property
    def numbers(self) -> NumberReader: ...
    @property
    def outbox(self) -> PendingMessages: ...
    @property
    def alarms(self) -> AlarmStore: ...


class Recorder:
    """Applies events to orders, and writes the steps."""

    def __init__(
        self,
        ledger: RecorderStores,
        policies: Mapping[CarrierName, CarrierPolicy],
        *,
        monitor: OrderMonitor | None = None,
    ) -> None:
        self._ledger = ledger
        self._policies = policies
        self._monitor = monitor

    async def hear(self, heard: Sequence[Heard], *, now: datetime) -> dict[OrderId, Order]:
        """Record events; return the orders that moved, as they are now.

        An order that has moved since it was read is read again, and the event applied to what it has become. If the
        event was a judgement of the old state, it is dropped. Several events of one order are one step each.

        Raises:
            NotResolvable: A person adopted a carrier's order that belongs to another order of ours.
        """
        moved: dict[OrderId, Order] = {}
        waiting = list(heard)
        for _ in range(_TRIES):
            if not waiting:
                break
            batch = _first_of_each_order(waiting)
            steps = await self._steps(list(batch.values()), now)
            done = await self._record(steps, now)
            moved |= {order_id: order for order_id, order in done.items() if order}
            tried = {step.before.order_id for step in steps}
            left = [
                item
                for item in waiting
                if item is not batch[item.order.order_id]
                or (item.order.order_id in tried and item.order.order_id not in done)
            ]
            waiting = await self._reread(left)
        for item in waiting:
            log.warning("event_given_up", order_id=str(item.order.order_id), event_name=type(item.event).__name__)
        return moved

    async def _reread(self, stale: Sequence[Heard]) -> list[Heard]:
        """Return the events that still hold for orders that moved, with the orders as they are now."""
        kept = [item for item in stale if not (item.judged or isinstance(item.event, Judgement))]
        fresh = await self._ledger.orders.read([item.order.order_id for item in kept]) if kept else {}
        pairs = [(item, fresh[item.order.order_id]) for item in kept if item.order.order_id in fresh]
        return [replace(item, order=order) for item, order in pairs if not _is_old_news(item, order)]

    async def _steps(self, heard: Sequence[Heard], now: datetime) -> list[PendingStep]:
        steps = []
        for item in heard:
            try:
                steps.append(self._step(item, now))
            except IllegalTransition as mistake:
                await self._alarm(Alarm.ILLEGAL_TRANSITION, item.order, str(mistake))
        return [_with_alarms(step) for step in await self._with_numbers(steps)]

    def _step(self, item: Heard, now: datetime) -> PendingStep:
        policy = self._policies[item.order.request.carrier]
        step = advance(
            item.order, item.event, now=now, policy=policy, attempt_number=item.attempt_number, about=item.about
        )
        return PendingStep(item.order, step, getattr(step.event, "numbers", ()))

    async def _with_numbers(self, steps: Sequence[PendingStep]) -> list[PendingStep]:
        """Add to each step what follows from the numbers known so far.

        That is: withdrawn numbers, how many were not bought, and the order document.
        """
        concerned = [step.before.order_id for step in steps if _notifies(step) or step.ends]
        if not concerned:
            return list(steps)
        known = await self._ledger.numbers.of_orders(concerned)
        steps = [
            _with_withdrawn(step, known[step.before.order_id]) if _ends_at_carrier(step) else step for step in steps
        ]
        steps = [_with_outcome(step, known[step.before.order_id]) if step.ends else step for step in steps]
        pending = await self._pending([step for step in steps if isinstance(step.step.event, ToldAgain)])
        return [
            replace(step, notification=_document(step, known[step.before.order_id]), channels=_channels(step))
            if _notifies(step) and step.before.order_id not in pending
            else step
            for step in steps
        ]

    async def _pending(self, again: Sequence[PendingStep]) -> frozenset[OrderId]:
        """Return which orders still have undelivered documents: these are delivered, and no new one is written."""
        order_ids = [step.before.order_id for step in again]
        channels = sorted({channel for step in again for channel in _channels(step)})
        pending = [message for channel in channels for message in await self._ledger.outbox.pending(order_ids, channel)]
        return frozenset(message.order_id for message in pending)

    async def _record(self, steps: Sequence[PendingStep], now: datetime) -> dict[OrderId, Order | None]:
        """Write steps all at once, or, if one of them is refused, each by itself.

        Returns the orders that are settled: as they are now, or None for those whose event could not be stored.
        """
        try:
            done = await self._ledger.orders.record(steps)
        except NotStorable as refusal:
            if len(steps) == 1:
                return await self._without(steps[0], refusal, now)
            alone = [await self._record([step], now) for step in steps]
            return {order_id: order for settled in alone for order_id, order in settled.items()}
        recorded = [step for step in steps if step.before.order_id in done]
        self._after_recording(recorded, done)
        return {step.before.order_id: step.step.order for step in recorded}

    async def _without(self, step: PendingStep, refusal: NotStorable, now: datetime) -> dict[OrderId, Order | None]:
        """Go on without a step that PostgreSQL refuses. The order's work stays as it was; an alarm is raised."""
        if not isinstance(refusal, AlreadyTaken):
            await self._alarm(Alarm.EVENT_NOT_STORABLE, step.before, f"{refusal} for {step.step.event!r}")
            return {step.before.order_id: None}
        if isinstance(step.step.event, Adopted):
            raise NotResolvable(await self._why_not_adopted(step.step.order)) from refusal
        return await self._park(step, refusal, now)

    async def _park(self, step: PendingStep, taken: AlreadyTaken, now: datetime) -> dict[OrderId, Order | None]:
        """Park an order whose carrier order id belongs to another of our orders."""
        reason = f"the carrier's order {step.step.order.carrier_order_id} already belongs to another order of ours"
        log.error("carrier_order_taken", order_id=str(step.before.order_id), detail=str(taken))
        await self._alarm(Alarm.CARRIER_ORDER_TAKEN, step.before, reason)
        parking = await self._with_numbers([self._step(Heard(step.before, Parked(reason)), now)])
        done = await self._ledger.orders.record(parking)
        recorded = [parked for parked in parking if parked.before.order_id in done]
        self._after_recording(recorded, done)
        return {parked.before.order_id: parked.step.order for parked in recorded}

    async def _why_not_adopted(self, adopted: Order) -> str:
        carrier, theirs = adopted.request.carrier, adopted.carrier_order_id
        owner = await self._ledger.orders.owner_of(carrier, theirs) if theirs else None
        return belongs_to(adopted, theirs, owner)

    def _after_recording(self, steps: Sequence[PendingStep], held_elsewhere: Mapping[OrderId, Sequence[E164]]) -> None:
        """Log and show every step and its alarms."""
        for step in steps:
            after = step.step.order
            log.info(
                "order_moved",
                order_id=str(after.order_id),
                from_state=step.before.state.value,
                to_state=after.state.value,
                event_name=type(step.step.event).__name__,
                **_why(step),
            )
            for what, detail in step.alarms:
                log.error(what, order_id=str(after.order_id), detail=detail)
            for e164 in held_elsewhere[after.order_id]:
                log.error(Alarm.NUMBER_HELD_TWICE, order_id=str(after.order_id), number=e164)
        if self._monitor:
            with observing(self._monitor):
                self._monitor.on_moved(steps)

    async def _alarm(self, what: Alarm, order: Order, detail: str) -> None:
        log.error(what.value, order_id=str(order.order_id), detail=detail)
        await self._ledger.alarms.raise_alarm(
            what, str(order.order_id), carrier=order.request.carrier, order_id=order.order_id, detail=detail
        )


def belongs_to(order: Order, theirs: CarrierOrderId | None, owner: OrderId | None) -> str:
    """Return why an order cannot adopt a carrier's order: another order of ours, perhaps archived, has it."""
    belongs = f"belongs to order {owner} of ours" if owner else "belonged to another order of ours a moment ago"
    return f"order {order.order_id} cannot adopt {order.request.carrier}'s order {theirs}, which {belongs}"


def _why(step: PendingStep) -> dict[str, str]:
    """Return why an order stands where it does, and what is to be done next and when, for the log."""
    said = {"reason": step.step.order.reason} if step.step.order.reason and not step.step.late else {}
    if step.step.order.carrier_order_id and not step.before.carrier_order_id:
        said["carrier_order_id"] = step.step.order.carrier_order_id
    if step.step.late:
        said["late"] = "stored, and moved nothing"
    owed = min(step.step.effects, key=lambda effect: effect.not_before, default=None)
    return said | ({"next": owed.lane.value, "not_before": owed.not_before.isoformat()} if owed else {})


def _first_of_each_order(heard: Sequence[Heard]) -> dict[OrderId, Heard]:
    """Return the first event of each order: the next step of an order starts from the result of this one."""
    first: dict[OrderId, Heard] = {}
    for item in heard:
        first.setdefault(item.order.order_id, item)
    return first


def _is_old_news(item: Heard, order: Order) -> bool:
    """Return whether an order was open when its carrier was asked, and has ended while that answer waited here."""
    ended_since = order.state.is_final and not item.order.state.is_final
    return ended_since and isinstance(item.event, StillOpen) and not item.event.numbers


def _is_held(result: NumberResult) -> bool:
    return result.state in HELD_STATES


def _withdrawn(step: PendingStep) -> list[E164]:
    return [result.e164 for result in step.numbers if result.state is NumberState.WITHDRAWN]


def _ends_at_carrier(step: PendingStep) -> bool:
    """Return whether this step ends the order because the carrier did."""
    return isinstance(step.step.event, CarriersEnd) and not step.step.late


def _with_withdrawn(step: PendingStep, known: Sequence[NumberResult]) -> PendingStep:
    """Return a step that ends an order, with the numbers that the carrier withdrew."""
    return replace(step, numbers=numbers_at_end(step.before, step.step.event, known))


def _with_outcome(step: PendingStep, known: Sequence[NumberResult]) -> PendingStep:
    """Return a step that ends an order, with the numbers that are done, and how many were not bought."""
    latest = {result.e164: result for result in (*known, *step.numbers)}
    done = tuple(e164 for e164, result in latest.items() if is_done(step.before, result))
    return replace(step, done=done, unbought=max(0, step.before.request.wanted - len(done)))


def _with_alarms(step: PendingStep) -> PendingStep:
    """Return a step with the alarms that its event calls for."""
    return replace(step, alarms=tuple((what.value, detail) for what, detail in _alarms(step)))


def _alarms(step: PendingStep) -> Iterator[tuple[Alarm, str]]:
    state = step.step.order.state
    withdrawn = _withdrawn(step)
    if withdrawn and not isinstance(step.step.event, NumbersGivenUp):
        detail = f"shown as bought before, and not at the end ({state}): {', '.join(withdrawn)}"
        yield Alarm.NUMBERS_WITHDRAWN, detail
    if step.step.bought_elsewhere:
        yield Alarm.BOUGHT_TWICE, _bought_elsewhere(step)
    if step.step.contradicts:
        yield Alarm.END_CONTRADICTED, f"ended {state}, then came {step.step.event}"


def _bought_elsewhere(step: PendingStep) -> str:
    event = step.step.event
    match event:
        case LookedAgain(detail=said) | FilledWithErrors(reason=said):
            pass
        case _:
            said = f"{type(event).__name__} of a carrier order that this order does not follow any more"
    return f"{said}: {', '.join(result.e164 for result in step.numbers if _is_held(result))}"


def _notifies(step: PendingStep) -> bool:
    return any(isinstance(effect, TellProducer) for effect in step.step.effects)


def _channels(step: PendingStep) -> tuple[str, ...]:
    notify = step.before.request.notify
    return notify.channels if notify else ()


def _document(step: PendingStep, known: Sequence[NumberResult]) -> dict[str, object]:
    latest = {result.e164: result for result in (*known, *step.numbers)}
    return document(step.step.order, latest.values())
