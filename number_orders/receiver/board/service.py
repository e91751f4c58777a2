"""What the board of one process keeps: its policy, and what was read lately, once for all viewers."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

from fastapi import Request

from number_orders.receiver.board.policy import BoardPolicy
from number_orders.receiver.recent import Recent

Value = TypeVar("Value")

PRESENT: Final = "present"
"""What the figures are kept under that show how everything stands now."""

_READS_AT_ONCE: Final = 2
"""How many of the process's connections the overview uses at most: orders that come in need the others."""


class StreamPlaces:
    """Counts the pages that are kept up to date now, in all and by operator: nobody takes the places of all others."""

    def __init__(self, in_all: int, each: int) -> None:
        self._in_all = in_all
        self._each = each
        self._taken: Counter[str] = Counter()

    def take(self, operator: str) -> bool:
        """Take a place for a page of this operator; return whether there was one."""
        if self._taken.total() >= self._in_all or self._taken[operator] >= self._each:
            return False
        self._taken[operator] += 1
        return True

    def give_back(self, operator: str) -> None:
        """Give a place back."""
        self._taken[operator] -= 1
        if not self._taken[operator]:
            del self._taken[operator]


class Board:
    """The parts of the board that its endpoints share."""

    def __init__(self, policy: BoardPolicy) -> None:
        self.policy = policy
        self.recent: dict[str, Recent[Any]] = {}
        self.places = StreamPlaces(policy.streams_max, policy.streams_each)
        self._reads = asyncio.Semaphore(_READS_AT_ONCE)

    def forget_present(self) -> None:
        """Let the overview be read anew: an operator who has changed something sees it at once."""
        self.recent.pop(PRESENT, None)

    async def read(self, figure: Awaitable[Value]) -> Value:
        """Read a figure of the overview as soon as fewer than `_READS_AT_ONCE` others are read."""
        async with self._reads:
            return await figure


def board_of(request: Request) -> Board:
    """Return the board that serves this request."""
    board: Board = request.state.board
    return board
