"""What all practice carriers share: one clock, one behaviour, one set of faults, one journal."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from random import Random
from typing import Any, Protocol

from starlette.routing import BaseRoute

from sandbox.behaviour import Behaviour
from sandbox.clock import Clock, wall_clock
from sandbox.faults import FaultRules
from sandbox.journal import Journal
from sandbox.memory import Memory


class World:
    """The surroundings of the carriers; the control API changes them, the carriers live in them."""

    def __init__(
        self, behaviour: Behaviour | None = None, clock: Clock = wall_clock, memory: Memory | None = None
    ) -> None:
        self._first_behaviour = behaviour or Behaviour()
        self.clock = clock
        self.memory = memory or Memory()
        self.stopping = asyncio.Event()  # set once, so that hanging requests let go
        self.start_over()

    def start_over(self) -> None:
        """Forget faults and requests, and behave as at the start."""
        self.behaviour = self._first_behaviour
        self.faults = FaultRules()
        self.journal = Journal(self.clock)
        self.dice = Random(self.behaviour.seed)


class PracticeCarrier(Protocol):
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

    def stock_as_json(self) -> dict[str, int]:
        """Say what is left to sell."""
        ...

    def revoke_tokens(self, token: str | None) -> int:
        """Revoke one token, or all, and say how many were alive."""
        ...

    def start_over(self) -> None:
        """Forget every order and refill the stock."""
        ...
