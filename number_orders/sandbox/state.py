"""What all sandbox carriers share: one clock, one behaviour, one set of fault rules, one request log."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from random import Random, SystemRandom
from typing import Any, Final, Protocol
from uuid import UUID

from starlette.routing import BaseRoute

from number_orders.sandbox.behaviour import Behaviour
from number_orders.sandbox.clock import Clock, SandboxClock, wall_clock
from number_orders.sandbox.faults import FaultRules
from number_orders.sandbox.memory import Memory
from number_orders.sandbox.notices import NoticeSender
from number_orders.sandbox.request_log import RequestLog
from number_orders.sandbox.stalls import StallMonitor

BackgroundTask = Callable[[], Coroutine[Any, Any, None]]

_CLOCK: Final = "(clock)"  # stands in the memory file where other lines name their carrier


class SandboxState:
    """Shared by the carriers and changed by the control API."""

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        clock: Clock = wall_clock,
        memory: Memory | None = None,
        id_dice: Random | None = None,
    ) -> None:
        self._first_behaviour = self.behaviour = behaviour or Behaviour()
        self.clock = SandboxClock(clock)
        self.memory = memory or Memory()
        self.id_dice = id_dice or SystemRandom()  # for identifiers, which must differ after a restart
        self.stopping = asyncio.Event()  # set once, so that hanging requests end
        self.stalls = StallMonitor(self.clock)
        self.notices = NoticeSender(self.clock, lambda: self.behaviour)
        self.background_tasks: list[BackgroundTask] = [self.stalls.run, self.notices.run]  # while the sandbox is served
        self.reset()
        for line in self.memory.read(_CLOCK):
            self.clock.advance(line["advance_s"])

    def advance(self, seconds: float) -> None:
        """Move the clock of all carriers forward, also for a later sandbox with this memory file."""
        self.memory.append(_CLOCK, {"advance_s": seconds})
        self.clock.advance(seconds)

    def new_id(self) -> str:
        """Return a new identifier."""
        return str(UUID(int=self.id_dice.getrandbits(128), version=4))

    def reset(self) -> None:
        """Forget faults and requests, and restore the clock and the first behaviour."""
        self.clock.reset()
        self.behaviour = self._first_behaviour
        self.faults = FaultRules()
        self.request_log = RequestLog(self.clock)
        self.dice = Random(self.behaviour.seed)
        self.notices.reset()


class SandboxCarrier(Protocol):
    """What the sandbox needs of a carrier to serve, reset and report on it."""

    @property
    def name(self) -> str:
        """The carrier's name in rules and reports."""
        ...

    def routes(self) -> Sequence[BaseRoute]:
        """Return the carrier's routes, under the paths of its pages."""
        ...

    def orders_as_json(self, now: datetime, since: datetime | None) -> Iterable[dict[str, Any]]:
        """Return every order made since then, as it really is."""
        ...

    def incidents_as_json(self, since: datetime | None) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Return the report's other entries by heading: `violations`, `callbacks`."""
        ...

    def holdings_as_json(self, now: datetime) -> dict[str, str]:
        """Return every number that the accounts have now, with its account."""
        ...

    def stock_as_json(self) -> dict[str, int]:
        """Return what is left to sell."""
        ...

    def revoke_tokens(self, token: str | None) -> int:
        """Revoke one token, or all, and return how many were valid."""
        ...

    def reset(self) -> None:
        """Forget every order and refill the stock."""
        ...


CarrierFactory = Callable[[SandboxState], SandboxCarrier]
"""Makes a carrier that uses this state."""
