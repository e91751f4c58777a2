"""One world: everything that the service stands on, simulated, and the service itself, real; all of it from one seed.

First comes the storm, in which orders are placed and things go wrong. Then trouble ends, time goes on, and everything
must come to rest.
"""

import asyncio
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
from number_orders.simulation.broker import Broker, SimulatedBell, SimulatedNotifier, SimulatedSlots
from number_orders.simulation.carriers import MANNERS, practice_world, simulated_carriers
from number_orders.simulation.clock import EPOCH, MachineClock, VirtualLoop, true_now
from number_orders.simulation.faults import CALM, PROFILES, Faults
from number_orders.simulation.incidents import DAY_S, Incidents
from number_orders.simulation.ledger_connection import LineToLedger
from number_orders.simulation.memory_ledger import memory_ledger
from number_orders.simulation.monitor import Monitor
from number_orders.simulation.network import TIMEOUT_S, Host, SimulatedWire
from number_orders.simulation.people import Clerk, Inbox, Meddler, Mover, Producer, wishes
from number_orders.simulation.process import Process
from number_orders.simulation.rates import RateWatch, drawn_rates
from number_orders.simulation.statements.reading import next_due
from number_orders.simulation.tables import Tables
from number_orders.simulation.trace import Trace
from number_orders.simulation.worker import Child

_MACHINES: Final = 2
_CHILDREN: Final = 3
_LANE_CHILDREN: Final = 2
_CONCURRENCY: Final = 8
_SKEW_S: Final = 600.0
_FAST: Final = 0.0005
"""As fast as clocks are slewed that somebody sets right."""
_REST_DAYS: Final = 7.0
_LOOKS_EVERY_S: Final = 600
_AFTERWARDS_S: Final = 4 * 3600.0
_SCHEDULES: Final = frozenset(
    {"postpone", "release", "wait_for_serial_locks", "mark_delivered", "return_probe", "within_reach"}
)
"""Statements that change what is due and answer nothing."""
_BUGS: Final = frozenset({"attempt_broke", "submission_broke", "question_broke", "event_given_up"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be simulated."""

    seed: int
    orders: int = 12
    days: float = 1.0
    faults: Faults = CALM
    carriers: tuple[str, ...] = ()
    """Those that orders go to; none named are all."""

    @classmethod
    def drawn(
        cls, seed: int, *, profile: str = "swarm", orders: int = 12, days: float = 1.0, carriers: Sequence[str] = ()
    ) -> "Plan":
        """Return the plan of a seed, its weather drawn as the profile says.

        Raises:
            KeyError: There is no such profile.
        """
        return cls(seed, orders, days, PROFILES[profile](Random(f"{seed}/faults")), tuple(carriers))


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a world."""

    plan: Plan
    broken: tuple[str, ...]
    digest: str
    events: int
    simulated: timedelta
    states: Mapping[str, int]
    counts: Mapping[str, int]
    last_lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Parts:
    """What a test may replace to see whether it is noticed."""

    ledger: type[LineToLedger] = LineToLedger
    courier: type[Courier] = Courier
    policies: Mapping[CarrierName, CarrierPolicy] = field(default_factory=lambda: MANNERS)
    taint: Taint = field(default_factory=Taint)


def run(plan: Plan, *, parts: Parts = Parts(), listener: Callable[[str], None] | None = None) -> Report:
    """Run one world to its end, or to its first broken promise."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(World(plan, parts, Trace(listener)).lives())


class World:
    """Everything there is."""

    def __init__(self, plan: Plan, parts: Parts, trace: Trace) -> None:
        self._plan = plan
        self._parts = parts
        self._trace = trace
        self._dice = Random(f"{plan.seed}/world")
        self._weather = Incidents(plan.faults, Random(f"{plan.seed}/weather"), days=plan.days)
        self._tables = Tables(true_now)
        self._practice = practice_world(plan.faults, Random(f"{plan.seed}/practice"))
        self._sides = simulated_carriers(self._practice, self._dice, parts.taint)
        self._inbox = Inbox()
        self._monitor = Monitor(self._tables, self._sides, self._inbox, trace)
        self._broker = Broker(self._weather, trace)
        self._rates = drawn_rates(Random(f"{plan.seed}/rates"))
        watch = RateWatch(self._rates, self._monitor.breaks)
        self._hosts = {
            name: Host(name, side.app, self._weather, trace, self._monitor.acted, watch)
            for name, side in self._sides.items()
        }
        self._written: set[asyncio.Event] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def lives(self) -> Report:
        """Run from the first order to the last end."""
        asyncio.get_running_loop().set_exception_handler(self._unhandled)
        with _listening(self._overheard):
            await self._opens()
            producers = self._people()
            self._machines()
            self._start(self._storm_ends())
            self._start(self._ends(producers))
            await self._monitor.alarm.wait()
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
            last_lines=tuple(self._trace.last()),
        )

    # Who is there

    async def _opens(self) -> None:
        """Write down what every worker does when it starts: the lanes there are, and what carriers limit."""
        ledger, nobody = memory_ledger(self._tables), Process("start", MachineClock(), self._weather, self._trace)
        await ledger.schedule.open_lanes(list(self._sides))
        for name in self._sides:
            carrier = self._carrier(name, nobody)
            await ledger.limits.set_limits(name, carrier.limits, carrier.limit_groups)

    def _people(self) -> list[Producer]:
        plan = self._plan
        placed = wishes(Random(f"{plan.seed}/orders"), plan.orders, self._weather, plan.carriers)
        producers = [Producer(wish, self._broker, self._trace, self._dice) for wish in placed]
        for producer in producers:
            self._start(producer.orders())
        removals, until_s = 1 + self._plan.orders // 3, 0.8 * self._weather.storm_s
        mover = Mover(self._tables, self._broker, self._trace, self._dice, removals, until_s, producers)
        self._start(mover.moves())
        from_s = 0.0 if self._dice.random() < self._weather.faults.decided else self._weather.storm_s
        if per_hour := self._weather.faults.meddled:
            dice = Random(f"{plan.seed}/meddler")
            self._start(
                Meddler(self._tables, self._broker, self._trace, dice, per_hour, self._weather.storm_s).meddles()
            )
        self._start(Clerk(self._tables, self._sides, self._broker, self._trace, self._dice, from_s).decides())
        return producers

    def _machines(self) -> None:
        beats = 2 if self._dice.random() < self._weather.faults.two_beats else 1
        for number in range(beats):
            self._start(self._beats(self._dice.random(), number))
        for stretch in self._weather.stretches("wiped"):
            asyncio.get_running_loop().call_later(stretch.begins_s, self._broker.wipe)
        for machine in range(_MACHINES):
            skew = self._weather.faults.skew
            clock = MachineClock(self._dice.uniform(-1, 1) * _SKEW_S * skew, self._dice.uniform(-1, 1) * _FAST * skew)
            slots = SimulatedSlots(each=_LANE_CHILDREN, together=_CHILDREN - 1)
            for number in range(_CHILDREN):
                self._start(self._child(f"w{machine}.{number}", clock, slots).lives())

    def _child(self, name: str, clock: MachineClock, slots: SimulatedSlots) -> Child:
        return Child(
            name,
            new_process=lambda life: Process(life, clock, self._weather, self._trace),
            open_services=lambda process: self._room(process, slots),
            broker=self._broker,
            weather=self._weather,
            trace=self._trace,
            crashed=lambda why: self._monitor.breaks(f"a worker crashed: {why}"),
        )

    def _room(self, process: Process, slots: SimulatedSlots) -> Services:
        """Open the rooms of one process, as `workers.bootstrap` does."""
        ledger = Ledger(self._parts.ledger(self._tables, process, self._weather, self))
        carriers = {name: self._carrier(name, process) for name in self._sides}
        bell = SimulatedBell(self._broker, process)
        desk = OrderService(
            ledger=ledger,
            carriers=carriers,
            notifier=SimulatedNotifier(process, self._weather, self._inbox.take),
            bell=bell,
            slots=slots,
            boot_clock=process.clock.boot,
        )
        adapters = {name: side.adapter for name, side in self._sides.items()}
        return Services(ledger, desk, Intake(ledger.intake, adapters, bell))

    def _carrier(self, name: CarrierName, process: Process) -> Carrier:
        side, clock = self._sides[name], process.clock
        wire = SimulatedWire(self._hosts[name], process, self._weather)
        settings = CourierSettings("http://carrier.test", total_timeout_s=TIMEOUT_S)
        courier = self._parts.courier(settings, side.signs_in(clock), now=clock.now, clock=clock.boot, wire=wire)
        return Carrier(side.adapter, courier, self._parts.policies[name], _CONCURRENCY, self._rates[name])

    # What happens by itself

    def heard(self, process: str, statement: str, params: Mapping[str, Any], rows: list[dict[str, Any]]) -> None:
        """Pass on what was written, and wake the beats: what is due may have changed."""
        self._monitor.heard(process, statement, params, rows)
        if statement in _SCHEDULES or rows:
            for written in self._written:
                written.set()

    async def _beats(self, phase_s: float, number: int) -> None:
        """Send for a sweep every second. Seconds in which nothing can be due are not played."""
        written = asyncio.Event()
        self._written.add(written)
        while True:
            due_at = next_due(self._tables)
            wait_s = None if due_at is None else (due_at - true_now()).total_seconds()
            if wait_s is None or wait_s > 0:
                written.clear()
                await _any_of(written, wait_s)
                continue
            await asyncio.sleep(1 - (asyncio.get_running_loop().time() - phase_s) % 1)
            if not self._weather.lasts("no_beat"):
                self._broker.tick()

    async def _storm_ends(self) -> None:
        await asyncio.sleep(self._weather.storm_s)
        self._practice.faults.clear()
        self._trace.note("world", "calm", "no more trouble")

    async def _ends(self, producers: list[Producer]) -> None:
        """Wait until nothing is left to be done, see whether anything comes after that, and look back."""
        ends_s = self._weather.storm_s + _REST_DAYS * DAY_S
        for looks_at_s in range(0, int(ends_s), _LOOKS_EVERY_S):
            await asyncio.sleep(looks_at_s - asyncio.get_running_loop().time())
            if self._is_at_rest(producers):
                break
        await asyncio.sleep(_AFTERWARDS_S)
        self._monitor.looks_back(producers)
        self._monitor.alarm.set()

    def _is_at_rest(self, producers: list[Producer]) -> bool:
        return (
            not self._weather.stormy
            and all(producer.ticket or producer.refused for producer in producers)
            and not self._tables.owed
            and all(row["ended_at"] for row in self._tables.orders.values())
        )

    # What nobody foresaw

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._monitor.breaks("".join(traceback.format_exception(error)))

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        told = "".join(traceback.format_exception(error)) if isinstance(error, BaseException) else ""
        self._monitor.breaks(f"{context['message']} {told}")

    def _overheard(self, event: str, error: object) -> None:
        """Look at what the service logs as trouble."""
        self._trace.note("log", event)
        if event in _BUGS and not isinstance(error, FulfilmentError):
            told = "".join(traceback.format_exception(error)) if isinstance(error, BaseException) else ""
            self._monitor.breaks(f"the service logs {event}: {told}")


async def _any_of(written: asyncio.Event, wait_s: float | None) -> None:
    try:
        async with asyncio.timeout(wait_s):
            await written.wait()
    except TimeoutError:
        return


@contextmanager
def _listening(overheard: Callable[[str, object], None]) -> Iterator[None]:
    """Hear the service's own log from warnings up, and keep it off the screen."""

    def overhear(logger: object, name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        overheard(str(event.get("event")), event.get("exc_info"))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[overhear], wrapper_class=structlog.make_filtering_bound_logger(30))
    try:
        yield
    finally:
        structlog.configure(**before)
