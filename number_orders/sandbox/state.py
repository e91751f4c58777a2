"""What all practice carriers share: one clock, one behaviour, one set of faults, one journal."""

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
from number_orders.sandbox.request_log import RequestLog
from number_orders.sandbox.stalls import StallMonitor

BackgroundTask = Callable[[], Coroutine[Any, Any, None]]

_CLOCK: Final = "(clock)"  # in the memory, where a carrier's name would be


class SandboxState:
    """The surroundings of the carriers; the control API changes them, the carriers live in them."""

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        clock: Clock = wall_clock,
        memory: Memory | None = None,
        id_dice: Random | None = None,
    ) -> None:
        self._first_behaviour = behaviour or Behaviour()
        self.clock = SandboxClock(clock)
        self.memory = memory or Memory()
        self.id_dice = id_dice or SystemRandom()  # for identifiers, which no restart may give twice
        self.stopping = asyncio.Event()  # set once, so that hanging requests let go
        self.stalls = StallMonitor(self.clock)
        self.background_tasks: list[BackgroundTask] = [
            self.stalls.run
        ]  # what is done unasked, for as long as the sandbox is served
        self.reset()
        for line in self.memory.read(_CLOCK):
            self.clock.advance(line["advance_s"])

    def advance(self, seconds: float) -> None:
        """Move every carrier's clock forward, also for the sandbox that will take up this memory."""
        self.memory.append(_CLOCK, {"advance_s": seconds})
        self.clock.advance(seconds)

    def new_id(self) -> str:
        """Make up an identifier."""
        return str(UUID(int=self.id_dice.getrandbits(128), version=4))

    def reset(self) -> None:
        """Forget faults and requests, go back to the machine's time and behave as at the start."""
        self.clock.reset()
        self.behaviour = self._first_behaviour
        self.faults = FaultRules()
        self.request_log = RequestLog(self.clock)
        self.dice = Random(self.behaviour.seed)


class SandboxCarrier(Protocol):
    """What the sandbox needs of a carrier to mount it, reset it and report on it."""

    @property
    def name(self) -> str:
        """The carrier's name in rules and reports."""
        ...

    def routes(self) -> Sequence[BaseRoute]:
        """Return what the carrier serves, under the paths of its own pages."""
        ...

    def orders_as_json(self, now: datetime, since: datetime | None) -> Iterable[dict[str, Any]]:
        """Describe every order made since then, as it truly stands."""
        ...

    def incidents_as_json(self, since: datetime | None) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """List what else the report should tell, by heading: broken rules, calls made to customers."""
        ...

    def stock_as_json(self) -> dict[str, int]:
        """Say what is left to sell."""
        ...

    def revoke_tokens(self, token: str | None) -> int:
        """Revoke one token, or all, and say how many were alive."""
        ...

    def reset(self) -> None:
        """Forget every order and refill the stock."""
        ...


CarrierFactory = Callable[[SandboxState], SandboxCarrier]
"""Makes a practice carrier in a world."""
