"""The workload W(N): N orders at once, each sent once and polled every two seconds until the carrier is done.

The orders, and how long the carrier takes over each, are the same for every contender and every run.
"""

from collections.abc import Iterable
from typing import Final

POLL_S: Final = 2.0
LATENCY_S: Final = 0.02
"""How long the carrier takes for each answer."""

ORDERS_MAX: Final = 500_000
_WARMING_FROM: Final = 5_000_000
_FIRST: Final = 19_192_000_000
_GOLDEN: Final = 0.6180339887498949


def measured(orders: int) -> range:
    """Return the orders that are measured."""
    return range(orders)


def warm_up(orders: int) -> range:
    """Return the orders that run first, so that connections, event loops and caches exist before measuring."""
    return range(_WARMING_FROM, _WARMING_FROM + orders)


def number_of(index: int) -> str:
    """Return the number that an order asks for."""
    return f"+{_FIRST + index}"


def index_of(number: str) -> int:
    """Return the order that asks for a number."""
    return int(number.removeprefix("+")) - _FIRST


def takes_s(index: int) -> float:
    """Return how long the carrier takes for an order: 1 to 6 s, evenly spread over any range of orders."""
    return 1 + 5 * (index * _GOLDEN % 1)


def spread(indices: Iterable[int]) -> tuple[float, float]:
    """Return the shortest and the longest time that the carrier takes for these orders."""
    lengths = [takes_s(index) for index in indices]
    return min(lengths), max(lengths)
