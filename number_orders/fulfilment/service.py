"""The service's operations: work lanes, cancel orders, carry out people's decisions, return order documents.

Tasks and the command line call these. What follows from an event is decided in `orders.lifecycle`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from number_orders.carriers.cancellation import Cancellation, cancellation
from number_orders.fulfilment.archiving import ArchiveRun, Archiving
from number_orders.fulfilment.carrier import Carrier
from number_orders.fulfilment.coverage_snapshots import CoverageSnapshots
from number_orders.fulfilment.decisions import Decisions, not_set_up, was_cancelled_before
from number_orders.fulfilment.lanes.ask import AskLane
from number_orders.fulfilment.lanes.circuit_breaker import CircuitBreaker
from number_orders.fulfilment.lanes.list_reader import ListReader
from number_orders.fulfilment.lanes.presence import LanePresence
from number_orders.fulfilment.lanes.rate import LedgerClock
from number_orders.fulfilment.lanes.run import LaneRun, LaneWork
from number_orders.fulfilment.lanes.runner import LaneRunner, Serves
from number_orders.fulfilment.lanes.shares import LaneShares
from number_orders.fulfilment.lanes.submit import SubmitLane, latest_fall
from number_orders.fulfilment.notifications import TellLane
from number_orders.fulfilment.ports import Bell, Notifier, OrderMonitor, Slots, Tracer
from number_orders.fulfilment.reconciliation.reconcile import LOOKUPS, Decision, Reconciled, Reconciliation
from number_orders.fulfilment.recorder import Heard, Recorder
from number_orders.fulfilment.retries import Retries, RetryOutcome
from number_orders.fulfilment.subscriptions import NoSubscriptions, SubscriptionKeeper
from number_orders.fulfilment.watch import SerialLockWatch
from number_orders.fulfilment.webhooks.delivery import WebhookPolicy, WebhookRun, WebhookSender
from number_orders.ledger.guard import GUARD_LASTS
from number_orders.ledger.ledger import Ledger
from number_orders.ledger.webhooks import WEBHOOKS
from number_orders.orders.alarms import Alarm
from number_orders.orders.document import document
from number_orders.orders.errors import Declined, NoAnswer, NotCancellable, UnknownOrder, UnreadableAnswer
from number_orders.orders.events import CancelAsked, Resolution
from number_orders.orders.model import CarrierName, Lane, Order, OrderId, State

log = structlog.get_logger(__name__)

RECONCILIATION: Final = "reconcile"
"""Its name among the scheduled runs."""
_RECONCILED_ONCE_IN: Final = timedelta(hours=1)
"""As long as a comparison may take."""
_COVERAGE: Final = "coverage"
_COUNTED_ONCE_IN: Final = timedelta(hours=1)
_AFTER_FALL: Final = timedelta(minutes=15)
"""After a fall, orders under way are looked for first: until then their numbers would be taken for nobody's."""

_FORGOTTEN: Final = "the ledger fell back in time, and the order was not looked for since; try again once that is known"
_TRIES: Final = 5
"""How often an order is read again because it moved during its cancellation."""


class OrderService:
    """Everything that this service does with orders after it has accepted them."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        carriers: Mapping[CarrierName, Carrier],
        notifier: Notifier,
        bell: Bell,
        slots: Slots,
        boot_clock: Callable[[], float],
        serves: Serves | None = None,
        ledger_clock: LedgerClock | None = None,
        webhook_sender: WebhookSender | None = None,
        webhook_policy: WebhookPolicy | None = None,
        receipts_kept: timedelta = timedelta(days=30),
        coverage_kept: timedelta = timedelta(days=400),
        archive_after: timedelta | None = None,
        guard_lasts: timedelta = GUARD_LASTS,
        notice_asks_every: timedelta | None = None,
        monitor: OrderMonitor | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        """Set up the operations.

        `serves` tells which lanes are worked beside the one that a wake-up names; None: no other is.
        `notice_asks_every` is the shortest time between two questions about one order that carriers' notices bring;
        None: no notices come, so none are applied. `monitor` shows orders while they move, `tracer` writes their
        traces.
        """
        self._ledger = ledger
        self._carriers = carriers
        policies = {name: carrier.policy for name, carrier in carriers.items()}
        self._recorder = Recorder(ledger, policies, monitor=monitor)
        self._notifier = notifier
        self._webhook_sender = webhook_sender
        self._webhook_policy = webhook_policy or WebhookPolicy()
        self._bell = bell
        self._slots = slots
        self._shares = LaneShares()
        self._serves = (lambda name, lane: self._has(name) and serves(name, lane)) if serves else None
        self._boot_clock = boot_clock
        self._ledger_clock = ledger_clock or LedgerClock()
        self._receipts_kept = receipts_kept
        self._coverage_kept = coverage_kept
        self._archive_after = archive_after
        self._guard_lasts = guard_lasts
        self._notice_asks_every = notice_asks_every
        self._tracer = tracer
        self._was_set_up = False
        self._set_up_period: datetime | None = None
        """The guard period in which the carriers were set up last (`GuardPeriod.began_at`)."""
        self._decisions = Decisions(ledger, boot_clock, self._ledger_clock, self._recorder, bell, carriers)
        self._retries = Retries(ledger, self._recorder, bell, carriers)
        self._reconciliation = Reconciliation(ledger, boot_clock, self._ledger_clock, self._recorder, bell, carriers)

    async def work(self, carrier: CarrierName, lane: Lane) -> None:
        """Work on what is due on one lane, for a few seconds, and beside it on all others that fall due meanwhile.

        Twice, late or never changes no outcome. The lane `tell` of `WEBHOOKS` delivers the documents that go to URLs,
        of orders at all carriers.
        """
        if not self._has(carrier):
            log.error("carrier_not_set_up", carrier=carrier, lane=lane.value)
            return
        runner = LaneRunner(self._run_lane, self._ledger.schedule.due_lanes, self._serves, self._slots, self._bell)
        await runner.run(carrier, lane)

    def _has(self, carrier: CarrierName) -> bool:
        """Tell whether the lanes of a carrier can be worked here."""
        return carrier in self._carriers or (carrier == WEBHOOKS and self._webhook_sender is not None)

    async def set_up_carriers(self) -> None:
        """Write into the ledger which lanes and limits the carriers of this process have."""
        await self._set_up_in((await self._ledger.guard.read()).began_at)
        self._was_set_up = True

    async def _is_set_up_in(self, period: datetime | None) -> bool:
        """Tell whether the ledger still has what `set_up_carriers` wrote. A backup of before has not."""
        opened = await self._ledger.schedule.carriers()
        return period == self._set_up_period and all(name in opened for name in self._carriers)

    async def _set_up_in(self, period: datetime | None) -> None:
        for name, carrier in self._carriers.items():
            await self._ledger.limits.set_limits(name, carrier.limits, carrier.limit_groups)
        # The lanes last: a process that dies before leaves a ledger that the next sweep finds without them.
        await self._ledger.schedule.open_lanes(list(self._carriers))
        self._set_up_period = period

    async def sweep(self) -> int:
        """Send a wake-up for every lane on which something is due; return how many lanes there are.

        Looks first whether the ledger has fallen back in time, and applies notices that could not be applied at once.
        A ledger that fell back may be older than a carrier's first worker: nothing of that carrier would ever be due,
        and no limit would hold. So the carriers are set up in it again, whether or not the fall was recognised.
        """
        guard = await self._ledger.guard.check(self._guard_lasts)
        if guard.fell:
            log.error("ledger_fell_back", guarded_until=guard.ends_at, why=guard.why)
        if self._was_set_up and not await self._is_set_up_in(guard.began_at):
            await self._set_up_in(guard.began_at)
        if self._notice_asks_every is not None:
            await self._ledger.notices.apply(every=self._notice_asks_every)
        due = await self._ledger.schedule.due_lanes()
        self._bell.ring(due)
        return len(due)

    async def forget(self) -> None:
        """Delete what is kept no longer: receipts, notices, snapshots, corrections of past budgets, idle hosts."""
        await self._ledger.coverage.forget(self._coverage_kept)
        await self._ledger.allowances.forget_corrections()
        await self._ledger.history.forget_receipts(self._receipts_kept)
        await self._ledger.webhooks.forget_hosts()
        if self._notice_asks_every is not None:
            await self._ledger.notices.forget(self._receipts_kept)

    async def cancel(
        self, order_id: OrderId, *, by: str, why: str | None = None, expected_version: int | None = None
    ) -> Order:
        """Cancel an order; cancelling it twice changes nothing more.

        Before it is sent, that is its end. Once the carrier has it, the carrier is asked to drop it, if the carrier
        offers that: the order stays OPEN until the carrier has answered.

        `expected_version`: the version that the person has seen. What a cancellation does depends on the state.

        Raises:
            UnknownOrder: There is no such order.
            NotCancellable: The carrier may have it, or has it and offers no cancellation, or it has ended, or it has
                moved past `expected_version`.
        """
        for _ in range(_TRIES):
            order = await self._read(order_id)
            if order.state is State.CANCELLED or (order.state is State.OPEN and order.cancel_asked_at):
                return order
            if expected_version not in {None, order.version}:
                raise NotCancellable(f"order {order_id} has just moved, and is {order.state} now: look at it again")
            if order.request.carrier not in self._carriers:
                raise NotCancellable(not_set_up(order))
            if order.state is not State.ACCEPTED and not self._cancels_at_carrier(order):
                raise NotCancellable(_why_not_cancellable(order))
            if order.state is State.ACCEPTED and await self._may_be_forgotten(order):
                raise NotCancellable(f"order {order_id} may be at {order.request.carrier}: {_FORGOTTEN}")
            if was_cancelled_before(await self._ledger.history.story(order_id), by, why):
                raise NotCancellable(
                    f"order {order_id} was cancelled with these words and has gone on since; give another why"
                )
            moved = await self._recorder.hear([Heard(order, CancelAsked(by, why))], now=await self._ledger.now())
            if order_id in moved:
                self._bell.ring([(order.request.carrier, Lane.TELL), (order.request.carrier, Lane.ASK)])
                return moved[order_id]
            # It moved since it was read: it is being sent, or was not sent after all, or somebody else cancelled it.
        raise NotCancellable(f"order {order_id} could not be cancelled, because it kept moving; try again")

    async def _may_be_forgotten(self, order: Order) -> bool:
        """Tell whether the ledger fell back in time, and the order was not looked for since.

        The fall may be as recent as this request: behind a pooler nobody has looked yet.
        """
        period = await self._ledger.guard.check(self._guard_lasts, beats=False)
        since = latest_fall(period.began_at if period.is_active else None, order)
        return since is not None and not order.was_doubted_since(since)

    def cancellation(self, order: Order) -> Cancellation:
        """Return whether the carrier of an open order can be asked to cancel it."""
        carrier = self._carriers.get(order.request.carrier)
        return cancellation(order, carrier.adapter.capabilities if carrier else None)

    def _cancels_at_carrier(self, order: Order) -> bool:
        """Tell whether the carrier has the order and can be asked to drop it."""
        capabilities = self._carriers[order.request.carrier].adapter.capabilities
        return order.state is State.OPEN and order.request.kind in capabilities.cancellable

    async def resolve(self, order_id: OrderId, decision: Resolution, *, expected_version: int | None = None) -> Order:
        """Carry out a person's decision about a parked order (`Decisions.resolve`)."""
        return await self._decisions.resolve(order_id, decision, expected_version=expected_version)

    async def park(self, order_id: OrderId, *, by: str, why: str) -> Order:
        """Park an order for a person to decide about (`Decisions.park`)."""
        return await self._decisions.park(order_id, by=by, why=why)

    async def retry(
        self, order_ids: Sequence[OrderId], by: str, why: str | None, lane: Lane | None = None
    ) -> list[RetryOutcome]:
        """Make these orders due now (`Retries.retry`)."""
        return await self._retries.retry(order_ids, by=by, why=why, lane=lane)

    async def retry_all(
        self, carrier: CarrierName, by: str, why: str | None, lane: Lane | None = None
    ) -> AsyncIterator[Sequence[RetryOutcome]]:
        """Make everything that waits at a carrier due now (`Retries.retry_all`)."""
        async for outcomes in self._retries.retry_all(carrier, by=by, why=why, lane=lane):
            yield outcomes

    async def watch(self) -> None:
        """Raise the alarms that no single order can raise, and drop those whose cause is gone."""
        for carrier in self._carriers.values():
            await SerialLockWatch(self._ledger.serial_locks, self._ledger.alarms, carrier).check()
        await self._ledger.alarms.drop_alarms_unless(Alarm.WAITS_FOR_PARKED, State.PARKED)
        if lost := await self._ledger.webhooks.owe_lost():
            log.warning("documents_owed_again", orders=lost)

    async def reconcile(
        self, carrier: CarrierName, decision: Decision | None = None, *, lookups: int = LOOKUPS
    ) -> Reconciled:
        """Compare the numbers at one carrier with those in the ledger (`Reconciliation.reconcile`)."""
        return await self._reconciliation.reconcile(carrier, decision, lookups=lookups)

    async def reconcile_all(self) -> None:
        """Compare the numbers at every carrier that lists them (`Reconciliation.reconcile_all`).

        Once an hour at most: two beats send the tick twice.
        """
        began_at = await self._ledger.scheduled_runs.begin(RECONCILIATION, not_within=_RECONCILED_ONCE_IN)
        if began_at is not None:
            await self._reconciliation.reconcile_all()
            await self._ledger.scheduled_runs.end(RECONCILIATION, began_at)

    async def reconcile_after_fall(self) -> None:
        """Do so if the ledger fell back in time since the last comparison that came to its end.

        Orders under way are looked for first. A comparison whose worker was killed is made again after an hour.
        """
        period = await self._ledger.guard.read()
        if period.began_at is None or not period.is_active or period.now < period.began_at + _AFTER_FALL:
            return
        last = await self._ledger.scheduled_runs.last(RECONCILIATION)
        if last is None or last < period.began_at + _AFTER_FALL:
            await self.reconcile_all()

    async def snapshot_coverage(self) -> None:
        """Count what carriers have for sale (`CoverageSnapshots.take`), once an hour at most."""
        began_at = await self._ledger.scheduled_runs.begin(_COVERAGE, not_within=_COUNTED_ONCE_IN)
        if began_at is not None:
            snapshots = CoverageSnapshots(self._ledger, self._boot_clock, self._ledger_clock, self._carriers)
            await snapshots.take()
            await self._ledger.scheduled_runs.end(_COVERAGE, began_at)

    async def archive(self) -> ArchiveRun | None:
        """Move orders that ended long ago into the archive (`Archiving.run`); None: the settings want none moved."""
        if self._archive_after is None:
            return None
        return await Archiving(self._ledger, self._boot_clock).run(self._archive_after)

    def subscription_keeper(self, carrier: CarrierName) -> SubscriptionKeeper:
        """Return the keeper of the subscriptions to a carrier's notices.

        Raises:
            NoSubscriptions: The carrier takes none, or the settings want none there.
        """
        return SubscriptionKeeper.of(self._carriers[carrier], self._ledger, self._boot_clock, self._ledger_clock)

    async def keep_subscriptions(self) -> None:
        """Make and renew the subscriptions to notices at every carrier that takes them. A failure raises an alarm."""
        for carrier in self._carriers:
            try:
                await self.subscription_keeper(carrier).keep()
            except NoSubscriptions:
                continue
            except (Declined, NoAnswer, UnreadableAnswer) as trouble:
                log.warning("subscription_failed", carrier=carrier, trouble=str(trouble))

    async def documents(self, order_ids: Sequence[OrderId]) -> list[dict[str, Any]]:
        """Return the documents of these orders, in the same order.

        Raises:
            UnknownOrder: One of them does not exist.
        """
        orders = await self._ledger.orders.read(order_ids)
        for order_id in order_ids:
            if order_id not in orders:
                raise UnknownOrder(order_id)
        numbers = await self._ledger.numbers.of_orders(order_ids)
        return [document(orders[order_id], numbers[order_id]) for order_id in order_ids]

    async def _run_lane(self, carrier: CarrierName, lane: Lane, lasts_s: float) -> bool:
        """Run one lane; return whether more may be due."""
        ledger = self._ledger
        if carrier == WEBHOOKS:
            return await self._run_webhooks(lasts_s)
        if lane is Lane.TELL:
            self._bell.reset(carrier, lane)
            stores = (ledger.schedule, ledger.outbox, ledger.webhooks, ledger.alarms)
            return await TellLane(*stores, self._notifier, self._bell).run(carrier)
        lane_run = LaneRun(
            self._lane_work(carrier, lane),
            ledger,
            self._recorder,
            CircuitBreaker(ledger.breakers, ledger.alarms, self._carriers[carrier].breaker_policy),
            LanePresence(self._bell, self._slots, carrier, lane),
            self._shares,
            boot_clock=self._boot_clock,
            ledger_clock=self._ledger_clock,
            pauses=self._carriers[carrier].pauses,
            lasts_s=lasts_s,
            tracer=self._tracer,
        )
        more = await self._run_with_readings(carrier, lane_run, lasts_s) if lane is Lane.ASK else await lane_run.run()
        log.debug("lane_run_over", carrier=carrier, lane=lane.value, started=lane_run.started, more=more)
        return more

    async def _run_webhooks(self, lasts_s: float) -> bool:
        """Deliver documents to URLs; return whether more may be due."""
        assert self._webhook_sender is not None, "checked by `work`"
        webhook_run = WebhookRun(
            self._ledger.webhooks,
            self._webhook_sender,
            self._webhook_policy,
            LanePresence(self._bell, self._slots, WEBHOOKS, Lane.TELL),
            boot_clock=self._boot_clock,
            lasts_s=lasts_s,
        )
        return await webhook_run.run()

    async def _run_with_readings(self, carrier: CarrierName, lane_run: LaneRun, lasts_s: float) -> bool:
        """Run the lane `ask`, and read lists beside it; return whether more may be due."""
        reader = ListReader(
            self._carriers[carrier], self._ledger, self._boot_clock, self._ledger_clock, lasts_s=lasts_s
        )
        reading = asyncio.create_task(reader.run())
        try:
            more = await lane_run.run()
            return await reading or more
        finally:
            reading.cancel()

    def _lane_work(self, carrier: CarrierName, lane: Lane) -> LaneWork:
        if lane is Lane.SUBMIT:
            return SubmitLane(self._carriers[carrier], self._ledger, self._recorder)
        return AskLane(self._carriers[carrier], self._ledger, self._recorder)

    async def _read(self, order_id: OrderId) -> Order:
        found = await self._ledger.orders.read([order_id])
        if order_id not in found:
            raise UnknownOrder(order_id)
        return found[order_id]


def _why_not_cancellable(order: Order) -> str:
    where = f"order {order.order_id} is {order.state}"
    if order.state.is_final:
        return f"{where}: it is over, and an order that has ended is never changed"
    if order.state is State.PARKED:
        return f"{where}: a person decides what becomes of it"
    if order.state is State.OPEN:
        return f"{where}: {order.request.carrier} has it, and offers no way to cancel it"
    return f"{where}: {order.request.carrier} may have it; try again once that is known"
