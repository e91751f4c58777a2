"""The workload W(N): N orders at once, each sent once and asked about every two seconds until the carrier is done.

Knows which orders there are and how long the carrier takes over each: the same for everybody, in every run.
"""

from collections.abc import Iterable
from typing import Final

POLL_S: Final = 2.0
LATENCY_S: Final = 0.02
"""What the carrier takes over every answer."""

ORDERS_MAX: Final = 500_000
_WARMING_FROM: Final = 5_000_000
_FIRST: Final = 19_192_000_000
_GOLDEN: Final = 0.6180339887498949


def measured(orders: int) -> range:
    """Return the orders that are measured."""
    return range(orders)


def warming(orders: int) -> range:
    """Return orders that come before, so that what is made at first use is made: connections, loops, caches."""
    return range(_WARMING_FROM, _WARMING_FROM + orders)


def number_of(index: int) -> str:
    """Return the one number that an order asks for."""
    return f"+{_FIRST + index}"


def index_of(number: str) -> int:
    """Return which order asks for a number."""
    return int(number.removeprefix("+")) - _FIRST


def takes_s(index: int) -> float:
    """Return how long the carrier takes over an order: 1 to 6 s, evenly spread over any stretch of orders."""
    return 1 + 5 * (index * _GOLDEN % 1)


def spread(indices: Iterable[int]) -> tuple[float, float]:
    """Return the shortest and the longest that the carrier takes over these orders."""
    lengths = [takes_s(index) for index in indices]
    return min(lengths), max(lengths)
