"""One world from one seed: the real service, and everything around it simulated.

First comes the fault period, in which orders are placed and things go wrong. Then faults end, time goes on, and
everything must come to rest.
"""

import asyncio
import gc
import traceback
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any, Final

import structlog

from number_orders.carriers.http.courier import Courier, CourierSettings
from number_orders.carriers.swift.taint import Taint
from number_orders.fulfilment.carrier import Carrier
from number_orders.fulfilment.intake import Intake
from number_orders.fulfilment.runtime import Services
from number_orders.fulfilment.service import OrderService
from number_orders.ledger.ledger import Ledger
from number_orders.orders.errors import FulfilmentError
from number_orders.orders.model import CarrierName
from number_orders.orders.policy import CarrierPolicy
from number_orders.simulation.broker import Broker, Message, SimulatedBell, SimulatedNotifier, SimulatedSlots
from number_orders.simulation.carriers import BANDWIDTH, POLICIES, sandbox_state, simulated_carriers
from number_orders.simulation.clock import EPOCH, MachineClock, VirtualLoop, true_now
from number_orders.simulation.falls import Falls
from number_orders.simulation.faults import CALM, PROFILES, Faults
from number_orders.simulation.incidents import DAY_S, Incidents
from number_orders.simulation.ledger_connection import LedgerConnection
from number_orders.simulation.memory_ledger import memory_ledger
from number_orders.simulation.monitor import Monitor
from number_orders.simulation.network import TIMEOUT_S, CarrierHost, SimulatedTransport
from number_orders.simulation.operators import ImpatientOperator, MistakenOperator, Operator
from number_orders.simulation.outsiders import HandWorker
from number_orders.simulation.people import Inbox, Producer, elsewhere, planned_orders
from number_orders.simulation.process import Process
from number_orders.simulation.rates import RateMonitor, random_rates
from number_orders.simulation.receiver import ADDRESSES, ASKS_EVERY, SUBSCRIPTION, SimulatedReceiver
from number_orders.simulation.removers import Rebuyer, Remover, Splitter
from number_orders.simulation.statements.schedule import next_due
from number_orders.simulation.tables import Tables
from number_orders.simulation.trace import Trace
from number_orders.simulation.worker import PoolChild

_MACHINES: Final = 2
_CHILDREN: Final = 3
_LANE_CHILDREN: Final = 2
_CONCURRENCY: Final = 8
_SKEW_MAX_S: Final = 600.0
_DRIFT_MAX: Final = 0.0005
"""As much as a clock is adjusted that is being corrected."""
_REST_DAYS: Final = 7.0
_CHECK_EVERY_S: Final = 600
_WAIT_AFTER_REST_S: Final = 4 * 3600.0
_SUBSCRIBE_EVERY_S: Final = 3600.0
_SCHEDULES: Final = frozenset({
    "postpone", "put_off", "release", "wait_for_serial_locks", "mark_delivered", "return_probe", "reset_breaker",
    "put_back_reading", "put_off_reading",
})  # fmt: skip
"""Statements that change what is due and return no rows."""
_BUGS: Final = frozenset(
    {
        "attempt_broke",
        "reading_broke",
        "submission_broke",
        "question_broke",
        "event_given_up",
        "order_not_checked",
        "order_not_storable",
        "notices_not_stored",
        "notices_not_applied",
    }
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to simulate."""

    seed: int
    orders: int = 12
    days: float = 1.0
    faults: Faults = CALM
    carriers: tuple[str, ...] = ()
    """The carriers that orders go to; empty means all."""

    @classmethod
    def from_seed(
        cls, seed: int, *, profile: str = "swarm", orders: int = 12, days: float = 1.0, carriers: Sequence[str] = ()
    ) -> "Plan":
        """Return the plan of a seed, with faults chosen by the profile.

        Raises:
            KeyError: there is no such profile.
        """
        return cls(
            seed,
            orders,
            days,
            PROFILES[profile](Random(f"{seed}/faults"), Random(f"{seed}/more faults")),
            tuple(carriers),
        )


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a world."""

    plan: Plan
    broken: tuple[str, ...]
    digest: str
    events: int
    simulated: timedelta
    states: Mapping[str, int]
    counts: Mapping[str, int]
    paths: Mapping[str, int]
    """How often the world walked each rare path (`paths.Path`)."""
    last_lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Parts:
    """Parts that a test replaces, to see whether the monitor notices."""

    ledger: type[LedgerConnection] = LedgerConnection
    courier: type[Courier] = Courier
    policies: Mapping[CarrierName, CarrierPolicy] = field(default_factory=lambda: POLICIES)
    taint: Taint = field(default_factory=Taint)


def run(plan: Plan, *, parts: Parts = Parts(), listener: Callable[[str], None] | None = None) -> Report:
    """Run one world to its end, or to its first broken promise.

    Without garbage collection, which would end abandoned coroutines at moments that depend on memory, not on the seed.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(World(plan, parts, Trace(listener)).run())
    finally:
        if collects:
            gc.enable()


class World:
    """The service and everything around it."""

    def __init__(self, plan: Plan, parts: Parts, trace: Trace) -> None:
        self._plan = plan
        self._parts = parts
        self._trace = trace
        # Each part has its own random generator. A changed label would change every kept world, as a seed does.
        self._dice = Random(f"{plan.seed}/world")
        self._incidents = Incidents(plan.faults, Random(f"{plan.seed}/weather"), days=plan.days)
        self._tables = Tables(true_now)
        self._sandbox = sandbox_state(plan.faults, Random(f"{plan.seed}/practice"), Random(f"{plan.seed}/showing"))
        addresses = ADDRESSES if plan.faults.notices else None
        self._carriers = simulated_carriers(self._sandbox, self._dice, parts.taint, addresses)
        self._inbox = Inbox()
        self._monitor = Monitor(self._tables, self._carriers, self._inbox, trace)
        self._broker = Broker(self._incidents, trace)
        self._rates = random_rates(Random(f"{plan.seed}/rates"))
        rate_monitor = RateMonitor(self._rates, self._monitor.fail)
        again = Random(f"{plan.seed}/again")
        self._hosts = {
            name: CarrierHost(
                name,
                carrier.app,
                self._incidents,
                trace,
                self._monitor.on_carrier_action,
                rate_monitor,
                again,
                self._monitor.paths.on_request,
            )
            for name, carrier in self._carriers.items()
        }
        self._writes: list[asyncio.Event] = []  # no set: its order would differ between runs
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> Report:
        """Run from the first order to the last end."""
        asyncio.get_running_loop().set_exception_handler(self._unhandled)
        with _listening_to_logs(self._on_log_event):
            await self._set_up_ledger()
            await self._start_outsiders()
            producers = self._start_people()
            self._start_machines()
            if self._plan.faults.notices:
                self._start_notices()
            self._start_falls(producers)
            self._start(self._end_faults())
            self._start(self._wait_for_rest(producers))
            await self._monitor.ended.wait()
        return self._report()

    def _report(self) -> Report:
        states: dict[str, int] = {}
        for row in self._tables.orders.values():
            states[row["state"]] = states.get(row["state"], 0) + 1
        return Report(
            plan=self._plan,
            broken=tuple(self._monitor.broken),
            digest=self._trace.digest,
            events=self._trace.lines,
            simulated=true_now() - EPOCH,
            states=dict(sorted(states.items())),
            counts=dict(sorted(self._trace.counts.items())),
            paths=dict(sorted(self._monitor.paths.counts.items())),
            last_lines=tuple(self._trace.last()),
        )

    # Setup

    async def _set_up_ledger(self) -> None:
        """Register what every worker registers at its start: the lanes, and the carriers' limits."""
        ledger, nobody = memory_ledger(self._tables), Process("start", MachineClock(), self._incidents, self._trace)
        await ledger.schedule.open_lanes(list(self._carriers))
        for name in self._carriers:
            carrier = self._carrier(name, nobody)
            await ledger.limits.set_limits(name, carrier.limits, carrier.limit_groups)

    async def _start_outsiders(self) -> None:
        """Fill the accounts, and start somebody who works on them by hand."""
        faults, until_s, seed = self._plan.faults, self._incidents.fault_period_s, self._plan.seed
        outsider = HandWorker(
            self._tables, self._carriers, self._trace, Random(f"{seed}/by hand"), faults.by_hand, until_s
        )
        if faults.accounts:
            await outsider.fill_accounts()
        self._start(outsider.run())

    def _start_people(self) -> list[Producer]:
        plan = self._plan
        placed = planned_orders(Random(f"{plan.seed}/orders"), plan.orders, self._incidents, plan.carriers)
        placed = elsewhere(placed, Random(f"{plan.seed}/elsewhere"), plan.faults)
        producers = [Producer(planned, self._broker, self._trace, self._dice) for planned in placed]
        for producer in producers:
            self._start(producer.run())
        removals, until_s = 1 + self._plan.orders // 3, 0.8 * self._incidents.fault_period_s
        remover = Remover(self._tables, self._broker, self._trace, self._dice, removals, until_s, producers)
        self._start(remover.run())
        if plan.faults.in_parts:
            dice, count = Random(f"{plan.seed}/splitter"), round(120 * plan.faults.in_parts)
            splitter = Splitter(self._tables, self._broker, self._trace, dice, count, until_s, producers, orders_max=3)
            self._start(splitter.run())
        if plan.faults.sold_again:
            dice = Random(f"{plan.seed}/rebuyer")
            self._start(Rebuyer(self._tables, self._broker, self._trace, dice, until_s, producers).run())
        self._start_operators()
        return producers

    def _start_operators(self) -> None:
        plan = self._plan
        from_s = 0.0 if self._dice.random() < self._incidents.faults.decided else self._incidents.fault_period_s
        if per_hour := self._incidents.faults.impatient_actions:
            dice, until_s = Random(f"{plan.seed}/meddler"), self._incidents.fault_period_s
            impatient = ImpatientOperator(self._tables, self._broker, self._trace, dice, per_hour, until_s)
            self._start(impatient.run())
        if per_hour := plan.faults.mistakes:
            dice, until_s = Random(f"{plan.seed}/mistakes"), self._incidents.fault_period_s
            may_send_again = not (plan.faults.listed_too_late or plan.faults.numbers_too_late)
            mistaken = MistakenOperator(
                self._tables, self._carriers, self._broker, self._trace, dice, per_hour, until_s, may_send_again
            )
            self._start(mistaken.run())
        self._start(Operator(self._tables, self._carriers, self._broker, self._trace, self._dice, from_s).run())

    def _start_machines(self) -> None:
        beats = 2 if self._dice.random() < self._incidents.faults.two_beats else 1
        for number in range(beats):
            self._start(self._run_beat(self._dice.random(), number))
        for interval in self._incidents.intervals("wiped"):
            asyncio.get_running_loop().call_later(interval.begins_s, self._broker.wipe)
        for machine in range(_MACHINES):
            skew = self._incidents.faults.skew
            clock = MachineClock(
                self._dice.uniform(-1, 1) * _SKEW_MAX_S * skew, self._dice.uniform(-1, 1) * _DRIFT_MAX * skew
            )
            slots = SimulatedSlots(each=_LANE_CHILDREN, together=_CHILDREN - 1)
            for number in range(_CHILDREN):
                self._start(self._child(f"w{machine}.{number}", clock, slots).run())

    def _start_notices(self) -> None:
        """Start a receiver, have the carriers send their notices to it, and keep the subscriptions."""
        clock = MachineClock()
        receiver = SimulatedReceiver(
            new_process=lambda life: Process(life, clock, self._incidents, self._trace),
            open_ledger=lambda process: Ledger(self._parts.ledger(self._tables, process, self._incidents, self)),
            open_bell=lambda process: SimulatedBell(self._broker, process),
            incidents=self._incidents,
            trace=self._trace,
            on_crash=lambda why: self._monitor.fail(f"the receiver crashed: {why}"),
        )
        self._sandbox.notices.open_client = receiver.open_client
        self._start(receiver.run())
        self._start(self._sandbox.notices.run())
        self._start(self._keep_subscriptions())

    async def _keep_subscriptions(self) -> None:
        while True:
            self._broker.send(Message("subscribe", ()))
            await asyncio.sleep(_SUBSCRIBE_EVERY_S)

    def _start_falls(self, producers: list[Producer]) -> None:
        def fallen() -> None:
            self._monitor.on_fall()
            for producer in producers:
                self._start(producer.repeat_if_forgotten(self._tables))
            for written in self._writes:
                written.set()

        dice, times = Random(f"{self._plan.seed}/falls"), self._plan.faults.falls * self._plan.days
        orders_at_s = [producer.planned.at_s for producer in producers]
        falls = Falls(self._tables, dice, self._trace, times=times, orders_at_s=orders_at_s, fallen=fallen)
        self._start(falls.run())

    def _child(self, name: str, clock: MachineClock, slots: SimulatedSlots) -> PoolChild:
        return PoolChild(
            name,
            new_process=lambda life: Process(life, clock, self._incidents, self._trace),
            open_services=lambda process: self._services(process, slots),
            broker=self._broker,
            incidents=self._incidents,
            trace=self._trace,
            on_crash=lambda why: self._monitor.fail(f"a worker crashed: {why}"),
        )

    def _services(self, process: Process, slots: SimulatedSlots) -> Services:
        """Create the services of one process, as `workers.bootstrap` does."""
        ledger = Ledger(self._parts.ledger(self._tables, process, self._incidents, self))
        carriers = {name: self._carrier(name, process) for name in self._carriers}
        bell = SimulatedBell(self._broker, process)
        order_service = OrderService(
            ledger=ledger,
            carriers=carriers,
            notifier=SimulatedNotifier(process, self._incidents, self._inbox.receive),
            bell=bell,
            slots=slots.of(process),
            boot_clock=process.clock.boot,
            serves=lambda _carrier, _lane: True,
            notice_asks_every=ASKS_EVERY if self._plan.faults.notices else None,
        )
        adapters = {name: carrier.adapter for name, carrier in self._carriers.items()}
        intake = Intake(
            ledger.intake,
            adapters,
            bell,
            now=process.clock.now,
            secrets=ledger.webhook_secrets,
            removals=ledger.removals,
        )
        return Services(ledger, order_service, intake)

    def _carrier(self, name: CarrierName, process: Process) -> Carrier:
        carrier, clock = self._carriers[name], process.clock
        transport = SimulatedTransport(self._hosts[name], process, self._incidents)
        settings, signed_in = CourierSettings("http://carrier.test", total_timeout_s=TIMEOUT_S), carrier.authenticator
        courier = self._parts.courier(settings, signed_in(clock), now=clock.now, clock=clock.boot, transport=transport)
        wanted = SUBSCRIPTION if self._plan.faults.notices and name == BANDWIDTH else None
        return Carrier(
            carrier.adapter,
            courier,
            self._parts.policies[name],
            _CONCURRENCY,
            self._rates[name],
            wanted_subscription=wanted,
        )

    # The course of the world

    def on_statement(self, process: str, statement: str, params: Mapping[str, Any], rows: list[dict[str, Any]]) -> None:
        """Check what was written, and wake the beats, because what is due may have changed."""
        self._monitor.on_statement(process, statement, params, rows)
        if statement in _SCHEDULES or rows:
            for written in self._writes:
                written.set()

    async def _run_beat(self, phase_s: float, number: int) -> None:
        """Send a sweep message every second; skip the seconds in which nothing can be due."""
        written = asyncio.Event()
        self._writes.append(written)
        while True:
            due_at = next_due(self._tables)
            wait_s = None if due_at is None else (due_at - true_now()).total_seconds()
            if wait_s is None or wait_s > 0:
                written.clear()
                await _any_of(written, wait_s)
                continue
            await asyncio.sleep(1 - (asyncio.get_running_loop().time() - phase_s) % 1)
            if not self._incidents.is_ongoing("no_beat"):
                self._broker.tick()

    async def _end_faults(self) -> None:
        await asyncio.sleep(self._incidents.fault_period_s)
        self._sandbox.faults.clear()
        self._trace.note("world", "calm", "no more faults")

    async def _wait_for_rest(self, producers: list[Producer]) -> None:
        """Wait until nothing is left to do, then some hours more, and check the end."""
        ends_s = self._incidents.fault_period_s + _REST_DAYS * DAY_S
        for check_at_s in range(0, int(ends_s), _CHECK_EVERY_S):
            await asyncio.sleep(check_at_s - asyncio.get_running_loop().time())
            if self._is_at_rest(producers):
                break
        await asyncio.sleep(_WAIT_AFTER_REST_S)
        self._monitor.check_end(producers)
        self._monitor.ended.set()

    def _is_at_rest(self, producers: list[Producer]) -> bool:
        return (
            not self._incidents.is_active
            and all(producer.ticket or producer.refused for producer in producers)
            and not self._tables.owed
            and all(row["ended_at"] for row in self._tables.orders.values())
        )

    # Unexpected errors

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._monitor.fail("".join(traceback.format_exception(error)))

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        traceback_text = "".join(traceback.format_exception(error)) if isinstance(error, BaseException) else ""
        self._monitor.fail(f"{context['message']} {traceback_text}")

    def _on_log_event(self, event: str, error: object) -> None:
        """Check the warnings and errors that the service logs."""
        self._trace.note("log", event)
        if event in _BUGS and not isinstance(error, FulfilmentError):
            traceback_text = "".join(traceback.format_exception(error)) if isinstance(error, BaseException) else ""
            self._monitor.fail(f"the service logs {event}: {traceback_text}")


async def _any_of(written: asyncio.Event, wait_s: float | None) -> None:
    try:
        async with asyncio.timeout(wait_s):
            await written.wait()
    except TimeoutError:
        return


@contextmanager
def _listening_to_logs(on_log_event: Callable[[str, object], None]) -> Iterator[None]:
    """Pass the service's log from warnings up to `on_log_event`, and print none of it."""

    def process_event(logger: object, name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        on_log_event(str(event.get("event")), event.get("exc_info"))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[process_event], wrapper_class=structlog.make_filtering_bound_logger(30))
    try:
        yield
    finally:
        structlog.configure(**before)
