"""The simulated broker: messages come late, twice, out of order or not at all, and sometimes all are lost at once.

Knows what docs/adr/0002-bells-and-leases.md says of bells and of messages that carry an order; knows no Celery.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from number_orders.fulfilment.ports import Delivery
from number_orders.orders.model import CarrierName, Lane, OrderId
from number_orders.simulation.incidents import Incidents
from number_orders.simulation.process import Process
from number_orders.simulation.trace import Trace

_VISIBILITY_S: Final = 90.0
_TICKS_WAITING_MAX: Final = 10
_BELLS_WAITING_MAX: Final = 100
_BELL_HEARD_WITHIN_S: Final = 2.0
_SUFFICES_S: Final = 3.0
_ON_ITS_WAY_S: Final = (0.001, 0.02)
_DELAYED_S: Final = (0.1, 90.0)


@dataclass(slots=True, eq=False)
class Message:
    """One message. One that carries an order is acknowledged late, a bell at once. None expires."""

    name: str
    arguments: tuple[Any, ...]
    late_ack: bool = False
    answer: "asyncio.Future[Any] | None" = field(default=None, repr=False)

    @property
    def summary(self) -> str:
        """The message in one line."""
        return f"{self.name} {' '.join(str(part) for part in self.arguments if not isinstance(part, dict))}"


class Broker:
    """All queues at once; whichever child is free takes the next message."""

    def __init__(self, incidents: Incidents, trace: Trace) -> None:
        self._incidents = incidents
        self._trace = trace
        self._waiting: deque[Message] = deque()
        self._unacked: dict[Message, asyncio.TimerHandle] = {}
        self._idle: deque[asyncio.Future[None]] = deque()
        self._rung_until: dict[tuple[str, str], float] = {}

    def send(self, message: Message) -> None:
        """Accept a message, or drop, double or delay it."""
        incidents, faults = self._incidents, self._incidents.faults
        if incidents.happens(faults.dropped):
            self._trace.note("broker", "dropped", message.summary)
            return
        for _ in range(2 if incidents.happens(faults.doubled) else 1):
            after_s = incidents.random_s(*(_DELAYED_S if incidents.happens(faults.delayed) else _ON_ITS_WAY_S))
            asyncio.get_running_loop().call_later(after_s, self._arrive, replace(message))

    async def take(self, process: Process) -> Message:
        """Wait for the next message and take it."""
        while True:
            while not self._waiting:
                idle: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._idle.append(idle)
                await idle
            message = self._waiting.popleft()
            if message.late_ack:
                again = asyncio.get_running_loop().call_later(_VISIBILITY_S, self._restore, message)
                self._unacked[message] = again
            return message

    def acknowledge(self, message: Message) -> None:
        """Forget a message that was handled."""
        if (again := self._unacked.pop(message, None)) is not None:
            again.cancel()

    def wipe(self) -> None:
        """Lose all messages."""
        self._trace.note("broker", "wiped", f"{len(self._waiting)} waiting, {len(self._unacked)} in hand")
        self._waiting.clear()
        self._rung_until.clear()
        for again in self._unacked.values():
            again.cancel()
        self._unacked.clear()

    def ring(self, carrier: str, lane: str) -> None:
        """Ring a lane's bell, unless it was rung just now and no child has looked since, or many bells wait."""
        now = asyncio.get_running_loop().time()
        if self._rung_until.get((carrier, lane), 0.0) <= now:
            self._rung_until[carrier, lane] = now + _BELL_HEARD_WITHIN_S
            if self._count_waiting("work", lane) < _BELLS_WAITING_MAX:
                self.send(Message("work", (carrier, lane)))

    def reset(self, carrier: str, lane: str) -> None:
        """Record that a child is about to look at the lane."""
        self._rung_until.pop((carrier, lane), None)

    def mute(self, carrier: str, lane: str) -> None:
        """Record that a child works on the lane continuously."""
        self._rung_until[carrier, lane] = asyncio.get_running_loop().time() + _BELL_HEARD_WITHIN_S

    def tick(self) -> None:
        """Send a sweep message, unless many wait."""
        if self._count_waiting("sweep") < _TICKS_WAITING_MAX:
            self.send(Message("sweep", ()))

    def _count_waiting(self, name: str, lane: str | None = None) -> int:
        return sum(one.name == name and (lane is None or one.arguments[1] == lane) for one in self._waiting)

    def _restore(self, message: Message) -> None:
        if self._unacked.pop(message, None) is not None:
            self._trace.note("broker", "restored", message.summary)
            self._arrive(message)

    def _arrive(self, message: Message) -> None:
        self._waiting.append(message)
        while self._idle:
            idle = self._idle.popleft()
            if not idle.done():
                return idle.set_result(None)
        return None


class SimulatedBell:
    """The bell as one process rings it."""

    def __init__(self, broker: Broker, process: Process) -> None:
        self._broker = broker
        self._process = process

    def ring(self, lanes: Iterable[tuple[CarrierName, Lane]]) -> None:
        """Ring the lanes in sorted order, because the order of a set differs between runs."""
        for carrier, lane in sorted(lanes):
            self._process.checkpoint_now("ringing")
            self._broker.ring(carrier, lane.value)

    def reset(self, carrier: CarrierName, lane: Lane) -> None:
        """Record that this process is about to look at the lane."""
        self._process.checkpoint_now("about to look")
        self._broker.reset(carrier, lane.value)

    def mute(self, carrier: CarrierName, lane: Lane) -> None:
        """Record that this process works on the lane continuously."""
        self._process.checkpoint_now("looking all the while")
        self._broker.mute(carrier, lane.value)


class SimulatedNotifier:
    """Delivers documents to producers as one process does, which may die after any of them."""

    def __init__(self, process: Process, incidents: Incidents, deliver: Callable[[Delivery], None]) -> None:
        self._process = process
        self._incidents = incidents
        self._deliver = deliver

    def deliver(self, deliveries: Sequence[Delivery]) -> list[str | None]:
        """Deliver in order; after an order's failure its later documents wait."""
        failed: set[OrderId] = set()
        return [self._trouble(delivery, failed) for delivery in deliveries]

    def _trouble(self, delivery: Delivery, failed: set[OrderId]) -> str | None:
        self._process.checkpoint_now("notifying")
        order_id = delivery.message.order_id
        if order_id in failed or self._incidents.happens(self._incidents.faults.dropped):
            failed.add(order_id)
            return "the broker did not take it"
        self._deliver(delivery)
        self._process.checkpoint_now("notified")
        return None


class SimulatedSlots:
    """The slots for lanes on one machine; a dead holder's slot is released."""

    def __init__(self, *, each: int, together: int) -> None:
        self._each = each
        self._together = together
        self._held: list[tuple[Process, CarrierName, Lane]] = []
        self._sufficient_since: dict[tuple[CarrierName, Lane], float] = {}

    def of(self, process: Process) -> "ChildSlots":
        """Return the slots as one child takes them."""
        return ChildSlots(self, process)

    def keep_alone(self, carrier: CarrierName, lane: Lane) -> None:
        """Give nobody else a slot of this lane for the next seconds."""
        self._sufficient_since[carrier, lane] = asyncio.get_running_loop().time()

    def allow_another(self, carrier: CarrierName, lane: Lane) -> None:
        """Give others the remaining slots of this lane."""
        self._sufficient_since.pop((carrier, lane), None)

    @contextmanager
    def take(self, process: Process, carrier: CarrierName, lane: Lane) -> Iterator[bool]:
        """Yield whether a slot was free. A child that works several lanes counts once among all."""
        sufficient_for_s = asyncio.get_running_loop().time() - self._sufficient_since.get(
            (carrier, lane), float("-inf")
        )
        each = 1 if sufficient_for_s < _SUFFICES_S else self._each
        others = {holder.name for holder, _, _ in self._held if holder is not process}
        holders = sum(where == [carrier, lane] for _, *where in self._held)
        if len(others) >= self._together or holders >= each:
            yield False
            return
        held = (process, carrier, lane)
        self._held.append(held)
        try:
            yield True
        finally:
            self._held.remove(held)


@dataclass(frozen=True, slots=True)
class ChildSlots:
    """The slots for lanes as one child takes them."""

    machine: SimulatedSlots
    process: Process

    def take(self, carrier: CarrierName, lane: Lane) -> AbstractContextManager[bool]:
        """Take a slot, if one is free."""
        return self.machine.take(self.process, carrier, lane)

    def keep_alone(self, carrier: CarrierName, lane: Lane) -> None:
        """Give no other child a slot of this lane for the next seconds."""
        self.machine.keep_alone(carrier, lane)

    def allow_another(self, carrier: CarrierName, lane: Lane) -> None:
        """Give other children the remaining slots of this lane."""
        self.machine.allow_another(carrier, lane)
