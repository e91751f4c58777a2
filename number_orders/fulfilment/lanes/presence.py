"""Tell other processes whether a lane has a worker: no wake-ups while it has one, one when it needs another child.

Handles only bell and slots. Whether another child is needed is decided by the lane run.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from number_orders.fulfilment.ports import Bell, Slots
from number_orders.orders.model import CarrierName, Lane

_EVERY_S: Final = 1.0
"""Half of how long `Bell.mute` lasts."""


@dataclass(slots=True)
class LanePresence:
    """The presence of one lane run."""

    bell: Bell
    slots: Slots
    carrier: CarrierName
    lane: Lane
    _said_at: float = float("-inf")

    def announce(self) -> None:
        """Say that this run sees all new work. Does so once a second at most."""
        if self._is_time():
            self.slots.keep_alone(self.carrier, self.lane)
            self.bell.mute(self.carrier, self.lane)

    def call_another(self) -> None:
        """Wake another child for this lane. Does so once a second at most."""
        if self._is_time():
            self.slots.allow_another(self.carrier, self.lane)
            self.bell.reset(self.carrier, self.lane)
            self.bell.ring([(self.carrier, self.lane)])

    def leave(self) -> None:
        """Say that new work needs a wake-up from now on."""
        self.bell.reset(self.carrier, self.lane)
        self._said_at = float("-inf")

    def _is_time(self) -> bool:
        now = asyncio.get_running_loop().time()
        if now - self._said_at < _EVERY_S:
            return False
        self._said_at = now
        return True
