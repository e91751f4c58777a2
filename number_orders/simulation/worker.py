"""A worker's pool children: each takes a message, handles it with its own services, and dies from time to time.

A message does what the Celery task of the same name does (`tasks/`): one call of the order service or the intake.
"""

import asyncio
import traceback
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from number_orders.fulfilment.runtime import Services
from number_orders.orders.errors import FulfilmentError, LedgerUnavailable
from number_orders.orders.model import CarrierName, Lane
from number_orders.simulation.broker import Broker, Message
from number_orders.simulation.incidents import Incidents
from number_orders.simulation.process import Process
from number_orders.simulation.trace import Trace

_RESTART_S: Final = (0.5, 20.0)
_REQUEUE_AFTER_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class PoolChild:
    """One slot in a pool: a child that dies is replaced."""

    name: str
    new_process: Callable[[str], Process]
    open_services: Callable[[Process], Services]
    broker: Broker
    incidents: Incidents
    trace: Trace
    on_crash: Callable[[str], None]

    async def run(self) -> None:
        """Run children, one after the other."""
        for life in count():
            process = self.new_process(f"{self.name}.{life}")
            task = asyncio.get_running_loop().create_task(self._work(process))
            process.set_task(task)
            try:
                await asyncio.wait({task})
            finally:
                task.cancel()
            if not process.is_dead:
                self.on_crash("".join(traceback.format_exception(task.exception())) if not task.cancelled() else "")
            await asyncio.sleep(self.incidents.random_s(*_RESTART_S))

    async def _work(self, process: Process) -> None:
        services = self.open_services(process)
        while True:
            message = await self.broker.take(process)
            await process.checkpoint(f"took {message.name}")
            try:
                answer = await self._handle(services, message)
            except LedgerUnavailable:
                self._requeue(message)
                continue
            except FulfilmentError as refusal:
                answer = refusal
            await process.checkpoint(f"did {message.name}")
            self.broker.acknowledge(message)
            if message.answer is not None and not message.answer.done():
                message.answer.set_result(answer)

    async def _handle(self, services: Services, message: Message) -> object:
        does: Mapping[str, Callable[..., Coroutine[Any, Any, object]]] = {
            "work": lambda carrier, lane: services.orders.work(CarrierName(carrier), Lane(lane)),
            "sweep": services.orders.sweep,
            "forget": services.orders.forget,
            "submit": lambda raw, order_id: services.intake.submit(raw, producer="default", order_id=order_id),
            "cancel": lambda order_id: services.orders.cancel(order_id, by="producer", why="changed its mind"),
            "resolve": services.orders.resolve,
            "park": lambda order_id, why: services.orders.park(order_id, by="impatient operator", why=why),
            "retry": lambda order_id, lane: services.orders.retry([order_id], "impatient operator", None, lane),
            "mind": services.orders.watch,
            "subscribe": services.orders.keep_subscriptions,
        }
        return await does[message.name](*message.arguments)

    def _requeue(self, message: Message) -> None:
        """Send a message that carries an order again later, because the ledger is away; drop a bell."""
        self.broker.acknowledge(message)
        if message.late_ack:
            asyncio.get_running_loop().call_later(_REQUEUE_AFTER_S, self.broker.send, message)
