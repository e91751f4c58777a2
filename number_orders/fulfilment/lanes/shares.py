"""How the lane runs of one child share its event loop: questions go before submissions while they are behind.

An order that is sent a second later ends a second later, whatever else happens. A question that waits makes the end of
its order known late, and every order that the carrier has gets one every few seconds. So while a lane `ask` cannot keep
up, the lanes `submit` of the same child hold only half of their conversations.
"""

from typing import Final

from number_orders.orders.model import CarrierName, Lane

BEHIND_AFTER_S: Final = 0.3
"""A lane is behind when its claims have come back full for so long."""


class LaneShares:
    """What the lane runs of one process tell each other."""

    def __init__(self) -> None:
        self._behind: set[CarrierName] = set()
        """The carriers whose lane `ask` is behind."""

    def note(self, carrier: CarrierName, lane: Lane, *, is_behind: bool) -> None:
        """Take note of whether a lane is behind. Only the lane `ask` counts."""
        if lane is not Lane.ASK:
            return
        if is_behind:
            self._behind.add(carrier)
        else:
            self._behind.discard(carrier)

    def concurrency(self, lane: Lane, wanted: int) -> int:
        """Return how many of the conversations that a lane may hold it is to hold now."""
        return max(1, wanted // 2) if lane is Lane.SUBMIT and self._behind else wanted
