"""What the others are told while somebody works a lane: that nobody needs to ring, or that another pair of hands does.

Knows bells and places; what there is to do, and whether it can be kept up with, is the stint's to know.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from number_orders.fulfilment.ports import Bell, Slots
from number_orders.orders.model import CarrierName, Lane

_EVERY_S: Final = 1.0
"""Half of how long a bell counts as rung."""


@dataclass(slots=True)
class LanePresence:
    """One stint's word to the others."""

    bell: Bell
    slots: Slots
    carrier: CarrierName
    lane: Lane
    _said_at: float = float("-inf")

    def stays(self) -> None:
        """Say that whatever comes in is seen; now and then is often enough."""
        if self._is_time():
            self.slots.suffice(self.carrier, self.lane)
            self.bell.attended(self.carrier, self.lane)

    def calls(self) -> None:
        """Say that another child is wanted on this lane."""
        if self._is_time():
            self.slots.call(self.carrier, self.lane)
            self.bell.heard(self.carrier, self.lane)
            self.bell.ring([(self.carrier, self.lane)])

    def leaves(self) -> None:
        """Say that whatever comes in from now on is to be rung for."""
        self.bell.heard(self.carrier, self.lane)
        self._said_at = float("-inf")

    def _is_time(self) -> bool:
        now = asyncio.get_running_loop().time()
        if now - self._said_at < _EVERY_S:
            return False
        self._said_at = now
        return True
